typedef int lmw_empty_base_stat_c;
