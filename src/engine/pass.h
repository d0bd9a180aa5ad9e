/* A pass: one batch of tokens on its way through the stack, as one thread sees it.
 *
 * All threads of the pool run the same code over the same pass, each taking its share of rows,
 * heads or tokens; lmw_pass_barrier() is where they meet. Each thread has its own struct lmw_pass
 * with the same contents but for i_thread, so that plain assignments to it need no care.
 *
 * A batch of many tokens may be in as many passes as there are threads, each of some tokens and
 * all theirs (stack.c): then n_thread is 1 in each, and n_meet how many passes there are.
 *
 * Whatever the batch, the thread count or the share, a token's numbers are the same bits: every
 * product and every sum is over one token's own data in a fixed order. */
#ifndef LMW_ENGINE_PASS_H
#define LMW_ENGINE_PASS_H

#include "base/pool.h"
#include "engine/model.h"

/* Rows of activations in every form a weight may want: f32, and the quantised ones. */
struct lmw_rows {
    int n;            /* row width */
    uint8_t *form[3]; /* by enum lmw_act */
    size_t stride[3];
};

/* How far each piece of work that all threads divide has gone, one of these per thread: of its own
 * share, how many parts were taken, by whomever. A ring: see lmw_pass_turn(). */
enum { LMW_TURNS = 64 };
struct lmw_taken {
    _Alignas(64) _Atomic uint32_t part[LMW_TURNS];
};

struct lmw_pass {
    const struct lmw_model *m;
    const struct lmw_kernels *k;
    int i_thread, n_thread, n_meet;
    const int32_t *ids;
    int n_tok, pos;     /* rows of this batch; position of the first */
    int n_keep;         /* of the last rows, how many need logits */
    float *x, *out;     /* [n_tok, n_embd] */
    bool is_own;        /* x and in are this thread's own: the pass is of one token */
    struct lmw_rows in; /* norm(x), [n_tok, n_embd] */
    uint8_t *scratch;   /* for blocks */
    const struct lmw_plan *plan, *alone; /* of this pass, and of a thread's own one */
    void *const *state;                  /* [n_layer * 2]: token and channel mixers' */
    float *const *rope; /* [model->n_rope] -> [n_ctx, n_rot / 2, 2]: cosine, sine */
    struct lmw_barrier *barrier;
    struct lmw_taken *taken; /* [n_thread] */
    unsigned turn;           /* works begun so far: the same in every thread */
    int64_t *matmul_ns;      /* thread 0 while profiling, else NULL */
};

void lmw_pass_barrier(struct lmw_pass *p);
/* Where all passes of the batch meet: what other tokens had to store is stored. */
void lmw_pass_meet(struct lmw_pass *p);

/* The step for rows of weights: a cache line of floats, so that no two threads write to one. */
enum { LMW_ROW_STEP = 16 };

/* My part of n things, in units of step. */
static inline void lmw_pass_share(const struct lmw_pass *p, int n, int step, int *from, int *to)
{
    int64_t a, b;
    lmw_pool_share(n, step, p->i_thread, p->n_thread, &a, &b);
    *from = (int)a;
    *to = (int)b;
}

/* Rows of weights that the threads divide as they go: each takes parts of its own share first, the
 * same for every token, so that they stay in its caches; then what slower ones have left.
 *
 *     struct lmw_turn turn = lmw_pass_turn(p);
 *     while (lmw_pass_take(p, &turn, n_row, n_in, &from, &to))
 *         ... rows [from, to) are mine
 *
 * Every thread must come by, in the same order, and meet the others at a barrier at least once in
 * LMW_TURNS / 2 turns. n_in: multiply-adds a row and token. */
struct lmw_turn {
    unsigned i;
    int owner; /* whose share is being taken, counted from my own */
};
struct lmw_turn lmw_pass_turn(struct lmw_pass *p);
bool lmw_pass_take(const struct lmw_pass *p, struct lmw_turn *turn, int n_row, int n_in, int *from,
                   int *to);

/* Rows over `memory`, which holds lmw_rows_size(n, n_rows); plan->n_row of them where they will be
 * prepared. */
size_t lmw_rows_size(int n, int n_rows);
struct lmw_rows lmw_rows_over(uint8_t *memory, int n, int n_rows);
static inline float *lmw_rows_f32(const struct lmw_rows *r, int i)
{
    return (float *)(void *)(r->form[LMW_ACT_F32] + (size_t)i * r->stride[LMW_ACT_F32]);
}
/* The other forms of all rows, once their f32 ones are complete; every thread may read them after.
 * acts: 1 << enum lmw_act, ORed. A single row every thread makes for itself, in the place of its
 * own number, and *r is that: it takes less time than to meet. */
void lmw_pass_prepare(struct lmw_pass *p, struct lmw_rows *r, unsigned acts);

/* y[t, i] = (W x_t)_i for all tokens, divided among the threads; ld is y's row width. */
void lmw_pass_mul(struct lmw_pass *p, const struct lmw_matrix *w, const struct lmw_rows *x,
                  float *y, int ld);
/* The same for the rows [from, to), all by the calling thread. */
void lmw_pass_mul_rows(struct lmw_pass *p, const struct lmw_matrix *w, const struct lmw_rows *x,
                       float *y, int ld, int from, int to);

/* y[j, i] = (W x_j)_i for n_x rows of x in W's activation format, all by the calling thread. */
void lmw_pass_product(struct lmw_pass *p, const struct lmw_matrix *w, int n_x, const void *x,
                      size_t x_stride, float *y, int ld);

/* Runs the whole stack over the pass; logits of the last n_keep rows go to `logits`, or where that
 * is NULL, their states stay in p->in, after the final norm. Called by all threads. */
void lmw_stack_forward(struct lmw_pass *p, float *logits);

#endif
