/* Questions as embeddings instead of n-grams. A model's mean hidden states all point much the same
 * way, so that their cosines tell little; what tells questions apart is how they differ from the
 * mean of the questions learned from. So the router keeps that mean, and a feature vector is (v -
 * centre) scaled to length 1: then every kind takes it as it takes a text's n-grams (Mu et
 * al., "All-but-the-Top", arXiv 1702.01417, subtract the mean likewise).
 *
 * The centre is part of a fit: a fold that is held out has no part in it. Refuses embeddings of
 * any model but the one it learned from, by the contents of its file. */
#include "route/kinds.h"

#include <math.h>
#include <string.h>

const struct feature *lmw_embedding_features(const struct lmw_router *r, const float *vector,
                                             struct feature *out, int *n)
{
    double sum = 0;
    *n = 0;
    if (!vector || isnan(vector[0]))
        return NULL;
    for (int i = 0; i < r->n_feature; i++) {
        out[i] = (struct feature){(uint32_t)i, vector[i] - r->centre[i]};
        sum += (double)out[i].value * (double)out[i].value;
    }
    float scale = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    for (int i = 0; i < r->n_feature; i++)
        out[i].value *= scale;
    *n = r->n_feature;
    return out;
}

int lmw_embedding_open(struct lmw_router *r, const struct lmw_embedding *e, struct lmw_err *err)
{
    struct lmw_embedding *own = &r->info.embedding;
    if (!r->kind->needs_text)
        return lmw_fail(err, LMW_EARG, "a %s looks at answers, not at embeddings of questions",
                        r->kind->name);
    if (e->n < 1 || e->n > TEXT_BUCKETS)
        return lmw_fail(err, LMW_EARG, "embeddings of %d dimensions: 1 to %d can be looked at",
                        e->n, TEXT_BUCKETS);
    *own = (struct lmw_embedding){lmw_arena_str(&r->arena, lmw_str_from(e->model)),
                                  lmw_arena_str(&r->arena, lmw_str_from(e->hash)), e->n};
    r->n_feature = e->n;
    r->centre = LMW_NEW(&r->arena, float, (size_t)e->n);
    return own->model && own->hash && r->centre
               ? LMW_OK
               : lmw_fail(err, LMW_ENOMEM, "no memory for embeddings");
}

void lmw_embedding_centre(struct lmw_router *r, const float *vector, const int32_t *query,
                          int64_t n)
{
    for (int i = 0; i < r->n_feature; i++) {
        double sum = 0;
        for (int64_t k = 0; k < n; k++)
            sum += (double)vector[(int64_t)query[k] * r->n_feature + i];
        r->centre[i] = (float)(sum / (double)n);
    }
}

int lmw_router_accepts(const struct lmw_router *r, const struct lmw_embedding *e,
                       struct lmw_err *err)
{
    const struct lmw_embedding *own = &r->info.embedding;
    if (own->n == 0 && e->n == 0)
        return LMW_OK;
    if (own->n == 0)
        return lmw_fail(err, LMW_EARG,
                        "the router looks at the questions' text, not at embeddings");
    if (e->n == 0)
        return lmw_fail(
            err, LMW_EARG,
            "the router looks at embeddings of the model '%s' (contents %s), which are "
            "not there",
            own->model, own->hash);
    if (own->n != e->n || strcmp(own->hash, e->hash) != 0)
        return lmw_fail(
            err, LMW_EARG,
            "the router learned from embeddings of the model '%s' (contents %s), these "
            "are of '%s' (contents %s): no other model's can be looked at",
            own->model, own->hash, e->model, e->hash);
    return LMW_OK;
}

/* ---- in the file ---- */

/* Plain numbers: differences from the centre are small, and 16 bits would be felt. */
json_t *lmw_embedding_save(const struct lmw_router *r)
{
    const struct lmw_embedding *e = &r->info.embedding;
    json_t *centre = json_array();
    for (int i = 0; i < e->n; i++)
        json_array_append_new(centre, json_real((double)r->centre[i]));
    return json_pack("{s:s, s:s, s:o}", "model", e->model, "hash", e->hash, "centre", centre);
}

int lmw_embedding_load(struct lmw_router *r, const json_t *from, struct lmw_err *err)
{
    const json_t *centre = json_object_get(from, "centre");
    const struct lmw_embedding e = {json_string_value(json_object_get(from, "model")),
                                    json_string_value(json_object_get(from, "hash")),
                                    (int)json_array_size(centre)};
    int rc = e.model && e.hash ? lmw_embedding_open(r, &e, err) : LMW_EFORMAT;
    for (int i = 0; rc == LMW_OK && i < e.n; i++) {
        const json_t *x = json_array_get(centre, (size_t)i);
        r->centre[i] = (float)json_number_value(x);
        if (!json_is_number(x) || !isfinite(r->centre[i]))
            rc = LMW_EFORMAT;
    }
    return rc == LMW_EFORMAT ? lmw_fail(err, LMW_EFORMAT,
                                        "'embedding' must have a model, its hash, and "
                                        "the centre, an array of numbers")
                             : rc;
}
