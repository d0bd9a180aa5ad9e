/* Accuracy by the values of fields: columns of the record, or fields that only this workload knows.
 * One pass per run fills, for each field, a table of counts and right answers, [value][run]. */
#include "insight/insight.h"

#include "base/json.h"
#include "base/stat.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_VALUES = 1024, MAX_TEXT = 256, MAX_FIELDS = 64 };

/* The fields that are asked for, and what of a record is read for them. */
struct fields {
    const struct lmw_column *column[MAX_FIELDS]; /* NULL: in `extra` */
    const char *read[MAX_FIELDS + 4];            /* ends with NULL */
    struct lmw_buf text;                         /* a column's value as JSON */
    int n;
};

static void open_fields(struct fields *f, const char *const *field, int n)
{
    int n_read = 0;
    *f = (struct fields){.n = n};
    f->read[n_read++] = "score";
    f->read[n_read++] = "error";
    f->read[n_read++] = "extra";
    for (int i = 0; i < n; i++) {
        if ((f->column[i] = lmw_column_find(lmw_str_from(field[i]), NULL)))
            f->read[n_read++] = field[i];
    }
}

/* Most records of most workloads have no such field: their `extra` is not parsed to learn that. */
static bool find_value(struct fields *f, const struct lmw_record *r, int i, const char *name,
                       struct lmw_json_value *out)
{
    struct lmw_json j;
    struct lmw_json_value extra;
    if (f->column[i]) {
        f->text.len = 0;
        lmw_record_put_field(&f->text, r, f->column[i]);
        j = (struct lmw_json){f->text.ptr, f->text.ptr + f->text.len, NULL};
        return !f->text.failed && lmw_json_value(&j, out);
    }
    if (!r->extra || !strstr(r->extra, name))
        return false;
    j = (struct lmw_json){r->extra, r->extra + strlen(r->extra), NULL};
    return lmw_json_value(&j, &extra) && lmw_json_get(&extra, lmw_str_from(name), out);
}

/* The field's value as text in buf; false when the record has no such field. */
static bool value_of(struct fields *f, const struct lmw_record *r, int i, const char *name,
                     char *buf, struct lmw_arena scratch)
{
    struct lmw_json_value v;
    bool there = find_value(f, r, i, name, &v) && v.kind != LMW_JSON_NULL;
    const char *text = there ? lmw_json_copy(&v, &scratch) : NULL;
    snprintf(buf, MAX_TEXT, "%s", text ? text : "(none)");
    lmw_utf8_mend(buf); /* it may be cut inside a character */
    return there;
}

/* Row of a value, made when new; -1 when there are too many. */
static int row_of(struct lmw_breakdown *b, const char *value, struct lmw_arena *arena)
{
    for (int i = 0; i < b->n_value; i++) {
        if (strcmp(b->value[i], value) == 0)
            return i;
    }
    if (b->n_value == MAX_VALUES ||
        !(b->value[b->n_value] = lmw_arena_str(arena, lmw_str_from(value))))
        return -1;
    return b->n_value++;
}

/* Counts a record into column `run`; accuracy.value is the sum of scores until finish_cell(). */
static int count(struct lmw_breakdown *b, const char *value, int run, double score,
                 struct lmw_arena *arena, struct lmw_err *err)
{
    int row = row_of(b, value, arena);
    if (row < 0)
        return lmw_fail(err, LMW_EARG, "'%s' has over %d values: group by something coarser",
                        b->field, MAX_VALUES);
    b->n[row * b->n_run + run]++;
    b->accuracy[row * b->n_run + run].value += isnan(score) ? 0 : score;
    return LMW_OK;
}

static int count_run(struct lmw_store *s, const struct lmw_summary *summary, int run,
                     struct fields *f, struct lmw_breakdown *b, bool *any, struct lmw_arena *arena,
                     struct lmw_err *err)
{
    struct lmw_records *it;
    struct lmw_record r;
    char value[MAX_TEXT];
    int rc = lmw_records_open_columns(&it, s, summary->run.id, f->read, err);
    if (rc < 0)
        return rc;
    while ((rc = lmw_records_next(it, &r, err)) > 0) {
        if (summary->excludes_unscored && isnan(r.score) && !lmw_record_failed(&r))
            continue;
        for (int i = 0; i < f->n && rc >= 0; i++) {
            any[i] |= value_of(f, &r, i, b[i].field, value, *arena);
            rc = count(&b[i], value, run, lmw_record_failed(&r) ? 0 : r.score, arena, err);
        }
        if (rc < 0)
            break;
    }
    lmw_records_close(it);
    return rc;
}

/* Of a run without any score nothing is known. Questions are the trials of the interval: as many
 * as the run asks, on average, in so many records. */
static void finish_cell(struct lmw_interval *a, int64_t n, const struct lmw_summary *row)
{
    double right = a->value, trials = (double)n * (double)row->n_question / (double)row->n_record;
    *a = (struct lmw_interval){(double)NAN, (double)NAN, (double)NAN, 0};
    if (isnan(row->accuracy.value) || n == 0)
        return;
    a->value = right / (double)n;
    a->n = n;
    if (trials > 1)
        lmw_wilson(a->value * trials, trials, 1.96, &a->lower, &a->upper);
}

static void finish(struct lmw_breakdown *b, const struct lmw_summary *rows, bool any)
{
    b->n_value = any ? b->n_value : 0;
    for (int i = 0; i < b->n_value * b->n_run; i++)
        finish_cell(&b->accuracy[i], b->n[i], &rows[i % b->n_run]);
}

int lmw_insight_breakdowns(struct lmw_store *s, const struct lmw_summary *rows, int n_row,
                           const char *const *field, int n_field, struct lmw_arena *arena,
                           struct lmw_breakdown *out, struct lmw_err *err)
{
    size_t cells = (size_t)MAX_VALUES * (size_t)n_row;
    bool any[MAX_FIELDS] = {false};
    struct fields f;
    int rc = LMW_OK;
    if (n_field > MAX_FIELDS)
        return lmw_fail(err, LMW_EARG, "tables by %d fields: at most %d", n_field, MAX_FIELDS);
    open_fields(&f, field, n_field);
    for (int i = 0; i < n_field; i++) {
        out[i] = (struct lmw_breakdown){.field = field[i], .n_run = n_row};
        out[i].value = LMW_NEW(arena, const char *, MAX_VALUES);
        out[i].n = LMW_NEW(arena, int64_t, cells);
        out[i].accuracy = LMW_NEW(arena, struct lmw_interval, cells);
        if (!out[i].value || !out[i].n || !out[i].accuracy)
            return lmw_fail(err, LMW_ENOMEM, "no memory for a table by '%s'", field[i]);
    }
    for (int i = 0; i < n_row && rc >= 0; i++)
        rc = count_run(s, &rows[i], i, &f, out, any, arena, err);
    lmw_buf_free(&f.text);
    for (int i = 0; i < n_field && rc >= 0; i++)
        finish(&out[i], rows, any[i]);
    return rc < 0 ? rc : LMW_OK;
}
