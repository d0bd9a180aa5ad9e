typedef int lmw_empty_meter_meter_c;
