/* The engine: a loaded model, its tokenizer and chat template, and the thread pool. Sessions are
 * opened over it (session.c); everything here but the profile counters is read-only after open. */
#include "engine/engine.h"

#include "base/cpu.h"
#include "base/pool.h"
#include "engine/chat.h"
#include "engine/model.h"
#include "engine/tok.h"

#include <stdlib.h>

/* Model files for tests may come without a vocabulary; they are spoken to in ids. */
static int load_tokenizer(struct lmw_engine *e, struct lmw_err *err)
{
    lmw_str kind;
    const struct lmw_gguf *g = e->model.gguf;
    if (!lmw_gguf_find(g, "tokenizer.ggml.model") ||
        (lmw_gguf_str(g, "tokenizer.ggml.model", &kind, NULL) == LMW_OK &&
         lmw_str_is(kind, "no_vocab")))
        return LMW_OK;
    int rc = lmw_tok_load(&e->tok, g, err);
    if (rc == LMW_OK && lmw_tok_n_vocab(e->tok) != e->model.n_vocab)
        rc =
            lmw_fail(err, LMW_EFORMAT,
                     "tokenizer.ggml.tokens has %d tokens, but token_embd.weight has %d rows: one "
                     "of them is of another model",
                     lmw_tok_n_vocab(e->tok), e->model.n_vocab);
    return rc;
}

static int engine_open(struct lmw_engine **out, struct lmw_gguf *g,
                       const struct lmw_engine_opts *opts, struct lmw_err *err)
{
    struct lmw_engine *e = calloc(1, sizeof *e);
    if (!e) {
        lmw_gguf_close(g);
        return lmw_fail(err, LMW_ENOMEM, "no memory for an engine");
    }
    int rc = lmw_model_load(&e->model, g, lmw_cpu_flags() & opts->cpu_mask, err);
    if (rc < 0 || (rc = load_tokenizer(e, err)) < 0 ||
        (rc = lmw_pool_open(&e->pool, opts->n_thread, err)) < 0) {
        lmw_engine_close(e);
        return rc;
    }
    e->kv_f32 = opts->kv_f32;
    e->model.info.n_thread = lmw_pool_size(e->pool);
    *out = e;
    return LMW_OK;
}

int lmw_engine_open(struct lmw_engine **out, const char *path, const struct lmw_engine_opts *opts,
                    struct lmw_err *err)
{
    struct lmw_gguf *g;
    int rc = lmw_gguf_open(&g, path, err);
    if (rc == LMW_OK)
        rc = engine_open(out, g, opts, err);
    return rc < 0 ? lmw_wrap(err, "loading %s", path) : rc;
}

int lmw_engine_parse(struct lmw_engine **out, const void *bytes, size_t len,
                     const struct lmw_engine_opts *opts, struct lmw_err *err)
{
    struct lmw_gguf *g;
    int rc = lmw_gguf_parse(&g, bytes, len, err);
    return rc < 0 ? rc : engine_open(out, g, opts, err);
}

void lmw_engine_close(struct lmw_engine *e)
{
    if (!e)
        return;
    lmw_pool_close(e->pool);
    lmw_tok_free(e->tok);
    lmw_model_close(&e->model);
    free(e);
}

const struct lmw_model_info *lmw_engine_info(const struct lmw_engine *e)
{
    return &e->model.info;
}

static lmw_str bos_text(const struct lmw_engine *e)
{
    int32_t bos = e->tok ? lmw_tok_bos(e->tok) : -1;
    return bos >= 0 ? lmw_tok_text(e->tok, bos) : (lmw_str){"", 0};
}

/* A template may have written BOS already; it is not wanted twice. */
size_t lmw_engine_tokenize(const struct lmw_engine *e, lmw_str text, bool add_bos, int32_t *out,
                           size_t cap)
{
    lmw_str bos = bos_text(e);
    if (bos.len && text.len >= bos.len && memcmp(text.ptr, bos.ptr, bos.len) == 0)
        add_bos = false;
    return e->tok ? lmw_tok_encode(e->tok, text, add_bos, true, out, cap) : 0;
}

lmw_str lmw_engine_piece(const struct lmw_engine *e, int32_t id)
{
    return e->tok ? lmw_tok_piece(e->tok, id) : (lmw_str){"", 0};
}

bool lmw_engine_is_end(const struct lmw_engine *e, int32_t id)
{
    return e->tok && lmw_tok_is_end(e->tok, id);
}

void lmw_engine_profile(struct lmw_engine *e, int64_t *matmul_ns, int64_t *total_ns)
{
    *matmul_ns = e->matmul_ns;
    *total_ns = e->total_ns;
    e->matmul_ns = e->total_ns = 0;
    e->is_profiling = true;
}

int lmw_engine_prompt(const struct lmw_engine *e, lmw_str message, struct lmw_buf *out,
                      struct lmw_err *err)
{
    lmw_str tmpl = {"", 0};
    const struct lmw_kv *kv = lmw_gguf_find(e->model.gguf, "tokenizer.chat_template");
    int rc;
    if (kv && (rc = lmw_gguf_str(e->model.gguf, "tokenizer.chat_template", &tmpl, err)) < 0)
        return rc;
    return lmw_chat_render(tmpl, bos_text(e), message, out, err);
}
