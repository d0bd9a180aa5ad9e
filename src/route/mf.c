/* Matrix factorisation, model by question: a question is a point z = W x of RANK dimensions, x
 * its text's features, and every model a direction u in the same space; a model is right with
 * probability sigmoid(b + u . z). After RouteLLM's matrix factorisation (arXiv 2406.18665),
 * without its outside embedding. All models of the records teach W, the cloud too: few questions
 * and many models are where this is stronger than a regression for each model.
 *
 * Fitted by stochastic gradient descent on the log-loss, W kept as scale x V so that decay costs
 * nothing. */
#include "route/kinds.h"

#include <math.h>

#include "base/rng.h"

enum { RANK = 8, EPOCHS = 12 };
static const double lambda = 2e-3, eta = 0.5;

struct mf {
    float *w;             /* [n_feature][RANK] */
    float (*u)[RANK + 1]; /* [models]: the last is b */
};

static int open_part(struct lmw_router *r, int n_model, struct lmw_err *err)
{
    struct mf *p = LMW_NEW(&r->arena, struct mf, 1);
    r->part = p;
    if (!p || !(p->w = LMW_NEW(&r->arena, float, (size_t)r->n_feature *RANK)) ||
        !(p->u = lmw_arena_alloc(&r->arena, (size_t)n_model, sizeof *p->u, 64)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for a router's weights");
    return LMW_OK;
}

static void start(struct mf *p, int n_feature, int n_model, uint64_t seed)
{
    struct lmw_rng rng;
    lmw_rng_init(&rng, seed);
    for (int i = 0; i < n_feature * RANK; i++)
        p->w[i] = (float)(0.1 * lmw_rng_normal(&rng));
    for (int m = 0; m < n_model; m++) {
        for (int k = 0; k < RANK; k++)
            p->u[m][k] = (float)(0.5 * lmw_rng_normal(&rng));
    }
}

static void place(const struct mf *p, const struct feature *f, int n, double scale, double z[RANK])
{
    for (int k = 0; k < RANK; k++)
        z[k] = 0;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < RANK; k++)
            z[k] += (double)(f[i].value * p->w[f[i].index * RANK + (uint32_t)k]);
    }
    for (int k = 0; k < RANK; k++)
        z[k] *= scale;
}

static double score(const float u[RANK + 1], const double z[RANK])
{
    double sum = (double)u[RANK];
    for (int k = 0; k < RANK; k++)
        sum += (double)u[k] * z[k];
    return sum;
}

/* The cells' model of row m: the router's local ones, then the cloud. */
static int model_of(const struct course *c, int m)
{
    int n_local = c->lessons->cells->n_local;
    return m < n_local ? c->model[m] : n_local;
}

/* One question teaches all models, and they together move its text's features. */
static void learn(struct mf *p, const struct course *c, int n_model, int64_t q, double step,
                  double scale)
{
    const struct feature *f = c->feature[q];
    double z[RANK], push[RANK] = {0};
    place(p, f, c->n_feature[q], scale, z);
    for (int m = 0; m < n_model; m++) {
        float *u = p->u[m];
        double miss = lesson_right(c->lessons, model_of(c, m), q) - lmw_sigmoid(score(u, z));
        for (int k = 0; k < RANK; k++) {
            push[k] += miss * (double)u[k];
            u[k] += (float)(step * (miss * z[k] - 1e-4 * (double)u[k]));
        }
        u[RANK] += (float)(0.05 * step * miss);
    }
    for (int i = 0; i < c->n_feature[q]; i++) {
        for (int k = 0; k < RANK; k++)
            p->w[f[i].index * RANK + (uint32_t)k] += (float)(step * push[k] / scale) * f[i].value;
    }
}

static int fit(struct lmw_router *r, const struct course *c, struct lmw_err *err)
{
    int n_model = r->info.n_local + 1;
    int rc = open_part(r, n_model, err);
    double scale = 1, t = 0;
    if (rc < 0)
        return rc;
    struct mf *p = r->part;
    start(p, r->n_feature, n_model, c->seed);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        for (int64_t i = 0; i < c->n; i++, t++) {
            double step = eta / (1 + eta * lambda * 10 * t);
            scale *= 1 - step * lambda;
            learn(p, c, n_model, c->query[i], step, scale);
        }
    }
    for (int i = 0; i < r->n_feature * RANK; i++)
        p->w[i] *= (float)scale;
    return LMW_OK;
}

static double trust(const struct lmw_router *r, int local, const struct question *q)
{
    const struct mf *p = r->part;
    double z[RANK];
    if (!q->feature)
        return NAN;
    place(p, q->feature, q->n_feature, 1, z);
    return lmw_sigmoid(score(p->u[local], z));
}

static json_t *save(const struct lmw_router *r)
{
    const struct mf *p = r->part;
    return json_pack("{s:i, s:o, s:o}", "rank", RANK, "places",
                     lmw_pack_floats(p->w, (size_t)r->n_feature * RANK), "models",
                     lmw_pack_floats(p->u[0], (size_t)r->info.n_local * (RANK + 1)));
}

static int load(struct lmw_router *r, const json_t *from, struct lmw_err *err)
{
    if (json_integer_value(json_object_get(from, "rank")) != RANK)
        return lmw_fail(err, LMW_EFORMAT, "'rank' must be %d", RANK);
    int rc = open_part(r, r->info.n_local, err);
    struct mf *p = r->part;
    if (rc == LMW_OK)
        rc = lmw_unpack_floats(json_object_get(from, "places"), "places", p->w,
                               (size_t)r->n_feature * RANK, err);
    if (rc == LMW_OK)
        rc = lmw_unpack_floats(json_object_get(from, "models"), "models", p->u[0],
                               (size_t)r->info.n_local * (RANK + 1), err);
    return rc;
}

const struct kind lmw_kind_mf = {"mf", true, false, fit, trust, save, load};
