/* Kernels, one by one: every operation, format and level.
 *
 *     bench_kernels [--level NAME] [--op TEXT] [--format TEXT] [--ms N] [--json]
 *
 * A matrix product is given in GB/s of weights read and GFLOP/s (2 n n_row n_x). Beside it stands
 * what this machine can do: `read`, a plain pass over as many bytes at the same place, and `fma`,
 * independent AVX2 multiply-adds in registers. Small matrices stay in cache, as in a small model;
 * large ones are walked through copies of 256 MB in all, as in a large one.
 * Time is this thread's CPU time, so a busy machine disturbs only what it shares (memory, caches):
 * the median over slices of N ms (default 5) and the fastest. */
#include "engine/kernels/kernels.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/clock.h"
#include "base/cpu.h"
#include "base/rng.h"
#include "engine/quant.h"

enum { N_SLICE = 31 };
static const size_t cold_bytes = 256u << 20;

static struct {
    const char *level, *op, *format;
    int64_t slice_ns;
    bool json;
} opt = {NULL, NULL, NULL, 5 * 1000000, false};

struct figure {
    double median_ns, best_ns; /* per call */
};

typedef void work_fn(void *arg);

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct figure measure(work_fn *fn, void *arg)
{
    double t[N_SLICE];
    int64_t calls = 1;
    fn(arg);
    for (int s = 0; s < N_SLICE;) {
        int64_t from = lmw_thread_cpu_ns();
        for (int64_t i = 0; i < calls; i++)
            fn(arg);
        int64_t ns = lmw_thread_cpu_ns() - from;
        if (ns >= opt.slice_ns)
            t[s++] = (double)ns / (double)calls;
        else
            calls = ns < opt.slice_ns / 8 ? calls * 4 : calls * opt.slice_ns / ns + 1;
    }
    qsort(t, N_SLICE, sizeof *t, by_value);
    return (struct figure){t[N_SLICE / 2], t[0]};
}

/* --- what the machine can do ----------------------------------------------------------------- */

struct bytes {
    const uint8_t *p;
    size_t size, n_copy, next;
};

static volatile uint64_t sink;

/* Four streams at once, as fast as 16-byte loads go. */
static void read_bytes(void *arg)
{
    typedef uint64_t wide __attribute__((vector_size(16)));
    struct bytes *b = arg;
    size_t quarter = b->size / 4 / 32 * 32;
    const uint8_t *p = b->p + b->next * b->size, *end = p + quarter;
    b->next = (b->next + 1) % b->n_copy;
    wide s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    for (; p < end; p += 32) {
        wide v[8];
        for (int i = 0; i < 4; i++)
            memcpy(&v[2 * i], p + (size_t)i * quarter, 32);
        s0 += v[0] ^ v[1];
        s1 += v[2] ^ v[3];
        s2 += v[4] ^ v[5];
        s3 += v[6] ^ v[7];
    }
    s0 += s1 + s2 + s3;
    sink = s0[0] + s0[1];
}

#if defined(__x86_64__)
LMW_TARGET("avx2,fma") static void fma_work(void *arg)
{
    __m256 a[10], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-3f);
    for (int i = 0; i < 10; i++)
        a[i] = _mm256_set1_ps((float)i);
    for (int k = 0; k < 10000; k++) {
#define STEP(i)                         \
    a[i] = _mm256_fmadd_ps(a[i], x, y); \
    __asm__("" : "+x"(a[i]));
        STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8) STEP(9)
#undef STEP
    }
    float t[8];
    for (int i = 1; i < 10; i++)
        a[0] = _mm256_add_ps(a[0], a[i]);
    _mm256_storeu_ps(t, a[0]);
    sink = (uint64_t)t[0];
}

static double fma_gflops(void)
{
    return lmw_cpu_flags() & LMW_CPU_AVX2 ? 2.0 * 8 * 10 * 10000 / measure(fma_work, NULL).best_ns
                                          : 0;
}
#else
static double fma_gflops(void)
{
    return 0;
}
#endif

/* --- products -------------------------------------------------------------------------------- */

struct product {
    const struct lmw_kernels *k;
    enum lmw_type type;
    int n, n_row, n_x;
    size_t w_stride, x_stride, copy_size, n_copy, next;
    uint8_t *w, *x;
    float *y;
};

static void multiply(void *arg)
{
    struct product *p = arg;
    p->k->mul[p->type].fn(p->n, p->n_row, p->n_x, p->w + p->next * p->copy_size, p->w_stride, p->x,
                          p->x_stride, p->y, (size_t)p->n_row);
    p->next = (p->next + 1) % p->n_copy;
}

static void *need(void *p)
{
    if (!p) {
        fprintf(stderr, "bench_kernels: out of memory\n");
        exit(1);
    }
    return p;
}

static size_t act_row(const struct product *p)
{
    static const size_t block[] = {4, sizeof(struct lmw_block_q8_0),
                                   sizeof(struct lmw_block_q8_k)};
    static const int n[] = {1, 32, LMW_QK};
    enum lmw_act a = p->k->mul[p->type].act;
    return (size_t)(p->n / n[a]) * block[a];
}

static void fill(struct product *p)
{
    struct lmw_rng rng;
    lmw_rng_init(&rng, 1);
    float *row = need(malloc((size_t)p->n * 4));
    for (int j = 0; j < p->n_x; j++) {
        for (int i = 0; i < p->n; i++)
            row[i] = (float)lmw_rng_normal(&rng);
        uint8_t *x = p->x + (size_t)j * p->x_stride;
        switch (p->k->mul[p->type].act) {
        case LMW_ACT_F32: memcpy(x, row, (size_t)p->n * 4); break;
        case LMW_ACT_Q8_0: p->k->quantize_q8_0(row, x, p->n); break;
        case LMW_ACT_Q8_K: p->k->quantize_q8_k(row, x, p->n); break;
        }
    }
    /* One row of real weights, again and again: the values do not change the time. */
    lmw_from_f32(p->type, row, p->w, p->n);
    for (size_t i = 1; i < p->n_copy * (size_t)p->n_row; i++)
        memcpy(p->w + i * p->w_stride, p->w, p->w_stride);
    free(row);
}

static void bench_product(const struct lmw_kernels *k, enum lmw_type type, int n_row, int n,
                          int n_x)
{
    struct product p = {.k = k, .type = type, .n = n, .n_row = n_row, .n_x = n_x};
    p.w_stride = lmw_type_row_size(type, n);
    p.x_stride = act_row(&p);
    p.copy_size = p.w_stride * (size_t)n_row;
    p.n_copy = p.copy_size < 2u << 20 ? 1 : cold_bytes / p.copy_size + 1;
    p.w = need(malloc(p.copy_size * p.n_copy));
    p.x = need(malloc(p.x_stride * (size_t)n_x));
    p.y = need(malloc((size_t)n_row * (size_t)n_x * 4));
    fill(&p);
    struct figure f = measure(multiply, &p);
    struct bytes b = {p.w, p.copy_size, p.n_copy, 0};
    double read = (double)p.copy_size / measure(read_bytes, &b).median_ns;
    double flop = 2.0 * n * n_row * n_x, gb = (double)p.copy_size / f.median_ns;
    if (opt.json)
        printf(
            "{\"op\": \"mul\", \"format\": \"%s\", \"level\": \"%s\", \"n_row\": %d, \"n\": %d, "
            "\"n_x\": %d, \"cold\": %s, \"ns\": %.0f, \"best_ns\": %.0f, \"gb_s\": %.3f, "
            "\"read_gb_s\": %.3f, \"gflop_s\": %.3f}\n",
            lmw_type_name(type), k->level, n_row, n, n_x, p.n_copy > 1 ? "true" : "false",
            f.median_ns, f.best_ns, gb, read, flop / f.median_ns);
    else
        printf("%-6s %-6s %5d x %-5d x %-3d %12.0f ns (best %12.0f) %8.2f GB/s of %6.2f read "
               "%8.1f GFLOP/s\n",
               k->level, lmw_type_name(type), n_row, n, n_x, f.median_ns, f.best_ns, gb, read,
               flop / f.median_ns);
    free(p.w);
    free(p.x);
    free(p.y);
}

/* --- vectors --------------------------------------------------------------------------------- */

enum { N_VEC = 2048 };

struct vectors {
    const struct lmw_kernels *k;
    float x[N_VEC], gap_1[72], y[N_VEC], gap_2[72], w[N_VEC]; /* no 4 KB aliases */
    uint8_t out[N_VEC * 4];
};

static void do_quantize_q8_0(void *arg)
{
    struct vectors *v = arg;
    v->k->quantize_q8_0(v->x, v->out, N_VEC);
}
static void do_quantize_q8_k(void *arg)
{
    struct vectors *v = arg;
    v->k->quantize_q8_k(v->x, v->out, N_VEC);
}
static void do_rms_norm(void *arg)
{
    struct vectors *v = arg;
    v->k->rms_norm(v->y, v->x, v->w, N_VEC, 1e-5f);
}
static void do_softmax(void *arg)
{
    struct vectors *v = arg;
    memcpy(v->y, v->x, sizeof v->y);
    v->k->softmax(v->y, N_VEC);
}
static void do_mass(void *arg)
{
    struct vectors *v = arg;
    v->y[0] = (float)v->k->mass(v->x, N_VEC).sum;
}
static void do_swiglu(void *arg)
{
    struct vectors *v = arg;
    v->k->swiglu(v->y, v->x, v->w, N_VEC);
}
static void do_add(void *arg)
{
    struct vectors *v = arg;
    v->k->add(v->y, v->x, N_VEC);
}
static void do_to_f16(void *arg)
{
    struct vectors *v = arg;
    v->k->to_f16((uint16_t *)(void *)v->out, v->x, N_VEC);
}

static const struct {
    const char *name;
    work_fn *fn;
} vector_ops[] = {
    {"quantize_q8_0", do_quantize_q8_0},
    {"quantize_q8_k", do_quantize_q8_k},
    {"rms_norm", do_rms_norm},
    {"softmax", do_softmax},
    {"mass", do_mass},
    {"swiglu", do_swiglu},
    {"add", do_add},
    {"to_f16", do_to_f16},
};

static bool wanted(const char *filter, const char *name)
{
    return !filter || strstr(name, filter);
}

static void bench_vectors(const struct lmw_kernels *k)
{
    static struct vectors v;
    struct lmw_rng rng;
    lmw_rng_init(&rng, 1);
    v.k = k;
    for (int i = 0; i < N_VEC; i++) {
        v.x[i] = (float)lmw_rng_normal(&rng);
        v.w[i] = (float)lmw_rng_normal(&rng);
    }
    for (size_t i = 0; i < sizeof vector_ops / sizeof *vector_ops; i++) {
        if (!wanted(opt.op, vector_ops[i].name))
            continue;
        struct figure f = measure(vector_ops[i].fn, &v);
        if (opt.json)
            printf(
                "{\"op\": \"%s\", \"level\": \"%s\", \"n\": %d, \"ns\": %.1f, \"best_ns\": %.1f, "
                "\"elements_per_ns\": %.3f}\n",
                vector_ops[i].name, k->level, N_VEC, f.median_ns, f.best_ns, N_VEC / f.median_ns);
        else
            printf("%-6s %-14s %5d %22.0f ns (best %12.0f) %8.2f elements/ns\n", k->level,
                   vector_ops[i].name, N_VEC, f.median_ns, f.best_ns, N_VEC / f.median_ns);
    }
}

static void bench_level(const struct lmw_kernels *k)
{
    static const enum lmw_type formats[] = {LMW_F32,  LMW_F16,  LMW_BF16, LMW_Q8_0,
                                            LMW_Q4_K, LMW_Q5_K, LMW_Q6_K};
    static const int shapes[][2] = {{256, 768}, {768, 256}, {2048, 8192}}; /* n_row, n */
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (int s = 0; s < 3; s++)
            for (int n_x = 1; n_x <= 64; n_x *= 64)
                if (wanted(opt.op, "mul") && wanted(opt.format, lmw_type_name(formats[f])))
                    bench_product(k, formats[f], shapes[s][0], shapes[s][1], n_x);
    bench_vectors(k);
}

static int usage(void)
{
    fprintf(stderr,
            "usage: bench_kernels [--level NAME] [--op TEXT] [--format TEXT] [--ms N] [--json]\n");
    return 2;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--json") == 0) {
            opt.json = true;
            continue;
        }
        if (!value)
            return usage();
        if (strcmp(argv[i], "--level") == 0)
            opt.level = value;
        else if (strcmp(argv[i], "--op") == 0)
            opt.op = value;
        else if (strcmp(argv[i], "--format") == 0)
            opt.format = value;
        else if (strcmp(argv[i], "--ms") == 0 && strtol(value, NULL, 10) > 0)
            opt.slice_ns = strtol(value, NULL, 10) * 1000000;
        else
            return usage();
        i++;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    double fma = fma_gflops();
    if (opt.json)
        printf("{\"op\": \"fma\", \"gflop_s\": %.1f}\n", fma);
    else
        printf("AVX2 multiply-adds in registers: %.1f GFLOP/s on one core\n", fma);
    for (const struct lmw_level *l = lmw_levels; l->name; l++) {
        if ((l->cpu_flags & ~lmw_cpu_flags()) || (opt.level && strcmp(opt.level, l->name) != 0))
            continue;
        struct lmw_kernels k;
        lmw_kernels_init(&k, l->cpu_flags);
        bench_level(&k);
    }
    return 0;
}
