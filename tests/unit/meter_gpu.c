/* GPU boards through their vendors' libraries, on stand-ins that fail call by call (tests/fake):
 * what is listed and why, what is believed, what makes the total, what a query costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "meter/meter.h"

enum { CAP = 64 };
static const char *const NONE = "tests/fixtures/sys-none";

struct listing {
    struct lmw_source_info s[CAP];
    struct lmw_err err;
    int n; /* or the error */
};

static struct listing *look(const char *root, const char *sources)
{
    static struct listing l;
    const struct lmw_meter_opts o = {.sysroot = root, .sources = sources};
    l.err = (struct lmw_err){0};
    l.n = lmw_meter_list(&o, l.s, CAP, &l.err);
    return &l;
}

/* Looks until every counter was held against its power: one that a busy machine did not see change
 * twice says nothing of itself. */
static struct listing *look_closely(void)
{
    struct listing *l;
    bool seen = false;
    for (int k = 0; k < 20 && !seen; k++) {
        seen = true;
        l = look(NONE, "auto");
        for (int i = 0; i < l->n; i++)
            seen &= l->s[i].reading != LMW_COUNTER || !l->s[i].chosen || l->s[i].about[0];
    }
    return l;
}

static const struct lmw_source_info *find(const struct listing *l, const char *name)
{
    for (int i = 0; i < l->n; i++) {
        if (strcmp(l->s[i].name, name) == 0)
            return &l->s[i];
    }
    return NULL;
}

static const struct lmw_source_info *named(const struct listing *l, const char *name)
{
    const struct lmw_source_info *s = find(l, name);
    if (!s)
        fail_msg("no source %s (%d: %s)", name, l->n, l->err.msg);
    return s;
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void nvml(const char *library, const char *script)
{
    setenv("LMW_NVML", library, 1);
    setenv("FAKE_NVML", script, 1);
}

static void amd(const char *script)
{
    setenv("LMW_AMDSMI", FAKE_DIR "fake_amdsmi.so", 1);
    setenv("FAKE_AMDSMI", script, 1);
}

#define NVML     FAKE_DIR "fake_nvml.so"
#define NVML_OLD FAKE_DIR "fake_nvml_old.so"

static int clean(void **state)
{
    static const char *const names[] = {"LMW_NVML",       "LMW_AMDSMI",       "LMW_ROCMSMI",
                                        "FAKE_NVML",      "FAKE_AMDSMI",      "FAKE_ROCMSMI",
                                        "FAKE_NVML_OPEN", "FAKE_AMDSMI_OPEN", "FAKE_ROCMSMI_OPEN"};
    for (int i = 0; i < 9; i++)
        unsetenv(names[i]);
    return 0;
}

/* ---- NVML: is there anything? ---- */

static void under_another_root_only_a_named_library_is_opened(void **state)
{
    assert_says(named(look(NONE, "auto"), "nvml")->reason, "LMW_NVML");
    assert_says(named(look(NONE, "auto"), "amdsmi")->reason, "LMW_AMDSMI");
}

static void no_library_is_no_driver_or_a_container_without_it(void **state)
{
    char root[] = "/tmp/lmw-gpu-XXXXXX", path[64], command[64];
    nvml("/nowhere/libnvidia-ml.so.1", "");
    const struct lmw_source_info *s = named(look(NONE, "auto"), "nvml");
    assert_false(s->present);
    assert_says(s->reason, "no NVIDIA driver is installed");
    assert_says(s->reason, "/nowhere/libnvidia-ml.so.1");
    assert_says(s->reason, "LMW_NVML");
    /* The kernel side is there, so the library was forgotten. */
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/proc/driver/nvidia/version", root);
    assert_int_equal(lmw_mkdirs(path, NULL), LMW_OK);
    s = named(look(root, "auto"), "nvml");
    assert_says(s->reason, "driver is loaded");
    assert_says(s->reason, "container");
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

static void a_file_that_is_not_nvml_says_which_function_it_lacks(void **state)
{
    nvml(FAKE_DIR "fake_empty.so", "");
    assert_says(named(look(NONE, "auto"), "nvml")->reason, "nvmlInit_v2");
}

static void a_library_that_does_not_start_says_what_to_do(void **state)
{
    static const struct {
        const char *script, *says;
    } cases[] = {{"init=9", "modprobe nvidia"}, {"init=18", "different versions"},
                 {"init=4", "/dev/nvidiactl"},  {"init=17", "/dev/nvidiactl"},
                 {"init=999", "nvidia-smi"},    {"count=999", "nvidia-smi"},
                 {"devices=0", "sees no GPU"}};
    for (int i = 0; i < 7; i++) {
        nvml(NVML, cases[i].script);
        struct listing *l = look(NONE, "auto");
        assert_false(named(l, "nvml")->present);
        assert_says(named(l, "nvml")->reason, cases[i].says);
        assert_true(named(l, "estimate")->chosen);
        l = look(NONE, "nvml");
        assert_int_equal(l->n, LMW_EUNAVAILABLE);
        assert_says(l->err.msg, cases[i].says);
    }
    const char *open = getenv("FAKE_NVML_OPEN");
    assert_true(!open || atoi(open) == 0);
}

/* ---- NVML: boards ---- */

static void boards_are_counters_with_their_power_beside(void **state)
{
    nvml(NVML, "devices=2 watts=250 watts.1=70");
    struct listing *l = look_closely();
    for (int i = 0; i < 2; i++) {
        const struct lmw_source_info *s = named(l, i ? "nvml:1" : "nvml:0");
        assert_true(s->present && s->chosen);
        assert_int_equal(s->reading, LMW_COUNTER);
        assert_string_equal(s->boundary, "board");
        assert_int_equal(s->resolution_uj, 1000);
        assert_int_equal(s->wrap_uj, 0);
        assert_int_not_equal(s->period_ns, LMW_NULL);
        assert_says(s->about, "they agree");
        assert_says(s->about, i ? "integrated power 70.0 W" : "integrated power 250.0 W");
        const struct lmw_source_info *p = named(l, i ? "nvml:1:power" : "nvml:0:power");
        assert_true(p->present && !p->chosen);
        assert_int_equal(p->reading, LMW_POWER);
        assert_int_equal(p->window_ns, 0);
        assert_says(p->reason, "by name");
    }
    assert_false(named(l, "estimate")->chosen);
    assert_string_equal(getenv("FAKE_NVML_OPEN"), "0");
}

static void a_board_and_its_own_power_are_not_added(void **state)
{
    nvml(NVML, "devices=2");
    struct listing *l = look(NONE, "nvml:0,nvml:0:power");
    assert_int_equal(l->n, LMW_EARG);
    assert_says(l->err.msg, "contains");
    nvml(NVML, "devices=2 pci=3"); /* also where the bus is not told */
    assert_int_equal(look(NONE, "nvml,nvml:1:power")->n, LMW_EARG);
    l = look(NONE, "nvml:0,nvml:1:power");
    assert_true(named(l, "nvml:0")->chosen && named(l, "nvml:1:power")->chosen);
    assert_false(named(l, "nvml:1")->chosen);
    assert_int_equal(look(NONE, "nvml:2")->n, LMW_EUNAVAILABLE);
}

static void a_device_says_what_it_can(void **state)
{
    nvml(NVML, "bits=0x44 memory.1=3 temperature.1=3 clock.1=3 busy.1=3 reasons.1=3 limit.1=3 "
               "devices=2 name.1=3");
    struct listing *l = look(NONE, "auto");
    const struct lmw_device *d = &named(l, "nvml:0")->device;
    assert_string_equal(d->model, "NVIDIA H100 80GB HBM3");
    assert_string_equal(d->driver, "550.54.15");
    assert_int_equal(d->temperature_mc, 41000);
    assert_int_equal(d->memory_total, 80LL << 30);
    assert_int_equal(d->memory_used, 3LL << 30);
    assert_int_equal(d->busy_percent, 73);
    assert_int_equal(d->memory_busy_percent, 12);
    assert_int_equal(d->clock_mhz, 1755);
    assert_int_equal(d->memory_clock_mhz, 2619);
    assert_int_equal(d->power_limit_mw, 700000);
    assert_int_equal(d->throttled, 1);
    assert_string_equal(d->throttle, "power_cap,hw_thermal");
    d = &named(l, "nvml:1")->device;
    assert_string_not_equal(d->model, "");
    assert_int_equal(d->temperature_mc, LMW_NULL);
    assert_int_equal(d->memory_used, LMW_NULL);
    assert_int_equal(d->busy_percent, LMW_NULL);
    assert_int_equal(d->clock_mhz, LMW_NULL);
    assert_int_equal(d->power_limit_mw, LMW_NULL);
    assert_int_equal(d->throttled, LMW_NULL);
}

static void an_old_library_is_asked_the_old_way(void **state)
{
    nvml(NVML_OLD, "architecture=5 major=7");
    struct listing *l = look(NONE, "auto");
    const struct lmw_source_info *s = named(l, "nvml:0");
    assert_true(s->chosen);
    assert_int_equal(s->reading, LMW_COUNTER);
    assert_int_equal(s->device.temperature_mc, 41000);
    assert_int_equal(s->device.throttled, LMW_NULL);
    assert_int_equal(named(l, "nvml:0:power")->window_ns, 0);
}

static void without_a_counter_power_is_integrated(void **state)
{
    nvml(NVML, "energy=3 model=Tesla_P100");
    const struct lmw_source_info *s = named(look(NONE, "auto"), "nvml:0");
    assert_true(s->present && s->chosen);
    assert_int_equal(s->reading, LMW_POWER);
    assert_says(s->about, "no energy counter (not supported)");
    assert_null(find(look(NONE, "auto"), "nvml:0:power"));
}

static void what_tells_nothing_is_absent_and_never_zero(void **state)
{
    static const char *const silent[] = {"energy=3 power=3 fields=3 model=Orin",
                                         "energy=3 power=3 instant=3 average=3 model=Orin",
                                         "energy=3 watts=0 model=Orin"};
    for (int i = 0; i < 3; i++) {
        nvml(NVML, silent[i]);
        struct listing *l = look(NONE, "auto");
        const struct lmw_source_info *s = named(l, "nvml:0");
        assert_false(s->present);
        assert_says(s->reason, "Orin");
        assert_says(s->reason, "INA3221");
        assert_true(named(l, "estimate")->chosen);
        assert_int_equal(look(NONE, "nvml")->n, LMW_EUNAVAILABLE);
    }
}

static void one_lost_board_does_not_hide_behind_the_others(void **state)
{
    nvml(NVML, "devices=3 handle.1=15 handle.2=4");
    struct listing *l = look(NONE, "auto");
    assert_true(named(l, "nvml:0")->chosen);
    assert_false(named(l, "nvml:1")->present);
    assert_says(named(l, "nvml:1")->reason, "reset");
    assert_says(named(l, "nvml:2")->reason, "permission");
    l = look(NONE, "nvml"); /* a total that lacks a board would look like a frugal machine */
    assert_int_equal(l->n, LMW_EUNAVAILABLE);
    assert_says(l->err.msg, "nvml:1");
    assert_true(named(look(NONE, "nvml:0"), "nvml:0")->chosen);
}

static void a_mean_is_told_from_a_reading_of_the_moment(void **state)
{
    static const struct {
        const char *library, *script;
        int64_t window_ns;
    } cases[] = {
        {NVML, "", 0},                           /* both fields: the moment's */
        {NVML, "instant=3", 1000000000},         /* usage, which is the mean */
        {NVML, "instant=3 power=3", 1000000000}, /* the mean itself */
        {NVML, "instant=3 average=3", 0},        /* no mean: Turing, GA100 */
        {NVML, "type=3", 0},                     /* 64-bit values */
        {NVML, "type=0", 0},                     /* doubles */
        {NVML_OLD, "architecture=8 major=8 minor=6", 1000000000},
        {NVML_OLD, "architecture=9", 1000000000},
        {NVML_OLD, "architecture=7 major=8 minor=0", 0}, /* GA100 */
        {NVML_OLD, "architecture=6 major=7 minor=5", 0},
    };
    for (int i = 0; i < 10; i++) {
        nvml(cases[i].library, cases[i].script);
        struct listing *l = look_closely();
        const struct lmw_source_info *s = named(l, "nvml:0:power");
        assert_int_equal(s->window_ns, cases[i].window_ns);
        assert_says(s->about, cases[i].window_ns ? "mean of the last second" : "of the moment");
        assert_says(named(l, "nvml:0")->about, "they agree");
    }
}

static void a_counter_is_held_against_the_power(void **state)
{
    nvml(NVML, "watts=300 percent=57");
    const struct lmw_source_info *s = named(look_closely(), "nvml:0");
    assert_true(s->chosen); /* which of the two errs is not known: stated, not decided */
    assert_int_equal(s->reading, LMW_COUNTER);
    assert_says(s->about, "disagree by -");
    assert_says(s->about, "integrated power 300.0 W");
}

static void a_counter_that_does_not_count_is_replaced(void **state)
{
    static const struct {
        const char *script, *why;
    } cases[] = {{"stuck=1", "did not move"}, {"back=1", "ran backwards"}};
    for (int i = 0; i < 2; i++) {
        nvml(NVML, cases[i].script);
        struct listing *l = look(NONE, "auto");
        const struct lmw_source_info *s = named(l, "nvml:0");
        assert_true(s->chosen);
        assert_int_equal(s->reading, LMW_POWER);
        assert_says(s->about, cases[i].why);
        assert_null(find(l, "nvml:0:power"));
    }
    nvml(NVML, "stuck=1 power=3 fields=3");
    assert_false(named(look(NONE, "auto"), "nvml:0")->present);
    assert_says(named(look(NONE, "auto"), "nvml:0")->reason, "did not move");
}

static void an_instance_of_mig_has_no_energy(void **state)
{
    nvml(NVML, "devices=2 mig=0 mig.0=1");
    struct listing *l = look(NONE, "auto");
    assert_false(named(l, "nvml:0:mig")->present);
    assert_says(named(l, "nvml:0:mig")->reason, "single instance");
    assert_true(named(l, "nvml:0")->present && !named(l, "nvml:0")->chosen);
    assert_says(named(l, "nvml:0")->reason, "all its instances");
    assert_true(named(l, "nvml:1")->chosen);
    assert_null(find(l, "nvml:1:mig"));
    l = look(NONE, "nvml:0:mig");
    assert_int_equal(l->n, LMW_EUNAVAILABLE);
    assert_says(l->err.msg, "MIG");
    l = look(NONE, "nvml");
    assert_int_equal(l->n, LMW_EUNAVAILABLE);
    assert_says(l->err.msg, "MIG");
    assert_true(named(look(NONE, "nvml:0"), "nvml:0")->chosen);
}

#define GH200 "model=NVIDIA_GH200_480GB "

static void grace_hopper_is_a_module(void **state)
{
    static const char *const module[] = {
        GH200 "watts=100 module_watts=250 percent=250", /* the counter follows the module */
        GH200 "watts=100 instant=3 average=3",          /* no scopes: known by its name */
        GH200 "energy=3 instant=3 average=3",
        "watts=100 module_watts=250 percent=250", /* unknown name, known by its power */
    };
    for (int i = 0; i < 4; i++) {
        nvml(NVML, module[i]);
        const struct lmw_source_info *s = named(look(NONE, "auto"), "nvml:0");
        assert_true(s->chosen);
        assert_string_equal(s->boundary, "module");
        assert_says(s->about, "CPU and GPU");
    }
    nvml(NVML, GH200 "watts=100 module_watts=250 percent=250");
    struct listing *l = look(NONE, "auto");
    assert_string_equal(named(l, "nvml:0:power")->boundary, "board");
    assert_string_equal(named(l, "nvml:0:module")->boundary, "module");
    assert_int_equal(look(NONE, "nvml:0,nvml:0:power")->n, LMW_EARG);
    assert_int_equal(look(NONE, "nvml:0,nvml:0:module")->n, LMW_EARG);
}

static void a_counter_of_the_gpu_alone_stays_a_board(void **state)
{
    nvml(NVML, "model=NVIDIA_GB200 devices=2 watts=500 module_watts=1400");
    struct listing *l = look(NONE, "auto");
    assert_string_equal(named(l, "nvml:0")->boundary, "board");
    assert_true(named(l, "nvml:0")->chosen && named(l, "nvml:1")->chosen);
    assert_true(named(l, "nvml:0:module")->present);
    /* One module holds both. */
    assert_int_equal(look(NONE, "nvml:0:module,nvml:1:module")->n, LMW_EARG);
    assert_int_equal(look(NONE, "nvml:1,nvml:0:module")->n, LMW_EARG);
    /* Drivers that do not know scopes answer for the GPU: no module. */
    nvml(NVML, "unscoped=1");
    l = look(NONE, "auto");
    assert_string_equal(named(l, "nvml:0")->boundary, "board");
    assert_null(find(l, "nvml:0:module"));
}

/* ---- the total ---- */

static void boards_are_added_to_the_processor(void **state)
{
    static const char *const chosen[] = {"rapl:package-0", "rapl:package-1", "rapl:dram-0",
                                         "rapl:dram-1",    "nvml:0",         "amdsmi:0"};
    nvml(NVML, "");
    amd("");
    struct listing *l = look("tests/fixtures/sys-server", "auto");
    for (int i = 0; i < 6; i++)
        assert_true(named(l, chosen[i])->chosen);
    l = look("tests/fixtures/sys-server", "rapl:package-0,nvml:0");
    assert_true(named(l, "rapl:package-0")->chosen && named(l, "nvml:0")->chosen);
    assert_false(named(l, "amdsmi:0")->chosen);
    l = look("tests/fixtures/sys-server", "rapl");
    assert_true(named(l, "nvml:0")->present && !named(l, "nvml:0")->chosen);
    assert_string_equal(named(l, "nvml:0")->about, ""); /* not asked for: not watched */
}

static void a_battery_holds_the_boards_already(void **state)
{
    nvml(NVML, "");
    struct listing *l = look("tests/fixtures/sys-laptop", "auto");
    assert_true(named(l, "battery:BAT0")->chosen);
    assert_false(named(l, "nvml:0")->chosen);
    assert_says(named(l, "nvml:0")->reason, "inside battery:BAT0");
    assert_int_equal(look("tests/fixtures/sys-laptop", "battery,nvml:0")->n, LMW_EARG);
}

static void a_module_takes_the_place_of_its_processor(void **state)
{
    nvml(NVML, GH200 "watts=100 module_watts=250 percent=250");
    struct listing *l = look("tests/fixtures/sys-server", "auto");
    assert_true(named(l, "nvml:0")->chosen && named(l, "rapl:package-1")->chosen);
    assert_false(named(l, "rapl:package-0")->chosen);
    assert_int_equal(look("tests/fixtures/sys-server", "rapl:package-0,nvml:0")->n, LMW_EARG);
}

/* ---- queries ---- */

static struct lmw_meter *begin(const char *sources)
{
    struct lmw_meter_opts o = {.sysroot = NONE, .sources = sources, .rate_hz = 0.001};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    if (lmw_meter_open(&m, &o, &err) < 0 || lmw_meter_start(m, &err) < 0)
        fail_msg("%s", err.msg);
    return m;
}

static int at(const struct lmw_meter *m, const char *name)
{
    for (int i = 0; i < lmw_meter_n_source(m); i++) {
        if (strcmp(lmw_meter_source(m, i)->name, name) == 0)
            return i;
    }
    fail_msg("no source %s", name);
    return -1;
}

/* 20 ms later the library says something else. */
static int64_t step(struct lmw_meter *m, const char *env, const char *script)
{
    lmw_sleep_until_ns(lmw_now_ns() + 20000000);
    setenv(env, script, 1);
    return lmw_meter_mark(m);
}

static struct lmw_energy ask(struct lmw_meter *m, int64_t start_ns, int64_t end_ns)
{
    struct lmw_span span = {start_ns, LMW_NULL, end_ns};
    struct lmw_energy e;
    assert_int_equal(lmw_meter_span(m, &span, &e, NULL), LMW_OK);
    return e;
}

/* What a query costs on a counter that follows the clock: its power times its time. */
static void assert_energy(struct lmw_meter *m, const char *env, const char *script, int watts)
{
    int64_t a = step(m, env, script);
    for (int i = 0; i < 5; i++)
        step(m, env, script);
    int64_t b = step(m, env, script);
    step(m, env, script);
    step(m, env, script);
    struct lmw_energy e = ask(m, a, b);
    double truth = (double)watts * (double)(b - a) * 1e-3;
    assert_true(e.valid);
    assert_string_equal(e.method, "counter");
    bool near = (double)e.energy_uj > 0.9 * truth && (double)e.energy_uj < 1.1 * truth;
    /* A mark that got no processor is late, and the bounds know it. */
    assert_true(near || ((double)e.lower_uj <= truth && truth <= (double)e.upper_uj));
}

/* Where a stand-in's counter of 100 W is about now, mJ; from there on the tests set it. */
static long long mj_now(void)
{
    return lmw_now_ns() / 10000;
}

static int64_t step_mj(struct lmw_meter *m, long long mj)
{
    char script[64];
    snprintf(script, sizeof script, "energy_mj=%lld", mj);
    return step(m, "FAKE_NVML", script);
}

static int64_t step_uj(struct lmw_meter *m, double uj)
{
    char script[64];
    snprintf(script, sizeof script, "ticks=%.0f", uj / 15.3);
    return step(m, "FAKE_AMDSMI", script);
}

static void millijoules_become_a_query_s_joules(void **state)
{
    nvml(NVML, "energy_mj=1000");
    struct lmw_meter *m = begin("nvml:0");
    assert_int_equal(lmw_meter_source(m, at(m, "nvml:0"))->reading, LMW_POWER); /* stuck */
    lmw_meter_close(m);
    nvml(NVML, "");
    m = begin("nvml:0");
    assert_string_equal(lmw_meter_basis(m), "nvml:0");
    assert_energy(m, "FAKE_NVML", "", 100);
    lmw_meter_close(m);
}

static void a_driver_loaded_again_is_a_reset(void **state)
{
    nvml(NVML, "");
    struct lmw_meter *m = begin("nvml:0");
    long long t = mj_now() + 4000;
    int64_t a = step_mj(m, t), b = step_mj(m, t + 1000), c = step_mj(m, 0), d = step_mj(m, 3000);
    step_mj(m, 4000);
    step_mj(m, 5000);
    assert_true(ask(m, a, b).valid);
    struct lmw_energy e = ask(m, b, c);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "reset", 5), 0);
    assert_int_equal(e.energy_uj, LMW_NULL);
    assert_true(ask(m, c, d).valid);
    lmw_meter_close(m);
}

static void a_call_that_fails_takes_its_spans_and_no_other(void **state)
{
    nvml(NVML, "");
    struct lmw_meter *m = begin("nvml:0");
    long long t = mj_now() + 4000;
    int64_t a = step_mj(m, t), b = step_mj(m, t + 1000), c = step(m, "FAKE_NVML", "energy=15");
    int64_t d = step_mj(m, t + 3000), e = step_mj(m, t + 4000);
    step_mj(m, t + 5000);
    step_mj(m, t + 6000);
    assert_true(ask(m, a, b).valid);
    struct lmw_energy lost = ask(m, b, c);
    assert_false(lost.valid);
    assert_int_equal(strncmp(lost.reason, "unreadable", 10), 0);
    assert_true(ask(m, d, e).valid);
    lmw_meter_close(m);
}

static void power_is_integrated_and_zero_is_no_reading(void **state)
{
    nvml(NVML, "energy=3 watts=120");
    struct lmw_meter *m = begin("nvml");
    int64_t a = step(m, "FAKE_NVML", "energy=3 watts=120");
    int64_t b = step(m, "FAKE_NVML", "energy=3 watts=120");
    struct lmw_energy e = ask(m, a, b);
    assert_true(e.valid);
    assert_string_equal(e.method, "integral");
    assert_int_equal(e.power_mean_mw, 120000);
    int64_t c = step(m, "FAKE_NVML", "energy=3 watts=0");
    e = ask(m, b, c);
    assert_false(e.valid);
    assert_int_equal(e.energy_uj, LMW_NULL);
    lmw_meter_close(m);
}

static void the_library_is_opened_once_and_closed_at_the_end(void **state)
{
    nvml(NVML, "devices=2");
    struct lmw_meter *m = begin("nvml");
    assert_string_equal(getenv("FAKE_NVML_OPEN"), "1");
    look(NONE, "auto");
    struct lmw_meter *other = begin("nvml:1");
    assert_string_equal(getenv("FAKE_NVML_OPEN"), "1");
    lmw_meter_close(other);
    int64_t a = lmw_meter_mark(m);
    lmw_meter_close(m);
    assert_true(a > 0);
    assert_string_equal(getenv("FAKE_NVML_OPEN"), "0");
}

static void a_running_meter_tells_the_device_s_state(void **state)
{
    struct lmw_device d;
    struct lmw_err err = {0};
    nvml(NVML, "devices=2");
    struct lmw_meter *m = begin("nvml:0");
    setenv("FAKE_NVML", "devices=2 celsius.0=77 celsius.1=78", 1);
    assert_int_equal(lmw_meter_device(m, at(m, "nvml:0"), &d, &err), LMW_OK);
    assert_int_equal(d.temperature_mc, 77000);
    assert_int_equal(lmw_meter_device(m, at(m, "nvml:1"), &d, &err), LMW_OK);
    assert_int_equal(d.temperature_mc, 78000);
    assert_int_equal(lmw_meter_device(m, at(m, "estimate"), &d, &err), LMW_EUNAVAILABLE);
    assert_says(err.msg, "nothing but its power");
    assert_int_equal(d.temperature_mc, LMW_NULL);
    lmw_meter_close(m);
}

/* ---- AMD ---- */

static void amd_boards_count_ticks_times_their_resolution(void **state)
{
    amd("devices=2 watts=300 watts.1=90");
    struct listing *l = look_closely();
    const struct lmw_source_info *s = named(l, "amdsmi:0");
    assert_true(s->chosen && named(l, "amdsmi:1")->chosen);
    assert_int_equal(s->reading, LMW_COUNTER);
    assert_int_equal(s->resolution_uj, 15);
    assert_string_equal(s->boundary, "board");
    assert_says(s->about, "they agree");
    const struct lmw_device *d = &s->device;
    assert_string_equal(d->model, "AMD Instinct MI210");
    assert_says(d->driver, "26.1.0");
    assert_int_equal(d->temperature_mc, 52000);
    assert_int_equal(d->memory_total, 64LL << 30);
    assert_int_equal(d->memory_used, 1LL << 30);
    assert_int_equal(d->busy_percent, 88);
    assert_int_equal(d->memory_busy_percent, LMW_NULL); /* 0xffff is no number */
    assert_int_equal(d->clock_mhz, 1700);
    assert_int_equal(d->memory_clock_mhz, 1600);
    assert_int_equal(d->throttled, LMW_NULL);
    assert_string_equal(getenv("FAKE_AMDSMI_OPEN"), "0");

    struct lmw_meter *m = begin("amdsmi:0");
    assert_energy(m, "FAKE_AMDSMI", "devices=2 watts=300", 300);
    lmw_meter_close(m);
}

static void every_release_s_layout_gives_the_power(void **state)
{
    static const char *const scripts[] = {"layout=5 energy=2",
                                          "layout=24 energy=2",
                                          "layout=25 energy=2",
                                          "layout=26 energy=2",
                                          "layout=24 current=100 energy=2",
                                          "layout=25 current=100 energy=2",
                                          "layout=26 current=100 energy=2"};
    for (int i = 0; i < 7; i++) {
        amd(scripts[i]);
        const struct lmw_source_info *s = named(look(NONE, "auto"), "amdsmi:0");
        assert_true(s->present);
        assert_int_equal(s->reading, LMW_POWER);
        /* The current power is the moment's; how long the average is over is not told. */
        assert_int_equal(s->window_ns, i < 4 ? LMW_NULL : 0);
        struct lmw_meter *m = begin("amdsmi:0");
        int64_t a = step(m, "FAKE_AMDSMI", scripts[i]), b = step(m, "FAKE_AMDSMI", scripts[i]);
        assert_int_equal(ask(m, a, b).power_mean_mw, 100000);
        lmw_meter_close(m);
    }
}

static void implausible_accumulators_are_not_used(void **state)
{
    static const struct {
        const char *script, *why;
    } cases[] = {{"percent=10", "where the power readings say 100.0 W"},
                 {"percent=900", "where the power readings say 100.0 W"},
                 {"stuck=1", "did not move"},
                 {"back=1", "ran backwards"},
                 {"nano=0 ticks=5", "no reading"}};
    for (int i = 0; i < 5; i++) {
        amd(cases[i].script);
        struct listing *l = look_closely();
        assert_true(named(l, "amdsmi:0")->chosen);
        assert_int_equal(named(l, "amdsmi:0")->reading, LMW_POWER);
        assert_says(named(l, "amdsmi:0")->about, cases[i].why);
    }
    amd("stuck=1 power=2");
    assert_says(named(look_closely(), "amdsmi:0")->reason, "did not move");
    amd("energy=2 power=2");
    assert_says(named(look_closely(), "amdsmi:0")->reason, "not supported");
    amd("energy=2 watts=0");
    assert_false(named(look_closely(), "amdsmi:0")->present);
}

static void an_accumulator_that_goes_back_later_is_given_up(void **state)
{
    amd("");
    struct lmw_meter *m = begin("amdsmi:0");
    double t = (double)mj_now() * 1e3 + 4e6;
    int64_t a = step_uj(m, t), b = step_uj(m, t + 2e6), c = step_uj(m, t - 1e7);
    int64_t d = step_uj(m, t + 4e6);
    step_uj(m, t + 6e6);
    assert_true(a < b);
    assert_int_equal(strncmp(ask(m, b, c).reason, "unreadable", 10), 0);
    assert_false(ask(m, c, d).valid);
    lmw_meter_close(m);
    /* Back to nearly nothing is a reset, and counting goes on. */
    amd("");
    m = begin("amdsmi:0");
    b = step_uj(m, (double)mj_now() * 1e3 + 4e6);
    c = step_uj(m, 15300);
    d = step_uj(m, 3e6);
    step_uj(m, 4e6);
    step_uj(m, 5e6);
    assert_int_equal(strncmp(ask(m, b, c).reason, "reset", 5), 0);
    assert_true(ask(m, c, d).valid);
    lmw_meter_close(m);
}

static void partitions_and_second_dies_are_not_counted_again(void **state)
{
    amd("devices=3 bus=32 bus.2=48");
    struct listing *l = look(NONE, "auto");
    assert_true(named(l, "amdsmi:0")->chosen && named(l, "amdsmi:2")->chosen);
    assert_false(named(l, "amdsmi:1")->chosen);
    assert_says(named(l, "amdsmi:1")->reason, "partition");
    assert_int_equal(look(NONE, "amdsmi:0,amdsmi:1")->n, LMW_EARG);
    amd("devices=2 model=AMD_Instinct_MI250X energy.1=2 power.1=2");
    l = look(NONE, "amdsmi");
    assert_true(named(l, "amdsmi:0")->chosen);
    assert_says(named(l, "amdsmi:1")->reason, "die before it");
}

static void an_apu_is_the_processor_again(void **state)
{
    amd("energy=2 bus=0xc1 devices=2");
    struct listing *l = look("tests/fixtures/sys-apu", "auto");
    assert_true(named(l, "rapl:package-0")->chosen);
    assert_false(named(l, "amdsmi:0")->present);
    assert_says(named(l, "amdsmi:0")->reason, "inside the processor");
    assert_int_equal(look("tests/fixtures/sys-apu", "amdsmi:0")->n, LMW_EUNAVAILABLE);
    amd("bus.0=0xc1 bus=0xc2 devices=2"); /* beside a board, it is not missing from the boards */
    l = look("tests/fixtures/sys-apu", "amdsmi");
    assert_true(named(l, "amdsmi:1")->chosen);
    amd("model=AMD_Instinct_MI300A");
    l = look("tests/fixtures/sys-apu", "auto");
    assert_true(named(l, "amdsmi:0")->chosen);
    assert_string_equal(named(l, "amdsmi:0")->boundary, "module");
    assert_false(named(l, "rapl:package-0")->chosen);
}

static void rocm_smi_stands_in(void **state)
{
    setenv("LMW_ROCMSMI", FAKE_DIR "fake_rocmsmi.so", 1);
    amd("init=34");
    struct listing *l = look_closely();
    const struct lmw_source_info *s = named(l, "amdsmi:0");
    assert_true(s->chosen);
    assert_says(s->about, "they agree");
    assert_string_equal(s->device.driver, "ROCm SMI");
    assert_string_equal(s->device.model, "Vega 20");
    assert_int_equal(s->device.temperature_mc, 47000);
    assert_int_equal(s->device.busy_percent, 5);
    assert_int_equal(s->device.memory_total, 16LL << 30);
    assert_string_equal(getenv("FAKE_ROCMSMI_OPEN"), "0");
    setenv("FAKE_ROCMSMI", "energy=2 type=1", 1);
    s = named(look(NONE, "auto"), "amdsmi:0");
    assert_int_equal(s->reading, LMW_POWER);
    assert_int_equal(s->window_ns, 0);
    setenv("FAKE_ROCMSMI", "energy=2 power=2", 1); /* releases without the newer call */
    assert_int_equal(named(look(NONE, "auto"), "amdsmi:0")->window_ns, LMW_NULL);
    setenv("FAKE_ROCMSMI", "percent=1000", 1);
    assert_says(named(look_closely(), "amdsmi:0")->about, "where the power readings say 60.0 W");
    setenv("FAKE_ROCMSMI", "devices=0", 1);
    assert_says(named(look(NONE, "auto"), "amdsmi")->reason, "shows no GPU");
}

static void amd_libraries_that_do_not_start_say_what_to_do(void **state)
{
    amd("init=34");
    assert_says(named(look(NONE, "auto"), "amdsmi")->reason, "modprobe amdgpu");
    amd("init=10");
    assert_says(named(look(NONE, "auto"), "amdsmi")->reason, "render");
    amd("init=18");
    assert_says(named(look(NONE, "auto"), "amdsmi")->reason, "STATUS_18");
    setenv("LMW_AMDSMI", FAKE_DIR "fake_empty.so", 1);
    assert_says(named(look(NONE, "auto"), "amdsmi")->reason, "amdsmi_init");
    setenv("LMW_AMDSMI", "/nowhere/libamd_smi.so", 1);
    setenv("LMW_ROCMSMI", "/nowhere/librocm_smi64.so", 1);
    assert_says(named(look(NONE, "auto"), "amdsmi")->reason, "neither AMD SMI nor ROCm SMI");
    assert_int_equal(look(NONE, "amdsmi")->n, LMW_EUNAVAILABLE);
}

#define T(name) cmocka_unit_test_setup(name, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(under_another_root_only_a_named_library_is_opened),
        T(no_library_is_no_driver_or_a_container_without_it),
        T(a_file_that_is_not_nvml_says_which_function_it_lacks),
        T(a_library_that_does_not_start_says_what_to_do),
        T(boards_are_counters_with_their_power_beside),
        T(a_board_and_its_own_power_are_not_added),
        T(a_device_says_what_it_can),
        T(an_old_library_is_asked_the_old_way),
        T(without_a_counter_power_is_integrated),
        T(what_tells_nothing_is_absent_and_never_zero),
        T(one_lost_board_does_not_hide_behind_the_others),
        T(a_mean_is_told_from_a_reading_of_the_moment),
        T(a_counter_is_held_against_the_power),
        T(a_counter_that_does_not_count_is_replaced),
        T(an_instance_of_mig_has_no_energy),
        T(grace_hopper_is_a_module),
        T(a_counter_of_the_gpu_alone_stays_a_board),
        T(boards_are_added_to_the_processor),
        T(a_battery_holds_the_boards_already),
        T(a_module_takes_the_place_of_its_processor),
        T(millijoules_become_a_query_s_joules),
        T(a_driver_loaded_again_is_a_reset),
        T(a_call_that_fails_takes_its_spans_and_no_other),
        T(power_is_integrated_and_zero_is_no_reading),
        T(the_library_is_opened_once_and_closed_at_the_end),
        T(a_running_meter_tells_the_device_s_state),
        T(amd_boards_count_ticks_times_their_resolution),
        T(every_release_s_layout_gives_the_power),
        T(implausible_accumulators_are_not_used),
        T(an_accumulator_that_goes_back_later_is_given_up),
        T(partitions_and_second_dies_are_not_counted_again),
        T(an_apu_is_the_processor_again),
        T(rocm_smi_stands_in),
        T(amd_libraries_that_do_not_start_say_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
