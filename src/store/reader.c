/* A file of records in pieces. See reader.h.
 *
 * The end of a piece is looked for in what was read; when it is not there, more is read and the
 * search begins again, and since what is read doubles each time, a long piece costs twice its
 * length. The file is read, not mapped: the pages of a mapping count as the process's memory. It
 * comes unpacked; that a packed file is damaged is said with the line that the damage cuts off. */
#include "store/reader.h"

#include "base/csv.h"

#include <stdlib.h>

enum { CHUNK = 1 << 20 };

static int no_memory(const struct reader *r, struct lmw_err *err)
{
    return lmw_fail(err, LMW_ENOMEM, "%s: no memory to read it", r->name);
}

/* Reads until the buffer is full or the file ends. What is damaged is behind what was read. */
static int fill(struct reader *r, struct lmw_err *err)
{
    while (!r->at_end && r->len < r->cap) {
        size_t n;
        if (lmw_stream_read(&r->stream, r->buf + r->len, r->cap - r->len, &n, err) < 0) {
            size_t ahead = lmw_str_count(lmw_reader_peek(r), '\n');
            return lmw_wrap(err, "%.200s:%lld", r->name,
                            (long long)r->n_newline + (long long)ahead + 1);
        }
        r->at_end = n == 0;
        r->len += n;
    }
    return LMW_OK;
}

/* More bytes behind those that are not yet given out. */
static int read_more(struct reader *r, struct lmw_err *err)
{
    memmove(r->buf, r->buf + r->at, r->len - r->at);
    r->len -= r->at;
    r->at = 0;
    if (r->len == r->cap) {
        if (r->cap >= READER_PIECE_MAX)
            return lmw_fail(err, LMW_EFORMAT,
                            "%s:%lld: over %zu MB without an end: is this a file of records, one "
                            "JSON object a line, or CSV?",
                            r->name, (long long)r->n_newline + 1, READER_PIECE_MAX >> 20);
        size_t cap = r->cap ? 2 * r->cap : CHUNK;
        char *more = realloc(r->buf, cap);
        if (!more)
            return no_memory(r, err);
        r->buf = more;
        r->cap = cap;
    }
    return fill(r, err);
}

int lmw_reader_open(struct reader *r, const char *path, struct lmw_err *err)
{
    *r = (struct reader){
        .name = strcmp(path, "-") == 0 ? "standard input" : path, .cap = CHUNK, .separator = ','};
    int rc = lmw_stream_open_once(&r->stream, path, err);
    if (rc < 0)
        return rc;
    r->buf = malloc(r->cap);
    rc = r->buf ? fill(r, err) : no_memory(r, err);
    if (rc == LMW_OK)
        r->at = r->len - lmw_str_unmark((lmw_str){r->buf, r->len}).len;
    if (rc < 0)
        lmw_reader_close(r);
    return rc;
}

void lmw_reader_close(struct reader *r)
{
    lmw_stream_close(&r->stream);
    free(r->buf);
    *r = (struct reader){.stream.fd = -1};
}

lmw_str lmw_reader_peek(const struct reader *r)
{
    return (lmw_str){r->buf + r->at, r->len - r->at};
}

/* --- where a piece ends: the bytes it takes, 0 when its end is not among these --- */

static size_t line_end(lmw_str s, char separator)
{
    const char *nl = memchr(s.ptr, '\n', s.len);
    return nl ? (size_t)(nl - s.ptr) + 1 : 0;
}

static size_t row_end(lmw_str s, char separator)
{
    struct lmw_csv_row row = {0};
    return lmw_csv_row_end(&row, s, separator);
}

/* Behind the brace that closes the first object; what is wrong in it is for its parser. */
static size_t object_end(lmw_str s, char separator)
{
    bool inside = false;
    int depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (inside && c == '\\')
            i++;
        else if (c == '"')
            inside = !inside;
        else if (!inside && c == '{')
            depth++;
        else if (!inside && c == '}' && --depth <= 0)
            return i + 1;
    }
    return 0;
}

/* Without what stands between pieces: an array's brackets and commas, line ends, and around JSON
 * white space, which in a row may be a cell. */
static lmw_str strip(lmw_str s, enum piece kind, int64_t *n_newline)
{
    while (kind == PIECE_ROW && s.len > 0 && strchr("\r\n", s.ptr[s.len - 1]))
        s.len--;
    while (kind == PIECE_OBJECT && s.len > 0 && strchr("[,] \t\r\n", *s.ptr) && *s.ptr) {
        *n_newline += *s.ptr == '\n';
        s = (lmw_str){s.ptr + 1, s.len - 1};
    }
    return kind == PIECE_ROW ? s : lmw_str_trim(s);
}

int lmw_reader_next(struct reader *r, enum piece kind, lmw_str *out, struct lmw_err *err)
{
    static size_t (*const ends[])(lmw_str s, char separator) = {line_end, row_end, object_end};
    do {
        size_t n;
        int rc;
        while ((n = ends[kind](lmw_reader_peek(r), r->separator)) == 0 && !r->at_end) {
            if ((rc = read_more(r, err)) < 0)
                return rc;
        }
        if (n == 0 && (n = r->len - r->at) == 0)
            return 0;
        lmw_str piece = {r->buf + r->at, n};
        int64_t n_before = 0;
        *out = strip(piece, kind, &n_before);
        r->line = r->n_newline + n_before + 1;
        r->n_newline += kind == PIECE_LINE ? 1 : (int64_t)lmw_str_count(piece, '\n');
        r->at += n;
    } while (out->len == 0);
    return 1;
}
