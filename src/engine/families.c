/* GGUF architecture name -> the stack of blocks it is made of. One row per architecture.
 *
 * A row says which mixers a layer has and where its norms are; the mixers find the rest by the
 * tensor names all architectures share. What a file asks for beyond that (a key that changes the
 * arithmetic, a tensor nobody binds) is refused by name: a model half understood would answer
 * nonsense. Names: llama.cpp's gguf-py constants. */
#include "engine/model.h"

#include <stdio.h>
#include <string.h>

static const struct lmw_family families[] = {
    {"llama", &lmw_attention, &lmw_dense, "attn_norm.weight", "ffn_norm.weight"},
};
enum { N_FAMILY = sizeof families / sizeof *families };

int lmw_family_find(const struct lmw_family **out, lmw_str arch, struct lmw_err *err)
{
    char known[256] = "";
    for (int i = 0; i < N_FAMILY; i++) {
        if (lmw_str_is(arch, families[i].arch)) {
            *out = &families[i];
            return LMW_OK;
        }
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", families[i].arch);
    }
    int shown = arch.len < 64 ? (int)arch.len : 64;
    return lmw_fail(err, LMW_EUNSUPPORTED,
                    "architecture '%.*s' is not one this build knows; it knows: %s. A server that "
                    "runs it can be measured (`lmwatt measure -b openai`)",
                    shown, arch.ptr, known);
}

/* Keys that mean other arithmetic, unless they have the value that switches them off. */
static const struct {
    const char *key;
    double off;
} refused[] = {
    {"expert_count", 0},
    {"attention.sliding_window", 0},
    {"attention.scale", 0},
    {"attention.clamp_kqv", 0},
    {"attention.max_alibi_bias", 0},
    {"attn_logit_softcapping", 0},
    {"final_logit_softcapping", 0},
    {"attention.causal", 1},
    {"logit_scale", 0},
    {"residual_scale", 0},
    {"embedding_scale", 0},
};

static int number(const struct lmw_gguf *g, const char *key, double *out, struct lmw_err *err)
{
    bool flag;
    int64_t integer;
    if (lmw_gguf_bool(g, key, &flag, NULL) == LMW_OK)
        *out = flag;
    else if (lmw_gguf_int(g, key, &integer, NULL) == LMW_OK)
        *out = (double)integer;
    else if (lmw_gguf_real(g, key, out, NULL) != LMW_OK)
        return lmw_fail(err, LMW_EFORMAT, "%s is not a number", key);
    return LMW_OK;
}

int lmw_family_check_keys(const struct lmw_family *f, const struct lmw_gguf *g,
                          struct lmw_err *err)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char key[128];
        double v = 0;
        int rc;
        snprintf(key, sizeof key, "%s.%s", f->arch, refused[i].key);
        if (!lmw_gguf_find(g, key))
            continue;
        if ((rc = number(g, key, &v, err)) < 0)
            return rc;
        if (v != refused[i].off)
            return lmw_fail(err, LMW_EUNSUPPORTED,
                            "%s = %g: this build computes '%s' models without it only. A server "
                            "that runs it can be measured (`lmwatt measure -b openai`)",
                            key, v, f->arch);
    }
    return LMW_OK;
}
