/* LaTeX as answers use it, reduced to one spelling.
 *
 * The list follows what the answers of MATH (Hendrycks et al. 2021) need: \dfrac and \tfrac are
 * \frac, \left( is (, \text and \mathrm at the start are their contents and behind a number a
 * unit, ^\circ, \%, \$ and spacing go, 10,000 is 10000, .5 is 0.5, x \in and x = before a result
 * go. Unicode's signs become LaTeX's. */
#include "score/latex.h"
#include "score/text.h"

#include <ctype.h>

/* Longest first where one begins another. */
static const struct {
    const char *from, *to;
} spellings[] = {
    {"\\\\", "\\\\"},
    {"\\left", ""},
    {"\\right", ""},
    {"\\bigl", ""},
    {"\\bigr", ""},
    {"\\Bigl", ""},
    {"\\Bigr", ""},
    {"\\big", ""},
    {"\\Big", ""},
    {"\\displaystyle", ""},
    {"\\qquad", " "},
    {"\\quad", " "},
    {"\\dfrac", "\\frac"},
    {"\\tfrac", "\\frac"},
    {"\\cfrac", "\\frac"},
    {"\\dbinom", "\\binom"},
    {"\\tbinom", "\\binom"},
    {"^{\\circ}", ""},
    {"^\\circ", ""},
    {"\\circ", ""},
    {"\\degree", ""},
    {"\\cdot", "*"},
    {"\\times", "*"},
    {"\\div", "/"},
    {"\\leq", "\\le"},
    {"\\geq", "\\ge"},
    {"\\neq", "\\ne"},
    {"\\lbrace", "\\{"},
    {"\\rbrace", "\\}"},
    {"\\infin", "\\inf"},
    {"\\infty", "\\inf"},
    {"\\lvert", "|"},
    {"\\rvert", "|"},
    {"\\vert", "|"},
    {"\\lfloor", "\\floor("},
    {"\\rfloor", ")"},
    {"\\lceil", "\\ceil("},
    {"\\rceil", ")"},
    {"\\lt", "<"},
    {"\\gt", ">"},
    {"<=", "\\le "},
    {">=", "\\ge "},
    {"!=", "\\ne "},
    {"\\$", ""},
    {"\\%", ""},
    {"\\! ", ""},
    {"\\!", ""},
    {"\\,", " "},
    {"\\;", " "},
    {"\\:", " "},
    {"\\ ", " "},
    {"\\(", ""},
    {"\\)", ""},
    {"\\[", ""},
    {"\\]", ""},
    {"{,}", ","},
    {"$", ""},
    {"%", ""},
    {"~", " "},
    {"**", ""},
    {"\u2212", "-"},
    {"\u2013", "-"},
    {"\u2010", "-"},
    {"\u2011", "-"},
    {"\u00a0", " "},
    {"\u202f", " "},
    {"\u2009", " "},
    {"\u00d7", "*"},
    {"\u00b7", "*"},
    {"\u22c5", "*"},
    {"\u00f7", "/"},
    {"\u03c0", "\\pi "},
    {"\u2248", "\\approx"},
    {"\u221e", "\\inf"},
    {"\u221a", "\\sqrt"},
    {"\u00b0", ""},
    {"\u2264", "\\le"},
    {"\u2265", "\\ge"},
    {"\u222a", "\\cup"},
    {"\u00b1", "\\pm"},
    {"\u00bd", "\\frac12"},
    {"\u00bc", "\\frac14"},
    {"\u00be", "\\frac34"},
};

static const char *const fonts[] = {"\\text",         "\\textbf",    "\\textit", "\\textrm",
                                    "\\mathrm",       "\\mathbf",    "\\mathit", "\\mathsf",
                                    "\\mbox",         "\\hbox",      "\\mathbb", "\\boldsymbol",
                                    "\\operatorname", "\\textnormal"};

/* Length of a font command with its opening brace at p; 0 where there is none. */
static size_t font_at(const char *p)
{
    for (size_t i = 0; i < sizeof fonts / sizeof *fonts; i++) {
        size_t n = strlen(fonts[i]);
        if (strncmp(p, fonts[i], n) == 0 && !isalpha((unsigned char)p[n])) {
            n += strspn(p + n, " ");
            return p[n] == '{' ? n + 1 : 0;
        }
    }
    return 0;
}

/* Whether what is there ends in the name of a command: "3\pi", not "3i". */
static bool ends_in_command(const struct lmw_buf *out)
{
    size_t n = out->len;
    while (n > 0 && isalpha((unsigned char)out->ptr[n - 1]))
        n--;
    return n > 0 && n < out->len && out->ptr[n - 1] == '\\';
}

/* Whether a result is there, so that a text behind it is its unit. */
static bool is_behind_result(const struct lmw_buf *out)
{
    struct lmw_buf b = *out; /* without the spaces at its end */
    while (b.len > 0 && b.ptr[b.len - 1] == ' ')
        b.len--;
    return b.len > 0 && (strchr("0123456789)}]", b.ptr[b.len - 1]) || ends_in_command(&b));
}

/* Between results; "1, 2, and 3" has one already. */
static void put_comma(struct lmw_buf *out)
{
    while (out->len > 0 && out->ptr[out->len - 1] == ' ')
        out->len--;
    if (out->len > 0 && out->ptr[out->len - 1] != ',')
        lmw_buf_str(out, ",");
}

/* Behind a result, \text{ and } joins, any other text is a unit: true, and nothing is put. */
static bool put_font(const char *in, size_t n, struct lmw_buf *out)
{
    lmw_str s = lmw_str_trim((lmw_str){in, n});
    bool is_unit = false;
    if (lmw_str_is(s, "and") || lmw_str_is(s, "or"))
        put_comma(out);
    else if (!(is_unit = is_behind_result(out)))
        lmw_buf_put(out, s.ptr, s.len);
    return is_unit;
}

/* What belongs to the unit before p: its power (cm^2, cm^{2}), and what links it to the next one
 * (m/s). */
static size_t unit_more(const char *p)
{
    size_t n = 0;
    if (*p == '^') {
        n = p[1] == '{' ? strcspn(p, "}") : 1 + (p[1] == '-');
        n += p[n] != 0;
    }
    size_t link = n + strspn(p + n, " ");
    size_t sign = p[link] == '/' ? 1 : strncmp(p + link, "\\cdot", 5) == 0 ? 5 : 0;
    link += sign + strspn(p + link + sign, " ");
    return sign > 0 && font_at(p + link) > 0 ? link : n;
}

static size_t spell(const char *p, struct lmw_buf *out)
{
    size_t raised = lmw_text_exponent(p, out);
    if (raised > 0)
        return raised;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        size_t n = strlen(spellings[i].from);
        if (strncmp(p, spellings[i].from, n) != 0)
            continue;
        lmw_buf_str(out, spellings[i].to);
        return n;
    }
    lmw_buf_put(out, p, 1);
    return 1;
}

static void respell(const char *text, struct lmw_buf *out)
{
    for (const char *p = text; *p;) {
        size_t n = font_at(p), m = n ? strcspn(p + n, "{}") : 0;
        if (n > 0 && p[n + m] == '}') {
            bool is_unit = put_font(p + n, m, out);
            p += n + m + 1;
            p += is_unit ? unit_more(p) : 0;
        } else if (lmw_text_is_power(text, p)) {
            lmw_buf_str(out, "^");
            p += 2;
        } else {
            p += n > 0 ? n - 1 : spell(p, out);
        }
    }
    lmw_buf_str(out, "");
}

/* A word behind a number is its unit ("12 square feet"); and, or between results join them. */
static size_t unit_at(const char *p, const struct lmw_buf *out)
{
    size_t n = 0;
    while (isalpha((unsigned char)p[n]))
        n++;
    if (n < 2 || out->len == 0 || out->ptr[out->len - 1] == '\\')
        return 0;
    bool behind = strchr("0123456789)}", out->ptr[out->len - 1]) != NULL;
    return behind && p[-1] == ' ' ? n + (p[n] == '^' && isdigit((unsigned char)p[n + 1]) ? 2 : 0)
                                  : 0;
}

static bool grouped(const char *p) /* ",000" with no digit behind */
{
    return p[0] == ',' && isdigit((unsigned char)p[1]) && isdigit((unsigned char)p[2]) &&
           isdigit((unsigned char)p[3]) && !isdigit((unsigned char)p[4]);
}

/* \frac12 and \sqrt3 with braces; x^{2} and 1011_{2} without. */
static size_t brace(const char *p, struct lmw_buf *out)
{
    if ((*p == '^' || *p == '_') && p[1] == '{' && isalnum((unsigned char)p[2]) && p[3] == '}' &&
        !isdigit((unsigned char)p[4])) {
        lmw_buf_printf(out, "%c%c", *p, p[2]);
        return 4;
    }
    size_t n = strncmp(p, "\\frac", 5) == 0 ? 5 : strncmp(p, "\\sqrt", 5) == 0 ? 5 : 0;
    int missing = n == 0 ? 0 : p[1] == 'f' ? 2 : 1;
    if (n == 0 || !isalnum((unsigned char)p[n]) || (p[1] == 's' && isalpha((unsigned char)p[n])))
        return 0;
    lmw_buf_put(out, p, n);
    for (; missing > 0 && isalnum((unsigned char)p[n]); missing--)
        lmw_buf_printf(out, "{%c}", p[n++]);
    return n;
}

static void join(const char *text, struct lmw_buf *out)
{
    int depth = 0;
    for (const char *p = text; *p;) {
        size_t n;
        char last = out->len ? out->ptr[out->len - 1] : 0;
        depth += (*p == '(' || *p == '[') - (*p == ')' || *p == ']');
        if (isspace((unsigned char)*p)) {
            p += strspn(p, " \t\r\n\f\v");
            if (isalpha((unsigned char)*p) && ends_in_command(out))
                lmw_buf_str(out, " ");
        } else if (*p == '+' && (last == 0 || strchr("([{,=", last))) {
            p++; /* +5 is 5 */
        } else if (p > text && p[-1] == ' ' &&
                   (lmw_str_starts(lmw_str_from(p), "and ") ||
                    lmw_str_starts(lmw_str_from(p), "or "))) {
            put_comma(out);
            p += *p == 'a' ? 3 : 2;
        } else if (p > text && (n = unit_at(p, out)) > 0) {
            p += n;
        } else if ((n = brace(p, out)) > 0) {
            p += n;
        } else if (grouped(p) && isdigit((unsigned char)last) && depth <= 0) {
            p++;
        } else {
            if (*p == '.' && !isdigit((unsigned char)last) && isdigit((unsigned char)p[1]))
                lmw_buf_str(out, "0");
            lmw_buf_put(out, p++, 1);
        }
    }
    lmw_buf_str(out, "");
}

void lmw_latex_plain(lmw_str s, struct lmw_buf *out)
{
    struct lmw_buf clean = {0}, spelt = {0};
    lmw_buf_utf8(&clean, lmw_str_trim(s));
    lmw_buf_str(&clean, "");
    if (!clean.failed)
        respell(clean.ptr, &spelt);
    if (!spelt.failed && spelt.ptr)
        join(spelt.ptr, out);
    while (out->len > 0 && strchr(".,;:", out->ptr[out->len - 1]))
        out->ptr[--out->len] = 0;
    lmw_buf_str(out, "");
    out->failed |= clean.failed || spelt.failed;
    lmw_buf_free(&clean);
    lmw_buf_free(&spelt);
}
