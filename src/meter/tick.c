/* Learning a counter's clock, and how old power readings are.
 *
 * A value first seen at hi, when the read before it at lo still showed the old one, was written
 * in (lo, hi]. A counter that updates every T seconds wrote all its values at phase + k * T, which
 * says when each update happened far more finely than the reads were spaced (clock.c).
 *
 * Where reads tell of a clock, also reads as seldom as updates, the updates are its lattice. Rows
 * that are all news and were made by the updates, or keep their pace, are of one age, which is one
 * unknown for all. Else it is the middle of (lo, hi], or of the last T of it, give or take a
 * sqrt(12)th. The candidates for T are about the stated period, or about the median time between
 * changes. */
#include "meter/tick.h"

#include <math.h>

#include "base/record.h"
#include "base/stat.h"

static const double SQRT12 = 3.4641016151377544;
/* No counter is known that writes more often (RAPL): a value is up to so old when it is read. */
static const double FRESH_S = 0.001;

static void find_changes(struct changes *c, const struct ticks *origin, const struct series *s,
                         int64_t from, int64_t n, int cap)
{
    const struct sample *last = NULL;
    c->n = c->n_same = 0;
    for (int64_t i = from; i < n; i++) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_NONE)
            continue;
        double t = ticks_rel(origin, x->t_ns);
        if (last && x->v == last->v) {
            c->n_same += x->t_ns > last->t_ns;
            c->v[c->n - 1].until_s = t;
        } else if (c->n == cap) {
            break;
        } else { /* the first was written at some time before */
            double lo = last ? ticks_rel(origin, last->t_ns) : -1e9;
            c->v[c->n++] = (struct change){lo, t, t, (double)(x->v - origin->e0_uj)};
        }
        last = x;
    }
}

/* A value that is shown again says that nothing was written only where each update would have
 * changed it, as those do that were seen: by some steps. */
static void believe_changes_only(struct changes *c, double step_uj)
{
    double least = HUGE_VAL;
    for (int i = 1; i < c->n; i++)
        least = fmin(least, fabs(c->v[i].e_uj - c->v[i - 1].e_uj));
    for (int i = 0; least < 4 * step_uj && i < c->n; i++)
        c->v[i].until_s = c->v[i].hi_s;
}

static double middle(const struct change *c)
{
    return (c->lo_s + c->hi_s) / 2;
}

/* How many updates lie between two changes: where reads are so dense that none is missed, two only
 * look two periods apart; three did not change the value. */
static double periods_since(const struct change *before, const struct change *c, double period_s,
                            bool dense)
{
    double k = fmax(1, round((middle(c) - middle(before)) / period_s));
    return dense && k == 2 && c->hi_s - c->lo_s < period_s ? 1 : k;
}

/* The median time between changes, then the mean over as many whole periods as that makes of
 * them. */
static double guess_period(const struct changes *c, double read_s)
{
    double d[MAX_TICKS];
    for (int i = 2; i < c->n; i++) /* when the first was written is not known */
        d[i - 2] = middle(&c->v[i]) - middle(&c->v[i - 1]);
    double period_s = lmw_quantile(d, (size_t)(c->n - 2), 0.5);
    for (int again = 0; again < 2; again++) {
        bool dense = read_s < 0.75 * period_s;
        double k = 0;
        for (int i = 2; i < c->n; i++)
            k += periods_since(&c->v[i - 1], &c->v[i], period_s, dense);
        period_s = (middle(&c->v[c->n - 1]) - middle(&c->v[1])) / k;
    }
    return period_s;
}

/* Whether the reads can tell one phase from another: enough of them, with news or without, fell
 * closer together than a period, and the period is not so short that counting periods across the
 * window goes wrong. */
static bool shows_phase(const struct changes *c, double period_s)
{
    int tell = 0;
    for (int i = 0; i < c->n; i++) {
        const struct change *x = &c->v[i];
        tell += x->hi_s - x->lo_s < 0.95 * period_s || x->until_s - x->hi_s > 0.05 * period_s;
    }
    return c->n >= 4 && tell * 10 >= c->n && c->v[c->n - 1].hi_s - c->v[0].hi_s < 400 * period_s;
}

static void add(struct ticks *out, double t_s, double sd_s, double e_uj)
{
    if (out->n < MAX_TICKS)
        out->v[out->n++] = (struct tick){t_s, sd_s, e_uj};
}

/* When the clock wrote what was seen at hi_s, as far as it keeps time. */
static double tick_of(const struct clock_fit *f, double hi_s)
{
    return f->phase_s + floor((hi_s + f->slack_s - f->phase_s) / f->period_s + 1e-6) * f->period_s;
}

/* What was seen may be of the update before, or the one after, where the clock's own error puts
 * either side of the read: how much later that is than t_s; 0: it is not so. */
static double other_update(const struct clock_fit *f, const struct change *x, double t_s)
{
    double error_s = SQRT12 / 2 * hypot(f->shift_sd_s, f->tilt * (t_s - f->shift_at_s));
    if (x->hi_s - t_s < error_s && t_s - f->period_s + error_s > x->lo_s)
        return -f->period_s;
    return t_s + f->period_s - error_s < x->hi_s ? f->period_s : 0;
}

static void add_by_clock(struct ticks *out, const struct changes *c, const struct clock_fit *f)
{
    out->shift_sd_s = fmax(out->shift_sd_s, f->shift_sd_s);
    if (out->n_part < MAX_PART)
        out->part[out->n_part++] =
            (struct tick_part){out->n, f->shift_sd_s, f->shift_at_s, f->tilt};
    for (int i = 0; i < c->n; i++) {
        const struct change *x = &c->v[i];
        double t = tick_of(f, x->hi_s), sure_s = f->slack_s + 0.002 * f->period_s;
        double lo = fmax(x->lo_s, t - sure_s), hi = fmin(x->hi_s, t + sure_s);
        if (lo > hi) { /* it denies the clock: believe what was seen */
            lo = x->lo_s;
            hi = x->hi_s;
        }
        double other_s = other_update(f, x, t);
        add(out, (lo + hi + other_s) / 2, other_s != 0 ? f->period_s / 2 : (hi - lo) / SQRT12,
            x->e_uj);
    }
}

static void add_by_sight(struct ticks *out, const struct changes *c, double period_s)
{
    for (int i = 0; i < c->n; i++) {
        const struct change *x = &c->v[i];
        double width = fmin(period_s, x->hi_s - x->lo_s);
        if (width < 1e6) /* else nothing tells when */
            add(out, x->hi_s - width / 2, width / SQRT12, x->e_uj);
    }
}

/* The reads show no phase, and updates are not much more frequent than reads: a log with a row
 * for each update, or one in step with its counter. How old the values are is one unknown for all
 * of them, up to max_s. */
static void add_as_read(struct ticks *out, const struct changes *c, double max_s, double wander)
{
    for (int i = 0; i < c->n; i++)
        add(out, c->v[i].hi_s, wander > 0 ? 0 : FRESH_S / SQRT12, c->v[i].e_uj);
    out->shift_sd_s = fmax(out->shift_sd_s, wander > 0 ? max_s / SQRT12 : 0);
    out->shift_max_s = fmax(out->shift_max_s, max_s);
    out->wander = fmax(out->wander, wander);
}

/* A quantile of the time between rows. */
static double row_s(const struct series *s, int64_t from, int64_t n, double q)
{
    double d[MAX_TICKS];
    size_t k = 0;
    for (int64_t i = from + 1; i < n && k < MAX_TICKS; i++)
        d[k++] = (double)(series_at(s, i)->t_ns - series_at(s, i - 1)->t_ns) * 1e-9;
    return k > 0 ? lmw_quantile(d, k, q) : 0;
}

/* Whether reads [from, n) keep the pace of updates that come every period_s: then all values are
 * as old as one another, where the rows are made by the updates or come regularly. */
static bool in_step(const struct series *s, int64_t from, int64_t n, double period_s)
{
    double ratio = row_s(s, from, n, 0.5) / period_s;
    return ratio > 0.5 && fabs(ratio - round(ratio)) < 0.03;
}

static bool come_regularly(const struct series *s, int64_t from, int64_t n, double period_s)
{
    return row_s(s, from, n, 0.9) - row_s(s, from, n, 0.1) < 0.2 * period_s;
}

/* Whether rows that are all news were made by the updates themselves, or else read from a counter
 * that keeps its own time: then the energy between two is the same however long that took. Asked
 * of rows that come irregularly; of others it is not known, and does not matter. */
static bool made_by_updates(const struct changes *c)
{
    int same_energy = 0, same_power = 0;
    for (int i = 2; i + 1 < c->n; i++) {
        const struct change *x = &c->v[i - 1], *y = &c->v[i], *z = &c->v[i + 1];
        double e1 = y->e_uj - x->e_uj, t1 = y->hi_s - x->hi_s;
        double e2 = z->e_uj - y->e_uj, t2 = z->hi_s - y->hi_s;
        if (fabs(t2 - t1) < 0.02 * (t1 + t2))
            continue;
        double by_energy = fabs(e2 - e1), by_power = fabs(e2 / t2 - e1 / t1) * (t1 + t2) / 2;
        same_energy += 4 * by_energy < by_power;
        same_power += 4 * by_power < by_energy;
    }
    return same_energy < 4 || same_energy < 2 * same_power;
}

static double nearest_change_s(const struct changes *c)
{
    double nearest_s = HUGE_VAL;
    for (int i = 0; i < c->n; i++)
        nearest_s = fmin(nearest_s, c->v[i].hi_s - c->v[i].lo_s);
    return nearest_s;
}

void lmw_ticks_learn(struct ticks *out, const struct series *s, int64_t from, int64_t n)
{
    struct changes c;
    struct clock_fit f;
    find_changes(&c, out, s, from, n, MAX_TICKS - out->n);
    if (c.n == 0)
        return;
    believe_changes_only(&c, lmw_ticks_step(s, from, n));
    bool told = s->info.period_ns != LMW_NULL;
    bool modelled =
        s->info.reading == LMW_ESTIMATE; /* moves at every read: no change tells of a tick */
    double read_s = (c.v[c.n - 1].hi_s - c.v[0].hi_s) / (c.n + c.n_same);
    double nearest_s = nearest_change_s(&c), period_s = 0;
    if (told)
        period_s = (double)s->info.period_ns * 1e-9;
    else if (c.n >= 4)
        period_s = guess_period(&c, read_s);
    bool all_news = c.n_same * 20 < c.n, rows = all_news && made_by_updates(&c);
    /* Reads that now and then fell close together and still showed news: the counter is faster
     * still. A log in regular steps says nothing of the kind. */
    if (!told && all_news && nearest_s < 0.3 * read_s)
        add_by_sight(out, &c, nearest_s);
    else if (!told && rows)
        add_as_read(out, &c, nearest_s, 0);
    else if (!modelled && rows && period_s > 0.3 * read_s && in_step(s, from, n, period_s) &&
             (period_s > 0.75 * read_s || come_regularly(s, from, n, period_s)))
        add_as_read(out, &c, period_s, 0.002);
    /* A period told is usually right; when it is only nominal, look wider. */
    else if (!modelled && shows_phase(&c, period_s) &&
             lmw_clock_learn(&f, &c, period_s, told ? 0 : 0.04))
        add_by_clock(out, &c, &f);
    else
        add_by_sight(out, &c, period_s > 0 ? period_s : HUGE_VAL);
}

/* The largest power of ten that divides n. */
static int64_t round_part(int64_t n)
{
    int64_t ten = 1;
    while (n != 0 && n % (10 * ten) == 0)
        ten *= 10;
    return ten;
}

/* The largest number that divides all values (a counter's: the differences of neighbours). Where
 * these are few that may be chance: of powers only zeros at the end are believed then, of a
 * counter nothing. Nor is a step of more than a joule or a watt, for a test machine that draws 100
 * W or 500 W has no such meter. */
double lmw_ticks_step(const struct series *s, int64_t from, int64_t n)
{
    enum { LOOK = 4096, ENOUGH = 8, PLENTY = 64 };
    bool counts = s->info.reading != LMW_POWER;
    int64_t step = 0, last = LMW_NULL, most = counts ? 1000000 : 1000;
    int changes = 0;
    for (int64_t i = n - 1; i >= from && n - i < LOOK && changes < PLENTY; i--) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_NONE || x->v == last)
            continue;
        for (int64_t a = !counts ? x->v : last == LMW_NULL ? 0 : last - x->v; a != 0;) {
            int64_t rest = step % a;
            step = a;
            a = rest;
        }
        last = x->v;
        changes++;
    }
    step = step < 0 ? -step : step;
    if (changes < ENOUGH)
        step = counts ? 1 : round_part(step);
    step = step > most ? most : step < 1 ? 1 : step;
    int64_t stated = counts && s->info.resolution_uj != LMW_NULL ? s->info.resolution_uj : 1;
    return (double)(step > stated ? step : stated);
}

/* ---- power readings ---- */

/* A reading of the moment speaks for this long: what power does in less is noise. */
static const double MOMENT_S = 0.01;
/* One at the very time of an edge is of what was before it if the meter read it there; where
 * nobody says how old rows are it may be of either side: it comes behind the edge, where it says
 * nothing of what was before. */
static const double AFTER_EDGE_S = 1e-9;

/* Whether enough reads fell closer together than half a period: where all that is seen of each
 * renewal is that it was in the greater part of a period, two phases far apart may suit all. */
static bool shows_one_phase(const struct changes *c, double period_s)
{
    int narrow = 0;
    for (int i = 0; i < c->n; i++)
        narrow += c->v[i].hi_s - c->v[i].lo_s < 0.55 * period_s;
    return narrow * 10 >= c->n;
}

/* How the readings of a window were made. */
struct making {
    double renewal_s;
    bool has_clock; /* by a clock, where the reads are frequent enough to show one */
    bool alike; /* each row has a new one at the pace at which they are made: all are of one age */
    bool by_edges; /* every read is news, and the queries' edges say how old */
    bool unplaced; /* nobody says whether a row at an edge is of before or after it */
    struct clock_fit clock;
};

static void learn_clock(struct making *m, struct ticks *out, const struct series *s, int64_t from,
                        int64_t n)
{
    struct changes c;
    find_changes(&c, out, s, from, n, MAX_TICKS);
    believe_changes_only(&c, HUGE_VAL);
    bool told = s->info.period_ns != LMW_NULL && s->info.period_ns > 0;
    m->has_clock = shows_phase(&c, m->renewal_s) && shows_one_phase(&c, m->renewal_s) &&
                   lmw_clock_learn(&m->clock, &c, m->renewal_s, told ? 0.005 : 0.04);
    bool pace = !m->has_clock && in_step(s, from, n, m->renewal_s);
    m->alike = pace && come_regularly(s, from, n, m->renewal_s);
    if (m->alike)
        out->shift_max_s = m->renewal_s;
    double shared_sd_s = m->has_clock        ? m->clock.shift_sd_s
                         : pace && !m->alike ? m->renewal_s / SQRT12
                                             : 0;
    out->shift_sd_s = fmax(out->shift_sd_s, shared_sd_s);
    if (m->has_clock && !out->of_moment && out->n_part < MAX_PART)
        out->part[out->n_part++] =
            (struct tick_part){out->n, m->clock.shift_sd_s, m->clock.shift_at_s, m->clock.tilt};
}

static void learn_making(struct making *m, struct ticks *out, const struct series *s, int64_t from,
                         int64_t n, const struct renewal *renewal)
{
    /* A value is older than that only where renewals come later still, which would show. */
    double nearest_row_s = row_s(s, from, n, 0.1);
    *m = (struct making){.renewal_s = renewal->every_s};
    if (m->renewal_s > 0) {
        learn_clock(m, out, s, from, n);
        return;
    }
    m->by_edges =
        s->info.window_ns == 0 && (renewal->likely_s > 0 || renewal->most_s < nearest_row_s);
    m->unplaced = s->info.window_ns == LMW_NULL || s->age_s > 0;
    if (m->unplaced && !m->by_edges)
        out->shift_max_s = fmin(s->age_s > 0 ? s->age_s : nearest_row_s, renewal->most_s);
}

/* When the value was made that was first seen at t_s, since_s after the read before. What all
 * share of a clock's error is each one's for those of the moment (fit.c tries no line). */
static double made_at(const struct making *m, bool of_moment, double t_s, double since_s,
                      double *sd_s)
{
    if (m->has_clock) {
        const struct clock_fit *f = &m->clock;
        double tick = tick_of(f, t_s), own = f->slack_s / sqrt(3) + 0.001 * f->period_s;
        double shared = hypot(f->shift_sd_s, f->tilt * (tick - f->shift_at_s));
        *sd_s = of_moment ? own + shared : own;
        if (tick > t_s - since_s - f->slack_s - own - shared) /* else it denies the clock */
            return fmin(tick, t_s);
    }
    double age = m->alike ? 0 : fmin(m->renewal_s, since_s);
    *sd_s = age / SQRT12;
    return t_s - age / 2;
}

/* A value that is shown again is old, unless it has been shown for so long that it must have been
 * made anew. */
void lmw_ticks_readings(struct ticks *out, const struct series *s, int64_t from, int64_t n,
                        const struct renewal *renewal)
{
    struct making m;
    const struct sample *last = NULL;
    out->window_s = s->info.window_ns > 0 ? (double)s->info.window_ns * 1e-9 : MOMENT_S;
    out->of_moment = s->info.window_ns <= 0;
    learn_making(&m, out, s, from, n, renewal);
    double nearest = out->window_s / (MAX_OPEN - 2), used_s = -HUGE_VAL, sd_s;
    for (int64_t i = from; i < n; i++) {
        const struct sample *x = series_at(s, i);
        if (x->flags & S_NONE)
            continue;
        double t = ticks_rel(out, x->t_ns);
        bool is_new = !last || x->v != last->v;
        double since = last && is_new ? (double)(x->t_ns - last->t_ns) * 1e-9 : m.renewal_s;
        last = x;
        if (!is_new && t - used_s < (m.alike ? 0.7 : 1.5) * m.renewal_s)
            continue;
        double made = made_at(&m, out->of_moment, t, since, &sd_s);
        if (m.by_edges) {
            made = t - renewal->likely_s / 2;
            sd_s = (renewal->most_s - renewal->likely_s / 2) / TICK_SURE;
        }
        made += m.unplaced ? AFTER_EDGE_S : 0;
        if (made - used_s < nearest)
            continue;
        used_s = made;
        add(out, made, sd_s, (double)x->v * 1e3 * out->window_s);
    }
}
