/* Samples as bytes: what the store keeps. docs/measuring.md has the format. Inside the meter room
 * only. */
#ifndef LMW_METER_BLOCK_H
#define LMW_METER_BLOCK_H

#include "meter/series.h"

/* Appends samples [from, n) to `out` as one block. */
void lmw_block_pack(const struct series *s, int64_t from, int64_t n, struct lmw_buf *out);
/* Appends a block's samples to the series. The first block gives the series its info. */
int lmw_block_unpack(struct series *s, const void *bytes, size_t n, struct lmw_err *err);

#endif
