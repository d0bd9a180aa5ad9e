/* Inside the tokenizer: shared by tok.c (vocabularies), tok_index.c (their tables), tok_split.c
 * (pretokenizers), tok_encode.c and tok_train.c. Nobody else includes this. */
#ifndef LMW_ENGINE_TOK_IMPL_H
#define LMW_ENGINE_TOK_IMPL_H

#include "base/arena.h"
#include "engine/tok.h"

/* GGUF's token types (tokenizer.ggml.token_type). */
enum lmw_tok_type {
    LMW_TOK_NORMAL = 1,
    LMW_TOK_UNKNOWN = 2,
    LMW_TOK_CONTROL = 3,
    LMW_TOK_USER = 4, /* matched in any text before everything else */
    LMW_TOK_UNUSED = 5,
    LMW_TOK_BYTE = 6, /* "<0x0A>" in sentencepiece vocabularies */
};

enum lmw_tok_kind {
    LMW_TOK_BPE, /* GGUF calls it "gpt2": pieces are bytes, merges have ranks */
    LMW_TOK_SPM, /* GGUF calls it "llama": pieces are characters, tokens have scores */
};

/* One pretokenizer, compiled. Immutable, so any number of threads may run it. */
struct lmw_split;
int lmw_split_open(struct lmw_split **out, lmw_str pre, struct lmw_err *err);
void lmw_split_close(struct lmw_split *s);
bool lmw_split_adds_bos(const struct lmw_split *s);    /* where the file does not say */
bool lmw_split_whole_first(const struct lmw_split *s); /* a piece that is a token is not merged */
/* Calls fn for each piece, in order; together they are the text. Allocates nothing. */
typedef void lmw_split_fn(void *arg, lmw_str piece);
void lmw_split_run(const struct lmw_split *s, lmw_str text, lmw_split_fn *fn, void *arg);

/* Open addressing; `tag` is the hash's upper half, so a probe rarely touches the strings. */
struct lmw_tok_slot {
    uint32_t tag;
    int32_t id; /* -1: free */
};
struct lmw_tok_merge {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX: free */
    uint32_t rank;
    int32_t id;
};

struct lmw_tok {
    struct lmw_arena arena; /* holds everything below and this struct itself */
    enum lmw_tok_kind kind;
    int32_t n_vocab;
    int32_t bos, eos, eot, eom, unk; /* -1: none */
    bool add_bos, add_space_prefix, whole_first;
    char pre[64];

    /* As the vocabulary says. */
    lmw_str *text; /* [n_vocab] as stored */
    uint8_t *type; /* [n_vocab] enum lmw_tok_type */
    float *score;  /* [n_vocab], SPM only */
    size_t n_merge;
    lmw_str *merge; /* [n_merge] "a b" as stored, BPE only */

    /* Derived by lmw_tok_index(). */
    struct lmw_split *split; /* BPE only */
    lmw_str *piece;          /* [n_vocab] the bytes a token stands for */
    int32_t byte_id[256];    /* -1: no token for this byte */
    size_t max_len;          /* of a piece that merging can make */
    struct lmw_tok_slot *slot;
    size_t slot_mask;
    struct lmw_tok_merge *pair;
    size_t pair_mask;
    bool *direct;            /* [n_vocab] merging this token's bytes gives this token */
    int32_t *special;        /* control, unknown, user tokens by first byte, longest first */
    int32_t special_at[257]; /* those of byte b: special[special_at[b] .. special_at[b + 1]) */
    bool starts_user[256];   /* some user token starts with this byte */
    int32_t end[16];         /* what ends an answer */
    int n_end;
};

/* An empty tokenizer over its own arena of at least n_byte; NULL when memory runs out. */
struct lmw_tok *lmw_tok_new(size_t n_byte, struct lmw_err *err);
/* Fills the second half from the first, whose strings may point anywhere: they are copied. */
int lmw_tok_index(struct lmw_tok *t, struct lmw_err *err);
/* The arena size lmw_tok_new needs for a vocabulary with that many string bytes in all. */
size_t lmw_tok_room(size_t n_vocab, size_t n_merge, size_t n_text_byte);

/* The two halves of that: the tables (tok_index.c), and `direct`, which merging itself must say
 * (tok_encode.c). */
int lmw_tok_make_tables(struct lmw_tok *t, struct lmw_err *err);
void lmw_tok_find_direct(struct lmw_tok *t);

/* The token whose piece these bytes are, or -1. */
int32_t lmw_tok_find(const struct lmw_tok *t, lmw_str piece);

/* GPT-2's printable spelling of bytes: appends the characters, or turns them back (false: some
 * character stands for no byte). dst has room for 2 * n, or for n bytes. */
size_t lmw_tok_spell(lmw_str bytes, char *dst);
bool lmw_tok_unspell(lmw_str text, char *dst, size_t *len);

static inline uint64_t lmw_tok_pair_hash(uint64_t pair)
{
    return (pair ^ pair >> 32) * 0x9e3779b97f4a7c15u >> 20;
}

#endif
