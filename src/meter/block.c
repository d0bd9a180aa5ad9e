/* Blocks of samples: a header that says what the source is, then one delta-coded entry a sample.
 *
 *     "LMWS" version=2 reading  name boundary  wrap period resolution max_power window error_ppm
 *     count t0 v0
 *     count x { flags, t - t before, [v - v before, unless flags say there is none] }
 *
 * reading and version are bytes; strings a length and bytes; numbers LEB128 varints, signed ones
 * zigzag. The first sample's deltas are against t0, v0. About 9 bytes a sample at 20 Hz. A block
 * stands alone: whoever has it can compute every joule again. Version 1 had neither window nor
 * error. Refuses other versions, times or unwrapped counters that run backwards and anything past
 * the end. */
#include "meter/block.h"

#include <stdio.h>
#include <string.h>

static const char MAGIC[4] = {'L', 'M', 'W', 'S'};
enum { VERSION = 2 };

static void put_u(struct lmw_buf *out, uint64_t v)
{
    uint8_t b[10];
    int n = 0;
    do {
        b[n++] = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
    } while (v >>= 7);
    lmw_buf_put(out, b, (size_t)n);
}

static void put_s(struct lmw_buf *out, int64_t v)
{
    put_u(out, ((uint64_t)v << 1) ^ (v < 0 ? ~(uint64_t)0 : 0));
}

static void put_text(struct lmw_buf *out, const char *text)
{
    put_u(out, strlen(text));
    lmw_buf_str(out, text);
}

void lmw_block_pack(const struct series *s, int64_t from, int64_t n, struct lmw_buf *out)
{
    const struct sample *p = series_at(s, from);
    uint8_t head[2] = {VERSION, (uint8_t)s->info.reading};
    lmw_buf_put(out, MAGIC, sizeof MAGIC);
    lmw_buf_put(out, head, sizeof head);
    put_text(out, s->info.name);
    put_text(out, s->info.boundary);
    put_s(out, s->info.wrap_uj);
    put_s(out, s->info.period_ns);
    put_s(out, s->info.resolution_uj);
    put_s(out, s->info.max_power_mw);
    put_s(out, s->info.window_ns);
    put_s(out, (int64_t)(s->info.model_error * 1e6));
    put_u(out, (uint64_t)(n - from));
    put_s(out, p->t_ns);
    put_s(out, p->v);
    for (int64_t i = from; i < n; i++) {
        const struct sample *x = series_at(s, i);
        put_u(out, x->flags);
        put_u(out, (uint64_t)(x->t_ns - p->t_ns));
        if (!(x->flags & S_NONE))
            put_s(out, x->v - p->v);
        p = x;
    }
}

struct reader {
    const uint8_t *p, *start, *end;
    bool failed;
};

static uint64_t get_u(struct reader *r)
{
    uint64_t v = 0;
    for (int shift = 0; r->p < r->end && shift < 64; shift += 7) {
        uint8_t b = *r->p++;
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 127) << shift;
        if (!(b & 128))
            return v;
    }
    r->failed = true;
    return 0;
}

static int64_t get_s(struct reader *r)
{
    uint64_t u = get_u(r);
    return (int64_t)((u >> 1) ^ (~(u & 1) + 1));
}

static void get_text(struct reader *r, char *out, size_t cap)
{
    uint64_t n = get_u(r);
    if (r->failed || n >= cap || n > (uint64_t)(r->end - r->p)) {
        r->failed = true;
        return;
    }
    memcpy(out, r->p, n);
    out[n] = 0;
    r->p += n;
}

static void get_info(struct reader *r, struct lmw_source_info *info)
{
    int version = r->p[4];
    info->reading = (enum lmw_reading)r->p[5];
    r->p += 6;
    get_text(r, info->name, sizeof info->name);
    get_text(r, info->boundary, sizeof info->boundary);
    info->wrap_uj = get_s(r);
    info->period_ns = get_s(r);
    info->resolution_uj = get_s(r);
    info->max_power_mw = get_s(r);
    info->window_ns = version > 1 ? get_s(r) : LMW_NULL;
    int64_t error_ppm = version > 1 ? get_s(r) : 0;
    info->model_error = (double)error_ppm * 1e-6;
    info->present = true;
    if (info->wrap_uj < 0 || info->max_power_mw < 0 || error_ppm < 0 || error_ppm > 100000000 ||
        (info->window_ns != LMW_NULL &&
         (info->window_ns < 0 || info->window_ns > SERIES_MAX_WINDOW_NS)) ||
        (info->period_ns != LMW_NULL && info->period_ns <= 0) ||
        (info->resolution_uj != LMW_NULL && info->resolution_uj < 0))
        r->failed = true;
}

/* One sample after *x; a time or value that leaves int64 is a broken block. */
static void get_sample(struct reader *r, struct sample *x)
{
    uint64_t flags = get_u(r), dt = get_u(r);
    int64_t dv = flags & S_NONE ? 0 : get_s(r);
    if (flags >= S_LATE << 1 || dt > INT64_MAX ||
        __builtin_add_overflow(x->t_ns, (int64_t)dt, &x->t_ns) ||
        __builtin_add_overflow(x->v, dv, &x->v))
        r->failed = true;
    x->flags = (uint32_t)flags;
}

int lmw_block_unpack(struct series *s, const void *bytes, size_t n, struct lmw_err *err)
{
    struct reader r = {.p = bytes, .start = bytes, .end = (const uint8_t *)bytes + n};
    struct lmw_source_info info = {0};
    if (n < 6 || memcmp(bytes, MAGIC, sizeof MAGIC) != 0)
        return lmw_fail(err, LMW_EFORMAT, "not a block of samples: it does not begin with LMWS");
    if (r.p[4] < 1 || r.p[4] > VERSION)
        return lmw_fail(err, LMW_EUNSUPPORTED,
                        "a block of samples of version %d; this build "
                        "reads versions 1 to %d",
                        r.p[4], VERSION);
    if (r.p[5] > LMW_ESTIMATE)
        return lmw_fail(err, LMW_EFORMAT, "a block of samples of unknown kind %d", r.p[5]);
    get_info(&r, &info);
    uint64_t count = get_u(&r);
    struct sample x = {.t_ns = get_s(&r), .v = get_s(&r)};
    if (!r.failed && s->n == 0)
        s->info = info;
    else if (!r.failed && strcmp(s->info.name, info.name) != 0)
        return lmw_fail(err, LMW_EARG, "a block of %s among samples of %s", info.name,
                        s->info.name);
    for (uint64_t i = 0; i < count && !r.failed; i++) {
        get_sample(&r, &x);
        const struct sample *p = s->n ? series_at(s, s->n - 1) : &x;
        bool falls = info.reading == LMW_POWER ? x.v < 0 : x.v < p->v;
        if (x.t_ns < p->t_ns || x.t_ns > SERIES_MAX_NS || x.t_ns < -SERIES_MAX_NS ||
            (falls && !(x.flags & S_NONE)))
            r.failed = true;
        if (!r.failed && lmw_series_put(s, &x) < 0)
            return lmw_fail(err, LMW_ENOMEM, "no memory for %llu samples",
                            (unsigned long long)count);
    }
    if (r.failed || r.p != r.end)
        return lmw_fail(err, LMW_EFORMAT, "a block of samples is broken at byte %td of %zu",
                        r.p - r.start, n);
    return LMW_OK;
}
