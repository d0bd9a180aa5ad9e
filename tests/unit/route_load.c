/* Cells from a store: which questions count, repeats, what is right, what is not known, prices. */
#include "route/route.h"
#include "route/router.h"

#include "insight_store.h"

#include <string.h>

/* joules < 0: no valid reading; score NaN: nobody judged. */
static void add(struct fixture *f, int64_t run_id, const char *id, int repeat, double score,
                double joules)
{
    struct lmw_record r;
    lmw_record_clear(&r);
    r.query_id = id;
    r.repeat = repeat;
    r.score = score;
    r.latency_ns = 2000000000;
    r.prompt_tokens = 1000;
    r.completion_tokens = 500;
    r.energy_valid = joules >= 0;
    if (joules >= 0)
        r.energy_uj = (int64_t)(joules * 1e6);
    assert_int_equal(lmw_store_add(f->store, run_id, &r, &f->err), 0);
}

static int load(struct fixture *f, struct lmw_routes *r, const char *local, const char *cloud,
                const struct lmw_prices *prices)
{
    return lmw_routes_load(r, f->store, &local, 1, cloud, prices, &f->arena, &f->err);
}

static void common_questions(void **state)
{
    struct fixture *f = *state;
    struct lmw_routes r;
    int64_t a = run(f, "a"), c = run(f, "c");
    add(f, a, "only-a", 0, 1, 1);
    add(f, a, "z", 0, 0.5, 1);
    add(f, a, "y", 0, 0.49, 2);
    add(f, c, "y", 0, 1, 10);
    add(f, c, "only-c", 0, 1, 10);
    add(f, c, "z", 0, NAN, 20);
    assert_int_equal(load(f, &r, "a", "c", NULL), 0);
    assert_int_equal(r.cells.n, 2);
    assert_int_equal(r.n_left_out, 2);
    assert_string_equal(r.frame.query[r.query[0]], "z"); /* in the order of the first run */
    const uint8_t right[] = {1, 0, 0, 1};
    assert_memory_equal(r.cells.right, right, 4); /* 0.5 is right; unscored is wrong */
    const double joules[] = {1, 2, 20, 10};
    for (int i = 0; i < 4; i++)
        assert_true(fabs(r.cells.amount[LMW_JOULES][i] - joules[i]) < 1e-9);
    assert_true(fabs(r.cells.amount[LMW_SECONDS][0] - 2) < 1e-12);
    assert_int_equal(lmw_route_known(&r.cells, LMW_JOULES), 2);
    assert_int_equal(lmw_route_known(&r.cells, LMW_USD), 0);
}

static void repeats_are_one_question(void **state)
{
    struct fixture *f = *state;
    struct lmw_routes r;
    int64_t a = run(f, "a"), c = run(f, "c");
    const double score[] = {1, 0, 1};
    for (int i = 0; i < 3; i++)
        add(f, a, "q", i, score[i], i + 1);
    add(f, c, "q", 0, 1, -1);
    assert_int_equal(load(f, &r, "a", "c", NULL), 0);
    assert_int_equal(r.cells.n, 1);
    assert_int_equal(r.cells.right[0], 1); /* two of three */
    assert_true(fabs(r.cells.amount[LMW_JOULES][0] - 2) < 1e-9);
    assert_true(isnan(r.cells.amount[LMW_JOULES][1]));
    assert_int_equal(lmw_route_known(&r.cells, LMW_JOULES), 0);
}

/* Records that are there already, in another order and with runs that do not take part. */
static void from_a_frame(void **state)
{
    struct fixture *f = *state;
    struct lmw_routes r, alone;
    struct lmw_frame frame;
    int64_t c = run(f, "c"), other = run(f, "other"), b = run(f, "b"), a = run(f, "a");
    static const char *const ids[] = {"x", "y", "z"}, *const local[] = {"a", "b"};
    for (int i = 0; i < 3; i++) {
        add(f, other, "elsewhere", i, 1, 1);
        add(f, c, ids[i], 0, 1, 10 + i);
        add(f, b, ids[2 - i], 0, i == 0, 2 + i);
        add(f, a, ids[i], 0, i == 2, 1 + i);
    }
    assert_int_equal(lmw_frame_load(&frame, f->store, NULL, 0, NULL, &f->arena, &f->err), 0);
    assert_int_equal(lmw_routes_load(&alone, f->store, local, 2, "c", NULL, &f->arena, &f->err),
                     0);
    assert_int_equal(
        lmw_routes_from(&r, &frame, f->store, local, 2, "c", NULL, &f->arena, &f->err), 0);
    assert_true(r.cells.n == 3 && r.cells.n_local == 2 && r.n_left_out == 0);
    assert_string_equal(r.cells.model[0], "a");
    assert_memory_equal(r.cells.right, alone.cells.right, 9);
    assert_memory_equal(r.cells.amount[LMW_JOULES], alone.cells.amount[LMW_JOULES],
                        9 * sizeof(double));
    for (int q = 0; q < 3; q++)
        assert_string_equal(r.frame.query[r.query[q]], alone.frame.query[alone.query[q]]);
}

static void stated_prices(void **state)
{
    struct fixture *f = *state;
    struct lmw_routes r;
    int64_t a = run(f, "a"), c = run(f, "c");
    add(f, a, "q", 0, 1, 36);
    add(f, c, "q", 0, 1, 1);
    const struct lmw_prices p = {.local = {.per_kwh = 0.30, .per_m_in = NAN, .per_m_out = NAN},
                                 .cloud = {.per_kwh = NAN, .per_m_in = 2, .per_m_out = 8}};
    assert_int_equal(load(f, &r, "a", "c", &p), 0);
    assert_true(fabs(r.cells.amount[LMW_USD][0] - 36 / 3.6e6 * 0.30) < 1e-12);
    assert_true(fabs(r.cells.amount[LMW_USD][1] - (1000 * 2 + 500 * 8) / 1e6) < 1e-12);
}

static void several_runs_of_one_name(void **state)
{
    struct fixture *f = *state;
    struct lmw_routes r;
    int64_t a = run(f, "small/a"), b = run(f, "small/b"), c = run(f, "c");
    add(f, a, "q", 0, 1, 2);
    add(f, b, "q", 0, 1, 1);
    add(f, c, "q", 0, 1, 9);
    assert_int_equal(load(f, &r, "small", "c", NULL), 0);
    assert_int_equal(r.cells.n_local, 2);
    assert_string_equal(r.cells.model[1], "small/b");
    assert_int_equal(load(f, &r, "c", "small", NULL), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "2 runs"));
}

static void refused(void **state)
{
    struct fixture *f = *state;
    struct lmw_routes r;
    int64_t a = run(f, "a"), c = run(f, "c"), d = run(f, "unscored");
    add(f, a, "q", 0, 1, 1);
    add(f, c, "p", 0, 1, 1);
    add(f, d, "q", 0, NAN, 1);
    assert_int_equal(load(f, &r, "a", "c", NULL), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "no question was asked of all"));
    assert_int_equal(load(f, &r, "a", "a", NULL), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "as local and as cloud"));
    assert_int_equal(load(f, &r, "a", "nobody", NULL), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "--cloud"));
    assert_int_equal(load(f, &r, "unscored", "a", NULL), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "no scores"));
}

static void some_of_the_queries(void **state)
{
    struct fixture *f = *state;
    const uint8_t right[] = {1, 0, 0, 1, 1, 0};
    const double joules[] = {1, 2, 3, 10, 20, 30};
    struct lmw_cells c = {.n_local = 1, .n = 3, .right = right, .amount = {joules}}, some;
    const int64_t which[] = {2, 0};
    assert_int_equal(lmw_cells_some(&c, which, 2, &f->arena, &some, &f->err), 0);
    assert_int_equal(some.n, 2);
    const uint8_t want[] = {0, 1, 0, 1};
    assert_memory_equal(some.right, want, 4);
    const double want_j[] = {3, 1, 30, 10};
    assert_memory_equal(some.amount[LMW_JOULES], want_j, sizeof want_j);
    assert_null(some.amount[LMW_USD]);
}

/* Folds are drawn by what is asked: one text under two ids is in one fold, or a router would be
 * judged by what it has seen. The cloud's text speaks, whichever locals are named beside it. */
static void a_text_is_known_by_itself(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *id, *home, *cloud;
    } q[] = {{"1", "how far?", "how far?"},
             {"2", " how far?\n", "how far?"},
             {"3", "how far?", "how near?"},
             {"4", NULL, NULL},
             {"5", "how far?", NULL}};
    int64_t a = run(f, "a"), c = run(f, "c");
    for (int i = 0; i < 5; i++) {
        struct lmw_record r = answer(q[i].id, 1);
        r.prompt = q[i].home;
        put(f, a, &r);
        r.prompt = q[i].cloud;
        put(f, c, &r);
    }
    struct lmw_routes routes;
    struct lmw_lessons l;
    assert_int_equal(load(f, &routes, "a", "c", NULL), 0);
    assert_int_equal(lmw_lessons_load(&l, f->store, &routes, &f->arena, &f->err), 0);
    assert_true(l.id[0] == l.id[1] && l.id[0] == l.id[4]);
    assert_true(l.id[2] != l.id[0] && l.id[3] != l.id[0] && l.id[3] != l.id[2]);
    assert_string_equal(l.prompt[2].ptr, "how near?");
    assert_string_equal(l.prompt[4].ptr, "how far?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(common_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(repeats_are_one_question, setup, teardown),
        cmocka_unit_test_setup_teardown(from_a_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(stated_prices, setup, teardown),
        cmocka_unit_test_setup_teardown(several_runs_of_one_name, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(some_of_the_queries, setup, teardown),
        cmocka_unit_test_setup_teardown(a_text_is_known_by_itself, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
