/* One run of a study: idle, load, idle loaded, warm up, the queries, settle, idle.
 *
 * Invariant, with one query in flight: between its marks (inside lmw_backend_wait) nothing of the
 * study runs but the mark itself; records, scores, the store and the progress line come after the
 * last mark and before the next query's first. What the process does between queries belongs to no
 * query. */
#include "study/run.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- progress and stopping --- */

static double tokens_per_second(const struct job *j)
{
    int64_t ns = j->plan->n_slot > 1 ? lmw_now_ns() - j->begin_ns : j->answer_ns;
    return j->answer_ns > 0 && ns > 0 ? (double)j->answer_tok * 1e9 / (double)ns : (double)NAN;
}

int lmw_job_tell(struct job *j, enum lmw_study_phase phase, struct lmw_err *err)
{
    struct lmw_study_progress *p = &j->progress;
    const struct lmw_study_run *r = j->result;
    const struct lmw_study *asked = j->st->asked;
    p->phase = phase;
    p->n_done = r->n_there + r->n_done;
    p->n_in_flight = j->n_busy;
    p->tok_per_s = tokens_per_second(j);
    p->joules_per_query =
        j->book.n_valid > 0 ? j->book.sum_uj / (double)j->book.n_valid / 1e6 : (double)NAN;
    p->accuracy = j->n_scored > 0 ? j->sum_score / (double)j->n_scored : (double)NAN;
    p->eta_s = r->n_done > 0 ? (double)(lmw_now_ns() - j->begin_ns) / 1e9 / (double)r->n_done *
                                   (double)(p->n_total - p->n_done)
                             : (double)NAN;
    if (asked->on_progress && asked->on_progress(asked->arg, p))
        return lmw_fail(err, LMW_ECANCELLED, "stopped");
    return LMW_OK;
}

int lmw_job_check_energy(const struct job *j, struct lmw_err *err)
{
    if (!j->st->asked->require_energy || j->book.n_invalid == 0)
        return LMW_OK;
    return lmw_fail(err, LMW_EUNAVAILABLE,
                    "run '%s': a query has no valid energy (%s), and --require-energy was given; "
                    "`lmwatt meters` shows the sources",
                    j->plan->name, j->book.reason);
}

/* Mean power over idle_s from now on; *mw stays what it was when none is asked for or none
 * known. */
static int measure_idle(struct job *j, int64_t *mw, struct lmw_err *err)
{
    int64_t idle_ns = (int64_t)(j->st->asked->idle_s * 1e9);
    int64_t start_ns = lmw_meter_mark(j->st->meter), end_ns = start_ns + idle_ns;
    if (idle_ns <= 0)
        return LMW_OK;
    for (int64_t now; (now = lmw_now_ns()) < end_ns;) {
        int rc = lmw_job_tell(j, LMW_PHASE_IDLE, err);
        if (rc < 0)
            return rc;
        lmw_sleep_until_ns(end_ns - now > 100000000 ? now + 100000000 : end_ns);
    }
    lmw_meter_mark(j->st->meter);
    int64_t mean_mw = lmw_meter_power_mw(j->st->meter, start_ns);
    *mw = mean_mw == LMW_NULL ? *mw : mean_mw;
    return LMW_OK;
}

/* --- the run --- */

static int load(struct job *j, struct lmw_err *err)
{
    struct lmw_backend_opts opts = j->opts->backend_opts;
    opts.n_in_flight = j->plan->n_slot;
    int rc = lmw_job_tell(j, LMW_PHASE_LOAD, err);
    if (rc == LMW_OK)
        rc = lmw_backend_open(&j->backend, j->opts->backend, &opts, err);
    lmw_meter_mark(j->st->meter);
    return rc;
}

/* The joules of this machine are not those of a server on another one, unless somebody who named
 * the meter says so. */
static void look_where(struct job *j)
{
    const char *asked = j->st->asked->meter.sources;
    const char *there = lmw_backend_info(j->backend)->elsewhere;
    if (there[0] && (!asked || strcmp(asked, "auto") == 0))
        snprintf(j->book.elsewhere, sizeof j->book.elsewhere,
                 "it ran on %.47s, not here: or give a --meter", there);
}

/* Notes who goes on with what another process began; once, whatever the turns. */
static int sign(struct job *j, struct lmw_err *err)
{
    struct plan *p = &j->st->plans[j->progress.i_run];
    bool is_new = !p->is_signed && j->result->resumed;
    p->is_signed = true;
    return is_new ? lmw_store_add_process(j->st->store, j->run.id, p->environment, err) : LMW_OK;
}

static int measure_missing(struct job *j, int64_t max_new, struct lmw_err *err)
{
    struct study *st = j->st;
    int rc;
    if (st->idle_before_mw == LMW_NULL && (rc = measure_idle(j, &st->idle_before_mw, err)) < 0)
        return rc;
    lmw_rss_reset();
    if ((rc = load(j, err)) < 0 || (rc = measure_idle(j, &j->run.idle_loaded_mw, err)) < 0)
        return rc;
    if (st->idle_before_mw != LMW_NULL)
        j->run.idle_before_mw = st->idle_before_mw;
    look_where(j);
    j->run.finished = false;
    j->book.idle_mw = j->run.idle_loaded_mw;
    if ((rc = lmw_store_update_run(st->store, &j->run, err)) < 0 || (rc = sign(j, err)) < 0 ||
        (rc = lmw_flight_open(j, err)) < 0 || (rc = lmw_flight_warm_up(j, err)) < 0)
        return rc;
    j->begin_ns = lmw_now_ns();
    return lmw_flight(j, max_new, err);
}

/* What the joules' reader must know of how they came about. */
static int store_metering(const struct job *j, struct lmw_err *err)
{
    struct lmw_meter *m = j->st->meter;
    struct lmw_sampling now;
    json_t *notes = json_object();
    lmw_meter_sampling(m, &now);
    for (int i = 0; i < lmw_meter_n_source(m); i++) {
        const char *note = lmw_meter_note(m, i);
        if (note[0])
            json_object_set_new(notes, lmw_meter_source(m, i)->name, json_string(note));
    }
    char *text = json_dumps(notes, JSON_COMPACT);
    struct lmw_metering sum = {now.n_poll - j->sampled.n_poll, now.n_late - j->sampled.n_late,
                               now.n_suspend - j->sampled.n_suspend, lmw_meter_lost(m) - j->lost,
                               text ? text : "{}"};
    int rc = lmw_store_add_metering(j->st->store, j->run.id, &sum, err);
    free(text);
    json_decref(notes);
    return rc;
}

/* What is done however the measuring ended: the first error stays the one that is told. */
static int wind_up(struct job *j, int rc, struct lmw_err *err)
{
    struct study *st = j->st;
    int64_t peak = st->rss_resets ? lmw_rss_bytes(true) : j->rss_max;
    bool measured = j->result->n_done > 0;
    if (measured && !j->opts->backend->model_is_name && peak > j->run.peak_rss_bytes)
        j->run.peak_rss_bytes = peak;
    if (j->book.n_owed > 0)
        lmw_job_tell(j, LMW_PHASE_SETTLE, NULL);
    if (rc == LMW_OK && measured)
        rc = measure_idle(j, &j->run.idle_after_mw, err);
    int end = lmw_energy_finish(&j->book, lmw_flight_frontier(j), rc < 0 ? NULL : err);
    if (rc == LMW_OK && (rc = end) == LMW_OK)
        rc = lmw_job_check_energy(j, err);
    if (measured && (end = store_metering(j, rc < 0 ? NULL : err)) < 0 && rc == LMW_OK)
        rc = end;
    lmw_backend_close(j->backend);
    lmw_meter_mark(st->meter);
    j->run.finished = rc == LMW_OK && j->result->n_there + j->result->n_done == j->result->n_total;
    end = lmw_store_update_run(st->store, &j->run, rc < 0 ? NULL : err);
    if (measured)
        lmw_job_tell(j, LMW_PHASE_MEASURE, NULL); /* the last word on this run */
    return rc < 0 ? rc : end;
}

static int begin(struct job *j, struct lmw_err *err)
{
    struct study *st = j->st;
    lmw_date_iso(j->date);
    j->run = lmw_run_named(j->plan->name, j->plan->settings_hash, j->date);
    j->run.settings = j->plan->settings;
    j->run.environment = j->plan->environment;
    j->run.file_bytes = j->plan->file_bytes;
    int rc = lmw_store_begin_run(st->store, &j->run, &j->result->resumed, err);
    if (rc < 0)
        return rc;
    j->book = (struct energy_book){
        .store = st->store,
        .meter = st->meter,
        .run_id = j->run.id,
        .idle_mw = j->run.idle_loaded_mw,
        .n_slot = j->plan->n_slot,
    };
    if (j->result->resumed && lmw_energy_recover(&j->book, err) < 0)
        return lmw_wrap(err, "resuming run '%s'", j->plan->name);
    snprintf(j->result->name, sizeof j->result->name, "%s", j->plan->name);
    if ((rc = lmw_plan_open(j->plan, &j->workload, err)) < 0)
        return rc;
    j->result->n_total = j->plan->n_query * j->opts->n_repeat;
    return lmw_plan_count_there(j->plan, st, j->run.id, &j->result->n_there, err);
}

static void end(struct job *j, struct lmw_study_run *result)
{
    result->finished = j->run.finished;
    result->n_energy_valid = j->book.n_valid;
    if (strcmp(lmw_meter_basis(j->st->meter), "none") != 0) /* else none was asked for */
        result->n_energy_invalid = j->book.n_invalid;
    snprintf(result->energy_reason, sizeof result->energy_reason, "%s", j->book.reason);
    result->n_scored = j->n_scored;
    result->accuracy = j->n_scored > 0 ? j->sum_score / (double)j->n_scored : (double)NAN;
    lmw_energy_free(&j->book);
    lmw_flight_close(j);
    lmw_workload_close(j->workload);
    lmw_buf_free(&j->text);
}

int lmw_study_measure(struct study *st, int i_run, const struct plan *plan, int64_t max_new,
                      struct lmw_study_run *result, struct lmw_err *err)
{
    struct job j = {.st = st, .opts = plan->opts, .plan = plan, .result = result};
    int rc = begin(&j, err);
    j.progress = (struct lmw_study_progress){
        .i_run = i_run,
        .n_run = st->asked->n_run,
        .run = plan->name,
        .n_total = result->n_total,
        .estimated = lmw_meter_basis(st->meter)[0] == '~',
    };
    if (rc == LMW_OK && (result->n_there < result->n_total || !j.run.finished)) {
        rc = lmw_energy_begin(&j.book, err);
        lmw_meter_sampling(st->meter, &j.sampled);
        j.lost = lmw_meter_lost(st->meter);
        if (rc == LMW_OK && result->n_there < result->n_total)
            rc = measure_missing(&j, max_new, err);
        rc = wind_up(&j, rc, err);
    }
    end(&j, result);
    return rc;
}
