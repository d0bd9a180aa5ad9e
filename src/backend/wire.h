/* The JSON that servers' formats have in common. */
#ifndef LMW_BACKEND_WIRE_H
#define LMW_BACKEND_WIRE_H

#include "base/record.h"
#include "base/str.h"

/* A server's count, or duration in units of so many ns; LMW_NULL where missing or no such
 * thing. */
int64_t lmw_wire_count(const json_t *object, const char *key);
int64_t lmw_wire_ns(const json_t *object, const char *key, double unit_ns);
/* a, or b where that is not known; a part, or LMW_NULL where it is larger than its whole. */
int64_t lmw_wire_either(int64_t a, int64_t b);
int64_t lmw_wire_part(int64_t part, int64_t whole);
/* The string, or "". */
const char *lmw_wire_text(const json_t *object, const char *key);
/* The message in an error, whichever of the usual ways it is written; the same of a whole body,
 * which may be text. */
void lmw_wire_error(const json_t *error, char *out, size_t cap);
void lmw_wire_message(lmw_str body, char *out, size_t cap);
/* Whether a message says that the question is too long for the model's context, or that a filter
 * would not let it through: another question may be answered. */
bool lmw_wire_blames_question(const char *message);
/* A float as people wrote it: 0.7, not 0.699999988. */
json_t *lmw_wire_real(float v);
/* A system message (NULL: none) and a user's; NULL when the prompt is no UTF-8. */
json_t *lmw_wire_messages(const char *system, lmw_str prompt);

#endif
