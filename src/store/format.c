/* Which format a file has, and the plain one: a record a line. See format.h.
 *
 * A file is taken for CSV by its name, or because it begins with neither brace nor bracket; for
 * one of the foreign formats by fields of its first object that only it has, unless a map says
 * what its fields are; for `json`, an array of records, by its bracket. What stands between the
 * cells of a CSV is the comma, semicolon or tab that its first line has most of. That a file is
 * Parquet, or packed, its stream tells by its first bytes. */
#include "store/foreign.h"
#include "store/map.h"

#include <stdio.h>
#include <stdlib.h>

static int read_jsonl(struct feed *s, lmw_str line, take_fn *take, void *arg, struct lmw_err *err)
{
    struct lmw_record r;
    if (s->map)
        return lmw_table_read_object(s, line, take, arg, err);
    int rc = lmw_record_parse(&r, line, s->arena, err);
    if (rc == LMW_EFORMAT && lmw_foreign_mend(&line, s->arena))
        rc = lmw_record_parse(&r, line, s->arena, err);
    return rc < 0 ? rc : take(arg, &r, r.model, err);
}

static const struct format formats[] = {
    {"jsonl", PIECE_LINE, read_jsonl, NULL},
    {"csv", PIECE_ROW, lmw_csv_read, NULL},
    {"json", PIECE_OBJECT, read_jsonl, NULL},
    {"parquet", PIECE_LINE, lmw_table_read_object, NULL}, /* rows come as JSON lines */
    {"lm-eval", PIECE_OBJECT, lmw_lm_eval_read, lmw_is_lm_eval},
    {"llama-bench", PIECE_OBJECT, lmw_llama_bench_read, lmw_is_llama_bench},
    {"ipw", PIECE_OBJECT, lmw_ipw_read, lmw_is_ipw},
};
enum { JSONL, CSV, JSON, PARQUET, N_FORMAT = sizeof formats / sizeof *formats };

static const struct format *format_of(lmw_str text)
{
    struct lmw_json j = {text.ptr, text.ptr + text.len, NULL};
    struct lmw_json_value first;
    bool is_whole = lmw_json_value(&j, &first) && first.kind == LMW_JSON_OBJECT;
    for (int i = 0; i < N_FORMAT && is_whole; i++) {
        if (formats[i].is_it && formats[i].is_it(&first))
            return &formats[i];
    }
    return NULL;
}

/* By the first object of the text. */
static const struct format *foreign_format(lmw_str text)
{
    const struct format *f = format_of(text);
    struct lmw_arena arena;
    if (f || lmw_arena_open(&arena, 2 * text.len + 4096, NULL) < 0)
        return f;
    if (lmw_foreign_mend(&text, &arena))
        f = format_of(text);
    lmw_arena_close(&arena);
    return f;
}

static const struct format *recognise(const struct feed *s, bool is_mapped)
{
    lmw_str text = lmw_str_trim(lmw_reader_peek(&s->in));
    bool is_array = text.len > 0 && *text.ptr == '[';
    lmw_str name = lmw_str_stem(lmw_str_stem(lmw_str_from(s->name), ".gz"), ".zst");
    bool is_parquet = lmw_stream_is_parquet(&s->in.stream);
    if (!is_parquet && (lmw_str_ends(name, ".csv") || lmw_str_ends(name, ".tsv") ||
                        (text.len > 0 && !is_array && *text.ptr != '{')))
        return &formats[CSV];
    if (is_array)
        text = lmw_str_trim((lmw_str){text.ptr + 1, text.len - 1});
    const struct format *foreign = is_mapped ? NULL : foreign_format(text);
    return foreign ? foreign : &formats[is_parquet ? PARQUET : is_array ? JSON : JSONL];
}

static int find_format(struct feed *s, const char *name, bool is_mapped, struct lmw_err *err)
{
    struct lmw_buf known = {0};
    for (int i = 0; name && i < N_FORMAT; i++) {
        if (strcmp(formats[i].name, name) == 0)
            s->format = &formats[i];
        lmw_buf_printf(&known, "%s%s", i ? ", " : "", formats[i].name);
    }
    if (!name)
        s->format = recognise(s, is_mapped);
    if (s->format == &formats[JSONL] && lmw_stream_is_parquet(&s->in.stream))
        s->format = &formats[PARQUET];
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

/* What stands between the cells of the first line. */
static char separator_of(lmw_str text)
{
    const char *end = memchr(text.ptr, '\n', text.len);
    lmw_str line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
    char best = ',';
    for (const char *c = "\t;"; *c; c++)
        best = lmw_str_count(line, *c) > lmw_str_count(line, best) ? *c : best;
    return best;
}

/* Files that hold records, but not as text. */
static int check_text(const struct feed *s, struct lmw_err *err)
{
    static const struct {
        const char *bytes, *is, *what_to_do;
    } kinds[] = {
        {"SQLite format 3", "an SQLite file", "a store of lmwatt is read with --store"},
        {"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE | lmwatt import - ..."},
    };
    lmw_str text = lmw_reader_peek(&s->in);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (lmw_str_starts(text, kinds[i].bytes))
            return lmw_fail(err, LMW_EFORMAT, "%s is %s: %s", s->in.name, kinds[i].is,
                            kinds[i].what_to_do);
    }
    return LMW_OK;
}

static int open_map(struct feed *s, const char *list, struct lmw_err *err)
{
    const struct format *f = s->format;
    if (f > &formats[PARQUET])
        return lmw_fail(err, LMW_EARG,
                        "a map is for csv, jsonl, json and parquet: %s knows its columns",
                        f->name);
    if (!(s->map = malloc(sizeof *s->map)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for a map");
    return lmw_map_parse(s->map, list, f == &formats[CSV], err);
}

int lmw_feed_open(struct feed *s, const char *path, const char *name, const char *map,
                  struct lmw_err *err)
{
    *s = (struct feed){.in.stream.fd = -1};
    int rc = lmw_reader_open(&s->in, path, err);
    if (rc < 0)
        return rc;
    split_path(s, path);
    if ((rc = check_text(s, err)) == LMW_OK &&
        (rc = lmw_stream_check_parquet(&s->in.stream, path, name, err)) < 0)
        lmw_wrap(err, "%.200s", s->in.name);
    if (rc == LMW_OK && (rc = find_format(s, name, map != NULL, err)) == LMW_OK &&
        (map || s->format == &formats[PARQUET]))
        rc = open_map(s, map, err);
    if (rc == LMW_OK && s->format == &formats[CSV])
        s->in.separator = separator_of(lmw_reader_peek(&s->in));
    if (rc < 0)
        lmw_feed_close(s);
    return rc;
}

void lmw_feed_close(struct feed *s)
{
    lmw_reader_close(&s->in);
    lmw_buf_free(&s->text);
    lmw_buf_free(&s->cell);
    lmw_csv_close(s);
    free(s->map);
}
