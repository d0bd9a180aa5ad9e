/* The meter's sources, on trees that stand for machines: what is there, what makes the total, and
 * what happens when a file changes its mind in the middle of a run. */
#include "meter_list.h"
#include "meter_machine.h"

#include <math.h>
#include <unistd.h>

#include "base/clock.h"

static void server_counts_packages_and_memory_once(void **state)
{
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    int n = list("tests/fixtures/sys-server", "auto", s, &err);
    static const char *const chosen[] = {"rapl:package-0", "rapl:package-1", "rapl:dram-0",
                                         "rapl:dram-1"};
    static const char *const not_chosen[] = {"rapl:core-0", "rapl:core-1", "rapl:psys",
                                             "rapl:mmio-package-0", "estimate"};
    for (int i = 0; i < 4; i++) {
        assert_true(named(s, n, chosen[i])->present);
        assert_true(named(s, n, chosen[i])->chosen);
    }
    for (int i = 0; i < 5; i++) {
        assert_true(named(s, n, not_chosen[i])->present);
        assert_false(named(s, n, not_chosen[i])->chosen);
        assert_string_not_equal(named(s, n, not_chosen[i])->reason, "");
    }
    assert_int_equal(named(s, n, "rapl:dram-1")->wrap_uj, 65712999613);
    assert_string_equal(named(s, n, "rapl:dram-1")->boundary, "memory");
    assert_string_equal(named(s, n, "rapl:package-1")->boundary, "chip");
    assert_false(named(s, n, "battery")->present);
}

static void nested_rails_are_refused_as_a_total(void **state)
{
    struct lmw_source_info s[CAP];
    static const char *const bad[] = {"rapl:package-0,rapl:core-0", "rapl,rapl:psys",
                                      "rapl:package-0,rapl:mmio-package-0", "rapl,estimate"};
    for (int i = 0; i < 4; i++) {
        struct lmw_err err = {0};
        assert_int_equal(list("tests/fixtures/sys-server", bad[i], s, &err), LMW_EARG);
        assert_non_null(strstr(err.msg, "contains"));
    }
    struct lmw_err err = {0};
    int n = list("tests/fixtures/sys-server", "rapl:psys", s, &err);
    assert_true(n > 0);
    assert_true(named(s, n, "rapl:psys")->chosen);
    assert_false(named(s, n, "rapl:package-0")->chosen);
}

static void a_rail_that_may_not_be_read_says_so(void **state)
{
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    int n = list("tests/fixtures/sys-locked", "auto", s, &err);
    const struct lmw_source_info *p = named(s, n, "rapl:package-0");
    assert_false(p->present);
    assert_non_null(strstr(p->reason, "intel-rapl:0/energy_uj"));
    assert_non_null(strstr(p->reason, "udev"));
    assert_non_null(strstr(p->reason, "root"));
    assert_true(named(s, n, "estimate")->chosen);
    /* Asked for by name it is an error, not another source. */
    assert_int_equal(list("tests/fixtures/sys-locked", "rapl", s, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "energy_uj"));
}

static void nothing_but_the_estimate(void **state)
{
    struct lmw_meter_opts o = {.sysroot = "tests/fixtures/sys-none", .sources = "auto"};
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    struct lmw_meter *m;
    int n = list("tests/fixtures/sys-none", "auto", s, &err);
    assert_false(named(s, n, "rapl")->present);
    assert_non_null(strstr(named(s, n, "rapl")->reason, "powercap"));
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_OK);
    assert_string_equal(lmw_meter_basis(m), "~estimate");
    lmw_meter_close(m);
    o.sysroot = "tests/fixtures/not-there";
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_OK);
    assert_string_equal(lmw_meter_basis(m), "none");
    struct lmw_span span = {1, LMW_NULL, 2};
    struct lmw_energy e;
    assert_int_equal(lmw_meter_start(m, &err), LMW_OK);
    assert_int_equal(lmw_meter_span(m, &span, &e, &err), LMW_OK);
    assert_false(e.valid);
    assert_string_equal(e.reason, "no source");
    assert_int_equal(e.energy_uj, LMW_NULL);
    assert_int_equal(lmw_meter_power_mw(m, lmw_now_ns() - 1000000), LMW_NULL);
    lmw_meter_close(m);
}

/* Neither a span nor an idle baseline makes 0 W of it. */
static void a_counter_that_stands_still_is_no_power(void **state)
{
    struct lmw_meter_opts o = {.sysroot = "tests/fixtures/sys-server", .sources = "rapl"};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_OK);
    assert_int_equal(lmw_meter_start(m, &err), LMW_OK);
    lmw_meter_mark(m);
    lmw_sleep_until_ns(lmw_now_ns() + 120000000);
    lmw_meter_mark(m);
    assert_int_equal(lmw_meter_power_mw(m, lmw_now_ns() - 1000000000), LMW_NULL);
    lmw_meter_close(m);
}

static void words_that_name_no_source_are_refused(void **state)
{
    struct lmw_source_info s[CAP];
    static const char *const bad[] = {"nvml",
                                      "rapl:package-7",
                                      "battery",
                                      "estimate:5",
                                      "estimate:50,5",
                                      "estimate:a,b",
                                      "replay:",
                                      "replay:tests/fixtures/none.csv",
                                      ","};
    for (int i = 0; i < 9; i++) {
        struct lmw_err err = {0};
        assert_true(list("tests/fixtures/sys-server", bad[i], s, &err) < 0);
        assert_true(strlen(err.msg) > 10);
    }
}

/* ---- a machine whose files change ---- */

#define PACKAGE "sys/class/powercap/intel-rapl:0/"

static void energy(const struct machine *x, long long uj)
{
    put(x, PACKAGE "energy_uj", "%lld\n", uj);
}

/* A machine with one package of range 262143 J, metered by marks alone. */
static void begin(struct machine *x)
{
    *x = empty_machine();
    put(x, PACKAGE "name", "package-0\n");
    put(x, PACKAGE "max_energy_range_uj", "262143000000\n");
    energy(x, 100000000);
}

/* Waits 20 ms, sets the counter, marks. */
static int64_t step(struct machine *x, long long uj)
{
    lmw_sleep_until_ns(lmw_now_ns() + 20000000);
    energy(x, uj);
    return lmw_meter_mark(x->m);
}

/* Nothing is read between them: a sampler that got no processor costs no baseline. */
static void power_from_a_mark_to_now_needs_the_two_marks_only(void **state)
{
    struct machine x;
    begin(&x);
    start(&x, "rapl");
    int64_t a = step(&x, 101000000), b = step(&x, 105000000);
    int64_t mw = (int64_t)llround(4e12 / (double)(b - a));
    assert_int_equal(lmw_meter_power_mw(x.m, a), mw);
    assert_int_equal(lmw_meter_power_mw(x.m, b - 1), mw);
    assert_int_equal(lmw_meter_power_mw(x.m, b), LMW_NULL);
    end(&x);
}

/* A busy machine takes uneven steps: some joules of one may then be told of the next, and bounds
 * say so. Between readings there is no more doubt than the counter's own steps leave. */
static void assert_joules(const struct lmw_energy *e, int64_t joules)
{
    assert_true(e->valid);
    assert_true(e->lower_uj <= joules * 1000000 && joules * 1000000 <= e->upper_uj);
    assert_true(e->lower_uj <= e->energy_uj && e->energy_uj <= e->upper_uj);
    assert_true(e->upper_uj - e->lower_uj <= 2 * joules * 1000000);
}

static void a_span_is_pending_until_the_counter_has_moved_on(void **state)
{
    struct machine x;
    begin(&x);
    start(&x, "rapl");
    assert_string_equal(lmw_meter_basis(x.m), "rapl:package-0");
    int64_t a = step(&x, 101000000), b = step(&x, 106000000);
    assert_string_equal(ask(&x, a, b).reason, "pending");
    step(&x, 107000000);
    step(&x, 108000000);
    struct lmw_energy e = ask(&x, a, b);
    assert_joules(&e, 5);
    assert_string_equal(e.method, "counter");
    end(&x);
}

static void spans_that_overlap_share_the_total(void **state)
{
    struct machine x;
    struct lmw_energy e[2];
    begin(&x);
    start(&x, "rapl");
    int64_t a = step(&x, 101000000), b = step(&x, 103000000), c = step(&x, 107000000);
    int64_t d = step(&x, 108000000);
    struct lmw_span spans[] = {{a, LMW_NULL, c}, {b, LMW_NULL, d}};
    assert_int_equal(lmw_meter_share(x.m, spans, NULL, 2, e, &x.err), LMW_OK);
    assert_string_equal(e[0].reason, "pending");
    step(&x, 109000000);
    step(&x, 110000000);
    assert_int_equal(lmw_meter_share(x.m, spans, NULL, 2, e, &x.err), LMW_OK);
    assert_string_equal(e[0].method, "shared");
    assert_joules(&e[0], 4); /* 2 J, and half of 4 */
    assert_joules(&e[1], 3);
    end(&x);
}

static void a_wrap_is_counted(void **state)
{
    struct machine x;
    begin(&x);
    energy(&x, 262139000000);
    start(&x, "rapl");
    int64_t a = step(&x, 262140000000), b = step(&x, 2000000);
    step(&x, 3000000);
    step(&x, 4000000);
    struct lmw_energy e = ask(&x, a, b);
    assert_joules(&e, 5);
    assert_int_equal(e.n_wrap, 1);
    end(&x);
}

static void a_reset_takes_the_spans_it_touches_and_no_other(void **state)
{
    struct machine x;
    begin(&x);
    start(&x, "rapl");
    int64_t a = step(&x, 101000000), b = step(&x, 106000000), c = step(&x, 1000000);
    int64_t d = step(&x, 3000000);
    step(&x, 4000000);
    step(&x, 5000000);
    assert_true(ask(&x, a, b).valid);
    struct lmw_energy e = ask(&x, b, c);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "reset", 5), 0);
    assert_int_equal(e.n_reset, 1);
    assert_int_equal(e.energy_uj, LMW_NULL);
    e = ask(&x, c, d);
    assert_joules(&e, 2);
    end(&x);
}

static void a_source_that_goes_away_takes_its_spans(void **state)
{
    struct machine x;
    char path[128];
    begin(&x);
    start(&x, "rapl");
    int64_t a = step(&x, 101000000), b = step(&x, 106000000);
    snprintf(path, sizeof path, "%s/" PACKAGE "energy_uj", x.root);
    assert_int_equal(unlink(path), 0);
    int64_t c = lmw_meter_mark(x.m);
    int64_t d = step(&x, 110000000), e = step(&x, 111000000);
    step(&x, 112000000);
    step(&x, 113000000);
    assert_true(ask(&x, a, b).valid);
    struct lmw_energy lost = ask(&x, b, c);
    assert_false(lost.valid);
    assert_int_equal(strncmp(lost.reason, "unreadable: rapl:package-0", 26), 0);
    assert_non_null(strstr(lost.reason, path)); /* what is gone, where, and what to do */
    assert_non_null(strstr(lost.reason, "No such file"));
    assert_non_null(strstr(lost.reason, "bring it back"));
    assert_true(ask(&x, d, e).valid);
    end(&x);
}

static int count_block(void *arg, const struct lmw_source_info *source, const void *bytes,
                       size_t n, struct lmw_err *err)
{
    struct lmw_trace *t;
    assert_int_equal(lmw_trace_open(&t, NULL, err), LMW_OK);
    assert_int_equal(lmw_trace_block(t, bytes, n, err), LMW_OK);
    *(int64_t *)arg += lmw_trace_n(t);
    lmw_trace_close(t);
    return LMW_OK;
}

/* A ring that was not drained in time: what the store lacks is known. */
static void samples_that_were_overwritten_are_counted(void **state)
{
    enum { RING = 4096, MARKS = 3 * RING };
    struct machine x;
    struct lmw_err err = {0};
    int64_t n = 0;
    begin(&x);
    struct lmw_meter_opts o = {
        .sysroot = x.root, .sources = "rapl", .rate_hz = 0.001, .max_samples = RING};
    assert_int_equal(lmw_meter_open(&x.m, &o, &err), LMW_OK);
    assert_int_equal(lmw_meter_start(x.m, &err), LMW_OK);
    assert_int_equal(lmw_meter_drain(x.m, count_block, &n, &err), LMW_OK);
    assert_int_equal(n, 1);
    assert_int_equal(lmw_meter_lost(x.m), 0);
    for (int i = 0; i < MARKS; i++)
        lmw_meter_mark(x.m);
    assert_int_equal(lmw_meter_drain(x.m, count_block, &n, &err), LMW_OK);
    assert_true(lmw_meter_lost(x.m) >= MARKS - RING);
    assert_int_equal(n + lmw_meter_lost(x.m), 1 + MARKS);
    end(&x);
}

static void battery_power_has_no_sign_and_needs_discharging(void **state)
{
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    struct machine x;
    int n = list("tests/fixtures/sys-laptop", "auto", s, &err);
    assert_true(named(s, n, "battery:BAT0")->chosen);
    for (int i = 0; i < n; i++)
        assert_null(strstr(s[i].name, "hidpp"));

    x = empty_machine();
    put(&x, "sys/class/power_supply/BAT0/type", "Battery\n");
    put(&x, "sys/class/power_supply/BAT0/status", "Discharging\n");
    put(&x, "sys/class/power_supply/BAT0/power_now", "-12000000\n");
    start(&x, "battery");
    int64_t a = lmw_meter_mark(x.m);
    lmw_sleep_until_ns(lmw_now_ns() + 30000000);
    int64_t b = lmw_meter_mark(x.m);
    struct lmw_energy e = ask(&x, a, b);
    assert_true(e.valid);
    assert_string_equal(e.method, "integral");
    assert_int_equal(e.power_mean_mw, 12000);
    /* Plugged in: what the battery says is no longer the machine's power. */
    put(&x, "sys/class/power_supply/BAT0/status", "Charging\n");
    int64_t c = lmw_meter_mark(x.m);
    e = ask(&x, b, c);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "unreadable", 10), 0);
    end(&x);
}

/* What auto takes of the tree, as energy_basis would have it. */
static const char *chosen(const char *root)
{
    static char out[256];
    struct lmw_source_info s[CAP];
    struct lmw_err err = {0};
    size_t at = 0;
    int n = list(root, "auto", s, &err);
    out[0] = 0;
    for (int i = 0; i < n; i++) {
        if (s[i].chosen)
            at += (size_t)snprintf(out + at, sizeof out - at, "%s%s", at ? "+" : "", s[i].name);
    }
    return out;
}

static void zone(const struct machine *x, const char *folder, const char *name)
{
    char path[128];
    const char *const files[] = {"name", "max_energy_range_uj", "energy_uj"};
    const char *const text[] = {name, "262143328850", "  77000000 \r"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "sys/%s/%s", folder, files[i]);
        put(x, path, "%s\n", text[i]);
    }
}

static struct machine bare(void)
{
    struct machine x = empty_machine();
    put(&x, "proc/stat", "cpu  9 0 9 9 0 0 0\ncpu0 9 0 9 9 0 0 0\n");
    return x;
}

/* Whichever register it is read by, and also where firmware gives two zones one name. */
static void a_package_is_counted_once(void **state)
{
    struct machine x = bare();
    zone(&x, "class/powercap/intel-rapl-mmio:0", "package-0");
    assert_string_equal(chosen(x.root), "rapl:mmio-package-0"); /* there is nothing else */
    zone(&x, "class/powercap/intel-rapl:0", "package-0 \r");
    assert_string_equal(chosen(x.root), "rapl:package-0");
    zone(&x, "class/powercap/intel-rapl:1", "package-0");
    assert_string_equal(chosen(x.root), "rapl:package-0");
    put(&x, "sys/class/powercap/intel-rapl:0/energy_uj", "-1\n");
    put(&x, "sys/class/powercap/intel-rapl:1/energy_uj", "\n");
    assert_string_equal(chosen(x.root), "rapl:mmio-package-0");
    remove_root(&x);
}

static void a_basis_names_all_its_rails(void **state)
{
    struct machine x = bare();
    struct lmw_rail rails[LMW_MAX_RAIL];
    struct lmw_energy e;
    for (int i = 0; i < 40; i++) {
        char path[128], name[32];
        snprintf(path, sizeof path, "class/powercap/intel-rapl:%d", i);
        snprintf(name, sizeof name, "package-%d", i);
        zone(&x, path, name);
    }
    start(&x, "rapl");
    const char *basis = lmw_meter_basis(x.m);
    assert_string_equal(basis + strlen(basis) - 16, "+rapl:package-39");
    struct lmw_span span = {lmw_meter_mark(x.m), LMW_NULL, lmw_meter_mark(x.m)};
    assert_int_equal(lmw_meter_rails(x.m, &span, &e, rails, LMW_MAX_RAIL, &x.err), 40);
    assert_string_equal(rails[39].name, "rapl:package-39");
    end(&x);
}

static void zones_are_found_without_their_links(void **state)
{
    static const char *const roots[] = {"class/powercap", "devices/virtual/powercap"};
    for (int i = 0; i < 2; i++) {
        struct machine x = bare();
        char path[128];
        snprintf(path, sizeof path, "%s/intel-rapl/intel-rapl:0", roots[i]);
        zone(&x, path, "package-0");
        snprintf(path, sizeof path, "%s/intel-rapl/intel-rapl:0/intel-rapl:0:0", roots[i]);
        zone(&x, path, "core");
        snprintf(path, sizeof path, "%s/intel-rapl/intel-rapl:0/intel-rapl:0:1", roots[i]);
        zone(&x, path, "dram");
        assert_string_equal(chosen(x.root), "rapl:package-0+rapl:dram-0");
        remove_root(&x);
    }
}

/* Half a machine's joules would look like a better machine. */
static void a_total_says_what_it_lacks(void **state)
{
    struct machine x = bare();
    struct lmw_source_info s[CAP];
    zone(&x, "class/powercap/intel-rapl:0", "package-0");
    zone(&x, "class/powercap/intel-rapl:1", "package-1");
    put(&x, "sys/class/powercap/intel-rapl:1/energy_uj", "99999999999999999999999\n");
    int n = list(x.root, "auto", s, &x.err);
    assert_true(named(s, n, "rapl:package-0")->chosen);
    assert_non_null(strstr(named(s, n, "rapl:package-0")->about, "lacks rapl:package-1"));
    assert_null(strstr(named(s, n, "rapl:package-1")->reason, "root")); /* no permission helps */
    assert_int_equal(list(x.root, "rapl", s, &x.err), LMW_EUNAVAILABLE);
    /* A kind of which all can be read is better. */
    put(&x, "sys/class/power_supply/BAT0/type", "Battery\n");
    put(&x, "sys/class/power_supply/BAT0/status", "Discharging\n");
    put(&x, "sys/class/power_supply/BAT0/power_now", "12000000\n");
    assert_string_equal(chosen(x.root), "battery:BAT0");
    remove_root(&x);
}

static void pack(const struct machine *x, const char *name, const char *status, long long uw)
{
    char path[128];
    snprintf(path, sizeof path, "sys/class/power_supply/%s/type", name);
    put(x, path, "Battery\n");
    snprintf(path, sizeof path, "sys/class/power_supply/%s/status", name);
    put(x, path, "%s\n", status);
    snprintf(path, sizeof path, "sys/class/power_supply/%s/power_now", name);
    put(x, path, "%lld\n", uw);
}

/* Firmware empties one pack after the other. */
static void of_two_batteries_one_may_rest(void **state)
{
    struct machine x = bare();
    pack(&x, "BAT0", "Not charging", 0);
    pack(&x, "BAT1", "Discharging \r", 9000000);
    assert_string_equal(chosen(x.root), "battery:BAT0+battery:BAT1");
    start(&x, "battery");
    int64_t a = lmw_meter_mark(x.m);
    lmw_sleep_until_ns(lmw_now_ns() + 20000000);
    int64_t b = lmw_meter_mark(x.m);
    assert_int_equal(ask(&x, a, b).power_mean_mw, 9000);
    pack(&x, "BAT1", "Full", 0); /* the charger came: nothing is 0 W now */
    int64_t c = lmw_meter_mark(x.m);
    assert_false(ask(&x, b, c).valid);
    end(&x);
}

static void a_battery_beside_a_charger_is_not_the_machine(void **state)
{
    struct machine x = bare();
    struct lmw_source_info s[CAP];
    pack(&x, "BAT0", "Charging", 9000000);
    pack(&x, "BAT1", "Discharging", 9000000);
    assert_string_equal(chosen(x.root), "estimate");
    pack(&x, "BAT0", "Discharging", 9000000);
    put(&x, "sys/class/power_supply/ucsi-source-psy-1/type", "USB\n");
    put(&x, "sys/class/power_supply/ucsi-source-psy-1/online", "0\n");
    assert_string_equal(chosen(x.root), "battery:BAT0+battery:BAT1");
    put(&x, "sys/class/power_supply/ucsi-source-psy-1/online", "1\n");
    assert_string_equal(chosen(x.root), "estimate");
    assert_int_equal(list(x.root, "battery", s, &x.err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(x.err.msg, "ucsi-source-psy-1"));
    assert_true(list(x.root, "battery:BAT0", s, &x.err) > 0);
    remove_root(&x);
}

/* Firmware that has current and voltage may give 0 for their product. */
static void battery_power_of_0_is_no_reading(void **state)
{
    struct machine x = bare();
    pack(&x, "BAT0", "Discharging", 0);
    assert_string_equal(chosen(x.root), "estimate");
    pack(&x, "BAT0", "Discharging", 0xffffffff);
    assert_string_equal(chosen(x.root), "estimate");
    put(&x, "sys/class/power_supply/BAT0/current_now", "-1000000\n");
    put(&x, "sys/class/power_supply/BAT0/voltage_now", "12000000\n");
    assert_string_equal(chosen(x.root), "battery:BAT0");
    remove_root(&x);
}

static void battery_from_current_and_voltage(void **state)
{
    struct lmw_meter_opts o = {
        .sysroot = "tests/fixtures/sys-laptop", .sources = "auto", .rate_hz = 0.001};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_OK);
    assert_string_equal(lmw_meter_basis(m), "battery:BAT0");
    assert_int_equal(lmw_meter_start(m, &err), LMW_OK);
    lmw_sleep_until_ns(lmw_now_ns() + 5000000);
    lmw_meter_mark(m);
    assert_int_equal(lmw_meter_power_mw(m, lmw_now_ns() - 1000000000), 17100); /* 1.5 A x 11.4 V */
    lmw_meter_close(m);
}

static void busy(const struct machine *x, int ticks)
{
    put(x, "proc/stat",
        "cpu  %d 0 0 1000 0 0 0 0 0 0\ncpu0 %d 0 0 500 0 0 0\ncpu1 0 0 0 500 0 0 0\n", ticks,
        ticks);
}

static void estimate_follows_the_busy_share(void **state)
{
    struct machine x = empty_machine();
    busy(&x, 100);
    start(&x, "estimate:10,110");
    assert_string_equal(lmw_meter_basis(x.m), "~estimate");
    int64_t a = lmw_meter_mark(x.m);
    lmw_sleep_until_ns(lmw_now_ns() + 100000000);
    /* 10 ticks of 10 ms on one of two processors: 50 ms of the whole machine at 100 W more: 5 J.
     */
    busy(&x, 110);
    int64_t b = lmw_meter_mark(x.m);
    for (int i = 0; i < 3; i++) {
        lmw_sleep_until_ns(lmw_now_ns() + 20000000);
        lmw_meter_mark(x.m);
    }
    struct lmw_energy e = ask(&x, a, b);
    double idle_uj = 10 * (double)(b - a) * 1e-3;
    assert_true(e.valid);
    assert_string_equal(e.method, "estimate");
    assert_true(fabs((double)e.energy_uj - idle_uj - 5e6) < 1.0e6); /* two ticks of 10 ms */
    assert_true(e.lower_uj <= e.energy_uj / 2 + 1 && e.upper_uj >= e.energy_uj * 3 / 2 - 1);
    end(&x);
}

static void a_large_machine_has_all_its_processors(void **state)
{
    enum { N = 700 };
    struct machine x = empty_machine();
    struct lmw_source_info s[32];
    struct lmw_buf text = {0};
    lmw_buf_str(&text, "cpu  700000000 0 0 700000000 0 0 0 0 0 0\n");
    for (int i = 0; i < N; i++)
        lmw_buf_printf(&text, "cpu%d 1000000 200000 3000000 4000000 500000 0 60000 7000 0 0\n", i);
    put(&x, "proc/stat", "%s", text.ptr);
    lmw_buf_free(&text);
    int n = list(x.root, "estimate", s, &x.err);
    assert_non_null(
        strstr(named(s, n, "estimate")->about, "700 W idle to 3500 W with 700 processors"));
    remove_root(&x);
}

/* Where /proc/uptime is there, it tells what happens within a second, and /proc/stat how much of
 * it was no work. */
static void estimate_asks_the_quick_file_in_between(void **state)
{
    struct machine x = empty_machine();
    busy(&x, 100);
    put(&x, "proc/uptime", "1000.00 1900.00\n");
    start(&x, "estimate:10,110");
    int64_t a = lmw_meter_mark(x.m);
    lmw_sleep_until_ns(lmw_now_ns() + 300000000);
    /* Up 300 ms, two processors, 500 ms idle: 100 ms busy, 50 ms of the whole machine; for
     * /proc/stat it was 40 ms, the rest was stolen. */
    put(&x, "proc/uptime", "1000.30 1900.50\n");
    int64_t b = lmw_meter_mark(x.m);
    busy(&x, 104);
    lmw_sleep_until_ns(lmw_now_ns() + 1000000000);
    put(&x, "proc/uptime", "1001.30 1902.50\n");
    int64_t c = lmw_meter_mark(x.m);
    busy(&x, 120);
    lmw_sleep_until_ns(lmw_now_ns() + 1000000000);
    int64_t d = lmw_meter_mark(x.m);
    for (int i = 0; i < 3; i++) {
        lmw_sleep_until_ns(lmw_now_ns() + 20000000);
        lmw_meter_mark(x.m);
    }
    double idle_w = 10e-3;   /* uJ/ns */
    if (b - a < 900000000) { /* else a busy machine took so long that /proc/stat was asked */
        assert_true(fabs((double)ask(&x, a, b).energy_uj - idle_w * (double)(b - a) - 5e6) < 1e6);
        /* Never backwards: what was told too much is not told again. */
        assert_true(fabs((double)ask(&x, b, c).energy_uj - idle_w * (double)(c - b)) < 1e6);
    }
    assert_true(fabs((double)ask(&x, a, d).energy_uj - idle_w * (double)(d - a) - 10e6) < 1e6);
    end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_counts_packages_and_memory_once),
        cmocka_unit_test(nested_rails_are_refused_as_a_total),
        cmocka_unit_test(a_rail_that_may_not_be_read_says_so),
        cmocka_unit_test(nothing_but_the_estimate),
        cmocka_unit_test(a_counter_that_stands_still_is_no_power),
        cmocka_unit_test(words_that_name_no_source_are_refused),
        cmocka_unit_test(power_from_a_mark_to_now_needs_the_two_marks_only),
        cmocka_unit_test(a_span_is_pending_until_the_counter_has_moved_on),
        cmocka_unit_test(spans_that_overlap_share_the_total),
        cmocka_unit_test(a_wrap_is_counted),
        cmocka_unit_test(a_reset_takes_the_spans_it_touches_and_no_other),
        cmocka_unit_test(a_source_that_goes_away_takes_its_spans),
        cmocka_unit_test(samples_that_were_overwritten_are_counted),
        cmocka_unit_test(battery_power_has_no_sign_and_needs_discharging),
        cmocka_unit_test(a_package_is_counted_once),
        cmocka_unit_test(a_basis_names_all_its_rails),
        cmocka_unit_test(zones_are_found_without_their_links),
        cmocka_unit_test(a_total_says_what_it_lacks),
        cmocka_unit_test(of_two_batteries_one_may_rest),
        cmocka_unit_test(a_battery_beside_a_charger_is_not_the_machine),
        cmocka_unit_test(battery_power_of_0_is_no_reading),
        cmocka_unit_test(battery_from_current_and_voltage),
        cmocka_unit_test(estimate_follows_the_busy_share),
        cmocka_unit_test(a_large_machine_has_all_its_processors),
        cmocka_unit_test(estimate_asks_the_quick_file_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
