/* A file of records, unpacked and read in pieces: lines, CSV rows that may span lines, the objects
 * of a JSON array. For the files of this room only. Memory is one chunk, or the longest piece. */
#ifndef LMW_STORE_READER_H
#define LMW_STORE_READER_H

#include "base/err.h"
#include "base/str.h"
#include "stream/stream.h"

#include <stdbool.h>
#include <stdint.h>

/* A longer piece is refused: it is a file of another kind, or one without line ends. */
#define READER_PIECE_MAX ((size_t)64 << 20)

enum piece { PIECE_LINE, PIECE_ROW, PIECE_OBJECT };

struct reader {
    const char *name; /* for messages */
    struct lmw_stream stream;
    char separator; /* of the cells of a row */
    char *buf;      /* the bytes at [at, len) are read and not yet given out */
    size_t at, len, cap;
    bool at_end;
    int64_t line;      /* of the piece given out last, from 1 */
    int64_t n_newline; /* passed so far */
};

/* "-" is standard input. A byte order mark is passed over. */
int lmw_reader_open(struct reader *r, const char *path, struct lmw_err *err);
void lmw_reader_close(struct reader *r);
/* The file's first bytes, a million of them if it has so many. */
lmw_str lmw_reader_peek(const struct reader *r);
/* 1: *out is the next piece that is not blank, until the next call; 0: the end. */
int lmw_reader_next(struct reader *r, enum piece kind, lmw_str *out, struct lmw_err *err);

#endif
