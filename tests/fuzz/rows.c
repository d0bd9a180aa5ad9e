/* Rows of every format: the first byte says which. Whatever the bytes, the reader ends with a
 * count or an error, reads the same again after a rewind, and the same queries when they are
 * shuffled. */
#include <stdint.h>
#include <stdlib.h>

#include "workload/workload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All queries' ids and prompts as one number, whatever their order. */
static uint64_t read_all(struct lmw_workload *w, struct lmw_arena arena, int *rc)
{
    uint64_t hash = 0;
    struct lmw_record r;

    for (struct lmw_arena row = arena; (*rc = lmw_workload_next(w, &r, &row, NULL)) > 0;
         row = arena) {
        if (!r.query_id[0] || !r.prompt[0])
            abort();
        hash += lmw_str_hash_more(lmw_str_hash(lmw_str_from(r.query_id)), lmw_str_from(r.prompt));
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct lmw_workload_opts how[] = {
        {.format = "csv"},
        {.format = "tsv", .map = "prompt=q,query_id=#"},
        {.format = "csv", .columns = "prompt,reference,score", .map = "query_id=#"},
        {.format = "json"},
        {.format = "json", .map = "prompt=0.q,reference=1,query_id=#"},
        {.format = "jsonl", .map = "prompt=a.b.0,choices=c"},
    };
    struct lmw_arena arena;
    struct lmw_workload *w;
    int first, again;

    if (size == 0 || lmw_arena_open(&arena, (size_t)64 << 20, NULL) < 0)
        return 0;
    const struct lmw_workload_opts *o = &how[data[0] % (sizeof how / sizeof *how)];
    lmw_str bytes = {(const char *)data + 1, size - 1};
    if (lmw_workload_open_bytes_as(&w, bytes, "fuzz", o, NULL) == 0) {
        uint64_t hash = read_all(w, arena, &first);
        lmw_workload_rewind(w);
        if (read_all(w, arena, &again) != hash || first != again)
            abort();
        if (first == 0 && (lmw_workload_shuffle(w, size, NULL) < 0 ||
                           read_all(w, arena, &again) != hash || again != 0))
            abort();
        lmw_workload_close(w);
    }
    lmw_arena_close(&arena);
    return 0;
}
