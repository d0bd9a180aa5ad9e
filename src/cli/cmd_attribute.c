/* lmwatt attribute: the meter's arithmetic on anybody's power log and anybody's queries.
 *
 * Two CSV files: a trace (t_ns,energy_uj or t_ns,power_mw) and spans
 * (id,start_ns,first_token_ns,end_ns; the columns may come in any order, first_token_ns may be
 * empty or missing). One line out for each span, in the order of the file; energies are null with
 * a reason where the trace cannot tell.
 *
 * With steps of a known load (t_ns,load), timed by the spans' clock, the trace may have another:
 * the offset is found, the spans are moved by it, and their bounds hold at both ends of its
 * uncertainty. */
#include "base/file.h"
#include "cli/cli.h"
#include "cli/model_opts.h"
#include "meter/meter.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { COL_ID, COL_START, COL_FIRST, COL_END, COL_TOKENS, N_COL };
enum { MAX_STEP = 1000 };

struct spans {
    struct lmw_span *v;
    lmw_str *id;    /* into the file's text */
    double *tokens; /* of each, where all say: what overlapping ones are shared by */
    bool some_silent;
    size_t n, cap;
};

struct steps {
    struct lmw_step v[MAX_STEP];
    int n;
};

struct job {
    const char *trace, *spans_path, *steps_path;
    struct lmw_source_info info;
    bool json;
    struct lmw_buf samples, spans_text, steps_text;
    struct spans spans;
    struct steps steps;
    struct lmw_offset clock; /* zero without steps */
};

static lmw_str text_of(const struct lmw_buf *b)
{
    return lmw_str_unmark((lmw_str){b->ptr, b->len});
}

/* The next line, trimmed; the text goes on behind it. */
static lmw_str next_line(lmw_str *text)
{
    const char *eol = memchr(text->ptr, '\n', text->len);
    size_t n = eol ? (size_t)(eol - text->ptr) : text->len;
    lmw_str line = lmw_str_trim((lmw_str){text->ptr, n});
    *text = (lmw_str){text->ptr + n + !!eol, text->len - n - !!eol};
    return line;
}

/* The next field of a line, quotes around it removed. */
static lmw_str next_field(lmw_str *line)
{
    const char *comma = memchr(line->ptr, ',', line->len);
    size_t n = comma ? (size_t)(comma - line->ptr) : line->len, skip = comma ? n + 1 : n;
    lmw_str f = lmw_str_trim((lmw_str){line->ptr, n});
    *line = (lmw_str){line->ptr + skip, line->len - skip};
    if (f.len >= 2 && f.ptr[0] == '"' && f.ptr[f.len - 1] == '"')
        f = (lmw_str){f.ptr + 1, f.len - 2};
    return f;
}

/* Where each column is; the standard order when the first line is not a header. */
static bool read_header(lmw_str line, int order[N_COL])
{
    static const char *const names[N_COL] = {"id", "start_ns", "first_token_ns", "end_ns",
                                             "tokens"};
    int found = 0;
    for (int k = 0; k < N_COL; k++)
        order[k] = -1;
    for (int at = 0; line.len; at++) {
        lmw_str f = next_field(&line);
        for (int k = 0; k < N_COL; k++) {
            if (lmw_str_is(f, names[k])) {
                order[k] = at;
                found++;
            }
        }
    }
    if (found)
        return true;
    for (int k = 0; k < N_COL; k++)
        order[k] = k;
    return false;
}

static int read_time(lmw_str f, const char *what, int line, int64_t *out, struct lmw_err *err)
{
    char text[32], *end;
    snprintf(text, sizeof text, "%.*s", LMW_FMT(f));
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (f.len == 0 || f.len >= sizeof text || *end || errno)
        return lmw_fail(err, LMW_EFORMAT, "line %d: %s is '%.*s', not a time in ns", line, what,
                        (int)(f.len < 40 ? f.len : 40), f.ptr);
    return LMW_OK;
}

static int read_tokens(struct spans *s, lmw_str f, int n_line, struct lmw_err *err)
{
    char text[32], *end;
    s->some_silent |= f.len == 0;
    if (f.len == 0)
        return LMW_OK;
    snprintf(text, sizeof text, "%.*s", (int)(f.len < 31 ? f.len : 31), f.ptr);
    s->tokens[s->n] = strtod(text, &end);
    return end != text && !*end && s->tokens[s->n] >= 0 && isfinite(s->tokens[s->n])
               ? LMW_OK
               : lmw_fail(err, LMW_EFORMAT, "line %d: tokens is '%s', not a count", n_line, text);
}

static int add_span(struct spans *s, lmw_str line, int n_line, const int order[N_COL],
                    struct lmw_err *err)
{
    lmw_str field[N_COL] = {{0}};
    for (int at = 0; line.len; at++) {
        lmw_str f = next_field(&line);
        for (int k = 0; k < N_COL; k++) {
            if (order[k] == at)
                field[k] = f;
        }
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        struct lmw_span *v = realloc(s->v, cap * sizeof *v);
        s->v = v ? v : s->v;
        lmw_str *id = realloc(s->id, cap * sizeof *id);
        s->id = id ? id : s->id;
        double *tokens = realloc(s->tokens, cap * sizeof *tokens);
        s->tokens = tokens ? tokens : s->tokens;
        if (!v || !id || !tokens)
            return lmw_fail(err, LMW_ENOMEM, "no memory for %zu spans", cap);
        s->cap = cap;
    }
    struct lmw_span *x = &s->v[s->n];
    int rc = read_time(field[COL_START], "start_ns", n_line, &x->start_ns, err);
    if (rc == LMW_OK)
        rc = read_time(field[COL_END], "end_ns", n_line, &x->end_ns, err);
    x->first_ns = LMW_NULL;
    if (rc == LMW_OK && field[COL_FIRST].len && !lmw_str_is(field[COL_FIRST], "null"))
        rc = read_time(field[COL_FIRST], "first_token_ns", n_line, &x->first_ns, err);
    if (rc == LMW_OK &&
        (x->end_ns < x->start_ns ||
         (x->first_ns != LMW_NULL && (x->first_ns < x->start_ns || x->first_ns > x->end_ns))))
        rc =
            lmw_fail(err, LMW_EFORMAT,
                     "line %d: start_ns, first_token_ns and end_ns must be in that order", n_line);
    if (rc == LMW_OK)
        rc = read_tokens(s, field[COL_TOKENS], n_line, err);
    s->id[s->n++] = field[COL_ID];
    return rc;
}

static int read_spans(struct spans *s, lmw_str text, struct lmw_err *err)
{
    int order[N_COL], rc = LMW_OK;
    bool begun = false;
    for (int n_line = 1; text.len && rc == LMW_OK; n_line++) {
        lmw_str line = next_line(&text);
        if (!line.len || line.ptr[0] == '#')
            continue;
        bool header = !begun && read_header(line, order);
        begun = true;
        if (header && (order[COL_START] < 0 || order[COL_END] < 0))
            return lmw_fail(err, LMW_EFORMAT,
                            "line %d: the columns start_ns and end_ns are needed", n_line);
        if (!header)
            rc = add_span(s, line, n_line, order, err);
    }
    return rc;
}

static json_t *int_or_null(int64_t v)
{
    return v == LMW_NULL ? json_null() : json_integer(v);
}

/* ---- the clock ---- */

/* Rows `t_ns,load`, with or without that header. */
static int add_step(struct steps *s, lmw_str line, int n_line, struct lmw_err *err)
{
    lmw_str time = next_field(&line), load = next_field(&line);
    char text[32], *end;
    if (s->n == 0 && lmw_str_is(time, "t_ns"))
        return LMW_OK;
    if (s->n == MAX_STEP)
        return lmw_fail(err, LMW_EFORMAT, "line %d: more than %d steps", n_line, MAX_STEP);
    int rc = read_time(time, "t_ns", n_line, &s->v[s->n].t_ns, err);
    if (rc < 0)
        return rc;
    snprintf(text, sizeof text, "%.*s", (int)(load.len < 31 ? load.len : 31), load.ptr);
    s->v[s->n].load = strtod(text, &end);
    if (end == text || *end)
        return lmw_fail(err, LMW_EFORMAT, "line %d: load is '%s', not a number", n_line, text);
    s->n++;
    return LMW_OK;
}

static int read_steps(struct steps *s, lmw_str text, struct lmw_err *err)
{
    int rc = LMW_OK;
    for (int n_line = 1; text.len && rc == LMW_OK; n_line++) {
        lmw_str line = next_line(&text);
        if (line.len && line.ptr[0] != '#')
            rc = add_step(s, line, n_line, err);
    }
    return rc;
}

static int print_clock(const struct lmw_offset *o, bool json)
{
    if (json)
        return cli_json_print(json_pack("{s:I, s:I, s:f}", "clock_offset_ns",
                                        (json_int_t)o->offset_ns, "clock_error_ns",
                                        (json_int_t)o->error_ns, "clock_r2", o->r2));
    printf("the trace's clock is ahead by %.6f s, +- %.6f s (r2 %.3f)\n",
           (double)o->offset_ns * 1e-9, (double)o->error_ns * 1e-9, o->r2);
    return 0;
}

/* ---- the spans ---- */

static json_t *span_json(lmw_str id, const struct lmw_energy *e, const struct lmw_offset *o)
{
    bool v = e->valid;
    json_t *row = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:s, s:o, s:i, s:i, s:i, s:I}", "id",
        id.ptr ? cli_json_text(id) : json_null(), "energy_uj",
        int_or_null(v ? e->energy_uj : LMW_NULL), "energy_prefill_uj",
        int_or_null(v ? e->prefill_uj : LMW_NULL), "energy_decode_uj",
        int_or_null(v ? e->decode_uj : LMW_NULL), "energy_lower_uj",
        int_or_null(v ? e->lower_uj : LMW_NULL), "energy_upper_uj",
        int_or_null(v ? e->upper_uj : LMW_NULL), "energy_valid", v, "energy_reason",
        v ? json_null() : json_string(e->reason), "energy_method", e->method, "power_mean_mw",
        int_or_null(v ? e->power_mean_mw : LMW_NULL), "samples", e->n_sample, "wraps", e->n_wrap,
        "resets", e->n_reset, "gap_ns", (json_int_t)e->gap_ns);
    if (o) {
        json_object_set_new(row, "clock_offset_ns", json_integer(o->offset_ns));
        json_object_set_new(row, "clock_error_ns", json_integer(o->error_ns));
    }
    return row;
}

static void print_row(lmw_str id, const struct lmw_energy *e)
{
    printf("%-20.*s ", (int)(id.len < 40 ? id.len : 40), id.ptr ? id.ptr : "");
    if (e->valid)
        printf("%12.6f J  %12.6f to %.6f\n", (double)e->energy_uj * 1e-6,
               (double)e->lower_uj * 1e-6, (double)e->upper_uj * 1e-6);
    else
        printf("%12s    %s\n", "-", e->reason);
}

/* A time no clock has stays without one: the span is then refused. */
static int64_t shifted(int64_t t_ns, int64_t ns)
{
    return t_ns == LMW_NULL || __builtin_add_overflow(t_ns, ns, &t_ns) ? LMW_NULL : t_ns;
}

/* Joules of every span, moved to the trace's clock by shift_ns. */
static int attribute(struct lmw_trace *t, const struct spans *s, int64_t shift_ns,
                     struct lmw_energy *out, struct lmw_err *err)
{
    struct lmw_span *moved = calloc(s->n + 1, sizeof *moved);
    if (!moved)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu spans", s->n);
    for (size_t i = 0; i < s->n; i++)
        moved[i] = (struct lmw_span){shifted(s->v[i].start_ns, shift_ns),
                                     shifted(s->v[i].first_ns, shift_ns),
                                     shifted(s->v[i].end_ns, shift_ns)};
    int rc = lmw_trace_share(t, moved, s->some_silent ? NULL : s->tokens, (int)s->n, out, err);
    free(moved);
    return rc;
}

static int open_trace(struct lmw_trace **t, const struct job *j, struct lmw_err *err)
{
    int rc = lmw_trace_open(t, &j->info, err);
    if (rc == LMW_OK &&
        (rc = lmw_trace_csv(*t, (lmw_str){j->samples.ptr, j->samples.len}, err)) < 0)
        return lmw_wrap(err, "%s", j->trace);
    if (rc == LMW_OK && lmw_trace_n(*t) == 0)
        return lmw_fail(err, LMW_EFORMAT, "%s holds no samples", j->trace);
    return rc;
}

/* The bounds hold wherever in its uncertainty the clock is: those of the spans at its ends too. */
static int widen(const struct job *j, struct lmw_energy *out, struct lmw_err *err)
{
    struct lmw_energy *at = calloc(j->spans.n, sizeof *at);
    int rc = at ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for %zu spans", j->spans.n);
    for (int side = -1; side <= 1 && rc == LMW_OK; side += 2) {
        struct lmw_trace *t = NULL;
        rc = open_trace(&t, j, err);
        if (rc == LMW_OK)
            rc = attribute(t, &j->spans, j->clock.offset_ns + side * j->clock.error_ns, at, err);
        for (size_t i = 0; i < j->spans.n && rc == LMW_OK; i++) {
            if (at[i].valid && at[i].lower_uj < out[i].lower_uj)
                out[i].lower_uj = at[i].lower_uj;
            if (at[i].valid && at[i].upper_uj > out[i].upper_uj)
                out[i].upper_uj = at[i].upper_uj;
        }
        lmw_trace_close(t);
    }
    free(at);
    return rc;
}

static int print_spans(const struct job *j, const struct lmw_energy *e, struct lmw_err *err)
{
    for (size_t i = 0; i < j->spans.n; i++) {
        if (!j->json)
            print_row(j->spans.id[i], &e[i]);
        else if (cli_json_print(span_json(j->spans.id[i], &e[i], j->steps.n ? &j->clock : NULL)))
            return lmw_fail(err, LMW_EIO, "cannot write the answer");
    }
    return LMW_OK;
}

static int do_spans(struct job *j, struct lmw_trace *t, struct lmw_err *err)
{
    struct lmw_energy *e = calloc(j->spans.n + 1, sizeof *e);
    int rc = e ? attribute(t, &j->spans, j->clock.offset_ns, e, err)
               : lmw_fail(err, LMW_ENOMEM, "no memory for %zu spans", j->spans.n);
    if (rc == LMW_OK && j->clock.error_ns > 0)
        rc = widen(j, e, err);
    if (rc == LMW_OK)
        rc = print_spans(j, e, err);
    free(e);
    return rc;
}

static int find_clock(struct job *j, const struct lmw_trace *t, struct lmw_err *err)
{
    int rc = lmw_offset_by_step(t, j->steps.v, j->steps.n, &j->clock, err);
    if (rc < 0)
        return lmw_wrap(err, "%s", j->steps_path);
    if ((!j->json || !j->spans_path) && print_clock(&j->clock, j->json) != 0)
        return lmw_fail(err, LMW_EIO, "cannot write the answer");
    return LMW_OK;
}

static int read_inputs(struct job *j, struct lmw_err *err)
{
    int rc = lmw_file_read(j->trace, (size_t)2 << 30, &j->samples, err);
    if (rc == LMW_OK && j->spans_path)
        rc = lmw_file_read(j->spans_path, (size_t)1 << 30, &j->spans_text, err);
    if (rc == LMW_OK && (rc = read_spans(&j->spans, text_of(&j->spans_text), err)) < 0)
        lmw_wrap(err, "%s", j->spans_path);
    if (rc == LMW_OK && j->steps_path)
        rc = lmw_file_read(j->steps_path, (size_t)1 << 20, &j->steps_text, err);
    if (rc == LMW_OK && (rc = read_steps(&j->steps, text_of(&j->steps_text), err)) < 0)
        lmw_wrap(err, "%s", j->steps_path);
    return rc;
}

static int run(struct job *j, struct lmw_err *err)
{
    struct lmw_trace *t = NULL;
    int rc = read_inputs(j, err);
    if (rc == LMW_OK)
        rc = open_trace(&t, j, err);
    if (rc == LMW_OK && j->steps_path)
        rc = find_clock(j, t, err);
    if (rc == LMW_OK && j->spans_path)
        rc = do_spans(j, t, err);
    lmw_trace_close(t);
    lmw_buf_free(&j->samples);
    lmw_buf_free(&j->spans_text);
    lmw_buf_free(&j->steps_text);
    free(j->spans.v);
    free(j->spans.id);
    free(j->spans.tokens);
    return rc;
}

int cmd_attribute(int argc, char **argv)
{
    int64_t wrap_uj = 0, max_power_mw = 0;
    double period_ms = 0, window_ms = -1;
    struct job *j = calloc(1, sizeof *j);
    struct lmw_err err = {0};
    if (!j) {
        lmw_fail(&err, LMW_ENOMEM, "no memory");
        return cli_fail(&err);
    }
    const struct opt opts[] = {
        {"trace", 0, OPT_STR, &j->trace, "FILE",
         "CSV of t_ns,energy_uj or t_ns,power_mw (or timestamp_ns,joules or ,watts)"},
        {"spans", 0, OPT_STR, &j->spans_path, "FILE",
         "CSV of id,start_ns,first_token_ns,end_ns and, if you like, tokens"},
        {"steps", 0, OPT_STR, &j->steps_path, "FILE",
         "CSV of t_ns,load: known load by the spans' clock; finds the trace's clock"},
        {"wrap-uj", 0, OPT_INT, &wrap_uj, "N", "the counter goes back to 0 after N uJ"},
        {"period-ms", 0, OPT_REAL, &period_ms, "MS",
         "how often the counter updates (default: learned from the trace)"},
        {"window-ms", 0, OPT_REAL, &window_ms, "MS",
         "powers are means of so long, 0: of the moment (default: not known)"},
        {"max-power-mw", 0, OPT_INT, &max_power_mw, "N",
         "more than the rail can draw: tells wraps from resets (default: learned)"},
        {"json", 0, OPT_FLAG, &j->json, NULL, "one JSON object a span"},
        {0}};
    const struct command_help help = {
        "lmwatt attribute --trace FILE --spans FILE [OPTIONS]",
        "Joules of queries from a power log, by the meter's own arithmetic: energy between a\n"
        "counter's updates is reconstructed with the queries' edges as change points. With --steps\n"
        "the log may have a clock of its own; without --spans that clock is all there is to say. Queries\n"
        "that overlap share the energy of the time they have in common.",
        "lmwatt attribute --trace power.csv --spans queries.csv --json"};
    int rc = opts_parse(opts, &help, argc, argv, NULL);
    if (rc < 0 && (!j->trace || !(j->spans_path || j->steps_path)))
        rc = cli_usage(argv[0], "--%s is needed", j->trace ? "spans" : "trace");
    if (rc < 0 && (wrap_uj < 0 || max_power_mw < 0 || !(period_ms >= 0 && period_ms < 1e9)))
        rc = cli_usage(argv[0], "--wrap-uj, --max-power-mw and --period-ms cannot be negative");
    if (rc < 0 && !(window_ms >= -1 && window_ms <= 3600000))
        rc = cli_usage(argv[0], "--window-ms takes 0 to an hour");
    j->info = (struct lmw_source_info){
        .name = "trace",
        .wrap_uj = wrap_uj,
        .max_power_mw = max_power_mw,
        .period_ns = period_ms > 0 ? (int64_t)(period_ms * 1e6) : LMW_NULL,
        .window_ns = window_ms >= 0 ? (int64_t)(window_ms * 1e6) : LMW_NULL,
        .resolution_uj = LMW_NULL};
    if (rc < 0)
        rc = run(j, &err) < 0 ? cli_fail(&err) : 0;
    free(j);
    return rc;
}
