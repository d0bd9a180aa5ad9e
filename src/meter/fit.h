/* A counter's energy between its updates, reconstructed with the marks as change points. Inside
 * the meter room only. */
#ifndef LMW_METER_FIT_H
#define LMW_METER_FIT_H

#include "meter/span.h"

struct fit {
    double energy_uj, lower_uj, upper_uj; /* of the span, and bounds for 95 % of spans at least */
    double prefill_uj;                    /* start to first token, when there is one */
    double prior_uj; /* half the bounds' width were there no readings; 0: of a counter */
};
/* The samples [first, n) hold the span, unbroken, and the changes after it. False when the
 * counter moved too little to say anything. */
bool lmw_fit_span(const struct series *s, int64_t first, int64_t n, struct known_spans *known,
                  const struct lmw_span *span, struct fit *out);

#endif
