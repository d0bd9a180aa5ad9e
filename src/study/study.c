/* The study: looks at everything it was given before it measures anything, then takes one model
 * after the other. See study.h for the contract, run.c for one model, energy.c for its joules. */
#include "study/study.h"

#include "base/cpu.h"
#include "base/record.h"
#include "study/plan.h"
#include "study/run.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_IN_FLIGHT = 4096, OPEN_LOOP_IN_FLIGHT = 256 };

static int check_load(const struct lmw_study_opts *o, struct lmw_err *err)
{
    bool takes_several = o->backend->send && o->backend->wait;
    int n = o->backend_opts.n_in_flight;
    if (!(o->rate_hz >= 0 && o->rate_hz <= 1e6))
        return lmw_fail(err, LMW_EARG, "the rate of an open loop is up to 1000000 a second");
    if (n < 0 || n > MAX_IN_FLIGHT)
        return lmw_fail(err, LMW_EARG, "at most %d queries can be in flight", MAX_IN_FLIGHT);
    if (n > 1 && !takes_several)
        return lmw_fail(err, LMW_EARG, "backend '%s' answers one query at a time: --in-flight 1",
                        o->backend->name);
    if (o->pause_s > 0 && (n > 1 || o->rate_hz > 0))
        return lmw_fail(err, LMW_EARG,
                        "a pause after each query goes with one in flight, in closed loop");
    if (o->perplexity && n > 1)
        return lmw_fail(err, LMW_EARG,
                        "perplexity is measured between queries: it goes with one in flight");
    return LMW_OK;
}

/* What it would not look at, and what it cannot tell. */
static int check_backend(const struct lmw_study_opts *o, struct lmw_err *err)
{
    const char *misfit = lmw_backend_misfit(o->backend, &o->backend_opts);
    if (!misfit && o->perplexity && !o->backend->perplexity)
        misfit = "perplexity";
    return misfit ? lmw_fail(err, LMW_EARG, "model %s: --%s is not for the backend '%s'",
                             o->backend_opts.model, misfit, o->backend->name)
                  : LMW_OK;
}

static int check_run(const struct lmw_study_opts *o, struct lmw_err *err)
{
    if (!o->backend_opts.model || !o->workload)
        return lmw_fail(err, LMW_EARG, "a study needs at least one model and a workload");
    if (o->n_repeat < 1 || o->max_queries < 0 || o->backend_opts.max_tokens < 1)
        return lmw_fail(err, LMW_EARG,
                        "a study asks each query at least once, for at least one token");
    if (!(o->pause_s >= 0 && o->pause_s <= 3600))
        return lmw_fail(err, LMW_EARG, "pauses take 0 to 3600 seconds");
    int rc = check_backend(o, err);
    return rc < 0 ? rc : check_load(o, err);
}

static int check(const struct lmw_study *s, struct lmw_err *err)
{
    int rc = LMW_OK;
    if (s->n_run < 1)
        return lmw_fail(err, LMW_EARG, "a study needs at least one model and a workload");
    if (!(s->idle_s >= 0 && s->idle_s <= 3600))
        return lmw_fail(err, LMW_EARG, "idle baselines take 0 to 3600 seconds");
    if (s->interleave < 0)
        return lmw_fail(err, LMW_EARG, "a turn takes at least one query");
    for (int i = 0; i < s->n_run && rc == LMW_OK; i++)
        rc = check_run(&s->runs[i], err);
    return rc;
}

/* What else runs is in every joule. */
static int listen(struct study *st, struct lmw_err *err)
{
    const double loud = 0.05;
    bool must = st->asked->require_quiet;
    st->ambient_busy = lmw_cpu_busy(must ? 1000000000 : 100000000);
    if (must && st->ambient_busy > loud)
        return lmw_fail(
            err, LMW_EUNAVAILABLE,
            "this machine is not quiet: its processors are %.0f %% busy with something "
            "else, and --require-quiet was given",
            100 * st->ambient_busy);
    return LMW_OK;
}

static int open_meter(struct study *st, struct lmw_err *err)
{
    int rc = lmw_meter_open(&st->meter, &st->asked->meter, err);
    if (rc < 0)
        return rc;
    if (st->asked->require_energy && strcmp(lmw_meter_basis(st->meter), "none") == 0)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "there is no power source, and --require-energy was given; `lmwatt "
                        "meters` says why each is absent");
    return LMW_OK;
}

/* In open loop a query waits for a slot only where the backend has no more. */
static int slots_of(const struct lmw_study_opts *o)
{
    if (o->backend_opts.n_in_flight > 0)
        return o->backend_opts.n_in_flight;
    return o->rate_hz > 0 && o->backend->send && o->backend->wait ? OPEN_LOOP_IN_FLIGHT : 1;
}

static bool same_questions(const struct lmw_workload_opts *a, const struct lmw_workload_opts *b)
{
    return lmw_text_eq(a->format, b->format) && lmw_text_eq(a->columns, b->columns) &&
           lmw_text_eq(a->map, b->map) && lmw_text_eq(a->preset, b->preset) &&
           a->shots == b->shots && lmw_text_eq(a->shots_from, b->shots_from) && a->cot == b->cot &&
           lmw_text_eq(a->split, b->split) && a->clean == b->clean && a->english == b->english &&
           a->max_chars == b->max_chars && a->sample == b->sample && a->seed == b->seed &&
           lmw_text_eq(a->stratify, b->stratify);
}

/* The plan of an earlier run with the same questions and scorer; NULL. */
static const struct plan *same_workload(const struct plan *plans, int n,
                                        const struct lmw_study_opts *o)
{
    for (int i = 0; i < n; i++) {
        const struct lmw_study_opts *p = plans[i].opts;
        if (lmw_text_eq(p->scorer, o->scorer) && strcmp(p->workload, o->workload) == 0 &&
            same_questions(&p->questions, &o->questions))
            return &plans[i];
    }
    return NULL;
}

/* Runs often share their workload: it is read once for all of them. */
static int plan_workloads(const struct study *st, struct plan *plans, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < st->asked->n_run && rc == LMW_OK; i++) {
        const struct lmw_study_opts *o = &st->asked->runs[i];
        const struct plan *same = same_workload(plans, i, o);
        plans[i] = same ? *same : (struct plan){0};
        plans[i].opts = o;
        plans[i].n_slot = slots_of(o);
        if (!same)
            rc = lmw_plan_workload(&plans[i], st, err);
        bool part = o->max_queries > 0 && o->max_queries < plans[i].n_row;
        plans[i].n_query = part ? o->max_queries : plans[i].n_row;
    }
    return rc;
}

static int refuse_twins(const struct plan *a, const struct plan *b, struct lmw_err *err)
{
    bool same = strcmp(a->settings_hash, b->settings_hash) == 0;
    return lmw_fail(err, LMW_EARG, "%s and %s would both be run '%s': %s",
                    a->opts->backend_opts.model, b->opts->backend_opts.model, b->name,
                    same ? "nothing in their settings differs"
                         : "{model}, {workload} and {hash} in its name would tell them apart");
}

static int make_plans(const struct study *st, struct plan *plans, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < st->asked->n_run && rc == LMW_OK; i++) {
        rc = lmw_plan_make(&plans[i], st, err);
        for (int k = 0; k < i && rc == LMW_OK; k++) {
            if (strcmp(plans[i].name, plans[k].name) == 0)
                rc = refuse_twins(&plans[k], &plans[i], err);
        }
    }
    return rc;
}

/* An earlier run that opens the same; NULL. */
static const struct plan *is_tried(const struct plan *plans, const struct plan *p)
{
    const struct lmw_backend_opts *a = &p->opts->backend_opts;
    for (const struct plan *q = plans; q < p; q++) {
        const struct lmw_backend_opts *b = &q->opts->backend_opts;
        if (q->is_tried && q->opts->backend == p->opts->backend &&
            strcmp(a->model, b->model) == 0 && lmw_text_eq(a->url, b->url) &&
            lmw_text_eq(a->command, b->command) && lmw_text_eq(a->api_key_env, b->api_key_env))
            return q;
    }
    return NULL;
}

static int try_model(const struct study *st, struct plan *p, struct lmw_err *err)
{
    const struct plan *tried = is_tried(st->plans, p);
    struct lmw_backend *b;
    p->is_tried = true;
    if (tried) {
        memcpy(p->level, tried->level, sizeof p->level);
        return LMW_OK;
    }
    int rc = lmw_backend_open(&b, p->opts->backend, &p->opts->backend_opts, err);
    if (rc == LMW_OK) {
        memcpy(p->level, lmw_backend_info(b)->level, sizeof p->level);
        lmw_backend_close(b);
    }
    return rc;
}

/* 1: everything that is asked of it is in the store; its server may be gone. */
static int is_done(const struct study *st, const struct plan *p, struct lmw_err *err)
{
    struct lmw_run run;
    int64_t n_there = 0;
    int rc = lmw_plan_find(p, st, &run, err);
    if (rc == 1 && run.finished)
        rc = lmw_plan_count_there(p, st, run.id, &n_there, err);
    return rc < 0 ? rc : n_there == p->n_query * p->opts->n_repeat;
}

/* So that a study of many hours does not find at its end that its last model cannot be loaded, or
 * that the name of its run is taken. */
static int try_models(const struct study *st, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < st->asked->n_run && rc == LMW_OK; i++) {
        struct plan *p = &st->plans[i];
        if ((rc = is_done(st, p, err)) == 0)
            rc = try_model(st, p, err);
        if (rc >= 0)
            rc = lmw_plan_environment(p, st, err);
    }
    return rc;
}

/* --- run after run --- */

/* What a turn of a run did, behind what the turns before it did. */
static void add_turn(struct lmw_study_run *all, const struct lmw_study_run *turn)
{
    if (!all->name[0]) {
        *all = *turn;
        return;
    }
    int64_t n = all->n_scored + turn->n_scored;
    double sum = (all->n_scored ? all->accuracy * (double)all->n_scored : 0) +
                 (turn->n_scored ? turn->accuracy * (double)turn->n_scored : 0);
    all->accuracy = n > 0 ? sum / (double)n : (double)NAN;
    all->n_scored = n;
    all->finished = turn->finished;
    all->n_done += turn->n_done;
    if (!all->n_error)
        memcpy(all->first_error, turn->first_error, sizeof all->first_error);
    if (!all->n_energy_invalid)
        memcpy(all->energy_reason, turn->energy_reason, sizeof all->energy_reason);
    all->n_error += turn->n_error;
    all->n_energy_valid += turn->n_energy_valid;
    all->n_energy_invalid += turn->n_energy_invalid;
}

static int measure_all(struct study *st, struct lmw_study_run *out, struct lmw_err *err)
{
    const struct lmw_study *asked = st->asked;
    int rc = LMW_OK;
    for (bool more = true; more && rc == LMW_OK;) {
        more = false;
        for (int i = 0; i < asked->n_run && rc == LMW_OK; i++) {
            struct lmw_study_run turn = {0};
            if (out[i].finished)
                continue;
            rc = lmw_study_measure(st, i, &st->plans[i], asked->interleave, &turn, err);
            add_turn(&out[i], &turn);
            more |= !out[i].finished;
        }
    }
    return rc;
}

/* --- beginning and ending --- */

static int begin(struct study *st, const struct lmw_study *asked, struct lmw_store *store,
                 struct lmw_study_run *out, struct lmw_err *err)
{
    const char *root = asked->meter.sysroot ? asked->meter.sysroot : "";
    *st = (struct study){.asked = asked, .store = store, .idle_before_mw = LMW_NULL};
    int rc = check(asked, err);
    if (rc < 0)
        return rc;
    memset(out, 0, (size_t)asked->n_run * sizeof *out);
    if (!(st->plans = calloc((size_t)asked->n_run, sizeof *st->plans)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for a study");
    lmw_cpu_name(root, st->machine, sizeof st->machine);
    if (asked->prices && (rc = lmw_price_list_open(&st->prices, asked->prices, err)) < 0)
        return rc;
    if ((rc = lmw_arena_open(&st->scratch, LMW_QUERY_BYTES, err)) < 0)
        return rc;
    return plan_workloads(st, st->plans, err);
}

static void end(struct study *st)
{
    if (st->meter)
        lmw_meter_stop(st->meter);
    lmw_meter_close(st->meter);
    for (int i = 0; st->plans && i < st->asked->n_run; i++)
        lmw_plan_free(&st->plans[i]);
    free(st->plans);
    lmw_price_list_close(st->prices);
    lmw_arena_close(&st->scratch);
}

int lmw_study_run(struct lmw_store *store, const struct lmw_study *study,
                  struct lmw_study_run *out, struct lmw_err *err)
{
    struct study st;
    int rc = begin(&st, study, store, out, err);
    st.rss_resets = lmw_rss_reset();
    if (rc == LMW_OK && (rc = listen(&st, err)) == LMW_OK &&
        (rc = open_meter(&st, err)) == LMW_OK && (rc = lmw_meter_start(st.meter, err)) == LMW_OK &&
        (rc = make_plans(&st, st.plans, err)) == LMW_OK)
        rc = try_models(&st, err);
    if (rc == LMW_OK)
        rc = measure_all(&st, out, err);
    end(&st);
    return rc;
}

int lmw_study_plan(struct lmw_store *store, const struct lmw_study *study,
                   struct lmw_study_run *out, struct lmw_err *err)
{
    struct study st;
    int rc = begin(&st, study, store, out, err);
    if (rc == LMW_OK && (rc = open_meter(&st, err)) == LMW_OK)
        rc = make_plans(&st, st.plans, err);
    for (int i = 0; i < study->n_run && rc == LMW_OK; i++)
        rc = lmw_study_forecast(&st, &st.plans[i], &out[i], err);
    end(&st);
    return rc;
}
