/* Rows of lmwatt workload, written as JSON lines: to stdout or, whole or not at all, to a file. */
#include "cli/workload.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"

static int put_row(struct lmw_workload_writer *w, const struct lmw_record *r, const char *path,
                   struct lmw_err *err)
{
    int rc = lmw_workload_write(w, r, err);
    return rc < 0 && path ? lmw_wrap(err, "%s", path) : rc;
}

static int write_rows(workload_next_fn *next, void *arg, FILE *f, const char *path,
                      struct lmw_err *err)
{
    struct lmw_arena arena = {0};
    struct lmw_workload_writer *w;
    struct lmw_record r;
    int64_t n = 0;
    int rc = lmw_workload_writer_open(&w, f, path, err);

    if (rc == 0)
        rc = lmw_arena_open(&arena, (size_t)256 << 20, err);
    while (rc == 0) {
        struct lmw_arena row = arena;
        if ((rc = next(arg, &r, &row, err)) > 0)
            rc = put_row(w, &r, path, err);
        else if (rc == 0)
            break;
        if (++n % 10000 == 0)
            cli_progress("%" PRId64 " rows", n);
    }
    if (rc == 0 && (rc = lmw_workload_writer_finish(w, err)) < 0 && path)
        lmw_wrap(err, "%s", path);
    cli_progress_end();
    lmw_workload_writer_close(w);
    lmw_arena_close(&arena);
    return rc;
}

int workload_write_to(workload_next_fn *next, void *arg, const char *path, struct lmw_err *err)
{
    struct lmw_atomic w;
    int rc;

    if (!path || strcmp(path, "-") == 0)
        return write_rows(next, arg, stdout, NULL, err);
    if ((rc = lmw_atomic_open(&w, path, err)) < 0)
        return rc;
    if ((rc = write_rows(next, arg, w.f, path, err)) < 0) {
        lmw_atomic_abandon(&w);
        return rc;
    }
    return lmw_atomic_commit(&w, err);
}
