/* What the page draws, as one JSON object: distributions as quantiles, so that a million records
 * are 51 numbers a run; curves of single queries; savings of routers; a gain taken apart. */
#include "report/columns.h"

#include <math.h>
#include <stdlib.h>

#include "base/stat.h"

enum { QUANTILES = 51, RUNS_MAX = 60 };

/* Five digits are more than a picture shows. */
static json_t *short_number(double v)
{
    char text[32];
    snprintf(text, sizeof text, "%.5g", v);
    return lmw_json_number(isfinite(v) ? strtod(text, NULL) : v);
}

static json_t *numbers(const double *v, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, short_number(v[i]));
    return list;
}

/* --- distributions --- */

static json_t *quantiles(const struct lmw_frame *f, int run, enum lmw_value which)
{
    const struct lmw_frame_run *r = &f->run[run];
    double *x = malloc((r->n + 1) * sizeof *x), q[QUANTILES];
    size_t n = 0;
    for (size_t i = r->first; x && i < r->first + r->n; i++) {
        if (isfinite(f->v[which][i]))
            x[n++] = f->v[which][i];
    }
    if (n > 1)
        lmw_sort(x, n);
    for (int i = 0; n > 0 && i < QUANTILES; i++)
        q[i] = lmw_quantile_sorted(x, n, (double)i / (QUANTILES - 1));
    free(x);
    return n > 0 ? numbers(q, QUANTILES) : json_null();
}

/* --- single queries --- */

static json_t *timeline_json(const char *run, const struct lmw_timeline *t)
{
    json_t *o = json_object();
    lmw_json_put(o, "run", lmw_json_text(run));
    lmw_json_put(o, "query_id", lmw_json_text(t->query));
    lmw_json_put(o, "which", lmw_json_text(t->which));
    lmw_json_put(o, "energy_j", short_number(t->energy_j));
    lmw_json_put(o, "first_s", short_number(t->first_s));
    lmw_json_put(o, "end_s", short_number(t->end_s));
    lmw_json_put(o, "t_s", numbers(t->t_s, t->n + 1));
    lmw_json_put(o, "w", numbers(t->w, t->n));
    return o;
}

static json_t *run_json(const struct lmw_pictures *p, int i)
{
    const struct lmw_run *run = &p->frame->run[i].run;
    json_t *o = json_object(), *list = json_array();
    lmw_json_put(o, "run", lmw_json_text(run->name));
    lmw_json_put(o, "n", json_integer((json_int_t)p->frame->run[i].n));
    lmw_json_put(o, "latency_s", quantiles(p->frame, i, LMW_V_LATENCY));
    lmw_json_put(o, "ttft_s", quantiles(p->frame, i, LMW_V_TTFT));
    for (int k = 0; p->timelines && k < p->n_timeline[i]; k++)
        json_array_append_new(list, timeline_json(run->name, &p->timelines[i][k]));
    lmw_json_put(o, "timelines", list);
    json_t *environment = run->environment ? json_loads(run->environment, 0, NULL) : NULL;
    json_t *settings = run->settings ? json_loads(run->settings, 0, NULL) : NULL;
    lmw_json_put(o, "environment", environment ? environment : json_null());
    lmw_json_put(o, "settings", settings ? settings : json_null());
    return o;
}

/* --- routing --- */

static json_t *routed_json(const struct lmw_strategy *s, const struct lmw_routed *r)
{
    json_t *o = json_object();
    lmw_json_put(o, "name", lmw_json_text(s->name));
    lmw_json_put(o, "share_local", short_number(r->share_local.value));
    lmw_json_put(o, "accuracy", short_number(r->accuracy.value));
    lmw_json_put(o, "energy", short_number(r->saving[LMW_JOULES].value));
    lmw_json_put(o, "compute", short_number(r->saving[LMW_FLOPS].value));
    lmw_json_put(o, "cost", short_number(r->saving[LMW_USD].value));
    return o;
}

static json_t *routing_json(const struct lmw_pictures *p)
{
    json_t *o = json_object(), *list = json_array();
    for (int i = 0; i < p->n_strategy; i++)
        json_array_append_new(list, routed_json(&p->strategies[i], &p->routed[i]));
    lmw_json_put(o, "strategies", list);
    lmw_json_put(o, "estimated", json_boolean(p->routed_estimate));
    return o;
}

/* --- trend --- */

static json_t *split_json(const struct lmw_frame *f, const struct lmw_split *s)
{
    bool estimated = false;
    for (int i = 0; i < s->n_run; i++)
        estimated |= f->run[s->run[i]].estimated;
    return s->known ? json_pack("{s:o,s:o,s:b}", "model", lmw_json_interval(s->model), "hardware",
                                lmw_json_interval(s->hardware), "estimated", estimated)
                    : json_pack("{s:o}", "reason", lmw_json_text(s->why));
}

static json_t *trend_json(const struct lmw_pictures *p)
{
    const struct lmw_trend *t = p->trend;
    json_t *o = json_object(), *years = json_array();
    for (int i = 0; i < t->n_year; i++) {
        const struct lmw_frame_run *run = &p->frame->run[t->year[i].run];
        json_array_append_new(years, json_pack("{s:i,s:s,s:o,s:b}", "year", t->year[i].year, "run",
                                               run->run.name, "value",
                                               lmw_json_interval(t->year[i].metric), "estimated",
                                               run->estimated));
    }
    lmw_json_put(o, "years", years);
    lmw_json_put(o, "metric", json_string(t->per_joule ? "IPJ" : "IPW"));
    lmw_json_put(o, "total", lmw_json_interval(t->total));
    lmw_json_put(o, "published", split_json(p->frame, &t->published));
    lmw_json_put(o, "symmetric", split_json(p->frame, &t->symmetric));
    return o;
}

/* --- names and the ranking: of all rows, in the order of the JSON --- */

static json_t *labels_json(const struct lmw_report *r)
{
    json_t *list = json_array();
    struct lmw_buf label = {0};
    for (int i = 0; i < r->n_row; i++) {
        label.len = 0;
        lmw_report_label(r, i, &label);
        json_array_append_new(list, lmw_json_text(label.ptr));
    }
    lmw_buf_free(&label);
    return list;
}

static json_t *order_json(const struct lmw_report *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->n_row; i++)
        json_array_append_new(list, json_integer(lmw_report_row(r, i)));
    return list;
}

int lmw_report_pictures(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    const struct lmw_pictures *p = r->pictures;
    json_t *o = json_object(), *runs = json_array();
    lmw_json_put(o, "labels", labels_json(r));
    lmw_json_put(o, "order", order_json(r));
    for (int i = 0; p && p->frame && i < p->frame->n_run && i < RUNS_MAX; i++)
        json_array_append_new(runs, run_json(p, i));
    lmw_json_put(o, "runs", runs);
    lmw_json_put(o, "routing", p && p->n_strategy ? routing_json(p) : json_null());
    lmw_json_put(o, "trend",
                 p && p->frame && p->trend && p->trend->n_year > 1 ? trend_json(p) : json_null());
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (!text)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the page's pictures");
    lmw_buf_str(out, text);
    free(text);
    return LMW_OK;
}
