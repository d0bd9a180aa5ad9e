/* Owns the checkpoint file: a header, then weights and both moments as f32, in this machine's
 * byte order (little-endian, like every machine lmwatt runs on). It appears whole or not at
 * all (base/file.h).
 *
 * Refused on the way in: another magic, another size than the header implies, another shape,
 * seed or data set than the trainer's, a state out of range. The learning rate and its like
 * may differ: that is a choice of whoever resumes. */
#include "base/file.h"
#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct header {
    char magic[8];
    struct lmw_train_shape shape;
    uint32_t unused; /* spells out the padding, so that files are the same bytes */
    uint64_t seed, data_hash, n_param;
    struct lmw_train_state state;
};

static const char magic[8] = "lmwckpt1";

int lmw_trainer_save(const struct lmw_trainer *t, const char *path, struct lmw_err *err)
{
    struct header h = {.shape = t->opts.shape,
                       .seed = t->opts.seed,
                       .data_hash = t->data_hash,
                       .n_param = t->net.n_param,
                       .state = t->state};
    memcpy(h.magic, magic, sizeof magic);
    struct lmw_atomic w;
    int rc = lmw_atomic_open(&w, path, err);
    if (rc < 0)
        return rc;
    /* Write errors stay in the stream: commit finds them. */
    fwrite(&h, sizeof h, 1, w.f);
    const float *part[] = {t->param, t->m, t->v};
    for (int i = 0; i < 3; i++)
        fwrite(part[i], sizeof *part[i], t->net.n_param, w.f);
    return lmw_atomic_commit(&w, err);
}

static int check_header(const struct lmw_trainer *t, const struct header *h, size_t len,
                        struct lmw_err *err)
{
    const uint64_t n = t->net.n_param;
    if (memcmp(h->magic, magic, sizeof magic) != 0)
        return lmw_fail(err, LMW_EFORMAT, "not a checkpoint of lmwatt train");
    if (memcmp(&h->shape, &t->opts.shape, sizeof h->shape) != 0 || h->n_param != n)
        return lmw_fail(
            err, LMW_EARG,
            "of another model: dim %d, layers %d, heads %d/%d, ffn %d, vocab %d, ctx %d",
            h->shape.n_embd, h->shape.n_layer, h->shape.n_head, h->shape.n_head_kv, h->shape.n_ff,
            h->shape.n_vocab, h->shape.n_ctx);
    if (len != sizeof *h + 3 * n * sizeof(float))
        return lmw_fail(err, LMW_EFORMAT, "%zu bytes, %zu expected: cut short?", len,
                        sizeof *h + 3 * n * sizeof(float));
    if (h->seed != t->opts.seed)
        return lmw_fail(err, LMW_EARG, "made with --seed %" PRIu64 ", not %" PRIu64, h->seed,
                        t->opts.seed);
    if (h->data_hash != t->data_hash)
        return lmw_fail(err, LMW_EARG, "made from other data (or another template or vocabulary)");
    const struct lmw_train_state *s = &h->state;
    const int64_t count[] = {s->step, s->n_tok, s->elapsed_ns, s->epoch};
    bool ok = s->i_next >= 0 && s->i_next <= t->data->n_seq;
    for (int i = 0; i < 4; i++)
        ok = ok && count[i] >= 0 && count[i] < (int64_t)1 << 60;
    if (!ok)
        return lmw_fail(err, LMW_EFORMAT, "its state is out of range");
    return LMW_OK;
}

/* Nothing of the trainer changes before all of the file has been checked. */
static int load(struct lmw_trainer *t, const struct lmw_map *m, struct lmw_err *err)
{
    struct header h;
    if (m->len < sizeof h)
        return lmw_fail(err, LMW_EFORMAT, "too short for a checkpoint");
    memcpy(&h, m->ptr, sizeof h);
    int rc = check_header(t, &h, m->len, err);
    if (rc < 0)
        return rc;
    float *part[] = {t->param, t->m, t->v};
    const size_t n = t->net.n_param, bytes = n * sizeof(float);
    for (size_t i = 0; i < 3 * n; i++) {
        float f;
        memcpy(&f, m->ptr + sizeof h + i * sizeof f, sizeof f);
        if (!isfinite(f) || (i >= 2 * n && f < 0))
            return lmw_fail(err, LMW_EFORMAT, "value %zu is %g", i, (double)f);
    }
    for (size_t i = 0; i < 3; i++)
        memcpy(part[i], m->ptr + sizeof h + i * bytes, bytes);
    t->state = h.state;
    return LMW_OK;
}

int lmw_trainer_load(struct lmw_trainer *t, const char *path, struct lmw_err *err)
{
    struct lmw_map m;
    int rc = lmw_map_open(&m, path, err);
    if (rc < 0)
        return rc;
    if ((rc = load(t, &m, err)) < 0)
        lmw_wrap(err, "%s", path);
    lmw_map_close(&m);
    return rc;
}
