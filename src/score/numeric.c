/* numeric: is the number that an answer states the reference's?
 *
 * The number of an answer is, in this order: the one stated last (see stated.c; of "3 x 6 = 18
 * eggs" the one behind the last =); the only one in the text; the last one in the text, as the
 * field's own "flexible" rule for GSM8K has it. An answer without a number is unscorable.
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

#include <math.h>

/* The first number behind the last = that has one; of all where there is no =. */
static bool number_of_clause(const char *clause, struct lmw_number *out)
{
    bool found = false;
    for (const char *p = clause; p; p = strchr(p, '=')) {
        const char *q = p += *p == '=';
        struct lmw_number n;
        if (lmw_number_next(&q, clause, &n)) {
            found = true;
            *out = n;
        }
    }
    return found;
}

/* How many numbers a text has, the last one in *out. */
static int last_number(const char *text, struct lmw_number *out)
{
    int n = 0;
    for (const char *p = text; lmw_number_next(&p, text, out);)
        n++;
    return n;
}

/* 0: none. 1: one that is stated or the only one. 2: merely the last of several. */
static int find_number(lmw_str text, struct lmw_number *out)
{
    struct lmw_buf said = {0}, all = {0};
    lmw_str stated = lmw_stated(text);
    int n = 0;
    if (stated.len > 0)
        lmw_number_plain(stated, &said);
    if (said.ptr && number_of_clause(said.ptr, out)) {
        n = 1;
    } else {
        struct lmw_number last;
        lmw_number_plain(text, &all);
        n = last_number(all.ptr ? all.ptr : "", &last);
        if (n > 0)
            *out = last;
    }
    out->at = NULL;
    lmw_buf_free(&said);
    lmw_buf_free(&all);
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
    else if (find_number(lmw_text_answer(lmw_str_from(answer)), &a) == 0)
        lmw_score_set(out, NAN, "no number in the answer");
    else if (same_number(&a, &r))
        lmw_score_set(out, 1, "%s", "");
    else
        lmw_score_set(out, 0, "is %.10g%s, not %.10g%s", a.value, a.percent ? " %" : "", r.value,
                      r.percent ? " %" : "");
}
