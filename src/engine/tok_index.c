/* The tables that encoding works on, made from what a vocabulary says: each token's bytes and the
 * way back, the ranks of merges, the special tokens by their first byte, what ends an answer.
 * Refused are vocabularies that contradict themselves: byte tokens that name no byte, merges whose
 * parts or result are not tokens. */
#include "engine/tok_impl.h"

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

/* ---- Pieces: the bytes of each token, and the token of given bytes. */

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

/* ---- Merges. */

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
    return LMW_OK;
}

/* ---- Special tokens, and those that end an answer. */

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

bool lmw_tok_is_end(const struct lmw_tok *t, int32_t id)
{
    for (int i = 0; i < t->n_end; i++)
        if (t->end[i] == id)
            return true;
    return false;
}

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

int lmw_tok_make_tables(struct lmw_tok *t, struct lmw_err *err)
{
    int rc = make_pieces(t, err);
    if (rc < 0 || (t->kind == LMW_TOK_BPE && (rc = make_bpe(t, err)) < 0) ||
        (rc = make_specials(t, err)) < 0)
        return rc;
    find_ends(t);
    return LMW_OK;
}
