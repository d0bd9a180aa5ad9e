/* Arbitrary bytes as a model: refused with an error, or loaded and run for two tokens. */
#include "engine/model.h"
#include "base/cpu.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* One byte picks the level and the cache, so that both are met. */
    unsigned mode = size ? data[size - 1] : 0;
    struct lmw_engine_opts opts = {
        .n_thread = 1, .cpu_mask = mode & 1 ? UINT32_MAX : 0, .kv_f32 = mode & 2};
    struct lmw_engine *e;
    struct lmw_session *s;
    struct lmw_err err = {0};
    if (lmw_engine_parse(&e, data, size, &opts, &err) < 0) {
        if (!err.code || !err.msg[0])
            abort(); /* a refusal says why */
        return 0;
    }
    if (lmw_session_open(&s, e, 8, &err) == 0) {
        int32_t ids[2] = {0, lmw_engine_info(e)->n_vocab - 1};
        if (lmw_session_eval(s, ids, 2, LMW_LOGITS_LAST, &err) < 0)
            abort();
        lmw_session_close(s);
    }
    lmw_engine_close(e);
    return 0;
}
