/* Parquet files: whatever the bytes, reading ends with rows or an error, every row is a line of
 * JSON, and a rewind gives the same again. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "stream/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENOUGH = 256 << 10 }; /* a few bytes may stand for a million rows of nothing */

static int read_some(struct lmw_stream *s, struct lmw_buf *out)
{
    char block[8192];
    size_t got = 1;
    int rc = 0;

    out->len = 0;
    while (rc == 0 && got > 0 && out->len < ENOUGH)
        if ((rc = lmw_stream_read(s, block, sizeof block, &got, NULL)) == 0)
            lmw_buf_put(out, block, got);
    return rc;
}

static void check_lines(lmw_str text)
{
    for (const char *end; (end = memchr(text.ptr, '\n', text.len));) {
        size_t n = (size_t)(end - text.ptr);
        json_t *row = json_loadb(text.ptr, n, 0, NULL);
        if (!json_is_object(row))
            abort();
        json_decref(row);
        text = (lmw_str){end + 1, text.len - n - 1};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmw_str bytes = {(const char *)data, size};
    struct lmw_buf first = {0}, again = {0};
    struct lmw_stream s;

    if (size < 4 || memcmp(data, "PAR1", 4) != 0 || lmw_stream_open_bytes(&s, bytes, NULL) < 0)
        return 0;
    int rc = read_some(&s, &first);
    if (first.len)
        check_lines((lmw_str){first.ptr, first.len});
    if (lmw_stream_seek(&s, 0, NULL) < 0 || read_some(&s, &again) != rc ||
        again.len != first.len || (first.len && memcmp(again.ptr, first.ptr, first.len) != 0))
        abort();
    lmw_stream_close(&s);
    lmw_buf_free(&first);
    lmw_buf_free(&again);
    return 0;
}
