/* A sensor that makes a new value every T seconds shows a value for as long, so repeats tell of T:
 * but so does a fast one whose power does not change. Two things tell them apart.
 *
 * News. No T fits k + 1 changes between the read before the first and the last of them if k * T is
 * longer than that. So where values change from read to read now and then (whole steps that
 * flicker), T is short, however many of the others are repeated.
 *
 * Edges. At a query's edge power steps. A value read d after it shows the step if it was made
 * since: of reads that keep no pace with the sensor a share of min(1, d / T). What all edges make
 * of each T is its likelihood; where no read that late shows what was before, T is at most a small
 * part of the time between reads. (A mean over W shows half a step after W / 2: T seems longer
 * than it is, which is the safe side.) */
#include "meter/renewal.h"

#include <math.h>

#include "base/record.h"
#include "base/stat.h"

enum { LOOK = 8192, PLENTY = 128, ENOUGH = 4, N_FREQUENCY = 2048 };
static const double PI = 3.14159265358979323846;

/* ---- news ---- */

/* The last changes, the newest first: each after lo_s, and seen at hi_s. */
struct news {
    int n, n_same; /* n_same: reads that showed the old value */
    double lo_s[PLENTY + 1], hi_s[PLENTY + 1], read_s;
};

static void find_news(struct news *c, const struct series *s, int64_t first, int64_t i)
{
    const struct sample *later = NULL, *last = NULL;
    *c = (struct news){0};
    for (int64_t stop = i - LOOK; i >= first && i > stop && c->n <= PLENTY; i--) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_NONE)
            continue;
        if (later && x->v == later->v) {
            c->n_same++;
        } else if (later) {
            c->lo_s[c->n] = (double)(x->t_ns - last->t_ns) * 1e-9;
            c->hi_s[c->n++] = (double)(later->t_ns - last->t_ns) * 1e-9;
        }
        last = last ? last : x;
        later = x;
    }
    if (c->n > 0)
        c->read_s = (double)(last->t_ns - later->t_ns) * 1e-9 / (c->n + c->n_same);
}

/* No renewal is rarer than this: as many changes were seen in as short a time. */
static double rarest_s(const struct news *c)
{
    enum { FAR = 8 };
    double most = HUGE_VAL;
    for (int i = 0; i < c->n; i++) {
        for (int k = 1; k <= FAR && i + k < c->n; k++)
            most = fmin(most, (c->hi_s[i] - c->lo_s[i + k]) / k);
    }
    return most;
}

/* How well the middles of the changes keep time with frequencies from `least` on, n of them: the
 * frequency at which their phases agree best. They agree to sin(x) / x, x = pi * (time between
 * reads) / period, if they do; FAINT is out of chance's reach. 0: at none. */
static double best_frequency(const struct news *c, int n_news, double least, double step, int n)
{
    const double faint = 0.45;
    double re[N_FREQUENCY] = {0}, im[N_FREQUENCY] = {0}, most = 0;
    for (int i = 0; i < n_news; i++) {
        double turn = 2 * PI * (c->lo_s[i] + c->hi_s[i]) / 2;
        double x = cos(turn * least), y = sin(turn * least);
        double a = cos(turn * step), b = sin(turn * step);
        for (int k = 0; k < n; k++) {
            re[k] += x;
            im[k] += y;
            double turned = x * a - y * b;
            y = x * b + y * a;
            x = turned;
        }
    }
    for (int k = 0; k < n; k++) {
        re[k] = hypot(re[k], im[k]);
        most = fmax(most, re[k]);
    }
    if (n_news < 8 || most < faint * n_news)
        return 0;
    int k = 0; /* of dense reads twice the frequency does nearly as well */
    while (re[k] < 0.85 * most)
        k++;
    while (k + 1 < n && re[k + 1] > re[k])
        k++;
    return least + k * step;
}

/* The time between renewals, which is no more than most_s: that of the clock with which the
 * changes keep time, for a value may be renewed and not change (whole watts, an idle machine), so
 * that changes are several periods apart; where they keep none, the median between them. */
static double usual_s(const struct news *c, double most_s)
{
    double between[PLENTY], least = 0.8 / most_s, wide = 1.1 / most_s;
    int n = c->n - 1, n_news = c->n;
    for (int i = 0; i < n; i++)
        between[i] = c->hi_s[i] - c->hi_s[i + 1];
    /* Four steps are the difference of a turn from the first change to the last. */
    while (n_news > 1 && 4 * (c->hi_s[0] - c->hi_s[n_news - 1]) * wide > N_FREQUENCY - 1)
        n_news--;
    double step = 0.25 / (c->hi_s[0] - c->hi_s[n_news - 1]);
    double f = best_frequency(c, n_news, least, step, (int)(wide / step));
    return f > 0 ? 1 / f : lmw_quantile(between, (size_t)n, 0.5);
}

/* ---- edges ---- */

enum { MAX_EDGES = 128, N_AGE = 80 };
static const double LEAST_S = 0.0002, RATIO = 1.15;
/* Of edges that power did not follow at once, for reasons of its own. */
static const double ODD = 0.02;
/* A period that makes the edges e^4.6, 100 times, less likely than another is none. */
static const double CLEARLY = 4.6;

/* How long after an edge the last read came that did not show it, and the first that did. */
struct shown {
    double not_s, yes_s;
};

static bool has_value(const struct series *s, int64_t i)
{
    return !(series_at(s, i)->flags & S_NONE);
}

/* The last value in [from, n) at or before t_ns; from - 1: none. */
static int64_t value_before(const struct series *s, int64_t from, int64_t n, int64_t t_ns)
{
    int64_t i = lmw_series_upper(s, from, n, t_ns) - 1;
    while (i >= from && !has_value(s, i))
        i--;
    return i;
}

/* What the reads make of the edge at t_ns, where power is the same until until_ns; false where it
 * hardly stepped: by no more than `noise`. */
static bool look_at_edge(struct shown *out, const struct series *s, int64_t first, int64_t n,
                         int64_t t_ns, int64_t until_ns, double noise)
{
    int64_t at = value_before(s, first, n, t_ns - 1),
            end = value_before(s, first, n, until_ns - 1);
    if (at < first || end <= at)
        return false;
    double old = (double)series_at(s, at)->v, new = (double)series_at(s, end)->v;
    bool moved = false;
    *out = (struct shown){0, HUGE_VAL};
    for (int64_t i = at + 1; i <= end; i++) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_BROKEN)
            return false;
        if (x->flags & S_NONE)
            continue;
        double after_s = fmax((double)(x->t_ns - t_ns) * 1e-9, LEAST_S);
        moved = moved || (double)x->v != old;
        if (fabs((double)x->v - old) > fabs((double)x->v - new)) {
            out->yes_s = after_s;
            break;
        }
        out->not_s = after_s;
    }
    return !moved || (fabs(new - old) > noise && out->yes_s < HUGE_VAL);
}

/* Edge k of all known spans, two a span, and until when power is the same behind it. */
static int64_t edge_at(const struct known_spans *known, int k, int64_t *until_ns)
{
    const struct lmw_span *x = &known->v[k / 2];
    *until_ns = k % 2 == 0             ? x->end_ns
                : k / 2 + 1 < known->n ? known->v[k / 2 + 1].start_ns
                                       : x->end_ns; /* nobody knows */
    return k % 2 == 0 ? x->start_ns : x->end_ns;
}

/* How much values differ from the ones before where nothing is known to have changed. The first
 * change behind an edge is the edge's, however late. */
static double find_noise(const struct series *s, const struct known_spans *known, int64_t first,
                         int64_t n, int from, int to)
{
    double d[PLENTY];
    size_t k = 0;
    for (int e = from; e < to && k < PLENTY; e++) {
        int64_t until_ns, t_ns = edge_at(known, e, &until_ns);
        int64_t last = value_before(s, first, n, t_ns),
                end = value_before(s, first, n, until_ns - 1);
        bool moved = false;
        for (int64_t i = last + 1; last >= first && i <= end && k < PLENTY; i++) {
            double by = (double)(series_at(s, i)->v - series_at(s, last)->v);
            if (!has_value(s, i))
                continue;
            if (by != 0 && moved)
                d[k++] = fabs(by);
            moved = moved || by != 0;
            last = i;
        }
    }
    return k > 0 ? lmw_quantile(d, k, 0.75) : 0;
}

/* How likely starts and ends, `n` of each, make every age. */
struct ages {
    int n[2];
    double by[2][N_AGE];
};

/* Of the edges nearest to t_ns. */
static void ask_edges(struct ages *out, const struct series *s, const struct known_spans *known,
                      int64_t first, int64_t n, int64_t t_ns)
{
    int to = 2 * lmw_spans_after(known, t_ns) + MAX_EDGES / 2;
    to = to < 2 * known->n ? to : 2 * known->n;
    int from = to > MAX_EDGES ? to - MAX_EDGES : 0;
    double noise = 3 * find_noise(s, known, first, n, from, to);
    *out = (struct ages){0};
    for (int e = from; e < to; e++) {
        struct shown x;
        int64_t until_ns, edge_ns = edge_at(known, e, &until_ns);
        if (!look_at_edge(&x, s, first, n, edge_ns, until_ns, noise))
            continue;
        out->n[e % 2]++;
        double age = LEAST_S, *by = out->by[e % 2];
        for (int i = 0; i < N_AGE; i++, age *= RATIO)
            by[i] += log(ODD + fmax(0, fmin(x.yes_s, age) - x.not_s) / age);
    }
}

/* The likeliest age by these, and the greatest that is not clearly less likely. Returns the
 * logarithm of the likelihood. */
static double likeliest(struct renewal *out, const double by[N_AGE], int n_edge)
{
    double best = -HUGE_VAL, age = LEAST_S;
    for (int i = 0; i < N_AGE; i++)
        best = fmax(best, by[i]);
    *out = (struct renewal){0};
    for (int i = 0; i < N_AGE; i++, age *= RATIO) {
        if (by[i] == best)
            out->likely_s = age;
        if (by[i] >= best - CLEARLY)
            out->most_s = age * RATIO;
    }
    if (by[0] >= best - CLEARLY)
        out->likely_s = 0;
    if (n_edge < ENOUGH || out->most_s > age / RATIO)
        *out = (struct renewal){.most_s = HUGE_VAL};
    return best;
}

/* A sensor is as late at starts as at ends. Where these two clearly disagree on one of the moment,
 * power itself takes its time at one of them, and the other tells of the sensor. */
static void ask_starts_and_ends(struct renewal *out, const struct ages *a, bool of_moment)
{
    struct renewal of[2];
    double both[N_AGE];
    for (int i = 0; i < N_AGE; i++)
        both[i] = a->by[0][i] + a->by[1][i];
    double apart = likeliest(&of[0], a->by[0], a->n[0]) + likeliest(&of[1], a->by[1], a->n[1]);
    if (likeliest(out, both, a->n[0] + a->n[1]) < apart - CLEARLY && of_moment)
        *out = of[of[1].most_s < of[0].most_s];
}

/* What is stated; else what news and edges tell. */
void lmw_renewal_learn(struct renewal *out, const struct series *s,
                       const struct known_spans *known, int64_t first, int64_t i)
{
    struct news c;
    struct ages ages;
    *out = (struct renewal){.most_s = HUGE_VAL};
    if (s->info.period_ns != LMW_NULL && s->info.period_ns > 0) {
        out->every_s = (double)s->info.period_ns * 1e-9;
        return;
    }
    if (s->grows) { /* what came later tells as well */
        ask_edges(&ages, s, known, first, s->n, series_at(s, i)->t_ns);
        ask_starts_and_ends(out, &ages, s->info.window_ns == 0);
        i = i + LOOK / 2 < s->n ? i + LOOK / 2 : s->n - 1;
    }
    find_news(&c, s, first, i);
    out->most_s = fmin(rarest_s(&c), out->most_s);
    out->likely_s = fmin(out->likely_s, out->most_s);
    if (c.n > ENOUGH && 2 * c.n_same > c.n && out->most_s > 1.5 * c.read_s)
        out->every_s = usual_s(&c, out->most_s);
}
