/* lmwatt route day: a day of traffic under several strategies, as a table or JSON. */
#include "cli/model_opts.h"
#include "cli/route.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a day is compared by where nobody says: the cloud, the oracle, a router that errs, and a
 * fitted one. */
static bool is_usual(const struct route_job *j, const struct lmw_strategy *s)
{
    switch (s->kind) {
    case LMW_ALWAYS: return s->model == j->routes.cells.n_local;
    case LMW_ROUTER: return j->accuracy_given || s->p == 0.8;
    case LMW_RANDOM: return false;
    default: return true;
    }
}

static int find_strategy(const struct lmw_strategy *all, int n, const char *name,
                         struct lmw_err *err)
{
    char known[300] = "";
    for (int k = 0; k < n; k++) {
        size_t used = strlen(known);
        if (strcmp(all[k].name, name) == 0)
            return k;
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", all[k].name);
    }
    return lmw_fail(err, LMW_EARG, "--strategies: no strategy '%s' (there are: %s)", name, known);
}

/* Of all strategies, those that were asked for, in that order. */
static int pick(struct route_job *j, const struct lmw_strategy *all, int n_all,
                struct lmw_strategy **out, struct lmw_err *err)
{
    int n = 0, most = j->strategies.n ? j->strategies.n : n_all;
    struct lmw_strategy *s = *out = LMW_NEW(&j->arena, struct lmw_strategy, (size_t)most);
    if (!s)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d strategies", most);
    for (int i = 0; i < j->strategies.n; i++) {
        int k = find_strategy(all, n_all, j->strategies.v[i], err);
        if (k < 0)
            return k;
        s[n++] = all[k];
    }
    for (int k = 0; !j->strategies.n && k < n_all; k++) {
        if (is_usual(j, &all[k]))
            s[n++] = all[k];
    }
    return n;
}

static void show_progress(void *arg, int64_t n, double t_s)
{
    cli_progress("%lld million queries, %.1f h of the day", (long long)n / 1000000, t_s / 3600);
}

/* A saving against the strategy that sends everything to the cloud, NaN where it was not run. */
static double saving(const struct lmw_day *d, const struct lmw_day *cloud, int k)
{
    return cloud ? 1 - d->total[k] / cloud->total[k] : (double)NAN;
}

static json_t *spread_json(const struct lmw_spread *s)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "mean", route_number(s->mean), "p50",
                     route_number(s->p50), "p95", route_number(s->p95), "p99",
                     route_number(s->p99));
}

static json_t *day_json(const struct lmw_strategy *s, const struct lmw_day *d,
                        const struct lmw_day *cloud)
{
    double n = (double)d->n;
    return json_pack(
        "{s:s, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:I, s:o}",
        "name", s->name, "queries", (json_int_t)d->n, "share_local",
        route_number((double)d->n_local / n), "accuracy", route_number((double)d->n_right / n),
        "spilled", (json_int_t)d->n_spilled, "energy_j", route_number(d->total[LMW_JOULES]),
        "local_j", route_number(d->local_j), "cloud_j", route_number(d->cloud_j), "wasted_j",
        route_number(d->wasted_j), "idle_j", route_number(d->idle_j), "flops",
        route_number(d->total[LMW_FLOPS]), "cost_usd", route_number(d->total[LMW_USD]),
        "energy_saving", route_number(saving(d, cloud, LMW_JOULES)), "compute_saving",
        route_number(saving(d, cloud, LMW_FLOPS)), "cost_saving",
        route_number(saving(d, cloud, LMW_USD)), "wait_s", spread_json(&d->wait), "response_s",
        spread_json(&d->response), "day_s", route_number(d->day_s), "end_s",
        route_number(d->end_s), "local_busy", route_number(d->busy), "cloud_peak",
        (json_int_t)d->peak, "cloud_batch", route_number(d->batch));
}

static int print_json(const struct lmw_strategy *s, const struct lmw_day *d, int n,
                      const struct lmw_day *cloud, const struct route_job *j)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, day_json(&s[i], &d[i], cloud));
    return cli_json_print(json_pack("{s:o, s:b, s:I}", "strategies", list, "energy_estimated",
                                    j->routes.estimated, "seed", (json_int_t)j->day.traffic.seed));
}

/* The largest unit of energy of which the dearest of the days has at least one. */
static const struct unit {
    const char *name;
    double joules;
} units[] = {{"kWh", 3.6e6}, {"Wh", 3.6e3}, {"J", 1}};

static const struct unit *unit_of(const struct lmw_day *d, int n)
{
    const struct unit *u = units;
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, fmax(d[i].total[LMW_JOULES], d[i].idle_j));
    while (u->joules > 1 && most < u->joules)
        u++;
    return u;
}

static void put_row(struct lmw_grid *g, const struct lmw_strategy *s, const struct lmw_day *d,
                    const struct lmw_day *cloud, const struct unit *unit, const char *estimate)
{
    char local[32], right[32], energy[40], saved[40], wasted[40], usd[40], wait[40], p95[40],
        response[40], busy[32], spilled[32];
    route_put(local, (double)d->n_local / (double)d->n, 100, 1);
    route_put(right, (double)d->n_right / (double)d->n, 100, 1);
    route_amount(energy, estimate, d->total[LMW_JOULES] / unit->joules, 3);
    snprintf(saved, sizeof saved, "%s", isfinite(saving(d, cloud, LMW_JOULES)) ? estimate : "");
    route_put(saved + strlen(saved), saving(d, cloud, LMW_JOULES), 100, 1);
    route_amount(wasted, estimate, d->wasted_j / unit->joules, 3);
    route_amount(usd, "", d->total[LMW_USD], 2);
    route_amount(wait, "", d->wait.mean, 2);
    route_amount(p95, "", d->wait.p95, 2);
    route_amount(response, "", d->response.p95, 2);
    route_put(busy, d->busy, 100, 1);
    snprintf(spilled, sizeof spilled, "%lld", (long long)d->n_spilled);
    const char *const cells[] = {s->name, local, right, energy,   saved, wasted,
                                 usd,     wait,  p95,   response, busy,  spilled};
    route_row(g, cells);
}

static int print_table(const struct lmw_strategy *s, const struct lmw_day *d, int n,
                       const struct lmw_day *cloud, const struct unit *unit, const char *estimate,
                       struct lmw_err *err)
{
    static const char *const heads[] = {"strategy", "local",    "right", "energy",
                                        "saved",    "wasted",   "cost",  "wait",
                                        "wait p95", "done p95", "busy",  "spilled"};
    const char *const units_row[] = {"",    "%", "%", unit->name, "%", unit->name,
                                     "USD", "s", "s", "s",        "%", ""};
    struct lmw_grid g = {.n_column = sizeof heads / sizeof *heads};
    route_row(&g, heads);
    route_row(&g, units_row);
    for (int i = 0; i < n; i++)
        put_row(&g, &s[i], &d[i], cloud, unit, estimate);
    return route_print(&g, err);
}

static void print_idle(const struct lmw_strategy *s, const struct lmw_day *d, int n,
                       const struct unit *unit)
{
    char idle[40];
    for (int i = 0; i < n; i++) {
        route_amount(idle, "", d[i].idle_j / unit->joules, 3);
        printf("%s %s %s (%s)", i ? "," : "Local machines idling, beside that:", idle, unit->name,
               s[i].name);
    }
    puts("");
}

static int print_text(const struct lmw_strategy *s, const struct lmw_day *d, int n,
                      const struct lmw_day *cloud, const struct route_job *j, struct lmw_err *err)
{
    const struct unit *unit = unit_of(d, n);
    int rc = print_table(s, d, n, cloud, unit, j->routes.estimated ? "~" : "", err);
    if (rc < 0)
        return rc;
    printf("\n%lld queries arrive in %.3g h.\n", (long long)d[0].n, d[0].day_s / 3600);
    for (int i = 0; i < n; i++) {
        if (d[i].end_s > 1.1 * d[i].day_s && d[i].wait.p95 > 0)
            printf("Under %s queues outlast the day: the last answer is there after %.3g h.\n",
                   s[i].name, d[i].end_s / 3600);
    }
    if (j->day.idle_w > 0)
        print_idle(s, d, n, unit);
    printf("Every strategy has the same arrivals and queries (seed %lld); a query takes the time "
           "its record took.\n",
           (long long)j->day.traffic.seed);
    if (j->routes.estimated)
        printf("~ joules are an estimate: no power meter was there.\n");
    if (j->router)
        route_print_router(j);
    return LMW_OK;
}

int route_day(struct route_job *j, struct lmw_err *err)
{
    struct lmw_strategy *all, *s = NULL;
    const struct lmw_day *cloud = NULL;
    int n_all, n, rc = route_strategies(j, &all, &n_all, err);
    if (rc < 0 || (n = pick(j, all, n_all, &s, err)) < 0)
        return rc < 0 ? rc : n;
    struct lmw_day *days = LMW_NEW(&j->arena, struct lmw_day, (size_t)n);
    if (!days)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d days", n);
    j->day.asked = j->routes.asked;
    j->day.told = j->routes.told;
    j->day.progress = show_progress;
    rc = lmw_day_run(&j->routes.cells, &j->day, s, n, days, j->arena, err);
    cli_progress_end();
    for (int i = 0; i < n; i++)
        cloud = strcmp(s[i].name, "always-cloud") == 0 ? &days[i] : cloud;
    if (rc < 0)
        return rc;
    if (j->json)
        return -print_json(s, days, n, cloud, j);
    return print_text(s, days, n, cloud, j, err);
}
