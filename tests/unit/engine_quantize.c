/* lmw_quantize_file: formats chosen, values and keys kept, bad input refused; and, where
 * llama.cpp's tools are installed (LMW_LLAMA_CPP, else ~/.cache/llama-cpp-peer/bin) and the zoo is
 * there (LMW_SHARED, else ../shared), the same choices and the same bits as theirs. */
#include "base/rng.h"
#include "engine/engine.h"
#include "engine/gguf.h"
#include "engine/quant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/lmw_quantize_XXXXXX";
static char in_path[64], out_path[64], ref_path[64], back_path[64], log_path[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(in_path, sizeof(in_path), "%s/in.gguf", dir);
    snprintf(out_path, sizeof(out_path), "%s/out.gguf", dir);
    snprintf(ref_path, sizeof(ref_path), "%s/ref.gguf", dir);
    snprintf(back_path, sizeof(back_path), "%s/back.gguf", dir);
    snprintf(log_path, sizeof(log_path), "%s/log", dir);
    return 0;
}

static int remove_dir(void **state)
{
    const char *const paths[] = {in_path, out_path, ref_path, back_path, log_path};
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        unlink(paths[i]);
    return rmdir(dir);
}

/* ---- a llama-shaped model of n_layer layers and rows of n_embd ---- */

struct tiny {
    int n_layer;
    int64_t n_embd;
    bool tied;
    const char *poison; /* a tensor with a NaN in it, or NULL */
};

enum { N_ROW = 8 };
static float values[4096 * N_ROW];

static void declare(struct lmw_gguf_writer *w, const char *name, int64_t width, bool vector)
{
    lmw_gguf_declare(w, lmw_str_from(name), LMW_F32, vector ? 1 : 2,
                     (const int64_t[]){width, N_ROW});
}

static void write_values(struct lmw_gguf_writer *w, const char *name, int64_t width, bool vector,
                         const struct tiny *m)
{
    struct lmw_err err;
    struct lmw_rng rng;
    size_t n = (size_t)width * (vector ? 1 : N_ROW);
    lmw_rng_init(&rng, lmw_str_hash(lmw_str_from(name)));
    for (size_t i = 0; i < n; i++)
        values[i] = (float)lmw_rng_normal(&rng) * 0.1f;
    if (m->poison && strcmp(m->poison, name) == 0)
        values[width + 3] = NAN;
    if (lmw_gguf_write(w, values, n * sizeof(float), &err) < 0)
        fail_msg("%s", err.msg);
}

/* Calls either of the two above for every tensor. */
static void each_tensor(struct lmw_gguf_writer *w, const struct tiny *m, bool is_data)
{
    static const struct {
        const char *part;
        bool is_vector, is_down;
    } parts[] = {
        {"attn_norm.weight", true, false},    {"attn_q.weight", false, false},
        {"attn_k.weight", false, false},      {"attn_v.weight", false, false},
        {"attn_output.weight", false, false}, {"ffn_norm.weight", true, false},
        {"ffn_gate.weight", false, false},    {"ffn_up.weight", false, false},
        {"ffn_down.weight", false, true},
    };
    const char *ends[] = {"token_embd.weight", "output.weight"};
    for (int e = 0; e < (m->tied ? 1 : 2); e++)
        is_data ? write_values(w, ends[e], m->n_embd, false, m)
                : declare(w, ends[e], m->n_embd, false);
    for (int layer = 0; layer < m->n_layer; layer++)
        for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
            char name[64];
            int64_t width = parts[p].is_down ? 2 * m->n_embd : m->n_embd;
            snprintf(name, sizeof(name), "blk.%d.%s", layer, parts[p].part);
            is_data ? write_values(w, name, width, parts[p].is_vector, m)
                    : declare(w, name, width, parts[p].is_vector);
        }
}

/* llama.cpp's quantiser reads the hyperparameters but needs no more of the model than that. */
static void put_llama_keys(struct lmw_gguf_writer *w, const struct tiny *m)
{
    lmw_gguf_put_str(w, "general.architecture", LMW_STR("llama"));
    lmw_gguf_put_u32(w, "general.file_type", 0);
    lmw_gguf_put_u32(w, "llama.block_count", (uint32_t)m->n_layer);
    lmw_gguf_put_u32(w, "llama.context_length", 64);
    lmw_gguf_put_u32(w, "llama.embedding_length", (uint32_t)m->n_embd);
    lmw_gguf_put_u32(w, "llama.feed_forward_length", (uint32_t)m->n_embd * 2);
    lmw_gguf_put_u32(w, "llama.attention.head_count", 4);
    lmw_gguf_put_u32(w, "llama.vocab_size", N_ROW);
    lmw_gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    lmw_gguf_put_str(w, "tokenizer.ggml.model", LMW_STR("no_vocab"));
}

static void make_model(struct tiny m)
{
    struct lmw_gguf_writer *w;
    struct lmw_err err;
    if (lmw_gguf_writer_open(&w, in_path, &err) < 0)
        fail_msg("%s", err.msg);
    put_llama_keys(w, &m);
    each_tensor(w, &m, false);
    each_tensor(w, &m, true);
    if (lmw_gguf_writer_close(w, &err) < 0)
        fail_msg("%s", err.msg);
}

static struct lmw_gguf *open_file(const char *path)
{
    struct lmw_gguf *g;
    struct lmw_err err;
    if (lmw_gguf_open(&g, path, &err) < 0)
        fail_msg("%s", err.msg);
    return g;
}

static void quantize(const char *in, const char *out, const char *type)
{
    struct lmw_err err;
    if (lmw_quantize_file(in, out, type, NULL, NULL, &err) < 0)
        fail_msg("%s", err.msg);
}

static enum lmw_type type_in(const struct lmw_gguf *g, const char *name)
{
    const struct lmw_tensor *t = lmw_gguf_find_tensor(g, name);
    assert_non_null(t);
    return t->type;
}

static const struct tiny plain = {.n_layer = 2, .n_embd = 256};

/* Each weight is what lmw_from_f32 makes of its row; vectors and keys are as they were. */
static void check_same_model(const struct lmw_gguf *in, const struct lmw_gguf *out)
{
    static float x[4096 * N_ROW];
    static uint8_t bytes[4096 * N_ROW * 4];
    for (int64_t i = 0; i < lmw_gguf_n_tensor(in); i++) {
        const struct lmw_tensor *a = lmw_gguf_tensor(in, i), *b = lmw_gguf_tensor(out, i);
        assert_true(lmw_str_eq(a->name, b->name));
        assert_memory_equal(a->ne, b->ne, sizeof(a->ne));
        lmw_to_f32(a->type, a->data, x, a->ne[0] * a->ne[1]);
        lmw_from_f32(b->type, x, bytes, a->ne[0] * a->ne[1]);
        assert_memory_equal(b->data, bytes, b->size);
    }
    for (int64_t i = 0; i < lmw_gguf_n_kv(in); i++) {
        const struct lmw_kv *a = lmw_gguf_kv(in, i);
        char key[64];
        snprintf(key, sizeof(key), "%.*s", LMW_FMT(a->key));
        const struct lmw_kv *b = lmw_gguf_find(out, key);
        assert_non_null(b);
        if (strcmp(key, "general.file_type") != 0)
            assert_memory_equal(a->data, b->data, a->size);
    }
}

static void test_every_type(void **state)
{
    static const struct {
        const char *name;
        enum lmw_type type;
        int64_t file_type;
    } types[] = {
        {"F32", LMW_F32, 0},    {"F16", LMW_F16, 1},    {"BF16", LMW_BF16, 32},
        {"Q8_0", LMW_Q8_0, 7},  {"Q6_K", LMW_Q6_K, 18}, {"Q5_K", LMW_Q5_K, 16},
        {"q4_k", LMW_Q4_K, 14},
    };
    (void)state;
    make_model(plain);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        int64_t v;
        quantize(in_path, out_path, types[i].name);
        struct lmw_gguf *in = open_file(in_path), *out = open_file(out_path);
        assert_int_equal(type_in(out, "token_embd.weight"), types[i].type);
        assert_int_equal(type_in(out, "blk.1.ffn_down.weight"), types[i].type);
        assert_int_equal(type_in(out, "blk.1.ffn_norm.weight"), LMW_F32);
        assert_int_equal(lmw_gguf_int(out, "general.file_type", &v, NULL), 0);
        assert_int_equal(v, types[i].file_type);
        assert_int_equal(lmw_gguf_int(out, "general.quantization_version", &v, NULL), 0);
        assert_int_equal(v, 2);
        check_same_model(in, out);
        lmw_gguf_close(in);
        lmw_gguf_close(out);
    }
}

/* Of 16 layers these have more bits: the first and last two, and from the third on every third. */
static void test_mix_by_layer(void **state)
{
    static const char *const more = "1100100100100111";
    (void)state;
    make_model((struct tiny){.n_layer = 16, .n_embd = 256});
    for (int k = 4; k <= 5; k++) {
        char type[8], name[64];
        snprintf(type, sizeof(type), "Q%d_K_M", k);
        quantize(in_path, out_path, type);
        struct lmw_gguf *g = open_file(out_path);
        enum lmw_type base = k == 4 ? LMW_Q4_K : LMW_Q5_K;
        assert_int_equal(type_in(g, "output.weight"), LMW_Q6_K);
        assert_int_equal(type_in(g, "token_embd.weight"), base);
        for (int i = 0; i < 16; i++) {
            enum lmw_type best = more[i] == '1' ? LMW_Q6_K : base;
            snprintf(name, sizeof(name), "blk.%d.attn_v.weight", i);
            assert_int_equal(type_in(g, name), best);
            snprintf(name, sizeof(name), "blk.%d.ffn_down.weight", i);
            assert_int_equal(type_in(g, name), best);
            snprintf(name, sizeof(name), "blk.%d.attn_q.weight", i);
            assert_int_equal(type_in(g, name), base);
        }
        lmw_gguf_close(g);
    }
}

static void test_tied_embedding(void **state)
{
    (void)state;
    make_model((struct tiny){.n_layer = 1, .n_embd = 256, .tied = true});
    quantize(in_path, out_path, "Q4_K_M");
    struct lmw_gguf *g = open_file(out_path);
    assert_int_equal(type_in(g, "token_embd.weight"), LMW_Q6_K);
    lmw_gguf_close(g);
}

static void test_odd_rows_fall_back(void **state)
{
    (void)state;
    make_model((struct tiny){.n_layer = 1, .n_embd = 96});
    quantize(in_path, out_path, "Q4_K");
    struct lmw_gguf *g = open_file(out_path);
    assert_int_equal(type_in(g, "blk.0.attn_q.weight"), LMW_Q8_0);
    lmw_gguf_close(g);
    make_model((struct tiny){.n_layer = 1, .n_embd = 40});
    quantize(in_path, out_path, "Q8_0");
    g = open_file(out_path);
    assert_int_equal(type_in(g, "blk.0.attn_q.weight"), LMW_F16);
    lmw_gguf_close(g);
}

static void refused(const char *in, const char *out, const char *type, int code, const char *words)
{
    struct lmw_err err = {0};
    int rc = lmw_quantize_file(in, out, type, NULL, NULL, &err);
    if (rc != code || !strstr(err.msg, words))
        fail_msg("expected %d and '%s', got %d: %s", code, words, rc, err.msg);
}

static void test_refusals(void **state)
{
    (void)state;
    make_model(plain);
    unlink(out_path);
    refused(in_path, out_path, "Q3_K", LMW_EARG, "unknown type 'Q3_K'");
    refused(in_path, in_path, "Q8_0", LMW_EARG, "write to another file");
    refused("/nonexistent.gguf", out_path, "Q8_0", LMW_EIO, "/nonexistent.gguf");
    refused(in_path, "/nonexistent/out.gguf", "Q8_0", LMW_EIO, "/nonexistent/out.gguf");
    assert_int_equal(symlink(in_path, out_path), 0);
    refused(in_path, out_path, "Q8_0", LMW_EARG, "write to another file");
    unlink(out_path);
    quantize(in_path, ref_path, "Q8_0");
    refused(ref_path, out_path, "Q4_K", LMW_EARG, "is Q8_0 already");
    quantize(ref_path, out_path, "F32"); /* undoing is fine */
    unlink(out_path);
    make_model((struct tiny){.n_layer = 2, .n_embd = 256, .poison = "blk.1.attn_k.weight"});
    refused(in_path, out_path, "Q4_K_M", LMW_EFORMAT,
            "tensor 'blk.1.attn_k.weight': element 259 is not finite");
    assert_int_equal(access(out_path, F_OK), -1);
}

static int stop_at_third(void *arg, int64_t i, int64_t n, lmw_str name)
{
    (void)name;
    *(int64_t *)arg = n;
    return i == 2;
}

static void test_cancel(void **state)
{
    struct lmw_err err;
    int64_t n = 0;
    (void)state;
    make_model(plain);
    unlink(out_path);
    assert_int_equal(lmw_quantize_file(in_path, out_path, "Q8_0", stop_at_third, &n, &err),
                     LMW_ECANCELLED);
    assert_int_equal(n, 2 + 2 * 9);
    assert_int_equal(access(out_path, F_OK), -1);
}

/* ---- beside llama.cpp ---- */

static const char *zoo(char path[512], const char *name)
{
    const char *shared = getenv("LMW_SHARED");
    snprintf(path, 512, "%s/zoo/%s/model.gguf", shared ? shared : "../shared", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

static bool peer_tool(char path[512], const char *tool)
{
    const char *bin = getenv("LMW_LLAMA_CPP"), *home = getenv("HOME");
    if (bin)
        snprintf(path, 512, "%s/%s", bin, tool);
    else
        snprintf(path, 512, "%s/.cache/llama-cpp-peer/bin/%s", home ? home : "", tool);
    return access(path, X_OK) == 0;
}

static void need(bool there, const char *what)
{
    if (there)
        return;
    print_message("skipped: no %s here\n", what);
    skip();
}

static void run(const char *command)
{
    char line[2048];
    snprintf(line, sizeof(line), "%s >%s 2>&1", command, log_path);
    if (system(line) != 0)
        fail_msg("%s failed", command);
}

static void llama_quantize(const char *flags, const char *in, const char *out, const char *type)
{
    char tool[512], line[1500];
    peer_tool(tool, "llama-quantize");
    snprintf(line, sizeof(line), "%s %s %s %s %s 1", tool, flags, in, out, type);
    run(line);
}

static void same_types(const char *path_a, const char *path_b)
{
    struct lmw_gguf *a = open_file(path_a), *b = open_file(path_b);
    assert_int_equal(lmw_gguf_n_tensor(a), lmw_gguf_n_tensor(b));
    for (int64_t i = 0; i < lmw_gguf_n_tensor(a); i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(a, i);
        char name[65];
        snprintf(name, sizeof(name), "%.*s", LMW_FMT(t->name));
        if (type_in(b, name) != t->type)
            fail_msg("%s: ours %s, llama.cpp's %s", name, lmw_type_name(t->type),
                     lmw_type_name(type_in(b, name)));
    }
    lmw_gguf_close(a);
    lmw_gguf_close(b);
}

static const char *const peer_types[] = {"Q8_0", "Q5_K_M", "Q4_K_M"};
static const char *const zoo_256[] = {"llama-dense", "qwen3", "gemma3"}; /* rows of 256 */

static void test_peer_same_choice(void **state)
{
    static const int n_layers[] = {13, 24};
    char path[512];
    (void)state;
    need(peer_tool(path, "llama-quantize"), "llama-quantize");
    for (size_t k = 0; k < sizeof(peer_types) / sizeof(peer_types[0]); k++) {
        for (size_t i = 0; i < sizeof(n_layers) / sizeof(n_layers[0]); i++) {
            make_model((struct tiny){.n_layer = n_layers[i], .n_embd = 256, .tied = i % 2});
            quantize(in_path, out_path, peer_types[k]);
            llama_quantize("", in_path, ref_path, peer_types[k]);
            same_types(out_path, ref_path);
        }
        for (size_t i = 0; i < 3 && zoo(path, zoo_256[i]); i++) {
            quantize(path, out_path, peer_types[k]);
            llama_quantize("", path, ref_path, peer_types[k]);
            same_types(out_path, ref_path);
        }
    }
}

static double squared_error(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

/* ref is llama.cpp's quantised file, back the same turned to F32 by llama.cpp: our reading of ref
 * must be back, bit for bit; and our quantising of in no worse than theirs. */
static void compare_tensors(const char *in, const char *type)
{
    struct lmw_gguf *g = open_file(in), *ref = open_file(ref_path), *back = open_file(back_path);
    double ours = 0, theirs = 0;
    for (int64_t i = 0; i < lmw_gguf_n_tensor(g); i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(g, i);
        char name[65];
        snprintf(name, sizeof(name), "%.*s", LMW_FMT(t->name));
        const struct lmw_tensor *q = lmw_gguf_find_tensor(ref, name);
        const struct lmw_tensor *f = lmw_gguf_find_tensor(back, name);
        int64_t n = t->ne[0] * t->ne[1];
        float *x = calloc((size_t)n, sizeof(*x));
        void *bytes = malloc(q->size);
        assert_true(x && bytes && t->type == LMW_F32 && f->type == LMW_F32);
        lmw_to_f32(q->type, q->data, x, n);
        if (memcmp(x, f->data, (size_t)n * sizeof(float)) != 0)
            fail_msg("%s: %s is read differently", name, lmw_type_name(q->type));
        theirs += squared_error(x, t->data, n);
        lmw_from_f32(q->type, t->data, bytes, n);
        lmw_to_f32(q->type, bytes, x, n);
        ours += squared_error(x, t->data, n);
        free(x);
        free(bytes);
    }
    print_message("%-5s RMSE ours / llama.cpp's: %.4f\n", type,
                  theirs > 0 ? sqrt(ours / theirs) : 1.0);
    assert_true(ours <= theirs);
    lmw_gguf_close(g);
    lmw_gguf_close(ref);
    lmw_gguf_close(back);
}

static void test_peer_same_bits(void **state)
{
    static const char *const types[] = {"F16", "BF16", "Q8_0", "Q4_K", "Q5_K", "Q6_K"};
    char path[512];
    (void)state;
    need(peer_tool(path, "llama-quantize"), "llama-quantize");
    need(zoo(path, "llama-dense"), "zoo/llama-dense");
    for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
        llama_quantize("--pure", path, ref_path, types[k]);
        llama_quantize("--allow-requantize", ref_path, back_path, "F32");
        compare_tensors(path, types[k]);
    }
}

/* llama.cpp loads what we wrote and computes the same from it as from its own F32 copy, but for
 * the 8-bit activations it uses with quantised weights (2e-2 to 4e-2 of the largest logit). */
static void test_peer_loads_ours(void **state)
{
    static const char *const types[] = {"F16",  "BF16", "Q8_0",   "Q6_K",
                                        "Q5_K", "Q4_K", "Q5_K_M", "Q4_K_M"};
    enum { N = 24 * 128 };
    static float logits[2][N];
    char tool[512], path[512], line[1500];
    (void)state;
    need(peer_tool(tool, "llama-logits"), "llama-logits");
    need(zoo(path, "llama-dense"), "zoo/llama-dense");
    for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
        quantize(path, out_path, types[k]);
        llama_quantize("--allow-requantize", out_path, back_path, "F32");
        double error = 0, top = 0;
        for (int i = 0; i < 2; i++) {
            snprintf(
                line, sizeof(line),
                "%s %s --tokens 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24 "
                "--out %s",
                tool, i ? back_path : out_path, ref_path);
            run(line);
            FILE *f = fopen(ref_path, "rb");
            assert_non_null(f);
            assert_int_equal(fread(logits[i], sizeof(float), N, f), N);
            fclose(f);
        }
        for (int i = 0; i < N; i++) {
            error = fmax(error, fabs((double)logits[0][i] - (double)logits[1][i]));
            top = fmax(top, fabs((double)logits[1][i]));
        }
        print_message("%-6s logits off by %.1e of the largest\n", types[k], error / top);
        assert_true(error <= 8e-2 * top); /* a wrong layout is off by about 1 */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),       cmocka_unit_test(test_mix_by_layer),
        cmocka_unit_test(test_tied_embedding),   cmocka_unit_test(test_odd_rows_fall_back),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_peer_same_choice), cmocka_unit_test(test_peer_same_bits),
        cmocka_unit_test(test_peer_loads_ours),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
