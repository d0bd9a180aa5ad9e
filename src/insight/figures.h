/* The figures of one run, from its records in a frame. */
#ifndef LMW_INSIGHT_FIGURES_H
#define LMW_INSIGHT_FIGURES_H

#include "base/resample.h"
#include "insight/insight.h"

/* The run's questions as units, for what follows. */
struct run_units {
    int n_unit, n_question;
    int n_most; /* answers of the question that was asked most often */
    /* Questions, as many as would tell as much if all were asked alike: (sum m)^2 / sum m^2 over
     * their repeats m (Kish, "Survey Sampling", 1965, 8.2). */
    double n_trial;
    int32_t *unit; /* [records of the run] */
};
/* stamp: [f->n_query], zeroed once and kept from run to run. */
int lmw_run_units(struct run_units *u, const struct lmw_frame *f, int run, int32_t *stamp,
                  struct lmw_arena *arena, struct lmw_err *err);

/* figure[LMW_N_FIGURE]. */
int lmw_run_figures(const struct lmw_frame *f, int run, const struct run_units *u,
                    struct lmw_resample *resample, struct lmw_interval *figure,
                    struct lmw_arena scratch, struct lmw_err *err);

/* out[n_rail of the run]. */
int lmw_run_rails(const struct lmw_frame *f, int run, const struct run_units *u,
                  struct lmw_resample *resample, struct lmw_rail_figures *out,
                  struct lmw_arena scratch, struct lmw_err *err);

#endif
