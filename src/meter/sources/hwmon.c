/* Every other power meter of /sys/class/hwmon: powerN_input, powerN_average, energyN_input.
 *
 * What a chip's number covers is known by its driver and label (`meters`, the best first): a
 * processor (amd_energy's and HSMP's sockets, Grace, an APU's amdgpu), the whole machine (POWER's
 * "System", Apple's SMC, an ACPI power meter, a digital power supply), or a processor's supplies
 * (zenpower). Any other rail is listed and taken only by name, and since it may feed anything it
 * is never added to another. Only the best meter makes the kind's total. Chips of temperatures,
 * fans and voltages are not listed, nor what another kind reads.
 *
 * ACPI power meters (`power_meter`) average over power1_average_interval, often a second and
 * up to minutes, which is stated. One that lists what it measures is the machine's only if
 * that is the system bus. Firmware may take milliseconds for an answer, and says all ones
 * when it has none. NVIDIA Grace has four of them, told apart by power1_oem_info: the module
 * contains Grace and GPU, Grace contains its cores (CPU) and SysIO.
 *
 * powerN_input is taken before powerN_average, which the driver fam15h_power makes by sleeping
 * (where it has nothing else it is not listed). amd_energy's per-core counters are inside the
 * sockets and not listed; its driver widens the 32-bit registers by a thread of its own. Its
 * files, as RAPL's, are root's (CVE-2020-12912).
 *
 * Facts: Documentation/hwmon/{sysfs-interface,acpi_power_meter,amd_energy,fam15h_power,
 * corsair-psu,ibmpowernv,macsmc-hwmon}.rst; NVIDIA Grace Performance Tuning Guide, "Power
 * Telemetry"; linux drivers/gpu/drm/amd/pm/amdgpu_pm.c ("On APUs this includes the CPU"),
 * drivers/platform/x86/amd/hsmp/hwmon.c, arch/arm64/boot/dts/apple/hwmon-common.dtsi; the labels
 * of zenpower, corsairpsu and POWER9 as their drivers print them. */
#include "meter/sources/chip.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One number of a chip. */
struct channel {
    const struct chip *chip;
    const char *type; /* "power", "energy" */
    int n;
    char label[32]; /* or "" */
};

static bool is_apu(const struct channel *c)
{
    return lmw_chip_is_apu(c->chip);
}

/* Whether an ACPI meter measures the whole machine: it lists nothing, or the system bus. */
static bool is_machines(const struct channel *c)
{
    char path[448];
    const struct dirent *e;
    bool others = false, system = false;
    snprintf(path, sizeof path, "%s/measures", c->chip->below);
    DIR *d = opendir(path);
    while (d && (e = readdir(d))) {
        system |= strncmp(e->d_name, "LNXSY", 5) == 0;
        others |= e->d_name[0] != '.';
    }
    if (d)
        closedir(d);
    return !others || system;
}

/* Whether there is more than power1_average, which a driver may make by sleeping. */
static bool has_input(const struct channel *c)
{
    char path[512];
    return lmw_chip_path(c->chip, "power1_input", path, sizeof path);
}

/* The meters we know. A total is made of the least rank that can be read. `nest` has at most one
 * %d, for the processor's number: the label's last digits, else how many chips of the name came
 * before. Without a boundary a channel is not listed. */
static const struct meter {
    int rank;
    const char *chip, *type,
        *label; /* how the label begins; NULL: any, and not part of the name */
    const char *boundary, *nest;
    bool by_default;
    const char *about;
    bool (*is_it)(const struct channel *c);
} meters[] = {
    {0, "amd_energy", "energy", "Esocket", "chip", "host/psys/%d", true, "", NULL},
    {0, "amd_energy", "energy", "Ecore", NULL, NULL, false, NULL, NULL},
    {1, "power_meter", "power", "Grace Power", "chip", "host/psys/%d/grace", true, "", NULL},
    {1, "power_meter", "power", "CPU Power", "core", "host/psys/%d/grace/cpu", false, "", NULL},
    {1, "power_meter", "power", "SysIO Power", "uncore", "host/psys/%d/grace/sysio", false, "",
     NULL},
    {1, "power_meter", "power", "Module Power", "module", "host/psys/%d", false, "Grace and GPU",
     NULL},
    {2, "amd_hsmp_hwmon", "power", NULL, "chip", "host/psys/%d", true, "the socket", NULL},
    {3, "ibmpowernv", "energy", "System", "host", "host", true, "by the service processor", NULL},
    {4, "ibmpowernv", "power", "System", "host", "host", true, "by the service processor", NULL},
    {5, "macsmc_hwmon", "power", "Total System Power", "host", "host", true, "by Apple's SMC",
     NULL},
    {6, "power_meter", "power", NULL, "host", "host", true, "by the firmware", is_machines},
    {7, "corsairpsu", "power", "power total", "host", "host", true, "the supply's output", NULL},
    {8, "amdgpu", "power", NULL, "chip", "host/psys/%d", true, "the processor and its GPU",
     is_apu},
    {9, "fam15h_power", "power", NULL, "chip", "host/psys/%d", true, "", has_input},
    {9, "fam15h_power", "power", NULL, NULL, NULL, false, NULL, NULL},
    {10, "zenpower", "power", "SVI2_P_Core", "core", "host/psys/%d/svi2-core", true,
     "one of two supplies", NULL},
    {10, "zenpower", "power", "SVI2_P_SoC", "uncore", "host/psys/%d/svi2-soc", true,
     "one of two supplies", NULL},
};
enum { N_METER = sizeof meters / sizeof *meters, UNKNOWN = 100 };

struct search {
    struct source_list *l;
    const char *sysroot;
    int first; /* the kind's first source */
    struct {
        char name[32];
        int n;
    } seen[64]; /* how many chips of a name so far */
    int n_seen;
};

static const struct meter *meter_of(const struct channel *c)
{
    for (int i = 0; i < N_METER; i++) {
        const struct meter *m = &meters[i];
        if (strcmp(m->chip, c->chip->name) == 0 && strcmp(m->type, c->type) == 0 &&
            (!m->label || strncmp(m->label, c->label, strlen(m->label)) == 0) &&
            (!m->is_it || m->is_it(c)))
            return m;
    }
    return NULL;
}

static void read_label(struct channel *c)
{
    char attribute[32];
    snprintf(attribute, sizeof attribute, "%.8s%d_label", c->type, c->n);
    if (lmw_chip_text(c->chip, attribute, c->label, sizeof c->label))
        return;
    snprintf(attribute, sizeof attribute, "%.8s%d_oem_info", c->type, c->n);
    lmw_chip_text(c->chip, attribute, c->label, sizeof c->label);
}

/* What tells a channel from the others of its chip: "SVI2_P_Core", "power1"; "" where the chip is
 * one meter. */
static void short_name(const struct channel *c, const struct meter *m, char *out, size_t cap)
{
    if (m && !m->label)
        out[0] = 0;
    else if (c->label[0])
        snprintf(out, cap, "%s", c->label);
    else
        snprintf(out, cap, "%.8s%d", c->type, c->n);
}

struct twin {
    const struct channel *of;
    const char *name;
    bool found;
};

/* Whether chip c, another than the channel's, has one of the same name. */
static int look_for_twin(void *arg, const struct chip *c, struct lmw_err *err)
{
    struct twin *t = arg;
    int numbers[16], n = 0;
    char name[40];
    if (strcmp(c->name, t->of->chip->name) == 0 && strcmp(c->dir, t->of->chip->dir) != 0)
        n = lmw_chip_channels(c, t->of->type, numbers, 16);
    for (int i = 0; i < n; i++) {
        struct channel other = {.chip = c, .type = t->of->type, .n = numbers[i]};
        read_label(&other);
        short_name(&other, meter_of(&other), name, sizeof name);
        t->found |= strcmp(name, t->name) == 0;
    }
    return LMW_OK;
}

/* "power_meter", "zenpower:SVI2_P_Core", "ina226:power1"; with the device after the chip's name
 * where that alone would name several. */
static void full_name(const struct search *x, const struct channel *c, const struct meter *m,
                      char out[128])
{
    char name[40];
    short_name(c, m, name, sizeof name);
    struct twin t = {.of = c, .name = name};
    lmw_chip_each(x->sysroot, look_for_twin, &t, NULL);
    snprintf(out, 128, "%s%s%s%s%s", c->chip->name, t.found ? "@" : "",
             t.found ? c->chip->device : "", name[0] ? ":" : "", name);
}

static int processor_of(const struct channel *c, int nth)
{
    size_t n = strlen(c->label), at = n;
    while (at > 0 && isdigit((unsigned char)c->label[at - 1]))
        at--;
    return at < n && n - at < 6 ? (int)strtol(c->label + at, NULL, 10) : nth;
}

static void describe(struct source *s, const struct channel *c, const struct meter *m, int nth)
{
    struct lmw_source_info *i = &s->info;
    rail_of(s)->rank = m ? m->rank : UNKNOWN;
    rail_of(s)->is_whole = m != NULL;
    s->by_default = m && m->by_default;
    snprintf(i->boundary, sizeof i->boundary, "%s", m ? m->boundary : "rail");
    snprintf(s->nest, sizeof s->nest, "host");
    const char *number = m ? strstr(m->nest, "%d") : NULL;
    if (number)
        snprintf(s->nest, sizeof s->nest, "%.*s%d%s", (int)(number - m->nest), m->nest,
                 processor_of(c, nth), number + 2);
}

/* Which file, in which unit, over how long a mean. */
static void choose_file(struct source *s, const struct channel *c)
{
    char attribute[40];
    snprintf(attribute, sizeof attribute, "%.8s%d_input", c->type, c->n);
    if (c->type[0] == 'e') {
        rail_of(s)->unit = RAIL_UJ;
        s->info.reading = LMW_COUNTER;
        s->info.max_power_mw = 2000000; /* above any processor there is */
    } else {
        s->info.window_ns = 0;
    }
    if (lmw_chip_path(c->chip, attribute, s->file[0].path, sizeof s->file[0].path))
        return;
    snprintf(attribute, sizeof attribute, "%.8s%d_average", c->type, c->n);
    lmw_chip_path(c->chip, attribute, s->file[0].path, sizeof s->file[0].path);
    snprintf(attribute, sizeof attribute, "%.8s%d_average_interval", c->type, c->n);
    int64_t ms = lmw_chip_i64(c->chip, attribute);
    bool told = ms != LMW_NULL && ms > 0 && ms < SERIES_MAX_WINDOW_NS / 1000000;
    s->info.window_ns = told ? ms * 1000000 : LMW_NULL;
}

static void say_permission(struct source *s)
{
    size_t n = strlen(s->info.reason);
    snprintf(s->info.reason + n, sizeof s->info.reason - n,
             ": let your group read it (a udev rule), or run as root");
}

static int add_channel(struct search *x, const struct channel *c, int nth, struct lmw_err *err)
{
    char name[128];
    const struct meter *m = meter_of(c);
    if (m && !m->boundary)
        return LMW_OK;
    full_name(x, c, m, name);
    struct source *s = lmw_rail_add(x->l, &lmw_kind_hwmon, name, err);
    if (!s)
        return LMW_ENOMEM;
    describe(s, c, m, nth);
    choose_file(s, c);
    lmw_rail_probe(s);
    if (s->info.present)
        lmw_rail_about(s, m ? m->about : "feeds what is not known");
    else if (s->info.reading == LMW_COUNTER)
        say_permission(s);
    return LMW_OK;
}

/* Whether another kind reads this chip. */
static bool is_taken(const struct search *x, const struct chip *c)
{
    size_t n = strlen(c->dir);
    for (int i = 0; i < x->first; i++) {
        const char *path = x->l->v[i].file[0].path;
        if (strncmp(path, c->dir, n) == 0 && path[n] == '/')
            return true;
    }
    return false;
}

/* How many chips of this name came before. */
static int count_chip(struct search *x, const char *name)
{
    int i = 0;
    while (i < x->n_seen && strcmp(x->seen[i].name, name) != 0)
        i++;
    if (i == (int)(sizeof x->seen / sizeof *x->seen))
        return 0;
    if (i == x->n_seen)
        snprintf(x->seen[x->n_seen++].name, sizeof x->seen->name, "%s", name);
    return x->seen[i].n++;
}

static int add_chip(void *arg, const struct chip *c, struct lmw_err *err)
{
    enum { MAX_CHANNEL = 1024 };
    static const char *const types[] = {"energy", "power"}; /* so a counter has the plain name */
    struct search *x = arg;
    int numbers[MAX_CHANNEL], rc = LMW_OK;
    if (is_taken(x, c))
        return LMW_OK;
    int nth = count_chip(x, c->name);
    for (int k = 0; k < 2; k++) {
        int n = lmw_chip_channels(c, types[k], numbers, MAX_CHANNEL);
        for (int i = 0; i < n && rc == LMW_OK; i++) {
            struct channel one = {.chip = c, .type = types[k], .n = numbers[i]};
            read_label(&one);
            rc = add_channel(x, &one, nth, err);
        }
    }
    return rc;
}

/* Whether another default says the same of the same thing: it is not known which is right. */
static bool is_doubtful(const struct source *v, int n, int i)
{
    int alike = 0;
    for (int j = 0; j < n; j++)
        alike += v[j].by_default && strcmp(v[i].nest, v[j].nest) == 0;
    return v[i].by_default && alike > 1;
}

/* Only the best meter that can be read makes the total. */
static void choose_defaults(struct source *v, int n)
{
    int best = UNKNOWN, doubtful = 0;
    for (int i = 0; i < n; i++) {
        if (v[i].by_default && v[i].info.present && rail_of(&v[i])->rank < best)
            best = rail_of(&v[i])->rank;
    }
    for (int i = 0; i < n; i++)
        v[i].by_default &= best == UNKNOWN || rail_of(&v[i])->rank == best;
    for (int i = 0; i < n; i++)
        doubtful += is_doubtful(v, n, i);
    for (int i = 0; doubtful && i < n; i++) {
        if (!v[i].by_default)
            continue;
        v[i].by_default = false;
        if (v[i].info.present)
            snprintf(v[i].info.reason, sizeof v[i].info.reason,
                     "one of several for the same thing: name the right one to use it");
    }
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    struct search x = {.l = l, .sysroot = sysroot, .first = l->n};
    int rc = lmw_chip_each(sysroot, add_chip, &x, err);
    if (rc < 0)
        return rc;
    choose_defaults(l->v + x.first, l->n - x.first);
    if (l->n > x.first)
        return LMW_OK;
    return lmw_source_none(
        l, &lmw_kind_hwmon, LMW_POWER, "host", err,
        "no chip in /sys/class/hwmon tells power or energy: no ACPI power meter, "
        "or its driver (acpi_power_meter) is not loaded");
}

const struct source_kind lmw_kind_hwmon = {.name = "hwmon",
                                           .automatic = true,
                                           .find = find,
                                           .read = lmw_rail_read,
                                           .close = lmw_rail_close};
