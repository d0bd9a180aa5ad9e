typedef int lmw_empty_base_pool_c;
