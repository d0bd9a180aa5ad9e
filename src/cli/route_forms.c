/* What the verbs of `lmwatt route` show alike: numbers, tables, and the strategies asked for.
 * Below them all: it calls no verb. */
#include "cli/route.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

json_t *route_number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

void route_put(char out[32], double v, double scale, int digits)
{
    bool vanishes = fabs(v * scale) < 0.5 * pow(10, -digits); /* not "-0.0" */
    if (isfinite(v))
        snprintf(out, 32, "%.*f", digits, vanishes ? 0 : v * scale);
    else
        snprintf(out, 32, "-");
}

void route_amount(char out[40], const char *estimate, double v, int digits)
{
    bool vanishes = v != 0 && fabs(v) < pow(10, -digits);
    if (isfinite(v))
        snprintf(out, 40, vanishes ? "%s%.*e" : "%s%.*f", estimate, vanishes ? 1 : digits, v);
    else
        snprintf(out, 40, "-");
}

void route_row(struct lmw_grid *g, const char *const *cells)
{
    for (int k = 0; k < g->n_column; k++)
        lmw_grid_cell(g, "%s", cells[k]);
}

int route_print(struct lmw_grid *g, struct lmw_err *err)
{
    struct lmw_buf out = {0};
    lmw_grid_put(g, 1, &out);
    if (out.ptr && !out.failed) {
        lmw_text_tame(out.ptr, true);
        fputs(out.ptr, stdout);
    }
    bool failed = out.failed;
    lmw_buf_free(&out);
    lmw_grid_free(g);
    return failed ? lmw_fail(err, LMW_ENOMEM, "no memory for a table") : LMW_OK;
}

int route_strategies(struct route_job *j, struct lmw_strategy **s, int *n, struct lmw_err *err)
{
    const struct lmw_sweep sweep = {j->random.v,   j->accuracy.v, j->random.n,
                                    j->accuracy.n, j->semantics,  j->n_semantics};
    struct lmw_strategy *all;
    int rc = lmw_route_strategies(&j->routes.cells, &sweep, &j->arena, s, n, err);
    if (rc < 0 || !j->trust)
        return rc;
    if (!(all = LMW_NEW(&j->arena, struct lmw_strategy, (size_t)*n + 1)))
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d strategies", *n);
    memcpy(all, *s, (size_t)*n * sizeof *all);
    all[(*n)++] = j->fitted;
    *s = all;
    return LMW_OK;
}
