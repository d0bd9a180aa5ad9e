/* The columns of the main table, the same for the terminal and the page. */
#ifndef LMW_REPORT_COLUMNS_H
#define LMW_REPORT_COLUMNS_H

#include "report/report.h"

struct lmw_report_column {
    const char *head, *unit;
    const char *help; /* what the figure is, one sentence */
    void (*cell)(const struct lmw_summary *s, struct lmw_buf *out);
    bool left; /* text: aligned left */
};
extern const struct lmw_report_column lmw_report_columns[]; /* ends with a NULL head */

/* A short name for a row: its quantisation, else its run. */
const char *lmw_report_label(const struct lmw_summary *s);
/* Three significant digits, "-" for NaN; with a prefix ("~" or ""). */
void lmw_report_number(struct lmw_buf *out, const char *prefix, double v);
/* Sentences that apply to these records: estimated power, invalid readings, failed queries, idle drift. One per line. */
void lmw_report_caveats(const struct lmw_report *r, struct lmw_buf *out);

#endif
