/* Files of records, whatever their format and bytes: reading ends with records or an error, and
 * each record can be written as JSON and as CSV and is the same when it is read again. The first
 * byte chooses the format; the rest is the file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_bytes(const void *bytes, size_t n, const char *format, const char *map,
                      take_list_fn *take, void *arg)
{
    struct feed feed;
    struct lmw_err err;
    char path[40];
    int fd = memfd_create("records", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int rc = lmw_feed_open(&feed, path, format, map, &err);
    if (rc == LMW_OK) {
        rc = lmw_feed_read(&feed, take, arg, &err);
        lmw_feed_close(&feed);
    }
    close(fd);
    return rc;
}

static void compare(const char *text, const struct lmw_record *r)
{
    struct lmw_buf again = {0};
    lmw_record_put(&again, r);
    if (strcmp(again.ptr, text) != 0)
        abort();
    lmw_buf_free(&again);
}

static int compare_all(void *arg, struct incoming *first, struct incoming **at,
                       struct lmw_err *err)
{
    for (; first; first = first->next)
        compare(arg, &first->r);
    return LMW_OK;
}

/* As a line of JSON through the parser, as a row of CSV through its reader. */
static void check(const struct lmw_record *r)
{
    struct lmw_buf json = {0}, csv = {0};
    struct lmw_arena arena;
    struct lmw_record again;
    if (!*r->query_id)
        return; /* a foreign record's id may be empty; the import refuses it */
    if (lmw_arena_open(&arena, (size_t)64 << 20, NULL) < 0)
        abort();
    lmw_record_put(&json, r);
    if (lmw_record_parse(&again, (lmw_str){json.ptr, json.len}, &arena, NULL) < 0)
        abort();
    compare(json.ptr, &again);
    lmw_csv_put_head(&csv);
    lmw_csv_put(&csv, r);
    if (read_bytes(csv.ptr, csv.len, "csv", NULL, compare_all, json.ptr) < 0)
        abort();
    lmw_arena_close(&arena);
    lmw_buf_free(&json);
    lmw_buf_free(&csv);
}

static int check_all(void *arg, struct incoming *first, struct incoming **at, struct lmw_err *err)
{
    for (; first; first = first->next)
        check(&first->r);
    return LMW_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *format, *map;
    } how[] = {
        {NULL, NULL},
        {"jsonl", NULL},
        {"csv", NULL},
        {"json", NULL},
        {"lm-eval", NULL},
        {"llama-bench", NULL},
        {"ipw", NULL},
        {"csv", "query_id=id,score=*:%,extra=x"},
        {"csv", "query_id=#,run=id,score=*,answer=*|a,energy_uj=kWh:kWh"},
        {"jsonl", "query_id=id,query_id=a.0,score=r.*.ok,latency_ns=r.*.t.1:ms,domain=a.1"},
    };
    const size_t i = size > 0 ? (uint8_t)(data[0] - '0') % (sizeof how / sizeof *how) : 0;
    if (size > 0)
        read_bytes(data + 1, size - 1, how[i].format, how[i].map, check_all, NULL);
    return 0;
}
