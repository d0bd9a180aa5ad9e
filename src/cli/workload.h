/* The parts of lmwatt workload: cmd_workload.c, workload_label.c and, below both,
 * workload_write.c. */
#ifndef LMW_CLI_WORKLOAD_H
#define LMW_CLI_WORKLOAD_H

#include "cli/backend_opts.h"
#include "cli/cli.h"
#include "workload/workload.h"

/* What the command line says. */
struct workload_asked {
    struct lmw_workload_opts how;
    struct lmw_shop_options shop;
    int64_t n, seed;
    const char *out, *fit, *by, *model;
    struct backend_flags backend; /* of that model */
    bool is_shuffled, is_json;
};

/* 1 and a record, 0 at the end, or negative. */
typedef int workload_next_fn(void *arg, struct lmw_record *r, struct lmw_arena *arena,
                             struct lmw_err *err);
/* All rows as JSON lines, to stdout (path NULL or "-") or, whole or not at all, to a file. */
int workload_write_to(workload_next_fn *next, void *arg, const char *path, struct lmw_err *err);

/* label [PRESET] FILE, label [PRESET] --fit FILE: the exit status. */
int workload_label(const struct strs *pos, struct workload_asked *a);

#endif
