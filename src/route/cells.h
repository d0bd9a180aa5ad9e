/* What the files of this room share about cells: what is known of each query, which local model is
 * the cheapest, and a query charged to a plan. A plan is a model whose answer is used, and the
 * models that were asked before it. */
#ifndef LMW_ROUTE_CELLS_H
#define LMW_ROUTE_CELLS_H

#include "route/route.h"

#include <math.h>

struct view {
    const struct lmw_cells *c;
    const uint8_t *known;    /* [query] bit k: quantity k is known under every model */
    enum lmw_quantity price; /* as lmw_route_price() says */
    int rank[LMW_LOCAL_MAX]; /* local models, cheapest first */
    const int16_t *oracle;   /* [query] the oracle's choice */
};
int lmw_view_open(struct view *v, const struct lmw_cells *c, struct lmw_arena *arena,
                  struct lmw_err *err);

static inline double cell_of(const struct lmw_cells *c, enum lmw_quantity k, int model, int64_t q)
{
    return c->amount[k][(int64_t)model * c->n + q];
}

static inline bool cell_right(const struct lmw_cells *c, int model, int64_t q)
{
    return c->right[(int64_t)model * c->n + q];
}

static inline bool cell_known(const struct view *v, enum lmw_quantity k, int64_t q)
{
    return v->known[q] >> k & 1;
}

/* What queries come to: the answers of local models, right ones, quantities (0 where not known of
 * every model), and the joules of tries that were not used. */
enum { OUT_LOCAL, OUT_RIGHT, OUT_AMOUNT, OUT_WASTED = OUT_AMOUNT + LMW_QUANTITIES, OUT_N };
struct outcome {
    double v[OUT_N];
};
/* Model `final` answers, after the n_tried cheapest ones tried in vain; every local one is asked
 * n_again times more. */
struct plan {
    int final, n_tried, n_again;
};
/* Adds w of a query that goes as planned. */
void lmw_outcome_add(struct outcome *o, const struct view *v, int64_t q, double w,
                     struct plan plan);
/* What a strategy that chose `final` does. */
struct plan lmw_view_plan(const struct view *v, const struct lmw_strategy *s, int final);
/* At a threshold: the cheapest local model that is trusted at least as much, else the cloud.
 * score[local][query]. */
void lmw_view_choose(const struct view *v, const double *score, double threshold, int16_t *choice);

#endif
