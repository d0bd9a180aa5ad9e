/* When a counter updated, learned from when its value was seen to change; and what a power
 * reading speaks for. Inside the meter room only. */
#ifndef LMW_METER_TICK_H
#define LMW_METER_TICK_H

#include "meter/clock.h"
#include "meter/renewal.h"
#include "meter/span.h"

enum { MAX_OPEN = 24, MAX_PART = 3 };
/* An update whose time is known to sd is of no other stretch's power farther from an edge than so
 * many of them. */
#define TICK_SURE 1.75

/* One update: the counter said e_uj from about t_s on; or a power reading said that the window
 * that ends at t_s held e_uj. Times are seconds and energies uJ from the ticks' origin. */
struct tick {
    double t_s, sd_s; /* sd: of this update alone */
    double e_uj;
};
/* Ticks whose clock was learned by itself: the error they share (clock.h). */
struct tick_part {
    int from;
    double shift_sd_s, shift_at_s, tilt;
};
struct ticks {
    int64_t t0_ns, e0_uj; /* the origin */
    double shift_sd_s;  /* of an error that all updates share: they happened up to this much ... */
    double shift_max_s; /* ... and never more than this earlier; 0: either way */
    double wander; /* of values that keep the pace of the reads: their age changes this fast */
    int n_part;
    struct tick_part part[MAX_PART];
    double window_s; /* of power readings, at most MAX_OPEN - 1 begin in one; 0: a counter */
    bool of_moment;  /* they are of the moment: the window is what they are taken to speak for */
    int n;
    struct tick v[MAX_TICKS];
};

static inline double ticks_rel(const struct ticks *u, int64_t t_ns)
{
    return (double)(t_ns - u->t0_ns) * 1e-9;
}

/* Appends the updates seen among samples [from, n), at most MAX_TICKS in all. Samples must be
 * unbroken. */
void lmw_ticks_learn(struct ticks *out, const struct series *s, int64_t from, int64_t n);
/* The same of power readings, which are renewed so. */
void lmw_ticks_readings(struct ticks *out, const struct series *s, int64_t from, int64_t n,
                        const struct renewal *renewal);
/* The steps in which samples [from, n) come: uJ, or mW of power readings; what is stated where
 * that is more. */
double lmw_ticks_step(const struct series *s, int64_t from, int64_t n);

#endif
