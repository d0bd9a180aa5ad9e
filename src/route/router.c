/* A router as a file and as decisions. The file is one JSON object: whom it routes among, the
 * threshold, what it has and has not seen, what a decision costs, and the part of its kind. */
#include "route/kinds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* Format 1 dealt its folds by query_id. */
enum { FORMAT = 2, MAX_FILE = 64 << 20, MAX_NAME = 1024 };

static const struct kind *const kinds[] = {&lmw_kind_logistic, &lmw_kind_knn, &lmw_kind_mf,
                                           &lmw_kind_cascade};
enum { N_KIND = sizeof kinds / sizeof *kinds };
const char *const lmw_router_kinds[] = {"logistic", "knn", "mf", "cascade", NULL};

double lmw_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

int lmw_router_open(struct lmw_router **out, const char *kind, struct lmw_err *err)
{
    const struct kind *k = NULL;
    *out = NULL;
    for (int i = 0; kind && i < N_KIND; i++)
        k = strcmp(kinds[i]->name, kind) == 0 ? kinds[i] : k;
    if (!k)
        return lmw_fail(err, LMW_EARG, "no kind of router '%.40s': logistic, knn, mf or cascade",
                        kind ? kind : "");
    struct lmw_router *r = calloc(1, sizeof *r);
    if (!r || lmw_arena_open(&r->arena, (size_t)1 << 30, err) < 0) {
        free(r);
        return lmw_fail(err, LMW_ENOMEM, "no memory for a router");
    }
    r->kind = k;
    r->n_feature = TEXT_BUCKETS;
    r->info = (struct lmw_router_info){
        .kind = k->name, .tries_first = k->tries_first, .held_out = -1, .n_repeat = 1};
    *out = r;
    return LMW_OK;
}

void lmw_router_close(struct lmw_router *r)
{
    if (r)
        lmw_arena_close(&r->arena);
    free(r);
}

const struct lmw_router_info *lmw_router_info(const struct lmw_router *r)
{
    return &r->info;
}

/* ---- decisions ---- */

void lmw_router_look(const struct lmw_router *r, lmw_str prompt, const float *vector,
                     struct feature room[TEXT_BUCKETS], struct question *out)
{
    if (r->centre) {
        out->feature = lmw_embedding_features(r, vector, room, &out->n_feature);
    } else if (r->kind->needs_text && prompt.ptr) {
        out->feature = room;
        out->n_feature = lmw_text_features(prompt, room);
    }
}

int lmw_router_decide(const struct lmw_router *r, lmw_str prompt, const float *vector,
                      double *trust)
{
    struct feature room[TEXT_BUCKETS];
    struct question q = {0};
    int choice = r->info.n_local;
    lmw_router_look(r, prompt, vector, room, &q);
    for (int m = r->info.n_local - 1; m >= 0; m--) {
        double t = r->kind->tries_first ? (double)NAN : r->kind->trust(r, m, &q);
        if (trust)
            trust[m] = t;
        if (r->kind->tries_first || t >= r->info.threshold)
            choice = m;
    }
    return choice;
}

double lmw_router_trust(const struct lmw_router *r, int local, const double signal[LMW_SIGNALS])
{
    struct question q = {0};
    if (!r->kind->tries_first || local < 0 || local >= r->info.n_local)
        return NAN;
    for (int k = 0; k < LMW_SIGNALS; k++)
        q.signal[k] = signal[k];
    return r->kind->trust(r, local, &q);
}

/* ---- the file ---- */

static json_t *to_json(const struct lmw_router *r)
{
    const struct lmw_router_info *i = &r->info;
    json_t *local = json_array();
    for (int m = 0; m < i->n_local; m++)
        json_array_append_new(local, json_string(i->local[m]));
    json_t *o = json_pack("{s:i, s:s, s:o, s:s, s:f, s:f, s:f, s:I, s:I, s:i, s:i, s:I, s:o}",
                          "lmwatt_router", FORMAT, "kind", i->kind, "local", local, "cloud",
                          i->cloud, "threshold", i->threshold, "own_ms", i->own_ms,
                          "own_j_estimate", i->own_j, "n_train", (json_int_t)i->n_train,
                          "n_repeat", (json_int_t)i->n_repeat, "folds", i->n_fold, "held_out",
                          i->held_out, "seed", (json_int_t)i->seed, "part", r->kind->save(r));
    if (r->centre && o)
        json_object_set_new(o, "embedding", lmw_embedding_save(r));
    return o;
}

int lmw_router_save(const struct lmw_router *r, const char *path, struct lmw_err *err)
{
    struct lmw_atomic file;
    json_t *o = to_json(r);
    if (!o)
        return lmw_fail(err, LMW_ENOMEM, "no memory to write a router");
    int rc = lmw_atomic_open(&file, path, err);
    if (rc == LMW_OK) {
        json_dumpf(o, file.f, JSON_REAL_PRECISION(9) | JSON_INDENT(1));
        fputc('\n', file.f);
        rc = lmw_atomic_commit(&file, err);
    }
    json_decref(o);
    return rc;
}

static int read_names(struct lmw_router *r, const json_t *o, struct lmw_err *err)
{
    const json_t *local = json_object_get(o, "local"), *cloud = json_object_get(o, "cloud");
    size_t n = json_array_size(local);
    const char **names = LMW_NEW(&r->arena, const char *, n + 1);
    bool ok = n >= 1 && n <= LMW_LOCAL_MAX && json_is_string(cloud) && names &&
              json_string_length(cloud) <= MAX_NAME;
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *name = json_array_get(local, i);
        ok = json_is_string(name) && json_string_length(name) <= MAX_NAME &&
             (names[i] = lmw_arena_str(&r->arena, lmw_str_from(json_string_value(name))));
    }
    if (ok)
        ok = (r->info.cloud = lmw_arena_str(&r->arena, lmw_str_from(json_string_value(cloud)))) !=
             NULL;
    r->info.local = names;
    r->info.n_local = (int)n;
    return ok ? LMW_OK
              : lmw_fail(err, LMW_EFORMAT, "'local' must name 1 to %d runs, 'cloud' one",
                         LMW_LOCAL_MAX);
}

/* A number of from..to; 0 and a message otherwise. */
static double number(const json_t *o, const char *name, double from, double to, int *rc,
                     struct lmw_err *err)
{
    const json_t *v = json_object_get(o, name);
    double x = json_number_value(v);
    if (json_is_number(v) && x >= from && x <= to)
        return x;
    *rc = lmw_fail(err, LMW_EFORMAT, "'%s' must be a number of %g to %g", name, from, to);
    return 0;
}

static int read_info(struct lmw_router *r, const json_t *o, struct lmw_err *err)
{
    struct lmw_router_info *i = &r->info;
    int rc = read_names(r, o, err);
    i->threshold = number(o, "threshold", 0, 1, &rc, err);
    i->own_ms = number(o, "own_ms", 0, 1e9, &rc, err);
    i->own_j = number(o, "own_j_estimate", 0, 1e9, &rc, err);
    i->n_train = (int64_t)number(o, "n_train", 0, 1e15, &rc, err);
    i->n_repeat = (int64_t)number(o, "n_repeat", 1, 1e6, &rc, err);
    i->n_fold = (int)number(o, "folds", 2, 1000, &rc, err);
    i->held_out = (int)number(o, "held_out", -1, i->n_fold - 1, &rc, err);
    if (!json_is_integer(json_object_get(o, "seed")))
        rc = lmw_fail(err, LMW_EFORMAT, "'seed' must be a whole number");
    i->seed = (uint64_t)json_integer_value(json_object_get(o, "seed"));
    return rc;
}

static int from_json(struct lmw_router **out, const json_t *o, struct lmw_err *err)
{
    if (json_integer_value(json_object_get(o, "lmwatt_router")) != FORMAT)
        return lmw_fail(err, LMW_EFORMAT,
                        "no router of this version ('lmwatt_router' must be %d): `lmwatt route "
                        "fit` writes them",
                        FORMAT);
    int rc = lmw_router_open(out, json_string_value(json_object_get(o, "kind")), err);
    if (rc == LMW_OK)
        rc = read_info(*out, o, err);
    if (rc == LMW_OK && json_object_get(o, "embedding"))
        rc = lmw_embedding_load(*out, json_object_get(o, "embedding"), err);
    return rc < 0 ? rc : (*out)->kind->load(*out, json_object_get(o, "part"), err);
}

int lmw_router_parse(struct lmw_router **out, lmw_str text, struct lmw_err *err)
{
    json_error_t at;
    json_t *o = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &at);
    *out = NULL;
    if (!o)
        return lmw_fail(err, LMW_EFORMAT, "line %d: not JSON: %s", at.line, at.text);
    int rc = from_json(out, o, err);
    json_decref(o);
    if (rc < 0) {
        lmw_router_close(*out);
        *out = NULL;
    }
    return rc;
}

int lmw_router_load(struct lmw_router **out, const char *path, struct lmw_err *err)
{
    struct lmw_buf text = {0};
    *out = NULL;
    int rc = lmw_file_read(path, MAX_FILE, &text, err);
    if (rc == LMW_OK && (rc = lmw_router_parse(out, (lmw_str){text.ptr, text.len}, err)) < 0)
        rc = lmw_wrap(err, "router %s", path);
    lmw_buf_free(&text);
    return rc;
}
