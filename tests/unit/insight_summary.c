/* Figures from records, by hand: what the field's published harness asserts where it agrees with
 * the definitions, missing readings, Pareto marks, breakdowns. */
#include "insight_store.h"

/* One record; joules < 0: no valid reading. */
static void add_perplexity(struct fixture *f, int64_t run_id, double score, double joules,
                           double seconds, double perplexity, const char *extra)
{
    struct lmw_record r;
    char id[32];
    lmw_record_clear(&r);
    snprintf(id, sizeof id, "q%d", f->n++);
    r.query_id = id;
    r.repeat = 0;
    r.model = "m";
    r.score = score;
    r.latency_ns = (int64_t)(seconds * 1e9);
    r.ttft_ns = r.latency_ns / 2;
    r.completion_tokens = 11;
    r.energy_valid = joules >= 0;
    if (joules >= 0)
        r.energy_uj = (int64_t)(joules * 1e6);
    r.energy_net_uj = r.energy_uj == LMW_NULL ? LMW_NULL : r.energy_uj / 2;
    r.extra = extra;
    r.perplexity = perplexity;
    assert_int_equal(lmw_store_add(f->store, run_id, &r, &f->err), 0);
}

static void add(struct fixture *f, int64_t run_id, double score, double joules, double seconds,
                const char *extra)
{
    add_perplexity(f, run_id, score, joules, seconds, (double)NAN, extra);
}

static struct lmw_summary *summaries(struct fixture *f, int want)
{
    struct lmw_summary *rows;
    int n = lmw_insight_summaries(f->store, NULL, 0, &f->arena, &rows, &f->err);
    assert_int_equal(n, want);
    return rows;
}

static void ratios_of_means(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a");
    add(f, a, 1, 10, 2, NULL);
    add(f, a, 0, 20, 4, NULL);
    const struct lmw_summary *s = summaries(f, 1);
    assert_true(fabs(s->accuracy.value - 0.5) <= 1e-12);
    assert_true(fabs(s->ipj.value - 1.0 / 30) <= 1e-12);
    assert_true(fabs(s->ipj_net.value - 1.0 / 15) <= 1e-12);
    assert_true(fabs(s->ipw.value - 0.1) <= 1e-12);
    assert_true(fabs(s->power_w.value - 5) <= 1e-12);
    assert_true(fabs(s->j_per_token - 15.0 / 11) <= 1e-12);
    assert_true(fabs(s->tok_per_s - 20 / 3.0) <= 1e-12);
    assert_true(s->energy_j.lower <= 15 && s->energy_j.upper >= 15 && s->energy_j.lower >= 10);
}

static int by(struct fixture *f, const struct lmw_summary *row, const char *field,
              struct lmw_breakdown *out)
{
    return lmw_insight_breakdowns(f->store, row, 1, &field, 1, &f->arena, out, &f->err);
}

/* Accuracy and joules of the same records: those that were scored, and those that failed. */
static void unscored_can_be_left_out(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a");
    add(f, a, 1, 10, 2, "{\"language\":\"en\"}");
    add(f, a, 0, 20, 4, "{\"language\":\"en\"}");
    add(f, a, (double)NAN, 60, 2, "{\"language\":\"en\"}");
    const struct lmw_frame_options options = {.exclude_unscored = true};
    struct lmw_frame frame;
    struct lmw_summary *s;
    struct lmw_breakdown b;
    assert_int_equal(lmw_frame_load(&frame, f->store, NULL, 0, &options, &f->arena, &f->err), 0);
    assert_int_equal(lmw_frame_summaries(&frame, &f->arena, &s, &f->err), 1);
    assert_true(fabs(s->accuracy.value - 0.5) <= 1e-12);
    assert_true(fabs(s->ipj.value - 0.5 / 15) <= 1e-12);
    assert_true(s->excludes_unscored && s->n_unscored == 1 && s->n_record == 3);
    assert_int_equal(by(f, s, "language", &b), 0);
    assert_true(b.n[0] == 2 && fabs(b.accuracy[0].value - 0.5) <= 1e-12);
    s = summaries(f, 1);
    assert_true(fabs(s->accuracy.value - 1.0 / 3) <= 1e-12);
    assert_true(fabs(s->ipj.value - (1.0 / 3) / 30) <= 1e-12);
}

static void perplexity_per_watt_and_joule(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a"), b = run(f, "b");
    add_perplexity(f, a, 1, 10, 2, 1.5, NULL); /* 5 W */
    add_perplexity(f, a, 0, 20, 1, 2.5, NULL); /* 20 W */
    add(f, b, 1, 10, 2, NULL);
    const struct lmw_summary *s = summaries(f, 2);
    assert_true(fabs(s[0].perplexity - 2) <= 1e-12);
    assert_true(fabs(s[0].ppw - 1 / (2 * 12.5)) <= 1e-12);
    assert_true(fabs(s[0].ppj - 1 / (2 * 15.0)) <= 1e-12);
    assert_true(isnan(s[1].perplexity) && isnan(s[1].ppw) && isnan(s[1].ppj));
}

static void readings_that_are_missing(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a"), b = run(f, "b");
    add(f, a, 1, 10, 2, NULL);
    add(f, a, NAN, -1, 2, NULL); /* neither scored nor metered */
    add(f, b, 1, -1, 2, NULL);
    const struct lmw_summary *s = summaries(f, 2);
    assert_int_equal(s[0].n_record, 2);
    assert_int_equal(s[0].n_valid, 1);
    assert_int_equal(s[0].n_unscored, 1);
    assert_true(fabs(s[0].accuracy.value - 0.5) <= 1e-12); /* unscored counts as wrong */
    assert_true(fabs(s[0].ipj.value - 0.1) <= 1e-12);      /* over the record with joules */
    assert_true(isnan(s[1].ipj.value) && isnan(s[1].energy_j.value) && isnan(s[1].ipw.lower));
    assert_true(s[0].pareto && !s[1].pareto);
}

static void run_without_scores(void **state)
{
    struct fixture *f = *state;
    struct lmw_summary *s;
    struct lmw_breakdown b;
    int64_t a = run(f, "a");
    add(f, a, NAN, 10, 2, "{\"language\": \"de\"}");
    add(f, a, NAN, 20, 2, "{\"language\": \"en\"}");
    assert_int_equal(lmw_insight_summaries(f->store, NULL, 0, &f->arena, &s, &f->err), 1);
    assert_true(isnan(s->accuracy.value) && isnan(s->ipw.value) && isnan(s->ipj.value));
    assert_true(fabs(s->energy_j.value - 15) <= 1e-12);
    assert_false(s->pareto);
    assert_int_equal(by(f, s, "language", &b), 0);
    assert_int_equal(b.n_value, 2);
    assert_true(isnan(b.accuracy[0].value));
}

static void bootstrap_covers_and_repeats(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a");
    for (int i = 0; i < 200; i++)
        add(f, a, i % 4 != 0, 10 + i % 7, 2, NULL);
    struct lmw_interval first = summaries(f, 1)->ipj, again = summaries(f, 1)->ipj;
    assert_memory_equal(&first, &again, sizeof first);
    /* sd of the mean joules is 2 / sqrt(200) = 0.14 of 13, of accuracy 0.031 of 0.75: the ratio's
     * relative standard error is about 0.042, its 95 % interval +-8 %. */
    double half = (first.upper - first.lower) / 2 / first.value;
    assert_true(half > 0.06 && half < 0.11);
    assert_true(first.lower < first.value && first.value < first.upper);
}

static void pareto_front(void **state)
{
    struct lmw_summary rows[] = {
        {.run.name = "best",
         .figure[LMW_FIG_ACCURACY].value = 0.9,
         .figure[LMW_FIG_ENERGY].value = 5},
        {.run.name = "cheap",
         .figure[LMW_FIG_ACCURACY].value = 0.8,
         .figure[LMW_FIG_ENERGY].value = 2},
        {.run.name = "worse",
         .figure[LMW_FIG_ACCURACY].value = 0.8,
         .figure[LMW_FIG_ENERGY].value = 3},
        {.run.name = "twin",
         .figure[LMW_FIG_ACCURACY].value = 0.9,
         .figure[LMW_FIG_ENERGY].value = 5},
        {.run.name = "unknown",
         .figure[LMW_FIG_ACCURACY].value = 1,
         .figure[LMW_FIG_ENERGY].value = NAN},
    };
    lmw_insight_pareto(rows, 5);
    assert_true(rows[0].pareto && rows[1].pareto && rows[3].pareto);
    assert_false(rows[2].pareto || rows[4].pareto);
    assert_string_equal(rows[2].dominated_by, "cheap");

    /* One question beside rows of several: neither beats nor is beaten, nor on the front. */
    rows[0].n_question = 1;
    rows[1].n_question = rows[2].n_question = rows[3].n_question = 30;
    lmw_insight_pareto(rows, 4);
    assert_true(!rows[0].pareto && rows[3].pareto);
    rows[3].figure[LMW_FIG_ENERGY].value = 6; /* dearer than the one question */
    lmw_insight_pareto(rows, 4);
    assert_true(rows[3].pareto && !rows[3].dominated_by);
    assert_true(lmw_is_anecdote(rows, 4, 0) && !lmw_is_anecdote(rows, 1, 0));
    lmw_insight_pareto(rows, 1); /* alone with its like */
    assert_true(rows[0].pareto);

    /* Other questions, or other rails, are in no order with these. */
    rows[1].workload = "others";
    rows[2].basis = "rapl:package-0";
    lmw_insight_pareto(rows, 4);
    assert_true(rows[1].pareto && rows[2].pareto);
    rows[2].workload = "others";
    rows[1].basis = "rapl:package-0";
    lmw_insight_pareto(rows, 4);
    assert_true(rows[1].pareto && !rows[2].pareto);
}

static void breakdown_by_an_extra_field(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a");
    add(f, a, 1, 1, 1, "{\"seen\":true}");
    add(f, a, 0, 1, 1, "{\"seen\":true}");
    add(f, a, 1, 1, 1, "{\"seen\":false}");
    add(f, a, 1, 1, 1, NULL);
    struct lmw_summary *rows = summaries(f, 1);
    struct lmw_breakdown b;
    assert_int_equal(by(f, rows, "seen", &b), 0);
    assert_int_equal(b.n_value, 3);
    assert_string_equal(b.value[0], "true");
    assert_int_equal(b.n[0], 2);
    assert_true(fabs(b.accuracy[0].value - 0.5) <= 1e-12);
    assert_string_equal(b.value[2], "(none)");
    assert_int_equal(by(f, rows, "nobody", &b), 0);
    assert_int_equal(b.n_value, 0);

    /* several at once, columns among them: each as it is alone */
    static const char *const fields[] = {"nobody", "model", "seen"};
    struct lmw_breakdown all[3];
    assert_int_equal(lmw_insight_breakdowns(f->store, rows, 1, fields, 3, &f->arena, all, &f->err),
                     0);
    assert_int_equal(all[0].n_value, 0);
    assert_int_equal(all[1].n_value, 1);
    assert_string_equal(all[1].value[0], "m");
    assert_true(all[1].n[0] == 4 && fabs(all[1].accuracy[0].value - 0.75) <= 1e-12);
    assert_true(all[2].n_value == 3 && all[2].n[0] == 2);
}

/* As everywhere, the trials of an interval are questions: 100 answers to 4 of them are 4. */
static void breakdown_of_repeats(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"1", "2", "3", "4"};
    int64_t a = run(f, "a");
    double lower, upper;
    for (int i = 0; i < 100; i++) {
        struct lmw_record r = answer(ids[i % 4], i % 4 < 2);
        r.repeat = i / 4;
        r.extra = "{\"language\":\"de\"}";
        put(f, a, &r);
    }
    struct lmw_breakdown b;
    assert_int_equal(by(f, summaries(f, 1), "language", &b), 0);
    lmw_wilson(2, 4, 1.96, &lower, &upper);
    assert_int_equal(b.n[0], 100);
    assert_true(fabs(b.accuracy[0].lower - lower) <= 1e-12);
    assert_true(fabs(b.accuracy[0].upper - upper) <= 1e-12);
}

/* Each cell has its own repeats, whatever the other questions of the run have: four questions
 * asked once are four trials, two asked 50 times are two, and one asked 3 times beside one asked
 * once are 16 / 10. The same id in two workloads is two questions. */
static void breakdown_of_uneven_repeats(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *id, *workload, *language;
        int n;
    } q[] = {{"1", "w", "de", 1},  {"2", "w", "de", 1},  {"3", "w", "de", 1}, {"3", "v", "de", 1},
             {"5", "w", "en", 50}, {"6", "w", "en", 50}, {"7", "w", "fr", 3}, {"8", "w", "fr", 1}};
    static const double trials[] = {4, 2, 1.6};
    int64_t a = run(f, "a");
    for (int i = 0; i < 8; i++) {
        struct lmw_record r = answer(q[i].id, i % 2);
        char extra[32];
        snprintf(extra, sizeof extra, "{\"language\":\"%s\"}", q[i].language);
        r.workload = q[i].workload;
        r.extra = extra;
        for (int k = 0; k < q[i].n; k++) {
            r.repeat = 100 * i + k;
            put(f, a, &r);
        }
    }
    struct lmw_breakdown b;
    assert_int_equal(by(f, summaries(f, 1), "language", &b), 0);
    for (int i = 0; i < 3; i++) {
        double lower, upper;
        lmw_wilson(b.accuracy[i].value * trials[i], trials[i], 1.96, &lower, &upper);
        assert_near(b.accuracy[i].lower, lower, 1e-12);
        assert_near(b.accuracy[i].upper, upper, 1e-12);
    }
}

/* A failed query is wrong whatever score stands beside it; an error without a word is none. */
static void failed_whatever_the_score(void **state)
{
    struct fixture *f = *state;
    int64_t a = run(f, "a");
    struct lmw_record bad = answer("1", 1), good = answer("2", 1);
    bad.error = "no answer";
    good.error = "";
    put(f, a, &bad);
    put(f, a, &good);
    const struct lmw_summary *s = summaries(f, 1);
    assert_int_equal(s->n_failed, 1);
    assert_true(fabs(s->accuracy.value - 0.5) <= 1e-12);
}

/* By joules where they are known, among rows of one workload and its rails alone. */
static void ranked_within_a_workload(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *run, *workload;
        double score, joules;
        int rank, place;
    } rows_of[] = {{"a", "w", 1, 20, 3, 2},
                   {"x", "v", 0, -1, 2, 4},
                   {"b", "w", 1, 10, 1, 0},
                   {"c", "w", 0.75, 10, 2, 1},
                   {"y", "v", 0.5, -1, 1, 3}};
    for (int i = 0; i < 5; i++) {
        struct lmw_record r = answer("q", rows_of[i].score);
        r.workload = rows_of[i].workload;
        if (rows_of[i].joules > 0)
            metered(&r, rows_of[i].joules, 1);
        put(f, run(f, rows_of[i].run), &r);
    }
    struct lmw_summary *rows = summaries(f, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rows[i].rank, rows_of[i].rank);
        assert_int_equal(rows[i].place, rows_of[i].place);
        assert_int_equal(rows[i].ranked_by,
                         rows_of[i].joules > 0 ? LMW_FIG_IPJ : LMW_FIG_ACCURACY);
    }
}

/* A run over several data sets is not called by the first of them. */
static void workloads_of_a_run(void **state)
{
    struct fixture *f = *state;
    static const char *const workloads[] = {"MMLU", "GPQA", "MMLU", NULL};
    static const char *const ids[] = {"1", "2", "3", "4"};
    int64_t a = run(f, "a");
    for (int i = 0; i < 4; i++) {
        struct lmw_record r = answer(ids[i], 1);
        r.workload = workloads[i];
        put(f, a, &r);
    }
    assert_string_equal(summaries(f, 1)->workload, "MMLU, GPQA");
}

static void unknown_run_lists_the_known(void **state)
{
    struct fixture *f = *state;
    struct lmw_summary *rows;
    const char *name = "nope";
    run(f, "here");
    assert_true(lmw_insight_summaries(f->store, &name, 1, &f->arena, &rows, &f->err) < 0);
    assert_non_null(strstr(f->err.msg, "nope"));
    assert_non_null(strstr(f->err.msg, "here"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ratios_of_means, setup, teardown),
        cmocka_unit_test_setup_teardown(unscored_can_be_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(perplexity_per_watt_and_joule, setup, teardown),
        cmocka_unit_test_setup_teardown(readings_that_are_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(run_without_scores, setup, teardown),
        cmocka_unit_test_setup_teardown(bootstrap_covers_and_repeats, setup, teardown),
        cmocka_unit_test(pareto_front),
        cmocka_unit_test_setup_teardown(breakdown_by_an_extra_field, setup, teardown),
        cmocka_unit_test_setup_teardown(breakdown_of_repeats, setup, teardown),
        cmocka_unit_test_setup_teardown(breakdown_of_uneven_repeats, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_whatever_the_score, setup, teardown),
        cmocka_unit_test_setup_teardown(ranked_within_a_workload, setup, teardown),
        cmocka_unit_test_setup_teardown(workloads_of_a_run, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_run_lists_the_known, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
