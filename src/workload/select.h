/* Inside of the reader: which rows stay. Cleaning looks at one row at a time; sampling needs a
 * pass over the ids first. See workload.h for what each option means. */
#ifndef LMW_WORKLOAD_SELECT_H
#define LMW_WORKLOAD_SELECT_H

#include "workload/seen.h"
#include "workload/workload.h"

struct lmw_stratum {
    uint64_t name;      /* its hash */
    int64_t n, n_taken; /* rows of it; how many are taken */
    uint64_t last;      /* the largest hash that is */
};
struct lmw_draw {
    uint64_t hash;
    uint32_t stratum;
};
struct lmw_select {
    const struct lmw_workload_opts *o;
    bool needs_reference; /* questions without one are dropped by cleaning */
    struct lmw_seen prompts;
    struct lmw_workload_counts counts;
    struct lmw_draw *draw; /* during the first pass; NULL after it */
    size_t n_draw, cap;
    struct lmw_stratum *stratum;
    uint32_t n_stratum;
    bool is_drawn; /* the first pass is over */
};

/* 1: the row stays, 0: it was dropped and counted, negative. The question is the prompt without a
 * preset's wording. */
int lmw_select_row(struct lmw_select *s, const struct lmw_record *r, const char *question,
                   struct lmw_err *err);
/* The first pass is over: decides how many of each stratum, and which. */
int lmw_select_draw(struct lmw_select *s, struct lmw_err *err);
void lmw_select_restart(struct lmw_select *s); /* the rows come again from the first */
void lmw_select_free(struct lmw_select *s);

/* By what the data set says (a language's name or code), else, where that is NULL, by the
 * words. */
bool lmw_is_english(const char *language, const char *text);

#endif
