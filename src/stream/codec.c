/* The codecs of packed files: gzip by zlib, Zstandard by libzstd, and which there are. See
 * codec.h. */
#include "stream/codec.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* ---- gzip ---- */

static int gz_start(struct lmw_stream *s, struct lmw_err *err)
{
    if (s->state) {
        inflateReset(s->state);
        return 0;
    }
    z_stream *z = calloc(1, sizeof(*z));
    if (!z || inflateInit2(z, 15 + 16) != Z_OK) { /* the largest window; gzip's header only */
        free(z);
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    }
    s->state = z;
    return 0;
}

static int gz_step(struct lmw_stream *s, void *out, size_t n, size_t *made, struct lmw_err *err)
{
    z_stream *z = s->state;

    z->next_in = s->in + s->in_at;
    z->avail_in = (uInt)(s->in_len - s->in_at);
    z->next_out = out;
    z->avail_out = (uInt)n;
    s->inside = true;
    int rc = inflate(z, Z_NO_FLUSH);
    s->in_at = s->in_len - z->avail_in;
    *made = n - z->avail_out;
    if (rc == Z_STREAM_END) {
        s->inside = false;
        inflateReset(z);
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
        return lmw_fail(err, LMW_EFORMAT, "damaged gzip data (%s); `gzip -t` says the same?",
                        z->msg ? z->msg : zError(rc));
    }
    return 0;
}

static void gz_stop(struct lmw_stream *s)
{
    inflateEnd(s->state);
    free(s->state);
}

/* ---- Zstandard ---- */

static int zst_start(struct lmw_stream *s, struct lmw_err *err)
{
    if (!s->state && !(s->state = ZSTD_createDStream()))
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    ZSTD_initDStream(s->state);
    return 0;
}

static int zst_step(struct lmw_stream *s, void *out, size_t n, size_t *made, struct lmw_err *err)
{
    ZSTD_inBuffer from = {s->in + s->in_at, s->in_len - s->in_at, 0};
    ZSTD_outBuffer to = {out, n, 0};
    size_t left = ZSTD_decompressStream(s->state, &to, &from);

    s->in_at += from.pos;
    *made = to.pos;
    if (ZSTD_isError(left))
        return lmw_fail(err, LMW_EFORMAT, "damaged Zstandard data (%s); `zstd -t` says the same?",
                        ZSTD_getErrorName(left));
    s->inside = left != 0;
    return 0;
}

static void zst_stop(struct lmw_stream *s)
{
    ZSTD_freeDStream(s->state);
}

/* ---- which ---- */

static const struct lmw_codec gz = {
    .name = "gzip", .start = gz_start, .step = gz_step, .stop = gz_stop};
static const struct lmw_codec zst = {
    .name = "Zstandard", .start = zst_start, .step = zst_step, .stop = zst_stop};

/* First bytes: RFC 1952 2.3.1, RFC 8878 3.1.1 and 3.1.2 (a skippable frame may come first), and
 * what people mistake for a file of rows. */
static const struct {
    lmw_str magic;
    const struct lmw_codec *codec;
    const char *remedy;
} known[] = {
    {LMW_STR("\x1f\x8b"), &gz, NULL},
    {LMW_STR("\x28\xb5\x2f\xfd"), &zst, NULL},
    {LMW_STR("PAR1"), &lmw_codec_parquet, NULL},
    {LMW_STR("PARE"), NULL, "an encrypted Parquet file; write it in the clear first"},
    {LMW_STR("PK\x03\x04"), NULL,
     "a zip archive or a spreadsheet; unpack it, or save its table as CSV"},
    {LMW_STR("BZh"), NULL, "packed with bzip2; unpack it, or pack it with gzip or zstd"},
    {LMW_STR("\xfd\x37zXZ"), NULL, "packed with xz; unpack it, or pack it with gzip or zstd"},
    {LMW_STR("ARROW1"), NULL,
     "an Arrow file; write it as Parquet or JSON lines, with pandas, duckdb"},
};

int lmw_codec_find(lmw_str first, const struct lmw_codec **out, struct lmw_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        lmw_str magic = known[i].magic;
        if (first.len < magic.len || memcmp(first.ptr, magic.ptr, magic.len) != 0)
            continue;
        *out = known[i].codec;
        return *out ? 0 : lmw_fail(err, LMW_EUNSUPPORTED, "this is %s", known[i].remedy);
    }
    bool skippable = first.len >= 4 && (first.ptr[0] & 0xf0) == 0x50 &&
                     memcmp(first.ptr + 1, "\x2a\x4d\x18", 3) == 0;
    if (skippable)
        *out = &zst;
    return 0;
}
