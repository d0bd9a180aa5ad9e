/* Paired comparison of two runs. Every figure is over the questions where both have it, and both
 * sides are drawn in the same resamples, so what makes a question hard or long cancels. */
#include "insight/insight.h"

#include "base/resample.h"

#include <math.h>
#include <stdlib.h>

enum { ONE = LMW_N_VALUE, PERMUTATIONS = 10000 };

const struct lmw_pair_info lmw_pairs[LMW_N_PAIR] = {
    {"accuracy", ""},          {"ipw", "1/W"},     {"ipj", "1/J"},      {"energy_j", "J"},
    {"power_w", "W"},          {"latency_s", "s"}, {"ttft_s", "s"},     {"prompt_tokens", ""},
    {"completion_tokens", ""}, {"flops", ""},      {"cost_usd", "USD"},
};

/* sum(top) / sum(bottom) */
static const struct {
    int top, bottom;
} recipes[LMW_N_PAIR] = {
    {LMW_V_ACC, ONE},    {LMW_V_ACC, LMW_V_POWER},   {LMW_V_ACC, LMW_V_ENERGY},
    {LMW_V_ENERGY, ONE}, {LMW_V_POWER, ONE},         {LMW_V_LATENCY, ONE},
    {LMW_V_TTFT, ONE},   {LMW_V_PROMPT_TOKENS, ONE}, {LMW_V_COMPLETION_TOKENS, ONE},
    {LMW_V_FLOPS, ONE},  {LMW_V_COST, ONE},
};

/* The common questions: their numbers, and the cell of each run. */
struct common {
    const struct lmw_frame *f;
    struct lmw_cross x;
    size_t *cell[2]; /* [n] */
    int32_t *query;  /* [n] */
    int n;
};

static double value_of(const struct common *c, int side, int i, int value)
{
    return value == ONE ? 1 : c->x.v[value][c->cell[side][i]];
}

static int find_common(struct common *c, const struct lmw_frame *f, int a, int b,
                       struct lmw_comparison *out, struct lmw_arena *arena, struct lmw_err *err)
{
    uint32_t wanted = 0;
    for (int k = 0; k < LMW_N_PAIR; k++)
        wanted |= LMW_V_BIT(recipes[k].top) |
                  (recipes[k].bottom == ONE ? 0 : LMW_V_BIT(recipes[k].bottom));
    int rc = lmw_cross_build(&c->x, f, wanted, arena, err);
    c->f = f;
    c->cell[0] = LMW_NEW(arena, size_t, (size_t)f->n_query + 1);
    c->cell[1] = LMW_NEW(arena, size_t, (size_t)f->n_query + 1);
    c->query = LMW_NEW(arena, int32_t, (size_t)f->n_query + 1);
    if (rc < 0 || !c->cell[0] || !c->cell[1] || !c->query)
        return rc < 0 ? rc : lmw_fail(err, LMW_ENOMEM, "no memory for %d questions", f->n_query);
    for (int q = 0; q < f->n_query; q++) {
        size_t in_a = lmw_cross_cell(&c->x, q, a), in_b = lmw_cross_cell(&c->x, q, b);
        out->n_only_a += in_a != SIZE_MAX && in_b == SIZE_MAX;
        out->n_only_b += in_b != SIZE_MAX && in_a == SIZE_MAX;
        if (in_a == SIZE_MAX || in_b == SIZE_MAX)
            continue;
        c->cell[0][c->n] = in_a;
        c->cell[1][c->n] = in_b;
        c->query[c->n++] = q;
    }
    out->n_common = c->n;
    return LMW_OK;
}

/* --- figures --- */

/* Four columns a figure: top and bottom of a, top and bottom of b. */
static void fill(struct lmw_sums *s, const struct common *c, const int32_t *unit, int64_t *n)
{
    for (int i = 0; i < c->n; i++) {
        for (int k = 0; k < LMW_N_PAIR; k++) {
            double v[4] = {value_of(c, 0, i, recipes[k].top), value_of(c, 0, i, recipes[k].bottom),
                           value_of(c, 1, i, recipes[k].top),
                           value_of(c, 1, i, recipes[k].bottom)};
            if (!isfinite(v[0] + v[1] + v[2] + v[3]))
                continue;
            for (int j = 0; j < 4; j++)
                *lmw_sums_at(s, unit[i], 4 * k + j) += v[j];
            n[k]++;
        }
    }
}

enum { A, B, DIFFERENCE, RATIO, N_SIDE };

static void sides_of(const double *sum, double out[N_SIDE])
{
    out[A] = sum[0] / sum[1];
    out[B] = sum[2] / sum[3];
    out[DIFFERENCE] = out[B] - out[A];
    out[RATIO] = out[B] / out[A];
}

static void draw_pairs(struct lmw_sums *s, const struct lmw_resample *r, double *draws)
{
    double side[N_SIDE];
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        const double *sum = lmw_sums_draw(s, r, b);
        for (int k = 0; k < LMW_N_PAIR; k++) {
            sides_of(sum + 4 * k, side);
            for (int j = 0; j < N_SIDE; j++)
                draws[(k * N_SIDE + j) * LMW_RESAMPLES + b] = side[j];
        }
    }
}

static int compare_figures(const struct common *c, struct lmw_comparison *out,
                           struct lmw_arena scratch, struct lmw_err *err)
{
    struct lmw_resample r;
    struct lmw_sums s;
    double total[4 * LMW_N_PAIR], side[N_SIDE];
    int64_t n[LMW_N_PAIR] = {0};
    int32_t *unit = LMW_NEW(&scratch, int32_t, (size_t)c->n);
    double *draws = LMW_NEW(&scratch, double, (size_t)LMW_N_PAIR *N_SIDE *LMW_RESAMPLES);
    int n_unit = unit ? lmw_units(unit, c->n) : 0, rc = lmw_resample_open(&r, &scratch, err);
    if (rc < 0 || (rc = lmw_sums_open(&s, n_unit, 4 * LMW_N_PAIR, &scratch, err)) < 0)
        return rc;
    if (!unit || !draws)
        return lmw_fail(err, LMW_ENOMEM, "no memory to compare %d questions", c->n);
    fill(&s, c, unit, n);
    lmw_resample_draw(&r, n_unit);
    lmw_sums_total(&s, total);
    draw_pairs(&s, &r, draws);
    for (int k = 0; k < LMW_N_PAIR; k++) {
        struct lmw_interval *to[] = {&out->pair[k].a, &out->pair[k].b, &out->pair[k].difference,
                                     &out->pair[k].ratio};
        sides_of(total + 4 * k, side);
        for (int j = 0; j < N_SIDE; j++)
            *to[j] = lmw_interval_of(side[j], draws + (k * N_SIDE + j) * LMW_RESAMPLES, n[k]);
        out->pair[k].n = n[k];
    }
    return LMW_OK;
}

/* Joules of other rails of one machine are other quantities: each stands, their difference does
 * not. Two machines have each its own rails, and the sentence names them. */
static void part_energies(struct lmw_comparison *c)
{
    static const enum lmw_pair_kind of_joules[] = {LMW_PAIR_IPW, LMW_PAIR_IPJ, LMW_PAIR_ENERGY,
                                                   LMW_PAIR_POWER};
    const char *a = c->a->basis ? c->a->basis : "", *b = c->b->basis ? c->b->basis : "";
    c->comparable_energy = strcmp(a, b) == 0 || strcmp(c->a->machine ? c->a->machine : "",
                                                       c->b->machine ? c->b->machine : "") != 0;
    for (size_t i = 0; i < sizeof of_joules / sizeof *of_joules && !c->comparable_energy; i++) {
        struct lmw_pair *p = &c->pair[of_joules[i]];
        p->difference = p->ratio =
            (struct lmw_interval){(double)NAN, (double)NAN, (double)NAN, p->n};
    }
}

/* --- where they disagree --- */

static void count(struct lmw_disagreement *d, double a, double b)
{
    bool right_a = a >= 0.5, right_b = b >= 0.5;
    d->n++;
    d->both += right_a && right_b;
    d->only_a += right_a && !right_b;
    d->only_b += right_b && !right_a;
    d->neither += !right_a && !right_b;
    /* The sums of what each side has over the other, until finish(). */
    d->difference.lower += fmax(0, a - b);
    d->difference.upper += fmax(0, b - a);
}

/* Interval of a difference of matched proportions: Agresti and Min, "Simple improved confidence
 * intervals for comparing matched proportions", Statistics in Medicine 24 (2005): Wald's with half
 * a question added to each cell of the 2 x 2 table, so that few questions and no disagreement do
 * not give certainty. */
static void finish(struct lmw_disagreement *d)
{
    double a = d->difference.lower, b = d->difference.upper, n = (double)d->n;
    double centre = (b - a) / (n + 2);
    double se = sqrt((a + b + 1) - (b - a) * (b - a) / (n + 2)) / (n + 2);
    d->difference = (struct lmw_interval){(b - a) / n, fmax(-1, centre - 1.96 * se),
                                          fmin(1, centre + 1.96 * se), d->n};
    if (d->n < 2)
        d->difference.lower = d->difference.upper = (double)NAN;
}

static int by_unevenness(const void *pa, const void *pb)
{
    const struct lmw_disagreement *a = pa, *b = pb;
    int64_t x = a->only_a - a->only_b, y = b->only_a - b->only_b;
    x = x < 0 ? -x : x;
    y = y < 0 ? -y : y;
    return x != y ? (x < y) - (x > y) : (a->n < b->n) - (a->n > b->n);
}

static int disagreements(const struct common *c, struct lmw_comparison *out,
                         struct lmw_arena *arena, struct lmw_err *err)
{
    out->domain = LMW_NEW(arena, struct lmw_disagreement, (size_t)c->f->n_domain);
    if (!out->domain)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d domains", c->f->n_domain);
    for (int i = 0; i < c->n; i++) {
        double a = value_of(c, 0, i, LMW_V_ACC), b = value_of(c, 1, i, LMW_V_ACC);
        if (!isfinite(a + b))
            continue;
        count(&out->domain[c->f->domain_of[c->query[i]]], a, b);
        count(&out->all, a, b);
    }
    for (int k = 0; k < c->f->n_domain; k++) {
        struct lmw_disagreement *d = &out->domain[k];
        d->domain = c->f->domain[k];
        if (d->n == 0)
            continue;
        finish(d);
        out->domain[out->n_domain++] = *d;
    }
    if (out->all.n)
        finish(&out->all);
    qsort(out->domain, (size_t)out->n_domain, sizeof *out->domain, by_unevenness);
    return LMW_OK;
}

/* --- tests --- */

/* Where no question differs from the others no draw does, and the bootstrap has no width; the
 * matched proportions' interval still has. The ratio has nothing like it. */
static void widen_accuracy(struct lmw_comparison *c)
{
    struct lmw_pair *p = &c->pair[LMW_PAIR_ACCURACY];
    struct lmw_interval *d = &p->difference;
    if (d->lower < d->upper || fabs(d->value - c->all.difference.value) > 1e-12)
        return;
    d->lower = c->all.difference.lower;
    d->upper = c->all.difference.upper;
    p->ratio.lower = p->ratio.upper = (double)NAN;
}

static void test_scores(const struct common *c, struct lmw_comparison *out,
                        struct lmw_arena scratch)
{
    double *d = LMW_NEW(&scratch, double, (size_t)c->n);
    size_t n = 0;
    for (int i = 0; d && i < c->n; i++) {
        double v = value_of(c, 1, i, LMW_V_ACC) - value_of(c, 0, i, LMW_V_ACC);
        if (!isfinite(v))
            continue;
        d[n++] = v;
        out->n_better_a += v < 0;
        out->n_better_b += v > 0;
    }
    out->n_permutation = PERMUTATIONS;
    out->sign_p = n ? lmw_sign_test(out->n_better_a, out->n_better_b) : (double)NAN;
    out->permutation_p = n ? lmw_permutation_test(d, n, PERMUTATIONS, scratch) : (double)NAN;
}

static void test_energies(const struct common *c, struct lmw_comparison *out)
{
    for (int i = 0; i < c->n; i++) {
        double v = value_of(c, 1, i, LMW_V_ENERGY) - value_of(c, 0, i, LMW_V_ENERGY);
        out->n_dearer_a += v < 0;
        out->n_dearer_b += v > 0;
    }
    out->energy_sign_p =
        out->comparable_energy ? lmw_sign_test(out->n_dearer_a, out->n_dearer_b) : (double)NAN;
}

int lmw_compare(const struct lmw_frame *f, int a, int b, struct lmw_arena *arena,
                struct lmw_comparison *out, struct lmw_err *err)
{
    struct common c = {0};
    *out = (struct lmw_comparison){.a = &f->run[a], .b = &f->run[b]};
    int rc = find_common(&c, f, a, b, out, arena, err);
    if (rc < 0)
        return rc;
    if (c.n == 0)
        return lmw_fail(err, LMW_EARG,
                        "'%s' and '%s' have no question in common (a question is its workload "
                        "and its query_id: %s and %s)",
                        out->a->run.name, out->b->run.name,
                        out->a->workload ? out->a->workload : "(none)",
                        out->b->workload ? out->b->workload : "(none)");
    if ((rc = compare_figures(&c, out, *arena, err)) < 0 ||
        (rc = disagreements(&c, out, arena, err)) < 0)
        return rc;
    part_energies(out);
    widen_accuracy(out);
    test_scores(&c, out, *arena);
    test_energies(&c, out);
    return LMW_OK;
}
