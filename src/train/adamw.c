/* Owns the update rule: AdamW (Loshchilov and Hutter 2019), decay decoupled from the gradient:
 *
 *     m += (1 - b1) (g - m)    v += (1 - b2) (g^2 - v)
 *     p -= lr (m c1 / (sqrt(v c2) + eps) + decay p),   c = 1 / (1 - b^t)
 *
 * Blocks of 16 let every compiler vectorise the loop; each operation is exact IEEE arithmetic
 * on its own element, so the tail and the blocks, and any vector width, give the same bits. */
#include "train/trainer.h"

#include <math.h>

static inline void update(const struct lmw_adamw *a, float g, float *restrict p, float *restrict m,
                          float *restrict v)
{
    g *= a->grad_scale;
    *m += (1 - a->beta1) * (g - *m);
    *v += (1 - a->beta2) * (g * g - *v);
    float step = *m * a->correct1 / (sqrtf(*v * a->correct2) + a->eps);
    *p -= a->lr * (step + a->weight_decay * *p);
}

void lmw_adamw(const struct lmw_adamw *a, size_t n, const float *restrict g, float *restrict p,
               float *restrict m, float *restrict v)
{
    const struct lmw_adamw k = *a;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t j = i; j < i + 16; j++)
            update(&k, g[j], p + j, m + j, v + j);
    for (; i < n; i++)
        update(&k, g[i], p + i, m + i, v + i);
}
