/* One JSON document with many rows, read row by row. See rows.h.
 *
 * Only the frame is looked at here: `[row, row, ...]`, or `{"key": [row, ...], "other": ...}`,
 * where what is no array is passed over. The bytes of each row are found by counting brackets
 * outside strings, and parsed as a line of JSON lines would be. Refused: a row that is neither an
 * object nor an array, a document that ends early, anything behind it. */
#include "workload/rows.h"

#include <ctype.h>

#include "workload/workload.h"

static int broken(struct lmw_rows *r, int c, const char *wanted, struct lmw_err *err)
{
    r->row_line = r->line + (c != '\n');
    if (c == LMW_ROWS_FAILED)
        return err && err->code ? err->code : LMW_EFORMAT;
    if (c == LMW_ROWS_END)
        return lmw_fail(err, LMW_EFORMAT,
                        "the JSON document ends too early; was it copied whole?");
    return lmw_fail(err, LMW_EFORMAT,
                    "not a JSON document of rows: expected %s; is it JSON lines? Then call it "
                    ".jsonl",
                    wanted);
}

static int get_token(struct lmw_rows *r, struct lmw_err *err)
{
    int c;

    while ((c = lmw_rows_get(r, err)) >= 0 && (c == ' ' || (c >= '\t' && c <= '\r')))
        ;
    return c;
}

/* A value that begins with c, into r->text: as far as its brackets and quotes go, or, without
 * any, as far as letters and digits go; *after is the byte behind it that is not white space. */
static int read_value(struct lmw_rows *r, int c, int *after, struct lmw_err *err)
{
    bool in_string = false;
    int depth = 0;

    r->text.len = 0;
    do {
        if (c < 0)
            return broken(r, c, "", err);
        if (!lmw_rows_put(r, c))
            return lmw_rows_too_long(r, err);
        if (c == '"')
            in_string = !in_string;
        else if (in_string && c == '\\' && !lmw_rows_put(r, c = lmw_rows_get(r, err)))
            return lmw_rows_too_long(r, err);
        else if (!in_string)
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        c = lmw_rows_get(r, err);
    } while (in_string || depth > 0 || (c >= 0 && (isalnum(c) || strchr("+-.", c))));
    *after = c >= 0 && isspace(c) ? get_token(r, err) : c;
    return 0;
}

/* Takes the reference. */
static int enter_array(struct lmw_rows *r, json_t *key, struct lmw_err *err)
{
    r->section = json_array_size(r->sections);
    if (r->section > UINT16_MAX || json_array_append_new(r->sections, key) != 0)
        return lmw_fail(err, LMW_EFORMAT, "over %d arrays; is this a data set?", UINT16_MAX);
    r->in_array = true;
    return 1;
}

/* Behind `{` or a comma of the document's object: on to the next array. 1, 0 at its end. */
static int find_array(struct lmw_rows *r, int c, struct lmw_err *err)
{
    json_t *key;
    int rc;

    for (; c == '"'; c = c == ',' ? get_token(r, err) : c) {
        if ((rc = read_value(r, c, &c, err)) < 0 ||
            (rc = lmw_rows_parse(r, (lmw_str){r->text.ptr, r->text.len}, &key, err)) < 0)
            return rc;
        if (c != ':') {
            json_decref(key);
            return broken(r, c, "':' behind a key", err);
        }
        if ((c = get_token(r, err)) == '[')
            return enter_array(r, key, err);
        json_decref(key);
        if ((rc = read_value(r, c, &c, err)) < 0)
            return rc;
    }
    return c == '}' ? 0 : broken(r, c, "a key or '}'", err);
}

/* What stands behind a row or an array: on to where a row may begin. Returns its first byte, 0 at
 * the document's end, or LMW_ROWS_FAILED with err filled. */
static int next_row(struct lmw_rows *r, struct lmw_err *err)
{
    int c = get_token(r, err), rc;

    while (r->in_array && c == ']') { /* arrays may be empty, and follow each other */
        r->in_array = false;
        if (!r->in_object)
            break;
        c = get_token(r, err);
        c = c == ',' ? get_token(r, err) : c;
        if ((rc = find_array(r, c, err)) < 0)
            return LMW_ROWS_FAILED;
        c = rc ? get_token(r, err) : 0;
    }
    if (r->in_array)
        return c;
    if ((c = get_token(r, err)) == LMW_ROWS_END)
        return 0;
    broken(r, c, "nothing behind the document", err);
    return LMW_ROWS_FAILED;
}

/* ---- pages of the rows API ---- */

/* A class is a number there, and its name stands in the page's features. */
static int note_feature(struct lmw_rows *r, const json_t *feature, struct lmw_err *err)
{
    const char *column = json_string_value(json_object_get(feature, "name"));
    json_t *names = json_object_get(json_object_get(feature, "type"), "names");

    r->is_page = true;
    if (!r->classes)
        r->classes = json_object();
    if (column && json_is_array(names) && json_object_set(r->classes, column, names) != 0)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    return 0;
}

static void name_classes(const struct lmw_rows *r, json_t *row)
{
    const char *column;
    json_t *names;

    json_object_foreach(r->classes, column, names)
    {
        const json_t *v = json_object_get(row, column);
        json_int_t i = json_is_integer(v) ? json_integer_value(v) : -1;
        json_t *name = i < 0 ? NULL : json_array_get(names, (size_t)i);
        if (name)
            json_object_set(row, column, name);
    }
}

/* Takes what the array held: 1 and the row in it, 0 when it is none, or negative. */
static int unwrap(struct lmw_rows *r, json_t **value, struct lmw_err *err)
{
    json_t *row = json_object_get(*value, "row");
    const json_t *cut = json_array_get(json_object_get(*value, "truncated_cells"), 0);
    int rc = 1;

    if (json_object_get(*value, "feature_idx")) {
        rc = note_feature(r, *value, err);
    } else if (json_is_object(row) && json_object_get(*value, "row_idx")) {
        r->is_page = true;
        name_classes(r, row);
        if (cut)
            rc = lmw_fail(err, LMW_EFORMAT,
                          "the rows API has cut '%.64s' short in this row; take the data set's "
                          "own file",
                          json_is_string(cut) ? json_string_value(cut) : "a cell");
        json_t *page = *value;
        *value = json_incref(row);
        json_decref(page);
    }
    if (rc <= 0)
        json_decref(*value);
    return rc;
}

/* ---- rows ---- */

static int next_element(struct lmw_rows *r, json_t **value, struct lmw_err *err)
{
    int after, rc, c = r->in_array ? next_row(r, err) : 0;

    if (c == 0)
        return 0;
    r->row_line = r->line + 1;
    r->row_at = lmw_rows_at(r) - 1;
    if (c != '{' && c != '[')
        return broken(r, c, "a row that is an object or an array", err);
    if ((rc = read_value(r, c, &after, err)) < 0)
        return rc;
    if (after == ']')
        r->at--; /* next_row looks at it again; it is in the block still */
    else if (after != ',')
        return broken(r, after, "',' or ']' behind a row", err);
    return lmw_rows_parse(r, (lmw_str){r->text.ptr, r->text.len}, value, err);
}

static int json_next(struct lmw_rows *r, json_t **value, struct lmw_err *err)
{
    int rc;

    while ((rc = next_element(r, value, err)) > 0)
        if ((rc = unwrap(r, value, err)) != 0)
            break;
    return rc;
}

static int json_start(struct lmw_rows *r, struct lmw_err *err)
{
    int c = get_token(r, err);

    json_decref(r->sections);
    r->sections = json_array();
    r->section = 0;
    r->in_object = c == '{';
    r->in_array = c == '[';
    if (r->in_array)
        return 0;
    if (!r->in_object)
        return broken(r, c, "'[' or '{'", err);
    int rc = find_array(r, get_token(r, err), err);
    if (rc == 0)
        return lmw_fail(err, LMW_EFORMAT,
                        "a JSON object without an array of rows in it; is it JSON lines? Then "
                        "call it .jsonl");
    return rc < 0 ? rc : 0;
}

const struct lmw_rows_ops lmw_rows_json = {"json", false, json_start, json_next};
