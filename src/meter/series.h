/* A series: what one source said, in order of time. The ring the sampler writes, the trace a file
 * was parsed into, and what a stored block unpacks to are all this. Inside the meter room only.
 *
 * append() unwraps: `v` of a counter grows without bound whatever the register does, and what
 * cannot be known (a reset, too long a gap for the number of wraps) is a flag on the sample after
 * it, never a number.
 *
 * Threads: one appends (under its owner's lock), others read indexes below an `n` they saw under
 * that lock. A bounded series overwrites its oldest samples; first() stays a margin ahead of
 * them. */
#ifndef LMW_METER_SERIES_H
#define LMW_METER_SERIES_H

#include "meter/meter.h"

enum sample_flag {
    S_MARK = 1 << 0, /* a change point: what runs may have changed at this instant */
    S_NONE = 1 << 1, /* no value: a bare mark, or with S_FAIL */
    S_FAIL = 1 << 2, /* the source could not be read */
    S_WRAP = 1 << 3, /* the register wrapped since the value before */
    S_RESET =
        1 << 4, /* the counter restarted since the value before: the energy between is unknown */
    /* so long since the value before that wraps cannot be counted nor power be guessed */
    S_GAP = 1 << 5,
    S_SUSPEND = 1 << 6, /* the machine slept since the sample before */
    S_LATE = 1 << 7,    /* the sampler woke more than one interval late */
};
/* Energy across a sample with one of these is not known. */
#define S_BROKEN (S_FAIL | S_RESET | S_GAP | S_SUSPEND)

/* Times of outside bytes stay within this, so that any two can be subtracted. */
#define SERIES_MAX_NS (INT64_MAX / 2)
/* And the windows of means: two years, of which a few more fit into a time. */
#define SERIES_MAX_WINDOW_NS (SERIES_MAX_NS / 64)

struct sample {
    int64_t t_ns;
    int64_t v; /* uJ, unwrapped; or mW. Of a sample without value: that of the one before */
    uint32_t flags;
};

enum { MAX_SERIES = LMW_MAX_RAIL };
struct series {
    struct lmw_source_info info;
    int index; /* in the total it is a part of */
    struct sample *s;
    int64_t cap, n; /* n: ever appended; sample i lives at i % cap */
    bool grows;     /* offline: cap follows n */
    double age_s;   /* power readings that are all news may have been so old when they were read */
    double window_error_s; /* of one that nobody states and that was learned; or 0 */
    bool verbatim;         /* keep what a counter said instead of unwrapping it */
    /* unwrapping */
    bool started;
    int64_t raw, v, t_value_ns, t_change_ns;
    double seen_mw; /* the most power a pair of updates has shown */
};

int lmw_series_open(struct series *s, const struct lmw_source_info *info, int64_t cap, bool grows,
                    struct lmw_err *err);
void lmw_series_close(struct series *s);

/* One reading. `raw` counts only without S_NONE and S_FAIL. Times must not run backwards: the
 * caller's duty. Allocates only when the series grows; LMW_ENOMEM then. */
int lmw_series_append(struct series *s, int64_t t_ns, uint32_t flags, int64_t raw);

/* One sample as it was stored: unwrapped already. */
int lmw_series_put(struct series *s, const struct sample *x);

static inline const struct sample *series_at(const struct series *s, int64_t i)
{
    return &s->s[i % s->cap];
}
/* The oldest index that may be read when n samples were seen. */
int64_t lmw_series_first(const struct series *s, int64_t n);
/* The first index in [from, n) whose time is >= t_ns (or > t_ns); n when none. */
int64_t lmw_series_lower(const struct series *s, int64_t from, int64_t n, int64_t t_ns);
int64_t lmw_series_upper(const struct series *s, int64_t from, int64_t n, int64_t t_ns);

/* Mean power from the last value not after from_ns, or the first there is, to the newest; LMW_NULL
 * when that is not known. */
int64_t lmw_series_mean_mw(const struct series *s, int64_t from_ns);

#endif
