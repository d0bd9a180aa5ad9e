/* What the commands that read records share: the store, the frame of the named runs, and how the
 * result is written. */
#ifndef LMW_CLI_DECIDE_H
#define LMW_CLI_DECIDE_H

#include "cli/cli.h"
#include "report/report.h"

struct decide {
    const char *store; /* --store */
    bool json, impute;
    struct strs runs;
    struct lmw_arena arena;
    struct lmw_store *db;
    struct lmw_frame frame;
    struct lmw_buf out; /* the result as text, where it is not JSON */
};
#define DECIDE_OPTS(d)                                                                  \
    {"store",     0,    OPT_STR,                                                        \
     &(d)->store, "DB", "the store (default: LMW_STORE, or the data directory)"},       \
        {"impute",     0,    OPT_FLAG,                                                  \
         &(d)->impute, NULL, "joules that are missing: mean power x latency; counted"}, \
    {                                                                                   \
        "json", 0, OPT_FLAG, &(d)->json, NULL, "for machines"                           \
    }

/* Loads the frame and calls fn, which fills out or (json) *result; prints what came, frees all of
 * it. Returns the exit status. */
typedef int decide_fn(struct decide *d, void *arg, json_t **result, struct lmw_err *err);
int decide(struct decide *d, decide_fn *fn, void *arg);

/* A run's own words for what it is: name, model, quantization, backend, machine. */
json_t *decide_run_json(const struct lmw_frame_run *r);
/* Splits "a,b,c" in place; at most `cap` parts, else -1. */
int decide_split(char *list, const char **part, int cap);
/* The dates a file tells; path NULL: none. */
int decide_dates(const char *path, struct lmw_dates *out, struct lmw_arena *arena,
                 struct lmw_err *err);
/* The figure called key, or by a short name: energy, power, latency, ttft, memory, cost. -1: none,
 * or one that is neither better more nor less. */
int decide_figure(const char *key);

#endif
