/* The store: one SQLite file, its records and raw samples; runs.c has its runs. See store.h for
 * the contract and schema.c for the tables.
 *
 * Write-ahead logging with synchronous=NORMAL: a commit is in the log when the call returns, so
 * a killed process loses nothing that was added; the log reaches the disk when it is
 * checkpointed (about every 4 MB, when a run finishes, and at close), so a power failure may
 * lose the last records of an unfinished run, never the file. FULL would add an fsync to every
 * record: milliseconds of somebody else's joules beside each measured query.
 *
 * SQL over records is written by walking lmw_columns, so the names are spelled once
 * (base/record.c). */
#include "store/store.h"

#include "base/clock.h"
#include "base/file.h"
#include "store/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MS = 60000 };

int lmw_store_default_path(char *out, size_t cap, struct lmw_err *err)
{
    const char *store = getenv("LMW_STORE"), *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    int n;
    if (store && *store)
        n = snprintf(out, cap, "%s", store);
    else if (data && data[0] == '/')
        n = snprintf(out, cap, "%s/lmwatt/lmwatt.db", data);
    else if (home && *home)
        n = snprintf(out, cap, "%s/.local/share/lmwatt/lmwatt.db", home);
    else
        return lmw_fail(err, LMW_EARG,
                        "no place for the store: HOME is not set; give --store "
                        "FILE or set LMW_STORE");
    if (n < 0 || (size_t)n >= cap)
        return lmw_fail(err, LMW_EARG, "the path of the store is longer than %zu bytes", cap - 1);
    return LMW_OK;
}

/* --- SQL over records --- */

static bool is_energy(const struct lmw_column *c)
{
    lmw_str name = lmw_str_from(c->name);
    return lmw_str_starts(name, "energy_") || lmw_str_starts(name, "power_");
}

static void insert_text(struct lmw_buf *b)
{
    int n = 2;
    lmw_buf_str(b, "INSERT INTO records(run_id, extra");
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        if (lmw_sql_is_stored(c)) {
            lmw_buf_printf(b, ", %s", c->name);
            n++;
        }
    }
    lmw_buf_str(b, ") VALUES(?");
    while (--n > 0)
        lmw_buf_str(b, ", ?");
    lmw_buf_str(b, ")");
}

static void set_energy_text(struct lmw_buf *b)
{
    const char *comma = "";
    lmw_buf_str(b, "UPDATE records SET ");
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        if (is_energy(c)) {
            lmw_buf_printf(b, "%s%s = ?", comma, c->name);
            comma = ", ";
        }
    }
    lmw_buf_str(b, " WHERE run_id = ? AND query_id = ? AND ifnull(repeat, 0) = ?"
                   " AND energy_reason = 'pending'");
}

static int prepare_built(struct sql *q, struct lmw_store *s, void (*build)(struct lmw_buf *),
                         struct lmw_err *err)
{
    struct lmw_buf b = {0};
    build(&b);
    int rc = b.failed ? lmw_fail(err, LMW_ENOMEM, "no memory for a query of the store")
                      : lmw_sql(q, s, b.ptr, err);
    lmw_buf_free(&b);
    return rc;
}

static int prepare_all(struct lmw_store *s, struct lmw_err *err)
{
    int rc;
    if ((rc = prepare_built(&s->add, s, insert_text, err)) < 0 ||
        (rc = prepare_built(&s->set_energy, s, set_energy_text, err)) < 0 ||
        (rc = lmw_sql(&s->has, s,
                      "SELECT 1 FROM records WHERE run_id = ? AND query_id = ?"
                      " AND ifnull(repeat, 0) = ?",
                      err)) < 0 ||
        (rc = lmw_sql(&s->count, s, "SELECT count(*) FROM records WHERE run_id = ?", err)) < 0)
        return rc;
    return lmw_sql(&s->samples, s, "INSERT INTO samples(run_id, source, bytes) VALUES(?, ?, ?)",
                   err);
}

/* --- opening --- */

static int make_folder(const char *path, struct lmw_err *err)
{
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (!slash || slash == dir)
        return LMW_OK;
    *slash = 0;
    if (lmw_mkdirs(dir, err) < 0)
        return lmw_wrap(err, "making the store's folder (choose another with --store)");
    return LMW_OK;
}

/* Switching a new file to WAL needs it alone for a moment and does not wait by itself. */
static int set_wal(struct lmw_store *s, struct lmw_err *err)
{
    int64_t until_ns = lmw_now_ns() + BUSY_MS * 1000000LL;
    int rc;
    while ((rc = lmw_sql_exec(s, "PRAGMA journal_mode = WAL", err)) == LMW_EUNAVAILABLE &&
           lmw_now_ns() < until_ns)
        lmw_sleep_until_ns(lmw_now_ns() + 20000000);
    return rc < 0 ? rc : lmw_sql_exec(s, "PRAGMA synchronous = NORMAL", err);
}

static int open_db(struct lmw_store *s, const char *name, int flags, struct lmw_err *err)
{
    if (sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return s->db ? lmw_sql_fail(s, err) : lmw_fail(err, LMW_ENOMEM, "no memory for a store");
    sqlite3_busy_timeout(s->db, BUSY_MS);
    int rc = flags & SQLITE_OPEN_READONLY ? LMW_OK : set_wal(s, err);
    if (rc == LMW_OK)
        rc = lmw_schema_open(s, err);
    return rc == LMW_OK ? prepare_all(s, err) : rc;
}

static int open_to_write(struct lmw_store *s, struct lmw_err *err)
{
    int rc = make_folder(s->path, err);
    return rc < 0 ? rc : open_db(s, s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
}

/* What of the last writer's is not yet in the file: its log, or what it was undoing. */
static bool has_rest(const char *path)
{
    static const char *const ends[] = {"-wal", "-journal"};
    char name[1024 + 8];
    struct stat st;
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        if (stat(name, &st) == 0 && st.st_size > 0)
            return true;
    }
    return false;
}

/* SQLite reads a file with a write-ahead log only where it may make the log's index beside it,
 * or is told that nobody writes. The latter would overlook what such a file has beside it. */
static int open_to_read(struct lmw_store *s, struct lmw_err *err)
{
    struct lmw_buf name = {0};
    lmw_buf_str(&name, "file:");
    for (const char *c = s->path; *c; c++)
        lmw_buf_printf(&name, strchr("%?#", *c) ? "%%%02x" : "%c", *c);
    lmw_buf_str(&name, has_rest(s->path) ? "?mode=ro" : "?immutable=1");
    int rc = name.failed ? lmw_fail(err, LMW_ENOMEM, "no memory for a store")
                         : open_db(s, name.ptr, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
    lmw_buf_free(&name);
    return rc;
}

static int open_store(struct lmw_store **out, const char *path,
                      int (*how)(struct lmw_store *s, struct lmw_err *err), struct lmw_err *err)
{
    *out = NULL;
    struct lmw_store *s = calloc(1, sizeof *s);
    if (!s)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a store");
    s->lock_fd = -1;
    int rc;
    if (!*path || strcmp(path, ":memory:") == 0) /* SQLite's names for what is gone at its end */
        rc = lmw_fail(err, LMW_EARG, "a store is a file, and '%s' names none", path);
    else if ((size_t)snprintf(s->path, sizeof s->path, "%s", path) >= sizeof s->path)
        rc = lmw_fail(err, LMW_EARG, "the path of the store is too long");
    else
        rc = how(s, err);
    if (rc == LMW_OK)
        *out = s;
    else
        lmw_store_close(s);
    return rc;
}

int lmw_store_open(struct lmw_store **out, const char *path, struct lmw_err *err)
{
    return open_store(out, path, open_to_write, err);
}

/* The file, and the folder it lies in: its log is a file beside it. */
static bool is_writable(const char *path)
{
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = 0;
    return access(path, W_OK) == 0 && access(slash ? dir : ".", W_OK) == 0;
}

int lmw_store_open_existing(struct lmw_store **out, const char *path, struct lmw_err *err)
{
    struct stat st;
    *out = NULL;
    if (stat(path, &st) == 0 && st.st_size > 0)
        return open_store(out, path, is_writable(path) ? open_to_write : open_to_read, err);
    return lmw_fail(
        err, LMW_EARG,
        "no store at %s: `lmwatt measure` makes one; --store or LMW_STORE names another", path);
}

void lmw_store_close(struct lmw_store *s)
{
    if (!s)
        return;
    lmw_sql_end(&s->add);
    lmw_sql_end(&s->set_energy);
    lmw_sql_end(&s->add_list);
    lmw_records_close(s->one);
    lmw_sql_end(&s->has);
    lmw_sql_end(&s->count);
    lmw_sql_end(&s->samples);
    sqlite3_close(s->db);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s);
}

const char *lmw_store_sqlite(void)
{
    return sqlite3_libversion();
}

int lmw_store_check(struct lmw_store *s, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, s, "PRAGMA integrity_check", err);
    if (rc == LMW_OK && (rc = lmw_sql_step(&q, err)) == 1) {
        const char *said = lmw_sql_get_text(&q, 0);
        rc = said && strcmp(said, "ok") == 0
                 ? LMW_OK
                 : lmw_fail(err, LMW_EFORMAT, "store %s: damaged: %s", s->path, said ? said : "?");
    }
    lmw_sql_end(&q);
    return rc;
}

/* --- records --- */

/* Steps a statement that changes rows and makes it ready for the next time. */
static int run_change(struct sql *q, int *extended, struct lmw_err *err)
{
    int rc = lmw_sql_step(q, err);
    *extended = sqlite3_extended_errcode(q->s->db);
    lmw_sql_reset(q);
    return rc;
}

int lmw_store_add(struct lmw_store *s, int64_t run_id, const struct lmw_record *r,
                  struct lmw_err *err)
{
    int extended;
    if (!r->query_id || !*r->query_id)
        return lmw_fail(err, LMW_EARG, "a record needs a query_id");
    lmw_sql_int(&s->add, run_id);
    lmw_sql_text(&s->add, r->extra);
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        if (lmw_sql_is_stored(c))
            lmw_sql_field(&s->add, r, c);
    }
    int rc = run_change(&s->add, &extended, err);
    if (rc < 0 && extended == SQLITE_CONSTRAINT_UNIQUE)
        return lmw_fail(err, LMW_EARG,
                        "store %s: query '%s' (repeat %lld) is already recorded in this run",
                        s->path, r->query_id, r->repeat == LMW_NULL ? 0 : (long long)r->repeat);
    return rc;
}

static void bind_key(struct sql *q, int64_t run_id, const char *query_id, int64_t repeat)
{
    lmw_sql_int(q, run_id);
    lmw_sql_text(q, query_id);
    lmw_sql_int(q, repeat == LMW_NULL ? 0 : repeat);
}

int lmw_store_set_energy(struct lmw_store *s, int64_t run_id, const struct lmw_record *r,
                         struct lmw_err *err)
{
    int extended;
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        if (is_energy(c))
            lmw_sql_field(&s->set_energy, r, c);
    }
    bind_key(&s->set_energy, run_id, r->query_id, r->repeat);
    int rc = run_change(&s->set_energy, &extended, err);
    if (rc == LMW_OK && sqlite3_changes(s->db) == 0)
        return lmw_fail(err, LMW_EARG, "store %s: query '%s' is not waiting for its energy",
                        s->path, r->query_id ? r->query_id : "(none)");
    return rc;
}

bool lmw_store_has(struct lmw_store *s, int64_t run_id, const char *query_id, int64_t repeat)
{
    bind_key(&s->has, run_id, query_id, repeat);
    bool has = lmw_sql_step(&s->has, NULL) == 1;
    lmw_sql_reset(&s->has);
    return has;
}

int64_t lmw_store_count(struct lmw_store *s, int64_t run_id)
{
    lmw_sql_int(&s->count, run_id);
    int64_t n = lmw_sql_step(&s->count, NULL) == 1 ? lmw_sql_get_int(&s->count, 0) : 0;
    lmw_sql_reset(&s->count);
    return n;
}

/* What a cursor reads: each column of its statement, and a record with the rest absent. */
struct lmw_records {
    struct sql q;
    bool extra;
    struct lmw_record absent;
    int n_column;
    const struct lmw_column *column[];
};

static size_t count_columns(void)
{
    size_t n = 0;
    while (lmw_columns[n].name)
        n++;
    return n;
}

static void select_columns(struct lmw_records *it, const char *const *names, struct lmw_buf *b)
{
    it->extra = !names || lmw_str_among(LMW_STR("extra"), names);
    lmw_buf_str(b, it->extra ? "SELECT records.extra" : "SELECT 0");
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        if (names && !lmw_str_among(lmw_str_from(c->name), names))
            continue;
        lmw_buf_printf(b, ", %s%s", lmw_sql_is_stored(c) ? "records." : "runs.name AS ", c->name);
        it->column[it->n_column++] = c;
    }
    lmw_buf_str(b, " FROM records JOIN runs ON runs.id = records.run_id WHERE records.run_id = ?");
}

/* The named columns (NULL: all) of the records of a run that `which` asks for. */
static int open_records(struct lmw_records **out, struct lmw_store *s, const char *const *columns,
                        const char *which, struct lmw_err *err)
{
    struct lmw_records *it = *out = calloc(1, sizeof *it + count_columns() * sizeof *it->column);
    struct lmw_buf b = {0};
    if (!it)
        return lmw_fail(err, LMW_ENOMEM, "no memory to read records");
    lmw_record_clear(&it->absent);
    select_columns(it, columns, &b);
    lmw_buf_str(&b, which);
    int rc = b.failed ? lmw_fail(err, LMW_ENOMEM, "no memory for a query of the store")
                      : lmw_sql(&it->q, s, b.ptr, err);
    lmw_buf_free(&b);
    if (rc < 0) {
        lmw_records_close(it);
        *out = NULL;
    }
    return rc;
}

int lmw_records_open_columns(struct lmw_records **out, struct lmw_store *s, int64_t run_id,
                             const char *const *columns, struct lmw_err *err)
{
    int rc = open_records(out, s, columns, " ORDER BY records.id", err);
    if (rc == LMW_OK)
        lmw_sql_int(&(*out)->q, run_id);
    return rc;
}

int lmw_records_open(struct lmw_records **out, struct lmw_store *s, int64_t run_id,
                     struct lmw_err *err)
{
    return lmw_records_open_columns(out, s, run_id, NULL, err);
}

int lmw_records_next(struct lmw_records *it, struct lmw_record *r, struct lmw_err *err)
{
    *r = it->absent;
    int rc = lmw_sql_step(&it->q, err);
    if (rc != 1)
        return rc;
    if (it->extra)
        r->extra = lmw_sql_get_text(&it->q, 0);
    for (int i = 0; i < it->n_column; i++)
        lmw_sql_get_field(&it->q, i + 1, r, it->column[i]);
    return 1;
}

void lmw_records_close(struct lmw_records *it)
{
    if (it)
        lmw_sql_end(&it->q);
    free(it);
}

int lmw_store_get(struct lmw_store *s, int64_t run_id, const char *query_id, int64_t repeat,
                  struct lmw_record *r, struct lmw_err *err)
{
    int rc = LMW_OK;
    if (!s->one)
        rc = open_records(&s->one, s, NULL, " AND query_id = ? AND ifnull(repeat, 0) = ?", err);
    if (rc < 0)
        return rc;
    lmw_sql_reset(&s->one->q); /* only now: the caller was reading the last one */
    bind_key(&s->one->q, run_id, query_id, repeat);
    return lmw_records_next(s->one, r, err);
}

/* --- raw samples --- */

int lmw_store_add_samples(struct lmw_store *s, int64_t run_id, const char *source,
                          const void *bytes, size_t n, struct lmw_err *err)
{
    int extended;
    lmw_sql_int(&s->samples, run_id);
    lmw_sql_text(&s->samples, source);
    lmw_sql_blob(&s->samples, bytes, n);
    return run_change(&s->samples, &extended, err);
}

int lmw_store_samples(struct lmw_store *s, int64_t run_id, lmw_sample_block_fn *out, void *arg,
                      struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, s, "SELECT source, bytes FROM samples WHERE run_id = ? ORDER BY id", err);
    if (rc == LMW_OK)
        lmw_sql_int(&q, run_id);
    while (rc == LMW_OK && (rc = lmw_sql_step(&q, err)) == 1)
        rc = out(arg, lmw_sql_get_text(&q, 0), sqlite3_column_blob(q.st, 1),
                 (size_t)sqlite3_column_bytes(q.st, 1), err);
    lmw_sql_end(&q);
    return rc;
}
