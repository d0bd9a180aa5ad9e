/* A counter's clock: the period and phase at which it wrote its values, from when they were seen
 * to change. Inside the meter room only. */
#ifndef LMW_METER_CLOCK_H
#define LMW_METER_CLOCK_H

#include <stdbool.h>

enum { MAX_TICKS = 320 };

/* A value that was written in (lo_s, hi_s], and none after it up to until_s. */
struct change {
    double lo_s, hi_s, until_s, e_uj;
};
struct changes {
    int n, n_same; /* n_same: reads that showed the old value */
    struct change v[MAX_TICKS];
    int order[MAX_TICKS]; /* by width */
};

/* Updates at phase_s + k * period_s, each up to slack_s off. What they all share is how far phase
 * and period may be off: the error at t is normal with shift_sd_s at shift_at_s, and tilt times
 * the time from there besides. */
struct clock_fit {
    double period_s, phase_s, slack_s;
    double shift_sd_s, shift_at_s, tilt;
};

/* A clock that all changes agree with, of about this period, which is known to `sure` of itself if
 * it is right; false when there is none. Orders the changes. */
bool lmw_clock_learn(struct clock_fit *f, struct changes *c, double period_s, double sure);

#endif
