/* Files. Reads never trust a size they were told (files in /sys and /proc say 4096 or 0), and a
 * write appears under its name only when it is whole and on disk. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int lmw_map_open(struct lmw_map *m, const char *path, struct lmw_err *err)
{
    struct stat st;
    *m = (struct lmw_map){0};
    int rc = LMW_OK,
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO waits for none */
    if (fd < 0)
        return lmw_fail_errno(err, "cannot open %s", path);
    if (fstat(fd, &st) != 0) {
        rc = lmw_fail_errno(err, "cannot stat %s", path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = lmw_fail(err, LMW_EIO, "%s is not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            rc = lmw_fail_errno(err, "cannot map %s", path);
        else
            *m = (struct lmw_map){p, (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

void lmw_map_close(struct lmw_map *m)
{
    if (m->ptr)
        munmap((void *)m->ptr, m->len);
    *m = (struct lmw_map){0};
}

int lmw_file_hash(const char *path, uint64_t *h, int64_t *bytes, struct lmw_err *err)
{
    enum { WHOLE = 64 << 20, PARTS = 64, PART = 1 << 20 };
    struct lmw_map m;
    int rc = lmw_map_open(&m, path, err);
    if (rc < 0)
        return rc;
    *bytes = (int64_t)m.len;
    if (m.len <= WHOLE) {
        *h = lmw_str_hash((lmw_str){(const char *)m.ptr, m.len});
    } else {
        *h = m.len;
        for (size_t i = 0; i < PARTS; i++) {
            const char *part = (const char *)m.ptr + (m.len - PART) / (PARTS - 1) * i;
            *h = *h * 0x100000001b3u ^ lmw_str_hash((lmw_str){part, PART});
        }
    }
    lmw_map_close(&m);
    return LMW_OK;
}

int lmw_file_read(const char *path, size_t max, struct lmw_buf *out, struct lmw_err *err)
{
    char chunk[16384];
    int rc = LMW_OK, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lmw_fail_errno(err, "cannot open %s", path);
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = lmw_fail_errno(err, "cannot read %s", path);
        else if (out->len + (size_t)n > max)
            rc = lmw_fail(err, LMW_EFORMAT, "%s is longer than %zu bytes", path, max);
        if (n <= 0 || rc < 0)
            break;
        lmw_buf_put(out, chunk, (size_t)n);
    }
    close(fd);
    if (rc == LMW_OK && out->failed)
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for %s", path);
    return rc;
}

int lmw_file_read_i64(const char *path, int64_t *out, struct lmw_err *err)
{
    struct lmw_buf b = {0};
    int rc = lmw_file_read(path, 64, &b, err);
    if (rc == LMW_OK) {
        char *end = b.ptr;
        errno = 0;
        long long v = b.ptr ? strtoll(b.ptr, &end, 10) : 0;
        if (end == b.ptr || errno || lmw_str_trim(lmw_str_from(end)).len)
            rc = lmw_fail(err, LMW_EFORMAT, "%s does not hold an integer", path);
        else
            *out = v;
    }
    lmw_buf_free(&b);
    return rc;
}

/* Renaming onto a link would replace the link, so the target is what it leads to. */
static void follow_links(char *path, size_t size)
{
    char *real = realpath(path, NULL);
    if (real && strlen(real) < size)
        memcpy(path, real, strlen(real) + 1);
    free(real);
}

int lmw_atomic_open(struct lmw_atomic *w, const char *path, struct lmw_err *err)
{
    struct stat st;
    *w = (struct lmw_atomic){0};
    if ((size_t)snprintf(w->path, sizeof w->path, "%s", path) >= sizeof w->path)
        return lmw_fail(err, LMW_EARG, "path too long: %.80s...", path);
    bool exists = stat(path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode)) {
        w->f = fopen(path, "we");
        return w->f ? LMW_OK : lmw_fail_errno(err, "cannot write %s", path);
    }
    follow_links(w->path, sizeof w->path);
    snprintf(w->tmp, sizeof w->tmp, "%s.tmp-%ld", w->path, (long)getpid());
    w->f = fopen(w->tmp, "we");
    if (!w->f)
        return lmw_fail_errno(err, "cannot write %s", w->tmp);
    if (exists) /* where it cannot, umask decides, as for a new file */
        fchmod(fileno(w->f), st.st_mode & 07777);
    return LMW_OK;
}

int lmw_atomic_commit(struct lmw_atomic *w, struct lmw_err *err)
{
    int rc = LMW_OK;
    if (fflush(w->f) != 0 || ferror(w->f) || (w->tmp[0] && fsync(fileno(w->f)) != 0))
        rc = lmw_fail_errno(err, "writing %s (is the disk full?)", w->path);
    if (fclose(w->f) != 0 && rc == LMW_OK)
        rc = lmw_fail_errno(err, "writing %s (is the disk full?)", w->path);
    w->f = NULL;
    if (rc == LMW_OK && w->tmp[0] && rename(w->tmp, w->path) != 0)
        rc = lmw_fail_errno(err, "cannot rename %s to %s", w->tmp, w->path);
    if (rc < 0 && w->tmp[0])
        unlink(w->tmp);
    return rc;
}

void lmw_atomic_abandon(struct lmw_atomic *w)
{
    if (w->f) {
        fclose(w->f);
        if (w->tmp[0])
            unlink(w->tmp);
    }
    *w = (struct lmw_atomic){0};
}

int lmw_mkdirs(const char *path, struct lmw_err *err)
{
    char part[1024];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return lmw_fail(err, LMW_EARG, "path too long: %.80s...", path);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return lmw_fail_errno(err, "cannot create %s", part);
        *p = '/';
    }
    if (mkdir(part, 0777) != 0 && errno != EEXIST)
        return lmw_fail_errno(err, "cannot create %s", part);
    return LMW_OK;
}
