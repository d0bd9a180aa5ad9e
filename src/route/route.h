/* DOOR. Route: what sending some queries to small local models, and the rest to a large one in the
 * cloud, would save. Computed from records: nothing here runs a model. Every formula and its
 * source is in docs/routing.md.
 *
 * A question takes part when every model asked has a record of it. An answer is right where its
 * score is at least 0.5; one that could not be scored, or failed, is wrong. A quantity (joules,
 * FLOPs, dollars, seconds) of a question is summed only where all models have it, so that every
 * strategy is charged over the same questions; how many those are is said. NaN is "not known". */
#ifndef LMW_ROUTE_ROUTE_H
#define LMW_ROUTE_ROUTE_H

#include "base/arena.h"
#include "base/err.h"
#include "insight/insight.h"
#include "route/router.h"

#include <stdbool.h>
#include <stdint.h>

enum lmw_quantity { LMW_JOULES, LMW_FLOPS, LMW_USD, LMW_SECONDS, LMW_QUANTITIES };
extern const char *const lmw_quantity_names[LMW_QUANTITIES]; /* "energy", "compute", ... */

enum { LMW_LOCAL_MAX = 256 };

/* The same questions under several models. Model n_local is the cloud; all arrays of a model hold
 * n values, model after model. */
struct lmw_cells {
    int n_local; /* 1 to LMW_LOCAL_MAX */
    int64_t n;
    const char *const *model; /* [n_local + 1] */
    const int *rank; /* local models from cheap to dear; NULL: as their mean prices here are */
    const uint8_t *right;                 /* [model][query] 0 or 1 */
    const double *amount[LMW_QUANTITIES]; /* [model][query]; NULL: not known at all */
};

/* Some of the queries, in the order given. */
int lmw_cells_some(const struct lmw_cells *c, const int64_t *which, int64_t n,
                   struct lmw_arena *arena, struct lmw_cells *out, struct lmw_err *err);

/* Dollars where a record does not tell them; NaN: not known either. */
struct lmw_price {
    double per_kwh;             /* of its joules; else */
    double per_m_in, per_m_out; /* per million tokens asked and answered */
};
struct lmw_prices {
    struct lmw_price local, cloud;
};

/* Runs of a store as cells. Each question is one of frame's, and was asked of every run; its
 * repeats count as one. */
struct lmw_routes {
    struct lmw_cells cells;
    struct lmw_frame frame; /* the local runs, then the cloud's */
    struct lmw_cross cross;
    const int32_t *query;       /* [cells.n] the question's number in the frame */
    const double *asked, *told; /* [cells.n] tokens of the cloud's run, NaN where not known */
    int64_t n_left_out;         /* questions that some run was not asked */
    bool estimated;             /* some joules are modelled: show ~ */
    bool mixed_basis;           /* joules are of different rails */
};
/* Runs are named as lmw_insight_runs() takes them. prices may be NULL. LMW_EARG when a name stands
 * for no run, a run has no scores, or no question is common to all. */
int lmw_routes_load(struct lmw_routes *r, struct lmw_store *s, const char *const *local,
                    int n_local, const char *cloud, const struct lmw_prices *prices,
                    struct lmw_arena *arena, struct lmw_err *err);

/* The same, from records that are loaded already: those of f, which has all runs that are named.
 * s only says which they are. */
int lmw_routes_from(struct lmw_routes *r, const struct lmw_frame *f, struct lmw_store *s,
                    const char *const *local, int n_local, const char *cloud,
                    const struct lmw_prices *prices, struct lmw_arena *arena, struct lmw_err *err);

/* Leaves only these of its questions. */
int lmw_routes_keep(struct lmw_routes *r, const int64_t *which, int64_t n, struct lmw_arena *arena,
                    struct lmw_err *err);

/* ---- strategies ---- */

/* How a router that is right with probability r errs, the oracle being what "right" means:
 *   published  the query goes to the cloud, and only that run is paid;
 *   symmetric  the decision is turned round: a query for the cloud is kept by the cheapest local
 *              model, and its answer stands;
 *   cascade    the cheapest local model tries in vain, then the cloud answers; both are paid. */
enum lmw_semantics { LMW_PUBLISHED, LMW_SYMMETRIC, LMW_CASCADE };

enum lmw_strategy_kind {
    LMW_ALWAYS, /* the model `model` */
    LMW_RANDOM, /* with probability p a local model, each as likely, else the cloud */
    LMW_ORACLE, /* the cheapest local model that is right, else the cloud */
    LMW_ROUTER, /* the oracle's choice with probability p, else as the semantics say */
    LMW_CHOSEN, /* choice[query]: what a fitted router decided */
};

struct lmw_strategy {
    enum lmw_strategy_kind kind;
    const char *name;
    int model;
    double p;
    enum lmw_semantics semantics;
    const int16_t *choice; /* [query] a model */
    bool tries_first;      /* LMW_CHOSEN: cheaper local models were asked before, and are paid */
    int n_again; /* where it tries first: how often more a local model is asked, each time */
    double own[LMW_QUANTITIES]; /* what deciding costs, for each query (0: nothing) */
};

/* What became of the queries. Intervals are 95 %, by the bootstrap over queries with all
 * strategies paired. Savings are fractions of what always-cloud pays. */
struct lmw_routed {
    struct lmw_interval share_local; /* answered by a local model */
    struct lmw_interval accuracy;
    struct lmw_interval quality_kept;           /* accuracy / accuracy of always-cloud */
    struct lmw_interval saving[LMW_QUANTITIES]; /* of joules, FLOPs, dollars, seconds */
    double mean[LMW_QUANTITIES];                /* per query, over those where it is known */
    double wasted_j; /* of those joules, what went into local tries whose answer was not used */
};

/* The strategies that need no fitting, in the order of the table: always-local (the cheapest one;
 * each by name where there are several), always-cloud, random, the oracle, and a router for every
 * accuracy and semantics. Names are those of docs/design.md, section 7. */
struct lmw_sweep {
    const double *random, *accuracy;
    int n_random, n_accuracy;
    const enum lmw_semantics *semantics;
    int n_semantics;
};
int lmw_route_strategies(const struct lmw_cells *c, const struct lmw_sweep *sweep,
                         struct lmw_arena *arena, struct lmw_strategy **out, int *n,
                         struct lmw_err *err);

/* Fills out[n]. */
int lmw_route_simulate(const struct lmw_cells *c, const struct lmw_strategy *s, int n,
                       struct lmw_routed *out, struct lmw_arena scratch, struct lmw_err *err);

/* For LMW_CHOSEN, from trust[local][query]: the cheapest local model trusted at least as much as
 * the threshold (NaN: not trusted at all), else the cloud. */
int lmw_route_choose(const struct lmw_cells *c, const double *trust, double threshold,
                     int16_t *choice, struct lmw_arena scratch, struct lmw_err *err);

/* Questions whose quantity is known under every model. */
int64_t lmw_route_known(const struct lmw_cells *c, enum lmw_quantity k);
/* What "cheap" means here: the first of joules, FLOPs and dollars that is known for any question
 * (LMW_QUANTITIES: for none, and the order the local models are named in decides). */
enum lmw_quantity lmw_route_price(const struct lmw_cells *c);
/* The local models from cheap to dear, by that quantity's mean; rank[n_local]. The oracle takes,
 * of the local models that are right, the one whose price for this query is the least (where the
 * query's is not known: the first in rank), else the cloud. */
int lmw_route_rank(const struct lmw_cells *c, int *rank, struct lmw_arena scratch,
                   struct lmw_err *err);

/* ---- the curve: quality against what it costs ---- */

enum { LMW_CURVE_POINTS = 101 };
struct lmw_curve_point {
    double share_cloud, accuracy, price; /* price: mean per query of lmw_route_price() */
};
/* Points by growing share of the cloud, 0 to 1. Quantities that are not defined are NaN. */
struct lmw_curve {
    char name[64];
    struct lmw_curve_point point[LMW_CURVE_POINTS];
    double aiq;  /* mean height of the non-decreasing concave hull over the range of prices */
    double apgr; /* mean share of the gap between the cheapest local model and the cloud */
    double cpt50, cpt80; /* least share of cloud calls that closes half, 80 % of that gap */
};
/* The line from always-local to always-cloud; the best that any router could do; and a router's
 * own curve: score[local][query] is its trust that this local model is right. At each share the
 * cheapest local model trusted beyond a threshold answers. */
int lmw_curve_random(const struct lmw_cells *c, struct lmw_curve *out, struct lmw_arena scratch,
                     struct lmw_err *err);
int lmw_curve_oracle(const struct lmw_cells *c, struct lmw_curve *out, struct lmw_arena scratch,
                     struct lmw_err *err);
/* how: what a decision takes (tries_first, n_again, own); NULL: nothing. A query whose score is
 * not known is the last that stays local. The name is the caller's. */
int lmw_curve_router(const struct lmw_cells *c, const double *score,
                     const struct lmw_strategy *how, struct lmw_curve *out,
                     struct lmw_arena scratch, struct lmw_err *err);

/* The non-decreasing concave hull of points (price, accuracy), in place, by growing price; returns
 * how many points it has. Points that are not finite are left out. */
struct lmw_hull_point {
    double price, accuracy;
};
int lmw_curve_hull(struct lmw_hull_point *p, int n);
/* Its mean height over prices from..to: flat beyond its last point, 0 before its first. */
double lmw_curve_aiq(const struct lmw_hull_point *hull, int n, double from, double to);

/* ---- a day of traffic ---- */

/* When queries come. trace: a CSV with a header, its times in a column timestamp (seconds, or date
 * and time) or t_ms, t_us, t_ns, its lengths, where it has them, in prompt_tokens and
 * completion_tokens (or as BurstGPT's and Azure's traces call them). NULL: drawn, rate a second on
 * average, with Gamma inter-arrival times of shape `burstiness` (1: Poisson; less is burstier). */
struct lmw_traffic {
    const char *trace;
    double rate, hours, burstiness;
    int64_t limit; /* queries at most; 0: all */
    uint64_t seed;
};

/* Joules of a query in the cloud by how many are in flight on its machine, relative to 1; straight
 * over log2 between points. */
enum { LMW_BATCH_POINTS = 16 };
struct lmw_batch_curve {
    double batch[LMW_BATCH_POINTS], factor[LMW_BATCH_POINTS];
    int n;
    double of_records; /* the batch at which the records were made */
    double at;         /* the batch, where the cloud's machines are not counted */
};

struct lmw_day_setup {
    struct lmw_traffic traffic;
    const double *asked, *told; /* [cells.n] tokens, NaN where not known */
    int64_t machines, slots;    /* of each local model; machines 0: as many as are needed */
    double idle_w;              /* a local machine without a query */
    double patience_s;          /* a query that would wait longer goes to the cloud */
    int64_t cloud_machines, cloud_slots; /* machines 0: as many as are needed */
    struct lmw_batch_curve batch;
    int n_thread;
    void (*progress)(void *arg, int64_t n, double t_s); /* or NULL */
    void *progress_arg;
};

struct lmw_spread { /* seconds */
    double mean, p50, p95, p99;
};
struct lmw_day {
    int64_t n, n_local, n_right;
    int64_t n_spilled; /* to the cloud, because local machines were busy */
    double
        total[LMW_QUANTITIES]; /* of all runs, tries too; NaN where not known of a query drawn */
    double local_j, cloud_j, wasted_j;
    double idle_j;                    /* of local machines, not in total */
    double day_s;                     /* as long as it was drawn, else to the last arrival */
    double end_s;                     /* when the last answer was there */
    struct lmw_spread wait, response; /* for a slot, each try; from arrival to answer */
    double busy;                      /* share of local slots, NaN where they are not counted */
    int64_t peak;                     /* most queries in flight in the cloud */
    double batch;                     /* mean batch of cloud runs */
};
/* Every strategy serves the same arrivals, the same queries; the same seed gives the same day. A
 * query is drawn from the records at random, of those with the nearest lengths where the trace has
 * both. Memory does not grow with the day. A trace that cannot be read is LMW_EFORMAT with its
 * line. */
int lmw_day_run(const struct lmw_cells *c, const struct lmw_day_setup *d,
                const struct lmw_strategy *s, int n, struct lmw_day *out, struct lmw_arena scratch,
                struct lmw_err *err);

#endif
