/* lmwatt meters -- COMMAND: what a program cost. The command has our standard streams, so what is
 * found out goes to stderr, and its exit status is ours. Everything the total covers is counted,
 * other programs' work too. */
#include "cli/cli.h"
#include "cli/meters.h"
#include "cli/model_opts.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void cli_meter_notes(struct lmw_meter *m)
{
    lmw_meter_stop(m);
    for (int i = 0; i < lmw_meter_n_source(m); i++) {
        if (lmw_meter_note(m, i)[0])
            fprintf(stderr, "lmwatt: %s: %s\n", lmw_meter_source(m, i)->name,
                    lmw_meter_note(m, i));
    }
}

/* Ctrl-C is the command's: we live on to say what it cost. Its exit status, as a shell tells
 * it. */
static int run_command(char **command)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
    posix_spawnattr_t attr;
    sigset_t given_back;
    pid_t pid;
    int status;
    sigaction(SIGINT, &ignore, &interrupt);
    sigaction(SIGQUIT, &ignore, &quit);
    sigemptyset(&given_back);
    sigaddset(&given_back, SIGINT);
    sigaddset(&given_back, SIGQUIT);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigdefault(&attr, &given_back);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawnp(&pid, command[0], NULL, &attr, command, environ);
    posix_spawnattr_destroy(&attr);
    if (rc == 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGQUIT, &quit, NULL);
    if (rc != 0) {
        fprintf(stderr, "lmwatt: cannot run %s: %s\n", command[0], strerror(rc));
        return rc == ENOENT ? 127 : 126;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static json_t *joules_json(const struct lmw_energy *e, int64_t uj)
{
    return e->valid && uj != LMW_NULL ? json_integer(uj) : json_null();
}

static void print_json(const char *basis, const struct lmw_energy *e, double seconds, int status)
{
    json_t *o = json_pack(
        "{s:i, s:f, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "exit_status", status, "seconds",
        seconds, "basis", basis, "energy_method", e->method, "energy_uj",
        joules_json(e, e->energy_uj), "energy_lower_uj", joules_json(e, e->lower_uj),
        "energy_upper_uj", joules_json(e, e->upper_uj), "power_mean_mw",
        joules_json(e, e->power_mean_mw), "power_max_mw", joules_json(e, e->power_max_mw),
        "energy_reason", e->valid ? json_null() : json_string(e->reason));
    if (o)
        json_dumpf(o, stderr, JSON_COMPACT);
    fputc('\n', stderr);
    json_decref(o);
}

static void print_text(const char *basis, const struct lmw_energy *e, double seconds)
{
    const char *tilde = basis[0] == '~' ? "~" : "";
    if (!e->valid) {
        fprintf(stderr, "no joules for %.3f s of %s: %s\n", seconds, basis, e->reason);
        return;
    }
    fprintf(stderr, "%s%.4g J [%.4g, %.4g] in %.3f s", tilde, (double)e->energy_uj * 1e-6,
            (double)e->lower_uj * 1e-6, (double)e->upper_uj * 1e-6, seconds);
    fprintf(stderr, ": mean %s%.4g W", tilde, (double)e->power_mean_mw * 1e-3);
    if (e->power_max_mw != LMW_NULL)
        fprintf(stderr, ", at most %s%.4g W", tilde, (double)e->power_max_mw * 1e-3);
    fprintf(stderr, "  (%s)\n", basis);
}

int cli_meter_command(const struct lmw_meter_opts *opts, char **command, bool json)
{
    struct lmw_err err = {0};
    struct lmw_energy e;
    struct lmw_meter *m;
    if (lmw_meter_open(&m, opts, &err) < 0)
        return cli_fail(&err);
    int status = 1, rc = lmw_meter_start(m, &err);
    if (rc == LMW_OK) {
        struct lmw_span span = {lmw_meter_mark(m), LMW_NULL, LMW_NULL};
        status = run_command(command);
        rc = lmw_meter_end(m, &span, &e, &err);
        double seconds = (double)(span.end_ns - span.start_ns) * 1e-9;
        if (rc == LMW_OK && json)
            print_json(lmw_meter_basis(m), &e, seconds, status);
        else if (rc == LMW_OK)
            print_text(lmw_meter_basis(m), &e, seconds);
    }
    cli_meter_notes(m);
    lmw_meter_close(m);
    return rc < 0 ? cli_fail(&err) : status;
}
