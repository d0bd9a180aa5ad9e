/* lmwatt load: what happens to joules, IPJ and latency when more queries are in flight. */
#include "cli/decide.h"

#include <stdio.h>

static json_t *load_json(const struct lmw_load *l)
{
    json_t *o = json_object();
    lmw_json_put(o, "from", json_integer(l->from));
    lmw_json_put(o, "to", json_integer(l->to));
    lmw_json_put(o, "n", json_integer(l->n));
    lmw_json_put(o, "in_flight", lmw_json_number(l->in_flight));
    lmw_json_put(o, "accuracy", lmw_json_interval(l->accuracy));
    lmw_json_put(o, "ipj", lmw_json_interval(l->ipj));
    lmw_json_put(o, "energy_j", lmw_json_interval(l->energy));
    lmw_json_put(o, "latency_s", lmw_json_interval(l->latency));
    lmw_json_put(o, "ttft_s", lmw_json_interval(l->ttft));
    lmw_json_put(o, "tok_per_s", lmw_json_number(l->tok_per_s));
    return o;
}

static void put_row(struct lmw_grid *g, const struct lmw_frame_run *run, const struct lmw_load *l)
{
    const char *about = run->estimated ? "~" : "";
    lmw_grid_cell(g, "%s", run->run.name);
    lmw_grid_cell(g, l->from == l->to ? "%d" : "%d to %d", l->from, l->to);
    lmw_grid_cell(g, "%lld", (long long)l->n);
    lmw_grid_interval(g, "", l->accuracy, 100);
    lmw_grid_interval(g, about, l->energy, 1);
    lmw_grid_interval(g, about, l->ipj, 1);
    lmw_grid_interval(g, "", l->latency, 1);
    lmw_grid_number(g, "", l->tok_per_s);
}

static int loads(struct decide *d, void *arg, json_t **result, struct lmw_err *err)
{
    static const char *const heads[] = {"run",       "in flight", "queries",    "accuracy, %",
                                        "J / query", "IPJ, 1/J",  "latency, s", "tok/s in all"};
    struct lmw_grid g = {.n_column = 8};
    json_t *runs = json_array();
    int n_without = 0, n = 0;
    for (int k = 0; k < 8; k++)
        lmw_grid_cell(&g, "%s", heads[k]);
    for (int i = 0; i < d->frame.n_run && n >= 0; i++) {
        struct lmw_load load[LMW_LOADS_MAX];
        json_t *o = decide_run_json(&d->frame.run[i]), *list = json_array();
        n = lmw_loads_of(&d->frame, i, load, d->arena, err);
        n_without += n == 0;
        for (int k = 0; k < n; k++) {
            put_row(&g, &d->frame.run[i], &load[k]);
            json_array_append_new(list, load_json(&load[k]));
        }
        lmw_json_put(o, "loads", list);
        json_array_append_new(runs, o);
    }
    *result = json_pack("{s:o}", "runs", runs);
    lmw_grid_put(&g, 1, &d->out);
    lmw_grid_free(&g);
    if (n_without)
        lmw_buf_printf(&d->out, "%d run%s not say when queries began and ended\n", n_without,
                       n_without == 1 ? " does" : "s do");
    return n < 0 ? n : LMW_OK;
}

int cmd_load(int argc, char **argv)
{
    struct decide d = {0};
    const struct opt opts[] = {DECIDE_OPTS(&d), {0}};
    const struct command_help help = {
        "lmwatt load [RUN...] [--store DB] [--json]",
        "How joules, IPJ and latency move with the number of queries in flight, from the times at\n"
        "which the records' queries began and ended.",
        "lmwatt load server-1 server-8 server-64",
    };
    int rc = opts_parse(opts, &help, argc, argv, &d.runs);
    return rc >= 0 ? rc : decide(&d, loads, NULL);
}
