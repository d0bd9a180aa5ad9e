/* Part of the door insight.h: the frame, records of named runs as columns of doubles, and the
 * crossed view, question by run, that comparisons, domains and routing are made from.
 *
 * A frame is read once and never changed; everything in it lives in the arena it was loaded into.
 * NaN is "absent". A run's records lie together, in the order they were stored. A question is its
 * workload and its query_id: two runs asked the same where both agree.
 *
 * Size: about 200 bytes a record (address space for it must be in the arena), no texts but
 * names. */
#ifndef LMW_INSIGHT_FRAME_H
#define LMW_INSIGHT_FRAME_H

#include "base/arena.h"
#include "base/err.h"
#include "base/stat.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a record contributes. Joules, watts, seconds, bytes: SI units, whatever the store's are.
 * The joules and watts of a record whose energy is not valid are NaN. */
enum lmw_value {
    /* score; 0 where it failed, and where it could not be scored unless those are excluded; NaN
     * in a run without scores */
    LMW_V_ACC,
    LMW_V_ENERGY,  /* J, gross */
    LMW_V_NET,     /* J, less the idle baseline */
    LMW_V_PREFILL, /* J */
    LMW_V_DECODE,  /* J */
    LMW_V_LOWER,   /* J, the meter's bounds */
    LMW_V_UPPER,
    LMW_V_POWER, /* W: energy / latency, else the recorded mean */
    LMW_V_POWER_MAX,
    LMW_V_START,   /* s, monotonic within one process */
    LMW_V_LATENCY, /* s */
    LMW_V_TTFT,    /* s */
    LMW_V_ITL_P50, /* s, quantiles of the time between two tokens of one answer */
    LMW_V_ITL_P90,
    LMW_V_ITL_P99,
    LMW_V_PROMPT_TOKENS,
    LMW_V_COMPLETION_TOKENS,
    LMW_V_MEMORY, /* bytes */
    LMW_V_PERPLEXITY,
    LMW_V_FLOPS,
    LMW_V_COST, /* USD */
    LMW_N_VALUE
};
#define LMW_V_BIT(v) (1u << (v))

enum { LMW_REASONS_MAX = 16 };
struct lmw_reason {
    const char *text; /* "(no reason stored)" where there is none, "(other)" when they are many */
    int64_t n;
};

enum { LMW_RAILS_MAX = 32 };

/* A run, and what its records have in common: of each text, the first that a record says. */
struct lmw_frame_run {
    struct lmw_run run;
    const char *model, *quantization, *workload, *backend, *machine,
        *basis;                    /* NULL: nobody says */
    int64_t params, active_params; /* LMW_NULL */
    bool estimated;                /* some joules are modelled, not measured: show ~ */
    bool mixed;  /* its records name several models, machines or rails: one row hides that */
    bool scored; /* some answer was scored, or all failed */
    bool excludes_unscored;
    size_t first, n; /* its records are first .. first + n - 1 */
    int64_t n_failed, n_unscored, n_valid, n_imputed;
    struct lmw_reason reason[LMW_REASONS_MAX]; /* why joules are not valid, by count */
    int n_reason;
    /* How much each source measured (energy_rails); sources beyond LMW_RAILS_MAX are left out. */
    const char *rail[LMW_RAILS_MAX];
    double *rail_j[LMW_RAILS_MAX]; /* [n] each, J, NaN where a record does not say */
    int n_rail;
};

struct lmw_frame {
    struct lmw_frame_run *run;
    int n_run;
    size_t n;                   /* records of all runs */
    int32_t *run_of, *query_of; /* [n] */
    int32_t *repeat;            /* [n] */
    bool *failed;               /* [n] */
    double *v[LMW_N_VALUE];     /* each [n] */
    const char **query;         /* [n_query] query_id */
    int32_t *domain_of;         /* [n_query] into domain: what the first record of it says */
    int32_t *workload_of;       /* [n_query] into workload */
    int n_query;
    const char **domain;   /* [n_domain]; "(none)" where no record says */
    const char **workload; /* [n_workload]; "(none)" likewise */
    int n_domain, n_workload;
};

struct lmw_frame_options {
    bool impute; /* joules that are missing: mean power x latency where both are known; counted */
    bool exclude_unscored; /* answers that could not be scored are in no accuracy; else wrong */
};

/* The runs of these names, in the order named (n_name 0: every run, oldest first). NAME also
 * stands for all runs NAME/..., as `measure --run NAME` calls them when there are several models.
 * A run that is named twice is one run.
 * Returns the count; an unknown name is LMW_EARG that lists what there is. */
int lmw_insight_runs(struct lmw_store *s, const char *const *names, int n_name,
                     struct lmw_arena *arena, struct lmw_run **out, struct lmw_err *err);

/* options may be NULL. No run or no record at all is LMW_EARG. */
int lmw_frame_load(struct lmw_frame *f, struct lmw_store *s, const char *const *names, int n_name,
                   const struct lmw_frame_options *options, struct lmw_arena *arena,
                   struct lmw_err *err);

/* The run of that name; else the one run whose model is called so. -1 and a message that lists
 * what there is, or which runs are of that model. */
int lmw_frame_find(const struct lmw_frame *f, const char *name, struct lmw_err *err);

/* The same records as some of its runs only, in the order given, to be crossed: run i of out is
 * run run[i] of f, their columns are shared. */
int lmw_frame_some(const struct lmw_frame *f, const int *run, int n_run, struct lmw_arena *arena,
                   struct lmw_frame *out, struct lmw_err *err);

/* Question by run. A cell is one question under one run: each value is the mean over its repeats,
 * of those that have it. Cells of a question lie together, in the order of the runs; a question
 * that a run was not asked has no cell there. */
struct lmw_cross {
    int n_query;
    size_t n_cell;
    size_t *first;     /* [n_query + 1]: cells of question q are first[q] .. first[q + 1] - 1 */
    int32_t *run;      /* [n_cell] */
    int32_t *n_repeat; /* [n_cell] */
    double *v[LMW_N_VALUE]; /* [n_cell] each, NULL where not wanted */
};
/* wanted: LMW_V_BIT(LMW_V_ACC) | ... */
int lmw_cross_build(struct lmw_cross *x, const struct lmw_frame *f, uint32_t wanted,
                    struct lmw_arena *arena, struct lmw_err *err);
/* The cell of question q under that run, or SIZE_MAX. */
size_t lmw_cross_cell(const struct lmw_cross *x, int q, int run);

#endif
