/* Our quantised forms of a model stay close to llama.cpp's f32 logits of it:
 * shared/zoo/llama-dense through lmw_quantize_file into the directory given, each form against a
 * bound. The weights are random, the hardest case for a quantiser; the bounds are about twice what
 * is seen (in the comment), so a broken scale or a swapped nibble fails. */
#include "golden.h"

#include <jansson.h>

enum { MAX_IDS = 512, N_VOCAB = 128 };

static const struct {
    const char *type;
    double bound;
} forms[] = {
    {"F16", 0.003},  /* 0.0011 */
    {"BF16", 0.02},  /* 0.010 */
    {"Q8_0", 0.07},  /* 0.034; llama.cpp 0.7.0's own: 0.038 */
    {"Q6_K", 0.2},   /* 0.108; 0.111 */
    {"Q5_K", 0.4},   /* 0.189 */
    {"Q4_K", 0.7},   /* 0.363 */
    {"Q5_K_M", 0.4}, /* 0.189; 0.234 */
    {"Q4_K_M", 0.7}, /* 0.360; 0.367 */
};

static int check_form(const char *in, const char *out, int i, const int32_t *ids, int n,
                      const float *want)
{
    struct lmw_engine_opts opts = {.n_thread = 1, .cpu_mask = UINT32_MAX, .kv_f32 = true};
    struct lmw_engine *e = NULL;
    struct lmw_session *s = NULL;
    struct lmw_err err;
    float *got = malloc((size_t)n * N_VOCAB * sizeof *got);
    double error = INFINITY;
    if (lmw_quantize_file(in, out, forms[i].type, NULL, NULL, &err) < 0 ||
        lmw_engine_open(&e, out, &opts, &err) < 0 || lmw_session_open(&s, e, 0, &err) < 0 ||
        feed(s, ids, n, n, got, N_VOCAB, &err) < 0)
        fprintf(stderr, "%s: %s\n", forms[i].type, err.msg);
    else
        error = rel_error(got, want, (size_t)n * N_VOCAB);
    printf("%s (%s): error %.4f\n", forms[i].type, e ? lmw_engine_info(e)->quantization : "-",
           error);
    lmw_session_close(s);
    lmw_engine_close(e);
    free(got);
    return !(error <= forms[i].bound);
}

int main(int argc, char **argv)
{
    char in[1024], out[1024];
    int32_t ids[MAX_IDS];
    size_t n_logits = 0;
    int bad = 0;
    json_t *root = json_load_file(shared_path("zoo/llama-dense/case.json"), 0, NULL);
    float *want = read_floats(shared_path("zoo/llama-dense/logits.f32"), &n_logits);
    if (argc != 2 || !root || !want) {
        fprintf(stderr, "skipped: no %s (set LMW_SHARED)\n", shared_path("zoo/llama-dense"));
        return SKIP;
    }
    json_t *tokens = json_object_get(root, "tokens");
    int n = (int)json_array_size(tokens);
    for (int i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(tokens, (size_t)i));
    snprintf(in, sizeof in, "%s", shared_path("zoo/llama-dense/model.gguf"));
    for (int i = 0; i < (int)(sizeof forms / sizeof *forms); i++) {
        snprintf(out, sizeof out, "%s/llama-dense-%s.gguf", argv[1], forms[i].type);
        bad |= check_form(in, out, i, ids, n, want);
    }
    json_decref(root);
    free(want);
    return bad;
}
