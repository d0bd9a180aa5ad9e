typedef int lmw_empty_base_record_c;
