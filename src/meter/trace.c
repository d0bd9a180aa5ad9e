/* Offline traces: one source's samples from a CSV file or from stored blocks, and the joules of
 * spans over them.
 *
 * The CSV is anybody's power log (line.h), irregular, with repeated values, wraps (when the
 * modulus is given) and resets. Refused, with the line's number: what line.h refuses, times that
 * run backwards, a second header. */
#include "meter/trace.h"

#include <stdlib.h>
#include <string.h>

#include "meter/block.h"
#include "meter/line.h"
#include "meter/offset.h"
#include "meter/share.h"

struct csv {
    const char *p, *end;
    int line;
};

/* The next line without its end; false at the end of the text. */
static bool next_line(struct csv *c, lmw_str *line)
{
    if (c->p == c->end)
        return false;
    const char *eol = memchr(c->p, '\n', (size_t)(c->end - c->p));
    *line = (lmw_str){c->p, (size_t)((eol ? eol : c->end) - c->p)};
    c->p = eol ? eol + 1 : c->end;
    c->line++;
    return true;
}

static int parse_line(struct series *s, struct line_format *f, lmw_str line, struct lmw_err *err)
{
    struct sample x;
    int kind = lmw_line_parse(line, f, &x, err);
    if (kind == LINE_HEADER && s->n > 0)
        return lmw_fail(err, LMW_EFORMAT, "a header below the first row");
    /* The samples of an estimate are a counter's, and stay an estimate. */
    if (kind == LINE_HEADER && (f->reading == LMW_POWER || s->info.reading != LMW_ESTIMATE))
        s->info.reading = f->reading;
    if (kind != LINE_SAMPLE)
        return kind < 0 ? kind : LMW_OK;
    if (s->n && x.t_ns < series_at(s, s->n - 1)->t_ns)
        return lmw_fail(err, LMW_EFORMAT, "%lld ns is earlier than the line before",
                        (long long)x.t_ns);
    if (lmw_series_append(s, x.t_ns, x.flags, x.v) < 0)
        return lmw_fail(err, LMW_ENOMEM, "no memory for its samples");
    return LMW_OK;
}

int lmw_series_parse_csv(struct series *s, lmw_str text, struct lmw_err *err)
{
    struct csv c = {lmw_str_unmark(text).ptr, text.ptr + text.len, 0};
    struct line_format f = {.known = true,
                            .reading = s->info.reading == LMW_POWER ? LMW_POWER : LMW_COUNTER,
                            .scale = 1};
    lmw_str line;
    while (next_line(&c, &line)) {
        if (parse_line(s, &f, line, err) < 0)
            return lmw_wrap(err, "line %d", c.line);
    }
    return LMW_OK;
}

struct lmw_trace {
    struct series series;
    struct known_spans known;
    int n_learned; /* from so many spans */
};

int lmw_trace_open(struct lmw_trace **out, const struct lmw_source_info *info, struct lmw_err *err)
{
    struct lmw_source_info unknown = {
        .name = "trace", .period_ns = LMW_NULL, .resolution_uj = LMW_NULL, .window_ns = LMW_NULL};
    struct lmw_trace *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a trace");
    int rc = lmw_series_open(&t->series, info ? info : &unknown, 1024, true, err);
    if (rc == LMW_OK)
        rc = lmw_spans_open(&t->known, 64, true, err);
    if (rc < 0)
        lmw_trace_close(t);
    else
        *out = t;
    return rc;
}

void lmw_trace_close(struct lmw_trace *t)
{
    if (!t)
        return;
    lmw_series_close(&t->series);
    lmw_spans_close(&t->known);
    free(t);
}

const struct lmw_source_info *lmw_trace_info(const struct lmw_trace *t)
{
    return &t->series.info;
}

int lmw_trace_csv(struct lmw_trace *t, lmw_str text, struct lmw_err *err)
{
    return lmw_series_parse_csv(&t->series, text, err);
}

int lmw_trace_block(struct lmw_trace *t, const void *bytes, size_t n, struct lmw_err *err)
{
    return lmw_block_unpack(&t->series, bytes, n, err);
}

int lmw_trace_announce(struct lmw_trace *t, const struct lmw_span *span, struct lmw_err *err)
{
    int rc = lmw_span_check(span, err);
    return rc < 0 ? rc : lmw_spans_add(&t->known, span, err);
}

int lmw_trace_span(struct lmw_trace *t, const struct lmw_span *span, struct lmw_energy *out,
                   struct lmw_err *err)
{
    int rc = lmw_trace_announce(t, span, err);
    if (rc == LMW_OK)
        lmw_span_energy(&t->series, t->series.n, true, &t->known, span, out);
    return rc;
}

static int energy_of(void *arg, const struct lmw_span *span, struct lmw_energy *out,
                     struct lmw_err *err)
{
    struct lmw_trace *t = arg;
    int rc = lmw_span_check(span, err);
    if (rc == LMW_OK)
        lmw_span_energy(&t->series, t->series.n, true, &t->known, span, out);
    return rc;
}

/* How noisy a log is, and how late power rises, is learned from span to span: where many are asked
 * for at once, some all over it come first. */
static void learn_levels(struct lmw_trace *t)
{
    enum { ASK = 8 };
    struct lmw_energy unused;
    int n = t->known.n;
    if (n <= 2 * t->n_learned)
        return;
    t->n_learned = n;
    for (int64_t k = 0; k < ASK; k++)
        lmw_span_energy(&t->series, t->series.n, true, &t->known, &t->known.v[k * n / ASK],
                        &unused);
}

int lmw_trace_share(struct lmw_trace *t, const struct lmw_span *spans, const double *tokens, int n,
                    struct lmw_energy *out, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int i = 0; i < n && rc == LMW_OK; i++)
        rc = lmw_trace_announce(t, &spans[i], err);
    if (rc < 0)
        return rc;
    learn_levels(t);
    return lmw_share(energy_of, t, spans, tokens, n, out, err);
}

int64_t lmw_trace_n(const struct lmw_trace *t)
{
    return t->series.n;
}

bool lmw_trace_sample(const struct lmw_trace *t, int64_t i, int64_t *t_ns, int64_t *value)
{
    const struct sample *x = series_at(&t->series, i);
    *t_ns = x->t_ns;
    *value = x->v;
    return !(x->flags & S_NONE);
}

int lmw_offset_by_step(const struct lmw_trace *t, const struct lmw_step *steps, int n,
                       struct lmw_offset *out, struct lmw_err *err)
{
    return lmw_series_offset(&t->series, steps, n, out, err);
}
