/* Energy between updates. */
#include "meter/fit.h"

#include <math.h>

#include "base/record.h"

static double energy_at(const struct series *s, int64_t first, int64_t n, int64_t t_ns)
{
    int64_t i = series_upper(s, first, n, t_ns) - 1;
    const struct sample *a = series_at(s, i), *b = a;
    for (int64_t j = i + 1; j < n; j++) {
        if (!(series_at(s, j)->flags & S_NONE)) {
            b = series_at(s, j);
            break;
        }
    }
    if (b->t_ns <= a->t_ns || t_ns <= a->t_ns)
        return (double)a->v;
    return (double)a->v +
           (double)(b->v - a->v) * (double)(t_ns - a->t_ns) / (double)(b->t_ns - a->t_ns);
}

void fit_span(const struct series *s, int64_t first, int64_t n, const struct known_spans *known,
              const struct lmw_span *span, struct fit *out)
{
    double e0 = energy_at(s, first, n, span->start_ns), e1 = energy_at(s, first, n, span->end_ns);
    *out = (struct fit){.energy_uj = e1 - e0, .half_uj = 0.05 * (e1 - e0)};
    if (span->first_ns != LMW_NULL)
        out->prefill_uj = energy_at(s, first, n, span->first_ns) - e0;
}
