/* When a counter updated, learned from when its value was seen to change. Inside the meter room
 * only. */
#ifndef LMW_METER_TICK_H
#define LMW_METER_TICK_H

#include "meter/series.h"

enum { MAX_TICKS = 320 };

/* One update: the counter said e_uj from about t_s on. Times are seconds and energies uJ from the
 * ticks' origin. */
struct tick {
    double t_s, sd_s; /* sd: of this update alone */
    double e_uj;
};
struct ticks {
    int64_t t0_ns, e0_uj; /* the origin */
    double shift_sd_s;  /* of an error that all updates share: they happened up to this much ... */
    double shift_max_s; /* ... and never more than this earlier; 0: either way */
    double tilt;        /* of an error of the period, relative: the shift changes this fast */
    int n;
    struct tick v[MAX_TICKS];
};

/* Appends the updates seen among samples [from, n), at most MAX_TICKS in all. Samples must be
 * unbroken. */
void lmw_ticks_learn(struct ticks *out, const struct series *s, int64_t from, int64_t n);

#endif
