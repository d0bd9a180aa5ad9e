/* lmwatt route: what routing would save. This file reads the options and loads the runs; each verb
 * has a file of its own. */
#include "base/cpu.h"
#include "cli/route.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double most_batch = 1e6;

/* The texts of the options that are lists, before they are taken apart. */
struct texts {
    struct strs local;
    const char *accuracy, *random, *semantics, *cloud_price, *local_price;
    const char *strategies, *batch_curve; /* NULL: not given */
    int64_t n_thread, seed;
};

/* "0.6,0.8": n numbers of from..to, at most cap. */
static int read_numbers(const char *option, const char *text, double from, double to, int cap,
                        struct numbers *out)
{
    out->n = 0;
    for (const char *p = text;; p++) {
        char *end;
        double v = strtod(p, &end);
        if (end == p || (*end && *end != ',') || !(v >= from && v <= to) || out->n == cap)
            return cli_usage("route",
                             "--%s takes up to %d numbers of %g to %g with commas, not '%s'",
                             option, cap, from, to, text);
        out->v[out->n++] = v;
        if (!*end)
            return -1;
        p = end;
    }
}

/* Adds the names of a comma list. */
static int read_names(const char *option, const char *text, struct strs *out,
                      struct lmw_arena *arena)
{
    lmw_str left = lmw_str_from(text);
    while (left.len) {
        const char *comma = memchr(left.ptr, ',', left.len);
        size_t n = comma ? (size_t)(comma - left.ptr) : left.len;
        const char *name = lmw_arena_str(arena, (lmw_str){left.ptr, n});
        if (n && (!name || out->n == STRS_MAX))
            return cli_usage("route", "--%s takes up to %d names", option, STRS_MAX);
        if (n)
            out->v[out->n++] = name;
        left = (lmw_str){left.ptr + n + !!comma, left.len - n - !!comma};
    }
    return -1;
}

/* "16:0.3", up to a comma or the end; NULL when it is no such pair. */
static const char *read_point(const char *p, double *batch, double *factor)
{
    char *end;
    *batch = strtod(p, &end);
    if (end == p || *end != ':')
        return NULL;
    p = end + 1;
    *factor = strtod(p, &end);
    return end != p && (!*end || *end == ',') ? end : NULL;
}

/* "1:1,16:0.3": batches, ascending, and factors over 0. */
static int read_curve(const char *text, struct lmw_batch_curve *c)
{
    for (const char *p = text; p; p = *p ? p + 1 : NULL) {
        if (c->n == LMW_BATCH_POINTS || !(p = read_point(p, &c->batch[c->n], &c->factor[c->n])) ||
            !(c->batch[c->n] >= 1 && c->batch[c->n] <= most_batch && c->factor[c->n] > 0 &&
              c->factor[c->n] <= most_batch) ||
            (c->n > 0 && c->batch[c->n] <= c->batch[c->n - 1]))
            return cli_usage("route",
                             "--batch-curve takes up to %d BATCH:FACTOR by growing batch, as "
                             "1:1,16:0.3; not '%s'",
                             LMW_BATCH_POINTS, text);
        c->n++;
    }
    return -1;
}

static int read_semantics(const char *text, struct route_job *j)
{
    static const char *const names[] = {"published", "symmetric", "cascade"};
    bool all = strcmp(text, "all") == 0;
    for (int i = 0; i < 3; i++) {
        if (all || strcmp(text, names[i]) == 0)
            j->semantics[j->n_semantics++] = (enum lmw_semantics)i;
    }
    return j->n_semantics ? -1
                          : cli_usage("route",
                                      "--semantics is published, symmetric, cascade or "
                                      "all, not '%s'",
                                      text);
}

static int read_price(const char *option, const char *text, struct lmw_price *out)
{
    struct numbers n;
    int rc = text ? read_numbers(option, text, 0, 1e9, 2, &n) : -1;
    if (rc >= 0 || !text)
        return rc;
    if (n.n != 2)
        return cli_usage("route", "--%s takes IN,OUT: dollars per million tokens", option);
    out->per_m_in = n.v[0];
    out->per_m_out = n.v[1];
    return -1;
}

static bool is_within(double v, double from, double to)
{
    return v >= from && v <= to;
}

static int read_traffic(const struct lmw_traffic *r)
{
    if (!(r->rate > 0 && r->rate <= 1e9 && r->hours > 0 && r->hours <= 1e6))
        return cli_usage("route",
                         "--rate takes over 0 to 1e9 queries a second, --hours up to 1e6");
    if (!is_within(r->burstiness, 0.01, 1000))
        return cli_usage("route", "--burstiness takes 0.01 to 1000; 1 is Poisson");
    if (r->limit < 0)
        return cli_usage("route", "--limit takes 0 (all) or more");
    return -1;
}

/* Numbers of the day, which must make sense. */
static int read_day(const struct texts *t, struct lmw_day_setup *d)
{
    int rc = t->batch_curve ? read_curve(t->batch_curve, &d->batch) : -1;
    if (rc < 0)
        rc = read_traffic(&d->traffic);
    if (rc < 0 &&
        !(is_within((double)d->machines, 0, 1e7) && is_within((double)d->cloud_machines, 0, 1e7) &&
          is_within((double)d->slots, 1, 1e4) && is_within((double)d->cloud_slots, 1, 1e4)))
        rc =
            cli_usage("route", "machines are 0 (as many as needed) to 10000000, slots 1 to 10000");
    if (rc < 0 && !(is_within(d->idle_w, 0, 1e9) && is_within(d->patience_s, 0, 1e9)))
        rc = cli_usage("route", "--idle-watts and --patience take 0 to 1e9");
    if (rc < 0 && d->idle_w > 0 && d->machines == 0)
        rc = cli_usage("route", "--idle-watts needs --machines: of how many?");
    if (rc < 0 &&
        !(is_within(d->batch.at, 1, most_batch) && is_within(d->batch.of_records, 1, most_batch)))
        rc = cli_usage("route", "a batch is 1 to %g", most_batch);
    if (rc < 0 && !is_within((double)t->n_thread, 0, 255))
        rc = cli_usage("route", "--threads takes 0 (one per processor) to 255");
    d->n_thread = t->n_thread ? (int)t->n_thread : lmw_cpu_count();
    d->traffic.seed = (uint64_t)t->seed;
    return rc;
}

static int read_fit(const struct texts *t, struct route_job *j)
{
    struct lmw_fit_options *f = &j->fit;
    f->n_fold = (int)j->n_fold;
    f->seed = (uint64_t)t->seed;
    f->threshold = j->threshold;
    if (!(isnan(j->threshold) || (j->threshold >= 0 && j->threshold <= 1)))
        return cli_usage("route", "--threshold takes 0 to 1");
    if (!(f->keep > 0 && f->keep <= 2 && f->watts >= 0 && f->watts < 1e6))
        return cli_usage("route", "--keep takes a share over 0, --watts is not negative");
    bool embedding = strcmp(j->features, "embedding") == 0;
    if (!embedding && strcmp(j->features, "ngrams") != 0)
        return cli_usage("route", "--features takes ngrams or embedding, not '%s'", j->features);
    if (embedding && !j->model)
        return cli_usage("route", "--features embedding needs --model FILE: whose?");
    if (embedding && strcmp(f->kind, "cascade") == 0)
        return cli_usage("route", "a cascade looks at answers: --features is not for it");
    if (j->n_fold < 2 || j->n_fold > 1000)
        return cli_usage("route", "--folds takes 2 to 1000");
    return -1;
}

static int read_texts(const struct texts *t, struct route_job *j)
{
    int rc = -1;
    for (int i = 0; i < t->local.n && rc < 0; i++)
        rc = read_names("local", t->local.v[i], &j->local, &j->arena);
    if (rc < 0 && t->strategies)
        rc = read_names("strategies", t->strategies, &j->strategies, &j->arena);
    if (rc < 0 && !j->router_path && (!j->local.n || !j->cloud))
        rc = cli_usage("route",
                       j->local.n ? "--cloud RUN is needed" : "--local RUN[,RUN...] is needed");
    if (rc < 0 && t->strategies && !j->strategies.n)
        rc = cli_usage("route", "--strategies names none");
    j->accuracy_given = t->accuracy != NULL;
    if (rc < 0)
        rc = read_numbers("router-accuracy", t->accuracy ? t->accuracy : "0.6,0.8", 0, 1,
                          ROUTE_LIST_MAX, &j->accuracy);
    if (rc < 0)
        rc = read_numbers("random", t->random, 0, 1, ROUTE_LIST_MAX, &j->random);
    if (rc < 0)
        rc = read_semantics(t->semantics, j);
    if (rc < 0)
        rc = read_price("cloud-price", t->cloud_price, &j->prices.cloud);
    if (rc < 0)
        rc = read_price("local-price", t->local_price, &j->prices.local);
    if (rc < 0 && !isnan(j->prices.local.per_kwh) && !is_within(j->prices.local.per_kwh, 0, 1e9))
        rc = cli_usage("route", "--kwh-price takes 0 to 1e9 dollars");
    if (rc < 0 && j->by && strcmp(j->by, "domain") != 0)
        rc = cli_usage("route", "--by takes domain");
    if (rc < 0)
        rc = read_fit(t, j);
    return rc < 0 ? read_day(t, &j->day) : rc;
}

static int load(struct route_job *j, struct lmw_err *err)
{
    char path[1024];
    int rc = cli_store_path(j->store_path, path, sizeof path, err);
    if (rc == LMW_OK)
        rc = lmw_store_open_existing(&j->store, path, err);
    if (rc == LMW_OK && j->router_path)
        rc = route_open_router(j, err);
    if (rc == LMW_OK)
        rc = lmw_routes_load(&j->routes, j->store, j->local.v, j->local.n, j->cloud, &j->prices,
                             &j->arena, err);
    return rc == LMW_OK && j->router_path ? route_apply_router(j, err) : rc;
}

enum { SIMULATE = 1, DAY = 2, FIT = 4, ALL = SIMULATE | DAY | FIT };
static const struct verb {
    const char *name;
    int bit;
    int (*run)(struct route_job *j, struct lmw_err *err);
} verbs[] = {
    {"simulate", SIMULATE, route_simulate}, {"day", DAY, route_day}, {"fit", FIT, route_fit}};
enum { N_VERB = sizeof verbs / sizeof *verbs };

static const struct verb *find_verb(const struct strs *pos)
{
    for (int i = 0; pos->n == 1 && i < N_VERB; i++) {
        if (strcmp(pos->v[0], verbs[i].name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static const struct command_help help = {
    "lmwatt route simulate | day | fit --local RUN[,RUN...] --cloud RUN [OPTIONS]",
    "What answering some queries with small local models would save, from recorded runs of the\n"
    "same questions: query by query (simulate), or over a day of traffic, with fleets and queues\n"
    "(day); or a router fitted on those records (fit). docs/routing.md defines every figure.",
    "lmwatt route simulate --local qwen-4b,qwen-8b --cloud qwen-235b --router-accuracy 0.6,0.8",
};

static const struct lmw_price unknown_price = {(double)NAN, (double)NAN, (double)NAN};

/* The options, and the verbs that each is for. */
struct table {
    struct opt v[64];
    int verbs[64], n;
};

static void add_opts(struct table *t, const struct opt *opts, size_t n, int bits)
{
    memcpy(t->v + t->n, opts, n * sizeof *opts);
    for (size_t i = 0; i < n; i++)
        t->verbs[t->n++] = bits;
}

/* What was asked for and would do nothing is refused. */
static int check_given(const struct table *t, const struct verb *verb, int argc, char **argv)
{
    for (int i = 0; i < t->n; i++) {
        int k = 0;
        if ((t->verbs[i] & verb->bit) || !opts_given(&t->v[i], argc, argv))
            continue;
        while (!(t->verbs[i] & verbs[k].bit))
            k++;
        return cli_usage("route", "--%s is for route %s, not for %s", t->v[i].name, verbs[k].name,
                         verb->name);
    }
    return -1;
}

static void runs_opts(struct table *table, struct route_job *j, struct texts *t)
{
    const struct opt opts[] = {
        {"local", 0, OPT_LIST, &t->local, "RUNS", "the local models' runs, with commas between"},
        {"cloud", 0, OPT_STR, &j->cloud, "RUN", "the cloud model's run"},
        {"store", 0, OPT_STR, &j->store_path, "DB",
         "the store (default: LMW_STORE, or the data directory)"},
        {"kwh-price", 0, OPT_REAL, &j->prices.local.per_kwh, "USD",
         "dollars of a local run's kWh, where its records have no cost"},
        {"local-price", 0, OPT_STR, &t->local_price, "LIST",
         "IN,OUT: dollars per million tokens of local runs, likewise"},
        {"cloud-price", 0, OPT_STR, &t->cloud_price, "LIST", "the same of the cloud's run"},
        {"json", 0, OPT_FLAG, &j->json, NULL, "for machines"},
    };
    add_opts(table, opts, sizeof opts / sizeof *opts, ALL);
}

static void simulate_opts(struct table *table, struct route_job *j, struct texts *t)
{
    const struct opt opts[] = {
        {"router-accuracy", 0, OPT_STR, &t->accuracy, "LIST",
         "routers that decide as the oracle does so often (default 0.6,0.8)"},
        {"semantics", 0, OPT_STR, &t->semantics, "NAME",
         "how they err: published (default), symmetric, cascade, all"},
        {"random", 0, OPT_STR, &t->random, "LIST", "a coin's chances to stay local (default 0.5)"},
    };
    const struct opt tables[] = {
        {"curve", 0, OPT_FLAG, &j->curve, NULL,
         "quality against price, with AIQ, APGR, CPT(50) and CPT(80)"},
        {"by", 0, OPT_STR, &j->by, "FIELD", "also for each domain (FIELD: domain)"},
    };
    add_opts(table, opts, sizeof opts / sizeof *opts, ALL);
    add_opts(table, tables, sizeof tables / sizeof *tables, SIMULATE | FIT);
}

static void router_opts(struct table *table, struct route_job *j)
{
    const struct opt opts[] = {
        {"router", 0, OPT_STR, &j->router_path, "FILE",
         "a fitted router among the strategies, judged by what it has not seen"},
        {"seen", 0, OPT_FLAG, &j->seen, NULL, "judge it by what it has learned from, too"},
    };
    const struct opt both[] = {
        {"threshold", 0, OPT_REAL, &j->threshold, "T",
         "a router's, 0 to 1 (default: its own; fit: as --keep says)"},
        {"model", 'm', OPT_STR, &j->model, "FILE",
         "the GGUF file whose embeddings a router looks at"},
        {"meter", 0, OPT_STR, &j->meter, "SPEC",
         "of what --model takes; default auto; see `lmwatt meters --help`"},
    };
    j->meter = "auto";
    j->threshold = NAN;
    add_opts(table, opts, sizeof opts / sizeof *opts, SIMULATE | DAY);
    add_opts(table, both, sizeof both / sizeof *both, ALL);
}

static void fit_opts(struct table *table, struct route_job *j)
{
    struct lmw_fit_options *f = &j->fit;
    const struct opt opts[] = {
        {"kind", 0, OPT_STR, &f->kind, "NAME", "fit: logistic (default), knn, mf or cascade"},
        {"features", 0, OPT_STR, &j->features, "NAME",
         "fit: what is looked at of questions: ngrams (default) or embedding"},
        {"output", 'o', OPT_STR, &j->out, "FILE", "fit: where the router is written"},
        {"keep", 0, OPT_REAL, &f->keep, "Q",
         "fit: the share of always-cloud's accuracy to keep (default 0.95)"},
        {"folds", 0, OPT_INT, &j->n_fold, "N", "fit: of the cross-validation (default 5)"},
        {"all", 0, OPT_FLAG, &f->all, NULL, "fit: learn from the held-out fold, too"},
        {"watts", 0, OPT_REAL, &f->watts, "W",
         "fit: of the processor while a router decides (default 15: an estimate)"},
    };
    *f = (struct lmw_fit_options){.kind = "logistic", .keep = 0.95, .watts = 15};
    j->n_fold = 5;
    j->features = "ngrams";
    add_opts(table, opts, sizeof opts / sizeof *opts, FIT);
}

static void day_opts(struct table *table, struct route_job *j, struct texts *t)
{
    struct lmw_day_setup *d = &j->day;
    const struct opt opts[] = {
        {"strategies", 0, OPT_STR, &t->strategies, "LIST",
         "day: which (default always-cloud,oracle,router-0.80, --router)"},
        {"rate", 0, OPT_REAL, &d->traffic.rate, "R", "day: queries a second (default 1)"},
        {"hours", 0, OPT_REAL, &d->traffic.hours, "H", "day: its length (default 24)"},
        {"burstiness", 0, OPT_REAL, &d->traffic.burstiness, "K",
         "day: shape of the Gamma arrivals: 1 (default) is Poisson, less is burstier"},
        {"trace", 0, OPT_STR, &d->traffic.trace, "FILE",
         "day: CSV of arrivals and lengths, instead of --rate"},
        {"limit", 0, OPT_INT, &d->traffic.limit, "N", "day: at most so many queries"},
        {"machines", 0, OPT_INT, &d->machines, "N",
         "day: machines of each local model (default 0: as many as needed)"},
        {"slots", 0, OPT_INT, &d->slots, "N", "day: queries at once on one of them (default 1)"},
        {"idle-watts", 0, OPT_REAL, &d->idle_w, "W", "day: of a local machine that waits"},
        {"patience", 0, OPT_REAL, &d->patience_s, "S",
         "day: who would wait longer goes to the cloud (default: waits)"},
        {"cloud-machines", 0, OPT_INT, &d->cloud_machines, "N",
         "day: of the cloud (default 0: as many as needed)"},
        {"cloud-slots", 0, OPT_INT, &d->cloud_slots, "N",
         "day: queries at once on one of them (default 16)"},
        {"batch-curve", 0, OPT_STR, &t->batch_curve, "LIST",
         "day: cloud joules by batch, as 1:1,16:0.3 (default: no effect)"},
        {"cloud-batch", 0, OPT_REAL, &d->batch.at, "B",
         "day: the batch, where cloud machines are not counted (default 1)"},
        {"records-batch", 0, OPT_REAL, &d->batch.of_records, "B",
         "day: the batch the cloud's records were made at (default 1)"},
    };
    const struct opt any[] = {
        {"seed", 0, OPT_INT, &t->seed, "N", "of what is drawn (default 1)"},
        {"threads", 't', OPT_INT, &t->n_thread, "N",
         "of a day, of --model; default 0: one per processor"},
    };
    *d = (struct lmw_day_setup){.traffic = {.rate = 1, .hours = 24, .burstiness = 1},
                                .slots = 1,
                                .patience_s = 1e9,
                                .cloud_slots = 16,
                                .batch = {.of_records = 1, .at = 1}};
    add_opts(table, opts, sizeof opts / sizeof *opts, DAY);
    add_opts(table, any, sizeof any / sizeof *any, ALL);
}

/* What an option needs beside it. */
static int check_together(const struct route_job *j, const struct verb *verb,
                          const struct table *t, int argc, char **argv)
{
    static const char *const drawn[] = {"rate", "hours", "burstiness"};
    bool fits = verb->bit == FIT;
    for (int i = 0; j->day.traffic.trace && i < t->n; i++) {
        for (size_t k = 0; k < sizeof drawn / sizeof *drawn; k++) {
            if (strcmp(t->v[i].name, drawn[k]) == 0 && opts_given(&t->v[i], argc, argv))
                return cli_usage("route",
                                 "--trace says when queries come: --%s is for a day that is drawn",
                                 drawn[k]);
        }
    }
    if (fits && !j->out)
        return cli_usage("route", "say where the router goes: -o ROUTER.json");
    if (fits && j->model && strcmp(j->features, "embedding") != 0)
        return cli_usage("route", "--model is for --features embedding");
    if (!j->model && strcmp(j->meter, "auto") != 0)
        return cli_usage("route", "--meter is of what --model takes: --model FILE");
    if (!fits && !j->router_path && (j->seen || j->model || !isnan(j->threshold)))
        return cli_usage("route", "--%s is a router's: --router FILE",
                         j->seen    ? "seen"
                         : j->model ? "model"
                                    : "threshold");
    return -1;
}

static int run(struct route_job *j, const struct verb *verb, struct lmw_err *err)
{
    int rc = load(j, err);
    return rc < 0 || verb->run(j, err) < 0 ? cli_fail(err) : 0;
}

int cmd_route(int argc, char **argv)
{
    struct route_job *j = calloc(1, sizeof *j);
    struct texts t = {.random = "0.5", .semantics = "published", .seed = 1};
    struct table table = {0};
    struct strs pos = {0};
    struct lmw_err err = {0};
    int rc;
    if (!j || lmw_arena_open(&j->arena, (size_t)64 << 30, &err) < 0) {
        free(j);
        return cli_fail(&err);
    }
    j->prices = (struct lmw_prices){unknown_price, unknown_price};
    runs_opts(&table, j, &t);
    simulate_opts(&table, j, &t);
    router_opts(&table, j);
    fit_opts(&table, j);
    day_opts(&table, j, &t);
    const struct verb *verb = NULL;
    if ((rc = opts_parse(table.v, &help, argc, argv, &pos)) < 0 && !(verb = find_verb(&pos)))
        rc = cli_usage("route", "say what: simulate, day or fit");
    if (rc < 0 && (rc = check_given(&table, verb, argc, argv)) < 0 &&
        (rc = read_texts(&t, j)) < 0 && (rc = check_together(j, verb, &table, argc, argv)) < 0)
        rc = run(j, verb, &err);
    lmw_router_close(j->router);
    lmw_store_close(j->store);
    lmw_arena_close(&j->arena);
    free(j);
    return rc;
}
