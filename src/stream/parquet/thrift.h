/* Inside of the room: Thrift's compact protocol, read in place: what a Parquet file describes
 * itself in (thrift/doc/specs/thrift-compact-protocol.md of Apache Thrift).
 *
 * A reader walks a struct field by field, takes what it knows and passes over the rest:
 *
 *     for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);)
 *         if (f.id == 3)
 *             rows = lmw_thrift_int(t, &f);
 *         else
 *             lmw_thrift_skip(t, &f);
 *
 * Whatever the bytes, a walk ends: `failed` is set where they end too early, nest too deep, or a
 * field is of another type than the one asked for; then everything reads as 0 or empty. */
#ifndef LMW_STREAM_PARQUET_THRIFT_H
#define LMW_STREAM_PARQUET_THRIFT_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct lmw_thrift {
    const uint8_t *at, *end;
    bool failed;
    bool is_short; /* what failed is that the bytes ended */
};

enum lmw_thrift_type {
    LMW_THRIFT_TRUE = 1,
    LMW_THRIFT_FALSE,
    LMW_THRIFT_BYTE,
    LMW_THRIFT_I16,
    LMW_THRIFT_I32,
    LMW_THRIFT_I64,
    LMW_THRIFT_DOUBLE,
    LMW_THRIFT_BINARY,
    LMW_THRIFT_LIST,
    LMW_THRIFT_SET,
    LMW_THRIFT_MAP,
    LMW_THRIFT_STRUCT,
    LMW_THRIFT_UUID,
};
struct lmw_thrift_field {
    int id, type;
};
/* The next field of the struct: its value is at t->at. False behind the last, or with
 * t->failed. */
bool lmw_thrift_next(struct lmw_thrift *t, struct lmw_thrift_field *f);

bool lmw_thrift_bool(struct lmw_thrift *t, const struct lmw_thrift_field *f);
int64_t lmw_thrift_int(struct lmw_thrift *t, const struct lmw_thrift_field *f);
lmw_str lmw_thrift_bytes(struct lmw_thrift *t, const struct lmw_thrift_field *f);
/* The number of structs that follow: never more than there are bytes. */
size_t lmw_thrift_structs(struct lmw_thrift *t, const struct lmw_thrift_field *f);
/* The field holds a struct, which is next. */
bool lmw_thrift_struct(struct lmw_thrift *t, const struct lmw_thrift_field *f);
void lmw_thrift_skip(struct lmw_thrift *t, const struct lmw_thrift_field *f);
/* A whole struct that is next. */
void lmw_thrift_skip_struct(struct lmw_thrift *t);

/* A number of seven bits a byte, the low ones first; of a Parquet page's runs too. */
uint64_t lmw_thrift_varint(struct lmw_thrift *t);
static inline int64_t lmw_thrift_zigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
