/* lmwatt compare: two runs on the questions both answered. The sentence first, then the figures it
 * is made of, the tests, and where they disagree. */
#include "cli/decide.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- for machines --- */

static json_t *disagreement_json(const struct lmw_disagreement *d)
{
    json_t *o = json_object();
    lmw_json_put(o, "domain", lmw_json_text(d->domain));
    lmw_json_put(o, "n", json_integer(d->n));
    lmw_json_put(o, "both", json_integer(d->both));
    lmw_json_put(o, "only_a", json_integer(d->only_a));
    lmw_json_put(o, "only_b", json_integer(d->only_b));
    lmw_json_put(o, "neither", json_integer(d->neither));
    lmw_json_put(o, "difference", lmw_json_interval(d->difference));
    return o;
}

static json_t *figures_json(const struct lmw_comparison *c)
{
    json_t *o = json_object();
    for (int k = 0; k < LMW_N_PAIR; k++) {
        const struct lmw_pair *p = &c->pair[k];
        lmw_json_put(o, lmw_pairs[k].key,
                     json_pack("{s:o,s:o,s:o,s:o,s:I}", "a", lmw_json_interval(p->a), "b",
                               lmw_json_interval(p->b), "difference",
                               lmw_json_interval(p->difference), "ratio",
                               lmw_json_interval(p->ratio), "n", (json_int_t)p->n));
    }
    return o;
}

static json_t *comparison_json(const struct lmw_comparison *c, const char *sentence)
{
    json_t *o = json_object(), *domains = json_array();
    for (int i = 0; i < c->n_domain; i++)
        json_array_append_new(domains, disagreement_json(&c->domain[i]));
    lmw_json_put(o, "a", decide_run_json(c->a));
    lmw_json_put(o, "b", decide_run_json(c->b));
    lmw_json_put(o, "sentence", lmw_json_text(sentence));
    lmw_json_put(o, "n_common", json_integer(c->n_common));
    lmw_json_put(o, "n_only_a", json_integer(c->n_only_a));
    lmw_json_put(o, "n_only_b", json_integer(c->n_only_b));
    lmw_json_put(o, "energy_comparable", json_boolean(c->comparable_energy));
    lmw_json_put(o, "figures", figures_json(c));
    lmw_json_put(o, "sign_test",
                 json_pack("{s:I,s:I,s:o}", "only_a", (json_int_t)c->n_better_a, "only_b",
                           (json_int_t)c->n_better_b, "p", lmw_json_number(c->sign_p)));
    lmw_json_put(o, "permutation_test",
                 json_pack("{s:I,s:o}", "n", (json_int_t)c->n_permutation, "p",
                           lmw_json_number(c->permutation_p)));
    lmw_json_put(o, "energy_sign_test",
                 json_pack("{s:I,s:I,s:o}", "dearer_a", (json_int_t)c->n_dearer_a, "dearer_b",
                           (json_int_t)c->n_dearer_b, "p", lmw_json_number(c->energy_sign_p)));
    lmw_json_put(o, "all", disagreement_json(&c->all));
    lmw_json_put(o, "domains", domains);
    return o;
}

/* --- for people --- */

static void put_figures(const struct lmw_comparison *c, struct lmw_buf *out)
{
    struct lmw_grid g = {.n_column = 6};
    const char *heads[] = {
        "", c->a->run.name, c->b->run.name, "difference [95 %]", "ratio [95 %]", "questions"};
    for (int k = 0; k < 6; k++)
        lmw_grid_cell(&g, "%s", heads[k]);
    for (int k = 0; k < LMW_N_PAIR; k++) {
        const struct lmw_pair *p = &c->pair[k];
        bool percent = k == LMW_PAIR_ACCURACY, joules = strpbrk(lmw_pairs[k].unit, "JW");
        const char *a = joules && c->a->estimated ? "~" : "";
        const char *b = joules && c->b->estimated ? "~" : "", *both = *a ? a : b;
        if (p->n == 0)
            continue;
        lmw_grid_cell(&g, "%s", percent ? "accuracy, %" : lmw_pairs[k].key);
        lmw_grid_number(&g, a, p->a.value * (percent ? 100 : 1));
        lmw_grid_number(&g, b, p->b.value * (percent ? 100 : 1));
        lmw_grid_interval(&g, both, p->difference, percent ? 100 : 1);
        lmw_grid_interval(&g, both, p->ratio, 1);
        lmw_grid_cell(&g, "%lld", (long long)p->n);
    }
    lmw_grid_put(&g, 1, out);
    lmw_grid_free(&g);
}

static void put_p(const char *what, double p, struct lmw_buf *out)
{
    lmw_buf_printf(out, p < 1e-4 ? "%s p < 0.0001" : "%s p = %.4f", what, p);
}

static void put_tests(const struct lmw_comparison *c, struct lmw_buf *out)
{
    if (isfinite(c->sign_p)) {
        lmw_buf_printf(out,
                       "\naccuracy: %s is better on %lld questions, %s on %lld: ", c->a->run.name,
                       (long long)c->n_better_a, c->b->run.name, (long long)c->n_better_b);
        put_p("sign test", c->sign_p, out);
        put_p(", permutation test", c->permutation_p, out);
        lmw_buf_str(out, "\n");
    }
    if (isfinite(c->energy_sign_p)) {
        lmw_buf_printf(
            out, "energy: %s takes more joules on %lld questions, %s on %lld: ", c->a->run.name,
            (long long)c->n_dearer_a, c->b->run.name, (long long)c->n_dearer_b);
        put_p("sign test", c->energy_sign_p, out);
        lmw_buf_str(out, "\n");
    }
}

static void put_row(struct lmw_grid *g, const struct lmw_disagreement *d)
{
    lmw_grid_cell(g, "%s", d->domain ? d->domain : "all");
    const int64_t n[] = {d->n, d->both, d->only_a, d->only_b, d->neither};
    for (int k = 0; k < 5; k++)
        lmw_grid_cell(g, "%lld", (long long)n[k]);
    lmw_grid_interval(g, "", d->difference, 100);
}

static void put_domains(const struct lmw_comparison *c, struct lmw_buf *out)
{
    struct lmw_grid g = {.n_column = 7};
    if (c->all.n < 2)
        return;
    lmw_buf_str(out, "\nwhere they disagree, most uneven first\n");
    const char *heads[] = {"domain",       "questions", "both right",   c->a->run.name,
                           c->b->run.name, "neither",   "points [95 %]"};
    for (int k = 0; k < 7; k++)
        lmw_grid_cell(&g, k == 3 || k == 4 ? "only %s" : "%s", heads[k]);
    for (int i = 0; i < c->n_domain && c->n_domain > 1; i++)
        put_row(&g, &c->domain[i]);
    put_row(&g, &c->all);
    lmw_grid_put(&g, 1, out);
    lmw_grid_free(&g);
}

static int compare(struct decide *d, void *arg, json_t **result, struct lmw_err *err)
{
    struct lmw_comparison c;
    struct lmw_buf sentence = {0};
    if (d->frame.n_run != 2)
        return lmw_fail(err, LMW_EARG,
                        "these names are %d run%s: name two (`lmwatt report` lists them)",
                        d->frame.n_run, d->frame.n_run == 1 ? "" : "s");
    int rc = lmw_compare(&d->frame, 0, 1, &d->arena, &c, err);
    if (rc < 0)
        return rc;
    lmw_compare_sentence(&c, &sentence);
    if (d->json) {
        *result = comparison_json(&c, sentence.ptr);
    } else {
        lmw_buf_printf(&d->out, "%s\n\n", sentence.ptr ? sentence.ptr : "");
        put_figures(&c, &d->out);
        put_tests(&c, &d->out);
        put_domains(&c, &d->out);
    }
    lmw_buf_free(&sentence);
    return LMW_OK;
}

int cmd_compare(int argc, char **argv)
{
    struct decide d = {0};
    const struct opt opts[] = {DECIDE_OPTS(&d), {0}};
    const struct command_help help = {
        "lmwatt compare A B [--store DB] [--json]",
        "Two runs on the questions both answered: paired differences and ratios with 95 %\n"
        "intervals, whether they differ at all, where they disagree, and what may be said.",
        "lmwatt compare shop-intents-Q8_0 shop-intents-Q4_K_M",
    };
    int rc = opts_parse(opts, &help, argc, argv, &d.runs);
    if (rc >= 0)
        return rc;
    if (d.runs.n != 2)
        return cli_usage(argv[0], "two runs are compared, %d %s named", d.runs.n,
                         d.runs.n == 1 ? "is" : "are");
    return decide(&d, compare, NULL);
}
