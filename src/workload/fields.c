/* Mapping a row's fields to a record's. See fields.h. */
#include "workload/fields.h"

#include <stdlib.h>

/* ---- the map ---- */

static const struct lmw_column *find_column(lmw_str name)
{
    for (const struct lmw_column *c = lmw_columns; c->name; c++)
        if (lmw_str_is(name, c->name))
            return c;
    return NULL;
}

static int add_pair(struct lmw_fields *f, lmw_str pair, struct lmw_err *err)
{
    const char *eq = memchr(pair.ptr, '=', pair.len);
    lmw_str to = lmw_str_trim((lmw_str){pair.ptr, eq ? (size_t)(eq - pair.ptr) : pair.len});
    lmw_str from = eq ? lmw_str_trim((lmw_str){eq + 1, pair.len - to.len - 1}) : (lmw_str){0};

    if (from.len == 0 || from.len >= sizeof f->at[0].from)
        return lmw_fail(err, LMW_EARG,
                        "'%.*s' in the column map is not FIELD=COLUMN, as in prompt=question",
                        LMW_FMT(pair));
    if (f->n == LMW_FIELDS_MAX)
        return lmw_fail(err, LMW_EARG, "the column map has over %d entries", LMW_FIELDS_MAX);
    if (!(f->at[f->n].to = find_column(to)))
        return lmw_fail(err, LMW_EARG,
                        "a record has no field '%.*s' to map to; the usual ones are query_id, "
                        "prompt, reference, choices and domain",
                        LMW_FMT(to));
    memcpy(f->at[f->n].from, from.ptr, from.len);
    f->at[f->n++].from[from.len] = 0;
    return 0;
}

int lmw_fields_parse(struct lmw_fields *f, const char *map, struct lmw_err *err)
{
    int rc = 0;

    *f = (struct lmw_fields){0};
    for (const char *end; map && rc == 0; map = *end ? end + 1 : NULL) {
        end = strchrnul(map, ',');
        rc = add_pair(f, (lmw_str){map, (size_t)(end - map)}, err);
    }
    return rc;
}

/* ---- a row ---- */

static json_t *step_into(const json_t *v, lmw_str name)
{
    char key[96], *end;

    if (name.len == 0 || name.len >= sizeof key)
        return NULL;
    memcpy(key, name.ptr, name.len);
    key[name.len] = 0;
    if (json_is_object(v))
        return json_object_get(v, key);
    size_t i = strtoul(key, &end, 10);
    return *end ? NULL : json_array_get(v, i);
}

json_t *lmw_field_at(const json_t *row, const char *path)
{
    json_t *v = json_object_get(row, path);

    if (v)
        return v;
    v = (json_t *)row;
    for (const char *end; v && path; path = *end ? end + 1 : NULL) {
        end = strchrnul(path, '.');
        v = step_into(v, (lmw_str){path, (size_t)(end - path)});
    }
    return v;
}

const char *lmw_field_names(const json_t *row, char out[256])
{
    const char *key;
    json_t *v;

    out[0] = 0;
    json_object_foreach((json_t *)row, key, v)
    {
        size_t n = strlen(out);
        snprintf(out + n, 256 - n, "%s%.40s", n ? ", " : "", key);
    }
    return out;
}

/* A value as the column wants it (a new reference): text that stands for a number or JSON is
 * read, a number where text belongs is written. What does not fit stays, and is refused later. */
static json_t *fit(json_t *v, const struct lmw_column *c, bool is_text)
{
    json_t *read = NULL;

    if (json_is_string(v) && is_text && json_string_length(v) == 0)
        return json_null();
    if (json_is_string(v) && is_text && c->kind != LMW_COL_TEXT)
        read = json_loads(json_string_value(v), JSON_DECODE_ANY, NULL);
    if (c->kind == LMW_COL_TEXT && !json_is_string(v) && !json_is_null(v)) {
        char *written = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        read = written ? json_string(written) : NULL;
        free(written);
    }
    return read ? read : json_incref(v);
}

static void fit_all(json_t *o)
{
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        json_t *v = json_object_get(o, c->name);
        if (v)
            json_object_set_new(o, c->name, fit(v, c, true));
    }
}

static void move(const struct lmw_fields *f, const json_t *row, bool is_text, const char *id,
                 json_t *o)
{
    for (int i = 0; i < f->n; i++) { /* first all go, then all come: a=b,b=a is possible */
        lmw_str root = {f->at[i].from, strcspn(f->at[i].from, ".")};
        const struct lmw_column *c = find_column(root);
        json_object_del(o, f->at[i].from);
        if (c)
            json_object_del(o, c->name);
    }
    for (int i = 0; i < f->n; i++) {
        json_t *v = lmw_field_at(row, f->at[i].from);
        if (strcmp(f->at[i].from, "#") == 0)
            json_object_set_new(o, f->at[i].to->name, json_string(id));
        else if (v)
            json_object_set_new(o, f->at[i].to->name, fit(v, f->at[i].to, is_text));
        if (v && strcmp(f->at[i].to->name, "domain") == 0)
            json_object_set_new(o, "domain_by", json_sprintf("column %s", f->at[i].from));
    }
}

static int no_such(const struct lmw_fields *f, const json_t *row, struct lmw_err *err)
{
    char have[256];

    for (int i = 0; i < f->n; i++) {
        if (strcmp(f->at[i].from, "#") == 0 || lmw_field_at(row, f->at[i].from))
            continue;
        return lmw_fail(err, LMW_EFORMAT, "no field '%s' to make %s of; there are: %s",
                        f->at[i].from, f->at[i].to->name, lmw_field_names(row, have));
    }
    return lmw_fail(err, LMW_EFORMAT,
                    "neither 'query_id' nor 'prompt'; is this a workload? Name "
                    "its columns with --map prompt=COLUMN,query_id=#");
}

int lmw_fields_take(const struct lmw_fields *f, const json_t *row, bool is_text, const char *id,
                    struct lmw_record *r, struct lmw_arena *arena, struct lmw_err *err)
{
    bool is_plain = f->n == 0 && !is_text && json_is_object(row);
    json_t *o = is_plain              ? json_incref((json_t *)row)
                : json_is_object(row) ? json_copy((json_t *)row)
                                      : json_object();
    int rc;

    if (!o)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    if (is_text)
        fit_all(o);
    move(f, row, is_text, id, o);
    if (!json_object_get(o, "prompt") && (f->n > 0 || !json_object_get(o, "query_id")))
        rc = no_such(f, row, err);
    else
        rc = lmw_record_from_json(r, o, arena, err);
    json_decref(o);
    return rc;
}
