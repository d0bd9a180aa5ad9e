/* lmwatt generate: one prompt, one answer, streamed as it is written, then one line on stderr that
 * says what it took: tokens, time, joules. */
#include "base/file.h"
#include "cli/cli.h"
#include "cli/model_opts.h"
#include "meter/meter.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct generate {
    const char *model, *prompt, *meter;
    int64_t n_max, top_k, seed, n_thread, n_ctx;
    double temperature, top_p, min_p;
    bool is_raw, is_json;
};

static int parse(struct generate *g, int argc, char **argv)
{
    const struct opt opts[] = {
        {"model", 'm', OPT_STR, &g->model, "FILE", "the model, a GGUF file"},
        {"prompt", 'p', OPT_STR, &g->prompt, "TEXT", "what to say to it; - reads standard input"},
        {"n-max", 'n', OPT_INT, &g->n_max, "N", "at most N tokens (default 256)"},
        {"temp", 0, OPT_REAL, &g->temperature, "T", "0 is greedy (default 0)"},
        {"top-k", 0, OPT_INT, &g->top_k, "K", "keep the K likeliest tokens (default 0: all)"},
        {"top-p", 0, OPT_REAL, &g->top_p, "P", "keep the likeliest up to mass P (default 1: all)"},
        {"min-p", 0, OPT_REAL, &g->min_p, "P", "drop below P of the likeliest (default 0: none)"},
        {"seed", 0, OPT_INT, &g->seed, "N", "of the random draws (default 1)"},
        {"threads", 't', OPT_INT, &g->n_thread, "N", "default 0: one per processor"},
        {"ctx", 'c', OPT_INT, &g->n_ctx, "N", "context in tokens (default: what this needs)"},
        {"meter", 0, OPT_STR, &g->meter, "SPEC", "default auto; see `lmwatt meters --help`"},
        {"raw", 0, OPT_FLAG, &g->is_raw, NULL, "the prompt as it is, without the chat template"},
        {"json", 0, OPT_FLAG, &g->is_json, NULL, "one JSON object instead of text"},
        {0},
    };
    const struct command_help help = {
        "lmwatt generate -m FILE -p TEXT [OPTIONS]",
        "Writes the model's answer to a prompt on stdout, and on stderr its speed and joules.",
        "lmwatt generate -m models/shop-intents-F16.gguf -p 'where is my order 4711?'"};
    int rc = opts_parse(opts, &help, argc, argv, NULL);
    if (rc >= 0)
        return rc;
    if (!g->model || !g->prompt)
        return cli_usage(argv[0], "needs --%s", g->model ? "prompt" : "model");
    if (g->n_max < 1 || g->n_max > INT_MAX / 2 || g->n_ctx < 0 || g->n_ctx > INT_MAX / 2)
        return cli_usage(argv[0], "--n-max starts at 1 and --ctx at 0");
    if (g->n_thread < 0 || g->n_thread > 1024)
        return cli_usage(argv[0], "--threads takes 0..1024");
    return cli_check_sampling(argv[0], g->temperature, g->top_p, g->min_p);
}

/* The prompt's text, with the model's chat template around it unless raw. */
static int prompt_text(const struct lmw_engine *e, const struct generate *g, struct lmw_buf *out,
                       struct lmw_err *err)
{
    struct lmw_buf in = {0};
    int rc = LMW_OK;
    if (strcmp(g->prompt, "-") == 0)
        rc = lmw_file_read("/dev/stdin", 64 << 20, &in, err);
    else
        lmw_buf_str(&in, g->prompt);
    lmw_str text = {in.ptr, in.len};
    if (rc == LMW_OK && g->is_raw)
        lmw_buf_put(out, text.ptr, text.len);
    else if (rc == LMW_OK)
        rc = lmw_engine_prompt(e, text, out, err);
    lmw_buf_free(&in);
    return rc < 0 || !out->failed ? rc : lmw_fail(err, LMW_ENOMEM, "no memory for the prompt");
}

/* ---- one answer and its cost ---- */

struct metered {
    struct lmw_meter *meter;
    struct lmw_span span;
    struct lmw_energy energy;
    bool is_shown;
};

static int on_token(void *arg, int32_t id, lmw_str piece, int64_t t_ns)
{
    struct metered *m = arg;
    if (m->span.first_ns == LMW_NULL)
        m->span.first_ns = lmw_meter_mark(m->meter);
    if (!m->is_shown)
        return 0;
    fwrite(piece.ptr, 1, piece.len, stdout);
    return fflush(stdout) != 0;
}

static double per_second(int n, int64_t t_ns)
{
    return t_ns > 0 ? n * 1e9 / (double)t_ns : 0;
}

/* " · ~0.21 J [0.10, 0.32]", or why there are none. */
static void show_joules(const struct metered *m)
{
    const struct lmw_energy *e = &m->energy;
    const bool modelled = e->method && strcmp(e->method, "estimate") == 0;
    if (e->valid)
        fprintf(stderr, " · %s%.3g J [%.3g, %.3g]", modelled ? "~" : "",
                (double)e->energy_uj * 1e-6, (double)e->lower_uj * 1e-6,
                (double)e->upper_uj * 1e-6);
    else
        fprintf(stderr, " · no joules (%s)", e->reason);
}

static void show_cost(const struct lmw_engine *e, const struct lmw_answer *a,
                      const struct metered *m)
{
    const struct lmw_model_info *info = lmw_engine_info(e);
    fprintf(stderr, "\n%d prompt tokens", a->n_prompt);
    fprintf(stderr, " at %.0f tok/s", per_second(a->n_prompt, a->t_first_ns - a->t_start_ns));
    fprintf(stderr, " · %d answer tokens", a->n_answer);
    if (a->n_answer > 1)
        fprintf(stderr, " at %.1f tok/s",
                per_second(a->n_answer - 1 + !a->hit_limit, a->t_end_ns - a->t_first_ns));
    fprintf(stderr, " · %.0f ms", (double)(a->t_end_ns - a->t_start_ns) / 1e6);
    show_joules(m);
    fprintf(stderr, " · %s %s, %s, %d thread%s%s\n", info->name, info->quantization, info->level,
            info->n_thread, info->n_thread > 1 ? "s" : "",
            a->hit_limit ? " · stopped by the limit" : "");
}

static json_t *joules(const struct lmw_energy *e, int64_t uj)
{
    return e->valid ? json_integer(uj) : json_null();
}

static int print_json(const struct lmw_engine *e, const struct lmw_answer *a,
                      const struct metered *m, lmw_str text)
{
    const struct lmw_model_info *info = lmw_engine_info(e);
    const struct lmw_energy *j = &m->energy;
    return cli_json_print(json_pack(
        "{s:o, s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:I, s:b, s:o, s:o, s:o, s:s, s:o}", "answer",
        cli_json_text(text), "model", info->name, "quantization", info->quantization, "level",
        info->level, "threads", info->n_thread, "prompt_tokens", a->n_prompt, "completion_tokens",
        a->n_answer, "ttft_ns", (json_int_t)(a->t_first_ns - a->t_start_ns), "latency_ns",
        (json_int_t)(a->t_end_ns - a->t_start_ns), "hit_limit", a->hit_limit, "energy_uj",
        joules(j, j->energy_uj), "energy_lower_uj", joules(j, j->lower_uj), "energy_upper_uj",
        joules(j, j->upper_uj), "power_source", lmw_meter_basis(m->meter), "energy_reason",
        j->valid ? json_null() : json_string(j->reason)));
}

/* The answer between two marks; its joules, once the counters have moved on. */
static int answer_metered(struct lmw_session *s, const int32_t *ids, int n_ids,
                          const struct lmw_answer_opts *opts, struct metered *m,
                          struct lmw_buf *text, struct lmw_answer *a, struct lmw_err *err)
{
    int rc = lmw_meter_start(m->meter, err);
    if (rc < 0)
        return rc;
    m->span = (struct lmw_span){lmw_meter_mark(m->meter), LMW_NULL, LMW_NULL};
    if ((rc = lmw_session_answer(s, ids, n_ids, opts, text, a, err)) < 0)
        return rc;
    return lmw_meter_end(m->meter, &m->span, &m->energy, err);
}

static int answer(struct lmw_engine *e, const struct generate *g, const int32_t *ids, int n_ids,
                  struct metered *m, struct lmw_err *err)
{
    struct lmw_answer_opts opts = {
        .n_max = (int)g->n_max,
        .sampler = {.temperature = (float)g->temperature,
                    .top_p = (float)g->top_p,
                    .min_p = (float)g->min_p,
                    .top_k = g->top_k > INT_MAX ? INT_MAX : (int)g->top_k},
        .on_token = on_token,
        .arg = m,
    };
    struct lmw_answer a = {0};
    struct lmw_buf text = {0};
    struct lmw_session *s = NULL;
    int64_t n_ctx = g->n_ctx ? g->n_ctx : n_ids + g->n_max;
    lmw_rng_init(&opts.sampler.rng, (uint64_t)g->seed);
    int rc = lmw_session_open(&s, e, n_ctx > INT_MAX ? INT_MAX : (int)n_ctx, err);
    if (rc == LMW_OK)
        rc = answer_metered(s, ids, n_ids, &opts, m, &text, &a, err);
    if (rc == LMW_OK && g->is_json)
        rc = print_json(e, &a, m, (lmw_str){text.ptr, text.len});
    else if (rc == LMW_OK)
        show_cost(e, &a, m);
    lmw_session_close(s);
    lmw_buf_free(&text);
    return rc;
}

static int open_meter(struct metered *m, const struct generate *g, struct lmw_err *err)
{
    const char *root = getenv("LMW_SYSROOT");
    struct lmw_meter_opts opts = {.sysroot = root ? root : "", .sources = g->meter};
    m->is_shown = !g->is_json;
    return lmw_meter_open(&m->meter, &opts, err);
}

int cmd_generate(int argc, char **argv)
{
    struct generate g = {.n_max = 256, .seed = 1, .top_p = 1, .meter = "auto"};
    struct metered m = {0};
    struct lmw_engine *e = NULL;
    struct lmw_buf prompt = {0};
    struct lmw_err err;
    int32_t *ids = NULL;
    int n_ids, rc = parse(&g, argc, argv);
    if (rc >= 0)
        return rc;
    if (open_meter(&m, &g, &err) < 0 || cli_engine_open(&e, g.model, g.n_thread, &err) < 0 ||
        prompt_text(e, &g, &prompt, &err) < 0 ||
        cli_tokenize(e, (lmw_str){prompt.ptr, prompt.len}, &ids, &n_ids, &err) < 0 ||
        (rc = answer(e, &g, ids, n_ids, &m, &err)) < 0)
        rc = cli_fail(&err);
    free(ids);
    lmw_buf_free(&prompt);
    lmw_engine_close(e);
    lmw_meter_close(m.meter);
    return rc;
}
