/* What a kind of router is: a row of functions, and the parts of a router that kinds fill. */
#ifndef LMW_ROUTE_KINDS_H
#define LMW_ROUTE_KINDS_H

#include "route/route.h"
#include "route/text.h"

#include <jansson.h>

/* A question as kinds see it. */
struct question {
    const struct feature *feature; /* NULL: no text */
    int n_feature;
    double signal[LMW_SIGNALS]; /* of the model that is asked about */
};

/* What one fit learns from: queries by number, in an order drawn by the seed. */
struct course {
    const struct lmw_lessons *lessons;
    const struct feature *const *feature; /* [query] */
    const int *n_feature;                 /* [query] */
    const int32_t *query;                 /* [n] */
    int64_t n;
    const int *model; /* [n_local] the cells' model of the router's local ones */
    uint64_t seed;
};

struct kind {
    const char *name;
    bool needs_text, tries_first;
    /* Into r->part, in r's arena. */
    int (*fit)(struct lmw_router *r, const struct course *c, struct lmw_err *err);
    /* Trust in a local model, or NaN. */
    double (*trust)(const struct lmw_router *r, int local, const struct question *q);
    json_t *(*save)(const struct lmw_router *r); /* NULL: no memory */
    int (*load)(struct lmw_router *r, const json_t *from, struct lmw_err *err);
};
extern const struct kind lmw_kind_logistic, lmw_kind_knn, lmw_kind_mf, lmw_kind_cascade;

struct lmw_router {
    struct lmw_router_info info;
    const struct kind *kind;
    struct lmw_arena arena;
    int n_feature; /* features are numbered below it */
    float *centre; /* of embeddings, [n_feature]; NULL: the text is looked at */
    void *part;    /* the kind's own */
};

/* An empty router of a kind; the caller closes it. */
int lmw_router_open(struct lmw_router **out, const char *kind, struct lmw_err *err);

/* What the router looks at of a question before it is asked, in room; no features: not known. */
void lmw_router_look(const struct lmw_router *r, lmw_str prompt, const float *vector,
                     struct feature room[TEXT_BUCKETS], struct question *out);

static inline bool lesson_right(const struct lmw_lessons *l, int model, int64_t q)
{
    const struct lmw_cells *c = l->cells;
    return c->right[model * c->n + q];
}
double lmw_sigmoid(double x);

/* An embedding as features; see embedding.c. *n becomes how many; NULL: it is not known. */
const struct feature *lmw_embedding_features(const struct lmw_router *r, const float *vector,
                                             struct feature *out, int *n);
/* The router looks at these from now on. */
int lmw_embedding_open(struct lmw_router *r, const struct lmw_embedding *e, struct lmw_err *err);
/* Its centre is that of these vectors: query[n] of vector[][n_feature]. */
void lmw_embedding_centre(struct lmw_router *r, const float *vector, const int32_t *query,
                          int64_t n);
json_t *lmw_embedding_save(const struct lmw_router *r);
int lmw_embedding_load(struct lmw_router *r, const json_t *from, struct lmw_err *err);

/* Numbers as text: {"scale": s, "int16": base64}, which keeps them to 1/32767 of the largest. */
json_t *lmw_pack_floats(const float *x, size_t n);
/* Exactly n of them; `what` names them in the error. */
int lmw_unpack_floats(const json_t *from, const char *what, float *x, size_t n,
                      struct lmw_err *err);

#endif
