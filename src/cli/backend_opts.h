/* The options of commands that ask a backend: rows for their tables, and what they come to. */
#ifndef LMW_CLI_BACKEND_OPTS_H
#define LMW_CLI_BACKEND_OPTS_H

#include "backend/backend.h"
#include "cli/cli.h"

struct backend_flags {
    const char *name, *url, *api_key_env, *command, *system, *body, *thinking;
    double connect_s, first_token_s, total_s;
    int64_t n_retry;
    bool is_unlisted;
};

#define BACKEND_FLAGS_DEFAULT                                                                     \
    {                                                                                             \
        .name = "embedded", .connect_s = 10, .first_token_s = 600, .total_s = 3600, .n_retry = 4, \
    }

/* Rows of a table of options. f: struct backend_flags * */
#define BACKEND_OPTS(f)                                                                           \
    {"backend", 'b', OPT_STR, &(f)->name, "NAME", "embedded (default), openai, ollama, command"}, \
        {"url", 0, OPT_STR, &(f)->url, "URL", "of the server: http://127.0.0.1:8080"},            \
        {"api-key-env",     0,      OPT_STR,                                                      \
         &(f)->api_key_env, "NAME", "the environment variable that holds its API key"},           \
        {"command",     0,      OPT_STR,                                                          \
         &(f)->command, "TEXT", "a program: prompt on its stdin, answer on its stdout"},          \
        {"system", 0, OPT_STR, &(f)->system, "TEXT", "a system message before each prompt"},      \
        {"thinking", 0, OPT_STR, &(f)->thinking, "WHICH", "on or off (default: the model's)"},    \
        {"body", 0, OPT_STR, &(f)->body, "JSON", "an object merged into each request"},           \
        {"unlisted",        0,    OPT_FLAG,                                                       \
         &(f)->is_unlisted, NULL, "the server takes a model it does not list"},                   \
        {"connect-timeout", 0, OPT_REAL, &(f)->connect_s, "S", "default 10"},                     \
        {"first-token-timeout", 0, OPT_REAL, &(f)->first_token_s, "S", "default 600"},            \
        {"timeout", 0, OPT_REAL, &(f)->total_s, "S", "of a whole answer (default 3600)"},         \
    {                                                                                             \
        "retries", 0, OPT_INT, &(f)->n_retry, "N",                                                \
            "of what may help: 429, 5xx, broken connections (default 4)"                          \
    }

/* Into out, whose other fields stay; *ops is the backend. -1 to go on, else the exit status. */
int cli_backend_opts(const struct backend_flags *f, const char *command,
                     const struct lmw_backend_ops **ops, struct lmw_backend_opts *out);

#endif
