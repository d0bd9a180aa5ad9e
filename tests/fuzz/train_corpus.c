/* Training data as JSONL: any bytes are a corpus or an error. The first byte chooses the
 * template. */
#include "train/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static char path[] = "/tmp/lmw-fuzz-XXXXXX.jsonl";

static void remove_path(void)
{
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static int fd = -1;
    if (fd < 0 && ((fd = mkstemps(path, 6)) < 0 || atexit(remove_path) != 0))
        abort();
    if (len == 0 || ftruncate(fd, 0) < 0 ||
        pwrite(fd, bytes + 1, len - 1, 0) != (ssize_t)(len - 1))
        return 0;
    const lmw_str template =
        bytes[0] % 2 ? LMW_STR("{{ messages[0]['content'] + '\\n' }}") : LMW_STR("");
    struct lmw_corpus *c;
    struct lmw_tok *tok = NULL;
    struct lmw_train_data *d = NULL;
    struct lmw_err err;
    if (lmw_corpus_read(&c, path, template, &err) < 0)
        return 0;
    if (lmw_corpus_tokenizer(c, 258, false, &tok, &err) == LMW_OK &&
        lmw_corpus_encode(c, tok, 16, 0.1, &d, &err) == LMW_OK)
        for (int64_t i = 0; i < d->n_tok; i++)
            if (d->id[i] < 0 || d->id[i] >= d->n_vocab)
                abort();
    lmw_train_data_free(d);
    lmw_tok_free(tok);
    lmw_corpus_free(c);
    return 0;
}
