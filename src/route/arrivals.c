/* When queries arrive: drawn from a Gamma process, or read from somebody's trace. One at a time;
 * nothing is kept, so a day of any size costs the same memory.
 *
 * Inter-arrival times are Gamma(shape, 1 / (shape x rate)): shape 1 is a Poisson process, less is
 * burstier (variance / mean^2 = 1 / shape). BurstGPT (arXiv 2401.17644) finds its production
 * traces' arrivals to follow Gamma distributions with shapes well below 1. Draws by Marsaglia and
 * Tsang (2000), "A simple method for generating gamma variables".
 *
 * A trace is CSV with a header that names a time column (seconds, t_ns for nanoseconds, or a date
 * and time of day) and, where it has them, the lengths in tokens; the names of BurstGPT's and
 * Azure's public traces are known. Times count from the first row and may not run backwards. */
#include "route/arrivals.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 4096, MAX_COLUMN = 64 };

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

/* The next field, without quotes; *line goes behind its comma. NULL at the end. */
static char *next_field(char **line)
{
    char *p = *line, *comma;
    if (!p)
        return NULL;
    if ((comma = strchr(p, ',')))
        *comma++ = 0;
    *line = comma;
    while (isspace((unsigned char)*p) || *p == '"')
        p++;
    size_t n = strlen(p);
    while (n && (isspace((unsigned char)p[n - 1]) || p[n - 1] == '"'))
        p[--n] = 0;
    return p;
}

static const struct {
    const char *name;
    enum arrival_column column;
    double scale; /* of a time: to seconds */
} known_columns[] = {
    {"timestamp", ARRIVAL_TIME, 1},
    {"t_s", ARRIVAL_TIME, 1},
    {"time", ARRIVAL_TIME, 1},
    {"t_ns", ARRIVAL_TIME, 1e-9},
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

static int read_header(struct arrivals *a, char *line, struct lmw_err *err)
{
    for (int i = 0; i < ARRIVAL_COLUMNS; i++)
        a->column[i] = -1;
    char *field;
    for (int at = 0; at < MAX_COLUMN && (field = next_field(&line)); at++) {
        for (size_t k = 0; k < sizeof known_columns / sizeof *known_columns; k++) {
            enum arrival_column c = known_columns[k].column;
            if (a->column[c] >= 0 || strcasecmp(field, known_columns[k].name) != 0)
                continue;
            a->column[c] = at;
            a->scale = c == ARRIVAL_TIME ? known_columns[k].scale : a->scale;
        }
    }
    if (a->column[ARRIVAL_TIME] < 0)
        return lmw_fail(err, LMW_EFORMAT,
                        "line %lld: no column of times in the header: call it timestamp (seconds) "
                        "or t_ns",
                        (long long)a->line);
    return LMW_OK;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar: years begin in March, so that a leap
 * day is the last of its year. */
static int64_t days_of(int year, int month, int day)
{
    int y = year - (month < 3), m = (month + 9) % 12;
    int64_t leaps = y / 4 - y / 100 + y / 400;
    return 365LL * y + leaps + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* Year, month, day, hour, minute, second; false where it is no such text. */
static bool read_date(const char *s, double part[6])
{
    static const char *const ends[6] = {"-", "-", " T", ":", ":", ""};
    for (int k = 0; k < 6; k++) {
        char *end;
        part[k] = strtod(s, &end);
        if (end == s || (k < 5 && (!*end || !strchr(ends[k], *end))))
            return false;
        s = end + 1;
    }
    return true;
}

/* "2023-11-16 18:17:03.98", with T as well, or a number. */
static bool read_time(const char *s, double scale, double *out)
{
    double d[6];
    char *end;
    if (read_date(s, d)) {
        if (!(d[0] >= 1 && d[0] < 10000 && d[1] >= 1 && d[1] <= 12 && d[2] >= 1 && d[2] <= 31))
            return false;
        *out = (double)days_of((int)d[0], (int)d[1], (int)d[2]) * 86400 + d[3] * 3600 + d[4] * 60 +
               d[5];
        return isfinite(*out);
    }
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

static int read_row(struct arrivals *a, char *line, struct arrival *out, struct lmw_err *err)
{
    double time = (double)NAN;
    *out = (struct arrival){(double)NAN, (double)NAN, (double)NAN};
    char *field;
    for (int at = 0; (field = next_field(&line)); at++) {
        bool ok = true;
        if (at == a->column[ARRIVAL_TIME])
            ok = read_time(field, a->scale, &time);
        else if (at == a->column[ARRIVAL_ASKED])
            ok = read_length(field, &out->asked);
        else if (at == a->column[ARRIVAL_TOLD])
            ok = read_length(field, &out->told);
        if (!ok)
            return lmw_fail(err, LMW_EFORMAT, "line %lld: '%.40s' is not a %s", (long long)a->line,
                            field, at == a->column[ARRIVAL_TIME] ? "time" : "length in tokens");
    }
    if (isnan(time))
        return lmw_fail(err, LMW_EFORMAT, "line %lld: no time", (long long)a->line);
    a->first_s = a->n == 0 ? time : a->first_s;
    out->t_s = time - a->first_s;
    if (out->t_s < a->t_s)
        return lmw_fail(err, LMW_EFORMAT, "line %lld: its time is earlier than the line before",
                        (long long)a->line);
    a->t_s = out->t_s;
    return 1;
}

/* The next line that is not empty; 0 at the end. */
static int read_line(struct arrivals *a, char line[MAX_LINE], struct lmw_err *err)
{
    while (fgets(line, MAX_LINE, a->file)) {
        size_t n = strlen(line);
        a->line++;
        if (n == MAX_LINE - 1 && line[n - 1] != '\n')
            return lmw_fail(err, LMW_EFORMAT, "line %lld: longer than %d bytes",
                            (long long)a->line, MAX_LINE - 2);
        if (line[strspn(line, " \t\r\n")])
            return 1;
    }
    return ferror(a->file) ? lmw_fail_errno(err, "reading the trace") : 0;
}

static int read_next(struct arrivals *a, struct arrival *out, struct lmw_err *err)
{
    char line[MAX_LINE];
    int rc = read_line(a, line, err);
    if (rc > 0 && a->n == 0) {
        lmw_str header = lmw_str_unmark(lmw_str_from(line));
        rc = read_header(a, line + (header.ptr - line), err);
        rc = rc < 0 ? rc : read_line(a, line, err);
    }
    return rc > 0 ? read_row(a, line, out, err) : rc;
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
