/* Difficulty: each question by the smallest model that answers it rightly (the paper's E.2). */
#include "insight/insight.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_params(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Without edges, the different sizes there are. */
static void find_tiers(struct lmw_tiers *t, const struct lmw_frame *f, const int64_t *edge,
                       int n_edge)
{
    int n = n_edge;
    if (n_edge) {
        memcpy(t->params, edge, sizeof *edge * (size_t)n_edge);
        qsort(t->params, (size_t)n, sizeof *t->params, by_params);
        t->params[n] = LMW_NULL;
        t->n_tier = n + 1;
        return;
    }
    for (int i = 0; i < f->n_run; i++) {
        if (f->run[i].params != LMW_NULL)
            t->params[n++] = f->run[i].params;
    }
    qsort(t->params, (size_t)n, sizeof *t->params, by_params);
    for (int i = 0; i < n; i++) {
        if (i == 0 || t->params[i] != t->params[i - 1])
            t->params[t->n_tier++] = t->params[i];
    }
}

/* The tier of a run, -1 where it solves nothing. */
static int tier_of(const struct lmw_tiers *t, const struct lmw_frame_run *run)
{
    if (run->params == LMW_NULL || !run->scored)
        return -1;
    for (int i = 0; i < t->n_tier; i++) {
        if (t->params[i] == LMW_NULL || run->params <= t->params[i])
            return i;
    }
    return -1;
}

static const char *name_of(const struct lmw_frame_run *run)
{
    return run->model ? run->model : run->run.name;
}

/* Whether an earlier run of the tier has run i's name. */
static bool is_named(const struct lmw_frame *f, const int *tier, int i)
{
    int k = 0;
    while (k < i && (tier[k] != tier[i] || strcmp(name_of(&f->run[k]), name_of(&f->run[i])) != 0))
        k++;
    return k < i;
}

static int name_models(struct lmw_tiers *t, const struct lmw_frame *f, const int *tier,
                       struct lmw_arena *arena)
{
    bool ok = true;
    for (int k = 0; k < t->n_tier; k++) {
        struct lmw_buf names = {0};
        for (int i = 0; i < f->n_run; i++) {
            if (tier[i] == k && !is_named(f, tier, i))
                lmw_buf_printf(&names, "%s%s", names.len ? ", " : "", name_of(&f->run[i]));
        }
        t->models[k] = lmw_arena_str(arena, (lmw_str){names.ptr, names.len});
        ok &= t->models[k] && !names.failed;
        lmw_buf_free(&names);
    }
    return ok ? LMW_OK : LMW_ENOMEM;
}

static void count_tiers(struct lmw_tiers *t, const struct lmw_frame *f,
                        const struct lmw_domains *d, const struct lmw_cross *x, const int *tier,
                        const int *row_of)
{
    int width = t->n_tier + 1;
    for (int q = 0; q < f->n_query; q++) {
        int lowest = t->n_tier, asked = 0;
        for (size_t i = x->first[q]; i < x->first[q + 1]; i++) {
            int k = tier[x->run[i]];
            asked += k >= 0;
            if (k >= 0 && k < lowest && x->v[LMW_V_ACC][i] >= 0.5)
                lowest = k;
        }
        if (!asked)
            continue;
        t->n[row_of[f->domain_of[q]] * width + lowest]++;
        t->n[d->n_domain * width + lowest]++;
    }
}

static void find_rows(const struct lmw_frame *f, const struct lmw_domains *d, int *row_of)
{
    for (int row = 0; row < d->n_domain; row++) {
        for (int k = 0; k < f->n_domain; k++) {
            if (f->domain[k] == d->domain[row])
                row_of[k] = row;
        }
    }
}

int lmw_tiers_of(const struct lmw_frame *f, const struct lmw_domains *d, const int64_t *edge,
                 int n_edge, struct lmw_arena *arena, struct lmw_tiers *out, struct lmw_err *err)
{
    size_t most = (size_t)(n_edge ? n_edge : f->n_run) + 1;
    struct lmw_arena scratch;
    struct lmw_cross x;
    int rc = lmw_arena_open(&scratch, (size_t)64 << 30, err);
    if (rc < 0)
        return rc;
    *out =
        (struct lmw_tiers){.params = LMW_NEW(arena, int64_t, most),
                           .models = LMW_NEW(arena, const char *, most),
                           .n = LMW_NEW(arena, int64_t, ((size_t)d->n_domain + 1) * (most + 1))};
    int *tier = LMW_NEW(&scratch, int, (size_t)f->n_run);
    int *row_of = LMW_NEW(&scratch, int, (size_t)f->n_domain);
    if (!out->params || !out->models || !out->n || !tier || !row_of)
        rc = LMW_ENOMEM;
    if (rc == LMW_OK)
        rc = lmw_cross_build(&x, f, LMW_V_BIT(LMW_V_ACC), &scratch, err);
    if (rc == LMW_OK) {
        find_tiers(out, f, edge, n_edge);
        for (int i = 0; i < f->n_run; i++) {
            tier[i] = tier_of(out, &f->run[i]);
            out->n_left_out += tier[i] < 0;
        }
        find_rows(f, d, row_of);
        count_tiers(out, f, d, &x, tier, row_of);
        rc = name_models(out, f, tier, arena);
    }
    lmw_arena_close(&scratch);
    return rc < 0 ? lmw_fail(err, LMW_ENOMEM, "no memory for tiers of %d runs", f->n_run) : rc;
}
