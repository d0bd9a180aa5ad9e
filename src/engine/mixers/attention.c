/* Token mixer: softmax attention with a KV cache. MHA, GQA and MQA (n_head queries over n_kv
 * heads).
 *
 *     out = Wo concat_h( softmax(q_h K^T / sqrt(head_size)) V )      q, k turned by RoPE
 *
 * RoPE turns the pairs (2i, 2i + 1) of a head, as llama.cpp's llama files are laid out.
 * The cache of a layer, in f16 or f32: keys [n_kv][n_ctx][k_size], values transposed
 * [n_kv][v_size][n_ctx padded], so that both products are the matrix kernels' y = W x with the
 * cache as W: scores = K q, out = V^T p. A tile of query tokens shares each pass over the cache.
 *
 * Same bits for any batch: a score depends on its own q and k; p is zero behind the token's own
 * position and rows of V are read in multiples of PAD, so longer tiles only append exact zeros to
 * the same sum.
 *
 * Scratch: q rows, k and v rows of the batch, the mixed heads; per thread a tile of q, scores,
 * output. */
#include "engine/pass.h"

#include "engine/quant.h"

#include <math.h>
#include <string.h>

enum { PAD = 64, TILE = 16, MAX_HEAD = 4096, MAX_HEAD_SIZE = 4096 };

struct attention {
    struct lmw_block base;
    int n_head, n_kv, k_size, v_size, rope;
    float scale;
    struct lmw_matrix q, k, v, o;
};

/* What forward() works with: the same pointers in every thread, but for the tile. */
struct work {
    const struct attention *a;
    struct lmw_pass *p;
    uint8_t *cache_k, *cache_v;
    enum lmw_type type; /* of the cache */
    size_t elem;
    int n_pad; /* row length of transposed values */
    float *q, *k, *v;
    struct lmw_rows mixed; /* [n_tok, n_head * v_size] */
    float *tile_q, *tile_s, *tile_o;
};

static int pad(int n)
{
    return (n + PAD - 1) / PAD * PAD;
}

static size_t align64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static int bind(struct lmw_block *block, struct lmw_binder *from, struct lmw_err *err)
{
    struct attention *a = (struct attention *)block;
    int n_embd = from->model->n_embd, rc, size;
    if ((rc = lmw_bind_int(from, "attention.head_count", 1, MAX_HEAD, -1, &a->n_head, err)) < 0 ||
        (rc = lmw_bind_int(from, "attention.head_count_kv", 1, MAX_HEAD, a->n_head, &a->n_kv,
                           err)) < 0)
        return rc;
    size = n_embd / a->n_head;
    if ((rc = lmw_bind_int(from, "attention.key_length", 1, MAX_HEAD_SIZE, size, &a->k_size,
                           err)) < 0 ||
        (rc = lmw_bind_int(from, "attention.value_length", 1, MAX_HEAD_SIZE, size, &a->v_size,
                           err)) < 0)
        return rc;
    if (a->n_head % a->n_kv)
        return lmw_fail(err, LMW_EFORMAT, "%d heads cannot share %d key/value heads evenly",
                        a->n_head, a->n_kv);
    if (a->k_size < 2 || a->v_size < 1 || a->n_head * a->k_size > LMW_MAX_WIDTH ||
        a->n_head * a->v_size > LMW_MAX_WIDTH)
        return lmw_fail(err, LMW_EFORMAT, "%d heads of %d (values %d) in an embedding of %d",
                        a->n_head, a->k_size, a->v_size, n_embd);
    int n_q = a->n_head * a->k_size, n_k = a->n_kv * a->k_size, n_v = a->n_kv * a->v_size;
    if ((rc = lmw_bind_rope(from, a->k_size, &a->rope, err)) < 0 ||
        (rc = lmw_bind_matrix(from, "attn_q.weight", n_embd, n_q, &a->q, err)) < 0 ||
        (rc = lmw_bind_matrix(from, "attn_k.weight", n_embd, n_k, &a->k, err)) < 0 ||
        (rc = lmw_bind_matrix(from, "attn_v.weight", n_embd, n_v, &a->v, err)) < 0)
        return rc;
    a->scale = 1 / sqrtf((float)a->k_size);
    a->base.in_acts = 1u << a->q.act | 1u << a->k.act | 1u << a->v.act;
    return lmw_bind_matrix(from, "attn_output.weight", a->n_head * a->v_size, n_embd, &a->o, err);
}

static size_t cache_k_size(const struct attention *a, const struct lmw_plan *plan)
{
    return align64((size_t)a->n_kv * a->k_size * plan->n_ctx * (plan->kv_f32 ? 4 : 2));
}

static size_t state_size(const struct lmw_block *block, const struct lmw_plan *plan)
{
    const struct attention *a = (const struct attention *)block;
    size_t v = (size_t)a->n_kv * a->v_size * pad(plan->n_ctx) * (plan->kv_f32 ? 4 : 2);
    return cache_k_size(a, plan) + align64(v);
}

static size_t floats(size_t n)
{
    return align64(n * sizeof(float));
}

/* Query tokens a tile: all heads of a group go together, so that scores stay in the cache. */
static int tile_tokens(const struct lmw_plan *plan)
{
    return plan->n_batch < TILE ? plan->n_batch : TILE;
}

static size_t tile_size(const struct attention *a, const struct lmw_plan *plan)
{
    size_t n_x = (size_t)tile_tokens(plan) * (a->n_head / a->n_kv);
    return floats(n_x * a->k_size) + floats(n_x * pad(plan->n_ctx)) + floats(n_x * a->v_size);
}

static size_t scratch_size(const struct lmw_block *block, const struct lmw_plan *plan)
{
    const struct attention *a = (const struct attention *)block;
    size_t n = plan->n_batch;
    return floats(n * a->q.n_out) + floats(n * a->k.n_out) + floats(n * a->v.n_out) +
           lmw_rows_size(a->o.n_in, plan->n_row) + tile_size(a, plan) * plan->n_thread;
}

static struct work lay_out(const struct attention *a, uint8_t *cache, struct lmw_pass *p)
{
    const struct lmw_plan *plan = p->plan;
    size_t n = plan->n_batch, n_x = (size_t)tile_tokens(plan) * (a->n_head / a->n_kv);
    struct work w = {.a = a, .p = p, .cache_k = cache, .n_pad = pad(plan->n_ctx)};
    w.cache_v = cache + cache_k_size(a, plan);
    w.type = plan->kv_f32 ? LMW_F32 : LMW_F16;
    w.elem = plan->kv_f32 ? 4 : 2;
    uint8_t *at = p->scratch;
    w.q = (float *)(void *)at;
    w.k = (float *)(void *)(at += floats(n * a->q.n_out));
    w.v = (float *)(void *)(at += floats(n * a->k.n_out));
    w.mixed = lmw_rows_over(at += floats(n * a->v.n_out), a->o.n_in, plan->n_row);
    at += lmw_rows_size(a->o.n_in, plan->n_row) + tile_size(a, plan) * p->i_thread;
    w.tile_q = (float *)(void *)at;
    w.tile_s = (float *)(void *)(at += floats(n_x * a->k_size));
    w.tile_o = (float *)(void *)(at + floats(n_x * w.n_pad));
    return w;
}

/* y = the head turned for its position; y may be x. */
static void turn(const struct lmw_pass *p, int rope, int pos, float *y, const float *x, int size)
{
    int n_rot = p->m->ropes[rope].n_rot;
    const float *cs = p->rope[rope] + (size_t)pos * n_rot;
    for (int i = 0; i < n_rot; i += 2) {
        float a = x[i], b = x[i + 1], c = cs[i], s = cs[i + 1];
        y[i] = a * c - b * s;
        y[i + 1] = a * s + b * c;
    }
    if (y != x)
        memcpy(y + n_rot, x + n_rot, (size_t)(size - n_rot) * sizeof(float));
}

/* Values go in transposed: element d of the head is a row of its own. */
static void store_value(const struct work *w, int head, int t)
{
    int size = w->a->v_size;
    uint16_t half[MAX_HEAD_SIZE];
    const float *v = w->v + (size_t)t * w->a->v.n_out + (size_t)head * size;
    size_t at = (size_t)head * size * w->n_pad + (size_t)(w->p->pos + t);
    if (w->type == LMW_F32) {
        for (int d = 0; d < size; d++, at += (size_t)w->n_pad)
            ((float *)(void *)w->cache_v)[at] = v[d];
        return;
    }
    w->p->k->to_f16(half, v, size);
    for (int d = 0; d < size; d++, at += (size_t)w->n_pad)
        ((uint16_t *)(void *)w->cache_v)[at] = half[d];
}

/* Turns and stores one head's keys and values of the whole batch. */
static void store(const struct work *w, int head)
{
    const struct lmw_pass *p = w->p;
    int size = w->a->k_size;
    for (int t = 0; t < p->n_tok; t++) {
        float *k = w->k + (size_t)t * w->a->k.n_out + (size_t)head * size;
        size_t at = ((size_t)head * p->plan->n_ctx + (size_t)(p->pos + t)) * size;
        turn(p, w->a->rope, p->pos + t, k, k, size);
        if (w->type == LMW_F32)
            memcpy(w->cache_k + at * 4, k, (size_t)size * 4);
        else
            p->k->to_f16((uint16_t *)(void *)w->cache_k + at, k, size);
        store_value(w, head, t);
    }
}

static void load_queries(const struct work *w, int t0, int t1, int g0, int g1)
{
    const struct attention *a = w->a;
    float *y = w->tile_q;
    for (int t = t0; t < t1; t++)
        for (int g = g0; g < g1; g++, y += a->k_size) {
            const float *q = w->q + (size_t)t * a->q.n_out + (size_t)g * a->k_size;
            turn(w->p, a->rope, w->p->pos + t, y, q, a->k_size);
        }
    int64_t n = y - w->tile_q;
    for (int64_t i = 0; i < n; i++)
        w->tile_q[i] *= a->scale;
}

/* The cache as weights: the first n keys of a head, and its values at the first n positions. */
static struct lmw_matrix keys_of(const struct work *w, int head, int n)
{
    size_t row = w->a->k_size * w->elem;
    return (struct lmw_matrix){.data = w->cache_k + (size_t)head * w->p->plan->n_ctx * row,
                               .stride = row,
                               .n_in = w->a->k_size,
                               .n_out = n,
                               .type = w->type};
}

static struct lmw_matrix values_of(const struct work *w, int head, int n)
{
    size_t row = w->n_pad * w->elem;
    return (struct lmw_matrix){.data = w->cache_v + (size_t)head * w->a->v_size * row,
                               .stride = row,
                               .n_in = n,
                               .n_out = w->a->v_size,
                               .type = w->type};
}

/* Tokens t0..t1 of heads g0..g1, which share key/value head `head`. */
static void attend(struct work *w, int head, int t0, int t1, int g0, int g1)
{
    const struct attention *a = w->a;
    struct lmw_pass *p = w->p;
    int n_key = p->pos + t1, n_row = pad(n_key), n_x = (t1 - t0) * (g1 - g0);
    struct lmw_matrix keys = keys_of(w, head, n_key), values = values_of(w, head, n_row);
    load_queries(w, t0, t1, g0, g1);
    lmw_pass_product(p, &keys, n_x, w->tile_q, a->k_size * sizeof(float), w->tile_s, n_row);
    float *s = w->tile_s;
    for (int t = t0; t < t1; t++)
        for (int g = g0; g < g1; g++, s += n_row) {
            int n = p->pos + t + 1;
            p->k->softmax(s, n);
            memset(s + n, 0, (size_t)(n_row - n) * sizeof(float));
        }
    lmw_pass_product(p, &values, n_x, w->tile_s, n_row * sizeof(float), w->tile_o, a->v_size);
    size_t bytes = (size_t)(g1 - g0) * a->v_size * sizeof(float);
    for (int t = t0; t < t1; t++)
        memcpy(lmw_rows_f32(&w->mixed, t) + (size_t)g0 * a->v_size,
               w->tile_o + (size_t)(t - t0) * (g1 - g0) * a->v_size, bytes);
}

static void attend_all(struct work *w)
{
    int group = w->a->n_head / w->a->n_kv;
    /* Fewer key/value heads than threads: a unit is one query head instead of its group. */
    int per_unit = w->a->n_kv < w->p->n_thread ? 1 : group;
    int from, to, tile = tile_tokens(w->p->plan);
    lmw_pass_share(w->p, w->a->n_head / per_unit, 1, &from, &to);
    for (int u = from; u < to; u++)
        for (int t = 0; t < w->p->n_tok; t += tile) {
            int end = t + tile < w->p->n_tok ? t + tile : w->p->n_tok;
            attend(w, u * per_unit / group, t, end, u * per_unit, (u + 1) * per_unit);
        }
}

static void forward(const struct lmw_block *block, void *state, struct lmw_pass *p)
{
    const struct attention *a = (const struct attention *)block;
    struct work w = lay_out(a, state, p);
    int from, to;
    lmw_pass_mul(p, &a->q, &p->in, w.q, a->q.n_out);
    lmw_pass_mul(p, &a->k, &p->in, w.k, a->k.n_out);
    lmw_pass_mul(p, &a->v, &p->in, w.v, a->v.n_out);
    lmw_pass_barrier(p);
    lmw_pass_share(p, a->n_kv, 1, &from, &to);
    for (int head = from; head < to; head++)
        store(&w, head);
    /* Who stored a head attends over it where they divide evenly, and need not wait for the
     * others. */
    if (p->n_meet > p->n_thread || a->n_kv % p->n_thread)
        lmw_pass_meet(p);
    attend_all(&w);
    lmw_pass_barrier(p);
    lmw_pass_prepare(p, &w.mixed, 1u << a->o.act);
    lmw_pass_mul(p, &a->o, &w.mixed, p->out, p->m->n_embd);
}

const struct lmw_block_ops lmw_attention = {
    .name = "attention",
    .size = sizeof(struct attention),
    .bind = bind,
    .state_size = state_size,
    .scratch_size = scratch_size,
    .forward = forward,
};
