/* A day of traffic over recorded queries: arrivals come one at a time, each becomes a query drawn
 * from the records (of like lengths where the trace tells them), and every strategy serves it with
 * fleets of its own. Nothing is kept of a query that is done: totals and two spreads.
 *
 * A query takes the seconds its record took, and a slot for as long. Its cloud joules are the
 * record's times what the batch curve says for the queries in flight with it when it begins,
 * relative to the batch the records were made at. What is not modelled: seconds do not stretch
 * with the batch; machines do not fail; the network takes no time. */
#include "route/arrivals.h"
#include "route/cells.h"
#include "route/fleet.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/pool.h"

enum { GRID = 48, N_CELL = GRID * GRID, BATCH_TABLE = 1024 };

/* ---- which query an arrival is ---- */

/* Records that can be drawn, sorted by the cell of a grid of half octaves of both lengths; behind
 * them those whose lengths are not known. */
struct draws {
    int32_t *query;
    int64_t n;
    int32_t first[N_CELL + 2]; /* of query, by cell */
    int32_t nearest[N_CELL];   /* the nearest cell that holds any, -1: none does */
};

static int bin_of(double tokens)
{
    int b = tokens >= 1 ? 1 + (int)(2 * log2(tokens)) : 0;
    return b < GRID ? b : GRID - 1;
}

static int cell_at(const struct lmw_day_setup *d, int64_t q)
{
    if (isnan(d->asked[q]) || isnan(d->told[q]))
        return N_CELL;
    return bin_of(d->asked[q]) * GRID + bin_of(d->told[q]);
}

static void find_nearest(struct draws *w)
{
    for (int i = 0; i < N_CELL; i++) {
        int best = 4 * GRID;
        w->nearest[i] = -1;
        for (int k = 0; k < N_CELL; k++) {
            int far = abs(i / GRID - k / GRID) + abs(i % GRID - k % GRID);
            if (far < best && w->first[k + 1] > w->first[k]) {
                best = far;
                w->nearest[i] = k;
            }
        }
    }
}

/* Only what every model has seconds of, and joules, where any query has those. */
static int prepare_draws(struct draws *w, const struct lmw_day_setup *d, const struct view *v,
                         struct lmw_arena *arena, struct lmw_err *err)
{
    int64_t n = v->c->n, n_joules = lmw_route_known(v->c, LMW_JOULES);
    int32_t next[N_CELL + 2] = {0};
    uint8_t *usable = LMW_NEW(arena, uint8_t, (size_t)n);
    if (!usable || !(w->query = LMW_NEW(arena, int32_t, (size_t)n)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %lld queries", (long long)n);
    for (int64_t q = 0; q < n; q++) {
        usable[q] =
            cell_known(v, LMW_SECONDS, q) && (n_joules == 0 || cell_known(v, LMW_JOULES, q));
        next[cell_at(d, q) + 1] += usable[q];
        w->n += usable[q];
    }
    for (int i = 0; i <= N_CELL; i++)
        next[i + 1] += next[i];
    memcpy(w->first, next, sizeof next);
    for (int64_t q = 0; q < n; q++) {
        if (usable[q])
            w->query[next[cell_at(d, q)]++] = (int32_t)q;
    }
    find_nearest(w);
    return w->n ? LMW_OK
                : lmw_fail(err, LMW_EARG,
                           "no query has seconds (latency_ns) and joules under every model: a day "
                           "needs both");
}

static int64_t draw_query(const struct draws *w, const struct arrival *a, struct lmw_rng *rng)
{
    int64_t from = 0, n = w->n;
    int cell = isnan(a->asked) || isnan(a->told)
                   ? -1
                   : w->nearest[bin_of(a->asked) * GRID + bin_of(a->told)];
    if (cell >= 0) {
        from = w->first[cell];
        n = w->first[cell + 1] - from;
    }
    return w->query[from + lmw_rng_below(rng, (uint32_t)n)];
}

/* ---- the batch curve ---- */

/* Between its points straight over log2 of the batch; flat beyond its ends. */
static double curve_at(const struct lmw_batch_curve *c, double batch)
{
    int i = 0;
    if (c->n == 0 || batch <= c->batch[0])
        return c->n ? c->factor[0] : 1;
    while (i + 1 < c->n && c->batch[i + 1] <= batch)
        i++;
    if (i + 1 == c->n)
        return c->factor[i];
    double part = log2(batch / c->batch[i]) / log2(c->batch[i + 1] / c->batch[i]);
    return c->factor[i] + part * (c->factor[i + 1] - c->factor[i]);
}

/* What a cloud run's joules are multiplied by: looked up where batches are counted and small. */
struct batches {
    const struct lmw_batch_curve *curve;
    double of_records, table[BATCH_TABLE]; /* [0]: where machines are not counted */
};

static void open_batches(struct batches *b, const struct lmw_batch_curve *curve)
{
    b->curve = curve;
    b->of_records = curve_at(curve, curve->of_records);
    for (int i = 0; i < BATCH_TABLE; i++)
        b->table[i] = curve_at(curve, i ? i : curve->at) / b->of_records;
}

static double batch_factor(const struct batches *b, int64_t batch)
{
    return batch < BATCH_TABLE ? b->table[batch]
                               : curve_at(b->curve, (double)batch) / b->of_records;
}

/* ---- one strategy's day ---- */

/* A run of a query by a model, packed so that it is read from one place in memory. */
struct run {
    float amount[LMW_QUANTITIES]; /* NaN where not known at all */
    float right;
};

static struct run *pack(const struct view *v, struct lmw_arena *arena)
{
    int64_t models = v->c->n_local + 1;
    struct run *run = LMW_NEW(arena, struct run, (size_t)(v->c->n * models));
    for (int64_t i = 0; run && i < v->c->n * models; i++) {
        int64_t q = i / models, m = i % models;
        for (enum lmw_quantity k = 0; k < LMW_QUANTITIES; k++)
            run[i].amount[k] =
                cell_known(v, k, q) ? (float)cell_of(v->c, k, (int)m, q) : (float)NAN;
        run[i].right = cell_right(v->c, (int)m, q);
    }
    return run;
}

/* A query on its way: its next try, or its answer. */
struct job {
    double t_s, arrived_s;
    int64_t q;
    int stage, n_tried, final;
    int n_again; /* how often more each local model is asked */
};

struct station {
    const struct lmw_day_setup *setup;
    const struct view *v;
    const struct lmw_strategy *s;
    const struct run *run; /* [query][model] */
    const struct batches *batches;
    struct fleet fleet[LMW_LOCAL_MAX + 1];
    struct job *later; /* tries that will fail, by when: a binary heap */
    int64_t n_later, cap_later;
    struct lmw_rng rng;
    struct spread wait, response;
    struct lmw_day out;
    double batch_sum; /* over cloud runs */
    int64_t n_cloud_runs;
};

static bool later_push(struct station *x, struct job j)
{
    if (x->n_later == x->cap_later) {
        int64_t cap = x->cap_later ? 2 * x->cap_later : 64;
        struct job *v = realloc(x->later, (size_t)cap * sizeof *v);
        if (!v)
            return false;
        x->later = v;
        x->cap_later = cap;
    }
    int64_t i = x->n_later++;
    for (; i > 0 && j.t_s < x->later[(i - 1) / 2].t_s; i = (i - 1) / 2)
        x->later[i] = x->later[(i - 1) / 2];
    x->later[i] = j;
    return true;
}

static struct job later_pop(struct station *x)
{
    struct job top = x->later[0], last = x->later[--x->n_later];
    int64_t i = 0, child;
    for (; (child = 2 * i + 1) < x->n_later; i = child) {
        child += child + 1 < x->n_later && x->later[child + 1].t_s < x->later[child].t_s;
        if (!(x->later[child].t_s < last.t_s))
            break;
        x->later[i] = x->later[child];
    }
    x->later[i] = last;
    return top;
}

/* Here a coin is tossed: a day is one draw, by the seed. */
static void decide(struct station *x, struct job *j)
{
    const struct lmw_strategy *s = x->s;
    int cloud = x->v->c->n_local, oracle = x->v->oracle[j->q];
    bool heads = s->kind != LMW_ALWAYS && s->kind != LMW_ORACLE && s->kind != LMW_CHOSEN &&
                 lmw_rng_unit(&x->rng) < s->p;
    j->final = cloud;
    switch (s->kind) {
    case LMW_ALWAYS: j->final = s->model; break;
    case LMW_ORACLE: j->final = oracle; break;
    case LMW_RANDOM:
        j->final = heads ? (int)lmw_rng_below(&x->rng, (uint32_t)cloud) : cloud;
        break;
    case LMW_ROUTER:
        if (heads)
            j->final = oracle;
        else if (s->semantics == LMW_SYMMETRIC && oracle == cloud)
            j->final = x->v->rank[0];
        j->n_tried = !heads && s->semantics == LMW_CASCADE;
        break;
    case LMW_CHOSEN:
        j->final = s->choice[j->q];
        j->n_tried = lmw_view_plan(x->v, s, j->final).n_tried;
        j->n_again = s->n_again;
        break;
    }
}

static const struct run *run_of(const struct station *x, int model, int64_t q)
{
    return &x->run[q * (x->v->c->n_local + 1) + model];
}

/* A run is paid, so many times; `used`: its answer is the one. */
static void charge(struct station *x, int model, const struct run *run, double times,
                   int64_t in_flight, bool used)
{
    bool cloud = model == x->v->c->n_local;
    double joules = times * (double)run->amount[LMW_JOULES];
    if (cloud) {
        int64_t machines = x->setup->cloud_machines;
        int64_t batch = machines ? (in_flight + machines - 1) / machines : 0;
        joules *= batch_factor(x->batches, batch);
        x->batch_sum += machines ? (double)batch : x->setup->batch.at;
        x->n_cloud_runs++;
    }
    x->out.total[LMW_JOULES] += joules;
    for (int k = LMW_JOULES + 1; k < LMW_QUANTITIES; k++)
        x->out.total[k] += times * (double)run->amount[k];
    *(cloud ? &x->out.cloud_j : &x->out.local_j) += joules;
    x->out.wasted_j += used ? 0 : joules;
}

static int serve(struct station *x, struct job j, struct lmw_err *err)
{
    int cloud = x->v->c->n_local;
    int model = j.stage < j.n_tried ? x->v->rank[j.stage] : j.final;
    double start = lmw_fleet_start(&x->fleet[model], j.t_s);
    if (model != cloud && start - j.t_s > x->setup->patience_s) {
        j.stage = j.n_tried;
        model = j.final = cloud;
        x->out.n_spilled++;
        start = lmw_fleet_start(&x->fleet[model], j.t_s);
    }
    const struct run *run = run_of(x, model, j.q);
    double times = model == cloud ? 1 : 1 + j.n_again;
    double seconds = times * (double)run->amount[LMW_SECONDS];
    int64_t in_flight = lmw_fleet_serve(&x->fleet[model], start, seconds, err);
    bool used = j.stage >= j.n_tried;
    if (in_flight < 0)
        return (int)in_flight;
    charge(x, model, run, times, in_flight, used);
    lmw_spread_add(&x->wait, start - j.t_s);
    x->out.end_s = fmax(x->out.end_s, start + seconds);
    if (!used) {
        j.stage++;
        j.t_s = start + seconds;
        return later_push(x, j) ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for tries");
    }
    lmw_spread_add(&x->response, start + seconds - j.arrived_s + x->s->own[LMW_SECONDS]);
    for (int k = 0; k < LMW_QUANTITIES; k++)
        x->out.total[k] += x->s->own[k];
    x->out.n++;
    x->out.n_local += model != cloud;
    x->out.n_right += run->right > 0;
    return LMW_OK;
}

/* What is due by then, in the order of time. */
static int serve_until(struct station *x, double t_s, struct lmw_err *err)
{
    int rc = LMW_OK;
    while (rc == LMW_OK && x->n_later && x->later[0].t_s <= t_s)
        rc = serve(x, later_pop(x), err);
    return rc;
}

static int serve_arrival(struct station *x, double t_s, int64_t q, struct lmw_err *err)
{
    struct job j = {.t_s = t_s, .arrived_s = t_s, .q = q};
    int rc = serve_until(x, t_s, err);
    if (rc < 0)
        return rc;
    decide(x, &j);
    return serve(x, j, err);
}

static void spread_out(const struct spread *s, struct lmw_spread *out)
{
    *out = (struct lmw_spread){.mean = s->sum / (double)s->n,
                               .p50 = lmw_spread_quantile(s, 0.5),
                               .p95 = lmw_spread_quantile(s, 0.95),
                               .p99 = lmw_spread_quantile(s, 0.99)};
}

/* Idle joules: machines without a query in any slot are not told apart from slots without one, so
 * a machine counts as idle by its free slots' share. Machines are there for the day, and until the
 * last answer. */
static void station_end(struct station *x, double day_s, struct lmw_day *out)
{
    const struct lmw_day_setup *d = x->setup;
    int n = x->v->c->n_local;
    double slots = (double)d->machines * (double)d->slots, busy_s = 0;
    double there_s = fmax(x->out.end_s, day_s);
    for (int m = 0; m < n; m++)
        busy_s += x->fleet[m].busy_s;
    x->out.day_s = day_s;
    x->out.busy = slots > 0 ? busy_s / (n * slots * there_s) : (double)NAN;
    x->out.idle_j = slots > 0 ? (n * slots * there_s - busy_s) / d->slots * d->idle_w : 0;
    x->out.peak = x->fleet[n].peak;
    x->out.batch = x->batch_sum / (double)x->n_cloud_runs;
    for (int m = 0; m <= n; m++)
        lmw_fleet_close(&x->fleet[m]);
    free(x->later);
    spread_out(&x->wait, &x->out.wait);
    spread_out(&x->response, &x->out.response);
    *out = x->out;
}

/* ---- all strategies ---- */

struct crew {
    const struct lmw_day_setup *setup;
    const struct draws *draws;
    struct station *station;
    int n_station;
    _Atomic int failed;  /* the first fault's code */
    struct lmw_err *err; /* [thread] */
    double *day_s;       /* [thread] */
};

static int work(struct crew *w, int i_thread, int n_thread, struct lmw_err *err)
{
    const struct lmw_day_setup *d = w->setup;
    struct arrivals arrivals;
    struct arrival a;
    struct lmw_rng rng;
    int rc = lmw_arrivals_open(&arrivals, &d->traffic, NULL, err);
    lmw_rng_init(&rng, d->traffic.seed + 1);
    while (rc >= 0 && !atomic_load_explicit(&w->failed, memory_order_relaxed) &&
           (rc = lmw_arrivals_next(&arrivals, &a, err)) > 0) {
        int64_t q = draw_query(w->draws, &a, &rng);
        for (int k = i_thread; k < w->n_station && rc >= 0; k += n_thread)
            rc = serve_arrival(&w->station[k], a.t_s, q, err);
        w->day_s[i_thread] = a.t_s;
        if (i_thread == 0 && d->progress && arrivals.n % 1000000 == 0)
            d->progress(d->progress_arg, arrivals.n, a.t_s);
    }
    if (rc == 0 && !d->traffic.trace && (!d->traffic.limit || arrivals.n < d->traffic.limit))
        w->day_s[i_thread] = d->traffic.hours * 3600; /* nobody came after the last */
    for (int k = i_thread; k < w->n_station && rc >= 0; k += n_thread)
        rc = serve_until(&w->station[k], (double)INFINITY, err);
    lmw_arrivals_close(&arrivals);
    return rc;
}

static void crew_run(void *arg, int i_thread, int n_thread)
{
    struct crew *w = arg;
    int rc = work(w, i_thread, n_thread, &w->err[i_thread]);
    if (rc < 0)
        atomic_store(&w->failed, i_thread + 1);
}

static void open_stations(struct crew *w, const struct view *v, const struct lmw_strategy *s,
                          const struct run *run, const struct batches *batches)
{
    const struct lmw_day_setup *d = w->setup;
    for (int k = 0; k < w->n_station; k++) {
        struct station *x = &w->station[k];
        *x = (struct station){.setup = d, .v = v, .s = &s[k], .run = run, .batches = batches};
        lmw_rng_init(&x->rng, d->traffic.seed + 2);
        for (int m = 0; m < v->c->n_local; m++)
            x->fleet[m].n_slot = d->machines * d->slots;
        x->fleet[v->c->n_local].n_slot = d->cloud_machines * d->cloud_slots;
    }
}

/* What is no file (a pipe, say) can be read once: then one thread serves all strategies. */
static int thread_count(const struct crew *w)
{
    struct stat st;
    const char *trace = w->setup->traffic.trace;
    if (trace && stat(trace, &st) == 0 && !S_ISREG(st.st_mode))
        return 1;
    int n = w->n_station < w->setup->n_thread ? w->n_station : w->setup->n_thread;
    return n > 0 ? n : 1;
}

static int run_crew(struct crew *w, struct lmw_arena *arena, struct lmw_err *err)
{
    struct lmw_pool *pool;
    int rc = lmw_pool_open(&pool, thread_count(w), err);
    if (rc < 0)
        return rc;
    int n = lmw_pool_size(pool);
    w->err = LMW_NEW(arena, struct lmw_err, (size_t)n);
    w->day_s = LMW_NEW(arena, double, (size_t)n);
    if (w->err && w->day_s)
        lmw_pool_run(pool, crew_run, w);
    else
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for %d threads", n);
    lmw_pool_close(pool);
    int failed = atomic_load(&w->failed);
    if (failed) {
        *err = w->err[failed - 1];
        rc = err->code;
    }
    return rc;
}

static int nobody_came(const struct lmw_traffic *t, struct lmw_err *err)
{
    if (t->trace)
        return lmw_fail(err, LMW_EARG, "%s: no query arrived: it has no row below its header",
                        t->trace);
    return lmw_fail(err, LMW_EARG, "no query arrived: at %g a second %g hours are too few for one",
                    t->rate, t->hours);
}

int lmw_day_run(const struct lmw_cells *c, const struct lmw_day_setup *d,
                const struct lmw_strategy *s, int n, struct lmw_day *out, struct lmw_arena scratch,
                struct lmw_err *err)
{
    struct view v;
    struct lmw_err fault = {0};
    struct crew w = {.setup = d, .n_station = n};
    struct batches batches;
    struct draws *draws = LMW_NEW(&scratch, struct draws, 1);
    w.station = LMW_NEW(&scratch, struct station, (size_t)n);
    if (!draws || !w.station)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d strategies", n);
    int rc = lmw_view_open(&v, c, &scratch, err);
    if (rc < 0 || (rc = prepare_draws(draws, d, &v, &scratch, err)) < 0)
        return rc;
    open_batches(&batches, &d->batch);
    const struct run *run = pack(&v, &scratch);
    if (!run)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %lld queries", (long long)c->n);
    w.draws = draws;
    open_stations(&w, &v, s, run, &batches);
    if ((rc = run_crew(&w, &scratch, &fault)) < 0 && err)
        *err = fault;
    for (int k = 0; k < n; k++)
        station_end(&w.station[k], w.day_s ? w.day_s[0] : 0, &out[k]);
    return rc == LMW_OK && out[0].n == 0 ? nobody_came(&d->traffic, err) : rc;
}
