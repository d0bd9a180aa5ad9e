/* Token prices: what a record costs by them, and files that are refused. */
#include "base/prices.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int open_text(struct lmw_price_list **list, const char *text, struct lmw_err *err)
{
    char path[] = "/tmp/lmwatt-prices-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int rc = lmw_price_list_open(list, path, err);
    unlink(path);
    return rc;
}

static void test_what_a_record_costs(void **state)
{
    struct lmw_price_list *list;
    struct lmw_err err;
    struct lmw_record r;
    assert_int_equal(open_text(&list,
                               "{\"A\":{\"prompt\":2,\"cached\":0.5,\"completion\":10},"
                               "\"B\":{\"prompt\":1,\"completion\":0}}",
                               &err),
                     LMW_OK);
    lmw_record_clear(&r);
    r.model = "A";
    r.completion_tokens = 100;
    assert_true(isnan(lmw_price_list_cost(list, &r))); /* tokens not known */
    r.prompt_tokens = 1000;
    assert_true(fabs(lmw_price_list_cost(list, &r) - 0.003) < 1e-15);
    r.cached_tokens = 400; /* 600 x 2 + 400 x 0.5 + 100 x 10 */
    assert_true(fabs(lmw_price_list_cost(list, &r) - 0.0024) < 1e-15);
    r.model = "B"; /* cached at the price of others */
    assert_true(fabs(lmw_price_list_cost(list, &r) - 0.001) < 1e-15);
    r.model = "C";
    assert_true(isnan(lmw_price_list_cost(list, &r)));
    r.model = NULL;
    assert_true(isnan(lmw_price_list_cost(list, &r)));
    assert_non_null(strstr(lmw_price_list_origin(list), "lmwatt-prices-"));
    assert_null(strchr(lmw_price_list_origin(list), '/'));
    lmw_price_list_close(list);
}

static void refuse(const char *text, const char *says)
{
    struct lmw_price_list *list;
    struct lmw_err err;
    assert_int_equal(open_text(&list, text, &err), LMW_EFORMAT);
    assert_null(list);
    if (!strstr(err.msg, says))
        fail_msg("'%s' does not say '%s'", err.msg, says);
}

static void test_what_is_no_price_list(void **state)
{
    refuse("", "not JSON");
    refuse("[]", "not JSON");
    refuse("{\"A\":{\"prompt\":1}}", "'A' needs prices");
    refuse("{\"A\":1}", "'A' needs prices");
    refuse("{\"A\":{\"prompt\":1,\"completion\":-1}}", "'completion' must be");
    refuse("{\"A\":{\"prompt\":\"1\",\"completion\":1}}", "'prompt' must be");
    refuse("{\"A\":{\"prompt\":1,\"completion\":1,\"output\":2}}", "a price 'output'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_record_costs),
        cmocka_unit_test(test_what_is_no_price_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
