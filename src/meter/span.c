typedef int lmw_empty_meter_span_c;
