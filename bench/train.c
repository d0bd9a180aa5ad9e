/* How fast training is, and how much of it is matrix products: steps of the default model on
 * made-up sequences as long as real examples, against bare products of the same shapes on the
 * same threads.
 *
 *     build/bench/bench_train [THREADS [STEPS]]
 *
 * One JSON object: tokens per second, the arithmetic they stand for (6 operations per weight
 * and token), and the products alone. The two take turns, so that whatever else the machine
 * does hits both. */
#include "train/train.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/rng.h"
#include "train/blocks.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_SEQ = 4000, MAX_LEN = 90 };

static struct lmw_train_data *made_up(int n_vocab)
{
    int32_t *id = malloc(N_SEQ * MAX_LEN * sizeof *id);
    float *weight = malloc(N_SEQ * MAX_LEN * sizeof *weight);
    int64_t *start = calloc(N_SEQ + 1, sizeof *start);
    struct lmw_rng rng;
    lmw_rng_init(&rng, 7);
    for (int i = 0; i < N_SEQ; i++) {
        start[i + 1] = start[i] + 40 + lmw_rng_below(&rng, MAX_LEN - 40);
        for (int64_t j = start[i]; j < start[i + 1]; j++) {
            id[j] = (int32_t)lmw_rng_below(&rng, (uint32_t)n_vocab);
            weight[j] = j < start[i] + 40 ? 0.1f : 1;
        }
    }
    struct lmw_train_data *d = NULL;
    struct lmw_err err;
    if (lmw_train_data_from(&d, id, weight, start, N_SEQ, n_vocab, &err) < 0)
        fprintf(stderr, "%s\n", err.msg);
    free(id);
    free(weight);
    free(start);
    return d;
}

struct bare {
    struct lmw_train_shape s;
    int n_tok; /* of each thread */
    float *x[256], *y[256], *w;
};

/* The products one thread does for n_tok tokens, three per matrix. */
static void products(void *arg, int i, int n_thread)
{
    const struct bare *b = arg;
    const int dim = b->s.n_embd, kv = b->s.n_head_kv * dim / b->s.n_head;
    const int shape[][2] = {
        {dim, dim + 2 * kv}, {dim, dim}, {dim, 2 * b->s.n_ff}, {b->s.n_ff, dim}};
    for (int l = 0; l <= b->s.n_layer; l++)
        for (int k = 0; k < (l < b->s.n_layer ? 4 : 1); k++) {
            int n_in = shape[k][0], n_out = l < b->s.n_layer ? shape[k][1] : b->s.n_vocab;
            lmw_train_dense(b->n_tok, n_in, n_out, b->x[i], b->w, b->y[i], 0);
            lmw_train_dense_dx(b->n_tok, n_in, n_out, b->y[i], b->w, b->x[i]);
            lmw_train_dense_dw(b->n_tok, n_in, n_out, b->y[i], b->x[i], b->y[i]);
        }
}

static int run(struct lmw_trainer *t, const struct lmw_train_opts *o, int n_step)
{
    struct lmw_err err;
    struct lmw_pool *pool;
    if (lmw_pool_open(&pool, o->n_thread, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    struct bare b = {.s = o->shape};
    int n_thread = lmw_pool_size(pool);
    b.n_tok = o->batch_tokens / n_thread;
    size_t wide = (size_t)(o->shape.n_ff * 2 + o->shape.n_vocab);
    b.w = calloc(wide * (size_t)o->shape.n_ff, sizeof *b.w);
    for (int i = 0; i < n_thread; i++) {
        b.x[i] = calloc(wide * (size_t)b.n_tok, sizeof(float));
        b.y[i] = calloc(wide * (size_t)b.n_tok, sizeof(float));
    }
    int64_t n_tok = 0, t_ns = 0, bare_ns = 0;
    for (int i = -2; i < n_step; i++) {
        struct lmw_train_stat stat;
        if (lmw_trainer_step(t, 0, &stat, &err) < 0) {
            fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        int64_t t0 = lmw_now_ns();
        lmw_pool_run(pool, products, &b);
        if (i < 0)
            continue; /* warming up */
        bare_ns += lmw_now_ns() - t0;
        n_tok += stat.n_tok;
        t_ns += stat.t_ns;
    }
    double flops = lmw_trainer_flops_per_token(t);
    double bare_tok = (double)n_step * b.n_tok * n_thread;
    printf("{\"params\": %lld, \"threads\": %d, \"tok_per_s\": %.0f, \"gflop_per_s\": %.1f, "
           "\"bare_gflop_per_s\": %.1f, \"share_of_bare\": %.3f}\n",
           (long long)lmw_trainer_n_param(t), n_thread, (double)n_tok / ((double)t_ns * 1e-9),
           flops * (double)n_tok / (double)t_ns, flops * bare_tok / (double)bare_ns,
           (double)n_tok / (double)t_ns / (bare_tok / (double)bare_ns));
    lmw_pool_close(pool);
    return 0;
}

int main(int argc, char **argv)
{
    struct lmw_train_opts o = lmw_train_defaults();
    o.n_thread = argc > 1 ? atoi(argv[1]) : 0;
    struct lmw_train_data *d = made_up(o.shape.n_vocab);
    struct lmw_trainer *t;
    struct lmw_err err;
    if (!d || lmw_trainer_open(&t, &o, d, &err) < 0) {
        fprintf(stderr, "bench_train: %s\n", d ? err.msg : "no data");
        return 1;
    }
    int rc = run(t, &o, argc > 2 ? atoi(argv[2]) : 10);
    lmw_trainer_close(t);
    lmw_train_data_free(d);
    return rc;
}
