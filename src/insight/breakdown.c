/* Accuracy by the values of fields: columns of the record, or fields that only this workload
 * knows. One pass per run fills, for each field, a table of counts and right answers,
 * [value][run]. */
#include "insight/insight.h"
#include "insight/names.h"

#include "base/json.h"
#include "base/stat.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_VALUES = 1024, MAX_TEXT = 256, MAX_FIELDS = 64 };

/* The fields that are asked for, and what of a record is read for them. */
struct fields {
    const struct lmw_column *column[MAX_FIELDS]; /* NULL: in `extra` */
    const char *read[MAX_FIELDS + 6];            /* ends with NULL */
    struct lmw_buf text;                         /* a column's value as JSON */
    int n;
    /* How often the run in hand has asked a question, by field and by the value it counts
     * under. */
    struct lmw_arena room; /* all of it; runs follow each other there */
    struct names workload, question[MAX_FIELDS];
    int64_t *times[MAX_FIELDS]; /* [cap] by the question's number */
    int64_t cap;
};

static void open_fields(struct fields *f, const char *const *field, int n)
{
    int n_read = 0;
    *f = (struct fields){.n = n};
    f->read[n_read++] = "workload";
    f->read[n_read++] = "query_id";
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

/* Forgets the questions of the run before; at most `cap` records follow. arena: a copy of room. */
static int open_questions(struct fields *f, int64_t cap, struct lmw_arena *arena,
                          struct lmw_err *err)
{
    f->cap = cap;
    f->workload = (struct names){.arena = arena};
    for (int i = 0; i < f->n; i++) {
        f->question[i] = (struct names){.arena = arena};
        if (!(f->times[i] = LMW_NEW(arena, int64_t, (size_t)cap + 1)))
            return lmw_fail(err, LMW_ENOMEM, "no memory for %lld records", (long long)cap);
    }
    return LMW_OK;
}

/* How often this question was counted under that value of field i before; -1: no memory. */
static int64_t times_before(struct fields *f, int i, int row, const struct lmw_record *r)
{
    int32_t workload = lmw_names_add(&f->workload, 0, r->workload);
    int32_t q = workload < 0 || workload > INT32_MAX / MAX_VALUES - 1
                    ? -1
                    : lmw_names_add(&f->question[i], workload * MAX_VALUES + row, r->query_id);
    return q < 0 || q >= f->cap ? -1 : f->times[i][q]++;
}

/* Counts a record into column `run` of the table by field i. Until finish_cell() accuracy.value is
 * the sum of scores, and accuracy.lower that of the squares of how often each question was
 * asked. */
static int count(struct fields *f, int i, struct lmw_breakdown *b, const char *value, int run,
                 const struct lmw_record *r, struct lmw_arena *arena, struct lmw_err *err)
{
    int row = row_of(b, value, arena);
    if (row < 0)
        return lmw_fail(err, LMW_EARG, "'%s' has over %d values: group by something coarser",
                        b->field, MAX_VALUES);
    int64_t before = times_before(f, i, row, r);
    if (before < 0)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a table by '%s'", b->field);
    struct lmw_interval *cell = &b->accuracy[row * b->n_run + run];
    b->n[row * b->n_run + run]++;
    cell->value += isnan(r->score) || lmw_record_failed(r) ? 0 : r->score;
    cell->lower += 2 * (double)before + 1; /* (m + 1)^2 - m^2 */
    return LMW_OK;
}

static int count_run(struct lmw_store *s, const struct lmw_summary *summary, int run,
                     struct fields *f, struct lmw_breakdown *b, bool *any, struct lmw_arena *arena,
                     struct lmw_err *err)
{
    struct lmw_records *it;
    struct lmw_record r;
    struct lmw_arena questions = f->room;
    char value[MAX_TEXT];
    int rc = open_questions(f, summary->n_record, &questions, err);
    if (rc < 0 || (rc = lmw_records_open_columns(&it, s, summary->run.id, f->read, err)) < 0)
        return rc;
    /* What another process has added meanwhile is left out, as everywhere. */
    for (int64_t k = 0; k < summary->n_record && (rc = lmw_records_next(it, &r, err)) > 0; k++) {
        if (summary->excludes_unscored && isnan(r.score) && !lmw_record_failed(&r))
            continue;
        for (int i = 0; i < f->n && rc >= 0; i++) {
            any[i] |= value_of(f, &r, i, b[i].field, value, *arena);
            rc = count(f, i, &b[i], value, run, &r, arena, err);
        }
        if (rc < 0)
            break;
    }
    lmw_records_close(it);
    return rc;
}

/* Of a run without any score nothing is known. Questions are the trials of the interval: as many
 * as would tell as much if all were asked alike (Kish; figures.h). */
static void finish_cell(struct lmw_interval *a, int64_t n, const struct lmw_summary *row)
{
    double right = a->value, trials = (double)n * (double)n / a->lower;
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
    if ((rc = lmw_arena_open(&f.room, (size_t)64 << 30, err)) < 0)
        return rc;
    for (int i = 0; i < n_field; i++) {
        out[i] = (struct lmw_breakdown){.field = field[i], .n_run = n_row};
        out[i].value = LMW_NEW(arena, const char *, MAX_VALUES);
        out[i].n = LMW_NEW(arena, int64_t, cells);
        out[i].accuracy = LMW_NEW(arena, struct lmw_interval, cells);
        if (!out[i].value || !out[i].n || !out[i].accuracy)
            rc = lmw_fail(err, LMW_ENOMEM, "no memory for a table by '%s'", field[i]);
    }
    for (int i = 0; i < n_row && rc >= 0; i++)
        rc = count_run(s, &rows[i], i, &f, out, any, arena, err);
    lmw_buf_free(&f.text);
    lmw_arena_close(&f.room);
    for (int i = 0; i < n_field && rc >= 0; i++)
        finish(&out[i], rows, any[i]);
    return rc < 0 ? rc : LMW_OK;
}
