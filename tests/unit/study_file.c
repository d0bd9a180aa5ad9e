/* Studies in a file: which runs one makes, and what is said of one that is wrong. */
#include "study/study.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct lmw_study_opts defaults;
static struct lmw_study base;

static int setup(void **state)
{
    defaults = (struct lmw_study_opts){.n_repeat = 1, .top_p = 1, .seed = 1, .n_warm_up = 1};
    defaults.backend_opts.max_tokens = 256;
    base = (struct lmw_study){.runs = &defaults, .n_run = 1, .idle_s = 2};
    base.meter.sources = "auto";
    return lmw_backend_find("embedded", &defaults.backend, NULL);
}

static struct lmw_study_file *file;
static const struct lmw_study *read_it(const char *text)
{
    struct lmw_err err = {0};
    if (lmw_study_read_bytes(&file, lmw_str_from(text), "s.yaml", &base, &err) != LMW_OK)
        fail_msg("%s", err.msg);
    return lmw_study_of(file);
}

static void test_what_is_left_open_is_the_base(void **state)
{
    const struct lmw_study *s = read_it("models: [a.gguf]\nworkloads: [w.jsonl]\n");
    assert_int_equal(s->n_run, 1);
    assert_string_equal(s->runs[0].backend_opts.model, "a.gguf");
    assert_string_equal(s->runs[0].workload, "w.jsonl");
    assert_int_equal(s->runs[0].backend_opts.max_tokens, 256);
    assert_null(s->runs[0].run);
    assert_null(s->runs[0].scorer);
    assert_string_equal(s->meter.sources, "auto");
    assert_true(s->idle_s == 2);
    lmw_study_close(file);
}

static void test_lists_cross(void **state)
{
    const struct lmw_study *s = read_it("name: n\n"
                                        "models:\n"
                                        "  - a.gguf\n"
                                        "  - model: b-{quantization}.gguf\n"
                                        "    quantization: [Q8_0, Q4_K_M]\n"
                                        "    max_tokens: 7\n"
                                        "workloads:\n"
                                        "  - workload: w.jsonl\n"
                                        "    scorer: json\n"
                                        "    max_tokens: 6\n"
                                        "  - v.jsonl\n"
                                        "settings:\n"
                                        "  temperature: [0, 0.5, 1]\n"
                                        "  max_tokens: 5\n"
                                        "  thinking: off\n"
                                        "idle_seconds: 0.5\n"
                                        "require_quiet: true\n");
    int n_half = 0, n_quantized = 0;
    assert_int_equal(s->n_run, 3 * 2 * 3);
    for (int i = 0; i < s->n_run; i++) {
        const struct lmw_study_opts *r = &s->runs[i];
        bool is_w = strcmp(r->workload, "w.jsonl") == 0, is_b = r->backend_opts.model[0] == 'b';
        n_half += r->temperature == 0.5f;
        n_quantized += strcmp(r->backend_opts.model, "b-Q4_K_M.gguf") == 0;
        assert_int_equal(r->backend_opts.max_tokens, is_b ? 7 : is_w ? 6 : 5);
        assert_true(is_w ? strcmp(r->scorer, "json") == 0 : r->scorer == NULL);
        assert_int_equal(r->backend_opts.thinking, LMW_THINKING_OFF);
        assert_string_equal(r->run, "n/{model}-{workload}-{hash}");
    }
    assert_int_equal(n_half, 6);
    assert_int_equal(n_quantized, 6);
    assert_true(s->idle_s == 0.5 && s->require_quiet && !s->require_energy);
    lmw_study_close(file);
}

static void test_every_kind_of_value(void **state)
{
    const struct lmw_study *s = read_it(
        "models: m\nworkloads: w\nsettings: {seed: -5, repeat: 3, rate: 2.5, constant: true,"
        " in_flight: 8, top_k: 40, top_p: 0.9, min_p: 0.1, raw: false, threads: 2,"
        " connect_seconds: 1.5, retries: 0, url: 'http://h:1', system: \"be brief\"}\n");
    const struct lmw_study_opts *r = &s->runs[0];
    assert_true(r->seed == (uint64_t)-5 && r->n_repeat == 3 && r->rate_hz == 2.5);
    assert_true(r->is_constant && r->backend_opts.n_in_flight == 8 && r->top_k == 40);
    assert_true(r->top_p == 0.9f && r->min_p == 0.1f && !r->backend_opts.raw);
    assert_true(r->backend_opts.connect_ns == 1500000000 && r->backend_opts.n_retry == -1);
    assert_string_equal(r->backend_opts.url, "http://h:1");
    assert_string_equal(r->backend_opts.system, "be brief");
    lmw_study_close(file);
}

static void test_null_leaves_a_field_open(void **state)
{
    const struct lmw_study *s = read_it(
        "name: ~\nmodels: [a.gguf, {model: b.gguf, scorer: null, max_tokens: Null}]\n"
        "workloads: w\nmeter: null\n"
        "settings: {system: [~, be brief, '~'], scorer: json, max_tokens: 5, raw: True}\n");
    assert_int_equal(s->n_run, 6);
    assert_null(s->runs[0].backend_opts.system);
    assert_string_equal(s->runs[1].backend_opts.system, "be brief");
    assert_string_equal(s->runs[2].backend_opts.system, "~");
    assert_string_equal(s->runs[2].scorer, "json");
    assert_null(s->runs[3].scorer);
    assert_int_equal(s->runs[3].backend_opts.max_tokens, 256);
    assert_null(s->runs[0].run);
    assert_string_equal(s->meter.sources, "auto");
    assert_true(s->runs[5].backend_opts.raw);
    lmw_study_close(file);
}

static void test_whole_numbers_stay_what_they_are(void **state)
{
    const struct lmw_study *s =
        read_it("models: a\nworkloads: w\nsettings: {seed: [9007199254740991, -7, 1e3, 0x10]}\n");
    assert_true(s->runs[0].seed == 9007199254740991u && s->runs[1].seed == (uint64_t)-7);
    assert_true(s->runs[2].seed == 1000 && s->runs[3].seed == 16);
    lmw_study_close(file);
}

/* 5,000 x 450,000 runs: more than an int can count. */
static void test_more_runs_than_can_be_counted(void **state)
{
    struct lmw_err err = {0};
    struct lmw_study_file *f;
    struct lmw_buf b = {0};
    lmw_buf_str(&b, "models: m\nworkloads: w\nsettings:\n  top_k: [0");
    for (int i = 1; i < 5000; i++)
        lmw_buf_str(&b, ",0");
    lmw_buf_str(&b, "]\n  seed: [0");
    for (int i = 1; i < 450000; i++)
        lmw_buf_str(&b, ",0");
    lmw_buf_str(&b, "]\n");
    assert_int_equal(lmw_study_read_bytes(&f, (lmw_str){b.ptr, b.len}, "s.yaml", &base, &err),
                     LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "more than 10000 runs"));
    lmw_buf_free(&b);
}

/* A study that is wrong, and what the message must hold. */
static const struct {
    const char *text, *says[3];
} wrong[] = {
    {"", {"s.yaml", "empty"}},
    {"models: [a", {"s.yaml:2", "did not find"}},
    {"- a\n- b\n", {"s.yaml:1", "a study is a mapping"}},
    {"workloads: w\n", {"needs `models`"}},
    {"models: a\n", {"needs `workloads`"}},
    {"models: a\nworkloads: []\n", {"needs `workloads`"}},
    {"models:\n  - a\n  - workload: w\nworkloads: v\n", {"s.yaml:3:", "names no model"}},
    {"models: a\nworkloads: w\nmodles: b\n", {"s.yaml:3", "'modles'", "did you mean 'models'?"}},
    {"models: a\nworkloads: w\nsettings:\n  temprature: 1\n",
     {"s.yaml:4", "'temprature'", "did you mean 'temperature'?"}},
    {"models: a\nworkloads: w\nsettings:\n  xyzzyxyzzy: 1\n", {"s.yaml:4", "is no field ("}},
    {"models: a\nworkloads: w\nsettings:\n  meter: rapl\n", {"s.yaml:4", "beside `models`"}},
    {"models: a\nworkloads: w\ntemperature: 1\n", {"s.yaml:3", "under `settings`"}},
    {"models: a\nworkloads: w\nsettings:\n  temperature: hot\n",
     {"s.yaml:4", "temperature takes a number, 0 to 1000", "'hot'"}},
    {"models: a\nworkloads: w\nsettings:\n  max_tokens: [8, 0]\n",
     {"s.yaml:4", "max_tokens", "'0'"}},
    {"models: a\nworkloads: w\nsettings: {max_tokens: 1.5}\n",
     {"s.yaml:3", "whole number", "'1.5'"}},
    {"models: a\nworkloads: w\nsettings: {max_tokens: }\n",
     {"s.yaml:3", "max_tokens has no value"}},
    {"models: a\nworkloads: w\nsettings:\n", {"s.yaml:3", "settings has no value"}},
    {"models: a\nworkloads: w\nsettings: {system: }\n", {"s.yaml:3", "system has no value"}},
    {"models: a\nworkloads: w\nsettings: {run: ''}\n", {"s.yaml:3", "run takes a text, not ''"}},
    {"models: ~\nworkloads: w\n", {"needs `models`"}},
    {"models: a\nworkloads: ~\n", {"needs `workloads`"}},
    {"models: [~]\nworkloads: w\n", {"s.yaml:1", "names no model"}},
    {"models: a\nworkloads: w\nsettings: {scorer: jsn}\n", {"s.yaml:3", "scorer", "'jsn'"}},
    {"models: a\nworkloads: w\nsettings: {seed: 9007199254740993}\n",
     {"s.yaml:3", "-9007199254740992 to 9007199254740992", "'9007199254740993'"}},
    {"models: a\nworkloads: w\nsettings: {max_tokens: 99999999999}\n",
     {"s.yaml:3", "1 to 16777216"}},
    {"models: a\nworkloads: w\nsettings: {seed: 1e300}\n", {"s.yaml:3", "seed"}},
    {"models: a\nworkloads: w\nsettings: {top_p: nan}\n", {"s.yaml:3", "top_p"}},
    {"models: a\nworkloads: w\nsettings: {raw: maybe}\n",
     {"s.yaml:3", "true or false", "'maybe'"}},
    {"models: a\nworkloads: w\nsettings: {thinking: hard}\n", {"s.yaml:3", "on, off or default"}},
    {"models: a\nworkloads: w\nbackends: steam\n", {"s.yaml:3", "backend", "steam"}},
    {"models: a\nworkloads: w\nsettings: {seed: []}\n", {"s.yaml:3", "empty list"}},
    {"models: a\nworkloads: w\nsettings: {seed: [[1]]}\n", {"s.yaml:3", "a list or mapping"}},
    {"models: a\nmodels: b\nworkloads: w\n", {"s.yaml:2", "models is given twice"}},
    {"models: a\nworkloads: w\nsettings: {seed: 1, seed: 2}\n",
     {"s.yaml:3", "seed is given twice"}},
    {"models: {model: a, quantization: Q8_0}\nworkloads: w\n", {"s.yaml:1", "{quantization}"}},
    {"models: &m a\nworkloads: *m\n", {"s.yaml:2", "aliases"}},
    {"models: a\nworkloads: w\n---\nmodels: b\n", {"s.yaml:3", "second document"}},
    {"models: a\nworkloads: w\nname: [x]\n", {"s.yaml:3", "name"}},
    {"models: a\nworkloads: w\nidle_seconds: -1\n", {"s.yaml:3", "idle_seconds", "0 to 3600"}},
    {"models: a\nworkloads: w\nrequire_energy: 7\n", {"s.yaml:3", "require_energy"}},
    {"models: []\nworkloads: w\n", {"needs `models`"}},
};

static void test_what_is_wrong_is_said(void **state)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct lmw_err err = {0};
        struct lmw_study_file *f;
        int rc = lmw_study_read_bytes(&f, lmw_str_from(wrong[i].text), "s.yaml", &base, &err);
        if (rc != LMW_EFORMAT)
            fail_msg("accepted, or %d: %s", rc, wrong[i].text);
        assert_null(f);
        for (int k = 0; k < 3 && wrong[i].says[k]; k++)
            if (!strstr(err.msg, wrong[i].says[k]))
                fail_msg("'%s' does not say '%s'", err.msg, wrong[i].says[k]);
    }
}

static void test_too_many_runs(void **state)
{
    struct lmw_buf b = {0};
    struct lmw_err err = {0};
    lmw_buf_str(&b, "models: a\nworkloads: w\nsettings:\n");
    for (int k = 0; k < 3; k++) {
        lmw_buf_str(&b, k == 0 ? "  seed: [0" : k == 1 ? "  top_k: [0" : "  max_tokens: [1");
        for (int i = 0; i < 40; i++)
            lmw_buf_printf(&b, ", %d", i + 1);
        lmw_buf_str(&b, "]\n");
    }
    assert_int_equal(lmw_study_read_bytes(&file, (lmw_str){b.ptr, b.len}, "s.yaml", &base, &err),
                     LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "more than 10000 runs"));
    lmw_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left_open_is_the_base),
        cmocka_unit_test(test_lists_cross),
        cmocka_unit_test(test_every_kind_of_value),
        cmocka_unit_test(test_null_leaves_a_field_open),
        cmocka_unit_test(test_whole_numbers_stay_what_they_are),
        cmocka_unit_test(test_more_runs_than_can_be_counted),
        cmocka_unit_test(test_what_is_wrong_is_said),
        cmocka_unit_test(test_too_many_runs),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
