/* Thrift's compact protocol. See thrift.h. */
#include "stream/parquet/thrift.h"

enum { DEPTH_MAX = 64 };

static void fail(struct lmw_thrift *t, bool is_short)
{
    t->is_short |= !t->failed && is_short;
    t->failed = true;
    t->at = t->end;
}

static uint8_t get_byte(struct lmw_thrift *t)
{
    if (t->at == t->end) {
        fail(t, true);
        return 0;
    }
    return *t->at++;
}

uint64_t lmw_thrift_varint(struct lmw_thrift *t)
{
    uint64_t v = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t b = get_byte(t);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    fail(t, false);
    return 0;
}

static lmw_str get_bytes(struct lmw_thrift *t, uint64_t n)
{
    lmw_str s = {(const char *)t->at, (size_t)n};

    if (t->failed || n > (uint64_t)(t->end - t->at)) {
        fail(t, true);
        return (lmw_str){0};
    }
    t->at += n;
    return s;
}

bool lmw_thrift_next(struct lmw_thrift *t, struct lmw_thrift_field *f)
{
    uint8_t head = get_byte(t);

    if (t->failed || head == 0)
        return false;
    f->type = head & 15;
    if (head >> 4)
        f->id += head >> 4;
    else
        f->id = (int16_t)lmw_thrift_zigzag(lmw_thrift_varint(t));
    if (f->type == 0 || f->type > LMW_THRIFT_UUID)
        fail(t, false);
    return !t->failed;
}

static bool is_of(struct lmw_thrift *t, const struct lmw_thrift_field *f, int least, int most)
{
    if (f->type < least || f->type > most)
        fail(t, false);
    return !t->failed;
}

bool lmw_thrift_bool(struct lmw_thrift *t, const struct lmw_thrift_field *f)
{
    return is_of(t, f, LMW_THRIFT_TRUE, LMW_THRIFT_FALSE) && f->type == LMW_THRIFT_TRUE;
}

int64_t lmw_thrift_int(struct lmw_thrift *t, const struct lmw_thrift_field *f)
{
    if (!is_of(t, f, LMW_THRIFT_BYTE, LMW_THRIFT_I64))
        return 0;
    return f->type == LMW_THRIFT_BYTE ? (int8_t)get_byte(t)
                                      : lmw_thrift_zigzag(lmw_thrift_varint(t));
}

lmw_str lmw_thrift_bytes(struct lmw_thrift *t, const struct lmw_thrift_field *f)
{
    if (!is_of(t, f, LMW_THRIFT_BINARY, LMW_THRIFT_BINARY))
        return (lmw_str){0};
    return get_bytes(t, lmw_thrift_varint(t));
}

bool lmw_thrift_struct(struct lmw_thrift *t, const struct lmw_thrift_field *f)
{
    return is_of(t, f, LMW_THRIFT_STRUCT, LMW_THRIFT_STRUCT);
}

/* A list's head. An element takes a byte at least, so that no count is believed that the bytes
 * could not hold. */
static size_t get_list(struct lmw_thrift *t, int *type)
{
    uint8_t head = get_byte(t);
    uint64_t n = head >> 4 == 15 ? lmw_thrift_varint(t) : head >> 4;

    *type = head & 15;
    if (n > (uint64_t)(t->end - t->at))
        fail(t, true);
    return t->failed ? 0 : (size_t)n;
}

size_t lmw_thrift_structs(struct lmw_thrift *t, const struct lmw_thrift_field *f)
{
    int type = 0;
    size_t n = is_of(t, f, LMW_THRIFT_LIST, LMW_THRIFT_LIST) ? get_list(t, &type) : 0;

    if (n > 0 && type != LMW_THRIFT_STRUCT) {
        fail(t, false);
        return 0;
    }
    return n;
}

/* ---- passing over ---- */

static void skip(struct lmw_thrift *t, int type, bool in_list, int depth);

static void skip_struct(struct lmw_thrift *t, int depth)
{
    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);)
        skip(t, f.type, false, depth);
}

static void skip_list(struct lmw_thrift *t, int depth)
{
    int type;

    for (size_t n = get_list(t, &type); n > 0 && !t->failed; n--)
        skip(t, type, true, depth);
}

static void skip_map(struct lmw_thrift *t, int depth)
{
    uint64_t n = lmw_thrift_varint(t);
    uint8_t types = n > 0 ? get_byte(t) : 0;

    for (; n > 0 && !t->failed; n--) {
        skip(t, types >> 4, true, depth);
        skip(t, types & 15, true, depth);
    }
}

/* A truth value is its field's type; in a list it is a byte. */
static void skip(struct lmw_thrift *t, int type, bool in_list, int depth)
{
    if (depth == DEPTH_MAX)
        fail(t, false);
    else if (type == LMW_THRIFT_TRUE || type == LMW_THRIFT_FALSE)
        get_bytes(t, in_list);
    else if (type == LMW_THRIFT_BYTE)
        get_byte(t);
    else if (type >= LMW_THRIFT_I16 && type <= LMW_THRIFT_I64)
        lmw_thrift_varint(t);
    else if (type == LMW_THRIFT_DOUBLE || type == LMW_THRIFT_UUID)
        get_bytes(t, type == LMW_THRIFT_DOUBLE ? 8 : 16);
    else if (type == LMW_THRIFT_BINARY)
        get_bytes(t, lmw_thrift_varint(t));
    else if (type == LMW_THRIFT_LIST || type == LMW_THRIFT_SET)
        skip_list(t, depth + 1);
    else if (type == LMW_THRIFT_MAP)
        skip_map(t, depth + 1);
    else if (type == LMW_THRIFT_STRUCT)
        skip_struct(t, depth + 1);
    else
        fail(t, false);
}

void lmw_thrift_skip(struct lmw_thrift *t, const struct lmw_thrift_field *f)
{
    skip(t, f->type, false, 0);
}

void lmw_thrift_skip_struct(struct lmw_thrift *t)
{
    skip_struct(t, 0);
}
