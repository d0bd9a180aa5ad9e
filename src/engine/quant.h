/* Tensor formats: block structs in ggml's bit layout, and scalar conversion to and from f32.
 *
 * These are the specification: kernels are checked against lmw_to_f32(). Quantisation follows the
 * published search (per-block scale search over candidates, error-weighted); see quant.c. */
#ifndef LMW_ENGINE_QUANT_H
#define LMW_ENGINE_QUANT_H

#include "base/err.h"
#include "engine/gguf.h"

#include <stdint.h>

#define LMW_QK 256 /* elements of a K-quant super-block */

/* 32 weights: x = d * q */
struct lmw_block_q8_0 {
    uint16_t d; /* f16 */
    int8_t qs[32];
};
/* 256 weights in 8 sub-blocks of 32: x = d * sc[j] * q - dmin * m[j]; sc and m have 6 bits */
struct lmw_block_q4_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qs[128]; /* low nibbles: sub-blocks 0,2,4,6; high nibbles: 1,3,5,7 (per 32 bytes) */
};
struct lmw_block_q5_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32]; /* fifth bits: bit j of byte l is sub-block j, element l */
    uint8_t qs[128];
};
/* 256 weights in 16 sub-blocks of 16: x = d * sc[j] * (q - 32) */
struct lmw_block_q6_k {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
};
_Static_assert(sizeof(struct lmw_block_q8_0) == 34, "q8_0");
_Static_assert(sizeof(struct lmw_block_q4_k) == 144, "q4_K");
_Static_assert(sizeof(struct lmw_block_q5_k) == 176, "q5_K");
_Static_assert(sizeof(struct lmw_block_q6_k) == 210, "q6_K");

/* Activations, made at run time: 256 int8 in [-127, 127], x = d * q, and the sums of 16. */
struct lmw_block_q8_k {
    float d;
    int8_t qs[256];
    int16_t bsums[16];
};
_Static_assert(sizeof(struct lmw_block_q8_k) == 292, "q8_K");

float lmw_f16_to_f32(uint16_t h); /* exact */
uint16_t lmw_f32_to_f16(float f); /* round to nearest even; NaN stays NaN */
float lmw_bf16_to_f32(uint16_t h);
uint16_t lmw_f32_to_bf16(float f); /* round to nearest even; NaN stays a quiet NaN */

/* n elements, a multiple of the format's block. Any format this build knows. */
void lmw_to_f32(enum lmw_type t, const void *src, float *dst, int64_t n);
/* Quantises n elements (rows are independent: n may span whole rows). Deterministic. */
void lmw_from_f32(enum lmw_type t, const float *src, void *dst, int64_t n);

#endif
