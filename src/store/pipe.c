/* Reading one file in two threads: one reads, hashes and parses a batch of records ahead of the
 * caller's, which hands them on (to SQLite, as much work again). See format.h.
 *
 * Two batches change hands: each belongs to the reader until it is full, then to the taker until
 * it is empty. A batch is an arena; its records are a list in it. */
#include "store/format.h"

#include <pthread.h>
#include <stdlib.h>

enum { BATCH = 256, BATCH_BYTES = 1 << 20 };

struct batch {
    struct lmw_arena arena;
    struct incoming *first, **end;
    int n;
    int64_t n_byte; /* of the file, when it was full */
    bool is_full;
};

struct pipe {
    struct feed *s;
    struct batch batches[2];
    struct batch *filling;
    pthread_mutex_t lock; /* over is_full and what follows */
    pthread_cond_t changed;
    bool is_done; /* the reader has ended, with rc and err */
    bool stop;    /* the taker has */
    int rc;
    struct lmw_err err;
};

/* --- the reader's side --- */

static void empty(struct batch *b)
{
    b->arena.beg = b->arena.base;
    b->first = NULL;
    b->end = &b->first;
    b->n = 0;
}

static int put(void *arg, struct lmw_record *r, const char *part, struct lmw_err *err)
{
    struct pipe *p = arg;
    struct batch *b = p->filling;
    struct incoming *item = LMW_NEW(&b->arena, struct incoming, 1);
    if (!item)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a record");
    *item = (struct incoming){.r = *r, .part = part, .line = p->s->in.line};
    *b->end = item;
    b->end = &item->next;
    b->n++;
    return LMW_OK;
}

/* Gives the batch away and waits until the other one is empty. */
static int hand_over(struct pipe *p)
{
    struct batch *next = &p->batches[p->filling == p->batches];
    pthread_mutex_lock(&p->lock);
    p->filling->n_byte = p->s->in.stream.at;
    p->filling->is_full = true;
    pthread_cond_signal(&p->changed);
    while (next->is_full && !p->stop)
        pthread_cond_wait(&p->changed, &p->lock);
    int rc = p->stop ? LMW_ECANCELLED : LMW_OK;
    pthread_mutex_unlock(&p->lock);
    p->filling = next;
    p->s->arena = &next->arena;
    empty(next);
    return rc;
}

static int read_pieces(struct pipe *p, struct lmw_err *err)
{
    struct feed *s = p->s;
    lmw_str piece;
    int rc;
    while ((rc = lmw_reader_next(&s->in, s->format->piece, &piece, err)) > 0) {
        if (s->format->read(s, piece, put, p, err) < 0)
            return lmw_wrap(err, "%.200s:%lld", s->in.name, (long long)s->in.line);
        bool is_full = p->filling->n >= BATCH || lmw_arena_used(s->arena) >= BATCH_BYTES;
        if (is_full && hand_over(p) < 0)
            return LMW_ECANCELLED;
    }
    return rc;
}

static void *read_file(void *arg)
{
    struct pipe *p = arg;
    int rc = read_pieces(p, &p->err);
    if (p->filling->n > 0)
        hand_over(p);
    pthread_mutex_lock(&p->lock);
    p->rc = rc;
    p->is_done = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* --- the taker's --- */

static int take_batch(struct pipe *p, const struct batch *b, take_list_fn *take, void *arg,
                      struct lmw_err *err)
{
    struct incoming *at = b->first;
    p->s->n_byte = b->n_byte;
    if (!at || take(arg, b->first, &at, err) == LMW_OK)
        return LMW_OK;
    return lmw_wrap(err, "%.200s:%lld", p->s->in.name, (long long)at->line);
}

/* The batches in turn, until the reader has ended or take refuses. */
static int take_all(struct pipe *p, take_list_fn *take, void *arg, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int k = 0; rc == LMW_OK; k = !k) {
        struct batch *b = &p->batches[k];
        pthread_mutex_lock(&p->lock);
        while (!b->is_full && !p->is_done)
            pthread_cond_wait(&p->changed, &p->lock);
        bool is_last = !b->is_full;
        pthread_mutex_unlock(&p->lock);
        if (is_last)
            return LMW_OK;
        rc = take_batch(p, b, take, arg, err);
        pthread_mutex_lock(&p->lock);
        b->is_full = false;
        p->stop = rc < 0;
        pthread_cond_signal(&p->changed);
        pthread_mutex_unlock(&p->lock);
    }
    return rc;
}

static int run(struct pipe *p, take_list_fn *take, void *arg, struct lmw_err *err)
{
    pthread_t reader;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    bool is_running = pthread_create(&reader, NULL, read_file, p) == 0;
    int rc = is_running ? take_all(p, take, arg, err)
                        : lmw_fail(err, LMW_EUNAVAILABLE, "cannot start a thread to read %s",
                                   p->s->in.name);
    if (is_running)
        pthread_join(reader, NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
    return rc == LMW_OK && p->rc < 0 ? lmw_fail(err, p->rc, "%s", p->err.msg) : rc;
}

int lmw_feed_read(struct feed *s, take_list_fn *take, void *arg, struct lmw_err *err)
{
    struct pipe *p = calloc(1, sizeof *p);
    int rc = p ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory to read %s", s->in.name);
    for (int k = 0; k < 2 && rc == LMW_OK; k++) {
        rc = lmw_arena_open(&p->batches[k].arena, 8 * READER_PIECE_MAX, err);
        empty(&p->batches[k]);
    }
    if (rc == LMW_OK) {
        p->s = s;
        p->filling = p->batches;
        s->arena = &p->filling->arena;
        rc = run(p, take, arg, err);
    }
    for (int k = 0; k < 2 && p; k++)
        lmw_arena_close(&p->batches[k].arena);
    free(p);
    return rc;
}
