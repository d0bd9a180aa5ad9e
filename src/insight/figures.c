/* Every figure of a run. Most are ratios of sums over records:
 *
 *     top / bottom            mean accuracy / mean power is sum(acc) / sum(P) over the same records
 *     1 / (mean x mean)       perplexity per watt and per joule
 *
 * Each figure is taken over the records in which all that goes into it is known, and says how many
 * those were. Medians and other quantiles are over the records that have the value. Definitions
 * and their sources: docs/insight.md. */
#include "insight/figures.h"

#include "base/stat.h"

#include <math.h>
#include <stdlib.h>

/* What figures are made of; ONE counts records. */
enum part {
    ONE,
    ACC,
    POWER,
    ENERGY,
    NET,
    NET_POWER,
    PREFILL,
    DECODE,
    PROMPT,
    ANSWER,
    AFTER_FIRST, /* tokens after the first, and the time they took */
    AFTER_FIRST_S,
    LATENCY,
    TTFT,
    PPL,
    FLOPS,
    COST,
    N_PART
};

enum form { RATIO, INVERSE /* 1 / (mean(top) x mean(bottom)) */, QUANTILE, LARGEST, WILSON };

static const struct {
    enum form form;
    enum part top, bottom;
    enum lmw_value value; /* of a quantile, or the largest */
    double p;
} recipes[LMW_N_FIGURE] = {
    [LMW_FIG_ACCURACY] = {WILSON},
    [LMW_FIG_IPW] = {RATIO, ACC, POWER},
    [LMW_FIG_IPJ] = {RATIO, ACC, ENERGY},
    [LMW_FIG_IPW_NET] = {RATIO, ACC, NET_POWER},
    [LMW_FIG_IPJ_NET] = {RATIO, ACC, NET},
    [LMW_FIG_PPW] = {INVERSE, PPL, POWER},
    [LMW_FIG_PPJ] = {INVERSE, PPL, ENERGY},
    [LMW_FIG_PPW_NET] = {INVERSE, PPL, NET_POWER},
    [LMW_FIG_PPJ_NET] = {INVERSE, PPL, NET},
    [LMW_FIG_POWER] = {RATIO, POWER, ONE},
    [LMW_FIG_POWER_NET] = {RATIO, NET_POWER, ONE},
    [LMW_FIG_ENERGY] = {RATIO, ENERGY, ONE},
    [LMW_FIG_ENERGY_NET] = {RATIO, NET, ONE},
    [LMW_FIG_PREFILL] = {RATIO, PREFILL, ONE},
    [LMW_FIG_DECODE] = {RATIO, DECODE, ONE},
    [LMW_FIG_J_PER_TOKEN] = {RATIO, ENERGY, ANSWER},
    [LMW_FIG_J_PER_INPUT_TOKEN] = {RATIO, PREFILL, PROMPT},
    [LMW_FIG_J_PER_OUTPUT_TOKEN] = {RATIO, DECODE, ANSWER},
    [LMW_FIG_TOKENS_PER_J] = {RATIO, ANSWER, ENERGY},
    [LMW_FIG_FLOPS_PER_J] = {RATIO, FLOPS, ENERGY},
    [LMW_FIG_SPEED] = {RATIO, AFTER_FIRST, AFTER_FIRST_S},
    [LMW_FIG_THROUGHPUT] = {RATIO, ANSWER, LATENCY},
    [LMW_FIG_LATENCY] = {RATIO, LATENCY, ONE},
    [LMW_FIG_LATENCY_P50] = {QUANTILE, .value = LMW_V_LATENCY, .p = 0.5},
    [LMW_FIG_LATENCY_P90] = {QUANTILE, .value = LMW_V_LATENCY, .p = 0.9},
    [LMW_FIG_LATENCY_P99] = {QUANTILE, .value = LMW_V_LATENCY, .p = 0.99},
    [LMW_FIG_TTFT] = {RATIO, TTFT, ONE},
    [LMW_FIG_TTFT_P50] = {QUANTILE, .value = LMW_V_TTFT, .p = 0.5},
    [LMW_FIG_TTFT_P90] = {QUANTILE, .value = LMW_V_TTFT, .p = 0.9},
    [LMW_FIG_TTFT_P99] = {QUANTILE, .value = LMW_V_TTFT, .p = 0.99},
    [LMW_FIG_ITL_P50] = {QUANTILE, .value = LMW_V_ITL_P50, .p = 0.5},
    [LMW_FIG_ITL_P90] = {QUANTILE, .value = LMW_V_ITL_P90, .p = 0.5},
    [LMW_FIG_ITL_P99] = {QUANTILE, .value = LMW_V_ITL_P99, .p = 0.5},
    [LMW_FIG_PROMPT_TOKENS] = {RATIO, PROMPT, ONE},
    [LMW_FIG_COMPLETION_TOKENS] = {RATIO, ANSWER, ONE},
    [LMW_FIG_PERPLEXITY] = {RATIO, PPL, ONE},
    [LMW_FIG_FLOPS] = {RATIO, FLOPS, ONE},
    [LMW_FIG_COST] = {RATIO, COST, ONE},
    [LMW_FIG_COST_PER_RIGHT] = {RATIO, COST, ACC},
    [LMW_FIG_MEMORY] = {LARGEST, .value = LMW_V_MEMORY},
};

const struct lmw_figure_info lmw_figures[] = {
    {"accuracy", "", 1, "Share of right answers; failed and unscored ones count as wrong."},
    {"ipw", "1/W", 1, "Intelligence per watt (APW): mean accuracy / mean power."},
    {"ipj", "1/J", 1, "Intelligence per joule (APJ): mean accuracy / mean energy per query."},
    {"ipw_net", "1/W", 1, "Mean accuracy / mean power over the idle baseline."},
    {"ipj_net", "1/J", 1, "Mean accuracy / mean energy over the idle baseline."},
    {"ppw", "1/W", 1, "Perplexity per watt: 1 / (mean perplexity x mean power)."},
    {"ppj", "1/J", 1, "Perplexity per joule: 1 / (mean perplexity x mean energy)."},
    {"ppw_net", "1/W", 1, "Perplexity per watt over the idle baseline."},
    {"ppj_net", "1/J", 1, "Perplexity per joule over the idle baseline."},
    {"power_w", "W", -1, "Mean over queries of energy / latency."},
    {"power_net_w", "W", -1, "The same over the idle baseline."},
    {"energy_j", "J", -1, "Joules per query, gross."},
    {"energy_net_j", "J", -1, "Joules per query over the idle baseline."},
    {"energy_prefill_j", "J", -1, "Joules per query up to the first token."},
    {"energy_decode_j", "J", -1, "Joules per query after the first token."},
    {"j_per_token", "J", -1, "Gross joules over answer tokens."},
    {"j_per_input_token", "J", -1, "Prefill joules over prompt tokens."},
    {"j_per_output_token", "J", -1, "Decode joules over answer tokens."},
    {"tokens_per_j", "1/J", 1, "Answer tokens over gross joules."},
    {"flops_per_j", "1/J", 1, "Floating point operations over gross joules."},
    {"tok_per_s", "1/s", 1, "Answer tokens after the first over the time after the first."},
    {"throughput", "1/s", 1, "Answer tokens over the whole latency."},
    {"latency_s", "s", -1, "Mean latency, from the prompt to the last token."},
    {"latency_p50_s", "s", -1, "Median latency."},
    {"latency_p90_s", "s", -1, "Latency that 90 % of queries do not exceed."},
    {"latency_p99_s", "s", -1, "Latency that 99 % of queries do not exceed."},
    {"ttft_s", "s", -1, "Mean time to the first token."},
    {"ttft_p50_s", "s", -1, "Median time to the first token."},
    {"ttft_p90_s", "s", -1, "Time to the first token that 90 % do not exceed."},
    {"ttft_p99_s", "s", -1, "Time to the first token that 99 % do not exceed."},
    {"itl_p50_s", "s", -1, "Median over queries of their median time between two tokens."},
    {"itl_p90_s", "s", -1, "Median over queries of their 90 % time between two tokens."},
    {"itl_p99_s", "s", -1, "Median over queries of their 99 % time between two tokens."},
    {"prompt_tokens", "", 0, "Mean prompt tokens of a query."},
    {"completion_tokens", "", 0, "Mean answer tokens of a query."},
    {"perplexity", "", -1, "Mean perplexity of the right answers."},
    {"flops", "", -1, "Mean floating point operations of a query (an estimate)."},
    {"cost_usd", "USD", -1, "Mean price of a query."},
    {"cost_per_right_usd", "USD", -1, "Price over right answers."},
    {"memory_bytes", "B", -1, "Largest resident memory after an answer."},
};
_Static_assert(sizeof lmw_figures / sizeof *lmw_figures == LMW_N_FIGURE, "a row each");

static double part_of(const struct lmw_frame *f, size_t i, enum part p)
{
    double *const *v = f->v;
    double rest = v[LMW_V_LATENCY][i] - v[LMW_V_TTFT][i];
    double more = v[LMW_V_COMPLETION_TOKENS][i] - 1;
    bool decoded = rest > 0 && more > 0;
    switch (p) {
    case ONE: return 1;
    case ACC: return v[LMW_V_ACC][i];
    case POWER: return v[LMW_V_POWER][i];
    case ENERGY: return v[LMW_V_ENERGY][i];
    case NET: return v[LMW_V_NET][i];
    case NET_POWER: return v[LMW_V_NET][i] / v[LMW_V_LATENCY][i];
    case PREFILL: return v[LMW_V_PREFILL][i];
    case DECODE: return v[LMW_V_DECODE][i];
    case PROMPT: return v[LMW_V_PROMPT_TOKENS][i];
    case ANSWER: return v[LMW_V_COMPLETION_TOKENS][i];
    case AFTER_FIRST: return decoded ? more : (double)NAN;
    case AFTER_FIRST_S: return decoded ? rest : (double)NAN;
    case LATENCY: return v[LMW_V_LATENCY][i];
    case TTFT: return v[LMW_V_TTFT][i];
    case PPL: return v[LMW_V_PERPLEXITY][i];
    case FLOPS: return v[LMW_V_FLOPS][i];
    case COST: return v[LMW_V_COST][i];
    case N_PART: break;
    }
    return NAN;
}

/* --- sums: a column is a part, summed over the records in which a set of parts is known --- */

enum { COLUMNS_MAX = 3 * LMW_N_FIGURE };

struct plan {
    uint32_t absent; /* parts that some record lacks: what the others need not be asked for */
    int n_column;
    struct {
        enum part part;
        uint32_t needs;
    } column[COLUMNS_MAX];
    int top[LMW_N_FIGURE], bottom[LMW_N_FIGURE], count[LMW_N_FIGURE];
};

static int column_of(struct plan *p, enum part part, uint32_t needs)
{
    int i = 0;
    while (i < p->n_column && (p->column[i].part != part || p->column[i].needs != needs))
        i++;
    if (i == p->n_column) {
        p->column[i].part = part;
        p->column[i].needs = needs;
        p->n_column++;
    }
    return i;
}

/* Figures over the same records share their sums. */
static void make_plan(struct plan *p, uint32_t absent)
{
    *p = (struct plan){.absent = absent};
    for (int k = 0; k < LMW_N_FIGURE; k++) {
        if (recipes[k].form != RATIO && recipes[k].form != INVERSE)
            continue;
        uint32_t needs = (1u << recipes[k].top | 1u << recipes[k].bottom) & absent;
        p->top[k] = column_of(p, recipes[k].top, needs);
        p->bottom[k] = column_of(p, recipes[k].bottom, needs);
        p->count[k] = column_of(p, ONE, needs);
    }
}

static uint32_t parts_of(const struct lmw_frame *f, size_t i, double part[N_PART])
{
    uint32_t known = 0;
    for (int p = 0; p < N_PART; p++) {
        part[p] = part_of(f, i, (enum part)p);
        known |= (uint32_t)isfinite(part[p]) << p;
    }
    return known;
}

static uint32_t absent_parts(const struct lmw_frame *f, const struct lmw_frame_run *run)
{
    double part[N_PART];
    uint32_t known = ~0u;
    for (size_t i = 0; i < run->n; i++)
        known &= parts_of(f, run->first + i, part);
    return ~known & ((1u << N_PART) - 1);
}

static void fill(struct lmw_sums *s, const struct plan *p, const struct lmw_frame *f,
                 const struct lmw_frame_run *run, const struct run_units *u)
{
    double part[N_PART];
    for (size_t i = 0; i < run->n; i++) {
        uint32_t known = parts_of(f, run->first + i, part);
        for (int k = 0; k < p->n_column; k++) {
            if ((known & p->column[k].needs) == p->column[k].needs)
                *lmw_sums_at(s, u->unit[i], k) += part[p->column[k].part];
        }
    }
}

static double figure_of(const struct plan *p, int k, const double *sum)
{
    double top = sum[p->top[k]], bottom = sum[p->bottom[k]], n = sum[p->count[k]];
    return recipes[k].form == RATIO ? top / bottom : n / top * (n / bottom);
}

static int ratios(const struct lmw_frame *f, const struct lmw_frame_run *run,
                  const struct run_units *u, const struct lmw_resample *r,
                  struct lmw_interval *figure, struct lmw_arena scratch, struct lmw_err *err)
{
    struct plan p;
    struct lmw_sums s;
    double total[COLUMNS_MAX];
    double *draws = LMW_NEW(&scratch, double, (size_t)LMW_N_FIGURE *LMW_RESAMPLES);
    make_plan(&p, absent_parts(f, run));
    int rc = lmw_sums_open(&s, u->n_unit, p.n_column, &scratch, err);
    if (rc < 0 || !draws)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the figures of a run");
    fill(&s, &p, f, run, u);
    lmw_sums_total(&s, total);
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        const double *sum = lmw_sums_draw(&s, r, b);
        for (int k = 0; k < LMW_N_FIGURE; k++)
            draws[k * LMW_RESAMPLES + b] = figure_of(&p, k, sum);
    }
    for (int k = 0; k < LMW_N_FIGURE; k++) {
        if (recipes[k].form != RATIO && recipes[k].form != INVERSE)
            continue;
        figure[k] = lmw_interval_of(figure_of(&p, k, total), draws + k * LMW_RESAMPLES,
                                    (int64_t)total[p.count[k]]);
        if (u->n_question < 2) /* one question, however often */
            figure[k].lower = figure[k].upper = (double)NAN;
    }
    return LMW_OK;
}

/* --- quantiles --- */

/* The interval of a quantile from the order statistics beside it, whatever the distribution: the
 * number of values below the true quantile is binomial(n, p) (David and Nagaraja, "Order
 * Statistics", 7.1), here by its normal approximation. Reorders x. */
static struct lmw_interval quantile_of(double *x, size_t n, double p)
{
    struct lmw_interval out = {(double)NAN, (double)NAN, (double)NAN, (int64_t)n};
    double at = p * (double)n, half = 1.96 * sqrt(at * (1 - p));
    if (n == 0)
        return out;
    out.value = lmw_quantile(x, n, p);
    if (at - half >= 1 && at + half <= (double)n - 1) {
        out.lower = lmw_select(x, n, (size_t)floor(at - half));
        out.upper = lmw_select(x, n, (size_t)ceil(at + half));
    }
    return out;
}

static struct lmw_interval largest_of(const double *x, size_t n)
{
    double most = (double)NAN;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, x[i]);
    return (struct lmw_interval){most, (double)NAN, (double)NAN, (int64_t)n};
}

static size_t known_values(const double *v, size_t n, double *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(v[i]))
            out[k++] = v[i];
    }
    return k;
}

/* Quantiles of one value follow each other in the table: it is taken once. */
static int quantiles(const struct lmw_frame *f, const struct lmw_frame_run *run, int n_question,
                     struct lmw_interval *figure, struct lmw_arena scratch, struct lmw_err *err)
{
    double *x = LMW_NEW(&scratch, double, run->n ? run->n : 1);
    size_t n = 0;
    int taken = -1;
    if (!x)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu values", run->n);
    for (int k = 0; k < LMW_N_FIGURE; k++) {
        if (recipes[k].form != QUANTILE && recipes[k].form != LARGEST)
            continue;
        if (taken != (int)recipes[k].value) {
            n = known_values(f->v[recipes[k].value] + run->first, run->n, x);
            taken = (int)recipes[k].value;
        }
        figure[k] =
            recipes[k].form == QUANTILE ? quantile_of(x, n, recipes[k].p) : largest_of(x, n);
        if (n_question < 2)
            figure[k].lower = figure[k].upper = (double)NAN;
    }
    return LMW_OK;
}

/* --- all of them --- */

/* Repeats of a question are one trial: Wilson's n is questions. Unscored answers that are excluded
 * are NaN: they take their share of the questions along. */
static struct lmw_interval accuracy(const struct lmw_frame *f, const struct lmw_frame_run *run,
                                    const struct run_units *u)
{
    struct lmw_interval out = {(double)NAN, (double)NAN, (double)NAN, 0};
    double sum = 0;
    for (size_t i = run->first; i < run->first + run->n; i++) {
        bool known = !isnan(f->v[LMW_V_ACC][i]);
        sum += known ? f->v[LMW_V_ACC][i] : 0;
        out.n += known;
    }
    double n = run->n ? u->n_trial * (double)out.n / (double)run->n : 0;
    if (out.n > 0)
        out.value = sum / (double)out.n;
    if (u->n_question > 1 && n > 1)
        lmw_wilson(out.value * n, n, 1.96, &out.lower, &out.upper);
    return out;
}

int lmw_run_figures(const struct lmw_frame *f, int i_run, const struct run_units *u,
                    struct lmw_resample *resample, struct lmw_interval *figure,
                    struct lmw_arena scratch, struct lmw_err *err)
{
    const struct lmw_frame_run *run = &f->run[i_run];
    lmw_resample_draw(resample, u->n_unit);
    int rc = ratios(f, run, u, resample, figure, scratch, err);
    if (rc == LMW_OK)
        rc = quantiles(f, run, u->n_question, figure, scratch, err);
    figure[LMW_FIG_ACCURACY] = accuracy(f, run, u);
    return rc;
}

/* While units are questions yet; times: [n_question], zeroed. */
static void count_repeats(struct run_units *u, int32_t *times, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t before = times[u->unit[i]]++;
        squares += 2 * (double)before + 1; /* (m + 1)^2 - m^2 */
        u->n_most = before < u->n_most ? u->n_most : before + 1;
    }
    u->n_trial = n ? (double)n * (double)n / squares : 0;
}

int lmw_run_units(struct run_units *u, const struct lmw_frame *f, int run, int32_t *stamp,
                  struct lmw_arena *arena, struct lmw_err *err)
{
    const struct lmw_frame_run *r = &f->run[run];
    *u = (struct run_units){.unit = LMW_NEW(arena, int32_t, r->n ? r->n : 1)};
    struct lmw_arena scratch = *arena;
    int32_t *unit = LMW_NEW(&scratch, int32_t, r->n ? r->n : 1);
    int32_t *times = LMW_NEW(&scratch, int32_t, r->n ? r->n : 1);
    if (!u->unit || !unit || !times)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu records", r->n);
    /* First each question's rank. Its stamp is the first record of it, which shows whether it is
     * this run's or an earlier run's, so that the stamps need no clearing. */
    for (size_t i = 0; i < r->n; i++) {
        int32_t q = f->query_of[r->first + i], *s = &stamp[q];
        if (*s == 0 || (size_t)*s > i + 1 || f->query_of[r->first + (size_t)*s - 1] != q)
            *s = (int32_t)i + 1;
        u->unit[i] = (size_t)*s == i + 1 ? u->n_question++ : u->unit[*s - 1];
    }
    count_repeats(u, times, r->n);
    u->n_unit = lmw_units(unit, u->n_question);
    for (size_t i = 0; i < r->n; i++)
        u->unit[i] = unit[u->unit[i]];
    return LMW_OK;
}
