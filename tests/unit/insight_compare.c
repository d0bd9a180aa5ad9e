/* Two runs beside each other: paired figures, tests against numbers from elsewhere, the sentence;
 * and straight lines, against the published harness' golden cases. */
#include "insight_store.h"

/* 2 * sum(comb(n, i) for i <= k) / 2 ** n, in Python's integers. */
static void sign_test(void **state)
{
    assert_near(lmw_sign_test(2, 8), 0.109375, 1e-12);
    assert_near(lmw_sign_test(30, 50), 0.03299261842647618, 1e-12);
    assert_near(lmw_sign_test(50, 30), lmw_sign_test(30, 50), 1e-15);
    assert_near(lmw_sign_test(5, 5), 1, 0);
    assert_near(lmw_sign_test(0, 20), 2 * pow(0.5, 20), 1e-12);
    assert_true(isnan(lmw_sign_test(0, 0)));
    assert_true(lmw_sign_test(250000, 260000) < 1e-40);
}

/* On right and wrong the permutation test is the sign test, but for its draws. On sizes 1 2 3 of
 * one sign, 2 of the 8 choices are as far out. */
static void permutation_test(void **state)
{
    struct fixture *f = *state;
    double d[80], few[] = {1, 2, 3}, none[] = {0, 0};
    for (int i = 0; i < 80; i++)
        d[i] = i < 50 ? 1 : -1;
    double p = lmw_permutation_test(d, 80, 20000, f->arena);
    assert_near(p, lmw_sign_test(30, 50), 0.15);
    assert_near(lmw_permutation_test(few, 3, 20000, f->arena), 0.25, 0.05);
    assert_near(lmw_permutation_test(none, 2, 100, f->arena), 1, 0);
    assert_near(lmw_permutation_test(d, 80, 20000, f->arena), p, 0);
}

static void add(struct fixture *f, int64_t run_id, int i, double score, double joules,
                const char *machine, const char *basis)
{
    char id[32];
    snprintf(id, sizeof id, "q%d", i);
    struct lmw_record r = answer(id, score);
    r.domain = i % 2 ? "law" : "maths";
    r.model = "m";
    r.machine = machine;
    r.energy_basis = basis;
    if (joules > 0)
        metered(&r, joules, 2);
    put(f, run_id, &r);
}

static struct lmw_comparison compare(struct fixture *f)
{
    struct lmw_frame x;
    struct lmw_comparison c;
    if (lmw_frame_load(&x, f->store, NULL, 0, NULL, &f->arena, &f->err) < 0 ||
        lmw_compare(&x, 0, 1, &f->arena, &c, &f->err) < 0)
        fail_msg("%s", f->err.msg);
    return c;
}

static void says(const struct lmw_comparison *c, const char *want)
{
    struct lmw_buf b = {0};
    lmw_compare_sentence(c, &b);
    if (!strstr(b.ptr, want))
        fail_msg("'%s' is not in: %s", want, b.ptr);
    lmw_buf_free(&b);
}

/* Of 400 questions a is right on every second, b also on 40 that a misses; b takes 1.9 x the
 * joules of a on each. The ratio of each question is the same, so its interval has no width. */
static void paired(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "small"), b = run(f, "large");
    for (int i = 0; i < 400; i++) {
        bool right = i % 2 == 0;
        add(f, a, i, right, 10 + i % 7, "box", "rapl");
        add(f, b, i, right || i % 10 == 1, 1.9 * (10 + i % 7), "box", "rapl");
    }
    add(f, a, 1000, 1, 1, "box", "rapl");
    struct lmw_comparison c = compare(f);
    const struct lmw_pair *acc = &c.pair[LMW_PAIR_ACCURACY], *e = &c.pair[LMW_PAIR_ENERGY];
    assert_int_equal(c.n_common, 400);
    assert_int_equal(c.n_only_a, 1);
    assert_near(acc->difference.value, 0.1, 1e-12);
    assert_true(acc->difference.lower > 0.06 && acc->difference.upper < 0.14);
    assert_near(e->ratio.value, 1.9, 1e-12);
    assert_near(e->ratio.lower, 1.9, 1e-9);
    assert_near(c.pair[LMW_PAIR_IPJ].ratio.value, 1.2 / 1.9, 1e-12);
    assert_near(c.sign_p, pow(0.5, 39), 1e-9);
    assert_true(c.permutation_p < 0.001);
    assert_int_equal(c.n_dearer_b, 400);
    assert_int_equal(c.n_domain, 2);
    assert_string_equal(c.domain[0].domain, "law");
    assert_int_equal(c.domain[0].only_b, 40);
    assert_int_equal(c.domain[0].neither, 160);
    assert_near(c.domain[0].difference.value, 0.2, 1e-12);
    assert_int_equal(c.domain[1].both, 200);
    assert_true(c.domain[1].difference.lower < 0 && c.domain[1].difference.upper > 0);
    says(&c, "large answers 10.0 [");
    says(&c, "points more than small, for 1.90x [1.90, 1.90] the joules, on 400 common questions "
             "(1 more were asked of one of them only).");
}

static void what_may_not_be_said(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a"), b = run(f, "b");
    for (int i = 0; i < 40; i++) {
        add(f, a, i, i % 2, 10 + i % 7, "box", "rapl:package-0");
        add(f, b, i, i % 2 == (i != 3), 10 + (i + 3) % 7, "box", "rapl:psys");
    }
    struct lmw_comparison c = compare(f);
    says(&c, "b and a cannot be told apart in accuracy (-2.5 [");
    says(&c, "different rails (rapl:package-0, rapl:psys)");
    assert_false(c.comparable_energy);
    assert_true(isnan(c.pair[LMW_PAIR_ENERGY].ratio.value) && isnan(c.energy_sign_p));
    assert_true(isfinite(c.pair[LMW_PAIR_ENERGY].a.value));
}

static void one_model_on_two_machines(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "cloud"), b = run(f, "local");
    for (int i = 0; i < 40; i++) {
        add(f, a, i, 1, 10, "B200", "nvml");
        add(f, b, i, 1, 14, "M4 Max", "apple");
    }
    struct lmw_comparison c = compare(f);
    says(&c,
         "The same model, m, has 1.40x [1.40, 1.40] lower IPW and 1.40x [1.40, 1.40] lower IPJ "
         "on M4 Max than on B200");
}

static void never_right_on_one_machine(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "cloud"), b = run(f, "local");
    struct lmw_buf said = {0};
    for (int i = 0; i < 40; i++) {
        add(f, a, i, 1, 10, "B200", "nvml");
        add(f, b, i, 0, 14, "M4 Max", "apple");
    }
    struct lmw_comparison c = compare(f);
    lmw_compare_sentence(&c, &said);
    assert_null(strstr(said.ptr, "inf"));
    assert_null(strstr(said.ptr, "lower IPW"));
    lmw_buf_free(&said);
}

/* Fifty times the joules on the only question are no "about the same". */
static void one_question_tells_no_joules_apart(void **state)
{
    struct fixture *f = *state;
    add(f, run(f, "a"), 1, 1, 1, "box", "rapl");
    add(f, run(f, "b"), 1, 1, 50, "box", "rapl");
    struct lmw_comparison c = compare(f);
    says(&c, "; their joules cannot be told apart (50.00x), on 1 common question.");
}

/* Joules of a few questions are not said to be those of all. */
static void joules_of_some_questions(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a"), b = run(f, "b");
    for (int i = 0; i < 40; i++) {
        add(f, a, i, 1, i < 20 ? 1 : 0, "box", "rapl");
        add(f, b, i, 1, 2, "box", "rapl");
    }
    struct lmw_comparison c = compare(f);
    says(&c, "the joules where both are known (20), on 40 common questions.");
}

/* Where no question is unlike the others a resample shows no spread, but others might be: the
 * matched proportions' interval is wider than nothing. Without joules rails are not to blame. */
static void alike_on_every_question(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a"), b = run(f, "b");
    for (int i = 0; i < 30; i++) {
        add(f, a, i, 1, 1, "box", "rapl");
        add(f, b, i, 1, 0, "box", NULL);
    }
    struct lmw_comparison c = compare(f);
    const struct lmw_interval *d = &c.pair[LMW_PAIR_ACCURACY].difference;
    assert_near(1 + d->lower, 1 + c.all.difference.lower, 1e-12);
    assert_near(1 + d->upper, 1 + c.all.difference.upper, 1e-12);
    assert_true(d->lower < -0.05 && d->upper > 0.05);
    assert_true(isnan(c.pair[LMW_PAIR_ACCURACY].ratio.lower));
    says(&c, "cannot be told apart in accuracy (+0.0 [-6.1, 6.1] points); joules are not known "
             "for both, on 30");
}

static void nothing_in_common(void **state)
{
    struct fixture *f = *state;
    struct lmw_frame x;
    struct lmw_comparison c;
    add(f, run(f, "a"), 1, 1, 1, NULL, NULL);
    add(f, run(f, "b"), 2, 1, 1, NULL, NULL);
    assert_int_equal(lmw_frame_load(&x, f->store, NULL, 0, NULL, &f->arena, &f->err), 0);
    assert_int_equal(lmw_compare(&x, 0, 1, &f->arena, &c, &f->err), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "no question in common"));
}

/* The harness' own cases (issue 5, "Against real numbers", 4). */
static void golden_lines(void **state)
{
    struct fixture *f = *state;
    const double x[] = {50, 120, 400, 1000, 2000, NAN, 7};
    const double y[] = {.021, .028, .061, .130, .260, 1, INFINITY};
    const double same[] = {3, 3, 3, 3, 3};
    struct lmw_regression r;
    assert_int_equal(lmw_regress(x, y, 7, &r, f->arena, NULL), 0);
    assert_near(r.slope.value, 0.0001224580656945417, 1e-12);
    assert_near(r.intercept.value, 0.012564941094097233, 1e-12);
    assert_near(r.r2, 0.9990424915367961, 1e-12);
    assert_near(r.mean_y, 0.1, 1e-12);
    assert_int_equal(r.n, 5);
    assert_int_equal(r.n_dropped, 2);
    assert_int_equal(lmw_regress(same, y, 5, &r, f->arena, NULL), 0);
    assert_true(isnan(r.slope.value) && isnan(r.intercept.value) && isnan(r.r2));
    assert_int_equal(lmw_regress(x, same, 5, &r, f->arena, NULL), 0);
    assert_true(r.slope.value == 0 && r.intercept.value == 3 && r.r2 == 1);
    assert_int_equal(lmw_regress(x, y, 1, &r, f->arena, NULL), 0);
    assert_true(isnan(r.slope.value));
    assert_int_equal(lmw_regress(x, y, 0, &r, f->arena, NULL), 0);
    assert_true(isnan(r.mean_y));
}

/* 0.1 is summed with an error: three of them do not have the mean 0.1. */
static void what_does_not_vary(void **state)
{
    struct fixture *f = *state;
    const double same[] = {0.1, 0.1, 0.1}, other[] = {1, 2, 4};
    struct lmw_regression r;
    assert_int_equal(lmw_regress(same, other, 3, &r, f->arena, NULL), 0);
    assert_true(isnan(r.slope.value) && isnan(r.intercept.value) && isnan(r.r2));
    assert_int_equal(lmw_regress(other, same, 3, &r, f->arena, NULL), 0);
    assert_true(r.slope.value == 0 && r.intercept.value == 0.1 && r.r2 == 1);
}

/* Far from zero, where sums of squares would lose every digit; the interval holds the truth. */
static void a_line_far_away(void **state)
{
    struct fixture *f = *state;
    double x[500], y[500];
    struct lmw_regression r;
    for (int i = 0; i < 500; i++) {
        x[i] = 1e9 + i;
        y[i] = 2 * (x[i] - 1e9) + 3 + (i * 7919 % 101 - 50) * 0.1;
    }
    assert_int_equal(lmw_regress(x, y, 500, &r, f->arena, NULL), 0);
    assert_true(r.slope.lower < 2 && 2 < r.slope.upper);
    assert_true(r.slope.upper - r.slope.lower < 0.01);
    assert_true(r.r2 > 0.999);
}

static void lines_of_a_run(void **state)
{
    struct fixture *f = *state;
    char id[32];
    int64_t a = run(f, "a");
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "q%d", i);
        struct lmw_record r = answer(id, 1);
        r.prompt_tokens = 10 + i;
        r.completion_tokens = 2 * i;
        metered(&r, 5 + 0.5 * (double)(r.prompt_tokens + r.completion_tokens), 1 + i);
        r.ttft_ns = i ? 1000000 * r.prompt_tokens : LMW_NULL;
        put(f, a, &r);
    }
    struct lmw_frame x;
    struct lmw_regression r[1][LMW_N_LINE];
    assert_int_equal(lmw_frame_load(&x, f->store, NULL, 0, NULL, &f->arena, &f->err), 0);
    assert_int_equal(lmw_frame_lines(&x, r, f->arena, &f->err), 0);
    assert_string_equal(lmw_lines[1].key, "total_tokens_vs_energy");
    assert_near(r[0][1].slope.value, 0.5, 1e-9);
    assert_near(r[0][1].intercept.value, 5, 1e-9);
    assert_string_equal(lmw_lines[0].key, "input_tokens_vs_ttft");
    assert_near(r[0][0].slope.value, 1e-3, 1e-9);
    assert_int_equal(r[0][0].n, 19);
    assert_int_equal(r[0][0].n_dropped, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sign_test),
        cmocka_unit_test_setup_teardown(permutation_test, setup, teardown),
        cmocka_unit_test_setup_teardown(paired, setup, teardown),
        cmocka_unit_test_setup_teardown(what_may_not_be_said, setup, teardown),
        cmocka_unit_test_setup_teardown(one_model_on_two_machines, setup, teardown),
        cmocka_unit_test_setup_teardown(never_right_on_one_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(one_question_tells_no_joules_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(joules_of_some_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(alike_on_every_question, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_in_common, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_vary, setup, teardown),
        cmocka_unit_test_setup_teardown(golden_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_far_away, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_of_a_run, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
