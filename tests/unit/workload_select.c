/* What is dropped and why, samples that stay as a file grows, and other orders. */
#include "workload_arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

static struct lmw_workload *open_text(const struct lmw_buf *text, const char *name,
                                      const struct lmw_workload_opts *o)
{
    struct lmw_workload *w;
    struct lmw_err err = {0};

    if (lmw_workload_open_bytes_as(&w, (lmw_str){text->ptr, text->len}, name, o, &err) < 0)
        fail_msg("%s", err.msg);
    return w;
}

/* The ids in the order they come, with a space behind each. */
static char *ids(struct lmw_workload *w)
{
    struct lmw_buf out = {0};
    struct lmw_record r;
    struct lmw_err err = {0};
    int rc;

    lmw_buf_str(&out, "");
    for (struct lmw_arena a = arena; (rc = lmw_workload_next(w, &r, &a, &err)) > 0; a = arena)
        lmw_buf_printf(&out, "%s ", r.query_id);
    if (rc < 0)
        fail_msg("%s", err.msg);
    return out.ptr;
}

static void dropped_rows_are_counted(void **state)
{
    struct lmw_buf text = {0};
    struct lmw_workload_opts o = {.clean = true, .english = true, .max_chars = 40};
    struct lmw_workload_counts c;

    lmw_buf_str(
        &text,
        "query_id,prompt,language\n"
        "1,what is this?,\n"
        "2,,English\n"
        "3, what is this? ,en\n"
        "4,\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9,en\n"
        "5,wo ist das? das ist nicht hier,\n"
        "6,what else?,German\n"
        "7,this one is over the forty characters it may have,en\n"
        "8,   ,en\n");
    struct lmw_workload *w = open_text(&text, "q.csv", &o);
    for (int i = 0; i < 2; i++) { /* again after a rewind */
        char *got = ids(w);
        assert_string_equal(got, "1 4 ");
        free(got);
        lmw_workload_counts(w, &c);
        assert_int_equal(c.rows, 8);
        assert_int_equal(c.empty, 2);
        assert_int_equal(c.duplicate, 1);
        assert_int_equal(c.too_long, 1);
        assert_int_equal(c.not_english, 2);
        assert_int_equal(c.language_by_words, 2);
        assert_int_equal(c.kept, 2);
        lmw_workload_rewind(w);
    }
    lmw_workload_close(w);
    lmw_buf_free(&text);
}

/* The question is judged, not the words a preset puts around it. */
static void wording_is_not_the_question(void **state)
{
    struct lmw_buf text = {0};
    struct lmw_workload_opts o = {
        .preset = "gsm8k", .clean = true, .english = true, .max_chars = 30};
    struct lmw_workload_counts c;

    lmw_buf_str(&text, "{\"question\":\"How many are these?\",\"answer\":\"#### 1\"}\n"
                       "{\"question\":\"Wie viele sind das und nicht?\",\"answer\":\"#### 1\"}\n"
                       "{\"question\":\"\",\"answer\":\"#### 1\"}\n");
    struct lmw_workload *w = open_text(&text, "q.jsonl", &o);
    char *got = ids(w);
    assert_string_equal(got, "q-1 ");
    free(got);
    lmw_workload_counts(w, &c);
    assert_true(c.empty == 1 && c.not_english == 1);
    lmw_workload_close(w);
    lmw_buf_free(&text);
}

/* On short messages with typing mistakes in ten languages: at least 99 in 100 English ones stay,
 * at least 80 in 100 others go. */
/* NaturalReasoning has rows without a reference, WildChat has no need of one. */
static void rows_without_a_reference(void **state)
{
    struct lmw_buf text = {0};
    struct lmw_workload_opts o = {.preset = "natural-reasoning", .clean = true};
    struct lmw_workload_counts c;

    lmw_buf_str(&text, "{\"question\":\"a?\",\"reference_answer\":\"\"}\n"
                       "{\"question\":\"b?\",\"reference_answer\":\"b\"}\n"
                       "{\"question\":\"c?\"}\n");
    struct lmw_workload *w = open_text(&text, "q.jsonl", &o);
    char *got = ids(w);
    assert_string_equal(got, "q-2 ");
    free(got);
    lmw_workload_counts(w, &c);
    assert_int_equal(c.no_reference, 2);
    lmw_workload_close(w);
    lmw_buf_free(&text);
    lmw_buf_str(&text, "{\"conversation\":[{\"role\":\"user\",\"content\":\"hi\"}]}\n");
    o.preset = "wildchat";
    w = open_text(&text, "q.jsonl", &o);
    got = ids(w);
    assert_string_equal(got, "q-1 ");
    free(got);
    lmw_workload_close(w);
    lmw_buf_free(&text);
}

static void english_by_its_words(void **state)
{
    struct lmw_shop_options so = {.seed = 5};
    struct lmw_buf text[2] = {{0}};
    struct lmw_shop *shop;
    struct lmw_record r;
    int n[2] = {0};

    lmw_shop_noise_default(&so.noise);
    assert_int_equal(lmw_shop_open(&shop, &so, NULL), 0);
    for (int i = 0; i < 6000; i++) {
        struct lmw_arena a = arena;
        assert_int_equal(lmw_shop_next(shop, &r, &a, NULL), 0);
        int is_en = strstr(r.extra, "\"language\":\"en\"") != NULL;
        r.extra = NULL;
        assert_int_equal(lmw_workload_format(&r, &text[is_en], NULL), 0);
        n[is_en]++;
    }
    lmw_shop_close(shop);
    for (int is_en = 0; is_en < 2; is_en++) {
        struct lmw_workload_opts o = {.english = true};
        struct lmw_workload_counts c;
        struct lmw_workload *w = open_text(&text[is_en], "m.jsonl", &o);
        free(ids(w));
        lmw_workload_counts(w, &c);
        lmw_workload_close(w);
        if (is_en)
            assert_true(c.kept >= 0.99 * n[1]);
        else
            assert_true(c.kept <= 0.2 * n[0]);
        lmw_buf_free(&text[is_en]);
    }
}

static void add_rows(struct lmw_buf *text, int from, int to)
{
    for (int i = from; i < to; i++)
        lmw_buf_printf(text, "{\"query_id\":\"q%d\",\"prompt\":\"p\",\"domain\":\"%s\"}\n", i,
                       i % 10 == 0 ? "rare" : "common");
}

static int count_of(const char *list, const char *domain)
{
    int n = 0;

    for (const char *at = list, *end; (end = strchr(at, ' ')); at = end + 1) {
        int i = atoi(at + 1);
        n += (strcmp(domain, "rare") == 0) == (i % 10 == 0);
    }
    return n;
}

/* `one` is an id with the space behind it. */
static bool has(const char *list, const char *one)
{
    size_t n = strlen(one);

    for (const char *at = list; at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
        if (strncmp(at, one, n) == 0)
            return true;
    return false;
}

static void samples_stay_as_the_file_grows(void **state)
{
    struct lmw_buf text = {0};
    struct lmw_workload_opts o = {.sample = 100, .seed = 7};
    int n_before = 0, n_both = 0;

    add_rows(&text, 0, 1000);
    struct lmw_workload *w = open_text(&text, "q.jsonl", &o);
    char *before = ids(w), *again;
    lmw_workload_rewind(w);
    again = ids(w);
    assert_string_equal(before, again);
    lmw_workload_close(w);
    add_rows(&text, 1000, 1100);
    w = open_text(&text, "q.jsonl", &o);
    char *after = ids(w);
    lmw_workload_close(w);
    for (const char *at = before, *end; (end = strchr(at, ' ')); at = end + 1, n_before++) {
        char one[32];
        snprintf(one, sizeof one, "%.*s", (int)(end + 1 - at), at);
        n_both += has(after, one);
    }
    assert_int_equal(n_before, 100);
    assert_true(n_both >= 75); /* a tenth more rows push out about nine */
    o.seed = 8;
    w = open_text(&text, "q.jsonl", &o);
    char *other = ids(w);
    assert_string_not_equal(other, after);
    lmw_workload_close(w);
    free(before), free(again), free(after), free(other);
    lmw_buf_free(&text);
}

static void strata_get_their_share(void **state)
{
    struct lmw_buf text = {0};
    struct lmw_workload_opts o = {.sample = 55, .seed = 1, .stratify = "domain"};

    add_rows(&text, 0, 1000);
    struct lmw_workload *w = open_text(&text, "q.jsonl", &o);
    char *got = ids(w);
    assert_int_equal(count_of(got, "rare"), 6); /* 5.5 and 49.5: the tie goes to the first */
    assert_int_equal(count_of(got, "common"), 49);
    lmw_workload_close(w);
    free(got);
    o.sample = 5000; /* more than there are: all */
    w = open_text(&text, "q.jsonl", &o);
    got = ids(w);
    assert_int_equal(count_of(got, "rare") + count_of(got, "common"), 1000);
    lmw_workload_close(w);
    free(got);
    lmw_buf_free(&text);
}

static void a_sample_is_another_workload(void **state)
{
    struct lmw_buf text = {0};
    struct lmw_workload_opts o[] = {{0}, {.sample = 5}, {.sample = 5, .seed = 1}, {.clean = true}};
    uint64_t hash[4];

    add_rows(&text, 0, 20);
    for (int i = 0; i < 4; i++) {
        struct lmw_workload *w = open_text(&text, "q.jsonl", &o[i]);
        hash[i] = lmw_workload_hash(w);
        for (int j = 0; j < i; j++)
            assert_true(hash[i] != hash[j]);
        lmw_workload_close(w);
    }
    lmw_buf_free(&text);
}

/* ---- order ---- */

/* Every record as it is in the file, found again under its id. */
static void check_shuffled(const struct lmw_buf *text, const char *name,
                           const struct lmw_workload_opts *o)
{
    struct lmw_workload *w = open_text(text, name, o), *plain = open_text(text, name, o);
    struct lmw_record r, p;
    struct lmw_err err = {0};
    uint64_t hash = lmw_workload_hash(w);
    char *in_order = ids(plain);
    int64_t n = 0;

    if (lmw_workload_shuffle(w, 3, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(lmw_workload_hash(w) == hash);
    char *got = ids(w), *again, *other;
    lmw_workload_rewind(w);
    again = ids(w);
    assert_string_equal(got, again);
    assert_string_not_equal(got, in_order);
    assert_int_equal(strlen(got), strlen(in_order));
    assert_int_equal(lmw_workload_shuffle(w, 4, &err), 0);
    other = ids(w);
    assert_string_not_equal(got, other);
    assert_int_equal(lmw_workload_shuffle(w, 3, &err), 0);
    while (1) {
        struct lmw_arena a = arena;
        int rc = lmw_workload_next(w, &r, &a, &err);
        if (rc <= 0)
            break;
        lmw_workload_rewind(plain);
        do
            assert_int_equal(lmw_workload_next(plain, &p, &a, &err), 1);
        while (strcmp(p.query_id, r.query_id) != 0);
        assert_string_equal(p.prompt, r.prompt);
        assert_int_equal(lmw_workload_line(w), lmw_workload_line(plain));
        if (p.extra)
            assert_string_equal(p.extra, r.extra);
        n++;
    }
    assert_int_equal(err.code, 0);
    assert_true(n > 20);
    lmw_workload_close(w), lmw_workload_close(plain);
    free(in_order), free(got), free(again), free(other);
}

static void other_orders_of_every_format(void **state)
{
    struct lmw_buf jsonl = {0}, csv = {0}, json = {0}, gz = {0};
    struct lmw_workload_opts clinc = {.preset = "clinc150", .split = "a,c"};
    struct lmw_workload_opts some = {.sample = 30, .clean = true};

    lmw_buf_str(&csv, "query_id,prompt\n");
    lmw_buf_str(&json, "{\"a\":[");
    for (int i = 0; i < 60; i++) {
        lmw_buf_printf(&jsonl, "%s{\"query_id\":%d,\"prompt\":\"p%d\"}\n", i % 7 ? "" : "\n", i,
                       i);
        lmw_buf_printf(&csv, "%d,\"p\n%d\"\r\n", i, i);
        lmw_buf_printf(&json, "%s[\"p%d\",\"l%d\"]%s",
                       i == 20   ? "],\"b\":["
                       : i == 40 ? "],\"c\":["
                                 : "",
                       i, i % 5, i % 20 == 19 ? "" : ",\n");
    }
    lmw_buf_str(&json, "]}");
    check_shuffled(&jsonl, "q.jsonl", NULL);
    check_shuffled(&jsonl, "q.jsonl", &some);
    check_shuffled(&csv, "q.csv", NULL);
    check_shuffled(&json, "q.json", &clinc);
    uLongf n = compressBound(jsonl.len) + 64;
    uint8_t *packed = malloc(n);
    z_stream z = {.next_in = (uint8_t *)jsonl.ptr,
                  .avail_in = (uInt)jsonl.len,
                  .next_out = packed,
                  .avail_out = (uInt)n};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    lmw_buf_put(&gz, packed, z.total_out);
    free(packed);
    check_shuffled(&gz, "q.jsonl.gz", NULL);
    lmw_buf_free(&jsonl), lmw_buf_free(&csv), lmw_buf_free(&json), lmw_buf_free(&gz);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dropped_rows_are_counted),
        cmocka_unit_test(wording_is_not_the_question),
        cmocka_unit_test(rows_without_a_reference),
        cmocka_unit_test(english_by_its_words),
        cmocka_unit_test(samples_stay_as_the_file_grows),
        cmocka_unit_test(strata_get_their_share),
        cmocka_unit_test(a_sample_is_another_workload),
        cmocka_unit_test(other_orders_of_every_format),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
