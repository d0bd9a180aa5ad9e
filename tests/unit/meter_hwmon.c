/* The chips of /sys/class/hwmon, on trees that stand for machines: cards, boards, servers; which
 * of their rails make the total, and what is not a reading. */
#include "meter_machine.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- a machine made here ---- */

static void begin(struct machine *x)
{
    *x = empty_machine();
}

/* hwmonN, on a device of this name; then its attributes by put() under "hwmonN". */
static void chip(const struct machine *x, int n, const char *name, const char *device)
{
    char path[256], to[256];
    snprintf(path, sizeof path, "sys/class/hwmon/hwmon%d/name", n);
    put(x, path, "%s\n", name);
    snprintf(path, sizeof path, "%s/sys/devices/%s", x->root, device);
    assert_int_equal(lmw_mkdirs(path, NULL), LMW_OK);
    snprintf(path, sizeof path, "%s/sys/class/hwmon/hwmon%d/device", x->root, n);
    snprintf(to, sizeof to, "../../../devices/%s", device);
    assert_int_equal(symlink(to, path), 0);
}

static void value(const struct machine *x, int n, const char *attribute, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "sys/class/hwmon/hwmon%d/%s", n, attribute);
    put(x, path, "%s\n", text);
}

/* A file that is there and cannot be read, also by root. */
static void unreadable(const struct machine *x, const char *path)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", x->root, path);
    unlink(name);
    assert_int_equal(lmw_mkdirs(name, NULL), LMW_OK);
}

static void package(const struct machine *x)
{
    put(x, "sys/class/powercap/intel-rapl:0/name", "package-0\n");
    put(x, "sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
    put(x, "sys/class/powercap/intel-rapl:0/energy_uj", "100000000\n");
}

/* ---- asking ---- */

static int open_files(void)
{
    struct dirent **names;
    int n = scandir("/proc/self/fd", &names, NULL, NULL);
    assert_true(n > 0);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return n;
}

static int try_list(struct machine *x, const char *sources)
{
    struct lmw_meter_opts o = {.sysroot = x->root, .sources = sources};
    x->err = (struct lmw_err){0};
    x->n = lmw_meter_list(&o, x->s, MAX_LISTED, &x->err);
    return x->n;
}

static void list(struct machine *x, const char *sources)
{
    assert_true(try_list(x, sources) > 0);
}

static void list_fixture(struct machine *x, const char *name, const char *sources)
{
    *x = (struct machine){0};
    snprintf(x->root, sizeof x->root, "tests/fixtures/%s", name);
    list(x, sources);
}

static const struct lmw_source_info *find(const struct machine *x, const char *name)
{
    for (int i = 0; i < x->n; i++) {
        if (strcmp(x->s[i].name, name) == 0)
            return &x->s[i];
    }
    return NULL;
}

static const struct lmw_source_info *named(const struct machine *x, const char *name)
{
    const struct lmw_source_info *s = find(x, name);
    if (!s)
        fail_msg("no source %s", name);
    return s;
}

/* The names of what was chosen, as energy_basis would have them. */
static const char *chosen(const struct machine *x)
{
    static char out[512];
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < x->n; i++) {
        if (x->s[i].chosen)
            at += (size_t)snprintf(out + at, sizeof out - at, "%s%s", at ? "+" : "", x->s[i].name);
    }
    return out;
}

static void absent(const struct machine *x, const char *name, const char *word)
{
    const struct lmw_source_info *s = named(x, name);
    assert_false(s->present);
    assert_false(s->chosen);
    if (!strstr(s->reason, word))
        fail_msg("%s: '%s' does not say '%s'", name, s->reason, word);
}

static int64_t mark(struct machine *x)
{
    lmw_sleep_until_ns(lmw_now_ns() + 20000000);
    return lmw_meter_mark(x->m);
}

/* Mean power of the total between two marks, mW. */
static int64_t measure(struct machine *x, const char *sources)
{
    enum { N_READ = 16 };
    start(x, sources);
    int64_t late_ns = 0;
    for (int i = 0; i < lmw_meter_n_source(x->m); i++) {
        const struct lmw_source_info *s = lmw_meter_source(x->m, i);
        int64_t late = s->window_ns + (s->period_ns != LMW_NULL ? s->period_ns : 0);
        if (s->chosen && s->window_ns > 0 && late > late_ns)
            late_ns = late;
    }
    int64_t a = mark(x), b = a;
    for (int i = 0; i < N_READ && (b - a < 2 * late_ns || i == 0); i++) {
        lmw_sleep_until_ns(b + 2 * late_ns / N_READ);
        b = mark(x);
    }
    lmw_sleep_until_ns(b + late_ns);
    mark(x); /* what is said of the end is said a window and a period later */
    struct lmw_energy e = ask(x, a, b);
    if (!e.valid)
        fail_msg("%s", e.reason);
    assert_string_equal(e.method, "integral");
    lmw_meter_close(x->m);
    x->m = NULL;
    return e.power_mean_mw;
}

/* ---- AMD cards ---- */

static void a_card_is_added_to_the_processor(void **state)
{
    struct machine x;
    list_fixture(&x, "sys-amd", "auto");
    assert_string_equal(chosen(&x), "rapl:package-0+amdgpu:0000:03:00.0");
    const struct lmw_source_info *card = named(&x, "amdgpu:0000:03:00.0");
    assert_string_equal(card->boundary, "board");
    assert_int_equal(card->reading, LMW_POWER);
    assert_int_equal(card->window_ns, LMW_NULL); /* a mean of a time that nobody states */
    assert_non_null(strstr(card->about, "card1"));
    assert_non_null(strstr(card->about, "PPT"));
    assert_int_equal(measure(&x, "amdgpu:0000:03:00.0"), 35250);
    list(&x, "rapl");
    assert_string_equal(chosen(&x), "rapl:package-0");
    assert_string_equal(named(&x, "amdgpu:0000:03:00.0")->reason, "not asked for");
}

/* Trees copied without links: the class names no device, or has no chips at all. */
static void cards_are_told_apart_without_links(void **state)
{
    struct machine x;
    begin(&x);
    for (int i = 1; i <= 2; i++) {
        char path[128];
        value(&x, i, "name", "amdgpu");
        value(&x, i, "power1_average", "20000000");
        snprintf(path, sizeof path, "sys/class/drm/card%d/device/uevent", i);
        put(&x, path, "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:%02x:00.0\n", 2 * i);
        snprintf(path, sizeof path, "sys/class/drm/card%d/device/hwmon/hwmon%d/name", i, i + 1);
        put(&x, path, "amdgpu\n");
        snprintf(path, sizeof path, "sys/class/drm/card%d/device/hwmon/hwmon%d/power1_input", i,
                 i + 1);
        put(&x, path, "30000000\n");
    }
    list(&x, "auto");
    /* hwmon2 is there twice, and counted once. */
    assert_string_equal(chosen(&x), "amdgpu:hwmon1+amdgpu:hwmon2+amdgpu:0000:04:00.0");
    end(&x);
}

static void a_card_is_inside_what_feeds_its_host(void **state)
{
    struct machine x;
    begin(&x);
    chip(&x, 0, "amdgpu", "0000:03:00.0");
    value(&x, 0, "power1_input", "20000000");
    put(&x, "proc/stat", "cpu  9 0 9 9 0 0 0\ncpu0 9 0 9 9 0 0 0\n");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "amdgpu:0000:03:00.0"); /* a model is added to nothing */
    chip(&x, 1, "corsairpsu", "0003:1B1C:1C0A.0004");
    value(&x, 1, "power1_input", "180000000");
    value(&x, 1, "power1_label", "power total");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "hwmon:corsairpsu:power_total");
    assert_string_equal(named(&x, "amdgpu:0000:03:00.0")->reason,
                        "already inside hwmon:corsairpsu:power_total");
    assert_int_equal(try_list(&x, "amdgpu,hwmon"), LMW_EARG);
    end(&x);
}

static void a_sleeping_card_is_not_0_watts(void **state)
{
    struct machine x;
    list_fixture(&x, "sys-amd", "auto");
    absent(&x, "amdgpu:0000:0a:00.0", "sleeps");
    /* All cards are asked for, and one cannot say. */
    assert_int_equal(try_list(&x, "amdgpu"), LMW_EUNAVAILABLE);
    assert_non_null(strstr(x.err.msg, "0000:0a:00.0"));

    begin(&x);
    chip(&x, 0, "amdgpu", "0000:03:00.0");
    value(&x, 0, "power1_average", "0");
    list(&x, "none");
    absent(&x, "amdgpu:0000:03:00.0", "no reading");
    value(&x, 0, "power1_input", "20000000");
    list(&x, "none");
    assert_true(named(&x, "amdgpu:0000:03:00.0")->present);
    assert_int_equal(named(&x, "amdgpu:0000:03:00.0")->window_ns, 0);
    /* The file that is not used is not kept open. */
    int n_open = open_files();
    list(&x, "none");
    assert_int_equal(open_files(), n_open);
    end(&x);
}

/* Its metrics table is not asked for either: here it would say that this is an APU. */
static void a_sleeping_card_is_not_woken(void **state)
{
    struct machine x;
    begin(&x);
    chip(&x, 0, "amdgpu", "0000:03:00.0");
    value(&x, 0, "power1_average", "20000000");
    put(&x, "sys/devices/0000:03:00.0/gpu_metrics", "xx%c%c", 2, 1);
    put(&x, "sys/devices/0000:03:00.0/power/runtime_status", "suspended\n");
    list(&x, "none");
    absent(&x, "amdgpu:0000:03:00.0", "sleeps");
    end(&x);
}

static void a_card_that_falls_asleep_takes_its_spans(void **state)
{
    struct machine x;
    begin(&x);
    chip(&x, 0, "amdgpu", "0000:03:00.0");
    value(&x, 0, "power1_average", "20000000");
    put(&x, "sys/devices/0000:03:00.0/power/runtime_status", "active\n");
    start(&x, "amdgpu");
    int64_t a = mark(&x), b = mark(&x);
    put(&x, "sys/devices/0000:03:00.0/power/runtime_status", "suspended\n");
    int64_t c = mark(&x);
    put(&x, "sys/devices/0000:03:00.0/power/runtime_status", "active\n");
    int64_t d = mark(&x), e = mark(&x);
    unreadable(&x, "sys/class/hwmon/hwmon0/power1_average");
    int64_t f = mark(&x);
    assert_int_equal(ask(&x, a, b).power_mean_mw, 20000);
    assert_false(ask(&x, b, c).valid);
    assert_int_equal(strncmp(ask(&x, b, c).reason, "unreadable", 10), 0);
    assert_int_equal(ask(&x, b, c).energy_uj, LMW_NULL);
    assert_true(ask(&x, d, e).valid);
    assert_false(ask(&x, e, f).valid);
    end(&x);
}

static void an_apu_is_the_processor_and_not_a_card(void **state)
{
    struct machine x;
    begin(&x);
    chip(&x, 3, "amdgpu", "0000:c1:00.0");
    value(&x, 3, "power1_average", "15000000");
    value(&x, 3, "power1_label", "PPT");
    value(&x, 3, "in1_label", "vddnb");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "hwmon:amdgpu");
    value(&x, 3, "in1_label", "vddgfx");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "amdgpu:0000:c1:00.0");
    put(&x, "sys/devices/0000:c1:00.0/gpu_metrics", "xx%c%c", 2, 1);
    list(&x, "auto");
    assert_string_equal(chosen(&x), "hwmon:amdgpu");
    assert_string_equal(named(&x, "hwmon:amdgpu")->boundary, "chip");
    absent(&x, "amdgpu", "hwmon:amdgpu");
    package(&x);
    list(&x, "auto");
    assert_string_equal(chosen(&x), "rapl:package-0");
    assert_int_equal(try_list(&x, "rapl,hwmon:amdgpu"), LMW_EARG);
    end(&x);
}

/* ---- Intel cards ---- */

static void a_card_contains_its_chip(void **state)
{
    struct machine x;
    list_fixture(&x, "sys-arc", "auto");
    assert_string_equal(chosen(&x), "rapl:package-0+intelgpu:0000:03:00.0:card");
    const struct lmw_source_info *card = named(&x, "intelgpu:0000:03:00.0:card");
    assert_string_equal(card->boundary, "board");
    assert_int_equal(card->reading, LMW_COUNTER);
    assert_int_equal(card->wrap_uj, 262144000000);
    const struct lmw_source_info *chip = named(&x, "intelgpu:0000:03:00.0:pkg");
    assert_true(chip->present);
    assert_string_equal(chip->boundary, "chip");
    assert_string_equal(chip->reason, "already inside intelgpu:0000:03:00.0:card");
    assert_int_equal(try_list(&x, "intelgpu:0000:03:00.0:card,intelgpu:0000:03:00.0:pkg"),
                     LMW_EARG);
    list(&x, "intelgpu:0000:03:00.0:pkg");
    assert_string_equal(chosen(&x), "intelgpu:0000:03:00.0:pkg");
}

static void the_widest_channel_that_can_be_read_stands_for_a_card(void **state)
{
    struct machine x;
    begin(&x);
    chip(&x, 1, "xe", "0000:03:00.0");
    value(&x, 1, "energy2_input", "5000000"); /* Arc A: no channel for the card */
    value(&x, 1, "energy2_label", "pkg");
    chip(&x, 2, "i915", "0000:04:00.0");
    value(&x, 2, "energy1_input", "7000000");
    chip(&x, 3, "i915_gt0", "0000:04:00.0");
    value(&x, 3, "energy1_input", "6000000");
    list(&x, "intelgpu");
    assert_string_equal(chosen(&x), "intelgpu:0000:03:00.0:pkg+intelgpu:0000:04:00.0");
    assert_string_equal(named(&x, "intelgpu:0000:04:00.0:gt0")->reason,
                        "already inside intelgpu:0000:04:00.0");
    end(&x);
}

/* Waits 20 ms, sets the counter, marks. */
static int64_t step(struct machine *x, const char *uj)
{
    lmw_sleep_until_ns(lmw_now_ns() + 20000000);
    value(x, 0, "energy1_input", uj);
    return lmw_meter_mark(x->m);
}

static struct lmw_energy across(const char *first, const char *a, const char *b, const char *c,
                                const char *d)
{
    struct machine x;
    begin(&x);
    chip(&x, 0, "xe", "0000:03:00.0");
    value(&x, 0, "energy1_input", first);
    start(&x, "intelgpu");
    int64_t from = step(&x, a), to = step(&x, b);
    step(&x, c);
    step(&x, d);
    struct lmw_energy e = ask(&x, from, to);
    end(&x);
    return e;
}

static void a_register_of_32_bits_wraps_or_was_widened(void **state)
{
    struct lmw_energy e = across("262139000000", "262140000000", "1000000", "2000000", "3000000");
    assert_true(e.valid);
    assert_int_equal(e.n_wrap, 1);
    assert_true(e.lower_uj <= 5100000 && e.upper_uj >= 4900000);
    e = across("262139000000", "262140000000", "262145000000", "262146000000", "262147000000");
    assert_true(e.valid);
    assert_int_equal(e.n_wrap, 0);
    assert_true(e.lower_uj <= 5100000 && e.upper_uj >= 4900000);
    e = across("990000000000", "990001000000", "1000000", "2000000", "3000000");
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "reset", 5), 0);
}

/* ---- Jetson ---- */

static void orin_nano_is_fed_by_vdd_in(void **state)
{
    struct machine x;
    list_fixture(&x, "sys-orin-nano", "auto");
    assert_string_equal(chosen(&x), "jetson:VDD_IN");
    assert_string_equal(named(&x, "jetson:VDD_IN")->boundary, "module");
    assert_int_equal(named(&x, "jetson:VDD_IN")->window_ns, 180000000);
    assert_non_null(strstr(named(&x, "jetson:VDD_IN")->about, "0.18 s"));
    assert_string_equal(named(&x, "jetson:VDD_SOC")->reason, "already inside jetson:VDD_IN");
    assert_int_equal(measure(&x, "auto"), 6000); /* 5000 mV x 1200 mA */
    assert_int_equal(measure(&x, "jetson:VDD_SOC"), 1400);
    assert_int_equal(try_list(&x, "jetson,jetson:VDD_SOC"), LMW_EARG);
}

static void agx_orin_is_the_sum_of_three_rails(void **state)
{
    struct machine x;
    list_fixture(&x, "sys-agx-orin", "auto");
    assert_string_equal(chosen(&x), "jetson:VDD_GPU_SOC+jetson:VDD_CPU_CV+jetson:VIN_SYS_5V0");
    assert_string_equal(named(&x, "jetson:VDDQ_VDD2_1V8AO")->reason,
                        "already inside jetson:VIN_SYS_5V0");
    assert_null(find(&x, "jetson:NC"));
    assert_int_equal(named(&x, "jetson:VDD_CPU_CV")->window_ns, 0);
    assert_in_range(measure(&x, "jetson"), 7980 + 3040 + 4734, 7980 + 3040 + 4736);
}

static void other_boards_have_other_totals(void **state)
{
    struct machine x;
    begin(&x);
    put(&x, "proc/device-tree/model", "NVIDIA Jetson Nano Developer Kit%c", 0);
    put(&x, "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0", "POM_5V_IN\n");
    put(&x, "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1", "POM_5V_GPU\n");
    put(&x, "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input", "2431\n");
    put(&x, "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power1_input", "80\n");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "jetson:POM_5V_IN");
    assert_int_equal(measure(&x, "auto"), 2431);
    end(&x);

    begin(&x);
    put(&x, "proc/device-tree/model", "NVIDIA Jetson AGX Thor Developer Kit%c", 0);
    chip(&x, 0, "ina238", "2-0044");
    value(&x, 0, "power1_input", "61500000");
    chip(&x, 1, "ina3221", "2-0040");
    value(&x, 1, "in1_label", "VDD_GPU");
    value(&x, 1, "in1_input", "12000");
    value(&x, 1, "curr1_input", "0");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "jetson:VIN");
    assert_string_equal(named(&x, "jetson:VIN")->boundary, "host");
    assert_true(named(&x, "jetson:VDD_GPU")->present); /* a rail may be switched off */
    assert_int_equal(measure(&x, "jetson"), 61500);
    assert_int_equal(measure(&x, "jetson:VDD_GPU"), 0);
    end(&x);
}

static void ina3221(const struct machine *x, const char *folder, const char *const labels[3])
{
    char path[256];
    put(x, folder, "ina3221\n");
    char *slash = strrchr(strcpy(path, folder), '/') + 1;
    for (int i = 0; i < 3; i++) {
        sprintf(slash, "in%d_label", i + 1);
        put(x, path, "%s\n", labels[i]);
        sprintf(slash, "in%d_input", i + 1);
        put(x, path, "5000\n");
        sprintf(slash, "curr%d_input", i + 1);
        put(x, path, "%d\n", 1000 + 100 * i);
    }
}

/* A container hides the model, and a partner's carrier has one of its own. */
static void a_board_is_known_by_its_rails(void **state)
{
    static const char *const agx[] = {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"},
                             *const nx[] = {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"},
                             *const other[] = {"VIN", "VDD_5V", "NC"};
    struct machine x;
    begin(&x);
    ina3221(&x, "sys/class/hwmon/hwmon1/name", agx);
    list(&x, "auto");
    assert_string_equal(chosen(&x), "jetson:VDD_GPU_SOC+jetson:VDD_CPU_CV+jetson:VIN_SYS_5V0");
    unreadable(&x, "sys/class/hwmon/hwmon1/in2_input");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "");
    end(&x);

    begin(&x);
    put(&x, "sys/devices/soc0/machine", "A carrier of our own\n");
    ina3221(&x, "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/name", nx);
    list(&x, "auto");
    assert_string_equal(chosen(&x), "jetson:VDD_IN");
    assert_string_equal(named(&x, "jetson:VDD_IN")->boundary, "module");
    assert_int_equal(measure(&x, "auto"), 5000);
    end(&x);

    begin(&x);
    ina3221(&x, "sys/class/hwmon/hwmon1/name", other);
    list(&x, "auto");
    absent(&x, "jetson", "not an NVIDIA Jetson");
    assert_null(find(&x, "jetson:VIN"));
    end(&x);
}

static void a_total_without_one_of_its_rails_is_none(void **state)
{
    struct machine x;
    begin(&x);
    put(&x, "proc/device-tree/model", "Jetson-AGX%c", 0);
    static const char *const rails[] = {"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"};
    for (int i = 0; i < 6; i++) {
        char name[32];
        if (i % 3 == 0)
            chip(&x, i / 3, "ina3221", i ? "1-0041" : "1-0040");
        snprintf(name, sizeof name, "in%d_label", i % 3 + 1);
        value(&x, i / 3, name, rails[i]);
        snprintf(name, sizeof name, "in%d_input", i % 3 + 1);
        value(&x, i / 3, name, "19000");
        snprintf(name, sizeof name, "curr%d_input", i % 3 + 1);
        value(&x, i / 3, name, strcmp(rails[i], "CV") == 0 ? "-8" : "100");
    }
    list(&x, "auto");
    assert_string_equal(chosen(&x), "jetson:GPU+jetson:CPU+jetson:SOC+jetson:CV+jetson:VDDRQ"
                                    "+jetson:SYS5V");
    assert_int_equal(measure(&x, "auto"), 9500); /* the shunt's amplifier is off by 8 mA */
    unreadable(&x, "sys/class/hwmon/hwmon1/curr2_input");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "");
    assert_non_null(strstr(named(&x, "jetson:CPU")->reason, "VDDRQ"));
    assert_int_equal(try_list(&x, "jetson"), LMW_EUNAVAILABLE);
    put(&x, "proc/device-tree/model", "NVIDIA Jetson of tomorrow%c", 0);
    value(&x, 0, "in1_label", "GPU_0");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "");
    assert_non_null(strstr(named(&x, "jetson:CPU")->reason, "not known"));
    assert_int_equal(measure(&x, "jetson:CPU"), 1900);
    end(&x);
}

/* ---- servers, and the rest ---- */

static void an_acpi_meter_measures_the_host_by_long_means(void **state)
{
    struct machine x;
    list_fixture(&x, "sys-acpi", "auto");
    const struct lmw_source_info *s = named(&x, "hwmon:power_meter");
    assert_string_equal(chosen(&x), "hwmon:power_meter");
    assert_string_equal(s->boundary, "host");
    assert_int_equal(s->window_ns, 1000000000);
    assert_non_null(strstr(s->about, "mean of 1 s"));
    assert_int_equal(measure(&x, "hwmon"), 312000);
}

/* Bytes of samples that were stored, read again. */
static int read_block(void *arg, const struct lmw_source_info *source, const void *bytes, size_t n,
                      struct lmw_err *err)
{
    struct lmw_trace *t;
    assert_int_equal(lmw_trace_open(&t, NULL, err), LMW_OK);
    int rc = lmw_trace_block(t, bytes, n, err);
    assert_int_equal(lmw_trace_info(t)->window_ns, source->window_ns);
    lmw_trace_close(t);
    return rc;
}

static void samples_of_a_mean_over_a_day_can_be_read_again(void **state)
{
    struct machine x;
    begin(&x);
    chip(&x, 0, "power_meter", "ACPI000D:00");
    value(&x, 0, "power1_average", "100000000");
    value(&x, 0, "power1_average_interval", "86400000");
    start(&x, "hwmon");
    mark(&x);
    if (lmw_meter_drain(x.m, read_block, NULL, &x.err) < 0)
        fail_msg("%s", x.err.msg);
    end(&x);
}

/* Milliseconds that no clock counts to are no window. */
static void a_window_beyond_reason_is_not_known(void **state)
{
    struct machine x;
    begin(&x);
    chip(&x, 0, "power_meter", "ACPI000D:00");
    value(&x, 0, "power1_average", "100000000");
    value(&x, 0, "power1_average_interval", "9000000000000");
    list(&x, "hwmon");
    assert_int_equal(named(&x, "hwmon:power_meter")->window_ns, LMW_NULL);
    end(&x);
}

static void a_processor_is_preferred_to_its_host_and_never_added(void **state)
{
    struct machine x;
    begin(&x);
    package(&x);
    chip(&x, 0, "power_meter", "ACPI000D:00");
    put(&x, "sys/devices/ACPI000D:00/power1_average", "250000000\n");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "rapl:package-0");
    assert_non_null(strstr(named(&x, "hwmon:power_meter")->reason, "contains rapl:package-0"));
    assert_int_equal(named(&x, "hwmon:power_meter")->window_ns, LMW_NULL);
    assert_int_equal(try_list(&x, "rapl,hwmon"), LMW_EARG);
    /* All ones: the firmware has no reading. */
    put(&x, "sys/devices/ACPI000D:00/power1_average", "4294967295000\n");
    list(&x, "auto");
    absent(&x, "hwmon:power_meter", "no reading");
    /* A meter of something else than the machine. */
    put(&x, "sys/devices/ACPI000D:00/power1_average", "250000000\n");
    put(&x, "sys/devices/ACPI000D:00/measures/device:4f", "\n");
    assert_int_equal(try_list(&x, "hwmon"), LMW_EUNAVAILABLE);
    list(&x, "hwmon:power_meter:power1");
    assert_string_equal(named(&x, "hwmon:power_meter:power1")->boundary, "rail");
    end(&x);
}

static void known_drivers_measure_hosts_and_sockets(void **state)
{
    static const struct {
        const char *chip, *type, *label, *name, *boundary;
    } of[] = {
        {"ibmpowernv", "energy1", "System", "hwmon:ibmpowernv:System", "host"},
        {"ibmpowernv", "power1", "System", "hwmon:ibmpowernv:System", "host"},
        {"macsmc_hwmon", "power1", "Total System Power", "hwmon:macsmc_hwmon:Total_System_Power",
         "host"},
        {"amd_hsmp_hwmon", "power1", NULL, "hwmon:amd_hsmp_hwmon", "chip"},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        struct machine x;
        char attribute[32];
        begin(&x);
        chip(&x, 0, of[i].chip, "platform.0");
        snprintf(attribute, sizeof attribute, "%s_label", of[i].type);
        if (of[i].label)
            value(&x, 0, attribute, of[i].label);
        snprintf(attribute, sizeof attribute, "%s_input", of[i].type);
        value(&x, 0, attribute, "120000000");
        if (of[i].label) {
            value(&x, 0, "power9_input", "5000000");
            value(&x, 0, "power9_label", "3.8 V Rail Power");
        }
        list(&x, "auto");
        assert_string_equal(chosen(&x), of[i].name);
        assert_string_equal(named(&x, of[i].name)->boundary, of[i].boundary);
        end(&x);
    }
}

static void two_meters_of_one_host_are_not_added(void **state)
{
    struct machine x;
    begin(&x);
    for (int i = 0; i < 3; i++) {
        char device[32];
        snprintf(device, sizeof device, "ACPI000D:0%d", i);
        chip(&x, i, "power_meter", device);
        value(&x, i, "power1_average", "100000000");
    }
    list(&x, "auto");
    assert_string_equal(chosen(&x), "");
    list(&x, "hwmon:power_meter@ACPI000D:01");
    assert_string_equal(chosen(&x), "hwmon:power_meter@ACPI000D:01");
    end(&x);
}

static void grace(const struct machine *x, int n, const char *domain, const char *uw)
{
    char device[32], info[96];
    snprintf(device, sizeof device, "NVDA0000:0%d", n);
    chip(x, n, "power_meter", device);
    snprintf(info, sizeof info, "sys/devices/%s/power1_oem_info", device);
    put(x, info, "%s\n", domain);
    snprintf(info, sizeof info, "sys/devices/%s/power1_average", device);
    put(x, info, "%s\n", uw);
    snprintf(info, sizeof info, "sys/devices/%s/power1_average_interval", device);
    put(x, info, "50\n");
}

static void grace_contains_its_cores(void **state)
{
    struct machine x;
    begin(&x);
    grace(&x, 1, "Module Power Socket 0", "500000000");
    grace(&x, 2, "Grace Power Socket 0", "150000000");
    grace(&x, 3, "CPU Power Socket 0", "120000000");
    grace(&x, 4, "SysIO Power Socket 0", "9000000");
    grace(&x, 5, "Grace Power Socket 1", "140000000");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "hwmon:power_meter:Grace_Power_Socket_0"
                                    "+hwmon:power_meter:Grace_Power_Socket_1");
    const struct lmw_source_info *s = named(&x, "hwmon:power_meter:CPU_Power_Socket_0");
    assert_string_equal(s->reason, "already inside hwmon:power_meter:Grace_Power_Socket_0");
    assert_int_equal(s->window_ns, 50000000);
    assert_string_equal(named(&x, "hwmon:power_meter:Module_Power_Socket_0")->boundary, "module");
    assert_int_equal(try_list(&x, "hwmon,hwmon:power_meter:Module_Power_Socket_0"), LMW_EARG);
    end(&x);
}

static void amd_energy_is_rapl_by_another_driver(void **state)
{
    struct machine x;
    begin(&x);
    chip(&x, 0, "amd_energy", "amd_energy.0");
    value(&x, 0, "energy1_input", "1000");
    value(&x, 0, "energy1_label", "Ecore000");
    value(&x, 0, "energy2_input", "81000000");
    value(&x, 0, "energy2_label", "Esocket0");
    value(&x, 0, "energy10_input", "92000000");
    value(&x, 0, "energy10_label", "Esocket1");
    chip(&x, 1, "power_meter", "ACPI000D:00");
    value(&x, 1, "power1_average", "250000000");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "hwmon:amd_energy:Esocket0+hwmon:amd_energy:Esocket1");
    assert_int_equal(named(&x, "hwmon:amd_energy:Esocket0")->reading, LMW_COUNTER);
    assert_null(find(&x, "hwmon:amd_energy:Ecore000"));
    package(&x);
    list(&x, "auto");
    assert_string_equal(chosen(&x), "rapl:package-0");
    assert_int_equal(try_list(&x, "rapl,hwmon:amd_energy:Esocket0"), LMW_EARG);
    list(&x, "rapl,hwmon:amd_energy:Esocket1"); /* another socket */
    unreadable(&x, "sys/class/hwmon/hwmon0/energy2_input");
    list(&x, "none");
    absent(&x, "hwmon:amd_energy:Esocket0", "root");
    end(&x);
}

static void zenpower_has_two_supplies_of_each_processor(void **state)
{
    struct machine x;
    begin(&x);
    for (int i = 0; i < 2; i++) {
        chip(&x, 4 * i, "zenpower", i ? "0000:00:19.3" : "0000:00:18.3");
        value(&x, 4 * i, "power1_input", "40000000");
        value(&x, 4 * i, "power1_label", "SVI2_P_Core");
        value(&x, 4 * i, "power2_input", "9000000");
        value(&x, 4 * i, "power2_label", "SVI2_P_SoC");
        value(&x, 4 * i, "temp1_input", "40000");
    }
    assert_int_equal(measure(&x, "auto"), 98000);
    list(&x, "auto");
    assert_true(named(&x, "hwmon:zenpower@0000:00:19.3:SVI2_P_Core")->chosen);
    package(&x);
    assert_int_equal(try_list(&x, "rapl,hwmon:zenpower@0000:00:18.3:SVI2_P_SoC"), LMW_EARG);
    end(&x);
}

static void an_unknown_rail_is_taken_by_name_and_alone(void **state)
{
    struct machine x;
    begin(&x);
    package(&x);
    chip(&x, 0, "ina226", "3-0041");
    value(&x, 0, "power1_input", "3300000");
    chip(&x, 1, "scmi_sensors", "firmware:scmi");
    value(&x, 1, "power1_input", "0");
    value(&x, 1, "power1_label", "big cluster, all");
    value(&x, 1, "energy1_input", "123456");
    chip(&x, 4, "fam15h_power", "0000:00:18.4"); /* a driver that sleeps to find its mean */
    value(&x, 4, "power1_average", "30000000");
    chip(&x, 2, "nct6775", "nct6775.656");
    value(&x, 2, "in0_input", "800");
    put(&x, "sys/class/power_supply/BAT0/type", "Mains\n");
    chip(&x, 3, "BAT0", "BAT0");
    value(&x, 3, "power1_input", "9000000");
    list(&x, "auto");
    assert_string_equal(chosen(&x), "rapl:package-0");
    assert_true(named(&x, "hwmon:scmi_sensors:energy1")->present);
    assert_int_equal(named(&x, "hwmon:scmi_sensors:energy1")->reading, LMW_COUNTER);
    assert_null(find(&x, "hwmon:BAT0:power1"));
    for (int i = 0; i < x.n; i++)
        assert_true(!strstr(x.s[i].name, "nct6775") && !strstr(x.s[i].name, "fam15h"));
    assert_int_equal(try_list(&x, "hwmon"), LMW_EUNAVAILABLE);
    assert_int_equal(try_list(&x, "rapl,hwmon:ina226:power1"), LMW_EARG);
    assert_int_equal(measure(&x, "hwmon:ina226:power1"), 3300);
    assert_int_equal(measure(&x, "hwmon:scmi_sensors:big_cluster__all"), 0);
    end(&x);
}

static void machines_without_such_chips_say_so(void **state)
{
    struct machine x;
    list_fixture(&x, "sys-none", "auto");
    assert_string_equal(chosen(&x), "estimate");
    absent(&x, "amdgpu", "amdgpu");
    absent(&x, "intelgpu", "xe");
    absent(&x, "jetson", "not an NVIDIA Jetson");
    absent(&x, "hwmon", "power_meter");
    static const char *const kinds[] = {"amdgpu", "intelgpu", "jetson", "hwmon",
                                        "amdgpu:0000:03:00.0"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(try_list(&x, kinds[i]), LMW_EUNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_is_added_to_the_processor),
        cmocka_unit_test(cards_are_told_apart_without_links),
        cmocka_unit_test(a_card_is_inside_what_feeds_its_host),
        cmocka_unit_test(a_sleeping_card_is_not_0_watts),
        cmocka_unit_test(a_sleeping_card_is_not_woken),
        cmocka_unit_test(a_card_that_falls_asleep_takes_its_spans),
        cmocka_unit_test(an_apu_is_the_processor_and_not_a_card),
        cmocka_unit_test(a_card_contains_its_chip),
        cmocka_unit_test(the_widest_channel_that_can_be_read_stands_for_a_card),
        cmocka_unit_test(a_register_of_32_bits_wraps_or_was_widened),
        cmocka_unit_test(orin_nano_is_fed_by_vdd_in),
        cmocka_unit_test(agx_orin_is_the_sum_of_three_rails),
        cmocka_unit_test(other_boards_have_other_totals),
        cmocka_unit_test(a_board_is_known_by_its_rails),
        cmocka_unit_test(a_total_without_one_of_its_rails_is_none),
        cmocka_unit_test(an_acpi_meter_measures_the_host_by_long_means),
        cmocka_unit_test(samples_of_a_mean_over_a_day_can_be_read_again),
        cmocka_unit_test(a_window_beyond_reason_is_not_known),
        cmocka_unit_test(a_processor_is_preferred_to_its_host_and_never_added),
        cmocka_unit_test(known_drivers_measure_hosts_and_sockets),
        cmocka_unit_test(two_meters_of_one_host_are_not_added),
        cmocka_unit_test(grace_contains_its_cores),
        cmocka_unit_test(amd_energy_is_rapl_by_another_driver),
        cmocka_unit_test(zenpower_has_two_supplies_of_each_processor),
        cmocka_unit_test(an_unknown_rail_is_taken_by_name_and_alone),
        cmocka_unit_test(machines_without_such_chips_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
