typedef int lmw_empty_base_rng_c;
