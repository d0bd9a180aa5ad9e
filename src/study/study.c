typedef int lmw_empty_study_study_c;
