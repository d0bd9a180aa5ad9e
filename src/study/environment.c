/* What a run was measured on, as JSON in its row: everything that could matter to a figure and is
 * no choice. What a machine does not say is null. Passwords in URLs are left out; keys are never
 * here, since only the names of the variables that hold them are on a command line. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "study/plan.h"
#include "study/revision.h"

#include <gnu/libc-version.h>
#include <math.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <yaml.h>

static json_t *or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

void lmw_without_password(const char *text, struct lmw_buf *out)
{
    for (const char *c = text; *c;) {
        size_t n = lmw_str_starts(lmw_str_from(c), "://") ? 3 + strcspn(c + 3, "@/ \t'\"?#") : 0;
        if (n && c[n] == '@') {
            lmw_buf_str(out, "://***");
            c += n;
        } else {
            lmw_buf_put(out, c, n ? n : 1);
            c += n ? n : 1;
        }
    }
}

/* The text of a file, one line of it; null where there is none. */
static json_t *line_of(const char *root, const char *path)
{
    char full[512];
    struct lmw_buf b = {0};
    snprintf(full, sizeof full, "%s%s", root ? root : "", path);
    lmw_str text = {0};
    if (lmw_file_read(full, 4096, &b, NULL) == LMW_OK && b.ptr)
        text = lmw_str_trim((lmw_str){b.ptr, b.len});
    json_t *line = text.len ? json_stringn(text.ptr, text.len) : NULL;
    lmw_buf_free(&b);
    return line ? line : json_null();
}

/* The revision of the first processor's microcode; they are alike. */
static json_t *microcode(const char *root)
{
    char full[512];
    struct lmw_buf b = {0};
    json_t *found = NULL;
    snprintf(full, sizeof full, "%s/proc/cpuinfo", root ? root : "");
    if (lmw_file_read(full, 1 << 22, &b, NULL) == LMW_OK && b.ptr) {
        const char *at = strstr(b.ptr, "\nmicrocode"), *colon = at ? strchr(at, ':') : NULL;
        if (colon) {
            lmw_str rest = {colon + 1, strcspn(colon + 1, "\n")};
            rest = lmw_str_trim(rest);
            found = json_stringn(rest.ptr, rest.len);
        }
    }
    lmw_buf_free(&b);
    return found ? found : json_null();
}

/* Every power source, and the device it is of, where it is one's. */
static json_t *sources(const struct lmw_meter *m)
{
    json_t *list = json_array();
    for (int i = 0; i < lmw_meter_n_source(m); i++) {
        const struct lmw_source_info *s = lmw_meter_source(m, i);
        json_t *o = json_pack("{s:s, s:s, s:b, s:b, s:s, s:s}", "name", s->name, "boundary",
                              s->boundary, "present", s->present, "chosen", s->chosen, "reason",
                              s->reason, "about", s->about);
        if (o && s->device.model[0])
            json_object_set_new(o, "device",
                                json_pack("{s:s, s:o}", "model", s->device.model, "driver",
                                          or_null(s->device.driver)));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *libraries(void)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "libc", gnu_get_libc_version(), "sqlite",
                     lmw_store_sqlite(), "jansson", jansson_version_str(), "libyaml",
                     yaml_get_version_string());
}

static void put_program(json_t *o, const struct study *st)
{
    struct lmw_buf command = {0};
    if (st->asked->command)
        lmw_without_password(st->asked->command, &command);
    json_object_set_new(o, "lmwatt", json_string(LMW_VERSION));
    json_object_set_new(o, "revision", json_string(LMW_REVISION));
    json_object_set_new(o, "compiler", json_string(__VERSION__));
    json_object_set_new(o, "libraries", libraries());
    json_object_set_new(o, "command", or_null(command.ptr));
    lmw_buf_free(&command);
}

static void put_machine(json_t *o, const struct study *st)
{
    const char *root = st->asked->meter.sysroot;
    struct utsname u = {0};
    char kernel[200];
    uname(&u);
    snprintf(kernel, sizeof kernel, "%.60s %.60s %.60s", u.sysname, u.release, u.machine);
    int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    json_object_set_new(o, "cpu", json_string(st->machine));
    json_object_set_new(o, "microcode", microcode(root));
    json_object_set_new(o, "processors", json_integer(lmw_cpu_count()));
    json_object_set_new(o, "memory_bytes", json_integer(memory));
    json_object_set_new(o, "kernel", json_string(kernel));
    json_object_set_new(o, "governor",
                        line_of(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
    json_object_set_new(o, "boot_id", line_of("", "/proc/sys/kernel/random/boot_id"));
}

json_t *lmw_environment(const struct plan *p, const struct study *st)
{
    json_t *o = json_object();
    char date[32];
    lmw_date_iso(date);
    put_program(o, st);
    put_machine(o, st);
    json_object_set_new(o, "date", json_string(date));
    json_object_set_new(o, "level", or_null(p->level));
    json_object_set_new(o, "meters", sources(st->meter));
    json_object_set_new(o, "peak_rss",
                        json_string(st->rss_resets ? "peak" : "largest after a query"));
    json_object_set_new(o, "ambient_busy",
                        isnan(st->ambient_busy) ? json_null() : json_real(st->ambient_busy));
    return o;
}
