/* Cells, prepared: see cells.h. */
#include "route/cells.h"

#include <string.h>

const char *const lmw_quantity_names[LMW_QUANTITIES] = {"energy", "compute", "cost", "latency"};

static uint8_t known_of(const struct lmw_cells *c, int64_t q)
{
    uint8_t known = 0;
    for (enum lmw_quantity k = 0; k < LMW_QUANTITIES; k++) {
        bool all = c->amount[k] != NULL;
        for (int m = 0; all && m <= c->n_local; m++)
            all = isfinite(cell_of(c, k, m, q));
        if (all)
            known |= (uint8_t)(1u << k);
    }
    return known;
}

int64_t lmw_route_known(const struct lmw_cells *c, enum lmw_quantity k)
{
    int64_t n = 0;
    for (int64_t q = 0; q < c->n; q++)
        n += known_of(c, q) >> k & 1;
    return n;
}

enum lmw_quantity lmw_route_price(const struct lmw_cells *c)
{
    uint8_t any = 0;
    for (int64_t q = 0; q < c->n; q++)
        any |= known_of(c, q);
    enum lmw_quantity k = LMW_JOULES;
    while (k <= LMW_USD && !(any >> k & 1))
        k++;
    return k <= LMW_USD ? k : LMW_QUANTITIES;
}

/* Insertion by the price summed over the queries where it is known of all; equal ones stay in the
 * order they were named in. */
static void rank_models(struct view *v)
{
    const struct lmw_cells *c = v->c;
    double total[LMW_LOCAL_MAX] = {0};
    for (int m = 0; m < c->n_local; m++) {
        for (int64_t q = 0; v->price < LMW_QUANTITIES && q < c->n; q++)
            total[m] += cell_known(v, v->price, q) ? cell_of(c, v->price, m, q) : 0;
        int at = m;
        for (; at > 0 && total[m] < total[v->rank[at - 1]]; at--)
            v->rank[at] = v->rank[at - 1];
        v->rank[at] = m;
    }
}

/* Of two models that are right the one earlier in rank, unless this query's price says otherwise.
 */
static int16_t cheapest_right(const struct view *v, int64_t q)
{
    const struct lmw_cells *c = v->c;
    bool known = v->price < LMW_QUANTITIES && cell_known(v, v->price, q);
    int best = c->n_local;
    for (int i = 0; i < c->n_local; i++) {
        int m = v->rank[i];
        if (cell_right(c, m, q) &&
            (best == c->n_local ||
             (known && cell_of(c, v->price, m, q) < cell_of(c, v->price, best, q))))
            best = m;
    }
    return (int16_t)best;
}

int lmw_view_open(struct view *v, const struct lmw_cells *c, struct lmw_arena *arena,
                  struct lmw_err *err)
{
    size_t n = c->n > 0 ? (size_t)c->n : 1;
    uint8_t *known = LMW_NEW(arena, uint8_t, n);
    int16_t *oracle = LMW_NEW(arena, int16_t, n);
    *v = (struct view){.c = c, .known = known, .oracle = oracle, .price = lmw_route_price(c)};
    if (c->n_local < 1 || c->n_local > LMW_LOCAL_MAX)
        return lmw_fail(err, LMW_EARG, "%d local models: 1 to %d can be routed among", c->n_local,
                        LMW_LOCAL_MAX);
    if (!known || !oracle)
        return lmw_fail(err, LMW_ENOMEM, "no memory to route %zu queries", n);
    for (int64_t q = 0; q < c->n; q++)
        known[q] = known_of(c, q);
    if (c->rank)
        memcpy(v->rank, c->rank, (size_t)c->n_local * sizeof *v->rank);
    else
        rank_models(v);
    for (int64_t q = 0; q < c->n; q++)
        oracle[q] = cheapest_right(v, q);
    return LMW_OK;
}

int lmw_route_rank(const struct lmw_cells *c, int *rank, struct lmw_arena scratch,
                   struct lmw_err *err)
{
    struct view v;
    int rc = lmw_view_open(&v, c, &scratch, err);
    for (int i = 0; rc == LMW_OK && i < c->n_local; i++)
        rank[i] = v.rank[i];
    return rc;
}

void lmw_view_choose(const struct view *v, const double *score, double threshold, int16_t *choice)
{
    int64_t n = v->c->n;
    for (int64_t q = 0; q < n; q++) {
        int i = 0;
        while (i < v->c->n_local && !(score[v->rank[i] * n + q] >= threshold))
            i++;
        choice[q] = (int16_t)(i < v->c->n_local ? v->rank[i] : v->c->n_local);
    }
}

int lmw_route_choose(const struct lmw_cells *c, const double *trust, double threshold,
                     int16_t *choice, struct lmw_arena scratch, struct lmw_err *err)
{
    struct view v;
    int rc = lmw_view_open(&v, c, &scratch, err);
    if (rc == LMW_OK)
        lmw_view_choose(&v, trust, threshold, choice);
    return rc;
}

/* A cascade asks all local models that are cheaper before it (all of them: before the cloud). */
struct plan lmw_view_plan(const struct view *v, const struct lmw_strategy *s, int final)
{
    struct plan plan = {.final = final};
    if (!s->tries_first)
        return plan;
    while (plan.n_tried < v->c->n_local && v->rank[plan.n_tried] != final)
        plan.n_tried++;
    plan.n_again = s->n_again;
    return plan;
}

void lmw_outcome_add(struct outcome *o, const struct view *v, int64_t q, double w,
                     struct plan plan)
{
    const struct lmw_cells *c = v->c;
    double times = 1 + plan.n_again;
    bool is_local = plan.final < c->n_local;
    o->v[OUT_LOCAL] += w * is_local;
    o->v[OUT_RIGHT] += w * cell_right(c, plan.final, q);
    for (enum lmw_quantity k = 0; k < LMW_QUANTITIES; k++) {
        if (!cell_known(v, k, q))
            continue;
        double tried = 0;
        for (int i = 0; i < plan.n_tried; i++)
            tried += times * cell_of(c, k, v->rank[i], q);
        o->v[OUT_AMOUNT + k] +=
            w * (tried + (is_local ? times : 1) * cell_of(c, k, plan.final, q));
        o->v[OUT_WASTED] += k == LMW_JOULES ? w * tried : 0;
    }
}
