/* Strategies over cells: what they come to, and how much other queries would have changed that.
 *
 * Nothing is drawn at random to decide a query: a strategy that errs or tosses a coin is charged
 * its expectation, so a figure is the same every time. The bootstrap (base/resample.h) draws
 * queries with replacement, the same ones for every strategy. */
#include "route/cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/resample.h"

/* ---- the strategies that need no fitting ---- */

static const char *const semantics_suffix[] = {"", "-symmetric", "-cascade"};

struct table {
    struct lmw_strategy *v;
    int n;
    struct lmw_arena *arena;
    bool failed;
};

/* The next of the table, called name and what follows it (NULL: nothing). */
static struct lmw_strategy *add(struct table *t, enum lmw_strategy_kind kind, const char *name,
                                const char *more)
{
    struct lmw_strategy *s = &t->v[t->n++];
    struct lmw_buf text = {0};
    lmw_buf_str(&text, name);
    lmw_buf_str(&text, more ? more : "");
    s->kind = kind;
    s->name = lmw_arena_str(t->arena, (lmw_str){text.ptr, text.len});
    t->failed |= text.failed || !s->name;
    lmw_buf_free(&text);
    return s;
}

static void add_always(struct table *t, const char *name, const char *model, int m)
{
    add(t, LMW_ALWAYS, name, model)->model = m;
}

/* "0.80"; more digits where two do not say it. */
static void put_share(char out[32], double share)
{
    snprintf(out, 32, "%.2f", share);
    if (fabs(strtod(out, NULL) - share) > 1e-12)
        snprintf(out, 32, "%.12g", share);
}

static void add_routers(struct table *t, const struct lmw_sweep *w)
{
    char name[64] = "router-";
    for (int k = 0; k < w->n_semantics; k++) {
        for (int i = 0; i < w->n_accuracy; i++) {
            put_share(name + strlen("router-"), w->accuracy[i]);
            struct lmw_strategy *x = add(t, LMW_ROUTER, name, semantics_suffix[w->semantics[k]]);
            x->p = w->accuracy[i];
            x->semantics = w->semantics[k];
        }
    }
}

static void add_random(struct table *t, const struct lmw_sweep *w)
{
    char chance[64] = "-";
    for (int i = 0; i < w->n_random; i++) {
        put_share(chance + 1, w->random[i]);
        add(t, LMW_RANDOM, "random", w->n_random > 1 ? chance : NULL)->p = w->random[i];
    }
}

int lmw_route_strategies(const struct lmw_cells *c, const struct lmw_sweep *sweep,
                         struct lmw_arena *arena, struct lmw_strategy **out, int *n,
                         struct lmw_err *err)
{
    size_t most = (size_t)c->n_local + 3 + (size_t)sweep->n_random +
                  (size_t)sweep->n_accuracy * (size_t)sweep->n_semantics;
    struct table t = {.v = LMW_NEW(arena, struct lmw_strategy, most), .arena = arena};
    int rank[LMW_LOCAL_MAX], rc = lmw_route_rank(c, rank, *arena, err);
    if (rc < 0)
        return rc;
    if (!t.v)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu strategies", most);
    add_always(&t, "always-local", NULL, rank[0]);
    for (int m = 0; c->n_local > 1 && m < c->n_local; m++)
        add_always(&t, "always-local:", c->model[m], m);
    add_always(&t, "always-cloud", NULL, c->n_local);
    add_random(&t, sweep);
    add(&t, LMW_ORACLE, "oracle", NULL);
    add_routers(&t, sweep);
    *out = t.v;
    *n = t.n;
    return t.failed ? lmw_fail(err, LMW_ENOMEM, "no memory for names") : LMW_OK;
}

/* ---- one query under a strategy ---- */

static void route_random(struct outcome *o, const struct view *v, int64_t q, double p)
{
    int n = v->c->n_local;
    for (int m = 0; m < n; m++)
        lmw_outcome_add(o, v, q, p / n, (struct plan){m});
    lmw_outcome_add(o, v, q, 1 - p, (struct plan){n});
}

static void route_with_errors(struct outcome *o, const struct view *v, int64_t q,
                              const struct lmw_strategy *s)
{
    int cloud = v->c->n_local, right = v->oracle[q];
    struct plan missed = {.final = cloud, .n_tried = s->semantics == LMW_CASCADE};
    if (s->semantics == LMW_SYMMETRIC && right == cloud)
        missed.final = v->rank[0];
    lmw_outcome_add(o, v, q, s->p, (struct plan){right});
    lmw_outcome_add(o, v, q, 1 - s->p, missed);
}

static void route_query(struct outcome *o, const struct view *v, int64_t q,
                        const struct lmw_strategy *s)
{
    switch (s->kind) {
    case LMW_ALWAYS: lmw_outcome_add(o, v, q, 1, (struct plan){s->model}); break;
    case LMW_RANDOM: route_random(o, v, q, s->p); break;
    case LMW_ORACLE: lmw_outcome_add(o, v, q, 1, (struct plan){v->oracle[q]}); break;
    case LMW_ROUTER: route_with_errors(o, v, q, s); break;
    case LMW_CHOSEN: lmw_outcome_add(o, v, q, 1, lmw_view_plan(v, s, s->choice[q])); break;
    }
    for (enum lmw_quantity k = 0; k < LMW_QUANTITIES; k++)
        o->v[OUT_AMOUNT + k] += cell_known(v, k, q) ? s->own[k] : 0;
}

/* ---- sums and draws ---- */

/* Sums by unit: OUT_N columns a strategy, the last of them always-cloud, then how many queries. */
static void sum_up(struct lmw_sums *t, const struct view *v, const struct lmw_strategy *s, int n,
                   const int32_t *unit)
{
    const struct lmw_strategy cloud = {.kind = LMW_ALWAYS, .model = v->c->n_local};
    for (int64_t q = 0; q < v->c->n; q++) {
        for (int k = 0; k <= n; k++) {
            struct outcome o = {0};
            route_query(&o, v, q, k < n ? &s[k] : &cloud);
            for (int i = 0; i < OUT_N; i++)
                *lmw_sums_at(t, unit[q], k * OUT_N + i) += o.v[i];
        }
        *lmw_sums_at(t, unit[q], (n + 1) * OUT_N) += 1;
    }
}

/* The figures that have an interval, from sums. */
enum { FIG_LOCAL, FIG_ACCURACY, FIG_KEPT, FIG_SAVING, FIG_N = FIG_SAVING + LMW_QUANTITIES };

/* Of strategy k of n. */
static void figures_of(const double *sum, int k, int n, double out[FIG_N])
{
    const double *o = sum + k * OUT_N, *cloud = sum + n * OUT_N;
    double queries = sum[(n + 1) * OUT_N];
    out[FIG_LOCAL] = o[OUT_LOCAL] / queries;
    out[FIG_ACCURACY] = o[OUT_RIGHT] / queries;
    out[FIG_KEPT] = o[OUT_RIGHT] / cloud[OUT_RIGHT];
    for (int i = 0; i < LMW_QUANTITIES; i++)
        out[FIG_SAVING + i] = 1 - o[OUT_AMOUNT + i] / cloud[OUT_AMOUNT + i];
}

static struct lmw_interval *interval_of(struct lmw_routed *r, int figure)
{
    switch (figure) {
    case FIG_LOCAL: return &r->share_local;
    case FIG_ACCURACY: return &r->accuracy;
    case FIG_KEPT: return &r->quality_kept;
    default: return &r->saving[figure - FIG_SAVING];
    }
}

static void set_means(struct lmw_routed *r, const double *sum, const struct view *v)
{
    int64_t n[LMW_QUANTITIES] = {0};
    for (int64_t q = 0; q < v->c->n; q++) {
        for (enum lmw_quantity k = 0; k < LMW_QUANTITIES; k++)
            n[k] += cell_known(v, k, q);
    }
    for (int k = 0; k < LMW_QUANTITIES; k++)
        r->mean[k] = n[k] ? sum[OUT_AMOUNT + k] / (double)n[k] : (double)NAN;
    r->wasted_j = n[LMW_JOULES] ? sum[OUT_WASTED] / (double)n[LMW_JOULES] : (double)NAN;
}

static int resample(struct lmw_sums *t, const struct view *v, int n, struct lmw_routed *out,
                    struct lmw_arena scratch, struct lmw_err *err)
{
    double *draws = LMW_NEW(&scratch, double, (size_t)n *FIG_N *LMW_RESAMPLES), value[FIG_N];
    double *total = LMW_NEW(&scratch, double, (size_t)t->n_column);
    struct lmw_resample r;
    int rc = lmw_resample_open(&r, &scratch, err);
    if (rc < 0 || !draws || !total)
        return lmw_fail(err, LMW_ENOMEM, "no memory to resample %d strategies", n);
    lmw_resample_draw(&r, t->n_unit);
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        const double *sum = lmw_sums_draw(t, &r, b);
        for (int k = 0; k < n; k++) {
            figures_of(sum, k, n, value);
            for (int i = 0; i < FIG_N; i++)
                draws[(k * FIG_N + i) * LMW_RESAMPLES + b] = value[i];
        }
    }
    lmw_sums_total(t, total);
    for (int k = 0; k < n; k++) {
        figures_of(total, k, n, value);
        set_means(&out[k], total + k * OUT_N, v);
        for (int i = 0; i < FIG_N; i++)
            *interval_of(&out[k], i) =
                lmw_interval_of(value[i], draws + (k * FIG_N + i) * LMW_RESAMPLES, v->c->n);
    }
    return LMW_OK;
}

int lmw_route_simulate(const struct lmw_cells *c, const struct lmw_strategy *s, int n,
                       struct lmw_routed *out, struct lmw_arena scratch, struct lmw_err *err)
{
    struct view v;
    struct lmw_sums t;
    if (c->n < 1)
        return lmw_fail(err, LMW_EARG, "no question has a record of every model");
    if (c->n > INT32_MAX)
        return lmw_fail(err, LMW_EUNSUPPORTED, "over 2^31 questions at once");
    int32_t *unit = LMW_NEW(&scratch, int32_t, (size_t)c->n);
    int n_unit = unit ? lmw_units(unit, (int)c->n) : 0, rc = lmw_view_open(&v, c, &scratch, err);
    if (rc == LMW_OK && !unit)
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for %lld questions", (long long)c->n);
    if (rc < 0 || (rc = lmw_sums_open(&t, n_unit, (n + 1) * OUT_N + 1, &scratch, err)) < 0)
        return rc;
    sum_up(&t, &v, s, n, unit);
    return resample(&t, &v, n, out, scratch, err);
}
