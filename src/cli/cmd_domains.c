/* lmwatt domains: what share of each domain a model answers, the best of the local ones together,
 * and the cloud; and how hard the questions are. */
#include "cli/decide.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIERS_MAX = 32 };

struct domains {
    struct strs cloud;
    const char *tiers; /* --tiers, billions of parameters */
    int64_t edge[TIERS_MAX];
    int n_edge;
    const struct lmw_frame *f;
    struct lmw_domains d;
    struct lmw_tiers t;
};

static int parse_tiers(struct domains *a, const char *command)
{
    const char *part[TIERS_MAX];
    char list[256], *end;
    if (!a->tiers)
        return -1;
    if (snprintf(list, sizeof list, "%s", a->tiers) >= (int)sizeof list ||
        (a->n_edge = decide_split(list, part, TIERS_MAX)) < 0)
        return cli_usage(command, "--tiers takes at most %d numbers", (int)TIERS_MAX);
    for (int i = 0; i < a->n_edge; i++) {
        double billions = strtod(part[i], &end);
        if (*end || !(billions > 0 && billions < 1e9))
            return cli_usage(command, "--tiers: '%s' is no number of billions", part[i]);
        a->edge[i] = (int64_t)(billions * 1e9);
    }
    return -1;
}

static const struct lmw_coverage *cell(const struct domains *a, int row, int column)
{
    return &a->d.coverage[row * a->d.n_column + column];
}

static bool has_cloud(const struct domains *a)
{
    return cell(a, a->d.n_domain, lmw_cloud_column(&a->d))->n > 0;
}

/* --- for machines --- */

static json_t *coverage_json(const struct lmw_coverage *c)
{
    json_t *o = lmw_json_interval(c->share);
    lmw_json_put(o, "n", json_integer(c->n));
    lmw_json_put(o, "n_right", json_integer(c->n_right));
    return o;
}

static json_t *row_json(const struct domains *a, int row)
{
    const struct lmw_domains *d = &a->d;
    json_t *o = json_object(), *runs = json_object(), *tiers = json_array();
    const char *best = d->best_local[row] < 0 ? NULL : a->f->run[d->best_local[row]].run.name;
    for (int c = 0; c < d->n_run; c++)
        lmw_json_put(runs, a->f->run[c].run.name, coverage_json(cell(a, row, c)));
    for (int k = 0; k <= a->t.n_tier; k++)
        json_array_append_new(tiers, json_integer(a->t.n[row * (a->t.n_tier + 1) + k]));
    lmw_json_put(o, "domain", lmw_json_text(row == d->n_domain ? NULL : d->domain[row]));
    lmw_json_put(o, "n", json_integer(d->n_question[row]));
    lmw_json_put(o, "traffic_share",
                 json_real((double)d->n_question[row] / (double)d->n_question[d->n_domain]));
    lmw_json_put(o, "coverage", runs);
    lmw_json_put(o, "best_local", lmw_json_text(best));
    lmw_json_put(o, "best_of_local", coverage_json(cell(a, row, lmw_local_column(d))));
    lmw_json_put(o, "best_of_cloud", coverage_json(cell(a, row, lmw_cloud_column(d))));
    lmw_json_put(o, "only_cloud", json_integer(d->only_cloud[row]));
    lmw_json_put(o, "tiers", tiers);
    return o;
}

static json_t *weights_json(const struct domains *a, const struct lmw_interval *share)
{
    json_t *o = json_object(), *runs = json_object();
    for (int c = 0; c < a->d.n_run; c++)
        lmw_json_put(runs, a->f->run[c].run.name, lmw_json_interval(share[c]));
    lmw_json_put(o, "coverage", runs);
    lmw_json_put(o, "best_of_local", lmw_json_interval(share[lmw_local_column(&a->d)]));
    lmw_json_put(o, "best_of_cloud", lmw_json_interval(share[lmw_cloud_column(&a->d)]));
    return o;
}

static json_t *tiers_json(const struct domains *a)
{
    json_t *list = json_array();
    for (int k = 0; k <= a->t.n_tier; k++) {
        json_t *o = json_object();
        bool solved = k < a->t.n_tier;
        lmw_json_put(o, "params",
                     solved && a->t.params[k] != LMW_NULL ? json_integer(a->t.params[k])
                                                          : json_null());
        lmw_json_put(o, "models", lmw_json_text(solved ? a->t.models[k] : NULL));
        lmw_json_put(o, "solved", json_boolean(solved));
        lmw_json_put(o, "n", json_integer(a->t.n[a->d.n_domain * (a->t.n_tier + 1) + k]));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *domains_json(const struct domains *a)
{
    json_t *o = json_object(), *rows = json_array(), *runs = json_array();
    for (int row = 0; row < a->d.n_domain; row++)
        json_array_append_new(rows, row_json(a, row));
    for (int c = 0; c < a->d.n_run; c++) {
        json_t *r = decide_run_json(&a->f->run[c]);
        lmw_json_put(r, "cloud", json_boolean(a->d.cloud[c]));
        lmw_json_put(r, "scored", json_boolean(a->d.scored[c]));
        json_array_append_new(runs, r);
    }
    lmw_json_put(o, "runs", runs);
    lmw_json_put(o, "domains", rows);
    lmw_json_put(o, "all", row_json(a, a->d.n_domain));
    lmw_json_put(o, "weights",
                 json_pack("{s:o,s:o,s:i}", "traffic_share", weights_json(a, a->d.traffic),
                           "uniform_over_datasets", weights_json(a, a->d.datasets), "n_datasets",
                           a->d.n_dataset));
    lmw_json_put(o, "tiers", tiers_json(a));
    lmw_json_put(o, "tiers_left_out", json_integer(a->t.n_left_out));
    return o;
}

/* --- for people --- */

static void put_share(struct lmw_grid *g, double share)
{
    lmw_grid_cell(g, isfinite(share) ? "%.1f" : "-", 100 * share);
}

static void put_row(const struct domains *a, int row, struct lmw_grid *g)
{
    const struct lmw_domains *d = &a->d;
    int best = d->best_local[row];
    lmw_grid_cell(g, "%s", row == d->n_domain ? "all, by traffic" : d->domain[row]);
    lmw_grid_cell(g, "%lld", (long long)d->n_question[row]);
    for (int c = 0; c < d->n_run; c++)
        put_share(g, cell(a, row, c)->share.value);
    put_share(g, cell(a, row, lmw_local_column(d))->share.value);
    if (has_cloud(a))
        put_share(g, cell(a, row, lmw_cloud_column(d))->share.value);
    lmw_grid_cell(g, "%s", best < 0 ? "-" : a->f->run[best].run.name);
}

static void put_datasets(const struct domains *a, struct lmw_grid *g)
{
    lmw_grid_cell(g, "all, data sets alike");
    lmw_grid_cell(g, "%d sets", a->d.n_dataset);
    for (int c = 0; c < a->d.n_column; c++) {
        if (c != lmw_cloud_column(&a->d) || has_cloud(a))
            put_share(g, a->d.datasets[c].value);
    }
    lmw_grid_cell(g, "%s", "");
}

static void put_coverage(const struct domains *a, struct lmw_buf *out)
{
    struct lmw_grid g = {.n_column = a->d.n_run + 4 + has_cloud(a)};
    lmw_buf_str(out, "% of questions answered rightly\n");
    lmw_grid_cell(&g, "domain");
    lmw_grid_cell(&g, "questions");
    for (int c = 0; c < a->d.n_run; c++)
        lmw_grid_cell(&g, "%s%s", a->f->run[c].run.name, a->d.cloud[c] ? " (cloud)" : "");
    lmw_grid_cell(&g, "best-of-local");
    if (has_cloud(a))
        lmw_grid_cell(&g, "best-of-cloud");
    lmw_grid_cell(&g, "best single local");
    for (int row = 0; row <= a->d.n_domain; row++)
        put_row(a, row, &g);
    if (a->d.n_dataset > 1)
        put_datasets(a, &g);
    lmw_grid_put(&g, 1 | (g.n_column <= 64 ? (uint64_t)1 << (g.n_column - 1) : 0), out);
    lmw_grid_free(&g);
    lmw_buf_str(out, "best-of-local: right by at least one local run");
    if (has_cloud(a))
        lmw_buf_printf(out, "; %lld questions by the cloud only",
                       (long long)a->d.only_cloud[a->d.n_domain]);
    lmw_buf_str(out, "\n");
}

static void put_tiers(const struct domains *a, struct lmw_buf *out)
{
    struct lmw_grid g = {.n_column = 4};
    const int64_t *n = &a->t.n[a->d.n_domain * (a->t.n_tier + 1)];
    int64_t sum = 0;
    for (int k = 0; k <= a->t.n_tier; k++)
        sum += n[k];
    if (a->t.n_tier == 0 || sum == 0) {
        lmw_buf_str(out, "\nno difficulty: no scored run says how many parameters it has\n");
        return;
    }
    lmw_buf_str(out,
                "\ndifficulty: each question by the smallest model that answers it rightly\n");
    const char *heads[] = {"parameters", "questions", "%", "models"};
    for (int k = 0; k < 4; k++)
        lmw_grid_cell(&g, "%s", heads[k]);
    for (int k = 0; k <= a->t.n_tier; k++) {
        bool solved = k < a->t.n_tier;
        if (!solved)
            lmw_grid_cell(&g, "nobody");
        else if (a->t.params[k] == LMW_NULL)
            lmw_grid_cell(&g, "more");
        else
            lmw_grid_cell(&g, a->n_edge ? "<= %.3g B" : "%.3g B", (double)a->t.params[k] * 1e-9);
        lmw_grid_cell(&g, "%lld", (long long)n[k]);
        lmw_grid_cell(&g, "%.1f", 100 * (double)n[k] / (double)sum);
        lmw_grid_cell(&g, "%s", solved ? a->t.models[k] : "");
    }
    lmw_grid_put(&g, 1 | 8, out);
    lmw_grid_free(&g);
    if (a->t.n_left_out)
        lmw_buf_printf(out, "%d runs are in no tier: not scored, or their parameters not known\n",
                       a->t.n_left_out);
}

static int mark_cloud(const struct domains *a, bool *cloud, struct lmw_err *err)
{
    for (int i = 0; i < a->cloud.n; i++) {
        int run = lmw_frame_find(a->f, a->cloud.v[i], err);
        if (run < 0)
            return lmw_wrap(err, "--cloud");
        cloud[run] = true;
    }
    return LMW_OK;
}

static int domains(struct decide *d, void *arg, json_t **result, struct lmw_err *err)
{
    struct domains *a = arg;
    bool *cloud = LMW_NEW(&d->arena, bool, (size_t)d->frame.n_run);
    a->f = &d->frame;
    if (!cloud)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d runs", d->frame.n_run);
    int rc = mark_cloud(a, cloud, err);
    if (rc == LMW_OK)
        rc = lmw_domains_of(a->f, cloud, &d->arena, &a->d, err);
    if (rc == LMW_OK)
        rc = lmw_tiers_of(a->f, &a->d, a->edge, a->n_edge, &d->arena, &a->t, err);
    if (rc < 0)
        return rc;
    if (d->json)
        *result = domains_json(a);
    put_coverage(a, &d->out);
    put_tiers(a, &d->out);
    return LMW_OK;
}

int cmd_domains(int argc, char **argv)
{
    struct decide d = {0};
    struct domains a = {0};
    const struct opt opts[] = {
        {"cloud", 0, OPT_LIST, &a.cloud, "RUN", "a run of a cloud model; may be given again"},
        {"tiers", 0, OPT_STR, &a.tiers, "LIST",
         "sizes in billions of parameters (default: those of the models)"},
        DECIDE_OPTS(&d),
        {0}};
    const struct command_help help = {
        "lmwatt domains [RUN...] [--cloud RUN] [--store DB] [--json]",
        "What share of each domain every model answers, the best single local model, all local\n"
        "models together and the cloud; and how hard the questions are.",
        "lmwatt domains --cloud gpt-large --tiers 4,8,20,235",
    };
    int rc = opts_parse(opts, &help, argc, argv, &d.runs);
    if (rc < 0)
        rc = parse_tiers(&a, argv[0]);
    for (int i = 0; rc < 0 && d.runs.n && i < a.cloud.n && d.runs.n < STRS_MAX; i++)
        d.runs.v[d.runs.n++] = a.cloud.v[i];
    return rc >= 0 ? rc : decide(&d, domains, &a);
}
