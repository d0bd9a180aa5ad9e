typedef int lmw_empty_engine_gguf_c;
