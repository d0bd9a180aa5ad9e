/* DOOR. GGUF v3 files: reading without copying, and writing.
 *
 * A file is: "GGUF", version, n_tensors, n_kv, the key/values, the tensor directory, padding to
 * `general.alignment` (32 when absent), then tensor data at aligned offsets. Little-endian.
 * Format: ggml's docs/gguf.md.
 *
 * Reading maps the file and trusts nothing: every length, count, type and offset is checked before
 * use, products are checked for overflow, and errors name the key or tensor and the byte offset.
 * Everything handed out points into the mapping and lives until lmw_gguf_close(). */
#ifndef LMW_ENGINE_GGUF_H
#define LMW_ENGINE_GGUF_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tensor formats, with GGUF's ids. */
enum lmw_type {
    LMW_F32 = 0,
    LMW_F16 = 1,
    LMW_Q8_0 = 8,
    LMW_Q4_K = 12,
    LMW_Q5_K = 13,
    LMW_Q6_K = 14,
    LMW_BF16 = 30,
};

/* Key/value types, with GGUF's ids. */
enum lmw_kv_type {
    LMW_KV_U8,
    LMW_KV_I8,
    LMW_KV_U16,
    LMW_KV_I16,
    LMW_KV_U32,
    LMW_KV_I32,
    LMW_KV_F32,
    LMW_KV_BOOL,
    LMW_KV_STR,
    LMW_KV_ARR,
    LMW_KV_U64,
    LMW_KV_I64,
    LMW_KV_F64,
};

struct lmw_kv {
    lmw_str key;
    enum lmw_kv_type type;
    enum lmw_kv_type elem; /* of an array (arrays of arrays are refused) */
    uint64_t n;            /* array length, else 1 */
    const void *data;      /* little-endian, unaligned; strings: u64 length then bytes, each */
    size_t size;           /* bytes at data */
};

struct lmw_tensor {
    lmw_str name;
    enum lmw_type type;
    int n_dim;
    int64_t ne[4]; /* ne[0] is the row width (contiguous); unused dimensions are 1 */
    const void *data;
    size_t size; /* bytes */
};

struct lmw_gguf;
int lmw_gguf_open(struct lmw_gguf **out, const char *path, struct lmw_err *err);
/* The same over bytes the caller keeps alive. `bytes` needs no alignment. */
int lmw_gguf_parse(struct lmw_gguf **out, const void *bytes, size_t len, struct lmw_err *err);
void lmw_gguf_close(struct lmw_gguf *g);

/* LMW_EUNSUPPORTED for a part of a model split over several files. */
int lmw_gguf_check_whole(const struct lmw_gguf *g, struct lmw_err *err);
size_t lmw_gguf_size(const struct lmw_gguf *g); /* bytes of the file */
int64_t lmw_gguf_n_kv(const struct lmw_gguf *g);
const struct lmw_kv *lmw_gguf_kv(const struct lmw_gguf *g, int64_t i);
int64_t lmw_gguf_n_tensor(const struct lmw_gguf *g);
const struct lmw_tensor *lmw_gguf_tensor(const struct lmw_gguf *g, int64_t i);
/* NULL where there is none of that name. */
const struct lmw_kv *lmw_gguf_find(const struct lmw_gguf *g, const char *key);
const struct lmw_tensor *lmw_gguf_find_tensor(const struct lmw_gguf *g, const char *name);

/* Typed values. A missing key is LMW_EFORMAT that names it; integers convert between widths when
 * the value fits, f32 and f64 convert. */
int lmw_gguf_int(const struct lmw_gguf *g, const char *key, int64_t *out, struct lmw_err *err);
int lmw_gguf_real(const struct lmw_gguf *g, const char *key, double *out, struct lmw_err *err);
int lmw_gguf_bool(const struct lmw_gguf *g, const char *key, bool *out, struct lmw_err *err);
int lmw_gguf_str(const struct lmw_gguf *g, const char *key, lmw_str *out, struct lmw_err *err);
/* Walks a string array: *cursor starts at kv->data; call kv->n times. */
lmw_str lmw_kv_next_str(const uint8_t **cursor);
/* Element i of a scalar array, as the wide type. */
int64_t lmw_kv_int_at(const struct lmw_kv *kv, uint64_t i);
double lmw_kv_real_at(const struct lmw_kv *kv, uint64_t i);

/* What a format is called ("Q4_K"), how many elements a block of it has, and how many bytes n
 * elements take (0 where n is no multiple of the block). NULL / 0 for ids not known here. */
const char *lmw_type_name(enum lmw_type t);
int lmw_type_block(enum lmw_type t);
size_t lmw_type_row_size(enum lmw_type t, int64_t n);

/* The name of a general.file_type ("Q4_K_M"; llama.cpp's enum llama_ftype), or NULL. */
const char *lmw_file_type_name(int64_t id);

/* Writing: add key/values and declare tensors in any order, then write each tensor's data in
 * declaration order, then close. The file gets its name only when all of it is on disk. */
struct lmw_gguf_writer;
int lmw_gguf_writer_open(struct lmw_gguf_writer **out, const char *path, struct lmw_err *err);
void lmw_gguf_put_u32(struct lmw_gguf_writer *w, const char *key, uint32_t v);
void lmw_gguf_put_f32(struct lmw_gguf_writer *w, const char *key, float v);
void lmw_gguf_put_bool(struct lmw_gguf_writer *w, const char *key, bool v);
void lmw_gguf_put_str(struct lmw_gguf_writer *w, const char *key, lmw_str v);
void lmw_gguf_put_strs(struct lmw_gguf_writer *w, const char *key, const lmw_str *v, size_t n);
void lmw_gguf_put_i32s(struct lmw_gguf_writer *w, const char *key, const int32_t *v, size_t n);
void lmw_gguf_put_f32s(struct lmw_gguf_writer *w, const char *key, const float *v, size_t n);
void lmw_gguf_put_kv(struct lmw_gguf_writer *w, const struct lmw_kv *kv); /* as read */
void lmw_gguf_declare(struct lmw_gguf_writer *w, lmw_str name, enum lmw_type type, int n_dim,
                      const int64_t *ne);
/* The next declared tensor's bytes (lmw_type_row_size of all rows). */
int lmw_gguf_write(struct lmw_gguf_writer *w, const void *data, size_t size, struct lmw_err *err);
/* Commits and frees; reports the first fault of any put, too. */
int lmw_gguf_writer_close(struct lmw_gguf_writer *w, struct lmw_err *err);
void lmw_gguf_writer_abandon(struct lmw_gguf_writer *w);

#endif
