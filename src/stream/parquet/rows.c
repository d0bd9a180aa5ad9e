/* A row out of its columns: Dremel's assembly. See parquet.h.
 *
 * Every entry of a column has two levels. The definition level says how far down the path to the
 * value there is something; the repetition level says which list on that path it continues (0: it
 * begins a row). Of a place in the tree the first column below it tells whether it is null, how
 * many elements it has; the others must say the same, and are held to it: columns that disagree
 * are a damaged file. */
#include "stream/parquet/parquet.h"

#include "base/json.h"

static int put(struct lmw_pq *q, const struct lmw_pq_node *n, int rep, int floor,
               struct lmw_err *err);

static int torn(const struct lmw_pq *q, const struct lmw_pq_column *c, struct lmw_err *err)
{
    return lmw_pq_broken(q, c,
                         c->def < 0 ? "the column ends before its row group does"
                                    : "its levels contradict those of the columns beside it",
                         err);
}

/* Takes the entry of each column below, which must all be as undefined as the first. */
static int pass(struct lmw_pq *q, const struct lmw_pq_node *n, int rep, const char *as,
                struct lmw_err *err)
{
    int def = q->column[n->first].def, rc;

    for (size_t i = 0; i < n->n_columns; i++) {
        struct lmw_pq_column *c = &q->column[n->first + i];
        if ((rc = lmw_pq_ahead(q, c, err)) < 0)
            return rc;
        if (c->rep != rep || c->def != def)
            return torn(q, c, err);
        c->is_ahead = false;
    }
    lmw_buf_str(&q->row, as);
    return 0;
}

static int too_long(const struct lmw_pq *q, struct lmw_err *err)
{
    return lmw_fail(err, LMW_EFORMAT,
                    "row group %zu: a row of over %zu bytes as JSON, at most so many are read",
                    q->group, LMW_STREAM_ROW_MAX);
}

static int put_scalar(struct lmw_pq *q, const struct lmw_pq_node *n, struct lmw_err *err)
{
    struct lmw_pq_column *c = &q->column[n->first];
    lmw_str v;

    c->is_ahead = false;
    const char *fault = lmw_pq_values_next(&c->values, &c->dictionary, &v);
    if (fault)
        return lmw_pq_broken(q, c, fault, err);
    if (v.len > LMW_STREAM_ROW_MAX - q->row.len)
        return too_long(q, err);
    fault = lmw_pq_json(c, v, &q->row, &q->scratch);
    return fault
               ? lmw_fail(err, LMW_EFORMAT,
                          "row group %zu, column '%.100s': %s; mend that column, or leave it out",
                          q->group, c->path, fault)
               : 0;
}

static int put_object(struct lmw_pq *q, const struct lmw_pq_node *n, int rep, struct lmw_err *err)
{
    int rc = 0;

    for (size_t i = 0; i < n->n_child && rc == 0; i++) {
        lmw_buf_put(&q->row, i ? "," : "{", 1);
        lmw_buf_put(&q->row, n->child[i].key.ptr, n->child[i].key.len);
        rc = put(q, &n->child[i], rep, n->def, err);
    }
    lmw_buf_put(&q->row, "}", 1);
    return rc;
}

/* A key that is no text becomes one. */
static int put_pair(struct lmw_pq *q, const struct lmw_pq_node *n, int rep, struct lmw_err *err)
{
    size_t at = q->row.len;
    int rc = put(q, &n->child[0], rep, n->some, err);

    if (rc == 0 && !q->row.failed && q->row.ptr[at] != '"') {
        q->scratch.len = 0;
        lmw_buf_put(&q->scratch, q->row.ptr + at, q->row.len - at);
        q->row.len = at;
        if (!q->scratch.failed)
            lmw_json_put_text(&q->row, (lmw_str){q->scratch.ptr, q->scratch.len});
    }
    lmw_buf_put(&q->row, ":", 1);
    return rc < 0 ? rc : put(q, &n->child[1], rep, n->some, err);
}

static int put_elements(struct lmw_pq *q, const struct lmw_pq_node *n, int rep,
                        struct lmw_err *err)
{
    struct lmw_pq_column *first = &q->column[n->first];
    const bool is_map = n->kind == LMW_PQ_MAP;
    int rc = 0;

    lmw_buf_put(&q->row, is_map ? "{" : "[", 1);
    do {
        rc = is_map ? put_pair(q, n, rep, err) : put(q, n->child, rep, n->some, err);
        if (rc < 0 || (rc = lmw_pq_ahead(q, first, err)) < 0)
            return rc;
        rep = n->rep;
        if (first->rep == rep)
            lmw_buf_put(&q->row, ",", 1);
    } while (first->rep == rep);
    lmw_buf_put(&q->row, is_map ? "}" : "]", 1);
    return 0;
}

/* What is at n, in an entry that must have this repetition level, and the definition level of what
 * n is in, at least. */
static int put(struct lmw_pq *q, const struct lmw_pq_node *n, int rep, int floor,
               struct lmw_err *err)
{
    struct lmw_pq_column *first = &q->column[n->first];
    int rc = lmw_pq_ahead(q, first, err);

    if (rc < 0)
        return rc;
    if (first->rep != rep || first->def < floor)
        return torn(q, first, err);
    if (q->row.len > LMW_STREAM_ROW_MAX)
        return too_long(q, err);
    if (first->def < n->def)
        return pass(q, n, rep, "null", err);
    if (n->kind == LMW_PQ_SCALAR)
        return put_scalar(q, n, err);
    if (n->kind == LMW_PQ_OBJECT)
        return put_object(q, n, rep, err);
    if (first->def < n->some)
        return pass(q, n, rep, n->kind == LMW_PQ_MAP ? "{}" : "[]", err);
    return put_elements(q, n, rep, err);
}

int lmw_pq_row(struct lmw_pq *q, struct lmw_err *err)
{
    return put(q, &q->root, 0, 0, err);
}
