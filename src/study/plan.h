/* What a study has settled before it measures anything, shared by the files of this room. */
#ifndef LMW_STUDY_PLAN_H
#define LMW_STUDY_PLAN_H

#include "base/prices.h"
#include "score/score.h"
#include "study/study.h"

/* Address space for one query's strings: a line of a workload and what it unpacks to. */
#define LMW_QUERY_BYTES (4 * LMW_WORKLOAD_LINE_MAX)

struct plan;

/* What all runs of a study share. */
struct study {
    const struct lmw_study *asked;
    struct lmw_store *store;
    struct lmw_meter *meter;
    struct plan *plans;            /* [asked->n_run] */
    struct lmw_price_list *prices; /* NULL: none */
    struct lmw_arena scratch;      /* one query's strings: used through copies */
    char machine[128];
    bool rss_resets;        /* the peak of each model can be told from the one before */
    double ambient_busy;    /* how busy the processors were before anything was done, 0..1; NaN */
    int64_t idle_before_mw; /* measured once, before any model is loaded; LMW_NULL */
};

/* A run's place in a study: its name, and what goes into its row. */
struct plan {
    const struct lmw_study_opts *opts;
    const struct lmw_scorer *scorer; /* NULL: none */
    bool scored_by_row;              /* each row by its own default_scorer: they differ */
    char workload_name[64];
    char workload_hash[20];
    int64_t n_row;   /* of the workload */
    int64_t n_query; /* of them are asked, before repeats */
    int n_slot;      /* queries in flight, at most */
    char name[256];
    char model_hash[20];
    bool is_signed;      /* the run in the store knows of this process */
    bool is_tried;       /* its model was opened, or one that opens the same */
    char level[16];      /* the kernel level it was tried with; "" */
    char model_name[64]; /* the file's name without .gguf */
    char settings_hash[20];
    char *settings, *environment; /* JSON, malloc */
    int64_t file_bytes;
};

/* Reads the workload whole, counts it, and refuses it when a line is wrong. */
int lmw_plan_workload(struct plan *p, const struct study *st, struct lmw_err *err);
/* Whose verdict an answer to the query gets; NULL: nobody's. */
const struct lmw_scorer *lmw_plan_scorer(const struct plan *p, const struct lmw_record *q);
/* Opens it, in the order it is to be asked in. */
int lmw_plan_open(const struct plan *p, struct lmw_workload **out, struct lmw_err *err);
/* What the backend is told beside the prompt, where it is told anything: a judge's, too. */
void lmw_plan_put_told(json_t *settings, const struct lmw_backend_opts *b);
/* Settings, their hash and the run's name; looks at the model file. */
int lmw_plan_make(struct plan *p, const struct study *st, struct lmw_err *err);
/* What it is measured on; after the model was tried. */
int lmw_plan_environment(struct plan *p, const struct study *st, struct lmw_err *err);
json_t *lmw_environment(const struct plan *p, const struct study *st); /* a new reference */
/* A URL that names a user and a password keeps neither. */
void lmw_without_password(const char *text, struct lmw_buf *out);
void lmw_plan_free(struct plan *p);
/* 1: *run is its run in the store; 0: there is none. LMW_EARG: it has other settings. */
int lmw_plan_find(const struct plan *p, const struct study *st, struct lmw_run *run,
                  struct lmw_err *err);
/* How many of its queries the store has, for a run of that id. Reads the workload once per
 * repeat. */
int lmw_plan_count_there(const struct plan *p, const struct study *st, int64_t run_id, int64_t *n,
                         struct lmw_err *err);
/* What measuring it would do. */
int lmw_study_forecast(const struct study *st, const struct plan *p, struct lmw_study_run *out,
                       struct lmw_err *err);

/* Resident memory of this process, from /proc/self. */
bool lmw_rss_reset(void); /* the peak starts again from here; false: the kernel would not */
int64_t lmw_rss_bytes(bool peak); /* LMW_NULL when /proc does not say */

#endif
