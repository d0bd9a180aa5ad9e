/* A chip of /sys/class/hwmon, and a rail that is read from its files: what the kinds amdgpu,
 * intelgpu, jetson and hwmon share. Inside the meter room only. */
#ifndef LMW_METER_CHIP_H
#define LMW_METER_CHIP_H

#include "meter/source.h"

struct chip {
    char dir[400];   /* ".../sys/class/hwmon/hwmon3"; the number changes from boot to boot */
    char name[32];   /* what its driver calls it: "amdgpu", "power_meter" */
    char below[416]; /* the folder of what it sits on */
    char device[40]; /* its name: "0000:03:00.0", "1-0040", "ACPI000D:00"; else the chip's */
};
/* Calls visit for every chip, in the order of their numbers, until it fails; batteries and other
 * power supplies, which the kernel shows as chips too, are left out. */
typedef int chip_visit(void *arg, const struct chip *c, struct lmw_err *err);
int lmw_chip_each(const char *sysroot, chip_visit *visit, void *arg, struct lmw_err *err);

/* Where an attribute lies: in the chip's folder, or by older drivers in its device's. */
__attribute__((nonnull)) bool lmw_chip_path(const struct chip *c, const char *attribute, char *out,
                                            size_t cap);
/* Its text without white space around; false, and "" in *out, when there is none. */
bool lmw_chip_text(const struct chip *c, const char *attribute, char *out, size_t cap);
/* Its number; LMW_NULL when there is none. */
int64_t lmw_chip_i64(const struct chip *c, const char *attribute);
/* The numbers N of its typeN_input and typeN_average, ascending, each once: how many. */
int lmw_chip_channels(const struct chip *c, const char *type, int *out, int cap);
/* An AMD GPU that is a part of the processor. */
bool lmw_chip_is_apu(const struct chip *c);

/* A rail: its value is in file[0], and for RAIL_MV_MA half of it in file[1]. */
enum rail_unit { RAIL_UW, RAIL_UJ, RAIL_MW, RAIL_MV_MA };
struct rail {
    enum rail_unit unit;
    bool is_whole; /* feeds a machine or a board: 0 W is no reading. Parts may be switched off */
    int rank;      /* the kind's own */
    char device[40];
};
/* A source of this kind with a rail as its state, "KIND:NAME"; commas and blanks of the name
 * become underscores, since requests are lists. NULL when memory is out. */
struct source *lmw_rail_add(struct source_list *l, const struct source_kind *kind,
                            const char *name, struct lmw_err *err);
/* From then on read() asks first whether the device sleeps: a read would wake it. */
void lmw_rail_watch_sleep(struct source *s, const struct chip *c);
/* Reads once: present, or why not. */
void lmw_rail_probe(struct source *s);
/* info.about: "card1, PPT; each reading is the mean of 1 s", `what` and what window_ns says. */
void lmw_rail_about(struct source *s, const char *what);

static inline struct rail *rail_of(const struct source *s)
{
    return s->state;
}
int lmw_rail_read(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err);
void lmw_rail_close(struct source *s);

#endif
