/* Arenas: the three lifetimes of lmwatt (model, session, scratch).
 *
 * lmw_arena_open() reserves address space; pages are committed by the kernel as
 * they are touched, so a generous size costs nothing. Allocation is a pointer
 * bump and returns zeroed memory, or NULL when the arena is full. A function
 * that returns memory takes `struct lmw_arena *`; one that only needs temporary
 * memory takes `struct lmw_arena` by value: leaving its scope frees it.
 * (Memory reused through a by-value copy is zeroed again by the allocation.)
 * Not thread-safe: one arena, one thread. */
#ifndef LMW_BASE_ARENA_H
#define LMW_BASE_ARENA_H

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct lmw_arena {
    uint8_t *base; /* start of the mapping */
    uint8_t *beg;  /* next free byte */
    uint8_t *end;
};

int lmw_arena_open(struct lmw_arena *a, size_t size, struct lmw_err *err);
void lmw_arena_close(struct lmw_arena *a); /* a zeroed arena is fine */
/* n * size bytes, zeroed, aligned to `align` (a power of two); NULL when full or on overflow. */
void *lmw_arena_alloc(struct lmw_arena *a, size_t n, size_t size, size_t align);
/* A NUL-terminated copy; NULL when full. */
char *lmw_arena_str(struct lmw_arena *a, lmw_str s);
static inline size_t lmw_arena_used(const struct lmw_arena *a)
{
    return (size_t)(a->beg - a->base);
}

/* 64-byte alignment for everything: a cache line, and enough for any vector unit. */
#define LMW_NEW(arena, type, n) ((type *)lmw_arena_alloc((arena), (n), sizeof(type), 64))

#endif
