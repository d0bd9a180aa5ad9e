/* The window around a span.
 *
 * Up to PAST updates before each edge (twenty more make a counter's error 4 % smaller and its fit
 * a quarter dearer) and NEAR after it. In a long span the middle is left out, which loses nothing:
 * counters are absolute. (Of power readings all are used; span.c splits what is long.)
 *
 * Power may change at marks and at the edges of known spans, which also say what runs in
 * between. */
#include "meter/points.h"

#include <math.h>
#include <string.h>

#include "base/record.h"

enum { PAST = 40, PAST_READINGS = 64, PAST_MOMENTS = 160, NEAR = 32, MAX_READS = 4096 };

/* ---- change points ---- */

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

static void point_edge(struct points *p, const struct ticks *u, int64_t t_ns, int edge)
{
    for (int i = 0; i < p->n; i++) {
        if (p->v[i].t_s == ticks_rel(u, t_ns))
            p->v[i].edge = edge;
    }
}

/* What runs between a and b: a known span, or the gap between two. *next is the first
 * that starts later: it moves on with a. */
static int kind_known(const struct known_spans *known, const struct ticks *u, double a, double b,
                      int *next)
{
    double mid = (a + b) / 2;
    while (*next < known->n && ticks_rel(u, known->v[*next].start_ns) <= mid)
        ++*next;
    if (*next > 0) {
        const struct lmw_span *x = &known->v[*next - 1];
        if (mid < ticks_rel(u, x->end_ns))
            return x->first_ns != LMW_NULL && mid >= ticks_rel(u, x->first_ns) ? DECODE : QUERY;
        if (a == ticks_rel(u, x->end_ns))
            return GAP;
    }
    return *next < known->n && b == ticks_rel(u, known->v[*next].start_ns) ? GAP : UNKNOWN;
}

/* After the last known span its own pattern is expected to go on: gap, query (prefill, decode),
 * gap ... */
static void label(struct points *p, const struct known_spans *known, const struct ticks *u,
                  int64_t from_ns, const struct lmw_span *span)
{
    bool marked_first = span->first_ns != LMW_NULL;
    int since = 0, cycle = marked_first ? 3 : 2;
    int next = lmw_spans_after(known, from_ns);
    for (int i = 0; i < p->n; i++) {
        double a = p->v[i].t_s, b = i + 1 < p->n ? p->v[i + 1].t_s : a + 1e-6;
        p->v[i].kind = kind_known(known, u, a, b, &next);
        if (a < ticks_rel(u, span->end_ns))
            continue;
        if (p->v[i].kind == UNKNOWN)
            p->v[i].kind = since % cycle;
        since++;
    }
}

/* ---- the samples ---- */

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
 * after it, but no more than there is room for. More of those of the moment, of which each tells
 * little: what a query was between them its kind's mean must say. */
static struct range find_readings(const struct series *s, int64_t first, int64_t n,
                                  const struct lmw_span *span, double renewal_s)
{
    enum { MANY = MAX_TICKS / 4 };
    int past = s->info.window_ns == 0 ? PAST_MOMENTS : PAST_READINGS;
    int many = past > MANY ? past : MANY;
    int64_t window_ns = s->info.window_ns > 0 ? s->info.window_ns : 0, news_ns = span->start_ns;
    int64_t at = lmw_series_upper(s, first, n, span->start_ns) - 1, from = at < first ? first : at;
    for (int k = 0; from > first && !(series_at(s, from)->flags & S_BROKEN) && k < many;) {
        if (at - from > MAX_READS ||
            (k >= past && series_at(s, from)->t_ns < span->start_ns - 3 * window_ns))
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

void lmw_points_gather(const struct series *s, int64_t first, int64_t n,
                       const struct known_spans *known, const struct lmw_span *span,
                       struct ticks *u, struct points *p)
{
    struct range range[3] = {0};
    bool counts = s->info.reading != LMW_POWER;
    struct renewal renewal = {0};
    if (!counts)
        lmw_renewal_learn(&renewal, s, known, first, n - 1);
    int n_range = counts ? find_ranges(s, first, n, span, range) : 1;
    if (!counts)
        range[0] = find_readings(s, first, n, span, renewal.every_s);
    const struct sample *origin = series_at(s, range[0].from);
    u->t0_ns = origin->t_ns;
    u->e0_uj = origin->v;
    u->shift_sd_s = u->shift_max_s = u->wander = u->window_s = 0;
    u->of_moment = false;
    u->n = u->n_part = 0;
    p->n = 0;
    point_add(p, ticks_rel(u, span->start_ns));
    if (span->first_ns != LMW_NULL)
        point_add(p, ticks_rel(u, span->first_ns));
    point_add(p, ticks_rel(u, span->end_ns));
    for (int i = 0; i < n_range; i++) {
        if (counts)
            lmw_ticks_learn(u, s, range[i].from, range[i].n);
        else
            lmw_ticks_readings(u, s, range[i].from, range[i].n, &renewal);
        for (int64_t j = range[i].from; j < range[i].n; j++) {
            if (series_at(s, j)->flags & S_MARK)
                point_add(p, ticks_rel(u, series_at(s, j)->t_ns));
        }
    }
    /* The first reading is the mean of a window that began before it. */
    int64_t from_ns = origin->t_ns - llround(u->window_s * 1e9);
    int64_t to_ns = series_at(s, range[n_range - 1].n - 1)->t_ns;
    for (int i = lmw_spans_after(known, to_ns) - 1; i >= 0; i--) {
        const struct lmw_span *x = &known->v[i];
        if (x->end_ns < from_ns)
            break; /* spans do not overlap but by mistake: a label more or less */
        point_add(p, ticks_rel(u, x->start_ns));
        point_add(p, ticks_rel(u, x->end_ns));
        if (x->first_ns != LMW_NULL)
            point_add(p, ticks_rel(u, x->first_ns));
    }
    label(p, known, u, from_ns, span);
    point_edge(p, u, span->end_ns, 2);
    if (span->first_ns != LMW_NULL)
        point_edge(p, u, span->first_ns, 1);
    point_edge(p, u, span->start_ns, 0);
}
