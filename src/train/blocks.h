/* The blocks of a llama-architecture model, forward and backward, over packed rows.
 *
 * Rows are tokens: the sequences of a batch lie one after the other with no padding, so every
 * dense layer is one matrix product. Only rope and attention know where sequences begin. All
 * arrays are f32, row-major, without overlap unless said. A `d` in front of a name is the
 * gradient of the loss with respect to it; `+=` in a comment means the function adds to what
 * is there. Nothing here allocates, and nothing is shared between threads. */
#ifndef LMW_TRAIN_BLOCKS_H
#define LMW_TRAIN_BLOCKS_H

#include <stdint.h>

/* ---- dense layers: W is [n_out][n_in], as GGUF stores it ---- */

/* y[n][n_out] = x W^T, or += when `add`. */
void lmw_train_dense(int n, int n_in, int n_out, const float *x, const float *w, float *y,
                     int add);
/* dx[n][n_in] = dy W */
void lmw_train_dense_dx(int n, int n_in, int n_out, const float *dy, const float *w, float *dx);
/* dW += dy^T x */
void lmw_train_dense_dw(int n, int n_in, int n_out, const float *dy, const float *x, float *dw);

/* ---- RMSNorm: y = g * x * r, r = 1 / sqrt(mean(x^2) + eps) ---- */

#define LMW_NORM_EPS 1e-5f
/* r[n] is kept for the way back. */
void lmw_train_rmsnorm(int n, int dim, const float *x, const float *g, float *y, float *r);
/* dx += , dg += */
void lmw_train_rmsnorm_back(int n, int dim, const float *x, const float *g, const float *r,
                            const float *dy, float *dx, float *dg);

/* ---- RoPE on pairs (2i, 2i + 1), base 10000 ---- */

#define LMW_ROPE_BASE 10000.0
/* table[n_pos][head_dim]: cos and sin of each pair, next to each other. */
void lmw_train_rope_table(int n_pos, int head_dim, float *table);
/* Turns n_head heads of each of n rows (`stride` floats apart, positions 0..n-1) in place; sign +1
 * forward, -1 backward. */
void lmw_train_rope(int n, int n_head, int head_dim, int stride, const float *table, float sign,
                    float *x);

/* ---- causal attention within one sequence of n rows ---- */

struct lmw_heads {
    int n_head, n_head_kv, head_dim;
};
/* A row of qkv: the query heads, the key heads, the value heads. */
static inline int lmw_qkv_dim(struct lmw_heads h)
{
    return (h.n_head + 2 * h.n_head_kv) * h.head_dim;
}
/* p[n_head][n][n] gets the probabilities; out[n][n_head * head_dim]. */
void lmw_train_attention(int n, struct lmw_heads h, const float *qkv, float *p, float *out);
/* dqkv[n][qkv_dim] is written; dp[n][n] is scratch. */
void lmw_train_attention_back(int n, struct lmw_heads h, const float *qkv, const float *p,
                              const float *dout, float *dp, float *dqkv);

/* ---- SwiGLU: act = silu(gate) * up; a row of gu holds the gate's n_ff, then up's ---- */

void lmw_train_swiglu(int n, int n_ff, const float *gu, float *act);
/* Writes the gradient over gu. */
void lmw_train_swiglu_back(int n, int n_ff, float *gu, const float *dact);

/* ---- head ---- */

/* Softmax cross-entropy of one row of logits: returns -log p[target] and overwrites the row with
 * scale * (p - onehot(target)). */
double lmw_train_cross_entropy(int n, float *logits, int32_t target, float scale);

#endif
