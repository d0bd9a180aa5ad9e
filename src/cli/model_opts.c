/* What generate, bench and perplexity share: opening a model, ids of a text, JSON of a result. */
#include "cli/model_opts.h"

#include "cli/cli.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

int cli_engine_open(struct lmw_engine **e, const char *path, int64_t n_thread, struct lmw_err *err)
{
    struct lmw_engine_opts opts = {.n_thread = (int)n_thread};
    int rc = cli_cpu_mask(&opts.cpu_mask, err);
    return rc < 0 ? rc : lmw_engine_open(e, path, &opts, err);
}

int cli_tokenize(const struct lmw_engine *e, lmw_str text, int32_t **ids, int *n,
                 struct lmw_err *err)
{
    size_t need = lmw_engine_tokenize(e, text, true, NULL, 0);
    if (need > INT_MAX)
        return lmw_fail(err, LMW_EARG, "a text of %zu tokens", need);
    if (!(*ids = malloc((need + 1) * sizeof **ids)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %zu tokens", need);
    *n = (int)lmw_engine_tokenize(e, text, true, *ids, need);
    if (*n > 0)
        return LMW_OK;
    free(*ids);
    *ids = NULL;
    return lmw_fail(err, LMW_EARG, "no tokens: the text is empty, or the model has no vocabulary");
}

/* Length of the valid UTF-8 character at the start of s, 0 if there is none. */
static size_t utf8_len(lmw_str s)
{
    unsigned char c = (unsigned char)s.ptr[0];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 4;
    if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || n > s.len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)s.ptr[i] & 0xc0) != 0x80)
            return 0;
    json_t *probe = json_stringn(s.ptr, n); /* surrogates and overlong forms: its rules count */
    json_decref(probe);
    return probe ? n : 0;
}

json_t *cli_json_text(lmw_str s)
{
    json_t *whole = json_stringn(s.ptr ? s.ptr : "", s.len);
    if (whole)
        return whole;
    struct lmw_buf b = {0};
    while (s.ptr && s.len) {
        size_t n = utf8_len(s);
        lmw_buf_put(&b, n ? s.ptr : "\xef\xbf\xbd", n ? n : 3);
        s.ptr += n ? n : 1;
        s.len -= n ? n : 1;
    }
    whole = json_stringn(b.ptr ? b.ptr : "", b.len);
    lmw_buf_free(&b);
    return whole;
}

int cli_json_print(json_t *object)
{
    if (!object) {
        fprintf(stderr, "lmwatt: no memory for the result\n");
        return 1;
    }
    json_dumpf(object, stdout, JSON_COMPACT); /* main looks whether stdout took it */
    json_decref(object);
    putchar('\n');
    return 0;
}
