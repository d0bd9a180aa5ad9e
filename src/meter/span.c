/* A span's joules: is there an answer, and if so which.
 *
 * A counter's answer is E(end) - E(start), each reconstructed between the counter's updates
 * (fit.c). So is a power source's whose readings are of the moment or means of a time that is
 * stated or was learned (lag.c), but for the middle of a long span; of a mean that forgets slowly
 * it is what the straight lines hold and what it has still to show; another's is the integral of
 * the straight lines between its readings, cut at the edges, with bounds for a mean of up to a
 * second. Either has none, with the reason, when the samples around the span are missing or
 * broken; and is pending until the source has moved past the end. Bounds are clamped by what a
 * counter that never runs backwards allows. */
#include "meter/span.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/record.h"
#include "meter/fit.h"
#include "meter/lag.h"
#include "meter/tick.h"

/* A counter is settled when it has changed this often after the end: the first change closes the
 * update the end lies in, the second shows what the power was after it. */
enum { CHANGES_AFTER = 2 };
/* Where neither stated nor learned, readings are means of no more than this. */
static const int64_t UNSTATED_NS = 1000000000;
/* A counter that has stood still for so many steps has stopped. */
static const double MAX_STILL = 3;

int lmw_span_check(const struct lmw_span *span, struct lmw_err *err)
{
    const int64_t max = SERIES_MAX_NS; /* any two times can be subtracted */
    if (span->start_ns > max || span->start_ns < -max || span->end_ns > max || span->end_ns < -max)
        return lmw_fail(err, LMW_EARG, "a span without a start or an end");
    if (span->end_ns < span->start_ns)
        return lmw_fail(err, LMW_EARG, "a span that ends at %lld ns, before its start at %lld ns",
                        (long long)span->end_ns, (long long)span->start_ns);
    if (span->first_ns != LMW_NULL &&
        (span->first_ns < span->start_ns || span->first_ns > span->end_ns))
        return lmw_fail(err, LMW_EARG, "a span's first token at %lld ns is outside it",
                        (long long)span->first_ns);
    return LMW_OK;
}

int lmw_spans_open(struct known_spans *k, int cap, bool grows, struct lmw_err *err)
{
    *k = (struct known_spans){.cap = cap, .grows = grows};
    for (int i = 0; i < MAX_SERIES; i++)
        k->noise[i] = (struct noise_level){.q = 8, .tau = 3};
    k->v = calloc((size_t)cap, sizeof *k->v);
    return k->v ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for %d spans", cap);
}

void lmw_spans_close(struct known_spans *k)
{
    free(k->v);
    *k = (struct known_spans){0};
}

int lmw_spans_add(struct known_spans *k, const struct lmw_span *span, struct lmw_err *err)
{
    int at = k->n;
    while (at > 0 && k->v[at - 1].start_ns > span->start_ns)
        at--;
    for (int i = at - 1; i >= 0 && k->v[i].start_ns == span->start_ns; i--) {
        if (k->v[i].end_ns == span->end_ns && k->v[i].first_ns == span->first_ns)
            return LMW_OK;
    }
    if (k->n == k->cap && k->grows) {
        struct lmw_span *more = realloc(k->v, 2 * (size_t)k->cap * sizeof *more);
        if (!more)
            return lmw_fail(err, LMW_ENOMEM, "no memory for %d spans", 2 * k->cap);
        k->v = more;
        k->cap *= 2;
    } else if (k->n == k->cap) {
        if (at == 0)
            return LMW_OK;
        memmove(k->v, k->v + 1, (size_t)--k->n * sizeof *k->v);
        at--;
    }
    memmove(k->v + at + 1, k->v + at, (size_t)(k->n - at) * sizeof *k->v);
    k->v[at] = *span;
    k->n++;
    return LMW_OK;
}

int lmw_spans_after(const struct known_spans *k, int64_t t_ns)
{
    int lo = 0, hi = k->n;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (k->v[mid].start_ns <= t_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct around {
    int64_t before;   /* last value at or before the start */
    int64_t reach;    /* the first value at or after the end; -1: none yet */
    int64_t after;    /* the last value to use */
    double still;     /* still_for() */
    double renewal_s; /* how long a power reading is shown until the next is made; 0: not known */
    struct lag_window lag; /* of power readings of which nobody states it */
    bool unsure;           /* it could not be learned for sure */
};

__attribute__((format(printf, 2, 3))) static void invalid(struct lmw_energy *out, const char *fmt,
                                                          ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out->reason, sizeof out->reason, fmt, ap);
    va_end(ap);
    lmw_utf8_mend(out->reason); /* names are cut in it */
    out->valid = false;
}

/* The nearest integer; logs of nonsense stop at the ends of int64. */
static int64_t whole(double x)
{
    return x >= 9e18 ? INT64_MAX : x <= -9e18 ? -INT64_MAX : llround(x);
}

static const char *method_of(const struct series *s)
{
    static const char *const names[] = {
        [LMW_COUNTER] = "counter", [LMW_POWER] = "integral", [LMW_ESTIMATE] = "estimate"};
    return names[s->info.reading];
}

/* Why the energy across this sample is unknown. */
static void explain(const struct series *s, const struct sample *bad, struct lmw_energy *out)
{
    const char *name = s->info.name;
    if (bad->flags & S_RESET)
        invalid(out, "reset: %.40s ran backwards or jumped inside the span", name);
    else if (bad->flags & S_SUSPEND)
        invalid(out, "suspended: the machine slept inside the span");
    else if (bad->flags & S_FAIL)
        invalid(out, "unreadable: %.40s could not be read inside the span", name);
    else if (s->info.wrap_uj > 0)
        invalid(out, "gap: too long between reads of %.40s to count its wraps", name);
    else
        invalid(out, "gap: %.40s was silent for too long inside the span", name);
}

static bool find_before(const struct series *s, int64_t n, int64_t start_ns, int64_t *out)
{
    int64_t first = lmw_series_first(s, n), i = lmw_series_upper(s, first, n, start_ns);
    while (--i >= first) {
        if (!(series_at(s, i)->flags & S_NONE)) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* How long after an instant the last power reading comes that says something about it; the rest of
 * what a mean over minutes will say is not waited for. */
static int64_t lag_ns(const struct series *s)
{
    const int64_t patience = 3000000000;
    int64_t period = s->info.period_ns != LMW_NULL ? s->info.period_ns : 0;
    int64_t lag = s->info.window_ns > 0 ? s->info.window_ns + period : 0;
    return lag < patience ? lag : patience;
}

/* Finds the samples after the end; false when there are too few yet. What breaks the series after
 * a value past the end only ends the search: the energy up to that value is known. */
static bool find_after(const struct series *s, int64_t n, bool final, int64_t end_ns,
                       struct around *a)
{
    int64_t seen_ns = end_ns + (s->info.reading == LMW_POWER ? lag_ns(s) : 0);
    int64_t i = lmw_series_lower(s, a->before, n, end_ns);
    int64_t v = series_at(s, i > a->before ? i - 1 : a->before)->v;
    int changes = 0, enough = s->info.reading == LMW_POWER ? 0 : CHANGES_AFTER;
    a->reach = a->after = -1;
    for (; i < n; i++) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_BROKEN && a->reach >= 0)
            return true;
        if (x->flags & S_NONE)
            continue;
        changes += x->t_ns > end_ns && x->v != v;
        v = x->v;
        a->after = i;
        if (a->reach < 0)
            a->reach = i;
        if (changes >= enough && x->t_ns >= seen_ns)
            return true;
    }
    return final && a->reach >= 0;
}

static void count_inside(const struct series *s, const struct around *a,
                         const struct lmw_span *span, struct lmw_energy *out)
{
    int64_t last_ns = series_at(s, a->before)->t_ns;
    for (int64_t i = a->before; i <= a->reach; i++) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_NONE)
            continue;
        out->n_sample += x->t_ns >= span->start_ns && x->t_ns <= span->end_ns;
        if (i > a->before) {
            out->n_wrap += !!(x->flags & S_WRAP);
            out->n_reset += !!(x->flags & S_RESET);
            int64_t gap = x->t_ns - last_ns;
            out->gap_ns = gap > out->gap_ns ? gap : out->gap_ns;
        }
        last_ns = x->t_ns;
    }
}

/* A counter that no longer moves is not a machine that draws nothing. */
static bool is_stuck(const struct series *s, int64_t n, int64_t end_ns)
{
    int64_t patience = 5000000000;
    if (s->info.period_ns != LMW_NULL && 20 * s->info.period_ns > patience)
        patience = 20 * s->info.period_ns;
    return n > 0 && s->info.reading != LMW_POWER && s->t_value_ns > end_ns + patience &&
           s->t_value_ns - s->t_change_ns > patience;
}

/* For how many of its own steps a counter had stood still when it was last read, before which it
 * did not move past the end; 0 when it moved, or when its steps are not known. A step is the
 * longest of the last ones, for an idle machine's coarse counter moves at every tick no more than
 * now and then. */
static double still_for(const struct series *s, int64_t first, int64_t last, int64_t end_ns)
{
    enum { STEPS = 16 };
    int64_t changed_ns = LMW_NULL, still_ns = 0;
    int64_t step_ns = s->info.period_ns != LMW_NULL ? s->info.period_ns : 0;
    const struct sample *later = NULL;
    int n = 0;
    for (int64_t i = last; i >= first && n < STEPS; i--) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_BROKEN)
            break;
        if (x->flags & S_NONE)
            continue;
        if (later && x->v != later->v) {
            if (n++ == 0)
                still_ns = series_at(s, last)->t_ns - later->t_ns;
            else if (changed_ns - later->t_ns > step_ns)
                step_ns = changed_ns - later->t_ns;
            changed_ns = later->t_ns;
            if (n == 1 && changed_ns > end_ns)
                return 0;
        }
        later = x;
    }
    return n > 3 && step_ns > 0 ? (double)still_ns / (double)step_ns : 0;
}

/* What the counter itself had counted between the edges when it was last read. */
static int64_t counted_uj(const struct series *s, const struct around *a,
                          const struct lmw_span *span)
{
    int64_t at_start = series_at(s, a->before)->v, i = a->before;
    while (i < a->after &&
           (series_at(s, i)->t_ns <= span->start_ns || at_start == series_at(s, i)->v))
        i++;
    return series_at(s, a->after)->v - series_at(s, i)->v;
}

/* The first sample in (from, to] across which the energy is not known; NULL when there is none. */
static const struct sample *find_broken(const struct series *s, int64_t from, int64_t to)
{
    for (int64_t i = from + 1; i <= to; i++) {
        if (series_at(s, i)->flags & S_BROKEN)
            return series_at(s, i);
    }
    return NULL;
}

/* The samples around the span, or in *out why they cannot answer. */
static bool is_covered(const struct series *s, int64_t n, bool final, const struct lmw_span *span,
                       struct around *a, struct lmw_energy *out)
{
    if (!find_before(s, n, span->start_ns, &a->before)) {
        invalid(out,
                n > lmw_series_first(s, n) ? "not covered: %.40s has no reading before the start"
                                           : "pending: %.40s was not read yet",
                s->info.name);
        return false;
    }
    bool settled = find_after(s, n, final, span->end_ns, a);
    if (a->reach < 0)
        a->reach = n - 1;
    count_inside(s, a, span, out);
    const struct sample *broken = find_broken(s, a->before, a->reach);
    if (broken)
        explain(s, broken, out);
    else if (settled && s->info.reading != LMW_POWER &&
             (a->still = still_for(s, lmw_series_first(s, n), a->after, span->end_ns)) > MAX_STILL)
        invalid(out, "stuck: %.40s did not move any more before the span's end", s->info.name);
    else if (settled)
        return true;
    else if (is_stuck(s, n, span->end_ns))
        invalid(out, "stuck: %.40s does not move any more", s->info.name);
    else
        invalid(out, final ? "not covered: no reading after the end" : "pending");
    return false;
}

/* Power at t on the line between the readings a and b. */
static double power_at(const struct sample *a, const struct sample *b, int64_t t_ns)
{
    if (b->t_ns == a->t_ns)
        return (double)b->v;
    return (double)a->v +
           (double)(b->v - a->v) * (double)(t_ns - a->t_ns) / (double)(b->t_ns - a->t_ns);
}

/* Integral over [from, to] of the lines between readings, uJ, and the variance that the curve
 * between them leaves: a straight line across a step of dP in dt is wrong by at most dP * dt / 2,
 * uniformly so; dt is no less than the time a value is shown for. */
static double integrate(const struct series *s, const struct around *a, int64_t from_ns,
                        int64_t to_ns, double *var)
{
    double uj = 0;
    const struct sample *p = series_at(s, a->before);
    for (int64_t i = a->before + 1; i <= a->after && p->t_ns < to_ns; i++) {
        const struct sample *q = series_at(s, i);
        if (q->flags & S_NONE)
            continue;
        int64_t lo = p->t_ns > from_ns ? p->t_ns : from_ns;
        int64_t hi = q->t_ns < to_ns ? q->t_ns : to_ns;
        if (hi > lo) {
            double dt_s = (double)(hi - lo) * 1e-9;
            double at_lo = power_at(p, q, lo), at_hi = power_at(p, q, hi);
            double step = (double)(q->v - p->v) * fmax(dt_s, a->renewal_s) * 1e3 / 2;
            uj += (at_lo + at_hi) / 2 * dt_s * 1e3;
            *var += step * step / 3;
        }
        p = q;
    }
    return uj;
}

/* What is added up of a span of power readings. */
struct sum {
    double uj, var;  /* var: of the bounds' half width */
    double prior_uj; /* that half width were there no readings */
};

static bool add_fit(struct sum *sum, const struct series *s, int64_t n, const struct around *a,
                    struct known_spans *known, const struct lmw_span *span)
{
    struct fit f;
    if (span->end_ns <= span->start_ns)
        return true;
    if (!lmw_fit_span(s, lmw_series_first(s, n), a->after + 1, known, span, &f))
        return false;
    double half = fmax(f.upper_uj - f.energy_uj, f.energy_uj - f.lower_uj);
    sum->uj += f.energy_uj;
    sum->prior_uj += f.prior_uj;
    sum->var += half * half;
    return true;
}

static void add_lines(struct sum *sum, const struct series *s, const struct around *a,
                      int64_t from_ns, int64_t to_ns)
{
    double var = 0;
    sum->uj += integrate(s, a, from_ns, to_ns, &var);
    /* Readings of the moment are draws: a step between two has twice the variance of either. */
    sum->var += (s->info.window_ns == 0 ? 24 : 4) * var;
}

/* What a mean m that forgets with a time constant was made of: P = m + forget x dm/dt, so of the
 * energy it is the lines' and what it has still to show at the end, less that at the start. At an
 * edge the line between two readings has a kink, of a power that is in neither. */
static void add_forgetting(struct sum *sum, const struct series *s, const struct around *a,
                           int64_t from_ns, int64_t to_ns)
{
    double at[2] = {0}, steps = 0, var = 0;
    int64_t edge_ns[2] = {from_ns + llround(a->renewal_s * 0.5e9),
                          to_ns + llround(a->renewal_s * 0.5e9)};
    sum->uj += integrate(s, a, edge_ns[0], edge_ns[1], &var);
    const struct sample *p = series_at(s, a->before);
    for (int64_t i = a->before + 1; i <= a->after; i++) {
        const struct sample *q = series_at(s, i);
        if (q->flags & S_NONE)
            continue;
        for (int k = 0; k < 2; k++) {
            if (p->t_ns <= edge_ns[k])
                at[k] = q->t_ns > edge_ns[k] ? power_at(p, q, edge_ns[k]) : (double)q->v;
            double near_s = fabs((double)(q->t_ns - edge_ns[k]) * 1e-9);
            if (near_s < 1.5 * fmax(a->renewal_s, (double)(q->t_ns - p->t_ns) * 1e-9))
                steps = fmax(steps, fabs((double)(q->v - p->v)));
        }
        p = q;
    }
    double half = a->lag.error_s * fabs(at[1] - at[0]) * 1e3, kink = a->lag.forget_s * steps * 1e3;
    sum->uj = fmax(0, sum->uj + a->lag.forget_s * (at[1] - at[0]) * 1e3);
    sum->var += 4 * var + kink * kink + half * half;
}

/* A mean that forgets tells little of a span shorter than its time constant, and lines between
 * readings nothing of one that holds no three of them: of these it is known that next to nothing
 * is left after 4.6 constants (1 %). */
static void forget_no_less(struct around *a, const struct lmw_span *span)
{
    double length_s = (double)(span->end_ns - span->start_ns) * 1e-9;
    if (a->lag.forget_s > 0 && length_s < fmax(a->lag.forget_s, 3 * a->renewal_s)) {
        a->unsure = true;
        a->lag.most_s = 4.6 * a->lag.forget_s;
    }
}

/* Whether it is known what a reading speaks for: a window of known length, or the moment. */
static bool is_fitted(const struct series *s)
{
    return s->info.window_ns >= 0;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The energy in [from, to]. In a long stretch single readings matter near its edges only. */
static bool add_power(struct sum *sum, const struct series *s, int64_t n, const struct around *a,
                      struct known_spans *known, int64_t from_ns, int64_t to_ns)
{
    enum { LONG = 128, NEAR_EDGE = 32 };
    int64_t i = lmw_series_lower(s, a->before, a->after + 1, from_ns),
            j = lmw_series_lower(s, a->before, a->after + 1, to_ns);
    double renewals =
        a->renewal_s > 0 ? (double)(to_ns - from_ns) * 1e-9 / a->renewal_s : HUGE_VAL;
    int64_t reads = renewals < (double)(j - i) ? (int64_t)((double)(j - i) / renewals) : 1;
    if (j - i <= LONG * reads)
        return add_fit(sum, s, n, a, known, &(struct lmw_span){from_ns, LMW_NULL, to_ns});
    /* A reading is of half a window ago, and shown until the next one is made; lines through means
     * that hold something of what is beyond the edge would be off by it. */
    int64_t half_window = s->info.window_ns > 0 ? s->info.window_ns / 2 : 0;
    int64_t age_ns = half_window + llround(a->renewal_s * 0.5e9);
    int64_t lo = later(series_at(s, i + NEAR_EDGE * reads)->t_ns, from_ns + age_ns);
    int64_t hi = -later(-series_at(s, j - NEAR_EDGE * reads)->t_ns, age_ns - to_ns);
    if (lo >= hi)
        return add_fit(sum, s, n, a, known, &(struct lmw_span){from_ns, LMW_NULL, to_ns});
    add_lines(sum, s, a, lo + age_ns, hi + age_ns);
    return add_fit(sum, s, n, a, known, &(struct lmw_span){from_ns, LMW_NULL, lo}) &&
           add_fit(sum, s, n, a, known, &(struct lmw_span){hi, LMW_NULL, to_ns});
}

static double max_reading_mw(const struct series *s, const struct around *a,
                             const struct lmw_span *span)
{
    double max_mw = 0;
    for (int64_t i = a->before; i <= a->after; i++) {
        const struct sample *x = series_at(s, i);
        if (!(x->flags & S_NONE) && x->t_ns > span->start_ns && x->t_ns <= span->end_ns)
            max_mw = fmax(max_mw, (double)x->v);
    }
    return max_mw;
}

/* A span much shorter than the averaging window cannot be told from its neighbours. What is
 * certain is that no window around it held less; where none is sure to have been around it, the
 * fullest near it is taken. */
static void widen(const struct series *s, const struct around *a, const struct lmw_span *span,
                  double *lower_uj, double *upper_uj)
{
    int64_t window_ns = s->info.window_ns;
    int64_t late_ns = s->info.period_ns != LMW_NULL ? s->info.period_ns : 0;
    if (window_ns <= 0 || 5 * (span->end_ns - span->start_ns) >= 2 * window_ns)
        return;
    double around = HUGE_VAL, near = 0;
    for (int64_t i = a->before; i <= a->after; i++) {
        const struct sample *x = series_at(s, i);
        double held = (double)x->v * (double)window_ns * 1e-6;
        if (x->flags & S_NONE || x->t_ns < span->start_ns)
            continue;
        near = fmax(near, held);
        if (x->t_ns >= span->end_ns + late_ns && x->t_ns <= span->start_ns + window_ns)
            around = fmin(around, held);
    }
    *lower_uj = 0;
    *upper_uj = fmax(around < HUGE_VAL ? around : near, *upper_uj);
}

/* Further readings that may hold something of the span, where there are any. */
static void read_on(const struct series *s, int64_t n, const struct lmw_span *span,
                    struct around *a)
{
    int64_t late_ns = span->end_ns + llround(a->lag.most_s * 1e9);
    for (int64_t i = a->after + 1; i < n && series_at(s, a->after)->t_ns < late_ns; i++) {
        if (series_at(s, i)->flags & S_BROKEN)
            return;
        if (!(series_at(s, i)->flags & S_NONE))
            a->after = i;
    }
}

/* A window that could not be learned may be up to lag.most_s: whatever its shape, readings from a
 * window after the start to the end hold nothing but the span, and those from the start to a
 * window after the end hold all of it. */
static void unsure_window(const struct series *s, const struct around *a,
                          const struct lmw_span *span, double *lower_uj, double *upper_uj)
{
    double most_var = 0, least_var = 0;
    int64_t most_ns = llround(a->lag.most_s * 1e9);
    int64_t end_ns = span->end_ns, late_ns = end_ns + most_ns;
    const struct sample *last = series_at(s, a->after);
    double held =
        last->t_ns < late_ns ? (double)(late_ns - last->t_ns) * 1e-6 * (double)last->v : 0;
    double most = integrate(s, a, span->start_ns, late_ns, &most_var) + held;
    double least = integrate(s, a, span->start_ns + most_ns, end_ns, &least_var);
    *upper_uj = fmax(*upper_uj, most + 2 * sqrt(most_var));
    *lower_uj = fmax(0, fmin(*lower_uj, least - 2 * sqrt(least_var)));
}

/* Prefill and the rest, by the fit; false when it says nothing. */
static bool add_fits(struct sum part[2], const struct series *s, int64_t n, const struct around *a,
                     struct known_spans *known, const struct lmw_span *span, int64_t split_ns)
{
    return is_fitted(s) && add_power(&part[0], s, n, a, known, span->start_ns, split_ns) &&
           add_power(&part[1], s, n, a, known, split_ns, span->end_ns);
}

/* Whether the readings told more than what is known without them. */
static bool is_resolved(const struct sum part[2], double step_uj)
{
    return 2 * sqrt(part[0].var + part[1].var) <= part[0].prior_uj + part[1].prior_uj + step_uj;
}

/* The fits; lines where no window is sure and the fits tell nothing. False, with the reason, when
 * neither does. */
static bool by_windows(struct sum part[2], const struct series *s, int64_t n,
                       const struct around *a, struct known_spans *known,
                       const struct lmw_span *span, int64_t split_ns, double step_uj,
                       struct lmw_energy *out)
{
    bool ok = add_fits(part, s, n, a, known, span, split_ns);
    if (ok && is_resolved(part, step_uj))
        return true;
    if (a->unsure) {
        memset(part, 0, 2 * sizeof *part);
        add_lines(&part[0], s, a, span->start_ns, split_ns);
        add_lines(&part[1], s, a, split_ns, span->end_ns);
        return true;
    }
    if (ok)
        invalid(out, "unresolved: no reading of %.40s tells of so short a span", s->info.name);
    else
        invalid(out, "unresolved: %.40s holds no plausible powers", s->info.name);
    return false;
}

/* Of the whole no more is unsure than of its ends. */
static void by_forgetting(struct sum part[2], const struct series *s, const struct around *a,
                          const struct lmw_span *span, int64_t split_ns)
{
    struct sum prefill = {0};
    add_forgetting(&prefill, s, a, span->start_ns, split_ns);
    add_forgetting(&part[1], s, a, span->start_ns, span->end_ns);
    part[0].uj = fmin(prefill.uj, part[1].uj);
    part[1].uj -= part[0].uj;
}

static void from_power(const struct series *s, int64_t n, const struct around *a,
                       struct known_spans *known, const struct lmw_span *span,
                       struct lmw_energy *out)
{
    struct sum part[2] = {0};
    int64_t split_ns = span->first_ns != LMW_NULL ? span->first_ns : span->start_ns;
    double step_uj = lmw_ticks_step(s, a->before, a->after + 1) *
                     (double)(span->end_ns - span->start_ns) * 1e-6;
    bool forgets = a->lag.forget_s > 0;
    if (forgets)
        by_forgetting(part, s, a, span, split_ns);
    else if (!by_windows(part, s, n, a, known, span, split_ns, step_uj, out))
        return;
    double uj = part[0].uj + part[1].uj, half = sqrt(part[0].var + part[1].var);
    if (!(uj + half < 9e18)) {
        invalid(out, "unresolved: %.40s holds no plausible powers", s->info.name);
        return;
    }
    if (span->first_ns != LMW_NULL) {
        out->prefill_uj = whole(part[0].uj);
        out->decode_uj = whole(uj) - out->prefill_uj;
    }
    out->energy_uj = whole(uj);
    half += step_uj;
    double lower_uj = fmax(0, uj - half), upper_uj = uj + half;
    if (!forgets)
        widen(s, a, span, &lower_uj, &upper_uj);
    if (a->unsure)
        unsure_window(s, a, span, &lower_uj, &upper_uj);
    out->lower_uj = whole(lower_uj);
    out->upper_uj = whole(upper_uj);
    out->power_max_mw = whole(max_reading_mw(s, a, span));
    out->valid = true;
}

/* The highest mean power over stretches of at least PEAK_NS inside the span; LMW_NULL when it
 * holds none. */
static int64_t max_power_mw(const struct series *s, const struct around *a,
                            const struct lmw_span *span)
{
    enum { PEAK_NS = 100000000 };
    const struct sample *p = NULL;
    double max = -1;
    for (int64_t i = a->before; i <= a->reach; i++) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_NONE || x->t_ns < span->start_ns || x->t_ns > span->end_ns ||
            (p && x->t_ns - p->t_ns < PEAK_NS))
            continue;
        if (p)
            max = fmax(max, (double)(x->v - p->v) * 1e6 / (double)(x->t_ns - p->t_ns));
        p = x;
    }
    return max < 0 ? LMW_NULL : whole(max);
}

static void from_counter(const struct series *s, int64_t n, const struct around *a,
                         struct known_spans *known, const struct lmw_span *span,
                         struct lmw_energy *out)
{
    struct fit f;
    if (!lmw_fit_span(s, lmw_series_first(s, n), a->after + 1, known, span, &f)) {
        invalid(out, "unresolved: %.40s did not move enough around the span", s->info.name);
        return;
    }
    double lower = f.lower_uj, upper = f.upper_uj;
    /* A step was due and did not come: late, or nothing was drawn. */
    if (a->still > 1.25)
        lower = fmin(lower, (double)counted_uj(s, a, span));
    if (s->info.reading == LMW_ESTIMATE) {
        double error = s->info.model_error > 0 ? s->info.model_error : 0.5;
        lower -= error * f.energy_uj;
        upper += error * f.energy_uj;
    }
    if (span->first_ns != LMW_NULL) {
        out->prefill_uj = whole(f.prefill_uj);
        out->decode_uj = whole(f.energy_uj) - out->prefill_uj;
    }
    out->energy_uj = whole(f.energy_uj);
    out->lower_uj = whole(fmax(0, lower));
    out->upper_uj = whole(upper);
    out->power_max_mw = max_power_mw(s, a, span);
    out->valid = true;
}

void lmw_span_nothing(struct lmw_energy *out, const char *reason)
{
    *out = (struct lmw_energy){.method = "none"};
    out->energy_uj = out->lower_uj = out->upper_uj = out->prefill_uj = out->decode_uj = LMW_NULL;
    out->power_mean_mw = out->power_max_mw = LMW_NULL;
    invalid(out, "%s", reason);
}

/* Learned again when a good part of all spans is new; and a log, which is asked for all its spans
 * at once, whenever it has grown. */
static void learn_window(const struct series *s, int64_t n, struct known_spans *known,
                         const struct lmw_span *span, struct lag_window *out)
{
    struct known_window *w = &known->window[s->index];
    bool grown = s->grows && (w->n_span != known->n || w->n_sample != n);
    if (w->n_span == 0 || 8 * known->n > 9 * w->n_span || grown) {
        lmw_lag_learn(s, lmw_series_first(s, n), n, known, span, &w->is);
        w->n_span = known->n;
        w->n_sample = n;
    }
    *out = w->is;
}

void lmw_span_energy(const struct series *s, int64_t n, bool final, struct known_spans *known,
                     const struct lmw_span *span, struct lmw_energy *out)
{
    struct around a = {0};
    struct series told;
    if (s->info.reading == LMW_POWER && s->info.window_ns == LMW_NULL) {
        learn_window(s, n, known, span, &a.lag);
        a.unsure = !a.lag.sure;
        told = *s;
        told.info.window_ns = a.lag.window_ns;
        told.age_s = a.lag.age_s;
        told.window_error_s = a.lag.sure ? a.lag.error_s : 0;
        s = &told;
    }
    lmw_span_nothing(out, "");
    out->method = method_of(s);
    if (!is_covered(s, n, final, span, &a, out))
        return;
    if (s->info.reading == LMW_POWER) {
        struct renewal renewal;
        lmw_renewal_learn(&renewal, s, known, lmw_series_first(s, n), a.after);
        a.renewal_s = renewal.every_s;
        forget_no_less(&a, span);
        if (a.unsure)
            read_on(s, n, span, &a);
        from_power(s, n, &a, known, span, out);
    } else {
        from_counter(s, n, &a, known, span, out);
    }
    int64_t ns = span->end_ns - span->start_ns;
    if (ns > 0)
        out->power_mean_mw = whole((double)out->energy_uj * 1e6 / (double)ns);
    if (out->power_max_mw < out->power_mean_mw)
        out->power_max_mw = out->power_mean_mw;
}

static void add(int64_t *total, int64_t part)
{
    *total = *total == LMW_NULL || part == LMW_NULL ? LMW_NULL : *total + part;
}

/* The least exact method names the total. */
static int rank(const char *method)
{
    return strcmp(method, "estimate") == 0 ? 3 : strcmp(method, "integral") == 0 ? 2 : 1;
}

void lmw_energy_add(struct lmw_energy *total, const struct lmw_energy *part)
{
    bool first = !total->method;
    if (first)
        *total = (struct lmw_energy){.valid = true, .method = part->method};
    add(&total->energy_uj, part->energy_uj);
    add(&total->lower_uj, part->lower_uj);
    add(&total->upper_uj, part->upper_uj);
    add(&total->prefill_uj, part->prefill_uj);
    add(&total->decode_uj, part->decode_uj);
    add(&total->power_mean_mw, part->power_mean_mw);
    add(&total->power_max_mw, part->power_max_mw);
    total->n_sample = first || part->n_sample < total->n_sample ? part->n_sample : total->n_sample;
    total->n_wrap += part->n_wrap;
    total->n_reset += part->n_reset;
    total->gap_ns = part->gap_ns > total->gap_ns ? part->gap_ns : total->gap_ns;
    if (rank(part->method) > rank(total->method))
        total->method = part->method;
    /* "pending" outlives other reasons only while nothing is lost for good. */
    if (!part->valid && (total->valid || lmw_energy_is_pending(total))) {
        total->valid = false;
        memcpy(total->reason, part->reason, sizeof total->reason);
    }
}

int64_t lmw_span_settle_ns(const struct series *s, int64_t poll_ns)
{
    int64_t period = s->info.period_ns == LMW_NULL ? poll_ns : s->info.period_ns;
    int64_t step = period > poll_ns ? period : poll_ns;
    if (s->info.reading == LMW_POWER && s->info.window_ns == LMW_NULL)
        return UNSTATED_NS + step + 2 * poll_ns; /* should it be learned */
    if (s->info.reading == LMW_POWER)
        return lag_ns(s) + 2 * poll_ns;
    return CHANGES_AFTER * step + poll_ns;
}
