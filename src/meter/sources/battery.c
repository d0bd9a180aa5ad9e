/* The batteries: a laptop's power from /sys/class/power_supply, only while it runs on them.
 *
 * Power reading: power_now (uW), or current_now (uA) x voltage_now (uV); some drivers count
 * discharge as negative, so the magnitude is taken and the direction is read from `status`. The
 * firmware refreshes it every second or slower and averages over as long. Boundary: the whole
 * machine, display included. On mains the battery says nothing about the machine's power, so a
 * source that stops discharging stops reading: its spans are invalid, not 0 J.
 *
 * Of two batteries firmware empties one after the other: the one that rests while another
 * discharges gives 0 W, truly. While one is charged, or a charger is connected, what the others
 * give is not the machine's power: they are taken only by name.
 *
 * (Documentation/ABI/testing/sysfs-class-power.) */
#include "meter/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS, POWER, CURRENT, VOLTAGE, MAX_OTHER = 7 };

/* The statuses of the machine's other batteries. */
struct others {
    int n;
    struct source_file status[MAX_OTHER];
};

static int read_status(struct source_file *f, char *out, size_t cap, struct lmw_err *err)
{
    int rc = lmw_source_file_read(f, out, cap, err);
    if (rc >= 0)
        lmw_source_trim(out);
    return rc;
}

/* Whether it gives nothing ("Not charging", "Full", "Unknown") and another carries the machine. */
static bool rests(struct source *s, const char *status)
{
    struct others *o = s->state;
    char other[32];
    int64_t uw;
    bool idle = lmw_source_file_i64(&s->file[POWER], &uw, NULL) < 0 || uw == 0;
    for (int i = 0; idle && strcmp(status, "Charging") != 0 && i < o->n; i++) {
        if (read_status(&o->status[i], other, sizeof other, NULL) >= 0 &&
            strcmp(other, "Discharging") == 0)
            return true;
    }
    return false;
}

/* mW of a battery: firmware says 0 or all ones where it does not know. */
static bool is_power(int64_t mw)
{
    return mw > 0 && mw < 1000000;
}

static int read_power(struct source *s, int64_t *value, struct lmw_err *err)
{
    int64_t uw = 0, ua, uv;
    bool told = lmw_source_file_i64(&s->file[POWER], &uw, NULL) == LMW_OK;
    *value = llabs(uw) / 1000;
    if (is_power(*value))
        return LMW_OK;
    int rc = lmw_source_file_i64(&s->file[CURRENT], &ua, err);
    if (rc == LMW_OK)
        rc = lmw_source_file_i64(&s->file[VOLTAGE], &uv, err);
    if (rc < 0 && !told)
        return lmw_wrap(err, "neither power_now nor current_now and voltage_now");
    if (rc == LMW_OK)
        *value = (int64_t)((double)llabs(ua) * (double)llabs(uv) * 1e-9);
    if (is_power(*value))
        return LMW_OK;
    return lmw_fail(err, LMW_EUNAVAILABLE,
                    "%s: discharges at %lld W, so the firmware has no reading", s->info.name,
                    (long long)*value / 1000);
}

static int read_battery(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err)
{
    char status[32];
    int rc = read_status(&s->file[STATUS], status, sizeof status, err);
    if (rc < 0)
        return rc;
    if (strcmp(status, "Discharging") == 0)
        return read_power(s, value, err);
    *value = 0;
    if (rests(s, status))
        return LMW_OK;
    return lmw_fail(err, LMW_EUNAVAILABLE,
                    "the battery is not discharging (%s): it tells the machine's power only then; "
                    "unplug the charger",
                    status);
}

struct search {
    struct source_list *l;
    int first;
    char charger[40]; /* one that is connected; or "" */
};

static bool is_word(const char *dir, const char *entry, const char *attribute, const char *word)
{
    char path[640], text[32];
    snprintf(path, sizeof path, "%.400s/%.64s/%s", dir, entry, attribute);
    return lmw_source_read_word(path, text, sizeof text) && strcmp(text, word) == 0;
}

static int add_battery(struct search *x, const char *dir, const char *entry, struct lmw_err *err)
{
    static const char *const files[] = {"status", "power_now", "current_now", "voltage_now"};
    struct others *o = calloc(1, sizeof *o);
    struct source *s = o ? lmw_source_add(x->l, &lmw_kind_battery) : NULL;
    if (!s) {
        free(o);
        return lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    }
    s->state = o;
    s->info.reading = LMW_POWER;
    snprintf(s->info.name, sizeof s->info.name, "battery:%.32s", entry);
    snprintf(s->info.boundary, sizeof s->info.boundary, "host");
    snprintf(s->nest, sizeof s->nest, "host");
    for (int i = 0; i < 4; i++)
        snprintf(s->file[i].path, sizeof s->file[i].path, "%.400s/%.64s/%s", dir, entry, files[i]);
    return LMW_OK;
}

/* A mouse's battery is a Battery too, its scope is Device; an empty bay is present 0. */
static int look(void *arg, const char *dir, const char *entry, struct lmw_err *err)
{
    struct search *x = arg;
    char path[640];
    int64_t online = 0;
    if (is_word(dir, entry, "scope", "Device") || is_word(dir, entry, "present", "0"))
        return LMW_OK;
    if (is_word(dir, entry, "type", "Battery"))
        return add_battery(x, dir, entry, err);
    snprintf(path, sizeof path, "%.400s/%.64s/online", dir, entry);
    bool charger = is_word(dir, entry, "type", "Mains") || is_word(dir, entry, "type", "USB");
    if (charger && lmw_source_read_i64(path, &online, NULL) == LMW_OK && online > 0)
        snprintf(x->charger, sizeof x->charger, "%.39s", entry);
    return LMW_OK;
}

static void meet_others(const struct search *x, struct source *s)
{
    struct others *o = s->state;
    for (int i = x->first; i < x->l->n && o->n < MAX_OTHER; i++) {
        if (&x->l->v[i] != s)
            o->status[o->n++] = x->l->v[i].file[STATUS];
    }
}

/* Whether what the batteries give is all that the machine takes. */
static void judge(const struct search *x)
{
    const char *charged = x->charger[0] ? x->charger : NULL;
    for (int i = x->first; i < x->l->n; i++) {
        if (!charged && !x->l->v[i].info.present)
            charged = x->l->v[i].info.name;
    }
    for (int i = x->first; i < x->l->n && charged; i++) {
        struct source *s = &x->l->v[i];
        if (!s->info.present)
            continue;
        s->by_default = false;
        snprintf(s->info.reason, sizeof s->info.reason,
                 "%s %s, so this battery's power is not all of the machine's; ask for it by name "
                 "to take it all the same",
                 charged, x->charger[0] ? "gives power too" : "does not discharge");
    }
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    char dir[400];
    struct search x = {.l = l, .first = l->n};
    snprintf(dir, sizeof dir, "%.360s/sys/class/power_supply", sysroot);
    int rc = lmw_source_each(dir, "", look, &x, err);
    if (rc == LMW_OK && l->n == x.first)
        return lmw_source_none(l, &lmw_kind_battery, LMW_POWER, "host", err,
                               "no battery in %.200s", dir);
    for (int i = x.first; i < l->n; i++) {
        struct source *s = &l->v[i];
        struct lmw_err why = {0};
        int64_t value;
        meet_others(&x, s);
        s->info.present = read_battery(s, 0, &value, &why) == LMW_OK;
        snprintf(s->info.reason, sizeof s->info.reason, "%.230s", why.msg);
    }
    judge(&x);
    return rc;
}

static void close_battery(struct source *s)
{
    struct others *o = s->state;
    for (int i = 0; o && i < o->n; i++)
        lmw_source_file_close(&o->status[i]);
    free(o);
    s->state = NULL;
}

const struct source_kind lmw_kind_battery = {.name = "battery",
                                             .automatic = true,
                                             .parts = true,
                                             .find = find,
                                             .read = read_battery,
                                             .close = close_battery};
