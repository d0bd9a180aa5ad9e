/* Per-query records of the published harness (HazyResearch/intelligence-per-watt) as JSON: its
 * Arrow rows written with to_json, as lines or as one array.
 *
 * A row: problem (or prompt), answer, subject, dataset_metadata, model_answers {model: text},
 * model_metrics {model: M}; M: energy_metrics, latency_metrics, power_metrics, token_metrics,
 * temperature_metrics, phase_metrics, compute_metrics, cost, evaluation, gpu_info, lm_response
 * (src/ipw/execution/types.py; the later ones only in 2026's). Each model of a row is a record,
 * and another part.
 *
 * Energy is that of all GPUs of the host together (or, where `basis` says "soc", of the Apple
 * chip). Not taken over: lm_correctness, which is false in every row of the first version; joules
 * of 0, which that version writes for a query with one sample; a time to first token of 0, which
 * it writes where no text came. A row has no id: its place in the file is its query_id, so that
 * files of other models over the same questions pair up. */
#include "store/foreign.h"

#include <math.h>
#include <stdio.h>

static const char *const row_taken[] = {"problem",         "prompt",  "answer",
                                        "expected_answer", "subject", "model_answers",
                                        "model_metrics",   NULL};
static const char *const metrics_taken[] = {"lm_response", "lm_correctness", NULL};

bool lmw_is_ipw(const struct lmw_json_value *o)
{
    struct lmw_json_value v;
    return lmw_foreign_at(o, &v, "model_metrics", NULL) && v.kind == LMW_JSON_OBJECT;
}

static int64_t scaled(const struct lmw_json_value *m, const char *group, const char *name,
                      double scale)
{
    struct lmw_json_value v;
    return lmw_foreign_at(m, &v, group, name, NULL) ? lmw_foreign_int(&v, scale) : LMW_NULL;
}

static double real(const struct lmw_json_value *m, const char *group, const char *name)
{
    struct lmw_json_value v;
    return lmw_foreign_at(m, &v, group, name, NULL) ? lmw_foreign_real(&v) : (double)NAN;
}

static int64_t over_zero(int64_t v)
{
    return v > 0 ? v : LMW_NULL;
}

static void put_energy(const struct lmw_json_value *m, struct lmw_record *r,
                       struct lmw_arena *arena)
{
    struct lmw_json_value v;
    int64_t uj = scaled(m, "energy_metrics", "per_query_joules", 1e6);
    r->energy_uj = over_zero(uj);
    r->energy_valid = r->energy_uj != LMW_NULL;
    if (!r->energy_valid) {
        r->energy_reason = uj == LMW_NULL ? "not in the record" : "the record says 0 J";
        return;
    }
    r->energy_method = "imported";
    r->energy_basis = lmw_foreign_at(m, &v, "energy_metrics", "basis", NULL)
                          ? lmw_foreign_text(&v, arena)
                          : "gpu";
    r->energy_prefill_uj = scaled(m, "phase_metrics", "prefill_energy_j", 1e6);
    r->energy_decode_uj = scaled(m, "phase_metrics", "decode_energy_j", 1e6);
    if (lmw_foreign_at(m, &v, "power_metrics", "gpu", "per_query_watts", "avg", NULL))
        r->power_mean_mw = lmw_foreign_int(&v, 1e3);
    if (lmw_foreign_at(m, &v, "power_metrics", "gpu", "per_query_watts", "max", NULL))
        r->power_max_mw = lmw_foreign_int(&v, 1e3);
}

static void put_times(const struct lmw_json_value *m, struct lmw_record *r)
{
    const char *group = "latency_metrics";
    r->latency_ns = over_zero(scaled(m, group, "total_query_seconds", 1e9));
    r->ttft_ns = over_zero(scaled(m, group, "time_to_first_token_seconds", 1e9));
    r->itl_p50_ns = scaled(m, group, "median_itl_ms", 1e6);
    r->itl_p90_ns = scaled(m, group, "p90_itl_ms", 1e6);
    r->itl_p99_ns = scaled(m, group, "p99_itl_ms", 1e6);
}

static void put_metrics(const struct lmw_json_value *m, struct lmw_record *r,
                        struct lmw_arena *arena)
{
    struct lmw_json_value v;
    put_energy(m, r, arena);
    put_times(m, r);
    r->prompt_tokens = scaled(m, "token_metrics", "input", 1);
    r->completion_tokens = scaled(m, "token_metrics", "output", 1);
    r->temperature_mc = scaled(m, "temperature_metrics", "max", 1e3);
    r->flops = real(m, "compute_metrics", "total_flops");
    if (isnan(r->flops))
        r->flops = real(m, "compute_metrics", "flops_per_request");
    r->cost_usd = real(m, "cost", "total_cost_usd");
    r->score = real(m, "evaluation", "is_correct");
    r->scorer = isnan(r->score) ? NULL : "ipw";
    if (lmw_foreign_at(m, &v, "gpu_info", "name", NULL))
        r->machine = lmw_foreign_text(&v, arena);
}

/* What both the row and its metrics say beyond the record: {...row, "metrics": {...}}. */
static const char *rest(const struct lmw_json_value *o, const struct lmw_json_value *m,
                        struct lmw_arena *arena)
{
    const char *row = lmw_foreign_rest(o, row_taken, arena);
    const char *metrics = lmw_foreign_rest(m, metrics_taken, arena);
    size_t n_row = row ? strlen(row) - 1 : 1, n = metrics ? strlen(metrics) : 0;
    char *text = lmw_arena_alloc(arena, n_row + n + 16, 1, 1);
    if (!metrics || !text)
        return row;
    snprintf(text, n_row + n + 16, "%.*s%s\"metrics\":%s}", (int)n_row, row ? row : "{",
             row ? "," : "", metrics);
    return text;
}

static void put_row(struct feed *s, const struct lmw_json_value *o, struct lmw_record *r)
{
    struct lmw_json_value v;
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)s->n_piece++);
    lmw_record_clear(r);
    if (lmw_foreign_at(o, &v, "query_id", NULL))
        r->query_id = lmw_foreign_text(&v, s->arena);
    else
        r->query_id = lmw_arena_str(s->arena, lmw_str_from(number));
    r->backend = "ipw";
    if (lmw_foreign_at(o, &v, "problem", NULL) || lmw_foreign_at(o, &v, "prompt", NULL))
        r->prompt = lmw_foreign_text(&v, s->arena);
    if (lmw_foreign_at(o, &v, "answer", NULL) || lmw_foreign_at(o, &v, "expected_answer", NULL))
        r->reference = lmw_foreign_text(&v, s->arena);
    if (lmw_foreign_at(o, &v, "subject", NULL))
        r->domain = lmw_foreign_text(&v, s->arena);
}

int lmw_ipw_read(struct feed *s, lmw_str piece, take_fn *take, void *arg, struct lmw_err *err)
{
    struct lmw_json_value o, models, key, m, answer;
    struct lmw_record row;
    bool first = true;
    int rc = lmw_foreign_object(piece, &o, s->arena, err);
    if (rc < 0)
        return rc;
    if (!lmw_foreign_at(&o, &models, "model_metrics", NULL) || models.kind != LMW_JSON_OBJECT)
        return lmw_fail(err, LMW_EFORMAT,
                        "no object 'model_metrics': is this a row of intelligence-per-watt?");
    put_row(s, &o, &row);
    struct lmw_json j = {models.text.ptr, models.text.ptr + models.text.len, NULL};
    while (rc == LMW_OK && lmw_json_member(&j, &first, &key, &m) > 0) {
        struct lmw_record r = row;
        r.model = lmw_json_copy(&key, s->arena);
        if (m.kind != LMW_JSON_OBJECT)
            continue; /* a model that was not asked this is null */
        put_metrics(&m, &r, s->arena);
        if ((r.model && lmw_foreign_at(&o, &answer, "model_answers", r.model, NULL)) ||
            lmw_foreign_at(&m, &answer, "lm_response", NULL))
            r.answer = lmw_foreign_text(&answer, s->arena);
        r.extra = rest(&o, &m, s->arena);
        rc = r.model && r.query_id ? take(arg, &r, r.model, err)
                                   : lmw_fail(err, LMW_ENOMEM, "no memory for a record");
    }
    return rc;
}
