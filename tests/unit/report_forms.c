/* The report's three forms: estimates carry ~, unknown is "-" or null, hostile names stay text. */
#include "report/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#define HOSTILE "</script><b>&\"x"

static struct lmw_summary measured(void)
{
    struct lmw_interval none = {NAN, NAN, NAN};
    return (struct lmw_summary){
        .run = {.name = "a",
                .date = "2026-11-21T00:00:00Z",
                .finished = true,
                .idle_before_mw = LMW_NULL,
                .idle_loaded_mw = LMW_NULL,
                .idle_after_mw = LMW_NULL,
                .peak_rss_bytes = LMW_NULL,
                .file_bytes = 7300000},
        .model = "m",
        .quantization = "Q8_0",
        .basis = "rapl:package-0",
        .n_record = 10,
        .n_valid = 10,
        .accuracy = {0.97, 0.95, 0.98},
        .tok_per_s = 1234.5,
        .ttft_p50_ms = 2.5,
        .ttft_p90_ms = 3,
        .latency_p50_ms = 20,
        .power_w = {25, 24, 26},
        .energy_j = {0.5, 0.45, 0.55},
        .net_j = none,
        .energy_bounds = {0.5, 0.4, 0.6},
        .j_per_token = 0.02,
        .ipw = {0.0388, 0.03, 0.04},
        .ipj = {1.94, 1.8, 2.0},
        .ipj_net = none,
        .ppw = NAN,
        .ppj = NAN,
        .prefill_j = NAN,
        .decode_j = NAN,
        .prompt_tokens = 20,
        .completion_tokens = 25,
        .pareto = true,
    };
}

static void text_marks_what_is_estimated_and_unknown(void **state)
{
    struct lmw_summary rows[] = {measured(), measured()};
    struct lmw_buf out = {0};
    rows[1].estimated = true;
    rows[1].basis = "~estimate";
    lmw_report_text(&(struct lmw_report){.rows = rows, .n_row = 2}, &out);
    assert_non_null(strstr(out.ptr, "  0.500  ")); /* measured: plain */
    assert_non_null(strstr(out.ptr, "~0.500"));    /* estimated */
    assert_non_null(strstr(out.ptr, "97.0 [95.0, 98.0]"));
    assert_non_null(strstr(out.ptr, "  -  ")); /* net joules and RSS are not known */
    assert_non_null(strstr(out.ptr, "no power meter"));
    assert_null(strstr(out.ptr, "nan"));
    lmw_buf_free(&out);
}

static void json_has_null_for_unknown(void **state)
{
    struct lmw_summary row = measured();
    struct lmw_buf out = {0};
    assert_int_equal(lmw_report_json(&(struct lmw_report){.rows = &row, .n_row = 1}, &out, NULL),
                     0);
    json_t *o = json_loads(out.ptr, 0, NULL), *run = json_array_get(json_object_get(o, "runs"), 0);
    assert_true(json_is_null(json_object_get(run, "peak_rss_bytes")));
    assert_true(json_is_null(json_object_get(json_object_get(run, "energy_net_j"), "value")));
    assert_true(json_real_value(json_object_get(json_object_get(run, "ipw"), "value")) == 0.0388);
    json_decref(o);
    lmw_buf_free(&out);
}

static void page_is_whole_and_escaped(void **state)
{
    struct lmw_summary row = measured();
    struct lmw_buf out = {0};
    row.model = row.run.name = row.basis = HOSTILE;
    assert_int_equal(lmw_report_html(&(struct lmw_report){.rows = &row, .n_row = 1}, &out, NULL),
                     0);
    assert_null(strstr(out.ptr, "<b>"));
    assert_non_null(strstr(out.ptr, "&lt;b&gt;&amp;&quot;x"));
    assert_null(strstr(out.ptr, "@TABLE@"));
    assert_null(strstr(out.ptr, "@DATA@"));
    assert_null(strstr(out.ptr, "src=\"http"));
    assert_non_null(strstr(out.ptr, "Chart"));
    lmw_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_marks_what_is_estimated_and_unknown),
        cmocka_unit_test(json_has_null_for_unknown),
        cmocka_unit_test(page_is_whole_and_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
