/* The joules of one run: asked of the meter, written now or later, and its raw samples. See
 * energy.c. */
#ifndef LMW_STUDY_ENERGY_H
#define LMW_STUDY_ENERGY_H

#include "base/record.h"
#include "meter/meter.h"
#include "store/store.h"

struct owed {
    char *query_id;
    int64_t repeat;
    struct lmw_span span;
};

struct energy_book {
    struct lmw_store *store;
    struct lmw_meter *meter;
    int64_t run_id;
    int64_t idle_mw;   /* with the model loaded; LMW_NULL */
    struct owed *owed; /* queries whose energy is pending, oldest first */
    size_t n_owed, cap_owed;
    int64_t drained_ns;
    int64_t n_valid, n_invalid; /* settled so far */
    double sum_uj;              /* of the valid ones */
    char reason[96];            /* why the first invalid one is */
    struct lmw_energy last;     /* of the record that is being stored: it points in here */
};

/* Fills the record's energy as far as it is known, and remembers it when that is not yet. Before
 * lmw_store_add. */
int lmw_energy_fill(struct energy_book *b, struct lmw_record *r, const struct lmw_span *span,
                    struct lmw_err *err);
/* Writes the energies that have settled since, and raw samples every two seconds. */
int lmw_energy_settle(struct energy_book *b, struct lmw_err *err);
/* Waits until all have settled, or the meter is late beyond reason; then writes every sample. */
int lmw_energy_finish(struct energy_book *b, struct lmw_err *err);
/* Of a resumed run: gives every record that was pending when its process died its energy, from the
 * stored samples, or the reason why it has none. */
int lmw_energy_recover(struct energy_book *b, struct lmw_err *err);
/* A process begins to write samples: their times count from this boot. */
int lmw_energy_begin(struct energy_book *b, struct lmw_err *err);
void lmw_energy_free(struct energy_book *b);

#endif
