/* Options, errors and the progress line, the same for every command. See cli.h. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/str.h"
#include "cli/cli.h"
#include "store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int cli_fail(const struct lmw_err *err)
{
    struct lmw_err shown = *err;
    lmw_text_tame(shown.msg, true);
    cli_progress_end();
    fprintf(stderr, "lmwatt: %s\n", shown.msg);
    return 1;
}

int cli_usage(const char *command, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("lmwatt: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry 'lmwatt %s --help'.\n", command);
    return 2;
}

int cli_store_path(const char *given, char *out, size_t cap, struct lmw_err *err)
{
    if (!given)
        return lmw_store_default_path(out, cap, err);
    return snprintf(out, cap, "%s", given) < (int)cap
               ? LMW_OK
               : lmw_fail(err, LMW_EARG, "--store: path too long");
}

int cli_cpu_mask(uint32_t *mask, struct lmw_err *err)
{
    if (lmw_cpu_mask(getenv("LMW_CPU"), mask, err) < 0)
        return lmw_wrap(err, "LMW_CPU");
    return LMW_OK;
}

static int print_help(const struct opt *opts, const struct command_help *help)
{
    printf("usage: %s\n\n%s\n", help->usage, help->what);
    if (opts->name)
        puts("");
    for (const struct opt *o = opts; o->name; o++) {
        char left[64];
        char letter[8] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
                 o->arg ? o->arg : "");
        printf("  %-28s %s\n", left, o->help);
    }
    printf("\nexample:\n  %s\n", help->example);
    return 0;
}

/* Whether arg, which begins with a dash, is this option: -x, --name or --name=. */
static bool is_spelling(const struct opt *o, const char *arg)
{
    size_t n = strlen(o->name);
    if (arg[1] != '-')
        return o->letter && o->letter == arg[1] && !arg[2];
    return strncmp(arg + 2, o->name, n) == 0 && (!arg[2 + n] || arg[2 + n] == '=');
}

static const struct opt *find_opt(const struct opt *opts, const char *arg,
                                  const char **inline_value)
{
    *inline_value = NULL;
    for (const struct opt *o = opts; o->name; o++) {
        if (!is_spelling(o, arg))
            continue;
        if (arg[1] == '-' && arg[2 + strlen(o->name)])
            *inline_value = arg + 3 + strlen(o->name);
        return o;
    }
    return NULL;
}

static int set_number(const struct opt *o, const char *text)
{
    char *end;
    errno = 0;
    if (o->kind == OPT_INT)
        *(int64_t *)o->value = strtoll(text, &end, 10);
    else
        *(double *)o->value = strtod(text, &end);
    return end != text && !*end && !errno;
}

static int set_value(const struct opt *o, const char *text, const char *command)
{
    struct strs *list = o->value;
    switch (o->kind) {
    case OPT_FLAG: *(bool *)o->value = true; break;
    case OPT_STR: *(const char **)o->value = text; break;
    case OPT_LIST:
        if (list->n == STRS_MAX)
            return cli_usage(command, "--%s was given more than %d times", o->name, STRS_MAX);
        list->v[list->n++] = text;
        break;
    case OPT_INT:
    case OPT_REAL:
        if (!set_number(o, text))
            return cli_usage(command, "--%s takes a number, not '%s'", o->name, text);
        break;
    }
    return -1;
}

static int unknown_option(const struct opt *opts, const char *arg, const char *command)
{
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(arg + 1, "=") - (arg[1] == '-'),
             arg + 1 + (arg[1] == '-'));
    struct lmw_nearest near = lmw_nearest_to(word);
    for (const struct opt *o = opts; o->name; o++)
        lmw_nearest_try(&near, o->name);
    return cli_usage(command, "unknown option '%s'%s%s%s", arg,
                     near.best ? ": did you mean --" : "", near.best ? near.best : "",
                     near.best ? "?" : "");
}

static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1];
}

int opts_parse(const struct opt *opts, const struct command_help *help, int argc, char **argv,
               struct strs *pos)
{
    bool only_pos = false;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *value;
        if (!only_pos && strcmp(arg, "--") == 0) {
            only_pos = true;
        } else if (!only_pos && is_option(arg)) {
            if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
                return print_help(opts, help);
            const struct opt *o = find_opt(opts, arg, &value);
            if (!o)
                return unknown_option(opts, arg, argv[0]);
            if (o->kind == OPT_FLAG && value)
                return cli_usage(argv[0], "--%s takes no value", o->name);
            if (o->kind != OPT_FLAG && !value && !(value = i + 1 < argc ? argv[++i] : NULL))
                return cli_usage(argv[0], "--%s needs a value", o->name);
            int rc = set_value(o, value, argv[0]);
            if (rc >= 0)
                return rc;
        } else if (!pos || pos->n == STRS_MAX) {
            return cli_usage(argv[0], "unexpected argument '%s'", arg);
        } else {
            pos->v[pos->n++] = arg;
        }
    }
    return -1;
}

bool opts_given(const struct opt *o, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_option(argv[i]) && is_spelling(o, argv[i]))
            return true;
    }
    return false;
}

int cli_check_sampling(const char *command, double temperature, double top_p, double min_p)
{
    if (!(temperature >= 0 && temperature <= 1000)) /* false for NaN too */
        return cli_usage(command, "--temp takes 0..1000, 0 being greedy");
    if (!(top_p > 0 && top_p <= 1))
        return cli_usage(command, "--top-p takes values over 0, up to 1");
    if (!(min_p >= 0 && min_p <= 1))
        return cli_usage(command, "--min-p takes 0..1");
    return -1;
}

/* The progress line's state: what was last asked to be shown, and when it last was. */
static struct {
    char text[512];
    int64_t shown_ns;
    bool pending, on_line;
} progress;

/* As much of the line's end as fits: a line that wraps cannot be rewritten, and what moves stands
 * at its end. */
static void rewrite_line(void)
{
    struct winsize w = {0};
    const char *from = progress.text, *mark = "";
    int n = 0;

    for (const char *c = from; *c; c++)
        n += (*c & 0xc0) != 0x80; /* a character's first byte */
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 2 && n > w.ws_col - 1) {
        for (mark = "…"; n > w.ws_col - 2; from++)
            n -= (from[1] & 0xc0) != 0x80;
    }
    fprintf(stderr, "\r\033[K%s%s", mark, from);
}

static void show_progress(bool tty)
{
    if (tty)
        rewrite_line();
    else
        fprintf(stderr, "%s\n", progress.text);
    fflush(stderr);
    progress.pending = false;
    progress.on_line = tty;
    progress.shown_ns = lmw_now_ns();
}

void cli_progress(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(progress.text, sizeof progress.text, fmt, ap);
    va_end(ap);
    progress.pending = true;
    bool tty = isatty(STDERR_FILENO);
    int64_t every_ns = tty ? 100000000 : 60000000000;
    if (!progress.shown_ns && !tty)
        progress.shown_ns = lmw_now_ns(); /* a short job stays quiet until its end */
    else if (lmw_now_ns() - progress.shown_ns >= every_ns)
        show_progress(tty);
}

void cli_progress_end(void)
{
    if (progress.pending)
        show_progress(isatty(STDERR_FILENO));
    if (progress.on_line)
        fputc('\n', stderr);
    progress.on_line = false;
}
