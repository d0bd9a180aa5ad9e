/* Which runs a command means: names as the user writes them, against the names in the store. */
#include "insight/insight.h"

#include <stdio.h>
#include <string.h>

/* NAME, or NAME/... */
static bool is_meant(const char *run, const char *name)
{
    size_t n = strlen(name);
    return strncmp(run, name, n) == 0 && (!run[n] || run[n] == '/');
}

static bool is_exact(const struct lmw_run *runs, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(runs[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool is_taken(const struct lmw_run *runs, int n, int64_t id)
{
    for (int i = 0; i < n; i++) {
        if (runs[i].id == id)
            return true;
    }
    return false;
}

static int unknown(const struct lmw_run *runs, int n, const char *name, struct lmw_err *err)
{
    char known[300] = "";
    for (int i = 0; i < n; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", runs[i].name);
    }
    return lmw_fail(err, LMW_EARG, "no run '%s' in this store (there %s: %s)", name,
                    n == 1 ? "is" : "are", n ? known : "none");
}

int lmw_insight_runs(struct lmw_store *s, const char *const *names, int n_name,
                     struct lmw_arena *arena, struct lmw_run **out, struct lmw_err *err)
{
    struct lmw_run *all;
    int n = lmw_store_runs(s, arena, &all, err), n_out = 0;
    *out = all;
    if (n <= 0 || n_name == 0)
        return n == 0 && n_name ? unknown(all, 0, names[0], err) : n;
    *out = LMW_NEW(arena, struct lmw_run, (size_t)n * (size_t)n_name);
    if (!*out)
        return lmw_fail(err, LMW_ENOMEM, "no memory for %d runs", n);
    for (int k = 0; k < n_name; k++) {
        bool exact = is_exact(all, n, names[k]);
        int n_meant = 0;
        for (int i = 0; i < n; i++) {
            if (exact ? strcmp(all[i].name, names[k]) != 0 : !is_meant(all[i].name, names[k]))
                continue;
            n_meant++;
            if (!is_taken(*out, n_out, all[i].id))
                (*out)[n_out++] = all[i];
        }
        if (n_meant == 0)
            return unknown(all, n, names[k], err);
    }
    return n_out;
}
