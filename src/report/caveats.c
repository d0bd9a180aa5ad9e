/* What has to be said beside the figures: a line for each thing that is so of some runs, with the
 * runs it is so of (the first few by name) and how much. A caveat that applies to no run is not
 * printed. */
#include "report/columns.h"

#include <math.h>
#include <string.h>

/* Writes how much, and returns whether the caveat applies to this run. */
typedef bool caveat_fn(const struct lmw_summary *s, struct lmw_buf *out);

static void put_reason(const struct lmw_summary *s, struct lmw_buf *out)
{
    const char *why = s->n_reason ? s->reason[0].text : NULL;
    if (why && *why != '(')
        lmw_buf_printf(out, ": %s", why);
}

static void put_records(const struct lmw_summary *s, const char *what, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%lld %s%s", (long long)s->n_record, what, s->n_record == 1 ? "" : "s");
}

static bool invalid(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%lld of %lld", (long long)(s->n_record - s->n_valid),
                   (long long)s->n_record);
    put_reason(s, out);
    return s->n_valid > 0 && s->n_valid < s->n_record;
}

static bool without_joules(const struct lmw_summary *s, struct lmw_buf *out)
{
    put_records(s, "record", out);
    put_reason(s, out);
    return s->n_valid == 0 && isnan(s->power_w.value);
}

static bool only_watts(const struct lmw_summary *s, struct lmw_buf *out)
{
    put_records(s, "record", out);
    put_reason(s, out);
    return s->n_valid == 0 && isfinite(s->power_w.value);
}

static bool failed(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%lld of %lld", (long long)s->n_failed, (long long)s->n_record);
    return s->n_failed > 0;
}

static bool unscored(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%lld of %lld", (long long)s->n_unscored, (long long)s->n_record);
    return s->n_unscored > 0 && !isnan(s->accuracy.value) && !s->excludes_unscored;
}

static bool excluded(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%lld of %lld", (long long)s->n_unscored, (long long)s->n_record);
    return s->n_unscored > 0 && !isnan(s->accuracy.value) && s->excludes_unscored;
}

static bool without_scores(const struct lmw_summary *s, struct lmw_buf *out)
{
    put_records(s, "answer", out);
    return isnan(s->accuracy.value);
}

static bool never_right(const struct lmw_summary *s, struct lmw_buf *out)
{
    put_records(s, "answer", out);
    return s->accuracy.value == 0;
}

static bool one_question(const struct lmw_summary *s, struct lmw_buf *out)
{
    put_records(s, "record", out);
    return s->n_question == 1;
}

static bool uneven(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%lld answers to %lld questions", (long long)s->n_record,
                   (long long)s->n_question);
    return s->uneven;
}

static bool mixed(const struct lmw_summary *s, struct lmw_buf *out)
{
    put_records(s, "record", out);
    return s->mixed;
}

static bool unfinished(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%lld queries so far", (long long)s->n_record);
    return !s->run.finished;
}

static bool drifted(const struct lmw_summary *s, struct lmw_buf *out)
{
    int64_t before = s->run.idle_loaded_mw, after = s->run.idle_after_mw;
    if (before == LMW_NULL || after == LMW_NULL || before <= 0)
        return false;
    double drift = (double)(after - before) / (double)before;
    lmw_buf_printf(out, "%+.0f %%, %.2f to %.2f W", 100 * drift, (double)before * 1e-3,
                   (double)after * 1e-3);
    return fabs(drift) > 0.1;
}

/* The baseline took more than the query: something else ran while idle power was measured. */
static bool below_idle(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_number(out, s->estimated ? "~" : "", s->net_j.value);
    lmw_buf_str(out, " J net a query");
    return s->net_j.value <= 0;
}

static bool slowed(const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_buf_printf(out, "%+.0f %%", 100 * (s->speed_drift - 1));
    return s->n_record >= 40 && (s->speed_drift < 0.85 || s->speed_drift > 1.15);
}

/* How far the meter itself may be off; an estimate's error is the last sentence's. */
static bool unsure(const struct lmw_summary *s, struct lmw_buf *out)
{
    const struct lmw_interval *b = &s->energy_bounds;
    double below = 1 - b->lower / b->value, above = b->upper / b->value - 1;
    lmw_buf_printf(out, "-%.0f to +%.0f %%", 100 * below, 100 * above);
    return !s->estimated && (below > 0.05 || above > 0.05);
}

/* --- how the metering went: `metering` of the run's environment --- */

json_t *lmw_report_metering(const struct lmw_summary *s)
{
    json_t *all = s->run.environment ? json_loads(s->run.environment, 0, NULL) : NULL;
    json_t *found = json_incref(json_object_get(all, "metering"));
    json_decref(all);
    return found;
}

static long long metered(const struct lmw_summary *s, const char *what)
{
    json_t *m = lmw_report_metering(s);
    long long n = json_integer_value(json_object_get(m, what));
    json_decref(m);
    return n;
}

static void put_count(struct lmw_buf *out, long long n)
{
    if (n >= 1000)
        put_count(out, n / 1000);
    lmw_buf_printf(out, n >= 1000 ? ",%03lld" : "%lld", n % 1000);
}

static bool overwritten(const struct lmw_summary *s, struct lmw_buf *out)
{
    long long n = metered(s, "samples_lost");
    put_count(out, n);
    return n > 0;
}

static bool late(const struct lmw_summary *s, struct lmw_buf *out)
{
    long long n = metered(s, "polls_late"), of = metered(s, "polls");
    put_count(out, n);
    lmw_buf_str(out, " of ");
    put_count(out, of);
    return 20 * n > of;
}

static bool slept(const struct lmw_summary *s, struct lmw_buf *out)
{
    long long n = metered(s, "suspends");
    lmw_buf_printf(out, n == 1 ? "once" : "%lld times", n);
    return n > 0;
}

static bool noted(const struct lmw_summary *s, struct lmw_buf *out)
{
    json_t *m = lmw_report_metering(s), *note;
    const char *source;
    size_t begun = out->len;
    json_object_foreach(json_object_get(m, "notes"), source, note) lmw_buf_printf(
        out, "%s%s: %s", out->len > begun ? "; " : "", source, json_string_value(note));
    json_decref(m);
    return out->len > begun;
}

static const struct {
    const char *what;
    caveat_fn *applies;
} caveats[] = {
    {"No joules, so no IPW and no IPJ (`lmwatt meters` says what can be read here)",
     without_joules},
    {"Watts are known, joules are not: there is an IPW and no IPJ", only_watts},
    {"Queries without a valid energy reading: they are in no figure of energy, power, IPW or IPJ",
     invalid},
    {"Queries that failed and count as wrong", failed},
    {"Answers that could not be scored and count as wrong", unscored},
    {"Answers that could not be scored and are in no accuracy, IPW or IPJ", excluded},
    {"No answer was scored, so accuracy, IPW and IPJ are not known (`lmwatt judge` scores what is "
     "stored)",
     without_scores},
    {"No answer is right: look at some (`lmwatt export`), and at the scorer", never_right},
    {"One question only: nothing says how others would do, and there are no intervals",
     one_question},
    {"Questions that were asked more often than others weigh more here, and once in `compare`",
     uneven},
    {"Several models, machines or rails under the name of one run: one row hides that", mixed},
    {"Not finished; the same `lmwatt measure` goes on", unfinished},
    {"Idle power moved between start and end, and the net joules with it", drifted},
    {"Net joules at or below zero: the machine was busier while its idle power was measured",
     below_idle},
    {"The last quarter of the answers was written at another speed than the first (heat, or "
     "something else ran)",
     slowed},
    {"The meter's own error bounds on the joules", unsure},
    {"Readings a power source could not give, or that were not understood", noted},
    {"Raw samples overwritten before they were stored: the joules are whole, but cannot be computed "
     "again",
     overwritten},
    {"Polls of the meter that came late, for others kept the machine busy: bounds are wider",
     late},
    {"The machine slept during the run: queries it slept in have no joules", slept},
};

/* The rows a caveat applies to, best ranked first, and how much. */
struct found {
    struct lmw_buf rows, amounts; /* "a, b, c" and "a (1); b (2); c (3)" */
    struct lmw_buf first;         /* the amount of the first */
    int n;
    bool alike; /* as much for each */
};

static void find_rows(const struct lmw_report *r, caveat_fn *applies, struct found *f)
{
    enum { NAMED = 3 };
    struct lmw_buf amount = {0};
    *f = (struct found){.alike = true};
    for (int place = 0; place < r->n_row; place++) {
        int row = lmw_report_row(r, place);
        amount.len = 0;
        if (!applies(&r->rows[row], &amount))
            continue;
        if (f->n == 0)
            lmw_buf_printf(&f->first, "%s", amount.ptr);
        f->alike &= strcmp(amount.ptr, f->first.ptr) == 0;
        if (f->n++ >= NAMED)
            continue;
        lmw_buf_str(&f->rows, f->n > 1 ? ", " : "");
        lmw_report_label(r, row, &f->rows);
        lmw_buf_str(&f->amounts, f->n > 1 ? "; " : "");
        lmw_report_label(r, row, &f->amounts);
        lmw_buf_printf(&f->amounts, " (%s)", amount.ptr);
    }
    if (f->n > NAMED) {
        lmw_buf_printf(&f->rows, " and %d more", f->n - NAMED);
        lmw_buf_printf(&f->amounts, "; and %d more", f->n - NAMED);
    }
    lmw_buf_free(&amount);
}

static void put_caveat(const struct lmw_report *r, size_t i, struct lmw_buf *out)
{
    struct found f;
    find_rows(r, caveats[i].applies, &f);
    bool all = f.n == r->n_row && f.n > 2;
    if (f.n == 0)
        return;
    if (f.n > 1 && f.alike)
        lmw_buf_printf(out, "%s: %s (each %s).\n", caveats[i].what, all ? "all rows" : f.rows.ptr,
                       f.first.ptr);
    else
        lmw_buf_printf(out, "%s: %s.\n", caveats[i].what, f.amounts.ptr);
    out->failed |= f.rows.failed || f.amounts.failed || f.first.failed;
    lmw_buf_free(&f.rows);
    lmw_buf_free(&f.amounts);
    lmw_buf_free(&f.first);
}

/* The ranking, the front and the advice take the rows' figures as they are. */
static void put_uneven_rows(const struct lmw_report *r, struct lmw_buf *out)
{
    for (int i = 0; i < r->n_row; i++) {
        const struct lmw_summary *a = &r->rows[i];
        for (int k = 0; k < i; k++) {
            const struct lmw_summary *b = &r->rows[k];
            if (a->n_question == b->n_question ||
                !lmw_str_is(lmw_str_from(a->workload), b->workload))
                continue;
            lmw_buf_str(out, "Some rows were asked more questions of their workload than others, "
                             "which may be easier or harder: `lmwatt compare` takes two on the "
                             "questions both were asked.\n");
            return;
        }
    }
}

void lmw_report_caveats(const struct lmw_report *r, struct lmw_buf *out)
{
    bool estimated = false;
    for (int i = 0; i < r->n_row; i++)
        estimated |= r->rows[i].estimated;
    for (size_t i = 0; i < sizeof caveats / sizeof *caveats; i++)
        put_caveat(r, i, out);
    put_uneven_rows(r, out);
    if (lmw_report_many_workloads(r))
        lmw_buf_str(out,
                    "The rows answer different workloads: compare accuracies only within one.\n");
    if (lmw_report_many_sources(r))
        lmw_buf_str(out, "The joules of the rows come from different sources: compare them only "
                         "within one.\n");
    if (estimated)
        lmw_buf_str(out, "~ joules are an estimate (busy share x an assumed power range), good to "
                         "±50 % at best: no power meter was read. Ratios between rows "
                         "are better than the values.\n");
}
