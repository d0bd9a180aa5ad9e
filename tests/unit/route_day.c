/* A day of traffic: queues against what theory and a pencil say, traces and their faults, lengths,
 * batches, tries; and that the totals of a long day are those of the simulation. */
#include "route/route.h"

#include "route_scratch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 4 };

struct fixture {
    struct scratch scratch;
    struct lmw_err err;
    uint8_t right[2 * N];
    double joules[2 * N], seconds[2 * N], asked[N], told[N];
    struct lmw_cells c;
    struct lmw_day_setup d;
};

/* One local model, right on the first two of four questions; it takes 2 s and 1 J, the cloud 1 s
 * and 10 J and is right on all. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    static const char *const model[] = {"local", "cloud"};
    scratch_open(&f->scratch);
    for (int q = 0; q < N; q++) {
        f->right[q] = q < 2;
        f->right[N + q] = 1;
        f->joules[q] = 1;
        f->joules[N + q] = 10;
        f->seconds[q] = 2;
        f->seconds[N + q] = 1;
        f->asked[q] = f->told[q] = q < 2 ? 10 : 1000;
    }
    f->c = (struct lmw_cells){.n_local = 1,
                              .n = N,
                              .model = model,
                              .right = f->right,
                              .amount = {[LMW_JOULES] = f->joules, [LMW_SECONDS] = f->seconds}};
    f->d = (struct lmw_day_setup){.traffic = {.rate = 1, .hours = 1, .burstiness = 1, .seed = 1},
                                  .asked = f->asked,
                                  .told = f->told,
                                  .slots = 1,
                                  .patience_s = 1e9,
                                  .cloud_slots = 1,
                                  .batch = {.of_records = 1, .at = 1},
                                  .n_thread = 1};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    scratch_close(&f->scratch);
    free(f);
    return 0;
}

static void trace(struct fixture *f, const char *text)
{
    FILE *out = fopen(f->scratch.path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
    f->d.traffic.trace = f->scratch.path;
}

static struct lmw_day day(struct fixture *f, struct lmw_strategy s)
{
    struct lmw_day out;
    if (lmw_day_run(&f->c, &f->d, &s, 1, &out, f->scratch.arena, &f->err) < 0)
        fail_msg("%s", f->err.msg);
    return out;
}

static const struct lmw_strategy local = {.kind = LMW_ALWAYS, .model = 0},
                                 cloud = {.kind = LMW_ALWAYS, .model = 1},
                                 oracle = {.kind = LMW_ORACLE};

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) {
        print_error("%.12g is not %.12g within %g\n", got, want, tolerance);
        fail();
    }
}

static void a_queue_by_hand(void **state)
{
    struct fixture *f = *state;
    trace(f, "timestamp\n5\n5\n5\n12\n"); /* times count from the first */
    f->d.machines = 1;
    f->d.idle_w = 3;
    struct lmw_day d = day(f, local);
    assert_int_equal(d.n, 4);
    assert_int_equal(d.n_local, 4);
    assert_near(d.wait.mean, (0 + 2 + 4 + 0) / 4.0, 1e-9);
    assert_near(d.response.mean, (2 + 4 + 6 + 2) / 4.0, 1e-9);
    assert_near(d.end_s, 9, 1e-9);
    assert_near(d.busy, 8.0 / 9, 1e-9);
    assert_near(d.idle_j, 3, 1e-9);
    assert_near(d.total[LMW_JOULES], 4, 1e-9);
    assert_near(d.response.p99, 6, 0.1);
    f->d.machines = 2;
    assert_near(day(f, local).wait.mean, 2.0 / 4, 1e-9);
    f->d.machines = 0;
    assert_near(day(f, local).wait.mean, 0, 0);
    f->d.machines = 1;
    f->d.patience_s = 3; /* the third would wait 4 s */
    d = day(f, local);
    assert_int_equal(d.n_spilled, 1);
    assert_int_equal(d.n_local, 3);
    assert_near(d.cloud_j, 10, 1e-9);
}

/* M/D/1: a mean wait of rho s / (2 (1 - rho)); Pollaczek and Khinchine. */
static void poisson_arrivals_wait_as_theory_says(void **state)
{
    struct fixture *f = *state;
    f->d.traffic.rate = 0.25;
    f->d.traffic.hours = 1000;
    f->d.machines = 1;
    struct lmw_day d = day(f, local);
    assert_near((double)d.n / 900000, 1, 0.005);
    assert_near(d.wait.mean, 0.5 * 2 / (2 * 0.5), 0.02);
    assert_near(d.busy, 0.5, 0.005);
    f->d.traffic.burstiness = 0.25; /* the same rate, in bursts */
    struct lmw_day bursty = day(f, local);
    assert_near((double)bursty.n / 900000, 1, 0.01);
    assert_true(bursty.wait.mean > 2 * d.wait.mean);
    f->d.traffic.burstiness = 4; /* more regular than Poisson */
    struct lmw_day even = day(f, local);
    assert_near((double)even.n / 900000, 1, 0.005);
    assert_true(even.wait.mean < 0.6 * d.wait.mean);
}

/* The totals of 100,000 queries are the simulation's expectations; threads change nothing. */
static void as_the_simulation(void **state)
{
    struct fixture *f = *state;
    const struct lmw_strategy s[] = {
        oracle,
        {.kind = LMW_ROUTER, .p = 0.8},
        {.kind = LMW_ROUTER, .p = 0.8, .semantics = LMW_SYMMETRIC},
        {.kind = LMW_ROUTER, .p = 0.8, .semantics = LMW_CASCADE},
        {.kind = LMW_RANDOM, .p = 0.3},
    };
    enum { S = sizeof s / sizeof *s };
    struct lmw_routed want[S];
    struct lmw_day got[S], again[S];
    f->d.traffic.rate = 100000;
    f->d.traffic.limit = 100000;
    assert_int_equal(lmw_route_simulate(&f->c, s, S, want, f->scratch.arena, &f->err), 0);
    assert_int_equal(lmw_day_run(&f->c, &f->d, s, S, got, f->scratch.arena, &f->err), 0);
    for (int i = 0; i < S; i++) {
        double n = (double)got[i].n;
        assert_int_equal(got[i].n, 100000);
        assert_near((double)got[i].n_local / n, want[i].share_local.value, 0.01);
        assert_near((double)got[i].n_right / n, want[i].accuracy.value, 0.01);
        assert_near(got[i].total[LMW_JOULES] / n / want[i].mean[LMW_JOULES], 1, 0.02);
        assert_near(got[i].wasted_j / n, want[i].wasted_j, 0.01);
        assert_near(got[i].local_j + got[i].cloud_j, got[i].total[LMW_JOULES], 1e-3);
        assert_true(isnan(got[i].total[LMW_USD]));
    }
    f->d.n_thread = 3;
    assert_int_equal(lmw_day_run(&f->c, &f->d, s, S, again, f->scratch.arena, &f->err), 0);
    for (int i = 0; i < S; i++) {
        assert_int_equal(again[i].n_right, got[i].n_right);
        assert_true(again[i].total[LMW_JOULES] == got[i].total[LMW_JOULES]);
    }
}

static void tries_come_first(void **state)
{
    struct fixture *f = *state;
    const int16_t choice[N] = {1, 1, 1, 1};
    trace(f, "t_ns\n0\n1000000000\n");
    f->d.machines = 1;
    struct lmw_day d =
        day(f, (struct lmw_strategy){.kind = LMW_CHOSEN, .choice = choice, .tries_first = true});
    assert_int_equal(d.n, 2);
    assert_int_equal(d.n_local, 0);
    assert_near(d.local_j, 2, 1e-9);
    assert_near(d.cloud_j, 20, 1e-9);
    assert_near(d.wasted_j, 2, 1e-9);
    /* local 0..2 and 2..4 (after 1 s of waiting), the cloud 2..3 and 4..5 */
    assert_near(d.response.mean, (3 + 4) / 2.0, 1e-9);
    assert_near(d.end_s, 5, 1e-9);
    d = day(f, (struct lmw_strategy){.kind = LMW_CHOSEN,
                                     .choice = choice,
                                     .tries_first = true,
                                     .n_again = 1,
                                     .own = {[LMW_SECONDS] = 0.5}});
    assert_near(d.local_j, 4, 1e-9); /* 0..4 and 4..8 */
    assert_near(d.wasted_j, 4, 1e-9);
    assert_near(d.response.mean, (5 + 8) / 2.0 + 0.5, 1e-9);
}

static void batches_in_the_cloud(void **state)
{
    struct fixture *f = *state;
    trace(f, "timestamp\n0\n0\n0\n0\n0\n");
    f->d.cloud_machines = 1;
    f->d.cloud_slots = 4;
    f->d.batch = (struct lmw_batch_curve){
        .batch = {1, 4}, .factor = {1, 0.5}, .n = 2, .of_records = 1, .at = 1};
    struct lmw_day d = day(f, cloud);
    /* 1, 2, 3, 4 in flight, and again 4 when the fifth begins after a second */
    double want = 10 * (1 + 0.75 + (1 - 0.25 * log2(3)) + 0.5 + 0.5);
    assert_near(d.total[LMW_JOULES], want, 1e-9);
    assert_near(d.wait.mean, 1.0 / 5, 1e-9);
    assert_int_equal(d.peak, 4);
    assert_near(d.batch, (1 + 2 + 3 + 4 + 4) / 5.0, 1e-9);
    f->d.batch.of_records = 4; /* those joules were a batch of 4's */
    assert_near(day(f, cloud).total[LMW_JOULES], 2 * want, 1e-9);
    f->d.cloud_machines = 0;
    f->d.batch.at = 4;
    assert_near(day(f, cloud).total[LMW_JOULES], 50, 1e-9);
    f->d.batch.at = f->d.batch.batch[1] = 4096;
    assert_near(day(f, cloud).total[LMW_JOULES], 50 * 0.5 / (1 - 0.5 / 6), 1e-9);
    f->d.batch.at = sqrt(2);
    f->d.batch.of_records = 1;
    d = day(f, cloud);
    assert_near(d.total[LMW_JOULES], 50 * (1 - 0.5 / 24), 1e-9);
    assert_near(d.batch, sqrt(2), 1e-9);
}

/* Short requests become short records, which the local model answers; long ones do not. */
static void lengths_choose_records(void **state)
{
    struct fixture *f = *state;
    trace(f, "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
             "5,ChatGPT,472,180,652,Conversation log\n"
             "45,ChatGPT,1087,2300,3387,Conversation log\n"
             "118,GPT-4,417,276,693,Conversation log\n");
    assert_int_equal(day(f, oracle).n_local, 0);
    trace(f, "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
             "2023-11-16 18:17:03.9799600,5,10\r\n"
             "2023-11-16 18:17:04.0319600,\"14\",7\r\n"
             "2023-11-17 00:17:04,9,9\r\n");
    struct lmw_day d = day(f, oracle);
    assert_int_equal(d.n_local, 3);
    assert_near(d.end_s, 6 * 3600 + 0.02004 + 2, 1e-5);
    trace(f, "t_s,prompt_tokens,completion_tokens\n0,0,0\n0,0,0\n0,0,0\n0,0,0\n");
    f->asked[0] = f->told[1] = NAN; /* not known is not short */
    assert_int_equal(day(f, oracle).n_local, 0);
    for (int q = 0; q < N; q++)
        f->asked[q] = NAN;
    assert_int_equal(day(f, oracle).n, 4);
}

/* A drawn day is as long as it was asked to be, and its machines wait through all of it. */
static void a_quiet_day(void **state)
{
    struct fixture *f = *state;
    f->d.traffic.rate = 1e-4;
    f->d.traffic.hours = 10;
    f->d.machines = 2;
    f->d.idle_w = 1;
    struct lmw_day d = day(f, local);
    assert_near(d.day_s, 36000, 1e-9);
    assert_true(d.n > 0 && d.n < 20 && d.end_s < 36000);
    assert_near(d.idle_j, 72000 - 2.0 * (double)d.n, 1e-6);
    f->d.traffic.limit = 1;
    d = day(f, local);
    assert_near(d.end_s, d.day_s + 2, 1e-9);
}

/* Of one minute of traffic, as many clocks write it. */
static void clocks_of_traces(void **state)
{
    static const char *const same[] = {
        "timestamp\n1700000000\n1700000060\n",
        "t_ms\n1700000000000\n1700000060000\n",
        "timestamp_us\n1700000000000000\n1700000060000000\n",
        "t_ns\n1700000000000000000\n1700000060000000000\n",
        "time\n2023-11-16T18:17:03Z\n2023-11-16T18:18:03Z\n",
        "TIMESTAMP\n2024-05-10 00:00:00.009930+00:00\n2024-05-10 00:01:00.009930+00:00\n",
        "timestamp\n2024-10-27 02:59:30+0200\n2024-10-27 02:00:30+01\n", /* clocks go back */
        "timestamp\n2024-02-29 23:59:30\n2024-03-01 00:00:30\n",
        "timestamp\n2023-02-28 23:59:30\n2023-03-01 00:00:30\n",
        "timestamp\n2016-12-31 23:59:00\n2016-12-31 23:59:60\n", /* a leap second */
        "prompt,timestamp\n\"hello, \"\"you\"\"\nthere\",7\n, \"67\" \n",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        trace(f, same[i]);
        struct lmw_day d = day(f, local);
        if (d.n != 2 || fabs(d.end_s - 62) > 1e-3)
            fail_msg("'%s': %lld queries, %.9g s", same[i], (long long)d.n, d.end_s);
    }
}

static void assert_refused(struct fixture *f, const char *text, const char *what)
{
    struct lmw_day out;
    trace(f, text);
    int rc = lmw_day_run(&f->c, &f->d, &local, 1, &out, f->scratch.arena, &f->err);
    if (rc == 0 || !strstr(f->err.msg, what))
        fail_msg("'%s': %d %s", text, rc, rc ? f->err.msg : "taken");
}

static void faults_of_traces(void **state)
{
    struct fixture *f = *state;
    struct lmw_day out;
    assert_refused(f, "timestamp\n1\n0.5\n", "line 3: its time is earlier");
    assert_refused(f, "timestamp\n1\nsoon\n", "line 3: 'soon' is not a time");
    assert_refused(f, "timestamp\nnan\n", "not a time");
    assert_refused(f, "timestamp,prompt_tokens\n1,-4\n", "line 2: '-4' is not a length");
    assert_refused(f, "prompt_tokens,timestamp\n4\n", "line 2: no time");
    assert_refused(f, "when,what\n1,2\n", "no column of times");
    assert_refused(f, "timestamp\n2023-13-01 00:00:00\n", "not a time");
    assert_refused(f, "timestamp\n2023-02-29 00:00:00\n", "not a time");
    assert_refused(f, "timestamp\n2023-02-28 25:00:00\n", "not a time");
    assert_refused(f, "timestamp\n2023-02-28 12:00:00 or so\n", "not a time");
    assert_refused(f, "timestamp\n2023-02-28 12:00:00+99:00\n", "not a time");
    assert_refused(f, "timestamp\n1700000000000\n", "call the column t_ms");
    assert_refused(f, "text,timestamp\nx,1\n\"x,2\n", "line 3: a quote is opened");
    assert_refused(f, "", "no query arrived");
    assert_refused(f, "timestamp\n", "no query arrived");
    f->d.traffic.trace = "/nowhere/trace.csv";
    assert_int_equal(lmw_day_run(&f->c, &f->d, &local, 1, &out, f->scratch.arena, &f->err),
                     LMW_EIO);
    assert_non_null(strstr(f->err.msg, "/nowhere/trace.csv"));
}

/* What can be read only once still serves every strategy, whatever the threads. */
static void a_trace_from_a_pipe(void **state)
{
    struct fixture *f = *state;
    const struct lmw_strategy s[] = {local, cloud, oracle};
    struct lmw_day out[3];
    char path[32];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    FILE *to = fdopen(ends[1], "w");
    fputs("t_s\n", to);
    for (int i = 0; i < 5000; i++)
        fprintf(to, "%d\n", i);
    assert_int_equal(fclose(to), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    f->d.traffic.trace = path;
    f->d.n_thread = 3;
    assert_int_equal(lmw_day_run(&f->c, &f->d, s, 3, out, f->scratch.arena, &f->err), 0);
    close(ends[0]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(out[i].n, 5000);
}

static void queries_without_seconds_or_joules(void **state)
{
    struct fixture *f = *state;
    f->d.traffic.limit = 1000;
    f->joules[0] = f->seconds[N + 1] = NAN; /* leaves 2 and 3, which the local model gets wrong */
    struct lmw_day d = day(f, local), out;
    assert_int_equal(d.n, 1000);
    assert_int_equal(d.n_right, 0);
    assert_near(d.total[LMW_JOULES], 1000, 1e-6);
    f->c.amount[LMW_JOULES] = NULL;
    d = day(f, local);
    assert_true(d.n_right > 0 && isnan(d.total[LMW_JOULES]));
    f->c.amount[LMW_SECONDS] = NULL;
    assert_int_equal(lmw_day_run(&f->c, &f->d, &local, 1, &out, f->scratch.arena, &f->err),
                     LMW_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_queue_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(poisson_arrivals_wait_as_theory_says, setup, teardown),
        cmocka_unit_test_setup_teardown(as_the_simulation, setup, teardown),
        cmocka_unit_test_setup_teardown(tries_come_first, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_in_the_cloud, setup, teardown),
        cmocka_unit_test_setup_teardown(lengths_choose_records, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quiet_day, setup, teardown),
        cmocka_unit_test_setup_teardown(clocks_of_traces, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_of_traces, setup, teardown),
        cmocka_unit_test_setup_teardown(a_trace_from_a_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(queries_without_seconds_or_joules, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
