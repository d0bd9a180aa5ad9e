/* The openai backend against a server that answers at once: what asking costs here.
 *
 *     bench_backend [--n N] [--in-flight N] [--pieces N] [--json]
 *
 * N requests (default 50000), so many in flight (default 256), each answered by a stream of so
 * many pieces (default 8) from a server of this program's own in another process, over loopback.
 * Prints requests a second, the processor time one request costs this side (user and system), the
 * share of one processor that is, and resident memory after a tenth and at the end. */
#include "backend/backend.h"

#include "base/clock.h"
#include "base/record.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    int n, n_in_flight, n_piece;
    bool json;
} opt = {.n = 50000, .n_in_flight = 256, .n_piece = 8};

static int die(const char *what)
{
    fprintf(stderr, "bench_backend: %s\n", what);
    exit(1);
}

/* --- the server: a fixed answer to whatever ends a request --- */

enum { FD_MAX = 8192 };

static struct lmw_buf models, stream;

static void put_chunk(struct lmw_buf *b, const char *event)
{
    lmw_buf_printf(b, "%zx\r\ndata: %s\n\n\r\n", strlen(event) + 8, event);
}

static void make_answers(void)
{
    static const char list[] = "{\"data\":[{\"id\":\"mock\"}]}";
    lmw_buf_printf(&models,
                   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   strlen(list), list);
    lmw_buf_str(&stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < opt.n_piece; i++)
        put_chunk(&stream, "{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\","
                           "\"model\":\"mock\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                           "\" word\"},\"finish_reason\":null}]}");
    put_chunk(&stream, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}");
    put_chunk(&stream, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":9}}");
    put_chunk(&stream, "[DONE]");
    lmw_buf_str(&stream, "0\r\n\r\n");
}

/* A request is whole when its body's last byte came: the body is JSON and ends its packet. */
static void serve_one(int fd)
{
    char request[16384];
    ssize_t n = recv(fd, request, sizeof request, 0);
    if (n <= 0) {
        close(fd);
        return;
    }
    const struct lmw_buf *out = memcmp(request, "GET", 3) == 0 ? &models : &stream;
    if (out == &stream && request[n - 1] != '}')
        return;
    if (send(fd, out->ptr, out->len, MSG_NOSIGNAL) != (ssize_t)out->len)
        close(fd);
}

static void serve(int listener)
{
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(ep, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd != listener) {
                serve_one(events[i].data.fd);
                continue;
            }
            e.data.fd = accept(listener, NULL, NULL);
            epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e);
        }
    }
}

static pid_t start_server(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        die("no socket on loopback");
    *port = ntohs(a.sin_port);
    make_answers();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(fd);
    }
    close(fd);
    return pid;
}

/* --- asking --- */

static int64_t rss_kb(void)
{
    long pages = 0, skip;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &skip, &pages) != 2)
        pages = -1;
    if (f)
        fclose(f);
    return (int64_t)pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct result {
    double wall_s, cpu_s;
    int64_t early_kb, late_kb;
};

static struct lmw_backend *open_backend(int port)
{
    const struct lmw_backend_ops *ops;
    struct lmw_backend *b;
    struct lmw_err err;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    struct lmw_backend_opts opts = {
        .model = "mock", .url = url, .max_tokens = 64, .n_in_flight = opt.n_in_flight};
    if (lmw_backend_find("openai", &ops, &err) < 0 || lmw_backend_open(&b, ops, &opts, &err) < 0)
        die(err.msg);
    return b;
}

static void ask_all(struct lmw_backend *b, struct result *out)
{
    struct lmw_request q = {.prompt = LMW_STR("How are you today?"), .max_tokens = 64, .top_p = 1};
    struct lmw_reply *replies = calloc((size_t)opt.n_in_flight, sizeof *replies), *done = replies;
    struct lmw_err err;
    double cpu = cpu_s();
    int64_t begin = lmw_now_ns();
    for (int sent = 0, n = 0; n < opt.n; n++) {
        for (; sent < opt.n && sent - n < opt.n_in_flight; sent++) {
            struct lmw_reply *r = sent < opt.n_in_flight ? &replies[sent] : done;
            if (lmw_backend_send(b, &q, r, &err) < 0)
                die(err.msg);
        }
        if (lmw_backend_wait(b, INT64_MAX, &done, &err) != 1)
            die(err.msg);
        if (done->rc < 0 || done->n_answer != 9)
            die(done->err.msg);
        if (n == opt.n / 10)
            out->early_kb = rss_kb();
    }
    out->wall_s = (double)(lmw_now_ns() - begin) / 1e9;
    out->cpu_s = cpu_s() - cpu;
    out->late_kb = rss_kb();
    for (int i = 0; i < opt.n_in_flight; i++)
        lmw_buf_free(&replies[i].text);
    free(replies);
}

static void parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--json") == 0)
            opt.json = true;
        else if (strcmp(argv[i], "--n") == 0)
            opt.n = atoi(v), i++;
        else if (strcmp(argv[i], "--in-flight") == 0)
            opt.n_in_flight = atoi(v), i++;
        else if (strcmp(argv[i], "--pieces") == 0)
            opt.n_piece = atoi(v), i++;
        else
            die("options: --n N --in-flight N --pieces N --json");
    }
    if (opt.n < 1 || opt.n_in_flight < 1 || opt.n_in_flight > FD_MAX || opt.n_piece < 1)
        die("numbers over 0");
}

int main(int argc, char **argv)
{
    struct result r = {0};
    int port;
    parse(argc, argv);
    pid_t server = start_server(&port);
    struct lmw_backend *b = open_backend(port);
    ask_all(b, &r);
    lmw_backend_close(b);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    printf(opt.json ? "{\"in_flight\": %d, \"requests\": %d, \"per_s\": %.0f, \"cpu_us\": %.1f, "
                      "\"rss_kb\": [%lld, %lld]}\n"
                    : "%d in flight: %d requests, %.0f/s, %.1f us of processor time each, "
                      "%lld kB resident after a tenth, %lld at the end\n",
           opt.n_in_flight, opt.n, opt.n / r.wall_s, 1e6 * r.cpu_s / opt.n, (long long)r.early_kb,
           (long long)r.late_kb);
    return 0;
}
