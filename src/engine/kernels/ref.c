/* The reference level: what each kernel means, in plain scalar C. Every other level is checked
 * against it and against an f64 oracle.
 *
 * Products with F32, F16 and BF16 weights sum in f64 and round once. Products with quantised
 * weights take, block by block and in order, an exact integer sum and then a few f32 operations
 * with no FMA: that order is the specification, and every level gives these very bits:
 *
 *   Q8_0            y += (float)sum(w x) * (dw * dx)                            per 32
 *   Q4_K, Q5_K      y += dx * (d * (float)S - dmin * (float)M)                  per 256
 *                   S = sum_j sc[j] sum(q x),  M = sum_j m[j] sum(x)
 *   Q6_K            y += dx * (d * (float)S),  S = sum_j sc[j] sum((q - 32) x)  per 256
 *
 * Integers: |x| <= 127. Q8_0: 32 * 128 * 127 < 2^19, exact as float. Q5_K: |S| <= 256 * 31 * 127 *
 * 63 < 2^26; Q6_K: |S| <= 256 * 32 * 127 * 128 < 2^28: inside int32, rounded once as float.
 * Blocks are copied before they are read, so nothing needs alignment. */
#include "engine/kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "engine/kernels/common.h"
#include "engine/quant.h"

/* --- products ----------------------------------------------------------------------------- */

typedef float dot_fn(int64_t n, const uint8_t *w, const uint8_t *x);

static void mul(dot_fn *dot, int64_t n, int n_row, int n_x, const uint8_t *w, size_t w_stride,
                const uint8_t *x, size_t x_stride, float *y, size_t ldy)
{
    for (int j = 0; j < n_x; j++)
        for (int i = 0; i < n_row; i++)
            y[j * ldy + i] = dot(n, w + i * w_stride, x + j * x_stride);
}

#define MUL(format)                                                                         \
    static void mul_##format(int64_t n, int n_row, int n_x, const void *w, size_t w_stride, \
                             const void *x, size_t x_stride, float *y, size_t ldy)          \
    {                                                                                       \
        mul(dot_##format, n, n_row, n_x, w, w_stride, x, x_stride, y, ldy);                 \
    }

static float f32_at(const uint8_t *p, int64_t i)
{
    float f;
    memcpy(&f, p + 4 * i, 4);
    return f;
}

static uint16_t u16_at(const uint8_t *p, int64_t i)
{
    uint16_t h;
    memcpy(&h, p + 2 * i, 2);
    return h;
}

static float dot_f32(int64_t n, const uint8_t *w, const uint8_t *x)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)f32_at(w, i) * (double)f32_at(x, i);
    return (float)sum;
}

static float dot_f16(int64_t n, const uint8_t *w, const uint8_t *x)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)lmw_f16_to_f32(u16_at(w, i)) * (double)f32_at(x, i);
    return (float)sum;
}

static float dot_bf16(int64_t n, const uint8_t *w, const uint8_t *x)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)lmw_bf16_to_f32(u16_at(w, i)) * (double)f32_at(x, i);
    return (float)sum;
}

static float dot_q8_0(int64_t n, const uint8_t *w, const uint8_t *x)
{
    float y = 0;
    for (int64_t b = 0; b < n / 32; b++) {
        struct lmw_block_q8_0 wb, xb;
        memcpy(&wb, w + b * sizeof wb, sizeof wb);
        memcpy(&xb, x + b * sizeof xb, sizeof xb);
        int32_t sum = 0;
        for (int i = 0; i < 32; i++)
            sum += wb.qs[i] * xb.qs[i];
        y += (float)sum * (lmw_f16_to_f32(wb.d) * lmw_f16_to_f32(xb.d));
    }
    return y;
}

/* Q4_K and Q5_K pack eight 6-bit scales and eight 6-bit minima into 12 bytes: the first four of
 * each whole in bytes 0..7, of the others the low nibbles in bytes 8..11 and the top two bits
 * above those of the first eight. */
static void unpack_scales(const uint8_t s[12], uint8_t sc[8], uint8_t m[8])
{
    for (int j = 0; j < 4; j++) {
        sc[j] = s[j] & 63;
        m[j] = s[j + 4] & 63;
        sc[j + 4] = (uint8_t)((s[j + 8] & 15) | (s[j] >> 6) << 4);
        m[j + 4] = (uint8_t)(s[j + 8] >> 4 | (s[j + 4] >> 6) << 4);
    }
}

static float dot_q4_k(int64_t n, const uint8_t *w, const uint8_t *x)
{
    float y = 0;
    for (int64_t b = 0; b < n / LMW_QK; b++) {
        struct lmw_block_q4_k wb;
        struct lmw_block_q8_k xb;
        memcpy(&wb, w + b * sizeof wb, sizeof wb);
        memcpy(&xb, x + b * sizeof xb, sizeof xb);
        uint8_t sc[8], m[8];
        unpack_scales(wb.scales, sc, m);
        int32_t s_sum = 0, m_sum = 0;
        for (int j = 0; j < 8; j++) {
            int32_t sum = 0;
            for (int i = 0; i < 32; i++)
                sum += (wb.qs[j / 2 * 32 + i] >> (j % 2 * 4) & 15) * xb.qs[j * 32 + i];
            s_sum += sc[j] * sum;
            m_sum += m[j] * (xb.bsums[2 * j] + xb.bsums[2 * j + 1]);
        }
        y += xb.d * (lmw_f16_to_f32(wb.d) * (float)s_sum - lmw_f16_to_f32(wb.dmin) * (float)m_sum);
    }
    return y;
}

static float dot_q5_k(int64_t n, const uint8_t *w, const uint8_t *x)
{
    float y = 0;
    for (int64_t b = 0; b < n / LMW_QK; b++) {
        struct lmw_block_q5_k wb;
        struct lmw_block_q8_k xb;
        memcpy(&wb, w + b * sizeof wb, sizeof wb);
        memcpy(&xb, x + b * sizeof xb, sizeof xb);
        uint8_t sc[8], m[8];
        unpack_scales(wb.scales, sc, m);
        int32_t s_sum = 0, m_sum = 0;
        for (int j = 0; j < 8; j++) {
            int32_t sum = 0;
            for (int i = 0; i < 32; i++) {
                int q = wb.qs[j / 2 * 32 + i] >> (j % 2 * 4) & 15;
                q |= (wb.qh[i] >> j & 1) << 4;
                sum += q * xb.qs[j * 32 + i];
            }
            s_sum += sc[j] * sum;
            m_sum += m[j] * (xb.bsums[2 * j] + xb.bsums[2 * j + 1]);
        }
        y += xb.d * (lmw_f16_to_f32(wb.d) * (float)s_sum - lmw_f16_to_f32(wb.dmin) * (float)m_sum);
    }
    return y;
}

/* Element i of a Q6_K block, 0..63. Each half of 128 has 64 bytes of ql and 32 of qh: its quarter
 * k (32 elements) takes nibble k / 2 of ql bytes k % 2 * 32.., and bits 2k, 2k + 1 of qh. */
static int q6_at(const struct lmw_block_q6_k *w, int i)
{
    int half = i / 128, k = i % 128 / 32, l = i % 32;
    int lo = w->ql[half * 64 + k % 2 * 32 + l] >> (k / 2 * 4) & 15;
    return lo | (w->qh[half * 32 + l] >> (2 * k) & 3) << 4;
}

static float dot_q6_k(int64_t n, const uint8_t *w, const uint8_t *x)
{
    float y = 0;
    for (int64_t b = 0; b < n / LMW_QK; b++) {
        struct lmw_block_q6_k wb;
        struct lmw_block_q8_k xb;
        memcpy(&wb, w + b * sizeof wb, sizeof wb);
        memcpy(&xb, x + b * sizeof xb, sizeof xb);
        int32_t s_sum = 0;
        for (int j = 0; j < 16; j++) {
            int32_t sum = 0;
            for (int i = j * 16; i < j * 16 + 16; i++)
                sum += (q6_at(&wb, i) - 32) * xb.qs[i];
            s_sum += wb.scales[j] * sum;
        }
        y += xb.d * (lmw_f16_to_f32(wb.d) * (float)s_sum);
    }
    return y;
}

MUL(f32)
MUL(f16)
MUL(bf16)
MUL(q8_0)
MUL(q4_k)
MUL(q5_k)
MUL(q6_k)

/* --- activations -------------------------------------------------------------------------- */

/* The largest |x|, as f32 bits: above all finite values when there is an inf or a NaN. */
static uint32_t amax_bits(const float *x, int n)
{
    uint32_t max = 0;
    for (int i = 0; i < n; i++) {
        uint32_t b;
        memcpy(&b, &x[i], 4);
        b &= 0x7fffffff;
        max = b > max ? b : max;
    }
    return max;
}

static float bits_f32(uint32_t b)
{
    float f;
    memcpy(&f, &b, 4);
    return f;
}

static void round_to(int8_t *q, const float *x, float inv, int n)
{
    for (int i = 0; i < n; i++)
        q[i] = (int8_t)lrintf(x[i] * inv);
}

/* The step is the smallest f16 with 127 steps >= max|x|, so nothing is clipped even where f16 is
 * coarse. 127 * d is exact (7 + 11 bits), and |x| <= 127 d keeps |x * (1 / d)| <= 127 (1 + 2^-22),
 * which rounds to 127. */
static void quantize_q8_0(const float *x, void *y, int64_t n)
{
    for (int64_t b = 0; b < n / 32; b++) {
        struct lmw_block_q8_0 q = {.d = LMW_F16_NAN};
        uint32_t amax = amax_bits(x + b * 32, 32);
        if (amax < LMW_F32_INF_BITS) {
            q.d = lmw_f32_to_f16(bits_f32(amax) / 127.0f);
            if (127.0f * lmw_f16_to_f32(q.d) < bits_f32(amax))
                q.d++;
            float d = lmw_f16_to_f32(q.d);
            round_to(q.qs, x + b * 32, d > 0 ? 1.0f / d : 0.0f, 32);
        }
        memcpy((uint8_t *)y + b * sizeof q, &q, sizeof q);
    }
}

/* Blocks so small that 1 / d would overflow become zero. */
static void quantize_q8_k(const float *x, void *y, int64_t n)
{
    for (int64_t b = 0; b < n / LMW_QK; b++) {
        struct lmw_block_q8_k q = {.d = NAN};
        uint32_t amax = amax_bits(x + b * LMW_QK, LMW_QK);
        if (amax < LMW_F32_INF_BITS) {
            q.d = bits_f32(amax) / 127.0f;
            if (q.d < LMW_Q8_K_MIN_D)
                q.d = 0;
            round_to(q.qs, x + b * LMW_QK, q.d > 0 ? 1.0f / q.d : 0.0f, LMW_QK);
        }
        for (int i = 0; i < LMW_QK; i++)
            q.bsums[i / 16] = (int16_t)(q.bsums[i / 16] + q.qs[i]);
        memcpy((uint8_t *)y + b * sizeof q, &q, sizeof q);
    }
}

static void to_f16(uint16_t *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = lmw_f32_to_f16(x[i]);
}

/* --- vectors ------------------------------------------------------------------------------ */

static float exp_f32(float x)
{
    if (isnan(x))
        return x;
    x = x < LMW_EXP_LO ? LMW_EXP_LO : x > LMW_EXP_HI ? LMW_EXP_HI : x;
    int k = (int)lrintf(x * LMW_EXP_LOG2E);
    float r = (x - (float)k * LMW_EXP_LN2_HI) - (float)k * LMW_EXP_LN2_LO;
    float q = LMW_EXP_Q4;
    q = q * r + LMW_EXP_Q3;
    q = q * r + LMW_EXP_Q2;
    q = q * r + LMW_EXP_Q1;
    q = q * r + LMW_EXP_Q0;
    float p = (r + (r * r) * q) + 1.0f;
    int half = k >> 1;
    p *= bits_f32((uint32_t)(half + 127) << 23);
    return p * bits_f32((uint32_t)(k - half + 127) << 23);
}

static void rms_norm(float *y, const float *x, const float *w, int64_t n, float eps)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    float scale = (float)(1.0 / sqrt(sum / (double)n + (double)eps));
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * scale * w[i];
}

static float largest(const float *x, int64_t n)
{
    float max = x[0];
    for (int64_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

static struct lmw_mass mass(const float *x, int64_t n)
{
    float max = largest(x, n);
    struct lmw_mass m = {.max = (double)max};
    for (int64_t i = 0; i < n; i++) {
        float d = x[i] - max, e = exp_f32(d);
        m.sum += (double)e;
        m.moment += (double)(e * (d < LMW_EXP_LO ? LMW_EXP_LO : d)); /* 0 x -inf is no number */
    }
    return m;
}

static void softmax(float *x, int64_t n)
{
    float max = largest(x, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = exp_f32(x[i] - max);
        sum += (double)x[i];
    }
    float inv = (float)(1.0 / sum);
    for (int64_t i = 0; i < n; i++)
        x[i] *= inv;
}

static void swiglu(float *y, const float *gate, const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = gate[i] / (1.0f + exp_f32(-gate[i])) * up[i];
}

static void add(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

void lmw_fill_ref(struct lmw_kernels *k)
{
    k->mul[LMW_F32] = (struct lmw_mul){LMW_ACT_F32, mul_f32};
    k->mul[LMW_F16] = (struct lmw_mul){LMW_ACT_F32, mul_f16};
    k->mul[LMW_BF16] = (struct lmw_mul){LMW_ACT_F32, mul_bf16};
    k->mul[LMW_Q8_0] = (struct lmw_mul){LMW_ACT_Q8_0, mul_q8_0};
    k->mul[LMW_Q4_K] = (struct lmw_mul){LMW_ACT_Q8_K, mul_q4_k};
    k->mul[LMW_Q5_K] = (struct lmw_mul){LMW_ACT_Q8_K, mul_q5_k};
    k->mul[LMW_Q6_K] = (struct lmw_mul){LMW_ACT_Q8_K, mul_q6_k};
    k->quantize_q8_0 = quantize_q8_0;
    k->quantize_q8_k = quantize_q8_k;
    k->rms_norm = rms_norm;
    k->softmax = softmax;
    k->mass = mass;
    k->swiglu = swiglu;
    k->add = add;
    k->to_f16 = to_f16;
}
