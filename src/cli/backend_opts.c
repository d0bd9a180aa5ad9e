/* The options of a backend, checked. See backend_opts.h. */
#include "cli/backend_opts.h"

#include <string.h>

/* Options that this backend would not look at are a misunderstanding. */
static int check_fit(const struct lmw_backend_ops *ops, const struct lmw_backend_opts *o,
                     const char *command)
{
    const char *misfit = lmw_backend_misfit(ops, o);
    if (misfit)
        return cli_usage(command, "--%s is not for the backend '%s'", misfit, ops->name);
    if (strcmp(ops->name, "openai") == 0 && !o->url)
        return cli_usage(command, "-b openai needs --url, its server: http://127.0.0.1:8080");
    if (strcmp(ops->name, "command") == 0 && !o->command)
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
    int rc = take_time(command, "connect-timeout", f->connect_s, &out->connect_ns);
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
    return check_fit(*ops, out, command);
}
