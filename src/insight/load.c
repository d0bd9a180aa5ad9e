/* Queries in flight, from begins and ends: n(t) is a staircase, its integral I(t) a polygon, and
 * the mean over a query is (I(end) - I(begin)) / (end - begin), itself included. */
#include "insight/figures.h"

#include <math.h>
#include <stdlib.h>

struct step {
    double t, change; /* +1 where a query begins, -1 where one ends */
    double integral;  /* of n up to t */
    double n;         /* from t on */
};

static int by_time(const void *pa, const void *pb)
{
    const struct step *a = pa, *b = pb;
    return a->t != b->t ? (a->t > b->t) - (a->t < b->t)
                        : (a->change > b->change) - (a->change < b->change);
}

static double end_of(const struct lmw_frame *f, size_t i)
{
    return f->v[LMW_V_START][i] + f->v[LMW_V_LATENCY][i];
}

static bool is_timed(const struct lmw_frame *f, size_t i)
{
    return isfinite(end_of(f, i)) && f->v[LMW_V_LATENCY][i] > 0;
}

static size_t make_steps(const struct lmw_frame *f, const struct lmw_frame_run *run,
                         struct step *step)
{
    size_t n = 0;
    for (size_t i = run->first; i < run->first + run->n; i++) {
        if (!is_timed(f, i))
            continue;
        step[n++] = (struct step){.t = f->v[LMW_V_START][i], .change = 1};
        step[n++] = (struct step){.t = end_of(f, i), .change = -1};
    }
    qsort(step, n, sizeof *step, by_time);
    for (size_t i = 0; i < n; i++) {
        const struct step *before = i ? &step[i - 1] : NULL;
        step[i].integral = before ? before->integral + before->n * (step[i].t - before->t) : 0;
        step[i].n = (before ? before->n : 0) + step[i].change;
    }
    return n;
}

static double integral_at(const struct step *step, size_t n, double t)
{
    size_t lo = 0, hi = n; /* the last step at or before t */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (step[mid].t <= t)
            lo = mid;
        else
            hi = mid;
    }
    return step[lo].integral + step[lo].n * (t - step[lo].t);
}

/* 1, 2, 3..4, 5..8: the bucket of a mean, rounded. */
static int bucket_of(double in_flight)
{
    int k = 0;
    for (long n = lround(in_flight); (1L << k) < n && k + 1 < LMW_LOADS_MAX;)
        k++;
    return k;
}

enum { ACC, ACC_N, RIGHT, JOULES, JOULES_N, SECONDS, SECONDS_N, FIRST, FIRST_N, N_SUM };
static const struct {
    int top, bottom;
} figures[] = {
    {ACC, ACC_N}, {RIGHT, JOULES}, {JOULES, JOULES_N}, {SECONDS, SECONDS_N}, {FIRST, FIRST_N}};
enum { N_FIGURE = sizeof figures / sizeof *figures };

static void add(struct lmw_sums *s, int u, const struct lmw_frame *f, size_t i)
{
    double acc = f->v[LMW_V_ACC][i], joules = f->v[LMW_V_ENERGY][i], first = f->v[LMW_V_TTFT][i];
    double v[N_SUM] = {[SECONDS] = f->v[LMW_V_LATENCY][i], [SECONDS_N] = 1};
    if (isfinite(acc)) {
        v[ACC] = acc;
        v[ACC_N] = 1;
    }
    if (isfinite(joules)) {
        v[RIGHT] = acc; /* unknown accuracy makes IPJ unknown */
        v[JOULES] = joules;
        v[JOULES_N] = 1;
    }
    if (isfinite(first)) {
        v[FIRST] = first;
        v[FIRST_N] = 1;
    }
    for (int k = 0; k < N_SUM; k++)
        *lmw_sums_at(s, u, k) += v[k];
}

/* The records at[0 .. n - 1] of a bucket; their questions are the units u of the run. */
static int figures_of(struct lmw_load *out, const struct lmw_frame *f, const int32_t *at, int n,
                      size_t first, const struct run_units *u, struct lmw_resample *r,
                      struct lmw_arena scratch, struct lmw_err *err)
{
    struct lmw_interval *to[N_FIGURE] = {&out->accuracy, &out->ipj, &out->energy, &out->latency,
                                         &out->ttft};
    double total[N_SUM];
    double *draws = LMW_NEW(&scratch, double, (size_t)N_FIGURE *LMW_RESAMPLES);
    struct lmw_sums s;
    if (!draws || lmw_sums_open(&s, u->n_unit, N_SUM, &scratch, err) < 0)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d records", n);
    for (int i = 0; i < n; i++)
        add(&s, u->unit[(size_t)at[i] - first], f, (size_t)at[i]);
    lmw_resample_draw(r, u->n_unit);
    lmw_sums_total(&s, total);
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        const double *sum = lmw_sums_draw(&s, r, b);
        for (int k = 0; k < N_FIGURE; k++)
            draws[k * LMW_RESAMPLES + b] = sum[figures[k].top] / sum[figures[k].bottom];
    }
    for (int k = 0; k < N_FIGURE; k++)
        *to[k] = lmw_interval_of(total[figures[k].top] / total[figures[k].bottom],
                                 draws + k * LMW_RESAMPLES, u->n_question < 2 ? 1 : n);
    return LMW_OK;
}

struct bucket {
    int32_t *at;
    int n;
    double in_flight, tokens, seconds;
};

static void take(struct bucket *b, const struct lmw_frame *f, size_t i, double in_flight)
{
    double tokens = f->v[LMW_V_COMPLETION_TOKENS][i];
    b->at[b->n++] = (int32_t)i;
    b->in_flight += in_flight;
    if (isfinite(tokens)) {
        b->tokens += tokens;
        b->seconds += f->v[LMW_V_LATENCY][i];
    }
}

static int fill(struct lmw_load *out, const struct bucket *b, int k, const struct lmw_frame *f,
                size_t first, const struct run_units *u, struct lmw_resample *r,
                struct lmw_arena scratch, struct lmw_err *err)
{
    *out = (struct lmw_load){.from = k ? (1 << (k - 1)) + 1 : 1, .to = 1 << k, .n = b->n};
    out->in_flight = b->in_flight / b->n;
    out->tok_per_s = b->tokens / b->seconds * out->in_flight;
    return figures_of(out, f, b->at, b->n, first, u, r, scratch, err);
}

int lmw_loads_of(const struct lmw_frame *f, int i_run, struct lmw_load out[LMW_LOADS_MAX],
                 struct lmw_arena scratch, struct lmw_err *err)
{
    const struct lmw_frame_run *run = &f->run[i_run];
    struct step *step = LMW_NEW(&scratch, struct step, 2 * run->n + 1);
    struct bucket bucket[LMW_LOADS_MAX] = {0};
    struct lmw_resample r;
    struct run_units u;
    int32_t *stamp = LMW_NEW(&scratch, int32_t, (size_t)f->n_query + 1);
    int n_out = 0, rc = stamp ? lmw_run_units(&u, f, i_run, stamp, &scratch, err) : LMW_ENOMEM;
    if (rc == LMW_OK)
        rc = lmw_resample_open(&r, &scratch, err);
    for (int k = 0; k < LMW_LOADS_MAX && step; k++) {
        if (!(bucket[k].at = LMW_NEW(&scratch, int32_t, run->n + 1)))
            step = NULL;
    }
    if (rc < 0 || !step)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu records", run->n);
    size_t n = make_steps(f, run, step);
    for (size_t i = run->first; i < run->first + run->n; i++) {
        if (!is_timed(f, i))
            continue;
        double from = f->v[LMW_V_START][i], to = end_of(f, i);
        double mean = (integral_at(step, n, to) - integral_at(step, n, from)) / (to - from);
        take(&bucket[bucket_of(mean)], f, i, mean);
    }
    for (int k = 0; k < LMW_LOADS_MAX && rc == LMW_OK; k++) {
        if (bucket[k].n)
            rc = fill(&out[n_out++], &bucket[k], k, f, run->first, &u, &r, scratch, err);
    }
    return rc < 0 ? rc : n_out;
}
