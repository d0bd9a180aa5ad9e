/* The ollama backend against the mock server. */
#include "backend_mock.h"

#include <jansson.h>
#include <math.h>

static const struct lmw_backend_opts plain = {0};

static void test_an_answer(void **state)
{
    static const char *const ways[] = {"ok", "bytes"};
    for (int i = 0; i < 4; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        struct lmw_backend_opts opts = {.raw = i >= 2};
        assert_int_equal(ask("ollama", ways[i % 2], opts, &r, &err), LMW_OK);
        assert_string_equal(r.text.ptr, MOCK_TEXT);
        assert_string_equal(r.finish, "stop");
        assert_string_equal(r.model, "mock");
        assert_int_equal(r.n_prompt, 12);
        assert_int_equal(r.n_cached, LMW_NULL); /* not said */
        assert_int_equal(r.n_answer, 9);
        assert_int_equal(r.n_chunk, 5);
        assert_int_equal(r.server_load_ns, 1000);
        assert_int_equal(r.server_prefill_ns, 2000);
        assert_int_equal(r.server_decode_ns, 3000);
        assert_true(r.t_start_ns < r.t_first_ns && r.t_first_ns <= r.t_end_ns);
        drop(&r);
    }
}

static void test_thought(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    struct lmw_backend_opts opts = {.thinking = LMW_THINKING_ON};
    assert_int_equal(ask("ollama", "ok", opts, &r, &err), LMW_OK);
    assert_string_equal(r.reasoning.ptr, MOCK_THOUGHT);
    assert_string_equal(r.text.ptr, MOCK_TEXT);
    assert_int_equal(r.n_chunk, 7);
    drop(&r);
}

static void test_logprobs(void **state)
{
    static const struct {
        const char *how;
        double mean;
    } servers[] = {{"ok", -0.4}, {"lpgone", -0.25}, {"lphigh", (double)NAN}};
    for (int i = 0; i < 6; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        struct lmw_backend_opts opts = {.logprobs = true, .raw = i >= 3};
        double want = servers[i % 3].mean;
        assert_int_equal(ask("ollama", servers[i % 3].how, opts, &r, &err), LMW_OK);
        assert_true(isnan(want) ? isnan(r.logprob_mean) : fabs(r.logprob_mean - want) < 1e-12);
        drop(&r);
    }
}

static void test_request(void **state)
{
    struct lmw_backend_opts opts = {
        .thinking = LMW_THINKING_OFF, .n_ctx = 2048, .body = "{\"options\": {\"num_gpu\": 0}}"};
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("ollama", "echo", opts, &r, &err), LMW_OK);
    json_t *got = json_loads(r.text.ptr, 0, NULL);
    json_t *want = json_loads(
        "{\"model\": \"mock\", \"messages\": [{\"role\": \"user\", \"content\": \"Who are you?\"}],"
        " \"stream\": true, \"think\": false, \"options\": {\"num_predict\": 64, \"seed\": 7, "
        "\"top_k\": 0, \"top_p\": 1.0, \"min_p\": 0.0, \"temperature\": 0.0, \"num_ctx\": 2048, "
        "\"num_gpu\": 0}}",
        0, NULL);
    assert_non_null(want);
    assert_true(json_equal(json_object_get(got, "body"), want));
    json_decref(got);
    json_decref(want);
    drop(&r);
}

/* A prompt that was in the cache is recognised, or it is said that nobody knows. */
static void test_cached_prompts(void **state)
{
    struct lmw_backend *b = open_at("ollama", "cached-one", plain);
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(lmw_backend_answer(b, &mock_request, &r, &err), LMW_OK);
    assert_int_equal(r.n_prompt, 12);
    assert_int_equal(r.n_cached, LMW_NULL);
    assert_string_equal(r.note, "");
    assert_int_equal(lmw_backend_answer(b, &mock_request, &r, &err), LMW_OK);
    assert_int_equal(r.n_prompt, 12);
    assert_int_equal(r.n_cached, 10);
    assert_non_null(strstr(r.note, "cache"));
    lmw_backend_close(b);

    b = open_at("ollama", "uncounted", plain);
    assert_int_equal(lmw_backend_answer(b, &mock_request, &r, &err), LMW_OK);
    assert_int_equal(r.n_prompt, LMW_NULL);
    assert_int_equal(r.n_cached, LMW_NULL);
    assert_non_null(strstr(r.note, "does not say"));
    lmw_backend_close(b);

    b = open_at("ollama", "ok", plain); /* counts all, and says nothing of the cache */
    assert_int_equal(lmw_backend_answer(b, &mock_request, &r, &err), LMW_OK);
    assert_string_equal(r.note, "");
    assert_int_equal(lmw_backend_answer(b, &mock_request, &r, &err), LMW_OK);
    assert_int_equal(r.n_cached, LMW_NULL);
    assert_non_null(strstr(r.note, "does not say"));
    lmw_backend_close(b);

    assert_int_equal(ask("ollama", "new", plain, &r, &err), LMW_OK);
    assert_int_equal(r.n_prompt, 12);
    assert_int_equal(r.n_cached, 8);
    assert_string_equal(r.note, "");
    drop(&r);
}

static void test_what_it_is(void **state)
{
    struct lmw_backend *b = open_at("ollama", "ok/api/", plain);
    const struct lmw_backend_info *info = lmw_backend_info(b);
    assert_string_equal(info->name, "mock");
    assert_string_equal(info->arch, "llama");
    assert_string_equal(info->quantization, "Q4_K_M");
    assert_int_equal(info->n_param, 8030261312);
    assert_int_equal(info->n_ctx, 8192);
    lmw_backend_close(b);
    struct lmw_err err;
    assert_int_equal(try_open(&b, "ollama", "list", plain, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "no model 'mock'; it has: phi, qwen"));
    assert_true(try_open(&b, "ollama", "nolist", plain, &err) < 0);
}

static void test_failures(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    struct lmw_backend_opts once = {.n_retry = -1};
    assert_true(ask("ollama", "stops", plain, &r, &err) < 0);
    assert_non_null(strstr(err.msg, "model runner has stopped"));
    assert_int_equal(r.n_attempt, 1);
    assert_int_equal(ask("ollama", "cut", once, &r, &err), LMW_EIO);
    assert_non_null(strstr(err.msg, "ended before"));
    assert_int_equal(ask("ollama", "cutx1", plain, &r, &err), LMW_OK);
    assert_int_equal(r.n_attempt, 2);
    assert_string_equal(r.text.ptr, MOCK_TEXT);
    drop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer),      cmocka_unit_test(test_thought),
        cmocka_unit_test(test_logprobs),       cmocka_unit_test(test_request),
        cmocka_unit_test(test_cached_prompts), cmocka_unit_test(test_what_it_is),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, start_mock, stop_mock);
}
