/* A run's joules by the source that measured them, and intelligence per watt and joule of each:
 * what remains of a basis when the other rails are left out of it. */
#include "insight/figures.h"

#include <math.h>

/* Sums of a rail: joules and watts, how many records have them, and both over the records that
 * were scored, too. */
enum { J, J_N, W, W_N, ACC_J, J_ACC, ACC_W, W_ACC, N_SUM };
static const struct {
    int top, bottom;
} figures[] = {{J, J_N}, {W, W_N}, {ACC_W, W_ACC}, {ACC_J, J_ACC}};
enum { N_FIGURE = sizeof figures / sizeof *figures };

static void add(struct lmw_sums *s, int unit, int column, double joules, double watts, double acc)
{
    double v[N_SUM] = {0};
    if (!isfinite(joules))
        return;
    v[J] = joules;
    v[J_N] = 1;
    if (isfinite(acc)) {
        v[ACC_J] = acc;
        v[J_ACC] = joules;
    }
    if (isfinite(watts)) {
        v[W] = watts;
        v[W_N] = 1;
    }
    if (isfinite(watts) && isfinite(acc)) {
        v[ACC_W] = acc;
        v[W_ACC] = watts;
    }
    for (int k = 0; k < N_SUM; k++)
        *lmw_sums_at(s, unit, column + k) += v[k];
}

/* Returns all joules of the records that know the rail. */
static double fill(struct lmw_sums *s, const struct lmw_frame *f, const struct lmw_frame_run *run,
                   int rail, const struct run_units *u)
{
    double all = 0;
    for (size_t i = 0; i < run->n; i++) {
        size_t at = run->first + i;
        double joules = run->rail_j[rail][i];
        add(s, u->unit[i], rail * N_SUM, joules, joules / f->v[LMW_V_LATENCY][at],
            f->v[LMW_V_ACC][at]);
        all += isfinite(joules) ? f->v[LMW_V_ENERGY][at] : 0;
    }
    return all;
}

int lmw_run_rails(const struct lmw_frame *f, int i_run, const struct run_units *u,
                  struct lmw_resample *r, struct lmw_rail_figures *out, struct lmw_arena scratch,
                  struct lmw_err *err)
{
    const struct lmw_frame_run *run = &f->run[i_run];
    double total[LMW_RAILS_MAX * N_SUM], all[LMW_RAILS_MAX];
    size_t n = (size_t)run->n_rail * N_FIGURE * LMW_RESAMPLES;
    double *draws = LMW_NEW(&scratch, double, n + 1);
    struct lmw_sums s;
    int rc = lmw_sums_open(&s, u->n_unit, run->n_rail * N_SUM, &scratch, err);
    if (rc < 0 || !draws)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d rails", run->n_rail);
    for (int i = 0; i < run->n_rail; i++)
        all[i] = fill(&s, f, run, i, u);
    lmw_resample_draw(r, u->n_unit);
    lmw_sums_total(&s, total);
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        const double *sum = lmw_sums_draw(&s, r, b);
        for (int k = 0; k < run->n_rail * N_FIGURE; k++) {
            const double *of = sum + k / N_FIGURE * N_SUM;
            draws[k * LMW_RESAMPLES + b] =
                of[figures[k % N_FIGURE].top] / of[figures[k % N_FIGURE].bottom];
        }
    }
    for (int i = 0; i < run->n_rail; i++) {
        const double *of = total + i * N_SUM;
        struct lmw_interval *to[N_FIGURE] = {&out[i].energy_j, &out[i].power_w, &out[i].ipw,
                                             &out[i].ipj};
        out[i].name = run->rail[i];
        out[i].share = of[J] / all[i];
        for (int k = 0; k < N_FIGURE; k++)
            *to[k] = lmw_interval_of(of[figures[k].top] / of[figures[k].bottom],
                                     draws + (i * N_FIGURE + k) * LMW_RESAMPLES,
                                     u->n_question < 2 ? 1 : (int64_t)of[J_N]);
    }
    return LMW_OK;
}
