/* Inside of the reader: the rows of a file, whatever its format, as JSON values.
 *
 *     jsonl   one JSON object a line
 *     csv     RFC 4180; a row is an object of strings, keyed by the header   (tsv: tabs for commas)
 *     json    one document: an array of rows, or an object with arrays of rows in it, each a
 *             section under its key (how CLINC150, BBH and TriviaQA are published). A page of the
 *             Hugging Face Hub's rows API, {"features": [...], "rows": [{"row_idx", "row"}]}, is
 *             the rows in it; a number that stands for a class there becomes the class's name
 *
 * A Parquet file comes from its stream as JSON lines (stream/stream.h), whatever it is called.
 *
 * A row is at most LMW_WORKLOAD_LINE_MAX bytes; nothing but that row is in memory. */
#ifndef LMW_WORKLOAD_ROWS_H
#define LMW_WORKLOAD_ROWS_H

#include "base/err.h"
#include "base/str.h"
#include "stream/stream.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Where a row begins. */
struct lmw_place {
    int64_t at : 48; /* among the inflated bytes */
    uint64_t section : 16;
    uint32_t line, n;
};

struct lmw_rows;
struct lmw_rows_ops {
    const char *name; /* also the ending of such a file's name */
    bool is_text;     /* values are strings, whatever they mean */
    int (*start)(struct lmw_rows *r, struct lmw_err *err); /* at the first byte */
    /* 1 and *value (the caller's reference), 0 at the end, or negative. */
    int (*next)(struct lmw_rows *r, json_t **value, struct lmw_err *err);
};

struct lmw_rows {
    struct lmw_stream stream;
    const struct lmw_rows_ops *ops;
    const char *columns; /* asked for: names for a CSV without a header; NULL */
    const char *header;  /* csv: one of these names (with '|') in the first row makes it a header,
                          * whatever `columns` says; NULL */
    char *block;         /* read and not used: at..len */
    size_t at, len;
    size_t ask;          /* bytes to read at a time */
    int64_t line;        /* lines begun, from 1 */
    struct lmw_buf text; /* the row's own bytes */
    struct lmw_buf cell; /* csv: one of them, where it has to be made */
    int64_t row_line;    /* where that row began */
    int64_t row_at;      /* the same among the inflated bytes */
    int64_t n;           /* rows so far: the number of the row, from 1 */
    char separator;      /* csv */
    json_t *names;       /* csv: an array of strings */
    bool has_header;     /* csv: they stood in the file */
    bool in_object;      /* json: the document is an object */
    bool in_array;       /* json: inside an array of rows */
    json_t *sections;    /* json: the keys so far, an array */
    size_t section;      /* which of them this is in */
    bool is_page;        /* json: of the rows API: sections mean nothing */
    json_t *classes;     /* of such a page: {"column": ["name of 0", ...]} */
};

/* "test" of "data/test.jsonl.gz"; "law_test" of "law/test-00000-of-00001.parquet". */
void lmw_rows_stem(const char *path, char out[64]);
/* The stream is open and becomes the rows'. `format` may be NULL: by the name, where .gz and .zst
 * do not count. `columns` and `header` may be NULL; the strings stay the caller's. */
int lmw_rows_open(struct lmw_rows *r, struct lmw_stream *stream, const char *name,
                  const char *format, const char *columns, const char *header,
                  struct lmw_err *err);
void lmw_rows_close(struct lmw_rows *r);
int lmw_rows_rewind(struct lmw_rows *r, struct lmw_err *err);
int lmw_rows_next(struct lmw_rows *r, json_t **value, struct lmw_err *err);
/* The key of the array the row was in; "" where there are none, or they mean nothing. */
const char *lmw_rows_section(const struct lmw_rows *r);
/* The row read last, and to one that was read before: it is the next. A packed file is inflated
 * into a temporary file for the first jump. Behind a jump no row follows another. */
struct lmw_place lmw_rows_place(const struct lmw_rows *r);
int lmw_rows_jump(struct lmw_rows *r, struct lmw_place to, struct lmw_err *err);

/* ---- for the formats ---- */

extern const struct lmw_rows_ops lmw_rows_csv, lmw_rows_json; /* rows_csv.c, rows_json.c */
enum { LMW_ROWS_END = -1, LMW_ROWS_FAILED = -2 };
/* The next block of bytes: 1, 0 at the end, or negative. */
int lmw_rows_more(struct lmw_rows *r, struct lmw_err *err);
/* Where the next byte is, among the inflated ones. */
static inline int64_t lmw_rows_at(const struct lmw_rows *r)
{
    return r->stream.at - (int64_t)(r->len - r->at);
}
/* The next byte, or one of the two above. Counts lines. */
static inline int lmw_rows_get(struct lmw_rows *r, struct lmw_err *err)
{
    if (r->at == r->len) {
        int rc = lmw_rows_more(r, err);
        if (rc <= 0)
            return rc < 0 ? LMW_ROWS_FAILED : LMW_ROWS_END;
    }
    r->line += r->block[r->at] == '\n';
    return (unsigned char)r->block[r->at++];
}
/* One byte to the row's; false when it is too long or memory ran out (lmw_rows_too_long says
 * which). */
bool lmw_rows_put(struct lmw_rows *r, int c);
int lmw_rows_too_long(const struct lmw_rows *r, struct lmw_err *err);
/* What jansson makes of r->text, with a message that says what to do. */
int lmw_rows_parse(struct lmw_rows *r, lmw_str text, json_t **value, struct lmw_err *err);

#endif
