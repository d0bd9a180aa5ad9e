/* Many records into the store at once, for an import. For the files of this room only. */
#ifndef LMW_STORE_BULK_H
#define LMW_STORE_BULK_H

#include "base/record.h"
#include "store/store.h"

/* A record on its way from a file into a run. */
struct incoming {
    struct lmw_record r;
    const char *part; /* see format.h */
    int64_t line;     /* of the file */
    int target;       /* for the import: which of its runs */
    int64_t run_id;
    struct incoming *next;
};

/* Adds the records from `from` on, up to `end`, to their runs. *stop is the first that was not
 * added: `end`; where LMW_OK is returned one that is there already; or the one that failed. */
int lmw_store_add_list(struct lmw_store *s, struct incoming *from, const struct incoming *end,
                       struct incoming **stop, struct lmw_err *err);

#endif
