typedef int lmw_empty_meter_rapl_c;
