/* The published tables as records, and the commands that make the paper's conclusions of them: an
 * example to learn the commands on, with known answers.
 *
 * Source: arXiv 2511.07885v4, tables 2 and 13, section 4.1 and 4.3 (docs/insight.md has them with
 * what they must give). A mean that is published stands as one record, so it has no interval; the
 * coverages of the four data sets stand as 1,000 questions each, as many right as the table
 * says. */
#include "cli/paper.h"

#include "cli/cli.h"
#include "store/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *run, *workload, *model, *machine, *dates;
    double success, ipw;
} means[] = {
    {"yearly/2023", "yearly", "Mixtral-8x7B-v0.1", "Quadro RTX 6000",
     "{\"model_date\": \"2023-12\", \"machine_date\": \"2018\"}", 0.232, 7.92e-4},
    {"yearly/2024", "yearly", "Llama-3.1-8B-Instruct", "RTX 6000 Ada",
     "{\"model_date\": \"2024-07\", \"machine_date\": \"2022\"}", 0.487, 1.80e-3},
    {"yearly/2025", "yearly", "GPT-OSS-120B", "M4 Max",
     "{\"model_date\": \"2025-08\", \"machine_date\": \"2024\"}", 0.713, 4.18e-3},
    {"b200/qwen3-4b", "batch 1", "Qwen3-4B", "B200", NULL, 0.493, 1.95e-3},
    {"b200/qwen3-8b", "batch 1", "Qwen3-8B", "B200", NULL, 0.575, 2.27e-3},
    {"b200/qwen3-14b", "batch 1", "Qwen3-14B", "B200", NULL, 0.595, 2.35e-3},
    {"b200/qwen3-32b", "batch 1", "Qwen3-32B", "B200", NULL, 0.695, 2.75e-3},
    {"m4max/qwen3-4b", "batch 1", "Qwen3-4B", "M4 Max", NULL, 0.493, 1.40e-3},
    {"m4max/qwen3-8b", "batch 1", "Qwen3-8B", "M4 Max", NULL, 0.575, 1.63e-3},
    {"m4max/qwen3-14b", "batch 1", "Qwen3-14B", "M4 Max", NULL, 0.595, 1.69e-3},
    {"m4max/qwen3-32b", "batch 1", "Qwen3-32B", "M4 Max", NULL, 0.695, 1.97e-3},
};

/* Best single local model, the highest coverage of each data set. */
static const struct {
    const char *set;
    int right; /* of 1,000 */
} coverages[] = {
    {"WildChat", 889}, {"NaturalReasoning", 649}, {"MMLU-Pro", 804}, {"SuperGPQA", 515}};

/* Savings of the oracle, and of routers as accurate as that, in percent. */
static const struct {
    const char *what;
    double oracle, at_80, at_60;
} savings[] = {
    {"energy", 80.4, 64.3, 48.4}, {"compute", 77.3, 61.8, 46.7}, {"cost", 73.8, 59.0, 44.5}};

/* --- the store --- */

static int begin(struct lmw_store *s, const char *name, int64_t *id, struct lmw_err *err)
{
    bool resumed;
    struct lmw_run run = lmw_run_named(name, "arxiv2511.07885v4", "2026-05-21T00:00:00Z");
    run.settings = "{\"source\": \"arXiv 2511.07885v4\"}";
    run.finished = true;
    int rc = lmw_store_begin_run(s, &run, &resumed, err);
    *id = run.id;
    return rc;
}

static int put_means(struct lmw_store *s, struct lmw_err *err)
{
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        struct lmw_record r;
        int64_t id;
        int rc = begin(s, means[i].run, &id, err);
        lmw_record_clear(&r);
        r.query_id = "mean of all";
        r.workload = means[i].workload;
        r.model = means[i].model;
        r.machine = means[i].machine;
        r.score = means[i].success;
        r.power_mean_mw = (int64_t)llround(means[i].success / means[i].ipw * 1e3);
        r.energy_method = "imported";
        r.energy_reason = "the paper prints watts, not joules";
        r.extra = means[i].dates;
        if (rc < 0 || (rc = lmw_store_add(s, id, &r, err)) < 0)
            return rc;
    }
    return LMW_OK;
}

static int put_coverages(struct lmw_store *s, struct lmw_err *err)
{
    enum { QUESTIONS = 1000 };
    int64_t id;
    int rc = begin(s, "coverage/best-single", &id, err);
    for (int i = 0; i < (int)(sizeof coverages / sizeof *coverages) * QUESTIONS && rc == LMW_OK;
         i++) {
        struct lmw_record r;
        char query[48];
        int set = i / QUESTIONS, n = i % QUESTIONS;
        snprintf(query, sizeof query, "%s %d", coverages[set].set, n);
        lmw_record_clear(&r);
        r.query_id = query;
        r.workload = r.domain = coverages[set].set;
        r.model = "best single local model";
        r.score = n < coverages[set].right;
        rc = lmw_store_add(s, id, &r, err);
    }
    return rc;
}

static int make_store(const char *path, struct lmw_err *err)
{
    struct lmw_store *s;
    int rc = lmw_store_open(&s, path, err);
    if (rc < 0)
        return rc;
    if ((rc = put_means(s, err)) == LMW_OK)
        rc = put_coverages(s, err);
    lmw_store_close(s);
    return rc;
}

/* --- the commands --- */

enum { WORDS_MAX = 8 };
static const struct {
    const char *says; /* what the paper concludes from it */
    lmw_cmd_fn *run;
    const char *word[WORDS_MAX];
} steps[] = {
    {"The best pair of each year: 5.3x in all = 3.1x by models x 1.7x by machines (table 2).",
     cmd_trend,
     {"trend", "yearly", "--method", "published"}},
    {"The same model on a cloud and a local machine: IPW at least 1.4x lower locally (table 13).",
     cmd_compare,
     {"compare", "b200/qwen3-4b", "m4max/qwen3-4b"}},
    {"", cmd_compare, {"compare", "b200/qwen3-8b", "m4max/qwen3-8b"}},
    {"", cmd_compare, {"compare", "b200/qwen3-14b", "m4max/qwen3-14b"}},
    {"", cmd_compare, {"compare", "b200/qwen3-32b", "m4max/qwen3-32b"}},
    {"Accuracy against power: bigger models buy points with the same watts.",
     cmd_pareto,
     {"pareto", "b200", "m4max", "--over", "accuracy,power"}},
    {"Coverage of four data sets, each alike: 71.4 % (section 4.1).",
     cmd_domains,
     {"domains", "coverage"}},
};
enum { N_STEP = sizeof steps / sizeof *steps };

/* Commands print by themselves; what is printed here comes between. */
static int run_step(int i, const char *store, bool json)
{
    char *argv[WORDS_MAX + 4];
    int argc = 0;
    for (; argc < WORDS_MAX && steps[i].word[argc]; argc++)
        argv[argc] = (char *)steps[i].word[argc];
    if (json) {
        printf("%s\"", i ? ",\n" : "{");
        for (int k = 0; k < argc; k++)
            printf("%s%s", k ? " " : "", argv[k]);
        printf("\": ");
    } else {
        printf("%s%s%s$ lmwatt", i ? "\n" : "", steps[i].says, *steps[i].says ? "\n" : "");
        for (int k = 0; k < argc; k++)
            printf(" %s", argv[k]);
        puts("");
    }
    argv[argc++] = (char *)"--store";
    argv[argc++] = (char *)store;
    if (json)
        argv[argc++] = (char *)"--json";
    argv[argc] = NULL;
    return steps[i].run(argc, argv);
}

/* The routers' savings need no records: saving(r) = r x saving(oracle), with what the paper prints
 * beside. */
static void put_savings(bool json)
{
    if (!json)
        puts("\nA router as accurate as r saves r times what the oracle saves, in % (section 4.3; "
             "\"printed\" is the paper).\n"
             "         oracle  r = 0.8  printed  r = 0.6  printed");
    else
        printf(",\n\"routing\": {");
    for (size_t i = 0; i < sizeof savings / sizeof *savings; i++)
        printf(json ? "%s\"%s\": {\"oracle\": %.1f, \"at_0.8\": %.2f, \"printed_0.8\": %.1f, "
                      "\"at_0.6\": %.2f, \"printed_0.6\": %.1f}"
                    : "%s%-7s  %6.1f  %7.1f  %7.1f  %7.1f  %7.1f\n",
               json && i ? ", " : "", savings[i].what, savings[i].oracle, 0.8 * savings[i].oracle,
               savings[i].at_80, 0.6 * savings[i].oracle, savings[i].at_60);
    puts(json ? "}}"
              : "At 0.6 compute and cost are 0.3 and 0.2 below what is printed: no one share of "
                "right decisions gives all three\n(docs/insight.md, \"The paper's tables\").");
}

static int replay(const char *store, bool json)
{
    struct lmw_err err = {0};
    if (make_store(store, &err) < 0)
        return cli_fail(&err);
    for (int i = 0; i < N_STEP; i++) {
        int rc = run_step(i, store, json);
        if (rc)
            return rc;
    }
    put_savings(json);
    return 0;
}

int paper_replay(const char *store, bool json)
{
    char dir[] = "/tmp/lmwatt-paper-XXXXXX", path[64];
    struct stat st;
    if (store && stat(store, &st) == 0)
        return cli_usage("report", "--paper makes a store, and %s is there already", store);
    if (store) {
        int rc = replay(store, json);
        if (rc == 0 && !json)
            printf("\nThe records stay in %s: `lmwatt report --store %s` and so on.\n", store,
                   store);
        return rc;
    }
    if (!mkdtemp(dir)) {
        struct lmw_err err;
        lmw_fail_errno(&err, "cannot make a folder in /tmp");
        return cli_fail(&err);
    }
    static const char *const files[] = {"s.db", "s.db-wal", "s.db-shm", "s.db-lock"};
    snprintf(path, sizeof path, "%s/s.db", dir);
    int rc = replay(path, json);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
    return rc;
}
