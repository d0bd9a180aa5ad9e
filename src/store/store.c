typedef int lmw_empty_store_store_c;
