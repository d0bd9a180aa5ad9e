/* Files that are packed, and Parquet: the same records as from the text that is in them, told by
 * their bytes and not by their names, also through a pipe; and nothing of one that is damaged. */
#include "store/exchange.h"

#include <math.h>
#include <zlib.h>
#include <zstd.h>

#include "store_scratch.h"

#define FIXTURE(name) "tests/fixtures/parquet/" name

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

static lmw_str gzip(lmw_str text)
{
    static unsigned char out[1 << 20];
    z_stream z = {.next_in = (void *)(uintptr_t)text.ptr,
                  .avail_in = (uInt)text.len,
                  .next_out = out,
                  .avail_out = sizeof out};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return (lmw_str){(char *)out, z.total_out};
}

static lmw_str zstd(lmw_str text)
{
    static char out[1 << 20];
    size_t n = ZSTD_compress(out, sizeof out, text.ptr, text.len, 3);
    assert_false(ZSTD_isError(n));
    return (lmw_str){out, n};
}

static const char *write_bytes(const char *name, lmw_str bytes)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
    fclose(f);
    return path;
}

/* The run's records as JSON lines; "" where there is no such run. */
static const char *records_of(const char *run)
{
    static struct lmw_buf out;
    struct lmw_arena arena;
    struct lmw_run *runs;
    char *text = NULL;
    size_t len;
    int64_t n;
    out.len = 0;
    lmw_buf_str(&out, "");
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, &err), LMW_OK);
    int n_run = lmw_store_runs(store, &arena, &runs, &err);
    for (int i = 0; i < n_run; i++) {
        const struct lmw_export_opts opts = {.format = LMW_EXPORT_JSONL};
        if (strcmp(runs[i].name, run) != 0)
            continue;
        FILE *f = open_memstream(&text, &len);
        assert_int_equal(lmw_export(store, &runs[i], 1, &opts, f, &n, &err), LMW_OK);
        fclose(f);
        lmw_buf_str(&out, text);
        free(text);
    }
    lmw_arena_close(&arena);
    return out.ptr;
}

/* How many records, or the negative code. */
static int64_t import(const char *path, const char *run, const char *map, const char *format)
{
    const struct lmw_import_opts opts = {.run = run, .map = map};
    struct lmw_import_result result = {0};
    int rc = lmw_import(store, path, &opts, &result, &err);
    free(result.runs);
    if (rc == LMW_OK && format && strcmp(result.format, format) != 0)
        fail_msg("%s is %s, not %s", path, result.format, format);
    return rc < 0 ? rc : result.n_record;
}

static void take(const char *path, const char *map, const char *format, int64_t n)
{
    int64_t got = import(path, "r", map, format);
    if (got != n)
        fail_msg("%s: %lld records, not %lld: %s", path, (long long)got, (long long)n,
                 got < 0 ? err.msg : "");
}

static void refuse(const char *path, const char *map, const char *why)
{
    assert_true(import(path, "x", map, NULL) < 0);
    if (!strstr(err.msg, why))
        fail_msg("'%s' does not say '%s'", err.msg, why);
    assert_string_equal(records_of("x"), "");
}

/* The file brings nothing that is not in run r already, which is of its text. */
static void is_the_same(const char *path, const char *map, const char *format, int64_t n)
{
    char *before = strdup(records_of("r"));
    take(path, map, format, n);
    assert_string_equal(records_of("r"), before);
    free(before);
}

static void test_every_text(void **state)
{
    static const struct {
        const char *name, *text, *map, *format;
    } all[] = {
        {"a.jsonl", "{\"query_id\":1,\"score\":1,\"x\":[0.10]}\n{\"query_id\":2}\n", NULL,
         "jsonl"},
        {"b.csv", "query_id,answer\n3,\"a\nb\"\n4,c\n", NULL, "csv"},
        {"c.tsv", "id\tacc\n5\t50\n6\t100\n", "query_id=id,score=acc:%", "csv"},
        {"d.json", "[{\"query_id\":7},\n{\"query_id\":8}]", NULL, "json"},
        {"samples_t_2024-01-01.jsonl",
         "{\"doc_id\":9,\"target\":\"a\",\"resps\":[[\"a\"]],\"filtered_resps\":[\"a\"],"
         "\"filter\":\"none\",\"acc\":1}\n"
         "{\"doc_id\":10,\"target\":\"a\",\"resps\":[[\"b\"]],\"filtered_resps\":[\"b\"],"
         "\"filter\":\"none\",\"acc\":0}\n",
         NULL, "lm-eval"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        lmw_str text = lmw_str_from(all[i].text);
        char name[80];
        take(write_bytes(all[i].name, text), all[i].map, all[i].format, 2);
        snprintf(name, sizeof name, "%s.gz", all[i].name);
        is_the_same(write_bytes(name, gzip(text)), all[i].map, all[i].format, 2);
        snprintf(name, sizeof name, "%s.ZST", all[i].name);
        is_the_same(write_bytes(name, zstd(text)), all[i].map, all[i].format, 2);
        is_the_same(write_bytes(all[i].name, gzip(text)), all[i].map, all[i].format, 2);
    }
}

/* Several thousand records, whose bytes pack badly. */
static lmw_str many(struct lmw_buf *out, int n)
{
    uint64_t x = 1;
    out->len = 0;
    for (int i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        lmw_buf_printf(out, "{\"query_id\":%d,\"answer\":\"%016llx\"}\n", i,
                       (unsigned long long)x);
    }
    return (lmw_str){out->ptr, out->len};
}

static void test_what_is_damaged(void **state)
{
    struct lmw_buf text = {0};
    lmw_str (*const packers[])(lmw_str text) = {gzip, zstd};
    static const char *const says[][2] = {{"the gzip data ends too early", "damaged gzip data"},
                                          {"the Zstandard data ends too early", "damaged Zst"}};
    for (int k = 0; k < 2; k++) {
        lmw_str packed = packers[k](many(&text, 5000));
        char *bytes = memcpy(malloc(packed.len), packed.ptr, packed.len);
        write_bytes("t", (lmw_str){bytes, packed.len / 2});
        refuse(write_bytes("t", (lmw_str){bytes, packed.len / 2}), NULL, says[k][0]);
        const char *line = strstr(err.msg, "/t:");
        assert_non_null(line);
        if (k == 0) /* Zstandard gives out whole blocks */
            assert_in_range(atoi(line + 3), 2000, 3000);
        refuse(write_bytes("t", (lmw_str){bytes, packed.len - 3}), NULL, says[k][0]);
        memset(bytes + packed.len / 3, 0xff, 200);
        refuse(write_bytes("t", (lmw_str){bytes, packed.len}), NULL, says[k][1]);
        free(bytes);
    }
    lmw_buf_free(&text);
    refuse(write_bytes("t.csv.gz", gzip(LMW_STR("query_id,score\n1,1\n2,good\n"))), NULL,
           "t.csv.gz:3: field 'score'");
    refuse(write_bytes("t.gz", LMW_STR("\x1f\x8b\x08")), NULL, "t.gz:1: the gzip data ends");
    refuse(write_bytes("t.gz", gzip(gzip(LMW_STR("{\"query_id\":1}\n")))), NULL, "t.gz");
    refuse(write_bytes("t.gz", gzip(LMW_STR("PAR1....PAR1"))), NULL, "a Parquet file packed with");
    refuse(write_bytes("t.zip", LMW_STR("PK\x03\x04....")), NULL, "t.zip: this is a zip archive");
    refuse(folder, NULL, "is a folder");
}

/* What writes into a pipe while it is read. */
static void test_pipes(void **state)
{
    char command[600], path[160];
    snprintf(path, sizeof path, "%s/pipe", folder);
    static const char *const from[] = {"gzip -c " FIXTURE("records.jsonl"),
                                       "cat " FIXTURE("records.parquet"),
                                       "head -c 3000 " FIXTURE("records.parquet")};
    for (int i = 0; i < 3; i++) {
        snprintf(command, sizeof command, "rm -f %s; mkfifo %s; %s >%s &", path, path, from[i],
                 path);
        assert_int_equal(system(command), 0);
        if (i == 2)
            refuse(path, NULL, "does not end in 'PAR1'");
        else if (import(path, i ? "columns" : "lines", "query_id=query_id", NULL) != 3)
            fail_msg("%s: %s", from[i], err.msg);
    }
}

static void test_parquet(void **state)
{
    struct lmw_record r;
    take(FIXTURE("records.parquet"), NULL, "parquet", 3);
    const char *lines = records_of("r"), *second = strchr(lines, '\n') + 1;
    assert_non_null(strstr(lines, "\"query_id\":\"7\","));
    assert_int_equal(lmw_store_get(store, 1, "7", LMW_NULL, &r, &err), 1);
    assert_string_equal(r.choices, "[\"yes\",\"no\"]");
    assert_string_equal(r.energy_rails, "{\"gpu\":2000000}");
    assert_int_equal(r.energy_uj, 2000000);
    assert_int_equal(r.latency_ns, 1000000000);
    assert_int_equal(r.energy_valid, 1);
    assert_string_equal(r.date, "2023-04-09T00:42:53Z");
    assert_string_equal(
        r.extra,
        "{\"language\":\"en\",\"gpu\":{\"name\":\"T4\",\"seconds\":1.5},\"note\":{\"x\":0.10}}");
    assert_non_null(strstr(second, "\"answer\":\"\","));
    assert_int_equal(lmw_store_get(store, 1, "8", LMW_NULL, &r, &err), 1);
    assert_int_equal(r.energy_valid, 0);
    assert_null(r.extra); /* null is a cell without a value */
    assert_int_equal(r.latency_ns, LMW_NULL);
    is_the_same(FIXTURE("records.parquet"), NULL, "parquet", 3);
}

/* The same as the same rows as JSON lines. */
static void test_parquet_under_a_map(void **state)
{
    static const char map[] =
        "query_id=question_id,prompt=question,domain=category,choices=options,"
        "reference=answer,score=answer_index:0.25";
    take(FIXTURE("mmlu-pro.jsonl"), map, "jsonl", 10);
    is_the_same(FIXTURE("mmlu-pro.parquet"), map, "parquet", 10);
    take(FIXTURE("records.parquet"), "query_id=query_id,latency_ns=gpu.seconds:s", "parquet", 3);
    refuse(FIXTURE("mmlu-pro.parquet"), NULL, "parquet:1: no query_id: name its column");
    refuse(FIXTURE("mmlu-pro.parquet"), "query_id=id",
           "parquet:1: no column 'id' for query_id; there are: question_id, question, options");
    refuse(FIXTURE("mmlu-pro.parquet"), "query_id=question_id,score=answer",
           "parquet:1: 'answer' holds 'A', which is no number for score");
    refuse(FIXTURE("lz4.parquet"), "query_id=#", "packed with LZ4");
    refuse(write_bytes("t.parquet", LMW_STR("{\"query_id\":1}\n")), NULL, "t.parquet: no Parquet");
    refuse(write_bytes("t.parquet", LMW_STR("PAR1")), NULL,
           "t.parquet: this Parquet file is only");
    const struct lmw_import_opts opts = {.run = "x", .format = "csv"};
    struct lmw_import_result result;
    assert_true(lmw_import(store, FIXTURE("mmlu-pro.parquet"), &opts, &result, &err) < 0);
    assert_non_null(strstr(err.msg, "this is a Parquet file, not csv"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_text), TEST(test_what_is_damaged),     TEST(test_pipes),
        TEST(test_parquet),    TEST(test_parquet_under_a_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
