/* Models and sessions through the doors, on small random llama files written here: shapes of every
 * kind load and run, the same tokens give the same bits however they are fed, and files that lie
 * are refused with an error that names the key or the tensor. */
#include "engine/engine.h"
#include "engine/gguf.h"
#include "engine/quant.h"

#include "base/cpu.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_TOK = 150 };

/* A sanitizer, under which arithmetic is slow, sees fewer tokens of the formats' wide model: 50
 * are still whole chunks and a rest, some for each thread. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { N_WIDE = 50 };
#else
enum { N_WIDE = N_TOK };
#endif

/* A model, right or wrong. Zero fields take the default named. */
struct spec {
    int n_embd, n_head, n_kv, k_size, v_size, n_hidden, n_layer, n_vocab, n_rot, n_ctx;
    bool tied, has_factors, kv_array, no_rms;
    double freq_base, rope_factor, scale_linear;
    const char *arch, *rope_type;
    const char *extra_key; /* a u32 */
    uint32_t extra_value;
    const char *drop_tensor, *bad_tensor, *extra_tensor; /* bad: one row too many */
    const char *filled_tensor;                           /* with fill alone */
    float fill;
    int n_token; /* of a tokenizer; 0: none */
    const char *name;
    enum lmw_type type;
};

static const struct spec usual = {.n_embd = 32,
                                  .n_head = 4,
                                  .n_kv = 2,
                                  .k_size = 8,
                                  .v_size = 8,
                                  .n_hidden = 48,
                                  .n_layer = 2,
                                  .n_vocab = 24,
                                  .n_rot = 8,
                                  .n_ctx = 256,
                                  .freq_base = 10000,
                                  .arch = "llama"};

static const char *model_path(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/lmw-model-%d.gguf", (int)getpid());
    return path;
}

struct out {
    struct lmw_gguf_writer *w;
    const struct spec *s;
    bool writing;
    struct lmw_rng rng;
};

static void tensor(struct out *o, const char *name, int64_t n_in, int64_t n_out)
{
    int64_t ne[2] = {n_in, n_out ? n_out : 1};
    struct lmw_err err;
    if (o->s->drop_tensor && strcmp(name, o->s->drop_tensor) == 0)
        return;
    if (o->s->bad_tensor && strcmp(name, o->s->bad_tensor) == 0)
        ne[n_out ? 1 : 0]++;
    enum lmw_type type = n_out ? o->s->type : LMW_F32;
    if (!o->writing) {
        lmw_gguf_declare(o->w, lmw_str_from(name), type, n_out ? 2 : 1, ne);
        return;
    }
    size_t n = (size_t)(ne[0] * ne[1]);
    float *x = malloc(n * sizeof *x);
    uint8_t *packed = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(lmw_rng_normal(&o->rng) * (n_out ? 1 / sqrt((double)n_in) : 0.3) + !n_out);
    for (size_t i = 0; strcmp(name, "rope_freqs.weight") == 0 && i < n; i++)
        x[i] = 1 + (float)i;
    for (size_t i = 0; o->s->filled_tensor && strcmp(name, o->s->filled_tensor) == 0 && i < n; i++)
        x[i] = o->s->fill;
    lmw_from_f32(type, x, packed, (int64_t)n);
    assert_int_equal(
        lmw_gguf_write(o->w, packed, lmw_type_row_size(type, ne[0]) * (size_t)ne[1], &err), 0);
    free(x);
    free(packed);
}

static void tensors(struct out *o)
{
    const struct spec *s = o->s;
    tensor(o, "token_embd.weight", s->n_embd, s->n_vocab);
    tensor(o, "output_norm.weight", s->n_embd, 0);
    if (!s->tied)
        tensor(o, "output.weight", s->n_embd, s->n_vocab);
    if (s->has_factors)
        tensor(o, "rope_freqs.weight", s->n_rot / 2, 0);
    if (s->extra_tensor)
        tensor(o, s->extra_tensor, s->n_embd, 0);
    for (int l = 0; l < s->n_layer; l++) {
        struct {
            const char *name;
            int n_in, n_out;
        } parts[] = {
            {"attn_norm", s->n_embd, 0},
            {"attn_q", s->n_embd, s->n_head * s->k_size},
            {"attn_k", s->n_embd, s->n_kv * s->k_size},
            {"attn_v", s->n_embd, s->n_kv * s->v_size},
            {"attn_output", s->n_head * s->v_size, s->n_embd},
            {"ffn_norm", s->n_embd, 0},
            {"ffn_gate", s->n_embd, s->n_hidden},
            {"ffn_up", s->n_embd, s->n_hidden},
            {"ffn_down", s->n_hidden, s->n_embd},
        };
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", l, parts[i].name);
            tensor(o, name, parts[i].n_in, parts[i].n_out);
        }
    }
}

/* Letters, each a token. */
static void tokenizer(struct lmw_gguf_writer *w, int n)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz";
    lmw_str text[26];
    float score[26] = {0};
    for (int i = 0; i < n; i++)
        text[i] = (lmw_str){alphabet + i, 1};
    lmw_gguf_put_str(w, "tokenizer.ggml.model", LMW_STR("llama"));
    lmw_gguf_put_strs(w, "tokenizer.ggml.tokens", text, (size_t)n);
    lmw_gguf_put_f32s(w, "tokenizer.ggml.scores", score, (size_t)n);
}

static void keys(struct lmw_gguf_writer *w, const struct spec *s)
{
    const struct {
        const char *key;
        int value;
    } ints[] = {
        {"llama.context_length", s->n_ctx},        {"llama.embedding_length", s->n_embd},
        {"llama.block_count", s->n_layer},         {"llama.feed_forward_length", s->n_hidden},
        {"llama.attention.head_count", s->n_head}, {"llama.attention.head_count_kv", s->n_kv},
        {"llama.attention.key_length", s->k_size}, {"llama.attention.value_length", s->v_size},
        {"llama.rope.dimension_count", s->n_rot},  {"llama.vocab_size", s->n_vocab},
    };
    int32_t per_layer[64];
    lmw_gguf_put_str(w, "general.architecture", lmw_str_from(s->arch));
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        bool is_kv = i == 5;
        if (s->extra_key && strcmp(ints[i].key, s->extra_key) == 0)
            continue;
        for (int l = 0; l < s->n_layer && l < 64; l++)
            per_layer[l] = s->n_kv;
        if (is_kv && s->kv_array)
            lmw_gguf_put_i32s(w, ints[i].key, per_layer, (size_t)s->n_layer);
        else
            lmw_gguf_put_u32(w, ints[i].key, (uint32_t)ints[i].value);
    }
    if (s->extra_key)
        lmw_gguf_put_u32(w, s->extra_key, s->extra_value);
    lmw_gguf_put_f32(w, "llama.rope.freq_base", (float)s->freq_base);
    if (s->rope_type)
        lmw_gguf_put_str(w, "llama.rope.scaling.type", lmw_str_from(s->rope_type));
    if (s->rope_factor != 0)
        lmw_gguf_put_f32(w, "llama.rope.scaling.factor", (float)s->rope_factor);
    if (s->scale_linear != 0)
        lmw_gguf_put_f32(w, "llama.rope.scale_linear", (float)s->scale_linear);
    if (s->n_token)
        tokenizer(w, s->n_token);
    if (s->name)
        lmw_gguf_put_str(w, "general.name", lmw_str_from(s->name));
    if (!s->no_rms)
        lmw_gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

static void write_model(const struct spec *s)
{
    struct out o = {.s = s};
    struct lmw_err err;
    lmw_rng_init(&o.rng, 3);
    assert_int_equal(lmw_gguf_writer_open(&o.w, model_path(), &err), 0);
    keys(o.w, s);
    tensors(&o);
    o.writing = true;
    tensors(&o);
    if (lmw_gguf_writer_close(o.w, &err) < 0)
        fail_msg("%s", err.msg);
}

static struct lmw_engine *open_model(int n_thread, const char *level, bool kv_f32)
{
    struct lmw_engine_opts opts = {.n_thread = n_thread, .kv_f32 = kv_f32};
    struct lmw_engine *e;
    struct lmw_err err;
    assert_int_equal(lmw_cpu_mask(level, &opts.cpu_mask, &err), 0);
    if (lmw_engine_open(&e, model_path(), &opts, &err) < 0)
        fail_msg("%s", err.msg);
    return e;
}

static struct lmw_session *open_session(struct lmw_engine *e, int n_ctx)
{
    struct lmw_session *s;
    struct lmw_err err;
    if (lmw_session_open(&s, e, n_ctx, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

static const int32_t *ids(int n_vocab)
{
    static int32_t x[N_TOK];
    for (int i = 0; i < N_TOK; i++)
        x[i] = (i * 7 + i * i) % n_vocab;
    return x;
}

/* All logits of the first n_tok ids, fed in chunks; the caller frees. */
static float *first_logits(const struct spec *m, int n_tok, int n_thread, int chunk,
                           const char *level, bool kv_f32)
{
    struct lmw_engine *e = open_model(n_thread, level, kv_f32);
    struct lmw_session *s = open_session(e, n_tok);
    struct lmw_err err;
    size_t row = (size_t)m->n_vocab * sizeof(float);
    float *out = malloc((size_t)n_tok * row);
    for (int i = 0; i < n_tok; i += chunk) {
        int n = n_tok - i < chunk ? n_tok - i : chunk;
        assert_int_equal(lmw_session_eval(s, ids(m->n_vocab) + i, n, LMW_LOGITS_ALL, &err), 0);
        memcpy(out + (size_t)i * m->n_vocab, lmw_session_logits(s, 0), (size_t)n * row);
    }
    lmw_session_close(s);
    lmw_engine_close(e);
    return out;
}

static float *logits_of(const struct spec *m, int n_thread, int chunk, const char *level,
                        bool kv_f32)
{
    return first_logits(m, N_TOK, n_thread, chunk, level, kv_f32);
}

static double rel_error(const float *a, const float *b, size_t n)
{
    double diff = 0, max = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(isfinite(a[i]));
        diff = fmax(diff, fabs((double)a[i] - (double)b[i]));
        max = fmax(max, fabs((double)b[i]));
    }
    return diff / max;
}

/* Same bits for every chunking and thread count; levels agree closely, f16 cache roughly. */
static void check_shape(const struct spec *m)
{
    static const int chunks[] = {1, 3, 7, 64, N_TOK};
    size_t n = (size_t)N_TOK * m->n_vocab;
    write_model(m);
    for (int f32 = 0; f32 < 2; f32++) {
        float *first = logits_of(m, 1, N_TOK, "avx2", f32);
        for (int i = 0; i < 5; i++) {
            float *x = logits_of(m, i % 3 + 1, chunks[i], "avx2", f32);
            assert_memory_equal(x, first, n * sizeof *x);
            free(x);
        }
        float *ref = logits_of(m, 2, 11, "ref", f32);
        assert_true(rel_error(first, ref, n) < (f32 ? 1e-4 : 1e-2));
        free(ref);
        if (f32) {
            float *half = logits_of(m, 1, N_TOK, "ref", false);
            assert_true(rel_error(half, first, n) < 2e-2);
            free(half);
        }
        free(first);
    }
}

static void shapes(void **state)
{
    struct spec m = usual;
    check_shape(&m);
    m.n_kv = 1; /* MQA, fewer key/value heads than threads */
    check_shape(&m);
    m.n_kv = 4;
    m.kv_array = true;
    m.tied = true;
    check_shape(&m);
    m = usual;
    m.k_size = 12;
    m.v_size = 5;
    m.n_rot = 6;
    m.has_factors = true;
    m.no_rms = true;
    check_shape(&m);
    m = usual;
    m.n_embd = 30; /* nothing a multiple of anything */
    m.n_hidden = 41;
    m.n_vocab = 7;
    m.rope_type = "linear";
    m.rope_factor = 4;
    check_shape(&m);
}

/* A factor is of linear scaling where nothing else is said, by its old name too (llama.cpp). */
static void scaled_positions(void **state)
{
    struct spec m = usual;
    m.rope_type = "linear";
    m.rope_factor = 4;
    write_model(&m);
    size_t size = (size_t)N_TOK * m.n_vocab * sizeof(float);
    float *want = logits_of(&m, 1, N_TOK, "ref", true);
    m.rope_type = NULL;
    for (int old = 0; old < 2; old++) {
        m.scale_linear = old ? 4 : 0;
        m.rope_factor = old ? 0 : 4;
        write_model(&m);
        float *got = logits_of(&m, 1, N_TOK, "ref", true);
        assert_memory_equal(got, want, size);
        free(got);
    }
    m.rope_type = "none";
    write_model(&m);
    float *plain = logits_of(&m, 1, N_TOK, "ref", true);
    assert_memory_not_equal(plain, want, size);
    free(plain);
    free(want);
}

/* Past the widest stretch a kernel sums in one go. */
static void long_context(void **state)
{
    enum { LONG = 1100 };
    struct spec m = usual;
    struct lmw_err err;
    int32_t x[LONG];
    write_model(&m);
    struct lmw_engine *e = open_model(2, "avx2", false), *e1 = open_model(1, "avx2", false);
    struct lmw_session *s = open_session(e, LONG), *s1 = open_session(e1, LONG);
    for (int i = 0; i < LONG; i++)
        x[i] = (i * i + i / 3) % m.n_vocab;
    assert_int_equal(lmw_session_eval(s, x, LONG, LMW_LOGITS_ALL, &err), 0);
    for (int i = 0; i < LONG; i++) {
        assert_int_equal(lmw_session_eval(s1, x + i, 1, LMW_LOGITS_LAST, &err), 0);
        assert_memory_equal(lmw_session_logits(s, i), lmw_session_logits(s1, 0),
                            (size_t)m.n_vocab * sizeof(float));
    }
    lmw_session_close(s);
    lmw_session_close(s1);
    lmw_engine_close(e);
    lmw_engine_close(e1);
}

static void formats(void **state)
{
    static const enum lmw_type types[] = {LMW_F16,  LMW_BF16, LMW_Q8_0,
                                          LMW_Q4_K, LMW_Q5_K, LMW_Q6_K};
    struct spec m = usual;
    m.n_embd = m.n_hidden = 256;
    m.k_size = m.v_size = 64;
    m.n_rot = 64;
    write_model(&m);
    size_t n = (size_t)N_WIDE * m.n_vocab;
    float *exact = first_logits(&m, N_WIDE, 1, N_WIDE, "ref", true);
    printf("%d of %d tokens\n", N_WIDE, N_TOK);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        m.type = types[i];
        write_model(&m);
        float *whole = first_logits(&m, N_WIDE, 1, N_WIDE, "avx2", true);
        float *parts = first_logits(&m, N_WIDE, 2, 7, "avx2", true);
        float *ref = first_logits(&m, N_WIDE, 2, N_WIDE, "ref", true);
        assert_memory_equal(whole, parts, n * sizeof *whole);
        /* A last bit of an activation may tip its rounding to 8 bits: at most the noise of that
         * rounding. */
        assert_true(rel_error(whole, ref, n) < 0.05);
        printf("%s: off by %.3f, levels by %.1e\n", lmw_type_name(types[i]),
               rel_error(whole, exact, n), rel_error(whole, ref, n));
        assert_true(rel_error(whole, exact, n) < 0.35);
        free(whole);
        free(parts);
        free(ref);
    }
    free(exact);
}

/* LAST is ALL's last row, NONE leaves the same state behind, truncation forgets exactly. */
static void wanted_logits(void **state)
{
    struct spec m = usual;
    write_model(&m);
    float *all = logits_of(&m, 1, N_TOK, "avx2", false);
    struct lmw_engine *e = open_model(2, "avx2", false);
    struct lmw_session *s = open_session(e, 0);
    struct lmw_err err;
    size_t row = (size_t)m.n_vocab * sizeof(float);
    const int32_t *x = ids(m.n_vocab);
    assert_int_equal(lmw_session_eval(s, x, 100, LMW_LOGITS_LAST, &err), 0);
    assert_memory_equal(lmw_session_logits(s, 0), all + 99 * m.n_vocab, row);
    lmw_session_truncate(s, 40);
    assert_int_equal(lmw_session_n_past(s), 40);
    assert_int_equal(lmw_session_eval(s, x + 40, 70, LMW_LOGITS_NONE, &err), 0);
    assert_int_equal(lmw_session_eval(s, x + 110, 3, LMW_LOGITS_LAST, &err), 0);
    assert_memory_equal(lmw_session_logits(s, 0), all + 112 * m.n_vocab, row);
    lmw_session_truncate(s, 1000);
    assert_int_equal(lmw_session_n_past(s), 113);
    lmw_session_truncate(s, -1);
    assert_int_equal(lmw_session_n_past(s), 0);
    assert_int_equal(lmw_session_eval(s, x, 0, LMW_LOGITS_LAST, &err), 0);
    lmw_session_close(s);
    lmw_engine_close(e);
    free(all);
}

static void wrong_eval(void **state)
{
    struct spec m = usual;
    int32_t bad[] = {1, 24}, negative = -1;
    struct lmw_err err;
    write_model(&m);
    struct lmw_engine *e = open_model(1, "avx2", false);
    struct lmw_session *s = open_session(e, 4);
    assert_int_equal(lmw_session_eval(s, bad, 2, LMW_LOGITS_LAST, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "24"));
    assert_int_equal(lmw_session_eval(s, &negative, 1, LMW_LOGITS_LAST, &err), LMW_EARG);
    assert_int_equal(lmw_session_eval(s, ids(24), 5, LMW_LOGITS_LAST, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "context of 4"));
    assert_int_equal(lmw_session_eval(s, ids(24), -1, LMW_LOGITS_LAST, &err), LMW_EARG);
    assert_int_equal(lmw_session_n_past(s), 0);
    lmw_session_close(s);
    assert_int_equal(lmw_session_open(&s, e, 1 << 30, &err), LMW_EARG);
    lmw_engine_close(e);
}

struct heard {
    int n, stop_after;
    int64_t last_ns;
    int32_t id[20];
};

static int hear(void *arg, int32_t id, lmw_str piece, int64_t t_ns)
{
    struct heard *h = arg;
    assert_true(t_ns >= h->last_ns);
    h->last_ns = t_ns;
    h->id[h->n] = id;
    return ++h->n == h->stop_after;
}

static void answers(void **state)
{
    struct spec m = usual;
    struct heard h = {0};
    struct lmw_answer_opts opts = {.n_max = 10, .on_token = hear, .arg = &h};
    int64_t times[10];
    struct lmw_answer a = {.token_ns = times};
    struct lmw_buf text = {0};
    struct lmw_err err;
    write_model(&m);
    struct lmw_engine *e = open_model(1, "avx2", false);
    struct lmw_session *s = open_session(e, 20);
    const int32_t *x = ids(m.n_vocab);
    assert_int_equal(lmw_session_answer(s, x, 5, &opts, &text, &a, &err), 0);
    assert_int_equal(a.n_answer, 10);
    assert_int_equal(h.n, 10);
    assert_true(a.hit_limit);
    assert_int_equal(a.n_prompt, 5);
    assert_true(a.t_start_ns <= a.t_first_ns && a.t_first_ns <= a.t_end_ns);
    assert_int_equal(times[0], a.t_first_ns);
    assert_int_equal(times[9], a.t_end_ns);
    h = (struct heard){.stop_after = 3};
    assert_int_equal(lmw_session_answer(s, x, 5, &opts, &text, &a, &err), 0);
    assert_int_equal(a.n_answer, 3);
    assert_false(a.hit_limit);
    h = (struct heard){0};
    assert_int_equal(lmw_session_answer(s, x, 18, &opts, &text, &a, &err),
                     0); /* context fills up */
    assert_int_equal(a.n_answer, 3);
    assert_true(a.hit_limit);
    assert_int_equal(lmw_session_answer(s, x, 21, &opts, &text, &a, &err), LMW_EARG);
    assert_int_equal(lmw_session_answer(s, x, 0, &opts, &text, &a, &err), LMW_EARG);
    lmw_buf_free(&text);
    lmw_session_close(s);
    lmw_engine_close(e);
}

/* Adds log p of the id under softmax(row), and that distribution's entropy. */
static void add_by_definition(const float *row, int n, int32_t id, double *logprob,
                              double *entropy)
{
    double z = 0;
    for (int j = 0; j < n; j++)
        z += exp((double)row[j]);
    *logprob += (double)row[id] - log(z);
    for (int j = 0; j < n; j++)
        *entropy -= exp((double)row[j]) / z * ((double)row[j] - log(z));
}

/* However tokens are chosen, how sure the model was is told of its own softmax. */
static void how_sure(void **state)
{
    struct spec m = usual;
    static const float temperature[] = {0, 0.3f, 5};
    struct lmw_answer_opts opts = {.n_max = 10, .on_token = hear};
    struct lmw_answer a = {0};
    struct lmw_buf text = {0};
    struct lmw_err err;
    write_model(&m);
    struct lmw_engine *e = open_model(1, "avx2", false);
    struct lmw_session *s = open_session(e, 20);
    int32_t x[15];
    memcpy(x, ids(m.n_vocab), sizeof x);
    for (size_t t = 0; t < 3; t++) {
        struct heard h = {0};
        double logprob = 0, entropy = 0;
        opts.arg = &h;
        opts.sampler = (struct lmw_sampler){.temperature = temperature[t], .top_p = 1, .top_k = 9};
        lmw_rng_init(&opts.sampler.rng, 3);
        assert_int_equal(lmw_session_answer(s, x, 5, &opts, &text, &a, &err), 0);
        assert_int_equal(a.n_answer, 10);
        memcpy(x + 5, h.id, 10 * sizeof *x);
        lmw_session_truncate(s, 0);
        assert_int_equal(lmw_session_eval(s, x, 15, LMW_LOGITS_ALL, &err), 0);
        for (int i = 0; i < 10; i++)
            add_by_definition(lmw_session_logits(s, 4 + i), m.n_vocab, x[5 + i], &logprob,
                              &entropy);
        assert_true(fabs(a.logprob_mean - logprob / 10) < 1e-6);
        assert_true(fabs(a.entropy_mean - entropy / 10) < 1e-6);
        assert_true(a.logprob_mean < 0 && a.entropy_mean > 0);
    }
    opts.n_max = 0;
    assert_int_equal(lmw_session_answer(s, x, 5, &opts, &text, &a, &err), 0);
    assert_true(isnan(a.logprob_mean) && isnan(a.entropy_mean));
    lmw_buf_free(&text);
    lmw_session_close(s);
    lmw_engine_close(e);
}

/* What a damaged model computes is said, and no answer: its tokens would be measured. */
static void no_numbers(void **state)
{
    static const float fills[] = {NAN, INFINITY};
    static const char *const names[] = {"output.weight", "blk.0.attn_q.weight",
                                        "output_norm.weight"};
    for (int i = 0; i < 6; i++) {
        struct spec m = usual;
        m.filled_tensor = names[i / 2];
        m.fill = fills[i % 2];
        write_model(&m);
        struct lmw_engine *e = open_model(1, "ref", false);
        struct lmw_session *s = open_session(e, 32);
        struct lmw_answer_opts opts = {.n_max = 4};
        struct lmw_answer a = {0};
        struct lmw_buf text = {0};
        struct lmw_err err = {0};
        double ppl;
        float embedding[32];
        const int32_t *x = ids(m.n_vocab);
        assert_int_equal(lmw_session_answer(s, x, 5, &opts, &text, &a, &err), LMW_EFORMAT);
        assert_non_null(strstr(err.msg, "after 5 tokens"));
        assert_non_null(strstr(err.msg, "damaged, or too large"));
        assert_int_equal(lmw_perplexity(s, x, 9, &ppl, NULL, &err), LMW_EFORMAT);
        assert_non_null(strstr(err.msg, "damaged, or too large"));
        assert_int_equal(lmw_perplexity_given(s, x, 3, 9, &ppl, &err), LMW_EFORMAT);
        if (i >= 2) /* the head has no part in it */
            assert_int_equal(lmw_session_embed(s, x, 5, embedding, &err), LMW_EFORMAT);
        lmw_buf_free(&text);
        lmw_session_close(s);
        lmw_engine_close(e);
    }
}

/* A name is printed, and stored as UTF-8. */
static void names(void **state)
{
    static const struct {
        const char *name, *shown;
    } cases[] = {
        {"A model", "A model"},
        {"\x1b[2Ja\n\x07"
         "b",
         " [2Ja  b"},
        {"0123456789012345678901234567890123456789012345678901234567890é", /* 61, 2 */
         "0123456789012345678901234567890123456789012345678901234567890é"},
        {"01234567890123456789012345678901234567890123456789012345678901é",
         "01234567890123456789012345678901234567890123456789012345678901"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct spec m = usual;
        m.name = cases[i].name;
        write_model(&m);
        struct lmw_engine *e = open_model(1, "ref", false);
        assert_string_equal(lmw_engine_info(e)->name, cases[i].shown);
        lmw_engine_close(e);
    }
}

/* W h: what the head makes of a state. */
static void head_of(const float *h, int n, int n_vocab, double *out)
{
    struct lmw_gguf *g;
    assert_int_equal(lmw_gguf_open(&g, model_path(), NULL), 0);
    const float *w = lmw_gguf_find_tensor(g, "output.weight")->data;
    for (int i = 0; i < n_vocab; i++) {
        out[i] = 0;
        for (int k = 0; k < n; k++)
            out[i] += (double)w[i * n + k] * (double)h[k];
    }
    lmw_gguf_close(g);
}

/* A model that is worth several threads also for one token, in another type. */
static void write_quantized(const char *type)
{
    char small[80];
    struct lmw_err err;
    struct spec m = usual;
    m.n_embd = 256;
    m.n_hidden = 768;
    m.k_size = m.v_size = m.n_rot = 64;
    write_model(&m);
    snprintf(small, sizeof small, "%s.small", model_path());
    if (lmw_quantize_file(model_path(), small, type, NULL, NULL, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(rename(small, model_path()), 0);
}

/* Fed in chunks: the last logits, and the embedding of a chunk. */
static void fed(int n_thread, int n_ctx, int chunk, float logits[24], float embedding[256])
{
    struct lmw_err err;
    struct lmw_engine *e = open_model(n_thread, "avx2", false);
    struct lmw_session *s = open_session(e, n_ctx);
    const int32_t *x = ids(usual.n_vocab);
    assert_int_equal(lmw_session_embed(s, x + 5, chunk, embedding, &err), 0);
    lmw_session_truncate(s, 0);
    for (int i = 0; i < n_ctx; i += chunk)
        assert_int_equal(lmw_session_eval(s, x + i, chunk, LMW_LOGITS_LAST, &err), 0);
    memcpy(logits, lmw_session_logits(s, 0), 24 * sizeof *logits);
    lmw_session_close(s);
    lmw_engine_close(e);
}

/* However the threads divide a pass: one token, with more threads than a session has rows; few
 * tokens; and so many that each thread takes some through alone. */
static void many_threads(void **state)
{
    static const char *const types[] = {"F16", "Q8_0", "Q4_K_M"};
    static const struct {
        int n_ctx, chunk;
    } passes[] = {{4, 1}, {14, 7}, {64, 64}, {98, 49}};
    float logits[2][24], embedding[2][256];
    for (int i = 0; i < 12; i++) {
        int n_ctx = passes[i % 4].n_ctx, chunk = passes[i % 4].chunk;
        if (i % 4 == 0)
            write_quantized(types[i / 4]);
        fed(1, n_ctx, chunk, logits[0], embedding[0]);
        for (int n_thread = 2; n_thread <= 6; n_thread += 4) {
            fed(n_thread, n_ctx, chunk, logits[1], embedding[1]);
            assert_memory_equal(logits[1], logits[0], sizeof logits[0]);
            assert_memory_equal(embedding[1], embedding[0], sizeof embedding[0]);
        }
    }
}

/* The head is linear: what it makes of the mean state is the mean of all tokens' logits, but for
 * the scale. */
static void embeddings(void **state)
{
    struct spec m = usual;
    float out[32], same[32];
    double want[24] = {0}, got[24], length = 0, scale = 0;
    struct lmw_err err;
    write_model(&m);
    float *all = logits_of(&m, 1, N_TOK, "avx2", false);
    struct lmw_engine *e = open_model(1, "avx2", false), *threads = open_model(3, "avx2", false);
    struct lmw_session *s = open_session(e, N_TOK), *t = open_session(threads, N_TOK);
    const int32_t *x = ids(m.n_vocab);
    assert_int_equal(lmw_session_eval(s, x, 9, LMW_LOGITS_NONE, &err), 0); /* is forgotten */
    assert_int_equal(lmw_session_embed(s, x, N_TOK, out, &err), 0);
    assert_int_equal(lmw_session_n_past(s), N_TOK);
    assert_int_equal(lmw_session_embed(t, x, N_TOK, same, &err), 0);
    assert_memory_equal(out, same, sizeof out);
    head_of(out, m.n_embd, m.n_vocab, got);
    for (int i = 0; i < m.n_embd; i++)
        length += (double)out[i] * (double)out[i];
    assert_true(fabs(length - 1) < 1e-6);
    for (int i = 0; i < m.n_vocab; i++) {
        for (int k = 0; k < N_TOK; k++)
            want[i] += (double)all[k * m.n_vocab + i];
        scale += want[i] / got[i] / m.n_vocab;
    }
    assert_true(scale > 0);
    for (int i = 0; i < m.n_vocab; i++)
        assert_true(fabs(want[i] - scale * got[i]) < 1e-4 * scale);
    assert_int_equal(lmw_session_embed(s, x, 0, out, &err), LMW_EARG);
    assert_int_equal(lmw_session_embed(s, x, N_TOK + 1, out, &err), LMW_EARG);
    lmw_session_close(s);
    lmw_session_close(t);
    lmw_engine_close(e);
    lmw_engine_close(threads);
    free(all);
}

/* Against the definition, computed from all logits of each window. */
static void perplexity(void **state)
{
    struct spec m = usual;
    double ppl, sum = 0;
    float nll[N_TOK];
    int n = 0, window = 100;
    struct lmw_err err;
    write_model(&m);
    struct lmw_engine *e = open_model(1, "avx2", false);
    struct lmw_session *s = open_session(e, window);
    const int32_t *x = ids(m.n_vocab);
    assert_int_equal(lmw_perplexity(s, x, N_TOK, &ppl, nll, &err), 0);
    for (int from = 0; from < N_TOK; from += window) {
        int len = N_TOK - from < window ? N_TOK - from : window;
        lmw_session_truncate(s, 0);
        assert_int_equal(lmw_session_eval(s, x + from, len, LMW_LOGITS_ALL, &err), 0);
        assert_true(isnan(nll[from]));
        for (int i = 1; i < len; i++, n++) {
            const float *row = lmw_session_logits(s, i - 1);
            double z = 0;
            for (int j = 0; j < m.n_vocab; j++)
                z += exp((double)row[j]);
            double want = log(z) - (double)row[x[from + i]];
            assert_true(fabs((double)nll[from + i] - want) < 1e-5);
            sum += want;
        }
    }
    assert_true(fabs(ppl - exp(sum / n)) < 1e-6 * ppl);
    assert_int_equal(lmw_perplexity(s, x, 1, &ppl, NULL, &err), LMW_EARG);
    for (int given = 1; given < window; given += 49) {
        sum = 0;
        for (int i = given; i < window; i++)
            sum += (double)nll[i];
        assert_int_equal(lmw_perplexity_given(s, x, given, window, &ppl, &err), 0);
        assert_true(fabs(ppl - exp(sum / (window - given))) < 1e-5 * ppl);
    }
    assert_int_equal(lmw_perplexity_given(s, x, 0, 5, &ppl, &err), LMW_EARG);
    assert_int_equal(lmw_perplexity_given(s, x, 5, 5, &ppl, &err), LMW_EARG);
    assert_int_equal(lmw_perplexity_given(s, x, 5, window + 1, &ppl, &err), LMW_EARG);
    lmw_session_close(s);
    lmw_engine_close(e);
}

static void refused(struct spec m, int code, const char *text)
{
    struct lmw_engine_opts opts = {.n_thread = 1};
    struct lmw_engine *e = NULL;
    struct lmw_err err = {0};
    write_model(&m);
    int rc = lmw_engine_open(&e, model_path(), &opts, &err);
    if (rc != code || !strstr(err.msg, text) || !strstr(err.msg, model_path()))
        fail_msg("expected %d '%s', got %d '%s'", code, text, rc, err.msg);
}

static void lying_keys(void **state)
{
    static const struct {
        const char *key;
        uint32_t value;
    } wrong[] = {
        {"llama.block_count", 0},
        {"llama.block_count", 0xffffffff},
        {"llama.embedding_length", 0},
        {"llama.embedding_length", 0x80000000},
        {"llama.context_length", 0},
        {"llama.context_length", 0xffffffff},
        {"llama.feed_forward_length", 0},
        {"llama.feed_forward_length", 0x40000000},
        {"llama.attention.head_count", 0},
        {"llama.attention.head_count", 100000},
        {"llama.attention.head_count_kv", 0},
        {"llama.attention.key_length", 0},
        {"llama.attention.key_length", 0xffffffff},
        {"llama.attention.value_length", 0x10000},
        {"llama.rope.dimension_count", 10},
        {"llama.rope.dimension_count", 7},
        {"llama.rope.dimension_count", 0},
        {"llama.vocab_size", 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct spec m = usual;
        m.extra_key = wrong[i].key;
        m.extra_value = wrong[i].value;
        refused(m, LMW_EFORMAT, wrong[i].key);
    }
    struct spec m = usual;
    m.extra_key = "llama.attention.head_count_kv";
    m.extra_value = 3;
    refused(m, LMW_EFORMAT, "4 heads cannot share 3");
    m.extra_key = "llama.block_count";
    m.extra_value = 3;
    refused(m, LMW_EFORMAT, "blk.2.attn_norm.weight");
    m.extra_key = "llama.vocab_size";
    m.extra_value = 25;
    refused(m, LMW_EFORMAT, "token_embd.weight' is [32, 24], expected [32, 25]");
}

static void lying_tensors(void **state)
{
    static const char *const names[] = {
        "token_embd.weight",      "output_norm.weight",       "output.weight",
        "blk.0.attn_norm.weight", "blk.1.attn_q.weight",      "blk.0.attn_k.weight",
        "blk.1.attn_v.weight",    "blk.0.attn_output.weight", "blk.1.ffn_norm.weight",
        "blk.0.ffn_gate.weight",  "blk.1.ffn_up.weight",      "blk.0.ffn_down.weight",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct spec m = usual;
        m.bad_tensor = names[i];
        refused(m, LMW_EFORMAT, names[i]);
        m.bad_tensor = NULL;
        m.drop_tensor = names[i];
        if (strcmp(names[i], "output.weight") != 0) /* without it the head is the embedding */
            refused(m, LMW_EFORMAT, names[i]);
    }
}

static void not_supported(void **state)
{
    struct spec m = usual;
    m.arch = "nonesuch";
    refused(m, LMW_EUNSUPPORTED, "it knows: llama");
    m = usual;
    m.extra_key = "llama.expert_count";
    m.extra_value = 8;
    refused(m, LMW_EUNSUPPORTED, "llama.expert_count");
    m = usual;
    m.extra_tensor = "blk.0.attn_q.bias";
    refused(m, LMW_EUNSUPPORTED, "blk.0.attn_q.bias");
    m = usual;
    m.rope_type = "yarn";
    refused(m, LMW_EUNSUPPORTED, "yarn");
    m = usual;
    m.freq_base = NAN;
    refused(m, LMW_EFORMAT, "llama.rope.freq_base");
    m = usual;
    m.drop_tensor = "blk.1.ffn_down.weight"; /* it is in another file */
    m.extra_key = "split.count";
    m.extra_value = 2;
    refused(m, LMW_EUNSUPPORTED, "split over 2 files");
}

/* A token without a row, or a row without a token: found when loaded, not by a question. */
static void tokens_and_rows_differ(void **state)
{
    struct spec m = usual;
    m.n_token = m.n_vocab;
    write_model(&m);
    lmw_engine_close(open_model(1, "ref", false));
    for (int more = -1; more <= 1; more += 2) {
        m.n_token = m.n_vocab + more;
        refused(m, LMW_EFORMAT, more < 0 ? "has 23 tokens" : "has 25 tokens");
        refused(m, LMW_EFORMAT, "token_embd.weight has 24 rows");
    }
}

static int remove_model(void **state)
{
    remove(model_path());
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(long_context),
        cmocka_unit_test(formats),
        cmocka_unit_test(wanted_logits),
        cmocka_unit_test(wrong_eval),
        cmocka_unit_test(answers),
        cmocka_unit_test(how_sure),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(perplexity),
        cmocka_unit_test(lying_keys),
        cmocka_unit_test(lying_tensors),
        cmocka_unit_test(not_supported),
        cmocka_unit_test(scaled_positions),
        cmocka_unit_test(no_numbers),
        cmocka_unit_test(names),
        cmocka_unit_test(tokens_and_rows_differ),
    };
    return cmocka_run_group_tests(tests, NULL, remove_model);
}
