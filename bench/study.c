/* The runner's own cost: a study over a backend that answers at once.
 *
 *     bench_study [--n N] [--in-flight N] [--meter SPEC] [--db FILE] [--json]
 *
 * N queries (default 100000) of the size of a shop-intents message, scored, each a transaction in
 * a new store (default: in TMPDIR, which should be on the disk that is meant). CPU time of the
 * thread between one answer's end and the next one's begin: median and 99th percentile; queries a
 * second of time, and of the process's CPU time (what it would do on a processor of its own);
 * resident memory after a tenth of them and at the end. */
#include "study/study.h"

#include "base/clock.h"
#include "base/record.h"
#include "base/stat.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct {
    int n, n_in_flight;
    const char *meter, *db;
    bool json;
} opt = {.n = 100000, .n_in_flight = 1, .meter = "estimate:2,5"};

static const char answer_text[] = "{\"intent\": \"add_to_cart\", \"quantity\": 2}";

/* --- a backend that answers at once --- */

static struct {
    double *cpu_us; /* [n]: between two answers */
    int n;
    int64_t cpu_ns, begin_ns, end_ns; /* of the first query, and of the last */
    double begin_cpu_s, end_cpu_s;    /* the process's */
    int64_t rss_early;
    struct lmw_reply *queue[4096];
    int n_queue;
} mock;

/* Resident memory, bytes. */
static int64_t resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static double process_cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void note_query(void)
{
    int64_t cpu = lmw_thread_cpu_ns();
    if (mock.n == 0) {
        mock.begin_ns = lmw_now_ns();
        mock.begin_cpu_s = process_cpu_s();
    }
    if (mock.n > 0 && mock.n <= opt.n)
        mock.cpu_us[mock.n - 1] = (double)(cpu - mock.cpu_ns) / 1e3;
    if (mock.n == opt.n - 1) {
        mock.end_ns = lmw_now_ns();
        mock.end_cpu_s = process_cpu_s();
    }
    if (++mock.n == opt.n / 10)
        mock.rss_early = resident();
}

static int mock_open(void **state, const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    *state = &mock;
    return LMW_OK;
}

static void mock_info(void *state, struct lmw_backend_info *out)
{
    snprintf(out->name, sizeof out->name, "instant");
}

static int mock_answer(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                       struct lmw_err *err)
{
    note_query();
    reply->t_start_ns = lmw_request_now(request);
    reply->t_first_ns = lmw_request_now(request);
    lmw_buf_str(&reply->text, answer_text);
    reply->n_prompt = 20;
    reply->n_answer = 12;
    reply->t_end_ns = lmw_request_now(request);
    mock.cpu_ns = lmw_thread_cpu_ns();
    return LMW_OK;
}

static int mock_send(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                     struct lmw_err *err)
{
    mock.queue[mock.n_queue++] = reply;
    return mock_answer(state, request, reply, err);
}

static int mock_wait(void *state, int64_t until_ns, struct lmw_reply **done, struct lmw_err *err)
{
    if (mock.n_queue == 0)
        return 0;
    *done = mock.queue[0];
    memmove(mock.queue, mock.queue + 1, (size_t)--mock.n_queue * sizeof *mock.queue);
    return 1;
}

static void mock_close(void *state)
{
}

static const struct lmw_backend_ops mock_ops = {
    .name = "instant",
    .model_is_name = true,
    .open = mock_open,
    .info = mock_info,
    .answer = mock_answer,
    .send = mock_send,
    .wait = mock_wait,
    .close = mock_close,
};

/* --- the study --- */

static int write_workload(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return -1;
    for (int i = 0; i < opt.n; i++)
        fprintf(
            f,
            "{\"query_id\": \"test-%06d\", \"domain\": \"add_to_cart\", \"prompt\": \"hello, could "
            "you put %d of the blue running shoes in size 42 into my basket please\","
            " \"reference\": \"{\\\"intent\\\": \\\"add_to_cart\\\", \\\"quantity\\\": %d}\","
            " \"language\": \"en\", \"template\": %d, \"template_seen\": true}\n",
            i, i % 3, i % 3, i % 97);
    return fclose(f);
}

static int measure(const char *workload, struct lmw_err *err)
{
    struct lmw_study_opts run = {
        .backend = &mock_ops,
        .backend_opts = {.model = "instant", .max_tokens = 64, .n_in_flight = opt.n_in_flight},
        .workload = workload,
        .scorer = "json",
        .run = "bench",
        .n_repeat = 1,
        .top_p = 1,
    };
    struct lmw_study study = {
        .runs = &run, .n_run = 1, .meter = {.sysroot = "", .sources = opt.meter}};
    struct lmw_study_run result;
    struct lmw_store *store;
    int rc = lmw_store_open(&store, opt.db, err);
    if (rc < 0)
        return rc;
    rc = lmw_study_run(store, &study, &result, err);
    lmw_store_close(store);
    return rc;
}

static void report(void)
{
    size_t n = (size_t)mock.n - 1;
    double rate = (double)n / ((double)(mock.end_ns - mock.begin_ns) / 1e9);
    double cpu_rate = (double)n / (mock.end_cpu_s - mock.begin_cpu_s);
    double p50 = lmw_quantile(mock.cpu_us, n, 0.5), p99 = lmw_quantile(mock.cpu_us, n, 0.99);
    double early = (double)mock.rss_early / 1048576, late = (double)resident() / 1048576;
    if (opt.json)
        printf("{\"n\": %d, \"in_flight\": %d, \"meter\": \"%s\", \"cpu_us_p50\": %.1f, "
               "\"cpu_us_p99\": %.1f, \"queries_per_s\": %.0f, \"queries_per_cpu_s\": %.0f, "
               "\"rss_early_mib\": %.1f, \"rss_late_mib\": %.1f}\n",
               opt.n, opt.n_in_flight, opt.meter, p50, p99, rate, cpu_rate, early, late);
    else
        printf("%d queries, %d in flight, meter %s\nCPU a query: %.1f us median, %.1f us 99th "
               "percentile\n%.0f queries/s, %.0f a second of CPU\nresident: %.1f MiB after a "
               "tenth, %.1f MiB at the end\n",
               opt.n, opt.n_in_flight, opt.meter, p50, p99, rate, cpu_rate, early, late);
}

static int usage(void)
{
    fputs("usage: bench_study [--n N] [--in-flight N] [--meter SPEC] [--db FILE] [--json]\n",
          stderr);
    return 2;
}

static int parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--json") == 0) {
            opt.json = true;
            continue;
        }
        if (!value)
            return -1;
        if (strcmp(argv[i], "--n") == 0)
            opt.n = atoi(value);
        else if (strcmp(argv[i], "--in-flight") == 0)
            opt.n_in_flight = atoi(value);
        else if (strcmp(argv[i], "--meter") == 0)
            opt.meter = value;
        else if (strcmp(argv[i], "--db") == 0)
            opt.db = value;
        else
            return -1;
        i++;
    }
    return opt.n >= 10 && opt.n_in_flight >= 1 ? 0 : -1;
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    char dir[512], db[600], workload[600], command[640];
    struct lmw_err err = {0};
    if (parse(argc, argv) < 0)
        return usage();
    snprintf(dir, sizeof dir, "%s/bench-study-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir) || !(mock.cpu_us = calloc((size_t)opt.n, sizeof *mock.cpu_us)))
        return perror("bench_study"), 1;
    snprintf(db, sizeof db, "%s/lmwatt.db", dir);
    snprintf(workload, sizeof workload, "%s/questions.jsonl", dir);
    opt.db = opt.db ? opt.db : db;
    int rc = write_workload(workload) ? lmw_fail(&err, LMW_EIO, "cannot write %s", workload)
                                      : measure(workload, &err);
    if (rc == LMW_OK)
        report();
    else
        fprintf(stderr, "bench_study: %s\n", err.msg);
    free(mock.cpu_us);
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command) != 0 || rc < 0;
}
