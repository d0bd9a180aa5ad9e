/* Rows and cells of CSV. See csv.h. */
#include "base/csv.h"

size_t lmw_csv_row_end(struct lmw_csv_row *row, lmw_str bytes, char separator)
{
    const char *p = bytes.ptr, *end = p + bytes.len;
    while (p < end) {
        if (row->in_quotes) {
            p = memchr(p, '"', (size_t)(end - p));
            if (!p)
                return 0;
            row->in_quotes = row->in_cell =
                false; /* another quote here, and it was a doubled one */
        } else if (*p == '\n') {
            return (size_t)(p - bytes.ptr) + 1;
        } else if (*p == '"' && !row->in_cell) {
            row->in_quotes = true;
        } else {
            row->in_cell = *p != separator;
        }
        p++;
    }
    return 0;
}

static int quoted_cell(lmw_str *rest, char separator, lmw_str *out, struct lmw_buf *spare,
                       struct lmw_err *err)
{
    const char *from = rest->ptr + 1, *end = rest->ptr + rest->len, *quote = from;
    spare->len = 0;
    while ((quote = memchr(quote, '"', (size_t)(end - quote))) && quote + 1 < end &&
           quote[1] == '"') {
        lmw_buf_put(spare, from, (size_t)(quote + 1 - from));
        from = quote += 2;
    }
    if (!quote)
        return lmw_fail(err, LMW_EFORMAT, "a quote is opened here and never closed");
    *out = (lmw_str){from, (size_t)(quote - from)};
    if (spare->len > 0) {
        lmw_buf_put(spare, from, out->len);
        *out = (lmw_str){spare->ptr, spare->len};
    }
    *rest = (lmw_str){quote + 1, (size_t)(end - quote - 1)};
    if (spare->failed)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a row");
    if (rest->len > 0 && *rest->ptr != separator)
        return lmw_fail(err, LMW_EFORMAT,
                        "text behind a closing quote; a quote inside a quoted cell is written "
                        "twice");
    return LMW_OK;
}

int lmw_csv_cell(lmw_str *rest, char separator, struct lmw_csv_cell *out, struct lmw_buf *spare,
                 struct lmw_err *err)
{
    out->is_quoted = rest->len > 0 && *rest->ptr == '"';
    if (out->is_quoted)
        return quoted_cell(rest, separator, &out->text, spare, err);
    const char *behind = rest->len > 0 ? memchr(rest->ptr, separator, rest->len) : NULL;
    size_t n = behind ? (size_t)(behind - rest->ptr) : rest->len;
    out->text = (lmw_str){rest->ptr, n};
    *rest = (lmw_str){rest->ptr + n, rest->len - n};
    return LMW_OK;
}
