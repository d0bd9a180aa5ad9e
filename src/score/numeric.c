/* numeric: is the number that an answer states the reference's?
 *
 * The number of an answer is, in this order: the one stated last (see stated.c; of "3 x 6 = 18
 * eggs" the one behind the last =); one that stands alone on the first line; the last one in the
 * text, as the field's own "flexible" rule for GSM8K has it. Remarks in brackets ("18 (16 - 7 = 9
 * eggs)"), reasons ("18, since ...") and other turns (turn.c) are passed over. An answer without a
 * number is unscorable.
 *
 * Equal is: the same where both are whole, else within a millionth (0.333333 is 1/3). A reference
 * that gives two or more decimals is a rounded one: an answer with more decimals is right when it
 * rounds to it (2.7183 is 2.72; 2.7 is not). Units and currency do not count. 45 % is 45 and 0.45
 * where only one of the two says percent.
 *
 * The reference is a number with or without its unit, or a text that states one (GSM8K's
 * solutions end in "#### 18"). */
#include "score/number.h"
#include "score/score_impl.h"
#include "score/stated.h"
#include "score/text.h"
#include "score/turn.h"

#include <ctype.h>
#include <math.h>

/* The length of the remark in brackets at p, on one line; 0 where none is. What an exponent is in
 * (10^(-4)) belongs to its number. */
static size_t remark_at(const char *begin, const char *p)
{
    int depth = 0;
    if (*p != '(' || (p > begin && p[-1] == '^'))
        return 0;
    for (const char *q = p; *q && *q != '\n'; q++) {
        depth += (*q == '(') - (*q == ')');
        if (depth == 0)
            return (size_t)(q - p) + 1;
    }
    return 0;
}

/* A text in plain signs, its remarks in brackets left out: "18 (16 - 7 = 9 eggs)". */
static void without_remarks(const char *plain, struct lmw_buf *out)
{
    for (const char *p = plain; *p;) {
        size_t n = remark_at(plain, p);
        lmw_buf_put(out, n ? " " : p, 1);
        p += n ? n : 1;
    }
    lmw_buf_str(out, "");
}

/* The number that a clause comes to: the first one behind the last = that has one; of all where
 * there is no =. A reason behind it does not count: "18, since 9 x 2 = 18". How many: 0 or 1. */
static int number_of_clause(const char *clause, struct lmw_number *out)
{
    static const char *const reasons[] = {" because ", " since "};
    int found = 0;
    for (const char *p = clause; p; p = strchr(p, '=')) {
        const char *q = p += *p == '=';
        struct lmw_number n;
        if (!lmw_number_next(&q, clause, &n))
            continue;
        for (size_t i = 0; i < 2 && found; i++) {
            const char *reason = strstr(clause, reasons[i]);
            if (reason && reason < p)
                return found;
        }
        found = 1;
        *out = n;
    }
    return found;
}

/* How many numbers a text has, the last one in *out. */
static int last_number(const char *text, struct lmw_number *out)
{
    struct lmw_number next;
    int n = 0;
    for (const char *p = text; lmw_number_next(&p, text, &next); n++)
        *out = next;
    return n;
}

/* What `count` finds in a text without its remarks, or with them where there is nothing else. */
static int find_in(lmw_str text, int (*count)(const char *, struct lmw_number *),
                   struct lmw_number *out)
{
    struct lmw_buf plain = {0}, bare = {0};
    lmw_number_plain(text, &plain);
    without_remarks(plain.ptr ? plain.ptr : "", &bare);
    int n = count(bare.ptr ? bare.ptr : "", out);
    if (n == 0)
        n = count(plain.ptr ? plain.ptr : "", out);
    out->at = NULL;
    lmw_buf_free(&plain);
    lmw_buf_free(&bare);
    return n;
}

/* An answer may begin with its number, alone on a line, and explain it then. */
static lmw_str first_line(lmw_str text)
{
    const char *end = memchr(text.ptr, '\n', text.len);
    lmw_str line = {text.ptr, end ? (size_t)(end - text.ptr) : 0};
    for (size_t i = 0; i < line.len; i++)
        if (isalpha((unsigned char)line.ptr[i]))
            return (lmw_str){line.ptr, 0};
    return line;
}

/* 0: none. 1: one that is stated or the only one. 2: merely the last of several. */
static int find_number(lmw_str text, struct lmw_number *out)
{
    lmw_str stated = lmw_stated(text), first = first_line(text);
    if (stated.len > 0 && find_in(stated, number_of_clause, out))
        return 1;
    if (first.len > 0 && find_in(first, last_number, out) == 1)
        return 1;
    int n = find_in(text, last_number, out);
    return n > 2 ? 2 : n;
}

static bool equal(double a, double r)
{
    if (a == floor(a) && r == floor(r) && fabs(r) < 0x1p53)
        return a == r;
    return fabs(a - r) <= 1e-6 * fmax(fabs(a), fabs(r));
}

static bool same_number(const struct lmw_number *a, const struct lmw_number *r)
{
    if (equal(a->value, r->value))
        return true;
    if (a->percent != r->percent &&
        equal(a->percent ? a->value / 100 : a->value, r->percent ? r->value / 100 : r->value))
        return true;
    return r->decimals >= 2 && a->decimals > r->decimals &&
           fabs(a->value - r->value) <= 0.5000001 * pow(10, -r->decimals);
}

void lmw_score_numeric(const char *answer, const char *reference, const char *choices,
                       struct lmw_score *out)
{
    struct lmw_number a = {0}, r = {0};
    if (find_number(lmw_str_trim(lmw_str_from(reference)), &r) != 1)
        lmw_score_bad_reference(out, "the reference '%.60s' is not one number", reference);
    else if (find_number(lmw_turn_first(lmw_text_answer(lmw_str_from(answer))), &a) == 0)
        lmw_score_set(out, NAN, "no number in the answer");
    else if (same_number(&a, &r))
        lmw_score_set(out, 1, "%s", "");
    else
        lmw_score_set(out, 0, "is %.10g%s, not %.10g%s", a.value, a.percent ? " %" : "", r.value,
                      r.percent ? " %" : "");
}
