/* What a meter lists of the machine under a root, and one source of it. */
#ifndef LMW_TESTS_METER_LIST_H
#define LMW_TESTS_METER_LIST_H

#include "meter/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { CAP = 32 };

static inline int list(const char *root, const char *sources, struct lmw_source_info out[CAP],
                       struct lmw_err *err)
{
    struct lmw_meter_opts o = {.sysroot = root, .sources = sources};
    return lmw_meter_list(&o, out, CAP, err);
}

static inline const struct lmw_source_info *named(const struct lmw_source_info *s, int n,
                                                  const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(s[i].name, name) == 0)
            return &s[i];
    }
    fail_msg("no source %s", name);
    return NULL;
}

#endif
