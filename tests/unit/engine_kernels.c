/* Kernels: every level this CPU runs, every operation, every format, against f64 oracles that
 * dequantise exactly and independently of quant.c.
 *
 * Operands end at, or start behind, a page that may not be touched. Data is random, all +-127,
 * alternating, -128 weights, zero, huge and denormal scales, NaN and inf. Tolerances are derived
 * (kernels.h), never tuned. Quantised formats must give ref's very bits, and every format the bits
 * of its own product of one row by one row, whatever the number of rows. LMW_SEED changes the data
 * and is printed with a failure; LMW_CPU masks levels. */
#include "engine/kernels/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cpu.h"
#include "base/rng.h"
#include "engine/quant.h"

/* --- what is tested with what ---------------------------------------------------------------- */

static struct lmw_rng rng;
static unsigned long long seed = 20250101;
static struct lmw_kernels level[8]; /* [0] is ref */
static int n_level;

static const enum lmw_type formats[] = {LMW_F32,  LMW_F16,  LMW_BF16, LMW_Q8_0,
                                        LMW_Q4_K, LMW_Q5_K, LMW_Q6_K};
enum { N_FORMAT = sizeof formats / sizeof *formats };

enum data { RANDOM, ALL_MAX, ALTERNATING, LOWEST, ZERO_SCALE, HUGE_SCALE, TINY_SCALE, N_DATA };
static const char *const data_name[] = {"random",     "all max",    "alternating", "-128 weights",
                                        "zero scale", "huge scale", "tiny scale"};

static int setup(void **state)
{
    uint32_t mask, cpu = lmw_cpu_flags();
    struct lmw_err err;
    if (lmw_cpu_mask(getenv("LMW_CPU"), &mask, &err) < 0) {
        print_error("%s\n", err.msg);
        return -1;
    }
    const char *wanted = getenv("LMW_SEED");
    if (wanted)
        seed = strtoull(wanted, NULL, 0);
    lmw_rng_init(&rng, seed);
    for (const struct lmw_level *l = lmw_levels; l->name; l++) {
        if (l->cpu_flags & ~(cpu & mask)) {
            print_message("level %s: not run (this CPU or LMW_CPU does not allow it)\n", l->name);
            continue;
        }
        lmw_kernels_init(&level[n_level++], l->cpu_flags);
    }
    return 0;
}

#define FAIL(...)                        \
    do {                                 \
        print_error(__VA_ARGS__);        \
        fail_msg("LMW_SEED=%llu", seed); \
    } while (0)

static int below(int n)
{
    return (int)lmw_rng_below(&rng, (uint32_t)n);
}

/* --- operands against pages that may not be touched ------------------------------------------ */

enum { SLOT_SIZE = 1 << 22, PAGE = 4096, N_SLOT = 4 };

/* `size` bytes that start right behind, or end right before, an unmapped page. */
static void *guarded(int slot, size_t size)
{
    static uint8_t *base[N_SLOT];
    if (!base[slot]) {
        base[slot] =
            mmap(NULL, SLOT_SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(base[slot] != MAP_FAILED);
        assert_int_equal(mprotect(base[slot] + PAGE, SLOT_SIZE, PROT_READ | PROT_WRITE), 0);
    }
    assert_true(size <= SLOT_SIZE);
    return base[slot] + PAGE + (below(2) ? 0 : SLOT_SIZE - size);
}

/* --- random valid operands, and what they mean --------------------------------------------- */

static uint16_t random_scale(enum data kind)
{
    switch (kind) {
    case ZERO_SCALE: return below(2) ? 0 : 0x8000;
    case HUGE_SCALE: return (uint16_t)(0x7bff - below(64) + below(2) * 0x8000);
    case TINY_SCALE: return (uint16_t)(1 + below(0x3ff) + below(2) * 0x8000);
    default: return (uint16_t)((8 + below(8)) << 10 | below(1024) | below(2) << 15);
    }
}

static float random_f32(enum data kind)
{
    float f = (float)lmw_rng_normal(&rng);
    switch (kind) {
    case ALL_MAX: return 127;
    case ALTERNATING: return f < 0 ? -127.0f : 127.0f;
    case ZERO_SCALE: return 0;
    case HUGE_SCALE: return f * 1e12f;
    case TINY_SCALE: return f * 1e-12f;
    default: return f;
    }
}

static uint8_t random_byte(enum data kind, size_t i)
{
    switch (kind) {
    case ALL_MAX: return 0x7f | (uint8_t)(below(2) << 7);
    case ALTERNATING: return i % 2 ? 0x7f : 0x81;
    case LOWEST: return 0x80;
    default: return (uint8_t)below(256);
    }
}

static void put16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, 2);
}

/* n weights of a row. K-quants: the byte patterns are also nibbles and scales at their ends. */
static void random_weights(enum lmw_type t, uint8_t *w, int64_t n, enum data kind)
{
    size_t size = lmw_type_row_size(t, n), block = lmw_type_row_size(t, lmw_type_block(t));
    for (int64_t i = 0; i < n && lmw_type_block(t) == 1; i++) {
        float f = random_f32(kind == HUGE_SCALE && t == LMW_F16 ? RANDOM : kind);
        if (t == LMW_F32)
            memcpy(w + 4 * i, &f, 4);
        else
            put16(w + 2 * i, t == LMW_F16 ? lmw_f32_to_f16(f) : lmw_f32_to_bf16(f));
    }
    if (lmw_type_block(t) == 1)
        return;
    bool all_ones = kind == ALL_MAX && t != LMW_Q8_0 && below(2);
    for (size_t i = 0; i < size; i++)
        w[i] = all_ones ? 0xff : random_byte(kind, i);
    for (size_t b = 0; b < size / block; b++) {
        uint8_t *p = w + b * block;
        put16(t == LMW_Q6_K ? p + offsetof(struct lmw_block_q6_k, d) : p, random_scale(kind));
        if (t == LMW_Q4_K || t == LMW_Q5_K)
            put16(p + 2, random_scale(kind));
    }
}

static int8_t random_act(enum data kind, int i)
{
    switch (kind) {
    case ALL_MAX: return 127;
    case ALTERNATING: return i % 2 ? -127 : 127;
    case LOWEST: return -127;
    default: return (int8_t)(below(255) - 127);
    }
}

static size_t act_size(enum lmw_act a, int64_t n)
{
    return a == LMW_ACT_F32    ? (size_t)n * 4
           : a == LMW_ACT_Q8_0 ? (size_t)(n / 32) * sizeof(struct lmw_block_q8_0)
                               : (size_t)(n / LMW_QK) * sizeof(struct lmw_block_q8_k);
}

static void random_acts(enum lmw_act a, uint8_t *x, int64_t n, enum data kind)
{
    for (int64_t i = 0; a == LMW_ACT_F32 && i < n; i++) {
        float f = random_f32(kind);
        memcpy(x + 4 * i, &f, 4);
    }
    for (int64_t b = 0; a == LMW_ACT_Q8_0 && b < n / 32; b++) {
        struct lmw_block_q8_0 q = {.d = random_scale(kind) & 0x7fff};
        for (int i = 0; i < 32; i++)
            q.qs[i] = random_act(kind, i);
        memcpy(x + (size_t)b * sizeof q, &q, sizeof q);
    }
    for (int64_t b = 0; a == LMW_ACT_Q8_K && b < n / LMW_QK; b++) {
        struct lmw_block_q8_k q = {.d = fabsf((float)lmw_rng_normal(&rng))};
        q.d *= kind == ZERO_SCALE   ? 0.0f
               : kind == HUGE_SCALE ? 1e20f
               : kind == TINY_SCALE ? 1e-37f
                                    : 1;
        for (int i = 0; i < LMW_QK; i++) {
            q.qs[i] = random_act(kind, i);
            q.bsums[i / 16] = (int16_t)(q.bsums[i / 16] + q.qs[i]);
        }
        memcpy(x + (size_t)b * sizeof q, &q, sizeof q);
    }
}

/* The bits' value, by the definition of the format. */
static double half_value(const uint8_t *p)
{
    int h = p[0] | p[1] << 8, e = h >> 10 & 31, m = h & 1023;
    double v = e == 0    ? ldexp(m, -24)
               : e == 31 ? (m ? (double)NAN : (double)INFINITY)
                         : ldexp(1024 + m, e - 25);
    return h >> 15 ? -v : v;
}

static double float_value(const uint8_t *p)
{
    float f;
    memcpy(&f, p, 4);
    return (double)f;
}

static void scale_min(const uint8_t *s, int j, int *scale, int *min)
{
    *scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    *min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
}

/* Weight i of a row, as its two parts: it is scaled - min. */
static void weight(enum lmw_type t, const uint8_t *w, int64_t i, double *scaled, double *min)
{
    const uint8_t *p =
        w + (size_t)(i / lmw_type_block(t)) * lmw_type_row_size(t, lmw_type_block(t));
    int k = (int)(i % lmw_type_block(t)), sc, m;
    *scaled = *min = 0;
    switch (t) {
    case LMW_F32: *scaled = float_value(p); break;
    case LMW_F16: *scaled = half_value(p); break;
    case LMW_BF16: *scaled = float_value((uint8_t[4]){0, 0, p[0], p[1]}); break;
    case LMW_Q8_0: *scaled = half_value(p) * (int8_t)p[2 + k]; break;
    case LMW_Q4_K:
    case LMW_Q5_K: {
        const uint8_t *qs = p + (t == LMW_Q4_K ? 16 : 48);
        int q = qs[k / 64 * 32 + k % 32] >> (k / 32 % 2 * 4) & 15;
        if (t == LMW_Q5_K)
            q += 16 * (p[16 + k % 32] >> (k / 32) & 1);
        scale_min(p + 4, k / 32, &sc, &m);
        *scaled = half_value(p) * sc * q;
        *min = half_value(p + 2) * m;
        break;
    }
    case LMW_Q6_K: {
        int half = k / 128, quarter = k % 128 / 32, l = k % 32;
        int lo = p[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
        int q = lo + 16 * (p[128 + half * 32 + l] >> (2 * quarter) & 3) - 32;
        *scaled = half_value(p + 208) * (int8_t)p[192 + k / 16] * q;
        break;
    }
    }
}

static double act(enum lmw_act a, const uint8_t *x, int64_t i)
{
    if (a == LMW_ACT_F32)
        return float_value(x + 4 * i);
    if (a == LMW_ACT_Q8_0) {
        const uint8_t *p = x + (size_t)(i / 32) * sizeof(struct lmw_block_q8_0);
        return half_value(p) * (int8_t)p[2 + i % 32];
    }
    const uint8_t *p = x + (size_t)(i / LMW_QK) * sizeof(struct lmw_block_q8_k);
    return float_value(p) * (int8_t)p[4 + i % LMW_QK];
}

/* --- products -------------------------------------------------------------------------------- */

struct product {
    enum lmw_type type;
    enum lmw_act act;
    enum data w_data, x_data;
    int64_t n;
    int n_row, n_x;
    size_t w_stride, x_stride, ldy;
    uint8_t *w, *x;
};

static const float untouched = -12345.678f;

/* Strides leave gaps, so that a kernel that assumes packed rows fails. */
static struct product new_product(enum lmw_type type, int64_t n, int n_row, int n_x,
                                  enum data kind)
{
    struct product p = {type, level[0].mul[type].act, kind, kind, n, n_row, n_x};
    if (kind == HUGE_SCALE || kind == TINY_SCALE || kind == ZERO_SCALE)
        *(below(2) ? &p.w_data : &p.x_data) = RANDOM;
    size_t w_size = lmw_type_row_size(type, n), x_size = act_size(p.act, n);
    p.w_stride = w_size + (size_t)below(2) * 34;
    p.x_stride = x_size + (size_t)below(2) * 36;
    p.ldy = (size_t)n_row + (size_t)below(3);
    p.w = guarded(0, p.w_stride * (size_t)(n_row - 1) + w_size);
    p.x = guarded(1, p.x_stride * (size_t)(n_x - 1) + x_size);
    for (int i = 0; i < n_row; i++)
        random_weights(type, p.w + (size_t)i * p.w_stride, n, p.w_data);
    for (int j = 0; j < n_x; j++)
        random_acts(p.act, p.x + (size_t)j * p.x_stride, n, p.x_data);
    return p;
}

/* Rows i0 .. i0 + n_row by j0 .. j0 + n_x, into y with p->ldy. */
static void multiply(const struct product *p, const struct lmw_kernels *k, int i0, int n_row,
                     int j0, int n_x, float *y)
{
    k->mul[p->type].fn(p->n, n_row, n_x, p->w + (size_t)i0 * p->w_stride, p->w_stride,
                       p->x + (size_t)j0 * p->x_stride, p->x_stride, y, p->ldy);
}

static size_t y_len(const struct product *p)
{
    return p->ldy * (size_t)(p->n_x - 1) + (size_t)p->n_row;
}

static bool same_bits(float a, float b)
{
    uint32_t x, y;
    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    return x == y || (isnan(a) && isnan(b));
}

static void describe(const struct product *p, const struct lmw_kernels *k)
{
    print_error("%s %s: n %lld, %d rows by %d, weights %s, activations %s\n", k->level,
                lmw_type_name(p->type), (long long)p->n, p->n_row, p->n_x, data_name[p->w_data],
                data_name[p->x_data]);
}

/* The contract's bound. Products of denormals may also lose half the smallest step each. */
static void check_bound(const struct product *p, const struct lmw_kernels *k, const float *y)
{
    bool floats = lmw_type_block(p->type) == 1;
    int64_t n_block = p->n / lmw_type_block(p->type);
    double nb = floats ? 72 + (double)p->n / 512 : (double)n_block;
    for (int j = 0; j < p->n_x; j++)
        for (int i = 0; i < p->n_row; i++) {
            double sum = 0, size = 0;
            for (int64_t e = 0; e < p->n; e++) {
                double a, m, x = act(p->act, p->x + (size_t)j * p->x_stride, e);
                weight(p->type, p->w + (size_t)i * p->w_stride, e, &a, &m);
                sum += x * (a - m);
                size += fabs(x) * (fabs(a) + fabs(m));
            }
            double bound = (nb + 8) * ((double)FLT_EPSILON * size + (double)FLT_TRUE_MIN);
            double got = (double)y[(size_t)j * p->ldy + (size_t)i];
            if (size < (double)FLT_MAX && !(fabs(got - sum) <= bound)) {
                describe(p, k);
                FAIL("y[%d][%d]: %.9g, exact %.17g, bound %.3g\n", j, i, got, sum, bound);
            }
        }
}

static void check_same(const struct product *p, const struct lmw_kernels *k, const float *y,
                       const float *want, const char *what)
{
    for (size_t i = 0; i < y_len(p); i++) {
        float w = i % p->ldy < (size_t)p->n_row ? want[i] : untouched;
        if (!same_bits(y[i], w)) {
            describe(p, k);
            FAIL("y[%d][%d]: %.9g, %s %.9g\n", (int)(i / p->ldy), (int)(i % p->ldy), (double)y[i],
                 i % p->ldy < (size_t)p->n_row ? what : "not an output, was", (double)w);
        }
    }
}

static void one_by_one(const struct product *p, const struct lmw_kernels *k, float *y)
{
    for (int j = 0; j < p->n_x; j++)
        for (int i = 0; i < p->n_row; i++)
            multiply(p, k, i, 1, j, 1, y + (size_t)j * p->ldy + (size_t)i);
}

static void check_product(const struct product *p)
{
    static float ref[1 << 16], single[1 << 16];
    assert_true(y_len(p) <= 1 << 16);
    bool floats = lmw_type_block(p->type) == 1;
    for (int l = 0; l < n_level; l++) {
        float *y = guarded(2, y_len(p) * 4);
        for (size_t i = 0; i < y_len(p); i++)
            y[i] = untouched;
        multiply(p, &level[l], 0, p->n_row, 0, p->n_x, y);
        if (l == 0)
            memcpy(ref, y, y_len(p) * 4);
        one_by_one(p, &level[l], single);
        check_same(p, &level[l], y, single, "alone");
        if (!floats)
            check_same(p, &level[l], y, ref, "by ref");
        if (floats || l == 0)
            check_bound(p, &level[l], y);
        int i = below(p->n_row), j = below(p->n_x);
        multiply(p, &level[l], i, p->n_row - i, j, p->n_x - j, y + (size_t)j * p->ldy + (size_t)i);
        check_same(p, &level[l], y, single, "alone");
    }
}

static void products_small(void **state)
{
    for (int f = 0; f < N_FORMAT; f++)
        for (int n_row = 1; n_row <= 9; n_row++)
            for (int n_x = 1; n_x <= 9; n_x++)
                for (enum data d = 0; d < N_DATA; d++) {
                    int64_t n = (int64_t)below(4) * lmw_type_block(formats[f]);
                    struct product p = new_product(formats[f], n, n_row, n_x, d);
                    check_product(&p);
                }
}

static void products_of_every_length(void **state)
{
    for (int f = 0; f < N_FORMAT; f++)
        for (int n = 0; n <= 65; n++)
            for (int r = 0; r < 2; r++) {
                struct product p =
                    new_product(formats[f], (int64_t)n * lmw_type_block(formats[f]), 1 + below(9),
                                1 + below(9), (enum data)below(N_DATA));
                check_product(&p);
            }
}

/* Around the sizes where implementations change gear. */
static void products_large(void **state)
{
    static const struct {
        int n, n_row, n_x;
    } shapes[] = {{256, 258, 3},  {512, 5, 17},   {768, 3, 64},  {1024, 9, 25}, {1280, 4, 33},
                  {2304, 70, 12}, {256, 300, 16}, {4096, 2, 11}, {256, 1, 100}, {1536, 65, 27}};
    for (int f = 0; f < N_FORMAT; f++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            int64_t n = shapes[i].n;
            if (lmw_type_block(formats[f]) == 1)
                n += below(5) - 2;
            struct product p = new_product(formats[f], n, shapes[i].n_row, shapes[i].n_x, RANDOM);
            check_product(&p);
        }
}

/* Where the first scale (or element) of a row of operands is. */
static void poison(const struct product *p, bool in_w, int row, bool nan)
{
    uint8_t *b = in_w ? p->w + (size_t)row * p->w_stride : p->x + (size_t)row * p->x_stride;
    bool wide = in_w ? p->type == LMW_F32 : p->act != LMW_ACT_Q8_0;
    if (in_w && p->type == LMW_Q6_K)
        b += offsetof(struct lmw_block_q6_k, d);
    if (wide)
        memcpy(b, &(float){nan ? NAN : INFINITY}, 4);
    else if (in_w && p->type == LMW_BF16)
        put16(b, nan ? 0x7fc0 : 0x7f80);
    else
        put16(b, nan ? 0x7e00 : 0x7c00);
}

static void not_numbers_reach_their_outputs_only(void **state)
{
    for (int f = 0; f < N_FORMAT; f++)
        for (int round = 0; round < 40; round++) {
            int64_t n = (1 + below(3)) *
                        (lmw_type_block(formats[f]) == 1 ? 20 : lmw_type_block(formats[f]));
            struct product p = new_product(formats[f], n, 1 + below(9), 1 + below(20), RANDOM);
            bool in_w = below(2), nan = below(2);
            int row = below(in_w ? p.n_row : p.n_x);
            poison(&p, in_w, row, nan);
            for (int l = 0; l < n_level; l++) {
                float *y = guarded(2, y_len(&p) * 4);
                multiply(&p, &level[l], 0, p.n_row, 0, p.n_x, y);
                for (int j = 0; j < p.n_x; j++)
                    for (int i = 0; i < p.n_row; i++) {
                        float v = y[(size_t)j * p.ldy + (size_t)i];
                        bool reached = row == (in_w ? i : j);
                        if (reached ? (nan ? !isnan(v) : isfinite(v)) : !isfinite(v)) {
                            describe(&p, &level[l]);
                            FAIL("%s in %s row %d: y[%d][%d] = %g\n", nan ? "NaN" : "inf",
                                 in_w ? "weight" : "activation", row, j, i, (double)v);
                        }
                    }
            }
        }
}

/* --- activations ----------------------------------------------------------------------------- */

/* The step d is finite where the format can reach max|x|, the block is covered, and rounding is at
 * most half a step. A block too small for its scale is zero. */
static void check_steps(const struct lmw_kernels *k, enum lmw_act a, const float *x,
                        const int8_t *q, double d)
{
    int n = a == LMW_ACT_Q8_0 ? 32 : LMW_QK;
    double max = 0, reach = 127 * (a == LMW_ACT_Q8_0 ? 65504 : (double)FLT_MAX);
    bool numbers = true;
    for (int i = 0; i < n; i++) {
        numbers &= isfinite(x[i]) != 0;
        max = fmax(max, fabs((double)x[i]));
    }
    if (isfinite(d) != (numbers && max <= reach))
        FAIL("%s: a block up to %g has scale %g\n", k->level, max, d);
    if (a == LMW_ACT_Q8_0 ? d == 0 && max > 0 : d == 0 && max > 127 * (double)FLT_MIN)
        FAIL("%s: a block up to %g was lost\n", k->level, max);
    for (int i = 0; isfinite(d) && d > 0 && i < n; i++)
        if (q[i] < -127 || fabs((double)x[i] - d * q[i]) > d * (0.5 + 127 * (double)FLT_EPSILON))
            FAIL("%s: x %.9g became %d steps of %.9g\n", k->level, (double)x[i], q[i], d);
}

static void check_quantised(const struct lmw_kernels *k, enum lmw_act a, const float *x,
                            const uint8_t *y, int64_t n)
{
    for (int64_t b = 0; a == LMW_ACT_Q8_0 && b < n / 32; b++)
        check_steps(k, a, x + 32 * b, (const int8_t *)y + 34 * b + 2, half_value(y + 34 * b));
    for (int64_t b = 0; a == LMW_ACT_Q8_K && b < n / LMW_QK; b++) {
        struct lmw_block_q8_k q;
        memcpy(&q, y + (size_t)b * sizeof q, sizeof q);
        check_steps(k, a, x + LMW_QK * b, q.qs, (double)q.d);
        for (int i = 0; i < LMW_QK; i++)
            q.bsums[i / 16] = (int16_t)(q.bsums[i / 16] - q.qs[i]);
        for (int i = 0; i < 16; i++)
            assert_int_equal(q.bsums[i], 0);
    }
}

static void activations_keep_half_a_step(void **state)
{
    static const float sizes[] = {0,     1e-45f, 1e-41f, 1e-38f, 2e-36f, 3e-6f,  8e-6f, 1e-4f,
                                  7e-3f, 1,      300,    6e4f,   8e6f,   8.4e6f, 1e30f, 3e38f};
    for (int round = 0; round < 2 * 16 * 16; round++) {
        enum lmw_act a = round % 2 ? LMW_ACT_Q8_0 : LMW_ACT_Q8_K;
        float size = sizes[round / 2 % 16];
        int64_t n = 256 * below(4);
        float *x = guarded(0, (size_t)n * 4);
        for (int i = 0; i < n; i++)
            x[i] = (float)(2 * lmw_rng_unit(&rng) - 1) * size;
        if (n && below(2))
            x[below((int)n)] = below(4) ? -size : below(2) ? NAN : -INFINITY;
        uint8_t *ref = NULL;
        for (int l = 0; l < n_level; l++) {
            uint8_t *y = guarded(1 + (l > 0), act_size(a, n));
            ref = l ? ref : y;
            (a == LMW_ACT_Q8_0 ? level[l].quantize_q8_0 : level[l].quantize_q8_k)(x, y, n);
            if (memcmp(y, ref, act_size(a, n)) != 0)
                FAIL("%s differs from ref at size %g\n", level[l].level, (double)size);
            check_quantised(&level[l], a, x, y, n);
        }
    }
}

static void to_f16_rounds_like_the_format(void **state)
{
    for (int l = 0; l < n_level; l++)
        for (uint64_t from = (uint64_t)below(997); from < 1ull << 32; from += 997 * 37) {
            int n = 1 + below(37);
            float *x = guarded(0, (size_t)n * 4);
            uint16_t *y = guarded(1, (size_t)n * 2);
            for (int i = 0; i < n; i++)
                memcpy(&x[i], &(uint32_t){(uint32_t)(from + 997u * (unsigned)i)}, 4);
            level[l].to_f16(y, x, n);
            for (int i = 0; i < n; i++) {
                uint16_t want = lmw_f32_to_f16(x[i]);
                bool nan = (y[i] & 0x7fff) > 0x7c00;
                if (isnan(x[i]) ? !nan : y[i] != want)
                    FAIL("%s: to_f16(%.9g) = 0x%04x, not 0x%04x\n", level[l].level, (double)x[i],
                         y[i], want);
            }
        }
}

/* --- vectors --------------------------------------------------------------------------------- */

static float *random_vector(int slot, int64_t n, float scale)
{
    float *x = guarded(slot, (size_t)n * 4);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)lmw_rng_normal(&rng) * scale;
    return x;
}

static void check_close(const char *op, const struct lmw_kernels *k, int64_t i, int64_t n,
                        double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        FAIL("%s %s: n %lld, element %lld: %.9g, exact %.17g, bound %.3g\n", k->level, op,
             (long long)n, (long long)i, got, want, bound);
}

/* 0..70, then some that are longer than any unrolling. */
static int64_t length(int round)
{
    return round <= 70 ? round : 71 + below(3000);
}

static const double eps = (double)FLT_EPSILON;

static void rms_norm_is_within_three_roundings(void **state)
{
    for (int l = 0; l < n_level; l++)
        for (int round = 1; round < 100; round++) {
            int64_t n = length(round);
            float size = round % 3 == 0 ? 1.0f : round % 3 == 1 ? 1e-12f : 1e25f;
            float *x = random_vector(0, n, size), *w = random_vector(1, n, 1);
            float *y = below(2) ? x : guarded(2, (size_t)n * 4), *in = guarded(3, (size_t)n * 4);
            memcpy(in, x, (size_t)n * 4);
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                sum += (double)x[i] * (double)x[i];
            level[l].rms_norm(y, x, w, n, 1e-5f);
            for (int64_t i = 0; i < n; i++) {
                double want = (double)in[i] / sqrt(sum / (double)n + (double)1e-5f) * (double)w[i];
                check_close("rms_norm", &level[l], i, n, (double)y[i], want, 2 * eps * fabs(want));
            }
        }
}

static void softmax_is_a_distribution(void **state)
{
    for (int l = 0; l < n_level; l++)
        for (int round = 1; round < 100; round++) {
            int64_t n = length(round);
            float *x = random_vector(0, n, round % 2 ? 1 : 30), max = -INFINITY,
                  *in = guarded(1, (size_t)n * 4);
            if (n > 1)
                x[below((int)n)] = -INFINITY;
            if (n > 1 && x[0] == -INFINITY && n < 3)
                x[0] = 0;
            memcpy(in, x, (size_t)n * 4);
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                max = x[i] > max ? x[i] : max;
            for (int64_t i = 0; i < n; i++)
                sum += exp((double)(x[i] - max));
            level[l].softmax(x, n);
            for (int64_t i = 0; i < n; i++) {
                double want = exp((double)(in[i] - max)) / sum;
                check_close("softmax", &level[l], i, n, (double)x[i], want,
                            3 * eps * want + 3e-45);
            }
        }
}

static void mass_of_a_softmax(void **state)
{
    for (int l = 0; l < n_level; l++)
        for (int round = 1; round < 100; round++) {
            int64_t n = length(round);
            float *x = random_vector(0, n, round % 2 ? 1 : 30), max = -INFINITY;
            if (n > 2)
                x[1 + below((int)n - 1)] = -INFINITY;
            for (int64_t i = 0; i < n; i++)
                max = x[i] > max ? x[i] : max;
            double sum = 0, moment = 0;
            for (int64_t i = 0; i < n; i++) {
                double e = exp((double)x[i] - (double)max);
                sum += e;
                moment += e > 0 ? e * ((double)x[i] - (double)max) : 0;
            }
            struct lmw_mass m = level[l].mass(x, n);
            assert_true(m.max == (double)max);
            check_close("mass", &level[l], 0, n, m.sum, sum, 20 * eps * sum);
            check_close("moment", &level[l], 0, n, m.moment, moment, 20 * eps * (sum - moment));
        }
}

static void softmax_shows_what_is_no_number(void **state)
{
    for (int l = 0; l < n_level; l++)
        for (int n = 1; n < 20; n++) {
            float *x = random_vector(0, n, 1);
            x[below(n)] = n % 2 ? NAN : INFINITY;
            assert_true(isnan(level[l].mass(x, n).sum));
            level[l].softmax(x, n);
            for (int i = 0; i < n; i++)
                assert_true(isnan(x[i]));
            for (int i = 0; i < n; i++)
                x[i] = -INFINITY;
            assert_true(isnan(level[l].mass(x, n).sum));
            level[l].softmax(x, n);
            for (int i = 0; i < n; i++)
                assert_true(isnan(x[i]));
        }
}

/* Through all magnitudes of the gate: the exponential within 1 ulp of f32, a sum, a quotient and a
 * product of half an ulp each. */
static void swiglu_over_all_magnitudes(void **state)
{
    for (uint64_t from = (uint64_t)below(1999); from < 1ull << 32; from += 1999 * 29) {
        int n = 1 + below(29);
        float *gate = guarded(0, (size_t)n * 4), *up = random_vector(1, n, 1), first[32];
        for (int l = 0; l < n_level; l++) {
            for (int i = 0; i < n; i++)
                memcpy(&gate[i], &(uint32_t){(uint32_t)(from + 1999u * (unsigned)i)}, 4);
            float in[32];
            memcpy(in, gate, (size_t)n * 4);
            float *y = below(2) ? gate : guarded(2, (size_t)n * 4);
            level[l].swiglu(y, gate, up, n);
            for (int i = 0; i < n; i++) {
                double want = (double)in[i] / (1 + exp(-(double)in[i])) * (double)up[i];
                if (l && !same_bits(y[i], first[i]))
                    FAIL("%s swiglu(%.9g, %.9g): %.9g, ref %.9g\n", level[l].level, (double)in[i],
                         (double)up[i], (double)y[i], (double)first[i]);
                if (isnan(in[i]))
                    assert_true(isnan(y[i]));
                else if (in[i] > -87 && fabs(want) < (double)FLT_MAX)
                    check_close("swiglu", &level[l], i, n, (double)y[i], want,
                                3 * eps * fabs(want) + 3e-45);
                else if (isfinite(in[i]) && in[i] <= -87)
                    assert_true(fabsf(y[i]) < 1e-35f);
            }
            memcpy(first, y, l ? 0 : (size_t)n * 4);
        }
    }
}

static void add_adds(void **state)
{
    for (int l = 0; l < n_level; l++)
        for (int round = 0; round < 100; round++) {
            int64_t n = length(round);
            float *x = random_vector(0, n, 1), *y = random_vector(1, n, 1),
                  *was = guarded(2, (size_t)n * 4);
            memcpy(was, y, (size_t)n * 4);
            level[l].add(y, x, n);
            for (int64_t i = 0; i < n; i++)
                assert_true(same_bits(y[i], was[i] + x[i]));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_small),
        cmocka_unit_test(products_of_every_length),
        cmocka_unit_test(products_large),
        cmocka_unit_test(not_numbers_reach_their_outputs_only),
        cmocka_unit_test(activations_keep_half_a_step),
        cmocka_unit_test(to_f16_rounds_like_the_format),
        cmocka_unit_test(rms_norm_is_within_three_roundings),
        cmocka_unit_test(softmax_is_a_distribution),
        cmocka_unit_test(mass_of_a_softmax),
        cmocka_unit_test(softmax_shows_what_is_no_number),
        cmocka_unit_test(swiglu_over_all_magnitudes),
        cmocka_unit_test(add_adds),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
