/* When queries arrive, one after the other. See arrivals.c. */
#ifndef LMW_ROUTE_ARRIVALS_H
#define LMW_ROUTE_ARRIVALS_H

#include "base/rng.h"
#include "route/route.h"

#include <stdio.h>

enum arrival_column { ARRIVAL_TIME, ARRIVAL_ASKED, ARRIVAL_TOLD, ARRIVAL_COLUMNS };

struct arrival {
    double t_s;         /* since the day began */
    double asked, told; /* tokens, NaN where the trace does not say */
};

enum { ARRIVAL_ROW = 1 << 16 };
struct arrivals {
    const struct lmw_traffic *traffic;
    struct lmw_rng rng;
    FILE *file; /* NULL: drawn */
    int column[ARRIVAL_COLUMNS];
    double scale, first_s, t_s;
    int64_t n, line, first_line; /* of the row */
    char row[ARRIVAL_ROW];
};
/* file: a trace that is open already and stays the caller's, or NULL: as the traffic says. */
int lmw_arrivals_open(struct arrivals *a, const struct lmw_traffic *t, FILE *file,
                      struct lmw_err *err);
int lmw_arrivals_next(struct arrivals *a, struct arrival *out,
                      struct lmw_err *err); /* 1, 0, < 0 */
void lmw_arrivals_close(struct arrivals *a);

#endif
