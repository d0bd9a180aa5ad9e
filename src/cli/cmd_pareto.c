/* lmwatt pareto: which runs nobody beats in everything asked, and who beats the others. */
#include "cli/decide.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OVER_MAX = 8 };

struct axes {
    const char *text; /* --over */
    enum lmw_figure figure[OVER_MAX];
    int n;
    const struct lmw_summary *rows;
    int n_row;
};

static int parse_over(struct axes *a, const char *command)
{
    const char *part[OVER_MAX];
    char list[256];
    if (snprintf(list, sizeof list, "%s", a->text) >= (int)sizeof list ||
        (a->n = decide_split(list, part, OVER_MAX)) < 0)
        return cli_usage(command, "--over takes at most %d figures", (int)OVER_MAX);
    for (int i = 0; i < a->n; i++) {
        int k = decide_figure(part[i]);
        if (k < 0)
            return cli_usage(command,
                             "--over: no figure '%s' (accuracy, energy, latency, ttft, memory, "
                             "cost, power, speed, or a key of `report --json` under figures)",
                             part[i]);
        a->figure[i] = (enum lmw_figure)k;
    }
    return a->n < 2 ? cli_usage(command, "--over takes two figures or more") : -1;
}

static bool dominates(const struct axes *a, int i, int k)
{
    return lmw_dominates(&a->rows[i], &a->rows[k], a->figure, a->n);
}

/* The figure of the first axis that a row does not have; NULL: it has all. */
static const char *missing(const struct axes *a, const struct lmw_summary *s)
{
    for (int i = 0; i < a->n; i++) {
        if (!isfinite(s->figure[a->figure[i]].value))
            return lmw_figures[a->figure[i]].key;
    }
    return NULL;
}

static bool is_front(const struct axes *a, int row)
{
    for (int i = 0; i < a->n_row; i++) {
        if (dominates(a, i, row))
            return false;
    }
    return !missing(a, &a->rows[row]) && !lmw_is_anecdote(a->rows, a->n_row, row);
}

static json_t *names_json(const struct axes *a, int row, bool by)
{
    json_t *list = json_array();
    for (int i = 0; i < a->n_row; i++) {
        if (by ? dominates(a, i, row) : dominates(a, row, i))
            json_array_append_new(list, lmw_json_text(a->rows[i].run.name));
    }
    return list;
}

static json_t *row_json(const struct axes *a, int row)
{
    const struct lmw_summary *s = &a->rows[row];
    json_t *o = json_object();
    lmw_json_put(o, "run", lmw_json_text(s->run.name));
    lmw_json_put(o, "model", lmw_json_text(s->model));
    lmw_json_put(o, "quantization", lmw_json_text(s->quantization));
    lmw_json_put(o, "machine", lmw_json_text(s->machine));
    lmw_json_put(o, "workload", lmw_json_text(s->workload));
    lmw_json_put(o, "energy_basis", lmw_json_text(s->basis));
    lmw_json_put(o, "n_energy_imputed", json_integer(s->n_imputed));
    for (int i = 0; i < a->n; i++)
        lmw_json_put(o, lmw_figures[a->figure[i]].key, lmw_json_interval(s->figure[a->figure[i]]));
    lmw_json_put(o, "front", json_boolean(is_front(a, row)));
    lmw_json_put(o, "missing", lmw_json_text(missing(a, s)));
    lmw_json_put(o, "dominated_by", names_json(a, row, true));
    lmw_json_put(o, "dominates", names_json(a, row, false));
    return o;
}

static json_t *front_json(const struct axes *a)
{
    json_t *over = json_array(), *rows = json_array();
    for (int i = 0; i < a->n; i++)
        json_array_append_new(over, lmw_json_text(lmw_figures[a->figure[i]].key));
    for (int i = 0; i < a->n_row; i++)
        json_array_append_new(rows, row_json(a, i));
    return json_pack("{s:o,s:o}", "over", over, "rows", rows);
}

/* Why a row is not on the front: the first that beats it and how many more, or what it lacks. */
static void put_why(const struct axes *a, int row, struct lmw_grid *g)
{
    const char *first = NULL, *lacks = missing(a, &a->rows[row]);
    int n = 0;
    for (int i = 0; i < a->n_row; i++) {
        if (dominates(a, i, row) && n++ == 0)
            first = a->rows[i].run.name;
    }
    if (lacks)
        lmw_grid_cell(g, "%s is not known", lacks);
    else if (n == 0 && lmw_is_anecdote(a->rows, a->n_row, row))
        lmw_grid_cell(g, "one question only");
    else if (n > 1)
        lmw_grid_cell(g, "%s and %d more", first, n - 1);
    else
        lmw_grid_cell(g, "%s", n ? first : "");
}

static void put_row(const struct axes *a, int row, struct lmw_grid *g)
{
    const struct lmw_summary *s = &a->rows[row];
    lmw_grid_cell(g, "%s", is_front(a, row) ? "*" : "");
    lmw_grid_cell(g, "%s", s->run.name);
    for (int i = 0; i < a->n; i++) {
        const struct lmw_figure_info *info = &lmw_figures[a->figure[i]];
        bool joules = strpbrk(info->unit, "JW") != NULL;
        lmw_grid_interval(g, joules && s->estimated ? "~" : "", s->figure[a->figure[i]],
                          a->figure[i] == LMW_FIG_ACCURACY ? 100 : 1);
    }
    put_why(a, row, g);
}

/* The front first, each part by its first figure, best first. */
static int *in_order(const struct axes *a, struct lmw_arena *arena)
{
    int *order = LMW_NEW(arena, int, (size_t)a->n_row);
    int sign = lmw_figures[a->figure[0]].better;
    for (int i = 0; order && i < a->n_row; i++) {
        double v = sign * a->rows[i].figure[a->figure[0]].value;
        bool front = is_front(a, i);
        int at = i;
        for (; at > 0; at--) {
            double w = sign * a->rows[order[at - 1]].figure[a->figure[0]].value;
            bool before = is_front(a, order[at - 1]);
            if (before != front ? before : !(v > w))
                break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    return order;
}

static int pareto(struct decide *d, void *arg, json_t **result, struct lmw_err *err)
{
    struct axes *a = arg;
    struct lmw_summary *rows;
    struct lmw_grid g = {.n_column = a->n + 3};
    a->n_row = lmw_frame_summaries(&d->frame, &d->arena, &rows, err);
    a->rows = rows;
    if (a->n_row < 0)
        return a->n_row;
    if (d->json)
        *result = front_json(a);
    int *order = in_order(a, &d->arena);
    if (!order)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d rows", a->n_row);
    lmw_grid_cell(&g, "%s", "");
    lmw_grid_cell(&g, "run");
    for (int i = 0; i < a->n; i++)
        lmw_grid_cell(&g, "%s",
                      a->figure[i] == LMW_FIG_ACCURACY ? "accuracy, %"
                                                       : lmw_figures[a->figure[i]].key);
    lmw_grid_cell(&g, "dominated by");
    for (int i = 0; i < a->n_row; i++)
        put_row(a, order[i], &g);
    lmw_grid_put(&g, 1u << 1 | 1u << (a->n + 2), &d->out);
    lmw_buf_str(&d->out,
                "* the front: no other run of the same workload and meter is nowhere worse "
                "and somewhere better\n");
    lmw_grid_free(&g);
    return LMW_OK;
}

int cmd_pareto(int argc, char **argv)
{
    struct decide d = {0};
    struct axes a = {.text = "accuracy,energy"};
    const struct opt opts[] = {{"over", 0, OPT_STR, &a.text, "LIST",
                                "figures to weigh: accuracy, energy, latency, memory, cost, ..."},
                               DECIDE_OPTS(&d),
                               {0}};
    const struct command_help help = {
        "lmwatt pareto [RUN...] [--over accuracy,energy] [--store DB] [--json]",
        "The runs that no other run beats in all of the figures at once, and for the rest by\n"
        "whom they are beaten.",
        "lmwatt pareto --over accuracy,energy,latency",
    };
    int rc = opts_parse(opts, &help, argc, argv, &d.runs);
    if (rc < 0)
        rc = parse_over(&a, argv[0]);
    return rc >= 0 ? rc : decide(&d, pareto, &a);
}
