/* Regressions: least squares, centred so that large tokens and small joules lose no digits. The
 * first five lines and the rules (r2 is 1 where y is constant, nothing where x is, zero watts are
 * no reading) are those of the published harness, so that its numbers can be compared with; unlike
 * there, a pair that is not finite is counted. */
#include "insight/figures.h"

#include <math.h>

/* Lines over axes of n values each. A column of the sums that are drawn is the product of two
 * axes, centred, over the records in which both axes of a line are known; lines that share an
 * axis, or the records, share the column. */
enum { AXES_MAX = 16, ONE = AXES_MAX, COLUMNS_MAX = 5 * LMW_N_LINE };
enum { N, X, Y, XX, XY, N_SUM };

struct line {
    int x, y;
};

struct lines {
    const double *axis[AXES_MAX];
    double mean[AXES_MAX]; /* of what is known */
    uint32_t absent;       /* axes that some record lacks */
    int n_axis;
    size_t n;
    const struct line *line;
    int n_line, n_column;
    struct {
        int a, b;
        uint32_t needs;
    } column[COLUMNS_MAX];
    int sum[LMW_N_LINE][N_SUM]; /* which column */
};

static int column_of(struct lines *l, int a, int b, uint32_t needs)
{
    int i = 0;
    while (i < l->n_column &&
           (l->column[i].a != a || l->column[i].b != b || l->column[i].needs != needs))
        i++;
    if (i == l->n_column) {
        l->column[i].a = a;
        l->column[i].b = b;
        l->column[i].needs = needs;
        l->n_column++;
    }
    return i;
}

static bool is_pair(const double *x, const double *y, size_t i)
{
    return isfinite(x[i]) && isfinite(y[i]);
}

/* The mean of v where v and w are known, and how often that is. Summed from the first of them: the
 * mean of what does not vary is that value to the bit, so that it is seen not to vary. */
static double mean_of(const double *v, const double *w, size_t n, int64_t *n_known)
{
    double first = 0, sum = 0;
    *n_known = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_pair(v, w, i))
            continue;
        first = *n_known ? first : v[i];
        sum += v[i] - first;
        ++*n_known;
    }
    return *n_known ? first + sum / (double)*n_known : 0;
}

static void make_plan(struct lines *l)
{
    for (int a = 0; a < l->n_axis; a++) {
        int64_t known;
        l->mean[a] = mean_of(l->axis[a], l->axis[a], l->n, &known);
        l->absent |= (uint32_t)((size_t)known < l->n) << a;
    }
    for (int k = 0; k < l->n_line; k++) {
        int x = l->line[k].x, y = l->line[k].y;
        uint32_t needs = (1u << x | 1u << y) & l->absent;
        l->sum[k][N] = column_of(l, ONE, ONE, needs);
        l->sum[k][X] = column_of(l, x, ONE, needs);
        l->sum[k][Y] = column_of(l, y, ONE, needs);
        l->sum[k][XX] = column_of(l, x, x, needs);
        l->sum[k][XY] = column_of(l, x, y, needs);
    }
}

static void fill(struct lmw_sums *s, const struct lines *l, const int32_t *unit)
{
    double v[AXES_MAX + 1] = {[ONE] = 1};
    for (size_t i = 0; i < l->n; i++) {
        uint32_t known = 0;
        for (int a = 0; a < l->n_axis; a++) {
            v[a] = l->axis[a][i] - l->mean[a];
            known |= (uint32_t)isfinite(v[a]) << a;
        }
        for (int k = 0; k < l->n_column; k++) {
            uint32_t needs = l->column[k].needs;
            if ((known & needs) == needs)
                *lmw_sums_at(s, unit[i], k) += v[l->column[k].a] * v[l->column[k].b];
        }
    }
}

static void line_of(const double *sum, const int at[N_SUM], double *slope, double *intercept)
{
    double n = sum[at[N]], mx = sum[at[X]] / n, my = sum[at[Y]] / n;
    double xx = sum[at[XX]] - n * mx * mx, xy = sum[at[XY]] - n * mx * my;
    /* Of a resample that drew one x only, rounding leaves a little. */
    *slope = xx > 1e-12 * sum[at[XX]] ? xy / xx : (double)NAN;
    *intercept = my - *slope * mx;
}

static int draw_lines(struct lines *l, const int32_t *unit, int n_unit, struct lmw_resample *r,
                      struct lmw_regression *out, struct lmw_arena scratch, struct lmw_err *err)
{
    struct lmw_sums s;
    size_t n = (size_t)l->n_line * LMW_RESAMPLES;
    double *slope = LMW_NEW(&scratch, double, n), *intercept = LMW_NEW(&scratch, double, n);
    make_plan(l);
    int rc = lmw_sums_open(&s, n_unit, l->n_column, &scratch, err);
    if (rc < 0 || !slope || !intercept)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the lines of %zu records", l->n);
    fill(&s, l, unit);
    lmw_resample_draw(r, n_unit);
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        const double *sum = lmw_sums_draw(&s, r, b);
        for (int k = 0; k < l->n_line; k++) {
            double *m = &slope[k * LMW_RESAMPLES + b], *c = &intercept[k * LMW_RESAMPLES + b];
            line_of(sum, l->sum[k], m, c);
            *c += l->mean[l->line[k].y] - *m * l->mean[l->line[k].x];
        }
    }
    for (int k = 0; k < l->n_line; k++) {
        int64_t drawn = n_unit < 2 ? 1 : out[k].n;
        out[k].slope = lmw_interval_of(out[k].slope.value, slope + k * LMW_RESAMPLES, drawn);
        out[k].intercept =
            lmw_interval_of(out[k].intercept.value, intercept + k * LMW_RESAMPLES, drawn);
    }
    return LMW_OK;
}

/* Slope and intercept of the centred pairs; r2 from the residuals. */
static void fit(const double *x, const double *y, size_t n, struct lmw_regression *out)
{
    double mx = mean_of(x, y, n, &out->n), my = mean_of(y, x, n, &out->n);
    double xx = 0, xy = 0, yy = 0, residual = 0;
    out->n_dropped = (int64_t)n - out->n;
    out->mean_y = out->n ? my : (double)NAN;
    for (size_t i = 0; i < n; i++) {
        if (is_pair(x, y, i)) {
            xx += (x[i] - mx) * (x[i] - mx);
            xy += (x[i] - mx) * (y[i] - my);
            yy += (y[i] - my) * (y[i] - my);
        }
    }
    if (!(xx > 0))
        return;
    double slope = xy / xx;
    for (size_t i = 0; i < n; i++) {
        double e = y[i] - my - slope * (x[i] - mx);
        residual += is_pair(x, y, i) ? e * e : 0;
    }
    out->slope.value = slope;
    out->intercept.value = my - slope * mx;
    out->r2 = yy > 0 ? 1 - residual / yy : 1;
}

static int regress(struct lines *l, const int32_t *unit, int n_unit, struct lmw_resample *r,
                   struct lmw_regression *out, struct lmw_arena scratch, struct lmw_err *err)
{
    const struct lmw_interval unknown = {(double)NAN, (double)NAN, (double)NAN, 0};
    for (int k = 0; k < l->n_line; k++) {
        out[k] =
            (struct lmw_regression){.slope = unknown, .intercept = unknown, .r2 = (double)NAN};
        fit(l->axis[l->line[k].x], l->axis[l->line[k].y], l->n, &out[k]);
    }
    return draw_lines(l, unit, n_unit, r, out, scratch, err);
}

int lmw_regress(const double *x, const double *y, size_t n, struct lmw_regression *out,
                struct lmw_arena scratch, struct lmw_err *err)
{
    static const struct line only = {0, 1};
    struct lines l = {.axis = {x, y}, .n_axis = 2, .n = n, .line = &only, .n_line = 1};
    struct lmw_resample r;
    int32_t *unit = LMW_NEW(&scratch, int32_t, n + 1);
    int rc = lmw_resample_open(&r, &scratch, err);
    if (rc == LMW_OK && !unit)
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for %zu pairs", n);
    return rc < 0 ? rc : regress(&l, unit, lmw_units(unit, (int)n), &r, out, scratch, err);
}

/* --- the lines of a run --- */

enum axis {
    PROMPT,
    ANSWER,
    TOTAL,
    LN_TOTAL,
    JOULES,
    LN_JOULES,
    WATTS,
    LATENCY,
    LN_LATENCY,
    FIRST,
    N_AXIS
};

const struct lmw_line_info lmw_lines[LMW_N_LINE] = {
    {"input_tokens_vs_ttft", "prompt tokens", "s"},
    {"total_tokens_vs_energy", "tokens", "J"},
    {"total_tokens_vs_latency", "tokens", "s"},
    {"total_tokens_vs_power", "tokens", "W"},
    {"total_tokens_vs_power_log", "ln tokens", "W"},
    {"output_tokens_vs_energy", "answer tokens", "J"},
    {"output_tokens_vs_latency", "answer tokens", "s"},
    {"log_total_tokens_vs_log_energy", "ln tokens", "ln J"},
    {"log_total_tokens_vs_log_latency", "ln tokens", "ln s"},
    {"latency_vs_energy", "s", "J"},
};

static const struct line axes[LMW_N_LINE] = {
    {PROMPT, FIRST},        {TOTAL, JOULES},   {TOTAL, LATENCY},  {TOTAL, WATTS},
    {LN_TOTAL, WATTS},      {ANSWER, JOULES},  {ANSWER, LATENCY}, {LN_TOTAL, LN_JOULES},
    {LN_TOTAL, LN_LATENCY}, {LATENCY, JOULES},
};

static double axis_of(const struct lmw_frame *f, size_t i, enum axis axis)
{
    double prompt = f->v[LMW_V_PROMPT_TOKENS][i], answer = f->v[LMW_V_COMPLETION_TOKENS][i];
    double watts = f->v[LMW_V_POWER][i];
    switch (axis) {
    case PROMPT: return prompt;
    case ANSWER: return answer;
    case TOTAL: return prompt + answer;
    case LN_TOTAL: return log(prompt + answer);
    case JOULES: return f->v[LMW_V_ENERGY][i];
    case LN_JOULES: return log(f->v[LMW_V_ENERGY][i]);
    case WATTS: return fabs(watts) < 1e-12 ? (double)NAN : watts;
    case LATENCY: return f->v[LMW_V_LATENCY][i];
    case LN_LATENCY: return log(f->v[LMW_V_LATENCY][i]);
    case FIRST: return f->v[LMW_V_TTFT][i];
    case N_AXIS: break;
    }
    return NAN;
}

static int run_lines(const struct lmw_frame *f, int i_run, int32_t *stamp, struct lmw_resample *r,
                     struct lmw_regression *out, struct lmw_arena scratch, struct lmw_err *err)
{
    const struct lmw_frame_run *run = &f->run[i_run];
    struct lines l = {.n_axis = N_AXIS, .n = run->n, .line = axes, .n_line = LMW_N_LINE};
    struct run_units u;
    int rc = lmw_run_units(&u, f, i_run, stamp, &scratch, err);
    for (int a = 0; a < N_AXIS && rc == LMW_OK; a++) {
        double *v = LMW_NEW(&scratch, double, run->n + 1);
        if (!v)
            return lmw_fail(err, LMW_ENOMEM, "no memory for %zu records", run->n);
        for (size_t i = 0; i < run->n; i++)
            v[i] = axis_of(f, run->first + i, (enum axis)a);
        l.axis[a] = v;
    }
    return rc < 0 ? rc : regress(&l, u.unit, u.n_unit, r, out, scratch, err);
}

int lmw_frame_lines(const struct lmw_frame *f, struct lmw_regression (*out)[LMW_N_LINE],
                    struct lmw_arena scratch, struct lmw_err *err)
{
    struct lmw_resample r;
    int32_t *stamp = LMW_NEW(&scratch, int32_t, (size_t)f->n_query + 1);
    int rc = lmw_resample_open(&r, &scratch, err);
    if (rc == LMW_OK && !stamp)
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for %d questions", f->n_query);
    for (int i = 0; i < f->n_run && rc == LMW_OK; i++)
        rc = run_lines(f, i, stamp, &r, out[i], scratch, err);
    return rc;
}
