/* One source's samples in order of time: appended with the register's wraps taken out, searched,
 * averaged.
 *
 * Wraps. Between two reads a register of modulus R may have wrapped k times; only (raw' - raw)
 * mod R is seen. k is known when the rail cannot draw R in the gap: P_max * (gap + 2 periods) <
 * R, with P_max the source's stated limit, or where none is stated twice the highest power two
 * updates have shown. Else the sample is S_GAP. A register that went back by more than a
 * plausible wrap explains was reset: S_RESET, and counting goes on from the new value. */
#include "meter/series.h"

#include <math.h>
#include <stdlib.h>

enum { MARGIN = 1024 };

int lmw_series_open(struct series *s, const struct lmw_source_info *info, int64_t cap, bool grows,
                    struct lmw_err *err)
{
    *s = (struct series){.info = *info, .cap = cap, .grows = grows};
    s->s = calloc((size_t)cap, sizeof *s->s);
    return s->s ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for %lld samples", (long long)cap);
}

void lmw_series_close(struct series *s)
{
    free(s->s);
    *s = (struct series){0};
}

static int make_room(struct series *s)
{
    if (!s->grows || s->n < s->cap)
        return LMW_OK;
    struct sample *more = realloc(s->s, 2 * (size_t)s->cap * sizeof *more);
    if (!more)
        return LMW_ENOMEM;
    s->s = more;
    s->cap *= 2;
    return LMW_OK;
}

/* The most the rail can have used in a gap, uJ; 0 when nothing is known yet. Two periods more
 * than the gap: that much a counter may deliver at once. */
static double most_uj(const struct series *s, int64_t gap_ns)
{
    double period_s = s->info.period_ns == LMW_NULL ? 0.05 : (double)s->info.period_ns * 1e-9;
    double gap_s = (double)gap_ns * 1e-9;
    if (s->info.max_power_mw > 0)
        return (double)s->info.max_power_mw * (gap_s + 2 * period_s) * 1e3;
    return 2 * s->seen_mw * gap_s * 1e3;
}

/* More than that in a gap was no wrap but a reset, where no limit is stated: 8 times the highest
 * power seen, which is from an idle machine's to a busy one's, or 300 W. */
static double plausible_uj(const struct series *s, int64_t gap_ns)
{
    double period_s = s->info.period_ns == LMW_NULL ? 0.05 : (double)s->info.period_ns * 1e-9;
    return s->seen_mw > 0 ? fmax(8 * s->seen_mw, 3e5) * ((double)gap_ns * 1e-9 + period_s) * 1e3
                          : HUGE_VAL;
}

/* How far the counter went from its value before, and what happened on the way. */
static int64_t advance(struct series *s, int64_t t_ns, int64_t raw, uint32_t *flags)
{
    int64_t d, wrap = s->info.wrap_uj;
    if (__builtin_sub_overflow(raw, s->raw, &d)) {
        *flags |= S_RESET;
        return 0;
    }
    if (d < 0 && wrap > 0 && d > -wrap) {
        /* Without a stated limit to go by, only a fall by more than half the range reads as a
         * wrap, and only if it takes no power that is out of proportion to what was seen. */
        double limit = s->info.max_power_mw > 0
                           ? most_uj(s, t_ns - s->t_change_ns)
                           : fmin((double)wrap / 2, plausible_uj(s, t_ns - s->t_change_ns));
        if ((double)(d + wrap) <= limit) {
            d += wrap;
            *flags |= S_WRAP;
        }
    }
    if (d < 0) {
        *flags |= S_RESET;
        return 0;
    }
    if (wrap > 0 && most_uj(s, t_ns - s->t_value_ns) >= (double)wrap) {
        *flags |= S_GAP;
        return 0;
    }
    return d;
}

static int64_t unwrap(struct series *s, int64_t t_ns, int64_t raw, uint32_t *flags)
{
    if (!s->started) {
        s->started = true;
        s->t_change_ns = t_ns;
        s->v = raw;
    } else if (raw != s->raw || (s->info.wrap_uj > 0 && s->info.max_power_mw > 0)) {
        int64_t d = advance(s, t_ns, raw, flags), sum;
        /* An hour at a terawatt: a file of nonsense, and the one way out of int64. */
        if (__builtin_add_overflow(s->v, d, &sum)) {
            *flags |= S_RESET;
            sum = s->v;
        }
        double gap_s = (double)(t_ns - s->t_change_ns) * 1e-9;
        if (d > 0 && gap_s >= 0.01) { /* nearer pairs show the tick, not the power */
            double mw = (double)d * 1e-3 / gap_s;
            s->seen_mw = mw > s->seen_mw ? mw : s->seen_mw;
        }
        s->v = sum;
        if (raw != s->raw)
            s->t_change_ns = t_ns;
    }
    s->raw = raw;
    s->t_value_ns = t_ns;
    return s->v;
}

int lmw_series_append(struct series *s, int64_t t_ns, uint32_t flags, int64_t raw)
{
    int rc = make_room(s);
    if (rc < 0)
        return rc;
    if (flags & S_FAIL)
        flags |= S_NONE;
    if (!(flags & S_NONE))
        s->v = s->info.reading == LMW_POWER || s->verbatim ? raw : unwrap(s, t_ns, raw, &flags);
    s->s[s->n % s->cap] = (struct sample){t_ns, s->v, flags};
    s->n++;
    return LMW_OK;
}

int lmw_series_put(struct series *s, const struct sample *x)
{
    int rc = make_room(s);
    if (rc < 0)
        return rc;
    if (!(x->flags & S_NONE)) {
        if (!s->started || x->v != s->v)
            s->t_change_ns = x->t_ns;
        s->started = true;
        s->v = s->raw = x->v;
        s->t_value_ns = x->t_ns;
    }
    s->s[s->n++ % s->cap] = *x;
    return LMW_OK;
}

int64_t lmw_series_first(const struct series *s, int64_t n)
{
    if (s->grows || n <= s->cap - MARGIN)
        return 0;
    return n - (s->cap - MARGIN);
}

int64_t lmw_series_lower(const struct series *s, int64_t from, int64_t n, int64_t t_ns)
{
    while (from < n) {
        int64_t mid = from + (n - from) / 2;
        if (series_at(s, mid)->t_ns < t_ns)
            from = mid + 1;
        else
            n = mid;
    }
    return from;
}

int64_t lmw_series_upper(const struct series *s, int64_t from, int64_t n, int64_t t_ns)
{
    return t_ns == INT64_MAX ? n : lmw_series_lower(s, from, n, t_ns + 1);
}

int64_t lmw_series_mean_mw(const struct series *s, int64_t from_ns)
{
    const struct sample *a = NULL, *b = NULL;
    double sum = 0;
    int64_t first = lmw_series_first(s, s->n), i = lmw_series_upper(s, first, s->n, from_ns);
    for (i -= i > first; i < s->n; i++) {
        const struct sample *x = series_at(s, i);
        if (a && x->flags & S_BROKEN)
            return LMW_NULL;
        if (x->flags & S_NONE)
            continue;
        if (b)
            sum += (double)(b->v + x->v) / 2 * (double)(x->t_ns - b->t_ns);
        a = a ? a : x;
        b = x;
    }
    if (!a || b->t_ns == a->t_ns)
        return LMW_NULL;
    if (s->info.reading != LMW_POWER && b->v == a->v)
        return LMW_NULL; /* a counter that does not move is not a machine that draws nothing */
    double ns = (double)(b->t_ns - a->t_ns);
    return s->info.reading == LMW_POWER ? llround(sum / ns)
                                        : llround((double)(b->v - a->v) * 1e6 / ns);
}
