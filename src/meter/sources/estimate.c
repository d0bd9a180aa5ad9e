/* The estimate: a stated power model, for machines without any meter. Not a measurement, and
 * never shown as one.
 *
 *     E(t) = idle_w * t + (full_w - idle_w) * busy(t)
 *
 * busy(t) is the busy time of all processors (/proc/stat: user, nice, system, irq, softirq;
 * waiting for disks and stolen time apart) over their number, in ticks of 10 ms: an energy counter
 * with 10 ms steps. It knows nothing of clocks, vector units or memory: two programs equally busy
 * are equal to it. Its bounds always include +-50 %, or what a calibration by a real meter found
 * (calibrate.c).
 *
 * /proc/stat takes 5 us to read, 25 when its code has left the caches: the kernel writes out every
 * interrupt with it. /proc/uptime says for a sixth of that how long all processors were idle;
 * their number x the time up, less that, is busy time too, but with disks, theft and suspends in
 * it. So /proc/stat is asked once a second, and in between /proc/uptime how much has come on top.
 *
 * Without figures from the user ("estimate:IDLE_W,FULL_W") or a calibration it guesses 1 W idle
 * and 5 W busy per logical processor: the middle of what laptops (8 threads: 5 to 40 W) and
 * servers (128 threads: 90 to 600 W) draw. A guess, and stated. */
#include "meter/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/record.h"
#include "meter/calibrate.h"

static const double GUESS_IDLE_W = 1.0, GUESS_FULL_W = 5.0;
static const int64_t TRUE_EVERY_NS = 1000000000;

enum { STAT, UPTIME }; /* the files */

struct model {
    double idle_w, full_w;
    int n_cpu;
    double hz;
    int64_t t0_ns;
    double busy0_s; /* busy times are of all processors together */
    /* As /proc/stat was read last, what it and /proc/uptime said; and what was told last. */
    int64_t t_stat_ns;
    double stat_s, uptime_s, told_s;
};

/* Since boot, from the first line of /proc/stat. */
static int read_stat(struct source_file *f, double hz, double *busy_s, struct lmw_err *err)
{
    char text[256];
    int n = lmw_source_file_read(f, text, sizeof text, err);
    if (n < 0)
        return n;
    /* cpu user nice system idle iowait irq softirq ... */
    const char *p = strncmp(text, "cpu ", 4) == 0 ? text + 4 : "";
    double sum = 0;
    for (int i = 0; i < 7; i++) {
        char *end;
        unsigned long long v = strtoull(p, &end, 10);
        if (end == p)
            return lmw_fail(err, LMW_EFORMAT, "%s: no 'cpu' line with seven numbers", f->path);
        sum += i == 3 || i == 4 ? 0 : (double)v;
        p = end;
    }
    *busy_s = sum / hz;
    return LMW_OK;
}

static int count_processors(struct source_file *f, int *n_cpu, struct lmw_err *err)
{
    enum { CAP = 1 << 20 }; /* a line is some 80 bytes, and Linux has up to 8192 processors */
    char *text = malloc(CAP);
    if (!text)
        return lmw_fail(err, LMW_ENOMEM, "no memory to read %s", f->path);
    int rc = lmw_source_file_read(f, text, CAP, err);
    *n_cpu = 0;
    for (const char *p = text; rc >= 0 && (p = strstr(p, "\ncpu")); p += 4)
        ++*n_cpu;
    free(text);
    if (rc >= 0 && *n_cpu == 0)
        rc = lmw_fail(err, LMW_EFORMAT, "%s: no line for a single processor", f->path);
    return rc < 0 ? rc : LMW_OK;
}

/* "123.45" and on to what follows. strtod would cost a mark a third more. */
static double decimal(const char **p)
{
    double v = 0, unit = 1;
    for (; **p >= '0' && **p <= '9'; ++*p)
        v = v * 10 + (**p - '0');
    if (**p == '.')
        for (++*p; **p >= '0' && **p <= '9'; ++*p)
            v += (**p - '0') * (unit /= 10);
    *p += **p == ' ';
    return v;
}

/* "UP IDLE", in seconds. False where there is no such file, as in trees that stand for a
 * machine. */
static bool read_uptime(struct source_file *f, int n_cpu, double *busy_s)
{
    char text[64];
    const char *p = text;
    if (lmw_source_file_read(f, text, sizeof text, NULL) < 0)
        return false;
    double up_s = decimal(&p), idle_s = decimal(&p);
    *busy_s = n_cpu * up_s - idle_s;
    return up_s > 0;
}

static int read_busy(struct source *s, int64_t t_ns, double *busy_s, struct lmw_err *err)
{
    struct model *m = s->state;
    double uptime_s = 0;
    bool quick = read_uptime(&s->file[UPTIME], m->n_cpu, &uptime_s);
    if (!quick || t_ns - m->t_stat_ns >= TRUE_EVERY_NS) {
        int rc = read_stat(&s->file[STAT], m->hz, &m->stat_s, err);
        if (rc < 0)
            return rc;
        m->uptime_s = uptime_s;
        m->t_stat_ns = t_ns;
    }
    *busy_s = m->stat_s + uptime_s - m->uptime_s;
    /* What the quick file told too much is waited out. More than that cannot be: a reset. */
    double back_s = m->told_s - *busy_s;
    if (back_s > 0 && back_s < 2 * m->n_cpu)
        *busy_s = m->told_s;
    m->told_s = *busy_s;
    return LMW_OK;
}

static int parse_watts(const char *arg, struct model *m, struct lmw_err *err)
{
    char *end;
    errno = 0;
    m->idle_w = strtod(arg, &end);
    if (end != arg && *end == ',') {
        const char *second = end + 1;
        m->full_w = strtod(second, &end);
        if (end != second && !*end && !errno && m->idle_w >= 0 && m->full_w >= m->idle_w &&
            m->full_w <= 100000)
            return LMW_OK;
    }
    return lmw_fail(err, LMW_EARG,
                    "estimate:%s: write estimate:IDLE_W,FULL_W, watts of the whole "
                    "machine idle and with every processor busy, such as estimate:8,45",
                    arg);
}

/* The figures a calibration of this machine left; where there is none, the guess and how to do
 * better. A tree that stands for another machine has no calibration. */
static void use_calibration(struct source *s, struct model *m, const char *sysroot, char *origin,
                            size_t cap)
{
    struct lmw_calibration c;
    struct lmw_err why = {0};
    int rc = sysroot[0] ? LMW_EUNAVAILABLE : lmw_calibration_load(&c, &why);
    if (rc == LMW_OK) {
        m->idle_w = c.idle_w;
        m->full_w = c.full_w;
        s->info.model_error = c.error;
        snprintf(s->info.boundary, sizeof s->info.boundary, "%s", c.boundary);
        snprintf(origin, cap, " (calibrated by %.100s)", c.basis);
    } else if (rc == LMW_EUNAVAILABLE) {
        snprintf(origin, cap,
                 " (a guess; give yours as estimate:IDLE_W,FULL_W or by `lmwatt meters "
                 "calibrate`)");
    } else {
        snprintf(origin, cap, " (a guess; %.140s)", why.msg);
    }
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    struct lmw_err why = {0};
    struct source *s = lmw_source_add(l, &lmw_kind_estimate);
    struct model *m = calloc(1, sizeof *m);
    if (!s || !m) {
        free(m);
        return lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    }
    s->state = m;
    s->info.reading = LMW_ESTIMATE;
    snprintf(s->info.name, sizeof s->info.name, "estimate");
    snprintf(s->info.boundary, sizeof s->info.boundary, arg[0] ? "host" : "chip");
    snprintf(s->nest, sizeof s->nest, "host");
    snprintf(s->file[STAT].path, sizeof s->file[STAT].path, "%.480s/proc/stat", sysroot);
    snprintf(s->file[UPTIME].path, sizeof s->file[UPTIME].path, "%.480s/proc/uptime", sysroot);
    m->hz = (double)sysconf(_SC_CLK_TCK);
    if (read_stat(&s->file[STAT], m->hz, &m->busy0_s, &why) < 0 ||
        count_processors(&s->file[STAT], &m->n_cpu, &why) < 0) {
        snprintf(s->info.reason, sizeof s->info.reason, "%.230s", why.msg);
        return LMW_OK;
    }
    m->idle_w = GUESS_IDLE_W * m->n_cpu;
    m->full_w = GUESS_FULL_W * m->n_cpu;
    if (arg[0] && parse_watts(arg, m, err) < 0)
        return err ? err->code : LMW_EARG;
    char origin[160] = "";
    if (!arg[0])
        use_calibration(s, m, sysroot, origin, sizeof origin);
    s->info.present = true;
    s->info.period_ns = (int64_t)(1e9 / m->hz);
    s->info.resolution_uj = (int64_t)((m->full_w - m->idle_w) / m->hz / m->n_cpu * 1e6);
    s->info.max_power_mw = (int64_t)(m->full_w * 4000) + 1000;
    snprintf(s->info.about, sizeof s->info.about,
             "modelled, +-%.0f %%: busy share x %.4g W idle to %.4g W with %d processors busy%s",
             100 * (s->info.model_error > 0 ? s->info.model_error : 0.5), m->idle_w, m->full_w,
             m->n_cpu, origin);
    return LMW_OK;
}

static int read_model(struct source *s, int64_t t_ns, int64_t *value, struct lmw_err *err)
{
    struct model *m = s->state;
    double busy_s = 0;
    int rc = read_busy(s, t_ns, &busy_s, err);
    if (rc < 0)
        return rc;
    if (!m->t0_ns) {
        m->t0_ns = t_ns;
        m->busy0_s = busy_s;
    }
    double t_s = (double)(t_ns - m->t0_ns) * 1e-9, share_s = (busy_s - m->busy0_s) / m->n_cpu;
    *value = (int64_t)((m->idle_w * t_s + (m->full_w - m->idle_w) * share_s) * 1e6);
    return LMW_OK;
}

static void close_model(struct source *s)
{
    free(s->state);
    s->state = NULL;
}

const struct source_kind lmw_kind_estimate = {
    .name = "estimate", .automatic = true, .find = find, .read = read_model, .close = close_model};
