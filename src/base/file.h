/* Files: read-only mappings, small whole reads, and writes that appear whole or not at all. */
#ifndef LMW_BASE_FILE_H
#define LMW_BASE_FILE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct lmw_map {
    const uint8_t *ptr;
    size_t len;
};
/* An empty file maps to {NULL, 0}. Close accepts a zeroed struct. */
int lmw_map_open(struct lmw_map *m, const char *path, struct lmw_err *err);
void lmw_map_close(struct lmw_map *m);

/* The whole file into a buffer, at most max bytes (more is LMW_EFORMAT). Works for /sys and /proc.
 */
int lmw_file_read(const char *path, size_t max, struct lmw_buf *out, struct lmw_err *err);
/* What is in a file, as a number. Files up to 64 MB are hashed whole (FNV-1a), of larger ones 1 MB
 * of every 64th part: a quantisation or a fine-tune changes all of them, and a model of 100 GB
 * must not be read before it is measured. */
int lmw_file_hash(const char *path, uint64_t *h, int64_t *bytes, struct lmw_err *err);
/* A decimal integer alone in a file (sysfs). */
int lmw_file_read_i64(const char *path, int64_t *out, struct lmw_err *err);

/* A file written beside its target and renamed onto it: open, write to ->f, then commit or
 * abandon. commit flushes, fsyncs and renames; a full disk is an error and leaves the target.
 * Links are followed. A target that is there and is no regular file (a device, a pipe) is written
 * in place: nothing is renamed over it. */
struct lmw_atomic {
    FILE *f;
    char path[1024], tmp[1048]; /* tmp empty: in place */
};
int lmw_atomic_open(struct lmw_atomic *w, const char *path, struct lmw_err *err);
int lmw_atomic_commit(struct lmw_atomic *w, struct lmw_err *err);
void lmw_atomic_abandon(struct lmw_atomic *w);

/* Creates the directory and its parents. */
int lmw_mkdirs(const char *path, struct lmw_err *err);

#endif
