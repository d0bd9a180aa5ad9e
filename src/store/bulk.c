/* Many records in one statement: INSERT ... SELECT from a table that is a list in memory. SQLite
 * asks it for one record's values after the other, so what a statement costs (its cursors, some
 * fifty parameters bound and let go) is paid once for as many records as there are at hand.
 *
 * OR FAIL: the first record that is there already ends the statement, and those before it stay.
 * Which one that is the list knows: it is the one SQLite asked for last. */
#include "store/bulk.h"

#include "store/sql.h"

#include <math.h>
#include <stdlib.h>

/* The list's columns: these two, then lmw_columns. */
enum { RUN_ID, EXTRA, FIRST_FIELD };

struct table {
    sqlite3_vtab base;
    struct lmw_store *s; /* ->at, ->end: what the list holds */
};

/* --- the list as SQLite sees it --- */

static int list_connect(sqlite3 *db, void *store, int argc, const char *const *argv,
                        sqlite3_vtab **out, char **error)
{
    struct table *t = calloc(1, sizeof *t);
    struct lmw_buf columns = {0};
    lmw_buf_str(&columns, "CREATE TABLE incoming(run_id, extra");
    for (const struct lmw_column *c = lmw_columns; c->name; c++)
        lmw_buf_printf(&columns, ", %s", c->name);
    lmw_buf_str(&columns, ")");
    int rc = t && !columns.failed ? sqlite3_declare_vtab(db, columns.ptr) : SQLITE_NOMEM;
    lmw_buf_free(&columns);
    if (rc != SQLITE_OK) {
        free(t);
        return rc;
    }
    t->s = store;
    *out = &t->base;
    return SQLITE_OK;
}

static int list_disconnect(sqlite3_vtab *table)
{
    free(table);
    return SQLITE_OK;
}

/* There is one way to read a list. */
static int list_plan(sqlite3_vtab *table, sqlite3_index_info *info)
{
    return SQLITE_OK;
}

static int list_open(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? SQLITE_OK : SQLITE_NOMEM;
}

static int list_close(sqlite3_vtab_cursor *cursor)
{
    free(cursor);
    return SQLITE_OK;
}

static struct lmw_store *store_of(const sqlite3_vtab_cursor *cursor)
{
    return ((const struct table *)cursor->pVtab)->s;
}

static int list_first(sqlite3_vtab_cursor *cursor, int plan, const char *name, int argc,
                      sqlite3_value **argv)
{
    return SQLITE_OK; /* s->at is there already */
}

static int list_next(sqlite3_vtab_cursor *cursor)
{
    struct lmw_store *s = store_of(cursor);
    s->at = s->at->next;
    return SQLITE_OK;
}

static int list_at_end(sqlite3_vtab_cursor *cursor)
{
    return store_of(cursor)->at == store_of(cursor)->end;
}

/* What is not given is null. */
static void give(sqlite3_context *to, enum lmw_column_kind kind, const void *p)
{
    switch (kind) {
    case LMW_COL_INT:
    case LMW_COL_BOOL:
        if (*(const int64_t *)p != LMW_NULL)
            sqlite3_result_int64(to, *(const int64_t *)p);
        break;
    case LMW_COL_REAL:
        if (!isnan(*(const double *)p))
            sqlite3_result_double(to, *(const double *)p);
        break;
    case LMW_COL_TEXT:
    case LMW_COL_JSON:
        if (*(const char *const *)p)
            sqlite3_result_text(to, *(const char *const *)p, -1, SQLITE_STATIC);
        break;
    }
}

static int list_value(sqlite3_vtab_cursor *cursor, sqlite3_context *to, int i)
{
    const struct incoming *in = store_of(cursor)->at;
    const struct lmw_column *c = &lmw_columns[i - FIRST_FIELD];
    if (i == RUN_ID)
        give(to, LMW_COL_INT, &in->run_id);
    else if (i == EXTRA)
        give(to, LMW_COL_TEXT, &in->r.extra);
    else
        give(to, c->kind, (const char *)&in->r + c->offset);
    return SQLITE_OK;
}

static int list_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out)
{
    *out = store_of(cursor)->at->line;
    return SQLITE_OK;
}

static const sqlite3_module list = {
    .xConnect = list_connect, /* and no xCreate: the table is there without being made */
    .xDisconnect = list_disconnect,
    .xBestIndex = list_plan,
    .xOpen = list_open,
    .xClose = list_close,
    .xFilter = list_first,
    .xNext = list_next,
    .xEof = list_at_end,
    .xColumn = list_value,
    .xRowid = list_rowid,
};

/* --- the statement --- */

static int prepare(struct lmw_store *s, struct lmw_err *err)
{
    struct lmw_buf names = {0}, text = {0};
    lmw_buf_str(&names, "run_id, extra");
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        if (lmw_sql_is_stored(c))
            lmw_buf_printf(&names, ", %s", c->name);
    }
    lmw_buf_printf(&text, "INSERT OR FAIL INTO records(%s) SELECT %s FROM incoming",
                   names.ptr ? names.ptr : "", names.ptr ? names.ptr : "");
    int rc = LMW_OK;
    if (names.failed || text.failed)
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for a query of the store");
    else if (sqlite3_create_module(s->db, "incoming", &list, s) != SQLITE_OK)
        rc = lmw_sql_fail(s, err);
    else
        rc = lmw_sql(&s->add_list, s, text.ptr, err);
    lmw_buf_free(&names);
    lmw_buf_free(&text);
    return rc;
}

int lmw_store_add_list(struct lmw_store *s, struct incoming *from, const struct incoming *end,
                       struct incoming **stop, struct lmw_err *err)
{
    *stop = from;
    if (from == end)
        return LMW_OK;
    int rc = s->add_list.st ? LMW_OK : prepare(s, err);
    if (rc < 0)
        return rc;
    s->at = from;
    s->end = end;
    rc = lmw_sql_step(&s->add_list, err);
    if (rc < 0 && sqlite3_extended_errcode(s->db) == SQLITE_CONSTRAINT_UNIQUE)
        rc = LMW_OK;
    lmw_sql_reset(&s->add_list);
    *stop = s->at;
    return rc;
}
