/* The formats that are imported: from a piece of a file to records. For the files of this room
 * only. */
#ifndef LMW_STORE_FORMAT_H
#define LMW_STORE_FORMAT_H

#include "base/arena.h"
#include "base/json.h"
#include "base/record.h"
#include "store/bulk.h"
#include "store/reader.h"

struct csv_columns;
struct map;

/* A file being imported. */
struct feed {
    struct reader in;
    const struct format *format;
    struct lmw_arena *arena; /* what of a record is not in the piece lies here */
    struct lmw_buf text;     /* of one record, while it is read */
    struct lmw_buf cell;     /* of a CSV row, where it has to be made */
    struct csv_columns *csv;
    struct map *map; /* of a table of other columns; NULL */
    int64_t n_piece; /* read so far, where a format counts them */
    int64_t n_byte;  /* that the records taken so far took of the file, about */
    char name[256];  /* the file's, without folders */
    char folder[256];
};

/* What a format's reader gives each record to; its strings are in s->arena. `part` tells apart
 * what one run cannot hold (another model, another filter) or is NULL. */
typedef int take_fn(void *arg, struct lmw_record *r, const char *part, struct lmw_err *err);
/* What the records of a file are given to, as many at once as were read ahead; they live until it
 * returns. Where it fails *at is the record that is at fault. */
typedef int take_list_fn(void *arg, struct incoming *first, struct incoming **at,
                         struct lmw_err *err);

struct format {
    const char *name;
    enum piece piece;
    int (*read)(struct feed *s, lmw_str piece, take_fn *take, void *arg, struct lmw_err *err);
    bool (*is_it)(const struct lmw_json_value *object); /* NULL: told by other means */
};

/* Opens the file and chooses its format: `name`, or by the file's name and first bytes. `map`: see
 * map.h; NULL. */
int lmw_feed_open(struct feed *s, const char *path, const char *name, const char *map,
                  struct lmw_err *err);
void lmw_feed_close(struct feed *s);
/* pipe.c. Gives all records of the file to take, in order and in this thread, while another one
 * reads ahead; errors of either begin with file and line. */
int lmw_feed_read(struct feed *s, take_list_fn *take, void *arg, struct lmw_err *err);

/* csv.c */
void lmw_csv_close(struct feed *s);
int lmw_csv_read(struct feed *s, lmw_str row, take_fn *take, void *arg, struct lmw_err *err);
/* The members of a cell `extra`, which is a JSON object, behind those in s->text. */
int lmw_csv_add_extra(struct feed *s, lmw_str cell, struct lmw_err *err);
void lmw_csv_put_head(struct lmw_buf *out);
void lmw_csv_put(struct lmw_buf *out, const struct lmw_record *r);

#endif
