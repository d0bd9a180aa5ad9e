typedef int lmw_empty_base_arena_c;
