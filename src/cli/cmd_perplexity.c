/* lmwatt perplexity: how surprised a model is by a text. */
#include "base/file.h"
#include "cli/cli.h"
#include "cli/model_opts.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct ppl {
    const char *model, *file;
    int64_t n_ctx, n_thread;
    bool is_json;
};

static int parse(struct ppl *p, int argc, char **argv)
{
    const struct opt opts[] = {
        {"model", 'm', OPT_STR, &p->model, "FILE", "the model, a GGUF file"},
        {"file", 'f', OPT_STR, &p->file, "FILE", "the text"},
        {"ctx", 'c', OPT_INT, &p->n_ctx, "N", "window (default 512, at most the model's)"},
        {"threads", 't', OPT_INT, &p->n_thread, "N", "default 0: one per processor"},
        {"json", 0, OPT_FLAG, &p->is_json, NULL, "one JSON object instead of text"},
        {0},
    };
    const struct command_help help = {
        "lmwatt perplexity -m FILE -f TEXT [OPTIONS]",
        "Perplexity of a text: exp of the mean negative log-likelihood of its tokens, in windows with a\n"
        "fresh context each; a window's first token is not scored.",
        "lmwatt perplexity -m models/shop-intents-F16.gguf -f notes.txt"};
    int rc = opts_parse(opts, &help, argc, argv, NULL);
    if (rc >= 0)
        return rc;
    if (!p->model || !p->file)
        return cli_usage(argv[0], "needs --%s", p->model ? "file" : "model");
    if (p->n_ctx < 0 || p->n_ctx > INT_MAX || p->n_thread < 0 || p->n_thread > 1024)
        return cli_usage(argv[0], "--ctx starts at 0, --threads takes 0..1024");
    return -1;
}

struct score {
    int n_ids, n_scored, n_ctx;
    double ppl, stderr_ln; /* of ln ppl */
};

/* The standard error of the mean of the values there are. */
static void summarise(const float *nll, struct score *s)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < s->n_ids; i++) {
        if (isnan(nll[i]))
            continue;
        sum += (double)nll[i];
        squares += (double)nll[i] * (double)nll[i];
        s->n_scored++;
    }
    double n = s->n_scored, mean = sum / n;
    s->stderr_ln = n > 1 ? sqrt(fmax(0, squares / n - mean * mean) / (n - 1)) : (double)NAN;
}

static int run(struct lmw_engine *e, const struct ppl *p, const int32_t *ids, struct score *out,
               struct lmw_err *err)
{
    struct lmw_session *s = NULL;
    int n_train = lmw_engine_info(e)->n_ctx_train;
    float *nll = malloc(((size_t)out->n_ids + 1) * sizeof *nll);
    if (!nll)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d tokens", out->n_ids);
    out->n_ctx = p->n_ctx ? (int)p->n_ctx : n_train < 512 ? n_train : 512;
    int rc = lmw_session_open(&s, e, out->n_ctx, err);
    if (rc == LMW_OK)
        rc = lmw_perplexity(s, ids, out->n_ids, &out->ppl, nll, err);
    if (rc == LMW_OK)
        summarise(nll, out);
    lmw_session_close(s);
    free(nll);
    return rc;
}

static int show(const struct lmw_engine *e, const struct ppl *p, const struct score *s)
{
    const struct lmw_model_info *info = lmw_engine_info(e);
    if (p->is_json)
        return cli_json_print(
            json_pack("{s:f, s:o, s:i, s:i, s:i, s:s, s:s, s:s}", "perplexity", s->ppl,
                      "stderr_ln", isnan(s->stderr_ln) ? json_null() : json_real(s->stderr_ln),
                      "tokens", s->n_ids, "scored", s->n_scored, "ctx", s->n_ctx, "model",
                      info->name, "quantization", info->quantization, "level", info->level));
    printf("perplexity %.4f", s->ppl);
    if (!isnan(s->stderr_ln))
        printf(" ± %.4f", s->ppl * s->stderr_ln);
    printf("  (%d tokens scored of %d, windows of %d; %s %s, %s)\n", s->n_scored, s->n_ids,
           s->n_ctx, info->name, info->quantization, info->level);
    return 0;
}

int cmd_perplexity(int argc, char **argv)
{
    struct ppl p = {0};
    struct score s = {0};
    struct lmw_engine *e = NULL;
    struct lmw_buf text = {0};
    struct lmw_err err;
    int32_t *ids = NULL;
    int rc = parse(&p, argc, argv);
    if (rc >= 0)
        return rc;
    if (cli_engine_open(&e, p.model, p.n_thread, &err) < 0 ||
        lmw_file_read(p.file, (size_t)1 << 30, &text, &err) < 0 ||
        cli_tokenize(e, (lmw_str){text.ptr, text.len}, &ids, &s.n_ids, &err) < 0 ||
        run(e, &p, ids, &s, &err) < 0)
        rc = cli_fail(&err);
    else
        rc = show(e, &p, &s);
    free(ids);
    lmw_buf_free(&text);
    lmw_engine_close(e);
    return rc;
}
