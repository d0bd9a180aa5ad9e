/* How often a power reading is made anew, and how old one may be. Inside the meter room only. */
#ifndef LMW_METER_RENEWAL_H
#define LMW_METER_RENEWAL_H

#include "meter/span.h"

struct renewal {
    double every_s; /* values are shown for so long; 0: every read is news, or values that do not
                       change do so because power does not */
    /* Where every read is news: values are of up to most_s before they were read, infinite where
     * nothing tells; and likely_s, 0 where the edges leave it open whether they are any older. */
    double likely_s, most_s;
};

/* Of the values near sample i. */
void lmw_renewal_learn(struct renewal *out, const struct series *s,
                       const struct known_spans *known, int64_t first, int64_t i);

#endif
