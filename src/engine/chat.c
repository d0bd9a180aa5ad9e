typedef int lmw_empty_engine_chat_c;
