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

struct lmw_report {
    const struct lmw_summary *rows;
    int n_row;
    const struct lmw_breakdown *breakdowns; /* over the same rows */
    int n_breakdown;
};

/* The ranking, a line on how to read it, and caveats that apply to these records. */
void lmw_report_text(const struct lmw_report *r, struct lmw_buf *out);
int lmw_report_json(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err);
/* One page that fetches nothing: the table, accuracy against joules with the Pareto front, the
 * definitions. */
int lmw_report_html(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err);

#endif
