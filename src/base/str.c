typedef int lmw_empty_base_str_c;
