/* Inside the score room: text before it is compared. */
#ifndef LMW_SCORE_TEXT_H
#define LMW_SCORE_TEXT_H

#include "base/str.h"

/* What a model said in the end, trimmed: the text behind its last </think>; nothing where a
 * thought was begun and never ended. */
lmw_str lmw_text_answer(lmw_str s);
/* Appends Unicode's compatibility form (NFKC): full-width and circled letters become letters. */
void lmw_text_compat(lmw_str s, struct lmw_buf *out);
/* Bytes of the raised digits and minus at p, which are appended as ^{2}, ^{-10}; 0 where there are
 * none. The compatibility form would make 10 squared a 102. */
size_t lmw_text_exponent(const char *p, struct lmw_buf *out);
/* Whether p is the ** of a power (10**2, x**2), not of bold text. */
bool lmw_text_is_power(const char *begin, const char *p);
/* Appends the words of a text in folded case, without punctuation and English articles, one space
 * between two. keep_numbers: signs inside numbers stay. */
void lmw_text_fold(lmw_str s, bool keep_numbers, struct lmw_buf *out);

#endif
