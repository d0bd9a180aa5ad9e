/* How long a power reading's averaging is, where nobody states it.
 *
 * Queries draw more than the gaps between them. A reading that is the mean of the last W seconds
 * follows the share of those W seconds in which queries ran, so of all W the true one explains
 * the readings best:
 *
 *     reading(t) = idle + step * share(t - W, t),   least squares over the readings around a span
 *
 * with a step for what runs before the first token and one for what runs after it, where these are
 * known: a prefill that draws little would else look like a lag. A log is asked once, with all of
 * its spans: what one query leaves open the others tell.
 *
 * Queries differ, and so do the powers inside them: residues last. So the squares are those of the
 * residues' innovations (Cochrane and Orcutt 1949): from reading, constant and loads what the one
 * before foretells is taken, rho = exp(-dt / memory), the memory being what the residues of plain
 * least squares show. What is left then is what the edges say, whatever the level of each query.
 *
 * W is sought on a grid of ratio 1.06 from 10 ms (the moment) to 8 s, fine enough to tell windows
 * that leave the same part of a cycle over; then, where one suits better than its neighbours,
 * between these; and about the best together with the readings' age, for a window that is longer
 * looks like one that ended earlier. A value counts once, when it was made (tick.c); where it may be
 * up to a row's time old each W is given the age that suits it best, and is the less certain.
 *
 * A mean may forget slowly instead: the share is then of exp(-age / constant). It is taken where
 * it leaves clearly less than every W.
 *
 * The likeliest is believed, is `sure`, only if the load tells at all, if every W that explains
 * the readings not significantly worse is within a factor of 1.5, or is 50 ms or less, and if
 * readings whose windows hold an edge are explained about as well as others: else they are no
 * means. What is known of one that is not sure is the longest W that explains them as well; and
 * where the load explains nothing, or there is next to nothing to explain, that nobody states a
 * mean over more than 5 s as a power. */
#include "meter/lag.h"

#include <math.h>

#include "base/record.h"
#include "meter/tick.h"

enum { MIN_SPANS = 6, FEW = 8, N_GRID = 116, N_FINE = 17, N_AGE = 5 };
/* A live span asks those around it; a log is asked once. */
enum { NEAR_SPANS = 128, NEAR_READINGS = MAX_TICKS, MAX_SPANS = 1024, MAX_READINGS = 4096 };
static const double LEAST_S = 0.01, RATIO = 1.06, MOMENT_S = 0.05, MOST_S = 5;
/* F of a window that is still alike, at three times the 95 % of normal innovations, for these have
 * long tails; and of a load that tells, out of reach for the best of all windows by chance. */
static const double F_ALIKE = 12, F_TELLS = 30;

/* Stretches in which something ran, in order of time. */
struct stretches {
    int n;
    double start_s[MAX_SPANS], end_s[MAX_SPANS], ran_s[MAX_SPANS]; /* ran: before its start */
};
struct lag {
    double start_s, end_s; /* of all that ran */
    struct stretches whole,
        decode; /* queries, or what of them is before the first token; the rest */
    int n;
    double t_s[MAX_READINGS], w[MAX_READINGS]; /* the readings */
    double max_age_s;                          /* they may have been so old when they were read */
    double made_sd_s;                          /* of when they were made */
    double memory_s;                           /* of the residues */
    bool forgets; /* it is asked for means that forget slowly, with a window for time constant */
};

/* ---- what ran, and what was read ---- */

static void take_stretch(struct stretches *x, double a, double b)
{
    if (b <= a)
        return;
    int i = x->n++;
    x->start_s[i] = a;
    x->end_s[i] = b;
    x->ran_s[i] = i ? x->ran_s[i - 1] + x->end_s[i - 1] - x->start_s[i - 1] : 0;
}

/* At most `most` known spans, those nearest to t_ns, as stretches that do not overlap. */
static int take_spans(struct lag *l, const struct known_spans *known, int64_t t_ns, int most)
{
    int at = lmw_spans_after(known, t_ns), n = 0;
    double last = -HUGE_VAL;
    l->whole.n = l->decode.n = 0;
    l->start_s = l->end_s = 0;
    for (int i = at > most / 2 ? at - most / 2 : 0; i < known->n && n < most; i++) {
        const struct lmw_span *x = &known->v[i];
        double a = fmax(last, (double)(x->start_ns - t_ns) * 1e-9);
        double b = (double)(x->end_ns - t_ns) * 1e-9, split = b;
        if (b <= a)
            continue;
        if (x->first_ns != LMW_NULL)
            split = fmax(a, (double)(x->first_ns - t_ns) * 1e-9);
        take_stretch(&l->whole, a, split);
        take_stretch(&l->decode, split, b);
        l->start_s = n++ ? l->start_s : a;
        l->end_s = last = b;
    }
    return n;
}

/* The samples from i on that hold no more new values than there is room for at once. */
static int64_t chunk_end(const struct series *s, int64_t i, int64_t to)
{
    enum { MANY = 16 * MAX_TICKS };
    int64_t stop = to - i > MANY ? i + MANY : to;
    for (int changes = 0; ++i < stop && changes < MAX_TICKS - 2;)
        changes += series_at(s, i)->v != series_at(s, i - 1)->v;
    return i;
}

/* Readings that were new, and when they were made: those before t_ns, and after it where these
 * are few; from the first known span to after_s behind the last. */
static void take_readings(struct lag *l, const struct series *s, int64_t first, int64_t n,
                          const struct known_spans *known, int64_t t_ns, double after_s, int most)
{
    struct ticks u;
    int64_t at = lmw_series_lower(s, first, n, t_ns);
    int64_t i = lmw_series_lower(s, first, n, t_ns + (int64_t)(l->start_s * 1e9));
    int64_t to = lmw_series_upper(s, i, n, t_ns + (int64_t)((l->end_s + after_s) * 1e9));
    struct renewal renewal;
    lmw_renewal_learn(&renewal, s, known, first, n - 1);
    l->n = 0;
    l->max_age_s = l->made_sd_s = 0;
    for (i = at - i > most ? at - most : i; i < to && l->n < most;) {
        int64_t end = chunk_end(s, i, to);
        u.n = 0;
        u.t0_ns = t_ns;
        u.shift_max_s = u.shift_sd_s = 0;
        u.n_part = 0;
        lmw_ticks_readings(&u, s, i, end, &renewal);
        /* What a chunk begins with was made in the one before. */
        for (int k = l->n > 0; k < u.n && l->n < most; k++, l->n++) {
            l->t_s[l->n] = u.v[k].t_s;
            l->w[l->n] = u.v[k].e_uj;
        }
        l->max_age_s = fmax(l->max_age_s, u.shift_max_s);
        l->made_sd_s = fmax(l->made_sd_s, u.n ? u.v[u.n / 2].sd_s : 0);
        i = end;
    }
}

/* ---- least squares ---- */

/* For how long they ran before t, which is not before the time that was asked for last: *at is
 * how many had started then. */
static double ran_until(const struct stretches *x, double t_s, int *at)
{
    while (*at < x->n && x->start_s[*at] <= t_s)
        ++*at;
    int i = *at - 1;
    return i >= 0 ? x->ran_s[i] + fmin(t_s, x->end_s[i]) - x->start_s[i] : 0;
}

/* Of y over a constant k (1, or what of it is new at each reading) and two loads a, b. */
struct sums {
    int n;
    double kk, ka, kb, ky, aa, ab, bb, ay, by, yy;
};
struct row {
    double t_s, k, a, b, y;
};

static void sums_add(struct sums *s, const struct row *r, double weight)
{
    double k = weight * r->k, a = weight * r->a, b = weight * r->b, y = weight * r->y;
    s->n++;
    s->kk += k * r->k;
    s->ka += k * r->a;
    s->kb += k * r->b;
    s->ky += k * r->y;
    s->aa += a * r->a;
    s->ab += a * r->b;
    s->bb += b * r->b;
    s->ay += a * r->y;
    s->by += b * r->y;
    s->yy += y * r->y;
}

/* The loads' steps, and what they leave of the squares. */
struct solved {
    int n;
    double idle, step_a, step_b, left, all;
};

/* One load; none where more of it reads as less, and with no more of a step than leaves something
 * for the gaps. */
static double step_of_one(double xx, double xy, double kx, double ky)
{
    return xx > 0 && xy > 0 ? fmin(xy / xx, ky / kx) : 0;
}

static void solve(const struct sums *s, struct solved *out)
{
    double aa = s->aa - s->ka * s->ka / s->kk, bb = s->bb - s->kb * s->kb / s->kk,
           ab = s->ab - s->ka * s->kb / s->kk, ay = s->ay - s->ka * s->ky / s->kk,
           by = s->by - s->kb * s->ky / s->kk, det = aa * bb - ab * ab;
    aa = aa > 1e-6 * s->n ? aa : 0; /* it hardly varies */
    bb = bb > 1e-6 * s->n ? bb : 0;
    double a = (ay * bb - by * ab) / det, b = (by * aa - ay * ab) / det;
    if (!(det > 1e-6 * aa * bb && a > 0 && b > 0 && a * s->ka + b * s->kb <= s->ky)) {
        a = step_of_one(aa, ay, s->ka, s->ky);
        b = step_of_one(bb, by, s->kb, s->ky);
        *(a * (2 * ay - a * aa) > b * (2 * by - b * bb) ? &b : &a) = 0;
    }
    out->n = s->n;
    out->step_a = a;
    out->step_b = b;
    out->idle = (s->ky - a * s->ka - b * s->kb) / s->kk;
    out->all = s->yy - s->ky * s->ky / s->kk;
    out->left = out->all - a * (2 * ay - a * aa) - b * (2 * by - b * bb) + 2 * a * b * ab;
    /* No reading is exact to a millionth of what it says. */
    out->left = fmax(out->left, 1e-12 * s->yy);
}

/* What an exponential mean with time constant w is at t_s, which was `was` at last_s. The first
 * `at` stretches had ended then. */
static double remembered(const struct stretches *x, double w, double last_s, double was,
                         double t_s, int *at)
{
    double now = was * exp((last_s - t_s) / w);
    for (int i = *at; i < x->n && x->start_s[i] < t_s; i++) {
        double a = fmax(x->start_s[i], last_s), b = fmin(x->end_s[i], t_s);
        now += exp((b - t_s) / w) - exp((a - t_s) / w);
        *at += x->end_s[i] <= t_s;
    }
    return now;
}

/* Where a pass over the readings is: how many stretches of each kind had started by the ends and
 * the begins of their windows; of a mean that forgets, what it was last. */
struct cursor {
    int i, whole[2], decode[2];
    double last_s, was[2];
};

/* How much of the mean over w that ends at t_s, or forgets with w, each kind of stretch is. */
static void shares(const struct lag *l, double w, double t_s, struct cursor *c, double share[2])
{
    if (l->forgets) {
        double last_s = c->last_s != 0 ? c->last_s : l->start_s;
        share[0] = c->was[0] = remembered(&l->whole, w, last_s, c->was[0], t_s, &c->whole[0]);
        share[1] = c->was[1] = remembered(&l->decode, w, last_s, c->was[1], t_s, &c->decode[0]);
        c->last_s = t_s;
        return;
    }
    share[0] =
        (ran_until(&l->whole, t_s, &c->whole[1]) - ran_until(&l->whole, t_s - w, &c->whole[0])) /
        w;
    share[1] = (ran_until(&l->decode, t_s, &c->decode[1]) -
                ran_until(&l->decode, t_s - w, &c->decode[0])) /
               w;
}

/* The next reading as a mean over w, of age_s when it was read; false at the end. Windows that
 * begin long before all that is known are left out. */
static bool next_row(const struct lag *l, double w, double age_s, struct cursor *c, struct row *r)
{
    double share[2];
    for (; c->i < l->n; c->i++) {
        double t = l->t_s[c->i] - age_s;
        if (t - w < l->start_s - w / 2)
            continue;
        shares(l, w, t, c, share);
        *r = (struct row){t, 1, share[0], share[1], l->w[c->i++]};
        return true;
    }
    return false;
}

/* What of a row the one before did not foretell. */
static double innovation(const struct lag *l, const struct row *last, struct row *r)
{
    double rho = l->memory_s > 0 ? exp(-(r->t_s - last->t_s) / l->memory_s) : 0;
    r->k -= rho * last->k;
    r->a -= rho * last->a;
    r->b -= rho * last->b;
    r->y -= rho * last->y;
    return 1 / fmax(1 - rho * rho, 1e-6);
}

/* How well a mean over w explains the readings, were they age_s old. */
static void try_window(const struct lag *l, double w, double age_s, struct solved *out)
{
    struct sums sums = {0};
    struct cursor c = {0};
    struct row r, last = {0};
    *out = (struct solved){.left = HUGE_VAL, .all = HUGE_VAL};
    while (next_row(l, w, age_s, &c, &r)) {
        struct row whole = r;
        if (last.k > 0)
            sums_add(&sums, &r, innovation(l, &last, &r));
        last = whole;
    }
    if (sums.n >= 3)
        solve(&sums, out);
}

/* The squares that a mean over w leaves, were the readings age_s old; as of all readings, though
 * not all have a window of which everything is known. Of fewer than half it is not asked. */
static double left_over(const struct lag *l, double w, double age_s, double *all)
{
    struct solved x;
    try_window(l, w, age_s, &x);
    double by = (double)l->n / fmax(1, x.n - 4);
    *all = 2 * x.n >= l->n ? x.all * by : HUGE_VAL;
    return 2 * x.n >= l->n ? x.left * by : HUGE_VAL;
}

/* At the age that suits it best. */
static double unexplained(const struct lag *l, double w, double *all)
{
    double least = HUGE_VAL;
    *all = HUGE_VAL;
    for (int k = 0; k < (l->max_age_s > 0 ? N_AGE : 1); k++) {
        double of, left = left_over(l, w, l->max_age_s * k / (N_AGE - 1), &of);
        if (left < least) {
            least = left;
            *all = of;
        }
    }
    return least;
}

/* What a mean over w leaves, as it is. */
struct residues {
    double last_s;     /* they are alike for so long: neighbours' covariance */
    double edge, rest; /* mean squares of windows that hold an edge, and of the others */
    double step;
};

static void look_at_residues(const struct lag *l, double w, struct residues *out)
{
    struct solved x;
    struct cursor c = {0};
    struct row r, last = {0};
    double same = 0, all = 0, took_s = 0, sum[2] = {0}, n[2] = {0};
    try_window(l, w, 0, &x);
    while (next_row(l, w, 0, &c, &r)) {
        bool edge = r.a + r.b > 1e-3 && r.a + r.b < 1 - 1e-3;
        r.y -= x.idle + x.step_a * r.a + x.step_b * r.b;
        same += r.y * last.y;
        took_s += last.k > 0 ? r.t_s - last.t_s : 0;
        all += r.y * r.y;
        sum[edge] += r.y * r.y;
        n[edge]++;
        last = r;
    }
    double rho = all > 0 ? same / all : 0;
    out->last_s = rho > 0.05 && took_s > 0 ? -took_s / (x.n - 1) / log(fmin(rho, 0.999)) : 0;
    out->edge = n[1] > 0 ? sum[1] / n[1] : 0;
    out->rest = n[0] > 0 ? sum[0] / n[0] : HUGE_VAL;
    out->step = fmax(x.step_a, x.step_b);
}

/* Whether windows that hold an edge fit much worse than others: then these are no means over w.
 * Readings of the moment that were 0 to 1 s old when they were read seem to be means of a second,
 * but show a query or none and never half of one. */
static bool is_no_mean(const struct residues *r)
{
    return r->edge > 2 * r->rest + 0.02 * r->step * r->step;
}

/* ---- the search ---- */

/* Windows that were tried, and what they leave unexplained. */
enum { N_TRIED = N_GRID + N_GRID / 2 * N_FINE };
struct tried {
    int n, best;
    double w[N_TRIED], left[N_TRIED], all[N_TRIED];
};

static void try_one(struct tried *x, const struct lag *l, double w)
{
    int i = x->n++;
    x->w[i] = w;
    x->left[i] = unexplained(l, w, &x->all[i]);
    if (x->left[i] < x->left[x->best])
        x->best = i;
}

/* The grid; and, where a window suits better than its neighbours, what lies between these. */
static void try_all(struct tried *x, const struct lag *l, bool fine)
{
    double w = LEAST_S, step = pow(RATIO, 2.0 / (N_FINE + 1));
    x->n = x->best = 0;
    for (int i = 0; i < N_GRID; i++, w *= RATIO)
        try_one(x, l, w);
    for (int i = 1; fine && i + 1 < N_GRID; i++) {
        if (x->left[i] > x->left[i - 1] || x->left[i] >= x->left[i + 1])
            continue;
        w = x->w[i - 1];
        for (int k = 0; k < N_FINE; k++)
            try_one(x, l, w *= step);
    }
}

/* What n time constants from `least_s` on leave, each `ratio` times the one before. Returns which
 * leaves least. */
static int try_forgetting(struct lag *l, double least_s, double ratio, int n, double left[])
{
    double all;
    int best = 0;
    l->forgets = true;
    for (int i = 0; i < n; i++) {
        left[i] = unexplained(l, least_s * pow(ratio, i), &all);
        best = left[i] < left[best] ? i : best;
    }
    l->forgets = false;
    return best;
}

/* Whether a mean that forgets slowly leaves clearly less than the best window, of which `alike`
 * times as much is alike: then its time constant, and how far that may be off. */
static void search_forgetting(struct lag *l, double least, double alike, struct lag_window *out)
{
    enum { N_COARSE = 74, N_ABOUT = 33 };
    const double coarse = 1.1, fine = 1.01, least_s = 0.05; /* to 53 s */
    double left[N_COARSE], lo_s = HUGE_VAL, hi_s = 0;
    int best = try_forgetting(l, least_s, coarse, N_COARSE, left);
    if (left[best] >= least / alike)
        return;
    double from_s = least_s * pow(coarse, best) * pow(fine, -0.5 * (N_ABOUT - 1));
    best = try_forgetting(l, from_s, fine, N_ABOUT, left);
    for (int i = 0; i < N_ABOUT; i++) {
        double w = from_s * pow(fine, i);
        lo_s = left[i] <= left[best] * alike ? fmin(lo_s, w) : lo_s;
        hi_s = left[i] <= left[best] * alike ? fmax(hi_s, w) : hi_s;
    }
    out->forget_s = from_s * pow(fine, best);
    out->error_s = (hi_s - lo_s + l->made_sd_s) / 2;
}

/* The same at the age within far_s of *age_s that suits it best, which is put there. */
static double at_best_age(const struct lag *l, double w, double far_s, double *age_s)
{
    enum { N = 7 };
    double least = HUGE_VAL, about_s = *age_s, all;
    for (int i = 0; i < N; i++) {
        double age = about_s + far_s * (2.0 * i / (N - 1) - 1), left = left_over(l, w, age, &all);
        if (left < least) {
            least = left;
            *age_s = age;
        }
    }
    return least;
}

/* Finds the best window about *best_s, and returns how far from it one is that is alike. A longer
 * window and an earlier time of all readings, up to late_s, can take each other's place: both are
 * sought, three times, each time closer to the best. */
static double refine(const struct lag *l, double late_s, double alike, double *best_s)
{
    enum { ROUNDS = 3, N = 13, CLOSER = 3 };
    double w[ROUNDS * N], left[ROUNDS * N], least = HUGE_VAL, best_age_s = 0, error_s = 0;
    double far_s = fmax(0.01 * *best_s, late_s);
    for (int i = 0; i < ROUNDS; i++, far_s /= CLOSER, late_s /= CLOSER) {
        double about_s = *best_s, about_age_s = best_age_s;
        for (int k = i * N; k < (i + 1) * N; k++) {
            double age_s = about_age_s;
            w[k] = fmax(about_s + far_s * (2.0 * (k % N) / (N - 1) - 1), LEAST_S);
            left[k] = at_best_age(l, w[k], late_s, &age_s);
            if (left[k] < least) {
                least = left[k];
                *best_s = w[k];
                best_age_s = age_s;
            }
        }
    }
    for (int k = 0; k < ROUNDS * N; k++)
        error_s = left[k] <= least * alike ? fmax(error_s, fabs(w[k] - *best_s)) : error_s;
    return error_s + far_s * CLOSER / (N - 1);
}

static void search(struct lag *l, int n_span, struct lag_window *out)
{
    struct tried x;
    struct residues rest;
    double n_edge = fmin(l->n, 4 * n_span); /* and no more of them tell where the window ends */
    l->memory_s = 0;
    l->forgets = false;
    try_all(&x, l, false);
    look_at_residues(l, x.w[x.best], &rest);
    l->memory_s = rest.last_s;
    try_all(&x, l, true);
    double least = x.left[x.best], best_s = x.w[x.best], lo_s = best_s, hi_s = best_s;
    if (!(x.all[x.best] - least > F_TELLS * least / l->n))
        return;
    for (int i = 0; i < x.n; i++) {
        if (x.left[i] <= least * (1 + F_ALIKE / fmax(2, n_edge - 3))) {
            lo_s = fmin(lo_s, x.w[i]);
            hi_s = fmax(hi_s, x.w[i]);
        }
    }
    bool moment = best_s < 1.5 * LEAST_S;
    out->most_s = fmin(hi_s * RATIO, MOST_S);
    if (n_span < MIN_SPANS || l->n < 4 * MIN_SPANS)
        return;
    double memory_s = l->memory_s, alike = 1 + F_ALIKE / fmax(2, n_edge - 3);
    l->memory_s = 0;
    look_at_residues(l, best_s, &rest);
    l->memory_s = memory_s;
    out->error_s = moment ? 0 : (hi_s - lo_s + l->made_sd_s) / 2;
    if (!moment && l->max_age_s == 0)
        out->error_s = refine(l, TICK_SURE * l->made_sd_s, alike, &best_s);
    if (!moment)
        search_forgetting(l, least, alike, out);
    out->sure = out->forget_s > 0 ||
                ((hi_s <= 1.5 * lo_s || hi_s <= MOMENT_S) && (moment || !is_no_mean(&rest)));
    out->window_ns = moment ? 0 : llround(best_s * 1e9);
}

void lmw_lag_learn(const struct series *s, int64_t first, int64_t n,
                   const struct known_spans *known, const struct lmw_span *span,
                   struct lag_window *out)
{
    struct lag l;
    int64_t t_ns = s->grows && known->n > 0 ? known->v[0].start_ns : span->start_ns;
    *out = (struct lag_window){.window_ns = LMW_NULL, .most_s = MOST_S};
    int n_span = take_spans(&l, known, t_ns, s->grows ? MAX_SPANS : NEAR_SPANS);
    /* What a live meter reads after the last query it knows may be of the next. */
    take_readings(&l, s, first, n, known, t_ns, n_span < MIN_SPANS && s->grows ? MOST_S : 0,
                  s->grows ? MAX_READINGS : NEAR_READINGS);
    if (l.n >= FEW)
        search(&l, n_span, out);
    out->age_s = l.max_age_s;
}
