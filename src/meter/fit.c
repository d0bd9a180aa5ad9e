/* The mark-aware reconstruction: the energy at the edges of a span.
 *
 * points.c gathers the window and filter.c goes over it. What the filter is not told, noise
 * levels, how late power rises and the updates' common shift, is searched for here: those that
 * make the updates likeliest.
 *
 * Bounds are 3.3 standard errors, cut to what a counter that never runs backwards allows: E at a
 * mark is not below a value read before it, nor above a value written after it. Memory is a few
 * tens of KB on the stack, whatever the span's length. */
#include "meter/fit.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/record.h"
#include "meter/filter.h"

static const double Z = 3.3;
static const double CLEARLY = 6; /* e^6 times likelier */

/* ---- noise levels, rise and shift ---- */

enum { N_Q = 15, N_TAU = 5, N_RISE = 12, SOME_RISE = 3, MUCH_RISE = 7, MAX_MODE = 12 };
/* So much later than a query's start its power begins, s. */
static const double rises[N_RISE] = {0,    0.005, 0.01,  0.015, 0.02, 0.03,
                                     0.04, 0.05,  0.065, 0.08,  0.1,  0.125};
/* What a trial made of the span. */
struct mode {
    double likelihood, energy_uj, half_uj;
};
struct search {
    const struct ticks *u;
    const struct points *p;
    struct filter *best, *trial; /* they change places when a trial is likelier */
    double likelihood;           /* the best one's, logarithm; -inf: there is none yet */
    double shift_s, shift_sd_s;  /* of the trials; and of the best: */
    double best_shift_s, best_shift_sd_s;
    double gain; /* how much likelier than the best a trial must be */
    int q, tau, rise, most_rise;
    bool tried[N_Q][N_TAU][N_RISE];
    struct mode mode[MAX_MODE]; /* of the shifts that were tried */
    int n_mode;
};

/* The span's energy by this filter, and 3.3 standard errors of it. */
static double span_energy(const struct filter *f, double *half_uj)
{
    double var = f->c[EDGE][EDGE] + f->c[EDGE + 2][EDGE + 2] - 2 * f->c[EDGE][EDGE + 2];
    *half_uj = Z * sqrt(fmax(var, 0));
    return f->x[EDGE + 2] - f->x[EDGE];
}

/* Whether these levels, with the search's shift, are the likeliest so far: then they are kept. */
static bool try_levels(struct search *s, int q, int tau, int rise)
{
    static const double taus[N_TAU] = {0.003, 0.01, 0.03, 0.1, 0.3};
    assert(q >= 0 && q < N_Q && tau >= 0 && tau < N_TAU && rise >= 0 && rise < N_RISE);
    s->tried[q][tau][rise] = true;
    s->trial->rise_s = rises[rise];
    s->trial->q_rel = 1e-6 * (double)(1 << q) / 4;
    s->trial->tau_rel = taus[tau];
    lmw_filter_run(s->trial, s->u, s->p, s->shift_s, s->shift_sd_s);
    if (!(s->trial->log_likelihood > s->likelihood + s->gain))
        return false;
    struct filter *better = s->trial;
    s->trial = s->best;
    s->best = better;
    s->likelihood = better->log_likelihood;
    s->best_shift_s = s->shift_s;
    s->best_shift_sd_s = s->shift_sd_s;
    s->gain = 0;
    s->q = q;
    s->tau = tau;
    s->rise = rise;
    return true;
}

static bool try_neighbour(struct search *s, int i)
{
    static const int step[4][2] = {{1, 0}, {-1, 0}, {0, -1}, {0, 1}};
    int far = s->u->window_s > 0 ? 1 : 2;
    int q = s->q + far * step[i][0], tau = s->tau + step[i][1];
    return q >= 0 && q < N_Q && tau >= 0 && tau < N_TAU && !s->tried[q][tau][s->rise] &&
           try_levels(s, q, tau, s->rise);
}

/* The latest rise that readings of a span so long can tell of: a quarter of it. None, where it is
 * not known well what they are of and when they were made. */
static int most_rise(const struct ticks *u, double window_error_s, double length_s)
{
    const double sure_s = 0.003;
    double pace_s = (u->v[u->n - 1].t_s - u->v[0].t_s) / (u->n - 1), sd_s = 0;
    int k = 0;
    for (int i = 0; i < u->n; i++)
        sd_s += u->v[i].sd_s / u->n;
    if (u->of_moment || u->shift_max_s > 0 || window_error_s > 0 || sd_s > sure_s ||
        length_s < fmax(2 * pace_s, 0.4 * u->window_s))
        return 0;
    while (k + 1 < N_RISE && 4 * rises[k + 1] <= length_s)
        k++;
    return k;
}

static bool try_rise(struct search *s, int rise)
{
    return rise >= 0 && rise <= s->most_rise && !s->tried[s->q][s->tau][rise] &&
           try_levels(s, s->q, s->tau, rise);
}

/* Power may follow the start of a query late, or slowly: where that is clear, how late. Whether
 * that made the updates likelier. */
static bool search_rise(struct search *s)
{
    s->shift_s = s->best_shift_s;
    s->shift_sd_s = s->best_shift_sd_s;
    s->gain = 2 * CLEARLY;
    bool is_better = s->rise == 0 && (try_rise(s, SOME_RISE) || try_rise(s, MUCH_RISE));
    s->gain = 0;
    while (s->rise > 0 && (try_rise(s, s->rise + 1) || try_rise(s, s->rise - 1)))
        is_better = true;
    return is_better;
}

/* Uphill from neighbour to neighbour, for a source's first span (some, of readings of the moment)
 * and for every span of means, whose windows make the levels hard to tell. The level is the
 * source's more than the span's, and spans of a study share most of their updates: where a search
 * has ended once, every further span asks one neighbour, in turn, and now and then for a rise,
 * which follows what changes at a fraction of the cost. */
static void search_noise(struct search *s, struct noise_level *noise)
{
    s->shift_s = s->best_shift_s;
    s->shift_sd_s = s->best_shift_sd_s;
    bool means = s->u->window_s > 0 && !s->u->of_moment;
    bool all = means || noise->n_span < (s->u->of_moment ? 64 : 1);
    bool ask_rise = all || noise->n_span < 8 || noise->n_span % 8 == 7;
    if (!all)
        try_neighbour(s, noise->n_span % 4);
    if (all || (ask_rise && search_rise(s)))
        while (try_neighbour(s, 0) || try_neighbour(s, 1) || try_neighbour(s, 2) ||
               try_neighbour(s, 3) || (ask_rise && search_rise(s)))
            continue;
    noise->n_span++;
    noise->q = s->q;
    noise->tau = s->tau;
    noise->rise = s->most_rise < noise->rise ? noise->rise : s->rise;
}

static void note_mode(struct search *s, const struct filter *f)
{
    struct mode *m = &s->mode[s->n_mode];
    if (s->n_mode == MAX_MODE)
        return;
    m->likelihood = f->log_likelihood;
    m->energy_uj = span_energy(f, &m->half_uj);
    s->n_mode++;
}

/* The bounds hold for every shift under which the updates are not clearly less likely. */
static void widen_to_modes(const struct search *s, double *lower_uj, double *upper_uj)
{
    double most = -HUGE_VAL;
    for (int i = 0; i < s->n_mode; i++)
        most = fmax(most, s->mode[i].likelihood);
    for (int i = 0; i < s->n_mode; i++) {
        const struct mode *m = &s->mode[i];
        if (m->likelihood < most - CLEARLY)
            continue;
        *lower_uj = fmin(*lower_uj, m->energy_uj - m->half_uj);
        *upper_uj = fmax(*upper_uj, m->energy_uj + m->half_uj);
    }
}

static void try_shift(struct search *s, double shift_s, double sd_s)
{
    if (s->u->shift_max_s > 0)
        shift_s = fmin(0, fmax(shift_s, -s->u->shift_max_s));
    memset(s->tried, 0, sizeof s->tried);
    s->shift_s = shift_s;
    s->shift_sd_s = sd_s;
    bool is_best = try_levels(s, s->q, s->tau, s->rise);
    note_mode(s, is_best ? s->best : s->trial);
}

/* Where the shift may be a good part of a period, the filter's one straight line is not enough:
 * start from several. A log that does not say how old its values are is taken at its word, unless
 * the data speak clearly (over a dozen updates or more) for values that were old when read; but
 * that they may have been is in the bounds. */
static void search_shift(struct search *s)
{
    double max = s->u->shift_max_s, sd = s->u->shift_sd_s;
    try_shift(s, sd > 0 ? -0.5 * max : 0, sd);
    for (int k = 0; k <= 4 && max > 0.002; k++) {
        if (k == (sd > 0 ? 2 : 0)) /* where the search began */
            continue;
        s->gain = sd > 0 ? 0 : s->u->n >= 16 ? CLEARLY : HUGE_VAL;
        /* Of the moment only times are moved: what is read has no one straight line. */
        try_shift(s, -0.25 * k * max, s->u->of_moment ? 0 : max / sqrt(12));
    }
    for (int k = -2; k <= 2 && max == 0 && sd > 0.003; k++)
        try_shift(s, 0.75 * k * sd, sd);
    s->gain = 0;
}

/* The likeliest of all among the two filters' trials; NULL when none has a likelihood. Starts
 * where the span before ended, which saves most of the way. */
static const struct filter *search(struct search *s, struct noise_level *noise)
{
    bool is_first = noise->n_span == 0;
    s->likelihood = -HUGE_VAL;
    s->q = noise->q;
    s->tau = noise->tau;
    s->rise = noise->rise < s->most_rise ? noise->rise : s->most_rise;
    search_shift(s);
    search_noise(s, noise);
    if (is_first && s->u->window_s > 0 && s->n_mode > 1) {
        /* What they were by a level that was not the series'. */
        s->n_mode = 0;
        search_shift(s);
    }
    for (int k = 0; k < 2 && s->best_shift_sd_s > 0.001; k++)
        try_shift(s, s->best_shift_s + s->best->end_shift_s, s->best_shift_sd_s);
    return s->likelihood > -HUGE_VAL ? s->best : NULL;
}

/* What the best makes of the span as noisy and as shifted as it is, but for rise and window. */
static double energy_by_other(struct search *s, const struct ticks *u, double rise_s)
{
    double half;
    s->trial->q_rel = s->best->q_rel;
    s->trial->tau_rel = s->best->tau_rel;
    s->trial->rise_s = rise_s;
    lmw_filter_run(s->trial, u, s->p, s->best_shift_s, s->best_shift_sd_s);
    return span_energy(s->trial, &half);
}

/* How far the span's energy is off where power rises earlier or later by a step than it is thought
 * to, if it is late at all; and as much for its way up, which is taken for a step. */
static double off_by_rise(struct search *s)
{
    double half, is_uj = span_energy(s->best, &half), off = 0;
    for (int k = -1; k <= 1 && s->rise > 0; k += 2) {
        if (s->rise + k <= s->most_rise)
            off += fabs(energy_by_other(s, s->u, rises[s->rise + k]) - is_uj);
    }
    return off;
}

/* Where a window that was learned is off by error_s: what is made of one as much shorter; of
 * longer ones there may be no room. What is in u is gone after that. */
static double off_by_window(struct search *s, struct ticks *u, double error_s)
{
    double half, window_s = fmax(u->window_s - error_s, u->window_s / 2);
    if (error_s == 0)
        return 0;
    for (int i = 0; i < u->n; i++)
        u->v[i].e_uj *= window_s / u->window_s;
    u->window_s = window_s;
    return fabs(energy_by_other(s, u, s->best->rise_s) - span_energy(s->best, &half));
}

/* Cuts E at an edge to what the reads around it allow. */
static void bracket(const struct series *s, int64_t first, int64_t n, int64_t t_ns, double e0_uj,
                    double step_uj, double *lo, double *hi)
{
    int64_t i = lmw_series_upper(s, first, n, t_ns) - 1;
    i = i < first ? first : i;
    int64_t v = series_at(s, i)->v;
    *lo = (double)v - e0_uj;
    *hi = HUGE_VAL;
    bool after =
        /* a read after the mark still showed an old value: the next change was written later */
        false;
    for (int64_t j = i; j < n; j++) {
        const struct sample *x = series_at(s, j);
        if (x->flags & S_NONE)
            continue;
        if (after && x->v != v) {
            *hi = (double)x->v - e0_uj + step_uj;
            return;
        }
        after = x->t_ns >= t_ns;
        v = x->v;
    }
}

/* ---- logs of a few rows ---- */

/* A log that says nothing of its counter, with too few rows to learn noise levels from: straight
 * lines between the rows, and bounds that only need the counter not to run backwards. */
static bool is_sparse(const struct series *s, const struct ticks *u)
{
    enum { FEW = 8 };
    return u->n < FEW && u->window_s == 0 && u->shift_sd_s == 0 && s->info.period_ns == LMW_NULL;
}

/* E at t on the line between the rows around it, and their values. */
static double row_energy(const struct ticks *u, double t_s, double *lo, double *hi)
{
    int i = 0;
    while (i + 2 < u->n && u->v[i + 1].t_s <= t_s)
        i++;
    const struct tick *a = &u->v[i], *b = &u->v[i + 1];
    double f = fmin(1, fmax(0, (t_s - a->t_s) / (b->t_s - a->t_s)));
    *lo = f < 1 ? a->e_uj : b->e_uj;
    *hi = f > 0 ? b->e_uj : a->e_uj;
    return a->e_uj + f * (b->e_uj - a->e_uj);
}

static bool fit_lines(const struct ticks *u, const struct lmw_span *span, struct fit *out)
{
    double lo[3], hi[3];
    double start = row_energy(u, ticks_rel(u, span->start_ns), &lo[0], &hi[0]);
    double end = row_energy(u, ticks_rel(u, span->end_ns), &lo[1], &hi[1]);
    out->energy_uj = end - start;
    out->lower_uj = fmin(fmax(0, lo[1] - hi[0]), out->energy_uj);
    out->upper_uj = fmax(hi[1] - lo[0], out->energy_uj);
    if (span->first_ns != LMW_NULL)
        out->prefill_uj = row_energy(u, ticks_rel(u, span->first_ns), &lo[2], &hi[2]) - start;
    return isfinite(out->energy_uj) && out->upper_uj < 4e18;
}

bool lmw_fit_span(const struct series *s, int64_t first, int64_t n, struct known_spans *known,
                  const struct lmw_span *span, struct fit *out)
{
    struct ticks u;
    struct points p;
    struct filter two[2];
    double lo[2] = {-HUGE_VAL, -HUGE_VAL}, hi[2] = {HUGE_VAL, HUGE_VAL}, half;
    lmw_points_gather(s, first, n, known, span, &u, &p);
    *out = (struct fit){0};
    if (u.n < 2)
        return false;
    if (is_sparse(s, &u))
        return fit_lines(&u, span, out);
    double step = lmw_ticks_step(s, first, n);
    two[0].step = two[1].step = step;
    two[0].wander = two[1].wander = 2 * u.wander;
    struct search of = {.u = &u, .p = &p, .best = &two[0], .trial = &two[1]};
    of.most_rise =
        most_rise(&u, s->window_error_s, (double)(span->end_ns - span->start_ns) * 1e-9);
    const struct filter *f = search(&of, &known->noise[s->index]);
    if (!f)
        return false;
    if (u.window_s == 0) {
        bracket(s, first, n, span->start_ns, (double)u.e0_uj, step, &lo[0], &hi[0]);
        bracket(s, first, n, span->end_ns, (double)u.e0_uj, step, &lo[1], &hi[1]);
    }
    double start = fmin(fmax(f->x[EDGE], lo[0]), hi[0]);
    double end = fmin(fmax(f->x[EDGE + 2], lo[1]), hi[1]);
    out->energy_uj = fmax(0, end - start);
    span_energy(f, &half);
    half = hypot(hypot(half, off_by_rise(&of)), off_by_window(&of, &u, s->window_error_s));
    double lower_uj = out->energy_uj - half, upper_uj = out->energy_uj + half;
    widen_to_modes(&of, &lower_uj, &upper_uj);
    if (u.window_s == 0) {
        /* How a value became a whole number of steps is not known; of powers span.c says so. */
        lower_uj = fmax(lower_uj - step, lo[1] - hi[0]);
        upper_uj = fmin(upper_uj + step, hi[1] - lo[0]);
    } else {
        out->prior_uj =
            Z * f->wide_w * (ticks_rel(&u, span->end_ns) - ticks_rel(&u, span->start_ns));
    }
    out->lower_uj = fmin(lower_uj, out->energy_uj);
    out->upper_uj = fmax(upper_uj, out->energy_uj);
    if (span->first_ns != LMW_NULL)
        out->prefill_uj = fmin(fmax(f->x[EDGE + 1] - start, 0), out->energy_uj);
    /* Samples of nonsense (a terawatt, a nanosecond) end here. */
    return isfinite(out->energy_uj) && isfinite(half) && out->upper_uj < 4e18;
}
