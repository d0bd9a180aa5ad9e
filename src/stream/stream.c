/* The bytes of a file, in order. See stream.h.
 *
 * The source is read by pread, so a rewind is a number, and nothing of the file counts as this
 * process's memory as a mapping's pages would. The hash goes on while bytes are read in order for
 * the first time; reading a second time, or from the middle, adds nothing to it. */
#include "stream/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 64 << 10 };

/* ---- the source ---- */

static int take_at(const struct lmw_stream *s, int64_t at, void *out, size_t n, size_t *got,
                   struct lmw_err *err)
{
    bool is_first = s->is_pipe && at < (int64_t)s->n_first;

    if (s->fd < 0 || is_first) {
        lmw_str bytes = is_first ? (lmw_str){s->first, s->n_first} : s->bytes;
        size_t left = bytes.len - (size_t)at;
        *got = left < n ? left : n;
        if (*got)
            memcpy(out, bytes.ptr + at, *got);
    } else {
        ssize_t k;
        while ((k = s->is_pipe ? read(s->fd, out, n) : pread(s->fd, out, n, at)) < 0 &&
               errno == EINTR)
            ;
        if (k < 0)
            return lmw_fail_errno(err, "cannot read");
        *got = (size_t)k;
    }
    return 0;
}

static int take(struct lmw_stream *s, void *out, size_t n, size_t *got, struct lmw_err *err)
{
    int rc = take_at(s, s->from, out, n, got, err);

    if (rc == 0)
        s->from += (int64_t)*got;
    return rc;
}

int lmw_stream_source_size(const struct lmw_stream *s, int64_t *size, struct lmw_err *err)
{
    struct stat st;

    *size = (int64_t)s->bytes.len;
    if (s->fd < 0)
        return 0;
    if (fstat(s->fd, &st) != 0)
        return lmw_fail_errno(err, "cannot stat");
    *size = st.st_size;
    return 0;
}

int lmw_stream_source(const struct lmw_stream *s, int64_t at, void *out, size_t n,
                      struct lmw_err *err)
{
    char *to = out;
    int rc = 0;

    for (size_t got = 1; n > 0 && rc == 0; n -= got, to += got, at += (int64_t)got)
        if ((rc = take_at(s, at, to, n, &got, err)) == 0 && got == 0)
            rc = lmw_fail(err, LMW_EFORMAT, "the file has become shorter while it was read");
    return rc;
}

static int start(struct lmw_stream *s, struct lmw_err *err)
{
    s->from = s->at = 0;
    s->in_at = s->in_len = 0;
    s->inside = false;
    return s->codec ? s->codec->start(s, err) : 0;
}

static int take_first(struct lmw_stream *s, struct lmw_err *err)
{
    size_t got = 1;
    int rc = 0;

    for (s->n_first = 0; rc == 0 && got > 0 && s->n_first < sizeof s->first; s->n_first += got)
        rc = take_at(s, (int64_t)s->n_first, s->first + s->n_first, sizeof s->first - s->n_first,
                     &got, err);
    return rc;
}

static int become_copy(struct lmw_stream *s, struct lmw_err *err);

static int begin(struct lmw_stream *s, struct lmw_err *err)
{
    const struct lmw_codec *codec;
    int rc = take_first(s, err);

    if (rc < 0 || (rc = lmw_codec_find((lmw_str){s->first, s->n_first}, &codec, err)) < 0 ||
        (s->is_pipe && codec && codec->read && (rc = become_copy(s, err)) < 0))
        return rc;
    s->codec = codec;
    s->hash = lmw_str_hash((lmw_str){0});
    s->hashed = 0;
    s->hash_whole = false;
    if (s->codec && s->codec->step && !(s->in = malloc(BLOCK)))
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    return start(s, err);
}

int lmw_stream_open_bytes(struct lmw_stream *s, lmw_str bytes, struct lmw_err *err)
{
    *s = (struct lmw_stream){.fd = -1, .bytes = bytes};
    int rc = begin(s, err);
    if (rc < 0)
        lmw_stream_close(s);
    return rc;
}

/* A folder can be opened, but not read. */
static int look_at(const struct lmw_stream *s, const char *name, struct stat *st,
                   struct lmw_err *err)
{
    if (fstat(s->fd, st) != 0)
        return lmw_fail_errno(err, "cannot stat %s", name);
    if (S_ISDIR(st->st_mode))
        return lmw_fail(err, LMW_EARG, "%s is a folder; name a file in it", name);
    return 0;
}

int lmw_stream_open_once(struct lmw_stream *s, const char *path, struct lmw_err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "standard input" : path;
    struct stat st;

    *s = (struct lmw_stream){.fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                            : open(path, O_RDONLY | O_CLOEXEC)};
    if (s->fd < 0)
        return lmw_fail_errno(err, "cannot open %s", name);
    int rc = look_at(s, name, &st, err);
    /* Standard input may be a file whose beginning somebody else has read. */
    s->is_pipe = rc == 0 && (is_stdin || !S_ISREG(st.st_mode));
    if (rc == 0 && (rc = begin(s, err)) < 0)
        lmw_wrap(err, "%s", name);
    if (rc < 0)
        lmw_stream_close(s);
    return rc;
}

int lmw_stream_open(struct lmw_stream *s, const char *path, struct lmw_err *err)
{
    struct stat st;
    int rc;

    *s = (struct lmw_stream){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (s->fd < 0 && strcmp(path, "-") == 0)
        return lmw_fail(err, LMW_EARG,
                        "a workload is read more than once, which standard input cannot be; save "
                        "it as a file first");
    if (s->fd < 0)
        return lmw_fail_errno(err, "cannot open %s", path);
    if ((rc = look_at(s, path, &st, err)) < 0)
        ;
    else if (!S_ISREG(st.st_mode)) /* a pipe has no beginning to go back to */
        rc = lmw_fail(err, LMW_EIO, "%s is not a regular file; save it as one first", path);
    else if ((rc = begin(s, err)) < 0)
        lmw_wrap(err, "%s", path);
    if (rc < 0)
        lmw_stream_close(s);
    return rc;
}

void lmw_stream_close(struct lmw_stream *s)
{
    if (s->codec && s->state)
        s->codec->stop(s);
    free(s->in);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct lmw_stream){.fd = -1};
}

/* ---- inflated ---- */

const char *lmw_stream_packing(const struct lmw_stream *s)
{
    return s->codec ? s->codec->name : NULL;
}

bool lmw_stream_is_parquet(const struct lmw_stream *s)
{
    return s->codec == &lmw_codec_parquet;
}

int lmw_stream_check_parquet(const struct lmw_stream *s, const char *name, const char *format,
                             struct lmw_err *err)
{
    static const char *const others[] = {"csv", "tsv", "json", NULL};
    bool is_asked =
        format ? strcmp(format, "parquet") == 0 : lmw_str_ends(lmw_str_from(name), ".parquet");

    if (lmw_stream_is_parquet(s) && lmw_str_among(lmw_str_from(format), others))
        return lmw_fail(err, LMW_EARG, "this is a Parquet file, not %s; leave --format out",
                        format);
    if (is_asked && !lmw_stream_is_parquet(s))
        return lmw_fail(err, LMW_EFORMAT,
                        "no Parquet file: it does not begin with 'PAR1'; was it fetched whole, or "
                        "is it a Git LFS pointer?");
    return 0;
}

static int inflate_some(struct lmw_stream *s, void *out, size_t n, size_t *got,
                        struct lmw_err *err)
{
    int rc;

    for (*got = 0;;) {
        if (s->in_at == s->in_len) {
            s->in_at = 0;
            if ((rc = take(s, s->in, BLOCK, &s->in_len, err)) < 0)
                return rc;
        }
        bool is_dry = s->in_at == s->in_len;
        if (is_dry && !s->inside)
            return 0;
        if ((rc = s->codec->step(s, out, n, got, err)) < 0 || *got)
            return rc;
        if (is_dry)
            return lmw_fail(err, LMW_EFORMAT,
                            "the %s data ends too early; was the file copied whole?",
                            s->codec->name);
    }
}

int lmw_stream_read(struct lmw_stream *s, void *out, size_t n, size_t *got, struct lmw_err *err)
{
    int rc;

    if (!s->codec)
        rc = take(s, out, n, got, err);
    else
        rc = (s->codec->read ? s->codec->read : inflate_some)(s, out, n, got, err);
    if (rc < 0)
        return rc;
    if (s->at == 0 && s->codec && s->codec->step && lmw_str_starts((lmw_str){out, *got}, "PAR1"))
        return lmw_fail(err, LMW_EUNSUPPORTED,
                        "a Parquet file packed with %s; unpack it first: its pages are packed "
                        "already",
                        s->codec->name);
    if (s->at == s->hashed) {
        s->hash = lmw_str_hash_more(s->hash, (lmw_str){out, *got});
        s->hashed += (int64_t)*got;
        s->hash_whole |= *got == 0;
    }
    s->at += (int64_t)*got;
    return 0;
}

static int skip(struct lmw_stream *s, int64_t n, struct lmw_err *err)
{
    char scrap[4096];
    int rc = 0;

    for (size_t got = 1; n > 0 && got; n -= (int64_t)got) {
        size_t ask = n < (int64_t)sizeof scrap ? (size_t)n : sizeof scrap;
        if ((rc = lmw_stream_read(s, scrap, ask, &got, err)) < 0)
            break;
    }
    return rc;
}

int lmw_stream_seek(struct lmw_stream *s, int64_t at, struct lmw_err *err)
{
    if (!s->codec) {
        s->from = s->at = at;
        return 0;
    }
    /* From the start even where nothing was given out: an error may have stopped it in the
     * middle. */
    int rc = at < s->at || at == 0 ? start(s, err) : 0;
    return rc < 0 ? rc : skip(s, at - s->at, err);
}

int lmw_stream_hash(struct lmw_stream *s, uint64_t *out, struct lmw_err *err)
{
    int64_t at = s->at;
    int rc = 0;

    if (!s->hash_whole && (rc = lmw_stream_seek(s, s->hashed, err)) == 0 &&
        (rc = skip(s, INT64_MAX, err)) == 0)
        rc = lmw_stream_seek(s, at, err);
    *out = s->hash;
    return rc;
}

/* ---- unpacked ---- */

static int make_spool(struct lmw_err *err)
{
    const char *dir = getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp";
    char path[1024];
    int fd;

    snprintf(path, sizeof path, "%s/lmwatt-XXXXXX", dir);
    if ((fd = mkostemp(path, O_CLOEXEC)) < 0)
        return lmw_fail_errno(err, "cannot make a temporary file in %s", dir);
    unlink(path);
    return fd;
}

static int copy_all(struct lmw_stream *s, int fd, struct lmw_err *err)
{
    char block[16 << 10];
    size_t got;
    int rc;

    while ((rc = lmw_stream_read(s, block, sizeof block, &got, err)) == 0 && got > 0)
        for (size_t done = 0; done < got;) {
            ssize_t k = write(fd, block + done, got - done);
            if (k < 0 && errno != EINTR)
                return lmw_fail_errno(err, "writing a temporary file (TMPDIR chooses its folder)");
            done += k > 0 ? (size_t)k : 0;
        }
    return rc;
}

/* What is read from here on, in a file: that is the source then. */
static int become_copy(struct lmw_stream *s, struct lmw_err *err)
{
    int fd = make_spool(err), rc = fd < 0 ? fd : copy_all(s, fd, err);

    if (rc < 0) {
        if (fd >= 0)
            close(fd);
        return rc;
    }
    if (s->fd >= 0)
        close(s->fd);
    s->fd = fd;
    s->is_pipe = false;
    return 0;
}

int lmw_stream_spool(struct lmw_stream *s, struct lmw_err *err)
{
    int rc;

    if (!s->codec)
        return 0;
    if ((rc = lmw_stream_seek(s, 0, err)) < 0 || (rc = become_copy(s, err)) < 0)
        return rc;
    s->codec->stop(s);
    s->codec = NULL;
    s->state = NULL;
    s->from = s->at;
    return 0;
}
