/* kill -9 at random moments of a study: nothing recorded is lost, nothing counted twice, the store
 * stays whole, and every study ends with the table it would have had.
 *
 * LMW_KILLS says how many times (default 20); bench/kill.sh asks for 1,000. A study is killed
 * again and again until it finishes between two kills; then the next begins, by turns with one and
 * with several in flight, with and without a meter. */
#include "study_server.h"

enum { N_QUERY = 60, N_REPEAT = 2 };

/* What a study tells while it runs. */
static int tell_done(void *arg, const struct lmw_study_progress *p)
{
    return p->phase == LMW_PHASE_MEASURE &&
           write(*(int *)arg, &p->n_done, sizeof p->n_done) != sizeof p->n_done;
}

static _Noreturn void run_child(const struct one *o, int fd)
{
    struct lmw_study asked = o->study;
    struct lmw_study_run run;
    struct lmw_store *s;
    struct lmw_err err = {0};
    asked.runs = &o->run;
    asked.on_progress = tell_done;
    asked.arg = &fd;
    start_ticker();
    int rc = lmw_store_open(&s, db, &err);
    if (rc == LMW_OK)
        rc = lmw_study_run(s, &asked, &run, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.msg);
    _exit(rc < 0 ? 1 : run.finished ? 0 : 2);
}

/* Runs it and kills it after so long; *told is how many records it had last said to be there.
 * False when it had finished by then. */
static bool kill_after(const struct one *o, int64_t after_ns, int64_t *told)
{
    int fds[2], status;
    int64_t n;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        run_child(o, fds[1]);
    }
    close(fds[1]);
    int64_t until_ns = lmw_now_ns() + after_ns;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (lmw_now_ns() >= until_ns)
            kill(child, SIGKILL);
        lmw_sleep_until_ns(lmw_now_ns() + 1000000);
    }
    while (read(fds[0], &n, sizeof n) == sizeof n)
        *told = n;
    close(fds[0]);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

/* One value of a query over the store; no table yet: 0. */
static int64_t ask_store(const char *sql)
{
    sqlite3 *raw;
    sqlite3_stmt *st = NULL;
    int64_t x = 0;
    assert_int_equal(sqlite3_open(db, &raw), SQLITE_OK);
    if (sqlite3_prepare_v2(raw, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        x = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(raw);
    return x;
}

static void check_whole(int64_t told, int64_t *before)
{
    struct lmw_store *s = open_store();
    assert_int_equal(lmw_store_check(s, NULL), LMW_OK);
    lmw_store_close(s);
    int64_t n = ask_store("SELECT count(*) FROM records");
    assert_true(n >= told && n >= *before && n <= N_QUERY * N_REPEAT);
    *before = n;
}

/* What a study ends with, whoever was killed on the way. */
static void check_table(void)
{
    const int64_t all = N_QUERY * N_REPEAT;
    assert_int_equal(ask_store("SELECT count(*) FROM runs WHERE finished"), 1);
    assert_int_equal(ask_store("SELECT count(*) FROM records"), all);
    assert_int_equal(ask_store("SELECT count(DISTINCT query_id || '/' || repeat) FROM records"),
                     all);
    assert_int_equal(ask_store("SELECT count(*) FROM records WHERE answer = 'right' AND score = 1"
                               " AND error IS NULL AND latency_ns > 0"),
                     all);
    assert_int_equal(ask_store("SELECT count(*) FROM records WHERE energy_valid = 1"
                               " OR energy_reason NOT LIKE 'pending%'"),
                     all);
    assert_int_equal(ask_store("SELECT count(*) FROM records WHERE energy_valid = 0"
                               " AND energy_uj IS NOT NULL"),
                     0);
}

static struct one next_study(int i)
{
    struct one o = loaded_run(N_QUERY);
    remove(db);
    fake.answer_ns = 1000000;
    fake.idle_uj = 100;
    o.run.n_repeat = N_REPEAT;
    o.run.backend_opts.n_in_flight = i % 2 ? IN_FLIGHT : 1;
    o.study.meter.sources = i % 4 < 2 ? "rapl" : "none";
    return o;
}

static void test_killed_at_random(void **state)
{
    const char *asked = getenv("LMW_KILLS");
    int n_kill = asked ? atoi(asked) : 20, n = 0, n_study = 0;
    int64_t kept = 0;
    struct lmw_rng rng;
    lmw_rng_init(&rng, asked ? 1 : (uint64_t)getpid());
    while (n < n_kill) {
        struct one o = next_study(n_study++);
        int64_t told = 0, before = 0;
        while (
            kill_after(&o, n < n_kill ? lmw_rng_below(&rng, 500000000) : INT64_MAX / 2, &told)) {
            check_whole(told, &before);
            kept += before;
            n++;
        }
        check_table();
    }
    print_message("%d kills of %d studies, %.0f records there at a kill\n", n, n_study,
                  (double)kept / n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_at_random, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
