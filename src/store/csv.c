/* Records as CSV (RFC 4180), both ways. The first row names the columns: those of the record in
 * any order, `extra`, and others, which become fields of `extra` as texts.
 *
 * An empty cell is absent; an empty text is written "" and read so where it is quoted. `extra`
 * holds one JSON object, so that fields the record does not know keep their kinds.
 *
 * Other people's tables come through a map (map.h): any columns, also nameless ones, and quotes
 * inside unquoted cells, as spreadsheets write them.
 *
 * Refused: a file without `query_id`, a column named twice, a row with more or fewer cells than
 * the first, a quote inside an unquoted cell, text behind a closing quote. */
#include "store/map.h"

#include "base/csv.h"
#include "base/json.h"

#include <stdlib.h>

enum { MAX_COLUMN = 16384, NAME_MAX_BYTES = 1024 };

struct csv_columns {
    int n;
    struct column {
        const struct lmw_column *known; /* NULL: a field of its own, or `extra` */
        bool is_extra;
        char *name;
    } * v;
    struct member *cells; /* of a row under a map */
};

/* --- in --- */

/* The next cell; *rest begins with the comma behind it. */
static int next_cell(struct feed *s, lmw_str *rest, struct lmw_csv_cell *cell, struct lmw_err *err)
{
    int rc = lmw_csv_cell(rest, s->in.separator, cell, &s->cell, err);
    if (rc == LMW_OK && !s->map && !cell->is_quoted && memchr(cell->text.ptr, '"', cell->text.len))
        return lmw_fail(err, LMW_EFORMAT, "a quote inside a cell: put the whole cell in quotes");
    return rc;
}

static int add_column(struct csv_columns *h, lmw_str name, bool is_mapped, struct lmw_err *err)
{
    if ((name.len == 0 && !is_mapped) || name.len > NAME_MAX_BYTES || !lmw_str_is_utf8(name))
        return lmw_fail(err, LMW_EFORMAT,
                        "column %d of the first row has no name, a long one, or one that is not "
                        "UTF-8",
                        h->n + 1);
    for (int i = 0; i < h->n && name.len > 0; i++) {
        if (lmw_str_is(name, h->v[i].name))
            return lmw_fail(err, LMW_EFORMAT, "two columns are named '%.64s'", h->v[i].name);
    }
    struct column *c = &h->v[h->n];
    if (!(c->name = strndup(name.ptr, name.len)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for a column");
    c->known = lmw_column_find(name, NULL);
    c->is_extra = lmw_str_is(name, "extra");
    h->n++;
    return LMW_OK;
}

static int read_head(struct feed *s, lmw_str row, struct lmw_err *err)
{
    size_t n_max = lmw_str_count(row, s->in.separator) + 1;
    struct lmw_csv_cell cell;
    bool has_id = false, more = true;
    if (n_max > MAX_COLUMN)
        return lmw_fail(err, LMW_EFORMAT, "over %d columns", MAX_COLUMN);
    if (!(s->csv = calloc(1, sizeof *s->csv)) || !(s->csv->v = calloc(n_max, sizeof *s->csv->v)) ||
        !(s->csv->cells = calloc(n_max, sizeof *s->csv->cells)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %s", s->name);
    while (more) {
        int rc = next_cell(s, &row, &cell, err);
        if (rc == LMW_OK)
            rc = add_column(s->csv, lmw_str_trim(cell.text), s->map, err);
        if (rc < 0)
            return rc;
        has_id |= strcmp(s->csv->v[s->csv->n - 1].name, "query_id") == 0;
        more = row.len > 0;
        row = (lmw_str){row.ptr + more, row.len - more};
    }
    return has_id || s->map
               ? LMW_OK
               : lmw_fail(
                     err, LMW_EFORMAT,
                     "the first row names no column 'query_id': records of other columns come "
                     "in with --map query_id=COLUMN,score=COLUMN (docs/records.md)");
}

void lmw_csv_close(struct feed *s)
{
    for (int i = 0; s->csv && s->csv->v && i < s->csv->n; i++)
        free(s->csv->v[i].name);
    if (s->csv) {
        free(s->csv->v);
        free(s->csv->cells);
    }
    free(s->csv);
}

/* The members of an `extra` cell, into the text of the record's own. */
int lmw_csv_add_extra(struct feed *s, lmw_str cell, struct lmw_err *err)
{
    struct lmw_json j = {cell.ptr, cell.ptr + cell.len, NULL};
    struct lmw_json_value key, v;
    bool first = true;
    int rc;
    while ((rc = lmw_json_member(&j, &first, &key, &v)) > 0) {
        const char *name = lmw_json_copy(&key, s->arena);
        char *text = lmw_arena_alloc(s->arena, key.text.len + v.text.len + 8, 1, 1);
        if (!name || !text)
            return lmw_fail(err, LMW_ENOMEM, "no memory for a row");
        bool taken = lmw_column_find(lmw_str_from(name), NULL) != NULL;
        for (int i = 0; s->csv && i < s->csv->n; i++)
            taken |= strcmp(name, s->csv->v[i].name) == 0;
        if (taken)
            return lmw_fail(err, LMW_EFORMAT, "`extra` holds '%.64s', which is a column", name);
        const char *end = lmw_json_compact_member(text, s->text.len == 0, &key, &v);
        lmw_buf_put(&s->text, text, (size_t)(end - text));
    }
    if (rc < 0 || !lmw_json_at_end(&j))
        return lmw_fail(err, LMW_EFORMAT, "`extra` must be a JSON object: %s", j.fault);
    return LMW_OK;
}

static int not_utf8(const struct column *c, struct lmw_err *err)
{
    return lmw_fail(err, LMW_EFORMAT,
                    "column '%.64s' is not UTF-8: convert the file, for example with iconv -t "
                    "UTF-8",
                    c->name);
}

static int take_cell(struct feed *s, struct lmw_record *r, const struct column *c,
                     const struct lmw_csv_cell *cell, struct lmw_err *err)
{
    struct lmw_json_value v = {.kind = LMW_JSON_STRING, .text = cell->text};
    if (!lmw_str_is_utf8(cell->text))
        return not_utf8(c, err);
    if (c->known && c->known->kind == LMW_COL_TEXT && cell->is_quoted && cell->text.len == 0)
        *(const char **)((char *)r + c->known->offset) = "";
    else if (c->known)
        return lmw_map_put_own(r, c->known, &v, s->arena, err);
    else if (c->is_extra)
        return cell->text.len ? lmw_csv_add_extra(s, cell->text, err) : LMW_OK;
    else if (cell->text.len || cell->is_quoted) {
        lmw_buf_str(&s->text, s->text.len ? "," : "{");
        lmw_json_put_text(&s->text, lmw_str_from(c->name));
        lmw_buf_str(&s->text, ":");
        lmw_json_put_text(&s->text, cell->text);
    }
    return LMW_OK;
}

/* The cell as a column of a mapped row; texts that were made in `spare` are kept. */
static int keep_cell(struct feed *s, int i, const struct lmw_csv_cell *cell, struct lmw_err *err)
{
    lmw_str text = cell->text;
    if (!lmw_str_is_utf8(text))
        return not_utf8(&s->csv->v[i], err);
    if (text.ptr == s->cell.ptr && !(text.ptr = lmw_arena_str(s->arena, text)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for a row");
    s->csv->cells[i] = (struct member){
        lmw_str_from(s->csv->v[i].name),
        {.kind = text.len ? LMW_JSON_STRING : LMW_JSON_NULL, .text = text},
    };
    return LMW_OK;
}

static int read_cells(struct feed *s, struct lmw_record *r, lmw_str row, struct lmw_err *err)
{
    for (int i = 0; i < s->csv->n; i++) {
        struct lmw_csv_cell cell;
        if (i > 0 && row.len == 0)
            return lmw_fail(err, LMW_EFORMAT, "%d cells in a row, %d in the first", i, s->csv->n);
        if (i > 0)
            row = (lmw_str){row.ptr + 1, row.len - 1};
        int rc = next_cell(s, &row, &cell, err);
        if (rc == LMW_OK)
            rc = s->map ? keep_cell(s, i, &cell, err) : take_cell(s, r, &s->csv->v[i], &cell, err);
        if (rc < 0)
            return rc;
    }
    return row.len == 0 ? LMW_OK
                        : lmw_fail(err, LMW_EFORMAT, "more cells in a row than in the first (%d)",
                                   s->csv->n);
}

int lmw_csv_read(struct feed *s, lmw_str row, take_fn *take, void *arg, struct lmw_err *err)
{
    struct lmw_record r;
    if (!s->csv)
        return read_head(s, row, err);
    lmw_record_clear(&r);
    s->text.len = 0;
    int rc = read_cells(s, &r, row, err);
    if (rc == LMW_OK && s->map)
        return lmw_table_read(s, &(struct row){s->csv->cells, s->csv->n, true, true}, take, arg,
                              err);
    if (rc == LMW_OK && s->text.len) {
        lmw_buf_str(&s->text, "}");
        r.extra = lmw_arena_str(s->arena, (lmw_str){s->text.ptr, s->text.len});
        if (!r.extra || s->text.failed)
            rc = lmw_fail(err, LMW_ENOMEM, "no memory for a row");
    }
    if (rc == LMW_OK && (!r.query_id || !*r.query_id))
        rc = lmw_fail(err, LMW_EFORMAT, "field 'query_id' is missing");
    return rc < 0 ? rc : take(arg, &r, r.model, err);
}

/* --- out --- */

void lmw_csv_put_head(struct lmw_buf *out)
{
    for (const struct lmw_column *c = lmw_columns; c->name; c++)
        lmw_buf_printf(out, "%s,", c->name);
    lmw_buf_str(out, "extra\n");
}

static void put_cell(struct lmw_buf *out, lmw_str s)
{
    bool plain = s.len > 0 && s.ptr[0] != ' ' && s.ptr[s.len - 1] != ' ';
    for (size_t i = 0; i < s.len && plain; i++)
        plain = !strchr(",\"\r\n", s.ptr[i]);
    if (plain) {
        lmw_buf_put(out, s.ptr, s.len);
        return;
    }
    lmw_buf_str(out, "\"");
    for (const char *quote; (quote = memchr(s.ptr, '"', s.len));) {
        size_t n = (size_t)(quote - s.ptr) + 1;
        lmw_buf_put(out, s.ptr, n);
        lmw_buf_str(out, "\"");
        s = (lmw_str){s.ptr + n, s.len - n};
    }
    lmw_buf_put(out, s.ptr, s.len);
    lmw_buf_str(out, "\"");
}

void lmw_csv_put(struct lmw_buf *out, const struct lmw_record *r)
{
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        const char *const *text = (const void *)((const char *)r + c->offset);
        if (!lmw_record_has(r, c))
            ;
        else if (c->kind == LMW_COL_TEXT || c->kind == LMW_COL_JSON)
            put_cell(out, lmw_str_from(*text));
        else
            lmw_record_put_field(out, r, c);
        lmw_buf_str(out, ",");
    }
    if (r->extra)
        put_cell(out, lmw_str_from(r->extra));
    lmw_buf_str(out, "\n");
}
