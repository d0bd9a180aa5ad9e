/* Other programs' records through the door: recognised by what is in them, and each figure where
 * the record has a field for it. The files here are made by hand after the formats' own fields
 * (named in src/store/lm_eval.c, llama_bench.c, ipw.c). */
#include "store/exchange.h"

#include <math.h>

#include "store_scratch.h"

#include "base/file.h"

static char path[200];
static struct lmw_store *store;
static struct lmw_err err;

static int setup(void **state)
{
    return make_folder(state) < 0 ? -1 : lmw_store_open(&store, db, &err);
}

static int teardown(void **state)
{
    lmw_store_close(store);
    return remove_folder(state);
}

/* Imports the text from a file of that name (in a folder of its own) as the run "r"; the format it
 * was taken for. */
static const char *import_text(const char *dir, const char *name, const char *text)
{
    struct lmw_import_opts opts = {.run = "r"};
    struct lmw_import_result r;
    snprintf(path, sizeof path, "%s/%s", folder, dir);
    assert_int_equal(lmw_mkdirs(path, &err), LMW_OK);
    snprintf(path, sizeof path, "%s/%s/%s", folder, dir, name);
    write_text(path, text);
    if (lmw_import(store, path, &opts, &r, &err) < 0)
        return NULL;
    free(r.runs);
    return r.format;
}

/* The record, whose strings live until the next call. */
static struct lmw_record get(int64_t run, const char *query_id, int64_t repeat)
{
    struct lmw_record r;
    if (lmw_store_get(store, run, query_id, repeat, &r, &err) != 1)
        fail_msg("no record '%s' (%lld) in run %lld", query_id, (long long)repeat, (long long)run);
    return r;
}

static const char generated[] =
    "{\"doc_id\":7,\"doc\":{\"question\":\"2+2?\",\"category\":\"math\"},\"target\":\"4\","
    "\"arguments\":{\"gen_args_0\":{\"arg_0\":\"Q: 2+2?\\nA:\",\"arg_1\":{\"until\":[\"\\n\"]}}},"
    "\"resps\":[[\"It is 4.\"]],\"filtered_resps\":[\"4\"],\"filter\":\"strict\","
    "\"metrics\":[\"exact_match\"],\"doc_hash\":\"ab\",\"exact_match\":1.0}\n"
    "{\"doc_id\":7,\"doc\":{\"question\":\"2+2?\"},\"target\":\"4\",\"arguments\":[[\"Q: 2+2?\\nA:\","
    "{}]],\"resps\":[[\"It is 4.\"]],\"filtered_resps\":[\"[invalid]\"],\"filter\":\"flexible\","
    "\"metrics\":[\"exact_match\"],\"exact_match\":0.0}\n";

static void test_lm_eval_generated(void **state)
{
    assert_string_equal(
        import_text("org__model-1", "samples_gsm8k_cot_2026-01-02T03-04-05.678.jsonl", generated),
        "lm-eval");
    struct lmw_record r = get(1, "7", 0);
    assert_string_equal(r.run, "r/org/model-1/gsm8k_cot/strict");
    assert_string_equal(r.model, "org/model-1");
    assert_string_equal(r.workload, "gsm8k_cot");
    assert_string_equal(r.domain, "math");
    assert_string_equal(r.prompt, "Q: 2+2?\nA:");
    assert_string_equal(r.reference, "4");
    assert_string_equal(r.answer, "It is 4.");
    assert_true(r.score == 1);
    assert_string_equal(r.scorer, "exact_match");
    assert_non_null(strstr(r.extra, "\"filtered_resps\":[\"4\"]"));
    assert_non_null(strstr(r.extra, "\"doc_hash\":\"ab\""));
    r = get(2, "7", 0);
    assert_string_equal(r.run, "r/org/model-1/gsm8k_cot/flexible");
    assert_string_equal(r.prompt, "Q: 2+2?\nA:");
    assert_true(r.score == 0);
}

static void test_lm_eval_rated(void **state)
{
    assert_string_equal(
        import_text(
            "plain", "any.jsonl",
            "{\"doc_id\":\"x\",\"doc\":{},\"target\":1,\"arguments\":[[\"Sky is\",\" red\"],"
            "[\"Sky is\",\" blue\"]],\"resps\":[[[-3.5,false]],[[-0.5,true]]],"
            "\"filtered_resps\":[[\"-3.5\",\"False\"],[\"-0.5\",\"True\"]],\"acc\":1.0,"
            "\"acc_norm\":0.0}\n"),
        "lm-eval");
    struct lmw_record r = get(1, "x", 0);
    assert_null(r.model);
    assert_null(r.workload);
    assert_string_equal(r.reference, "1");
    assert_string_equal(r.choices, "[\" red\",\" blue\"]");
    assert_string_equal(r.answer, " blue");
    assert_string_equal(r.scorer, "acc");
    assert_true(r.score == 1);
}

static void test_lm_eval_without_a_score(void **state)
{
    assert_string_equal(
        import_text("p", "samples_wikitext.jsonl",
                    "{\"doc_id\":1,\"doc\":{},\"target\":\"\",\"resps\":[[-12.5]],"
                    "\"filtered_resps\":[-12.5],\"word_perplexity\":[-12.5,9],\"metrics\":"
                    "[\"word_perplexity\"]}\n"),
        "lm-eval");
    struct lmw_record r = get(1, "1", 0);
    assert_true(isnan(r.score));
    assert_string_equal(r.score_reason, "no metric between 0 and 1");
    assert_string_equal(r.workload, "wikitext");
    assert_null(r.answer);
}

/* A task's questions are numbered from 0, and so are the next one's. As a JSON array, too, and
 * with what Python writes where it has no number. */
static void test_lm_eval_tasks(void **state)
{
    const char *a =
        "[\n {\"doc_id\": 0, \"doc\": {\"w\": NaN, \"q\": \"NaN\"}, \"resps\": [[\"a\"]],\n"
        "  \"acc\": 1.0}\n]\n";
    const char *b = "{\"doc_id\":0,\"doc\":{},\"resps\":[[\"a\"]],\"acc\":0.0}\n";
    assert_string_equal(import_text("o__m", "samples_law_2026-01-02T03-04-05.678.json", a),
                        "lm-eval");
    assert_string_equal(import_text("o__m", "samples_math_2026-01-02T03-04-05.678.jsonl", b),
                        "lm-eval");
    assert_string_equal(import_text("o__n", "samples_law_2026-01-02T03-04-05.678.jsonl", b),
                        "lm-eval");
    struct lmw_record r = get(1, "0", 0);
    assert_string_equal(r.run, "r/o/m/law"); /* "r" while it was alone */
    assert_true(r.score == 1);
    assert_string_equal(r.extra, "{\"doc\":{\"w\":null,\"q\":\"NaN\"},\"acc\":1.0}");
    assert_string_equal(get(2, "0", 0).run, "r/o/m/math");
    assert_string_equal(get(3, "0", 0).run, "r/o/n/law");
    /* The same file again is the same records. */
    import_text("o__m", "samples_math_2026-01-02T03-04-05.678.jsonl", b);
    assert_int_equal(lmw_store_count(store, 2), 1);
}

#define BENCH                                                                                  \
    "\"build_commit\":\"abc\",\"cpu_info\":\"Some CPU\",\"gpu_info\":\"\",\"model_filename\":" \
    "\"models/tiny-q4.gguf\",\"model_n_params\":1234,\"n_batch\":512,"

static void test_llama_bench(void **state)
{
    assert_string_equal(
        import_text("p", "bench.json",
                    "[\n  {" BENCH "\"model_type\":\"qwen2 1.5B Q4_K - Medium\",\"n_threads\":4,"
                    "\"n_prompt\":512,\"n_gen\":0,\"n_depth\":0,\"test_time\":"
                    "\"2026-01-02T03:04:05Z\",\"avg_ns\":200,\"avg_ts\":1.5,"
                    "\"samples_ns\":[ 190, 210 ],\"samples_ts\":[ 1, 2 ]},\n"
                    "  {" BENCH "\"model_type\":\"llama 7B mostly Q4_0\",\"n_threads\":4,"
                    "\"n_prompt\":0,\"n_gen\":128,\"n_depth\":64,\"avg_ns\":300}\n]\n"),
        "llama-bench");
    struct lmw_record r = get(1, "pp512", 1);
    assert_string_equal(r.run, "r");
    assert_string_equal(r.model, "tiny-q4");
    assert_string_equal(r.quantization, "Q4_K_M");
    assert_string_equal(r.machine, "Some CPU");
    assert_string_equal(r.date, "2026-01-02T03:04:05Z");
    assert_int_equal(r.params, 1234);
    assert_int_equal(r.prompt_tokens, 512);
    assert_int_equal(r.latency_ns, 210);
    assert_int_equal(r.ttft_ns, LMW_NULL);
    assert_true(isnan(r.score));
    assert_non_null(strstr(r.extra, "\"n_batch\":512"));
    r = get(1, "tg128 @ d64", 0);
    assert_int_equal(r.latency_ns, 300);
    assert_int_equal(r.completion_tokens, 128);
    assert_string_equal(r.quantization, "Q4_0");
}

static void test_llama_bench_settings_are_runs(void **state)
{
    assert_string_equal(import_text("p", "bench.jsonl",
                                    "{" BENCH "\"n_threads\":1,\"n_prompt\":8,\"avg_ns\":9}\n"
                                    "{" BENCH "\"n_threads\":2,\"n_prompt\":8,\"avg_ns\":5}\n"),
                        "llama-bench");
    struct lmw_record one = get(1, "pp8", 0);
    assert_int_equal(strncmp(one.run, "r/tiny-q4-", 10), 0);
    assert_int_equal(one.latency_ns, 9);
    assert_int_equal(get(2, "pp8", 0).latency_ns, 5);
}

/* Both rows of the harness's own test (accuracy 0.5, 15 J mean), and what 2026's rows add. */
static const char ipw[] =
    "[{\"problem\":\"p1\",\"answer\":\"a1\",\"subject\":\"law\",\"dataset_metadata\":{\"k\":1},"
    "\"model_answers\":{\"llama3.2:1b\":\"a1\"},\"model_metrics\":{\"llama3.2:1b\":{"
    "\"evaluation\":{\"is_correct\":true},\"energy_metrics\":{\"per_query_joules\":10.0,"
    "\"total_joules\":10.0},\"latency_metrics\":{\"total_query_seconds\":2.0,"
    "\"time_to_first_token_seconds\":0.25},\"token_metrics\":{\"input\":30,\"output\":12,"
    "\"total\":42},\"power_metrics\":{\"gpu\":{\"per_query_watts\":{\"avg\":5.0,\"max\":7.5,"
    "\"median\":5,\"min\":4}}},\"temperature_metrics\":{\"avg\":50,\"max\":51.5},"
    "\"phase_metrics\":{\"prefill_energy_j\":2.5,\"decode_energy_j\":7.5},"
    "\"gpu_info\":{\"name\":\"NVIDIA H200 x1\"},\"lm_correctness\":false,\"lm_response\":\"a1\"},"
    "\"not asked\":null}},\n"
    "{\"prompt\":\"p2\",\"answer\":\"a2\",\"model_answers\":{\"llama3.2:1b\":\"wrong\"},"
    "\"model_metrics\":{\"llama3.2:1b\":{\"evaluation\":{\"is_correct\":false},"
    "\"energy_metrics\":{\"per_query_joules\":20.0},\"latency_metrics\":"
    "{\"total_query_seconds\":4.0,\"time_to_first_token_seconds\":0.0}}}},\n"
    "{\"problem\":\"p3\",\"answer\":\"a3\",\"model_metrics\":{\"llama3.2:1b\":{"
    "\"energy_metrics\":{\"per_query_joules\":0.0},\"lm_correctness\":false,"
    "\"lm_response\":\"?\"}}}]";

static void test_ipw(void **state)
{
    assert_string_equal(import_text("p", "rows.json", ipw), "ipw");
    struct lmw_record r = get(1, "0", 0);
    assert_string_equal(r.run, "r");
    assert_string_equal(r.model, "llama3.2:1b");
    assert_string_equal(r.prompt, "p1");
    assert_string_equal(r.reference, "a1");
    assert_string_equal(r.answer, "a1");
    assert_string_equal(r.domain, "law");
    assert_string_equal(r.machine, "NVIDIA H200 x1");
    assert_true(r.score == 1);
    assert_int_equal(r.energy_uj, 10000000);
    assert_int_equal(r.energy_prefill_uj, 2500000);
    assert_int_equal(r.energy_decode_uj, 7500000);
    assert_string_equal(r.energy_basis, "gpu");
    assert_string_equal(r.energy_method, "imported");
    assert_int_equal(r.energy_valid, 1);
    assert_int_equal(r.power_mean_mw, 5000);
    assert_int_equal(r.power_max_mw, 7500);
    assert_int_equal(r.temperature_mc, 51500);
    assert_int_equal(r.latency_ns, 2000000000);
    assert_int_equal(r.ttft_ns, 250000000);
    assert_int_equal(r.prompt_tokens, 30);
    assert_int_equal(r.completion_tokens, 12);
    assert_non_null(strstr(r.extra, "\"dataset_metadata\":{\"k\":1}"));
    assert_non_null(strstr(r.extra, "\"metrics\":{"));
    assert_null(strstr(r.extra, "lm_"));
    r = get(1, "1", 0);
    assert_true(r.score == 0);
    assert_int_equal(r.ttft_ns, LMW_NULL); /* 0 is what it writes for none */
    r = get(1, "2", 0);
    assert_true(isnan(r.score)); /* lm_correctness is no verdict */
    assert_int_equal(r.energy_uj, LMW_NULL);
    assert_int_equal(r.energy_valid, 0);
    assert_string_equal(r.energy_reason, "the record says 0 J");
    assert_int_equal(lmw_store_count(store, 1), 3);
}

static void test_an_array_of_records(void **state)
{
    assert_string_equal(import_text("p", "records.json",
                                    "[\n {\"query_id\": \"a\",\n  \"mine\": [1,\n 2]},\n"
                                    " {\"query_id\": \"b\"} ]"),
                        "json");
    assert_string_equal(get(1, "a", 0).extra, "{\"mine\":[1,2]}");
    assert_null(import_text("p", "records.json", "[{\"query_id\":\"c\"},\n{\"query_id\":}]"));
    assert_non_null(strstr(err.msg, "records.json:2: not JSON"));
    assert_int_equal(lmw_store_count(store, 1), 2);
}

static void test_what_is_another_format(void **state)
{
    struct lmw_import_opts opts = {.run = "r", .format = "ipw"};
    struct lmw_import_result r;
    assert_non_null(import_text("p", "records.jsonl", "{\"query_id\":\"a\"}"));
    assert_int_equal(lmw_import(store, path, &opts, &r, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "model_metrics"));
    opts.format = "lm-eval";
    assert_int_equal(lmw_import(store, path, &opts, &r, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "doc_id"));
    opts.format = "llama-bench";
    assert_int_equal(lmw_import(store, path, &opts, &r, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "model_filename"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lm_eval_generated),
        TEST(test_lm_eval_rated),
        TEST(test_lm_eval_without_a_score),
        TEST(test_lm_eval_tasks),
        TEST(test_llama_bench),
        TEST(test_llama_bench_settings_are_runs),
        TEST(test_ipw),
        TEST(test_an_array_of_records),
        TEST(test_what_is_another_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
