/* lmwatt route fit: a router from records, how good it is on what it has not seen, and its file.
 * And --router: a file among the strategies of the other verbs. */
#include "cli/model_opts.h"
#include "cli/route.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- a router among the strategies ---- */

/* Its own cost is in its sums; repeats that were asked only to see whether they agree, too. */
int route_fitted_strategy(struct route_job *j, struct lmw_err *err)
{
    const struct lmw_router_info *i = lmw_router_info(j->router);
    const struct lmw_cells *c = &j->routes.cells;
    int16_t *choice = LMW_NEW(&j->arena, int16_t, (size_t)c->n);
    struct lmw_strategy *s = &j->fitted;
    char name[64];
    if (!choice)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %lld decisions", (long long)c->n);
    *s = (struct lmw_strategy){.kind = LMW_CHOSEN,
                               .tries_first = i->tries_first,
                               .n_again = (int)i->n_repeat - 1,
                               .own = {[LMW_JOULES] = i->own_j, [LMW_SECONDS] = i->own_ms / 1e3}};
    if (!isnan(j->prices.local.per_kwh))
        s->own[LMW_USD] = i->own_j / 3.6e6 * j->prices.local.per_kwh;
    snprintf(name, sizeof name, "fitted-%s", i->kind);
    if (!(s->name = lmw_arena_str(&j->arena, lmw_str_from(name))))
        return lmw_fail(err, LMW_ENOMEM, "no memory for a name");
    double threshold = isnan(j->threshold) ? i->threshold : j->threshold;
    s->choice = choice;
    return lmw_route_choose(c, j->trust, threshold, choice, j->arena, err);
}

int route_open_router(struct route_job *j, struct lmw_err *err)
{
    int rc = lmw_router_load(&j->router, j->router_path, err);
    if (rc < 0)
        return rc;
    const struct lmw_router_info *i = lmw_router_info(j->router);
    bool is_named = j->local.n > 0;
    if (i->n_local > STRS_MAX)
        return lmw_fail(err, LMW_EARG, "the router has %d local models", i->n_local);
    for (int m = 0; !is_named && m < i->n_local; m++)
        j->local.v[j->local.n++] = i->local[m];
    j->cloud = j->cloud ? j->cloud : i->cloud;
    return LMW_OK;
}

/* Keeps what the router has not seen of the questions, and of their trust. */
static int keep_unseen(struct route_job *j, const struct lmw_lessons *l, struct lmw_err *err)
{
    int64_t n = 0, all = j->routes.cells.n, n_local = j->routes.cells.n_local;
    int64_t *which = LMW_NEW(&j->arena, int64_t, (size_t)all);
    double *trust = LMW_NEW(&j->arena, double, (size_t)(all * n_local));
    if (!which || !trust)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %lld questions", (long long)all);
    for (int64_t q = 0; q < all; q++) {
        if (lmw_router_unseen(j->router, l->id[q]))
            which[n++] = q;
    }
    if (n == 0)
        return lmw_fail(
            err, LMW_EARG,
            "none of these %lld questions is in the fold that the router has not seen: "
            "--seen judges it by all",
            (long long)all);
    for (int64_t i = 0; i < n * n_local; i++)
        trust[i] = j->trust[i / n * all + which[i % n]];
    j->trust = trust;
    j->n_seen = all - n;
    return lmw_routes_keep(&j->routes, which, n, &j->arena, err);
}

int route_apply_router(struct route_job *j, struct lmw_err *err)
{
    struct lmw_lessons l;
    const struct lmw_cells *c = &j->routes.cells;
    double *trust = LMW_NEW(&j->arena, double, (size_t)(c->n * c->n_local));
    int rc = lmw_lessons_load(&l, j->store, &j->routes, &j->arena, err);
    if (rc < 0)
        return rc;
    if (!trust)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %lld questions", (long long)c->n);
    if (j->model && (rc = route_embed(j, &l, err)) < 0)
        return rc;
    if ((rc = lmw_router_score(j->router, &l, trust, err)) < 0)
        return lmw_router_info(j->router)->embedding.n && !j->model
                   ? lmw_wrap(err, "--model FILE is needed")
                   : rc;
    j->trust = trust;
    if (!j->seen && lmw_router_info(j->router)->held_out >= 0)
        rc = keep_unseen(j, &l, err);
    return rc < 0 ? rc : route_fitted_strategy(j, err);
}

/* ---- fitting one ---- */

static json_t *embedding_json(const struct route_job *j, const struct lmw_lessons *l)
{
    const struct lmw_embedding *e = &l->embedding;
    return json_pack("{s:s, s:s, s:i, s:o, s:o, s:s}", "model", e->model, "hash", e->hash, "n",
                     e->n, "ms", route_number(l->embed_ms), "j", route_number(l->embed_j), "basis",
                     j->embed_basis);
}

static void print_embedding(const struct route_job *j, const struct lmw_lessons *l)
{
    printf("Questions are looked at by the embeddings of '%s' (%d dimensions): %.3f ms",
           l->embedding.model, l->embedding.n, l->embed_ms);
    if (isnan(l->embed_j))
        printf(" each; nothing metered their joules, which are reckoned at %g W.\n", j->fit.watts);
    else
        printf(" and %.6f J each, by %s.\n", l->embed_j, j->embed_basis);
}

static json_t *report_json(const struct lmw_fit_report *r, const struct lmw_router_info *i)
{
    json_t *bins = json_array();
    for (int b = 0; b < LMW_CALIBRATION_BINS; b++)
        json_array_append_new(bins, json_pack("{s:I, s:o, s:o}", "n", (json_int_t)r->bin[b].n,
                                              "trust", route_number(r->bin[b].trust), "right",
                                              route_number(r->bin[b].right)));
    return json_pack("{s:s, s:f, s:f, s:f, s:I, s:I, s:i, s:i, s:I, s:o, s:o, s:o, s:o, s:o}",
                     "kind", i->kind, "threshold", i->threshold, "own_ms", i->own_ms,
                     "own_j_estimate", i->own_j, "n_train", (json_int_t)i->n_train, "n_repeat",
                     (json_int_t)i->n_repeat, "folds", i->n_fold, "held_out", i->held_out, "seed",
                     (json_int_t)i->seed, "brier", route_number(r->brier), "brier_of_base",
                     route_number(r->brier_of_base), "auc", route_number(r->auc), "as_oracle",
                     route_number(r->as_oracle), "calibration", bins);
}

static void print_report(const struct lmw_fit_report *r, const struct lmw_router_info *i,
                         const char *path)
{
    char auc[32];
    route_put(auc, r->auc, 1, 3);
    printf(
        "%s router, %d-fold cross-validation, seed %llu: Brier %.4f (the base rate alone: %.4f), "
        "AUC %s; %.1f %% of questions go where the oracle sends them\n\n",
        i->kind, i->n_fold, (unsigned long long)i->seed, r->brier, r->brier_of_base, auc,
        100 * r->as_oracle);
    printf("  trust       questions  mean trust  were right\n");
    for (int b = 0; b < LMW_CALIBRATION_BINS; b++) {
        char trust[32], right[32];
        route_put(trust, r->bin[b].trust, 100, 1);
        route_put(right, r->bin[b].right, 100, 1);
        printf("  %.1f to %.1f  %9lld  %9s%%  %9s%%\n", b / 10.0, (b + 1) / 10.0,
               (long long)r->bin[b].n, trust, right);
    }
    printf("\nwrote %s: threshold %.2f, learned from %lld questions", path, i->threshold,
           (long long)i->n_train);
    if (i->held_out >= 0)
        printf(", fold %d held out", i->held_out);
    puts(".");
}

static void show_progress(void *arg, int fit, int n_fit)
{
    const struct route_job *j = arg;
    cli_progress("fitting a %s router: %d of %d", j->fit.kind, fit + 1, n_fit);
}

int route_fit(struct route_job *j, struct lmw_err *err)
{
    struct lmw_lessons l;
    struct lmw_fit_report report = {0};
    j->fit.progress = show_progress;
    j->fit.progress_arg = j;
    int rc = lmw_lessons_load(&l, j->store, &j->routes, &j->arena, err);
    if (rc == LMW_OK && j->model)
        rc = route_embed(j, &l, err);
    if (rc == LMW_OK)
        rc = lmw_router_fit(&j->router, &l, &j->fit, &report, &j->arena, err);
    cli_progress_end();
    if (rc == LMW_OK)
        rc = lmw_router_save(j->router, j->out, err);
    j->trust = report.trust;
    j->curve = true;
    if (rc < 0 || (rc = route_fitted_strategy(j, err)) < 0)
        return rc;
    json_t *o = j->json ? json_object() : NULL;
    if (o)
        json_object_set_new(o, "router", report_json(&report, lmw_router_info(j->router)));
    else
        print_report(&report, lmw_router_info(j->router), j->out);
    if (l.vector && o)
        json_object_set_new(o, "embedding", embedding_json(j, &l));
    else if (l.vector)
        print_embedding(j, &l);
    if (!o)
        puts("Each question below is judged by a router that has not seen it.\n");
    rc = route_figures(j, o, err);
    if (rc == LMW_OK && o)
        return -cli_json_print(o);
    json_decref(o);
    return rc;
}
