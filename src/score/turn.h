/* Inside the score room: where an answer ends and a model that was not stopped goes on. */
#ifndef LMW_SCORE_TURN_H
#define LMW_SCORE_TURN_H

#include "base/str.h"

/* The offset of the first mark of another turn at or behind `from`; s.len where there is none. */
size_t lmw_turn_at(lmw_str s, size_t from);
/* What an answer says before it goes on with another question: up to the first mark of a turn
 * behind a stated result, or behind a single line. All of it where there is no such mark. */
lmw_str lmw_turn_first(lmw_str answer);

#endif
