/* Packing by zlib and libzstd. See pack.h. */
#include "stream/pack.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { BLOCK = 64 << 10 };

struct lmw_packer {
    FILE *f;
    uint8_t *out; /* one block, packed */
    z_stream *gz; /* one of the two, or neither */
    ZSTD_CCtx *zst;
};

static int put(struct lmw_packer *p, size_t n, struct lmw_err *err)
{
    if (fwrite(p->out, 1, n, p->f) != n)
        return lmw_fail_errno(err, "cannot write");
    return 0;
}

static int put_gz(struct lmw_packer *p, lmw_str bytes, bool is_last, struct lmw_err *err)
{
    int rc = 0, done;

    p->gz->next_in = (uint8_t *)bytes.ptr;
    p->gz->avail_in = (uInt)bytes.len;
    do {
        p->gz->next_out = p->out;
        p->gz->avail_out = BLOCK;
        done = deflate(p->gz, is_last ? Z_FINISH : Z_NO_FLUSH);
        rc = put(p, BLOCK - p->gz->avail_out, err);
    } while (rc == 0 && (is_last ? done != Z_STREAM_END : p->gz->avail_in > 0));
    return rc;
}

static int put_zst(struct lmw_packer *p, lmw_str bytes, bool is_last, struct lmw_err *err)
{
    ZSTD_inBuffer in = {bytes.ptr, bytes.len, 0};
    size_t left;
    int rc;

    do {
        ZSTD_outBuffer out = {p->out, BLOCK, 0};
        left = ZSTD_compressStream2(p->zst, &out, &in, is_last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return lmw_fail(err, LMW_ENOMEM, "packing: %s", ZSTD_getErrorName(left));
        rc = put(p, out.pos, err);
    } while (rc == 0 && (is_last ? left > 0 : in.pos < in.size));
    return rc;
}

static int put_bytes(struct lmw_packer *p, lmw_str bytes, bool is_last, struct lmw_err *err)
{
    if (p->gz)
        return put_gz(p, bytes, is_last, err);
    if (p->zst)
        return put_zst(p, bytes, is_last, err);
    if (fwrite(bytes.ptr, 1, bytes.len, p->f) != bytes.len)
        return lmw_fail_errno(err, "cannot write");
    return 0;
}

static bool start(struct lmw_packer *p, lmw_str name)
{
    if (lmw_str_ends(name, ".gz")) {
        p->gz = calloc(1, sizeof(*p->gz));
        return p->gz && deflateInit2(p->gz, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
                                     Z_DEFAULT_STRATEGY) == Z_OK;
    }
    if (lmw_str_ends(name, ".zst")) {
        p->zst = ZSTD_createCCtx();
        return p->zst && !ZSTD_isError(ZSTD_CCtx_setParameter(p->zst, ZSTD_c_checksumFlag, 1));
    }
    return true;
}

int lmw_packer_open(struct lmw_packer **out, FILE *f, const char *name, struct lmw_err *err)
{
    struct lmw_packer *p = calloc(1, sizeof *p);

    *out = p;
    if (!p || !(p->out = malloc(BLOCK)) || !start(p, lmw_str_from(name))) {
        lmw_packer_close(p);
        *out = NULL;
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    }
    p->f = f;
    return 0;
}

int lmw_pack(struct lmw_packer *p, lmw_str bytes, struct lmw_err *err)
{
    return put_bytes(p, bytes, false, err);
}

int lmw_packer_finish(struct lmw_packer *p, struct lmw_err *err)
{
    int rc = put_bytes(p, LMW_STR(""), true, err);

    return rc == 0 && fflush(p->f) != 0 ? lmw_fail_errno(err, "cannot write") : rc;
}

void lmw_packer_close(struct lmw_packer *p)
{
    if (!p)
        return;
    if (p->gz)
        deflateEnd(p->gz);
    free(p->gz);
    ZSTD_freeCCtx(p->zst);
    free(p->out);
    free(p);
}
