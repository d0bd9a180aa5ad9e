typedef int lmw_empty_engine_model_c;
