/* CSV (RFC 4180) over text in memory: where a row ends, and the cells of one. For every reader of
 * CSV; what a table means is theirs to say.
 *
 * A cell that begins with a quote ends at the next single one: separators and line ends in it are
 * text, and a doubled quote is one quote. Beyond the RFC a quote inside any other cell is itself,
 * as spreadsheets and Python write and read it; who is strict looks for it. Refused: a quote that
 * is never closed, and text behind a closing one. */
#ifndef LMW_BASE_CSV_H
#define LMW_BASE_CSV_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* How far a row was looked through, zeroed at its start. */
struct lmw_csv_row {
    bool in_quotes, in_cell; /* in a cell a quote is text */
};
/* The bytes up to the row's end, its LF with them; 0: it does not end among these, and the next
 * call goes on with those behind them. */
size_t lmw_csv_row_end(struct lmw_csv_row *row, lmw_str bytes, char separator);

struct lmw_csv_cell {
    lmw_str text; /* of the row, or of `spare`: until that is used again */
    bool is_quoted;
};
/* The cell at the start of *rest, which becomes what is behind it: empty, or beginning with the
 * separator. The row is without its line end. Text that has to be made is made in `spare`. */
int lmw_csv_cell(lmw_str *rest, char separator, struct lmw_csv_cell *out, struct lmw_buf *spare,
                 struct lmw_err *err);

#endif
