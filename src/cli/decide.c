/* One path for every command that decides from records: open, load, compute, print. See
 * decide.h. */
#include "cli/decide.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *decide_run_json(const struct lmw_frame_run *r)
{
    json_t *o = json_object();
    lmw_json_put(o, "run", lmw_json_text(r->run.name));
    lmw_json_put(o, "model", lmw_json_text(r->model));
    lmw_json_put(o, "quantization", lmw_json_text(r->quantization));
    lmw_json_put(o, "backend", lmw_json_text(r->backend));
    lmw_json_put(o, "machine", lmw_json_text(r->machine));
    lmw_json_put(o, "workload", lmw_json_text(r->workload));
    lmw_json_put(o, "energy_basis", lmw_json_text(r->basis));
    lmw_json_put(o, "energy_estimated", json_boolean(r->estimated));
    lmw_json_put(o, "n_record", json_integer((json_int_t)r->n));
    lmw_json_put(o, "n_energy_valid", json_integer(r->n_valid));
    lmw_json_put(o, "n_energy_imputed", json_integer(r->n_imputed));
    return o;
}

int decide_split(char *list, const char **part, int cap)
{
    int n = 0;
    char *rest = NULL;
    for (char *p = strtok_r(list, ",", &rest); p; p = strtok_r(NULL, ",", &rest)) {
        if (n == cap)
            return -1;
        part[n++] = p;
    }
    return n;
}

int decide_dates(const char *path, struct lmw_dates *out, struct lmw_arena *arena,
                 struct lmw_err *err)
{
    enum { LARGEST = 1 << 20 };
    struct lmw_buf text = {0};
    *out = (struct lmw_dates){0};
    int rc = path ? lmw_file_read(path, LARGEST, &text, err) : LMW_OK;
    if (rc == LMW_OK && path) {
        rc = lmw_dates_parse(out, (lmw_str){text.ptr, text.len}, arena, err);
        if (rc < 0)
            lmw_wrap(err, "%s", path);
    }
    lmw_buf_free(&text);
    return rc;
}

int decide_figure(const char *key)
{
    static const struct {
        const char *name;
        enum lmw_figure figure;
    } names[] = {
        {"energy", LMW_FIG_ENERGY},   {"joules", LMW_FIG_ENERGY}, {"power", LMW_FIG_POWER},
        {"latency", LMW_FIG_LATENCY}, {"ttft", LMW_FIG_TTFT},     {"memory", LMW_FIG_MEMORY},
        {"cost", LMW_FIG_COST},       {"speed", LMW_FIG_SPEED},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].name, key) == 0)
            return (int)names[i].figure;
    }
    for (int k = 0; k < LMW_N_FIGURE; k++) {
        if (strcmp(lmw_figures[k].key, key) == 0 && lmw_figures[k].better)
            return k;
    }
    return -1;
}

/* What was asked to be made up is counted where it is used. */
static void put_imputed(struct decide *d)
{
    int64_t n = 0;
    for (int i = 0; i < d->frame.n_run; i++)
        n += d->frame.run[i].n_imputed;
    if (n)
        lmw_buf_printf(&d->out, "imputed: the joules of %lld records are mean power x latency\n",
                       (long long)n);
}

static int print(struct decide *d, json_t *result, struct lmw_err *err)
{
    char *dump = d->json ? json_dumps(result, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    if (d->json ? !dump : d->out.failed)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the result");
    if (d->out.ptr)
        lmw_text_tame(d->out.ptr, true);
    fputs(d->json ? dump : d->out.ptr ? d->out.ptr : "", stdout);
    if (d->json)
        putchar('\n');
    free(dump);
    return LMW_OK;
}

static int load(struct decide *d, struct lmw_err *err)
{
    const struct lmw_frame_options options = {.impute = d->impute};
    char path[1024];
    int rc = LMW_OK;
    if (!d->store)
        rc = lmw_store_default_path(path, sizeof path, err);
    else if (snprintf(path, sizeof path, "%s", d->store) >= (int)sizeof path)
        rc = lmw_fail(err, LMW_EARG, "--store: path too long");
    if (rc == LMW_OK && (rc = lmw_store_open_existing(&d->db, path, err)) == LMW_OK)
        rc = lmw_frame_load(&d->frame, d->db, d->runs.v, d->runs.n, &options, &d->arena, err);
    return rc;
}

int decide(struct decide *d, decide_fn *fn, void *arg)
{
    struct lmw_err err = {0};
    json_t *result = NULL;
    int rc = lmw_arena_open(&d->arena, (size_t)64 << 30, &err);
    if (rc == LMW_OK)
        rc = load(d, &err);
    if (rc == LMW_OK)
        rc = fn(d, arg, &result, &err);
    if (rc == LMW_OK) {
        put_imputed(d);
        rc = print(d, result, &err);
    }
    json_decref(result);
    lmw_buf_free(&d->out);
    lmw_store_close(d->db);
    lmw_arena_close(&d->arena);
    return rc < 0 ? cli_fail(&err) : 0;
}
