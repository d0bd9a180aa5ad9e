/* What may be said of two runs, in a sentence. A difference whose interval holds none is not
 * called one; an estimate carries its "~". */
#include "insight/insight.h"

#include <math.h>
#include <stdio.h>

static bool is_clear(struct lmw_interval v, double none)
{
    return isfinite(v.lower) && isfinite(v.upper) && (v.lower > none || v.upper < none);
}

/* "1,234,567" */
static void put_count(int64_t n, struct lmw_buf *out)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n);
    for (int i = 0; i < len; i++)
        lmw_buf_printf(out, "%s%c", i && (len - i) % 3 == 0 ? "," : "", digits[i]);
}

static void put_points(struct lmw_interval d, struct lmw_buf *out)
{
    double sign = d.value < 0 ? -100 : 100;
    double lower = sign > 0 ? d.lower : d.upper, upper = sign > 0 ? d.upper : d.lower;
    lmw_buf_printf(out, "%.1f [%.1f, %.1f] points %s", sign * d.value, sign * lower, sign * upper,
                   sign > 0 ? "more" : "fewer");
}

static void put_accuracy(const struct lmw_comparison *c, struct lmw_buf *out)
{
    const struct lmw_interval *d = &c->pair[LMW_PAIR_ACCURACY].difference;
    const char *a = c->a->run.name, *b = c->b->run.name;
    if (!isfinite(d->value)) {
        lmw_buf_printf(out, "Of %s and %s, accuracy is not known for both", a, b);
    } else if (is_clear(*d, 0)) {
        lmw_buf_printf(out, "%s answers ", b);
        put_points(*d, out);
        lmw_buf_printf(out, " than %s", a);
    } else {
        lmw_buf_printf(out, "%s and %s cannot be told apart in accuracy (%+.1f", b, a,
                       100 * d->value);
        if (isfinite(d->lower))
            lmw_buf_printf(out, " [%.1f, %.1f]", 100 * d->lower, 100 * d->upper);
        lmw_buf_str(out, " points)");
    }
}

static void put_times(struct lmw_interval r, struct lmw_buf *out)
{
    lmw_buf_printf(out, r.value < 0.095 ? "%.3fx" : "%.2fx", r.value);
    if (isfinite(r.lower))
        lmw_buf_printf(out, r.value < 0.095 ? " [%.3f, %.3f]" : " [%.2f, %.2f]", r.lower, r.upper);
}

static void put_energy(const struct lmw_comparison *c, struct lmw_buf *out)
{
    const struct lmw_interval *r = &c->pair[LMW_PAIR_ENERGY].ratio;
    bool clear = is_clear(*r, 1);
    if (r->n == 0) {
        lmw_buf_str(out, "; joules are not known for both");
    } else if (!c->comparable_energy) {
        lmw_buf_printf(out, "; their joules are of different rails (%s, %s) and not compared",
                       c->a->basis ? c->a->basis : "none", c->b->basis ? c->b->basis : "none");
    } else if (!isfinite(r->value)) {
        lmw_buf_str(out, "; joules are not known for both");
    } else {
        lmw_buf_str(out, clear ? ", for " : "; their joules cannot be told apart (");
        lmw_buf_str(out, c->a->estimated || c->b->estimated ? "~" : "");
        put_times(*r, out);
        lmw_buf_str(out, clear ? " the joules" : ")");
        if (r->n < c->n_common) {
            lmw_buf_str(out, " where both are known (");
            put_count(r->n, out);
            lmw_buf_str(out, ")");
        }
    }
}

static void put_questions(const struct lmw_comparison *c, struct lmw_buf *out)
{
    lmw_buf_str(out, ", on ");
    put_count(c->n_common, out);
    lmw_buf_str(out, c->n_common == 1 ? " common question" : " common questions");
    if (c->n_only_a || c->n_only_b) {
        lmw_buf_str(out, " (");
        put_count(c->n_only_a + c->n_only_b, out);
        lmw_buf_str(out, " more were asked of one of them only)");
    }
    lmw_buf_str(out, ".");
}

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* "lower" where b has less; ratios are given as a number above 1 with its direction in words. */
static void put_machine_ratio(const char *what, const char *estimate, struct lmw_interval r,
                              struct lmw_buf *out)
{
    bool less = r.value < 1;
    struct lmw_interval up =
        less ? (struct lmw_interval){1 / r.value, 1 / r.upper, 1 / r.lower, r.n} : r;
    if (isfinite(r.lower) && !is_clear(r, 1)) {
        lmw_buf_printf(out, "about the same %s (%s", what, estimate);
        put_times(r, out);
        lmw_buf_str(out, ")");
    } else {
        lmw_buf_str(out, estimate);
        put_times(up, out);
        lmw_buf_printf(out, " %s %s", less ? "lower" : "higher", what);
    }
}

static void put_machines(const struct lmw_comparison *c, struct lmw_buf *out)
{
    const struct lmw_frame_run *a = c->a, *b = c->b;
    struct lmw_interval ipw = c->pair[LMW_PAIR_IPW].ratio, ipj = c->pair[LMW_PAIR_IPJ].ratio;
    /* Where one of the two is never right, there is no ratio to give. */
    bool by_watts = isfinite(ipw.value) && ipw.value > 0;
    bool by_joules = isfinite(ipj.value) && ipj.value > 0;
    if (!same(a->model, b->model) || !a->machine || !b->machine || same(a->machine, b->machine) ||
        !(by_watts || by_joules))
        return;
    const char *estimate = a->estimated || b->estimated ? "~" : "";
    lmw_buf_printf(out, " The same model, %s, has ", a->model);
    if (by_watts)
        put_machine_ratio("IPW", estimate, ipw, out);
    lmw_buf_str(out, by_watts && by_joules ? " and " : "");
    if (by_joules)
        put_machine_ratio("IPJ", estimate, ipj, out);
    lmw_buf_printf(out, " on %s than on %s", b->machine, a->machine);
    if (!same(a->quantization, b->quantization) && (a->quantization || b->quantization))
        lmw_buf_printf(out, " (at %s and %s)", b->quantization ? b->quantization : "unknown bits",
                       a->quantization ? a->quantization : "unknown bits");
    if ((a->basis || b->basis) && !same(a->basis, b->basis))
        lmw_buf_printf(out, "; their meters cover %s and %s",
                       b->basis ? b->basis : "unknown rails",
                       a->basis ? a->basis : "unknown rails");
    lmw_buf_str(out, ".");
}

void lmw_compare_sentence(const struct lmw_comparison *c, struct lmw_buf *out)
{
    put_accuracy(c, out);
    put_energy(c, out);
    put_questions(c, out);
    put_machines(c, out);
}
