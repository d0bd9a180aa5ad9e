/* Encoding: bytes -> ids.
 *
 * 1. Texts of user tokens (and of control tokens, where asked) are cut out: leftmost, then
 *    longest.
 * 2. The rest is pretokenized (gpt2) or taken whole with a space in front (llama).
 * 3. A piece starts as one symbol per byte (gpt2) or character (llama); the pair of neighbours
 *    with the lowest rank merges, the leftmost first among equals, until no pair can. Ranks are
 *    places in the merge list (gpt2), or falling scores of the token a pair would make (llama).
 *    Sources: GPT-2's encoder.py; sentencepiece's bpe_model.cc; ties as llama.cpp breaks them.
 *
 * Candidates wait in a binary heap, O(n log n) for any piece. A piece of up to SMALL symbols
 * needs no allocation; where memory for a longer one is refused it is encoded byte by byte, so
 * encoding never fails. A byte that the vocabulary has no token for becomes its unknown token,
 * or nothing.
 *
 * llama: characters are what UTF-8's first bytes announce, valid or not; U+2581 in a text is not
 * taken for a space (sentencepiece does, and so cannot give the text back). */
#include "engine/tok_impl.h"

#include <math.h>
#include <stdlib.h>

#define SMALL 64

struct sink {
    const struct lmw_tok *t;
    int32_t *out;
    size_t n, cap;
};

static void put(struct sink *s, int32_t id)
{
    if (s->n < s->cap)
        s->out[s->n] = id;
    s->n++;
}

static void put_bytes(struct sink *s, lmw_str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        int32_t id = s->t->byte_id[(uint8_t)bytes.ptr[i]];
        if (id < 0)
            id = s->t->unk;
        if (id >= 0)
            put(s, id);
    }
}

/* A run of bytes of the piece, linked to its neighbours. Eaten by its left neighbour: len 0. */
struct symbol {
    uint32_t at, len;
    int32_t prev, next; /* -1: none */
    int32_t id;         /* -1: no token */
};

/* "left and the symbol after it could merge": stale when their lengths no longer add up to len. */
struct candidate {
    uint32_t rank, left, len;
    int32_t id;
};

struct merger {
    const struct lmw_tok *t;
    const char *text;
    struct symbol *sym;
    struct candidate *heap;
    size_t n_heap;
};

static bool before(struct candidate a, struct candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.left < b.left;
}

static void push(struct merger *m, struct candidate c)
{
    size_t i = m->n_heap++;
    for (; i && before(c, m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = c;
}

static struct candidate pop(struct merger *m)
{
    struct candidate top = m->heap[0], last = m->heap[--m->n_heap];
    size_t i = 0, k;
    while ((k = 2 * i + 1) < m->n_heap) {
        if (k + 1 < m->n_heap && before(m->heap[k + 1], m->heap[k]))
            k++;
        if (!before(m->heap[k], last))
            break;
        m->heap[i] = m->heap[k];
        i = k;
    }
    m->heap[i] = last;
    return top;
}

/* Higher scores get lower ranks: IEEE order as an unsigned number, turned around. */
static uint32_t score_rank(float score)
{
    uint32_t u;
    score += 0.0f; /* -0 is 0 */
    memcpy(&u, &score, sizeof u);
    return ~(u >> 31 ? ~u : u | 0x80000000u);
}

static bool find_pair(const struct lmw_tok *t, int32_t l, int32_t r, struct candidate *c)
{
    uint64_t pair = (uint64_t)(uint32_t)l << 32 | (uint32_t)r;
    if (l < 0 || r < 0)
        return false;
    for (size_t i = lmw_tok_pair_hash(pair) & t->pair_mask; t->pair[i].pair != UINT64_MAX;
         i = (i + 1) & t->pair_mask)
        if (t->pair[i].pair == pair) {
            c->rank = t->pair[i].rank;
            c->id = t->pair[i].id;
            return true;
        }
    return false;
}

static void consider(struct merger *m, int32_t left)
{
    int32_t right = left < 0 ? -1 : m->sym[left].next;
    if (right < 0)
        return;
    const struct symbol *l = &m->sym[left], *r = &m->sym[right];
    struct candidate c = {.left = (uint32_t)left, .len = l->len + r->len};
    if (m->t->kind == LMW_TOK_BPE) {
        if (find_pair(m->t, l->id, r->id, &c))
            push(m, c);
    } else {
        c.id = lmw_tok_find(m->t, (lmw_str){m->text + l->at, c.len});
        if (c.id < 0)
            return;
        c.rank = score_rank(m->t->score[c.id]);
        push(m, c);
    }
}

static void merge(struct merger *m, struct candidate c)
{
    struct symbol *l = &m->sym[c.left];
    if (l->len == 0 || l->next < 0 || l->len + m->sym[l->next].len != c.len)
        return;
    struct symbol *r = &m->sym[l->next];
    l->len = c.len;
    l->id = c.id;
    l->next = r->next;
    r->len = 0;
    if (l->next >= 0)
        m->sym[l->next].prev = (int32_t)c.left;
    consider(m, l->prev);
    consider(m, (int32_t)c.left);
}

/* Bytes of the character that starts here, by its first byte alone. */
static uint32_t char_len(const char *p, size_t left)
{
    uint8_t c = (uint8_t)*p;
    uint32_t n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return n < left ? n : (uint32_t)left;
}

static int32_t make_symbols(struct merger *m, lmw_str piece)
{
    const struct lmw_tok *t = m->t;
    bool bpe = t->kind == LMW_TOK_BPE;
    int32_t n = 0;
    for (size_t at = 0; at < piece.len; n++) {
        uint32_t len = bpe ? 1 : char_len(piece.ptr + at, piece.len - at);
        lmw_str s = {piece.ptr + at, len};
        m->sym[n] = (struct symbol){(uint32_t)at, len, n - 1, n + 1,
                                    bpe ? t->byte_id[(uint8_t)*s.ptr] : lmw_tok_find(t, s)};
        at += len;
    }
    m->sym[n - 1].next = -1;
    return n;
}

static void run_merger(struct merger *m, lmw_str piece, struct sink *s)
{
    int32_t n = make_symbols(m, piece);
    for (int32_t i = 0; i + 1 < n; i++)
        consider(m, i);
    while (m->n_heap)
        merge(m, pop(m));
    for (int32_t i = 0; i >= 0; i = m->sym[i].next) {
        if (m->sym[i].id >= 0)
            put(s, m->sym[i].id);
        else
            put_bytes(s, (lmw_str){piece.ptr + m->sym[i].at, m->sym[i].len});
    }
}

/* n symbols make n - 1 candidates at first, and each of at most n - 1 merges two more. */
static void merge_piece(struct sink *s, lmw_str piece)
{
    struct symbol sym[SMALL];
    struct candidate heap[3 * SMALL];
    struct merger m = {s->t, piece.ptr, sym, heap, 0};
    if (piece.len <= SMALL) {
        if (piece.len)
            run_merger(&m, piece, s);
        return;
    }
    m.sym = piece.len < INT32_MAX ? malloc(piece.len * sizeof *m.sym) : NULL;
    m.heap = piece.len < INT32_MAX ? malloc(3 * piece.len * sizeof *m.heap) : NULL;
    if (m.sym && m.heap)
        run_merger(&m, piece, s);
    else
        put_bytes(s, piece);
    free(m.sym);
    free(m.heap);
}

void lmw_tok_find_direct(struct lmw_tok *t)
{
    for (int32_t id = 0; id < t->n_vocab; id++) {
        int32_t got = -1;
        struct sink s = {t, &got, 0, 1};
        if (t->piece[id].len == 0 || t->piece[id].len > t->max_len)
            continue;
        merge_piece(&s, t->piece[id]);
        t->direct[id] = s.n == 1 && got == id;
    }
}

static void encode_piece(void *arg, lmw_str piece)
{
    struct sink *s = arg;
    int32_t id = lmw_tok_find(s->t, piece);
    if (id >= 0 && (s->t->whole_first || s->t->direct[id]))
        put(s, id);
    else
        merge_piece(s, piece);
}

/* The first text, and each after a special token, gets a space in front. */
static void encode_spm(struct sink *s, lmw_str text, bool after_special)
{
    if (!after_special || !s->t->add_space_prefix) {
        merge_piece(s, text);
        return;
    }
    char small[256], *p = text.len < sizeof small ? small : malloc(text.len + 1);
    if (!p) {
        put_bytes(s, LMW_STR(" "));
        put_bytes(s, text);
        return;
    }
    p[0] = ' ';
    memcpy(p + 1, text.ptr, text.len);
    merge_piece(s, (lmw_str){p, text.len + 1});
    if (p != small)
        free(p);
}

static int32_t special_here(const struct lmw_tok *t, lmw_str rest, bool parse_special)
{
    uint8_t b = (uint8_t)rest.ptr[0];
    for (int32_t i = t->special_at[b]; i < t->special_at[b + 1]; i++) {
        int32_t id = t->special[i];
        lmw_str text = t->text[id];
        if ((parse_special || t->type[id] == LMW_TOK_USER) && text.len <= rest.len &&
            !memcmp(text.ptr, rest.ptr, text.len))
            return id;
    }
    return -1;
}

/* The first special token in text: its place, or text.len. */
static size_t next_special(const struct lmw_tok *t, lmw_str text, bool parse_special, int32_t *id)
{
    *id = -1;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t b = (uint8_t)text.ptr[i];
        if (parse_special ? t->special_at[b] == t->special_at[b + 1] : !t->starts_user[b])
            continue;
        *id = special_here(t, (lmw_str){text.ptr + i, text.len - i}, parse_special);
        if (*id >= 0)
            return i;
    }
    return text.len;
}

size_t lmw_tok_encode(const struct lmw_tok *t, lmw_str text, bool add_bos, bool parse_special,
                      int32_t *out, size_t cap)
{
    struct sink s = {t, out, 0, cap};
    bool after_special = true;
    if (add_bos && t->add_bos && t->bos >= 0)
        put(&s, t->bos);
    while (text.len) {
        int32_t id;
        size_t n = next_special(t, text, parse_special, &id);
        if (n && t->kind == LMW_TOK_BPE)
            lmw_split_run(t->split, (lmw_str){text.ptr, n}, encode_piece, &s);
        else if (n)
            encode_spm(&s, (lmw_str){text.ptr, n}, after_special);
        after_special = id >= 0;
        if (id >= 0) {
            put(&s, id);
            n += t->text[id].len;
        }
        text.ptr += n;
        text.len -= n;
    }
    return s.n;
}
