/* Training a byte-level BPE vocabulary (Sennrich, Haddow and Birch 2016, on bytes as in GPT-2).
 *
 * The texts are pretokenized once into unique words with counts. Each step merges the most
 * frequent pair of neighbouring tokens (counted over words, times the words' counts) into a new
 * token, in the words that have it; only those words' pairs are counted again, so a step costs
 * what it changes. A heap holds the counts; an entry that is out of date goes back with the
 * count of now when it surfaces.
 *
 * Ties go to the pair with the lower left, then the lower right id: the same texts give the same
 * vocabulary on every machine. Two ways to the same text share one token, with a merge each.
 * Refused: a size below specials + bytes, and texts with too few pairs that occur twice to fill
 * the size asked for. */
#include "engine/tok_impl.h"

#include <assert.h>
#include <stdlib.h>

#define N_SPECIAL 2
#define N_BASE    (N_SPECIAL + 256)

struct word {
    lmw_str text; /* points into the caller's texts */
    int64_t count;
    int32_t *sym; /* [n_sym], in trainer.sym */
    uint32_t n_sym;
};

struct pair {
    int32_t left, right;
    int32_t made; /* the token it was merged into, or -1 */
    bool changed; /* waits in trainer.changed */
    int64_t count;
    uint32_t *word; /* indices of words that had it when counted: a superset, with repeats */
    uint32_t n_word, cap_word;
};

struct entry {
    int64_t count;
    uint32_t pair;
};

struct merge {
    int32_t left, right;
};

/* Open addressing from a 64-bit key to an item's index. */
struct index {
    struct index_slot {
        uint64_t key;
        uint32_t item_1; /* index + 1; 0: free */
    } * slot;
    size_t n, size;
};

#define LIST(type)     \
    struct {           \
        type *at;      \
        size_t n, cap; \
    }
struct trainer {
    LIST(struct word) words;
    LIST(struct pair) pairs;
    LIST(struct entry) heap;
    LIST(uint32_t) changed;
    LIST(struct merge) merges;
    LIST(lmw_str) tokens; /* the bytes of each merged token, from N_BASE on; each owned */
    struct index by_text, by_pair;
    int32_t *sym;
    bool failed; /* memory ran out: nothing more happens, and lmw_tok_train says so */
};

/* Makes room for one more element of a LIST. */
#define MORE(tr, list) \
    ((list)->n < (list)->cap || more((tr), (void **)&(list)->at, &(list)->cap, sizeof *(list)->at))

static bool more(struct trainer *tr, void **at, size_t *cap, size_t size)
{
    size_t n = *cap ? 2 * *cap : 64;
    void *p = n < UINT32_MAX ? realloc(*at, n * size) : NULL;
    if (!p) {
        tr->failed = true;
        return false;
    }
    *at = p;
    *cap = n;
    return true;
}

static struct index_slot *probe(const struct index *x, uint64_t key)
{
    size_t i = lmw_tok_pair_hash(key) & (x->size - 1);
    while (x->slot[i].item_1 && x->slot[i].key != key)
        i = (i + 1) & (x->size - 1);
    return &x->slot[i];
}

/* The slot of a key, with room to fill it; NULL when memory runs out. */
static struct index_slot *index_slot(struct trainer *tr, struct index *x, uint64_t key)
{
    if (2 * (x->n + 1) > x->size) {
        struct index grown = {NULL, x->n, x->size ? 2 * x->size : 1024};
        grown.slot = calloc(grown.size, sizeof *grown.slot);
        if (!grown.slot) {
            tr->failed = true;
            return NULL;
        }
        for (size_t i = 0; i < x->size; i++)
            if (x->slot[i].item_1)
                *probe(&grown, x->slot[i].key) = x->slot[i];
        free(x->slot);
        *x = grown;
    }
    return probe(x, key);
}

/* ---- Words. */

static void count_word(void *arg, lmw_str text)
{
    struct trainer *tr = arg;
    uint64_t key = lmw_str_hash(text);
    struct index_slot *s;
    /* Another text with this hash: take the next key. */
    while ((s = index_slot(tr, &tr->by_text, key)) && s->item_1 &&
           !lmw_str_eq(tr->words.at[s->item_1 - 1].text, text))
        key++;
    if (!s || (!s->item_1 && !MORE(tr, &tr->words)))
        return;
    if (!s->item_1) {
        tr->words.at[tr->words.n++] = (struct word){.text = text};
        *s = (struct index_slot){key, (uint32_t)tr->words.n};
        tr->by_text.n++;
    }
    tr->words.at[s->item_1 - 1].count++;
}

static bool is_ascii_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* The space, quote or apostrophe that the pretokenizer leaves in front of a word is counted by
 * itself. */
static void count_apart(void *arg, lmw_str text)
{
    char first = text.ptr[0], second = text.len > 1 ? text.ptr[1] : 0;
    bool is_led = (uint8_t)first < 0x80 && !is_ascii_letter(first) &&
                  (is_ascii_letter(second) || (uint8_t)second >= 0x80);
    if (is_led)
        count_word(arg, (lmw_str){text.ptr, 1});
    count_word(arg, (lmw_str){text.ptr + is_led, text.len - is_led});
}

static void count_words(struct trainer *tr, const struct lmw_split *split, const lmw_str *texts,
                        size_t n_text, bool words_apart)
{
    size_t n_byte = 0;
    for (size_t i = 0; i < n_text && !tr->failed; i++)
        lmw_split_run(split, texts[i], words_apart ? count_apart : count_word, tr);
    for (size_t i = 0; i < tr->words.n; i++)
        n_byte += tr->words.at[i].text.len;
    int32_t *sym = tr->sym = malloc((n_byte + 1) * sizeof *sym);
    tr->failed |= !sym;
    for (size_t i = 0; i < tr->words.n && sym; i++) {
        struct word *w = &tr->words.at[i];
        w->sym = sym;
        w->n_sym = (uint32_t)w->text.len;
        for (size_t k = 0; k < w->text.len; k++)
            *sym++ = N_SPECIAL + (uint8_t)w->text.ptr[k];
    }
}

/* ---- Pairs. */

static struct pair *get_pair(struct trainer *tr, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    struct index_slot *s = index_slot(tr, &tr->by_pair, key);
    if (!s || (!s->item_1 && !MORE(tr, &tr->pairs)))
        return NULL;
    if (!s->item_1) {
        tr->pairs.at[tr->pairs.n++] = (struct pair){.left = left, .right = right, .made = -1};
        *s = (struct index_slot){key, (uint32_t)tr->pairs.n};
        tr->by_pair.n++;
    }
    return &tr->pairs.at[s->item_1 - 1];
}

static void add_word(struct trainer *tr, struct pair *p, uint32_t word)
{
    if (p->n_word && p->word[p->n_word - 1] == word)
        return;
    if (p->n_word == p->cap_word) {
        uint32_t cap = p->cap_word ? 2 * p->cap_word : 4;
        uint32_t *q = cap < UINT32_MAX / 2 ? realloc(p->word, cap * sizeof *q) : NULL;
        if (!q) {
            tr->failed = true;
            return;
        }
        p->word = q;
        p->cap_word = cap;
    }
    p->word[p->n_word++] = word;
}

/* Adds sign * count for each pair of a word. Words are noted at pairs that contain `fresh` (-1:
 * at all): at the others they already are. */
static void count_pairs(struct trainer *tr, uint32_t i_word, int sign, int32_t fresh)
{
    const struct word *w = &tr->words.at[i_word];
    for (uint32_t i = 0; i + 1 < w->n_sym && !tr->failed; i++) {
        struct pair *p = get_pair(tr, w->sym[i], w->sym[i + 1]);
        if (!p || !MORE(tr, &tr->changed))
            return;
        p->count += sign * w->count;
        if (sign < 0)
            continue;
        if (fresh < 0 || p->left == fresh || p->right == fresh)
            add_word(tr, p, i_word);
        if (!p->changed)
            tr->changed.at[tr->changed.n++] = (uint32_t)(p - tr->pairs.at);
        p->changed = true;
    }
}

/* ---- The heap: highest count first, then lowest ids. */

static bool before(const struct trainer *tr, struct entry a, struct entry b)
{
    const struct pair *p = &tr->pairs.at[a.pair], *q = &tr->pairs.at[b.pair];
    if (a.count != b.count)
        return a.count > b.count;
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static void push(struct trainer *tr, struct entry e)
{
    if (!MORE(tr, &tr->heap))
        return;
    struct entry *h = tr->heap.at;
    size_t i = tr->heap.n++;
    for (; i && before(tr, e, h[(i - 1) / 2]); i = (i - 1) / 2)
        h[i] = h[(i - 1) / 2];
    h[i] = e;
}

static struct entry pop(struct trainer *tr)
{
    struct entry *h = tr->heap.at, top = h[0], last = h[--tr->heap.n];
    size_t i = 0, k;
    while ((k = 2 * i + 1) < tr->heap.n) {
        if (k + 1 < tr->heap.n && before(tr, h[k + 1], h[k]))
            k++;
        if (!before(tr, h[k], last))
            break;
        h[i] = h[k];
        i = k;
    }
    h[i] = last;
    return top;
}

static void push_changed(struct trainer *tr)
{
    for (size_t i = 0; i < tr->changed.n; i++) {
        struct pair *p = &tr->pairs.at[tr->changed.at[i]];
        p->changed = false;
        if (p->count > 0)
            push(tr, (struct entry){p->count, tr->changed.at[i]});
    }
    tr->changed.n = 0;
}

/* The most frequent pair, or -1 when none occurs twice. */
static int64_t best_pair(struct trainer *tr)
{
    while (tr->heap.n && !tr->failed) {
        struct entry e = pop(tr);
        int64_t now = tr->pairs.at[e.pair].count;
        if (e.count == now)
            return now >= 2 ? (int64_t)e.pair : -1; /* unsigned, -1 would be the last pair */
        if (now > 0)
            push(tr, (struct entry){now, e.pair});
    }
    return -1;
}

/* ---- Merging. */

static lmw_str token_bytes(const struct trainer *tr, int32_t id, char byte[1])
{
    if (id >= N_BASE)
        return tr->tokens.at[id - N_BASE];
    byte[0] = (char)(id - N_SPECIAL);
    return (lmw_str){byte, 1};
}

/* The token of left's bytes then right's: a new one, unless that text already is one. */
static int32_t make_token(struct trainer *tr, int32_t left, int32_t right)
{
    char b[2];
    lmw_str l = token_bytes(tr, left, b), r = token_bytes(tr, right, b + 1);
    char *p = malloc(l.len + r.len);
    if (!p || !MORE(tr, &tr->tokens)) {
        free(p);
        tr->failed = true;
        return -1;
    }
    memcpy(p, l.ptr, l.len);
    memcpy(p + l.len, r.ptr, r.len);
    lmw_str text = {p, l.len + r.len};
    for (size_t i = 0; i < tr->tokens.n; i++)
        if (lmw_str_eq(tr->tokens.at[i], text)) {
            free(p);
            return N_BASE + (int32_t)i;
        }
    tr->tokens.at[tr->tokens.n] = text;
    return N_BASE + (int32_t)tr->tokens.n++;
}

static bool has_pair(const struct word *w, int32_t left, int32_t right)
{
    for (uint32_t i = 0; i + 1 < w->n_sym; i++)
        if (w->sym[i] == left && w->sym[i + 1] == right)
            return true;
    return false;
}

static void rewrite(struct word *w, int32_t left, int32_t right, int32_t id)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n_sym; i++) {
        bool here = i + 1 < w->n_sym && w->sym[i] == left && w->sym[i + 1] == right;
        w->sym[n++] = here ? id : w->sym[i];
        i += here;
    }
    w->n_sym = n;
}

static void merge_pair(struct trainer *tr, uint32_t i_pair)
{
    struct pair p = tr->pairs.at[i_pair]; /* a copy: the list grows below */
    if (p.made < 0) {
        if ((p.made = make_token(tr, p.left, p.right)) < 0 || !MORE(tr, &tr->merges))
            return;
        tr->merges.at[tr->merges.n++] = (struct merge){p.left, p.right};
    }
    tr->pairs.at[i_pair].made = p.made;
    tr->pairs.at[i_pair].word = NULL;
    tr->pairs.at[i_pair].n_word = tr->pairs.at[i_pair].cap_word = 0;
    for (uint32_t i = 0; i < p.n_word && !tr->failed; i++) {
        struct word *w = &tr->words.at[p.word[i]];
        if (!has_pair(w, p.left, p.right))
            continue;
        count_pairs(tr, p.word[i], -1, -1);
        rewrite(w, p.left, p.right, p.made);
        count_pairs(tr, p.word[i], 1, p.made);
    }
    free(p.word);
    push_changed(tr);
}

static int learn(struct trainer *tr, int n_vocab, struct lmw_err *err)
{
    for (size_t i = 0; i < tr->words.n; i++)
        count_pairs(tr, (uint32_t)i, 1, -1);
    push_changed(tr);
    while (!tr->failed && N_BASE + tr->tokens.n < (size_t)n_vocab) {
        int64_t best = best_pair(tr);
        if (best < 0)
            break;
        merge_pair(tr, (uint32_t)best);
    }
    if (tr->failed)
        return lmw_fail(err, LMW_ENOMEM, "no memory to train a vocabulary on %zu different words",
                        tr->words.n);
    if (N_BASE + tr->tokens.n < (size_t)n_vocab)
        return lmw_fail(err, LMW_EARG,
                        "the texts have pairs enough for %zu tokens, not for %d: ask for fewer "
                        "tokens or bring more text",
                        N_BASE + tr->tokens.n, n_vocab);
    return LMW_OK;
}

/* ---- The vocabulary. */

static size_t spell_token(const struct trainer *tr, int32_t id, char *dst)
{
    char b[1];
    return lmw_tok_spell(token_bytes(tr, id, b), dst);
}

/* Texts as GGUF spells them, back to back in buf, which has room for them all. */
static void write_texts(const struct trainer *tr, struct lmw_tok *t, char *buf)
{
    t->text[0] = LMW_STR("<|bos|>");
    t->text[1] = LMW_STR("<|eos|>");
    for (int32_t id = 0; id < t->n_vocab; id++) {
        t->type[id] = id < N_SPECIAL ? LMW_TOK_CONTROL : LMW_TOK_NORMAL;
        if (id < N_SPECIAL)
            continue;
        t->text[id] = (lmw_str){buf, spell_token(tr, id, buf)};
        buf += t->text[id].len;
    }
    assert(tr->merges.at || t->n_merge == 0);
    for (size_t i = 0; i < t->n_merge; i++) {
        char *p = buf;
        p += spell_token(tr, tr->merges.at[i].left, p);
        *p++ = ' ';
        p += spell_token(tr, tr->merges.at[i].right, p);
        t->merge[i] = (lmw_str){buf, (size_t)(p - buf)};
        buf = p;
    }
}

static int build(const struct trainer *tr, int n_vocab, struct lmw_tok **out, struct lmw_err *err)
{
    size_t n_merge = tr->merges.n, n_byte = 2 * 256;
    char b[2];
    for (size_t i = 0; i < tr->tokens.n; i++)
        n_byte += 2 * tr->tokens.at[i].len;
    for (size_t i = 0; i < n_merge; i++)
        n_byte += 1 + 2 * token_bytes(tr, tr->merges.at[i].left, b).len +
                  2 * token_bytes(tr, tr->merges.at[i].right, b + 1).len;
    struct lmw_tok *t = lmw_tok_new(lmw_tok_room((size_t)n_vocab, n_merge, n_byte), err);
    char *buf = malloc(n_byte);
    int rc;
    if (t) {
        t->kind = LMW_TOK_BPE;
        t->n_vocab = n_vocab;
        t->n_merge = n_merge;
        t->bos = 0;
        t->eos = 1;
        t->add_bos = true;
        memcpy(t->pre, "qwen2", sizeof "qwen2");
        t->text = LMW_NEW(&t->arena, lmw_str, (size_t)n_vocab);
        t->type = LMW_NEW(&t->arena, uint8_t, (size_t)n_vocab);
        t->merge = LMW_NEW(&t->arena, lmw_str, n_merge);
    }
    if (t && buf && t->text && t->type && t->merge) {
        write_texts(tr, t, buf);
        rc = lmw_tok_index(t, err);
    } else {
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for a vocabulary of %d tokens", n_vocab);
    }
    free(buf);
    if (rc < 0)
        lmw_tok_free(t);
    else
        *out = t;
    return rc;
}

static void free_trainer(struct trainer *tr)
{
    for (size_t i = 0; i < tr->pairs.n; i++)
        free(tr->pairs.at[i].word);
    for (size_t i = 0; i < tr->tokens.n; i++)
        free((char *)tr->tokens.at[i].ptr);
    free(tr->words.at);
    free(tr->pairs.at);
    free(tr->heap.at);
    free(tr->changed.at);
    free(tr->merges.at);
    free(tr->tokens.at);
    free(tr->by_text.slot);
    free(tr->by_pair.slot);
    free(tr->sym);
}

int lmw_tok_train(struct lmw_tok **out, const lmw_str *texts, size_t n_text, int n_vocab,
                  bool words_apart, struct lmw_err *err)
{
    struct trainer tr = {0};
    struct lmw_split *split;
    *out = NULL;
    if (n_vocab < N_BASE)
        return lmw_fail(err, LMW_EARG,
                        "a vocabulary of %d tokens is too small: %d are specials and bytes",
                        n_vocab, N_BASE);
    int rc = lmw_split_open(&split, LMW_STR("qwen2"), err);
    if (rc < 0)
        return rc;
    count_words(&tr, split, texts, n_text, words_apart);
    lmw_split_close(split);
    rc = learn(&tr, n_vocab, err);
    if (rc == LMW_OK)
        rc = build(&tr, n_vocab, out, err);
    free_trainer(&tr);
    return rc;
}
