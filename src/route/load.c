/* Cells from a store: the questions that every named run was asked, in the order the first local
 * run has them. Repeats of a question count as one: their mean score decides whether it is right,
 * and their mean joules what it costs. */
#include "route/route.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the cells of a quantity come from. */
static const enum lmw_value value_of[LMW_QUANTITIES] = {LMW_V_ENERGY, LMW_V_FLOPS, LMW_V_COST,
                                                        LMW_V_LATENCY};

/* ---- which runs ---- */

/* The runs that names stand for, as names, behind those in out. */
static int resolve(struct lmw_store *s, const char *const *names, int n, const char **out,
                   struct lmw_arena *arena, struct lmw_err *err)
{
    struct lmw_run *runs;
    int n_run = lmw_insight_runs(s, names, n, arena, &runs, err);
    if (n_run > LMW_LOCAL_MAX)
        return lmw_fail(err, LMW_EARG, "%d runs: at most %d can be routed among", n_run,
                        LMW_LOCAL_MAX);
    for (int i = 0; i < n_run; i++)
        out[i] = runs[i].name;
    return n_run;
}

static int resolve_all(struct lmw_routes *r, struct lmw_store *s, const char *const *local,
                       int n_local, const char *cloud, const char **names, struct lmw_arena *arena,
                       struct lmw_err *err)
{
    int n = resolve(s, local, n_local, names, arena, err), n_cloud;
    if (n < 0)
        return lmw_wrap(err, "--local");
    if ((n_cloud = resolve(s, &cloud, 1, names + n, arena, err)) < 0)
        return lmw_wrap(err, "--cloud");
    if (n_cloud != 1)
        return lmw_fail(err, LMW_EARG, "--cloud %s stands for %d runs: name one of them", cloud,
                        n_cloud);
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], names[n]) == 0)
            return lmw_fail(err, LMW_EARG, "run '%s' is named as local and as cloud", names[n]);
    }
    r->cells.n_local = n;
    return n + 1;
}

/* ---- which questions ---- */

/* Questions in the order of the first run's records, those that every run has. */
static int common_questions(struct lmw_routes *r, struct lmw_arena *arena, struct lmw_err *err)
{
    const struct lmw_frame *f = &r->frame;
    const struct lmw_cross *x = &r->cross;
    bool *seen = LMW_NEW(arena, bool, (size_t)f->n_query + 1);
    int32_t *query = LMW_NEW(arena, int32_t, (size_t)f->n_query + 1);
    if (!seen || !query)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d questions", f->n_query);
    for (size_t i = f->run[0].first; i < f->run[0].first + f->run[0].n; i++) {
        int32_t q = f->query_of[i];
        if (!seen[q] && x->first[q + 1] - x->first[q] == (size_t)f->n_run)
            query[r->cells.n++] = q;
        seen[q] = true;
    }
    r->query = query;
    for (int q = 0; q < f->n_query; q++)
        r->n_left_out += x->first[q + 1] > x->first[q];
    r->n_left_out -= r->cells.n;
    return r->cells.n ? LMW_OK
                      : lmw_fail(err, LMW_EARG,
                                 "no question was asked of all %d runs: a question is the same "
                                 "where its workload and its query_id are",
                                 f->n_run);
}

/* ---- what is known of them ---- */

static int fill(struct lmw_routes *r, struct lmw_arena *arena, struct lmw_err *err)
{
    struct lmw_cells *c = &r->cells;
    size_t n = (size_t)c->n * (size_t)(c->n_local + 1);
    uint8_t *right = LMW_NEW(arena, uint8_t, n);
    double *amount[LMW_QUANTITIES], *asked = LMW_NEW(arena, double, n),
                                    *told = LMW_NEW(arena, double, n);
    for (int k = 0; k < LMW_QUANTITIES; k++)
        c->amount[k] = amount[k] = LMW_NEW(arena, double, n);
    if (!right || !asked || !told || !amount[LMW_QUANTITIES - 1])
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu cells", n);
    for (int64_t q = 0; q < c->n; q++) {
        size_t first = r->cross.first[r->query[q]];
        asked[q] = r->cross.v[LMW_V_PROMPT_TOKENS][first + (size_t)c->n_local];
        told[q] = r->cross.v[LMW_V_COMPLETION_TOKENS][first + (size_t)c->n_local];
        for (int m = 0; m <= c->n_local; m++) {
            size_t to = (size_t)m * (size_t)c->n + (size_t)q;
            right[to] = r->cross.v[LMW_V_ACC][first + (size_t)m] >= 0.5;
            for (int k = 0; k < LMW_QUANTITIES; k++)
                amount[k][to] = r->cross.v[value_of[k]][first + (size_t)m];
        }
    }
    c->right = right;
    r->asked = asked;
    r->told = told;
    return LMW_OK;
}

/* Dollars that no record tells, from a stated price. */
static void price(struct lmw_routes *r, const struct lmw_prices *p)
{
    struct lmw_cells *c = &r->cells;
    double *usd = (double *)c->amount[LMW_USD];
    for (int64_t i = 0; i < c->n * (c->n_local + 1); i++) {
        int m = (int)(i / c->n);
        const struct lmw_price *at = m < c->n_local ? &p->local : &p->cloud;
        size_t cell = r->cross.first[r->query[i % c->n]] + (size_t)m;
        double asked = r->cross.v[LMW_V_PROMPT_TOKENS][cell],
               told = r->cross.v[LMW_V_COMPLETION_TOKENS][cell];
        if (isnan(usd[i]) && !isnan(at->per_kwh))
            usd[i] = c->amount[LMW_JOULES][i] / 3.6e6 * at->per_kwh;
        else if (isnan(usd[i]) && !isnan(at->per_m_in))
            usd[i] = (asked * at->per_m_in + told * at->per_m_out) / 1e6;
    }
}

static int describe(struct lmw_routes *r, struct lmw_arena *arena, struct lmw_err *err)
{
    const struct lmw_frame *f = &r->frame;
    const char **model = LMW_NEW(arena, const char *, (size_t)f->n_run);
    if (!model)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d names", f->n_run);
    for (int i = 0; i < f->n_run; i++) {
        model[i] = f->run[i].run.name;
        r->estimated |= f->run[i].estimated;
        r->mixed_basis |=
            f->run[i].basis && f->run[0].basis && strcmp(f->run[i].basis, f->run[0].basis) != 0;
        if (!f->run[i].scored)
            return lmw_fail(err, LMW_EARG,
                            "run '%s' has no scores, so that nobody knows which of its answers "
                            "are right: score it first",
                            model[i]);
    }
    r->cells.model = model;
    return LMW_OK;
}

/* From the frame of exactly the runs that take part. */
static int finish(struct lmw_routes *r, const struct lmw_prices *prices, struct lmw_arena *arena,
                  struct lmw_err *err)
{
    const uint32_t wanted = LMW_V_BIT(LMW_V_ACC) | LMW_V_BIT(LMW_V_ENERGY) |
                            LMW_V_BIT(LMW_V_FLOPS) | LMW_V_BIT(LMW_V_COST) |
                            LMW_V_BIT(LMW_V_LATENCY) | LMW_V_BIT(LMW_V_PROMPT_TOKENS) |
                            LMW_V_BIT(LMW_V_COMPLETION_TOKENS);
    int rc = describe(r, arena, err);
    if (rc < 0 || (rc = lmw_cross_build(&r->cross, &r->frame, wanted, arena, err)) < 0 ||
        (rc = common_questions(r, arena, err)) < 0 || (rc = fill(r, arena, err)) < 0)
        return rc;
    if (prices)
        price(r, prices);
    return LMW_OK;
}

int lmw_routes_load(struct lmw_routes *r, struct lmw_store *s, const char *const *local,
                    int n_local, const char *cloud, const struct lmw_prices *prices,
                    struct lmw_arena *arena, struct lmw_err *err)
{
    const char *names[2 * LMW_LOCAL_MAX];
    *r = (struct lmw_routes){0};
    int n = resolve_all(r, s, local, n_local, cloud, names, arena, err), rc;
    if (n < 0 || (rc = lmw_frame_load(&r->frame, s, names, n, NULL, arena, err)) < 0)
        return n < 0 ? n : rc;
    return finish(r, prices, arena, err);
}

int lmw_routes_from(struct lmw_routes *r, const struct lmw_frame *f, struct lmw_store *s,
                    const char *const *local, int n_local, const char *cloud,
                    const struct lmw_prices *prices, struct lmw_arena *arena, struct lmw_err *err)
{
    const char *names[2 * LMW_LOCAL_MAX];
    int run[2 * LMW_LOCAL_MAX];
    *r = (struct lmw_routes){0};
    int n = resolve_all(r, s, local, n_local, cloud, names, arena, err);
    for (int i = 0; i < n; i++) {
        if ((run[i] = lmw_frame_find(f, names[i], err)) < 0)
            return LMW_EARG;
    }
    int rc = n < 0 ? n : lmw_frame_some(f, run, n, arena, &r->frame, err);
    return rc < 0 ? rc : finish(r, prices, arena, err);
}

int lmw_cells_some(const struct lmw_cells *c, const int64_t *which, int64_t n,
                   struct lmw_arena *arena, struct lmw_cells *out, struct lmw_err *err)
{
    int64_t models = c->n_local + 1;
    uint8_t *right = LMW_NEW(arena, uint8_t, (size_t)(n * models) + 1);
    double *amount[LMW_QUANTITIES] = {0};
    bool ok = right != NULL;
    *out = *c;
    for (int k = 0; k < LMW_QUANTITIES; k++) {
        if (c->amount[k])
            ok &= (amount[k] = LMW_NEW(arena, double, (size_t)(n * models) + 1)) != NULL;
        out->amount[k] = amount[k];
    }
    if (!ok)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %lld queries", (long long)n);
    for (int64_t i = 0; i < n * models; i++) {
        int64_t from = i / n * c->n + which[i % n];
        right[i] = c->right[from];
        for (int k = 0; k < LMW_QUANTITIES; k++) {
            if (amount[k])
                amount[k][i] = c->amount[k][from];
        }
    }
    out->right = right;
    out->n = n;
    return LMW_OK;
}

int lmw_routes_keep(struct lmw_routes *r, const int64_t *which, int64_t n, struct lmw_arena *arena,
                    struct lmw_err *err)
{
    struct lmw_cells some;
    int32_t *query = LMW_NEW(arena, int32_t, (size_t)n + 1);
    double *asked = LMW_NEW(arena, double, (size_t)n + 1);
    double *told = LMW_NEW(arena, double, (size_t)n + 1);
    if (!query || !asked || !told)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %lld questions", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        query[i] = r->query[which[i]];
        asked[i] = r->asked[which[i]];
        told[i] = r->told[which[i]];
    }
    int rc = lmw_cells_some(&r->cells, which, n, arena, &some, err);
    if (rc < 0)
        return rc;
    r->cells = some;
    r->query = query;
    r->asked = asked;
    r->told = told;
    return LMW_OK;
}
