/* Fuzzes the GGUF reader. What parses is then walked as the rest of lmwatt would: every key by
 * every getter, every string, every tensor's first and last block turned to floats and back into
 * each block format. Whatever the bytes say, nothing may be read outside them. Corpus:
 * corpus_gguf.py. */
#include "engine/gguf.h"
#include "engine/quant.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* keeps reads from being optimised away */

static void walk_kv(const struct lmw_gguf *g, const struct lmw_kv *kv)
{
    char key[128];
    struct lmw_err err;
    int64_t i64 = 0;
    double real = 0;
    bool flag = false;
    lmw_str s = {0};
    const uint8_t *cursor = kv->data;
    for (uint64_t i = 0; i < kv->n; i++) {
        if (kv->elem == LMW_KV_STR) {
            s = lmw_kv_next_str(&cursor);
            sink += s.len ? (uint8_t)s.ptr[0] + (uint8_t)s.ptr[s.len - 1] : 0;
        } else {
            real += lmw_kv_real_at(kv, i);
            sink += (uint64_t)lmw_kv_int_at(kv, i);
        }
    }
    sink += (uint64_t)lmw_kv_int_at(kv, kv->n) + (uint64_t)(real != 0);
    if (kv->key.len >= sizeof(key))
        return;
    memcpy(key, kv->key.ptr, kv->key.len);
    key[kv->key.len] = 0;
    if (lmw_gguf_find(g, key) != kv)
        abort();
    lmw_gguf_int(g, key, &i64, &err);
    lmw_gguf_real(g, key, &real, &err);
    lmw_gguf_bool(g, key, &flag, &err);
    lmw_gguf_str(g, key, &s, &err);
}

static void walk_tensor(const struct lmw_tensor *t)
{
    float x[LMW_QK];
    int n = lmw_type_block(t->type);
    size_t bytes = lmw_type_row_size(t->type, n);
    lmw_to_f32(t->type, t->data, x, n);
    lmw_to_f32(t->type, (const uint8_t *)t->data + t->size - bytes, x, n);
}

/* Floats of the file's own choosing, through every quantiser. */
static void requantise(const struct lmw_tensor *t)
{
    static const enum lmw_type types[] = {LMW_F16,  LMW_BF16, LMW_Q8_0,
                                          LMW_Q4_K, LMW_Q5_K, LMW_Q6_K};
    float x[LMW_QK];
    uint8_t block[LMW_QK * 4];
    if (t->ne[0] < LMW_QK)
        return;
    lmw_to_f32(t->type, t->data, x, LMW_QK);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        lmw_from_f32(types[i], x, block, LMW_QK);
        lmw_to_f32(types[i], block, x, LMW_QK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lmw_gguf *g;
    struct lmw_err err;
    if (lmw_gguf_parse(&g, data, size, &err) < 0) {
        if (err.code >= 0 || !err.msg[0])
            abort();
        return 0;
    }
    for (int64_t i = 0; i < lmw_gguf_n_kv(g); i++)
        walk_kv(g, lmw_gguf_kv(g, i));
    for (int64_t i = 0; i < lmw_gguf_n_tensor(g); i++)
        walk_tensor(lmw_gguf_tensor(g, i));
    if (lmw_gguf_n_tensor(g) > 0)
        requantise(lmw_gguf_tensor(g, 0));
    lmw_gguf_find_tensor(g, "token_embd.weight");
    lmw_gguf_close(g);
    return 0;
}
