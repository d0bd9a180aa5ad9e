/* Queries out, replies in. A slot is a query on its way; there are as many as may be in flight.
 *
 * Closed loop: a free slot is filled with the next query at once. Open loop: queries are due at
 * times t_0 + x_1 + ... + x_k, x exponential with mean 1 / rate (a Poisson process, by the seed)
 * or 1 / rate each, whatever the answers do; one that finds no free slot waits, and its latency
 * counts from when it was due, or a server that is too slow would look as fast as its clients are
 * patient.
 *
 * With one slot in closed loop nothing of this file runs between the marks of a query. With more,
 * the work on one query (reading, scoring, storing) is part of what the machine does while others
 * run. */
#include "base/clock.h"
#include "base/rng.h"
#include "study/run.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

static const int64_t LOOK_NS = 1000000000; /* how often to look up while waiting */

static int64_t mark(void *meter)
{
    return lmw_meter_mark(meter);
}

int lmw_flight_open(struct job *j, struct lmw_err *err)
{
    int n = j->plan->n_slot, rc = LMW_OK;
    if (!(j->slots = calloc((size_t)n, sizeof *j->slots)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d queries in flight", n);
    for (int i = 0; i < n && rc == LMW_OK; i++)
        rc = lmw_arena_open(&j->slots[i].arena, LMW_QUERY_BYTES, err);
    return rc;
}

void lmw_flight_close(struct job *j)
{
    for (int i = 0; j->slots && i < j->plan->n_slot; i++) {
        lmw_arena_close(&j->slots[i].arena);
        lmw_buf_free(&j->slots[i].reply.text);
        lmw_buf_free(&j->slots[i].reply.reasoning);
    }
    free(j->slots);
    j->slots = NULL;
}

/* A seed of its own for each query and repeat, the same in every process that asks it. */
static uint64_t query_seed(uint64_t seed, const char *query_id, int64_t repeat)
{
    return seed ^ lmw_str_hash(lmw_str_from(query_id)) ^ (uint64_t)repeat * 0x9e3779b97f4a7c15u;
}

static void make_request(struct job *j, struct slot *s)
{
    const struct lmw_study_opts *o = j->opts;
    s->request = (struct lmw_request){
        .prompt = lmw_str_from(s->query.prompt),
        .max_tokens = o->backend_opts.max_tokens,
        .temperature = o->temperature,
        .top_p = o->top_p,
        .min_p = o->min_p,
        .top_k = o->top_k,
        .seed = query_seed(o->seed, s->query.query_id, s->repeat),
        .clock = {mark, j->st->meter},
    };
}

/* The next query of the workload, recorded or not, into the slot: 1, or 0 after the last. */
static int next_query(struct job *j, struct slot *s, struct lmw_err *err)
{
    if (j->i_query == j->plan->n_query) {
        j->i_query = 0;
        j->repeat++;
        lmw_workload_rewind(j->workload);
    }
    if (j->repeat >= j->opts->n_repeat)
        return 0;
    struct lmw_arena arena = s->arena;
    int rc = lmw_workload_next(j->workload, &s->query, &arena, err);
    if (rc == 0)
        return lmw_fail(err, LMW_EFORMAT, "%s: queries are missing", j->opts->workload);
    s->repeat = j->repeat;
    j->i_query++;
    return rc;
}

static int next_missing(struct job *j, struct slot *s, struct lmw_err *err)
{
    int rc;
    while ((rc = next_query(j, s, err)) == 1) {
        if (!lmw_store_has(j->st->store, j->run.id, s->query.query_id, s->repeat))
            break;
    }
    return rc;
}

static void rewind_queries(struct job *j)
{
    lmw_workload_rewind(j->workload);
    j->i_query = j->repeat = 0;
}

/* The next question with other words in front: as long as what is measured, and of no use to it. A
 * server that keeps prompts, or their beginnings, would answer a question it was warmed up with at
 * less than it costs. */
static int make_warm_up(struct job *j, struct slot *s, int i, struct lmw_err *err)
{
    int rc = next_query(j, s, err);
    if (rc == 0) { /* there are fewer questions than that */
        rewind_queries(j);
        rc = next_query(j, s, err);
    }
    if (rc != 1)
        return rc;
    j->text.len = 0;
    lmw_buf_printf(&j->text, "Warming up, %d.\n\n%s", i + 1, s->query.prompt);
    make_request(j, s);
    s->request.prompt = (lmw_str){j->text.ptr, j->text.len};
    return j->text.failed ? lmw_fail(err, LMW_ENOMEM, "no memory for a prompt") : 1;
}

/* Whatever fails here fails again where it is recorded. */
int lmw_flight_warm_up(struct job *j, struct lmw_err *err)
{
    struct slot *s = &j->slots[0];
    int rc = LMW_OK;
    rewind_queries(j);
    for (int i = 0; i < j->opts->n_warm_up && rc == LMW_OK; i++) {
        if ((rc = lmw_job_tell(j, LMW_PHASE_WARM_UP, err)) < 0 || make_warm_up(j, s, i, NULL) != 1)
            break;
        lmw_backend_answer(j->backend, &s->request, &s->reply, NULL);
    }
    return rc;
}

/* --- in flight --- */

struct flight {
    struct job *j;
    struct lmw_rng arrivals;
    int64_t due_ns; /* of the next query; closed loop: LMW_NULL */
    int64_t n_left; /* to be sent */
    bool is_open;   /* there may be more to send */
};

static struct slot *free_slot(struct job *j)
{
    for (int i = 0; i < j->plan->n_slot; i++) {
        if (!j->slots[i].is_busy)
            return &j->slots[i];
    }
    return NULL;
}

int64_t lmw_flight_frontier(const struct job *j)
{
    int64_t oldest = INT64_MAX;
    for (int i = 0; j->slots && i < j->plan->n_slot; i++) {
        const struct slot *s = &j->slots[i];
        if (s->is_busy && s->sent_ns < oldest)
            oldest = s->sent_ns;
    }
    return oldest;
}

static void next_arrival(struct flight *f)
{
    const struct lmw_study_opts *o = f->j->opts;
    if (o->rate_hz <= 0)
        return;
    double gap = o->is_constant ? 1 : -log1p(-lmw_rng_unit(&f->arrivals));
    f->due_ns += (int64_t)(gap / o->rate_hz * 1e9);
}

/* Records what came back, and what has settled meanwhile. */
static int land(struct flight *f, struct slot *s, struct lmw_err *err)
{
    struct job *j = f->j;
    s->is_busy = false;
    j->n_busy--;
    if (s->reply.rc == LMW_EUNAVAILABLE) /* not recorded: it is asked when the run is resumed */
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "%s; what was measured is kept, and the same "
                        "command goes on from there",
                        s->reply.err.msg);
    int rc = lmw_record_reply(j, s, err);
    if (rc == LMW_OK)
        rc = lmw_energy_settle(&j->book, lmw_flight_frontier(j), err);
    if (rc == LMW_OK)
        rc = lmw_job_check_energy(j, err);
    if (rc == LMW_OK)
        rc = lmw_job_tell(j, LMW_PHASE_MEASURE, err);
    if (rc == LMW_OK && j->opts->pause_s > 0)
        lmw_sleep_until_ns(lmw_now_ns() + (int64_t)(j->opts->pause_s * 1e9));
    return rc;
}

/* One that could not even be sent is a failed query like any other. */
static int send_next(struct flight *f, struct slot *s, struct lmw_err *err)
{
    struct job *j = f->j;
    struct lmw_err failed = {0};
    int rc = f->n_left > 0 ? next_missing(j, s, err) : 0;
    f->is_open = rc == 1;
    if (rc <= 0)
        return rc;
    make_request(j, s);
    s->due_ns = f->due_ns;
    s->sent_ns = lmw_now_ns();
    s->is_busy = true;
    j->n_busy++;
    f->n_left--;
    next_arrival(f);
    if ((rc = lmw_backend_send(j->backend, &s->request, &s->reply, &failed)) == LMW_OK)
        return LMW_OK;
    s->reply.t_start_ns = s->reply.t_end_ns = mark(j->st->meter);
    s->reply.rc = rc;
    s->reply.err = failed;
    return land(f, s, err);
}

/* Until a reply is there, the next query is due, or it is time to look up. */
static int wait_next(struct flight *f, bool has_slot, struct lmw_err *err)
{
    struct job *j = f->j;
    struct lmw_reply *done = NULL;
    int64_t until_ns = INT64_MAX;
    if (j->plan->n_slot > 1 || f->due_ns != LMW_NULL)
        until_ns = lmw_now_ns() + LOOK_NS;
    if (f->is_open && has_slot && f->due_ns < until_ns)
        until_ns = f->due_ns;
    if (j->n_busy == 0) {
        lmw_sleep_until_ns(until_ns);
        return lmw_job_tell(j, LMW_PHASE_MEASURE, err);
    }
    int rc = lmw_backend_wait(j->backend, until_ns, &done, err);
    if (rc == 1)
        return land(f, (struct slot *)((char *)done - offsetof(struct slot, reply)), err);
    if (rc == 0 && (rc = lmw_energy_settle(&j->book, lmw_flight_frontier(j), err)) == LMW_OK)
        rc = lmw_job_tell(j, LMW_PHASE_MEASURE, err);
    return rc;
}

int lmw_flight(struct job *j, int64_t max_new, struct lmw_err *err)
{
    struct flight f = {.j = j, .due_ns = LMW_NULL, .n_left = max_new > 0 ? max_new : INT64_MAX};
    struct lmw_err ignored;
    int rc = LMW_OK, stopped = LMW_OK;
    f.is_open = true;
    rewind_queries(j);
    lmw_rng_init(&f.arrivals, j->opts->seed);
    if (j->opts->rate_hz > 0)
        f.due_ns = lmw_now_ns();
    while (rc == LMW_OK && (f.is_open || j->n_busy > 0)) {
        struct slot *s = free_slot(j);
        bool is_due = f.is_open && s && (f.due_ns == LMW_NULL || f.due_ns <= lmw_now_ns());
        struct lmw_err *e = stopped ? &ignored : err;
        rc = is_due ? send_next(&f, s, e) : wait_next(&f, s != NULL, e);
        if (rc == LMW_ECANCELLED || rc == LMW_EUNAVAILABLE) {
            stopped = stopped ? stopped : rc; /* no more; but what is in flight is waited for */
            f.is_open = false;
            rc = LMW_OK;
        }
    }
    return rc < 0 ? rc : stopped;
}
