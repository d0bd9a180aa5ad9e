typedef int lmw_empty_base_clock_c;
