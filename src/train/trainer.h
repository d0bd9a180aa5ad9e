/* The inside of a trainer, shared by the files of this room. */
#ifndef LMW_TRAIN_TRAINER_H
#define LMW_TRAIN_TRAINER_H

#include "base/pool.h"
#include "train/net.h"
#include "train/train.h"

/* A part of a batch that one thread takes through the network, and its sum of gradients. Parts
 * do not depend on the number of threads, so neither does any result. */
struct lmw_train_share {
    float *grad;         /* [n_param] */
    int32_t *id, *start; /* what batch points at */
    float *weight;
    struct lmw_net_batch batch;
    double loss; /* weighted sum over its tokens */
};

/* The squared norm of the gradient is summed in this many parts, for the same reason. */
enum { LMW_NORM_PARTS = 64 };

struct lmw_trainer {
    struct lmw_train_opts opts;
    const struct lmw_train_data *data;
    uint64_t data_hash;
    struct lmw_arena arena;
    struct lmw_pool *pool;
    struct lmw_net net;
    float *param, *m, *v; /* [n_param] */
    struct lmw_train_share *share;
    int n_share;
    struct lmw_net_work **work; /* one per thread */
    float **muon_work;          /* one per thread, when Muon is the rule */
    int32_t *batch;             /* sequences of the batch being packed */
    int32_t *order;             /* [n_seq]: the order of epoch `order_epoch` */
    int64_t order_epoch;
    struct lmw_train_state state;
};

struct lmw_adamw {
    float lr, beta1, beta2, eps, weight_decay;
    float correct1, correct2; /* 1 / (1 - beta^t) */
    float grad_scale;         /* from clipping */
};
/* One update of n parameters. g is not changed. */
void lmw_adamw(const struct lmw_adamw *a, size_t n, const float *g, float *p, float *m, float *v);

struct lmw_muon {
    float lr, momentum, weight_decay, grad_scale;
};
/* One update of a matrix [rows][cols]; work: lmw_muon_floats(rows, cols). g is not changed. */
void lmw_muon(const struct lmw_muon *k, int rows, int cols, const float *g, float *p, float *m,
              float *work);
size_t lmw_muon_floats(int rows, int cols);

#endif
