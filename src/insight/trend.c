/* The best pair of each year, and the gain from the first to the last taken apart.
 *
 * With acc and P the means of a pair (model m, machine h), IPW = acc / P. Published ("Intelligence
 * per Watt", section 4.2; see docs/insight.md): all of the accuracy is credited to the model, all
 * of the power to the machine, model = acc1 / acc0, hardware = P0 / P1: exact as a product, but a
 * model also draws power and needs no other runs. Symmetric: what the model brings on each machine
 * and what the machine brings under each model, the geometric mean over both orders,
 *
 *     model = sqrt(IPW(m1,h0) / IPW(m0,h0) x IPW(m1,h1) / IPW(m0,h1)),  hardware likewise
 *
 * (Shapley's value of the two in logarithms). It needs the crossed pairs, old model on new machine
 * and new model on old, and is refused without. */
#include "insight/insight.h"

#include "base/resample.h"

#include <math.h>
#include <stdlib.h>

enum { OLD, NEW, OLD_ON_NEW, NEW_ON_OLD, N_PLACE }; /* of the four pairs */
enum { ACC, COST, N, N_SUM };

struct pairs {
    const struct lmw_frame *f;
    const struct lmw_run_dates *dates;
    const struct lmw_summary *rows;
    enum lmw_value cost;
    enum lmw_figure metric;
};

static double accuracy_of(const double *sum)
{
    return sum[ACC] / sum[N];
}

static double cost_of(const double *sum)
{
    return sum[COST] / sum[N];
}

/* --- sums over the questions of the frame, the same units for every run --- */

static double metric_of(const struct pairs *p, int run)
{
    return p->rows[run].figure[p->metric].value;
}

static int sum_run(const struct pairs *p, int run, const int32_t *unit, int at, struct lmw_sums *s)
{
    const struct lmw_frame_run *r = &p->f->run[run];
    int n = 0;
    for (size_t i = r->first; i < r->first + r->n; i++) {
        double acc = p->f->v[LMW_V_ACC][i], cost = p->f->v[p->cost][i];
        int32_t u = unit[p->f->query_of[i]];
        if (!isfinite(acc + cost))
            continue;
        *lmw_sums_at(s, u, at + ACC) += acc;
        *lmw_sums_at(s, u, at + COST) += cost;
        *lmw_sums_at(s, u, at + N) += 1;
        n++;
    }
    return n;
}

/* --- years --- */

static bool is_pair(const struct pairs *p, int run, const char *model, const char *machine)
{
    const struct lmw_frame_run *r = &p->f->run[run];
    return r->model && r->machine && model && machine && strcmp(r->model, model) == 0 &&
           strcmp(r->machine, machine) == 0;
}

static int by_year(const void *a, const void *b)
{
    return ((const struct lmw_trend_year *)a)->year - ((const struct lmw_trend_year *)b)->year;
}

static int find_years(const struct pairs *p, struct lmw_trend *out, struct lmw_arena *arena)
{
    out->year = LMW_NEW(arena, struct lmw_trend_year, (size_t)p->f->n_run);
    if (!out->year)
        return LMW_ENOMEM;
    for (int i = 0; i < p->f->n_run; i++) {
        int k = 0;
        out->n_undated += p->dates[i].year == 0;
        out->n_without += p->dates[i].year != 0 && !isfinite(metric_of(p, i));
        if (p->dates[i].year == 0 || !isfinite(metric_of(p, i)))
            continue;
        while (k < out->n_year && out->year[k].year != p->dates[i].year)
            k++;
        out->n_year += k == out->n_year;
        if (out->year[k].year == 0 || metric_of(p, i) > metric_of(p, out->year[k].run))
            out->year[k] = (struct lmw_trend_year){.year = p->dates[i].year, .run = i};
    }
    qsort(out->year, (size_t)out->n_year, sizeof *out->year, by_year);
    return LMW_OK;
}

/* --- the draws --- */

/* What one resample says, from the sums of up to four runs. */
enum { TOTAL, MODEL, HARDWARE, SYM_MODEL, SYM_HARDWARE, N_FACTOR };

static void factors_of(const double *sum, bool crossed, double out[N_FACTOR])
{
    double acc[N_PLACE], cost[N_PLACE], ipw[N_PLACE];
    for (int k = 0; k < N_PLACE; k++) {
        acc[k] = accuracy_of(sum + k * N_SUM);
        cost[k] = cost_of(sum + k * N_SUM);
        ipw[k] = acc[k] / cost[k];
    }
    out[TOTAL] = ipw[NEW] / ipw[OLD];
    out[MODEL] = acc[NEW] / acc[OLD];
    out[HARDWARE] = cost[OLD] / cost[NEW];
    out[SYM_MODEL] = sqrt(ipw[NEW_ON_OLD] / ipw[OLD] * (ipw[NEW] / ipw[OLD_ON_NEW]));
    out[SYM_HARDWARE] = sqrt(ipw[OLD_ON_NEW] / ipw[OLD] * (ipw[NEW] / ipw[NEW_ON_OLD]));
    if (!crossed)
        out[SYM_MODEL] = out[SYM_HARDWARE] = (double)NAN;
}

static int draw_factors(const struct pairs *p, const int place[N_PLACE], bool crossed,
                        struct lmw_interval factor[N_FACTOR], struct lmw_arena scratch,
                        struct lmw_err *err)
{
    struct lmw_sums s;
    struct lmw_resample r;
    double total[N_PLACE * N_SUM], v[N_FACTOR];
    double *draws = LMW_NEW(&scratch, double, (size_t)N_FACTOR *LMW_RESAMPLES);
    int32_t *unit = LMW_NEW(&scratch, int32_t, (size_t)p->f->n_query + 1);
    int n_unit = unit ? lmw_units(unit, p->f->n_query) : 0, n = 0;
    int rc = lmw_resample_open(&r, &scratch, err);
    if (rc < 0 || (rc = lmw_sums_open(&s, n_unit, N_PLACE * N_SUM, &scratch, err)) < 0)
        return rc;
    if (!draws || !unit)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a trend");
    for (int k = 0; k < (crossed ? N_PLACE : 2); k++)
        n += sum_run(p, place[k], unit, k * N_SUM, &s);
    lmw_resample_draw(&r, n_unit);
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        factors_of(lmw_sums_draw(&s, &r, b), crossed, v);
        for (int k = 0; k < N_FACTOR; k++)
            draws[k * LMW_RESAMPLES + b] = v[k];
    }
    lmw_sums_total(&s, total);
    factors_of(total, crossed, v);
    for (int k = 0; k < N_FACTOR; k++)
        factor[k] = lmw_interval_of(v[k], draws + k * LMW_RESAMPLES, n_unit < 2 ? 1 : n);
    return LMW_OK;
}

/* --- the split --- */

/* The best run of a pair, or -1. */
static int find_pair(const struct pairs *p, int model_of, int machine_of)
{
    int best = -1;
    for (int i = 0; i < p->f->n_run; i++) {
        if (is_pair(p, i, p->f->run[model_of].model, p->f->run[machine_of].machine) &&
            isfinite(metric_of(p, i)) && (best < 0 || metric_of(p, i) > metric_of(p, best)))
            best = i;
    }
    return best;
}

static const char *why_not(const struct pairs *p, const int place[N_PLACE],
                           struct lmw_arena *arena)
{
    const struct lmw_frame_run *a = &p->f->run[place[OLD]], *b = &p->f->run[place[NEW]];
    struct lmw_buf text = {0};
    if (!a->model || !a->machine || !b->model || !b->machine) {
        lmw_buf_str(&text, "the records do not say which model and which machine");
    } else {
        lmw_buf_str(&text, "no record of");
        if (place[OLD_ON_NEW] < 0)
            lmw_buf_printf(&text, " %s on %s", a->model, b->machine);
        if (place[NEW_ON_OLD] < 0)
            lmw_buf_printf(&text, "%s %s on %s", place[OLD_ON_NEW] < 0 ? ", nor of" : "", b->model,
                           a->machine);
    }
    const char *why = lmw_arena_str(arena, (lmw_str){text.ptr, text.len});
    lmw_buf_free(&text);
    return why;
}

static void fill_split(struct lmw_split *s, const int *place, int n, struct lmw_interval model,
                       struct lmw_interval hardware)
{
    *s = (struct lmw_split){.known = isfinite(model.value) && isfinite(hardware.value),
                            .why = "one of the pairs is never right",
                            .model = model,
                            .hardware = hardware,
                            .n_run = n};
    memcpy(s->run, place, sizeof *place * (size_t)n);
}

static int split(const struct pairs *p, struct lmw_trend *out, struct lmw_arena *arena,
                 struct lmw_err *err)
{
    int place[N_PLACE] = {out->year[0].run, out->year[out->n_year - 1].run};
    struct lmw_interval factor[N_FACTOR];
    place[OLD_ON_NEW] = find_pair(p, place[OLD], place[NEW]);
    place[NEW_ON_OLD] = find_pair(p, place[NEW], place[OLD]);
    bool crossed = place[OLD_ON_NEW] >= 0 && place[NEW_ON_OLD] >= 0;
    int rc = draw_factors(p, place, crossed, factor, *arena, err);
    if (rc < 0)
        return rc;
    out->total = factor[TOTAL];
    fill_split(&out->published, place, 2, factor[MODEL], factor[HARDWARE]);
    fill_split(&out->symmetric, place, crossed ? N_PLACE : 2, factor[SYM_MODEL],
               factor[SYM_HARDWARE]);
    if (!crossed)
        out->symmetric.why = why_not(p, place, arena);
    return LMW_OK;
}

/* --- */

static void fill_years(const struct pairs *p, struct lmw_trend *out)
{
    for (int k = 0; k < out->n_year; k++) {
        struct lmw_trend_year *y = &out->year[k];
        y->metric = p->rows[y->run].figure[p->metric];
        y->accuracy = p->rows[y->run].figure[LMW_FIG_ACCURACY];
        y->step = k ? y->metric.value / out->year[k - 1].metric.value : (double)NAN;
    }
}

static int check_workload(const struct lmw_frame *f, struct lmw_err *err)
{
    for (int i = 1; i < f->n_run; i++) {
        const char *a = f->run[0].workload, *b = f->run[i].workload;
        if (strcmp(a ? a : "", b ? b : "") != 0)
            return lmw_fail(
                err, LMW_EARG, "'%s' answers %s, '%s' answers %s: name runs of one workload",
                f->run[0].run.name, a ? a : "(none)", f->run[i].run.name, b ? b : "(none)");
    }
    return LMW_OK;
}

int lmw_trend_of(const struct lmw_frame *f, const struct lmw_summary *rows,
                 const struct lmw_run_dates *dates, bool per_joule, struct lmw_arena *arena,
                 struct lmw_trend *out, struct lmw_err *err)
{
    const struct lmw_interval unknown = {(double)NAN, (double)NAN, (double)NAN, 0};
    const struct pairs p = {f, dates, rows, per_joule ? LMW_V_ENERGY : LMW_V_POWER,
                            per_joule ? LMW_FIG_IPJ : LMW_FIG_IPW};
    int rc = check_workload(f, err);
    *out = (struct lmw_trend){.per_joule = per_joule, .total = unknown};
    out->published.why = out->symmetric.why = "fewer than two years";
    if (rc < 0)
        return rc;
    if (find_years(&p, out, arena) < 0)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d years", f->n_run);
    fill_years(&p, out);
    return out->n_year < 2 ? LMW_OK : split(&p, out, arena, err);
}
