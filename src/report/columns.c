/* What the table shows: one row here is one column there. */
#include "report/columns.h"

#include <math.h>

void lmw_report_number(struct lmw_buf *out, const char *prefix, double v)
{
    if (!isfinite(v)) {
        lmw_buf_str(out, "-");
        return;
    }
    double size = fabs(v);
    int decimals = size == 0 ? 0 : (int)fmax(0, 2 - floor(log10(size) + 1e-12));
    if (size != 0 && size < 1e-3)
        lmw_buf_printf(out, "%s%.2e", prefix, v);
    else
        lmw_buf_printf(out, "%s%.*f", prefix, decimals, v);
}

const char *lmw_report_label(const struct lmw_summary *s)
{
    return s->quantization ? s->quantization : s->run.name;
}

static const char *tilde(const struct lmw_summary *s)
{
    return s->estimated ? "~" : "";
}

static void cell_model(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_str(out, s->model ? s->model : s->run.name);
}

static void cell_quant(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%s%s", s->quantization ? s->quantization : "-", s->pareto ? " *" : "");
}

static void cell_size(const struct lmw_summary *s, struct lmw_buf *out)
{
    int64_t b = s->run.file_bytes;
    lmw_report_number(out, "", b == LMW_NULL ? (double)NAN : (double)b * 1e-6);
}

static void cell_accuracy(const struct lmw_summary *s, struct lmw_buf *out)
{
    if (isnan(s->accuracy.value))
        lmw_buf_str(out, "-");
    else
        lmw_buf_printf(out, "%.1f [%.1f, %.1f]", 100 * s->accuracy.value, 100 * s->accuracy.lower,
                       100 * s->accuracy.upper);
}

static void cell_speed(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, "", s->tok_per_s);
}

static void cell_ttft(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, "", s->ttft_p50_ms);
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
    int64_t b = s->run.peak_rss_bytes;
    lmw_report_number(out, "", b == LMW_NULL ? (double)NAN : (double)b * 1e-6);
}

static void cell_ipw(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->ipw.value);
}

static void cell_ipj(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, tilde(s), s->ipj.value);
}

static void cell_source(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_str(out, s->basis ? s->basis : "none");
}

/* clang-format off */
const struct lmw_report_column lmw_report_columns[] = {
    {"model", "", "The model's name, from its file.", cell_model, true},
    {"quant", "", "Tensor format; * marks the Pareto-optimal rows: none is as accurate for fewer joules.",
     cell_quant, true},
    {"file", "MB", "Size of the model file.", cell_size, false},
    {"accuracy", "% [95 %]", "Right answers over all queries, with its Wilson 95 % interval; failed and unscorable answers count as wrong.",
     cell_accuracy, false},
    {"speed", "tok/s", "Decode: answer tokens after the first over the time after the first.", cell_speed, false},
    {"TTFT", "ms", "Time to first token, median.", cell_ttft, false},
    {"power", "W", "Mean over queries of energy / latency.", cell_power, false},
    {"energy", "J/query", "Joules per query, gross: everything the rails used from prompt to last token.",
     cell_energy, false},
    {"net", "J/query", "The same less the idle power of the machine with the model loaded.", cell_net, false},
    {"token", "J/tok", "Gross joules over answer tokens.", cell_token, false},
    {"RSS", "MB", "Peak resident memory of the process while this model ran.", cell_rss, false},
    {"IPW", "1/W", "Intelligence per watt: mean accuracy / mean power.", cell_ipw, false},
    {"IPJ", "1/J", "Intelligence per joule: mean accuracy / mean joules per query.", cell_ipj, false},
    {"source", "", "The rails the joules come from; ~ marks an estimate.", cell_source, true},
    {NULL, NULL, NULL, NULL, false},
};
/* clang-format on */

static void idle_caveat(const struct lmw_summary *s, struct lmw_buf *out)
{
    int64_t before = s->run.idle_loaded_mw, after = s->run.idle_after_mw;
    if (before == LMW_NULL || after == LMW_NULL || before <= 0)
        return;
    double drift = (double)(after - before) / (double)before;
    if (fabs(drift) > 0.1)
        lmw_buf_printf(out,
                       "%s: idle power moved %+.0f %% between start and end (%.2f to %.2f W): "
                       "the net joules move with it.\n",
                       s->run.name, 100 * drift, (double)before * 1e-3, (double)after * 1e-3);
}

void lmw_report_caveats(const struct lmw_report *r, struct lmw_buf *out)
{
    const struct lmw_summary *estimated = NULL;
    for (int i = 0; i < r->n_row; i++) {
        const struct lmw_summary *s = &r->rows[i];
        if (s->estimated)
            estimated = s;
        if (s->n_valid < s->n_record)
            lmw_buf_printf(out, "%s: %lld of %lld queries have no valid energy reading.\n",
                           s->run.name, (long long)(s->n_record - s->n_valid),
                           (long long)s->n_record);
        if (s->n_failed + s->n_unscored)
            lmw_buf_printf(out,
                           "%s: %lld queries failed and %lld answers could not be scored; "
                           "both count as wrong.\n",
                           s->run.name, (long long)s->n_failed, (long long)s->n_unscored);
        if (!s->run.finished)
            lmw_buf_printf(out, "%s: not finished; the same `lmwatt measure` resumes it.\n",
                           s->run.name);
        idle_caveat(s, out);
    }
    if (estimated)
        lmw_buf_printf(out, "~ joules are an estimate (busy share x an assumed power range), good "
                            "to +-50 %% at best: this machine offers no power meter. Ratios "
                            "between rows are better than the values.\n");
}
