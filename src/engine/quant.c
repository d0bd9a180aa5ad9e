/* Tensor formats: what their bits mean (the specification), and how weights are put into them.
 *
 * Reading. The layouts and the order of the float operations are ggml's (ggml-common.h,
 * ggml-quants.c), so a dequantised weight is the same f32 there and here, bit for bit. Sources
 * need no alignment: blocks are copied out before use.
 *
 * Writing. Rounding to the nearest level is easy; choosing the levels is the work. Each
 * sub-block's scale (and minimum) is searched the way k-quants were published (llama.cpp pull
 * request 1684 and later): several spans are tried, each gives an assignment of levels, each
 * assignment a weighted least-squares scale and minimum, and the smallest weighted error wins.
 * Then the scales themselves are rounded to 6 or 8 bits, which spoils some of that; so here,
 * unlike there, the rounded scales are searched once more in their neighbourhood with the true
 * error, and the super-block's scales are refitted to the levels in use. Everything is plain f32
 * in a fixed order: the same bits from every compiler.
 *
 * Errors are weighted by (rms + |x|) of the sub-block: large weights matter more to a model.
 *
 * Refused: nothing. What no format can hold (non-finite values, magnitudes over 1e8) is clamped
 * before the search, NaN to 0; lmw_quantize_file() refuses such tensors before they come here. */
#include "engine/quant.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define X_MAX   1e8f
#define F16_MAX 65504.0f

/* ---- scalars ---- */

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

float lmw_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, frac = h & 1023;
    if (exp == 31) /* infinity, or NaN made quiet as hardware does */
        return float_of(sign | 0x7f800000u | frac << 13 | (frac ? 0x400000u : 0));
    if (exp == 0) /* zero and subnormals: frac * 2^-24, exact in f32 */
        return float_of(sign | bits_of((float)frac * 0x1p-24f));
    return float_of(sign | (exp + 112) << 23 | frac << 13);
}

uint16_t lmw_f32_to_f16(float f)
{
    uint32_t u = bits_of(f), abs = u & 0x7fffffffu;
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    if (abs > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00 | (abs >> 13 & 0x3ff));
    if (abs >= 0x477ff000u) /* 65520, halfway to the power after 65504, and above */
        return sign | 0x7c00;
    if (abs < 0x38800000u) /* below 2^-14: adding 0.5 rounds at 2^-24, the subnormals' unit */
        return (uint16_t)(sign | (bits_of(float_of(abs) + 0.5f) - 0x3f000000u));
    uint32_t odd = abs >> 13 & 1;
    return (uint16_t)(sign | (abs - 0x38000000u + 0xfff + odd) >> 13);
}

float lmw_bf16_to_f32(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t lmw_f32_to_bf16(float f)
{
    uint32_t u = bits_of(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 64);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* ---- the 6-bit scales and minimums of Q4_K and Q5_K ----
 *
 * 12 bytes hold 8 scales and 8 minimums. Bytes 0-3: scales 0-3 in the low six bits; bytes 4-7:
 * minimums 0-3 likewise; the two bits left over on top of each are the high bits of scales 4-7 and
 * minimums 4-7, whose low nibbles share bytes 8-11 (scale low, minimum high). */

static void unpack_scales(const uint8_t p[12], uint8_t sc[8], uint8_t mn[8])
{
    for (int j = 0; j < 4; j++) {
        sc[j] = p[j] & 63;
        mn[j] = p[j + 4] & 63;
        sc[j + 4] = (uint8_t)((p[j + 8] & 15) | p[j] >> 6 << 4);
        mn[j + 4] = (uint8_t)(p[j + 8] >> 4 | p[j + 4] >> 6 << 4);
    }
}

static void pack_scales(const uint8_t sc[8], const uint8_t mn[8], uint8_t p[12])
{
    for (int j = 0; j < 4; j++) {
        p[j] = (uint8_t)(sc[j] | sc[j + 4] >> 4 << 6);
        p[j + 4] = (uint8_t)(mn[j] | mn[j + 4] >> 4 << 6);
        p[j + 8] = (uint8_t)((sc[j + 4] & 15) | (mn[j + 4] & 15) << 4);
    }
}

/* ---- reading: one block to floats ---- */

static void f32_block(const void *src, float *dst)
{
    memcpy(dst, src, 4);
}

static void f16_block(const void *src, float *dst)
{
    uint16_t h;
    memcpy(&h, src, 2);
    *dst = lmw_f16_to_f32(h);
}

static void bf16_block(const void *src, float *dst)
{
    uint16_t h;
    memcpy(&h, src, 2);
    *dst = lmw_bf16_to_f32(h);
}

static void q8_0_block(const void *src, float *dst)
{
    struct lmw_block_q8_0 b;
    memcpy(&b, src, sizeof(b));
    float d = lmw_f16_to_f32(b.d);
    for (int i = 0; i < 32; i++)
        dst[i] = (float)b.qs[i] * d;
}

static void q4_k_block(const void *src, float *dst)
{
    struct lmw_block_q4_k b;
    uint8_t sc[8], mn[8];
    memcpy(&b, src, sizeof(b));
    unpack_scales(b.scales, sc, mn);
    float d = lmw_f16_to_f32(b.d), dmin = lmw_f16_to_f32(b.dmin);
    for (int j = 0; j < 8; j++) {
        float dj = d * (float)sc[j], mj = dmin * (float)mn[j];
        const uint8_t *q = b.qs + j / 2 * 32;
        for (int i = 0; i < 32; i++)
            dst[32 * j + i] = dj * (float)(q[i] >> j % 2 * 4 & 15) - mj;
    }
}

static void q5_k_block(const void *src, float *dst)
{
    struct lmw_block_q5_k b;
    uint8_t sc[8], mn[8];
    memcpy(&b, src, sizeof(b));
    unpack_scales(b.scales, sc, mn);
    float d = lmw_f16_to_f32(b.d), dmin = lmw_f16_to_f32(b.dmin);
    for (int j = 0; j < 8; j++) {
        float dj = d * (float)sc[j], mj = dmin * (float)mn[j];
        const uint8_t *q = b.qs + j / 2 * 32;
        for (int i = 0; i < 32; i++)
            dst[32 * j + i] =
                dj * (float)((q[i] >> j % 2 * 4 & 15) | (b.qh[i] >> j & 1) << 4) - mj;
    }
}

/* Where element i of a Q6_K block keeps its bits. A half of 128 elements owns 64 bytes of ql and
 * 32 of qh; within it, quarter k (32 elements) takes ql bytes 0-31 (k even) or 32-63 (k odd), the
 * low nibbles for k < 2, the high ones else, and bits 2k, 2k+1 of each qh byte. */
struct q6_place {
    int ql, ql_shift, qh, qh_shift;
};
static struct q6_place q6_place(int i)
{
    int half = i / 128, k = i % 128 / 32, l = i % 32;
    return (struct q6_place){64 * half + k % 2 * 32 + l, k / 2 * 4, 32 * half + l, 2 * k};
}

static void q6_k_block(const void *src, float *dst)
{
    struct lmw_block_q6_k b;
    memcpy(&b, src, sizeof(b));
    float d = lmw_f16_to_f32(b.d);
    for (int i = 0; i < LMW_QK; i++) {
        struct q6_place p = q6_place(i);
        int q = (b.ql[p.ql] >> p.ql_shift & 15) | (b.qh[p.qh] >> p.qh_shift & 3) << 4;
        int j = i / 16;
        dst[i] = d * (float)b.scales[j] * (float)(q - 32);
    }
}

/* ---- writing: helpers ---- */

static float clean(float x)
{
    if (!(x == x))
        return 0;
    return x > X_MAX ? X_MAX : x < -X_MAX ? -X_MAX : x;
}

/* The level nearest to v within [lo, hi], ties to even; NaN (0 * inf) gives lo. Adding 1.5 * 2^23
 * leaves no bits for a fraction, and compilers can do it in vectors. */
static inline float nearest(float v, float lo, float hi)
{
    v = v > lo ? v : lo;
    v = v < hi ? v : hi;
    return (v + 0x1.8p23f) - 0x1.8p23f;
}

static inline int level(float v, float lo, float hi)
{
    return (int)nearest(v, lo, hi);
}

/* Sums run in lanes, again for vectors' sake: the order of additions is fixed here, not by whoever
 * compiles this. */
enum { LANES = 4 };
static inline float total(const float s[LANES])
{
    return (s[0] + s[2]) + (s[1] + s[3]);
}

static inline float inverse(float d)
{
    return d != 0 ? 1 / d : 0;
}

/* A scale as it will be read back. Among f16's subnormals, where rounding down could cost a
 * quarter and clip every large weight, it is rounded away from 0; so only 0 becomes 0. */
static float as_f16(float f, uint16_t *bits)
{
    f = f > F16_MAX ? F16_MAX : f < -F16_MAX ? -F16_MAX : f;
    *bits = lmw_f32_to_f16(f);
    if ((*bits & 0x7c00) == 0 && fabsf(lmw_f16_to_f32(*bits)) < fabsf(f))
        ++*bits;
    return lmw_f16_to_f32(*bits);
}

/* w[i] = rms + |x[i]|. All zero only where x is. */
static void error_weights(const float *x, float *w, int n)
{
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    float rms = sqrtf(sum / (float)n);
    for (int i = 0; i < n; i++)
        w[i] = rms + fabsf(x[i]);
}

/* ---- writing: Q8_0 ---- */

static void make_q8_0(const float *x, void *dst)
{
    struct lmw_block_q8_0 b;
    float top = 0;
    for (int i = 0; i < 32; i++)
        top = fmaxf(top, fabsf(x[i]));
    /* Levels are counted in the scale as stored: each weight then gets its nearest one. */
    float inv = inverse(as_f16(top / 127, &b.d));
    for (int i = 0; i < 32; i++)
        b.qs[i] = (int8_t)level(x[i] * inv, -127, 127);
    memcpy(dst, &b, sizeof(b));
}

/* ---- writing: Q4_K and Q5_K, x = d * sc * q - dmin * mn ---- */

struct affine {
    float scale, min; /* x ~ scale * q - min; both >= 0 */
};

/* A sub-block's weights and what of its sums no trial changes. */
struct affine_block {
    const float *x, *w;
    float wx[32];
    float lo, sw, swx, swxx;
};

/* Weighted least squares for the levels that `inv` assigns; returns the error, or infinity. */
static float affine_trial(const struct affine_block *a, float top, float inv, struct affine *out)
{
    float level_sum[LANES] = {0}, square_sum[LANES] = {0}, cross_sum[LANES] = {0};
    for (int i = 0; i < 32; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float l = nearest((a->x[i + k] - a->lo) * inv, 0, top), wl = a->w[i + k] * l;
            level_sum[k] += wl;
            square_sum[k] += wl * l;
            cross_sum[k] += a->wx[i + k] * l;
        }
    float swl = total(level_sum), swll = total(square_sum), swxl = total(cross_sum);
    float sw = a->sw, swx = a->swx;
    float det = sw * swll - swl * swl;
    if (!(det > 0))
        return INFINITY;
    float scale = (sw * swxl - swx * swl) / det, offset = (swll * swx - swl * swxl) / det;
    if (offset > 0) { /* the format cannot add: fit through 0 */
        offset = 0;
        scale = swxl / swll;
    }
    if (!(scale > 0))
        return INFINITY;
    *out = (struct affine){scale, -offset};
    /* At the optimum the error is what the fit does not explain. */
    return a->swxx - scale * swxl - offset * swx;
}

/* Spans to try: the levels 0..top are stretched over (top + from) .. (top + from + step * (n - 1))
 * steps of the range. A span over `top` clips the largest weights to serve the many small ones. */
static struct affine affine_fit(const float *x, const float *w, int top, float from, float step,
                                int n_trial)
{
    struct affine_block a = {.x = x, .w = w};
    float hi = x[0];
    for (int i = 0; i < 32; i++) {
        a.lo = fminf(a.lo, x[i]);
        hi = fmaxf(hi, x[i]);
        a.wx[i] = w[i] * x[i];
        a.sw += w[i];
        a.swx += a.wx[i];
        a.swxx += a.wx[i] * x[i];
    }
    float range = hi - a.lo, best = INFINITY;
    if (!(range > FLT_MIN))
        return (struct affine){0, -a.lo};
    struct affine fit = {range / (float)top, -a.lo};
    for (int k = 0; k < n_trial; k++) {
        struct affine trial = fit;
        float span = (float)top + from + step * (float)k;
        float err = affine_trial(&a, (float)top, span / range, &trial);
        if (err < best) {
            best = err;
            fit = trial;
        }
    }
    return fit;
}

/* A super-block on its way: 8 sub-blocks of 32 weights. */
struct affine_super {
    float x[LMW_QK], w[LMW_QK];
    int top;
    float d, dmin;
    uint16_t d_bits, dmin_bits;
    uint8_t sc[8], mn[8], q[LMW_QK];
    float err[8];
};

/* The true error of sub-block j with these integer scales. */
static float affine_error(const struct affine_super *s, int j, int sc, int mn)
{
    const float *x = s->x + 32 * j, *w = s->w + 32 * j;
    float d = s->d * (float)sc, m = s->dmin * (float)mn, inv = inverse(d);
    float top = (float)s->top, sum[LANES] = {0};
    for (int i = 0; i < 32; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float e = x[i + k] - (d * nearest((x[i + k] + m) * inv, 0, top) - m);
            sum[k] += w[i + k] * e * e;
        }
    return total(sum);
}

/* Moves sub-block j's integer scales to the best of their neighbours. */
static void affine_settle(struct affine_super *s, int j)
{
    int sc0 = s->sc[j], mn0 = s->mn[j];
    s->err[j] = affine_error(s, j, sc0, mn0);
    for (int sc = sc0 - 1; sc <= sc0 + 1; sc++)
        for (int mn = mn0 - 1; mn <= mn0 + 1; mn++) {
            if (sc < 0 || sc > 63 || mn < 0 || mn > 63 || (sc == sc0 && mn == mn0))
                continue;
            float err = affine_error(s, j, sc, mn);
            if (err < s->err[j]) {
                s->err[j] = err;
                s->sc[j] = (uint8_t)sc;
                s->mn[j] = (uint8_t)mn;
            }
        }
}

static void affine_levels(struct affine_super *s)
{
    for (int j = 0; j < 8; j++) {
        float m = s->dmin * (float)s->mn[j], inv = inverse(s->d * (float)s->sc[j]);
        for (int i = 32 * j; i < 32 * j + 32; i++)
            s->q[i] = (uint8_t)level((s->x[i] + m) * inv, 0, (float)s->top);
    }
}

/* With levels and integer scales held, the best d and dmin are a 2x2 least-squares problem in a =
 * sc * q and b = -mn. Kept only if the error after rounding to f16 and a new assignment of levels
 * is smaller. */
static void affine_refit(struct affine_super *s)
{
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    affine_levels(s);
    for (int i = 0; i < LMW_QK; i++) {
        int sc_q = s->sc[i / 32] * s->q[i], mn = s->mn[i / 32];
        double w = s->w[i], a = sc_q, b = -mn, x = s->x[i];
        aa += w * a * a;
        ab += w * a * b;
        bb += w * b * b;
        ax += w * a * x;
        bx += w * b * x;
    }
    double det = aa * bb - ab * ab;
    double d = det > 0 ? (ax * bb - bx * ab) / det : aa > 0 ? ax / aa : 0;
    double dmin = det > 0 ? (bx * aa - ax * ab) / det : (double)s->dmin;
    if (!(d > 0) || !(dmin >= 0))
        return;
    struct affine_super old = *s;
    float before = 0, after = 0;
    s->d = as_f16((float)d, &s->d_bits);
    s->dmin = as_f16((float)dmin, &s->dmin_bits);
    for (int j = 0; j < 8; j++) {
        before += s->err[j];
        affine_settle(s, j);
        after += s->err[j];
    }
    if (!(after < before))
        *s = old;
}

/* Fills s from 256 weights: scales, minimums and levels. */
static void affine_search(struct affine_super *s, const float *x, int top, float from, float step,
                          int n_trial)
{
    struct affine fit[8];
    float max_scale = 0, max_min = 0;
    s->top = top;
    memcpy(s->x, x, sizeof(s->x));
    for (int j = 0; j < 8; j++) {
        error_weights(s->x + 32 * j, s->w + 32 * j, 32);
        fit[j] = affine_fit(s->x + 32 * j, s->w + 32 * j, top, from, step, n_trial);
        max_scale = fmaxf(max_scale, fit[j].scale);
        max_min = fmaxf(max_min, fit[j].min);
    }
    s->d = as_f16(max_scale / 63, &s->d_bits);
    s->dmin = as_f16(max_min / 63, &s->dmin_bits);
    for (int j = 0; j < 8; j++) {
        s->sc[j] = (uint8_t)level(fit[j].scale * inverse(s->d), 0, 63);
        s->mn[j] = (uint8_t)level(fit[j].min * inverse(s->dmin), 0, 63);
        affine_settle(s, j);
    }
    affine_refit(s);
    affine_levels(s);
}

static void make_q4_k(const float *x, void *dst)
{
    struct affine_super s;
    struct lmw_block_q4_k b;
    affine_search(&s, x, 15, -1, 0.1f, 21);
    b.d = s.d_bits;
    b.dmin = s.dmin_bits;
    pack_scales(s.sc, s.mn, b.scales);
    for (int i = 0; i < 128; i++) {
        const uint8_t *q = s.q + i / 32 * 64 + i % 32;
        b.qs[i] = (uint8_t)(q[0] | q[32] << 4);
    }
    memcpy(dst, &b, sizeof(b));
}

static void make_q5_k(const float *x, void *dst)
{
    struct affine_super s;
    struct lmw_block_q5_k b;
    affine_search(&s, x, 31, -0.5f, 0.1f, 16);
    b.d = s.d_bits;
    b.dmin = s.dmin_bits;
    pack_scales(s.sc, s.mn, b.scales);
    memset(b.qh, 0, sizeof(b.qh));
    for (int i = 0; i < 128; i++) {
        const uint8_t *q = s.q + i / 32 * 64 + i % 32;
        b.qs[i] = (uint8_t)((q[0] & 15) | (q[32] & 15) << 4);
    }
    for (int i = 0; i < LMW_QK; i++)
        b.qh[i % 32] |= (uint8_t)(s.q[i] >> 4 << i / 32);
    memcpy(dst, &b, sizeof(b));
}

/* ---- writing: Q6_K, x = d * sc * q, q in [-32, 31] ---- */

static inline float total16(const float s[16])
{
    float four[LANES];
    for (int k = 0; k < LANES; k++)
        four[k] = (s[k] + s[k + 4]) + (s[k + 8] + s[k + 12]);
    return total(four);
}

/* The scale (of either sign: -32 reaches further than 31) with the least weighted error. */
static float symmetric_fit(const float *x, const float *w)
{
    float far = 0, best = 0, scale = 0;
    for (int i = 0; i < 16; i++)
        if (fabsf(x[i]) > fabsf(far))
            far = x[i];
    if (!(fabsf(far) > FLT_MIN))
        return 0;
    for (int k = -9; k <= 9; k++) {
        float inv = -(32 + 0.1f * (float)k) / far;
        float xl[16], ll[16];
        for (int i = 0; i < 16; i++) {
            float l = nearest(x[i] * inv, -32, 31), wl = w[i] * l;
            xl[i] = wl * x[i];
            ll[i] = wl * l;
        }
        float swxl = total16(xl), swll = total16(ll);
        /* The fit s = swxl / swll leaves the error swxx - swxl^2 / swll. */
        if (swll > 0 && swxl * swxl > best * swll) {
            best = swxl * swxl / swll;
            scale = swxl / swll;
        }
    }
    return scale;
}

struct symmetric_super {
    float x[LMW_QK], w[LMW_QK];
    float d;
    uint16_t d_bits;
    int8_t sc[16], q[LMW_QK];
    float err[16];
};

static float symmetric_error(const struct symmetric_super *s, int j, int sc)
{
    const float *x = s->x + 16 * j, *w = s->w + 16 * j;
    float d = s->d * (float)sc, inv = inverse(d), square[16];
    for (int i = 0; i < 16; i++) {
        float e = x[i] - d * nearest(x[i] * inv, -32, 31);
        square[i] = w[i] * e * e;
    }
    return total16(square);
}

static void symmetric_settle(struct symmetric_super *s, int j)
{
    const int sc0 = (int)s->sc[j];
    s->err[j] = symmetric_error(s, j, sc0);
    for (int sc = sc0 - 1; sc <= sc0 + 1; sc += 2) {
        if (sc < -128 || sc > 127)
            continue;
        float err = symmetric_error(s, j, sc);
        if (err < s->err[j]) {
            s->err[j] = err;
            s->sc[j] = (int8_t)sc;
        }
    }
}

static void symmetric_levels(struct symmetric_super *s)
{
    for (int j = 0; j < 16; j++) {
        float inv = inverse(s->d * (float)s->sc[j]);
        for (int i = 16 * j; i < 16 * j + 16; i++)
            s->q[i] = (int8_t)level(s->x[i] * inv, -32, 31);
    }
}

/* As affine_refit, with one unknown. */
static void symmetric_refit(struct symmetric_super *s)
{
    double aa = 0, ax = 0;
    symmetric_levels(s);
    for (int i = 0; i < LMW_QK; i++) {
        int sc_q = s->sc[i / 16] * s->q[i];
        double a = sc_q;
        aa += (double)s->w[i] * a * a;
        ax += (double)s->w[i] * a * (double)s->x[i];
    }
    if (!(aa > 0))
        return;
    struct symmetric_super old = *s;
    float before = 0, after = 0;
    s->d = as_f16((float)(ax / aa), &s->d_bits);
    for (int j = 0; j < 16; j++) {
        before += s->err[j];
        symmetric_settle(s, j);
        after += s->err[j];
    }
    if (!(after < before))
        *s = old;
}

static void symmetric_search(struct symmetric_super *s, const float *x)
{
    float fit[16], far = 0;
    memcpy(s->x, x, sizeof(s->x));
    for (int j = 0; j < 16; j++) {
        error_weights(s->x + 16 * j, s->w + 16 * j, 16);
        fit[j] = symmetric_fit(s->x + 16 * j, s->w + 16 * j);
        if (fabsf(fit[j]) > fabsf(far))
            far = fit[j];
    }
    s->d = as_f16(far / -128, &s->d_bits); /* so that the largest scale is -128 */
    for (int j = 0; j < 16; j++) {
        s->sc[j] = (int8_t)level(fit[j] * inverse(s->d), -128, 127);
        symmetric_settle(s, j);
    }
    symmetric_refit(s);
    symmetric_levels(s);
}

static void make_q6_k(const float *x, void *dst)
{
    struct symmetric_super s;
    struct lmw_block_q6_k b;
    symmetric_search(&s, x);
    memset(&b, 0, sizeof(b));
    b.d = s.d_bits;
    memcpy(b.scales, s.sc, sizeof(b.scales));
    for (int i = 0; i < LMW_QK; i++) {
        struct q6_place p = q6_place(i);
        int q = s.q[i] + 32;
        b.ql[p.ql] |= (uint8_t)((q & 15) << p.ql_shift);
        b.qh[p.qh] |= (uint8_t)(q >> 4 << p.qh_shift);
    }
    memcpy(dst, &b, sizeof(b));
}

/* ---- the doors ---- */

typedef void read_fn(const void *src, float *dst);
typedef void make_fn(const float *x, void *dst);

static read_fn *reader_of(enum lmw_type t)
{
    switch (t) {
    case LMW_F32: return f32_block;
    case LMW_F16: return f16_block;
    case LMW_BF16: return bf16_block;
    case LMW_Q8_0: return q8_0_block;
    case LMW_Q4_K: return q4_k_block;
    case LMW_Q5_K: return q5_k_block;
    case LMW_Q6_K: return q6_k_block;
    }
    return NULL;
}

static make_fn *maker_of(enum lmw_type t)
{
    switch (t) {
    case LMW_Q8_0: return make_q8_0;
    case LMW_Q4_K: return make_q4_k;
    case LMW_Q5_K: return make_q5_k;
    case LMW_Q6_K: return make_q6_k;
    default: return NULL;
    }
}

void lmw_to_f32(enum lmw_type t, const void *src, float *dst, int64_t n)
{
    read_fn *read = reader_of(t);
    int block = lmw_type_block(t);
    size_t size = lmw_type_row_size(t, block);
    const uint8_t *p = src;
    for (int64_t i = 0; read && i < n; i += block, p += size)
        read(p, dst + i);
}

/* Formats of one element: no block to search. */
static void store_halves(const float *src, void *dst, int64_t n, uint16_t (*convert)(float))
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h = convert(src[i]);
        memcpy((uint8_t *)dst + 2 * i, &h, 2);
    }
}

void lmw_from_f32(enum lmw_type t, const float *src, void *dst, int64_t n)
{
    if (t == LMW_F32)
        memcpy(dst, src, (size_t)n * 4);
    else if (t == LMW_F16)
        store_halves(src, dst, n, lmw_f32_to_f16);
    else if (t == LMW_BF16)
        store_halves(src, dst, n, lmw_f32_to_bf16);
    make_fn *make = maker_of(t);
    int block = lmw_type_block(t);
    size_t size = lmw_type_row_size(t, block);
    uint8_t *p = dst;
    float x[LMW_QK] = {0};
    for (int64_t i = 0; make && i < n; i += block, p += size) {
        for (int k = 0; k < block; k++)
            x[k] = clean(src[i + k]);
        make(x, p);
    }
}
