/* Workload files through the door: what is read, what is refused and in which words, and that
 * what was written reads back the same. */
#include "workload_arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Reads all of it: the number of queries, or the error. */
static int64_t read_all(const char *bytes, size_t len, struct lmw_err *err)
{
    struct lmw_workload *w;
    struct lmw_record r;
    struct lmw_arena a = arena;
    int64_t n = 0;
    int rc;

    assert_int_equal(lmw_workload_open_bytes(&w, (lmw_str){bytes, len}, "queries.jsonl", err), 0);
    while ((rc = lmw_workload_next(w, &r, &a, err)) > 0)
        n++;
    lmw_workload_close(w);
    return rc < 0 ? rc : n;
}

static void accepts(const char *text, int64_t n)
{
    struct lmw_err err = {0};
    int64_t got = read_all(text, strlen(text), &err);

    if (got != n)
        fail_msg("%s: got %lld (%s)", text, (long long)got, err.msg);
}

/* The message names the file, the line, and each of the words given. */
static void refuses_bytes(const char *text, size_t len, const char *line, const char *words)
{
    struct lmw_err err = {0};

    assert_int_equal(read_all(text, len, &err), LMW_EFORMAT);
    if (!strstr(err.msg, line) || !strstr(err.msg, words) || !strstr(err.msg, "queries.jsonl"))
        fail_msg("message is: %s", err.msg);
}
static void refuses(const char *text, const char *line, const char *words)
{
    refuses_bytes(text, strlen(text), line, words);
}

static void test_tolerated(void **state)
{
    accepts("", 0);
    accepts("\n \r\n\t\n", 0);
    accepts("{\"query_id\":\"1\",\"prompt\":\"a\"}", 1);
    accepts("{\"query_id\":\"1\",\"prompt\":\"a\"}\r\n\r\n{\"query_id\":2,\"prompt\":\"b\"}\r\n",
            2);
    accepts("\xef\xbb\xbf{\"query_id\":\"1\",\"prompt\":\"a\"}\n\n\n", 1);
    accepts("{\"query_id\":\"1\",\"prompt\":\"a\",\"reference\":null,\"mine\":{\"x\":[1]}}", 1);
}

static void test_refused(void **state)
{
    static const char good[] = "{\"query_id\":\"1\",\"prompt\":\"a\"}\n";
    char text[256];
    static const struct {
        const char *line, *words;
    } bad[] = {
        {"hello", "not JSON"},
        {"{\"query_id\":\"2\",\"prompt\":\"b\"", "not JSON"},
        {"{\"query_id\":\"2\",\"prompt\":\"b\"} {}", "not JSON"},
        {"[1]", "not an object"},
        {"17", "not an object"},
        {"null", "not an object"},
        {"{\"text\":\"b\"}", "is this a workload"},
        {"{\"query_id\":\"2\"}", "no 'prompt'"},
        {"{\"query_id\":\"2\",\"prompt\":\"\"}", "no 'prompt'"},
        {"{\"query_id\":\"2\",\"prompt\":null}", "no 'prompt'"},
        {"{\"prompt\":\"b\"}", "query_id"},
        {"{\"query_id\":\"\",\"prompt\":\"b\"}", "query_id"},
        {"{\"query_id\":[],\"prompt\":\"b\"}", "query_id"},
        {"{\"query_id\":\"2\",\"prompt\":5}", "prompt"},
        {"{\"query_id\":\"2\",\"prompt\":\"b\",\"prompt\":\"c\"}", "duplicate"},
        {"{\"query_id\":\"1\",\"prompt\":\"b\"}", "unique"},
        {"{\"query_id\":1,\"prompt\":\"b\"}", "unique"},
        {"{\"query_id\":\"2\",\"prompt\":\"\xff\"}", "UTF-8"},
        {"{\"query_id\":\"2\",\"prompt\":\"b\",\"score\":\"high\"}", "score"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "%s\n%s\n", good, bad[i].line);
        refuses(text, ":3: ", bad[i].words);
    }
    refuses_bytes("{\"query_id\":\"1\",\"prompt\":\"a\0b\"}", 31, ":1: ", "not JSON");
}

static void test_long_line(void **state)
{
    size_t len = LMW_WORKLOAD_LINE_MAX + 1;
    char *text = malloc(len);

    memset(text, 'x', len);
    refuses_bytes(text, len, ":1: ", "at most");
    free(text);
}

static void test_error_is_final(void **state)
{
    struct lmw_workload *w;
    struct lmw_record r;
    struct lmw_err first = {0}, again = {0};
    const char *text =
        "{\"query_id\":\"1\",\"prompt\":\"a\"}\nx\n{\"query_id\":\"2\",\"prompt\":\"b\"}";

    assert_int_equal(lmw_workload_open_bytes(&w, lmw_str_from(text), "q", NULL), 0);
    assert_int_equal(lmw_workload_next(w, &r, &arena, NULL), 1);
    assert_int_equal(lmw_workload_next(w, &r, &arena, &first), LMW_EFORMAT);
    assert_int_equal(lmw_workload_next(w, &r, &arena, &again), LMW_EFORMAT);
    assert_string_equal(first.msg, again.msg);
    lmw_workload_rewind(w);
    assert_int_equal(lmw_workload_next(w, &r, &arena, NULL), 1);
    assert_int_equal(lmw_workload_line(w), 1);
    lmw_workload_close(w);
}

static void test_fields(void **state)
{
    struct lmw_workload *w;
    struct lmw_record r;
    const char *text =
        "{\"query_id\":7,\"prompt\":\"2+2?\",\"choices\":[\"3\",\"4\"],\"domain\":\"sums\","
        "\"repeat\":2,\"level\":\"easy\"}";

    assert_int_equal(lmw_workload_open_bytes(&w, lmw_str_from(text), "q", NULL), 0);
    assert_int_equal(lmw_workload_next(w, &r, &arena, NULL), 1);
    lmw_workload_close(w); /* the strings are the arena's */
    assert_string_equal(r.query_id, "7");
    assert_string_equal(r.prompt, "2+2?");
    assert_string_equal(r.domain, "sums");
    assert_string_equal(r.choices, "[\"3\",\"4\"]");
    assert_string_equal(r.extra, "{\"level\":\"easy\"}");
    assert_int_equal(r.repeat, 2);
    assert_null(r.reference);
}

static void test_round_trip(void **state)
{
    struct lmw_buf out = {0};
    struct lmw_record r, back;
    struct lmw_workload *w;
    struct lmw_err err = {0};

    lmw_record_clear(&r);
    r.query_id = "q\"1\\";
    r.prompt = "line\nbreak\ttab \x01 \"quoted\" \xc3\xa9\xf0\x9f\x98\x80";
    r.choices = "[1,\"b\"]";
    r.score = 0.1;
    r.energy_uj = 0;
    r.energy_valid = 1;
    r.extra = "{\"language\":\"de\",\"deep\":{\"x\":null}}";
    assert_int_equal(lmw_workload_format(&r, &out, &err), 0);
    assert_int_equal(out.ptr[out.len - 1], '\n');
    assert_ptr_equal(strchr(out.ptr, '\n'), out.ptr + out.len - 1);
    assert_int_equal(lmw_workload_open_bytes(&w, (lmw_str){out.ptr, out.len}, "back", &err), 0);
    assert_int_equal(lmw_workload_next(w, &back, &arena, &err), 1);
    assert_string_equal(back.query_id, r.query_id);
    assert_string_equal(back.prompt, r.prompt);
    assert_string_equal(back.choices, r.choices);
    assert_string_equal(back.extra, r.extra);
    assert_true(back.score == r.score);
    assert_int_equal(back.energy_uj, 0);
    assert_int_equal(back.energy_valid, 1);
    assert_true(back.latency_ns == LMW_NULL);
    lmw_workload_close(w);
    lmw_buf_free(&out);
}

static void test_format_refuses(void **state)
{
    struct lmw_buf out = {0};
    struct lmw_record r;

    lmw_record_clear(&r);
    r.prompt = "no id";
    assert_int_equal(lmw_workload_format(&r, &out, NULL), LMW_EARG);
    r.query_id = "1";
    r.extra = "[]";
    assert_int_equal(lmw_workload_format(&r, &out, NULL), LMW_EARG);
    r.extra = "{";
    assert_int_equal(lmw_workload_format(&r, &out, NULL), LMW_EARG);
    assert_int_equal(out.len, 0);
    lmw_buf_free(&out);
}

static void test_file(void **state)
{
    char path[] = "/tmp/lmwatt-workload-XXXXXX";
    int fd = mkstemp(path);
    struct lmw_workload *w;
    struct lmw_record r;
    struct lmw_err err = {0};

    assert_int_equal(write(fd, "{\"query_id\":\"1\",\"prompt\":\"a\"}\n", 30), 30);
    close(fd);
    assert_int_equal(lmw_workload_open(&w, path, &err), 0);
    assert_true(lmw_workload_hash(w) ==
                lmw_str_hash(LMW_STR("{\"query_id\":\"1\",\"prompt\":\"a\"}\n")));
    assert_int_equal(lmw_workload_next(w, &r, &arena, &err), 1);
    assert_int_equal(lmw_workload_next(w, &r, &arena, &err), 0);
    assert_int_equal(lmw_workload_next(w, &r, &arena, &err), 0);
    lmw_workload_close(w);
    unlink(path);
    assert_int_equal(lmw_workload_open(&w, path, &err), LMW_EIO);
    assert_non_null(strstr(err.msg, path));
    assert_null(w);
    lmw_workload_close(NULL);
}

static void test_many_ids(void **state)
{
    struct lmw_buf text = {0};
    struct lmw_err err = {0};

    for (int i = 0; i < 20000; i++)
        lmw_buf_printf(&text, "{\"query_id\":\"id-%d\",\"prompt\":\"a\"}\n", i);
    assert_int_equal(read_all(text.ptr, text.len, &err), 20000);
    lmw_buf_str(&text, "{\"query_id\":\"id-3\",\"prompt\":\"a\"}\n");
    refuses_bytes(text.ptr, text.len, ":20001: ", "'id-3'");
    lmw_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tolerated),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long_line),      cmocka_unit_test(test_error_is_final),
        cmocka_unit_test(test_fields),         cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_format_refuses), cmocka_unit_test(test_file),
        cmocka_unit_test(test_many_ids),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
