/* Somebody's power logs, of all kinds, and the meter's joules beside the truth.
 *
 *     bench_traces [--draws N] [--seed S] [--list | --one] [--check]
 *
 * Draws N random machines, workloads, sensors and ways of logging (meter_sim.h) over wide ranges:
 * counters and powers; updates every 1 ms to 2 s, a row for each or polled; steps of 1 uJ to 1 J,
 * 1 mW to 1 W; means over 0 to 5 s, stated or not; jitter, stalls, missing and empty rows, wraps,
 * resets; queries of 0.05 to 30 s at 10 to 700 W, alike or not. Prints by class (what is known of
 * the sensor; the query's length in units of the slowest of period, poll and window) how many
 * spans got joules, the mean of their errors, the 95th percentile of these, how often the bounds
 * held the truth, how often they missed it by more than 5 % of it, and how wide they were. --list
 * has a line of JSON for each draw, --one draw S with its spans; --check fails where that is not
 * as it was (holds()). Seeded: the same everywhere. */
#include <stdbool.h>
#include <stdio.h>

#include "meter_sim.h"

enum { N_SENSOR = 8, N_LENGTH = 4, N_CLASS = N_SENSOR * N_LENGTH };
static const char *const sensors[N_SENSOR] = {
    "counter, period told",          "counter, not told",
    "counter, wraps, resets, holes", "power of the moment, told",
    "power of the moment, not told", "mean, window told",
    "mean up to 1 s, not told",      "mean over 1 s, not told"};
static const char *const lengths[N_LENGTH] = {"under 1", "1 to 2", "2 to 5", "over 5"};

struct class
{
    int n_span, n_valid, n_covered, n_far;
    double sum, truth;
    double *error, *width;
    int cap;
};

struct draw {
    struct sim sim;
    double told_s;
};

/* Between a and b, every factor alike. */
static double between(struct lmw_rng *r, double a, double b)
{
    return a * pow(b / a, lmw_rng_unit(r));
}

static bool chance(struct lmw_rng *r, double p)
{
    return lmw_rng_unit(r) < p;
}

static void draw_work(struct sim *s, struct lmw_rng *r)
{
    s->idle_w = between(r, 5, 100);
    s->query_w = s->idle_w + between(r, 5, 600);
    s->query_s = between(r, 0.05, 30);
    s->gap_s = chance(r, 0.1) ? 0 : between(r, 0.05, 5);
    s->spread = chance(r, 0.2) ? 0 : 0.5 * lmw_rng_unit(r);
    s->noise = chance(r, 0.2) ? 0 : 0.3 * lmw_rng_unit(r);
    s->vary = chance(r, 0.5) ? 0 : 0.3 * lmw_rng_unit(r);
    s->n_query = (int)between(r, 2, 60);
    double room_s = 400 / (s->query_s + s->gap_s);
    s->n_query = s->n_query > room_s && room_s >= 2 ? (int)room_s : s->n_query;
    if (chance(r, 0.3)) {
        s->prefill_s = 0.2 * s->query_s;
        s->prefill_w = s->query_w * (0.5 + lmw_rng_unit(r));
    }
}

static void draw_log(struct sim *s, struct lmw_rng *r)
{
    s->as_made = s->period_s >= 0.005 && chance(r, 0.4);
    s->poll_s = s->as_made ? s->period_s : between(r, 0.005, 1);
    s->poll_jitter_s = chance(r, 0.5) ? 0 : 0.3 * lmw_rng_unit(r) * s->poll_s;
    s->mark_reads = !s->as_made && chance(r, 0.25);
    s->stall_s = !s->as_made && chance(r, 0.2) ? between(r, 0.05, 3) : 0;
    s->drop = chance(r, 0.2) ? 0.2 * lmw_rng_unit(r) : 0;
}

static void draw_sensor(struct sim *s, struct lmw_rng *r)
{
    static const int64_t uj[] = {0, 61, 1000, 15300, 1000000}, mw[] = {0, 10, 100, 1000};
    s->power = chance(r, 0.5);
    s->period_s = between(r, 0.001, 2);
    s->jitter_s = chance(r, 0.5) ? 0 : 0.2 * lmw_rng_unit(r) * s->period_s;
    s->step = s->power ? mw[lmw_rng_below(r, 4)] : uj[lmw_rng_below(r, 5)];
    if (s->power && chance(r, 0.6))
        s->window_s = between(r, 0.02, 5);
    s->unstated = s->power && chance(r, 0.6);
}

static struct draw draw(uint64_t seed)
{
    struct draw d = {.sim = {.seed = seed}};
    struct sim *s = &d.sim;
    struct lmw_rng r;
    lmw_rng_init(&r, seed * 7919);
    draw_sensor(s, &r);
    draw_work(s, &r);
    draw_log(s, &r);
    d.told_s = chance(&r, 0.5) ? s->period_s : 0;
    if (!s->power && chance(&r, 0.25)) {
        double took_s = s->n_query * (s->query_s + s->gap_s);
        s->wrap_uj = (int64_t)(1e6 * s->query_w * between(&r, 10, 1000));
        s->reset_s = chance(&r, 0.3) ? took_s * lmw_rng_unit(&r) : 0;
        s->fail = chance(&r, 0.5) ? 0.01 : 0;
    }
    return d;
}

static int class_of(const struct draw *d)
{
    const struct sim *s = &d->sim;
    double scale = fmax(fmax(s->period_s, s->poll_s), s->window_s), length = s->query_s / scale;
    int sensor = s->wrap_uj           ? 2
                 : !s->power          ? d->told_s == 0
                 : s->window_s == 0   ? 3 + s->unstated
                 : !s->unstated       ? 5
                 : s->window_s <= 1.1 ? 6
                                      : 7;
    return sensor * N_LENGTH + (length < 1 ? 0 : length < 2 ? 1 : length < 5 ? 2 : 3);
}

static void count(struct class *c, const struct sim_answer *a, int n)
{
    c->error = realloc(c->error, (size_t)(c->n_valid + n) * sizeof *c->error);
    c->width = realloc(c->width, (size_t)(c->n_valid + n) * sizeof *c->width);
    for (int i = 0; i < n; i++) {
        double truth = a[i].true_uj;
        c->n_span++;
        if (!a[i].valid)
            continue;
        double out = fmax(fmax(a[i].lower_uj - truth, truth - a[i].upper_uj), 0);
        c->n_covered += out == 0;
        c->n_far += out > 0.05 * truth;
        /* Each query counts alike: those of 30 s at 700 W are not all there is. */
        c->sum += a[i].uj / truth;
        c->error[c->n_valid] = fabs(a[i].uj / truth - 1);
        c->width[c->n_valid++] = (a[i].upper_uj - a[i].lower_uj) / truth;
    }
}

/* A draw and how it went, one JSON object. */
static void show_draw(uint64_t k, const struct draw *d, const struct sim_answer *a)
{
    const struct sim *s = &d->sim;
    int n_valid = 0, n_out = 0;
    double sum = 0;
    for (int i = 0; i < s->n_query; i++) {
        n_valid += a[i].valid;
        n_out += a[i].valid && (a[i].true_uj < a[i].lower_uj || a[i].true_uj > a[i].upper_uj);
        sum += a[i].valid ? a[i].uj / a[i].true_uj : 0;
    }
    printf("{\"draw\":%llu,\"sensor\":\"%s\",\"length\":\"%s\",\"spans\":%d,\"valid\":%d,"
           "\"outside\":%d,\"bias\":%.5f,\"period\":%g,\"told\":%g,\"poll\":%g,\"jitter\":%g,"
           "\"as_made\":%d,\"marks\":%d,\"step\":%lld,\"window\":%g,\"unstated\":%d,\"query\":%g,"
           "\"gap\":%g,\"spread\":%g,\"prefill\":%g,\"idle_w\":%g,\"prefill_w\":%g,"
           "\"query_w\":%g,\"noise\":%g,\"vary\":%g,\"stall\":%g,\"drop\":%g,\"fail\":%g,"
           "\"wrap\":%g,\"reset\":%g}\n",
           (unsigned long long)k, sensors[class_of(d) / N_LENGTH], lengths[class_of(d) % N_LENGTH],
           s->n_query, n_valid, n_out, n_valid ? sum / n_valid - 1 : 0, s->period_s, d->told_s,
           s->poll_s, s->jitter_s, s->as_made, s->mark_reads, (long long)s->step, s->window_s,
           s->unstated, s->query_s, s->gap_s, s->spread, s->prefill_s, s->idle_w, s->prefill_w,
           s->query_w, s->noise, s->vary, s->stall_s, s->drop, s->fail, (double)s->wrap_uj,
           s->reset_s);
}

static void show_spans(const struct draw *d, const struct sim_answer *a)
{
    for (int i = 0; i < d->sim.n_query; i++)
        printf("  %3d  true %10.3f J  %10.3f (%.3f to %.3f) %s\n", i, a[i].true_uj * 1e-6,
               a[i].valid ? a[i].uj * 1e-6 : 0, a[i].valid ? a[i].lower_uj * 1e-6 : 0,
               a[i].valid ? a[i].upper_uj * 1e-6 : 0, a[i].valid ? "" : a[i].reason);
}

static int run(uint64_t k, struct class *classes, bool list, bool one)
{
    struct draw d = draw(k);
    struct lmw_err err = {0};
    struct sim_answer *a = calloc((size_t)d.sim.n_query, sizeof *a);
    int rc = sim_ask(&d.sim, d.told_s, a, &err);
    if (rc < 0)
        fprintf(stderr, "bench_traces: draw %llu: %s\n", (unsigned long long)k, err.msg);
    else
        count(&classes[class_of(&d)], a, d.sim.n_query);
    if (rc == 0 && (list || one))
        show_draw(k, &d, a);
    if (rc == 0 && one)
        show_spans(&d, a);
    free(a);
    return rc;
}

static void show(const char *sensor, const char *length, const struct class *c)
{
    double n = c->n_valid;
    printf("| %s | %s | %d | %.1f | %+.2f | %.2f | %.1f | %.1f | %.2f |\n", sensor, length,
           c->n_span, 100 * n / c->n_span, 100 * (c->sum / n - 1),
           100 * lmw_quantile(c->error, (size_t)c->n_valid, 0.95), 100 * c->n_covered / n,
           100 * c->n_far / n, 100 * lmw_quantile(c->width, (size_t)c->n_valid, 0.5));
}

/* What must hold however the draws fall: of every class bounds that are right and queries of
 * several steps of the sensor without bias. */
static bool holds(const struct class *c, int length)
{
    double n = c->n_valid;
    return c->n_valid < 150 ||
           (c->n_covered >= 0.8 * n && (length < 3 || fabs(c->sum / n - 1) < 0.03));
}

int main(int argc, char **argv)
{
    static struct class classes[N_CLASS];
    uint64_t n = 1000, from = 1;
    bool list = false, one = false, check = false, good = true;
    int n_valid = 0, n_covered = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--draws") == 0 && i + 1 < argc)
            n = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            from = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--list") == 0)
            list = true;
        else if (strcmp(argv[i], "--one") == 0)
            one = true;
        else if (strcmp(argv[i], "--check") == 0)
            check = true;
        else {
            fputs("usage: bench_traces [--draws N] [--seed S] [--list] [--one] [--check]\n",
                  stderr);
            return 2;
        }
    }
    for (uint64_t k = from; k < from + (one ? 1 : n); k++) {
        if (run(k, classes, list, one) < 0)
            return 1;
    }
    puts(
        "| sensor | length | spans | valid % | bias % | p95 % | covered % | 5 % outside % | width "
        "% |\n|---|---|---|---|---|---|---|---|---|");
    for (int i = 0; i < N_CLASS; i++) {
        if (classes[i].n_span > 0)
            show(sensors[i / N_LENGTH], lengths[i % N_LENGTH], &classes[i]);
        n_valid += classes[i].n_valid;
        n_covered += classes[i].n_covered;
        good &= holds(&classes[i], i % N_LENGTH);
        free(classes[i].error);
        free(classes[i].width);
    }
    printf("%d spans with joules, %.1f %% of them inside their bounds\n", n_valid,
           100.0 * n_covered / n_valid);
    return check && !(good && n_covered >= 0.95 * n_valid);
}
