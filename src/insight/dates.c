/* Dates of models and machines: the file of them, and what records carry. Outside bytes: JSON by
 * jansson, CSV by the first and the last comma of a line, so that a name may hold commas. */
#include "insight/insight.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DATES_MAX = 4096 };

/* YYYY, YYYY-MM or YYYY-MM-DD; returns the year, or 0. What follows a day (a time) is left
 * alone. */
static int year_of(const char *date)
{
    size_t len = strlen(date);
    for (size_t i = 0; i < len && i < 10; i++) {
        bool dash = i == 4 || i == 7;
        if (dash ? date[i] != '-' : date[i] < '0' || date[i] > '9')
            return 0;
    }
    if (len != 4 && len != 7 && len < 10)
        return 0;
    if (len >= 10 && date[10] && date[10] != 'T' && date[10] != ' ')
        return 0;
    long year = strtol(date, NULL, 10); /* digits and dashes are where they should be */
    long month = len >= 7 ? strtol(date + 5, NULL, 10) : 1;
    long day = len >= 10 ? strtol(date + 8, NULL, 10) : 1;
    return year >= 1900 && month >= 1 && month <= 12 && day >= 1 && day <= 31 ? (int)year : 0;
}

static int add(struct lmw_dates *d, bool machine, lmw_str name, lmw_str date,
               struct lmw_arena *arena, const char *where, struct lmw_err *err)
{
    const char *n = lmw_arena_str(arena, name), *when = lmw_arena_str(arena, date);
    if (!n || !when)
        return lmw_fail(err, LMW_ENOMEM, "no memory for dates");
    if (d->n == DATES_MAX)
        return lmw_fail(err, LMW_EFORMAT, "%s: more than %d dates", where, (int)DATES_MAX);
    if (!*n || !year_of(when))
        return lmw_fail(
            err, LMW_EFORMAT,
            "%s: '%.60s' with the date '%.60s': a name and YYYY, YYYY-MM or YYYY-MM-DD "
            "are wanted",
            where, n, when);
    d->v[d->n++] = (struct lmw_date){machine, n, when};
    return LMW_OK;
}

static int add_object(struct lmw_dates *d, bool machine, const json_t *o, struct lmw_arena *arena,
                      struct lmw_err *err)
{
    const char *where = machine ? "machines" : "models", *name;
    json_t *v;
    if (o && !json_is_object(o))
        return lmw_fail(err, LMW_EFORMAT, "'%s' must be an object of names and dates", where);
    json_object_foreach((json_t *)o, name, v)
    {
        char year[32] = "";
        if (json_is_integer(v))
            snprintf(year, sizeof year, "%lld", (long long)json_integer_value(v));
        const char *date = json_is_string(v) ? json_string_value(v) : year;
        int rc = add(d, machine, lmw_str_from(name), lmw_str_from(date), arena, where, err);
        if (rc < 0)
            return rc;
    }
    return LMW_OK;
}

static int parse_json(struct lmw_dates *d, lmw_str text, struct lmw_arena *arena,
                      struct lmw_err *err)
{
    json_error_t at;
    json_t *o = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &at);
    int rc = o ? LMW_OK : lmw_fail(err, LMW_EFORMAT, "line %d: %s", at.line, at.text);
    if (rc == LMW_OK && !json_object_get(o, "models") && !json_object_get(o, "machines"))
        rc = lmw_fail(err, LMW_EFORMAT, "no 'models' and no 'machines' in it");
    if (rc == LMW_OK)
        rc = add_object(d, false, json_object_get(o, "models"), arena, err);
    if (rc == LMW_OK)
        rc = add_object(d, true, json_object_get(o, "machines"), arena, err);
    json_decref(o);
    return rc;
}

/* Without quotes around it. */
static lmw_str field_of(const char *from, const char *to)
{
    lmw_str s = lmw_str_trim((lmw_str){from, (size_t)(to - from)});
    if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"')
        s = (lmw_str){s.ptr + 1, s.len - 2};
    return s;
}

static int parse_line(struct lmw_dates *d, lmw_str line, int n, struct lmw_arena *arena,
                      struct lmw_err *err)
{
    char where[32];
    snprintf(where, sizeof where, "line %d", n);
    line = lmw_str_trim(line);
    if (line.len == 0 || line.ptr[0] == '#')
        return LMW_OK;
    const char *end = line.ptr + line.len, *first = memchr(line.ptr, ',', line.len);
    const char *last = end - 1;
    while (first && last > first && *last != ',')
        last--;
    if (!first || first == last || memchr(line.ptr, 0, line.len))
        return lmw_fail(err, LMW_EFORMAT, "%s: model,NAME,DATE or machine,NAME,DATE is wanted",
                        where);
    lmw_str kind = field_of(line.ptr, first), name = field_of(first + 1, last);
    bool machine = lmw_str_is(kind, "machine");
    if (n == 1 && lmw_str_is(kind, "kind"))
        return LMW_OK;
    if (!machine && !lmw_str_is(kind, "model"))
        return lmw_fail(err, LMW_EFORMAT, "%s: '%.*s' is neither model nor machine", where,
                        (int)(kind.len < 60 ? kind.len : 60), kind.ptr);
    return add(d, machine, name, field_of(last + 1, end), arena, where, err);
}

static int parse_csv(struct lmw_dates *d, lmw_str text, struct lmw_arena *arena,
                     struct lmw_err *err)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    int rc = LMW_OK;
    for (int n = 1; at < end && rc == LMW_OK; n++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *to = newline ? newline : end;
        rc = parse_line(d, (lmw_str){at, (size_t)(to - at)}, n, arena, err);
        at = to + 1;
    }
    return rc;
}

int lmw_dates_parse(struct lmw_dates *d, lmw_str text, struct lmw_arena *arena,
                    struct lmw_err *err)
{
    *d = (struct lmw_dates){LMW_NEW(arena, struct lmw_date, DATES_MAX), 0};
    lmw_str body = lmw_str_trim(text);
    if (!d->v)
        return lmw_fail(err, LMW_ENOMEM, "no memory for dates");
    return body.len && body.ptr[0] == '{' ? parse_json(d, body, arena, err)
                                          : parse_csv(d, text, arena, err);
}

/* --- of runs --- */

static const char *find(const struct lmw_dates *d, bool machine, const char *name)
{
    for (int i = 0; d && name && i < d->n; i++) {
        if (d->v[i].machine == machine && strcasecmp(d->v[i].name, name) == 0)
            return d->v[i].date;
    }
    return NULL;
}

static const char *carried(const json_t *extra, const char *key, struct lmw_arena *arena)
{
    const json_t *v = json_object_get(extra, key);
    char year[32];
    if (json_is_integer(v)) {
        snprintf(year, sizeof year, "%lld", (long long)json_integer_value(v));
        return year_of(year) ? lmw_arena_str(arena, lmw_str_from(year)) : NULL;
    }
    return json_is_string(v) && year_of(json_string_value(v))
               ? lmw_arena_str(arena, lmw_str_from(json_string_value(v)))
               : NULL;
}

static int read_carried(struct lmw_store *s, const struct lmw_frame_run *run,
                        struct lmw_run_dates *out, struct lmw_arena *arena, struct lmw_err *err)
{
    static const char *const columns[] = {"extra", NULL};
    struct lmw_records *it;
    struct lmw_record r;
    int rc = lmw_records_open_columns(&it, s, run->run.id, columns, err);
    if (rc == LMW_OK && (rc = lmw_records_next(it, &r, err)) == 1 && r.extra) {
        json_t *extra = json_loads(r.extra, 0, NULL);
        out->model = out->model ? out->model : carried(extra, "model_date", arena);
        out->machine = out->machine ? out->machine : carried(extra, "machine_date", arena);
        json_decref(extra);
    }
    lmw_records_close(it);
    return rc < 0 ? rc : LMW_OK;
}

int lmw_run_dates_of(struct lmw_store *s, const struct lmw_frame *f, const struct lmw_dates *d,
                     struct lmw_arena *arena, struct lmw_run_dates **out, struct lmw_err *err)
{
    struct lmw_run_dates *v = *out = LMW_NEW(arena, struct lmw_run_dates, (size_t)f->n_run);
    if (!v)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the dates of %d runs", f->n_run);
    for (int i = 0; i < f->n_run; i++) {
        v[i].model = find(d, false, f->run[i].model);
        v[i].machine = find(d, true, f->run[i].machine);
        int rc =
            v[i].model && v[i].machine ? LMW_OK : read_carried(s, &f->run[i], &v[i], arena, err);
        if (rc < 0)
            return rc;
        int model = v[i].model ? year_of(v[i].model) : 0;
        int machine = v[i].machine ? year_of(v[i].machine) : 0;
        v[i].year = model == 0 ? 0 : machine > model ? machine : model;
    }
    return LMW_OK;
}
