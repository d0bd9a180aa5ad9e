/* The page: report.html with its @PLACES@ filled. Everything is inside the file, Chart.js too
 * (Debian's libjs-chart.js, embedded at build time), so it opens without a network and years from
 * now.
 *
 * What goes into HTML is escaped as text, a blank in place of control characters; what goes into
 * the script is the JSON report, with "<" written as \u003c so that no string can close the script
 * element, and control characters so. */
#include "report/columns.h"

#include <string.h>

enum { UPRIGHT_MAX = 6 }; /* columns whose heads stand upright in the heat map */

extern const unsigned char lmw_data_report_html[], lmw_data_chart_js[];
extern const size_t lmw_data_report_html_len, lmw_data_chart_js_len;

static void escape(struct lmw_buf *out, const char *s)
{
    while (s && *s) {
        size_t control = lmw_control_len(s);
        switch (control ? ' ' : *s) {
        case '&': lmw_buf_str(out, "&amp;"); break;
        case '<': lmw_buf_str(out, "&lt;"); break;
        case '>': lmw_buf_str(out, "&gt;"); break;
        case '"': lmw_buf_str(out, "&quot;"); break;
        default: lmw_buf_put(out, control ? " " : s, 1);
        }
        s += control ? control : 1;
    }
}

static void element(struct lmw_buf *out, const char *tag, const char *attributes, const char *text)
{
    lmw_buf_printf(out, "<%s%s>", tag, attributes);
    escape(out, text);
    lmw_buf_printf(out, "</%s>", tag);
}

static void put_heads(const struct lmw_report *r, struct lmw_buf *out)
{
    lmw_buf_str(out, "<thead><tr>");
    for (const struct lmw_report_column *c = lmw_report_column(r, lmw_report_columns); c->head;
         c = lmw_report_column(r, c + 1)) {
        lmw_buf_printf(out, "<th scope=\"col\"%s>", c->left ? " class=\"text\"" : "");
        escape(out, c->head);
        element(out, "small", "", c->unit);
        lmw_buf_str(out, "</th>");
    }
    lmw_buf_str(out, "</tr></thead>");
}

/* The figure, and its interval below it. */
static void put_cell(const struct lmw_report_column *c, const struct lmw_summary *s,
                     struct lmw_buf *out)
{
    struct lmw_buf text = {0};
    lmw_buf_printf(out, "<td class=\"%s %s\">", c->left ? "text" : "", c->head);
    c->cell(s, &text);
    escape(out, text.ptr);
    text.len = 0;
    lmw_report_interval(c, s, &text);
    if (text.len)
        element(out, "small", "", text.ptr);
    lmw_buf_str(out, "</td>");
    lmw_buf_free(&text);
}

static int put_table(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    put_heads(r, out);
    lmw_buf_str(out, "<tbody>");
    for (int place = 0; place < r->n_row; place++) {
        int row = lmw_report_row(r, place);
        lmw_buf_printf(out, "<tr%s>", lmw_report_marked(&r->rows[row]) ? " class=\"pareto\"" : "");
        for (const struct lmw_report_column *c = lmw_report_column(r, lmw_report_columns); c->head;
             c = lmw_report_column(r, c + 1))
            put_cell(c, &r->rows[row], out);
        lmw_buf_str(out, "</tr>");
    }
    lmw_buf_str(out, "</tbody>");
    return LMW_OK;
}

static int put_definitions(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    for (const struct lmw_report_column *c = lmw_report_column(r, lmw_report_columns); c->head;
         c = lmw_report_column(r, c + 1)) {
        element(out, "dt", "", c->head);
        element(out, "dd", "", c->help);
    }
    return LMW_OK;
}

static void put_items(struct lmw_buf *lines, struct lmw_buf *out)
{
    char *rest = lines->ptr;
    for (char *line; rest && (line = strsep(&rest, "\n")) && (*line || rest);) {
        if (*line)
            element(out, "li", "", line);
    }
    lmw_buf_free(lines);
}

static int put_caveats(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    struct lmw_buf lines = {0};
    lmw_report_caveats(r, &lines);
    put_items(&lines, out);
    return LMW_OK;
}

static int put_advice(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    struct lmw_buf lines = {0};
    lmw_report_advice(r, &lines);
    if (!lines.len)
        return LMW_OK;
    lmw_buf_str(out, "<h2>What to do</h2><ul class=\"advice\">");
    put_items(&lines, out);
    lmw_buf_str(out, "</ul>");
    return LMW_OK;
}

static int put_rails(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    int n = lmw_report_rails(r);
    struct lmw_buf text = {0};
    if (n == 0)
        return LMW_OK;
    lmw_buf_str(
        out, "<h2>Joules by rail</h2><p>The joules above taken apart by what measured them, and "
             "what would be counted with that rail alone.</p><div class=\"wide\" "
             "tabindex=\"0\" role=\"region\" aria-label=\"Joules by rail\"><table>");
    for (int line = 0; line <= n; line++) {
        lmw_buf_str(out, line == 0 ? "<thead><tr>" : line == 1 ? "</thead><tbody><tr>" : "<tr>");
        for (int k = 0; k < LMW_RAIL_COLUMNS; k++) {
            text.len = 0;
            lmw_report_rail_cell(r, line, k, &text);
            element(out, line ? "td" : "th", k < 2 ? " class=\"text\"" : "",
                    line == 0 && k == 0 ? "row" : text.ptr);
        }
        lmw_buf_str(out, "</tr>");
    }
    lmw_buf_str(out, "</tbody></table></div>");
    lmw_buf_free(&text);
    return LMW_OK;
}

static void put_breakdown(const struct lmw_report *r, const struct lmw_breakdown *b,
                          struct lmw_buf *out)
{
    struct lmw_buf text = {0};
    int n_row, n_column;
    lmw_report_grid_size(b, &n_row, &n_column);
    lmw_buf_str(out, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    escape(out, b->field);
    lmw_buf_str(out, "\"><table><caption>% right by ");
    escape(out, b->field);
    lmw_buf_str(out, "</caption>");
    for (int row = 0; row < n_row; row++) {
        lmw_buf_str(out, "<tr>");
        for (int k = 0; k < n_column; k++) {
            text.len = 0;
            lmw_report_grid_cell(r, b, row, k, &text);
            bool head = text.len && (row == 0 || k == 0);
            const char *kind = k ? " scope=\"col\"" : " scope=\"row\" class=\"text\"";
            element(out, head ? "th" : "td", head ? kind : "", text.len ? text.ptr : "");
        }
        lmw_buf_str(out, "</tr>");
    }
    lmw_buf_str(out, "</table></div>");
    lmw_buf_free(&text);
}

static int put_breakdowns(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    if (r->n_breakdown)
        lmw_buf_str(out, "<h2>Where the answers are right</h2><div class=\"parts\">");
    for (int i = 0; i < r->n_breakdown; i++)
        put_breakdown(r, &r->breakdowns[i], out);
    lmw_buf_str(out, r->n_breakdown ? "</div>" : "");
    return LMW_OK;
}

/* The character of one to three bytes that a text begins with. */
static unsigned code_point(const char *s, size_t n)
{
    const unsigned char *c = (const unsigned char *)s;
    return n == 1   ? c[0]
           : n == 2 ? (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu)
                    : (c[0] & 0xfu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
}

static void put_script_text(struct lmw_buf *out, const struct lmw_buf *json)
{
    for (const char *s = json->ptr, *end = s + json->len; s < end;) {
        size_t n = *s == '<' ? 1 : *s == '\n' ? 0 : lmw_control_len(s);
        if (n > 0)
            lmw_buf_printf(out, "\\u%04x", code_point(s, n));
        else
            lmw_buf_put(out, s, n = 1);
        s += n;
    }
}

static int put_data(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    struct lmw_buf json = {0};
    int rc = lmw_report_dump(r, JSON_COMPACT | JSON_REAL_PRECISION(7), &json, err);
    if (rc == LMW_OK)
        put_script_text(out, &json);
    lmw_buf_free(&json);
    return rc;
}

static int put_pictures(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    struct lmw_buf json = {0};
    int rc = lmw_report_pictures(r, &json, err);
    if (rc == LMW_OK)
        put_script_text(out, &json);
    lmw_buf_free(&json);
    return rc;
}

/* A heat map that is a table: the shade says again what the number says. */
static void put_coverage(const struct lmw_coverage *c, struct lmw_buf *out)
{
    double share = c->share.value;
    if (c->n == 0 || share != share) {
        lmw_buf_str(out, "<td class=\"soft\">-</td>");
        return;
    }
    lmw_buf_printf(out, "<td class=\"heat\" style=\"--share:%.2f\">%.1f</td>", share, 100 * share);
}

/* A mean that stands as one record is no question that was right or wrong. */
static bool is_covered(const struct lmw_report *r, int row)
{
    return r->rows[row].n_question > 1;
}

static int count_covered(const struct lmw_report *r)
{
    int n = 0;
    for (int i = 0; i < r->n_row; i++)
        n += is_covered(r, i);
    return n;
}

static bool is_asked(const struct lmw_report *r, const struct lmw_domains *d, int domain)
{
    bool asked = false;
    for (int i = 0; i < d->n_run; i++)
        asked |= is_covered(r, i) && d->coverage[domain * d->n_column + i].n > 0;
    return asked;
}

static int put_domains(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    const struct lmw_domains *d = r->pictures ? r->pictures->domains : NULL;
    if (!d || d->n_domain < 2 || count_covered(r) == 0)
        return LMW_OK;
    lmw_buf_printf(out,
                   "<h2>Coverage by domain</h2><p>Share of the questions answered rightly, %%. "
                   "Best of all: right by at least one of the rows.</p><div class=\"wide\" "
                   "tabindex=\"0\" role=\"region\" aria-label=\"Coverage by domain\"><table "
                   "id=\"domains\"%s><thead><tr><th scope=\"col\" class=\"text\">domain</th>"
                   "<th scope=\"col\">questions</th>",
                   count_covered(r) > UPRIGHT_MAX ? " class=\"many\"" : "");
    struct lmw_buf label = {0};
    for (int place = 0; place < d->n_run; place++) {
        if (!is_covered(r, lmw_report_row(r, place)))
            continue;
        label.len = 0;
        lmw_report_label(r, lmw_report_row(r, place), &label);
        lmw_buf_str(out, "<th scope=\"col\">");
        element(out, "span", "", label.ptr);
        lmw_buf_str(out, "</th>");
    }
    lmw_buf_free(&label);
    lmw_buf_str(out, "<th scope=\"col\"><span>best of all</span></th></tr></thead><tbody>");
    for (int i = 0; i <= d->n_domain; i++) {
        if (!is_asked(r, d, i))
            continue;
        lmw_buf_str(out, "<tr>");
        element(out, "th", " scope=\"row\" class=\"text\"",
                i < d->n_domain ? d->domain[i] : "all of them");
        lmw_buf_printf(out, "<td>%lld</td>", (long long)d->n_question[i]);
        for (int place = 0; place < d->n_run; place++) {
            if (is_covered(r, lmw_report_row(r, place)))
                put_coverage(&d->coverage[i * d->n_column + lmw_report_row(r, place)], out);
        }
        put_coverage(&d->coverage[i * d->n_column + lmw_local_column(d)], out);
        lmw_buf_str(out, "</tr>");
    }
    lmw_buf_str(out, "</tbody></table></div>");
    return LMW_OK;
}

static int put_chart_js(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    lmw_buf_put(out, lmw_data_chart_js, lmw_data_chart_js_len);
    return LMW_OK;
}

static int put_version(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    lmw_buf_str(out, LMW_VERSION);
    return LMW_OK;
}

static const struct {
    const char *place;
    int (*put)(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err);
} places[] = {
    {"@TABLE@", put_table},     {"@DEFINITIONS@", put_definitions},
    {"@CAVEATS@", put_caveats}, {"@BREAKDOWNS@", put_breakdowns},
    {"@DATA@", put_data},       {"@CHART_JS@", put_chart_js},
    {"@ADVICE@", put_advice},   {"@DOMAINS@", put_domains},
    {"@RAILS@", put_rails},     {"@PICTURES@", put_pictures},
    {"@VERSION@", put_version},
};

int lmw_report_html(const struct lmw_report *r, struct lmw_buf *out, struct lmw_err *err)
{
    const char *at = (const char *)lmw_data_report_html, *end = at + lmw_data_report_html_len;
    int rc = LMW_OK;
    while (at < end && rc == LMW_OK) {
        lmw_str rest = {at, (size_t)(end - at)};
        size_t i = 0, n = sizeof places / sizeof *places;
        while (i < n && !lmw_str_starts(rest, places[i].place))
            i++;
        if (i < n) {
            rc = places[i].put(r, out, err);
            at += strlen(places[i].place);
        } else {
            const char *next = memchr(at + 1, '@', rest.len - 1);
            next = next ? next : end;
            lmw_buf_put(out, at, (size_t)(next - at));
            at = next;
        }
    }
    if (rc == LMW_OK && out->failed)
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for the page");
    return rc;
}
