/* A machine of files in a scratch folder, and a meter that looks at nothing else. */
#ifndef LMW_TESTS_METER_MACHINE_H
#define LMW_TESTS_METER_MACHINE_H

#include "meter/meter.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_LISTED = 64 };

struct machine {
    char root[64];
    struct lmw_meter *m;
    struct lmw_err err;
    struct lmw_source_info s[MAX_LISTED]; /* what was listed last, for a test that keeps it */
    int n;
};

static inline struct machine empty_machine(void)
{
    struct machine x = {.root = "/tmp/lmw-machine-XXXXXX"};
    assert_non_null(mkdtemp(x.root));
    return x;
}

static inline void remove_root(const struct machine *x)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", x->root);
    assert_int_equal(system(command), 0);
}

static inline void end(struct machine *x)
{
    lmw_meter_close(x->m);
    remove_root(x);
}

__attribute__((format(printf, 3, 4))) static inline void put(const struct machine *x,
                                                             const char *path, const char *format,
                                                             ...)
{
    char name[512];
    va_list ap;
    snprintf(name, sizeof name, "%s/%s", x->root, path);
    char *slash = strrchr(name, '/');
    *slash = 0;
    assert_int_equal(lmw_mkdirs(name, NULL), LMW_OK);
    *slash = '/';
    struct lmw_atomic w;
    assert_int_equal(lmw_atomic_open(&w, name, NULL), LMW_OK);
    va_start(ap, format);
    vfprintf(w.f, format, ap);
    va_end(ap);
    assert_int_equal(lmw_atomic_commit(&w, NULL), LMW_OK);
}

/* Metered by marks alone. */
static inline void start(struct machine *x, const char *sources)
{
    struct lmw_meter_opts o = {.sysroot = x->root, .sources = sources, .rate_hz = 0.001};
    if (lmw_meter_open(&x->m, &o, &x->err) < 0)
        fail_msg("%s", x->err.msg);
    assert_int_equal(lmw_meter_start(x->m, &x->err), LMW_OK);
}

static inline struct lmw_energy ask(struct machine *x, int64_t start_ns, int64_t end_ns)
{
    struct lmw_span span = {start_ns, LMW_NULL, end_ns};
    struct lmw_energy e;
    assert_int_equal(lmw_meter_span(x->m, &span, &e, &x->err), LMW_OK);
    return e;
}

#endif
