/* lmwatt export: the records of runs as JSONL or CSV, to stdout or, whole or not at all, a
 * file. */
#include "base/file.h"
#include "cli/cli.h"
#include "insight/insight.h"
#include "store/exchange.h"

#include <inttypes.h>
#include <string.h>

struct job {
    const char *store, *format, *path;
    struct strs runs;
    struct lmw_export_opts opts;
};

static int write_runs(struct lmw_store *s, const struct job *j, const struct lmw_run *runs,
                      int n_run, struct lmw_err *err)
{
    struct lmw_atomic file;
    int64_t n;
    if (!j->path || strcmp(j->path, "-") == 0)
        return lmw_export(s, runs, n_run, &j->opts, stdout, &n, err);
    int rc = lmw_atomic_open(&file, j->path, err);
    if (rc < 0)
        return rc;
    if (lmw_export(s, runs, n_run, &j->opts, file.f, &n, err) < 0) {
        lmw_atomic_abandon(&file);
        return lmw_wrap(err, "%s", j->path);
    }
    if ((rc = lmw_atomic_commit(&file, err)) == LMW_OK)
        fprintf(stderr, "wrote %" PRId64 " records to %s\n", n, j->path);
    return rc;
}

static int write_all(struct lmw_store *s, const struct job *j, struct lmw_err *err)
{
    struct lmw_arena arena;
    struct lmw_run *runs;
    int rc = lmw_arena_open(&arena, (size_t)1 << 30, err);
    if (rc == LMW_OK && (rc = lmw_insight_runs(s, j->runs.v, j->runs.n, &arena, &runs, err)) >= 0)
        rc = write_runs(s, j, runs, rc, err);
    lmw_arena_close(&arena);
    return rc;
}

/* By --format, else by the file's name. */
static int choose_format(struct job *j)
{
    lmw_str path = lmw_str_stem(lmw_str_stem(lmw_str_from(j->path), ".gz"), ".zst");
    const char *name = j->format ? j->format : lmw_str_ends(path, ".csv") ? "csv" : "jsonl";
    j->opts.name = j->path;
    if (strcmp(name, "csv") != 0 && strcmp(name, "jsonl") != 0)
        return cli_usage("export", "--format takes jsonl or csv, not '%s'", name);
    j->opts.format = strcmp(name, "csv") == 0 ? LMW_EXPORT_CSV : LMW_EXPORT_JSONL;
    return -1;
}

int cmd_export(int argc, char **argv)
{
    struct job j = {0};
    const struct opt opts[] = {
        {"format", 0, OPT_STR, &j.format, "FORMAT",
         "jsonl or csv (default: by the file's name, else jsonl)"},
        {"output", 'o', OPT_STR, &j.path, "FILE",
         "where to (default: standard output); .gz and .zst are packed"},
        {"no-text", 0, OPT_FLAG, &j.opts.no_text, NULL,
         "hashes in place of prompt, reference, choices and answer"},
        {"store", 0, OPT_STR, &j.store, "DB",
         "the store (default: LMW_STORE, or the data directory)"},
        {0},
    };
    const struct command_help help = {
        "lmwatt export [RUN...] [--format FORMAT] [--output FILE] [--store DB]",
        "Writes the records of runs (all of the store, or those named; NAME alone stands for the\n"
        "runs NAME/... too), one a line, as `lmwatt import` reads them.",
        "lmwatt export theirs --format csv -o theirs.csv",
    };
    int rc = opts_parse(opts, &help, argc, argv, &j.runs);
    if (rc >= 0 || (rc = choose_format(&j)) >= 0)
        return rc;
    struct lmw_err err = {0};
    struct lmw_store *store = NULL;
    char path[1024];
    if ((rc = cli_store_path(j.store, path, sizeof path, &err)) == LMW_OK &&
        (rc = lmw_store_open_existing(&store, path, &err)) == LMW_OK)
        rc = write_all(store, &j, &err);
    lmw_store_close(store);
    return rc < 0 ? cli_fail(&err) : 0;
}
