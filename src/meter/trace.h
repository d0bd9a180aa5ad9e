/* Reading a power log. Inside the meter room only; the door's lmw_trace_* is the way in for
 * others. */
#ifndef LMW_METER_TRACE_H
#define LMW_METER_TRACE_H

#include "meter/span.h"

int lmw_series_parse_csv(struct series *s, lmw_str text, struct lmw_err *err);

#endif
