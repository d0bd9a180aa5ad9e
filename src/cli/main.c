/* lmwatt: a table of commands. Each answers --help with its options and an example. */
#include "base/str.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    lmw_cmd_fn *run;
    const char *help;
} commands[] = {
    {"measure", cmd_measure, "run a workload over models: answers, seconds, joules -> records"},
    {"judge", cmd_judge, "score stored answers again, by a scorer or a judge model"},
    {"report", cmd_report, "tables and report.html from recorded runs"},
    {"compare", cmd_compare,
     "two runs, question by question: do they differ, and what may be said"},
    {"pareto", cmd_pareto, "the runs that no other beats in everything, and who beats the rest"},
    {"domains", cmd_domains, "what local models cover of each domain, and how hard questions are"},
    {"trend", cmd_trend, "the best pair of each year, and whose the gain is: model or machine"},
    {"load", cmd_load, "how joules and latency move with the queries in flight"},
    {"regress", cmd_regress, "what a token more costs: joules, seconds and watts against tokens"},
    {"route", cmd_route, "what routing between local models and the cloud would save"},
    {"import", cmd_import, "records from files into the store: JSONL, CSV, lm-eval, ..."},
    {"export", cmd_export, "recorded runs as JSONL or CSV"},
    {"generate", cmd_generate, "one answer from a model, streamed"},
    {"bench", cmd_bench, "prefill and decode speed of a model"},
    {"perplexity", cmd_perplexity, "perplexity of a text under a model"},
    {"quantize", cmd_quantize, "write a model in another tensor format"},
    {"inspect", cmd_inspect, "what is in a GGUF file"},
    {"meters", cmd_meters, "every power source of this machine, and why it is absent"},
    {"attribute", cmd_attribute, "joules of queries from a power log"},
    {"train", cmd_train, "train a small model from scratch"},
    {"workload", cmd_workload, "generate or check workload files"},
};

static int usage(FILE *f)
{
    fputs("lmwatt runs local language models and measures what their answers cost.\n\n"
          "usage: lmwatt COMMAND [OPTIONS]\n\n",
          f);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(f, "  %-11s %s\n", commands[i].name, commands[i].help);
    fputs("\n`lmwatt COMMAND --help` says more; `lmwatt --version` which build this is.\n", f);
    return f == stderr ? 2 : 0;
}

static int unknown_command(const char *word)
{
    struct lmw_nearest near = lmw_nearest_to(word);

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        lmw_nearest_try(&near, commands[i].name);
    fprintf(stderr, "lmwatt: no command '%s'%s%s%s\nTry 'lmwatt --help'.\n", word,
            near.best ? ": did you mean '" : "", near.best ? near.best : "",
            near.best ? "'?" : "");
    return 2;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return usage(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        puts("lmwatt " LMW_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    return unknown_command(argv[1]);
}

/* A result that did not arrive is a failure, whichever command wrote it. */
int main(int argc, char **argv)
{
    cli_catch_lost_pages();
    int rc = run(argc, argv);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return rc;
    fprintf(stderr, "lmwatt: cannot write the result: %s\n",
            errno ? strerror(errno) : "not all of it arrived; is the disk full?");
    return rc ? rc : 1;
}
