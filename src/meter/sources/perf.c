/* RAPL by perf events: the energy of rapl.c by another door, for those who may use perf events
 * but may not read powercap's files.
 *
 * /sys/bus/event_source/devices/power is a counting unit with a `type`, a `cpumask` that names
 * one processor of each package (of each die where packages have several), and
 * events/energy-{pkg,ram,cores,gpu,psys} beside their .scale and .unit. AMD has power_core too
 * (Linux 6.14), whose mask names a processor of every core. An event is opened once a masked
 * processor and read as a 64-bit count; count x scale is joules since it was opened. The kernel
 * takes the hardware's 32-bit wraps out and counts in 2^-32 J: 64 bits last for 4 GJ. Steps and
 * update rate are the hardware's, as in rapl.c. (perf_event_open(2); the kernel's
 * Documentation/ABI/testing/sysfs-bus-event_source-devices-events.)
 *
 * Permission: events of a whole processor need /proc/sys/kernel/perf_event_paranoid at 0 or
 * below, or CAP_PERFMON (Linux 5.8; CAP_SYS_ADMIN before) (Documentation/admin-guide/
 * perf-security.rst). Containers often forbid the call altogether.
 *
 * Virtual machines show the unit without any event. An event the kernel could not run all the
 * time has missed energy: that read fails, and with it the spans it touches. The rails stand at
 * the same places as rapl.c's, so the two are never added. */
#include "meter/sources/perf.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "meter/source.h"

enum { MAX_CPU = 1024 };
static const uint64_t MISSED_NS = 1000000; /* enabled but not running: more is missed energy */

struct event {
    const char *unit, *file; /* "power", "energy-pkg" */
    const char *rail, *boundary;
    bool by_default;
};
static const struct event events[] = {
    {"power", "energy-pkg", "package", "chip", true},
    {"power", "energy-ram", "dram", "memory", true},
    {"power", "energy-cores", "core", "core", false},
    {"power", "energy-gpu", "uncore", "uncore", false},
    {"power", "energy-psys", "psys", "platform", false},
    {"power_core", "energy-core", "cores", "core", false},
};
enum { N_EVENT = sizeof events / sizeof *events };

/* One event on the processors that make one rail: one, or a package's cores. */
struct rail {
    double uj_per_count;
    int n;
    struct {
        int fd;
        uint64_t missed_ns;
    } cpu[];
};

struct masked {
    int cpu, package, die;
};
struct unit {
    char dir[400];
    const char *sysroot;
    uint32_t type;
    int n;
    bool by_die; /* two masked processors share a package: rails are named by die, as powercap's */
    struct masked v[MAX_CPU];
};

static int open_event(uint32_t type, uint64_t config, int cpu)
{
    struct perf_event_attr a = {.type = type,
                                .size = sizeof a,
                                .config = config,
                                .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED |
                                               PERF_FORMAT_TOTAL_TIME_RUNNING};
    return (int)syscall(SYS_perf_event_open, &a, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

lmw_perf_open_fn *lmw_perf_open = open_event;

/* A list of processors as the kernel writes it: "0,18" or "0-3,8". */
static int parse_cpus(const char *p, struct masked *out)
{
    int n = 0;
    while (*p >= '0' && *p <= '9') {
        char *end;
        long from = strtol(p, &end, 10), to = *end == '-' ? strtol(end + 1, &end, 10) : from;
        for (long c = from; c <= to && n < MAX_CPU; c++)
            out[n++].cpu = (int)c;
        p = *end == ',' ? end + 1 : end;
    }
    return n;
}

/* Which package and die each masked processor stands for; its place in the mask where the
 * machine does not say. Whether rails are named by die is the packages' unit's to say. */
static void place(struct unit *u, bool packages)
{
    for (int i = 0; i < u->n; i++) {
        char path[512];
        int64_t id;
        struct masked *m = &u->v[i];
        snprintf(path, sizeof path,
                 "%.360s/sys/devices/system/cpu/cpu%d/topology/physical_package_id", u->sysroot,
                 m->cpu);
        m->package = lmw_source_read_i64(path, &id, NULL) < 0 ? i : (int)id;
        snprintf(path, sizeof path, "%.360s/sys/devices/system/cpu/cpu%d/topology/die_id",
                 u->sysroot, m->cpu);
        m->die = lmw_source_read_i64(path, &id, NULL) < 0 ? 0 : (int)id;
        for (int j = 0; j < i; j++)
            u->by_die |= packages && u->v[j].package == m->package && u->v[j].die != m->die;
    }
}

/* False when this machine has no such unit. */
static bool find_unit(struct unit *u, const char *sysroot, const char *name)
{
    char path[512], mask[4096];
    int64_t type;
    u->sysroot = sysroot;
    snprintf(u->dir, sizeof u->dir, "%.340s/sys/bus/event_source/devices/%s", sysroot, name);
    snprintf(path, sizeof path, "%s/type", u->dir);
    if (lmw_source_read_i64(path, &type, NULL) < 0 || type < 0)
        return false;
    u->type = (uint32_t)type;
    snprintf(path, sizeof path, "%s/cpumask", u->dir);
    u->n = lmw_source_read_text(path, mask, sizeof mask, NULL) < 0 ? 0 : parse_cpus(mask, u->v);
    place(u, strcmp(name, "power") == 0);
    return true;
}

/* The event's number and what one count is worth: 1 with both, 0 when the unit does not have the
 * event, or an error. */
static int describe(const struct unit *u, const char *event, uint64_t *config, double *uj,
                    struct lmw_err *err)
{
    char path[560], text[64], *end = text;
    snprintf(path, sizeof path, "%s/events/%s", u->dir, event);
    if (lmw_source_read_text(path, text, sizeof text, NULL) < 0)
        return 0;
    *config = strncmp(text, "event=", 6) == 0 ? strtoull(text + 6, &end, 16) : 0;
    if (strncmp(text, "event=", 6) != 0 || end == text + 6 || (*end && *end != '\n'))
        return lmw_fail(err, LMW_EFORMAT, "%s holds '%.20s', not event=NUMBER", path, text);
    snprintf(path, sizeof path, "%s/events/%s.unit", u->dir, event);
    int rc = lmw_source_read_text(path, text, sizeof text, err);
    if (rc < 0)
        return rc;
    if (strncmp(text, "Joules", 6) != 0)
        return lmw_fail(err, LMW_EFORMAT, "%s holds '%.20s', not Joules", path, text);
    snprintf(path, sizeof path, "%s/events/%s.scale", u->dir, event);
    if ((rc = lmw_source_read_text(path, text, sizeof text, err)) < 0)
        return rc;
    *uj = strtod(text, &end) * 1e6;
    if (end == text || !(*uj > 0 && *uj < 1e6))
        return lmw_fail(err, LMW_EFORMAT, "%s holds '%.20s', not joules a count", path, text);
    return 1;
}

/* Why the kernel said no, and what helps. */
static void explain_refusal(const struct unit *u, const char *event, int cpu, int error, char *out,
                            size_t cap)
{
    char path[512];
    int64_t paranoid;
    const char *unit = strrchr(u->dir, '/') + 1;
    int at = snprintf(out, cap, "%s/%s/ on cpu %d: %s", unit, event, cpu, strerror(error));
    snprintf(path, sizeof path, "%.400s/proc/sys/kernel/perf_event_paranoid", u->sysroot);
    if (at >= (int)cap)
        return;
    if (error != EACCES && error != EPERM) {
        snprintf(out + at, cap - (size_t)at,
                 "; the event is listed, but the kernel has none such for this processor");
        return;
    }
    if (lmw_source_read_i64(path, &paranoid, NULL) == LMW_OK && paranoid > 0)
        snprintf(out + at, cap - (size_t)at,
                 "; /proc/sys/kernel/perf_event_paranoid is %d: set it to 0, or grant CAP_PERFMON "
                 "(setcap cap_perfmon=ep FILE), or run as root",
                 (int)paranoid);
    else
        snprintf(out + at, cap - (size_t)at,
                 "; perf_event_paranoid allows it, so a container's seccomp profile or a security "
                 "module forbids perf_event_open: run outside, or as root");
}

/* The rail of masked processor `i`: its own, or of a unit of cores all those in its package. */
static bool is_part(const struct unit *u, const struct masked *a, const struct masked *b)
{
    return a->package == b->package && (!u->by_die || a->die == b->die);
}

static int open_rail(struct source *s, const struct unit *u, const struct event *e,
                     uint64_t config, double uj, const struct masked *of, struct lmw_err *err)
{
    struct rail *r = calloc(1, sizeof *r + (size_t)u->n * sizeof r->cpu[0]);
    if (!r)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    s->state = r;
    r->uj_per_count = uj;
    for (int i = 0; i < u->n; i++) {
        if (!is_part(u, &u->v[i], of))
            continue;
        int fd = lmw_perf_open(u->type, config, u->v[i].cpu);
        if (fd < 0) {
            explain_refusal(u, e->file, u->v[i].cpu, errno, s->info.reason, sizeof s->info.reason);
            return LMW_OK;
        }
        r->cpu[r->n++].fd = fd;
    }
    s->info.present = true;
    return LMW_OK;
}

/* Names the rail and its place as rapl.c does: the same energy stands at the same place. */
static void name_rail(struct source *s, const struct unit *u, const struct event *e,
                      const struct masked *of)
{
    char id[32];
    struct lmw_source_info *i = &s->info;
    int n = snprintf(id, sizeof id, "%d", of->package);
    if (u->by_die)
        snprintf(id + n, sizeof id - (size_t)n, "-die-%d", of->die);
    snprintf(i->boundary, sizeof i->boundary, "%s", e->boundary);
    if (strcmp(e->rail, "psys") == 0 && u->n == 1)
        snprintf(i->name, sizeof i->name, "perf:psys");
    else
        snprintf(i->name, sizeof i->name, "perf:%s-%s", e->rail, id);
    if (strcmp(e->rail, "psys") == 0)
        snprintf(s->nest, sizeof s->nest, "host/psys");
    else if (strcmp(e->rail, "package") == 0)
        snprintf(s->nest, sizeof s->nest, "host/psys/%s", id);
    else if (strcmp(e->rail, "dram") == 0)
        snprintf(s->nest, sizeof s->nest, "host/psys/dram-%s", id);
    else
        snprintf(s->nest, sizeof s->nest, "host/psys/%s/%s", id, e->boundary);
    s->by_default = e->by_default;
}

static int add_rail(struct source_list *l, const struct unit *u, const struct event *e,
                    const struct masked *of, struct lmw_err *err)
{
    struct lmw_err why = {0};
    uint64_t config = 0;
    double uj = 0;
    int known = describe(u, e->file, &config, &uj, &why);
    if (known == 0)
        return LMW_OK;
    struct source *s = lmw_source_add(l, &lmw_kind_perf);
    if (!s)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    name_rail(s, u, e, of);
    s->info.reading = LMW_COUNTER;
    s->info.resolution_uj = 61; /* the hardware's coarsest common step, 2^-14 J, as in rapl.c */
    s->info.max_power_mw = 2000000;
    if (known < 0) {
        snprintf(s->info.reason, sizeof s->info.reason, "%.230s", why.msg);
        return LMW_OK;
    }
    return open_rail(s, u, e, config, uj, of, err);
}

/* The first processor of a rail stands for it. */
static int add_rails(struct source_list *l, const struct unit *u, const struct event *e,
                     struct lmw_err *err)
{
    for (int i = 0; i < u->n; i++) {
        int first = 0;
        while (!is_part(u, &u->v[first], &u->v[i]))
            first++;
        int rc = first == i ? add_rail(l, u, e, &u->v[i], err) : LMW_OK;
        if (rc < 0)
            return rc;
    }
    return LMW_OK;
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    static const char *const units[] = {"power", "power_core"};
    struct unit *u = calloc(1, sizeof *u);
    int rc = u ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    int before = l->n;
    bool there = false;
    for (int k = 0; k < 2 && rc == LMW_OK; k++) {
        if (!find_unit(u, sysroot, units[k]))
            continue;
        there = true;
        for (int i = 0; i < N_EVENT && rc == LMW_OK; i++) {
            if (strcmp(events[i].unit, units[k]) == 0)
                rc = add_rails(l, u, &events[i], err);
        }
    }
    free(u);
    if (rc == LMW_OK && l->n == before)
        rc = lmw_source_none(l, &lmw_kind_perf, LMW_COUNTER, "chip", err,
                             "%.100s/sys/bus/event_source/devices/power %s", sysroot,
                             there ? "has no energy events: a virtual machine, or a processor the "
                                     "kernel does not know"
                                   : "is not there: not an x86 with RAPL, the module rapl is not "
                                     "loaded, or a container hides it");
    return rc;
}

static int read_rail(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err)
{
    struct rail *r = s->state;
    double count = 0;
    bool missed = false;
    for (int i = 0; i < r->n; i++) {
        uint64_t v[3];
        ssize_t n;
        while ((n = read(r->cpu[i].fd, v, sizeof v)) < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return lmw_fail_errno(err, "%s: cannot read its event", s->info.name);
        if (n != sizeof v)
            return lmw_fail(err, LMW_EUNAVAILABLE,
                            "%s: the kernel counts its event no more (processor offline?)",
                            s->info.name);
        uint64_t idle = v[1] - v[2];
        missed |= idle > r->cpu[i].missed_ns && idle - r->cpu[i].missed_ns > MISSED_NS;
        r->cpu[i].missed_ns = idle;
        count += (double)v[0];
    }
    if (missed)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s: its event was not counted all the time",
                        s->info.name);
    *value = (int64_t)(count * r->uj_per_count);
    return LMW_OK;
}

static void close_rail(struct source *s)
{
    struct rail *r = s->state;
    for (int i = 0; r && i < r->n; i++)
        close(r->cpu[i].fd);
    free(r);
    s->state = NULL;
}

const struct source_kind lmw_kind_perf = {
    .name = "perf", .automatic = true, .find = find, .read = read_rail, .close = close_rail};
