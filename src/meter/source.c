/* The table of sources, and which of them make the total.
 *
 * Owns the one list of kinds. Choosing: "auto" takes the first kind of the host's of which all
 * rails can be read, in the order of the table (a counter before a power reading), else the first
 * of which some can, and says what it lacks; and adds the boards beside it; the model only where
 * nothing measures anything. A request by name takes
 * exactly what it names and fails when that is not there, because a run that silently measures
 * something else is worse than one that stops. Refuses totals in which one rail contains another.
 *
 * Reading: descriptors are kept, which spares the sampler two of three system calls. A kept
 * descriptor of a file that was replaced or removed still reads, the old bytes for ever; its link
 * count says so, and it is opened again. (Not so in /proc and /sys, where reading it fails.) */
#include "meter/source.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/record.h"

/* RAPL before perf events, which are the same counters; vendors' libraries before the same cards'
 * hwmon; hwmon after every kind that reads chips of its own: it takes what they leave. */
static const struct source_kind *const kinds[] = {
    &lmw_kind_rapl,     &lmw_kind_perf,   &lmw_kind_nvml,    &lmw_kind_amdsmi, &lmw_kind_amdgpu,
    &lmw_kind_intelgpu, &lmw_kind_jetson, &lmw_kind_battery, &lmw_kind_bmc,    &lmw_kind_hwmon,
    &lmw_kind_redfish,  &lmw_kind_wall,   &lmw_kind_apple,   &lmw_kind_replay, &lmw_kind_estimate,
};
enum { N_KIND = sizeof kinds / sizeof *kinds };

static int read_open(struct source_file *f, char *out, size_t cap, struct lmw_err *err)
{
    ssize_t n;
    while ((n = pread(f->fd, out, cap - 1, 0)) < 0 && errno == EINTR)
        continue;
    if (n < 0)
        return lmw_fail_errno(err, "cannot read %s", f->path);
    out[n] = 0;
    return (int)n;
}

static bool is_gone(const struct source_file *f)
{
    struct stat st;
    return fstat(f->fd, &st) == 0 && st.st_nlink == 0;
}

void lmw_source_file_close(struct source_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

int lmw_source_file_read(struct source_file *f, char *out, size_t cap, struct lmw_err *err)
{
    int n = f->fd >= 0 ? read_open(f, out, cap, NULL) : -1;
    if (n >= 0 && (f->stays || !is_gone(f)))
        return n;
    lmw_source_file_close(f);
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0)
        return lmw_fail_errno(err, "cannot open %s", f->path);
    struct statfs fs;
    f->stays =
        fstatfs(f->fd, &fs) == 0 && (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC);
    if ((n = read_open(f, out, cap, err)) < 0)
        lmw_source_file_close(f);
    return n;
}

int lmw_source_file_i64(struct source_file *f, int64_t *out, struct lmw_err *err)
{
    char text[64], *end;
    int n = lmw_source_file_read(f, text, sizeof text, err);
    if (n < 0)
        return n;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || errno || lmw_str_trim(lmw_str_from(end)).len)
        return lmw_fail(err, LMW_EFORMAT, "%s does not hold an integer", f->path);
    *out = v;
    return LMW_OK;
}

int lmw_source_read_text(const char *path, char *out, size_t cap, struct lmw_err *err)
{
    struct source_file f = {.fd = -1};
    snprintf(f.path, sizeof f.path, "%s", path);
    int n = lmw_source_file_read(&f, out, cap, err);
    lmw_source_file_close(&f);
    return n;
}

void lmw_source_trim(char *text)
{
    lmw_str s = lmw_str_trim(lmw_str_from(text));
    memmove(text, s.ptr, s.len);
    text[s.len] = 0;
}

bool lmw_source_read_word(const char *path, char *out, size_t cap)
{
    if (lmw_source_read_text(path, out, cap, NULL) < 0)
        out[0] = 0;
    lmw_source_trim(out);
    return out[0] != 0;
}

int lmw_source_read_i64(const char *path, int64_t *out, struct lmw_err *err)
{
    struct source_file f = {.fd = -1};
    snprintf(f.path, sizeof f.path, "%s", path);
    int rc = lmw_source_file_i64(&f, out, err);
    lmw_source_file_close(&f);
    return rc;
}

int lmw_source_each(const char *dir, const char *prefix, source_entry *f, void *arg,
                    struct lmw_err *err)
{
    struct dirent **names;
    int rc = LMW_OK, n = scandir(dir, &names, NULL, versionsort);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        if (rc == LMW_OK && name[0] != '.' && strncmp(name, prefix, strlen(prefix)) == 0)
            rc = f(arg, dir, name, err);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return rc;
}

struct lmw_device lmw_device_silent(void)
{
    return (struct lmw_device){.temperature_mc = LMW_NULL,
                               .memory_used = LMW_NULL,
                               .memory_total = LMW_NULL,
                               .busy_percent = LMW_NULL,
                               .memory_busy_percent = LMW_NULL,
                               .clock_mhz = LMW_NULL,
                               .memory_clock_mhz = LMW_NULL,
                               .power_limit_mw = LMW_NULL,
                               .throttled = LMW_NULL};
}

struct source *lmw_source_add(struct source_list *l, const struct source_kind *kind)
{
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 8;
        struct source *v = realloc(l->v, (size_t)cap * sizeof *v);
        if (!v)
            return NULL;
        l->v = v;
        l->cap = cap;
    }
    struct source *s = &l->v[l->n++];
    *s = (struct source){.kind = kind, .by_default = true};
    s->info.period_ns = s->info.resolution_uj = s->info.window_ns = LMW_NULL;
    s->info.device = lmw_device_silent();
    for (size_t i = 0; i < sizeof s->file / sizeof *s->file; i++)
        s->file[i].fd = -1;
    return s;
}

int lmw_source_none(struct source_list *l, const struct source_kind *kind,
                    enum lmw_reading reading, const char *boundary, struct lmw_err *err,
                    const char *fmt, ...)
{
    va_list ap;
    struct source *s = lmw_source_add(l, kind);
    if (!s)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    s->info.reading = reading;
    snprintf(s->info.name, sizeof s->info.name, "%.32s", kind->name);
    snprintf(s->info.boundary, sizeof s->info.boundary, "%.31s", boundary);
    snprintf(s->nest, sizeof s->nest, "host/%.32s", kind->name);
    va_start(ap, fmt);
    vsnprintf(s->info.reason, sizeof s->info.reason, fmt, ap);
    va_end(ap);
    return LMW_OK;
}

void lmw_source_free(struct source_list *l)
{
    for (int i = 0; i < l->n; i++) {
        struct source *s = &l->v[i];
        if (s->kind->close)
            s->kind->close(s);
        for (size_t k = 0; k < sizeof s->file / sizeof *s->file; k++)
            lmw_source_file_close(&s->file[k]);
    }
    free(l->v);
    *l = (struct source_list){0};
}

static bool contains(const struct source *a, const struct source *b)
{
    if (a->kind == b->kind && a->kind->parts)
        return false;
    size_t n = strlen(a->nest);
    return strncmp(a->nest, b->nest, n) == 0 && (b->nest[n] == '/' || !b->nest[n]);
}

/* One item of a request: the next comma-separated word. estimate:IDLE,FULL keeps its second
 * number. */
static bool next_item(const char **p, char *item, size_t cap)
{
    while (**p == ',' || **p == ' ')
        (*p)++;
    size_t n = strcspn(*p, ",");
    if (strncmp(*p, "estimate:", 9) == 0 && (*p)[n] == ',' &&
        (isdigit((unsigned char)(*p)[n + 1]) || (*p)[n + 1] == '.'))
        n += 1 + strcspn(*p + n + 1, ",");
    snprintf(item, cap, "%.*s", (int)n, *p);
    *p += n;
    return n > 0;
}

static const struct source_kind *kind_named(const char *item)
{
    size_t n = strcspn(item, ":");
    for (int i = 0; i < N_KIND; i++) {
        if (strlen(kinds[i]->name) == n && strncmp(kinds[i]->name, item, n) == 0)
            return kinds[i];
    }
    return NULL;
}

/* Marks as chosen what `item` names: a kind ("rapl"), or one rail by its full name. */
static int choose_item(struct source_list *l, const char *item, struct lmw_err *err)
{
    const struct source_kind *kind = kind_named(item);
    if (!kind)
        return lmw_fail(err, LMW_EARG,
                        "no power source is called '%s': there are rapl, perf, nvml, amdsmi, "
                        "amdgpu, intelgpu, jetson, battery, bmc, hwmon, redfish:URL, wall:PATH, "
                        "apple:PATH, estimate[:IDLE_W,FULL_W], replay:FILE, auto and none",
                        item);
    bool by_name = strchr(item, ':') && kind->automatic && kind != &lmw_kind_estimate;
    const struct source *absent = NULL, *refused = NULL;
    int n = 0;
    for (int i = 0; i < l->n; i++) {
        struct source *s = &l->v[i];
        if (s->kind != kind)
            continue;
        if (by_name ? strcmp(s->info.name, item) != 0 : !s->by_default) {
            refused = !refused && !by_name && s->info.reason[0] ? s : refused;
        } else if (s->info.present) {
            s->info.chosen = true;
            n++;
        } else if (!absent) {
            absent = s;
        }
    }
    /* A total that lacks one of its rails would look like a machine that draws less. */
    if (absent)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s: %s", absent->info.name, absent->info.reason);
    if (!n && refused)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s: %s", refused->info.name, refused->info.reason);
    if (!n)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "this machine has no power source '%s' "
                        "(`lmwatt meters` lists what there is)",
                        item);
    return LMW_OK;
}

static int choose_named(struct source_list *l, const char *request, struct lmw_err *err)
{
    char item[512];
    bool any = false;
    for (const char *p = request; next_item(&p, item, sizeof item); any = true) {
        int rc = choose_item(l, item, err);
        if (rc < 0)
            return rc;
    }
    if (!any)
        return lmw_fail(err, LMW_EARG, "'%.40s' names no power source: say none for none",
                        request);
    for (int i = 0; i < l->n; i++) {
        for (int j = 0; j < l->n; j++) {
            const struct source *a = &l->v[i], *b = &l->v[j];
            if (i != j && a->info.chosen && b->info.chosen && contains(a, b))
                return lmw_fail(err, LMW_EARG,
                                "%s contains %s, so adding them would count joules "
                                "twice: choose one",
                                a->info.name, b->info.name);
        }
    }
    return LMW_OK;
}

/* Whether a rail may join an automatic total: there, and of its kind's own total. */
static bool is_candidate(const struct source *s, const struct source_kind *kind)
{
    return s->kind == kind && kind->automatic && s->by_default && s->info.present;
}

/* The first rail of the kind's total that cannot be read; NULL: the total is whole. */
static const struct source *missing(const struct source_list *l, const struct source_kind *kind)
{
    for (int i = 0; i < l->n; i++) {
        if (l->v[i].kind == kind && l->v[i].by_default && !l->v[i].info.present)
            return &l->v[i];
    }
    return NULL;
}

/* The first kind that measures the host, or a part of it; the estimate only where `modelled`. */
static bool choose_host(struct source_list *l, bool modelled, bool whole)
{
    bool any = false;
    for (int k = 0; k < N_KIND && !any; k++) {
        const struct source *lacks = missing(l, kinds[k]);
        for (int i = 0; i < l->n && !(whole && lacks); i++) {
            struct source *s = &l->v[i];
            if (kinds[k]->beside || !is_candidate(s, kinds[k]) ||
                (s->info.reading == LMW_ESTIMATE) != modelled)
                continue;
            s->info.chosen = any = true;
            size_t at = strlen(s->info.about);
            if (lacks)
                snprintf(s->info.about + at, sizeof s->info.about - at,
                         "%sthe total lacks %s, which cannot be read", at ? "; " : "",
                         lacks->info.name);
        }
    }
    return any;
}

/* Adds a board to the total, unless it is in there already; a module that contains what was
 * chosen takes its place, also where it stands for its processor's own path. */
static bool add_board(struct source_list *l, struct source *board)
{
    for (int i = 0; i < l->n; i++) {
        const struct source *c = &l->v[i];
        bool around = c->kind->beside || strcmp(c->nest, board->nest) != 0;
        if (c->info.chosen && contains(c, board) && around)
            return false;
    }
    for (int i = 0; i < l->n; i++)
        l->v[i].info.chosen &= !contains(board, &l->v[i]);
    return board->info.chosen = true;
}

/* What measures the host, and every board beside it; a model only where nothing measures. */
static void choose_best(struct source_list *l)
{
    bool any = choose_host(l, false, true) || choose_host(l, false, false);
    for (int k = 0; k < N_KIND; k++) {
        for (int i = 0; i < l->n; i++) {
            if (kinds[k]->beside && is_candidate(&l->v[i], kinds[k]))
                any |= add_board(l, &l->v[i]);
        }
    }
    if (!any)
        choose_host(l, true, true);
}

/* Why a rail that is there is not part of the total. */
static void explain(struct source_list *l)
{
    for (int i = 0; i < l->n; i++) {
        struct source *s = &l->v[i];
        const struct source *inside = NULL, *around = NULL, *other = NULL;
        if (s->info.chosen || !s->info.present || s->info.reason[0])
            continue;
        for (int j = 0; j < l->n; j++) {
            const struct source *c = &l->v[j];
            if (!c->info.chosen)
                continue;
            if (contains(c, s))
                inside = inside ? inside : c;
            else if (contains(s, c))
                around = around ? around : c;
            else if (!s->kind->beside && (!other || (other->kind->beside && !c->kind->beside)))
                other = c;
        }
        char *out = s->info.reason;
        size_t cap = sizeof s->info.reason;
        if (inside && inside->info.reading == LMW_ESTIMATE)
            snprintf(out, cap, "what it feeds is not known; ask for it by name to use it");
        else if (inside && strcmp(inside->nest, s->nest) == 0 && s->info.reading != LMW_ESTIMATE)
            snprintf(out, cap, "the same energy as %s", inside->info.name);
        else if (inside)
            snprintf(out, cap, "already inside %s", inside->info.name);
        else if (around && s->info.reading != LMW_ESTIMATE)
            snprintf(out, cap, "contains %s; ask for it by name to use it", around->info.name);
        else if (around || other)
            snprintf(out, cap, "not needed: %s is better", (around ? around : other)->info.name);
        else
            snprintf(out, cap, "not asked for");
    }
}

static bool is_taken(const struct source_list *l, int i)
{
    for (int j = 0; j < i; j++) {
        if (strcmp(l->v[j].info.name, l->v[i].info.name) == 0)
            return true;
    }
    return false;
}

/* What a file, a chip or a library calls itself may be any bytes, cut anywhere: made text. And
 * joules are kept by name, so that of two walls of one file's name the second is NAME#2. */
static void tidy_names(struct source_list *l)
{
    for (int i = 0; i < l->n; i++) {
        struct lmw_source_info *s = &l->v[i].info;
        char *const texts[] = {s->name,  s->boundary,     s->reason,
                               s->about, s->device.model, s->device.driver};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            lmw_utf8_mend(texts[k]);
        char name[sizeof s->name];
        memcpy(name, s->name, sizeof name);
        for (int nth = 2; is_taken(l, i); nth++) {
            snprintf(s->name, sizeof s->name, "%.36s#%d", name, nth);
            lmw_utf8_mend(s->name);
        }
    }
}

int lmw_source_find(struct source_list *l, const struct lmw_meter_opts *opts, struct lmw_err *err)
{
    const char *root = opts->sysroot ? opts->sysroot : "";
    const char *request = opts->sources && opts->sources[0] ? opts->sources : "auto";
    char item[512];
    int rc = LMW_OK;
    for (int k = 0; k < N_KIND && rc == LMW_OK; k++) {
        bool asked = false;
        for (const char *p = request; rc == LMW_OK && next_item(&p, item, sizeof item);) {
            if (kind_named(item) != kinds[k] || (asked && kinds[k]->automatic))
                continue;
            const char *colon = strchr(item, ':');
            l->brief = false;
            rc = kinds[k]->find(l, root, colon ? colon + 1 : "", err);
            asked = true;
        }
        l->brief = strcmp(request, "auto") != 0;
        if (!asked && kinds[k]->automatic && rc == LMW_OK)
            rc = kinds[k]->find(l, root, "", err);
        else if (!asked && kinds[k]->asked_as && rc == LMW_OK)
            rc = lmw_source_none(l, kinds[k], LMW_POWER, "", err, "not asked for: %s",
                                 kinds[k]->asked_as);
    }
    if (rc < 0)
        return rc;
    tidy_names(l);
    if (strcmp(request, "auto") == 0)
        choose_best(l);
    else if (strcmp(request, "none") != 0 && (rc = choose_named(l, request, err)) < 0)
        return rc;
    explain(l);
    return LMW_OK;
}

void lmw_source_watch(struct source *const *s, int n, int64_t budget_ns)
{
    enum { MAX_WATCHED = 64, TICKS = 8 };
    struct {
        int64_t value, first_ns, last_ns;
        int ticks;
    } w[MAX_WATCHED] = {0};
    int64_t t0 = lmw_now_ns(), t = t0, value;
    int left = 0;
    n = n < MAX_WATCHED ? n : MAX_WATCHED;
    for (int i = 0; i < n; i++) {
        bool ticks = s[i]->info.present && s[i]->kind->read && s[i]->info.reading == LMW_COUNTER &&
                     s[i]->info.period_ns == LMW_NULL;
        w[i].ticks = ticks && !s[i]->kind->read(s[i], t, &w[i].value, NULL) ? -1 : TICKS;
        left += w[i].ticks < 0;
    }
    while (left && (t = lmw_now_ns()) - t0 < budget_ns) {
        for (int i = 0; i < n; i++) {
            if (w[i].ticks == TICKS || !s[i]->kind->read ||
                s[i]->kind->read(s[i], t, &value, NULL) < 0 || value == w[i].value)
                continue;
            w[i].value = value;
            w[i].last_ns = lmw_now_ns();
            if (++w[i].ticks == 0)
                w[i].first_ns = w[i].last_ns;
            left -= w[i].ticks == TICKS;
        }
        /* Short against any counter's tick, long against a read. */
        lmw_sleep_until_ns(lmw_now_ns() + 50000);
    }
    for (int i = 0; i < n; i++) {
        if (w[i].ticks >= 2 && w[i].last_ns > w[i].first_ns)
            s[i]->info.period_ns = (w[i].last_ns - w[i].first_ns) / w[i].ticks;
    }
}
