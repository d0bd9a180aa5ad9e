/* Offline traces: one source's samples from a CSV file or from stored blocks, and the joules of
 * spans over them.
 *
 * The CSV is anybody's power log: `t_ns,energy_uj` or `t_ns,power_mw`, irregular, with repeated
 * values, wraps (when the modulus is given) and resets. Refused, with the line: times that run
 * backwards, words where numbers belong, numbers past 64 bits, columns that are not there. */
#include "meter/trace.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "meter/block.h"

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
    *line = lmw_str_trim((lmw_str){c->p, (size_t)((eol ? eol : c->end) - c->p)});
    c->p = eol ? eol + 1 : c->end;
    c->line++;
    return true;
}

/* An integer, or a decimal number rounded to one. */
static bool parse_number(lmw_str s, int64_t *out)
{
    char text[48], *end;
    if (s.len == 0 || s.len >= sizeof text)
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (!*end && !errno && end != text) {
        *out = v;
        return true;
    }
    double d = strtod(text, &end);
    if (*end || end == text || !(fabs(d) < 9e18))
        return false;
    *out = llround(d);
    return true;
}

static int parse_header(struct series *s, int line, lmw_str value, struct lmw_err *err)
{
    if (lmw_str_is(value, "energy_uj") && s->info.reading != LMW_ESTIMATE)
        s->info.reading = LMW_COUNTER;
    else if (lmw_str_is(value, "power_mw"))
        s->info.reading = LMW_POWER;
    else if (!lmw_str_is(value, "energy_uj"))
        return lmw_fail(err, LMW_EFORMAT,
                        "line %d: the second column is '%.*s', not energy_uj or "
                        "power_mw",
                        line, (int)(value.len < 40 ? value.len : 40), value.ptr);
    return LMW_OK;
}

static int parse_row(struct series *s, int line, lmw_str row, struct lmw_err *err)
{
    const char *comma = memchr(row.ptr, ',', row.len);
    if (!comma)
        return lmw_fail(err, LMW_EFORMAT,
                        "line %d: two columns with a comma between them are "
                        "needed, such as t_ns,energy_uj",
                        line);
    lmw_str first = lmw_str_trim((lmw_str){row.ptr, (size_t)(comma - row.ptr)});
    lmw_str second = lmw_str_trim((lmw_str){comma + 1, (size_t)(row.ptr + row.len - comma - 1)});
    int64_t t_ns, v = 0;
    if (lmw_str_is(first, "t_ns") && s->n == 0)
        return parse_header(s, line, second, err);
    if (!parse_number(first, &t_ns) || t_ns > SERIES_MAX_NS || t_ns < -SERIES_MAX_NS)
        return lmw_fail(err, LMW_EFORMAT, "line %d: '%.*s' is not a time in ns", line,
                        (int)(first.len < 40 ? first.len : 40), first.ptr);
    if (second.len && !parse_number(second, &v))
        return lmw_fail(err, LMW_EFORMAT, "line %d: '%.*s' is not a number", line,
                        (int)(second.len < 40 ? second.len : 40), second.ptr);
    if (second.len && v < 0)
        return lmw_fail(err, LMW_EFORMAT,
                        "line %d: %lld is negative: neither an energy counter "
                        "nor a power is",
                        line, (long long)v);
    if (s->n && t_ns < series_at(s, s->n - 1)->t_ns)
        return lmw_fail(err, LMW_EFORMAT, "line %d: %lld ns is earlier than the line before", line,
                        (long long)t_ns);
    if (lmw_series_append(s, t_ns, second.len ? 0 : S_FAIL, v) < 0)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d samples", line);
    return LMW_OK;
}

int lmw_series_parse_csv(struct series *s, lmw_str text, struct lmw_err *err)
{
    struct csv c = {text.ptr, text.ptr + text.len, 0};
    lmw_str row;
    if (text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0)
        c.p += 3;
    while (next_line(&c, &row)) {
        int rc = row.len && row.ptr[0] != '#' ? parse_row(s, c.line, row, err) : LMW_OK;
        if (rc < 0)
            return rc;
    }
    return LMW_OK;
}

struct lmw_trace {
    struct series series;
    struct known_spans known;
};

int lmw_trace_open(struct lmw_trace **out, const struct lmw_source_info *info, struct lmw_err *err)
{
    struct lmw_source_info unknown = {
        .name = "trace", .period_ns = LMW_NULL, .resolution_uj = LMW_NULL};
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
