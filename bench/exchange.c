/* Records in and out: how many a second, and in how much memory.
 *
 *     bench_exchange [--n N] [--dir DIR] [--json]
 *
 * N records (default 1000000) of 47 fields and about 1.1 kB, keys in no order, are written to a
 * file. The first 100,000 are read and thrown away, by lmwatt and into jansson's objects. All are
 * imported into a new store, exported as JSONL and as CSV, and imported again from CSV into
 * another; then both stores are checked. Wall and CPU time, records a second, and the largest
 * resident memory of the process so far (the file is written by a child). DIR (default: in
 * TMPDIR) is to be on the disk that is meant. */
#include "store/exchange.h"

#include "base/clock.h"
#include "base/rng.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
    int64_t n;
    const char *dir;
    bool json;
} opt = {.n = 1000000};

static int die(const char *what)
{
    fprintf(stderr, "bench_exchange: %s\n", what);
    return 1;
}

static void put_record(FILE *f, int64_t i, struct lmw_rng *rng)
{
    static const char *const domains[] = {"math", "law", "health", "cooking"};
    static const char *const scores[] = {"0", "1", "0.5"};
    int64_t e = 100000 + (int64_t)lmw_rng_below(rng, 100000000), ns = 100000000 + 99 * e;
    fprintf(f,
            "{\"run\":\"bench\",\"workload\":\"wildchat\",\"query_id\":\"%08" PRIx32
            "\",\"repeat\":0,\"domain\":\"%s\",\"model\":\"Some-8B\",\"quantization\":\"Q4_K_M\","
            "\"params\":8190735360,\"active_params\":8190735360,\"backend\":\"openai\","
            "\"machine\":\"Some GPU\",\"date\":\"2026-01-02T03:04:05Z\","
            "\"settings_hash\":\"0123456789abcdef\",\"prompt\":\"hello, could you put two of the "
            "blue running shoes in size 42 into my basket please, number %" PRId64
            "\",\"reference\":\"{\\\"intent\\\":\\\"add\\\",\\\"n\\\":2}\",\"answer\":"
            "\"{\\\"intent\\\":\\\"add\\\",\\\"n\\\":2}\",\"score\":%s,\"scorer\":\"json\",",
            (uint32_t)i * 2654435761u, domains[i & 3], i, scores[lmw_rng_below(rng, 3)]);
    fprintf(f,
            "\"prompt_tokens\":%d,\"cached_tokens\":0,\"completion_tokens\":%d,\"t_start_ns\":"
            "%" PRId64 ",\"ttft_ns\":%" PRId64 ",\"latency_ns\":%" PRId64
            ",\"itl_p50_ns\":9123456,\"itl_p90_ns\":9923456,\"itl_p99_ns\":12123456,"
            "\"energy_uj\":%" PRId64 ",\"energy_net_uj\":%" PRId64
            ",\"energy_prefill_uj\":%" PRId64 ",\"energy_decode_uj\":%" PRId64
            ",\"energy_lower_uj\":%" PRId64 ",\"energy_upper_uj\":%" PRId64
            ",\"energy_basis\":\"nvml:0\",\"energy_method\":\"counter\",\"energy_valid\":true,"
            "\"power_mean_mw\":%" PRId64 ",\"power_max_mw\":700000,\"temperature_mc\":45000,"
            "\"memory_bytes\":123456789,\"flops\":%.6e,\"cost_usd\":%.6f,\"attempts\":1,"
            "\"language\":\"en\",\"finish\":\"stop\"}\n",
            100 + (int)(i % 50), 200 + (int)(i % 90), i * 1000000000, ns / 10, ns, e, e - 99,
            e / 9, e - e / 9, e - 1000, e + 1000, e * 1000000 / (ns / 1000), 16381470720. * 300,
            (double)e * 1e-10);
}

/* In a child: what it uses is not the import's. */
static int write_records(const char *path)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        struct lmw_rng rng;
        FILE *f = fopen(path, "w");
        lmw_rng_init(&rng, 1);
        for (int64_t i = 0; f && i < opt.n; i++)
            put_record(f, i, &rng);
        _exit(!f || fclose(f) != 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show(const char *what, int64_t n, double wall, double cpu)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    if (opt.json)
        printf("{\"bench\":\"exchange\",\"op\":\"%s\",\"n\":%" PRId64
               ",\"wall_s\":%.3f,\"cpu_s\":%.3f,\"per_s\":%.0f,\"peak_rss_mb\":%ld}\n",
               what, n, wall, cpu, (double)n / wall, use.ru_maxrss >> 10);
    else
        printf("%-12s %10.2f %10.2f %12.0f %10ld\n", what, wall, cpu, (double)n / wall,
               use.ru_maxrss >> 10);
    fflush(stdout);
}

/* One line as a record, or as an object that is thrown away. */
static int read_line(lmw_str line, bool as_tree, struct lmw_arena scratch, struct lmw_err *err)
{
    struct lmw_record r;
    if (!as_tree)
        return lmw_record_parse(&r, line, &scratch, err);
    json_t *o = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, NULL);
    json_decref(o);
    return o ? LMW_OK : lmw_fail(err, LMW_EFORMAT, "not JSON");
}

static int time_read(const char *path, bool as_tree, const char *what, struct lmw_err *err)
{
    enum { MOST = 100000 };
    struct lmw_arena arena;
    char *line = NULL;
    size_t cap = 0;
    int64_t n = 0, t = lmw_now_ns();
    double cpu = cpu_s();
    FILE *f = fopen(path, "r");
    int rc =
        f ? lmw_arena_open(&arena, 1 << 24, err) : lmw_fail_errno(err, "cannot read %s", path);
    if (rc < 0)
        return rc;
    for (ssize_t len; n < MOST && rc == LMW_OK && (len = getline(&line, &cap, f)) > 0; n++)
        rc = read_line((lmw_str){line, (size_t)len}, as_tree, arena, err);
    if (rc == LMW_OK)
        show(what, n, (double)(lmw_now_ns() - t) / 1e9, cpu_s() - cpu);
    lmw_arena_close(&arena);
    free(line);
    fclose(f);
    return rc;
}

static int time_import(const char *db, const char *path, const char *what, struct lmw_err *err)
{
    struct lmw_store *s;
    struct lmw_import_opts opts = {0};
    struct lmw_import_result r = {0};
    double cpu = cpu_s();
    int64_t t = lmw_now_ns();
    int rc = lmw_store_open(&s, db, err);
    if (rc < 0)
        return rc;
    rc = lmw_import(s, path, &opts, &r, err);
    lmw_store_close(s); /* moves the log into the file: part of the work */
    if (rc == LMW_OK)
        show(what, r.n_record, (double)(lmw_now_ns() - t) / 1e9, cpu_s() - cpu);
    free(r.runs);
    return rc;
}

static int time_export(struct lmw_store *s, const char *path, enum lmw_export_format format,
                       const char *what, struct lmw_err *err)
{
    struct lmw_arena arena;
    struct lmw_run *runs;
    struct lmw_export_opts opts = {.format = format};
    int64_t n = 0, t = lmw_now_ns();
    double cpu = cpu_s();
    FILE *f = fopen(path, "w");
    if (!f)
        return lmw_fail_errno(err, "cannot write %s", path);
    int rc = lmw_arena_open(&arena, 1 << 20, err);
    if (rc == LMW_OK && (rc = lmw_store_runs(s, &arena, &runs, err)) >= 0)
        rc = lmw_export(s, runs, rc, &opts, f, &n, err);
    if (fclose(f) != 0 && rc == LMW_OK)
        rc = lmw_fail_errno(err, "cannot write %s", path);
    lmw_arena_close(&arena);
    if (rc == LMW_OK)
        show(what, n, (double)(lmw_now_ns() - t) / 1e9, cpu_s() - cpu);
    return rc;
}

static int check(const char *db, struct lmw_err *err)
{
    struct lmw_store *s;
    int rc = lmw_store_open(&s, db, err);
    if (rc == LMW_OK && (rc = lmw_store_check(s, err)) == LMW_OK && lmw_store_count(s, 1) != opt.n)
        rc = lmw_fail(err, LMW_EFORMAT, "%s holds %" PRId64 " records", db, lmw_store_count(s, 1));
    lmw_store_close(s);
    return rc;
}

static int run(const char *dir, struct lmw_err *err)
{
    struct lmw_store *s = NULL;
    char a[300], b[300], in[300], jsonl[300], csv[300];
    snprintf(a, sizeof a, "%s/a.db", dir);
    snprintf(b, sizeof b, "%s/b.db", dir);
    snprintf(in, sizeof in, "%s/in.jsonl", dir);
    snprintf(jsonl, sizeof jsonl, "%s/out.jsonl", dir);
    snprintf(csv, sizeof csv, "%s/out.csv", dir);
    if (write_records(in) < 0)
        return lmw_fail(err, LMW_EIO, "cannot write %s", in);
    if (!opt.json)
        printf("%-12s %10s %10s %12s %10s\n", "", "wall s", "CPU s", "records/s", "peak MB");
    int rc = time_read(in, false, "read", err);
    if (rc == LMW_OK && (rc = time_read(in, true, "read jansson", err)) == LMW_OK)
        rc = time_import(a, in, "import jsonl", err);
    if (rc == LMW_OK && (rc = lmw_store_open(&s, a, err)) == LMW_OK &&
        (rc = time_export(s, jsonl, LMW_EXPORT_JSONL, "export jsonl", err)) == LMW_OK)
        rc = time_export(s, csv, LMW_EXPORT_CSV, "export csv", err);
    lmw_store_close(s);
    if (rc == LMW_OK && (rc = time_import(b, csv, "import csv", err)) == LMW_OK &&
        (rc = check(a, err)) == LMW_OK)
        rc = check(b, err);
    const char *const all[] = {a, b, in, jsonl, csv};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char lock[310];
        snprintf(lock, sizeof lock, "%s-lock", all[i]);
        unlink(all[i]);
        unlink(lock);
    }
    return rc;
}

int main(int argc, char **argv)
{
    char folder[200];
    struct lmw_err err = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            opt.json = true;
        else if (strcmp(argv[i], "--n") == 0 && i + 1 < argc)
            opt.n = atoll(argv[++i]);
        else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
            opt.dir = argv[++i];
        else
            return die("usage: bench_exchange [--n N] [--dir DIR] [--json]");
    }
    if (opt.n < 1 || opt.n > 100000000)
        return die("--n takes 1..100000000");
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/lmwatt-exchange-XXXXXX",
             opt.dir ? opt.dir
             : tmp   ? tmp
                     : "/tmp");
    if (!mkdtemp(folder))
        return die("cannot make a folder there");
    int rc = run(folder, &err);
    rmdir(folder);
    return rc < 0 ? die(err.msg) : 0;
}
