/* The terminal's form of the report: aligned columns, no colour, at most as wide as its content. */
#include "report/columns.h"

#include <math.h>

enum { MAX_COLUMNS = 24 };

/* Characters on screen: UTF-8 continuation bytes take no room. */
static int width_of(const char *s)
{
    int n = 0;
    for (; s && *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

static void pad(struct lmw_buf *out, const char *text, int width, bool left)
{
    int space = width - width_of(text);
    lmw_buf_printf(out, "%*s%s%*s", left ? 0 : space, "", text ? text : "", left ? space : 0, "");
}

static void cell_text(struct lmw_buf *b, const struct lmw_report_column *c,
                      const struct lmw_summary *s)
{
    b->len = 0;
    c->cell(s, b);
}

/* A line of the table; row -1 is the heads, -2 the units. */
static void line(const struct lmw_report *r, int row, const int *width, struct lmw_buf *out)
{
    struct lmw_buf b = {0};
    for (int i = 0; lmw_report_columns[i].head; i++) {
        const struct lmw_report_column *c = &lmw_report_columns[i];
        if (row >= 0)
            cell_text(&b, c, &r->rows[row]);
        if (i)
            lmw_buf_str(out, "  ");
        pad(out, row == -1 ? c->head : row == -2 ? c->unit : b.ptr, width[i], c->left);
    }
    while (out->len && out->ptr[out->len - 1] == ' ')
        out->len--;
    lmw_buf_str(out, "\n");
    lmw_buf_free(&b);
}

static void measure(const struct lmw_report *r, int *width)
{
    struct lmw_buf b = {0};
    for (int i = 0; lmw_report_columns[i].head; i++) {
        const struct lmw_report_column *c = &lmw_report_columns[i];
        width[i] = width_of(c->head) > width_of(c->unit) ? width_of(c->head) : width_of(c->unit);
        for (int row = 0; row < r->n_row; row++) {
            cell_text(&b, c, &r->rows[row]);
            if (width_of(b.ptr) > width[i])
                width[i] = width_of(b.ptr);
        }
    }
    lmw_buf_free(&b);
}

static void breakdown(const struct lmw_report *r, const struct lmw_breakdown *b,
                      struct lmw_buf *out)
{
    lmw_buf_printf(out, "\n%% right by %s\n%-18s %8s", b->field, "", "queries");
    for (int k = 0; k < b->n_run; k++)
        lmw_buf_printf(out, "  %8s", lmw_report_label(&r->rows[k]));
    lmw_buf_str(out, "\n");
    for (int i = 0; i < b->n_value; i++) {
        lmw_buf_printf(out, "%-18s %8lld", b->value[i], (long long)b->n[i * b->n_run]);
        for (int k = 0; k < b->n_run; k++)
            lmw_buf_printf(out, "  %8.1f", 100 * b->accuracy[i * b->n_run + k].value);
        lmw_buf_str(out, "\n");
    }
}

void lmw_report_text(const struct lmw_report *r, struct lmw_buf *out)
{
    int width[MAX_COLUMNS] = {0};
    measure(r, width);
    for (int row = -2; row < r->n_row; row++)
        line(r, row == -2 ? -1 : row == -1 ? -2 : row, width, out);
    lmw_buf_str(out, "\n* no other row is as accurate for fewer joules\n");
    lmw_report_caveats(r, out);
    for (int i = 0; i < r->n_breakdown; i++)
        breakdown(r, &r->breakdowns[i], out);
}
