/* A scratch folder per test, where a store goes: for the tests of the store. */
#ifndef LMW_TESTS_STORE_SCRATCH_H
#define LMW_TESTS_STORE_SCRATCH_H

#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64], db[128];

/* setup */
static inline int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "%s", "/tmp/lmwatt-store-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(db, sizeof db, "%s/s.db", folder);
    return 0;
}

/* teardown, also of what a test made read-only */
static inline int remove_folder(void **state)
{
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+w %s; rm -rf %s", folder, folder);
    return system(command);
}

static inline struct lmw_store *open_store(void)
{
    struct lmw_store *s;
    struct lmw_err err = {0};
    if (lmw_store_open(&s, db, &err) != LMW_OK)
        fail_msg("%s", err.msg);
    return s;
}

static inline void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

#endif
