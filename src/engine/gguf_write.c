/* GGUF, the writing half.
 *
 * Key/values are encoded as they come; tensors are remembered. The first lmw_gguf_write() (or the
 * close of a file without tensors) fixes the layout: header, key/values, directory, padding; from
 * then on data goes straight to disk, each tensor padded to the alignment. The alignment is 32, or
 * what a put of `general.alignment` said.
 *
 * Puts and declarations cannot fail on the spot; the first fault is kept and comes out of the next
 * write or the close. A file whose close failed never appears under its name (base/file.h).
 *
 * Refused: a key or tensor twice, a tensor its format cannot hold, data of another size than
 * declared, data nobody declared, declared tensors without data. */
#include "engine/gguf.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"

struct slot {
    size_t name_at, name_len; /* in names */
    enum lmw_type type;
    int n_dim;
    int64_t ne[4];
    size_t size;
};

struct lmw_gguf_writer {
    struct lmw_atomic file;
    struct lmw_buf kv, keys; /* encoded key/values; "\0key\0key\0", to find duplicates */
    struct lmw_buf names;
    struct slot *slot;
    int64_t n_kv, n_slot, cap_slot, n_written;
    uint32_t alignment;
    bool fixed; /* the header is on disk */
    struct lmw_err fault;
};

int lmw_gguf_writer_open(struct lmw_gguf_writer **out, const char *path, struct lmw_err *err)
{
    *out = NULL;
    struct lmw_gguf_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    int rc = lmw_atomic_open(&w->file, path, err);
    if (rc < 0) {
        free(w);
        return rc;
    }
    w->alignment = 32;
    *out = w;
    return 0;
}

static void release(struct lmw_gguf_writer *w)
{
    lmw_buf_free(&w->kv);
    lmw_buf_free(&w->keys);
    lmw_buf_free(&w->names);
    free(w->slot);
    free(w);
}

void lmw_gguf_writer_abandon(struct lmw_gguf_writer *w)
{
    if (!w)
        return;
    lmw_atomic_abandon(&w->file);
    release(w);
}

/* ---- encoding ---- */

static void put_le(struct lmw_buf *b, uint64_t v, int n_byte)
{
    uint8_t bytes[8];
    for (int i = 0; i < n_byte; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    lmw_buf_put(b, bytes, (size_t)n_byte);
}

static void put_str(struct lmw_buf *b, lmw_str s)
{
    put_le(b, s.len, 8);
    lmw_buf_put(b, s.ptr, s.len);
}

static uint32_t bits_of(float v)
{
    uint32_t u;
    memcpy(&u, &v, 4);
    return u;
}

/* Checks that a key/value may come now, and writes its key and type. */
static bool begin(struct lmw_gguf_writer *w, lmw_str key, enum lmw_kv_type type)
{
    if (w->fault.code)
        return false;
    if (w->fixed) {
        lmw_fail(&w->fault, LMW_EARG, "key '%.*s' came after tensor data", LMW_FMT(key));
        return false;
    }
    if (key.len == 0 || memchr(key.ptr, 0, key.len)) {
        lmw_fail(&w->fault, LMW_EARG, "a key is empty or has a NUL in it");
        return false;
    }
    for (size_t at = 0; at < w->keys.len; at += strlen(w->keys.ptr + at) + 1)
        if (lmw_str_is(key, w->keys.ptr + at)) {
            lmw_fail(&w->fault, LMW_EARG, "key '%.*s' occurs twice", LMW_FMT(key));
            return false;
        }
    lmw_buf_put(&w->keys, key.ptr, key.len);
    lmw_buf_put(&w->keys, "", 1);
    put_str(&w->kv, key);
    put_le(&w->kv, type, 4);
    w->n_kv++;
    return true;
}

static bool begin_array(struct lmw_gguf_writer *w, lmw_str key, enum lmw_kv_type elem, uint64_t n)
{
    if (!begin(w, key, LMW_KV_ARR))
        return false;
    put_le(&w->kv, elem, 4);
    put_le(&w->kv, n, 8);
    return true;
}

static void set_alignment(struct lmw_gguf_writer *w, uint32_t v)
{
    if (v < 8 || (v & (v - 1)) || v > 1u << 20)
        lmw_fail(&w->fault, LMW_EARG,
                 "general.alignment %" PRIu32 " is no power of two from 8 to 2^20", v);
    else
        w->alignment = v;
}

void lmw_gguf_put_u32(struct lmw_gguf_writer *w, const char *key, uint32_t v)
{
    if (!begin(w, lmw_str_from(key), LMW_KV_U32))
        return;
    put_le(&w->kv, v, 4);
    if (strcmp(key, "general.alignment") == 0)
        set_alignment(w, v);
}

void lmw_gguf_put_f32(struct lmw_gguf_writer *w, const char *key, float v)
{
    if (begin(w, lmw_str_from(key), LMW_KV_F32))
        put_le(&w->kv, bits_of(v), 4);
}

void lmw_gguf_put_bool(struct lmw_gguf_writer *w, const char *key, bool v)
{
    if (begin(w, lmw_str_from(key), LMW_KV_BOOL))
        put_le(&w->kv, v, 1);
}

void lmw_gguf_put_str(struct lmw_gguf_writer *w, const char *key, lmw_str v)
{
    if (begin(w, lmw_str_from(key), LMW_KV_STR))
        put_str(&w->kv, v);
}

void lmw_gguf_put_strs(struct lmw_gguf_writer *w, const char *key, const lmw_str *v, size_t n)
{
    if (!begin_array(w, lmw_str_from(key), LMW_KV_STR, n))
        return;
    for (size_t i = 0; i < n; i++)
        put_str(&w->kv, v[i]);
}

void lmw_gguf_put_i32s(struct lmw_gguf_writer *w, const char *key, const int32_t *v, size_t n)
{
    if (!begin_array(w, lmw_str_from(key), LMW_KV_I32, n))
        return;
    for (size_t i = 0; i < n; i++)
        put_le(&w->kv, (uint32_t)v[i], 4);
}

void lmw_gguf_put_f32s(struct lmw_gguf_writer *w, const char *key, const float *v, size_t n)
{
    if (!begin_array(w, lmw_str_from(key), LMW_KV_F32, n))
        return;
    for (size_t i = 0; i < n; i++)
        put_le(&w->kv, bits_of(v[i]), 4);
}

void lmw_gguf_put_kv(struct lmw_gguf_writer *w, const struct lmw_kv *kv)
{
    bool ok = kv->type == LMW_KV_ARR ? begin_array(w, kv->key, kv->elem, kv->n)
                                     : begin(w, kv->key, kv->type);
    if (!ok)
        return;
    lmw_buf_put(&w->kv, kv->data, kv->size);
    if (kv->type == LMW_KV_U32 && lmw_str_is(kv->key, "general.alignment"))
        set_alignment(w, (uint32_t)lmw_kv_int_at(kv, 0));
}

/* ---- tensors ---- */

static lmw_str slot_name(const struct lmw_gguf_writer *w, const struct slot *s)
{
    return (lmw_str){w->names.ptr + s->name_at, s->name_len};
}

/* The slot's size, or a fault. */
static int measure_slot(struct slot *s, lmw_str name, struct lmw_err *err)
{
    if (name.len == 0 || name.len > 64)
        return lmw_fail(err, LMW_EARG, "a tensor's name has %zu bytes, allowed are 1 to 64",
                        name.len);
    if (s->n_dim < 1 || s->n_dim > 4)
        return lmw_fail(err, LMW_EARG, "tensor '%.*s' has %d dimensions", LMW_FMT(name), s->n_dim);
    s->size = lmw_type_row_size(s->type, s->ne[0]);
    for (int i = 1; i < s->n_dim; i++)
        if (s->ne[i] <= 0 || __builtin_mul_overflow(s->size, (uint64_t)s->ne[i], &s->size))
            s->size = 0;
    if (s->size == 0)
        return lmw_fail(
            err, LMW_EARG, "tensor '%.*s': %s cannot hold rows of %" PRId64, LMW_FMT(name),
            lmw_type_name(s->type) ? lmw_type_name(s->type) : "an unknown format", s->ne[0]);
    return 0;
}

static struct slot *new_slot(struct lmw_gguf_writer *w)
{
    if (w->n_slot == w->cap_slot) {
        int64_t cap = w->cap_slot ? 2 * w->cap_slot : 64;
        struct slot *p = realloc(w->slot, (size_t)cap * sizeof(*p));
        if (!p)
            return NULL;
        w->slot = p;
        w->cap_slot = cap;
    }
    return &w->slot[w->n_slot];
}

void lmw_gguf_declare(struct lmw_gguf_writer *w, lmw_str name, enum lmw_type type, int n_dim,
                      const int64_t *ne)
{
    if (w->fault.code)
        return;
    struct slot s = {.name_at = w->names.len, .name_len = name.len, .type = type, .n_dim = n_dim};
    for (int i = 0; i < 4; i++)
        s.ne[i] = i < n_dim ? ne[i] : 1;
    if (w->fixed) {
        lmw_fail(&w->fault, LMW_EARG, "tensor '%.*s' was declared after tensor data",
                 LMW_FMT(name));
        return;
    }
    if (measure_slot(&s, name, &w->fault) < 0)
        return;
    for (int64_t i = 0; i < w->n_slot; i++)
        if (lmw_str_eq(name, slot_name(w, &w->slot[i]))) {
            lmw_fail(&w->fault, LMW_EARG, "tensor '%.*s' occurs twice", LMW_FMT(name));
            return;
        }
    struct slot *p = new_slot(w);
    if (!p) {
        lmw_fail(&w->fault, LMW_ENOMEM, "out of memory for the tensor directory");
        return;
    }
    *p = s;
    lmw_buf_put(&w->names, name.ptr, name.len);
    if (w->names.failed)
        lmw_fail(&w->fault, LMW_ENOMEM, "out of memory for the tensor directory");
    else
        w->n_slot++;
}

/* ---- to disk ---- */

static int emit(struct lmw_gguf_writer *w, const void *bytes, size_t n)
{
    if (n && fwrite(bytes, 1, n, w->file.f) != n)
        return lmw_fail_errno(&w->fault, "writing %s", w->file.path);
    return 0;
}

static int pad(struct lmw_gguf_writer *w, uint64_t size)
{
    static const uint8_t zeros[4096];
    uint64_t n = (w->alignment - size % w->alignment) % w->alignment;
    while (n > 0) {
        size_t part = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
        if (emit(w, zeros, part) < 0)
            return w->fault.code;
        n -= part;
    }
    return 0;
}

static void encode_directory(const struct lmw_gguf_writer *w, struct lmw_buf *b)
{
    uint64_t offset = 0;
    for (int64_t i = 0; i < w->n_slot; i++) {
        const struct slot *s = &w->slot[i];
        put_str(b, slot_name(w, s));
        put_le(b, (uint64_t)s->n_dim, 4);
        for (int d = 0; d < s->n_dim; d++)
            put_le(b, (uint64_t)s->ne[d], 8);
        put_le(b, s->type, 4);
        put_le(b, offset, 8);
        offset += (s->size + w->alignment - 1) / w->alignment * w->alignment;
    }
}

/* Header, key/values and directory: what comes before data. Once. */
static int fix_layout(struct lmw_gguf_writer *w)
{
    if (w->fault.code || w->fixed)
        return w->fault.code;
    w->fixed = true;
    struct lmw_buf head = {0}, dir = {0};
    lmw_buf_str(&head, "GGUF");
    put_le(&head, 3, 4);
    put_le(&head, (uint64_t)w->n_slot, 8);
    put_le(&head, (uint64_t)w->n_kv, 8);
    encode_directory(w, &dir);
    if (head.failed || dir.failed || w->kv.failed || w->keys.failed || w->names.failed)
        lmw_fail(&w->fault, LMW_ENOMEM, "out of memory for the header of %s", w->file.path);
    else if (emit(w, head.ptr, head.len) == 0 && emit(w, w->kv.ptr, w->kv.len) == 0 &&
             emit(w, dir.ptr, dir.len) == 0)
        pad(w, head.len + w->kv.len + dir.len);
    lmw_buf_free(&head);
    lmw_buf_free(&dir);
    return w->fault.code;
}

static int pass_on(const struct lmw_gguf_writer *w, struct lmw_err *err)
{
    return w->fault.code ? lmw_fail(err, w->fault.code, "%s", w->fault.msg) : 0;
}

int lmw_gguf_write(struct lmw_gguf_writer *w, const void *data, size_t size, struct lmw_err *err)
{
    if (fix_layout(w) < 0)
        return pass_on(w, err);
    const struct slot *s = w->n_written < w->n_slot ? &w->slot[w->n_written] : NULL;
    if (!s)
        lmw_fail(&w->fault, LMW_EARG, "data for a tensor that was not declared");
    else if (size != s->size)
        lmw_fail(&w->fault, LMW_EARG, "tensor '%.*s' has %zu bytes, not %zu",
                 LMW_FMT(slot_name(w, s)), s->size, size);
    else if (emit(w, data, size) == 0 && pad(w, size) == 0)
        w->n_written++;
    return pass_on(w, err);
}

int lmw_gguf_writer_close(struct lmw_gguf_writer *w, struct lmw_err *err)
{
    if (fix_layout(w) == 0 && w->n_written < w->n_slot)
        lmw_fail(&w->fault, LMW_EARG, "tensor '%.*s' was declared but has no data",
                 LMW_FMT(slot_name(w, &w->slot[w->n_written])));
    int rc = pass_on(w, err);
    if (rc < 0)
        lmw_atomic_abandon(&w->file);
    else
        rc = lmw_atomic_commit(&w->file, err);
    release(w);
    return rc;
}
