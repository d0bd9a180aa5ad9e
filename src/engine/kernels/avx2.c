/* The AVX2 level (with FMA and F16C: Haswell, Zen and later).
 *
 * Quantised weights, few activation rows (decode): 4 or 8 weight rows at a time, lanes along k,
 * weights unpacked in registers, one reduction that leaves a lane per weight row. The next rows
 * are fetched meanwhile; bound by memory once the weights leave the caches.
 *
 * Quantised weights, many activation rows (prefill): tiles of 4 weight rows by 8 activation rows,
 * LANE = ACTIVATION ROW, so that nothing is summed across lanes and a float vector is 8 outputs.
 * Activations are transposed into panels (4 bytes of each of 8 rows side by side) once per 256
 * weight rows; weights are unpacked once per 32 activation rows and broadcast 4 bytes at a time.
 * Registers: 4 sums in i16, 4 in i32, 4 outputs, an activation vector, a broadcast, a temporary.
 * An output's partial sum between two chunks of k is one float, kept in y: splitting k does not
 * change the order of its additions. Integer sums are exact, so the bits are those of ref:
 *
 *     maddubs(w u8, x i8) adds two products in i16: up to 2 * 15 * 127 = 3,810 with 4 bits, 7,874
 *     with 5, 16,002 with 6. Below 32,767 there is room for 8, 4 and 2 of these: 30,480; 31,496;
 *     32,004. Then madd with the sub-block's scale widens to i32.
 *     8 bits: a pair of |w| |x| is up to 2 * 128 * 127 = 32,512, so maddubs(|w|, x * sign(w)) is
 *     exact even for w = -128 (|w| is read unsigned, x is never -128); swapped it would not be.
 *     The tiles widen to i16 and use madd: as many instructions, better spread over the ports.
 *
 * F32, F16, BF16: lanes along k. An output's additions are, in order: for each chunk of 512, fused
 * multiply-adds in 8 lanes, then ((0+1)+(2+3))+((4+5)+(6+7)); then the chunks, one by one. Longest
 * chain: 64 + 3 + n / 512. Tiles of 4 weight rows by 3 activation rows: 12 sums, 3 activations and
 * a weight are the 16 registers. */
#include "engine/kernels/kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/cpu.h"
#include "engine/kernels/common.h"
#include "engine/quant.h"

#define AVX2   LMW_TARGET("avx2,fma,f16c")
#define INLINE static inline __attribute__((always_inline)) AVX2

/* Keeps a sum where it is written: gcc would gather a tile's products first, and spill them. */
#define PIN(v) __asm__("" : "+x"(v))

INLINE __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE __m128i load128(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

INLINE void store(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

INLINE uint32_t u32_at(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

INLINE __m256i broadcast4(const void *p)
{
    return _mm256_set1_epi32((int32_t)u32_at(p));
}

INLINE float f16_at(const void *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return _cvtsh_ss(h);
}

INLINE float f32_at(const void *p)
{
    float f;
    memcpy(&f, p, 4);
    return f;
}

INLINE int16_t i16_at(const void *p)
{
    int16_t v;
    memcpy(&v, p, 2);
    return v;
}

/* Asks for what rows that are `ahead` bytes further on have here, into L2: nothing where that is
 * 0. The hardware's own prefetchers stop at each page, and weights from memory are walked through
 * once: without this, waiting for a block and unpacking it take turns. Past the last row nothing
 * faults. */
INLINE void fetch(const uint8_t *const w[], int lanes, size_t o, size_t size, size_t ahead)
{
    for (int r = 0; r < lanes && ahead > 0; r++)
        for (size_t i = 0; i < size; i += 64)
            _mm_prefetch((const void *)((uintptr_t)w[r] + o + ahead + i), _MM_HINT_T1);
}

/* How far ahead the next group of rows of n elements is; 0 where rows are so short that the model
 * may well stay in cache. */
INLINE size_t next_group(int lanes, int64_t n, size_t w_stride)
{
    return n > 768 ? (size_t)lanes * w_stride : 0;
}

/* The sums of 8 vectors, in their order. */
INLINE __m256i sum_each8(const __m256i v[8])
{
    __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}

/* --- K-quants: what a super-block's bytes mean -------------------------------------------- */

/* Elements 32 k .. 32 k + 31, unsigned. k is a constant wherever this is inlined. */
INLINE __m256i q4_k_at(const uint8_t *block, int k)
{
    __m256i v = load(block + offsetof(struct lmw_block_q4_k, qs) + k / 2 * 32);
    return _mm256_and_si256(k % 2 ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(15));
}

INLINE __m256i q5_k_at(const uint8_t *block, int k)
{
    __m256i v = load(block + offsetof(struct lmw_block_q5_k, qs) + k / 2 * 32);
    __m256i h = load(block + offsetof(struct lmw_block_q5_k, qh));
    v = _mm256_and_si256(k % 2 ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(15));
    h = k < 4 ? _mm256_slli_epi16(h, 4 - k) : _mm256_srli_epi16(h, k - 4);
    return _mm256_or_si256(v, _mm256_and_si256(h, _mm256_set1_epi8(16)));
}

INLINE __m256i q6_k_at(const uint8_t *block, int k)
{
    int half = k / 4, c = k % 4;
    __m256i v = load(block + offsetof(struct lmw_block_q6_k, ql) + half * 64 + c % 2 * 32);
    __m256i h = load(block + offsetof(struct lmw_block_q6_k, qh) + half * 32);
    v = _mm256_and_si256(c / 2 ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(15));
    h = c < 2 ? _mm256_slli_epi16(h, 4 - 2 * c) : _mm256_srli_epi16(h, 2 * c - 4);
    return _mm256_or_si256(v, _mm256_and_si256(h, _mm256_set1_epi8(0x30)));
}

/* The eight scales (low half) and eight minima (high half) of Q4_K and Q5_K, as bytes; see
 * unpack_scales() in ref.c. Reads 16 bytes of the block, from its scales on. */
INLINE __m128i scales_at(const uint8_t *block)
{
    const __m128i shift = _mm_setr_epi32(0, 0, 0, 4);
    const __m128i low = _mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f);
    const __m128i high = _mm_setr_epi32(0, 0x30303030, 0, 0x30303030);
    __m128i s = load128(block + offsetof(struct lmw_block_q4_k, scales));
    __m128i a = _mm_srlv_epi32(_mm_shuffle_epi32(s, 0x98), shift); /* words 0 2 1 2 */
    __m128i b = _mm_srli_epi32(_mm_shuffle_epi32(s, 0x50), 2);     /* words 0 0 1 1 */
    return _mm_or_si128(_mm_and_si128(a, low), _mm_and_si128(b, high));
}

#define EACH8(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

/* --- quantised weights, few activation rows: lane = weight row ------------------------------- */

typedef __m256i at_fn(const uint8_t *block, int k);
typedef __m256i scale_fn(const int16_t scale[16], int k);

/* Scales of 32 elements, each held twice in a row. */
INLINE __m256i scale_32(const int16_t scale[16], int k)
{
    return broadcast4(scale + 2 * k);
}

/* Scales of 16 elements: of even sub-blocks in the low half, of odd ones in the high half. */
INLINE __m256i scale_16(const int16_t scale[16], int k)
{
    return _mm256_shuffle_epi8(load(scale), _mm256_set1_epi16((int16_t)(0x0100 + 0x0202 * k)));
}

/* sum_k scale[k] * sum(q_k x_k) over a super-block, in 8 lanes. */
INLINE __m256i sum_scaled(at_fn *at, scale_fn *scale_at, const uint8_t *block, const uint8_t *x,
                          __m256i scales)
{
    _Alignas(32) int16_t scale[16];
    _mm256_store_si256((__m256i *)scale, scales);
    const uint8_t *q = x + offsetof(struct lmw_block_q8_k, qs);
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
#define STEP(k)                                                                 \
    {                                                                           \
        __m256i pairs = _mm256_maddubs_epi16(at(block, k), load(q + 32 * (k))); \
        pairs = _mm256_madd_epi16(pairs, scale_at(scale, k));                   \
        if ((k) % 2)                                                            \
            s1 = _mm256_add_epi32(s1, pairs);                                   \
        else                                                                    \
            s0 = _mm256_add_epi32(s0, pairs);                                   \
    }
    EACH8(STEP)
#undef STEP
    return _mm256_add_epi32(s0, s1);
}

INLINE __m128i sum_each4(__m256i a, __m256i b, __m256i c, __m256i d)
{
    __m256i s = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
}

/* S and M of Q4_K and Q5_K in ref.c. */
INLINE void sums_min_k(at_fn *at, const uint8_t *block, const uint8_t *x, __m256i *s, __m256i *m)
{
    __m128i sc_m = scales_at(block);
    *s = sum_scaled(at, scale_32, block, x, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(sc_m, sc_m)));
    *m = _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_unpackhi_epi8(sc_m, sc_m)),
                           load(x + offsetof(struct lmw_block_q8_k, bsums)));
}

INLINE void dot_min_k(at_fn *at, size_t block_size, int64_t n, const uint8_t *const w[4],
                      size_t ahead, const uint8_t *x, float *out)
{
    __m128 y = _mm_setzero_ps();
    size_t o = 0;
    for (int64_t b = 0; b < n / LMW_QK; b++, o += block_size, x += sizeof(struct lmw_block_q8_k)) {
        __m256i s0, s1, s2, s3, m0, m1, m2, m3;
        fetch(w, 4, o, block_size, ahead);
        sums_min_k(at, w[0] + o, x, &s0, &m0);
        sums_min_k(at, w[1] + o, x, &s1, &m1);
        sums_min_k(at, w[2] + o, x, &s2, &m2);
        sums_min_k(at, w[3] + o, x, &s3, &m3);
        __m128 s = _mm_cvtepi32_ps(sum_each4(s0, s1, s2, s3));
        __m128 m = _mm_cvtepi32_ps(sum_each4(m0, m1, m2, m3));
        __m256 head =
            _mm256_cvtph_ps(_mm_setr_epi32((int32_t)u32_at(w[0] + o), (int32_t)u32_at(w[1] + o),
                                           (int32_t)u32_at(w[2] + o), (int32_t)u32_at(w[3] + o)));
        __m128 lo = _mm256_castps256_ps128(head), hi = _mm256_extractf128_ps(head, 1);
        __m128 d = _mm_shuffle_ps(lo, hi, 0x88), dmin = _mm_shuffle_ps(lo, hi, 0xdd);
        s = _mm_sub_ps(_mm_mul_ps(d, s), _mm_mul_ps(dmin, m));
        y = _mm_add_ps(y, _mm_mul_ps(_mm_set1_ps(f32_at(x)), s));
    }
    _mm_storeu_ps(out, y);
}

AVX2 static void dot_q4_k(int64_t n, const uint8_t *const w[4], size_t ahead, const uint8_t *x,
                          float *out)
{
    dot_min_k(q4_k_at, sizeof(struct lmw_block_q4_k), n, w, ahead, x, out);
}

AVX2 static void dot_q5_k(int64_t n, const uint8_t *const w[4], size_t ahead, const uint8_t *x,
                          float *out)
{
    dot_min_k(q5_k_at, sizeof(struct lmw_block_q5_k), n, w, ahead, x, out);
}

/* sum sc (q - 32) x = sum sc q x - 32 sum_j sc[j] sum_j(x) */
INLINE __m256i sum_q6_k(const uint8_t *block, const uint8_t *x)
{
    const __m128i even_odd = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    __m128i sc = load128(block + offsetof(struct lmw_block_q6_k, scales));
    __m256i s = sum_scaled(q6_k_at, scale_16, block, x,
                           _mm256_cvtepi8_epi16(_mm_shuffle_epi8(sc, even_odd)));
    __m256i bias = _mm256_madd_epi16(_mm256_cvtepi8_epi16(sc),
                                     load(x + offsetof(struct lmw_block_q8_k, bsums)));
    return _mm256_sub_epi32(s, _mm256_slli_epi32(bias, 5));
}

AVX2 static void dot_q6_k(int64_t n, const uint8_t *const w[4], size_t ahead, const uint8_t *x,
                          float *out)
{
    __m128 y = _mm_setzero_ps();
    size_t o = 0;
    for (int64_t b = 0; b < n / LMW_QK; b++) {
        fetch(w, 4, o, sizeof(struct lmw_block_q6_k), ahead);
        __m128 s = _mm_cvtepi32_ps(sum_each4(sum_q6_k(w[0] + o, x), sum_q6_k(w[1] + o, x),
                                             sum_q6_k(w[2] + o, x), sum_q6_k(w[3] + o, x)));
        const size_t d_at = o + offsetof(struct lmw_block_q6_k, d);
        __m128 d =
            _mm_cvtph_ps(_mm_setr_epi16(i16_at(w[0] + d_at), i16_at(w[1] + d_at),
                                        i16_at(w[2] + d_at), i16_at(w[3] + d_at), 0, 0, 0, 0));
        y = _mm_add_ps(y, _mm_mul_ps(_mm_set1_ps(f32_at(x)), _mm_mul_ps(d, s)));
        o += sizeof(struct lmw_block_q6_k);
        x += sizeof(struct lmw_block_q8_k);
    }
    _mm_storeu_ps(out, y);
}

AVX2 static void dot_q8_0(int64_t n, const uint8_t *const w[8], size_t ahead, const uint8_t *x,
                          float *out)
{
    __m256 y = _mm256_setzero_ps();
    size_t o = 0;
    for (int64_t b = 0; b < n / 32; b++, o += sizeof(struct lmw_block_q8_0)) {
        __m256i xq = load(x + o + 2), sum[8];
        if (b % 2 == 0) /* 68 bytes */
            fetch(w, 8, o, 64, ahead);
#define STEP(r)                                                                \
    {                                                                          \
        __m256i q = load(w[r] + o + 2);                                        \
        q = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(xq, q)); \
        sum[r] = _mm256_madd_epi16(q, _mm256_set1_epi16(1));                   \
    }
        EACH8(STEP)
#undef STEP
        __m256 d = _mm256_cvtph_ps(_mm_setr_epi16(
            i16_at(w[0] + o), i16_at(w[1] + o), i16_at(w[2] + o), i16_at(w[3] + o),
            i16_at(w[4] + o), i16_at(w[5] + o), i16_at(w[6] + o), i16_at(w[7] + o)));
        d = _mm256_mul_ps(d, _mm256_set1_ps(f16_at(x + o)));
        y = _mm256_add_ps(y, _mm256_mul_ps(_mm256_cvtepi32_ps(sum_each8(sum)), d));
    }
    _mm256_storeu_ps(out, y);
}

/* The products of `lanes` weight rows with one activation row; `ahead` as in fetch(). */
typedef void dot_fn(int64_t n, const uint8_t *const w[], size_t ahead, const uint8_t *x,
                    float *out);

/* Rows past the end are the last one again, and are not stored. */
INLINE void few(dot_fn *dot, int lanes, int64_t n, int n_row, int n_x, const uint8_t *w,
                size_t w_stride, const uint8_t *x, size_t x_stride, float *y, size_t ldy)
{
    size_t ahead = next_group(lanes, n, w_stride);
    for (int i = 0; i < n_row; i += lanes) {
        int n_out = n_row - i < lanes ? n_row - i : lanes;
        const uint8_t *rows[8];
        for (int r = 0; r < lanes; r++)
            rows[r] = w + (size_t)(r < n_out ? i + r : n_row - 1) * w_stride;
        for (int j = 0; j < n_x; j++) {
            float out[8];
            dot(n, rows, j == 0 ? ahead : 0, x + j * x_stride, out);
            for (int r = 0; r < n_out; r++)
                y[j * ldy + i + r] = out[r];
        }
    }
}

/* --- quantised weights, many activation rows: tiles ----------------------------------------- */

enum {
    TILE_ROW = 4,    /* weight rows of a tile */
    TILE_X = 8,      /* activation rows of a tile: the lanes */
    GROUP_X = 32,    /* activation rows per unpacking of weights: 4 panels */
    GROUP_ROW = 256, /* weight rows per transposition of activations */
    CHUNK_K = 2,     /* super-blocks per pass: the panels fit in L1 beside the weights */
    CHUNK_8 = 12,    /* blocks of 32 */
    FEW_X = 3,       /* fewer activation rows than this: no tile */
};

/* Eight activation rows of a super-block: bytes 4 g .. 4 g + 3 of row l at q[g][l]. */
struct panel_k {
    _Alignas(32) int8_t q[64][TILE_X][4];
    int16_t sum16[8][TILE_X][2]; /* sums of 16 elements, in pairs */
    int16_t sum32[4][TILE_X][2]; /* sums of 32 (|.| <= 4,064), in pairs */
    float d[TILE_X];
};
struct panel_8 {
    _Alignas(32) int16_t q[16][TILE_X][2];
    float d[TILE_X];
};

/* Four weight rows of a super-block, unpacked. */
struct weights_k {
    _Alignas(32) uint8_t q[TILE_ROW][256];
    int16_t scale[TILE_ROW][16][2]; /* of each sub-block, twice */
    int16_t bias[TILE_ROW][8][2]; /* what multiplies sum32 (minima) or sum16 (scales), in pairs */
    float d[TILE_ROW], dmin[TILE_ROW];
};
struct weights_8 {
    _Alignas(32) int16_t q[TILE_ROW][32];
    float d[TILE_ROW];
};

/* Dwords off/4 .. off/4 + 3 of eight rows: out[g] has dword g of each. */
INLINE void transpose(const uint8_t *const x[8], size_t off, __m256i out[4])
{
#define PAIR(i)                                                          \
    _mm256_inserti128_si256(_mm256_castsi128_si256(load128(x[i] + off)), \
                            load128(x[(i) + 4] + off), 1)
    __m256i a = PAIR(0), b = PAIR(1), c = PAIR(2), d = PAIR(3);
#undef PAIR
    __m256i ab0 = _mm256_unpacklo_epi32(a, b), ab1 = _mm256_unpackhi_epi32(a, b);
    __m256i cd0 = _mm256_unpacklo_epi32(c, d), cd1 = _mm256_unpackhi_epi32(c, d);
    out[0] = _mm256_unpacklo_epi64(ab0, cd0);
    out[1] = _mm256_unpackhi_epi64(ab0, cd0);
    out[2] = _mm256_unpacklo_epi64(ab1, cd1);
    out[3] = _mm256_unpackhi_epi64(ab1, cd1);
}

AVX2 static void pack_k(const uint8_t *const x[TILE_X], int64_t b, void *panel)
{
    struct panel_k *p = panel;
    size_t off = (size_t)b * sizeof(struct lmw_block_q8_k);
    __m256i t[4];
    for (int g = 0; g < 64; g += 4) {
        transpose(x, off + offsetof(struct lmw_block_q8_k, qs) + 4 * g, t);
        for (int i = 0; i < 4; i++)
            store(p->q[g + i], t[i]);
    }
    for (int g = 0; g < 8; g += 4) {
        transpose(x, off + offsetof(struct lmw_block_q8_k, bsums) + 4 * g, t);
        for (int i = 0; i < 4; i++) {
            store(p->sum16[g + i], t[i]);
            t[i] = _mm256_madd_epi16(t[i], _mm256_set1_epi16(1));
        }
        for (int i = 0; i < 2; i++) {
            __m256i high = _mm256_slli_epi32(t[2 * i + 1], 16);
            store(p->sum32[g / 2 + i], _mm256_blend_epi16(t[2 * i], high, 0xaa));
        }
    }
    for (int l = 0; l < TILE_X; l++)
        p->d[l] = f32_at(x[l] + off);
}

AVX2 static void pack_8(const uint8_t *const x[TILE_X], int64_t b, void *panel)
{
    /* Bytes 0, 1 (or 2, 3) of each dword to the high halves of two words; 0x80 makes a zero. */
    const __m256i dwords = _mm256_setr_epi32(0, 0x04000400, 0x08000800, 0x0c000c00, 0, 0x04000400,
                                             0x08000800, 0x0c000c00);
    const __m256i lo = _mm256_add_epi8(_mm256_set1_epi32(0x01800080), dwords);
    const __m256i hi = _mm256_add_epi8(_mm256_set1_epi32(0x03800280), dwords);
    struct panel_8 *p = panel;
    size_t off = (size_t)b * sizeof(struct lmw_block_q8_0);
    for (int g = 0; g < 8; g += 4) {
        __m256i t[4];
        transpose(x, off + offsetof(struct lmw_block_q8_0, qs) + 4 * g, t);
        for (int i = 0; i < 4; i++) {
            store(p->q[2 * (g + i)], _mm256_srai_epi16(_mm256_shuffle_epi8(t[i], lo), 8));
            store(p->q[2 * (g + i) + 1], _mm256_srai_epi16(_mm256_shuffle_epi8(t[i], hi), 8));
        }
    }
    for (int l = 0; l < TILE_X; l++)
        p->d[l] = f16_at(x[l] + off);
}

INLINE void unpack_q(at_fn *at, const uint8_t *block, uint8_t q[256])
{
#define STEP(k) store(q + 32 * (k), at(block, k));
    EACH8(STEP)
#undef STEP
}

INLINE void unpack_min_k(at_fn *at, size_t block_size, const uint8_t *const w[TILE_ROW], int64_t b,
                         void *weights)
{
    struct weights_k *u = weights;
    for (int r = 0; r < TILE_ROW; r++) {
        const uint8_t *block = w[r] + (size_t)b * block_size;
        unpack_q(at, block, u->q[r]);
        __m128i sc_m = scales_at(block);
        store(u->scale[r], _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(sc_m, sc_m)));
        _mm_storeu_si128((__m128i *)u->bias[r], _mm_cvtepu8_epi16(_mm_srli_si128(sc_m, 8)));
        u->d[r] = f16_at(block);
        u->dmin[r] = f16_at(block + 2);
    }
}

AVX2 static void unpack_q4_k(const uint8_t *const w[TILE_ROW], int64_t b, void *weights)
{
    unpack_min_k(q4_k_at, sizeof(struct lmw_block_q4_k), w, b, weights);
}

AVX2 static void unpack_q5_k(const uint8_t *const w[TILE_ROW], int64_t b, void *weights)
{
    unpack_min_k(q5_k_at, sizeof(struct lmw_block_q5_k), w, b, weights);
}

AVX2 static void unpack_q6_k(const uint8_t *const w[TILE_ROW], int64_t b, void *weights)
{
    struct weights_k *u = weights;
    for (int r = 0; r < TILE_ROW; r++) {
        const uint8_t *block = w[r] + (size_t)b * sizeof(struct lmw_block_q6_k);
        unpack_q(q6_k_at, block, u->q[r]);
        __m128i sc = load128(block + offsetof(struct lmw_block_q6_k, scales));
        store(u->scale[r][0], _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(sc, sc)));
        store(u->scale[r][8], _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(sc, sc)));
        store(u->bias[r], _mm256_cvtepi8_epi16(sc));
        u->d[r] = f16_at(block + offsetof(struct lmw_block_q6_k, d));
    }
}

AVX2 static void unpack_q8_0(const uint8_t *const w[TILE_ROW], int64_t b, void *weights)
{
    struct weights_8 *u = weights;
    for (int r = 0; r < TILE_ROW; r++) {
        const uint8_t *block = w[r] + (size_t)b * sizeof(struct lmw_block_q8_0);
        store(u->q[r], _mm256_cvtepi8_epi16(load128(block + 2)));
        store(u->q[r] + 16, _mm256_cvtepi8_epi16(load128(block + 18)));
        u->d[r] = f16_at(block);
    }
}

/* Integer sums of a super-block for 4 x 8 outputs. `run` dwords may be added in i16; they share a
 * scale, as do all of the run's `per_scale` dwords. */
INLINE void sums_k(const struct weights_k *w, const struct panel_k *p, int run, int per_scale,
                   __m256i *s0, __m256i *s1, __m256i *s2, __m256i *s3)
{
    __m256i t0 = _mm256_setzero_si256(), t1 = t0, t2 = t0, t3 = t0;
    for (int g = 0; g < 64; g += run) {
        __m256i x = load(p->q[g]);
#define FIRST(r) __m256i a##r = _mm256_maddubs_epi16(broadcast4(w->q[r] + 4 * g), x)
        FIRST(0);
        FIRST(1);
        FIRST(2);
        FIRST(3);
#undef FIRST
#pragma GCC unroll 8
        for (int i = g + 1; i < g + run; i++) {
            x = load(p->q[i]);
#define NEXT(r)                                                                          \
    a##r = _mm256_add_epi16(a##r, _mm256_maddubs_epi16(broadcast4(w->q[r] + 4 * i), x)); \
    PIN(a##r)
            NEXT(0);
            NEXT(1);
            NEXT(2);
            NEXT(3);
#undef NEXT
        }
#define WIDEN(r) \
    t##r = _mm256_add_epi32(t##r, _mm256_madd_epi16(a##r, broadcast4(w->scale[r][g / per_scale])))
        WIDEN(0);
        WIDEN(1);
        WIDEN(2);
        WIDEN(3);
#undef WIDEN
    }
    *s0 = t0, *s1 = t1, *s2 = t2, *s3 = t3;
}

INLINE __m256i sum_bias(const int16_t bias[8][2], const int16_t sum[][TILE_X][2], int n_pair)
{
    __m256i s = _mm256_madd_epi16(broadcast4(bias[0]), load(sum[0]));
#pragma GCC unroll 8
    for (int i = 1; i < n_pair; i++)
        s = _mm256_add_epi32(s, _mm256_madd_epi16(broadcast4(bias[i]), load(sum[i])));
    return s;
}

/* y += the tile of n blocks. A level of macros keeps the four sums of a tile in registers. */
#define TILE(format, weights_type, panel_type, SUMS, OUT)                                      \
    AVX2 static void tile_##format(const void *weights, const void *panel, int n, __m256 y[4]) \
    {                                                                                          \
        const struct weights_type *w = weights;                                                \
        const struct panel_type *p = panel;                                                    \
        __m256 y0 = y[0], y1 = y[1], y2 = y[2], y3 = y[3];                                     \
        for (; n > 0; n--, w++, p++) {                                                         \
            __m256i s0, s1, s2, s3;                                                            \
            SUMS;                                                                              \
            y0 = _mm256_add_ps(y0, OUT(w, p, 0, s0));                                          \
            y1 = _mm256_add_ps(y1, OUT(w, p, 1, s1));                                          \
            y2 = _mm256_add_ps(y2, OUT(w, p, 2, s2));                                          \
            y3 = _mm256_add_ps(y3, OUT(w, p, 3, s3));                                          \
        }                                                                                      \
        y[0] = y0, y[1] = y1, y[2] = y2, y[3] = y3;                                            \
    }

INLINE __m256 out_min_k(const struct weights_k *w, const struct panel_k *p, int r, __m256i s)
{
    __m256 m = _mm256_cvtepi32_ps(sum_bias(w->bias[r], p->sum32, 4));
    m = _mm256_mul_ps(_mm256_set1_ps(w->dmin[r]), m);
    m = _mm256_sub_ps(_mm256_mul_ps(_mm256_set1_ps(w->d[r]), _mm256_cvtepi32_ps(s)), m);
    return _mm256_mul_ps(_mm256_loadu_ps(p->d), m);
}

INLINE __m256 out_q6_k(const struct weights_k *w, const struct panel_k *p, int r, __m256i s)
{
    s = _mm256_sub_epi32(s, _mm256_slli_epi32(sum_bias(w->bias[r], p->sum16, 8), 5));
    __m256 ds = _mm256_mul_ps(_mm256_set1_ps(w->d[r]), _mm256_cvtepi32_ps(s));
    return _mm256_mul_ps(_mm256_loadu_ps(p->d), ds);
}

INLINE void sums_8(const struct weights_8 *w, const struct panel_8 *p, __m256i *s0, __m256i *s1,
                   __m256i *s2, __m256i *s3)
{
    __m256i x = load(p->q[0]);
#define FIRST(r) __m256i t##r = _mm256_madd_epi16(broadcast4(w->q[r]), x)
    FIRST(0);
    FIRST(1);
    FIRST(2);
    FIRST(3);
#undef FIRST
#pragma GCC unroll 16
    for (int g = 1; g < 16; g++) {
        x = load(p->q[g]);
#define NEXT(r)                                                                       \
    t##r = _mm256_add_epi32(t##r, _mm256_madd_epi16(broadcast4(w->q[r] + 2 * g), x)); \
    PIN(t##r)
        NEXT(0);
        NEXT(1);
        NEXT(2);
        NEXT(3);
#undef NEXT
    }
    *s0 = t0, *s1 = t1, *s2 = t2, *s3 = t3;
}

INLINE __m256 out_8(const struct weights_8 *w, const struct panel_8 *p, int r, __m256i s)
{
    __m256 d = _mm256_mul_ps(_mm256_set1_ps(w->d[r]), _mm256_loadu_ps(p->d));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(s), d);
}

TILE(q4_k, weights_k, panel_k, sums_k(w, p, 8, 8, &s0, &s1, &s2, &s3), out_min_k)
TILE(q5_k, weights_k, panel_k, sums_k(w, p, 4, 8, &s0, &s1, &s2, &s3), out_min_k)
TILE(q6_k, weights_k, panel_k, sums_k(w, p, 2, 4, &s0, &s1, &s2, &s3), out_q6_k)
TILE(q8_0, weights_8, panel_8, sums_8(w, p, &s0, &s1, &s2, &s3), out_8)

/* How a format is multiplied by tiles. */
struct tiled {
    int block; /* elements */
    int chunk; /* blocks per pass */
    size_t block_size, panel_size, weights_size;
    void (*pack)(const uint8_t *const x[TILE_X], int64_t b, void *panel);
    void (*unpack)(const uint8_t *const w[TILE_ROW], int64_t b, void *weights);
    void (*tile)(const void *weights, const void *panel, int n, __m256 y[TILE_ROW]);
};

/* A product of lmw_mul_fn. */
struct product {
    int64_t n;
    int n_row, n_x;
    const uint8_t *w, *x;
    size_t w_stride, x_stride;
    float *y;
    size_t ldy;
};

/* The part at work: rows i0 .. i1 by j0 .. j1, nb blocks from b0 on. */
struct part {
    int i0, i1, j0, j1, nb;
    int64_t b0;
};

/* 4 x 4 in each half: vectors of 4 rows of w to and from vectors of 8 rows of x. */
INLINE void transpose_ps(__m256 v[4])
{
    __m256 ab0 = _mm256_unpacklo_ps(v[0], v[1]), ab1 = _mm256_unpackhi_ps(v[0], v[1]);
    __m256 cd0 = _mm256_unpacklo_ps(v[2], v[3]), cd1 = _mm256_unpackhi_ps(v[2], v[3]);
    v[0] = _mm256_shuffle_ps(ab0, cd0, 0x44);
    v[1] = _mm256_shuffle_ps(ab0, cd0, 0xee);
    v[2] = _mm256_shuffle_ps(ab1, cd1, 0x44);
    v[3] = _mm256_shuffle_ps(ab1, cd1, 0xee);
}

/* A whole tile of y, from and to a lane per activation row. */
INLINE void load_tile(const float *y, size_t ldy, __m256 v[TILE_ROW])
{
    for (int j = 0; j < 4; j++)
        v[j] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(y + j * ldy)),
                                    _mm_loadu_ps(y + (j + 4) * ldy), 1);
    transpose_ps(v);
}

INLINE void store_tile(float *y, size_t ldy, __m256 v[TILE_ROW])
{
    transpose_ps(v);
    for (int j = 0; j < 4; j++) {
        _mm_storeu_ps(y + j * ldy, _mm256_castps256_ps128(v[j]));
        _mm_storeu_ps(y + (j + 4) * ldy, _mm256_extractf128_ps(v[j], 1));
    }
}

static void copy_tile(float *to, size_t to_ld, const float *from, size_t from_ld, int n_row,
                      int n_x)
{
    for (int j = 0; j < n_x; j++)
        for (int r = 0; r < n_row; r++)
            to[j * to_ld + r] = from[j * from_ld + r];
}

/* Rows past the end are the last one again, and are not stored. */
AVX2 static void pack_group(const struct tiled *f, const struct product *p, const struct part *c,
                            uint8_t *panels)
{
    for (int j = c->j0; j < c->j1; j += TILE_X) {
        const uint8_t *rows[TILE_X];
        for (int l = 0; l < TILE_X; l++)
            rows[l] = p->x + (size_t)(j + l < c->j1 ? j + l : c->j1 - 1) * p->x_stride;
        for (int b = 0; b < c->nb; b++, panels += f->panel_size)
            f->pack(rows, c->b0 + b, panels);
    }
}

AVX2 static void mul_group(const struct tiled *f, const struct product *p, const struct part *c,
                           const uint8_t *panels, uint8_t *weights)
{
    size_t ahead = next_group(TILE_ROW, p->n, p->w_stride);
    for (int i = c->i0; i < c->i1; i += TILE_ROW) {
        const uint8_t *rows[TILE_ROW], *panel = panels;
        for (int r = 0; r < TILE_ROW; r++)
            rows[r] = p->w + (size_t)(i + r < c->i1 ? i + r : c->i1 - 1) * p->w_stride;
        fetch(rows, TILE_ROW, (size_t)c->b0 * f->block_size, (size_t)c->nb * f->block_size, ahead);
        for (int b = 0; b < c->nb; b++)
            f->unpack(rows, c->b0 + b, weights + (size_t)b * f->weights_size);
        for (int j = c->j0; j < c->j1; j += TILE_X, panel += (size_t)c->nb * f->panel_size) {
            int n_row = c->i1 - i < TILE_ROW ? c->i1 - i : TILE_ROW;
            int n_x = c->j1 - j < TILE_X ? c->j1 - j : TILE_X;
            float *y = p->y + j * p->ldy + i, edge[TILE_X * TILE_ROW];
            bool whole = n_row == TILE_ROW && n_x == TILE_X;
            float *at = whole ? y : edge;
            size_t ld = whole ? p->ldy : TILE_ROW;
            __m256 sum[TILE_ROW];
            if (c->b0 == 0) {
                for (int r = 0; r < TILE_ROW; r++)
                    sum[r] = _mm256_setzero_ps();
            } else {
                if (!whole)
                    copy_tile(edge, TILE_ROW, y, p->ldy, n_row, n_x);
                load_tile(at, ld, sum);
            }
            f->tile(weights, panel, c->nb, sum);
            store_tile(at, ld, sum);
            if (!whole)
                copy_tile(y, p->ldy, edge, TILE_ROW, n_row, n_x);
        }
    }
}

AVX2 static void mul_tiles(const struct tiled *f, const struct product *p)
{
    _Alignas(32) uint8_t panels[GROUP_X / TILE_X * CHUNK_8 * sizeof(struct panel_8)];
    _Alignas(32) uint8_t weights[CHUNK_8 * sizeof(struct weights_8)];
    _Static_assert(CHUNK_K * sizeof(struct panel_k) <= CHUNK_8 * sizeof(struct panel_8), "");
    _Static_assert(CHUNK_K * sizeof(struct weights_k) <= CHUNK_8 * sizeof(struct weights_8), "");
    int64_t n_block = p->n / f->block;
    struct part c;
    for (c.i0 = 0; c.i0 < p->n_row; c.i0 = c.i1) {
        c.i1 = p->n_row - c.i0 < GROUP_ROW ? p->n_row : c.i0 + GROUP_ROW;
        for (c.b0 = 0; c.b0 < n_block; c.b0 += c.nb) {
            c.nb = (int)(n_block - c.b0 < f->chunk ? n_block - c.b0 : f->chunk);
            for (c.j0 = 0; c.j0 < p->n_x; c.j0 = c.j1) {
                c.j1 = p->n_x - c.j0 < GROUP_X ? p->n_x : c.j0 + GROUP_X;
                pack_group(f, p, &c, panels);
                mul_group(f, p, &c, panels, weights);
            }
        }
    }
}

/* How many of n_x rows go through tiles: a last tile is worth it from FEW_X rows on. */
static int n_tiled(int64_t n, int n_x)
{
    return n == 0 ? 0 : n_x % TILE_X < FEW_X ? n_x - n_x % TILE_X : n_x;
}

#define MUL(format, lanes, ...)                                                                  \
    AVX2 static void mul_##format(int64_t n, int n_row, int n_x, const void *w, size_t w_stride, \
                                  const void *x, size_t x_stride, float *y, size_t ldy)          \
    {                                                                                            \
        static const struct tiled f = {__VA_ARGS__, unpack_##format, tile_##format};             \
        int j = n_tiled(n, n_x);                                                                 \
        const struct product p = {n, n_row, j, w, x, w_stride, x_stride, y, ldy};                \
        mul_tiles(&f, &p);                                                                       \
        few(dot_##format, lanes, n, n_row, n_x - j, w, w_stride,                                 \
            (const uint8_t *)x + j * x_stride, x_stride, y + j * ldy, ldy);                      \
    }

#define K_TILES(format)                                                         \
    LMW_QK, CHUNK_K, sizeof(struct lmw_block_##format), sizeof(struct panel_k), \
        sizeof(struct weights_k), pack_k
MUL(q4_k, 4, K_TILES(q4_k))
MUL(q5_k, 4, K_TILES(q5_k))
MUL(q6_k, 4, K_TILES(q6_k))
MUL(q8_0, 8, 32, CHUNK_8, sizeof(struct lmw_block_q8_0), sizeof(struct panel_8),
    sizeof(struct weights_8), pack_8)

/* --- F32, F16, BF16 ------------------------------------------------------------------------- */

enum {
    CHUNK_F = 512, /* elements; part of the order of additions */
    GROUP_F = 48,  /* activation rows per widening of 4 weight rows */
    ROWS_F = 64,   /* weight rows per copy of activations */
    FEW_F = 3,     /* no more activation rows than this: one tile, nothing is copied */
};

typedef __m256 load_fn(const uint8_t *p);

INLINE __m256 load_f32(const uint8_t *p)
{
    return _mm256_loadu_ps((const float *)(const void *)p);
}

INLINE __m256 load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(load128(p));
}

INLINE __m256 load_bf16(const uint8_t *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(p)), 16));
}

/* The first n < 8 elements, then zeros. */
INLINE __m256 load_head(load_fn *load8, size_t elem, const uint8_t *p, int64_t n)
{
    uint8_t t[32] = {0};
    memcpy(t, p, (size_t)n * elem);
    return load8(t);
}

/* The sums of four vectors, each ((0+1)+(2+3))+((4+5)+(6+7)). */
INLINE __m128 sum_each4_ps(__m256 a, __m256 b, __m256 c, __m256 d)
{
    __m256 s = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

/* y[0 .. n_row) (+)= s */
INLINE void put4(float *y, int n_row, bool first, __m128 s)
{
    if (n_row >= 4) {
        _mm_storeu_ps(y, first ? s : _mm_add_ps(_mm_loadu_ps(y), s));
        return;
    }
    float t[4];
    _mm_storeu_ps(t, s);
    for (int r = 0; r < n_row; r++)
        y[r] = first ? t[r] : y[r] + t[r];
}

/* A chunk of 4 weight rows by n_x <= 3 activation rows (a constant where this is inlined). */
INLINE void tile_float(load_fn *load8, size_t elem, int n_x, int64_t n, const uint8_t *const w[4],
                       size_t ahead, const uint8_t *x, size_t x_stride, float *y, size_t ldy,
                       int n_row, bool first)
{
    const uint8_t *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
    const uint8_t *x1 = x + x_stride, *x2 = x1 + x_stride;
    __m256 a00 = _mm256_setzero_ps(), a01 = a00, a02 = a00, a10 = a00, a11 = a00, a12 = a00;
    __m256 a20 = a00, a21 = a00, a22 = a00, a30 = a00, a31 = a00, a32 = a00;
#define ROW(r, load_w)                                                 \
    {                                                                  \
        __m256 v = load_w;                                             \
        a##r##0 = _mm256_fmadd_ps(v, v0, a##r##0);                     \
        a##r##1 = n_x > 1 ? _mm256_fmadd_ps(v, v1, a##r##1) : a##r##1; \
        a##r##2 = n_x > 2 ? _mm256_fmadd_ps(v, v2, a##r##2) : a##r##2; \
    }
    int64_t k = 0;
    for (; k + 8 <= n; k += 8) {
        if ((size_t)k * elem % 64 == 0)
            fetch(w, 4, (size_t)k * elem, 64, ahead);
        __m256 v0 = load_f32(x + 4 * k);
        __m256 v1 = n_x > 1 ? load_f32(x1 + 4 * k) : v0;
        __m256 v2 = n_x > 2 ? load_f32(x2 + 4 * k) : v0;
        ROW(0, load8(w0 + (size_t)k * elem))
        ROW(1, load8(w1 + (size_t)k * elem))
        ROW(2, load8(w2 + (size_t)k * elem))
        ROW(3, load8(w3 + (size_t)k * elem))
    }
    if (k < n) {
        __m256 v0 = load_head(load_f32, 4, x + 4 * k, n - k);
        __m256 v1 = n_x > 1 ? load_head(load_f32, 4, x1 + 4 * k, n - k) : v0;
        __m256 v2 = n_x > 2 ? load_head(load_f32, 4, x2 + 4 * k, n - k) : v0;
        ROW(0, load_head(load8, elem, w0 + (size_t)k * elem, n - k))
        ROW(1, load_head(load8, elem, w1 + (size_t)k * elem, n - k))
        ROW(2, load_head(load8, elem, w2 + (size_t)k * elem, n - k))
        ROW(3, load_head(load8, elem, w3 + (size_t)k * elem, n - k))
    }
#undef ROW
    put4(y, n_row, first, sum_each4_ps(a00, a10, a20, a30));
    if (n_x > 1)
        put4(y + ldy, n_row, first, sum_each4_ps(a01, a11, a21, a31));
    if (n_x > 2)
        put4(y + 2 * ldy, n_row, first, sum_each4_ps(a02, a12, a22, a32));
}

/* A chunk of 4 weight rows by any number of activation rows. */
INLINE void tiles_float(load_fn *load8, size_t elem, int n_x, int64_t n, const uint8_t *const w[4],
                        size_t ahead, const uint8_t *x, size_t x_stride, float *y, size_t ldy,
                        int n_row, bool first)
{
    int j = 0;
    for (; j + 3 <= n_x; j += 3)
        tile_float(load8, elem, 3, n, w, j == 0 ? ahead : 0, x + j * x_stride, x_stride,
                   y + j * ldy, ldy, n_row, first);
    if (n_x - j == 2)
        tile_float(load8, elem, 2, n, w, j == 0 ? ahead : 0, x + j * x_stride, x_stride,
                   y + j * ldy, ldy, n_row, first);
    if (n_x - j == 1)
        tile_float(load8, elem, 1, n, w, j == 0 ? ahead : 0, x + j * x_stride, x_stride,
                   y + j * ldy, ldy, n_row, first);
}

INLINE void to_scratch(load_fn *load8, size_t elem, int64_t n, const uint8_t *w, float *t)
{
    int64_t k = 0;
    for (; k + 8 <= n; k += 8)
        _mm256_store_ps(t + k, load8(w + (size_t)k * elem));
    if (k < n)
        _mm256_store_ps(t + k, load_head(load8, elem, w + (size_t)k * elem, n - k));
}

/* Rows i0 .. i1 by up to FEW_F activation rows. */
INLINE void few_float(load_fn *load8, size_t elem, const struct product *p)
{
    size_t ahead = next_group(4, p->n, p->w_stride);
    for (int i = 0; i < p->n_row; i += 4) {
        const uint8_t *rows[4];
        int64_t k = 0;
        do {
            for (int r = 0; r < 4; r++)
                rows[r] = p->w + (size_t)(i + r < p->n_row ? i + r : p->n_row - 1) * p->w_stride +
                          (size_t)k * elem;
            tiles_float(load8, elem, p->n_x, p->n - k < CHUNK_F ? p->n - k : CHUNK_F, rows, ahead,
                        p->x + 4 * k, p->x_stride, p->y + i, p->ldy, p->n_row - i, k == 0);
            k += CHUNK_F;
        } while (k < p->n);
    }
}

/* A chunk of one group: nk elements from k on. Activations are copied, because rows a multiple of
 * 4 KB apart would fight for the same cache sets; weights of 2 bytes are widened. */
INLINE void group_float(load_fn *load8, size_t elem, int64_t k, int64_t nk, const struct part *c,
                        const struct product *p)
{
    _Alignas(32) float w[4][CHUNK_F], x[GROUP_F][CHUNK_F];
    for (int j = c->j0; j < c->j1; j++)
        memcpy(x[j - c->j0], p->x + j * p->x_stride + 4 * k, (size_t)nk * 4);
    for (int i = c->i0; i < c->i1; i += 4) {
        const uint8_t *rows[4];
        for (int r = 0; r < 4; r++)
            rows[r] = p->w + (size_t)(i + r < c->i1 ? i + r : c->i1 - 1) * p->w_stride +
                      (size_t)k * elem;
        for (int r = 0; r < 4 && elem < 4; r++) {
            to_scratch(load8, elem, nk, rows[r], w[r]);
            rows[r] = (const uint8_t *)w[r];
        }
        tiles_float(load_f32, 4, c->j1 - c->j0, nk, rows, 0, (const uint8_t *)x, sizeof x[0],
                    p->y + c->j0 * p->ldy + i, p->ldy, c->i1 - i, k == 0);
    }
}

INLINE void mul_float(load_fn *load8, size_t elem, const struct product *p)
{
    struct part c;
    if (p->n_x <= FEW_F || p->n == 0) {
        few_float(load8, elem, p);
        return;
    }
    for (c.i0 = 0; c.i0 < p->n_row; c.i0 = c.i1) {
        c.i1 = p->n_row - c.i0 < ROWS_F ? p->n_row : c.i0 + ROWS_F;
        for (int64_t k = 0; k < p->n; k += CHUNK_F)
            for (c.j0 = 0; c.j0 < p->n_x; c.j0 = c.j1) {
                c.j1 = p->n_x - c.j0 < GROUP_F ? p->n_x : c.j0 + GROUP_F;
                group_float(load8, elem, k, p->n - k < CHUNK_F ? p->n - k : CHUNK_F, &c, p);
            }
    }
}

#define MUL_FLOAT(format, elem)                                                                  \
    AVX2 static void mul_##format(int64_t n, int n_row, int n_x, const void *w, size_t w_stride, \
                                  const void *x, size_t x_stride, float *y, size_t ldy)          \
    {                                                                                            \
        const struct product p = {n, n_row, n_x, w, x, w_stride, x_stride, y, ldy};              \
        mul_float(load_##format, elem, &p);                                                      \
    }
MUL_FLOAT(f32, 4)
MUL_FLOAT(f16, 2)
MUL_FLOAT(bf16, 2)

/* --- activations ---------------------------------------------------------------------------- */

INLINE __m256i max_abs_bits(__m256i max, const float *x)
{
    return _mm256_max_epi32(max, _mm256_and_si256(load(x), _mm256_set1_epi32(0x7fffffff)));
}

/* The largest |x| of n (a multiple of 8), as f32 bits: NaN > inf > finite. */
INLINE uint32_t amax_bits(const float *x, int n)
{
    __m256i m = _mm256_setzero_si256();
    for (int i = 0; i < n; i += 8)
        m = max_abs_bits(m, x + i);
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(h);
}

INLINE float bits_f32(uint32_t b)
{
    float f;
    memcpy(&f, &b, 4);
    return f;
}

/* round(x * inv) of 32, to nearest even. */
INLINE __m256i round_32(const float *x, float inv)
{
    __m256 s = _mm256_set1_ps(inv);
#define Q(i) _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * (i)), s))
    __m256i a = _mm256_packs_epi32(Q(0), Q(1)), b = _mm256_packs_epi32(Q(2), Q(3));
#undef Q
    return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

AVX2 static void quantize_q8_0(const float *x, void *y, int64_t n)
{
    uint8_t *out = y;
    for (int64_t b = 0; b < n / 32; b++, x += 32, out += sizeof(struct lmw_block_q8_0)) {
        uint32_t amax = amax_bits(x, 32);
        uint16_t d = LMW_F16_NAN;
        float inv = 0;
        if (amax < LMW_F32_INF_BITS) {
            d = _cvtss_sh(bits_f32(amax) / 127.0f, _MM_FROUND_TO_NEAREST_INT);
            if (127.0f * _cvtsh_ss(d) < bits_f32(amax))
                d++;
            inv = d ? 1.0f / _cvtsh_ss(d) : 0.0f;
        }
        memcpy(out, &d, 2);
        store(out + 2, amax < LMW_F32_INF_BITS ? round_32(x, inv) : _mm256_setzero_si256());
    }
}

AVX2 static void quantize_q8_k(const float *x, void *y, int64_t n)
{
    uint8_t *out = y;
    for (int64_t b = 0; b < n / LMW_QK; b++, x += LMW_QK, out += sizeof(struct lmw_block_q8_k)) {
        uint32_t amax = amax_bits(x, LMW_QK);
        float d = NAN;
        if (amax < LMW_F32_INF_BITS) {
            d = bits_f32(amax) / 127.0f;
            if (d < LMW_Q8_K_MIN_D)
                d = 0;
        }
        memcpy(out, &d, 4);
        float inv = d > 0 ? 1.0f / d : 0.0f;
        for (int k = 0; k < 8; k++) {
            __m256i q = isnan(d) ? _mm256_setzero_si256() : round_32(x + 32 * k, inv);
            store(out + offsetof(struct lmw_block_q8_k, qs) + 32 * k, q);
            __m256i s = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
            s = _mm256_madd_epi16(s, _mm256_set1_epi16(1));
            s = _mm256_hadd_epi32(s, s);
            s = _mm256_hadd_epi32(s, s);
            int16_t sums[2] = {(int16_t)_mm256_extract_epi32(s, 0),
                               (int16_t)_mm256_extract_epi32(s, 4)};
            memcpy(out + offsetof(struct lmw_block_q8_k, bsums) + 4 * k, sums, 4);
        }
    }
}

AVX2 static void to_f16(uint16_t *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(y + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++)
        y[i] = _cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}

/* --- vectors -------------------------------------------------------------------------------- */

/* Lanes below n, for masked loads and stores of the last n < 8 elements. */
INLINE __m256i first_lanes(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* common.h's exponential. min and max return their second operand when one is NaN. */
INLINE __m256 exp_ps(__m256 x)
{
    x = _mm256_min_ps(_mm256_set1_ps(LMW_EXP_HI), _mm256_max_ps(_mm256_set1_ps(LMW_EXP_LO), x));
    __m256i k = _mm256_cvtps_epi32(_mm256_mul_ps(x, _mm256_set1_ps(LMW_EXP_LOG2E)));
    __m256 kf = _mm256_cvtepi32_ps(k);
    __m256 r = _mm256_sub_ps(x, _mm256_mul_ps(kf, _mm256_set1_ps(LMW_EXP_LN2_HI)));
    r = _mm256_sub_ps(r, _mm256_mul_ps(kf, _mm256_set1_ps(LMW_EXP_LN2_LO)));
    __m256 q = _mm256_set1_ps(LMW_EXP_Q4);
    q = _mm256_add_ps(_mm256_mul_ps(q, r), _mm256_set1_ps(LMW_EXP_Q3));
    q = _mm256_add_ps(_mm256_mul_ps(q, r), _mm256_set1_ps(LMW_EXP_Q2));
    q = _mm256_add_ps(_mm256_mul_ps(q, r), _mm256_set1_ps(LMW_EXP_Q1));
    q = _mm256_add_ps(_mm256_mul_ps(q, r), _mm256_set1_ps(LMW_EXP_Q0));
    q = _mm256_mul_ps(_mm256_mul_ps(r, r), q);
    __m256 p = _mm256_add_ps(_mm256_add_ps(r, q), _mm256_set1_ps(1.0f));
    __m256i bias = _mm256_set1_epi32(127), half = _mm256_srai_epi32(k, 1);
    __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(k, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));
}

INLINE __m256d widen_lo(__m256 v)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}

INLINE __m256d widen_hi(__m256 v)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

INLINE double sum_pd(__m256d v)
{
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

AVX2 static void rms_norm(float *y, const float *x, const float *w, int64_t n, float eps)
{
    __m256d lo = _mm256_setzero_pd(), hi = lo;
    int64_t i = 0;
    __m256i tail = first_lanes(n % 8);
    for (; i < n; i += 8) {
        __m256 v = n - i >= 8 ? _mm256_loadu_ps(x + i) : _mm256_maskload_ps(x + i, tail);
        lo = _mm256_fmadd_pd(widen_lo(v), widen_lo(v), lo);
        hi = _mm256_fmadd_pd(widen_hi(v), widen_hi(v), hi);
    }
    double mean = sum_pd(_mm256_add_pd(lo, hi)) / (double)n;
    __m256 scale = _mm256_set1_ps((float)(1.0 / sqrt(mean + (double)eps)));
    for (i = 0; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), scale),
                                              _mm256_loadu_ps(w + i)));
    if (i < n)
        _mm256_maskstore_ps(y + i, tail,
                            _mm256_mul_ps(_mm256_mul_ps(_mm256_maskload_ps(x + i, tail), scale),
                                          _mm256_maskload_ps(w + i, tail)));
}

/* In every lane. */
INLINE __m256 largest(const float *x, int64_t n, __m256i tail)
{
    const __m256 first = _mm256_set1_ps(x[0]);
    __m256 m = first;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        m = _mm256_max_ps(_mm256_loadu_ps(x + i), m);
    if (i < n)
        m = _mm256_max_ps(
            _mm256_blendv_ps(first, _mm256_maskload_ps(x + i, tail), _mm256_castsi256_ps(tail)),
            m);
    m = _mm256_max_ps(m, _mm256_permute2f128_ps(m, m, 1));
    m = _mm256_max_ps(m, _mm256_permute_ps(m, 0x4e));
    return _mm256_max_ps(m, _mm256_permute_ps(m, 0xb1));
}

AVX2 static struct lmw_mass mass(const float *x, int64_t n)
{
    __m256i tail = first_lanes(n % 8);
    const __m256 max = largest(x, n, tail), low = _mm256_set1_ps(LMW_EXP_LO);
    __m256d sum = _mm256_setzero_pd(), moment = sum;
    for (int64_t i = 0; i < n; i += 8) {
        bool whole = n - i >= 8;
        __m256 v = whole ? _mm256_loadu_ps(x + i) : _mm256_maskload_ps(x + i, tail);
        __m256 d = _mm256_max_ps(low, _mm256_sub_ps(v, max)); /* 0 x -inf is no number */
        __m256 e = exp_ps(d);
        if (!whole)
            e = _mm256_and_ps(e, _mm256_castsi256_ps(tail));
        __m256 t = _mm256_mul_ps(e, d);
        sum = _mm256_add_pd(sum, _mm256_add_pd(widen_lo(e), widen_hi(e)));
        moment = _mm256_add_pd(moment, _mm256_add_pd(widen_lo(t), widen_hi(t)));
    }
    return (struct lmw_mass){(double)_mm256_cvtss_f32(max), sum_pd(sum), sum_pd(moment)};
}

AVX2 static void softmax(float *x, int64_t n)
{
    __m256i tail = first_lanes(n % 8);
    const __m256 m = largest(x, n, tail);
    int64_t i;
    __m256d lo = _mm256_setzero_pd(), hi = lo;
    for (i = 0; i + 8 <= n; i += 8) {
        __m256 e = exp_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), m));
        _mm256_storeu_ps(x + i, e);
        lo = _mm256_add_pd(lo, widen_lo(e));
        hi = _mm256_add_pd(hi, widen_hi(e));
    }
    if (i < n) {
        __m256 e = exp_ps(_mm256_sub_ps(_mm256_maskload_ps(x + i, tail), m));
        e = _mm256_and_ps(e, _mm256_castsi256_ps(tail));
        _mm256_maskstore_ps(x + i, tail, e);
        lo = _mm256_add_pd(lo, widen_lo(e));
        hi = _mm256_add_pd(hi, widen_hi(e));
    }
    __m256 inv = _mm256_set1_ps((float)(1.0 / sum_pd(_mm256_add_pd(lo, hi))));
    for (i = 0; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), inv));
    if (i < n)
        _mm256_maskstore_ps(x + i, tail, _mm256_mul_ps(_mm256_maskload_ps(x + i, tail), inv));
}

INLINE __m256 swiglu_ps(__m256 gate, __m256 up)
{
    __m256 e = exp_ps(_mm256_xor_ps(gate, _mm256_set1_ps(-0.0f)));
    return _mm256_mul_ps(_mm256_div_ps(gate, _mm256_add_ps(_mm256_set1_ps(1.0f), e)), up);
}

AVX2 static void swiglu(float *y, const float *gate, const float *up, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, swiglu_ps(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    if (i < n) {
        __m256i tail = first_lanes(n - i);
        _mm256_maskstore_ps(
            y + i, tail,
            swiglu_ps(_mm256_maskload_ps(gate + i, tail), _mm256_maskload_ps(up + i, tail)));
    }
}

AVX2 static void add(float *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
    for (; i < n; i++)
        y[i] += x[i];
}

void lmw_fill_avx2(struct lmw_kernels *k)
{
    k->mul[LMW_F32].fn = mul_f32;
    k->mul[LMW_F16].fn = mul_f16;
    k->mul[LMW_BF16].fn = mul_bf16;
    k->mul[LMW_Q8_0].fn = mul_q8_0;
    k->mul[LMW_Q4_K].fn = mul_q4_k;
    k->mul[LMW_Q5_K].fn = mul_q5_k;
    k->mul[LMW_Q6_K].fn = mul_q6_k;
    k->quantize_q8_0 = quantize_q8_0;
    k->quantize_q8_k = quantize_q8_k;
    k->rms_norm = rms_norm;
    k->softmax = softmax;
    k->mass = mass;
    k->swiglu = swiglu;
    k->add = add;
    k->to_f16 = to_f16;
}

#else

typedef int lmw_no_avx2_here; /* a file may not be empty */

#endif
