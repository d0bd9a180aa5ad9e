/* The blocks and the whole network, forward and backward, against a second implementation
 * written here in double, plainly, and its central differences.
 *
 * In double with h = 1e-5 a central difference is good to about 1e-9 of the gradient's size,
 * so what the tolerance must allow is the f32 side alone: sums of up to a few hundred terms,
 * each step rounding by 6e-8, through two layers. TOLERANCE, relative to the largest gradient
 * of the same tensor, leaves a factor of about 5 over what was seen. A wrong sign, factor or
 * index is off by about 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/trainer.h"

#define TOLERANCE 2e-5
enum { MOST = 1 << 15 };

/* ---- the second implementation ---- */

static void ref_dense(int n, int n_in, int n_out, const double *x, const double *w, double *y)
{
    for (int t = 0; t < n; t++)
        for (int o = 0; o < n_out; o++) {
            double sum = 0;
            for (int i = 0; i < n_in; i++)
                sum += x[t * n_in + i] * w[o * n_in + i];
            y[t * n_out + o] = sum;
        }
}

static void ref_rmsnorm(int n, int dim, const double *x, const double *g, double *y)
{
    for (int t = 0; t < n; t++) {
        double sum = 0;
        for (int i = 0; i < dim; i++)
            sum += x[t * dim + i] * x[t * dim + i];
        for (int i = 0; i < dim; i++)
            y[t * dim + i] = g[i] * x[t * dim + i] / sqrt(sum / dim + (double)LMW_NORM_EPS);
    }
}

static void ref_rope(int n, int n_head, int head_dim, int stride, double *x)
{
    for (int t = 0; t < n; t++)
        for (int h = 0; h < n_head; h++)
            for (int i = 0; i < head_dim / 2; i++) {
                double *pair = x + t * stride + h * head_dim + 2 * i;
                double angle = t / pow(10000, 2.0 * i / head_dim);
                double a = pair[0], b = pair[1];
                pair[0] = a * cos(angle) - b * sin(angle);
                pair[1] = a * sin(angle) + b * cos(angle);
            }
}

static void ref_attention(int n, struct lmw_heads h, const double *qkv, double *out)
{
    int d = h.head_dim, ld = lmw_qkv_dim(h);
    for (int i = 0; i < h.n_head; i++)
        for (int t = 0; t < n; t++) {
            const double *q = qkv + t * ld + i * d;
            const double *k = qkv + (h.n_head + i * h.n_head_kv / h.n_head) * d;
            double weight[64], sum = 0, *o = out + (t * h.n_head + i) * d;
            memset(o, 0, (size_t)d * sizeof *o);
            for (int s = 0; s <= t; s++) {
                double dot = 0;
                for (int j = 0; j < d; j++)
                    dot += q[j] * k[s * ld + j];
                sum += weight[s] = exp(dot / sqrt(d));
            }
            for (int s = 0; s <= t; s++)
                for (int j = 0; j < d; j++)
                    o[j] += weight[s] / sum * k[s * ld + h.n_head_kv * d + j];
        }
}

static void ref_swiglu(int n, int n_ff, const double *gu, double *act)
{
    for (int t = 0; t < n; t++)
        for (int i = 0; i < n_ff; i++) {
            double g = gu[t * 2 * n_ff + i];
            act[t * n_ff + i] = g / (1 + exp(-g)) * gu[t * 2 * n_ff + n_ff + i];
        }
}

static double ref_cross_entropy(int n, const double *logits, int target)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += exp(logits[i]);
    return log(sum) - logits[target];
}

static double x[MOST], h[MOST], big[MOST], mid[MOST], logits[MOST];

/* The model's own text book: one sequence at a time. Returns the weighted sum of
 * cross-entropies. */
static double ref_sequence(const struct lmw_net *net, const double *p, int n, const int32_t *id,
                           const float *weight)
{
    const struct lmw_train_shape *s = &net->shape;
    const int dim = s->n_embd;
    for (int t = 0; t < n; t++)
        memcpy(x + t * dim, p + net->embd + (size_t)(id[t] * dim), (size_t)dim * sizeof *x);
    for (int l = 0; l < s->n_layer; l++) {
        const struct lmw_net_layer *at = &net->layer[l];
        ref_rmsnorm(n, dim, x, p + at->attn_norm, h);
        ref_dense(n, dim, net->qkv_dim, h, p + at->qkv, big);
        ref_rope(n, s->n_head + s->n_head_kv, net->heads.head_dim, net->qkv_dim, big);
        ref_attention(n, net->heads, big, mid);
        ref_dense(n, dim, dim, mid, p + at->out, h);
        for (int i = 0; i < n * dim; i++)
            x[i] += h[i];
        ref_rmsnorm(n, dim, x, p + at->ffn_norm, h);
        ref_dense(n, dim, 2 * s->n_ff, h, p + at->gate_up, big);
        ref_swiglu(n, s->n_ff, big, mid);
        ref_dense(n, s->n_ff, dim, mid, p + at->down, h);
        for (int i = 0; i < n * dim; i++)
            x[i] += h[i];
    }
    ref_rmsnorm(n, dim, x, p + net->out_norm, h);
    ref_dense(n, dim, s->n_vocab, h, p + net->embd, logits);
    double loss = 0;
    for (int t = 0; t + 1 < n; t++)
        loss += (double)weight[t + 1] *
                ref_cross_entropy(s->n_vocab, logits + t * s->n_vocab, id[t + 1]);
    return loss;
}

/* ---- helpers ---- */

static struct lmw_rng rng;

static void fill(float *f, double *d, int n)
{
    for (int i = 0; i < n; i++) {
        f[i] = (float)lmw_rng_normal(&rng);
        if (d)
            d[i] = (double)f[i];
    }
}

static void close_to(const char *what, int n, const float *got, const double *want)
{
    double most = 0, off = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, fabs(want[i]));
    for (int i = 0; i < n; i++)
        off = fmax(off, fabs((double)got[i] - want[i]) / most);
    if (!(off <= TOLERANCE))
        fail_msg("%s: off by %g of the largest of %d", what, off, n);
}

/* d(sum(y * dy))/dv by central differences of `run`, which computes y[n_y]. */
static void differences(void (*run)(double *y), int n_y, const float *dy, int n, double *v,
                        double *out)
{
    static double y[MOST];
    const double step = 1e-5;
    for (int i = 0; i < n; i++) {
        double keep = v[i], side[2];
        for (int k = 0; k < 2; k++) {
            v[i] = keep + (k ? step : -step);
            run(y);
            side[k] = 0;
            for (int j = 0; j < n_y; j++)
                side[k] += y[j] * (double)dy[j];
        }
        v[i] = keep;
        out[i] = (side[1] - side[0]) / (2 * step);
    }
}

/* ---- one block at a time: inputs a and b, output y ---- */

enum { N = 7, DIM = 24, OUT = 20 };
static float a[MOST], b[MOST], y[MOST], dy[MOST], da[MOST], db[MOST], extra[MOST];
static double a64[MOST], b64[MOST], y64[MOST], want[MOST];

static void run_dense(double *out)
{
    ref_dense(N, DIM, OUT, a64, b64, out);
}

static void dense(void **state)
{
    fill(a, a64, N * DIM);
    fill(b, b64, OUT * DIM);
    fill(dy, NULL, N * OUT);
    run_dense(y64);
    lmw_train_dense(N, DIM, OUT, a, b, y, 0);
    close_to("dense", N * OUT, y, y64);
    lmw_train_dense_dx(N, DIM, OUT, dy, b, da);
    differences(run_dense, N * OUT, dy, N * DIM, a64, want);
    close_to("dense dx", N * DIM, da, want);
    memset(db, 0, sizeof db);
    lmw_train_dense_dw(N, DIM, OUT, dy, a, db);
    differences(run_dense, N * OUT, dy, OUT * DIM, b64, want);
    close_to("dense dw", OUT * DIM, db, want);

    lmw_train_dense(N, DIM, OUT, a, b, y, 1);
    for (int i = 0; i < N * OUT; i++)
        y64[i] *= 2;
    close_to("dense, added", N * OUT, y, y64);
}

static void run_rmsnorm(double *out)
{
    ref_rmsnorm(N, DIM, a64, b64, out);
}

static void rmsnorm(void **state)
{
    fill(a, a64, N * DIM);
    fill(b, b64, DIM);
    fill(dy, NULL, N * DIM);
    run_rmsnorm(y64);
    lmw_train_rmsnorm(N, DIM, a, b, y, extra);
    close_to("rmsnorm", N * DIM, y, y64);
    memset(db, 0, sizeof db);
    fill(da, y64, N * DIM); /* what is there is added to */
    lmw_train_rmsnorm_back(N, DIM, a, b, extra, dy, da, db);
    differences(run_rmsnorm, N * DIM, dy, N * DIM, a64, want);
    for (int i = 0; i < N * DIM; i++)
        want[i] += y64[i];
    close_to("rmsnorm dx", N * DIM, da, want);
    differences(run_rmsnorm, N * DIM, dy, DIM, b64, want);
    close_to("rmsnorm dg", DIM, db, want);
}

enum { HEADS = 3, HEAD_DIM = 8, STRIDE = 30 };

static void run_rope(double *out)
{
    memcpy(out, a64, N * STRIDE * sizeof *out);
    ref_rope(N, HEADS, HEAD_DIM, STRIDE, out);
}

static void rope(void **state)
{
    static float table[N * HEAD_DIM];
    lmw_train_rope_table(N, HEAD_DIM, table);
    fill(a, a64, N * STRIDE);
    fill(dy, NULL, N * STRIDE);
    run_rope(y64);
    lmw_train_rope(N, HEADS, HEAD_DIM, STRIDE, table, 1, a);
    close_to("rope", N * STRIDE, a, y64);
    differences(run_rope, N * STRIDE, dy, N * STRIDE, a64, want);
    lmw_train_rope(N, HEADS, HEAD_DIM, STRIDE, table, -1, dy);
    close_to("rope back", N * STRIDE, dy, want);
}

static const struct lmw_heads heads = {4, 2, 8};
enum { QKV = (4 + 2 * 2) * 8, ATT = 4 * 8, N_ATT = 9 };

static void run_attention(double *out)
{
    ref_attention(N_ATT, heads, a64, out);
}

static void attention(void **state)
{
    fill(a, a64, N_ATT * QKV);
    fill(dy, NULL, N_ATT * ATT);
    run_attention(y64);
    lmw_train_attention(N_ATT, heads, a, extra, y);
    close_to("attention", N_ATT * ATT, y, y64);
    fill(da, NULL, N_ATT * QKV); /* must be overwritten */
    lmw_train_attention_back(N_ATT, heads, a, extra, dy, b, da);
    differences(run_attention, N_ATT * ATT, dy, N_ATT * QKV, a64, want);
    close_to("attention back", N_ATT * QKV, da, want);
}

static void run_swiglu(double *out)
{
    ref_swiglu(N, OUT, a64, out);
}

static void swiglu(void **state)
{
    fill(a, a64, N * 2 * OUT);
    fill(dy, NULL, N * OUT);
    run_swiglu(y64);
    lmw_train_swiglu(N, OUT, a, y);
    close_to("swiglu", N * OUT, y, y64);
    differences(run_swiglu, N * OUT, dy, N * 2 * OUT, a64, want);
    lmw_train_swiglu_back(N, OUT, a, dy);
    close_to("swiglu back", N * 2 * OUT, a, want);
}

/* Gates far outside the range of exp: silu is 0 or the identity, and nothing is NaN. */
static void swiglu_extremes(void **state)
{
    float gu[16] = {-1e4f, -200, -100, -87, 1e4f, 200, 100, 88, 1, 1, 1, 1, 1, 1, 1, 1}, act[8];
    float one[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    lmw_train_swiglu(1, 8, gu, act);
    for (int i = 0; i < 4; i++) {
        assert_true(act[i] <= 0 && act[i] > -1e-28f);
        assert_true(act[4 + i] == gu[4 + i]);
    }
    lmw_train_swiglu_back(1, 8, gu, one);
    for (int i = 0; i < 16; i++)
        assert_true(isfinite(gu[i]));
}

static void run_cross_entropy(double *out)
{
    *out = ref_cross_entropy(DIM - 1, a64, 5);
}

static void cross_entropy(void **state)
{
    const float scale = 0.25f;
    fill(a, a64, DIM - 1); /* a vocabulary of any size */
    differences(run_cross_entropy, 1, &scale, DIM - 1, a64, want);
    run_cross_entropy(y64);
    double loss = lmw_train_cross_entropy(DIM - 1, a, 5, scale);
    assert_true(fabs(loss - *y64) < 1e-6);
    close_to("cross-entropy back", DIM - 1, a, want);
}

/* The largest logit decides alone, however far apart they are. */
static void cross_entropy_extremes(void **state)
{
    float row[5] = {1e4f, -1e4f, 0, 9e3f, 1};
    assert_true(lmw_train_cross_entropy(5, row, 0, 1) == 0);
    float again[5] = {1e4f, -1e4f, 0, 9e3f, 1};
    assert_true(fabs(lmw_train_cross_entropy(5, again, 1, 1) - 2e4) < 1);
    for (int i = 0; i < 5; i++)
        assert_true(isfinite(row[i]) && isfinite(again[i]));
}

/* ---- the whole network ---- */

static double loss_of(const struct lmw_net *net, const double *p,
                      const struct lmw_net_batch *batch)
{
    double loss = 0;
    for (int i = 0; i < batch->n_seq; i++)
        loss += ref_sequence(net, p, batch->start[i + 1] - batch->start[i],
                             batch->id + batch->start[i], batch->weight + batch->start[i]);
    return loss;
}

static void network(void **state)
{
    const struct lmw_train_shape shape = {.n_embd = 16,
                                          .n_layer = 2,
                                          .n_head = 4,
                                          .n_head_kv = 2,
                                          .n_ff = 20,
                                          .n_vocab = 13,
                                          .n_ctx = 12};
    enum { N_TOK = 20 };
    int32_t id[N_TOK], start[] = {0, 5, 17, 20};
    float weight[N_TOK];
    for (int i = 0; i < N_TOK; i++) {
        id[i] = (int32_t)lmw_rng_below(&rng, 13);
        weight[i] = (float[]){1, 0, 0.1f}[lmw_rng_below(&rng, 3)];
    }
    weight[1] = weight[19] = 1;
    struct lmw_net_batch batch = {id, weight, start, 3};
    struct lmw_arena arena;
    struct lmw_err err;
    struct lmw_net net;
    assert_int_equal(lmw_arena_open(&arena, 1 << 26, &err), 0);
    assert_int_equal(lmw_net_init(&net, &shape, &arena, &err), 0);
    struct lmw_net_work *work = lmw_net_work_new(&net, N_TOK, &arena);
    assert_non_null(work);

    const int n = (int)net.n_param;
    assert_true(n < MOST);
    fill(a, a64, n);
    for (int i = 0; i < n; i++) {
        a[i] *= 0.4f;
        a64[i] = (double)a[i];
    }
    memset(da, 0, sizeof da);
    lmw_net_forward(&net, work, a, &batch);
    double loss = lmw_net_loss(&net, work, a, &batch, 0, 0.5f, da);
    lmw_net_backward(&net, work, a, &batch, da);
    double loss64 = loss_of(&net, a64, &batch);
    assert_true(fabs(loss - loss64) < 1e-5 * loss64);
    for (int i = 0; i < n; i++) {
        const double step = 1e-5, keep = a64[i];
        a64[i] = keep + step;
        want[i] = loss_of(&net, a64, &batch);
        a64[i] = keep - step;
        want[i] = 0.5 * (want[i] - loss_of(&net, a64, &batch)) / (2 * step);
        a64[i] = keep;
    }
    const int n_matrix = (int)net.n_matrix;
    close_to("embedding", 13 * 16, da, want);
    close_to("matrices", n_matrix, da, want);
    close_to("norms", n - n_matrix, da + n_matrix, want + n_matrix);

    /* The loss alone, over the answers alone. */
    for (int i = 0; i < N_TOK; i++)
        weight[i] = weight[i] < 1 ? 0 : 1;
    loss64 = loss_of(&net, a64, &batch);
    lmw_net_forward(&net, work, a, &batch);
    assert_true(fabs(lmw_net_loss(&net, work, a, &batch, 1, 0, NULL) - loss64) < 1e-5 * loss64);
    lmw_arena_close(&arena);
}

/* ---- Muon ---- */

/* The rule in f64, row by row as muon.c's head states it, on a matrix that is not turned. */
static void ref_orthogonalise(int r, int c, double *u)
{
    double gram[256], poly[256], next[512];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < r; i++)
            for (int j = 0; j < r; j++) {
                gram[i * r + j] = 0;
                for (int k = 0; k < c; k++)
                    gram[i * r + j] += u[i * c + k] * u[j * c + k];
            }
        for (int i = 0; i < r; i++)
            for (int j = 0; j < r; j++) {
                poly[i * r + j] = -4.7750 * gram[i * r + j] + (i == j ? 3.4445 : 0);
                for (int k = 0; k < r; k++)
                    poly[i * r + j] += 2.0315 * gram[i * r + k] * gram[k * r + j];
            }
        for (int i = 0; i < r; i++)
            for (int j = 0; j < c; j++) {
                next[i * c + j] = 0;
                for (int k = 0; k < r; k++)
                    next[i * c + j] += poly[i * r + k] * u[k * c + j];
            }
        memcpy(u, next, (size_t)(r * c) * sizeof *u);
    }
}

/* One shape, two updates, so that the momentum counts. A tall matrix is the reference turned.
 * Bound: a round's three products round by at most 10 c eps (10: the sum of the coefficients),
 * and each later round multiplies what is there by at most 4 (the quintic's steepest slope on
 * [0, 1.2]): 10 c eps (1 + 4 + ... + 4^4) = 3410 c eps on an entry of x. */
static void muon_shape(int rows, int cols)
{
    const struct lmw_muon k = {
        .lr = 0.01f, .momentum = 0.9f, .weight_decay = 0.5f, .grad_scale = 0.5f};
    const bool turned = rows > cols;
    const int n = rows * cols, r = turned ? cols : rows, c = turned ? rows : cols;
    static float g[512], p[512], m[512], work[4096];
    static double g64[512], p64[512], m64[512], u[512];
    assert_true(n <= 512 && r <= 16 && lmw_muon_floats(rows, cols) <= 4096);
    fill(p, p64, n);
    memset(m, 0, sizeof m);
    memset(m64, 0, sizeof m64);
    for (int update = 0; update < 2; update++) {
        double square = 0;
        fill(g, g64, n);
        for (int i = 0; i < n; i++) {
            int at = turned ? i % cols * rows + i / cols : i;
            m64[i] = 0.9 * m64[i] + 0.5 * g64[i];
            u[at] = 0.5 * g64[i] + 0.9 * m64[i];
            square += u[at] * u[at];
        }
        for (int i = 0; i < n; i++)
            u[i] /= sqrt(square);
        ref_orthogonalise(r, c, u);
        for (int i = 0; i < n; i++)
            p64[i] = p64[i] * (1 - 0.01 * 0.5) -
                     0.01 * 0.2 * sqrt(c) * u[turned ? i % cols * rows + i / cols : i];
        lmw_muon(&k, rows, cols, g, p, m, work);
    }
    const double bound = 2 * 0.01 * 0.2 * sqrt(c) * 3410 * c * 6e-8 + 1e-6;
    for (int i = 0; i < n; i++)
        if (!(fabs((double)p[i] - p64[i]) <= bound))
            fail_msg("%d x %d, weight %d: %g, not %g", rows, cols, i, (double)p[i], p64[i]);
}

static void muon(void **state)
{
    const int shape[][2] = {{1, 1}, {1, 7}, {5, 1}, {8, 8}, {16, 32}, {32, 16}, {12, 20}, {31, 3}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        muon_shape(shape[i][0], shape[i][1]);
}

/* No gradient at all moves nothing but the decay. */
static void muon_of_nothing(void **state)
{
    const struct lmw_muon k = {
        .lr = 0.1f, .momentum = 0.9f, .weight_decay = 0.5f, .grad_scale = 1};
    float g[8] = {0}, m[8] = {0}, p[8] = {1, 2, 3, 4, 5, 6, 7, 8}, work[64];
    lmw_muon(&k, 2, 4, g, p, m, work);
    for (int i = 0; i < 8; i++)
        assert_true(p[i] == (float)(i + 1) * (1 - 0.1f * 0.5f));
}

static void shapes_refused(void **state)
{
    const struct lmw_train_shape good = {16, 2, 4, 2, 20, 13, 12};
    struct lmw_train_shape bad[] = {good, good, good, good, good, good, good};
    bad[0].n_head = 3;
    bad[1].n_head_kv = 3;
    bad[2].n_ff = 18;
    bad[3].n_vocab = 1;
    bad[4].n_ctx = 0;
    bad[5].n_layer = 0;
    bad[6].n_embd = 24; /* heads of 6 */
    struct lmw_arena arena;
    struct lmw_err err;
    struct lmw_net net;
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(lmw_net_init(&net, &bad[i], &arena, &err), LMW_EARG);
    assert_int_equal(lmw_net_init(&net, &good, &arena, &err), 0);
    lmw_arena_close(&arena);
}

int main(void)
{
    lmw_rng_init(&rng, 20);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense),         cmocka_unit_test(rmsnorm),
        cmocka_unit_test(rope),          cmocka_unit_test(attention),
        cmocka_unit_test(swiglu),        cmocka_unit_test(swiglu_extremes),
        cmocka_unit_test(cross_entropy), cmocka_unit_test(cross_entropy_extremes),
        cmocka_unit_test(network),       cmocka_unit_test(shapes_refused),
        cmocka_unit_test(muon),          cmocka_unit_test(muon_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
