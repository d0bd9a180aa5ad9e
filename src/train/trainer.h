/* The inside of a trainer, shared by the files of this room. */
#ifndef LMW_TRAIN_TRAINER_H
#define LMW_TRAIN_TRAINER_H

#include "base/pool.h"
#include "train/net.h"
#include "train/train.h"

/* One thread's share of a batch, its activations and its sum of gradients. */
struct lmw_train_worker {
    struct lmw_net_work *work;
    float *grad;         /* [n_param] */
    int32_t *id, *start; /* what batch points at */
    float *weight;
    struct lmw_net_batch batch;
    double loss;        /* weighted sum over its tokens */
    double grad_square; /* over its share of the parameters */
};

struct lmw_trainer {
    struct lmw_train_opts opts;
    const struct lmw_train_data *data;
    uint64_t data_hash;
    struct lmw_arena arena;
    struct lmw_pool *pool;
    struct lmw_net net;
    float *param, *m, *v; /* [n_param] */
    struct lmw_train_worker *worker;
    int n_thread;
    int32_t *batch; /* sequences of the batch being packed */
    int32_t *order; /* [n_seq]: the order of epoch `order_epoch` */
    int64_t order_epoch;
    struct lmw_train_state state;
};

/* Sequences of the epoch, shuffled from the seed and the epoch alone. */
void lmw_train_shuffle(const struct lmw_train_data *d, uint64_t seed, int64_t epoch,
                       int32_t *order);
/* Identifies ids, weights and bounds of a data set. */
uint64_t lmw_train_data_hash(const struct lmw_train_data *d);

struct lmw_adamw {
    float lr, beta1, beta2, eps, weight_decay;
    float correct1, correct2; /* 1 / (1 - beta^t) */
    float grad_scale;         /* from clipping */
};
/* One update of n parameters. g is not changed. */
void lmw_adamw(const struct lmw_adamw *a, size_t n, const float *g, float *p, float *m, float *v);

#endif
