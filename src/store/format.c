/* Which format a file has, and the plain one: a record a line. See format.h.
 *
 * A file is taken for CSV by its name, or because it begins with neither brace nor bracket; for one
 * of the foreign formats by fields of its first object that only it has; for `json`, an array of
 * records, by its bracket. */
#include "store/foreign.h"

#include <stdio.h>
#include <stdlib.h>

static int read_jsonl(struct feed *s, lmw_str line, take_fn *take, void *arg, struct lmw_err *err)
{
    struct lmw_record r;
    int rc = lmw_record_parse(&r, line, s->arena, err);
    return rc < 0 ? rc : take(arg, &r, r.model, err);
}

static const struct format formats[] = {
    {"jsonl", PIECE_LINE, read_jsonl, NULL},
    {"csv", PIECE_ROW, lmw_csv_read, NULL},
    {"json", PIECE_OBJECT, read_jsonl, NULL},
    {"lm-eval", PIECE_LINE, lmw_lm_eval_read, lmw_is_lm_eval},
    {"llama-bench", PIECE_OBJECT, lmw_llama_bench_read, lmw_is_llama_bench},
    {"ipw", PIECE_OBJECT, lmw_ipw_read, lmw_is_ipw},
};
enum { JSONL, CSV, JSON, N_FORMAT = sizeof formats / sizeof *formats };

static bool ends_with(lmw_str s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.ptr + s.len - n, end, n) == 0;
}

static const struct format *recognise(const struct feed *s)
{
    lmw_str text = lmw_str_trim(lmw_reader_peek(&s->in));
    bool is_array = text.len > 0 && *text.ptr == '[';
    if (ends_with(lmw_str_from(s->name), ".csv") ||
        (text.len > 0 && !is_array && *text.ptr != '{'))
        return &formats[CSV];
    if (is_array)
        text = lmw_str_trim((lmw_str){text.ptr + 1, text.len - 1});
    struct lmw_json j = {text.ptr, text.ptr + text.len, NULL};
    struct lmw_json_value first;
    bool is_whole = lmw_json_value(&j, &first) && first.kind == LMW_JSON_OBJECT;
    for (int i = 0; i < N_FORMAT && is_whole; i++) {
        if (formats[i].is_it && formats[i].is_it(&first))
            return &formats[i];
    }
    return &formats[is_array ? JSON : JSONL];
}

static int find_format(struct feed *s, const char *name, struct lmw_err *err)
{
    struct lmw_buf known = {0};
    for (int i = 0; name && i < N_FORMAT; i++) {
        if (strcmp(formats[i].name, name) == 0)
            s->format = &formats[i];
        lmw_buf_printf(&known, "%s%s", i ? ", " : "", formats[i].name);
    }
    if (!name)
        s->format = recognise(s);
    int rc = s->format ? LMW_OK
                       : lmw_fail(err, LMW_EARG, "no format '%s' (there are: %s)", name,
                                  known.ptr ? known.ptr : "");
    lmw_buf_free(&known);
    return rc;
}

/* "a/b/c.jsonl" is c.jsonl in b. */
static void split_path(struct feed *s, const char *path)
{
    const char *slash = strrchr(path, '/'), *from = slash;
    while (from && from > path && from[-1] != '/')
        from--;
    snprintf(s->name, sizeof s->name, "%s", slash ? slash + 1 : path);
    snprintf(s->folder, sizeof s->folder, "%.*s", from ? (int)(slash - from) : 0,
             from ? from : "");
}

int lmw_feed_open(struct feed *s, const char *path, const char *name, struct lmw_err *err)
{
    *s = (struct feed){.in.fd = -1};
    int rc = lmw_reader_open(&s->in, path, err);
    if (rc < 0)
        return rc;
    split_path(s, path);
    if ((rc = find_format(s, name, err)) < 0)
        lmw_feed_close(s);
    return rc;
}

void lmw_feed_close(struct feed *s)
{
    lmw_reader_close(&s->in);
    lmw_buf_free(&s->text);
    lmw_buf_free(&s->cell);
    free(s->csv);
}
