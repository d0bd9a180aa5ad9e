/* One model of a study, from its idle baseline to its last record. */
#ifndef LMW_STUDY_RUN_H
#define LMW_STUDY_RUN_H

#include "study/plan.h"

int lmw_study_measure(struct study *st, int i_model, const struct plan *plan,
                      struct lmw_study_run *result, struct lmw_err *err);

#endif
