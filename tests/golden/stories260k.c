/* A model nobody here trained: stories260K (llama2.c's layout), written as GGUF into the directory
 * given and run. Its 256 greedy ids are the golden ones (an independent numpy forward pass),
 * whichever way they are fed, and the golden logits are met within 1e-3.
 *
 * llama2.c: 7 int32 (dim, hidden, layers, heads, kv heads, vocab, seq), then f32: embedding,
 * attention norms, wq, wk, wv, wo, ffn norms, w1 (gate), w2 (down), w3 (up), final norm; all
 * layers of one kind together. Rows of wq and wk already pair for rotation as (2i, 2i + 1). The
 * head is the embedding. */
#include "golden.h"

#include "engine/gguf.h"

#include <jansson.h>

enum { N_GREEDY = 256, N_LAYER_MAX = 16, N_VOCAB_MAX = 4096 };

struct header {
    int32_t dim, hidden, n_layer, n_head, n_kv, n_vocab, n_ctx;
};

static int skip(const char *what)
{
    fprintf(stderr, "skipped: no %s (set LMW_SHARED)\n", what);
    return SKIP;
}

static int fail(const struct lmw_err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    return 1;
}

/* --- writing the GGUF --- */

static void put_keys(struct lmw_gguf_writer *w, const struct header *h)
{
    lmw_gguf_put_str(w, "general.architecture", LMW_STR("llama"));
    lmw_gguf_put_str(w, "general.name", LMW_STR("stories260K"));
    lmw_gguf_put_u32(w, "general.file_type", 0);
    lmw_gguf_put_u32(w, "llama.context_length", (uint32_t)h->n_ctx);
    lmw_gguf_put_u32(w, "llama.embedding_length", (uint32_t)h->dim);
    lmw_gguf_put_u32(w, "llama.block_count", (uint32_t)h->n_layer);
    lmw_gguf_put_u32(w, "llama.feed_forward_length", (uint32_t)h->hidden);
    lmw_gguf_put_u32(w, "llama.attention.head_count", (uint32_t)h->n_head);
    lmw_gguf_put_u32(w, "llama.attention.head_count_kv", (uint32_t)h->n_kv);
    lmw_gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

/* The spaces of llama2.c's pieces are U+2581 in a GGUF. Returns 0 on a malformed file. */
static int read_pieces(FILE *f, int n, struct lmw_buf *text, lmw_str *pieces, float *scores)
{
    size_t at[N_VOCAB_MAX];
    int32_t max_len;
    if (fread(&max_len, 4, 1, f) != 1)
        return 0;
    for (int i = 0; i < n; i++) {
        int32_t len;
        char piece[256];
        if (fread(&scores[i], 4, 1, f) != 1 || fread(&len, 4, 1, f) != 1 || len < 0 || len > 255 ||
            fread(piece, 1, (size_t)len, f) != (size_t)len)
            return 0;
        at[i] = text->len;
        for (int j = 0; j < len; j++)
            lmw_buf_put(text, piece[j] == ' ' ? "\xe2\x96\x81" : &piece[j],
                        piece[j] == ' ' ? 3 : 1);
    }
    for (int i = 0; i < n; i++)
        pieces[i] = (lmw_str){text->ptr + at[i], (i + 1 < n ? at[i + 1] : text->len) - at[i]};
    return 1;
}

/* Types: 2 unknown, 3 control, 6 byte, 1 normal. */
static int put_vocab(struct lmw_gguf_writer *w, int n)
{
    static lmw_str pieces[N_VOCAB_MAX];
    static float scores[N_VOCAB_MAX];
    static int32_t types[N_VOCAB_MAX];
    struct lmw_buf text = {0};
    FILE *f = fopen(shared_path("data/stories260K/tok512.bin"), "rb");
    if (!f || !read_pieces(f, n, &text, pieces, scores))
        return 0;
    fclose(f);
    for (int i = 0; i < n; i++)
        types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
    pieces[1] = LMW_STR("<s>");
    pieces[2] = LMW_STR("</s>");
    lmw_gguf_put_str(w, "tokenizer.ggml.model", LMW_STR("llama"));
    lmw_gguf_put_strs(w, "tokenizer.ggml.tokens", pieces, (size_t)n);
    lmw_gguf_put_f32s(w, "tokenizer.ggml.scores", scores, (size_t)n);
    lmw_gguf_put_i32s(w, "tokenizer.ggml.token_type", types, (size_t)n);
    lmw_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 1);
    lmw_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
    lmw_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    lmw_buf_free(&text);
    return 1;
}

struct part {
    const char *name;
    int64_t n_in, n_out;
    bool per_layer;
};

/* In the file's order; twice: declaring, then writing. */
static int put_tensors(struct lmw_gguf_writer *w, const struct header *h, const float *x, size_t n,
                       bool writing, struct lmw_err *err)
{
    int64_t kv = (int64_t)h->dim / h->n_head * h->n_kv;
    const struct part parts[] = {
        {"token_embd.weight", h->dim, h->n_vocab, false},
        {"attn_norm.weight", h->dim, 0, true},
        {"attn_q.weight", h->dim, h->dim, true},
        {"attn_k.weight", h->dim, kv, true},
        {"attn_v.weight", h->dim, kv, true},
        {"attn_output.weight", h->dim, h->dim, true},
        {"ffn_norm.weight", h->dim, 0, true},
        {"ffn_gate.weight", h->dim, h->hidden, true},
        {"ffn_down.weight", h->hidden, h->dim, true},
        {"ffn_up.weight", h->dim, h->hidden, true},
        {"output_norm.weight", h->dim, 0, false},
    };
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        for (int l = 0; l < (parts[i].per_layer ? h->n_layer : 1); l++) {
            int64_t ne[2] = {parts[i].n_in, parts[i].n_out};
            size_t size = (size_t)(ne[0] * (ne[1] ? ne[1] : 1));
            char name[64];
            if (parts[i].per_layer)
                snprintf(name, sizeof name, "blk.%d.%s", l, parts[i].name);
            else
                snprintf(name, sizeof name, "%s", parts[i].name);
            if (at + size > n)
                return lmw_fail(err, LMW_EFORMAT, "stories260K.bin is too short");
            if (!writing)
                lmw_gguf_declare(w, lmw_str_from(name), LMW_F32, ne[1] ? 2 : 1, ne);
            else if (lmw_gguf_write(w, x + at, size * sizeof(float), err) < 0)
                return err->code;
            at += size;
        }
    }
    return LMW_OK;
}

static int write_model(const char *path, struct lmw_err *err)
{
    struct lmw_gguf_writer *w;
    size_t n = 7;
    float *x = read_floats(shared_path("data/stories260K/stories260K.bin"), &n);
    struct header h;
    int rc;
    if (!x)
        return 1;
    memcpy(&h, x, sizeof h);
    if ((rc = lmw_gguf_writer_open(&w, path, err)) < 0)
        return rc;
    put_keys(w, &h);
    if (!put_vocab(w, h.n_vocab))
        return 1;
    if ((rc = put_tensors(w, &h, x + 7, n - 7, false, err)) < 0 ||
        (rc = put_tensors(w, &h, x + 7, n - 7, true, err)) < 0)
        return rc;
    free(x);
    return lmw_gguf_writer_close(w, err);
}

/* --- checking --- */

struct golden {
    int32_t ids[N_GREEDY + 1];
    json_t *root;
    float *bos_logits;
};

static int load_golden(struct golden *g)
{
    size_t n = 512;
    g->root = json_load_file(shared_path("data/stories260K/golden_greedy_256.json"), 0, NULL);
    g->bos_logits = read_floats(shared_path("data/stories260K/golden_logits_bos_pos0.f32"), &n);
    for (int i = 0; i <= N_GREEDY; i++)
        g->ids[i] = (int32_t)json_integer_value(
            json_array_get(json_object_get(g->root, "greedy_tokens"), (size_t)i));
    return g->root && g->bos_logits;
}

static int check_logits(const struct golden *g, const float *logits, int n_vocab)
{
    int bad = 0;
    double worst = 0;
    size_t i;
    json_t *check;
    for (int j = 0; j < n_vocab; j++)
        worst = fmax(worst, fabs((double)logits[j] - (double)g->bos_logits[j]));
    json_array_foreach(json_object_get(g->root, "logit_checks"), i, check)
    {
        int pos = (int)json_integer_value(json_object_get(check, "pos"));
        json_t *top = json_object_get(check, "top5"), *pair;
        size_t k;
        json_array_foreach(top, k, pair)
        {
            json_int_t id = json_integer_value(json_array_get(pair, 0));
            double want = json_real_value(json_array_get(pair, 1));
            worst = fmax(worst, fabs((double)logits[(size_t)pos * n_vocab + (size_t)id] - want));
        }
    }
    if (!(worst <= 1e-3)) {
        fprintf(stderr, "logits are off by %g\n", worst);
        bad = 1;
    }
    printf("logits within %.1e\n", worst);
    return bad;
}

static int check_fed(struct lmw_session *s, const struct golden *g, int n_vocab)
{
    static const int chunks[] = {N_GREEDY, 7, 1};
    float *logits = malloc(sizeof(float) * N_GREEDY * (size_t)n_vocab);
    struct lmw_err err;
    int bad = 0;
    for (int c = 0; c < 3; c++) {
        if (feed(s, g->ids, N_GREEDY, chunks[c], logits, n_vocab, &err) < 0)
            return fail(&err);
        for (int i = 0; i < N_GREEDY; i++) {
            int32_t id = argmax(logits + (size_t)i * n_vocab, n_vocab);
            if (id != g->ids[i + 1]) {
                fprintf(stderr, "chunks of %d: token %d is %d, expected %d\n", chunks[c], i + 1,
                        id, g->ids[i + 1]);
                bad = 1;
            }
        }
        bad |= check_logits(g, logits, n_vocab);
    }
    free(logits);
    return bad;
}

/* Through the answer loop: ids and text. */
static int check_answer(struct lmw_session *s, const struct golden *g)
{
    struct lmw_answer_opts opts = {.n_max = N_GREEDY};
    struct lmw_answer a = {0};
    struct lmw_buf text = {0};
    struct lmw_err err;
    const char *want = json_string_value(json_object_get(g->root, "text"));
    if (lmw_session_answer(s, g->ids, 1, &opts, &text, &a, &err) < 0)
        return fail(&err);
    const char *got = text.ptr && text.ptr[0] == ' ' ? text.ptr + 1 : text.ptr;
    int bad = a.n_answer != N_GREEDY || !got || strcmp(got, want) != 0;
    if (bad)
        fprintf(stderr, "the answer (%d tokens) is\n%s\nexpected\n%s\n", a.n_answer,
                got ? got : "", want);
    lmw_buf_free(&text);
    return bad;
}

/* A prompt through the tokenizer: 4 ids, and the continuation its authors document. */
static int check_prompt(struct lmw_engine *e, struct lmw_session *s)
{
    static const char want[] =
        " was a little girl named Lily. She loved to play outside in the park. "
        "One day, she saw a big, red ball.";
    int32_t ids[16];
    size_t n = lmw_engine_tokenize(e, LMW_STR("Zoo"), true, ids, 16);
    struct lmw_answer_opts opts = {.n_max = 56};
    struct lmw_answer a = {0};
    struct lmw_buf text = {0};
    struct lmw_err err;
    if (n != 4) {
        fprintf(stderr, "'Zoo' is %zu tokens, expected 4\n", n);
        return 1;
    }
    if (lmw_session_answer(s, ids, 4, &opts, &text, &a, &err) < 0)
        return fail(&err);
    int bad = !text.ptr || strncmp(text.ptr, want, strlen(want)) != 0;
    if (bad)
        fprintf(stderr, "'Zoo' continues as '%s'\n", text.ptr ? text.ptr : "");
    lmw_buf_free(&text);
    return bad;
}

static int check_engine(const char *path, const struct golden *g, const char *level)
{
    struct lmw_engine_opts opts = {.kv_f32 = true};
    struct lmw_engine *e = NULL;
    struct lmw_session *s = NULL;
    struct lmw_err err;
    int bad;
    if (lmw_cpu_mask(level, &opts.cpu_mask, &err) < 0 ||
        lmw_engine_open(&e, path, &opts, &err) < 0 ||
        lmw_session_open(&s, e, N_GREEDY + 1, &err) < 0)
        bad = fail(&err);
    else
        bad =
            check_fed(s, g, lmw_engine_info(e)->n_vocab) | check_answer(s, g) | check_prompt(e, s);
    lmw_session_close(s);
    lmw_engine_close(e);
    return bad;
}

int main(int argc, char **argv)
{
    struct golden g = {0};
    char path[1024];
    struct lmw_err err = {0};
    if (argc != 2)
        return 2;
    if (!load_golden(&g))
        return skip(shared_path("data/stories260K"));
    snprintf(path, sizeof path, "%s/stories260K.gguf", argv[1]);
    int rc = write_model(path, &err);
    if (rc)
        return rc > 0 ? skip(shared_path("data/stories260K")) : fail(&err);
    int bad = check_engine(path, &g, "ref") | check_engine(path, &g, "avx2");
    json_decref(g.root);
    free(g.bos_logits);
    return bad;
}
