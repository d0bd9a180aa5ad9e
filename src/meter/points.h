/* The window around a span: the updates that tell of it, and where power may have changed. Inside
 * the meter room only. */
#ifndef LMW_METER_POINTS_H
#define LMW_METER_POINTS_H

#include "meter/tick.h"

/* What runs: nothing, a query (or its prefill), its decode, or nobody knows. */
enum { GAP, QUERY, DECODE, UNKNOWN };
enum { MAX_POINTS = 512 };

struct point {
    double t_s;
    int kind; /* of what begins here */
    int edge; /* 0, 1, 2: the span's start, first token, end; -1: none */
};
struct points {
    int n;
    struct point v[MAX_POINTS];
};

/* Updates and change points of the window, in seconds from the first sample. The samples [first,
 * n) hold the span, unbroken. */
void lmw_points_gather(const struct series *s, int64_t first, int64_t n,
                       const struct known_spans *known, const struct lmw_span *span,
                       struct ticks *u, struct points *p);

#endif
