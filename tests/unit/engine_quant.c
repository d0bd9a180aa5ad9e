/* Tensor formats: the bits mean what ggml's layout says, and quantising loses no more than
 * llama-quantize does. */
#include "base/rng.h"
#include "engine/quant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

/* ---- f16 and bf16 ---- */

/* From the definition, with ldexp. */
static double f16_value(uint16_t h)
{
    int exp = h >> 10 & 31, frac = h & 1023;
    double v = exp == 31 ? (double)INFINITY
               : exp     ? ldexp(1024 + frac, exp - 25)
                         : ldexp(frac, -24);
    return h & 0x8000 ? -v : v;
}

static int is_f16_nan(uint16_t h)
{
    return (h & 0x7fff) > 0x7c00;
}

static void test_f16_all_values(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = lmw_f16_to_f32((uint16_t)h);
        if (is_f16_nan((uint16_t)h)) {
            assert_true(isnan(f));
            assert_true(is_f16_nan(lmw_f32_to_f16(f)));
            continue;
        }
        assert_true((double)f == f16_value((uint16_t)h));
        assert_int_equal(signbit(f) != 0, h >> 15);
        assert_int_equal(lmw_f32_to_f16(f), h);
#ifdef __FLT16_MAX__
        _Float16 native;
        uint16_t half = (uint16_t)h;
        memcpy(&native, &half, 2);
        assert_int_equal(bits_of((float)native), bits_of(f));
#endif
    }
}

/* Between two neighbours: below the middle down, above it up, on it to the even one. */
static void test_f16_rounds_to_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        double lo = f16_value((uint16_t)h);
        double hi = h == 0x7bff ? 65536 : f16_value((uint16_t)(h + 1));
        float mid = (float)((lo + hi) / 2); /* exact: f16 has 13 bits fewer */
        uint32_t even = h & 1 ? h + 1 : h;
        assert_int_equal(lmw_f32_to_f16(mid), even);
        assert_int_equal(lmw_f32_to_f16(nextafterf(mid, 0)), h);
        assert_int_equal(lmw_f32_to_f16(nextafterf(mid, INFINITY)), h + 1);
        assert_int_equal(lmw_f32_to_f16(-mid), even | 0x8000);
    }
    assert_int_equal(lmw_f32_to_f16(FLT_MAX), 0x7c00);
    assert_int_equal(lmw_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(lmw_f32_to_f16(FLT_MIN), 0);
    assert_int_equal(lmw_f32_to_f16(-0.0f), 0x8000);
}

static void test_f16_like_the_compilers(void **state)
{
    (void)state;
#ifdef __FLT16_MAX__
    struct lmw_rng rng;
    lmw_rng_init(&rng, 3);
    for (int i = 0; i < 2000000; i++) {
        float f = float_of((uint32_t)lmw_rng_u64(&rng));
        _Float16 native = (_Float16)f;
        uint16_t half;
        memcpy(&half, &native, 2);
        if (isnan(f))
            assert_true(is_f16_nan(lmw_f32_to_f16(f)));
        else
            assert_int_equal(lmw_f32_to_f16(f), half);
    }
#else
    print_message("skipped: this compiler has no _Float16 here\n");
    skip();
#endif
}

static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = lmw_bf16_to_f32((uint16_t)h);
        assert_int_equal(bits_of(f), h << 16);
        if (isnan(f))
            assert_true(isnan(lmw_bf16_to_f32(lmw_f32_to_bf16(f))));
        else
            assert_int_equal(lmw_f32_to_bf16(f), h);
        if ((h & 0x7fff) >= 0x7f80)
            continue;
        assert_int_equal(lmw_f32_to_bf16(float_of(h << 16 | 0x7fff)), h);
        assert_int_equal(lmw_f32_to_bf16(float_of(h << 16 | 0x8000)), h + (h & 1));
        assert_int_equal(lmw_f32_to_bf16(float_of(h << 16 | 0x8001)), h + 1);
    }
    /* All payload bits in the half that is cut off: still a NaN. */
    assert_true(isnan(lmw_bf16_to_f32(lmw_f32_to_bf16(float_of(0x7f800001)))));
}

/* ---- blocks: element i, from the layout as ggml-common.h documents it ---- */

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

/* 6-bit scale (is_min 0) or minimum (1) number j of the 12 packed bytes. */
static int scale_6bit(const uint8_t *p, int j, int is_min)
{
    if (j < 4)
        return p[j + 4 * is_min] & 63;
    int low = is_min ? p[j + 4] >> 4 : p[j + 4] & 15;
    int high = p[j - 4 + 4 * is_min] >> 6;
    return low + 16 * high;
}

static float q8_0_at(const uint8_t *p, int i)
{
    return (float)(int8_t)p[2 + i] * lmw_f16_to_f32(u16_at(p));
}

static float affine_at(const uint8_t *p, int i, int q)
{
    int j = i / 32;
    float d = lmw_f16_to_f32(u16_at(p)) * (float)scale_6bit(p + 4, j, 0);
    float m = lmw_f16_to_f32(u16_at(p + 2)) * (float)scale_6bit(p + 4, j, 1);
    return d * (float)q - m;
}

static int nibble(const uint8_t *qs, int i)
{
    int byte = qs[i / 64 * 32 + i % 32];
    return i % 64 < 32 ? byte & 15 : byte >> 4;
}

static float q4_k_at(const uint8_t *p, int i)
{
    return affine_at(p, i, nibble(p + 16, i));
}

static float q5_k_at(const uint8_t *p, int i)
{
    int high = p[16 + i % 32] >> (i / 32) & 1;
    return affine_at(p, i, nibble(p + 48, i) + 16 * high);
}

static float q6_k_at(const uint8_t *p, int i)
{
    const uint8_t *ql = p + i / 128 * 64, *qh = p + 128 + i / 128 * 32;
    int l = i % 32, q = 0;
    switch (i % 128 / 32) {
    case 0: q = (ql[l] & 15) + 16 * (qh[l] & 3); break;
    case 1: q = (ql[l + 32] & 15) + 16 * (qh[l] >> 2 & 3); break;
    case 2: q = (ql[l] >> 4) + 16 * (qh[l] >> 4 & 3); break;
    case 3: q = (ql[l + 32] >> 4) + 16 * (qh[l] >> 6); break;
    }
    float d = lmw_f16_to_f32(u16_at(p + 208));
    return d * (float)(int8_t)p[192 + i / 16] * (float)(q - 32);
}

static void same_bits(float a, float b)
{
    if (!(isnan(a) && isnan(b)))
        assert_int_equal(bits_of(a), bits_of(b));
}

static void test_layouts(void **state)
{
    static const struct {
        enum lmw_type type;
        float (*at)(const uint8_t *p, int i);
    } formats[] = {
        {LMW_Q8_0, q8_0_at}, {LMW_Q4_K, q4_k_at}, {LMW_Q5_K, q5_k_at}, {LMW_Q6_K, q6_k_at}};
    struct lmw_rng rng;
    (void)state;
    lmw_rng_init(&rng, 7);
    for (size_t f = 0; f < 4; f++) {
        enum { BLOCKS = 100 };
        int n = lmw_type_block(formats[f].type);
        size_t size = lmw_type_row_size(formats[f].type, n);
        uint8_t bytes[BLOCKS * 210 + 1];
        float x[BLOCKS * LMW_QK];
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)lmw_rng_u64(&rng);
        lmw_to_f32(formats[f].type, bytes + 1, x, BLOCKS * n); /* unaligned on purpose */
        for (int i = 0; i < BLOCKS * n; i++)
            same_bits(x[i], formats[f].at(bytes + 1 + (size_t)(i / n) * size, i % n));
    }
}

/* ---- quantising ---- */

enum { N = 1024 * 256 };
static float x[N], y[N];
static uint8_t q[N * 2];

/* The same arrays that the reference figures below were made from. */
static void fill(int heavy)
{
    struct lmw_rng rng;
    lmw_rng_init(&rng, 1);
    for (int i = 0; i < N; i++) {
        double n = lmw_rng_normal(&rng);
        x[i] = (float)(heavy ? n * fabs(n) : n);
    }
}

static double relative_rmse(enum lmw_type t)
{
    double error = 0, sum = 0;
    lmw_from_f32(t, x, q, N);
    lmw_to_f32(t, q, y, N);
    for (int i = 0; i < N; i++) {
        error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        sum += (double)x[i] * (double)x[i];
    }
    return sqrt(error / sum);
}

/* rmse / rms of 1024 x 256 weights, n ~ N(0,1) (or n|n|) from lmw_rng seed 1, through
 * llama-quantize --pure of llama.cpp 0.7.0 (ggml 0.27.0), dequantised. Ours was measured at
 *             N(0,1)    n|n|
 *     Q8_0  0.005350  0.007707
 *     Q6_K  0.017320  0.023266
 *     Q5_K  0.034902  0.045778
 *     Q4_K  0.070591  0.090903 */
static void test_no_worse_than_the_reference(void **state)
{
    static const struct {
        enum lmw_type type;
        double theirs[2];
    } figures[] = {
        {LMW_Q8_0, {0.005354, 0.007708}},
        {LMW_Q6_K, {0.017757, 0.023728}},
        {LMW_Q5_K, {0.036157, 0.047686}},
        {LMW_Q4_K, {0.071407, 0.092494}},
    };
    (void)state;
    for (int heavy = 0; heavy < 2; heavy++) {
        fill(heavy);
        for (size_t i = 0; i < 4; i++) {
            double ours = relative_rmse(figures[i].type);
            if (!(ours <= figures[i].theirs[heavy]))
                fail_msg("%s: %.6f, the reference has %.6f", lmw_type_name(figures[i].type), ours,
                         figures[i].theirs[heavy]);
        }
    }
}

static const enum lmw_type lossy[] = {LMW_F16, LMW_BF16, LMW_Q8_0, LMW_Q4_K, LMW_Q5_K, LMW_Q6_K};
enum { N_LOSSY = sizeof(lossy) / sizeof(lossy[0]) };

/* One super-block through a format; the largest error over the largest weight. */
static double worst(enum lmw_type t, const float *in, float *out)
{
    double top = 0, error = 0;
    lmw_from_f32(t, in, q, LMW_QK);
    lmw_to_f32(t, q, out, LMW_QK);
    for (int i = 0; i < LMW_QK; i++) {
        top = fmax(top, fabs((double)in[i]));
        error = fmax(error, fabs((double)in[i] - (double)out[i]));
    }
    return top > 0 ? error / top : error;
}

static void test_special_blocks(void **state)
{
    float in[LMW_QK], out[LMW_QK];
    (void)state;
    for (int k = 0; k < N_LOSSY; k++) {
        memset(in, 0, sizeof(in));
        assert_true(worst(lossy[k], in, out) == 0);
        for (int i = 0; i < LMW_QK; i++)
            in[i] = 0.25f;
        assert_true(worst(lossy[k], in, out) < 0.02);
        for (int i = 0; i < LMW_QK; i++)
            in[i] = -0.25f;
        assert_true(worst(lossy[k], in, out) < 0.02);
        for (int i = 0; i < LMW_QK; i++)
            in[i] = i % 2 ? 1.0f : -1.0f;
        assert_true(worst(lossy[k], in, out) < 0.05);
        memset(in, 0, sizeof(in)); /* one weight alone */
        in[77] = -3;
        assert_true(worst(lossy[k], in, out) < 0.05);
        for (int i = 0; i < LMW_QK; i++) /* scales that differ a lot between sub-blocks */
            in[i] = ldexpf((float)(i % 16) - 8, -(i / 32));
        assert_true(worst(lossy[k], in, out) < 0.08);
    }
}

/* Whatever floats come, the blocks come out finite: a block must not poison its row. */
static void test_hostile_floats(void **state)
{
    static const float odd[] = {NAN,      INFINITY, -INFINITY, FLT_MAX,
                                -FLT_MAX, FLT_MIN,  1e-42f,    1e30f};
    float in[LMW_QK], out[LMW_QK];
    struct lmw_rng rng;
    (void)state;
    lmw_rng_init(&rng, 5);
    for (int round = 0; round < 2000; round++)
        for (int k = 2; k < N_LOSSY; k++) {
            for (int i = 0; i < LMW_QK; i++)
                in[i] = round % 2 ? odd[lmw_rng_below(&rng, 8)]
                                  : float_of((uint32_t)lmw_rng_u64(&rng));
            lmw_from_f32(lossy[k], in, q, LMW_QK);
            lmw_to_f32(lossy[k], q, out, LMW_QK);
            for (int i = 0; i < LMW_QK; i++)
                if (!isfinite(out[i]))
                    fail_msg("%s: %a became %a", lmw_type_name(lossy[k]), (double)in[i],
                             (double)out[i]);
        }
}

/* Down to where f16 scales are subnormal, and below: never worse than writing zeros. */
static void test_tiny_weights(void **state)
{
    float in[LMW_QK], out[LMW_QK];
    (void)state;
    for (int exp = 0; exp > -12; exp--)
        for (int k = 2; k < N_LOSSY; k++) {
            struct lmw_rng rng;
            double error = 0, sum = 0;
            lmw_rng_init(&rng, 9);
            for (int i = 0; i < LMW_QK; i++)
                in[i] = (float)(lmw_rng_normal(&rng) * pow(10, exp));
            worst(lossy[k], in, out);
            for (int i = 0; i < LMW_QK; i++) {
                error += pow((double)in[i] - (double)out[i], 2);
                sum += pow((double)in[i], 2);
            }
            double limit = exp >= -6 ? 0.08 : exp == -7 ? 0.2 : 1.001;
            if (!(sqrt(error / sum) <= limit))
                fail_msg("%s at 1e%d: %.4f", lmw_type_name(lossy[k]), exp, sqrt(error / sum));
        }
}

static void test_rows_are_independent(void **state)
{
    static uint8_t parts[N * 2];
    (void)state;
    fill(1);
    for (int k = 0; k < N_LOSSY; k++) {
        size_t row = lmw_type_row_size(lossy[k], 1024);
        lmw_from_f32(lossy[k], x, q, 8 * 1024);
        for (int r = 7; r >= 0; r--)
            lmw_from_f32(lossy[k], x + 1024 * r, parts + row * (size_t)r, 1024);
        assert_memory_equal(q, parts, row * 8);
    }
}

static void test_f32_is_untouched(void **state)
{
    const float in[3] = {1, -0.0f, 1e-45f};
    float out[3];
    (void)state;
    lmw_from_f32(LMW_F32, in, q, 3);
    lmw_to_f32(LMW_F32, q, out, 3);
    assert_memory_equal(in, out, sizeof(in));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16_all_values),
        cmocka_unit_test(test_f16_rounds_to_even),
        cmocka_unit_test(test_f16_like_the_compilers),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_no_worse_than_the_reference),
        cmocka_unit_test(test_special_blocks),
        cmocka_unit_test(test_hostile_floats),
        cmocka_unit_test(test_tiny_weights),
        cmocka_unit_test(test_rows_are_independent),
        cmocka_unit_test(test_f32_is_untouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
