/* Any bytes through a small trained vocabulary: encoding never fails, and decoding gives the
 * bytes back. */
#include "engine/tok.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lmw_tok *train(void)
{
    static const char *const texts[] = {
        "the cat sat on the mat, the hat and the bat; 100 hats cost 1000.50!",
        "Größe größer am größten \xe2\x82\xac\xe2\x82\xac 色は匂へど 色は",
        "    if (x == 0)\n        return x;\n\n    if (y == 0)\n        return y;\n",
    };
    struct lmw_tok *trained = NULL;
    lmw_str text[6];
    for (int i = 0; i < 6; i++)
        text[i] = lmw_str_from(texts[i % 3]);
    lmw_tok_train(&trained, text, 6, 300, false, NULL);
    return trained;
}

static struct lmw_tok *t;

static void done(void) /* its memory is in an arena, where the leak checker does not look */
{
    lmw_tok_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!t && (!(t = train()) || atexit(done)))
        abort();
    lmw_str text = {(const char *)data, size};
    int32_t *ids = malloc((size + 1) * sizeof *ids);
    size_t at = 0, n = lmw_tok_encode(t, text, false, false, ids, size + 1);
    if (!ids || n > size)
        abort();
    for (size_t i = 0; i < n; i++) {
        lmw_str piece = lmw_tok_piece(t, ids[i]);
        if (piece.len > size - at || memcmp(piece.ptr, data + at, piece.len))
            abort();
        at += piece.len;
    }
    if (at != size)
        abort();
    lmw_tok_encode(t, text, true, true, ids, size + 1);
    free(ids);
    return 0;
}
