/* lmwatt import: records from files into runs of the store. */
#include "cli/cli.h"
#include "cli/model_opts.h"
#include "store/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    const char *store, *prices, *path; /* path: the file being imported */
    const char *model, *workload;
    struct strs files, set;
    struct lmw_arena arena; /* of the defaults */
    struct lmw_record defaults;
    struct lmw_import_opts opts;
    bool json;
};

static int tell(void *arg, int64_t n_record, int64_t n_byte)
{
    const struct job *j = arg;
    cli_progress("%s: %" PRId64 " records, %" PRId64 " MB", j->path, n_record, n_byte >> 20);
    return 0;
}

static int print_json(const char *path, const struct lmw_import_result *r)
{
    json_t *runs = json_array();
    for (int i = 0; i < r->n_run; i++)
        json_array_append_new(runs, json_pack("{s:o, s:I, s:I}", "run",
                                              cli_json_text(lmw_str_from(r->runs[i].name)), "new",
                                              (json_int_t)r->runs[i].n_new, "there",
                                              (json_int_t)r->runs[i].n_there));
    return cli_json_print(json_pack("{s:o, s:s, s:s, s:I, s:I, s:o}", "file",
                                    cli_json_text(lmw_str_from(path)), "format", r->format, "hash",
                                    r->hash, "bytes", (json_int_t)r->n_byte, "records",
                                    (json_int_t)r->n_record, "runs", runs));
}

static int print_text(const struct lmw_import_result *r)
{
    for (int i = 0; i < r->n_run; i++) {
        lmw_text_tame(r->runs[i].name, false);
        printf("run %s: %" PRId64 " records", r->runs[i].name, r->runs[i].n_new);
        if (r->runs[i].n_there)
            printf(" new, %" PRId64 " there already", r->runs[i].n_there);
        puts("");
    }
    return 0;
}

static int import_all(struct lmw_store *s, struct job *j, struct lmw_err *err)
{
    for (int i = 0; i < j->files.n; i++) {
        struct lmw_import_result r;
        j->path = j->files.v[i];
        int rc = lmw_import(s, j->path, &j->opts, &r, err);
        if (rc < 0)
            return rc;
        cli_progress_end();
        rc = j->json ? print_json(j->path, &r) : print_text(&r);
        free(r.runs);
        if (rc != 0)
            return lmw_fail(err, LMW_EIO, "cannot write the answer");
    }
    return LMW_OK;
}

/* What is said of all records: --set, --model and --workload. */
static int read_defaults(struct job *j, struct lmw_err *err)
{
    int rc = lmw_arena_open(&j->arena, 1 << 20, err);
    lmw_record_clear(&j->defaults);
    for (int i = 0; i < j->set.n && rc == LMW_OK; i++) {
        const char *eq = strchrnul(j->set.v[i], '=');
        lmw_str name = {j->set.v[i], (size_t)(eq - j->set.v[i])};
        const struct lmw_column *c = lmw_column_find(name, NULL);
        rc = c && *eq ? lmw_record_set(&j->defaults, c, lmw_str_from(eq + 1), &j->arena, err)
                      : lmw_fail(err, LMW_EARG,
                                 "--set %s: FIELD=VALUE is wanted, of a field of the record "
                                 "(docs/records.md), as in machine=A100",
                                 j->set.v[i]);
    }
    j->defaults.model = j->model ? j->model : j->defaults.model;
    j->defaults.workload = j->workload ? j->workload : j->defaults.workload;
    j->opts.defaults = &j->defaults;
    return rc;
}

int cmd_import(int argc, char **argv)
{
    struct job j = {.opts.on_progress = tell};
    const struct opt opts[] = {
        {"run", 'r', OPT_STR, &j.opts.run, "NAME",
         "the records' run; of several models NAME/MODEL (default: as they say)"},
        {"store", 0, OPT_STR, &j.store, "DB",
         "the store (default: LMW_STORE, or the data directory)"},
        {"format", 0, OPT_STR, &j.opts.format, "FORMAT",
         "jsonl, csv, json, parquet, lm-eval, llama-bench, ipw (default: by content)"},
        {"model", 'm', OPT_STR, &j.model, "NAME", "of records that do not say theirs"},
        {"workload", 'w', OPT_STR, &j.workload, "NAME", "of records that do not say theirs"},
        {"map", 0, OPT_STR, &j.opts.map, "LIST",
         "FIELD=COLUMN[:UNIT], ... of another table: query_id=id,score=acc:%"},
        {"set", 0, OPT_LIST, &j.set, "PAIR",
         "FIELD=VALUE of records that do not say theirs; again for each field"},
        {"prices", 0, OPT_STR, &j.prices, "FILE",
         "token prices: the cost of records that do not say theirs"},
        {"json", 0, OPT_FLAG, &j.json, NULL, "one JSON object a file"},
        {0},
    };
    const struct command_help help = {
        "lmwatt import FILE... [--run NAME] [--map LIST] [--store DB]",
        "Takes records that others measured, or that `lmwatt export` wrote, into the store (`-`:\n"
        "standard input), packed with gzip or zstd or not. A file is imported whole or not at all;\n"
        "what is there already is left alone. Tables of others come in with --map: `score=*` makes\n"
        "each column a model.",
        "lmwatt import records.jsonl --run theirs",
    };
    j.opts.arg = &j;
    int rc = opts_parse(opts, &help, argc, argv, &j.files);
    if (rc >= 0)
        return rc;
    if (j.files.n == 0)
        return cli_usage(argv[0], "a FILE to import is needed");
    if (j.opts.run && !*j.opts.run)
        return cli_usage(argv[0], "--run needs a name");
    struct lmw_err err = {0};
    struct lmw_store *store = NULL;
    struct lmw_price_list *prices = NULL;
    char path[1024];
    rc = read_defaults(&j, &err);
    if (rc == LMW_OK && j.prices)
        rc = lmw_price_list_open(&prices, j.prices, &err);
    j.opts.prices = prices;
    if (rc == LMW_OK && (rc = cli_store_path(j.store, path, sizeof path, &err)) == LMW_OK &&
        (rc = lmw_store_open(&store, path, &err)) == LMW_OK)
        rc = import_all(store, &j, &err);
    lmw_store_close(store);
    lmw_price_list_close(prices);
    lmw_arena_close(&j.arena);
    return rc < 0 ? cli_fail(&err) : 0;
}
