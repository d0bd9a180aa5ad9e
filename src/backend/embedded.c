/* The engine in this process, as a backend. Owns one engine and one session, and every buffer
 * an answer needs, all made when it opens: between the clock's first and last reading nothing
 * here allocates, unless a prompt is longer than any before it.
 *
 * An answer starts when its text is taken up (template and tokens are part of what it costs)
 * and ends with its last token. Refuses prompts that leave no room in the context. */
#include "backend/embedded.h"

#include "base/record.h"
#include "base/stat.h"
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_CTX = 4096 };

struct embedded {
    struct lmw_engine *engine;
    struct lmw_session *session;
    int n_ctx, max_tokens;
    bool raw;
    struct lmw_buf prompt;
    int32_t *ids;      /* [n_ctx] */
    int64_t *token_ns; /* [max_tokens] */
    double *gaps_ns;   /* [max_tokens] */
};

static void close_embedded(void *state)
{
    struct embedded *e = state;
    if (e->session)
        lmw_session_close(e->session);
    if (e->engine)
        lmw_engine_close(e->engine);
    lmw_buf_free(&e->prompt);
    free(e->ids);
    free(e->token_ns);
    free(e->gaps_ns);
    free(e);
}

static int make_buffers(struct embedded *e, struct lmw_err *err)
{
    e->ids = calloc((size_t)e->n_ctx, sizeof *e->ids);
    e->token_ns = calloc((size_t)e->max_tokens, sizeof *e->token_ns);
    e->gaps_ns = calloc((size_t)e->max_tokens, sizeof *e->gaps_ns);
    for (int i = 0; i < e->n_ctx; i++) /* a first guess: 8 bytes a token */
        lmw_buf_put(&e->prompt, "\0\0\0\0\0\0\0", 8);
    if (!e->ids || !e->token_ns || !e->gaps_ns || e->prompt.failed)
        return lmw_fail(err, LMW_ENOMEM, "no memory for prompts of %d tokens", e->n_ctx);
    return LMW_OK;
}

static int open_model(struct embedded *e, const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    struct lmw_engine_opts engine = {.n_thread = opts->n_thread, .cpu_mask = opts->cpu_mask};
    int rc = lmw_engine_open(&e->engine, opts->model, &engine, err);
    if (rc < 0)
        return rc;
    int own = lmw_engine_info(e->engine)->n_ctx_train;
    e->n_ctx = opts->n_ctx > 0 ? opts->n_ctx : own > 0 && own < DEFAULT_CTX ? own : DEFAULT_CTX;
    if (lmw_session_open(&e->session, e->engine, e->n_ctx, err) < 0)
        return lmw_wrap(err, "%s: a context of %d tokens", opts->model, e->n_ctx);
    return make_buffers(e, err);
}

static int open_embedded(void **state, const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    if (opts->max_tokens < 1)
        return lmw_fail(err, LMW_EARG, "an answer needs room for at least one token");
    struct embedded *e = calloc(1, sizeof *e);
    if (!e)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a backend");
    e->raw = opts->raw;
    e->max_tokens = opts->max_tokens;
    int rc = open_model(e, opts, err);
    if (rc < 0)
        close_embedded(e);
    else
        *state = e;
    return rc;
}

static void info_embedded(void *state, struct lmw_backend_info *out)
{
    struct embedded *e = state;
    const struct lmw_model_info *m = lmw_engine_info(e->engine);
    snprintf(out->name, sizeof out->name, "%s", m->name);
    snprintf(out->arch, sizeof out->arch, "%s", m->arch);
    snprintf(out->quantization, sizeof out->quantization, "%s", m->quantization);
    snprintf(out->level, sizeof out->level, "%s", m->level);
    out->n_thread = m->n_thread;
    out->n_ctx = e->n_ctx;
    out->n_embd = m->n_embd;
    out->n_param = m->n_param;
    out->n_param_active = m->n_param_active;
    out->file_bytes = (int64_t)m->file_bytes;
}

/* The prompt's ids in e->ids; their number, or an error. */
static int take_prompt(struct embedded *e, lmw_str text, struct lmw_err *err)
{
    e->prompt.len = 0;
    if (e->raw) {
        lmw_buf_put(&e->prompt, text.ptr, text.len);
    } else {
        int rc = lmw_engine_prompt(e->engine, text, &e->prompt, err);
        if (rc < 0)
            return rc;
    }
    if (e->prompt.failed)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a prompt of %zu bytes", text.len);
    size_t n = lmw_engine_tokenize(e->engine, (lmw_str){e->prompt.ptr, e->prompt.len}, true,
                                   e->ids, (size_t)e->n_ctx);
    if (n == 0)
        return lmw_fail(err, LMW_EARG, "the prompt has no tokens");
    if (n >= (size_t)e->n_ctx)
        return lmw_fail(err, LMW_EARG,
                        "the prompt has %zu tokens and the context is %d: give --ctx more", n,
                        e->n_ctx);
    return (int)n;
}

struct first {
    const struct lmw_request *request;
    struct lmw_reply *reply;
};

static int on_token(void *arg, int32_t id, lmw_str piece, int64_t t_ns)
{
    struct first *f = arg;
    if (f->reply->t_first_ns == LMW_NULL)
        f->reply->t_first_ns = lmw_request_now(f->request);
    return 0;
}

static void summarise_gaps(struct embedded *e, int n_token, struct lmw_reply *reply)
{
    size_t n = n_token > 1 ? (size_t)n_token - 1 : 0;
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        e->gaps_ns[i] = (double)(e->token_ns[i + 1] - e->token_ns[i]);
    reply->itl_p50_ns = (int64_t)lmw_quantile(e->gaps_ns, n, 0.50);
    reply->itl_p90_ns = (int64_t)lmw_quantile(e->gaps_ns, n, 0.90);
    reply->itl_p99_ns = (int64_t)lmw_quantile(e->gaps_ns, n, 0.99);
}

static int answer_embedded(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                           struct lmw_err *err)
{
    struct embedded *e = state;
    struct first first = {request, reply};
    struct lmw_answer answer = {.token_ns = e->token_ns};
    struct lmw_answer_opts opts = {
        .n_max = request->max_tokens < e->max_tokens ? request->max_tokens : e->max_tokens,
        .sampler = {.temperature = request->temperature,
                    .top_p = request->top_p,
                    .min_p = request->min_p,
                    .top_k = request->top_k},
        .on_token = on_token,
        .arg = &first,
    };
    lmw_rng_init(&opts.sampler.rng, request->seed);
    reply->t_start_ns = lmw_request_now(request);
    int n = take_prompt(e, request->prompt, err);
    if (n < 0)
        return n;
    reply->n_prompt = n;
    int rc = lmw_session_answer(e->session, e->ids, n, &opts, &reply->text, &answer, err);
    reply->t_end_ns = lmw_request_now(request);
    if (rc < 0)
        return rc;
    reply->n_cached = 0;
    reply->n_answer = answer.n_answer;
    reply->logprob_mean = answer.logprob_mean;
    reply->entropy_mean = answer.entropy_mean;
    snprintf(reply->finish, sizeof reply->finish, answer.hit_limit ? "length" : "stop");
    summarise_gaps(e, answer.n_answer, reply);
    return LMW_OK;
}

static int perplexity_embedded(void *state, lmw_str prompt, lmw_str answer, double *ppl,
                               struct lmw_err *err)
{
    struct embedded *e = state;
    int n = take_prompt(e, prompt, err);
    if (n < 0)
        return n;
    size_t room = (size_t)(e->n_ctx - n);
    size_t m = lmw_engine_tokenize(e->engine, answer, false, e->ids + n, room);
    if (m > room)
        return lmw_fail(err, LMW_EARG,
                        "prompt and reference have %zu tokens and the context is %d: give --ctx "
                        "more",
                        (size_t)n + m, e->n_ctx);
    return lmw_perplexity_given(e->session, e->ids, n, n + (int)m, ppl, err);
}

static int embed_embedded(void *state, lmw_str prompt, float *out, struct lmw_err *err)
{
    struct embedded *e = state;
    int n = take_prompt(e, prompt, err);
    return n < 0 ? n : lmw_session_embed(e->session, e->ids, n, out, err);
}

const struct lmw_backend_ops lmw_backend_embedded = {
    .name = "embedded",
    .has_logprobs = true,
    .open = open_embedded,
    .info = info_embedded,
    .answer = answer_embedded,
    .perplexity = perplexity_embedded,
    .embed = embed_embedded,
    .close = close_embedded,
};
