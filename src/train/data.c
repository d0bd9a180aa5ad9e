/* Owns a data set's arrays, how they grow, and the order of an epoch. */
#include "train/data.h"

#include "base/rng.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool grow(void **p, int64_t *cap, int64_t need, size_t size)
{
    if (*p && need <= *cap)
        return true;
    int64_t n = 2 * *cap + 64;
    if (n < need)
        n = need;
    void *q = realloc(*p, (size_t)n * size);
    if (!q)
        return false;
    *p = q;
    *cap = n;
    return true;
}

float *lmw_filler_add(struct lmw_filler *f, const int32_t *id, int64_t n)
{
    struct lmw_train_data *d = f->d;
    if (!grow((void **)&d->id, &f->cap_id, d->n_tok + n, sizeof *d->id) ||
        !grow((void **)&d->weight, &f->cap_weight, d->n_tok + n, sizeof *d->weight) ||
        !grow((void **)&d->start, &f->cap_start, d->n_seq + 2, sizeof *d->start))
        return NULL;
    memcpy(d->id + d->n_tok, id, (size_t)n * sizeof *id);
    float *weight = d->weight + d->n_tok;
    d->n_tok += n;
    d->start[0] = 0;
    d->start[++d->n_seq] = d->n_tok;
    return weight;
}

static int check_sequences(const int32_t *id, const float *weight, const int64_t *start,
                           int64_t n_seq, int n_vocab, struct lmw_err *err)
{
    if (n_seq < 1)
        return lmw_fail(err, LMW_EARG, "no sequence");
    for (int64_t i = 0; i < n_seq; i++) {
        bool counts = false;
        for (int64_t j = start[i]; j < start[i + 1]; j++) {
            if (id[j] < 0 || id[j] >= n_vocab || !(weight[j] >= 0 && weight[j] <= 1e6f))
                return lmw_fail(err, LMW_EARG, "sequence %lld: id %d of weight %g", (long long)i,
                                id[j], (double)weight[j]);
            counts |= j > start[i] && weight[j] > 0;
        }
        if (!counts)
            return lmw_fail(err, LMW_EARG, "sequence %lld: no token counts", (long long)i);
    }
    return LMW_OK;
}

int lmw_train_data_from(struct lmw_train_data **out, const int32_t *id, const float *weight,
                        const int64_t *start, int64_t n_seq, int n_vocab, struct lmw_err *err)
{
    int rc = check_sequences(id, weight, start, n_seq, n_vocab, err);
    if (rc < 0)
        return rc;
    struct lmw_train_data *d = calloc(1, sizeof *d);
    struct lmw_filler f = {.d = d};
    bool ok = d != NULL;
    for (int64_t i = 0; i < n_seq && ok; i++) {
        const int64_t n = start[i + 1] - start[i];
        float *w = lmw_filler_add(&f, id + start[i], n);
        if ((ok = w != NULL))
            memcpy(w, weight + start[i], (size_t)n * sizeof *w);
    }
    if (!ok) {
        lmw_train_data_free(d);
        return lmw_fail(err, LMW_ENOMEM, "no memory for %" PRId64 " sequences", n_seq);
    }
    d->n_vocab = n_vocab;
    *out = d;
    return LMW_OK;
}

void lmw_train_data_free(struct lmw_train_data *d)
{
    if (!d)
        return;
    free(d->id);
    free(d->weight);
    free(d->start);
    free(d);
}

/* ---- order ---- */

void lmw_train_shuffle(const struct lmw_train_data *d, uint64_t seed, int64_t epoch,
                       int32_t *order)
{
    struct lmw_rng rng;
    lmw_rng_init(&rng, seed + 0x9e3779b97f4a7c15u * (uint64_t)(epoch + 1));
    for (int64_t i = 0; i < d->n_seq; i++)
        order[i] = (int32_t)i;
    for (int64_t i = d->n_seq - 1; i > 0; i--) {
        int64_t j = lmw_rng_below(&rng, (uint32_t)(i + 1));
        int32_t s = order[i];
        order[i] = order[j];
        order[j] = s;
    }
}

uint64_t lmw_train_data_hash(const struct lmw_train_data *d)
{
    const lmw_str part[] = {
        {(const char *)d->id, (size_t)d->n_tok * sizeof *d->id},
        {(const char *)d->weight, (size_t)d->n_tok * sizeof *d->weight},
        {(const char *)d->start, (size_t)(d->n_seq + 1) * sizeof *d->start},
    };
    uint64_t h[3];
    for (int i = 0; i < 3; i++)
        h[i] = lmw_str_hash(part[i]);
    return lmw_str_hash((lmw_str){(const char *)h, sizeof h});
}
