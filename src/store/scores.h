/* DOOR. Verdicts given after the measuring: judgements of a run, each with a score per record.
 *
 *     lmw_judgement_begin(store, &judgement, &resumed, &err);
 *     lmw_judgement_has(store, judgement.id, record_id)       what is there is not judged again
 *     lmw_judgement_add(store, judgement.id, &verdict, &err);  one transaction
 *     lmw_judgement_apply(store, &judgement, &err);            now the run's records show it
 *
 * A record shows one verdict (score, scorer, score_reason), and no verdict is ever lost: the one
 * it was measured with is kept as the judgement LMW_AS_MEASURED before another is shown, and every
 * judgement stays with its scores. A kill at any instant loses the verdicts in flight; until all
 * is applied, in one transaction, records show what they showed. */
#ifndef LMW_STORE_SCORES_H
#define LMW_STORE_SCORES_H

#include "store/store.h"

#define LMW_AS_MEASURED "as measured"

struct lmw_judgement {
    int64_t id, run_id;
    const char *name;     /* "choice", "judge:MODEL": what the records' `scorer` says */
    const char *settings; /* JSON: all that a verdict depends on. The same settings are resumed */
    const char *date;     /* ISO 8601, when it began */
    bool is_done;         /* it was applied when it was complete */
    int64_t energy_uj;    /* of the judge, all processes together; LMW_NULL: not metered */
    const char *energy_basis; /* which rails; NULL */
};

struct lmw_verdict {
    int64_t record_id;
    double score;       /* 0..1; NaN: unscorable */
    const char *reason; /* NULL: none */
    /* What it took; LMW_NULL, NaN where not known or nothing was asked. */
    int64_t attempts, prompt_tokens, completion_tokens, latency_ns;
    double cost_usd;
    const char *extra; /* JSON, NULL: the judge's own words, the orders it was asked in */
};

/* Sums over a judgement's scores. */
struct lmw_judgement_sum {
    int64_t n, n_scored;                      /* n_scored: not null */
    double mean;                              /* of what was scored; NaN */
    int64_t prompt_tokens, completion_tokens; /* LMW_NULL where no verdict has any */
    double cost_usd;                          /* NaN likewise */
    int64_t n_pair,
        n_disagree; /* whose `extra` has a field "disagree"; of those, where it is true */
};

/* The id of the run of that name, held for this process as lmw_store_begin_run() does; LMW_EARG,
 * with the names there are, when there is none. */
int lmw_judgement_run(struct lmw_store *s, const char *name, int64_t *run_id, struct lmw_err *err);
/* Finds the unfinished judgement with the same run, name and settings, or makes a new one; id
 * comes out. */
int lmw_judgement_begin(struct lmw_store *s, struct lmw_judgement *j, bool *resumed,
                        struct lmw_err *err);
bool lmw_judgement_has(struct lmw_store *s, int64_t judgement_id, int64_t record_id);
int lmw_judgement_add(struct lmw_store *s, int64_t judgement_id, const struct lmw_verdict *v,
                      struct lmw_err *err);
/* Adds to the judge's joules. */
int lmw_judgement_add_energy(struct lmw_store *s, int64_t judgement_id, int64_t energy_uj,
                             const char *basis, struct lmw_err *err);
int lmw_judgement_apply(struct lmw_store *s, const struct lmw_judgement *j, struct lmw_err *err);
int lmw_judgement_summary(struct lmw_store *s, int64_t judgement_id, struct lmw_judgement_sum *out,
                          struct lmw_err *err);

/* A stored answer, as a judge sees it. */
struct lmw_answered {
    int64_t record_id, repeat;
    const char *query_id, *prompt, *reference, *choices, *answer, *error;
};
/* Calls out for each record of a run in the order they were added; strings live until it returns.
 * out may add verdicts; an error of its stops the walk. */
typedef int lmw_answered_fn(void *arg, const struct lmw_answered *a, struct lmw_err *err);
int lmw_judgement_records(struct lmw_store *s, int64_t run_id, lmw_answered_fn *out, void *arg,
                          struct lmw_err *err);
/* The answer to the same query (and repeat) in another run, appended; 0: it has none, 1. */
int lmw_judgement_other(struct lmw_store *s, int64_t run_id, const struct lmw_answered *a,
                        struct lmw_buf *answer, struct lmw_err *err);

#endif
