/* DOOR. Reports: what the records say, as a table for the terminal, as JSON, and as one
 * self-contained page.
 *
 * Everything is rendered into a buffer; the caller writes it. Estimated joules carry "~" wherever
 * they stand, and a figure that is not known is "-", never 0. */
#ifndef LMW_REPORT_REPORT_H
#define LMW_REPORT_REPORT_H

#include "base/err.h"
#include "base/str.h"
#include "insight/insight.h"
#include "route/route.h"

/* What the page draws beside the table. NULL, 0: that picture is left out. */
struct lmw_pictures {
    const struct lmw_frame *frame; /* the rows' records */
    const struct lmw_domains *domains;
    struct lmw_timeline (*timelines)[LMW_TIMELINES]; /* [n_row] */
    int *n_timeline;                                 /* [n_row] */
    const struct lmw_strategy *strategies;           /* [n_strategy]: always-cloud, the oracle, */
    const struct lmw_routed *routed; /* routers that are right with probability 0 and 1 */
    int n_strategy;
    bool routed_estimate;
    const struct lmw_trend *trend;
    const struct lmw_run_dates *dates;
};

struct lmw_report {
    const struct lmw_summary *rows;
    int n_row;
    const struct lmw_breakdown *breakdowns; /* over the same rows */
    int n_breakdown;
    const struct lmw_pictures *pictures; /* NULL: the table's only */
};

/* The ranking, a line on how to read it, and caveats that apply to these records. */
void lmw_report_text(const struct lmw_report *r, struct lmw_buf *out);
int lmw_report_json(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err);
/* One page that fetches nothing: the table, accuracy against joules with the Pareto front, the
 * pictures, each with its data as CSV, and the definitions. */
int lmw_report_html(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err);

/* Three significant digits, "-" for NaN; with a prefix ("~" or ""). */
void lmw_report_number(struct lmw_buf *out, const char *prefix, double v);

/* A table for the terminal: texts, row by row, in n_column aligned columns. Zeroed but for
 * n_column it is ready; it is freed by lmw_grid_free. Cells are cut at 40 characters; in
 * a table that is wider than a screen, long heads are numbered and explained below it. */
struct lmw_grid {
    int n_column, n_cell;
    struct lmw_buf text;
};
__attribute__((format(printf, 2, 3))) void lmw_grid_cell(struct lmw_grid *g, const char *fmt, ...);
void lmw_grid_number(struct lmw_grid *g, const char *prefix, double v);
/* "2.1 [0.3, 3.9]", all times scale. */
void lmw_grid_interval(struct lmw_grid *g, const char *prefix, struct lmw_interval v,
                       double scale);
/* left: bit k is set where column k is aligned left. */
void lmw_grid_put(const struct lmw_grid *g, uint64_t left, struct lmw_buf *out);
void lmw_grid_free(struct lmw_grid *g);
int lmw_grid_width(const char *s, size_t len); /* characters on screen */

/* For JSON: a number or null; {"value", "lower", "upper"}; a text or null. New references. */
json_t *lmw_json_number(double v);
json_t *lmw_json_interval(struct lmw_interval v);
json_t *lmw_json_text(const char *s);
void lmw_json_put(json_t *o, const char *key, json_t *v); /* v becomes the object's */

#endif
