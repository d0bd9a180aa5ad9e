/* A session from inside: where it keeps what its passes share. See session.c. */
#ifndef LMW_ENGINE_SESSION_H
#define LMW_ENGINE_SESSION_H

#include "engine/pass.h"

struct lmw_session {
    struct lmw_engine *engine;
    struct lmw_arena arena;
    struct lmw_plan plan, alone; /* for all threads together, and for one with its tokens */
    int n_past;
    int n_logits;   /* rows of the last eval */
    int n_rope_pos; /* positions the rotary tables are filled for */
    void **state;   /* [n_layer * 2]: token and channel mixers' */
    float **rope;   /* [n_rope] -> [n_ctx, n_rot / 2, 2]: cosine, sine */
    float *x, *out; /* [n_row, n_embd], [n_batch, n_embd] */
    struct lmw_rows in;
    uint8_t *scratch;
    float *logits;   /* [n_ctx, n_vocab] */
    int32_t *answer; /* [n_ctx] ids of the last answer */
    struct lmw_barrier barrier;
    struct lmw_taken *taken; /* [n_thread] */
    unsigned turn;           /* of the passes so far */
};

/* Says that what comes after n tokens is no number. */
int lmw_session_no_number(int n, struct lmw_err *err);

#endif
