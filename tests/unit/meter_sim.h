/* Simulated power with a known energy, and simulated sensors looking at it. Seeded: the same
 * figures everywhere.
 *
 * Power is a list of straight pieces of E(t): queries of query_w (with prefill at prefill_w while
 * prefill_s lasts), gaps of idle_w, each multiplied by noise that is redrawn every 10 ms. A
 * counter shows E at its last update, a power meter the mean of the window before its last update
 * (or of the moment: a millisecond); a log polls it. */
#ifndef LMW_TESTS_METER_SIM_H
#define LMW_TESTS_METER_SIM_H

#include <math.h>
#include <stdlib.h>

#include "base/record.h"
#include "base/rng.h"
#include "base/stat.h"
#include "meter/meter.h"

struct sim {
    /* what happens */
    double idle_w, query_w, prefill_w, query_s, prefill_s, gap_s;
    double spread; /* lengths vary by this fraction, uniformly */
    double noise;  /* of power, uniform +- this fraction, every 10 ms */
    double vary;   /* of each query's power */
    double rise_s; /* a query's power rises from idle_w for so long */
    int n_query;
    /* who looks */
    double period_s, jitter_s; /* the counter's updates, and how irregular they are (uniform) */
    double poll_s, poll_jitter_s;
    bool mark_reads; /* also read at every mark, as the live meter does */
    bool power;      /* a power meter */
    double window_s; /* its readings are means of so long; 0: of the moment */
    bool unstated;   /* and the meter is not told */
    bool forgets;    /* they are exponential means with window_s for time constant instead */
    double
        stall_s; /* one poll in twenty comes up to this late, and those due meanwhile not at all */
    bool as_made;   /* a row for each update, instead of polls */
    double drop;    /* this share of the rows is missing */
    double fail;    /* and this share is empty */
    int64_t step;   /* of what is shown, uJ or mW; 0: 1 */
    double reset_s; /* then the counter starts again from 0; 0: never */
    int64_t wrap_uj;
    uint64_t seed;
    /* the truth */
    double *t, *e;
    size_t n, cap;
    struct lmw_span *span;
    double *true_uj, *true_prefill_uj;
};

static double sim_spread(struct lmw_rng *r, double x, double f)
{
    return x * (1 + f * (2 * lmw_rng_unit(r) - 1));
}

static void sim_push(struct sim *s, double dt, double w)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 4096;
        s->t = realloc(s->t, s->cap * sizeof *s->t);
        s->e = realloc(s->e, s->cap * sizeof *s->e);
        if (!s->n) {
            s->t[0] = s->e[0] = 0;
            s->n = 1;
        }
    }
    s->t[s->n] = s->t[s->n - 1] + dt;
    s->e[s->n] = s->e[s->n - 1] + dt * w;
    s->n++;
}

/* dt seconds at about w, in noise cells of 10 ms. */
static void sim_phase(struct sim *s, struct lmw_rng *r, double dt, double w)
{
    for (double left = dt; left > 1e-9; left -= 0.01)
        sim_push(s, left < 0.01 ? left : 0.01, sim_spread(r, w, s->noise));
}

static double sim_energy_at(const struct sim *s, double t)
{
    size_t lo = 0, hi = s->n - 1;
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (s->t[mid] <= t)
            lo = mid;
        else
            hi = mid;
    }
    double f = (t - s->t[lo]) / (s->t[hi] - s->t[lo]);
    return s->e[lo] + (s->e[hi] - s->e[lo]) * (f < 0 ? 0 : f > 1 ? 1 : f);
}

/* Draws the truth: a lead-in, the queries and their gaps, a lead-out. */
static void sim_draw(struct sim *s)
{
    struct lmw_rng r;
    lmw_rng_init(&r, s->seed);
    s->span = calloc((size_t)s->n_query, sizeof *s->span);
    s->true_uj = calloc((size_t)s->n_query, sizeof *s->true_uj);
    s->true_prefill_uj = calloc((size_t)s->n_query, sizeof *s->true_prefill_uj);
    sim_phase(s, &r, 1.0 + lmw_rng_unit(&r), s->idle_w);
    for (int i = 0; i < s->n_query; i++) {
        double t0 = s->t[s->n - 1], e0 = s->e[s->n - 1],
               len = sim_spread(&r, s->query_s, s->spread),
               as = s->vary > 0 ? sim_spread(&r, 1, s->vary) : 1;
        s->span[i] = (struct lmw_span){(int64_t)(t0 * 1e9), LMW_NULL, 0};
        if (s->prefill_s > 0) {
            sim_phase(s, &r, s->prefill_s, s->prefill_w * as);
            s->span[i].first_ns = (int64_t)(s->t[s->n - 1] * 1e9);
            s->true_prefill_uj[i] = (s->e[s->n - 1] - e0) * 1e6;
        }
        for (int k = 0; s->rise_s > 0 && k < 20; k++)
            sim_push(s, s->rise_s / 20,
                     s->idle_w + (s->query_w * as - s->idle_w) * (k + 0.5) / 20);
        sim_phase(s, &r, len - s->prefill_s - s->rise_s, s->query_w * as);
        s->span[i].end_ns = (int64_t)(s->t[s->n - 1] * 1e9);
        s->true_uj[i] = (s->e[s->n - 1] - e0) * 1e6;
        sim_phase(s, &r, sim_spread(&r, s->gap_s, s->spread), s->idle_w);
    }
    sim_phase(s, &r, 2, s->idle_w);
}

static int sim_cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The exponential mean at t, mW: of what is longer ago than 12 time constants nothing is left. */
static double sim_remembered(const struct sim *s, double t)
{
    double mean = 0, w = s->window_s, last_w = 0;
    for (size_t i = 0; i + 1 < s->n && s->t[i] < t; i++) {
        if (s->t[i + 1] < t - 12 * w)
            continue;
        double a = fmax(s->t[i], t - 12 * w), b = fmin(s->t[i + 1], t);
        last_w = (s->e[i + 1] - s->e[i]) / (s->t[i + 1] - s->t[i]);
        mean += last_w * (exp((b - t) / w) - exp((a - t) / w));
    }
    return mean / (1 - exp(-fmin(t, 12 * w) / w)) * 1e3;
}

/* What is shown from an update at t on: uJ, or mW. */
static int64_t sim_shown(const struct sim *s, double t)
{
    int64_t step = s->step > 0 ? s->step : 1;
    if (!s->power) {
        double since = s->reset_s > 0 && t >= s->reset_s ? sim_energy_at(s, s->reset_s) : 0;
        int64_t uj = (int64_t)((sim_energy_at(s, t) - since) * 1e6);
        uj -= uj % step;
        return s->wrap_uj ? uj % s->wrap_uj : uj;
    }
    if (s->forgets)
        return (int64_t)sim_remembered(s, t) / step * step;
    double window = s->window_s > 0 ? s->window_s : 0.001, from = t > window ? t - window : 0;
    int64_t mw = (int64_t)((sim_energy_at(s, t) - sim_energy_at(s, from)) / (t - from) * 1e3);
    return mw - mw % step;
}

/* When the log looks; returns how often. */
static size_t sim_looks(const struct sim *s, struct lmw_rng *r, const double *up, size_t n_up,
                        double end, double *poll)
{
    size_t n_poll = (size_t)(end / s->poll_s) + 3, n = 0;
    for (size_t i = 0; s->as_made && i < n_up; i++) {
        if (up[i] > 0 && up[i] < end)
            poll[n++] = up[i];
    }
    for (size_t i = 1; !s->as_made && i < n_poll; i++) {
        double t = s->poll_s * (double)i + s->poll_jitter_s * (2 * lmw_rng_unit(r) - 1);
        if (s->stall_s > 0 && lmw_rng_unit(r) < 0.05) {
            t += s->stall_s * lmw_rng_unit(r);
            i = (size_t)(t / s->poll_s) > i ? (size_t)(t / s->poll_s) : i;
        }
        if (t < end)
            poll[n++] = t;
    }
    for (int i = 0; s->mark_reads && i < s->n_query; i++) {
        poll[n++] = (double)s->span[i].start_ns * 1e-9;
        poll[n++] = (double)s->span[i].end_ns * 1e-9;
        if (s->span[i].first_ns != LMW_NULL)
            poll[n++] = (double)s->span[i].first_ns * 1e-9;
    }
    qsort(poll, n, sizeof *poll, sim_cmp);
    return n;
}

/* What a log says: CSV text of t_ns,energy_uj or t_ns,power_mw. */
static void sim_log(const struct sim *s, struct lmw_buf *out)
{
    struct lmw_rng r;
    lmw_rng_init(&r, s->seed + 1);
    double end = s->t[s->n - 1] - 0.5, phase = lmw_rng_unit(&r) * s->period_s;
    size_t n_up = (size_t)(end / s->period_s) + 3;
    size_t n_row = (size_t)(end / s->poll_s) + 3 + 3 * (size_t)s->n_query + n_up;
    double *up = malloc(n_up * sizeof *up), *poll = malloc(n_row * sizeof *poll);
    for (size_t i = 0; i < n_up; i++)
        up[i] = phase + s->period_s * (double)i + s->jitter_s * (2 * lmw_rng_unit(&r) - 1);
    size_t n = sim_looks(s, &r, up, n_up, end, poll);
    lmw_buf_str(out, s->power ? "t_ns,power_mw\n" : "t_ns,energy_uj\n");
    size_t u = 0;
    for (size_t i = 0; i < n; i++) {
        while (u + 1 < n_up && up[u + 1] <= poll[i])
            u++;
        int64_t v = up[u] <= poll[i] ? sim_shown(s, up[u]) : 0;
        if ((s->drop > 0 && lmw_rng_unit(&r) < s->drop) || (up[u] > poll[i] && s->power))
            continue;
        if (s->fail > 0 && lmw_rng_unit(&r) < s->fail)
            lmw_buf_printf(out, "%lld,\n", (long long)(poll[i] * 1e9));
        else
            lmw_buf_printf(out, "%lld,%lld\n", (long long)(poll[i] * 1e9), (long long)v);
    }
    free(up);
    free(poll);
}

static void sim_free(struct sim *s)
{
    free(s->t);
    free(s->e);
    free(s->span);
    free(s->true_uj);
    free(s->true_prefill_uj);
}

/* One query of a log: what the meter said of it. */
struct sim_answer {
    double uj, lower_uj, upper_uj, true_uj;
    bool valid;
    char reason[96];
};

struct sim_score {
    double bias, p95, coverage,
        width; /* sum's error, single queries', share covered, median width: fractions */
    int n_valid;
};

/* Attributes every query of the log; out[n_query]. Logs that are read at marks one by one, as a
 * live meter does; others at once. period_s: what the meter is told; 0: nothing. */
static int sim_ask(struct sim *s, double period_s, struct sim_answer *out, struct lmw_err *err)
{
    struct lmw_source_info info = {.name = "sim", .wrap_uj = s->wrap_uj, .resolution_uj = 1};
    struct lmw_trace *t;
    struct lmw_buf log = {0};
    info.reading = s->power ? LMW_POWER : LMW_COUNTER;
    info.window_ns = s->unstated ? LMW_NULL : (int64_t)(s->window_s * 1e9);
    info.period_ns = period_s > 0 ? (int64_t)(period_s * 1e9) : LMW_NULL;
    if (s->step > 0)
        info.resolution_uj = LMW_NULL;
    sim_draw(s);
    sim_log(s, &log);
    int rc = lmw_trace_open(&t, &info, err);
    if (rc == LMW_OK)
        rc = lmw_trace_csv(t, (lmw_str){log.ptr, log.len}, err);
    struct lmw_energy *x = calloc((size_t)s->n_query, sizeof *x);
    for (int i = 0; i < s->n_query && rc == LMW_OK; i++)
        rc = lmw_trace_announce(t, &s->span[i], err);
    if (rc == LMW_OK && !s->mark_reads)
        rc = lmw_trace_share(t, s->span, NULL, s->n_query, x, err);
    for (int i = 0; i < s->n_query && rc == LMW_OK; i++) {
        if (s->mark_reads && (rc = lmw_trace_span(t, &s->span[i], &x[i], err)) < 0)
            break;
        out[i] = (struct sim_answer){.uj = (double)x[i].energy_uj,
                                     .lower_uj = (double)x[i].lower_uj,
                                     .upper_uj = (double)x[i].upper_uj,
                                     .true_uj = s->true_uj[i],
                                     .valid = x[i].valid};
        memcpy(out[i].reason, x[i].reason, sizeof out[i].reason);
    }
    free(x);
    lmw_trace_close(t);
    lmw_buf_free(&log);
    sim_free(s);
    return rc;
}

static __attribute__((unused)) struct sim_score sim_run(struct sim *s, double period_s,
                                                        struct lmw_err *err)
{
    struct sim_score score = {0};
    double sum = 0, truth = 0, *e = calloc((size_t)s->n_query, 16), *w = e + s->n_query;
    struct sim_answer *a = calloc((size_t)s->n_query, sizeof *a);
    int rc = sim_ask(s, period_s, a, err);
    for (int i = 0; i < s->n_query && rc == LMW_OK; i++) {
        double tr = a[i].true_uj;
        if (!a[i].valid)
            continue;
        sum += a[i].uj;
        truth += tr;
        score.coverage += a[i].lower_uj <= tr && tr <= a[i].upper_uj;
        e[score.n_valid] = fabs(a[i].uj - tr) / tr;
        w[score.n_valid++] = (a[i].upper_uj - a[i].lower_uj) / tr;
    }
    score.bias = sum / truth - 1;
    score.p95 = lmw_quantile(e, (size_t)score.n_valid, 0.95);
    score.width = lmw_quantile(w, (size_t)score.n_valid, 0.5);
    score.coverage /= score.n_valid ? score.n_valid : 1;
    free(a);
    free(e);
    return score;
}

#endif
