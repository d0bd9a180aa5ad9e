/* Files of records into runs: one transaction a file. See exchange.h.
 *
 * An imported run says so in its settings, which are the same for all of them, so that any number
 * of files can go into one; which those were is in its environment: for each, file name, hash,
 * format, how many records it brought, when, and the lmwatt that read it. A measured run takes no
 * records from files.
 *
 * Joules that come without a method are of the method "imported", and valid unless the record says
 * otherwise. */
#include "store/exchange.h"

#include "base/clock.h"
#include "store/map.h"
#include "store/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { TELL_EVERY = 20000 };
#define SETTINGS "{\"imported\":true}"

/* A run that this file has records of. */
struct target {
    int64_t id;
    char name[192];
    char *part;    /* what of the file it holds, where --run makes several of one; or NULL */
    bool any_part; /* it was there and does not say what it holds */
    bool imported; /* else measured: it takes nothing new */
    bool made;     /* by this file */
    int64_t n_new, n_there;
};

struct import {
    struct lmw_store *s;
    const struct lmw_import_opts *opts;
    struct feed src;
    struct target *targets;
    int n_target, last; /* last: of the record before */
    int64_t n_record;
    char hash[20]; /* of SETTINGS */
};

/* --- which run --- */

/* 1: there is a run of that name, and what is known of it; 0: there is none. */
static int look_up(struct import *im, const char *name, struct target *t, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, im->s,
                     "SELECT id, settings_hash, environment ->> '$.part' FROM runs"
                     " WHERE name = ?",
                     err);
    if (rc == LMW_OK) {
        lmw_sql_text(&q, name);
        rc = lmw_sql_step(&q, err);
    }
    *t = (struct target){.id = rc == 1 ? lmw_sql_get_int(&q, 0) : 0};
    snprintf(t->name, sizeof t->name, "%s", name);
    if (rc == 1) {
        const char *part = lmw_sql_get_text(&q, 2);
        t->imported = lmw_text_eq(lmw_sql_get_text(&q, 1), im->hash);
        t->part = part ? strdup(part) : NULL;
    }
    lmw_sql_end(&q);
    return rc;
}

/* Makes the run, or takes the imported one that is there for this process to write. */
static int begin(struct import *im, struct target *t, const char *date, struct lmw_err *err)
{
    char now[32];
    lmw_date_iso(now);
    struct lmw_run run = lmw_run_named(t->name, im->hash, date ? date : now);
    run.settings = SETTINGS;
    run.finished = true;
    bool resumed;
    int rc = lmw_store_begin_run(im->s, &run, &resumed, err);
    t->id = run.id;
    t->imported = true;
    t->made = !resumed;
    return rc;
}

static int part_name(char *out, size_t cap, const char *run, const char *part, struct lmw_err *err)
{
    int n = snprintf(out, cap, "%s%s%s", run, part ? "/" : "", part ? part : "");
    return n < (int)cap ? LMW_OK
                        : lmw_fail(err, LMW_EARG, "a run's name of over %zu bytes: '%.60s...'",
                                   cap - 1, out);
}

/* A second part has come: the run that holds the first is named after it, too, so that the plain
 * name stands for both. */
static int rename_first(struct import *im, struct target *t, struct lmw_err *err)
{
    struct sql q;
    int rc = part_name(t->name, sizeof t->name, im->opts->run, t->part, err);
    if (rc < 0 || (rc = lmw_sql(&q, im->s, "UPDATE runs SET name = ? WHERE id = ?", err)) < 0)
        return rc;
    lmw_sql_text(&q, t->name);
    lmw_sql_int(&q, t->id);
    rc = lmw_sql_step(&q, err);
    lmw_sql_end(&q);
    return rc;
}

/* The run that this file made for its first part, while it bears the plain name. */
static struct target *made_first(struct import *im)
{
    for (int i = 0; i < im->n_target; i++) {
        if (im->targets[i].made && strcmp(im->targets[i].name, im->opts->run) == 0)
            return &im->targets[i];
    }
    return NULL;
}

/* 1: there are runs NAME/... ('0' is what follows a slash). */
static int has_parts(struct import *im, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(
        &q, im->s, "SELECT 1 FROM runs WHERE name > ?1 || '/' AND name < ?1 || '0' LIMIT 1", err);
    if (rc == LMW_OK) {
        lmw_sql_text(&q, im->opts->run);
        rc = lmw_sql_step(&q, err);
    }
    lmw_sql_end(&q);
    return rc;
}

static void name_target(struct target *t, const char *name, const char *part)
{
    *t = (struct target){.part = part ? strdup(part) : NULL};
    snprintf(t->name, sizeof t->name, "%s", name);
}

/* The first part of this file: NAME while that holds it or nothing, else `own`. */
static int choose_first(struct import *im, const char *part, const char *own, struct target *t,
                        struct lmw_err *err)
{
    int rc = look_up(im, im->opts->run, t, err);
    bool is_there = rc == 1;
    t->any_part = is_there && !t->part;
    if (rc < 0 || t->any_part || (is_there && (!part || lmw_text_eq(t->part, part))))
        return rc;
    rc = is_there ? rename_first(im, t, err) : part ? has_parts(im, err) : 0;
    free(t->part);
    name_target(t, is_there || rc == 1 ? own : im->opts->run, part);
    return rc < 0 ? rc : 0;
}

/* Of --run NAME: NAME while there is one part, NAME/PART where there are several. Returns what
 * look_up() does. */
static int choose(struct import *im, const char *part, struct target *t, struct lmw_err *err)
{
    char own[sizeof t->name];
    int rc = part_name(own, sizeof own, im->opts->run, part, err);
    if (rc < 0 || (part && (rc = look_up(im, own, t, err)) != 0))
        return rc;
    if (im->n_target == 0)
        return choose_first(im, part, own, t, err);
    struct target *first = made_first(im);
    if (first && first->part && (rc = rename_first(im, first, err)) < 0)
        return rc;
    if (!part)
        return look_up(im, im->opts->run, t, err);
    name_target(t, own, part);
    return 0;
}

static int open_target(struct import *im, const struct lmw_record *r, const char *part,
                       struct lmw_err *err)
{
    struct target *more = realloc(im->targets, ((size_t)im->n_target + 1) * sizeof *more), *t;
    if (!more)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a list of runs");
    im->targets = more;
    t = &more[im->n_target];
    char name[sizeof t->name];
    int rc;
    if (im->opts->run)
        rc = choose(im, part, t, err);
    else if ((rc = part_name(name, sizeof name, r->run, NULL, err)) == LMW_OK)
        rc = look_up(im, name, t, err);
    if (rc < 0)
        return rc;
    for (int i = 0; i < im->n_target && rc == 1; i++) {
        if (im->targets[i].id == t->id) { /* a part that its run does not tell apart */
            free(t->part);
            im->last = i;
            return LMW_OK;
        }
    }
    im->last = im->n_target++;
    return rc == 1 && !t->imported ? LMW_OK : begin(im, t, r->date, err);
}

/* The run this record goes into, opened when it is the first. */
static int find_target(struct import *im, const struct lmw_record *r, const char *part,
                       struct lmw_err *err)
{
    if (!im->opts->run && (!r->run || !*r->run))
        return lmw_fail(err, LMW_EFORMAT, "the record does not say its run: give --run NAME");
    for (int i = 0; i < im->n_target; i++) {
        int k = (im->last + i) % im->n_target;
        const struct target *t = &im->targets[k];
        if (im->opts->run ? t->any_part || lmw_text_eq(t->part, part)
                          : strcmp(t->name, r->run) == 0) {
            im->last = k;
            return LMW_OK;
        }
    }
    return open_target(im, r, part, err);
}

/* --- one record --- */

static void take_default(struct lmw_record *r, const struct lmw_record *defaults,
                         const struct lmw_column *c)
{
    void *to = (char *)r + c->offset;
    const void *from = (const char *)defaults + c->offset;
    if (lmw_record_has(r, c) || !lmw_record_has(defaults, c))
        return;
    switch (c->kind) {
    case LMW_COL_TEXT:
    case LMW_COL_JSON: *(const char **)to = *(const char *const *)from; break;
    case LMW_COL_REAL: *(double *)to = *(const double *)from; break;
    default: *(int64_t *)to = *(const int64_t *)from;
    }
}

/* What no record can hold: an accuracy in percent would be one of thousands of percent. */
static int check(const struct lmw_record *r, struct lmw_err *err)
{
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {
        {"energy_uj", r->energy_uj},         {"power_mean_mw", r->power_mean_mw},
        {"latency_ns", r->latency_ns},       {"ttft_ns", r->ttft_ns},
        {"prompt_tokens", r->prompt_tokens}, {"completion_tokens", r->completion_tokens},
    };
    if (r->score < 0 || r->score > 1)
        return lmw_fail(err, LMW_EFORMAT,
                        "score %g is not within 0 to 1: where it is in percent, say --map "
                        "score=COLUMN:%%; where it is out of 10, score=COLUMN:0.1",
                        r->score);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (counts[i].value < 0 && counts[i].value != LMW_NULL)
            return lmw_fail(err, LMW_EFORMAT,
                            "field '%s' is %" PRId64 ", below 0: null is what "
                            "is not known",
                            counts[i].name, counts[i].value);
    }
    return LMW_OK;
}

static int settle(const struct lmw_import_opts *o, struct lmw_record *r, struct lmw_err *err)
{
    for (const struct lmw_column *c = lmw_columns; o->defaults && c->name; c++)
        take_default(r, o->defaults, c);
    if (o->prices && isnan(r->cost_usd))
        r->cost_usd = lmw_price_list_cost(o->prices, r);
    if (r->energy_uj != LMW_NULL) {
        r->energy_method = r->energy_method ? r->energy_method : "imported";
        r->energy_valid = r->energy_valid == LMW_NULL ? 1 : r->energy_valid;
    }
    return check(r, err);
}

static bool same_value(const struct lmw_record *a, const struct lmw_record *b,
                       const struct lmw_column *c)
{
    const char *p = (const char *)a + c->offset, *q = (const char *)b + c->offset;
    switch (c->kind) {
    case LMW_COL_TEXT:
    case LMW_COL_JSON: return lmw_text_eq(*(const char *const *)p, *(const char *const *)q);
    case LMW_COL_REAL:
        return *(const double *)p == *(const double *)q ||
               (isnan(*(const double *)p) && isnan(*(const double *)q));
    default: return *(const int64_t *)p == *(const int64_t *)q;
    }
}

/* The first field in which they differ, or NULL. */
static const char *difference(const struct lmw_record *a, const struct lmw_record *b)
{
    for (const struct lmw_column *c = lmw_columns; c->name; c++) {
        if (lmw_sql_is_stored(c) && c->offset != offsetof(struct lmw_record, repeat) &&
            !same_value(a, b, c))
            return c->name;
    }
    return lmw_text_eq(a->extra, b->extra) ? NULL : "extra";
}

/* The record could not be added: it is there, or its run takes none. */
static int compare(struct import *im, struct target *t, const struct lmw_record *r,
                   struct lmw_err *err)
{
    struct lmw_record there;
    int rc = lmw_store_get(im->s, t->id, r->query_id, r->repeat, &there, err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return lmw_fail(err, LMW_EARG,
                        "run '%s' was measured and takes no records from files: import into "
                        "another with --run",
                        t->name);
    const char *field = difference(r, &there);
    if (field)
        return lmw_fail(err, LMW_EARG,
                        "query '%.100s' is in run '%s' already, with another '%s': import into "
                        "another run with --run, or give the record a `repeat` of its own",
                        r->query_id, t->name, field);
    t->n_there++;
    return LMW_OK;
}

/* --- as many as were read ahead --- */

/* Finds each record's run. *end is the first that can go into none, for which it fails. */
static int place(struct import *im, struct incoming *first, struct incoming **end,
                 struct lmw_err *err)
{
    for (*end = first; *end; *end = (*end)->next) {
        struct incoming *in = *end;
        int rc = settle(im->opts, &in->r, err);
        if (rc == LMW_OK)
            rc = *in->r.query_id ? find_target(im, &in->r, in->part, err)
                                 : lmw_fail(err, LMW_EFORMAT, "the record's id is empty");
        if (rc < 0)
            return rc;
        in->target = im->last;
        in->run_id = im->targets[im->last].id;
    }
    return LMW_OK;
}

/* Adds those that are new; compares the others with what is there. */
static int add(struct import *im, const struct incoming *end, struct incoming **at,
               struct lmw_err *err)
{
    while (*at != end) {
        struct incoming *in = *at, *stop = in;
        while (stop != end && im->targets[stop->target].imported)
            stop = stop->next;
        int rc = lmw_store_add_list(im->s, in, stop, at, err);
        for (; in != *at; in = in->next)
            im->targets[in->target].n_new++;
        if (rc == LMW_OK && *at != end) {
            rc = compare(im, &im->targets[in->target], &in->r, err);
            *at = rc < 0 ? in : in->next;
        }
        if (rc < 0)
            return rc;
    }
    return LMW_OK;
}

static int take(void *arg, struct incoming *first, struct incoming **at, struct lmw_err *err)
{
    struct import *im = arg;
    const struct lmw_import_opts *o = im->opts;
    struct lmw_err homeless = {0};
    struct incoming *end;
    int64_t n_told = im->n_record / TELL_EVERY;
    *at = first;
    int placed = place(im, first, &end, &homeless), rc = add(im, end, at, err);
    if (rc == LMW_OK && placed < 0)
        rc = lmw_fail(err, placed, "%s", homeless.msg);
    for (const struct incoming *in = first; in != end; in = in->next)
        im->n_record++;
    if (rc == LMW_OK && im->n_record / TELL_EVERY > n_told && o->on_progress &&
        o->on_progress(o->arg, im->n_record, im->src.n_byte)) {
        *at = first;
        rc = lmw_fail(err, LMW_ECANCELLED, "stopped: nothing of it is imported");
    }
    return rc;
}

/* --- where a run's records came from --- */

static json_t *origin(const struct import *im, const struct target *t)
{
    char now[32], hash[20];
    lmw_date_iso(now);
    snprintf(hash, sizeof hash, "%016" PRIx64, im->src.in.stream.hash);
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s}", "file", im->src.name, "format",
                  im->src.format->name, "hash", hash, "bytes", (json_int_t)im->src.in.stream.at,
                  "records", (json_int_t)t->n_new, "date", now, "lmwatt", LMW_VERSION);
    if (o && im->opts->prices)
        json_object_set_new(o, "prices", json_string(lmw_price_list_origin(im->opts->prices)));
    return o;
}

static int sign(struct import *im, const struct target *t, struct lmw_err *err)
{
    json_t *o;
    int rc = lmw_run_environment(im->s, t->id, &o, err);
    if (rc < 0)
        return rc;
    json_t *list = json_object_get(o, "imports");
    if (!json_is_array(list))
        json_object_set_new(o, "imports", list = json_array());
    json_array_append_new(list, origin(im, t));
    if (t->part)
        json_object_set_new(o, "part", json_string(t->part));
    rc = lmw_run_set_environment(im->s, t->id, o, err);
    json_decref(o);
    return rc;
}

/* --- the file --- */

static int read_all(struct import *im, struct lmw_err *err)
{
    int rc = lmw_sql_exec(im->s, "BEGIN IMMEDIATE", err);
    if (rc < 0)
        return rc;
    rc = lmw_feed_read(&im->src, take, im, err);
    if (rc == LMW_OK && im->src.map)
        rc = lmw_map_check(im->src.map, err);
    if (rc == LMW_OK && im->n_record == 0)
        rc = lmw_fail(err, LMW_EFORMAT, "%s holds no records", im->src.in.name);
    for (int i = 0; i < im->n_target && rc == LMW_OK; i++)
        rc = im->targets[i].n_new > 0 ? sign(im, &im->targets[i], err) : LMW_OK;
    /* Who waits for this transaction is to find the runs free. */
    for (int i = 0; i < im->n_target; i++)
        lmw_store_unlock(im->s, im->targets[i].id);
    if (rc == LMW_OK)
        rc = lmw_sql_exec(im->s, "COMMIT", err);
    if (rc < 0)
        lmw_sql_exec(im->s, "ROLLBACK", NULL);
    return rc;
}

/* Into a store that holds no records an import writes with a rollback journal: new pages go to the
 * disk once, where the log takes all of them twice. Nobody reads there yet whom that keeps
 * waiting. Who else has the store open prevents the change, and then it goes by the log. */
static int choose_journal(struct lmw_store *s, struct lmw_err *err)
{
    struct sql q;
    int rc = lmw_sql(&q, s, "SELECT 1 FROM records LIMIT 1", err);
    if (rc < 0)
        return rc;
    rc = lmw_sql_step(&q, err);
    lmw_sql_end(&q);
    if (rc == 0)
        lmw_sql_exec(s, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL", NULL);
    return rc < 0 ? rc : LMW_OK;
}

static void restore_journal(struct lmw_store *s)
{
    lmw_sql_exec(s, "PRAGMA cache_size = -2000; PRAGMA synchronous = NORMAL", NULL);
    lmw_sql_exec(s, "PRAGMA journal_mode = WAL", NULL); /* else whoever opens it next does */
}

static int fill_result(const struct import *im, struct lmw_import_result *out, struct lmw_err *err)
{
    *out = (struct lmw_import_result){
        .format = im->src.format->name,
        .n_byte = im->src.in.stream.at,
        .n_record = im->n_record,
        .runs = calloc((size_t)im->n_target + 1, sizeof *out->runs),
        .n_run = im->n_target,
    };
    snprintf(out->hash, sizeof out->hash, "%016" PRIx64, im->src.in.stream.hash);
    if (!out->runs)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a list of runs");
    for (int i = 0; i < im->n_target; i++) {
        const struct target *t = &im->targets[i];
        out->runs[i] = (struct lmw_import_run){.n_new = t->n_new, .n_there = t->n_there};
        snprintf(out->runs[i].name, sizeof out->runs[i].name, "%s", t->name);
    }
    return LMW_OK;
}

int lmw_import(struct lmw_store *s, const char *path, const struct lmw_import_opts *opts,
               struct lmw_import_result *result, struct lmw_err *err)
{
    struct import im = {.s = s, .opts = opts};
    snprintf(im.hash, sizeof im.hash, "%016" PRIx64, lmw_str_hash(LMW_STR(SETTINGS)));
    int rc = lmw_feed_open(&im.src, path, opts->format, opts->map, err);
    if (rc < 0)
        return rc;
    /* The keys of a million records do not fit SQLite's usual 2 MB; 64 MB hold them. */
    if ((rc = lmw_sql_exec(s, "PRAGMA cache_size = -65536", err)) == LMW_OK &&
        (rc = choose_journal(s, err)) == LMW_OK && (rc = read_all(&im, err)) == LMW_OK)
        rc = fill_result(&im, result, err);
    restore_journal(s);
    for (int i = 0; i < im.n_target; i++)
        free(im.targets[i].part);
    free(im.targets);
    lmw_feed_close(&im.src);
    return rc;
}
