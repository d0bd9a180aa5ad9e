/* A Parquet file as a codec: its footer, its row groups, and its rows as JSON lines. See
 * parquet.h.
 *
 * The footer is read whole and kept as it is; of its row groups, of which there may be thousands,
 * only the one that is read is looked at. Hugging Face's libraries leave a data set's features in
 * the footer's key "huggingface": where a column holds classes by number, they name them. */
#include "stream/parquet/parquet.h"

#include <stdlib.h>

/* A schema is small; this much address space is reserved for it, not memory. */
enum { ARENA = 64 << 20 };
enum { MAGIC = 4, TAIL = 8 }; /* "PAR1"; the footer's length and "PAR1" */

static const char fetch_again[] = "was the file copied whole? Fetch it again";

/* ---- the footer ---- */

struct places {
    struct lmw_thrift schema, groups, pairs; /* .at NULL: not there */
    struct lmw_thrift_field schema_field, groups_field, pairs_field;
    bool is_encrypted;
};

/* Where its parts are: what columns mean stands behind them. */
static void find_parts(struct lmw_thrift *t, struct places *p)
{
    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f); lmw_thrift_skip(t, &f)) {
        if (f.id == 2)
            p->schema = *t, p->schema_field = f;
        else if (f.id == 4)
            p->groups = *t, p->groups_field = f;
        else if (f.id == 5)
            p->pairs = *t, p->pairs_field = f;
        p->is_encrypted |= f.id == 8;
    }
}

/* {"info": {"features": {"label": {"names": ["no", "yes"], ...}}}} */
static void read_features(struct lmw_pq *q, lmw_str text)
{
    json_t *all = json_loadb(text.ptr, text.len, 0, NULL);

    json_decref(q->features);
    q->features = json_incref(json_object_get(json_object_get(all, "info"), "features"));
    json_decref(all);
}

static void read_pairs(struct lmw_pq *q, struct places *p)
{
    size_t n = p->pairs.at ? lmw_thrift_structs(&p->pairs, &p->pairs_field) : 0;

    for (; n > 0 && !p->pairs.failed; n--) {
        lmw_str key = {0}, value = {0};
        for (struct lmw_thrift_field f = {0}; lmw_thrift_next(&p->pairs, &f);)
            if (f.id == 1)
                key = lmw_thrift_bytes(&p->pairs, &f);
            else if (f.id == 2)
                value = lmw_thrift_bytes(&p->pairs, &f);
            else
                lmw_thrift_skip(&p->pairs, &f);
        if (lmw_str_is(key, "huggingface") && value.len)
            read_features(q, value);
    }
}

static int parse_footer(struct lmw_pq *q, struct lmw_err *err)
{
    const uint8_t *from = (const uint8_t *)q->footer.ptr;
    struct lmw_thrift t = {.at = from, .end = from + q->footer.len};
    struct places p = {0};

    find_parts(&t, &p);
    if (!t.failed && p.is_encrypted)
        return lmw_fail(err, LMW_EUNSUPPORTED,
                        "this Parquet file is encrypted; write it in the clear first");
    if (!t.failed && p.schema.at && p.groups.at) {
        read_pairs(q, &p);
        q->n_groups = lmw_thrift_structs(&p.groups, &p.groups_field);
        q->groups = p.groups;
        int rc = lmw_pq_schema(q, &p.schema, &p.schema_field, err);
        if (rc < 0)
            return rc;
    }
    if (t.failed || !p.schema.at || !p.groups.at || p.schema.failed || p.groups.failed)
        return lmw_fail(err, LMW_EFORMAT, "the footer of this Parquet file makes no sense; %s",
                        fetch_again);
    return 0;
}

static int read_footer(struct lmw_pq *q, struct lmw_err *err)
{
    char tail[TAIL];
    int rc = lmw_stream_source_size(q->source, &q->size, err);

    if (rc < 0)
        return rc;
    if (q->size < MAGIC + TAIL)
        return lmw_fail(err, LMW_EFORMAT, "this Parquet file is only %lld bytes long; %s",
                        (long long)q->size, fetch_again);
    if ((rc = lmw_stream_source(q->source, q->size - TAIL, tail, TAIL, err)) < 0)
        return rc;
    int64_t length = (int64_t)lmw_pq_number(tail, 4);
    if (memcmp(tail + 4, "PAR1", MAGIC) != 0)
        return lmw_fail(err, LMW_EFORMAT, "this Parquet file does not end in 'PAR1'; %s",
                        fetch_again);
    if (length > q->size - TAIL - MAGIC)
        return lmw_fail(err, LMW_EFORMAT,
                        "the footer of this Parquet file would be %lld bytes long, the file is "
                        "%lld; %s",
                        (long long)length, (long long)q->size, fetch_again);
    q->footer_at = q->size - TAIL - length;
    q->footer = (lmw_str){malloc(length ? (size_t)length : 1), (size_t)length};
    if (!q->footer.ptr)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    return lmw_stream_source(q->source, q->footer_at, (char *)(uintptr_t)q->footer.ptr,
                             q->footer.len, err);
}

/* ---- row groups ---- */

static void read_chunk(struct lmw_thrift *t, struct lmw_pq_column *c, int64_t *type)
{
    int64_t dictionary_at = 0;

    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);)
        if (f.id == 1)
            *type = lmw_thrift_int(t, &f);
        else if (f.id == 4)
            c->codec = (int)lmw_thrift_int(t, &f);
        else if (f.id == 5)
            c->left = lmw_thrift_int(t, &f);
        else if (f.id == 9)
            c->at = lmw_thrift_int(t, &f);
        else if (f.id == 11)
            dictionary_at = lmw_thrift_int(t, &f);
        else
            lmw_thrift_skip(t, &f);
    if (dictionary_at > 0 && dictionary_at < c->at) /* some writers say 0 where there is none */
        c->at = dictionary_at;
}

static int begin_column(struct lmw_pq *q, struct lmw_thrift *t, struct lmw_pq_column *c,
                        struct lmw_err *err)
{
    bool is_elsewhere = false, is_encrypted = false;
    int64_t type = -1;

    c->at = c->left = c->page_left = 0;
    c->is_ahead = c->has_dictionary = false;
    c->codec = -1;
    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);) {
        is_elsewhere |= f.id == 1;
        is_encrypted |= f.id == 8;
        if (f.id == 3 && lmw_thrift_struct(t, &f))
            read_chunk(t, c, &type);
        else
            lmw_thrift_skip(t, &f);
    }
    c->page_at = c->at;
    if (is_elsewhere || is_encrypted)
        return lmw_fail(err, LMW_EUNSUPPORTED, "row group %zu, column '%.100s' is %s", q->group,
                        c->path,
                        is_encrypted ? "encrypted; write the file in the clear first"
                                     : "in another file; write them as one first");
    if (t->failed || type != c->type || c->left < 0 ||
        (c->left > 0 && (c->at < MAGIC || c->at > q->footer_at)))
        return lmw_fail(err, LMW_EFORMAT,
                        "row group %zu, column '%.100s': what the footer says of it makes no "
                        "sense; %s",
                        q->group, c->path, fetch_again);
    return lmw_pq_codec_check(q, c, err);
}

static int begin_columns(struct lmw_pq *q, struct lmw_thrift *t, const struct lmw_thrift_field *f,
                         struct lmw_err *err)
{
    size_t n = lmw_thrift_structs(t, f);
    int rc = 0;

    if (n != q->n_columns)
        return lmw_fail(err, LMW_EFORMAT, "row group %zu has %zu columns, the schema %zu; %s",
                        q->group, n, q->n_columns, fetch_again);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = begin_column(q, t, &q->column[i], err);
    return rc;
}

static int begin_group(struct lmw_pq *q, struct lmw_err *err)
{
    struct lmw_thrift *t = &q->group_at;
    bool has_columns = false;
    int rc = 0;

    q->rows_left = -1;
    for (struct lmw_thrift_field f = {0}; rc == 0 && lmw_thrift_next(t, &f);)
        if (f.id == 1)
            has_columns = true, rc = begin_columns(q, t, &f, err);
        else if (f.id == 3)
            q->rows_left = lmw_thrift_int(t, &f);
        else
            lmw_thrift_skip(t, &f);
    if (rc == 0 && (t->failed || !has_columns || q->rows_left < 0))
        rc = lmw_fail(err, LMW_EFORMAT, "what the footer says of row group %zu makes no sense; %s",
                      q->group, fetch_again);
    return rc;
}

/* A column must be used up with its row group. */
static int end_group(struct lmw_pq *q, struct lmw_err *err)
{
    int rc;

    for (size_t i = 0; i < q->n_columns; i++) {
        struct lmw_pq_column *c = &q->column[i];
        if ((rc = lmw_pq_ahead(q, c, err)) < 0)
            return rc;
        if (c->is_ahead)
            return lmw_pq_broken(q, c, "the column goes on behind its row group's last row", err);
    }
    q->group++;
    return 0;
}

/* The next row into q->row: 1, 0 at the end, or negative. */
static int next_row(struct lmw_pq *q, struct lmw_err *err)
{
    bool is_inside = q->rows_left >= 0;
    int rc;

    q->row.len = q->row_at = 0;
    while (!is_inside || q->rows_left == 0) {
        if (is_inside && (rc = end_group(q, err)) < 0)
            return rc;
        q->rows_left = -1;
        if (q->group == q->n_groups)
            return 0;
        if ((rc = begin_group(q, err)) < 0)
            return rc;
        is_inside = true;
    }
    q->rows_left--;
    if ((rc = lmw_pq_row(q, err)) < 0)
        return rc;
    lmw_buf_put(&q->row, "\n", 1);
    return q->row.failed ? lmw_fail(err, LMW_ENOMEM, "out of memory") : 1;
}

/* ---- the codec ---- */

static void rewind_rows(struct lmw_pq *q)
{
    q->group_at = q->groups;
    q->group = 0;
    q->rows_left = -1; /* in no row group */
    q->row.len = q->row_at = 0;
}

static int pq_start(struct lmw_stream *s, struct lmw_err *err)
{
    struct lmw_pq *q = s->state;
    int rc = 0;

    if (!q) {
        if (!(q = s->state = calloc(1, sizeof(*q))))
            return lmw_fail(err, LMW_ENOMEM, "out of memory");
        q->source = s;
        if ((rc = lmw_arena_open(&q->arena, ARENA, err)) == 0 && (rc = read_footer(q, err)) == 0)
            rc = parse_footer(q, err);
    }
    rewind_rows(q);
    return rc;
}

static int pq_read(struct lmw_stream *s, void *out, size_t n, size_t *got, struct lmw_err *err)
{
    struct lmw_pq *q = s->state;
    int rc;

    *got = 0;
    q->source = s; /* it may have moved */
    if (q->row_at == q->row.len && (rc = next_row(q, err)) <= 0)
        return rc;
    *got = q->row.len - q->row_at < n ? q->row.len - q->row_at : n;
    memcpy(out, q->row.ptr + q->row_at, *got);
    q->row_at += *got;
    return 0;
}

static void pq_stop(struct lmw_stream *s)
{
    struct lmw_pq *q = s->state;

    for (size_t i = 0; i < q->n_columns; i++) {
        struct lmw_pq_column *c = &q->column[i];
        free(c->page.ptr);
        free(c->dictionary.bytes.ptr);
        free(c->dictionary.ends.ptr);
        free(c->values.last.ptr);
    }
    free(q->packed.ptr);
    free((char *)(uintptr_t)q->footer.ptr);
    json_decref(q->features);
    lmw_buf_free(&q->row);
    lmw_buf_free(&q->scratch);
    lmw_arena_close(&q->arena);
    free(q);
}

const struct lmw_codec lmw_codec_parquet = {
    .name = "Parquet", .start = pq_start, .read = pq_read, .stop = pq_stop};
