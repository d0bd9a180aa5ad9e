/* NVIDIA GPUs by NVML, the library that comes with the driver (libnvidia-ml.so.1, or LMW_NVML).
 *
 * nvml:N is the energy counter of board N: mJ since the driver was loaded, 64 bits, chip, memory
 * and voltage converters together; it moves every 10 to 100 ms and falls to 0 when the driver is
 * loaded again, which the samples show as a reset. Where a device has no counter (older than
 * Volta, a vGPU) or its counter is not to be believed, nvml:N is its power reading; otherwise
 * that is listed as nvml:N:power, for whoever asks for it.
 *
 * Power comes in two kinds. The field POWER_INSTANT is of the moment. nvmlDeviceGetPowerUsage is
 * of the moment up to Turing and on GA100, and since then the mean of the last second. Which one
 * it is shows in whether the field POWER_AVERAGE answers, which only averaging boards do; drivers
 * without fields are judged by the architecture. The moment's reading is preferred, and a mean
 * says so (window_ns). A power of 0 is an absent reading.
 *
 * Every call is probed on every device: a Jetson starts healthily, counts one device, and then
 * answers "not supported" to each question of power. Such a device is listed with its reasons.
 *
 * Superchips: on Grace Hopper the counter covers the module, CPU and memory included. Which scope
 * answered is asked (field scope 0 is the GPU, 1 the module), and where both do, the counter's is
 * the one whose power it follows. Its boundary is then "module", and it contains the processor's
 * package. MIG: the driver tells the board's energy only, so instances are refused, and the board
 * is used only when asked for by its own name: its joules include the neighbours'.
 *
 * Facts (names, codes, layouts, scopes): nvml.h of NVML 13.3, as published in NVIDIA/go-nvml.
 * Grace Hopper's counter: ml-energy/zeus#172. */
#include "meter/sources/gpu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/record.h"

/* nvmlReturn_t */
enum {
    NV_OK = 0,
    NV_NOT_SUPPORTED = 3,
    NV_NO_PERMISSION = 4,
    NV_INSUFFICIENT_POWER = 8,
    NV_DRIVER_NOT_LOADED = 9,
    NV_FUNCTION_NOT_FOUND = 13,
    NV_GPU_IS_LOST = 15,
    NV_RESET_REQUIRED = 16,
    NV_OPERATING_SYSTEM = 17,
    NV_VERSION_MISMATCH = 18,
    NV_NO_DATA = 21,
};
/* Field and scope identifiers, nvmlValueType_t, nvmlDeviceArchitecture_t, nvmlClockType_t. */
enum { FIELD_POWER_AVERAGE = 185, FIELD_POWER_INSTANT = 186 };
enum { SCOPE_GPU = 0, SCOPE_MODULE = 1 };
enum { TYPE_DOUBLE, TYPE_UINT, TYPE_ULONG, TYPE_ULL, TYPE_LL, TYPE_INT, TYPE_USHORT };
enum { ARCH_AMPERE = 7 };
enum { CLOCK_SM = 1, CLOCK_MEMORY = 2 };

struct nv_field { /* nvmlFieldValue_t */
    unsigned field, scope;
    long long timestamp_us, latency_us;
    int type, result;
    union {
        double d;
        int i;
        unsigned u;
        unsigned long ul;
        unsigned long long ull;
        long long ll;
        unsigned short us;
    } value;
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct nv_field) == 40, "nvmlFieldValue_t");
struct nv_pci { /* nvmlPciInfo_t, of ..._v3 */
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};
_Static_assert(sizeof(struct nv_pci) == 68, "nvmlPciInfo_t");
struct nv_memory { /* nvmlMemory_v2_t */
    unsigned version;
    unsigned long long total, reserved, free, used;
};
struct nv_memory_v1 { /* nvmlMemory_t */
    unsigned long long total, free, used;
};
struct nv_temperature { /* nvmlTemperature_v1_t */
    unsigned version;
    int sensor, celsius;
};
struct nv_busy { /* nvmlUtilization_t */
    unsigned gpu, memory;
};
/* NVML_STRUCT_VERSION */
#define NV_VERSION(type, n) (unsigned)(sizeof(type) | ((n) << 24U))

static struct nvml {
    void *lib;
    int users;
    char driver[48];
    int (*init)(void), (*shutdown)(void);
    const char *(*error_string)(int);
    int (*driver_version)(char *, unsigned);
    int (*count)(unsigned *), (*handle)(unsigned, void **);
    int (*name)(void *, char *, unsigned);
    int (*pci)(void *, struct nv_pci *);
    int (*energy)(void *, unsigned long long *);
    int (*power)(void *, unsigned *);
    int (*fields)(void *, int, struct nv_field *);
    int (*architecture)(void *, unsigned *), (*capability)(void *, int *, int *);
    int (*mig)(void *, unsigned *, unsigned *);
    int (*temperature_v)(void *, struct nv_temperature *), (*temperature)(void *, int, unsigned *);
    int (*memory_v2)(void *, struct nv_memory *), (*memory)(void *, struct nv_memory_v1 *);
    int (*busy)(void *, struct nv_busy *), (*clock)(void *, int, unsigned *);
    int (*reasons)(void *, unsigned long long *), (*old_reasons)(void *, unsigned long long *);
    int (*limit)(void *, unsigned *);
} nvml;
static pthread_mutex_t nvml_lock = PTHREAD_MUTEX_INITIALIZER; /* users, and what comes with them */

#define FN(name, member, needed)                           \
    {                                                      \
        "nvml" name, offsetof(struct nvml, member), needed \
    }
static const struct gpu_symbol symbols[] = {
    FN("Init_v2", init, true),
    FN("Shutdown", shutdown, true),
    FN("DeviceGetCount_v2", count, true),
    FN("DeviceGetHandleByIndex_v2", handle, true),
    FN("ErrorString", error_string, false),
    FN("SystemGetDriverVersion", driver_version, false),
    FN("DeviceGetName", name, false),
    FN("DeviceGetPciInfo_v3", pci, false),
    FN("DeviceGetTotalEnergyConsumption", energy, false),
    FN("DeviceGetPowerUsage", power, false),
    FN("DeviceGetFieldValues", fields, false),
    FN("DeviceGetArchitecture", architecture, false),
    FN("DeviceGetCudaComputeCapability", capability, false),
    FN("DeviceGetMigMode", mig, false),
    FN("DeviceGetTemperatureV", temperature_v, false),
    FN("DeviceGetTemperature", temperature, false),
    FN("DeviceGetMemoryInfo_v2", memory_v2, false),
    FN("DeviceGetMemoryInfo", memory, false),
    FN("DeviceGetUtilizationRates", busy, false),
    FN("DeviceGetClockInfo", clock, false),
    FN("DeviceGetCurrentClocksEventReasons", reasons, false),
    FN("DeviceGetCurrentClocksThrottleReasons", old_reasons, false),
    FN("DeviceGetEnforcedPowerLimit", limit, false),
};

static const char *error_text(int rc)
{
    switch (rc) {
    case NV_NOT_SUPPORTED: return "not supported";
    case NV_FUNCTION_NOT_FOUND: return "not in this library";
    case NV_NO_PERMISSION: return "no permission";
    case NV_NO_DATA: return "reads 0";
    default: return nvml.error_string ? nvml.error_string(rc) : "an error of the driver";
    }
}

/* What to do about a library that opens and will not start. */
static const char *cure(int rc)
{
    switch (rc) {
    case NV_DRIVER_NOT_LOADED:
        return "the kernel driver is not loaded: modprobe nvidia, or install it for this kernel";
    case NV_VERSION_MISMATCH:
        return "library and loaded kernel driver are of different versions: reboot or reload the "
               "nvidia modules; in a container use the host's library";
    case NV_NO_PERMISSION:
    case NV_OPERATING_SYSTEM:
        return "this user may not open /dev/nvidiactl and /dev/nvidia*: see their permissions, or "
               "give the container its GPUs";
    default: return "see what nvidia-smi says, and the kernel's log";
    }
}

/* ---- the library ---- */

static int fail_to_open(const char *sysroot, const char *path, const char *said,
                        struct lmw_err *err)
{
    char version[512];
    snprintf(version, sizeof version, "%.400s/proc/driver/nvidia/version", sysroot);
    if (access(version, F_OK) == 0)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "the NVIDIA driver is loaded, its library is not here (%.60s): install "
                        "the driver's libraries, or give the container the utility capability, or "
                        "name the file by LMW_NVML",
                        path);
    return lmw_fail(err, LMW_EUNAVAILABLE,
                    "no NVIDIA driver is installed (%.110s); if it is elsewhere, name its "
                    "libnvidia-ml.so.1 by LMW_NVML",
                    said);
}

static int start(const char *sysroot, const char *path, struct lmw_err *err)
{
    struct lmw_err why = {0};
    const char *paths[] = {path, NULL};
    int rc;
    nvml = (struct nvml){0};
    nvml.lib = lmw_gpu_open(paths, symbols, LMW_ITEMS(symbols), &nvml, &why);
    if (!nvml.lib && why.code == LMW_EUNAVAILABLE)
        return fail_to_open(sysroot, path, why.msg, err);
    if (!nvml.lib)
        return lmw_fail(err, why.code, "%.150s: it is not NVML, or older than 2013", why.msg);
    if ((rc = nvml.init()) != NV_OK) {
        lmw_fail(err, LMW_EUNAVAILABLE, "NVML does not start (%.40s): %s", error_text(rc),
                 cure(rc));
        dlclose(nvml.lib);
        nvml = (struct nvml){0};
        return LMW_EUNAVAILABLE;
    }
    if (!nvml.driver_version || nvml.driver_version(nvml.driver, sizeof nvml.driver) != NV_OK)
        nvml.driver[0] = 0;
    return LMW_OK;
}

/* One more user of the library, which the first one opens. */
static int acquire(const char *sysroot, struct lmw_err *err)
{
    const char *path = getenv("LMW_NVML");
    int rc = LMW_OK;
    if (sysroot[0] && !path)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "not looked for under another root; name a library by LMW_NVML");
    pthread_mutex_lock(&nvml_lock);
    if (nvml.users == 0)
        rc = start(sysroot, path && path[0] ? path : "libnvidia-ml.so.1", err);
    nvml.users += rc == LMW_OK;
    pthread_mutex_unlock(&nvml_lock);
    return rc;
}

static void release(void)
{
    pthread_mutex_lock(&nvml_lock);
    if (--nvml.users == 0) {
        nvml.shutdown();
        dlclose(nvml.lib);
        nvml = (struct nvml){0};
    }
    pthread_mutex_unlock(&nvml_lock);
}

/* ---- reading ---- */

enum from { FROM_NOTHING, FROM_COUNTER, FROM_USAGE, FROM_FIELD };
/* One rail of one device, and the state of its source. */
struct rail {
    void *device;
    enum from from;
    unsigned field, scope;
    int64_t window_ns;
};

/* A field's value of whatever type the driver chose, mW. */
static int64_t field_mw(const struct nv_field *f)
{
    switch (f->type) {
    case TYPE_DOUBLE: return f->value.d > 0 && f->value.d < 1e9 ? (int64_t)f->value.d : 0;
    case TYPE_UINT: return f->value.u;
    case TYPE_ULONG: return f->value.ul < 1000000000 ? (int64_t)f->value.ul : 0;
    case TYPE_ULL: return f->value.ull < 1000000000 ? (int64_t)f->value.ull : 0;
    case TYPE_LL: return f->value.ll;
    case TYPE_INT: return f->value.i;
    case TYPE_USHORT: return f->value.us;
    default: return 0;
    }
}

static int read_counter(const struct rail *r, int64_t *uj)
{
    unsigned long long mj = 0;
    if (!nvml.energy)
        return NV_FUNCTION_NOT_FOUND;
    int rc = nvml.energy(r->device, &mj);
    if (rc == NV_OK && mj > INT64_MAX / 1000)
        return NV_NO_DATA;
    *uj = (int64_t)mj * 1000;
    return rc;
}

static int read_usage(const struct rail *r, int64_t *mw)
{
    unsigned value = 0;
    if (!nvml.power)
        return NV_FUNCTION_NOT_FOUND;
    int rc = nvml.power(r->device, &value);
    *mw = value;
    return rc;
}

static int read_field(const struct rail *r, int64_t *mw)
{
    struct nv_field f = {.field = r->field, .scope = r->scope};
    if (!nvml.fields)
        return NV_FUNCTION_NOT_FOUND;
    int rc = nvml.fields(r->device, 1, &f);
    *mw = rc == NV_OK && f.result == NV_OK ? field_mw(&f) : 0;
    return rc == NV_OK ? f.result : rc;
}

static int read_rail(const struct rail *r, int64_t *value)
{
    int rc = r->from == FROM_COUNTER ? read_counter(r, value)
             : r->from == FROM_USAGE ? read_usage(r, value)
             : r->from == FROM_FIELD ? read_field(r, value)
                                     : NV_NOT_SUPPORTED;
    return rc == NV_OK && r->from != FROM_COUNTER && *value <= 0 ? NV_NO_DATA : rc;
}

static int read_source(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err)
{
    int rc = read_rail(s->state, value);
    if (rc == NV_OK)
        return LMW_OK;
    return lmw_fail(err, LMW_EUNAVAILABLE, "%s: %s", s->info.name, error_text(rc));
}

static void close_source(struct source *s)
{
    if (!s->state)
        return;
    free(s->state);
    s->state = NULL;
    release();
}

/* ---- what a device says of itself ---- */

static int64_t celsius(void *device)
{
    struct nv_temperature t = {.version = NV_VERSION(struct nv_temperature, 1)};
    unsigned value;
    if (nvml.temperature_v && nvml.temperature_v(device, &t) == NV_OK)
        return t.celsius;
    if (nvml.temperature && nvml.temperature(device, 0, &value) == NV_OK)
        return value;
    return LMW_NULL;
}

static void tell_memory(void *device, struct lmw_device *out)
{
    struct nv_memory m = {.version = NV_VERSION(struct nv_memory, 2)};
    struct nv_memory_v1 old;
    if (nvml.memory_v2 && nvml.memory_v2(device, &m) == NV_OK) {
        out->memory_used = (int64_t)m.used;
        out->memory_total = (int64_t)m.total;
    } else if (nvml.memory && nvml.memory(device, &old) == NV_OK) {
        out->memory_used = (int64_t)old.used;
        out->memory_total = (int64_t)old.total;
    }
}

/* nvmlClocksEventReason...: what holds the clocks down. Idleness and chosen clocks do not count as
 * throttling. */
static void tell_reasons(void *device, struct lmw_device *out)
{
    static const struct {
        unsigned bit;
        bool throttles;
        const char *name;
    } names[] = {{0x1, false, "idle"},
                 {0x2, false, "application_clocks"},
                 {0x4, true, "power_cap"},
                 {0x8, true, "hw_slowdown"},
                 {0x10, false, "sync_boost"},
                 {0x20, true, "sw_thermal"},
                 {0x40, true, "hw_thermal"},
                 {0x80, true, "power_brake"},
                 {0x100, false, "display_clocks"}};
    unsigned long long bits = 0;
    int rc = nvml.reasons ? nvml.reasons(device, &bits) : NV_FUNCTION_NOT_FOUND;
    if (rc != NV_OK && nvml.old_reasons)
        rc = nvml.old_reasons(device, &bits);
    if (rc != NV_OK)
        return;
    out->throttled = 0;
    size_t at = 0;
    for (int i = 0; i < LMW_ITEMS(names); i++) {
        if (!(bits & names[i].bit))
            continue;
        out->throttled |= names[i].throttles;
        if (at + strlen(names[i].name) + 2 < sizeof out->throttle)
            at += (size_t)snprintf(out->throttle + at, sizeof out->throttle - at, "%s%s",
                                   at ? "," : "", names[i].name);
    }
}

static int tell_device(struct source *s, struct lmw_device *out, struct lmw_err *err)
{
    void *device = ((struct rail *)s->state)->device;
    struct nv_busy busy;
    unsigned value;
    int64_t degrees = celsius(device);
    snprintf(out->driver, sizeof out->driver, "%s", nvml.driver);
    if (!nvml.name || nvml.name(device, out->model, sizeof out->model) != NV_OK)
        snprintf(out->model, sizeof out->model, "an NVIDIA GPU");
    if (degrees != LMW_NULL)
        out->temperature_mc = degrees * 1000;
    tell_memory(device, out);
    if (nvml.busy && nvml.busy(device, &busy) == NV_OK) {
        out->busy_percent = busy.gpu;
        out->memory_busy_percent = busy.memory;
    }
    if (nvml.clock && nvml.clock(device, CLOCK_SM, &value) == NV_OK)
        out->clock_mhz = value;
    if (nvml.clock && nvml.clock(device, CLOCK_MEMORY, &value) == NV_OK)
        out->memory_clock_mhz = value;
    if (nvml.limit && nvml.limit(device, &value) == NV_OK)
        out->power_limit_mw = value;
    tell_reasons(device, out);
    return LMW_OK;
}

/* ---- finding ---- */

struct gpu {
    int index;
    void *device;
    int handle_rc, counter_rc, power_rc; /* why there is none */
    char model[64];
    struct gpu_place place;
    struct rail counter, power, module;
    bool mig;
    char refused[96]; /* why the counter is not believed */
};

static bool answers(const struct rail *r)
{
    int64_t value;
    return read_rail(r, &value) == NV_OK;
}

/* Whether nvmlDeviceGetPowerUsage is a mean, on a driver that has no fields to tell: Ampere and
 * newer, but for GA100, which is compute capability 8.0. */
static bool is_mean_by_architecture(void *device)
{
    unsigned architecture = 0;
    int major = 0, minor = 0;
    if (!nvml.architecture || nvml.architecture(device, &architecture) != NV_OK)
        return false;
    bool ga100 = nvml.capability && nvml.capability(device, &major, &minor) == NV_OK &&
                 major == 8 && minor == 0;
    return architecture >= ARCH_AMPERE && !ga100;
}

/* The best power reading in one scope: of the moment before a mean. */
static struct rail find_power(void *device, unsigned scope, int *rc)
{
    int64_t mw;
    const int64_t second = 1000000000;
    struct rail usage = {device, FROM_USAGE, 0, scope, 0};
    struct rail instant = {device, FROM_FIELD, FIELD_POWER_INSTANT, scope, 0};
    struct rail mean = {device, FROM_FIELD, FIELD_POWER_AVERAGE, scope, second};
    if (answers(&instant))
        return instant;
    bool is_mean = answers(&mean);
    *rc = read_rail(scope == SCOPE_GPU ? &usage : &mean, &mw);
    if (scope == SCOPE_GPU && *rc == NV_OK) {
        if (is_mean || (!nvml.fields && is_mean_by_architecture(device)))
            usage.window_ns = second;
        return usage;
    }
    return is_mean ? mean : (struct rail){0};
}

static bool is_named(const struct gpu *g, const char *chip)
{
    return strstr(g->model, chip) != NULL;
}

/* Grace Hopper's module holds one GPU; what else answers for a module may hold several. */
static bool is_single(const struct gpu *g)
{
    return is_named(g, "GH200");
}

/* Drivers from before there were scopes answer for the GPU whatever scope is asked: a module is
 * believed when the GPU alone is not told, when the chip is known for it, or when it draws
 * more. */
static bool has_module(const struct gpu *g, const struct gpu_watch *w)
{
    return g->power.scope == SCOPE_MODULE || is_single(g) || is_named(g, "GB200") ||
           is_named(g, "GB300") || w->mean_mw[GPU_WIDER] > 1.05 * w->mean_mw[GPU_POWER];
}

static void probe_power(struct gpu *g)
{
    int unused;
    g->power = find_power(g->device, SCOPE_GPU, &g->power_rc);
    g->module = find_power(g->device, SCOPE_MODULE, &unused);
    bool unscoped = g->power.from == FROM_USAGE;
    if ((!g->power.from || unscoped) && g->module.from) {
        g->power = g->module; /* the GPU alone is not told */
        g->module = (struct rail){0};
    } else if (unscoped && is_single(g)) {
        g->power.scope = SCOPE_MODULE;
    }
}

static void probe(struct gpu *g, int index)
{
    struct nv_pci pci;
    unsigned mig = 0, pending = 0;
    int64_t uj;
    *g = (struct gpu){.index = index};
    if ((g->handle_rc = nvml.handle((unsigned)index, &g->device)) != NV_OK)
        return;
    if (!nvml.name || nvml.name(g->device, g->model, sizeof g->model) != NV_OK)
        g->model[0] = 0;
    if (nvml.pci && nvml.pci(g->device, &pci) == NV_OK)
        g->place = lmw_gpu_place(pci.domain, pci.bus, pci.device, 0);
    else
        snprintf(g->place.pci, sizeof g->place.pci, "nvml:%d", index);
    g->mig = nvml.mig && nvml.mig(g->device, &mig, &pending) == NV_OK && mig;
    g->counter = (struct rail){g->device, FROM_COUNTER, 0, SCOPE_GPU, 0};
    if ((g->counter_rc = read_rail(&g->counter, &uj)) != NV_OK)
        g->counter = (struct rail){0};
    probe_power(g);
}

static int watch_counter(void *g, int64_t *uj)
{
    return -read_rail(&((struct gpu *)g)->counter, uj);
}

static int watch_power(void *g, int64_t *mw)
{
    return -read_rail(&((struct gpu *)g)->power, mw);
}

static int watch_module(void *g, int64_t *mw)
{
    return -read_rail(&((struct gpu *)g)->module, mw);
}

static void watch_all(struct gpu *g, struct gpu_watch *w, int n)
{
    for (int i = 0; i < n; i++) {
        w[i].device = &g[i];
        w[i].read[GPU_COUNTER] = g[i].counter.from ? watch_counter : NULL;
        w[i].read[GPU_POWER] = g[i].power.from ? watch_power : NULL;
        w[i].read[GPU_WIDER] = g[i].module.from ? watch_module : NULL;
    }
    lmw_gpu_watch(w, n);
}

/* What the counter covers, which NVML does not say: the module's power or the GPU's, whichever it
 * follows; by name where there is nothing to compare with. */
static unsigned counter_scope(const struct gpu *g, const struct gpu_watch *w)
{
    double c = w->mean_mw[GPU_COUNTER], gpu = w->mean_mw[GPU_POWER],
           module = w->mean_mw[GPU_WIDER];
    if (g->power.from && g->power.scope == SCOPE_MODULE)
        return SCOPE_MODULE;
    if (g->module.from && c > 0 && gpu > 0 && module > gpu)
        return c * c > gpu * module ? SCOPE_MODULE : SCOPE_GPU; /* nearer by ratio */
    return is_single(g) ? SCOPE_MODULE : SCOPE_GPU;
}

static struct source *add(struct source_list *l, struct lmw_err *err)
{
    struct source *s = lmw_source_add(l, &lmw_kind_nvml);
    if (s) {
        snprintf(s->info.boundary, sizeof s->info.boundary, "board");
        s->info.reading = LMW_COUNTER;
    } else {
        lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    }
    return s;
}

/* Where a rail sits: a module around its processor's package and its GPU. Modules that may hold
 * several GPUs are never added to each other. */
static void place(struct source *s, const struct gpu *g, unsigned scope)
{
    bool superchip =
        g->module.from || g->counter.scope == SCOPE_MODULE || g->power.scope == SCOPE_MODULE;
    if (scope == SCOPE_MODULE) {
        snprintf(s->info.boundary, sizeof s->info.boundary, "module");
        if (is_single(g))
            snprintf(s->nest, sizeof s->nest, "host/psys/%d", g->index);
        else
            snprintf(s->nest, sizeof s->nest, "host/psys");
    } else if (superchip) {
        snprintf(s->nest, sizeof s->nest, "host/psys/%d/gpu%d", g->index, g->index);
    } else {
        lmw_gpu_nest(s, &g->place);
    }
}

static int add_rail(struct source_list *l, const struct gpu *g, const struct rail *r,
                    const char *suffix, struct source **out, struct lmw_err *err)
{
    struct rail *state = malloc(sizeof *state);
    struct source *s = state ? add(l, err) : NULL;
    if (!s) {
        free(state);
        lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
        return LMW_ENOMEM;
    }
    pthread_mutex_lock(&nvml_lock);
    nvml.users++;
    pthread_mutex_unlock(&nvml_lock);
    *state = *r;
    s->state = state;
    snprintf(s->info.name, sizeof s->info.name, "nvml:%d%s", g->index, suffix);
    place(s, g, r->scope);
    s->info.present = true;
    s->info.reading = r->from == FROM_COUNTER ? LMW_COUNTER : LMW_POWER;
    s->info.window_ns = r->from == FROM_COUNTER ? LMW_NULL : r->window_ns;
    tell_device(s, &s->info.device, NULL);
    *out = s;
    return LMW_OK;
}

static const char *kind_of_power(const struct rail *r)
{
    return r->window_ns ? "power, each the mean of the last second" : "power of the moment";
}

/* nvml:N. */
static int add_board(struct source_list *l, const struct gpu *g, const struct gpu_watch *w,
                     struct lmw_err *err)
{
    struct source *s;
    char compared[160];
    bool counts = g->counter.from && !g->refused[0];
    int rc = add_rail(l, g, counts ? &g->counter : &g->power, "", &s, err);
    if (rc < 0)
        return rc;
    const char *scope = strcmp(s->info.boundary, "module") == 0 ? "CPU and GPU together; " : "";
    lmw_gpu_compare(w, compared, sizeof compared);
    if (counts) {
        s->info.resolution_uj = 1000;
        s->info.period_ns = w->period_ns ? w->period_ns : LMW_NULL;
        snprintf(s->info.about, sizeof s->info.about, "%s%s", scope, compared);
    } else {
        snprintf(s->info.about, sizeof s->info.about, "%sno energy counter (%s): integrated %s",
                 scope, g->refused[0] ? g->refused : error_text(g->counter_rc),
                 kind_of_power(&g->power));
    }
    /* The driver's call takes what it takes: only much more than that is an interruption. */
    s->read_ns = w->read_ns;
    if (g->mig) {
        s->by_default = false;
        snprintf(s->info.reason, sizeof s->info.reason,
                 "MIG is on: these joules are those of all its instances together; ask for %s by "
                 "name to take them",
                 s->info.name);
    }
    return LMW_OK;
}

/* nvml:N:power and nvml:N:module, beside a counter that is better. */
static int add_beside(struct source_list *l, const struct gpu *g, const struct rail *r,
                      const char *suffix, struct lmw_err *err)
{
    struct source *s;
    int rc = add_rail(l, g, r, suffix, &s, err);
    if (rc < 0)
        return rc;
    s->by_default = false;
    snprintf(s->info.about, sizeof s->info.about, "%s%s",
             r->scope == SCOPE_MODULE ? "CPU and GPU together; " : "", kind_of_power(r));
    snprintf(s->info.reason, sizeof s->info.reason, "used when asked for by name; nvml:%d %s",
             g->index, r->scope == SCOPE_GPU ? "counts the same" : "is the GPU's own");
    return LMW_OK;
}

static int add_mig(struct source_list *l, const struct gpu *g, struct lmw_err *err)
{
    struct source *s = add(l, err);
    if (!s)
        return LMW_ENOMEM;
    snprintf(s->info.name, sizeof s->info.name, "nvml:%d:mig", g->index);
    place(s, g, SCOPE_GPU);
    snprintf(s->info.reason, sizeof s->info.reason,
             "MIG is on, and the driver tells no energy of a single instance: take the whole "
             "board's by its name, nvml:%d, or switch MIG off",
             g->index);
    return LMW_OK;
}

static int add_silent(struct source_list *l, const struct gpu *g, struct lmw_err *err)
{
    struct source *s = add(l, err);
    if (!s)
        return LMW_ENOMEM;
    snprintf(s->info.name, sizeof s->info.name, "nvml:%d", g->index);
    place(s, g, SCOPE_GPU);
    const char *help = g->handle_rc == NV_GPU_IS_LOST || g->handle_rc == NV_RESET_REQUIRED
                           ? "reset the GPU or reboot"
                       : g->handle_rc == NV_INSUFFICIENT_POWER ? "connect its power cables"
                                                               : cure(g->handle_rc);
    if (g->handle_rc != NV_OK)
        snprintf(s->info.reason, sizeof s->info.reason, "cannot be opened (%.60s): %s",
                 error_text(g->handle_rc), help);
    else
        snprintf(s->info.reason, sizeof s->info.reason,
                 "%.40s tells neither energy (%.40s) nor power (%.40s): a Jetson's is in its "
                 "INA3221 or INA238 under hwmon, a vGPU's with its host",
                 g->model[0] ? g->model : "it",
                 g->refused[0] ? g->refused : error_text(g->counter_rc), error_text(g->power_rc));
    return LMW_OK;
}

static int add_gpu(struct source_list *l, struct gpu *g, const struct gpu_watch *w,
                   struct lmw_err *err)
{
    int rc;
    if (!has_module(g, w))
        g->module = (struct rail){0};
    if (g->counter.from)
        g->counter.scope = counter_scope(g, w);
    bool refused = g->counter.from && lmw_gpu_refuse(w, false, g->refused, sizeof g->refused);
    if (!g->power.from && (!g->counter.from || refused))
        return add_silent(l, g, err);
    if ((rc = add_board(l, g, w, err)) < 0)
        return rc;
    if (g->counter.from && !refused && g->power.from)
        rc = add_beside(l, g, &g->power, ":power", err);
    if (rc == LMW_OK && g->module.from)
        rc = add_beside(l, g, &g->module, ":module", err);
    return rc == LMW_OK && g->mig ? add_mig(l, g, err) : rc;
}

static int add_all(struct source_list *l, int n, struct lmw_err *err)
{
    struct gpu *g = calloc((size_t)n + 1, sizeof *g);
    struct gpu_watch *w = calloc((size_t)n + 1, sizeof *w);
    int rc = LMW_OK;
    if (!g || !w) {
        free(g);
        free(w);
        lmw_fail(err, LMW_ENOMEM, "no memory for %d GPUs", n);
        return LMW_ENOMEM;
    }
    for (int i = 0; i < n; i++)
        probe(&g[i], i);
    if (!l->brief)
        watch_all(g, w, n);
    for (int i = 0; i < n && rc == LMW_OK; i++)
        rc = add_gpu(l, &g[i], &w[i], err);
    free(g);
    free(w);
    return rc;
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    enum { MOST = 256 };
    struct lmw_err why = {0};
    unsigned n = 0;
    if (acquire(sysroot, &why) < 0)
        return lmw_source_none(l, &lmw_kind_nvml, LMW_COUNTER, "board", err, "%s", why.msg);
    int rc = nvml.count(&n);
    if (rc != NV_OK)
        lmw_fail(&why, LMW_EUNAVAILABLE, "NVML cannot count the GPUs (%.60s): %s", error_text(rc),
                 cure(rc));
    else if (n == 0)
        lmw_fail(&why, LMW_EUNAVAILABLE,
                 "the NVIDIA driver sees no GPU: see lspci, or give the "
                 "container its GPUs");
    rc = why.code ? lmw_source_none(l, &lmw_kind_nvml, LMW_COUNTER, "board", err, "%s", why.msg)
                  : add_all(l, (int)(n < MOST ? n : MOST), err);
    release();
    return rc;
}

const struct source_kind lmw_kind_nvml = {.name = "nvml",
                                          .automatic = true,
                                          .beside = true,
                                          .find = find,
                                          .read = read_source,
                                          .close = close_source,
                                          .device = tell_device};
