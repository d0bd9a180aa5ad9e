/* The value of a mathematical expression in LaTeX's plainest form, as latex.c leaves it.
 *
 *     sum     = ["-"] product { ("+" | "-") product }
 *     product = power { ["*" | "/"] power }          2x, 3\pi, 2(x+1): no sign is a product
 *     power   = atom [ "^" group ] { "!" }
 *     atom    = number | variable | "(" sum ")" | "[" sum "]" | "{" sum "}" | "|" sum "|"
 *             | \frac group group | \sqrt ["[" sum "]"] group | \binom group group
 *             | \pi | function ["^" group] argument
 *     group   = "{" sum "}" | one digit | one letter | a command: \pi
 *
 * A whole number before \frac is a mixed number: 1\frac{1}{2} is 3/2. A variable (a letter, a
 * Greek name, x_1) has a value of its own at each point; e is Euler's number. What is not in this
 * grammar has no value, rather than a guessed one: words, units, relations, sets. */
#include "score/latex.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 64 };

struct expr {
    const char *p;
    int depth, point;
    bool bad;
};

static double sum(struct expr *e);
static double atom(struct expr *e);

static double fail(struct expr *e)
{
    e->bad = true;
    return (double)NAN;
}

static bool take(struct expr *e, const char *word)
{
    size_t n = strlen(word);
    bool letter = isalpha((unsigned char)word[n - 1]);
    if (strncmp(e->p, word, n) != 0 || (letter && isalpha((unsigned char)e->p[n])))
        return false;
    e->p += n + (letter && e->p[n] == ' ');
    return true;
}

/* Between 0.6 and 2.4: no root, logarithm or quotient of simple terms is undefined there. */
static double variable(const struct expr *e, const char *name, size_t n)
{
    uint64_t h = lmw_str_hash((lmw_str){name, n}) + (uint64_t)e->point * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    return 0.6 + 1.8 * (double)(h >> 11) * 0x1p-53;
}

static double enclosed(struct expr *e, const char *open, const char *close)
{
    if (!take(e, open))
        return fail(e);
    double v = sum(e);
    return take(e, close) ? v : fail(e);
}

static double group(struct expr *e)
{
    if (*e->p == '{')
        return enclosed(e, "{", "}");
    if (isdigit((unsigned char)*e->p))
        return *e->p++ - '0';
    if (isalpha((unsigned char)*e->p))
        return variable(e, e->p++, 1);
    return *e->p == '\\' ? atom(e) : fail(e);
}

static double number(struct expr *e)
{
    char *end;
    size_t n = strspn(e->p, "0123456789.");
    double v = strtod(e->p, &end);
    bool whole = !memchr(e->p, '.', n);
    if (end != e->p + n) /* strtod knows 1e5, 0x1p3 and 1.2.3 ends early */
        return fail(e);
    e->p += n;
    if (whole && take(e, "\\frac"))
        v += group(e) / group(e);
    return v;
}

/* --- functions --- */

static double ln_base(double x)
{
    return log(x);
}
static double cotangent(double x)
{
    return 1 / tan(x);
}
static double secant(double x)
{
    return 1 / cos(x);
}
static double cosecant(double x)
{
    return 1 / sin(x);
}

static const struct {
    const char *name;
    double (*fn)(double);
} functions[] = {{"\\sin", sin},       {"\\cos", cos},      {"\\tan", tan},     {"\\arcsin", asin},
                 {"\\arccos", acos},   {"\\arctan", atan},  {"\\exp", exp},     {"\\ln", ln_base},
                 {"\\cot", cotangent}, {"\\csc", cosecant}, {"\\sec", secant},  {"\\sinh", sinh},
                 {"\\cosh", cosh},     {"\\tanh", tanh},    {"\\floor", floor}, {"\\ceil", ceil}};

static double product(struct expr *e, bool implicit_only);

static double argument(struct expr *e)
{
    if (*e->p == '(')
        return enclosed(e, "(", ")");
    return *e->p == '{' ? group(e) : product(e, true);
}

static double logarithm(struct expr *e)
{
    double base = take(e, "_") ? group(e) : 10;
    return log(argument(e)) / log(base);
}

static double named(struct expr *e)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (!take(e, functions[i].name))
            continue;
        double exponent = take(e, "^") ? group(e) : 1;
        return pow(functions[i].fn(argument(e)), exponent);
    }
    size_t n = 1 + strspn(e->p + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    static const char *const greek[] = {
        "\\alpha", "\\beta", "\\gamma", "\\delta", "\\epsilon", "\\theta", "\\lambda", "\\mu",
        "\\nu",    "\\rho",  "\\sigma", "\\tau",   "\\phi",     "\\psi",   "\\omega",  "\\varphi"};
    for (size_t i = 0; i < sizeof greek / sizeof *greek; i++)
        if (strlen(greek[i]) == n && take(e, greek[i]))
            return variable(e, greek[i], n);
    return fail(e);
}

static double root(struct expr *e)
{
    double degree = *e->p == '[' ? enclosed(e, "[", "]") : 2;
    double v = group(e);
    return v < 0 && fmod(degree, 2) == 1 ? -pow(-v, 1 / degree) : pow(v, 1 / degree);
}

static double command(struct expr *e)
{
    double a, b;
    if (take(e, "\\frac")) {
        a = group(e);
        b = group(e);
        return a / b;
    }
    if (take(e, "\\binom")) {
        a = group(e);
        b = group(e);
        return tgamma(a + 1) / tgamma(b + 1) / tgamma(a - b + 1);
    }
    if (take(e, "\\sqrt"))
        return root(e);
    if (take(e, "\\pi"))
        return M_PI;
    return take(e, "\\log") ? logarithm(e) : named(e);
}

/* --- the grammar --- */

static double letter(struct expr *e)
{
    if (take(e, "pi"))
        return M_PI;
    if (take(e, "sqrt"))
        return sqrt(argument(e));
    const char *name = e->p++;
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") > 3)
        return fail(e); /* a word */
    if (take(e, "_"))
        group(e);
    else if (*name == 'e')
        return M_E;
    return variable(e, name, (size_t)(e->p - name));
}

static double atom(struct expr *e)
{
    double v;
    if (++e->depth > DEPTH)
        return fail(e);
    if (isdigit((unsigned char)*e->p) || *e->p == '.')
        v = number(e);
    else if (*e->p == '\\')
        v = command(e);
    else if (isalpha((unsigned char)*e->p))
        v = letter(e);
    else if (*e->p == '(')
        v = enclosed(e, "(", ")");
    else if (*e->p == '[')
        v = enclosed(e, "[", "]");
    else if (*e->p == '|')
        v = fabs(enclosed(e, "|", "|"));
    else
        v = group(e);
    e->depth--;
    return v;
}

static double power(struct expr *e)
{
    double v = atom(e);
    if (!e->bad && take(e, "^"))
        v = pow(v, group(e));
    while (!e->bad && take(e, "!"))
        v = tgamma(v + 1);
    return v;
}

static bool begins_atom(const struct expr *e)
{
    return *e->p && (isalnum((unsigned char)*e->p) || strchr("\\({[.", *e->p));
}

static double product(struct expr *e, bool implicit_only)
{
    double v = power(e);
    while (!e->bad) {
        if (!implicit_only && take(e, "*"))
            v *= power(e);
        else if (!implicit_only && take(e, "/"))
            v /= power(e);
        else if (begins_atom(e) &&
                 !(isdigit((unsigned char)*e->p) && isdigit((unsigned char)e->p[-1]))) /* 1{}2 */
            v *= power(e);
        else
            break;
    }
    return v;
}

static double sum(struct expr *e)
{
    double sign = take(e, "-") ? -1 : 1, v;
    take(e, "+");
    if (++e->depth > DEPTH)
        return fail(e);
    v = sign * product(e, false);
    while (!e->bad && (*e->p == '+' || *e->p == '-')) {
        sign = *e->p++ == '-' ? -1 : 1;
        v += sign * product(e, false);
    }
    e->depth--;
    return v;
}

double lmw_expr_value(const char *text, int point)
{
    struct expr e = {.p = text, .point = point};
    double v = sum(&e);
    return e.bad || *e.p ? (double)NAN : v;
}
