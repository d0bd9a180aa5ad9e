/* Several queries in flight: what the device used while any of them ran, shared among those that
 * were active at each moment.
 *
 * Spans that overlap, directly or by others, are a group. Its time is cut at every start, first
 * token and end; a piece's energy is C(its end) - C(its start), C(t) being the device's energy
 * from the group's begin to t, so the pieces sum to the device's energy exactly, whatever error
 * each C(t) has. A piece is shared by the active spans' rates: tokens over duration where tokens
 * are given, evenly where not. A span's bounds are those of the device's energy in its time, by
 * its share of it: how well the rule describes the device is not in them. */
#include "meter/share.h"

#include <stdlib.h>
#include <string.h>

#include "base/record.h"
#include "meter/span.h"

struct member {
    const struct lmw_span *span;
    struct lmw_energy *out;
    double rate, prefill_uj, decode_uj;
};

struct group {
    span_energy_fn *energy;
    void *arg;
    struct member *v; /* by start */
    int n;
    int64_t *edge; /* [3 n] */
};

static int by_start(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return (x->span->start_ns > y->span->start_ns) - (x->span->start_ns < y->span->start_ns);
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int sort_edges(struct group *g)
{
    int n = 0, n_unique = 0;
    for (int i = 0; i < g->n; i++) {
        const struct lmw_span *s = g->v[i].span;
        g->edge[n++] = s->start_ns;
        g->edge[n++] = s->end_ns;
        if (s->first_ns != LMW_NULL)
            g->edge[n++] = s->first_ns;
    }
    qsort(g->edge, (size_t)n, sizeof *g->edge, by_time);
    for (int i = 0; i < n; i++)
        if (!n_unique || g->edge[i] != g->edge[n_unique - 1])
            g->edge[n_unique++] = g->edge[i];
    return n_unique;
}

/* Gives each member that is active in [from, to] its part, or the reason why there is none. */
static void give(struct group *g, int64_t from_ns, int64_t to_ns, double uj,
                 const struct lmw_energy *lost)
{
    double sum = 0, n = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < g->n && g->v[i].span->start_ns <= from_ns; i++) {
            struct member *m = &g->v[i];
            if (m->span->end_ns < to_ns)
                continue;
            if (pass == 0) {
                sum += m->rate;
                n++;
            } else if (lost) {
                lmw_span_nothing(m->out, lost->reason);
            } else {
                double part = uj * (sum > 0 ? m->rate / sum : 1 / n);
                bool prefill = m->span->first_ns != LMW_NULL && to_ns <= m->span->first_ns;
                *(prefill ? &m->prefill_uj : &m->decode_uj) += part;
            }
        }
    }
}

/* A piece whose C is not known (a gap somewhere before it) is asked for by itself. */
static int share_piece(struct group *g, const struct lmw_energy *before,
                       const struct lmw_energy *after, int64_t from_ns, int64_t to_ns,
                       struct lmw_err *err)
{
    struct lmw_energy alone;
    if (before->valid && after->valid) {
        give(g, from_ns, to_ns, (double)(after->energy_uj - before->energy_uj), NULL);
        return LMW_OK;
    }
    int rc = g->energy(g->arg, &(struct lmw_span){from_ns, LMW_NULL, to_ns}, &alone, err);
    if (rc == LMW_OK)
        give(g, from_ns, to_ns, (double)alone.energy_uj, alone.valid ? NULL : &alone);
    return rc;
}

/* A member's out held the device's energy in its time; now its own. */
static void close_member(struct member *m)
{
    struct lmw_energy *e = m->out;
    double uj = m->prefill_uj + m->decode_uj;
    double share = e->energy_uj > 0 ? uj / (double)e->energy_uj : 0;
    int64_t ns = m->span->end_ns - m->span->start_ns;
    if (!e->valid)
        return;
    e->lower_uj = (int64_t)((double)e->lower_uj * share);
    e->upper_uj = (int64_t)((double)e->upper_uj * share);
    e->energy_uj = (int64_t)(uj + 0.5);
    e->lower_uj = e->lower_uj < e->energy_uj ? e->lower_uj : e->energy_uj;
    e->upper_uj = e->upper_uj > e->energy_uj ? e->upper_uj : e->energy_uj;
    e->prefill_uj = e->decode_uj = LMW_NULL;
    if (m->span->first_ns != LMW_NULL) {
        e->prefill_uj = (int64_t)(m->prefill_uj + 0.5);
        e->decode_uj = e->energy_uj - e->prefill_uj;
    }
    e->power_mean_mw = ns > 0 ? (int64_t)(uj * 1e6 / (double)ns) : LMW_NULL;
    e->power_max_mw = LMW_NULL; /* whose it was is not known */
    if (strcmp(e->method, "estimate") != 0)
        e->method = "shared";
}

static int share_group(struct group *g, struct lmw_err *err)
{
    int n_edge = sort_edges(g), rc = LMW_OK;
    struct lmw_energy before = {.valid = true}, after;
    for (int i = 0; i < g->n && rc == LMW_OK; i++)
        rc = g->energy(g->arg, g->v[i].span, g->v[i].out, err);
    for (int k = 1; k < n_edge && rc == LMW_OK; k++) {
        struct lmw_span so_far = {g->edge[0], LMW_NULL, g->edge[k]};
        if ((rc = g->energy(g->arg, &so_far, &after, err)) == LMW_OK) {
            if (after.valid && before.valid && after.energy_uj < before.energy_uj)
                after.energy_uj = before.energy_uj; /* a device gives nothing back */
            rc = share_piece(g, &before, &after, g->edge[k - 1], g->edge[k], err);
        }
        before = after;
    }
    for (int i = 0; i < g->n; i++)
        close_member(&g->v[i]);
    return rc;
}

int lmw_share(span_energy_fn *energy, void *arg, const struct lmw_span *spans,
              const double *tokens, int n, struct lmw_energy *out, struct lmw_err *err)
{
    struct member *v = calloc((size_t)n + 1, sizeof *v);
    int64_t *edge = calloc(3 * (size_t)n + 1, sizeof *edge);
    int rc = v && edge ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for %d spans", n);
    for (int i = 0; i < n && rc == LMW_OK; i++) {
        double seconds = (double)(spans[i].end_ns - spans[i].start_ns) * 1e-9;
        v[i] = (struct member){.span = &spans[i], .out = &out[i], .rate = 1};
        if (tokens)
            v[i].rate = seconds > 0 && tokens[i] > 0 ? tokens[i] / seconds : 0;
    }
    if (rc == LMW_OK)
        qsort(v, (size_t)n, sizeof *v, by_start);
    for (int i = 0, k; i < n && rc == LMW_OK; i = k) {
        int64_t end_ns = v[i].span->end_ns;
        for (k = i + 1; k < n && v[k].span->start_ns < end_ns; k++)
            end_ns = v[k].span->end_ns > end_ns ? v[k].span->end_ns : end_ns;
        struct group g = {energy, arg, v + i, k - i, edge};
        rc = g.n == 1 ? energy(arg, v[i].span, v[i].out, err) : share_group(&g, err);
    }
    free(v);
    free(edge);
    return rc;
}
