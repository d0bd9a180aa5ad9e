/* The schema of a Parquet file: its columns, and the tree in which a row is put together. See
 * parquet.h.
 *
 * The footer lists the schema's elements depth first. Each is required, optional or repeated; on
 * the way down the optional and repeated ones are counted as definition levels, the repeated ones
 * as repetition levels. Lists and maps are groups of a certain shape, of which writers have used
 * several (LogicalTypes.md, "Nested Types", with its rules for old files): all of them become a
 * plain list, of the elements themselves. A map becomes an object. */
#include "stream/parquet/parquet.h"

#include <stdio.h>

#include "base/json.h"

enum { DEPTH_MAX = 64 };

enum { REQUIRED, OPTIONAL, REPEATED };
enum annotation { ANNOTATED_NOT, ANNOTATED_LIST, ANNOTATED_MAP };

struct element {
    int type; /* -1: a group */
    int64_t width;
    int repetition;
    lmw_str name;
    int64_t n_children;
    enum annotation annotation;
    enum lmw_pq_meaning meaning;
    int digits, scale;
    bool is_utc;
};

/* ---- elements ---- */

/* parquet.thrift, ConvertedType: the older of the two ways to say what a value means. */
static void note_converted(struct element *e, int64_t converted)
{
    static const struct {
        enum lmw_pq_meaning meaning;
        int digits;
    } known[] = {
        [0] = {LMW_PQ_TEXT},         [4] = {LMW_PQ_TEXT},          [5] = {LMW_PQ_DECIMAL},
        [6] = {LMW_PQ_DATE},         [7] = {LMW_PQ_TIME, 3},       [8] = {LMW_PQ_TIME, 6},
        [9] = {LMW_PQ_TIMESTAMP, 3}, [10] = {LMW_PQ_TIMESTAMP, 6}, [11] = {LMW_PQ_UNSIGNED},
        [12] = {LMW_PQ_UNSIGNED},    [13] = {LMW_PQ_UNSIGNED},     [14] = {LMW_PQ_UNSIGNED},
        [19] = {LMW_PQ_TEXT},
    };

    if (converted == 1 || converted == 2)
        e->annotation = ANNOTATED_MAP;
    else if (converted == 3)
        e->annotation = ANNOTATED_LIST;
    if (converted < 0 || converted >= (int64_t)(sizeof known / sizeof *known))
        return;
    e->meaning = known[converted].meaning;
    e->digits = known[converted].digits;
    e->is_utc = e->meaning == LMW_PQ_TIMESTAMP;
}

/* TimeUnit: 1 MILLIS, 2 MICROS, 3 NANOS, each an empty struct. */
static int read_unit(struct lmw_thrift *t, const struct lmw_thrift_field *of)
{
    int digits = 0;

    if (lmw_thrift_struct(t, of))
        for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f); lmw_thrift_skip(t, &f))
            digits = f.id >= 1 && f.id <= 3 ? 3 * f.id : digits;
    return digits;
}

/* TimeType and TimestampType. */
static void read_time(struct lmw_thrift *t, struct element *e)
{
    e->is_utc = false;
    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);)
        if (f.id == 1)
            e->is_utc = lmw_thrift_bool(t, &f);
        else if (f.id == 2)
            e->digits = read_unit(t, &f);
        else
            lmw_thrift_skip(t, &f);
}

static void read_decimal(struct lmw_thrift *t, struct element *e)
{
    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);)
        if (f.id == 1)
            e->scale = (int)lmw_thrift_int(t, &f);
        else
            lmw_thrift_skip(t, &f);
}

static void read_integer(struct lmw_thrift *t, struct element *e)
{
    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);)
        if (f.id == 2)
            e->meaning = lmw_thrift_bool(t, &f) ? LMW_PQ_AS_TYPED : LMW_PQ_UNSIGNED;
        else
            lmw_thrift_skip(t, &f);
}

/* LogicalType: a union, one field of it. What is not listed means no more than its type does. */
static void read_logical(struct lmw_thrift *t, struct element *e)
{
    static const enum lmw_pq_meaning meaning[] = {
        [1] = LMW_PQ_TEXT,  [4] = LMW_PQ_TEXT,  [5] = LMW_PQ_DECIMAL,
        [6] = LMW_PQ_DATE,  [7] = LMW_PQ_TIME,  [8] = LMW_PQ_TIMESTAMP,
        [12] = LMW_PQ_TEXT, [14] = LMW_PQ_UUID, [15] = LMW_PQ_FLOAT16,
    };

    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);) {
        if (f.id >= 1 && f.id < (int)(sizeof meaning / sizeof *meaning))
            e->meaning = meaning[f.id];
        if (f.id == 2 || f.id == 3)
            e->annotation = f.id == 2 ? ANNOTATED_MAP : ANNOTATED_LIST;
        if ((f.id == 7 || f.id == 8) && lmw_thrift_struct(t, &f))
            read_time(t, e);
        else if (f.id == 5 && lmw_thrift_struct(t, &f))
            read_decimal(t, e);
        else if (f.id == 10 && lmw_thrift_struct(t, &f))
            read_integer(t, e);
        else
            lmw_thrift_skip(t, &f);
    }
}

/* What is no type is no group's either. */
static int type_of(int64_t said)
{
    return said < 0 || said > LMW_PQ_FIXED ? LMW_PQ_FIXED + 1 : (int)said;
}

static void read_element(struct lmw_thrift *t, struct element *e)
{
    *e = (struct element){.type = -1};
    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);) {
        if (f.id == 1)
            e->type = type_of(lmw_thrift_int(t, &f));
        else if (f.id == 2)
            e->width = lmw_thrift_int(t, &f);
        else if (f.id == 3)
            e->repetition = (int)lmw_thrift_int(t, &f);
        else if (f.id == 4)
            e->name = lmw_thrift_bytes(t, &f);
        else if (f.id == 5)
            e->n_children = lmw_thrift_int(t, &f);
        else if (f.id == 6)
            note_converted(e, lmw_thrift_int(t, &f));
        else if (f.id == 7)
            e->scale = (int)lmw_thrift_int(t, &f);
        else if (f.id == 10 && lmw_thrift_struct(t, &f))
            read_logical(t, e);
        else
            lmw_thrift_skip(t, &f);
    }
    if (e->n_children > 0)
        e->type = -1;
}

/* ---- columns ---- */

struct builder {
    struct lmw_pq *q;
    const struct element *element;
    size_t n, i;
    const char *path[DEPTH_MAX + 1]; /* of names, down to here */
    struct lmw_err *err;
};

static int bad(struct builder *b, lmw_str name, const char *what)
{
    return lmw_fail(b->err, LMW_EFORMAT, "the schema of this Parquet file is broken: '%.*s' %s",
                    (int)(name.len < 64 ? name.len : 64), name.ptr, what);
}

/* What a type's values may be taken for; an annotation that does not fit its type is none. */
static bool fits(const struct element *e)
{
    int type = e->type;

    switch (e->meaning) {
    case LMW_PQ_AS_TYPED: return true;
    case LMW_PQ_TEXT: return type == LMW_PQ_BYTES || type == LMW_PQ_FIXED;
    case LMW_PQ_UNSIGNED: return type == LMW_PQ_INT32 || type == LMW_PQ_INT64;
    case LMW_PQ_DECIMAL:
        return (type == LMW_PQ_INT32 || type == LMW_PQ_INT64 || type == LMW_PQ_BYTES ||
                (type == LMW_PQ_FIXED && e->width <= 16)) &&
               e->scale >= 0 && e->scale <= 38;
    case LMW_PQ_DATE: return type == LMW_PQ_INT32;
    case LMW_PQ_TIME:
    case LMW_PQ_TIMESTAMP:
        return e->digits > 0 &&
               (type == LMW_PQ_INT64 || (type == LMW_PQ_INT32 && e->meaning == LMW_PQ_TIME));
    case LMW_PQ_UUID: return type == LMW_PQ_FIXED && e->width == 16;
    case LMW_PQ_FLOAT16: return type == LMW_PQ_FIXED && e->width == 2;
    }
    return false;
}

static const char *join_path(struct builder *b, int depth)
{
    struct lmw_buf path = {0};

    for (int i = 1; i <= depth; i++)
        lmw_buf_printf(&path, "%s%s", i > 1 ? "." : "", b->path[i]);
    const char *kept =
        path.failed ? NULL : lmw_arena_str(&b->q->arena, (lmw_str){path.ptr, path.len});
    lmw_buf_free(&path);
    return kept;
}

static int add_column(struct builder *b, struct lmw_pq_node *node, const struct element *e,
                      int def, int rep, int depth)
{
    static const uint8_t width[] = {1, 4, 8, 12, 4, 8, 0, 0};
    struct lmw_pq *q = b->q;
    struct lmw_pq_column *c = &q->column[q->n_columns];

    if (e->type < 0)
        return bad(b, e->name, "is a group without columns");
    if (e->type > LMW_PQ_FIXED)
        return bad(b, e->name, "is of no type there is");
    if (e->type == LMW_PQ_FIXED && (e->width < 1 || e->width > INT32_MAX))
        return bad(b, e->name, "has values of no length");
    *c = (struct lmw_pq_column){
        .path = join_path(b, depth),
        .type = e->type,
        .width = e->type == LMW_PQ_FIXED ? (size_t)e->width : width[e->type],
        .meaning = fits(e) ? e->meaning : LMW_PQ_AS_TYPED,
        .digits = e->meaning == LMW_PQ_DECIMAL ? e->scale : e->digits,
        .is_utc = e->is_utc,
        .max_def = def,
        .max_rep = rep,
    };
    if (!c->path)
        return lmw_fail(b->err, LMW_ENOMEM, "out of memory");
    if (depth == 1) /* classes are a table's columns, as far as is known */
        c->classes = json_object_get(json_object_get(q->features, c->path), "names");
    node->kind = LMW_PQ_SCALAR;
    q->n_columns++;
    return 0;
}

/* ---- the tree ---- */

static int build_field(struct builder *b, struct lmw_pq_node *node, int def, int rep, int depth);
static int build_value(struct builder *b, struct lmw_pq_node *node, const struct element *e,
                       int def, int rep, int depth);

static int add_children(struct builder *b, struct lmw_pq_node *node, size_t n)
{
    node->child = LMW_NEW(&b->q->arena, struct lmw_pq_node, n);
    node->n_child = n;
    return node->child ? 0 : lmw_fail(b->err, LMW_ENOMEM, "out of memory");
}

static int build_object(struct builder *b, struct lmw_pq_node *node, size_t n, int def, int rep,
                        int depth)
{
    int rc = add_children(b, node, n);

    node->kind = LMW_PQ_OBJECT;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = build_field(b, &node->child[i], def, rep, depth + 1);
    return rc;
}

/* Is the repeated group of a list the element itself, as in old files, or does it hold it? */
static bool is_element(const struct builder *b, const struct element *list,
                       const struct element *repeated)
{
    lmw_str name = repeated->name, of = list->name;

    if (repeated->n_children != 1 || repeated->annotation != ANNOTATED_NOT)
        return true;
    if (b->i < b->n && b->element[b->i].repetition == REPEATED)
        return true;
    return lmw_str_is(name, "array") ||
           (name.len == of.len + 6 && memcmp(name.ptr, of.ptr, of.len) == 0 &&
            memcmp(name.ptr + of.len, "_tuple", 6) == 0);
}

/* Behind the group that is annotated: the repeated one in it. */
static int build_list(struct builder *b, struct lmw_pq_node *node, const struct element *e,
                      int def, int rep, int depth)
{
    const struct element *repeated = &b->element[b->i++];
    bool is_map = e->annotation == ANNOTATED_MAP && repeated->n_children == 2;
    int rc = add_children(b, node, is_map ? 2 : 1);

    node->kind = is_map ? LMW_PQ_MAP : LMW_PQ_LIST;
    node->some = def + 1;
    node->rep = rep + 1;
    b->path[depth + 1] = lmw_arena_str(&b->q->arena, repeated->name);
    if (rc < 0 || !b->path[depth + 1])
        return lmw_fail(b->err, LMW_ENOMEM, "out of memory");
    if (!is_map && is_element(b, e, repeated))
        return build_value(b, node->child, repeated, def + 1, rep + 1, depth + 1);
    for (size_t i = 0; i < node->n_child && rc == 0; i++)
        rc = build_field(b, &node->child[i], def + 1, rep + 1, depth + 2);
    return rc;
}

/* The element e, without its repetition. */
static int build_value(struct builder *b, struct lmw_pq_node *node, const struct element *e,
                       int def, int rep, int depth)
{
    int rc;

    node->def = def;
    node->first = b->q->n_columns;
    if (depth > DEPTH_MAX - 2)
        return bad(b, e->name, "is nested too deep");
    if (e->n_children <= 0)
        rc = add_column(b, node, e, def, rep, depth);
    else if (e->n_children > (int64_t)(b->n - b->i))
        return bad(b, e->name, "has more parts than there are");
    else if (e->annotation && e->n_children == 1 && b->element[b->i].repetition == REPEATED)
        rc = build_list(b, node, e, def, rep, depth);
    else
        rc = build_object(b, node, (size_t)e->n_children, def, rep, depth);
    node->n_columns = b->q->n_columns - node->first;
    return rc;
}

static int set_key(struct builder *b, struct lmw_pq_node *node, lmw_str name)
{
    struct lmw_buf key = {0};

    if (!lmw_str_is_utf8(name))
        return bad(b, name, "is a name that is not UTF-8");
    lmw_json_put_text(&key, name);
    lmw_buf_str(&key, ":");
    node->key = (lmw_str){
        key.failed ? NULL : lmw_arena_str(&b->q->arena, (lmw_str){key.ptr, key.len}), key.len};
    lmw_buf_free(&key);
    return node->key.ptr ? 0 : lmw_fail(b->err, LMW_ENOMEM, "out of memory");
}

/* The next element, into which def and rep lead. */
static int build_field(struct builder *b, struct lmw_pq_node *node, int def, int rep, int depth)
{
    if (b->i == b->n)
        return bad(b, LMW_STR("it"), "ends before its last column");
    const struct element *e = &b->element[b->i++];
    int rc = set_key(b, node, e->name);

    if (rc < 0 || !(b->path[depth] = lmw_arena_str(&b->q->arena, e->name)))
        return rc < 0 ? rc : lmw_fail(b->err, LMW_ENOMEM, "out of memory");
    if (e->repetition < REQUIRED || e->repetition > REPEATED)
        return bad(b, e->name, "is neither required nor optional nor repeated");
    if (e->repetition != REPEATED)
        return build_value(b, node, e, def + (e->repetition == OPTIONAL), rep, depth);
    /* A repeated field that is in no list is a list of its own, and never null. */
    node->kind = LMW_PQ_LIST;
    node->def = def;
    node->some = def + 1;
    node->rep = rep + 1;
    node->first = b->q->n_columns;
    if ((rc = add_children(b, node, 1)) == 0)
        rc = build_value(b, node->child, e, def + 1, rep + 1, depth);
    node->n_columns = b->q->n_columns - node->first;
    return rc;
}

int lmw_pq_schema(struct lmw_pq *q, struct lmw_thrift *t, const struct lmw_thrift_field *f,
                  struct lmw_err *err)
{
    size_t n = lmw_thrift_structs(t, f);
    struct element *element = LMW_NEW(&q->arena, struct element, n ? n : 1);

    q->column = LMW_NEW(&q->arena, struct lmw_pq_column, n ? n : 1);
    if (!element || !q->column)
        return lmw_fail(err, LMW_ENOMEM, "out of memory for a schema of %zu elements", n);
    for (size_t i = 0; i < n; i++)
        read_element(t, &element[i]);
    if (t->failed)
        return 0; /* the footer's reader says so */
    struct builder b = {.q = q, .element = element, .n = n, .i = 1, .err = err};
    for (size_t i = 1; i < n; i++)
        if (!element[i].name.ptr)
            return bad(&b, LMW_STR("it"), "has a column without a name");
    if (n < 2 || element->n_children < 1 || element->n_children > (int64_t)n - 1)
        return bad(&b, LMW_STR("it"), "has no columns");
    int rc = build_object(&b, &q->root, (size_t)element->n_children, 0, 0, 0);
    q->root.n_columns = q->n_columns;
    return rc == 0 && b.i < n ? bad(&b, element[b.i].name, "belongs to no group") : rc;
}
