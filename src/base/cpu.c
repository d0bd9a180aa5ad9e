typedef int lmw_empty_base_cpu_c;
