/* NVIDIA Jetson boards: the power monitors on the module and its carrier. (NVML answers "not
 * supported" there after a healthy start, so this is the only way.)
 *
 * Readings: INA3221 chips give each of three rails' voltage (mV) and current (mA), and their
 * product is taken here; INA238 gives uW; JetPack 4's own driver shows mW per rail in an iio
 * folder. Steps are coarse: 8 mV and 40 uV over the shunt. The chip goes round its rails,
 * averaging `samples` conversions each, in update_interval.
 *
 * Which rail is the total differs by board, and nothing in sysfs says so; `boards` does.
 * Either one rail feeds the module (VDD_IN) or the board (POM_5V_IN, VIN) and contains the
 * others, or the module is fed by several that are added. On AGX Orin VDDQ_VDD2_1V8AO is fed
 * by VIN_SYS_5V0. A board is known by its model; a container hides that, and a partner's
 * carrier has a model of its own, so else by its rails, when all of a total are there. Of a
 * board that is not known no rail is taken without being asked for by name, and a total that
 * lacks one of its rails is none. A rail may truly be at 0 W (CV, when nothing uses it); a
 * whole board may not. Inputs named NC or not named at all are not connected; in4 to in7 are
 * the shunts themselves.
 *
 * Facts: Documentation/hwmon/ina3221.rst and ina238.rst; the tables "INA3221" of the Jetson
 * Linux Developer Guide, by module; arch/arm64/boot/dts/nvidia/tegra234-p3701.dtsi and
 * -p3767.dtsi; the NVIDIA forum's topics 73608 (POM_5V_IN is the total), 81016 (Xavier: the
 * sum), 200883 (VDD_IN is the module) and 366461 (Thor: VIN is module and carrier). */
#include "meter/sources/chip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOTAL = 6 };

/* By the device tree's model; the first that fits. */
static const struct board {
    const char *model, *name, *boundary;
    const char *total[MAX_TOTAL];
} boards[] = {
    {"Orin Nano", "Orin Nano", "module", {"VDD_IN"}},
    {"Orin NX", "Orin NX", "module", {"VDD_IN"}},
    {"AGX Orin", "AGX Orin", "module", {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"}},
    {"Thor", "AGX Thor", "host", {"VIN"}},
    {"Xavier NX", "Xavier NX", "module", {"VDD_IN"}},
    {"Xavier", "AGX Xavier", "module", {"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"}},
    {"Jetson-AGX", "AGX Xavier", "module", {"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"}},
    {"TX2", "TX2", "module", {"VDD_IN"}},
    {"quill", "TX2", "module", {"VDD_IN"}},
    {"TX1", "TX1", "module", {"VDD_IN"}},
    {"Jetson Nano", "Nano", "board", {"POM_5V_IN"}},
};
enum { N_BOARD = sizeof boards / sizeof *boards };

struct search {
    struct source_list *l;
    const struct board *board; /* NULL: not a board we know */
    bool is_jetson, by_rails;  /* by_rails: all that is known of the board is its total */
    int first, n;
};

static int n_total(const struct board *b)
{
    int n = 0;
    while (n < MAX_TOTAL && b->total[n])
        n++;
    return n;
}

static bool is_in_total(const struct board *b, const char *label)
{
    for (int i = 0; b && i < n_total(b); i++) {
        if (strcmp(b->total[i], label) == 0)
            return true;
    }
    return false;
}

/* The board that sysroot is, by its device tree. */
static void find_board(struct search *x, const char *sysroot)
{
    static const char *const files[] = {"proc/device-tree/model",
                                        "sys/firmware/devicetree/base/model",
                                        "sys/devices/soc0/machine"};
    char path[512], model[128] = "";
    for (int i = 0; i < 3 && !model[0]; i++) {
        snprintf(path, sizeof path, "%.360s/%s", sysroot, files[i]);
        lmw_source_read_word(path, model, sizeof model);
    }
    x->is_jetson = strstr(model, "Jetson") || strstr(model, "quill");
    for (int i = 0; x->is_jetson && !x->board && i < N_BOARD; i++) {
        if (strstr(model, boards[i].model))
            x->board = &boards[i];
    }
}

/* Where a rail of this board sits. The rail that is the whole total contains everything, also a
 * GPU that NVML measures; of a total of several the GPU's does. */
static void place(struct source *s, const struct board *b, const char *label)
{
    bool in_total = is_in_total(b, label), whole = in_total && n_total(b) == 1;
    snprintf(s->info.boundary, sizeof s->info.boundary, "%s", whole ? b->boundary : "rail");
    rail_of(s)->is_whole = whole;
    s->by_default = in_total;
    if (whole || !b || strcmp(label, "VDD_MUX") == 0 || strncmp(label, "CVB_", 4) == 0)
        snprintf(s->nest, sizeof s->nest, "host");
    else if (strncmp(label, "VDD_GPU", 7) == 0 || strcmp(label, "GPU") == 0)
        snprintf(s->nest, sizeof s->nest, "host/gpu");
    else if (strcmp(label, "VDDQ_VDD2_1V8AO") == 0)
        snprintf(s->nest, sizeof s->nest, "host/module/VIN_SYS_5V0/VDDQ");
    else
        snprintf(s->nest, sizeof s->nest, "host/module/%.40s", label);
}

static struct source *add_rail(struct search *x, const char *label, struct lmw_err *err)
{
    struct source *s = lmw_rail_add(x->l, &lmw_kind_jetson, label, err);
    x->n += s != NULL;
    return s;
}

/* The mean of update_interval when several conversions are averaged; else of the moment. */
static void tell_window(struct source *s, const struct chip *c)
{
    int64_t ms = lmw_chip_i64(c, "update_interval"), samples = lmw_chip_i64(c, "samples");
    bool told = ms != LMW_NULL && ms > 0 && ms < 1000000;
    s->info.period_ns = told ? ms * 1000000 : LMW_NULL;
    s->info.window_ns = samples == 1 ? 0 : told && samples > 1 ? ms * 1000000 : LMW_NULL;
}

static int add_ina3221(struct search *x, const struct chip *c, struct lmw_err *err)
{
    for (int n = 1; n <= 3; n++) {
        char attribute[32], label[32], volts[512], amps[512];
        snprintf(attribute, sizeof attribute, "in%d_label", n);
        if (!lmw_chip_text(c, attribute, label, sizeof label) || strcmp(label, "NC") == 0)
            continue;
        snprintf(attribute, sizeof attribute, "in%d_input", n);
        bool both = lmw_chip_path(c, attribute, volts, sizeof volts);
        snprintf(attribute, sizeof attribute, "curr%d_input", n);
        both &= lmw_chip_path(c, attribute, amps, sizeof amps);
        struct source *s = both ? add_rail(x, label, err) : NULL;
        if (!both)
            continue;
        if (!s)
            return LMW_ENOMEM;
        rail_of(s)->unit = RAIL_MV_MA;
        snprintf(s->file[0].path, sizeof s->file[0].path, "%s", volts);
        snprintf(s->file[1].path, sizeof s->file[1].path, "%s", amps);
        tell_window(s, c);
    }
    return LMW_OK;
}

/* On Thor's carrier, where the board's input passes through it; it has no label of its own. */
static int add_ina238(struct search *x, const struct chip *c, struct lmw_err *err)
{
    char label[32], path[512];
    if (!lmw_chip_path(c, "power1_input", path, sizeof path))
        return LMW_OK;
    if (!lmw_chip_text(c, "in1_label", label, sizeof label))
        snprintf(label, sizeof label, "%s", is_in_total(x->board, "VIN") ? "VIN" : c->name);
    struct source *s = add_rail(x, label, err);
    if (!s)
        return LMW_ENOMEM;
    snprintf(s->file[0].path, sizeof s->file[0].path, "%s", path);
    tell_window(s, c);
    return LMW_OK;
}

static int add_chip(void *arg, const struct chip *c, struct lmw_err *err)
{
    if (strcmp(c->name, "ina3221") == 0)
        return add_ina3221(arg, c, err);
    return strcmp(c->name, "ina238") == 0 ? add_ina238(arg, c, err) : LMW_OK;
}

static int add_iio_rails(void *x, const char *dir, const char *entry, struct lmw_err *err)
{
    for (int n = 0; n < 3; n++) {
        char path[576], label[32];
        snprintf(path, sizeof path, "%.440s/%.64s/rail_name_%d", dir, entry, n);
        if (!lmw_source_read_word(path, label, sizeof label) || strcmp(label, "NC") == 0)
            continue;
        struct source *s = add_rail(x, label, err);
        if (!s)
            return LMW_ENOMEM;
        rail_of(s)->unit = RAIL_MW;
        snprintf(s->file[0].path, sizeof s->file[0].path, "%.440s/%.64s/in_power%d_input", dir,
                 entry, n);
    }
    return LMW_OK;
}

static int add_iio_chip(void *x, const char *dir, const char *entry, struct lmw_err *err)
{
    char chip[512];
    snprintf(chip, sizeof chip, "%.440s/%.64s", dir, entry);
    return lmw_source_each(chip, "iio:device", add_iio_rails, x, err);
}

static const char *label_of(const struct source *s)
{
    return s->info.name + strlen("jetson:");
}

/* Whether every rail of a board's total is there and, where asked, can be read; *missing is one
 * that cannot. */
static bool is_complete(const struct search *x, const struct board *b, bool read,
                        const char **missing)
{
    for (int i = 0; i < n_total(b); i++) {
        bool found = false;
        for (int j = x->first; j < x->l->n; j++) {
            const struct source *s = &x->l->v[j];
            found |= (s->info.present || !read) && strcmp(label_of(s), b->total[i]) == 0;
        }
        *missing = b->total[i];
        if (!found)
            return false;
    }
    return true;
}

/* A board whose total these rails make, when its model did not say; what measures something else
 * is forgotten. VIN alone may be anything's. */
static void know_by_rails(struct search *x)
{
    const char *missing;
    for (int i = 0; !x->board && i < N_BOARD; i++) {
        x->by_rails =
            strcmp(boards[i].total[0], "VIN") != 0 && is_complete(x, &boards[i], false, &missing);
        if (x->by_rails)
            x->board = &boards[i];
    }
    for (; !x->board && !x->is_jetson && x->n; x->n--)
        lmw_rail_close(&x->l->v[--x->l->n]);
}

static void judge(struct search *x)
{
    const char *missing = "";
    bool complete = x->board && is_complete(x, x->board, true, &missing);
    for (int i = x->first; i < x->l->n; i++) {
        struct source *s = &x->l->v[i];
        bool was_default = s->by_default;
        if (!s->info.present)
            continue;
        lmw_rail_about(s, x->by_rails ? "known by its rails" : x->board ? x->board->name : "");
        s->by_default &= complete;
        if (!x->board)
            snprintf(s->info.reason, sizeof s->info.reason,
                     "which rails make the total of this board is not known; name the one that "
                     "feeds the module");
        else if (was_default && !complete)
            snprintf(s->info.reason, sizeof s->info.reason,
                     "the total of this board needs %s too, and that cannot be read", missing);
    }
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    struct search x = {.l = l, .first = l->n};
    char iio[384];
    find_board(&x, sysroot);
    int rc = lmw_chip_each(sysroot, add_chip, &x, err);
    snprintf(iio, sizeof iio, "%.340s/sys/bus/i2c/drivers/ina3221x", sysroot);
    if (rc == LMW_OK && !x.n)
        rc = lmw_source_each(iio, "", add_iio_chip, &x, err);
    if (rc < 0)
        return rc;
    know_by_rails(&x);
    for (int i = x.first; i < l->n; i++) {
        place(&l->v[i], x.board, label_of(&l->v[i]));
        lmw_rail_probe(&l->v[i]);
    }
    judge(&x);
    if (x.n)
        return LMW_OK;
    return lmw_source_none(l, &lmw_kind_jetson, LMW_POWER, "module", err, "%s",
                           x.is_jetson ? "no rails in /sys/class/hwmon (ina3221, ina238) nor in "
                                         "/sys/bus/i2c/drivers/ina3221x: a container may hide them"
                                       : "not an NVIDIA Jetson, by /proc/device-tree/model");
}

const struct source_kind lmw_kind_jetson = {.name = "jetson",
                                            .automatic = true,
                                            .find = find,
                                            .read = lmw_rail_read,
                                            .close = lmw_rail_close};
