/* Router files from outside: what is read decides, and its trust is a probability or not known. */
#include "route/router.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lmw_router *r;
    struct lmw_err err;
    if (lmw_router_parse(&r, (lmw_str){(const char *)data, size}, &err) < 0)
        return 0;
    const struct lmw_router_info *i = lmw_router_info(r);
    const double signal[LMW_SIGNALS] = {-1, 0.5, 0.75};
    double *trust = calloc((size_t)i->n_local, sizeof *trust);
    float *vector = calloc((size_t)i->embedding.n + 1, sizeof *vector);
    vector[0] = 1;
    int choice = trust ? lmw_router_decide(r, LMW_STR("where is my order?"), vector, trust) : 0;
    if (choice < 0 || choice > i->n_local)
        __builtin_trap();
    for (int m = 0; trust && m < i->n_local; m++) {
        double t = i->tries_first ? lmw_router_trust(r, m, signal) : trust[m];
        if (t < 0 || t > 1)
            __builtin_trap();
    }
    free(vector);
    free(trust);
    lmw_router_close(r);
    return 0;
}
