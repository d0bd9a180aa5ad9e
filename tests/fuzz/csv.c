/* CSV, whatever the bytes: a row ends at the same byte in whatever pieces it comes, its cells
 * cover it, and written out with every cell in quotes they are the same cells again. The first
 * byte chooses the separator, the second the length of the pieces. */
#include <stdlib.h>

#include "base/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t end_in_pieces(lmw_str s, char separator, size_t piece)
{
    struct lmw_csv_row row = {0};
    for (size_t at = 0; at < s.len; at += piece) {
        size_t n = s.len - at < piece ? s.len - at : piece;
        size_t end = lmw_csv_row_end(&row, (lmw_str){s.ptr + at, n}, separator);
        if (end > n)
            abort();
        if (end)
            return at + end;
    }
    return 0;
}

static void put_quoted(struct lmw_buf *out, lmw_str text)
{
    lmw_buf_str(out, "\"");
    for (size_t i = 0; i < text.len; i++)
        lmw_buf_put(out, text.ptr[i] == '"' ? "\"\"" : &text.ptr[i], text.ptr[i] == '"' ? 2 : 1);
    lmw_buf_str(out, "\"");
}

static void check_again(struct lmw_buf *quoted, lmw_str text, char separator)
{
    struct lmw_csv_row row = {0};
    struct lmw_csv_cell cell;
    struct lmw_buf spare = {0};
    lmw_buf_str(quoted, "\n");
    lmw_str rest = {quoted->ptr, quoted->len - 1};
    if (lmw_csv_row_end(&row, (lmw_str){quoted->ptr, quoted->len}, separator) != quoted->len ||
        lmw_csv_cell(&rest, separator, &cell, &spare, NULL) < 0 || rest.len > 0 ||
        !cell.is_quoted || !lmw_str_eq(cell.text, text))
        abort();
    lmw_buf_free(&spare);
}

static void check_row(lmw_str row, char separator)
{
    struct lmw_csv_cell cell;
    struct lmw_buf spare = {0}, quoted = {0};
    struct lmw_err err = {0};
    for (bool more = true; more; row = (lmw_str){row.ptr + more, row.len - more}) {
        size_t before = row.len;
        if (lmw_csv_cell(&row, separator, &cell, &spare, &err) < 0) {
            if (!err.msg[0])
                abort();
            break;
        }
        if (before - row.len < cell.text.len || (row.len > 0 && *row.ptr != separator))
            abort();
        quoted.len = 0;
        put_quoted(&quoted, cell.text);
        check_again(&quoted, cell.text, separator);
        more = row.len > 0;
    }
    lmw_buf_free(&spare);
    lmw_buf_free(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    char separator = data[0] & 1 ? ',' : '\t';
    lmw_str rest = {(const char *)data + 2, size - 2};
    for (size_t end = 1; end > 0 && rest.len > 0;
         rest = (lmw_str){rest.ptr + end, rest.len - end}) {
        struct lmw_csv_row row = {0};
        end = lmw_csv_row_end(&row, rest, separator);
        if (end_in_pieces(rest, separator, data[1] % 16 + 1u) != end)
            abort();
        check_row((lmw_str){rest.ptr, end ? end - 1 : rest.len}, separator);
    }
    return 0;
}
