/* Inside of the room: how a packed file is inflated, and what a codec may ask of its source. */
#ifndef LMW_STREAM_CODEC_H
#define LMW_STREAM_CODEC_H

#include "stream/stream.h"

/* The source's size, and n bytes of it from `at`: all of them, or an error. */
int lmw_stream_source_size(const struct lmw_stream *s, int64_t *size, struct lmw_err *err);
int lmw_stream_source(const struct lmw_stream *s, int64_t at, void *out, size_t n,
                      struct lmw_err *err);

/* How a codec inflates: by `step`, block after block, or by `read`, which takes from the
 * source where it likes. */
struct lmw_codec {
    const char *name;
    int (*start)(struct lmw_stream *s, struct lmw_err *err); /* also: again from the start */
    /* Takes from s->in, adds to out; sets s->inside. Making nothing of no input is no error. */
    int (*step)(struct lmw_stream *s, void *out, size_t n, size_t *made, struct lmw_err *err);
    /* Up to n inflated bytes; *got 0 at the end only. */
    int (*read)(struct lmw_stream *s, void *out, size_t n, size_t *got, struct lmw_err *err);
    void (*stop)(struct lmw_stream *s);
};
extern const struct lmw_codec lmw_codec_parquet; /* parquet/file.c */
/* By a file's first bytes: NULL when it is not packed, or an error for what cannot be read. */
int lmw_codec_find(lmw_str first, const struct lmw_codec **out, struct lmw_err *err);

#endif
