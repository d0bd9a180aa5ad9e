/* The runs of a store: found by name, made, taken by one process at a time, and what is measured
 * once of each. Nothing here overwrites a run: one of the same name and other settings is refused,
 * and the message says which.
 *
 * Who writes a run holds byte `id` of the file PATH-lock until the store is closed or the process
 * dies, however it dies (open file description locks, fcntl(2)). */
#include "store/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int lock_run(struct lmw_store *s, const struct lmw_run *run, struct lmw_err *err)
{
    char path[sizeof s->path + 8];
    snprintf(path, sizeof path, "%s-lock", s->path);
    if (s->lock_fd < 0 && (s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666)) < 0)
        return lmw_fail_errno(err, "cannot open %s", path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = run->id, .l_len = 1};
    if (fcntl(s->lock_fd, F_OFD_SETLK, &lock) == 0)
        return LMW_OK;
    if (errno != EAGAIN && errno != EACCES)
        return lmw_fail_errno(err, "cannot lock %s", path);
    return lmw_fail(err, LMW_EUNAVAILABLE,
                    "run '%s' in store %s is being written by another process: wait for it, or "
                    "give this one another name with --run",
                    run->name, s->path);
}

void lmw_store_unlock(struct lmw_store *s, int64_t run_id)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = run_id, .l_len = 1};
    if (s->lock_fd >= 0)
        fcntl(s->lock_fd, F_OFD_SETLK, &lock);
}

/* The keys whose values differ, for a message: "max_tokens, sampling". */
static void differing_keys(const char *a_text, const char *b_text, struct lmw_buf *out)
{
    json_t *a = json_loads(a_text ? a_text : "{}", 0, NULL);
    json_t *b = json_loads(b_text ? b_text : "{}", 0, NULL);
    const char *key;
    json_t *v;
    json_object_foreach(a, key, v)
    {
        if (!json_equal(v, json_object_get(b, key)))
            lmw_buf_printf(out, "%s%s", out->len ? ", " : "", key);
    }
    json_object_foreach(b, key, v)
    {
        if (!json_object_get(a, key))
            lmw_buf_printf(out, "%s%s", out->len ? ", " : "", key);
    }
    json_decref(a);
    json_decref(b);
}

static int refuse_run(struct lmw_store *s, const struct lmw_run *run, const char *stored,
                      struct lmw_err *err)
{
    struct lmw_buf keys = {0};
    differing_keys(run->settings, stored, &keys);
    lmw_fail(err, LMW_EARG,
             "run '%s' is already in store %s with other settings (%s): give this one another "
             "name with --run",
             run->name, s->path, keys.len ? keys.ptr : "not recorded which");
    lmw_buf_free(&keys);
    return LMW_EARG;
}

int lmw_store_find_run(struct lmw_store *s, struct lmw_run *run, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, s,
                     "SELECT id, settings_hash, settings, finished, idle_before_mw,"
                     " idle_loaded_mw, idle_after_mw, peak_rss_bytes, file_bytes"
                     " FROM runs WHERE name = ?",
                     err);
    if (rc == LMW_OK) {
        lmw_sql_text(&q, run->name);
        rc = lmw_sql_step(&q, err);
    }
    if (rc == 1 && strcmp(lmw_sql_get_text(&q, 1), run->settings_hash) != 0) {
        rc = refuse_run(s, run, lmw_sql_get_text(&q, 2), err);
    } else if (rc == 1) {
        run->id = lmw_sql_get_int(&q, 0);
        run->finished = lmw_sql_get_int(&q, 3) == 1;
        run->idle_before_mw = lmw_sql_get_int(&q, 4);
        run->idle_loaded_mw = lmw_sql_get_int(&q, 5);
        run->idle_after_mw = lmw_sql_get_int(&q, 6);
        run->peak_rss_bytes = lmw_sql_get_int(&q, 7);
        run->file_bytes = lmw_sql_get_int(&q, 8);
    }
    lmw_sql_end(&q);
    return rc;
}

static void bind_measured(struct sql *q, const struct lmw_run *run)
{
    lmw_sql_int(q, run->finished);
    lmw_sql_int(q, run->idle_before_mw);
    lmw_sql_int(q, run->idle_loaded_mw);
    lmw_sql_int(q, run->idle_after_mw);
    lmw_sql_int(q, run->peak_rss_bytes);
    lmw_sql_int(q, run->file_bytes);
}

static int insert_run(struct lmw_store *s, struct lmw_run *run, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, s,
                     "INSERT INTO runs(name, settings_hash, settings, environment, date, finished,"
                     " idle_before_mw, idle_loaded_mw, idle_after_mw, peak_rss_bytes, file_bytes)"
                     " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(name) DO NOTHING",
                     err);
    if (rc == LMW_OK) {
        lmw_sql_text(&q, run->name);
        lmw_sql_text(&q, run->settings_hash);
        lmw_sql_text(&q, run->settings);
        lmw_sql_text(&q, run->environment);
        lmw_sql_text(&q, run->date);
        bind_measured(&q, run);
        rc = lmw_sql_step(&q, err);
    }
    lmw_sql_end(&q);
    return rc;
}

int lmw_store_begin_run(struct lmw_store *s, struct lmw_run *run, bool *resumed,
                        struct lmw_err *err)
{
    if (!run->name || !*run->name || !run->settings_hash)
        return lmw_fail(err, LMW_EARG, "a run needs a name and the hash of its settings");
    int rc = lmw_store_find_run(s, run, err);
    *resumed = rc == 1;
    if (rc == 0 && (rc = insert_run(s, run, err)) == LMW_OK)
        rc = lmw_store_find_run(s, run, err);
    if (rc < 0 || (rc = lock_run(s, run, err)) < 0)
        return rc;
    rc = lmw_store_find_run(s, run, err); /* who held it may have gone on until just now */
    return rc < 0 ? rc : LMW_OK;
}

int lmw_store_update_run(struct lmw_store *s, const struct lmw_run *run, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, s,
                     "UPDATE runs SET finished = ?, idle_before_mw = ?, idle_loaded_mw = ?,"
                     " idle_after_mw = ?, peak_rss_bytes = ?, file_bytes = ? WHERE id = ?",
                     err);
    if (rc == LMW_OK) {
        bind_measured(&q, run);
        lmw_sql_int(&q, run->id);
        rc = lmw_sql_step(&q, err);
    }
    lmw_sql_end(&q);
    if (rc == LMW_OK && run->finished) /* to the disk; busy readers only put it off */
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return rc;
}

/* What is other in b than in a; what only a has is null. A new reference. */
static json_t *differing_values(const json_t *a, const json_t *b)
{
    json_t *other = json_object(), *v;
    const char *key;
    json_object_foreach((json_t *)a, key, v)
    {
        if (!json_object_get(b, key))
            json_object_set_new(other, key, json_null());
    }
    json_object_foreach((json_t *)b, key, v)
    {
        if (!json_equal(v, json_object_get(a, key)))
            json_object_set(other, key, v);
    }
    return other;
}

int lmw_run_environment(struct lmw_store *s, int64_t run_id, json_t **out, struct lmw_err *err)
{
    struct sql q;
    json_t *o = NULL;
    int rc = lmw_sql(&q, s, "SELECT environment FROM runs WHERE id = ?", err);
    if (rc == LMW_OK) {
        lmw_sql_int(&q, run_id);
        if ((rc = lmw_sql_step(&q, err)) == 1 && lmw_sql_get_text(&q, 0))
            o = json_loads(lmw_sql_get_text(&q, 0), 0, NULL);
    }
    lmw_sql_end(&q);
    if (!json_is_object(o)) {
        json_decref(o);
        o = rc < 0 ? NULL : json_object();
    }
    *out = o;
    if (rc >= 0 && !o)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a run");
    return rc < 0 ? rc : LMW_OK;
}

int lmw_run_set_environment(struct lmw_store *s, int64_t run_id, const json_t *environment,
                            struct lmw_err *err)
{
    char *text = json_dumps(environment, JSON_COMPACT);
    struct sql q;
    int rc = lmw_sql(&q, s, "UPDATE runs SET environment = ? WHERE id = ?", err);
    if (rc == LMW_OK) {
        lmw_sql_text(&q, text);
        lmw_sql_int(&q, run_id);
        rc = text ? lmw_sql_step(&q, err) : lmw_fail(err, LMW_ENOMEM, "no memory for a run");
    }
    lmw_sql_end(&q);
    free(text);
    return rc;
}

static void continue_environment(json_t *first, const json_t *now)
{
    json_t *began = json_copy(first), *list = json_object_get(first, "continued");
    json_object_del(began, "continued"); /* these two are the run's, and no process's */
    json_object_del(began, "metering");
    if (!list)
        json_object_set_new(first, "continued", list = json_array());
    json_array_append_new(list, differing_values(began, now));
    json_decref(began);
}

int lmw_store_add_process(struct lmw_store *s, int64_t run_id, const char *environment,
                          struct lmw_err *err)
{
    json_t *first, *now = json_loads(environment, 0, NULL);
    int rc = lmw_run_environment(s, run_id, &first, err);
    if (rc == LMW_OK && json_is_object(now)) {
        continue_environment(first, now);
        rc = lmw_run_set_environment(s, run_id, first, err);
    }
    json_decref(first);
    json_decref(now);
    return rc < 0 ? rc : LMW_OK;
}

int lmw_store_add_metering(struct lmw_store *s, int64_t run_id, const struct lmw_metering *m,
                           struct lmw_err *err)
{
#define ADD(name) " '$." name "', coalesce(was ->> '$." name "', 0) + ?,"
#define ADD_ALL   ADD("polls") ADD("polls_late") ADD("suspends") ADD("samples_lost")
    struct sql q;
    int rc = lmw_sql(&q, s,
                     "UPDATE runs SET environment = (SELECT json_set(coalesce(environment, '{}'),"
                     " '$.metering', json_set(was," ADD_ALL
                     " '$.notes', json_patch(coalesce(was -> '$.notes', '{}'), ?)))"
                     " FROM (SELECT coalesce(environment -> '$.metering', '{}') AS was))"
                     " WHERE id = ?",
                     err);
#undef ADD_ALL
#undef ADD
    if (rc == LMW_OK) {
        lmw_sql_int(&q, m->polls);
        lmw_sql_int(&q, m->polls_late);
        lmw_sql_int(&q, m->suspends);
        lmw_sql_int(&q, m->samples_lost);
        lmw_sql_text(&q, m->notes);
        lmw_sql_int(&q, run_id);
        rc = lmw_sql_step(&q, err);
    }
    lmw_sql_end(&q);
    return rc;
}

static const char *keep_text(struct sql *q, int i, struct lmw_arena *arena, bool *full)
{
    const char *text = lmw_sql_get_text(q, i);
    const char *copy = text ? lmw_arena_str(arena, lmw_str_from(text)) : NULL;
    *full |= text && !copy;
    return copy;
}

static int read_run(struct sql *q, struct lmw_run *r, struct lmw_arena *arena, struct lmw_err *err)
{
    bool full = false;
    *r = (struct lmw_run){
        .id = lmw_sql_get_int(q, 0),
        .name = keep_text(q, 1, arena, &full),
        .settings_hash = keep_text(q, 2, arena, &full),
        .settings = keep_text(q, 3, arena, &full),
        .environment = keep_text(q, 4, arena, &full),
        .date = keep_text(q, 5, arena, &full),
        .finished = lmw_sql_get_int(q, 6) == 1,
        .idle_before_mw = lmw_sql_get_int(q, 7),
        .idle_loaded_mw = lmw_sql_get_int(q, 8),
        .idle_after_mw = lmw_sql_get_int(q, 9),
        .peak_rss_bytes = lmw_sql_get_int(q, 10),
        .file_bytes = lmw_sql_get_int(q, 11),
    };
    return full ? lmw_fail(err, LMW_ENOMEM, "no memory for the list of runs") : LMW_OK;
}

static int count_runs(struct lmw_store *s, int64_t *n, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, s, "SELECT count(*) FROM runs", err);
    if (rc == LMW_OK && (rc = lmw_sql_step(&q, err)) == 1)
        *n = lmw_sql_get_int(&q, 0);
    lmw_sql_end(&q);
    return rc < 0 ? rc : LMW_OK;
}

int lmw_store_runs(struct lmw_store *s, struct lmw_arena *arena, struct lmw_run **out,
                   struct lmw_err *err)
{
    struct sql q;
    int64_t cap = 0, n = 0;
    int rc = count_runs(s, &cap, err);
    if (rc < 0)
        return rc;
    if (!(*out = LMW_NEW(arena, struct lmw_run, (size_t)cap + 1)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for the list of runs");
    rc = lmw_sql(&q, s,
                 "SELECT id, name, settings_hash, settings, environment, date, finished,"
                 " idle_before_mw, idle_loaded_mw, idle_after_mw, peak_rss_bytes, file_bytes"
                 " FROM runs ORDER BY id",
                 err);
    while (rc == LMW_OK && n < cap && (rc = lmw_sql_step(&q, err)) == 1)
        rc = read_run(&q, &(*out)[n++], arena, err);
    lmw_sql_end(&q);
    return rc < 0 ? rc : (int)n;
}
