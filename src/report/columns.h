/* The columns of the tables, and the sentences beside them, the same for the terminal and the
 * page. */
#ifndef LMW_REPORT_COLUMNS_H
#define LMW_REPORT_COLUMNS_H

#include "report/report.h"

struct lmw_report_column {
    const char *head, *unit;
    const char *help; /* what the figure is, one sentence */
    void (*cell)(const struct lmw_summary *s, struct lmw_buf *out);
    size_t interval; /* offset of its struct lmw_interval in a summary, 0: none beside the cell */
    bool left;       /* text: aligned left */
    bool (*needed)(const struct lmw_report *r); /* NULL: always */
    bool optional;                              /* left out where no row knows it */
};
extern const struct lmw_report_column lmw_report_columns[]; /* ends with a NULL head */

/* The first column at c or after it that this report needs, or the one with the NULL head. */
const struct lmw_report_column *lmw_report_column(const struct lmw_report *r,
                                                  const struct lmw_report_column *c);

/* "[lower, upper]", or nothing where it is not known or stands in the cell. */
void lmw_report_interval(const struct lmw_report_column *c, const struct lmw_summary *s,
                         struct lmw_buf *out);

/* A short name for a row that no other row has: its quantisation, model, both, with the machine,
 * or the run. */
void lmw_report_label(const struct lmw_report *r, int row, struct lmw_buf *out);
/* On the Pareto front, and right at least once. */
bool lmw_report_marked(const struct lmw_summary *s);
/* The row at that place of the ranking, from 0. */
int lmw_report_row(const struct lmw_report *r, int place);
/* The rails that the joules come from, where they are the same in all rows that have any. */
const char *lmw_report_source(const struct lmw_report *r);
bool lmw_report_many_workloads(const struct lmw_report *r);
bool lmw_report_many_sources(const struct lmw_report *r);

/* Joules by rail as a grid of texts: how many lines there are below the heads (0: no row has
 * several), and a cell; line 0 are the heads, the first two columns are texts. */
enum { LMW_RAIL_COLUMNS = 7 };
int lmw_report_rails(const struct lmw_report *r);
void lmw_report_rail_cell(const struct lmw_report *r, int line, int column, struct lmw_buf *out);

/* A breakdown as a grid of texts: row 0 and column 0 are heads, at most one dimension is the runs.
 */
void lmw_report_grid_size(const struct lmw_breakdown *b, int *n_row, int *n_column);
void lmw_report_grid_cell(const struct lmw_report *r, const struct lmw_breakdown *b, int row,
                          int column, struct lmw_buf *out);

/* "For under 0.5 J a query take ...": a line for each workload and its rails, or nothing. */
void lmw_report_advice(const struct lmw_report *r, struct lmw_buf *out);

/* Sentences that apply to these records: estimated power, invalid readings, failed queries, idle
 * drift. One per line. */
void lmw_report_caveats(const struct lmw_report *r, struct lmw_buf *out);

/* How the metering of the row's run went, as it is stored; NULL: not known. A new reference. */
json_t *lmw_report_metering(const struct lmw_summary *s);

/* json.c: the JSON report, with jansson's flags. */
int lmw_report_dump(const struct lmw_report *r, size_t flags, struct lmw_buf *out,
                    struct lmw_err *err);

/* pictures.c: what report.html draws, as JSON. */
int lmw_report_pictures(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err);

#endif
