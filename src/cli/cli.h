/* The command line: a table of commands (main.c), one cmd_*.c each.
 *
 * Exit status: 0 done, 1 failed, 2 used wrongly. Results go to stdout, progress and errors to stderr. */
#ifndef LMW_CLI_CLI_H
#define LMW_CLI_CLI_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

typedef int lmw_cmd_fn(int argc, char **argv); /* argv[0] is the command's name */
lmw_cmd_fn cmd_inspect, cmd_generate, cmd_bench, cmd_quantize, cmd_perplexity, cmd_train,
    cmd_workload, cmd_meters, cmd_measure, cmd_report;

/* Options: a table per command. `--name VALUE`, `--name=VALUE`, `-x VALUE`; flags take no value; `--`
 * ends options. Positional arguments are left, in order, in the array given. */
enum opt_kind { OPT_FLAG, OPT_STR, OPT_INT, OPT_REAL };
struct opt {
    const char *name; /* "model": --model */
    char letter;      /* 'm': -m; 0 for none */
    enum opt_kind kind;
    void *value;      /* bool *, const char **, int64_t *, double * */
    const char *arg;  /* what the help calls its value: "FILE" */
    const char *help; /* one line */
};
/* usage: "lmwatt measure -m FILE... -w FILE"; example: a whole command line. Returns the number of positional
 * arguments, or -1 after printing what is wrong (exit 2), or -2 after printing --help (exit 0). An OPT_STR
 * given several times keeps the last, unless `value` points to a struct strs (OPT_STRS). */
int opts_parse(const struct opt *opts, const char *usage, const char *example, int argc, char **argv,
               const char **pos, int max_pos);

/* "lmwatt: MESSAGE" on stderr; returns 1, the exit status. */
int cli_fail(const struct lmw_err *err);
/* Same with a format, and exit status 2 plus a pointer to --help. */
__attribute__((format(printf, 2, 3))) int cli_usage(const char *cmd, const char *fmt, ...);

/* The CPU mask from LMW_CPU (all levels when unset). */
int cli_cpu_mask(uint32_t *mask, struct lmw_err *err);

/* A progress line on stderr: rewritten in place on a terminal (at most 10 times a second), else one line a minute
 * and the last. printf-like; cli_progress_end finishes it with a newline. */
__attribute__((format(printf, 1, 2))) void cli_progress(const char *fmt, ...);
void cli_progress_end(void);

#endif
