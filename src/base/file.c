typedef int lmw_empty_base_file_c;
