/* lmwatt regress: what a token more costs, as straight lines through the records of each run. */
#include "cli/decide.h"

#include <stdio.h>
#include <string.h>

static json_t *line_json(const struct lmw_regression *r)
{
    json_t *o = json_object();
    lmw_json_put(o, "count", json_integer(r->n));
    lmw_json_put(o, "dropped", json_integer(r->n_dropped));
    lmw_json_put(o, "slope", lmw_json_number(r->slope.value));
    lmw_json_put(o, "intercept", lmw_json_number(r->intercept.value));
    lmw_json_put(o, "r2", lmw_json_number(r->r2));
    lmw_json_put(o, "avg_y", lmw_json_number(r->mean_y));
    lmw_json_put(o, "slope_interval", lmw_json_interval(r->slope));
    lmw_json_put(o, "intercept_interval", lmw_json_interval(r->intercept));
    return o;
}

static json_t *lines_json(const struct lmw_frame *f, struct lmw_regression (*lines)[LMW_N_LINE])
{
    json_t *runs = json_array();
    for (int i = 0; i < f->n_run; i++) {
        json_t *o = decide_run_json(&f->run[i]), *list = json_object();
        for (int k = 0; k < LMW_N_LINE; k++)
            lmw_json_put(list, lmw_lines[k].key, line_json(&lines[i][k]));
        lmw_json_put(o, "regressions", list);
        json_array_append_new(runs, o);
    }
    return json_pack("{s:o}", "runs", runs);
}

static void put_run(const struct lmw_frame_run *run, const struct lmw_regression *lines,
                    struct lmw_buf *out)
{
    static const char *const heads[] = {"y",  "on x", "slope [95 %]", "intercept [95 %]",
                                        "r2", "n",    "dropped"};
    struct lmw_grid g = {.n_column = 7};
    for (int k = 0; k < 7; k++)
        lmw_grid_cell(&g, "%s", heads[k]);
    for (int k = 0; k < LMW_N_LINE; k++) {
        const char *prefix = run->estimated && strpbrk(lmw_lines[k].y, "JW") ? "~" : "";
        if (lines[k].n == 0)
            continue;
        lmw_grid_cell(&g, "%s", lmw_lines[k].y);
        lmw_grid_cell(&g, "%s", lmw_lines[k].x);
        lmw_grid_interval(&g, prefix, lines[k].slope, 1);
        lmw_grid_interval(&g, prefix, lines[k].intercept, 1);
        lmw_grid_cell(&g, lines[k].r2 >= -1 ? "%.4f" : "-", lines[k].r2);
        lmw_grid_cell(&g, "%lld", (long long)lines[k].n);
        lmw_grid_cell(&g, "%lld", (long long)lines[k].n_dropped);
    }
    lmw_buf_printf(out, "%s%s\n", out->len ? "\n" : "", run->run.name);
    lmw_grid_put(&g, 3, out);
    lmw_grid_free(&g);
}

static int regress(struct decide *d, void *arg, json_t **result, struct lmw_err *err)
{
    struct lmw_regression(*lines)[LMW_N_LINE] =
        lmw_arena_alloc(&d->arena, (size_t)d->frame.n_run, sizeof *lines, 64);
    if (!lines)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d runs", d->frame.n_run);
    int rc = lmw_frame_lines(&d->frame, lines, d->arena, err);
    if (rc < 0)
        return rc;
    if (d->json)
        *result = lines_json(&d->frame, lines);
    for (int i = 0; i < d->frame.n_run; i++)
        put_run(&d->frame.run[i], lines[i], &d->out);
    return LMW_OK;
}

int cmd_regress(int argc, char **argv)
{
    struct decide d = {0};
    const struct opt opts[] = {DECIDE_OPTS(&d), {0}};
    const struct command_help help = {
        "lmwatt regress [RUN...] [--store DB] [--json]",
        "Straight lines through the records of each run: energy, latency, power and time to the\n"
        "first token against tokens, plain and logarithmic, with 95 % intervals.",
        "lmwatt regress shop-intents-Q4_K_M",
    };
    int rc = opts_parse(opts, &help, argc, argv, &d.runs);
    return rc >= 0 ? rc : decide(&d, regress, NULL);
}
