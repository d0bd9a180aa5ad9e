typedef int lmw_empty_base_err_c;
