/* Rows: which format a file is in, its blocks, and the plainest format, JSON lines. See rows.h.
 *
 * jansson parses each row: it checks UTF-8, refuses NUL in strings and keys given twice, and
 * limits nesting. */
#include "workload/rows.h"

#include <ctype.h>
#include <stdlib.h>

#include "workload/workload.h"

enum { BLOCK = 64 << 10, JUMP_BLOCK = 4 << 10 };

/* ---- bytes ---- */

int lmw_rows_more(struct lmw_rows *r, struct lmw_err *err)
{
    int rc = lmw_stream_read(&r->stream, r->block, r->ask, &r->len, err);
    r->at = 0;
    if (rc < 0)
        r->len = 0;
    return rc < 0 ? rc : r->len > 0;
}

int lmw_rows_too_long(const struct lmw_rows *r, struct lmw_err *err)
{
    if (r->text.failed)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    return lmw_fail(err, LMW_EFORMAT,
                    "over %zu bytes long, at most so many are read; is this file %s?",
                    LMW_WORKLOAD_LINE_MAX,
                    r->ops->is_text ? "CSV, with every quote closed" : "one JSON object a line");
}

bool lmw_rows_put(struct lmw_rows *r, int c)
{
    char byte = (char)c;
    lmw_buf_put(&r->text, &byte, 1);
    return !r->text.failed && r->text.len <= LMW_WORKLOAD_LINE_MAX;
}

/* ---- JSON ---- */

static int not_json(const json_error_t *e, struct lmw_err *err)
{
    if (json_error_code(e) == json_error_invalid_utf8)
        return lmw_fail(err, LMW_EFORMAT,
                        "not valid UTF-8 (%s); convert the file, for example "
                        "with iconv -t UTF-8",
                        e->text);
    if (json_error_code(e) == json_error_duplicate_key)
        return lmw_fail(err, LMW_EFORMAT, "%s; keep one of them", e->text);
    return lmw_fail(err, LMW_EFORMAT,
                    "not JSON: %s (byte %d of the line); each line must be one "
                    "object like {\"query_id\": \"1\", \"prompt\": \"...\"}",
                    e->text, e->position);
}

int lmw_rows_parse(struct lmw_rows *r, lmw_str text, json_t **value, struct lmw_err *err)
{
    json_error_t e;

    *value = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    return *value ? 1 : not_json(&e, err);
}

/* The next line into r->text: 1, 0 at the end, negative. */
static int read_line(struct lmw_rows *r, struct lmw_err *err)
{
    const char *nl = NULL;
    int rc = 1;

    for (r->text.len = 0; !nl;) {
        if (r->at == r->len && (rc = lmw_rows_more(r, err)) <= 0)
            break;
        char *from = r->block + r->at;
        nl = memchr(from, '\n', r->len - r->at);
        size_t n = nl ? (size_t)(nl - from) : r->len - r->at;
        lmw_buf_put(&r->text, from, n);
        r->at += n + (nl != NULL);
        if (r->text.failed || r->text.len > LMW_WORKLOAD_LINE_MAX)
            return lmw_rows_too_long(r, err);
    }
    return rc < 0 ? rc : nl || r->text.len > 0;
}

static int jsonl_next(struct lmw_rows *r, json_t **value, struct lmw_err *err)
{
    int rc;

    while ((r->row_line = ++r->line, r->row_at = lmw_rows_at(r), rc = read_line(r, err)) > 0) {
        lmw_str line = lmw_str_trim((lmw_str){r->text.ptr, r->text.len});
        if (line.len == 0)
            continue;
        if ((rc = lmw_rows_parse(r, line, value, err)) > 0 && !json_is_object(*value)) {
            json_decref(*value);
            return lmw_fail(err, LMW_EFORMAT,
                            "JSON, but not an object; each line must be one object "
                            "like {\"query_id\": \"1\", \"prompt\": \"...\"}");
        }
        return rc;
    }
    return rc;
}

static int jsonl_start(struct lmw_rows *r, struct lmw_err *err)
{
    return 0;
}

static const struct lmw_rows_ops rows_jsonl = {"jsonl", false, jsonl_start, jsonl_next};

/* ---- which format ---- */

/* No line of JSON lines that is a row begins with a bracket: it is one array, called .jsonl. */
static bool is_array(const struct lmw_rows *r)
{
    lmw_str all = lmw_str_trim((lmw_str){r->block + r->at, r->len - r->at});
    return all.len > 0 && *all.ptr == '[';
}

/* JSON lines are often called .json: then a whole object stands on the first line, and something
 * behind it. */
static bool is_lines(const struct lmw_rows *r)
{
    lmw_str all = {r->block + r->at, r->len - r->at};
    const char *nl = memchr(all.ptr, '\n', all.len);

    if (!nl)
        return false;
    lmw_str line = lmw_str_trim((lmw_str){all.ptr, (size_t)(nl - all.ptr)});
    json_t *first = json_loadb(line.ptr, line.len, 0, NULL);
    bool is_object = json_is_object(first);
    json_decref(first);
    return is_object && lmw_str_trim((lmw_str){nl, all.len - (size_t)(nl - all.ptr)}).len > 0;
}

static int choose(struct lmw_rows *r, const char *name, const char *format, struct lmw_err *err)
{
    static const char *const lines[] = {"jsonl", "parquet", NULL};
    lmw_str path = lmw_str_from(name);
    int rc = lmw_stream_check_parquet(&r->stream, name, format, err);

    if (rc < 0)
        return rc;
    if (lmw_stream_is_parquet(&r->stream) &&
        (!format || lmw_str_among(lmw_str_from(format), lines))) {
        r->ops = &rows_jsonl;
        return 0;
    }
    path = lmw_str_stem(lmw_str_stem(path, ".gz"), ".zst");
    r->separator = ',';
    if (format ? strcmp(format, "tsv") == 0 : lmw_str_ends(path, ".tsv"))
        r->separator = '\t', r->ops = &lmw_rows_csv;
    else if (format ? strcmp(format, "csv") == 0 : lmw_str_ends(path, ".csv"))
        r->ops = &lmw_rows_csv;
    else if (format ? strcmp(format, "json") == 0
                    : is_array(r) || (lmw_str_ends(path, ".json") && !is_lines(r)))
        r->ops = &lmw_rows_json;
    else if (!format || strcmp(format, "jsonl") == 0)
        r->ops = &rows_jsonl;
    else
        return lmw_fail(err, LMW_EARG, "no format '%s'; there are jsonl, json, csv, tsv, parquet",
                        format);
    return 0;
}

/* A digit where the pattern has a 0, else its own character. */
static bool is_like(const char *text, const char *pattern)
{
    while (*pattern && (*pattern == '0' ? isdigit((unsigned char)*text) : *text == *pattern))
        text++, pattern++;
    return !*pattern && !*text;
}

/* The Hub calls the parts of a split "test-00000-of-00001", and what they are a split of is their
 * folder's name ("data" where there is but one): "law_test" of "law/test-00000-of-00001.parquet",
 * "train-00003" of "data/train-00003-of-00014.parquet". */
static void name_part(const char *path, const char *slash, char out[64])
{
    static const char pattern[] = "-00000-of-00000";
    size_t n = strlen(out), split = n < sizeof pattern ? 0 : n - (sizeof pattern - 1);
    char name[64];

    if (!split || !is_like(out + split, pattern))
        return;
    const char *from = slash;
    while (from && from > path && from[-1] != '/')
        from--;
    lmw_str folder = {from, slash ? (size_t)(slash - from) : 0};
    if (lmw_str_is(folder, "data") || lmw_str_is(folder, ".") || lmw_str_is(folder, ".."))
        folder.len = 0;
    bool is_only = strcmp(out + n - 5, "00001") == 0;
    snprintf(name, sizeof name, "%.*s%s%.*s", (int)(folder.len < 32 ? folder.len : 32),
             folder.len ? folder.ptr : "", folder.len ? "_" : "",
             (int)(split + (is_only ? 0 : strlen("-00000"))), out);
    memcpy(out, name, sizeof name);
}

void lmw_rows_stem(const char *path, char out[64])
{
    const char *slash = strrchr(path, '/');

    lmw_str name = lmw_utf8_cut(lmw_str_from(slash ? slash + 1 : path), 63);
    name = lmw_str_stem(lmw_str_stem(name, ".gz"), ".zst");
    snprintf(out, 64, "%.*s", LMW_FMT(name));
    char *dot = strrchr(out, '.');
    if (dot && dot != out)
        *dot = 0;
    name_part(path, slash, out);
}

static int start(struct lmw_rows *r, struct lmw_err *err)
{
    r->line = r->row_line = r->n = 0;
    r->at = r->len - lmw_str_unmark((lmw_str){r->block, r->len}).len;
    return 0;
}

int lmw_rows_open(struct lmw_rows *r, struct lmw_stream *stream, const char *name,
                  const char *format, const char *columns, const char *header, struct lmw_err *err)
{
    int rc;

    *r = (struct lmw_rows){.stream = *stream,
                           .columns = columns,
                           .header = header,
                           .ask = BLOCK,
                           .block = malloc(BLOCK)};
    if (!r->block)
        rc = lmw_fail(err, LMW_ENOMEM, "out of memory");
    else if ((rc = lmw_rows_more(r, err)) >= 0 && (rc = start(r, err)) == 0 &&
             (rc = choose(r, name, format, err)) == 0)
        rc = r->ops->start(r, err);
    if (rc < 0)
        lmw_rows_close(r);
    return rc;
}

void lmw_rows_close(struct lmw_rows *r)
{
    lmw_stream_close(&r->stream);
    lmw_buf_free(&r->text);
    lmw_buf_free(&r->cell);
    json_decref(r->names);
    json_decref(r->sections);
    json_decref(r->classes);
    free(r->block);
    r->names = r->sections = r->classes = NULL;
    r->block = NULL;
}

int lmw_rows_rewind(struct lmw_rows *r, struct lmw_err *err)
{
    int rc = lmw_stream_seek(&r->stream, 0, err);

    r->ask = BLOCK;
    if (rc == 0 && (rc = lmw_rows_more(r, err)) >= 0 && (rc = start(r, err)) == 0)
        rc = r->ops->start(r, err);
    return rc;
}

int lmw_rows_next(struct lmw_rows *r, json_t **value, struct lmw_err *err)
{
    int rc = r->ops->next(r, value, err);

    r->n += rc > 0;
    return rc;
}

const char *lmw_rows_section(const struct lmw_rows *r)
{
    const char *name = json_string_value(json_array_get(r->sections, r->section));
    return name && !r->is_page ? name : "";
}

struct lmw_place lmw_rows_place(const struct lmw_rows *r)
{
    return (struct lmw_place){r->row_at, r->section, (uint32_t)r->row_line, (uint32_t)r->n};
}

int lmw_rows_jump(struct lmw_rows *r, struct lmw_place to, struct lmw_err *err)
{
    int rc = lmw_stream_spool(&r->stream, err);

    if (rc < 0 || (rc = lmw_stream_seek(&r->stream, to.at, err)) < 0)
        return rc;
    r->at = r->len = 0;
    r->ask = JUMP_BLOCK; /* rows are far from each other now */
    r->line = to.line - 1;
    r->n = (int64_t)to.n - 1;
    r->section = to.section;
    r->in_array = true;
    return 0;
}
