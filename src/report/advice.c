/* What to do, from the rows: which to take for how many joules.
 *
 * Rows that answer the same questions and whose joules are of the same rails are advised on
 * together, a line for each such group. Only the Pareto front is advised. Neighbours on it whose
 * accuracy intervals overlap are not known to differ, and it is said. Where joules are not known,
 * accuracy alone speaks; where nothing is right, nothing is advised. */
#include "report/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ADVISED_MAX = 6, GROUPS_MAX = 4 };

/* The rows of a group, best ranked first. */
struct group {
    const struct lmw_report *r;
    const struct lmw_summary **row;
    int n;
};

static bool is_known(const struct lmw_summary *s)
{
    return isfinite(s->energy_j.value) && isfinite(s->accuracy.value);
}

/* At least once. */
static bool is_right(const struct lmw_summary *s)
{
    return s->accuracy.value > 0;
}

static int by_energy(const void *a, const void *b)
{
    const struct lmw_summary *x = *(const struct lmw_summary *const *)a;
    const struct lmw_summary *y = *(const struct lmw_summary *const *)b;
    return (x->energy_j.value > y->energy_j.value) - (x->energy_j.value < y->energy_j.value);
}

static int by_accuracy(const void *a, const void *b)
{
    const struct lmw_summary *x = *(const struct lmw_summary *const *)a;
    const struct lmw_summary *y = *(const struct lmw_summary *const *)b;
    double p = isfinite(x->accuracy.value) ? x->accuracy.value : -1;
    double q = isfinite(y->accuracy.value) ? y->accuracy.value : -1;
    return (p < q) - (p > q);
}

static void put_label(const struct group *g, const struct lmw_summary *s, struct lmw_buf *out)
{
    lmw_report_label(g->r, (int)(s - g->r->rows), out);
}

static void put_joules(const struct lmw_summary *s, double joules, struct lmw_buf *out)
{
    lmw_report_number(out, s->estimated ? "~" : "", joules);
    lmw_buf_str(out, " J");
}

static void put_row(const struct group *g, const struct lmw_summary *s, struct lmw_buf *out)
{
    put_label(g, s, out);
    lmw_buf_printf(out, " (%.1f %% right for ", 100 * s->accuracy.value);
    put_joules(s, s->energy_j.value, out);
    lmw_buf_str(out, ")");
}

/* --- one row --- */

static void advise_only(const struct group *g, struct lmw_buf *out)
{
    const struct lmw_summary *s = g->row[0];
    if (!is_known(s) || !is_right(s))
        return;
    lmw_buf_printf(out, "The only row is right for %.1f %% at ", 100 * s->accuracy.value);
    put_joules(s, s->energy_j.value, out);
    lmw_buf_str(out, " a query, ");
    put_joules(s, 1 / s->ipj.value, out);
    lmw_buf_str(out, " a right answer. Measure another model or quantisation beside it to have "
                     "a choice.\n");
}

/* --- without joules --- */

/* Two rows whose intervals overlap, or do not tell. */
static bool may_be_alike(const struct lmw_summary *better, const struct lmw_summary *s)
{
    return !(better->accuracy.lower > s->accuracy.upper);
}

/* Who cannot be told apart from row 0; the rows are sorted by accuracy. */
static void put_rivals(const struct group *g, struct lmw_buf *out)
{
    enum { NAMED = 2 };
    int n = 0, n_other = 0, rival[NAMED] = {0};
    while (n_other + 1 < g->n && isfinite(g->row[n_other + 1]->accuracy.value))
        n_other++;
    for (int i = 1; i <= n_other; i++) {
        if (may_be_alike(g->row[0], g->row[i]) && n++ < NAMED)
            rival[n - 1] = i;
    }
    if (n_other == 0)
        return; /* of the rest nothing was scored */
    if (isnan(g->row[0]->accuracy.lower)) {
        lmw_buf_str(out, "; without intervals it is not known whether the others differ");
    } else if (n == 0) {
        lmw_buf_str(out, ", and the intervals of the others are below its own");
    } else if (n > NAMED) {
        lmw_buf_printf(out, "; %d others cannot be told apart from it", n);
    } else {
        for (int i = 0; i < n; i++) {
            lmw_buf_str(out, i == 0 ? "; not told apart from it: " : ", ");
            put_label(g, g->row[rival[i]], out);
        }
    }
}

static void advise_by_accuracy(const struct group *g, struct lmw_buf *out)
{
    const struct lmw_summary *first = g->row[0];
    qsort(g->row, (size_t)g->n, sizeof *g->row, by_accuracy);
    if (!is_right(g->row[0]))
        return;
    if (first->ranked_by == LMW_FIG_IPW && isfinite(first->ipw.value)) {
        lmw_buf_str(out, "Joules are not known; by watts ");
        put_label(g, first, out);
        lmw_buf_str(out, " gives most (IPW ");
        lmw_report_number(out, first->estimated ? "~" : "", first->ipw.value);
        lmw_buf_str(out, "). ");
    } else {
        lmw_buf_str(out, "Without joules only accuracy speaks: ");
    }
    put_label(g, g->row[0], out);
    lmw_buf_printf(out, " is right most often (%.1f %%)", 100 * g->row[0]->accuracy.value);
    put_rivals(g, out);
    lmw_buf_str(out, ".\n");
}

/* --- the front --- */

/* From cheap to dear; of a long one ADVISED_MAX evenly, both ends among them. Rows of it that cost
 * the same are as accurate, too: one stands for them. */
static int find_front(const struct group *g)
{
    int n_front = 0, n = 0, kept;
    for (int i = 0; i < g->n; i++) {
        if (g->row[i]->pareto && is_right(g->row[i]) && is_known(g->row[i]))
            g->row[n_front++] = g->row[i];
    }
    qsort(g->row, (size_t)n_front, sizeof *g->row, by_energy);
    for (int i = 0; i < n_front; i++) {
        if (n == 0 || g->row[i]->energy_j.value > g->row[n - 1]->energy_j.value)
            g->row[n++] = g->row[i];
    }
    kept = n < ADVISED_MAX ? n : ADVISED_MAX;
    for (int i = 1; i < kept; i++)
        g->row[i] = g->row[i * (n - 1) / (kept - 1)];
    return kept;
}

static void advise_alike(const struct group *g, int n, struct lmw_buf *out)
{
    for (int i = 1; i < n; i++) {
        if (!may_be_alike(g->row[i], g->row[i - 1]) || isnan(g->row[i]->accuracy.lower))
            continue;
        lmw_buf_str(out, " Of ");
        put_label(g, g->row[i - 1], out);
        lmw_buf_str(out, " and ");
        put_label(g, g->row[i], out);
        lmw_buf_str(out, " the cheaper may be as accurate: the intervals overlap.");
    }
}

static void advise_by_joules(const struct group *g, struct lmw_buf *out)
{
    int n = find_front(g);
    lmw_buf_str(out, n == 1 ? "Take " : "");
    for (int i = 0; i < n; i++) {
        if (n > 1 && i + 1 < n) {
            lmw_buf_str(out, i ? "; under " : "For under ");
            put_joules(g->row[i], g->row[i + 1]->energy_j.value, out);
            lmw_buf_str(out, i ? " " : " a query take ");
        } else if (n > 1) {
            lmw_buf_str(out, "; with more to spend ");
        }
        put_row(g, g->row[i], out);
    }
    lmw_buf_str(out, n == 1 ? ": no other row is as accurate for fewer joules." : ".");
    advise_alike(g, n, out);
    lmw_buf_str(out, "\n");
}

/* --- groups --- */

/* The rows from this place up to where the next ranking begins; returns that place. */
static int gather(struct group *g, int place)
{
    g->n = 0;
    do
        g->row[g->n++] = &g->r->rows[lmw_report_row(g->r, place++)];
    while (place < g->r->n_row && g->r->rows[lmw_report_row(g->r, place)].rank != 1);
    return place;
}

static void advise(const struct group *g, struct lmw_buf *out)
{
    int n_known = 0, n_wrong = 0;
    for (int i = 0; i < g->n; i++) {
        n_known += is_known(g->row[i]) && is_right(g->row[i]);
        n_wrong += is_known(g->row[i]) && !is_right(g->row[i]);
    }
    if (g->n == 1)
        advise_only(g, out);
    else if (n_wrong == g->n)
        lmw_buf_str(out, "None of them is right even once: there is nothing to choose.\n");
    else if (n_known == 0)
        advise_by_accuracy(g, out);
    else
        advise_by_joules(g, out);
}

void lmw_report_advice(const struct lmw_report *r, struct lmw_buf *out)
{
    struct group g = {r, malloc(((size_t)r->n_row + 1) * sizeof *g.row), 0};
    bool several = lmw_report_many_workloads(r) || lmw_report_many_sources(r);
    int n_group = 0, place = 0;
    out->failed |= !g.row;
    while (g.row && place < r->n_row && n_group < GROUPS_MAX) {
        struct lmw_buf line = {0};
        place = gather(&g, place);
        const char *workload = g.row[0]->workload, *basis = g.row[0]->basis;
        if (!several || g.n > 1)
            advise(&g, &line);
        if (line.len && several)
            lmw_buf_printf(out, "%s%s%s%s: ", workload ? workload : "No workload named",
                           basis ? " (" : "", basis ? basis : "", basis ? ")" : "");
        lmw_buf_put(out, line.ptr ? line.ptr : "", line.len);
        n_group += line.len > 0;
        out->failed |= line.failed;
        lmw_buf_free(&line);
    }
    free(g.row);
}
