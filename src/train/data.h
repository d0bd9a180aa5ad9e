/* Inside a data set: filling it, its order, its identity. */
#ifndef LMW_TRAIN_DATA_H
#define LMW_TRAIN_DATA_H

#include "train/train.h"

/* A data set that is growing. */
struct lmw_filler {
    struct lmw_train_data *d;
    int64_t cap_id, cap_weight, cap_start;
};
/* Appends a sequence and returns its n weights, for the caller to fill before the next; NULL
 * when memory is out. */
float *lmw_filler_add(struct lmw_filler *f, const int32_t *id, int64_t n);

/* Sequences of the epoch, shuffled from the seed and the epoch alone. */
void lmw_train_shuffle(const struct lmw_train_data *d, uint64_t seed, int64_t epoch,
                       int32_t *order);
/* Identifies ids, weights and bounds of a data set. */
uint64_t lmw_train_data_hash(const struct lmw_train_data *d);

#endif
