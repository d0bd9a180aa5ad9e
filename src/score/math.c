/* math: is the result that an answer states the reference's, as mathematics?
 *
 * The result is the one stated last (stated.c: a box, "the answer is ..."), else the whole answer
 * where it is one line; longer answers that state nothing are unscorable. Both sides are spelled
 * one way (latex.c) and are equal when
 *
 *   - their spellings are, words in any case;
 *   - both have a value (expr.c) and it is the same, at four points where there are variables: 1/2,
 *     0.5 and \frac{2}{4}; (x+1)^2 and x^2+2x+1. Whether a result is simplified does not count;
 *   - both are tuples or intervals of equal parts in order, with the same brackets; sets, lists
 *     ("1, 2", "x = 1 or x = 2"), \pm and unions, in any order;
 *   - both are equations of equal sides, in either order. "x =" and "x \in" before a result go.
 *
 * The same rules hold for the parts. A percentage is not divided by 100: MATH's references leave
 * the sign out. */
#include "score/latex.h"
#include "score/score_impl.h"
#include "score/stated.h"
#include "score/text.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

enum { LONGEST = 2000, MOST = 64, DEEPEST = 8 };

static bool same(lmw_str a, lmw_str b, int depth);

/* --- parts --- */

static bool opens(char c)
{
    return c == '(' || c == '[' || c == '{';
}
static bool closes(char c)
{
    return c == ')' || c == ']' || c == '}';
}

/* Where `word` stands outside all brackets, at or behind `from`; s.len for nowhere. */
static size_t find_outside(lmw_str s, size_t from, const char *word)
{
    size_t n = strlen(word);
    int depth = 0;
    for (size_t i = 0; i + n <= s.len; i++) {
        if (depth == 0 && i >= from && strncmp(s.ptr + i, word, n) == 0)
            return i;
        depth += opens(s.ptr[i]) - closes(s.ptr[i]);
    }
    return s.len;
}

/* The parts between `word`s; how many, at most MOST. */
static int split(lmw_str s, const char *word, lmw_str *parts)
{
    int n = 0;
    size_t from = 0, at;
    do {
        at = find_outside(s, from, word);
        parts[n++] = (lmw_str){s.ptr + from, at - from};
        from = at + strlen(word);
    } while (at < s.len && n < MOST);
    return n;
}

/* Whether one pair of brackets holds all of s: \{..\}, (..), [..], (..]. */
static bool wrapped(lmw_str s, size_t *open, size_t *close)
{
    *open = *close = 1;
    if (s.len >= 4 && s.ptr[0] == '\\' && s.ptr[1] == '{')
        *open = *close = 2;
    else if (s.len < 2 || (s.ptr[0] != '(' && s.ptr[0] != '['))
        return false;
    int depth = 0;
    for (size_t i = *open - 1; i < s.len; i++) {
        depth += opens(s.ptr[i]) - closes(s.ptr[i]);
        if (depth == 0)
            return i + 1 == s.len;
    }
    return false;
}

static bool same_in_order(const lmw_str *a, const lmw_str *b, int n, int depth)
{
    for (int i = 0; i < n; i++)
        if (!same(a[i], b[i], depth))
            return false;
    return true;
}

static bool same_in_any_order(const lmw_str *a, const lmw_str *b, int n, int depth)
{
    bool used[MOST] = {false};
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < n && (used[k] || !same(a[i], b[k], depth)))
            k++;
        if (k == n)
            return false;
        used[k] = true;
    }
    return true;
}

/* Whether both fall into parts at `word`, and the parts are the same. *cut: at least one did. */
static bool same_parts(lmw_str a, lmw_str b, const char *word, bool order, int depth, bool *cut)
{
    lmw_str x[MOST], y[MOST];
    int n = split(a, word, x), m = split(b, word, y);
    *cut = n > 1 || m > 1;
    return *cut && n == m && (order ? same_in_order : same_in_any_order)(x, y, n, depth);
}

/* --- one part --- */

static bool same_value(lmw_str a, lmw_str b)
{
    char x[LONGEST + 1], y[LONGEST + 1];
    int n_compared = 0;
    if (a.len > LONGEST || b.len > LONGEST)
        return false;
    memcpy(x, a.ptr, a.len);
    memcpy(y, b.ptr, b.len);
    x[a.len] = y[b.len] = 0;
    for (int point = 0; point < 4; point++) {
        double v = lmw_expr_value(x, point), w = lmw_expr_value(y, point);
        if (isfinite(v) != isfinite(w))
            return false;
        if (!isfinite(v))
            continue;
        if (fabs(v - w) > 1e-9 * fmax(1e-3, fmax(fabs(v), fabs(w))))
            return false;
        n_compared++;
    }
    return n_compared > 1;
}

static bool same_spelling(lmw_str a, lmw_str b)
{
    bool word = a.len == b.len && a.len > 1;
    for (size_t i = 0; i < a.len && word; i++)
        word = isalpha((unsigned char)a.ptr[i]);
    return word ? strncasecmp(a.ptr, b.ptr, a.len) == 0 : lmw_str_eq(a, b);
}

static bool same_equation(lmw_str a, lmw_str b, int depth)
{
    lmw_str x[MOST], y[MOST];
    if (split(a, "=", x) != 2 || split(b, "=", y) != 2)
        return false;
    return (same(x[0], y[0], depth) && same(x[1], y[1], depth)) ||
           (same(x[0], y[1], depth) && same(x[1], y[0], depth));
}

/* The parts of a text with \pm: with a plus, and with a minus. */
static bool expand_pm(lmw_str s, struct lmw_buf *out)
{
    size_t at = find_outside(s, 0, "\\pm");
    if (at == s.len)
        return false;
    lmw_str rest = lmw_str_trim((lmw_str){s.ptr + at + 3, s.len - at - 3});
    lmw_buf_printf(out, "%.*s+%.*s,%.*s-%.*s", (int)at, s.ptr, LMW_FMT(rest), (int)at, s.ptr,
                   LMW_FMT(rest));
    return !out->failed;
}

static bool same_expanded(lmw_str a, lmw_str b, int depth)
{
    struct lmw_buf x = {0}, y = {0};
    bool is = false;
    if (expand_pm(a, &x) | expand_pm(b, &y))
        is = same(x.ptr ? (lmw_str){x.ptr, x.len} : a, y.ptr ? (lmw_str){y.ptr, y.len} : b, depth);
    lmw_buf_free(&x);
    lmw_buf_free(&y);
    return is;
}

/* "x=5" and "x\in(0,1)" are the result; so is "f(x)=2x". */
static lmw_str without_name(lmw_str s)
{
    static const char *const links[] = {"=", "\\in"};
    for (size_t i = 0; i < 2; i++) {
        size_t at = find_outside(s, 0, links[i]), n = strlen(links[i]);
        bool name = at > 0 && at + n < s.len && isalpha((unsigned char)s.ptr[0]) &&
                    (at == 1 || (at == 4 && s.ptr[1] == '(' && s.ptr[3] == ')'));
        if (name && find_outside(s, at + n, links[i]) == s.len)
            return (lmw_str){s.ptr + at + n, s.len - at - n};
    }
    return s;
}

static bool same_wrapped(lmw_str a, lmw_str b, int depth, bool *both)
{
    size_t oa, ca, ob, cb;
    bool cut, wa = wrapped(a, &oa, &ca), wb = wrapped(b, &ob, &cb);
    *both = wa && wb;
    if (!*both)
        return false;
    lmw_str x = {a.ptr + oa, a.len - oa - ca}, y = {b.ptr + ob, b.len - ob - cb};
    bool brackets = oa == ob && a.ptr[0] == b.ptr[0] && a.ptr[a.len - 1] == b.ptr[b.len - 1];
    bool is = same_parts(x, y, ",", oa == 1, depth, &cut);
    return cut ? is && brackets : same(x, y, depth);
}

static bool same(lmw_str a, lmw_str b, int depth)
{
    bool cut;
    if (depth == 0 || a.len == 0 || b.len == 0)
        return false;
    a = lmw_str_trim(without_name(a));
    b = lmw_str_trim(without_name(b));
    if (same_spelling(a, b) || same_value(a, b))
        return true;
    if (same_expanded(a, b, depth - 1))
        return true;
    bool is = same_parts(a, b, "\\cup", false, depth - 1, &cut);
    if (!cut)
        is = same_parts(a, b, ",", false, depth - 1, &cut);
    return is || cut ? is
                     : (same_wrapped(a, b, depth - 1, &cut) || same_equation(a, b, depth - 1));
}

/* --- the verdict --- */

/* A statement ends with its sentence: "$5$. I hope it is correct." */
static lmw_str first_sentence(lmw_str s)
{
    for (size_t i = 0; i + 2 < s.len; i++)
        if (s.ptr[i] == '.' && s.ptr[i + 1] == ' ' && isupper((unsigned char)s.ptr[i + 2]))
            return (lmw_str){s.ptr, i};
    return s;
}

static bool result_of(lmw_str text, struct lmw_buf *out)
{
    lmw_str stated = lmw_stated(text);
    if (!stated.ptr && !memchr(text.ptr, '\n', text.len) &&
        !memmem(text.ptr, text.len, "\\boxed", 6))
        stated = text;
    if (stated.ptr && stated.len > 0)
        lmw_latex_plain(first_sentence(stated), out);
    return out->len > 0;
}

void lmw_score_math(const char *answer, const char *reference, const char *choices,
                    struct lmw_score *out)
{
    struct lmw_buf a = {0}, r = {0};
    if (!result_of(lmw_str_trim(lmw_str_from(reference)), &r))
        lmw_score_bad_reference(out, "the reference states no result");
    else if (!result_of(lmw_text_answer(lmw_str_from(answer)), &a))
        lmw_score_set(out, NAN, "states no result");
    else if (same((lmw_str){a.ptr, a.len}, (lmw_str){r.ptr, r.len}, DEEPEST))
        lmw_score_set(out, 1, "%s", "");
    else
        lmw_score_set(out, 0, "is %.70s, not %.70s", a.ptr, r.ptr);
    lmw_buf_free(&a);
    lmw_buf_free(&r);
}
