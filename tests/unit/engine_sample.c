/* The sampler through its door: greedy, each filter against a sorting oracle, frequencies, seeds.
 */
#include "engine/engine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 300 };

static struct lmw_sampler sampler(float temperature, int top_k, float top_p, float min_p)
{
    struct lmw_sampler s = {
        .temperature = temperature, .top_k = top_k, .top_p = top_p, .min_p = min_p};
    lmw_rng_init(&s.rng, 7);
    return s;
}

static void random_logits(float *x, uint64_t seed)
{
    struct lmw_rng rng;
    lmw_rng_init(&rng, seed);
    for (int i = 0; i < N; i++)
        x[i] = (float)lmw_rng_normal(&rng) * 3;
    for (int i = 0; i < N; i += 7)
        x[i] = x[(i * 5 + 3) % N]; /* ties */
}

/* Oracle: sorts by (logit falling, id rising) and filters in the order the door states. */
static const float *order_by;
static int compare(const void *a, const void *b)
{
    int i = *(const int *)a, j = *(const int *)b;
    if (order_by[i] != order_by[j])
        return order_by[i] > order_by[j] ? -1 : 1;
    return i - j;
}

static int oracle_kept(const float *x, const struct lmw_sampler *s, bool *kept)
{
    int ids[N], n = N;
    double mass = 0, sum = 0;
    for (int i = 0; i < N; i++)
        ids[i] = i;
    order_by = x;
    qsort(ids, N, sizeof *ids, compare);
    if (s->top_k > 0 && s->top_k < n)
        n = s->top_k;
    for (int i = 0; i < n; i++)
        mass += exp((double)x[ids[i]] - (double)x[ids[0]]);
    if (s->top_p < 1) {
        int m = 0;
        while (m < n && (m == 0 || sum < (double)s->top_p * mass))
            sum += exp((double)x[ids[m++]] - (double)x[ids[0]]);
        n = m;
    }
    if (s->min_p > 0) {
        int m = 1;
        while (m < n && exp((double)x[ids[m]] - (double)x[ids[0]]) >= (double)s->min_p)
            m++;
        n = m;
    }
    memset(kept, 0, N);
    for (int i = 0; i < n; i++)
        kept[ids[i]] = true;
    return n;
}

/* Draws often at a high temperature: exactly the oracle's tokens must come up. */
static void check_filter(int top_k, float top_p, float min_p)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        float x[N];
        bool kept[N];
        int seen[N] = {0}, n_seen = 0;
        struct lmw_sampler s = sampler(50, top_k, top_p, min_p);
        random_logits(x, seed);
        int n = oracle_kept(x, &s, kept);
        for (int i = 0; i < 40 * n + 100; i++) {
            int32_t id = lmw_sample(&s, x, N);
            assert_in_range(id, 0, N - 1);
            assert_true(kept[id]);
            n_seen += seen[id]++ == 0;
        }
        assert_int_equal(n_seen, n);
    }
}

static void greedy(void **state)
{
    float x[] = {1, 3, -2, 3, NAN};
    struct lmw_sampler s = sampler(0, 0, 1, 0);
    assert_int_equal(lmw_sample(&s, x, 5), 1); /* the lower id of a tie */
    float y[] = {NAN, -INFINITY, -5};
    assert_int_equal(lmw_sample(&s, y, 3), 2);
    float z[] = {NAN, NAN};
    assert_int_equal(lmw_sample(&s, z, 2), 0);
    s.temperature = 1;
    assert_int_equal(lmw_sample(&s, z, 2), 0);
    float inf[] = {0, INFINITY};
    assert_int_equal(lmw_sample(&s, inf, 2), 1);
}

static void filters(void **state)
{
    check_filter(1, 1, 0);
    check_filter(5, 1, 0);
    check_filter(40, 1, 0);
    check_filter(N, 1, 0);
    check_filter(0, 0.9f, 0);
    check_filter(0, 0.3f, 0);
    check_filter(0, 0, 0);
    check_filter(0, 1, 0.05f);
    check_filter(0, 1, 0.5f);
    check_filter(0, 1, 1);
    check_filter(40, 0.9f, 0.02f);
    check_filter(20, 0.95f, 0);
    check_filter(0, 0.95f, 0.1f);
}

static void all_equal(void **state)
{
    float x[N];
    for (int i = 0; i < N; i++)
        x[i] = -0.0f;
    x[3] = 0.0f; /* the same value */
    struct lmw_sampler s = sampler(1, 10, 1, 0);
    for (int i = 0; i < 1000; i++)
        assert_in_range(lmw_sample(&s, x, N), 0, 9); /* ties: lower ids first */
    s.top_k = 0;
    s.top_p = 0.5f;
    for (int i = 0; i < 1000; i++)
        assert_in_range(lmw_sample(&s, x, N), 0, N / 2 - 1);
}

/* Frequencies follow softmax(logits / temperature): within 5 standard errors. */
static void frequencies(void **state)
{
    enum { DRAWS = 200000 };
    const float x[] = {0, 1, 2, -1};
    struct lmw_sampler s = sampler(0.7f, 0, 1, 0);
    int n[4] = {0};
    double sum = 0;
    for (int i = 0; i < DRAWS; i++)
        n[lmw_sample(&s, x, 4)]++;
    for (int i = 0; i < 4; i++)
        sum += exp((double)x[i] / 0.7);
    for (int i = 0; i < 4; i++) {
        double p = exp((double)x[i] / 0.7) / sum;
        assert_true(fabs(n[i] - p * DRAWS) < 5 * sqrt(p * (1 - p) * DRAWS));
    }
}

static void seeds(void **state)
{
    float x[N];
    random_logits(x, 9);
    struct lmw_sampler a = sampler(1, 0, 0.95f, 0), b = a, c = a;
    lmw_rng_init(&c.rng, 8);
    int n_other = 0;
    for (int i = 0; i < 200; i++) {
        int32_t id = lmw_sample(&a, x, N);
        assert_int_equal(lmw_sample(&b, x, N), id);
        n_other += lmw_sample(&c, x, N) != id;
    }
    assert_true(n_other > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy),      cmocka_unit_test(filters), cmocka_unit_test(all_equal),
        cmocka_unit_test(frequencies), cmocka_unit_test(seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
