/* The record's one table of columns, and its JSON form. See record.h and docs/records.md. */
#include "base/record.h"

#include <math.h>
#include <string.h>

#define COLUMN(f, kind)                                          \
    {                                                            \
#f, kind, offsetof(struct lmw_record, f), sizeof(#f) - 1 \
    }
#define TEXT(f) COLUMN(f, LMW_COL_TEXT)
#define INT(f)  COLUMN(f, LMW_COL_INT)
#define REAL(f) COLUMN(f, LMW_COL_REAL)
#define BOOL(f) COLUMN(f, LMW_COL_BOOL)
#define JSON(f) COLUMN(f, LMW_COL_JSON)

/* clang-format off */
const struct lmw_column lmw_columns[] = {
    TEXT(run), TEXT(workload), TEXT(query_id), INT(repeat),
    TEXT(domain), TEXT(model), TEXT(quantization), INT(params), INT(active_params),
    TEXT(backend), TEXT(machine), TEXT(date), TEXT(settings_hash),
    TEXT(prompt), TEXT(reference), JSON(choices), TEXT(answer),
    REAL(score), TEXT(scorer), TEXT(score_reason),
    INT(prompt_tokens), INT(cached_tokens), INT(reasoning_tokens), INT(completion_tokens),
    INT(t_start_ns), INT(ttft_ns), INT(latency_ns),
    INT(itl_p50_ns), INT(itl_p90_ns), INT(itl_p99_ns),
    INT(energy_uj), INT(energy_net_uj), INT(energy_prefill_uj), INT(energy_decode_uj),
    INT(energy_lower_uj), INT(energy_upper_uj),
    TEXT(energy_basis), JSON(energy_rails), TEXT(energy_method), BOOL(energy_valid), TEXT(energy_reason),
    INT(power_mean_mw), INT(power_max_mw), INT(temperature_mc), INT(memory_bytes),
    REAL(perplexity), REAL(logprob_mean), REAL(entropy_mean), REAL(flops), REAL(cost_usd), INT(attempts), TEXT(error),
    {NULL, LMW_COL_TEXT, 0, 0},
};
/* clang-format on */

static void *field(const struct lmw_record *r, const struct lmw_column *c)
{
    return (char *)r + c->offset;
}

void lmw_record_clear(struct lmw_record *r)
{
    *r = (struct lmw_record){0};
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        if (c->kind == LMW_COL_INT || c->kind == LMW_COL_BOOL)
            *(int64_t *)field(r, c) = LMW_NULL;
        else if (c->kind == LMW_COL_REAL)
            *(double *)field(r, c) = NAN;
    }
}

/* Among c and those after it. */
static const struct lmw_column *find_from(lmw_str name, const struct lmw_column *c)
{
    while (c->name && !lmw_str_eq(name, (lmw_str){c->name, c->name_bytes}))
        c++;
    return c->name ? c : NULL;
}

const struct lmw_column *lmw_column_find(lmw_str name, const struct lmw_column *last)
{
    const struct lmw_column *c = last ? find_from(name, last + 1) : NULL;
    return c ? c : find_from(name, lmw_columns);
}

static int set_text(const char **out, lmw_str s, struct lmw_arena *arena, struct lmw_err *err)
{
    *out = lmw_arena_str(arena, s);
    return *out ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for a record");
}

/* A JSON value, serialised into the arena. */
static int set_dump(const char **out, const json_t *v, struct lmw_arena *arena,
                    struct lmw_err *err)
{
    size_t n = json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    char *p = n ? lmw_arena_alloc(arena, n + 1, 1, 1) : NULL;
    if (!p)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a record");
    json_dumpb(v, p, n, JSON_COMPACT | JSON_ENCODE_ANY);
    *out = p;
    return LMW_OK;
}

static int wrong_kind(const struct lmw_column *c, const char *wanted, struct lmw_err *err)
{
    return lmw_fail(err, LMW_EFORMAT, "field '%s' must be %s or null", c->name, wanted);
}

static int set_int(int64_t *out, const struct lmw_column *c, const json_t *v, struct lmw_err *err)
{
    double real = json_is_real(v) ? json_real_value(v) : 0;
    if (json_is_integer(v))
        *out = json_integer_value(v);
    else if (json_is_real(v) && real == floor(real) && fabs(real) < 0x1p53)
        *out = (int64_t)real;
    else if (c->kind == LMW_COL_BOOL && json_is_boolean(v))
        *out = json_is_true(v);
    else
        return wrong_kind(c, c->kind == LMW_COL_BOOL ? "true, false" : "an integer", err);
    return LMW_OK;
}

static int set_field(struct lmw_record *r, const struct lmw_column *c, const json_t *v,
                     struct lmw_arena *arena, struct lmw_err *err)
{
    if (json_is_null(v))
        return LMW_OK;
    switch (c->kind) {
    case LMW_COL_INT:
    case LMW_COL_BOOL: return set_int(field(r, c), c, v, err);
    case LMW_COL_REAL:
        if (!json_is_number(v))
            return wrong_kind(c, "a number", err);
        *(double *)field(r, c) = json_number_value(v);
        return LMW_OK;
    case LMW_COL_JSON: return set_dump(field(r, c), v, arena, err);
    case LMW_COL_TEXT: break;
    }
    if (c->offset == offsetof(struct lmw_record, query_id) && json_is_integer(v))
        return set_dump(field(r, c), v, arena, err);
    if (!json_is_string(v))
        return wrong_kind(c, "a string", err);
    return set_text(field(r, c), (lmw_str){json_string_value(v), json_string_length(v)}, arena,
                    err);
}

int lmw_record_from_json(struct lmw_record *r, const json_t *object, struct lmw_arena *arena,
                         struct lmw_err *err)
{
    lmw_record_clear(r);
    if (!json_is_object(object))
        return lmw_fail(err, LMW_EFORMAT, "a record must be a JSON object");
    json_t *extra = NULL;
    const char *key;
    json_t *v;
    int rc = LMW_OK;
    json_object_foreach((json_t *)object, key, v)
    {
        const struct lmw_column *c = lmw_column_find(lmw_str_from(key), NULL);
        if (c) {
            rc = set_field(r, c, v, arena, err);
        } else {
            extra = extra ? extra : json_object();
            if (!extra || json_object_set(extra, key, v) != 0)
                rc = lmw_fail(err, LMW_ENOMEM, "no memory for a record");
        }
        if (rc < 0)
            break;
    }
    if (rc == LMW_OK && extra)
        rc = set_dump(&r->extra, extra, arena, err);
    json_decref(extra);
    if (rc == LMW_OK && (!r->query_id || !*r->query_id))
        rc = lmw_fail(err, LMW_EFORMAT, "field 'query_id' is missing");
    return rc;
}

static json_t *field_json(const struct lmw_record *r, const struct lmw_column *c)
{
    const void *p = field(r, c);
    int64_t i = c->kind == LMW_COL_INT || c->kind == LMW_COL_BOOL ? *(const int64_t *)p : 0;
    const char *s =
        c->kind == LMW_COL_TEXT || c->kind == LMW_COL_JSON ? *(const char *const *)p : NULL;
    switch (c->kind) {
    case LMW_COL_INT: return i == LMW_NULL ? json_null() : json_integer(i);
    case LMW_COL_BOOL: return i == LMW_NULL ? json_null() : json_boolean(i != 0);
    case LMW_COL_REAL: {
        double v = *(const double *)p;
        return isfinite(v) ? json_real(v) : json_null();
    }
    case LMW_COL_JSON: return s ? json_loads(s, JSON_DECODE_ANY, NULL) : json_null();
    case LMW_COL_TEXT: break;
    }
    return s ? json_string(s) : json_null();
}

json_t *lmw_record_to_json(const struct lmw_record *r)
{
    json_t *o = json_object(), *extra = NULL;
    int bad = !o;
    for (const struct lmw_column *c = lmw_columns; c->name && !bad; c++)
        bad = json_object_set_new(o, c->name, field_json(r, c)) != 0;
    if (!bad && r->extra)
        bad =
            !(extra = json_loads(r->extra, 0, NULL)) || json_object_update_missing(o, extra) != 0;
    json_decref(extra);
    if (!bad)
        return o;
    json_decref(o);
    return NULL;
}
