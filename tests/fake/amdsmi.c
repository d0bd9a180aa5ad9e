/* A stand-in for libamd_smi.so that does what FAKE_AMDSMI says (script.h). Calls fail by their key
 * with an amdsmi_status_t: init energy power place; and answer by: devices model type watts
 * (average) current (instead of average) percent (the counter's share of the power) tick_ms nano
 * (the resolution, nJ a tick) ticks (instead of the clock's) stuck back layout (the major version
 * of the library: 5, 24, 25, 26) bus.
 *
 * FAKE_AMDSMI_OPEN counts starts less ends. Layouts from the same sources as
 * src/meter/amdsmi.c's. */
#include <stdint.h>

#include "script.h"

#define ENV "FAKE_AMDSMI"
enum { NOT_SUPPORTED = 2 };

static int index_of(void *device)
{
    return (int)((char *)device - (char *)0x2000) / 16;
}

static long long number(const char *key, void *device, long long otherwise)
{
    return script_number(ENV, key, device ? index_of(device) : -1, otherwise);
}

unsigned amdsmi_init(uint64_t flags)
{
    unsigned rc = flags == 2 ? (unsigned)number("init", NULL, 0) : 1;
    if (rc == 0)
        script_count(ENV "_OPEN", 1);
    return rc;
}

unsigned amdsmi_shut_down(void)
{
    script_count(ENV "_OPEN", -1);
    return 0;
}

unsigned amdsmi_status_code_to_string(unsigned rc, const char **out)
{
    static char text[32];
    snprintf(text, sizeof text, "STATUS_%u", rc);
    *out = text;
    return 0;
}

unsigned amdsmi_get_lib_version(void *out)
{
    struct {
        uint32_t n[4];
        const char *build;
    } v = {{26, 1, 0, 0}, "26.1.0"};
    memcpy(out, &v, sizeof v);
    return 0;
}

unsigned amdsmi_get_socket_handles(uint32_t *n, void **out)
{
    *n = (uint32_t)number("devices", NULL, 1);
    for (uint32_t i = 0; out && i < *n; i++)
        out[i] = (char *)0x2000 + (size_t)i * 16;
    return 0;
}

unsigned amdsmi_get_processor_handles(void *socket, uint32_t *n, void **out)
{
    *n = 1;
    if (out)
        *out = socket;
    return 0;
}

unsigned amdsmi_get_processor_type(void *device, int *out)
{
    *out = (int)number("type", device, 1);
    return 0;
}

unsigned amdsmi_get_energy_count(void *device, uint64_t *ticks, float *resolution, uint64_t *t)
{
    double uj = (double)number("nano", device, 15300) * 1e-3;
    double watts = (double)number("watts", device, 100);
    double mj = script_energy_mj(watts * (double)number("percent", device, 100) / 100,
                                 number("tick_ms", device, 1));
    double up = number("stuck", device, 0) ? 5198685762204.0 : mj * 1e3 / uj;
    if (number("back", device, 0))
        up = 1e15 - up;
    *ticks = (uint64_t)number("ticks", device, (long long)up);
    *resolution = (float)uj;
    *t = 1;
    return (unsigned)number("energy", device, 0);
}

struct power_5 {
    uint32_t average, gfx, soc, mem, limit, reserved[11];
};
struct power_24 {
    uint32_t current, average, gfx, soc, mem, limit, reserved[11];
};
struct power_25 {
    uint64_t socket;
    uint32_t current, average, gfx, soc, mem, limit, reserved[2];
};
struct power_26 {
    uint64_t socket;
    uint32_t current, average;
    uint64_t gfx, soc, mem;
    uint32_t limit;
    uint64_t reserved[18];
};

unsigned amdsmi_get_power_info(void *device, void *out)
{
    long long layout = number("layout", device, 26), current = number("current", device, -1);
    uint32_t average = (uint32_t)number("watts", device, 100);
    uint32_t none = layout < 25 ? 0xffff : 0xffffffff;
    uint32_t c = current < 0 ? none : (uint32_t)current, a = current < 0 ? average : none;
    if (layout == 5) {
        struct power_5 *p = out;
        p->average = a;
        p->gfx = p->soc = p->mem = 850;
        p->limit = 300;
    } else if (layout == 24) {
        struct power_24 *p = out;
        p->current = c;
        p->average = a;
        p->gfx = p->soc = p->mem = 850;
        p->limit = 300;
    } else if (layout == 25) {
        struct power_25 *p = out;
        p->current = c;
        p->average = a;
        p->gfx = p->soc = p->mem = 850;
        p->limit = 300;
    } else {
        struct power_26 *p = out;
        p->socket = current < 0 ? average : (uint64_t)current;
        p->current = c;
        p->average = a;
        p->gfx = p->soc = p->mem = 850;
        p->limit = 300;
    }
    return (unsigned)number("power", device, 0);
}

unsigned amdsmi_get_gpu_asic_info(void *device, void *out)
{
    script_copy(ENV, "model", index_of(device), "AMD_Instinct_MI210", out, 256);
    return 0;
}

unsigned amdsmi_get_gpu_bdf_id(void *device, uint64_t *id)
{
    *id = (uint64_t)number("bus", device, 0x20 + index_of(device)) << 8;
    return (unsigned)number("place", device, 0);
}

unsigned amdsmi_get_temp_metric(void *device, int sensor, int metric, int64_t *t)
{
    *t = number("temperature", device, 52000);
    return sensor == 1 && metric == 0 ? 0 : NOT_SUPPORTED;
}

unsigned amdsmi_get_gpu_activity(void *device, uint32_t out[16])
{
    out[0] = 88;
    out[1] = 0xffff;
    return 0;
}

unsigned amdsmi_get_gpu_vram_usage(void *device, uint32_t out[4])
{
    out[0] = 65536;
    out[1] = 1024;
    return 0;
}

unsigned amdsmi_get_clock_info(void *device, int which, uint32_t out[8])
{
    out[0] = which == 0 ? 1700 : which == 4 ? 1600 : 1;
    return 0;
}
