/* Counts of draws, and sums weighted by them. See resample.h for what is drawn and why. */
#include "base/resample.h"

#include "base/cpu.h"
#include "base/rng.h"
#include "base/stat.h"

#include <math.h>
#include <string.h>

enum { SEED = 1, SEED_OF_UNITS = 2 };

int lmw_units(int32_t *unit, int n)
{
    struct lmw_rng rng;
    for (int i = 0; i < n; i++)
        unit[i] = i % LMW_UNITS_MAX;
    if (n <= LMW_UNITS_MAX)
        return n;
    /* By chance: questions that are stored together are often of one kind. */
    lmw_rng_init(&rng, SEED_OF_UNITS);
    for (int i = n - 1; i > 0; i--) {
        uint32_t k = lmw_rng_below(&rng, (uint32_t)i + 1);
        int32_t t = unit[i];
        unit[i] = unit[k];
        unit[k] = t;
    }
    return LMW_UNITS_MAX;
}

int lmw_resample_open(struct lmw_resample *r, struct lmw_arena *arena, struct lmw_err *err)
{
    _Static_assert(LMW_RESAMPLES % LMW_BLOCK == 0, "whole tiles");
    *r = (struct lmw_resample){0, lmw_cpu_flags() & LMW_CPU_AVX2,
                               LMW_NEW(arena, double, (size_t)LMW_UNITS_MAX *LMW_RESAMPLES)};
    return r->count ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for resamples");
}

void lmw_resample_draw(struct lmw_resample *r, int n_unit)
{
    struct lmw_rng rng;
    if (r->n_unit == n_unit)
        return;
    r->n_unit = n_unit;
    memset(r->count, 0, sizeof *r->count * LMW_RESAMPLES * (size_t)n_unit);
    lmw_rng_init(&rng, SEED);
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        double *count =
            r->count + (size_t)(b / LMW_BLOCK) * (size_t)n_unit * LMW_BLOCK + b % LMW_BLOCK;
        for (int i = 0; i < n_unit; i++)
            count[(size_t)lmw_rng_below(&rng, (uint32_t)n_unit) * LMW_BLOCK]++;
    }
}

int lmw_sums_open(struct lmw_sums *s, int n_unit, int n_column, struct lmw_arena *arena,
                  struct lmw_err *err)
{
    int width = (n_column + LMW_BLOCK - 1) / LMW_BLOCK * LMW_BLOCK;
    *s = (struct lmw_sums){.n_unit = n_unit, .n_column = n_column, .width = width, .tile = -1};
    s->x = LMW_NEW(arena, double, (size_t)width *(size_t)n_unit + 1);
    s->drawn = LMW_NEW(arena, double, (size_t)width *LMW_BLOCK + 1);
    return s->x && s->drawn ? LMW_OK
                            : lmw_fail(err, LMW_ENOMEM, "no memory for %d sums", n_column);
}

void lmw_sums_total(const struct lmw_sums *s, double *out)
{
    for (int k = 0; k < s->n_column; k++) {
        out[k] = 0;
        for (int u = 0; u < s->n_unit; u++)
            out[k] += *lmw_sums_at(s, u, k);
    }
}

/* Four columns of four resamples. Each sum is added up in the order of the units, by one lane: the
 * same to the bit whatever the width of the machine's registers. */
typedef double quad __attribute__((vector_size(LMW_BLOCK * sizeof(double))));

static inline __attribute__((always_inline)) void add_tile(const struct lmw_sums *s, int block,
                                                           const double *count)
{
    quad a = {0}, b = {0}, c = {0}, d = {0}; /* by name: an array would live in memory */
    const quad *x = (const void *)lmw_sums_at(s, 0, block * LMW_BLOCK);
    for (int u = 0; u < s->n_unit; u++, count += LMW_BLOCK) {
        a += x[u] * count[0];
        b += x[u] * count[1];
        c += x[u] * count[2];
        d += x[u] * count[3];
    }
    double *out = s->drawn + block * LMW_BLOCK;
    memcpy(out, &a, sizeof a);
    memcpy(out + s->width, &b, sizeof b);
    memcpy(out + 2 * s->width, &c, sizeof c);
    memcpy(out + 3 * s->width, &d, sizeof d);
}

static void add_tiles_ref(const struct lmw_sums *s, const double *count)
{
    for (int block = 0; block * LMW_BLOCK < s->width; block++)
        add_tile(s, block, count);
}

LMW_TARGET("avx2") static void add_tiles_avx2(const struct lmw_sums *s, const double *count)
{
    for (int block = 0; block * LMW_BLOCK < s->width; block++)
        add_tile(s, block, count);
}

const double *lmw_sums_draw(struct lmw_sums *s, const struct lmw_resample *r, int b)
{
    if (s->tile != b / LMW_BLOCK) {
        s->tile = b / LMW_BLOCK;
        const double *count = r->count + (size_t)s->tile * (size_t)r->n_unit * LMW_BLOCK;
        (r->wide ? add_tiles_avx2 : add_tiles_ref)(s, count);
    }
    return s->drawn + b % LMW_BLOCK * s->width;
}

struct lmw_interval lmw_interval_of(double value, double *draws, int64_t n)
{
    struct lmw_interval out = {(double)NAN, (double)NAN, (double)NAN, n};
    int known = 0;
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        if (isfinite(draws[b]))
            draws[known++] = draws[b];
    }
    if (!isfinite(value))
        return out;
    out.value = value;
    /* One record says nothing of others; nor does a figure that many resamples leave undefined. */
    if (n > 1 && known >= LMW_RESAMPLES * 19 / 20) {
        out.lower = lmw_quantile(draws, (size_t)known, 0.025);
        out.upper = lmw_quantile(draws, (size_t)known, 0.975);
    }
    return out;
}
