/* A server's management controller, played by the test: what its answers become, and that nothing
 * it does is a reading of 0 W. */
#include "meter_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "meter/sources/bmc.h"

static struct controller {
    int open_errno, send_errno, receive_errno;
    bool silent, foreign; /* foreign: answers carry another question's number */
    uint8_t answer[64];
    int n, n_asked;
    long asked; /* 0: nothing to answer */
} bmc;

static int fake_open(const char *path)
{
    if (bmc.open_errno) {
        errno = bmc.open_errno;
        return -1;
    }
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int fake_send(int fd, long id, uint8_t netfn, uint8_t cmd, const uint8_t *data, int n)
{
    static const uint8_t question[] = {0xdc, 1, 0, 0};
    assert_int_equal(netfn, 0x2c);
    assert_int_equal(cmd, 2);
    assert_int_equal(n, 4);
    assert_memory_equal(data, question, 4);
    if (bmc.send_errno) {
        errno = bmc.send_errno;
        return -1;
    }
    bmc.asked = id;
    bmc.n_asked++;
    return 0;
}

static int fake_receive(int fd, long *id, uint8_t *out, int cap)
{
    if (bmc.receive_errno) {
        errno = bmc.receive_errno;
        return -1;
    }
    if (!bmc.asked || bmc.silent)
        return 0;
    *id = bmc.foreign ? bmc.asked - 1 : bmc.asked;
    bmc.asked = bmc.foreign ? bmc.asked : 0;
    bmc.foreign = false;
    memcpy(out, bmc.answer, (size_t)bmc.n);
    return bmc.n;
}

static const struct ipmi_door fake = {fake_open, fake_send, fake_receive};

static void watts(int w)
{
    static const uint8_t rest[] = {100, 0, 44, 1, 200, 0, 1, 2, 3, 4, 0x60, 0xea, 0, 0, 0x40};
    bmc.answer[0] = 0;
    bmc.answer[1] = 0xdc;
    bmc.answer[2] = (uint8_t)(w & 255);
    bmc.answer[3] = (uint8_t)(w >> 8);
    memcpy(bmc.answer + 4, rest, sizeof rest);
    bmc.n = 19;
}

static int reset(void **state)
{
    bmc = (struct controller){0};
    watts(300);
    lmw_ipmi = &fake;
    return 0;
}

static struct lmw_source_info source(const char *root)
{
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    int n = list(root, "auto", s, &err);
    return *named(s, n, "bmc");
}

static void says(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("'%s' is not in '%s'", words, text);
}

static void better_than_a_model_and_says_what_it_averages(void **state)
{
    struct lmw_source_info s = source("tests/fixtures/sys-bmc");
    assert_true(s.present);
    assert_true(s.chosen);
    assert_string_equal(s.boundary, "host");
    says(s.about, "averaged");
    says(s.about, "over 60 s");
    assert_int_equal(bmc.n_asked, 1);
}

static void absent_with_what_to_do(void **state)
{
    struct lmw_source_info s = source("tests/fixtures/sys-none");
    assert_false(s.present);
    says(s.reason, "ipmi_devintf");
    bmc.open_errno = EACCES;
    s = source("tests/fixtures/sys-bmc");
    assert_false(s.present);
    says(s.reason, "root");
    bmc.open_errno = EBUSY;
    says(source("tests/fixtures/sys-bmc").reason, "busy");
    bmc.open_errno = 0;
    bmc.send_errno = EINVAL;
    says(source("tests/fixtures/sys-bmc").reason, "Invalid argument");
    bmc.send_errno = 0;
    bmc.receive_errno = EIO;
    says(source("tests/fixtures/sys-bmc").reason, "answer");
}

static void answers_that_are_no_reading(void **state)
{
    static const struct {
        int at, value, n;
        const char *words;
    } bad[] = {{0, 0xc1, 1, "no DCMI"},   {0, 0xc0, 1, "0xc0"},    {18, 0, 19, "is off"},
               {1, 0xdd, 19, "no power"}, {2, 0, 19, "no sensor"}, {0, 0, 8, "8 bytes"}};
    for (int i = 0; i < 6; i++) {
        watts(i == 4 ? 0 : 300);
        bmc.answer[bad[i].at] = (uint8_t)bad[i].value;
        bmc.n = bad[i].n;
        struct lmw_source_info s = source("tests/fixtures/sys-bmc");
        assert_false(s.present);
        assert_false(s.chosen);
        says(s.reason, bad[i].words);
    }
}

static void readings_are_picked_up_later(void **state)
{
    struct lmw_meter_opts o = {
        .sysroot = "tests/fixtures/sys-bmc", .sources = "bmc", .rate_hz = 0.001};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    struct lmw_energy e;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_OK);
    assert_int_equal(lmw_meter_start(m, &err), LMW_OK); /* asks, and has no answer yet */
    assert_int_equal(bmc.n_asked, 2);
    bmc.silent = true;
    lmw_meter_mark(m);
    bmc.silent = false;
    int64_t a = lmw_meter_mark(m); /* has it now */
    bmc.foreign = true;
    lmw_sleep_until_ns(a + 1100000000);
    lmw_meter_mark(m); /* asks again */
    assert_int_equal(bmc.n_asked, 3);
    watts(500);
    lmw_meter_mark(m); /* an answer to another question */
    int64_t b = lmw_meter_mark(m);
    struct lmw_span span = {a, LMW_NULL, b - 500000000};
    assert_int_equal(lmw_meter_span(m, &span, &e, &err), LMW_OK);
    if (!e.valid)
        fail_msg("invalid: %s", e.reason);
    assert_string_equal(e.method, "integral");
    assert_in_range(e.power_mean_mw, 300000, 500000);
    lmw_meter_close(m);
}

static void a_failure_on_the_way_takes_its_spans(void **state)
{
    struct lmw_meter_opts o = {
        .sysroot = "tests/fixtures/sys-bmc", .sources = "bmc", .rate_hz = 0.001};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    struct lmw_energy e;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_OK);
    assert_int_equal(lmw_meter_start(m, &err), LMW_OK);
    int64_t a = lmw_meter_mark(m), b;
    bmc.answer[0] = 0xc0;
    lmw_sleep_until_ns(a + 1050000000);
    lmw_meter_mark(m);
    b = lmw_meter_mark(m);
    lmw_meter_stop(m);
    struct lmw_span span = {a, LMW_NULL, b};
    assert_int_equal(lmw_meter_span(m, &span, &e, &err), LMW_OK);
    assert_false(e.valid);
    assert_int_equal(e.energy_uj, LMW_NULL);
    for (int i = 0; i < lmw_meter_n_source(m); i++) {
        if (lmw_meter_source(m, i)->chosen)
            says(lmw_meter_note(m, i), "0xc0");
    }
    lmw_meter_close(m);
}

int main(void)
{
#define BMC(test) cmocka_unit_test_setup(test, reset)
    const struct CMUnitTest tests[] = {
        BMC(better_than_a_model_and_says_what_it_averages),
        BMC(absent_with_what_to_do),
        BMC(answers_that_are_no_reading),
        BMC(readings_are_picked_up_later),
        BMC(a_failure_on_the_way_takes_its_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
