/* Writing a workload: records as JSON lines, packed as the file's name says. */
#include <math.h>
#include <stdlib.h>

#include "stream/pack.h"
#include "workload/workload.h"

/* ---- a record as a line ---- */

static void put_text(struct lmw_buf *b, const char *s)
{
    lmw_buf_str(b, "\"");
    while (*s) {
        size_t n = 0;
        while ((unsigned char)s[n] >= 0x20 && s[n] != '"' && s[n] != '\\')
            n++;
        lmw_buf_put(b, s, n);
        s += n;
        if (!*s)
            break;
        if (*s == '"' || *s == '\\')
            lmw_buf_printf(b, "\\%c", *s);
        else if (*s == '\n')
            lmw_buf_str(b, "\\n");
        else
            lmw_buf_printf(b, "\\u%04x", (unsigned)(unsigned char)*s);
        s++;
    }
    lmw_buf_str(b, "\"");
}

static bool is_absent(const void *at, enum lmw_column_kind kind)
{
    switch (kind) {
    case LMW_COL_TEXT:
    case LMW_COL_JSON: return !*(const char *const *)at;
    case LMW_COL_REAL: return !isfinite(*(const double *)at); /* JSON has no infinity */
    default: return *(const int64_t *)at == LMW_NULL;
    }
}

static void put_field(struct lmw_buf *b, const struct lmw_record *r, const struct lmw_column *c)
{
    const void *at = (const char *)r + c->offset;

    if (is_absent(at, c->kind))
        return;
    lmw_buf_printf(b, "%s\"%s\":", b->failed || b->ptr[b->len - 1] == '{' ? "" : ",", c->name);
    switch (c->kind) {
    case LMW_COL_TEXT: put_text(b, *(const char *const *)at); break;
    case LMW_COL_JSON: lmw_buf_str(b, *(const char *const *)at); break;
    case LMW_COL_REAL: lmw_buf_printf(b, "%.17g", *(const double *)at); break;
    default: lmw_buf_printf(b, "%lld", (long long)*(const int64_t *)at); break;
    }
}

int lmw_workload_format(const struct lmw_record *r, struct lmw_buf *out, struct lmw_err *err)
{
    lmw_str extra = lmw_str_trim(lmw_str_from(r->extra ? r->extra : "{}"));

    if (!r->query_id || !r->query_id[0] || !r->prompt)
        return lmw_fail(err, LMW_EARG, "a workload row needs a query_id and a prompt");
    if (extra.len < 2 || extra.ptr[0] != '{' || extra.ptr[extra.len - 1] != '}')
        return lmw_fail(err, LMW_EARG, "query '%.64s': extra is not a JSON object", r->query_id);
    lmw_buf_str(out, "{");
    for (const struct lmw_column *c = lmw_columns; c->name; c++)
        put_field(out, r, c);
    extra = lmw_str_trim((lmw_str){extra.ptr + 1, extra.len - 2});
    if (extra.len > 0) {
        lmw_buf_str(out, ",");
        lmw_buf_put(out, extra.ptr, extra.len);
    }
    lmw_buf_str(out, "}\n");
    return out->failed ? lmw_fail(err, LMW_ENOMEM, "out of memory writing a workload") : 0;
}

/* ---- a file of them ---- */

struct lmw_workload_writer {
    struct lmw_packer *packer;
    struct lmw_buf line;
};

int lmw_workload_writer_open(struct lmw_workload_writer **out, FILE *f, const char *name,
                             struct lmw_err *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    int rc = lmw_packer_open(&(*out)->packer, f, name, err);
    if (rc < 0) {
        lmw_workload_writer_close(*out);
        *out = NULL;
    }
    return rc;
}

int lmw_workload_write(struct lmw_workload_writer *w, const struct lmw_record *r,
                       struct lmw_err *err)
{
    w->line.len = 0;
    int rc = lmw_workload_format(r, &w->line, err);
    if (rc == 0 && (rc = lmw_pack(w->packer, (lmw_str){w->line.ptr, w->line.len}, err)) < 0)
        lmw_wrap(err, "the workload");
    return rc;
}

int lmw_workload_writer_finish(struct lmw_workload_writer *w, struct lmw_err *err)
{
    int rc = lmw_packer_finish(w->packer, err);
    return rc < 0 ? lmw_wrap(err, "the workload") : rc;
}

void lmw_workload_writer_close(struct lmw_workload_writer *w)
{
    if (!w)
        return;
    lmw_packer_close(w->packer);
    lmw_buf_free(&w->line);
    free(w);
}
