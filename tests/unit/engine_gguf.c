/* The GGUF reader and writer: what is written is read, and no lie in a file gets past open. */
#include "engine/gguf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- hand-made files, byte by byte: the reader is not checked against the writer ---- */

struct file {
    uint8_t bytes[8192];
    size_t len;
};

static void le(struct file *f, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        f->bytes[f->len++] = (uint8_t)(v >> (8 * i));
}

static void text(struct file *f, const char *s)
{
    le(f, strlen(s), 8);
    memcpy(f->bytes + f->len, s, strlen(s));
    f->len += strlen(s);
}

static void head(struct file *f, uint32_t version, uint64_t n_tensor, uint64_t n_kv)
{
    f->len = 0;
    memcpy(f->bytes, "GGUF", 4);
    f->len = 4;
    le(f, version, 4);
    le(f, n_tensor, 8);
    le(f, n_kv, 8);
}

static void key(struct file *f, const char *name, uint32_t type)
{
    text(f, name);
    le(f, type, 4);
}

static void array(struct file *f, const char *name, uint32_t elem, uint64_t n)
{
    key(f, name, LMW_KV_ARR);
    le(f, elem, 4);
    le(f, n, 8);
}

static void entry(struct file *f, const char *name, uint32_t n_dim, uint64_t ne0, uint64_t ne1,
                  uint32_t type, uint64_t offset)
{
    text(f, name);
    le(f, n_dim, 4);
    for (uint32_t i = 0; i < n_dim && i < 8; i++)
        le(f, i == 0 ? ne0 : i == 1 ? ne1 : 1, 8);
    le(f, type, 4);
    le(f, offset, 8);
}

static void data(struct file *f, size_t n)
{
    while (f->len % 32)
        le(f, 0, 1);
    for (size_t i = 0; i < n; i++)
        le(f, i, 1);
}

/* Parses an exact-size copy, so that a sanitizer sees the first byte too many. */
static int parse(const uint8_t *bytes, size_t len, struct lmw_err *err)
{
    struct lmw_gguf *g;
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    memset(err, 0, sizeof(*err));
    int rc = lmw_gguf_parse(&g, copy, len, err);
    if (rc < 0)
        assert_null(g);
    lmw_gguf_close(g);
    free(copy);
    return rc;
}

static void refused(const struct file *f, int code, const char *words)
{
    struct lmw_err err;
    int rc = parse(f->bytes, f->len, &err);
    if (rc != code || !strstr(err.msg, words))
        fail_msg("expected code %d and '%s', got %d: %s", code, words, rc, err.msg);
    assert_int_equal(err.code, code);
}

static void accepted(const struct file *f)
{
    struct lmw_err err;
    if (parse(f->bytes, f->len, &err) < 0)
        fail_msg("%s", err.msg);
}

/* One of each: enough for truncation and damage to meet every branch. */
static void sample(struct file *f)
{
    head(f, 3, 2, 5);
    key(f, "u", LMW_KV_U32);
    le(f, 7, 4);
    key(f, "s", LMW_KV_STR);
    text(f, "hello");
    array(f, "strs", LMW_KV_STR, 2);
    text(f, "a");
    text(f, "");
    array(f, "ints", LMW_KV_I16, 3);
    le(f, 1, 6);
    key(f, "general.alignment", LMW_KV_U32);
    le(f, 32, 4);
    entry(f, "one", 1, 4, 1, LMW_F32, 0);
    entry(f, "two", 2, 32, 2, LMW_Q8_0, 32);
    data(f, 32 + 68);
}

static void test_sample_is_fine(void **state)
{
    struct file f;
    (void)state;
    sample(&f);
    accepted(&f);
    f.bytes[4] = 2; /* version 2 has the same layout */
    accepted(&f);
}

static void test_truncated_anywhere(void **state)
{
    struct file f;
    struct lmw_err err;
    (void)state;
    sample(&f);
    for (size_t len = 0; len < f.len; len++) {
        int rc = parse(f.bytes, len, &err);
        if (rc != LMW_EFORMAT || !err.msg[0])
            fail_msg("cut to %zu bytes: %d %s", len, rc, err.msg);
    }
}

/* Any byte may be anything: a clean error or a file that can be walked, never a crash. */
static void test_damaged_anywhere(void **state)
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff, 0x0f, 0x40};
    struct file f;
    struct lmw_err err;
    (void)state;
    sample(&f);
    for (size_t i = 0; i < f.len; i++)
        for (size_t m = 0; m < sizeof(masks); m++) {
            f.bytes[i] ^= masks[m];
            parse(f.bytes, f.len, &err);
            f.bytes[i] ^= masks[m];
        }
}

static void test_header_lies(void **state)
{
    struct file f;
    (void)state;
    head(&f, 3, 0, 0);
    accepted(&f);
    f.bytes[0] = 'g';
    refused(&f, LMW_EFORMAT, "not a GGUF file");
    head(&f, 1, 0, 0);
    refused(&f, LMW_EUNSUPPORTED, "version 1");
    head(&f, 4, 0, 0);
    refused(&f, LMW_EUNSUPPORTED, "version 4");
    head(&f, 3u << 24, 0, 0);
    refused(&f, LMW_EUNSUPPORTED, "big-endian");
    head(&f, 3, 0, 1);
    refused(&f, LMW_EFORMAT, "1 key/values");
    head(&f, 3, 0, UINT64_MAX);
    refused(&f, LMW_EFORMAT, "key/values cannot be");
    head(&f, 3, 1ull << 61, 0);
    refused(&f, LMW_EFORMAT, "tensors cannot be");
}

static void test_key_lies(void **state)
{
    struct file f;
    (void)state;
    head(&f, 3, 0, 1);
    le(&f, 1ull << 63, 8);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "a key needs 9223372036854775808 bytes");
    head(&f, 3, 0, 1);
    key(&f, "", LMW_KV_U8);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "a key at offset 24 has 0 bytes");
    head(&f, 3, 0, 1);
    key(&f, "k\x1b[2J", LMW_KV_U8);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "control character");
    head(&f, 3, 0, 1);
    key(&f, "k", 13);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "key 'k': value type 13");
    head(&f, 3, 0, 2);
    for (int i = 0; i < 2; i++) {
        key(&f, "same", LMW_KV_U8);
        le(&f, 0, 1);
    }
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "key 'same' occurs twice");
}

static void test_value_lies(void **state)
{
    struct file f;
    (void)state;
    head(&f, 3, 0, 1);
    key(&f, "k", LMW_KV_STR);
    le(&f, UINT64_MAX, 8);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "key 'k': a string needs 18446744073709551615 bytes");
    head(&f, 3, 0, 1);
    array(&f, "k", LMW_KV_U64, 1ull << 61); /* times 8 is 0 */
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "an array of 2305843009213693952 elements");
    head(&f, 3, 0, 1);
    array(&f, "k", LMW_KV_STR, 1ull << 61);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "an array of");
    head(&f, 3, 0, 1);
    array(&f, "k", LMW_KV_STR, 2);
    text(&f, "fine");
    le(&f, 1ull << 40, 8);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "a string of an array needs");
    head(&f, 3, 0, 1);
    array(&f, "k", LMW_KV_ARR, 1);
    data(&f, 64);
    refused(&f, LMW_EUNSUPPORTED, "arrays of arrays");
    head(&f, 3, 0, 1);
    array(&f, "k", 99, 1);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "array type 99");
}

static void with_alignment(struct file *f, uint32_t type, uint32_t v)
{
    head(f, 3, 1, 1);
    key(f, "general.alignment", type);
    le(f, v, 4);
    entry(f, "t", 1, 4, 1, LMW_F32, 0);
    data(f, 256);
}

static void test_alignment_lies(void **state)
{
    static const uint32_t bad[] = {0, 1, 4, 3, 48, 1u << 21, UINT32_MAX};
    struct file f;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        with_alignment(&f, LMW_KV_U32, bad[i]);
        refused(&f, LMW_EFORMAT, "general.alignment");
    }
    with_alignment(&f, LMW_KV_I32, 32);
    refused(&f, LMW_EFORMAT, "general.alignment");
    with_alignment(&f, LMW_KV_U32, 8);
    accepted(&f);
    with_alignment(&f, LMW_KV_U32, 1u << 20); /* the data would start past the end */
    refused(&f, LMW_EFORMAT, "past the end");
}

/* A file with one tensor as described and n bytes of data. */
static void one_tensor(struct file *f, uint32_t n_dim, uint64_t ne0, uint64_t ne1, uint32_t type,
                       uint64_t offset, size_t n)
{
    head(f, 3, 1, 0);
    entry(f, "t", n_dim, ne0, ne1, type, offset);
    data(f, n);
}

static void test_tensor_lies(void **state)
{
    static const struct {
        uint32_t n_dim;
        uint64_t ne0, ne1;
        uint32_t type;
        uint64_t offset;
        int code;
        const char *words;
    } lies[] = {
        {0, 4, 1, LMW_F32, 0, LMW_EFORMAT, "tensor 't': 0 dimensions"},
        {5, 4, 1, LMW_F32, 0, LMW_EFORMAT, "tensor 't': 5 dimensions"},
        {UINT32_MAX, 4, 1, LMW_F32, 0, LMW_EFORMAT, "4294967295 dimensions"},
        {2, 4, 0, LMW_F32, 0, LMW_EFORMAT, "dimension 1 is 0"},
        {1, 0, 1, LMW_F32, 0, LMW_EFORMAT, "dimension 0 is 0"},
        {1, UINT64_MAX, 1, LMW_F32, 0, LMW_EFORMAT, "dimension 0 is 18446744073709551615"},
        {2, 1ull << 32, 1ull << 32, LMW_F32, 0, LMW_EFORMAT, "overflows"},
        {1, 1ull << 62, 1, LMW_F32, 0, LMW_EFORMAT, "t"},
        {2, 1ull << 31, 1ull << 31, LMW_F32, 0, LMW_EFORMAT, "t"},
        {1, 255, 1, LMW_Q4_K, 0, LMW_EFORMAT, "rows of 255"},
        {1, 16, 1, LMW_Q8_0, 0, LMW_EFORMAT, "rows of 16"},
        {1, 32, 1, 2, 0, LMW_EUNSUPPORTED, "format Q4_0 (id 2)"},
        {1, 32, 1, 4000, 0, LMW_EUNSUPPORTED, "format unknown (id 4000)"},
        {1, 4, 1, LMW_F32, 1, LMW_EFORMAT, "offset 1 is no multiple of the alignment 32"},
        {1, 4, 1, LMW_F32, 64, LMW_EFORMAT, "past the end"},
        {1, 4, 1, LMW_F32, UINT64_MAX - 31, LMW_EFORMAT, "past the end"},
        {1, 17, 1, LMW_F32, 0, LMW_EFORMAT, "68 bytes at offset 0"},
    };
    struct file f;
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        one_tensor(&f, lies[i].n_dim, lies[i].ne0, lies[i].ne1, lies[i].type, lies[i].offset, 64);
        refused(&f, lies[i].code, lies[i].words);
    }
    one_tensor(&f, 1, 16, 1, LMW_F32, 0, 64);
    accepted(&f);
}

static void test_tensors_together(void **state)
{
    struct file f;
    (void)state;
    head(&f, 3, 2, 0);
    entry(&f, "t", 1, 16, 1, LMW_F32, 0);
    entry(&f, "u", 1, 4, 1, LMW_F32, 32);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "tensors 't' and 'u' overlap");
    head(&f, 3, 2, 0);
    entry(&f, "t", 1, 4, 1, LMW_F32, 32);
    entry(&f, "t", 1, 4, 1, LMW_F32, 0);
    data(&f, 64);
    refused(&f, LMW_EFORMAT, "tensor 't' occurs twice");
    head(&f, 3, 2, 0); /* gaps and any order are fine */
    entry(&f, "t", 1, 4, 1, LMW_F32, 64);
    entry(&f, "u", 1, 4, 1, LMW_F32, 0);
    data(&f, 80);
    accepted(&f);
}

/* ---- the writer ---- */

static char dir[] = "/tmp/lmw_gguf_XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/a.gguf", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir); /* fails when the writer left something behind */
}

static struct lmw_gguf_writer *begin(void)
{
    struct lmw_gguf_writer *w;
    struct lmw_err err;
    if (lmw_gguf_writer_open(&w, path, &err) < 0)
        fail_msg("%s", err.msg);
    return w;
}

static void put_scalars(struct lmw_gguf_writer *w)
{
    static const uint8_t bytes[8] = {0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88};
    static const size_t size[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    for (int t = 0; t < 13; t++) {
        char name[16];
        snprintf(name, sizeof(name), "kv.%d", t);
        struct lmw_kv kv = {
            lmw_str_from(name), (enum lmw_kv_type)t, (enum lmw_kv_type)t, 1, bytes, size[t]};
        if (size[t])
            lmw_gguf_put_kv(w, &kv);
    }
}

static const enum lmw_type all_types[] = {LMW_F32,  LMW_F16,  LMW_BF16, LMW_Q8_0,
                                          LMW_Q4_K, LMW_Q5_K, LMW_Q6_K};
enum { N_TYPES = sizeof(all_types) / sizeof(all_types[0]) };

static size_t tensor_bytes(int i, uint8_t out[8192])
{
    size_t n = lmw_type_row_size(all_types[i], 256) * 3;
    for (size_t k = 0; k < n; k++)
        out[k] = (uint8_t)(k * 7 + (size_t)i);
    return n;
}

static void write_everything(void)
{
    static const float reals[] = {0.5f, -INFINITY};
    static const int32_t ints[] = {-1, INT32_MAX};
    const lmw_str strs[] = {LMW_STR("x"), LMW_STR(""), LMW_STR("\0\n")};
    struct lmw_gguf_writer *w = begin();
    struct lmw_err err;
    uint8_t bytes[8192];
    put_scalars(w);
    lmw_gguf_put_u32(w, "general.alignment", 64);
    lmw_gguf_put_f32(w, "f32", 0.1f);
    lmw_gguf_put_bool(w, "bool", true);
    lmw_gguf_put_str(w, "str", LMW_STR("a \"b\""));
    lmw_gguf_put_strs(w, "strs", strs, 3);
    lmw_gguf_put_i32s(w, "i32s", ints, 2);
    lmw_gguf_put_f32s(w, "f32s", reals, 2);
    lmw_gguf_put_strs(w, "none", NULL, 0);
    for (int i = 0; i < N_TYPES; i++)
        lmw_gguf_declare(w, lmw_str_from(lmw_type_name(all_types[i])), all_types[i], 2,
                         (const int64_t[]){256, 3});
    for (int i = 0; i < N_TYPES; i++)
        assert_int_equal(lmw_gguf_write(w, bytes, tensor_bytes(i, bytes), &err), 0);
    if (lmw_gguf_writer_close(w, &err) < 0)
        fail_msg("%s", err.msg);
}

static void check_values(const struct lmw_gguf *g)
{
    struct lmw_err err;
    int64_t i;
    double d;
    bool b;
    lmw_str s;
    assert_int_equal(lmw_gguf_int(g, "kv.0", &i, &err), 0);
    assert_int_equal(i, 0x81);
    assert_int_equal(lmw_gguf_int(g, "kv.1", &i, &err), 0);
    assert_int_equal(i, (int8_t)0x81);
    assert_int_equal(lmw_gguf_int(g, "kv.2", &i, &err), 0);
    assert_int_equal(i, 0x8281);
    assert_int_equal(lmw_gguf_int(g, "kv.3", &i, &err), 0);
    assert_int_equal(i, (int16_t)0x8281);
    assert_int_equal(lmw_gguf_int(g, "kv.4", &i, &err), 0);
    assert_int_equal(i, 0x84838281);
    assert_int_equal(lmw_gguf_int(g, "kv.5", &i, &err), 0);
    assert_int_equal(i, (int32_t)0x84838281);
    assert_int_equal(lmw_gguf_int(g, "kv.10", &i, &err), LMW_EFORMAT); /* over INT64_MAX */
    assert_int_equal(lmw_kv_int_at(lmw_gguf_find(g, "kv.10"), 0), INT64_MAX);
    assert_int_equal(lmw_gguf_int(g, "kv.11", &i, &err), 0);
    assert_int_equal(i, (int64_t)0x8887868584838281);
    assert_int_equal(lmw_gguf_real(g, "f32", &d, &err), 0);
    assert_true(d == (double)0.1f);
    assert_int_equal(lmw_gguf_real(g, "kv.12", &d, &err), 0);
    assert_int_equal(lmw_gguf_bool(g, "bool", &b, &err), 0);
    assert_true(b);
    assert_int_equal(lmw_gguf_str(g, "str", &s, &err), 0);
    assert_true(lmw_str_is(s, "a \"b\""));
}

static void check_arrays(const struct lmw_gguf *g)
{
    const struct lmw_kv *kv = lmw_gguf_find(g, "strs");
    const uint8_t *cursor = kv->data;
    assert_int_equal(kv->n, 3);
    assert_true(lmw_str_is(lmw_kv_next_str(&cursor), "x"));
    assert_true(lmw_str_is(lmw_kv_next_str(&cursor), ""));
    assert_true(lmw_str_eq(lmw_kv_next_str(&cursor), LMW_STR("\0\n")));
    assert_ptr_equal(cursor, (const uint8_t *)kv->data + kv->size);
    kv = lmw_gguf_find(g, "i32s");
    assert_int_equal(lmw_kv_int_at(kv, 0), -1);
    assert_int_equal(lmw_kv_int_at(kv, 1), INT32_MAX);
    assert_int_equal(lmw_kv_int_at(kv, 2), 0); /* past the end */
    kv = lmw_gguf_find(g, "f32s");
    assert_true(lmw_kv_real_at(kv, 0) == 0.5);
    assert_true(lmw_kv_real_at(kv, 1) == -(double)INFINITY);
    assert_int_equal(lmw_gguf_find(g, "none")->n, 0);
}

static void test_round_trip(void **state)
{
    struct lmw_gguf *g;
    struct lmw_err err;
    uint8_t bytes[8192];
    (void)state;
    write_everything();
    if (lmw_gguf_open(&g, path, &err) < 0)
        fail_msg("%s", err.msg);
    check_values(g);
    check_arrays(g);
    assert_int_equal(lmw_gguf_n_kv(g), 11 + 8);
    assert_int_equal(lmw_gguf_n_tensor(g), N_TYPES);
    for (int i = 0; i < N_TYPES; i++) {
        const struct lmw_tensor *t = lmw_gguf_find_tensor(g, lmw_type_name(all_types[i]));
        assert_ptr_equal(t, lmw_gguf_tensor(g, i));
        assert_int_equal(t->type, all_types[i]);
        assert_int_equal(t->n_dim, 2);
        assert_int_equal(t->ne[0], 256);
        assert_int_equal(t->ne[1], 3);
        assert_int_equal(t->ne[2], 1);
        assert_int_equal(t->size, tensor_bytes(i, bytes));
        assert_memory_equal(t->data, bytes, t->size);
        assert_int_equal((uintptr_t)t->data % 64, 0);
    }
    assert_null(lmw_gguf_find(g, "absent"));
    assert_null(lmw_gguf_find_tensor(g, "absent"));
    assert_null(lmw_gguf_kv(g, -1));
    assert_null(lmw_gguf_tensor(g, N_TYPES));
    lmw_gguf_close(g);
}

static void test_getters_say_what_is_wrong(void **state)
{
    struct lmw_gguf *g;
    struct lmw_err err;
    int64_t i;
    double d;
    bool b;
    lmw_str s;
    (void)state;
    write_everything();
    assert_int_equal(lmw_gguf_open(&g, path, &err), 0);
    assert_int_equal(lmw_gguf_int(g, "absent", &i, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "'absent' is missing"));
    assert_int_equal(lmw_gguf_int(g, "str", &i, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "'str' is not an integer"));
    assert_int_equal(lmw_gguf_int(g, "bool", &i, &err), LMW_EFORMAT);
    assert_int_equal(lmw_gguf_real(g, "kv.4", &d, &err), LMW_EFORMAT);
    assert_int_equal(lmw_gguf_bool(g, "kv.0", &b, &err), LMW_EFORMAT);
    assert_int_equal(lmw_gguf_str(g, "strs", &s, &err), LMW_EFORMAT);
    lmw_gguf_close(g);
}

static void refuse_close(struct lmw_gguf_writer *w, const char *words)
{
    struct lmw_err err = {0};
    unlink(path);
    assert_int_equal(lmw_gguf_writer_close(w, &err), LMW_EARG);
    if (!strstr(err.msg, words))
        fail_msg("expected '%s', got '%s'", words, err.msg);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_writer_refuses(void **state)
{
    static const float zeros[64];
    const int64_t ne[] = {32, 2}, odd[] = {31, 2};
    struct lmw_err err;
    struct lmw_gguf_writer *w = begin();
    (void)state;
    lmw_gguf_put_u32(w, "k", 1);
    lmw_gguf_put_f32(w, "k", 1);
    refuse_close(w, "key 'k' occurs twice");
    w = begin();
    lmw_gguf_put_u32(w, "general.alignment", 24);
    refuse_close(w, "general.alignment 24");
    w = begin();
    lmw_gguf_declare(w, LMW_STR("t"), LMW_F32, 2, ne);
    lmw_gguf_declare(w, LMW_STR("t"), LMW_F32, 2, ne);
    refuse_close(w, "tensor 't' occurs twice");
    w = begin();
    lmw_gguf_declare(w, LMW_STR("t"), LMW_Q8_0, 2, odd);
    refuse_close(w, "Q8_0 cannot hold rows of 31");
    w = begin();
    lmw_gguf_declare(w, LMW_STR("t"), LMW_F32, 2, ne);
    refuse_close(w, "tensor 't' was declared but has no data");
    w = begin();
    lmw_gguf_declare(w, LMW_STR("t"), LMW_F32, 2, ne);
    assert_int_equal(lmw_gguf_write(w, zeros, 255, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "tensor 't' has 256 bytes, not 255"));
    refuse_close(w, "not 255");
    w = begin();
    lmw_gguf_declare(w, LMW_STR("t"), LMW_F32, 2, ne);
    assert_int_equal(lmw_gguf_write(w, zeros, 256, &err), 0);
    lmw_gguf_put_u32(w, "late", 1);
    refuse_close(w, "key 'late' came after tensor data");
    w = begin();
    assert_int_equal(lmw_gguf_write(w, zeros, 256, &err), LMW_EARG);
    refuse_close(w, "not declared");
    w = begin();
    lmw_gguf_writer_abandon(w);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_open_names_the_file(void **state)
{
    struct lmw_gguf *g;
    struct lmw_err err;
    (void)state;
    assert_int_equal(lmw_gguf_open(&g, "/nonexistent/x.gguf", &err), LMW_EIO);
    assert_non_null(strstr(err.msg, "/nonexistent/x.gguf"));
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("GGUF", f);
    fclose(f);
    assert_int_equal(lmw_gguf_open(&g, path, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, path));
    assert_null(g);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes to it: not waited for */
    alarm(10);
    assert_int_equal(lmw_gguf_open(&g, path, &err), LMW_EIO);
    alarm(0);
    assert_non_null(strstr(err.msg, "not a regular file"));
}

static void test_formats(void **state)
{
    (void)state;
    assert_int_equal(lmw_type_row_size(LMW_Q4_K, 512), 288);
    assert_int_equal(lmw_type_row_size(LMW_Q4_K, 255), 0);
    assert_int_equal(lmw_type_row_size(LMW_F32, -1), 0);
    assert_int_equal(lmw_type_row_size(LMW_F32, INT64_MAX), 0); /* overflows */
    assert_int_equal(lmw_type_block(LMW_Q8_0), 32);
    assert_null(lmw_type_name((enum lmw_type)2));
    assert_int_equal(lmw_type_block((enum lmw_type)2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_is_fine),
        cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_damaged_anywhere),
        cmocka_unit_test(test_header_lies),
        cmocka_unit_test(test_key_lies),
        cmocka_unit_test(test_value_lies),
        cmocka_unit_test(test_alignment_lies),
        cmocka_unit_test(test_tensor_lies),
        cmocka_unit_test(test_tensors_together),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_getters_say_what_is_wrong),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_open_names_the_file),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
