/* Vocabularies: from GGUF keys to GGUF keys, and the tables encoding works on.
 *
 * Two kinds, named as GGUF names them (keys: ggml's docs/gguf.md, "tokenizer"):
 *   gpt2   a token's text is its bytes in GPT-2's printable spelling; merges are ranked by
 *          their place in tokenizer.ggml.merges.
 *   llama  a token's text is UTF-8 with U+2581 for a space; scores rank merges; <0x0A> are bytes.
 * Everything else (bert, t5, rwkv, ...) is refused. So are vocabularies that contradict
 * themselves: array lengths that differ, ids past the end, merges whose parts or result are not
 * tokens.
 *
 * A tokenizer is built once and never changes, so any number of threads may use it. It owns all
 * its memory: nothing points into the file it came from. */
#include "engine/tok_impl.h"

#include <math.h>
#include <stdlib.h>

/* ---- GPT-2's spelling of bytes: printable Latin-1 as itself, the other 68 from U+0100 on. */

static bool prints(int b)
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

/* The n-th byte that does not print: 0..32, 127..160, 173. */
static int hidden_byte(int n)
{
    return n <= 32 ? n : n <= 66 ? n - 33 + 127 : 173;
}

static int hidden_index(int b)
{
    return b <= 32 ? b : b <= 160 ? b - 127 + 33 : 67;
}

size_t lmw_tok_spell(lmw_str bytes, char *dst)
{
    char *p = dst;
    for (size_t i = 0; i < bytes.len; i++) {
        int b = (uint8_t)bytes.ptr[i], c = prints(b) ? b : 256 + hidden_index(b);
        if (c < 128) {
            *p++ = (char)c;
        } else {
            *p++ = (char)(0xc0 | c >> 6);
            *p++ = (char)(0x80 | (c & 63));
        }
    }
    return (size_t)(p - dst);
}

bool lmw_tok_unspell(lmw_str text, char *dst, size_t *len)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        int c = (uint8_t)text.ptr[i];
        if (c >= 0xc2 && c <= 0xc5 && i + 1 < text.len)
            c = (c & 31) << 6 | ((uint8_t)text.ptr[++i] & 63);
        else if (c >= 128)
            return false;
        if (c < 256 ? !prints(c) : c >= 256 + 68)
            return false;
        dst[n++] = (char)(c < 256 ? c : hidden_byte(c - 256));
    }
    *len = n;
    return true;
}

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

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "<0x0A>" -> 10; anything else -> -1. */
static int byte_text(lmw_str s)
{
    if (s.len != 6 || !lmw_str_starts(s, "<0x") || s.ptr[5] != '>')
        return -1;
    int hi = hex(s.ptr[3]), lo = hex(s.ptr[4]);
    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

/* U+2581 -> space, in place. */
static size_t unmark_spaces(char *p, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n;) {
        if (n - i >= 3 && !memcmp(p + i, "\xe2\x96\x81", 3)) {
            p[k++] = ' ';
            i += 3;
        } else {
            p[k++] = p[i++];
        }
    }
    return k;
}

/* The bytes a token stands for; *mergeable when merging may end in it. */
static int make_piece(struct lmw_tok *t, int32_t id, bool *mergeable)
{
    lmw_str text = t->text[id];
    int type = t->type[id];
    *mergeable = false;
    if (type == LMW_TOK_CONTROL || type == LMW_TOK_UNKNOWN)
        return LMW_OK;
    char *p = lmw_arena_str(&t->arena, text);
    if (!p)
        return LMW_ENOMEM;
    size_t n = text.len;
    if (t->kind == LMW_TOK_SPM && type == LMW_TOK_BYTE) {
        int b = byte_text(text);
        if (b < 0)
            return LMW_EFORMAT;
        p[0] = (char)b;
        n = 1;
        t->byte_id[b] = id;
    } else if (t->kind == LMW_TOK_SPM) {
        n = unmark_spaces(p, n);
        *mergeable = n > 0;
    } else if (type != LMW_TOK_USER && lmw_tok_unspell(text, p, &n)) {
        *mergeable = n > 0 && type != LMW_TOK_UNUSED;
    }
    t->piece[id] = (lmw_str){p, n};
    return LMW_OK;
}

static size_t table_size(size_t n)
{
    size_t size = 16;
    while (size < 2 * n)
        size *= 2;
    return size;
}

static struct lmw_tok_slot *find_slot(const struct lmw_tok *t, lmw_str piece)
{
    uint64_t h = lmw_str_hash(piece);
    uint32_t tag = (uint32_t)(h >> 32);
    for (size_t i = h & t->slot_mask;; i = (i + 1) & t->slot_mask) {
        struct lmw_tok_slot *s = &t->slot[i];
        if (s->id < 0) {
            s->tag = tag;
            return s;
        }
        if (s->tag == tag && lmw_str_eq(t->piece[s->id], piece))
            return s;
    }
}

int32_t lmw_tok_find(const struct lmw_tok *t, lmw_str piece)
{
    if (piece.len > t->max_len)
        return -1;
    uint64_t h = lmw_str_hash(piece);
    uint32_t tag = (uint32_t)(h >> 32);
    for (size_t i = h & t->slot_mask; t->slot[i].id >= 0; i = (i + 1) & t->slot_mask)
        if (t->slot[i].tag == tag && lmw_str_eq(t->piece[t->slot[i].id], piece))
            return t->slot[i].id;
    return -1;
}

static int make_pieces(struct lmw_tok *t, struct lmw_err *err)
{
    size_t size = table_size((size_t)t->n_vocab);
    t->piece = LMW_NEW(&t->arena, lmw_str, (size_t)t->n_vocab);
    t->slot = LMW_NEW(&t->arena, struct lmw_tok_slot, size);
    t->slot_mask = size - 1;
    if (!t->piece || !t->slot)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d tokens", t->n_vocab);
    for (size_t i = 0; i < size; i++)
        t->slot[i].id = -1;
    for (int b = 0; b < 256; b++)
        t->byte_id[b] = -1;
    for (int32_t id = 0; id < t->n_vocab; id++) {
        bool mergeable;
        int rc = make_piece(t, id, &mergeable);
        if (rc == LMW_EFORMAT)
            return lmw_fail(err, rc, "token %d is of type byte but its text is not like <0x0A>",
                            id);
        if (rc < 0)
            return lmw_fail(err, rc, "no memory for the text of token %d", id);
        if (!mergeable)
            continue;
        find_slot(t, t->piece[id])->id =
            id; /* of equal texts the last one counts, as in llama.cpp */
        if (t->piece[id].len > t->max_len)
            t->max_len = t->piece[id].len;
    }
    return LMW_OK;
}

/* The two halves of "a b", as tokens. The separator is the one space: a space inside a token is
 * spelled. */
static bool parse_merge(const struct lmw_tok *t, lmw_str m, char *tmp, int32_t *l, int32_t *r,
                        int32_t *both)
{
    const char *sp = m.len ? memchr(m.ptr + 1, ' ', m.len - 1) : NULL;
    size_t nl, nr;
    if (!sp || !lmw_tok_unspell((lmw_str){m.ptr, (size_t)(sp - m.ptr)}, tmp, &nl) ||
        !lmw_tok_unspell((lmw_str){sp + 1, m.len - (size_t)(sp + 1 - m.ptr)}, tmp + nl, &nr))
        return false;
    *l = lmw_tok_find(t, (lmw_str){tmp, nl});
    *r = lmw_tok_find(t, (lmw_str){tmp + nl, nr});
    *both = lmw_tok_find(t, (lmw_str){tmp, nl + nr});
    return *l >= 0 && *r >= 0 && *both >= 0;
}

static void put_merge(struct lmw_tok *t, uint64_t pair, uint32_t rank, int32_t id)
{
    size_t i = lmw_tok_pair_hash(pair) & t->pair_mask;
    while (t->pair[i].pair != UINT64_MAX && t->pair[i].pair != pair)
        i = (i + 1) & t->pair_mask;
    if (t->pair[i].pair == UINT64_MAX)
        t->pair[i] = (struct lmw_tok_merge){pair, rank, id};
}

static int make_merges(struct lmw_tok *t, struct lmw_err *err)
{
    size_t size = table_size(t->n_merge), longest = 0;
    for (size_t i = 0; i < t->n_merge; i++)
        longest = t->merge[i].len > longest ? t->merge[i].len : longest;
    t->pair = LMW_NEW(&t->arena, struct lmw_tok_merge, size);
    t->pair_mask = size - 1;
    char *tmp = malloc(longest + 1);
    if (!t->pair || !tmp) {
        free(tmp);
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu merges", t->n_merge);
    }
    memset(t->pair, 0xff, size * sizeof *t->pair);
    int rc = LMW_OK;
    for (size_t i = 0; i < t->n_merge && rc == LMW_OK; i++) {
        int32_t l, r, both;
        lmw_str m = t->merge[i];
        if (parse_merge(t, m, tmp, &l, &r, &both))
            put_merge(t, (uint64_t)(uint32_t)l << 32 | (uint32_t)r, (uint32_t)i, both);
        else
            rc = lmw_fail(err, LMW_EFORMAT,
                          "merge %zu '%.*s': its parts or its result are not tokens", i,
                          m.len > 80 ? 80 : LMW_FMT(m));
    }
    free(tmp);
    return rc;
}

static int make_bpe(struct lmw_tok *t, struct lmw_err *err)
{
    int rc;
    if ((rc = lmw_split_open(&t->split, lmw_str_from(t->pre), err)) < 0 ||
        (rc = make_merges(t, err)) < 0)
        return rc;
    t->whole_first = lmw_split_whole_first(t->split);
    t->direct = LMW_NEW(&t->arena, bool, (size_t)t->n_vocab);
    if (!t->direct)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d tokens", t->n_vocab);
    for (int b = 0; b < 256; b++)
        t->byte_id[b] = lmw_tok_find(t, (lmw_str){(char[]){(char)b}, 1});
    for (int32_t id = 0; id < t->n_vocab; id++) {
        int32_t got = -1;
        if (t->piece[id].len && t->piece[id].len <= t->max_len)
            t->direct[id] = lmw_tok_merge_piece(t, t->piece[id], &got, 1) == 1 && got == id;
    }
    return LMW_OK;
}

static int32_t first_byte(const struct lmw_tok *t, int32_t id)
{
    return (uint8_t)t->text[id].ptr[0];
}

static int by_first_byte(const void *a, const void *b, void *arg)
{
    const struct lmw_tok *t = arg;
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    size_t nx = t->text[x].len, ny = t->text[y].len;
    if (first_byte(t, x) != first_byte(t, y))
        return first_byte(t, x) - first_byte(t, y);
    return nx != ny ? (nx < ny ? 1 : -1) : x - y;
}

static int make_specials(struct lmw_tok *t, struct lmw_err *err)
{
    size_t n = 0;
    t->special = LMW_NEW(&t->arena, int32_t, (size_t)t->n_vocab);
    if (!t->special)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d tokens", t->n_vocab);
    for (int32_t id = 0; id < t->n_vocab; id++) {
        int type = t->type[id];
        if (t->text[id].len == 0 ||
            (type != LMW_TOK_CONTROL && type != LMW_TOK_USER && type != LMW_TOK_UNKNOWN))
            continue;
        t->special[n++] = id;
        if (type == LMW_TOK_USER)
            t->starts_user[first_byte(t, id)] = true;
    }
    qsort_r(t->special, n, sizeof *t->special, by_first_byte, t);
    size_t k = 0;
    for (int b = 0; b < 256; b++) {
        t->special_at[b] = (int32_t)k;
        while (k < n && first_byte(t, t->special[k]) == b)
            k++;
    }
    t->special_at[256] = (int32_t)n;
    return LMW_OK;
}

/* Texts that end a turn, for files that name only one of their end tokens (list: llama.cpp's
 * src/llama-vocab.cpp, special_eog_ids). */
static const char *const end_texts[] = {
    "<|eot_id|>", "<|eom_id|>", "<|im_end|>",    "<|end|>",
    "<|return|>", "<|call|>",   "<end_of_turn>", "<|endoftext|>",
    "<EOT>",      "[EOT]",      "[EOS]",         "<\uff5cend\u2581of\u2581sentence\uff5c>",
};

static void add_end(struct lmw_tok *t, int32_t id)
{
    if (id >= 0 && !lmw_tok_is_end(t, id) && t->n_end < (int)(sizeof t->end / sizeof *t->end))
        t->end[t->n_end++] = id;
}

static void find_ends(struct lmw_tok *t)
{
    add_end(t, t->eos);
    add_end(t, t->eot);
    add_end(t, t->eom);
    for (int32_t i = 0; i < t->special_at[256]; i++)
        for (size_t k = 0; k < sizeof end_texts / sizeof *end_texts; k++)
            if (lmw_str_is(t->text[t->special[i]], end_texts[k]))
                add_end(t, t->special[i]);
}

int lmw_tok_index(struct lmw_tok *t, struct lmw_err *err)
{
    int rc;
    if (!copy_strs(&t->arena, t->text, (size_t)t->n_vocab) ||
        !copy_strs(&t->arena, t->merge, t->n_merge))
        return lmw_fail(err, LMW_ENOMEM, "no memory for the texts of %d tokens", t->n_vocab);
    if ((rc = make_pieces(t, err)) < 0)
        return rc;
    if (t->kind == LMW_TOK_BPE && (rc = make_bpe(t, err)) < 0)
        return rc;
    if ((rc = make_specials(t, err)) < 0)
        return rc;
    find_ends(t);
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

bool lmw_tok_is_end(const struct lmw_tok *t, int32_t id)
{
    for (int i = 0; i < t->n_end; i++)
        if (t->end[i] == id)
            return true;
    return false;
}

lmw_str lmw_tok_piece(const struct lmw_tok *t, int32_t id)
{
    return id >= 0 && id < t->n_vocab ? t->piece[id] : (lmw_str){"", 0};
}

lmw_str lmw_tok_text(const struct lmw_tok *t, int32_t id)
{
    return id >= 0 && id < t->n_vocab ? t->text[id] : (lmw_str){"", 0};
}
