/* DOOR. The meter: power sources, a sampler, marks and spans -> joules. Usable without the
 * engine.
 *
 *     lmw_meter_open(&m, &opts, &err);            picks sources, preallocates everything
 *     lmw_meter_start(m, &err);                   a thread samples at opts.rate_hz
 *     lmw_meter_mark(m);                          before and after: reads the counters now
 *     lmw_meter_span(m, &span, &energy);          joules, once the counters have moved on
 *     lmw_meter_stop(m); lmw_meter_close(m);
 *
 * A SOURCE is one rail of one device: an energy counter (width, wrap, update period) or a power
 * reading. BOUNDARY says what the rail contains; rails that contain each other are never added.
 * Times are CLOCK_MONOTONIC ns, energies uJ, powers mW, all integers; LMW_NULL (base/record.h) is
 * "not known".
 *
 * Threads: one thread opens, marks and closes; the sampler is the meter's own. mark() allocates
 * nothing, prints nothing and takes no lock that the sampler can hold for long. */
#ifndef LMW_METER_METER_H
#define LMW_METER_METER_H

#include "base/err.h"
#include "base/record.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum lmw_reading {
    LMW_COUNTER,  /* energy since some start, uJ */
    LMW_POWER,    /* mW now (or averaged over the period) */
    LMW_ESTIMATE, /* modelled, not measured: always shown with ~ */
};

/* What a device says of itself besides its power, at one moment. LMW_NULL, or "": it does not
 * say. */
struct lmw_device {
    char model[64], driver[48];                /* "NVIDIA H100 80GB HBM3", "550.54.15" */
    int64_t temperature_mc;                    /* thousandths of a degree Celsius, of the chip */
    int64_t memory_used, memory_total;         /* bytes, all processes' together */
    int64_t busy_percent, memory_busy_percent; /* share of recent time, by the driver's window */
    int64_t clock_mhz, memory_clock_mhz;       /* now */
    int64_t power_limit_mw;
    /* 1: heat, power or a brake holds the clocks down now; 0: nothing does */
    int64_t throttled;
    char throttle[96]; /* by what: "power_cap,sw_thermal", ... */
};

struct lmw_source_info {
    /* "rapl:package-0", "nvml:0", "battery:BAT0", "estimate", "replay:FILE" */
    char name[48];
    char boundary[32]; /* "chip", "board", "module", "host", "wall" */
    enum lmw_reading reading;
    bool present, chosen; /* chosen: part of the total that spans report */
    char reason[320];     /* why it is absent, or why it is not chosen, and what to do about it */
    int64_t wrap_uj;      /* the counter's modulus; 0: never wraps */
    int64_t period_ns;    /* update period: known or measured; LMW_NULL */
    int64_t resolution_uj;
    /* a power reading is the mean of this long; 0: of the moment; LMW_NULL: not stated */
    int64_t window_ns;
    /* more than the rail can draw: tells a wrap from a reset; 0: learned from the samples */
    int64_t max_power_mw;
    char about[240];          /* what to know of the readings: averaged, checked against what */
    double model_error;       /* of an estimate, relative; 0: not known, and taken as 0.5 */
    struct lmw_device device; /* when it was found; model "" where the rail is no such device's */
};

struct lmw_meter_opts {
    const char *sysroot; /* "" or another root for /sys and /proc (LMW_SYSROOT) */
    /* "auto": the best there is for the host and every GPU board beside it, estimate last. Else a
     * list, comma-separated: "rapl", "perf", "nvml", "amdsmi", "amdgpu", "intelgpu", "jetson",
     * "battery", "bmc", "hwmon", "redfish:URL", "wall:PATH", "apple:PATH", "estimate",
     * "estimate:IDLE_W,FULL_W", "replay:FILE", "none", or one rail by its full name,
     * "amdgpu:0000:03:00.0". Asking by name for what is not there is an error. LMW_NVML,
     * LMW_AMDSMI and LMW_ROCMSMI in the environment name the vendors' libraries; under another
     * sysroot they are looked for only when so named. */
    const char *sources;
    double rate_hz; /* sampler; 20 when <= 0 */
    /* ring per source; 0: 4 hours' worth. Older samples are gone unless drained before */
    int64_t max_samples;
};

struct lmw_meter;
/* Every source this machine could have, present or why not. Returns how many there are (at most
 * cap are written). */
int lmw_meter_list(const struct lmw_meter_opts *opts, struct lmw_source_info *out, int cap,
                   struct lmw_err *err);

int lmw_meter_open(struct lmw_meter **out, const struct lmw_meter_opts *opts, struct lmw_err *err);
void lmw_meter_close(struct lmw_meter *m);
int lmw_meter_n_source(const struct lmw_meter *m);
const struct lmw_source_info *lmw_meter_source(const struct lmw_meter *m, int i);
/* What source i's device says now: LMW_EUNAVAILABLE when it is no device. Not while the other
 * thread closes the meter; some 100 us to a few ms, so never between a query's marks. */
int lmw_meter_device(struct lmw_meter *m, int i, struct lmw_device *out, struct lmw_err *err);
/* What was wrong with the source's readings so far, in words; "" when nothing was. Good until the
 * next call for this source. */
const char *lmw_meter_note(struct lmw_meter *m, int i);
/* What the joules cover: "rapl:package-0+rapl:dram-0", "~estimate", or "none". */
const char *lmw_meter_basis(const struct lmw_meter *m);

int lmw_meter_start(struct lmw_meter *m, struct lmw_err *err);
void lmw_meter_stop(struct lmw_meter *m);

/* A change point: reads every source at once and returns the time it stands for. */
int64_t lmw_meter_mark(struct lmw_meter *m);

struct lmw_span {
    int64_t start_ns, first_ns,
        end_ns; /* times from marks; first_ns (first token) may be LMW_NULL */
};

struct lmw_energy {
    bool valid;
    /* when not valid: "pending", "reset: ...", "gap: ...", "no source", ...; a source that could
     * not be read with its own words: which file, and why not */
    char reason[320];
    const char *method;                    /* "counter", "integral", "shared", "estimate" */
    int64_t energy_uj, lower_uj, upper_uj; /* bounds hold for 95 % of spans at least */
    int64_t prefill_uj, decode_uj;         /* start..first, first..end */
    int64_t power_mean_mw, power_max_mw;
    int n_sample, n_wrap, n_reset;
    int64_t gap_ns; /* largest time between two reads inside the span */
};
/* Joules of a span. Valid only once every source has moved past its end; before that reason is
 * "pending": ask again later. LMW_OK also when not valid. Spans may be asked for in any order and
 * again. */
int lmw_meter_span(struct lmw_meter *m, const struct lmw_span *span, struct lmw_energy *out,
                   struct lmw_err *err);
/* The same, and how much of it each source measured (not valid: LMW_NULL). Returns how many there
 * are; at most cap are written. */
struct lmw_rail {
    const char *name; /* the source's */
    int64_t energy_uj;
};
enum { LMW_MAX_RAIL = 64 }; /* no total has more */
int lmw_meter_rails(struct lmw_meter *m, const struct lmw_span *span, struct lmw_energy *out,
                    struct lmw_rail *rails, int cap, struct lmw_err *err);
/* The same of n spans of which some may overlap, out[n]; see lmw_trace_share(). */
int lmw_meter_share(struct lmw_meter *m, const struct lmw_span *spans, const double *tokens, int n,
                    struct lmw_energy *out, struct lmw_err *err);
/* Whether it is not valid yet, but may be. */
bool lmw_energy_is_pending(const struct lmw_energy *e);
/* Ends the span with a mark, sleeps until it is settled, and asks. A source that is a second later
 * than its period is not waited for: the reason says so, and is never "pending". */
int lmw_meter_end(struct lmw_meter *m, struct lmw_span *span, struct lmw_energy *out,
                  struct lmw_err *err);
/* How long after its end a span is settled: the slowest source's period plus one sampling period.
 */
int64_t lmw_meter_settle_ns(const struct lmw_meter *m);

/* Mean power since from_ns, mW (for idle baselines, from a mark's time, and for progress), or of
 * the last readings of a meter that is slower than that; LMW_NULL when unknown. */
int64_t lmw_meter_power_mw(struct lmw_meter *m, int64_t from_ns);

/* Raw samples since the last drain, for the store: one block per source, as bytes that
 * lmw_trace_block reads back. Calls out(arg, source, bytes, n) per source that has any; the bytes
 * live until out returns. */
typedef int lmw_samples_fn(void *arg, const struct lmw_source_info *source, const void *bytes,
                           size_t n, struct lmw_err *err);
int lmw_meter_drain(struct lmw_meter *m, lmw_samples_fn *out, void *arg, struct lmw_err *err);
/* Samples that were overwritten before a drain took them: the store lacks those. */
int64_t lmw_meter_lost(const struct lmw_meter *m);
/* What went wrong with the sampling since the meter was opened. */
struct lmw_sampling {
    int64_t n_poll, n_late; /* polls, and those that came more than an interval late */
    int64_t n_suspend;      /* times the machine slept */
};
void lmw_meter_sampling(struct lmw_meter *m, struct lmw_sampling *out);

/* The estimate's figures, fitted to a real meter. */
struct lmw_calibration {
    double idle_w, full_w;
    double error, rms; /* relative: what bounds state, and the root mean square of the residues */
    double busy_least, busy_most; /* shares of the processors seen while fitting */

    char basis[256], boundary[32]; /* the meter it was fitted to, and what that covers */
};
enum lmw_work { LMW_WORK_INTEGER, LMW_WORK_FLOAT, LMW_WORK_MEMORY };
/* From now on, keep this share of all processors (0..1) busy. */
typedef void lmw_load_fn(void *arg, double share, enum lmw_work work);
/* Measures six phases of `seconds` each, from idle to all processors busy, with the meter that
 * meter->sources names, and fits. `load` makes the load; NULL: threads of our own. Takes its time;
 * other programs that run meanwhile are in it. Errors say what was wrong with machine or meter. */
int lmw_meter_calibrate(const struct lmw_meter_opts *meter, double seconds, lmw_load_fn *load,
                        void *arg, struct lmw_calibration *out, struct lmw_err *err);
/* Keeps it for this machine, where the source "estimate" finds it (but not under a sysroot);
 * `path` becomes the file's. */
int lmw_calibration_save(const struct lmw_calibration *c, char *path, size_t cap,
                         struct lmw_err *err);

/* Offline: the same arithmetic on samples from a file or from the store. One trace is one source;
 * add its samples in order of time, then announce every span (so that each helps the others),
 * then ask for their joules. */
struct lmw_trace;
/* info may be NULL, or say what is known: reading, wrap_uj, period_ns, resolution_uj,
 * max_power_mw. */
int lmw_trace_open(struct lmw_trace **out, const struct lmw_source_info *info,
                   struct lmw_err *err);
void lmw_trace_close(struct lmw_trace *t);
const struct lmw_source_info *lmw_trace_info(const struct lmw_trace *t);
/* Rows `t_ns,energy_uj` or `t_ns,power_mw` (or joules, watts); the header says which and may be
 * left out (then the trace's reading counts, in uJ or mW). Times may not run backwards; an empty
 * value is a reading that failed. Blank lines and # comments are skipped. Errors name the line. */
int lmw_trace_csv(struct lmw_trace *t, lmw_str text, struct lmw_err *err);
int lmw_trace_block(struct lmw_trace *t, const void *bytes, size_t n, struct lmw_err *err);
int lmw_trace_announce(struct lmw_trace *t, const struct lmw_span *span, struct lmw_err *err);
int lmw_trace_span(struct lmw_trace *t, const struct lmw_span *span, struct lmw_energy *out,
                   struct lmw_err *err);
/* Joules of n spans of which some may overlap, out[n]: what the device used while several ran is
 * shared among those active at each moment, by their tokens over their durations, or evenly where
 * tokens is NULL. Shares of spans that overlap sum to the device's energy; their method is
 * "shared". A span that overlaps no other has what lmw_trace_span() says, for a log whose noise was
 * learned from spans all over it before. */
int lmw_trace_share(struct lmw_trace *t, const struct lmw_span *spans, const double *tokens, int n,
                    struct lmw_energy *out, struct lmw_err *err);
/* Sample i of lmw_trace_n(): false when it carries no value. */
int64_t lmw_trace_n(const struct lmw_trace *t);
bool lmw_trace_sample(const struct lmw_trace *t, int64_t i, int64_t *t_ns, int64_t *value);
/* Whose clock is a log's? Known steps of a load show in it: from t_ns on, the load is `load` (any
 * unit: 0 and 1, or processors busy); before the first step it is 0. A few seconds each, of
 * different lengths. */
struct lmw_step {
    int64_t t_ns; /* by the clock that the steps, and the spans, were timed with */
    double load;
};
struct lmw_offset {
    int64_t offset_ns; /* a moment the steps' clock calls t, the log calls t + offset_ns */
    int64_t error_ns;  /* either way, at 95 % */
    double r2;         /* share of the log's variance that the load explains */
};
/* LMW_EUNAVAILABLE when the log does not tell, with the reason. */
int lmw_offset_by_step(const struct lmw_trace *t, const struct lmw_step *steps, int n,
                       struct lmw_offset *out, struct lmw_err *err);

/* Several sources' parts of one span, summed: valid only when all are. Begin with a zeroed total.
 */
void lmw_energy_add(struct lmw_energy *total, const struct lmw_energy *part);

#endif
