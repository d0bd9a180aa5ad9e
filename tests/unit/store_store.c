/* The store through its door: what goes in comes out, nothing is overwritten, older files are
 * migrated, newer and foreign ones refused, and every way the disk can say no is an error that
 * loses nothing. */
#include "store/scores.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_scratch.h"

static int setup(void **state)
{
    if (make_folder(state) < 0)
        return -1;
    snprintf(db, sizeof db, "%s/deep/er/lmwatt.db", folder);
    return 0;
}

static struct lmw_run new_run(const char *name, const char *hash)
{
    return (struct lmw_run){
        .name = name,
        .settings_hash = hash,
        .settings = "{\"max_tokens\":64}",
        .environment = "{}",
        .date = "2026-01-02T03:04:05Z",
        .idle_before_mw = 1500,
        .idle_loaded_mw = LMW_NULL,
        .idle_after_mw = LMW_NULL,
        .peak_rss_bytes = LMW_NULL,
        .file_bytes = 12,
    };
}

static int64_t begin(struct lmw_store *s, const char *name)
{
    struct lmw_run run = new_run(name, "0123456789abcdef");
    struct lmw_err err = {0};
    bool resumed;
    if (lmw_store_begin_run(s, &run, &resumed, &err) != LMW_OK)
        fail_msg("%s", err.msg);
    return run.id;
}

static void add(struct lmw_store *s, int64_t run, const char *query_id)
{
    struct lmw_record r;
    struct lmw_err err = {0};
    lmw_record_clear(&r);
    r.query_id = query_id;
    r.repeat = 0;
    if (lmw_store_add(s, run, &r, &err) != LMW_OK)
        fail_msg("%s", err.msg);
}

/* A different value in each column, made from its place in the table. */
static void fill(struct lmw_record *r, char texts[][32])
{
    int i = 0;
    lmw_record_clear(r);
    for (const struct lmw_column *c = lmw_columns; c->name; c++, i++) {
        void *p = (char *)r + c->offset;
        snprintf(texts[i], 32, c->kind == LMW_COL_JSON ? "[\"%d\"]" : "\xc3\xa9 '%d'\n", i);
        switch (c->kind) {
        case LMW_COL_TEXT:
        case LMW_COL_JSON: *(const char **)p = texts[i]; break;
        case LMW_COL_INT: *(int64_t *)p = INT64_MAX - i; break;
        case LMW_COL_REAL: *(double *)p = 0.1 * i; break;
        case LMW_COL_BOOL: *(int64_t *)p = 1; break;
        }
    }
    r->extra = "{\"mine\":[1,null]}";
}

static void assert_same(const struct lmw_record *a, const struct lmw_record *b)
{
    json_t *ja = lmw_record_to_json(a), *jb = lmw_record_to_json(b);
    assert_non_null(ja);
    char *ta = json_dumps(ja, JSON_SORT_KEYS), *tb = json_dumps(jb, JSON_SORT_KEYS);
    assert_string_equal(ta, tb);
    free(ta);
    free(tb);
    json_decref(ja);
    json_decref(jb);
}

static void test_every_column_survives(void **state)
{
    struct lmw_store *s = open_store();
    struct lmw_record full, empty, got;
    struct lmw_records *it;
    struct lmw_err err = {0};
    char texts[64][32];
    int64_t run = begin(s, "r");
    fill(&full, texts);
    lmw_record_clear(&empty);
    empty.query_id = "only this";
    assert_int_equal(lmw_store_add(s, run, &full, &err), LMW_OK);
    assert_int_equal(lmw_store_add(s, run, &empty, &err), LMW_OK);
    lmw_store_close(s);

    s = open_store();
    assert_int_equal(lmw_store_count(s, run), 2);
    assert_int_equal(lmw_records_open(&it, s, run, &err), LMW_OK);
    full.run = empty.run = "r"; /* the run's name, whatever the record said */
    assert_int_equal(lmw_records_next(it, &got, &err), 1);
    assert_same(&got, &full);
    assert_int_equal(lmw_records_next(it, &got, &err), 1);
    assert_same(&got, &empty);
    assert_int_equal(got.energy_uj, LMW_NULL);
    assert_true(isnan(got.score));
    assert_int_equal(lmw_records_next(it, &got, &err), 0);
    lmw_records_close(it);
    assert_int_equal(lmw_store_check(s, &err), LMW_OK);
    lmw_store_close(s);
}

static void test_a_query_counts_once(void **state)
{
    struct lmw_store *s = open_store();
    struct lmw_err err = {0};
    struct lmw_record r;
    int64_t a = begin(s, "a"), b = begin(s, "b");
    lmw_record_clear(&r);
    assert_int_equal(lmw_store_add(s, a, &r, &err), LMW_EARG); /* no query_id */
    r.query_id = "q1";
    assert_false(lmw_store_has(s, a, "q1", LMW_NULL));
    assert_int_equal(lmw_store_add(s, a, &r, &err), LMW_OK);
    assert_int_equal(lmw_store_add(s, a, &r, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "q1"));
    r.repeat = 0; /* the same as not saying */
    assert_int_equal(lmw_store_add(s, a, &r, &err), LMW_EARG);
    r.repeat = 1;
    assert_int_equal(lmw_store_add(s, a, &r, &err), LMW_OK);
    assert_int_equal(lmw_store_add(s, b, &r, &err), LMW_OK);
    assert_true(lmw_store_has(s, a, "q1", 0));
    assert_true(lmw_store_has(s, a, "q1", 1));
    assert_false(lmw_store_has(s, a, "q1", 2));
    assert_false(lmw_store_has(s, b, "q1", 0));
    assert_int_equal(lmw_store_count(s, a), 2);
    assert_int_equal(lmw_store_count(s, b), 1);
    lmw_store_close(s);
}

static void test_runs(void **state)
{
    struct lmw_store *s = open_store();
    struct lmw_err err = {0};
    struct lmw_arena arena;
    struct lmw_run run = new_run("one", "aaaa"), *all;
    bool resumed = true;
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, &err), LMW_OK);
    assert_int_equal(lmw_store_runs(s, &arena, &all, &err), 0);
    assert_int_equal(lmw_store_begin_run(s, &run, &resumed, &err), LMW_OK);
    assert_false(resumed);
    run.finished = true;
    run.idle_loaded_mw = 1700;
    run.peak_rss_bytes = 1 << 20;
    assert_int_equal(lmw_store_update_run(s, &run, &err), LMW_OK);
    begin(s, "two");

    struct lmw_run again = new_run("one", "aaaa");
    assert_int_equal(lmw_store_begin_run(s, &again, &resumed, &err), LMW_OK);
    assert_true(resumed);
    assert_true(again.finished);
    assert_int_equal(again.id, run.id);
    assert_int_equal(again.idle_loaded_mw, 1700);

    struct lmw_run other = new_run("one", "bbbb");
    other.settings = "{\"max_tokens\":32,\"seed\":1}";
    assert_int_equal(lmw_store_begin_run(s, &other, &resumed, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "max_tokens, seed"));
    assert_non_null(strstr(err.msg, "--run"));

    assert_int_equal(lmw_store_runs(s, &arena, &all, &err), 2);
    assert_string_equal(all[0].name, "one");
    assert_string_equal(all[0].settings, "{\"max_tokens\":64}");
    assert_true(all[0].finished);
    assert_int_equal(all[0].peak_rss_bytes, 1 << 20);
    assert_int_equal(all[0].idle_after_mw, LMW_NULL);
    assert_string_equal(all[1].name, "two");
    assert_false(all[1].finished);
    lmw_arena_close(&arena);
    lmw_store_close(s);
}

/* Counts of a run's processes are added, notes are kept, and the rest of the environment stays. */
static void test_metering_is_added_up(void **state)
{
    struct lmw_store *s = open_store();
    struct lmw_err err = {0};
    struct lmw_arena arena;
    struct lmw_run run = new_run("one", "aaaa"), *all;
    struct lmw_metering first = {100, 2, 0, 1000, "{\"bmc\":\"3 questions\"}"},
                        second = {50, 1, 1, 203, "{\"wall:x\":\"a line\"}"};
    bool resumed;
    run.environment = "{\"cpu\":\"fast\"}";
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, &err), LMW_OK);
    assert_int_equal(lmw_store_begin_run(s, &run, &resumed, &err), LMW_OK);
    assert_int_equal(lmw_store_add_metering(s, run.id, &first, &err), LMW_OK);
    assert_int_equal(lmw_store_add_metering(s, run.id, &second, &err), LMW_OK);
    assert_int_equal(lmw_store_runs(s, &arena, &all, &err), 1);
    assert_string_equal(all[0].environment,
                        "{\"cpu\":\"fast\",\"metering\":{\"polls\":150,\"polls_late\":3,"
                        "\"suspends\":1,\"samples_lost\":1203,\"notes\":{\"bmc\":\"3 questions\","
                        "\"wall:x\":\"a line\"}}}");
    lmw_arena_close(&arena);
    lmw_store_close(s);
}

/* What was other when another process went on; what is the run's own stays. */
static void test_processes_that_go_on(void **state)
{
    struct lmw_store *s = open_store();
    struct lmw_err err = {0};
    struct lmw_arena arena;
    struct lmw_run run = new_run("one", "aaaa"), *all;
    struct lmw_metering metering = {100, 2, 0, 1000, "{}"};
    bool resumed;
    run.environment = "{\"cpu\":\"fast\",\"governor\":\"performance\",\"date\":\"1\"}";
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, &err), LMW_OK);
    assert_int_equal(lmw_store_begin_run(s, &run, &resumed, &err), LMW_OK);
    assert_int_equal(lmw_store_add_metering(s, run.id, &metering, &err), LMW_OK);
    const char *second = "{\"cpu\":\"fast\",\"governor\":\"powersave\",\"date\":\"2\"}";
    assert_int_equal(lmw_store_add_process(s, run.id, second, &err), LMW_OK);
    assert_int_equal(lmw_store_add_process(s, run.id, "{\"cpu\":\"fast\",\"date\":\"3\"}", &err),
                     LMW_OK);
    assert_int_equal(lmw_store_add_metering(s, run.id, &metering, &err), LMW_OK);
    assert_int_equal(lmw_store_runs(s, &arena, &all, &err), 1);
    assert_non_null(strstr(all[0].environment, "\"cpu\":\"fast\",\"governor\":\"performance\""));
    assert_non_null(strstr(all[0].environment, "\"polls\":200"));
    assert_non_null(strstr(all[0].environment,
                           "\"continued\":[{\"governor\":\"powersave\",\"date\":\"2\"},"
                           "{\"governor\":null,\"date\":\"3\"}]"));
    lmw_arena_close(&arena);
    lmw_store_close(s);
}

static void test_energy_is_settled_once(void **state)
{
    struct lmw_store *s = open_store();
    struct lmw_err err = {0};
    struct lmw_record r, got;
    struct lmw_records *it;
    int64_t run = begin(s, "r");
    lmw_record_clear(&r);
    r.query_id = "q";
    r.answer = "kept";
    r.energy_valid = 0;
    r.energy_reason = "pending";
    assert_int_equal(lmw_store_add(s, run, &r, &err), LMW_OK);
    lmw_record_clear(&r);
    r.query_id = "q";
    r.energy_valid = 1;
    r.energy_uj = 12345;
    r.power_mean_mw = 9;
    assert_int_equal(lmw_store_set_energy(s, run, &r, &err), LMW_OK);
    r.energy_uj = 1;
    assert_int_equal(lmw_store_set_energy(s, run, &r, &err), LMW_EARG); /* not pending any more */
    r.query_id = "nobody";
    assert_int_equal(lmw_store_set_energy(s, run, &r, &err), LMW_EARG);
    assert_int_equal(lmw_records_open(&it, s, run, &err), LMW_OK);
    assert_int_equal(lmw_records_next(it, &got, &err), 1);
    assert_string_equal(got.answer, "kept");
    assert_int_equal(got.energy_uj, 12345);
    assert_int_equal(got.power_mean_mw, 9);
    assert_null(got.energy_reason);
    lmw_records_close(it);
    lmw_store_close(s);
}

struct seen {
    int n;
    char text[64];
};

static int see(void *arg, const char *source, const void *bytes, size_t n, struct lmw_err *err)
{
    struct seen *seen = arg;
    seen->n++;
    snprintf(seen->text + strlen(seen->text), sizeof seen->text - strlen(seen->text), "%s=%.*s;",
             source, (int)n, (const char *)bytes);
    return seen->n == 3 ? lmw_fail(err, LMW_ECANCELLED, "enough") : LMW_OK;
}

static void test_samples_come_back_in_order(void **state)
{
    struct lmw_store *s = open_store();
    struct lmw_err err = {0};
    struct seen seen = {0};
    int64_t a = begin(s, "a"), b = begin(s, "b");
    lmw_store_add_samples(s, a, "x", "12", 2, &err);
    lmw_store_add_samples(s, b, "x", "no", 2, &err);
    lmw_store_add_samples(s, a, "y", "", 0, &err);
    assert_int_equal(lmw_store_samples(s, a, see, &seen, &err), LMW_OK);
    assert_string_equal(seen.text, "x=12;y=;");
    lmw_store_add_samples(s, a, "x", "3", 1, &err);
    seen = (struct seen){0};
    assert_int_equal(lmw_store_samples(s, a, see, &seen, &err), LMW_ECANCELLED);
    assert_int_equal(seen.n, 3);
    lmw_store_close(s);
}

/* --- files that were not made by this build --- */

static void make_file(const char *sql)
{
    sqlite3 *raw;
    char command[256];
    snprintf(command, sizeof command, "mkdir -p $(dirname %s)", db);
    assert_int_equal(system(command), 0);
    assert_int_equal(sqlite3_open(db, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(raw);
}

/* Version 1 as its first build wrote it, with fewer columns than lmw_columns has today. */
static const char version_1[] =
    "CREATE TABLE runs(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " settings_hash TEXT NOT NULL, settings TEXT, environment TEXT, date TEXT,"
    " finished INTEGER NOT NULL DEFAULT 0, idle_before_mw INTEGER, idle_loaded_mw INTEGER,"
    " idle_after_mw INTEGER, peak_rss_bytes INTEGER, file_bytes INTEGER);"
    "CREATE TABLE records(id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(id),"
    " query_id TEXT NOT NULL, repeat INTEGER, extra TEXT, answer TEXT, score REAL);"
    "CREATE UNIQUE INDEX records_key ON records(run_id, query_id, ifnull(repeat, 0));"
    "CREATE INDEX records_run ON records(run_id);"
    "CREATE TABLE samples(id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(id),"
    " source TEXT NOT NULL, bytes BLOB NOT NULL);"
    "CREATE INDEX samples_run ON samples(run_id);"
    "INSERT INTO runs(id, name, settings_hash) VALUES(1, 'old', '0123456789abcdef');"
    "INSERT INTO records(run_id, query_id, repeat, answer, score, extra)"
    " VALUES(1, 'q1', 0, 'then', 0.5, '{\"domain\":\"law\",\"mine\":1.50,\"latency_ns\":7,"
    "\"energy_rails\":{\"a:0\":12},\"energy_valid\":true,\"attempts\":\"many\"}');"
    "INSERT INTO records(run_id, query_id, extra) VALUES(1, 'q0', '{\"domain\":\"art\"}');"
    "PRAGMA user_version = 1; PRAGMA application_id = 1819113313;";

static void test_an_older_file_is_migrated(void **state)
{
    make_file(version_1);
    struct lmw_store *s = open_store();
    struct lmw_records *it;
    struct lmw_record r;
    struct lmw_err err = {0};
    int64_t run = begin(s, "old");
    assert_int_equal(run, 1);
    assert_true(lmw_store_has(s, run, "q1", 0));
    add(s, run, "q2");
    assert_int_equal(lmw_records_open(&it, s, run, &err), LMW_OK);
    assert_int_equal(lmw_records_next(it, &r, &err), 1);
    assert_string_equal(r.answer, "then");
    assert_true(r.score == 0.5);
    assert_int_equal(r.ttft_ns, LMW_NULL);
    assert_string_equal(r.domain, "law"); /* it had no column then */
    assert_int_equal(r.latency_ns, 7);
    assert_string_equal(r.energy_rails, "{\"a:0\":12}");
    assert_int_equal(r.energy_valid, 1);
    assert_int_equal(r.attempts, LMW_NULL); /* of another kind: it stays what it was */
    assert_string_equal(r.extra, "{\"mine\":1.50,\"attempts\":\"many\"}");
    assert_int_equal(lmw_records_next(it, &r, &err), 1);
    assert_string_equal(r.domain, "art");
    assert_null(r.extra);
    assert_int_equal(lmw_records_next(it, &r, &err), 1);
    lmw_records_close(it);
    struct lmw_judgement j = {.run_id = run, .name = "x", .settings = "{}"};
    bool resumed;
    assert_int_equal(lmw_judgement_begin(s, &j, &resumed, &err), LMW_OK);
    assert_int_equal(lmw_judgement_apply(s, &j, &err), LMW_OK);
    lmw_store_close(s);
}

static void assert_refused(int code, const char *says)
{
    struct lmw_store *s;
    struct lmw_err err = {0};
    assert_int_equal(lmw_store_open(&s, db, &err), code);
    assert_null(s);
    if (!strstr(err.msg, says) || !strstr(err.msg, db))
        fail_msg("'%s' does not say '%s'", err.msg, says);
}

static void test_a_newer_file_is_refused(void **state)
{
    make_file(version_1);
    make_file("PRAGMA user_version = 1000");
    assert_refused(LMW_EUNSUPPORTED, "version 1000");
}

static void test_foreign_files_are_refused(void **state)
{
    make_file("CREATE TABLE somebody(x); INSERT INTO somebody VALUES(1)");
    assert_refused(LMW_EFORMAT, "not an lmwatt store");
    FILE *f = fopen(db, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", f);
    fclose(f);
    assert_refused(LMW_EFORMAT, "not an lmwatt store");
}

static void test_a_damaged_file_is_an_error(void **state)
{
    struct lmw_store *s = open_store();
    struct lmw_err err = {0};
    char id[32];
    int64_t run = begin(s, "r");
    for (int i = 0; i < 2000; i++) {
        snprintf(id, sizeof id, "query %d", i);
        add(s, run, id);
    }
    lmw_store_close(s);
    int fd = open(db, O_RDWR);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = 8192; at < size; at += 4096)
        assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, at), 8);
    close(fd);
    int rc = lmw_store_open(&s, db, &err);
    if (rc == LMW_OK)
        rc = lmw_store_check(s, &err);
    assert_int_equal(rc, LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "damaged"));
    lmw_store_close(s);
}

/* --- a system that refuses --- */

static void test_a_folder_that_cannot_be_written(void **state)
{
    struct lmw_store *s;
    struct lmw_err err = {0};
    if (geteuid() == 0) {
        /* Root may write anywhere but here. */
        snprintf(db, sizeof db, "/proc/lmwatt/lmwatt.db");
    } else {
        snprintf(db, sizeof db, "%s/closed/lmwatt.db", folder);
        char closed[128];
        snprintf(closed, sizeof closed, "%s/closed", folder);
        mkdir(closed, 0500);
    }
    assert_true(lmw_store_open(&s, db, &err) < 0);
    assert_non_null(strstr(err.msg, "--store"));
    snprintf(db, sizeof db, "%s", folder); /* a folder where the file should be */
    assert_refused(LMW_EIO, "--store");
}

/* In a child, because root may write anywhere and does not come back. */
static int read_as_a_guest(void)
{
    struct lmw_store *s;
    struct lmw_err err = {0};
    if (geteuid() == 0 && setuid(65534) < 0)
        return 1;
    if (lmw_store_open_existing(&s, db, &err) < 0)
        return 2;
    int64_t n = lmw_store_count(s, 1);
    lmw_store_close(s);
    return n == 1 ? 0 : 3;
}

/* Nothing is written, and it is said what to do. */
static int write_as_a_guest(void)
{
    struct lmw_store *s;
    struct lmw_err err = {0};
    struct lmw_record r;
    struct lmw_run run = new_run("another", "0123456789abcdef");
    bool resumed;
    if (geteuid() == 0 && setuid(65534) < 0)
        return 1;
    if (lmw_store_open(&s, db, &err) != LMW_EIO || s || !strstr(err.msg, "--store"))
        return 2;
    if (lmw_store_open_existing(&s, db, &err) < 0)
        return 3;
    lmw_record_clear(&r);
    r.query_id = "new";
    err = (struct lmw_err){0};
    if (lmw_store_add(s, 1, &r, &err) != LMW_EIO || !strstr(err.msg, "read-only"))
        return 4;
    if (lmw_store_begin_run(s, &run, &resumed, &err) != LMW_EIO || lmw_store_count(s, 1) != 1)
        return 5;
    lmw_store_close(s);
    return 0;
}

static void as_a_guest(int (*act)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(act());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_what_is_read_only_is_read(void **state)
{
    snprintf(db, sizeof db, "%s/100%%? #1.db",
             folder); /* SQLite's names for files have a syntax */
    struct lmw_store *s = open_store();
    add(s, begin(s, "r"), "q");
    lmw_store_close(s);
    assert_int_equal(chmod(db, 0444), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    as_a_guest(read_as_a_guest);
    as_a_guest(write_as_a_guest);
    assert_int_equal(chmod(db, 0644), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    s = open_store();
    assert_int_equal(lmw_store_count(s, 1), 1);
    lmw_store_close(s);
}

/* In a child, because the limit and its signal belong to the process. */
static int fill_until_refused(void)
{
    struct lmw_store *s = open_store();
    struct lmw_err err = {0};
    struct lmw_record r;
    char id[32], text[4000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    int64_t run = begin(s, "r");
    struct rlimit limit = {1 << 20, 1 << 20};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    lmw_record_clear(&r);
    r.query_id = id;
    r.answer = text;
    for (int i = 0; i < 10000; i++) {
        snprintf(id, sizeof id, "%d", i);
        if (lmw_store_add(s, run, &r, &err) < 0) {
            FILE *f = fopen("/dev/stderr", "w");
            bool ok = strstr(err.msg, "safe") && err.code == LMW_EIO && i > 10;
            if (!ok && f)
                fprintf(f, "record %d: %s\n", i, err.msg);
            return ok ? i % 100 + 1 : 0; /* so many are in, modulo 100 */
        }
    }
    return 0;
}

static void test_a_full_disk_loses_nothing(void **state)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(fill_until_refused());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) > 0);
    struct lmw_store *s = open_store();
    int64_t run = begin(s, "r");
    assert_int_equal(lmw_store_count(s, run) % 100 + 1, WEXITSTATUS(status));
    assert_int_equal(lmw_store_check(s, NULL), LMW_OK);
    add(s, run, "there is room again");
    lmw_store_close(s);
}

static void test_one_writer_per_run(void **state)
{
    struct lmw_store *a = open_store(), *b = open_store();
    struct lmw_err err = {0};
    struct lmw_run run = new_run("r", "0123456789abcdef");
    bool resumed;
    int64_t id = begin(a, "r");
    assert_int_equal(lmw_store_begin_run(b, &run, &resumed, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "another process"));
    int64_t other = begin(b, "another run");
    for (int i = 0; i < 50; i++) { /* two writers take turns in one file */
        char q[16];
        snprintf(q, sizeof q, "%d", i);
        add(a, id, q);
        add(b, other, q);
    }
    lmw_store_close(a);
    assert_int_equal(lmw_store_begin_run(b, &run, &resumed, &err), LMW_OK);
    assert_true(resumed);
    assert_int_equal(lmw_store_count(b, id), 50);
    assert_int_equal(lmw_store_count(b, other), 50);
    lmw_store_close(b);
}

static void test_two_processes_create_at_once(void **state)
{
    pid_t child[6];
    for (int i = 0; i < 6; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            struct lmw_store *s;
            struct lmw_err err = {0};
            int rc = lmw_store_open(&s, db, &err);
            if (rc < 0)
                fprintf(stderr, "%s\n", err.msg);
            lmw_store_close(s);
            _exit(rc < 0);
        }
    }
    for (int i = 0; i < 6; i++) {
        int status;
        waitpid(child[i], &status, 0);
        assert_int_equal(status, 0);
    }
}

/* SQLite would open something under these names, and forget it. */
static void test_a_store_that_would_be_forgotten(void **state)
{
    static const char *const names[] = {"", ":memory:"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct lmw_store *s;
        struct lmw_err err = {0};
        assert_int_equal(lmw_store_open(&s, names[i], &err), LMW_EARG);
        assert_null(s);
        assert_non_null(strstr(err.msg, "a store is a file"));
    }
}

static void test_default_path(void **state)
{
    char path[256];
    struct lmw_err err = {0};
    setenv("HOME", "/home/me", 1);
    unsetenv("XDG_DATA_HOME");
    unsetenv("LMW_STORE");
    assert_int_equal(lmw_store_default_path(path, sizeof path, &err), LMW_OK);
    assert_string_equal(path, "/home/me/.local/share/lmwatt/lmwatt.db");
    setenv("XDG_DATA_HOME", "/data", 1);
    lmw_store_default_path(path, sizeof path, &err);
    assert_string_equal(path, "/data/lmwatt/lmwatt.db");
    setenv("XDG_DATA_HOME", "relative", 1); /* to be ignored, say the rules */
    lmw_store_default_path(path, sizeof path, &err);
    assert_string_equal(path, "/home/me/.local/share/lmwatt/lmwatt.db");
    setenv("LMW_STORE", "here.db", 1);
    lmw_store_default_path(path, sizeof path, &err);
    assert_string_equal(path, "here.db");
    assert_int_equal(lmw_store_default_path(path, 4, &err), LMW_EARG);
    unsetenv("LMW_STORE");
    unsetenv("HOME");
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(lmw_store_default_path(path, sizeof path, &err), LMW_EARG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_column_survives),
        TEST(test_a_query_counts_once),
        TEST(test_runs),
        TEST(test_metering_is_added_up),
        TEST(test_processes_that_go_on),
        TEST(test_energy_is_settled_once),
        TEST(test_samples_come_back_in_order),
        TEST(test_an_older_file_is_migrated),
        TEST(test_a_newer_file_is_refused),
        TEST(test_foreign_files_are_refused),
        TEST(test_a_damaged_file_is_an_error),
        TEST(test_a_folder_that_cannot_be_written),
        TEST(test_what_is_read_only_is_read),
        TEST(test_a_full_disk_loses_nothing),
        TEST(test_one_writer_per_run),
        TEST(test_two_processes_create_at_once),
        TEST(test_a_store_that_would_be_forgotten),
        TEST(test_default_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
