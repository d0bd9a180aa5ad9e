/* DOOR. The engine: a model is loaded once, a session is one timeline of tokens.
 *
 *     lmw_engine_open(&engine, "m.gguf", &opts, &err);
 *     lmw_session_open(&s, engine, 512, &err);
 *     n = lmw_engine_tokenize(engine, text, true, ids, cap);
 *     lmw_session_eval(s, ids, n, LMW_LOGITS_LAST, &err);
 *     id = lmw_sample(&sampler, lmw_session_logits(s, 0), n_vocab);
 *
 * Threads: one engine, one thread at a time (it owns a pool that spreads each call over its
 * cores). Weights stay in the file's mapping; the engine owns the model arena, a session its own.
 */
#ifndef LMW_ENGINE_ENGINE_H
#define LMW_ENGINE_ENGINE_H

#include "base/err.h"
#include "base/rng.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lmw_engine;
struct lmw_session;

struct lmw_engine_opts {
    int n_thread;      /* <= 0: one per processor */
    uint32_t cpu_mask; /* from lmw_cpu_mask(); 0 is the ref level alone */
    bool kv_f32;       /* KV cache in f32 instead of f16: twice the memory, no rounding */
};

struct lmw_model_info {
    char arch[32], name[64],
        quantization[16]; /* "llama", ..., "Q4_K_M" (from general.file_type) */
    const char *level;    /* kernel level in use */
    int n_thread, n_vocab, n_ctx_train, n_embd, n_layer;
    int64_t n_param, n_param_active;
    size_t file_bytes, weight_bytes; /* weight_bytes: read once per decoded token */
};

int lmw_engine_open(struct lmw_engine **out, const char *path, const struct lmw_engine_opts *opts,
                    struct lmw_err *err);
void lmw_engine_close(struct lmw_engine *e);
const struct lmw_model_info *lmw_engine_info(const struct lmw_engine *e);

/* Ids of a text; see lmw_tok_encode. Texts of control tokens are recognised; add_bos does not
 * double a BOS that the text begins with. */
size_t lmw_engine_tokenize(const struct lmw_engine *e, lmw_str text, bool add_bos, int32_t *out,
                           size_t cap);
/* The bytes of a token; points into the engine. */
lmw_str lmw_engine_piece(const struct lmw_engine *e, int32_t id);
bool lmw_engine_is_end(const struct lmw_engine *e, int32_t id);
/* One user message through the model's chat template (see chat.h for what templates can be); a
 * model without a template gives the text unchanged. Appends to out. */
int lmw_engine_prompt(const struct lmw_engine *e, lmw_str message, struct lmw_buf *out,
                      struct lmw_err *err);

/* KV cache and logits for n_ctx tokens, all allocated here; n_ctx <= 0: the model's own. */
int lmw_session_open(struct lmw_session **out, struct lmw_engine *e, int n_ctx,
                     struct lmw_err *err);
void lmw_session_close(struct lmw_session *s);
enum lmw_logits { LMW_LOGITS_NONE, LMW_LOGITS_LAST, LMW_LOGITS_ALL };
/* Appends n tokens to the timeline (in batches inside) and computes logits as asked. */
int lmw_session_eval(struct lmw_session *s, const int32_t *ids, int n, enum lmw_logits want,
                     struct lmw_err *err);
/* Row i of the last eval's logits, [n_vocab]: row 0 with LAST, row per token with ALL (where ALL
 * is at most n_ctx rows). */
const float *lmw_session_logits(const struct lmw_session *s, int i);
/* What the model makes of a text: the mean over its tokens of the last hidden states, after the
 * final norm, scaled to length 1; out [n_embd]. The session is truncated to nothing first, and
 * holds the tokens afterwards; there are no logits. */
int lmw_session_embed(struct lmw_session *s, const int32_t *ids, int n, float *out,
                      struct lmw_err *err);
int lmw_session_n_past(const struct lmw_session *s);
void lmw_session_truncate(struct lmw_session *s, int n_past); /* forget what follows */

/* temperature <= 0: greedy (ties: the lower id). Order: top_k, top_p, min_p, temperature; a value
 * that switches a filter off: top_k <= 0, top_p >= 1, min_p <= 0. */
struct lmw_sampler {
    float temperature, top_p, min_p;
    int top_k;
    struct lmw_rng rng;
};
int32_t lmw_sample(struct lmw_sampler *sp, const float *logits, int n_vocab);

/* One answer: prefill, then decode until an end token, n_max tokens, or on_token says stop. */
struct lmw_answer_opts {
    int n_max;
    struct lmw_sampler sampler;
    /* Called once per answer token, after it is chosen: t_ns is when (the first one is the TTFT).
     * Return nonzero to stop. Nothing else happens between two tokens, so it should be brief. */
    int (*on_token)(void *arg, int32_t id, lmw_str piece, int64_t t_ns);
    void *arg;
};
struct lmw_answer {
    int n_prompt, n_answer; /* tokens; the end token is not counted */
    int64_t t_start_ns, t_first_ns, t_end_ns;
    int64_t *token_ns; /* caller's array of n_max times, or NULL */
    bool hit_limit;    /* stopped by n_max or n_ctx, not by the model */
    /* Means over the answer's tokens, of the model's own softmax (temperature 1, before any
     * filter), in nats: log p of the token chosen, and the entropy it was chosen from. NaN without
     * a token. */
    double logprob_mean, entropy_mean;
};
/* The session is truncated to nothing first. The answer's bytes are appended to text. */
int lmw_session_answer(struct lmw_session *s, const int32_t *prompt, int n_prompt,
                       const struct lmw_answer_opts *opts, struct lmw_buf *text,
                       struct lmw_answer *out, struct lmw_err *err);

/* exp(mean negative log-likelihood) of ids[1..n-1], in windows of n_ctx (each window starts with a
 * fresh context and its first token is not scored). nll may be NULL; else [n] per-token values,
 * NaN where not scored. */
int lmw_perplexity(struct lmw_session *s, const int32_t *ids, int n, double *ppl, float *nll,
                   struct lmw_err *err);
/* The same of ids[n_given..n-1] alone, all in one context: an answer's, given its prompt. */
int lmw_perplexity_given(struct lmw_session *s, const int32_t *ids, int n_given, int n,
                         double *ppl, struct lmw_err *err);

/* An eval's time inside the matrix kernels (products with weights and with the KV cache) since the
 * last call, as thread 0 sees it: for bench. */
void lmw_engine_profile(struct lmw_engine *e, int64_t *matmul_ns, int64_t *total_ns);

/* IN.gguf -> OUT.gguf as "F32" "F16" "BF16" "Q8_0" "Q4_K" "Q5_K" "Q6_K" (that type throughout) or
 * the mixes "Q4_K_M" "Q5_K_M" (per-tensor types as llama.cpp chooses them). progress may be NULL;
 * nonzero from it cancels. */
typedef int lmw_quantize_progress(void *arg, int64_t i_tensor, int64_t n_tensor, lmw_str name);
int lmw_quantize_file(const char *in, const char *out, const char *type,
                      lmw_quantize_progress *progress, void *arg, struct lmw_err *err);

#endif
