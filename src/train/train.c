/* Owns a run: batches in a fixed order, their shares, the schedule, one step.
 *
 * A batch's sequences are cut into shares of about SHARE_TOKENS. A free thread takes the next
 * share forward and back alone, with a single-threaded BLAS, into the share's own gradients:
 * elementwise work spreads over the cores like the products, a core that is slow or busy just
 * takes fewer shares, and a share's working set is small. Gradients are then summed in the
 * order of the shares. Nothing depends on which thread did what, so the weights are the same
 * bits for any number of threads. Everything is in one arena from the start. */
#include "train/train.h"

#include "base/clock.h"
#include "train/data.h"
#include "train/trainer.h"

#include <cblas.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SHARE_TOKENS = 512, MAX_SHARES = 32 };

struct lmw_train_opts lmw_train_defaults(void)
{
    return (struct lmw_train_opts){
        .shape = {.n_embd = 256,
                  .n_layer = 4,
                  .n_head = 8,
                  .n_head_kv = 4,
                  .n_ff = 768,
                  .n_vocab = 1024,
                  .n_ctx = 256},
        .batch_tokens = 4096,
        .lr = 2e-3,
        .lr_min = 2e-5,
        .warmup = 100,
        .weight_decay = 0.1,
        .beta1 = 0.9,
        .beta2 = 0.95,
        .clip = 1,
        .momentum = 0.95,
        .seed = 1,
    };
}

/* ---- opening ---- */

static int check_opts(const struct lmw_train_opts *o, struct lmw_err *err)
{
    if (o->batch_tokens < o->shape.n_ctx || o->batch_tokens > 1 << 22)
        return lmw_fail(err, LMW_EARG,
                        "batch of %d tokens: must hold one context of %d, and at most %d",
                        o->batch_tokens, o->shape.n_ctx, 1 << 22);
    if (!(o->lr > 0 && o->lr_min >= 0 && o->lr_min <= o->lr && o->weight_decay >= 0))
        return lmw_fail(err, LMW_EARG,
                        "learning rate %g to %g, weight decay %g: must be positive, falling",
                        o->lr, o->lr_min, o->weight_decay);
    if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1))
        return lmw_fail(err, LMW_EARG, "beta1 %g, beta2 %g: must be in [0, 1)", o->beta1,
                        o->beta2);
    if (o->n_thread > 256)
        return lmw_fail(err, LMW_EARG, "%d threads: at most 256", o->n_thread);
    return LMW_OK;
}

static int check_data(const struct lmw_train_data *d, const struct lmw_train_shape *s,
                      struct lmw_err *err)
{
    if (d->n_seq < 1)
        return lmw_fail(err, LMW_EARG, "no sequence to learn from");
    if (d->n_vocab > s->n_vocab)
        return lmw_fail(err, LMW_EARG, "data has ids up to %d, the model %d", d->n_vocab - 1,
                        s->n_vocab);
    for (int64_t i = 0; i < d->n_seq; i++)
        if (d->start[i + 1] - d->start[i] > s->n_ctx)
            return lmw_fail(err, LMW_EARG, "sequence %lld has %lld tokens, over the context of %d",
                            (long long)i, (long long)(d->start[i + 1] - d->start[i]), s->n_ctx);
    return LMW_OK;
}

static int shares_of(int batch_tokens)
{
    int n = batch_tokens / SHARE_TOKENS;
    return n < 1 ? 1 : n > MAX_SHARES ? MAX_SHARES : n;
}

/* The most tokens of a share: its part, and the rest of a sequence that began in it. */
static size_t share_tokens(const struct lmw_trainer *t)
{
    return (size_t)(t->opts.batch_tokens / t->n_share) + 1 + (size_t)t->opts.shape.n_ctx;
}

static bool share_open(struct lmw_trainer *t, struct lmw_train_share *s)
{
    const size_t n = share_tokens(t);
    s->grad = LMW_NEW(&t->arena, float, t->net.n_param);
    s->id = LMW_NEW(&t->arena, int32_t, n);
    s->weight = LMW_NEW(&t->arena, float, n);
    s->start = LMW_NEW(&t->arena, int32_t, n + 1);
    s->batch = (struct lmw_net_batch){s->id, s->weight, s->start, 0};
    return s->grad && s->id && s->weight && s->start;
}

static bool muon_allocate(struct lmw_trainer *t, int n_thread)
{
    struct lmw_net_matrix matrix[LMW_NET_MATRICES];
    size_t n = 0;
    lmw_net_matrices(&t->net, 0, matrix);
    for (int i = 0; i < LMW_NET_MATRICES; i++) {
        size_t need = lmw_muon_floats(matrix[i].rows, matrix[i].cols);
        n = need > n ? need : n;
    }
    t->muon_work = LMW_NEW(&t->arena, float *, (size_t)n_thread);
    for (int i = 0; t->muon_work && i < n_thread; i++)
        if (!(t->muon_work[i] = LMW_NEW(&t->arena, float, n)))
            return false;
    return t->muon_work != NULL;
}

static bool allocate(struct lmw_trainer *t)
{
    const int n_thread = lmw_pool_size(t->pool);
    t->n_share = shares_of(t->opts.batch_tokens);
    t->param = LMW_NEW(&t->arena, float, t->net.n_param);
    t->m = LMW_NEW(&t->arena, float, t->net.n_param);
    t->v = LMW_NEW(&t->arena, float, t->net.n_param);
    t->share = LMW_NEW(&t->arena, struct lmw_train_share, (size_t)t->n_share);
    t->work = LMW_NEW(&t->arena, struct lmw_net_work *, (size_t)n_thread);
    t->batch = LMW_NEW(&t->arena, int32_t, (size_t)t->opts.batch_tokens);
    t->order = LMW_NEW(&t->arena, int32_t, (size_t)t->data->n_seq);
    if (!t->param || !t->m || !t->v || !t->share || !t->work || !t->batch || !t->order)
        return false;
    for (int i = 0; i < t->n_share; i++)
        if (!share_open(t, &t->share[i]))
            return false;
    for (int i = 0; i < n_thread; i++)
        if (!(t->work[i] = lmw_net_work_new(&t->net, (int)share_tokens(t), &t->arena)))
            return false;
    return t->opts.rule != LMW_RULE_MUON || muon_allocate(t, n_thread);
}

static int open_inside(struct lmw_trainer *t, struct lmw_err *err)
{
    int rc;
    /* Address space, not memory: what is not touched costs nothing. */
    if ((rc = lmw_arena_open(&t->arena, (size_t)1 << 38, err)) < 0 ||
        (rc = lmw_net_init(&t->net, &t->opts.shape, &t->arena, err)) < 0 ||
        (rc = check_data(t->data, &t->opts.shape, err)) < 0 ||
        (rc = lmw_pool_open(&t->pool, t->opts.n_thread, err)) < 0)
        return rc;
    if (!allocate(t))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu parameters and batches of %d tokens",
                        t->net.n_param, t->opts.batch_tokens);
    return LMW_OK;
}

int lmw_trainer_open(struct lmw_trainer **out, const struct lmw_train_opts *opts,
                     const struct lmw_train_data *data, struct lmw_err *err)
{
    int rc = check_opts(opts, err);
    if (rc < 0)
        return rc;
    struct lmw_trainer *t = calloc(1, sizeof *t);
    if (!t)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a trainer");
    t->opts = *opts;
    t->data = data;
    t->order_epoch = -1;
    if ((rc = open_inside(t, err)) < 0) {
        lmw_trainer_close(t);
        return rc;
    }
    openblas_set_num_threads(1);
    t->data_hash = lmw_train_data_hash(data);
    struct lmw_rng rng;
    lmw_rng_init(&rng, opts->seed);
    lmw_net_randomize(&t->net, &rng, t->param);
    *out = t;
    return LMW_OK;
}

void lmw_trainer_close(struct lmw_trainer *t)
{
    if (!t)
        return;
    if (t->pool)
        lmw_pool_close(t->pool);
    lmw_arena_close(&t->arena);
    free(t);
}

const struct lmw_train_state *lmw_trainer_state(const struct lmw_trainer *t)
{
    return &t->state;
}

int64_t lmw_trainer_n_param(const struct lmw_trainer *t)
{
    return (int64_t)t->net.n_param;
}

double lmw_trainer_flops_per_token(const struct lmw_trainer *t)
{
    return 6.0 * (double)t->net.n_matrix;
}

/* ---- batches ---- */

/* Sequences from the state's position on while they fit; returns how many, and moves the state. */
static int next_batch(struct lmw_trainer *t, int64_t *n_tok)
{
    const struct lmw_train_data *d = t->data;
    int n = 0;
    for (*n_tok = 0;;) {
        if (t->state.i_next == d->n_seq) {
            t->state.i_next = 0;
            t->state.epoch++;
        }
        if (t->order_epoch != t->state.epoch) {
            lmw_train_shuffle(d, t->opts.seed, t->state.epoch, t->order);
            t->order_epoch = t->state.epoch;
        }
        int32_t s = t->order[t->state.i_next];
        int64_t len = d->start[s + 1] - d->start[s];
        if (*n_tok + len > t->opts.batch_tokens)
            return n;
        t->batch[n++] = s;
        *n_tok += len;
        t->state.i_next++;
    }
}

/* Deals n sequences of d to the shares; returns the sum of the weights that count. */
static double deal(struct lmw_trainer *t, const struct lmw_train_data *d, int n, int64_t n_tok,
                   double min_weight)
{
    for (int i = 0; i < t->n_share; i++)
        t->share[i].batch.n_seq = 0;
    double sum = 0;
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
        const int64_t from = d->start[t->batch[i]], len = d->start[t->batch[i] + 1] - from;
        struct lmw_train_share *s = &t->share[at * t->n_share / n_tok];
        int32_t *start = s->start + s->batch.n_seq++;
        memcpy(s->id + start[0], d->id + from, (size_t)len * sizeof *s->id);
        memcpy(s->weight + start[0], d->weight + from, (size_t)len * sizeof *s->weight);
        start[1] = start[0] + (int32_t)len;
        for (int64_t j = from + 1; j < from + len; j++)
            if ((double)d->weight[j] >= min_weight)
                sum += (double)d->weight[j];
        at += len;
    }
    return sum;
}

/* ---- a step ---- */

struct step {
    struct lmw_trainer *t;
    float scale; /* of the loss */
    double min_weight;
    bool learn;
    atomic_int next; /* share */
    double square[LMW_NORM_PARTS];
    struct lmw_adamw adamw;
    struct lmw_muon muon;
};

static void pass_share(const struct step *step, struct lmw_train_share *s, struct lmw_net_work *w)
{
    const struct lmw_trainer *t = step->t;
    float *grad = step->learn ? s->grad : NULL;
    if (grad)
        memset(grad, 0, t->net.n_param * sizeof *grad);
    s->loss = 0;
    if (s->batch.n_seq == 0)
        return;
    lmw_net_forward(&t->net, w, t->param, &s->batch);
    s->loss = lmw_net_loss(&t->net, w, t->param, &s->batch, step->min_weight, step->scale, grad);
    if (grad)
        lmw_net_backward(&t->net, w, t->param, &s->batch, grad);
}

static void pass(void *arg, int i_thread, int n_thread)
{
    struct step *step = arg;
    const struct lmw_trainer *t = step->t;
    for (int i; (i = atomic_fetch_add(&step->next, 1)) < t->n_share;)
        pass_share(step, &t->share[i], t->work[i_thread]);
}

/* Adds the other shares' gradients to share 0's over one part of the parameters; returns its
 * squares' sum. */
static double sum_part(const struct lmw_trainer *t, int64_t from, int64_t to)
{
    float *g = t->share[0].grad;
    double square = 0;
    for (int s = 1; s < t->n_share; s++) {
        const float *add = t->share[s].grad;
        for (int64_t j = from; j < to; j++)
            g[j] += add[j];
    }
    for (int64_t j = from; j < to; j++)
        square += (double)g[j] * (double)g[j];
    return square;
}

static void sum_gradients(void *arg, int i_thread, int n_thread)
{
    struct step *step = arg;
    for (int i = i_thread; i < LMW_NORM_PARTS; i += n_thread) {
        int64_t from, to;
        lmw_pool_share((int64_t)step->t->net.n_param, 16, i, LMW_NORM_PARTS, &from, &to);
        step->square[i] = sum_part(step->t, from, to);
    }
}

/* This thread's part of the parameters [begin, end). */
static void update_adamw(const struct lmw_trainer *t, const struct lmw_adamw *a, size_t begin,
                         size_t end, int i_thread, int n_thread)
{
    int64_t from, to;
    lmw_pool_share((int64_t)(end - begin), 16, i_thread, n_thread, &from, &to);
    const size_t at = begin + (size_t)from;
    lmw_adamw(a, (size_t)(to - from), t->share[0].grad + at, t->param + at, t->m + at, t->v + at);
}

static void update_muon(struct step *step, int i_thread)
{
    const struct lmw_trainer *t = step->t;
    const int n = t->net.shape.n_layer * LMW_NET_MATRICES;
    for (int i; (i = atomic_fetch_add(&step->next, 1)) < n;) {
        struct lmw_net_matrix matrix[LMW_NET_MATRICES];
        lmw_net_matrices(&t->net, i / LMW_NET_MATRICES, matrix);
        const struct lmw_net_matrix *k = &matrix[i % LMW_NET_MATRICES];
        lmw_muon(&step->muon, k->rows, k->cols, t->share[0].grad + k->at, t->param + k->at,
                 t->m + k->at, t->muon_work[i_thread]);
    }
}

static void update(void *arg, int i_thread, int n_thread)
{
    struct step *step = arg;
    const struct lmw_trainer *t = step->t;
    const bool muon = t->opts.rule == LMW_RULE_MUON;
    const size_t n_embd = (size_t)t->net.shape.n_vocab * (size_t)t->net.shape.n_embd;
    struct lmw_adamw a = step->adamw;
    update_adamw(t, &a, 0, muon ? n_embd : t->net.n_matrix, i_thread, n_thread);
    a.weight_decay = 0; /* norms do not decay */
    update_adamw(t, &a, t->net.n_matrix, t->net.n_param, i_thread, n_thread);
    if (muon)
        update_muon(step, i_thread);
}

static double learning_rate(const struct lmw_train_opts *o, int64_t step, double progress)
{
    progress = progress < 0 ? 0 : progress > 1 ? 1 : progress;
    double lr = o->lr_min + (o->lr - o->lr_min) * 0.5 * (1 + cos(M_PI * progress));
    return step < o->warmup ? lr * (double)(step + 1) / (double)o->warmup : lr;
}

static double total_loss(const struct lmw_trainer *t)
{
    double loss = 0;
    for (int i = 0; i < t->n_share; i++)
        loss += t->share[i].loss;
    return loss;
}

static struct lmw_adamw adamw_of(const struct lmw_trainer *t, double lr, double grad_norm)
{
    const struct lmw_train_opts *o = &t->opts;
    double n = (double)(t->state.step + 1);
    bool clip = o->clip > 0 && grad_norm > o->clip;
    return (struct lmw_adamw){
        .lr = (float)lr,
        .beta1 = (float)o->beta1,
        .beta2 = (float)o->beta2,
        .eps = 1e-8f,
        .weight_decay = (float)o->weight_decay,
        .correct1 = (float)(1 / (1 - pow(o->beta1, n))),
        .correct2 = (float)(1 / (1 - pow(o->beta2, n))),
        .grad_scale = clip ? (float)(o->clip / grad_norm) : 1,
    };
}

int lmw_trainer_step(struct lmw_trainer *t, double progress, struct lmw_train_stat *out,
                     struct lmw_err *err)
{
    const int64_t t0 = lmw_now_ns();
    int64_t n_tok;
    int n = next_batch(t, &n_tok);
    double weight = deal(t, t->data, n, n_tok, 0);
    struct step s = {.t = t, .scale = (float)(1 / weight), .learn = true};
    lmw_pool_run(t->pool, pass, &s);
    lmw_pool_run(t->pool, sum_gradients, &s);
    double square = 0;
    for (int i = 0; i < LMW_NORM_PARTS; i++)
        square += s.square[i];
    *out = (struct lmw_train_stat){.loss = total_loss(t) / weight,
                                   .lr = learning_rate(&t->opts, t->state.step, progress),
                                   .grad_norm = sqrt(square),
                                   .n_tok = n_tok};
    if (!isfinite(out->loss) || !isfinite(out->grad_norm))
        return lmw_fail(err, LMW_EFORMAT,
                        "step %lld: loss %g, gradient norm %g; try a lower learning rate",
                        (long long)t->state.step, out->loss, out->grad_norm);
    s.adamw = adamw_of(t, out->lr, out->grad_norm);
    s.muon = (struct lmw_muon){s.adamw.lr, (float)t->opts.momentum, s.adamw.weight_decay,
                               s.adamw.grad_scale};
    s.next = 0;
    lmw_pool_run(t->pool, update, &s);
    out->t_ns = lmw_now_ns() - t0;
    t->state.step++;
    t->state.n_tok += n_tok;
    t->state.elapsed_ns += out->t_ns;
    t->state.loss = out->loss;
    return LMW_OK;
}

/* ---- without learning ---- */

int lmw_trainer_eval(struct lmw_trainer *t, const struct lmw_train_data *d, double min_weight,
                     double *loss, struct lmw_err *err)
{
    int rc = check_data(d, &t->opts.shape, err);
    if (rc < 0)
        return rc;
    struct step s = {.t = t, .min_weight = min_weight};
    double weight = 0, sum = 0;
    for (int64_t i = 0; i < d->n_seq;) {
        int n = 0;
        int64_t n_tok = 0, len;
        for (; i < d->n_seq; i++, n++, n_tok += len) {
            len = d->start[i + 1] - d->start[i];
            if (n_tok + len > t->opts.batch_tokens)
                break;
            t->batch[n] = (int32_t)i;
        }
        weight += deal(t, d, n, n_tok, min_weight);
        s.next = 0;
        lmw_pool_run(t->pool, pass, &s);
        sum += total_loss(t);
    }
    if (!(weight > 0))
        return lmw_fail(err, LMW_EARG, "no token of weight %g or more", min_weight);
    *loss = sum / weight;
    return LMW_OK;
}

int lmw_trainer_logits(struct lmw_trainer *t, const int32_t *ids, int n, float *logits,
                       struct lmw_err *err)
{
    if (n < 1 || n > t->opts.shape.n_ctx)
        return lmw_fail(err, LMW_EARG, "%d tokens: the context holds 1 to %d", n,
                        t->opts.shape.n_ctx);
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= t->opts.shape.n_vocab)
            return lmw_fail(err, LMW_EARG, "token %d: no id %d in a vocabulary of %d", i, ids[i],
                            t->opts.shape.n_vocab);
    const int32_t start[] = {0, n};
    struct lmw_net_batch b = {.id = ids, .start = start, .n_seq = 1};
    struct lmw_net_work *w = t->work[0];
    lmw_net_forward(&t->net, w, t->param, &b);
    lmw_net_logits(&t->net, w, t->param, n, logits);
    return LMW_OK;
}
