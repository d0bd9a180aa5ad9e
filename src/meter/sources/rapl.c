/* RAPL by powercap: energy counters of Intel and AMD processors in
 * /sys/class/powercap/intel-rapl*.
 *
 * Counter: uJ, about 1 ms between updates, 15 to 61 uJ steps; 32 bits of hardware shown modulo
 * max_energy_range_uj (262143 J at 61 uJ: 44 minutes at 100 W). Readable by root only since Linux
 * 5.10 (CVE-2020-8694).
 *
 * Zones: package-N contains core and uncore. dram is its child in sysfs but not in its energy, so
 * packages + dram is the total. psys is the platform and contains all of it. intel-rapl-mmio is
 * the package again, by another register: of zones at one place only the first that can be read
 * is in the total. Zones other than packages and dram are listed, and used only when asked for by
 * name. Trees copied without their links have the zones nested, as their devices are. */
#include "meter/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names the rail, its boundary and its place from the zone's name and its package's ("package-0",
 * "dram"). */
static void describe(struct source *s, const char *zone, const char *package, bool mmio)
{
    const char *id = strncmp(package, "package-", 8) == 0 ? package + 8 : package;
    const char *tag = mmio ? "mmio-" : "";
    struct lmw_source_info *i = &s->info;
    if (strncmp(zone, "package-", 8) == 0) {
        snprintf(i->name, sizeof i->name, "rapl:%s%.32s", tag, zone);
        snprintf(i->boundary, sizeof i->boundary, "chip");
        snprintf(s->nest, sizeof s->nest, "host/psys/%.32s", id);
    } else if (strcmp(zone, "psys") == 0) {
        snprintf(i->name, sizeof i->name, "rapl:%spsys", tag);
        snprintf(i->boundary, sizeof i->boundary, "platform");
        snprintf(s->nest, sizeof s->nest, "host/psys");
        s->by_default = false;
    } else {
        bool dram = strcmp(zone, "dram") == 0;
        snprintf(i->name, sizeof i->name, "rapl:%s%.12s-%.16s", tag, zone, id);
        snprintf(i->boundary, sizeof i->boundary, "%.31s", dram ? "memory" : zone);
        snprintf(s->nest, sizeof s->nest, dram ? "host/psys/dram-%.16s" : "host/psys/%.16s/%.12s",
                 id, zone);
        s->by_default = dram;
    }
}

/* The zone's own name file, and its parent's for zones like intel-rapl:0:1. */
static bool zone_names(const char *dir, const char *entry, char *zone, char *package, size_t cap)
{
    char path[1024];
    const char *last = strrchr(entry, ':');
    snprintf(path, sizeof path, "%s/%s/name", dir, entry);
    if (!lmw_source_read_word(path, zone, cap))
        return false;
    snprintf(package, cap, "%s", zone);
    if (!last || last == strchr(entry, ':'))
        return true;
    snprintf(path, sizeof path, "%s/%.*s/name", dir, (int)(last - entry), entry);
    if (lmw_source_read_word(path, package, cap))
        return true;
    snprintf(path, sizeof path, "%s/name", dir); /* nested */
    return lmw_source_read_word(path, package, cap);
}

static int read_zone(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err)
{
    int rc = lmw_source_file_i64(&s->file[0], value, err);
    if (rc == LMW_OK && (*value < 0 || *value > s->info.wrap_uj))
        return lmw_fail(err, LMW_EFORMAT, "%s holds %lld, outside its range", s->file[0].path,
                        (long long)*value);
    return rc;
}

static int add_zone(void *l, const char *dir, const char *entry, struct lmw_err *err)
{
    char zone[32], package[32], path[512];
    int64_t value;
    struct lmw_err why = {0};
    if (!zone_names(dir, entry, zone, package, sizeof zone))
        return LMW_OK; /* not a zone we know how to name: better not shown than shown wrongly */
    struct source *s = lmw_source_add(l, &lmw_kind_rapl);
    if (!s)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    describe(s, zone, package, strncmp(entry, "intel-rapl-mmio", 15) == 0);
    s->info.reading = LMW_COUNTER;
    s->info.resolution_uj = 61; /* the coarsest common unit, 2^-14 J; the finer one is 15.3 uJ */
    s->info.max_power_mw = 2000000; /* above any package or memory there is */
    snprintf(s->file[0].path, sizeof s->file[0].path, "%.400s/%.64s/energy_uj", dir, entry);
    snprintf(path, sizeof path, "%.400s/%.64s/max_energy_range_uj", dir, entry);
    if (lmw_source_read_i64(path, &s->info.wrap_uj, &why) < 0 || s->info.wrap_uj <= 0) {
        snprintf(s->info.reason, sizeof s->info.reason, "its range is unknown: %.200s",
                 why.msg[0] ? why.msg : path);
        return LMW_OK;
    }
    int rc = read_zone(s, 0, &value, &why);
    s->info.present = rc == LMW_OK;
    if (rc == LMW_EFORMAT)
        snprintf(s->info.reason, sizeof s->info.reason, "%.230s", why.msg);
    else if (rc < 0)
        snprintf(s->info.reason, sizeof s->info.reason,
                 "%.170s: let a group read it (udev rule data/60-lmwatt-rapl.rules), or grant "
                 "CAP_PERFMON and take perf events (source perf), or run as root",
                 why.msg);
    return LMW_OK;
}

/* Zones below their devices, where the class folder has no links to them. */
static int add_nested(void *l, const char *dir, const char *entry, struct lmw_err *err)
{
    char below[512];
    int n = snprintf(below, sizeof below, "%s/%s", dir, entry);
    int rc = strchr(entry, ':') ? add_zone(l, dir, entry, err) : LMW_OK;
    return rc < 0 || n > 400 ? rc : lmw_source_each(below, "intel-rapl", add_nested, l, err);
}

/* Of two zones at one place only one is in the total: the first that can be read. */
static void settle_twins(struct source *v, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            if (strcmp(v[i].nest, v[j].nest) != 0 || !v[j].by_default)
                continue;
            bool later = v[i].info.present && !v[j].info.present;
            struct source *out = later ? &v[j] : &v[i];
            out->by_default = false;
            if (out->info.present)
                snprintf(out->info.reason, sizeof out->info.reason,
                         "the same energy as %s, by another register", v[j].info.name);
        }
    }
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    static const char *const copied[] = {"sys/class/powercap", "sys/devices/virtual/powercap"};
    char dir[400], nested[400];
    int before = l->n;
    snprintf(dir, sizeof dir, "%.360s/sys/class/powercap", sysroot);
    int rc = lmw_source_each(dir, "intel-rapl:", add_zone, l, err);
    if (rc == LMW_OK)
        rc = lmw_source_each(dir, "intel-rapl-mmio:", add_zone, l, err);
    for (int i = 0; i < 2 && rc == LMW_OK && l->n == before; i++) {
        snprintf(nested, sizeof nested, "%.360s/%s", sysroot, copied[i]);
        rc = lmw_source_each(nested, "intel-rapl", add_nested, l, err);
    }
    settle_twins(l->v + before, l->n - before);
    if (rc == LMW_OK && l->n == before)
        return lmw_source_none(l, &lmw_kind_rapl, LMW_COUNTER, "chip", err,
                               "no zones in %.100s: not an x86 with RAPL, the module "
                               "intel_rapl_msr is not loaded, or a virtual machine or container "
                               "hides it",
                               dir);
    return rc;
}

const struct source_kind lmw_kind_rapl = {
    .name = "rapl", .automatic = true, .find = find, .read = read_zone};
