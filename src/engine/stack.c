/* The forward pass: the one loop over the stack of blocks, and what blocks use during a pass.
 *
 * All threads run lmw_stack_forward() together. Between barriers each owns its share: of tokens
 * (norms, residuals, quantising) or of rows (products). The shares do not change the numbers
 * (pass.h). Two kinds of batches need fewer than the nine barriers a layer that this takes:
 *
 * - One token leaves nothing to share but rows: every thread keeps the residual stream for itself,
 *   the same in each, and meets the others five times.
 * - Many tokens for a small layer: each thread takes some of them through in a pass of its own,
 * and
 *   meets the others once, when all have stored their keys and values. All threads then unpack all
 *   weights, a tenth more work, and nobody helps who is late: in a large layer the barriers cost
 *   less.
 *
 * Where only some logits are wanted, the rows nobody will look at leave the pass after the last
 * layer's token mixer has seen them: its cache needs them, the last channel mixer and the head do
 * not. */
#include "engine/pass.h"

#include "base/clock.h"
#include "base/pool.h"
#include "engine/quant.h"

#include <stdatomic.h>

void lmw_pass_barrier(struct lmw_pass *p)
{
    lmw_barrier_wait(p->barrier, p->n_thread);
}

void lmw_pass_meet(struct lmw_pass *p)
{
    lmw_barrier_wait(p->barrier, p->n_meet);
}

/* --- what the threads divide as they go --- */

/* A turn's counters are zeroed half a ring before they are used: a barrier lies in between, and
 * one since they were used last. */
struct lmw_turn lmw_pass_turn(struct lmw_pass *p)
{
    struct lmw_turn t = {.i = p->turn++ % LMW_TURNS};
    if (p->n_thread > 1)
        atomic_store_explicit(&p->taken[p->i_thread].part[(t.i + LMW_TURNS / 2) % LMW_TURNS], 0,
                              memory_order_relaxed);
    return t;
}

/* Rows in a part: a quarter of a share, and not less than is worth taking: some 20 us of work. */
static int part_rows(const struct lmw_pass *p, int n_share, int n_in)
{
    enum { PARTS = 4, WORTH = 400000 };
    int64_t least = WORTH / ((int64_t)n_in * p->n_tok + 1), n = n_share / PARTS;
    n = n > least ? n : least;
    return (int)(n / LMW_ROW_STEP + 1) * LMW_ROW_STEP;
}

bool lmw_pass_take(const struct lmw_pass *p, struct lmw_turn *t, int n_row, int n_in, int *from,
                   int *to)
{
    if (p->n_tok == 0)
        return false;
    for (; t->owner < p->n_thread; t->owner++) {
        int owner = (p->i_thread + t->owner) % p->n_thread;
        int64_t begin, end;
        lmw_pool_share(n_row, LMW_ROW_STEP, owner, p->n_thread, &begin, &end);
        int64_t rows = p->n_thread > 1 ? part_rows(p, (int)(end - begin), n_in) : n_row;
        int64_t nth = p->n_thread > 1 ? atomic_fetch_add_explicit(&p->taken[owner].part[t->i], 1,
                                                                  memory_order_relaxed)
                                      : 0;
        *from = (int)(begin + nth * rows);
        *to = (int)(*from + rows < end ? *from + rows : end);
        t->owner += p->n_thread == 1;
        if (*from < end)
            return true;
    }
    return false;
}

/* --- rows --- */

static size_t form_stride(enum lmw_act act, int n)
{
    size_t blocks_q8_0 = ((size_t)n + 31) / 32, blocks_q8_k = ((size_t)n + LMW_QK - 1) / LMW_QK;
    switch (act) {
    case LMW_ACT_F32: return (size_t)n * sizeof(float);
    case LMW_ACT_Q8_0: return blocks_q8_0 * sizeof(struct lmw_block_q8_0);
    case LMW_ACT_Q8_K: return blocks_q8_k * sizeof(struct lmw_block_q8_k);
    }
    return 0;
}

static size_t form_size(enum lmw_act act, int n, int n_rows)
{
    return (form_stride(act, n) * (size_t)n_rows + 63) & ~(size_t)63;
}

size_t lmw_rows_size(int n, int n_rows)
{
    return form_size(LMW_ACT_F32, n, n_rows) + form_size(LMW_ACT_Q8_0, n, n_rows) +
           form_size(LMW_ACT_Q8_K, n, n_rows);
}

struct lmw_rows lmw_rows_over(uint8_t *memory, int n, int n_rows)
{
    struct lmw_rows r = {.n = n};
    for (enum lmw_act a = LMW_ACT_F32; a <= LMW_ACT_Q8_K; a++) {
        r.form[a] = memory;
        r.stride[a] = form_stride(a, n);
        memory += form_size(a, n, n_rows);
    }
    return r;
}

static struct lmw_rows rows_from(struct lmw_rows r, int i)
{
    for (enum lmw_act a = LMW_ACT_F32; a <= LMW_ACT_Q8_K; a++)
        r.form[a] += (size_t)i * r.stride[a];
    return r;
}

static void quantize(const struct lmw_pass *p, const struct lmw_rows *r, int i, unsigned acts)
{
    const float *x = lmw_rows_f32(r, i);
    if (acts & 1u << LMW_ACT_Q8_0)
        p->k->quantize_q8_0(x, r->form[LMW_ACT_Q8_0] + (size_t)i * r->stride[LMW_ACT_Q8_0], r->n);
    if (acts & 1u << LMW_ACT_Q8_K)
        p->k->quantize_q8_k(x, r->form[LMW_ACT_Q8_K] + (size_t)i * r->stride[LMW_ACT_Q8_K], r->n);
}

void lmw_pass_prepare(struct lmw_pass *p, struct lmw_rows *r, unsigned acts)
{
    int from, to;
    if (p->n_tok == 1) {
        uint8_t *f32 = r->form[LMW_ACT_F32];
        *r = rows_from(*r, p->i_thread);
        r->form[LMW_ACT_F32] = f32;
        quantize(p, r, 0, acts);
        return;
    }
    lmw_pass_share(p, p->n_tok, 1, &from, &to);
    for (int t = from; t < to; t++)
        quantize(p, r, t, acts);
    lmw_pass_barrier(p);
}

void lmw_pass_product(struct lmw_pass *p, const struct lmw_matrix *w, int n_x, const void *x,
                      size_t x_stride, float *y, int ld)
{
    int64_t t0 = p->matmul_ns ? lmw_now_ns() : 0;
    p->k->mul[w->type].fn(w->n_in, w->n_out, n_x, w->data, w->stride, x, x_stride, y, (size_t)ld);
    if (p->matmul_ns)
        *p->matmul_ns += lmw_now_ns() - t0;
}

void lmw_pass_mul_rows(struct lmw_pass *p, const struct lmw_matrix *w, const struct lmw_rows *x,
                       float *y, int ld, int from, int to)
{
    struct lmw_matrix mine = *w;
    mine.data += (size_t)from * w->stride;
    mine.n_out = to - from;
    lmw_pass_product(p, &mine, p->n_tok, x->form[w->act], x->stride[w->act], y + from, ld);
}

void lmw_pass_mul(struct lmw_pass *p, const struct lmw_matrix *w, const struct lmw_rows *x,
                  float *y, int ld)
{
    struct lmw_turn turn = lmw_pass_turn(p);
    int from, to;
    while (lmw_pass_take(p, &turn, w->n_out, w->n_in, &from, &to))
        lmw_pass_mul_rows(p, w, x, y, ld, from, to);
}

/* --- the stack --- */

/* My tokens of the residual stream. */
static void share_tokens(const struct lmw_pass *p, int *from, int *to)
{
    *from = 0;
    *to = p->n_tok;
    if (!p->is_own)
        lmw_pass_share(p, p->n_tok, 1, from, to);
}

static void own_rows(struct lmw_pass *p)
{
    p->is_own = true;
    p->x += (size_t)p->i_thread * p->m->n_embd;
    p->in = rows_from(p->in, p->i_thread);
}

/* Tokens enough that unpacking weights for so few is little beside the products, and layers of so
 * few weights that barriers show: a hundred tokens pass such a one in some milliseconds. */
static bool is_worth_splitting(const struct lmw_pass *p)
{
    enum { MIN_TOKENS = 24, MAX_WEIGHTS = 4 << 20 };
    return p->n_thread > 1 && p->n_tok >= MIN_TOKENS * p->n_thread &&
           p->m->info.n_param_active / p->m->n_layer <= MAX_WEIGHTS;
}

/* From here on it is a pass of my tokens, in a part of the scratch. */
static void split(struct lmw_pass *p)
{
    int from, to;
    lmw_pass_share(p, p->n_tok, 1, &from, &to);
    p->plan = p->alone;
    p->scratch += p->plan->scratch * p->i_thread;
    p->i_thread = 0;
    p->n_thread = 1;
    p->n_tok = to - from;
    p->pos += from;
    p->ids += from;
    p->x += (size_t)from * p->m->n_embd;
    p->out += (size_t)from * p->m->n_embd;
    p->in = rows_from(p->in, from);
}

/* And now it is one pass again, of all tokens. */
static void rejoin(struct lmw_pass *p, const struct lmw_pass *whole)
{
    if (p->n_thread == whole->n_thread)
        return;
    lmw_pass_meet(p);
    *p = *whole;
}

static void embed(struct lmw_pass *p)
{
    const struct lmw_matrix *e = &p->m->embedding;
    int from, to;
    share_tokens(p, &from, &to);
    for (int t = from; t < to; t++)
        lmw_to_f32(e->type, e->data + (size_t)p->ids[t] * e->stride, p->x + (size_t)t * e->n_in,
                   e->n_in);
}

/* p->in = norm(x), in the forms wanted: complete at return. */
static void enter(struct lmw_pass *p, const float *norm, unsigned acts)
{
    int n = p->m->n_embd, from, to;
    share_tokens(p, &from, &to);
    for (int t = from; t < to; t++) {
        p->k->rms_norm(lmw_rows_f32(&p->in, t), p->x + (size_t)t * n, norm, n, p->m->norm_eps);
        quantize(p, &p->in, t, acts);
    }
    if (!p->is_own)
        lmw_pass_barrier(p);
}

/* Norm, block, barrier: p->out is complete at return, and the residual not yet added. */
static void run_block(struct lmw_pass *p, const struct lmw_sublayer *sub, void *state)
{
    enter(p, sub->norm, sub->block->in_acts);
    sub->block->ops->forward(sub->block, state, p);
    lmw_pass_barrier(p);
}

static void add_residual(struct lmw_pass *p)
{
    int from, to, n = p->m->n_embd;
    share_tokens(p, &from, &to);
    for (int t = from; t < to; t++)
        p->k->add(p->x + (size_t)t * n, p->out + (size_t)t * n, n);
}

static void drop_rows(struct lmw_pass *p)
{
    size_t skip = (size_t)(p->n_tok - p->n_keep) * p->m->n_embd;
    p->pos += p->n_tok - p->n_keep;
    p->x += skip;
    p->out += skip;
    p->n_tok = p->n_keep;
}

void lmw_stack_forward(struct lmw_pass *p, float *logits)
{
    const struct lmw_model *m = p->m;
    const struct lmw_pass whole = *p;
    if (p->n_tok == 1)
        own_rows(p);
    else if (is_worth_splitting(p))
        split(p);
    embed(p);
    for (int i = 0; i < m->n_layer; i++) {
        run_block(p, &m->layers[i].token, p->state[2 * i]);
        if (i == m->n_layer - 1) {
            rejoin(p, &whole);
            drop_rows(p);
        }
        if (p->n_tok == 0)
            return;
        add_residual(p);
        run_block(p, &m->layers[i].channel, p->state[2 * i + 1]);
        add_residual(p);
    }
    enter(p, m->head_norm, 1u << m->head.act);
    if (logits)
        lmw_pass_mul(p, &m->head, &p->in, logits, m->n_vocab);
}
