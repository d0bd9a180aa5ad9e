/* The options of a backend, checked. See backend_opts.h. */
#include "cli/backend_opts.h"

#include <string.h>

/* Options that this backend would not look at are a misunderstanding. */
static int check_fit(const struct backend_flags *f, const char *command)
{
    bool is_server = strcmp(f->name, "openai") == 0 || strcmp(f->name, "ollama") == 0;
    bool is_program = strcmp(f->name, "command") == 0;
    const struct {
        const char *option;
        bool given, fits;
    } options[] = {
        {"url", f->url, is_server},
        {"api-key-env", f->api_key_env, is_server},
        {"body", f->body, is_server},
        {"thinking", f->thinking, is_server},
        {"unlisted", f->is_unlisted, is_server},
        {"system", f->system, is_server || is_program},
        {"command", f->command, is_program},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].given && !options[i].fits)
            return cli_usage(command, "--%s is not for the backend '%s'", options[i].option,
                             f->name);
    if (strcmp(f->name, "openai") == 0 && !f->url)
        return cli_usage(command, "-b openai needs --url, its server: http://127.0.0.1:8080");
    if (is_program && !f->command)
        return cli_usage(command, "-b command needs --command, the program");
    return -1;
}

static int take_time(const char *command, const char *name, double s, int64_t *ns)
{
    *ns = (int64_t)(s * 1e9);
    return s > 0 && s <= 1e6 ? -1 : cli_usage(command, "--%s takes seconds over 0", name);
}

int cli_backend_opts(const struct backend_flags *f, const char *command,
                     const struct lmw_backend_ops **ops, struct lmw_backend_opts *out)
{
    struct lmw_err err;
    if (lmw_backend_find(f->name, ops, &err) < 0)
        return cli_usage(command, "%s", err.msg);
    int rc = check_fit(f, command);
    if (rc < 0)
        rc = take_time(command, "connect-timeout", f->connect_s, &out->connect_ns);
    if (rc < 0)
        rc = take_time(command, "first-token-timeout", f->first_token_s, &out->first_token_ns);
    if (rc < 0)
        rc = take_time(command, "timeout", f->total_s, &out->total_ns);
    if (rc >= 0)
        return rc;
    if (f->n_retry < 0 || f->n_retry > 100)
        return cli_usage(command, "--retries takes 0..100");
    if (f->thinking && strcmp(f->thinking, "on") != 0 && strcmp(f->thinking, "off") != 0)
        return cli_usage(command, "--thinking takes on or off");
    out->n_retry = f->n_retry > 0 ? (int)f->n_retry : -1;
    out->thinking = !f->thinking                     ? LMW_THINKING_DEFAULT
                    : strcmp(f->thinking, "on") == 0 ? LMW_THINKING_ON
                                                     : LMW_THINKING_OFF;
    out->url = f->url;
    out->api_key_env = f->api_key_env;
    out->command = f->command;
    out->system = f->system;
    out->body = f->body;
    out->unlisted = f->is_unlisted;
    return -1;
}
