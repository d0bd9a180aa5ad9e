/* Numbers as people and models write them.
 *
 *     -12   +3   1,234,567   1'234   1_000   .5   2.50   6e23   1.5 x 10^3   10^5
 *     3/4   1 3/4   \frac{3}{4}   \frac34   1\frac{3}{4}   45 %   45\%   5 million
 *
 * Separators group three digits each (after the first group, which may have fewer; 1,00,000 is
 * read, too), and so do points before a decimal comma (1.234,56); a lone comma with another number
 * of digits behind it is a decimal comma (3,14). A sign counts where nothing to be subtracted from
 * stands before it. Digits inside a word (B2, x1) are no number. Dollar signs and other currency
 * around a number are not part of it.
 *
 * The text is plain ASCII where it matters: lmw_number_plain makes it so. */
#include "score/number.h"
#include "score/text.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

/* --- making a text plain --- */

static size_t n_digit(const char *p)
{
    size_t n = 0;
    while (isdigit((unsigned char)p[n]))
        n++;
    return n;
}

static const struct {
    const char *from, *to;
} plain[] = {
    {"\u2212", "-"},    {"\u2013", "-"},       {"\u2010", "-"},       {"\u00d7", "x"},
    {"\u00b7", "x"},    {"\u22c5", "x"},       {"\\times", "x"},      {"\\cdot", "x"},
    {"\u2044", "/"},    {"{,}", ","},          {",\\!", ","},         {"\\,", ""},
    {"\\!", ""},        {"\\;", " "},          {"\\ ", " "},          {"\\$", "$"},
    {"\\%", "%"},       {"\\dfrac", "\\frac"}, {"\\tfrac", "\\frac"}, {"**", ""},
    {"negative ", "-"}, {"minus ", "-"},
};

/* Length of a vulgar fraction at p, of 1/2 to 7/8; 0 for anything else. */
static size_t vulgar(const unsigned char *p)
{
    if (p[0] == 0xc2 && p[1] >= 0xbc && p[1] <= 0xbe)
        return 2;
    return p[0] == 0xe2 && p[1] == 0x85 && p[2] >= 0x90 && p[2] <= 0x9e ? 3 : 0;
}

/* Length of a space that groups digits at p (one that does not break, a thin one); 0 for anything
 * else, such as one before a unit. */
static size_t group_space(const char *p)
{
    static const char *const spaces[] = {"\u00a0", "\u202f", "\u2009"};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        size_t n = strlen(spaces[i]);
        if (strncmp(p, spaces[i], n) == 0)
            return n_digit(p + n) == 3 ? n : 0;
    }
    return 0;
}

/* What the compatibility form would lose behind a digit: 1½ is 1 1/2, not 11/2; 10² is no 102. */
static void keep_apart(lmw_str s, struct lmw_buf *out)
{
    struct lmw_buf text = {0};
    lmw_buf_put(&text, s.ptr, s.len);
    lmw_buf_str(&text, "");
    for (const char *p = text.failed ? "" : text.ptr; *p;) {
        bool behind = p > text.ptr && isdigit((unsigned char)p[-1]);
        size_t n = behind ? group_space(p) : 0;
        if (n == 0 && behind)
            n = lmw_text_exponent(p, out);
        if (n == 0 && behind && vulgar((const unsigned char *)p))
            lmw_buf_str(out, " ");
        if (n == 0)
            lmw_buf_put(out, p, n = 1);
        p += n;
    }
    lmw_buf_str(out, "");
    out->failed |= text.failed;
    lmw_buf_free(&text);
}

void lmw_number_plain(lmw_str s, struct lmw_buf *out)
{
    struct lmw_buf parted = {0}, compat = {0};
    keep_apart(s, &parted);
    lmw_text_compat((lmw_str){parted.ptr, parted.len}, &compat);
    for (const char *p = compat.failed ? "" : compat.ptr; *p;) {
        size_t n = 0, i = 0;
        if (lmw_text_is_power(compat.ptr, p)) {
            lmw_buf_str(out, "^");
            p += 2;
            continue;
        }
        for (; i < sizeof plain / sizeof *plain; i++)
            if (strncmp(p, plain[i].from, n = strlen(plain[i].from)) == 0)
                break;
        bool found = i < sizeof plain / sizeof *plain;
        lmw_buf_put(out, found ? plain[i].to : p, found ? strlen(plain[i].to) : 1);
        p += found ? n : 1;
    }
    lmw_buf_str(out, "");
    out->failed |= parted.failed || compat.failed;
    lmw_buf_free(&parted);
    lmw_buf_free(&compat);
}

/* --- one number --- */

static const char *skip_space(const char *p)
{
    while (*p == ' ')
        p++;
    return p;
}

/* Digits with or without separators; the end, with the digits in `text`. */
static const char *integer(const char *p, char *text, size_t cap, size_t *len)
{
    size_t n = n_digit(p);
    *len = 0;
    for (;;) {
        for (size_t i = 0; i < n && *len + 1 < cap; i++)
            text[(*len)++] = p[i];
        p += n;
        if (n == 0 || !strchr(",'_", *p) || !*p)
            return p;
        size_t next = n_digit(p + 1);
        bool indian = next == 2 && *p == ',' && p[3] == ',' && n_digit(p + 4) >= 2;
        if (next != 3 && !indian)
            return p;
        p++;
        n = next;
    }
}

/* 1.234,56 and 1.234.567,8: points that group and a decimal comma. The end, or NULL. */
static const char *continental(const char *p, double *value, int *decimals)
{
    char text[64];
    size_t first = n_digit(p), n = 0;
    const char *q = p + first;
    while (*q == '.' && n_digit(q + 1) == 3)
        q += 4;
    size_t part = *q == ',' ? n_digit(q + 1) : 0;
    const char *end = q + 1 + part;
    if (first == 0 || first > 3 || *p == '0' || q == p + first || part == 0 || part == 3 ||
        (size_t)(end - p) >= sizeof text || ((*end == ',' || *end == '.') && n_digit(end + 1)))
        return NULL;
    for (const char *c = p; c < end; c++)
        if (*c != '.')
            text[n++] = *c == ',' ? '.' : *c;
    text[n] = 0;
    *value = strtod(text, NULL);
    *decimals = (int)part;
    return end;
}

/* A plain decimal: digits, separators, a point or a decimal comma, an exponent. */
static const char *decimal(const char *p, double *value, int *decimals)
{
    enum { CAP = 400 };
    char text[CAP];
    size_t n;
    char *end;
    const char *whole = continental(p, value, decimals);
    if (whole)
        return whole;
    p = integer(p, text, CAP - 80, &n);
    size_t part = (*p == '.' || (*p == ',' && n > 0)) ? n_digit(p + 1) : 0;
    if (*p == ',' && (part == 3 || p[part + 1] == ',')) /* 1,2,3 is a list */
        part = 0;
    if (n == 0 && part == 0)
        return NULL;
    *decimals = (int)part;
    text[n++] = '.';
    for (size_t i = 1; i <= part && n + 20 < CAP; i++)
        text[n++] = p[i];
    p += part ? part + 1 : 0;
    text[n] = 0;
    if ((*p == 'e' || *p == 'E') && n_digit(p + 1 + (p[1] == '-' || p[1] == '+')) > 0) {
        size_t m = 1 + (p[1] == '-' || p[1] == '+');
        m += n_digit(p + m);
        if (m < 8 && n + m < CAP) {
            memcpy(text + n, p, m);
            text[n + m] = 0;
            p += m;
            *decimals = 0;
        }
    }
    *value = strtod(text, &end);
    return p;
}

/* {12}, {-3}, (-3) or a single digit; NULL for something else. */
static const char *braced(const char *p, double *value)
{
    int decimals;
    char close = *p == '{' ? '}' : ')';
    if (*p != '{' && *p != '(') {
        *value = *p - '0';
        return isdigit((unsigned char)*p) ? p + 1 : NULL;
    }
    p = skip_space(p + 1);
    double sign = *p == '-' ? -1 : 1;
    p = decimal(p + (*p == '-'), value, &decimals);
    if (!p)
        return NULL;
    *value *= sign;
    p = skip_space(p);
    return *p == close ? p + 1 : NULL;
}

static const char *latex_fraction(const char *p, double *value)
{
    double a, b;
    if (strncmp(p, "\\frac", 5) != 0 || !(p = braced(skip_space(p + 5), &a)) ||
        !(p = braced(skip_space(p), &b)) || b == 0)
        return NULL;
    *value = a / b;
    return p;
}

/* "/ 4" behind a number. */
static const char *slash(const char *p, double *below)
{
    int decimals;
    p = skip_space(p);
    if (*p != '/' || p[1] == '/')
        return NULL;
    p = decimal(skip_space(p + 1), below, &decimals);
    return p && *below != 0 && *p != '/' ? p : NULL;
}

/* "x 10^3" or "^5" behind a number: its factor or power. */
static const char *power(const char *p, struct lmw_number *n)
{
    const char *q = skip_space(p), *caret = p;
    bool times = (*q == 'x' || *q == '*') && strncmp(skip_space(q + 1), "10", 2) == 0;
    if (times)
        caret = skip_space(q + 1) + 2;
    caret = skip_space(caret);
    double sign = 1, e;
    if (*caret != '^')
        return p;
    const char *end = braced(caret + 1, &e);
    if (!end && caret[1] == '-' && (end = braced(caret + 2, &e)))
        sign = -1;
    if (!end)
        return p;
    while (isdigit((unsigned char)*end)) /* 10^12 without braces */
        e = e * 10 + (*end++ - '0');
    n->value = times ? n->value * pow(10, sign * e) : pow(n->value, sign * e);
    n->decimals = 0;
    return end;
}

/* What a number is counted in: %, percent, million. */
static const char *scale(const char *p, struct lmw_number *n)
{
    static const struct {
        const char *word;
        double factor; /* 0: percent */
    } words[] = {{"%", 0},         {"percent", 0},   {"per cent", 0},   {"thousand", 1e3},
                 {"million", 1e6}, {"billion", 1e9}, {"trillion", 1e12}};
    const char *q = skip_space(p);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t m = strlen(words[i].word);
        if (strncasecmp(q, words[i].word, m) != 0)
            continue;
        n->percent = words[i].factor == 0;
        n->value *= n->percent ? 1 : words[i].factor;
        n->decimals = n->percent ? n->decimals : 0;
        return q + m;
    }
    return p;
}

/* The part behind an integer that makes it a mixed number: " 3/4", "\frac{3}{4}". */
static const char *mixed(const char *p, double *value)
{
    double a, b;
    int decimals;
    const char *q = latex_fraction(skip_space(p), value);
    if (q)
        return q;
    if (*p != ' ' || !(q = decimal(skip_space(p), &a, &decimals)) || decimals > 0 ||
        !(q = slash(q, &b)) || a >= b)
        return NULL;
    *value = a / b;
    return q;
}

static const char *unsigned_at(const char *p, struct lmw_number *n)
{
    double part = 0;
    const char *q = latex_fraction(p, &n->value);
    if (!q) {
        if (!(p = decimal(p, &n->value, &n->decimals)))
            return NULL;
        if (n->decimals == 0 && (q = mixed(p, &part)))
            n->value += part;
        else if ((q = slash(p, &part)))
            n->value /= part;
        if (q)
            n->decimals = 0;
        else
            q = power(p, n);
    }
    return scale(q, n);
}

/* Whether the minus is the sign of the number behind it. Not one that takes away (5 - 3, 5-3, 2-3
 * hours), and not the mark of a list's item; a word may stand before it ("it is -3"). */
static bool is_sign(const char *begin, const char *minus)
{
    const char *b = minus;
    bool attached = minus[1] != ' ';
    while (b > begin && strchr("$ ", b[-1]))
        b--;
    if (b == begin)
        return true;
    if (b[-1] == '\n')
        return attached;
    if (isalpha((unsigned char)b[-1]))
        return attached && b < minus;
    return !isdigit((unsigned char)b[-1]) && !strchr(")}%", b[-1]);
}

/* Whether the point ends a word: Rs.500. */
static bool is_abbreviation(const char *begin, const char *point)
{
    return point > begin && isalpha((unsigned char)point[-1]);
}

/* Whether the digits are an exponent: of a unit (cm^2), or of what is no number. */
static bool is_exponent(const char *begin, const char *p)
{
    const char *b = p - (p > begin && p[-1] == '-');
    b -= b > begin && strchr("{(", b[-1]);
    return b > begin && b[-1] == '^';
}

bool lmw_number_next(const char **text, const char *begin, struct lmw_number *out)
{
    for (const char *p = *text; *p; p++) {
        bool inside = p > begin && (isalnum((unsigned char)p[-1]) || is_exponent(begin, p) ||
                                    (p[-1] == '.' && !is_abbreviation(begin, p - 1)));
        if (inside || !(isdigit((unsigned char)*p) || (*p == '.' && n_digit(p + 1) > 0) ||
                        strncmp(p, "\\frac", 5) == 0))
            continue;
        *out = (struct lmw_number){.at = p};
        const char *end = unsigned_at(p, out);
        if (!end)
            continue;
        const char *q = p; /* back over currency, to a sign */
        while (q > begin && (strchr("$ ", q[-1]) || (q[-1] & 0x80)))
            q--;
        if (q > begin && q[-1] == '-' && is_sign(begin, q - 1))
            out->value = -out->value;
        *text = end;
        return true;
    }
    return false;
}
