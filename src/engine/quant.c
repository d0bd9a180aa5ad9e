typedef int lmw_empty_engine_quant_c;
