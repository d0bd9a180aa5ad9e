/* The thread pool: every share runs exactly once, results are visible to the caller, rounds in
 * quick succession and after the workers went to sleep. */
#include "base/clock.h"
#include "base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MOST = 8 };

struct job {
    int64_t per_thread[MOST]; /* plain integers: the pool's own ordering must make them visible */
    int n_thread;
};

static void add(void *arg, int i, int n)
{
    struct job *j = arg;
    j->per_thread[i]++;
    if (i == 0)
        j->n_thread = n;
}

static void every_share_once(void **state)
{
    for (int n = 1; n <= MOST; n++) {
        struct lmw_pool *p;
        struct job j = {0};
        assert_int_equal(lmw_pool_open(&p, n, NULL), 0);
        assert_int_equal(lmw_pool_size(p), n);
        for (int round = 1; round <= 2000; round++) {
            lmw_pool_run(p, add, &j);
            assert_int_equal(j.n_thread, n);
            for (int i = 0; i < n; i++)
                assert_int_equal(j.per_thread[i], round);
        }
        lmw_pool_close(p);
    }
}

static void wakes_sleeping_workers(void **state)
{
    struct lmw_pool *p;
    struct job j = {0};
    assert_int_equal(lmw_pool_open(&p, 3, NULL), 0);
    for (int round = 1; round <= 20; round++) {
        lmw_sleep_until_ns(lmw_now_ns() + 3000000);
        lmw_pool_run(p, add, &j);
        assert_int_equal(j.per_thread[2], round);
    }
    lmw_pool_close(p);
    lmw_pool_close(NULL);
}

struct relay {
    struct lmw_barrier barrier;
    int baton[8]; /* plain: only the barrier orders it */
    int n_wrong[8];
};

/* Everyone writes, all meet, everyone looks at a neighbour's, all meet; some come late enough to
 * find the others asleep. */
static void run_relay(void *arg, int i, int n)
{
    struct relay *r = arg;
    for (int round = 1; round <= 300; round++) {
        r->baton[i] = round;
        if (round % 100 == i)
            lmw_sleep_until_ns(lmw_now_ns() + 2000000);
        lmw_barrier_wait(&r->barrier, n);
        r->n_wrong[i] += r->baton[(i + 1) % n] != round;
        lmw_barrier_wait(&r->barrier, n);
    }
}

static void threads_meet_at_the_barrier(void **state)
{
    for (int n = 1; n <= 5; n++) {
        struct lmw_pool *p;
        struct relay r = {0};
        assert_int_equal(lmw_pool_open(&p, n, NULL), 0);
        lmw_pool_run(p, run_relay, &r);
        lmw_pool_run(p, run_relay, &r);
        for (int i = 0; i < n; i++)
            assert_int_equal(r.n_wrong[i], 0);
        lmw_pool_close(p);
    }
}

static void shares_cover_everything_once(void **state)
{
    for (int n_thread = 1; n_thread <= 7; n_thread++) {
        for (int64_t n = 0; n < 40; n++) {
            int64_t at = 0, from, to;
            for (int i = 0; i < n_thread; i++) {
                lmw_pool_share(n, 4, i, n_thread, &from, &to);
                assert_int_equal(from, at);
                assert_true(to >= from && (to % 4 == 0 || to == n));
                at = to;
            }
            assert_int_equal(at, n);
        }
    }
}

static void too_many_threads_is_an_error(void **state)
{
    struct lmw_pool *p;
    struct lmw_err err;
    assert_int_equal(lmw_pool_open(&p, 100000, &err), LMW_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_share_once),
        cmocka_unit_test(wakes_sleeping_workers),
        cmocka_unit_test(threads_meet_at_the_barrier),
        cmocka_unit_test(shares_cover_everything_once),
        cmocka_unit_test(too_many_threads_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
