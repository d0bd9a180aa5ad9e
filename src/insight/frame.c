/* Loading a frame: the store's columns that decisions need, run by run, into arrays of doubles.
 *
 * What a record's energy is worth is decided here, once for all figures: it is valid when the
 * record has joules and does not say that they are not. Its power is energy / latency, as the
 * paper's published harness takes it ("accuracy.py": per-query joules over per-query seconds,
 * else the sampled mean). A missing figure is imputed (mean power x latency, the harness's rule)
 * only where asked, and counted. */
#include "base/json.h"
#include "insight/insight.h"
#include "insight/names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct loader {
    struct lmw_frame *f;
    struct lmw_arena *arena;
    struct names query, domain, workload;
    bool impute, exclude_unscored;
};

/* Every column that is looked at, by its name in lmw_columns. */
static const char *const columns[] = {
    "workload",
    "query_id",
    "repeat",
    "domain",
    "model",
    "quantization",
    "params",
    "active_params",
    "backend",
    "machine",
    "score",
    "prompt_tokens",
    "completion_tokens",
    "t_start_ns",
    "ttft_ns",
    "latency_ns",
    "itl_p50_ns",
    "itl_p90_ns",
    "itl_p99_ns",
    "energy_uj",
    "energy_net_uj",
    "energy_prefill_uj",
    "energy_decode_uj",
    "energy_lower_uj",
    "energy_upper_uj",
    "energy_basis",
    "energy_rails",
    "energy_method",
    "energy_valid",
    "energy_reason",
    "power_mean_mw",
    "power_max_mw",
    "memory_bytes",
    "perplexity",
    "flops",
    "cost_usd",
    "error",
    NULL,
};

static double scaled(int64_t v, double scale)
{
    return v == LMW_NULL ? (double)NAN : (double)v * scale;
}

/* --- what a run's records share --- */

static void keep(const char **first, const char *text, struct lmw_frame_run *run,
                 struct lmw_arena *arena)
{
    if (!text)
        return;
    if (!*first)
        *first = lmw_arena_str(arena, lmw_str_from(text));
    else if (strcmp(*first, text) != 0)
        run->mixed = true;
}

static void describe(struct lmw_frame_run *run, const struct lmw_record *r,
                     struct lmw_arena *arena)
{
    keep(&run->model, r->model, run, arena);
    keep(&run->quantization, r->quantization, run, arena);
    keep(&run->backend, r->backend, run, arena);
    keep(&run->machine, r->machine, run, arena);
    keep(&run->basis, r->energy_basis, run, arena);
    if (run->params == LMW_NULL)
        run->params = r->params;
    if (run->active_params == LMW_NULL)
        run->active_params = r->active_params;
    run->estimated |= (r->energy_method && strcmp(r->energy_method, "estimate") == 0) ||
                      (r->energy_basis && strchr(r->energy_basis, '~'));
    run->scored |= !isnan(r->score);
    run->n_failed += lmw_record_failed(r);
    run->n_unscored += isnan(r->score) && !lmw_record_failed(r);
}

static void count_reason(struct lmw_frame_run *run, const char *text, struct lmw_arena *arena)
{
    text = text ? text : "(no reason stored)";
    int i = 0;
    while (i < run->n_reason && run->reason[i].text && strcmp(run->reason[i].text, text) != 0)
        i++;
    if (i == LMW_REASONS_MAX)
        run->reason[--i].text = "(other)";
    if (i == run->n_reason)
        run->reason[run->n_reason++].text = lmw_arena_str(arena, lmw_str_from(text));
    run->reason[i].n++;
}

/* --- one record --- */

static bool impute(double row[LMW_N_VALUE], const struct lmw_record *r)
{
    row[LMW_V_POWER] = scaled(r->power_mean_mw, 1e-3);
    row[LMW_V_ENERGY] = row[LMW_V_POWER] * row[LMW_V_LATENCY];
    return !isnan(row[LMW_V_ENERGY]);
}

static bool put_energy(double row[LMW_N_VALUE], const struct lmw_record *r, bool imputing)
{
    bool valid = r->energy_valid != 0 && r->energy_uj != LMW_NULL;
    double joules = valid ? 1e-6 : (double)NAN;
    row[LMW_V_ENERGY] = scaled(r->energy_uj, joules);
    row[LMW_V_NET] = scaled(r->energy_net_uj, joules);
    row[LMW_V_PREFILL] = scaled(r->energy_prefill_uj, joules);
    row[LMW_V_DECODE] = scaled(r->energy_decode_uj, joules);
    row[LMW_V_LOWER] = scaled(r->energy_lower_uj, joules);
    row[LMW_V_UPPER] = scaled(r->energy_upper_uj, joules);
    row[LMW_V_POWER] = row[LMW_V_ENERGY] / row[LMW_V_LATENCY];
    if (!isfinite(row[LMW_V_POWER]))
        row[LMW_V_POWER] = r->energy_valid != 0 ? scaled(r->power_mean_mw, 1e-3) : (double)NAN;
    row[LMW_V_POWER_MAX] = r->energy_valid != 0 ? scaled(r->power_max_mw, 1e-3) : (double)NAN;
    return !valid && imputing && impute(row, r);
}

static void put_times(double row[LMW_N_VALUE], const struct lmw_record *r)
{
    row[LMW_V_START] = scaled(r->t_start_ns, 1e-9);
    row[LMW_V_LATENCY] = scaled(r->latency_ns, 1e-9);
    row[LMW_V_TTFT] = scaled(r->ttft_ns, 1e-9);
    row[LMW_V_ITL_P50] = scaled(r->itl_p50_ns, 1e-9);
    row[LMW_V_ITL_P90] = scaled(r->itl_p90_ns, 1e-9);
    row[LMW_V_ITL_P99] = scaled(r->itl_p99_ns, 1e-9);
}

static void put_record(struct loader *l, size_t i, struct lmw_frame_run *run,
                       const struct lmw_record *r)
{
    double row[LMW_N_VALUE];
    put_times(row, r);
    bool imputed = put_energy(row, r, l->impute);
    row[LMW_V_ACC] = r->score;
    row[LMW_V_PROMPT_TOKENS] = scaled(r->prompt_tokens, 1);
    row[LMW_V_COMPLETION_TOKENS] = scaled(r->completion_tokens, 1);
    row[LMW_V_MEMORY] = scaled(r->memory_bytes, 1);
    row[LMW_V_PERPLEXITY] = r->perplexity;
    row[LMW_V_FLOPS] = r->flops;
    row[LMW_V_COST] = r->cost_usd;
    for (int k = 0; k < LMW_N_VALUE; k++)
        l->f->v[k][i] = row[k];
    run->n_imputed += imputed;
    run->n_valid += !isnan(row[LMW_V_ENERGY]) && !imputed;
    if (isnan(row[LMW_V_ENERGY]) || imputed)
        count_reason(run, r->energy_reason, l->arena);
}

/* The column of a rail, made when new (`cap` records); NULL when there are too many. */
static double *rail_of(struct lmw_frame_run *run, const struct lmw_json_value *name, size_t cap,
                       struct lmw_arena *arena)
{
    struct lmw_arena scratch = *arena;
    const char *text = lmw_json_copy(name, &scratch);
    int i = 0;
    while (text && i < run->n_rail && strcmp(run->rail[i], text) != 0)
        i++;
    if (!text || i == LMW_RAILS_MAX)
        return NULL;
    if (i == run->n_rail) {
        run->rail[i] = lmw_json_copy(name, arena);
        run->rail_j[i] = LMW_NEW(arena, double, cap);
        if (!run->rail[i] || !run->rail_j[i])
            return NULL;
        for (size_t k = 0; k < cap; k++)
            run->rail_j[i][k] = (double)NAN;
        run->n_rail++;
    }
    return run->rail_j[i];
}

/* Record k of the `cap` of the run. What is no object of numbers says nothing. */
static void put_rails(struct lmw_frame_run *run, size_t k, size_t cap, const char *rails,
                      struct lmw_arena *arena)
{
    struct lmw_json j = {rails, rails + strlen(rails), NULL};
    struct lmw_json_value name, joules;
    bool first = true;
    while (k < cap && lmw_json_member(&j, &first, &name, &joules) > 0) {
        double uj;
        double *to = lmw_json_real(&joules, &uj) ? rail_of(run, &name, cap, arena) : NULL;
        if (to)
            to[k] = uj * 1e-6;
    }
}

/* The question's number; a new one brings its domain, an old one may learn it. */
static bool put_question(struct loader *l, size_t i, const struct lmw_record *r)
{
    struct lmw_frame *f = l->f;
    int32_t workload = lmw_names_add(&l->workload, 0, r->workload), before = l->query.n;
    int32_t q = workload < 0 ? -1 : lmw_names_add(&l->query, workload, r->query_id);
    int32_t domain = q < 0 ? -1 : lmw_names_add(&l->domain, 0, r->domain);
    if (domain < 0)
        return false;
    if (q == before || f->domain_of[q] == 0)
        f->domain_of[q] = domain;
    f->workload_of[q] = workload;
    f->query_of[i] = q;
    f->repeat[i] = r->repeat == LMW_NULL ? 0 : (int32_t)r->repeat;
    f->failed[i] = lmw_record_failed(r);
    return true;
}

/* --- a run --- */

/* Failed answers count as wrong, and unscored ones unless they are excluded; where nobody scored,
 * nothing is known. */
static void settle_accuracy(struct lmw_frame *f, struct lmw_frame_run *run)
{
    run->scored |= run->n > 0 && run->n_failed == (int64_t)run->n;
    for (size_t i = run->first; run->scored && i < run->first + run->n; i++) {
        if (f->failed[i] || (isnan(f->v[LMW_V_ACC][i]) && !run->excludes_unscored))
            f->v[LMW_V_ACC][i] = 0;
    }
}

/* The workloads of a run, in the order they come: "MMLU-Pro", "MMLU-Pro, GPQA". */
static bool name_workloads(struct loader *l, struct lmw_frame_run *run)
{
    enum { NAMED = 8 };
    const struct lmw_frame *f = l->f;
    int32_t seen[NAMED] = {0};
    struct lmw_buf text = {0};
    int n = 0;
    for (size_t i = run->first; i < run->first + run->n && n < NAMED; i++) {
        int32_t w = f->workload_of[f->query_of[i]];
        int k = 0;
        while (k < n && seen[k] != w)
            k++;
        if (k < n || strcmp(l->workload.text[w], "(none)") == 0)
            continue;
        seen[n++] = w;
        lmw_buf_printf(&text, "%s%s", n > 1 ? ", " : "", n == NAMED ? "..." : l->workload.text[w]);
    }
    run->workload = n ? lmw_arena_str(l->arena, (lmw_str){text.ptr, text.len}) : NULL;
    lmw_buf_free(&text);
    return n == 0 || run->workload;
}

static int load_run(struct loader *l, struct lmw_store *s, int i_run, size_t cap,
                    struct lmw_err *err)
{
    struct lmw_frame *f = l->f;
    struct lmw_frame_run *run = &f->run[i_run];
    struct lmw_records *it;
    struct lmw_record r;
    size_t n_run = (size_t)lmw_store_count(s, run->run.id);
    int rc = lmw_records_open_columns(&it, s, run->run.id, columns, err);
    if (rc < 0)
        return rc;
    run->first = f->n;
    run->excludes_unscored = l->exclude_unscored;
    run->params = run->active_params = LMW_NULL;
    while (f->n < cap && (rc = lmw_records_next(it, &r, err)) > 0) {
        describe(run, &r, l->arena);
        f->run_of[f->n] = i_run;
        if (!put_question(l, f->n, &r)) {
            rc = lmw_fail(err, LMW_ENOMEM, "no memory for the names of %zu records", cap);
            break;
        }
        if (r.energy_rails && r.energy_valid != 0)
            put_rails(run, f->n - run->first, n_run, r.energy_rails, l->arena);
        put_record(l, f->n++, run, &r);
    }
    lmw_records_close(it);
    run->n = f->n - run->first;
    settle_accuracy(f, run);
    if (rc >= 0 && !name_workloads(l, run))
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for names");
    return rc < 0 ? lmw_wrap(err, "run '%s'", run->run.name) : LMW_OK;
}

static int open_columns(struct lmw_frame *f, size_t n, struct lmw_arena *arena,
                        struct lmw_err *err)
{
    bool ok =
        (f->run_of = LMW_NEW(arena, int32_t, n)) && (f->query_of = LMW_NEW(arena, int32_t, n));
    ok = ok && (f->repeat = LMW_NEW(arena, int32_t, n)) && (f->failed = LMW_NEW(arena, bool, n));
    /* No more questions than records. */
    ok = ok && (f->domain_of = LMW_NEW(arena, int32_t, n)) &&
         (f->workload_of = LMW_NEW(arena, int32_t, n));
    for (int k = 0; k < LMW_N_VALUE; k++)
        ok = ok && (f->v[k] = LMW_NEW(arena, double, n));
    return ok ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for %zu records", n);
}

static void take_names(struct loader *l)
{
    struct lmw_frame *f = l->f;
    f->query = l->query.text;
    f->n_query = l->query.n;
    f->domain = l->domain.text;
    f->n_domain = l->domain.n;
    f->workload = l->workload.text;
    f->n_workload = l->workload.n;
}

/* Room for the records the runs have now; what another process adds meanwhile is left out. */
static int make_room(struct lmw_frame *f, struct lmw_store *s, const struct lmw_run *runs,
                     size_t *n, struct lmw_arena *arena, struct lmw_err *err)
{
    if (!(f->run = LMW_NEW(arena, struct lmw_frame_run, (size_t)f->n_run)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d runs", f->n_run);
    *n = 0;
    for (int i = 0; i < f->n_run; i++) {
        f->run[i].run = runs[i];
        *n += (size_t)lmw_store_count(s, runs[i].id);
    }
    if (*n > INT32_MAX)
        return lmw_fail(err, LMW_EUNSUPPORTED,
                        "%zu records at once: name fewer runs (2^31 is the limit)", *n);
    return open_columns(f, *n ? *n : 1, arena, err);
}

int lmw_frame_load(struct lmw_frame *f, struct lmw_store *s, const char *const *names, int n_name,
                   const struct lmw_frame_options *options, struct lmw_arena *arena,
                   struct lmw_err *err)
{
    struct loader l = {.f = f,
                       .arena = arena,
                       .impute = options && options->impute,
                       .exclude_unscored = options && options->exclude_unscored};
    struct lmw_run *runs;
    size_t cap = 0;
    int rc;
    *f = (struct lmw_frame){.n_run = lmw_insight_runs(s, names, n_name, arena, &runs, err)};
    if (f->n_run < 0)
        return f->n_run;
    if (f->n_run == 0)
        return lmw_fail(err, LMW_EARG, "this store has no runs: `lmwatt measure` makes them");
    if ((rc = make_room(f, s, runs, &cap, arena, err)) < 0)
        return rc;
    l.query.arena = l.domain.arena = l.workload.arena = arena;
    if (lmw_names_add(&l.domain, 0, NULL) < 0) /* so that 0 is "(none)" */
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu records", cap);
    for (int i = 0; i < f->n_run && rc == LMW_OK; i++)
        rc = load_run(&l, s, i, cap, err);
    take_names(&l);
    return rc;
}

int lmw_frame_some(const struct lmw_frame *f, const int *run, int n_run, struct lmw_arena *arena,
                   struct lmw_frame *out, struct lmw_err *err)
{
    *out = *f;
    out->n_run = n_run;
    out->run = LMW_NEW(arena, struct lmw_frame_run, (size_t)n_run);
    out->run_of = LMW_NEW(arena, int32_t, f->n);
    if (!out->run || !out->run_of)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu records", f->n);
    for (int i = 0; i < n_run; i++) {
        const struct lmw_frame_run *r = &f->run[run[i]];
        out->run[i] = *r;
        for (size_t k = r->first; k < r->first + r->n; k++)
            out->run_of[k] = i;
    }
    return LMW_OK;
}

static int say_which(const struct lmw_frame *f, const char *name, int n_model, struct lmw_err *err)
{
    char known[300] = "";
    for (int i = 0; i < f->n_run; i++) {
        const char *model = f->run[i].model;
        size_t used = strlen(known);
        if (n_model == 0 || (model && strcmp(model, name) == 0))
            snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                     f->run[i].run.name);
    }
    lmw_fail(err, LMW_EARG,
             n_model ? "'%s' is the model of several runs: name one of %s"
                     : "no run or model '%s' (there are: %s)",
             name, known);
    return -1;
}

int lmw_frame_find(const struct lmw_frame *f, const char *name, struct lmw_err *err)
{
    int found = -1, n_model = 0;
    for (int i = 0; i < f->n_run; i++) {
        if (strcmp(f->run[i].run.name, name) == 0)
            return i;
        if (f->run[i].model && strcmp(f->run[i].model, name) == 0) {
            found = i;
            n_model++;
        }
    }
    return n_model == 1 ? found : say_which(f, name, n_model, err);
}
