/* Channel mixer: the gated two-layer network, SwiGLU.
 *
 *     out = Wdown( silu(Wgate x) * (Wup x) )
 *
 * Who takes rows of gate takes the same of up, so the product between them needs no barrier.
 * Scratch: the hidden rows in every form Wdown may want, and up's rows. */
#include "engine/pass.h"

struct dense {
    struct lmw_block base;
    int n_hidden;
    struct lmw_matrix gate, up, down;
};

static int bind(struct lmw_block *block, struct lmw_binder *from, struct lmw_err *err)
{
    struct dense *d = (struct dense *)block;
    int n_embd = from->model->n_embd, rc;
    if ((rc = lmw_bind_int(from, "feed_forward_length", 1, LMW_MAX_WIDTH, -1, &d->n_hidden, err)) <
            0 ||
        (rc = lmw_bind_matrix(from, "ffn_gate.weight", n_embd, d->n_hidden, &d->gate, err)) < 0 ||
        (rc = lmw_bind_matrix(from, "ffn_up.weight", n_embd, d->n_hidden, &d->up, err)) < 0)
        return rc;
    d->base.in_acts = 1u << d->gate.act | 1u << d->up.act;
    return lmw_bind_matrix(from, "ffn_down.weight", d->n_hidden, n_embd, &d->down, err);
}

static size_t state_size(const struct lmw_block *block, const struct lmw_plan *plan)
{
    return 0;
}

static size_t scratch_size(const struct lmw_block *block, const struct lmw_plan *plan)
{
    const struct dense *d = (const struct dense *)block;
    return lmw_rows_size(d->n_hidden, plan->n_row) +
           (size_t)d->n_hidden * plan->n_batch * sizeof(float);
}

/* hidden = silu(Wgate x) * (Wup x) */
static void gated(const struct dense *d, struct lmw_pass *p, const struct lmw_rows *hidden,
                  float *up)
{
    struct lmw_turn turn = lmw_pass_turn(p);
    int from, to, n = d->n_hidden;
    while (lmw_pass_take(p, &turn, n, 2 * d->gate.n_in, &from, &to)) {
        lmw_pass_mul_rows(p, &d->gate, &p->in, lmw_rows_f32(hidden, 0), n, from, to);
        lmw_pass_mul_rows(p, &d->up, &p->in, up, n, from, to);
        for (int t = 0; t < p->n_tok; t++) {
            float *gate = lmw_rows_f32(hidden, t) + from;
            p->k->swiglu(gate, gate, up + (size_t)t * n + from, to - from);
        }
    }
}

static void forward(const struct lmw_block *block, void *state, struct lmw_pass *p)
{
    const struct dense *d = (const struct dense *)block;
    struct lmw_rows hidden = lmw_rows_over(p->scratch, d->n_hidden, p->plan->n_row);
    float *up = (float *)(void *)(p->scratch + lmw_rows_size(d->n_hidden, p->plan->n_row));
    gated(d, p, &hidden, up);
    lmw_pass_barrier(p);
    lmw_pass_prepare(p, &hidden, 1u << d->down.act);
    lmw_pass_mul(p, &d->down, &hidden, p->out, p->m->n_embd);
}

const struct lmw_block_ops lmw_dense = {
    .name = "dense",
    .size = sizeof(struct dense),
    .bind = bind,
    .state_size = state_size,
    .scratch_size = scratch_size,
    .forward = forward,
};
