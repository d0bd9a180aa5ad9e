/* The one list of kernel levels: a new one is a file and a row here. Each level overwrites what it
 * improves over the levels above it, so order is from the plainest to the widest. */
#include "engine/kernels/kernels.h"

#include "base/cpu.h"

const struct lmw_level lmw_levels[] = {
    {"ref", 0, lmw_fill_ref},
#if defined(__x86_64__)
    {"avx2", LMW_CPU_AVX2, lmw_fill_avx2},
#endif
    {NULL, 0, NULL},
};

void lmw_kernels_init(struct lmw_kernels *k, uint32_t flags)
{
    *k = (struct lmw_kernels){0};
    for (const struct lmw_level *l = lmw_levels; l->name; l++) {
        if ((l->cpu_flags & flags) != l->cpu_flags)
            continue;
        l->fill(k);
        k->level = l->name;
    }
}
