/* Decisions from many records: how long each takes, and the memory of it all.
 *
 *     bench_insight [--n N] [--models M] [--db FILE]
 *
 * N records (default 10000) of M models (default 20) on the same N / M questions of 22 domains,
 * then load, every figure with 1,000 resamples, domains and tiers, front, regressions, trend, one
 * comparison, and what routing would save: the last model in the cloud, the others local. FILE is
 * kept and used again when it is there (making a million records takes longer than all the rest);
 * default: one in /tmp that is gone afterwards. Beside it: bench/insight_reference.py FILE, the
 * same with numpy. */
#include "route/route.h"

#include "base/clock.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
    int n, models;
    const char *db;
} opt = {.n = 10000, .models = 20};

static struct lmw_err err;

static int die(const char *what)
{
    fprintf(stderr, "bench_insight: %s: %s\n", what, err.msg);
    exit(1);
}

/* Model k has 0.5 x 1.4^k billion parameters; a question has a difficulty, and is answered the
 * more likely the larger the model; joules and seconds follow tokens and size. */
static void fill(struct lmw_record *r, struct lmw_rng *rng, int k, int q, const double *hard)
{
    static char query[32], domain[32], model[32];
    double size = 0.5 * pow(1.4, k), prompt = 50 + lmw_rng_below(rng, 450);
    double tokens = 20 + lmw_rng_below(rng, 380), ttft = prompt * size * 1e-4;
    double latency = ttft + tokens * size * 2e-3;
    double joules = latency * (5 + 20 * sqrt(size)) * (0.9 + 0.2 * lmw_rng_unit(rng));
    snprintf(query, sizeof query, "question-%d", q);
    snprintf(domain, sizeof domain, "domain-%d", q % 22);
    snprintf(model, sizeof model, "model-%d", k);
    lmw_record_clear(r);
    r->query_id = query;
    r->workload = "bench";
    r->domain = domain;
    r->model = model;
    r->quantization = "Q4_K_M";
    r->machine = k % 2 ? "new" : "old";
    r->params = (int64_t)(size * 1e9);
    r->prompt = "hello, could you put two of the blue running shoes in size 42 into my basket";
    r->answer = "the answer is A, because of the reasons that were given above";
    r->score = lmw_rng_normal(rng) + hard[q] < 0.5 * log(size);
    r->prompt_tokens = (int64_t)prompt;
    r->completion_tokens = (int64_t)tokens;
    r->ttft_ns = (int64_t)(ttft * 1e9);
    r->latency_ns = (int64_t)(latency * 1e9);
    r->energy_valid = 1;
    r->energy_uj = (int64_t)(joules * 1e6);
    r->energy_net_uj = r->energy_uj * 7 / 10;
    r->energy_prefill_uj = r->energy_uj / 10;
    r->energy_decode_uj = r->energy_uj - r->energy_prefill_uj;
    r->energy_basis = "rapl:package-0";
    r->energy_method = "counter";
    r->flops = 2 * size * 1e9 * (prompt + tokens);
    r->memory_bytes = (int64_t)(size * 1e9);
    r->cost_usd = 1e-6 * size * tokens;
    r->extra = k % 2 ? "{\"model_date\": \"2025\"}" : "{\"model_date\": \"2024\"}";
}

static void make(struct lmw_store *s)
{
    int n_question = opt.n / opt.models;
    struct lmw_rng rng;
    struct lmw_record r;
    double *hard = calloc((size_t)n_question, sizeof *hard);
    lmw_rng_init(&rng, 1);
    for (int q = 0; hard && q < n_question; q++)
        hard[q] = lmw_rng_normal(&rng);
    for (int k = 0; hard && k < opt.models; k++) {
        char name[32];
        bool resumed;
        snprintf(name, sizeof name, "run-%02d", k);
        struct lmw_run run = lmw_run_named(name, "0123456789abcdef", "2026-01-01T00:00:00Z");
        if (lmw_store_begin_run(s, &run, &resumed, &err) < 0)
            die("making the store");
        for (int q = 0; q < n_question; q++) {
            fill(&r, &rng, k, q, hard);
            if (lmw_store_add(s, run.id, &r, &err) < 0)
                die("making the store");
        }
    }
    free(hard);
}

static double last_s;

static void lap(const char *what)
{
    double now = (double)lmw_now_ns() * 1e-9;
    if (what)
        printf("%-44s %8.3f s\n", what, now - last_s);
    last_s = now;
}

/* Of this process: what it took where others keep the machine busy. */
static double busy_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int weigh(const struct lmw_summary *rows, int n)
{
    static const enum lmw_figure over[] = {LMW_FIG_ACCURACY, LMW_FIG_ENERGY, LMW_FIG_LATENCY};
    int front = 0;
    for (int i = 0; i < n; i++) {
        int beaten = 0;
        for (int k = 0; k < n; k++)
            beaten += lmw_dominates(&rows[k], &rows[i], over, 3);
        front += beaten == 0;
    }
    return front;
}

static double route(struct lmw_store *s, const struct lmw_frame *f, struct lmw_arena *arena)
{
    static const double random[] = {0.25, 0.5, 0.75}, accuracy[] = {0.6, 0.7, 0.8, 0.9};
    static const enum lmw_semantics all[] = {LMW_PUBLISHED, LMW_SYMMETRIC, LMW_CASCADE};
    const struct lmw_sweep sweep = {random, accuracy, 3, 4, all, 3};
    const char *name[LMW_LOCAL_MAX];
    struct lmw_routes r;
    struct lmw_strategy *strategy;
    int n, cloud = f->n_run - 1;
    for (int i = 0; i < f->n_run; i++)
        name[i] = f->run[i].run.name;
    if (lmw_routes_from(&r, f, s, name, cloud, name[cloud], NULL, arena, &err) < 0 ||
        lmw_route_strategies(&r.cells, &sweep, arena, &strategy, &n, &err) < 0)
        die("routes");
    struct lmw_routed *out = LMW_NEW(arena, struct lmw_routed, (size_t)n);
    if (!out || lmw_route_simulate(&r.cells, strategy, n, out, *arena, &err) < 0)
        die("routes");
    for (int i = 0; i < n; i++) {
        if (strategy[i].kind == LMW_ORACLE)
            return out[i].saving[LMW_JOULES].value;
    }
    return NAN;
}

static void decide(struct lmw_store *s, struct lmw_arena *arena)
{
    struct lmw_frame f;
    struct lmw_summary *rows;
    struct lmw_domains d;
    struct lmw_tiers t;
    struct lmw_comparison c;
    struct lmw_run_dates *dates;
    struct lmw_trend trend;
    if (lmw_frame_load(&f, s, NULL, 0, NULL, arena, &err) < 0)
        die("load");
    lap("load");
    if (lmw_frame_summaries(&f, arena, &rows, &err) < 0)
        die("figures");
    lap("every figure, 1,000 resamples");
    if (lmw_domains_of(&f, NULL, arena, &d, &err) < 0 ||
        lmw_tiers_of(&f, &d, NULL, 0, arena, &t, &err) < 0)
        die("domains");
    lap("domains and tiers");
    weigh(rows, f.n_run);
    lap("front over three figures");
    struct lmw_regression(*lines)[LMW_N_LINE] =
        lmw_arena_alloc(arena, (size_t)f.n_run, sizeof *lines, 64);
    if (!lines || lmw_frame_lines(&f, lines, *arena, &err) < 0)
        die("regressions");
    lap("ten regressions a run, 1,000 resamples");
    if (lmw_run_dates_of(s, &f, NULL, arena, &dates, &err) < 0 ||
        lmw_trend_of(&f, rows, dates, false, arena, &trend, &err) < 0)
        die("trend");
    lap("trend");
    if (f.n_run > 1 && lmw_compare(&f, 0, f.n_run - 1, arena, &c, &err) < 0)
        die("comparison");
    lap("one comparison");
    double saved = f.n_run > 1 ? route(s, &f, arena) : (double)NAN;
    lap("routing: all strategies, 1,000 resamples");
    printf(
        "%zu records, %d questions, run 0: IPJ %.6g [%.6g, %.6g], best of local %.6f, the oracle "
        "saves %.6f\n",
        f.n, f.n_query, rows[0].ipj.value, rows[0].ipj.lower, rows[0].ipj.upper,
        d.traffic[lmw_local_column(&d)].value, saved);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--n") == 0)
            opt.n = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--models") == 0)
            opt.models = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--db") == 0)
            opt.db = argv[i + 1];
    }
    if (opt.models < 1 || opt.n < opt.models)
        opt.models = opt.n = 1;
}

int main(int argc, char **argv)
{
    struct lmw_store *s;
    struct lmw_arena arena;
    struct stat st;
    struct rusage used;
    char made[] = "/tmp/bench-insight-XXXXXX", path_of[64], command[96];
    parse(argc, argv);
    if (!opt.db && !mkdtemp(made))
        return 1;
    snprintf(path_of, sizeof path_of, "%s/s.db", made);
    const char *path = opt.db ? opt.db : path_of;
    bool there = stat(path, &st) == 0;
    if (lmw_arena_open(&arena, (size_t)64 << 30, &err) < 0 || lmw_store_open(&s, path, &err) < 0)
        die("opening");
    lap(NULL);
    if (!there) {
        make(s);
        lap("making the records (not part of it)");
    }
    double from_s = last_s, busy_from_s = busy_s();
    decide(s, &arena);
    getrusage(RUSAGE_SELF, &used);
    printf("%-44s %8.3f s, %.3f s of a processor, %ld MB at most\n", "in all", last_s - from_s,
           busy_s() - busy_from_s, used.ru_maxrss / 1024);
    lmw_store_close(s);
    snprintf(command, sizeof command, "rm -r %s", made);
    return opt.db ? 0 : system(command);
}
