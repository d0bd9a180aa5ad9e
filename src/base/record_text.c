/* The record as text, both ways, without a tree. See record.h.
 *
 * What record.c does with jansson's objects is done here over slices of a line; the rules are the
 * same and a test holds the two against each other. Refused, naming the field: a value of the
 * wrong kind, an integer beyond 64 bits, a real beyond a double, a key given twice, over
 * MAX_UNKNOWN fields the table does not know. */
#include "base/record.h"

#include "base/json.h"

#include <math.h>

enum { MAX_UNKNOWN = 1000 };

static void *field(const struct lmw_record *r, const struct lmw_column *c)
{
    return (char *)r + c->offset;
}

static int no_memory(struct lmw_err *err)
{
    return lmw_fail(err, LMW_ENOMEM, "no memory for a record");
}

/* --- in --- */

static int wrong(const struct lmw_column *c, lmw_str text, struct lmw_err *err)
{
    static const char *const wanted[] = {
        [LMW_COL_TEXT] = "a string", [LMW_COL_INT] = "an integer of 64 bits",
        [LMW_COL_REAL] = "a number", [LMW_COL_BOOL] = "true or false",
        [LMW_COL_JSON] = "JSON",
    };
    int n = text.len < 40 ? (int)text.len : 40;
    return lmw_fail(err, LMW_EFORMAT, "field '%s' must be %s or null, not %.*s", c->name,
                    wanted[c->kind], n, text.ptr);
}

static bool to_int(const struct lmw_json_value *v, int64_t *out)
{
    double real;
    if (v->kind == LMW_JSON_INTEGER)
        return lmw_json_int(v, out) && *out != LMW_NULL;
    /* 12.0 is what tables with holes make of 12 */
    if (v->kind != LMW_JSON_REAL || !lmw_json_real(v, &real) || real != floor(real) ||
        fabs(real) >= 0x1p53)
        return false;
    *out = (int64_t)real;
    return true;
}

static bool to_bool(const struct lmw_json_value *v, int64_t *out)
{
    if (v->kind == LMW_JSON_TRUE || v->kind == LMW_JSON_FALSE)
        *out = v->kind == LMW_JSON_TRUE;
    else if (v->kind != LMW_JSON_INTEGER || !lmw_json_int(v, out) || (*out & ~1))
        return false;
    return true;
}

static int set_json(const char **out, const struct lmw_json_value *v, struct lmw_arena *arena,
                    struct lmw_err *err)
{
    char *copy = lmw_arena_alloc(arena, v->text.len + 3, 1, 1);
    if (copy)
        lmw_json_compact(copy, v);
    *out = copy;
    return copy ? LMW_OK : no_memory(err);
}

static int set_value(struct lmw_record *r, const struct lmw_column *c,
                     const struct lmw_json_value *v, struct lmw_arena *arena, struct lmw_err *err)
{
    void *p = field(r, c);
    bool ok = false;
    if (v->kind == LMW_JSON_NULL)
        return LMW_OK;
    switch (c->kind) {
    case LMW_COL_INT: ok = to_int(v, p); break;
    case LMW_COL_BOOL: ok = to_bool(v, p); break;
    case LMW_COL_REAL:
        ok = (v->kind == LMW_JSON_INTEGER || v->kind == LMW_JSON_REAL) && lmw_json_real(v, p);
        break;
    case LMW_COL_JSON: return set_json(p, v, arena, err);
    case LMW_COL_TEXT:
        ok = v->kind == LMW_JSON_STRING ||
             (v->kind == LMW_JSON_INTEGER && c->offset == offsetof(struct lmw_record, query_id));
        if (ok && !(*(const char **)p = lmw_json_copy(v, arena)))
            return no_memory(err);
    }
    return ok ? LMW_OK : wrong(c, v->text, err);
}

/* The fields the table does not know, as the text of one object. */
struct unknown {
    char *text, *at; /* in the arena; NULL until there is one */
    lmw_str keys[MAX_UNKNOWN];
    int n;
};

static int twice(lmw_str key, struct lmw_err *err)
{
    int n = key.len < 64 ? (int)key.len : 64;
    return lmw_fail(err, LMW_EFORMAT, "field '%.*s' is given twice: keep one of them", n, key.ptr);
}

static int add_unknown(struct unknown *u, lmw_str line, const struct lmw_json_value *key,
                       const struct lmw_json_value *v, struct lmw_arena *arena,
                       struct lmw_err *err)
{
    for (int i = 0; i < u->n; i++) {
        if (lmw_str_eq(u->keys[i], key->text))
            return twice(key->text, err);
    }
    if (u->n == MAX_UNKNOWN)
        return lmw_fail(err, LMW_EFORMAT, "over %d fields that no record has", MAX_UNKNOWN);
    if (!u->text) {
        u->text = u->at = lmw_arena_alloc(arena, line.len + 3, 1, 1);
        if (!u->text)
            return no_memory(err);
    }
    u->keys[u->n++] = key->text;
    u->at = lmw_json_compact_member(u->at, u->n == 1, key, v);
    return LMW_OK;
}

static int broken(const struct lmw_json *j, lmw_str text, struct lmw_err *err)
{
    return lmw_fail(err, LMW_EFORMAT, "not JSON: %s (byte %zu)", j->fault,
                    (size_t)(j->at - text.ptr) + 1);
}

static int take_member(struct lmw_record *r, const struct lmw_json_value *key,
                       const struct lmw_json_value *v, const struct lmw_column **last,
                       uint64_t *seen, struct lmw_arena *arena, struct lmw_err *err)
{
    lmw_str name = key->text;
    if (key->is_escaped) {
        name.ptr = lmw_json_copy(key, arena);
        if (!name.ptr)
            return no_memory(err);
        name.len = strlen(name.ptr);
    }
    const struct lmw_column *c = lmw_column_find(name, *last);
    if (!c)
        return 0;
    uint64_t bit = 1ull << (c - lmw_columns);
    if (*seen & bit)
        return twice(name, err);
    *seen |= bit;
    *last = c;
    int rc = set_value(r, c, v, arena, err);
    return rc < 0 ? rc : 1;
}

int lmw_record_parse(struct lmw_record *r, lmw_str text, struct lmw_arena *arena,
                     struct lmw_err *err)
{
    struct lmw_json j = {text.ptr, text.ptr + text.len, NULL};
    struct lmw_json_value key, v;
    struct unknown u;
    const struct lmw_column *last = NULL;
    uint64_t seen = 0; /* bit i: column i */
    bool first = true;
    int rc;
    u.n = 0;
    u.text = u.at = NULL;
    lmw_record_clear(r);
    while ((rc = lmw_json_member(&j, &first, &key, &v)) > 0) {
        if ((rc = take_member(r, &key, &v, &last, &seen, arena, err)) == 0)
            rc = add_unknown(&u, text, &key, &v, arena, err);
        if (rc < 0)
            return rc;
    }
    if (rc < 0 || !lmw_json_at_end(&j))
        return broken(&j, text, err);
    if (u.text)
        *u.at = '}';
    r->extra = u.text;
    return r->query_id && *r->query_id
               ? LMW_OK
               : lmw_fail(err, LMW_EFORMAT,
                          "field 'query_id' is missing (--map names another "
                          "column for it)");
}

/* --- a cell of a table --- */

int lmw_record_set(struct lmw_record *r, const struct lmw_column *c, lmw_str text,
                   struct lmw_arena *arena, struct lmw_err *err)
{
    struct lmw_json j = {text.ptr, text.ptr + text.len, NULL};
    struct lmw_json_value v = {.kind = LMW_JSON_STRING, .text = text};
    if (text.len == 0)
        return LMW_OK;
    if (c->kind == LMW_COL_BOOL && (lmw_str_is(text, "True") || lmw_str_is(text, "False")))
        v.kind = text.ptr[0] == 'T' ? LMW_JSON_TRUE : LMW_JSON_FALSE;
    else if (c->kind != LMW_COL_TEXT && (!lmw_json_value(&j, &v) || !lmw_json_at_end(&j)))
        return wrong(c, text, err);
    return set_value(r, c, &v, arena, err);
}

/* --- out --- */

bool lmw_record_has(const struct lmw_record *r, const struct lmw_column *c)
{
    const void *p = field(r, c);
    switch (c->kind) {
    case LMW_COL_TEXT:
    case LMW_COL_JSON: return *(const char *const *)p != NULL;
    case LMW_COL_REAL: return isfinite(*(const double *)p);
    default: return *(const int64_t *)p != LMW_NULL;
    }
}

void lmw_record_put_field(struct lmw_buf *out, const struct lmw_record *r,
                          const struct lmw_column *c)
{
    const void *p = field(r, c);
    if (!lmw_record_has(r, c)) {
        lmw_buf_put(out, "null", 4);
        return;
    }
    switch (c->kind) {
    case LMW_COL_TEXT: lmw_json_put_text(out, lmw_str_from(*(const char *const *)p)); break;
    case LMW_COL_JSON: lmw_buf_str(out, *(const char *const *)p); break;
    case LMW_COL_REAL: lmw_json_put_real(out, *(const double *)p); break;
    case LMW_COL_INT: lmw_json_put_int(out, *(const int64_t *)p); break;
    case LMW_COL_BOOL: lmw_buf_str(out, *(const int64_t *)p ? "true" : "false"); break;
    }
}

void lmw_record_put(struct lmw_buf *out, const struct lmw_record *r)
{
    lmw_str extra = lmw_str_from(r->extra);
    char before = '{';
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        lmw_buf_put(out, (char[]){before, '"'}, 2);
        lmw_buf_str(out, c->name);
        lmw_buf_put(out, "\":", 2);
        lmw_record_put_field(out, r, c);
        before = ',';
    }
    if (extra.len > 2) { /* more than {} */
        lmw_buf_put(out, ",", 1);
        lmw_buf_put(out, extra.ptr + 1, extra.len - 2);
    }
    lmw_buf_put(out, "}", 1);
}
