/* What metering costs, and what it knows.
 *
 *     bench_meter [--source SPEC] [--json]          a mark, a span, the sampler at 20 Hz
 *     bench_meter --table [--json]                  sensor x query length: bias, p95, coverage,
 *                                                   width; beside rules used elsewhere
 *
 * Costs are CPU time of the thread that pays: medians of 2,000 marks between stretches of work,
 * means of 200 spans in groups of 8 between them (study/ asks for a quarter of a second's
 * together), the sampler's over 5 s: alone, where every reading wakes an idle processor, and
 * beside two threads at work, as in a study. The table is simulated (tests/unit/meter_sim.h),
 * seeded, and the same on every machine. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "meter_sim.h"

static double seconds_of_process(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What a query does between two marks, as the caches see it: 2 ms of reading 8 MB of weights. */
static void work(void)
{
    static float weight[8 << 18];
    static volatile float sum;
    for (int64_t end = lmw_now_ns() + 2000000; lmw_now_ns() < end;)
        for (size_t i = 0; i < sizeof weight / sizeof *weight; i += 16)
            sum = sum + weight[i];
}

static atomic_bool working;

static void *work_on(void *cpu_s)
{
    while (atomic_load(&working))
        work();
    *(double *)cpu_s = (double)lmw_thread_cpu_ns() * 1e-9;
    return NULL;
}

/* What the process takes in 5 s beside what the threads at work take: the sampler. */
static double sampler_share(int n_worker)
{
    enum { SECONDS = 5 };
    pthread_t worker[2];
    double cpu_s[2] = {0}, before = seconds_of_process();
    atomic_store(&working, true);
    for (int i = 0; i < n_worker; i++)
        pthread_create(&worker[i], NULL, work_on, &cpu_s[i]);
    lmw_sleep_until_ns(lmw_now_ns() + SECONDS * 1000000000LL);
    atomic_store(&working, false);
    for (int i = 0; i < n_worker; i++)
        pthread_join(worker[i], NULL);
    return (seconds_of_process() - before - cpu_s[0] - cpu_s[1]) / SECONDS;
}

static int costs(const char *source, bool json)
{
    enum { N_MARK = 2000, N_SPAN = 200 };
    const char *root = getenv("LMW_SYSROOT");
    struct lmw_meter_opts o = {.sysroot = root ? root : "", .sources = source, .rate_hz = 20};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    double mark_us[N_MARK], span_us = 0;
    struct lmw_span span[N_SPAN];
    struct lmw_energy e;
    int n_span = 0;
    if (lmw_meter_open(&m, &o, &err) < 0 || lmw_meter_start(m, &err) < 0) {
        fprintf(stderr, "bench_meter: %s\n", err.msg);
        return 1;
    }
    double alone = sampler_share(0), beside = sampler_share(2);
    for (int i = 0; i < N_MARK; i++) {
        int64_t t = lmw_thread_cpu_ns(), at = lmw_meter_mark(m);
        mark_us[i] = (double)(lmw_thread_cpu_ns() - t) * 1e-3;
        if (i % 10 == 0)
            span[n_span++] = (struct lmw_span){at, LMW_NULL, 0};
        else if (i % 10 == 2)
            span[n_span - 1].first_ns = at;
        else if (i % 10 == 5)
            span[n_span - 1].end_ns = at;
        work();
    }
    lmw_sleep_until_ns(lmw_now_ns() + lmw_meter_settle_ns(m));
    for (int i = 0; i < N_SPAN; i++) {
        if (i % 8 == 0)
            work();
        int64_t t = lmw_thread_cpu_ns();
        lmw_meter_span(m, &span[i], &e, &err);
        span_us += (double)(lmw_thread_cpu_ns() - t) * 1e-3 / N_SPAN;
    }
    double mark = lmw_quantile(mark_us, N_MARK, 0.5), mark99 = lmw_quantile(mark_us, N_MARK, 0.99);
    printf(json ? "{\"basis\":\"%s\",\"mark_us\":%.2f,\"mark_p99_us\":%.2f,\"span_us\":%.1f,"
                  "\"sampler_core_share\":%.6f,\"sampler_beside_work\":%.6f}\n"
                : "%s\n  mark     %8.2f us (p99 %.2f)\n  span     %8.1f us, after the query\n"
                  "  sampler  %8.6f of a core at 20 Hz, %.6f beside two threads at work\n",
           lmw_meter_basis(m), mark, mark99, span_us, alone, beside);
    lmw_meter_close(m);
    return 0;
}

/* ---- the rules used elsewhere, on the same log ---- */

struct row {
    double t_s, e_uj;
};

static double at_or_before(const struct row *r, size_t n, double t, size_t *i)
{
    size_t lo = 0, hi = n;
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (r[mid].t_s <= t)
            lo = mid;
        else
            hi = mid;
    }
    *i = lo;
    return r[lo].e_uj;
}

/* 0: the last value in the query less the last in the query before (gaps are billed to the next
 * query); 1: last less first value inside; 2: mean of the powers between reads inside, times the
 * duration; 3: straight lines between reads. */
static double by_rule(int rule, const struct row *r, size_t n, const struct lmw_span *s,
                      const struct lmw_span *before)
{
    double a = (double)s->start_ns * 1e-9, b = (double)s->end_ns * 1e-9;
    size_t i, j, k;
    double ea = at_or_before(r, n, a, &i), eb = at_or_before(r, n, b, &j);
    if (rule == 0)
        return eb - at_or_before(r, n, (double)before->end_ns * 1e-9, &k);
    if (rule == 1)
        return j > i ? eb - r[i + 1].e_uj : 0;
    if (rule == 2) {
        double sum = 0;
        for (k = i + 2; k <= j; k++)
            sum += (r[k].e_uj - r[k - 1].e_uj) / (r[k].t_s - r[k - 1].t_s);
        return j > i + 1 ? sum / (double)(j - i - 1) * (b - a) : 0;
    }
    ea += (r[i + 1].e_uj - r[i].e_uj) * (a - r[i].t_s) / (r[i + 1].t_s - r[i].t_s);
    eb += (r[j + 1].e_uj - r[j].e_uj) * (b - r[j].t_s) / (r[j + 1].t_s - r[j].t_s);
    return eb - ea;
}

/* Powers become the counter that straight lines between them make. */
static void sum_up(struct row *r, size_t n)
{
    double mw = n ? r[0].e_uj : 0, e = 0;
    for (size_t i = 0; i < n; i++) {
        e += i ? (mw + r[i].e_uj) / 2 * (r[i].t_s - r[i - 1].t_s) * 1e3 : 0;
        mw = r[i].e_uj;
        r[i].e_uj = e;
    }
}

static double rule_bias(int rule, const struct sim *of)
{
    struct sim s = *of;
    struct lmw_buf log = {0};
    double sum = 0, truth = 0;
    sim_draw(&s);
    sim_log(&s, &log);
    struct row *r = malloc(log.len / 4 * sizeof *r);
    size_t n = 0;
    for (const char *p = strchr(log.ptr, '\n') + 1; r && *p; p = strchr(p, '\n') + 1) {
        long long t, e;
        if (sscanf(p, "%lld,%lld", &t, &e) == 2)
            r[n++] = (struct row){(double)t * 1e-9, (double)e};
    }
    if (r && s.power)
        sum_up(r, n);
    for (int i = 1; r && i < s.n_query; i++) {
        sum += by_rule(rule, r, n, &s.span[i], &s.span[i - 1]);
        truth += s.true_uj[i];
    }
    free(r);
    lmw_buf_free(&log);
    sim_free(&s);
    return sum / truth - 1;
}

static void line(const char *name, struct sim s, double told_s, bool json)
{
    struct lmw_err err = {0};
    double rule[4];
    for (int k = 0; k < 4; k++)
        rule[k] = 100 * rule_bias(k, &s);
    struct sim_score x = sim_run(&s, told_s, &err);
    printf(json ? "{\"sensor\":\"%s\",\"query_s\":%g,\"bias_pct\":%.4f,\"p95_pct\":%.3f,"
                  "\"coverage_pct\":%.1f,\"width_pct\":%.3f,\"previous_last_pct\":%.1f,"
                  "\"last_first_pct\":%.1f,\"mean_power_pct\":%.1f,\"interpolated_pct\":%.1f}\n"
                : "| %s | %g | %+.3f | %.2f | %.1f | %.2f | %+.1f | %+.1f | %+.1f | %+.1f |\n",
           name, s.query_s, 100 * x.bias, 100 * x.p95, 100 * x.coverage, 100 * x.width, rule[0],
           rule[1], rule[2], rule[3]);
}

static void table(bool json)
{
    static const double longer[] = {2, 1, 0.5, 0.2, 0.1}, shorter[] = {0.04, 0.02};
    const struct sim base = {.idle_w = 100,
                             .query_w = 500,
                             .gap_s = 0.3,
                             .spread = 0.1,
                             .noise = 0.2,
                             .n_query = 1000,
                             .seed = 1};
    static const struct {
        const char *name;
        double period_s, poll_s, jitter_s;
        bool marks, power;
        double window_s, told_s;
        bool unstated;
        double times; /* all is so much longer; 0: 1 */
    } sensors[] = {
        {"100 ms counter, log at 20 ms", 0.1, 0.02, 0, false, false, 0, 0.1},
        {"100 ms counter, 20 Hz and marks", 0.1, 0.05, 0.0125, true, false, 0, 0.1},
        {"50 ms counter, 20 Hz and marks", 0.05, 0.05, 0.0125, true, false, 0, 0.05},
        {"10 ms counter, 20 Hz and marks", 0.01, 0.05, 0.0125, true, false, 0, 0.01},
        {"1 ms counter, log at 50 ms", 0.001, 0.05, 0, false, false, 0, 0.001},
        {"1 ms counter, 20 Hz and marks", 0.001, 0.05, 0.0125, true, false, 0, 0.001},
        {"power now, 20 Hz and marks", 0.0005, 0.05, 0.0125, true, true, 0, 0},
        {"power now, new every 100 ms", 0.1, 0.05, 0.0125, true, true, 0, 0.1},
        {"mean of 100 ms, new every 100 ms", 0.1, 0.05, 0.0125, true, true, 0.1, 0.1},
        {"mean of 1 s, new every 20 ms", 0.02, 0.05, 0.0125, true, true, 1, 0.02},
        {"mean of 1 s, new every 100 ms", 0.1, 0.05, 0.0125, true, true, 1, 0.1},
        {"mean of 1 s, new every 1 s", 1, 0.05, 0.0125, true, true, 1, 1},
        {"mean of 1 s, not stated, new every 100 ms", 0.1, 0.05, 0.0125, true, true, 1, 0.1, true},
        {"mean of 1 s, not stated, new every 1 s", 1, 0.05, 0.0125, true, true, 1, 1, true},
        {"mean of 5 s, new every 1 s", 1, 0.05, 0.0125, true, true, 5, 1, false, 10},
        {"mean of 5 s, not stated, new every 1 s", 1, 0.05, 0.0125, true, true, 5, 1, true, 10},
    };
    if (!json)
        puts("| sensor | query s | bias % | p95 % | covered % | width % | previous last | "
             "last - first | "
             "mean power | interpolated |\n|---|---|---|---|---|---|---|---|---|---|");
    for (size_t i = 0; i < sizeof sensors / sizeof *sensors; i++) {
        for (int k = 0; k < 7; k++) {
            struct sim s = base;
            s.period_s = sensors[i].period_s;
            s.poll_s = sensors[i].poll_s;
            s.poll_jitter_s = sensors[i].jitter_s;
            s.mark_reads = sensors[i].marks;
            s.power = sensors[i].power;
            s.window_s = sensors[i].window_s;
            s.unstated = sensors[i].unstated;
            s.query_s = k < 5 ? longer[k] : shorter[k - 5];
            if (k >= 5) {
                s.gap_s = 0.01;
                s.spread = 0.3;
            }
            if (sensors[i].times > 0) {
                s.query_s *= sensors[i].times;
                s.gap_s *= sensors[i].times;
                s.n_query = 200;
            }
            line(sensors[i].name, s, sensors[i].told_s, json);
        }
    }
}

int main(int argc, char **argv)
{
    const char *source = "auto";
    bool json = false, show_table = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--table") == 0) {
            show_table = true;
        } else if (strcmp(argv[i], "--source") == 0 && i + 1 < argc) {
            source = argv[++i];
        } else {
            fputs("usage: bench_meter [--source SPEC | --table] [--json]\n", stderr);
            return 2;
        }
    }
    if (!show_table)
        return costs(source, json);
    table(json);
    return 0;
}
