/* Every figure by hand, over which records, and that the intervals are as wide as theory says. */
#include "insight_store.h"

static struct lmw_summary *summaries(struct fixture *f, int want)
{
    struct lmw_summary *rows;
    int n = lmw_insight_summaries(f->store, NULL, 0, &f->arena, &rows, &f->err);
    assert_int_equal(n, want);
    return rows;
}

static void is(const struct lmw_summary *s, enum lmw_figure k, double want, int64_t n)
{
    if (!(fabs(s->figure[k].value - want) <= 1e-12 * fabs(want)))
        fail_msg("%s: %.17g, not %.17g", lmw_figures[k].key, s->figure[k].value, want);
    assert_int_equal(s->figure[k].n, n);
}

static void every_figure(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a");
    for (int i = 0; i < 2; i++) {
        struct lmw_record r = answer(i ? "q1" : "q0", 1 - i);
        metered(&r, i ? 20 : 10, i ? 4 : 2);
        r.energy_net_uj = r.energy_uj / 2;
        r.energy_prefill_uj = r.energy_uj / 5;
        r.energy_decode_uj = r.energy_uj / 5 * 4;
        r.prompt_tokens = 100 + 100 * i;
        r.completion_tokens = 11;
        r.ttft_ns = r.latency_ns / 2;
        r.perplexity = 1.5 + i;
        r.flops = 6e9;
        r.cost_usd = 0.25;
        r.memory_bytes = 1000 + i;
        r.itl_p50_ns = 1000000 * (1 + i);
        put(f, a, &r);
    }
    const struct lmw_summary *s = summaries(f, 1);
    is(s, LMW_FIG_ACCURACY, 0.5, 2);
    is(s, LMW_FIG_IPW, 0.1, 2);
    is(s, LMW_FIG_IPJ, 1 / 30.0, 2);
    is(s, LMW_FIG_IPW_NET, 0.2, 2);
    is(s, LMW_FIG_IPJ_NET, 1 / 15.0, 2);
    is(s, LMW_FIG_PPW, 1 / (2.0 * 5), 2);
    is(s, LMW_FIG_PPJ, 1 / (2.0 * 15), 2);
    is(s, LMW_FIG_PPW_NET, 1 / (2.0 * 2.5), 2);
    is(s, LMW_FIG_PPJ_NET, 1 / (2.0 * 7.5), 2);
    is(s, LMW_FIG_POWER, 5, 2);
    is(s, LMW_FIG_POWER_NET, 2.5, 2);
    is(s, LMW_FIG_PREFILL, 3, 2);
    is(s, LMW_FIG_DECODE, 12, 2);
    is(s, LMW_FIG_J_PER_TOKEN, 30 / 22.0, 2);
    is(s, LMW_FIG_J_PER_INPUT_TOKEN, 6 / 300.0, 2);
    is(s, LMW_FIG_J_PER_OUTPUT_TOKEN, 24 / 22.0, 2);
    is(s, LMW_FIG_TOKENS_PER_J, 22 / 30.0, 2);
    is(s, LMW_FIG_FLOPS_PER_J, 12e9 / 30, 2);
    is(s, LMW_FIG_SPEED, 20 / 3.0, 2);
    is(s, LMW_FIG_THROUGHPUT, 22 / 6.0, 2);
    is(s, LMW_FIG_LATENCY, 3, 2);
    is(s, LMW_FIG_LATENCY_P50, 3, 2);
    is(s, LMW_FIG_TTFT_P90, 1.9, 2);
    is(s, LMW_FIG_ITL_P50, 1.5e-3, 2);
    is(s, LMW_FIG_COST, 0.25, 2);
    is(s, LMW_FIG_COST_PER_RIGHT, 0.5, 2);
    is(s, LMW_FIG_MEMORY, 1001, 2);
    assert_true(isnan(s->figure[LMW_FIG_ITL_P99].value));
    assert_int_equal(s->figure[LMW_FIG_ITL_P99].n, 0);
}

/* A figure is over the records that have all of it: the wrong answer without joules is in no IPJ,
 * the one without tokens in no joules per token. */
static void over_which_records(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a");
    struct lmw_record r = answer("q0", 1);
    metered(&r, 10, 2);
    put(f, a, &r);
    r.query_id = "q1";
    r.energy_uj = 30000000;
    r.completion_tokens = 10;
    put(f, a, &r);
    r = answer("q2", 0);
    r.completion_tokens = 1000;
    put(f, a, &r);
    const struct lmw_summary *s = summaries(f, 1);
    is(s, LMW_FIG_ACCURACY, 2 / 3.0, 3);
    is(s, LMW_FIG_IPJ, 1 / 20.0, 2);
    is(s, LMW_FIG_J_PER_TOKEN, 3, 1);
    is(s, LMW_FIG_COMPLETION_TOKENS, 505, 2);
    assert_int_equal(s->n_reason, 1);
    assert_int_equal(s->reason[0].n, 1);
}

/* Small numbers that look like chance: the same in every build. */
static double noise(unsigned i)
{
    i = i * 2654435761u;
    i ^= i >> 15;
    i *= 2246822519u;
    return (double)(i >> 8) / (1 << 24);
}

static void fill(struct fixture *f, const char *name, int n, int n_repeat)
{
    char id[32];
    int64_t a = run(f, name);
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof id, "q%d", i);
        struct lmw_record r = answer(id, noise((unsigned)i) < 0.5);
        metered(&r, 10 + 10 * noise((unsigned)i + 77777), 2);
        for (r.repeat = 0; r.repeat < n_repeat; r.repeat++)
            put(f, a, &r);
    }
}

static double half_width(struct lmw_interval v)
{
    return (v.upper - v.lower) / 2;
}

/* 6,000 questions are drawn in 2,048 bundles; the mean of joules uniform on 10..20 must have the
 * standard error 10 / sqrt(12 n), within the noise of 1,000 resamples. */
static void bundles_are_as_wide_as_questions(void **state)
{
    struct fixture *f = *state;
    fill(f, "few", 2000, 1);
    fill(f, "many", 6000, 1);
    const struct lmw_summary *s = summaries(f, 2);
    for (int i = 0; i < 2; i++) {
        double n = i ? 6000 : 2000, want = 1.96 * 10 / sqrt(12 * n);
        double got = half_width(s[i].figure[LMW_FIG_ENERGY]);
        if (!(fabs(got / want - 1) < 0.12))
            fail_msg("%g questions: +-%g J, theory says +-%g", n, got, want);
    }
}

/* Asking the same question four times says nothing new about other questions. */
/* Every answer counts once, so a question asked three times weighs three times; the interval knows
 * that the four answers are worth (3 + 1)^2 / (9 + 1) = 1.6 questions. `compare` weighs each
 * once. */
static void uneven_repeats_are_said(void **state)
{
    struct fixture *f = *state;
    int64_t id = run(f, "uneven");
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "q%d", i);
        struct lmw_record r = answer(name, i < 100);
        for (r.repeat = 0; r.repeat < (i < 100 ? 3 : 1); r.repeat++)
            put(f, id, &r);
    }
    const struct lmw_summary *s = summaries(f, 1);
    double lower, upper;
    lmw_wilson(0.75 * 160, 160, 1.96, &lower, &upper);
    assert_true(s->uneven);
    assert_near(s->figure[LMW_FIG_ACCURACY].value, 0.75, 1e-12);
    assert_near(s->figure[LMW_FIG_ACCURACY].lower, lower, 1e-12);
    assert_near(s->figure[LMW_FIG_ACCURACY].upper, upper, 1e-12);
}

static void repeats_are_no_questions(void **state)
{
    struct fixture *f = *state;
    fill(f, "once", 200, 1);
    fill(f, "often", 200, 4);
    const struct lmw_summary *s = summaries(f, 2);
    assert_int_equal(s[1].n_record, 800);
    assert_int_equal(s[1].n_question, 200);
    assert_false(s[1].uneven);
    for (int k = 0; k < LMW_FIG_POWER; k++) {
        const struct lmw_interval *a = &s[0].figure[k], *b = &s[1].figure[k];
        if (isnan(a->value))
            continue;
        assert_near(b->value, a->value, 1e-12);
        assert_near(b->lower, a->lower, 1e-12);
        assert_near(b->upper, a->upper, 1e-12);
    }
}

/* The interval of a median, from order statistics: about 95 of 100 samples must hold the true one.
 * 100 samples of 101 values uniform on 10..20, whose median is 15. */
static void quantiles_cover(void **state)
{
    struct fixture *f = *state;
    char id[32];
    for (int k = 0; k < 100; k++) {
        snprintf(id, sizeof id, "run-%d", k);
        int64_t a = run(f, id);
        for (int i = 0; i < 101; i++) {
            snprintf(id, sizeof id, "q%d", i);
            struct lmw_record r = answer(id, 1);
            metered(&r, 1, 10 + 10 * noise((unsigned)(1000 * k + i)));
            put(f, a, &r);
        }
    }
    const struct lmw_summary *s = summaries(f, 100);
    int held = 0;
    for (int k = 0; k < 100; k++) {
        const struct lmw_interval *v = &s[k].figure[LMW_FIG_LATENCY_P50];
        assert_true(v->lower < v->value && v->value < v->upper);
        held += v->lower <= 15 && 15 <= v->upper;
    }
    assert_in_range(held, 89, 100);
}

/* Each source's joules alone, over the records that say them. */
static void joules_by_rail(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a");
    static const char *const rails[] = {"{\"core\": 8000000, \"dram\": 2000000}",
                                        "{\"core\": 12000000, \"d\\u0072am\": 8000000}", NULL};
    for (int i = 0; i < 3; i++) {
        struct lmw_record r = answer(i == 0 ? "q0" : i == 1 ? "q1" : "q2", i == 0);
        metered(&r, i == 0 ? 10 : 20, 2);
        r.energy_rails = rails[i];
        put(f, a, &r);
    }
    const struct lmw_summary *s = summaries(f, 1);
    assert_int_equal(s->n_rail, 2);
    assert_string_equal(s->rail[0].name, "core");
    assert_string_equal(s->rail[1].name, "dram");
    assert_near(s->rail[0].share, 20.0 / 30, 1e-12);
    assert_near(s->rail[0].energy_j.value, 10, 1e-12);
    assert_near(s->rail[1].energy_j.value, 5, 1e-12);
    assert_near(s->rail[1].power_w.value, 2.5, 1e-12);
    assert_near(s->rail[0].ipj.value, 0.5 / 10, 1e-12);
    assert_near(s->rail[1].ipw.value, 0.5 / 2.5, 1e-12);
    assert_int_equal(s->rail[1].ipj.n, 2);
    assert_true(s->rail[0].energy_j.lower >= 8 && s->rail[0].energy_j.upper <= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(joules_by_rail, setup, teardown),
        cmocka_unit_test_setup_teardown(every_figure, setup, teardown),
        cmocka_unit_test_setup_teardown(over_which_records, setup, teardown),
        cmocka_unit_test_setup_teardown(bundles_are_as_wide_as_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(repeats_are_no_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(uneven_repeats_are_said, setup, teardown),
        cmocka_unit_test_setup_teardown(quantiles_cover, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
