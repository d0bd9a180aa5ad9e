/* Several queries in flight, through the study's door: closed and open loop, whose joules they
 * are, stopping and being killed with some on their way. */
#include "study_server.h"

/* --- whose joules --- */

static struct {
    double sum_uj;
    int n_shared, n_valid, n_invalid;
    int64_t tokens[64], uj[64], ns[64], wait_ns[64], start_ns[64];
} seen;

static void add_up(const struct lmw_record *r, int i)
{
    assert_string_not_equal(r->energy_reason ? r->energy_reason : "", "pending");
    seen.n_valid += r->energy_valid == 1;
    seen.n_invalid += r->energy_valid == 0;
    if (r->energy_valid == 1) {
        seen.sum_uj += (double)r->energy_uj;
        seen.n_shared += strcmp(r->energy_method, "shared") == 0;
        assert_true(r->energy_lower_uj <= r->energy_uj && r->energy_uj <= r->energy_upper_uj);
        assert_true(r->energy_lower_uj >= 0);
        assert_true(llabs(r->energy_prefill_uj + r->energy_decode_uj - r->energy_uj) <= 16);
    } else {
        assert_int_equal(r->energy_uj, LMW_NULL);
    }
    if (i < 64) {
        seen.uj[i] = r->energy_uj;
        seen.ns[i] = r->latency_ns;
        seen.start_ns[i] = r->t_start_ns;
        seen.tokens[i] = r->completion_tokens;
        const char *wait = r->extra ? strstr(r->extra, "\"wait_ns\":") : NULL;
        seen.wait_ns[i] = wait ? strtoll(wait + 10, NULL, 10) : LMW_NULL;
    }
}

static int look(void)
{
    memset(&seen, 0, sizeof seen);
    return each_record(add_up);
}

/* The device draws 5 W however many run. What it used from the first query's start to the last
 * one's end is known from the counter itself; the shares sum to it, but for what one tick of the
 * counter and a late read leave open at either end. */
static void test_shares_sum_to_the_device(void **state)
{
    struct one o = loaded_run(60);
    struct lmw_study_run run;
    assert_done(&o, &run);
    assert_int_equal(server.most, IN_FLIGHT);
    assert_int_equal(look(), 60);
    assert_int_equal(seen.n_valid, 60);
    assert_true(seen.n_shared >= 59); /* the last one may be alone */
    double device_uj = (double)(server.end_uj - server.begin_uj);
    print_message("device %.0f uJ, shares %.0f uJ\n", device_uj, seen.sum_uj);
    assert_true(fabs(seen.sum_uj - device_uj) < 8 * POWER_UJ_PER_MS + 0.01 * device_uj);
}

static void test_shares_where_tokens_are_not_known(void **state)
{
    struct one o = loaded_run(20);
    struct lmw_study_run run;
    server.no_tokens = true;
    assert_done(&o, &run);
    assert_int_equal(look(), 20);
    assert_int_equal(seen.n_valid, 20);
    double device_uj = (double)(server.end_uj - server.begin_uj);
    assert_true(fabs(seen.sum_uj - device_uj) < 8 * POWER_UJ_PER_MS + 0.01 * device_uj);
}

static void test_one_in_flight_shares_nothing(void **state)
{
    struct one o = loaded_run(10);
    struct lmw_study_run run;
    o.run.backend_opts.n_in_flight = 1;
    assert_done(&o, &run);
    assert_int_equal(server.most, 1);
    assert_int_equal(look(), 10);
    assert_int_equal(seen.n_valid, 10);
    assert_int_equal(seen.n_shared, 0);
}

/* --- what goes wrong on the way --- */

static void check_refused(const struct lmw_record *r, int i)
{
    if (r->error) {
        assert_string_equal(r->error, "no connection");
        assert_null(r->answer);
    }
    n_invalid += r->error != NULL;
}

static void test_one_that_cannot_be_sent(void **state)
{
    struct one o = loaded_run(12);
    struct lmw_study_run run;
    server.refuse_at = 5;
    assert_done(&o, &run);
    assert_int_equal(run.n_error, 1);
    n_invalid = 0;
    assert_int_equal(each_record(check_refused), 12);
    assert_int_equal(n_invalid, 1);
}

static void test_stopping_waits_for_what_is_in_flight(void **state)
{
    struct one o = loaded_run(40);
    struct lmw_study_run run;
    struct lmw_err err;
    int left = 6;
    o.study.on_progress = stop_after;
    o.study.arg = &left;
    assert_int_equal(study(&o, &run, &err), LMW_ECANCELLED);
    assert_int_equal(server.n_flying, 0);
    assert_int_equal(look(), server.n_sent); /* none was sent in vain */
    assert_true(run.n_done == server.n_sent && run.n_done < 40);
    assert_int_equal(seen.n_valid, run.n_done);
    o.study.on_progress = NULL;
    assert_done(&o, &run);
    assert_int_equal(look(), 40);
}

static void test_killed_with_some_in_flight(void **state)
{
    struct one o = loaded_run(60);
    struct lmw_study_run run;
    fake.answer_ns = 60000000;
    server.kill_at = 50;
    kill_a_study(&o, 0);
    int there = each_record(NULL);
    assert_in_range(there, 46, 49);
    server.kill_at = 0;
    assert_done(&o, &run);
    assert_int_equal(run.n_there, there);
    assert_int_equal(look(), 60);
    assert_int_equal(seen.n_valid + seen.n_invalid, 60);
    assert_true(seen.n_valid >= 11 + 4); /* what is done now, and the first of the killed */
}

/* Samples were stored and energies not: who ran beside whom is in the records, so that the shares
 * come out as they did live. */
static void test_shares_from_stored_samples(void **state)
{
    struct one o = loaded_run(60);
    struct lmw_study_run run;
    int64_t live[64];
    sqlite3 *raw;
    fake.answer_ns = 60000000;
    assert_done(&o, &run);
    assert_int_equal(look(), 60);
    memcpy(live, seen.uj, sizeof live);
    assert_int_equal(sqlite3_open(db, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw,
                                  "UPDATE records SET energy_valid = 0, energy_uj = NULL,"
                                  " energy_method = NULL, energy_reason = 'pending'"
                                  " WHERE id > 20 AND id <= 40; UPDATE runs SET finished = 0",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(raw);
    assert_done(&o, &run);
    assert_int_equal(look(), 60);
    assert_int_equal(seen.n_valid, 60);
    double then_uj = 0, now_uj = 0;
    for (int i = 0; i < 60; i++) {
        then_uj += (double)live[i];
        now_uj += (double)seen.uj[i];
        assert_true(llabs(seen.uj[i] - live[i]) <= live[i] / 4 + 4 * POWER_UJ_PER_MS);
    }
    assert_true(fabs(now_uj - then_uj) <= then_uj / 50 + 4 * POWER_UJ_PER_MS);
}

/* --- open loop --- */

static void test_open_loop_waits_count(void **state)
{
    struct one o = loaded_run(30);
    struct lmw_study_run run;
    int64_t longest = 0;
    o.run.backend_opts.n_in_flight = 1; /* which is not enough */
    o.run.rate_hz = 1000;
    o.run.is_constant = true;
    fake.answer_ns = 2000000;
    assert_done(&o, &run);
    assert_int_equal(look(), 30);
    for (int i = 0; i < 30; i++) {
        assert_int_not_equal(seen.wait_ns[i], LMW_NULL);
        assert_true(seen.wait_ns[i] >= 0 && seen.ns[i] >= seen.wait_ns[i] + fake.answer_ns);
        assert_true(llabs(seen.start_ns[i] - seen.start_ns[0] - i * 1000000LL) <= 1);
        longest = seen.wait_ns[i] > longest ? seen.wait_ns[i] : longest;
    }
    assert_true(longest > 20000000); /* the queue grew */
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* When the 30 queries of a run of its own were due, after the first. */
static void arrivals(struct one *o, int64_t due_ns[30])
{
    struct lmw_study_run run;
    remove(db);
    assert_done(o, &run);
    assert_int_equal(look(), 30);
    qsort(seen.start_ns, 30, sizeof *seen.start_ns, by_time);
    for (int i = 0; i < 30; i++)
        due_ns[i] = seen.start_ns[i] - seen.start_ns[0];
}

static void test_open_loop_arrivals_are_by_the_seed(void **state)
{
    struct one o = loaded_run(30);
    int64_t a[30], b[30], c[30];
    o.run.backend_opts.n_in_flight = 0; /* as many as it takes */
    o.run.rate_hz = 500;
    arrivals(&o, a);
    arrivals(&o, b);
    o.run.seed++;
    arrivals(&o, c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    assert_true(a[29] > 5000000 && a[29] < 500000000); /* about 58 ms */
}

static void test_loads_that_make_no_sense(void **state)
{
    struct one o = loaded_run(3);
    struct lmw_study_run run;
    struct lmw_err err;
    o.run.pause_s = 0.1;
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    o.run.pause_s = 0;
    o.run.perplexity = true;
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    o.run.perplexity = false;
    o.run.rate_hz = -1;
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    o.run.rate_hz = 0;
    o.run.backend = &fake_ops;
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "one query at a time"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shares_sum_to_the_device),
        TEST(test_shares_where_tokens_are_not_known),
        TEST(test_one_in_flight_shares_nothing),
        TEST(test_one_that_cannot_be_sent),
        TEST(test_stopping_waits_for_what_is_in_flight),
        TEST(test_killed_with_some_in_flight),
        TEST(test_shares_from_stored_samples),
        TEST(test_open_loop_waits_count),
        TEST(test_open_loop_arrivals_are_by_the_seed),
        TEST(test_loads_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
