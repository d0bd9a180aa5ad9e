/* RAPL by perf events: the rails a machine's counting units make, what a refusal says, and
 * readings through a stand-in for the kernel and, where this machine allows it, the kernel's own
 * clock. */
#include "meter_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "meter/sources/perf.h"

enum { MAX_EVENT = 128 };

/* ---- a kernel that answers what the test wrote ---- */

static struct event {
    uint32_t type;
    uint64_t config;
    int cpu, write_fd;
} opened[MAX_EVENT];
static int n_opened, refusal;

static int fake_open(uint32_t type, uint64_t config, int cpu)
{
    int fd[2];
    if (refusal) {
        errno = refusal;
        return -1;
    }
    assert_true(n_opened < MAX_EVENT);
    assert_int_equal(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
    opened[n_opened++] = (struct event){type, config, cpu, fd[1]};
    return fd[0];
}

static int real_kernel(void **state)
{
    for (int i = 0; i < n_opened; i++)
        close(opened[i].write_fd);
    n_opened = 0;
    return 0;
}

static int fake_kernel(void **state)
{
    refusal = 0;
    lmw_perf_open = fake_open;
    return 0;
}

/* The next reading of the event `config` of `type` on `cpu`. */
static void say(uint32_t type, uint64_t config, int cpu, double joules, uint64_t missed_ns)
{
    uint64_t v[3] = {(uint64_t)(joules * 4294967296.0), 1000 + missed_ns, 1000};
    for (int i = 0; i < n_opened; i++) {
        if (opened[i].type == type && opened[i].config == config && opened[i].cpu == cpu) {
            assert_int_equal(write(opened[i].write_fd, v, sizeof v), sizeof v);
            return;
        }
    }
    fail_msg("event %d of unit %d was not opened on processor %d", (int)config, (int)type, cpu);
}

static void takes_over_where_powercap_is_locked(void **state)
{
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    int n = list("tests/fixtures/sys-perf", "auto", s, &err);
    static const char *const chosen[] = {"perf:package-0", "perf:package-1", "perf:dram-0",
                                         "perf:dram-1"};
    static const char *const present[] = {"perf:core-0", "perf:cores-1", "perf:psys-0"};
    for (int i = 0; i < 4; i++)
        assert_true(named(s, n, chosen[i])->chosen);
    for (int i = 0; i < 3; i++) {
        assert_true(named(s, n, present[i])->present);
        assert_false(named(s, n, present[i])->chosen);
    }
    assert_string_equal(named(s, n, "perf:dram-1")->boundary, "memory");
    assert_false(named(s, n, "rapl:package-0")->present);
    assert_non_null(strstr(named(s, n, "rapl:package-0")->reason, "60-lmwatt-rapl.rules"));
    /* One event a package, and the cores of both. */
    assert_int_equal(n_opened, 2 * 4 + 4);
}

static void is_the_same_energy_as_powercap(void **state)
{
    static const char *const bad[] = {
        "rapl:package-0,perf:package-0", "perf:package-1,perf:core-1",
        "perf:package-0,perf:cores-0",   "perf,perf:psys-0",
        "perf:core-0,perf:cores-0",      "perf,estimate"};
    struct lmw_source_info s[CAP];
    for (int i = 1; i < 6; i++) {
        struct lmw_err err = {0};
        assert_int_equal(list("tests/fixtures/sys-perf", bad[i], s, &err), LMW_EARG);
        assert_non_null(strstr(err.msg, "contains"));
    }
    /* Where powercap can be read too, auto takes that and says what perf is. */
    struct lmw_err err = {0};
    int n = list("tests/fixtures/sys-both", "auto", s, &err);
    assert_true(named(s, n, "rapl:package-0")->chosen);
    assert_false(named(s, n, "perf:package-0")->chosen);
    assert_string_equal(named(s, n, "perf:package-0")->reason,
                        "the same energy as rapl:package-0");
    assert_int_equal(list("tests/fixtures/sys-both", bad[0], s, &err), LMW_EARG);
    n = list("tests/fixtures/sys-both", "perf", s, &err);
    assert_true(named(s, n, "perf:package-0")->chosen);
}

static void a_refusal_names_the_file_its_value_and_the_cures(void **state)
{
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    refusal = EACCES;
    int n = list("tests/fixtures/sys-perf", "auto", s, &err);
    const char *why = named(s, n, "perf:package-0")->reason;
    static const char *const words[] = {"power/energy-pkg/", "perf_event_paranoid is 2",
                                        "CAP_PERFMON", "root"};
    for (int i = 0; i < 4; i++)
        assert_non_null(strstr(why, words[i]));
    assert_true(named(s, n, "estimate")->chosen);
    assert_int_equal(list("tests/fixtures/sys-perf", "perf", s, &err), LMW_EUNAVAILABLE);
    /* Allowed by that file: something else forbids it. */
    n = list("tests/fixtures/sys-both", "auto", s, &err);
    assert_non_null(strstr(named(s, n, "perf:package-0")->reason, "seccomp"));
    refusal = ENODEV;
    n = list("tests/fixtures/sys-perf", "auto", s, &err);
    assert_non_null(strstr(named(s, n, "perf:package-0")->reason, "No such device"));
}

static void events_in_other_units_are_not_joules(void **state)
{
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    int n = list("tests/fixtures/sys-both", "auto", s, &err);
    assert_false(named(s, n, "perf:uncore-0")->present);
    assert_non_null(strstr(named(s, n, "perf:uncore-0")->reason, "not Joules"));
    assert_false(named(s, n, "perf:psys")->present);
    assert_non_null(strstr(named(s, n, "perf:psys")->reason, "umask"));
}

static void a_virtual_machine_has_the_unit_and_no_events(void **state)
{
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    int n = list("tests/fixtures/sys-vm", "auto", s, &err);
    assert_non_null(strstr(named(s, n, "perf")->reason, "virtual machine"));
    n = list("tests/fixtures/sys-none", "auto", s, &err);
    assert_non_null(strstr(named(s, n, "perf")->reason, "is not there"));
}

/* Waits 20 ms, gives both packages' counters, marks. */
static int64_t step(struct lmw_meter *m, double joules, uint64_t missed_ns)
{
    lmw_sleep_until_ns(lmw_now_ns() + 20000000);
    say(4000, 2, 0, joules, missed_ns);
    return lmw_meter_mark(m);
}

static struct lmw_energy ask(struct lmw_meter *m, int64_t start_ns, int64_t end_ns)
{
    struct lmw_span span = {start_ns, LMW_NULL, end_ns};
    struct lmw_energy e;
    assert_int_equal(lmw_meter_span(m, &span, &e, NULL), LMW_OK);
    return e;
}

static void counts_are_scaled_to_joules(void **state)
{
    struct lmw_meter_opts o = {
        .sysroot = "tests/fixtures/sys-perf", .sources = "perf:package-0", .rate_hz = 0.001};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_OK);
    say(4000, 2, 0, 4e8, 0); /* no wrap at any range a register has */
    assert_int_equal(lmw_meter_start(m, &err), LMW_OK);
    int64_t a = step(m, 4e8 + 1, 0), b = step(m, 4e8 + 6, 0);
    int64_t c = step(m, 4e8 + 7, 5000000), d = step(m, 4e8 + 8, 5000000);
    step(m, 4e8 + 9, 5000000);
    step(m, 4e8 + 10, 5000000);
    struct lmw_energy e = ask(m, a, b);
    assert_true(e.valid);
    assert_string_equal(e.method, "counter");
    assert_int_equal(e.n_wrap, 0);
    assert_in_range(e.energy_uj, 4900000, 5100000);
    /* The event did not run for 5 ms between b and c: what it missed is not known. */
    e = ask(m, b, c);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "unreadable", 10), 0);
    e = ask(m, c, d);
    assert_false(e.valid);
    lmw_meter_close(m);
}

static void a_packages_cores_are_summed(void **state)
{
    struct lmw_meter_opts o = {
        .sysroot = "tests/fixtures/sys-perf", .sources = "perf:cores-1", .rate_hz = 0.001};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_OK);
    for (int i = 0; i < 4; i++) {
        say(4001, 1, 2, i, 0);
        say(4001, 1, 3, 2 * i, 0);
        if (i == 0)
            assert_int_equal(lmw_meter_start(m, &err), LMW_OK);
        lmw_sleep_until_ns(lmw_now_ns() + 20000000);
        if (i > 0)
            lmw_meter_mark(m);
    }
    int64_t mw = lmw_meter_power_mw(m, lmw_now_ns() - 1000000000);
    assert_true(mw > 0 && mw < 9 * 50000); /* 9 J in 60 ms or more */
    lmw_meter_close(m);
}

/* A software event as a rail of 1 W: the whole way to the kernel and back. */
static void the_kernels_own_clock(void **state)
{
    struct lmw_meter_opts o = {
        .sysroot = "tests/fixtures/sys-clock", .sources = "perf", .rate_hz = 100};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    if (lmw_meter_open(&m, &o, &err) < 0) {
        print_message("skipped: %s\n", err.msg);
        skip();
    }
    assert_string_equal(lmw_meter_basis(m), "perf:package-0");
    assert_int_equal(lmw_meter_start(m, &err), LMW_OK);
    lmw_sleep_until_ns(lmw_now_ns() + 50000000);
    int64_t a = lmw_meter_mark(m);
    lmw_sleep_until_ns(lmw_now_ns() + 100000000);
    int64_t b = lmw_meter_mark(m);
    lmw_sleep_until_ns(lmw_now_ns() + 50000000);
    lmw_meter_stop(m);
    struct lmw_energy e = ask(m, a, b);
    assert_true(e.valid);
    double watt = (double)e.energy_uj * 1e3 / (double)(b - a);
    assert_true(watt > 0.9 && watt < 1.1);
    lmw_meter_close(m);
}

int main(void)
{
    lmw_perf_open_fn *kernel = lmw_perf_open;
#define FAKE(test) cmocka_unit_test_setup_teardown(test, fake_kernel, real_kernel)
    const struct CMUnitTest tests[] = {
        FAKE(takes_over_where_powercap_is_locked),
        FAKE(is_the_same_energy_as_powercap),
        FAKE(a_refusal_names_the_file_its_value_and_the_cures),
        FAKE(events_in_other_units_are_not_joules),
        FAKE(a_virtual_machine_has_the_unit_and_no_events),
        FAKE(counts_are_scaled_to_joules),
        FAKE(a_packages_cores_are_summed),
    };
    const struct CMUnitTest real[] = {cmocka_unit_test(the_kernels_own_clock)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lmw_perf_open = kernel;
    return failed + cmocka_run_group_tests(real, NULL, NULL);
}
