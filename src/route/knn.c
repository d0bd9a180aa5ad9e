/* Nearest neighbours: trust is how often a local model was right on the questions most like this
 * one. n-grams are weighed by how rare they are (idf; an embedding has all its dimensions,
 * always). Features, where there are more than DIM, are hashed once more with random signs into
 * DIM dimensions (a count sketch: cosines survive, on average), and compared by the cosine. At
 * most SAMPLES questions are kept, the first of the course, so that the file stays about a
 * megabyte. Few or far neighbours speak softly: the base rate counts as PRIOR neighbours at full
 * weight. */
#include "route/kinds.h"

#include <math.h>
#include <string.h>

enum { DIM = 256, SAMPLES = 2000, NEIGHBOURS = 60 };
static const double prior = 2;

struct knn {
    int64_t n;
    bool fits;     /* as many features as DIM, at most: they are not hashed */
    float *idf;    /* [n_feature] */
    float *sample; /* [n][DIM] of length 1 */
    float *right;  /* [n_local][n] 0 or 1 */
    float *base;   /* [n_local] */
};

static int open_part(struct lmw_router *r, int64_t n, struct lmw_err *err)
{
    struct knn *p = LMW_NEW(&r->arena, struct knn, 1);
    size_t locals = (size_t)r->info.n_local, rows = (size_t)n;
    r->part = p;
    if (!p || !(p->idf = LMW_NEW(&r->arena, float, (size_t)r->n_feature)) ||
        !(p->sample = LMW_NEW(&r->arena, float, rows *DIM)) ||
        !(p->right = LMW_NEW(&r->arena, float, rows *locals)) ||
        !(p->base = LMW_NEW(&r->arena, float, locals)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %lld neighbours", (long long)n);
    p->n = n;
    p->fits = r->n_feature <= DIM;
    return LMW_OK;
}

/* Bits of a feature's number that decide where it goes and with which signs (splitmix64's mix). */
static uint64_t mix(uint64_t x)
{
    x = (x + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void project(const struct knn *p, const struct feature *f, int n, float out[DIM])
{
    float sum = 0;
    memset(out, 0, DIM * sizeof *out);
    for (int i = 0; i < n; i++) {
        float v = f[i].value * p->idf[f[i].index];
        uint64_t h = p->fits ? f[i].index | 1ull << 63 : mix(f[i].index);
        out[h % DIM] += h >> 63 ? v : -v;
    }
    for (int i = 0; i < DIM; i++)
        sum += out[i] * out[i];
    for (int i = 0; sum > 0 && i < DIM; i++)
        out[i] /= sqrtf(sum);
}

static void fit_idf(const struct lmw_router *r, const struct course *c)
{
    struct knn *p = r->part;
    for (int64_t i = 0; i < c->n; i++) {
        for (int k = 0; k < c->n_feature[c->query[i]]; k++)
            p->idf[c->feature[c->query[i]][k].index]++;
    }
    for (int k = 0; k < r->n_feature; k++)
        p->idf[k] = r->centre ? 1 : logf((float)(c->n + 1) / (p->idf[k] + 1));
}

static int fit(struct lmw_router *r, const struct course *c, struct lmw_err *err)
{
    int rc = open_part(r, c->n < SAMPLES ? c->n : SAMPLES, err);
    if (rc < 0)
        return rc;
    struct knn *p = r->part;
    fit_idf(r, c);
    for (int64_t i = 0; i < p->n; i++)
        project(p, c->feature[c->query[i]], c->n_feature[c->query[i]], p->sample + i * DIM);
    for (int m = 0; m < r->info.n_local; m++) {
        double sum = 0;
        for (int64_t i = 0; i < c->n; i++)
            sum += lesson_right(c->lessons, c->model[m], c->query[i]);
        for (int64_t i = 0; i < p->n; i++)
            p->right[m * p->n + i] = lesson_right(c->lessons, c->model[m], c->query[i]);
        p->base[m] = (float)((sum + 1) / (double)(c->n + 2));
    }
    return LMW_OK;
}

/* The nearest so far, the farthest of them first: insertion into a short sorted list. */
struct nearest {
    float near[NEIGHBOURS];
    int64_t who[NEIGHBOURS];
    int n;
};

static void consider(struct nearest *s, float near, int64_t who)
{
    int i = s->n < NEIGHBOURS ? s->n++ : 0;
    if (i == 0 && s->n == NEIGHBOURS && near <= s->near[0])
        return;
    if (i > 0) { /* still filling: room at the front */
        memmove(s->near + 1, s->near, (size_t)i * sizeof *s->near);
        memmove(s->who + 1, s->who, (size_t)i * sizeof *s->who);
    }
    for (i = 0; i + 1 < s->n && s->near[i + 1] < near; i++) {
        s->near[i] = s->near[i + 1];
        s->who[i] = s->who[i + 1];
    }
    s->near[i] = near;
    s->who[i] = who;
}

static double trust(const struct lmw_router *r, int local, const struct question *q)
{
    const struct knn *p = r->part;
    struct nearest near = {.n = 0};
    float x[DIM];
    if (!q->feature)
        return NAN;
    project(p, q->feature, q->n_feature, x);
    for (int64_t i = 0; i < p->n; i++) {
        float dot = 0;
        for (int k = 0; k < DIM; k++)
            dot += x[k] * p->sample[i * DIM + k];
        consider(&near, dot, i);
    }
    double sum = prior * (double)p->base[local], weight = prior;
    for (int i = 0; i < near.n; i++) {
        double w = fmax(0, (double)near.near[i]);
        sum += w * (double)p->right[local * p->n + near.who[i]];
        weight += w;
    }
    return sum / weight;
}

static json_t *save(const struct lmw_router *r)
{
    const struct knn *p = r->part;
    size_t n = (size_t)p->n, locals = (size_t)r->info.n_local;
    return json_pack("{s:I, s:o, s:o, s:o, s:o}", "samples", (json_int_t)p->n, "idf",
                     lmw_pack_floats(p->idf, (size_t)r->n_feature), "sketches",
                     lmw_pack_floats(p->sample, n * DIM), "right",
                     lmw_pack_floats(p->right, n * locals), "base",
                     lmw_pack_floats(p->base, locals));
}

static bool are_shares(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(x[i] >= 0 && x[i] <= 1))
            return false;
    }
    return true;
}

static int load(struct lmw_router *r, const json_t *from, struct lmw_err *err)
{
    json_int_t n = json_integer_value(json_object_get(from, "samples"));
    if (n < 1 || n > SAMPLES)
        return lmw_fail(err, LMW_EFORMAT, "'samples' must be 1 to %d", SAMPLES);
    int rc = open_part(r, n, err);
    struct knn *p = r->part;
    const struct {
        const char *name;
        float *x;
        size_t n;
    } arrays[] = {{"idf", p->idf, (size_t)r->n_feature},
                  {"sketches", p->sample, (size_t)n * DIM},
                  {"right", p->right, (size_t)n * (size_t)r->info.n_local},
                  {"base", p->base, (size_t)r->info.n_local}};
    for (size_t i = 0; rc == LMW_OK && i < sizeof arrays / sizeof *arrays; i++)
        rc = lmw_unpack_floats(json_object_get(from, arrays[i].name), arrays[i].name, arrays[i].x,
                               arrays[i].n, err);
    if (rc == LMW_OK && !(are_shares(p->right, (size_t)n * (size_t)r->info.n_local) &&
                          are_shares(p->base, (size_t)r->info.n_local)))
        rc = lmw_fail(err, LMW_EFORMAT, "'right' and 'base' must be shares, 0 to 1");
    return rc;
}

const struct kind lmw_kind_knn = {"knn", true, false, fit, trust, save, load};
