/* SQLite made readable, for the files of this room only: errors in our words, and statements whose
 * parameters are bound in the order they are written.
 *
 *     struct sql q;
 *     if ((rc = lmw_sql(&q, s, "SELECT id FROM runs WHERE name = ?", err)) < 0)
 *         return rc;
 *     lmw_sql_text(&q, name);
 *     rc = lmw_sql_step(&q, err);         1: a row, 0: no more, negative: an error
 *     id = lmw_sql_get_int(&q, 0);
 *     lmw_sql_end(&q);
 *
 * LMW_NULL, NaN and NULL are SQL's null, both ways. */
#ifndef LMW_STORE_SQL_H
#define LMW_STORE_SQL_H

#include "store/store.h"

#include <jansson.h>
#include <sqlite3.h>

struct sql {
    struct lmw_store *s;
    sqlite3_stmt *st;
    int n_bound;
};

struct lmw_store {
    sqlite3 *db;
    int lock_fd; /* PATH-lock: byte i is held by who writes run i; -1 until a run begins */
    struct sql add, set_energy, has, count, samples; /* prepared at open, used for every record */
    struct lmw_records *one;                         /* of lmw_store_get(); NULL until asked */
    struct sql add_list;                             /* of bulk.c; prepared when first asked */
    struct incoming *at;                             /* it adds the records from here on */
    const struct incoming *end;
    char path[1024];
};

/* "PATH: what is wrong: what to do", from the connection's last error. */
int lmw_sql_fail(struct lmw_store *s, struct lmw_err *err);
int lmw_sql_exec(struct lmw_store *s, const char *text, struct lmw_err *err);

int lmw_sql(struct sql *q, struct lmw_store *s, const char *text, struct lmw_err *err);
int lmw_sql_step(struct sql *q, struct lmw_err *err);
void lmw_sql_reset(struct sql *q); /* ready to be bound and stepped again */
void lmw_sql_end(struct sql *q);   /* a zeroed one is fine */

void lmw_sql_int(struct sql *q, int64_t v);
void lmw_sql_real(struct sql *q, double v);
void lmw_sql_text(struct sql *q, const char *v); /* must stay until the step */
void lmw_sql_blob(struct sql *q, const void *v, size_t n);
void lmw_sql_field(struct sql *q, const struct lmw_record *r, const struct lmw_column *c);

int64_t lmw_sql_get_int(struct sql *q, int i);
double lmw_sql_get_real(struct sql *q, int i);
const char *lmw_sql_get_text(struct sql *q, int i); /* valid until the next step */
void lmw_sql_get_field(struct sql *q, int i, struct lmw_record *r, const struct lmw_column *c);

/* `run` is not: it is the run's name. */
bool lmw_sql_is_stored(const struct lmw_column *c);

/* runs.c: another process may write the run that lmw_store_begin_run() took. */
void lmw_store_unlock(struct lmw_store *s, int64_t run_id);
/* What a run keeps of its machine and origin, an object, empty where nothing was kept. The
 * caller's to give back by json_decref(); NULL on an error. */
int lmw_run_environment(struct lmw_store *s, int64_t run_id, json_t **out, struct lmw_err *err);
int lmw_run_set_environment(struct lmw_store *s, int64_t run_id, const json_t *environment,
                            struct lmw_err *err);

/* schema.c: brings the file to this build's schema, in one transaction. */
int lmw_schema_open(struct lmw_store *s, struct lmw_err *err);

#endif
