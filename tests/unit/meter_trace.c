/* Power logs and stored blocks: what is read, what is refused, and joules where the answer is
 * known by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "meter/meter.h"

#define S 1000000000LL
#define J 1000000LL

static struct lmw_trace *parse(const char *csv, int64_t wrap_uj)
{
    struct lmw_source_info info = {.name = "log",
                                   .wrap_uj = wrap_uj,
                                   .period_ns = LMW_NULL,
                                   .resolution_uj = LMW_NULL,
                                   .window_ns = LMW_NULL};
    struct lmw_err err = {0};
    struct lmw_trace *t;
    assert_int_equal(lmw_trace_open(&t, &info, &err), LMW_OK);
    if (lmw_trace_csv(t, lmw_str_from(csv), &err) < 0)
        fail_msg("%s", err.msg);
    return t;
}

static struct lmw_energy ask(struct lmw_trace *t, int64_t start, int64_t first, int64_t end)
{
    struct lmw_span span = {start, first, end};
    struct lmw_err err = {0};
    struct lmw_energy e;
    assert_int_equal(lmw_trace_span(t, &span, &e, &err), LMW_OK);
    return e;
}

static void joules(const struct lmw_energy *e, int64_t uj, int64_t slack_uj)
{
    if (!e->valid)
        fail_msg("invalid: %s", e->reason);
    assert_in_range(e->energy_uj, uj - slack_uj, uj + slack_uj);
    assert_true(e->lower_uj <= uj && uj <= e->upper_uj);
}

static void rows_are_taken_at_their_word(void **state)
{
    struct lmw_trace *t =
        parse("t_ns,energy_uj\n1000000000,100000000\n2000000000,150000000\n"
              "3000000000,200000000\n4000000000,250000000\n5000000000,260000000\n",
              0);
    struct lmw_energy e = ask(t, 1 * S, LMW_NULL, 2 * S);
    joules(&e, 50 * J, 0);
    e = ask(t, 2 * S, LMW_NULL, 3 * S);
    joules(&e, 50 * J, 0);
    assert_int_equal(e.power_mean_mw, 50000);
    e = ask(t, 4 * S, LMW_NULL, 5 * S); /* after idling: 10 J, not 110 */
    joules(&e, 10 * J, 0);
    lmw_trace_close(t);
}

static void the_first_token_splits_a_span(void **state)
{
    struct lmw_trace *t =
        parse("1000000000,100000000\n1300000000,120000000\n1600000000,150000000\n"
              "2000000000,180000000\n",
              0);
    struct lmw_energy e = ask(t, 1 * S, 3 * S / 2, 2 * S);
    joules(&e, 80 * J, 0);
    assert_in_range(e.prefill_uj, 40 * J - 10, 40 * J + 10);
    assert_int_equal(e.prefill_uj + e.decode_uj, e.energy_uj);
    lmw_trace_close(t);
}

static void a_reset_is_null_and_the_next_span_right(void **state)
{
    struct lmw_trace *t = parse("0,100000000\n1000000000,200000000\n2000000000,10000000\n"
                                "3000000000,20000000\n4000000000,30000000\n",
                                0);
    struct lmw_energy e = ask(t, 0, LMW_NULL, 1 * S);
    joules(&e, 100 * J, 0);
    e = ask(t, 1 * S, LMW_NULL, 2 * S);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "reset", 5), 0);
    assert_int_equal(e.energy_uj, LMW_NULL);
    e = ask(t, 2 * S, LMW_NULL, 3 * S);
    joules(&e, 10 * J, 0);
    /* With a range, too: back by 190 of 1000 J is no wrap. */
    lmw_trace_close(t);
    t = parse("0,100000000\n1000000000,200000000\n2000000000,10000000\n3000000000,20000000\n",
              1000 * J);
    assert_false(ask(t, 1 * S, LMW_NULL, 2 * S).valid);
    lmw_trace_close(t);
}

static void wraps_are_unwrapped_any_number_of_times(void **state)
{
    struct lmw_buf csv = {0};
    lmw_buf_str(&csv, "t_ns,energy_uj\n");
    for (int64_t i = 0; i <= 1000; i++) /* 30 W through a register of 100 J, read each second */
        lmw_buf_printf(&csv, "%lld,%lld\n", (long long)(i * S),
                       (long long)(30 * J * i % (100 * J)));
    struct lmw_trace *t = parse(csv.ptr, 100 * J);
    struct lmw_energy e = ask(t, 3 * S, LMW_NULL, 4 * S);
    joules(&e, 30 * J, 0);
    assert_int_equal(e.n_wrap, 1);
    e = ask(t, 10 * S, LMW_NULL, 990 * S);
    joules(&e, 980 * 30 * J, 0);
    assert_int_equal(e.n_wrap, 294);
    lmw_trace_close(t);
    lmw_buf_free(&csv);
}

/* Back from 95 of 100 J to 40: a wrap would be 45 J in a second of a machine that drew 1 W; after
 * a reset it is what was drawn since. */
static void a_wrap_that_would_take_impossible_power_is_a_reset(void **state)
{
    struct lmw_buf csv = {0};
    lmw_buf_str(&csv, "t_ns,energy_uj\n");
    for (int64_t i = 0; i <= 40; i++)
        lmw_buf_printf(&csv, "%lld,%lld\n", (long long)(i * S / 10),
                       (long long)(i < 20 ? 95 * J + i * J / 10 : 40 * J + i * J / 10));
    struct lmw_trace *t = parse(csv.ptr, 100 * J);
    struct lmw_energy e = ask(t, 19 * S / 10, LMW_NULL, 2 * S);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "reset", 5), 0);
    e = ask(t, 5 * S / 2, LMW_NULL, 7 * S / 2);
    joules(&e, 1 * J, 100);
    lmw_trace_close(t);
    lmw_buf_free(&csv);
}

static void a_gap_in_which_wraps_cannot_be_counted_is_invalid(void **state)
{
    struct lmw_trace *t =
        parse("0,0\n1000000000,30000000\n2000000000,60000000\n"
              "60000000000,70000000\n61000000000,99000000\n62000000000,29000000\n",
              100 * J);
    struct lmw_energy e = ask(t, 1 * S, LMW_NULL, 60 * S);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "gap", 3), 0);
    e = ask(t, 60 * S, LMW_NULL, 62 * S);
    joules(&e, 59 * J, 0);
    lmw_trace_close(t);
}

static void power_is_integrated_by_trapezoids_with_cut_edges(void **state)
{
    struct lmw_trace *t = parse("t_ns,power_mw\r\n# a comment\r\n10000000000,100000\r\n"
                                "11000000000,200000\r\n12000000000,200000\r\n",
                                0);
    struct lmw_energy e = ask(t, 10 * S, LMW_NULL, 12 * S);
    joules(&e, 350 * J, 0);
    assert_string_equal(e.method, "integral");
    e = ask(t, 10 * S + S / 2, LMW_NULL, 11 * S);
    joules(&e, 87500000, 0);
    assert_true(e.upper_uj > e.lower_uj);
    lmw_trace_close(t);
}

/* Readings that change when the queries do and only then are not old: 100 and 500 W, ten rows a
 * second, nothing stated. */
static void constant_powers_are_not_taken_for_slow_ones(void **state)
{
    struct lmw_buf csv = {0};
    struct lmw_err err = {0};
    lmw_buf_str(&csv, "t_ns,power_mw\n");
    for (int64_t i = 0; i < 560; i++) /* cycles of 2.8 s, of which 2 s are a query */
        lmw_buf_printf(&csv, "%lld,%d\n", (long long)(i * S / 10), i % 28 >= 8 ? 500000 : 100000);
    struct lmw_trace *t = parse(csv.ptr, 0);
    for (int64_t k = 0; k < 20; k++) {
        struct lmw_span span = {k * 28 * S / 10 + 8 * S / 10, LMW_NULL, (k + 1) * 28 * S / 10};
        assert_int_equal(lmw_trace_announce(t, &span, &err), LMW_OK);
    }
    for (int64_t k = 1; k < 19; k++) {
        struct lmw_energy e =
            ask(t, k * 28 * S / 10 + 8 * S / 10, LMW_NULL, (k + 1) * 28 * S / 10);
        joules(&e, 1000 * J, J);
        assert_true(e.upper_uj - e.lower_uj < 200 * J); /* a row may be 0.1 s old */
    }
    lmw_trace_close(t);
    lmw_buf_free(&csv);
}

static void what_the_log_does_not_cover_is_not_guessed(void **state)
{
    struct lmw_trace *t = parse("1000000000,1000000\n2000000000,2000000\n3000000000,\n"
                                "4000000000,4000000\n5000000000,5000000\n",
                                0);
    assert_false(ask(t, 0, LMW_NULL, 2 * S).valid);
    assert_false(ask(t, 4 * S, LMW_NULL, 6 * S).valid);
    struct lmw_energy e = ask(t, 2 * S, LMW_NULL, 4 * S);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "unreadable", 10), 0);
    lmw_trace_close(t);
    t = parse("1000000000,7\n2000000000,7\n3000000000,7\n", 0);
    assert_false(
        ask(t, 1 * S, LMW_NULL, 2 * S).valid); /* a counter that never moved says nothing */
    lmw_trace_close(t);
}

/* 100 W by a counter that ticks every 100 ms until 5 s, read every 20 ms until end_s. */
static struct lmw_trace *stops_ticking(double end_s)
{
    struct lmw_buf b = {0};
    for (int i = 0; i * 0.02 <= end_s; i++)
        lmw_buf_printf(&b, "%lld,%lld\n", i * 20000000LL, (i < 250 ? i / 5 : 50) * 10000000LL);
    struct lmw_trace *t = parse(b.ptr, 0);
    lmw_buf_free(&b);
    return t;
}

static void a_counter_that_stopped_says_nothing_of_the_end(void **state)
{
    struct lmw_trace *t = stops_ticking(6);
    struct lmw_energy e = ask(t, 4 * S, LMW_NULL, 4 * S + S / 2);
    joules(&e, 50 * J, J);
    e = ask(t, 4 * S, LMW_NULL, 5 * S + S / 2);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "stuck", 5), 0);
    assert_int_equal(e.energy_uj, LMW_NULL);
    e = ask(t, 5 * S + S / 4, LMW_NULL, 5 * S + S / 2);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "stuck", 5), 0);
    lmw_trace_close(t);
    /* One tick that did not come may be late, or the machine may draw nothing any more: the bounds
     * hold either. */
    t = stops_ticking(5.16);
    e = ask(t, 4 * S, LMW_NULL, 5 * S + S / 10);
    if (!e.valid)
        fail_msg("%s", e.reason);
    assert_true(e.lower_uj <= 100 * J && e.upper_uj >= 109 * J);
    lmw_trace_close(t);
    /* None is due yet. */
    t = stops_ticking(5.06);
    e = ask(t, 4 * S, LMW_NULL, 5 * S + S / 25);
    joules(&e, 104 * J, J);
    assert_true(e.lower_uj > 101 * J);
    lmw_trace_close(t);
}

static void watts_and_joules_are_read_too(void **state)
{
    struct lmw_trace *t = parse("timestamp_ns,watts\n0,10.5\n1000000000,10.5\n", 0);
    struct lmw_energy e = ask(t, 0, LMW_NULL, 1 * S);
    joules(&e, 10500000, 0);
    assert_string_equal(e.method, "integral");
    lmw_trace_close(t);
    t = parse("timestamp_ns,joules\n0,1.25\n1000000000,11.25\n2000000000,21.25\n", 0);
    e = ask(t, 0, LMW_NULL, 1 * S);
    joules(&e, 10 * J, 0);
    assert_string_equal(e.method, "counter");
    lmw_trace_close(t);
}

static void what_is_no_log_is_refused_by_line(void **state)
{
    static const struct {
        const char *csv, *word;
    } bad[] = {
        {"t_ns,energy_uj\n1,2\nx,3\n", "line 3"},
        {"t_ns,volts\n1,2\n", "volts"},
        {"1,2\n0,3\n", "earlier"},
        {"1\n", "line 1"},
        {"1,99999999999999999999\n", "not a numbe"},
        {"9000000000000000000,1\n", "not a time"},
        {"1,-4\n", "negative"},
        {"1,nan\n", "nan"},
        {"1,2\n\n\n2,3x\n", "line 4"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lmw_err err = {0};
        struct lmw_trace *t;
        assert_int_equal(lmw_trace_open(&t, NULL, &err), LMW_OK);
        assert_int_equal(lmw_trace_csv(t, lmw_str_from(bad[i].csv), &err), LMW_EFORMAT);
        if (!strstr(err.msg, bad[i].word))
            fail_msg("'%s' does not say '%s'", err.msg, bad[i].word);
        lmw_trace_close(t);
    }
}

static void impossible_spans_are_refused(void **state)
{
    struct lmw_trace *t = parse("1,2\n2,3\n3,4\n", 0);
    struct lmw_err err = {0};
    struct lmw_energy e;
    struct lmw_span back = {3, LMW_NULL, 1}, outside = {1, 5, 3},
                    no_times = {LMW_NULL, LMW_NULL, LMW_NULL};
    assert_int_equal(lmw_trace_span(t, &no_times, &e, &err), LMW_EARG);
    assert_int_equal(lmw_trace_span(t, &back, &e, &err), LMW_EARG);
    assert_int_equal(lmw_trace_span(t, &outside, &e, &err), LMW_EARG);
    lmw_trace_close(t);
}

/* 30 W for 20 s by a counter of 100 ms: whatever overlaps, the parts are the whole. */
static void overlapping_spans_share_the_devices_energy(void **state)
{
    struct lmw_buf csv = {0};
    struct lmw_err err = {0};
    struct lmw_energy e[5];
    const struct lmw_span spans[] = {{5 * S, 6 * S, 9 * S},
                                     {7 * S, LMW_NULL, 11 * S},
                                     {8 * S, LMW_NULL, 10 * S},
                                     {11 * S, LMW_NULL, 12 * S}, /* touches, does not overlap */
                                     {14 * S, 15 * S, 15 * S}};
    const double tokens[] = {40, 0, 20, 1, 1};
    lmw_buf_str(&csv, "t_ns,energy_uj\n");
    for (int64_t i = 0; i <= 200; i++)
        lmw_buf_printf(&csv, "%lld,%lld\n", (long long)(i * S / 10), (long long)(3 * J * i));
    struct lmw_trace *t = parse(csv.ptr, 0);
    assert_int_equal(lmw_trace_share(t, spans, NULL, 5, e, &err), LMW_OK);
    joules(&e[0], 60 * J + 15 * J + 10 * J, J / 100);
    joules(&e[1], 15 * J + 10 * J + 15 * J + 30 * J, J / 100);
    assert_in_range(e[0].energy_uj + e[1].energy_uj + e[2].energy_uj, 180 * J - 9, 180 * J + 9);
    assert_in_range(e[0].prefill_uj, 30 * J - J / 100, 30 * J + J / 100);
    assert_string_equal(e[2].method, "shared");
    joules(&e[3], 30 * J, J / 100);
    assert_string_equal(e[3].method, "counter");
    joules(&e[4], 30 * J, J / 100);
    /* By tokens: 10 and 10 a second, and none of the second one's. */
    assert_int_equal(lmw_trace_share(t, spans, tokens, 5, e, &err), LMW_OK);
    joules(&e[0], 60 * J + 30 * J + 15 * J, J / 100);
    joules(&e[1], 30 * J, J / 100);
    assert_in_range(e[0].energy_uj + e[1].energy_uj + e[2].energy_uj, 180 * J - 9, 180 * J + 9);
    lmw_trace_close(t);
    lmw_buf_free(&csv);
}

/* ---- drained blocks ---- */

struct blocks {
    struct lmw_buf b[8];
    int n;
};

static int keep(void *arg, const struct lmw_source_info *source, const void *bytes, size_t n,
                struct lmw_err *err)
{
    struct blocks *k = arg;
    assert_true(k->n < 8);
    lmw_buf_put(&k->b[k->n++], bytes, n);
    return LMW_OK;
}

static void stored_samples_give_the_same_joules(void **state)
{
    struct lmw_meter_opts o = {
        .sysroot = "", .sources = "replay:tests/fixtures/square.csv", .rate_hz = 200};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    struct lmw_trace *t;
    struct lmw_energy live[3], again;
    struct lmw_span span[3];
    struct blocks k = {0};
    if (lmw_meter_open(&m, &o, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(lmw_meter_start(m, &err), LMW_OK);
    for (int i = 0; i < 3; i++) {
        lmw_sleep_until_ns(lmw_now_ns() + 100000000);
        span[i] = (struct lmw_span){lmw_meter_mark(m), LMW_NULL, 0};
        lmw_sleep_until_ns(lmw_now_ns() + 60000000);
        span[i].first_ns = lmw_meter_mark(m);
        lmw_sleep_until_ns(lmw_now_ns() + 60000000);
        span[i].end_ns = lmw_meter_mark(m);
        assert_int_equal(lmw_meter_drain(m, keep, &k, &err), LMW_OK);
    }
    lmw_sleep_until_ns(lmw_now_ns() + lmw_meter_settle_ns(m));
    lmw_meter_stop(m);
    assert_int_equal(lmw_meter_drain(m, keep, &k, &err), LMW_OK);
    assert_int_equal(k.n, 4);
    assert_int_equal(lmw_meter_drain(m, keep, &k, &err), LMW_OK); /* nothing new: no block */
    assert_int_equal(k.n, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(lmw_meter_span(m, &span[i], &live[i], &err), LMW_OK);
    assert_int_equal(lmw_trace_open(&t, NULL, &err), LMW_OK);
    for (int i = 0; i < k.n; i++)
        assert_int_equal(lmw_trace_block(t, k.b[i].ptr, k.b[i].len, &err), LMW_OK);
    assert_string_equal(lmw_trace_info(t)->name, "replay:square.csv");
    for (int i = 0; i < 3; i++) {
        again = ask(t, span[i].start_ns, span[i].first_ns, span[i].end_ns);
        assert_true(live[i].valid && again.valid);
        assert_int_equal(live[i].energy_uj, again.energy_uj);
        assert_int_equal(live[i].lower_uj, again.lower_uj);
        assert_int_equal(live[i].upper_uj, again.upper_uj);
        assert_int_equal(live[i].prefill_uj, again.prefill_uj);
    }
    /* A byte short, a byte more, another version, another source: refused. */
    assert_int_equal(lmw_trace_block(t, k.b[0].ptr, k.b[0].len - 1, &err), LMW_EFORMAT);
    assert_int_equal(lmw_trace_block(t, "LMWT\1\0", 6, &err), LMW_EFORMAT);
    assert_int_equal(lmw_trace_block(t, "LMWS\3\0", 6, &err), LMW_EUNSUPPORTED);
    lmw_trace_close(t);
    for (int i = 0; i < k.n; i++)
        lmw_buf_free(&k.b[i]);
    lmw_meter_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_taken_at_their_word),
        cmocka_unit_test(the_first_token_splits_a_span),
        cmocka_unit_test(a_reset_is_null_and_the_next_span_right),
        cmocka_unit_test(wraps_are_unwrapped_any_number_of_times),
        cmocka_unit_test(a_wrap_that_would_take_impossible_power_is_a_reset),
        cmocka_unit_test(a_gap_in_which_wraps_cannot_be_counted_is_invalid),
        cmocka_unit_test(power_is_integrated_by_trapezoids_with_cut_edges),
        cmocka_unit_test(constant_powers_are_not_taken_for_slow_ones),
        cmocka_unit_test(what_the_log_does_not_cover_is_not_guessed),
        cmocka_unit_test(a_counter_that_stopped_says_nothing_of_the_end),
        cmocka_unit_test(watts_and_joules_are_read_too),
        cmocka_unit_test(what_is_no_log_is_refused_by_line),
        cmocka_unit_test(impossible_spans_are_refused),
        cmocka_unit_test(overlapping_spans_share_the_devices_energy),
        cmocka_unit_test(stored_samples_give_the_same_joules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
