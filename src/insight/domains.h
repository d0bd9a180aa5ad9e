/* Part of the door insight.h: what small models can answer, by domain, and how hard questions
 * are. */
#ifndef LMW_INSIGHT_DOMAINS_H
#define LMW_INSIGHT_DOMAINS_H

#include "insight/frame.h"

/* Questions asked and answered rightly: a score of at least 0.5, the mean over repeats. */
struct lmw_coverage {
    int64_t n, n_right;
    struct lmw_interval share; /* Wilson */
};

/* Columns are the frame's runs, then best-of-local (right by at least one run that is not cloud)
 * and best-of-cloud; rows are the domains, most questions first, and then all of them. */
struct lmw_domains {
    int n_run, n_column, n_domain;
    bool *cloud;                   /* [n_run] */
    bool *scored;                  /* [n_run]; what is not has no coverage and is in no best-of */
    const char **domain;           /* [n_domain] */
    int64_t *n_question;           /* [n_domain + 1] */
    struct lmw_coverage *coverage; /* [n_domain + 1][n_column] */
    int *best_local;     /* [n_domain + 1] the single local run that covers most, or -1 */
    int64_t *only_cloud; /* [n_domain + 1] questions right by a cloud run and no local */
    /* The whole, weighted two ways: [n_column]. Traffic: every question counts the same. Data
     * sets: the plain mean of the coverages of the workloads, as the paper averages its four. */
    struct lmw_interval *traffic, *datasets;
    int n_dataset;
};
static inline int lmw_local_column(const struct lmw_domains *d)
{
    return d->n_run;
}
static inline int lmw_cloud_column(const struct lmw_domains *d)
{
    return d->n_run + 1;
}
/* cloud: [f->n_run], NULL: none is. */
int lmw_domains_of(const struct lmw_frame *f, const bool *cloud, struct lmw_arena *arena,
                   struct lmw_domains *out, struct lmw_err *err);

/* Each question by the smallest model that answers it rightly. A tier is a number of parameters:
 * those of the runs, or edges that are given ("at most 4 billion"). Runs whose parameters are not
 * known, or that nobody scored, solve nothing and are counted in n_left_out. */
struct lmw_tiers {
    int n_tier, n_left_out;
    int64_t *params; /* [n_tier], ascending; above the last edge is a tier of its own: LMW_NULL */
    int64_t *n;      /* [n_domain + 1][n_tier + 1], the last column unsolved */
    const char **models; /* [n_tier] those in it, with commas between */
};
int lmw_tiers_of(const struct lmw_frame *f, const struct lmw_domains *d, const int64_t *edge,
                 int n_edge, struct lmw_arena *arena, struct lmw_tiers *out, struct lmw_err *err);

#endif
