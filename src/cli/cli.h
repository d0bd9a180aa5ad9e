/* The command line: a table of commands (main.c), one cmd_*.c each.
 *
 * Exit status: 0 done, 1 failed, 2 used wrongly. Results go to stdout, progress and errors to
 * stderr. */
#ifndef LMW_CLI_CLI_H
#define LMW_CLI_CLI_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int lmw_cmd_fn(int argc, char **argv); /* argv[0] is the command's name */
lmw_cmd_fn cmd_inspect, cmd_generate, cmd_bench, cmd_quantize, cmd_perplexity, cmd_train,
    cmd_workload, cmd_meters, cmd_attribute, cmd_measure, cmd_report, cmd_compare, cmd_pareto,
    cmd_regress, cmd_domains, cmd_trend, cmd_load, cmd_route;
lmw_cmd_fn cmd_import, cmd_export, cmd_judge;

/* Options: a table per command, ended by a NULL name. `--name VALUE`, `--name=VALUE`, `-x VALUE`;
 * flags take no value; `--` ends options. */
enum opt_kind {
    OPT_FLAG, /* bool * */
    OPT_STR,  /* const char **; given again, the last counts */
    OPT_LIST, /* struct strs *; each time adds one */
    OPT_INT,  /* int64_t * */
    OPT_REAL, /* double * */
};
struct opt {
    const char *name; /* "model" for --model */
    char letter;      /* 'm' for -m; 0 for none */
    enum opt_kind kind;
    void *value;
    const char *arg;  /* what the help calls its value: "FILE" */
    const char *help; /* one line, with the default */
};
enum { STRS_MAX = 256 };
struct strs {
    const char *v[STRS_MAX];
    int n;
};
struct command_help {
    const char *usage;   /* "lmwatt quantize IN OUT TYPE" */
    const char *what;    /* one or two sentences */
    const char *example; /* a whole command line */
};
/* Fills the values and collects positional arguments (pos may be NULL: none allowed). Returns -1
 * to go on, else the exit status: 0 after --help, 2 after saying what is wrong. */
int opts_parse(const struct opt *opts, const struct command_help *help, int argc, char **argv,
               struct strs *pos);
/* Whether an option stands on a command line that opts_parse() took. */
bool opts_given(const struct opt *o, int argc, char **argv);

/* "lmwatt: MESSAGE" on stderr; returns 1, the exit status. */
int cli_fail(const struct lmw_err *err);
/* The same with a format and a pointer to --help; returns 2. */
__attribute__((format(printf, 2, 3))) int cli_usage(const char *command, const char *fmt, ...);
/* -1 when the values of --temp, --top-p and --min-p are possible, else what cli_usage() said. */
int cli_check_sampling(const char *command, double temperature, double top_p, double min_p);

/* The store's path: what --store gave, or where NULL the default. */
int cli_store_path(const char *given, char *out, size_t cap, struct lmw_err *err);

/* The first Ctrl-C asks to stop (cli_interrupted) and lets what is in flight finish; the second
 * ends the process, which loses only that. A terminal that is closed, or a pipe nobody reads any
 * more, ends nothing: the records go on. (Handlers, not SIG_IGN: programs that a backend starts do
 * not inherit them.) */
void cli_catch_signals(void);
bool cli_interrupted(void);
/* A page of a mapped file that is not there any more ends the program with a message. */
void cli_catch_lost_pages(void);

/* The kernel levels allowed by LMW_CPU (all when unset). */
int cli_cpu_mask(uint32_t *mask, struct lmw_err *err);

/* A progress line on stderr: rewritten in place on a terminal (at most 10 times a second),
 * elsewhere a line a minute. cli_progress_end shows the last state and ends the line. */
__attribute__((format(printf, 1, 2))) void cli_progress(const char *fmt, ...);
void cli_progress_end(void);

#endif
