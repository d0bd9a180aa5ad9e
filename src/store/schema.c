/* The schema and how older files reach it.
 *
 * PRAGMA user_version counts the steps below that a file has been through: a new file starts at
 * 0 and walks all of them, an older one the rest, in one transaction with whatever else opening
 * changes. A file that went through more steps than this build knows is refused, so an old
 * program never writes into what it does not understand. A step, once released, never changes.
 *
 * The columns of `records` are no step: they follow lmw_columns (base/record.h). A column that
 * the table lacks is added, with what `extra` has of that name, else null. (`run` alone is not
 * stored: it is the name of the run.)
 *
 * PRAGMA application_id is "lmwa", so that somebody's other SQLite database is refused, not
 * filled. */
#include "store/sql.h"

#include <stdio.h>
#include <string.h>

enum { APPLICATION_ID = 0x6c6d7761 };

static const char *const steps[] = {
    /* 0 -> 1 */
    "CREATE TABLE runs("
    "  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, settings_hash TEXT NOT NULL,"
    "  settings TEXT, environment TEXT, date TEXT, finished INTEGER NOT NULL DEFAULT 0,"
    "  idle_before_mw INTEGER, idle_loaded_mw INTEGER, idle_after_mw INTEGER,"
    "  peak_rss_bytes INTEGER, file_bytes INTEGER);"
    "CREATE TABLE records("
    "  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(id),"
    "  query_id TEXT NOT NULL, repeat INTEGER, extra TEXT);"
    /* A missing repeat is repeat 0: SQL would take two nulls for different. */
    "CREATE UNIQUE INDEX records_key ON records(run_id, query_id, ifnull(repeat, 0));"
    "CREATE INDEX records_run ON records(run_id);"
    "CREATE TABLE samples("
    "  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(id),"
    "  source TEXT NOT NULL, bytes BLOB NOT NULL);"
    "CREATE INDEX samples_run ON samples(run_id);",
    /* 1 -> 2: verdicts given later, beside those the records show */
    "CREATE TABLE judgements("
    "  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(id), name TEXT NOT NULL,"
    "  settings TEXT NOT NULL, date TEXT, done INTEGER NOT NULL DEFAULT 0,"
    "  energy_uj INTEGER, energy_basis TEXT);"
    "CREATE INDEX judgements_run ON judgements(run_id);"
    "CREATE TABLE scores("
    "  judgement_id INTEGER NOT NULL REFERENCES judgements(id),"
    "  record_id INTEGER NOT NULL REFERENCES records(id), score REAL, scorer TEXT, reason TEXT,"
    "  date TEXT, attempts INTEGER, prompt_tokens INTEGER, completion_tokens INTEGER,"
    "  latency_ns INTEGER, cost_usd REAL, extra TEXT,"
    "  PRIMARY KEY(judgement_id, record_id)) WITHOUT ROWID;",
};
enum { VERSION = sizeof steps / sizeof *steps };

static int read_int(struct lmw_store *s, const char *text, int64_t *out, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, s, text, err);
    if (rc == LMW_OK && (rc = lmw_sql_step(&q, err)) == 1) {
        *out = lmw_sql_get_int(&q, 0);
        rc = LMW_OK;
    }
    lmw_sql_end(&q);
    return rc;
}

/* Refuses what is not ours or newer than we are. */
static int check_owner(struct lmw_store *s, int64_t *version, struct lmw_err *err)
{
    int64_t id = 0, n_table = 0;
    int rc;
    if ((rc = read_int(s, "PRAGMA user_version", version, err)) < 0 ||
        (rc = read_int(s, "PRAGMA application_id", &id, err)) < 0 ||
        (rc = read_int(s, "SELECT count(*) FROM sqlite_master", &n_table, err)) < 0)
        return rc;
    if (id != APPLICATION_ID && (n_table > 0 || *version != 0))
        return lmw_fail(err, LMW_EFORMAT,
                        "store %s: this SQLite database is not an lmwatt store: choose another "
                        "file with --store or LMW_STORE",
                        s->path);
    if (*version < 0 || *version > VERSION)
        return lmw_fail(err, LMW_EUNSUPPORTED,
                        "store %s: its schema is version %lld, this lmwatt knows up to %d: use "
                        "the newer lmwatt that wrote it, or another file with --store",
                        s->path, (long long)*version, (int)VERSION);
    return LMW_OK;
}

static int has_column(struct lmw_store *s, const char *name, bool *has, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, s, "SELECT 1 FROM pragma_table_info('records') WHERE name = ?", err);
    if (rc == LMW_OK) {
        lmw_sql_text(&q, name);
        rc = lmw_sql_step(&q, err);
    }
    lmw_sql_end(&q);
    *has = rc == 1;
    return rc < 0 ? rc : LMW_OK;
}

/* What older builds kept in `extra` because they had no column for it moves into the column, where
 * it is of its kind. */
static int move_from_extra(struct lmw_store *s, const struct lmw_column *c, struct lmw_err *err)
{
    static const char *const kinds[] = {
        [LMW_COL_TEXT] = "= 'text'",
        [LMW_COL_INT] = "= 'integer'",
        [LMW_COL_REAL] = "IN ('real', 'integer')",
        [LMW_COL_BOOL] = "IN ('true', 'false')",
        [LMW_COL_JSON] = "IN ('array', 'object')",
    };
    char text[512];
    snprintf(text, sizeof text,
             "UPDATE records SET %s = extra %s '$.%s',"
             " extra = nullif(json_remove(extra, '$.%s'), '{}')"
             " WHERE extra IS NOT NULL AND json_type(extra, '$.%s') %s",
             c->name, c->kind == LMW_COL_JSON ? "->" : "->>", c->name, c->name, c->name,
             kinds[c->kind]);
    return lmw_sql_exec(s, text, err);
}

static int add_missing_columns(struct lmw_store *s, struct lmw_err *err)
{
    static const char *const types[] = {
        [LMW_COL_TEXT] = "TEXT",    [LMW_COL_INT] = "INTEGER", [LMW_COL_REAL] = "REAL",
        [LMW_COL_BOOL] = "INTEGER", [LMW_COL_JSON] = "TEXT",
    };
    int rc = LMW_OK;
    for (const struct lmw_column *c = lmw_columns; c->name && rc == LMW_OK; c++) {
        char text[128];
        bool has = !lmw_sql_is_stored(c);
        if (!has && (rc = has_column(s, c->name, &has, err)) < 0)
            return rc;
        snprintf(text, sizeof text, "ALTER TABLE records ADD COLUMN %s %s", c->name,
                 types[c->kind]);
        if (!has && (rc = lmw_sql_exec(s, text, err)) == LMW_OK)
            rc = move_from_extra(s, c, err);
    }
    return rc;
}

static int migrate(struct lmw_store *s, struct lmw_err *err)
{
    /* Read again inside the transaction: another process may have been here first. */
    int64_t version = 0;
    char text[96];
    int rc = check_owner(s, &version, err);
    for (int64_t i = version; i < VERSION && rc == LMW_OK; i++)
        rc = lmw_sql_exec(s, steps[i], err);
    if (rc == LMW_OK)
        rc = add_missing_columns(s, err);
    snprintf(text, sizeof text, "PRAGMA user_version = %d; PRAGMA application_id = %d",
             (int)VERSION, (int)APPLICATION_ID);
    return rc == LMW_OK && version < VERSION ? lmw_sql_exec(s, text, err) : rc;
}

static int is_current(struct lmw_store *s, bool *current, struct lmw_err *err)
{
    int64_t version = 0;
    int rc = check_owner(s, &version, err);
    *current = version == VERSION;
    for (const struct lmw_column *c = lmw_columns; c->name && rc == LMW_OK && *current; c++) {
        if (lmw_sql_is_stored(c))
            rc = has_column(s, c->name, current, err);
    }
    return rc;
}

int lmw_schema_open(struct lmw_store *s, struct lmw_err *err)
{
    bool current = false;
    int rc = is_current(s, &current, err);
    if (rc < 0 || current)
        return rc;
    if ((rc = lmw_sql_exec(s, "BEGIN IMMEDIATE", err)) < 0)
        return rc;
    if ((rc = migrate(s, err)) == LMW_OK)
        rc = lmw_sql_exec(s, "COMMIT", err);
    if (rc < 0)
        lmw_sql_exec(s, "ROLLBACK", NULL);
    return rc;
}
