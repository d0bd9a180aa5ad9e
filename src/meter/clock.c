/* A counter that updates every T seconds wrote all its values at a + k * T, so that each change,
 * lo < a + k * T <= hi, leaves a strip of the plane of (a, T). What all strips have in common is a
 * polygon, and every point of it is as likely as any other: its centre of mass is the clock, and
 * its second moments are what is not known of it.
 *
 * Reads that showed the value again, up to `until`, leave one too: k + 1 came later. The next
 * change says the same, unless its own lo and hi are so far apart that any phase would do; then,
 * where reads are as seldom as updates, these are what tells.
 *
 * Which k a change has must be known first. T is tried on a grid whose step moves the farthest
 * update by an eighth of a period. For each T the reads deny arcs of the circle of phases, made
 * shorter by as much as T may be off, and the longest arc that the fewest deny is a seed: where
 * the strips are cut that its middle lies in. (On the grid alone the polygon may be thinner than a
 * step: what is left of it there is smaller than it is, and beside its centre.) Periods that
 * differ by more than the grid's arcs show may suit as well; so the grid has parts, each with its
 * seed, and of the polygons that the fewest changes deny the largest is the likeliest. Every
 * change is of another update, and changes that follow each other at once are of neighbours, else
 * the k are wrong.
 *
 * Strips are widened step by step when the counter's clock jitters, until none denies it. */
#include "meter/clock.h"

#include <math.h>

/* Of the polygon; more cuts are done without. And the phases that are told apart on the grid. */
enum { MAX_CORNER = 64, N_PHASE = 64 };
/* What half a step of the grid moves the farthest update by, in periods. */
static const double GRID_SLACK = 1.0 / 16;

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

/* Whether it adds anything that no update came between hi_s and until_s of change i: the next one
 * says so itself, but where its own strip is so wide that it says nothing. */
static bool tells_none(const struct changes *c, int i, double period_s, double slack_s)
{
    const struct change *x = &c->v[i];
    double none_s = x->until_s - x->hi_s;
    bool next_says = i + 1 < c->n && x[1].hi_s - x[1].lo_s + 2 * slack_s < period_s;
    return none_s > 2 * slack_s && none_s < period_s && !next_says;
}

/* Keeps what puts update k no earlier than lo, and update `last` no later than hi. False when that
 * is nothing: then the region stays what it was. */
static bool region_hold(struct region *r, double k, double lo, double last, double hi)
{
    struct region before = *r;
    region_cut(r, 1, k, lo);
    region_cut(r, -1, last, hi);
    if (r->n >= 3 && region_moments(r).area > 0)
        return true;
    *r = before;
    return false;
}

/* What all changes leave of the box. Returns how many deny what the narrower ones left. */
static int region_of(struct region *r, const struct changes *c, const struct moments *at,
                     double period_s, double slack_s)
{
    int n_deny = 0;
    for (int i = 0; i < c->n && r->n + 4 <= MAX_CORNER; i++) {
        const struct change *x = &c->v[c->order[i]];
        double hi = x->hi_s + slack_s, until = x->until_s - slack_s, k;
        if (update_of(x, at, period_s, slack_s, &k))
            n_deny += !region_hold(r, k, x->lo_s - slack_s - k * period_s, k, hi - k * period_s);
        if (!tells_none(c, c->order[i], period_s + at->t, slack_s))
            continue;
        k = floor(((x->hi_s + x->until_s) / 2 - at->a) / (period_s + at->t));
        n_deny += !region_hold(r, k + 1, until - (k + 1) * period_s, k, hi - k * period_s);
    }
    return n_deny;
}

/* ---- the grid ---- */

/* No update lies in (from, to): one more says so of the phases there. */
static void deny_arc(int more[], double from_s, double to_s, double period_s)
{
    if (to_s <= from_s)
        return;
    double at = from_s / period_s;
    at = (at - floor(at)) * N_PHASE - 0.5;
    int first = (int)ceil(at), end = (int)ceil(at + fmin(1, (to_s - from_s) / period_s) * N_PHASE);
    more[first < 0 ? 0 : first]++; /* less than half a cell too many */
    more[end]--;
}

/* Phases that the fewest deny when the clock ticks every T. */
struct run {
    int n_deny, n; /* n phases side by side */
    double middle; /* of N_PHASE */
};

static struct run least_denied(const struct changes *c, double origin_s, double period_s,
                               double slack_s)
{
    int more[2 * N_PHASE + 1] = {0}, deny[N_PHASE], level = 0, least = 2 * c->n + 1;
    for (int i = 0; i < c->n; i++) {
        const struct change *x = &c->v[i];
        double hi = x->hi_s + slack_s - origin_s;
        deny_arc(more, hi, x->lo_s + period_s - slack_s - origin_s, period_s);
        if (tells_none(c, i, period_s, slack_s))
            deny_arc(more, hi, x->until_s - slack_s - origin_s, period_s);
    }
    for (int i = 0; i < N_PHASE; i++)
        deny[i] = level += more[i];
    for (int i = 0; i < N_PHASE; i++) {
        deny[i] += level += more[N_PHASE + i];
        least = deny[i] < least ? deny[i] : least;
    }
    struct run best = {.n_deny = least}, now = {0};
    for (int i = 0; i < 2 * N_PHASE && best.n < N_PHASE; i++) {
        now.n = deny[i % N_PHASE] == least ? now.n + 1 : 0;
        if (now.n > best.n) {
            best.n = now.n;
            best.middle = i + 1 - 0.5 * now.n;
        }
    }
    return best;
}

/* Where the changes deny least in one part of the grid. */
struct seed {
    struct run run;
    double a, t;
};
/* The grid's parts, the least that any of it is denied, and all periods that are denied that. */
enum { N_SEED = 5 };
struct seeds {
    int n, n_deny;
    double t_lo, t_hi;
    struct seed v[N_SEED];
};

static void search_grid(struct seeds *out, const struct changes *c, double period_s, double reach,
                        double slack_s)
{
    double from_s = c->v[0].hi_s, to_s = c->v[c->n - 1].hi_s, origin_s = (from_s + to_s) / 2;
    int steps = (int)ceil(reach * (to_s - from_s) / period_s * 8);
    steps = steps < 4 ? 4 : steps;
    *out = (struct seeds){.n = steps > 4 ? N_SEED : 1, .n_deny = 2 * c->n + 1};
    for (int i = 0; i < out->n; i++)
        out->v[i].run.n_deny = out->n_deny;
    double step_s = period_s * reach / steps;
    for (int j = 0; j <= 2 * steps; j++) {
        double t = (j - steps) * step_s;
        struct run x = least_denied(c, origin_s, period_s + t, slack_s + GRID_SLACK * period_s);
        struct seed *best = &out->v[j * out->n / (2 * steps + 1)];
        if (x.n_deny < best->run.n_deny || (x.n_deny == best->run.n_deny && x.n > best->run.n))
            *best = (struct seed){x, origin_s + x.middle / N_PHASE * (period_s + t), t};
        if (x.n_deny > out->n_deny)
            continue;
        out->t_lo = x.n_deny < out->n_deny ? t - step_s : out->t_lo;
        out->t_hi = t + step_s;
        out->n_deny = x.n_deny;
    }
}

/* ---- the clock ---- */

/* How likely the changes are were the clock a, t and its updates anywhere within slack_s of it:
 * what of that lies in each strip. Logarithm. */
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

/* What the changes leave about `at`, by the updates that its middle takes them for. Returns how
 * many deny it. */
static int moments_about(struct moments *m, const struct changes *c, const struct seeds *seeds,
                         const struct seed *at, double period_s, double slack_s)
{
    struct region r;
    region_box(&r, at->a - period_s / 2, at->a + period_s / 2, seeds->t_lo, seeds->t_hi);
    int n_deny = region_of(&r, c, m, period_s, slack_s) + n_miscounted(c, m, period_s, slack_s);
    *m = region_moments(&r);
    return n_deny;
}

/* The centre of the polygon that the fewest deny, the largest of these, and how far every update
 * can be from where that puts it. */
static int fit_clock(struct clock_fit *f, const struct changes *c, double period_s, double reach,
                     double slack_s)
{
    struct seeds seeds;
    struct moments m = {0};
    int n_deny = 2 * c->n + 1, best = 0;
    search_grid(&seeds, c, period_s, reach, slack_s);
    for (int k = 0; k < seeds.n; k++) {
        const struct seed *at = &seeds.v[k];
        struct moments x = {.a = at->a, .t = at->t};
        if (at->run.n_deny > seeds.n_deny)
            continue;
        int n = moments_about(&x, c, &seeds, at, period_s, slack_s);
        if (n < n_deny || (n == n_deny && x.area > m.area)) {
            n_deny = n;
            best = k;
            m = x;
        }
    }
    for (int i = 0; i < 2; i++) /* the better the clock, the surer which update was seen */
        n_deny = moments_about(&m, c, &seeds, &seeds.v[best], period_s, slack_s);
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

bool lmw_clock_learn(struct clock_fit *f, struct changes *c, double period_s, double sure)
{
    /* So far from a guess only a clock that keeps time perfectly is told from chance. */
    enum { WIDEST = 3 };
    static const double slacks[] = {0, 0.004, 0.02, 0.05, 0.12},
                        reaches[] = {5e-4, 5e-3, 0.04, 0.25};
    sort_changes(c);
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < WIDEST + (i == 0); k++) {
            if (reaches[k] >= sure &&
                fit_clock(f, c, period_s, reaches[k], slacks[i] * period_s) == 0)
                return true;
        }
    }
    return false;
}
