/* AMD GPUs by AMD SMI (libamd_smi.so, or LMW_AMDSMI), else by the older ROCm SMI
 * (librocm_smi64.so, or LMW_ROCMSMI).
 *
 * amdsmi:N is the energy accumulator of board N: ticks of counter_resolution uJ (15.3), 64 bits,
 * about 1 ms between updates; ticks without their resolution are no joules. Accumulators that
 * stand still inside one process, run backwards or are wrong by far have been reported
 * (ROCm/rocm_smi_lib#180, ROCm/amdsmi#115, #38), so each is watched beside the power reading
 * first, and one that misbehaves is replaced by that reading, with the reason. One that goes back
 * a little later on is not read any more; one that falls to nearly nothing was reset.
 *
 * Power: AMD SMI's, whole watts, or ROCm SMI's, microwatts. The current socket power is of the
 * moment; the average one is a mean over a time that nobody states. 0, 0xffff and 0xffffffff mean
 * that there is none.
 *
 * Layouts. amdsmi_power_info_t changed: ROCm 5 begins with average_socket_power; 6.0 to 6.3 with
 * current and average; since 6.4 a 64-bit socket_power comes before these two. The version number
 * changed its layout too, so the library itself is asked: which words of a marked buffer it writes
 * tells the layout. Of the other structs only leading members are used, which never moved.
 *
 * Boundary: a board. An APU, which its metrics table shows (format 2 or 3 in
 * /sys/bus/pci/devices/.../gpu_metrics, linux kgd_pp_interface.h), tells the power of its whole
 * socket, in W or mW by firmware: it is refused, and RAPL measures it. An MI300A is a module that
 * contains the processor. Partitions of one board share its energy, and the second die of an
 * MI250 tells none: the first die's is that of both.
 *
 * The libraries are not safe to call from several threads: one lock guards every call.
 *
 * Facts (names, codes, units): amdsmi.h 24.7 and rocm_smi.h of ROCm 6.3; the layouts of other
 * releases: the struct references at rocm.docs.amd.com/projects/amdsmi, 6.2 to 7.1. */
#include "meter/sources/gpu.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/record.h"

/* amdsmi_status_t and rsmi_status_t agree on these two. */
enum { AMD_OK = 0, AMD_NOT_SUPPORTED = 2 };
/* amdsmi_status_t */
enum { AMD_DRM_ERROR = 6, AMD_NO_PERMISSION = 10, AMD_DRIVER_NOT_LOADED = 34, AMD_NO_DATA = 40 };
enum { RSMI_PERMISSION = 4 };
enum { INIT_GPUS = 2, TYPE_GPU = 1, TYPE_APU = 6 };    /* amdsmi_init_flags_t, processor_type_t */
enum { TEMPERATURE_HOTSPOT = 1, TEMPERATURE_NOW = 0 }; /* in both libraries */
enum { CLOCK_GFX = 0, CLOCK_MEM = 4 };                 /* amdsmi_clk_type_t */
enum { ROCM_CURRENT_POWER = 1, ROCM_VRAM = 0 };        /* RSMI_POWER_TYPE, rsmi_memory_type_t */

typedef unsigned status;

static struct amd {
    void *lib;
    int users;
    bool rocm; /* the older library */
    char version[48];
    status (*init)(uint64_t), (*shut_down)(void);
    status (*text)(status, const char **);
    /* AMD SMI */
    status (*lib_version)(void *);
    status (*sockets)(uint32_t *, void **), (*processors)(void *, uint32_t *, void **);
    status (*type)(void *, int *);
    status (*energy)(void *, uint64_t *, float *, uint64_t *);
    status (*power)(void *, void *), (*asic)(void *, void *);
    status (*place)(void *, uint64_t *);
    status (*temperature)(void *, int, int, int64_t *);
    status (*activity)(void *, void *), (*vram)(void *, void *);
    status (*clock)(void *, int, void *);
    /* ROCm SMI */
    status (*r_count)(uint32_t *);
    status (*r_energy)(uint32_t, uint64_t *, float *, uint64_t *);
    status (*r_power)(uint32_t, uint64_t *, int *);
    status (*r_mean_power)(uint32_t, uint32_t, uint64_t *);
    status (*r_place)(uint32_t, uint64_t *);
    status (*r_name)(uint32_t, char *, size_t);
    status (*r_temperature)(uint32_t, uint32_t, int, int64_t *);
    status (*r_busy)(uint32_t, uint32_t *);
    status (*r_memory_total)(uint32_t, int, uint64_t *),
        (*r_memory_used)(uint32_t, int, uint64_t *);
} amd;
static pthread_mutex_t amd_lock = PTHREAD_MUTEX_INITIALIZER;

#define AMD(name, member, needed)                            \
    {                                                        \
        "amdsmi_" name, offsetof(struct amd, member), needed \
    }
static const struct gpu_symbol amd_symbols[] = {
    AMD("init", init, true),
    AMD("shut_down", shut_down, true),
    AMD("get_socket_handles", sockets, true),
    AMD("get_processor_handles", processors, true),
    AMD("status_code_to_string", text, false),
    AMD("get_lib_version", lib_version, false),
    AMD("get_processor_type", type, false),
    AMD("get_energy_count", energy, false),
    AMD("get_power_info", power, false),
    AMD("get_gpu_asic_info", asic, false),
    AMD("get_gpu_bdf_id", place, false),
    AMD("get_temp_metric", temperature, false),
    AMD("get_gpu_activity", activity, false),
    AMD("get_gpu_vram_usage", vram, false),
    AMD("get_clock_info", clock, false),
};
#define ROCM(name, member, needed)                         \
    {                                                      \
        "rsmi_" name, offsetof(struct amd, member), needed \
    }
static const struct gpu_symbol rocm_symbols[] = {
    ROCM("init", init, true),
    ROCM("shut_down", shut_down, true),
    ROCM("num_monitor_devices", r_count, true),
    ROCM("status_string", text, false),
    ROCM("dev_energy_count_get", r_energy, false),
    ROCM("dev_power_get", r_power, false),
    ROCM("dev_power_ave_get", r_mean_power, false),
    ROCM("dev_pci_id_get", r_place, false),
    ROCM("dev_name_get", r_name, false),
    ROCM("dev_temp_metric_get", r_temperature, false),
    ROCM("dev_busy_percent_get", r_busy, false),
    ROCM("dev_memory_total_get", r_memory_total, false),
    ROCM("dev_memory_usage_get", r_memory_used, false),
};

static const char *error_text(status rc)
{
    const char *text = NULL;
    if (rc == AMD_NOT_SUPPORTED)
        return "not supported";
    if (rc == AMD_NO_DATA && !amd.rocm)
        return "no reading";
    if (amd.text && amd.text(rc, &text) == AMD_OK && text)
        return text;
    return "an error of the driver";
}

static const char *cure(status rc)
{
    if (amd.rocm ? rc == RSMI_PERMISSION : rc == AMD_NO_PERMISSION || rc == AMD_DRM_ERROR)
        return "this user may not open /dev/kfd and /dev/dri: join the groups render and video, "
               "or give the container both devices";
    if (!amd.rocm && rc == AMD_DRIVER_NOT_LOADED)
        return "the amdgpu driver is not loaded: modprobe amdgpu";
    return "see what amd-smi or rocm-smi says, and the kernel's log";
}

/* ---- the library ---- */

static void forget_library(void)
{
    dlclose(amd.lib);
    amd = (struct amd){0};
}

static void read_version(void)
{
    /* amdsmi_version_t: three or four numbers, then the version as text, at 16 either way. */
    struct {
        uint32_t number[4];
        const char *text;
        uint64_t spare[8];
    } v = {.text = NULL};
    const char *name = amd.rocm ? "ROCm SMI" : "AMD SMI";
    bool told = !amd.rocm && sizeof(void *) == 8 && amd.lib_version &&
                amd.lib_version(&v) == AMD_OK && v.text;
    snprintf(amd.version, sizeof amd.version, "%s%s%.30s", name, told ? " " : "",
             told ? v.text : "");
}

static int start_one(bool rocm, const char *const *paths, struct lmw_err *err)
{
    amd = (struct amd){0};
    void *lib = rocm ? lmw_gpu_open(paths, rocm_symbols, LMW_ITEMS(rocm_symbols), &amd, err)
                     : lmw_gpu_open(paths, amd_symbols, LMW_ITEMS(amd_symbols), &amd, err);
    if (!lib) {
        amd = (struct amd){0};
        return LMW_EUNAVAILABLE;
    }
    amd.lib = lib;
    amd.rocm = rocm;
    status rc = amd.init(rocm ? 0 : INIT_GPUS);
    if (rc != AMD_OK) {
        lmw_fail(err, LMW_EIO, "%s does not start (%.60s): %s", rocm ? "ROCm SMI" : "AMD SMI",
                 error_text(rc), cure(rc));
        forget_library();
        return LMW_EIO;
    }
    read_version();
    return LMW_OK;
}

/* AMD SMI, else ROCm SMI; what stopped a library that is there says more than the absence of
 * another. */
static int start(const char *sysroot, struct lmw_err *err)
{
    static const char *const usual[2][4] = {
        {"libamd_smi.so", "/opt/rocm/lib/libamd_smi.so", NULL},
        {"librocm_smi64.so", "librocm_smi64.so.1", "/opt/rocm/lib/librocm_smi64.so", NULL}};
    const char *const named[2] = {getenv("LMW_AMDSMI"), getenv("LMW_ROCMSMI")};
    struct lmw_err why[2] = {0};
    for (int rocm = 0; rocm < 2; rocm++) {
        const char *const one[] = {named[rocm], NULL};
        if (!named[rocm] && sysroot[0])
            continue;
        if (start_one(rocm, named[rocm] ? one : usual[rocm], &why[rocm]) == LMW_OK)
            return LMW_OK;
    }
    if (!why[0].code && !why[1].code)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "not looked for under another root; name a library by LMW_AMDSMI");
    for (int i = 0; i < 2; i++) {
        if (why[i].code && why[i].code != LMW_EUNAVAILABLE)
            return lmw_fail(err, LMW_EUNAVAILABLE, "%.230s", why[i].msg);
    }
    return lmw_fail(err, LMW_EUNAVAILABLE,
                    "neither AMD SMI nor ROCm SMI is installed (%.110s): install one, or name it "
                    "by LMW_AMDSMI or LMW_ROCMSMI",
                    why[why[0].code ? 0 : 1].msg);
}

static int acquire(const char *sysroot, struct lmw_err *err)
{
    pthread_mutex_lock(&amd_lock);
    int rc = amd.users == 0 ? start(sysroot, err) : LMW_OK;
    amd.users += rc == LMW_OK;
    pthread_mutex_unlock(&amd_lock);
    return rc;
}

static void release(void)
{
    pthread_mutex_lock(&amd_lock);
    if (--amd.users == 0) {
        amd.shut_down();
        forget_library();
    }
    pthread_mutex_unlock(&amd_lock);
}

/* ---- reading; the lock is held ---- */

enum from { FROM_NOTHING, FROM_COUNTER, FROM_POWER };
/* One rail of one device, and the state of its source. */
struct rail {
    void *device;   /* AMD SMI's handle */
    uint32_t index; /* ROCm SMI's */
    enum from from;
    int64_t window_ns;
    float resolution_uj;
    int64_t last_uj; /* the counter, as last read */
    bool broken;     /* it went back */
};

static status read_counter(struct rail *r, int64_t *uj)
{
    uint64_t ticks = 0, stamp = 0;
    float resolution = 0;
    status rc = amd.rocm     ? amd.r_energy ? amd.r_energy(r->index, &ticks, &resolution, &stamp)
                                            : AMD_NOT_SUPPORTED
                : amd.energy ? amd.energy(r->device, &ticks, &resolution, &stamp)
                             : AMD_NOT_SUPPORTED;
    double value = (double)ticks * (double)resolution;
    if (rc != AMD_OK)
        return rc;
    /* Finer than a nanojoule or coarser than a joule is no accumulator's tick. */
    if (!(resolution >= 1e-3F && resolution <= 1e6F) || !(value < 9e18))
        return AMD_NO_DATA;
    r->resolution_uj = resolution;
    *uj = (int64_t)value;
    return AMD_OK;
}

static bool is_watts(uint32_t w)
{
    return w > 0 && w < 10000;
}

/* The power in AMD SMI's struct, by the layout the library writes. Its window goes to
 * *window_ns. */
static int64_t power_in(const uint32_t *w, uint32_t mark, int64_t *window_ns)
{
    uint32_t current = 0, average = w[0];
    if (w[6] != mark) { /* 6.4 and later */
        current = w[2];
        average = w[3];
    } else if (w[5] != mark) { /* 6.0 to 6.3 */
        current = w[0];
        average = w[1];
    }
    *window_ns = is_watts(current) ? 0 : LMW_NULL;
    return is_watts(current) ? current : is_watts(average) ? average : 0;
}

static status read_power_amd(struct rail *r, int64_t *mw)
{
    const uint32_t mark = 0xa5c3a5c3;
    uint32_t words[256]; /* many times the largest layout, 192 bytes */
    for (int i = 0; i < LMW_ITEMS(words); i++)
        words[i] = mark;
    status rc = amd.power ? amd.power(r->device, words) : AMD_NOT_SUPPORTED;
    if (rc == AMD_OK)
        *mw = power_in(words, mark, &r->window_ns) * 1000;
    return rc;
}

static status read_power_rocm(struct rail *r, int64_t *mw)
{
    uint64_t uw = 0;
    int type = 0;
    status rc = amd.r_power ? amd.r_power(r->index, &uw, &type) : AMD_NOT_SUPPORTED;
    if (rc != AMD_OK && amd.r_mean_power)
        rc = amd.r_mean_power(r->index, 0, &uw);
    r->window_ns = type == ROCM_CURRENT_POWER ? 0 : LMW_NULL;
    *mw = uw < 10000000000 ? (int64_t)(uw / 1000) : 0;
    return rc;
}

static status read_rail(struct rail *r, int64_t *value)
{
    if (r->from == FROM_COUNTER)
        return read_counter(r, value);
    *value = 0;
    status rc = amd.rocm ? read_power_rocm(r, value) : read_power_amd(r, value);
    return rc == AMD_OK && *value <= 0 ? AMD_NO_DATA : rc;
}

static status read_locked(struct rail *r, int64_t *value)
{
    pthread_mutex_lock(&amd_lock);
    status rc = read_rail(r, value);
    pthread_mutex_unlock(&amd_lock);
    return rc;
}

static int read_source(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err)
{
    struct rail *r = s->state;
    status rc = read_locked(r, value);
    if (rc != AMD_OK)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s: error %u of the driver", s->info.name, rc);
    if (r->from != FROM_COUNTER)
        return LMW_OK;
    /* A register that was reset begins near nothing; one that goes back a little is not counting,
     * and what it gains when it comes forward again was never used. */
    r->broken |= *value<r->last_uj && * value> r->last_uj / 2;
    r->last_uj = *value;
    if (r->broken)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s ran backwards, and is not used any more",
                        s->info.name);
    return LMW_OK;
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

/* Not known is 0xffff or 0xffffffff, depending on the release. */
static int64_t number(uint32_t v)
{
    return v == 0xffff || v == 0xffffffff ? LMW_NULL : v;
}

/* Millidegrees by the header, whole degrees by some releases: no chip that answers is below 1
 * C. */
static void tell_temperature(struct lmw_device *out, int64_t t)
{
    if (t > 0 && t < 300000)
        out->temperature_mc = t < 1000 ? t * 1000 : t;
}

static void tell_amd(const struct rail *r, struct lmw_device *out)
{
    uint32_t words[1024] = {0};
    int64_t t = 0;
    if (amd.asic && amd.asic(r->device, words) == AMD_OK)
        snprintf(out->model, sizeof out->model, "%.63s", (const char *)words);
    if (amd.temperature &&
        amd.temperature(r->device, TEMPERATURE_HOTSPOT, TEMPERATURE_NOW, &t) == AMD_OK)
        tell_temperature(out, t);
    if (amd.activity && amd.activity(r->device, words) == AMD_OK) {
        out->busy_percent = number(words[0]);
        out->memory_busy_percent = number(words[1]);
    }
    if (amd.vram && amd.vram(r->device, words) == AMD_OK) { /* MB, of 2^20 bytes */
        out->memory_total = (int64_t)words[0] << 20;
        out->memory_used = (int64_t)words[1] << 20;
    }
    if (amd.clock && amd.clock(r->device, CLOCK_GFX, words) == AMD_OK)
        out->clock_mhz = number(words[0]);
    if (amd.clock && amd.clock(r->device, CLOCK_MEM, words) == AMD_OK)
        out->memory_clock_mhz = number(words[0]);
}

static void tell_rocm(const struct rail *r, struct lmw_device *out)
{
    uint64_t bytes;
    uint32_t busy;
    int64_t t = 0;
    if (amd.r_name && amd.r_name(r->index, out->model, sizeof out->model) != AMD_OK)
        out->model[0] = 0;
    if (amd.r_temperature &&
        amd.r_temperature(r->index, TEMPERATURE_HOTSPOT, TEMPERATURE_NOW, &t) == AMD_OK)
        tell_temperature(out, t);
    if (amd.r_busy && amd.r_busy(r->index, &busy) == AMD_OK)
        out->busy_percent = busy;
    if (amd.r_memory_total && amd.r_memory_total(r->index, ROCM_VRAM, &bytes) == AMD_OK)
        out->memory_total = (int64_t)bytes;
    if (amd.r_memory_used && amd.r_memory_used(r->index, ROCM_VRAM, &bytes) == AMD_OK)
        out->memory_used = (int64_t)bytes;
}

static void tell(const struct rail *r, struct lmw_device *out)
{
    pthread_mutex_lock(&amd_lock);
    snprintf(out->driver, sizeof out->driver, "%s", amd.version);
    if (amd.rocm)
        tell_rocm(r, out);
    else
        tell_amd(r, out);
    if (!out->model[0])
        snprintf(out->model, sizeof out->model, "an AMD GPU");
    pthread_mutex_unlock(&amd_lock);
}

static int tell_device(struct source *s, struct lmw_device *out, struct lmw_err *err)
{
    tell(s->state, out);
    return LMW_OK;
}

/* ---- finding ---- */

struct gpu {
    int index, same_as; /* same_as: the first of its board's partitions; itself as a rule */
    struct gpu_place place;
    struct lmw_device device;
    struct rail counter, power;
    status counter_rc, power_rc;
    bool apu, module;
    char refused[96]; /* why the counter is not believed */
};

/* AMD SMI's GPUs of all sockets, at most `cap`; how many. */
static int list_handles(void **out, int cap)
{
    enum { MOST = 64 };
    void *sockets[MOST], *handles[MOST];
    uint32_t n_socket = MOST;
    int n = 0, type;
    if (amd.sockets(&n_socket, sockets) != AMD_OK)
        return 0;
    for (uint32_t i = 0; i < n_socket && i < MOST; i++) {
        uint32_t n_handle = MOST;
        if (amd.processors(sockets[i], &n_handle, handles) != AMD_OK)
            continue;
        for (uint32_t k = 0; k < n_handle && k < MOST && n < cap; k++) {
            if (!amd.type || amd.type(handles[k], &type) != AMD_OK || type == TYPE_GPU ||
                type == TYPE_APU)
                out[n++] = handles[k];
        }
    }
    return n;
}

static bool is_apu(const char *sysroot, const char *pci)
{
    char path[512], head[8];
    snprintf(path, sizeof path, "%.400s/sys/bus/pci/devices/%.24s/gpu_metrics", sysroot, pci);
    return lmw_source_read_text(path, head, sizeof head, NULL) >= 4 &&
           (head[2] == 2 || head[2] == 3);
}

static void find_place(struct gpu *g, const char *sysroot)
{
    uint64_t id;
    status rc = amd.rocm ? amd.r_place ? amd.r_place((uint32_t)g->index, &id) : AMD_NOT_SUPPORTED
                : amd.place ? amd.place(g->counter.device, &id)
                            : AMD_NOT_SUPPORTED;
    if (rc == AMD_OK) {
        /* Function and partition left out: they share a board. */
        g->place = lmw_gpu_place(id >> 32, (unsigned)(id >> 8), (unsigned)(id >> 3), 0);
        g->apu = is_apu(sysroot, g->place.pci);
    } else {
        snprintf(g->place.pci, sizeof g->place.pci, "amdsmi:%d", g->index);
    }
}

static void probe(struct gpu *g, int index, void *handle, const char *sysroot)
{
    int64_t value;
    *g = (struct gpu){.index = index, .same_as = index, .device = lmw_device_silent()};
    g->counter = (struct rail){.device = handle, .index = (uint32_t)index, .from = FROM_COUNTER};
    g->power = g->counter;
    g->power.from = FROM_POWER;
    tell(&g->counter, &g->device);
    pthread_mutex_lock(&amd_lock);
    find_place(g, sysroot);
    g->module = strstr(g->device.model, "MI300A") != NULL;
    g->counter_rc = read_rail(&g->counter, &value);
    g->power_rc = read_rail(&g->power, &value);
    pthread_mutex_unlock(&amd_lock);
    if (g->counter_rc != AMD_OK)
        g->counter.from = FROM_NOTHING;
    if (g->power_rc != AMD_OK)
        g->power.from = FROM_NOTHING;
}

static int watch_counter(void *g, int64_t *uj)
{
    return read_locked(&((struct gpu *)g)->counter, uj) == AMD_OK ? 0 : -1;
}

static int watch_power(void *g, int64_t *mw)
{
    return read_locked(&((struct gpu *)g)->power, mw) == AMD_OK ? 0 : -1;
}

static void watch_all(struct gpu *g, struct gpu_watch *w, int n)
{
    for (int i = 0; i < n; i++) {
        w[i].device = &g[i];
        w[i].read[GPU_COUNTER] = g[i].counter.from ? watch_counter : NULL;
        w[i].read[GPU_POWER] = g[i].power.from ? watch_power : NULL;
    }
    lmw_gpu_watch(w, n);
    for (int i = 0; i < n; i++) {
        if (lmw_gpu_refuse(&w[i], true, g[i].refused, sizeof g[i].refused))
            g[i].counter.from = FROM_NOTHING;
    }
}

static struct source *add(struct source_list *l, struct lmw_err *err)
{
    struct source *s = lmw_source_add(l, &lmw_kind_amdsmi);
    if (s) {
        snprintf(s->info.boundary, sizeof s->info.boundary, "board");
        s->info.reading = LMW_COUNTER;
    } else {
        lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    }
    return s;
}

static void place(struct source *s, const struct gpu *g)
{
    if (g->module) {
        snprintf(s->info.boundary, sizeof s->info.boundary, "module");
        snprintf(s->nest, sizeof s->nest, "host/psys/%d", g->index);
    } else {
        lmw_gpu_nest(s, &g->place);
    }
}

static struct source *add_gpu_row(struct source_list *l, const struct gpu *g, const char *suffix,
                                  struct lmw_err *err)
{
    struct source *s = add(l, err);
    if (!s)
        return NULL;
    snprintf(s->info.name, sizeof s->info.name, "amdsmi:%d%s", g->index, suffix);
    place(s, g);
    s->info.device = g->device;
    s->by_default = g->same_as == g->index;
    if (!s->by_default)
        snprintf(s->info.reason, sizeof s->info.reason,
                 "a partition of the board that amdsmi:%d measures", g->same_as);
    return s;
}

static struct source *add_rail(struct source_list *l, const struct gpu *g, const struct rail *r,
                               const char *suffix, struct lmw_err *err)
{
    struct rail *state = malloc(sizeof *state);
    struct source *s = state ? add_gpu_row(l, g, suffix, err) : NULL;
    if (!s) {
        free(state);
        lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
        return NULL;
    }
    pthread_mutex_lock(&amd_lock);
    amd.users++;
    pthread_mutex_unlock(&amd_lock);
    *state = *r;
    s->state = state;
    s->info.present = true;
    s->info.reading = r->from == FROM_COUNTER ? LMW_COUNTER : LMW_POWER;
    s->info.window_ns = r->from == FROM_COUNTER ? LMW_NULL : r->window_ns;
    return s;
}

static const char *kind_of_power(const struct rail *r)
{
    return r->window_ns == 0 ? "power of the moment"
                             : "power, each the mean of a time that is not stated";
}

static int add_silent(struct source_list *l, const struct gpu *g, struct lmw_err *err)
{
    struct source *s = add_gpu_row(l, g, "", err);
    if (!s)
        return LMW_ENOMEM;
    s->info.device = lmw_device_silent();
    /* What is in the total already, by the die before it or by the processor, is not missing. */
    if (g->apu || (strstr(g->device.model, "MI250") && g->index % 2 == 1))
        s->by_default = false;
    if (g->apu)
        snprintf(
            s->info.reason, sizeof s->info.reason,
            "%.40s is inside the processor, and what it tells is the whole socket's power, in "
            "a unit that firmware changes: rapl measures the socket",
            g->device.model);
    else if (!s->info.reason[0])
        snprintf(s->info.reason, sizeof s->info.reason,
                 "%.40s tells neither energy (%.60s) nor power (%.40s)%s", g->device.model,
                 g->refused[0] ? g->refused : error_text(g->counter_rc), error_text(g->power_rc),
                 s->by_default ? ": a virtual machine's guest is told none"
                               : ": the die before it measures both");
    return LMW_OK;
}

static int add_gpu(struct source_list *l, const struct gpu *g, const struct gpu_watch *w,
                   struct lmw_err *err)
{
    const char *scope = g->module ? "CPU and GPU together; " : "";
    char compared[160];
    bool counts = g->counter.from;
    if (g->apu || (!counts && !g->power.from))
        return add_silent(l, g, err);
    struct source *s = add_rail(l, g, counts ? &g->counter : &g->power, "", err);
    if (!s)
        return LMW_ENOMEM;
    lmw_gpu_compare(w, compared, sizeof compared);
    if (counts) {
        s->info.resolution_uj = llround((double)g->counter.resolution_uj);
        s->info.period_ns = w->period_ns ? w->period_ns : LMW_NULL;
        snprintf(s->info.about, sizeof s->info.about, "%s%s", scope, compared);
    } else {
        snprintf(s->info.about, sizeof s->info.about,
                 "%sits energy counter is not used (%s): integrated %s", scope,
                 g->refused[0] ? g->refused : error_text(g->counter_rc), kind_of_power(&g->power));
    }
    s->read_ns = w->read_ns;
    if (!counts || !g->power.from)
        return LMW_OK;
    if (!(s = add_rail(l, g, &g->power, ":power", err)))
        return LMW_ENOMEM;
    s->by_default = false;
    snprintf(s->info.about, sizeof s->info.about, "%s%s", scope, kind_of_power(&g->power));
    snprintf(s->info.reason, sizeof s->info.reason,
             "used when asked for by name; amdsmi:%d counts the same", g->index);
    return LMW_OK;
}

static int add_all(struct source_list *l, void *const *handle, int n, const char *sysroot,
                   struct lmw_err *err)
{
    struct gpu *g = calloc((size_t)n, sizeof *g);
    struct gpu_watch *w = calloc((size_t)n, sizeof *w);
    int rc = LMW_OK;
    if (!g || !w) {
        free(g);
        free(w);
        lmw_fail(err, LMW_ENOMEM, "no memory for %d GPUs", n);
        return LMW_ENOMEM;
    }
    for (int i = 0; i < n; i++) {
        probe(&g[i], i, handle[i], sysroot);
        for (int k = i - 1; k >= 0; k--) {
            if (strcmp(g[i].place.pci, g[k].place.pci) == 0)
                g[i].same_as = k;
        }
    }
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
    enum { MOST = 128 };
    void *handle[MOST] = {0};
    struct lmw_err why = {0};
    uint32_t n_rocm = 0;
    if (acquire(sysroot, &why) < 0)
        return lmw_source_none(l, &lmw_kind_amdsmi, LMW_COUNTER, "board", err, "%s", why.msg);
    pthread_mutex_lock(&amd_lock);
    int n = amd.rocm ? (amd.r_count(&n_rocm) == AMD_OK ? (int)(n_rocm < MOST ? n_rocm : MOST) : 0)
                     : list_handles(handle, MOST);
    pthread_mutex_unlock(&amd_lock);
    int rc =
        n ? add_all(l, handle, n, sysroot, err)
          : lmw_source_none(l, &lmw_kind_amdsmi, LMW_COUNTER, "board", err,
                            "the amdgpu driver shows no GPU: see lspci, or give the container "
                            "/dev/kfd and /dev/dri");
    release();
    return rc;
}

const struct source_kind lmw_kind_amdsmi = {.name = "amdsmi",
                                            .automatic = true,
                                            .beside = true,
                                            .find = find,
                                            .read = read_source,
                                            .close = close_source,
                                            .device = tell_device};
