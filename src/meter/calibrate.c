/* Calibration: the estimate's two figures fitted to a real meter of this machine, once, so that it
 * serves where that meter is not at hand (unplugged, locked, on mains).
 *
 * Six phases: idle, half of the processors busy, all of them with integer work, floating point and
 * copying, idle again. Each begins with a pause for the meter to follow; the rest gives the
 * meter's mean power and the busy share of /proc/stat (from an estimate of 0 W idle and 1000 W
 * full, by the same arithmetic). Least squares over the phases:
 *
 *     watts = idle + (full - idle) x share
 *
 * The stated error is twice the relative root mean square of what is left (of 4 degrees of
 * freedom), and no less than 10 %:
 * the three kinds of work are in it, the clock speeds and temperatures of other days are not.
 *
 * Refused: a share that hardly moved (other programs were running, or this is a container), a
 * power that does not follow it, a meter that is an estimate itself. The result is kept as lines
 * `name value` in a small file and is this machine's alone: it names the processor. */
#include "meter/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/record.h"
#include "meter/load.h"

enum { N_PHASE = 6 };
static const int64_t SETTLE_NS = 200000000;
static const double LEAST_ERROR = 0.10, LEAST_SPREAD = 0.3;

static const struct {
    double share;
    enum lmw_work work;
} phases[N_PHASE] = {{0, LMW_WORK_INTEGER}, {0.5, LMW_WORK_INTEGER}, {1, LMW_WORK_INTEGER},
                     {1, LMW_WORK_FLOAT},   {1, LMW_WORK_MEMORY},    {0, LMW_WORK_INTEGER}};

/* ---- measuring ---- */

struct pair {
    struct lmw_meter *real, *share; /* the meter, and /proc/stat as one */
};

static int open_pair(struct pair *p, const struct lmw_meter_opts *o, struct lmw_err *err)
{
    struct lmw_meter_opts model = *o;
    model.sources = "estimate:0,1000";
    int rc = lmw_meter_open(&p->real, o, err);
    if (rc < 0)
        return rc;
    const char *basis = lmw_meter_basis(p->real);
    if (strchr(basis, '~') || strcmp(basis, "none") == 0)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "no meter to calibrate by: `lmwatt meters` says why; a wall meter will do "
                        "(wall:PATH)");
    if (lmw_meter_open(&p->share, &model, err) < 0)
        return lmw_wrap(err, "the busy share");
    if ((rc = lmw_meter_start(p->real, err)) == LMW_OK)
        rc = lmw_meter_start(p->share, err);
    return rc;
}

static void close_pair(struct pair *p)
{
    lmw_meter_close(p->real);
    lmw_meter_close(p->share);
}

/* One phase: a fifth of it, or what the meter needs to follow, for settling; the rest counts. The
 * span lies between the marks of both: however late one of them came, they mean the same time. */
static void do_phase(struct pair *p, double seconds, struct lmw_span *w)
{
    int64_t length = (int64_t)(seconds * 1e9), slow = lmw_meter_settle_ns(p->real);
    int64_t settle = slow > length / 5 ? slow : length / 5;
    lmw_sleep_until_ns(lmw_now_ns() + settle);
    lmw_meter_mark(p->real);
    w->start_ns = lmw_meter_mark(p->share);
    w->first_ns = LMW_NULL;
    lmw_sleep_until_ns(w->start_ns + length - length / 5);
    w->end_ns = lmw_meter_mark(p->real);
    lmw_meter_mark(p->share);
}

/* ---- fitting ---- */

struct points {
    int n;
    double asked[N_PHASE], share[N_PHASE], watts[N_PHASE];
};

static int collect(struct points *x, struct pair *p, const struct lmw_span *w, struct lmw_err *err)
{
    for (int i = 0; i < N_PHASE; i++) {
        struct lmw_energy real = {0}, share = {0};
        int rc = lmw_meter_span(p->real, &w[i], &real, err);
        if (rc == LMW_OK)
            rc = lmw_meter_span(p->share, &w[i], &share, err);
        if (rc < 0)
            return rc;
        if (!real.valid || !share.valid)
            return lmw_fail(err, LMW_EUNAVAILABLE, "phase %d of %d has no reading: %s", i + 1,
                            N_PHASE, real.valid ? share.reason : real.reason);
        x->asked[i] = phases[i].share;
        x->watts[i] = (double)real.power_mean_mw * 1e-3;
        x->share[i] = (double)share.power_mean_mw * 1e-6;
        x->n++;
    }
    return LMW_OK;
}

/* The mean share seen while `asked` was asked for. */
static double mean_share(const struct points *x, double asked)
{
    double sum = 0, n = 0;
    for (int i = 0; i < x->n; i++) {
        sum += x->asked[i] == asked ? x->share[i] : 0;
        n += x->asked[i] == asked;
    }
    return fmax(0, sum / n);
}

/* idle and slope by least squares; a line that would be below 0 W at idle goes through 0. */
static void fit_line(const struct points *x, double *idle, double *slope)
{
    double n = x->n, s = 0, w = 0, ss = 0, sw = 0;
    for (int i = 0; i < x->n; i++) {
        s += x->share[i];
        w += x->watts[i];
        ss += x->share[i] * x->share[i];
        sw += x->share[i] * x->watts[i];
    }
    *slope = (sw - s * w / n) / (ss - s * s / n);
    *idle = w / n - *slope * s / n;
    if (*idle < 0) {
        *idle = 0;
        *slope = sw / ss;
    }
}

static int fit(const struct points *x, struct lmw_calibration *c, struct lmw_err *err)
{
    double slope, rest = 0;
    c->busy_least = mean_share(x, 0);
    c->busy_most = mean_share(x, 1);
    if (!(c->busy_most - c->busy_least >= LEAST_SPREAD))
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "the processors were %.0f %% to %.0f %% busy whatever was asked of them: "
                        "stop what else is running",
                        100 * c->busy_least, 100 * c->busy_most);
    fit_line(x, &c->idle_w, &slope);
    if (!(slope > 0))
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "the meter's power does not rise when the processors work: does it feed "
                        "this machine?");
    c->full_w = c->idle_w + slope;
    for (int i = 0; i < x->n; i++) {
        double r = x->watts[i] / fmax(c->idle_w + slope * x->share[i], 1e-3) - 1;
        rest += r * r;
    }
    c->rms = sqrt(rest / (x->n - 2));
    c->error = fmin(1, fmax(LEAST_ERROR, 2 * c->rms));
    return LMW_OK;
}

static const char *boundary(const struct lmw_meter *m)
{
    for (int i = 0; i < lmw_meter_n_source(m); i++) {
        if (lmw_meter_source(m, i)->chosen)
            return lmw_meter_source(m, i)->boundary;
    }
    return "host";
}

static void own_load(void *arg, double share, enum lmw_work work)
{
    lmw_load_set(arg, share, work);
}

int lmw_meter_calibrate(const struct lmw_meter_opts *meter, double seconds, lmw_load_fn *load,
                        void *arg, struct lmw_calibration *out, struct lmw_err *err)
{
    struct pair p = {0};
    struct lmw_span w[N_PHASE];
    struct points x = {0};
    struct load *own = NULL;
    *out = (struct lmw_calibration){0};
    int rc = open_pair(&p, meter, err);
    if (rc == LMW_OK && !load && (rc = lmw_load_open(&own, err)) == LMW_OK) {
        load = own_load;
        arg = own;
    }
    for (int k = 0; k < N_PHASE && rc == LMW_OK; k++) {
        load(arg, phases[k].share, phases[k].work);
        do_phase(&p, seconds, &w[k]);
    }
    if (rc == LMW_OK) {
        /* What settles the last phase is that both counters move on. */
        load(arg, 1, LMW_WORK_INTEGER);
        lmw_sleep_until_ns(lmw_now_ns() + lmw_meter_settle_ns(p.real) + SETTLE_NS);
        load(arg, 0, LMW_WORK_INTEGER);
        lmw_meter_stop(p.real);
        lmw_meter_stop(p.share);
        rc = collect(&x, &p, w, err);
    }
    if (rc == LMW_OK && (rc = fit(&x, out, err)) == LMW_OK) {
        snprintf(out->basis, sizeof out->basis, "%s", lmw_meter_basis(p.real));
        snprintf(out->boundary, sizeof out->boundary, "%s", boundary(p.real));
    }
    lmw_load_close(own);
    close_pair(&p);
    return rc;
}

/* ---- keeping ---- */

int lmw_calibration_path(char *out, size_t cap, struct lmw_err *err)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n;
    if (config && config[0] == '/')
        n = snprintf(out, cap, "%s/lmwatt/estimate", config);
    else if (home && *home)
        n = snprintf(out, cap, "%s/.config/lmwatt/estimate", home);
    else
        return lmw_fail(err, LMW_EUNAVAILABLE, "no place for the calibration: HOME is not set");
    if (n < 0 || (size_t)n >= cap)
        return lmw_fail(err, LMW_EARG, "the path of the calibration is too long");
    return LMW_OK;
}

/* The processor's name and how many there are: a home folder may be seen by several machines. */
static void machine(char *out, size_t cap)
{
    struct lmw_buf text = {0};
    char *p = NULL;
    if (lmw_file_read("/proc/cpuinfo", (size_t)4 << 20, &text, NULL) == LMW_OK && text.ptr)
        p = strstr(text.ptr, "model name");
    p = p ? strchr(p, ':') : NULL;
    int n = p ? (int)strcspn(p, "\n") : 0;
    snprintf(out, cap, "%ld x%.*s", sysconf(_SC_NPROCESSORS_ONLN), n > 0 && n < 90 ? n - 1 : 0,
             p ? p + 1 : "");
    lmw_buf_free(&text);
}

int lmw_calibration_save(const struct lmw_calibration *c, char *path, size_t cap,
                         struct lmw_err *err)
{
    char date[32], name[128];
    struct lmw_atomic w = {0};
    int rc = lmw_calibration_path(path, cap, err);
    if (rc < 0)
        return rc;
    char *slash = strrchr(path, '/');
    *slash = 0;
    rc = lmw_mkdirs(path, err);
    *slash = '/';
    if (rc == LMW_OK)
        rc = lmw_atomic_open(&w, path, err);
    if (rc < 0)
        return rc;
    lmw_date_iso(date);
    machine(name, sizeof name);
    fprintf(w.f,
            "# Written by `lmwatt meters calibrate`, %s: rms %.1f %%. Delete it and "
            "the estimate guesses.\n",
            date, 100 * c->rms);
    fprintf(w.f, "idle_w %.3f\nfull_w %.3f\nerror %.3f\n", c->idle_w, c->full_w, c->error);
    fprintf(w.f, "meter %s\nboundary %s\nmachine %s\n", c->basis, c->boundary, name);
    return lmw_atomic_commit(&w, err);
}

/* One line `name value`. */
static bool take(struct lmw_calibration *c, char *of, size_t cap, lmw_str line)
{
    char text[300], *end = text;
    const struct {
        const char *name;
        double *out;
    } numbers[] = {{"idle_w ", &c->idle_w}, {"full_w ", &c->full_w}, {"error ", &c->error}};
    snprintf(text, sizeof text, "%.*s", (int)(line.len < 299 ? line.len : 299), line.ptr);
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(numbers[i].name);
        if (strncmp(text, numbers[i].name, n) == 0) {
            *numbers[i].out = strtod(text + n, &end);
            return end != text + n && !*end;
        }
    }
    if (strncmp(text, "meter ", 6) == 0)
        snprintf(c->basis, sizeof c->basis, "%.255s", text + 6);
    else if (strncmp(text, "boundary ", 9) == 0)
        snprintf(c->boundary, sizeof c->boundary, "%.31s", text + 9);
    else if (strncmp(text, "machine ", 8) == 0)
        snprintf(of, cap, "%.127s", text + 8);
    return true;
}

int lmw_calibration_load(struct lmw_calibration *c, struct lmw_err *err)
{
    char path[1024], name[128], of[128] = "";
    struct lmw_buf b = {0};
    *c = (struct lmw_calibration){.idle_w = -1};
    if (lmw_calibration_path(path, sizeof path, err) < 0)
        return LMW_EUNAVAILABLE;
    if (access(path, F_OK) != 0)
        return lmw_fail(err, LMW_EUNAVAILABLE, "no calibration");
    int rc = lmw_file_read(path, 65536, &b, err);
    lmw_str text = {b.ptr, b.len};
    for (int n = 1; text.len && rc == LMW_OK; n++) {
        const char *eol = memchr(text.ptr, '\n', text.len);
        size_t len = eol ? (size_t)(eol - text.ptr) : text.len;
        lmw_str line = lmw_str_trim((lmw_str){text.ptr, len});
        text = (lmw_str){text.ptr + len + !!eol, text.len - len - !!eol};
        if (line.len && line.ptr[0] != '#' && !take(c, of, sizeof of, line))
            rc = lmw_fail(err, LMW_EFORMAT, "%.150s: line %d is not understood", path, n);
    }
    lmw_buf_free(&b);
    if (rc < 0)
        return rc;
    if (!(c->idle_w >= 0 && c->full_w >= c->idle_w && c->full_w <= 100000 && c->error > 0 &&
          c->error <= 1))
        return lmw_fail(err, LMW_EFORMAT, "%.150s: no plausible idle_w, full_w and error", path);
    machine(name, sizeof name);
    if (strcmp(name, of) != 0)
        return lmw_fail(err, LMW_EFORMAT, "%.100s is of another machine (%.50s)", path, of);
    return LMW_OK;
}
