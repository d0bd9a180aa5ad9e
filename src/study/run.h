/* One run of a study, shared by the files that measure it: run.c (from idle to wound up), flight.c
 * (queries out, replies in), record.c (a reply becomes a record). */
#ifndef LMW_STUDY_RUN_H
#define LMW_STUDY_RUN_H

#include "study/energy.h"
#include "study/plan.h"

/* A query on its way. Everything the backend is handed stays here until the reply is back. */
struct slot {
    struct lmw_request request;
    struct lmw_reply reply;
    struct lmw_record query;
    struct lmw_arena arena; /* the query's strings; used through copies */
    int64_t repeat;
    int64_t due_ns;  /* in open loop, when it was to be sent; LMW_NULL */
    int64_t sent_ns; /* no earlier did it begin */
    bool is_busy;
};

struct job {
    struct study *st;
    const struct plan *plan;
    const struct lmw_study_opts *opts;
    struct lmw_study_run *result;
    struct lmw_study_progress progress;
    struct lmw_run run;
    char date[32];                 /* the run's */
    struct lmw_workload *workload; /* NULL: not open */
    struct lmw_backend *backend;   /* NULL: not loaded */
    struct energy_book book;
    struct slot *slots; /* [plan->n_slot] */
    int n_busy;
    int64_t i_query, repeat;             /* the next one of the workload */
    int64_t answer_ns, answer_tok;       /* of this process */
    int64_t n_scored, rss_max, begin_ns; /* begin: the first query */
    double sum_score;
    struct lmw_sampling sampled; /* of the meter when this run began: it is the study's */
    int64_t lost;                /* likewise */
    struct lmw_buf text;         /* an answer, as UTF-8 */
};

/* Measures what is not recorded yet, at most max_new queries (0: all). */
int lmw_study_measure(struct study *st, int i_run, const struct plan *plan, int64_t max_new,
                      struct lmw_study_run *result, struct lmw_err *err);

/* Tells how far it is; LMW_ECANCELLED when that is how it is answered. */
int lmw_job_tell(struct job *j, enum lmw_study_phase phase, struct lmw_err *err);
/* LMW_EUNAVAILABLE when there must be energy and a query has none. */
int lmw_job_check_energy(const struct job *j, struct lmw_err *err);

int lmw_flight_open(struct job *j, struct lmw_err *err);
void lmw_flight_close(struct job *j);
/* Unrecorded answers, one after the other. */
int lmw_flight_warm_up(struct job *j, struct lmw_err *err);
/* No query in flight began before this; INT64_MAX: none is in flight. */
int64_t lmw_flight_frontier(const struct job *j);
/* Asks all that is missing. */
int lmw_flight(struct job *j, int64_t max_new, struct lmw_err *err);

/* Scores the slot's reply, adds what is known of it, and stores it. The joules it does not know
 * yet are the book's to add. */
int lmw_record_reply(struct job *j, struct slot *s, struct lmw_err *err);

#endif
