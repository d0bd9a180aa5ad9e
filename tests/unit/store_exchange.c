/* Records in and out through the door: what goes in comes out, a file is taken whole or not at
 * all, nothing is overwritten or counted twice, and every refusal says where and why. */
#include "store/exchange.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "store_scratch.h"

#include "base/file.h"

static char path[128];
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

static void write_file(const char *name, const char *text)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_text(path, text);
}

/* Imports what write_file() wrote: the new records, or the negative code. */
static int64_t import_as(const char *run)
{
    struct lmw_import_opts opts = {.run = run};
    struct lmw_import_result r;
    int64_t n = 0;
    int rc = lmw_import(store, path, &opts, &r, &err);
    if (rc < 0)
        return rc;
    for (int i = 0; i < r.n_run; i++)
        n += r.runs[i].n_new;
    free(r.runs);
    return n;
}

static int64_t import_text(const char *name, const char *text, const char *run)
{
    write_file(name, text);
    return import_as(run);
}

/* The export of one run; the caller frees. */
static char *export_run(const char *name, enum lmw_export_format format, bool no_text)
{
    char *text = NULL;
    size_t n;
    int64_t n_record;
    struct lmw_arena arena;
    struct lmw_run *runs;
    struct lmw_export_opts opts = {format, no_text};
    FILE *f = open_memstream(&text, &n);
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, &err), LMW_OK);
    int n_run = lmw_store_runs(store, &arena, &runs, &err), rc = LMW_EARG;
    for (int i = 0; i < n_run; i++) {
        if (strcmp(runs[i].name, name) == 0)
            rc = lmw_export(store, &runs[i], 1, &opts, f, &n_record, &err);
    }
    fclose(f);
    lmw_arena_close(&arena);
    if (rc != LMW_OK)
        fail_msg("%s: %s", name, err.msg);
    return text;
}

static void refuse(const char *name, const char *text, const char *run, const char *says)
{
    int64_t rc = import_text(name, text, run);
    if (rc >= 0 || !strstr(err.msg, says))
        fail_msg("%lld '%s' does not say '%s'", (long long)rc, err.msg, says);
}

static int n_run(void)
{
    struct lmw_arena arena;
    struct lmw_run *runs;
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, &err), LMW_OK);
    int n = lmw_store_runs(store, &arena, &runs, &err);
    lmw_arena_close(&arena);
    return n;
}

/* Unknown fields of every kind, numbers that a double or jansson would change, texts that CSV and
 * JSON must quote. */
static const char odd[] =
    "{\"query_id\":\"a\",\"model\":\"M\",\"score\":0.30000000000000004,\"flops\":1e300,"
    "\"energy_uj\":9223372036854775807,\"latency_ns\":1,\"prompt\":\" \\\"a\\\", b\\r\\nc \","
    "\"answer\":\"\",\"choices\":[\"x,y\",1.50],\"big\":123456789012345678901234567890,"
    "\"exact\":0.10,\"yes\":true,\"none\":null,\"text\":\"1\",\"nested\":{\"a b\":[1,{\"c\":2}]}}\n"
    "{\"query_id\":\"b\",\"model\":\"M\",\"energy_valid\":false,\"energy_reason\":\"gap\"}\n";

static void test_round_trips(void **state)
{
    assert_int_equal(import_text("odd.jsonl", odd, "one"), 2);
    char *jsonl = export_run("one", LMW_EXPORT_JSONL, false);
    char *csv = export_run("one", LMW_EXPORT_CSV, false);
    assert_non_null(strstr(jsonl, "\"score\":0.30000000000000004,"));
    assert_non_null(strstr(jsonl, "\"big\":123456789012345678901234567890,\"exact\":0.10,"));
    assert_non_null(strstr(jsonl, "\"energy_uj\":9223372036854775807,"));
    assert_non_null(strstr(jsonl, "\"energy_method\":\"imported\",\"energy_valid\":true"));
    for (char *at = jsonl; (at = strstr(at, "\"run\":\"one\""));) /* the name alone may differ */
        memcpy(at + 7, "two", 3);
    assert_int_equal(import_text("again.jsonl", jsonl, NULL), 2);
    char *again = export_run("two", LMW_EXPORT_JSONL, false);
    assert_string_equal(again, jsonl);
    assert_int_equal(import_text("again.csv", csv, "two"), 0); /* the same records */
    assert_int_equal(import_text("again.csv", csv, "three"), 2);
    char *from_csv = export_run("three", LMW_EXPORT_CSV, false);
    for (char *at = from_csv; (at = strstr(at, "three,"));)
        memmove(memcpy(at, "one", 3) + 3, at + 5, strlen(at + 5) + 1);
    assert_string_equal(from_csv, csv);
    free(jsonl);
    free(again);
    free(csv);
    free(from_csv);
}

static void test_csv_of_others(void **state)
{
    assert_int_equal(import_text("t.csv",
                                 "\xef\xbb\xbfscore,query_id,language,energy_uj,energy_valid\r\n"
                                 "1,q 1,\"de, \"\"at\"\"\",12.0,True\r\n"
                                 "\r\n"
                                 ",\"q\n2\",,,\r\n",
                                 "csv"),
                     2);
    char *text = export_run("csv", LMW_EXPORT_JSONL, false);
    assert_non_null(strstr(text, "\"query_id\":\"q 1\""));
    assert_non_null(strstr(text, "\"energy_uj\":12,"));
    assert_non_null(strstr(text, "\"language\":\"de, \\\"at\\\"\"}"));
    assert_non_null(strstr(text, "\"query_id\":\"q\\n2\""));
    free(text);
    refuse("t.csv", "query_id,score\na,1\nb,good\n", "x", "t.csv:3: field 'score'");
    refuse("t.csv", "query_id,score\n\"a\nb\",1\nb\n", "x", "t.csv:4: 1 cells");
    refuse("t.csv", "query_id,score\na,1,2\n", "x", "more cells");
    refuse("t.csv", "query_id,query_id\na,1\n", "x", "two columns");
    refuse("t.csv", "id,score\na,1\n", "x", "'query_id'");
    refuse("t.csv", "query_id,score\na\"b,1\n", "x", "quote");
    refuse("t.csv", "query_id,score\n\"a\"b,1\n", "x", "behind");
    refuse("t.csv", "query_id,score\n\"a,1\n", "x", "never closed");
    refuse("t.csv", "query_id,extra\na,\"{\"\"score\"\":1}\"\n", "x", "which is a column");
    refuse("t.csv", "query_id,extra\na,[1]\n", "x", "JSON object");
    refuse("t.csv", "query_id,model\na,\xff\n", "x", "UTF-8");
    assert_int_equal(n_run(), 1);
}

static void test_the_same_file_twice(void **state)
{
    assert_int_equal(import_text("odd.jsonl", odd, "r"), 2);
    assert_int_equal(import_as("r"), 0);
    assert_int_equal(lmw_store_count(store, 1), 2);
    refuse("odd.jsonl",
           "{\"query_id\":\"c\",\"model\":\"M\"}\n"
           "{\"query_id\":\"b\",\"model\":\"M\",\"score\":1}\n",
           "r", "odd.jsonl:2: query 'b'");
    assert_non_null(strstr(err.msg, "another '"));
    assert_int_equal(lmw_store_count(store, 1), 2); /* c did not stay */
    assert_int_equal(import_text("more.jsonl", "{\"query_id\":\"c\",\"model\":\"M\"}", "r"), 1);
    assert_int_equal(lmw_store_check(store, &err), LMW_OK);
}

static void test_where_a_run_came_from(void **state)
{
    struct lmw_arena arena;
    struct lmw_run *runs;
    assert_int_equal(import_text("first.jsonl", odd, "r"), 2);
    assert_int_equal(import_text("second.jsonl", "{\"query_id\":\"c\",\"model\":\"M\"}", "r"), 1);
    assert_int_equal(import_as("r"), 0); /* brings nothing, is not listed */
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, &err), LMW_OK);
    assert_int_equal(lmw_store_runs(store, &arena, &runs, &err), 1);
    json_t *o = json_loads(runs[0].environment, 0, NULL), *list = json_object_get(o, "imports");
    assert_int_equal(json_array_size(list), 2);
    json_t *second = json_array_get(list, 1);
    assert_string_equal(json_string_value(json_object_get(second, "file")), "second.jsonl");
    assert_int_equal(json_integer_value(json_object_get(second, "records")), 1);
    assert_int_equal(json_string_length(json_object_get(second, "hash")), 16);
    assert_string_equal(json_string_value(json_object_get(second, "lmwatt")), LMW_VERSION);
    assert_true(runs[0].finished);
    json_decref(o);
    lmw_arena_close(&arena);
}

static void test_a_bad_line_takes_nothing(void **state)
{
    struct lmw_buf b = {0};
    for (int i = 0; i < 3000; i++) /* more than one batch ahead */
        lmw_buf_printf(&b, "{\"query_id\":%d,\"run\":\"r%d\"}\n", i, i % 3);
    lmw_buf_str(&b, "{\"query_id\":\"last\",\"run\":\"r\",\"score\":\"?\"}\n");
    refuse("bad.jsonl", b.ptr, NULL, "bad.jsonl:3001: field 'score'");
    assert_int_equal(n_run(), 0);
    refuse("bad.jsonl", b.ptr, "one", "bad.jsonl:3001: field 'score'");
    assert_int_equal(n_run(), 0);
    lmw_buf_free(&b);
    refuse("bad.jsonl", "{\"query_id\":1}\n", NULL,
           "bad.jsonl:1: the record does not say its run");
    refuse("bad.jsonl", "\n \n", "r", "holds no records");
    refuse("bad.jsonl", "{\"query_id\":1}\n{\"query_id\"", "r", "bad.jsonl:2: not JSON");
}

static void test_several_models_under_one_name(void **state)
{
    static const char two[] = "{\"query_id\":\"1\",\"model\":\"A\"}\n"
                              "{\"query_id\":\"1\",\"model\":\"B\"}\n"
                              "{\"query_id\":\"2\",\"model\":\"A\"}\n";
    assert_int_equal(import_text("two.jsonl", two, "r"), 3);
    assert_int_equal(n_run(), 2);
    assert_int_equal(lmw_store_count(store, 1), 2);
    assert_int_equal(lmw_store_count(store, 2), 1);
    assert_int_equal(import_as("r"), 0);
    char *b = export_run("r/B", LMW_EXPORT_JSONL, false);
    assert_non_null(strstr(b, "\"run\":\"r/B\""));
    assert_null(strstr(b, "\"model\":\"A\""));
    free(b);
    /* A second file, a second model: the plain name stands for both, not for the first alone. */
    assert_int_equal(import_text("a.jsonl", "{\"query_id\":\"1\",\"model\":\"A\"}", "s"), 1);
    assert_int_equal(import_text("b.jsonl", "{\"query_id\":\"1\",\"model\":\"B\"}", "s"), 1);
    assert_int_equal(import_text("a.jsonl", "{\"query_id\":\"2\",\"model\":\"A\"}", "s"), 1);
    assert_int_equal(n_run(), 4);
    char *first = export_run("s/A", LMW_EXPORT_JSONL, false);
    assert_non_null(strstr(first, "\"model\":\"A\""));
    assert_null(strstr(first, "\"model\":\"B\""));
    free(first);
}

static void test_a_measured_run_is_left_alone(void **state)
{
    struct lmw_run run = {.name = "m", .settings_hash = "0123456789abcdef", .settings = "{}"};
    struct lmw_record r;
    bool resumed;
    lmw_record_clear(&r);
    r.query_id = "q";
    r.repeat = 0;
    assert_int_equal(lmw_store_begin_run(store, &run, &resumed, &err), LMW_OK);
    assert_int_equal(lmw_store_add(store, run.id, &r, &err), LMW_OK);
    assert_int_equal(import_text("m.jsonl", "{\"query_id\":\"q\",\"repeat\":0}", "m"), 0);
    refuse("m.jsonl", "{\"query_id\":\"new\"}", "m", "was measured");
    assert_int_equal(lmw_store_count(store, run.id), 1);
}

static void test_without_texts(void **state)
{
    assert_int_equal(import_text("odd.jsonl", odd, "r"), 2);
    char *text = export_run("r", LMW_EXPORT_JSONL, true);
    assert_non_null(strstr(text, "\"prompt\":null"));
    assert_non_null(strstr(text, "\"prompt_hash\":\""));
    assert_non_null(strstr(text, "\"choices_hash\":\""));
    assert_non_null(strstr(text, "\"exact\":0.10"));
    assert_null(strstr(text, "nested"));
    assert_null(strstr(text, "x,y"));
    assert_int_equal(import_text("no.jsonl", text, "s"), 2); /* it is records still */
    free(text);
}

/* --- a system that refuses --- */

static int import_under_a_limit(void)
{
    struct rlimit limit = {4 << 20, 4 << 20};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    struct lmw_import_opts opts = {.run = "r"};
    struct lmw_import_result r;
    int rc = lmw_import(store, path, &opts, &r, &err);
    return rc == LMW_EIO ? 0 : 1;
}

static void test_a_full_disk_takes_nothing(void **state)
{
    struct lmw_buf b = {0};
    int status;
    for (int i = 0; i < 60000; i++)
        lmw_buf_printf(&b, "{\"query_id\":%d,\"answer\":\"%0200d\"}\n", i, i);
    write_file("big.jsonl", b.ptr);
    lmw_store_close(store);
    store = NULL;
    pid_t child = fork();
    if (child == 0) {
        store = open_store();
        _exit(import_under_a_limit());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    store = open_store();
    assert_int_equal(n_run(), 0);
    assert_int_equal(lmw_store_check(store, &err), LMW_OK);
    assert_int_equal(import_as("r"), 60000); /* there is room again */
    lmw_buf_free(&b);
}

static void test_two_processes_at_once(void **state)
{
    struct lmw_buf b = {0};
    pid_t child[2];
    for (int i = 0; i < 5000; i++)
        lmw_buf_printf(&b, "{\"query_id\":%d}\n", i);
    write_file("a.jsonl", b.ptr);
    lmw_store_close(store);
    store = NULL;
    for (int i = 0; i < 2; i++) {
        if ((child[i] = fork()) == 0) {
            store = open_store();
            int64_t n = import_as("same");
            _exit(n < 0 ? 2 : n == 5000);
        }
    }
    int brought = 0;
    for (int i = 0; i < 2; i++) {
        int status;
        waitpid(child[i], &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_not_equal(WEXITSTATUS(status), 2);
        brought += WEXITSTATUS(status);
    }
    assert_int_equal(brought, 1); /* one of them, all of it */
    store = open_store();
    assert_int_equal(lmw_store_count(store, 1), 5000);
    lmw_buf_free(&b);
}

static int stop(void *arg, int64_t n_record, int64_t n_byte)
{
    return 1;
}

static void test_stopping_takes_nothing(void **state)
{
    struct lmw_buf b = {0};
    for (int i = 0; i < 50000; i++)
        lmw_buf_printf(&b, "{\"query_id\":%d}\n", i);
    write_file("a.jsonl", b.ptr);
    struct lmw_import_opts opts = {.run = "r", .on_progress = stop};
    struct lmw_import_result r;
    assert_int_equal(lmw_import(store, path, &opts, &r, &err), LMW_ECANCELLED);
    assert_int_equal(n_run(), 0);
    lmw_buf_free(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trips),
        TEST(test_csv_of_others),
        TEST(test_the_same_file_twice),
        TEST(test_where_a_run_came_from),
        TEST(test_a_bad_line_takes_nothing),
        TEST(test_several_models_under_one_name),
        TEST(test_a_measured_run_is_left_alone),
        TEST(test_without_texts),
        TEST(test_a_full_disk_takes_nothing),
        TEST(test_two_processes_at_once),
        TEST(test_stopping_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
