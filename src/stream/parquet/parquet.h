/* Inside of the folder: Apache Parquet, inflated into JSON lines.
 *
 * To whoever reads a stream a Parquet file is one more packing of JSON lines: a codec of codec.h
 * that gives out its rows, one object a line. What rows can do (rewind, jump, be hashed), and
 * every preset, map and path, then works as it does for JSON lines; the same rows in another
 * encoding have the same hash.
 *
 *     file      "PAR1", pages, footer, its length (4 bytes), "PAR1"       file.c
 *     footer    the schema's tree, row groups, in them a chunk a column   schema.c, file.c
 *     chunk     pages: header, repetition and definition levels, values   page.c
 *     values    in one of eight encodings                                 values.c
 *     row       the columns' values, joined by their levels               rows.c
 *     value     as JSON, by its logical type                              json.c
 *
 * In memory are the footer and, of each column, one page and one dictionary. No length, offset,
 * count or level of the file is believed before it was checked.
 *
 * Formats are those of the Apache Parquet specification (github.com/apache/parquet-format: README,
 * Encodings, Compression, LogicalTypes, parquet.thrift), the assembly of nested rows that of
 * Melnik et al., "Dremel: Interactive Analysis of Web-Scale Datasets", VLDB 2010. Refused by name:
 * encryption, the codecs LZO, Brotli and LZ4, the old BIT_PACKED levels, columns in other
 * files. */
#ifndef LMW_STREAM_PARQUET_PARQUET_H
#define LMW_STREAM_PARQUET_PARQUET_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "stream/codec.h"
#include "stream/parquet/thrift.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The numbers in these enums are the file's own. */
enum lmw_pq_type {
    LMW_PQ_BOOLEAN,
    LMW_PQ_INT32,
    LMW_PQ_INT64,
    LMW_PQ_INT96,
    LMW_PQ_FLOAT,
    LMW_PQ_DOUBLE,
    LMW_PQ_BYTES,
    LMW_PQ_FIXED,
};
enum lmw_pq_encoding {
    LMW_PQ_PLAIN = 0,
    LMW_PQ_PLAIN_DICTIONARY = 2,
    LMW_PQ_RLE = 3,
    LMW_PQ_DELTA_BINARY = 5,
    LMW_PQ_DELTA_LENGTH = 6,
    LMW_PQ_DELTA_BYTES = 7,
    LMW_PQ_DICTIONARY = 8,
    LMW_PQ_SPLIT = 9,
};
/* What a value means, where its type alone does not say it. */
enum lmw_pq_meaning {
    LMW_PQ_AS_TYPED,
    LMW_PQ_TEXT,
    LMW_PQ_UNSIGNED,
    LMW_PQ_DECIMAL,
    LMW_PQ_DATE,
    LMW_PQ_TIME,
    LMW_PQ_TIMESTAMP,
    LMW_PQ_UUID,
    LMW_PQ_FLOAT16,
};

/* ---- values (values.c) ---- */

/* Memory that grows and is used again: a page's. */
struct lmw_pq_room {
    uint8_t *ptr;
    size_t len, cap;
};
/* Forgets what was in it. */
int lmw_pq_room_for(struct lmw_pq_room *r, size_t len, struct lmw_err *err);

/* Small numbers as runs, repeated or bit-packed: levels, indices, truth values. */
struct lmw_pq_runs {
    struct lmw_thrift in;
    int width; /* bits of one */
    bool is_packed;
    uint64_t left; /* of this run */
    uint64_t bit;  /* packed: where the next begins, from in.at */
    uint32_t value;
};
void lmw_pq_runs_start(struct lmw_pq_runs *r, lmw_str bytes, int width);
/* The next one; negative where the bytes end. */
int64_t lmw_pq_runs_next(struct lmw_pq_runs *r);

/* Whole numbers as differences, in blocks of bit-packed miniblocks. */
struct lmw_pq_delta {
    struct lmw_thrift in;
    uint64_t left;           /* of all */
    uint64_t per_block;      /* miniblocks */
    uint64_t per_mini, mini; /* values in a miniblock; the one this is in */
    uint64_t mini_left;
    const uint8_t *widths; /* of the block's miniblocks, in bits */
    int width;
    uint64_t bit;
    uint64_t value, least; /* the next; the block's least difference */
    bool has_begun;
};

/* The values of a page, one after the other, whatever their encoding. */
struct lmw_pq_values {
    int encoding, type;
    size_t width; /* of a value in bytes; 0: each has its own */
    lmw_str rest; /* not read yet: values, or the texts behind their lengths */
    uint64_t bit; /* truth values: where in it */
    size_t i, n;  /* LMW_PQ_SPLIT: the value, of so many */
    struct lmw_pq_runs runs;
    struct lmw_pq_delta lengths, prefixes;
    struct lmw_pq_room last; /* LMW_PQ_DELTA_BYTES: the value before */
    uint8_t scratch[16];
};
struct lmw_pq_dictionary {
    struct lmw_pq_room bytes; /* the values, plain */
    struct lmw_pq_room ends;  /* uint32_t: where each ends, of those with lengths of their own */
    size_t n;
};
const char *lmw_pq_encoding_name(int encoding);
bool lmw_pq_is_read(int encoding, size_t width);
/* NULL, or what is wrong. type and width are set; the bytes stay the caller's. */
const char *lmw_pq_values_start(struct lmw_pq_values *v, int encoding, lmw_str bytes);
/* The next value: little-endian, or the bytes themselves; valid until the next. NULL, or what is
 * wrong. */
const char *lmw_pq_values_next(struct lmw_pq_values *v, const struct lmw_pq_dictionary *d,
                               lmw_str *out);
/* d->bytes holds so many plain values: where they end. NULL, or what is wrong. */
const char *lmw_pq_dictionary_start(struct lmw_pq_dictionary *d, size_t n, size_t width);

/* ---- columns ---- */

struct lmw_pq_column {
    const char *path; /* for messages: "conversation.list.element.content" */
    int type;
    size_t width; /* bytes of one value; 0: each has its own length */
    enum lmw_pq_meaning meaning;
    int digits; /* of a time: behind the second's point; of a decimal: behind its own */
    bool is_utc;
    const json_t *classes; /* the names of 0, 1, ...; NULL */
    int max_def, max_rep;

    int codec;
    int64_t at;   /* in the file: the next page */
    int64_t left; /* entries of the chunk that are in no page yet */
    int64_t page_at, page_left;
    struct lmw_pq_room page;
    bool has_dictionary;
    struct lmw_pq_dictionary dictionary;
    struct lmw_pq_runs defs, reps;
    struct lmw_pq_values values;
    bool is_ahead; /* the levels of the next entry are known: */
    int def, rep;  /* behind the chunk's last: -1 and 0 */
};

enum lmw_pq_kind { LMW_PQ_SCALAR, LMW_PQ_OBJECT, LMW_PQ_LIST, LMW_PQ_MAP };
/* What is at a place of a row. It is null where the definition level is below `def`, a list or map
 * empty where it is below `some`. */
struct lmw_pq_node {
    enum lmw_pq_kind kind;
    lmw_str key; /* of an object's member, as JSON with its colon */
    int def, some, rep;
    size_t first, n_columns;   /* the columns below it */
    struct lmw_pq_node *child; /* an object's; a list's one; a map's key and value */
    size_t n_child;
};

struct lmw_pq {
    struct lmw_stream *source; /* while a call lasts */
    int64_t size, footer_at;   /* of the file */
    struct lmw_arena arena;    /* for what is as long-lived as this */
    lmw_str footer;
    struct lmw_thrift groups; /* the row groups: the first, and the next */
    struct lmw_thrift group_at;
    size_t n_groups, group;
    int64_t rows_left; /* of the row group */
    struct lmw_pq_node root;
    struct lmw_pq_column *column;
    size_t n_columns;
    json_t *features; /* of a Hugging Face data set: the columns by name; NULL */
    struct lmw_pq_room packed;
    struct lmw_buf row; /* a line, and how far it was given out */
    size_t row_at;
    struct lmw_buf scratch;
};

/* schema.c: the footer's list of schema elements becomes the columns and q->root. */
int lmw_pq_schema(struct lmw_pq *q, struct lmw_thrift *t, const struct lmw_thrift_field *f,
                  struct lmw_err *err);
/* page.c: the levels of the column's next entry into def and rep. */
int lmw_pq_ahead(struct lmw_pq *q, struct lmw_pq_column *c, struct lmw_err *err);
int lmw_pq_codec_check(const struct lmw_pq *q, const struct lmw_pq_column *c, struct lmw_err *err);
/* An error in a page: where it is, what is wrong with it, and what to do. */
int lmw_pq_broken(const struct lmw_pq *q, const struct lmw_pq_column *c, const char *what,
                  struct lmw_err *err);
/* rows.c: the next row of the row group, appended to q->row as JSON. */
int lmw_pq_row(struct lmw_pq *q, struct lmw_err *err);
/* json.c: a value, appended as JSON. NULL, or what is wrong. */
const char *lmw_pq_json(const struct lmw_pq_column *c, lmw_str v, struct lmw_buf *out,
                        struct lmw_buf *scratch);

/* Little-endian, up to eight bytes. */
static inline uint64_t lmw_pq_number(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

#endif
