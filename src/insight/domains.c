/* Coverage by domain: one pass over the crossed questions fills counts by (domain, column), (data
 * set, column) and the whole. Local and cloud, best-of and the two ways to weigh are the paper's
 * ("Intelligence per Watt", sections 3 and 4.1); docs/insight.md has the definitions. */
#include "insight/insight.h"

#include "base/stat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pass {
    const struct lmw_frame *f;
    struct lmw_domains *d;
    struct lmw_coverage *set; /* [n_workload][n_column] */
    int *row_of;              /* [f->n_domain] domains are sorted by their questions */
    bool *asked, *right;      /* [n_column], of one question */
};

static void count(struct lmw_coverage *row, const struct pass *p)
{
    for (int c = 0; c < p->d->n_column; c++) {
        row[c].n += p->asked[c];
        row[c].n_right += p->right[c];
    }
}

static void mark(const struct pass *p, const struct lmw_cross *x, int q)
{
    struct lmw_domains *d = p->d;
    memset(p->asked, 0, sizeof *p->asked * (size_t)d->n_column);
    memset(p->right, 0, sizeof *p->right * (size_t)d->n_column);
    for (size_t i = x->first[q]; i < x->first[q + 1]; i++) {
        int run = x->run[i], side = d->cloud[run] ? lmw_cloud_column(d) : lmw_local_column(d);
        bool right = x->v[LMW_V_ACC][i] >= 0.5;
        if (!d->scored[run])
            continue;
        p->asked[run] = p->asked[side] = true;
        p->right[run] |= right;
        p->right[side] |= right;
    }
}

static void count_all(const struct pass *p, const struct lmw_cross *x)
{
    struct lmw_domains *d = p->d;
    int all = d->n_domain;
    for (int q = 0; q < p->f->n_query; q++) {
        int row = p->row_of[p->f->domain_of[q]];
        mark(p, x, q);
        bool only_cloud = p->right[lmw_cloud_column(d)] && !p->right[lmw_local_column(d)];
        count(&d->coverage[row * d->n_column], p);
        count(&d->coverage[all * d->n_column], p);
        count(&p->set[p->f->workload_of[q] * d->n_column], p);
        d->only_cloud[row] += only_cloud;
        d->only_cloud[all] += only_cloud;
    }
}

/* --- shares --- */

static void finish(struct lmw_coverage *c)
{
    double n = (double)c->n, k = (double)c->n_right;
    c->share = (struct lmw_interval){n > 0 ? k / n : (double)NAN, (double)NAN, (double)NAN, c->n};
    if (n > 1)
        lmw_wilson(k, n, 1.96, &c->share.lower, &c->share.upper);
}

/* The mean of the data sets' shares, and the standard error of a mean of independent proportions:
 * sqrt(sum p (1 - p) / n) / sets. */
static struct lmw_interval mean_of_sets(const struct pass *p, int column)
{
    double sum = 0, variance = 0;
    int64_t n = 0;
    int sets = 0;
    for (int w = 0; w < p->f->n_workload; w++) {
        const struct lmw_coverage *c = &p->set[w * p->d->n_column + column];
        if (c->n == 0)
            continue;
        double share = (double)c->n_right / (double)c->n;
        sum += share;
        variance += share * (1 - share) / (double)c->n;
        n += c->n;
        sets++;
    }
    if (sets == 0)
        return (struct lmw_interval){(double)NAN, (double)NAN, (double)NAN, 0};
    double mean = sum / sets, half = 1.96 * sqrt(variance) / sets;
    return (struct lmw_interval){mean, fmax(0, mean - half), fmin(1, mean + half), n};
}

static int best_local(const struct lmw_domains *d, int row)
{
    int best = -1;
    for (int c = 0; c < d->n_run; c++) {
        const struct lmw_coverage *a = &d->coverage[row * d->n_column + c];
        if (d->cloud[c] || a->n == 0)
            continue;
        if (best < 0 || a->share.value > d->coverage[row * d->n_column + best].share.value)
            best = c;
    }
    return best;
}

static void finish_all(const struct pass *p)
{
    struct lmw_domains *d = p->d;
    for (int row = 0; row <= d->n_domain; row++) {
        for (int c = 0; c < d->n_column; c++)
            finish(&d->coverage[row * d->n_column + c]);
        d->best_local[row] = best_local(d, row);
    }
    for (int c = 0; c < d->n_column; c++) {
        d->traffic[c] = d->coverage[d->n_domain * d->n_column + c].share;
        d->datasets[c] = mean_of_sets(p, c);
    }
}

/* --- rows --- */

struct row {
    int domain;
    int64_t n;
};

static int by_questions(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    return a->n != b->n ? (a->n < b->n) - (a->n > b->n) : a->domain - b->domain;
}

/* Most questions first; domains that no question has are left out. */
static void order_rows(const struct pass *p, struct row *row)
{
    struct lmw_domains *d = p->d;
    for (int k = 0; k < p->f->n_domain; k++)
        row[k].domain = k;
    for (int q = 0; q < p->f->n_query; q++)
        row[p->f->domain_of[q]].n++;
    qsort(row, (size_t)p->f->n_domain, sizeof *row, by_questions);
    for (int k = 0; k < p->f->n_domain && row[k].n > 0; k++) {
        d->domain[k] = p->f->domain[row[k].domain];
        d->n_question[k] = row[k].n;
        p->row_of[row[k].domain] = k;
        d->n_domain = k + 1;
    }
    d->n_question[d->n_domain] = p->f->n_query;
}

static int open_pass(struct pass *p, const struct lmw_frame *f, struct lmw_domains *d,
                     struct lmw_arena *arena, struct lmw_arena *scratch)
{
    size_t rows = (size_t)f->n_domain + 1, columns = (size_t)f->n_run + 2;
    *d = (struct lmw_domains){.n_run = f->n_run, .n_column = f->n_run + 2};
    *p = (struct pass){.f = f, .d = d};
    bool ok = (d->cloud = LMW_NEW(arena, bool, columns)) != NULL;
    ok = ok && (d->scored = LMW_NEW(arena, bool, columns));
    ok = ok && (d->domain = LMW_NEW(arena, const char *, rows));
    ok = ok && (d->n_question = LMW_NEW(arena, int64_t, rows));
    ok = ok && (d->coverage = LMW_NEW(arena, struct lmw_coverage, rows * columns));
    ok = ok && (d->best_local = LMW_NEW(arena, int, rows));
    ok = ok && (d->only_cloud = LMW_NEW(arena, int64_t, rows));
    ok = ok && (d->traffic = LMW_NEW(arena, struct lmw_interval, columns));
    ok = ok && (d->datasets = LMW_NEW(arena, struct lmw_interval, columns));
    ok = ok && (p->row_of = LMW_NEW(scratch, int, rows));
    ok = ok && (p->asked = LMW_NEW(scratch, bool, columns));
    ok = ok && (p->right = LMW_NEW(scratch, bool, columns));
    p->set = LMW_NEW(scratch, struct lmw_coverage, (size_t)f->n_workload * columns);
    return ok && p->set ? LMW_OK : LMW_ENOMEM;
}

int lmw_domains_of(const struct lmw_frame *f, const bool *cloud, struct lmw_arena *arena,
                   struct lmw_domains *out, struct lmw_err *err)
{
    struct lmw_arena scratch;
    struct lmw_cross x;
    struct pass p;
    int rc = lmw_arena_open(&scratch, (size_t)64 << 30, err);
    if (rc < 0)
        return rc;
    struct row *row = LMW_NEW(&scratch, struct row, (size_t)f->n_domain + 1);
    if (!row || open_pass(&p, f, out, arena, &scratch) < 0)
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for %d domains of %d runs", f->n_domain,
                      f->n_run);
    else
        rc = lmw_cross_build(&x, f, LMW_V_BIT(LMW_V_ACC), &scratch, err);
    if (rc == LMW_OK) {
        for (int c = 0; c < f->n_run; c++) {
            out->cloud[c] = cloud && cloud[c];
            out->scored[c] = f->run[c].scored;
        }
        order_rows(&p, row);
        count_all(&p, &x);
        finish_all(&p);
        out->n_dataset = f->n_workload;
    }
    lmw_arena_close(&scratch);
    return rc;
}
