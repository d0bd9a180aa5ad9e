/* The reconstruction's figures, against simulated power whose energy is known (meter_sim.h).
 * docs/measuring.md has the table that bench_meter prints of the same; here are the floors it
 * must not fall through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "meter_sim.h"

struct figure {
    const char *name;
    struct sim sim;
    double told_s;                         /* the period the meter is told; 0: none */
    double bias, p95, coverage, max_width; /* at most, at most, at least, at most */
    int unresolved;                        /* queries that may be */
};

static void check(const struct figure *f)
{
    struct sim s = f->sim;
    struct lmw_err err = {0};
    struct sim_score x = sim_run(&s, f->told_s, &err);
    print_message("%-30s %5.3f s: bias %+.3f %% p95 %.2f %% covered %.1f %% width %.2f %%\n",
                  f->name, s.query_s, 100 * x.bias, 100 * x.p95, 100 * x.coverage, 100 * x.width);
    assert_in_range(x.n_valid, s.n_query - f->unresolved, s.n_query);
    assert_true(fabs(x.bias) <= f->bias);
    assert_true(x.p95 <= f->p95);
    assert_true(x.coverage >= f->coverage);
    assert_true(x.width <= f->max_width);
}

/* 100 W and 500 W through a 50 ms counter, read at 20 Hz and at marks: as `replay` sees it in a
 * run. */
static void square_wave_through_a_50_ms_counter(void **state)
{
    static const double query_s[] = {1, 0.5, 0.2, 0.1};
    for (int i = 0; i < 4; i++) {
        struct figure f = {"50 ms counter",
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = query_s[i],
                            .gap_s = 0.3,
                            .spread = 0.1,
                            .n_query = 200,
                            .period_s = 0.05,
                            .poll_s = 0.05,
                            .poll_jitter_s = 0.0125,
                            .mark_reads = true,
                            .seed = 7},
                           0.05,
                           0.01,
                           0.04,
                           0.95,
                           0.05};
        check(&f);
    }
}

/* The same as a log that somebody else polled, with nothing told. */
static void square_wave_in_a_log(void **state)
{
    static const double query_s[] = {1, 0.5, 0.2, 0.1};
    for (int i = 0; i < 4; i++) {
        struct figure f = {"50 ms counter, log at 10 ms",
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = query_s[i],
                            .gap_s = query_s[i],
                            .spread = 0.1,
                            .n_query = 200,
                            .period_s = 0.05,
                            .poll_s = 0.01,
                            .seed = 8},
                           0,
                           0.01,
                           0.02,
                           0.95,
                           0.03};
        check(&f);
    }
}

/* Polls that jitter leave of the counter's clock far less than a step of any grid: what is left
 * was taken for smaller than it is, and a fifth of the spans was outside bounds a hundredth of a
 * percent wide. The last: updates that jitter themselves, seen by two polls each. */
static void square_wave_through_jittering_polls(void **state)
{
    static const double poll_s[] = {0.02, 0.05, 0.05}, jitter[] = {0.5, 0.5, 0.25},
                        irregular_s[] = {0, 0, 0.01}, width[] = {0.001, 0.001, 0.03};
    for (int i = 0; i < 6; i++) {
        int k = i / 2;
        struct figure f = {"100 ms counter, jittering log",
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = k < 2 ? 2 : 1,
                            .gap_s = 0.3,
                            .spread = 0.1,
                            .n_query = 300,
                            .period_s = 0.1,
                            .jitter_s = irregular_s[k],
                            .poll_s = poll_s[k],
                            .poll_jitter_s = jitter[k] * poll_s[k],
                            .seed = 16},
                           i % 2 ? 0.1 : 0,
                           0.0005,
                           k < 2 ? 0.0005 : 0.01,
                           0.95,
                           width[k]};
        check(&f);
    }
}

/* Nothing is told of a counter that is faster than its log: the age of each value, up to a
 * millisecond, was in none of the bounds, and they were narrower than that. */
static void square_wave_in_a_log_of_a_fast_counter(void **state)
{
    struct figure f = {"1 ms counter, log at 50 ms",
                       {.idle_w = 100,
                        .query_w = 500,
                        .query_s = 2.5,
                        .gap_s = 0.3,
                        .spread = 0.1,
                        .n_query = 300,
                        .period_s = 0.001,
                        .poll_s = 0.05,
                        .poll_jitter_s = 0.0125,
                        .seed = 18},
                       0,
                       0.0001,
                       0.0005,
                       0.95,
                       0.001};
    check(&f);
}

/* A counter read no more often than it updates: what its clock is the reads tell that saw nothing
 * new, and where these are none (polls a tenth off) the energies. Then rows that irregular updates
 * made, which look alike but for their energies; and reads so seldom that no phase shows, whose
 * values are as old as one another only where the reads come regularly. */
static void reads_as_seldom_as_updates(void **state)
{
    static const struct seldom {
        double jitter, told_s, query_s, noise;
        bool as_made;
        double bias, p95, width, period_s; /* 0: 0.1 */
    } cases[] = {
        {0.05, 0.1, 1, 0, false, 0.001, 0.005, 0.01},
        {0.05, 0.1, 0.25, 0.2, false, 0.005, 0.03, 0.05},
        {0.025, 0.1, 1, 0, false, 0.001, 0.005, 0.01},
        {0.025, 0.1, 0.25, 0, false, 0.005, 0.03, 0.05},
        {0.025, 0, 1, 0.2, false, 0.001, 0.01, 0.02},
        {0.01, 0.1, 1, 0, false, 0.001, 0.005, 0.02},
        {0.01, 0, 1, 0, false, 0.005, 0.03, 0.02},
        {0.01, 0.1, 1, 0, true, 0.001, 0.005, 0.02},
        {0.01, 0, 1, 0, true, 0.001, 0.005, 0.02},
        {0.025, 0.05, 1, 0, false, 0.001, 0.02, 0.05, 0.05},
        {0.05, 0.05, 1, 0, false, 0.001, 0.02, 0.05, 0.05},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct seldom *x = &cases[i];
        struct figure f = {x->as_made ? "counter, rows as made" : "counter polled at 100 ms",
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = x->query_s,
                            .gap_s = 0.3,
                            .spread = 0.1,
                            .noise = x->noise,
                            .n_query = 300,
                            .period_s = x->period_s > 0 ? x->period_s : 0.1,
                            .as_made = x->as_made,
                            .jitter_s = x->as_made ? x->jitter : 0,
                            .poll_s = 0.1,
                            .poll_jitter_s = x->as_made ? 0 : x->jitter,
                            .seed = 17},
                           x->told_s,
                           x->bias,
                           x->p95,
                           0.95,
                           x->width};
        check(&f);
    }
}

static void noisy_power_through_a_100_ms_counter(void **state)
{
    static const double query_s[] = {2, 1, 0.5, 0.2}, p95[] = {0.002, 0.004, 0.008, 0.015};
    for (int i = 0; i < 4; i++) {
        struct figure f = {"100 ms counter polled at 20 ms",
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = query_s[i],
                            .gap_s = 0.3,
                            .spread = 0.1,
                            .noise = 0.2,
                            .n_query = 1000,
                            .period_s = 0.1,
                            .poll_s = 0.02,
                            .seed = 9},
                           0,
                           0.0005,
                           p95[i],
                           0.95,
                           4 * p95[i]};
        check(&f);
    }
}

static void noisy_power_through_a_1_ms_counter(void **state)
{
    static const double query_s[] = {2, 1, 0.5, 0.2}, p95[] = {0.002, 0.004, 0.008, 0.015};
    for (int i = 0; i < 4; i++) {
        struct figure f = {"1 ms counter polled at 50 ms",
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = query_s[i],
                            .gap_s = 0.3,
                            .spread = 0.1,
                            .noise = 0.2,
                            .n_query = 1000,
                            .period_s = 0.001,
                            .poll_s = 0.05,
                            .mark_reads = i & 1,
                            .seed = 10},
                           0.001,
                           0.0005,
                           p95[i],
                           0.95,
                           4 * p95[i]};
        check(&f);
    }
}

/* What a small model does: queries shorter than the counter's period, hardly apart. Single ones
 * cannot be known well, and the bounds say so. */
static void queries_shorter_than_the_period(void **state)
{
    static const double period_s[] = {0.1, 0.05, 0.01}, width[] = {0.6, 0.4, 0.2};
    for (int i = 0; i < 3; i++) {
        struct figure f = {"30 ms queries, 10 ms gaps",
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = 0.03,
                            .gap_s = 0.01,
                            .spread = 0.3,
                            .noise = 0.2,
                            .n_query = 1000,
                            .period_s = period_s[i],
                            .poll_s = 0.05,
                            .poll_jitter_s = 0.0125,
                            .mark_reads = true,
                            .seed = 11},
                           period_s[i],
                           0.05,
                           0.25,
                           0.93,
                           width[i]};
        check(&f);
    }
}

static void wraps_change_nothing(void **state)
{
    struct figure f = {"100 ms counter of 300 J",
                       {.idle_w = 100,
                        .query_w = 500,
                        .query_s = 0.5,
                        .gap_s = 0.3,
                        .noise = 0.2,
                        .n_query = 100,
                        .period_s = 0.1,
                        .poll_s = 0.02,
                        .wrap_uj = 300000000,
                        .seed = 12},
                       0,
                       0.001,
                       0.008,
                       0.95,
                       0.03};
    check(&f);
}

/* Power meters whose readings are means are deconvolved; a span that is short against the window
 * gets bounds that say so. */
static void means_of_a_second_are_deconvolved(void **state)
{
    static const double query_s[] = {5, 2, 1, 0.5, 0.2}, renewed_s[] = {0.02, 0.1};
    static const double p95[] = {0.002, 0.004, 0.006, 0.008, 0.05};
    for (int i = 0; i < 10; i++) {
        bool is_short = i / 2 == 4;
        struct figure f = {"mean of 1 s",
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = query_s[i / 2],
                            .gap_s = 0.3,
                            .spread = 0.1,
                            .noise = 0.2,
                            .n_query = 300,
                            .period_s = renewed_s[i % 2],
                            .poll_s = 0.05,
                            .poll_jitter_s = 0.0125,
                            .mark_reads = true,
                            .power = true,
                            .window_s = 1,
                            .seed = 13},
                           renewed_s[i % 2],
                           is_short     ? 0.3
                           : i / 2 == 3 ? 0.01
                                        : 0.005,
                           p95[i / 2],
                           0.95,
                           is_short ? 4 : 5 * p95[i / 2],
                           is_short ? 3 : 0};
        check(&f);
    }
}

static struct figure of_a_mean(const char *name, double window_s, double renewed_s, double query_s,
                               double gap_s)
{
    return (struct figure){name,
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = query_s,
                            .gap_s = gap_s,
                            .spread = 0.1,
                            .noise = 0.2,
                            .n_query = 400,
                            .period_s = renewed_s,
                            .poll_s = 0.05,
                            .poll_jitter_s = 0.0125,
                            .mark_reads = true,
                            .power = true,
                            .window_s = window_s,
                            .seed = 15},
                           renewed_s,
                           0.005,
                           0.02,
                           0.95,
                           0.12};
}

/* The window of the first reading that is looked at begins before it, in the query before or in
 * the gap: an edge that nobody knew of was taken for noise, and bounds were ten times as wide. */
static void the_first_windows_edges_are_known(void **state)
{
    struct figure f = of_a_mean("mean of 1 s, power hardly noisy", 1, 0.1, 2.5, 0.5);
    f.sim.mark_reads = false;
    f.sim.noise = 0.05;
    f.sim.n_query = 200;
    f.bias = 0.0003;
    f.p95 = 0.002;
    f.max_width = 0.006;
    check(&f);
}

/* What all readings share of their clock's error is one unknown, as of a counter. */
static void means_are_shifted_as_counters_are(void **state)
{
    struct figure f = of_a_mean("mean of 100 ms", 0.1, 0.1, 0.5, 0.3);
    f.p95 = 0.005;
    f.max_width = 0.015;
    check(&f);
}

/* Power that takes 100 ms to rise lacks 20 J of every query, 1.6 % of 2.5 s: a fit that knows of
 * none finds them in no single update, and takes them for the gaps' where these are shorter than
 * its period. A sensor of the moment must not be taken for a late one. */
static void power_may_rise_slowly(void **state)
{
    static const struct {
        const char *name;
        double period_s, window_s, query_s, bias, p95;
        bool power;
    } is[] = {{"1 s counter, slow rise", 1, 0, 2.5, 0.003, 0.015, false},
              {"1 s counter, slow rise", 1, 0, 10, 0.001, 0.005, false},
              {"100 ms counter, slow rise", 0.1, 0, 1, 0.0015, 0.005, false},
              {"mean of 1 s, slow rise", 0.1, 1, 2.5, 0.0015, 0.005, true},
              {"moment, slow rise", 0.001, 0, 1, 0.02, 0.04, true}};
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        struct figure f =
            of_a_mean(is[i].name, is[i].window_s, is[i].period_s, is[i].query_s, 0.3);
        f.sim.power = is[i].power;
        f.sim.mark_reads = false;
        f.sim.noise = 0;
        f.sim.rise_s = 0.1;
        f.sim.n_query = 100;
        f.told_s = is[i].period_s > 0.001 ? is[i].period_s : 0;
        f.bias = is[i].bias;
        f.p95 = is[i].p95;
        f.coverage = 0.9;
        check(&f);
    }
}

/* A query and its gap fill the window, so that the readings hardly change: what is not known of
 * the window matters most. */
static void a_window_as_long_as_a_cycle_is_learned(void **state)
{
    for (int noisy = 0; noisy < 2; noisy++) {
        struct figure f = of_a_mean("mean, cycles of its window", 1, 0.1, 0.6, 0.4);
        f.sim.mark_reads = false;
        f.sim.unstated = true;
        f.sim.noise = noisy ? 0.2 : 0;
        f.sim.n_query = 60;
        f.told_s = 0;
        f.p95 = 0.04;
        f.unresolved = 1;
        check(&f);
    }
}

/* Nobody says how long the readings are averaged: it shows in how they follow the marks. */
static void a_window_that_is_not_stated_is_learned(void **state)
{
    static const struct {
        double window_s, renewed_s, query_s, gap_s;
    } is[] = {
        {1, 0.1, 2, 0.3}, {1, 0.1, 1, 0.3}, {1, 1, 2, 0.3}, {3, 1, 10, 2}, {0.1, 0.1, 0.5, 0.3}};
    for (int i = 0; i < 5; i++) {
        struct figure f = of_a_mean("mean, not stated", is[i].window_s, is[i].renewed_s,
                                    is[i].query_s, is[i].gap_s);
        f.sim.unstated = true;
        check(&f);
        f.sim.seed = 1; /* where readings of two chunks of the log meet at another moment */
        f.sim.n_query = 600;
        check(&f);
    }
    /* Of the moment: learned too. */
    struct figure f = of_a_mean("moment, not stated", 0, 0.1, 1, 0.3);
    f.sim.unstated = true;
    f.bias = 0.01;
    f.p95 = 0.09;
    f.max_width = 0.3;
    check(&f);
}

/* As few queries as a log may have, each of another power, and prefill that draws half: a level of
 * their own must not pass for a window's shape. */
static void a_window_is_learned_from_queries_that_differ(void **state)
{
    static const double window_s[] = {1, 0.1, 3};
    for (int i = 0; i < 3; i++) {
        struct figure f = of_a_mean("mean, queries differ", window_s[i], 0.1, 3 * window_s[i], 1);
        f.sim.unstated = true;
        f.sim.mark_reads = false;
        f.sim.n_query = 30;
        f.sim.vary = 0.4;
        f.sim.prefill_s = 0.5 * window_s[i];
        f.sim.prefill_w = 250;
        f.sim.poll_s = 0.03;
        f.told_s = 0;
        f.p95 = 0.03; /* two or three cells of noise are a window of 0.1 s */
        f.max_width = 0.2;
        check(&f);
    }
}

/* A plug: a reading of the moment a second, and the log's clock is not the plug's. Nobody says how
 * old a row's value is: the bounds hold for every age. */
static void rows_that_are_all_news_may_be_old(void **state)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct figure f = of_a_mean("moment, asked by another clock", 0, 1, 2.5, 2);
        f.sim.unstated = true;
        f.sim.mark_reads = false;
        f.sim.poll_s = 1.003;
        f.sim.poll_jitter_s = 0.02;
        f.sim.n_query = 100;
        f.sim.noise = 0.05;
        f.sim.seed = seed;
        f.told_s = 0;
        f.bias = f.p95 = 1;
        f.max_width = 2;
        check(&f);
    }
}

/* Where it cannot be learned (two whole cycles in a window; a handful of queries), the bounds say
 * that the joules may be the neighbours'. */
static void a_window_that_cannot_be_learned_is_in_the_bounds(void **state)
{
    static const struct {
        double window_s, query_s;
        int n_query;
    } is[] = {{1, 0.2, 400}, {1, 3, 5}, {1, 1, 5}, {1, 0.1, 5}, {3, 4, 5}, {5, 2, 3}, {5, 12, 1}};
    for (int i = 0; i < 7; i++) {
        struct figure f = of_a_mean("mean, not learned", is[i].window_s, 0.1, is[i].query_s, 0.3);
        f.sim.unstated = true;
        f.sim.n_query = is[i].n_query;
        f.bias = f.p95 = 2;
        f.max_width = 16;
        f.unresolved = is[i].n_query / 400;
        check(&f);
    }
}

/* The middle of a long query is joined by straight lines between values that are shown for a
 * second and were half of their window old when they were made. */
static void long_queries_and_slow_meters(void **state)
{
    struct figure f = of_a_mean("mean of 3 s, new every 1 s", 3, 1, 10, 2);
    check(&f);
    /* Lines through means that hold something of the gap before would be 1 % low. */
    f = of_a_mean("mean of 5 s, new every 1 s", 5, 1, 20, 2);
    f.bias = 0.002;
    check(&f);
    /* Read so often that it looked like a long one, whose middle is joined by lines. */
    f = of_a_mean("mean of 5 s, new every 1 s", 5, 1, 10, 3);
    f.p95 = 0.0015;
    check(&f);
    f = of_a_mean("mean of 4 s, new every 20 ms", 4, 0.02, 20, 2);
    f.bias = 0.002;
    check(&f);
    f = of_a_mean("moment, new every 100 ms", 0, 0.1, 10, 1);
    f.p95 = 0.03;
    check(&f);
}

/* A reading at a mark is of what was before it, so an edge costs nothing, however coarse the
 * polls: without noise the joules are right; with it they are as good as so few readings of power
 * that is redrawn every 10 ms can make them. */
static void powers_of_the_moment_are_cut_at_the_marks(void **state)
{
    static const double query_s[] = {2, 1, 0.5, 0.2}, width[] = {0.11, 0.14, 0.17, 0.23};
    for (int i = 0; i < 8; i++) {
        bool noisy = i % 2;
        struct figure f = {"power of the moment",
                           {.idle_w = 100,
                            .query_w = 500,
                            .query_s = query_s[i / 2],
                            .gap_s = 0.3,
                            .spread = 0.1,
                            .noise = noisy ? 0.2 : 0,
                            .n_query = 300,
                            .period_s = 0.0005,
                            .poll_s = 0.05,
                            .poll_jitter_s = 0.0125,
                            .mark_reads = true,
                            .power = true,
                            .seed = 14},
                           0,
                           noisy ? 0.006 : 0.0005,
                           noisy ? 0.09 : 0.0005,
                           0.95,
                           noisy ? width[i / 2] : 0.02};
        check(&f);
    }
}

/* Queries that differ and idle power that does not: a sensor of the moment repeats itself and is
 * new every millisecond all the same, which its edges show. One that is renewed every 100 ms is
 * late behind each of them, and what changes at all keeps its clock. */
static void repeated_powers_may_be_of_a_fast_sensor(void **state)
{
    static const struct {
        double renewed_s, query_s, p95;
        bool unstated;
    } is[] = {{0.001, 0.125, 0.005, false},
              {0.001, 0.125, 0.005, true},
              {0.001, 0.25, 0.005, false},
              {0.1, 0.25, 0.15, true},
              {0.1, 0.5, 0.06, true}};
    for (int i = 0; i < 5; i++) {
        struct figure f =
            of_a_mean("moment, queries differ", 0, is[i].renewed_s, is[i].query_s, 0.3);
        f.sim.mark_reads = false;
        f.sim.noise = 0;
        f.sim.vary = 0.4;
        f.sim.unstated = is[i].unstated;
        f.told_s = 0;
        f.p95 = is[i].p95;
        check(&f);
    }
}

/* A mean that forgets slowly is no box: taken for one its joules were 5 to 13 % low, and bounds a
 * few percent wide held none of them. */
static void a_mean_that_forgets_is_learned(void **state)
{
    static const double constant_s[] = {0.3, 1, 1, 3}, query_s[] = {2, 2, 5, 10};
    for (int i = 0; i < 8; i++) {
        struct figure f = of_a_mean("mean that forgets", constant_s[i / 2], 0.1, query_s[i / 2],
                                    0.3 * query_s[i / 2]);
        f.sim.unstated = f.sim.forgets = true;
        f.sim.mark_reads = false;
        f.sim.n_query = 40;
        f.sim.vary = 0.4;
        f.sim.noise = i % 2 ? 0.05 : 0;
        f.told_s = 0;
        f.bias = 0.02;
        f.p95 = 0.03;
        f.max_width = 0.15;
        check(&f);
    }
}

/* Polls that are no more frequent than renewals, give or take a quarter, tell next to nothing of
 * the phase: two that are far apart may suit all of them, and the one that was taken for the clock
 * was wrong for a fifth of the spans, whose repeated values passed for new ones. */
static void polls_in_pace_with_the_renewals(void **state)
{
    static const double query_s[] = {2.5, 10};
    for (int i = 0; i < 4; i++) {
        struct figure f =
            of_a_mean("mean of 0.5 s, polls in pace", 0.5, 0.05, query_s[i / 2], 0.3);
        f.sim.mark_reads = false;
        f.sim.noise = i % 2 ? 0.05 : 0;
        f.sim.n_query = 150;
        f.sim.seed = 2;
        f.p95 = 0.005;
        f.max_width = 0.01;
        check(&f);
    }
}

/* The same meter on a sampler that now and then comes a second late. */
static void a_stalling_sampler_is_covered(void **state)
{
    struct figure f = {"mean of 1 s, stalls",
                       {.idle_w = 100,
                        .query_w = 500,
                        .query_s = 1,
                        .gap_s = 0.3,
                        .spread = 0.1,
                        .noise = 0.2,
                        .n_query = 300,
                        .period_s = 0.1,
                        .poll_s = 0.05,
                        .poll_jitter_s = 0.0125,
                        .mark_reads = true,
                        .power = true,
                        .window_s = 1,
                        .stall_s = 1,
                        .seed = 15},
                       0.1,
                       0.005,
                       0.04,
                       0.95,
                       0.2};
    check(&f);
    f.name = "100 ms counter, stalls";
    f.sim.power = false;
    check(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(square_wave_through_a_50_ms_counter),
        cmocka_unit_test(square_wave_in_a_log),
        cmocka_unit_test(square_wave_through_jittering_polls),
        cmocka_unit_test(square_wave_in_a_log_of_a_fast_counter),
        cmocka_unit_test(reads_as_seldom_as_updates),
        cmocka_unit_test(noisy_power_through_a_100_ms_counter),
        cmocka_unit_test(noisy_power_through_a_1_ms_counter),
        cmocka_unit_test(queries_shorter_than_the_period),
        cmocka_unit_test(wraps_change_nothing),
        cmocka_unit_test(means_of_a_second_are_deconvolved),
        cmocka_unit_test(the_first_windows_edges_are_known),
        cmocka_unit_test(means_are_shifted_as_counters_are),
        cmocka_unit_test(power_may_rise_slowly),
        cmocka_unit_test(a_window_as_long_as_a_cycle_is_learned),
        cmocka_unit_test(a_window_that_is_not_stated_is_learned),
        cmocka_unit_test(a_window_is_learned_from_queries_that_differ),
        cmocka_unit_test(rows_that_are_all_news_may_be_old),
        cmocka_unit_test(a_window_that_cannot_be_learned_is_in_the_bounds),
        cmocka_unit_test(long_queries_and_slow_meters),
        cmocka_unit_test(powers_of_the_moment_are_cut_at_the_marks),
        cmocka_unit_test(repeated_powers_may_be_of_a_fast_sensor),
        cmocka_unit_test(a_mean_that_forgets_is_learned),
        cmocka_unit_test(polls_in_pace_with_the_renewals),
        cmocka_unit_test(a_stalling_sampler_is_covered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
