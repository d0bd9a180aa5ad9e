/* Parquet files through the door: each is read as the JSON lines beside it, which are made from
 * the same values without it (tests/fixtures/parquet/make.mjs); what is refused, in which words;
 * and files that are cut or damaged anywhere. */
#include "workload_arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/file.h"

#define FOLDER "tests/fixtures/parquet/"

/* All records as lines; the number of them, or an error. */
static int64_t read_all(struct lmw_workload *w, struct lmw_buf *out, struct lmw_err *err)
{
    struct lmw_record r;
    int64_t n = 0;
    int rc;

    out->len = 0;
    for (struct lmw_arena a = arena; (rc = lmw_workload_next(w, &r, &a, err)) > 0; a = arena, n++)
        if (lmw_workload_format(&r, out, err) < 0)
            return -1;
    return rc < 0 ? rc : n;
}

static struct lmw_workload *open_file(const char *name, const struct lmw_workload_opts *o)
{
    struct lmw_workload *w;
    struct lmw_err err = {0};
    char path[256];

    snprintf(path, sizeof path, FOLDER "%s", name);
    if (lmw_workload_open_as(&w, path, o, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    return w;
}

static void reads(const char *name, const struct lmw_workload_opts *o, struct lmw_buf *out)
{
    struct lmw_workload *w = open_file(name, o);
    struct lmw_err err = {0};

    if (read_all(w, out, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    lmw_workload_close(w);
}

/* NAME.parquet is what NAME.jsonl is. */
static void reads_as_lines(const char *name, const struct lmw_workload_opts *o, int64_t n)
{
    struct lmw_buf columns = {0}, lines = {0};
    char file[64];

    snprintf(file, sizeof file, "%s.jsonl", name);
    reads(file, o, &lines);
    assert_int_equal(lmw_str_count((lmw_str){lines.ptr, lines.len}, '\n'), n);
    snprintf(file, sizeof file, "%s.parquet", name);
    reads(file, o, &columns);
    assert_string_equal(columns.ptr, lines.ptr);
    lmw_buf_free(&columns), lmw_buf_free(&lines);
}

static void data_sets_as_published(void **state)
{
    struct lmw_workload_opts o = {.preset = "mmlu-pro"};

    reads_as_lines("mmlu-pro", &o, 10);
    o.shots = 2;
    o.shots_from = FOLDER "mmlu-pro.parquet";
    o.cot = true;
    reads_as_lines("mmlu-pro", &o, 10);
    o = (struct lmw_workload_opts){.preset = "wildchat", .clean = true};
    reads_as_lines("wildchat", &o, 4);
    o = (struct lmw_workload_opts){.preset = "arc"};
    reads_as_lines("arc", &o, 2);
    o = (struct lmw_workload_opts){.preset = "banking77"};
    reads_as_lines("classes", &o, 4);
}

static void every_type_and_shape(void **state)
{
    struct lmw_workload_opts o = {.map = "query_id=#,prompt=prefixes"};

    reads_as_lines("types", &o, 6);
    o.map = "query_id=#,prompt=bare";
    reads_as_lines("shapes", &o, 3);
    o.map =
        "query_id=#,prompt=conversation.0.content,reference=openai_moderation.0.category_scores";
    o.clean = true;
    reads_as_lines("wildchat", &o, 4);
}

/* The same rows in another encoding are the same workload. */
static void hashed_by_their_rows(void **state)
{
    struct lmw_workload *columns = open_file("mmlu-pro.parquet", NULL);
    struct lmw_workload *lines = open_file("mmlu-pro.jsonl", NULL);

    assert_true(lmw_workload_hash(columns) == lmw_workload_hash(lines));
    lmw_workload_close(columns), lmw_workload_close(lines);
}

static void rewound_and_shuffled(void **state)
{
    struct lmw_workload_opts o = {.preset = "mmlu-pro"};
    struct lmw_workload *w = open_file("mmlu-pro.parquet", &o);
    struct lmw_buf first = {0}, again = {0};
    struct lmw_record r;
    struct lmw_arena a = arena;
    bool seen[10] = {0};

    assert_int_equal(read_all(w, &first, NULL), 10);
    lmw_workload_rewind(w);
    assert_int_equal(read_all(w, &again, NULL), 10);
    assert_string_equal(again.ptr, first.ptr);
    assert_int_equal(lmw_workload_shuffle(w, 7, NULL), 0);
    assert_int_equal(read_all(w, &again, NULL), 10);
    assert_int_equal(again.len, first.len);
    assert_string_not_equal(again.ptr, first.ptr);
    lmw_workload_rewind(w);
    while (lmw_workload_next(w, &r, &a, NULL) > 0) {
        int i = atoi(r.query_id) - 70;
        assert_in_range(i, 0, 9);
        assert_false(seen[i]);
        seen[i] = true;
        assert_int_equal(lmw_workload_line(w), i + 1);
    }
    lmw_workload_close(w);
    lmw_buf_free(&first), lmw_buf_free(&again);
}

/* A part of a split is called alike in every folder of the Hub: the folder tells them apart. */
static void parts_of_a_split(void **state)
{
    static const struct {
        const char *path, *id, *domain;
    } parts[] = {
        {"bbh/web_of_lies/test-00000-of-00001.parquet", "web_of_lies_test-1", "web_of_lies"},
        {"snarks/test-00000-of-00001.parquet", "snarks_test-1", "snarks"},
        {"data/test-00003-of-00014.parquet.gz", "test-00003-1", "test-00003"},
        {"test-00000-of-00001.parquet", "test-1", "test"},
        {"a/snarks.json", "snarks-1", "snarks"},
    };
    struct lmw_workload_opts o = {.preset = "bbh", .format = "jsonl"};
    lmw_str row = LMW_STR("{\"input\":\"Is it?\",\"target\":\"Yes\"}");
    struct lmw_workload *w;
    struct lmw_record r;
    struct lmw_arena a = arena;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        assert_int_equal(lmw_workload_open_bytes_as(&w, row, parts[i].path, &o, NULL), 0);
        assert_int_equal(lmw_workload_next(w, &r, &a, NULL), 1);
        assert_string_equal(r.query_id, parts[i].id);
        assert_string_equal(r.domain, parts[i].domain);
        lmw_workload_close(w);
    }
}

/* ---- what is refused ---- */

static int read_bytes(lmw_str bytes, const char *name, const struct lmw_workload_opts *o,
                      struct lmw_err *err)
{
    struct lmw_workload *w;
    struct lmw_buf out = {0};
    int rc = lmw_workload_open_bytes_as(&w, bytes, name, o, err);

    if (rc < 0)
        return rc;
    rc = (int)read_all(w, &out, err);
    lmw_workload_close(w);
    lmw_buf_free(&out);
    return rc;
}

static void refuses(lmw_str bytes, const char *name, const struct lmw_workload_opts *o,
                    const char *words)
{
    struct lmw_err err = {0};

    if (read_bytes(bytes, name, o, &err) >= 0)
        fail_msg("%s was read", name);
    if (!strstr(err.msg, name) || !strstr(err.msg, words))
        fail_msg("message is: %s", err.msg);
}

static lmw_str load(const char *name, struct lmw_buf *b)
{
    struct lmw_err err = {0};
    char path[256];

    snprintf(path, sizeof path, FOLDER "%s", name);
    b->len = 0;
    if (lmw_file_read(path, 1 << 20, b, &err) < 0)
        fail_msg("%s", err.msg);
    return (lmw_str){b->ptr, b->len};
}

static void refused_by_name(void **state)
{
    struct lmw_workload_opts csv = {.format = "csv"}, asked = {.format = "parquet"};
    struct lmw_buf b = {0};

    refuses(load("lz4.parquet", &b), "q.parquet", NULL, "packed with LZ4, which is not read");
    refuses(load("brotli.parquet", &b), "q.parquet", NULL, "COMPRESSION zstd");
    refuses(LMW_STR("PARE\0\0\0\0PARE"), "q.parquet", NULL, "encrypted");
    refuses(load("mmlu-pro.parquet", &b), "q.parquet", &csv, "not csv");
    refuses(LMW_STR("version https://git-lfs"), "q.parquet", NULL, "LFS pointer");
    refuses(LMW_STR("{\"query_id\":1}"), "q.jsonl", &asked, "no Parquet file");
    lmw_buf_free(&b);
}

static void packed_once_more(void **state)
{
    struct lmw_buf b = {0};
    lmw_str file = load("arc.parquet", &b);
    uint8_t out[4096];
    z_stream z = {.next_in = (uint8_t *)b.ptr,
                  .avail_in = (uInt)file.len,
                  .next_out = out,
                  .avail_out = sizeof out};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    refuses((lmw_str){(char *)out, z.total_out}, "q.parquet.gz", NULL, "packed with gzip; unpack");
    lmw_buf_free(&b);
}

/* ---- cut and damaged ---- */

/* A file that was copied in part has no footer, wherever it was cut. */
static void cut_anywhere(void **state)
{
    struct lmw_buf b = {0};
    lmw_str file = load("mmlu-pro.parquet", &b);

    for (size_t n = 4; n < file.len; n++)
        refuses((lmw_str){file.ptr, n}, "q.parquet", NULL, "copied whole? Fetch it again");
    lmw_buf_free(&b);
}

/* Whatever one byte becomes, reading ends, with rows or with an error that names the file. */
static void damaged_anywhere(void **state)
{
    static const char *const names[] = {"types.parquet", "shapes.parquet", "arc.parquet",
                                        "classes.parquet"};
    static const char flips[] = {1, 0x20, (char)0x80, (char)0xff};
    struct lmw_workload_opts o = {.map = "query_id=#,prompt=question"};
    struct lmw_buf b = {0};
    size_t refused = 0, n = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lmw_str file = load(names[i], &b);
        o.map = i == 0   ? "query_id=#,prompt=prefixes"
                : i == 1 ? "query_id=#,prompt=bare"
                : i == 2 ? "query_id=#,prompt=question"
                         : "query_id=#,prompt=text";
        for (size_t at = 4; at < file.len; at++, n++) {
            struct lmw_err err = {0};
            char was = b.ptr[at];
            b.ptr[at] ^= flips[at % sizeof flips];
            int rc = read_bytes(file, "q.parquet", &o, &err);
            b.ptr[at] = was;
            refused += rc < 0;
            if (rc < 0 && !strstr(err.msg, "q.parquet"))
                fail_msg("%s, byte %zu: %s", names[i], at, err.msg);
        }
        assert_true(read_bytes(file, "q.parquet", &o, NULL) > 0); /* it is whole again */
    }
    assert_in_range(refused, n / 10, n); /* the rest are other values, or bytes nobody reads */
    lmw_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_sets_as_published), cmocka_unit_test(every_type_and_shape),
        cmocka_unit_test(hashed_by_their_rows),   cmocka_unit_test(rewound_and_shuffled),
        cmocka_unit_test(parts_of_a_split),       cmocka_unit_test(refused_by_name),
        cmocka_unit_test(packed_once_more),       cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(damaged_anywhere),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
