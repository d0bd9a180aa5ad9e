/* An arena and an empty file, for the tests of route that write one. */
#ifndef LMW_TESTS_ROUTE_SCRATCH_H
#define LMW_TESTS_ROUTE_SCRATCH_H

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct scratch {
    struct lmw_arena arena;
    char path[64];
};

static inline void scratch_open(struct scratch *s)
{
    struct lmw_err err;
    assert_int_equal(lmw_arena_open(&s->arena, (size_t)1 << 32, &err), 0);
    snprintf(s->path, sizeof s->path, "/tmp/lmw-route-XXXXXX");
    int fd = mkstemp(s->path);
    assert_true(fd >= 0);
    close(fd);
}

static inline void scratch_close(struct scratch *s)
{
    unlink(s->path);
    lmw_arena_close(&s->arena);
}

#endif
