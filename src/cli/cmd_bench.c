/* lmwatt bench: how fast a model is on this machine, and how far from the machine's limits.
 *
 * Prefill evaluates a prompt of random ids from an empty context, decode evaluates ids one at a
 * time from an empty context with logits each (llama-bench's pp and tg). Thread counts alternate
 * within each repeat, so that a slow spell of the machine hits them alike; medians are reported
 * with the range. The share inside the matrix kernels comes from one more run of each, with the
 * clocks on.
 *
 * Bytes read: decode reads every weight once a token, so tok/s x weight bytes is the rate at which
 * weights flow. It is set beside the memory's: the best of several sums over a buffer larger than
 * any cache, by the same threads. Weights that stay in a cache can exceed it. */
#include "base/clock.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/stat.h"
#include "cli/cli.h"
#include "cli/model_opts.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REPEAT = 1000, MAX_CONFIG = 16, MEMORY_BYTES = 256 << 20, MEMORY_ROUNDS = 5 };

struct bench {
    const char *model, *threads;
    int64_t n_prompt, n_decode, n_repeat;
    bool is_json;
    int n_config;
};

struct config {
    int64_t n_thread; /* as asked; 0: all */
    struct lmw_engine *engine;
    struct lmw_session *session;
    double prefill[MAX_REPEAT], decode[MAX_REPEAT]; /* tok/s; sorted by the summary */
    double prefill_share, decode_share;
    double memory; /* bytes/s */
};

static int parse(struct bench *b, int argc, char **argv)
{
    const struct opt opts[] = {
        {"model", 'm', OPT_STR, &b->model, "FILE", "the model, a GGUF file"},
        {"prompt", 'p', OPT_INT, &b->n_prompt, "N", "prompt tokens (default 512; 0: no prefill)"},
        {"n-decode", 'n', OPT_INT, &b->n_decode, "N", "decoded tokens (default 128; 0: none)"},
        {"repeats", 'r', OPT_INT, &b->n_repeat, "N", "of each measurement (default 5)"},
        {"threads", 't', OPT_STR, &b->threads, "LIST",
         "such as 1,2,4: each of these (default: all)"},
        {"json", 0, OPT_FLAG, &b->is_json, NULL, "one JSON object instead of a table"},
        {0},
    };
    const struct command_help help = {
        "lmwatt bench -m FILE [OPTIONS]",
        "Prefill and decode speed, the share of time in the matrix kernels, and weight bytes read\n"
        "against the memory's measured read rate.",
        "lmwatt bench -m models/shop-intents-F16.gguf -p 512 -n 128 -t 1,2"};
    int rc = opts_parse(opts, &help, argc, argv, NULL);
    if (rc >= 0)
        return rc;
    if (!b->model)
        return cli_usage(argv[0], "needs --model");
    if (b->n_prompt < 0 || b->n_decode < 0 || b->n_prompt > 1 << 20 || b->n_decode > 1 << 20 ||
        b->n_prompt + b->n_decode == 0)
        return cli_usage(argv[0], "--prompt and --n-decode take 0..%d, not both 0", 1 << 20);
    if (b->n_repeat < 1 || b->n_repeat > MAX_REPEAT)
        return cli_usage(argv[0], "--repeats takes 1..%d", MAX_REPEAT);
    return -1;
}

/* "1,2,4" -> configs. */
static int parse_threads(struct bench *b, struct config *configs, const char *command)
{
    char *end;
    if (!b->threads) {
        b->n_config = 1;
        return -1;
    }
    for (const char *at = b->threads;; at = end + 1) {
        long n = strtol(at, &end, 10);
        if (end == at || n < 1 || n > 1024 || (*end && *end != ','))
            return cli_usage(command, "--threads takes numbers like 1,2,4, not '%s'", b->threads);
        if (b->n_config == MAX_CONFIG)
            return cli_usage(command, "--threads takes at most %d numbers", MAX_CONFIG);
        configs[b->n_config++].n_thread = n;
        if (!*end)
            return -1;
    }
}

static int prefill(struct config *c, const int32_t *ids, int n, double *rate, struct lmw_err *err)
{
    lmw_session_truncate(c->session, 0);
    int64_t t0 = lmw_now_ns();
    int rc = lmw_session_eval(c->session, ids, n, LMW_LOGITS_LAST, err);
    *rate = n * 1e9 / (double)(lmw_now_ns() - t0);
    return rc;
}

static int decode(struct config *c, const int32_t *ids, int n, double *rate, struct lmw_err *err)
{
    int rc = LMW_OK;
    lmw_session_truncate(c->session, 0);
    int64_t t0 = lmw_now_ns();
    for (int i = 0; i < n && rc == LMW_OK; i++)
        rc = lmw_session_eval(c->session, ids + i, 1, LMW_LOGITS_LAST, err);
    *rate = n * 1e9 / (double)(lmw_now_ns() - t0);
    return rc;
}

static double share(struct lmw_engine *e)
{
    int64_t matmul_ns, total_ns;
    lmw_engine_profile(e, &matmul_ns, &total_ns);
    return total_ns ? (double)matmul_ns / (double)total_ns : 0;
}

/* One run of each with the engine's clocks on. */
static int profile(const struct bench *b, struct config *c, const int32_t *ids,
                   struct lmw_err *err)
{
    double rate;
    int rc;
    share(c->engine);
    if ((rc = prefill(c, ids, (int)b->n_prompt, &rate, err)) < 0)
        return rc;
    c->prefill_share = share(c->engine);
    if ((rc = decode(c, ids, (int)b->n_decode, &rate, err)) < 0)
        return rc;
    c->decode_share = share(c->engine);
    return LMW_OK;
}

struct sum_job {
    const uint64_t *x;
    volatile uint64_t sums[1024];
};

/* As the kernels read: asking for what comes 16 KB later, because the hardware's own prefetchers
 * stop at each page. */
static void sum_share(void *arg, int i, int n)
{
    enum { AHEAD = 16384 / 8 };
    struct sum_job *job = arg;
    int64_t from, to;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    lmw_pool_share(MEMORY_BYTES / 8, 4, i, n, &from, &to);
    for (const uint64_t *x = job->x + from, *end = job->x + to; x < end; x += 4) {
        __builtin_prefetch(x + AHEAD, 0, 2);
        a += x[0];
        b += x[1];
        c += x[2];
        d += x[3];
    }
    job->sums[i] = a + b + c + d;
}

/* Bytes a second n threads read from memory; the best of some rounds. */
static int memory_rate(int n_thread, double *out, struct lmw_err *err)
{
    struct sum_job job = {0};
    struct lmw_pool *pool;
    uint64_t *x = malloc(MEMORY_BYTES);
    if (!x)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the bandwidth measurement");
    int rc = lmw_pool_open(&pool, n_thread, err);
    if (rc < 0) {
        free(x);
        return rc;
    }
    memset(x, 1, MEMORY_BYTES);
    job.x = x;
    *out = 0;
    for (int i = 0; i < MEMORY_ROUNDS; i++) {
        int64_t t0 = lmw_now_ns();
        lmw_pool_run(pool, sum_share, &job);
        double rate = MEMORY_BYTES * 1e9 / (double)(lmw_now_ns() - t0);
        *out = rate > *out ? rate : *out;
    }
    lmw_pool_close(pool);
    free(x);
    return LMW_OK;
}

static int open_configs(const struct bench *b, struct config *configs, struct lmw_err *err)
{
    int n_ctx = (int)(b->n_prompt > b->n_decode ? b->n_prompt : b->n_decode), rc;
    for (int i = 0; i < b->n_config; i++) {
        struct config *c = &configs[i];
        if ((rc = cli_engine_open(&c->engine, b->model, c->n_thread, err)) < 0 ||
            (rc = lmw_session_open(&c->session, c->engine, n_ctx, err)) < 0)
            return rc;
        c->n_thread = lmw_engine_info(c->engine)->n_thread;
        if ((rc = memory_rate((int)c->n_thread, &c->memory, err)) < 0)
            return rc;
    }
    return LMW_OK;
}

static int measure(const struct bench *b, struct config *configs, const int32_t *ids,
                   struct lmw_err *err)
{
    int rc;
    double warm_up;
    for (int r = -1; r < b->n_repeat; r++) {
        for (int i = 0; i < b->n_config; i++) {
            struct config *c = &configs[i];
            cli_progress("repeat %d of %d, %d threads", r + 1, (int)b->n_repeat, (int)c->n_thread);
            if ((rc = prefill(c, ids, (int)b->n_prompt, r < 0 ? &warm_up : &c->prefill[r], err)) <
                    0 ||
                (rc = decode(c, ids, (int)b->n_decode, r < 0 ? &warm_up : &c->decode[r], err)) < 0)
                return rc;
        }
    }
    for (int i = 0; i < b->n_config; i++)
        if ((rc = profile(b, &configs[i], ids, err)) < 0)
            return rc;
    cli_progress_end();
    return LMW_OK;
}

/* --- showing it --- */

static json_t *spread_json(double *x, int64_t n, int64_t n_tok)
{
    if (n_tok == 0)
        return json_null();
    lmw_sort(x, (size_t)n);
    double median = lmw_quantile_sorted(x, (size_t)n, 0.5);
    return json_pack("{s:f, s:f, s:f}", "median", median, "min", x[0], "max", x[n - 1]);
}

static int print_json(const struct bench *b, struct config *configs)
{
    const struct lmw_model_info *info = lmw_engine_info(configs[0].engine);
    json_t *results = json_array();
    for (int i = 0; i < b->n_config; i++) {
        struct config *c = &configs[i];
        json_t *decode = spread_json(c->decode, b->n_repeat, b->n_decode);
        double read =
            json_real_value(json_object_get(decode, "median")) * (double)info->weight_bytes;
        json_array_append_new(results,
                              json_pack("{s:I, s:o, s:o, s:o, s:o, s:f, s:o}", "threads",
                                        (json_int_t)c->n_thread, "prefill_tok_s",
                                        spread_json(c->prefill, b->n_repeat, b->n_prompt),
                                        "decode_tok_s", decode, "prefill_matmul_share",
                                        b->n_prompt ? json_real(c->prefill_share) : json_null(),
                                        "decode_matmul_share",
                                        b->n_decode ? json_real(c->decode_share) : json_null(),
                                        "memory_bytes_s", c->memory, "memory_fraction",
                                        b->n_decode ? json_real(read / c->memory) : json_null()));
    }
    return cli_json_print(json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "model", info->name, "architecture",
        info->arch, "quantization", info->quantization, "level", info->level, "params",
        (json_int_t)info->n_param, "weight_bytes", (json_int_t)info->weight_bytes, "n_prompt",
        (json_int_t)b->n_prompt, "n_decode", (json_int_t)b->n_decode, "repeats",
        (json_int_t)b->n_repeat, "results", results));
}

static void show_rate(double *x, int64_t n, int64_t n_tok, double matmul_share)
{
    if (n_tok == 0) {
        printf("  %31s", "-");
        return;
    }
    lmw_sort(x, (size_t)n);
    double median = lmw_quantile_sorted(x, (size_t)n, 0.5);
    printf("  %9.1f (%.1f..%.1f) %3.0f%%", median, x[0], x[n - 1], 100 * matmul_share);
}

static int print_table(const struct bench *b, struct config *configs)
{
    const struct lmw_model_info *info = lmw_engine_info(configs[0].engine);
    printf("%s %s: %.1f M parameters, %.1f MB of weights a token, kernels %s\n", info->name,
           info->quantization, (double)info->n_param / 1e6, (double)info->weight_bytes / 1e6,
           info->level);
    printf("threads  prefill %lld tok/s, matmul   decode %lld tok/s, matmul   weights read\n",
           (long long)b->n_prompt, (long long)b->n_decode);
    for (int i = 0; i < b->n_config; i++) {
        struct config *c = &configs[i];
        printf("%7d", (int)c->n_thread);
        show_rate(c->prefill, b->n_repeat, b->n_prompt, c->prefill_share);
        show_rate(c->decode, b->n_repeat, b->n_decode, c->decode_share);
        if (b->n_decode) {
            double read =
                lmw_quantile(c->decode, (size_t)b->n_repeat, 0.5) * (double)info->weight_bytes;
            printf("  %.2f GB/s, %.0f%% of memory's %.1f", read / 1e9, 100 * read / c->memory,
                   c->memory / 1e9);
        }
        putchar('\n');
    }
    return 0;
}

static int32_t *random_ids(const struct bench *b, const struct config *c)
{
    int64_t n = b->n_prompt > b->n_decode ? b->n_prompt : b->n_decode;
    int32_t *ids = malloc((size_t)n * sizeof *ids);
    struct lmw_rng rng;
    lmw_rng_init(&rng, 1);
    for (int64_t i = 0; ids && i < n; i++)
        ids[i] = (int32_t)lmw_rng_below(&rng, (uint32_t)lmw_engine_info(c->engine)->n_vocab);
    return ids;
}

int cmd_bench(int argc, char **argv)
{
    struct bench b = {.n_prompt = 512, .n_decode = 128, .n_repeat = 5};
    struct lmw_err err;
    int32_t *ids = NULL;
    int rc = parse(&b, argc, argv);
    if (rc >= 0)
        return rc;
    struct config *configs = calloc(MAX_CONFIG, sizeof *configs);
    if (!configs)
        return cli_fail(&(struct lmw_err){LMW_ENOMEM, "no memory"});
    if ((rc = parse_threads(&b, configs, argv[0])) < 0) {
        if (open_configs(&b, configs, &err) < 0)
            rc = cli_fail(&err);
        else if (!(ids = random_ids(&b, &configs[0])))
            rc = cli_fail(&(struct lmw_err){LMW_ENOMEM, "no memory for the prompt"});
        else if (measure(&b, configs, ids, &err) < 0)
            rc = cli_fail(&err);
        else
            rc = b.is_json ? print_json(&b, configs) : print_table(&b, configs);
    }
    for (int i = 0; i < b.n_config; i++) {
        lmw_session_close(configs[i].session);
        lmw_engine_close(configs[i].engine);
    }
    free(configs);
    free(ids);
    return rc;
}
