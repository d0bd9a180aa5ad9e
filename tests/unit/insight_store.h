/* A store in a temporary folder, and records put into it in one line: for the tests of insight and
 * of what stands on it. */
#ifndef LMW_TESTS_INSIGHT_STORE_H
#define LMW_TESTS_INSIGHT_STORE_H

#include "insight/insight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct fixture {
    char dir[64], path[96];
    struct lmw_store *store;
    struct lmw_arena arena;
    struct lmw_err err;
    int n;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/lmw-insight-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/t.db", f->dir);
    assert_int_equal(lmw_arena_open(&f->arena, (size_t)8 << 30, &f->err), 0);
    assert_int_equal(lmw_store_open(&f->store, f->path, &f->err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char rm[160];
    lmw_store_close(f->store);
    lmw_arena_close(&f->arena);
    snprintf(rm, sizeof rm, "rm -r %s", f->dir);
    assert_int_equal(system(rm), 0);
    free(f);
    return 0;
}

static int64_t run(struct fixture *f, const char *name)
{
    bool resumed;
    struct lmw_run r = lmw_run_named(name, "0123456789abcdef", "2026-11-21T00:00:00Z");
    assert_int_equal(lmw_store_begin_run(f->store, &r, &resumed, &f->err), 0);
    return r.id;
}

/* A record with nothing but its question, and a score; fill in the rest and put() it. */
static inline struct lmw_record answer(const char *query_id, double score)
{
    struct lmw_record r;
    lmw_record_clear(&r);
    r.query_id = query_id;
    r.repeat = 0;
    r.score = score;
    return r;
}

static inline void put(struct fixture *f, int64_t run_id, const struct lmw_record *r)
{
    if (lmw_store_add(f->store, run_id, r, &f->err) < 0)
        fail_msg("%s", f->err.msg);
}

static inline void metered(struct lmw_record *r, double joules, double seconds)
{
    r->energy_valid = 1;
    r->energy_uj = (int64_t)llround(joules * 1e6);
    r->latency_ns = (int64_t)llround(seconds * 1e9);
}

static inline void assert_near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fmax(fabs(want), 1e-300)))
        fail_msg("%.17g is not %.17g", got, want);
}

#endif
