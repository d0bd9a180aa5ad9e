/* Where an answer states its result: the last of
 *
 *     \boxed{RESULT}          LaTeX (\fbox too; nested braces are followed)
 *     #### RESULT             GSM8K, but no Markdown heading; also a line "A: RESULT"
 *     ... answer is RESULT    also "Answer: RESULT", "the answer to this is RESULT", the result on
 *                             the next line; not "the answer is not ...", "to answer this: ...",
 *                             "the answer step by step:", and no first step of several
 *
 * The result reaches to the end of its box or line. Only where it is: what kind of thing it is
 * the scorers say. */
#include "score/stated.h"

#include <ctype.h>

enum { LONGEST = 8192 }; /* bytes of a result: what is longer is no result */

static lmw_str rest_of(lmw_str s, const char *from)
{
    return (lmw_str){from, s.len - (size_t)(from - s.ptr)};
}

static lmw_str line_at(lmw_str s, const char *from)
{
    lmw_str rest = rest_of(s, from);
    rest.len = rest.len < LONGEST ? rest.len : LONGEST;
    const char *end = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
    return lmw_str_trim((lmw_str){rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len});
}

/* What is between the brace at the start of s and its own; ptr NULL where it has none. */
static lmw_str in_braces(lmw_str s)
{
    int depth = 0;
    for (size_t i = 0; i < s.len && i < LONGEST; i++) {
        if (s.ptr[i] == '\\' && i + 1 < s.len && strchr("{}", s.ptr[i + 1]))
            i++;
        else if (s.ptr[i] == '{')
            depth++;
        else if (s.ptr[i] == '}' && --depth == 0)
            return lmw_str_trim((lmw_str){s.ptr + 1, i - 1});
    }
    return (lmw_str){0};
}

static lmw_str boxed(lmw_str s, const char *after)
{
    lmw_str rest = rest_of(s, after);
    while (rest.len > 0 && isspace((unsigned char)rest.ptr[0]))
        rest = rest_of(s, rest.ptr + 1);
    if (rest.len > 0 && rest.ptr[0] == '{')
        return in_braces(rest);
    size_t n = 0; /* \boxed 5 */
    while (n < rest.len && n < LONGEST && !isspace((unsigned char)rest.ptr[n]) &&
           rest.ptr[n] != '$')
        n++;
    return (lmw_str){rest.ptr, n};
}

static lmw_str after_letter(lmw_str s, const char *after)
{
    bool at_line = after - 2 == s.ptr || after[-3] == '\n';
    return at_line ? line_at(s, after) : (lmw_str){0};
}

/* "1. Add", "2) **Double it**": a step on the way, or a heading. */
static bool is_numbered(lmw_str line)
{
    size_t n = 0;
    while (n < line.len && isdigit((unsigned char)line.ptr[n]))
        n++;
    return n > 0 && n + 2 < line.len && strchr(".)", line.ptr[n]) && line.ptr[n + 1] == ' ';
}

static lmw_str without_marks(lmw_str s, const char *marks)
{
    while (s.len > 0 && strchr(marks, s.ptr[0]))
        s = rest_of(s, s.ptr + 1);
    return s;
}

/* What stands over more text is a Markdown heading where it begins with a word or a number. */
static lmw_str after_hashes(lmw_str s, const char *after)
{
    lmw_str said = line_at(s, after), bare = without_marks(said, "#*_ ");
    bool more = lmw_str_trim(rest_of(s, said.ptr + said.len)).len > 0;
    bool word =
        bare.len > 1 && isalpha((unsigned char)bare.ptr[0]) && isalpha((unsigned char)bare.ptr[1]);
    return more && (word || is_numbered(bare)) ? (lmw_str){0} : said;
}

/* Length of a word that links "answer" to its result at p. */
static size_t link_at(lmw_str s, size_t i)
{
    static const char *const words[] = {"is:", "is", "are", "was", "be", "equals", "="};
    if (s.ptr[i] == ':' || s.ptr[i] == '=')
        return 1;
    if (i == 0 || !isspace((unsigned char)s.ptr[i - 1]))
        return 0;
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        size_t n = strlen(words[w]);
        if (i + n <= s.len && strncasecmp(s.ptr + i, words[w], n) == 0 &&
            (i + n == s.len || !isalnum((unsigned char)s.ptr[i + n])))
            return n;
    }
    return 0;
}

/* "to answer": what follows is the way, not the result. */
static bool is_verb(lmw_str s, const char *after)
{
    const char *to = after - strlen("to answer");
    return to >= s.ptr && strncasecmp(to, "to ", 3) == 0;
}

static bool has_words(lmw_str gap)
{
    gap = without_marks(gap, "s*_` "); /* answers */
    for (size_t i = 0; i < gap.len && gap.ptr[0] != '('; i++)
        if (isalpha((unsigned char)gap.ptr[i]))
            return true;
    return false;
}

/* What is said behind a link, or on a line of its own below it, where a colon that introduces
 * steps ("the answer step by step:") says nothing. */
static lmw_str said_at(lmw_str s, const char *link, size_t n, lmw_str gap)
{
    enum { LINES = 3 };
    const char *from = link + n;
    lmw_str said = without_marks(line_at(s, from), ":*_` ");
    bool below = said.len == 0;
    if (below && *link == ':' && has_words(gap))
        return (lmw_str){0};
    for (int i = 0;
         i < LINES && (said.len == 0 || lmw_str_is(said, "\\[") || lmw_str_is(said, "$$")); i++) {
        from = said.len > 0 ? said.ptr + said.len : from;
        said = line_at(s, lmw_str_trim(rest_of(s, from)).ptr);
    }
    return (below && is_numbered(said)) || lmw_str_starts(said, "not ") ? (lmw_str){0} : said;
}

static lmw_str after_answer(lmw_str s, const char *after)
{
    enum { GAP = 100 }; /* bytes between "answer" and its link, within one sentence */
    lmw_str rest = rest_of(s, after);
    size_t n = 0;
    rest.len = rest.len < LONGEST ? rest.len : LONGEST;
    if (is_verb(s, after) ||
        (rest.len > 0 && isalpha((unsigned char)rest.ptr[0]) && rest.ptr[0] != 's'))
        return (lmw_str){0};
    for (size_t i = 0; i < rest.len && i < GAP && !strchr(".\n?!", rest.ptr[i]); i++)
        if ((n = link_at(rest, i)) > 0)
            return said_at(s, rest.ptr + i, n, (lmw_str){rest.ptr, i});
    return (lmw_str){0};
}

static const struct {
    const char *mark;
    lmw_str (*read)(lmw_str s, const char *after);
} marks[] = {{"\\boxed", boxed},
             {"\\fbox", boxed},
             {"####", after_hashes},
             {"A:", after_letter},
             {"answer", after_answer}};

lmw_str lmw_stated(lmw_str answer)
{
    lmw_str best = {0};
    for (size_t m = 0; m < sizeof marks / sizeof *marks; m++) {
        size_t n = strlen(marks[m].mark);
        for (size_t i = 0; i + n <= answer.len; i++) {
            if (strncasecmp(answer.ptr + i, marks[m].mark, n) != 0)
                continue;
            lmw_str said = marks[m].read(answer, answer.ptr + i + n);
            /* "the answer is \\boxed{5}": the line began before the box, which is the result */
            if (said.len > 0 && (!best.ptr || said.ptr >= best.ptr))
                best = said;
        }
    }
    return best;
}
