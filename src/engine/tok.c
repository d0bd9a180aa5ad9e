typedef int lmw_empty_engine_tok_c;
