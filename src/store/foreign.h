/* Other programs' records: what their readers share. For the files of this room only.
 *
 * A piece is one JSON object. What a record has a field for goes there; everything else stays, as
 * it was written, in `extra`. */
#ifndef LMW_STORE_FOREIGN_H
#define LMW_STORE_FOREIGN_H

#include "store/format.h"

/* Python writes NaN, Infinity and -Infinity where JSON has no such thing: the piece with null in
 * their place. False where it has none, or there is no memory. */
bool lmw_foreign_mend(lmw_str *piece, struct lmw_arena *arena);
/* The piece as a value, mended where that helps; LMW_EFORMAT says what is wrong with it. */
int lmw_foreign_object(lmw_str piece, struct lmw_json_value *out, struct lmw_arena *arena,
                       struct lmw_err *err);
/* A member, or a member of a member (NULL ends the path); false when it is missing or null. */
bool lmw_foreign_at(const struct lmw_json_value *o, struct lmw_json_value *out, ...)
    __attribute__((sentinel));

/* What a value says, in the arena: a string's text, another value as JSON. NULL: no memory. */
const char *lmw_foreign_text(const struct lmw_json_value *v, struct lmw_arena *arena);
/* A number times scale, rounded; LMW_NULL where there is none. */
int64_t lmw_foreign_int(const struct lmw_json_value *v, double scale);
double lmw_foreign_real(const struct lmw_json_value *v); /* NaN where there is none */

/* The members of the object but those named (NULL ends the list), as an object; NULL: none left,
 * or no memory. */
const char *lmw_foreign_rest(const struct lmw_json_value *o, const char *const *but,
                             struct lmw_arena *arena);

/* The formats: whether an object is of it, and its reader. */
bool lmw_is_lm_eval(const struct lmw_json_value *o);
bool lmw_is_llama_bench(const struct lmw_json_value *o);
bool lmw_is_ipw(const struct lmw_json_value *o);
int lmw_lm_eval_read(struct feed *s, lmw_str piece, take_fn *take, void *arg, struct lmw_err *err);
int lmw_llama_bench_read(struct feed *s, lmw_str piece, take_fn *take, void *arg,
                         struct lmw_err *err);
int lmw_ipw_read(struct feed *s, lmw_str piece, take_fn *take, void *arg, struct lmw_err *err);

#endif
