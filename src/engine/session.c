/* Sessions: one timeline of tokens each.
 *
 * A session owns one arena with all it will ever need: the blocks' state, rotary tables,
 * activations of one batch, logits, answer ids. Sizes are computed at open, where a session too
 * big for this machine is refused; after that nothing here allocates, locks or prints. Pages are
 * committed as they are touched, so a long context that is not used costs nothing.
 *
 * A call to eval goes through the stack in batches of at most BATCH tokens, each one a round of
 * the pool; a batch too small to be worth a round runs on the calling thread. */
#include "engine/session.h"

#include "base/clock.h"
#include "base/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCH = 128,
    MIN_PARALLEL_MAC = 200000, /* about 10 us of one core: below, waking a second one loses */
};

/* --- opening a session --- */

/* Carves a session's memory; without a base it only adds up. Not the arena's own allocation, which
 * clears: fresh pages are zero already and must stay untouched until they are used. */
struct carver {
    uint8_t *base;
    size_t at;
};

static void *carve(struct carver *c, size_t size)
{
    uint8_t *p = c->base ? c->base + c->at : NULL;
    c->at += (size + 63) & ~(size_t)63;
    return p;
}

static const struct lmw_block *block_of(const struct lmw_model *m, int i)
{
    return i % 2 ? m->layers[i / 2].channel.block : m->layers[i / 2].token.block;
}

static void carve_blocks(struct lmw_session *s, struct carver *c)
{
    const struct lmw_model *m = &s->engine->model;
    for (int i = 0; i < 2 * m->n_layer; i++) {
        const struct lmw_block *b = block_of(m, i);
        void *state = carve(c, b->ops->state_size(b, &s->plan));
        if (s->state)
            s->state[i] = state;
    }
    size_t alone = s->alone.scratch * (size_t)s->plan.n_thread;
    s->scratch = carve(c, s->plan.scratch > alone ? s->plan.scratch : alone);
}

/* Lays the session out; run twice, first over no memory for the size. Returns the bytes an
 * ordinary session touches: logits of a whole context count as one batch. */
static size_t carve_session(struct lmw_session *s, struct carver *c)
{
    const struct lmw_model *m = &s->engine->model;
    size_t n_batch = s->plan.n_batch, n_ctx = s->plan.n_ctx;
    s->state = carve(c, 2 * sizeof(void *) * m->n_layer);
    s->rope = carve(c, sizeof(float *) * LMW_MAX_ROPE);
    for (int i = 0; i < m->n_rope; i++) {
        void *table = carve(c, n_ctx * m->ropes[i].n_rot * sizeof(float));
        if (s->rope)
            s->rope[i] = table;
    }
    s->x = carve(c, (size_t)s->plan.n_row * m->n_embd * sizeof(float));
    s->out = carve(c, n_batch * m->n_embd * sizeof(float));
    uint8_t *in = carve(c, lmw_rows_size(m->n_embd, s->plan.n_row));
    if (in)
        s->in = lmw_rows_over(in, m->n_embd, s->plan.n_row);
    carve_blocks(s, c);
    s->taken = carve(c, sizeof *s->taken * (size_t)s->plan.n_thread);
    s->answer = carve(c, (n_ctx + 1) * sizeof(int32_t));
    s->logits = carve(c, n_batch * m->n_vocab * sizeof(float));
    size_t n_touched = c->at;
    carve(c, (n_ctx - n_batch) * m->n_vocab * sizeof(float));
    return n_touched;
}

static struct lmw_plan plan_for(const struct lmw_engine *e, int n_ctx, int n_batch, int n_thread)
{
    struct lmw_plan plan = {.n_ctx = n_ctx,
                            .n_batch = n_batch,
                            .n_thread = n_thread,
                            .n_row = n_batch > n_thread ? n_batch : n_thread,
                            .kv_f32 = e->kv_f32};
    for (int i = 0; i < 2 * e->model.n_layer; i++) {
        const struct lmw_block *b = block_of(&e->model, i);
        size_t need = (b->ops->scratch_size(b, &plan) + 63) & ~(size_t)63;
        plan.scratch = need > plan.scratch ? need : plan.scratch;
    }
    return plan;
}

/* What a session needs must fit the machine's memory. */
static int check_memory(size_t n_byte, const struct lmw_plan *plan, struct lmw_err *err)
{
    size_t have = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    if (n_byte <= have)
        return LMW_OK;
    return lmw_fail(
        err, LMW_ENOMEM,
        "a session of %d tokens needs %zu MiB, this machine has %zu MiB: ask for a shorter "
        "context",
        plan->n_ctx, n_byte >> 20, have >> 20);
}

int lmw_session_open(struct lmw_session **out, struct lmw_engine *e, int n_ctx,
                     struct lmw_err *err)
{
    struct carver sizing = {0};
    int rc;
    if (n_ctx <= 0)
        n_ctx = e->model.info.n_ctx_train;
    if (n_ctx > LMW_MAX_CTX)
        return lmw_fail(err, LMW_EARG, "a context of %d tokens, at most %d", n_ctx, LMW_MAX_CTX);
    struct lmw_session *s = aligned_alloc(64, (sizeof *s + 63) & ~(size_t)63);
    if (!s)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a session");
    *s = (struct lmw_session){.engine = e};
    int n_thread = lmw_pool_size(e->pool), n_batch = n_ctx < BATCH ? n_ctx : BATCH;
    s->plan = plan_for(e, n_ctx, n_batch, n_thread);
    s->alone = plan_for(e, n_ctx, (n_batch + n_thread - 1) / n_thread, 1);
    size_t need = carve_session(s, &sizing);
    if ((rc = check_memory(need, &s->plan, err)) < 0 ||
        (rc = lmw_arena_open(&s->arena, sizing.at, err)) < 0) {
        free(s);
        return rc;
    }
    carve_session(s, &(struct carver){.base = s->arena.base});
    *out = s;
    return LMW_OK;
}

void lmw_session_close(struct lmw_session *s)
{
    if (!s)
        return;
    lmw_arena_close(&s->arena);
    free(s);
}

int lmw_session_n_past(const struct lmw_session *s)
{
    return s->n_past;
}

void lmw_session_truncate(struct lmw_session *s, int n_past)
{
    if (n_past < 0)
        n_past = 0;
    if (n_past < s->n_past)
        s->n_past = n_past;
}

const float *lmw_session_logits(const struct lmw_session *s, int i)
{
    return s->logits + (size_t)i * s->engine->model.n_vocab;
}

/* --- eval --- */

/* Angles in double: at long positions a float product would be off by whole turns' fractions. */
static void fill_rope(struct lmw_session *s, int n_pos)
{
    const struct lmw_model *m = &s->engine->model;
    for (int r = 0; r < m->n_rope; r++) {
        const struct lmw_rope *rope = &m->ropes[r];
        for (int i = 0; i < rope->n_rot; i += 2) {
            double step = rope->scale * pow(rope->base, -(double)i / rope->n_rot);
            if (rope->factors)
                step /= (double)rope->factors[i / 2];
            for (int pos = s->n_rope_pos; pos < n_pos; pos++) {
                float *cs = s->rope[r] + (size_t)pos * rope->n_rot + i;
                cs[0] = (float)cos(pos * step);
                cs[1] = (float)sin(pos * step);
            }
        }
    }
    s->n_rope_pos = n_pos > s->n_rope_pos ? n_pos : s->n_rope_pos;
}

struct job {
    struct lmw_pass pass;
    float *logits;
    unsigned turn; /* after the pass */
};

static void run_share(void *arg, int i_thread, int n_thread)
{
    struct job *job = arg;
    struct lmw_pass p = job->pass;
    p.i_thread = i_thread;
    p.n_thread = p.n_meet = n_thread;
    if (i_thread != 0)
        p.matmul_ns = NULL;
    lmw_stack_forward(&p, job->logits);
    if (i_thread == 0)
        job->turn = p.turn;
}

static void run_batch(struct lmw_session *s, const int32_t *ids, int n, int n_keep, float *logits)
{
    struct lmw_engine *e = s->engine;
    struct job job = {.logits = logits};
    job.pass = (struct lmw_pass){
        .m = &e->model,
        .k = &e->model.kernels,
        .ids = ids,
        .n_tok = n,
        .pos = s->n_past,
        .n_keep = n_keep,
        .x = s->x,
        .out = s->out,
        .in = s->in,
        .scratch = s->scratch,
        .plan = &s->plan,
        .alone = &s->alone,
        .state = s->state,
        .rope = s->rope,
        .barrier = &s->barrier,
        .taken = s->taken,
        .turn = s->turn,
        .matmul_ns = e->is_profiling ? &e->matmul_ns : NULL,
    };
    int64_t t0 = e->is_profiling ? lmw_now_ns() : 0;
    if (e->model.info.n_param_active * n < MIN_PARALLEL_MAC)
        run_share(&job, 0, 1);
    else
        lmw_pool_run(e->pool, run_share, &job);
    s->turn = job.turn;
    if (e->is_profiling)
        e->total_ns += lmw_now_ns() - t0;
    s->n_past += n;
}

static int check_eval(const struct lmw_session *s, const int32_t *ids, int n, struct lmw_err *err)
{
    int n_vocab = s->engine->model.n_vocab;
    if (n < 0 || n > s->plan.n_ctx - s->n_past)
        return lmw_fail(err, LMW_EARG, "%d tokens after %d do not fit the context of %d", n,
                        s->n_past, s->plan.n_ctx);
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= n_vocab)
            return lmw_fail(err, LMW_EARG, "token %d is %d, the vocabulary has 0..%d", i,
                            (int)ids[i], n_vocab - 1);
    return LMW_OK;
}

int lmw_session_eval(struct lmw_session *s, const int32_t *ids, int n, enum lmw_logits want,
                     struct lmw_err *err)
{
    int rc = check_eval(s, ids, n, err);
    if (rc < 0)
        return rc;
    fill_rope(s, s->n_past + n);
    s->n_logits = 0;
    for (int i = 0; i < n;) {
        int n_tok = n - i < s->plan.n_batch ? n - i : s->plan.n_batch;
        bool is_last = i + n_tok == n;
        int n_keep = want == LMW_LOGITS_ALL ? n_tok : want == LMW_LOGITS_LAST && is_last;
        float *logits = s->logits + (size_t)s->n_logits * s->engine->model.n_vocab;
        run_batch(s, ids + i, n_tok, n_keep, logits);
        s->n_logits += n_keep;
        i += n_tok;
    }
    return LMW_OK;
}

/* Never an answer: its tokens and joules would be measured as if the model had said something. */
int lmw_session_no_number(int n, struct lmw_err *err)
{
    return lmw_fail(err, LMW_EFORMAT,
                    "after %d tokens what the model computes is no number: its weights are "
                    "damaged, or too large to compute with",
                    n);
}

/* --- embeddings --- */

/* False where it has no length that is a number. */
static bool scale_to_one(float *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (int i = 0; i < n; i++)
        x[i] = (float)((double)x[i] / sqrt(sum));
    return sum > 0 && isfinite(sum);
}

int lmw_session_embed(struct lmw_session *s, const int32_t *ids, int n, float *out,
                      struct lmw_err *err)
{
    lmw_session_truncate(s, 0);
    int rc = n > 0 ? check_eval(s, ids, n, err)
                   : lmw_fail(err, LMW_EARG, "an empty text has no embedding");
    if (rc < 0)
        return rc;
    int n_embd = s->engine->model.n_embd;
    memset(out, 0, (size_t)n_embd * sizeof *out);
    fill_rope(s, n);
    s->n_logits = 0;
    for (int i = 0; i < n; i += s->plan.n_batch) {
        int n_tok = n - i < s->plan.n_batch ? n - i : s->plan.n_batch;
        run_batch(s, ids + i, n_tok, n_tok, NULL);
        for (int t = 0; t < n_tok; t++)
            s->engine->model.kernels.add(out, lmw_rows_f32(&s->in, t), n_embd);
    }
    return scale_to_one(out, n_embd) ? LMW_OK : lmw_session_no_number(n, err);
}
