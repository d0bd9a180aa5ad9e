/* A server's management controller asked over the network, by DMTF's Redfish (DSP0266): HTTPS and
 * JSON, of which redfish_doc.c knows the words. "redfish:https://bmc.rack" finds the chassis that
 * tells its power; a path behind the host names a chassis, or the resource with the figure.
 *
 * Boundary: what the chassis' supplies feed. It is this machine only if the address says so, so it
 * is taken by name alone. Of several chassis that tell power those inside another are left out,
 * and what is left must be one: nothing is added up.
 *
 * A thread of its own asks once a second, or at half the speed that answers come with; the reading
 * stands for the middle between question and answer. Sampler and marks take what is there
 * (source.h, next()). The figure's own averaging is not in any document but for the mean over
 * minutes, which is used only where there is nothing else, and stated.
 *
 * libcurl is linked and not opened by dlopen: the program needs it anyway (backend/), and its
 * header checks the types of the options. The certificate is verified (SSL_CERT_FILE names another
 * authority); "insecure+https://" does not, and "insecure+http://" is the only way to have no TLS:
 * both are in the source's name, so in the record's basis. Name and password come from
 * LMW_REDFISH_USER and LMW_REDFISH_PASSWORD, else from ~/.netrc; curl has the only copy, and sends
 * them to no other host. Refused: an address with a password in it.
 *
 * What goes wrong is a sample without value, and the last reason is note()'s: no connection, a
 * status, no figure, 0 W, no answer within 5 s. */
#include "meter/sources/redfish.h"

#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "meter/source.h"

enum { MAX_BODY = 1 << 20, KEPT = 64, TIMEOUT_MS = 5000, CONNECT_MS = 3000 };
static const int64_t ASK_NS = 1000000000;

struct redfish {
    CURL *curl; /* find()'s, then the thread's */
    char base[256], path[REDFISH_LINK], host[40];
    bool insecure;
    enum redfish_quantity what;
    int64_t every_ns;
    struct lmw_buf body;
    char why_curl[CURL_ERROR_SIZE];
    pthread_t thread;
    bool threaded;
    atomic_bool stopping;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t wake;
    struct sample kept[KEPT];
    int64_t n_put, n_taken, n_failed;
    char why[120];
};

/* ---- one question ---- */

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct redfish *r = arg;
    if (r->body.len + n > MAX_BODY)
        return 0;
    lmw_buf_put(&r->body, bytes, n);
    return r->body.failed ? 0 : n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    return atomic_load(&((struct redfish *)arg)->stopping);
}

static int judge(const struct redfish *r, CURLcode code, const char *path, struct lmw_err *err)
{
    long status = 0;
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "%s: its certificate cannot be verified: SSL_CERT_FILE names another "
                        "authority's, insecure+https:// does without (%.80s)",
                        r->host, r->why_curl);
    if (code != CURLE_OK)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s: %.120s", r->host,
                        r->why_curl[0] ? r->why_curl : curl_easy_strerror(code));
    if (status == 401 || status == 403)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "%s answers %ld to %.60s: put name and password into LMW_REDFISH_USER and "
                        "LMW_REDFISH_PASSWORD, or into ~/.netrc",
                        r->host, status, path);
    if (status != 200)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s answers %ld to %.100s", r->host, status, path);
    return LMW_OK;
}

/* The document at `path`; it lives until the next question. */
static int get(struct redfish *r, const char *path, lmw_str *out, struct lmw_err *err)
{
    char url[sizeof r->base + REDFISH_LINK];
    snprintf(url, sizeof url, "%s%s", r->base, path);
    r->body.len = 0;
    r->why_curl[0] = 0;
    curl_easy_setopt(r->curl, CURLOPT_URL, url);
    int rc = judge(r, curl_easy_perform(r->curl), path, err);
    *out = (lmw_str){r->body.len ? r->body.ptr : "", r->body.len};
    return rc;
}

static int ask(struct redfish *r, const char *path, enum redfish_quantity only,
               struct redfish_figure *f, struct lmw_err *err)
{
    lmw_str doc;
    int rc = get(r, path, &doc, err);
    if (rc == LMW_OK && (rc = lmw_redfish_figure(doc, only, f, err)) < 0)
        rc = lmw_wrap(err, "%.100s", path);
    return rc;
}

/* ---- the thread ---- */

static void put(struct redfish *r, struct sample x, const char *why)
{
    pthread_mutex_lock(&r->lock);
    if (r->n_put - r->n_taken == KEPT) { /* nobody looked for a minute */
        r->n_taken++;
        r->kept[r->n_taken % KEPT].flags |= S_GAP;
    }
    r->kept[r->n_put++ % KEPT] = x;
    if (x.flags & S_FAIL) {
        r->n_failed++;
        snprintf(r->why, sizeof r->why, "%.110s", why);
    }
    pthread_mutex_unlock(&r->lock);
}

static double to_integer_unit(enum redfish_quantity what)
{
    return what == REDFISH_JOULES ? 1e6 : what == REDFISH_KWH ? 3.6e12 : 1e3;
}

/* Asks once, and keeps what came; how long that took. */
static int64_t ask_and_keep(struct redfish *r)
{
    struct redfish_figure f;
    struct lmw_err err = {0};
    int64_t t_ns = lmw_now_ns();
    int rc = ask(r, r->path, r->what, &f, &err);
    int64_t took_ns = lmw_now_ns() - t_ns;
    struct sample x = {.t_ns = t_ns + took_ns / 2, .flags = rc < 0 ? S_FAIL : 0};
    if (rc == LMW_OK)
        x.v = llround(f.value * to_integer_unit(f.what));
    put(r, x, err.msg);
    return took_ns;
}

static void *keep_asking(void *arg)
{
    struct redfish *r = arg;
    while (!atomic_load(&r->stopping)) {
        int64_t next_ns = lmw_now_ns() + r->every_ns;
        ask_and_keep(r);
        struct timespec t = {.tv_sec = next_ns / 1000000000, .tv_nsec = next_ns % 1000000000};
        pthread_mutex_lock(&r->lock);
        while (!atomic_load(&r->stopping) && pthread_cond_timedwait(&r->wake, &r->lock, &t) == 0)
            continue;
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

static void start(struct source *s, int64_t t_ns)
{
    struct redfish *r = s->state;
    if (!r->threaded && pthread_create(&r->thread, NULL, keep_asking, r) == 0)
        r->threaded = true;
    else if (!r->threaded)
        put(r, (struct sample){.t_ns = t_ns, .flags = S_FAIL}, "no thread to ask with");
}

static int next_sample(struct source *s, int64_t now_ns, struct sample *out)
{
    struct redfish *r = s->state;
    pthread_mutex_lock(&r->lock);
    int any = r->n_taken < r->n_put;
    if (any)
        *out = r->kept[r->n_taken++ % KEPT];
    pthread_mutex_unlock(&r->lock);
    return any;
}

static void note(struct source *s, char *out, size_t cap)
{
    struct redfish *r = s->state;
    pthread_mutex_lock(&r->lock);
    if (r->n_failed)
        snprintf(out, cap, "%lld questions without a reading, the last one: %s",
                 (long long)r->n_failed, r->why);
    pthread_mutex_unlock(&r->lock);
}

/* ---- finding ---- */

/* "[insecure+]https://HOST[:PORT][/PATH]" */
static int parse_address(struct redfish *r, const char *arg, struct lmw_err *err)
{
    r->insecure = strncmp(arg, "insecure+", 9) == 0;
    const char *url = arg + (r->insecure ? 9 : 0);
    size_t scheme = strncmp(url, "https://", 8) == 0                 ? 8
                    : r->insecure && strncmp(url, "http://", 7) == 0 ? 7
                                                                     : 0;
    size_t host = strcspn(url + scheme, "/"), path = strlen(url + scheme + host);
    if (!scheme || !host || scheme + host >= sizeof r->base || path >= REDFISH_LINK)
        return lmw_fail(err, LMW_EARG,
                        "write redfish:https://HOST, or redfish:insecure+https://HOST where the "
                        "certificate cannot be verified (insecure+http:// without TLS)");
    if (strcspn(url, "@ \t\r\n?#\"\\") < scheme + host + path)
        return lmw_fail(err, LMW_EARG,
                        "redfish: an address has no name or password in it, no blank and no "
                        "query: LMW_REDFISH_USER and LMW_REDFISH_PASSWORD or ~/.netrc have them");
    snprintf(r->base, sizeof r->base, "%.*s", (int)(scheme + host), url);
    snprintf(r->host, sizeof r->host, "%.*s", (int)host, url + scheme);
    while (path && url[scheme + host + path - 1] == '/')
        path--;
    snprintf(r->path, sizeof r->path, "%.*s", (int)path, url + scheme + host);
    return LMW_OK;
}

static int open_curl(struct redfish *r, struct lmw_err *err)
{
    const char *ca = getenv("SSL_CERT_FILE"), *user = getenv("LMW_REDFISH_USER"),
               *password = getenv("LMW_REDFISH_PASSWORD");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(r->curl = curl_easy_init()))
        return lmw_fail(err, LMW_ENOMEM, "no memory for a connection");
    curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(r->curl, CURLOPT_XFERINFODATA, r);
    curl_easy_setopt(r->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, r->why_curl);
    curl_easy_setopt(r->curl, CURLOPT_USERAGENT, "lmwatt/" LMW_VERSION);
    curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(r->curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    /* Some controllers send a path without its last slash elsewhere: on the same scheme only. */
    curl_easy_setopt(r->curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(r->curl, CURLOPT_MAXREDIRS, 3L);
    const char *schemes = strncmp(r->base, "https:", 6) == 0 ? "https" : "http";
    curl_easy_setopt(r->curl, CURLOPT_PROTOCOLS_STR, schemes);
    curl_easy_setopt(r->curl, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
    curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYPEER, r->insecure ? 0L : 1L);
    curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYHOST, r->insecure ? 0L : 2L);
    if (ca && *ca)
        curl_easy_setopt(r->curl, CURLOPT_CAINFO, ca);
    curl_easy_setopt(r->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    if (user && *user) {
        curl_easy_setopt(r->curl, CURLOPT_USERNAME, user);
        curl_easy_setopt(r->curl, CURLOPT_PASSWORD, password ? password : "");
    } else {
        curl_easy_setopt(r->curl, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    }
    return LMW_OK;
}

/* The figure of a chassis: r->path becomes the resource that has it. */
static int look_at(struct redfish *r, const struct redfish_chassis *c, struct redfish_figure *f,
                   struct lmw_err *err)
{
    const char *const links[] = {c->metrics, c->power};
    int rc = LMW_EUNAVAILABLE;
    for (int i = 0; i < 2 && rc < 0; i++) {
        if (!links[i][0] || (rc = ask(r, links[i], REDFISH_ANY, f, err)) < 0)
            continue;
        snprintf(r->path, sizeof r->path, "%s", links[i]);
    }
    return rc;
}

static bool is_among(const struct redfish_chassis *c, int n, const char *self)
{
    for (int i = 0; i < n; i++)
        if (strcmp(c[i].self, self) == 0)
            return true;
    return false;
}

/* The one of these chassis, all of which tell power, that is inside no other. */
static const struct redfish_chassis *outermost(const struct redfish *r,
                                               const struct redfish_chassis *c, int n,
                                               struct lmw_err *err)
{
    const struct redfish_chassis *one = NULL;
    for (int i = 0; i < n; i++) {
        if (c[i].around[0] && is_among(c, n, c[i].around))
            continue;
        if (one) {
            lmw_fail(err, LMW_EUNAVAILABLE,
                     "%s: several chassis tell their power, %.80s and %.80s: add the path of one "
                     "to the address",
                     r->host, one->self, c[i].self);
            return NULL;
        }
        one = &c[i];
    }
    if (!one)
        lmw_fail(err, LMW_EUNAVAILABLE, "%s: no chassis tells its power", r->host);
    return one;
}

static int find_chassis(struct redfish *r, struct redfish_figure *f, struct lmw_err *err)
{
    static const char collection[] = "/redfish/v1/Chassis";
    char member[REDFISH_MEMBERS][REDFISH_LINK];
    struct redfish_chassis c[REDFISH_MEMBERS], lost[REDFISH_MEMBERS];
    struct lmw_err why;
    lmw_str doc;
    int rc = get(r, collection, &doc, err), n = 0, n_lost = 0;
    int n_member = rc < 0 ? rc : lmw_redfish_members(doc, member, err);
    if (n_member < 0)
        return lmw_wrap(err, "%s", collection);
    for (int i = 0; i < n_member; i++) {
        if (get(r, member[i], &doc, &why) < 0) {
            memcpy(lost[n_lost++].self, member[i], REDFISH_LINK);
            continue;
        }
        if (lmw_redfish_chassis(doc, &c[n], NULL) < 0 || look_at(r, &c[n], f, NULL) < 0)
            continue;
        memcpy(c[n++].self, member[i], REDFISH_LINK);
    }
    const struct redfish_chassis *one = outermost(r, c, n, err);
    /* It may have been the machine's: what is inside it is less. */
    if (n_lost && (n == 0 || (one && is_among(lost, n_lost, one->around))))
        return lmw_fail(err, LMW_EUNAVAILABLE, "%.200s", why.msg);
    return one ? look_at(r, one, f, err) : LMW_EUNAVAILABLE;
}

/* Finds the resource to ask, or tries the one that the address names. */
static int look(struct redfish *r, struct redfish_figure *f, struct lmw_err *err)
{
    struct redfish_chassis c;
    lmw_str doc;
    int rc = open_curl(r, err);
    if (rc < 0 || !r->path[0])
        return rc < 0 ? rc : find_chassis(r, f, err);
    if ((rc = get(r, r->path, &doc, err)) < 0)
        return rc;
    if (lmw_redfish_chassis(doc, &c, NULL) == LMW_OK)
        return look_at(r, &c, f, err);
    return ask(r, r->path, REDFISH_ANY, f, err);
}

static void describe(struct source *s, struct redfish *r, const struct redfish_figure *f)
{
    r->what = f->what;
    int64_t took_ns =
        ask_and_keep(r); /* over the connection that stays: what it costs from now on */
    r->every_ns = 2 * took_ns > ASK_NS ? 2 * took_ns : ASK_NS;
    s->info.present = true;
    s->info.reading =
        f->what == REDFISH_JOULES || f->what == REDFISH_KWH ? LMW_COUNTER : LMW_POWER;
    s->info.period_ns = r->every_ns;
    if (f->what == REDFISH_MEAN)
        s->info.window_ns = llround(f->window_min * 60e9);
    int n = snprintf(s->info.about, sizeof s->info.about,
                     "asked every %.1f s, an answer takes %.3f s%s; ", (double)r->every_ns * 1e-9,
                     (double)took_ns * 1e-9, r->insecure ? "; THE SERVER IS NOT VERIFIED" : "");
    char *out = s->info.about + n;
    size_t cap = sizeof s->info.about - (size_t)n;
    if (f->what == REDFISH_MEAN)
        snprintf(out, cap, "the mean of the last %.0f min, there is nothing else", f->window_min);
    else if (f->what == REDFISH_WATTS)
        snprintf(out, cap, "averaged over a time that is not stated%s%s", f->of[0] ? ": " : "",
                 f->of);
    else
        snprintf(out, cap, "a counter in %s", f->what == REDFISH_KWH ? "kWh: for long runs" : "J");
}

static void init_locks(struct redfish *r)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    struct redfish_figure f;
    struct lmw_err why = {0};
    struct source *s = lmw_source_add(l, &lmw_kind_redfish);
    struct redfish *r = calloc(1, sizeof *r);
    if (!s || !r) {
        free(r);
        return lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    }
    init_locks(r);
    s->state = r;
    int rc = parse_address(r, arg, err);
    if (rc < 0)
        return rc;
    s->info.reading = LMW_POWER;
    snprintf(s->info.name, sizeof s->info.name, "redfish:%s%.25s",
             !r->insecure                        ? ""
             : strncmp(r->base, "https", 5) == 0 ? "insecure+"
                                                 : "insecure+http:",
             r->host);
    snprintf(s->info.boundary, sizeof s->info.boundary, "host");
    snprintf(s->nest, sizeof s->nest, "host");
    if (look(r, &f, &why) == LMW_OK)
        describe(s, r, &f);
    else
        snprintf(s->info.reason, sizeof s->info.reason, "%.230s", why.msg);
    return LMW_OK;
}

static void close_redfish(struct source *s)
{
    struct redfish *r = s->state;
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    atomic_store(&r->stopping, true);
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    if (r->threaded)
        pthread_join(r->thread, NULL);
    if (r->curl) {
        curl_easy_cleanup(r->curl);
        curl_global_cleanup();
    }
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    lmw_buf_free(&r->body);
    free(r);
    s->state = NULL;
}

const struct source_kind lmw_kind_redfish = {.name = "redfish",
                                             .asked_as = "redfish:URL",
                                             .find = find,
                                             .next = next_sample,
                                             .start = start,
                                             .note = note,
                                             .close = close_redfish};
