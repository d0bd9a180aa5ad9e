/* Other people's tables through a map: long and wide, CSV and JSON, their units, their words for
 * "nothing", and what is refused. */
#include "store/exchange.h"

#include <math.h>

#include "store_scratch.h"

static struct lmw_store *store;
static struct lmw_err err;
static struct lmw_import_result result;

static int setup(void **state)
{
    return make_folder(state) < 0 ? -1 : lmw_store_open(&store, db, &err);
}

static int teardown(void **state)
{
    free(result.runs);
    result.runs = NULL;
    lmw_store_close(store);
    return remove_folder(state);
}

/* The records of a file of that name and text under the map, or the negative code. */
static int64_t import_text(const char *name, const char *text, const char *run, const char *map)
{
    const struct lmw_import_opts opts = {.run = run, .map = map};
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_text(path, text);
    free(result.runs);
    result = (struct lmw_import_result){0};
    int rc = lmw_import(store, path, &opts, &result, &err);
    return rc < 0 ? rc : result.n_record;
}

static void take(const char *name, const char *text, const char *map, int64_t n)
{
    int64_t got = import_text(name, text, "r", map);
    if (got != n)
        fail_msg("%lld records, not %lld: %s", (long long)got, (long long)n,
                 got < 0 ? err.msg : "");
}

static void refuse(const char *name, const char *text, const char *map, const char *why)
{
    assert_true(import_text(name, text, "x", map) < 0);
    if (!strstr(err.msg, why))
        fail_msg("'%s' does not say '%s'", err.msg, why);
}

/* The record of the run, whose strings live until the next call. */
static struct lmw_record get(const char *run, const char *query_id)
{
    struct lmw_record r;
    struct lmw_arena arena;
    struct lmw_run *runs;
    int64_t id = -1;
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, &err), LMW_OK);
    int n = lmw_store_runs(store, &arena, &runs, &err);
    for (int i = 0; i < n; i++)
        id = strcmp(runs[i].name, run) == 0 ? runs[i].id : id;
    lmw_arena_close(&arena);
    if (id < 0 || lmw_store_get(store, id, query_id, LMW_NULL, &r, &err) != 1)
        fail_msg("no record '%s' in a run '%s'", query_id, run);
    return r;
}

static void test_one_column_a_model(void **state)
{
    take("t.tsv",
         "question_id\tcategory\tanswer\tA-7B\tB.v0.1\n"
         "70\tlaw\tI\t1\t0\n71\tmath\tF\t?\tTrue\n72\tmath\tG\t\tNaN\n",
         "query_id=question_id,domain=category,reference=answer,score=*", 3);
    assert_int_equal(result.n_run, 2);
    assert_true(get("r/A-7B", "70").score == 1);
    struct lmw_record r = get("r/B.v0.1", "71");
    assert_true(r.score == 1);
    assert_string_equal(r.model, "B.v0.1");
    assert_string_equal(r.domain, "math");
    assert_string_equal(r.reference, "F");
    assert_null(r.answer);
    assert_null(r.extra);
}

static void test_several_columns_a_model(void **state)
{
    take("t.csv",
         "sample_id,prompt,eval_name,oracle,gpt-4|cost,gpt-4,gpt-4|reply,m,m|cost,m|reply\n"
         "a.0,\"Say \"\"hi\"\"\",a,m,0.01,1.0,hi,0.5,0.001,ho\n",
         "query_id=sample_id,workload=eval_name,score=*,answer=*|reply,cost_usd=*|cost", 2);
    struct lmw_record r = get("r/gpt-4", "a.0");
    assert_true(r.score == 1 && r.cost_usd == 0.01);
    assert_string_equal(r.answer, "hi");
    assert_string_equal(r.prompt, "Say \"hi\"");
    assert_string_equal(r.extra, "{\"oracle\":\"m\"}");
    assert_true(get("r/m", "a.0").score == 0.5);
}

static void test_one_row_a_model(void **state)
{
    take("t.csv", "name,arc,mmlu\nA,52.9,40\nB,,61%\n", "model=name,score=*:%", 3);
    assert_true(fabs(get("r/A", "arc").score - 0.529) < 1e-12);
    assert_true(get("r/B", "mmlu").score == 0.61);
    take("u.csv", "model,q\nA,12.5%\n", "score=*", 1);
    assert_true(get("r/A", "q").score == 0.125);
}

static void test_nested_json(void **state)
{
    take("t.jsonl",
         "{\"id\":7,\"meta\":{\"subject\":\"law\"},\"tags\":[\"x\",\"y\"],\"results\":"
         "{\"A.1\":{\"ok\":true,\"usage\":{\"out\":5}},\"B\":{\"ok\":false,\"usage\":{\"out\":6}},"
         "\"C\":{\"usage\":{\"out\":null}}}}\n",
         "query_id=id,domain=meta.subject,backend=tags.1,score=results.*.ok,"
         "completion_tokens=results.*.usage.out",
         2);
    struct lmw_record r = get("r/A.1", "7");
    assert_true(r.score == 1);
    assert_int_equal(r.completion_tokens, 5);
    assert_string_equal(r.domain, "law");
    assert_string_equal(r.backend, "y");
    assert_string_equal(r.extra, "{\"meta\":{\"subject\":\"law\"},\"tags\":[\"x\",\"y\"]}");
    take("u.json", "[{\"stats\":{\"em\":0.5}},\n{\"stats\":{\"em\":1}}]",
         "query_id=#,score=stats.em,workload=#", 2);
}

static void test_units(void **state)
{
    take("t.csv",
         "model;batch;kWh;t (ms, mean);W;GB;size;temp;cents\n"
         "m;1;0.000001;12.5;250.5;1.5;7.24;61.5;12\n",
         "query_id=#,energy_uj=kWh:kWh,latency_ns=t (ms, mean):ms,power_mean_mw=W:W,"
         "memory_bytes=GB:GB,params=size:B,temperature_mc=temp:C,cost_usd=cents:ct,"
         "completion_tokens=batch:2.5",
         1);
    struct lmw_record r = get("r", "0");
    assert_int_equal(r.energy_uj, 3600000);
    assert_string_equal(r.energy_method, "imported");
    assert_int_equal(r.energy_valid, 1);
    assert_int_equal(r.latency_ns, 12500000);
    assert_int_equal(r.power_mean_mw, 250500);
    assert_int_equal(r.memory_bytes, 1500000000);
    assert_int_equal(r.params, 7240000000);
    assert_int_equal(r.temperature_mc, 61500);
    assert_true(fabs(r.cost_usd - 0.12) < 1e-12);
    assert_int_equal(r.completion_tokens, 3); /* 2.5, rounded */
    assert_string_equal(r.model, "m");
}

static void test_runs_and_ids_of_columns(void **state)
{
    take("t.csv", "task,n,gpu,model,score\nlaw,1,A100,m,1\nlaw,1,T4,m,0\nlaw,2,T4,m,no\n",
         "query_id=task,query_id=n,run=gpu,machine=gpu", 3);
    assert_true(get("r/m/A100", "law/1").score == 1);
    assert_true(get("r/m/T4", "law/2").score == 0);
    assert_string_equal(get("r/m/T4", "law/1").machine, "T4");
}

static void test_as_spreadsheets_write(void **state)
{
    take("t.csv", ",id,inches,score\n0,a,5\" pipe,1\n1,b,,0\n", "query_id=id", 2);
    assert_string_equal(get("r", "a").extra, "{\"\":\"0\",\"inches\":\"5\\\" pipe\"}");
    /* Without a map the names are the record's own, and what is written of nothing is the same. */
    take("u.csv", "query_id,score,latency_ns\nc,True,12.0\nd,nan,NA\n", NULL, 2);
    assert_true(get("r", "c").score == 1);
    assert_true(isnan(get("r", "d").score));
    assert_true(get("r", "d").latency_ns == LMW_NULL);
}

static void test_what_a_map_cannot_mean(void **state)
{
    const char *t = "id,acc,n\na,56.7,1.5\n";
    refuse("t.csv", t, "query_id=id,score=acc", "percent");
    refuse("t.csv", t, "query_id=id,score=n", "within 0 to 1");
    refuse("t.csv", t, "query_id=id,completion_tokens=n", "whole");
    refuse("t.csv", t, "query_id=id,energy_uj=n", "unit behind a colon in --map (J,");
    refuse("t.csv", t, "query_id=id,energy_uj=n:kwh", "'kwh' is no unit of it (J, kJ,");
    refuse("t.csv", t, "query_id=id,scor=n", "did you mean 'score'?");
    refuse("t.csv", t, "score", "FIELD=COLUMN");
    refuse("t.csv", t, "query_id=id,score=n,score=acc", "twice");
    refuse("t.csv", t, "query_id=it,score=n",
           "t.csv:2: no column 'it' for query_id; there are: "
           "id, acc, n");
    refuse("t.csv", t, "score=acc:%", "--map query_id=COLUMN");
    refuse("t.csv", t, "query_id=id,score=*|ok", "no row has a '*|ok'");
    refuse("t.csv", "id,src,m\na,cot,1\n", "query_id=id,score=*", "extra=COLUMN");
    refuse("t.jsonl", "{\"id\":1}", "query_id=id,score=acc", "no row has a 'acc'");
    refuse("t.jsonl", "{\"id\":1,\"s\":[1]}", "query_id=id,score=s", "no number");
    refuse("t.jsonl", "[1]", "query_id=id", "not JSON");
    const struct lmw_import_opts opts = {.run = "x", .map = "score=x", .format = "ipw"};
    char path[160];
    snprintf(path, sizeof path, "%s/t.jsonl", folder);
    assert_true(lmw_import(store, path, &opts, &result, &err) < 0);
    assert_non_null(strstr(err.msg, "ipw knows its columns"));
}

static void test_what_no_record_can_hold(void **state)
{
    refuse("t.jsonl", "{\"query_id\":1,\"score\":-0.5}", NULL, "within 0 to 1");
    refuse("t.jsonl", "{\"query_id\":1,\"energy_uj\":-1}", NULL, "below 0");
}

static void test_defaults(void **state)
{
    struct lmw_record defaults;
    lmw_record_clear(&defaults);
    defaults.machine = "A100";
    defaults.params = 7;
    defaults.score = 0.5;
    const struct lmw_import_opts opts = {.run = "r", .defaults = &defaults};
    char path[160];
    take("t.jsonl", "{\"query_id\":1,\"machine\":\"T4\"}\n", NULL, 1);
    snprintf(path, sizeof path, "%s/u.jsonl", folder);
    write_text(path, "{\"query_id\":2,\"machine\":\"T4\"}\n{\"query_id\":3,\"score\":0}\n");
    free(result.runs);
    assert_int_equal(lmw_import(store, path, &opts, &result, &err), LMW_OK);
    struct lmw_record r = get("r", "2");
    assert_string_equal(r.machine, "T4");
    assert_int_equal(r.params, 7);
    assert_true(r.score == 0.5);
    r = get("r", "3");
    assert_string_equal(r.machine, "A100");
    assert_true(r.score == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_column_a_model),
        TEST(test_several_columns_a_model),
        TEST(test_one_row_a_model),
        TEST(test_nested_json),
        TEST(test_units),
        TEST(test_runs_and_ids_of_columns),
        TEST(test_as_spreadsheets_write),
        TEST(test_what_a_map_cannot_mean),
        TEST(test_what_no_record_can_hold),
        TEST(test_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
