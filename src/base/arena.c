/* Arenas over reserved address space (MAP_NORESERVE): the kernel commits pages when they are
 * touched, so reserving generously is free and an arena never moves. Every allocation is cleared,
 * because a by-value scratch copy leaves used bytes behind that the arena cannot tell from fresh
 * pages. */
#include "base/arena.h"

#include <string.h>
#include <sys/mman.h>

int lmw_arena_open(struct lmw_arena *a, size_t size, struct lmw_err *err)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    *a = (struct lmw_arena){0};
    if (p == MAP_FAILED)
        return lmw_fail(err, LMW_ENOMEM, "cannot reserve %zu MiB of address space", size >> 20);
    a->base = a->beg = p;
    a->end = a->base + size;
    return LMW_OK;
}

void lmw_arena_close(struct lmw_arena *a)
{
    if (a->base)
        munmap(a->base, (size_t)(a->end - a->base));
    *a = (struct lmw_arena){0};
}

void *lmw_arena_alloc(struct lmw_arena *a, size_t n, size_t size, size_t align)
{
    size_t bytes, pad = (size_t)(-(uintptr_t)a->beg & (align - 1));
    size_t left = (size_t)(a->end - a->beg);
    if (__builtin_mul_overflow(n, size, &bytes) || pad > left || bytes > left - pad)
        return NULL;
    uint8_t *p = a->beg + pad;
    a->beg = p + bytes;
    return memset(p, 0, bytes);
}

char *lmw_arena_str(struct lmw_arena *a, lmw_str s)
{
    char *p = s.len == SIZE_MAX ? NULL : lmw_arena_alloc(a, s.len + 1, 1, 1);
    if (p && s.len)
        memcpy(p, s.ptr, s.len);
    return p;
}
