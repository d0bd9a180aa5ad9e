typedef int lmw_empty_meter_source_c;
