/* Part of the door insight.h: straight lines through records. */
#ifndef LMW_INSIGHT_REGRESS_H
#define LMW_INSIGHT_REGRESS_H

#include "insight/frame.h"

struct lmw_regression {
    struct lmw_interval slope, intercept; /* NaN where x is constant */
    double r2;            /* 1 - residual / total sum of squares; 1 where y is constant */
    double mean_y;        /* of the pairs used */
    int64_t n, n_dropped; /* pairs used, and left out because one side is missing or not finite */
};
/* Least squares of y on x; what is drawn for the intervals is pairs. */
int lmw_regress(const double *x, const double *y, size_t n, struct lmw_regression *out,
                struct lmw_arena scratch, struct lmw_err *err);

/* The lines of a run, as the field's harness names them where it has them. */
enum { LMW_N_LINE = 10 };
extern const struct lmw_line_info {
    const char *key, *x, *y; /* "total_tokens_vs_energy", "tokens", "J" */
} lmw_lines[LMW_N_LINE];
/* out[f->n_run][LMW_N_LINE], over records; what is drawn is questions with all their repeats. */
int lmw_frame_lines(const struct lmw_frame *f, struct lmw_regression (*out)[LMW_N_LINE],
                    struct lmw_arena scratch, struct lmw_err *err);

#endif
