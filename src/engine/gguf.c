/* GGUF, the reading half: a mapping, two tables that point into it, and name lookups.
 *
 * Nothing in the file is believed. Every read goes through struct cursor, which knows how many
 * bytes are left; counts are compared with the smallest size their items can have before anything
 * is allocated, so memory stays within a small multiple of the file's size; sizes are multiplied
 * with overflow checks. Once open() succeeded, every pointer and size handed out lies inside the
 * mapping, and walking them needs no further checks.
 *
 * Refused: versions other than 2 and 3 (2 differs from 3 in nothing this reader sees), big-endian
 * files, arrays of arrays, duplicate or unprintable names, tensors that are empty, misaligned,
 * overlapping or past the end, and tensor formats this build does not compute with.
 *
 * Layout: ggml's docs/gguf.md. Ids of formats: enum ggml_type in ggml.h. */
#include "engine/gguf.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "engine/quant.h"

#define ALIGNMENT_DEFAULT 32
#define ALIGNMENT_MAX     (1u << 20)
#define NAME_MAX_LEN      65535 /* of a key */
#define TENSOR_NAME_MAX   64

/* On disk: the least a key/value takes (key length, one byte of key, type, one byte of value) and
 * a tensor's entry (name length, one byte, dimension count, one dimension, type, offset). */
#define KV_MIN     (8 + 1 + 4 + 1)
#define TENSOR_MIN (8 + 1 + 4 + 8 + 4 + 8)

/* An entry of a name index: the `key` or `name` that an item of the tables begins with. */
struct name {
    const lmw_str *s;
};

struct lmw_gguf {
    struct lmw_map map; /* zeroed when the bytes are the caller's */
    const uint8_t *bytes;
    size_t len;
    struct lmw_kv *kv;
    struct lmw_tensor *tensor;
    int64_t n_kv, n_tensor;
    struct name *kv_by_name, *tensor_by_name; /* sorted */
};

/* ---- formats ---- */

static const struct format {
    const char *name;
    size_t bytes; /* of a block */
    enum lmw_type type;
    int block; /* elements */
} formats[] = {
    {"F32", 4, LMW_F32, 1},
    {"F16", 2, LMW_F16, 1},
    {"BF16", 2, LMW_BF16, 1},
    {"Q8_0", sizeof(struct lmw_block_q8_0), LMW_Q8_0, 32},
    {"Q4_K", sizeof(struct lmw_block_q4_k), LMW_Q4_K, LMW_QK},
    {"Q5_K", sizeof(struct lmw_block_q5_k), LMW_Q5_K, LMW_QK},
    {"Q6_K", sizeof(struct lmw_block_q6_k), LMW_Q6_K, LMW_QK},
};

static const struct format *format_of(uint32_t type)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if ((uint32_t)formats[i].type == type)
            return &formats[i];
    return NULL;
}

const char *lmw_type_name(enum lmw_type t)
{
    const struct format *f = format_of(t);
    return f ? f->name : NULL;
}

int lmw_type_block(enum lmw_type t)
{
    const struct format *f = format_of(t);
    return f ? f->block : 0;
}

size_t lmw_type_row_size(enum lmw_type t, int64_t n)
{
    const struct format *f = format_of(t);
    size_t size;
    if (!f || n < 0 || n % f->block ||
        __builtin_mul_overflow((uint64_t)(n / f->block), f->bytes, &size))
        return 0;
    return size;
}

/* ggml's names of formats we cannot compute with, for the error message. */
static const char *foreign_format(uint32_t type)
{
    static const char *const names[] = {
        [2] = "Q4_0",     [3] = "Q4_1",   [6] = "Q5_0",    [7] = "Q5_1",     [9] = "Q8_1",
        [10] = "Q2_K",    [11] = "Q3_K",  [15] = "Q8_K",   [16] = "IQ2_XXS", [17] = "IQ2_XS",
        [18] = "IQ3_XXS", [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S",   [22] = "IQ2_S",
        [23] = "IQ4_XS",  [24] = "I8",    [25] = "I16",    [26] = "I32",     [27] = "I64",
        [28] = "F64",     [29] = "IQ1_M", [34] = "TQ1_0",  [35] = "TQ2_0",   [39] = "MXFP4",
    };
    return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "unknown";
}

const char *lmw_file_type_name(int64_t id)
{
    static const char *const names[] = {
        [0] = "F32",     [1] = "F16",     [7] = "Q8_0",  [14] = "Q4_K_S", [15] = "Q4_K_M",
        [16] = "Q5_K_S", [17] = "Q5_K_M", [18] = "Q6_K", [32] = "BF16",
    };
    return id >= 0 && id < (int64_t)(sizeof(names) / sizeof(names[0])) ? names[id] : NULL;
}

/* ---- the cursor ---- */

struct cursor {
    const uint8_t *bytes;
    size_t len, at;
    struct lmw_err *err;
};

static uint64_t load_le(const uint8_t *p, int n_byte)
{
    uint64_t v = 0;
    for (int i = 0; i < n_byte; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* n bytes from here, or NULL with the error set. `what` says what they are. */
static const uint8_t *take(struct cursor *c, uint64_t n, const char *what)
{
    if (n > c->len - c->at) {
        lmw_fail(c->err, LMW_EFORMAT,
                 "%s needs %" PRIu64 " bytes at offset %zu, but only %zu are left "
                 "(truncated or damaged file)",
                 what, n, c->at, c->len - c->at);
        return NULL;
    }
    const uint8_t *p = c->bytes + c->at;
    c->at += n;
    return p;
}

static int take_u32(struct cursor *c, uint32_t *out, const char *what)
{
    const uint8_t *p = take(c, 4, what);
    if (!p)
        return LMW_EFORMAT;
    *out = (uint32_t)load_le(p, 4);
    return 0;
}

static int take_u64(struct cursor *c, uint64_t *out, const char *what)
{
    const uint8_t *p = take(c, 8, what);
    if (!p)
        return LMW_EFORMAT;
    *out = load_le(p, 8);
    return 0;
}

static int take_str(struct cursor *c, lmw_str *out, const char *what)
{
    uint64_t len;
    int rc = take_u64(c, &len, what);
    if (rc < 0)
        return rc;
    const uint8_t *p = take(c, len, what);
    if (!p)
        return LMW_EFORMAT;
    *out = (lmw_str){(const char *)p, len};
    return 0;
}

/* A key or a tensor's name. Control characters are refused: names are printed on terminals. */
static int take_name(struct cursor *c, lmw_str *out, size_t max, const char *what)
{
    size_t at = c->at;
    int rc = take_str(c, out, what);
    if (rc < 0)
        return rc;
    if (out->len == 0 || out->len > max)
        return lmw_fail(c->err, LMW_EFORMAT,
                        "%s at offset %zu has %zu bytes, allowed are 1 to %zu", what, at, out->len,
                        max);
    for (size_t i = 0; i < out->len; i++)
        if ((unsigned char)out->ptr[i] < 0x20 || out->ptr[i] == 0x7f)
            return lmw_fail(c->err, LMW_EFORMAT, "%s at offset %zu has a control character", what,
                            at);
    return 0;
}

/* ---- key/values ---- */

static int scalar_size(enum lmw_kv_type t)
{
    static const uint8_t sizes[] = {
        [LMW_KV_U8] = 1,  [LMW_KV_I8] = 1,  [LMW_KV_U16] = 2, [LMW_KV_I16] = 2,
        [LMW_KV_U32] = 4, [LMW_KV_I32] = 4, [LMW_KV_F32] = 4, [LMW_KV_BOOL] = 1,
        [LMW_KV_U64] = 8, [LMW_KV_I64] = 8, [LMW_KV_F64] = 8,
    };
    return (unsigned)t < sizeof(sizes) ? sizes[t] : 0; /* 0: not a scalar */
}

static int take_array(struct cursor *c, struct lmw_kv *kv)
{
    uint32_t elem;
    int rc = take_u32(c, &elem, "an array's type");
    if (rc < 0 || (rc = take_u64(c, &kv->n, "an array's length")) < 0)
        return rc;
    if (elem == LMW_KV_ARR)
        return lmw_fail(c->err, LMW_EUNSUPPORTED, "arrays of arrays are not supported");
    if (elem > LMW_KV_F64)
        return lmw_fail(c->err, LMW_EFORMAT, "array type %" PRIu32 " at offset %zu does not exist",
                        elem, c->at - 12);
    kv->elem = (enum lmw_kv_type)elem;
    size_t each = kv->elem == LMW_KV_STR ? 8 : scalar_size(kv->elem);
    if (kv->n > (c->len - c->at) / each)
        return lmw_fail(c->err, LMW_EFORMAT,
                        "an array of %" PRIu64 " elements at offset %zu does not fit in the %zu "
                        "bytes left (truncated or damaged file)",
                        kv->n, c->at, c->len - c->at);
    kv->data = c->bytes + c->at;
    if (kv->elem != LMW_KV_STR) {
        c->at += kv->n * each;
    } else {
        lmw_str s;
        for (uint64_t i = 0; i < kv->n; i++)
            if ((rc = take_str(c, &s, "a string of an array")) < 0)
                return rc;
    }
    kv->size = (size_t)(c->bytes + c->at - (const uint8_t *)kv->data);
    return 0;
}

static int take_value(struct cursor *c, struct lmw_kv *kv)
{
    uint32_t type;
    int rc = take_u32(c, &type, "a value's type");
    if (rc < 0)
        return rc;
    if (type > LMW_KV_F64)
        return lmw_fail(c->err, LMW_EFORMAT, "value type %" PRIu32 " at offset %zu does not exist",
                        type, c->at - 4);
    kv->type = kv->elem = (enum lmw_kv_type)type;
    kv->n = 1;
    if (kv->type == LMW_KV_ARR)
        return take_array(c, kv);
    size_t start = c->at;
    if (kv->type == LMW_KV_STR) {
        lmw_str s;
        rc = take_str(c, &s, "a string");
    } else {
        rc = take(c, (uint64_t)scalar_size(kv->type), "a value") ? 0 : LMW_EFORMAT;
    }
    kv->data = c->bytes + start;
    kv->size = c->at - start;
    return rc;
}

static int take_kv(struct cursor *c, struct lmw_kv *kv)
{
    int rc = take_name(c, &kv->key, NAME_MAX_LEN, "a key");
    if (rc < 0)
        return rc;
    if (take_value(c, kv) < 0)
        return lmw_wrap(c->err, "key '%.*s'", (int)(kv->key.len < 100 ? kv->key.len : 100),
                        kv->key.ptr);
    return 0;
}

/* ---- tensors ---- */

/* Fills t->size from type and shape, or says why there is no such tensor. */
static int tensor_size(struct cursor *c, struct lmw_tensor *t)
{
    int64_t n_row = 1, n_elem;
    for (int i = 0; i < t->n_dim; i++)
        if (t->ne[i] <= 0)
            return lmw_fail(c->err, LMW_EFORMAT, "dimension %d is %" PRId64, i, t->ne[i]);
    for (int i = 1; i < t->n_dim; i++)
        if (__builtin_mul_overflow(n_row, t->ne[i], &n_row))
            return lmw_fail(c->err, LMW_EFORMAT, "the product of its dimensions overflows");
    if (__builtin_mul_overflow(n_row, t->ne[0], &n_elem))
        return lmw_fail(c->err, LMW_EFORMAT, "the product of its dimensions overflows");
    size_t row = lmw_type_row_size(t->type, t->ne[0]);
    if (row == 0)
        return lmw_fail(c->err, LMW_EFORMAT,
                        "rows of %" PRId64 " are no multiple of %s's block of %d", t->ne[0],
                        lmw_type_name(t->type), lmw_type_block(t->type));
    if (__builtin_mul_overflow(row, (uint64_t)n_row, &t->size))
        return lmw_fail(c->err, LMW_EFORMAT, "its size overflows");
    return 0;
}

/* Everything of an entry after the name. *offset is relative to the data section. */
static int take_tensor_body(struct cursor *c, struct lmw_tensor *t, uint64_t *offset)
{
    uint32_t n_dim, type;
    int rc = take_u32(c, &n_dim, "its dimension count");
    if (rc < 0)
        return rc;
    if (n_dim < 1 || n_dim > 4)
        return lmw_fail(c->err, LMW_EFORMAT,
                        "%" PRIu32 " dimensions at offset %zu, allowed are 1 to 4", n_dim,
                        c->at - 4);
    t->n_dim = (int)n_dim;
    for (int i = 0; i < 4; i++) {
        uint64_t ne = 1;
        if (i < t->n_dim && (rc = take_u64(c, &ne, "a dimension")) < 0)
            return rc;
        if (ne > INT64_MAX)
            return lmw_fail(c->err, LMW_EFORMAT, "dimension %d is %" PRIu64, i, ne);
        t->ne[i] = (int64_t)ne;
    }
    if ((rc = take_u32(c, &type, "its type")) < 0 || (rc = take_u64(c, offset, "its offset")) < 0)
        return rc;
    if (!format_of(type))
        return lmw_fail(c->err, LMW_EUNSUPPORTED,
                        "format %s (id %" PRIu32 ") is not supported; F32 F16 BF16 Q8_0 Q4_K Q5_K "
                        "Q6_K are: convert the model to one of them",
                        foreign_format(type), type);
    t->type = (enum lmw_type)type;
    return tensor_size(c, t);
}

static int take_tensor(struct cursor *c, struct lmw_tensor *t, uint64_t *offset)
{
    int rc = take_name(c, &t->name, TENSOR_NAME_MAX, "a tensor's name");
    if (rc < 0)
        return rc;
    if (take_tensor_body(c, t, offset) < 0)
        return lmw_wrap(c->err, "tensor '%.*s'", LMW_FMT(t->name));
    return 0;
}

/* Checks a tensor's offset and turns it into a pointer. */
static int place_tensor(struct cursor *c, struct lmw_tensor *t, uint64_t offset, uint64_t data_at,
                        uint32_t alignment)
{
    if (offset % alignment)
        return lmw_fail(c->err, LMW_EFORMAT,
                        "tensor '%.*s': offset %" PRIu64
                        " is no multiple of the alignment %" PRIu32,
                        LMW_FMT(t->name), offset, alignment);
    if (data_at > c->len || offset > c->len - data_at || t->size > c->len - data_at - offset)
        return lmw_fail(c->err, LMW_EFORMAT,
                        "tensor '%.*s': %zu bytes at offset %" PRIu64 " of the data (which starts "
                        "at %" PRIu64 ") reach past the end of the file (%zu bytes): truncated?",
                        LMW_FMT(t->name), t->size, offset, data_at, c->len);
    t->data = c->bytes + data_at + offset;
    return 0;
}

struct placed {
    const struct lmw_tensor *t;
};

static int by_data(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    return x->t->data < y->t->data ? -1 : x->t->data > y->t->data;
}

/* Two tensors over the same bytes are a lie about one of them. */
static int check_overlap(const struct lmw_gguf *g, struct lmw_err *err)
{
    int rc = 0;
    struct placed *order = calloc((size_t)g->n_tensor + 1, sizeof(struct placed));
    if (!order)
        return lmw_fail(err, LMW_ENOMEM, "out of memory for %" PRId64 " tensors", g->n_tensor);
    for (int64_t i = 0; i < g->n_tensor; i++)
        order[i].t = &g->tensor[i];
    qsort(order, (size_t)g->n_tensor, sizeof(struct placed), by_data);
    for (int64_t i = 1; i < g->n_tensor && rc == 0; i++) {
        const struct lmw_tensor *x = order[i - 1].t, *y = order[i].t;
        if ((const uint8_t *)x->data + x->size > (const uint8_t *)y->data)
            rc = lmw_fail(err, LMW_EFORMAT, "tensors '%.*s' and '%.*s' overlap", LMW_FMT(x->name),
                          LMW_FMT(y->name));
    }
    free(order);
    return rc;
}

/* ---- lookups ---- */

static int str_order(const lmw_str *x, const lmw_str *y)
{
    size_t n = x->len < y->len ? x->len : y->len;
    int d = memcmp(x->ptr, y->ptr, n);
    if (d)
        return d;
    return x->len < y->len ? -1 : x->len > y->len;
}

static int by_name(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    return str_order(x->s, y->s);
}

/* Sorts pointers to the n names that lie `stride` bytes apart, and refuses duplicates. */
static int index_names(struct name *index, const void *first, int64_t n, size_t stride,
                       const char *what, struct lmw_err *err)
{
    for (int64_t i = 0; i < n; i++)
        index[i].s = (const lmw_str *)((const char *)first + (size_t)i * stride);
    qsort(index, (size_t)n, sizeof(struct name), by_name);
    for (int64_t i = 1; i < n; i++)
        if (lmw_str_eq(*index[i - 1].s, *index[i].s))
            return lmw_fail(err, LMW_EFORMAT, "%s '%.*s' occurs twice", what,
                            (int)(index[i].s->len < 100 ? index[i].s->len : 100), index[i].s->ptr);
    return 0;
}

static const lmw_str *find_name(const struct name *index, int64_t n, const char *name)
{
    lmw_str key = lmw_str_from(name);
    const struct name wanted = {&key};
    const struct name *hit =
        n ? bsearch(&wanted, index, (size_t)n, sizeof(struct name), by_name) : NULL;
    return hit ? hit->s : NULL;
}

const struct lmw_kv *lmw_gguf_find(const struct lmw_gguf *g, const char *key)
{
    return (const struct lmw_kv *)find_name(g->kv_by_name, g->n_kv, key);
}

const struct lmw_tensor *lmw_gguf_find_tensor(const struct lmw_gguf *g, const char *name)
{
    return (const struct lmw_tensor *)find_name(g->tensor_by_name, g->n_tensor, name);
}

/* ---- opening ---- */

static int parse_header(struct cursor *c, uint64_t *n_tensor, uint64_t *n_kv)
{
    uint32_t version;
    int rc;
    if (c->len < 4 || memcmp(c->bytes, "GGUF", 4) != 0)
        return lmw_fail(c->err, LMW_EFORMAT, "not a GGUF file: it does not begin with \"GGUF\"");
    c->at = 4;
    if ((rc = take_u32(c, &version, "the version")) < 0)
        return rc;
    if (version && (version & 0xffff) == 0)
        return lmw_fail(c->err, LMW_EUNSUPPORTED,
                        "a big-endian GGUF file: only little-endian ones "
                        "are supported");
    if (version != 2 && version != 3)
        return lmw_fail(c->err, LMW_EUNSUPPORTED,
                        "GGUF version %" PRIu32 " is not supported (2 and 3 are)", version);
    if ((rc = take_u64(c, n_tensor, "the tensor count")) < 0 ||
        (rc = take_u64(c, n_kv, "the key count")) < 0)
        return rc;
    uint64_t left = c->len - c->at;
    if (*n_kv > left / KV_MIN)
        return lmw_fail(c->err, LMW_EFORMAT,
                        "%" PRIu64 " key/values cannot be in the %" PRIu64
                        " bytes after the header",
                        *n_kv, left);
    if (*n_tensor > left / TENSOR_MIN)
        return lmw_fail(c->err, LMW_EFORMAT,
                        "%" PRIu64 " tensors cannot be in the %" PRIu64 " bytes after the header",
                        *n_tensor, left);
    return 0;
}

static int read_alignment(const struct lmw_gguf *g, uint32_t *out, struct lmw_err *err)
{
    *out = ALIGNMENT_DEFAULT;
    const struct lmw_kv *kv = lmw_gguf_find(g, "general.alignment");
    if (!kv)
        return 0;
    if (kv->type != LMW_KV_U32)
        return lmw_fail(err, LMW_EFORMAT, "key 'general.alignment' is not a u32");
    *out = (uint32_t)load_le(kv->data, 4);
    if (*out < 8 || (*out & (*out - 1)) || *out > ALIGNMENT_MAX)
        return lmw_fail(err, LMW_EFORMAT,
                        "key 'general.alignment' is %" PRIu32 ", not a power of two from 8 to %u",
                        *out, ALIGNMENT_MAX);
    return 0;
}

static int parse_tensors(struct lmw_gguf *g, struct cursor *c)
{
    uint32_t alignment;
    int rc = read_alignment(g, &alignment, c->err);
    if (rc < 0)
        return rc;
    uint64_t *offset = calloc((size_t)g->n_tensor + 1, sizeof(*offset));
    if (!offset)
        return lmw_fail(c->err, LMW_ENOMEM, "out of memory for %" PRId64 " tensors", g->n_tensor);
    for (int64_t i = 0; i < g->n_tensor && rc == 0; i++)
        rc = take_tensor(c, &g->tensor[i], &offset[i]);
    uint64_t data_at = ((uint64_t)c->at + alignment - 1) / alignment * alignment;
    for (int64_t i = 0; i < g->n_tensor && rc == 0; i++)
        rc = place_tensor(c, &g->tensor[i], offset[i], data_at, alignment);
    free(offset);
    if (rc == 0)
        rc = check_overlap(g, c->err);
    if (rc == 0)
        rc = index_names(g->tensor_by_name, g->tensor, g->n_tensor, sizeof(*g->tensor), "tensor",
                         c->err);
    return rc;
}

static int parse_all(struct lmw_gguf *g, struct lmw_err *err)
{
    struct cursor c = {g->bytes, g->len, 0, err};
    uint64_t n_tensor = 0, n_kv = 0;
    int rc = parse_header(&c, &n_tensor, &n_kv);
    if (rc < 0)
        return rc;
    g->kv = calloc(n_kv + 1, sizeof(*g->kv));
    g->kv_by_name = calloc(n_kv + 1, sizeof(struct name));
    g->tensor = calloc(n_tensor + 1, sizeof(*g->tensor));
    g->tensor_by_name = calloc(n_tensor + 1, sizeof(struct name));
    if (!g->kv || !g->kv_by_name || !g->tensor || !g->tensor_by_name)
        return lmw_fail(err, LMW_ENOMEM, "out of memory for the tables of a GGUF file");
    g->n_kv = (int64_t)n_kv;
    g->n_tensor = (int64_t)n_tensor;
    for (int64_t i = 0; i < g->n_kv; i++)
        if ((rc = take_kv(&c, &g->kv[i])) < 0)
            return rc;
    if ((rc = index_names(g->kv_by_name, g->kv, g->n_kv, sizeof(*g->kv), "key", err)) < 0)
        return rc;
    return parse_tensors(g, &c);
}

int lmw_gguf_parse(struct lmw_gguf **out, const void *bytes, size_t len, struct lmw_err *err)
{
    *out = NULL;
    struct lmw_gguf *g = calloc(1, sizeof(*g));
    if (!g)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    g->bytes = bytes;
    g->len = len;
    int rc = parse_all(g, err);
    if (rc < 0) {
        lmw_gguf_close(g);
        return rc;
    }
    *out = g;
    return 0;
}

int lmw_gguf_open(struct lmw_gguf **out, const char *path, struct lmw_err *err)
{
    struct lmw_gguf *g;
    struct lmw_map map;
    *out = NULL;
    int rc = lmw_map_open(&map, path, err);
    if (rc < 0)
        return rc;
    rc = lmw_gguf_parse(&g, map.ptr, map.len, err);
    if (!g) {
        lmw_map_close(&map);
        lmw_wrap(err, "reading %s", path);
        return rc;
    }
    g->map = map;
    *out = g;
    return 0;
}

void lmw_gguf_close(struct lmw_gguf *g)
{
    if (!g)
        return;
    lmw_map_close(&g->map);
    free(g->kv);
    free(g->kv_by_name);
    free(g->tensor);
    free(g->tensor_by_name);
    free(g);
}

/* ---- what is in it ---- */

int lmw_gguf_check_whole(const struct lmw_gguf *g, struct lmw_err *err)
{
    int64_t n;
    if (lmw_gguf_int(g, "split.count", &n, NULL) < 0 || n <= 1)
        return LMW_OK;
    return lmw_fail(err, LMW_EUNSUPPORTED,
                    "this is one part of a model split over %" PRId64
                    " files: merge them first (llama.cpp's llama-gguf-split --merge)",
                    n);
}

size_t lmw_gguf_size(const struct lmw_gguf *g)
{
    return g->len;
}

int64_t lmw_gguf_n_kv(const struct lmw_gguf *g)
{
    return g->n_kv;
}

const struct lmw_kv *lmw_gguf_kv(const struct lmw_gguf *g, int64_t i)
{
    return i >= 0 && i < g->n_kv ? &g->kv[i] : NULL;
}

int64_t lmw_gguf_n_tensor(const struct lmw_gguf *g)
{
    return g->n_tensor;
}

const struct lmw_tensor *lmw_gguf_tensor(const struct lmw_gguf *g, int64_t i)
{
    return i >= 0 && i < g->n_tensor ? &g->tensor[i] : NULL;
}

lmw_str lmw_kv_next_str(const uint8_t **cursor)
{
    lmw_str s = {(const char *)*cursor + 8, load_le(*cursor, 8)};
    *cursor += 8 + s.len;
    return s;
}

int64_t lmw_kv_int_at(const struct lmw_kv *kv, uint64_t i)
{
    int size = scalar_size(kv->elem);
    if (size == 0 || i >= kv->n)
        return 0;
    uint64_t v = load_le((const uint8_t *)kv->data + i * (size_t)size, size);
    switch (kv->elem) {
    case LMW_KV_I8: return (int8_t)v;
    case LMW_KV_I16: return (int16_t)v;
    case LMW_KV_I32: return (int32_t)v;
    case LMW_KV_U64: return v > INT64_MAX ? INT64_MAX : (int64_t)v;
    case LMW_KV_BOOL: return v != 0;
    case LMW_KV_F32:
    case LMW_KV_F64: return 0;
    default: return (int64_t)v;
    }
}

double lmw_kv_real_at(const struct lmw_kv *kv, uint64_t i)
{
    if (i >= kv->n)
        return 0;
    if (kv->elem == LMW_KV_F32) {
        float f;
        memcpy(&f, (const uint8_t *)kv->data + i * 4, 4);
        return (double)f;
    }
    if (kv->elem == LMW_KV_F64) {
        double d;
        memcpy(&d, (const uint8_t *)kv->data + i * 8, 8);
        return d;
    }
    return (double)lmw_kv_int_at(kv, i);
}

static int find_or_fail(const struct lmw_gguf *g, const char *key, const struct lmw_kv **out,
                        struct lmw_err *err)
{
    *out = lmw_gguf_find(g, key);
    if (!*out)
        return lmw_fail(err, LMW_EFORMAT, "key '%s' is missing", key);
    return 0;
}

static int wrong_kind(const char *key, const char *needed, struct lmw_err *err)
{
    return lmw_fail(err, LMW_EFORMAT, "key '%s' is not %s", key, needed);
}

static bool is_int(enum lmw_kv_type t)
{
    return scalar_size(t) && t != LMW_KV_F32 && t != LMW_KV_F64 && t != LMW_KV_BOOL;
}

int lmw_gguf_int(const struct lmw_gguf *g, const char *key, int64_t *out, struct lmw_err *err)
{
    const struct lmw_kv *kv;
    int rc = find_or_fail(g, key, &kv, err);
    if (rc < 0)
        return rc;
    if (!is_int(kv->type))
        return wrong_kind(key, "an integer", err);
    if (kv->type == LMW_KV_U64 && load_le(kv->data, 8) > INT64_MAX)
        return lmw_fail(err, LMW_EFORMAT, "key '%s' is too large: %" PRIu64, key,
                        load_le(kv->data, 8));
    *out = lmw_kv_int_at(kv, 0);
    return 0;
}

int lmw_gguf_real(const struct lmw_gguf *g, const char *key, double *out, struct lmw_err *err)
{
    const struct lmw_kv *kv;
    int rc = find_or_fail(g, key, &kv, err);
    if (rc < 0)
        return rc;
    if (kv->type != LMW_KV_F32 && kv->type != LMW_KV_F64)
        return wrong_kind(key, "a real number", err);
    *out = lmw_kv_real_at(kv, 0);
    return 0;
}

int lmw_gguf_bool(const struct lmw_gguf *g, const char *key, bool *out, struct lmw_err *err)
{
    const struct lmw_kv *kv;
    int rc = find_or_fail(g, key, &kv, err);
    if (rc < 0)
        return rc;
    if (kv->type != LMW_KV_BOOL)
        return wrong_kind(key, "a bool", err);
    *out = lmw_kv_int_at(kv, 0) != 0;
    return 0;
}

int lmw_gguf_str(const struct lmw_gguf *g, const char *key, lmw_str *out, struct lmw_err *err)
{
    const struct lmw_kv *kv;
    int rc = find_or_fail(g, key, &kv, err);
    if (rc < 0)
        return rc;
    if (kv->type != LMW_KV_STR)
        return wrong_kind(key, "a string", err);
    const uint8_t *p = kv->data;
    *out = lmw_kv_next_str(&p);
    return 0;
}
