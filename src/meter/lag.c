/* How long a power reading's averaging is, where nobody states it.
 *
 * Queries draw more than the gaps between them. A reading that is the mean of the last W seconds
 * follows the share of those W seconds in which queries ran, so of all W the true one explains
 * the readings best:
 *
 *     reading(t) = idle + step * share(t - W, t),   least squares over the readings around a span
 *
 * with a step for what runs before the first token and one for what runs after it, where these are
 * known: a prefill that draws little would else look like a lag.
 * W is sought on a grid of ratio 1.06 from 10 ms (the moment) to 8 s, fine enough to tell windows
 * that leave the same part of a cycle over, then between its neighbours.
 * A value counts once, when it was made (tick.c); what is not known of that is part of W's error.
 * It is believed only if the load explains half of the readings' variance, and if every W that
 * explains them not significantly worse (by an F test with as many degrees as there are windows
 * in the time) is within a factor of 1.5, or is 50 ms or less. Else nothing is learned: too few
 * queries, all lengths alike, or gaps and queries that fit whole into W. What is known then is the
 * longest W of those that explain them as well; and where the load explains nothing, or there is
 * next to nothing to explain, that nobody states a mean over more than 5 s as a power. */
#include "meter/lag.h"

#include <math.h>

#include "base/record.h"
#include "meter/tick.h"

enum { MAX_SPANS = 128, MIN_SPANS = 6, N_GRID = 116, N_FINE = 17 };
static const double LEAST_S = 0.01, RATIO = 1.06, MOMENT_S = 0.05, F_95 = 4, MOST_S = 5;

/* Stretches in which something ran, in order of time. */
struct stretches {
    int n;
    double start_s[MAX_SPANS], end_s[MAX_SPANS], ran_s[MAX_SPANS]; /* ran: before its start */
};
struct lag {
    double start_s, end_s; /* of all that ran */
    struct stretches whole,
        decode; /* queries, or what of them is before the first token; the rest */
    struct ticks readings;
};

static void take_stretch(struct stretches *x, double a, double b)
{
    if (b <= a)
        return;
    int i = x->n++;
    x->start_s[i] = a;
    x->end_s[i] = b;
    x->ran_s[i] = i ? x->ran_s[i - 1] + x->end_s[i - 1] - x->start_s[i - 1] : 0;
}

/* The known spans nearest to this one, as stretches that do not overlap. */
static int take_spans(struct lag *l, const struct known_spans *known, const struct lmw_span *span)
{
    int at = 0, n = 0;
    while (at < known->n && known->v[at].start_ns < span->start_ns)
        at++;
    int from = at > MAX_SPANS / 2 ? at - MAX_SPANS / 2 : 0;
    double last = -HUGE_VAL;
    for (int i = from; i < known->n && n < MAX_SPANS; i++) {
        const struct lmw_span *x = &known->v[i];
        double a = fmax(last, (double)(x->start_ns - span->start_ns) * 1e-9);
        double b = (double)(x->end_ns - span->start_ns) * 1e-9, split = b;
        if (b <= a)
            continue;
        if (x->first_ns != LMW_NULL)
            split = fmax(a, (double)(x->first_ns - span->start_ns) * 1e-9);
        take_stretch(&l->whole, a, split);
        take_stretch(&l->decode, split, b);
        l->start_s = n++ ? l->start_s : a;
        l->end_s = last = b;
    }
    return n;
}

/* Readings that were new, and when they were made: those before the span, and after it where these
 * are few; from the first known span to after_s behind the last. */
static void take_readings(struct lag *l, const struct series *s, int64_t first, int64_t n,
                          const struct known_spans *known, const struct lmw_span *span,
                          double after_s)
{
    int64_t origin = span->start_ns, at = lmw_series_lower(s, first, n, origin);
    int64_t i = lmw_series_lower(s, first, n, origin + (int64_t)(l->start_s * 1e9));
    int64_t to = lmw_series_upper(s, i, n, origin + (int64_t)((l->end_s + after_s) * 1e9));
    l->readings.t0_ns = origin;
    lmw_ticks_readings(&l->readings, s, at - i > MAX_TICKS ? at - MAX_TICKS : i, to,
                       lmw_ticks_renewal_s(s, known, first, n - 1));
}

/* For how long they ran before t. */
static double ran_until(const struct stretches *x, double t_s)
{
    int lo = 0, hi = x->n; /* the first that starts after t */
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (x->start_s[mid] <= t_s)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? x->ran_s[lo - 1] + fmin(t_s, x->end_s[lo - 1]) - x->start_s[lo - 1] : 0;
}

/* Least squares of y over a constant and two loads a, b. */
struct sums {
    double n, a, b, y, aa, ab, bb, ay, by, yy;
};

static void sums_add(struct sums *s, double a, double b, double y)
{
    s->n++;
    s->a += a;
    s->b += b;
    s->y += y;
    s->aa += a * a;
    s->ab += a * b;
    s->bb += b * b;
    s->ay += a * y;
    s->by += b * y;
    s->yy += y * y;
}

/* What one load explains; nothing where more of it reads as less, and with no more of a step than
 * leaves something for the gaps. */
static double explained_by_one(double xx, double xy, double x, double y)
{
    if (xx <= 1e-6 || xy <= 0)
        return 0;
    double step = fmin(xy / xx, y / x);
    return step * (2 * xy - step * xx);
}

/* What is left of the variance, and all of it. */
static double left_over(const struct sums *s, double *all)
{
    double n = s->n, a = s->a / n, b = s->b / n, y = s->y / n;
    double aa = s->aa / n - a * a, bb = s->bb / n - b * b, ab = s->ab / n - a * b;
    double ay = s->ay / n - a * y, by = s->by / n - b * y, det = aa * bb - ab * ab;
    *all = s->yy / n - y * y;
    double step_a = (ay * bb - by * ab) / det, step_b = (by * aa - ay * ab) / det;
    if (det > 1e-6 * aa * bb && step_a > 0 && step_b > 0 && step_a * a + step_b * b <= y)
        return *all - step_a * ay - step_b * by;
    return *all - fmax(explained_by_one(aa, ay, a, y), explained_by_one(bb, by, b, y));
}

/* The squares that a mean over w leaves unexplained; all of them when more load reads as less. */
static double unexplained(const struct lag *l, double w, double *all)
{
    struct sums sums = {0};
    for (int i = 0; i < l->readings.n; i++) {
        double t = l->readings.v[i].t_s;
        if (t - w < l->start_s - w / 2)
            continue;
        double a = (ran_until(&l->whole, t) - ran_until(&l->whole, t - w)) / w;
        double b = (ran_until(&l->decode, t) - ran_until(&l->decode, t - w)) / w;
        sums_add(&sums, a, b, l->readings.v[i].e_uj);
    }
    if (sums.n < 3)
        return *all = HUGE_VAL;
    return left_over(&sums, all);
}

/* The best of windows from w on, each `ratio` times the one before. */
static double best_of(const struct lag *l, double w, double ratio, int n, double left[],
                      double *all)
{
    double best_s = w;
    int best = 0;
    for (int i = 0; i < n; i++, w *= ratio) {
        left[i] = unexplained(l, w, all);
        if (left[i] < left[best]) {
            best = i;
            best_s = w;
        }
    }
    return best_s;
}

/* Windows of a grid that are not significantly worse than the best: the least and the most. */
static void alike(const struct lag *l, double w, double ratio, int n, const double left[],
                  double best_s, double least, double *lo_s, double *hi_s)
{
    const struct ticks *r = &l->readings;
    double took_s = r->v[r->n - 1].t_s - r->v[0].t_s;
    double most = least * (1 + F_95 / fmax(2, fmin(r->n, took_s / best_s) - 3));
    *lo_s = *hi_s = best_s;
    for (int i = 0; i < n; i++, w *= ratio) {
        if (left[i] <= most) {
            *lo_s = fmin(*lo_s, w);
            *hi_s = fmax(*hi_s, w);
        }
    }
}

bool lmw_lag_learn(const struct series *s, int64_t first, int64_t n,
                   const struct known_spans *known, const struct lmw_span *span,
                   struct lag_window *out)
{
    enum { FEW = 8 };
    struct lag l = {0};
    double left[N_GRID], fine[N_FINE], all, lo_s, hi_s;
    *out = (struct lag_window){.window_ns = LMW_NULL, .most_s = MOST_S};
    bool few = take_spans(&l, known, span) < MIN_SPANS;
    /* What a live meter reads after the last query it knows may be of the next. */
    take_readings(&l, s, first, n, known, span, few && s->grows ? MOST_S : 0);
    if (l.readings.n < FEW)
        return false;
    double best_s = best_of(&l, LEAST_S, RATIO, N_GRID, left, &all);
    double least = unexplained(&l, best_s, &all);
    alike(&l, LEAST_S, RATIO, N_GRID, left, best_s, least, &lo_s, &hi_s);
    if (2 * least > all)
        return false;
    out->most_s = fmin(hi_s * RATIO, MOST_S);
    if (few || l.readings.n < 4 * MIN_SPANS || (hi_s > 1.5 * lo_s && hi_s > MOMENT_S))
        return false;
    double step = pow(RATIO, 2.0 / (N_FINE - 1)), from_s = best_s / RATIO;
    best_s = best_of(&l, from_s, step, N_FINE, fine, &all);
    least = unexplained(&l, best_s, &all);
    alike(&l, from_s, step, N_FINE, fine, best_s, least, &lo_s, &hi_s);
    bool moment = best_s < 1.5 * LEAST_S;
    out->window_ns = moment ? 0 : llround(best_s * 1e9);
    out->error_s = moment ? 0 : (hi_s - lo_s) / 2 + l.readings.v[l.readings.n / 2].sd_s / 2;
    return true;
}
