/* xoshiro256++ 1.0 and splitmix64 (Blackman and Vigna, prng.di.unimi.it, public domain
 * algorithms). */
#include "base/rng.h"

#include <math.h>

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void lmw_rng_init(struct lmw_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

uint64_t lmw_rng_u64(struct lmw_rng *r)
{
    uint64_t *s = r->s, out = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

/* Lemire's multiply and reject: the low half of x * n decides whether x fell in the biased part.
 */
uint32_t lmw_rng_below(struct lmw_rng *r, uint32_t n)
{
    if (n == 0)
        return 0;
    uint64_t m = (lmw_rng_u64(r) >> 32) * n;
    while ((uint32_t)m < (uint32_t)-n % n)
        m = (lmw_rng_u64(r) >> 32) * n;
    return (uint32_t)(m >> 32);
}

double lmw_rng_unit(struct lmw_rng *r)
{
    return (double)(lmw_rng_u64(r) >> 11) * 0x1p-53;
}

/* Box and Muller, one of the pair: no state beyond the generator's. */
double lmw_rng_normal(struct lmw_rng *r)
{
    double u = 1 - lmw_rng_unit(r), v = lmw_rng_unit(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}
