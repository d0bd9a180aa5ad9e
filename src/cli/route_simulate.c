/* lmwatt route simulate: strategies as a table or JSON, the curves, and the same by domain. */
#include "cli/model_opts.h"
#include "cli/route.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What is printed: strategies and their figures over all queries, or over those of one domain. */
struct part {
    const char *domain; /* NULL: all */
    int64_t n;
    const struct lmw_strategy *s;
    const struct lmw_routed *r;
    int n_strategy;
};

static const char *const saving_names[] = {"energy_saving", "compute_saving", "cost_saving",
                                           "latency_saving"};
static const char *const mean_names[] = {"energy_j", "flops", "cost_usd", "latency_s"};

/* ---- JSON ---- */

static void put_figure(json_t *o, json_t *intervals, const char *name,
                       const struct lmw_interval *x)
{
    json_object_set_new(o, name, route_number(x->value));
    json_object_set_new(intervals, name,
                        isfinite(x->lower)
                            ? json_pack("[o, o]", route_number(x->lower), route_number(x->upper))
                            : json_null());
}

static json_t *strategy_json(const struct lmw_strategy *s, const struct lmw_routed *r,
                             const struct lmw_cells *c)
{
    json_t *o = json_object(), *intervals = json_object();
    json_object_set_new(o, "name", json_string(s->name));
    if (s->kind == LMW_ALWAYS)
        json_object_set_new(o, "model", json_string(c->model[s->model]));
    put_figure(o, intervals, "share_local", &r->share_local);
    put_figure(o, intervals, "accuracy", &r->accuracy);
    put_figure(o, intervals, "quality_kept", &r->quality_kept);
    for (int k = 0; k < LMW_QUANTITIES; k++)
        put_figure(o, intervals, saving_names[k], &r->saving[k]);
    for (int k = 0; k < LMW_QUANTITIES; k++)
        json_object_set_new(o, mean_names[k], route_number(r->mean[k]));
    json_object_set_new(o, "wasted_j", route_number(r->wasted_j));
    json_object_set_new(o, "intervals", intervals);
    return o;
}

static json_t *part_json(const struct part *p, const struct lmw_cells *c)
{
    json_t *list = json_array();
    for (int i = 0; i < p->n_strategy; i++)
        json_array_append_new(list, strategy_json(&p->s[i], &p->r[i], c));
    return list;
}

static json_t *curve_json(const struct lmw_curve *c)
{
    json_t *points = json_array();
    for (int i = 0; i < LMW_CURVE_POINTS; i++)
        json_array_append_new(points, json_pack("{s:o, s:o, s:o}", "share_cloud",
                                                route_number(c->point[i].share_cloud), "accuracy",
                                                route_number(c->point[i].accuracy), "price",
                                                route_number(c->point[i].price)));
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "name", c->name, "aiq",
                     route_number(c->aiq), "apgr", route_number(c->apgr), "cpt50",
                     route_number(c->cpt50), "cpt80", route_number(c->cpt80), "points", points);
}

/* What the figures are made of. */
static void put_basis(json_t *o, const struct lmw_routes *r)
{
    const struct lmw_cells *c = &r->cells;
    json_t *local = json_array(), *known = json_object();
    enum lmw_quantity price = lmw_route_price(c);
    for (int m = 0; m < c->n_local; m++)
        json_array_append_new(local, json_string(c->model[m]));
    for (int k = 0; k < LMW_QUANTITIES; k++)
        json_object_set_new(known, lmw_quantity_names[k],
                            json_integer(lmw_route_known(c, (enum lmw_quantity)k)));
    json_object_set_new(o, "local", local);
    json_object_set_new(o, "cloud", json_string(c->model[c->n_local]));
    json_object_set_new(o, "queries", json_integer(c->n));
    json_object_set_new(o, "left_out", json_integer(r->n_left_out));
    json_object_set_new(o, "known", known);
    json_object_set_new(
        o, "price", price < LMW_QUANTITIES ? json_string(lmw_quantity_names[price]) : json_null());
    json_object_set_new(o, "energy_estimated", json_boolean(r->estimated));
    json_object_set_new(o, "energy_mixed", json_boolean(r->mixed_basis));
}

static void put_json(json_t *o, const struct route_job *j, const struct part *parts, int n_part,
                     const struct lmw_curve *curves, int n_curve)
{
    const struct lmw_routes *r = &j->routes;
    json_t *domains = json_array(), *list = json_array();
    json_object_set_new(o, "strategies", part_json(&parts[0], &r->cells));
    put_basis(o, r);
    if (j->router)
        json_object_set_new(o, "seen_by_router", json_integer(j->n_seen));
    for (int i = 1; i < n_part; i++)
        json_array_append_new(domains, json_pack("{s:s, s:I, s:o}", "domain", parts[i].domain,
                                                 "queries", (json_int_t)parts[i].n, "strategies",
                                                 part_json(&parts[i], &r->cells)));
    for (int i = 0; i < n_curve; i++)
        json_array_append_new(list, curve_json(&curves[i]));
    if (n_part > 1)
        json_object_set(o, "domains", domains);
    if (n_curve)
        json_object_set(o, "curves", list);
    json_decref(domains);
    json_decref(list);
}

/* ---- the table ---- */

/* "80.4 [79.1, 81.6]", in percent. */
static void put_percent(char out[64], const char *estimate, const struct lmw_interval *x)
{
    char v[32], lower[32], upper[32];
    route_put(v, x->value, 100, 1);
    route_put(lower, x->lower, 100, 1);
    route_put(upper, x->upper, 100, 1);
    estimate = isfinite(x->value) ? estimate : "";
    snprintf(out, 64, isfinite(x->lower) ? "%s%s [%s, %s]" : "%s%s", estimate, v, lower, upper);
}

static void put_strategy(struct lmw_grid *g, const struct lmw_strategy *s,
                         const struct lmw_routed *r, const char *estimate)
{
    char local[32], right[64], kept[32], saved[64], compute[32], cost[32], j[40], wasted[40];
    route_put(local, r->share_local.value, 100, 1);
    put_percent(right, "", &r->accuracy);
    route_put(kept, r->quality_kept.value, 100, 1);
    put_percent(saved, estimate, &r->saving[LMW_JOULES]);
    route_put(compute, r->saving[LMW_FLOPS].value, 100, 1);
    route_put(cost, r->saving[LMW_USD].value, 100, 1);
    route_amount(j, estimate, r->mean[LMW_JOULES], 3);
    route_amount(wasted, estimate, r->wasted_j, 3);
    const char *const cells[] = {s->name, local, right, kept, saved, compute, cost, j, wasted};
    route_row(g, cells);
}

static int print_part(const struct part *p, const char *estimate, struct lmw_err *err)
{
    const char *const heads[] = {p->domain ? p->domain : "strategy",
                                 "local",
                                 "right",
                                 "kept",
                                 "energy saved",
                                 "compute",
                                 "cost",
                                 "J/query",
                                 "wasted"};
    static const char *const units[] = {"",  "%", "% [95 %]", "%",      "% [95 %]",
                                        "%", "%", "",         "J/query"};
    struct lmw_grid g = {.n_column = sizeof units / sizeof *units};
    route_row(&g, heads);
    route_row(&g, units);
    for (int i = 0; i < p->n_strategy; i++)
        put_strategy(&g, &p->s[i], &p->r[i], estimate);
    return route_print(&g, err);
}

void route_print_router(const struct route_job *j)
{
    const struct lmw_router_info *i = lmw_router_info(j->router);
    if (j->n_seen)
        printf("Only questions the router has not seen: fold %d of %d, seed %llu; %lld others are "
               "left out.\n",
               i->held_out, i->n_fold, (unsigned long long)i->seed, (long long)j->n_seen);
    else if (j->router_path)
        printf("The router may have learned from these very questions: its figures flatter.\n");
    printf("A decision of the router takes %.2g ms and ~%.2g J, which are in its sums.\n",
           i->own_ms, i->own_j);
    if (i->n_repeat > 1)
        printf(
            "A local model is asked %lld times, to see whether it agrees with itself; all of them "
            "are paid.\n",
            (long long)i->n_repeat);
}

static void print_notes(const struct route_job *j)
{
    const struct lmw_routes *r = &j->routes;
    const struct lmw_cells *c = &r->cells;
    enum lmw_quantity price = lmw_route_price(c);
    printf("\n%lld %s; savings are of what always-cloud (%s) pays.\n", (long long)c->n,
           c->n == 1 ? "query" : "queries", c->model[c->n_local]);
    if (r->n_left_out)
        printf("%lld questions that not every run was asked are left out.\n",
               (long long)r->n_left_out);
    for (enum lmw_quantity k = LMW_JOULES; k <= LMW_USD; k++) {
        int64_t n = lmw_route_known(c, k);
        if (n == 0)
            printf("The %s of some run is not known for any query.\n", lmw_quantity_names[k]);
        else if (n < c->n)
            printf("The %s of %lld of them is not known of every run: in no sum of it.\n",
                   lmw_quantity_names[k], (long long)(c->n - n));
    }
    if (price == LMW_QUANTITIES)
        printf("Nothing tells which local model is the cheapest: taken as named.\n");
    else
        printf("Cheapest is by %s.\n", lmw_quantity_names[price]);
    if (r->estimated)
        printf("~ joules are an estimate: no power meter was there.\n");
    if (j->router)
        route_print_router(j);
    if (r->mixed_basis)
        printf("The runs' joules are of different rails: a saving across them is only as good as "
               "that.\n");
}

static void put_curve(struct lmw_grid *g, const struct lmw_curve *c)
{
    char aiq[32], apgr[32], cpt50[32], cpt80[32];
    route_put(aiq, c->aiq, 1, 4);
    route_put(apgr, c->apgr, 1, 3);
    route_put(cpt50, c->cpt50, 100, 1);
    route_put(cpt80, c->cpt80, 100, 1);
    const char *const cells[] = {c->name, aiq, apgr, cpt50, cpt80};
    route_row(g, cells);
}

static int print_curves(const struct lmw_curve *c, int n, enum lmw_quantity kind,
                        struct lmw_err *err)
{
    static const char *const units[LMW_QUANTITIES + 1] = {"J", "FLOPs", "USD", "s", "price"};
    static const char *const heads[] = {"curve", "AIQ", "APGR", "CPT(50) %", "CPT(80) %"};
    struct lmw_grid g = {.n_column = sizeof heads / sizeof *heads};
    route_row(&g, heads);
    for (int i = 0; i < n; i++)
        put_curve(&g, &c[i]);
    puts("");
    int rc = route_print(&g, err);
    for (int i = 0; i < n && rc == LMW_OK; i++) {
        printf("\n%s: cloud %%, right %%, %s per query\n", c[i].name, units[kind]);
        for (int k = 0; k < LMW_CURVE_POINTS; k += 10) {
            char price[40];
            route_amount(price, "", c[i].point[k].price, 4);
            printf("  %5.1f  %5.1f  %s\n", 100 * c[i].point[k].share_cloud,
                   100 * c[i].point[k].accuracy, price);
        }
    }
    return rc;
}

/* ---- the job ---- */

static int simulate_part(struct route_job *j, const struct lmw_cells *c, struct part *p,
                         struct lmw_err *err)
{
    struct lmw_routed *r = LMW_NEW(&j->arena, struct lmw_routed, (size_t)p->n_strategy);
    if (!r)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d strategies", p->n_strategy);
    p->r = r;
    p->n = c->n;
    return lmw_route_simulate(c, p->s, p->n_strategy, r, j->arena, err);
}

/* The strategies over some of the queries: what a router decided goes along. */
static int some_choices(struct route_job *j, struct part *p, const int64_t *which, int64_t n,
                        struct lmw_err *err)
{
    struct lmw_strategy *s = LMW_NEW(&j->arena, struct lmw_strategy, (size_t)p->n_strategy);
    int16_t *choice = LMW_NEW(&j->arena, int16_t, (size_t)n);
    if (!s || !choice)
        return lmw_fail(err, LMW_ENOMEM, "no memory for domains");
    for (int i = 0; i < p->n_strategy; i++) {
        s[i] = p->s[i];
        if (!s[i].choice)
            continue;
        for (int64_t k = 0; k < n; k++)
            choice[k] = s[i].choice[which[k]];
        s[i].choice = choice;
    }
    p->s = s;
    return LMW_OK;
}

/* The queries of each domain as a part of their own, behind parts[0]; the cheapest model stays the
 * one that is the cheapest over all. */
static int add_domains(struct route_job *j, struct part *parts, int *n_part, struct lmw_err *err)
{
    const struct lmw_routes *r = &j->routes;
    int64_t *which = LMW_NEW(&j->arena, int64_t, (size_t)r->cells.n);
    struct lmw_cells all = r->cells;
    int rank[LMW_LOCAL_MAX], rc = lmw_route_rank(&all, rank, j->arena, err);
    if (rc < 0)
        return rc;
    if (!which)
        return lmw_fail(err, LMW_ENOMEM, "no memory for domains");
    all.rank = rank;
    for (int d = 0; d < r->frame.n_domain; d++) {
        struct lmw_cells some;
        int64_t n = 0;
        for (int64_t q = 0; q < r->cells.n; q++) {
            if (r->frame.domain_of[r->query[q]] == d)
                which[n++] = q;
        }
        if (n == 0)
            continue;
        struct part *p = &parts[(*n_part)++];
        *p = parts[0];
        p->domain = r->frame.domain[d];
        rc = lmw_cells_some(&all, which, n, &j->arena, &some, err);
        if (rc == LMW_OK)
            rc = some_choices(j, p, which, n, err);
        if (rc < 0 || (rc = simulate_part(j, &some, p, err)) < 0)
            return rc;
    }
    return LMW_OK;
}

static int add_curves(struct route_job *j, struct lmw_curve *curves, int *n, struct lmw_err *err)
{
    const struct lmw_cells *c = &j->routes.cells;
    int rc = lmw_curve_random(c, &curves[(*n)++], j->arena, err);
    if (rc == LMW_OK)
        rc = lmw_curve_oracle(c, &curves[(*n)++], j->arena, err);
    if (rc < 0 || !j->trust)
        return rc;
    struct lmw_curve *fitted = &curves[(*n)++];
    snprintf(fitted->name, sizeof fitted->name, "%s", j->fitted.name);
    return lmw_curve_router(c, j->trust, &j->fitted, fitted, j->arena, err);
}

static int print_text(const struct route_job *j, const struct part *parts, int n_part,
                      const struct lmw_curve *curves, int n_curve, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < n_part && rc == LMW_OK; i++) {
        if (i)
            puts("");
        rc = print_part(&parts[i], j->routes.estimated ? "~" : "", err);
    }
    if (n_curve && rc == LMW_OK)
        rc = print_curves(curves, n_curve, lmw_route_price(&j->routes.cells), err);
    if (rc == LMW_OK)
        print_notes(j);
    return rc;
}

int route_figures(struct route_job *j, json_t *into, struct lmw_err *err)
{
    struct lmw_strategy *s;
    struct part *parts = LMW_NEW(&j->arena, struct part, (size_t)j->routes.frame.n_domain + 1);
    struct lmw_curve *curves = LMW_NEW(&j->arena, struct lmw_curve, 3);
    int n_part = 1, n_curve = 0, n = 0, rc;
    if (!parts || !curves)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the tables");
    if ((rc = route_strategies(j, &s, &n, err)) < 0)
        return rc;
    parts[0] = (struct part){.s = s, .n_strategy = n};
    if ((rc = simulate_part(j, &j->routes.cells, &parts[0], err)) < 0 ||
        (j->by && (rc = add_domains(j, parts, &n_part, err)) < 0) ||
        (j->curve && (rc = add_curves(j, curves, &n_curve, err)) < 0))
        return rc;
    if (!into)
        return print_text(j, parts, n_part, curves, n_curve, err);
    put_json(into, j, parts, n_part, curves, n_curve);
    return LMW_OK;
}

int route_simulate(struct route_job *j, struct lmw_err *err)
{
    json_t *o = j->json ? json_object() : NULL;
    int rc = route_figures(j, o, err);
    if (rc == LMW_OK && o)
        return -cli_json_print(o);
    json_decref(o);
    return rc;
}
