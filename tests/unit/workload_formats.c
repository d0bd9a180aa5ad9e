/* Workload files of every format through the door: CSV, TSV, JSON documents, packed files, column
 * maps; what each tolerates, what it refuses and in which words. */
#include "workload_arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

/* All rows as lines "id|prompt|reference|extra", or the error. */
static int read_as(lmw_str bytes, const char *name, const struct lmw_workload_opts *o,
                   struct lmw_buf *out, struct lmw_err *err)
{
    struct lmw_workload *w;
    struct lmw_record r;
    struct lmw_arena a = arena;
    int rc;

    out->len = 0;
    lmw_buf_str(out, "");
    if ((rc = lmw_workload_open_bytes_as(&w, bytes, name, o, err)) < 0)
        return rc;
    while ((rc = lmw_workload_next(w, &r, &a, err)) > 0)
        lmw_buf_printf(out, "%s|%s|%s|%s\n", r.query_id, r.prompt, r.reference ? r.reference : "-",
                       r.extra ? r.extra : "-");
    lmw_workload_close(w);
    return rc;
}

static void reads(const char *name, const char *text, const struct lmw_workload_opts *o,
                  const char *rows)
{
    struct lmw_buf got = {0};
    struct lmw_err err = {0};

    if (read_as(lmw_str_from(text), name, o, &got, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_string_equal(got.ptr, rows);
    lmw_buf_free(&got);
}

static void refuses(const char *name, lmw_str bytes, const struct lmw_workload_opts *o,
                    const char *where, const char *words)
{
    struct lmw_buf got = {0};
    struct lmw_err err = {0};

    if (read_as(bytes, name, o, &got, &err) >= 0)
        fail_msg("%.*s: read as\n%s", LMW_FMT(bytes), got.ptr);
    if (!strstr(err.msg, where) || !strstr(err.msg, words))
        fail_msg("message is: %s", err.msg);
    lmw_buf_free(&got);
}

static void csv_as_rfc_4180_has_it(void **state)
{
    reads("q.csv", "query_id,prompt,reference\n1,a,b\n", NULL, "1|a|b|-\n");
    reads("q.csv", "query_id,prompt,reference\r\n1,a,b\r\n2,c,d", NULL, "1|a|b|-\n2|c|d|-\n");
    reads("q.csv", "\xef\xbb\xbfquery_id,prompt\n1,a\n", NULL, "1|a|-|-\n");
    reads("q.csv", "query_id,prompt\n1,\"a,b\"\n2,\"say \"\"hi\"\"\"\n", NULL,
          "1|a,b|-|-\n2|say \"hi\"|-|-\n");
    reads("q.csv", "query_id,prompt\n1,\"two\nlines\"\r\n2,b\n", NULL,
          "1|two\nlines|-|-\n2|b|-|-\n");
    reads("q.csv", "query_id,prompt,reference\n1,a,\n2,b,", NULL, "1|a|-|-\n2|b|-|-\n");
    reads("q.csv", "query_id,prompt\n\n1,a\n\r\n2,5\" disk\n\n", NULL,
          "1|a|-|-\n2|5\" disk|-|-\n");
    reads("q.csv", "query_id,prompt,level\n1,\" a \",easy\n", NULL,
          "1| a |-|{\"level\":\"easy\"}\n");
    reads("q.tsv", "query_id\tprompt\n1\ta, b\n", NULL, "1|a, b|-|-\n");
    reads("q.csv", "", NULL, "");
    reads("q.csv", "query_id,prompt\n", NULL, "");
}

static void csv_refused(void **state)
{
    refuses("q.csv", LMW_STR("query_id,prompt\n1,a\n2,b,c\n"), NULL, "q.csv:3: ", "3 fields");
    refuses("q.csv", LMW_STR("query_id,prompt\n1,\"a\"b\n"), NULL, "q.csv:2: ", "closing quote");
    refuses("q.csv", LMW_STR("query_id,prompt\n1,\"a\n\n2,b\n"), NULL,
            "q.csv:2: ", "never closed");
    refuses("q.csv", LMW_STR("query_id,prompt,prompt\n"), NULL, "q.csv", "twice");
    refuses("q.csv", LMW_STR("query_id,prompt\n1,\xff\n"), NULL, "q.csv:2: ", "UTF-8");
    refuses("q.csv", LMW_STR("query_id,prompt\n1,a\0b\n"), NULL, "q.csv:2: ", "NUL");
    refuses("q.csv", LMW_STR("query_id,prompt\n1,a\n\n1,b\n"), NULL, "q.csv:4: ", "on line 2");
    refuses("q.csv", LMW_STR("text,label\na,b\n"), NULL, "q.csv:2: ", "map");
    refuses("q.csv", LMW_STR("query_id,prompt,repeat\n1,a,x\n"), NULL, "q.csv:2: ", "'repeat'");
}

static void columns_are_mapped(void **state)
{
    struct lmw_workload_opts o = {.map = "prompt=question,reference=answer.value,query_id=#"};

    reads("dir/test.jsonl", "{\"question\":\"q\",\"answer\":{\"value\":5},\"k\":1}", &o,
          "test-1|q|5|{\"k\":1}\n");
    o.map = "prompt=conversation.0.content, query_id=id";
    reads("t.jsonl", "{\"id\":7,\"conversation\":[{\"content\":\"hi\"}]}", &o,
          "7|hi|-|{\"conversation\":[{\"content\":\"hi\"}]}\n");
    /* What is moved is gone from where it was: `answer` here is no model's answer. */
    o.map = "prompt=question,reference=answer,query_id=#";
    reads("t.csv", "question,answer\nq,42\n", &o, "t-1|q|42|-\n");
    o.map = "prompt=reference,reference=prompt,query_id=#";
    reads("t.csv.gz", "prompt,reference\na,b\n", &o, "t-1|b|a|-\n");
    o = (struct lmw_workload_opts){.map = "query_id=#", .columns = "prompt,reference"};
    reads("t.csv", "a,b\nc,d\n", &o, "t-1|a|b|-\nt-2|c|d|-\n");
    o = (struct lmw_workload_opts){.map = "prompt=0,reference=1,query_id=#"};
    reads("t.json", "{\"test\":[[\"a\",\"b\"]],\"n\":1,\"train\":[[\"c\",\"d\"]]}", &o,
          "t-1|a|b|-\nt-2|c|d|-\n");
}

static void maps_refused(void **state)
{
    struct lmw_workload_opts o = {.map = "prompt"};
    lmw_str row = LMW_STR("{\"question\":\"q\"}");

    refuses("t.jsonl", row, &o, "", "FIELD=COLUMN");
    o.map = "promt=question";
    refuses("t.jsonl", row, &o, "", "no field 'promt'");
    o.map = "prompt=questoin,query_id=#";
    refuses("t.jsonl", row, &o, "t.jsonl:1: ", "there are: question");
    o = (struct lmw_workload_opts){.format = "xml"};
    refuses("t.jsonl", row, &o, "t.jsonl", "jsonl, json, csv, tsv");
    o = (struct lmw_workload_opts){.columns = "a"};
    refuses("t.jsonl", row, &o, "t.jsonl", "only CSV");
}

static void one_json_document(void **state)
{
    const char *rows = "1|a|-|-\n2|b]}|-|-\n";

    reads("q.json", "[{\"query_id\":1,\"prompt\":\"a\"},\n {\"query_id\":2,\"prompt\":\"b]}\"}]",
          NULL, rows);
    reads(
        "q.json",
        "{\"about\":{\"x\":[1,\"]\"]},\"v\":-1.5e3,\"s\":\"\\\"\",\"rows\":[{\"query_id\":1,"
        "\"prompt\":\"a\"}],\"none\":[],\"more\":[ {\"query_id\":2,\"prompt\":\"b]}\"} ] , \"n\":null}\n",
        NULL, rows);
    reads("q.json", "[]", NULL, "");
    /* JSON lines under the name .json */
    reads("q.json", "{\"query_id\":1,\"prompt\":\"a\"}\n{\"query_id\":2,\"prompt\":\"b]}\"}\n",
          NULL, rows);
    refuses("q.json", LMW_STR("{\"query_id\":1,\"prompt\":\"a\"}"), NULL, "q.json", ".jsonl");
    refuses("q.json", LMW_STR("[{\"query_id\":1,\"prompt\":\"a\"}"), NULL,
            "q.json:1: ", "too early");
    refuses("q.json", LMW_STR("[{\"query_id\":1,\"prompt\":\"a\"}\n,5]"), NULL,
            "q.json:2: ", "a row");
    refuses("q.json", LMW_STR("[{\"query_id\":1,\"prompt\":\"a\"}] x"), NULL,
            "q.json:1: ", "behind");
    refuses("q.json", LMW_STR("hello"), NULL, "q.json", "'[' or '{'");
}

/* ---- packed ---- */

static lmw_str gzip(const char *text)
{
    static uint8_t out[1 << 20];
    z_stream z = {.next_in = (uint8_t *)text,
                  .avail_in = (uInt)strlen(text),
                  .next_out = out,
                  .avail_out = sizeof out};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return (lmw_str){(char *)out, z.total_out};
}

static lmw_str zstd(const char *text)
{
    static char out[1 << 20];
    size_t n = ZSTD_compress(out, sizeof out, text, strlen(text), 3);

    assert_false(ZSTD_isError(n));
    return (lmw_str){out, n};
}

static void packed_files_are_what_is_in_them(void **state)
{
    struct lmw_buf text = {0}, want = {0}, got = {0}, twice = {0};
    struct lmw_workload *w, *plain;
    struct lmw_record r;
    struct lmw_err err = {0};

    for (int i = 0; i < 5000; i++)
        lmw_buf_printf(&text, "{\"query_id\":%d,\"prompt\":\"what is %d\"}\n", i, i * 17 % 1000);
    assert_int_equal(read_as((lmw_str){text.ptr, text.len}, "q", NULL, &want, &err), 0);
    lmw_str packed[] = {gzip(text.ptr), zstd(text.ptr)};
    lmw_workload_open_bytes(&plain, (lmw_str){text.ptr, text.len}, "q", &err);
    for (int i = 0; i < 2; i++) { /* told by its bytes, whatever the name */
        assert_int_equal(read_as(packed[i], i ? "q.jsonl" : "q.jsonl.gz", NULL, &got, &err), 0);
        assert_string_equal(got.ptr, want.ptr);
        assert_int_equal(lmw_workload_open_bytes(&w, packed[i], "q", &err), 0);
        struct lmw_arena a = arena;
        for (int j = 0; j < 100; j++)
            assert_int_equal(lmw_workload_next(w, &r, &a, &err), 1);
        assert_true(lmw_workload_hash(w) == lmw_workload_hash(plain)); /* in the middle */
        assert_int_equal(lmw_workload_next(w, &r, &a, &err), 1);
        assert_string_equal(r.query_id, "100");
        lmw_workload_rewind(w);
        assert_int_equal(lmw_workload_next(w, &r, &a, &err), 1);
        assert_string_equal(r.query_id, "0");
        lmw_workload_close(w);
    }
    lmw_workload_close(plain);
    lmw_buf_free(&text), lmw_buf_free(&want), lmw_buf_free(&got), lmw_buf_free(&twice);
}

static void packed_twice_and_cut_short(void **state)
{
    struct lmw_buf two = {0}, got = {0};
    struct lmw_err err = {0};

    for (int codec = 0; codec < 2; codec++) {
        two.len = 0;
        lmw_str part = codec ? zstd("{\"query_id\":1,\"prompt\":\"a\"}\n")
                             : gzip("{\"query_id\":1,\"prompt\":\"a\"}\n");
        lmw_buf_put(&two, part.ptr, part.len);
        part = codec ? zstd("{\"query_id\":2,\"prompt\":\"b\"}\n")
                     : gzip("{\"query_id\":2,\"prompt\":\"b\"}\n");
        lmw_buf_put(&two, part.ptr, part.len);
        assert_int_equal(read_as((lmw_str){two.ptr, two.len}, "q", NULL, &got, &err), 0);
        assert_string_equal(got.ptr, "1|a|-|-\n2|b|-|-\n");
        refuses("q", (lmw_str){two.ptr, two.len - 3}, NULL, "q", "too early");
        two.ptr[codec ? 4 : two.len - 12] ^= 0x08; /* 4: a reserved bit of the frame's header */
        refuses("q", (lmw_str){two.ptr, two.len}, NULL, "q", "damaged");
    }
    lmw_buf_free(&two), lmw_buf_free(&got);
}

static void other_packings_say_what_to_do(void **state)
{
    refuses("q.arrow", LMW_STR("ARROW1\0\0"), NULL, "q.arrow", "JSON lines");
    refuses("q.zip", LMW_STR("PK\x03\x04...."), NULL, "q.zip", "unpack");
    refuses("q.xz", LMW_STR("\xfd\x37zXZ\0\0\0"), NULL, "q.xz", "unpack");
}

/* Two ids with one FNV-1a hash: neither is refused, and the second of them twice is. */
static void shared_hashes_are_told_apart(void **state)
{
    const char *a = "8yn0iYCKYHlIj4-BwPqk", *b = "GReLUrM4wMqfg9yzV3KQ";
    struct lmw_buf text = {0};

    assert_true(lmw_str_hash(lmw_str_from(a)) == lmw_str_hash(lmw_str_from(b)));
    lmw_buf_printf(&text, "query_id,prompt\n%s,x\n%s,x\n3,x\n", a, b);
    struct lmw_buf want = {0};
    lmw_buf_printf(&want, "%s|x|-|-\n%s|x|-|-\n3|x|-|-\n", a, b);
    reads("q.csv", text.ptr, NULL, want.ptr);
    lmw_buf_printf(&text, "%s,y\n", b);
    refuses("q.csv", (lmw_str){text.ptr, text.len}, NULL, "q.csv:5: ", "on line 3");
    lmw_buf_free(&text), lmw_buf_free(&want);
}

static void another_way_of_reading_is_another_hash(void **state)
{
    struct lmw_workload_opts o = {.map = "query_id=#"}, p = {.map = "query_id=#,domain=k"};
    lmw_str text = LMW_STR("{\"prompt\":\"a\",\"k\":\"b\"}\n");
    struct lmw_workload *w[3];

    lmw_workload_open_bytes_as(&w[0], text, "q", &o, NULL);
    lmw_workload_open_bytes_as(&w[1], text, "q", &p, NULL);
    lmw_workload_open_bytes_as(&w[2], text, "q", NULL, NULL);
    assert_true(lmw_workload_hash(w[2]) == lmw_str_hash(text));
    assert_true(lmw_workload_hash(w[0]) != lmw_workload_hash(w[1]));
    assert_true(lmw_workload_hash(w[0]) != lmw_workload_hash(w[2]));
    for (int i = 0; i < 3; i++)
        lmw_workload_close(w[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_as_rfc_4180_has_it),
        cmocka_unit_test(csv_refused),
        cmocka_unit_test(columns_are_mapped),
        cmocka_unit_test(maps_refused),
        cmocka_unit_test(one_json_document),
        cmocka_unit_test(packed_files_are_what_is_in_them),
        cmocka_unit_test(packed_twice_and_cut_short),
        cmocka_unit_test(other_packings_say_what_to_do),
        cmocka_unit_test(shared_hashes_are_told_apart),
        cmocka_unit_test(another_way_of_reading_is_another_hash),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
