/* Logistic regression on the question's features x, one for each local model:
 * trust = sigmoid(b + w . x).
 *
 * Fitted by stochastic gradient descent on the regularised log-loss as Bottou writes it
 * ("Stochastic gradient descent tricks", 2012): steps eta / (1 + eta lambda t), weights kept as
 * scale x v so that decay costs nothing. The order of the questions is the course's. */
#include "route/kinds.h"

#include <math.h>

enum { EPOCHS = 12 };
static const double lambda = 2e-4, eta = 2;

struct logistic {
    float *w; /* [n_local][n_feature + 1]: the last is b */
};

static float *row_of(const struct lmw_router *r, int local)
{
    return ((struct logistic *)r->part)->w + (size_t)local * (size_t)(r->n_feature + 1);
}

static int open_part(struct lmw_router *r, struct lmw_err *err)
{
    struct logistic *p = LMW_NEW(&r->arena, struct logistic, 1);
    r->part = p;
    if (p)
        p->w = LMW_NEW(&r->arena, float, (size_t)r->info.n_local *(size_t)(r->n_feature + 1));
    return p && p->w ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for a router's weights");
}

static double base_rate(const struct course *c, int model)
{
    double right = 1; /* one of each is added, so that no rate is 0 or 1 */
    for (int64_t i = 0; i < c->n; i++)
        right += lesson_right(c->lessons, model, c->query[i]);
    return right / (double)(c->n + 2);
}

static void fit_row(float *w, int n_feature, const struct course *c, int model)
{
    double rate = base_rate(c, model), scale = 1, t = 0, b = log(rate / (1 - rate));
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        for (int64_t i = 0; i < c->n; i++, t++) {
            int32_t q = c->query[i];
            const struct feature *f = c->feature[q];
            double step = eta / (1 + eta * lambda * t);
            double p = lmw_sigmoid(b + scale * (double)features_dot(f, c->n_feature[q], w));
            double miss = lesson_right(c->lessons, model, q) - p;
            scale *= 1 - step * lambda;
            float push = (float)(step * miss / scale);
            for (int k = 0; k < c->n_feature[q]; k++)
                w[f[k].index] += push * f[k].value;
            b += 0.01 * step * miss;
        }
    }
    for (int k = 0; k < n_feature; k++)
        w[k] *= (float)scale;
    w[n_feature] = (float)b;
}

static int fit(struct lmw_router *r, const struct course *c, struct lmw_err *err)
{
    int rc = open_part(r, err);
    for (int m = 0; rc == LMW_OK && m < r->info.n_local; m++)
        fit_row(row_of(r, m), r->n_feature, c, c->model[m]);
    return rc;
}

static double trust(const struct lmw_router *r, int local, const struct question *q)
{
    const float *w = row_of(r, local);
    if (!q->feature)
        return NAN;
    return lmw_sigmoid((double)(w[r->n_feature] + features_dot(q->feature, q->n_feature, w)));
}

static json_t *save(const struct lmw_router *r)
{
    json_t *rows = json_array();
    for (int m = 0; m < r->info.n_local; m++)
        json_array_append_new(rows, lmw_pack_floats(row_of(r, m), (size_t)r->n_feature + 1));
    return json_pack("{s:o}", "weights", rows);
}

static int load(struct lmw_router *r, const json_t *from, struct lmw_err *err)
{
    const json_t *rows = json_object_get(from, "weights");
    int rc = open_part(r, err);
    if (json_array_size(rows) != (size_t)r->info.n_local)
        return lmw_fail(err, LMW_EFORMAT, "'weights' must have a row for each of %d local models",
                        r->info.n_local);
    for (int m = 0; rc == LMW_OK && m < r->info.n_local; m++)
        rc = lmw_unpack_floats(json_array_get(rows, (size_t)m), "weights", row_of(r, m),
                               (size_t)r->n_feature + 1, err);
    return rc;
}

const struct kind lmw_kind_logistic = {"logistic", true, false, fit, trust, save, load};
