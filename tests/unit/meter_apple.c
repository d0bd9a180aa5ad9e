/* powermetrics' property lists: what becomes energy, and what is no reading. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "meter/meter.h"

struct mac {
    char dir[64], path[128], spec[160];
    int fd;
    int64_t covered_ns; /* up to when the documents have told */
    struct lmw_meter *m;
    struct lmw_err err;
};

static void begin(struct mac *x)
{
    *x = (struct mac){.dir = "/tmp/lmw-apple-XXXXXX"};
    assert_non_null(mkdtemp(x->dir));
    snprintf(x->path, sizeof x->path, "%s/pm", x->dir);
    snprintf(x->spec, sizeof x->spec, "apple:%s", x->path);
    assert_int_equal(mkfifo(x->path, 0600), 0);
    x->fd = open(x->path, O_RDWR);
    assert_true(x->fd >= 0);
}

static void end(struct mac *x)
{
    lmw_meter_close(x->m);
    close(x->fd);
    unlink(x->path);
    assert_int_equal(rmdir(x->dir), 0);
}

/* A document that covers the time since the one before, with `powers` in its dict `processor`. */
static void document(struct mac *x, const char *powers)
{
    int64_t now = lmw_now_ns(), elapsed = x->covered_ns ? now - x->covered_ns : 20000000;
    x->covered_ns = now;
    dprintf(
        x->fd,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
        "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n"
        "<key>is_delta</key><true/>\n<key>elapsed_ns</key><integer>%lld</integer>\n"
        "<key>gpu</key>\n<dict>\n<key>combined_power</key><real>99999</real>\n</dict>\n"
        "<key>processor</key>\n<dict>\n<key>clusters</key>\n<array>\n<dict>\n"
        "<key>cpu_power</key><real>77777</real>\n</dict>\n</array>\n%s</dict>\n</dict>\n"
        "</plist>\n%c",
        (long long)elapsed, powers, 0);
}

/* As many documents as it takes, each written when its time has passed. */
static int64_t documents(struct mac *x, int n, const char *powers)
{
    for (int i = 0; i < n; i++) {
        lmw_sleep_until_ns(lmw_now_ns() + 20000000);
        document(x, powers);
        if (x->m)
            lmw_meter_mark(x->m);
    }
    return lmw_now_ns();
}

static void start(struct mac *x)
{
    struct lmw_meter_opts o = {.sources = x->spec, .rate_hz = 0.001};
    documents(x, 3, "<key>combined_power</key><real>5000</real>\n");
    if (lmw_meter_open(&x->m, &o, &x->err) < 0)
        fail_msg("%s", x->err.msg);
    assert_int_equal(lmw_meter_start(x->m, &x->err), LMW_OK);
}

static struct lmw_energy ask(struct mac *x, int64_t start_ns, int64_t end_ns)
{
    struct lmw_span span = {start_ns, LMW_NULL, end_ns};
    struct lmw_energy e;
    assert_int_equal(lmw_meter_span(x->m, &span, &e, &x->err), LMW_OK);
    return e;
}

/* The mean of the last ns, once the documents came in time: a busy machine writes some late, and
 * what is late is a gap. */
static void expect_power(struct mac *x, const char *powers, int64_t ns, int64_t least,
                         int64_t most)
{
    int64_t mw = LMW_NULL;
    for (int i = 0; i < 20 && !(mw >= least && mw <= most); i++) {
        documents(x, 10, powers);
        mw = lmw_meter_power_mw(x->m, lmw_now_ns() - ns);
    }
    assert_in_range(mw, least, most);
}

static void power_times_time_is_energy(void **state)
{
    struct mac x;
    begin(&x);
    start(&x);
    assert_string_equal(lmw_meter_basis(x.m), "apple:pm");
    expect_power(&x, "<key>combined_power</key><real>5000.5</real>\n", 10000000000, 4800, 5100);
    /* Without combined_power, the sum of its parts. */
    expect_power(
        &x,
        "<key>cpu_power</key><integer>3000</integer>\n<key>gpu_power</key><real>6000</real>\n"
        "<key>ane_power</key><real>1000</real>\n",
        1, 9600, 10100);
    end(&x);
}

static void documents_without_power_are_no_reading(void **state)
{
    static const char *const bad[] = {"",
                                      "<key>combined_power</key><real>0</real>\n",
                                      "<key>cpu_power</key><real>3000</real>\n",
                                      "<key>combined_power</key><string>5</string>\n",
                                      "<key>combined_power</key><real>nan</real>\n",
                                      "<key>combined_power</key><real>-5</real>\n"};
    for (int i = 0; i < 6; i++) {
        struct mac x;
        begin(&x);
        start(&x);
        int64_t a = documents(&x, 4, "<key>combined_power</key><real>5000</real>\n");
        int64_t b = documents(&x, 3, bad[i]);
        documents(&x, 4, "<key>combined_power</key><real>5000</real>\n");
        struct lmw_energy e = ask(&x, a, b);
        assert_false(e.valid);
        assert_int_equal(strncmp(e.reason, "unreadable", 10), 0);
        assert_int_equal(e.energy_uj, LMW_NULL);
        end(&x);
    }
}

static void what_is_no_powermetrics_is_absent(void **state)
{
    struct lmw_meter_opts o = {.sources = "apple:"};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    struct mac x;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_EARG);
    begin(&x);
    dprintf(x.fd, "powermetrics must be invoked as the superuser\n</plist>\n");
    o.sources = x.spec;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "root"));
    end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_times_time_is_energy),
        cmocka_unit_test(documents_without_power_are_no_reading),
        cmocka_unit_test(what_is_no_powermetrics_is_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
