/* Workload files: whatever the bytes, the reader ends with a count or an error, and every query it
 * accepted has an id and a prompt and can be written and read again. */
#include <stdint.h>
#include <stdlib.h>

#include "workload/workload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const struct lmw_record *r, struct lmw_arena arena)
{
    struct lmw_buf line = {0};
    struct lmw_workload *w;
    struct lmw_record again;

    if (lmw_workload_format(r, &line, NULL) < 0 ||
        lmw_workload_open_bytes(&w, (lmw_str){line.ptr, line.len}, "again", NULL) < 0)
        abort();
    if (lmw_workload_next(w, &again, &arena, NULL) != 1 ||
        strcmp(again.query_id, r->query_id) != 0 || strcmp(again.prompt, r->prompt) != 0)
        abort();
    lmw_workload_close(w);
    lmw_buf_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lmw_arena arena;
    struct lmw_workload *w;
    struct lmw_record r;
    int rc;

    if (lmw_arena_open(&arena, (size_t)64 << 20, NULL) < 0)
        return 0;
    if (lmw_workload_open_bytes(&w, (lmw_str){(const char *)data, size}, "fuzz", NULL) == 0) {
        for (struct lmw_arena row = arena; (rc = lmw_workload_next(w, &r, &row, NULL)) > 0;
             row = arena) {
            if (!r.query_id[0] || !r.prompt[0])
                abort();
            read_back(&r, row);
        }
        if (rc < 0 && lmw_workload_next(w, &r, &arena, NULL) != rc)
            abort();
        lmw_workload_close(w);
    }
    lmw_arena_close(&arena);
    return 0;
}
