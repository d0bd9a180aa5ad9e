/* DOOR. The bytes of a file, inflated as they are read.
 *
 * What a file is packed with is told by its first bytes, not by its name: gzip (RFC 1952, several
 * members one behind the other are one file) and Zstandard (RFC 8878, several frames likewise) are
 * inflated, Parquet's columns become JSON lines (parquet/), archives are refused with what to do.
 * Never more than one block of the file is in memory, beside what the codec keeps (32 KB for gzip;
 * for Zstandard the window its frame asks for: up to 8 MB from `zstd -19`, at most 128 MB, what
 * zstd itself takes; for Parquet the footer, and a page and a dictionary a column). */
#ifndef LMW_STREAM_STREAM_H
#define LMW_STREAM_STREAM_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* A row of Parquet that is longer as JSON is refused; it is as long as a line of a workload. */
#define LMW_STREAM_ROW_MAX ((size_t)16 << 20)

struct lmw_codec;
struct lmw_stream {
    int fd;        /* -1: the bytes of the caller */
    lmw_str bytes; /* those */
    bool is_pipe;  /* what was taken cannot be taken again */
    char first[8]; /* by which its kind is told */
    size_t n_first;
    int64_t from; /* of the source: next byte to take */
    uint8_t *in;  /* taken and not inflated yet: in_at..in_len */
    size_t in_at, in_len;
    const struct lmw_codec *codec; /* NULL: as it is */
    void *state;                   /* the codec's */
    bool inside;                   /* a member or frame has begun and not ended */
    int64_t at;                    /* inflated bytes given out */
    int64_t hashed;                /* how far the hash has come, from the start */
    uint64_t hash;
    bool hash_whole;
};

int lmw_stream_open(struct lmw_stream *s, const char *path, struct lmw_err *err);
/* To be read once, from its start to its end, and then hashed: it may be a pipe, and "-" is
 * standard input. Parquet from a pipe is copied into a temporary file first, as by spool. */
int lmw_stream_open_once(struct lmw_stream *s, const char *path, struct lmw_err *err);
/* The bytes stay with the caller. */
int lmw_stream_open_bytes(struct lmw_stream *s, lmw_str bytes, struct lmw_err *err);
void lmw_stream_close(struct lmw_stream *s); /* twice is fine */
/* "gzip", "Zstandard" or "Parquet"; NULL: as it is. */
const char *lmw_stream_packing(const struct lmw_stream *s);
bool lmw_stream_is_parquet(const struct lmw_stream *s); /* whose rows come as JSON lines */
/* Refuses what is Parquet where `format` says CSV or JSON, and what is not where `format`, or
 * without one the name, says it is. */
int lmw_stream_check_parquet(const struct lmw_stream *s, const char *name, const char *format,
                             struct lmw_err *err);
/* Up to n inflated bytes; *got 0 at the end only. */
int lmw_stream_read(struct lmw_stream *s, void *out, size_t n, size_t *got, struct lmw_err *err);
/* To a place among the inflated bytes; in a packed file that means inflating from the start. */
int lmw_stream_seek(struct lmw_stream *s, int64_t at, struct lmw_err *err);
/* A packed file becomes its inflated bytes in a temporary file without a name (in TMPDIR, else
 * /var/tmp), so that seek is cheap. The place is lost: seek follows. */
int lmw_stream_spool(struct lmw_stream *s, struct lmw_err *err);
/* FNV-1a of all inflated bytes: kept on the way of the first reading, else read for. The place
 * stays. */
int lmw_stream_hash(struct lmw_stream *s, uint64_t *out, struct lmw_err *err);

#endif
