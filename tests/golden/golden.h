/* What golden tests share: the folder of outside references, comparing logits, feeding a session.
 */
#ifndef TESTS_GOLDEN_GOLDEN_H
#define TESTS_GOLDEN_GOLDEN_H

#include "base/cpu.h"
#include "engine/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKIP = 77 };

/* ../shared next to the source tree, or $LMW_SHARED. */
static inline const char *shared_path(const char *rest)
{
    static char path[1024];
    const char *root = getenv("LMW_SHARED");
    snprintf(path, sizeof path, "%s/%s", root && *root ? root : "../shared", rest);
    return path;
}

/* n floats (0: as many as there are) of a raw file; NULL when it is not there or too short. */
static inline float *read_floats(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    size_t have = (size_t)ftell(f) / sizeof(float);
    rewind(f);
    float *x = have >= *n ? malloc((have + 1) * sizeof(float)) : NULL;
    if (x && fread(x, sizeof(float), have, f) != have) {
        free(x);
        x = NULL;
    }
    fclose(f);
    *n = have;
    return x;
}

/* max|a - b| / max|b| */
static inline double rel_error(const float *a, const float *b, size_t n)
{
    double diff = 0, max = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= diff)) /* NaN counts as the worst */
            diff = isnan(d) ? (double)INFINITY : d;
        max = fmax(max, fabs((double)b[i]));
    }
    return diff / max;
}

static inline int32_t argmax(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

/* Logits of every position, the prompt fed `chunk` at a time, into out [n, n_vocab]. */
static inline int feed(struct lmw_session *s, const int32_t *ids, int n, int chunk, float *out,
                       int n_vocab, struct lmw_err *err)
{
    lmw_session_truncate(s, 0);
    for (int i = 0; i < n; i += chunk) {
        int m = n - i < chunk ? n - i : chunk;
        int rc = lmw_session_eval(s, ids + i, m, LMW_LOGITS_ALL, err);
        if (rc < 0)
            return rc;
        memcpy(out + (size_t)i * n_vocab, lmw_session_logits(s, 0),
               (size_t)m * n_vocab * sizeof(float));
    }
    return LMW_OK;
}

#endif
