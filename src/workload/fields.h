/* Inside of the room: which field of a row is which of a record.
 *
 *     prompt=question,reference=answer.value,query_id=#
 *
 * On the left a record's column, on the right a field of the row: its name, else a path with dots
 * into objects and (by number, from 0) arrays; `#` is the row's number behind the file's stem,
 * "test-17", which stays the same when rows are added behind. What is taken is no field of its own
 * any more (what a path begins with neither, where a record has a field of that name: `answer`
 * would be a model's); the others stay as they are. */
#ifndef LMW_WORKLOAD_FIELDS_H
#define LMW_WORKLOAD_FIELDS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/record.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { LMW_FIELDS_MAX = 24 };
struct lmw_fields {
    int n;
    struct {
        const struct lmw_column *to;
        char from[96];
    } at[LMW_FIELDS_MAX];
};
int lmw_fields_parse(struct lmw_fields *f, const char *map, struct lmw_err *err);

/* A field by name or path; NULL where there is none. Borrowed. */
json_t *lmw_field_at(const json_t *row, const char *path);
/* The names of a row's fields, for messages: "a, b, c". */
const char *lmw_field_names(const json_t *row, char out[256]);

/* The record a row is. is_text: the row's values are strings whatever they mean (CSV), and an
 * empty one is absent. `id` is what `#` stands for. */
int lmw_fields_take(const struct lmw_fields *f, const json_t *row, bool is_text, const char *id,
                    struct lmw_record *r, struct lmw_arena *arena, struct lmw_err *err);

#endif
