/* Any bytes as a chat template: refused with nothing appended, or rendered. */
#include "engine/chat.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lmw_buf out = {0};
    lmw_buf_str(&out, "kept");
    int rc = lmw_chat_render((lmw_str){(const char *)data, size}, LMW_STR("<s>"), LMW_STR("hello"),
                             &out, NULL);
    if (rc < 0 && (out.len != 4 || strcmp(out.ptr, "kept")))
        abort();
    lmw_buf_free(&out);
    return 0;
}
