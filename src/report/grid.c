/* Texts in aligned columns, at most as wide as their content. Owns the cells, one after the other
 * in one buffer, row by row. */
#include "report/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WIDTH = 40, CELL_MAX = 512, WIDE = 140 };

static bool is_continuation(char c)
{
    return (c & 0xc0) == 0x80;
}

int lmw_grid_width(const char *s, size_t len)
{
    int n = 0;
    for (size_t i = 0; i < len; i++)
        n += !is_continuation(s[i]);
    return n;
}

/* Bytes of its first n characters. */
static int bytes_of(const char *s, int n)
{
    int i = 0;
    while (s[i] && (is_continuation(s[i]) || n-- > 0))
        i++;
    return i;
}

void lmw_grid_cell(struct lmw_grid *g, const char *fmt, ...)
{
    char cell[CELL_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cell, sizeof cell, fmt, ap);
    va_end(ap);
    lmw_text_tame(cell, false); /* a line stays a line, whatever models are called */
    lmw_buf_put(&g->text, cell, strlen(cell) + 1);
    g->n_cell++;
}

void lmw_grid_number(struct lmw_grid *g, const char *prefix, double v)
{
    struct lmw_buf b = {0};
    lmw_report_number(&b, prefix, v);
    lmw_grid_cell(g, "%s", b.ptr ? b.ptr : "");
    g->text.failed |= b.failed;
    lmw_buf_free(&b);
}

/* "2.1 [0.3, 3.9]"; without the brackets where there is no interval, "-" where nothing is
 * known. */
void lmw_grid_interval(struct lmw_grid *g, const char *prefix, struct lmw_interval v, double scale)
{
    struct lmw_buf b = {0};
    lmw_report_number(&b, prefix, v.value * scale);
    if (isfinite(v.value) && isfinite(v.lower) && isfinite(v.upper)) {
        lmw_buf_str(&b, " [");
        lmw_report_number(&b, "", v.lower * scale);
        lmw_buf_str(&b, ", ");
        lmw_report_number(&b, "", v.upper * scale);
        lmw_buf_str(&b, "]");
    }
    lmw_grid_cell(g, "%s", b.ptr ? b.ptr : "");
    g->text.failed |= b.failed;
    lmw_buf_free(&b);
}

/* A text wider than MAX_WIDTH is cut, and ends in an ellipsis. */
static void pad(struct lmw_buf *out, const char *text, int width, bool left)
{
    int w = lmw_grid_width(text, strlen(text));
    bool is_cut = w > MAX_WIDTH;
    int space = width - (is_cut ? MAX_WIDTH : w);
    lmw_buf_printf(out, "%*s%.*s%s%*s", left ? 0 : space, "",
                   bytes_of(text, is_cut ? MAX_WIDTH - 1 : w), text, is_cut ? "…" : "",
                   left ? space : 0, "");
}

static void put_cell(const struct lmw_grid *g, int i, const char *text, const int *width,
                     uint64_t left, struct lmw_buf *out)
{
    int k = i % g->n_column;
    lmw_buf_str(out, k ? "  " : "");
    pad(out, text, width[k], k < 64 && left >> k & 1);
    if (k + 1 < g->n_column)
        return;
    while (out->len && out->ptr[out->len - 1] == ' ')
        out->len--;
    lmw_buf_str(out, "\n");
}

/* Widths of the columns from the cells of rows `from` on; returns their sum with the spaces. */
static int measure(const struct lmw_grid *g, int from, int *width)
{
    const char *at = g->text.ptr;
    int sum = 2 * (g->n_column - 1);
    memset(width, 0, (size_t)g->n_column * sizeof *width);
    for (int i = 0; i < g->n_cell; i++, at += strlen(at) + 1) {
        int w = lmw_grid_width(at, strlen(at)), *column = &width[i % g->n_column];
        w = w < MAX_WIDTH ? w : MAX_WIDTH;
        if (i / g->n_column >= from)
            *column = w > *column ? w : *column;
    }
    for (int k = 0; k < g->n_column; k++)
        sum += width[k];
    return sum;
}

/* In a table too wide for a screen, heads that are wider than what is below them become [1], [2],
 * ..., and stand in full below the table. */
static void shorten_heads(const struct lmw_grid *g, struct lmw_grid *narrow,
                          struct lmw_buf *legend, int *width)
{
    const char *at = g->text.ptr;
    bool too_wide = measure(g, 0, width) > WIDE;
    int n = 0;
    measure(g, too_wide ? 1 : 0, width);
    narrow->n_column = g->n_column;
    for (int i = 0; i < g->n_cell; i++, at += strlen(at) + 1) {
        bool cut = too_wide && i < g->n_column && lmw_grid_width(at, strlen(at)) > width[i] + 6;
        if (cut)
            lmw_buf_printf(legend, "[%d] %s\n", n + 1, at);
        if (cut)
            lmw_grid_cell(narrow, "[%d]", ++n);
        else
            lmw_grid_cell(narrow, "%s", at);
    }
    measure(narrow, 0, width);
}

void lmw_grid_put(const struct lmw_grid *g, uint64_t left, struct lmw_buf *out)
{
    out->failed |= g->text.failed;
    if (g->text.failed)
        return;
    int *width = calloc((size_t)g->n_column + 1, sizeof *width);
    struct lmw_grid narrow = {0};
    struct lmw_buf legend = {0};
    if (width)
        shorten_heads(g, &narrow, &legend, width);
    const char *at = narrow.text.ptr;
    for (int i = 0; width && i < narrow.n_cell; i++, at += strlen(at) + 1)
        put_cell(&narrow, i, at, width, left, out);
    lmw_buf_put(out, legend.ptr ? legend.ptr : "", legend.len);
    out->failed |= !width || narrow.text.failed || legend.failed;
    lmw_buf_free(&legend);
    lmw_grid_free(&narrow);
    free(width);
}

void lmw_grid_free(struct lmw_grid *g)
{
    lmw_buf_free(&g->text);
    *g = (struct lmw_grid){0};
}
