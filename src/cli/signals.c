/* Signals of commands that work for long and can be resumed, and what is said where a mapped file
 * loses its pages. See cli.h. */
#include "cli/cli.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    interrupted = 1;
}

static void on_nothing(int sig)
{
}

void cli_catch_signals(void)
{
    const struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_RESTART};
    const struct sigaction nothing = {.sa_handler = on_nothing, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &nothing, NULL);
    sigaction(SIGPIPE, &nothing, NULL);
}

static void on_lost_page(int sig)
{
    static const char text[] =
        "lmwatt: a file in use (a model, a store) was cut short, or its disk is full or failed: put "
        "it right and run this again; what was recorded is kept\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    _exit(1);
}

void cli_catch_lost_pages(void)
{
    const struct sigaction lost = {.sa_handler = on_lost_page};
    sigaction(SIGBUS, &lost, NULL);
}

bool cli_interrupted(void)
{
    return interrupted;
}
