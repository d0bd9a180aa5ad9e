/* The rows of somebody's table, through a map. See map.h.
 *
 * A column that the map names goes where it says; one that bears a field's name goes there, unless
 * the map fills that field; one that fits the star is of one record alone; what is left stays in
 * the `extra` of each. A star that fits every column leaves nothing but what `extra=` names.
 *
 * A model whose columns are all empty was not asked, and has no record of that row. Which run a
 * record goes to is told by its model and, where the map names it, `run`. */
#include "store/map.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAMES_SHOWN = 200 };

/* A row being read. */
struct reading {
    struct feed *s;
    const struct row *row;
    take_fn *take;
    void *arg;
};

static int no_memory(struct lmw_err *err)
{
    return lmw_fail(err, LMW_ENOMEM, "no memory for a row");
}

/* --- columns of a row --- */

static bool find_named(const struct row *row, lmw_str name, struct lmw_json_value *out)
{
    for (int i = 0; i < row->n; i++) {
        if (lmw_str_eq(row->at[i].name, name)) {
            *out = row->at[i].v;
            return true;
        }
    }
    return false;
}

/* A member of an object, or by its number of an array, along a path. */
static bool follow(struct lmw_json_value *v, const char *path)
{
    while (*path) {
        size_t n = strcspn(path, ".");
        char *end;
        long i = strtol(path, &end, 10);
        struct lmw_json_value in = *v;
        bool is_number = n > 0 && end == path + n && i >= 0 && i <= INT32_MAX;
        if (!lmw_json_get(&in, (lmw_str){path, n}, v) &&
            !(is_number && lmw_json_item(&in, (int)i, v)))
            return false;
        path += n + (path[n] == '.');
    }
    return true;
}

/* By its name, else by its path. */
static bool find(const struct row *row, const char *from, struct lmw_json_value *out)
{
    size_t n = strcspn(from, ".");
    if (find_named(row, lmw_str_from(from), out))
        return true;
    return !row->is_csv && from[n] && find_named(row, (lmw_str){from, n}, out) &&
           follow(out, from + n + 1);
}

struct names {
    char text[NAMES_SHOWN + 90];
};

static struct names names_of(const struct row *row)
{
    struct names out = {""};
    size_t n = 0;
    for (int i = 0; i < row->n && n < NAMES_SHOWN; i++) {
        lmw_str name = row->at[i].name;
        n += (size_t)snprintf(out.text + n, sizeof out.text - n, "%s%.*s", i ? ", " : "",
                              name.len < 60 ? (int)name.len : 60, name.ptr);
    }
    lmw_utf8_mend(out.text);
    if (n >= NAMES_SHOWN)
        snprintf(out.text + n, sizeof out.text - n, ", ...");
    return out;
}

static int no_column(const struct row *row, const struct mapping *m, struct lmw_err *err)
{
    return lmw_fail(err, LMW_EFORMAT, "no column '%s' for %s; there are: %s", m->from,
                    m->to ? m->to->name : "extra", names_of(row).text);
}

/* The members of an object as columns. */
static int open_object(const struct lmw_json_value *o, struct row *row, struct lmw_arena *arena,
                       struct lmw_err *err)
{
    struct lmw_json j = {o->text.ptr, o->text.ptr + o->text.len, NULL};
    struct lmw_json_value key, v;
    bool first = true;
    int n = 0;
    while (lmw_json_member(&j, &first, &key, &v) > 0)
        n++;
    *row = (struct row){.at = LMW_NEW(arena, struct member, n + 1)};
    j.at = o->text.ptr;
    first = true;
    while (row->at && row->n < n && lmw_json_member(&j, &first, &key, &v) > 0) {
        lmw_str name = key.is_escaped ? lmw_str_from(lmw_json_copy(&key, arena)) : key.text;
        if (!name.ptr)
            return no_memory(err);
        row->at[row->n++] = (struct member){name, v};
    }
    return row->at ? LMW_OK : no_memory(err);
}

/* --- what a column is --- */

/* Whether the name goes to a field, or a path into it does that would otherwise be taken for one
 * of ours (an `answer` of which only `answer.value` is the reference). */
static bool is_from(const struct mapping *p, const struct row *row, lmw_str name)
{
    const char *path = p->has_star ? p->star.in : p->from;
    size_t root = row->is_csv ? strlen(path) : strcspn(path, ".");
    bool is_whole = lmw_str_is(name, path) || p->has_star;
    return root > 0 && lmw_str_eq(name, (lmw_str){path, root}) &&
           (is_whole || lmw_column_find(name, NULL));
}

/* Every column with a star is there for this name. */
static bool is_complete(const struct reading *t, lmw_str name);

enum role { MAPPED, OWN, OF_STAR, KEPT };

static enum role role_of(const struct reading *t, lmw_str name)
{
    const struct map *m = t->s->map;
    for (int i = 0; i < m->n; i++) {
        if (is_from(&m->at[i], t->row, name))
            return m->at[i].to ? MAPPED : KEPT;
    }
    const struct lmw_column *own = lmw_column_find(name, NULL);
    if (own)
        return lmw_map_fills(m, own) ? MAPPED : OWN;
    for (int i = 0; i < m->n; i++) {
        lmw_str is = m->at[i].has_star && !*m->at[i].star.in ? lmw_star_name(&m->at[i].star, name)
                                                             : (lmw_str){0};
        if (is.len > 0 && is_complete(t, is))
            return OF_STAR;
    }
    return KEPT;
}

/* The value of a column with a star, for a name. */
static bool find_star(const struct reading *t, const struct star *star, lmw_str name,
                      struct lmw_json_value *out)
{
    char column[2 * MAP_NAME + 256];
    int n = snprintf(column, sizeof column, "%s%.*s%s", star->before, LMW_FMT(name), star->after);
    lmw_str key = {column, (size_t)n};
    if (n >= (int)sizeof column)
        return false;
    if (!*star->in)
        return find_named(t->row, key, out) && follow(out, star->inside);
    struct lmw_json_value in;
    return find(t->row, star->in, &in) && lmw_json_get(&in, key, out) && follow(out, star->inside);
}

static bool is_complete(const struct reading *t, lmw_str name)
{
    const struct map *m = t->s->map;
    struct lmw_json_value v;
    for (int i = 0; i < m->n && m->n_star > 1; i++) {
        if (m->at[i].has_star && !find_star(t, &m->at[i].star, name, &v))
            return false;
    }
    return true;
}

/* --- into records --- */

static int put_rest(const struct reading *t, struct lmw_buf *out, const struct member *m,
                    struct lmw_err *err)
{
    char *text = lmw_arena_alloc(t->s->arena, m->v.text.len + 3, 1, 1);
    if (!text)
        return no_memory(err);
    lmw_buf_str(out, out->len ? "," : "{");
    lmw_json_put_text(out, m->name);
    lmw_buf_str(out, ":");
    if (t->row->is_csv)
        lmw_json_put_text(out, m->v.text);
    else
        lmw_buf_put(out, text, (size_t)(lmw_json_compact(text, &m->v) - text));
    return LMW_OK;
}

/* A column of a field's own name. An empty text is one; a cell of CSV that is empty is null. */
static int put_own(struct reading *t, struct lmw_record *r, const struct member *m,
                   struct lmw_err *err)
{
    const struct lmw_column *c = lmw_column_find(m->name, NULL);
    bool is_empty = m->v.kind == LMW_JSON_STRING && m->v.text.len == 0;
    if (is_empty && c->kind == LMW_COL_TEXT)
        *(const char **)((char *)r + c->offset) = "";
    return is_empty ? LMW_OK : lmw_map_put_own(r, c, &m->v, t->s->arena, err);
}

/* The column `extra` of records that were written as a table holds what they kept. */
static int put_extra(struct reading *t, const struct member *m, struct lmw_err *err)
{
    const char *text = lmw_foreign_text(&m->v, t->s->arena);
    return text ? lmw_csv_add_extra(t->s, lmw_str_from(text), err) : no_memory(err);
}

/* The columns that bear fields' names, and what is kept of the row. */
static int put_columns(struct reading *t, struct lmw_record *r, struct lmw_err *err)
{
    struct lmw_buf *rest = &t->s->text;
    int rc = LMW_OK;
    rest->len = 0;
    for (int i = 0; i < t->row->n && rc == LMW_OK; i++) {
        const struct member *m = &t->row->at[i];
        enum role role = role_of(t, m->name);
        bool is_empty = t->row->is_table && m->v.kind == LMW_JSON_NULL;
        bool is_extra = t->row->is_table && !t->row->is_csv && lmw_str_is(m->name, "extra");
        if (role == OWN)
            rc = put_own(t, r, m, err);
        else if (role == KEPT && !is_empty && is_extra)
            rc = put_extra(t, m, err);
        else if (role == KEPT && !is_empty)
            rc = put_rest(t, rest, m, err);
    }
    if (rc < 0 || rest->len == 0)
        return rc;
    lmw_buf_str(rest, "}");
    r->extra = rest->failed ? NULL : lmw_arena_str(t->s->arena, (lmw_str){rest->ptr, rest->len});
    return r->extra ? LMW_OK : no_memory(err);
}

/* The number of the row, for `#`. */
static int put_number(struct reading *t, struct lmw_record *r, const struct mapping *m,
                      struct lmw_err *err)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)t->s->n_piece);
    struct lmw_json_value v = {.kind = LMW_JSON_INTEGER, .text = {digits, (size_t)n}};
    return lmw_map_put(r, m, &v, t->s->arena, err);
}

/* Not even what it would be in is a column of the table. */
static bool is_unknown(const struct row *row, const char *from)
{
    struct lmw_json_value v;
    lmw_str root = {from, row->is_csv ? strlen(from) : strcspn(from, ".")};
    return row->is_table && !strchr(from, '*') && !find_named(row, root, &v);
}

/* What the map says of the row, and of `name` where the star is of it alone; *any says whether a
 * column with a star had a value. */
static int put_mapped(struct reading *t, struct lmw_record *r, bool stars, lmw_str name, bool *any,
                      struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < t->s->map->n && rc == LMW_OK; i++) {
        struct mapping *m = &t->s->map->at[i];
        struct lmw_json_value v;
        if (m->has_star != stars)
            continue;
        bool is_row = strcmp(m->from, "#") == 0;
        bool is_there =
            is_row || (stars ? find_star(t, &m->star, name, &v) : find(t->row, m->from, &v));
        m->was_seen |= is_there;
        if (!is_there && is_unknown(t->row, m->from))
            return no_column(t->row, m, err);
        if (!is_there || !m->to)
            continue;
        rc = is_row ? put_number(t, r, m, err) : lmw_map_put(r, m, &v, t->s->arena, err);
        *any |= lmw_record_has(r, m->to);
    }
    return rc;
}

static int no_id(const struct reading *t, struct lmw_err *err)
{
    const struct lmw_column *id = lmw_column_find(LMW_STR("query_id"), NULL);
    for (int i = 0; i < t->s->map->n; i++) {
        if (t->s->map->at[i].to == id)
            return no_column(t->row, &t->s->map->at[i], err);
    }
    return lmw_fail(err, LMW_EFORMAT,
                    "no query_id: name its column with --map query_id=COLUMN, or number the rows "
                    "with query_id=#; there are: %s",
                    names_of(t->row).text);
}

/* "MODEL" or, where the map says what else tells runs apart, "MODEL/RUN". */
static int give(struct reading *t, struct lmw_record *r, struct lmw_err *err)
{
    const char *part = r->model, *run = NULL;
    if (lmw_map_fills(t->s->map, lmw_column_find(LMW_STR("run"), NULL)))
        run = r->run;
    if (run && part) {
        size_t n = strlen(part) + strlen(run) + 2;
        char *both = lmw_arena_alloc(t->s->arena, n, 1, 1);
        if (!both)
            return no_memory(err);
        snprintf(both, n, "%s/%s", part, run);
        part = both;
    }
    if (!r->query_id)
        return no_id(t, err);
    return t->take(t->arg, r, part ? part : run, err);
}

/* One record for each name that the star stands for. */
static int give_each(struct reading *t, const struct lmw_record *shared, struct lmw_err *err)
{
    const struct star *star = &t->s->map->star->star;
    const struct lmw_column *model = lmw_column_find(LMW_STR("model"), NULL);
    struct lmw_json_value in;
    struct row inner = *t->row;
    bool by_query = lmw_map_fills(t->s->map, model) || find_named(t->row, LMW_STR("model"), &in);
    int rc = LMW_OK;
    if (*star->in)
        rc = find(t->row, star->in, &in) ? open_object(&in, &inner, t->s->arena, err) : LMW_OK;
    for (int i = 0; i < inner.n && rc == LMW_OK; i++) {
        struct lmw_record r = *shared;
        lmw_str name = lmw_star_name(star, inner.at[i].name);
        bool any = false;
        if (name.len == 0 || !is_complete(t, name) ||
            (!*star->in && role_of(t, inner.at[i].name) != OF_STAR))
            continue;
        char *copy = lmw_arena_str(t->s->arena, name);
        if (!copy)
            return no_memory(err);
        *(by_query ? &r.query_id : &r.model) = copy;
        rc = put_mapped(t, &r, true, name, &any, err);
        if (rc == LMW_OK && any)
            rc = give(t, &r, err);
    }
    return rc;
}

int lmw_table_read(struct feed *s, const struct row *row, take_fn *take, void *arg,
                   struct lmw_err *err)
{
    struct reading t = {.s = s, .row = row, .take = take, .arg = arg};
    struct lmw_record r;
    bool any = false;
    lmw_record_clear(&r);
    int rc = put_columns(&t, &r, err);
    if (rc == LMW_OK && (rc = put_mapped(&t, &r, false, (lmw_str){0}, &any, err)) == LMW_OK)
        rc = s->map->star ? give_each(&t, &r, err) : give(&t, &r, err);
    s->n_piece++;
    return rc;
}

int lmw_table_read_object(struct feed *s, lmw_str piece, take_fn *take, void *arg,
                          struct lmw_err *err)
{
    struct lmw_json_value o;
    struct row row = {0};
    int rc = lmw_foreign_object(piece, &o, s->arena, err);
    if (rc == LMW_OK)
        rc = open_object(&o, &row, s->arena, err);
    row.is_table = lmw_stream_is_parquet(&s->in.stream);
    return rc < 0 ? rc : lmw_table_read(s, &row, take, arg, err);
}
