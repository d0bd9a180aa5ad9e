/* The joules of one run. A counter tells of a span only after its next update, so the energy of
 * a query may be known when the query after it is already running: the record is stored at
 * once, saying "pending", and gets its energy when the meter has it.
 *
 * Raw samples go to the store every two seconds and at the end. A process that is killed leaves
 * at most what it had not written: records that say "pending". The next one finds them and
 * computes them from the samples that were stored, or says that they have no energy and why.
 * Each process begins its samples with a block of the source "session", so that times of
 * different boots are never mixed.
 *
 * energy_net_uj = energy_uj - idle_mw x latency. It may be negative where noise exceeds the
 * answer. */
#include "study/energy.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_SOURCE = 64 };
static const int64_t DRAIN_NS = 2000000000;
static const int64_t LATE_NS = 2000000000; /* beyond the meter's own settling time */
#define PENDING "pending"
#define SESSION "session"

/* mW x ns = pJ; 1e6 pJ = 1 uJ. */
static int64_t idle_uj(int64_t idle_mw, int64_t ns)
{
    return (int64_t)((double)idle_mw * (double)ns / 1e6);
}

/* The meter may say what it is waiting for: "pending: ...". */
static bool is_pending(const struct lmw_energy *e)
{
    return !e->valid && lmw_str_starts(lmw_str_from(e->reason), PENDING);
}

static void fill_record(struct lmw_record *r, const struct lmw_energy *e,
                        const struct lmw_span *span, int64_t idle_mw)
{
    r->energy_valid = e->valid;
    r->energy_reason = e->valid ? NULL : is_pending(e) ? PENDING : e->reason;
    r->energy_method = e->valid ? e->method : NULL;
    r->energy_uj = e->valid ? e->energy_uj : LMW_NULL;
    r->energy_lower_uj = e->valid ? e->lower_uj : LMW_NULL;
    r->energy_upper_uj = e->valid ? e->upper_uj : LMW_NULL;
    r->energy_prefill_uj = e->valid ? e->prefill_uj : LMW_NULL;
    r->energy_decode_uj = e->valid ? e->decode_uj : LMW_NULL;
    r->power_mean_mw = e->valid ? e->power_mean_mw : LMW_NULL;
    r->power_max_mw = e->valid ? e->power_max_mw : LMW_NULL;
    r->energy_net_uj = e->valid && idle_mw != LMW_NULL
                           ? e->energy_uj - idle_uj(idle_mw, span->end_ns - span->start_ns)
                           : LMW_NULL;
}

static void count(struct energy_book *b, const struct lmw_energy *e)
{
    if (e->valid) {
        b->n_valid++;
        b->sum_uj += (double)e->energy_uj;
    } else if (b->n_invalid++ == 0) {
        snprintf(b->reason, sizeof b->reason, "%s", e->reason);
    }
}

static int remember(struct energy_book *b, const char *query_id, int64_t repeat,
                    const struct lmw_span *span, struct lmw_err *err)
{
    if (b->n_owed == b->cap_owed) {
        size_t cap = b->cap_owed ? 2 * b->cap_owed : 64;
        struct owed *more = realloc(b->owed, cap * sizeof *more);
        if (!more)
            return lmw_fail(err, LMW_ENOMEM, "no memory for pending energies");
        b->owed = more;
        b->cap_owed = cap;
    }
    struct owed *o = &b->owed[b->n_owed];
    *o = (struct owed){.query_id = strdup(query_id), .repeat = repeat, .span = *span};
    if (!o->query_id)
        return lmw_fail(err, LMW_ENOMEM, "no memory for pending energies");
    b->n_owed++;
    return LMW_OK;
}

static void forget(struct energy_book *b, size_t n)
{
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        free(b->owed[i].query_id);
    memmove(b->owed, b->owed + n, (b->n_owed - n) * sizeof *b->owed);
    b->n_owed -= n;
}

int lmw_energy_fill(struct energy_book *b, struct lmw_record *r, const struct lmw_span *span,
                    struct lmw_err *err)
{
    int rc = lmw_meter_span(b->meter, span, &b->last, err);
    if (rc < 0)
        return rc;
    r->energy_basis = lmw_meter_basis(b->meter);
    fill_record(r, &b->last, span, b->idle_mw);
    if (is_pending(&b->last))
        return remember(b, r->query_id, r->repeat, span, err);
    count(b, &b->last);
    return LMW_OK;
}

static int write_owed(struct energy_book *b, const struct owed *o, const struct lmw_energy *e,
                      struct lmw_err *err)
{
    struct lmw_record r;
    lmw_record_clear(&r);
    r.query_id = o->query_id;
    r.repeat = o->repeat;
    r.energy_basis = lmw_meter_basis(b->meter);
    fill_record(&r, e, &o->span, b->idle_mw);
    count(b, e);
    return lmw_store_set_energy(b->store, b->run_id, &r, err);
}

/* Writes those at the front of the queue that have settled. */
static int settle_owed(struct energy_book *b, struct lmw_err *err)
{
    size_t n = 0;
    int rc = LMW_OK;
    for (; n < b->n_owed && rc == LMW_OK; n++) {
        struct lmw_energy e;
        if ((rc = lmw_meter_span(b->meter, &b->owed[n].span, &e, err)) < 0 || is_pending(&e))
            break;
        rc = write_owed(b, &b->owed[n], &e, err);
    }
    forget(b, n);
    return rc;
}

static int store_block(void *arg, const struct lmw_source_info *source, const void *bytes,
                       size_t n, struct lmw_err *err)
{
    struct energy_book *b = arg;
    return lmw_store_add_samples(b->store, b->run_id, source->name, bytes, n, err);
}

static int drain(struct energy_book *b, struct lmw_err *err)
{
    b->drained_ns = lmw_now_ns();
    return lmw_meter_drain(b->meter, store_block, b, err);
}

int lmw_energy_settle(struct energy_book *b, struct lmw_err *err)
{
    int rc = settle_owed(b, err);
    if (rc == LMW_OK && lmw_now_ns() - b->drained_ns >= DRAIN_NS)
        rc = drain(b, err);
    return rc;
}

static int give_up(struct energy_book *b, const char *reason, struct lmw_err *err)
{
    struct lmw_energy e = {.valid = false};
    int rc = LMW_OK;
    snprintf(e.reason, sizeof e.reason, "%s", reason);
    for (size_t i = 0; i < b->n_owed && rc == LMW_OK; i++)
        rc = write_owed(b, &b->owed[i], &e, err);
    forget(b, b->n_owed);
    return rc;
}

int lmw_energy_finish(struct energy_book *b, struct lmw_err *err)
{
    int64_t until_ns = lmw_now_ns() + lmw_meter_settle_ns(b->meter) + LATE_NS;
    int rc;
    while ((rc = settle_owed(b, err)) == LMW_OK && b->n_owed > 0 && lmw_now_ns() < until_ns)
        lmw_sleep_until_ns(lmw_now_ns() + 20000000);
    if (rc == LMW_OK && b->n_owed > 0)
        rc = give_up(b, "the meter did not move past the end", err);
    return rc == LMW_OK ? drain(b, err) : rc;
}

int lmw_energy_begin(struct energy_book *b, struct lmw_err *err)
{
    char date[32], text[96];
    lmw_date_iso(date);
    int n = snprintf(text, sizeof text, "{\"date\":\"%s\",\"t_ns\":%lld}", date,
                     (long long)lmw_now_ns());
    b->drained_ns = lmw_now_ns();
    return lmw_store_add_samples(b->store, b->run_id, SESSION, text, (size_t)n, err);
}

static int find_owed(struct energy_book *b, struct lmw_err *err)
{
    struct lmw_records *it;
    struct lmw_record r;
    int rc = lmw_records_open(&it, b->store, b->run_id, err);
    while (rc == LMW_OK && (rc = lmw_records_next(it, &r, err)) == 1) {
        struct lmw_span span = {r.t_start_ns, LMW_NULL, r.t_start_ns + r.latency_ns};
        if (r.ttft_ns != LMW_NULL)
            span.first_ns = r.t_start_ns + r.ttft_ns;
        rc = r.energy_reason && strcmp(r.energy_reason, PENDING) == 0
                 ? remember(b, r.query_id, r.repeat, &span, err)
                 : LMW_OK;
    }
    lmw_records_close(it);
    return rc;
}

/* The stored samples of the run's last process, a trace per source that counts. The sources are
 * the meter's of today: another choice of them would be another run. */
struct traces {
    const struct lmw_meter *meter;
    struct lmw_trace *v[MAX_SOURCE]; /* NULL: not chosen */
    int n;
};

static void close_traces(struct traces *t)
{
    for (int i = 0; i < t->n; i++)
        lmw_trace_close(t->v[i]);
    t->n = 0;
}

static int open_traces(struct traces *t, struct lmw_err *err)
{
    int rc = LMW_OK, n = lmw_meter_n_source(t->meter);
    close_traces(t);
    for (; t->n < n && t->n < MAX_SOURCE && rc == LMW_OK; t->n++) {
        const struct lmw_source_info *info = lmw_meter_source(t->meter, t->n);
        t->v[t->n] = NULL;
        if (info->chosen)
            rc = lmw_trace_open(&t->v[t->n], info, err);
    }
    return rc;
}

static int take_block(void *arg, const char *source, const void *bytes, size_t n,
                      struct lmw_err *err)
{
    struct traces *t = arg;
    if (strcmp(source, SESSION) == 0)
        return open_traces(t, err);
    for (int i = 0; i < t->n; i++) {
        if (t->v[i] && strcmp(lmw_meter_source(t->meter, i)->name, source) == 0)
            return lmw_trace_block(t->v[i], bytes, n, err);
    }
    return LMW_OK;
}

static int announce_owed(const struct energy_book *b, struct traces *t, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < t->n; i++) {
        for (size_t k = 0; k < b->n_owed && t->v[i] && rc == LMW_OK; k++)
            rc = lmw_trace_announce(t->v[i], &b->owed[k].span, err);
    }
    return rc;
}

static int recover_one(struct energy_book *b, struct traces *t, const struct owed *o,
                       struct lmw_err *err)
{
    struct lmw_energy total = {0}, part;
    int rc = LMW_OK;
    for (int i = 0; i < t->n && rc == LMW_OK; i++) {
        if (t->v[i] && (rc = lmw_trace_span(t->v[i], &o->span, &part, err)) == LMW_OK)
            lmw_energy_add(&total, &part);
    }
    if (rc == LMW_OK && !total.valid && (is_pending(&total) || !total.reason[0]))
        snprintf(total.reason, sizeof total.reason, "killed before the counter settled");
    return rc < 0 ? rc : write_owed(b, o, &total, err);
}

int lmw_energy_recover(struct energy_book *b, struct lmw_err *err)
{
    struct traces t = {.meter = b->meter};
    int rc = find_owed(b, err);
    if (rc == LMW_OK && b->n_owed > 0 &&
        (rc = lmw_store_samples(b->store, b->run_id, take_block, &t, err)) == LMW_OK)
        rc = announce_owed(b, &t, err);
    for (size_t i = 0; i < b->n_owed && rc == LMW_OK; i++)
        rc = recover_one(b, &t, &b->owed[i], err);
    close_traces(&t);
    forget(b, b->n_owed);
    b->n_valid = b->n_invalid = 0; /* what this process measures is counted apart */
    b->sum_uj = 0;
    return rc;
}

void lmw_energy_free(struct energy_book *b)
{
    forget(b, b->n_owed);
    free(b->owed);
}
