/* The record: one answered query, as docs/records.md defines it. Store, workload, study and
 * insight all speak it, and every place that names its columns (SQL, JSONL, CSV) walks the one
 * table here.
 *
 * Absent values: LMW_NULL for integers, NaN for reals, NULL for strings. Strings belong to whoever
 * filled the record (the function that fills one says so). */
#ifndef LMW_BASE_RECORD_H
#define LMW_BASE_RECORD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define LMW_NULL INT64_MIN

struct lmw_record {
    /* what was asked, of whom */
    const char *run, *workload, *query_id;
    int64_t repeat;
    const char *domain, *model, *quantization;
    int64_t params, active_params;
    const char *backend, *machine, *date, *settings_hash;
    const char *prompt, *reference, *choices /* JSON array */, *answer;
    double score; /* 0..1 */
    const char *scorer, *score_reason;
    /* counted */
    int64_t prompt_tokens, cached_tokens, reasoning_tokens, completion_tokens;
    /* timed: monotonic within a run */
    int64_t t_start_ns, ttft_ns, latency_ns, itl_p50_ns, itl_p90_ns, itl_p99_ns;
    /* metered */
    int64_t energy_uj, energy_net_uj, energy_prefill_uj, energy_decode_uj;
    int64_t energy_lower_uj, energy_upper_uj;
    const char *energy_basis, *energy_rails /* JSON object: source -> uJ */, *energy_method;
    int64_t energy_valid; /* 0, 1 or LMW_NULL */
    const char *energy_reason;
    int64_t power_mean_mw, power_max_mw, temperature_mc, memory_bytes;
    double perplexity, logprob_mean, entropy_mean, flops, cost_usd;
    int64_t attempts;
    const char *error;
    const char *extra; /* a JSON object with the fields this table does not know, or NULL */
};

enum lmw_column_kind { LMW_COL_TEXT, LMW_COL_INT, LMW_COL_REAL, LMW_COL_BOOL, LMW_COL_JSON };
struct lmw_column {
    const char *name;
    enum lmw_column_kind kind;
    size_t offset;     /* into struct lmw_record */
    size_t name_bytes; /* without its NUL */
};
/* Every column but `extra`, in the order of docs/records.md; ends with a NULL name. */
extern const struct lmw_column lmw_columns[];
/* The column of that name or NULL. The search begins behind `last`, the column found before (NULL:
 * at the first): fields mostly come in the table's order. */
const struct lmw_column *lmw_column_find(lmw_str name, const struct lmw_column *last);

void lmw_record_clear(struct lmw_record *r); /* every field absent */
/* Whether it says why there is no answer; an error without a word is none. */
static inline bool lmw_record_failed(const struct lmw_record *r)
{
    return r->error && *r->error;
}

/* From a JSON object. Strings are copied into the arena; fields not in the table go to `extra`.
 * query_id may be a string or an integer and must be there; a field of the wrong kind is
 * LMW_EFORMAT and the message names it. energy_valid accepts true/false/0/1. null is absent. */
int lmw_record_from_json(struct lmw_record *r, const json_t *object, struct lmw_arena *arena,
                         struct lmw_err *err);
/* The same from the object's text, without a tree: for records by the million. Unknown fields keep
 * their values byte for byte, only white space between them goes. A key given twice is
 * LMW_EFORMAT; so is what base/json.h refuses. */
int lmw_record_parse(struct lmw_record *r, lmw_str text, struct lmw_arena *arena,
                     struct lmw_err *err);
/* A text as a value of a column, as CSV has it: numbers as digits, booleans as true, false, 1, 0
 * (also True, False); JSON as JSON. The empty text is absent. */
int lmw_record_set(struct lmw_record *r, const struct lmw_column *c, lmw_str text,
                   struct lmw_arena *arena, struct lmw_err *err);
/* Appends the record as one JSON object, in one line without its end: every column in the table's
 * order, absent ones null, then the fields of `extra`. */
void lmw_record_put(struct lmw_buf *out, const struct lmw_record *r);
/* Appends one column's value as JSON. */
void lmw_record_put_field(struct lmw_buf *out, const struct lmw_record *r,
                          const struct lmw_column *c);
bool lmw_record_has(const struct lmw_record *r, const struct lmw_column *c); /* not absent */

/* To a new JSON object (the caller's reference): absent fields are null, `extra` is merged back
 * in. NULL when memory runs out. */
json_t *lmw_record_to_json(const struct lmw_record *r);

#endif
