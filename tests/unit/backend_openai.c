/* The openai backend against a server that does what must go right and what must go wrong. */
#include "backend_mock.h"

#include <jansson.h>
#include <math.h>

static const struct lmw_backend_opts plain = {0};

/* --- what goes right --- */

static void test_an_answer(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "ok", plain, &r, &err), LMW_OK);
    assert_string_equal(r.text.ptr, MOCK_TEXT);
    assert_int_equal(r.reasoning.len, 0);
    assert_string_equal(r.finish, "stop");
    assert_string_equal(r.model, "mock-1");
    assert_int_equal(r.n_prompt, 12);
    assert_int_equal(r.n_cached, 3);
    assert_int_equal(r.n_answer, 9);
    assert_int_equal(r.n_reasoning, 4);
    assert_int_equal(r.n_chunk, 5);
    assert_int_equal(r.n_attempt, 1);
    assert_true(r.attempt[0].status == 200 && r.attempt[0].t_end_ns == r.t_end_ns);
    assert_true(r.t_start_ns < r.t_first_ns && r.t_first_ns <= r.t_end_ns);
    assert_true(r.itl_p50_ns >= 0 && r.itl_p50_ns <= r.itl_p90_ns && r.itl_p90_ns <= r.itl_p99_ns);
    assert_int_equal(r.server_decode_ns, LMW_NULL);
    assert_string_equal(r.note, "");
    drop(&r);
}

/* The same answer however it travels. */
static void test_travels(void **state)
{
    static const char *const ways[] = {"bytes", "cr",       "gzip",      "http10", "lines",
                                       "slow",  "comments", "wrongtype", "nodone"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        if (ask("openai", ways[i], plain, &r, &err) < 0)
            fail_msg("%s: %s", ways[i], err.msg);
        assert_string_equal(r.text.ptr, MOCK_TEXT);
        assert_int_equal(r.n_chunk, 5);
        assert_int_equal(r.n_answer, 9);
        drop(&r);
    }
}

static void test_completions(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "ok", (struct lmw_backend_opts){.raw = true}, &r, &err),
                     LMW_OK);
    assert_string_equal(r.text.ptr, MOCK_TEXT);
    assert_int_equal(r.n_prompt, 12);
    drop(&r);
}

static void test_thought(void **state)
{
    static const char *const servers[] = {"thinks", "vllm"};
    for (int i = 0; i < 2; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        assert_int_equal(ask("openai", servers[i], plain, &r, &err), LMW_OK);
        assert_string_equal(r.reasoning.ptr, MOCK_THOUGHT);
        assert_string_equal(r.text.ptr, MOCK_TEXT);
        assert_int_equal(r.n_chunk, 7);
        drop(&r);
    }
}

static void test_timings(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "llama", plain, &r, &err), LMW_OK);
    assert_int_equal(r.n_prompt, 12);
    assert_int_equal(r.n_cached, 5);
    assert_int_equal(r.n_answer, 9);
    assert_int_equal(r.server_prefill_ns, 12500000);
    assert_int_equal(r.server_decode_ns, 90250000);
    drop(&r);
}

/* What servers and clouds really send, each in its own way. */
static void test_streams_as_servers_write_them(void **state)
{
    static const struct {
        const char *server, *text, *thought, *finish;
        int64_t n_cached, n_reasoning, n_answer, decode_ns;
        int n_chunk;
    } of[] = {
        {"openrouter", "It is 4.", "Hmm", "stop", 0, 3, 9, LMW_NULL, 2},
        {"azure", "It is 4.", "", "content_filter", 8, 0, 5, LMW_NULL, 1},
        {"deepseek", "It is 4.", "Hmm", "stop", 8, 3, 9, LMW_NULL, 2},
        {"groq", "It is 4.", "", "stop", LMW_NULL, LMW_NULL, 5, 22000000, 1},
        {"mistral", "It is 4.", "Hmm", "stop", LMW_NULL, LMW_NULL, 9, LMW_NULL, 3},
        {"xai", "It is 4.", "Hmm", "stop", 4, 100, 105, LMW_NULL, 2},
        {"gemini", "It is 4.", "", "stop", LMW_NULL, 50, 55, LMW_NULL, 2},
        {"vllm", "It is 4.", "Hmm", "stop", 8, LMW_NULL, 9, LMW_NULL, 2},
        {"sglang", "It is 4.", "Hmm", "stop", LMW_NULL, 3, 9, LMW_NULL, 2},
        {"llama-server", "It is 4.", "Hmm", "stop", 8, LMW_NULL, 9, 22000000, 2},
        {"lmstudio", "It is 4.", "Hmm", "stop", LMW_NULL, 3, 9, LMW_NULL, 2},
        {"openai-refusal", "I cannot.", "", "stop", 0, 0, 5, LMW_NULL, 1},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        char how[64];
        snprintf(how, sizeof how, "said-%s", of[i].server);
        if (ask("openai", how, plain, &r, &err) < 0)
            fail_msg("%s: %s", of[i].server, err.msg);
        assert_string_equal(r.text.ptr, of[i].text);
        assert_string_equal(r.reasoning.ptr ? r.reasoning.ptr : "", of[i].thought);
        assert_string_equal(r.finish, of[i].finish);
        assert_int_equal(r.n_prompt, 14);
        assert_int_equal(r.n_cached, of[i].n_cached);
        assert_int_equal(r.n_reasoning, of[i].n_reasoning);
        assert_int_equal(r.n_answer, of[i].n_answer);
        assert_int_equal(r.server_decode_ns, of[i].decode_ns);
        assert_int_equal(r.n_chunk, of[i].n_chunk);
        assert_true(r.t_start_ns < r.t_first_ns && r.t_first_ns <= r.t_end_ns);
        drop(&r);
    }
}

/* Worth another try where they say that the fault is theirs. */
static void test_errors_as_servers_write_them(void **state)
{
    static const char *const servers[] = {"openrouter-error", "vllm-error"},
                             *const says[] = {"Provider disconnected", "EngineCore"};
    for (int i = 0; i < 2; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        char how[64];
        snprintf(how, sizeof how, "said-%s", servers[i]);
        assert_int_equal(ask("openai", how, (struct lmw_backend_opts){.n_retry = 1}, &r, &err),
                         LMW_EIO);
        assert_non_null(strstr(err.msg, says[i]));
        assert_int_equal(r.n_attempt, 2);
        drop(&r);
    }
}

static void test_unknown_counts(void **state)
{
    static const char *const servers[] = {"nousage", "wrongusage"};
    for (int i = 0; i < 2; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        assert_int_equal(ask("openai", servers[i], plain, &r, &err), LMW_OK);
        assert_int_equal(r.n_prompt, LMW_NULL);
        assert_int_equal(r.n_cached, LMW_NULL);
        assert_int_equal(r.n_answer, LMW_NULL);
        assert_int_equal(r.n_reasoning, LMW_NULL);
        assert_int_equal(r.n_chunk, 5);
        drop(&r);
    }
}

static struct lmw_reply ask_logprobs(const char *how, bool raw)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    struct lmw_backend_opts opts = {.raw = raw, .logprobs = true};
    assert_int_equal(ask("openai", how, opts, &r, &err), LMW_OK);
    assert_string_equal(r.text.ptr, MOCK_TEXT);
    assert_true(isnan(r.entropy_mean)); /* nobody tells all alternatives */
    drop(&r);
    return r;
}

/* Means over what was told, in every form. */
static void test_logprobs(void **state)
{
    static const char *const ways[] = {"ok", "llama", "bytes"};
    for (size_t i = 0; i < 6; i++) {
        struct lmw_reply r = ask_logprobs(ways[i % 3], i >= 3);
        assert_true(fabs(r.logprob_mean - -0.4) < 1e-12);
        assert_int_equal(r.n_logprob, 5);
        assert_string_equal(r.note, "");
    }
    for (size_t i = 0; i < 4; i++) { /* of one token it is not told */
        struct lmw_reply r = ask_logprobs(i % 2 ? "lpnull" : "lpgone", i >= 2);
        assert_true(fabs(r.logprob_mean - -0.25) < 1e-12);
        assert_int_equal(r.n_logprob, 4);
    }
}

static void test_no_logprobs(void **state)
{
    static const char *const wrong[] = {"lphigh", "lpabove", "lpnines", "lpobject", "lpshape"};
    for (size_t i = 0; i < 10; i++) {
        struct lmw_reply r = ask_logprobs(wrong[i / 2], i % 2);
        assert_true(isnan(r.logprob_mean));
        assert_int_equal(r.n_logprob, LMW_NULL);
        assert_non_null(strstr(r.note, "left out"));
    }
    struct lmw_reply r = ask_logprobs("deaf", false);
    assert_true(isnan(r.logprob_mean));
    assert_non_null(strstr(r.note, "told none"));
    r = ask_logprobs("nologprobs", false);
    assert_true(isnan(r.logprob_mean) && r.n_attempt == 2);
    assert_non_null(strstr(r.note, "refused"));
}

static void test_not_streamed(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    for (int raw = 0; raw < 2; raw++) {
        assert_int_equal(
            ask("openai", "nostream", (struct lmw_backend_opts){.raw = raw}, &r, &err), LMW_OK);
        assert_string_equal(r.text.ptr, MOCK_TEXT);
        assert_int_equal(r.n_answer, 9);
        assert_int_equal(r.t_first_ns, LMW_NULL); /* nobody saw it */
        assert_int_equal(r.n_chunk, LMW_NULL);
        assert_non_null(strstr(r.note, "did not stream"));
    }
    drop(&r);
}

/* The request as the server saw it. */
static json_t *seen(struct lmw_backend_opts opts, const struct lmw_request *q)
{
    struct lmw_backend *b = open_at("openai", "echo", opts);
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(lmw_backend_answer(b, q, &r, &err), LMW_OK);
    json_t *j = json_loads(r.text.ptr, 0, NULL);
    assert_non_null(j);
    drop(&r);
    lmw_backend_close(b);
    return j;
}

static void test_request(void **state)
{
    struct lmw_backend_opts opts = {.system = "Be brief.",
                                    .thinking = LMW_THINKING_OFF,
                                    .max_tokens = 50,
                                    .logprobs = true,
                                    .body = "{\"cache_prompt\": false, \"chat_template_kwargs\": "
                                            "{\"x\": 1}}"};
    json_t *got = seen(opts, &mock_request);
    json_t *want = json_loads(
        "{\"model\": \"mock\", \"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, "
        "{\"role\": \"user\", \"content\": \"Who are you?\"}], \"max_tokens\": 50, "
        "\"temperature\": 0.0, \"seed\": 7, \"stream\": true, \"stream_options\": "
        "{\"include_usage\": true}, \"chat_template_kwargs\": {\"enable_thinking\": false, "
        "\"thinking\": false, \"x\": 1}, \"cache_prompt\": false, \"logprobs\": true}",
        0, NULL);
    assert_non_null(want);
    assert_true(json_equal(json_object_get(got, "body"), want));
    assert_string_equal(json_string_value(json_object_get(got, "path")),
                        "/echo/v1/chat/completions");
    json_decref(got);
    json_decref(want);
    /* drawn: what is switched off is said, too */
    struct lmw_request drawn = mock_request;
    drawn.temperature = 0.7f;
    drawn.max_tokens = 5;
    got = seen((struct lmw_backend_opts){.raw = true, .logprobs = true}, &drawn);
    want = json_loads("{\"model\": \"mock\", \"prompt\": \"Who are you?\", \"max_tokens\": 5, "
                      "\"temperature\": 0.7, \"top_p\": 1.0, \"top_k\": -1, \"min_p\": 0.0, "
                      "\"seed\": 7, \"stream\": true, \"stream_options\": "
                      "{\"include_usage\": true}, \"logprobs\": 1}",
                      0, NULL);
    assert_true(json_equal(json_object_get(got, "body"), want));
    assert_string_equal(json_string_value(json_object_get(got, "path")), "/echo/v1/completions");
    json_decref(got);
    json_decref(want);
}

static void test_urls(void **state)
{
    static const char *const tails[] = {"/ok", "/ok/", "/ok/v1", "/ok/v1/", "/ok/v1beta/openai"};
    static const char *const bad[] = {"127.0.0.1:8080", "ftp://x", "http://me:secret@127.0.0.1/"};
    struct lmw_backend *b;
    struct lmw_err err;
    char url[128];
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        snprintf(url, sizeof url, "http://127.0.0.1:%d%s", mock.port, tails[i]);
        assert_int_equal(try_open(&b, "openai", "", (struct lmw_backend_opts){.url = url}, &err),
                         LMW_OK);
        lmw_backend_close(b);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(
            try_open(&b, "openai", "", (struct lmw_backend_opts){.url = bad[i]}, &err), LMW_EARG);
        assert_null(strstr(err.msg, "secret"));
    }
}

/* A field the server does not know is left out from then on, and that is noted. */
static void test_refused_fields(void **state)
{
    static const char *const servers[] = {"refuses", "newname"};
    for (int i = 0; i < 2; i++) {
        struct lmw_backend *b = open_at("openai", servers[i], plain);
        struct lmw_reply r = {0};
        struct lmw_err err;
        assert_int_equal(lmw_backend_answer(b, &mock_request, &r, &err), LMW_OK);
        assert_string_equal(r.text.ptr, MOCK_TEXT);
        assert_int_equal(r.n_attempt, 2);
        assert_int_equal(r.attempt[0].status, 400);
        assert_int_equal(r.attempt[1].status, 200);
        assert_int_equal(r.n_answer, i == 0 ? LMW_NULL : 9);
        assert_non_null(strstr(r.note, "refused"));
        assert_int_equal(lmw_backend_answer(b, &mock_request, &r, &err), LMW_OK);
        assert_int_equal(r.n_attempt, 1);
        drop(&r);
        lmw_backend_close(b);
    }
}

/* A setting that is left out makes another answer: each says so. */
static void test_refused_settings(void **state)
{
    static const char *const servers[] = {"reasons", "mistral"}, *const words[] = {"temperature",
                                                                                   "seed"};
    for (int i = 0; i < 2; i++) {
        struct lmw_backend *b = open_at("openai", servers[i], plain);
        struct lmw_reply r = {0};
        struct lmw_err err;
        assert_int_equal(lmw_backend_answer(b, &mock_request, &r, &err), LMW_OK);
        assert_int_equal(r.n_attempt, i == 0 ? 3 : 2);
        for (int k = 0; k < 2; k++) {
            assert_string_equal(r.text.ptr, MOCK_TEXT);
            assert_non_null(strstr(r.note, "refuse"));
            assert_int_equal(lmw_backend_answer(b, &mock_request, &r, &err), LMW_OK);
            assert_int_equal(r.n_attempt, 1);
            assert_non_null(strstr(r.note, words[i]));
        }
        drop(&r);
        lmw_backend_close(b);
    }
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "toohot", plain, &r, &err), LMW_EIO);
    assert_string_equal(strstr(err.msg, "answered"),
                        "answered 400: temperature must be between 0 and 1");
    drop(&r);
}

/* --- opening --- */

static void test_what_it_is(void **state)
{
    struct lmw_backend *b = open_at("openai", "ok", plain);
    const struct lmw_backend_info *info = lmw_backend_info(b);
    assert_string_equal(info->name, "mock");
    assert_int_equal(info->n_ctx, 4096);
    assert_int_equal(info->n_param, LMW_NULL);
    assert_int_equal(info->file_bytes, LMW_NULL);
    double ppl;
    assert_int_equal(lmw_backend_perplexity(b, LMW_STR("a"), LMW_STR("b"), &ppl, NULL),
                     LMW_EUNSUPPORTED);
    assert_int_equal(info->n_embd, 0);
    assert_int_equal(lmw_backend_embed(b, LMW_STR("a"), NULL, NULL), LMW_EUNSUPPORTED);
    lmw_backend_close(b);
    lmw_backend_close(open_at("openai", "nolist", plain)); /* at its word */
    lmw_backend_close(open_at("openai", "otherlist", plain));
}

static void refuse_to_open(const char *how, struct lmw_backend_opts opts, const char *says)
{
    struct lmw_backend *b;
    struct lmw_err err;
    assert_true(try_open(&b, "openai", how, opts, &err) < 0);
    assert_null(b);
    if (!strstr(err.msg, says))
        fail_msg("%s: '%s' does not say '%s'", how, err.msg, says);
    assert_null(strstr(err.msg, MOCK_KEY));
}

static void test_health(void **state)
{
    char url[64];
    setenv("EMPTY_KEY", "", 1);
    setenv("BROKEN_KEY", "with a blank and\nmore", 1);
    refuse_to_open("list", plain, "no model 'mock'; it has: phi, qwen");
    refuse_to_open("weblist", plain, "is no JSON");
    refuse_to_open("key", plain, "--api-key-env");
    refuse_to_open("key", (struct lmw_backend_opts){.api_key_env = "NO_SUCH_KEY"}, "not set");
    refuse_to_open("key", (struct lmw_backend_opts){.api_key_env = "EMPTY_KEY"}, "is empty");
    refuse_to_open("key", (struct lmw_backend_opts){.api_key_env = "BROKEN_KEY"}, "BROKEN_KEY");
    refuse_to_open("401", (struct lmw_backend_opts){.api_key_env = "MOCK_KEY"}, "key in MOCK_KEY");
    refuse_to_open("ok", (struct lmw_backend_opts){.body = "[1]"}, "no JSON object");
    refuse_to_open("ok", (struct lmw_backend_opts){.body = "{\"a\": "}, "no JSON object: ");
    refuse_to_open("ok", (struct lmw_backend_opts){.raw = true, .system = "x"}, "--raw");
    refuse_to_open("ok", (struct lmw_backend_opts){.url = "http://no-such-host.invalid"},
                   "no-such-host.invalid");
    snprintf(url, sizeof url, "http://127.0.0.1:1");
    refuse_to_open("", (struct lmw_backend_opts){.url = url}, "is the server running");
    lmw_backend_close(
        open_at("openai", "key", (struct lmw_backend_opts){.api_key_env = "MOCK_KEY"}));
}

/* The key is nowhere, even where a server repeats it. */
static void test_key_is_hidden(void **state)
{
    const struct lmw_backend_opts opts = {.api_key_env = "MOCK_KEY", .n_retry = -1};
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "403-key", opts, &r, &err), LMW_EIO);
    assert_non_null(strstr(err.msg, "API key in MOCK_KEY"));
    assert_null(strstr(err.msg, MOCK_KEY));
    assert_int_equal(ask("openai", "418-key", opts, &r, &err), LMW_EIO);
    assert_non_null(strstr(err.msg, "no 418 for Bearer *****"));
    assert_null(strstr(err.msg, MOCK_KEY));
    assert_int_equal(ask("openai", "echo", opts, &r, &err), LMW_OK);
    assert_non_null(strstr(r.text.ptr, "Bearer *****"));
    assert_null(strstr(r.text.ptr, MOCK_KEY));
    drop(&r);
}

static void test_tls(void **state)
{
    struct lmw_backend *b;
    struct lmw_err err;
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/ok", mock.tls_port);
    refuse_to_open("", (struct lmw_backend_opts){.url = url}, "certificate");
    setenv("SSL_CERT_FILE", "tests/fixtures/tls/cert.pem", 1);
    int rc = try_open(&b, "openai", "", (struct lmw_backend_opts){.url = url}, &err);
    unsetenv("SSL_CERT_FILE");
    if (rc < 0)
        fail_msg("%s", err.msg);
    lmw_backend_close(b);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/ok", mock.port); /* no TLS there */
    refuse_to_open("", (struct lmw_backend_opts){.url = url}, "no connection");
}

static void test_proxy(void **state)
{
    char proxy[64];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", mock.port);
    setenv("http_proxy", proxy, 1);
    struct lmw_reply r = {0};
    struct lmw_err err;
    int rc =
        ask("openai", "", (struct lmw_backend_opts){.url = "http://models.invalid/ok"}, &r, &err);
    unsetenv("http_proxy");
    assert_int_equal(rc, LMW_OK);
    assert_string_equal(r.text.ptr, MOCK_TEXT);
    drop(&r);
}

/* --- what is tried again, and what is not --- */

static void test_tried_again(void **state)
{
    static const char *const ways[] = {"429x2", "503x1", "500x1", "cutx1", "breaksx2"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        int n = ways[i][strlen(ways[i]) - 1] - '0';
        if (ask("openai", ways[i], plain, &r, &err) < 0)
            fail_msg("%s: %s", ways[i], err.msg);
        assert_string_equal(r.text.ptr, MOCK_TEXT); /* nothing of what came before */
        assert_int_equal(r.n_attempt, n + 1);
        assert_int_equal(r.n_chunk, 5);
        assert_true(r.attempt[n].status == 200 && r.attempt[n].t_start_ns == r.t_start_ns);
        for (int k = 0; k < n; k++) {
            assert_true(r.attempt[k].t_end_ns <= r.attempt[k + 1].t_start_ns);
            assert_true(r.attempt[k].t_start_ns <= r.attempt[k].t_end_ns);
        }
        drop(&r);
    }
    /* an open connection that is dead when it is used again may be replaced without a count */
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "resetx3", plain, &r, &err), LMW_OK);
    assert_true(r.n_attempt == 3 || r.n_attempt == 4);
    drop(&r);
}

/* Retry-After is waited out: a second at least is between the attempts. */
static void test_retry_after(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "retrydatex1", plain, &r, &err), LMW_OK);
    assert_int_equal(r.n_attempt, 2);
    assert_true(r.t_start_ns - r.attempt[0].t_end_ns >= 1000000000);
    /* a date that is over is no reason to hurry, nor never to come back */
    assert_int_equal(ask("openai", "retrypastx1", plain, &r, &err), LMW_OK);
    assert_int_equal(r.n_attempt, 2);
    assert_true(r.t_start_ns - r.attempt[0].t_end_ns >= 100000000);
    assert_int_equal(ask("openai", "retrylong", plain, &r, &err), LMW_EIO);
    assert_int_equal(r.n_attempt, 1);
    assert_non_null(strstr(err.msg, "86400"));
    assert_non_null(strstr(err.msg, "come back tomorrow"));
    drop(&r);
}

static void test_storm(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "429", (struct lmw_backend_opts){.n_retry = 2}, &r, &err),
                     LMW_EIO);
    assert_int_equal(r.n_attempt, 3);
    assert_non_null(strstr(err.msg, "after 3 attempts"));
    assert_non_null(strstr(err.msg, "429"));
    assert_int_equal(r.attempt[2].status, 429);
    assert_int_equal(ask("openai", "reset", (struct lmw_backend_opts){.n_retry = -1}, &r, &err),
                     LMW_EIO);
    assert_int_equal(r.n_attempt, 1);
    drop(&r);
}

static void test_not_tried_again(void **state)
{
    static const struct {
        const char *how, *says;
    } ways[] = {
        {"400", "answered 400: no 400"},
        {"404", "answered 404"},
        {"418", "answered 418"},
        {"501", "answered 501"},
        {"redirect", "answered 302: it is at http://127.0.0.1:1/ now"},
        {"html", "web page (text/html)"},
        {"plain", "neither an event stream nor JSON (text/plain)"},
        {"malformed", "malformed"},
        {"stops", "out of memory"},
        {"oldllama", "the request exceeds the available context size"},
        {"nohttp", "http://127.0.0.1"},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        assert_true(ask("openai", ways[i].how, plain, &r, &err) < 0);
        if (!strstr(err.msg, ways[i].says))
            fail_msg("%s: '%s' does not say '%s'", ways[i].how, err.msg, ways[i].says);
        assert_int_equal(r.n_attempt, 1);
        drop(&r);
    }
}

static void test_broken_for_good(void **state)
{
    static const char *const ways[] = {"cut", "breaks", "empty", "nothing", "reset"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        assert_int_equal(ask("openai", ways[i], (struct lmw_backend_opts){.n_retry = 1}, &r, &err),
                         LMW_EIO);
        assert_int_equal(r.n_attempt, 2);
        drop(&r);
    }
}

/* It is this question's fault: the next one may be answered. */
static void test_too_long_for_its_context(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "toolong", plain, &r, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "answered 400: This model's maximum context length"));
    assert_int_equal(r.n_attempt, 1);
    drop(&r);
}

static void test_what_a_filter_holds_back(void **state)
{
    static const char *const ways[] = {"filter", "moderated"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        assert_int_equal(ask("openai", ways[i], plain, &r, &err), LMW_EARG);
        assert_int_equal(r.n_attempt, 1);
        drop(&r);
    }
}

/* No question would be answered any more: none of them is at fault, and asking again is no
 * help. */
static void test_an_account_that_is_empty(void **state)
{
    static const char *const ways[] = {"402", "quota"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        assert_int_equal(ask("openai", ways[i], plain, &r, &err), LMW_EUNAVAILABLE);
        assert_int_equal(r.n_attempt, 1);
        drop(&r);
    }
}

/* Long enough for a busy machine to say hello in. */
static void test_time_outs(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    struct lmw_backend_opts first = {.first_token_ns = 1500000000};
    struct lmw_backend_opts total = {.total_ns = 2500000000};
    assert_int_equal(ask("openai", "silent", first, &r, &err), LMW_EIO);
    assert_non_null(strstr(err.msg, "no token within 1.5 s"));
    assert_int_equal(r.n_attempt, 1);
    assert_int_equal(r.attempt[0].status, 0);
    assert_true(r.t_end_ns - r.t_start_ns >= 1500000000);
    assert_int_equal(ask("openai", "stall", total, &r, &err), LMW_EIO);
    assert_non_null(strstr(err.msg, "no whole answer within 2.5 s"));
    assert_true(r.t_end_ns - r.t_start_ns >= 2500000000);
    assert_true(r.n_chunk >= 1); /* what had come is there */
    drop(&r);
}

static void test_characters_cut_in_two(void **state)
{
    struct lmw_reply r = {0};
    struct lmw_err err;
    assert_int_equal(ask("openai", "brokenutf8", plain, &r, &err), LMW_OK);
    assert_non_null(strstr(r.text.ptr, "\xef\xbf\xbd"));
    drop(&r);
}

/* --- a hundred megabytes --- */

static int64_t peak_kb(void)
{
    char line[128];
    long long kb = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

static void test_huge(void **state)
{
    static const char *const ways[] = {"huge", "hugewhole", "hugeline", "hugeerror"};
    int64_t before = peak_kb(); /* of this process, so far */
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct lmw_reply r = {0};
        struct lmw_err err;
        assert_true(ask("openai", ways[i], (struct lmw_backend_opts){.n_retry = -1}, &r, &err) <
                    0);
        if (i < 3)
            assert_non_null(strstr(err.msg, "MB"));
        assert_true(r.text.len <= (size_t)16 << 20);
        drop(&r);
    }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they keep books of it */
    assert_true(peak_kb() - before < 64 << 10);
#else
    (void)before;
#endif
}

/* --- several in flight --- */

/* The server answers none before all are there. */
static void test_in_flight(void **state)
{
    enum { N = 256 };
    struct lmw_backend *b =
        open_at("openai", "gatherx256", (struct lmw_backend_opts){.n_in_flight = N});
    static struct lmw_reply r[N];
    struct lmw_reply extra = {0}, *done;
    struct lmw_err err;
    bool came[N] = {false};
    assert_int_equal(lmw_backend_wait(b, 0, &done, &err), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(lmw_backend_send(b, &mock_request, &r[i], &err), LMW_OK);
    assert_int_equal(lmw_backend_send(b, &mock_request, &extra, &err), LMW_EARG);
    assert_int_equal(lmw_backend_answer(b, &mock_request, &extra, &err), LMW_EARG);
    for (int i = 0; i < N; i++) {
        assert_int_equal(lmw_backend_wait(b, INT64_MAX, &done, &err), 1);
        if (done->rc < 0)
            fail_msg("%s", done->err.msg);
        assert_string_equal(done->text.ptr, MOCK_TEXT);
        assert_int_equal(done->n_attempt, 1);
        assert_false(came[done - r]);
        came[done - r] = true;
    }
    assert_int_equal(lmw_backend_wait(b, INT64_MAX, &done, &err), 0);
    for (int i = 0; i < N; i++)
        drop(&r[i]);
    lmw_backend_close(b);
}

/* Only looking does not wait, waiting ends when told, and closing drops what is in flight. */
static void test_waiting(void **state)
{
    struct lmw_backend *b =
        open_at("openai", "silent", (struct lmw_backend_opts){.n_in_flight = 2});
    struct lmw_reply r[2] = {{.rc = 1}}, *done;
    struct lmw_err err;
    assert_int_equal(lmw_backend_send(b, &mock_request, &r[0], &err), LMW_OK);
    assert_int_equal(lmw_backend_send(b, &mock_request, &r[1], &err), LMW_OK);
    assert_int_equal(lmw_backend_wait(b, 0, &done, &err), 0);
    int64_t until = lmw_now_ns() + 50000000;
    assert_int_equal(lmw_backend_wait(b, until, &done, &err), 0);
    assert_true(lmw_now_ns() >= until);
    lmw_backend_close(b);
    drop(&r[0]);
    drop(&r[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer),
        cmocka_unit_test(test_travels),
        cmocka_unit_test(test_completions),
        cmocka_unit_test(test_thought),
        cmocka_unit_test(test_timings),
        cmocka_unit_test(test_streams_as_servers_write_them),
        cmocka_unit_test(test_errors_as_servers_write_them),
        cmocka_unit_test(test_unknown_counts),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_no_logprobs),
        cmocka_unit_test(test_not_streamed),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_refused_fields),
        cmocka_unit_test(test_refused_settings),
        cmocka_unit_test(test_what_it_is),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_key_is_hidden),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_tried_again),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_too_long_for_its_context),
        cmocka_unit_test(test_what_a_filter_holds_back),
        cmocka_unit_test(test_an_account_that_is_empty),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_not_tried_again),
        cmocka_unit_test(test_broken_for_good),
        cmocka_unit_test(test_time_outs),
        cmocka_unit_test(test_characters_cut_in_two),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_in_flight),
        cmocka_unit_test(test_waiting),
    };
    return cmocka_run_group_tests(tests, start_mock, stop_mock);
}
