/* The judge. Owns one judgement from its first verdict to the moment its run shows it.
 *
 * A scorer's verdicts are made anew each time: they cost nothing. A model's are asked for in the
 * order of the records, several at once where that is wanted, each stored when it is complete, and
 * go on where they stopped. Nothing of a verdict depends on what else is in flight. The first try
 * is greedy, the ones after it are not: the same question asked the same way would get the same
 * bad reply. A reply that is no verdict after n_try is unscorable, and so is a question the
 * judge's context has no room for, a filter holds back, or that fails where others are answered:
 * it would fail again whenever the judgement went on. Which of the two a failure is, the next
 * reply tells: until then it is held back, and HELD_MAX in a row are the judge's fault. A judge
 * that cannot be reached stops everything, resumable: no more is asked, and what is in flight is
 * kept if it is a verdict. */
#include "study/judge.h"

#include "base/clock.h"
#include "base/record.h"
#include "meter/meter.h"
#include "score/score.h"
#include "score/verdict.h"
#include "store/scores.h"
#include "study/plan.h"

#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A verdict in the making. */
struct asked {
    struct lmw_verdict v;
    json_t *extra;
    char reason[512];
};

/* One that a model is asked for. What the backend is handed stays here until the reply is back. */
struct question {
    struct lmw_request request;
    struct lmw_reply reply;
    struct lmw_buf prompt[2]; /* of a pair, in both orders */
    struct lmw_said said[2];
    int n_order, i_order, i_try;
    char query_id[128];
    struct asked asked;
    bool is_busy, is_held;
    int failed; /* of one that is held: how */
};

struct job {
    struct lmw_store *store;
    const struct lmw_judge_opts *opts;
    struct lmw_judge_result *out;
    const struct lmw_scorer *scorer;
    struct lmw_backend *backend;
    struct lmw_meter *meter;
    struct lmw_judgement judgement;
    int64_t against_id, begin_ns;
    double sum;
    int64_t n_scored, unscorable_id; /* the first record of those unscorable now; 0: none */
    struct question *questions;      /* [n_question + HELD_MAX] */
    int n_question, n_busy, n_held;
    bool is_stopping, has_replied;
    struct lmw_buf other;
};

static const int64_t LOOK_NS = 1000000000; /* how often to look up while waiting */
enum { HELD_MAX = 8 };

/* --- one verdict of a model --- */

static int64_t plus(int64_t a, int64_t b)
{
    return b == LMW_NULL ? a : a == LMW_NULL ? b : a + b;
}

/* Notes what a try cost, and what was said. */
static void note_reply(const struct job *j, struct question *q)
{
    struct lmw_verdict *v = &q->asked.v;
    const struct lmw_judge_opts *o = j->opts;
    const struct lmw_reply *r = &q->reply;
    struct lmw_buf text = {0};
    v->attempts = plus(v->attempts, 1);
    v->prompt_tokens = plus(v->prompt_tokens, r->n_prompt);
    v->completion_tokens = plus(v->completion_tokens, r->n_answer);
    v->latency_ns = plus(v->latency_ns, r->t_end_ns - r->t_start_ns);
    if (v->prompt_tokens != LMW_NULL && v->completion_tokens != LMW_NULL)
        v->cost_usd = (o->usd_per_mtok_in * (double)v->prompt_tokens +
                       o->usd_per_mtok_out * (double)v->completion_tokens) /
                      1e6;
    lmw_buf_utf8(&text, (lmw_str){r->text.ptr, r->text.len});
    json_array_append_new(json_object_get(q->asked.extra, "replies"),
                          json_string(text.len ? text.ptr : ""));
    lmw_buf_free(&text);
}

static void conclude(struct asked *a, double score, const char *because)
{
    snprintf(a->reason, sizeof a->reason, "%s", because);
    a->v.score = score;
    a->v.reason = a->reason;
}

/* What all that was said makes. */
static void conclude_said(struct question *q)
{
    const struct lmw_said *said = q->said;
    struct asked *a = &q->asked;
    bool disagree;
    if (q->n_order == 1) {
        conclude(a, said[0].value, said[0].reason);
        return;
    }
    conclude(a, lmw_verdict_pair(said[0].value, said[1].value, &disagree), said[0].reason);
    if (disagree)
        snprintf(a->reason, sizeof a->reason, "the two orders disagree: %s", said[0].reason);
    json_object_set_new(a->extra, "as_a", json_integer(said[0].value));
    json_object_set_new(a->extra, "as_b", json_integer(said[1].value));
    json_object_set_new(a->extra, "disagree", json_boolean(disagree));
}

static enum lmw_verdict_kind kind_of(const struct lmw_judge_opts *o)
{
    return o->against ? LMW_PAIRWISE : LMW_POINTWISE;
}

/* 1: the question's prompts are written; 0: there is nothing to ask, and why is concluded. */
static int write_prompts(struct job *j, const struct lmw_answered *a, struct question *q,
                         struct lmw_err *err)
{
    const char *missing = !a->answer   ? "there is no answer"
                          : !a->prompt ? "the question's text is not stored"
                          : !j->opts->against && !a->reference ? "the query has no reference"
                                                               : NULL;
    int rc = 1;
    j->other.len = 0;
    if (!missing && j->opts->against)
        rc = lmw_judgement_other(j->store, j->against_id, a, &j->other, err);
    if (rc == 0)
        missing = "the other run has no answer to this query";
    if (rc < 0)
        return rc;
    if (missing) {
        conclude(&q->asked, (double)NAN, missing);
        return 0;
    }
    const char *first = j->opts->against ? a->answer : a->reference;
    const char *second = j->opts->against ? j->other.ptr : a->answer;
    q->prompt[0].len = q->prompt[1].len = 0;
    q->n_order = j->opts->against ? 2 : 1;
    lmw_verdict_ask(kind_of(j->opts), a->prompt, first, second, &q->prompt[0]);
    if (q->n_order == 2)
        lmw_verdict_ask(kind_of(j->opts), a->prompt, second, first, &q->prompt[1]);
    return q->prompt[0].failed || q->prompt[1].failed
               ? lmw_fail(err, LMW_ENOMEM, "no memory for a judge's prompt")
               : 1;
}

/* --- all verdicts --- */

static int tell(struct job *j, struct lmw_err *err)
{
    const struct lmw_judge_result *r = j->out;
    struct lmw_judge_progress p = {
        .run = j->opts->run,
        .n_done = r->n_there + r->n_done,
        .n_total = r->n_record,
        .accuracy = j->n_scored ? j->sum / (double)j->n_scored : (double)NAN,
        .eta_s = r->n_done ? (double)(lmw_now_ns() - j->begin_ns) / 1e9 / (double)r->n_done *
                                 (double)(r->n_record - r->n_there - r->n_done)
                           : (double)NAN,
    };
    if (j->opts->on_progress && j->opts->on_progress(j->opts->arg, &p))
        return lmw_fail(err, LMW_ECANCELLED, "stopped");
    return LMW_OK;
}

static void begin(struct asked *a, int64_t record_id)
{
    *a = (struct asked){.v = {.record_id = record_id,
                              .score = (double)NAN,
                              .attempts = LMW_NULL,
                              .prompt_tokens = LMW_NULL,
                              .completion_tokens = LMW_NULL,
                              .latency_ns = LMW_NULL,
                              .cost_usd = (double)NAN},
                        .extra = json_object()};
}

/* Stores it. */
static int finish(struct job *j, struct asked *a, struct lmw_err *err)
{
    struct lmw_judge_result *r = j->out;
    char *extra = json_object_size(a->extra) ? json_dumps(a->extra, JSON_COMPACT) : NULL;
    a->v.extra = extra;
    int rc = lmw_judgement_add(j->store, j->judgement.id, &a->v, err);
    free(extra);
    json_decref(a->extra);
    a->extra = NULL;
    if (rc < 0)
        return rc;
    r->n_done++;
    if (isnan(a->v.score) && (!j->unscorable_id || a->v.record_id < j->unscorable_id)) {
        j->unscorable_id = a->v.record_id;
        snprintf(r->unscorable_reason, sizeof r->unscorable_reason, "%.*s",
                 (int)sizeof r->unscorable_reason - 1, a->reason);
    }
    j->n_scored += !isnan(a->v.score);
    j->sum += isnan(a->v.score) ? 0 : a->v.score;
    return tell(j, err);
}

static int judge_by_scorer(struct job *j, const struct lmw_answered *answered, struct lmw_err *err)
{
    struct asked a;
    struct lmw_score score;
    begin(&a, answered->record_id);
    lmw_score(j->scorer, answered->answer, answered->reference, answered->choices, &score);
    conclude(&a, score.value, score.reason);
    if (!score.reason[0])
        a.v.reason = NULL;
    if (!isnan(score.fields_right))
        json_object_set_new(a.extra, "fields_right", json_real(score.fields_right));
    return finish(j, &a, err);
}

/* --- questions in flight --- */

static void drop(struct job *j, struct question *q)
{
    json_decref(q->asked.extra);
    q->asked.extra = NULL;
    j->n_busy -= q->is_busy;
    j->n_held -= q->is_held;
    q->is_busy = q->is_held = false;
}

static int finish_question(struct job *j, struct question *q, struct lmw_err *err)
{
    int rc = finish(j, &q->asked, err);
    drop(j, q);
    return rc;
}

static int stop_at(struct job *j, struct question *q, int rc, struct lmw_err *err)
{
    int n = j->n_held - q->is_held;
    lmw_fail(err, rc, "judging query '%s': %s%s", q->query_id, q->asked.reason,
             n > 0 ? "; others failed, too" : "");
    drop(j, q);
    return rc;
}

/* No reply. What is too much for the judge is unscorable: the next one need not be. */
static int fail_question(struct job *j, struct question *q, int rc, const char *why,
                         struct lmw_err *err)
{
    conclude(&q->asked, (double)NAN, why);
    if (rc == LMW_EARG)
        return finish_question(j, q, err);
    if ((rc != LMW_EIO && rc != LMW_EFORMAT) || j->is_stopping || j->n_held + 1 == HELD_MAX)
        return stop_at(j, q, rc, err);
    q->failed = rc;
    q->is_held = true;
    q->is_busy = false;
    j->n_held++;
    j->n_busy--;
    return LMW_OK;
}

/* The judge answers: what failed before is those questions' own fault. The first error counts. */
static int release_held(struct job *j, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (struct question *q = j->questions; j->n_held > 0; q++) {
        int next = q->is_held ? finish_question(j, q, rc < 0 ? NULL : err) : LMW_OK;
        rc = rc < 0 ? rc : next;
    }
    return rc;
}

/* At the end: a judge that has answered nothing is at fault itself. */
static int settle_held(struct job *j, struct lmw_err *err)
{
    struct question *q = j->questions;
    if (j->n_held == 0 || j->has_replied)
        return release_held(j, err);
    while (!q->is_held)
        q++;
    return stop_at(j, q, q->failed, err);
}

static int send(struct job *j, struct question *q, struct lmw_err *err)
{
    struct lmw_err failed = {0};
    q->request = (struct lmw_request){
        .prompt = {q->prompt[q->i_order].ptr, q->prompt[q->i_order].len},
        .max_tokens = j->opts->backend_opts.max_tokens,
        .temperature = q->i_try == 0 ? 0 : 0.7f,
        .top_p = 1,
        .seed = (uint64_t)q->i_try + 1,
    };
    int rc = lmw_backend_send(j->backend, &q->request, &q->reply, &failed);
    return rc < 0 ? fail_question(j, q, rc, failed.msg, err) : LMW_OK;
}

/* A reply is there: the question is answered, or asked in the other order, or once more. */
static int take_reply(struct job *j, struct question *q, struct lmw_err *err)
{
    note_reply(j, q);
    if (lmw_verdict_read(kind_of(j->opts), (lmw_str){q->reply.text.ptr, q->reply.text.len},
                         &q->said[q->i_order])) {
        q->i_order++;
        q->i_try = 0;
    } else if (++q->i_try == j->opts->n_try) {
        conclude(&q->asked, (double)NAN, "the judge gave no verdict");
        return finish_question(j, q, err);
    }
    if (q->i_order == q->n_order) {
        conclude_said(q);
        return finish_question(j, q, err);
    }
    if (!j->is_stopping)
        return send(j, q, err);
    drop(j, q); /* it is asked when the judgement is resumed */
    return LMW_OK;
}

/* What was in flight is kept if it is a verdict, also when a question that was held ends it. */
static int land(struct job *j, struct question *q, struct lmw_err *err)
{
    if (q->reply.rc < 0)
        return fail_question(j, q, q->reply.rc, q->reply.err.msg, err);
    j->has_replied = true;
    int released = release_held(j, err);
    j->is_stopping |= released < 0;
    int rc = take_reply(j, q, released < 0 ? NULL : err);
    return released < 0 ? released : rc;
}

/* Until a reply is there, or it is time to look up. */
static int wait_next(struct job *j, struct lmw_err *err)
{
    struct lmw_reply *done;
    int rc = lmw_backend_wait(j->backend, lmw_now_ns() + LOOK_NS, &done, err);
    if (rc == 1)
        return land(j, (struct question *)((char *)done - offsetof(struct question, reply)), err);
    if (rc == 0)
        return tell(j, err);
    for (int i = 0; i < j->n_question + HELD_MAX; i++) /* none of them will come back */
        drop(j, &j->questions[i]);
    return rc;
}

/* What is in flight is waited for, also when the judge has failed or is told to stop: then it is
 * the first error that counts. */
static int wait_all(struct job *j, int rc, struct lmw_err *err)
{
    struct lmw_err ignored;
    while (j->n_busy > 0) {
        j->is_stopping = rc < 0;
        int next = wait_next(j, rc < 0 ? &ignored : err);
        rc = rc < 0 ? rc : next;
    }
    return rc;
}

static int judge_by_model(struct job *j, const struct lmw_answered *a, struct lmw_err *err)
{
    struct question *q = j->questions;
    int rc = LMW_OK;
    while (rc == LMW_OK && j->n_busy == j->n_question)
        rc = wait_next(j, err);
    if (rc < 0)
        return rc;
    while (q->is_busy || q->is_held)
        q++;
    begin(&q->asked, a->record_id);
    q->is_busy = true;
    j->n_busy++;
    q->i_order = q->i_try = 0;
    snprintf(q->query_id, sizeof q->query_id, "%s", a->query_id);
    if ((rc = write_prompts(j, a, q, err)) == 0)
        return finish_question(j, q, err);
    if (rc < 0) {
        drop(j, q);
        return rc;
    }
    json_object_set_new(q->asked.extra, "replies", json_array());
    return send(j, q, err);
}

static int judge_one(void *arg, const struct lmw_answered *a, struct lmw_err *err)
{
    struct job *j = arg;
    if (lmw_judgement_has(j->store, j->judgement.id, a->record_id))
        return LMW_OK;
    return (j->scorer ? judge_by_scorer : judge_by_model)(j, a, err);
}

static int count_one(void *arg, const struct lmw_answered *a, struct lmw_err *err)
{
    struct job *j = arg;
    j->out->n_record++;
    j->out->n_there += lmw_judgement_has(j->store, j->judgement.id, a->record_id);
    return LMW_OK;
}

/* --- the judgement --- */

/* All that a verdict depends on. malloc; NULL when memory is out. */
static char *settings(const struct job *j)
{
    const struct lmw_judge_opts *o = j->opts;
    json_t *s;
    if (j->scorer) {
        s = json_pack("{s:s, s:s}", "scorer", j->scorer->name, "version", LMW_VERSION);
    } else {
        enum lmw_verdict_kind kind = kind_of(o);
        char hash[20];
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)lmw_verdict_hash(kind));
        s = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:b}", "judge", o->backend_opts.model,
                      "backend", o->backend->name, "kind",
                      kind == LMW_PAIRWISE ? "pairwise" : "pointwise", "prompt_hash", hash,
                      "max_tokens", o->backend_opts.max_tokens, "tries", o->n_try, "raw",
                      o->backend_opts.raw);
        lmw_plan_put_told(s, &o->backend_opts);
        if (o->backend_opts.n_ctx > 0)
            json_object_set_new(s, "ctx", json_integer(o->backend_opts.n_ctx));
        if (o->against)
            json_object_set_new(s, "against", json_string(o->against));
    }
    char *text = json_dumps(s, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(s);
    return text;
}

static int open_judge(struct job *j, struct lmw_err *err)
{
    const struct lmw_judge_opts *o = j->opts;
    int rc;
    if (o->scorer) {
        if (!(j->scorer = lmw_scorer_find(o->scorer, err)))
            return LMW_EARG;
        snprintf(j->out->name, sizeof j->out->name, "%s", o->scorer);
        return LMW_OK;
    }
    if (o->backend_opts.n_in_flight > 1 && !(o->backend->send && o->backend->wait))
        return lmw_fail(err, LMW_EARG, "backend '%s' answers one query at a time: --in-flight 1",
                        o->backend->name);
    if ((rc = lmw_backend_open(&j->backend, o->backend, &o->backend_opts, err)) < 0)
        return lmw_wrap(err, "opening the judge");
    j->n_question = o->backend_opts.n_in_flight > 1 ? o->backend_opts.n_in_flight : 1;
    if (!(j->questions = calloc((size_t)j->n_question + HELD_MAX, sizeof *j->questions)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d questions in flight", j->n_question);
    const char *name = lmw_backend_info(j->backend)->name;
    snprintf(j->out->name, sizeof j->out->name, "judge:%s",
             name[0] ? name : o->backend_opts.model);
    struct lmw_meter_opts meter = {.sources = o->meter, .sysroot = o->sysroot ? o->sysroot : ""};
    if (o->meter && (rc = lmw_meter_open(&j->meter, &meter, err)) == LMW_OK)
        rc = lmw_meter_start(j->meter, err);
    return rc;
}

/* The joules of everything since start_ns: the judge's own, in no record. */
static int put_energy(struct job *j, int64_t start_ns, struct lmw_err *err)
{
    if (!j->meter || j->out->n_done == 0)
        return LMW_OK;
    struct lmw_span span = {start_ns, LMW_NULL, LMW_NULL};
    struct lmw_energy e;
    int rc = lmw_meter_end(j->meter, &span, &e, err);
    if (rc < 0 || !e.valid)
        return rc;
    j->out->energy_uj = e.energy_uj;
    snprintf(j->out->energy_basis, sizeof j->out->energy_basis, "%s", lmw_meter_basis(j->meter));
    return lmw_judgement_add_energy(j->store, j->judgement.id, e.energy_uj, j->out->energy_basis,
                                    err);
}

static int summarise(struct job *j, struct lmw_err *err)
{
    struct lmw_judge_result *r = j->out;
    struct lmw_judgement_sum sum;
    int rc = lmw_judgement_summary(j->store, j->judgement.id, &sum, err);
    if (rc < 0)
        return rc;
    r->n_scored = sum.n_scored;
    r->n_unscorable = sum.n - sum.n_scored;
    r->accuracy = sum.mean;
    r->accuracy_all = sum.n_scored ? sum.mean * (double)sum.n_scored / (double)sum.n : (double)NAN;
    r->n_pair = sum.n_pair;
    r->n_disagree = sum.n_disagree;
    r->prompt_tokens = sum.prompt_tokens;
    r->completion_tokens = sum.completion_tokens;
    r->cost_usd = sum.cost_usd;
    return LMW_OK;
}

static int judge_all(struct job *j, struct lmw_err *err)
{
    int64_t run = j->judgement.run_id;
    int64_t start_ns = j->meter ? lmw_meter_mark(j->meter) : 0;
    j->begin_ns = lmw_now_ns();
    int rc = lmw_judgement_records(j->store, run, count_one, j, err);
    if (rc == LMW_OK && (rc = tell(j, err)) == LMW_OK)
        rc = wait_all(j, lmw_judgement_records(j->store, run, judge_one, j, err), err);
    if (rc == LMW_OK)
        rc = settle_held(j, err);
    int end = put_energy(j, start_ns, rc < 0 ? NULL : err);
    if (rc == LMW_OK && (rc = end) == LMW_OK) {
        j->judgement.is_done = true;
        rc = lmw_judgement_apply(j->store, &j->judgement, err);
    }
    end = summarise(j, rc < 0 ? NULL : err);
    return rc < 0 ? rc : end;
}

static void free_questions(struct job *j)
{
    for (int i = 0; j->questions && i < j->n_question + HELD_MAX; i++) {
        struct question *q = &j->questions[i];
        drop(j, q);
        lmw_buf_free(&q->prompt[0]);
        lmw_buf_free(&q->prompt[1]);
        lmw_buf_free(&q->reply.text);
        lmw_buf_free(&q->reply.reasoning);
    }
    free(j->questions);
}

int lmw_judge_run(struct lmw_store *store, const struct lmw_judge_opts *opts,
                  struct lmw_judge_result *out, struct lmw_err *err)
{
    struct job j = {.store = store, .opts = opts, .out = out};
    char date[32];
    bool resumed;
    *out = (struct lmw_judge_result){.energy_uj = LMW_NULL, .pairwise = opts->against != NULL};
    lmw_date_iso(date);
    int rc = lmw_judgement_run(store, opts->run, &j.judgement.run_id, err);
    if (rc == LMW_OK && opts->against)
        rc = lmw_judgement_run(store, opts->against, &j.against_id, err);
    if (rc == LMW_OK)
        rc = open_judge(&j, err);
    char *text = rc == LMW_OK ? settings(&j) : NULL;
    if (rc == LMW_OK && !text)
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for a judgement");
    j.judgement.name = out->name;
    j.judgement.settings = text;
    j.judgement.date = date;
    if (rc == LMW_OK && (rc = lmw_judgement_begin(store, &j.judgement, &resumed, err)) == LMW_OK)
        rc = judge_all(&j, err);
    if (j.backend)
        lmw_backend_close(j.backend);
    if (j.meter)
        lmw_meter_close(j.meter);
    lmw_buf_free(&j.other);
    free_questions(&j);
    free(text);
    return rc;
}
