/* choice: does the answer commit to the right one of several choices?
 *
 * The reference is a letter ("B", "(b)"), the text of exactly one choice, or a number that counts
 * the choices from 0 (scorer `choice`) or from 1 (`choice1`); a number that is itself a choice's
 * text is that text. What an answer commits to is said in commit.c; a commitment in a choice's own
 * words counts where the record has `choices`: the whole answer, its last line, what is in a box
 * or what follows "the answer is", equal to one choice but for case, space, punctuation and
 * articles.
 *
 * Wrong: another choice, a letter that no choice has, several letters in one breath. Unscorable:
 * no commitment at all. The field's scripts guess there, by taking any capital or by drawing
 * lots; here nothing is guessed. */
#include "score/commit.h"
#include "score/score_impl.h"
#include "score/text.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_CHOICE = 26 };

struct choices {
    struct lmw_buf text[MAX_CHOICE]; /* folded */
    int n;                           /* 0: the record has none */
};

/* "B. text" and "(B) text" are the text, where a choice carries its own letter. */
static lmw_str without_letter(const char *text, int index)
{
    lmw_str s = lmw_str_trim(lmw_str_from(text));
    size_t open = s.len > 0 && s.ptr[0] == '(';
    if (s.len > open + 2 && s.ptr[open] == 'A' + index && strchr(").:", s.ptr[open + 1]) &&
        s.ptr[open + 2] == ' ')
        return (lmw_str){s.ptr + open + 2, s.len - open - 2};
    return s;
}

static bool read_choices(struct choices *c, const char *json)
{
    json_t *all = json_loads(json, 0, NULL), *v;
    size_t i;
    bool ok = json_is_array(all) && json_array_size(all) > 0 && json_array_size(all) <= MAX_CHOICE;
    json_array_foreach(all, i, v)
    {
        ok = ok && json_is_string(v);
        if (!ok)
            break;
        lmw_text_fold(without_letter(json_string_value(v), (int)i), true, &c->text[c->n++]);
    }
    json_decref(all);
    return ok;
}

static void free_choices(struct choices *c)
{
    for (int i = 0; i < c->n; i++)
        lmw_buf_free(&c->text[i]);
}

/* The one choice that a folded text is; -1 for none and for two that read the same. */
static int find_folded(const struct choices *c, const struct lmw_buf *text)
{
    int found = -1;
    for (int i = 0; i < c->n && text->len > 0; i++) {
        if (c->text[i].len != text->len || memcmp(c->text[i].ptr, text->ptr, text->len) != 0)
            continue;
        if (found >= 0)
            return -1;
        found = i;
    }
    return found;
}

static int find_text(const struct choices *c, lmw_str text)
{
    struct lmw_buf folded = {0};
    lmw_text_fold(text, true, &folded);
    int i = folded.failed ? -1 : find_folded(c, &folded);
    lmw_buf_free(&folded);
    return i;
}

/* Whether what stands before is a whole of its own: a sentence, or all but a remark. */
static bool breaks_at(lmw_str rest)
{
    static const char *const breaks[] = {". ",      "; ",   ", ", " (", " because ",
                                         " since ", " as ", ": ", " - "};
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++)
        if (lmw_str_starts(rest, breaks[i]))
            return true;
    return false;
}

/* A text behind "the answer is": all of the line, or the longest part of it that is a choice. */
static int as_choice(const void *arg, lmw_str text)
{
    const struct choices *c = arg;
    int i = find_text(c, text);
    for (size_t n = text.len; i < 0 && n-- > 1;)
        if (breaks_at((lmw_str){text.ptr + n, text.len - n}))
            i = find_text(c, (lmw_str){text.ptr, n});
    return i;
}

/* --- the reference --- */

/* The index of "B", "b", "(B)", "B." or "B)"; -1 for anything else. */
static int letter_index(lmw_str s)
{
    while (s.len > 1 && strchr("([", s.ptr[0]))
        s = lmw_str_trim((lmw_str){s.ptr + 1, s.len - 1});
    while (s.len > 1 && strchr(")].:", s.ptr[s.len - 1]))
        s = lmw_str_trim((lmw_str){s.ptr, s.len - 1});
    return s.len == 1 && isalpha((unsigned char)s.ptr[0]) ? toupper((unsigned char)s.ptr[0]) - 'A'
                                                          : -1;
}

static int reference_index(const struct choices *c, const char *reference, int first)
{
    lmw_str s = lmw_str_trim(lmw_str_from(reference));
    char *end;
    int i = letter_index(s);
    if (i < 0 && (i = find_text(c, s)) < 0 && s.len > 0 && s.len < 4 &&
        isdigit((unsigned char)s.ptr[0])) {
        long number = strtol(s.ptr, &end, 10);
        i = end == s.ptr + s.len ? (int)number - first : -1;
    }
    for (int k = 0; k < c->n && i < 0; k++) /* "B. text" */
        if (s.ptr[0] == 'A' + k && find_text(c, without_letter(reference, k)) == k)
            i = k;
    return i < (c->n ? c->n : MAX_CHOICE) ? i : -1;
}

/* --- the verdict --- */

static void judge(const struct choices *c, lmw_str answer, int right, struct lmw_score *out)
{
    int n = c->n ? c->n : MAX_CHOICE, whole = find_text(c, answer);
    struct lmw_commit said = lmw_commit_find(answer, n, c->n ? as_choice : NULL, c);
    const char *line = memrchr(answer.ptr, '\n', answer.len);
    if (!said.at && whole < 0 && line)
        whole = find_text(c, (lmw_str){line, answer.len - (size_t)(line - answer.ptr)});
    if (whole >= 0 && (!said.at || said.several || said.index < 0))
        said = (struct lmw_commit){whole, false, answer.ptr}; /* "Both A and B" is a choice */
    int index = said.index;
    if (said.at && index < 0)
        lmw_score_set(out, 0, "says that none of the choices is right");
    else if (index < 0)
        lmw_score_set(out, NAN, "commits to no choice");
    else if (said.several)
        lmw_score_set(out, 0, "commits to (%c) and to another", 'A' + index);
    else if (index >= n)
        lmw_score_set(out, 0, "commits to (%c), and there are %d choices", 'A' + index, n);
    else if (index != right)
        lmw_score_set(out, 0, "commits to (%c), not (%c)", 'A' + index, 'A' + right);
    else
        lmw_score_set(out, 1, "%s", "");
}

static void score(const char *answer, const char *reference, const char *choices, int first,
                  struct lmw_score *out)
{
    struct choices c = {0};
    int right = -1;
    if (choices && !read_choices(&c, choices))
        lmw_score_bad_reference(out, "`choices` is not an array of 1 to %d texts", MAX_CHOICE);
    else if ((right = reference_index(&c, reference, first)) < 0)
        lmw_score_bad_reference(out, "the reference '%.60s' is none of the choices", reference);
    else
        judge(&c, lmw_text_answer(lmw_str_from(answer)), right, out);
    free_choices(&c);
}

void lmw_score_choice(const char *answer, const char *reference, const char *choices,
                      struct lmw_score *out)
{
    score(answer, reference, choices, 0, out);
}

void lmw_score_choice1(const char *answer, const char *reference, const char *choices,
                       struct lmw_score *out)
{
    score(answer, reference, choices, 1, out);
}
