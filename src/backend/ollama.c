/* Ollama's API: POST /api/chat, or with raw prompts /api/generate; a JSON object a line, the last
 * one with counts and durations in ns.
 *
 * Sources: ollama docs/api.md; ollama#2068, #3427 and PR#5371 (prompt_eval_count is missing, or
 * counts only what was evaluated anew, when the prompt was in the cache: before 0.2), PR#16138
 * (prompt_eval_cached_count: newer ones say how much was); ollama-python#601 (`logprobs`, an array
 * in each piece: 0.12.11 and later).
 *
 * A prompt from the cache costs no prefill: it flatters tokens per joule. So: cached tokens are
 * what the server says, else by how much the count fell since the same prompt was asked before; a
 * reply to a prompt that was asked before without either carries a note. */
#include "backend/ollama.h"

#include "backend/remote.h"

#include <stdio.h>
#include <stdlib.h>

/* --- the server --- */

/* "llama3.2" is "llama3.2:latest". */
static bool is_called(const char *name, const char *model)
{
    size_t n = strlen(model);
    return strncmp(name, model, n) == 0 && (!name[n] || strcmp(name + n, ":latest") == 0);
}

static int find_model(struct lmw_remote *r, struct lmw_err *err)
{
    json_t *answer;
    const json_t *entry;
    size_t i;
    bool found = false;
    int status, rc = lmw_remote_fetch(r, "/api/tags", NULL, &answer, &status, err);
    if (rc < 0)
        return rc;
    json_array_foreach(json_object_get(answer, "models"), i, entry)
    {
        found |= is_called(lmw_wire_text(entry, "name"), r->model);
    }
    if (!json_is_array(json_object_get(answer, "models")))
        rc = lmw_fail(err, LMW_EFORMAT,
                      "%s/api/tags: no list of models: is this an Ollama server?", r->base);
    else if (!found)
        rc = lmw_remote_no_model(r, json_object_get(answer, "models"), "name", err);
    json_decref(answer);
    return rc;
}

static void take_info(struct lmw_remote *r, const json_t *show)
{
    const json_t *details = json_object_get(show, "details");
    const json_t *info = json_object_get(show, "model_info");
    const char *arch = lmw_wire_text(info, "general.architecture");
    char key[64];
    arch = *arch ? arch : lmw_wire_text(details, "family");
    snprintf(r->info.arch, sizeof r->info.arch, "%s", arch);
    snprintf(r->info.quantization, sizeof r->info.quantization, "%s",
             lmw_wire_text(details, "quantization_level"));
    snprintf(key, sizeof key, "%.32s.context_length", arch);
    int64_t n_max = lmw_wire_count(info, key);
    r->info.n_ctx = r->n_ctx > 0 ? r->n_ctx : n_max > 0 && n_max < INT32_MAX ? (int)n_max : 0;
    r->info.n_param = lmw_wire_count(info, "general.parameter_count");
}

/* What the model is, as far as the server says. */
static void look_at_model(struct lmw_remote *r)
{
    json_t *show = NULL, *ask = json_pack("{s:s}", "model", r->model);
    char *post = ask ? json_dumps(ask, JSON_COMPACT) : NULL;
    int status;
    if (post && lmw_remote_fetch(r, "/api/show", post, &show, &status, NULL) == LMW_OK)
        take_info(r, show);
    json_decref(show);
    json_decref(ask);
    free(post);
}

static int open_format(struct lmw_remote *r, const struct lmw_backend_opts *opts,
                       struct lmw_err *err)
{
    int rc = lmw_remote_base(r, opts->url ? opts->url : "http://127.0.0.1:11434", err);
    size_t n = strlen(r->base);
    if (rc < 0)
        return rc;
    if (n > 4 && strcmp(r->base + n - 4, "/api") == 0)
        r->base[n - 4] = 0;
    snprintf(r->url, sizeof r->url, "%s/api/%s", r->base, r->raw ? "generate" : "chat");
    if ((rc = find_model(r, err)) == LMW_OK)
        look_at_model(r);
    return rc;
}

/* --- asking --- */

/* Every setting is said: Ollama's defaults (top_k 40, top_p 0.9) are not ours. */
static json_t *options(const struct lmw_remote *r, const struct lmw_request *q)
{
    json_t *o = json_pack("{s:i, s:I, s:i}", "num_predict",
                          q->max_tokens < r->max_tokens ? q->max_tokens : r->max_tokens, "seed",
                          (json_int_t)(q->seed & INT32_MAX), "top_k", q->top_k);
    json_object_set_new(o, "temperature", lmw_wire_real(q->temperature));
    json_object_set_new(o, "top_p", lmw_wire_real(q->top_p));
    json_object_set_new(o, "min_p", lmw_wire_real(q->min_p));
    if (r->n_ctx > 0)
        json_object_set_new(o, "num_ctx", json_integer(r->n_ctx));
    return o;
}

static json_t *ask_ollama(const struct lmw_remote *r, const struct lmw_request *q)
{
    json_t *prompt = r->raw ? json_stringn(q->prompt.ptr, q->prompt.len)
                            : lmw_wire_messages(r->system, q->prompt);
    json_t *ask = prompt ? json_object() : NULL;
    if (!ask)
        return NULL;
    json_object_set_new(ask, "model", json_string(r->model));
    json_object_set_new(ask, r->raw ? "prompt" : "messages", prompt);
    json_object_set_new(ask, "stream", json_true());
    json_object_set_new(ask, "options", options(r, q));
    if (r->raw)
        json_object_set_new(ask, "raw", json_true());
    if (r->logprobs)
        json_object_set_new(ask, "logprobs", json_true());
    if (r->thinking != LMW_THINKING_DEFAULT)
        json_object_set_new(ask, "think", json_boolean(r->thinking == LMW_THINKING_ON));
    return ask;
}

/* --- reading --- */

/* The prompt's tokens, and how many were in the cache. */
static void read_prompt_counts(struct lmw_question *q, const json_t *last)
{
    struct lmw_reply *r = q->reply;
    struct lmw_remote *remote = q->remote;
    uint64_t hash = lmw_str_hash(q->request->prompt);
    struct lmw_seen *seen = &remote->seen[hash % LMW_N_SEEN];
    bool again = seen->hash == hash && seen->n_prompt > 0;
    int64_t n = lmw_wire_count(last, "prompt_eval_count");
    n = n > 0 ? n : 0;
    r->n_cached = lmw_wire_count(last, "prompt_eval_cached_count");
    if (r->n_cached == LMW_NULL && again && n < seen->n_prompt) {
        r->n_cached = seen->n_prompt - n;
        n = seen->n_prompt;
        lmw_question_note(q, "the prompt came from the server's cache: its joules flatter");
    } else if (r->n_cached == LMW_NULL && (again || n == 0)) {
        lmw_question_note(q, "the prompt may have come from the server's cache: it does not say");
    }
    r->n_prompt = n > 0 ? n : LMW_NULL;
    r->n_cached = lmw_wire_part(r->n_cached, r->n_prompt);
    if (n > 0)
        *seen = (struct lmw_seen){hash, n};
}

static void read_last(struct lmw_question *q, const json_t *last)
{
    struct lmw_reply *r = q->reply;
    lmw_question_finish(q);
    read_prompt_counts(q, last);
    r->n_answer = lmw_wire_count(last, "eval_count");
    if (r->n_answer == 0 && r->text.len + r->reasoning.len > 0)
        r->n_answer = LMW_NULL;
    r->server_load_ns = lmw_wire_ns(last, "load_duration", 1);
    r->server_prefill_ns = lmw_wire_ns(last, "prompt_eval_duration", 1);
    r->server_decode_ns = lmw_wire_ns(last, "eval_duration", 1);
    snprintf(r->finish, sizeof r->finish, "%s", lmw_wire_text(last, "done_reason"));
}

static int read_ollama(struct lmw_question *q, const json_t *piece, struct lmw_err *err)
{
    struct lmw_reply *r = q->reply;
    const json_t *message = json_object_get(piece, "message");
    const json_t *from = message ? message : piece;
    char text[300];
    if (json_object_get(piece, "error")) {
        lmw_wire_error(piece, text, sizeof text);
        return lmw_fail(err, LMW_EFORMAT, "the server stopped with an error: %s", text);
    }
    if (!r->model[0])
        snprintf(r->model, sizeof r->model, "%s", lmw_wire_text(piece, "model"));
    lmw_question_logprobs(q, json_object_get(piece, "logprobs"));
    int rc = lmw_question_text(q, json_object_get(from, "thinking"), true, err);
    if (rc == LMW_OK)
        rc = lmw_question_text(q, json_object_get(from, message ? "content" : "response"), false,
                               err);
    if (rc == LMW_OK && json_is_true(json_object_get(piece, "done")))
        read_last(q, piece);
    return rc;
}

const struct lmw_format lmw_format_ollama = {
    .name = "ollama",
    .lines = true,
    .open = open_format,
    .ask = ask_ollama,
    .read = read_ollama,
};

static int open_ollama(void **state, const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    return lmw_remote_open(state, &lmw_format_ollama, opts, err);
}

const struct lmw_backend_ops lmw_backend_ollama = {
    .name = "ollama",
    .model_is_name = true,
    .has_logprobs = true,
    .open = open_ollama,
    .info = lmw_remote_info,
    .send = lmw_remote_send,
    .wait = lmw_remote_wait,
    .close = lmw_remote_close,
};
