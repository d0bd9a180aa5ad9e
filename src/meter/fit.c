/* The mark-aware reconstruction: the energy at the edges of a span.
 *
 * Model. Power is constant between change points (marks and the edges of known spans) but for
 * white noise and a slow drift, so energy is its integral plus a Brownian motion. Stretches of a
 * kind (gaps, prefill or whole queries, decode) have powers scattered about that kind's mean. The
 * counter tells E exactly, but only at its updates (tick.c), whose times may all be shifted by
 * one unknown error. That is least squares over the counter's increments, with the powers lightly
 * pulled to their kind's mean; solved here as a Kalman filter, one pass over the updates and
 * change points around the span:
 *
 *     state x = { E, P, mean P of each kind, shift, E at the start, first token, end }
 *     time:    E += P dt;  var E += q dt;  var P += w dt
 *     mark:    P := mean of its kind + N(0, tau^2); an edge keeps a copy of E
 *     update:  e = E + P * shift + noise(resolution, jitter of the update's time)
 *
 * A power reading is an increment too, of the window it is the mean of: E(t) - E(t - window), for
 * which E is copied when the window begins. So an averaged reading is deconvolved by the same pass.
 * (A reading of the moment is the mean of 10 ms.)
 *
 * The copies go on learning from later updates through their covariance, so the filter needs no
 * backward pass, and the variance of E(end) - E(start) comes with it. Noise levels q, tau are
 * relative to the kind's mean power; the pair that makes the window's updates likeliest is used.
 * Powers are kept from going below zero.
 *
 * Bounds are 3.3 standard errors, cut to what a counter that never runs backwards allows: E at a
 * mark is not below a value read before it, nor above a value written after it.
 *
 * Window: up to PAST updates before each edge (twenty more make a counter's error 4 % smaller and
 * its fit a quarter dearer) and NEAR after it. In a long span the middle is left out, which loses
 * nothing: counters are absolute. (Of power readings all are used; span.c splits what is long.)
 * Memory is a few KB whatever the span's length. */
#include "meter/fit.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/record.h"
#include "meter/tick.h"

enum { PAST = 40, PAST_READINGS = 64, NEAR = 32, MAX_READS = 4096, MAX_POINTS = 512 };
static const double Z = 3.3;
static const double CLEARLY = 6; /* e^6 times likelier */

/* ------------------------------------------------------------------------------------------------
 * The filter */

enum { GAP, QUERY, DECODE, UNKNOWN, N_MEAN = UNKNOWN };
/* After the edges a spare one, always 0: rows are gone through two numbers at a time. */
enum { E, P, MEAN, SHIFT = MEAN + N_MEAN, EDGE, OPEN = EDGE + 4, N_STATE = OPEN + MAX_OPEN };

struct filter {
    double x[N_STATE];
    double typical_w; /* in uJ/s, as everything here */
    double wide_w;    /* how far a power may be from that for all that is known before */
    double q_rel, tau_rel, tilt;
    double step; /* of what is read: uJ, or mW of power readings */
    double log_likelihood;
    double var_product; /* of readings whose logarithm is not in the likelihood yet */
    double open_w[MAX_OPEN], open_s[MAX_OPEN]; /* each begun window's power then, and when */
    int n;    /* states in use: edges and begun windows come last, as they are reached */
    int kind; /* of what runs now */
    double c[N_STATE][N_STATE]; /* last: only what is in use is cleared */
};

static void filter_init(struct filter *f, double e_uj, double typical_w, double shift_mean_s,
                        double shift_sd_s, bool has_windows)
{
    double wide = f->wide_w * f->wide_w;
    memset(f->x, 0, sizeof f->x);
    for (int i = 0; i < (has_windows ? N_STATE : OPEN); i++)
        memset(f->c[i], 0, (has_windows ? N_STATE : OPEN) * sizeof *f->c[i]);
    f->log_likelihood = 0;
    f->var_product = 1;
    f->typical_w = typical_w;
    f->n = EDGE;
    f->kind = UNKNOWN;
    f->x[E] = e_uj;
    f->c[E][E] = has_windows ? 1 : f->step * f->step / 12;
    f->x[P] = typical_w;
    f->c[P][P] = wide;
    for (int k = 0; k < N_MEAN; k++) {
        f->x[MEAN + k] = typical_w;
        f->c[MEAN + k][MEAN + k] = wide;
    }
    f->x[SHIFT] = shift_mean_s;
    f->c[SHIFT][SHIFT] = shift_sd_s * shift_sd_s;
}

/* The power that noise is relative to: the kind's mean, because a stretch that happens to read
 * low must not count as less noisy for it (that would bias every sum downwards); and never so low
 * that a dark one counts as exactly known. */
static double noise_scale(const struct filter *f)
{
    double w = f->x[f->kind == UNKNOWN ? P : MEAN + f->kind];
    return fmax(w, 0.02 * f->typical_w);
}

typedef double two_doubles __attribute__((vector_size(16), aligned(8), may_alias));

static void row_add(double *to, double k, const double *row, int n)
{
    for (int j = 0; j < n; j += 2)
        *(two_doubles *)(to + j) += k * *(const two_doubles *)(row + j);
}

static void filter_time(struct filter *f, double dt)
{
    /* Drift goes with noise: 10 % in one second where noise is 10 % of a 100 ms mean. */
    double scale = noise_scale(f), v = scale * scale, drift = 10 * f->q_rel;
    f->x[E] += f->x[P] * dt;
    row_add(f->c[E], dt, f->c[P], f->n);
    f->c[E][E] += dt * f->c[E][P] + v * (f->q_rel * dt + drift * dt * dt * dt / 3);
    f->c[E][P] += v * drift * dt * dt / 2;
    for (int j = P; j < f->n; j++)
        f->c[j][E] = f->c[E][j];
    f->c[P][P] += v * drift * dt;
    f->c[SHIFT][SHIFT] += f->tilt * f->tilt * dt;
}

/* State `to` becomes a copy of state `from`. */
static void filter_copy(struct filter *f, int to, int from)
{
    f->n = to < f->n ? f->n : to + 1;
    f->x[to] = f->x[from];
    for (int j = 0; j < f->n; j++)
        f->c[to][j] = f->c[j][to] = f->c[from][j];
    f->c[to][to] = f->c[from][from];
}

static void filter_begin(struct filter *f, int kind)
{
    f->kind = kind;
    if (kind == UNKNOWN) {
        f->x[P] = f->typical_w;
        for (int j = 0; j < f->n; j++)
            f->c[P][j] = f->c[j][P] = 0;
        f->c[P][P] = f->wide_w * f->wide_w;
        return;
    }
    filter_copy(f, P, MEAN + kind);
    double sd = f->tau_rel * noise_scale(f);
    f->c[P][P] += sd * sd;
}

/* A product's one logarithm in place of many. */
static void filter_sum_up(struct filter *f)
{
    f->log_likelihood -= 0.5 * log(f->var_product);
    f->var_product = 1;
}

/* What the reading says is taken in: h is the covariance of the state with what was predicted,
 * var the variance of the reading's own error. */
static void filter_learn(struct filter *f, const double *h, double predicted_var, double var,
                         double miss)
{
    double s = predicted_var + var, by = miss / s;
    for (int i = 0; i < f->n; i++)
        row_add(f->c[i], -h[i] / s, h, f->n);
    for (int i = 0; i < f->n; i++)
        f->x[i] += h[i] * by;
    for (int j = P; j < MEAN + N_MEAN; j++)
        f->x[j] = f->x[j] > 0 ? f->x[j] : 0;
    f->log_likelihood -= 0.5 * miss * by;
    f->var_product *= s;
    if (!(f->var_product > 1e-150 && f->var_product < 1e150))
        filter_sum_up(f);
}

/* When the counter was updated is known to sd_s; where power may have changed within that time
 * (`changes`), what it was there may be another kind's. */
static void filter_count(struct filter *f, const struct tick *u, bool changes)
{
    double w = f->x[P], h[OPEN], most = w;
    for (int k = 0; changes && k < N_MEAN; k++)
        most = fmax(most, f->x[MEAN + k]);
    double late = most * u->sd_s;
    memcpy(h, f->c[E], sizeof h);
    row_add(h, w, f->c[SHIFT], f->n);
    filter_learn(f, h, h[E] + w * h[SHIFT], f->step * f->step / 12 + late * late + 1,
                 u->e_uj - (f->x[E] + w * f->x[SHIFT]));
}

/* The window that ends here began at state `open`. When it ended is known to sd_s: a window that is
 * moved by d holds (P - P at its begin) x d more; where power may have changed within that time
 * (`changes`), the whole of a short one may be of another stretch. */
static void filter_power(struct filter *f, const struct tick *u, int open, double t_s,
                         double window_s, bool changes)
{
    double h[N_STATE] = {0}, w = u->e_uj / window_s, held_s = t_s - f->open_s[open];
    double step = 1000 * f->step * held_s;
    double late = (f->x[P] - f->open_w[open]) * u->sd_s;
    double other = changes ? (f->x[P] - w) * fmin(held_s, 3 * u->sd_s) : 0;
    for (int j = 0; j < f->n; j++)
        h[j] = f->c[E][j] - f->c[OPEN + open][j];
    filter_learn(f, h, h[E] - h[OPEN + open], step * step / 12 + late * late + other * other + 1,
                 w * held_s - (f->x[E] - f->x[OPEN + open]));
}

static void filter_open(struct filter *f, int open, double t_s)
{
    f->open_w[open] = f->x[P];
    f->open_s[open] = t_s;
    filter_copy(f, OPEN + open, E);
}

/* ------------------------------------------------------------------------------------------------
 * Change points */

struct point {
    double t_s;
    int kind; /* of what begins here */
    int edge; /* 0, 1, 2: the span's start, first token, end; -1: none */
};
struct points {
    int n;
    struct point v[MAX_POINTS];
};

static void point_add(struct points *p, double t_s)
{
    int at = 0, hi = p->n; /* at: how many are not later */
    while (at < hi) {
        int mid = (at + hi) / 2;
        if (p->v[mid].t_s <= t_s)
            at = mid + 1;
        else
            hi = mid;
    }
    if ((at > 0 && p->v[at - 1].t_s == t_s) || p->n == MAX_POINTS)
        return;
    memmove(p->v + at + 1, p->v + at, (size_t)(p->n - at) * sizeof *p->v);
    p->v[at] = (struct point){t_s, UNKNOWN, -1};
    p->n++;
}

static double rel(const struct ticks *u, int64_t t_ns)
{
    return (double)(t_ns - u->t0_ns) * 1e-9;
}

static void point_edge(struct points *p, const struct ticks *u, int64_t t_ns, int edge)
{
    for (int i = 0; i < p->n; i++) {
        if (p->v[i].t_s == rel(u, t_ns))
            p->v[i].edge = edge;
    }
}

/* The first known span that starts after t: they are in order of their starts. */
static int span_after(const struct known_spans *known, int64_t t_ns)
{
    int lo = 0, hi = known->n;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (known->v[mid].start_ns <= t_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* What runs between a and b: a known span, or the gap between two. *next is the first
 * that starts later: it moves on with a. */
static int kind_known(const struct known_spans *known, const struct ticks *u, double a, double b,
                      int *next)
{
    double mid = (a + b) / 2;
    while (*next < known->n && rel(u, known->v[*next].start_ns) <= mid)
        ++*next;
    if (*next > 0) {
        const struct lmw_span *x = &known->v[*next - 1];
        if (mid < rel(u, x->end_ns))
            return x->first_ns != LMW_NULL && mid >= rel(u, x->first_ns) ? DECODE : QUERY;
        if (a == rel(u, x->end_ns))
            return GAP;
    }
    return *next < known->n && b == rel(u, known->v[*next].start_ns) ? GAP : UNKNOWN;
}

/* After the last known span its own pattern is expected to go on: gap, query (prefill, decode),
 * gap ... */
static void label(struct points *p, const struct known_spans *known, const struct ticks *u,
                  const struct lmw_span *span)
{
    bool marked_first = span->first_ns != LMW_NULL;
    int since = 0, cycle = marked_first ? 3 : 2;
    int next = span_after(known, u->t0_ns);
    for (int i = 0; i < p->n; i++) {
        double a = p->v[i].t_s, b = i + 1 < p->n ? p->v[i + 1].t_s : a + 1e-6;
        p->v[i].kind = kind_known(known, u, a, b, &next);
        if (a < rel(u, span->end_ns))
            continue;
        if (p->v[i].kind == UNKNOWN)
            p->v[i].kind = since % cycle;
        since++;
    }
}

/* ------------------------------------------------------------------------------------------------
 * The window */

struct range {
    int64_t from, n;
};

/* From sample i back over `changes` changes of value, or to what breaks the series. */
static int64_t walk_back(const struct series *s, int64_t first, int64_t i, int changes)
{
    int64_t stop = i - MAX_READS > first ? i - MAX_READS : first;
    while (i > stop && changes > 0 && !(series_at(s, i)->flags & S_BROKEN)) {
        i--;
        changes -= series_at(s, i)->v != series_at(s, i + 1)->v;
    }
    return i;
}

static int64_t walk_on(const struct series *s, int64_t i, int64_t n, int changes)
{
    int64_t stop = i + MAX_READS < n ? i + MAX_READS : n;
    for (i++; i < stop && changes > 0 && !(series_at(s, i)->flags & S_BROKEN); i++)
        changes -= series_at(s, i)->v != series_at(s, i - 1)->v;
    return i < stop ? i : stop;
}

/* The samples around each edge, overlapping ones joined. */
static int find_ranges(const struct series *s, int64_t first, int64_t n,
                       const struct lmw_span *span, struct range out[3])
{
    int64_t edges[3] = {span->start_ns, span->first_ns, span->end_ns};
    int n_out = 0;
    for (int i = 0; i < 3; i++) {
        if (edges[i] == LMW_NULL)
            continue;
        int64_t at = lmw_series_upper(s, first, n, edges[i]) - 1;
        at = at < first ? first : at;
        struct range r = {walk_back(s, first, at, PAST), walk_on(s, at, n, NEAR)};
        if (n_out && r.from < out[n_out - 1].n)
            out[n_out - 1].n = r.n > out[n_out - 1].n ? r.n : out[n_out - 1].n;
        else
            out[n_out++] = r;
    }
    return n_out;
}

/* Whether a reading adds to what the one at *news_ns said. */
static bool is_news(const struct series *s, int64_t i, int64_t beside, double renewal_s,
                    int64_t *news_ns)
{
    const struct sample *x = series_at(s, i);
    int64_t since = x->t_ns > *news_ns ? x->t_ns - *news_ns : *news_ns - x->t_ns;
    if (x->v == series_at(s, beside)->v && (double)since * 1e-9 < 1.5 * renewal_s)
        return false;
    *news_ns = x->t_ns;
    return true;
}

/* Of power readings: PAST_READINGS of them and some windows before the span, NEAR and a window
 * after it, but no more than there is room for. */
static struct range find_readings(const struct series *s, int64_t first, int64_t n,
                                  const struct lmw_span *span, double renewal_s)
{
    enum { MANY = MAX_TICKS / 4 };
    int64_t window_ns = s->info.window_ns > 0 ? s->info.window_ns : 0, news_ns = span->start_ns;
    int64_t at = lmw_series_upper(s, first, n, span->start_ns) - 1, from = at < first ? first : at;
    for (int k = 0; from > first && !(series_at(s, from)->flags & S_BROKEN) && k < MANY;) {
        if (at - from > MAX_READS ||
            (k >= PAST_READINGS && series_at(s, from)->t_ns < span->start_ns - 3 * window_ns))
            break;
        k += is_news(s, from - 1, from, renewal_s, &news_ns);
        from--;
    }
    int64_t end = lmw_series_lower(s, from, n, span->end_ns), to = end;
    for (int k = 0; to < n && !(series_at(s, to)->flags & S_BROKEN) && k < MANY; to++) {
        if (to - end > MAX_READS ||
            (k >= NEAR && series_at(s, to)->t_ns > span->end_ns + window_ns))
            break;
        k += to > from && is_news(s, to, to - 1, renewal_s, &news_ns);
    }
    return (struct range){from, to};
}

/* Updates and change points of the window. */
static void gather(const struct series *s, int64_t first, int64_t n,
                   const struct known_spans *known, const struct lmw_span *span, struct ticks *u,
                   struct points *p)
{
    struct range range[3] = {0};
    bool counts = s->info.reading != LMW_POWER;
    double renewal_s = counts ? 0 : lmw_ticks_renewal_s(s, known, first, n - 1);
    int n_range = counts ? find_ranges(s, first, n, span, range) : 1;
    if (!counts)
        range[0] = find_readings(s, first, n, span, renewal_s);
    const struct sample *origin = series_at(s, range[0].from);
    u->t0_ns = origin->t_ns;
    u->e0_uj = origin->v;
    u->shift_sd_s = u->shift_max_s = u->tilt = u->window_s = 0;
    u->of_moment = false;
    u->n = 0;
    p->n = 0;
    point_add(p, rel(u, span->start_ns));
    if (span->first_ns != LMW_NULL)
        point_add(p, rel(u, span->first_ns));
    point_add(p, rel(u, span->end_ns));
    for (int i = 0; i < n_range; i++) {
        if (counts)
            lmw_ticks_learn(u, s, range[i].from, range[i].n);
        else
            lmw_ticks_readings(u, s, range[i].from, range[i].n, renewal_s);
        for (int64_t j = range[i].from; j < range[i].n; j++) {
            if (series_at(s, j)->flags & S_MARK)
                point_add(p, rel(u, series_at(s, j)->t_ns));
        }
    }
    int64_t from_ns = origin->t_ns, to_ns = series_at(s, range[n_range - 1].n - 1)->t_ns;
    for (int i = span_after(known, to_ns) - 1; i >= 0; i--) {
        const struct lmw_span *x = &known->v[i];
        if (x->end_ns < from_ns)
            break; /* spans do not overlap but by mistake: a label more or less */
        point_add(p, rel(u, x->start_ns));
        point_add(p, rel(u, x->end_ns));
        if (x->first_ns != LMW_NULL)
            point_add(p, rel(u, x->first_ns));
    }
    label(p, known, u, span);
    point_edge(p, u, span->end_ns, 2);
    if (span->first_ns != LMW_NULL)
        point_edge(p, u, span->first_ns, 1);
    point_edge(p, u, span->start_ns, 0);
}

static double typical_power(const struct ticks *u)
{
    const struct tick *a = &u->v[0], *b = &u->v[u->n - 1];
    double sum = 0;
    if (!u->window_s)
        return b->t_s > a->t_s ? (b->e_uj - a->e_uj) / (b->t_s - a->t_s) : 0;
    for (int i = 0; i < u->n; i++)
        sum += u->v[i].e_uj;
    return sum / u->n / u->window_s;
}

/* A counter misses nothing, so no stretch is far from the mean unless others are; of powers some are
 * read and some are not. */
static double wide_power(const struct ticks *u, double typical_w)
{
    double most = typical_w;
    for (int i = 0; u->window_s > 0 && i < u->n; i++)
        most = fmax(most, u->v[i].e_uj / u->window_s);
    return 2 * most;
}

/* What happens next in the pass: a window begins, a tick, a change point; in this order when they
 * happen at once, for a value read at a mark is of what was before it. */
enum next { NEXT_OPEN, NEXT_TICK, NEXT_POINT };
struct pass {
    const struct ticks *u;
    const struct points *p;
    double shift_s;
    int i_open, i_tick, i_point;
};

static enum next pass_next(const struct pass *a, double *t_s)
{
    const struct ticks *u = a->u;
    double at[] = {u->window_s > 0 && a->i_open < u->n
                       ? u->v[a->i_open].t_s + a->shift_s - u->window_s
                       : HUGE_VAL,
                   a->i_tick < u->n ? u->v[a->i_tick].t_s + a->shift_s : HUGE_VAL,
                   a->i_point < a->p->n ? a->p->v[a->i_point].t_s : HUGE_VAL};
    enum next k = at[NEXT_TICK] < at[NEXT_OPEN] ? NEXT_TICK : NEXT_OPEN;
    k = at[NEXT_POINT] < at[k] ? NEXT_POINT : k;
    *t_s = at[k];
    return k;
}

/* Whether power may have changed within the uncertainty of when the reading was made. */
static bool is_near_point(const struct pass *a)
{
    const struct tick *u = &a->u->v[a->i_tick];
    double sure_s = 1.75 * u->sd_s, t_s = u->t_s + a->shift_s;
    return (a->i_point > 0 && a->p->v[a->i_point - 1].t_s > t_s - a->u->window_s - sure_s) ||
           (a->i_point < a->p->n && a->p->v[a->i_point].t_s < t_s + sure_s);
}

/* One pass over the window. */
static void filter_run(struct filter *f, const struct ticks *u, const struct points *p,
                       double shift_s, double shift_sd_s)
{
    bool counts = u->window_s == 0;
    struct pass a = {u, p, shift_s, 0, counts, 0};
    double typical_w = fmax(typical_power(u), 1);
    f->wide_w = wide_power(u, typical_w);
    filter_init(f, counts ? u->v[0].e_uj : 0, typical_w,
                shift_sd_s > 0 ? -0.5 * u->shift_max_s - shift_s : 0, shift_sd_s, !counts);
    double now = u->v[0].t_s + shift_s - u->window_s, t;
    for (; a.i_point < p->n && p->v[a.i_point].t_s <= now && p->v[a.i_point].edge < 0; a.i_point++)
        filter_begin(f, p->v[a.i_point].kind);
    for (;;) {
        enum next k = pass_next(&a, &t);
        if (t == HUGE_VAL)
            break;
        if (t > now) {
            filter_time(f, t - now);
            now = t;
        }
        if (k == NEXT_OPEN) {
            filter_open(f, a.i_open++ % MAX_OPEN, t);
        } else if (k == NEXT_TICK && counts) {
            filter_count(f, &u->v[a.i_tick], u->v[a.i_tick].sd_s > 0 && is_near_point(&a));
            a.i_tick++;
        } else if (k == NEXT_TICK) {
            filter_power(f, &u->v[a.i_tick], a.i_tick % MAX_OPEN, t, u->window_s,
                         is_near_point(&a));
            a.i_tick++;
        } else {
            const struct point *x = &p->v[a.i_point++];
            if (x->edge >= 0)
                filter_copy(f, EDGE + x->edge, E);
            filter_begin(f, x->kind);
            /* A reading of the moment says nothing of what was before the mark. */
            for (int i = a.i_tick; u->of_moment && i < a.i_open; i++)
                filter_open(f, i % MAX_OPEN, t);
        }
    }
    filter_sum_up(f);
}

/* ------------------------------------------------------------------------------------------------
 * What the filter is not told: noise levels and the updates' common shift */

enum { N_Q = 8, N_TAU = 5, MAX_MODE = 12 };
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
    int q, tau;
    bool tried[N_Q][N_TAU];
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

static bool try_noise(struct search *s, int q, int tau)
{
    static const double taus[N_TAU] = {0.003, 0.01, 0.03, 0.1, 0.3};
    if (q < 0 || q >= N_Q || tau < 0 || tau >= N_TAU || s->tried[q][tau])
        return false;
    s->tried[q][tau] = true;
    s->trial->q_rel = 1e-6 * (double)(1 << 2 * q) / 4;
    s->trial->tau_rel = taus[tau];
    filter_run(s->trial, s->u, s->p, s->shift_s, s->shift_sd_s);
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
    return true;
}

static bool try_neighbour(struct search *s, int i)
{
    static const int step[4][2] = {{1, 0}, {-1, 0}, {0, -1}, {0, 1}};
    return try_noise(s, s->q + step[i][0], s->tau + step[i][1]);
}

/* Uphill from neighbour to neighbour, for a counter's first span and for every span of power
 * readings, whose windows make the levels hard to tell. The level is the source's more than the
 * span's, and spans of a study share most of their updates: where a counter's search has ended
 * once, every further span asks one neighbour, in turn, which follows what changes at a fraction
 * of the cost. */
static void search_noise(struct search *s, struct noise_level *noise)
{
    s->shift_s = s->best_shift_s;
    s->shift_sd_s = s->best_shift_sd_s;
    if (s->u->window_s == 0 && noise->n_span > 0)
        try_neighbour(s, noise->n_span % 4);
    else
        while (try_neighbour(s, 0) || try_neighbour(s, 1) || try_neighbour(s, 2) ||
               try_neighbour(s, 3))
            continue;
    noise->n_span++;
    noise->q = s->q;
    noise->tau = s->tau;
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
    bool is_best = try_noise(s, s->q, s->tau);
    note_mode(s, is_best ? s->best : s->trial);
}

/* Where the shift may be a good part of a period, the filter's one straight line is not enough:
 * start from several. A log that does not say how old its values are is taken at its word, unless
 * the data speak clearly (over a dozen updates or more) for values that were old when read; but
 * that they may have been is in the bounds. */
static void search_shift(struct search *s)
{
    double max = s->u->shift_max_s, sd = s->u->shift_sd_s;
    for (int k = 0; k <= 4 && max > 0.002; k++) {
        if (k == (sd > 0 ? 2 : 0)) /* where the search began */
            continue;
        s->gain = sd > 0 ? 0 : s->u->n >= 16 ? CLEARLY : HUGE_VAL;
        /* Of readings only their times are moved: what they are of has no one straight line. */
        try_shift(s, -0.25 * k * max, s->u->window_s > 0 ? 0 : max / sqrt(12));
    }
    for (int k = -2; k <= 2 && max == 0 && sd > 0.003; k++)
        try_shift(s, 0.75 * k * sd, sd);
    s->gain = 0;
}

/* The likeliest of all among the two filters' trials; NULL when none has a likelihood. Starts where the
 * span before ended, which saves most of the way. */
static const struct filter *search(struct search *s, struct noise_level *noise)
{
    const struct ticks *u = s->u;
    s->likelihood = -HUGE_VAL;
    s->q = noise->q;
    s->tau = noise->tau;
    try_shift(s, u->shift_sd_s > 0 ? -0.5 * u->shift_max_s : 0, u->shift_sd_s);
    search_shift(s);
    search_noise(s, noise);
    for (int k = 0; k < 2 && s->best_shift_sd_s > 0.001; k++)
        try_shift(s, s->best_shift_s + s->best->x[SHIFT], s->best_shift_sd_s);
    return s->likelihood > -HUGE_VAL ? s->best : NULL;
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

/* ------------------------------------------------------------------------------------------------
 * Logs of a few rows */

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
    double start = row_energy(u, rel(u, span->start_ns), &lo[0], &hi[0]);
    double end = row_energy(u, rel(u, span->end_ns), &lo[1], &hi[1]);
    out->energy_uj = end - start;
    out->lower_uj = fmin(fmax(0, lo[1] - hi[0]), out->energy_uj);
    out->upper_uj = fmax(hi[1] - lo[0], out->energy_uj);
    if (span->first_ns != LMW_NULL)
        out->prefill_uj = row_energy(u, rel(u, span->first_ns), &lo[2], &hi[2]) - start;
    return isfinite(out->energy_uj) && out->upper_uj < 4e18;
}

bool lmw_fit_span(const struct series *s, int64_t first, int64_t n, struct known_spans *known,
                  const struct lmw_span *span, struct fit *out)
{
    struct ticks u;
    struct points p;
    struct filter two[2];
    double lo[2] = {-HUGE_VAL, -HUGE_VAL}, hi[2] = {HUGE_VAL, HUGE_VAL}, half;
    gather(s, first, n, known, span, &u, &p);
    *out = (struct fit){0};
    if (u.n < 2)
        return false;
    if (is_sparse(s, &u))
        return fit_lines(&u, span, out);
    double step = lmw_ticks_step(s, first, n);
    two[0].step = two[1].step = step;
    two[0].tilt = two[1].tilt = 2 * u.tilt;
    struct search of = {.u = &u, .p = &p, .best = &two[0], .trial = &two[1]};
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
    double lower_uj = out->energy_uj - half, upper_uj = out->energy_uj + half;
    widen_to_modes(&of, &lower_uj, &upper_uj);
    if (u.window_s == 0) {
        /* How a value became a whole number of steps is not known; of powers span.c says so. */
        lower_uj = fmax(lower_uj - step, lo[1] - hi[0]);
        upper_uj = fmin(upper_uj + step, hi[1] - lo[0]);
    } else {
        out->prior_uj = Z * f->wide_w * (rel(&u, span->end_ns) - rel(&u, span->start_ns));
    }
    out->lower_uj = fmin(lower_uj, out->energy_uj);
    out->upper_uj = fmax(upper_uj, out->energy_uj);
    if (span->first_ns != LMW_NULL)
        out->prefill_uj = fmin(fmax(f->x[EDGE + 1] - start, 0), out->energy_uj);
    /* Samples of nonsense (a terawatt, a nanosecond) end here. */
    return isfinite(out->energy_uj) && isfinite(half) && out->upper_uj < 4e18;
}
