/* The estimate fitted to a meter, on a machine of files whose power and busy time follow what the
 * calibration asks for. */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "meter/meter.h"

#define PACKAGE "sys/class/powercap/intel-rapl:0/"

struct machine {
    char root[64];
    double idle_w, full_w, noise[3]; /* of each kind of work, relative */
    _Atomic double share;            /* what is asked for */
    _Atomic double watts;
    atomic_bool stop, deaf;            /* deaf: the processors do not do what is asked */
    double joules, ticks, t_s, late_s; /* late_s: the longest its files stood still */
    pthread_t thread;
};

__attribute__((format(printf, 3, 4))) static void put(const struct machine *x, const char *path,
                                                      const char *format, ...)
{
    char name[512];
    va_list ap;
    struct lmw_atomic w;
    snprintf(name, sizeof name, "%s/%s", x->root, path);
    char *slash = strrchr(name, '/');
    *slash = 0;
    lmw_mkdirs(name, NULL);
    *slash = '/';
    if (lmw_atomic_open(&w, name, NULL) < 0)
        return;
    va_start(ap, format);
    vfprintf(w.f, format, ap);
    va_end(ap);
    lmw_atomic_commit(&w, NULL);
}

/* Rewrites what `path` holds with as many bytes, at once, as the kernel's files do. */
__attribute__((format(printf, 3, 4))) static void update(const struct machine *x, const char *path,
                                                         const char *format, ...)
{
    char name[512], text[512];
    va_list ap;
    snprintf(name, sizeof name, "%s/%s", x->root, path);
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && pwrite(fd, text, (size_t)n, 0) != n)
        abort();
    close(fd);
}

/* What was used since: two processors, ticks of 10 ms. */
static void go_on(struct machine *x)
{
    double t_s = (double)lmw_now_ns() * 1e-9, dt = t_s - x->t_s;
    x->t_s = t_s;
    x->late_s = fmax(x->late_s, dt);
    x->joules += x->watts * dt;
    x->ticks += (x->deaf ? 0.9 : x->share) * 2 * dt * 100;
    update(x, "proc/stat", "cpu %12.0f 0 0 9 0 0 0\ncpu0 %12.0f 0 0 9 0 0 0\ncpu1 0 0 0 9 0 0 0\n",
           x->ticks, x->ticks);
    update(x, PACKAGE "energy_uj", "%15.0f\n", x->joules * 1e6);
}

static void *live(void *arg)
{
    struct machine *x = arg;
    while (!x->stop) {
        go_on(x);
        lmw_sleep_until_ns(lmw_now_ns() + 5000000);
    }
    return NULL;
}

static void load(void *arg, double share, enum lmw_work work)
{
    struct machine *x = arg;
    x->watts = (x->idle_w + (x->full_w - x->idle_w) * share) * (1 + x->noise[work] * (share > 0));
    x->share = share;
}

static void begin(struct machine *x)
{
    snprintf(x->root, sizeof x->root, "/tmp/lmw-calib-XXXXXX");
    assert_non_null(mkdtemp(x->root));
    put(x, PACKAGE "name", "package-0\n");
    put(x, PACKAGE "max_energy_range_uj", "262143000000\n");
    put(x, PACKAGE "energy_uj", "\n");
    put(x, "proc/stat", "\n");
    x->watts = x->idle_w;
    x->joules = 100;
    x->t_s = (double)lmw_now_ns() * 1e-9;
    go_on(x);
    assert_int_equal(pthread_create(&x->thread, NULL, live, x), 0);
}

static void end(struct machine *x)
{
    char command[128];
    x->stop = true;
    pthread_join(x->thread, NULL);
    snprintf(command, sizeof command, "rm -r %s", x->root);
    assert_int_equal(system(command), 0);
}

/* Calibrates on a machine that played its part: one whose files stood still for long, because
 * others kept the real one busy, is no witness, and another is made. */
static int calibrate(const struct machine *part, lmw_load_fn *by, struct lmw_calibration *c,
                     struct lmw_err *err)
{
    for (int i = 0; i < 10; i++) {
        struct machine x = {.idle_w = part->idle_w, .full_w = part->full_w, .deaf = part->deaf};
        memcpy(x.noise, part->noise, sizeof x.noise);
        begin(&x);
        struct lmw_meter_opts o = {.sysroot = x.root, .sources = "auto"};
        int rc = lmw_meter_calibrate(&o, 0.5, by, by ? &x : NULL, c, err);
        end(&x);
        if (x.late_s <= 0.03)
            return rc;
    }
    print_message("skipped: no 4 s of 10 without a stall of 30 ms on this machine\n");
    skip();
    return LMW_OK;
}

static void finds_idle_and_full_watts(void **state)
{
    struct lmw_calibration c;
    struct lmw_err err = {0};
    struct machine x = {.idle_w = 10, .full_w = 50};
    if (calibrate(&x, load, &c, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(fabs(c.idle_w - 10) < 4);
    assert_true(fabs(c.full_w - 50) < 4);
    assert_true(c.error >= 0.1 && c.busy_most > 0.8);
    assert_string_equal(c.basis, "rapl:package-0");
    assert_string_equal(c.boundary, "chip");
}

static void kinds_of_work_that_differ_widen_the_error(void **state)
{
    struct lmw_calibration c;
    struct lmw_err err = {0};
    struct machine x = {
        .idle_w = 10, .full_w = 50, .noise = {[LMW_WORK_FLOAT] = 0.4, [LMW_WORK_MEMORY] = -0.3}};
    if (calibrate(&x, load, &c, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(c.error > 0.25);
}

static void a_busy_machine_cannot_be_fitted(void **state)
{
    struct lmw_calibration c;
    struct lmw_err err = {0};
    struct machine x = {.idle_w = 10, .full_w = 50, .deaf = true};
    assert_int_equal(calibrate(&x, load, &c, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "busy whatever was asked"));
}

/* Threads that really work, on a machine whose files say nothing of it. */
static void the_load_of_its_own(void **state)
{
    struct lmw_calibration c;
    struct lmw_err err = {0};
    struct machine x = {.idle_w = 10, .full_w = 50, .deaf = true};
    assert_int_equal(calibrate(&x, NULL, &c, &err), LMW_EUNAVAILABLE);
}

static void a_meter_of_something_else_cannot_be_fitted(void **state)
{
    struct lmw_calibration c;
    struct lmw_err err = {0};
    struct machine x = {.idle_w = 10, .full_w = 5};
    assert_int_equal(calibrate(&x, load, &c, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "does not rise"));
}

static const struct lmw_source_info *estimate(struct lmw_source_info out[32])
{
    struct lmw_meter_opts o = {.sysroot = "", .sources = "estimate"};
    int n = lmw_meter_list(&o, out, 32, NULL);
    for (int i = 0; i < n; i++) {
        if (strcmp(out[i].name, "estimate") == 0)
            return &out[i];
    }
    fail_msg("no estimate");
    return NULL;
}

static void what_was_kept_is_what_the_estimate_uses(void **state)
{
    struct lmw_calibration c = {
        .idle_w = 3.5, .full_w = 21.25, .error = 0.125, .basis = "wall:plug", .boundary = "wall"};
    struct lmw_source_info s[32];
    struct lmw_err err = {0};
    char dir[] = "/tmp/lmw-config-XXXXXX", path[256], command[300];
    assert_non_null(mkdtemp(dir));
    setenv("XDG_CONFIG_HOME", dir, 1);
    if (!estimate(s)->present) {
        print_message("skipped: %s\n", estimate(s)->reason);
        skip();
    }
    assert_non_null(strstr(estimate(s)->about, "a guess"));
    assert_int_equal(lmw_calibration_save(&c, path, sizeof path, &err), LMW_OK);
    assert_int_equal(strncmp(path, dir, strlen(dir)), 0);
    const struct lmw_source_info *e = estimate(s);
    assert_non_null(strstr(e->about, "+-12 %"));
    assert_non_null(strstr(e->about, "3.5 W idle to 21.25 W"));
    assert_non_null(strstr(e->about, "wall:plug"));
    assert_string_equal(e->boundary, "wall");
    assert_true(e->model_error == 0.125);
    /* Figures given by hand are not of that fit. */
    struct lmw_meter_opts o = {.sysroot = "", .sources = "estimate:1,2"};
    assert_true(lmw_meter_list(&o, s, 32, &err) > 0);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_idle_and_full_watts),
        cmocka_unit_test(kinds_of_work_that_differ_widen_the_error),
        cmocka_unit_test(a_busy_machine_cannot_be_fitted),
        cmocka_unit_test(the_load_of_its_own),
        cmocka_unit_test(a_meter_of_something_else_cannot_be_fitted),
        cmocka_unit_test(what_was_kept_is_what_the_estimate_uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
