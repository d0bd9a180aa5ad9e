/* Choosing a token: greedy, or top-k, top-p, min-p and temperature in that order.
 *
 * No sorting and no memory: what top-k and top-p keep is always "every token above some logit, and
 * the first few by id of those equal to it", and that logit is found by radix selection over the
 * logits' bit patterns (three rounds of 11, 11 and 10 bits, each with a histogram of counts and of
 * probability mass on the stack). O(n_vocab) whatever k and p are.
 *
 * Filters look at probabilities at temperature 1; temperature shapes the draw among what is left
 * (llama.cpp's default order). NaN logits are never chosen unless there is nothing else. Sums run
 * in id order, in double: the same seed and logits give the same token with any compiler. */
#include "engine/engine.h"

#include <math.h>

/* An order-preserving map of floats to unsigned: larger logit, larger key. NaN is below
 * everything. */
static uint32_t key_of(float x)
{
    union {
        float f;
        uint32_t u;
    } v = {x};
    if (x != x)
        return 0;
    if (x == 0.0f)
        v.u = 0; /* -0 and 0 are one value */
    return v.u & 0x80000000u ? ~v.u : v.u | 0x80000000u;
}

/* Kept: key > cut, and the first n_tie by id with key == cut. */
struct cut {
    uint32_t key;
    int n_tie;
};

static bool keeps(const struct cut *c, uint32_t key, int *n_seen_tie)
{
    return key > c->key || (key == c->key && (*n_seen_tie)++ < c->n_tie);
}

static double weight(float logit, float max, double per_temperature)
{
    return logit == logit ? exp(((double)logit - (double)max) * per_temperature) : 0;
}

enum { RADIX = 2048 };

/* Walks down from the largest key until `want` (tokens, or mass if by_mass) are kept, among what
 * `in` keeps. Ends with the digit that crosses; the last round's digit is a single key. */
static struct cut select_cut(const float *logits, int n, float max, const struct cut *in,
                             double want, bool by_mass)
{
    static const int shift[] = {21, 10, 0}, bits[] = {11, 11, 10};
    uint32_t prefix = 0, mask = 0;
    double kept = 0, mass_each = 1;
    for (int round = 0; round < 3; round++) {
        double hist[RADIX] = {0};
        int n_tie = 0, digit = (1 << bits[round]) - 1, lowest = -1;
        for (int i = 0; i < n; i++) {
            uint32_t key = key_of(logits[i]);
            if (!keeps(in, key, &n_tie) || (key & mask) != prefix)
                continue;
            int d = (int)(key >> shift[round] & (uint32_t)digit);
            mass_each = by_mass ? weight(logits[i], max, 1) : 1;
            hist[d] += mass_each;
            lowest = lowest < 0 || d < lowest ? d : lowest;
        }
        while (digit > lowest && kept + hist[digit] < want)
            kept += hist[digit--];
        prefix |= (uint32_t)digit << shift[round];
        mask |= ((1u << bits[round]) - 1) << shift[round];
    }
    /* All that are left have one key, so one mass. */
    double one = 1;
    for (int i = 0; by_mass && i < n; i++)
        if (key_of(logits[i]) == prefix)
            one = weight(logits[i], max, 1);
    double ties = one > 0 ? ceil((want - kept) / one) : n;
    return (struct cut){prefix, ties < 1 ? 1 : ties > n ? n : (int)ties};
}

static int32_t greedy(const float *logits, int n)
{
    int best = 0;
    while (best < n - 1 && logits[best] != logits[best])
        best++;
    for (int i = best + 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return logits[best] == logits[best] ? best : 0;
}

static double total(const float *logits, int n, float max, const struct cut *c, double per_t)
{
    double sum = 0;
    for (int i = 0, n_tie = 0; i < n; i++)
        if (keeps(c, key_of(logits[i]), &n_tie))
            sum += weight(logits[i], max, per_t);
    return sum;
}

static struct cut narrow(const struct lmw_sampler *sp, const float *logits, int n, float max)
{
    struct cut c = {0, n};
    if (sp->top_k > 0 && sp->top_k < n)
        c = select_cut(logits, n, max, &c, sp->top_k, false);
    if (sp->top_p < 1) {
        double p = sp->top_p > 0 ? (double)sp->top_p : 0;
        struct cut q = select_cut(logits, n, max, &c, p * total(logits, n, max, &c, 1), true);
        if (q.key > c.key || (q.key == c.key && q.n_tie < c.n_tie))
            c = q;
    }
    if (sp->min_p > 0) {
        uint32_t floor_key = key_of((float)((double)max + log((double)sp->min_p)));
        if (sp->min_p >= 1)
            floor_key = key_of(max);
        if (floor_key > c.key)
            c = (struct cut){floor_key, n};
    }
    return c;
}

int32_t lmw_sample(struct lmw_sampler *sp, const float *logits, int n_vocab)
{
    int32_t best = greedy(logits, n_vocab);
    float max = logits[best];
    if (!(sp->temperature > 0) || !isfinite(max))
        return best;
    struct cut c = narrow(sp, logits, n_vocab, max);
    double per_t = 1 / (double)sp->temperature;
    double left = lmw_rng_unit(&sp->rng) * total(logits, n_vocab, max, &c, per_t);
    int32_t last = best;
    for (int i = 0, n_tie = 0; i < n_vocab; i++) {
        if (!keeps(&c, key_of(logits[i]), &n_tie))
            continue;
        double w = weight(logits[i], max, per_t);
        left -= w;
        if (w > 0)
            last = i;
        if (left < 0)
            return i;
    }
    return last; /* rounding left a crumb */
}
