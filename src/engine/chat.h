/* Chat templates: a user's message -> the text a model was trained to answer.
 *
 * `tmpl` is what a GGUF's `tokenizer.chat_template` holds: Jinja, rendered as every other engine
 * renders it (whitespace control, and one newline at the very end of the template is dropped,
 * Jinja's keep_trailing_newline = false). Of Jinja this build knows literal text, and {{ }} with
 * string literals, bos_token and messages[0]'s content, joined by +. Anything else is
 * LMW_EUNSUPPORTED: the message names it, and `out` is as it was. */
#ifndef LMW_ENGINE_CHAT_H
#define LMW_ENGINE_CHAT_H

#include "base/err.h"
#include "base/str.h"

/* One user message through the template, appended to out. An empty template gives the message
 * unchanged. */
int lmw_chat_render(lmw_str tmpl, lmw_str bos, lmw_str message, struct lmw_buf *out,
                    struct lmw_err *err);

#endif
