/* Vocabularies: from GGUF keys to GGUF keys.
 *
 * Two kinds, named as GGUF names them (keys: ggml's docs/gguf.md, "tokenizer"):
 *   gpt2   a token's text is its bytes in GPT-2's printable spelling; merges are ranked by
 *          their place in tokenizer.ggml.merges.
 *   llama  a token's text is UTF-8 with U+2581 for a space; scores rank merges; <0x0A> are bytes.
 * Everything else (bert, t5, rwkv, ...) is refused. So are vocabularies that contradict
 * themselves: array lengths that differ, ids past the end.
 *
 * A tokenizer is built once and never changes, so any number of threads may use it. It owns all
 * its memory: nothing points into the file it came from. */
#include "engine/tok_impl.h"

#include <math.h>
#include <stdlib.h>

/* ---- Building. */

size_t lmw_tok_room(size_t n_vocab, size_t n_merge, size_t n_text_byte)
{
    return (1 << 20) + 160 * n_vocab + 160 * n_merge + 4 * n_text_byte;
}

struct lmw_tok *lmw_tok_new(size_t n_byte, struct lmw_err *err)
{
    struct lmw_arena a;
    if (lmw_arena_open(&a, n_byte, err) < 0)
        return NULL;
    struct lmw_tok *t = LMW_NEW(&a, struct lmw_tok, 1);
    t->arena = a;
    t->bos = t->eos = t->eot = t->eom = t->unk = -1;
    return t;
}

void lmw_tok_free(struct lmw_tok *t)
{
    if (!t)
        return;
    lmw_split_close(t->split);
    struct lmw_arena a = t->arena; /* it holds t itself */
    lmw_arena_close(&a);
}

static bool copy_strs(struct lmw_arena *a, lmw_str *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *p = lmw_arena_str(a, s[i]);
        if (!p)
            return false;
        s[i].ptr = p;
    }
    return true;
}

int lmw_tok_index(struct lmw_tok *t, struct lmw_err *err)
{
    int rc;
    if (!copy_strs(&t->arena, t->text, (size_t)t->n_vocab) ||
        !copy_strs(&t->arena, t->merge, t->n_merge))
        return lmw_fail(err, LMW_ENOMEM, "no memory for the texts of %d tokens", t->n_vocab);
    if ((rc = lmw_tok_make_tables(t, err)) < 0)
        return rc;
    if (t->kind == LMW_TOK_BPE)
        lmw_tok_find_direct(t);
    return LMW_OK;
}

/* ---- Reading. */

static int get_array(const struct lmw_gguf *g, const char *key, enum lmw_kv_type elem, uint64_t n,
                     const struct lmw_kv **out, struct lmw_err *err)
{
    const struct lmw_kv *kv = lmw_gguf_find(g, key);
    *out = kv;
    if (!kv)
        return LMW_OK;
    bool number = elem != LMW_KV_STR && kv->elem != LMW_KV_STR;
    if (kv->type != LMW_KV_ARR || (kv->elem != elem && !number))
        return lmw_fail(err, LMW_EFORMAT, "'%s' is not the array it should be", key);
    if (n && kv->n != n)
        return lmw_fail(err, LMW_EFORMAT, "'%s' has %llu elements, tokenizer.ggml.tokens has %llu",
                        key, (unsigned long long)kv->n, (unsigned long long)n);
    return LMW_OK;
}

static int get_id(const struct lmw_gguf *g, const char *key, int32_t n_vocab, int32_t *id,
                  struct lmw_err *err)
{
    int64_t v;
    if (!lmw_gguf_find(g, key))
        return LMW_OK;
    int rc = lmw_gguf_int(g, key, &v, err);
    if (rc < 0)
        return rc;
    /* Converters write all ones for "none". */
    if (v == -1 || v == UINT32_MAX)
        return LMW_OK;
    if (v < 0 || v >= n_vocab)
        return lmw_fail(err, LMW_EFORMAT, "'%s' is %lld, but there are only %d tokens", key,
                        (long long)v, n_vocab);
    *id = (int32_t)v;
    return LMW_OK;
}

static int get_bool(const struct lmw_gguf *g, const char *key, bool *v, struct lmw_err *err)
{
    return lmw_gguf_find(g, key) ? lmw_gguf_bool(g, key, v, err) : LMW_OK;
}

struct arrays {
    const struct lmw_kv *tokens, *types, *scores, *merges;
};

static int find_arrays(const struct lmw_gguf *g, struct arrays *a, struct lmw_err *err)
{
    int rc;
    if ((rc = get_array(g, "tokenizer.ggml.tokens", LMW_KV_STR, 0, &a->tokens, err)) < 0)
        return rc;
    if (!a->tokens || a->tokens->n == 0 || a->tokens->n > INT32_MAX)
        return lmw_fail(err, LMW_EFORMAT, "no tokenizer: 'tokenizer.ggml.tokens' is %s",
                        !a->tokens     ? "missing"
                        : a->tokens->n ? "too long"
                                       : "empty");
    if ((rc = get_array(g, "tokenizer.ggml.token_type", LMW_KV_I32, a->tokens->n, &a->types,
                        err)) < 0)
        return rc;
    if ((rc = get_array(g, "tokenizer.ggml.scores", LMW_KV_F32, a->tokens->n, &a->scores, err)) <
        0)
        return rc;
    return get_array(g, "tokenizer.ggml.merges", LMW_KV_STR, 0, &a->merges, err);
}

static bool read_strs(struct lmw_arena *arena, const struct lmw_kv *kv, lmw_str **out)
{
    const uint8_t *cursor = kv->data;
    *out = LMW_NEW(arena, lmw_str, kv->n);
    for (uint64_t i = 0; *out && i < kv->n; i++)
        (*out)[i] = lmw_kv_next_str(&cursor);
    return *out != NULL;
}

static int read_types(struct lmw_tok *t, const struct lmw_kv *kv, struct lmw_err *err)
{
    t->type = LMW_NEW(&t->arena, uint8_t, (size_t)t->n_vocab);
    if (!t->type)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d tokens", t->n_vocab);
    for (int32_t i = 0; i < t->n_vocab; i++) {
        int64_t v = kv ? lmw_kv_int_at(kv, (uint64_t)i) : LMW_TOK_NORMAL;
        if (v < 0 || v > LMW_TOK_BYTE)
            return lmw_fail(err, LMW_EFORMAT, "'tokenizer.ggml.token_type' of token %d is %lld", i,
                            (long long)v);
        t->type[i] = (uint8_t)(v ? v : LMW_TOK_NORMAL);
    }
    return LMW_OK;
}

static int read_scores(struct lmw_tok *t, const struct lmw_kv *kv, struct lmw_err *err)
{
    t->score = LMW_NEW(&t->arena, float, (size_t)t->n_vocab);
    if (!t->score)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d tokens", t->n_vocab);
    for (int32_t i = 0; i < t->n_vocab; i++) {
        t->score[i] = (float)lmw_kv_real_at(kv, (uint64_t)i);
        if (isnan(t->score[i]))
            return lmw_fail(err, LMW_EFORMAT,
                            "'tokenizer.ggml.scores' of token %d is not a number", i);
    }
    return LMW_OK;
}

static int read_arrays(struct lmw_tok *t, const struct arrays *a, struct lmw_err *err)
{
    int rc;
    bool bpe = t->kind == LMW_TOK_BPE;
    if (bpe ? !a->merges : !a->scores)
        return lmw_fail(err, LMW_EFORMAT, "'tokenizer.ggml.%s' is missing",
                        bpe ? "merges" : "scores");
    if (!read_strs(&t->arena, a->tokens, &t->text))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d tokens", t->n_vocab);
    if ((rc = read_types(t, a->types, err)) < 0)
        return rc;
    if (!bpe)
        return read_scores(t, a->scores, err);
    t->n_merge = a->merges->n;
    if (!read_strs(&t->arena, a->merges, &t->merge))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu merges", t->n_merge);
    return LMW_OK;
}

static int read_ids(struct lmw_tok *t, const struct lmw_gguf *g, struct lmw_err *err)
{
    const struct {
        const char *key;
        int32_t *id;
    } ids[] = {{"tokenizer.ggml.bos_token_id", &t->bos},
               {"tokenizer.ggml.eos_token_id", &t->eos},
               {"tokenizer.ggml.eot_token_id", &t->eot},
               {"tokenizer.ggml.eom_token_id", &t->eom},
               {"tokenizer.ggml.unknown_token_id", &t->unk}};
    int rc = LMW_OK;
    for (size_t i = 0; i < sizeof ids / sizeof *ids && rc == LMW_OK; i++)
        rc = get_id(g, ids[i].key, t->n_vocab, ids[i].id, err);
    return rc;
}

static int read_flags(struct lmw_tok *t, const struct lmw_gguf *g, struct lmw_err *err)
{
    t->add_bos = t->kind == LMW_TOK_SPM || lmw_split_adds_bos(t->split);
    t->add_space_prefix = t->kind == LMW_TOK_SPM;
    int rc = get_bool(g, "tokenizer.ggml.add_bos_token", &t->add_bos, err);
    if (rc < 0)
        return rc;
    return get_bool(g, "tokenizer.ggml.add_space_prefix", &t->add_space_prefix, err);
}

static int read_kind(const struct lmw_gguf *g, enum lmw_tok_kind *kind, lmw_str *pre,
                     struct lmw_err *err)
{
    lmw_str model;
    int rc = lmw_gguf_str(g, "tokenizer.ggml.model", &model, err);
    if (rc < 0)
        return rc;
    if (lmw_str_is(model, "gpt2"))
        *kind = LMW_TOK_BPE;
    else if (lmw_str_is(model, "llama"))
        *kind = LMW_TOK_SPM;
    else
        return lmw_fail(err, LMW_EUNSUPPORTED,
                        "tokenizer model '%.*s' is not one this build knows (gpt2, llama)",
                        model.len > 60 ? 60 : LMW_FMT(model));
    return lmw_gguf_find(g, "tokenizer.ggml.pre") ? lmw_gguf_str(g, "tokenizer.ggml.pre", pre, err)
                                                  : LMW_OK;
}

static int load(struct lmw_tok *t, const struct lmw_gguf *g, const struct arrays *a,
                struct lmw_err *err)
{
    int rc;
    lmw_str pre = LMW_STR("default"); /* what files from before the key meant */
    if ((rc = read_kind(g, &t->kind, &pre, err)) < 0)
        return rc;
    if (pre.len >= sizeof t->pre)
        return lmw_fail(err, LMW_EUNSUPPORTED, "'tokenizer.ggml.pre' has %zu bytes", pre.len);
    memcpy(t->pre, pre.ptr, pre.len);
    t->n_vocab = (int32_t)a->tokens->n;
    if ((rc = read_arrays(t, a, err)) < 0 || (rc = read_ids(t, g, err)) < 0 ||
        (rc = lmw_tok_index(t, err)) < 0)
        return rc;
    return read_flags(t, g, err);
}

int lmw_tok_load(struct lmw_tok **out, const struct lmw_gguf *g, struct lmw_err *err)
{
    struct arrays a = {0};
    int rc = find_arrays(g, &a, err);
    *out = NULL;
    if (rc < 0)
        return rc;
    size_t n_merge = a.merges ? a.merges->n : 0;
    size_t n_byte = a.tokens->size + (a.merges ? a.merges->size : 0);
    struct lmw_tok *t = lmw_tok_new(lmw_tok_room(a.tokens->n, n_merge, n_byte), err);
    if (!t)
        return LMW_ENOMEM;
    if ((rc = load(t, g, &a, err)) < 0) {
        lmw_tok_free(t);
        return rc;
    }
    *out = t;
    return LMW_OK;
}

/* ---- Writing. */

static void put_id(struct lmw_gguf_writer *w, const char *key, int32_t id)
{
    if (id >= 0)
        lmw_gguf_put_u32(w, key, (uint32_t)id);
}

int lmw_tok_store(const struct lmw_tok *t, struct lmw_gguf_writer *w, lmw_str chat_template,
                  struct lmw_err *err)
{
    bool bpe = t->kind == LMW_TOK_BPE;
    int32_t *type = malloc((size_t)t->n_vocab * sizeof *type);
    if (!type)
        return lmw_fail(err, LMW_ENOMEM, "no memory to store %d tokens", t->n_vocab);
    for (int32_t i = 0; i < t->n_vocab; i++)
        type[i] = t->type[i];
    lmw_gguf_put_str(w, "tokenizer.ggml.model", bpe ? LMW_STR("gpt2") : LMW_STR("llama"));
    lmw_gguf_put_str(w, "tokenizer.ggml.pre", lmw_str_from(t->pre));
    lmw_gguf_put_strs(w, "tokenizer.ggml.tokens", t->text, (size_t)t->n_vocab);
    lmw_gguf_put_i32s(w, "tokenizer.ggml.token_type", type, (size_t)t->n_vocab);
    free(type);
    if (bpe)
        lmw_gguf_put_strs(w, "tokenizer.ggml.merges", t->merge, t->n_merge);
    else
        lmw_gguf_put_f32s(w, "tokenizer.ggml.scores", t->score, (size_t)t->n_vocab);
    put_id(w, "tokenizer.ggml.bos_token_id", t->bos);
    put_id(w, "tokenizer.ggml.eos_token_id", t->eos);
    put_id(w, "tokenizer.ggml.eot_token_id", t->eot);
    put_id(w, "tokenizer.ggml.eom_token_id", t->eom);
    put_id(w, "tokenizer.ggml.unknown_token_id", t->unk);
    lmw_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", t->add_bos);
    lmw_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", t->add_space_prefix);
    if (chat_template.len)
        lmw_gguf_put_str(w, "tokenizer.chat_template", chat_template);
    return LMW_OK;
}

/* ---- Asking. */

int lmw_tok_n_vocab(const struct lmw_tok *t)
{
    return t->n_vocab;
}

int32_t lmw_tok_bos(const struct lmw_tok *t)
{
    return t->bos;
}

int32_t lmw_tok_eos(const struct lmw_tok *t)
{
    return t->eos;
}

lmw_str lmw_tok_piece(const struct lmw_tok *t, int32_t id)
{
    return id >= 0 && id < t->n_vocab ? t->piece[id] : (lmw_str){"", 0};
}

lmw_str lmw_tok_text(const struct lmw_tok *t, int32_t id)
{
    return id >= 0 && id < t->n_vocab ? t->text[id] : (lmw_str){"", 0};
}
