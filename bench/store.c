/* The store, as a study uses it: what adding a record costs.
 *
 *     bench_store [--n N] [--db FILE] [--json]
 *
 * N records (default 5000) of the size of a shop-intents answer, one transaction each, then as
 * many energies settled, into a new file (default: in TMPDIR, which should be on the disk that
 * is meant). Wall time a call: median, 99th percentile and largest (a checkpoint of the log
 * falls on some). */
#include "store/store.h"

#include "base/clock.h"
#include "base/stat.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    int n;
    const char *db;
    bool json;
} opt = {.n = 5000};

static int die(const char *what)
{
    fprintf(stderr, "bench_store: %s\n", what);
    return 1;
}

static void fill(struct lmw_record *r, const char *id)
{
    lmw_record_clear(r);
    r->query_id = id;
    r->repeat = 0;
    r->workload = "shop-intents";
    r->model = "shop-intents";
    r->quantization = "Q4_K_M";
    r->backend = "embedded";
    r->machine = "Some Processor @ 2.80GHz";
    r->date = "2026-01-02T03:04:05Z";
    r->settings_hash = "0123456789abcdef";
    r->prompt =
        "hello, could you put two of the blue running shoes in size 42 into my basket please";
    r->reference = r->answer =
        "{\"intent\":\"add_to_cart\",\"product\":\"running shoes\",\"n\":2}";
    r->score = 1;
    r->t_start_ns = r->ttft_ns = r->latency_ns = 123456789;
    r->energy_valid = 0;
    r->energy_reason = "pending";
    r->extra = "{\"language\":\"en\",\"template\":17,\"template_seen\":true,\"level\":\"avx2\"}";
}

typedef int call_fn(struct lmw_store *s, int64_t run_id, const struct lmw_record *r,
                    struct lmw_err *err);

/* Calls fn for N records; us[i] is how long each took. */
static int time_calls(struct lmw_store *s, int64_t run_id, call_fn *fn, double *us,
                      struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < opt.n && rc == LMW_OK; i++) {
        struct lmw_record r;
        char id[32];
        snprintf(id, sizeof id, "shop-test-%06d", i);
        fill(&r, id);
        int64_t t = lmw_now_ns();
        rc = fn(s, run_id, &r, err);
        us[i] = (double)(lmw_now_ns() - t) / 1e3;
    }
    return rc;
}

static void show(const char *name, double *us)
{
    size_t n = (size_t)opt.n;
    double median = lmw_quantile(us, n, 0.5), p99 = lmw_quantile(us, n, 0.99);
    if (opt.json)
        printf("{\"bench\":\"store\",\"op\":\"%s\",\"n\":%d,\"median_us\":%.1f,\"p99_us\":%.1f,"
               "\"max_us\":%.1f}\n",
               name, opt.n, median, p99, us[n - 1]);
    else
        printf("%-12s %10.1f %10.1f %10.1f\n", name, median, p99, us[n - 1]);
}

static int run(struct lmw_store *s, double *us, struct lmw_err *err)
{
    bool resumed;
    struct lmw_run r = {.name = "bench", .settings_hash = "0123456789abcdef"};
    int rc = lmw_store_begin_run(s, &r, &resumed, err);
    if (rc == LMW_OK && resumed)
        rc = lmw_fail(err, LMW_EARG, "%s is in use: give another --db", opt.db);
    if (!opt.json)
        printf("us a call      median        p99    largest\n");
    if (rc == LMW_OK && (rc = time_calls(s, r.id, lmw_store_add, us, err)) == LMW_OK)
        show("add", us);
    if (rc == LMW_OK && (rc = time_calls(s, r.id, lmw_store_set_energy, us, err)) == LMW_OK)
        show("set_energy", us);
    return rc;
}

int main(int argc, char **argv)
{
    char folder[512] = "", path[600], beside[620];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            opt.json = true;
        else if (strcmp(argv[i], "--n") == 0 && i + 1 < argc)
            opt.n = atoi(argv[++i]);
        else if (strcmp(argv[i], "--db") == 0 && i + 1 < argc)
            opt.db = argv[++i];
        else
            return die("usage: bench_store [--n N] [--db FILE] [--json]");
    }
    if (opt.n < 1 || opt.n > 10000000)
        return die("--n takes 1..10000000");
    if (!opt.db) {
        const char *tmp = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/lmwatt-bench-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(folder))
            return die("cannot make a folder in TMPDIR");
        snprintf(path, sizeof path, "%s/bench.db", folder);
        opt.db = path;
    }
    struct lmw_store *s = NULL;
    struct lmw_err err = {0};
    double *us = calloc((size_t)opt.n, sizeof *us);
    int rc = us ? lmw_store_open(&s, opt.db, &err) : lmw_fail(&err, LMW_ENOMEM, "no memory");
    if (rc == LMW_OK)
        rc = run(s, us, &err);
    lmw_store_close(s);
    free(us);
    if (folder[0]) {
        snprintf(beside, sizeof beside, "%s-lock", path);
        unlink(beside);
        unlink(path);
        rmdir(folder);
    }
    return rc < 0 ? die(err.msg) : 0;
}
