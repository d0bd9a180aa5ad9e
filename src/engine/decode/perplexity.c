/* Perplexity: exp of the mean negative log-likelihood of a text's tokens under the model.
 *
 * A long text is scored in windows of n_ctx tokens, each with a fresh context; a window's first
 * token has nothing before it and is not scored. log p = logit - max - log sum exp(logit - max),
 * summed in double (kernels.h). */
#include "engine/engine.h"

#include "engine/model.h"
#include "engine/session.h"

#include <math.h>

static double nll_of(const struct lmw_model *m, const float *logits, int32_t id)
{
    struct lmw_mass mass = m->kernels.mass(logits, m->n_vocab);
    return log(mass.sum) - ((double)logits[id] - mass.max);
}

/* Scores ids[from..n-1] of one window, a batch at a time; adds to *sum. */
static int window(struct lmw_session *s, const int32_t *ids, int n, int from, double *sum,
                  float *nll, struct lmw_err *err)
{
    int rc;
    lmw_session_truncate(s, 0);
    for (int i = 0; i < n; i += s->plan.n_batch) {
        int m = n - i < s->plan.n_batch ? n - i : s->plan.n_batch;
        enum lmw_logits want = i + m >= from ? LMW_LOGITS_ALL : LMW_LOGITS_NONE;
        if ((rc = lmw_session_eval(s, ids + i, m, want, err)) < 0)
            return rc;
        for (int j = i >= from ? 0 : from - 1 - i; j < m && i + j + 1 < n; j++) {
            double v = nll_of(&s->engine->model, lmw_session_logits(s, j), ids[i + j + 1]);
            *sum += v;
            if (nll)
                nll[i + j + 1] = (float)v;
        }
    }
    return isfinite(*sum) ? LMW_OK : lmw_session_no_number(n, err);
}

int lmw_perplexity(struct lmw_session *s, const int32_t *ids, int n, double *ppl, float *nll,
                   struct lmw_err *err)
{
    double sum = 0;
    int n_scored = 0, rc;
    if (n < 2)
        return lmw_fail(err, LMW_EARG, "a perplexity needs at least 2 tokens, the text has %d", n);
    if (s->plan.n_ctx < 2)
        return lmw_fail(err, LMW_EARG, "a perplexity needs a context of at least 2 tokens");
    for (int i = 0; i < n; i += s->plan.n_ctx) {
        int m = n - i < s->plan.n_ctx ? n - i : s->plan.n_ctx;
        if (nll)
            nll[i] = NAN;
        if ((rc = window(s, ids + i, m, 1, &sum, nll ? nll + i : NULL, err)) < 0)
            return rc;
        n_scored += m - 1;
    }
    *ppl = exp(sum / n_scored);
    return LMW_OK;
}

int lmw_perplexity_given(struct lmw_session *s, const int32_t *ids, int n_given, int n,
                         double *ppl, struct lmw_err *err)
{
    double sum = 0;
    if (n_given < 1 || n <= n_given)
        return lmw_fail(err, LMW_EARG, "a perplexity needs a token to score and one before it");
    if (n > s->plan.n_ctx)
        return lmw_fail(err, LMW_EARG, "%d tokens to score in a context of %d", n, s->plan.n_ctx);
    int rc = window(s, ids, n, n_given, &sum, NULL, err);
    *ppl = exp(sum / (n - n_given));
    return rc;
}
