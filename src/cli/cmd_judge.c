/* lmwatt judge: verdicts on answers that are stored, by a scorer or by a judge model. */
#include "base/str.h"
#include "cli/backend_opts.h"
#include "cli/cli.h"
#include "insight/insight.h"
#include "score/score.h"
#include "study/judge.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct judge {
    struct strs runs;
    struct backend_flags backend;
    const char *scorer, *model, *against, *store, *meter;
    int64_t n_try, max_tokens, n_ctx, n_thread, n_in_flight;
    double usd_in, usd_out;
    bool is_json;
};

/* --- options --- */

static int parse(struct judge *j, int argc, char **argv)
{
    const struct opt opts[] = {
        {"scorer", 's', OPT_STR, &j->scorer, "NAME",
         "exact, normalized, choice, numeric, math, json, em, f1, regex"},
        {"judge-model", 'm', OPT_STR, &j->model, "MODEL",
         "or a model that judges: a GGUF file, or a server's name for it"},
        BACKEND_OPTS(&j->backend),
        {"against", 0, OPT_STR, &j->against, "RUN",
         "compare with that run's answers, in both orders (default: the reference)"},
        {"tries", 0, OPT_INT, &j->n_try, "N",
         "replies asked for until one is a verdict (default 3)"},
        {"in-flight", 0, OPT_INT, &j->n_in_flight, "N",
         "ask about so many answers at once (default 1), where the backend can"},
        {"max-tokens", 0, OPT_INT, &j->max_tokens, "N", "of a reply (default 1024)"},
        {"ctx", 'c', OPT_INT, &j->n_ctx, "N",
         "context in tokens (default: the model's, at most 4096)"},
        {"threads", 't', OPT_INT, &j->n_thread, "N", "default 0: one per processor"},
        {"price-in", 0, OPT_REAL, &j->usd_in, "USD", "of a million tokens asked"},
        {"price-out", 0, OPT_REAL, &j->usd_out, "USD", "of a million tokens answered"},
        {"meter", 0, OPT_STR, &j->meter, "SPEC", "the judge's own joules (default: not metered)"},
        {"store", 0, OPT_STR, &j->store, "DB",
         "the store (default: LMW_STORE, or the data directory)"},
        {"json", 0, OPT_FLAG, &j->is_json, NULL, "for machines"},
        {0},
    };
    const struct command_help help = {
        "lmwatt judge RUN... (--scorer NAME | --judge-model MODEL) [OPTIONS]",
        "Scores the answers of runs again (NAME alone stands for the runs NAME/... too); nothing\n"
        "is measured anew. Reports then show the new verdicts, and the ones before are kept. The\n"
        "same command resumes what was interrupted.",
        "lmwatt judge my-run --scorer choice",
    };
    return opts_parse(opts, &help, argc, argv, &j->runs);
}

static int check(const struct judge *j, const char *command)
{
    struct lmw_err err;
    if (j->runs.n < 1)
        return cli_usage(command, "needs the name of a run; `lmwatt report` lists them");
    if (!j->scorer == !j->model)
        return cli_usage(command, "needs --scorer or --judge-model, one of them");
    if (j->scorer && !lmw_scorer_find(j->scorer, &err))
        return cli_usage(command, "%s", err.msg);
    if (j->scorer && j->against)
        return cli_usage(command, "--against is for --judge-model");
    if (j->against && j->runs.n == 1 && strcmp(j->against, j->runs.v[0]) == 0)
        return cli_usage(command, "--against names the run itself");
    if (j->n_try < 1 || j->n_try > 100)
        return cli_usage(command, "--tries takes 1..100");
    if (j->n_in_flight < 1 || j->n_in_flight > 4096)
        return cli_usage(command, "--in-flight takes 1..4096");
    if (j->max_tokens < 1 || j->max_tokens > 1 << 24)
        return cli_usage(command, "--max-tokens takes 1..16777216");
    if (j->n_ctx < 0 || j->n_ctx > 1 << 30 || j->n_thread < 0 || j->n_thread > 1024)
        return cli_usage(command, "--ctx and --threads take 0 or more");
    if (j->usd_in < 0 || j->usd_out < 0)
        return cli_usage(command, "--price-in and --price-out take dollars");
    return -1;
}

/* --- results --- */

static int on_progress(void *arg, const struct lmw_judge_progress *p)
{
    char eta[24] = "-", right[24] = "-";
    int s = isnan(p->eta_s) ? -1 : (int)fmin(p->eta_s + 0.5, 1e8);
    if (s >= 0)
        snprintf(eta, sizeof eta, "%d:%02d", s / 60, s % 60);
    if (!isnan(p->accuracy))
        snprintf(right, sizeof right, "%.1f", 100 * p->accuracy);
    cli_progress("%s: %lld/%lld judged \u00b7 %s %% right \u00b7 %s left", p->run,
                 (long long)p->n_done, (long long)p->n_total, right, eta);
    return cli_interrupted();
}

/* What judging took, where anything is known of it. */
static void show_cost(const struct lmw_judge_result *r)
{
    struct lmw_buf b = {0};
    if (r->prompt_tokens != LMW_NULL && r->completion_tokens != LMW_NULL)
        lmw_buf_printf(&b, "; %lld tokens read, %lld written", (long long)r->prompt_tokens,
                       (long long)r->completion_tokens);
    if (!isnan(r->cost_usd))
        lmw_buf_printf(&b, "; %.4f USD", r->cost_usd);
    if (r->energy_uj != LMW_NULL)
        lmw_buf_printf(&b, "; %s%.3g J (%s)", r->energy_basis[0] == '~' ? "~" : "",
                       (double)r->energy_uj / 1e6, r->energy_basis);
    if (b.len > 0)
        printf("the judge: %s\n", b.ptr + 2);
    lmw_buf_free(&b);
}

static void show(const char *run, const struct lmw_judge_result *r)
{
    printf("run %s by %s: %lld answers", run, r->name, (long long)r->n_record);
    if (r->n_there > 0)
        printf(" (%lld were judged before)", (long long)r->n_there);
    if (isnan(r->accuracy_all))
        printf(", none could be scored");
    else
        printf(", %.2f %% right", 100 * r->accuracy_all);
    if (r->n_unscorable > 0 && !isnan(r->accuracy))
        printf("; %lld unscorable, counted as wrong (without them %.2f %%)",
               (long long)r->n_unscorable, 100 * r->accuracy);
    if (r->unscorable_reason[0])
        printf("; the first: %s", r->unscorable_reason);
    printf("\n");
    if (r->pairwise && r->n_pair > 0)
        printf("the two orders disagree on %lld of %lld pairs (%.1f %%)\n",
               (long long)r->n_disagree, (long long)r->n_pair,
               100 * (double)r->n_disagree / (double)r->n_pair);
    show_cost(r);
}

static json_t *integer(int64_t v)
{
    return v == LMW_NULL ? json_null() : json_integer(v);
}

static json_t *real(double v)
{
    return isnan(v) ? json_null() : json_real(v);
}

static void show_json(const char *run, const struct lmw_judge_result *r)
{
    bool metered = r->energy_uj != LMW_NULL;
    json_t *o = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "run", run,
        "scorer", r->name, "records", (json_int_t)r->n_record, "there", (json_int_t)r->n_there,
        "done", (json_int_t)r->n_done, "scored", (json_int_t)r->n_scored, "unscorable",
        (json_int_t)r->n_unscorable, "accuracy", real(r->accuracy_all), "accuracy_of_scored",
        real(r->accuracy), "pairs", r->pairwise ? json_integer(r->n_pair) : json_null(),
        "disagreements", r->pairwise ? json_integer(r->n_disagree) : json_null(), "prompt_tokens",
        integer(r->prompt_tokens), "completion_tokens", integer(r->completion_tokens), "cost_usd",
        real(r->cost_usd), "energy_uj", integer(r->energy_uj));
    json_object_set_new(o, "energy_basis", metered ? json_string(r->energy_basis) : json_null());
    json_object_set_new(o, "unscorable_reason",
                        r->unscorable_reason[0] ? json_string(r->unscorable_reason) : json_null());
    json_dumpf(o, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(o);
}

/* --- the command --- */

/* Each as soon as it is judged. A run that the others are compared with is not one of them. */
static int judge_each(struct lmw_store *store, const struct judge *j, const struct lmw_run *runs,
                      int n_run, struct lmw_judge_opts *o, struct lmw_err *err)
{
    struct lmw_judge_result result;
    for (int i = 0; i < n_run; i++) {
        o->run = runs[i].name;
        if (o->against && strcmp(o->against, o->run) == 0)
            continue;
        int rc = lmw_judge_run(store, o, &result, err);
        cli_progress_end();
        if (rc < 0)
            return rc;
        (j->is_json ? show_json : show)(o->run, &result);
        fflush(stdout);
    }
    return LMW_OK;
}

static int judge(const struct judge *j, struct lmw_judge_opts *o, struct lmw_err *err)
{
    struct lmw_store *store = NULL;
    struct lmw_arena arena = {0};
    struct lmw_run *runs;
    char path[1024];
    int rc = cli_cpu_mask(&o->backend_opts.cpu_mask, err);
    if (rc == LMW_OK)
        rc = cli_store_path(j->store, path, sizeof path, err);
    if (rc == LMW_OK)
        rc = lmw_store_open_existing(&store, path, err);
    if (rc == LMW_OK && (rc = lmw_arena_open(&arena, (size_t)1 << 30, err)) == LMW_OK &&
        (rc = lmw_insight_runs(store, j->runs.v, j->runs.n, &arena, &runs, err)) >= 0)
        rc = judge_each(store, j, runs, rc, o, err);
    lmw_arena_close(&arena);
    lmw_store_close(store);
    return rc;
}

int cmd_judge(int argc, char **argv)
{
    struct judge j = {.backend = BACKEND_FLAGS_DEFAULT,
                      .n_try = 3,
                      .max_tokens = 1024,
                      .n_in_flight = 1,
                      .usd_in = (double)NAN,
                      .usd_out = (double)NAN};
    struct lmw_judge_opts o = {0};
    struct lmw_err err = {0};
    int rc = parse(&j, argc, argv);
    if (rc < 0)
        rc = check(&j, argv[0]);
    o.backend_opts.n_ctx = (int)j.n_ctx;
    o.backend_opts.n_thread = (int)j.n_thread;
    if (rc < 0 && j.model)
        rc = cli_backend_opts(&j.backend, argv[0], &o.backend, &o.backend_opts);
    if (rc >= 0)
        return rc;
    o.scorer = j.scorer;
    o.against = j.against;
    o.n_try = (int)j.n_try;
    o.usd_per_mtok_in = j.usd_in;
    o.usd_per_mtok_out = j.usd_out;
    o.meter = j.meter;
    o.sysroot = getenv("LMW_SYSROOT");
    o.on_progress = on_progress;
    o.backend_opts.model = j.model;
    o.backend_opts.max_tokens = (int)j.max_tokens;
    o.backend_opts.n_in_flight = (int)j.n_in_flight;
    cli_catch_signals();
    rc = judge(&j, &o, &err);
    if (rc == LMW_ECANCELLED)
        fprintf(stderr, "lmwatt: interrupted; the verdicts so far are kept: the same command goes "
                        "on\n");
    else if (rc < 0)
        cli_fail(&err);
    return rc < 0 ? 1 : 0;
}
