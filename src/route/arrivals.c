/* When queries arrive: drawn from a Gamma process, or read from somebody's trace. One at a time;
 * nothing is kept, so a day of any size costs the same memory.
 *
 * Inter-arrival times are Gamma(shape, 1 / (shape x rate)): shape 1 is a Poisson process, less is
 * burstier (variance / mean^2 = 1 / shape). BurstGPT (arXiv 2401.17644) finds its production
 * traces' arrivals to follow Gamma distributions with shapes well below 1. Draws by Marsaglia and
 * Tsang (2000), "A simple method for generating gamma variables".
 *
 * A trace is CSV with a header that names a time column (its unit by its name; or a date and time
 * of day, of its zone where one is written behind it) and, where it has them, the lengths in
 * tokens; the names of BurstGPT's and Azure's public traces are known. Times count from the first
 * row and may not run backwards. Refused: times that no clock tells (2^36 s are two thousand
 * years), which are of another unit than their column says. */
#include "route/arrivals.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"

enum { MAX_COLUMN = 256, MAX_FIELD = 64 };
static const double most_seconds = 6.8719476736e10;

/* ---- drawn ---- */

/* Gamma(shape >= 1, 1). */
static double gamma_from_one(struct lmw_rng *rng, double shape)
{
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = lmw_rng_normal(rng), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        double u = 1 - lmw_rng_unit(rng);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

/* Below 1: Gamma(shape + 1) x U^(1/shape), by the same paper. */
static double gamma_draw(struct lmw_rng *rng, double shape)
{
    if (shape == 1)
        return -log(1 - lmw_rng_unit(rng));
    if (shape > 1)
        return gamma_from_one(rng, shape);
    return gamma_from_one(rng, shape + 1) * pow(1 - lmw_rng_unit(rng), 1 / shape);
}

static int draw_next(struct arrivals *a, struct arrival *out)
{
    const struct lmw_traffic *t = a->traffic;
    a->t_s += gamma_draw(&a->rng, t->burstiness) / (t->burstiness * t->rate);
    *out = (struct arrival){a->t_s, (double)NAN, (double)NAN};
    return a->t_s < t->hours * 3600;
}

/* ---- read ---- */

/* A cell of a row, short enough to be a time, a length or their names; longer ones are cut, and
 * then none of those. */
typedef char field_text[MAX_FIELD];

/* The next cell; 0 behind the last, or what is wrong. The first has no comma before it. */
static int next_field(lmw_str *rest, bool first, field_text out, struct lmw_buf *spare,
                      struct lmw_err *err)
{
    struct lmw_csv_cell cell;
    if (!first && !rest->len)
        return 0;
    size_t skip = !first;
    while (skip < rest->len && (rest->ptr[skip] == ' ' || rest->ptr[skip] == '\t'))
        skip++;
    *rest = (lmw_str){rest->ptr + skip, rest->len - skip};
    int rc = lmw_csv_cell(rest, ',', &cell, spare, err);
    if (rc < 0)
        return rc;
    lmw_str text = lmw_str_trim(cell.text);
    snprintf(out, MAX_FIELD, "%.*s", LMW_FMT(text));
    return 1;
}

static const struct {
    const char *name;
    enum arrival_column column;
    double scale; /* of a time: to seconds */
} known_columns[] = {
    {"timestamp", ARRIVAL_TIME, 1},
    {"t_s", ARRIVAL_TIME, 1},
    {"time", ARRIVAL_TIME, 1},
    {"t_ms", ARRIVAL_TIME, 1e-3},
    {"timestamp_ms", ARRIVAL_TIME, 1e-3},
    {"t_us", ARRIVAL_TIME, 1e-6},
    {"timestamp_us", ARRIVAL_TIME, 1e-6},
    {"t_ns", ARRIVAL_TIME, 1e-9},
    {"timestamp_ns", ARRIVAL_TIME, 1e-9},
    {"t_start_ns", ARRIVAL_TIME, 1e-9},
    {"arrival_time", ARRIVAL_TIME, 1},
    {"request tokens", ARRIVAL_ASKED, 0},
    {"contexttokens", ARRIVAL_ASKED, 0},
    {"prompt_tokens", ARRIVAL_ASKED, 0},
    {"input_tokens", ARRIVAL_ASKED, 0},
    {"response tokens", ARRIVAL_TOLD, 0},
    {"generatedtokens", ARRIVAL_TOLD, 0},
    {"completion_tokens", ARRIVAL_TOLD, 0},
    {"output_tokens", ARRIVAL_TOLD, 0},
};

static void take_name(struct arrivals *a, const char *name, int at)
{
    for (size_t k = 0; k < sizeof known_columns / sizeof *known_columns; k++) {
        enum arrival_column c = known_columns[k].column;
        if (a->column[c] >= 0 || strcasecmp(name, known_columns[k].name) != 0)
            continue;
        a->column[c] = at;
        a->scale = c == ARRIVAL_TIME ? known_columns[k].scale : a->scale;
    }
}

static int read_header(struct arrivals *a, lmw_str row, struct lmw_buf *spare, struct lmw_err *err)
{
    field_text name;
    int rc;
    for (int i = 0; i < ARRIVAL_COLUMNS; i++)
        a->column[i] = -1;
    for (int at = 0; (rc = next_field(&row, at == 0, name, spare, err)) > 0; at++) {
        if (at == MAX_COLUMN)
            return lmw_fail(err, LMW_EFORMAT, "over %d columns", MAX_COLUMN);
        take_name(a, name, at);
    }
    if (rc == LMW_OK && a->column[ARRIVAL_TIME] < 0)
        return lmw_fail(err, LMW_EFORMAT,
                        "no column of times in the header: call it timestamp (seconds, or date "
                        "and time), t_ms, t_us or t_ns");
    return rc;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar: years begin in March, so that a leap
 * day is the last of its year. */
static int64_t days_of(int year, int month, int day)
{
    int y = year - (month < 3), m = (month + 9) % 12;
    int64_t leaps = y / 4 - y / 100 + y / 400;
    return 365LL * y + leaps + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool is_day(int year, int month, int day)
{
    return year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days_of(year + month / 12, month % 12 + 1, 1) - days_of(year, month, 1);
}

/* Up to `most` digits. */
static bool take_digits(const char **s, int most, int *out)
{
    const char *from = *s;
    for (*out = 0; isdigit((unsigned char)**s) && *s - from < most; ++*s)
        *out = 10 * *out + (**s - '0');
    return *s > from;
}

static bool take_one_of(const char **s, const char *any)
{
    bool is_one = **s && strchr(any, **s);
    *s += is_one;
    return is_one;
}

/* Seconds east of Greenwich: "", "Z", "+02", "+0200", "+02:00". */
static bool read_zone(const char *s, double *out)
{
    int hours = 0, minutes = 0, sign = *s == '-' ? -1 : 1;
    *out = 0;
    if (!*s || strcmp(s, "Z") == 0)
        return true;
    if (!take_one_of(&s, "+-") || !take_digits(&s, 2, &hours))
        return false;
    bool has_colon = take_one_of(&s, ":"), has_minutes = take_digits(&s, 2, &minutes);
    *out = sign * (hours * 3600.0 + minutes * 60.0);
    return (has_minutes || !has_colon) && !*s && hours < 24 && minutes < 60;
}

/* "2023-11-16 18:17:03.98", with T as well, and a zone; a minute may have a leap second. */
static bool read_date(const char *s, double *out)
{
    int year, month, day, hour, minute;
    char *end;
    double zone;
    if (!take_digits(&s, 4, &year) || !take_one_of(&s, "-") || !take_digits(&s, 2, &month) ||
        !take_one_of(&s, "-") || !take_digits(&s, 2, &day) || !take_one_of(&s, " T") ||
        !take_digits(&s, 2, &hour) || !take_one_of(&s, ":") || !take_digits(&s, 2, &minute) ||
        !take_one_of(&s, ":") || !isdigit((unsigned char)*s))
        return false;
    double second = strtod(s, &end);
    if (end != s + strspn(s, "0123456789.") || !is_day(year, month, day) || hour > 23 ||
        minute > 59 || second >= 61 || !read_zone(end, &zone))
        return false;
    *out = (double)days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone;
    return true;
}

static bool read_time(const char *s, double scale, double *out)
{
    char *end;
    if (read_date(s, out))
        return true;
    *out = strtod(s, &end) * scale;
    return end != s && !*end && isfinite(*out);
}

static bool read_length(const char *s, double *out)
{
    char *end;
    *out = (double)NAN;
    if (!*s)
        return true;
    *out = strtod(s, &end);
    return end != s && !*end && *out >= 0 && isfinite(*out);
}

/* One of the row's cells, where it is looked at. */
static int take_field(struct arrivals *a, const char *text, int at, double *time,
                      struct arrival *out, struct lmw_err *err)
{
    bool ok = true;
    if (at == a->column[ARRIVAL_TIME])
        ok = read_time(text, a->scale, time);
    else if (at == a->column[ARRIVAL_ASKED])
        ok = read_length(text, &out->asked);
    else if (at == a->column[ARRIVAL_TOLD])
        ok = read_length(text, &out->told);
    if (!ok)
        return lmw_fail(err, LMW_EFORMAT, "'%.40s' is not a %s", text,
                        at == a->column[ARRIVAL_TIME] ? "time" : "length in tokens");
    if (at == a->column[ARRIVAL_TIME] && fabs(*time) > most_seconds)
        return lmw_fail(err, LMW_EFORMAT,
                        "'%.40s' is no time of these centuries: call the column t_ms, t_us or "
                        "t_ns, as its unit is",
                        text);
    return LMW_OK;
}

static int read_row(struct arrivals *a, lmw_str row, struct arrival *out, struct lmw_buf *spare,
                    struct lmw_err *err)
{
    double time = (double)NAN;
    field_text text;
    int rc;
    *out = (struct arrival){(double)NAN, (double)NAN, (double)NAN};
    for (int at = 0; (rc = next_field(&row, at == 0, text, spare, err)) > 0; at++) {
        if ((rc = take_field(a, text, at, &time, out, err)) < 0)
            return rc;
    }
    if (rc < 0)
        return rc;
    if (isnan(time))
        return lmw_fail(err, LMW_EFORMAT, "no time");
    a->first_s = a->n == 0 ? time : a->first_s;
    out->t_s = time - a->first_s;
    if (out->t_s < a->t_s)
        return lmw_fail(err, LMW_EFORMAT,
                        "its time is earlier than the line before: sort the trace by time");
    a->t_s = out->t_s;
    return 1;
}

/* The next row that is not empty, without its line end; in quotes it may have several lines. 0 at
 * the end. */
static int next_row(struct arrivals *a, lmw_str *out, struct lmw_err *err)
{
    struct lmw_csv_row row = {0};
    size_t n = 0;
    while (fgets(a->row + n, (int)(sizeof a->row - n), a->file)) {
        lmw_str line = lmw_str_from(a->row + n);
        a->first_line = n ? a->first_line : a->line + 1;
        a->line++;
        n += line.len;
        if (n == sizeof a->row - 1 && a->row[n - 1] != '\n')
            return lmw_fail(err, LMW_EFORMAT, "longer than %zu bytes", sizeof a->row - 2);
        if (!lmw_csv_row_end(&row, line, ',') && row.in_quotes)
            continue;
        *out = lmw_str_trim((lmw_str){a->row, n});
        if (out->len)
            return 1;
        n = 0;
        row = (struct lmw_csv_row){0};
    }
    *out = (lmw_str){a->row, n};
    return ferror(a->file) ? lmw_fail_errno(err, "reading the trace") : n > 0;
}

static int read_next(struct arrivals *a, struct arrival *out, struct lmw_err *err)
{
    struct lmw_buf spare = {0};
    lmw_str row;
    int rc = next_row(a, &row, err);
    if (rc > 0 && a->n == 0) {
        rc = read_header(a, lmw_str_unmark(row), &spare, err);
        rc = rc < 0 ? rc : next_row(a, &row, err);
    }
    if (rc > 0)
        rc = read_row(a, row, out, &spare, err);
    lmw_buf_free(&spare);
    return rc < 0 ? lmw_wrap(err, "line %lld", (long long)a->first_line) : rc;
}

/* ---- either ---- */

int lmw_arrivals_open(struct arrivals *a, const struct lmw_traffic *t, FILE *file,
                      struct lmw_err *err)
{
    *a = (struct arrivals){.traffic = t, .file = file};
    lmw_rng_init(&a->rng, t->seed);
    if (file)
        return LMW_OK;
    if (t->trace) {
        a->file = fopen(t->trace, "r");
        return a->file ? LMW_OK : lmw_fail_errno(err, "cannot open %s", t->trace);
    }
    if (!(t->rate > 0 && t->hours > 0 && t->burstiness > 0))
        return lmw_fail(err, LMW_EARG, "rate, hours and burstiness must be over 0");
    return LMW_OK;
}

int lmw_arrivals_next(struct arrivals *a, struct arrival *out, struct lmw_err *err)
{
    if (a->traffic->limit > 0 && a->n >= a->traffic->limit)
        return 0;
    int rc = a->file ? read_next(a, out, err) : draw_next(a, out);
    if (rc < 0 && a->traffic->trace)
        return lmw_wrap(err, "%s", a->traffic->trace);
    a->n += rc > 0;
    return rc;
}

void lmw_arrivals_close(struct arrivals *a)
{
    if (a->file && a->traffic->trace)
        fclose(a->file);
}
