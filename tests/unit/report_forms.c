/* The report's three forms: estimates carry ~, unknown is "-" or null, hostile names stay text. */
#include "report/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOSTILE "</script><b>&\"x\x01\x1b[2J\x7f\xc2\x9b\xe2\x80\xae"

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
        .perplexity = NAN,
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
    rows[1].net_j.value = 0.25;
    lmw_report_text(&(struct lmw_report){.rows = rows, .n_row = 2}, &out);
    assert_non_null(strstr(out.ptr, "  0.500  ")); /* measured: plain */
    assert_non_null(strstr(out.ptr, "~0.500"));    /* estimated */
    assert_non_null(strstr(out.ptr, "97.0 [95.0, 98.0]"));
    assert_non_null(strstr(out.ptr, "  -  ")); /* net joules are known of one row only */
    assert_null(strstr(out.ptr, "RSS"));       /* of none: no column */
    assert_non_null(strstr(out.ptr, "~ joules are an estimate"));
    assert_null(strstr(out.ptr, "nan"));
    lmw_buf_free(&out);
}

/* Columns that tell nothing apart are left out; a run's name appears where nothing else tells rows
 * apart. */
static void columns_are_those_needed(void **state)
{
    struct lmw_summary rows[] = {measured(), measured()};
    struct lmw_report r = {.rows = rows, .n_row = 2};
    struct lmw_buf out = {0};
    rows[0].run.name = "first-run";
    rows[1].run.name = "second-run";
    rows[1].quantization = "Q4_K";
    lmw_report_text(&r, &out);
    assert_null(strstr(out.ptr, "first-run"));
    assert_null(strstr(out.ptr, "source"));
    assert_non_null(strstr(out.ptr, "joules from: rapl:package-0\n"));
    out.len = 0;
    rows[1].quantization = "Q8_0";
    rows[1].basis = "battery:BAT0";
    lmw_report_text(&r, &out);
    assert_non_null(strstr(out.ptr, "first-run"));
    assert_non_null(strstr(out.ptr, "source"));
    assert_non_null(strstr(out.ptr, "battery:BAT0\n"));
    lmw_buf_free(&out);
}

/* A cut name keeps whole characters, and no caveat's line is longer than a terminal. */
static void text_stays_narrow(void **state)
{
    enum { N = 40 };
    struct lmw_summary rows[N];
    struct lmw_buf out = {0};
    char names[N][96];
    for (int i = 0; i < N; i++) {
        rows[i] = measured();
        snprintf(names[i], sizeof names[i], "%02d-%s%s", i, "ääääääääääääääääääää",
                 "ääääääääääääääääääää");
        rows[i].run.name = names[i];
        rows[i].n_failed = 1 + i % 2;
        rows[i].run.finished = false;
    }
    lmw_report_text(&(struct lmw_report){.rows = rows, .n_row = N}, &out);
    assert_non_null(strstr(out.ptr, "ä…  Q8_0"));
    assert_non_null(strstr(out.ptr, "and 37 more."));
    assert_non_null(
        strstr(out.ptr, "goes on: all rows (each 10 queries so far).")); /* as much of each */
    for (char *line = strtok(out.ptr, "\n"); line; line = strtok(NULL, "\n")) {
        int n = 0;
        for (char *c = line; *c; c++)
            n += (*c & 0xc0) != 0x80;
        assert_true(n <= 160);
    }
    lmw_buf_free(&out);
}

/* The shorter list goes across, and a cell without records is "-". */
static void breakdown_goes_the_shorter_way(void **state)
{
    struct lmw_summary rows[] = {measured(), measured(), measured()};
    const char *values[] = {"de", "en"};
    int64_t n[] = {4, 4, 4, 5, 5, 0};
    struct lmw_interval half = {0.5, 0.4, 0.6},
                        a[] = {half, half, half, half, half, {NAN, NAN, NAN}};
    struct lmw_breakdown b = {"language", 2, 3, values, n, a};
    struct lmw_report r = {rows, 3, &b, 1};
    struct lmw_buf out = {0};
    rows[0].quantization = "F16";
    rows[1].quantization = "F32";
    lmw_report_text(&r, &out);
    assert_non_null(strstr(out.ptr, "\n           de    en\nqueries     4     5\n"));
    assert_non_null(strstr(out.ptr, "\nQ8_0     50.0     -\n"));
    out.len = 0;
    b.n_run = r.n_row = 2;
    lmw_report_text(&r, &out);
    assert_non_null(strstr(out.ptr, "\n    queries   F16   F32\nde        4  50.0  50.0\n"));
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

/* What went wrong while metering stands beside the joules, in each form; what did not is not
 * said. */
static void how_the_metering_went_is_told(void **state)
{
    struct lmw_summary row = measured();
    struct lmw_report r = {.rows = &row, .n_row = 1};
    struct lmw_buf text = {0}, json = {0}, page = {0};
    row.run.environment = "{\"metering\":{\"polls\":12000,\"polls_late\":1500,\"suspends\":1,"
                          "\"samples_lost\":1203,\"notes\":{\"wall:plug\":\"7 lines not "
                          "understood\"}}}";
    lmw_report_text(&r, &text);
    assert_non_null(strstr(text.ptr, "(1,203)"));
    assert_non_null(strstr(text.ptr, "overwritten before they were stored"));
    assert_non_null(strstr(text.ptr, "1,500 of 12,000"));
    assert_non_null(strstr(text.ptr, "wall:plug: 7 lines not understood"));
    assert_non_null(strstr(text.ptr, "slept during the run"));
    assert_int_equal(lmw_report_json(&r, &json, NULL), 0);
    assert_non_null(strstr(json.ptr, "\"samples_lost\": 1203"));
    assert_int_equal(lmw_report_html(&r, &page, NULL), 0);
    assert_non_null(strstr(page.ptr, "1,203"));
    row.run.environment = "{\"metering\":{\"polls\":12000,\"polls_late\":15,\"suspends\":0,"
                          "\"samples_lost\":0,\"notes\":{}}}";
    text.len = 0;
    lmw_report_text(&r, &text);
    assert_null(strstr(text.ptr, "overwritten"));
    assert_null(strstr(text.ptr, "12,000"));
    assert_null(strstr(text.ptr, "slept"));
    lmw_buf_free(&text);
    lmw_buf_free(&json);
    lmw_buf_free(&page);
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
    assert_null(strpbrk(out.ptr, "\x01\x1b\x7f"));
    assert_null(strstr(out.ptr, "\xe2\x80\xae"));
    assert_null(strstr(out.ptr, "@TABLE@"));
    assert_null(strstr(out.ptr, "@DATA@"));
    assert_null(strstr(out.ptr, "src=\"http"));
    assert_non_null(strstr(out.ptr, "Chart"));
    lmw_buf_free(&out);
}

/* Who is on the front is advised, by how many joules there are; the rest is not. */
static void advice_follows_the_front(void **state)
{
    struct lmw_summary rows[] = {measured(), measured(), measured()};
    struct lmw_report r = {.rows = rows, .n_row = 3};
    struct lmw_buf out = {0};
    rows[0].quantization = "Q5_K";
    rows[1].quantization = "Q4_K";
    rows[2].quantization = "F16";
    rows[1].accuracy = (struct lmw_interval){0.90, 0.88, 0.92};
    rows[1].energy_j.value = 0.25;
    rows[2].pareto = false;
    lmw_report_text(&r, &out);
    assert_non_null(strstr(
        out.ptr, "\nWhat to do\n- For under 0.500 J a query take Q4_K (90.0 % right for 0.250 "
                 "J); with more to spend Q5_K (97.0 % right for\n  0.500 J).\n"));
    out.len = 0;
    rows[1].accuracy.upper = 0.96;
    lmw_report_text(&r, &out);
    assert_non_null(strstr(out.ptr, "Of Q4_K and Q5_K the cheaper may"));
    out.len = 0;
    rows[1].pareto = false;
    lmw_report_text(&r, &out);
    assert_non_null(strstr(out.ptr, "\n- Take Q5_K (97.0 % right for 0.500 J)"));
    out.len = 0;
    rows[1].basis = "battery:BAT0"; /* joules of two kinds: one row of the other says nothing */
    lmw_report_text(&r, &out);
    assert_null(strstr(out.ptr, "battery:BAT0): "));
    lmw_buf_free(&out);
}

/* The best first, whatever the order they were recorded in; what nobody is right in is not marked,
 * nor advised; what is not known stays out of brackets and columns. */
static void ranking_comes_first(void **state)
{
    struct lmw_summary rows[] = {measured(), measured()};
    struct lmw_report r = {.rows = rows, .n_row = 2};
    struct lmw_buf out = {0};
    rows[0].model = "worse";
    rows[1].model = "better";
    rows[0].figure[LMW_FIG_IPJ].value = 1;
    rows[1].figure[LMW_FIG_IPJ].value = 2;
    rows[1].pareto = false;
    lmw_insight_rank(rows, 2);
    rows[0].accuracy = rows[1].accuracy = (struct lmw_interval){0, NAN, NAN};
    lmw_report_text(&r, &out);
    const char *better = strstr(out.ptr, "\n1     better"),
               *worse = strstr(out.ptr, "\n2     worse");
    assert_true(better && worse && better < worse);
    assert_non_null(strstr(out.ptr, "None of them is right even once"));
    assert_non_null(strstr(out.ptr, "- No answer is right: look at some (`lmwatt export`)"));
    assert_null(strstr(out.ptr, "nan"));
    out.len = 0;
    for (int i = 0; i < 2; i++) {
        rows[i].energy_j = rows[i].ipj = rows[i].ipw = (struct lmw_interval){NAN, NAN, NAN};
        rows[i].n_valid = 0;
    }
    rows[1].accuracy.value = 0.5;
    lmw_report_text(&r, &out);
    assert_null(strstr(out.ptr, "J/query"));
    assert_non_null(strstr(out.ptr, "Without joules only accuracy speaks: better"));
    lmw_buf_free(&out);
}

static void rails_stand_apart(void **state)
{
    struct lmw_summary row = measured();
    struct lmw_report r = {.rows = &row, .n_row = 1};
    struct lmw_rail_figures rail[] = {
        {"core", 0.8, {0.4, 0.3, 0.5}, {20, 19, 21}, {0.05, 0.04, 0.06}, {2.4, 2.2, 2.6}},
        {"dram", 0.2, {0.1, NAN, NAN}, {5, NAN, NAN}, {0.2, NAN, NAN}, {9.7, NAN, NAN}}};
    struct lmw_buf out = {0};
    row.rail = rail;
    row.n_rail = 2;
    lmw_report_text(&r, &out);
    assert_non_null(strstr(out.ptr, "0.400 [0.300, 0.500]"));
    assert_non_null(strstr(out.ptr, "\nm  dram      20.0"));
    out.len = 0;
    row.n_rail = 1; /* one rail is the whole: the table has it */
    lmw_report_text(&r, &out);
    assert_null(strstr(out.ptr, "by rail"));
    lmw_buf_free(&out);
}

/* Long heads over narrow cells are numbered where the table would not fit a screen. */
static void wide_tables_number_their_heads(void **state)
{
    enum { N = 8 };
    for (int wide = 0; wide < 2; wide++) {
        struct lmw_grid g = {.n_column = N};
        struct lmw_buf out = {0};
        for (int k = 0; k < N; k++)
            lmw_grid_cell(&g, wide ? "a name of some length, %d" : "name %d", k);
        for (int k = 0; k < N; k++)
            lmw_grid_cell(&g, "%d.5", k);
        lmw_grid_put(&g, 0, &out);
        assert_true(!!strstr(out.ptr, "\n[8] a name of some length, 7\n") == wide);
        assert_true(!!strstr(out.ptr, "name 0  name 1") == !wide);
        assert_non_null(strstr(out.ptr, "7.5\n"));
        assert_true(lmw_grid_width(out.ptr, strcspn(out.ptr, "\n")) < 80);
        lmw_buf_free(&out);
        lmw_grid_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_marks_what_is_estimated_and_unknown),
        cmocka_unit_test(columns_are_those_needed),
        cmocka_unit_test(text_stays_narrow),
        cmocka_unit_test(wide_tables_number_their_heads),
        cmocka_unit_test(ranking_comes_first),
        cmocka_unit_test(rails_stand_apart),
        cmocka_unit_test(advice_follows_the_front),
        cmocka_unit_test(breakdown_goes_the_shorter_way),
        cmocka_unit_test(json_has_null_for_unknown),
        cmocka_unit_test(how_the_metering_went_is_told),
        cmocka_unit_test(page_is_whole_and_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
