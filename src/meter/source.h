/* A source: one rail of one device, and the small vtable every kind of source sits behind. A kind
 * is one file and one row of the table in source.c. Inside the meter room only.
 *
 * find() may allocate and take its time; read() runs on the sampler and inside marks: it
 * allocates nothing, prints nothing, and answers a value or the reason why there is none. */
#ifndef LMW_METER_SOURCE_H
#define LMW_METER_SOURCE_H

#include "meter/series.h"

/* A small file read again and again: its descriptor is kept, and taken anew when the file was
 * replaced or went away. */
struct source_file {
    int fd;     /* -1: not open */
    bool stays; /* in /proc or /sys: what is gone there cannot be read, so no look is needed */
    char path[576];
};

struct source {
    struct lmw_source_info info;
    const struct source_kind *kind;
    /* Where the rail sits among the others, as a path: "host/psys/0/core". A rail contains every
     * rail whose path begins with its own; two rails of which one contains the other are never
     * added. */
    char nest[64];
    char note[160];  /* what its kind's note() said last */
    bool by_default; /* in the kind's total when the kind is asked for: packages yes, cores no */
    struct source_file file[4]; /* the kind's own: what read() reads; closed with the source */
    void *state;                /* the kind's own, released by its close() */
    int64_t read_ns; /* what a read takes when that is long (a library's call); 0: microseconds */
};

struct source_list {
    struct source *v;
    int n, cap;
    /* Nothing of the kind was asked for: find() lists it, and need not measure it to know more. */
    bool brief;
};

struct source_kind {
    const char *name; /* what people ask for: "rapl" */
    /* considered by "auto" (in the order of the table) and listed without being asked for */
    bool automatic;
    const char
        *asked_as; /* of a kind that is not automatic: how it is asked for; NULL: unlisted */
    /* its rails are devices beside the processor: "auto" adds them to what measures the host */
    bool beside;
    bool parts; /* its rails are parts of one whole (two batteries), so none contains another */
    /* Appends every rail of this kind, present or absent with its reason, by lmw_source_add().
     * `arg` is what followed "name:" in the request, or "". An error only for a request that
     * cannot be served. */
    int (*find)(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err);
    /* The value at about t_ns: uJ for counters (raw: may wrap), mW for powers. */
    int (*read)(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err);
    /* Instead of read(), for streams: values that carry their own times, which are late but belong
     * where they say. The next one in order of time, with flags S_FAIL (no value then) or S_GAP |
     * S_NONE (not known what was between the one before and the next): 1, or 0 when there is none
     * yet. Called again and again, from the sampler and from marks. */
    int (*next)(struct source *s, int64_t now_ns, struct sample *out);
    /* May be NULL: what was wrong with the readings so far, in words; nothing: *out as it was.
     * Never while read() or next() runs. */
    void (*note)(struct source *s, char *out, size_t cap);
    void (*start)(struct source *s, int64_t t_ns); /* may be NULL: sampling begins */
    void (*close)(struct source *s);               /* may be NULL */
    /* What the device says now; may be NULL. Fields it does not say are left as they are. */
    int (*device)(struct source *s, struct lmw_device *out, struct lmw_err *err);
};

extern const struct source_kind lmw_kind_rapl, lmw_kind_perf, lmw_kind_nvml, lmw_kind_amdsmi,
    lmw_kind_amdgpu, lmw_kind_intelgpu, lmw_kind_jetson, lmw_kind_battery, lmw_kind_bmc,
    lmw_kind_hwmon, lmw_kind_redfish, lmw_kind_wall, lmw_kind_apple, lmw_kind_estimate,
    lmw_kind_replay;

/* A device that has said nothing yet. */
struct lmw_device lmw_device_silent(void);

/* A new source at the end of the list, absent until the kind says otherwise; NULL when memory is
 * out. */
struct source *lmw_source_add(struct source_list *l, const struct source_kind *kind);
/* A kind of which this machine has nothing: one absent source of its name, with the reason. */
__attribute__((format(printf, 6, 7))) int lmw_source_none(
    struct source_list *l, const struct source_kind *kind, enum lmw_reading reading,
    const char *boundary, struct lmw_err *err, const char *fmt, ...);
/* Everything this machine could have, with `present`, `chosen` and `reason` filled as
 * opts->sources asks. */
int lmw_source_find(struct source_list *l, const struct lmw_meter_opts *opts, struct lmw_err *err);
void lmw_source_free(struct source_list *l);
/* Watches the counters that tick, for at most budget_ns, and fills the periods not known yet. */
void lmw_source_watch(struct source *const *s, int n, int64_t budget_ns);

/* The first bytes of a file, NUL-terminated: the length, or an error. Allocates nothing. */
int lmw_source_file_read(struct source_file *f, char *out, size_t cap, struct lmw_err *err);
/* The next read opens it again, whatever its path is then. */
void lmw_source_file_close(struct source_file *f);
/* A decimal integer alone in it. */
int lmw_source_file_i64(struct source_file *f, int64_t *out, struct lmw_err *err);
/* The same once, for files that find() looks at. */
int lmw_source_read_text(const char *path, char *out, size_t cap, struct lmw_err *err);
/* Without white space around; false, and "" in *out, when there is nothing. */
bool lmw_source_read_word(const char *path, char *out, size_t cap);
void lmw_source_trim(char *text);
int lmw_source_read_i64(const char *path, int64_t *out, struct lmw_err *err);

/* Calls f for each entry of a folder whose name begins so ("": all but the hidden ones), in the
 * order of their numbers, until it fails. A folder that is not there has none. */
typedef int source_entry(void *arg, const char *dir, const char *entry, struct lmw_err *err);
int lmw_source_each(const char *dir, const char *prefix, source_entry *f, void *arg,
                    struct lmw_err *err);

#endif
