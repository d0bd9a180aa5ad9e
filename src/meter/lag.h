/* What an unstated power reading is the mean of, learned. Inside the meter room only. */
#ifndef LMW_METER_LAG_H
#define LMW_METER_LAG_H

#include "meter/span.h"

struct lag_window {
    int64_t window_ns; /* 0: of the moment; LMW_NULL: not learned */
    double error_s;    /* either way, of one that was learned */
    double most_s;     /* what it is at most, of one that was not */
};
/* The window that explains best how the readings around `span` follow the known spans; false when
 * they do not tell, and then what they rule out. Only samples [first, n) count. */
bool lmw_lag_learn(const struct series *s, int64_t first, int64_t n,
                   const struct known_spans *known, const struct lmw_span *span,
                   struct lag_window *out);

#endif
