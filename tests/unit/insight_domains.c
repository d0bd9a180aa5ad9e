/* Coverage, best-of-local and tiers on tables small enough to count by hand. */
#include "insight_store.h"

/* rights: a string a question, '1' right, '0' wrong, ' ' not asked, '?' not scored. */
static void ask(struct fixture *f, const char *name, const char *workload, int64_t params,
                const char *rights)
{
    char id[32];
    int64_t a = run(f, name);
    for (int i = 0; rights[i]; i++) {
        if (rights[i] == ' ')
            continue;
        snprintf(id, sizeof id, "q%d", i);
        struct lmw_record r = answer(id, rights[i] == '?' ? (double)NAN : rights[i] == '1');
        r.workload = workload;
        r.domain = i < 4 ? "law" : "maths";
        r.model = name;
        r.params = params;
        put(f, a, &r);
    }
}

static struct lmw_domains domains(struct fixture *f, struct lmw_frame *x, const bool *cloud)
{
    struct lmw_domains d;
    if (lmw_frame_load(x, f->store, NULL, 0, NULL, &f->arena, &f->err) < 0 ||
        lmw_domains_of(x, cloud, &f->arena, &d, &f->err) < 0)
        fail_msg("%s", f->err.msg);
    return d;
}

static void is(const struct lmw_domains *d, int row, int column, int64_t right, int64_t n)
{
    const struct lmw_coverage *c = &d->coverage[row * d->n_column + column];
    assert_int_equal(c->n_right, right);
    assert_int_equal(c->n, n);
}

static void coverage(void **state)
{
    struct fixture *f = *state;
    const bool cloud[] = {false, false, true};
    struct lmw_frame x;
    ask(f, "small", "w", 1, "1000110000");
    ask(f, "large", "w", 8, "1100010 00");
    ask(f, "cloud", "w", 100, "1111111000");
    struct lmw_domains d = domains(f, &x, cloud);
    assert_int_equal(d.n_domain, 2);
    assert_string_equal(d.domain[0], "maths");
    assert_int_equal(d.n_question[0], 6);
    assert_int_equal(d.n_question[2], 10);
    is(&d, 0, 0, 2, 6);
    is(&d, 0, 1, 1, 5);
    is(&d, 1, 1, 2, 4);
    is(&d, 1, lmw_local_column(&d), 2, 4);
    is(&d, 2, lmw_local_column(&d), 4, 10);
    is(&d, 2, lmw_cloud_column(&d), 7, 10);
    assert_int_equal(d.best_local[0], 0);
    assert_int_equal(d.best_local[1], 1);
    assert_int_equal(d.best_local[2], 1); /* 3 of 9 against 3 of 10 */
    assert_int_equal(d.only_cloud[2], 3);
    assert_near(d.traffic[lmw_local_column(&d)].value, 0.4, 1e-12);
}

/* 10 questions of one set, 2 of the other: by traffic 8 / 12, by data sets (7 / 10 + 1 / 2) /
 * 2. */
static void two_weights(void **state)
{
    struct fixture *f = *state;
    struct lmw_frame x;
    ask(f, "a", "big", 1, "1111111000");
    struct lmw_record r = answer("s0", 1);
    r.workload = "small";
    put(f, run(f, "a"), &r);
    r.query_id = "s1";
    r.score = 0;
    put(f, run(f, "a"), &r);
    struct lmw_domains d = domains(f, &x, NULL);
    assert_near(d.traffic[0].value, 8 / 12.0, 1e-12);
    assert_near(d.datasets[0].value, 0.6, 1e-12);
    assert_true(d.datasets[0].lower < 0.6 && d.datasets[0].upper > 0.6);
    assert_int_equal(d.n_dataset, 2);
    assert_int_equal(d.n_domain, 3); /* and "(none)" */
}

static void tiers(void **state)
{
    struct fixture *f = *state;
    const int64_t edge[] = {8, 4};
    struct lmw_frame x;
    struct lmw_tiers t;
    ask(f, "m8", "w", 8, "1100010 00");
    ask(f, "m1", "w", 1, "1000110000");
    ask(f, "m100", "w", 100, "1111111000");
    ask(f, "who", "w", LMW_NULL, "1111111111");
    ask(f, "quiet", "w", 2, "??????????");
    struct lmw_domains d = domains(f, &x, NULL);
    assert_int_equal(lmw_tiers_of(&x, &d, NULL, 0, &f->arena, &t, &f->err), 0);
    assert_int_equal(t.n_tier, 4);
    assert_int_equal(t.n_left_out, 2);
    const int64_t all[] = {3, 0, 1, 3, 3}, law[] = {1, 0, 1, 2, 0};
    assert_memory_equal(&t.n[2 * 5], all, sizeof all);
    assert_string_equal(d.domain[1], "law");
    assert_memory_equal(&t.n[1 * 5], law, sizeof law);
    assert_string_equal(t.models[2], "m8");

    assert_int_equal(lmw_tiers_of(&x, &d, edge, 2, &f->arena, &t, &f->err), 0);
    assert_int_equal(t.n_tier, 3);
    assert_int_equal(t.params[0], 4);
    const int64_t at_edges[] = {3, 1, 3, 3};
    assert_memory_equal(&t.n[2 * 4], at_edges, sizeof at_edges);
    /* What nobody scored covers nothing. */
    assert_true(isnan(d.coverage[2 * d.n_column + 4].share.value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(coverage, setup, teardown),
        cmocka_unit_test_setup_teardown(two_weights, setup, teardown),
        cmocka_unit_test_setup_teardown(tiers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
