/* CSV (RFC 4180) and its sister with tabs. See rows.h.
 *
 * Fields may be quoted; in quotes, separators and line ends are text and a doubled quote is one
 * quote. LF and CRLF both end a row. Beyond the RFC: blank lines are skipped, and a quote inside a
 * field that does not begin with one is itself, as spreadsheets and Python write and read it.
 * Refused: a row with more or fewer fields than the header, text behind a closing quote, a quote
 * never closed, a header that names a column twice, bytes that are no UTF-8. */
#include "workload/rows.h"

#include <stdlib.h>

#include "workload/workload.h"

struct field {
    bool is_last; /* of its row */
    bool is_quoted;
};

/* Inside quotes: up to the byte behind the closing one, which is returned. */
static int quoted(struct lmw_rows *r, struct lmw_err *err)
{
    int c;

    while ((c = lmw_rows_get(r, err)) >= 0) {
        if (c == '"' && (c = lmw_rows_get(r, err)) != '"')
            return c;
        if (!lmw_rows_put(r, c)) {
            lmw_rows_too_long(r, err);
            return LMW_ROWS_FAILED;
        }
    }
    if (c == LMW_ROWS_END)
        lmw_fail(err, LMW_EFORMAT, "a quote is opened here and never closed");
    return LMW_ROWS_FAILED;
}

/* The bytes of the next field, behind those in r->text. 1, 0 when the file ends before it, or
 * negative. */
static int read_field(struct lmw_rows *r, struct field *f, struct lmw_err *err)
{
    int c = lmw_rows_get(r, err);
    bool at_end = c == LMW_ROWS_END;

    *f = (struct field){.is_quoted = c == '"'};
    if (f->is_quoted)
        c = quoted(r, err);
    else
        for (; c >= 0 && c != r->separator && c != '\n'; c = lmw_rows_get(r, err))
            if (!lmw_rows_put(r, c))
                return lmw_rows_too_long(r, err);
    if (f->is_quoted && c == '\r') /* of CRLF; an unquoted field's is cut off by its reader */
        c = lmw_rows_get(r, err);
    f->is_last = c == '\n' || c == LMW_ROWS_END;
    if (c == LMW_ROWS_FAILED)
        return err && err->code ? err->code : LMW_EFORMAT;
    if (f->is_quoted && !f->is_last && c != r->separator)
        return lmw_fail(err, LMW_EFORMAT,
                        "text behind a closing quote; a quote inside a quoted field is written "
                        "twice");
    return !at_end;
}

static json_t *field_text(const struct lmw_rows *r, size_t from, const struct field *f)
{
    size_t n = r->text.len - from;

    if (f->is_last && !f->is_quoted && n > 0 && r->text.ptr[r->text.len - 1] == '\r')
        n--;
    const char *p = r->text.ptr ? r->text.ptr + from : "";
    return memchr(p, 0, n) ? NULL : json_stringn(p, n);
}

static void begin_row(struct lmw_rows *r)
{
    r->row_line = r->line + 1;
    r->row_at = lmw_rows_at(r);
}

/* One row as an array of strings: 1, 0 at the end, or negative. */
static int read_row(struct lmw_rows *r, json_t **fields, struct lmw_err *err)
{
    struct field f = {0};
    json_t *row = json_array();
    int rc = 1;

    for (r->text.len = 0, begin_row(r); rc > 0 && !f.is_last;) {
        size_t from = r->text.len;
        rc = read_field(r, &f, err);
        if (rc == 0 && json_array_size(row) > 0)
            rc = 1; /* "a,b," and the end of the file: an empty field */
        if (rc > 0 && json_array_append_new(row, field_text(r, from, &f)) != 0)
            rc = lmw_fail(err, LMW_EFORMAT,
                          "not valid UTF-8, or a NUL; convert the file, for example "
                          "with iconv -t UTF-8");
        bool is_blank = rc > 0 && f.is_last && json_array_size(row) == 1 && !f.is_quoted &&
                        json_string_length(json_array_get(row, 0)) == 0;
        if (is_blank) {
            json_array_clear(row);
            begin_row(r);
            f.is_last = false;
        }
    }
    if (rc > 0)
        *fields = row;
    else
        json_decref(row);
    return rc;
}

/* ---- the header ---- */

static int check_names(const json_t *names, struct lmw_err *err)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_array_get(names, i), json_array_get(names, j)))
                return lmw_fail(err, LMW_EFORMAT,
                                "the header names the column '%.64s' twice; rename one",
                                json_string_value(json_array_get(names, i)));
    return 0;
}

static json_t *split_names(const char *list)
{
    json_t *names = json_array();

    for (const char *end; list; list = *end ? end + 1 : NULL) {
        end = strchrnul(list, ',');
        json_array_append_new(names, json_stringn(list, (size_t)(end - list)));
    }
    return names;
}

static int csv_start(struct lmw_rows *r, struct lmw_err *err)
{
    int rc = 1;

    json_decref(r->names);
    r->names = NULL;
    r->has_header = !r->columns;
    if (r->columns)
        r->names = split_names(r->columns);
    else if ((rc = read_row(r, &r->names, err)) == 0)
        rc = 1, r->names = json_array(); /* an empty file has no rows */
    return rc < 0 ? rc : check_names(r->names, err);
}

static bool is_among(const char *name, const char *alternatives)
{
    size_t n = strlen(name);

    for (const char *at = alternatives; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (n > 0 && strncmp(at, name, n) == 0 && (at[n] == '|' || !at[n]))
            return true;
    return false;
}

/* The first row, where names were given: is it a header after all? */
static bool is_header(const struct lmw_rows *r, const json_t *fields)
{
    const json_t *name;
    size_t i;

    if (json_equal(fields, r->names))
        return true;
    json_array_foreach(fields, i,
                       name) if (is_among(json_string_value(name), r->header)) return true;
    return false;
}

/* The row behind what turned out to be the header, which becomes the names. */
static int skip_header(struct lmw_rows *r, json_t **fields, struct lmw_err *err)
{
    json_decref(r->names);
    r->names = *fields;
    r->has_header = true;
    int rc = check_names(r->names, err);
    return rc < 0 ? rc : read_row(r, fields, err);
}

static int csv_next(struct lmw_rows *r, json_t **value, struct lmw_err *err)
{
    json_t *fields;
    int rc = read_row(r, &fields, err);

    if (rc > 0 && r->columns && r->n == 0 && is_header(r, fields))
        rc = skip_header(r, &fields, err);
    if (rc <= 0)
        return rc;
    size_t n = json_array_size(r->names);
    if (json_array_size(fields) != n) {
        rc = lmw_fail(err, LMW_EFORMAT,
                      "%zu fields where the %s %zu; is a field that holds a "
                      "separator or a line end not quoted?",
                      json_array_size(fields), r->has_header ? "header has" : "columns named are",
                      n);
    } else if (!(*value = json_object())) {
        rc = lmw_fail(err, LMW_ENOMEM, "out of memory");
    } else {
        for (size_t i = 0; i < n; i++)
            json_object_set(*value, json_string_value(json_array_get(r->names, i)),
                            json_array_get(fields, i));
    }
    json_decref(fields);
    return rc;
}

const struct lmw_rows_ops lmw_rows_csv = {"csv", true, csv_start, csv_next};
