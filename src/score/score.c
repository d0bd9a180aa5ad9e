typedef int lmw_empty_score_score_c;
