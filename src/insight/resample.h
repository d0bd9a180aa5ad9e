/* Percentile bootstrap of ratios of means (Efron): queries are drawn with replacement, all figures
 * from the same draws. */
#ifndef LMW_INSIGHT_RESAMPLE_H
#define LMW_INSIGHT_RESAMPLE_H

#include "insight/insight.h"

/* mean(top) / mean(bottom); bottom NULL: mean(top). Both [n]. A NaN in a column makes its figure
 * NaN. */
struct lmw_ratio {
    const double *top, *bottom;
};
enum { LMW_RESAMPLES = 1000, LMW_RATIOS_MAX = 16 };
/* out[k]: the ratio over all n, and the 2.5 % and 97.5 % quantiles over LMW_RESAMPLES draws.
 * Deterministic. */
int lmw_resample(const struct lmw_ratio *ratios, int n_ratio, size_t n, struct lmw_interval **out,
                 struct lmw_arena scratch, struct lmw_err *err);

#endif
