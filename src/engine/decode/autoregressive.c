/* One answer, token by token: prefill the prompt, then sample, evaluate, sample.
 *
 * Between two tokens there is nothing but the model, the sampler, a look at how sure the model was
 * (two passes over the logits) and the caller's callback; the answer's bytes are put together
 * after the last one. Times are CLOCK_MONOTONIC, taken right after a token is chosen. The end
 * token is evaluated by nobody and counted by nobody. */
#include "engine/engine.h"

#include "base/clock.h"
#include "engine/model.h"
#include "engine/session.h"

#include <math.h>

static int check(const struct lmw_session *s, int n_prompt, const struct lmw_answer_opts *opts,
                 struct lmw_err *err)
{
    int n_ctx = s->plan.n_ctx;
    if (n_prompt < 1)
        return lmw_fail(err, LMW_EARG, "an empty prompt: there is nothing to continue");
    if (n_prompt > n_ctx)
        return lmw_fail(err, LMW_EARG, "the prompt has %d tokens, the context holds %d", n_prompt,
                        n_ctx);
    if (opts->n_max < 0)
        return lmw_fail(err, LMW_EARG, "%d answer tokens asked for", opts->n_max);
    return LMW_OK;
}

/* How sure the model was of a token. */
static int weigh(const struct lmw_session *s, int32_t id, double *logprob, double *entropy,
                 struct lmw_err *err)
{
    const float *logits = lmw_session_logits(s, 0);
    struct lmw_mass m = s->engine->model.kernels.mass(logits, s->engine->model.n_vocab);
    double log_sum = log(m.sum);
    *logprob = (double)logits[id] - m.max - log_sum;
    *entropy = log_sum - m.moment / m.sum;
    return isfinite(*logprob) ? LMW_OK : lmw_session_no_number(s->n_past, err);
}

/* Writes the ids chosen to s->answer; the means are sums until the caller divides them. */
static int decode(struct lmw_session *s, const struct lmw_answer_opts *opts,
                  struct lmw_answer *out, struct lmw_err *err)
{
    struct lmw_engine *e = s->engine;
    struct lmw_sampler sampler = opts->sampler;
    double logprob, entropy;
    int rc;
    while (out->n_answer < opts->n_max) {
        int32_t id = lmw_sample(&sampler, lmw_session_logits(s, 0), e->model.n_vocab);
        int64_t now = lmw_now_ns();
        if ((rc = weigh(s, id, &logprob, &entropy, err)) < 0)
            return rc;
        if (out->n_answer == 0)
            out->t_first_ns = now;
        out->t_end_ns = now;
        if (lmw_engine_is_end(e, id))
            return LMW_OK;
        if (out->token_ns)
            out->token_ns[out->n_answer] = now;
        s->answer[out->n_answer++] = id;
        out->logprob_mean += logprob;
        out->entropy_mean += entropy;
        if (opts->on_token && opts->on_token(opts->arg, id, lmw_engine_piece(e, id), now))
            return LMW_OK;
        if (s->n_past == s->plan.n_ctx || out->n_answer == opts->n_max)
            break;
        if ((rc = lmw_session_eval(s, &id, 1, LMW_LOGITS_LAST, err)) < 0)
            return rc;
    }
    out->hit_limit = true;
    return LMW_OK;
}

int lmw_session_answer(struct lmw_session *s, const int32_t *prompt, int n_prompt,
                       const struct lmw_answer_opts *opts, struct lmw_buf *text,
                       struct lmw_answer *out, struct lmw_err *err)
{
    int rc = check(s, n_prompt, opts, err);
    if (rc < 0)
        return rc;
    *out = (struct lmw_answer){.n_prompt = n_prompt, .token_ns = out->token_ns};
    lmw_session_truncate(s, 0);
    out->t_start_ns = lmw_now_ns();
    if ((rc = lmw_session_eval(s, prompt, n_prompt, LMW_LOGITS_LAST, err)) < 0)
        return rc;
    out->t_first_ns = out->t_end_ns = lmw_now_ns();
    if ((rc = decode(s, opts, out, err)) < 0)
        return rc;
    out->logprob_mean /= out->n_answer;
    out->entropy_mean /= out->n_answer;
    for (int i = 0; i < out->n_answer; i++) {
        lmw_str piece = lmw_engine_piece(s->engine, s->answer[i]);
        lmw_buf_put(text, piece.ptr, piece.len);
    }
    return text->failed ? lmw_fail(err, LMW_ENOMEM, "no memory for the answer's text") : LMW_OK;
}
