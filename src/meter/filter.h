/* One pass of a Kalman filter over a span's window. Inside the meter room only. */
#ifndef LMW_METER_FILTER_H
#define LMW_METER_FILTER_H

#include "meter/points.h"

/* The state: E, P, mean P of each kind, the updates' shift and how fast that changes, E at the
 * span's edges, E where windows begin. Rows are gone through two numbers at a time: their number
 * is even, and what is not in use yet is 0. */
enum {
    E,
    P,
    MEAN,
    SHIFT = MEAN + UNKNOWN,
    RATE,
    EDGE,
    OPEN = EDGE + 3,
    N_STATE = OPEN + MAX_OPEN
};

struct filter {
    double x[N_STATE];
    double typical_w; /* in uJ/s, as everything here */
    double wide_w;    /* how far a power may be from that for all that is known before */
    double q_rel, tau_rel, wander;
    double rise_s; /* power follows a query's start so much later */
    double step;   /* of what is read: uJ, or mW of power readings */
    double log_likelihood;
    double end_shift_s; /* the shift at the span's end, by all updates */
    double var_product; /* of readings whose logarithm is not in the likelihood yet */
    double open_w[MAX_OPEN], open_s[MAX_OPEN]; /* each begun window's power then, and when */
    int n;    /* states in use: edges and begun windows come last, as they are reached */
    int kind; /* of what runs now */
    double c[N_STATE][N_STATE]; /* last: only what is in use is cleared */
};

/* q_rel, tau_rel, wander and step are given. shift_s: how much later than seen all updates are
 * taken to have been, give or take shift_sd_s. */
void lmw_filter_run(struct filter *f, const struct ticks *u, const struct points *p,
                    double shift_s, double shift_sd_s);

#endif
