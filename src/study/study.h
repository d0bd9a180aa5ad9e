/* DOOR. The study: workloads asked of models, measured, into a store. The only place where a
 * backend and a meter meet.
 *
 * A study is a list of runs: each one model, one workload, one set of settings. A run goes: idle
 * power before loading, loading, idle power loaded, unrecorded warm-up queries, then the queries:
 * mark, answer (marked again at the first token), mark, score, one transaction. Between the marks
 * of a query nothing here allocates, prints or takes a lock, as long as one is in flight.
 *
 * LOAD. Closed loop: so many in flight at any time (backend_opts.n_in_flight). Open loop: queries
 * are due at times of their own (rate_hz), whether or not the ones before are answered; latency
 * and ttft count from when a query was due, and what it waited then is `wait_ns` in extra.
 *
 * ENERGY. The energy of a query is in its record when the meter has settled by then; else the
 * record says "pending" and gets it later. energy_net_uj = energy_uj - idle_loaded_mw x its time.
 * Queries that overlap share the device's energy (method "shared", see lmw_meter_share()).
 *
 * Doing the same study again resumes it: what is recorded is skipped, what was pending when the
 * process died is computed from the stored samples, or marked invalid with its reason. A query
 * that fails is a record with its error and the run goes on. */
#ifndef LMW_STUDY_STUDY_H
#define LMW_STUDY_STUDY_H

#include "backend/backend.h"
#include "base/err.h"
#include "base/str.h"
#include "meter/meter.h"
#include "store/store.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stdint.h>

enum lmw_study_phase {
    LMW_PHASE_IDLE, /* a baseline is being measured */
    LMW_PHASE_LOAD,
    LMW_PHASE_WARM_UP,
    LMW_PHASE_MEASURE,
    LMW_PHASE_SETTLE, /* waiting for the meter to move past the last queries */
};

/* How far a study is, for a progress line. Means are over what this process measured of the
 * current run. */
struct lmw_study_progress {
    enum lmw_study_phase phase;
    int i_run, n_run; /* i_run from 0 */
    const char *run;
    int64_t n_done, n_total; /* queries x repeats of this run; done counts what was there */
    int n_in_flight;         /* sent and not answered */
    double tok_per_s;        /* answer tokens over the time they were waited for; NaN before */
    double joules_per_query; /* NaN where unknown */
    bool estimated;          /* the joules are */
    double accuracy;         /* mean score; NaN where nothing could be scored */
    double eta_s;            /* for this run; NaN before the first */
};
/* Called between queries, and about once a second while waiting for several. Nonzero: send no
 * more, record what is in flight and stop, resumable. */
typedef int lmw_study_progress_fn(void *arg, const struct lmw_study_progress *p);

/* One run. */
struct lmw_study_opts {
    const struct lmw_backend_ops *backend;
    /* model: a file for embedded. n_in_flight 0: one; in open loop as many as are due, up to
     * 256, where the backend takes several. */
    struct lmw_backend_opts backend_opts;
    const char *workload;               /* a file of questions */
    struct lmw_workload_opts questions; /* how it is read */
    int64_t
        shuffle; /* the seed of the order they are asked in; 0: the file's. The same each repeat */
    const char
        *scorer; /* see score.h; "none"; NULL: the workload's own `default_scorer`, if any */
    /* The run's name, at most 255 bytes; {model}, {workload} and {hash} in it stand for the files'
     * names and the settings. NULL: "{model}-{workload}-{hash}" */
    const char *run;
    int64_t max_queries; /* of the workload; 0: all. More of them later continue the same run */
    int64_t n_repeat;    /* each query so often, at least 1 */
    int n_warm_up;
    double pause_s;   /* of idling after each query, for the machine to cool; 0: none */
    double rate_hz;   /* queries a second, open loop; 0: closed loop */
    bool is_constant; /* open loop: due at equal distances; else a Poisson process by the seed */
    float temperature, top_p, min_p;
    int top_k;
    uint64_t seed;   /* each query's own seed is made from this, its id and its repeat */
    bool perplexity; /* after each answer, outside its joules: the reference's, given the prompt */
};

struct lmw_study {
    const struct lmw_study_opts *runs; /* [n_run] */
    int n_run;
    struct lmw_meter_opts meter;
    /* So many queries of each run in turn, so that what drifts in hours favours none; a turn loads
     * its model and measures its idle power anew. 0: one run after the other. */
    int64_t interleave;
    double idle_s;       /* of each idle baseline; 0: none is measured */
    bool require_quiet;  /* refuse a machine whose processors others keep over 5 % busy */
    bool require_energy; /* stop at the first query whose energy is not valid */
    const char *prices;  /* a file of token prices (base/prices.h): what a query cost; NULL */
    const char *command; /* the command line, for the record; NULL */
    lmw_study_progress_fn *on_progress;
    void *arg;
};

struct lmw_study_run {
    char name[256];
    bool resumed, finished;
    int64_t n_total, n_there /* before */, n_done /* now */, n_error;
    int64_t n_energy_valid, n_energy_invalid; /* of what was done now */
    char energy_reason[320];                  /* of the first that is not valid; "" */
    int64_t n_scored;
    double accuracy;       /* over what was done now; NaN */
    char first_error[508]; /* of the first query that failed; "" */
    double expected_s;     /* of a plan: for the queries that are missing; NaN where unknown */
};

/* out [n_run] is filled as far as the study got, also when it fails. LMW_ECANCELLED: on_progress
 * said stop. Before anything is measured every model is opened once and every workload read
 * whole. */
int lmw_study_run(struct lmw_store *store, const struct lmw_study *study,
                  struct lmw_study_run *out, struct lmw_err *err);

/* What lmw_study_run() would do, without doing it: out [n_run] has name, n_total, n_there, resumed
 * (the run is there) and expected_s. store NULL: nothing is there. Runs that are there with other
 * settings are refused as they would be. */
int lmw_study_plan(struct lmw_store *store, const struct lmw_study *study,
                   struct lmw_study_run *out, struct lmw_err *err);

/* A study in a YAML file (docs/studies.md). What the file leaves open is as in base and in
 * base->runs[0]. LMW_EFORMAT names file, line and field. Strings live until close. */
struct lmw_study_file;
int lmw_study_read(struct lmw_study_file **out, const char *path, const struct lmw_study *base,
                   struct lmw_err *err);
int lmw_study_read_bytes(struct lmw_study_file **out, lmw_str bytes, const char *path,
                         const struct lmw_study *base, struct lmw_err *err);
const struct lmw_study *lmw_study_of(const struct lmw_study_file *f);
void lmw_study_close(struct lmw_study_file *f);

#endif
