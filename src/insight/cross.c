/* The crossed view: cells of one question beside each other. Records are bucketed by question (a
 * counting sort, stable, so that runs stay in order), then neighbours of one run become a cell. */
#include "insight/insight.h"

#include <math.h>

/* order[first[q] .. first[q + 1] - 1]: the records of question q, in the order of the runs. */
static void sort_records(const struct lmw_frame *f, size_t *first, int32_t *order)
{
    for (int r = 0; r < f->n_run; r++) {
        for (size_t i = f->run[r].first; i < f->run[r].first + f->run[r].n; i++)
            first[f->query_of[i] + 1]++;
    }
    for (int q = 0; q < f->n_query; q++)
        first[q + 1] += first[q];
    for (int r = 0; r < f->n_run; r++) {
        for (size_t i = f->run[r].first; i < f->run[r].first + f->run[r].n; i++)
            order[first[f->query_of[i]]++] = (int32_t)i;
    }
    for (int q = f->n_query; q > 0; q--)
        first[q] = first[q - 1];
    first[0] = 0;
}

/* The mean of those that are there. */
static double mean_of(const double *v, const int32_t *record, size_t n)
{
    double sum = 0;
    int k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(v[record[i]])) {
            sum += v[record[i]];
            k++;
        }
    }
    return k ? sum / k : (double)NAN;
}

static void put_cell(struct lmw_cross *x, const struct lmw_frame *f, const int32_t *record,
                     size_t n)
{
    size_t c = x->n_cell++;
    x->run[c] = f->run_of[record[0]];
    x->n_repeat[c] = (int32_t)n;
    for (int k = 0; k < LMW_N_VALUE; k++) {
        if (x->v[k])
            x->v[k][c] = mean_of(f->v[k], record, n);
    }
}

static void put_question(struct lmw_cross *x, const struct lmw_frame *f, const int32_t *record,
                         size_t n)
{
    for (size_t from = 0, to; from < n; from = to) {
        to = from + 1;
        while (to < n && f->run_of[record[to]] == f->run_of[record[from]])
            to++;
        put_cell(x, f, record + from, to - from);
    }
}

static int open_cells(struct lmw_cross *x, size_t n, uint32_t wanted, struct lmw_arena *arena,
                      struct lmw_err *err)
{
    bool ok = (x->run = LMW_NEW(arena, int32_t, n)) && (x->n_repeat = LMW_NEW(arena, int32_t, n));
    for (int k = 0; k < LMW_N_VALUE; k++) {
        if (wanted & LMW_V_BIT(k))
            ok = ok && (x->v[k] = LMW_NEW(arena, double, n));
    }
    return ok ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory to cross %zu records", n);
}

int lmw_cross_build(struct lmw_cross *x, const struct lmw_frame *f, uint32_t wanted,
                    struct lmw_arena *arena, struct lmw_err *err)
{
    *x = (struct lmw_cross){.n_query = f->n_query};
    int rc = open_cells(x, f->n, wanted, arena, err);
    x->first = LMW_NEW(arena, size_t, (size_t)f->n_query + 1);
    struct lmw_arena scratch = *arena;
    size_t *first = LMW_NEW(&scratch, size_t, (size_t)f->n_query + 1);
    int32_t *order = LMW_NEW(&scratch, int32_t, f->n);
    if (rc < 0 || !x->first || !first || !order)
        return lmw_fail(err, LMW_ENOMEM, "no memory to cross %zu records", f->n);
    sort_records(f, first, order);
    for (int q = 0; q < f->n_query; q++) {
        put_question(x, f, order + first[q], first[q + 1] - first[q]);
        x->first[q + 1] = x->n_cell;
    }
    return LMW_OK;
}

size_t lmw_cross_cell(const struct lmw_cross *x, int q, int run)
{
    for (size_t c = x->first[q]; c < x->first[q + 1]; c++) {
        if (x->run[c] == run)
            return c;
    }
    return SIZE_MAX;
}
