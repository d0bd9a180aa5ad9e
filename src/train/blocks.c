/* Owns the arithmetic of training: every block's forward and backward pass.
 *
 * Matrix products go to OpenBLAS, which does well over 90 % of the operations. What is left
 * runs over contiguous memory, four lanes at a time: 16 bytes are what every x86-64 and every
 * ARMv8 has, so no dispatch is needed, and explicit lanes make the sums the same whatever the
 * compiler does.
 *
 * Invariants: inner sizes (dim, n_ff, head_dim) are multiples of 4, which lmw_trainer_open()
 * checks; n is anything. Sources: RMSNorm, Zhang and Sennrich 2019; RoPE, Su et al. 2021, in
 * llama's interleaved form; SwiGLU, Shazeer 2020; the constants of exp, Cephes' expf (relative
 * error 2e-7). */
#include "train/blocks.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

typedef float v4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t v4i __attribute__((vector_size(16)));

#define V4(p)    (*(const v4 *)(p))
#define V4_AT(p) (*(v4 *)(p))

static inline float sum4(v4 a)
{
    return (a[0] + a[2]) + (a[1] + a[3]);
}

/* e^x for x <= 88; below -87 the result is e^-87, which no sum notices. */
static inline v4 exp4(v4 x)
{
    const v4 low = {-87, -87, -87, -87};
    v4i under = x < low;
    x = (v4)((under & (v4i)low) | (~under & (v4i)x));
    v4 n = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: the sum's low bits are round(x / ln 2) */
    v4i k = (v4i)n << 23;
    n = n - 12582912.0f;
    v4 r = x - n * 0.693359375f + n * 2.12194440e-4f;
    v4 p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return (v4)((v4i)p + k);
}

/* ---- dense ---- */

void lmw_train_dense(int n, int n_in, int n_out, const float *x, const float *w, float *y, int add)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n_out, n_in, 1, x, n_in, w, n_in,
                add ? 1 : 0, y, n_out);
}

void lmw_train_dense_dx(int n, int n_in, int n_out, const float *dy, const float *w, float *dx)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n_in, n_out, 1, dy, n_out, w, n_in,
                0, dx, n_in);
}

void lmw_train_dense_dw(int n, int n_in, int n_out, const float *dy, const float *x, float *dw)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n_out, n_in, n, 1, dy, n_out, x, n_in, 1,
                dw, n_in);
}

/* ---- RMSNorm ---- */

void lmw_train_rmsnorm(int n, int dim, const float *x, const float *g, float *y, float *r)
{
    for (int t = 0; t < n; t++, x += dim, y += dim) {
        v4 acc = {0};
        for (int i = 0; i < dim; i += 4)
            acc += V4(x + i) * V4(x + i);
        r[t] = 1.0f / sqrtf(sum4(acc) / (float)dim + LMW_NORM_EPS);
        for (int i = 0; i < dim; i += 4)
            V4_AT(y + i) = V4(x + i) * r[t] * V4(g + i);
    }
}

/* With u = x r: dx = r (g dy - u mean(g dy u)), dg = dy u. */
void lmw_train_rmsnorm_back(int n, int dim, const float *x, const float *g, const float *r,
                            const float *dy, float *dx, float *dg)
{
    for (int t = 0; t < n; t++, x += dim, dy += dim, dx += dim) {
        v4 acc = {0};
        for (int i = 0; i < dim; i += 4)
            acc += V4(g + i) * V4(dy + i) * V4(x + i);
        float c = sum4(acc) * r[t] * r[t] / (float)dim;
        for (int i = 0; i < dim; i += 4) {
            v4 dyi = V4(dy + i), xi = V4(x + i);
            V4_AT(dg + i) += dyi * xi * r[t];
            V4_AT(dx + i) += (V4(g + i) * dyi - xi * c) * r[t];
        }
    }
}

/* ---- RoPE ---- */

void lmw_train_rope_table(int n_pos, int head_dim, float *table)
{
    for (int p = 0; p < n_pos; p++)
        for (int i = 0; i < head_dim; i += 2) {
            double angle = p * pow(LMW_ROPE_BASE, -(double)i / head_dim);
            *table++ = (float)cos(angle);
            *table++ = (float)sin(angle);
        }
}

void lmw_train_rope(int n, int n_head, int head_dim, int stride, const float *table, float sign,
                    float *x)
{
    for (int t = 0; t < n; t++, x += stride, table += head_dim)
        for (int h = 0; h < n_head; h++) {
            float *xh = x + h * head_dim;
            for (int i = 0; i < head_dim; i += 2) {
                float c = table[i], s = sign * table[i + 1], a = xh[i], b = xh[i + 1];
                xh[i] = a * c - b * s;
                xh[i + 1] = a * s + b * c;
            }
        }
}

/* ---- attention ---- */

/* Softmax of the first n_live of n scores, times scale first; the rest become 0. */
static void softmax_causal(float *p, int n_live, int n, float scale)
{
    float max = p[0];
    for (int i = 1; i < n_live; i++)
        max = p[i] > max ? p[i] : max;
    float sum = 0;
    int i = 0;
    v4 acc = {0};
    for (; i + 4 <= n_live; i += 4) {
        v4 e = exp4((V4(p + i) - max) * scale);
        V4_AT(p + i) = e;
        acc += e;
    }
    sum = sum4(acc);
    for (; i < n_live; i++)
        sum += p[i] = expf((p[i] - max) * scale);
    float inv = 1.0f / sum;
    for (i = 0; i < n_live; i++)
        p[i] *= inv;
    memset(p + n_live, 0, (size_t)(n - n_live) * sizeof *p);
}

void lmw_train_attention(int n, struct lmw_heads h, const float *qkv, float *p, float *out)
{
    int ld = lmw_qkv_dim(h), d = h.head_dim, n_q = h.n_head * d, n_kv = h.n_head_kv * d;
    float scale = 1.0f / sqrtf((float)d);
    for (int i = 0; i < h.n_head; i++, p += (size_t)n * n) {
        const float *q = qkv + i * d;
        const float *k = qkv + n_q + i / (h.n_head / h.n_head_kv) * d, *v = k + n_kv;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, d, 1, q, ld, k, ld, 0, p, n);
        for (int t = 0; t < n; t++)
            softmax_causal(p + (size_t)t * n, t + 1, n, scale);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, d, n, 1, p, n, v, ld, 0,
                    out + i * d, n_q);
    }
}

/* Through the softmax: dscore = p (dp - sum(p dp)) * scale, in place. p is 0 where the mask is. */
static void softmax_back(int n, const float *p, float *dp, float scale)
{
    for (int t = 0; t < n; t++, p += n, dp += n) {
        float dot = 0;
        for (int i = 0; i <= t; i++)
            dot += p[i] * dp[i];
        for (int i = 0; i < n; i++)
            dp[i] = p[i] * (dp[i] - dot) * scale;
    }
}

void lmw_train_attention_back(int n, struct lmw_heads h, const float *qkv, const float *p,
                              const float *dout, float *dp, float *dqkv)
{
    int ld = lmw_qkv_dim(h), d = h.head_dim, n_q = h.n_head * d, n_kv = h.n_head_kv * d;
    int group = h.n_head / h.n_head_kv;
    float scale = 1.0f / sqrtf((float)d);
    for (int i = 0; i < h.n_head; i++, p += (size_t)n * n) {
        int at_k = n_q + i / group * d, at_v = at_k + n_kv;
        const float *doi = dout + i * d;
        float add = i % group ? 1 : 0; /* the first query head of a group writes dk and dv */
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, d, n, 1, p, n, doi, n_q, add,
                    dqkv + at_v, ld);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, d, 1, doi, n_q, qkv + at_v, ld,
                    0, dp, n);
        softmax_back(n, p, dp, scale);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, d, n, 1, dp, n, qkv + at_k, ld,
                    0, dqkv + i * d, ld);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, d, n, 1, dp, n, qkv + i * d, ld,
                    add, dqkv + at_k, ld);
    }
}

/* ---- SwiGLU ---- */

static inline v4 sigmoid4(v4 x)
{
    /* Past 80 the sigmoid is 1 to the last bit, and exp4 stays in its range. */
    const v4 top = {80, 80, 80, 80};
    v4i over = -x > top;
    v4 e = exp4((v4)((over & (v4i)top) | (~over & (v4i)(-x))));
    return 1.0f / (1.0f + e);
}

void lmw_train_swiglu(int n, int n_ff, const float *gu, float *act)
{
    for (int t = 0; t < n; t++, gu += 2 * n_ff, act += n_ff)
        for (int i = 0; i < n_ff; i += 4) {
            v4 g = V4(gu + i);
            V4_AT(act + i) = g * sigmoid4(g) * V4(gu + n_ff + i);
        }
}

/* silu'(g) = s (1 + g (1 - s)), s = sigmoid(g). */
void lmw_train_swiglu_back(int n, int n_ff, float *gu, const float *dact)
{
    for (int t = 0; t < n; t++, gu += 2 * n_ff, dact += n_ff)
        for (int i = 0; i < n_ff; i += 4) {
            v4 g = V4(gu + i), u = V4(gu + n_ff + i), da = V4(dact + i);
            v4 s = sigmoid4(g);
            V4_AT(gu + i) = da * u * s * (1.0f + g * (1.0f - s));
            V4_AT(gu + n_ff + i) = da * g * s;
        }
}

/* ---- head ---- */

double lmw_train_cross_entropy(int n, float *logits, int32_t target, float scale)
{
    float max = logits[0], at_target = logits[target];
    for (int i = 1; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    v4 acc = {0};
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        v4 e = exp4(V4(logits + i) - max);
        V4_AT(logits + i) = e;
        acc += e;
    }
    float sum = sum4(acc);
    for (; i < n; i++)
        sum += logits[i] = expf(logits[i] - max);
    float k = scale / sum;
    for (i = 0; i < n; i++)
        logits[i] *= k;
    logits[target] -= scale;
    return log((double)sum) + (double)max - (double)at_target;
}
