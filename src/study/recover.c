/* What a killed process left: records that say "pending", and the samples it had stored. Each such
 * record gets its energy from those samples, or the reason why it has none.
 *
 * What was in flight beside them when the process died left no record. Up to the last "frontier"
 * in the samples it is known that there was nothing of the kind; a query that ended later may
 * have shared its energy with one nobody knows, and gets none. */
#include "study/energy.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

enum { MAX_SOURCE = 64 }; /* that make one total */

/* The samples of the run's last process, a trace per source that counts. The sources are the
 * meter's of today: another choice of them would be another run. */
struct past {
    const struct lmw_meter *meter;
    struct lmw_trace *v[MAX_SOURCE];
    int n;
    int64_t n_before;    /* records the run had when that process began */
    int64_t frontier_ns; /* LMW_NULL: queries did not overlap */
};

static void close_traces(struct past *t)
{
    for (int i = 0; i < t->n; i++)
        lmw_trace_close(t->v[i]);
    t->n = 0;
}

static int64_t number_in(const void *bytes, size_t n, const char *key)
{
    json_t *j = json_loadb(bytes, n, 0, NULL), *v = json_object_get(j, key);
    int64_t x = json_is_integer(v) ? json_integer_value(v) : LMW_NULL;
    json_decref(j);
    return x;
}

static int begin_session(struct past *t, const void *bytes, size_t n_byte, struct lmw_err *err)
{
    int rc = LMW_OK;
    close_traces(t);
    t->n_before = number_in(bytes, n_byte, "n_record");
    t->frontier_ns = LMW_NULL;
    for (int i = 0; i < lmw_meter_n_source(t->meter) && t->n < MAX_SOURCE && rc == LMW_OK; i++) {
        const struct lmw_source_info *info = lmw_meter_source(t->meter, i);
        if (info->chosen && (rc = lmw_trace_open(&t->v[t->n], info, err)) == LMW_OK)
            t->n++;
    }
    return rc;
}

static int take_block(void *arg, const char *source, const void *bytes, size_t n,
                      struct lmw_err *err)
{
    struct past *t = arg;
    if (strcmp(source, LMW_BLOCK_SESSION) == 0)
        return begin_session(t, bytes, n, err);
    if (strcmp(source, LMW_BLOCK_FRONTIER) == 0)
        t->frontier_ns = number_in(bytes, n, "t_ns");
    for (int i = 0; i < t->n; i++) {
        if (strcmp(lmw_trace_info(t->v[i])->name, source) == 0)
            return lmw_trace_block(t->v[i], bytes, n, err);
    }
    return LMW_OK;
}

static struct owed owed_of(const struct lmw_record *r)
{
    json_t *extra = r->extra ? json_loads(r->extra, 0, NULL) : NULL;
    const json_t *wait = json_object_get(extra, "wait_ns");
    struct owed o = {
        .query_id = (char *)r->query_id,
        .repeat = r->repeat,
        .span = {r->t_start_ns, LMW_NULL, r->t_start_ns + r->latency_ns},
        .tokens = r->completion_tokens == LMW_NULL ? (double)NAN : (double)r->completion_tokens,
        .is_known = !r->energy_reason || strcmp(r->energy_reason, "pending") != 0,
    };
    if (r->ttft_ns != LMW_NULL)
        o.span.first_ns = r->t_start_ns + r->ttft_ns;
    if (json_is_integer(wait))
        o.span.start_ns += json_integer_value(wait);
    json_decref(extra);
    return o;
}

/* Calls fn for each record of the run's last process that has a time. */
typedef int owed_fn(void *arg, const struct owed *o, struct lmw_err *err);
static int each_owed(struct energy_book *b, int64_t n_before, owed_fn *fn, void *arg,
                     struct lmw_err *err)
{
    struct lmw_records *it;
    struct lmw_record r;
    int64_t n = 0;
    int rc = lmw_records_open(&it, b->store, b->run_id, err);
    while (rc == LMW_OK && (rc = lmw_records_next(it, &r, err)) == 1) {
        rc = LMW_OK;
        if (n++ >= n_before && r.t_start_ns != LMW_NULL && r.latency_ns != LMW_NULL) {
            struct owed o = owed_of(&r);
            rc = fn(arg, &o, err);
        }
    }
    lmw_records_close(it);
    return rc;
}

static int find_first(void *arg, const struct owed *o, struct lmw_err *err)
{
    int64_t *first_ns = arg;
    if (!o->is_known && o->span.start_ns < *first_ns)
        *first_ns = o->span.start_ns;
    return LMW_OK;
}

static int take_since(void *arg, const struct owed *o, struct lmw_err *err)
{
    struct energy_book *b = arg;
    return o->span.end_ns >= b->shared_ns ? lmw_energy_remember(b, o, err) : LMW_OK;
}

/* The traces' lmw_meter_share(). What is pending in the past stays so: it was killed. */
static int share_past(void *arg, const struct lmw_span *spans, const double *tokens, int n,
                      struct lmw_energy *out, struct lmw_err *err)
{
    struct past *t = arg;
    struct lmw_energy *part = calloc((size_t)n, sizeof *part);
    int rc = part ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for %d energies", n);
    memset(out, 0, (size_t)n * sizeof *out);
    for (int i = 0; i < t->n && rc == LMW_OK; i++) {
        rc = lmw_trace_share(t->v[i], spans, tokens, n, part, err);
        for (int k = 0; k < n && rc == LMW_OK; k++)
            lmw_energy_add(&out[k], &part[k]);
    }
    for (int k = 0; k < n; k++) {
        if (!out[k].valid && (lmw_energy_is_pending(&out[k]) || !out[k].reason[0]))
            snprintf(out[k].reason, sizeof out[k].reason, "killed before the counter settled");
    }
    free(part);
    return rc;
}

static int announce(const struct energy_book *b, struct past *t, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < t->n; i++) {
        for (size_t k = 0; k < b->n_owed && rc == LMW_OK; k++)
            rc = lmw_trace_announce(t->v[i], &b->owed[k].span, err);
    }
    return rc;
}

static int write_pending(struct energy_book *b, bool all, struct lmw_err *err)
{
    struct lmw_energy lost = {.reason = LMW_REASON_BESIDE};
    int rc = LMW_OK;
    for (size_t i = 0; i < b->n_owed && rc == LMW_OK; i++) {
        const struct owed *o = &b->owed[i];
        bool complete = o->span.end_ns <= b->shared_ns;
        if (!o->is_known && (complete || all))
            rc = lmw_energy_write(b, o, complete ? &o->sum : &lost, err);
    }
    lmw_energy_forget_until(b, all ? INT64_MAX : b->shared_ns);
    return rc;
}

static int settle_past(struct energy_book *b, struct past *t, struct lmw_err *err)
{
    int64_t limit_ns = t->frontier_ns == LMW_NULL ? INT64_MAX : t->frontier_ns;
    int rc = announce(b, t, err);
    while (rc == LMW_OK) {
        size_t n;
        int64_t to_ns = lmw_window_end(b, limit_ns, &n);
        if (n == 0)
            return write_pending(b, true, err);
        if ((rc = lmw_window_share(b, to_ns, share_past, t, err)) == 1)
            rc = write_pending(b, false, err);
    }
    return rc;
}

int lmw_energy_recover(struct energy_book *b, struct lmw_err *err)
{
    struct past t = {.meter = b->meter, .n_before = LMW_NULL, .frontier_ns = LMW_NULL};
    b->shared_ns = INT64_MAX;
    int rc = each_owed(b, 0, find_first, &b->shared_ns, err);
    if (rc == LMW_OK && b->shared_ns < INT64_MAX &&
        (rc = lmw_store_samples(b->store, b->run_id, take_block, &t, err)) == LMW_OK &&
        (rc = each_owed(b, t.n_before, take_since, b, err)) == LMW_OK)
        rc = settle_past(b, &t, err);
    close_traces(&t);
    lmw_energy_forget(b, b->n_owed);
    b->shared_ns = LMW_NULL;
    b->n_valid = b->n_invalid = 0; /* what this process measures is counted apart */
    b->sum_uj = 0;
    return rc;
}
