/* What a run would do, before it is done: which queries are missing, and how long they should
 * take. That is known from the run's own earlier records (their mean latency, by as many as are in
 * flight), in open loop from the rate; of a run that has none it is not known, and not guessed. */
#include "study/plan.h"

#include <math.h>

int lmw_plan_count_there(const struct plan *p, const struct study *st, int64_t run_id, int64_t *n,
                         struct lmw_err *err)
{
    struct lmw_workload *w = NULL;
    int rc = LMW_OK;
    *n = 0;
    if (lmw_store_count(st->store, run_id) == 0)
        return LMW_OK;
    if ((rc = lmw_plan_open(p, &w, err)) < 0)
        return rc;
    for (int64_t repeat = 0; repeat < p->opts->n_repeat && rc >= 0; repeat++) {
        lmw_workload_rewind(w);
        for (int64_t i = 0; i < p->n_query && rc >= 0; i++) {
            struct lmw_arena scratch = st->scratch;
            struct lmw_record q;
            if ((rc = lmw_workload_next(w, &q, &scratch, err)) == 1)
                *n += lmw_store_has(st->store, run_id, q.query_id, repeat);
        }
    }
    lmw_workload_close(w);
    return rc < 0 ? rc : LMW_OK;
}

int lmw_plan_find(const struct plan *p, const struct study *st, struct lmw_run *run,
                  struct lmw_err *err)
{
    *run = lmw_run_named(p->name, p->settings_hash, "");
    run->settings = p->settings;
    return st->store ? lmw_store_find_run(st->store, run, err) : 0;
}

/* Mean latency of the answers there are, s; NaN. */
static double mean_latency(const struct study *st, int64_t run_id)
{
    struct lmw_records *it;
    struct lmw_record r;
    double sum = 0, n = 0;
    if (lmw_records_open(&it, st->store, run_id, NULL) < 0)
        return (double)NAN;
    while (lmw_records_next(it, &r, NULL) == 1) {
        if (!r.error && r.latency_ns != LMW_NULL) {
            sum += (double)r.latency_ns * 1e-9;
            n++;
        }
    }
    lmw_records_close(it);
    return n > 0 ? sum / n : (double)NAN;
}

int lmw_study_forecast(const struct study *st, const struct plan *p, struct lmw_study_run *out,
                       struct lmw_err *err)
{
    struct lmw_run run;
    double each_s = (double)NAN;
    int rc = lmw_plan_find(p, st, &run, err);
    if (rc < 0)
        return rc;
    snprintf(out->name, sizeof out->name, "%s", p->name);
    out->resumed = rc == 1;
    out->n_total = p->n_query * p->opts->n_repeat;
    if (rc == 1 && (rc = lmw_plan_count_there(p, st, run.id, &out->n_there, err)) < 0)
        return rc;
    out->finished = out->n_there == out->n_total;
    if (p->opts->rate_hz > 0)
        each_s = 1 / p->opts->rate_hz;
    else if (out->resumed)
        each_s = mean_latency(st, run.id) / p->n_slot + p->opts->pause_s;
    out->expected_s = out->finished ? 0 : (double)(out->n_total - out->n_there) * each_s;
    return LMW_OK;
}
