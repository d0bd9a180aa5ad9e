/* Rows: what a run is called, and its figures. */
#include "insight/insight.h"

#include "insight/figures.h"

#include <math.h>
#include <string.h>

static void describe(struct lmw_summary *s, const struct lmw_frame_run *run)
{
    s->run = run->run;
    s->model = run->model;
    s->quantization = run->quantization;
    s->workload = run->workload;
    s->backend = run->backend;
    s->machine = run->machine;
    s->basis = run->basis;
    s->params = run->params;
    s->estimated = run->estimated;
    s->mixed = run->mixed;
    s->excludes_unscored = run->excludes_unscored;
    s->n_record = (int64_t)run->n;
    s->n_failed = run->n_failed;
    s->n_unscored = run->n_unscored;
    s->n_valid = run->n_valid;
    s->n_imputed = run->n_imputed;
    memcpy(s->reason, run->reason, sizeof s->reason);
    s->n_reason = run->n_reason;
}

/* The report's units: milliseconds, and numbers without their interval. */
static void make_row(struct lmw_summary *s)
{
    const struct lmw_interval *f = s->figure;
    if (isnan(f[LMW_FIG_MEMORY].value) && s->run.peak_rss_bytes != LMW_NULL)
        s->figure[LMW_FIG_MEMORY].value = (double)s->run.peak_rss_bytes;
    s->accuracy = f[LMW_FIG_ACCURACY];
    s->tok_per_s = f[LMW_FIG_SPEED].value;
    s->ttft_p50_ms = f[LMW_FIG_TTFT_P50].value * 1e3;
    s->ttft_p90_ms = f[LMW_FIG_TTFT_P90].value * 1e3;
    s->latency_p50_ms = f[LMW_FIG_LATENCY_P50].value * 1e3;
    s->prompt_tokens = f[LMW_FIG_PROMPT_TOKENS].value;
    s->completion_tokens = f[LMW_FIG_COMPLETION_TOKENS].value;
    s->power_w = f[LMW_FIG_POWER];
    s->energy_j = f[LMW_FIG_ENERGY];
    s->net_j = f[LMW_FIG_ENERGY_NET];
    s->prefill_j = f[LMW_FIG_PREFILL].value;
    s->decode_j = f[LMW_FIG_DECODE].value;
    s->j_per_token = f[LMW_FIG_J_PER_TOKEN].value;
    s->ipw = f[LMW_FIG_IPW];
    s->ipj = f[LMW_FIG_IPJ];
    s->ipj_net = f[LMW_FIG_IPJ_NET];
    s->ppw = f[LMW_FIG_PPW].value;
    s->ppj = f[LMW_FIG_PPJ].value;
}

/* Over the records that have both joules and the value. */
static double mean_with_energy(const struct lmw_frame *f, const struct lmw_frame_run *run,
                               enum lmw_value value)
{
    double sum = 0;
    int64_t n = 0;
    for (size_t i = run->first; i < run->first + run->n; i++) {
        if (isfinite(f->v[value][i]) && isfinite(f->v[LMW_V_ENERGY][i])) {
            sum += f->v[value][i];
            n++;
        }
    }
    return n ? sum / (double)n : (double)NAN;
}

/* Decode speed of records from .. to. */
static double speed_of(const struct lmw_frame *f, size_t from, size_t to)
{
    double tokens = 0, seconds = 0;
    for (size_t i = from; i < to; i++) {
        double rest = f->v[LMW_V_LATENCY][i] - f->v[LMW_V_TTFT][i];
        double more = f->v[LMW_V_COMPLETION_TOKENS][i] - 1;
        if (rest > 0 && more > 0) {
            tokens += more;
            seconds += rest;
        }
    }
    return tokens / seconds;
}

static int summarise(const struct lmw_frame *f, int i, int32_t *stamp,
                     struct lmw_resample *resample, struct lmw_summary *s,
                     struct lmw_arena scratch, struct lmw_err *err)
{
    const struct lmw_frame_run *run = &f->run[i];
    struct run_units u;
    size_t quarter = run->n / 4;
    describe(s, run);
    s->speed_drift = speed_of(f, run->first + run->n - quarter, run->first + run->n) /
                     speed_of(f, run->first, run->first + quarter);
    int rc = lmw_run_units(&u, f, i, stamp, &scratch, err);
    if (rc == LMW_OK)
        rc = lmw_run_figures(f, i, &u, resample, s->figure, scratch, err);
    if (rc == LMW_OK && run->n_rail)
        rc = lmw_run_rails(f, i, &u, resample, s->rail, scratch, err);
    if (rc < 0)
        return lmw_wrap(err, "run '%s'", run->run.name);
    s->n_question = u.n_question;
    s->uneven = (int64_t)u.n_most * u.n_question != s->n_record;
    make_row(s);
    s->perplexity = mean_with_energy(f, run, LMW_V_PERPLEXITY);
    s->energy_bounds = (struct lmw_interval){.value = s->energy_j.value,
                                             .lower = mean_with_energy(f, run, LMW_V_LOWER),
                                             .upper = mean_with_energy(f, run, LMW_V_UPPER)};
    return LMW_OK;
}

int lmw_frame_summaries(const struct lmw_frame *f, struct lmw_arena *arena,
                        struct lmw_summary **out, struct lmw_err *err)
{
    struct lmw_resample resample;
    struct lmw_summary *rows = LMW_NEW(arena, struct lmw_summary, (size_t)f->n_run);
    int32_t *stamp = LMW_NEW(arena, int32_t, (size_t)f->n_query + 1);
    int rc;
    if (!rows || !stamp)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d summaries", f->n_run);
    *out = rows;
    if ((rc = lmw_resample_open(&resample, arena, err)) < 0)
        return rc;
    for (int i = 0; i < f->n_run; i++) {
        rows[i].n_rail = f->run[i].n_rail;
        rows[i].rail = LMW_NEW(arena, struct lmw_rail_figures, (size_t)rows[i].n_rail + 1);
        if (!rows[i].rail)
            return lmw_fail(err, LMW_ENOMEM, "no memory for the rails of a run");
        rc = summarise(f, i, stamp, &resample, &rows[i], *arena, err);
        if (rc < 0)
            return rc;
    }
    lmw_insight_pareto(rows, f->n_run);
    lmw_insight_rank(rows, f->n_run);
    return f->n_run;
}

int lmw_insight_summaries(struct lmw_store *store, const char *const *names, int n_name,
                          struct lmw_arena *arena, struct lmw_summary **out, struct lmw_err *err)
{
    struct lmw_frame f;
    struct lmw_run *runs;
    int rc, n = n_name ? 1 : lmw_store_runs(store, arena, &runs, err);
    *out = NULL;
    if (n <= 0)
        return n;
    if ((rc = lmw_frame_load(&f, store, names, n_name, NULL, arena, err)) < 0)
        return rc;
    return lmw_frame_summaries(&f, arena, out, err);
}
