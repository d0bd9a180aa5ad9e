/* lmwatt quantize: a model in another tensor format, and what that saved. */
#include "base/str.h"
#include "cli/cli.h"
#include "cli/model_opts.h"
#include "engine/engine.h"
#include "engine/gguf.h"

#include <inttypes.h>
#include <stdio.h>

/* A file's size and what it is made of. */
struct tally {
    size_t bytes;
    int64_t n_param;
    int64_t n_tensor[LMW_BF16 + 1]; /* by format */
    int64_t n_fallback;             /* matrices in Q8_0 or F16 for their odd rows */
};

static int take_tally(const char *path, struct tally *y, struct lmw_err *err)
{
    struct lmw_gguf *g;
    int rc = lmw_gguf_open(&g, path, err);
    if (rc < 0)
        return rc;
    *y = (struct tally){.bytes = lmw_gguf_size(g)};
    for (int64_t i = 0; i < lmw_gguf_n_tensor(g); i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(g, i);
        y->n_param += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
        y->n_tensor[t->type]++;
        y->n_fallback += (t->type == LMW_Q8_0 || t->type == LMW_F16) &&
                         t->ne[0] % lmw_type_block(LMW_Q4_K) != 0;
    }
    lmw_gguf_close(g);
    return 0;
}

static double bits_per_weight(const struct tally *y)
{
    return 8.0 * (double)y->bytes / (double)(y->n_param ? y->n_param : 1);
}

static int show_progress(void *arg, int64_t i, int64_t n, lmw_str name)
{
    cli_progress("%s: tensor %" PRId64 " of %" PRId64 ", %.*s", (const char *)arg, i + 1, n,
                 LMW_FMT(name));
    return 0;
}

static void print_line(const char *path, const struct tally *y)
{
    printf("%9.2f MiB  %5.2f bits/weight  %s (", (double)y->bytes / 0x1p20, bits_per_weight(y),
           path);
    const char *comma = "";
    for (int t = 0; t <= LMW_BF16; t++)
        if (y->n_tensor[t]) {
            printf("%s%s %lld", comma, lmw_type_name((enum lmw_type)t), (long long)y->n_tensor[t]);
            comma = ", ";
        }
    puts(")");
}

static json_t *tally_json(const char *path, const struct tally *y)
{
    json_t *formats = json_object();
    for (int t = 0; t <= LMW_BF16; t++)
        if (y->n_tensor[t])
            json_object_set_new(formats, lmw_type_name((enum lmw_type)t),
                                json_integer(y->n_tensor[t]));
    return json_pack("{s:o, s:I, s:f, s:o}", "file", cli_json_text(lmw_str_from(path)), "bytes",
                     (json_int_t)y->bytes, "bits_per_weight", bits_per_weight(y), "tensors",
                     formats);
}

/* Only K-quants have blocks that a matrix of an ordinary model may not fill. */
static int64_t n_fallback(const char *type, const struct tally *y)
{
    return type[0] && type[1] && type[2] == '_' && (type[3] == 'K' || type[3] == 'k')
               ? y->n_fallback
               : 0;
}

int cmd_quantize(int argc, char **argv)
{
    struct lmw_err err;
    struct strs pos = {0};
    struct tally before, after;
    bool is_json = false;
    const struct opt opts[] = {
        {"json", 0, OPT_FLAG, &is_json, NULL, "one JSON object instead of text"},
        {0},
    };
    const struct command_help help = {
        "lmwatt quantize IN OUT TYPE [OPTIONS]",
        "Writes the model IN in another tensor format. TYPE is F32, F16, BF16, Q8_0, Q6_K, Q5_K or\n"
        "Q4_K (that format throughout), or Q5_K_M or Q4_K_M (mixes: the weights that matter most\n"
        "get more bits). Norms and other small tensors keep their format.",
        "lmwatt quantize models/shop-intents-F16.gguf shop-intents-Q4_K_M.gguf Q4_K_M"};
    int rc = opts_parse(opts, &help, argc, argv, &pos);
    if (rc >= 0)
        return rc;
    if (pos.n != 3)
        return cli_usage(argv[0], "takes a model, a file to write and a type (%d of 3 given)",
                         pos.n);
    if (take_tally(pos.v[0], &before, &err) < 0)
        return cli_fail(&err);
    rc = lmw_quantize_file(pos.v[0], pos.v[1], pos.v[2], show_progress, (void *)pos.v[1], &err);
    if (rc == LMW_EARG)
        return cli_usage(argv[0], "%s", err.msg);
    if (rc < 0 || take_tally(pos.v[1], &after, &err) < 0)
        return cli_fail(&err);
    cli_progress_end();
    int64_t odd = n_fallback(pos.v[2], &after);
    if (is_json)
        return cli_json_print(json_pack(
            "{s:s, s:o, s:o, s:I}", "type", pos.v[2], "in", tally_json(pos.v[0], &before), "out",
            tally_json(pos.v[1], &after), "fallbacks", (json_int_t)odd));
    print_line(pos.v[0], &before);
    print_line(pos.v[1], &after);
    if (odd)
        printf("%" PRId64 " tensors are Q8_0 or F16: K-quants need rows of a multiple of 256\n",
               odd);
    return 0;
}
