/* Event streams and lines: the same whatever the pieces they come in. */
#include "backend/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Everything a stream gives, a `|` after each event, fed in pieces of so many bytes. */
static void events(const char *stream, size_t len, size_t piece, struct lmw_buf *out)
{
    struct lmw_sse s = {0};
    lmw_str data;
    out->len = 0;
    for (size_t at = 0; at < len; at += piece) {
        /* bytes of their own, so that a sanitizer sees who looks beyond them */
        size_t n = at + piece < len ? piece : len - at;
        char *own = malloc(n);
        memcpy(own, stream + at, n);
        lmw_str in = {own, n};
        while (lmw_sse_next(&s, &in, &data, NULL) == 1) {
            lmw_buf_put(out, data.ptr, data.len);
            lmw_buf_str(out, "|");
        }
        assert_int_equal(in.len, 0);
        free(own);
    }
    if (lmw_sse_end(&s, &data, NULL) == 1) {
        lmw_buf_put(out, data.ptr, data.len);
        lmw_buf_str(out, "|");
    }
    assert_int_equal(lmw_sse_end(&s, &data, NULL), 0);
    lmw_sse_free(&s);
    lmw_buf_str(out, "");
}

static void check(const char *stream, const char *want)
{
    struct lmw_buf got = {0};
    for (size_t piece = 1; piece <= strlen(stream) + 1; piece++) {
        events(stream, strlen(stream), piece, &got);
        assert_string_equal(got.ptr, want);
    }
    lmw_buf_free(&got);
}

static void test_events(void **state)
{
    check("data: a\n\ndata:b\n\n", "a|b|");
    check("data: a\r\n\r\ndata: b\r\n\r\n", "a|b|");
    check("data: a\r\rdata: b\r\r", "a|b|");
    check("data: a\r\ndata: b\n\r\ndata:  c\r\n\n", "a\nb| c|");
    check("data: a\r\n\ndata: b\n\r\r\n", "a|b|");
    check("\xef\xbb\xbf"
          "data: bom\n\n",
          "bom|");
    check(": a comment\n\nevent: x\nid: 1\nretry: 3\n\ndata: y\n\n", "y|");
    check("data\n\ndata:\n\n", "||");
    check("data: one\ndata: two\nevent: e\ndata:\n\n", "one\ntwo\n|");
    check("error: {\"code\":1}\n\ndata: [DONE]\n\n", "{\"error\":{\"code\":1}}|[DONE]|");
    check("database: no\ndat: no\n data: no\n\n", "");
    check("data: caf\xc3\xa9 \xe2\x98\x83\n\n", "caf\xc3\xa9 \xe2\x98\x83|");
}

static void test_unfinished(void **state)
{
    check("data: a\n\ndata: [DONE]", "a|[DONE]|");
    check("data: a\n\ndata: b\n", "a|b|");
    check("data: a\n\nda", "a|");
    check("", "");
}

static void test_too_long(void **state)
{
    struct lmw_sse s = {0};
    struct lmw_err err;
    char block[65536];
    lmw_str data, in;
    int rc = 0;
    memset(block, 'x', sizeof block);
    for (size_t n = 0; rc == 0 && n <= 2 * LMW_LINE_MAX; n += sizeof block) {
        in = (lmw_str){block, sizeof block};
        rc = lmw_sse_next(&s, &in, &data, &err);
    }
    assert_int_equal(rc, LMW_EFORMAT);
    assert_true(s.lines.held.cap <= 2 * LMW_LINE_MAX);
    /* many lines that are one event */
    lmw_sse_reset(&s);
    block[sizeof block - 1] = '\n';
    memcpy(block, "data:", 5);
    rc = 0;
    for (size_t n = 0; rc == 0 && n <= 2 * LMW_LINE_MAX; n += sizeof block) {
        in = (lmw_str){block, sizeof block};
        rc = lmw_sse_next(&s, &in, &data, &err);
    }
    assert_int_equal(rc, LMW_EFORMAT);
    /* and it can be used again */
    lmw_sse_reset(&s);
    in = LMW_STR("data: again\n\n");
    assert_int_equal(lmw_sse_next(&s, &in, &data, &err), 1);
    assert_true(lmw_str_is(data, "again"));
    lmw_sse_free(&s);
}

static void test_lines(void **state)
{
    struct lmw_lines l = {0};
    lmw_str in = LMW_STR("one\ntw"), line;
    assert_int_equal(lmw_lines_next(&l, &in, &line, NULL), 1);
    assert_true(lmw_str_is(line, "one"));
    assert_int_equal(lmw_lines_next(&l, &in, &line, NULL), 0);
    in = LMW_STR("o\n\nthree");
    assert_int_equal(lmw_lines_next(&l, &in, &line, NULL), 1);
    assert_true(lmw_str_is(line, "two"));
    assert_int_equal(lmw_lines_next(&l, &in, &line, NULL), 1);
    assert_int_equal(line.len, 0);
    assert_int_equal(lmw_lines_next(&l, &in, &line, NULL), 0);
    assert_int_equal(lmw_lines_end(&l, &line), 1);
    assert_true(lmw_str_is(line, "three"));
    assert_int_equal(lmw_lines_end(&l, &line), 0);
    lmw_lines_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
