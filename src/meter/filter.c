/* The filter behind the reconstruction: energy and power as one pass over the updates.
 *
 * Model. Power is constant between change points (marks and the edges of known spans) but for
 * white noise and a slow drift, so energy is its integral plus a Brownian motion. Stretches of a
 * kind (gaps, prefill or whole queries, decode) have powers scattered about that kind's mean. The
 * counter tells E exactly, but only at its updates (tick.c), whose times may all be shifted by
 * one unknown error. That is least squares over the counter's increments, with the powers lightly
 * pulled to their kind's mean; solved here as a Kalman filter, one pass over the updates and
 * change points around the span:
 *
 *     state x = { E, P, mean P of each kind, shift, its rate, E at the start, first token, end }
 *     time:    E += P dt;  var E += q dt;  var P += w dt
 *     mark:    P := mean of its kind + N(0, tau^2), at a query's start maybe later; an edge keeps
 *              a copy of E
 *     update:  e = E + P * shift + noise(resolution, jitter of the update's time)
 *
 * A power reading is an increment too, of the window it is the mean of: E(t) - E(t - window), for
 * which E is copied when the window begins. So an averaged reading is deconvolved by the same
 * pass, and the shift of its time learned like an update's: (P - P when it began) * shift. (A
 * reading of the moment is the mean of 10 ms.)
 *
 * The copies go on learning from later updates through their covariance, so the filter needs no
 * backward pass, and the variance of E(end) - E(start) comes with it. Noise levels q, tau are
 * relative to the kind's mean power. Powers are kept from going below zero. */
#include "meter/filter.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { N_MEAN = UNKNOWN };

/* ---- the steps ---- */

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
    f->c[E][E] = has_windows ? 1 : wide; /* a counter's is known by its first update */
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

/* The shift of what comes from now on is another clock's: nothing is known of it but what that
 * says itself. */
static void shift_begin(struct filter *f, const struct tick_part *part, double t_s, double mean_s)
{
    double since_s = t_s - part->shift_at_s, rate = part->tilt * part->tilt;
    for (int i = SHIFT; i <= RATE; i++) {
        for (int j = 0; j < f->n; j++)
            f->c[i][j] = f->c[j][i] = 0;
    }
    f->x[SHIFT] = mean_s;
    f->x[RATE] = 0;
    f->c[RATE][RATE] = rate;
    f->c[SHIFT][RATE] = f->c[RATE][SHIFT] = rate * since_s;
    f->c[SHIFT][SHIFT] = part->shift_sd_s * part->shift_sd_s + rate * since_s * since_s;
}

static void shift_time(struct filter *f, double dt)
{
    f->x[SHIFT] += f->x[RATE] * dt;
    row_add(f->c[SHIFT], dt, f->c[RATE], f->n);
    f->c[SHIFT][SHIFT] += dt * f->c[SHIFT][RATE];
    for (int j = 0; j < f->n; j++)
        f->c[j][SHIFT] = f->c[SHIFT][j];
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
    f->c[SHIFT][SHIFT] += f->wander * f->wander * dt;
    if (f->c[RATE][RATE] > 0)
        shift_time(f, dt);
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

/* The highest power there is, and how far off another kind's is, where it may be that
 * (`changes`). */
static void look_around(const struct filter *f, bool changes, double *most, double *other)
{
    *most = f->x[P];
    *other = 0;
    for (int k = 0; changes && k < N_MEAN; k++) {
        *most = fmax(*most, f->x[MEAN + k]);
        *other = fmax(*other, fabs(f->x[MEAN + k] - f->x[P]));
    }
}

/* That all readings were made later by the shift is taken as linear in power and shift. What their
 * product adds; and where power may have changed within the shift, by what is known of it and by
 * what is not, it was another kind's for as long. */
static double shift_var(const struct filter *f, double other)
{
    double var = f->c[SHIFT][SHIFT];
    return other * other * (var + f->x[SHIFT] * f->x[SHIFT]) + f->c[P][P] * var;
}

/* When the counter was updated is known to sd_s, and to the shift. */
static void filter_count(struct filter *f, const struct tick *u, bool changes)
{
    double w = f->x[P], h[OPEN], most, other;
    look_around(f, changes, &most, &other);
    double late = most * u->sd_s;
    double var = f->step * f->step / 12 + late * late + 1 + shift_var(f, other);
    memcpy(h, f->c[E], sizeof h);
    row_add(h, w, f->c[SHIFT], f->n);
    filter_learn(f, h, h[E] + w * h[SHIFT], var, u->e_uj - (f->x[E] + w * f->x[SHIFT]));
}

/* The window that ends here began at state `open`, and holds w for held_s. When it ended is known
 * to sd_s, and to the shift: one that is moved by d holds (P - P at its begin) x d more. Of a
 * reading of the moment the whole window may be of another stretch, and its shifts are tried
 * (fit.c). */
static void filter_power(struct filter *f, const struct ticks *u, const struct tick *x, int open,
                         double t_s, bool changes)
{
    double h[N_STATE] = {0}, w = x->e_uj / u->window_s, held_s = t_s - f->open_s[open];
    double step = 1000 * f->step * held_s, by = f->x[P] - f->open_w[open], most, other, more = 0;
    double miss = w * held_s - (f->x[E] - f->x[OPEN + open]);
    for (int j = 0; j < f->n; j++)
        h[j] = f->c[E][j] - f->c[OPEN + open][j];
    double var = step * step / 12 + 1;
    if (u->of_moment) {
        other = changes ? (f->x[P] - w) * fmin(held_s, 3 * x->sd_s) : 0;
        var += by * by * x->sd_s * x->sd_s + other * other;
    } else {
        look_around(f, changes, &most, &other);
        double late = fmax(fabs(by), other) * x->sd_s;
        var += late * late + shift_var(f, other);
        row_add(h, by, f->c[SHIFT], f->n);
        more = by * h[SHIFT];
        miss -= by * f->x[SHIFT];
    }
    filter_learn(f, h, h[E] - h[OPEN + open] + more, var, miss);
}

static void filter_open(struct filter *f, int open, double t_s)
{
    f->open_w[open] = f->x[P];
    f->open_s[open] = t_s;
    filter_copy(f, OPEN + open, E);
}

/* ---- the pass ---- */

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

/* A counter misses nothing, so no stretch is far from the mean unless others are; of powers some
 * are read and some are not. */
static double wide_power(const struct ticks *u, double typical_w)
{
    double most = typical_w;
    for (int i = 0; u->window_s > 0 && i < u->n; i++)
        most = fmax(most, u->v[i].e_uj / u->window_s);
    return 2 * most;
}

/* What happens next in the pass: a window begins, a tick, a change point; in this order when they
 * happen at once, for a value read at a mark is of what was before it. */
enum next { NEXT_OPEN, NEXT_TICK, NEXT_LATE, NEXT_POINT };
struct pass {
    const struct ticks *u;
    const struct points *p;
    double shift_s, end_s; /* end: of the span */
    double late_s; /* when power follows a start that was passed, as late_kind; or infinite */
    int late_kind, i_open, i_tick, i_point, i_part;
};

static enum next pass_next(const struct pass *a, double *t_s)
{
    const struct ticks *u = a->u;
    double at[] = {u->window_s > 0 && a->i_open < u->n
                       ? u->v[a->i_open].t_s + a->shift_s - u->window_s
                       : HUGE_VAL,
                   a->i_tick < u->n ? u->v[a->i_tick].t_s + a->shift_s : HUGE_VAL, a->late_s,
                   a->i_point < a->p->n ? a->p->v[a->i_point].t_s : HUGE_VAL};
    int k = NEXT_OPEN;
    for (int i = NEXT_TICK; i <= NEXT_POINT; i++)
        k = at[i] < at[k] ? i : k;
    *t_s = at[k];
    return k;
}

/* Whether power may have changed after from_s and before to_s. */
static bool has_point(const struct pass *a, double from_s, double to_s)
{
    int i = a->i_point;
    while (i > 0 && a->p->v[i - 1].t_s > from_s)
        i--;
    return i < a->p->n && a->p->v[i].t_s < to_s;
}

/* Whether power may have changed within the uncertainty of when the reading was made, or of when
 * its window began; of a short one of the moment, whenever it was made. */
static bool is_near_point(const struct pass *a, double later_s, double later_var)
{
    const struct tick *u = &a->u->v[a->i_tick];
    double sure_s = TICK_SURE * sqrt(u->sd_s * u->sd_s + later_var), t_s = u->t_s + a->shift_s;
    double from_s = t_s + fmin(0, later_s) - sure_s, to_s = t_s + fmax(0, later_s) + sure_s;
    double window_s = a->u->window_s;
    if (a->u->of_moment)
        return has_point(a, from_s - window_s, to_s);
    return has_point(a, from_s, to_s) ||
           (window_s > 0 && has_point(a, from_s - window_s, to_s - window_s));
}

static void pass_tick(struct pass *a, struct filter *f, double t_s)
{
    const struct ticks *u = a->u;
    if (a->i_part < u->n_part && u->part[a->i_part].from == a->i_tick)
        shift_begin(f, &u->part[a->i_part++], t_s, -a->shift_s);
    bool changes =
        u->of_moment ? is_near_point(a, 0, 0) : is_near_point(a, f->x[SHIFT], f->c[SHIFT][SHIFT]);
    if (u->window_s == 0)
        filter_count(f, &u->v[a->i_tick], changes);
    else
        filter_power(f, u, &u->v[a->i_tick], a->i_tick % MAX_OPEN, t_s, changes);
    a->i_tick++;
}

static void pass_begin(struct pass *a, struct filter *f, int kind, double t_s)
{
    filter_begin(f, kind);
    a->late_s = HUGE_VAL;
    /* A reading of the moment says nothing of what was before the mark. */
    for (int i = a->i_tick; a->u->of_moment && i < a->i_open; i++)
        filter_open(f, i % MAX_OPEN, t_s);
}

static void pass_point(struct pass *a, struct filter *f, double t_s)
{
    const struct point *x = &a->p->v[a->i_point++];
    if (x->edge >= 0)
        filter_copy(f, EDGE + x->edge, E);
    a->end_s = x->edge == 2 ? t_s : a->end_s;
    if (f->rise_s > 0 && f->kind == GAP && (x->kind == QUERY || x->kind == DECODE)) {
        a->late_s = fmin(a->late_s, t_s + f->rise_s);
        a->late_kind = x->kind;
    } else {
        pass_begin(a, f, x->kind, t_s);
    }
}

void lmw_filter_run(struct filter *f, const struct ticks *u, const struct points *p,
                    double shift_s, double shift_sd_s)
{
    bool counts = u->window_s == 0;
    double typical_w = fmax(typical_power(u), 1), now = u->v[0].t_s + shift_s - u->window_s, t;
    struct pass a = {.u = u, .p = p, .shift_s = shift_s, .end_s = now, .late_s = HUGE_VAL};
    f->wide_w = wide_power(u, typical_w);
    filter_init(f, counts ? u->v[0].e_uj : 0, typical_w,
                shift_sd_s > 0 ? -0.5 * u->shift_max_s - shift_s : 0, shift_sd_s, !counts);
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
        if (k == NEXT_OPEN)
            filter_open(f, a.i_open++ % MAX_OPEN, t);
        else if (k == NEXT_TICK)
            pass_tick(&a, f, t);
        else if (k == NEXT_LATE)
            pass_begin(&a, f, a.late_kind, t);
        else
            pass_point(&a, f, t);
    }
    f->end_shift_s = f->x[SHIFT] - f->x[RATE] * (now - a.end_s);
    filter_sum_up(f);
}
