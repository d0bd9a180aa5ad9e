/* CSV and its sister with tabs, as base/csv.h reads them. See rows.h.
 *
 * LF and CRLF both end a row; blank lines are skipped. Refused besides what base/csv.h refuses: a
 * row with more or fewer cells than the header, a header that names a column twice, bytes that are
 * no UTF-8, and NUL. */
#include "workload/rows.h"

#include <stdlib.h>

#include "base/csv.h"
#include "workload/workload.h"

static void begin_row(struct lmw_rows *r)
{
    r->row_line = r->line + 1;
    r->row_at = lmw_rows_at(r);
}

/* The bytes of the next row, without its end, into r->text: 1, 0 at the end, or negative. */
static int read_bytes(struct lmw_rows *r, lmw_str *out, struct lmw_err *err)
{
    struct lmw_csv_row row = {0};
    size_t end = 0;
    int rc = 1;

    for (r->text.len = 0, begin_row(r); end == 0;) {
        if (r->at == r->len && (rc = lmw_rows_more(r, err)) <= 0)
            break;
        lmw_str bytes = {r->block + r->at, r->len - r->at};
        end = lmw_csv_row_end(&row, bytes, r->separator);
        bytes.len = end ? end : bytes.len;
        lmw_buf_put(&r->text, bytes.ptr, bytes.len);
        r->at += bytes.len;
        r->line += (int64_t)lmw_str_count(bytes, '\n');
        if (r->text.failed || r->text.len > LMW_WORKLOAD_LINE_MAX)
            return lmw_rows_too_long(r, err);
    }
    if (rc < 0 || r->text.len == 0)
        return rc < 0 ? rc : 0;
    *out = (lmw_str){r->text.ptr, r->text.len - (end > 0)};
    out->len -= out->len > 0 && out->ptr[out->len - 1] == '\r';
    return 1;
}

static int add_cell(json_t *row, lmw_str text, struct lmw_err *err)
{
    bool has_nul = text.len > 0 && memchr(text.ptr, 0, text.len);
    json_t *cell = has_nul ? NULL : json_stringn(text.len ? text.ptr : "", text.len);

    if (json_array_append_new(row, cell) == 0)
        return 0;
    return lmw_fail(err, LMW_EFORMAT,
                    "not valid UTF-8, or a NUL; convert the file, for example with iconv -t "
                    "UTF-8");
}

/* One row as an array of strings: 1, 0 at the end, or negative. */
static int read_row(struct lmw_rows *r, json_t **cells, struct lmw_err *err)
{
    struct lmw_csv_cell cell;
    lmw_str rest = {0};
    int rc;

    while ((rc = read_bytes(r, &rest, err)) > 0 && rest.len == 0)
        ; /* blank */
    if (rc <= 0)
        return rc;
    json_t *row = json_array();
    for (bool more = true; more; rest = (lmw_str){rest.ptr + more, rest.len - more}) {
        if ((rc = lmw_csv_cell(&rest, r->separator, &cell, &r->cell, err)) < 0 ||
            (rc = add_cell(row, cell.text, err)) < 0) {
            json_decref(row);
            return rc;
        }
        more = rest.len > 0;
    }
    *cells = row;
    return 1;
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
    if (json_equal(fields, r->names))
        return true;
    for (size_t i = 0; i < json_array_size(fields); i++)
        if (is_among(json_string_value(json_array_get(fields, i)), r->header))
            return true;
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
