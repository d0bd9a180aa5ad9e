/* One arena for all of a program's tests, each of which reads into a copy of it. */
#ifndef LMW_TESTS_WORKLOAD_ARENA_H
#define LMW_TESTS_WORKLOAD_ARENA_H

#include "workload/workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct lmw_arena arena;

static int setup(void **state)
{
    return lmw_arena_open(&arena, (size_t)256 << 20, NULL);
}

static int teardown(void **state)
{
    lmw_arena_close(&arena);
    return 0;
}

#endif
