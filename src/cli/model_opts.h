/* Options shared by the commands that open one model themselves. */
#ifndef LMW_CLI_MODEL_OPTS_H
#define LMW_CLI_MODEL_OPTS_H

#include "base/err.h"
#include "base/str.h"
#include "engine/engine.h"

#include <jansson.h>

/* Opens the model with LMW_CPU's kernel levels and n_thread (0: all processors). */
int cli_engine_open(struct lmw_engine **e, const char *path, int64_t n_thread,
                    struct lmw_err *err);
/* The whole text as ids in memory the caller frees; *n is their count. */
int cli_tokenize(const struct lmw_engine *e, lmw_str text, int32_t **ids, int *n,
                 struct lmw_err *err);
/* A string value from bytes that need not be UTF-8 (what is not becomes U+FFFD). */
json_t *cli_json_text(lmw_str s);
/* Prints an object on one line of stdout, drops it, returns the exit status. */
int cli_json_print(json_t *object);

#endif
