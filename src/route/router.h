/* Part of the door route.h: routers fitted on records. A router gives, for a question and each
 * local model, its trust: the chance that this model's answer is right. The cheapest local model
 * trusted at least as much as the threshold answers; where none is, the cloud.
 *
 * Kinds, by what they look at:
 *   logistic, knn, mf   the question, before anything is asked: its text, or its embedding
 *   cascade             how sure a local model was, after it has answered
 *
 * A router is one JSON file that needs no network and no key. Reading routers is safe with files
 * from anywhere; a router is never changed, so threads may share one. */
#ifndef LMW_ROUTE_ROUTER_H
#define LMW_ROUTE_ROUTER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct lmw_cells;
struct lmw_curve;
struct lmw_routes;
struct lmw_store;

extern const char *const lmw_router_kinds[]; /* "logistic", "knn", ...; ends with NULL */

/* What a try tells about itself; NaN where it does not. */
enum lmw_signal {
    LMW_LOGPROB,   /* mean log-probability of the answer's tokens (`logprob_mean`) */
    LMW_ENTROPY,   /* mean entropy of the next token (`entropy_mean`), nats */
    LMW_AGREEMENT, /* share of the repeats that gave the commonest answer */
    LMW_SIGNALS
};

/* Whose embeddings questions are looked at by: vectors of one model compare with no other's. */
struct lmw_embedding {
    const char *model, *hash; /* its name, and its file's contents: 16 hex digits */
    int n;                    /* dimensions; 0: the text is looked at */
};

/* ---- using one ---- */

struct lmw_router;

struct lmw_router_info {
    const char *kind;
    bool tries_first;         /* trust is known after a local model has answered */
    int n_local;              /* from cheap to dear */
    const char *const *local; /* run names */
    const char *cloud;
    double threshold;
    double own_ms, own_j;      /* a decision; own_j is an estimate */
    int64_t n_train, n_repeat; /* questions; times that a try is repeated for its agreement */
    struct lmw_embedding embedding;
    int n_fold, held_out; /* folds, and the one it has not seen (-1: it saw all) */
    uint64_t seed;
};

int lmw_router_load(struct lmw_router **out, const char *path, struct lmw_err *err);
int lmw_router_parse(struct lmw_router **out, lmw_str text, struct lmw_err *err);
int lmw_router_save(const struct lmw_router *r, const char *path, struct lmw_err *err);
void lmw_router_close(struct lmw_router *r);
const struct lmw_router_info *lmw_router_info(const struct lmw_router *r);

/* LMW_EARG, saying which model it must be, where these are not the embeddings the router learned
 * from (n 0: none). */
int lmw_router_accepts(const struct lmw_router *r, const struct lmw_embedding *e,
                       struct lmw_err *err);
/* Whom to ask: a local model's number, or n_local for the cloud. vector: the prompt's embedding
 * [info.embedding.n], NULL where the router looks at the text. trust[n_local] (may be NULL) is NaN
 * where it is not known. A router that tries first says 0: ask the cheapest, then
 * lmw_router_trust() whether its answer may stand, then the next. */
int lmw_router_decide(const struct lmw_router *r, lmw_str prompt, const float *vector,
                      double *trust);
/* Trust in local model `local` after its try; compare with the threshold. NaN where the router
 * does not look at signals, or these tell it nothing. */
double lmw_router_trust(const struct lmw_router *r, int local, const double signal[LMW_SIGNALS]);

/* ---- fitting one ---- */

/* What there is to learn from: the cells' questions as text, and what tries told. */
struct lmw_lessons {
    const struct lmw_cells *cells;
    const lmw_str *prompt; /* [query], ptr NULL: not known */
    /* [query] of the text, of the query_id where that is not known: decides the fold */
    const uint64_t *id;
    const double *signal[LMW_SIGNALS];       /* [local][query] */
    int64_t n_prompt, n_signal[LMW_SIGNALS]; /* how many there are */
    int64_t n_repeat;                        /* most repeats of a local run */
    /* Embeddings, where questions are to be looked at by them; lmw_lessons_load() knows none. */
    struct lmw_embedding embedding;
    const float *vector;      /* [query][embedding.n], of length 1; NaN in the first: not known */
    double embed_ms, embed_j; /* what one takes; embed_j NaN: not metered */
};
int lmw_lessons_load(struct lmw_lessons *l, struct lmw_store *s, const struct lmw_routes *routes,
                     struct lmw_arena *arena, struct lmw_err *err);

struct lmw_fit_options {
    const char *kind;
    int n_fold;       /* 2 or more */
    bool all;         /* the router written learns from the held-out fold, too */
    double keep;      /* share of always-cloud's accuracy that the threshold must keep */
    double threshold; /* NaN: as `keep` says */
    double watts;     /* of the processor while it decides: its joules are an estimate by that */
    uint64_t seed;
    void (*progress)(void *arg, int fit, int n_fit); /* before each fit; or NULL */
    void *progress_arg;
};

enum { LMW_CALIBRATION_BINS = 10 };
/* How good it is on questions it has not seen: each question's trust is that of a router fitted
 * on the other folds. */
struct lmw_fit_report {
    double *trust;               /* [local][query], in the arena; NaN: not known */
    double brier, brier_of_base; /* mean squared error of the trust; of each model's base rate */
    double auc;                  /* chance that of two answers the right one has more trust */
    double as_oracle; /* share of questions sent where the oracle would: local, or the cloud */
    struct {
        int64_t n;
        double trust, right;     /* means */
    } bin[LMW_CALIBRATION_BINS]; /* by trust: 0 to 0.1, ... */
};
/* Fits by cross-validation and then for good. LMW_EARG where the records lack what the kind
 * looks at. */
int lmw_router_fit(struct lmw_router **out, const struct lmw_lessons *l,
                   const struct lmw_fit_options *o, struct lmw_fit_report *report,
                   struct lmw_arena *arena, struct lmw_err *err);

/* Trust of a router in every query, [local of cells][query]; NaN: not known. The router's local
 * models are found among the cells' by name; one that is missing is LMW_EARG, and so is one too
 * many where the router tries first. */
int lmw_router_score(const struct lmw_router *r, const struct lmw_lessons *l, double *trust,
                     struct lmw_err *err);
/* Whether a query of this id is in the fold that the router has not seen. */
bool lmw_router_unseen(const struct lmw_router *r, uint64_t id);

#endif
