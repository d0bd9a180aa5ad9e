/* DOOR. The judge: verdicts on answers that are stored, given after the measuring, so that nothing
 * of it sits in anybody's joules. A scorer of score.h, or a model behind any backend.
 *
 * The run's records show the new verdicts once all are there; the ones before are kept (see
 * store/scores.h). What was interrupted goes on where it stopped when the same judge is asked
 * again. */
#ifndef LMW_STUDY_JUDGE_H
#define LMW_STUDY_JUDGE_H

#include "backend/backend.h"
#include "base/err.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct lmw_judge_progress {
    const char *run;
    int64_t n_done, n_total;
    double accuracy; /* mean score so far; NaN */
    double eta_s;    /* NaN before the first */
};
/* Called between verdicts, and about once a second while waiting. Nonzero: ask no more, keep what
 * becomes a verdict without, and stop, resumable. */
typedef int lmw_judge_progress_fn(void *arg, const struct lmw_judge_progress *p);

struct lmw_judge_opts {
    const char *run;
    const char *scorer; /* of score.h; or NULL, and then a model judges: */
    const struct lmw_backend_ops *backend;
    struct lmw_backend_opts backend_opts; /* with model; n_in_flight questions at once */
    const char
        *against; /* a run whose answers to the same queries are the others; NULL: pointwise */
    int n_try;    /* replies asked for until one is a verdict, at least 1 */
    double usd_per_mtok_in, usd_per_mtok_out; /* prices; NaN: not known */
    const char *meter, *sysroot;              /* as in lmw_meter_opts; NULL: not metered */
    lmw_judge_progress_fn *on_progress;       /* NULL */
    void *arg;
};

struct lmw_judge_result {
    char name[128]; /* "choice", "judge:MODEL" */
    int64_t n_record, n_there /* before */, n_done /* now */;
    int64_t n_scored, n_unscorable; /* of n_record */
    double accuracy;                /* mean of n_scored, the unscorable left out; NaN */
    double accuracy_all;            /* the unscorable counted as wrong; NaN where none is scored */
    bool pairwise;
    int64_t n_pair, n_disagree; /* judged in both orders; of those, where the orders disagree */
    int64_t prompt_tokens, completion_tokens; /* of all of it; LMW_NULL */
    double cost_usd;                          /* NaN */
    int64_t energy_uj;                        /* of what was done now; LMW_NULL */
    char energy_basis[96];
    char unscorable_reason[192]; /* of the first that was done now and is unscorable; "" */
};

/* LMW_ECANCELLED: on_progress said stop. */
int lmw_judge_run(struct lmw_store *store, const struct lmw_judge_opts *opts,
                  struct lmw_judge_result *out, struct lmw_err *err);

#endif
