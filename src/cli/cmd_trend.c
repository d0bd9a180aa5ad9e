/* lmwatt trend: the best pair of model and machine of each year, and whose the gain is. */
#include "base/file.h"
#include "cli/decide.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct trend {
    const char *dates, *metric, *method;
    const struct lmw_frame *f;
    const struct lmw_run_dates *when;
    struct lmw_trend t;
};

/* --- for machines --- */

static json_t *year_json(const struct trend *a, const struct lmw_trend_year *y)
{
    json_t *o = decide_run_json(&a->f->run[y->run]);
    lmw_json_put(o, "year", json_integer(y->year));
    lmw_json_put(o, "model_date", lmw_json_text(a->when[y->run].model));
    lmw_json_put(o, "machine_date", lmw_json_text(a->when[y->run].machine));
    lmw_json_put(o, "accuracy", lmw_json_interval(y->accuracy));
    lmw_json_put(o, a->metric, lmw_json_interval(y->metric));
    lmw_json_put(o, "step", lmw_json_number(y->step));
    return o;
}

static json_t *split_json(const struct trend *a, const struct lmw_split *s)
{
    json_t *o = json_object(), *runs = json_array();
    for (int i = 0; s->known && i < s->n_run; i++)
        json_array_append_new(runs, lmw_json_text(a->f->run[s->run[i]].run.name));
    lmw_json_put(o, "known", json_boolean(s->known));
    lmw_json_put(o, "model", s->known ? lmw_json_interval(s->model) : json_null());
    lmw_json_put(o, "hardware", s->known ? lmw_json_interval(s->hardware) : json_null());
    lmw_json_put(o, "runs", runs);
    lmw_json_put(o, "reason", lmw_json_text(s->known ? NULL : s->why));
    return o;
}

static const struct lmw_split *chosen(const struct trend *a)
{
    return strcmp(a->method, "published") == 0 ? &a->t.published : &a->t.symmetric;
}

static json_t *trend_json(const struct trend *a)
{
    json_t *o = json_object(), *years = json_array();
    for (int k = 0; k < a->t.n_year; k++)
        json_array_append_new(years, year_json(a, &a->t.year[k]));
    lmw_json_put(o, "metric", lmw_json_text(a->metric));
    lmw_json_put(o, "method", lmw_json_text(a->method));
    lmw_json_put(o, "years", years);
    lmw_json_put(o, "total", lmw_json_interval(a->t.total));
    lmw_json_put(o, "split", split_json(a, chosen(a)));
    lmw_json_put(o, "published", split_json(a, &a->t.published));
    lmw_json_put(o, "symmetric", split_json(a, &a->t.symmetric));
    lmw_json_put(o, "n_undated", json_integer(a->t.n_undated));
    lmw_json_put(o, "n_without_metric", json_integer(a->t.n_without));
    return o;
}

/* --- for people --- */

static void put_years(const struct trend *a, struct lmw_buf *out)
{
    struct lmw_grid g = {.n_column = 6};
    const char *heads[] = {
        "year", "model", "machine", "accuracy, %", a->t.per_joule ? "IPJ, 1/J" : "IPW, 1/W",
        "step"};
    for (int k = 0; k < 6; k++)
        lmw_grid_cell(&g, "%s", heads[k]);
    for (int k = 0; k < a->t.n_year; k++) {
        const struct lmw_trend_year *y = &a->t.year[k];
        const struct lmw_frame_run *r = &a->f->run[y->run];
        lmw_grid_cell(&g, "%d", y->year);
        lmw_grid_cell(&g, "%s", r->model ? r->model : r->run.name);
        lmw_grid_cell(&g, "%s", r->machine ? r->machine : "-");
        lmw_grid_interval(&g, "", y->accuracy, 100);
        lmw_grid_interval(&g, r->estimated ? "~" : "", y->metric, 1);
        lmw_grid_cell(&g, isfinite(y->step) ? "%.2fx" : "", y->step);
    }
    lmw_grid_put(&g, 7, out);
    lmw_grid_free(&g);
}

/* "~" where some of the records that carry the split have estimated joules. */
static const char *estimate_of(const struct trend *a, const struct lmw_split *s)
{
    for (int i = 0; i < s->n_run; i++) {
        if (a->f->run[s->run[i]].estimated)
            return "~";
    }
    return "";
}

static void put_factor(const char *estimate, struct lmw_interval v, const char *what,
                       struct lmw_buf *out)
{
    const int digits = v.value < 0.095 ? 3 : 2;
    lmw_buf_printf(out, "%s%.*fx", estimate, digits, v.value);
    if (isfinite(v.lower))
        lmw_buf_printf(out, " [%.*f, %.*f]", digits, v.lower, digits, v.upper);
    lmw_buf_printf(out, " %s", what);
}

static void put_split(const struct trend *a, struct lmw_buf *out)
{
    const struct lmw_split *s = chosen(a);
    const char *estimate = estimate_of(a, s);
    if (!isfinite(a->t.total.value)) {
        lmw_buf_printf(out, "The gain is not known: %s.\n", a->t.published.why);
        return;
    }
    put_factor(estimate, a->t.total, "in all", out);
    if (!s->known) {
        lmw_buf_printf(out, ". What of it is the models' and what the machines' is not known: %s",
                       s->why);
        lmw_buf_str(out,
                    a->t.published.known
                        ? " (--method published does without, and credits all accuracy to the "
                          "model, all power to the machine).\n"
                        : ".\n");
        return;
    }
    lmw_buf_str(out, " = ");
    put_factor(estimate, s->model, "by the model", out);
    lmw_buf_str(out, " times ");
    put_factor(estimate, s->hardware, "by the machine", out);
    lmw_buf_printf(out, " (%s; from", a->method);
    for (int i = 0; i < s->n_run; i++) {
        bool is_said = false; /* two corners of the split may be one run */
        for (int k = 0; k < i; k++)
            is_said |= s->run[k] == s->run[i];
        if (!is_said)
            lmw_buf_printf(out, "%s %s", i ? "," : "", a->f->run[s->run[i]].run.name);
    }
    lmw_buf_str(out, ").\n");
}

static void put_trend(const struct trend *a, struct lmw_buf *out)
{
    if (a->t.n_year)
        put_years(a, out);
    if (a->t.n_year >= 2)
        put_split(a, out);
    else
        lmw_buf_str(out, "No trend: runs of two years are needed.\n");
    if (a->t.n_undated)
        lmw_buf_printf(
            out,
            "%d runs have no date: name their models and machines with --dates FILE, or "
            "give records model_date and machine_date.\n",
            a->t.n_undated);
    if (a->t.n_without)
        lmw_buf_printf(out, "%d runs have no %s.\n", a->t.n_without, a->metric);
}

/* --- */

static int trend(struct decide *d, void *arg, json_t **result, struct lmw_err *err)
{
    struct trend *a = arg;
    struct lmw_dates dates;
    struct lmw_run_dates *when;
    struct lmw_summary *rows;
    int rc = decide_dates(a->dates, &dates, &d->arena, err);
    a->f = &d->frame;
    if (rc < 0 || (rc = lmw_run_dates_of(d->db, a->f, &dates, &d->arena, &when, err)) < 0 ||
        (rc = lmw_frame_summaries(a->f, &d->arena, &rows, err)) < 0)
        return rc;
    a->when = when;
    rc = lmw_trend_of(a->f, rows, when, strcmp(a->metric, "ipj") == 0, &d->arena, &a->t, err);
    if (rc < 0)
        return rc;
    if (d->json)
        *result = trend_json(a);
    put_trend(a, &d->out);
    return LMW_OK;
}

int cmd_trend(int argc, char **argv)
{
    struct decide d = {0};
    struct trend a = {.metric = "ipw", .method = "symmetric"};
    const struct opt opts[] = {
        {"dates", 0, OPT_STR, &a.dates, "FILE",
         "when models and machines came out (JSON, or CSV model,NAME,DATE)"},
        {"metric", 0, OPT_STR, &a.metric, "NAME", "ipw (default) or ipj"},
        {"method", 0, OPT_STR, &a.method, "NAME",
         "how the gain is split: symmetric (default) or published"},
        DECIDE_OPTS(&d),
        {0}};
    const struct command_help help = {
        "lmwatt trend [RUN...] [--dates FILE] [--store DB] [--json]",
        "The best pair of model and machine of each year, the gain from the first to the last,\n"
        "and what of it is the models' and what the machines'.",
        "lmwatt trend --dates dates.csv --method published",
    };
    int rc = opts_parse(opts, &help, argc, argv, &d.runs);
    if (rc < 0 && strcmp(a.metric, "ipw") != 0 && strcmp(a.metric, "ipj") != 0)
        rc = cli_usage(argv[0], "--metric is ipw or ipj, not '%s'", a.metric);
    if (rc < 0 && strcmp(a.method, "symmetric") != 0 && strcmp(a.method, "published") != 0)
        rc = cli_usage(argv[0], "--method is symmetric or published, not '%s'", a.method);
    return rc >= 0 ? rc : decide(&d, trend, &a);
}
