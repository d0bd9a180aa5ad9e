/* A loaded model: embedding, a stack of layers, head.
 *
 *     x = embedding[id]
 *     for each layer:  x += token_mixer(norm(x));  x += channel_mixer(norm(x))
 *     logits = head * norm(x)
 *
 * A mixer is a BLOCK: some weights of one layer and the code that applies them, behind the vtable
 * below. Which blocks a GGUF architecture is made of is one row of families.c. A block knows
 * nothing of its neighbours: it reads the normed rows of the pass (pass.h) and writes what is
 * added to x.
 *
 * Everything here lives in the model arena or in the file's mapping and is read-only once loaded.
 * Nothing of the file is trusted: the binder checks each key's range and each tensor's shape and
 * type, and says which one is wrong and what was expected. */
#ifndef LMW_ENGINE_MODEL_H
#define LMW_ENGINE_MODEL_H

#include "base/arena.h"
#include "base/err.h"
#include "engine/engine.h"
#include "engine/gguf.h"
#include "engine/kernels/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds on what a file may ask for: far above any model, low enough that sizes fit 64 bits. */
enum {
    LMW_MAX_LAYER = 4096,
    LMW_MAX_WIDTH = 1 << 20, /* any row width: embedding, heads * head size, hidden */
    LMW_MAX_CTX = 1 << 24,
    LMW_MAX_ROPE = 4, /* different rotary settings in one model */
};

/* A weight matrix in the mapping: n_out rows of n_in, y = W x. */
struct lmw_matrix {
    const uint8_t *data;
    size_t stride; /* bytes of a row */
    int n_in, n_out;
    enum lmw_type type;
    enum lmw_act act; /* the activation format its product takes */
};

/* Rotary embedding: pair i of a head turns by pos * scale * base^(-2i / n_rot) / factors[i]. */
struct lmw_rope {
    int n_rot; /* of the head's dimensions, the first n_rot turn; even */
    double base, scale;
    const float *factors; /* [n_rot / 2], or NULL: all 1 */
};

/* What a session was opened with: sizes of state and scratch follow from it. */
struct lmw_plan {
    int n_ctx, n_batch, n_thread;
    int n_row; /* of activations: n_batch, or a row for every thread where that is more */
    bool kv_f32;
    size_t scratch; /* bytes, as the blocks asked for with all of the above */
};

struct lmw_pass;
struct lmw_binder;
struct lmw_block;

struct lmw_block_ops {
    const char *name;
    size_t size; /* of the block's struct, which begins with struct lmw_block */
    /* Finds and checks its keys and tensors in the binder's layer. */
    int (*bind)(struct lmw_block *b, struct lmw_binder *from, struct lmw_err *err);
    /* Bytes a session keeps for it between tokens; 0 if stateless. Starts zeroed. */
    size_t (*state_size)(const struct lmw_block *b, const struct lmw_plan *plan);
    /* Bytes it wants during forward; shared by all blocks, so nothing survives in there. */
    size_t (*scratch_size)(const struct lmw_block *b, const struct lmw_plan *plan);
    /* p->in -> p->out, both [p->n_tok, n_embd], for tokens at positions p->pos... Called by all
     * threads of the pass at once. p->in is complete at the call; the caller puts a barrier after.
     * The batch may be in several passes (pass.h): before a block looks at what other tokens left
     * in its state, lmw_pass_meet(). p->out may still be read by another thread until the block's
     * own first barrier. */
    void (*forward)(const struct lmw_block *b, void *state, struct lmw_pass *p);
};

struct lmw_block {
    const struct lmw_block_ops *ops;
    unsigned in_acts; /* set by bind: 1 << enum lmw_act for each format it wants p->in in */
};

/* A mixer with its norm in front; the residual goes around both. */
struct lmw_sublayer {
    const float *norm; /* [n_embd], RMS */
    struct lmw_block *block;
};

struct lmw_layer {
    struct lmw_sublayer token, channel;
};

/* A GGUF architecture: the stack it means. */
struct lmw_family {
    const char *arch;
    const struct lmw_block_ops *token, *channel;
    const char *token_norm, *channel_norm; /* tensor names within blk.N. */
};
/* LMW_EUNSUPPORTED lists what there is. */
int lmw_family_find(const struct lmw_family **out, lmw_str arch, struct lmw_err *err);
/* Refuses keys that change the arithmetic in ways no block here computes. */
int lmw_family_check_keys(const struct lmw_family *f, const struct lmw_gguf *g,
                          struct lmw_err *err);

struct lmw_model {
    struct lmw_gguf *gguf;
    struct lmw_arena arena;
    struct lmw_kernels kernels;
    struct lmw_model_info info;
    const struct lmw_family *family;
    int n_vocab, n_embd, n_layer;
    float norm_eps;
    struct lmw_matrix embedding, head;
    const float *head_norm;
    struct lmw_layer *layers; /* [n_layer] */
    struct lmw_rope ropes[LMW_MAX_ROPE];
    int n_rope;
};

/* Takes the gguf, also on failure. info.n_thread is left to the engine. */
int lmw_model_load(struct lmw_model *m, struct lmw_gguf *g, uint32_t cpu_flags,
                   struct lmw_err *err);
void lmw_model_close(struct lmw_model *m); /* a zeroed model is fine */

/* For bind(): reading one layer. Key names are without "ARCH." and tensor names without "blk.N.".
 */
struct lmw_binder {
    struct lmw_model *model;
    int layer;     /* -1: tensors and keys of the whole model */
    bool *is_used; /* per tensor of the file */
};
/* An integer in lo..hi; may be an array with one value per layer. `missing` is taken when the key
 * is not there, unless it is negative: then the key must be. */
int lmw_bind_int(struct lmw_binder *b, const char *short_key, int lo, int hi, int missing,
                 int *out, struct lmw_err *err);
int lmw_bind_real(struct lmw_binder *b, const char *short_key, double lo, double hi,
                  double missing, double *out, struct lmw_err *err);
int lmw_bind_matrix(struct lmw_binder *b, const char *name, int n_in, int n_out,
                    struct lmw_matrix *out, struct lmw_err *err);
/* A vector as f32, in the model arena. */
int lmw_bind_vector(struct lmw_binder *b, const char *name, int n, const float **out,
                    struct lmw_err *err);
bool lmw_bind_has(struct lmw_binder *b, const char *name);
/* The layer's rotary settings for heads of head_size, from the rope.* keys and rope_freqs.weight:
 * an index into model->ropes. */
int lmw_bind_rope(struct lmw_binder *b, int head_size, int *out, struct lmw_err *err);

/* The blocks there are. */
extern const struct lmw_block_ops lmw_attention, lmw_dense;

struct lmw_pool;
struct lmw_tok;
struct lmw_engine {
    struct lmw_model model;
    struct lmw_pool *pool;
    struct lmw_tok *tok; /* NULL: the file has no vocabulary */
    bool kv_f32;
    bool is_profiling; /* from the first lmw_engine_profile() on: it costs two clock reads a
                          product */
    int64_t matmul_ns, total_ns;
};

/* An engine over bytes the caller keeps alive (tests, fuzzing). */
int lmw_engine_parse(struct lmw_engine **out, const void *bytes, size_t len,
                     const struct lmw_engine_opts *opts, struct lmw_err *err);

#endif
