/* The network: where each parameter lies, and one thread's pass over its share of a batch.
 *
 * All parameters are one array of f32, and so are the gradients: matrices first, then norms,
 * so that weight decay is a prefix. Q, K and V of a layer lie together, and gate and up, so
 * that each is one product. */
#ifndef LMW_TRAIN_NET_H
#define LMW_TRAIN_NET_H

#include "base/arena.h"
#include "base/rng.h"
#include "train/blocks.h"
#include "train/train.h"

struct lmw_net_layer {
    size_t qkv;                 /* [qkv_dim][n_embd] */
    size_t out;                 /* [n_embd][n_head * head_dim] */
    size_t gate_up;             /* [2 n_ff][n_embd] */
    size_t down;                /* [n_embd][n_ff] */
    size_t attn_norm, ffn_norm; /* [n_embd] */
};

/* A matrix of a layer that is one linear map: Q, K, V, gate and up each count as one. */
struct lmw_net_matrix {
    size_t at;
    int rows, cols;
};
enum { LMW_NET_MATRICES = 7 }; /* of a layer */

/* Offsets into the parameter array. */
struct lmw_net {
    struct lmw_train_shape shape;
    struct lmw_heads heads;
    int qkv_dim;
    size_t embd; /* [n_vocab][n_embd], the head too */
    struct lmw_net_layer *layer;
    size_t out_norm;
    size_t n_matrix, n_param; /* matrices are [0, n_matrix) */
    const float *rope;        /* [n_ctx][head_dim] */
};

/* Checks the shape (the message says which rule it breaks) and lays the parameters out. */
int lmw_net_init(struct lmw_net *net, const struct lmw_train_shape *shape, struct lmw_arena *arena,
                 struct lmw_err *err);
/* Normal 0.02, the projections into the residual stream divided by sqrt(2 n_layer); norms are
 * 1. */
void lmw_net_randomize(const struct lmw_net *net, struct lmw_rng *rng, float *param);

/* Layer l's maps, in the order q, k, v, out, gate, up, down. */
void lmw_net_matrices(const struct lmw_net *net, int l,
                      struct lmw_net_matrix out[LMW_NET_MATRICES]);

/* What one thread is given: whole sequences, packed. */
struct lmw_net_batch {
    const int32_t *id;    /* [n_tok] */
    const float *weight;  /* [n_tok], as in struct lmw_train_data */
    const int32_t *start; /* [n_seq + 1], from 0 */
    int n_seq;
};

/* One thread's activations, for up to n_max tokens. */
struct lmw_net_work;
/* NULL when the arena is full. */
struct lmw_net_work *lmw_net_work_new(const struct lmw_net *net, int n_max,
                                      struct lmw_arena *arena);
/* Activations up to the last layer. */
void lmw_net_forward(const struct lmw_net *net, struct lmw_net_work *w, const float *param,
                     const struct lmw_net_batch *b);
/* After forward: the sum of weight * cross-entropy over positions whose weight is at least
 * min_weight (and above 0). With grad, adds to it the gradient of scale times that sum. */
double lmw_net_loss(const struct lmw_net *net, struct lmw_net_work *w, const float *param,
                    const struct lmw_net_batch *b, double min_weight, float scale, float *grad);
/* After lmw_net_loss with grad: the rest of the way back. Uses up the activations. */
void lmw_net_backward(const struct lmw_net *net, struct lmw_net_work *w, const float *param,
                      const struct lmw_net_batch *b, float *grad);
/* After forward: logits[n_tok][n_vocab]. */
void lmw_net_logits(const struct lmw_net *net, struct lmw_net_work *w, const float *param, int n,
                    float *logits);

#endif
