/* The bootstrap: 1,000 draws of n queries with replacement, fixed seed, so that the same records
 * give the same interval everywhere. One draw serves every ratio, so the figures of a row stay
 * paired. */
#include "insight/resample.h"

#include "base/rng.h"
#include "base/stat.h"

#include <math.h>

static double ratio_of(double top, double bottom, const struct lmw_ratio *r, size_t n)
{
    return r->bottom ? top / bottom : top / (double)n;
}

/* One draw: sums of every ratio's columns over n random queries. */
static void draw(const struct lmw_ratio *ratios, int n_ratio, size_t n, struct lmw_rng *rng,
                 double *value)
{
    double top[LMW_RATIOS_MAX] = {0}, bottom[LMW_RATIOS_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        size_t q = rng ? lmw_rng_below(rng, (uint32_t)n) : i;
        for (int k = 0; k < n_ratio; k++) {
            top[k] += ratios[k].top[q];
            bottom[k] += ratios[k].bottom ? ratios[k].bottom[q] : 0;
        }
    }
    for (int k = 0; k < n_ratio; k++)
        value[k] = ratio_of(top[k], bottom[k], &ratios[k], n);
}

int lmw_resample(const struct lmw_ratio *ratios, int n_ratio, size_t n, struct lmw_interval **out,
                 struct lmw_arena scratch, struct lmw_err *err)
{
    double value[LMW_RATIOS_MAX];
    double *draws = LMW_NEW(&scratch, double, (size_t)n_ratio *LMW_RESAMPLES);
    if (!draws || n_ratio > LMW_RATIOS_MAX)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d bootstrapped figures", n_ratio);
    struct lmw_rng rng;
    lmw_rng_init(&rng, 1);
    for (int i = 0; i < LMW_RESAMPLES && n; i++) {
        draw(ratios, n_ratio, n, &rng, value);
        for (int k = 0; k < n_ratio; k++)
            draws[k * LMW_RESAMPLES + i] = value[k];
    }
    draw(ratios, n_ratio, n, NULL, value);
    for (int k = 0; k < n_ratio; k++) {
        double *d = draws + k * LMW_RESAMPLES;
        bool known = n && !isnan(value[k]);
        *out[k] = (struct lmw_interval){known ? value[k] : (double)NAN, NAN, NAN};
        if (known) {
            out[k]->lower = lmw_quantile(d, LMW_RESAMPLES, 0.025);
            out[k]->upper = lmw_quantile(d, LMW_RESAMPLES, 0.975);
        }
    }
    return LMW_OK;
}
