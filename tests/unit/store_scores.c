/* Judgements through the store's second door: what was recorded is never lost, what is shown is
 * one judgement as a whole, and an interrupted one goes on. */
#include "store/scores.h"

#include <math.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>

#include "store_scratch.h"

static void add_record(struct lmw_store *s, int64_t run, const char *id, double score)
{
    struct lmw_record r;
    struct lmw_err err = {0};
    lmw_record_clear(&r);
    r.query_id = id;
    r.prompt = "what?";
    r.answer = id;
    r.score = score;
    r.scorer = "exact";
    r.score_reason = score == 1 ? NULL : "differs";
    if (lmw_store_add(s, run, &r, &err) < 0)
        fail_msg("%s", err.msg);
}

/* Run "r" with three records: right, wrong, unscored. */
static struct lmw_store *filled(int64_t *run)
{
    struct lmw_store *s = open_store();
    struct lmw_run r = {.name = "r", .settings_hash = "0123456789abcdef", .settings = "{}"};
    bool there;
    assert_int_equal(lmw_store_begin_run(s, &r, &there, NULL), LMW_OK);
    *run = r.id;
    add_record(s, r.id, "q1", 1);
    add_record(s, r.id, "q2", 0);
    add_record(s, r.id, "q3", (double)NAN);
    return s;
}

static struct lmw_judgement begin(struct lmw_store *s, int64_t run, const char *name,
                                  bool *resumed)
{
    struct lmw_err err = {0};
    struct lmw_judgement j = {.run_id = run, .name = name, .settings = "{\"a\":1}", .date = "now"};
    if (lmw_judgement_begin(s, &j, resumed, &err) < 0)
        fail_msg("%s", err.msg);
    return j;
}

static int count(void *arg, const struct lmw_answered *a, struct lmw_err *err)
{
    int64_t *ids = arg;
    assert_string_equal(a->prompt, "what?");
    assert_string_equal(a->answer, a->query_id);
    ids[ids[0] + 1] = a->record_id;
    ids[0]++;
    return LMW_OK;
}

static void add_verdict(struct lmw_store *s, int64_t judgement, int64_t record, double score)
{
    struct lmw_err err = {0};
    struct lmw_verdict v = {.record_id = record,
                            .score = score,
                            .reason = "because",
                            .attempts = 1,
                            .prompt_tokens = 10,
                            .completion_tokens = 2,
                            .latency_ns = LMW_NULL,
                            .cost_usd = 0.5,
                            .extra = "{\"disagree\":true}"};
    if (lmw_judgement_add(s, judgement, &v, &err) < 0)
        fail_msg("%s", err.msg);
}

/* The shown verdicts: "1 0 -" of scorer NAME. */
static void shows(struct lmw_store *s, int64_t run, const char *scorer, const char *scores)
{
    struct lmw_records *it;
    struct lmw_record r;
    char got[32] = "";
    assert_int_equal(lmw_records_open(&it, s, run, NULL), LMW_OK);
    while (lmw_records_next(it, &r, NULL) == 1) {
        snprintf(got + strlen(got), 4, "%s", isnan(r.score) ? "-" : r.score == 1 ? "1" : "0");
        assert_string_equal(r.scorer, scorer);
    }
    lmw_records_close(it);
    assert_string_equal(got, scores);
}

/* One number of the file, seen from outside. */
static int64_t ask(const char *sql)
{
    sqlite3 *raw;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(db, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(raw, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(raw);
    return v;
}

static void test_nothing_is_lost(void **state)
{
    int64_t run, ids[4] = {0};
    bool resumed;
    struct lmw_judgement_sum sum;
    struct lmw_store *s = filled(&run);
    struct lmw_judgement j = begin(s, run, "choice", &resumed);
    assert_false(resumed);
    assert_int_equal(lmw_judgement_records(s, run, count, ids, NULL), LMW_OK);
    assert_int_equal(ids[0], 3);
    add_verdict(s, j.id, ids[1], 0);
    add_verdict(s, j.id, ids[2], 1);
    shows(s, run, "exact", "10-"); /* not before all is there */
    add_verdict(s, j.id, ids[3], (double)NAN);
    j.is_done = true;
    assert_int_equal(lmw_judgement_apply(s, &j, NULL), LMW_OK);
    shows(s, run, "choice", "01-");

    assert_int_equal(lmw_judgement_summary(s, j.id, &sum, NULL), LMW_OK);
    assert_true(sum.n == 3 && sum.n_scored == 2 && sum.mean == 0.5);
    assert_true(sum.prompt_tokens == 30 && sum.completion_tokens == 6 && sum.cost_usd == 1.5);
    assert_true(sum.n_pair == 3 && sum.n_disagree == 3);

    /* The next one keeps what the first kept. */
    j = begin(s, run, "json", &resumed);
    for (int i = 1; i <= 3; i++)
        add_verdict(s, j.id, ids[i], 1);
    j.is_done = true;
    assert_int_equal(lmw_judgement_apply(s, &j, NULL), LMW_OK);
    shows(s, run, "json", "111");
    lmw_store_close(s);
    assert_int_equal(ask("SELECT count(*) FROM judgements"), 3);
    assert_int_equal(ask("SELECT count(*) FROM scores WHERE scorer = 'exact' AND judgement_id ="
                         " (SELECT id FROM judgements WHERE name = '" LMW_AS_MEASURED "')"),
                     3);
    assert_int_equal(ask("SELECT sum(score) = 1 AND count(score) = 2 FROM scores"
                         " WHERE scorer = 'exact'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM scores WHERE scorer = 'choice'"), 3);
}

static void test_records_that_come_later(void **state)
{
    int64_t run, ids[5] = {0};
    bool resumed;
    struct lmw_store *s = filled(&run);
    struct lmw_judgement j = begin(s, run, "choice", &resumed);
    lmw_judgement_records(s, run, count, ids, NULL);
    for (int i = 1; i <= 3; i++)
        add_verdict(s, j.id, ids[i], 1);
    j.is_done = true;
    assert_int_equal(lmw_judgement_apply(s, &j, NULL), LMW_OK);
    add_record(s, run, "q4", 0);
    ids[0] = 0;
    lmw_judgement_records(s, run, count, ids, NULL);
    j = begin(s, run, "choice", &resumed);
    assert_false(resumed); /* the first one is done */
    for (int i = 1; i <= 4; i++)
        add_verdict(s, j.id, ids[i], 1);
    assert_int_equal(lmw_judgement_apply(s, &j, NULL), LMW_OK);
    shows(s, run, "choice", "1111");
    lmw_store_close(s);
    assert_int_equal(ask("SELECT count(*) FROM scores WHERE scorer = 'exact'"), 4);
}

static void test_an_interrupted_one_goes_on(void **state)
{
    int64_t run, ids[4] = {0};
    bool resumed;
    struct lmw_store *s = filled(&run);
    struct lmw_judgement j = begin(s, run, "judge:m", &resumed), again;
    lmw_judgement_records(s, run, count, ids, NULL);
    add_verdict(s, j.id, ids[2], 1);
    assert_int_equal(lmw_judgement_add_energy(s, j.id, 5, "rail", NULL), LMW_OK);
    lmw_store_close(s);

    s = open_store();
    assert_int_equal(lmw_judgement_run(s, "r", &run, NULL), LMW_OK);
    again = begin(s, run, "judge:m", &resumed);
    assert_true(resumed && again.id == j.id);
    assert_true(lmw_judgement_has(s, j.id, ids[2]));
    assert_false(lmw_judgement_has(s, j.id, ids[1]));
    assert_int_equal(lmw_judgement_add_energy(s, j.id, 6, "rail", NULL), LMW_OK);
    struct lmw_verdict twice = {.record_id = ids[2]};
    assert_true(lmw_judgement_add(s, j.id, &twice, NULL) < 0);
    begin(s, run, "judge:n", &resumed);
    assert_false(resumed);
    lmw_store_close(s);
    assert_int_equal(ask("SELECT energy_uj FROM judgements WHERE name = 'judge:m'"), 11);
}

static void test_another_run(void **state)
{
    int64_t run, other;
    struct lmw_err err = {0};
    struct lmw_buf answer = {0};
    struct lmw_store *s = filled(&run);
    struct lmw_run r = {.name = "o", .settings_hash = "0123456789abcdef", .settings = "{}"};
    bool there;
    assert_int_equal(lmw_store_begin_run(s, &r, &there, NULL), LMW_OK);
    add_record(s, r.id, "q2", 1);
    assert_int_equal(lmw_judgement_run(s, "o", &other, NULL), LMW_OK);
    struct lmw_answered a = {.query_id = "q2"};
    assert_int_equal(lmw_judgement_other(s, other, &a, &answer, NULL), 1);
    assert_string_equal(answer.ptr, "q2");
    a.query_id = "q1";
    assert_int_equal(lmw_judgement_other(s, other, &a, &answer, NULL), 0);
    lmw_buf_free(&answer);
    assert_int_equal(lmw_judgement_run(s, "nobody", &other, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "r, o"));
    lmw_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_lost, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_records_that_come_later, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_an_interrupted_one_goes_on, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_another_run, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
