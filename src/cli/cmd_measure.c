/* lmwatt measure: a workload over models, measured, into the store. The main job. Nothing is
 * decided here: the options become a study, and the study's progress a line on stderr. */
#include "base/clock.h"
#include "cli/backend_opts.h"
#include "cli/cli.h"
#include "score/score.h"
#include "study/study.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct measure {
    struct strs models;
    struct backend_flags backend;
    const char *file, *workload, *scorer, *run, *store, *meter, *prices;
    struct lmw_workload_opts questions;
    int64_t max_queries, n_repeat, n_thread, max_tokens, top_k, seed, n_ctx, n_warm_up,
        n_in_flight, shuffle, sample, interleave, shots;
    double temperature, top_p, min_p, idle_s, pause_s, rate;
    bool is_raw, is_constant, is_dry, perplexity, logprobs, require_quiet, require_energy, is_json;
};

/* --- options --- */

static int parse(struct measure *m, struct strs *pos, int argc, char **argv)
{
    const struct opt opts[] = {
        {"model", 'm', OPT_LIST, &m->models, "FILE",
         "a GGUF file, or a server's name for it; give as many as you like"},
        {"workload", 'w', OPT_STR, &m->workload, "FILE",
         "the questions: JSON lines, CSV, ...; see docs/workloads.md"},
        {"map", 0, OPT_STR, &m->questions.map, "LIST",
         "FIELD=COLUMN, ...: prompt=question,reference=answer,query_id=#"},
        {"preset", 0, OPT_STR, &m->questions.preset, "NAME",
         "a data set as published; see `lmwatt workload list`"},
        {"shots", 0, OPT_INT, &m->shots, "K", "of a preset: worked examples in front (default 0)"},
        {"shots-from", 0, OPT_STR, &m->questions.shots_from, "FILE", "whose first rows they are"},
        {"cot", 0, OPT_FLAG, &m->questions.cot, NULL, "of a preset: ask for reasoning first"},
        {"split", 0, OPT_STR, &m->questions.split, "LIST", "of a JSON document: which arrays"},
        {"sample", 0, OPT_INT, &m->sample, "N", "of its rows, drawn by --seed (default 0: all)"},
        {"shuffle", 0, OPT_INT, &m->shuffle, "SEED",
         "ask in an order drawn by it (default 0: the file's order)"},
        {"interleave", 0, OPT_INT, &m->interleave, "N",
         "N queries of each model in turn (default 0: model after model)"},
        {"scorer", 's', OPT_STR, &m->scorer, "NAME",
         "see `lmwatt judge --help`; none (default: the data set's own)"},
        {"run", 'r', OPT_STR, &m->run, "NAME",
         "default: made from the files' names and the settings"},
        {"store", 0, OPT_STR, &m->store, "DB",
         "the store (default: LMW_STORE, or the data directory)"},
        BACKEND_OPTS(&m->backend),
        {"max-queries", 'n', OPT_INT, &m->max_queries, "N",
         "only the first N (default 0: all); more later go on"},
        {"repeat", 0, OPT_INT, &m->n_repeat, "N", "ask each N times (default 1)"},
        {"max-tokens", 0, OPT_INT, &m->max_tokens, "N", "of an answer (default 256)"},
        {"temp", 0, OPT_REAL, &m->temperature, "T", "0 is greedy (default 0)"},
        {"top-k", 0, OPT_INT, &m->top_k, "K", "keep the K likeliest tokens (default 0: all)"},
        {"top-p", 0, OPT_REAL, &m->top_p, "P", "keep the likeliest up to mass P (default 1: all)"},
        {"min-p", 0, OPT_REAL, &m->min_p, "P", "drop below P of the likeliest (default 0: none)"},
        {"seed", 0, OPT_INT, &m->seed, "N", "of the random draws (default 1)"},
        {"raw", 0, OPT_FLAG, &m->is_raw, NULL, "prompts as they are, without the chat template"},
        {"threads", 't', OPT_INT, &m->n_thread, "N", "default 0: one per processor"},
        {"ctx", 'c', OPT_INT, &m->n_ctx, "N",
         "context in tokens (default: the model's, at most 4096)"},
        {"warm-up", 0, OPT_INT, &m->n_warm_up, "N",
         "queries not recorded before the first (default 1)"},
        {"meter", 0, OPT_STR, &m->meter, "SPEC", "default auto; see `lmwatt meters --help`"},
        {"prices", 0, OPT_STR, &m->prices, "FILE",
         "token prices, dollars per million by model (JSON): what each query cost"},
        {"perplexity", 0, OPT_FLAG, &m->perplexity, NULL,
         "also of each reference, given its prompt: PPW and PPJ"},
        {"logprobs", 0, OPT_FLAG, &m->logprobs, NULL,
         "ask a server how sure it was of its tokens; embedded says so anyway"},
        {"require-energy", 0, OPT_FLAG, &m->require_energy, NULL,
         "stop at the first query without valid energy"},
        {"idle-seconds", 0, OPT_REAL, &m->idle_s, "S", "of each idle baseline (default 2)"},
        {"pause", 0, OPT_REAL, &m->pause_s, "S", "idle so long after each query (default 0)"},
        {"in-flight", 0, OPT_INT, &m->n_in_flight, "N",
         "so many at once (default 1; with --rate up to 256), where the backend can"},
        {"rate", 0, OPT_REAL, &m->rate, "R",
         "queries a second, come what may: waiting counts (default: as they end)"},
        {"constant", 0, OPT_FLAG, &m->is_constant, NULL,
         "at equal distances (default: at random, a Poisson process)"},
        {"dry-run", 0, OPT_FLAG, &m->is_dry, NULL,
         "only say what would be measured, what is there, how long it takes"},
        {"require-quiet", 0, OPT_FLAG, &m->require_quiet, NULL,
         "refuse when other programs keep the processors over 5 % busy"},
        {"json", 0, OPT_FLAG, &m->is_json, NULL, "one JSON object a run"},
        {0},
    };
    const struct command_help help = {
        "lmwatt measure STUDY.yaml | [-b BACKEND] -m MODEL [-m MODEL...] -w WORKLOAD.jsonl [OPTIONS]",
        "Asks each model every question and records answer, time and joules. The same command\n"
        "again resumes where it stopped; `lmwatt report` shows what came out. A study in a file\n"
        "(docs/studies.md) is many such runs; what it leaves open is as the options say.",
        "lmwatt measure -m models/shop-intents-F16.gguf -s json \\\n"
        "      -w workloads/shop-intents-test.jsonl",
    };
    return opts_parse(opts, &help, argc, argv, pos);
}

static int check_range(const char *command, const char *name, int64_t v, int64_t min, int64_t max)
{
    return v >= min && v <= max
               ? -1
               : cli_usage(command, "--%s takes %lld..%lld", name, (long long)min, (long long)max);
}

static bool is_model(const char *path)
{
    return lmw_str_ends(lmw_str_from(path), ".gguf");
}

static int check(const struct measure *m, const struct strs *pos, const char *command)
{
    enum { MANY = 1 << 30 };
    const struct lmw_backend_ops *backend;
    struct lmw_backend_opts unused = {
        .logprobs = m->logprobs, .n_thread = m->n_thread > 0, .n_ctx = m->n_ctx > 0};
    struct lmw_err err;
    const struct {
        const char *name;
        int64_t v, min, max;
    } ranges[] = {
        {"max-queries", m->max_queries, 0, INT64_MAX},
        {"repeat", m->n_repeat, 1, MANY},
        {"max-tokens", m->max_tokens, 1, 1 << 24},
        {"top-k", m->top_k, 0, MANY},
        {"threads", m->n_thread, 0, 1024},
        {"ctx", m->n_ctx, 0, MANY},
        {"warm-up", m->n_warm_up, 0, MANY},
        {"seed", m->seed, INT64_MIN, INT64_MAX},
        {"in-flight", m->n_in_flight, 0, 4096},
        {"sample", m->sample, 0, INT64_MAX},
        {"shots", m->shots, 0, 100},
        {"interleave", m->interleave, 0, INT64_MAX},
    };
    if (pos->n > 1)
        return cli_usage(command, "unexpected argument '%s'", pos->v[1]);
    if (m->file && is_model(m->file))
        return cli_usage(
            command, "%s is no study; a model is named with -m, its questions with -w", m->file);
    if (!m->questions.preset && (m->shots || m->questions.cot))
        return cli_usage(command,
                         "--shots and --cot go with a --preset, whose wording they are of");
    if (m->file && (m->models.n || m->workload || m->run))
        return cli_usage(command, "models, workloads and names of runs stand in the study (%s)",
                         m->file);
    if (!m->file && (!m->models.n || !m->workload))
        return cli_usage(command, "needs a STUDY.yaml, or --%s",
                         m->models.n ? "workload" : "model");
    int bad = cli_check_sampling(command, m->temperature, m->top_p, m->min_p);
    if (bad >= 0)
        return bad;
    if (!(m->idle_s >= 0 && m->idle_s <= 3600))
        return cli_usage(command, "--idle-seconds takes 0..3600");
    if (!(m->pause_s >= 0 && m->pause_s <= 3600))
        return cli_usage(command, "--pause takes 0..3600");
    if (!(m->rate >= 0 && m->rate <= 1e6))
        return cli_usage(command, "--rate takes 0..1000000");
    if (!m->file && m->is_constant && m->rate == 0)
        return cli_usage(command, "--constant says how the queries of a --rate come: say which");
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        int rc = check_range(command, ranges[i].name, ranges[i].v, ranges[i].min, ranges[i].max);
        if (rc >= 0)
            return rc;
    }
    if (m->scorer && strcmp(m->scorer, "none") != 0 && !lmw_scorer_find(m->scorer, &err))
        return cli_usage(command, "%s", err.msg);
    return cli_backend_opts(&m->backend, command, &backend, &unused);
}

/* --- progress --- */

static void put_number(char out[32], double v, int decimals)
{
    if (isnan(v))
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%.*f", decimals, v);
}

static void show_queries(const struct lmw_study_progress *p)
{
    char speed[32], joules[32], accuracy[32], eta[48];
    double j = p->joules_per_query;
    put_number(speed, p->tok_per_s, 0);
    put_number(joules, j, j < 1 ? 4 : j < 10 ? 3 : 1);
    put_number(accuracy, 100 * p->accuracy, 1);
    int s = isnan(p->eta_s) ? -1 : (int)fmin(p->eta_s + 0.5, 1e8);
    snprintf(eta, sizeof eta, s < 0 ? "-" : "%d:%02d", s / 60, s % 60);
    cli_progress("%d/%d %s: %lld/%lld · %s tok/s · %s%s J/query · %s %% right · %s left",
                 p->i_run + 1, p->n_run, p->run, (long long)p->n_done, (long long)p->n_total,
                 speed, p->estimated && joules[0] != '-' ? "~" : "", joules, accuracy, eta);
}

static int on_progress(void *arg, const struct lmw_study_progress *p)
{
    static const char *const phases[] = {
        [LMW_PHASE_IDLE] = "measuring idle power",
        [LMW_PHASE_LOAD] = "loading",
        [LMW_PHASE_WARM_UP] = "warming up",
        [LMW_PHASE_SETTLE] = "waiting for the meter",
    };
    if (p->phase == LMW_PHASE_MEASURE)
        show_queries(p);
    else
        cli_progress("%d/%d %s: %s", p->i_run + 1, p->n_run, p->run, phases[p->phase]);
    return cli_interrupted();
}

/* --- results --- */

static void show_run(const struct lmw_study_run *r, const char *store)
{
    int64_t n = r->n_there + r->n_done;
    printf("run %s: %lld queries", r->name, (long long)n);
    if (r->n_there > 0)
        printf(" (%lld were there)", (long long)r->n_there);
    if (r->n_error > 0)
        printf(", %lld failed (the first: %s)", (long long)r->n_error, r->first_error);
    if (r->n_energy_invalid > 0)
        printf(", %lld without joules (the first: %s; see `lmwatt meters`)",
               (long long)r->n_energy_invalid, r->energy_reason);
    if (!r->finished)
        printf(", not finished");
    printf("\n");
}

static void show_run_json(const struct lmw_study_run *r, const char *store)
{
    json_t *o = json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "run", r->name, "store",
                          store, "resumed", r->resumed, "finished", r->finished, "queries",
                          (json_int_t)r->n_total, "there", (json_int_t)r->n_there, "done",
                          (json_int_t)r->n_done, "failed", (json_int_t)r->n_error, "energy_valid",
                          (json_int_t)r->n_energy_valid);
    json_object_set_new(o, "energy_reason",
                        r->energy_reason[0] ? json_string(r->energy_reason) : json_null());
    json_object_set_new(o, "accuracy", isnan(r->accuracy) ? json_null() : json_real(r->accuracy));
    json_dumpf(o, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(o);
}

/* --- the plan --- */

static void put_time(char out[32], double s)
{
    if (isnan(s))
        snprintf(out, 32, "not known");
    else if (s < 120)
        snprintf(out, 32, "%.0f s", s);
    else if (s < 7200)
        snprintf(out, 32, "%.0f min", s / 60);
    else
        snprintf(out, 32, "%.1f h", s / 3600);
}

static void show_plan(const struct lmw_study_run *runs, int n)
{
    char time[32];
    double sum_s = 0;
    int64_t total = 0, there = 0;
    int width = 4;
    for (int i = 0; i < n; i++)
        width = (int)strlen(runs[i].name) > width ? (int)strlen(runs[i].name) : width;
    printf("%-*s  %9s  %9s  %9s  %s\n", width, "run", "queries", "there", "to do", "expected");
    for (int i = 0; i < n; i++) {
        const struct lmw_study_run *r = &runs[i];
        put_time(time, r->expected_s);
        printf("%-*s  %9lld  %9lld  %9lld  %s\n", width, r->name, (long long)r->n_total,
               (long long)r->n_there, (long long)(r->n_total - r->n_there), time);
        total += r->n_total;
        there += r->n_there;
        sum_s += r->expected_s;
    }
    put_time(time, sum_s);
    printf("%-*s  %9lld  %9lld  %9lld  %s\n", width, n == 1 ? "1 run" : "all", (long long)total,
           (long long)there, (long long)(total - there), time);
}

static void show_plan_json(const struct lmw_study_run *runs, int n)
{
    for (int i = 0; i < n; i++) {
        const struct lmw_study_run *r = &runs[i];
        json_t *o = json_pack("{s:s, s:b, s:I, s:I, s:I}", "run", r->name, "resumed", r->resumed,
                              "queries", (json_int_t)r->n_total, "there", (json_int_t)r->n_there,
                              "to_do", (json_int_t)(r->n_total - r->n_there));
        json_object_set_new(o, "expected_s",
                            isnan(r->expected_s) ? json_null() : json_real(r->expected_s));
        json_dumpf(o, stdout, JSON_COMPACT);
        printf("\n");
        json_decref(o);
    }
}

static int plan_study(const struct lmw_study *study, const char *db, bool is_json,
                      struct lmw_err *err)
{
    struct lmw_store *store = NULL;
    struct lmw_study_run *runs = calloc((size_t)study->n_run, sizeof *runs);
    int rc = runs ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory");
    if (rc == LMW_OK && access(db, F_OK) == 0)
        rc = lmw_store_open_existing(&store, db, err);
    if (rc == LMW_OK && (rc = lmw_study_plan(store, study, runs, err)) == LMW_OK)
        (is_json ? show_plan_json : show_plan)(runs, study->n_run);
    lmw_store_close(store);
    free(runs);
    return rc;
}

/* As a shell reads it back: in quotes where something in it would be read as more than a text. */
static void put_word(struct lmw_buf *b, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "%+,-./:=@_";
    if (word[0] && strspn(word, plain) == strlen(word)) {
        lmw_buf_str(b, word);
        return;
    }
    lmw_buf_str(b, "'");
    for (const char *c = word; *c; c++)
        if (*c == '\'')
            lmw_buf_str(b, "'\\''");
        else
            lmw_buf_put(b, c, 1);
    lmw_buf_str(b, "'");
}

/* The command line, so that a record can say how it was made. malloc. */
static char *join(int argc, char **argv)
{
    struct lmw_buf b = {0};
    lmw_buf_str(&b, "lmwatt");
    for (int i = 0; i < argc; i++) {
        lmw_buf_str(&b, " ");
        put_word(&b, argv[i]);
    }
    return b.ptr;
}

/* Of several models each run is NAME/MODEL. */
static char *run_pattern(const struct measure *m)
{
    struct lmw_buf b = {0};
    if (!m->run)
        return NULL;
    lmw_buf_printf(&b, m->models.n > 1 && !strstr(m->run, "{model}") ? "%s/{model}" : "%s",
                   m->run);
    return b.ptr;
}

static int make_run(struct lmw_study_opts *o, const struct measure *m, struct lmw_err *err)
{
    *o = (struct lmw_study_opts){
        .backend_opts = {.n_thread = (int)m->n_thread,
                         .n_ctx = (int)m->n_ctx,
                         .max_tokens = (int)m->max_tokens,
                         .n_in_flight = (int)m->n_in_flight,
                         .raw = m->is_raw,
                         .logprobs = m->logprobs},
        .workload = m->workload,
        .questions = m->questions,
        .shuffle = m->shuffle,
        .scorer = m->scorer,
        .max_queries = m->max_queries,
        .n_repeat = m->n_repeat,
        .n_warm_up = (int)m->n_warm_up,
        .pause_s = m->pause_s,
        .rate_hz = m->rate,
        .is_constant = m->is_constant,
        .temperature = (float)m->temperature,
        .top_p = (float)m->top_p,
        .min_p = (float)m->min_p,
        .top_k = (int)m->top_k,
        .seed = (uint64_t)m->seed,
        .perplexity = m->perplexity,
    };
    o->questions.shots = (int)m->shots;
    o->questions.sample = m->sample;
    if (m->sample > 0)
        o->questions.seed = (uint64_t)m->seed;
    cli_backend_opts(&m->backend, "measure", &o->backend, &o->backend_opts);
    return cli_cpu_mask(&o->backend_opts.cpu_mask, err);
}

/* Who named no scorer may not know that accuracy needs one; stored answers are enough for it. */
static void hint_at_scorers(const struct lmw_study_opts *o, const struct lmw_study_run *runs,
                            int n)
{
    for (int i = 0; i < n; i++)
        if (!o[i].scorer && isnan(runs[i].accuracy) && runs[i].n_done > runs[i].n_error) {
            fprintf(stderr,
                    "lmwatt: no answer of run '%s' was scored: `lmwatt judge` scores what is "
                    "stored, by --scorer NAME or --judge-model MODEL\n",
                    runs[i].name);
            return;
        }
}

/* Runs it and says what came of each run. */
static int run_study(const struct lmw_study *study, const char *db, bool is_json,
                     struct lmw_err *err)
{
    struct lmw_store *store = NULL;
    struct lmw_study_run *runs = calloc((size_t)study->n_run, sizeof *runs);
    int rc = runs ? lmw_store_open(&store, db, err) : lmw_fail(err, LMW_ENOMEM, "no memory");
    if (rc == LMW_OK) {
        rc = lmw_study_run(store, study, runs, err);
        cli_progress_end();
    }
    for (int i = 0; i < study->n_run && runs && runs[i].name[0]; i++) {
        (is_json ? show_run_json : show_run)(&runs[i], db);
        if (rc == LMW_OK && runs[i].n_error > 0 && runs[i].n_error == runs[i].n_done)
            rc = lmw_fail(err, LMW_EIO, "run '%s': every query failed: %s", runs[i].name,
                          runs[i].first_error);
    }
    if (rc == LMW_OK)
        hint_at_scorers(study->runs, runs, study->n_run);
    lmw_store_close(store);
    free(runs);
    return rc;
}

static int go(const struct measure *m, const struct lmw_study *study, struct lmw_err *err)
{
    char path[1024];
    int rc = m->store ? LMW_OK : lmw_store_default_path(path, sizeof path, err);
    if (rc < 0)
        return rc;
    return (m->is_dry ? plan_study : run_study)(study, m->store ? m->store : path, m->is_json,
                                                err);
}

/* A file's runs are read over the one the options make. */
static int measure_file(const struct measure *m, const struct lmw_study *base, struct lmw_err *err)
{
    struct lmw_study_file *f;
    int rc = lmw_study_read(&f, m->file, base, err);
    if (rc == LMW_OK) {
        rc = go(m, lmw_study_of(f), err);
        lmw_study_close(f);
    }
    return rc;
}

static int measure(const struct measure *m, const char *command, struct lmw_err *err)
{
    const char *root = getenv("LMW_SYSROOT");
    int n = m->file ? 1 : m->models.n;
    char *name = run_pattern(m);
    struct lmw_study_opts *runs = calloc((size_t)n, sizeof *runs);
    struct lmw_study study = {
        .runs = runs,
        .n_run = n,
        .meter = {.sysroot = root ? root : "", .sources = m->meter},
        .interleave = m->interleave,
        .idle_s = m->idle_s,
        .prices = m->prices,
        .require_quiet = m->require_quiet,
        .require_energy = m->require_energy,
        .command = command,
        .on_progress = on_progress,
    };
    int rc = runs ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory");
    for (int i = 0; i < n && rc == LMW_OK; i++) {
        rc = make_run(&runs[i], m, err);
        runs[i].backend_opts.model = m->models.v[i];
        runs[i].run = name;
    }
    if (rc == LMW_OK)
        rc = m->file ? measure_file(m, &study, err) : go(m, &study, err);
    free(runs);
    free(name);
    return rc;
}

int cmd_measure(int argc, char **argv)
{
    struct measure m = {.backend = BACKEND_FLAGS_DEFAULT,
                        .meter = "auto",
                        .n_repeat = 1,
                        .max_tokens = 256,
                        .seed = 1,
                        .top_p = 1,
                        .n_warm_up = 1,
                        .idle_s = 2};
    struct strs pos = {0};
    struct lmw_err err = {0};
    int rc = parse(&m, &pos, argc, argv);
    m.file = pos.n ? pos.v[0] : NULL;
    if (rc < 0)
        rc = check(&m, &pos, argv[0]);
    if (rc >= 0)
        return rc;
    char *command = join(argc, argv);
    cli_catch_signals();
    rc = measure(&m, command, &err);
    if (rc == LMW_ECANCELLED)
        fprintf(stderr,
                "lmwatt: interrupted; what was measured is in the store. To go on:\n  %s\n",
                command ? command : "the same command again");
    else if (rc < 0)
        cli_fail(&err);
    free(command);
    return rc < 0 ? 1 : 0;
}
