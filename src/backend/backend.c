/* The table of backends, and what all of them share: a reply starts cleared and always has a
 * start and an end, whatever the backend did. See backend.h. */
#include "backend/backend.h"

#include "backend/command.h"
#include "backend/embedded.h"
#include "backend/ollama.h"
#include "backend/openai.h"
#include "base/clock.h"
#include "base/record.h"

#include <math.h>
#include <stdlib.h>

static const struct lmw_backend_ops *const backends[] = {
    &lmw_backend_embedded,
    &lmw_backend_openai,
    &lmw_backend_ollama,
    &lmw_backend_command,
};

struct sent {
    const struct lmw_request *request;
    struct lmw_reply *reply;
};

struct lmw_backend {
    const struct lmw_backend_ops *ops;
    void *state;
    struct lmw_backend_info info;
    struct sent *queue; /* of a backend that answers one at a time: a ring */
    int cap, n, first;
};

int lmw_backend_find(const char *name, const struct lmw_backend_ops **out, struct lmw_err *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        *out = backends[i];
        if (strcmp((*out)->name, name) == 0)
            return LMW_OK;
    }
    *out = NULL;
    return lmw_fail(err, LMW_EARG,
                    "no backend is called '%s': embedded, openai, ollama and command are", name);
}

const char *lmw_backend_misfit(const struct lmw_backend_ops *ops, const struct lmw_backend_opts *o)
{
    bool is_server = ops == &lmw_backend_openai || ops == &lmw_backend_ollama;
    bool is_program = ops == &lmw_backend_command, is_known = is_server || is_program;
    bool is_here = ops == &lmw_backend_embedded;
    const struct {
        const char *option;
        bool given, fits;
    } options[] = {
        {"url", o->url, is_server},
        {"api-key-env", o->api_key_env, is_server},
        {"body", o->body, is_server},
        {"unlisted", o->unlisted, is_server},
        {"thinking", o->thinking != LMW_THINKING_DEFAULT, is_server},
        {"system", o->system, is_server || is_program},
        {"command", o->command, is_program},
        {"logprobs", o->logprobs, ops->has_logprobs},
        {"threads", o->n_thread > 0, is_here},
        {"ctx", o->n_ctx > 0, is_here || ops == &lmw_backend_ollama},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].given && !options[i].fits && (is_known || is_here))
            return options[i].option;
    return NULL;
}

int lmw_backend_open(struct lmw_backend **out, const struct lmw_backend_ops *ops,
                     const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    *out = NULL;
    struct lmw_backend *b = calloc(1, sizeof *b);
    if (!b)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a backend");
    b->ops = ops;
    b->cap = opts->n_in_flight > 1 ? opts->n_in_flight : 1;
    b->queue = calloc((size_t)b->cap, sizeof *b->queue);
    int rc = b->queue ? ops->open(&b->state, opts, err)
                      : lmw_fail(err, LMW_ENOMEM, "no memory for %d in flight", b->cap);
    if (rc < 0) {
        free(b->queue);
        free(b);
        return rc;
    }
    b->info.n_param = b->info.n_param_active = b->info.file_bytes = LMW_NULL;
    ops->info(b->state, &b->info);
    *out = b;
    return LMW_OK;
}

void lmw_backend_close(struct lmw_backend *b)
{
    if (!b)
        return;
    b->ops->close(b->state);
    free(b->queue);
    free(b);
}

const struct lmw_backend_info *lmw_backend_info(const struct lmw_backend *b)
{
    return &b->info;
}

static void empty(struct lmw_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->ptr)
        b->ptr[0] = 0;
}

void lmw_reply_clear(struct lmw_reply *reply)
{
    struct lmw_buf text = reply->text, reasoning = reply->reasoning;
    empty(&text);
    empty(&reasoning);
    *reply = (struct lmw_reply){
        .text = text,
        .reasoning = reasoning,
        .n_prompt = LMW_NULL,
        .n_cached = LMW_NULL,
        .n_reasoning = LMW_NULL,
        .n_answer = LMW_NULL,
        .n_attempt = 1,
        .t_start_ns = LMW_NULL,
        .t_first_ns = LMW_NULL,
        .t_end_ns = LMW_NULL,
        .itl_p50_ns = LMW_NULL,
        .itl_p90_ns = LMW_NULL,
        .itl_p99_ns = LMW_NULL,
        .n_chunk = LMW_NULL,
        .logprob_mean = (double)NAN,
        .entropy_mean = (double)NAN,
        .n_logprob = LMW_NULL,
        .server_load_ns = LMW_NULL,
        .server_prefill_ns = LMW_NULL,
        .server_decode_ns = LMW_NULL,
    };
}

/* By sending and waiting, with nothing else in flight. */
static int send_and_wait(struct lmw_backend *b, const struct lmw_request *request,
                         struct lmw_reply *reply, struct lmw_err *err)
{
    struct lmw_reply *done = NULL;
    if (b->n > 0)
        return lmw_fail(err, LMW_EARG, "%d are in flight: wait for them first", b->n);
    int rc = lmw_backend_send(b, request, reply, err);
    if (rc < 0 || (rc = lmw_backend_wait(b, INT64_MAX, &done, err)) < 0)
        return rc;
    if (reply->rc < 0 && err)
        *err = reply->err;
    return reply->rc;
}

int lmw_backend_answer(struct lmw_backend *b, const struct lmw_request *request,
                       struct lmw_reply *reply, struct lmw_err *err)
{
    lmw_reply_clear(reply);
    int rc = b->ops->answer ? b->ops->answer(b->state, request, reply, err)
                            : send_and_wait(b, request, reply, err);
    if (reply->t_end_ns == LMW_NULL)
        reply->t_end_ns = lmw_request_now(request);
    if (reply->t_start_ns == LMW_NULL)
        reply->t_start_ns = reply->t_end_ns;
    return rc;
}

int lmw_backend_send(struct lmw_backend *b, const struct lmw_request *request,
                     struct lmw_reply *reply, struct lmw_err *err)
{
    if (b->n == b->cap)
        return lmw_fail(err, LMW_EARG, "%d are in flight already: open it with more", b->n);
    lmw_reply_clear(reply);
    if (b->ops->send) {
        int rc = b->ops->send(b->state, request, reply, err);
        b->n += rc == LMW_OK;
        return rc;
    }
    b->queue[(b->first + b->n++) % b->cap] = (struct sent){request, reply};
    return LMW_OK;
}

int lmw_backend_wait(struct lmw_backend *b, int64_t until_ns, struct lmw_reply **done,
                     struct lmw_err *err)
{
    *done = NULL;
    if (b->n == 0)
        return 0;
    if (b->ops->wait) {
        int rc = b->ops->wait(b->state, until_ns, done, err);
        b->n -= rc == 1;
        return rc;
    }
    struct sent next = b->queue[b->first];
    b->first = (b->first + 1) % b->cap;
    b->n--;
    struct lmw_err failed = {0};
    int rc = lmw_backend_answer(b, next.request, next.reply, &failed);
    next.reply->rc = rc;
    next.reply->err = failed;
    *done = next.reply;
    return 1;
}

int lmw_backend_perplexity(struct lmw_backend *b, lmw_str prompt, lmw_str answer, double *ppl,
                           struct lmw_err *err)
{
    *ppl = (double)NAN;
    return b->ops->perplexity
               ? b->ops->perplexity(b->state, prompt, answer, ppl, err)
               : lmw_fail(err, LMW_EUNSUPPORTED, "backend '%s' has no logits to score a text with",
                          b->ops->name);
}

int lmw_backend_embed(struct lmw_backend *b, lmw_str prompt, float *out, struct lmw_err *err)
{
    return b->ops->embed
               ? b->ops->embed(b->state, prompt, out, err)
               : lmw_fail(err, LMW_EUNSUPPORTED, "backend '%s' knows no embeddings", b->ops->name);
}

int64_t lmw_request_now(const struct lmw_request *r)
{
    return r->clock.now ? r->clock.now(r->clock.arg) : lmw_now_ns();
}
