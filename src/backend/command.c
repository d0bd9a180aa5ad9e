/* Any program as a backend: run by /bin/sh for each question, several at once, the prompt on its
 * standard input, its standard output the answer. What else was asked it finds in its environment:
 * LMW_MODEL, LMW_SYSTEM, LMW_MAX_TOKENS, LMW_TEMPERATURE, LMW_TOP_P, LMW_MIN_P, LMW_TOP_K,
 * LMW_SEED.
 *
 * The prompt is a file in memory: a program that does not read it, or reads it twice, does no
 * harm. The first token is the first byte; tokens are not known. An answer is complete when nobody
 * holds the output open any more. Then, or when time is up or the answer is over 16 MB, the
 * program's whole process group is killed: nothing is left running. An exit status other than 0 is
 * an error, with the last line of its standard error. Nothing is tried again. */
#include "backend/command.h"

#include "base/clock.h"
#include "base/record.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)16 << 20)
#define SECOND_NS  ((int64_t)1000000000)
#define REAP_NS    ((int64_t)1000000) /* between looks for an exit, the output closed */

enum { N_SETTING = 8, STDERR_MAX = 4096 };

/* One program that runs; request NULL: none. */
struct child {
    const struct lmw_request *request;
    struct lmw_reply *reply;
    pid_t pid;
    int out, err; /* our ends; -1: closed */
    int64_t start_ns;
    char said[STDERR_MAX]; /* the end of its standard error */
    size_t n_said;
    int rc; /* decided before its exit: too long, too late */
    struct lmw_err why;
};

struct command {
    char *text, *model, *system;
    int max_tokens, n_child, n_running;
    int64_t first_ns, total_ns;
    struct child *children; /* [n_child] */
    struct pollfd *polls;   /* [2 n_child] */
};

/* --- opening --- */

static void close_command(void *state);

static int take_opts(struct command *c, const struct lmw_backend_opts *o, struct lmw_err *err)
{
    if (!o->command || !*o->command)
        return lmw_fail(err, LMW_EARG, "which program? --command 'PROGRAM ARGUMENTS...'");
    c->n_child = o->n_in_flight > 1 ? o->n_in_flight : 1;
    c->max_tokens = o->max_tokens;
    c->total_ns = o->total_ns > 0 ? o->total_ns : 3600 * SECOND_NS;
    c->first_ns = o->first_token_ns > 0 ? o->first_token_ns : c->total_ns;
    c->text = strdup(o->command);
    c->model = strdup(o->model ? o->model : "");
    c->system = strdup(o->system ? o->system : "");
    c->children = calloc((size_t)c->n_child, sizeof *c->children);
    c->polls = calloc((size_t)c->n_child, 2 * sizeof *c->polls);
    if (!c->text || !c->model || !c->system || !c->children || !c->polls)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d programs", c->n_child);
    return LMW_OK;
}

static int open_command(void **state, const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    struct command *c = calloc(1, sizeof *c);
    if (!c)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a backend");
    int rc = take_opts(c, opts, err);
    if (rc < 0)
        close_command(c);
    else
        *state = c;
    return rc;
}

static void info_command(void *state, struct lmw_backend_info *out)
{
    const struct command *c = state;
    snprintf(out->name, sizeof out->name, "%s", c->model);
}

/* --- starting one --- */

/* The environment with the settings put in; strings in `text`. NULL: no memory. */
static char **make_environment(const struct command *c, const struct lmw_request *q,
                               struct lmw_buf text[N_SETTING])
{
    int n = q->max_tokens < c->max_tokens ? q->max_tokens : c->max_tokens;
    lmw_buf_printf(&text[0], "LMW_MODEL=%s", c->model);
    lmw_buf_printf(&text[1], "LMW_SYSTEM=%s", c->system);
    lmw_buf_printf(&text[2], "LMW_MAX_TOKENS=%d", n);
    lmw_buf_printf(&text[3], "LMW_TEMPERATURE=%g", (double)q->temperature);
    lmw_buf_printf(&text[4], "LMW_TOP_P=%g", (double)q->top_p);
    lmw_buf_printf(&text[5], "LMW_MIN_P=%g", (double)q->min_p);
    lmw_buf_printf(&text[6], "LMW_TOP_K=%d", q->top_k);
    lmw_buf_printf(&text[7], "LMW_SEED=%llu", (unsigned long long)q->seed);
    size_t n_env = 0, n_kept = N_SETTING;
    while (environ[n_env])
        n_env++;
    char **all = calloc(n_env + N_SETTING + 1, sizeof *all);
    for (size_t i = 0; all && i < N_SETTING; i++) {
        all[i] = text[i].ptr;
        if (text[i].failed)
            all[0] = NULL;
    }
    for (size_t i = 0; all && i < n_env; i++) {
        bool ours = false;
        for (size_t k = 0; k < N_SETTING && text[k].ptr; k++)
            ours |= strncmp(environ[i], text[k].ptr, strcspn(text[k].ptr, "=") + 1) == 0;
        if (!ours)
            all[n_kept++] = environ[i];
    }
    return all;
}

static int put_prompt(lmw_str prompt, struct lmw_err *err)
{
    int fd = memfd_create("prompt", MFD_CLOEXEC);
    size_t done = 0;
    while (fd >= 0 && done < prompt.len) {
        ssize_t n = write(fd, prompt.ptr + done, prompt.len - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (fd >= 0 && done == prompt.len && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    lmw_fail_errno(err, "a prompt of %zu bytes", prompt.len);
    if (fd >= 0)
        close(fd);
    return LMW_EIO;
}

/* fds: its standard input, output and error. */
static int spawn(struct command *c, struct child *k, const int fds[3], struct lmw_err *err)
{
    char sh[] = "sh", dash_c[] = "-c", *argv[] = {sh, dash_c, c->text, NULL};
    struct lmw_buf text[N_SETTING] = {0};
    char **environment = make_environment(c, k->request, text);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, usual;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&files, fds[i], i);
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    errno =
        environment ? posix_spawn(&k->pid, "/bin/sh", &files, &attr, argv, environment) : ENOMEM;
    int rc = errno ? lmw_fail_errno(err, "starting /bin/sh") : LMW_OK;
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    free(environment);
    for (int i = 0; i < N_SETTING; i++)
        lmw_buf_free(&text[i]);
    return rc;
}

static int start(struct command *c, struct child *k, struct lmw_err *err)
{
    int out[2] = {-1, -1}, errs[2] = {-1, -1}, in = put_prompt(k->request->prompt, err);
    if (in < 0)
        return in;
    int rc = pipe2(out, O_CLOEXEC) < 0 || pipe2(errs, O_CLOEXEC) < 0
                 ? lmw_fail_errno(err, "a pipe to a program")
                 : spawn(c, k, (int[3]){in, out[1], errs[1]}, err);
    close(in);
    if (out[1] >= 0)
        close(out[1]);
    if (errs[1] >= 0)
        close(errs[1]);
    k->out = out[0];
    k->err = errs[0];
    if (rc == LMW_OK) {
        fcntl(k->out, F_SETFL, O_NONBLOCK);
        fcntl(k->err, F_SETFL, O_NONBLOCK);
        return LMW_OK;
    }
    if (k->out >= 0)
        close(k->out);
    if (k->err >= 0)
        close(k->err);
    return rc;
}

static int send_command(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                        struct lmw_err *err)
{
    struct command *c = state;
    struct child *k = c->children;
    while (k->request)
        k++;
    *k = (struct child){.request = request, .reply = reply, .start_ns = lmw_now_ns()};
    reply->t_start_ns = lmw_request_now(request);
    int rc = start(c, k, err);
    if (rc < 0)
        k->request = NULL;
    else
        c->n_running++;
    return rc;
}

/* --- while they run --- */

static void end_output(struct child *k)
{
    k->reply->t_end_ns = lmw_request_now(k->request);
    close(k->out);
    k->out = -1;
}

static void give_up(struct child *k, int rc)
{
    k->rc = rc;
    kill(-k->pid, SIGKILL);
    if (k->out >= 0)
        end_output(k); /* one that left the group may hold it open for good */
}

static void take_answer(struct child *k)
{
    char piece[16384];
    struct lmw_reply *r = k->reply;
    ssize_t n;
    while ((n = read(k->out, piece, sizeof piece)) > 0) {
        if (r->t_first_ns == LMW_NULL)
            r->t_first_ns = lmw_request_now(k->request);
        if (r->text.len + (size_t)n > ANSWER_MAX) {
            give_up(k, lmw_fail(&k->why, LMW_EFORMAT,
                                "the program's answer is over %zu MB long: it was stopped",
                                ANSWER_MAX >> 20));
            return;
        }
        lmw_buf_put(&r->text, piece, (size_t)n);
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        end_output(k);
}

static void take_complaint(struct child *k)
{
    ssize_t n;
    for (;;) {
        if (k->n_said == sizeof k->said) { /* the second half is what is kept */
            k->n_said = sizeof k->said / 2;
            memmove(k->said, k->said + k->n_said, k->n_said);
        }
        if ((n = read(k->err, k->said + k->n_said, sizeof k->said - k->n_said)) <= 0)
            break;
        k->n_said += (size_t)n;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(k->err);
        k->err = -1;
    }
}

static lmw_str last_line(const struct child *k)
{
    lmw_str text = lmw_str_trim((lmw_str){k->said, k->n_said});
    const char *nl = text.len ? memrchr(text.ptr, '\n', text.len) : NULL;
    if (nl)
        text = (lmw_str){nl + 1, (size_t)(text.ptr + text.len - nl - 1)};
    text.len = text.len < 300 ? text.len : 300;
    return text;
}

static int how_it_ended(struct child *k, int status)
{
    lmw_str said = last_line(k);
    struct lmw_buf clean = {0};
    if (k->rc < 0)
        return k->rc;
    if (k->reply->text.failed)
        return lmw_fail(&k->why, LMW_ENOMEM, "no memory for an answer");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return LMW_OK;
    lmw_buf_utf8(&clean, said);
    lmw_fail(&k->why, LMW_EIO, "the program %s %d%s%s",
             WIFEXITED(status) ? "ended with exit status" : "was killed by signal",
             WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), said.len ? ": " : "",
             clean.ptr ? clean.ptr : "");
    lmw_buf_free(&clean);
    return LMW_EIO;
}

/* Whether it is over; then its reply is complete. */
static bool reap(struct command *c, struct child *k)
{
    siginfo_t ended = {0};
    int status = 0;
    if (k->out >= 0 || waitid(P_PID, (id_t)k->pid, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        ended.si_pid == 0)
        return false;
    kill(-k->pid, SIGKILL); /* whatever it left behind, while the number is still its own */
    waitpid(k->pid, &status, 0);
    if (k->err >= 0)
        take_complaint(k);
    if (k->err >= 0)
        close(k->err);
    k->reply->rc = how_it_ended(k, status);
    k->reply->err = k->why;
    snprintf(k->reply->finish, sizeof k->reply->finish, k->reply->rc < 0 ? "" : "stop");
    k->reply->attempt[0] = (struct lmw_attempt){k->reply->t_start_ns, k->reply->t_end_ns, 0};
    k->request = NULL;
    c->n_running--;
    return true;
}

static int64_t deadline(const struct command *c, const struct child *k)
{
    int64_t total = k->start_ns + c->total_ns, first = k->start_ns + c->first_ns;
    if (k->rc < 0)
        return INT64_MAX;
    return k->reply->t_first_ns == LMW_NULL && k->out >= 0 && first < total ? first : total;
}

static void look_at_time(struct command *c, struct child *k)
{
    bool first = k->reply->t_first_ns == LMW_NULL && c->first_ns < c->total_ns;
    if (lmw_now_ns() >= deadline(c, k))
        give_up(k,
                lmw_fail(&k->why, LMW_EIO, "the program gave no %s within %.3g s: it was killed",
                         first ? "answer" : "whole answer",
                         (double)(first ? c->first_ns : c->total_ns) / 1e9));
}

static void poll_all(struct command *c, int64_t until_ns)
{
    int64_t now = lmw_now_ns();
    nfds_t n = 0;
    for (struct child *k = c->children; k < c->children + c->n_child; k++) {
        if (!k->request)
            continue;
        if (k->out >= 0)
            c->polls[n++] = (struct pollfd){.fd = k->out, .events = POLLIN};
        if (k->err >= 0)
            c->polls[n++] = (struct pollfd){.fd = k->err, .events = POLLIN};
        int64_t t = k->out < 0 ? now + REAP_NS : deadline(c, k);
        until_ns = t < until_ns ? t : until_ns;
    }
    int64_t ns = until_ns - now;
    poll(c->polls, n, ns <= 0 ? 0 : ns > 60 * SECOND_NS ? 60000 : (int)((ns + 999999) / 1000000));
}

static int wait_command(void *state, int64_t until_ns, struct lmw_reply **done,
                        struct lmw_err *err)
{
    struct command *c = state;
    for (bool looked = false; c->n_running > 0; looked = true) {
        for (struct child *k = c->children; k < c->children + c->n_child; k++) {
            if (!k->request)
                continue;
            if (k->out >= 0)
                take_answer(k);
            if (k->err >= 0)
                take_complaint(k);
            look_at_time(c, k);
            if (reap(c, k)) {
                *done = k->reply;
                return 1;
            }
        }
        if (looked && lmw_now_ns() >= until_ns)
            return 0;
        poll_all(c, until_ns);
    }
    return 0;
}

static void close_command(void *state)
{
    struct command *c = state;
    for (struct child *k = c->children; k && k < c->children + c->n_child; k++) {
        if (!k->request)
            continue;
        kill(-k->pid, SIGKILL);
        waitpid(k->pid, NULL, 0);
        if (k->out >= 0)
            close(k->out);
        if (k->err >= 0)
            close(k->err);
    }
    free(c->text);
    free(c->model);
    free(c->system);
    free(c->children);
    free(c->polls);
    free(c);
}

const struct lmw_backend_ops lmw_backend_command = {
    .name = "command",
    .model_is_name = true,
    .open = open_command,
    .info = info_command,
    .send = send_command,
    .wait = wait_command,
    .close = close_command,
};
