/* A model on a server, from opening to closing: checks what it was given, asks whether the server
 * is there, and keeps a slot for each question in flight. Defaults: 10 s to connect, 10 minutes to
 * the first token (a full queue is slow, not broken), an hour for an answer, 4 retries.
 *
 * Refuses addresses with a password in them, which would be stored and shown. */
#include "backend/remote.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND_NS ((int64_t)1000000000)

/* --- opening --- */

static int64_t or_default(int64_t ns, int64_t seconds)
{
    return ns > 0 ? ns : seconds * SECOND_NS;
}

static int open_http(struct lmw_remote *r, const struct lmw_backend_opts *o, struct lmw_err *err)
{
    struct lmw_http_opts http = {
        .n_max = r->n_question,
        .connect_ns = or_default(o->connect_ns, 10),
        .first_ns = or_default(o->first_token_ns, 600),
        .total_ns = or_default(o->total_ns, 3600),
        .n_retry = o->n_retry == 0 ? 4 : o->n_retry,
        .key = o->api_key_env ? getenv(o->api_key_env) : NULL,
    };
    if (o->api_key_env && (!http.key || !*http.key))
        return lmw_fail(err, LMW_EARG,
                        "the environment variable %s, which should hold the API key, is %s",
                        o->api_key_env, http.key ? "empty" : "not set");
    int rc = lmw_http_open(&r->http, &http, err);
    return rc < 0 && o->api_key_env ? lmw_wrap(err, "%s", o->api_key_env) : rc;
}

static int take_body(struct lmw_remote *r, const char *text, struct lmw_err *err)
{
    json_error_t why;
    if (!text)
        return LMW_OK;
    r->body = json_loads(text, 0, &why);
    if (!r->body || !json_is_object(r->body))
        return lmw_fail(err, LMW_EARG,
                        "the settings for the server (--body) are no JSON object%s%s",
                        r->body ? "" : ": ", r->body ? "" : why.text);
    return LMW_OK;
}

static int take_opts(struct lmw_remote *r, const struct lmw_backend_opts *o, struct lmw_err *err)
{
    if (o->max_tokens < 1)
        return lmw_fail(err, LMW_EARG, "an answer needs room for at least one token");
    if (!o->model || !*o->model)
        return lmw_fail(err, LMW_EARG, "which model? a server may have several");
    if (o->raw && (o->system || o->thinking != LMW_THINKING_DEFAULT))
        return lmw_fail(err, LMW_EARG,
                        "a system message and thinking go through the chat template, which --raw "
                        "leaves out");
    r->raw = o->raw;
    r->logprobs = o->logprobs;
    r->unlisted = o->unlisted;
    r->thinking = o->thinking;
    r->max_tokens = o->max_tokens;
    r->n_ctx = o->n_ctx;
    r->n_question = o->n_in_flight > 1 ? o->n_in_flight : 1;
    r->model = strdup(o->model);
    r->system = o->system ? strdup(o->system) : NULL;
    r->key_env = o->api_key_env ? strdup(o->api_key_env) : NULL;
    r->questions = calloc((size_t)r->n_question, sizeof *r->questions);
    r->free = calloc((size_t)r->n_question, sizeof *r->free);
    if (!r->model || (o->system && !r->system) || (o->api_key_env && !r->key_env) ||
        !r->questions || !r->free)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d in flight", r->n_question);
    for (int i = 0; i < r->n_question; i++) {
        r->questions[i].remote = r;
        r->free[r->n_free++] = &r->questions[i];
    }
    return take_body(r, o->body, err);
}

int lmw_remote_open(void **state, const struct lmw_format *format,
                    const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    struct lmw_remote *r = calloc(1, sizeof *r);
    if (!r)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a backend");
    r->format = format;
    r->info.n_param = r->info.n_param_active = r->info.file_bytes = LMW_NULL;
    int rc = take_opts(r, opts, err);
    if (rc == LMW_OK && (rc = open_http(r, opts, err)) == LMW_OK)
        rc = format->open(r, opts, err);
    if (rc < 0)
        lmw_remote_close(r);
    else
        *state = r;
    return rc;
}

void lmw_remote_info(void *state, struct lmw_backend_info *out)
{
    const struct lmw_remote *r = state;
    *out = r->info;
    snprintf(out->name, sizeof out->name, "%s", r->model);
}

void lmw_remote_close(void *state)
{
    struct lmw_remote *r = state;
    lmw_http_close(r->http);
    for (int i = 0; r->questions && i < r->n_question; i++)
        lmw_question_free(&r->questions[i]);
    json_decref(r->body);
    free(r->model);
    free(r->system);
    free(r->key_env);
    free(r->questions);
    free(r->free);
    free(r);
}

/* --- for formats, while opening --- */

int lmw_remote_base(struct lmw_remote *r, const char *url, struct lmw_err *err)
{
    const char *host = strstr(url, "://");
    if (!host || (!lmw_str_starts(lmw_str_from(url), "http://") &&
                  !lmw_str_starts(lmw_str_from(url), "https://")))
        return lmw_fail(err, LMW_EARG,
                        "'%s' is no server's URL: it begins with http:// or https://", url);
    host += 3;
    if (memchr(host, '@', strcspn(host, "/")))
        return lmw_fail(err, LMW_EARG,
                        "the server's URL has a user or password in it, which would be stored: "
                        "keep keys in an environment variable (--api-key-env)");
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    if (n >= sizeof r->base || strpbrk(url, " \t\r\n?#"))
        return lmw_fail(err, LMW_EARG, "'%.80s' is no server's URL", url);
    snprintf(r->base, sizeof r->base, "%.*s", (int)n, url);
    return LMW_OK;
}

/* One call that is waited for, its whole body kept. */
struct fetched {
    const struct lmw_remote *remote;
    struct lmw_http_call call;
    struct lmw_buf text;
};

static void fetch_begin(void *arg)
{
    struct fetched *f = arg;
    f->text.len = 0;
}

static int fetch_data(void *arg, lmw_str bytes, struct lmw_err *err)
{
    struct fetched *f = arg;
    f->call.begun = true;
    if (f->text.len + bytes.len > LMW_LINE_MAX)
        return lmw_fail(err, LMW_EFORMAT, "%s: over %zu MB, which is no list of models",
                        f->call.url, LMW_LINE_MAX >> 20);
    lmw_buf_put(&f->text, bytes.ptr, bytes.len);
    return f->text.failed ? lmw_fail(err, LMW_ENOMEM, "no memory for an answer") : LMW_OK;
}

static int fetch_end(void *arg, struct lmw_err *err)
{
    return LMW_OK;
}

static bool fetch_refused(void *arg, int status, lmw_str body, struct lmw_err *err)
{
    const struct fetched *f = arg;
    lmw_remote_refused(f->remote, f->call.url, status, body, err);
    return false;
}

static void fetch_over(void *arg, int status)
{
}

static int fetch(struct lmw_remote *r, struct fetched *f, struct lmw_err *err)
{
    struct lmw_http_call *done;
    int rc = lmw_http_send(r->http, &f->call, err);
    if (rc == LMW_OK)
        rc = lmw_http_wait(r->http, INT64_MAX, &done, err);
    if (rc < 0)
        return rc;
    memcpy(r->info.elsewhere, f->call.elsewhere, sizeof r->info.elsewhere);
    if (f->call.rc < 0 && err)
        *err = f->call.err;
    return f->call.rc;
}

int lmw_remote_fetch(struct lmw_remote *r, const char *path, const char *post, json_t **out,
                     int *status, struct lmw_err *err)
{
    static const struct lmw_http_reader reader = {fetch_begin, fetch_data, fetch_end,
                                                  fetch_refused, fetch_over};
    char url[640];
    struct fetched f = {
        .remote = r,
        .call = {.url = url, .reader = &reader, .arg = &f, .body = lmw_str_from(post)},
    };
    *out = NULL;
    snprintf(url, sizeof url, "%s%s", r->base, path);
    int rc = fetch(r, &f, err);
    *status = f.call.status;
    if (rc == LMW_OK && !(*out = json_loadb(f.text.ptr ? f.text.ptr : "", f.text.len, 0, NULL)))
        rc = lmw_fail(err, LMW_EFORMAT, "%s: its answer (%s) is no JSON: is this the right URL?",
                      url, f.call.content_type[0] ? f.call.content_type : "no Content-Type");
    lmw_buf_free(&f.text);
    return rc;
}

int lmw_remote_no_model(const struct lmw_remote *r, const json_t *list, const char *key,
                        struct lmw_err *err)
{
    char names[300] = "";
    size_t i, n = 0;
    const json_t *m;
    if (r->unlisted)
        return LMW_OK;
    json_array_foreach(list, i, m)
    {
        const char *name = lmw_wire_text(m, key);
        if (!*name || n + strlen(name) + 8 > sizeof names)
            continue;
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", name);
    }
    return lmw_fail(err, LMW_EARG,
                    "%s has no model '%.60s'; it has: %s (one it takes and does not list: "
                    "--unlisted)",
                    r->base, r->model, names[0] ? names : "none");
}

/* Whose fault it is: the question's, that is too long or not allowed; the account's, whose key or
 * credit is gone for every question; else one cannot tell. */
static int fault_of(int status, const char *what)
{
    if (status == 401 || status == 402 || (status == 429 && strstr(what, "current quota")))
        return LMW_EUNAVAILABLE;
    bool is_refused =
        status == 400 || status == 403 || status == 413 || status == 422 || status == 500;
    return is_refused && lmw_wire_blames_question(what) ? LMW_EARG : LMW_EIO;
}

int lmw_remote_refused(const struct lmw_remote *r, const char *url, int status, lmw_str body,
                       struct lmw_err *err)
{
    char message[300];
    lmw_wire_message(body, message, sizeof message);
    const char *what = message[0] ? message : "it says nothing more";
    int code = fault_of(status, what);
    if (status == 401 && !r->key_env)
        return lmw_fail(err, code,
                        "%s answered 401 (%s): it wants an API key; --api-key-env names the "
                        "environment variable that holds one",
                        url, what);
    if (status == 401 || (status == 403 && code != LMW_EARG))
        return lmw_fail(err, code, "%s answered %d (%s)%s%s", url, status, what,
                        r->key_env ? ": look at the API key in " : "",
                        r->key_env ? r->key_env : "");
    return lmw_fail(err, code, "%s answered %d: %s", url, status, what);
}

/* --- asking --- */

int lmw_remote_send(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                    struct lmw_err *err)
{
    struct lmw_remote *r = state;
    struct lmw_question *q = r->free[r->n_free - 1];
    q->request = request;
    q->reply = reply;
    q->call = (struct lmw_http_call){.url = r->url, .reader = &lmw_question_reader, .arg = q};
    int rc = lmw_question_write(q, err);
    if (rc == LMW_OK && (rc = lmw_http_send(r->http, &q->call, err)) == LMW_OK)
        r->n_free--;
    return rc;
}

int lmw_remote_wait(void *state, int64_t until_ns, struct lmw_reply **done, struct lmw_err *err)
{
    struct lmw_remote *r = state;
    struct lmw_http_call *call;
    int rc = lmw_http_wait(r->http, until_ns, &call, err);
    if (rc != 1)
        return rc;
    struct lmw_question *q = call->arg;
    lmw_question_complete(q);
    r->free[r->n_free++] = q;
    *done = q->reply;
    return 1;
}
