/* DOOR. Insight: from records to decisions. Reads the store, measures nothing.
 *
 * For one run (a model on a machine over queries q), acc in 0..1, P(q) the mean power and tau(q)
 * the latency of a query, prefill and decode together ("Intelligence per Watt", arXiv 2511.07885,
 * section 2):
 *
 *     APW = mean(acc) / mean(P)     APJ = mean(acc) / mean(P * tau)       IPW is APW, IPJ is APJ
 *     PPW = 1 / (mean(ppl) * mean(P))    PPJ = 1 / (mean(ppl) * mean(P * tau))
 *
 * Ratios of means, not means of ratios. Accuracy and power are taken over the same records: those
 * whose energy is valid. An answer that could not be scored (unless those are excluded), or
 * failed, counts as wrong and is counted apart; where no answer at all was scored, accuracy, IPW
 * and IPJ are not known. Intervals are 95 %: Wilson for accuracy, order statistics for quantiles,
 * percentile bootstrap over questions (1,000 resamples, fixed seed) for the rest. They say how
 * much other queries of the same kind would move the figure, not how wrong the meter is: that is
 * energy_bounds. NaN is "not known". */
#ifndef LMW_INSIGHT_INSIGHT_H
#define LMW_INSIGHT_INSIGHT_H

#include "insight/compare.h"
#include "insight/domains.h"
#include "insight/frame.h"
#include "insight/load.h"
#include "insight/regress.h"
#include "insight/timeline.h"
#include "insight/trend.h"

/* The figures of a run, each with its interval: lmw_figures says what they are and in which unit.
 * What a figure is made of, it takes from the same records: those in which all of it is known. */
enum lmw_figure {
    LMW_FIG_ACCURACY,
    LMW_FIG_IPW,
    LMW_FIG_IPJ,
    LMW_FIG_IPW_NET,
    LMW_FIG_IPJ_NET,
    LMW_FIG_PPW,
    LMW_FIG_PPJ,
    LMW_FIG_PPW_NET,
    LMW_FIG_PPJ_NET,
    LMW_FIG_POWER,
    LMW_FIG_POWER_NET,
    LMW_FIG_ENERGY,
    LMW_FIG_ENERGY_NET,
    LMW_FIG_PREFILL,
    LMW_FIG_DECODE,
    LMW_FIG_J_PER_TOKEN,
    LMW_FIG_J_PER_INPUT_TOKEN,
    LMW_FIG_J_PER_OUTPUT_TOKEN,
    LMW_FIG_TOKENS_PER_J,
    LMW_FIG_FLOPS_PER_J,
    LMW_FIG_SPEED,
    LMW_FIG_THROUGHPUT,
    LMW_FIG_LATENCY,
    LMW_FIG_LATENCY_P50,
    LMW_FIG_LATENCY_P90,
    LMW_FIG_LATENCY_P99,
    LMW_FIG_TTFT,
    LMW_FIG_TTFT_P50,
    LMW_FIG_TTFT_P90,
    LMW_FIG_TTFT_P99,
    LMW_FIG_ITL_P50,
    LMW_FIG_ITL_P90,
    LMW_FIG_ITL_P99,
    LMW_FIG_PROMPT_TOKENS,
    LMW_FIG_COMPLETION_TOKENS,
    LMW_FIG_PERPLEXITY,
    LMW_FIG_FLOPS,
    LMW_FIG_COST,
    LMW_FIG_COST_PER_RIGHT,
    LMW_FIG_MEMORY,
    LMW_N_FIGURE
};
struct lmw_figure_info {
    const char *key; /* its name in JSON, with the unit: "energy_j" */
    const char *unit;
    int better;       /* 1: more of it is, -1: less of it, 0: neither */
    const char *what; /* a sentence */
};
extern const struct lmw_figure_info lmw_figures[]; /* [LMW_N_FIGURE] */

/* One source of a run's joules, over the records that say how much it measured. */
struct lmw_rail_figures {
    const char *name;
    double share; /* of all joules of those records */
    struct lmw_interval energy_j, power_w, ipw, ipj;
};

struct lmw_summary {
    struct lmw_run run;
    const char *model, *quantization, *workload, *backend, *machine, *basis;
    int64_t params;         /* LMW_NULL */
    bool estimated;         /* joules are modelled, not measured: show ~ */
    bool mixed;             /* several models, machines or rails under this one name */
    bool uneven;            /* some questions were asked more often than others */
    bool excludes_unscored; /* answers that could not be scored are in no accuracy, IPW or IPJ */
    int64_t n_record, n_failed, n_unscored, n_valid; /* n_valid: with a valid energy reading */
    int64_t n_question, n_imputed;
    struct lmw_reason reason[LMW_REASONS_MAX]; /* why energy was not valid, and how often */
    int n_reason;
    struct lmw_interval figure[LMW_N_FIGURE];
    struct lmw_rail_figures
        *rail; /* [n_rail]; the whole of a basis of several rails, taken apart */
    int n_rail;
    double
        speed_drift; /* decode speed of the last quarter of the records over that of the first */

    /* The row of the report, of those figures in its units: */

    struct lmw_interval
        accuracy;     /* over all records (that were scored, where others are excluded) */
    double tok_per_s; /* decode: tokens after the first / time after the first */
    double ttft_p50_ms, ttft_p90_ms, latency_p50_ms; /* latency: start to last token */
    double prompt_tokens, completion_tokens;         /* means per query */

    struct lmw_interval power_w;  /* mean over queries of energy / latency */
    struct lmw_interval energy_j; /* per query, gross */
    struct lmw_interval net_j;    /* per query, less the idle baseline */
    struct lmw_interval
        energy_bounds; /* per query: mean of the meter's own lower and upper bounds */
    double prefill_j, decode_j, j_per_token; /* per query, per query, per answer token */
    struct lmw_interval ipw, ipj, ipj_net;   /* 1/W, 1/J, 1/J */
    double perplexity; /* mean over the records whose energy is valid and perplexity known */
    double ppw, ppj;   /* 1/W, 1/J */

    /* among rows of the same workload and energy basis: */
    bool pareto;              /* no other row is at least as accurate for no more joules */
    const char *dominated_by; /* the run that is both, or NULL */
    enum lmw_figure ranked_by;
    int rank;  /* from 1, by that figure */
    int place; /* from 0, among all rows: groups in the order of their first row, then rank */
};

/* Summaries of the frame's runs, in its order; Pareto marks among them. Returns the count. Rows
 * live in the arena, strings in the frame's. */
int lmw_frame_summaries(const struct lmw_frame *f, struct lmw_arena *arena,
                        struct lmw_summary **out, struct lmw_err *err);
/* The same of the named runs (n_name = 0: every run of the store; none there: 0). */
int lmw_insight_summaries(struct lmw_store *s, const char *const *names, int n_name,
                          struct lmw_arena *arena, struct lmw_summary **out, struct lmw_err *err);

/* Accuracy by the values of a column (domain) or of a field the records carry in `extra`
 * (language, template_seen), for several runs side by side; the records are read once for all
 * fields. Values come in order of appearance;
 * records without the field are the value "(none)". n_value is 0 where no record of any run has
 * the field. */
struct lmw_breakdown {
    const char *field;
    int n_value, n_run;
    const char **value;            /* [n_value] */
    int64_t *n;                    /* [n_value][n_run] records */
    struct lmw_interval *accuracy; /* [n_value][n_run]; NaN where n is 0 */
};
/* out[n_field]; field must live as long as they. */
int lmw_insight_breakdowns(struct lmw_store *s, const struct lmw_summary *rows, int n_row,
                           const char *const *field, int n_field, struct lmw_arena *arena,
                           struct lmw_breakdown *out, struct lmw_err *err);

/* Whether row `row` was asked one question and another row of its workload several: what it got
 * is no share of anything. It dominates nobody and is not on the front. */
bool lmw_is_anecdote(const struct lmw_summary *rows, int n, int row);
/* Whether a is nowhere worse and somewhere better than b in those figures (of the ones that are
 * better more or less). Accuracies of other questions and joules of other rails are in no order,
 * nor is what is not known, nor one question beside several: false. */
bool lmw_dominates(const struct lmw_summary *a, const struct lmw_summary *b,
                   const enum lmw_figure *over, int n_over);
/* Sets pareto and dominated_by of rows: over accuracy and joules per query. */
void lmw_insight_pareto(struct lmw_summary *rows, int n);
/* Sets ranked_by, rank and place: by IPJ; where no row of a workload and rails knows it, by IPW,
 * accuracy, joules or seconds. */
void lmw_insight_rank(struct lmw_summary *rows, int n);

#endif
