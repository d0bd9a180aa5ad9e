/* The shop-intents generator through its door, against its own committed test file: same bytes
 * everywhere, answers that stand in the message, and a training split that shares nothing reserved
 * with the held-out one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "workload/workload.h"

#define GOLDEN_TRAIN 0xd88ed25b6c14054full /* FNV-1a of the first 5000 rows of seed 1 */
#define HELD_OUT     "workloads/shop-intents-test.jsonl"
enum { N_TRAIN = 30000, N_TEST = 4000, SEED_HELD_OUT = 2026 };

struct row {
    struct lmw_record r;
    json_t *answer, *extra;
};
static struct lmw_arena arena;
static struct row train[N_TRAIN], test[N_TEST];

static void fill(struct row *rows, int n, bool is_test, uint64_t seed)
{
    struct lmw_shop_options o = {.seed = seed, .test = is_test};
    struct lmw_err err = {0};
    struct lmw_shop *s;

    lmw_shop_noise_default(&o.noise);
    assert_int_equal(lmw_shop_open(&s, &o, &err), 0);
    for (int i = 0; i < n; i++) {
        if (lmw_shop_next(s, &rows[i].r, &arena, &err) < 0)
            fail_msg("%s", err.msg);
        rows[i].answer = json_loads(rows[i].r.reference, JSON_REJECT_DUPLICATES, NULL);
        rows[i].extra = json_loads(rows[i].r.extra, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(rows[i].answer);
        assert_non_null(rows[i].extra);
    }
    lmw_shop_close(s);
}

static int setup(void **state)
{
    if (lmw_arena_open(&arena, (size_t)1 << 30, NULL) < 0)
        return -1;
    fill(train, N_TRAIN, false, 1);
    fill(test, N_TEST, true, 1);
    return 0;
}

static void let_go(struct row *rows, int n)
{
    for (int i = 0; i < n; i++) {
        json_decref(rows[i].answer);
        json_decref(rows[i].extra);
    }
}
static int teardown(void **state)
{
    let_go(train, N_TRAIN);
    let_go(test, N_TEST);
    lmw_arena_close(&arena);
    return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}
static bool is_true(const struct row *row, const char *key)
{
    return json_is_true(json_object_get(row->extra, key));
}

/* ---- the bytes ---- */

static uint64_t hash_of(bool is_test, uint64_t seed, int n)
{
    struct lmw_shop_options o = {.seed = seed, .test = is_test};
    struct lmw_arena scratch = arena;
    struct lmw_buf out = {0};
    struct lmw_shop *s;
    struct lmw_record r;
    uint64_t h;

    lmw_shop_noise_default(&o.noise);
    assert_int_equal(lmw_shop_open(&s, &o, NULL), 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(lmw_shop_next(s, &r, &scratch, NULL), 0);
        assert_int_equal(lmw_workload_format(&r, &out, NULL), 0);
    }
    h = lmw_str_hash((lmw_str){out.ptr, out.len});
    lmw_shop_close(s);
    lmw_buf_free(&out);
    return h;
}

/* The model that ships was trained on the output of seed 1: these bytes do not change. */
static void test_golden(void **state)
{
    assert_true(hash_of(false, 1, 5000) == GOLDEN_TRAIN);
    assert_true(hash_of(false, 1, 5000) != hash_of(false, 2, 5000));
}

/* The committed file is what the generator makes of its seed, and reads without complaint. */
static void test_held_out_file(void **state)
{
    struct lmw_arena scratch = arena;
    struct lmw_workload *w;
    struct lmw_err err = {0};
    struct lmw_record r;
    int n = 0, rc;

    if (lmw_workload_open(&w, HELD_OUT, &err) < 0)
        fail_msg("%s", err.msg);
    while ((rc = lmw_workload_next(w, &r, &scratch, &err)) > 0)
        n++;
    if (rc < 0)
        fail_msg("%s", err.msg);
    assert_true(lmw_workload_hash(w) == hash_of(true, SEED_HELD_OUT, n));
    lmw_workload_close(w);
}

/* Invented nouns: training rows alone change, and values are still substrings. */
static void test_invented_nouns(void **state)
{
    struct lmw_shop_options o = {.seed = 1, .invent = 1};
    struct lmw_arena scratch = arena;
    struct lmw_record plain, made;
    struct lmw_shop *a, *b;
    int n_differ = 0;

    lmw_shop_noise_default(&o.noise);
    assert_int_equal(lmw_shop_open(&a, &o, NULL), 0);
    o.invent = 0;
    assert_int_equal(lmw_shop_open(&b, &o, NULL), 0);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(lmw_shop_next(a, &made, &scratch, NULL), 0);
        assert_int_equal(lmw_shop_next(b, &plain, &scratch, NULL), 0);
        n_differ += strcmp(made.prompt, plain.prompt) != 0;
        json_t *answer = json_loads(made.reference, 0, NULL);
        const char *product = json_string_value(json_object_get(answer, "product"));
        assert_true(!product || strstr(made.prompt, product));
        json_decref(answer);
    }
    assert_true(n_differ > 100);
    lmw_shop_close(a);
    lmw_shop_close(b);

    o.test = true; /* the held-out rows do not know the option */
    o.invent = 1;
    assert_int_equal(lmw_shop_open(&a, &o, NULL), 0);
    o.invent = 0;
    assert_int_equal(lmw_shop_open(&b, &o, NULL), 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(lmw_shop_next(a, &made, &scratch, NULL), 0);
        assert_int_equal(lmw_shop_next(b, &plain, &scratch, NULL), 0);
        assert_string_equal(made.prompt, plain.prompt);
    }
    lmw_shop_close(a);
    lmw_shop_close(b);
}

/* ---- the answers ---- */

static void check_answer(const struct row *row)
{
    static const char *const keys[] = {"intent", "product",      "product_2", "quantity", "size",
                                       "colour", "order_number", "coupon",    "address"};
    const char *key;
    const json_t *value;
    char *again = json_dumps(row->answer, JSON_COMPACT | JSON_PRESERVE_ORDER);
    size_t at = 0;

    assert_string_equal(again, row->r.reference);
    free(again);
    assert_string_equal(text_of(row->answer, "intent"), row->r.domain);
    json_object_foreach((json_t *)row->answer, key, value)
    {
        while (at < 9 && strcmp(keys[at], key) != 0)
            at++;
        if (at == 9)
            fail_msg("unknown key or order: %s", row->r.reference);
        if (strcmp(key, "quantity") == 0)
            assert_true(json_integer_value(value) >= 2 && json_integer_value(value) <= 60);
        else if (strcmp(key, "intent") != 0 && !strstr(row->r.prompt, json_string_value(value)))
            fail_msg("'%s' is not in: %s", json_string_value(value), row->r.prompt);
    }
}

static void test_answers(void **state)
{
    for (int i = 0; i < N_TRAIN; i++)
        check_answer(&train[i]);
    for (int i = 0; i < N_TEST; i++)
        check_answer(&test[i]);
}

/* Without noise a digit quantity stands in the message; words map to their number. */
static void test_quantities(void **state)
{
    static const struct {
        const char *language, *word;
        int value;
    } words[] = {{"de", " drei ", 3},  {"en", " twelve ", 12}, {"fr", " deux ", 2},
                 {"es", " siete ", 7}, {"sv", " tjugo ", 20},  {"nl", " vijf ", 5}};
    int n[6] = {0};

    for (int i = 0; i < N_TRAIN; i++)
        for (int k = 0; k < 6; k++) {
            const json_t *q = json_object_get(train[i].answer, "quantity");
            if (!q || strcmp(text_of(train[i].extra, "language"), words[k].language) != 0 ||
                !strstr(train[i].r.prompt, words[k].word))
                continue;
            assert_int_equal(json_integer_value(q), words[k].value);
            n[k]++;
        }
    for (int k = 0; k < 6; k++)
        assert_true(n[k] > 0);
}

static void test_lengths(void **state)
{
    int longest = 0, typical = 0;

    for (int i = 0; i < N_TRAIN; i++) {
        int len = (int)strlen(train[i].r.prompt);
        longest = len > longest ? len : longest;
        typical += len >= 20 && len <= 90;
    }
    assert_true(longest <= 200);
    assert_true(typical > N_TRAIN * 9 / 10);
}

/* ---- what is in it ---- */

static int index_of(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fail_msg("unknown name %s", name);
    return -1;
}

static void count_cells(const struct row *rows, int n, int cell[10][15])
{
    memset(cell, 0, sizeof(int[10][15]));
    for (int i = 0; i < n; i++)
        cell[index_of(lmw_shop_languages, text_of(rows[i].extra, "language"))]
            [index_of(lmw_shop_intents, rows[i].r.domain)]++;
}

static void test_all_there(void **state)
{
    int cell[10][15];

    count_cells(train, N_TRAIN, cell);
    for (int l = 0; l < 10; l++)
        for (int k = 0; k < 15; k++)
            assert_true(cell[l][k] > 20);
    count_cells(test, N_TEST, cell);
    for (int l = 0; l < 10; l++)
        for (int k = 0; k < 15; k++)
            assert_true(cell[l][k] > 0);
}

/* 70 % within five standard errors. */
static void test_mix(void **state)
{
    int seen = 0, with = 0, known = 0;

    for (int i = 0; i < N_TEST; i++) {
        seen += is_true(&test[i], "template_seen");
        with += json_object_get(test[i].extra, "product_seen") != NULL;
        known += is_true(&test[i], "product_seen");
    }
    assert_true(seen > N_TEST * 0.66 && seen < N_TEST * 0.74);
    assert_true(known > with * 0.65 && known < with * 0.75);
    assert_true(with > N_TEST / 3);
}

/* ---- the split ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}
static bool among(const char **sorted, size_t n, const char *s)
{
    return bsearch(&s, sorted, n, sizeof(*sorted), by_text) != NULL;
}

static const char *folded(const char *s)
{
    char *copy = lmw_arena_str(&arena, lmw_str_from(s));

    for (char *p = copy; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
    return copy;
}

/* The values of a key (of all rows, or only where `flag` is false) without ASCII case, sorted. */
static size_t values(const struct row *rows, int n, const char *key, const char *flag,
                     const char ***out)
{
    size_t count = 0;

    *out = LMW_NEW(&arena, const char *, n);
    for (int i = 0; i < n; i++) {
        const char *v = text_of(rows[i].answer, key);
        if (v && !(flag && is_true(&rows[i], flag)))
            (*out)[count++] = folded(v);
    }
    qsort(*out, count, sizeof(**out), by_text);
    return count;
}

static void disjoint(const char *key, const char *other, const char *flag)
{
    const char **in_train, **in_test;
    size_t n_train = values(train, N_TRAIN, key, NULL, &in_train);
    size_t n_test = values(test, N_TEST, other, flag, &in_test);

    assert_true(n_train > 100 && n_test > 50);
    for (size_t i = 0; i < n_test; i++)
        if (among(in_train, n_train, in_test[i]))
            fail_msg("%s '%s' is in both splits", key, in_test[i]);
}

static void test_values_disjoint(void **state)
{
    disjoint("product", "product", "product_seen");
    disjoint("product", "product_2", "product_seen");
    disjoint("product_2", "product", "product_seen");
    disjoint("order_number", "order_number", NULL);
    disjoint("coupon", "coupon", NULL);
    disjoint("address", "address", NULL);
}

static const char *template_name(const struct row *row)
{
    char name[96];

    snprintf(name, sizeof(name), "%s %s %lld", text_of(row->extra, "language"), row->r.domain,
             (long long)json_integer_value(json_object_get(row->extra, "template")));
    return lmw_arena_str(&arena, lmw_str_from(name));
}

static void test_templates_disjoint(void **state)
{
    const char **in_train = LMW_NEW(&arena, const char *, N_TRAIN);
    int unseen = 0;

    for (int i = 0; i < N_TRAIN; i++) {
        assert_true(is_true(&train[i], "template_seen"));
        in_train[i] = template_name(&train[i]);
    }
    qsort(in_train, N_TRAIN, sizeof(*in_train), by_text);
    for (int i = 0; i < N_TEST; i++) {
        bool known = among(in_train, N_TRAIN, template_name(&test[i]));
        assert_int_equal(known, is_true(&test[i], "template_seen"));
        unseen += !known;
    }
    assert_true(unseen > N_TEST / 5);
}

static void test_messages_disjoint(void **state)
{
    const char **in_train = LMW_NEW(&arena, const char *, N_TRAIN);
    const char **in_test = LMW_NEW(&arena, const char *, N_TEST);

    for (int i = 0; i < N_TRAIN; i++)
        in_train[i] = train[i].r.prompt;
    qsort(in_train, N_TRAIN, sizeof(*in_train), by_text);
    for (int i = 0; i < N_TEST; i++) {
        in_test[i] = test[i].r.prompt;
        assert_false(among(in_train, N_TRAIN, in_test[i]));
    }
    qsort(in_test, N_TEST, sizeof(*in_test), by_text);
    for (int i = 1; i < N_TEST; i++)
        assert_string_not_equal(in_test[i - 1], in_test[i]);
}

/* All rates zero: nothing but the sentence, spaced and spelt as in the grammar. */
static void test_no_noise(void **state)
{
    struct lmw_shop_options o = {.seed = 3};
    struct lmw_shop *s;
    struct lmw_record r;

    assert_int_equal(lmw_shop_open(&s, &o, NULL), 0);
    for (int i = 0; i < 3000; i++) {
        struct lmw_arena scratch = arena;
        assert_int_equal(lmw_shop_next(s, &r, &scratch, NULL), 0);
        if (strstr(r.prompt, "  ") || r.prompt[0] == ' ' || strpbrk(r.prompt, "{}|[]"))
            fail_msg("[%s]", r.prompt);
        assert_null(strstr(r.prompt, "HELLO "));
    }
    lmw_shop_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_invented_nouns),
        cmocka_unit_test(test_held_out_file),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_quantities),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_all_there),
        cmocka_unit_test(test_mix),
        cmocka_unit_test(test_values_disjoint),
        cmocka_unit_test(test_templates_disjoint),
        cmocka_unit_test(test_messages_disjoint),
        cmocka_unit_test(test_no_noise),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
