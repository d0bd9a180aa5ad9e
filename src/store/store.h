/* DOOR. The store: runs, records and raw samples in one SQLite file (WAL).
 *
 * A run is one model x workload x settings x machine; its settings are hashed into it, so a
 * changed study never mixes records. A record is one transaction: a kill at any instant loses
 * at most the query in flight. Nothing here overwrites a run. The schema has a version (PRAGMA
 * user_version); older ones are migrated in a transaction, newer ones are refused.
 *
 * Threads: one store, one thread. Two processes may use one file: writers wait for each other (a
 * minute: an import is one transaction). */
#ifndef LMW_STORE_STORE_H
#define LMW_STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/record.h"

#include <stdbool.h>
#include <stdint.h>

struct lmw_store;

/* LMW_STORE, or lmwatt.db in the data directory of the XDG rules. */
int lmw_store_default_path(char *out, size_t cap, struct lmw_err *err);
/* Creates the file (and its folder) when it is not there. */
int lmw_store_open(struct lmw_store **out, const char *path, struct lmw_err *err);
/* For who only reads: LMW_EARG where there is no file or an empty one; nothing is created. A file
 * or folder without write permission will do, too. */
int lmw_store_open_existing(struct lmw_store **out, const char *path, struct lmw_err *err);
void lmw_store_close(struct lmw_store *s);
const char *lmw_store_sqlite(void);                            /* SQLite's version */
int lmw_store_check(struct lmw_store *s, struct lmw_err *err); /* SQLite's integrity check */

struct lmw_run {
    int64_t id;
    const char *name;          /* unique; the `run` of its records */
    const char *settings_hash; /* 16 hex digits */
    const char *settings;      /* JSON: everything that was chosen */
    const char
        *environment; /* JSON: machine, kernel, versions, level, meter sources, command line */
    const char *date; /* ISO 8601, when it began */
    bool finished;
    /* Measured once per run; LMW_NULL when not. */
    int64_t idle_before_mw, idle_loaded_mw, idle_after_mw, peak_rss_bytes, file_bytes;
};
/* A run of which nothing is measured, with empty settings and environment. */
static inline struct lmw_run lmw_run_named(const char *name, const char *settings_hash,
                                           const char *date)
{
    return (struct lmw_run){.name = name,
                            .settings_hash = settings_hash,
                            .settings = "{}",
                            .environment = "{}",
                            .date = date,
                            .idle_before_mw = LMW_NULL,
                            .idle_loaded_mw = LMW_NULL,
                            .idle_after_mw = LMW_NULL,
                            .peak_rss_bytes = LMW_NULL,
                            .file_bytes = LMW_NULL};
}
/* Fills in a run that has name and settings (a hash, and JSON for the message): 1, and run->id,
 * its `finished` and measured values; 0: there is none of that name. LMW_EARG as below. */
int lmw_store_find_run(struct lmw_store *s, struct lmw_run *run, struct lmw_err *err);
/* Finds the run of that name, or makes it. The strings of *run are the caller's and go in;
 * run->id comes out, and of a run that was there its `finished` and measured values. The run is
 * this store's to write until it is closed: another process that begins it meanwhile gets
 * LMW_EUNAVAILABLE. An existing run with another settings hash is LMW_EARG that says what
 * differs and what to do (another --run name). */
int lmw_store_begin_run(struct lmw_store *s, struct lmw_run *run, bool *resumed,
                        struct lmw_err *err);
int lmw_store_update_run(struct lmw_store *s, const struct lmw_run *run,
                         struct lmw_err *err); /* finished, idle, rss */
/* A process that goes on with a run somebody else began: what is other in its environment (JSON,
 * with the process's `date`) than in the run's is kept there, behind those before it in a list
 * called `continued`. */
int lmw_store_add_process(struct lmw_store *s, int64_t run_id, const char *environment,
                          struct lmw_err *err);
/* How the metering of a run went, kept in its environment as `metering`: counts are added to those
 * of earlier processes of the run. */
struct lmw_metering {
    int64_t polls, polls_late; /* late: by more than an interval */
    int64_t suspends;          /* times the machine slept */
    int64_t samples_lost;      /* raw samples that were overwritten before they were stored */
    const char *notes;         /* JSON: what was wrong with a source's readings, by its name */
};
int lmw_store_add_metering(struct lmw_store *s, int64_t run_id, const struct lmw_metering *m,
                           struct lmw_err *err);
/* All runs, oldest first, strings in the arena. Returns the count or an error. */
int lmw_store_runs(struct lmw_store *s, struct lmw_arena *arena, struct lmw_run **out,
                   struct lmw_err *err);

/* One record, one transaction. (run, query_id, repeat) is unique: a second is LMW_EARG; a
 * missing repeat is repeat 0. The record's `run` is not looked at: it is the run's name. */
int lmw_store_add(struct lmw_store *s, int64_t run_id, const struct lmw_record *r,
                  struct lmw_err *err);
/* Replaces the energy_ and power_ columns of a record whose energy_reason is "pending";
 * LMW_EARG when there is no such record. */
int lmw_store_set_energy(struct lmw_store *s, int64_t run_id, const struct lmw_record *r,
                         struct lmw_err *err);
/* 1: *r is that record, its strings valid until the next call; 0: there is none. A missing repeat
 * is repeat 0. */
int lmw_store_get(struct lmw_store *s, int64_t run_id, const char *query_id, int64_t repeat,
                  struct lmw_record *r, struct lmw_err *err);
bool lmw_store_has(struct lmw_store *s, int64_t run_id, const char *query_id, int64_t repeat);
int64_t lmw_store_count(struct lmw_store *s, int64_t run_id);

/* Records of a run in the order they were added: call next until it returns 0 (1: *r is filled,
 * strings valid until the following call; negative: an error). */
struct lmw_records;
int lmw_records_open(struct lmw_records **out, struct lmw_store *s, int64_t run_id,
                     struct lmw_err *err);
/* The same, reading the columns of these names only (ended by NULL; of lmw_columns,
 * or "extra"): the other
 * fields of each record are absent. For who walks many records. */
int lmw_records_open_columns(struct lmw_records **out, struct lmw_store *s, int64_t run_id,
                             const char *const *columns, struct lmw_err *err);
int lmw_records_next(struct lmw_records *it, struct lmw_record *r, struct lmw_err *err);
void lmw_records_close(struct lmw_records *it);

/* Raw samples: opaque blocks per source, appended; and read back in order. */
int lmw_store_add_samples(struct lmw_store *s, int64_t run_id, const char *source,
                          const void *bytes, size_t n, struct lmw_err *err);
/* Blocks that are no source's, JSON: where a process begins ({"n_record"}: how many records the
 * run had then), and up to when it was known which queries ran, each time samples were stored. */
#define LMW_BLOCK_SESSION  "session"
#define LMW_BLOCK_FRONTIER "frontier"
typedef int lmw_sample_block_fn(void *arg, const char *source, const void *bytes, size_t n,
                                struct lmw_err *err);
int lmw_store_samples(struct lmw_store *s, int64_t run_id, lmw_sample_block_fn *out, void *arg,
                      struct lmw_err *err);

#endif
