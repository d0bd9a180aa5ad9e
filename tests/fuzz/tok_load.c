/* Any bytes as a GGUF file's vocabulary: refused, or a tokenizer that encodes and decodes. */
#include "engine/tok.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lmw_gguf *g;
    struct lmw_tok *t;
    int32_t ids[256];
    if (lmw_gguf_parse(&g, data, size, NULL) < 0)
        return 0;
    if (lmw_tok_load(&t, g, NULL) == 0) {
        lmw_gguf_close(g); /* the tokenizer must not need it */
        size_t n = lmw_tok_encode(t, LMW_STR(" a\xff</s> the <|eos|>\n\xc3\xa9 12"), true, true,
                                  ids, 256);
        for (size_t i = 0; i < n && i < 256; i++)
            lmw_tok_piece(t, ids[i]);
        lmw_tok_free(t);
        return 0;
    }
    lmw_gguf_close(g);
    return 0;
}
