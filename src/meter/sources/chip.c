/* Chips of /sys/class/hwmon, and reading their rails.
 *
 * Units are those of Documentation/hwmon/sysfs-interface: power uW, energy uJ, voltage mV,
 * current mA, intervals ms. hwmonN/name says which driver it is, hwmonN/device (a link) on
 * what it sits; N itself changes from boot to boot and is not part of a source's name where
 * there is another. Drivers that registered in the old way have their attributes in the
 * device's folder. Trees copied without their links lack the class folder's entries: there a
 * graphics card's and a Jetson's chip are found below the device, which names them in `uevent`.
 *
 * No reading is ever 0 W for absence: drivers answer 0 or all ones where they have none, so a
 * whole board at 0 W, or any rail at more than a megawatt, could not be read. A device that
 * sleeps (power/runtime_status, Documentation/ABI/testing/sysfs-devices-power) is not asked
 * at all: the question would wake it, or be answered with EPERM. */
#include "meter/sources/chip.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VALUE, CURRENT, RUNTIME };

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* What the link to the device points to, the last part; else its place on the bus; else the chip's
 * own folder. */
static void name_device(struct chip *c)
{
    static const char key[] = "PCI_SLOT_NAME=";
    char path[432], text[1024];
    ssize_t n = readlink(c->below, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    const char *link = strrchr(text, '/'), *name = n > 0 ? text : strrchr(c->dir, '/') + 1;
    snprintf(path, sizeof path, "%s/uevent", c->below);
    if (n <= 0 && lmw_source_read_text(path, text, sizeof text, NULL) > 0 && strstr(text, key))
        name = strstr(text, key) + strlen(key);
    name = link ? link + 1 : name;
    snprintf(c->device, sizeof c->device, "%.*s", (int)strcspn(name, "\n"), name);
}

/* What power/runtime_status says of a device that a question would wake. */
static bool is_asleep(const char *status)
{
    return strncmp(status, "suspend", 7) == 0;
}

struct visit {
    const char *sysroot;
    chip_visit *visit;
    void *arg;
};

static bool is_power_supply(const char *sysroot, const struct chip *c)
{
    char by_device[512], by_name[512];
    snprintf(by_device, sizeof by_device, "%.360s/sys/class/power_supply/%s", sysroot, c->device);
    snprintf(by_name, sizeof by_name, "%.360s/sys/class/power_supply/%s", sysroot, c->name);
    return exists(by_device) || exists(by_name);
}

static int visit_chip(const struct visit *v, struct chip *c, struct lmw_err *err)
{
    name_device(c);
    if (!lmw_chip_text(c, "name", c->name, sizeof c->name) || is_power_supply(v->sysroot, c))
        return LMW_OK;
    return v->visit(v->arg, c, err);
}

static int visit_of_class(void *v, const char *dir, const char *entry, struct lmw_err *err)
{
    struct chip c = {0};
    snprintf(c.dir, sizeof c.dir, "%.380s/%.16s", dir, entry);
    snprintf(c.below, sizeof c.below, "%s/device", c.dir);
    if (!exists(c.below))
        c.below[0] = 0;
    return visit_chip(v, &c, err);
}

/* One that the class has too was visited there. */
static int visit_of_device(void *v, const char *dir, const char *entry, struct lmw_err *err)
{
    struct chip c = {0};
    char path[512];
    snprintf(path, sizeof path, "%.360s/sys/class/hwmon/%.16s", ((struct visit *)v)->sysroot,
             entry);
    snprintf(c.dir, sizeof c.dir, "%.380s/%.16s", dir, entry);
    snprintf(c.below, sizeof c.below, "%.*s", (int)(strlen(dir) - strlen("/hwmon")), dir);
    return exists(path) ? LMW_OK : visit_chip(v, &c, err);
}

static int visit_card(void *v, const char *dir, const char *entry, struct lmw_err *err)
{
    char chips[400];
    snprintf(chips, sizeof chips, "%.340s/%.32s/device/hwmon", dir, entry);
    return lmw_source_each(chips, "hwmon", visit_of_device, v, err);
}

static int visit_monitor(void *v, const char *dir, const char *entry, struct lmw_err *err)
{
    char chips[400];
    snprintf(chips, sizeof chips, "%.340s/%.32s/hwmon", dir, entry);
    return lmw_source_each(chips, "hwmon", visit_of_device, v, err);
}

int lmw_chip_each(const char *sysroot, chip_visit *visit, void *arg, struct lmw_err *err)
{
    static const struct {
        const char *dir, *entry;
        source_entry *visit;
    } places[] = {{"sys/class/hwmon", "hwmon", visit_of_class},
                  {"sys/class/drm", "card", visit_card},
                  {"sys/bus/i2c/drivers/ina3221", "", visit_monitor}};
    struct visit v = {sysroot, visit, arg};
    int rc = LMW_OK;
    for (size_t i = 0; i < sizeof places / sizeof *places && rc == LMW_OK; i++) {
        char dir[384];
        snprintf(dir, sizeof dir, "%.340s/%s", sysroot, places[i].dir);
        rc = lmw_source_each(dir, places[i].entry, places[i].visit, &v, err);
    }
    return rc;
}

bool lmw_chip_path(const struct chip *c, const char *attribute, char *out, size_t cap)
{
    const char *const folders[] = {c->dir, c->below};
    for (int i = 0; i < 2; i++) {
        snprintf(out, cap, "%.415s/%.64s", folders[i], attribute);
        if (folders[i][0] && exists(out))
            return true;
    }
    return false;
}

bool lmw_chip_text(const struct chip *c, const char *attribute, char *out, size_t cap)
{
    char path[512];
    out[0] = 0;
    return lmw_chip_path(c, attribute, path, sizeof path) && lmw_source_read_word(path, out, cap);
}

int64_t lmw_chip_i64(const struct chip *c, const char *attribute)
{
    char path[512];
    int64_t v;
    bool told = lmw_chip_path(c, attribute, path, sizeof path) &&
                lmw_source_read_i64(path, &v, NULL) == LMW_OK;
    return told ? v : LMW_NULL;
}

/* N of "typeN_input" or "typeN_average"; 0 for other names. */
static int channel(const char *name, const char *type)
{
    size_t k = strlen(type);
    char *end;
    if (strncmp(name, type, k) != 0)
        return 0;
    long n = strtol(name + k, &end, 10);
    bool value = strcmp(end, "_input") == 0 || strcmp(end, "_average") == 0;
    return value && n > 0 && n < 10000 ? (int)n : 0;
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static int add_channels(const char *dir, const char *type, int *out, int n, int cap)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    while (d && n < cap && (e = readdir(d))) {
        int k = channel(e->d_name, type);
        bool seen = k == 0;
        for (int i = 0; i < n; i++)
            seen |= out[i] == k;
        if (!seen)
            out[n++] = k;
    }
    if (d)
        closedir(d);
    return n;
}

int lmw_chip_channels(const struct chip *c, const char *type, int *out, int cap)
{
    int n = add_channels(c->dir, type, out, 0, cap);
    n = add_channels(c->below, type, out, n, cap);
    qsort(out, (size_t)n, sizeof *out, by_number);
    return n;
}

static bool device_text(const struct chip *c, const char *attribute, char *out, size_t cap)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%.64s", c->below, attribute);
    return lmw_source_read_word(path, out, cap);
}

/* Only APUs tell a northbridge's voltage (amdgpu_pm.c), and format 2 or 3 of the metrics table is
 * an APU's (linux kgd_pp_interface.h: a uint16_t size, then the format's number). An MI300A tells
 * format 1; it is known by its PCI number. A device that sleeps is a card, and not asked for its
 * table: that would wake it. */
bool lmw_chip_is_apu(const struct chip *c)
{
    char path[512], text[32];
    if (lmw_chip_text(c, "in1_label", text, sizeof text) && strcmp(text, "vddnb") == 0)
        return true;
    if (device_text(c, "device", text, sizeof text) && strcmp(text, "0x74a0") == 0)
        return true;
    if (device_text(c, "power/runtime_status", text, sizeof text) && is_asleep(text))
        return false;
    snprintf(path, sizeof path, "%s/gpu_metrics", c->below);
    return lmw_source_read_text(path, text, 8, NULL) >= 4 && (text[2] == 2 || text[2] == 3);
}

struct source *lmw_rail_add(struct source_list *l, const struct source_kind *kind,
                            const char *name, struct lmw_err *err)
{
    struct rail *rail = calloc(1, sizeof *rail);
    struct source *s = rail ? lmw_source_add(l, kind) : NULL;
    if (!s) {
        free(rail);
        lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
        return NULL;
    }
    s->state = rail;
    s->info.reading = LMW_POWER;
    snprintf(s->info.name, sizeof s->info.name, "%.12s:%.34s", kind->name, name);
    for (char *p = s->info.name; *p; p++) {
        if (*p == ',' || *p == ' ')
            *p = '_';
    }
    return s;
}

void lmw_rail_watch_sleep(struct source *s, const struct chip *c)
{
    snprintf(s->file[RUNTIME].path, sizeof s->file[RUNTIME].path, "%s/power/runtime_status",
             c->below);
    if (!exists(s->file[RUNTIME].path))
        s->file[RUNTIME].path[0] = 0;
}

void lmw_rail_probe(struct source *s)
{
    struct lmw_err why = {0};
    int64_t value;
    s->info.present = s->kind->read(s, 0, &value, &why) == LMW_OK;
    snprintf(s->info.reason, sizeof s->info.reason, "%.239s", why.msg);
}

void lmw_rail_about(struct source *s, const char *what)
{
    char window[64] = "";
    if (s->info.reading == LMW_COUNTER)
        ;
    else if (s->info.window_ns == LMW_NULL)
        snprintf(window, sizeof window, "each reading is the mean of a time that is not stated");
    else if (s->info.window_ns == 0)
        snprintf(window, sizeof window, "power of the moment");
    else
        snprintf(window, sizeof window, "each reading is the mean of %.4g s",
                 (double)s->info.window_ns * 1e-9);
    snprintf(s->info.about, sizeof s->info.about, "%.130s%s%s", what,
             what[0] && window[0] ? "; " : "", window);
}

/* Power of its rail, mW, from a number that looks like one. */
static int plausible(const struct source *s, double mw, int64_t *value, struct lmw_err *err)
{
    if (mw > 1e9 || mw < -1e5)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s says %.3g W: its driver has no reading",
                        s->file[VALUE].path, mw * 1e-3);
    if (mw <= 0 && rail_of(s)->is_whole)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s says %.3g W: its driver has no reading",
                        s->file[VALUE].path, mw * 1e-3);
    /* A shunt's amplifier is off by some mA either way. */
    *value = mw > 0 ? (int64_t)(mw + 0.5) : 0;
    return LMW_OK;
}

static int check_awake(struct source *s, struct lmw_err *err)
{
    char text[32];
    if (s->file[RUNTIME].path[0] &&
        lmw_source_file_read(&s->file[RUNTIME], text, sizeof text, NULL) > 0 && is_asleep(text))
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "it sleeps (%s): a program that uses it wakes it, or 'on' in control "
                        "beside that file keeps it awake",
                        s->file[RUNTIME].path);
    return LMW_OK;
}

int lmw_rail_read(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err)
{
    int64_t x, y;
    int rc = check_awake(s, err);
    if (rc < 0)
        return rc;
    if ((rc = lmw_source_file_i64(&s->file[VALUE], &x, err)) < 0)
        return rc;
    switch (rail_of(s)->unit) {
    case RAIL_UW: return plausible(s, (double)x * 1e-3, value, err);
    case RAIL_MW: return plausible(s, (double)x, value, err);
    case RAIL_MV_MA:
        if ((rc = lmw_source_file_i64(&s->file[CURRENT], &y, err)) < 0)
            return rc;
        return plausible(s, (double)x * (double)y * 1e-3, value, err);
    case RAIL_UJ: break;
    }
    if (x < 0)
        return lmw_fail(err, LMW_EFORMAT, "%s holds %lld, which is no energy", s->file[VALUE].path,
                        (long long)x);
    *value = x;
    return LMW_OK;
}

void lmw_rail_close(struct source *s)
{
    free(s->state);
    s->state = NULL;
}
