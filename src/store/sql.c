/* The thin layer between this room and SQLite. Owns the one place where SQLite's result codes
 * become our errors: each says which file, what happened and what to do. See sql.h. */
#include "store/sql.h"

#include <math.h>
#include <string.h>

static const struct {
    int sqlite, code;
    const char *what;
} faults[] = {
    {SQLITE_FULL, LMW_EIO,
     "the disk is full: what was recorded is safe; free some space and run the command again"},
    {SQLITE_IOERR, LMW_EIO,
     "cannot read or write it (a full disk, a file size limit, or a failing one?): what was "
     "recorded is safe; run the same command again when that is mended"},
    {SQLITE_CANTOPEN, LMW_EIO,
     "cannot open or create it: check that the folder is writable, or choose another file with "
     "--store or LMW_STORE"},
    {SQLITE_READONLY, LMW_EIO,
     "it is read-only: check its permissions, or choose another file with --store or LMW_STORE"},
    {SQLITE_PERM, LMW_EIO, "permission denied: choose another file with --store or LMW_STORE"},
    {SQLITE_NOTADB, LMW_EFORMAT,
     "this is not an lmwatt store: choose another file with --store or LMW_STORE"},
    {SQLITE_CORRUPT, LMW_EFORMAT,
     "the file is damaged: move it away, save what `sqlite3 FILE .recover` finds, and start "
     "another"},
    {SQLITE_BUSY, LMW_EUNAVAILABLE,
     "another process has been writing to it for a minute: wait for it, or choose another file with "
     "--store"},
    {SQLITE_LOCKED, LMW_EUNAVAILABLE, "another process is writing to it: wait for it"},
    {SQLITE_NOMEM, LMW_ENOMEM, "no memory"},
    {SQLITE_TOOBIG, LMW_EARG, "a text of more than 1 GB cannot be stored"},
};

int lmw_sql_fail(struct lmw_store *s, struct lmw_err *err)
{
    int code = sqlite3_errcode(s->db);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (faults[i].sqlite == (code & 0xff))
            return lmw_fail(err, faults[i].code, "store %s: %s (SQLite: %s)", s->path,
                            faults[i].what, sqlite3_errmsg(s->db));
    }
    return lmw_fail(err, LMW_EIO, "store %s: %s", s->path, sqlite3_errmsg(s->db));
}

int lmw_sql_exec(struct lmw_store *s, const char *text, struct lmw_err *err)
{
    return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK ? LMW_OK
                                                                    : lmw_sql_fail(s, err);
}

int lmw_sql(struct sql *q, struct lmw_store *s, const char *text, struct lmw_err *err)
{
    *q = (struct sql){.s = s};
    int rc = sqlite3_prepare_v3(s->db, text, -1, SQLITE_PREPARE_PERSISTENT, &q->st, NULL);
    return rc == SQLITE_OK ? LMW_OK : lmw_sql_fail(s, err);
}

int lmw_sql_step(struct sql *q, struct lmw_err *err)
{
    int rc = sqlite3_step(q->st);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : lmw_sql_fail(q->s, err);
}

void lmw_sql_reset(struct sql *q)
{
    sqlite3_reset(q->st);
    sqlite3_clear_bindings(q->st);
    q->n_bound = 0;
}

void lmw_sql_end(struct sql *q)
{
    sqlite3_finalize(q->st);
    *q = (struct sql){0};
}

void lmw_sql_int(struct sql *q, int64_t v)
{
    if (v == LMW_NULL)
        sqlite3_bind_null(q->st, ++q->n_bound);
    else
        sqlite3_bind_int64(q->st, ++q->n_bound, v);
}

void lmw_sql_real(struct sql *q, double v)
{
    if (isnan(v))
        sqlite3_bind_null(q->st, ++q->n_bound);
    else
        sqlite3_bind_double(q->st, ++q->n_bound, v);
}

void lmw_sql_text(struct sql *q, const char *v)
{
    sqlite3_bind_text(q->st, ++q->n_bound, v, -1, SQLITE_STATIC);
}

void lmw_sql_blob(struct sql *q, const void *v, size_t n)
{
    sqlite3_bind_blob64(q->st, ++q->n_bound, v, n, SQLITE_STATIC);
}

int64_t lmw_sql_get_int(struct sql *q, int i)
{
    return sqlite3_column_type(q->st, i) == SQLITE_NULL ? LMW_NULL
                                                        : sqlite3_column_int64(q->st, i);
}

double lmw_sql_get_real(struct sql *q, int i)
{
    return sqlite3_column_type(q->st, i) == SQLITE_NULL ? (double)NAN
                                                        : sqlite3_column_double(q->st, i);
}

const char *lmw_sql_get_text(struct sql *q, int i)
{
    return (const char *)sqlite3_column_text(q->st, i);
}

bool lmw_sql_is_stored(const struct lmw_column *c)
{
    return c->offset != offsetof(struct lmw_record, run);
}

void lmw_sql_field(struct sql *q, const struct lmw_record *r, const struct lmw_column *c)
{
    const void *p = (const char *)r + c->offset;
    switch (c->kind) {
    case LMW_COL_INT:
    case LMW_COL_BOOL: lmw_sql_int(q, *(const int64_t *)p); break;
    case LMW_COL_REAL: lmw_sql_real(q, *(const double *)p); break;
    case LMW_COL_TEXT:
    case LMW_COL_JSON: lmw_sql_text(q, *(const char *const *)p); break;
    }
}

void lmw_sql_get_field(struct sql *q, int i, struct lmw_record *r, const struct lmw_column *c)
{
    void *p = (char *)r + c->offset;
    switch (c->kind) {
    case LMW_COL_INT:
    case LMW_COL_BOOL: *(int64_t *)p = lmw_sql_get_int(q, i); break;
    case LMW_COL_REAL: *(double *)p = lmw_sql_get_real(q, i); break;
    case LMW_COL_TEXT:
    case LMW_COL_JSON: *(const char **)p = lmw_sql_get_text(q, i); break;
    }
}
