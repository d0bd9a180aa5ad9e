/* Redfish controllers of many makes (tests/fake/redfish.py): what is asked, what is refused, and
 * that what cannot be verified or read is said. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "meter/meter.h"

static char *const machines[] = {(char *)"new",
                                 (char *)"old",
                                 (char *)"mean",
                                 (char *)"joules",
                                 (char *)"kwh",
                                 (char *)"nested",
                                 (char *)"two",
                                 (char *)"zero",
                                 (char *)"parts",
                                 (char *)"garbage",
                                 (char *)"elsewhere",
                                 (char *)"locked",
                                 (char *)"flaky",
                                 (char *)"moved",
                                 (char *)"partly",
                                 (char *)"inside",
                                 NULL};
enum { N_MACHINE = sizeof machines / sizeof *machines - 1, MAX = 32 };

/* One process that is them all, another that is one behind TLS. */
static struct {
    pid_t pid;
    int in, port[N_MACHINE];
} plain, tls;

static bool start_servers(char *const argv[], pid_t *pid, int *in_fd, int *port, int n)
{
    int in[2], out[2];
    posix_spawn_file_actions_t files;
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return false;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    if (posix_spawnp(pid, argv[0], &files, NULL, argv, environ) != 0)
        return false;
    posix_spawn_file_actions_destroy(&files);
    close(in[0]);
    close(out[1]);
    *in_fd = in[1];
    FILE *f = fdopen(out[0], "r");
    int got = 0;
    while (f && got < n && fscanf(f, "%d", &port[got]) == 1)
        got++;
    if (f)
        fclose(f);
    return got == n;
}

static int begin(void **state)
{
    char *all[N_MACHINE + 3] = {(char *)"python3", (char *)"tests/fake/redfish.py"};
    char *one[] = {(char *)"python3",
                   (char *)"tests/fake/redfish.py",
                   (char *)"--tls",
                   (char *)"tests/fixtures/tls/cert.pem",
                   (char *)"tests/fixtures/tls/key.pem",
                   (char *)"new",
                   NULL};
    for (int i = 0; i < N_MACHINE; i++)
        all[i + 2] = machines[i];
    setenv("no_proxy", "127.0.0.1", 1);
    setenv("HOME", "/nowhere", 1); /* no netrc but a test's */
    unsetenv("SSL_CERT_FILE");
    return !start_servers(all, &plain.pid, &plain.in, plain.port, N_MACHINE) ||
           !start_servers(one, &tls.pid, &tls.in, tls.port, 1);
}

static int end(void **state)
{
    close(plain.in);
    close(tls.in);
    waitpid(plain.pid, NULL, 0);
    waitpid(tls.pid, NULL, 0);
    return 0;
}

static int port_of(const char *machine)
{
    for (int i = 0; i < N_MACHINE; i++)
        if (strcmp(machines[i], machine) == 0)
            return plain.port[i];
    fail_msg("no machine %s", machine);
    return 0;
}

static int open_url(const char *url, struct lmw_meter **m, struct lmw_err *err)
{
    struct lmw_meter_opts o = {.sysroot = "/nowhere", .sources = url, .rate_hz = 20};
    *err = (struct lmw_err){0};
    return lmw_meter_open(m, &o, err);
}

static int open_machine(const char *machine, const char *path, struct lmw_meter **m,
                        struct lmw_err *err)
{
    char url[200];
    snprintf(url, sizeof url, "redfish:insecure+http://127.0.0.1:%d%s", port_of(machine), path);
    return open_url(url, m, err);
}

static const struct lmw_source_info *chosen(struct lmw_meter *m)
{
    for (int i = 0; i < lmw_meter_n_source(m); i++)
        if (lmw_meter_source(m, i)->chosen)
            return lmw_meter_source(m, i);
    fail_msg("nothing is chosen");
    return NULL;
}

static const char *note(struct lmw_meter *m)
{
    for (int i = 0; i < lmw_meter_n_source(m); i++)
        if (lmw_meter_source(m, i)->chosen)
            return lmw_meter_note(m, i);
    return "";
}

/* A span of two readings and more; asked for until it is settled. */
static struct lmw_energy measure(struct lmw_meter *m)
{
    struct lmw_err err = {0};
    struct lmw_energy e = {0};
    assert_int_equal(lmw_meter_start(m, &err), LMW_OK);
    struct lmw_span s = {lmw_meter_mark(m), LMW_NULL, 0};
    lmw_sleep_until_ns(lmw_now_ns() + 2500000000);
    s.end_ns = lmw_meter_mark(m);
    for (int i = 0; i < 600; i++) {
        lmw_sleep_until_ns(lmw_now_ns() + 100000000);
        lmw_meter_mark(m);
        assert_int_equal(lmw_meter_span(m, &s, &e, &err), LMW_OK);
        if (strncmp(e.reason, "pending", 7) != 0)
            break;
    }
    return e;
}

static void draws(const char *machine, const char *path, double watts)
{
    struct lmw_meter *m;
    struct lmw_err err;
    if (open_machine(machine, path, &m, &err) < 0)
        fail_msg("%s: %s", machine, err.msg);
    const struct lmw_source_info *s = chosen(m);
    assert_string_equal(s->boundary, "host");
    assert_int_equal(s->reading, LMW_POWER);
    assert_true(s->period_ns >= 1000000000 && s->window_ns == LMW_NULL);
    assert_non_null(strstr(s->about, "not stated"));
    struct lmw_energy e = measure(m);
    if (!e.valid)
        fail_msg("%s: %s", machine, e.reason);
    assert_int_equal(e.power_mean_mw, llround(watts * 1000));
    assert_string_equal(e.method, "integral");
    lmw_meter_stop(m);
    assert_string_equal(note(m), "");
    lmw_meter_close(m);
}

static void the_newer_resource_is_taken_first(void **state)
{
    draws("new", "", 220.5);
}

static void the_first_power_control_is_the_machine(void **state)
{
    draws("old", "", 344);
}

static void a_chassis_contains_those_inside_it(void **state)
{
    draws("nested", "", 900);
    draws("nested", "/redfish/v1/Chassis/GPU/", 600);
}

/* A chassis that cannot be asked hides no other, unless it contains it. */
static void one_that_fails_is_passed_over(void **state)
{
    struct lmw_meter *m;
    struct lmw_err err;
    draws("partly", "", 160);
    assert_int_equal(open_machine("inside", "", &m, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "Chassis/Gone"));
    draws("inside", "/redfish/v1/Chassis/1", 160);
}

static void one_of_two_is_named_by_its_path(void **state)
{
    struct lmw_meter *m;
    struct lmw_err err;
    assert_int_equal(open_machine("two", "", &m, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "/redfish/v1/Chassis/A and /redfish/v1/Chassis/B"));
    draws("two", "/redfish/v1/Chassis/B/EnvironmentMetrics", 120);
}

static void a_path_that_moved_is_followed(void **state)
{
    draws("moved", "", 140);
}

static void joules_are_a_counter(void **state)
{
    struct lmw_meter *m;
    struct lmw_err err;
    assert_int_equal(open_machine("joules", "", &m, &err), LMW_OK);
    assert_int_equal(chosen(m)->reading, LMW_COUNTER);
    struct lmw_energy e = measure(m);
    if (!e.valid)
        fail_msg("%s", e.reason);
    assert_string_equal(e.method, "counter");
    /* 100 W by the clock; what an answer takes here is in it. */
    assert_true(e.power_mean_mw > 50000 && e.power_mean_mw < 200000);
    lmw_meter_close(m);
    assert_int_equal(open_machine("kwh", "", &m, &err), LMW_OK);
    assert_int_equal(chosen(m)->reading, LMW_COUNTER);
    assert_non_null(strstr(chosen(m)->about, "kWh"));
    lmw_meter_close(m);
}

static void a_mean_of_minutes_is_stated(void **state)
{
    struct lmw_meter *m;
    struct lmw_err err;
    assert_int_equal(open_machine("mean", "", &m, &err), LMW_OK);
    assert_true(chosen(m)->window_ns == 1200 * (int64_t)1000000000);
    assert_non_null(strstr(chosen(m)->about, "mean of the last 20 min"));
    lmw_meter_close(m);
}

static void what_tells_no_power_is_absent(void **state)
{
    static const char *const bad[][2] = {{"zero", "no chassis tells its power"},
                                         {"parts", "no chassis tells its power"},
                                         {"elsewhere", "no chassis tells its power"},
                                         {"garbage", "no JSON object"}};
    struct lmw_meter *m;
    struct lmw_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(open_machine(bad[i][0], "", &m, &err), LMW_EUNAVAILABLE);
        if (!strstr(err.msg, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err.msg);
    }
    assert_int_equal(open_machine("new", "/redfish/v1/Chassis/7", &m, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "answers 404"));
    assert_int_equal(open_url("redfish:insecure+http://127.0.0.1:1", &m, &err), LMW_EUNAVAILABLE);
}

static void it_is_listed_when_it_was_not_asked_for(void **state)
{
    struct lmw_meter_opts o = {.sysroot = "/nowhere", .sources = "none"};
    static struct lmw_source_info l[MAX];
    struct lmw_err err = {0};
    int n = lmw_meter_list(&o, l, MAX, &err), seen = 0;
    for (int i = 0; i < n && i < MAX; i++) {
        if (strcmp(l[i].name, "redfish") == 0 && !l[i].present)
            seen += strcmp(l[i].reason, "not asked for: redfish:URL") == 0;
    }
    assert_int_equal(seen, 1);
}

static void a_password_is_sent_and_never_said(void **state)
{
    struct lmw_meter *m;
    struct lmw_err err;
    assert_int_equal(open_machine("locked", "", &m, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "401"));
    assert_non_null(strstr(err.msg, "LMW_REDFISH_PASSWORD"));
    setenv("LMW_REDFISH_USER", "reader", 1);
    setenv("LMW_REDFISH_PASSWORD", "wrong-one", 1);
    assert_int_equal(open_machine("locked", "", &m, &err), LMW_EUNAVAILABLE);
    assert_null(strstr(err.msg, "wrong-one"));
    setenv("LMW_REDFISH_PASSWORD", "of-the-test", 1);
    draws("locked", "", 150);
    unsetenv("LMW_REDFISH_USER");
    unsetenv("LMW_REDFISH_PASSWORD");
}

static void a_netrc_has_the_password_too(void **state)
{
    char home[] = "/tmp/lmw-netrc-XXXXXX", path[64];
    struct lmw_meter *m;
    struct lmw_err err;
    assert_non_null(mkdtemp(home));
    snprintf(path, sizeof path, "%s/.netrc", home);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("machine 127.0.0.1 login reader password of-the-test\n", f);
    fclose(f);
    setenv("HOME", home, 1);
    int rc = open_machine("locked", "", &m, &err);
    setenv("HOME", "/nowhere", 1);
    unlink(path);
    rmdir(home);
    assert_int_equal(rc, LMW_OK);
    lmw_meter_close(m);
}

static void addresses_that_are_refused(void **state)
{
    static const char *const bad[] = {"redfish:",
                                      "redfish:http://127.0.0.1",
                                      "redfish:ftp://127.0.0.1",
                                      "redfish:https://",
                                      "redfish:https:///redfish/v1",
                                      "redfish:https://me:secret@127.0.0.1",
                                      "redfish:https://127.0.0.1/a b",
                                      "redfish:https://127.0.0.1/?x=1"};
    struct lmw_meter *m;
    struct lmw_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (open_url(bad[i], &m, &err) != LMW_EARG)
            fail_msg("%s: %s", bad[i], err.msg);
        assert_null(strstr(err.msg, "secret"));
    }
}

static void a_certificate_is_verified_unless_the_basis_says_so(void **state)
{
    char url[100];
    struct lmw_meter *m;
    struct lmw_err err;
    snprintf(url, sizeof url, "redfish:https://127.0.0.1:%d", tls.port[0]);
    assert_int_equal(open_url(url, &m, &err), LMW_EUNAVAILABLE);
    if (!strstr(err.msg, "certificate"))
        fail_msg("%s", err.msg);
    setenv("SSL_CERT_FILE", "tests/fixtures/tls/cert.pem", 1);
    assert_int_equal(open_url(url, &m, &err), LMW_OK);
    assert_null(strstr(lmw_meter_basis(m), "insecure"));
    lmw_meter_close(m);
    unsetenv("SSL_CERT_FILE");
    snprintf(url, sizeof url, "redfish:insecure+https://127.0.0.1:%d", tls.port[0]);
    assert_int_equal(open_url(url, &m, &err), LMW_OK);
    assert_non_null(strstr(lmw_meter_basis(m), "redfish:insecure+127.0.0.1"));
    assert_non_null(strstr(chosen(m)->about, "NOT VERIFIED"));
    lmw_meter_close(m);
}

static void a_controller_that_stops_answering_takes_its_spans(void **state)
{
    struct lmw_meter *m;
    struct lmw_err err;
    assert_int_equal(open_machine("flaky", "", &m, &err), LMW_OK);
    struct lmw_energy e = measure(m);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "unreadable", 10), 0);
    assert_int_equal(e.energy_uj, LMW_NULL);
    lmw_meter_stop(m);
    assert_non_null(strstr(note(m), "503"));
    lmw_meter_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newer_resource_is_taken_first),
        cmocka_unit_test(the_first_power_control_is_the_machine),
        cmocka_unit_test(a_chassis_contains_those_inside_it),
        cmocka_unit_test(one_that_fails_is_passed_over),
        cmocka_unit_test(one_of_two_is_named_by_its_path),
        cmocka_unit_test(a_path_that_moved_is_followed),
        cmocka_unit_test(joules_are_a_counter),
        cmocka_unit_test(a_mean_of_minutes_is_stated),
        cmocka_unit_test(what_tells_no_power_is_absent),
        cmocka_unit_test(it_is_listed_when_it_was_not_asked_for),
        cmocka_unit_test(a_password_is_sent_and_never_said),
        cmocka_unit_test(a_netrc_has_the_password_too),
        cmocka_unit_test(addresses_that_are_refused),
        cmocka_unit_test(a_certificate_is_verified_unless_the_basis_says_so),
        cmocka_unit_test(a_controller_that_stops_answering_takes_its_spans),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
