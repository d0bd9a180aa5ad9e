/* The live meter: chosen sources, a sampler thread, marks.
 *
 * One lock guards reading and appending, so samples of sampler and marks are in order of time; it
 * is held for the reads alone (some 10 us), never while sleeping or computing. Spans are computed
 * on the caller's thread from samples that were complete when it looked. Everything is allocated
 * at open.
 *
 * Poll times are the grid t0 + k / rate shifted by a golden-ratio sequence of up to a quarter
 * interval either way: a sampler in step with a counter would look at it at the same phase for
 * ever and never learn when it ticks. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "meter/block.h"
#include "meter/share.h"
#include "meter/source.h"
#include "meter/span.h"

enum { LIVE_SPANS = 256, MAX_AT_ONCE = 256 };
static const int64_t SLOW_READ_NS =
    500000; /* a read this long was interrupted: its time is not known */
static const int64_t SUSPEND_NS = 100000000;
static const int64_t WATCH_NS = 60000000;
static const int64_t NAP_NS = 100000000; /* how long a stop may take */

struct lmw_meter {
    struct source_list sources;
    struct source *chosen[MAX_SERIES];
    struct series series[MAX_SERIES];
    int64_t drained[MAX_SERIES], lost;
    uint32_t owed[MAX_SERIES]; /* flags for a stream's next sample */
    char why[MAX_SERIES][240]; /* the last read that failed */
    struct lmw_sampling sampling;
    int n;
    char basis[MAX_SERIES * 52];
    double interval_ns;
    int64_t settle_ns;
    struct known_spans known;

    pthread_mutex_t lock; /* reads and series */
    int64_t asleep_ns;    /* boottime - monotonic when last looked */

    pthread_t thread;
    bool threaded, final; /* final: nothing will be sampled any more */
    atomic_bool stopping;
};

int lmw_meter_list(const struct lmw_meter_opts *opts, struct lmw_source_info *out, int cap,
                   struct lmw_err *err)
{
    struct source_list l = {0};
    int rc = lmw_source_find(&l, opts, err);
    if (rc == LMW_OK) {
        struct source *all[MAX_SERIES];
        int n = l.n < MAX_SERIES ? l.n : MAX_SERIES;
        for (int i = 0; i < n; i++)
            all[i] = &l.v[i];
        lmw_source_watch(all, n, 10 * WATCH_NS);
        for (int i = 0; i < l.n && i < cap; i++)
            out[i] = l.v[i].info;
        rc = l.n;
    }
    lmw_source_free(&l);
    return rc;
}

/* "rapl:package-0+rapl:dram-0", a modelled source with ~ in front. */
static void name_basis(struct lmw_meter *m)
{
    size_t at = 0;
    snprintf(m->basis, sizeof m->basis, "none");
    for (int i = 0; i < m->n; i++) {
        const struct lmw_source_info *s = &m->chosen[i]->info;
        int n = snprintf(m->basis + at, sizeof m->basis - at, "%s%s%s", i ? "+" : "",
                         s->reading == LMW_ESTIMATE ? "~" : "", s->name);
        at = n < (int)(sizeof m->basis - at) ? at + (size_t)n : sizeof m->basis - 1;
    }
    lmw_utf8_mend(m->basis);
}

static int open_series(struct lmw_meter *m, int64_t max_samples, struct lmw_err *err)
{
    m->settle_ns = 0;
    for (int i = 0; i < m->n; i++) {
        int rc = lmw_series_open(&m->series[i], &m->chosen[i]->info, max_samples, false, err);
        if (rc < 0)
            return rc;
        m->series[i].index = i;
        int64_t settle = lmw_span_settle_ns(&m->series[i], (int64_t)m->interval_ns);
        m->settle_ns = settle > m->settle_ns ? settle : m->settle_ns;
        /* A stream's values are of the times they say, however far apart. */
        if (m->chosen[i]->kind->next)
            m->series[i].info.period_ns = LMW_NULL;
    }
    return lmw_spans_open(&m->known, LIVE_SPANS, false, err);
}

static int choose(struct lmw_meter *m, const struct lmw_meter_opts *opts, struct lmw_err *err)
{
    int rc = lmw_source_find(&m->sources, opts, err);
    if (rc < 0)
        return rc;
    for (int i = 0; i < m->sources.n; i++) {
        if (!m->sources.v[i].info.chosen)
            continue;
        if (m->n == MAX_SERIES)
            return lmw_fail(err, LMW_EUNSUPPORTED, "more than %d power sources in one total",
                            MAX_SERIES);
        m->chosen[m->n++] = &m->sources.v[i];
    }
    lmw_source_watch(m->chosen, m->n, WATCH_NS);
    name_basis(m);
    return LMW_OK;
}

int lmw_meter_open(struct lmw_meter **out, const struct lmw_meter_opts *opts, struct lmw_err *err)
{
    double rate_hz = opts->rate_hz > 0 ? opts->rate_hz : 20;
    struct lmw_meter *m = calloc(1, sizeof *m);
    *out = NULL;
    if (!m)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a meter");
    pthread_mutex_init(&m->lock, NULL);
    if (rate_hz > 10000)
        rate_hz = 10000;
    m->interval_ns = 1e9 / rate_hz;
    int64_t hours4 = (int64_t)(4 * 3600 * rate_hz);
    int64_t max_samples = opts->max_samples > 0 ? opts->max_samples : hours4;
    int rc = choose(m, opts, err);
    if (rc == LMW_OK)
        rc = open_series(m, max_samples > 4096 ? max_samples : 4096, err);
    if (rc < 0) {
        lmw_meter_close(m);
        return rc;
    }
    *out = m;
    return LMW_OK;
}

void lmw_meter_close(struct lmw_meter *m)
{
    if (!m)
        return;
    lmw_meter_stop(m);
    for (int i = 0; i < m->n; i++)
        lmw_series_close(&m->series[i]);
    lmw_spans_close(&m->known);
    lmw_source_free(&m->sources);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

int lmw_meter_n_source(const struct lmw_meter *m)
{
    return m->sources.n;
}

const struct lmw_source_info *lmw_meter_source(const struct lmw_meter *m, int i)
{
    return &m->sources.v[i].info;
}

int lmw_meter_device(struct lmw_meter *m, int i, struct lmw_device *out, struct lmw_err *err)
{
    struct source *s = &m->sources.v[i];
    *out = lmw_device_silent();
    if (!s->info.present || !s->kind->device)
        return lmw_fail(err, LMW_EUNAVAILABLE, "%s says nothing but its power", s->info.name);
    return s->kind->device(s, out, err);
}

const char *lmw_meter_note(struct lmw_meter *m, int i)
{
    struct source *s = &m->sources.v[i];
    pthread_mutex_lock(&m->lock);
    if (s->kind->note && s->info.chosen)
        s->kind->note(s, s->note, sizeof s->note);
    lmw_utf8_mend(s->note);
    pthread_mutex_unlock(&m->lock);
    return s->note;
}

void lmw_meter_sampling(struct lmw_meter *m, struct lmw_sampling *out)
{
    pthread_mutex_lock(&m->lock);
    *out = m->sampling;
    pthread_mutex_unlock(&m->lock);
}

const char *lmw_meter_basis(const struct lmw_meter *m)
{
    return m->basis;
}

int64_t lmw_meter_settle_ns(const struct lmw_meter *m)
{
    return m->settle_ns;
}

/* One source, now. A read that was interrupted is made again, and is of its own time: the first
 * one's value would belong to no known time. So is one that found no number: a file that is being
 * rewritten is empty for a moment. Returns the time of what was read. */
static int64_t read_source(struct lmw_meter *m, int i, int64_t t_ns, uint32_t flags)
{
    struct source *s = m->chosen[i];
    int64_t value = 0;
    struct lmw_err why;
    why.msg[0] = 0;
    int rc = LMW_EFORMAT;
    for (int tries = 0; tries < 3; tries++) {
        int64_t before = lmw_now_ns();
        if (tries > 0 || before - t_ns > SLOW_READ_NS)
            t_ns = before;
        rc = s->kind->read(s, t_ns, &value, &why);
        if (rc != LMW_EFORMAT && lmw_now_ns() - before < SLOW_READ_NS + 3 * s->read_ns)
            break;
        if (rc == LMW_EFORMAT)
            lmw_sleep_until_ns(before + 20000);
    }
    if (rc < 0)
        snprintf(m->why[i], sizeof m->why[i], "%s", why.msg);
    lmw_series_append(&m->series[i], t_ns, rc < 0 ? flags | S_FAIL : flags, value);
    return t_ns;
}

/* What a stream has said since. A suspend is noted on the first sample after it. */
static void read_stream(struct lmw_meter *m, int i, int64_t now_ns, uint32_t flags)
{
    struct sample x;
    m->owed[i] |= flags & S_SUSPEND;
    for (int k = 0; k < MAX_AT_ONCE && m->chosen[i]->kind->next(m->chosen[i], now_ns, &x); k++) {
        lmw_series_append(&m->series[i], x.t_ns, x.flags | m->owed[i], x.v);
        m->owed[i] = 0;
    }
}

/* Whether the machine slept since the last look. Clocks are looked at one after the other: a stall
 * in between makes the first difference too large and the second, the other way round, too
 * small. */
static bool has_slept(struct lmw_meter *m, int64_t now_ns)
{
    int64_t at_most = lmw_boot_ns() - now_ns;
    if (at_most - m->asleep_ns <= SUSPEND_NS) {
        m->asleep_ns = at_most < m->asleep_ns ? at_most : m->asleep_ns;
        return false;
    }
    int64_t at_least = lmw_boot_ns();
    at_least -= lmw_now_ns();
    bool slept = at_least - m->asleep_ns > SUSPEND_NS;
    m->asleep_ns = slept ? at_least : m->asleep_ns;
    return slept;
}

/* Reads every source under the lock; the time they stand for. */
static int64_t read_all(struct lmw_meter *m, uint32_t flags)
{
    pthread_mutex_lock(&m->lock);
    int64_t t = lmw_now_ns();
    if (has_slept(m, t))
        flags |= S_SUSPEND;
    m->sampling.n_poll += !(flags & S_MARK);
    m->sampling.n_late += !!(flags & S_LATE);
    m->sampling.n_suspend += !!(flags & S_SUSPEND);
    for (int i = 0; i < m->n; i++) {
        if (m->chosen[i]->kind->next)
            read_stream(m, i, t, flags);
        else
            t = read_source(m, i, t, flags);
    }
    pthread_mutex_unlock(&m->lock);
    return t;
}

int64_t lmw_meter_mark(struct lmw_meter *m)
{
    return read_all(m, S_MARK);
}

/* False when told to stop. A plain sleep, in which nobody can wake it: a wait for a condition
 * would cost the sampler a tenth more. */
static bool sleep_until(const struct lmw_meter *m, int64_t t_ns)
{
    for (int64_t now = lmw_now_ns(); now < t_ns && !m->stopping; now = lmw_now_ns())
        lmw_sleep_until_ns(t_ns - now > NAP_NS ? now + NAP_NS : t_ns);
    return !m->stopping;
}

static void *sample(void *arg)
{
    struct lmw_meter *m = arg;
    int64_t t0 = lmw_now_ns(), next;
    for (int64_t k = 1;; k++) {
        double turn = (double)k * 0.6180339887498949;
        double dither = (turn - (double)(int64_t)turn - 0.5) / 2;
        next = t0 + (int64_t)(((double)k + dither) * m->interval_ns);
        if (!sleep_until(m, next))
            return NULL;
        bool late = lmw_now_ns() - next > (int64_t)m->interval_ns;
        read_all(m, late ? S_LATE : 0);
        /* After a stall, go on from now instead of reading many times at once. */
        if (late) {
            t0 = lmw_now_ns();
            k = 0;
        }
    }
}

int lmw_meter_start(struct lmw_meter *m, struct lmw_err *err)
{
    if (m->threaded)
        return LMW_OK;
    m->stopping = m->final = false;
    int64_t t = lmw_now_ns();
    m->asleep_ns = lmw_boot_ns() - t;
    for (int i = 0; i < m->n; i++) {
        if (m->chosen[i]->kind->start)
            m->chosen[i]->kind->start(m->chosen[i], t);
    }
    read_all(m, 0);
    int rc = m->n ? pthread_create(&m->thread, NULL, sample, m) : 0;
    if (rc != 0) {
        errno = rc;
        return lmw_fail_errno(err, "cannot start the meter's thread");
    }
    m->threaded = m->n > 0;
    return LMW_OK;
}

void lmw_meter_stop(struct lmw_meter *m)
{
    if (!m->threaded)
        return;
    m->stopping = true;
    pthread_join(m->thread, NULL);
    m->threaded = false;
    read_all(m, 0);
    m->final = true;
}

/* How many samples each series had at one moment, and a copy of its running state. */
static void snapshot(struct lmw_meter *m, int i, struct series *out)
{
    pthread_mutex_lock(&m->lock);
    *out = m->series[i];
    pthread_mutex_unlock(&m->lock);
}

/* "unreadable", with what the source itself said: what is gone, and where. */
static void tell_why(struct lmw_meter *m, int i, struct lmw_energy *part)
{
    if (part->valid || strncmp(part->reason, "unreadable", 10) != 0)
        return;
    pthread_mutex_lock(&m->lock);
    if (m->why[i][0])
        snprintf(part->reason, sizeof part->reason,
                 "unreadable: %.40s was lost: %s; bring it back, or name other meters",
                 m->chosen[i]->info.name, m->why[i]);
    lmw_utf8_mend(part->reason);
    pthread_mutex_unlock(&m->lock);
}

static void sum_energy(struct lmw_meter *m, const struct lmw_span *span, struct lmw_energy *out,
                       struct lmw_rail *rails, int cap)
{
    *out = (struct lmw_energy){0};
    for (int i = 0; i < m->n; i++) {
        struct series s;
        struct lmw_energy part;
        snapshot(m, i, &s);
        lmw_span_energy(&s, s.n, m->final, &m->known, span, &part);
        tell_why(m, i, &part);
        lmw_energy_add(out, &part);
        if (i < cap)
            rails[i] =
                (struct lmw_rail){m->chosen[i]->info.name, part.valid ? part.energy_uj : LMW_NULL};
    }
    if (m->n == 0)
        lmw_span_nothing(out, "no source");
}

/* The total in a span that is no query's own: it says nothing about when power changes. */
static int total_energy(void *arg, const struct lmw_span *span, struct lmw_energy *out,
                        struct lmw_err *err)
{
    int rc = lmw_span_check(span, err);
    if (rc == LMW_OK)
        sum_energy(arg, span, out, NULL, 0);
    return rc;
}

int lmw_meter_rails(struct lmw_meter *m, const struct lmw_span *span, struct lmw_energy *out,
                    struct lmw_rail *rails, int cap, struct lmw_err *err)
{
    int rc = lmw_span_check(span, err);
    if (rc == LMW_OK)
        rc = lmw_spans_add(&m->known, span, err);
    if (rc < 0)
        return rc;
    sum_energy(m, span, out, rails, cap);
    return m->n;
}

int lmw_meter_span(struct lmw_meter *m, const struct lmw_span *span, struct lmw_energy *out,
                   struct lmw_err *err)
{
    int rc = lmw_meter_rails(m, span, out, NULL, 0, err);
    return rc < 0 ? rc : LMW_OK;
}

int lmw_meter_share(struct lmw_meter *m, const struct lmw_span *spans, const double *tokens, int n,
                    struct lmw_energy *out, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < n && rc == LMW_OK; i++)
        if ((rc = lmw_span_check(&spans[i], err)) == LMW_OK)
            rc = lmw_spans_add(&m->known, &spans[i], err);
    return rc < 0 ? rc : lmw_share(total_energy, m, spans, tokens, n, out, err);
}

bool lmw_energy_is_pending(const struct lmw_energy *e)
{
    return !e->valid && lmw_str_starts(lmw_str_from(e->reason), "pending");
}

int lmw_meter_end(struct lmw_meter *m, struct lmw_span *span, struct lmw_energy *out,
                  struct lmw_err *err)
{
    span->end_ns = lmw_meter_mark(m);
    int64_t settled_ns = span->end_ns + m->settle_ns;
    for (int64_t t = settled_ns; t <= settled_ns + 1000000000; t += 50000000) {
        lmw_sleep_until_ns(t);
        lmw_meter_mark(m);
        int rc = lmw_meter_span(m, span, out, err);
        if (rc < 0 || !lmw_energy_is_pending(out))
            return rc;
    }
    m->final = true; /* nobody will ask again */
    int rc = lmw_meter_span(m, span, out, err);
    m->final = false;
    return rc;
}

int64_t lmw_meter_power_mw(struct lmw_meter *m, int64_t from_ns)
{
    int64_t now = lmw_now_ns(), total = m->n ? 0 : LMW_NULL;
    for (int i = 0; i < m->n && total != LMW_NULL; i++) {
        struct series s;
        snapshot(m, i, &s);
        /* A stream's last readings, however far apart they are. */
        int64_t slow_ns = m->chosen[i]->kind->next && m->chosen[i]->info.period_ns != LMW_NULL
                              ? now - 3 * m->chosen[i]->info.period_ns
                              : now;
        int64_t mw = lmw_series_mean_mw(&s, from_ns < slow_ns ? from_ns : slow_ns);
        total = mw == LMW_NULL ? LMW_NULL : total + mw;
    }
    return total;
}

int lmw_meter_drain(struct lmw_meter *m, lmw_samples_fn *out, void *arg, struct lmw_err *err)
{
    for (int i = 0; i < m->n; i++) {
        struct series s;
        struct lmw_buf b = {0};
        snapshot(m, i, &s);
        int64_t from = lmw_series_first(&s, s.n);
        if (from > m->drained[i])
            m->lost += from - m->drained[i];
        else
            from = m->drained[i];
        m->drained[i] = from;
        if (from == s.n)
            continue;
        lmw_block_pack(&s, from, s.n, &b);
        int rc = b.failed ? lmw_fail(err, LMW_ENOMEM, "no memory for a block of samples")
                          : out(arg, &m->chosen[i]->info, b.ptr, b.len, err);
        lmw_buf_free(&b);
        if (rc < 0)
            return rc;
        m->drained[i] = s.n;
    }
    return LMW_OK;
}

int64_t lmw_meter_lost(const struct lmw_meter *m)
{
    return m->lost;
}
