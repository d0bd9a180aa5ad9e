/* The event stream of the WHATWG HTML standard (section 9.2, "Server-sent events"), as far as
 * answers come in it: data fields; names, ids and comments are passed over. Where the standard
 * drops an event that the stream ends in the middle of, this hands it out: servers that close
 * without a last blank line are common, and whether it is whole shows when it is read.
 * llama-server before September 2025 (llama.cpp#16109) told what went wrong in a field of its own,
 * `error: {...}`: that is handed out as it is told since, the data {"error":{...}}.
 *
 * Invariant: what comes out does not depend on where the stream was cut into pieces. Refuses lines
 * and events over LMW_LINE_MAX. Bytes need not be UTF-8. */
#include "backend/sse.h"

static void empty(struct lmw_buf *b)
{
    b->len = 0;
    b->failed = false;
}

static int hold(struct lmw_buf *b, lmw_str s, struct lmw_err *err)
{
    if (s.len > LMW_LINE_MAX || b->len + s.len > LMW_LINE_MAX)
        return lmw_fail(err, LMW_EFORMAT, "a line of its stream is over %zu MB",
                        LMW_LINE_MAX >> 20);
    lmw_buf_put(b, s.ptr, s.len);
    return b->failed ? lmw_fail(err, LMW_ENOMEM, "no memory for a line of %zu bytes", s.len) : 0;
}

/* --- lines --- */

static size_t end_of_line(lmw_str s)
{
    size_t n = 0;
    while (n < s.len && s.ptr[n] != '\n' && s.ptr[n] != '\r')
        n++;
    return n;
}

static void skip(lmw_str *s, size_t n)
{
    s->ptr += n;
    s->len -= n;
}

int lmw_lines_next(struct lmw_lines *l, lmw_str *in, lmw_str *line, struct lmw_err *err)
{
    if (l->given)
        empty(&l->held);
    l->given = false;
    if (in->len == 0)
        return 0;
    if (l->after_cr)
        skip(in, in->ptr[0] == '\n');
    lmw_str found = {in->ptr, end_of_line(*in)};
    bool ends = found.len < in->len;
    l->given = ends;
    l->after_cr = ends && in->ptr[found.len] == '\r';
    skip(in, found.len + ends);
    if (!ends || l->held.len > 0) {
        int rc = hold(&l->held, found, err);
        if (rc < 0)
            return rc;
        if (ends)
            found = (lmw_str){l->held.ptr, l->held.len};
    }
    if (ends)
        *line = found;
    return ends;
}

int lmw_lines_end(struct lmw_lines *l, lmw_str *line)
{
    if (l->given || l->held.len == 0)
        return 0;
    l->given = true;
    *line = (lmw_str){l->held.ptr, l->held.len};
    return 1;
}

void lmw_lines_reset(struct lmw_lines *l)
{
    empty(&l->held);
    l->after_cr = l->given = false;
}

void lmw_lines_free(struct lmw_lines *l)
{
    lmw_buf_free(&l->held);
    *l = (struct lmw_lines){0};
}

/* --- events --- */

/* A field's value when the line is `name: value`, one space after the colon dropped. */
static bool is_field(lmw_str line, const char *name, lmw_str *value)
{
    size_t n = strlen(name);
    if (!lmw_str_starts(line, name) || (line.len > n && line.ptr[n] != ':'))
        return false;
    skip(&line, line.len > n ? n + 1 : n);
    skip(&line, line.len > 0 && line.ptr[0] == ' ');
    *value = line;
    return true;
}

/* 1: the line ended an event. */
static int take_line(struct lmw_sse *s, lmw_str line, lmw_str *data, struct lmw_err *err)
{
    lmw_str value;
    if (!s->begun)
        line = lmw_str_unmark(line);
    s->begun = true;
    if (line.len == 0 && s->has_data) {
        s->given = true;
        *data = (lmw_str){s->data.ptr, s->data.len};
        return 1;
    }
    bool is_error = is_field(line, "error", &value);
    if (!is_error && !is_field(line, "data", &value))
        return 0;
    int rc = s->has_data ? hold(&s->data, LMW_STR("\n"), err) : 0;
    s->has_data = true;
    if (rc == 0 && is_error)
        rc = hold(&s->data, LMW_STR("{\"error\":"), err);
    if (rc == 0)
        rc = hold(&s->data, value, err);
    return rc == 0 && is_error ? hold(&s->data, LMW_STR("}"), err) : rc;
}

static void forget_given(struct lmw_sse *s)
{
    if (!s->given)
        return;
    empty(&s->data);
    s->has_data = s->given = false;
}

int lmw_sse_next(struct lmw_sse *s, lmw_str *in, lmw_str *data, struct lmw_err *err)
{
    lmw_str line;
    int rc;
    forget_given(s);
    while ((rc = lmw_lines_next(&s->lines, in, &line, err)) == 1)
        if ((rc = take_line(s, line, data, err)) != 0)
            break;
    return rc;
}

int lmw_sse_end(struct lmw_sse *s, lmw_str *data, struct lmw_err *err)
{
    lmw_str line;
    forget_given(s);
    if (lmw_lines_end(&s->lines, &line)) {
        int rc = take_line(s, line, data, err);
        if (rc < 0)
            return rc;
    }
    return s->has_data ? take_line(s, LMW_STR(""), data, err) : 0;
}

void lmw_sse_reset(struct lmw_sse *s)
{
    lmw_lines_reset(&s->lines);
    empty(&s->data);
    s->has_data = s->given = s->begun = false;
}

void lmw_sse_free(struct lmw_sse *s)
{
    lmw_lines_free(&s->lines);
    lmw_buf_free(&s->data);
    *s = (struct lmw_sse){0};
}
