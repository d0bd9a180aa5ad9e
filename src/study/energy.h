/* The joules of one run: asked of the meter, written now or later, and its raw samples. See
 * energy.c; window.c shares what several queries used together, recover.c is for what a killed
 * process left. */
#ifndef LMW_STUDY_ENERGY_H
#define LMW_STUDY_ENERGY_H

#include "base/record.h"
#include "meter/meter.h"
#include "store/store.h"

/* A query whose energy is pending. */
struct owed {
    char *query_id;
    int64_t repeat;
    struct lmw_span span;
    double tokens;         /* it produced; NaN where unknown */
    struct lmw_energy sum; /* of the windows so far; method NULL: none yet */
    bool is_known;         /* it has its energy: it only takes part in the others' */
};

struct energy_book {
    struct lmw_store *store;
    struct lmw_meter *meter;
    int64_t run_id;
    int64_t idle_mw;    /* with the model loaded; LMW_NULL */
    char elsewhere[96]; /* why no joule measured here is a query's; "" */
    int n_slot;         /* over 1: queries may overlap, and share */
    struct owed *owed;  /* oldest first */
    size_t n_owed, cap_owed;
    int64_t drained_ns;
    int64_t shared_ns; /* up to here it is known who used what; LMW_NULL: nothing yet */
    int64_t settled_at_ns, retry_ns; /* when it was asked last; not before which to ask */
    int64_t n_valid, n_invalid;      /* settled so far */
    double sum_uj;                   /* of the valid ones */
    char reason[320];                /* why the first invalid one is */
    struct lmw_energy last;          /* of the record that is being stored: it points in here */
    char rails[80 * LMW_MAX_RAIL];   /* and here: its joules by source, JSON */
};

/* Fills the record's energy as far as it is known, and remembers it when that is not yet. Before
 * lmw_store_add. */
int lmw_energy_fill(struct energy_book *b, struct lmw_record *r, const struct lmw_span *span,
                    struct lmw_err *err);
/* Writes the energies that have settled since, and raw samples every two seconds. frontier_ns: no
 * query that is still in flight began before it; INT64_MAX when none is. */
int lmw_energy_settle(struct energy_book *b, int64_t frontier_ns, struct lmw_err *err);
/* Waits until all have settled, or the meter is late beyond reason; then writes every sample. What
 * is still in flight (frontier_ns as above) will never be known. */
int lmw_energy_finish(struct energy_book *b, int64_t frontier_ns, struct lmw_err *err);
/* Of a resumed run: gives every record that was pending when its process died its energy, from the
 * stored samples, or the reason why it has none. */
int lmw_energy_recover(struct energy_book *b, struct lmw_err *err);
/* A process begins to write samples: their times count from this boot. */
int lmw_energy_begin(struct energy_book *b, struct lmw_err *err);
void lmw_energy_free(struct energy_book *b);

/* --- between the files of energy --- */

/* Why a query that overlapped one nobody knows has no energy. */
#define LMW_REASON_BESIDE "what ran beside it is not known"

int lmw_energy_remember(struct energy_book *b, const struct owed *o, struct lmw_err *err);
int lmw_energy_write(struct energy_book *b, const struct owed *o, const struct lmw_energy *e,
                     struct lmw_err *err);
/* Takes entries [0, n) off, or those that end by end_ns. */
void lmw_energy_forget(struct energy_book *b, size_t n);
void lmw_energy_forget_until(struct energy_book *b, int64_t end_ns);

enum { LMW_WINDOW_QUERIES = 64 };

/* lmw_meter_share(), or the same over stored samples. */
typedef int window_share_fn(void *arg, const struct lmw_span *spans, const double *tokens, int n,
                            struct lmw_energy *out, struct lmw_err *err);
/* Shares what was used in [b->shared_ns, to_ns) among the queries owed, and moves shared_ns there:
 * 1; or 0 when the energy of one of them there is pending. */
int lmw_window_share(struct energy_book *b, int64_t to_ns, window_share_fn *share, void *arg,
                     struct lmw_err *err);
/* Where the next window ends at the latest: after some queries of those that end by limit_ns. */
int64_t lmw_window_end(const struct energy_book *b, int64_t limit_ns, size_t *n_complete);

#endif
