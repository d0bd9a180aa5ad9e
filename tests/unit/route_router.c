/* Fitted routers: they find what there is to find and nothing else, hold out what they say, are
 * the same when read back, and refuse files that are none. */
#include "route/route.h"

#include "route_scratch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"

enum { N = 400, DIM = 24 };

struct fixture {
    struct scratch scratch;
    struct lmw_err err;
    uint8_t right[3 * N];
    double joules[3 * N];
    char text[N][160];
    lmw_str prompt[N];
    uint64_t id[N];
    double logprob[2 * N], agreement[2 * N];
    float vector[N * DIM];
    struct lmw_cells c;
    struct lmw_lessons l;
};

static const struct lmw_fit_options options = {
    .n_fold = 4, .keep = 0.95, .threshold = (double)NAN, .watts = 10, .seed = 3};

/* Questions about the weather are what the local models know; "big", which is the dearer one,
 * knows those about rivers, too. The cloud knows nearly all. One in ten is not as its topic. */
static int setup(void **state)
{
    static const char *const topics[] = {"will it rain or snow in the mountains tomorrow",
                                         "how long is the river and where does it flow",
                                         "integrate the polynomial over the unit interval"};
    static const char *const models[] = {"big", "small", "cloud"};
    struct fixture *f = calloc(1, sizeof *f);
    struct lmw_rng rng;
    scratch_open(&f->scratch);
    lmw_rng_init(&rng, 5);
    for (int q = 0; q < N; q++) {
        int topic = (int)lmw_rng_below(&rng, 3);
        snprintf(f->text[q], sizeof f->text[q], "Question %u: %s?", lmw_rng_below(&rng, 100000),
                 topics[topic]);
        f->prompt[q] = lmw_str_from(f->text[q]);
        f->id[q] = lmw_rng_u64(&rng);
        f->right[q] = (topic < 2) ^ (lmw_rng_unit(&rng) < 0.1);
        f->right[N + q] = (topic < 1) ^ (lmw_rng_unit(&rng) < 0.1);
        f->right[2 * N + q] = lmw_rng_unit(&rng) < 0.95;
        for (int m = 0; m < 3; m++)
            f->joules[m * N + q] = m == 0 ? 2 : m == 1 ? 1 : 20;
        for (int m = 0; m < 2; m++) {
            f->logprob[m * N + q] = -2 * lmw_rng_unit(&rng) - !f->right[m * N + q];
            f->agreement[m * N + q] = (double)NAN;
        }
    }
    f->c = (struct lmw_cells){
        .n_local = 2, .n = N, .model = models, .right = f->right, .amount = {f->joules}};
    f->l = (struct lmw_lessons){
        .cells = &f->c,
        .prompt = f->prompt,
        .id = f->id,
        .signal = {[LMW_LOGPROB] = f->logprob, [LMW_AGREEMENT] = f->agreement},
        .n_prompt = N,
        .n_signal = {[LMW_LOGPROB] = 2 * N},
        .n_repeat = 1};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    scratch_close(&f->scratch);
    free(f);
    return 0;
}

static struct lmw_router *fit(struct fixture *f, const char *kind, struct lmw_fit_report *report)
{
    struct lmw_router *r;
    struct lmw_fit_options o = options;
    o.kind = kind;
    if (lmw_router_fit(&r, &f->l, &o, report, &f->scratch.arena, &f->err) < 0)
        fail_msg("%s: %s", kind, f->err.msg);
    return r;
}

static const struct lmw_embedding reader = {"reader", "00112233445566aa", DIM};

/* Vectors as models make them: all much the same, the topic a small part of what differs. */
static void embed(struct fixture *f)
{
    struct lmw_rng rng;
    lmw_rng_init(&rng, 8);
    for (int q = 0; q < N; q++) {
        float *v = f->vector + q * DIM;
        double sum = 0;
        for (int i = 0; i < DIM; i++) {
            v[i] = 1 + (float)(0.02 * lmw_rng_normal(&rng));
            v[i] += i == 5 && strstr(f->text[q], "rain") ? 0.15f : 0;
            v[i] += i == 9 && strstr(f->text[q], "river") ? 0.15f : 0;
            sum += (double)v[i] * (double)v[i];
        }
        for (int i = 0; i < DIM; i++)
            v[i] /= (float)sqrt(sum);
    }
    f->l.embedding = reader;
    f->l.vector = f->vector;
    f->l.embed_ms = 2;
    f->l.embed_j = 0.5;
}

/* Right answers are told from wrong ones nine times in ten: better than 0.85 of pairs in order. */
static void finds_what_there_is(void **state)
{
    struct fixture *f = *state;
    for (int k = 0; lmw_router_kinds[k]; k++) {
        struct lmw_fit_report report;
        struct lmw_router *r = fit(f, lmw_router_kinds[k], &report);
        const struct lmw_router_info *i = lmw_router_info(r);
        assert_string_equal(i->kind, lmw_router_kinds[k]);
        if (!(report.auc > 0.8 && report.brier < 0.8 * report.brier_of_base))
            fail_msg("%s: AUC %g, Brier %g of %g", i->kind, report.auc, report.brier,
                     report.brier_of_base);
        assert_true(report.as_oracle > 0.6 && report.as_oracle <= 1);
        assert_string_equal(i->local[0], "small"); /* cheap first */
        assert_string_equal(i->cloud, "cloud");
        assert_true(i->threshold >= 0 && i->threshold <= 1 && i->own_ms >= 0);
        assert_true(fabs(i->own_j - i->own_ms / 1e3 * 10) < 1e-12);
        int64_t n = 0;
        for (int b = 0; b < LMW_CALIBRATION_BINS; b++)
            n += report.bin[b].n;
        assert_int_equal(n, 2 * N);
        double base = 0; /* that the models differ is known without a router */
        for (int m = 0; m < 2; m++) {
            double right = 0;
            for (int q = 0; q < N; q++)
                right += f->right[m * N + q];
            base += right / N * (1 - right / N) / 2;
        }
        assert_true(fabs(report.brier_of_base - base) < 1e-12);
        lmw_router_close(r);
    }
}

/* With answers that have nothing to do with the questions, a router that peeked would shine. */
static void finds_nothing_where_nothing_is(void **state)
{
    struct fixture *f = *state;
    struct lmw_rng rng;
    lmw_rng_init(&rng, 9);
    for (int i = 0; i < 3 * N; i++)
        f->right[i] = lmw_rng_unit(&rng) < 0.5;
    for (int k = 0; lmw_router_kinds[k]; k++) {
        struct lmw_fit_report report;
        lmw_router_close(fit(f, lmw_router_kinds[k], &report));
        if (!(report.auc > 0.4 && report.auc < 0.6))
            fail_msg("%s: AUC %g of noise", lmw_router_kinds[k], report.auc);
    }
}

/* AUC, Brier score and calibration by counting every pair and every answer. */
static void figures_by_brute_force(void **state)
{
    struct fixture *f = *state;
    struct lmw_fit_report report;
    lmw_router_close(fit(f, "knn", &report));
    double ordered = 0, pairs = 0, squares = 0, n[10] = {0}, trust[10] = {0}, right[10] = {0};
    for (int i = 0; i < 2 * N; i++) {
        double t = report.trust[i];
        int bin = t < 1 ? (int)(10 * t) : 9;
        squares += (t - f->right[i]) * (t - f->right[i]) / (2 * N);
        n[bin]++;
        trust[bin] += t;
        right[bin] += f->right[i];
        for (int k = 0; f->right[i] && k < 2 * N; k++) {
            pairs += !f->right[k];
            ordered += f->right[k] ? 0 : t > report.trust[k] ? 1 : t == report.trust[k] ? 0.5 : 0;
        }
    }
    assert_true(fabs(report.auc - ordered / pairs) < 1e-12);
    assert_true(fabs(report.brier - squares) < 1e-12);
    for (int b = 0; b < LMW_CALIBRATION_BINS; b++) {
        assert_true((double)report.bin[b].n == n[b]);
        assert_true(n[b] == 0 || fabs(report.bin[b].trust - trust[b] / n[b]) < 1e-12);
        assert_true(n[b] == 0 || fabs(report.bin[b].right - right[b] / n[b]) < 1e-12);
    }
}

static void count_fit(void *arg, int i_fit, int n_fit)
{
    int *n = arg;
    assert_int_equal(i_fit, (*n)++);
    assert_int_equal(n_fit, options.n_fold + 1);
}

/* Answers that are all right, or all wrong, teach a rate and no order; and every fit is told
 * of. */
static void one_class(void **state)
{
    struct fixture *f = *state;
    for (int all = 0; all < 2; all++) {
        memset(f->right, all, N * 2);
        for (int k = 0; lmw_router_kinds[k]; k++) {
            struct lmw_fit_report report;
            struct lmw_router *r;
            struct lmw_fit_options o = options;
            int n_fit = 0;
            o.kind = lmw_router_kinds[k];
            o.progress = count_fit;
            o.progress_arg = &n_fit;
            assert_int_equal(lmw_router_fit(&r, &f->l, &o, &report, &f->scratch.arena, &f->err),
                             0);
            assert_int_equal(n_fit, options.n_fold + 1);
            assert_true(isnan(report.auc) && report.brier_of_base == 0);
            for (int i = 0; i < 2 * N; i++)
                assert_true(fabs(report.trust[i] - all) < 0.1);
            lmw_router_close(r);
        }
    }
}

static void keeps_the_quality_asked_for(void **state)
{
    struct fixture *f = *state;
    int16_t choice[N];
    struct lmw_fit_report report;
    struct lmw_router *r = fit(f, "logistic", &report);
    struct lmw_routed out;
    struct lmw_strategy s = {.kind = LMW_CHOSEN, .choice = choice};
    double threshold = lmw_router_info(r)->threshold;
    assert_int_equal(
        lmw_route_choose(&f->c, report.trust, threshold, choice, f->scratch.arena, &f->err), 0);
    assert_int_equal(lmw_route_simulate(&f->c, &s, 1, &out, f->scratch.arena, &f->err), 0);
    assert_true(out.quality_kept.value >= 0.95 && out.saving[LMW_JOULES].value > 0.3);
    assert_int_equal(
        lmw_route_choose(&f->c, report.trust, threshold - 0.01, choice, f->scratch.arena, &f->err),
        0);
    assert_int_equal(lmw_route_simulate(&f->c, &s, 1, &out, f->scratch.arena, &f->err), 0);
    assert_true(threshold == 0 || out.quality_kept.value < 0.95); /* it is the least */
    lmw_router_close(r);
}

static void a_fold_is_not_seen(void **state)
{
    struct fixture *f = *state;
    struct lmw_fit_report report;
    struct lmw_router *r = fit(f, "logistic", &report), *all;
    int64_t unseen = 0;
    for (int q = 0; q < N; q++)
        unseen += lmw_router_unseen(r, f->id[q]);
    assert_int_equal(lmw_router_info(r)->n_train + unseen, N);
    assert_true(unseen > N / 8 && unseen < N / 2);
    struct lmw_fit_options o = options;
    o.kind = "logistic";
    o.all = true;
    assert_int_equal(lmw_router_fit(&all, &f->l, &o, &report, &f->scratch.arena, &f->err), 0);
    assert_int_equal(lmw_router_info(all)->n_train, N);
    assert_false(lmw_router_unseen(all, f->id[0]));
    /* what the held-out fold says does not move the router that is kept */
    for (int q = 0; q < N; q++)
        f->right[q] ^= lmw_router_unseen(r, f->id[q]);
    struct lmw_router *same = fit(f, "logistic", &report);
    double a[2], b[2];
    for (int q = 0; q < N; q += 17) {
        lmw_router_decide(r, f->prompt[q], NULL, a);
        lmw_router_decide(same, f->prompt[q], NULL, b);
        assert_memory_equal(a, b, sizeof a);
    }
    lmw_router_close(r);
    lmw_router_close(all);
    lmw_router_close(same);
}

static void the_same_when_read_back(void **state)
{
    struct fixture *f = *state;
    const double signal[LMW_SIGNALS] = {-1.5, (double)NAN, (double)NAN};
    for (int k = 0; lmw_router_kinds[k]; k++) {
        struct lmw_fit_report report;
        struct lmw_router *r = fit(f, lmw_router_kinds[k], &report), *back;
        assert_int_equal(lmw_router_save(r, f->scratch.path, &f->err), 0);
        if (lmw_router_load(&back, f->scratch.path, &f->err) < 0)
            fail_msg("%s", f->err.msg);
        const struct lmw_router_info *a = lmw_router_info(r), *b = lmw_router_info(back);
        assert_int_equal(a->n_train, b->n_train);
        assert_int_equal(a->held_out, b->held_out);
        assert_true(a->seed == b->seed && a->threshold == b->threshold);
        assert_string_equal(a->local[1], b->local[1]);
        for (int q = 0; q < N; q += 7) {
            double was[2], is[2];
            lmw_router_decide(r, f->prompt[q], NULL, was);
            lmw_router_decide(back, f->prompt[q], NULL, is);
            for (int m = 0; m < 2; m++)
                assert_true(a->tries_first ? isnan(is[m]) : fabs(was[m] - is[m]) < 2e-3);
        }
        double was = lmw_router_trust(r, 1, signal), is = lmw_router_trust(back, 1, signal);
        assert_true(a->tries_first ? fabs(was - is) < 1e-6 : isnan(is));
        lmw_router_close(r);
        lmw_router_close(back);
    }
}

/* Whom to ask first, and whether the answer may stand. */
static void decides(void **state)
{
    struct fixture *f = *state;
    struct lmw_fit_report report;
    struct lmw_router *r = fit(f, "logistic", &report);
    double trust[2];
    int n_local = lmw_router_info(r)->n_local;
    lmw_str rain = LMW_STR("will it rain in the mountains tomorrow?"),
            sums = LMW_STR("integrate the polynomial over the interval");
    assert_true(lmw_router_decide(r, rain, NULL, trust) < n_local);
    assert_true(trust[0] > 0.6 && trust[1] > 0.6);
    assert_int_equal(lmw_router_decide(r, sums, NULL, trust), n_local);
    assert_true(trust[0] < 0.4);
    assert_int_equal(lmw_router_decide(r, sums, NULL, NULL), n_local);
    lmw_router_close(r);

    r = fit(f, "cascade", &report);
    const double sure[LMW_SIGNALS] = {-0.1, NAN, NAN}, unsure[LMW_SIGNALS] = {-2.9, NAN, NAN},
                 silent[LMW_SIGNALS] = {NAN, NAN, NAN};
    assert_int_equal(lmw_router_decide(r, sums, NULL, NULL), 0);
    assert_true(lmw_router_trust(r, 0, sure) > 0.9 && lmw_router_trust(r, 0, unsure) < 0.1);
    assert_true(isnan(lmw_router_trust(r, 0, silent)) && isnan(lmw_router_trust(r, 2, sure)));
    lmw_router_close(r);
}

static void scores_by_name(void **state)
{
    struct fixture *f = *state;
    static const char *const swapped[] = {"small", "big", "cloud"};
    static const char *const other[] = {"small", "huge", "cloud"};
    struct lmw_fit_report report;
    struct lmw_router *r = fit(f, "logistic", &report);
    static double a[2 * N], b[2 * N];
    assert_int_equal(lmw_router_score(r, &f->l, a, &f->err), 0);
    f->c.model = swapped;
    assert_int_equal(lmw_router_score(r, &f->l, b, &f->err), 0);
    assert_memory_equal(a, b + N, N * sizeof *a);
    assert_memory_equal(a + N, b, N * sizeof *a);
    f->c.model = other;
    assert_int_equal(lmw_router_score(r, &f->l, b, &f->err), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "'big'"));
    lmw_router_close(r);
}

/* A model that the router does not know is never trusted; a cascade would have to pay its
 * tries. */
static void a_model_it_does_not_know(void **state)
{
    struct fixture *f = *state;
    static const char *const three[] = {"new", "big", "small", "cloud"};
    static uint8_t right[4 * N];
    static double trust[3 * N], logprob[3 * N];
    struct lmw_fit_report report;
    struct lmw_router *r = fit(f, "logistic", &report), *cascade = fit(f, "cascade", &report);
    f->c = (struct lmw_cells){.n_local = 3, .n = N, .model = three, .right = right};
    f->l.signal[LMW_LOGPROB] = logprob;
    f->l.signal[LMW_AGREEMENT] = NULL;
    assert_int_equal(lmw_router_score(r, &f->l, trust, &f->err), 0);
    assert_true(isnan(trust[0]) && trust[N] > 0 && trust[2 * N] > 0);
    assert_int_equal(lmw_router_score(cascade, &f->l, trust, &f->err), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "2 local models in turn"));
    lmw_router_close(r);
    lmw_router_close(cascade);
}

/* Every kind that looks at questions can look at their embeddings, and is the same when read
 * back. */
static void finds_it_in_embeddings(void **state)
{
    struct fixture *f = *state;
    static double was[2 * N], is[2 * N];
    embed(f);
    f->vector[7 * DIM] = NAN; /* one that could not be read: to the cloud */
    for (int k = 0; lmw_router_kinds[k]; k++) {
        struct lmw_fit_report report;
        struct lmw_router *r, *back;
        struct lmw_fit_options o = options;
        o.kind = lmw_router_kinds[k];
        int rc = lmw_router_fit(&r, &f->l, &o, &report, &f->scratch.arena, &f->err);
        if (strcmp(o.kind, "cascade") == 0) {
            assert_int_equal(rc, LMW_EARG);
            assert_non_null(strstr(f->err.msg, "answers"));
            continue;
        }
        if (rc < 0)
            fail_msg("%s: %s", o.kind, f->err.msg);
        if (!(report.auc > 0.8 && report.brier < 0.8 * report.brier_of_base))
            fail_msg("%s: AUC %g, Brier %g of %g", o.kind, report.auc, report.brier,
                     report.brier_of_base);
        assert_true(lmw_router_info(r)->own_ms >= 2 && lmw_router_info(r)->own_j >= 0.5);
        assert_int_equal(lmw_router_save(r, f->scratch.path, &f->err), 0);
        assert_int_equal(lmw_router_load(&back, f->scratch.path, &f->err), 0);
        assert_string_equal(lmw_router_info(back)->embedding.hash, reader.hash);
        assert_int_equal(lmw_router_score(r, &f->l, was, &f->err), 0);
        assert_int_equal(lmw_router_score(back, &f->l, is, &f->err), 0);
        for (int i = 0; i < 2 * N; i++)
            assert_true(i % N == 7 || fabs(was[i] - is[i]) < 5e-3);
        assert_true(isnan(is[7]) && isnan(is[N + 7]) && is[8] > 0);
        double one[2];
        lmw_router_decide(back, (lmw_str){0}, f->vector + 8 * DIM, one);
        assert_true(one[0] == is[N + 8] && one[1] == is[8]); /* cheap first */
        lmw_router_close(r);
        lmw_router_close(back);
    }
}

/* A router takes the embeddings it learned from, and no others. */
static void refuses_another_model(void **state)
{
    struct fixture *f = *state;
    static double trust[2 * N];
    struct lmw_fit_report report;
    struct lmw_router *text = fit(f, "logistic", &report);
    embed(f);
    struct lmw_router *r = fit(f, "logistic", &report);
    assert_int_equal(lmw_router_score(text, &f->l, trust, &f->err), LMW_EARG);
    assert_int_equal(lmw_router_score(r, &f->l, trust, &f->err), 0);
    f->l.embedding.hash = "00112233445566ab";
    f->l.embedding.model = "stranger";
    assert_int_equal(lmw_router_score(r, &f->l, trust, &f->err), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "'reader' (contents 00112233445566aa)"));
    assert_non_null(strstr(f->err.msg, "'stranger'"));
    f->l.embedding = (struct lmw_embedding){0};
    f->l.vector = NULL;
    assert_int_equal(lmw_router_score(r, &f->l, trust, &f->err), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "'reader'"));
    lmw_router_close(text);
    lmw_router_close(r);
}

/* The centre, too, is learned from the other folds alone. */
static void a_fold_is_not_looked_at(void **state)
{
    struct fixture *f = *state;
    struct lmw_fit_report report;
    double a[2], b[2];
    embed(f);
    struct lmw_router *r = fit(f, "knn", &report);
    for (int q = 0; q < N; q++)
        f->vector[q * DIM + 3] += lmw_router_unseen(r, f->id[q]) ? 2 : 0;
    struct lmw_router *same = fit(f, "knn", &report);
    lmw_router_decide(r, (lmw_str){0}, f->vector, a);
    lmw_router_decide(same, (lmw_str){0}, f->vector, b);
    assert_memory_equal(a, b, sizeof a);
    lmw_router_close(r);
    lmw_router_close(same);
}

static void nothing_to_learn_from(void **state)
{
    struct fixture *f = *state;
    struct lmw_router *r;
    struct lmw_fit_report report;
    struct lmw_fit_options o = options;
    o.kind = "oracle";
    assert_int_equal(lmw_router_fit(&r, &f->l, &o, &report, &f->scratch.arena, &f->err), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "logistic, knn, mf or cascade"));
    o.kind = "mf";
    memset(f->prompt, 0, sizeof f->prompt);
    f->l.n_prompt = 0;
    assert_int_equal(lmw_router_fit(&r, &f->l, &o, &report, &f->scratch.arena, &f->err), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "prompt"));
    o.kind = "cascade";
    memset(f->l.n_signal, 0, sizeof f->l.n_signal);
    assert_int_equal(lmw_router_fit(&r, &f->l, &o, &report, &f->scratch.arena, &f->err), LMW_EARG);
    assert_non_null(strstr(f->err.msg, "logprob_mean"));
    assert_null(r);
}

/* Any one byte of a file cut off or changed is refused or read, and never worse. */
static void files_that_are_no_routers(void **state)
{
    struct fixture *f = *state;
    struct lmw_fit_report report;
    struct lmw_router *r = fit(f, "cascade", &report);
    struct lmw_buf text = {0};
    assert_int_equal(lmw_router_save(r, f->scratch.path, &f->err), 0);
    lmw_router_close(r);
    assert_int_equal(lmw_file_read(f->scratch.path, 1 << 20, &text, &f->err), 0);
    for (size_t n = 0; n + 3 < text.len; n++)
        assert_int_equal(lmw_router_parse(&r, (lmw_str){text.ptr, n}, &f->err), LMW_EFORMAT);
    static const char *const bad[] = {
        "{}",
        "[1]",
        "{\"lmwatt_router\": 3, \"kind\": \"cascade\"}",
        "{\"lmwatt_router\": 2, \"kind\": \"cascade\", \"local\": [], \"cloud\": \"c\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(lmw_router_parse(&r, lmw_str_from(bad[i]), &f->err) < 0);
        assert_null(r);
    }
    lmw_buf_free(&text);
    assert_int_equal(lmw_router_load(&r, "/nowhere/router.json", &f->err), LMW_EIO);
}

/* ---- lessons from a store ---- */

static void add(struct lmw_store *s, int64_t run, const char *id, int repeat, const char *answer,
                double logprob, double entropy, struct lmw_err *err)
{
    struct lmw_record r;
    lmw_record_clear(&r);
    r.query_id = id;
    r.repeat = repeat;
    r.prompt = id[0] == 'a' ? "what is a?" : NULL;
    r.answer = answer;
    r.score = 1;
    r.logprob_mean = logprob;
    r.entropy_mean = entropy;
    assert_int_equal(lmw_store_add(s, run, &r, err), 0);
}

static int64_t run(struct lmw_store *s, const char *name, struct lmw_err *err)
{
    bool resumed;
    struct lmw_run r = {.name = name, .settings_hash = "0123456789abcdef", .date = "2026-01-01"};
    assert_int_equal(lmw_store_begin_run(s, &r, &resumed, err), 0);
    return r.id;
}

static void lessons_of_a_store(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/lmw-lessons-XXXXXX", path[64], rm[64];
    struct lmw_store *s;
    struct lmw_routes routes;
    struct lmw_lessons l;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/t.db", dir);
    assert_int_equal(lmw_store_open(&s, path, &f->err), 0);
    int64_t local = run(s, "local", &f->err), cloud = run(s, "cloud", &f->err);
    const double none = (double)NAN;
    add(s, local, "a", 0, "yes", -1, 0.5, &f->err);
    add(s, local, "a", 1, " yes\n", -2, none, &f->err);
    add(s, local, "a", 2, "no", none, none, &f->err);
    add(s, local, "b", 0, "?", none, none, &f->err);
    for (int i = 0; i < 4; i++) /* whose answers nobody kept: they neither agree nor differ */
        add(s, local, "c", i, NULL, none, none, &f->err);
    add(s, cloud, "b", 0, "b", none, none, &f->err);
    add(s, cloud, "c", 0, "c", none, none, &f->err);
    add(s, cloud, "a", 0, "a", -9, none, &f->err);
    const char *name = "local";
    assert_int_equal(
        lmw_routes_load(&routes, s, &name, 1, "cloud", NULL, &f->scratch.arena, &f->err), 0);
    assert_int_equal(lmw_lessons_load(&l, s, &routes, &f->scratch.arena, &f->err), 0);
    assert_int_equal(l.n_prompt, 1);
    assert_string_equal(l.prompt[0].ptr, "what is a?");
    assert_null(l.prompt[1].ptr);
    assert_true(l.signal[LMW_LOGPROB][0] == -1.5 && isnan(l.signal[LMW_LOGPROB][1]));
    assert_true(l.signal[LMW_ENTROPY][0] == 0.5);
    assert_true(fabs(l.signal[LMW_AGREEMENT][0] - 2.0 / 3) < 1e-12);
    assert_true(isnan(l.signal[LMW_AGREEMENT][1]) && isnan(l.signal[LMW_AGREEMENT][2]));
    assert_int_equal(l.n_repeat, 3);
    assert_int_equal(l.n_signal[LMW_AGREEMENT], 1);
    assert_int_equal(l.n_signal[LMW_LOGPROB], 1);
    lmw_store_close(s);
    snprintf(rm, sizeof rm, "rm -r %s", dir);
    assert_int_equal(system(rm), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_what_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(finds_nothing_where_nothing_is, setup, teardown),
        cmocka_unit_test_setup_teardown(figures_by_brute_force, setup, teardown),
        cmocka_unit_test_setup_teardown(one_class, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_the_quality_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fold_is_not_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_when_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(decides, setup, teardown),
        cmocka_unit_test_setup_teardown(scores_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_model_it_does_not_know, setup, teardown),
        cmocka_unit_test_setup_teardown(finds_it_in_embeddings, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_another_model, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fold_is_not_looked_at, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_learn_from, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_are_no_routers, setup, teardown),
        cmocka_unit_test_setup_teardown(lessons_of_a_store, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
