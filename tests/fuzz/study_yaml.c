/* Studies in a file: whatever the bytes, they make runs that each have a model, a workload and a
 * backend, or an error that names the file. */
#include <stdint.h>
#include <stdlib.h>

#include "study/study.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lmw_study_opts defaults = {.n_repeat = 1, .top_p = 1};
    struct lmw_study base = {.runs = &defaults, .n_run = 1};
    struct lmw_study_file *f;
    struct lmw_err err = {0};

    if (lmw_backend_find("embedded", &defaults.backend, NULL) < 0)
        abort();
    defaults.backend_opts.max_tokens = 1;
    if (lmw_study_read_bytes(&f, (lmw_str){(const char *)data, size}, "fuzz", &base, &err) < 0) {
        if (f || !strstr(err.msg, "fuzz"))
            abort();
        return 0;
    }
    const struct lmw_study *s = lmw_study_of(f);
    if (s->n_run < 1)
        abort();
    for (int i = 0; i < s->n_run; i++) {
        const struct lmw_study_opts *r = &s->runs[i];
        if (!r->backend_opts.model || !r->workload || !r->backend || r->n_repeat < 1 ||
            !(r->top_p > 0 && r->top_p <= 1))
            abort();
    }
    lmw_study_close(f);
    return 0;
}
