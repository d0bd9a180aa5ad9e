/* A counter that updates every T seconds wrote all its values at a + k * T, so that each change,
 * lo < a + k * T <= hi, leaves a strip of the plane of (a, T). What all strips have in common is a
 * polygon, and every point of it is as likely as any other: its centre of mass is the clock, and
 * its second moments are what is not known of it.
 *
 * Which k a change has must be known first. T is tried on a grid whose step moves the farthest
 * update by an eighth of a period, with strips that are wider by as much as that may be off, and
 * phases by greedy intersection; the box of what the changes deny least is what the strips then
 * cut. (On the grid alone the polygon may be thinner than a step: what is left of it there is
 * smaller than it is, and beside its centre.) Every change is of another update, and changes that
 * follow each other at once are of neighbours, else the k are wrong.
 *
 * Strips are widened step by step when the counter's clock jitters, until none denies it. */
#include "meter/clock.h"

#include <math.h>

/* Of the polygon; more cuts are done without. */
enum { MAX_CORNER = 64 };
/* What half a step of the grid moves the farthest update by, in periods. */
static const double GRID_SLACK = 1.0 / 16;

/* What is left of the phases when the clock ticks every T: [lo, hi] at the first change of the
 * order, and how many changes deny it. */
struct phase {
    double lo_s, hi_s;
    int n_deny;
};

static struct phase phase_of(const struct changes *c, double period_s, double slack_s)
{
    const struct change *x = &c->v[c->order[0]];
    struct phase p = {fmax(x->lo_s, x->hi_s - period_s) - slack_s, x->hi_s + slack_s, 0};
    for (int i = 1; i < c->n; i++) {
        x = &c->v[c->order[i]];
        /* The update last before hi is the one that was seen. */
        double at = floor((x->hi_s + slack_s - (p.lo_s + p.hi_s) / 2) / period_s) * period_s;
        double lo = fmax(p.lo_s, x->lo_s - slack_s - at);
        double hi = fmin(p.hi_s, x->hi_s + slack_s - at);
        if (lo < hi) {
            p.lo_s = lo;
            p.hi_s = hi;
        } else {
            p.n_deny++;
        }
    }
    return p;
}

/* Narrow strips first: once they have pinned the phase, none of the wide ones can be taken for
 * its neighbour. */
static void sort_changes(struct changes *c)
{
    for (int i = 0; i < c->n; i++) {
        double width = c->v[i].hi_s - c->v[i].lo_s;
        int at = i;
        for (; at > 0; at--) {
            const struct change *o = &c->v[c->order[at - 1]];
            if (o->hi_s - o->lo_s <= width)
                break;
            c->order[at] = c->order[at - 1];
        }
        c->order[at] = i;
    }
}

/* Phases at the first change of the order, and periods less what was guessed. */
struct region {
    int n;
    double a[MAX_CORNER], t[MAX_CORNER];
};
struct moments {
    double area, a, t, aa, at, tt; /* means, and central second ones */
};

static void region_box(struct region *r, double a_lo, double a_hi, double t_lo, double t_hi)
{
    *r = (struct region){4, {a_lo, a_hi, a_hi, a_lo}, {t_lo, t_lo, t_hi, t_hi}};
}

/* The polygon as a fan of triangles about its first corner. */
static struct moments region_moments(const struct region *r)
{
    struct moments m = {0};
    for (int i = 1; i + 1 < r->n; i++) {
        double a1 = r->a[i] - r->a[0], t1 = r->t[i] - r->t[0];
        double a2 = r->a[i + 1] - r->a[0], t2 = r->t[i + 1] - r->t[0];
        double area = (a1 * t2 - a2 * t1) / 2;
        m.area += area;
        m.a += area * (a1 + a2) / 3;
        m.t += area * (t1 + t2) / 3;
        m.aa += area * (a1 * a1 + a1 * a2 + a2 * a2) / 6;
        m.at += area * (2 * a1 * t1 + a1 * t2 + a2 * t1 + 2 * a2 * t2) / 12;
        m.tt += area * (t1 * t1 + t1 * t2 + t2 * t2) / 6;
    }
    m.a /= m.area;
    m.t /= m.area;
    m.aa = fmax(0, m.aa / m.area - m.a * m.a);
    m.at = m.at / m.area - m.a * m.t;
    m.tt = fmax(0, m.tt / m.area - m.t * m.t);
    m.a += r->a[0];
    m.t += r->t[0];
    return m;
}

/* Keeps what is on one side of the line side * (a + k * t - at) = 0 (Sutherland and Hodgman). */
static void region_cut(struct region *r, double side, double k, double at)
{
    struct region whole = *r;
    r->n = 0;
    for (int i = 0; i < whole.n; i++) {
        int j = i + 1 < whole.n ? i + 1 : 0;
        double x = side * (whole.a[i] + k * whole.t[i] - at);
        double y = side * (whole.a[j] + k * whole.t[j] - at), f = x / (x - y);
        if (x >= 0) {
            r->a[r->n] = whole.a[i];
            r->t[r->n++] = whole.t[i];
        }
        if ((x >= 0) != (y >= 0)) {
            r->a[r->n] = whole.a[i] + f * (whole.a[j] - whole.a[i]);
            r->t[r->n++] = whole.t[i] + f * (whole.t[j] - whole.t[i]);
        }
    }
}

/* Which update a change is of: the one that `at` puts nearest to the middle of its strip. False of
 * a strip so wide that any phase would do. */
static bool update_of(const struct change *x, const struct moments *at, double period_s,
                      double slack_s, double *k)
{
    double t = period_s + at->t;
    *k = round(((x->lo_s + x->hi_s) / 2 - at->a) / t);
    return x->hi_s - x->lo_s + 2 * slack_s < t;
}

/* How many changes are of an update that another was of, or leave one out that lies nowhere: two
 * that follow each other at once, each in less than a period, are of neighbours. */
static int n_miscounted(const struct changes *c, const struct moments *at, double period_s,
                        double slack_s)
{
    double k, last = -HUGE_VAL, last_s = -HUGE_VAL;
    int n = 0;
    for (int i = 0; i < c->n; i++) {
        if (!update_of(&c->v[i], at, period_s, slack_s, &k))
            continue;
        n += k <= last || (c->v[i].lo_s == last_s && k > last + 1);
        last = k;
        last_s = c->v[i].hi_s;
    }
    return n;
}

/* What all changes leave of the box. Returns how many deny what the narrower ones left. */
static int region_of(struct region *r, const struct changes *c, const struct moments *at,
                     double period_s, double slack_s)
{
    int n_deny = 0;
    for (int i = 0; i < c->n && r->n + 2 <= MAX_CORNER; i++) {
        const struct change *x = &c->v[c->order[i]];
        double k;
        if (!update_of(x, at, period_s, slack_s, &k))
            continue;
        struct region before = *r;
        region_cut(r, 1, k, x->lo_s - slack_s - k * period_s);
        region_cut(r, -1, k, x->hi_s + slack_s - k * period_s);
        if (r->n < 3 || !(region_moments(r).area > 0)) {
            *r = before;
            n_deny++;
        }
    }
    return n_deny;
}

/* Where on the grid the changes deny least: the box of it. */
static void search_grid(struct region *box, const struct changes *c, double period_s, double reach,
                        double slack_s)
{
    double n_period = (c->v[c->n - 1].hi_s - c->v[0].hi_s) / period_s;
    int steps = (int)ceil(reach * n_period * 8), least = c->n + 1;
    double a_lo = 0, a_hi = 0, t_lo = 0, t_hi = 0;
    steps = steps < 4 ? 4 : steps;
    double step_s = period_s * reach / steps;
    for (int j = -steps; j <= steps; j++) {
        struct phase p = phase_of(c, period_s + j * step_s, slack_s + GRID_SLACK * period_s);
        if (p.n_deny > least)
            continue;
        if (p.n_deny < least) {
            t_lo = j * step_s;
            a_lo = HUGE_VAL;
            a_hi = -HUGE_VAL;
        }
        least = p.n_deny;
        t_hi = j * step_s;
        a_lo = fmin(a_lo, p.lo_s);
        a_hi = fmax(a_hi, p.hi_s);
    }
    region_box(box, a_lo, a_hi, t_lo - step_s, t_hi + step_s);
}

/* How likely the changes are were the clock a, t and its updates anywhere within slack_s of it: what
 * of that lies in each strip. Logarithm. */
static double likelihood(const struct changes *c, const struct moments *at, double a, double t,
                         double period_s, double slack_s)
{
    double product = 1, sum = 0;
    for (int i = 0; i < c->n; i++) {
        const struct change *x = &c->v[i];
        double k;
        if (!update_of(x, at, period_s, slack_s, &k))
            continue;
        double tick = a + k * (period_s + t);
        double held = fmin(x->hi_s, tick + slack_s) - fmax(x->lo_s, tick - slack_s);
        product *= fmax(held / (2 * slack_s), 1e-6);
        if (product < 1e-200) {
            sum += log(product);
            product = 1;
        }
    }
    return sum + log(product);
}

/* Moments by likelihood, on a grid about those of `o`. */
static struct moments weigh_about(const struct moments *o, const struct changes *c,
                                  double period_s, double slack_s)
{
    enum { SIDE = 4, N = 2 * SIDE + 1 };
    double l[N * N], a[N * N], t[N * N], most = -HUGE_VAL;
    double slope = o->tt > 0 ? o->at / o->tt : 0;
    double cell_t = 0.75 * sqrt(o->tt), cell_a = 0.75 * sqrt(fmax(0, o->aa - slope * o->at));
    struct moments m = {0};
    for (int i = 0; i < N * N; i++) {
        int row = i / N - SIDE, column = i % N - SIDE;
        t[i] = row * cell_t;
        a[i] = column * cell_a + slope * t[i];
        l[i] = likelihood(c, o, o->a + a[i], o->t + t[i], period_s, slack_s);
        most = fmax(most, l[i]);
    }
    for (int i = 0; i < N * N; i++) {
        double w = exp(l[i] - most);
        m.area += w;
        m.a += w * a[i];
        m.t += w * t[i];
        m.aa += w * a[i] * a[i];
        m.at += w * a[i] * t[i];
        m.tt += w * t[i] * t[i];
    }
    m.a /= m.area;
    m.t /= m.area;
    /* No finer than the grid shows. */
    double fine = cell_t * cell_t / 12;
    m.tt = m.tt / m.area - m.t * m.t + fine;
    m.at = m.at / m.area - m.a * m.t + slope * fine;
    m.aa = m.aa / m.area - m.a * m.a + cell_a * cell_a / 12 + slope * slope * fine;
    m.a += o->a;
    m.t += o->t;
    return m;
}

/* The polygon's centre, and how far every update can be from where that puts it. */
static int fit_clock(struct clock_fit *f, const struct changes *c, double period_s, double reach,
                     double slack_s)
{
    struct region box, r;
    search_grid(&box, c, period_s, reach, slack_s);
    struct moments m = region_moments(&box);
    int n_deny = 0;
    for (int i = 0; i < 3; i++) { /* the better the clock, the surer which update was seen */
        r = box;
        n_deny = region_of(&r, c, &m, period_s, slack_s) + n_miscounted(c, &m, period_s, slack_s);
        m = region_moments(&r);
    }
    /* Of a clock that jitters no strip is certain, and not all of the polygon is as likely. The
     * first grid may be too coarse for what is. */
    for (int i = 0; slack_s > 0 && i < 3; i++)
        m = weigh_about(&m, c, period_s, slack_s);
    f->period_s = period_s + m.t;
    f->phase_s = m.a;
    f->slack_s = slack_s;
    f->tilt = sqrt(m.tt) / f->period_s;
    double k = m.tt > 0 ? -m.at / m.tt : 0; /* where the two errors are not correlated */
    f->shift_at_s = m.a + k * f->period_s;
    f->shift_sd_s = sqrt(fmax(0, m.aa + k * m.at));
    return n_deny;
}

bool lmw_clock_learn(struct clock_fit *f, struct changes *c, double period_s, double reach)
{
    static const double slacks[] = {0, 0.004, 0.02, 0.05, 0.12};
    sort_changes(c);
    for (int i = 0; i < 5; i++) {
        int n_deny = fit_clock(f, c, period_s, reach, slacks[i] * period_s);
        if (n_deny == 0)
            return true;
    }
    return false;
}
