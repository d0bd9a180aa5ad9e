/* The page's pictures, each asked of the room that knows: domains and trend of insight, savings of
 * route, curves of single queries from the store's samples. */
#include "cli/report_page.h"

#include "cli/decide.h"

#include <math.h>

enum { CURVES_MAX = 60 }; /* runs whose single queries are drawn */

static int add_domains(struct lmw_arena *arena, struct lmw_pictures *p, struct lmw_err *err)
{
    struct lmw_domains *d = LMW_NEW(arena, struct lmw_domains, 1);
    if (!d)
        return lmw_fail(err, LMW_ENOMEM, "no memory for domains");
    p->domains = d;
    return lmw_domains_of(p->frame, NULL, arena, d, err);
}

static int add_timelines(struct lmw_store *store, struct lmw_arena *arena, struct lmw_pictures *p,
                         struct lmw_err *err)
{
    size_t n = (size_t)p->frame->n_run;
    int rc = LMW_OK;
    p->timelines = lmw_arena_alloc(arena, n, sizeof *p->timelines, 64);
    p->n_timeline = LMW_NEW(arena, int, n);
    if (!p->timelines || !p->n_timeline)
        return lmw_fail(err, LMW_ENOMEM, "no memory for curves");
    for (int i = 0; i < p->frame->n_run && i < CURVES_MAX && rc == LMW_OK; i++) {
        int k = lmw_timelines_of(store, p->frame, i, arena, p->timelines[i], err);
        p->n_timeline[i] = k > 0 ? k : 0;
        rc = k < 0 ? k : LMW_OK;
    }
    return rc;
}

static int add_routing(const struct page_wants *w, struct lmw_store *store,
                       struct lmw_arena *arena, struct lmw_pictures *p, struct lmw_err *err)
{
    static const double ends[] = {0, 1};
    static const enum lmw_semantics all[] = {LMW_PUBLISHED, LMW_SYMMETRIC, LMW_CASCADE};
    static const struct lmw_sweep sweep = {
        .accuracy = ends, .n_accuracy = 2, .semantics = all, .n_semantics = 3};
    struct lmw_routes *r = LMW_NEW(arena, struct lmw_routes, 1);
    struct lmw_strategy *s;
    int n, rc = r ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for routes");
    if (!w->cloud || rc < 0)
        return rc;
    if ((rc = lmw_routes_from(r, p->frame, store, w->local.v, w->local.n, w->cloud, NULL, arena,
                              err)) < 0 ||
        (rc = lmw_route_strategies(&r->cells, &sweep, arena, &s, &n, err)) < 0)
        return rc;
    struct lmw_routed *routed = LMW_NEW(arena, struct lmw_routed, (size_t)n);
    if (!routed)
        return lmw_fail(err, LMW_ENOMEM, "no memory for strategies");
    p->strategies = s;
    p->routed = routed;
    p->n_strategy = n;
    p->routed_estimate = r->estimated;
    return lmw_route_simulate(&r->cells, s, n, routed, *arena, err);
}

/* One workload only; runs without dates make no picture, and no fuss. */
static int add_trend(const struct page_wants *w, struct lmw_store *store,
                     const struct lmw_summary *rows, struct lmw_arena *arena,
                     struct lmw_pictures *p, struct lmw_err *err)
{
    struct lmw_dates dates;
    struct lmw_run_dates *when;
    struct lmw_trend *t = LMW_NEW(arena, struct lmw_trend, 1);
    int rc = t ? decide_dates(w->dates, &dates, arena, err)
               : lmw_fail(err, LMW_ENOMEM, "no memory for a trend");
    if (rc < 0 || (rc = lmw_run_dates_of(store, p->frame, &dates, arena, &when, err)) < 0)
        return rc;
    rc = lmw_trend_of(p->frame, rows, when, false, arena, t, err);
    if (rc == LMW_OK && t->n_year > 1) {
        p->trend = t;
        p->dates = when;
    }
    return w->dates ? rc : LMW_OK;
}

int page_gather(const struct page_wants *w, struct lmw_store *store,
                const struct lmw_summary *rows, struct lmw_arena *arena, struct lmw_pictures *p,
                struct lmw_err *err)
{
    int rc = add_domains(arena, p, err);
    if (rc == LMW_OK)
        rc = add_timelines(store, arena, p, err);
    if (rc == LMW_OK)
        rc = add_routing(w, store, arena, p, err);
    return rc < 0 ? rc : add_trend(w, store, rows, arena, p, err);
}
