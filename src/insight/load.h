/* Part of the door insight.h: how figures move with the number of queries in flight. */
#ifndef LMW_INSIGHT_LOAD_H
#define LMW_INSIGHT_LOAD_H

#include "insight/frame.h"

/* Records of a run whose mean number of queries in flight, from their begin to their end, is
 * nearest to from .. to: 1, 2, 3..4, 5..8, 9..16, ... */
struct lmw_load {
    int from, to;
    int64_t n;        /* records */
    double in_flight; /* their mean */
    struct lmw_interval accuracy, ipj, energy, latency, ttft;
    double tok_per_s; /* of all in flight together: answer tokens / latency x in flight */
};
enum { LMW_LOADS_MAX = 24 };
/* Loads of a run that have records, ascending. Returns how many; 0 where no record says when it
 * began and how long it took. Times are those of one process: a run that was resumed after a
 * restart of the machine may show neighbours it never had. */
int lmw_loads_of(const struct lmw_frame *f, int run, struct lmw_load out[LMW_LOADS_MAX],
                 struct lmw_arena scratch, struct lmw_err *err);

#endif
