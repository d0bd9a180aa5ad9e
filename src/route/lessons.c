/* What a router can learn from, read beside the cells: the questions' texts, and what each try
 * told about itself. A frame's records are in the order of the store, so that the n-th record read
 * is the frame's n-th of that run. */
#include "route/route.h"
#include "route/router.h"

#include <math.h>

struct reader {
    struct lmw_lessons *l;
    const struct lmw_routes *routes;
    const int32_t *cell_of; /* [frame's question] the cell's query, -1: none */
    lmw_str *prompt;
    double *sum[LMW_SIGNALS], *n[LMW_SIGNALS]; /* [local][query] */
    uint64_t *answer;                          /* [record of the run] its hash, 0: none */
    uint64_t *id;                              /* [query] */
    struct lmw_arena *arena;
};

static void add_signal(struct reader *r, enum lmw_signal k, int64_t cell, double v)
{
    if (!isfinite(v))
        return;
    r->sum[k][cell] += v;
    r->n[k][cell]++;
}

static bool take(struct reader *r, int run, size_t i, const struct lmw_record *x)
{
    int32_t q = r->cell_of[r->routes->frame.query_of[r->routes->frame.run[run].first + i]];
    if (q < 0)
        return true;
    if (!r->prompt[q].ptr && x->prompt) {
        const char *text = lmw_arena_str(r->arena, lmw_str_from(x->prompt));
        r->prompt[q] = lmw_str_from(text);
        if (!text)
            return false;
    }
    r->answer[i] = x->answer ? lmw_str_hash(lmw_str_trim(lmw_str_from(x->answer))) | 1 : 0;
    if (run < r->routes->cells.n_local) {
        int64_t cell = run * r->routes->cells.n + q;
        add_signal(r, LMW_LOGPROB, cell, x->logprob_mean);
        add_signal(r, LMW_ENTROPY, cell, x->entropy_mean);
    }
    return true;
}

/* How many of the n answers at `list`, linked by next, are the commonest. */
static int64_t commonest(const struct reader *r, const int32_t *next, int32_t list)
{
    int64_t most = 0;
    for (int32_t i = list; i >= 0; i = next[i]) {
        int64_t same = 0;
        for (int32_t k = list; k >= 0; k = next[k])
            same += r->answer[k] && r->answer[k] == r->answer[i];
        most = same > most ? same : most;
    }
    return most;
}

/* Agreement of a run's repeats, where a question has several. */
static int agree(struct reader *r, int run, struct lmw_arena scratch, struct lmw_err *err)
{
    const struct lmw_frame *f = &r->routes->frame;
    const struct lmw_frame_run *x = &f->run[run];
    int64_t n = r->routes->cells.n;
    int32_t *head = LMW_NEW(&scratch, int32_t, (size_t)n),
            *next = LMW_NEW(&scratch, int32_t, x->n);
    int32_t *count = LMW_NEW(&scratch, int32_t, (size_t)n);
    if (!head || !next || !count)
        return lmw_fail(err, LMW_ENOMEM, "no memory for repeats");
    for (int64_t q = 0; q < n; q++)
        head[q] = -1;
    for (size_t i = 0; i < x->n; i++) {
        int32_t q = r->cell_of[f->query_of[x->first + i]];
        if (q < 0)
            continue;
        next[i] = head[q];
        head[q] = (int32_t)i;
        count[q]++;
    }
    for (int64_t q = 0; q < n; q++) {
        int64_t same = count[q] < 2 ? 0 : commonest(r, next, head[q]);
        if (same == 0) /* asked once, or no answer is known */
            continue;
        r->l->n_repeat = count[q] > r->l->n_repeat ? count[q] : r->l->n_repeat;
        r->sum[LMW_AGREEMENT][run * n + q] = (double)same / count[q];
        r->n[LMW_AGREEMENT][run * n + q] = 1;
    }
    return LMW_OK;
}

static int read_run(struct reader *r, struct lmw_store *s, int run, struct lmw_err *err)
{
    static const char *const columns[] = {"query_id",     "prompt",       "answer",
                                          "logprob_mean", "entropy_mean", NULL};
    const struct lmw_frame_run *x = &r->routes->frame.run[run];
    struct lmw_records *it;
    struct lmw_record record;
    int rc = lmw_records_open_columns(&it, s, x->run.id, columns, err);
    if (rc < 0)
        return rc;
    if (!(r->answer = LMW_NEW(r->arena, uint64_t, x->n + 1)))
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for answers");
    for (size_t i = 0; rc >= 0 && i < x->n && (rc = lmw_records_next(it, &record, err)) > 0; i++) {
        if (!take(r, run, i, &record))
            rc = lmw_fail(err, LMW_ENOMEM, "no memory for the questions' texts");
    }
    lmw_records_close(it);
    return rc >= 0 && run < r->routes->cells.n_local ? agree(r, run, *r->arena, err) : rc;
}

/* Sums to means, absent to NaN; counts what there is. A question whose text is known is known by
 * it: who has seen the text has seen the question, whatever its query_id. */
static void finish(struct reader *r)
{
    struct lmw_lessons *l = r->l;
    int64_t n = l->cells->n;
    for (int64_t q = 0; q < n; q++) {
        if (!r->prompt[q].ptr)
            continue;
        l->n_prompt++;
        r->id[q] = lmw_str_hash(lmw_str_trim(r->prompt[q]));
    }
    for (int k = 0; k < LMW_SIGNALS; k++) {
        for (int64_t i = 0; i < n * l->cells->n_local; i++) {
            r->sum[k][i] = r->n[k][i] > 0 ? r->sum[k][i] / r->n[k][i] : (double)NAN;
            l->n_signal[k] += r->n[k][i] > 0;
        }
        l->signal[k] = r->sum[k];
    }
    l->prompt = r->prompt;
}

static int open_reader(struct reader *r, struct lmw_err *err)
{
    const struct lmw_routes *routes = r->routes;
    size_t n = (size_t)routes->cells.n, cells = n * (size_t)routes->cells.n_local;
    int32_t *cell_of = LMW_NEW(r->arena, int32_t, (size_t)routes->frame.n_query + 1);
    bool ok = cell_of && (r->id = LMW_NEW(r->arena, uint64_t, n)) &&
              (r->prompt = LMW_NEW(r->arena, lmw_str, n));
    for (int k = 0; k < LMW_SIGNALS; k++)
        ok = ok && (r->sum[k] = LMW_NEW(r->arena, double, cells)) &&
             (r->n[k] = LMW_NEW(r->arena, double, cells));
    if (!ok)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu questions", n);
    for (int i = 0; i < routes->frame.n_query; i++)
        cell_of[i] = -1;
    for (size_t q = 0; q < n; q++) {
        cell_of[routes->query[q]] = (int32_t)q;
        r->id[q] = lmw_str_hash(lmw_str_from(routes->frame.query[routes->query[q]]));
    }
    r->cell_of = cell_of;
    r->l->id = r->id;
    return LMW_OK;
}

int lmw_lessons_load(struct lmw_lessons *l, struct lmw_store *s, const struct lmw_routes *routes,
                     struct lmw_arena *arena, struct lmw_err *err)
{
    struct reader r = {.l = l, .routes = routes, .arena = arena};
    *l = (struct lmw_lessons){.cells = &routes->cells};
    int rc = open_reader(&r, err);
    /* The cloud's run, which is the last, first: its texts are the same whichever locals are named
     * beside it, and in whatever order. */
    for (int run = routes->frame.n_run - 1; rc >= 0 && run >= 0; run--)
        rc = read_run(&r, s, run, err);
    if (rc < 0)
        return rc;
    finish(&r);
    return LMW_OK;
}
