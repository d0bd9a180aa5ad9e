/* The joules of one run. A counter tells of a span only after its next update, so the energy of
 * a query may be known when the query after it is already running: the record is stored at
 * once, saying "pending", and gets its energy when the meter has it. Queries that overlap wait
 * until all are complete that ran beside them (window.c).
 *
 * Raw samples go to the store every two seconds and at the end. A process that is killed leaves
 * at most what it had not written: records that say "pending" (recover.c). Each process begins its
 * samples with a block of the source "session", so that times of different boots are never mixed.
 *
 * energy_net_uj = energy_uj - idle_mw x the query's time. It may be negative where noise exceeds
 * the answer; of queries that overlap each is charged for its own time, so that together they are
 * charged for idle power more than once. */
#include "study/energy.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t DRAIN_NS = 2000000000;
static const int64_t LATE_NS = 2000000000; /* beyond the meter's own settling time */
static const int64_t WINDOW_NS = 1000000000;
/* Spans are asked for together: after a query the fit has left the caches, and the first of them
 * costs twice as much as the next. */
static const int64_t TOGETHER_NS = 250000000;
static const int64_t RETRY_NS = 50000000;
#define PENDING "pending"

/* mW x ns = pJ; 1e6 pJ = 1 uJ. */
static int64_t idle_uj(int64_t idle_mw, int64_t ns)
{
    return (int64_t)((double)idle_mw * (double)ns / 1e6);
}

static void fill_record(struct lmw_record *r, const struct lmw_energy *e,
                        const struct lmw_span *span, int64_t idle_mw)
{
    r->energy_valid = e->valid;
    r->energy_reason = e->valid ? NULL : lmw_energy_is_pending(e) ? PENDING : e->reason;
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

/* Asks the meter, and keeps what each of its sources measured as {"rapl:package-0": uJ, ...}. */
static int ask_meter(struct energy_book *b, const struct lmw_span *span, struct lmw_energy *e,
                     struct lmw_err *err)
{
    struct lmw_rail rails[LMW_MAX_RAIL];
    int n = lmw_meter_rails(b->meter, span, e, rails, LMW_MAX_RAIL, err);
    json_t *o = json_object();
    b->rails[0] = 0;
    if (n < 0 || !e->valid) {
        json_decref(o);
        return n < 0 ? n : LMW_OK;
    }
    for (int i = 0; i < n; i++)
        json_object_set_new(o, rails[i].name, json_integer(rails[i].energy_uj));
    size_t len = json_dumpb(o, b->rails, sizeof b->rails - 1, JSON_COMPACT);
    b->rails[len < sizeof b->rails ? len : 0] = 0;
    json_decref(o);
    return LMW_OK;
}

static const char *rails_of(const struct energy_book *b, const struct lmw_energy *e)
{
    return e->valid && b->rails[0] ? b->rails : NULL;
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

/* --- what is owed --- */

int lmw_energy_remember(struct energy_book *b, const struct owed *o, struct lmw_err *err)
{
    if (b->n_owed == b->cap_owed) {
        size_t cap = b->cap_owed ? 2 * b->cap_owed : 64;
        struct owed *more = realloc(b->owed, cap * sizeof *more);
        if (!more)
            return lmw_fail(err, LMW_ENOMEM, "no memory for pending energies");
        b->owed = more;
        b->cap_owed = cap;
    }
    b->owed[b->n_owed] = *o;
    if (!(b->owed[b->n_owed].query_id = strdup(o->query_id)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for pending energies");
    b->n_owed++;
    return LMW_OK;
}

void lmw_energy_forget(struct energy_book *b, size_t n)
{
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        free(b->owed[i].query_id);
    memmove(b->owed, b->owed + n, (b->n_owed - n) * sizeof *b->owed);
    b->n_owed -= n;
}

void lmw_energy_forget_until(struct energy_book *b, int64_t end_ns)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_owed; i++) {
        if (b->owed[i].span.end_ns <= end_ns)
            free(b->owed[i].query_id);
        else
            b->owed[n++] = b->owed[i];
    }
    b->n_owed = n;
}

static double tokens_of(const struct lmw_record *r)
{
    return r->completion_tokens == LMW_NULL ? (double)NAN : (double)r->completion_tokens;
}

int lmw_energy_fill(struct energy_book *b, struct lmw_record *r, const struct lmw_span *span,
                    struct lmw_err *err)
{
    b->last = (struct lmw_energy){.reason = PENDING};
    if (b->elsewhere[0])
        memcpy(b->last.reason, b->elsewhere, sizeof b->elsewhere);
    b->rails[0] = 0;
    int rc = b->n_slot > 1 || b->elsewhere[0] ? LMW_OK : ask_meter(b, span, &b->last, err);
    if (rc < 0)
        return rc;
    r->energy_basis = lmw_meter_basis(b->meter);
    fill_record(r, &b->last, span, b->idle_mw);
    r->energy_rails = rails_of(b, &b->last);
    struct owed o = {(char *)r->query_id, r->repeat, *span, tokens_of(r), {0}, false};
    if (lmw_energy_is_pending(&b->last))
        return lmw_energy_remember(b, &o, err);
    count(b, &b->last);
    return LMW_OK;
}

int lmw_energy_write(struct energy_book *b, const struct owed *o, const struct lmw_energy *e,
                     struct lmw_err *err)
{
    struct lmw_record r;
    lmw_record_clear(&r);
    r.query_id = o->query_id;
    r.repeat = o->repeat;
    r.energy_basis = lmw_meter_basis(b->meter);
    fill_record(&r, e, &o->span, b->idle_mw);
    r.energy_rails = rails_of(b, e);
    count(b, e);
    return lmw_store_set_energy(b->store, b->run_id, &r, err);
}

/* Writes those at the front of the queue that have settled. */
static int settle_owed(struct energy_book *b, bool all, struct lmw_err *err)
{
    int64_t now = lmw_now_ns();
    size_t n = 0;
    int rc = LMW_OK;
    if (!all && now < b->settled_at_ns + TOGETHER_NS)
        return LMW_OK;
    b->settled_at_ns = now;
    for (; n < b->n_owed && rc == LMW_OK; n++) {
        struct lmw_energy e;
        if ((rc = ask_meter(b, &b->owed[n].span, &e, err)) < 0 || lmw_energy_is_pending(&e))
            break;
        rc = lmw_energy_write(b, &b->owed[n], &e, err);
    }
    lmw_energy_forget(b, n);
    return rc;
}

/* --- several in flight --- */

static int share_now(void *arg, const struct lmw_span *spans, const double *tokens, int n,
                     struct lmw_energy *out, struct lmw_err *err)
{
    return lmw_meter_share(arg, spans, tokens, n, out, err);
}

static int write_complete(struct energy_book *b, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (size_t i = 0; i < b->n_owed && rc == LMW_OK; i++) {
        if (b->owed[i].span.end_ns <= b->shared_ns)
            rc = lmw_energy_write(b, &b->owed[i], &b->owed[i].sum, err);
    }
    lmw_energy_forget_until(b, b->shared_ns);
    return rc;
}

/* A window needs queries enough, or a second to have gone by; one the meter had not reached is
 * tried again when it may have. */
static bool is_time(const struct energy_book *b, int64_t now_ns, bool all)
{
    size_t many = (size_t)b->n_slot + LMW_WINDOW_QUERIES;
    return all || (now_ns >= b->retry_ns &&
                   (b->n_owed >= many || now_ns >= b->settled_at_ns + WINDOW_NS));
}

static int settle_shared(struct energy_book *b, int64_t frontier_ns, bool all, struct lmw_err *err)
{
    int64_t now = lmw_now_ns();
    int rc = 1;
    while (rc == 1 && is_time(b, now, all)) {
        size_t n;
        int64_t to_ns = lmw_window_end(b, frontier_ns, &n);
        rc = n > 0 ? lmw_window_share(b, to_ns, share_now, b->meter, err) : LMW_OK;
        if (rc == 1) {
            rc = write_complete(b, err) < 0 ? LMW_EIO : 1;
            b->settled_at_ns = now;
        } else if (rc == 0) {
            b->retry_ns = now + RETRY_NS + lmw_meter_settle_ns(b->meter) / 4;
        }
    }
    return rc < 0 ? rc : LMW_OK;
}

static int settle(struct energy_book *b, int64_t frontier_ns, bool all, struct lmw_err *err)
{
    return b->n_slot > 1 ? settle_shared(b, frontier_ns, all, err) : settle_owed(b, all, err);
}

/* --- raw samples --- */

static int store_block(void *arg, const struct lmw_source_info *source, const void *bytes,
                       size_t n, struct lmw_err *err)
{
    struct energy_book *b = arg;
    return lmw_store_add_samples(b->store, b->run_id, source->name, bytes, n, err);
}

static int drain(struct energy_book *b, int64_t frontier_ns, struct lmw_err *err)
{
    char text[64];
    b->drained_ns = lmw_now_ns();
    int rc = lmw_meter_drain(b->meter, store_block, b, err);
    if (rc < 0 || b->n_slot <= 1)
        return rc;
    int64_t known_ns = frontier_ns < b->drained_ns ? frontier_ns : b->drained_ns;
    int n = snprintf(text, sizeof text, "{\"t_ns\":%lld}", (long long)known_ns);
    return lmw_store_add_samples(b->store, b->run_id, LMW_BLOCK_FRONTIER, text, (size_t)n, err);
}

int lmw_energy_settle(struct energy_book *b, int64_t frontier_ns, struct lmw_err *err)
{
    int rc = settle(b, frontier_ns, false, err);
    if (rc == LMW_OK && lmw_now_ns() - b->drained_ns >= DRAIN_NS)
        rc = drain(b, frontier_ns, err);
    return rc;
}

static int give_up(struct energy_book *b, const char *reason, struct lmw_err *err)
{
    struct lmw_energy e = {.valid = false};
    int rc = LMW_OK;
    snprintf(e.reason, sizeof e.reason, "%s", reason);
    for (size_t i = 0; i < b->n_owed && rc == LMW_OK; i++)
        rc = lmw_energy_write(b, &b->owed[i], &e, err);
    lmw_energy_forget(b, b->n_owed);
    return rc;
}

int lmw_energy_finish(struct energy_book *b, int64_t frontier_ns, struct lmw_err *err)
{
    int64_t until_ns = lmw_now_ns() + lmw_meter_settle_ns(b->meter) + LATE_NS;
    bool lost = frontier_ns < INT64_MAX;
    int rc;
    while ((rc = settle(b, frontier_ns, true, err)) == LMW_OK && b->n_owed > 0 &&
           lmw_now_ns() < until_ns)
        lmw_sleep_until_ns(lmw_now_ns() + 20000000);
    if (rc == LMW_OK && b->n_owed > 0)
        rc = give_up(b, lost ? LMW_REASON_BESIDE : "the meter did not move past the end", err);
    return rc == LMW_OK ? drain(b, frontier_ns, err) : rc;
}

int lmw_energy_begin(struct energy_book *b, struct lmw_err *err)
{
    char date[32], text[128];
    lmw_date_iso(date);
    int n = snprintf(text, sizeof text, "{\"date\":\"%s\",\"t_ns\":%lld,\"n_record\":%lld}", date,
                     (long long)lmw_now_ns(), (long long)lmw_store_count(b->store, b->run_id));
    b->drained_ns = lmw_now_ns();
    b->shared_ns = LMW_NULL;
    return lmw_store_add_samples(b->store, b->run_id, LMW_BLOCK_SESSION, text, (size_t)n, err);
}

void lmw_energy_free(struct energy_book *b)
{
    lmw_energy_forget(b, b->n_owed);
    free(b->owed);
}
