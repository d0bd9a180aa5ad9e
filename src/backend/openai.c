/* The API of OpenAI as llama-server, vLLM, SGLang, LM Studio, TensorRT-LLM and the clouds speak
 * it: POST /v1/chat/completions, or with raw prompts /v1/completions, streamed as server-sent
 * events.
 *
 * Sources: OpenAI's API reference (chunks, usage, stream_options); llama.cpp tools/server/README
 * (`timings`: prompt_n evaluated, cache_n reused, milliseconds); vLLM, "Reasoning outputs" (the
 * thought before an answer is `reasoning`, formerly `reasoning_content`, and is switched by
 * chat_template_kwargs: `enable_thinking` in Qwen's templates, `thinking` in DeepSeek's and
 * Granite's); llama.cpp#10783, vllm#2918 (log-probabilities: in chats
 * `logprobs.content[].logprob`, of completions `logprobs.token_logprobs[]`, llama-server's in the
 * chats' form; before sampling).
 *
 * Of the clouds: Groq's usage may be in `x_groq`, with seconds; Mistral's content may be parts, of
 * which some are thought; xAI's and Gemini's completion_tokens leave the thought out, their total
 * has it (vercel/ai#12425, any-llm#1290); models that reason refuse a temperature, Mistral a seed.
 *
 * Usage is believed where it is possible: counts that are negative, no integers, 0 of what is
 * there, or parts larger than their whole are null. A server that does not count leaves them
 * null. */
#include "backend/openai.h"

#include "backend/remote.h"

#include <stdio.h>

/* What some servers were found to need. */
enum {
    NO_STREAM_OPTIONS = 1,     /* they refuse a field they do not know */
    MAX_COMPLETION_TOKENS = 2, /* max_tokens by its new name */
    NO_SWITCHED_OFF = 4,       /* no top_k and min_p that change nothing */
    NO_LOGPROBS = 8,           /* they have none to tell */
    /* They take their own: each answer says so. */
    NO_TEMPERATURE = 16,
    NO_TOP_P = 32,
    NO_SEED = 64,
};

/* --- the server --- */

/* A segment of the path that names a version: then the URL is complete. */
static bool has_version(const char *base)
{
    for (const char *p = strstr(base, "://") + 3; (p = strstr(p, "/v")); p += 2)
        if (p[2] >= '0' && p[2] <= '9')
            return true;
    return false;
}

static bool names(const json_t *entry, const char *model)
{
    const json_t *alias;
    size_t i;
    const char *id = lmw_wire_text(entry, "id");
    if (strcmp(id, model) == 0 || (strncmp(id, "models/", 7) == 0 && strcmp(id + 7, model) == 0))
        return true; /* Gemini lists paths */
    json_array_foreach(json_object_get(entry, "aliases"), i, alias)
    {
        if (json_is_string(alias) && strcmp(json_string_value(alias), model) == 0)
            return true;
    }
    return false;
}

/* llama-server has one model and calls it by its file, whatever name it is asked by. */
static bool is_llama_server(const json_t *entry)
{
    return strcmp(lmw_wire_text(entry, "owned_by"), "llamacpp") == 0;
}

static void take_info(struct lmw_remote *r, const json_t *entry)
{
    const json_t *meta = json_object_get(entry, "meta");
    int64_t n_ctx = lmw_wire_count(meta, "n_ctx"), n_max = lmw_wire_count(entry, "max_model_len");
    n_ctx = n_ctx == LMW_NULL ? n_max : n_ctx;
    r->info.n_ctx = n_ctx > 0 && n_ctx < INT32_MAX ? (int)n_ctx : 0;
    r->info.n_param = lmw_wire_count(meta, "n_params");
    snprintf(r->info.quantization, sizeof r->info.quantization, "%s",
             lmw_wire_text(meta, "ftype"));
}

static int find_model(struct lmw_remote *r, const json_t *list, struct lmw_err *err)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(list, i, entry)
    {
        if (names(entry, r->model) || (json_array_size(list) == 1 && is_llama_server(entry))) {
            take_info(r, entry);
            return LMW_OK;
        }
    }
    return lmw_remote_no_model(r, list, "id", err);
}

/* Not every server lists its models: one that is there and does not is taken at its word. A web
 * page is no such server. */
static int check_server(struct lmw_remote *r, struct lmw_err *err)
{
    json_t *answer;
    int status, rc = lmw_remote_fetch(r, "/models", NULL, &answer, &status, err);
    if (status == 400 || status == 404 || status == 405 || status == 501)
        return LMW_OK;
    if (rc < 0)
        return rc;
    const json_t *list = json_object_get(answer, "data");
    if (json_is_array(list))
        rc = find_model(r, list, err);
    json_decref(answer);
    return rc;
}

static int open_format(struct lmw_remote *r, const struct lmw_backend_opts *opts,
                       struct lmw_err *err)
{
    if (!opts->url)
        return lmw_fail(err, LMW_EARG, "which server? give its URL: --url http://127.0.0.1:8080");
    int rc = lmw_remote_base(r, opts->url, err);
    if (rc < 0)
        return rc;
    if (!has_version(r->base)) {
        size_t n = strlen(r->base);
        if (n + 4 > sizeof r->base)
            return lmw_fail(err, LMW_EARG, "the server's URL is too long");
        memcpy(r->base + n, "/v1", 4);
    }
    snprintf(r->url, sizeof r->url, "%s/%scompletions", r->base, r->raw ? "" : "chat/");
    return check_server(r, err);
}

/* --- asking --- */

/* Settings that change nothing are sent too, when tokens are drawn: left out, llama-server and
 * vLLM would take defaults of their own, and the record would be wrong about them. */
static void put_sampling(json_t *ask, const struct lmw_remote *r, const struct lmw_request *q)
{
    bool all = q->temperature > 0 && !(r->crutches & NO_SWITCHED_OFF);
    if (!(r->crutches & NO_TEMPERATURE))
        json_object_set_new(ask, "temperature", lmw_wire_real(q->temperature));
    if (!(r->crutches & NO_SEED))
        json_object_set_new(ask, "seed", json_integer((json_int_t)(q->seed & INT32_MAX)));
    if (!(r->crutches & NO_TOP_P) && (q->temperature > 0 || q->top_p < 1))
        json_object_set_new(ask, "top_p", lmw_wire_real(q->top_p));
    if (all || q->min_p > 0)
        json_object_set_new(ask, "min_p", lmw_wire_real(q->min_p));
    if (all || q->top_k > 0)
        json_object_set_new(ask, "top_k", json_integer(q->top_k > 0 ? q->top_k : -1));
}

static json_t *ask_openai(const struct lmw_remote *r, const struct lmw_request *q)
{
    json_t *prompt = r->raw ? json_stringn(q->prompt.ptr, q->prompt.len)
                            : lmw_wire_messages(r->system, q->prompt);
    json_t *ask = prompt ? json_object() : NULL;
    if (!ask)
        return NULL;
    int n = q->max_tokens < r->max_tokens ? q->max_tokens : r->max_tokens;
    json_object_set_new(ask, "model", json_string(r->model));
    json_object_set_new(ask, r->raw ? "prompt" : "messages", prompt);
    json_object_set_new(
        ask, r->crutches & MAX_COMPLETION_TOKENS ? "max_completion_tokens" : "max_tokens",
        json_integer(n));
    put_sampling(ask, r, q);
    json_object_set_new(ask, "stream", json_true());
    if (!(r->crutches & NO_STREAM_OPTIONS))
        json_object_set_new(ask, "stream_options", json_pack("{s:b}", "include_usage", 1));
    if (r->logprobs && !(r->crutches & NO_LOGPROBS))
        json_object_set_new(ask, "logprobs", r->raw ? json_integer(1) : json_true());
    if (r->thinking != LMW_THINKING_DEFAULT) {
        int on = r->thinking == LMW_THINKING_ON;
        json_object_set_new(ask, "chat_template_kwargs",
                            json_pack("{s:b, s:b}", "enable_thinking", on, "thinking", on));
    }
    return ask;
}

/* Whether it refuses the field, and not only this value of it: that is for people to change. */
static bool refuses_fields(const char *refusal)
{
    static const char *const words[] = {"unsupported",  "not support", "not permitted",
                                        "unrecognized", "unknown",     "not allowed"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(refusal, words[i]))
            return true;
    return false;
}

static const struct {
    const char *word;
    unsigned crutch;
    bool is_setting; /* without it the answer is another */
} crutches[] = {
    {"stream_options", NO_STREAM_OPTIONS, false},
    {"include_usage", NO_STREAM_OPTIONS, false},
    {"max_completion_tokens", MAX_COMPLETION_TOKENS, false},
    {"top_k", NO_SWITCHED_OFF, false},
    {"min_p", NO_SWITCHED_OFF, false},
    {"logprobs", NO_LOGPROBS, false},
    {"temperature", NO_TEMPERATURE, true},
    {"top_p", NO_TOP_P, true},
    {"seed", NO_SEED, true},
};
enum { N_CRUTCH = sizeof crutches / sizeof *crutches };

static unsigned learn_openai(const char *refusal)
{
    bool fields = refuses_fields(refusal);
    unsigned learned = 0;
    for (int i = 0; i < N_CRUTCH; i++)
        if ((fields || !crutches[i].is_setting) && strstr(refusal, crutches[i].word))
            learned |= crutches[i].crutch;
    return learned;
}

/* Answers are not to be compared with those of the settings that were asked for. */
static void confess_openai(struct lmw_question *q)
{
    char names[64] = "", note[128];
    for (int i = 0; i < N_CRUTCH; i++) {
        size_t n = strlen(names);
        if (crutches[i].is_setting && q->crutches & crutches[i].crutch)
            snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", crutches[i].word);
    }
    snprintf(note, sizeof note, "the server refuses %s: answered at its own", names);
    if (names[0])
        lmw_question_note(q, note);
}

/* --- reading --- */

/* How many tokens the total has that the parts have not; 0 where that is not known. */
static int64_t apart(const json_t *usage)
{
    int64_t n_prompt = lmw_wire_count(usage, "prompt_tokens"),
            n_answer = lmw_wire_count(usage, "completion_tokens"),
            n_total = lmw_wire_count(usage, "total_tokens");
    bool told = n_prompt != LMW_NULL && n_answer != LMW_NULL && n_total != LMW_NULL;
    return told && n_total - n_prompt > n_answer ? n_total - n_prompt - n_answer : 0;
}

static void read_usage(struct lmw_question *q, const json_t *usage)
{
    struct lmw_reply *r = q->reply;
    const json_t *prompt = json_object_get(usage, "prompt_tokens_details");
    const json_t *answer = json_object_get(usage, "completion_tokens_details");
    int64_t n_answer = lmw_wire_count(usage, "completion_tokens"), n_apart = apart(usage);
    int64_t n_reasoning = lmw_wire_either(lmw_wire_count(answer, "reasoning_tokens"),
                                          lmw_wire_count(usage, "reasoning_tokens"));
    if (n_apart > 0 && n_reasoning == LMW_NULL) {
        lmw_question_note(q, "its total has tokens that its parts have not: taken as thought");
        n_reasoning = n_apart;
    }
    if (n_apart > 0 && n_reasoning == n_apart)
        n_answer += n_apart;
    r->n_prompt = lmw_wire_either(lmw_wire_count(usage, "prompt_tokens"), r->n_prompt);
    r->n_answer = lmw_wire_either(n_answer, r->n_answer);
    r->n_cached = lmw_wire_either(
        lmw_wire_count(prompt, "cached_tokens"),
        lmw_wire_either(lmw_wire_count(usage, "prompt_cache_hit_tokens"), r->n_cached));
    r->n_reasoning = lmw_wire_either(n_reasoning, r->n_reasoning);
    r->server_prefill_ns =
        lmw_wire_either(lmw_wire_ns(usage, "prompt_time", 1e9), r->server_prefill_ns);
    r->server_decode_ns =
        lmw_wire_either(lmw_wire_ns(usage, "completion_time", 1e9), r->server_decode_ns);
    if (r->n_prompt == 0)
        r->n_prompt = LMW_NULL;
    if (r->n_answer == 0 && r->text.len + r->reasoning.len > 0)
        r->n_answer = LMW_NULL;
    r->n_cached = lmw_wire_part(r->n_cached, r->n_prompt);
    r->n_reasoning = lmw_wire_part(r->n_reasoning, r->n_answer);
}

static void read_timings(struct lmw_reply *r, const json_t *timings)
{
    int64_t n_new = lmw_wire_count(timings, "prompt_n"),
            n_old = lmw_wire_count(timings, "cache_n");
    r->server_prefill_ns = lmw_wire_ns(timings, "prompt_ms", 1e6);
    r->server_decode_ns = lmw_wire_ns(timings, "predicted_ms", 1e6);
    r->n_answer = lmw_wire_either(r->n_answer, lmw_wire_count(timings, "predicted_n"));
    if (n_old == LMW_NULL && n_new != LMW_NULL && r->n_prompt >= n_new)
        n_old = r->n_prompt - n_new;
    if (n_old != LMW_NULL && n_new != LMW_NULL)
        r->n_prompt = lmw_wire_either(r->n_prompt, n_old + n_new);
    r->n_cached = lmw_wire_part(lmw_wire_either(r->n_cached, n_old), r->n_prompt);
}

/* Text, or parts: {"type": "text", "text": ".."}, {"type": "thinking", "thinking": [parts]}. */
static int read_content(struct lmw_question *q, const json_t *content, bool is_thought,
                        struct lmw_err *err)
{
    const json_t *part;
    size_t i;
    int rc = LMW_OK;
    if (!json_is_array(content))
        return lmw_question_text(q, content, is_thought, err);
    json_array_foreach(content, i, part)
    {
        const json_t *thought = json_object_get(part, "thinking");
        if (rc == LMW_OK && json_is_array(thought) && !is_thought)
            rc = read_content(q, thought, true, err);
        else if (rc == LMW_OK)
            rc = lmw_question_text(q, json_object_get(part, "text"), is_thought, err);
    }
    return rc;
}

static int read_choice(struct lmw_question *q, const json_t *choice, struct lmw_err *err)
{
    struct lmw_reply *r = q->reply;
    const json_t *delta = json_object_get(choice, "delta");
    const json_t *message = delta ? delta : json_object_get(choice, "message");
    const json_t *thought = json_object_get(message, "reasoning_content");
    const json_t *logprobs = json_object_get(choice, "logprobs");
    const char *finish = lmw_wire_text(choice, "finish_reason");
    lmw_question_logprobs(q, json_object_get(logprobs, "content"));
    lmw_question_logprobs(q, json_object_get(logprobs, "token_logprobs"));
    if (!json_is_string(thought))
        thought = json_object_get(message, "reasoning");
    int rc = lmw_question_text(q, json_is_string(thought) ? thought : NULL, true, err);
    if (rc == LMW_OK)
        rc = read_content(
            q, json_object_get(message ? message : choice, message ? "content" : "text"), false,
            err);
    if (rc == LMW_OK) /* what it says instead of an answer is its answer */
        rc = lmw_question_text(q, json_object_get(message, "refusal"), false, err);
    if (*finish) {
        snprintf(r->finish, sizeof r->finish, "%s", finish);
        lmw_question_finish(q);
    }
    return rc;
}

/* What may be over at the next try, by its number or its name: "server_error", "overloaded". */
static bool is_passing(const json_t *error)
{
    static const char *const words[] = {"server_error", "servererror", "overload",
                                        "rate_limit",   "unavailable", "timeout"};
    int64_t code = lmw_wire_count(error, "code");
    bool passing = code == 429 || (code >= 500 && code < 600);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        passing |= strcasestr(lmw_wire_text(error, "code"), words[i]) ||
                   strcasestr(lmw_wire_text(error, "type"), words[i]);
    return passing;
}

/* An error in the middle of a stream, its status already sent. */
static int read_error(const json_t *error, struct lmw_err *err)
{
    char message[300];
    lmw_wire_error(error, message, sizeof message);
    int rc = lmw_wire_blames_question(message) ? LMW_EARG
             : is_passing(error)               ? LMW_EIO
                                               : LMW_EFORMAT;
    return lmw_fail(err, rc, "the server stopped with an error: %s", message);
}

static int read_openai(struct lmw_question *q, const json_t *piece, struct lmw_err *err)
{
    struct lmw_reply *r = q->reply;
    const json_t *error = json_object_get(piece, "error"), *choice;
    const json_t *usage = json_object_get(piece, "usage");
    size_t i;
    int rc = LMW_OK;
    if (!error && strcmp(lmw_wire_text(piece, "object"), "error") == 0)
        error = piece; /* vLLM until 0.11 */
    if (error && !json_is_null(error))
        return read_error(error, err);
    if (!r->model[0])
        snprintf(r->model, sizeof r->model, "%s", lmw_wire_text(piece, "model"));
    json_array_foreach(json_object_get(piece, "choices"), i, choice)
    {
        if (rc == LMW_OK && i == 0 && json_integer_value(json_object_get(choice, "index")) == 0)
            rc = read_choice(q, choice, err);
    }
    if (!json_is_object(usage))
        usage = json_object_get(json_object_get(piece, "x_groq"), "usage");
    if (json_is_object(usage))
        read_usage(q, usage);
    if (json_is_object(json_object_get(piece, "timings")))
        read_timings(r, json_object_get(piece, "timings"));
    return rc;
}

const struct lmw_format lmw_format_openai = {
    .name = "openai",
    .open = open_format,
    .ask = ask_openai,
    .read = read_openai,
    .learn = learn_openai,
    .confess = confess_openai,
};

static int open_openai(void **state, const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    return lmw_remote_open(state, &lmw_format_openai, opts, err);
}

const struct lmw_backend_ops lmw_backend_openai = {
    .name = "openai",
    .model_is_name = true,
    .has_logprobs = true,
    .open = open_openai,
    .info = lmw_remote_info,
    .send = lmw_remote_send,
    .wait = lmw_remote_wait,
    .close = lmw_remote_close,
};
