/* Fitting a router. Questions are dealt into folds by a hash of their text and the seed, so that
 * the same question is in the same fold whoever asks, and a router can say what it has not seen.
 * Its figures come from cross-validation: each question is judged by a router fitted on the other
 * folds. The router that is kept is then fitted on all folds but one. */
#include "route/cells.h"
#include "route/kinds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"

enum { TIMED = 200, HELD_OUT = 0 };

/* ---- what all fits of a job share ---- */

struct job {
    const struct lmw_lessons *l;
    const struct lmw_fit_options *o;
    struct view view;
    const struct feature **feature; /* [query] NULL: not known */
    int *n_feature;
    struct feature *room; /* of embeddings, [query][n]: as the fit in hand looks at them */
    int32_t *query;       /* room for a course */
    struct lmw_arena *arena;
};

static int fold_of(uint64_t id, uint64_t seed, int n_fold)
{
    struct lmw_rng rng;
    lmw_rng_init(&rng, id ^ seed * 0x9e3779b97f4a7c15u);
    return (int)lmw_rng_below(&rng, (uint32_t)n_fold);
}

static int read_texts(struct job *j, struct lmw_err *err)
{
    struct feature buf[TEXT_BUCKETS];
    for (int64_t q = 0; q < j->l->cells->n; q++) {
        if (!j->l->prompt[q].ptr)
            continue;
        j->n_feature[q] = lmw_text_features(j->l->prompt[q], buf);
        struct feature *f = lmw_arena_alloc(j->arena, (size_t)j->n_feature[q] + 1, sizeof *f, 8);
        if (!f)
            return lmw_fail(err, LMW_ENOMEM, "no memory for the texts of %lld questions",
                            (long long)j->l->cells->n);
        memcpy(f, buf, (size_t)j->n_feature[q] * sizeof *f);
        j->feature[q] = f;
    }
    return LMW_OK;
}

/* Embeddings look different in every fit; which of them are known does not. */
static int make_room(struct job *j, struct lmw_err *err)
{
    size_t n = (size_t)j->l->embedding.n;
    j->room = LMW_NEW(j->arena, struct feature, (size_t)j->l->cells->n * n);
    for (int64_t q = 0; j->room && q < j->l->cells->n; q++)
        j->feature[q] = isnan(j->l->vector[(size_t)q * n]) ? NULL : j->room + (size_t)q * n;
    return j->room ? LMW_OK
                   : lmw_fail(err, LMW_ENOMEM, "no memory for embeddings of %lld questions",
                              (long long)j->l->cells->n);
}

static const float *vector_at(const struct lmw_lessons *l, int64_t q)
{
    return l->vector ? l->vector + q * l->embedding.n : NULL;
}

/* The embeddings as this fit looks at them: from the middle of what it learns from. */
static int look(struct job *j, struct lmw_router *r, struct lmw_err *err)
{
    int rc = lmw_embedding_open(r, &j->l->embedding, err);
    if (rc < 0)
        return rc;
    lmw_embedding_centre(r, j->l->vector, j->query, r->info.n_train);
    for (int64_t q = 0; q < j->l->cells->n; q++)
        lmw_embedding_features(r, vector_at(j->l, q), j->room + q * r->n_feature,
                               &j->n_feature[q]);
    return LMW_OK;
}

static int open_job(struct job *j, struct lmw_err *err)
{
    size_t n = (size_t)j->l->cells->n;
    j->feature = LMW_NEW(j->arena, const struct feature *, n);
    j->n_feature = LMW_NEW(j->arena, int, n);
    j->query = LMW_NEW(j->arena, int32_t, n);
    if (!j->feature || !j->n_feature || !j->query)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu questions", n);
    return lmw_view_open(&j->view, j->l->cells, j->arena, err);
}

/* The questions outside of a fold (-1: all) in an order drawn by the seed. */
static int64_t enrol(struct job *j, int fold, bool needs_text)
{
    struct lmw_rng rng;
    int64_t n = 0;
    for (int64_t q = 0; q < j->l->cells->n; q++) {
        if (fold_of(j->l->id[q], j->o->seed, j->o->n_fold) != fold &&
            (!needs_text || j->feature[q]))
            j->query[n++] = (int32_t)q;
    }
    lmw_rng_init(&rng, j->o->seed);
    for (int64_t i = n - 1; i > 0; i--) {
        uint32_t k = lmw_rng_below(&rng, (uint32_t)i + 1);
        int32_t q = j->query[i];
        j->query[i] = j->query[k];
        j->query[k] = q;
    }
    return n;
}

/* Of the fits of a job: one for each fold, and the last for good. */
static void tell_progress(const struct job *j, int fit)
{
    if (j->o->progress)
        j->o->progress(j->o->progress_arg, fit, j->o->n_fold + 1);
}

/* A router fitted on all folds but one. */
static int fit_without(struct job *j, int fold, struct lmw_router **out, struct lmw_err *err)
{
    const struct lmw_cells *c = j->l->cells;
    int rc = lmw_router_open(out, j->o->kind, err);
    if (rc < 0)
        return rc;
    struct lmw_router *r = *out;
    struct lmw_router_info *i = &r->info;
    const char **names = LMW_NEW(&r->arena, const char *, (size_t)c->n_local);
    if (!names)
        return lmw_fail(err, LMW_ENOMEM, "no memory for names");
    for (int m = 0; m < c->n_local; m++)
        names[m] = lmw_arena_str(&r->arena, lmw_str_from(c->model[j->view.rank[m]]));
    i->n_local = c->n_local;
    i->local = names;
    i->cloud = lmw_arena_str(&r->arena, lmw_str_from(c->model[c->n_local]));
    i->n_fold = j->o->n_fold;
    i->held_out = fold;
    i->seed = j->o->seed;
    i->n_train = enrol(j, fold, r->kind->needs_text);
    const struct course course = {j->l,       j->feature,   j->n_feature, j->query,
                                  i->n_train, j->view.rank, j->o->seed};
    if (i->n_train < 2)
        return lmw_fail(err, LMW_EARG, "%lld questions to learn from: too few for %d folds",
                        (long long)i->n_train, i->n_fold);
    if (j->l->vector && (rc = look(j, r, err)) < 0)
        return rc;
    return r->kind->fit(r, &course, err);
}

/* ---- trust in questions ---- */

static void question_at(struct question *out, const struct lmw_lessons *l, int model, int64_t q)
{
    for (int k = 0; k < LMW_SIGNALS; k++)
        out->signal[k] = l->signal[k] ? l->signal[k][model * l->cells->n + q] : (double)NAN;
}

/* Each question's trust is asked of a router that has not seen it. NaN: not known. */
static int cross_validate(struct job *j, double *trust, struct lmw_err *err)
{
    const struct lmw_cells *c = j->l->cells;
    int rc = LMW_OK;
    for (int fold = 0; fold < j->o->n_fold && rc == LMW_OK; fold++) {
        struct lmw_router *r = NULL;
        tell_progress(j, fold);
        rc = fit_without(j, fold, &r, err);
        for (int64_t q = 0; q < c->n && rc == LMW_OK; q++) {
            struct question x = {.feature = j->feature[q], .n_feature = j->n_feature[q]};
            if (fold_of(j->l->id[q], j->o->seed, j->o->n_fold) != fold)
                continue;
            for (int m = 0; m < c->n_local; m++) {
                int model = j->view.rank[m];
                question_at(&x, j->l, model, q);
                trust[model * c->n + q] = r->kind->trust(r, m, &x);
            }
        }
        lmw_router_close(r);
    }
    return rc;
}

int lmw_router_score(const struct lmw_router *r, const struct lmw_lessons *l, double *trust,
                     struct lmw_err *err)
{
    const struct lmw_cells *c = l->cells;
    struct feature buf[TEXT_BUCKETS];
    int rc = lmw_router_accepts(r, &l->embedding, err);
    if (rc < 0)
        return rc;
    if (r->info.tries_first && r->info.n_local != c->n_local)
        return lmw_fail(
            err, LMW_EARG,
            "the router tries %d local models in turn, and not %d: name those it knows",
            r->info.n_local, c->n_local);
    for (int64_t i = 0; i < c->n * c->n_local; i++)
        trust[i] = (double)NAN;
    for (int m = 0; m < r->info.n_local; m++) {
        int model = 0;
        while (model < c->n_local && strcmp(c->model[model], r->info.local[m]) != 0)
            model++;
        if (model == c->n_local)
            return lmw_fail(err, LMW_EARG,
                            "the router knows the local run '%s', which is not among "
                            "those given",
                            r->info.local[m]);
        for (int64_t q = 0; q < c->n; q++) {
            struct question x = {0};
            lmw_router_look(r, l->prompt[q], vector_at(l, q), buf, &x);
            question_at(&x, l, model, q);
            trust[model * c->n + q] = r->kind->trust(r, m, &x);
        }
    }
    return LMW_OK;
}

bool lmw_router_unseen(const struct lmw_router *r, uint64_t id)
{
    return fold_of(id, r->info.seed, r->info.n_fold) == r->info.held_out;
}

/* ---- how good it is ---- */

struct judged {
    double trust;
    bool right;
};

static int by_trust(const void *a, const void *b)
{
    double x = ((const struct judged *)a)->trust, y = ((const struct judged *)b)->trust;
    return (x > y) - (x < y);
}

/* The share of pairs (right, wrong) that the trust orders rightly, ties half: the area under
 * the ROC curve, by ranks. v is sorted by trust. */
static double area(const struct judged *v, int64_t n)
{
    double no = 0, pairs = 0, yes_all = 0;
    for (int64_t i = 0; i < n;) {
        double yes_tied = 0, no_tied = 0;
        double at = v[i].trust;
        for (; i < n && v[i].trust == at; i++)
            *(v[i].right ? &yes_tied : &no_tied) += 1;
        pairs += yes_tied * (no + no_tied / 2);
        no += no_tied;
        yes_all += yes_tied;
    }
    return yes_all > 0 && no > 0 ? pairs / (yes_all * no) : (double)NAN;
}

/* The mean squared error of a constant, the share of a model's answers that are right. */
static double brier_of_base(const struct lmw_cells *c, const double *trust)
{
    double sum = 0, all = 0;
    for (int m = 0; m < c->n_local; m++) {
        double n = 0, right = 0;
        for (int64_t q = 0; q < c->n; q++) {
            if (isnan(trust[m * c->n + q]))
                continue;
            n++;
            right += cell_right(c, m, q);
        }
        sum += n > 0 ? right * (1 - right / n) : 0;
        all += n;
    }
    return sum / all;
}

static void judge(struct lmw_fit_report *out, struct judged *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof *v, by_trust);
    out->auc = area(v, n);
    out->brier = 0;
    for (int64_t i = 0; i < n; i++) {
        int b = (int)(v[i].trust * LMW_CALIBRATION_BINS);
        b = b < LMW_CALIBRATION_BINS ? b : LMW_CALIBRATION_BINS - 1;
        out->bin[b].n++;
        out->bin[b].trust += v[i].trust;
        out->bin[b].right += v[i].right;
        out->brier += (v[i].trust - v[i].right) * (v[i].trust - v[i].right) / (double)n;
    }
    for (int b = 0; b < LMW_CALIBRATION_BINS; b++) {
        out->bin[b].trust /= (double)out->bin[b].n;
        out->bin[b].right /= (double)out->bin[b].n;
    }
}

static int report_on(struct job *j, struct lmw_fit_report *out, struct lmw_arena scratch,
                     struct lmw_err *err)
{
    const struct lmw_cells *c = j->l->cells;
    int64_t all = c->n * c->n_local, n = 0;
    struct judged *v = LMW_NEW(&scratch, struct judged, (size_t)all);
    if (!v)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a report");
    for (int64_t i = 0; i < all; i++) {
        if (!isnan(out->trust[i]))
            v[n++] = (struct judged){out->trust[i], lesson_right(j->l, (int)(i / c->n), i % c->n)};
    }
    if (n == 0)
        return lmw_fail(err, LMW_EARG, "no question tells what this kind of router looks at");
    judge(out, v, n);
    out->brier_of_base = brier_of_base(c, out->trust);
    return LMW_OK;
}

/* ---- the threshold ---- */

static double accuracy_of(const struct lmw_cells *c, const int16_t *choice)
{
    int64_t right = 0;
    for (int64_t q = 0; q < c->n; q++)
        right += cell_right(c, choice[q], q);
    return (double)right / (double)c->n;
}

/* Of 0, 0.01, ... 1 the least threshold that keeps the wanted share of the cloud's accuracy on
 * questions not seen; where none does, 1. */
static int choose_threshold(const struct job *j, const double *trust, double *out,
                            struct lmw_arena scratch, struct lmw_err *err)
{
    const struct lmw_cells *c = j->l->cells;
    int16_t *choice = LMW_NEW(&scratch, int16_t, (size_t)c->n);
    if (!choice)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a threshold");
    lmw_view_choose(&j->view, trust, (double)INFINITY, choice);
    double want = j->o->keep * accuracy_of(c, choice);
    for (int i = 0; i <= 100; i++) {
        *out = i / 100.0;
        lmw_view_choose(&j->view, trust, *out, choice);
        if (accuracy_of(c, choice) >= want)
            break;
    }
    return LMW_OK;
}

static int compare_with_oracle(const struct job *j, double threshold, struct lmw_fit_report *out,
                               struct lmw_arena scratch, struct lmw_err *err)
{
    const struct lmw_cells *c = j->l->cells;
    int16_t *choice = LMW_NEW(&scratch, int16_t, (size_t)c->n);
    if (!choice)
        return lmw_fail(err, LMW_ENOMEM, "no memory for decisions");
    lmw_view_choose(&j->view, out->trust, threshold, choice);
    for (int64_t q = 0; q < c->n; q++)
        out->as_oracle += (choice[q] < c->n_local) == (j->view.oracle[q] < c->n_local);
    out->as_oracle /= (double)c->n;
    return LMW_OK;
}

/* What deciding takes, by the clock of this thread's processor time; and an embedding, as told. */
static void time_decisions(struct lmw_router *r, const struct job *j)
{
    int64_t n = 0, t = lmw_thread_cpu_ns();
    for (int64_t q = 0; q < j->l->cells->n && n < TIMED; q++) {
        struct question x = {0};
        question_at(&x, j->l, j->view.rank[0], q);
        if (r->kind->needs_text && !j->feature[q])
            continue; /* nothing to look at takes no time */
        if (r->kind->tries_first)
            lmw_router_trust(r, 0, x.signal);
        else
            lmw_router_decide(r, j->l->prompt[q], vector_at(j->l, q), NULL);
        n++;
    }
    r->info.own_ms = n ? (double)(lmw_thread_cpu_ns() - t) / 1e6 / (double)n : 0;
    r->info.own_j = r->info.own_ms / 1e3 * j->o->watts;
    if (j->l->vector) {
        double j_embed = j->l->embed_j, ms = j->l->embed_ms;
        r->info.own_ms += ms;
        r->info.own_j += isnan(j_embed) ? ms / 1e3 * j->o->watts : j_embed;
    }
}

static int check(const struct lmw_lessons *l, const struct lmw_fit_options *o, struct lmw_err *err)
{
    struct lmw_router *r;
    int rc = lmw_router_open(&r, o->kind, err);
    if (rc < 0)
        return rc;
    bool silent = r->kind->needs_text && l->n_prompt == 0;
    lmw_router_close(r);
    if (silent)
        return lmw_fail(
            err, LMW_EARG,
            "no record has its question's text (prompt): only a cascade can do without");
    if (o->n_fold < 2 || o->n_fold > 1000)
        return lmw_fail(err, LMW_EARG, "%d folds: 2 to 1000 make sense", o->n_fold);
    return LMW_OK;
}

/* What the router that is kept has beside what it learned: a threshold, and what it takes. */
static int finish(struct lmw_router *r, const struct job *j, struct lmw_fit_report *report,
                  struct lmw_err *err)
{
    const struct lmw_lessons *l = j->l;
    struct lmw_router_info *i = &r->info;
    int rc = LMW_OK;
    i->n_repeat = l->n_signal[LMW_AGREEMENT] > 0 && i->tries_first ? l->n_repeat : 1;
    i->threshold = j->o->threshold;
    if (isnan(i->threshold))
        rc = choose_threshold(j, report->trust, &i->threshold, *j->arena, err);
    if (rc == LMW_OK)
        rc = compare_with_oracle(j, i->threshold, report, *j->arena, err);
    time_decisions(r, j);
    return rc;
}

int lmw_router_fit(struct lmw_router **out, const struct lmw_lessons *l,
                   const struct lmw_fit_options *o, struct lmw_fit_report *report,
                   struct lmw_arena *arena, struct lmw_err *err)
{
    struct job j = {.l = l, .o = o, .arena = arena};
    int rc = check(l, o, err);
    *out = NULL;
    *report = (struct lmw_fit_report){0};
    if (rc < 0 || (rc = open_job(&j, err)) < 0 ||
        (rc = (l->vector ? make_room : read_texts)(&j, err)) < 0)
        return rc;
    report->trust = LMW_NEW(arena, double, (size_t)(l->cells->n * l->cells->n_local));
    if (!report->trust)
        return lmw_fail(err, LMW_ENOMEM, "no memory for cross-validation");
    if ((rc = cross_validate(&j, report->trust, err)) < 0 ||
        (rc = report_on(&j, report, *arena, err)) < 0)
        return rc;
    tell_progress(&j, o->n_fold);
    if ((rc = fit_without(&j, o->all ? -1 : HELD_OUT, out, err)) < 0 ||
        (rc = finish(*out, &j, report, err)) < 0) {
        lmw_router_close(*out);
        *out = NULL;
    }
    return rc;
}
