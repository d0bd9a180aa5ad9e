/* DOOR. Bytes into a file, packed as its name says: .gz with gzip, .zst with Zstandard, with its
 * checksum; any other name as they are. */
#ifndef LMW_STREAM_PACK_H
#define LMW_STREAM_PACK_H

#include "base/err.h"
#include "base/str.h"

#include <stdio.h>

struct lmw_packer;
/* The file stays the caller's; a name of NULL has no ending. */
int lmw_packer_open(struct lmw_packer **out, FILE *f, const char *name, struct lmw_err *err);
int lmw_pack(struct lmw_packer *p, lmw_str bytes, struct lmw_err *err);
/* Nothing follows. Flushes the file. */
int lmw_packer_finish(struct lmw_packer *p, struct lmw_err *err);
void lmw_packer_close(struct lmw_packer *p); /* NULL is fine */

#endif
