/* Byte-level BPE: train, encode, decode; stored in GGUF's standard tokenizer.ggml.* keys.
 *
 * Text is split by the pretokenizer's regular expression (PCRE2, `tokenizer.ggml.pre`), then
 * each piece is merged by rank. Byte <-> printable-character mapping is GPT-2's, so vocabularies
 * read and write exactly as llama.cpp's "gpt2" model. Sentencepiece-style ("llama") vocabularies
 * are decoded and encoded by score. A vocabulary whose kind or pretokenizer this build does not
 * know is LMW_EUNSUPPORTED: nearly right tokens would be measured as a worse model. */
#ifndef LMW_ENGINE_TOK_H
#define LMW_ENGINE_TOK_H

#include "base/err.h"
#include "base/str.h"
#include "engine/gguf.h"

#include <stdbool.h>
#include <stdint.h>

struct lmw_tok;

/* From a GGUF's keys. The tokenizer copies what it needs. */
int lmw_tok_load(struct lmw_tok **out, const struct lmw_gguf *g, struct lmw_err *err);
/* Trains on text: n_vocab ids in all: the specials first (<|bos|> = 0, <|eos|> = 1), then the
 * 256 bytes, then merges by falling pair count (ties: lower ids first, so the result is
 * deterministic). Pretokenizer: "qwen2" (single digits, as llama.cpp spells it). Texts are whole
 * documents.
 * words_apart: no merge joins a word to the space or quote before it, so a word has the same
 * tokens wherever it stands and a small model copies it token by token. Costs about a token a
 * word; encoding does not change. */
int lmw_tok_train(struct lmw_tok **out, const lmw_str *texts, size_t n_text, int n_vocab,
                  bool words_apart, struct lmw_err *err);
/* Puts the tokenizer.ggml.* keys, with add_bos_token true and the given chat template (may be
 * empty). */
int lmw_tok_store(const struct lmw_tok *t, struct lmw_gguf_writer *w, lmw_str chat_template,
                  struct lmw_err *err);
void lmw_tok_free(struct lmw_tok *t);

int lmw_tok_n_vocab(const struct lmw_tok *t);
int32_t lmw_tok_bos(const struct lmw_tok *t); /* -1 where the vocabulary has none */
int32_t lmw_tok_eos(const struct lmw_tok *t);
/* eos, eot, eom, and tokens whose texts are known to end a turn (<|eot_id|>, <|im_end|>, ...). */
bool lmw_tok_is_end(const struct lmw_tok *t, int32_t id);

/* Returns the count; when it is over cap only cap ids were written (call again with more room).
 * Never fails on any bytes (invalid UTF-8 is encoded as its bytes; a byte the vocabulary has no
 * token for becomes its unknown token, or nothing where it has none either). add_bos puts BOS
 * first where the vocabulary asks for one (add_bos_token). parse_special recognises control
 * tokens' texts. Any number of threads. Texts of normal length allocate nothing with "gpt2"
 * vocabularies; "llama" ones take memory for texts over 64 bytes and give it back. */
size_t lmw_tok_encode(const struct lmw_tok *t, lmw_str text, bool add_bos, bool parse_special,
                      int32_t *out, size_t cap);
/* The bytes of one token (may be part of a UTF-8 character); control tokens are empty. Points
 * into t. */
lmw_str lmw_tok_piece(const struct lmw_tok *t, int32_t id);
/* As stored in the vocabulary (control tokens too). */
lmw_str lmw_tok_text(const struct lmw_tok *t, int32_t id);

#endif
