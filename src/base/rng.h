/* Random numbers: xoshiro256++ seeded by splitmix64 (Blackman and Vigna). The same seed gives the
 * same stream on every machine, compiler and release. Not for secrets. */
#ifndef LMW_BASE_RNG_H
#define LMW_BASE_RNG_H

#include <stdint.h>

struct lmw_rng {
    uint64_t s[4];
};
void lmw_rng_init(struct lmw_rng *r, uint64_t seed);
uint64_t lmw_rng_u64(struct lmw_rng *r);
uint32_t lmw_rng_below(struct lmw_rng *r, uint32_t n); /* 0..n-1, unbiased; n = 0 gives 0 */
double lmw_rng_unit(struct lmw_rng *r);                /* [0, 1), 53 bits */
double lmw_rng_normal(struct lmw_rng *r);              /* mean 0, variance 1 */

#endif
