/* Small statistics. Sources of the formulas are in stat.h. */
#include "base/stat.h"

#include <math.h>
#include <stdlib.h>

double lmw_mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : (double)NAN;
}

double lmw_sd(const double *x, size_t n)
{
    if (n < 2)
        return NAN;
    double mean = lmw_mean(x, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void lmw_sort(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
}

/* Hoare's Find ("Algorithm 65", CACM 4, 1961). */
double lmw_select(double *x, size_t n, size_t k)
{
    ptrdiff_t left = 0, right = (ptrdiff_t)n - 1, at = (ptrdiff_t)k;
    while (left < right) {
        double pivot = x[left + (right - left) / 2];
        ptrdiff_t i = left, j = right;
        while (i <= j) {
            while (x[i] < pivot)
                i++;
            while (pivot < x[j])
                j--;
            if (i <= j) {
                double t = x[i];
                x[i++] = x[j];
                x[j--] = t;
            }
        }
        left = j < at ? i : left;
        right = at < i ? j : right;
    }
    return x[k];
}

double lmw_quantile(double *x, size_t n, double p)
{
    if (n == 0)
        return NAN;
    double h = p * (double)(n - 1);
    size_t i = (size_t)h;
    double low = lmw_select(x, n, i), high = low;
    for (size_t k = i + 1; k < n; k++)
        high = k == i + 1 || x[k] < high ? x[k] : high;
    return low + (h - (double)i) * (high - low);
}

double lmw_quantile_sorted(const double *x, size_t n, double p)
{
    if (n == 0)
        return NAN;
    double h = p * (double)(n - 1);
    size_t i = (size_t)h;
    if (i + 1 >= n)
        return x[n - 1];
    return x[i] + (h - (double)i) * (x[i + 1] - x[i]);
}

void lmw_wilson(double k, double n, double z, double *lower, double *upper)
{
    *lower = *upper = NAN;
    if (n <= 0)
        return;
    double p = k / n, z2 = z * z;
    double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    *lower = fmax(0, centre - half);
    *upper = fmin(1, centre + half);
}
