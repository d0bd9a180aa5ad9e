/* DOOR. Scoring: pure functions of an answer and its reference.
 *
 *     scorer = lmw_scorer_find("json", &err);
 *     lmw_score(scorer, answer, reference, &score);
 *
 * A score is 0..1. What cannot be judged (no reference, or one that is itself broken) has value
 * NaN and a reason; a bad answer is never that: it scores 0 and the reason says what was wrong.
 * No state, no failure, any thread. */
#ifndef LMW_SCORE_SCORE_H
#define LMW_SCORE_SCORE_H

#include "base/err.h"

struct lmw_score {
    double value;        /* 0..1, or NaN: could not be judged */
    double fields_right; /* share of n_fields that are right; NaN where a scorer knows no fields */
    int n_fields;        /* named by the reference or by the answer */
    char reason[192];    /* "" when all is right; UTF-8, one line */
};

/* Both are trimmed of white space or not as the scorer says; neither is NULL. */
typedef void lmw_score_fn(const char *answer, const char *reference, struct lmw_score *out);

struct lmw_scorer {
    const char *name, *help;
    lmw_score_fn *fn;
};
extern const struct lmw_scorer lmw_scorers[]; /* ends with a NULL name */

/* NULL and LMW_EARG with the list of names where there is no such scorer. */
const struct lmw_scorer *lmw_scorer_find(const char *name, struct lmw_err *err);
/* answer and reference may be NULL (then the value is NaN). */
void lmw_score(const struct lmw_scorer *s, const char *answer, const char *reference,
               struct lmw_score *out);

#endif
