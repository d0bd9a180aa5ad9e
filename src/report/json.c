/* The report for machines: every figure of every row, with its interval; unknown is null. */
#include "report/columns.h"

#include <math.h>
#include <stdlib.h>

json_t *lmw_json_number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *integer(int64_t v)
{
    return v == LMW_NULL ? json_null() : json_integer(v);
}

json_t *lmw_json_text(const char *s)
{
    return s ? json_string(s) : json_null();
}

void lmw_json_put(json_t *o, const char *key, json_t *v)
{
    json_object_set_new(o, key, v);
}

json_t *lmw_json_interval(struct lmw_interval v)
{
    return json_pack("{s:o,s:o,s:o}", "value", lmw_json_number(v.value), "lower",
                     lmw_json_number(v.lower), "upper", lmw_json_number(v.upper));
}

/* Every figure that the records give, each with its interval and how many records it is of. */
static json_t *figures_json(const struct lmw_summary *s)
{
    json_t *o = json_object();
    for (int k = 0; k < LMW_N_FIGURE; k++) {
        json_t *v = lmw_json_interval(s->figure[k]);
        lmw_json_put(v, "n", json_integer(s->figure[k].n));
        lmw_json_put(o, lmw_figures[k].key, v);
    }
    return o;
}

static json_t *reasons_json(const struct lmw_summary *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->n_reason; i++)
        json_array_append_new(list, json_pack("{s:o,s:I}", "energy_reason",
                                              lmw_json_text(s->reason[i].text), "n",
                                              (json_int_t)s->reason[i].n));
    return list;
}

static json_t *rails_json(const struct lmw_summary *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->n_rail; i++) {
        const struct lmw_rail_figures *f = &s->rail[i];
        json_array_append_new(
            list,
            json_pack("{s:o,s:I,s:o,s:o,s:o,s:o,s:o}", "rail", lmw_json_text(f->name), "n",
                      (json_int_t)f->energy_j.n, "share", lmw_json_number(f->share), "energy_j",
                      lmw_json_interval(f->energy_j), "power_w", lmw_json_interval(f->power_w),
                      "ipw", lmw_json_interval(f->ipw), "ipj", lmw_json_interval(f->ipj)));
    }
    return list;
}

static json_t *row_json(const struct lmw_summary *s)
{
    json_t *o = json_object();
    lmw_json_put(o, "run", lmw_json_text(s->run.name));
    lmw_json_put(o, "model", lmw_json_text(s->model));
    lmw_json_put(o, "quantization", lmw_json_text(s->quantization));
    lmw_json_put(o, "params", integer(s->params));
    lmw_json_put(o, "workload", lmw_json_text(s->workload));
    lmw_json_put(o, "backend", lmw_json_text(s->backend));
    lmw_json_put(o, "machine", lmw_json_text(s->machine));
    lmw_json_put(o, "mixed", json_boolean(s->mixed));
    lmw_json_put(o, "date", lmw_json_text(s->run.date));
    lmw_json_put(o, "finished", json_boolean(s->run.finished));
    lmw_json_put(o, "n_record", json_integer(s->n_record));
    lmw_json_put(o, "n_failed", json_integer(s->n_failed));
    lmw_json_put(o, "n_unscored", json_integer(s->n_unscored));
    lmw_json_put(o, "unscored_excluded", json_boolean(s->excludes_unscored));
    lmw_json_put(o, "n_question", json_integer(s->n_question));
    lmw_json_put(o, "n_energy_valid", json_integer(s->n_valid));
    lmw_json_put(o, "n_energy_imputed", json_integer(s->n_imputed));
    lmw_json_put(o, "energy_reasons", reasons_json(s));
    lmw_json_put(o, "accuracy", lmw_json_interval(s->accuracy));
    lmw_json_put(o, "tok_per_s", lmw_json_number(s->tok_per_s));
    lmw_json_put(o, "ttft_p50_ms", lmw_json_number(s->ttft_p50_ms));
    lmw_json_put(o, "ttft_p90_ms", lmw_json_number(s->ttft_p90_ms));
    lmw_json_put(o, "latency_p50_ms", lmw_json_number(s->latency_p50_ms));
    lmw_json_put(o, "prompt_tokens", lmw_json_number(s->prompt_tokens));
    lmw_json_put(o, "completion_tokens", lmw_json_number(s->completion_tokens));
    lmw_json_put(o, "energy_basis", lmw_json_text(s->basis));
    lmw_json_put(o, "energy_estimated", json_boolean(s->estimated));
    lmw_json_put(o, "power_w", lmw_json_interval(s->power_w));
    lmw_json_put(o, "energy_j", lmw_json_interval(s->energy_j));
    lmw_json_put(o, "energy_net_j", lmw_json_interval(s->net_j));
    lmw_json_put(o, "energy_bounds_j", lmw_json_interval(s->energy_bounds));
    lmw_json_put(o, "energy_prefill_j", lmw_json_number(s->prefill_j));
    lmw_json_put(o, "energy_decode_j", lmw_json_number(s->decode_j));
    lmw_json_put(o, "j_per_token", lmw_json_number(s->j_per_token));
    lmw_json_put(o, "idle_before_mw", integer(s->run.idle_before_mw));
    lmw_json_put(o, "idle_loaded_mw", integer(s->run.idle_loaded_mw));
    lmw_json_put(o, "idle_after_mw", integer(s->run.idle_after_mw));
    json_t *metering = lmw_report_metering(s);
    lmw_json_put(o, "metering", metering ? metering : json_null());
    lmw_json_put(o, "file_bytes", integer(s->run.file_bytes));
    lmw_json_put(o, "peak_rss_bytes", integer(s->run.peak_rss_bytes));
    lmw_json_put(o, "ipw", lmw_json_interval(s->ipw));
    lmw_json_put(o, "ipj", lmw_json_interval(s->ipj));
    lmw_json_put(o, "ipj_net", lmw_json_interval(s->ipj_net));
    lmw_json_put(o, "perplexity", lmw_json_number(s->perplexity));
    lmw_json_put(o, "ppw", lmw_json_number(s->ppw));
    lmw_json_put(o, "ppj", lmw_json_number(s->ppj));
    lmw_json_put(o, "rails", rails_json(s));
    lmw_json_put(o, "figures", figures_json(s));
    lmw_json_put(o, "rank", s->rank ? json_integer(s->rank) : json_null());
    lmw_json_put(o, "ranked_by", json_string(lmw_figures[s->ranked_by].key));
    lmw_json_put(o, "pareto", json_boolean(s->pareto));
    lmw_json_put(o, "dominated_by", lmw_json_text(s->dominated_by));
    return o;
}

/* One object per value and run. */
static json_t *breakdown_json(const struct lmw_report *r, const struct lmw_breakdown *b)
{
    json_t *cells = json_array();
    for (int i = 0; i < b->n_value * b->n_run; i++)
        json_array_append_new(
            cells, json_pack("{s:o,s:o,s:I,s:o}", "value", lmw_json_text(b->value[i / b->n_run]),
                             "run", lmw_json_text(r->rows[i % b->n_run].run.name), "n",
                             (json_int_t)b->n[i], "accuracy", lmw_json_interval(b->accuracy[i])));
    return json_pack("{s:o,s:o}", "field", lmw_json_text(b->field), "cells", cells);
}

int lmw_report_dump(const struct lmw_report *r, size_t flags, struct lmw_buf *out,
                    struct lmw_err *err)
{
    json_t *rows = json_array(), *parts = json_array();
    for (int i = 0; i < r->n_row; i++)
        json_array_append_new(rows, row_json(&r->rows[i]));
    for (int i = 0; i < r->n_breakdown; i++)
        json_array_append_new(parts, breakdown_json(r, &r->breakdowns[i]));
    json_t *all = json_pack("{s:o,s:o}", "runs", rows, "breakdowns", parts);
    char *dump = all ? json_dumps(all, flags) : NULL;
    json_decref(all);
    if (!dump)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the report");
    lmw_buf_str(out, dump);
    free(dump);
    return out->failed ? lmw_fail(err, LMW_ENOMEM, "no memory for the report") : LMW_OK;
}

int lmw_report_json(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    return lmw_report_dump(r, JSON_INDENT(2) | JSON_REAL_PRECISION(12), out, err);
}
