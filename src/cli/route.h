/* What the verbs of `lmwatt route` share: their options, and the cells of the runs named. */
#ifndef LMW_CLI_ROUTE_H
#define LMW_CLI_ROUTE_H

#include "cli/cli.h"
#include "report/report.h"
#include "route/route.h"

#include <jansson.h>

enum { ROUTE_LIST_MAX = 64 };
struct numbers {
    double v[ROUTE_LIST_MAX];
    int n;
};

struct route_job {
    const char *store_path, *cloud, *by;
    struct strs local;
    struct lmw_prices prices;
    bool json;
    /* simulate */
    struct numbers accuracy, random;
    bool accuracy_given;
    enum lmw_semantics semantics[3];
    int n_semantics;
    bool curve;
    /* day */
    struct lmw_day_setup day;
    struct strs strategies; /* none: the usual ones */
    /* fit */
    struct lmw_fit_options fit;
    int64_t n_fold;
    const char *out, *features;
    /* of routers that look at embeddings */
    const char *model, *meter;
    char embed_basis[256]; /* the meter that the embeddings' joules are from */
    /* a fitted router: read from a file, or fitted just now */
    const char *router_path;
    bool seen; /* judge it by what it has learned from, too */
    struct lmw_router *router;
    double threshold;    /* NaN: its own */
    const double *trust; /* [local][query]; NULL: no router */
    struct lmw_strategy fitted;
    int64_t n_seen; /* questions left out, because the router has seen them */
    /* loaded */
    struct lmw_store *store;
    struct lmw_arena arena;
    struct lmw_routes routes;
};

int route_simulate(struct route_job *j, struct lmw_err *err);
int route_day(struct route_job *j, struct lmw_err *err);
int route_fit(struct route_job *j, struct lmw_err *err);

/* The table of strategies, curves and notes on stdout; or, where `into` is not NULL, the same as
 * fields of that object. */
int route_figures(struct route_job *j, json_t *into, struct lmw_err *err);

/* What the router has seen, and what a decision takes, as sentences. */
void route_print_router(const struct route_job *j);

/* Reads --router, and takes the runs from it that the options do not name. */
int route_open_router(struct route_job *j, struct lmw_err *err);
/* With the runs loaded: the router's trust in the questions it has not seen, and only those. */
int route_apply_router(struct route_job *j, struct lmw_err *err);
/* The questions' embeddings by j->model, into the lessons, with what they take. */
int route_embed(struct route_job *j, struct lmw_lessons *l, struct lmw_err *err);
/* j->fitted from j->trust. */
int route_fitted_strategy(struct route_job *j, struct lmw_err *err);

/* ---- what they all show, below them (route_forms.c) ---- */

/* Every strategy the options ask for. */
int route_strategies(struct route_job *j, struct lmw_strategy **s, int *n, struct lmw_err *err);

/* A number, or null for NaN. */
json_t *route_number(double v);
/* "12.3", with digits after the point, scaled; "-" for NaN. */
void route_put(char out[32], double v, double scale, int digits);
/* The same of what must not look like nothing where it is little: "0.123", "~1.2e-05". */
void route_amount(char out[40], const char *estimate, double v, int digits);
/* A row of the table, cells[g->n_column]. */
void route_row(struct lmw_grid *g, const char *const *cells);
/* The table on stdout, its first column to the left; g is freed. */
int route_print(struct lmw_grid *g, struct lmw_err *err);

#endif
