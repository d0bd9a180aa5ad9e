/* The numbers all kernel levels must agree on. */
#ifndef LMW_ENGINE_KERNELS_COMMON_H
#define LMW_ENGINE_KERNELS_COMMON_H

#define LMW_F32_INF_BITS 0x7f800000
#define LMW_F16_NAN      0x7e00
#define LMW_Q8_K_MIN_D   1.17549435e-38f /* FLT_MIN: 1 / d stays finite */

/* The exponential every level computes, so that no result depends on a libm.
 *
 *   x is clamped to [LO, HI];  k = round(x * LOG2E);  r = (x - k * LN2_HI) - k * LN2_LO
 *   exp(x) = 2^k * (1 + (r + r^2 * q(r))),  q of degree 4 in Horner's form, 2^k in two steps
 *
 * Plain products and sums, each rounded to f32, no FMA: every level gives the same bits.
 * LN2_HI has 9 significant bits and |k| < 256, so k * LN2_HI is exact. q is the minimax fit of
 * (exp(r) - 1 - r) / r^2 to the relative error of exp over |r| <= 1.01 * ln(2) / 2: 5e-9 with the
 * coefficients rounded to f32. Against f64, every fifth argument: at most 0.98 ulp, 0.75 ulp where
 * the result is denormal. LO gives 0, HI gives inf, NaN stays NaN. */
#define LMW_EXP_LO     (-105.0f)
#define LMW_EXP_HI     89.0f
#define LMW_EXP_LOG2E  1.44269504f
#define LMW_EXP_LN2_HI 0.693359375f
#define LMW_EXP_LN2_LO (-2.12194440e-4f)
#define LMW_EXP_Q0     0.49999994f
#define LMW_EXP_Q1     0.16666515f
#define LMW_EXP_Q2     0.041668456f
#define LMW_EXP_Q3     0.008369419f
#define LMW_EXP_Q4     0.0013813145f

#endif
