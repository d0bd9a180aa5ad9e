/* The kernels' contracts and their table. Levels: ref (the specification), then avx2, ...
 *
 * The table is a value owned by the engine. lmw_kernels_init() starts from ref and lets each level
 * the CPU and the mask allow overwrite what it improves (levels.c is the one list; tests walk it).
 *
 * Contracts, for every level:
 *  - no alignment is assumed, nothing is read or written outside the operands;
 *  - n is a multiple of the format's block (any n for f32, f16, bf16);
 *  - outputs do not overlap inputs unless a line says so;
 *  - a result does not depend on n_x, n_row, or the thread split: prefill and decode of the same
 *    token give the same bits;
 *  - products with quantised weights have the same bits at every level: exact integer sums, then
 *    the f32 operations ref.c spells out;
 *  - products satisfy |got - exact| <= (nb + 8) * FLT_EPSILON * sum|x_i w_i|. exact is the f64 sum
 *    over the dequantised operands, nb the float additions in an output's longest chain: n over
 *    the format's block, at most 72 + n / 512 for F32, F16, BF16. |w_i| counts as
 *    |d sc q| + |dmin m| where a format has minima;
 *  - a NaN or an infinity in an operand makes the outputs it reaches NaN or infinite, no others;
 *  - contraction is off; FMA only where written. */
#ifndef LMW_ENGINE_KERNELS_KERNELS_H
#define LMW_ENGINE_KERNELS_KERNELS_H

#include "engine/gguf.h"

#include <stddef.h>
#include <stdint.h>

/* How activations are handed to a matrix product. */
enum lmw_act {
    LMW_ACT_F32,
    LMW_ACT_Q8_0, /* struct lmw_block_q8_0 per 32 (with Q8_0 weights) */
    LMW_ACT_Q8_K, /* struct lmw_block_q8_k per 256 (with K-quants) */
};

/* y[j * ldy + i] = sum_k w[i][k] * x[j][k], i < n_row, j < n_x, k < n.
 * w: n_row rows of w_stride bytes in the weight format; x: n_x rows of x_stride bytes in the
 * activation format. */
typedef void lmw_mul_fn(int64_t n, int n_row, int n_x, const void *w, size_t w_stride,
                        const void *x, size_t x_stride, float *y, size_t ldy);

struct lmw_mul {
    enum lmw_act act;
    lmw_mul_fn *fn; /* NULL: this build cannot multiply by that format */
};

/* What a softmax comes to: sum of e = exp(x - max) and of e (x - max). Then log p_i = x_i - max -
 * log(sum), and the entropy is log(sum) - moment / sum. */
struct lmw_mass {
    double max, sum, moment;
};

struct lmw_kernels {
    const char *level;      /* the highest level that filled anything: "ref", "avx2" */
    struct lmw_mul mul[31]; /* by enum lmw_type */

    /* Activations: f32 -> the format, values in [-127, 127]; n a multiple of 32 or 256. The same
     * bits at every level. A block with a NaN or an infinity (or, for Q8_0, above the reach of an
     * f16 scale, 8.3e6) gets a scale that is NaN or infinite, so that products show it. */
    void (*quantize_q8_0)(const float *x, void *y, int64_t n);
    void (*quantize_q8_k)(const float *x, void *y, int64_t n);

    /* y = x / sqrt(mean(x^2) + eps) * w; y may be x. */
    void (*rms_norm)(float *y, const float *x, const float *w, int64_t n, float eps);
    /* x[i] = exp(x[i] - max) / sum; n >= 1. -inf gives 0; all -inf, +inf or NaN give NaN. */
    void (*softmax)(float *x, int64_t n);
    /* Of that softmax, x unchanged; f32 terms, summed in f64. Where it gives NaN, sum is NaN. */
    struct lmw_mass (*mass)(const float *x, int64_t n);
    /* y = silu(gate) * up; y may be gate. */
    void (*swiglu)(float *y, const float *gate, const float *up, int64_t n);
    void (*add)(float *y, const float *x, int64_t n);       /* y += x */
    void (*to_f16)(uint16_t *y, const float *x, int64_t n); /* round to nearest even */
};

struct lmw_level {
    const char *name;
    uint32_t cpu_flags; /* all must be there */
    void (*fill)(struct lmw_kernels *k);
};
void lmw_fill_ref(struct lmw_kernels *k);
void lmw_fill_avx2(struct lmw_kernels *k);
extern const struct lmw_level lmw_levels[]; /* ref first; ends with a NULL name */

/* flags: lmw_cpu_flags() & mask. */
void lmw_kernels_init(struct lmw_kernels *k, uint32_t flags);

#endif
