/* HTTP over libcurl: one multi handle driven by its sockets (epoll), so that what a chunk costs
 * does not grow with how many calls are in flight; connections stay open from call to call.
 *
 * What is tried again, after 0.2 s, 0.4 s, ... up to 30 s, each times 0.5 to 1 at random: 408,
 * 429, 5xx but 501 and 505, a connection that broke, a stream that ended before the answer did,
 * and (once the server has answered anything) a refused or timed-out connection. Retry-After,
 * seconds or a date (one that is over counts for nothing), is added to that; one over 10 minutes
 * is not waited for. Never tried again: other statuses, and a 429 that says the credit is used up;
 * a certificate that cannot be verified, bytes that are no HTTP or no answer, a time-out after the
 * connection was made.
 *
 * Memory is bounded: of a body nothing is kept here but 64 KB of one that is no answer; readers
 * bound what they keep. TLS is verified (SSL_CERT_FILE names another CA file, as with openssl),
 * proxies are taken from the environment, redirects are refused: the key would go along.
 *
 * The key is in one header and in `key`, and nowhere else: whatever a server says is searched for
 * it, as it comes and where pieces were put together. */
#include "backend/http.h"

#include "base/clock.h"
#include "base/rng.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { REFUSAL_MAX = 64 << 10, SECRET_MIN = 8 };

#define BACKOFF_NS     ((int64_t)200000000)
#define BACKOFF_MAX_NS ((int64_t)30000000000)
#define RETRY_AFTER_S  600

struct slot {
    CURL *easy;
    struct lmw_http_call *call; /* NULL: free */
    struct lmw_http *http;
    int64_t start_ns, retry_ns; /* retry_ns > 0: waiting to be tried again */
    struct lmw_buf refusal;
    char why[CURL_ERROR_SIZE];
};

struct lmw_http {
    struct lmw_http_opts opts;
    CURLM *multi;
    struct curl_slist *headers;
    char *key;
    int epoll;
    struct slot *slots;          /* [n_max] */
    struct lmw_http_call **done; /* [n_max], a ring: complete, not yet handed out */
    int n_busy, n_done, i_done;
    int64_t curl_ns;  /* when curl wants to be called; INT64_MAX */
    int64_t alarm_ns; /* no deadline of a slot is before this */
    bool answered;    /* the server has, once */
    struct lmw_rng rng;
};

/* --- the key --- */

void lmw_http_hide_key(const struct lmw_http *h, char *text, size_t len)
{
    size_t n = h->key ? strlen(h->key) : 0;
    if (n < SECRET_MIN || !text) /* "EMPTY", "none": words, no secrets */
        return;
    for (char *at; (at = memmem(text, len, h->key, n)); text = at + n) {
        len -= (size_t)(at - text) + n;
        memset(at, '*', n);
    }
}

static int take_key(struct lmw_http *h, const char *key, struct lmw_err *err)
{
    char *header = NULL;
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127)
            return lmw_fail(err, LMW_EARG, "the API key has a blank or an odd character in it");
    h->key = strdup(key);
    if (!h->key || asprintf(&header, "Authorization: Bearer %s", key) < 0)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a header");
    h->headers = curl_slist_append(h->headers, header);
    free(header);
    return LMW_OK;
}

/* --- what curl calls --- */

static int on_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *known)
{
    struct lmw_http *h = arg;
    struct epoll_event e = {.data.fd = s};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(h->epoll, EPOLL_CTL_DEL, s, NULL);
        return 0;
    }
    e.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(h->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s, &e) < 0)
        return -1;
    curl_multi_assign(h->multi, s, h);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct lmw_http *h = arg;
    h->curl_ns = ms < 0 ? INT64_MAX : lmw_now_ns() + (int64_t)ms * 1000000;
    return 0;
}

static void note_content_type(struct slot *s)
{
    char *type = NULL;
    curl_easy_getinfo(s->easy, CURLINFO_CONTENT_TYPE, &type);
    snprintf(s->call->content_type, sizeof s->call->content_type, "%s", type ? type : "");
}

/* A connection of a machine with itself has one address at both ends. */
static void note_where(struct slot *s)
{
    struct lmw_http_call *c = s->call;
    char *there = NULL, *here = NULL;
    curl_easy_getinfo(s->easy, CURLINFO_PRIMARY_IP, &there);
    curl_easy_getinfo(s->easy, CURLINFO_LOCAL_IP, &here);
    bool same = !there || !here || strcmp(there, here) == 0 || strncmp(there, "127.", 4) == 0;
    snprintf(c->elsewhere, sizeof c->elsewhere, "%s", same ? "" : there);
}

/* Taking less than all of it ends the transfer. */
static size_t on_data(char *bytes, size_t size, size_t n, void *arg)
{
    struct slot *s = arg;
    struct lmw_http_call *c = s->call;
    long status = 0;
    lmw_http_hide_key(s->http, bytes, n);
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    if (c->status == 0)
        note_content_type(s);
    c->status = (int)status;
    if (status >= 200 && status < 300) {
        c->rc = c->reader->data(c->arg, (lmw_str){bytes, n}, &c->err);
        return c->rc < 0 ? 0 : n;
    }
    size_t room = REFUSAL_MAX - s->refusal.len, take = n < room ? n : room;
    lmw_buf_put(&s->refusal, bytes, take);
    return take;
}

/* --- opening --- */

static int open_slot(struct lmw_http *h, struct slot *s, struct lmw_err *err)
{
    const char *ca = getenv("SSL_CERT_FILE");
    CURL *e = s->easy = curl_easy_init();
    s->http = h;
    if (!e)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a connection");
    curl_easy_setopt(e, CURLOPT_PRIVATE, s);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->why);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, h->headers);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "lmwatt/" LMW_VERSION);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(h->opts.connect_ns / 1000000));
    if (ca && *ca)
        curl_easy_setopt(e, CURLOPT_CAINFO, ca);
    return LMW_OK;
}

static int open_all(struct lmw_http *h, struct lmw_err *err)
{
    int n = h->opts.n_max;
    h->multi = curl_multi_init();
    h->slots = calloc((size_t)n, sizeof *h->slots);
    h->done = calloc((size_t)n, sizeof *h->done);
    if (!h->multi || !h->slots || !h->done)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d calls at once", n);
    if ((h->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        return lmw_fail_errno(err, "waiting for a server");
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)n);
    h->headers = curl_slist_append(NULL, "Content-Type: application/json");
    h->headers = curl_slist_append(h->headers, "Expect:"); /* no round trip before a long prompt */
    int rc = h->opts.key ? take_key(h, h->opts.key, err) : LMW_OK;
    for (int i = 0; i < n && rc == LMW_OK; i++)
        rc = open_slot(h, &h->slots[i], err);
    return rc;
}

int lmw_http_open(struct lmw_http **out, const struct lmw_http_opts *opts, struct lmw_err *err)
{
    struct lmw_http *h = calloc(1, sizeof *h);
    *out = NULL;
    if (!h || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        free(h);
        return lmw_fail(err, LMW_ENOMEM, "no memory for HTTP");
    }
    h->opts = *opts;
    h->epoll = -1;
    h->curl_ns = h->alarm_ns = INT64_MAX;
    lmw_rng_init(&h->rng, (uint64_t)lmw_now_ns());
    int rc = open_all(h, err);
    h->opts.key = NULL; /* the caller's */
    if (rc < 0)
        lmw_http_close(h);
    else
        *out = h;
    return rc;
}

void lmw_http_close(struct lmw_http *h)
{
    if (!h)
        return;
    for (int i = 0; h->slots && i < h->opts.n_max; i++) {
        struct slot *s = &h->slots[i];
        if (s->call && s->retry_ns == 0)
            curl_multi_remove_handle(h->multi, s->easy);
        curl_easy_cleanup(s->easy);
        lmw_buf_free(&s->refusal);
    }
    curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->headers);
    curl_global_cleanup();
    if (h->epoll >= 0)
        close(h->epoll);
    if (h->key)
        explicit_bzero(h->key, strlen(h->key));
    free(h->key);
    free(h->slots);
    free(h->done);
    free(h);
}

/* --- attempts --- */

static void set_alarm(struct lmw_http *h, int64_t t_ns)
{
    if (t_ns < h->alarm_ns)
        h->alarm_ns = t_ns;
}

static int64_t deadline(const struct slot *s)
{
    const struct lmw_http_opts *o = &s->http->opts;
    int64_t first = s->start_ns + o->first_ns, total = s->start_ns + o->total_ns;
    if (s->retry_ns > 0)
        return s->retry_ns;
    return !s->call->begun && first < total ? first : total;
}

static void attempt(struct lmw_http *h, struct slot *s)
{
    struct lmw_http_call *c = s->call;
    s->retry_ns = 0;
    s->refusal.len = 0;
    s->why[0] = 0;
    c->n_attempt++;
    c->status = c->rc = 0;
    c->content_type[0] = 0;
    c->begun = c->complete = false;
    c->reader->begin(c->arg);
    curl_easy_setopt(s->easy, CURLOPT_URL, c->url);
    if (c->body.ptr) {
        curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body.len);
        curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, c->body.ptr);
    } else {
        curl_easy_setopt(s->easy, CURLOPT_HTTPGET, 1L);
    }
    s->start_ns = lmw_now_ns();
    set_alarm(h, deadline(s));
    curl_multi_add_handle(h->multi, s->easy);
}

/* What a server wrote may be in it: UTF-8 on one line, whatever that was. */
static void clean(struct lmw_err *err)
{
    struct lmw_buf b = {0};
    lmw_buf_utf8(&b, lmw_str_from(err->msg));
    size_t n = lmw_utf8_cut((lmw_str){b.ptr, b.len}, sizeof err->msg - 1).len;
    for (size_t i = 0; i < n; i++)
        err->msg[i] = (unsigned char)b.ptr[i] < ' ' ? ' ' : b.ptr[i];
    err->msg[n] = 0;
    lmw_buf_free(&b);
}

static void complete(struct lmw_http *h, struct slot *s)
{
    struct lmw_http_call *c = s->call;
    if (c->rc < 0 && c->n_attempt > 1)
        lmw_wrap(&c->err, "after %d attempts", c->n_attempt);
    lmw_http_hide_key(h, c->err.msg, strlen(c->err.msg));
    clean(&c->err);
    s->call = NULL;
    h->done[(h->i_done + h->n_done++) % h->opts.n_max] = c;
}

/* --- how an attempt ended --- */

enum verdict { FINAL, RETRY, AT_ONCE };

static const char *host_of(const struct lmw_http_call *c, char out[160])
{
    const char *p = strstr(c->url, "://"), *end = p ? strchr(p + 3, '/') : NULL;
    snprintf(out, 160, "%.*s", end ? (int)(end - c->url) : 159, c->url);
    return out;
}

static enum verdict judge_status(struct slot *s)
{
    struct lmw_http_call *c = s->call;
    lmw_str body = {s->refusal.ptr ? s->refusal.ptr : "", s->refusal.len};
    curl_off_t wait_s = 0;
    char *elsewhere = NULL;
    c->rc = LMW_EIO;
    if (c->reader->refused(c->arg, c->status, body, &c->err))
        return AT_ONCE;
    curl_easy_getinfo(s->easy, CURLINFO_REDIRECT_URL, &elsewhere);
    if (elsewhere)
        lmw_fail(&c->err, LMW_EIO, "%s answered %d: it is at %s now, so use that URL", c->url,
                 c->status, elsewhere);
    bool worth = c->rc == LMW_EIO && (c->status == 408 || c->status == 429 ||
                                      (c->status >= 500 && c->status != 501 && c->status != 505));
    curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &wait_s);
    if (worth && wait_s > RETRY_AFTER_S) {
        lmw_wrap(&c->err, "to be asked again in %lld s, which is not waited for",
                 (long long)wait_s);
        worth = false;
    }
    return worth ? RETRY : FINAL;
}

/* A connection that was never made, or broke. */
static enum verdict judge_failure(struct slot *s, CURLcode code)
{
    struct lmw_http_call *c = s->call;
    const char *why = s->why[0] ? s->why : curl_easy_strerror(code);
    bool was_there = s->http->answered;
    char host[160];
    c->rc = LMW_EIO;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        c->rc = lmw_fail(&c->err, LMW_EUNAVAILABLE,
                         "%s: no connection (%s): is the server running there?", host_of(c, host),
                         why);
        return was_there ? RETRY : FINAL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_OPERATION_TIMEDOUT: /* of connecting: the others are not curl's */
    case CURLE_SSL_CONNECT_ERROR:
        c->rc =
            lmw_fail(&c->err, LMW_EUNAVAILABLE, "%s: no connection (%s)", host_of(c, host), why);
        return was_there ? RETRY : FINAL;
    case CURLE_PEER_FAILED_VERIFICATION:
        lmw_fail(&c->err, LMW_EIO,
                 "%s: its certificate cannot be verified (%s); SSL_CERT_FILE names the file of "
                 "another authority",
                 host_of(c, host), why);
        return FINAL;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        lmw_fail(&c->err, LMW_EIO, "%s: the connection broke (%s)", host_of(c, host), why);
        return RETRY;
    default:
        lmw_fail(&c->err, LMW_EFORMAT, "%s: %s", host_of(c, host), why);
        c->rc = LMW_EFORMAT;
        return FINAL;
    }
}

static enum verdict judge(struct slot *s, CURLcode code)
{
    struct lmw_http_call *c = s->call;
    long status = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    c->status = (int)status;
    s->http->answered |= status > 0;
    if (status > 0 && (status < 200 || status >= 300) &&
        (code == CURLE_OK || code == CURLE_WRITE_ERROR))
        return judge_status(s);
    if (c->rc == LMW_OK && code != CURLE_OK && !c->complete)
        return judge_failure(s, code);
    if (c->rc == LMW_OK)
        c->rc = c->reader->end(c->arg, &c->err);
    return c->rc == LMW_EIO ? RETRY : FINAL;
}

static void schedule(struct lmw_http *h, struct slot *s)
{
    curl_off_t after_s = 0;
    int n = s->call->n_retried++;
    int64_t wait = n < 8 ? BACKOFF_NS << n : BACKOFF_MAX_NS;
    if (wait > BACKOFF_MAX_NS)
        wait = BACKOFF_MAX_NS;
    curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &after_s);
    wait = (int64_t)((double)wait * (0.5 + 0.5 * lmw_rng_unit(&h->rng)));
    s->retry_ns = lmw_now_ns() + wait + (after_s > 0 ? (int64_t)after_s * 1000000000 : 0);
    set_alarm(h, s->retry_ns);
}

static void conclude(struct lmw_http *h, struct slot *s, enum verdict v)
{
    struct lmw_http_call *c = s->call;
    c->reader->over(c->arg, c->status);
    if (v == AT_ONCE)
        attempt(h, s);
    else if (v == RETRY && c->n_retried < h->opts.n_retry)
        schedule(h, s);
    else
        complete(h, s);
}

static void finish(struct lmw_http *h, struct slot *s, CURLcode code)
{
    note_where(s);
    curl_multi_remove_handle(h->multi, s->easy);
    conclude(h, s, judge(s, code));
}

/* --- time --- */

static void time_out(struct lmw_http *h, struct slot *s)
{
    struct lmw_http_call *c = s->call;
    bool first = !c->begun && h->opts.first_ns < h->opts.total_ns;
    char host[160];
    curl_multi_remove_handle(h->multi, s->easy);
    c->rc = c->complete ? c->reader->end(c->arg, &c->err)
                        : lmw_fail(&c->err, LMW_EIO, "%s: no %s within %.3g s", host_of(c, host),
                                   first ? "token" : "whole answer",
                                   (double)(first ? h->opts.first_ns : h->opts.total_ns) / 1e9);
    conclude(h, s, FINAL);
}

static void look_at_deadlines(struct lmw_http *h, int64_t now)
{
    if (now < h->alarm_ns)
        return;
    h->alarm_ns = INT64_MAX;
    for (int i = 0; i < h->opts.n_max; i++) {
        struct slot *s = &h->slots[i];
        if (!s->call)
            continue;
        if (deadline(s) > now)
            set_alarm(h, deadline(s));
        else if (s->retry_ns > 0)
            attempt(h, s);
        else
            time_out(h, s);
    }
}

/* --- the loop --- */

/* What curl wants done by now. It tells of its next time only when that changes, and rounds: so it
 * is asked. */
static int tick(struct lmw_http *h, struct lmw_err *err)
{
    int running;
    long ms;
    CURLMcode rc = curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    if (rc != CURLM_OK)
        return lmw_fail(err, LMW_EIO, "HTTP: %s", curl_multi_strerror(rc));
    curl_multi_timeout(h->multi, &ms);
    return on_timer(h->multi, ms, h);
}

int lmw_http_send(struct lmw_http *h, struct lmw_http_call *call, struct lmw_err *err)
{
    struct slot *s = h->slots;
    if (h->n_busy >= h->opts.n_max)
        return lmw_fail(err, LMW_EARG, "%d calls are in flight already", h->n_busy);
    while (s->call)
        s++;
    call->n_attempt = call->n_retried = 0;
    s->call = call;
    h->n_busy++;
    attempt(h, s);
    return tick(h, err); /* off it goes */
}

static int wait_ms(const struct lmw_http *h, int64_t until_ns)
{
    int64_t t = h->curl_ns < h->alarm_ns ? h->curl_ns : h->alarm_ns;
    int64_t ns = (until_ns < t ? until_ns : t) - lmw_now_ns();
    return ns <= 0 ? 0 : ns > (int64_t)60000000000 ? 60000 : (int)((ns + 999999) / 1000000);
}

static int drive(struct lmw_http *h, int64_t until_ns, struct lmw_err *err)
{
    struct epoll_event events[64];
    int running, n = epoll_wait(h->epoll, events, 64, wait_ms(h, until_ns));
    for (int i = 0; i < n; i++) {
        uint32_t e = events[i].events;
        int what = (e & EPOLLIN ? CURL_CSELECT_IN : 0) | (e & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (e & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        CURLMcode rc = curl_multi_socket_action(h->multi, events[i].data.fd, what, &running);
        if (rc != CURLM_OK)
            return lmw_fail(err, LMW_EIO, "HTTP: %s", curl_multi_strerror(rc));
    }
    return lmw_now_ns() >= h->curl_ns ? tick(h, err) : LMW_OK;
}

static void collect(struct lmw_http *h)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
        CURLcode code = m->data.result;
        char *slot = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &slot);
        finish(h, (struct slot *)(void *)slot, code);
    }
}

int lmw_http_wait(struct lmw_http *h, int64_t until_ns, struct lmw_http_call **done,
                  struct lmw_err *err)
{
    *done = NULL;
    for (bool looked = false; h->n_busy > 0; looked = true) {
        collect(h);
        look_at_deadlines(h, lmw_now_ns());
        if (h->n_done > 0) {
            *done = h->done[h->i_done];
            h->i_done = (h->i_done + 1) % h->opts.n_max;
            h->n_done--;
            h->n_busy--;
            return 1;
        }
        if (looked && lmw_now_ns() >= until_ns)
            return 0;
        int rc = drive(h, until_ns, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}
