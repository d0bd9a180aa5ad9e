/* Two clocks, one load: how far a power log's clock is ahead of the clock that timed the steps of
 * a known load.
 *
 * The log is compared with the load moved by every offset at which a step passes a sample;
 * between two of these nothing changes for power readings, and little for a counter's mean powers.
 * Each trial fits idle + slope x load by least squares (maximal correlation is minimal residue).
 * With sums over the samples made once, it costs a search per step. A counter's interval that a
 * step cuts has the mean of both loads.
 *
 * The uncertainty is every offset whose residue is not significantly larger than the best (chi
 * square of one degree of freedom at 95 %). Without noise that is what one sample period leaves
 * open, less what steps at different phases take from it. Refused: a log in which no power follows
 * the load (F below 30: many offsets were tried), and loads so regular that another offset, a step
 * or more away, fits as well.
 *
 * A reading that is averaged over a window lags by half of it; that is found as offset too. */
#include "meter/offset.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_TRIALS = 20000000 };
static const double CHI2_95 = 3.84, F_LEAST = 30, TINY = 1e-12, MOST_S = 1e9;

/* Times are seconds after the log's first sample, and after the first step; offsets are counted
 * from the difference of those two. */
struct match {
    bool cells; /* sample i is the mean power over (t[i], t[i + 1]]; else the power at t[i] */
    int64_t n, n_good, t0_ns;
    int n_step;
    double late_s;  /* how far updates may be from where they were put */
    double *t;      /* n + 1 of them */
    double *w, *wp; /* sums before i of weights, and of weights x power; n + 1 of them */
    double *step, *load;
    double p2; /* sum of weight x (power - mean)^2: the residue when nothing is explained */
};

/* ---- the log ---- */

static void add_sample(struct match *m, double t, double weight, double mw)
{
    int64_t i = m->n++;
    m->t[i] = t;
    m->w[i + 1] = m->w[i] + weight;
    m->wp[i + 1] = m->wp[i] + weight * mw;
    m->p2 += weight * mw * mw;
    m->n_good += weight > 0;
}

static void read_powers(struct match *m, const struct series *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        const struct sample *x = series_at(s, i);
        if (!(x->flags & S_NONE))
            add_sample(m, (double)(x->t_ns - m->t0_ns) * 1e-9, 1, (double)x->v);
    }
}

/* A log that shows old values again was looked at more often than the counter wrote. */
static bool is_polled(const struct series *s)
{
    const struct sample *last = NULL;
    for (int64_t i = 0; i < s->n; i++) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_NONE)
            continue;
        if (last && x->v == last->v && x->t_ns > last->t_ns)
            return true;
        last = x;
    }
    return false;
}

/* Mean powers between the counter's updates: each at its row's time, or where the log was polled
 * in the middle between the two looks around it. Across a reset, a gap or a failure nothing is
 * known, nor before the first update: weight 0. */
static void read_counter(struct match *m, const struct series *s)
{
    bool polled = is_polled(s), known = false;
    const struct sample *before = NULL;
    int64_t v = 0;
    double at = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const struct sample *x = series_at(s, i);
        known = known && !(x->flags & S_BROKEN);
        if (x->flags & S_NONE)
            continue;
        double t = (double)(x->t_ns - m->t0_ns) * 1e-9;
        double look = before ? (double)(x->t_ns - before->t_ns) * 1e-9 : 0;
        double update = polled ? t - look / 2 : t;
        if (before && x->v != v && update > at) {
            add_sample(m, at, known ? update - at : 0, (double)(x->v - v) * 1e-3 / (update - at));
            m->late_s += polled ? look / 2 : 0;
            known = true;
        }
        if (!before || x->v != v) {
            at = update > at ? update : at;
            v = x->v;
        }
        before = x;
    }
    m->t[m->n] = at;
    m->late_s /= m->n > 0 ? (double)m->n : 1;
}

static int read_log(struct match *m, const struct series *s, struct lmw_err *err)
{
    int64_t first = 0;
    while (first < s->n && series_at(s, first)->flags & S_NONE)
        first++;
    if (first < s->n)
        m->t0_ns = series_at(s, first)->t_ns;
    m->cells = s->info.reading != LMW_POWER;
    if (m->cells)
        read_counter(m, s);
    else
        read_powers(m, s);
    if (m->t[m->n - (m->n > 0 && !m->cells)] > MOST_S)
        return lmw_fail(err, LMW_EUNAVAILABLE, "the log spans more than 30 years");
    if (m->n_good < 8)
        return lmw_fail(err, LMW_EUNAVAILABLE, "the log holds %lld readings: 8 are needed",
                        (long long)m->n_good);
    m->p2 -= m->wp[m->n] * m->wp[m->n] / m->w[m->n];
    return LMW_OK;
}

/* ---- one trial ---- */

static int64_t first_at_or_after(const struct match *m, double t)
{
    int64_t lo = 0, hi = m->n;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (m->t[mid] < t)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The sums of all that is before t; *cut: weight x f (1 - f) of the interval that t divides. */
static void sums_before(const struct match *m, double t, double *w, double *wp, double *cut)
{
    int64_t i = first_at_or_after(m, t);
    *cut = 0;
    *w = m->w[i];
    *wp = m->wp[i];
    if (!m->cells || i == 0 || t >= m->t[i])
        return;
    double f = (t - m->t[i - 1]) / (m->t[i] - m->t[i - 1]), cell = m->w[i] - m->w[i - 1];
    *w -= (1 - f) * cell;
    *wp -= (1 - f) * (m->wp[i] - m->wp[i - 1]);
    *cut = cell * f * (1 - f);
}

/* What idle + slope x load leaves unexplained at this offset. */
static double residue(const struct match *m, double offset)
{
    double all = m->w[m->n], sl = 0, sll = 0, slp = 0, w, wp, cut, before = 0;
    sums_before(m, m->step[0] + offset, &w, &wp, &cut);
    for (int k = 0; k < m->n_step; k++) {
        double load = m->load[k], w_next = all, wp_next = m->wp[m->n], cut_next = 0;
        if (k + 1 < m->n_step)
            sums_before(m, m->step[k + 1] + offset, &w_next, &wp_next, &cut_next);
        sl += load * (w_next - w);
        slp += load * (wp_next - wp);
        sll += load * load * (w_next - w) - cut * (load - before) * (load - before);
        before = load;
        w = w_next;
        wp = wp_next;
        cut = cut_next;
    }
    double cov = slp - sl * m->wp[m->n] / all, var = sll - sl * sl / all;
    return var > TINY * sll && cov > 0 ? fmax(0, m->p2 - cov * cov / var) : m->p2;
}

/* ---- all of them ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Every offset at which a step passes a sample, in order. */
static double *list_trials(const struct match *m, int64_t *n, struct lmw_err *err)
{
    double *d = NULL;
    *n = m->n * m->n_step;
    if (*n <= MAX_TRIALS)
        d = malloc(((size_t)*n + 1) * sizeof *d);
    if (!d) {
        lmw_fail(err, LMW_ENOMEM,
                 "%lld readings and %d steps are too many: cut the log to the "
                 "time of the steps",
                 (long long)m->n, m->n_step);
        return NULL;
    }
    for (int64_t i = 0; i < m->n; i++) {
        for (int k = 0; k < m->n_step; k++)
            d[i * m->n_step + k] = m->t[i] - m->step[k];
    }
    qsort(d, (size_t)*n, sizeof *d, ascending);
    return d;
}

/* The least residue between lo and hi by golden section. */
static double refine(const struct match *m, double lo, double hi)
{
    const double g = 0.6180339887498949;
    double a = hi - g * (hi - lo), b = lo + g * (hi - lo);
    double ra = residue(m, a), rb = residue(m, b);
    for (int i = 0; i < 60; i++) {
        if (ra < rb) {
            hi = b;
            b = a;
            rb = ra;
            a = hi - g * (hi - lo);
            ra = residue(m, a);
        } else {
            lo = a;
            a = b;
            ra = rb;
            b = lo + g * (hi - lo);
            rb = residue(m, b);
        }
    }
    return (lo + hi) / 2;
}

/* Where the residue passes the limit between an offset that is within it and one that is not. */
static double border(const struct match *m, double within, double beyond, double limit)
{
    for (int i = 0; i < 60; i++) {
        double mid = (within + beyond) / 2;
        if (residue(m, mid) <= limit)
            within = mid;
        else
            beyond = mid;
    }
    return (within + beyond) / 2;
}

/* No other offset may fit as well: none as far away as a step is long. */
static double unambiguous(const struct match *m)
{
    double least = HUGE_VAL;
    for (int k = 1; k < m->n_step; k++)
        least = fmin(least, m->step[k] - m->step[k - 1]);
    return least + (m->t[m->n - 1] - m->t[0]) / (double)(m->n - 1);
}

/* The offsets [*lo, *hi] that the log allows around the best. */
static int search(const struct match *m, const double *d, int64_t n, double *lo, double *hi,
                  double *least, struct lmw_err *err)
{
    int64_t at = 0;
    *least = HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        double r = residue(m, d[i]);
        at = r < *least ? i : at;
        *least = fmin(*least, r);
    }
    double best = d[at], below = d[at > 0 ? at - 1 : 0], above = d[at < n - 1 ? at + 1 : n - 1];
    double finer = refine(m, below, above);
    if (residue(m, finer) < *least) {
        best = finer;
        *least = residue(m, best);
    }
    double limit = *least * (1 + CHI2_95 / (double)(m->n_good - 3)) + TINY * m->p2;
    double from = best, to = best, far = unambiguous(m);
    for (int64_t i = 0; i < n; i++) {
        if ((d[i] >= from && d[i] <= to) || residue(m, d[i]) > limit)
            continue;
        if (fabs(d[i] - best) > far)
            return lmw_fail(err, LMW_EUNAVAILABLE,
                            "the steps fit as well %.3f s from where they fit best: make them of "
                            "different lengths",
                            fabs(d[i] - best));
        from = fmin(from, d[i]);
        to = fmax(to, d[i]);
    }
    below = d[0] - 1;
    above = d[n - 1] + 1;
    for (int64_t i = 0; i < n; i++) {
        below = d[i] < from ? d[i] : below;
        above = d[n - 1 - i] > to ? d[n - 1 - i] : above;
    }
    *lo = border(m, from, below, limit);
    *hi = border(m, to, above, limit);
    return LMW_OK;
}

static int solve(const struct match *m, int64_t base_ns, struct lmw_offset *out,
                 struct lmw_err *err)
{
    int64_t n;
    double lo = 0, hi = 0, least, *d = list_trials(m, &n, err);
    if (!d)
        return LMW_ENOMEM;
    int rc = search(m, d, n, &lo, &hi, &least, err);
    free(d);
    double f = (m->p2 - least) / fmax(least / (double)(m->n_good - 3), TINY * m->p2);
    if (!(f >= F_LEAST))
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "no power in the log follows the steps of the load");
    if (rc < 0)
        return rc;
    out->offset_ns = base_ns + llround((lo + hi) / 2 * 1e9);
    out->error_ns = llround(((hi - lo) / 2 + m->late_s) * 1e9);
    out->r2 = 1 - least / m->p2;
    return LMW_OK;
}

static int read_steps(struct match *m, const struct lmw_step *steps, int n, struct lmw_err *err)
{
    bool moves = false;
    if (n < 1)
        return lmw_fail(err, LMW_EARG, "no steps");
    for (int k = 0; k < n; k++) {
        if (steps[k].t_ns > SERIES_MAX_NS || steps[k].t_ns < -SERIES_MAX_NS ||
            !isfinite(steps[k].load) || (k > 0 && steps[k].t_ns <= steps[k - 1].t_ns))
            return lmw_fail(err, LMW_EARG, "step %d: times must grow and loads be numbers", k + 1);
        if (k > 0 && steps[k].t_ns - steps[0].t_ns > (int64_t)(MOST_S * 1e9))
            return lmw_fail(err, LMW_EARG, "step %d: 30 years after the first", k + 1);
        m->step[k] = (double)(steps[k].t_ns - steps[0].t_ns) * 1e-9;
        m->load[k] = steps[k].load;
        moves |= steps[k].load != 0;
    }
    m->n_step = n;
    return moves ? LMW_OK : lmw_fail(err, LMW_EARG, "no step raises the load above 0");
}

int lmw_series_offset(const struct series *s, const struct lmw_step *steps, int n,
                      struct lmw_offset *out, struct lmw_err *err)
{
    struct match m = {0};
    size_t cap = (size_t)s->n + 1;
    double *memory = calloc(3 * cap + 2 * (size_t)(n > 0 ? n : 0), sizeof *memory);
    if (!memory)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %lld samples", (long long)s->n);
    m.t = memory;
    m.w = memory + cap;
    m.wp = memory + 2 * cap;
    m.step = memory + 3 * cap;
    m.load = m.step + n;
    int rc = read_steps(&m, steps, n, err);
    if (rc == LMW_OK)
        rc = read_log(&m, s, err);
    if (rc == LMW_OK)
        rc = solve(&m, m.t0_ns - steps[0].t_ns, out, err);
    free(memory);
    return rc;
}
