/* Quality against price. A curve is 101 ways of using one router, from "everything stays local" to
 * "everything goes to the cloud"; its hull and the three figures that sum it up are defined in
 * docs/routing.md: AIQ by RouterBench (arXiv 2403.12031), APGR and CPT by RouteLLM (arXiv
 * 2406.18665). */
#include "route/cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stat.h"

/* ---- the hull ---- */

static int by_price(const void *a, const void *b)
{
    const struct lmw_hull_point *x = a, *y = b;
    if (x->price != y->price)
        return x->price < y->price ? -1 : 1;
    return (x->accuracy < y->accuracy) - (x->accuracy > y->accuracy);
}

/* Whether b lies on or under the line from a to c. */
static bool is_under(const struct lmw_hull_point *a, const struct lmw_hull_point *b,
                     const struct lmw_hull_point *c)
{
    return (b->accuracy - a->accuracy) * (c->price - a->price) <=
           (c->accuracy - a->accuracy) * (b->price - a->price);
}

int lmw_curve_hull(struct lmw_hull_point *p, int n)
{
    int kept = 0, hull = 0;
    for (int i = 0; i < n; i++) {
        if (isfinite(p[i].price) && isfinite(p[i].accuracy))
            p[kept++] = p[i];
    }
    qsort(p, (size_t)kept, sizeof *p, by_price);
    for (int i = 0; i < kept; i++) {
        if (hull && p[i].accuracy <= p[hull - 1].accuracy)
            continue; /* dearer, and no better */
        while (hull >= 2 && is_under(&p[hull - 2], &p[hull - 1], &p[i]))
            hull--;
        p[hull++] = p[i];
    }
    return hull;
}

/* The height of the hull over a price. */
static double height(const struct lmw_hull_point *h, int n, double price)
{
    int i = 0;
    if (n == 0 || price < h[0].price)
        return 0;
    while (i + 1 < n && h[i + 1].price <= price)
        i++;
    if (i + 1 == n)
        return h[i].accuracy;
    double part = (price - h[i].price) / (h[i + 1].price - h[i].price);
    return h[i].accuracy + part * (h[i + 1].accuracy - h[i].accuracy);
}

double lmw_curve_aiq(const struct lmw_hull_point *h, int n, double from, double to)
{
    double area = 0;
    if (n == 0 || !(to > from))
        return NAN;
    for (int i = -1; i < n; i++) { /* the piece that begins at point i; -1: before the first */
        double a = fmax(from, i < 0 ? from : h[i].price);
        double b = fmin(to, i + 1 < n ? h[i + 1].price : to);
        if (i >= 0 && b > a) /* up to b, not at it: there the next piece begins */
            area += (b - a) * (height(h, n, a) + height(h, n, b)) / 2;
    }
    return area / (to - from);
}

/* ---- points ---- */

/* How the queries are routed at point i of 0..100. */
typedef void choose_fn(const void *arg, int i, int16_t *choice);

static struct lmw_curve_point point_of(const struct view *v, const int16_t *choice,
                                       const struct lmw_strategy *how)
{
    struct outcome o = {0};
    int64_t n = 0;
    for (int64_t q = 0; q < v->c->n; q++) {
        lmw_outcome_add(&o, v, q, 1, lmw_view_plan(v, how, choice[q]));
        n += v->price < LMW_QUANTITIES && cell_known(v, v->price, q);
    }
    double queries = (double)v->c->n;
    struct lmw_curve_point p = {.share_cloud = 1 - o.v[OUT_LOCAL] / queries,
                                .accuracy = o.v[OUT_RIGHT] / queries,
                                .price = (double)NAN};
    if (v->price < LMW_QUANTITIES)
        p.price = o.v[OUT_AMOUNT + v->price] / (double)n + how->own[v->price];
    return p;
}

/* The point of one model alone. */
static struct lmw_curve_point alone(const struct view *v, int model)
{
    struct outcome o = {0};
    struct lmw_curve_point p = {.share_cloud = model == v->c->n_local, .price = (double)NAN};
    int64_t n = 0;
    for (int64_t q = 0; q < v->c->n; q++) {
        lmw_outcome_add(&o, v, q, 1, (struct plan){model});
        n += v->price < LMW_QUANTITIES && cell_known(v, v->price, q);
    }
    p.accuracy = o.v[OUT_RIGHT] / (double)v->c->n;
    if (v->price < LMW_QUANTITIES)
        p.price = o.v[OUT_AMOUNT + v->price] / (double)n;
    return p;
}

/* ---- what a curve comes to ---- */

/* The prices that any curve over these models is weighed over: cheapest to dearest of them. */
static void price_range(const struct view *v, double *from, double *to)
{
    *from = (double)INFINITY;
    *to = -(double)INFINITY;
    for (int m = 0; m <= v->c->n_local; m++) {
        double price = alone(v, m).price;
        *from = fmin(*from, price);
        *to = fmax(*to, price);
    }
}

/* Using no router at all stays possible, so the ends belong to every hull. */
static double aiq_of(const struct lmw_curve *c, const struct view *v)
{
    struct lmw_hull_point h[LMW_CURVE_POINTS + 2];
    const struct lmw_curve_point ends[] = {alone(v, v->rank[0]), alone(v, v->c->n_local)};
    double from, to;
    for (int i = 0; i < LMW_CURVE_POINTS; i++)
        h[i] = (struct lmw_hull_point){c->point[i].price, c->point[i].accuracy};
    for (int i = 0; i < 2; i++)
        h[LMW_CURVE_POINTS + i] = (struct lmw_hull_point){ends[i].price, ends[i].accuracy};
    price_range(v, &from, &to);
    return lmw_curve_aiq(h, lmw_curve_hull(h, LMW_CURVE_POINTS + 2), from, to);
}

/* The least share of cloud calls at which the curve reaches an accuracy. */
static double share_reaching(const struct lmw_curve *c, double accuracy)
{
    const struct lmw_curve_point *p = c->point;
    if (p[0].accuracy >= accuracy)
        return p[0].share_cloud;
    for (int i = 1; i < LMW_CURVE_POINTS; i++) {
        if (p[i].accuracy < accuracy)
            continue;
        double part = (accuracy - p[i - 1].accuracy) / (p[i].accuracy - p[i - 1].accuracy);
        return p[i - 1].share_cloud + part * (p[i].share_cloud - p[i - 1].share_cloud);
    }
    return NAN;
}

/* APGR: the trapezoids of the recovered gap over the share of cloud calls, as RouteLLM's
 * evaluation computes it. */
static void sum_up(struct lmw_curve *c, const struct view *v)
{
    double weak = alone(v, v->rank[0]).accuracy, strong = alone(v, v->c->n_local).accuracy;
    double gap = strong - weak, area = 0;
    c->aiq = aiq_of(c, v);
    c->apgr = c->cpt50 = c->cpt80 = NAN;
    if (!(gap > 0))
        return;
    for (int i = 1; i < LMW_CURVE_POINTS; i++) {
        const struct lmw_curve_point *a = &c->point[i - 1], *b = &c->point[i];
        area += (b->share_cloud - a->share_cloud) * ((a->accuracy + b->accuracy) / 2 - weak) / gap;
    }
    c->apgr = area;
    c->cpt50 = share_reaching(c, weak + 0.5 * gap);
    c->cpt80 = share_reaching(c, weak + 0.8 * gap);
}

int lmw_curve_random(const struct lmw_cells *c, struct lmw_curve *out, struct lmw_arena scratch,
                     struct lmw_err *err)
{
    struct view v;
    int rc = lmw_view_open(&v, c, &scratch, err);
    if (rc < 0)
        return rc;
    struct lmw_curve_point a = alone(&v, v.rank[0]), b = alone(&v, c->n_local);
    snprintf(out->name, sizeof out->name, "random");
    for (int i = 0; i < LMW_CURVE_POINTS; i++) {
        double p = i / (LMW_CURVE_POINTS - 1.0);
        out->point[i] = (struct lmw_curve_point){p, a.accuracy + p * (b.accuracy - a.accuracy),
                                                 a.price + p * (b.price - a.price)};
    }
    sum_up(out, &v);
    return LMW_OK;
}

/* ---- the best any router could do ---- */

/* Who goes to the cloud first: 0 where only the cloud is right, 1 where nobody is, 2 where both
 * are, 3 where only a local model is. */
static int tier_of(const struct view *v, int64_t q)
{
    bool local = v->oracle[q] < v->c->n_local, cloud = cell_right(v->c, v->c->n_local, q);
    return local ? 3 - cloud : 1 - cloud;
}

struct perfect {
    const struct view *v;
    const int64_t *order; /* queries, by tier */
};

static void choose_perfectly(const void *arg, int i, int16_t *choice)
{
    const struct perfect *p = arg;
    int64_t n = p->v->c->n, n_cloud = n * i / (LMW_CURVE_POINTS - 1);
    int16_t cloud = (int16_t)p->v->c->n_local;
    for (int64_t k = 0; k < n; k++) {
        int64_t q = p->order[k];
        int16_t kept = p->v->oracle[q] < cloud ? p->v->oracle[q] : (int16_t)p->v->rank[0];
        choice[q] = k < n_cloud ? cloud : kept;
    }
}

static int trace(const struct view *v, choose_fn *choose, const void *arg,
                 const struct lmw_strategy *how, struct lmw_curve *out, struct lmw_arena scratch,
                 struct lmw_err *err)
{
    static const struct lmw_strategy for_nothing = {0};
    int16_t *choice = LMW_NEW(&scratch, int16_t, (size_t)v->c->n);
    if (!choice)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a curve");
    for (int i = 0; i < LMW_CURVE_POINTS; i++) {
        choose(arg, i, choice);
        out->point[i] = point_of(v, choice, how ? how : &for_nothing);
    }
    sum_up(out, v);
    return LMW_OK;
}

int lmw_curve_oracle(const struct lmw_cells *c, struct lmw_curve *out, struct lmw_arena scratch,
                     struct lmw_err *err)
{
    struct view v;
    int rc = lmw_view_open(&v, c, &scratch, err);
    int64_t *order = LMW_NEW(&scratch, int64_t, (size_t)c->n), at = 0;
    if (rc < 0)
        return rc;
    if (!order)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a curve");
    for (int tier = 0; tier < 4; tier++) {
        for (int64_t q = 0; q < c->n; q++) {
            if (tier_of(&v, q) == tier)
                order[at++] = q;
        }
    }
    snprintf(out->name, sizeof out->name, "oracle");
    const struct perfect p = {&v, order};
    return trace(&v, choose_perfectly, &p, NULL, out, scratch, err);
}

/* ---- a router by its trust in the local models ---- */

struct trusting {
    const struct view *v;
    const double *score;  /* [local][query] */
    const double *sorted; /* the largest score of each query, ascending */
};

static void choose_trusted(const void *arg, int i, int16_t *choice)
{
    const struct trusting *t = arg;
    int64_t n = t->v->c->n, at = n * i / (LMW_CURVE_POINTS - 1);
    double threshold = at < n ? t->sorted[at] : (double)INFINITY;
    lmw_view_choose(t->v, t->score, i ? threshold : -(double)INFINITY, choice);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int lmw_curve_router(const struct lmw_cells *c, const double *score,
                     const struct lmw_strategy *how, struct lmw_curve *out,
                     struct lmw_arena scratch, struct lmw_err *err)
{
    struct view v;
    int64_t all = c->n * c->n_local;
    int rc = lmw_view_open(&v, c, &scratch, err);
    double *known = LMW_NEW(&scratch, double, (size_t)all);
    double *best = LMW_NEW(&scratch, double, (size_t)c->n);
    if (rc < 0)
        return rc;
    if (!known || !best)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a curve");
    for (int64_t i = 0; i < all; i++)
        known[i] = isnan(score[i]) ? -(double)INFINITY : score[i];
    for (int64_t q = 0; q < c->n; q++) {
        best[q] = known[q];
        for (int m = 1; m < c->n_local; m++)
            best[q] = fmax(best[q], known[m * c->n + q]);
    }
    qsort(best, (size_t)c->n, sizeof *best, ascending);
    const struct trusting t = {&v, known, best};
    return trace(&v, choose_trusted, &t, how, out, scratch, err);
}
