/* The terminal's form of the report: aligned columns (grid.c), no colour. */
#include "report/columns.h"

#include <string.h>

enum { LINE_WIDTH = 110 };

/* A table is texts by row and column; row and column count from 0. */
struct table {
    const struct lmw_report *r;
    const struct lmw_breakdown *b; /* of a breakdown */
    bool is_rails;                 /* of joules by rail; else the main table */
    int n_row, n_column;
};

static const struct lmw_report_column *main_column(const struct lmw_report *r, int column)
{
    const struct lmw_report_column *c = lmw_report_column(r, lmw_report_columns);
    while (column-- > 0)
        c = lmw_report_column(r, c + 1);
    return c;
}

/* Rows 0 and 1 of the main table are heads and units. */
static void main_cell(const struct lmw_report *r, int row, int column, struct lmw_buf *out)
{
    const struct lmw_report_column *c = main_column(r, column);
    if (row < 2)
        lmw_buf_str(out, row == 0 ? c->head : c->unit);
    else
        c->cell(&r->rows[lmw_report_row(r, row - 2)], out);
}

static void cell(const struct table *t, int row, int column, struct lmw_buf *out)
{
    out->len = 0;
    if (t->b)
        lmw_report_grid_cell(t->r, t->b, row, column, out);
    else if (t->is_rails)
        lmw_report_rail_cell(t->r, row, column, out);
    else
        main_cell(t->r, row, column, out);
    lmw_buf_str(out, ""); /* ends the text, also of an empty cell */
}

static bool is_left(const struct table *t, int column)
{
    return t->b ? column == 0 : t->is_rails ? column < 2 : main_column(t->r, column)->left;
}

static void put_table(const struct table *t, struct lmw_buf *out)
{
    struct lmw_buf text = {0};
    struct lmw_grid g = {.n_column = t->n_column};
    uint64_t left = 0;
    for (int row = 0; row < t->n_row; row++) {
        for (int k = 0; k < t->n_column; k++) {
            cell(t, row, k, &text);
            lmw_grid_cell(&g, "%s", text.ptr ? text.ptr : "");
        }
    }
    for (int k = 0; k < t->n_column && k < 64; k++)
        left |= (uint64_t)is_left(t, k) << k;
    g.text.failed |= text.failed;
    lmw_grid_put(&g, left, out);
    lmw_buf_free(&text);
    lmw_grid_free(&g);
}

/* What is the same in every row, said once; and how to read the rest. */
static void put_shared(const struct lmw_report *r, struct lmw_buf *out)
{
    const struct lmw_summary *s = &r->rows[0];
    bool alike = true, marked = false, one_model = r->n_row > 1;
    for (int i = 0; i < r->n_row; i++) {
        alike &= r->rows[i].ranked_by == s->ranked_by;
        marked |= lmw_report_marked(&r->rows[i]);
        one_model &= s->model && r->rows[i].model && strcmp(s->model, r->rows[i].model) == 0;
    }
    lmw_buf_str(out, "\n");
    if (one_model)
        lmw_buf_printf(out, "model: %s\n", s->model);
    if (!lmw_report_many_workloads(r) && s->workload)
        lmw_buf_printf(out, "workload: %s\n", s->workload);
    if (!lmw_report_many_sources(r))
        lmw_buf_printf(out, "joules from: %s\n", lmw_report_source(r));
    if (r->n_row > 1 && alike)
        lmw_buf_printf(out, "ranked by: %s\n", lmw_figures[s->ranked_by].what);
    if (marked && r->n_row > 1)
        lmw_buf_str(out, "* no other row is as accurate for fewer joules\n");
}

/* Each line becomes a paragraph with a dash in front: broken at spaces, the later lines
 * indented. */
static void put_lines(const char *at, struct lmw_buf *out)
{
    int column = 0;
    while (at && *at) {
        size_t n = strcspn(at, " \n");
        int w = lmw_grid_width(at, n);
        bool wraps = column > 0 && column + 1 + w > LINE_WIDTH;
        lmw_buf_str(out, column == 0 ? "- " : wraps ? "\n  " : " ");
        column = (column == 0 || wraps ? 2 : column + 1) + w;
        lmw_buf_put(out, at, n);
        at += n;
        if (*at == '\n') {
            lmw_buf_str(out, "\n");
            column = 0;
        }
        at += *at != 0;
    }
}

static void put_notes(const struct lmw_report *r, const char *title,
                      void (*notes)(const struct lmw_report *r, struct lmw_buf *out),
                      struct lmw_buf *out)
{
    struct lmw_buf lines = {0};
    notes(r, &lines);
    if (lines.len)
        lmw_buf_printf(out, "\n%s\n", title);
    put_lines(lines.ptr, out);
    out->failed |= lines.failed;
    lmw_buf_free(&lines);
}

void lmw_report_text(const struct lmw_report *r, struct lmw_buf *out)
{
    struct table t = {.r = r, .n_row = r->n_row + 2};
    while (main_column(r, t.n_column)->head)
        t.n_column++;
    put_table(&t, out);
    put_shared(r, out);
    put_notes(r, "What to do", lmw_report_advice, out);
    put_notes(r, "Before you quote these figures", lmw_report_caveats, out);
    if (lmw_report_rails(r)) {
        t = (struct table){r, NULL, true, lmw_report_rails(r) + 1, LMW_RAIL_COLUMNS};
        lmw_buf_str(out, "\nJoules by rail, and what would be counted with that rail alone\n");
        put_table(&t, out);
    }
    for (int i = 0; i < r->n_breakdown; i++) {
        t = (struct table){.r = r, .b = &r->breakdowns[i]};
        lmw_report_grid_size(t.b, &t.n_row, &t.n_column);
        lmw_buf_printf(out, "\n%% right by %s\n", t.b->field);
        put_table(&t, out);
    }
}
