/* Owns the layout of the parameters and the order of the blocks: the one place that says what
 * a layer is.
 *
 * A layer: h = norm(x); x += attention(rope(h Wqkv)) Wo; h = norm(x); x += swiglu(h Wgu) Wd.
 * The head: norm, then the embedding transposed, only at positions that have a target of
 * weight above 0.
 *
 * Every activation the way back needs is kept: 5 n_embd + qkv_dim + 3 n_ff floats a token and
 * layer, and n_head * (length of its sequence) probabilities. Recomputing them would be a second
 * forward pass: a third more arithmetic (6 operations per weight become 8). The head runs over
 * N_HEAD_ROWS rows at a time, which bounds its logits and keeps them in cache between the two
 * products that use them. */
#include "train/net.h"

#include <math.h>
#include <string.h>

#define N_HEAD_ROWS 512

struct layer_work {
    float *x, *h, *r;     /* input [n][n_embd], its norm, the norm's factor [n] */
    float *qkv, *p, *att; /* after rope; probabilities, sequence after sequence; heads' output */
    float *x2, *h2, *r2;  /* after attention */
    float *gu, *act;
};

struct lmw_net_work {
    struct layer_work *layer;
    float *x;              /* the last layer's output */
    float *dx, *dh, *datt; /* [n][n_embd], [n][n_embd], [n][n_head * head_dim] */
    float *dqkv, *dact, *dp;
    int32_t *row;              /* positions the head looks at: [n] */
    float *hx, *hh, *hr, *dhh; /* N_HEAD_ROWS of them: input, norm, factor, gradient of the norm */
    float *logits;
};

/* ---- parameters ---- */

static int check_shape(const struct lmw_train_shape *s, struct lmw_err *err)
{
    const int least[] = {s->n_embd, s->n_layer, s->n_head, s->n_head_kv, s->n_ff};
    for (size_t i = 0; i < sizeof least / sizeof *least; i++)
        if (least[i] < 1 || least[i] > 65536)
            return lmw_fail(err, LMW_EARG, "model shape: sizes must be 1 to 65536, not %d",
                            least[i]);
    if (s->n_embd % s->n_head || s->n_embd / s->n_head % 4)
        return lmw_fail(err, LMW_EARG, "model shape: %d / %d heads must be a multiple of 4",
                        s->n_embd, s->n_head);
    if (s->n_head % s->n_head_kv)
        return lmw_fail(err, LMW_EARG, "model shape: %d heads cannot share %d key heads evenly",
                        s->n_head, s->n_head_kv);
    if (s->n_ff % 4)
        return lmw_fail(err, LMW_EARG, "model shape: n_ff %d is not a multiple of 4", s->n_ff);
    if (s->n_vocab < 2 || s->n_vocab > 1 << 20)
        return lmw_fail(err, LMW_EARG, "model shape: %d ids in the vocabulary", s->n_vocab);
    if (s->n_ctx < 2 || s->n_ctx > 65536)
        return lmw_fail(err, LMW_EARG, "model shape: a context of %d tokens", s->n_ctx);
    return LMW_OK;
}

static size_t take(size_t *at, size_t n)
{
    size_t from = *at;
    *at += n;
    return from;
}

int lmw_net_init(struct lmw_net *net, const struct lmw_train_shape *shape, struct lmw_arena *arena,
                 struct lmw_err *err)
{
    int rc = check_shape(shape, err);
    if (rc < 0)
        return rc;
    const size_t dim = (size_t)shape->n_embd, n_ff = (size_t)shape->n_ff;
    const int head_dim = shape->n_embd / shape->n_head;
    *net = (struct lmw_net){.shape = *shape, .heads = {shape->n_head, shape->n_head_kv, head_dim}};
    net->qkv_dim = lmw_qkv_dim(net->heads);
    net->layer = LMW_NEW(arena, struct lmw_net_layer, (size_t)shape->n_layer);
    float *rope = LMW_NEW(arena, float, (size_t)shape->n_ctx *(size_t)head_dim);
    if (!net->layer || !rope)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the model's layout");
    lmw_train_rope_table(shape->n_ctx, head_dim, rope);
    net->rope = rope;

    size_t at = 0;
    net->embd = take(&at, (size_t)shape->n_vocab * dim);
    for (int l = 0; l < shape->n_layer; l++) {
        net->layer[l].qkv = take(&at, (size_t)net->qkv_dim * dim);
        net->layer[l].out = take(&at, dim * dim);
        net->layer[l].gate_up = take(&at, 2 * n_ff * dim);
        net->layer[l].down = take(&at, dim * n_ff);
    }
    net->n_matrix = at;
    for (int l = 0; l < shape->n_layer; l++) {
        net->layer[l].attn_norm = take(&at, dim);
        net->layer[l].ffn_norm = take(&at, dim);
    }
    net->out_norm = take(&at, dim);
    net->n_param = at;
    return LMW_OK;
}

void lmw_net_matrices(const struct lmw_net *net, int l,
                      struct lmw_net_matrix out[LMW_NET_MATRICES])
{
    const struct lmw_net_layer *at = &net->layer[l];
    const int dim = net->shape.n_embd, n_ff = net->shape.n_ff;
    const int n_q = net->heads.n_head * net->heads.head_dim;
    const int n_kv = net->heads.n_head_kv * net->heads.head_dim;
    const size_t width = (size_t)dim;
    const struct lmw_net_matrix all[LMW_NET_MATRICES] = {
        {at->qkv, n_q, dim},
        {at->qkv + (size_t)n_q * width, n_kv, dim},
        {at->qkv + (size_t)(n_q + n_kv) * width, n_kv, dim},
        {at->out, dim, n_q},
        {at->gate_up, n_ff, dim},
        {at->gate_up + (size_t)n_ff * width, n_ff, dim},
        {at->down, dim, n_ff},
    };
    memcpy(out, all, sizeof all);
}

static void scale_by(float *x, size_t n, float s)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= s;
}

void lmw_net_randomize(const struct lmw_net *net, struct lmw_rng *rng, float *param)
{
    const size_t dim = (size_t)net->shape.n_embd;
    for (size_t i = 0; i < net->n_matrix; i++)
        param[i] = (float)(0.02 * lmw_rng_normal(rng));
    for (size_t i = net->n_matrix; i < net->n_param; i++)
        param[i] = 1;
    const float residual = 1 / sqrtf(2.0f * (float)net->shape.n_layer);
    for (int l = 0; l < net->shape.n_layer; l++) {
        scale_by(param + net->layer[l].out, dim * dim, residual);
        scale_by(param + net->layer[l].down, dim * (size_t)net->shape.n_ff, residual);
    }
}

/* ---- activations ---- */

/* Allocates n floats into *p; once something failed, does nothing. */
static bool floats(struct lmw_arena *a, float **p, size_t n)
{
    *p = LMW_NEW(a, float, n);
    return *p != NULL;
}

static bool layer_work_new(const struct lmw_net *net, struct layer_work *lw, size_t n,
                           struct lmw_arena *a)
{
    const size_t dim = (size_t)net->shape.n_embd, n_ff = (size_t)net->shape.n_ff;
    /* A sequence of n_ctx tokens has the most probabilities a token. */
    const size_t n_p = n * (size_t)net->shape.n_ctx * (size_t)net->shape.n_head;
    return floats(a, &lw->x, n * dim) && floats(a, &lw->h, n * dim) && floats(a, &lw->r, n) &&
           floats(a, &lw->qkv, n * (size_t)net->qkv_dim) && floats(a, &lw->p, n_p) &&
           floats(a, &lw->att, n * dim) && floats(a, &lw->x2, n * dim) &&
           floats(a, &lw->h2, n * dim) && floats(a, &lw->r2, n) &&
           floats(a, &lw->gu, n * 2 * n_ff) && floats(a, &lw->act, n * n_ff);
}

struct lmw_net_work *lmw_net_work_new(const struct lmw_net *net, int n_max, struct lmw_arena *a)
{
    const struct lmw_train_shape *s = &net->shape;
    const size_t n = (size_t)n_max, dim = (size_t)s->n_embd, n_ctx = (size_t)s->n_ctx;
    struct lmw_net_work *w = LMW_NEW(a, struct lmw_net_work, 1);
    if (!w || !(w->layer = LMW_NEW(a, struct layer_work, (size_t)s->n_layer)))
        return NULL;
    for (int l = 0; l < s->n_layer; l++)
        if (!layer_work_new(net, &w->layer[l], n, a))
            return NULL;
    w->row = LMW_NEW(a, int32_t, n);
    bool ok = w->row && floats(a, &w->x, n * dim) && floats(a, &w->dx, n * dim) &&
              floats(a, &w->dh, n * dim) && floats(a, &w->datt, n * dim) &&
              floats(a, &w->dqkv, n * (size_t)net->qkv_dim) &&
              floats(a, &w->dact, n * (size_t)s->n_ff) && floats(a, &w->dp, n_ctx * n_ctx) &&
              floats(a, &w->hx, N_HEAD_ROWS * dim) && floats(a, &w->hh, N_HEAD_ROWS * dim) &&
              floats(a, &w->hr, N_HEAD_ROWS) && floats(a, &w->dhh, N_HEAD_ROWS * dim) &&
              floats(a, &w->logits, N_HEAD_ROWS * (size_t)s->n_vocab);
    return ok ? w : NULL;
}

static float *layer_output(const struct lmw_net *net, struct lmw_net_work *w, int l)
{
    return l + 1 < net->shape.n_layer ? w->layer[l + 1].x : w->x;
}

/* ---- forward ---- */

static void attention_forward(const struct lmw_net *net, struct layer_work *lw,
                              const struct lmw_net_batch *b)
{
    const struct lmw_heads h = net->heads;
    float *p = lw->p;
    for (int i = 0; i < b->n_seq; i++) {
        const int at = b->start[i], n = b->start[i + 1] - at;
        float *qkv = lw->qkv + (size_t)at * (size_t)net->qkv_dim;
        lmw_train_rope(n, h.n_head + h.n_head_kv, h.head_dim, net->qkv_dim, net->rope, 1, qkv);
        lmw_train_attention(n, h, qkv, p, lw->att + (size_t)at * (size_t)net->shape.n_embd);
        p += (size_t)h.n_head * (size_t)n * (size_t)n;
    }
}

static void layer_forward(const struct lmw_net *net, struct layer_work *lw,
                          const struct lmw_net_layer *at, const float *param,
                          const struct lmw_net_batch *b, float *y)
{
    const int n = b->start[b->n_seq], dim = net->shape.n_embd, n_ff = net->shape.n_ff;
    const size_t bytes = (size_t)n * (size_t)dim * sizeof(float);
    lmw_train_rmsnorm(n, dim, lw->x, param + at->attn_norm, lw->h, lw->r);
    lmw_train_dense(n, dim, net->qkv_dim, lw->h, param + at->qkv, lw->qkv, 0);
    attention_forward(net, lw, b);
    memcpy(lw->x2, lw->x, bytes);
    lmw_train_dense(n, dim, dim, lw->att, param + at->out, lw->x2, 1);
    lmw_train_rmsnorm(n, dim, lw->x2, param + at->ffn_norm, lw->h2, lw->r2);
    lmw_train_dense(n, dim, 2 * n_ff, lw->h2, param + at->gate_up, lw->gu, 0);
    lmw_train_swiglu(n, n_ff, lw->gu, lw->act);
    memcpy(y, lw->x2, bytes);
    lmw_train_dense(n, n_ff, dim, lw->act, param + at->down, y, 1);
}

void lmw_net_forward(const struct lmw_net *net, struct lmw_net_work *w, const float *param,
                     const struct lmw_net_batch *b)
{
    const size_t dim = (size_t)net->shape.n_embd;
    for (int i = 0; i < b->start[b->n_seq]; i++)
        memcpy(w->layer[0].x + (size_t)i * dim, param + net->embd + (size_t)b->id[i] * dim,
               dim * sizeof(float));
    for (int l = 0; l < net->shape.n_layer; l++)
        layer_forward(net, &w->layer[l], &net->layer[l], param, b, layer_output(net, w, l));
}

/* ---- head ---- */

static void head_forward(const struct lmw_net *net, struct lmw_net_work *w, const float *param,
                         int n, const int32_t *row)
{
    const int dim = net->shape.n_embd;
    for (int i = 0; i < n; i++)
        memcpy(w->hx + (size_t)i * (size_t)dim, w->x + (size_t)row[i] * (size_t)dim,
               (size_t)dim * sizeof(float));
    lmw_train_rmsnorm(n, dim, w->hx, param + net->out_norm, w->hh, w->hr);
    lmw_train_dense(n, dim, net->shape.n_vocab, w->hh, param + net->embd, w->logits, 0);
}

/* logits holds the gradient; hx is free once its norm is done, and then carries the rows'
 * gradient. */
static void head_backward(const struct lmw_net *net, struct lmw_net_work *w, const float *param,
                          int n, const int32_t *row, float *grad)
{
    const int dim = net->shape.n_embd, n_vocab = net->shape.n_vocab;
    lmw_train_dense_dw(n, dim, n_vocab, w->logits, w->hh, grad + net->embd);
    lmw_train_dense_dx(n, dim, n_vocab, w->logits, param + net->embd, w->dhh);
    for (int i = 0; i < n; i++) /* dx's rows were cleared, and each is met once */
        lmw_train_rmsnorm_back(1, dim, w->hx + (size_t)i * (size_t)dim, param + net->out_norm,
                               w->hr + i, w->dhh + (size_t)i * (size_t)dim,
                               w->dx + (size_t)row[i] * (size_t)dim, grad + net->out_norm);
}

/* Positions whose next token counts. */
static int rows_with_target(const struct lmw_net_batch *b, double min_weight, int32_t *row)
{
    int n = 0;
    for (int s = 0; s < b->n_seq; s++)
        for (int i = b->start[s]; i + 1 < b->start[s + 1]; i++)
            if (b->weight[i + 1] > 0 && (double)b->weight[i + 1] >= min_weight)
                row[n++] = i;
    return n;
}

double lmw_net_loss(const struct lmw_net *net, struct lmw_net_work *w, const float *param,
                    const struct lmw_net_batch *b, double min_weight, float scale, float *grad)
{
    const int n_row = rows_with_target(b, min_weight, w->row), n_vocab = net->shape.n_vocab;
    double loss = 0;
    if (grad)
        memset(w->dx, 0, (size_t)b->start[b->n_seq] * (size_t)net->shape.n_embd * sizeof(float));
    for (int from = 0; from < n_row; from += N_HEAD_ROWS) {
        const int n = n_row - from < N_HEAD_ROWS ? n_row - from : N_HEAD_ROWS;
        const int32_t *row = w->row + from;
        head_forward(net, w, param, n, row);
        for (int i = 0; i < n; i++) {
            const float weight = b->weight[row[i] + 1];
            loss += (double)weight *
                    lmw_train_cross_entropy(n_vocab, w->logits + (size_t)i * (size_t)n_vocab,
                                            b->id[row[i] + 1], weight * scale);
        }
        if (grad)
            head_backward(net, w, param, n, row, grad);
    }
    return loss;
}

void lmw_net_logits(const struct lmw_net *net, struct lmw_net_work *w, const float *param, int n,
                    float *logits)
{
    const size_t n_vocab = (size_t)net->shape.n_vocab;
    for (int i = 0; i < n; i++)
        w->row[i] = i;
    for (int from = 0; from < n; from += N_HEAD_ROWS) {
        const int part = n - from < N_HEAD_ROWS ? n - from : N_HEAD_ROWS;
        head_forward(net, w, param, part, w->row + from);
        memcpy(logits + (size_t)from * n_vocab, w->logits, (size_t)part * n_vocab * sizeof(float));
    }
}

/* ---- backward ---- */

static void attention_backward(const struct lmw_net *net, struct lmw_net_work *w,
                               const struct layer_work *lw, const struct lmw_net_batch *b)
{
    const struct lmw_heads h = net->heads;
    const float *p = lw->p;
    for (int i = 0; i < b->n_seq; i++) {
        const int at = b->start[i], n = b->start[i + 1] - at;
        const size_t at_qkv = (size_t)at * (size_t)net->qkv_dim;
        float *dqkv = w->dqkv + at_qkv;
        lmw_train_attention_back(n, h, lw->qkv + at_qkv, p,
                                 w->datt + (size_t)at * (size_t)net->shape.n_embd, w->dp, dqkv);
        lmw_train_rope(n, h.n_head + h.n_head_kv, h.head_dim, net->qkv_dim, net->rope, -1, dqkv);
        p += (size_t)h.n_head * (size_t)n * (size_t)n;
    }
}

/* w->dx: gradient of the layer's output on the way in, of its input on the way out. */
static void layer_backward(const struct lmw_net *net, struct lmw_net_work *w, int l,
                           const float *param, const struct lmw_net_batch *b, float *grad)
{
    const int n = b->start[b->n_seq], dim = net->shape.n_embd, n_ff = net->shape.n_ff;
    struct layer_work *lw = &w->layer[l];
    const struct lmw_net_layer *at = &net->layer[l];

    lmw_train_dense_dw(n, n_ff, dim, w->dx, lw->act, grad + at->down);
    lmw_train_dense_dx(n, n_ff, dim, w->dx, param + at->down, w->dact);
    lmw_train_swiglu_back(n, n_ff, lw->gu, w->dact);
    lmw_train_dense_dw(n, dim, 2 * n_ff, lw->gu, lw->h2, grad + at->gate_up);
    lmw_train_dense_dx(n, dim, 2 * n_ff, lw->gu, param + at->gate_up, w->dh);
    lmw_train_rmsnorm_back(n, dim, lw->x2, param + at->ffn_norm, lw->r2, w->dh, w->dx,
                           grad + at->ffn_norm);

    lmw_train_dense_dw(n, dim, dim, w->dx, lw->att, grad + at->out);
    lmw_train_dense_dx(n, dim, dim, w->dx, param + at->out, w->datt);
    attention_backward(net, w, lw, b);
    lmw_train_dense_dw(n, dim, net->qkv_dim, w->dqkv, lw->h, grad + at->qkv);
    lmw_train_dense_dx(n, dim, net->qkv_dim, w->dqkv, param + at->qkv, w->dh);
    lmw_train_rmsnorm_back(n, dim, lw->x, param + at->attn_norm, lw->r, w->dh, w->dx,
                           grad + at->attn_norm);
}

void lmw_net_backward(const struct lmw_net *net, struct lmw_net_work *w, const float *param,
                      const struct lmw_net_batch *b, float *grad)
{
    const size_t dim = (size_t)net->shape.n_embd;
    for (int l = net->shape.n_layer - 1; l >= 0; l--)
        layer_backward(net, w, l, param, b, grad);
    for (int i = 0; i < b->start[b->n_seq]; i++) {
        float *de = grad + net->embd + (size_t)b->id[i] * dim;
        const float *dx = w->dx + (size_t)i * dim;
        for (size_t j = 0; j < dim; j++)
            de[j] += dx[j];
    }
}
