/* AMD graphics cards by the amdgpu driver's hwmon: power1_average or power1_input, uW, of
 * each card, world-readable, without any library of the vendor.
 *
 * Power, not energy: the driver has no energy file. power1_average is the mean over a time
 * that the firmware chooses and nobody states, power1_input is of the moment; newer chips
 * have one or the other, some both, and then the mean is taken, since at 20 readings a second
 * the moments between them would be missed. What it covers is what the card's power limit
 * counts (the label, PPT): all of the board on some cards, chip and memory without fans and
 * regulators' losses on others.
 *
 * A card that sleeps answers EPERM (since Linux 6.15; before, it was woken by the question),
 * one that is being reset too, and some answer 0: none of these is 0 W. The GPU of an APU is
 * a part of the processor and its power that of the whole processor, so it is no card: the
 * kind `hwmon` lists it.
 *
 * Facts: "hwmon interfaces for GPU power" in linux drivers/gpu/drm/amd/pm/amdgpu_pm.c, and
 * amdgpu_pm_get_access_if_active() there. */
#include "meter/sources/chip.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

struct search {
    struct source_list *l;
    int n;
    bool apu;
};

/* "card1", from the device's drm folder; "" when it has none. */
static void card_name(const struct chip *c, char *out, size_t cap)
{
    char path[448];
    const struct dirent *e;
    snprintf(path, sizeof path, "%s/drm", c->below);
    DIR *d = opendir(path);
    out[0] = 0;
    while (d && !out[0] && (e = readdir(d))) {
        if (strncmp(e->d_name, "card", 4) == 0)
            snprintf(out, cap, "%.15s", e->d_name);
    }
    if (d)
        closedir(d);
}

/* The first of the two files that gives a reading; when neither does, the reason of the first. */
static void probe_files(struct source *s, const struct chip *c)
{
    static const char *const attributes[] = {"power1_average", "power1_input"};
    static const int64_t windows[] = {LMW_NULL, 0};
    char path[512], reason[240] = "its driver shows no power (no power1_average, no power1_input)";
    bool first = true;
    for (int i = 0; i < 2 && !s->info.present; i++) {
        if (!lmw_chip_path(c, attributes[i], path, sizeof path))
            continue;
        snprintf(s->file[0].path, sizeof s->file[0].path, "%s", path);
        lmw_source_file_close(&s->file[0]);
        s->info.window_ns = windows[i];
        lmw_rail_probe(s);
        if (first)
            snprintf(reason, sizeof reason, "%.239s", s->info.reason);
        first = false;
    }
    if (!s->info.present)
        snprintf(s->info.reason, sizeof s->info.reason, "%s", reason);
}

static int add_card(void *arg, const struct chip *c, struct lmw_err *err)
{
    struct search *x = arg;
    char card[16], label[32], about[64];
    if (strcmp(c->name, "amdgpu") != 0)
        return LMW_OK;
    if (lmw_chip_is_apu(c)) {
        x->apu = true;
        return LMW_OK;
    }
    struct source *s = lmw_rail_add(x->l, &lmw_kind_amdgpu, c->device, err);
    if (!s)
        return LMW_ENOMEM;
    x->n++;
    snprintf(s->info.boundary, sizeof s->info.boundary, "board");
    snprintf(s->nest, sizeof s->nest, "host/gpu/%.39s", c->device);
    rail_of(s)->is_whole = true;
    lmw_rail_watch_sleep(s, c);
    probe_files(s, c);
    card_name(c, card, sizeof card);
    lmw_chip_text(c, "power1_label", label, sizeof label);
    snprintf(about, sizeof about, "%s%s%s", card, card[0] && label[0] ? ", " : "", label);
    if (s->info.present)
        lmw_rail_about(s, about);
    return LMW_OK;
}

static int read_card(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err)
{
    int rc = lmw_rail_read(s, t_ns, value, err);
    return rc == LMW_EIO ? lmw_wrap(err, "the card may be asleep, or being reset") : rc;
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    struct search x = {.l = l};
    int rc = lmw_chip_each(sysroot, add_card, &x, err);
    if (rc < 0 || x.n)
        return rc;
    return lmw_source_none(l, &lmw_kind_amdgpu, LMW_POWER, "board", err, "%s",
                           x.apu
                               ? "the AMD GPU here is a part of the processor; its power is that "
                                 "of both: see hwmon:amdgpu"
                               : "no chip 'amdgpu' in /sys/class/hwmon: no AMD card, its driver "
                                 "is not loaded, or a container hides it");
}

const struct source_kind lmw_kind_amdgpu = {.name = "amdgpu",
                                            .automatic = true,
                                            .beside = true,
                                            .find = find,
                                            .read = read_card,
                                            .close = lmw_rail_close};
