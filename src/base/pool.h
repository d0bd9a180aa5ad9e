/* A thread pool for one caller: fork, run, join, many thousand times a second.
 *
 * lmw_pool_run() calls fn(arg, i, n) once for each i in 0..n-1, i = 0 on the
 * calling thread, and returns when all are done. Workers spin briefly between
 * calls, then sleep, so an idle pool costs no joules. fn must not call the pool. */
#ifndef LMW_BASE_POOL_H
#define LMW_BASE_POOL_H

#include "base/err.h"

#include <stdint.h>

struct lmw_pool;
typedef void lmw_pool_fn(void *arg, int i_thread, int n_thread);

/* n_thread <= 0: one per processor this process may run on. */
int lmw_pool_open(struct lmw_pool **out, int n_thread, struct lmw_err *err);
void lmw_pool_close(struct lmw_pool *p);
int lmw_pool_size(const struct lmw_pool *p);
void lmw_pool_run(struct lmw_pool *p, lmw_pool_fn *fn, void *arg);

/* Where the n threads of one run meet: each waits until the last has come. Zeroed is ready. Spins
 * for some microseconds, then sleeps, so that threads without a core of their own do not hold each
 * other up. */
struct lmw_barrier {
    _Alignas(64) _Atomic uint32_t n_arrived;
    _Alignas(64) _Atomic uint32_t round;
    _Atomic uint32_t n_asleep;
};
void lmw_barrier_wait(struct lmw_barrier *b, int n);

/* The part [*from, *to) of n items that thread i of n_thread owns, in units of `step`. */
static inline void lmw_pool_share(int64_t n, int64_t step, int i, int n_thread, int64_t *from,
                                  int64_t *to)
{
    int64_t units = (n + step - 1) / step;
    *from = units * i / n_thread * step;
    *to = units * (i + 1) / n_thread * step;
    if (*from > n)
        *from = n;
    if (*to > n)
        *to = n;
}

#endif
