/* What the tables show: a row of lmw_report_columns is a column of the main table; a breakdown is
 * a grid of cells. Columns that would say the same in every row (one workload, one meter) are left
 * out, and said once elsewhere; so are those that nothing is known of. */
#include "report/columns.h"

#include <math.h>
#include <string.h>

void lmw_report_number(struct lmw_buf *out, const char *prefix, double v)
{
    if (!isfinite(v)) {
        lmw_buf_str(out, "-");
        return;
    }
    double size = fabs(v);
    int decimals = size == 0 ? 0 : (int)fmax(0, 2 - floor(log10(size) + 1e-12));
    if (size != 0 && (size < 1e-3 || size >= 1e7))
        lmw_buf_printf(out, "%s%.2e", prefix, v);
    else
        lmw_buf_printf(out, "%s%.*f", prefix, decimals, v);
}

/* ---- what tells rows apart ---- */

typedef const char *text_fn(const struct lmw_summary *s);

static const char *model_of(const struct lmw_summary *s)
{
    return s->model ? s->model : "";
}

static const char *quant_of(const struct lmw_summary *s)
{
    return s->quantization ? s->quantization : "";
}

static const char *machine_of(const struct lmw_summary *s)
{
    return s->machine ? s->machine : "";
}

static const char *workload_of(const struct lmw_summary *s)
{
    return s->workload ? s->workload : "";
}

static bool differs(const struct lmw_report *r, text_fn *of)
{
    for (int i = 1; i < r->n_row; i++)
        if (strcmp(of(&r->rows[0]), of(&r->rows[i])) != 0)
            return true;
    return false;
}

bool lmw_report_many_workloads(const struct lmw_report *r)
{
    return differs(r, workload_of);
}

static bool has_joules(const struct lmw_summary *s)
{
    return isfinite(s->energy_j.value);
}

/* The first row that has joules at i or after it; n_row: none. */
static int next_metered(const struct lmw_report *r, int i)
{
    while (i < r->n_row && !has_joules(&r->rows[i]))
        i++;
    return i;
}

const char *lmw_report_source(const struct lmw_report *r)
{
    int i = next_metered(r, 0);
    if (i == r->n_row)
        return "no meter";
    return r->rows[i].basis ? r->rows[i].basis : "records that do not say their meter";
}

bool lmw_report_many_sources(const struct lmw_report *r)
{
    int first = next_metered(r, 0);
    for (int i = first; i < r->n_row; i = next_metered(r, i + 1)) {
        const char *a = r->rows[first].basis, *b = r->rows[i].basis;
        if (strcmp(a ? a : "", b ? b : "") != 0)
            return true;
    }
    return false;
}

/* The shortest of these that no two rows share is what rows are called; else the run's name. */
static const struct name {
    text_fn *part[3];
} names[] = {
    {{quant_of}},
    {{model_of}},
    {{model_of, quant_of}},
    {{model_of, NULL, machine_of}},
    {{model_of, quant_of, machine_of}},
};
enum { N_NAME = sizeof names / sizeof *names };

static bool same_name(const struct name *n, const struct lmw_summary *a,
                      const struct lmw_summary *b)
{
    for (int k = 0; k < 3; k++) {
        if (n->part[k] && strcmp(n->part[k](a), n->part[k](b)) != 0)
            return false;
    }
    return true;
}

static bool is_unique(const struct lmw_report *r, const struct name *n)
{
    text_fn *lead = n->part[0];
    for (int i = 0; i < r->n_row; i++) {
        if (!*lead(&r->rows[i]))
            return false;
        for (int k = 0; k < i; k++) {
            if (same_name(n, &r->rows[i], &r->rows[k]))
                return false;
        }
    }
    return true;
}

/* N_NAME: only the run's name tells them apart. Quantisations alone name rows of one model. */
static int name_of_rows(const struct lmw_report *r)
{
    int i = r->n_row == 1 || differs(r, model_of);
    while (i < N_NAME && !is_unique(r, &names[i]))
        i++;
    return i;
}

static bool needs_run(const struct lmw_report *r)
{
    return name_of_rows(r) == N_NAME;
}

static bool needs_model(const struct lmw_report *r)
{
    return r->n_row == 1 || differs(r, model_of);
}

static bool needs_machine(const struct lmw_report *r)
{
    return differs(r, machine_of);
}

static bool needs_rank(const struct lmw_report *r)
{
    return r->n_row > 1;
}

void lmw_report_label(const struct lmw_report *r, int row, struct lmw_buf *out)
{
    const struct lmw_summary *s = &r->rows[row];
    int i = name_of_rows(r);
    if (i == N_NAME) {
        lmw_buf_str(out, s->run.name);
        return;
    }
    const char *quant = names[i].part[1] ? names[i].part[1](s) : "";
    lmw_buf_str(out, names[i].part[0](s));
    lmw_buf_printf(out, "%s%s", *quant ? " " : "", quant);
    if (names[i].part[2] && *machine_of(s))
        lmw_buf_printf(out, " on %s", machine_of(s));
}

bool lmw_report_marked(const struct lmw_summary *s)
{
    return s->pareto && s->accuracy.value > 0;
}

int lmw_report_row(const struct lmw_report *r, int place)
{
    for (int i = 0; i < r->n_row; i++) {
        if (r->rows[i].rank && r->rows[i].place == place)
            return i;
    }
    return place;
}

/* ---- cells of the main table ---- */

static const char *tilde(const struct lmw_summary *s)
{
    return s->estimated ? "~" : "";
}

static void megabytes(int64_t bytes, struct lmw_buf *out)
{
    lmw_report_number(out, "", bytes == LMW_NULL ? (double)NAN : (double)bytes * 1e-6);
}

static void cell_rank(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%d%s", s->rank, lmw_report_marked(s) ? " *" : "");
}

static void cell_run(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_str(out, s->run.name);
}

static void cell_model(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_str(out, s->model ? s->model : s->run.name);
}

static void cell_workload(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_str(out, s->workload ? s->workload : "-");
}

static void cell_quant(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_str(out, s->quantization ? s->quantization : "-");
}

static void cell_machine(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_str(out, s->machine ? s->machine : "-");
}

static void cell_size(const struct lmw_summary *s, struct lmw_buf *out)
{
    megabytes(s->run.file_bytes, out);
}

static void cell_accuracy(const struct lmw_summary *s, struct lmw_buf *out)
{
    if (isnan(s->accuracy.value))
        lmw_buf_str(out, "-");
    else
        lmw_buf_printf(out, "%.1f", 100 * s->accuracy.value);
    if (isfinite(s->accuracy.lower) && isfinite(s->accuracy.upper))
        lmw_buf_printf(out, " [%.1f, %.1f]", 100 * s->accuracy.lower, 100 * s->accuracy.upper);
}

static void cell_speed(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, "", s->tok_per_s);
}

static void cell_ttft(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, "", s->ttft_p50_ms);
}

static void cell_latency(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, "", s->latency_p50_ms);
}

static void cell_power(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->power_w.value);
}

static void cell_energy(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->energy_j.value);
}

static void cell_net(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->net_j.value);
}

static void cell_token(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->j_per_token);
}

static void cell_rss(const struct lmw_summary *s, struct lmw_buf *out)
{
    megabytes(s->run.peak_rss_bytes, out);
}

static void cell_ipw(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->ipw.value);
}

static void cell_ipj(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->ipj.value);
}

static void cell_perplexity(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, "", s->perplexity);
}

static void cell_ppw(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->ppw);
}

static void cell_ppj(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->ppj);
}

static void cell_source(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_str(out, s->basis ? s->basis : "none");
}

#define INTERVAL(field) offsetof(struct lmw_summary, field)

/* clang-format off */
const struct lmw_report_column lmw_report_columns[] = {
    {"rank", "", "By IPJ; where no row knows it by IPW, accuracy, joules or seconds. Rows of another workload or other "
     "rails have a ranking of their own. * marks the Pareto-optimal rows: no other is as accurate for fewer joules.",
     cell_rank, .left = true, .needed = needs_rank},
    {"run", "", "The run's name.", cell_run, .left = true, .needed = needs_run},
    {"model", "", "The model's name, from its file.", cell_model, .left = true, .needed = needs_model},
    {"machine", "", "What it ran on.", cell_machine, .left = true, .needed = needs_machine},
    {"workload", "", "The questions.", cell_workload, .left = true, .needed = lmw_report_many_workloads},
    {"quant", "", "Tensor format.", cell_quant, .left = true, .optional = true},
    {"accuracy", "% [95 %]", "Right answers over all queries, with its Wilson 95 % interval; failed answers count as wrong, unscorable ones too unless they are left out.",
     cell_accuracy},
    {"energy", "J/query", "Joules per query, gross: everything the rails used from prompt to last token.",
     cell_energy, INTERVAL(energy_j), .optional = true},
    {"IPJ", "1/J", "Intelligence per joule: mean accuracy / mean joules per query.", cell_ipj, INTERVAL(ipj), .optional = true},
    {"power", "W", "Mean over queries of energy / latency.", cell_power, INTERVAL(power_w), .optional = true},
    {"IPW", "1/W", "Intelligence per watt: mean accuracy / mean power.", cell_ipw, INTERVAL(ipw), .optional = true},
    {"net", "J/query", "The same less the idle power of the machine with the model loaded.", cell_net, INTERVAL(net_j), .optional = true},
    {"token", "J/tok", "Gross joules over answer tokens.", cell_token, .optional = true},
    {"speed", "tok/s", "Decode: answer tokens after the first over the time after the first.", cell_speed, .optional = true},
    {"TTFT", "ms", "Time to first token, median.", cell_ttft, .optional = true},
    {"latency", "ms", "From the prompt to the last token, median.", cell_latency, .optional = true},
    {"file", "MB", "Size of the model file.", cell_size, .optional = true},
    {"RSS", "MB", "Peak resident memory of the process while this model ran.", cell_rss, .optional = true},
    {"ppl", "", "Perplexity of the right answers given their prompts, mean over queries.",
     cell_perplexity, .optional = true},
    {"PPW", "1/W", "Perplexity per watt: 1 / (mean perplexity x mean power).", cell_ppw, .optional = true},
    {"PPJ", "1/J", "Perplexity per joule: 1 / (mean perplexity x mean joules per query).", cell_ppj, .optional = true},
    {"source", "", "The rails the joules come from; ~ marks an estimate.", cell_source, .left = true,
     .needed = lmw_report_many_sources},
    {NULL},
};
/* clang-format on */

static bool is_known(const struct lmw_report *r, const struct lmw_report_column *c)
{
    struct lmw_buf text = {0};
    bool known = false;
    for (int i = 0; i < r->n_row && !known; i++) {
        text.len = 0;
        c->cell(&r->rows[i], &text);
        known = text.ptr && strcmp(text.ptr, "-") != 0;
    }
    lmw_buf_free(&text);
    return known;
}

const struct lmw_report_column *lmw_report_column(const struct lmw_report *r,
                                                  const struct lmw_report_column *c)
{
    while (c->head && ((c->needed && !c->needed(r)) || (c->optional && !is_known(r, c))))
        c++;
    return c;
}

void lmw_report_interval(const struct lmw_report_column *c, const struct lmw_summary *s,
                         struct lmw_buf *out)
{
    const struct lmw_interval *v = (const void *)((const char *)s + c->interval);
    if (!c->interval || !isfinite(v->lower) || !isfinite(v->upper))
        return;
    lmw_buf_printf(out, "%s[", tilde(s));
    lmw_report_number(out, "", v->lower);
    lmw_buf_str(out, ", ");
    lmw_report_number(out, "", v->upper);
    lmw_buf_str(out, "]");
}

/* ---- rails ---- */

int lmw_report_rails(const struct lmw_report *r)
{
    int n = 0;
    bool several = false;
    for (int i = 0; i < r->n_row; i++) {
        n += r->rows[i].n_rail;
        several |= r->rows[i].n_rail > 1;
    }
    return several ? n : 0;
}

static void put_figure(const struct lmw_summary *s, struct lmw_interval v, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), v.value);
    if (isfinite(v.value) && isfinite(v.lower) && isfinite(v.upper)) {
        lmw_buf_str(out, " [");
        lmw_report_number(out, "", v.lower);
        lmw_buf_str(out, ", ");
        lmw_report_number(out, "", v.upper);
        lmw_buf_str(out, "]");
    }
}

void lmw_report_rail_cell(const struct lmw_report *r, int line, int column, struct lmw_buf *out)
{
    static const char *const heads[LMW_RAIL_COLUMNS] = {
        "", "rail", "share, %", "energy, J/query", "power, W", "IPW, 1/W", "IPJ, 1/J"};
    int place = 0, row = lmw_report_row(r, 0);
    if (line == 0) {
        lmw_buf_str(out, heads[column]);
        return;
    }
    for (line--; line >= r->rows[row].n_rail; row = lmw_report_row(r, ++place))
        line -= r->rows[row].n_rail;
    const struct lmw_summary *s = &r->rows[row];
    const struct lmw_rail_figures *of = &s->rail[line];
    switch (column) {
    case 0: lmw_report_label(r, row, out); break;
    case 1: lmw_buf_str(out, of->name); break;
    case 2: lmw_report_number(out, tilde(s), 100 * of->share); break;
    case 3: put_figure(s, of->energy_j, out); break;
    case 4: put_figure(s, of->power_w, out); break;
    case 5: put_figure(s, of->ipw, out); break;
    default: put_figure(s, of->ipj, out);
    }
}

/* ---- breakdowns ---- */

/* Records of a value in the run that has most. */
static int64_t n_of(const struct lmw_breakdown *b, int value)
{
    int64_t n = 0;
    for (int k = 0; k < b->n_run; k++)
        n = b->n[value * b->n_run + k] > n ? b->n[value * b->n_run + k] : n;
    return n;
}

/* A value's line: its name, its records, the share right of each run. Value -1 is the head. */
static void value_cell(const struct lmw_report *r, const struct lmw_breakdown *b, int value, int i,
                       struct lmw_buf *out)
{
    int at = value * b->n_run + (i - 2);
    if (value < 0 && i >= 2)
        lmw_report_label(r, i - 2, out);
    else if (value < 0)
        lmw_buf_str(out, i ? "queries" : "");
    else if (i == 0)
        lmw_buf_str(out, b->value[value]);
    else if (i == 1)
        lmw_buf_printf(out, "%lld", (long long)n_of(b, value));
    else if (b->n[at] == 0 || isnan(b->accuracy[at].value))
        lmw_buf_str(out, "-");
    else
        lmw_buf_printf(out, "%.1f", 100 * b->accuracy[at].value);
}

/* The shorter of the two lists goes across. */
static bool values_across(const struct lmw_breakdown *b)
{
    return b->n_value < b->n_run;
}

void lmw_report_grid_size(const struct lmw_breakdown *b, int *n_row, int *n_column)
{
    *n_row = values_across(b) ? b->n_run + 2 : b->n_value + 1;
    *n_column = values_across(b) ? b->n_value + 1 : b->n_run + 2;
}

void lmw_report_grid_cell(const struct lmw_report *r, const struct lmw_breakdown *b, int row,
                          int column, struct lmw_buf *out)
{
    if (values_across(b))
        value_cell(r, b, column - 1, row, out);
    else
        value_cell(r, b, row - 1, column, out);
}
