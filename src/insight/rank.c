/* The order of rows: who dominates whom, and who comes first.
 *
 * Only rows of the same workload and the same rails are in any order: each such group is ranked by
 * itself, by the first figure of `by` that some row of it knows. */
#include "insight/insight.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

/* A name that is missing is an empty one. */
static bool same_workload(const struct lmw_summary *a, const struct lmw_summary *b)
{
    return lmw_str_is(lmw_str_from(a->workload), b->workload);
}

static bool same_rails(const struct lmw_summary *a, const struct lmw_summary *b)
{
    return lmw_str_is(lmw_str_from(a->basis), b->basis);
}

static bool is_of_joules(enum lmw_figure k)
{
    return lmw_figures[k].better && strpbrk(lmw_figures[k].unit, "JW");
}

/* One question tells nothing of the others that b was asked. */
static bool is_outnumbered(const struct lmw_summary *a, const struct lmw_summary *b)
{
    return a->n_question == 1 && b->n_question > 1 && same_workload(a, b);
}

bool lmw_is_anecdote(const struct lmw_summary *rows, int n, int row)
{
    for (int i = 0; i < n; i++) {
        if (is_outnumbered(&rows[row], &rows[i]))
            return true;
    }
    return false;
}

bool lmw_dominates(const struct lmw_summary *a, const struct lmw_summary *b,
                   const enum lmw_figure *over, int n_over)
{
    bool better = false;
    if (!same_workload(a, b) || is_outnumbered(a, b))
        return false;
    for (int i = 0; i < n_over; i++) {
        int sign = lmw_figures[over[i]].better;
        double x = sign * a->figure[over[i]].value, y = sign * b->figure[over[i]].value;
        if (!(x >= y) || (is_of_joules(over[i]) && !same_rails(a, b)))
            return false;
        better |= x > y;
    }
    return better;
}

void lmw_insight_pareto(struct lmw_summary *rows, int n)
{
    static const enum lmw_figure over[] = {LMW_FIG_ACCURACY, LMW_FIG_ENERGY};
    for (int i = 0; i < n; i++) {
        rows[i].dominated_by = NULL;
        for (int k = 0; k < n && !rows[i].dominated_by; k++) {
            if (lmw_dominates(&rows[k], &rows[i], over, 2))
                rows[i].dominated_by = rows[k].run.name;
        }
        rows[i].pareto = !rows[i].dominated_by && !isnan(rows[i].figure[over[0]].value) &&
                         !isnan(rows[i].figure[over[1]].value) && !lmw_is_anecdote(rows, n, i);
    }
}

/* --- the ranking --- */

static const enum lmw_figure by[] = {LMW_FIG_IPJ, LMW_FIG_IPW, LMW_FIG_ACCURACY, LMW_FIG_ENERGY,
                                     LMW_FIG_LATENCY};
enum { N_BY = sizeof by / sizeof *by };

static bool same_group(const struct lmw_summary *a, const struct lmw_summary *b)
{
    return same_workload(a, b) && same_rails(a, b);
}

static enum lmw_figure figure_of_group(const struct lmw_summary *rows, int n,
                                       const struct lmw_summary *of)
{
    for (int k = 0; k < N_BY; k++) {
        for (int i = 0; i < n; i++) {
            if (same_group(&rows[i], of) && isfinite(rows[i].figure[by[k]].value))
                return by[k];
        }
    }
    return LMW_FIG_ACCURACY;
}

/* Above 0: a is better in it; what is not known is worst. */
static int better_in(const struct lmw_summary *a, const struct lmw_summary *b, enum lmw_figure k)
{
    double x = lmw_figures[k].better * a->figure[k].value;
    double y = lmw_figures[k].better * b->figure[k].value;
    if (isnan(x) || isnan(y))
        return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

/* Ties are broken by the other figures, then by who was there first. */
static bool comes_before(const struct lmw_summary *a, const struct lmw_summary *b)
{
    int order = better_in(a, b, a->ranked_by);
    for (int k = 0; k < N_BY && order == 0; k++)
        order = better_in(a, b, by[k]);
    return order ? order > 0 : a < b;
}

static bool is_first_of_group(const struct lmw_summary *rows, int i)
{
    int k = 0;
    while (!same_group(&rows[k], &rows[i]))
        k++;
    return k == i;
}

void lmw_insight_rank(struct lmw_summary *rows, int n)
{
    int n_placed = 0;
    for (int i = 0; i < n; i++)
        rows[i].ranked_by = figure_of_group(rows, n, &rows[i]);
    for (int i = 0; i < n; i++) {
        rows[i].rank = 1;
        for (int k = 0; k < n; k++)
            rows[i].rank += same_group(&rows[k], &rows[i]) && comes_before(&rows[k], &rows[i]);
    }
    for (int i = 0; i < n; i++) {
        int before = n_placed;
        for (int k = i; k < n && is_first_of_group(rows, i); k++) {
            if (!same_group(&rows[k], &rows[i]))
                continue;
            rows[k].place = before + rows[k].rank - 1;
            n_placed++;
        }
    }
}
