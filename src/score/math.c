/* math: is the result that an answer states the reference's, as mathematics?
 *
 * The result is the one stated last (stated.c: a box, "the answer is ..."; boxes that only "and"
 * or a comma parts are one list), else the whole answer where it is one line, or the last
 * mathematics in its last line; longer answers without any are unscorable. Both sides are spelled
 * one way (latex.c), the name before a result goes, and so do the steps to it and its rounded
 * value ("x = 2+3 = 5", "1/3 \approx 0.33"). They are equal when
 *
 *   - their spellings are, words in any case;
 *   - both have a value (expr.c) and it is the same, at four points where there are variables: 1/2,
 *     0.5 and \frac{2}{4}; (x+1)^2 and x^2+2x+1. Whether a result is simplified does not count;
 *   - both are tuples or intervals of equal parts in order, with the same brackets, where an
 *     inequality for one name is an interval; matrices of equal cells; sets, lists ("1, 2", "x = 1
 *     or x = 2"), \pm and unions, in any order;
 *   - both are equations of equal sides, in either order, or differ by a factor.
 *
 * The same rules hold for the parts. A percentage is not divided by 100: MATH's references leave
 * the sign out. */
#include "score/latex.h"
#include "score/score_impl.h"
#include "score/stated.h"
#include "score/text.h"
#include "score/turn.h"

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

/* Whether one pair of brackets holds all of s: \{..\}, {..}, (..), [..], (..]. */
static bool wrapped(lmw_str s, size_t *open, size_t *close)
{
    *open = *close = 1;
    if (s.len >= 4 && s.ptr[0] == '\\' && s.ptr[1] == '{')
        *open = *close = 2;
    else if (s.len < 2 || !opens(s.ptr[0]))
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

static double value_of(lmw_str s, int point)
{
    char text[LONGEST + 1];
    if (s.len > LONGEST)
        return (double)NAN;
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    return lmw_expr_value(text, point);
}

static bool same_value(lmw_str a, lmw_str b)
{
    int n_compared = 0;
    for (int point = 0; point < 4; point++) {
        double v = value_of(a, point), w = value_of(b, point);
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

/* The two sides of an equation with its one =. */
static bool sides(lmw_str s, lmw_str *left, lmw_str *right)
{
    lmw_str part[MOST];
    if (split(s, "=", part) != 2)
        return false;
    *left = part[0];
    *right = part[1];
    return true;
}

/* Whether left - right of both differ by a factor only: y = 2x + 1 and 4x - 2y + 2 = 0. */
static bool same_line(const lmw_str *a, const lmw_str *b)
{
    double ratio = (double)NAN;
    for (int point = 0; point < 4; point++) {
        double v = value_of(a[0], point) - value_of(a[1], point);
        double w = value_of(b[0], point) - value_of(b[1], point);
        if (!isfinite(v / w) || v == 0 || (point > 0 && fabs(v / w - ratio) > 1e-9 * fabs(ratio)))
            return false;
        ratio = v / w;
    }
    return true;
}

static bool same_equation(lmw_str a, lmw_str b, int depth)
{
    lmw_str x[2], y[2];
    if (!sides(a, &x[0], &x[1]) || !sides(b, &y[0], &y[1]))
        return false;
    return (same(x[0], y[0], depth) && same(x[1], y[1], depth)) ||
           (same(x[0], y[1], depth) && same(x[1], y[0], depth)) || same_line(x, y);
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

typedef bool expand_fn(lmw_str s, struct lmw_buf *out);

static bool same_expanded(expand_fn *expand, lmw_str a, lmw_str b, int depth)
{
    struct lmw_buf x = {0}, y = {0};
    bool is = false;
    if (expand(a, &x) | expand(b, &y))
        is = same(x.ptr ? (lmw_str){x.ptr, x.len} : a, y.ptr ? (lmw_str){y.ptr, y.len} : b, depth);
    lmw_buf_free(&x);
    lmw_buf_free(&y);
    return is;
}

/* --- what stands around a result --- */

/* x, f(2), AB, |AB|, x_1, (x,y), \angle A: letters first, digits only in brackets or an index. */
static bool is_name(lmw_str s)
{
    int depth = 0;
    bool letter = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        depth += opens(c) - closes(c);
        letter |= isalpha((unsigned char)c) != 0;
        if (isdigit((unsigned char)c) ? !letter || (depth == 0 && s.ptr[i - 1] != '_')
                                      : !isalpha((unsigned char)c) && !strchr("()[]{}|,:_\\ '", c))
            return false;
    }
    return s.len == 1 || (letter && !(value_of(s, 0) == value_of(s, 1))); /* \frac{1}{2} is none */
}

/* What is behind the sign at `at`, n bytes long. */
static lmw_str behind(lmw_str s, size_t at, size_t n)
{
    return (lmw_str){s.ptr + at + n, s.len - at - n};
}

/* The result of "x \approx 5", "1/3 \approx 0.33", "x \in A"; s where it has no such sign. */
static lmw_str of_sign(lmw_str s)
{
    size_t in = find_outside(s, 0, "\\in"), about = find_outside(s, 0, "\\approx");
    if (about < s.len)
        return is_name((lmw_str){s.ptr, about}) ? behind(s, about, strlen("\\approx"))
                                                : (lmw_str){s.ptr, about};
    bool infinity = in + 3 < s.len && s.ptr[in + 3] == 'f';
    return in < s.len && !infinity && is_name((lmw_str){s.ptr, in}) ? behind(s, in, 3) : s;
}

/* The result of "x=5", "f(x)=2x" and "x=2+3=5"; of an equation itself. */
static lmw_str without_name(lmw_str s)
{
    lmw_str part[MOST];
    s = lmw_str_trim(of_sign(s));
    int n = split(s, "=", part), first = n > 1 && is_name(part[0]);
    for (int i = first + 1; i < n; i++)
        if (!same_value(part[i], part[i - 1]))
            return s;
    return lmw_str_trim(part[n - 1]);
}

/* The parts between signs of order, each of which is in signs[]: how many signs, at most two, and
 * both the same way; -1 for more. */
static int split_order(lmw_str s, lmw_str part[3], int sign[2])
{
    static const char *const signs[] = {"\\le", "\\ge", "<", ">"};
    int n = 0, depth = 0, k;
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        depth += opens(s.ptr[i]) - closes(s.ptr[i]);
        for (k = 0; k < 4 && !lmw_str_starts(behind(s, i, 0), signs[k]); k++)
            ;
        if (depth != 0 || k == 4)
            continue;
        if (n == 2)
            return -1;
        part[n] = lmw_str_trim((lmw_str){s.ptr + from, i - from});
        sign[n++] = k;
        from = i + strlen(signs[k]);
    }
    part[n] = lmw_str_trim(behind(s, from, 0));
    return n == 2 && sign[0] % 2 != sign[1] % 2 ? -1 : n;
}

/* An inequality for one name, as the interval that it is: 1 < x \le 2, 5 \ge x. */
static bool put_interval(lmw_str s, struct lmw_buf *out)
{
    lmw_str part[3];
    int sign[2], n = split_order(s, part, sign);
    if (n < 1 || (n == 2 && !is_name(part[1])))
        return false;
    bool down = sign[0] % 2;
    lmw_str low = part[down ? n : 0], high = part[down ? 0 : n];
    bool with_low = sign[down ? n - 1 : 0] < 2, with_high = sign[down ? 0 : n - 1] < 2;
    if (n == 1 && is_name(low)) {
        low = LMW_STR("-\\inf");
        with_low = false;
    } else if (n == 1 && is_name(high)) {
        high = LMW_STR("\\inf");
        with_high = false;
    } else if (n == 1) {
        return false;
    }
    lmw_buf_printf(out, "%c%.*s,%.*s%c", with_low ? '[' : '(', LMW_FMT(low), LMW_FMT(high),
                   with_high ? ']' : ')');
    return !out->failed;
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

/* A matrix of any brackets; its cells are between & and \\. A determinant is none. */
static bool matrix(lmw_str s, lmw_str *body)
{
    size_t open, close;
    if (s.len > 0 && s.ptr[0] != '\\' && wrapped(s, &open, &close))
        s = (lmw_str){s.ptr + 1, s.len - 2};
    size_t end = s.len;
    while (end > 0 && !lmw_str_starts(behind(s, end, 0), "\\end{"))
        end--;
    const char *brace = end > 0 ? memchr(s.ptr, '}', end) : NULL;
    if (!brace || !lmw_str_starts(s, "\\begin{") || strchr("vV", s.ptr[strlen("\\begin{")]))
        return false;
    if (brace[1] == '{') /* an array's columns */
        brace = memchr(brace + 1, '}', end - (size_t)(brace + 1 - s.ptr));
    if (!brace)
        return false;
    *body = (lmw_str){brace + 1, end - (size_t)(brace + 1 - s.ptr)};
    if (body->len > 2 && memcmp(body->ptr + body->len - 2, "\\\\", 2) == 0)
        body->len -= 2;
    return true;
}

static bool same_matrix(lmw_str a, lmw_str b, int depth)
{
    lmw_str x[MOST], y[MOST], p[MOST], q[MOST];
    if (!matrix(a, &a) || !matrix(b, &b))
        return false;
    int n = split(a, "\\\\", x);
    bool is = n == split(b, "\\\\", y);
    for (int i = 0; i < n && is; i++) {
        int m = split(x[i], "&", p);
        is = m == split(y[i], "&", q) && same_in_order(p, q, m, depth);
    }
    return is;
}

/* Plain braces hold nothing together, and a set is a list where the other side is one. */
static void open_braces(lmw_str *a, lmw_str *b)
{
    lmw_str *side[] = {a, b};
    size_t open[2], close[2];
    bool set[2];
    for (int i = 0; i < 2; i++) {
        if (wrapped(*side[i], &open[i], &close[i]) && side[i]->ptr[0] == '{')
            *side[i] = (lmw_str){side[i]->ptr + 1, side[i]->len - 2};
        set[i] = wrapped(*side[i], &open[i], &close[i]) && open[i] == 2;
    }
    for (int i = 0; i < 2; i++)
        if (set[i] && !set[1 - i])
            *side[i] = (lmw_str){side[i]->ptr + 2, side[i]->len - 4};
}

/* The same as a whole, not in parts. */
static bool same_whole(lmw_str a, lmw_str b, int depth)
{
    return same_spelling(a, b) || same_value(a, b) || same_expanded(expand_pm, a, b, depth) ||
           same_expanded(put_interval, a, b, depth) || same_matrix(a, b, depth);
}

static bool same(lmw_str a, lmw_str b, int depth)
{
    bool cut;
    if (depth == 0 || a.len == 0 || b.len == 0)
        return false;
    if (same_equation(a, b, depth - 1))
        return true;
    a = without_name(a);
    b = without_name(b);
    open_braces(&a, &b);
    if (same_whole(a, b, depth - 1))
        return true;
    bool is = same_parts(a, b, "\\cup", false, depth - 1, &cut);
    if (!cut)
        is = same_parts(a, b, ",", false, depth - 1, &cut);
    return is || (!cut && same_wrapped(a, b, depth - 1, &cut));
}

/* --- the verdict --- */

/* A statement ends with its sentence, or where its reason begins: "$5$. I hope it is correct." */
static lmw_str first_sentence(lmw_str s)
{
    static const char *const reasons[] = {" because ", ", since ", " since ", " (because "};
    for (size_t i = 0; i + 2 < s.len; i++) {
        if (s.ptr[i] == '.' && s.ptr[i + 1] == ' ' && isupper((unsigned char)s.ptr[i + 2]))
            return (lmw_str){s.ptr, i};
        for (size_t k = 0; k < sizeof reasons / sizeof *reasons && i > 0; k++)
            if (lmw_str_starts(behind(s, i, 0), reasons[k]))
                return (lmw_str){s.ptr, i};
    }
    return s;
}

static bool opens_math(lmw_str s, size_t i, const char *mark)
{
    return lmw_str_starts(behind(s, i, 0), mark);
}

/* The last mathematics in a line: $..$, \(..\) or \[..\]; all of the line where it has none. */
static lmw_str last_math(lmw_str line)
{
    static const char *const marks[][2] = {{"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}};
    for (size_t close = line.len < LONGEST ? line.len : 0; close-- > 0;)
        for (int k = 0; k < 3; k++)
            for (size_t open = close; opens_math(line, close, marks[k][1]) && open-- > 0;)
                if (opens_math(line, open, marks[k][0]) && close > open + strlen(marks[k][0]))
                    return (lmw_str){line.ptr + open + strlen(marks[k][0]),
                                     close - open - strlen(marks[k][0])};
    return line;
}

/* Whether a word in it tells of its result, so that it is not all result. */
static bool is_sentence(lmw_str line)
{
    static const char *const words[] = {"is",    "are",  "have",      "get",  "find", "equals",
                                        "Hence", "Thus", "Therefore", "Then", "So",   NULL};
    for (size_t i = 0, n = 0; i < line.len; i += n + 1) {
        for (n = 0; i + n < line.len && isalpha((unsigned char)line.ptr[i + n]);)
            n++;
        if (lmw_str_among((lmw_str){line.ptr + i, n}, words))
            return true;
    }
    return false;
}

/* What an answer that states nothing comes to: all of it where it is one line, the mathematics
 * in its last line where that is a sentence. */
static lmw_str unstated(lmw_str text)
{
    const char *nl = memrchr(text.ptr, '\n', text.len);
    lmw_str line = nl ? behind(text, (size_t)(nl - text.ptr), 1) : text;
    lmw_str math = is_sentence(line) ? last_math(line) : line;
    return !nl || math.len < line.len ? math : (lmw_str){0};
}

/* Whether what is between two boxes only joins them: "}$ and $\boxed{". */
static bool joins(lmw_str gap)
{
    static const char *const words[] = {"and", "or", "quad", "qquad", "text", "boxed", NULL};
    for (size_t i = 0, n = 0; i < gap.len; i += n ? n : 1) {
        for (n = 0; i + n < gap.len && isalpha((unsigned char)gap.ptr[i + n]);)
            n++;
        if (n ? !lmw_str_among((lmw_str){gap.ptr + i, n}, words)
              : !strchr(" ,;$\\{}\n", gap.ptr[i]))
            return false;
    }
    return true;
}

/* Results in boxes one after the other are one list: \boxed{1} and \boxed{2}. */
static void put_boxes(lmw_str text, lmw_str last, int most, struct lmw_buf *out)
{
    static const char box[] = "\\boxed{";
    size_t at = (size_t)(last.ptr - text.ptr), n = sizeof box - 1;
    while (at > 0 && isspace((unsigned char)text.ptr[at - 1]))
        at--;
    if (most == 0 || at < n || memcmp(text.ptr + at - n, box, n) != 0)
        return;
    lmw_str before = {text.ptr, at - n}, said = lmw_stated(before);
    const char *end = said.ptr ? said.ptr + said.len : NULL;
    if (!end || *end != '}' || !joins((lmw_str){end, (size_t)(text.ptr + at - end)}))
        return;
    put_boxes(before, said, most - 1, out);
    lmw_latex_plain(said, out);
    lmw_buf_str(out, ",");
}

static bool result_of(lmw_str text, struct lmw_buf *out)
{
    lmw_str stated = lmw_stated(text);
    if (stated.len > 0)
        put_boxes(text, stated, MOST, out);
    else if (!stated.ptr && text.len > 0 && !memmem(text.ptr, text.len, "\\boxed", 6))
        stated = unstated(text);
    if (stated.len > 0)
        lmw_latex_plain(first_sentence(stated), out);
    return out->len > 0;
}

void lmw_score_math(const char *answer, const char *reference, const char *choices,
                    struct lmw_score *out)
{
    struct lmw_buf a = {0}, r = {0};
    if (!result_of(lmw_str_trim(lmw_str_from(reference)), &r))
        lmw_score_bad_reference(out, "the reference states no result");
    else if (!result_of(lmw_turn_first(lmw_text_answer(lmw_str_from(answer))), &a))
        lmw_score_set(out, NAN, "states no result");
    else if (same((lmw_str){a.ptr, a.len}, (lmw_str){r.ptr, r.len}, DEEPEST))
        lmw_score_set(out, 1, "%s", "");
    else
        lmw_score_set(out, 0, "is %.70s, not %.70s", a.ptr, r.ptr);
    lmw_buf_free(&a);
    lmw_buf_free(&r);
}
