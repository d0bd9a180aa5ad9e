/* llama-bench of llama.cpp, `-o json` (an array) and `-o jsonl`: speeds of one model with one
 * set of settings an object, several repetitions each. Fields as build 11669 writes them
 * (tools/llama-bench/README.md describes older ones, which lack some).
 *
 * Each repetition is a record: the test's name as its table has it ("pp512", "tg128",
 * "pp512+tg128", "pp512 @ d4096") is the query, the repetition `repeat`, its time the latency.
 * Nothing was answered, so there is no score; when the first token came is not told. Another model
 * or another setting (threads, layers on the GPU, ...) is another part. */
#include "store/foreign.h"

#include <inttypes.h>
#include <stdio.h>

/* What differs between objects of one part, or follows from the machine; the rest are settings. */
static const char *const no_setting[] = {
    "n_prompt",   "n_gen",          "n_depth",    "test_time",  "avg_ns",         "stddev_ns",
    "avg_ts",     "stddev_ts",      "samples_ns", "samples_ts", "model_filename", "model_type",
    "model_size", "model_n_params", "cpu_info",   "gpu_info",   "build_commit",   "build_number",
    NULL};
/* What a record has its own fields for, or would be said once for each repetition. */
static const char *const taken[] = {"n_prompt",   "n_gen",          "test_time", "avg_ns",
                                    "stddev_ns",  "avg_ts",         "stddev_ts", "samples_ns",
                                    "samples_ts", "model_n_params", NULL};

bool lmw_is_llama_bench(const struct lmw_json_value *o)
{
    struct lmw_json_value v;
    return lmw_foreign_at(o, &v, "model_filename", NULL) && lmw_foreign_at(o, &v, "avg_ns", NULL);
}

static int64_t count(const struct lmw_json_value *o, const char *name)
{
    struct lmw_json_value v;
    int64_t n = lmw_foreign_at(o, &v, name, NULL) ? lmw_foreign_int(&v, 1) : 0;
    return n > 0 ? n : 0;
}

static const char *test_name(const struct lmw_json_value *o, struct lmw_arena *arena)
{
    char name[96] = "";
    int64_t n_prompt = count(o, "n_prompt"), n_gen = count(o, "n_gen"),
            n_depth = count(o, "n_depth");
    size_t at = 0;
    if (n_prompt)
        at += (size_t)snprintf(name, sizeof name, "pp%" PRId64, n_prompt);
    if (n_gen)
        at += (size_t)snprintf(name + at, sizeof name - at, "%stg%" PRId64, at ? "+" : "", n_gen);
    if (n_depth)
        snprintf(name + at, sizeof name - at, " @ d%" PRId64, n_depth);
    return *name ? lmw_arena_str(arena, lmw_str_from(name)) : NULL;
}

/* "models/7B/ggml-model-q4_0.gguf" is ggml-model-q4_0. */
static const char *model_of(const struct lmw_json_value *o, struct lmw_arena *arena)
{
    struct lmw_json_value v;
    if (!lmw_foreign_at(o, &v, "model_filename", NULL))
        return NULL;
    char *name = (char *)lmw_foreign_text(&v, arena), *slash = name ? strrchr(name, '/') : NULL;
    name = slash ? slash + 1 : name;
    if (name)
        name[lmw_str_stem(lmw_str_from(name), ".gguf").len] = 0;
    return name;
}

/* The end of "llama 7B mostly Q4_0", "qwen2 1.5B Q4_K - Medium" (Q4_K_M). */
static const char *quantization_of(const struct lmw_json_value *o, struct lmw_arena *arena)
{
    struct lmw_json_value v;
    char *type =
        lmw_foreign_at(o, &v, "model_type", NULL) ? (char *)lmw_foreign_text(&v, arena) : NULL;
    if (!type)
        return NULL;
    char *dash = strstr(type, " - "), size = dash ? dash[3] : 0;
    if (dash)
        *dash = 0;
    char *space = strrchr(type, ' '), *name = space ? space + 1 : type;
    if (size == 'S' || size == 'M' || size == 'L') /* the blank and the dash leave room */
        snprintf(name + strlen(name), 3, "_%c", size);
    return name;
}

/* Everything that was chosen, hashed. */
static const char *settings_hash(const struct lmw_json_value *o, struct lmw_arena *arena)
{
    const char *settings = lmw_foreign_rest(o, no_setting, arena);
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, lmw_str_hash(lmw_str_from(settings)));
    return lmw_arena_str(arena, lmw_str_from(hash));
}

static const char *machine_of(const struct lmw_json_value *o, struct lmw_arena *arena)
{
    struct lmw_json_value v;
    bool on_gpu = lmw_foreign_at(o, &v, "gpu_info", NULL) && v.text.len > 0;
    return on_gpu || lmw_foreign_at(o, &v, "cpu_info", NULL) ? lmw_foreign_text(&v, arena) : NULL;
}

static void describe(const struct lmw_json_value *o, struct lmw_record *r, struct lmw_arena *arena)
{
    struct lmw_json_value v;
    lmw_record_clear(r);
    r->query_id = test_name(o, arena);
    r->workload = r->backend = "llama-bench";
    r->model = model_of(o, arena);
    r->quantization = quantization_of(o, arena);
    if (lmw_foreign_at(o, &v, "model_n_params", NULL))
        r->params = lmw_foreign_int(&v, 1);
    r->machine = machine_of(o, arena);
    r->date = lmw_foreign_at(o, &v, "test_time", NULL) ? lmw_foreign_text(&v, arena) : NULL;
    r->settings_hash = settings_hash(o, arena);
    r->prompt_tokens = count(o, "n_prompt");
    r->completion_tokens = count(o, "n_gen");
    r->extra = lmw_foreign_rest(o, taken, arena);
}

int lmw_llama_bench_read(struct feed *s, lmw_str piece, take_fn *take, void *arg,
                         struct lmw_err *err)
{
    struct lmw_json_value o, times, v;
    struct lmw_record r;
    char part[96];
    int rc = lmw_foreign_object(piece, &o, s->arena, err), n = 0;
    if (rc < 0)
        return rc;
    describe(&o, &r, s->arena);
    if (!r.query_id || !r.model || !r.settings_hash)
        return lmw_fail(err, LMW_EFORMAT,
                        "no 'model_filename', or neither 'n_prompt' nor 'n_gen' "
                        "over 0: is this of llama-bench?");
    snprintf(part, sizeof part, "%.80s-%.8s", r.model, r.settings_hash);
    const char *kept = lmw_arena_str(s->arena, lmw_str_from(part));
    if (!lmw_foreign_at(&o, &times, "samples_ns", NULL))
        times.kind = LMW_JSON_NULL;
    for (; rc == LMW_OK && lmw_json_item(&times, n, &v); n++) {
        r.repeat = n;
        r.latency_ns = lmw_foreign_int(&v, 1);
        rc = take(arg, &r, kept, err);
    }
    if (n > 0)
        return rc;
    r.latency_ns = lmw_foreign_at(&o, &v, "avg_ns", NULL) ? lmw_foreign_int(&v, 1) : LMW_NULL;
    return take(arg, &r, kept, err);
}
