/* Backends through their door: the table, what every reply keeps to, and the engine as a
 * backend on a small random model written here. */
#include "backend/backend.h"
#include "base/cpu.h"
#include "base/record.h"
#include "base/rng.h"
#include "engine/gguf.h"
#include "engine/tok.h"

#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_EMBD = 32, N_HIDDEN = 48, N_CTX = 96, N_VOCAB = 258, MAX_TOKENS = 12 };

static const char *model_path(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/lmwatt-backend-%d.gguf", (int)getpid());
    return path;
}

/* --- the model --- */

static const struct {
    const char *name;
    int n_in, n_out; /* n_out 0: a norm */
} tensors[] = {
    {"token_embd.weight", N_EMBD, N_VOCAB},       {"output_norm.weight", N_EMBD, 0},
    {"blk.0.attn_norm.weight", N_EMBD, 0},        {"blk.0.attn_q.weight", N_EMBD, N_EMBD},
    {"blk.0.attn_k.weight", N_EMBD, N_EMBD},      {"blk.0.attn_v.weight", N_EMBD, N_EMBD},
    {"blk.0.attn_output.weight", N_EMBD, N_EMBD}, {"blk.0.ffn_norm.weight", N_EMBD, 0},
    {"blk.0.ffn_gate.weight", N_EMBD, N_HIDDEN},  {"blk.0.ffn_up.weight", N_EMBD, N_HIDDEN},
    {"blk.0.ffn_down.weight", N_HIDDEN, N_EMBD},
};
enum { N_TENSOR = sizeof tensors / sizeof *tensors };

static void put_keys(struct lmw_gguf_writer *w)
{
    const struct {
        const char *key;
        uint32_t v;
    } ints[] = {
        {"llama.context_length", N_CTX},
        {"llama.embedding_length", N_EMBD},
        {"llama.block_count", 1},
        {"llama.feed_forward_length", N_HIDDEN},
        {"llama.attention.head_count", 2},
        {"llama.attention.head_count_kv", 2},
        {"llama.rope.dimension_count", N_EMBD / 2},
        {"llama.vocab_size", N_VOCAB},
    };
    lmw_gguf_put_str(w, "general.architecture", LMW_STR("llama"));
    lmw_gguf_put_str(w, "general.name", LMW_STR("small"));
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        lmw_gguf_put_u32(w, ints[i].key, ints[i].v);
    lmw_gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

static void write_tensor(struct lmw_gguf_writer *w, int i, struct lmw_rng *rng)
{
    static float x[N_VOCAB * N_EMBD];
    int n = tensors[i].n_in * (tensors[i].n_out ? tensors[i].n_out : 1);
    for (int k = 0; k < n; k++)
        x[k] = tensors[i].n_out ? (float)(lmw_rng_normal(rng) * 0.3) : 1;
    assert_int_equal(lmw_gguf_write(w, x, (size_t)n * sizeof *x, NULL), LMW_OK);
}

static int make_model(void **state)
{
    struct lmw_gguf_writer *w;
    struct lmw_tok *tok;
    struct lmw_err err;
    struct lmw_rng rng;
    lmw_str text = LMW_STR("only its bytes");
    lmw_rng_init(&rng, 5);
    if (lmw_gguf_writer_open(&w, model_path(), &err) < 0 ||
        lmw_tok_train(&tok, &text, 1, N_VOCAB, false, &err) < 0)
        return -1;
    put_keys(w);
    lmw_tok_store(tok, w, LMW_STR("[{{ messages[0]['content'] }}]"), &err);
    for (int i = 0; i < N_TENSOR; i++) {
        int64_t ne[2] = {tensors[i].n_in, tensors[i].n_out};
        lmw_gguf_declare(w, lmw_str_from(tensors[i].name), LMW_F32, tensors[i].n_out ? 2 : 1, ne);
    }
    for (int i = 0; i < N_TENSOR; i++)
        write_tensor(w, i, &rng);
    lmw_tok_free(tok);
    return lmw_gguf_writer_close(w, &err);
}

static int remove_model(void **state)
{
    return unlink(model_path());
}

/* --- common --- */

static struct lmw_backend *open_embedded(bool raw)
{
    struct lmw_backend_opts opts = {
        .model = model_path(), .n_thread = 1, .max_tokens = MAX_TOKENS, .raw = raw};
    const struct lmw_backend_ops *ops;
    struct lmw_backend *b;
    struct lmw_err err = {0};
    assert_int_equal(lmw_cpu_mask("ref", &opts.cpu_mask, &err), LMW_OK);
    assert_int_equal(lmw_backend_find("embedded", &ops, &err), LMW_OK);
    if (lmw_backend_open(&b, ops, &opts, &err) < 0)
        fail_msg("%s", err.msg);
    return b;
}

/* A clock that counts its readings and notes the heap at each. */
struct clock {
    int64_t n;
    size_t heap[8];
};

static int64_t tick(void *arg)
{
    struct clock *c = arg;
    if (c->n < 8)
        c->heap[c->n] = mallinfo2().uordblks;
    return ++c->n;
}

static struct lmw_request request(const char *prompt, struct clock *c)
{
    *c = (struct clock){0};
    return (struct lmw_request){
        .prompt = lmw_str_from(prompt),
        .max_tokens = MAX_TOKENS,
        .top_p = 1,
        .clock = {tick, c},
    };
}

/* --- tests --- */

static void test_the_table(void **state)
{
    const struct lmw_backend_ops *ops;
    struct lmw_err err;
    assert_int_equal(lmw_backend_find("embedded", &ops, &err), LMW_OK);
    assert_string_equal(ops->name, "embedded");
    static const char *const others[] = {"openai", "ollama", "command"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(lmw_backend_find(others[i], &ops, &err), LMW_OK);
        assert_string_equal(ops->name, others[i]);
    }
    assert_int_equal(lmw_backend_find("steam", &ops, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "embedded"));
}

static void test_what_it_is(void **state)
{
    struct lmw_backend *b = open_embedded(false);
    const struct lmw_backend_info *info = lmw_backend_info(b);
    assert_string_equal(info->name, "small");
    assert_string_equal(info->arch, "llama");
    assert_string_equal(info->level, "ref");
    assert_int_equal(info->n_thread, 1);
    assert_int_equal(info->n_ctx, N_CTX);
    assert_true(info->n_param > N_VOCAB * N_EMBD && info->n_param_active == info->n_param);
    assert_true(info->file_bytes > 4 * N_VOCAB * N_EMBD);
    lmw_backend_close(b);
}

static void test_an_answer(void **state)
{
    struct lmw_backend *b = open_embedded(false);
    struct lmw_reply reply = {0};
    struct clock c;
    struct lmw_err err;
    char first[256];
    struct lmw_request r = request("hello", &c);
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    assert_int_equal(reply.n_prompt, 1 + strlen("[hello]")); /* BOS, and a token a byte */
    assert_int_equal(reply.n_cached, 0);
    assert_int_equal(reply.n_answer, MAX_TOKENS);
    assert_string_equal(reply.finish, "length");
    assert_true(reply.text.len > 0);
    /* the clock was read three times: before, at the first token, at the end */
    assert_int_equal(c.n, 3);
    assert_int_equal(reply.t_start_ns, 1);
    assert_int_equal(reply.t_first_ns, 2);
    assert_int_equal(reply.t_end_ns, 3);
    assert_true(reply.itl_p50_ns > 0 && reply.itl_p50_ns <= reply.itl_p90_ns &&
                reply.itl_p90_ns <= reply.itl_p99_ns);
    snprintf(first, sizeof first, "%s", reply.text.ptr);

    /* another question between leaves no trace, and the same question allocates nothing */
    r = request("something else", &c);
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    r = request("hello", &c);
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    assert_string_equal(reply.text.ptr, first);
    assert_int_equal(c.heap[0], c.heap[1]);
    assert_int_equal(c.heap[0], c.heap[2]);
    lmw_buf_free(&reply.text);
    lmw_backend_close(b);
}

static void test_limits_and_seeds(void **state)
{
    struct lmw_backend *b = open_embedded(true);
    struct lmw_reply reply = {0};
    struct clock c;
    struct lmw_err err;
    char first[256];
    struct lmw_request r = request("raw", &c);
    r.max_tokens = 1;
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    assert_int_equal(reply.n_prompt, 1 + 3);
    assert_int_equal(reply.n_answer, 1);
    assert_int_equal(reply.itl_p50_ns, LMW_NULL);
    r = request("raw", &c);
    r.temperature = 2;
    r.seed = 7;
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    snprintf(first, sizeof first, "%s", reply.text.ptr);
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    assert_string_equal(reply.text.ptr, first);
    r.seed = 8;
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    assert_string_not_equal(reply.text.ptr, first);
    lmw_buf_free(&reply.text);
    lmw_backend_close(b);
}

static void test_prompts_that_do_not_fit(void **state)
{
    struct lmw_backend *b = open_embedded(true);
    struct lmw_reply reply = {0};
    struct clock c;
    struct lmw_err err;
    char prompt[2 * N_CTX];
    memset(prompt, 'x', sizeof prompt);
    prompt[N_CTX - 2] = 0; /* with BOS: all but one */
    struct lmw_request r = request(prompt, &c);
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    assert_true(reply.n_answer >= 1 && strcmp(reply.finish, "length") == 0);
    prompt[N_CTX - 2] = 'x';
    prompt[N_CTX - 1] = 0;
    r = request(prompt, &c);
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "--ctx"));
    assert_true(reply.t_start_ns <= reply.t_end_ns); /* what failed took time, too */
    assert_int_equal(reply.t_first_ns, LMW_NULL);
    assert_int_equal(reply.n_answer, LMW_NULL);
    assert_int_equal(reply.text.len, 0);
    lmw_buf_free(&reply.text);
    lmw_backend_close(b);
}

/* A greedy answer is likelier than the same words in another order. */
static void test_perplexity(void **state)
{
    struct lmw_backend *b = open_embedded(true);
    struct lmw_reply reply = {0};
    struct clock c;
    struct lmw_err err;
    double own, other;
    char many[N_CTX];
    struct lmw_request r = request("hello", &c);
    r.max_tokens = 1;
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    lmw_str answer = {reply.text.ptr, reply.text.len};
    assert_int_equal(lmw_backend_perplexity(b, r.prompt, answer, &own, &err), LMW_OK);
    assert_true(own > 1 && own < N_VOCAB);
    assert_true(fabs(reply.logprob_mean + log(own)) < 1e-5); /* one token long */
    assert_true(reply.entropy_mean > 0 && reply.n_logprob == LMW_NULL);
    for (int i = 'a'; i <= 'z'; i++) {
        char letter = (char)i;
        assert_int_equal(lmw_backend_perplexity(b, r.prompt, (lmw_str){&letter, 1}, &other, &err),
                         LMW_OK);
        assert_true(other >= own * (1 - 1e-6));
    }
    memset(many, 'x', sizeof many);
    assert_int_equal(
        lmw_backend_perplexity(b, r.prompt, (lmw_str){many, sizeof many}, &other, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "--ctx"));
    assert_true(isnan(other));
    assert_int_equal(lmw_backend_perplexity(b, r.prompt, LMW_STR(""), &other, &err), LMW_EARG);
    lmw_buf_free(&reply.text);
    lmw_backend_close(b);
}

/* Of the prompt as it is asked; whatever was answered before. */
static void test_embeddings(void **state)
{
    struct lmw_backend *b = open_embedded(false), *raw = open_embedded(true);
    float x[N_EMBD], again[N_EMBD], other[N_EMBD], as_asked[N_EMBD];
    struct lmw_reply reply = {0};
    struct clock c;
    struct lmw_err err;
    char many[N_CTX + 1];
    struct lmw_request r = request("something else", &c);
    assert_int_equal(lmw_backend_info(b)->n_embd, N_EMBD);
    assert_int_equal(lmw_backend_embed(b, LMW_STR("hello"), x, &err), LMW_OK);
    assert_int_equal(lmw_backend_answer(b, &r, &reply, &err), LMW_OK);
    assert_int_equal(lmw_backend_embed(b, LMW_STR("hello"), again, &err), LMW_OK);
    assert_memory_equal(x, again, sizeof x);
    assert_int_equal(lmw_backend_embed(raw, LMW_STR("hello"), other, &err), LMW_OK);
    assert_int_equal(lmw_backend_embed(raw, LMW_STR("[hello]"), as_asked, &err), LMW_OK);
    assert_memory_equal(x, as_asked, sizeof x);
    assert_memory_not_equal(x, other, sizeof x);
    memset(many, 'x', sizeof many);
    assert_int_equal(lmw_backend_embed(b, (lmw_str){many, sizeof many}, x, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "--ctx"));
    lmw_buf_free(&reply.text);
    lmw_backend_close(b);
    lmw_backend_close(raw);
}

static void test_a_file_that_is_no_model(void **state)
{
    struct lmw_backend_opts opts = {.model = "/dev/null", .max_tokens = 1};
    const struct lmw_backend_ops *ops;
    struct lmw_backend *b;
    struct lmw_err err;
    lmw_backend_find("embedded", &ops, &err);
    assert_true(lmw_backend_open(&b, ops, &opts, &err) < 0);
    assert_null(b);
    assert_non_null(strstr(err.msg, "/dev/null"));
    opts = (struct lmw_backend_opts){.model = model_path(), .max_tokens = 0};
    assert_int_equal(lmw_backend_open(&b, ops, &opts, &err), LMW_EARG);
}

/* One that answers one at a time takes as many as it was opened for, and answers in that order. */
static void test_in_flight(void **state)
{
    const struct lmw_backend_ops *ops;
    struct lmw_backend_opts opts = {
        .model = model_path(), .n_thread = 1, .max_tokens = MAX_TOKENS, .n_in_flight = 2};
    struct lmw_backend *b;
    struct lmw_reply reply[3] = {{.rc = 1}}, *done;
    struct clock c;
    struct lmw_err err;
    struct lmw_request good = request("hello", &c), bad = good;
    static char long_prompt[4 * N_CTX];
    memset(long_prompt, 'x', sizeof long_prompt);
    bad.prompt = (lmw_str){long_prompt, sizeof long_prompt};
    assert_int_equal(lmw_cpu_mask("ref", &opts.cpu_mask, &err), LMW_OK);
    lmw_backend_find("embedded", &ops, &err);
    assert_int_equal(lmw_backend_open(&b, ops, &opts, &err), LMW_OK);
    assert_int_equal(lmw_backend_wait(b, 0, &done, &err), 0);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(lmw_backend_send(b, &bad, &reply[0], &err), LMW_OK);
        assert_int_equal(lmw_backend_send(b, &good, &reply[1], &err), LMW_OK);
        assert_int_equal(lmw_backend_send(b, &good, &reply[2], &err), LMW_EARG);
        assert_int_equal(lmw_backend_wait(b, 0, &done, &err), 1);
        assert_ptr_equal(done, &reply[0]);
        assert_int_equal(done->rc, LMW_EARG);
        assert_non_null(strstr(done->err.msg, "--ctx"));
        assert_int_equal(lmw_backend_wait(b, 0, &done, &err), 1);
        assert_ptr_equal(done, &reply[1]);
        assert_int_equal(done->rc, LMW_OK);
        assert_true(done->text.len > 0);
        assert_int_equal(lmw_backend_wait(b, 0, &done, &err), 0);
    }
    for (int i = 0; i < 3; i++)
        lmw_buf_free(&reply[i].text);
    lmw_backend_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_what_it_is),
        cmocka_unit_test(test_an_answer),
        cmocka_unit_test(test_in_flight),
        cmocka_unit_test(test_limits_and_seeds),
        cmocka_unit_test(test_prompts_that_do_not_fit),
        cmocka_unit_test(test_perplexity),
        cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_a_file_that_is_no_model),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
