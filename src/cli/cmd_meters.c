/* lmwatt meters: every power source this machine could have, present or why not; --watch shows
 * what they say; calibrate fits the estimate to one of them.
 *
 * The table is the answer to "what will my joules mean": what each rail covers, how it is read,
 * how often its counter ticks (measured by watching it), in what steps, and which rails make the
 * total. A modelled source is marked ~ in every line. */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/meters.h"
#include "cli/model_opts.h"
#include "meter/meter.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SOURCE = 256 };

static const char *method(const struct lmw_source_info *s)
{
    static const char *const names[] = {
        [LMW_COUNTER] = "counter", [LMW_POWER] = "power", [LMW_ESTIMATE] = "estimate"};
    return names[s->reading];
}

static json_t *int_or_null(int64_t v, bool known)
{
    return known ? json_integer(v) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *told(int64_t v)
{
    return int_or_null(v, v != LMW_NULL);
}

static json_t *device_json(const struct lmw_device *d)
{
    if (!d->model[0])
        return json_null();
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model",
        text_or_null(d->model), "driver", text_or_null(d->driver), "temperature_mc",
        told(d->temperature_mc), "memory_used_bytes", told(d->memory_used), "memory_total_bytes",
        told(d->memory_total), "busy_percent", told(d->busy_percent), "memory_busy_percent",
        told(d->memory_busy_percent), "clock_mhz", told(d->clock_mhz), "memory_clock_mhz",
        told(d->memory_clock_mhz), "power_limit_mw", told(d->power_limit_mw), "throttled",
        d->throttled == LMW_NULL ? json_null() : json_boolean(d->throttled), "throttle_reasons",
        text_or_null(d->throttle));
}

static json_t *source_json(const struct lmw_source_info *s)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                     s->name, "boundary", s->boundary, "method", method(s), "present", s->present,
                     "chosen", s->chosen, "period_ns", told(s->period_ns), "resolution_uj",
                     told(s->resolution_uj), "wrap_uj", int_or_null(s->wrap_uj, s->wrap_uj > 0),
                     "window_ns", told(s->window_ns), "reason", text_or_null(s->reason), "about",
                     text_or_null(s->about), "device", device_json(&s->device));
}

static void period_text(const struct lmw_source_info *s, char out[24])
{
    double ms = (double)s->period_ns * 1e-6;
    if (s->period_ns == LMW_NULL || !s->present)
        snprintf(out, 24, "-");
    else
        snprintf(out, 24, ms < 10 ? "%.2f ms" : "%.0f ms", ms);
}

static void step_text(const struct lmw_source_info *s, char out[24])
{
    if (s->resolution_uj == LMW_NULL || !s->present)
        snprintf(out, 24, "-");
    else
        snprintf(out, 24, "%lld uJ", (long long)s->resolution_uj);
}

/* What a power is of, too: this moment, the last so much, or a mean that nobody states. */
static void method_text(const struct lmw_source_info *s, char out[24])
{
    double ms = (double)s->window_ns * 1e-6;
    if (s->reading != LMW_POWER || !s->present)
        snprintf(out, 24, "%s", method(s));
    else if (s->window_ns == LMW_NULL)
        snprintf(out, 24, "power ?");
    else if (s->window_ns == 0)
        snprintf(out, 24, "power now");
    else
        snprintf(out, 24, ms < 1000 ? "power %.0f ms" : "power %g s", ms < 1000 ? ms : ms / 1000);
}

static void print_table(const struct lmw_source_info *s, int n)
{
    char period[24], step[24], of[24], name[64];
    int width = 22;
    bool unknown = false;
    for (int i = 0; i < n; i++)
        width = (int)strlen(s[i].name) > width ? (int)strlen(s[i].name) : width;
    printf("  %-*s %-9s %-12s %9s %10s  %s\n", width, "source", "boundary", "method", "period",
           "step", "");
    for (int i = 0; i < n; i++) {
        period_text(&s[i], period);
        step_text(&s[i], step);
        method_text(&s[i], of);
        unknown |= strcmp(of, "power ?") == 0;
        snprintf(name, sizeof name, "%s%s", s[i].reading == LMW_ESTIMATE ? "~" : "", s[i].name);
        printf("%s %-*s %-9s %-12s %9s %10s  %s%s%s%s%s\n", s[i].chosen ? "*" : " ", width, name,
               s[i].boundary[0] ? s[i].boundary : "-", of, period, step,
               s[i].chosen    ? "chosen"
               : s[i].present ? "present"
                              : "absent",
               s[i].reason[0] ? ": " : "", s[i].reason,
               s[i].about[0] ? s[i].reason[0] ? "; " : ": " : "", s[i].about);
    }
    puts(
        "\n* makes the total.  ~ is modelled, not measured.  A period of - was not seen: the counter did not "
        "move.");
    if (unknown)
        puts(
            "power ? is a mean over a time that nobody states; lmwatt learns it from the queries.");
}

static int list(const struct lmw_meter_opts *o, bool json)
{
    struct lmw_err err = {0};
    struct lmw_source_info *s = calloc(MAX_SOURCE, sizeof *s);
    int status = 0;
    if (!s) {
        lmw_fail(&err, LMW_ENOMEM, "no memory for the list of power sources");
        return cli_fail(&err);
    }
    int n = lmw_meter_list(o, s, MAX_SOURCE, &err);
    n = n > MAX_SOURCE ? MAX_SOURCE : n;
    if (n < 0) {
        status = cli_fail(&err);
    } else if (json) {
        json_t *all = json_array();
        for (int i = 0; i < n; i++)
            json_array_append_new(all, source_json(&s[i]));
        status = cli_json_print(json_pack("{s:o}", "sources", all));
    } else {
        print_table(s, n);
    }
    free(s);
    return status;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    interrupted = signal;
}

static int show(const char *basis, int64_t mw, bool json, bool tty)
{
    if (json)
        return cli_json_print(json_pack("{s:I, s:s, s:o}", "t_ns", (json_int_t)lmw_now_ns(),
                                        "basis", basis, "power_mw",
                                        int_or_null(mw, mw != LMW_NULL)));
    if (mw == LMW_NULL)
        printf("%s%s  no reading%s", tty ? "\r\033[K" : "", basis, tty ? "" : "\n");
    else
        printf("%s%s%.2f W  %s%s", tty ? "\r\033[K" : "", basis[0] == '~' ? "~" : "",
               (double)mw * 1e-3, basis, tty ? "" : "\n");
    fflush(stdout);
    return 0;
}

/* The mean of the last second, each second, until interrupted or `seconds` have passed. */
static int watch(const struct lmw_meter_opts *o, bool json, double seconds)
{
    struct lmw_err err = {0};
    struct lmw_meter *m;
    bool tty = isatty(STDOUT_FILENO) && !json;
    if (lmw_meter_open(&m, o, &err) < 0)
        return cli_fail(&err);
    int status = lmw_meter_start(m, &err) < 0 ? cli_fail(&err) : 0;
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    int64_t t = lmw_now_ns(), end = seconds > 0 ? t + (int64_t)(seconds * 1e9) : INT64_MAX;
    while (status == 0 && !interrupted && !ferror(stdout) && (t += 1000000000) <= end) {
        struct timespec until = {.tv_sec = t / 1000000000, .tv_nsec = t % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        if (!interrupted)
            status = show(lmw_meter_basis(m), lmw_meter_power_mw(m, t - 1000000000), json, tty);
    }
    if (tty)
        puts("");
    cli_meter_notes(m);
    lmw_meter_close(m);
    return status;
}

/* Fits the estimate to a real meter and keeps the figures. */
static int calibrate(const struct lmw_meter_opts *o, bool json, double seconds)
{
    struct lmw_err err = {0};
    struct lmw_calibration c;
    char path[1024];
    if (!json)
        fprintf(stderr,
                "six phases of %.3g s, from idle to all processors busy; what else runs "
                "now is in the result\n",
                seconds);
    int rc = lmw_meter_calibrate(o, seconds, NULL, NULL, &c, &err);
    if (rc == LMW_OK)
        rc = lmw_calibration_save(&c, path, sizeof path, &err);
    if (rc < 0)
        return cli_fail(&err);
    if (json)
        return cli_json_print(json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:s}", "idle_w",
                                        c.idle_w, "full_w", c.full_w, "error", c.error, "rms",
                                        c.rms, "busy_least", c.busy_least, "busy_most",
                                        c.busy_most, "meter", c.basis, "file", path));
    printf("estimate:%.2f,%.2f\n", c.idle_w, c.full_w);
    printf("  by %s, %.0f %% to %.0f %% busy: rms %.1f %%, stated as +-%.0f %%\n", c.basis,
           100 * c.busy_least, 100 * c.busy_most, 100 * c.rms, 100 * c.error);
    printf("  kept in %s: the estimate uses it from now on\n", path);
    return 0;
}

/* Where `-- COMMAND` begins; argc when there is none. */
static int find_command(int argc, char **argv)
{
    int i = 1;
    while (i < argc && strcmp(argv[i], "--") != 0)
        i++;
    return i;
}

int cmd_meters(int argc, char **argv)
{
    struct strs words = {0};
    const char *source = "auto", *sysroot = getenv("LMW_SYSROOT");
    bool json = false, live = false;
    double seconds = 0, rate = 20;
    const struct opt opts[] = {
        {"source", 0, OPT_STR, &source, "SPEC",
         "what makes the total (default auto: the best there is)"},
        {"watch", 0, OPT_FLAG, &live, NULL, "a line with the power of the total, every second"},
        {"seconds", 0, OPT_REAL, &seconds, "N",
         "stop watching after N seconds (default: go on); calibrate: a phase's (10)"},
        {"rate", 0, OPT_REAL, &rate, "HZ", "readings a second while watching (default 20)"},
        {"json", 0, OPT_FLAG, &json, NULL, "one JSON object; with --watch one a line"},
        {0}};
    const struct command_help help = {
        "lmwatt meters [calibrate] [OPTIONS] [-- COMMAND...]",
        "Every power source this machine could have: what it covers, how often it is updated, and why it\n"
        "is absent or not chosen. SPEC is auto, none, or a comma-separated list of rapl, perf, nvml, amdsmi,\n"
        "amdgpu, intelgpu, jetson, battery, bmc, hwmon, redfish:URL, wall:PATH, apple:PATH,\n"
        "estimate[:IDLE_W,FULL_W], replay:FILE, and single rails by their full names.\n"
        "With the word calibrate: fits the estimate's idle and full watts to a real meter and keeps them.\n"
        "With a COMMAND: runs it, says on stderr what it cost, and ends with its exit status.",
        "lmwatt meters -- make -j4"};
    int command = find_command(argc, argv);
    int rc = opts_parse(opts, &help, command, argv, &words);
    if (rc >= 0)
        return rc;
    bool fit = words.n == 1 && strcmp(words.v[0], "calibrate") == 0;
    if (words.n > 0 && !fit)
        return cli_usage(argv[0], "unexpected argument '%s'", words.v[words.n - 1]);
    if (!(rate > 0 && rate <= 10000))
        return cli_usage(argv[0], "--rate must be above 0 and at most 10000");
    if (seconds < 0 || seconds > 1e9)
        return cli_usage(argv[0], "--seconds must be between 0 and a billion");
    const struct lmw_meter_opts o = {
        .sysroot = sysroot ? sysroot : "", .sources = source, .rate_hz = rate};
    if (command < argc && (fit || live || command + 1 == argc))
        return cli_usage(argv[0], command + 1 == argc ? "-- needs a command"
                                                      : "a command is metered by itself");
    if (command < argc)
        return cli_meter_command(&o, argv + command + 1, json);
    if (fit)
        return calibrate(&o, json, seconds > 0 ? seconds : 10);
    return live ? watch(&o, json, seconds) : list(&o, json);
}
