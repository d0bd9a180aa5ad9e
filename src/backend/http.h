/* HTTP for backends: many calls at once in one thread, tried again where that may help. */
#ifndef LMW_BACKEND_HTTP_H
#define LMW_BACKEND_HTTP_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct lmw_http_opts {
    int n_max;                              /* calls at once */
    int64_t connect_ns, first_ns, total_ns; /* time-outs of one attempt */
    int n_retry;                            /* after the first try */
    const char *key;                        /* sent as a bearer token; NULL: none. Copied */
};

/* What is done with what comes back. Nothing here may call this file's functions. */
struct lmw_http_reader {
    /* An attempt begins: what came before is forgotten. It may change the call's url and body. */
    void (*begin)(void *arg);
    /* A piece of the body of a 2xx answer, and its end. Negative: the call is over; LMW_EIO is
     * worth another try. */
    int (*data)(void *arg, lmw_str bytes, struct lmw_err *err);
    int (*end)(void *arg, struct lmw_err *err);
    /* Another status, with the first 64 KB of its body: says so in err, and sets the call's rc
     * where it is not LMW_EIO, which alone is worth another try. True: ask again at once,
     * differently. */
    bool (*refused)(void *arg, int status, lmw_str body, struct lmw_err *err);
    /* The attempt is over; status 0: there was no answer. */
    void (*over)(void *arg, int status);
};

struct lmw_http_call {
    /* The caller's; must stay until it is done. */
    const char *url;
    lmw_str body; /* JSON to POST; ptr NULL: GET */
    const struct lmw_http_reader *reader;
    void *arg;
    /* Set by the reader: what the first time-out waits for has come; so has all that matters, and
     * what breaks after that is no failure. */
    bool begun, complete;
    /* How it went. */
    int n_attempt, status; /* of the last; 0: no answer */
    char content_type[64];
    char elsewhere[48]; /* the address of the machine that answered, when it is another one */
    int rc;
    struct lmw_err err;
    int n_retried; /* this file's: how many of the retries are used up */
};

struct lmw_http;
int lmw_http_open(struct lmw_http **out, const struct lmw_http_opts *opts, struct lmw_err *err);
void lmw_http_close(struct lmw_http *h); /* drops what is in flight */

/* Begins a call. LMW_EARG when n_max are in flight. */
int lmw_http_send(struct lmw_http *h, struct lmw_http_call *call, struct lmw_err *err);
/* As lmw_backend_wait(): 1 and *done, 0, or negative when nothing works any more. */
int lmw_http_wait(struct lmw_http *h, int64_t until_ns, struct lmw_http_call **done,
                  struct lmw_err *err);
/* Puts *** in place of the key wherever it stands: for what a server wrote. */
void lmw_http_hide_key(const struct lmw_http *h, char *text, size_t len);

#endif
