/* Embeddings for routers that look at questions by them: a model reads each question once, timed
 * and metered, and what that takes is part of what the router's decisions take. */
#include "backend/backend.h"
#include "base/file.h"
#include "base/record.h"
#include "cli/route.h"
#include "meter/meter.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct embedder {
    struct lmw_backend *backend;
    struct lmw_meter *meter;
    struct lmw_embedding embedding;
    char hash[20];
    float *vector; /* [query][n] */
    int64_t n_done;
};

static int open_model(struct embedder *e, const struct route_job *j, struct lmw_err *err)
{
    struct lmw_backend_opts opts = {
        .model = j->model, .n_thread = j->day.n_thread, .max_tokens = 1};
    const struct lmw_backend_ops *ops;
    uint64_t hash;
    int64_t bytes;
    int rc = cli_cpu_mask(&opts.cpu_mask, err);
    if (rc == LMW_OK && (rc = lmw_backend_find("embedded", &ops, err)) == LMW_OK)
        rc = lmw_backend_open(&e->backend, ops, &opts, err);
    if (rc < 0 || (rc = lmw_file_hash(j->model, &hash, &bytes, err)) < 0)
        return rc;
    const struct lmw_backend_info *info = lmw_backend_info(e->backend);
    snprintf(e->hash, sizeof e->hash, "%016" PRIx64, hash);
    e->embedding = (struct lmw_embedding){info->name, e->hash, info->n_embd};
    return j->router ? lmw_router_accepts(j->router, &e->embedding, err) : LMW_OK;
}

static int start_meter(struct embedder *e, const char *sources, struct lmw_err *err)
{
    const char *root = getenv("LMW_SYSROOT");
    const struct lmw_meter_opts opts = {.sysroot = root ? root : "", .sources = sources};
    int rc = lmw_meter_open(&e->meter, &opts, err);
    return rc < 0 ? rc : lmw_meter_start(e->meter, err);
}

/* One that cannot be read (too long for the context, say) is not known. */
static void read_questions(struct embedder *e, const struct route_job *j,
                           const struct lmw_lessons *l)
{
    int n = e->embedding.n;
    for (int64_t q = 0; q < l->cells->n; q++) {
        float *v = e->vector + q * n;
        v[0] = NAN;
        bool wanted = j->seen || !j->router || lmw_router_info(j->router)->held_out < 0 ||
                      lmw_router_unseen(j->router, l->id[q]);
        if (!wanted || !l->prompt[q].ptr)
            continue;
        cli_progress("reading question %lld of %lld", (long long)q + 1, (long long)l->cells->n);
        if (lmw_backend_embed(e->backend, l->prompt[q], v, NULL) == LMW_OK)
            e->n_done++;
        else
            v[0] = NAN;
    }
    cli_progress_end();
}

/* What one question took since the span's start. */
static void charge(struct embedder *e, struct lmw_span span, struct lmw_lessons *l)
{
    struct lmw_energy energy = {0};
    double n = (double)e->n_done;
    bool known = lmw_meter_end(e->meter, &span, &energy, NULL) == LMW_OK && energy.valid && n > 0;
    l->embed_ms = n > 0 ? (double)(span.end_ns - span.start_ns) / 1e6 / n : 0;
    l->embed_j = known ? (double)energy.energy_uj / 1e6 / n : (double)NAN;
}

static int embed(struct embedder *e, struct route_job *j, struct lmw_lessons *l,
                 struct lmw_err *err)
{
    int rc = open_model(e, j, err);
    if (rc < 0 || (rc = start_meter(e, j->meter, err)) < 0)
        return rc;
    e->vector = LMW_NEW(&j->arena, float, (size_t)(l->cells->n * e->embedding.n));
    const char *name = lmw_arena_str(&j->arena, lmw_str_from(e->embedding.model));
    const char *hash = lmw_arena_str(&j->arena, lmw_str_from(e->hash));
    if (!e->vector || !name || !hash)
        return lmw_fail(err, LMW_ENOMEM, "no memory for embeddings of %lld questions",
                        (long long)l->cells->n);
    struct lmw_span span = {lmw_meter_mark(e->meter), LMW_NULL, LMW_NULL};
    read_questions(e, j, l);
    charge(e, span, l);
    l->embedding = (struct lmw_embedding){name, hash, e->embedding.n};
    l->vector = e->vector;
    snprintf(j->embed_basis, sizeof j->embed_basis, "%s", lmw_meter_basis(e->meter));
    return LMW_OK;
}

int route_embed(struct route_job *j, struct lmw_lessons *l, struct lmw_err *err)
{
    struct embedder e = {0};
    int rc = embed(&e, j, l, err);
    lmw_meter_close(e.meter);
    if (e.backend)
        lmw_backend_close(e.backend);
    return rc < 0 ? lmw_wrap(err, "--model %s", j->model) : LMW_OK;
}
