/* JSON read without a tree, and written: for records by the million, where jansson's objects take
 * several times as long as reading and storing them does (bench_exchange). For what is small or
 * irregular, jansson.
 *
 * The scanner checks all it passes (RFC 8259, UTF-8) and allocates nothing: a value is a slice of
 * the text. Refused besides what the RFC refuses: texts that hold NUL or half a surrogate pair,
 * and nesting over LMW_JSON_DEPTH. The text must stay while its slices are used. */
#ifndef LMW_BASE_JSON_H
#define LMW_BASE_JSON_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { LMW_JSON_DEPTH = 200 };

enum lmw_json_kind {
    LMW_JSON_NULL,
    LMW_JSON_FALSE,
    LMW_JSON_TRUE,
    LMW_JSON_INTEGER, /* no fraction and no exponent */
    LMW_JSON_REAL,
    LMW_JSON_STRING,
    LMW_JSON_ARRAY,
    LMW_JSON_OBJECT,
};
struct lmw_json_value {
    enum lmw_json_kind kind;
    bool is_escaped; /* a string with a backslash in it */
    lmw_str text;    /* as it stands; of a string what is between the quotes */
};

struct lmw_json {
    const char *at, *end;
    const char *fault; /* NULL, or what is wrong at `at` */
};

/* The value at the scanner, whole; false with ->fault set. White space before it is passed. */
bool lmw_json_value(struct lmw_json *j, struct lmw_json_value *out);
/* Into an object: 1 with a member, 0 behind its '}', negative with ->fault set. *first is true
 * before the first call, which expects the '{'. */
int lmw_json_member(struct lmw_json *j, bool *first, struct lmw_json_value *key,
                    struct lmw_json_value *value);
/* A member of an object by its key, an element of an array from 0; false where there is none, or
 * the value is no such container. The value has been passed by lmw_json_value() or is part of one
 * that was. */
bool lmw_json_get(const struct lmw_json_value *object, lmw_str key, struct lmw_json_value *out);
bool lmw_json_item(const struct lmw_json_value *array, int i, struct lmw_json_value *out);
/* Nothing but white space is left. */
bool lmw_json_at_end(struct lmw_json *j);

/* A string's text, or any other value as it stands, as a NUL-terminated copy; NULL when full. */
char *lmw_json_copy(const struct lmw_json_value *v, struct lmw_arena *arena);
/* The numbers of these kinds; false when they are out of range. */
bool lmw_json_int(const struct lmw_json_value *v, int64_t *out);
bool lmw_json_real(const struct lmw_json_value *v, double *out);
/* A value without the white space around its parts, at dst (room for text.len + 2); returns the
 * end. */
char *lmw_json_compact(char *dst, const struct lmw_json_value *v);
/* A member of an object at dst, so written, behind a brace or, where it is not the first, a comma
 * (room for both texts + 6); returns the end. */
char *lmw_json_compact_member(char *dst, bool first, const struct lmw_json_value *key,
                              const struct lmw_json_value *v);

/* Writing. A text must be UTF-8. Reals are as short as gives the same double again; what is not
 * finite is null. */
void lmw_json_put_text(struct lmw_buf *b, lmw_str s);
void lmw_json_put_int(struct lmw_buf *b, int64_t v);
void lmw_json_put_real(struct lmw_buf *b, double v);

#endif
