/* CSV through its door: where rows end, what the cells of one are, and what is refused. */
#include "base/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static size_t row_end(const char *text)
{
    struct lmw_csv_row row = {0};
    return lmw_csv_row_end(&row, lmw_str_from(text), ',');
}

static void test_where_a_row_ends(void **state)
{
    assert_int_equal(row_end("a,b\nc"), 4);
    assert_int_equal(row_end("a,\"x\ny\",b\nc"), 10);
    assert_int_equal(row_end("a,\"say \"\"\n\"\"\"\nb"), 14);
    assert_int_equal(row_end("5\" pipe\n6\" pipe\n"), 8); /* no cell begins with these */
    assert_int_equal(row_end("\n"), 1);
    assert_int_equal(row_end("a,b"), 0);
    assert_int_equal(row_end("\"a\nb\n"), 0);
}

static void test_a_row_in_pieces(void **state)
{
    const char *text = "a,\"x\n\"\"\n\",b\nc";
    struct lmw_csv_row row = {0};
    for (size_t i = 0; i < 11; i++)
        assert_int_equal(lmw_csv_row_end(&row, (lmw_str){text + i, 1}, ','), 0);
    assert_int_equal(lmw_csv_row_end(&row, (lmw_str){text + 11, 2}, ','), 1);
}

static void test_cells(void **state)
{
    static const struct {
        const char *text;
        bool is_quoted;
    } wanted[] = {{"a", false},      {"", false},  {"", true},     {"b,\nc", true},
                  {"\"d\" e", true}, {"\"", true}, {"5\"", false}, {" f ", false}};
    lmw_str rest = LMW_STR("a,,\"\",\"b,\nc\",\"\"\"d\"\" e\",\"\"\"\",5\", f ");
    struct lmw_csv_cell cell;
    struct lmw_buf spare = {0};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_int_equal(lmw_csv_cell(&rest, ',', &cell, &spare, NULL), LMW_OK);
        if (!lmw_str_is(cell.text, wanted[i].text) || cell.is_quoted != wanted[i].is_quoted)
            fail_msg("cell %zu is '%.*s'", i, LMW_FMT(cell.text));
        if (rest.len > 0)
            rest = (lmw_str){rest.ptr + 1, rest.len - 1};
    }
    assert_int_equal(rest.len, 0);
    lmw_buf_free(&spare);
}

static void refuses(const char *text, const char *says)
{
    lmw_str rest = lmw_str_from(text);
    struct lmw_csv_cell cell;
    struct lmw_buf spare = {0};
    struct lmw_err err = {0};
    assert_int_equal(lmw_csv_cell(&rest, ',', &cell, &spare, &err), LMW_EFORMAT);
    if (!strstr(err.msg, says))
        fail_msg("%s: %s", text, err.msg);
    lmw_buf_free(&spare);
}

static void test_what_is_refused(void **state)
{
    refuses("\"a", "never closed");
    refuses("\"a\"\"", "never closed");
    refuses("\"a\"b", "behind a closing quote");
    refuses("\"a\" ,b", "behind a closing quote");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_a_row_ends),
        cmocka_unit_test(test_a_row_in_pieces),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
