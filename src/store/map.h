/* Tables of other people: which of their columns is which field of a record, and in what unit. For
 * the files of this room only.
 *
 *     query_id=question_id,domain=category,score=*:%,energy_uj=gpu.energy:kWh
 *
 * On the left a field of the record, on the right a column: its name, else a path with dots into
 * objects and (by number, from 0) arrays; `#` numbers the rows from 0. Behind a colon the unit it
 * is in, or the number that makes it the field's own. A text that is mapped twice is made of both.
 * `extra=COLUMN` says that a column is just kept.
 *
 * A `*` makes one row many records. It stands for the name of a model (where the model has a
 * column of its own: of a query), and a name is one where every column with a star in the map is
 * there. */
#ifndef LMW_STORE_MAP_H
#define LMW_STORE_MAP_H

#include "store/foreign.h"

enum { MAP_MAX = 48, MAP_NAME = 160 };

/* A column with a star: `before`NAME`after` among the members of `in` (empty: of the row), and
 * then `inside` of its value. In CSV dots are part of a name, and both paths are empty. */
struct star {
    char in[MAP_NAME], before[MAP_NAME], after[MAP_NAME], inside[MAP_NAME];
};
struct mapping {
    const struct lmw_column *to; /* NULL: `extra` */
    char from[MAP_NAME];
    double scale;  /* 0: as it is written */
    bool goes_on;  /* the field has a text already; this one goes behind it */
    bool was_seen; /* in any row: what never was is a mistake in the map */
    bool has_star;
    struct star star;
};
struct map {
    struct mapping at[MAP_MAX];
    int n, n_star;
    struct mapping *star; /* the first that has one, or NULL */
};
int lmw_map_parse(struct map *m, const char *list, bool is_csv, struct lmw_err *err);
/* LMW_EFORMAT where no row had a column that the map names. */
int lmw_map_check(const struct map *m, struct lmw_err *err);
/* The name that the star stands for in a column; empty: it fits none. */
lmw_str lmw_star_name(const struct star *star, lmw_str column);

/* A column of a row. In CSV every value is a string as it stands, or null. */
struct member {
    lmw_str name;
    struct lmw_json_value v;
};
struct row {
    struct member *at;
    int n;
    bool is_csv;   /* cells are texts, and their names have no dots that lead into them */
    bool is_table; /* every row has the same columns: one without a value is null */
};
/* Whether the map names a column for the field. */
bool lmw_map_fills(const struct map *m, const struct lmw_column *c);
/* A value into the field, which is absent where the value says so in any of the usual words. */
int lmw_map_put(struct lmw_record *r, const struct mapping *m, const struct lmw_json_value *v,
                struct lmw_arena *arena, struct lmw_err *err);
/* The same of a column that bears the field's own name. */
int lmw_map_put_own(struct lmw_record *r, const struct lmw_column *c,
                    const struct lmw_json_value *v, struct lmw_arena *arena, struct lmw_err *err);

/* table.c. The records of a row under s->map; of one that is a JSON object. */
int lmw_table_read(struct feed *s, const struct row *row, take_fn *take, void *arg,
                   struct lmw_err *err);
int lmw_table_read_object(struct feed *s, lmw_str piece, take_fn *take, void *arg,
                          struct lmw_err *err);

#endif
