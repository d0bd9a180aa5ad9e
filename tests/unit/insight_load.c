/* Queries in flight from begins and ends, counted by hand. */
#include "insight_store.h"

static void add(struct fixture *f, int64_t run_id, double start, double seconds, double joules,
                double score)
{
    char id[32];
    snprintf(id, sizeof id, "q%d", f->n++);
    struct lmw_record r = answer(id, score);
    metered(&r, joules, seconds);
    r.t_start_ns = (int64_t)llround(start * 1e9);
    r.completion_tokens = 10;
    put(f, run_id, &r);
}

static int loads(struct fixture *f, struct lmw_load *out)
{
    struct lmw_frame x;
    assert_int_equal(lmw_frame_load(&x, f->store, NULL, 0, NULL, &f->arena, &f->err), 0);
    return lmw_loads_of(&x, 0, out, f->arena, &f->err);
}

/* Two alone, one after the other without a gap; then two of 2 s that share one second: each has
 * (1 + 2) / 2 = 1.5 in flight, which rounds to 2; then four together. */
static void by_hand(void **state)
{
    struct fixture *f = *state;
    struct lmw_load l[LMW_LOADS_MAX];
    int64_t a = run(f, "a");
    add(f, a, 10, 1, 8, 1);
    add(f, a, 11, 1, 4, 0);
    add(f, a, 20, 2, 3, 1);
    add(f, a, 21, 2, 3, 1);
    for (int i = 0; i < 4; i++)
        add(f, a, 30, 4, 1, i % 2);
    assert_int_equal(loads(f, l), 3);
    assert_true(l[0].from == 1 && l[0].to == 1 && l[0].n == 2);
    assert_near(l[0].in_flight, 1, 1e-12);
    assert_near(l[0].ipj.value, 0.5 / 6, 1e-12);
    assert_near(l[0].tok_per_s, 10, 1e-12);
    assert_true(l[1].from == 2 && l[1].to == 2 && l[1].n == 2);
    assert_near(l[1].in_flight, 1.5, 1e-9);
    assert_near(l[1].energy.value, 3, 1e-12);
    assert_true(l[2].from == 3 && l[2].to == 4 && l[2].n == 4);
    assert_near(l[2].in_flight, 4, 1e-9);
    assert_near(l[2].ipj.value, 0.5, 1e-12);
    assert_near(l[2].latency.value, 4, 1e-12);
    assert_near(l[2].tok_per_s, 10, 1e-9);
    assert_true(isnan(l[2].ttft.value));
}

/* Fifty repeats of one question say nothing of other questions. */
static void one_question_often(void **state)
{
    struct fixture *f = *state;
    struct lmw_load l[LMW_LOADS_MAX];
    int64_t a = run(f, "a");
    for (int i = 0; i < 50; i++) {
        struct lmw_record r = answer("q", 1);
        r.repeat = i;
        metered(&r, 1 + i % 3, 0.1 * (1 + i % 5));
        r.t_start_ns = (int64_t)i * 1000000000;
        put(f, a, &r);
    }
    assert_int_equal(loads(f, l), 1);
    assert_near(l[0].latency.value, 0.3, 1e-9);
    assert_true(isnan(l[0].latency.lower) && isnan(l[0].energy.lower) && isnan(l[0].ipj.lower));
}

static void without_times(void **state)
{
    struct fixture *f = *state;
    struct lmw_load l[LMW_LOADS_MAX];
    struct lmw_record r = answer("q", 1);
    r.latency_ns = 5;
    put(f, run(f, "a"), &r);
    assert_int_equal(loads(f, l), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(one_question_often, setup, teardown),
        cmocka_unit_test_setup_teardown(without_times, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
