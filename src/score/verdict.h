/* DOOR. What a judge model is asked, and what its reply says: pure text to text.
 *
 *     lmw_verdict_ask(LMW_POINTWISE, question, reference, answer, &prompt);
 *     lmw_verdict_read(LMW_POINTWISE, reply, &verdict)
 *
 * Pairwise is asked in both orders; lmw_verdict_pair() says what the two replies make together. */
#ifndef LMW_SCORE_VERDICT_H
#define LMW_SCORE_VERDICT_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum lmw_verdict_kind {
    LMW_POINTWISE, /* first: the reference, second: the answer */
    LMW_PAIRWISE,  /* first: answer A, second: answer B */
};

struct lmw_said {
    int value;        /* pointwise: 1 right, 0 wrong. Pairwise, for A: 2 A>>B, 1 A>B, 0, -1, -2 */
    char reason[160]; /* UTF-8, one line */
};

/* Appends the prompt. */
void lmw_verdict_ask(enum lmw_verdict_kind kind, const char *question, const char *first,
                     const char *second, struct lmw_buf *out);
/* FNV-1a over the wording, so that a verdict says what was asked. */
uint64_t lmw_verdict_hash(enum lmw_verdict_kind kind);
/* False: the reply is no verdict. Accepted is one JSON object with exactly the fields "reason", a
 * text, and "verdict" (true or false; pairwise "A>>B", "A>B", "A=B", "B>A", "B>>A"), alone or
 * alone in a code fence, behind the judge's thoughts. */
bool lmw_verdict_read(enum lmw_verdict_kind kind, lmw_str reply, struct lmw_said *out);
/* What `ours` is worth, asked as A in one order and as B in the other: 1 when both orders say it
 * wins, or both that it is level; 0 when both say it loses, or when they disagree (*disagree). */
double lmw_verdict_pair(int as_a, int as_b, bool *disagree);

#endif
