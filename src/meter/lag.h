/* What an unstated power reading is the mean of, learned. Inside the meter room only. */
#ifndef LMW_METER_LAG_H
#define LMW_METER_LAG_H

#include "meter/span.h"

/* The window that explains best how the readings follow the known spans: those around `span`, or
 * of a log all of them. Only samples [first, n) count. */
void lmw_lag_learn(const struct series *s, int64_t first, int64_t n,
                   const struct known_spans *known, const struct lmw_span *span,
                   struct lag_window *out);

#endif
