/* DOOR. Records in and out: files of records into the runs of a store, and runs into files.
 *
 * Formats: `jsonl` and `csv` both ways (docs/records.md); in alone: `json` (an array), `parquet`,
 * `lm-eval` (samples_*.jsonl of lm-evaluation-harness), `llama-bench` (its JSON and JSONL), `ipw`
 * (the per-query records of HazyResearch/intelligence-per-watt as JSON), and with a map any table
 * in CSV, JSON or Parquet. What is packed with gzip or Zstandard is read as what is in it.
 *
 * A file is one transaction: all of it is in the store afterwards, or none. Nothing is
 * overwritten: a record that is there already and is the same is passed over (so the same file
 * twice is the same store), one that differs refuses the file, and so do new records for a run
 * that was measured. */
#ifndef LMW_STORE_EXCHANGE_H
#define LMW_STORE_EXCHANGE_H

#include "base/err.h"
#include "base/prices.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct lmw_import_run {
    char name[192];
    int64_t n_new, n_there; /* there: recorded before, and the same */
};
struct lmw_import_result {
    const char *format;
    char hash[20];               /* FNV-1a of the file, 16 hex digits */
    int64_t n_byte, n_record;    /* hash and bytes are those of the file unpacked */
    struct lmw_import_run *runs; /* malloc: the caller frees */
    int n_run;
};
/* Called now and then. Nonzero: stop, nothing is imported. */
typedef int lmw_import_progress_fn(void *arg, int64_t n_record, int64_t n_byte);

struct lmw_import_opts {
    /* The run of every record; of several models each run is NAME/MODEL. NULL: as the records
     * say. */
    const char *run;
    const char *format;                  /* NULL: by the file's name and first bytes */
    const char *map;                     /* FIELD=COLUMN, ...: docs/records.md; NULL */
    const struct lmw_record *defaults;   /* fields of records that do not say theirs; NULL */
    const struct lmw_price_list *prices; /* give records without `cost_usd` theirs; NULL */
    lmw_import_progress_fn *on_progress;
    void *arg;
};
/* Errors name the file, the line and what to do. *result is filled when LMW_OK. */
int lmw_import(struct lmw_store *s, const char *path, const struct lmw_import_opts *opts,
               struct lmw_import_result *result, struct lmw_err *err);

enum lmw_export_format { LMW_EXPORT_JSONL, LMW_EXPORT_CSV };
struct lmw_export_opts {
    enum lmw_export_format format;
    bool no_text;     /* hashes of the texts in place of the texts */
    const char *name; /* the file's: packed where it ends in .gz or .zst; NULL */
};
/* The records of the runs, in the order they were added; *n is how many there were. */
int lmw_export(struct lmw_store *s, const struct lmw_run *runs, int n_run,
               const struct lmw_export_opts *opts, FILE *out, int64_t *n, struct lmw_err *err);

#endif
