/* Small statistics over double arrays. n = 0 gives NaN. */
#ifndef LMW_BASE_STAT_H
#define LMW_BASE_STAT_H

#include <stddef.h>
#include <stdint.h>

/* A figure and its 95 % interval; NaN is "not known". */
struct lmw_interval {
    double value, lower, upper;
    int64_t n; /* records it is made of */
};

double lmw_mean(const double *x, size_t n);
double lmw_sd(const double *x, size_t n); /* sample (n - 1) */
/* Quantile p in [0, 1] by linear interpolation (Hyndman and Fan type 7); x is put into another
 * order. */
double lmw_quantile(double *x, size_t n, double p);
double lmw_quantile_sorted(const double *x, size_t n, double p); /* x is sorted already */
/* The value that sorting would put at x[k], k < n; no NaN. It is there afterwards, no larger one
 * before it and no smaller one behind it. */
double lmw_select(double *x, size_t n, size_t k);
void lmw_sort(double *x, size_t n); /* ascending; no NaN */
/* Wilson score interval of a proportion k/n at z standard errors (1.96 for 95 %). */
void lmw_wilson(double k, double n, double z, double *lower, double *upper);

#endif
