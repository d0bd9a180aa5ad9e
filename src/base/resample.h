/* The bootstrap over questions (Efron, percentile): questions are drawn with replacement, all
 * figures from the same draws, so that figures of one run, and runs that answered the same
 * questions, stay paired.
 *
 * What is drawn is a unit: a question with all its repeats (they are not independent) or, where
 * there are more than LMW_UNITS_MAX questions, a bundle of questions put together by chance. It is
 * the same thing because every figure is made of sums: the sum over a bundle is a sum of
 * independent draws, so the variance of the total that the bundles show is that of the questions;
 * all that is lost is degrees of freedom, 2,047 in place of n - 1. The standard error is thereby
 * known to 1 / sqrt(2 x 2,047) = 1.6 %, less than the noise of 1,000 resamples (2.2 %). What is
 * gained: the work does not grow with the records. */
#ifndef LMW_BASE_RESAMPLE_H
#define LMW_BASE_RESAMPLE_H

#include "base/arena.h"
#include "base/stat.h"

#include <stdbool.h>
#include <stdint.h>

enum { LMW_RESAMPLES = 1000, LMW_UNITS_MAX = 2048, LMW_BLOCK = 4 };

/* unit[i]: the unit of question i of n. Returns how many units there are. Fixed seed. */
int lmw_units(int32_t *unit, int n);

/* How often each unit is drawn in each resample, LMW_BLOCK resamples beside each other: unit u in
 * resample b is count[(b / 4 * n_unit + u) * 4 + b % 4]. */
struct lmw_resample {
    int n_unit;
    bool wide;     /* the machine has AVX2 */
    double *count; /* with room for LMW_UNITS_MAX units */
};
int lmw_resample_open(struct lmw_resample *r, struct lmw_arena *arena, struct lmw_err *err);
/* Fixed seed: as many units, the same draws; drawn only where the number is another than
 * before. */
void lmw_resample_draw(struct lmw_resample *r, int n_unit);

/* Columns of sums over units, in blocks of LMW_BLOCK: value of unit u, column k is
 * x[(k / 4 * n_unit + u) * 4 + k % 4]. Sums over draws are a product of two matrices, taken in
 * tiles of 4 resamples by 4 columns that stay in registers. */
struct lmw_sums {
    int n_unit, n_column, width; /* width: n_column in whole blocks */
    double *x;
    double *drawn; /* [LMW_BLOCK][width] the sums of resamples tile * 4 .. */
    int tile;
};
int lmw_sums_open(struct lmw_sums *s, int n_unit, int n_column, struct lmw_arena *arena,
                  struct lmw_err *err);
static inline double *lmw_sums_at(const struct lmw_sums *s, int unit, int k)
{
    return &s->x[((size_t)(k / LMW_BLOCK) * (size_t)s->n_unit + (size_t)unit) * LMW_BLOCK +
                 (size_t)(k % LMW_BLOCK)];
}
/* out[n_column]: the sum over all units. */
void lmw_sums_total(const struct lmw_sums *s, double *out);
/* [n_column]: the sum over those of resample b; valid until the next call. Ask in ascending order:
 * four are made at once. */
const double *lmw_sums_draw(struct lmw_sums *s, const struct lmw_resample *r, int b);

/* The 2.5 % and 97.5 % quantiles of the draws of a figure (reorders them); unknown where value
 * is. */
struct lmw_interval lmw_interval_of(double value, double *draws, int64_t n);

#endif
