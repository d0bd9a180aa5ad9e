/* Which letter does an answer commit to? The many ways models write it, as one table of patterns.
 *
 * A text is first freed of its dress: Unicode's compatibility form (a full-width or circled B is
 * a B), no Markdown emphasis, LaTeX fonts or dollar signs, braces as brackets; a letter that stood
 * alone in a dress (**A**, $B$, \text{C}) is put in brackets, because a dressed A is no article.
 *
 * A statement ("the answer is B", \boxed{B}, "(B) is correct", "I choose B") outweighs a mere
 * sign (a line that is only "B", a text that ends in "(B)" or begins with "B)"). Among equals the
 * last one wins. What follows the first statement and belongs to another turn is not looked at: a
 * chat template's token, a "Question:" or "Response:", answers numbered like those of several
 * questions, and "Answer:" after a blank line and not one word of why the answer changed; a model
 * that was not stopped goes on by itself like that.
 *
 * Refused, because it would be a guess: a lower-case letter, an A or an I that is a word of its
 * sentence; letters in formulas (F = ma), names (A-level) and functions; the first letters of a
 * list that goes through the choices; "if the answer is A", "the wrong answer is A". */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "score/commit.h"
#include "score/text.h"

#include <ctype.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>

/* --- the patterns --- */

/* One capital, or any letter that something closes; never one that goes on as word or formula. */
#define NO_WORD "(?![A-Za-z0-9'(\\\\-]|\\s*[=+^>/]|\\s*<(?!/)|\\s+-\\d)"
#define LETTER                                                                      \
    "(?-i:(?<l>[A-Za-z])(?=\\s*[)\\].,:;!?]+(?:[\\s)\\]]|$)|\\s*\\n|\\s*\\z|\\s*&|" \
    "\\s+(?:because|since|as|for|with|which|due|and|or)\\b)|(?<l>[B-HJ-Z])" NO_WORD \
    "|(?<l>[AI])(?!\\s+[a-z])" NO_WORD ")"
/* "... and (C)": a second letter in the same breath. */
#define MORE                                                                         \
    "(?:[)\\]]*\\s*(?:,?\\s*(?:and|or|&)|,|/)\\s*(?:option\\s+|choice\\s+)?(?-i:(?:" \
    "[(\\[](?<m>[A-Z])[)\\]]|(?<m>[A-Z])(?=\\s*(?:\\z|[\\n.,;]|and\\b|or\\b))))"     \
    "(?!\\s+(?:is|was|can|has|would|does)\\b))?"
/* What stands between "is" and the letter. */
#define FILL                                                                                      \
    "(?:[\\s:=(\\[,#>~-]|\\.{3}|(?:the|most|likely|probably|clearly|definitely|simply|thus|"      \
    "therefore|then|hence|indeed|actually|still|also|option|choice|answer|letter|number|"         \
    "statement|correct|best|right|one|is|be|given|by|as|follows|following|final|"                 \
    "boxed|la|el|le|il|donc|daher|opci\u00f3n|op\u00e7\u00e3o|opzione|(?:a\\s+)?(?:letra|lettre|" \
    "lettera))\\b){0,24}+"
#define CUE                                                                             \
    "(?<![A-Za-z])(?<!wrong )(?<!incorrect )(?<!if the )(?<!whether the )(?:answers?"   \
    "(?:\\s+(?:choice|option|key|letter))?|(?:correct|right|best|final|chosen|"         \
    "appropriate)\\s+(?:choice|option|letter|response|one|statement)|"                  \
    "respuesta(?: correcta)?|resposta(?: correta)?|antwort|r\u00e9ponse(?: correcte)?|" \
    "risposta(?: corretta)?|(?:response|ans)(?=\\s*:)|"                                 \
    "\u043e\u0442\u0432\u0435\u0442|\u7b54\u6848|\u7b54\u3048|\u6b63\u89e3|"            \
    "(?<!\u4e0d)\u6b63\u786e\u9009\u9879|\uc815\ub2f5)(?![a-z])"
#define GAP                                                                               \
    "(?:,?\\s+(?:to|for|of|in|among|from|that|based|given|according|here|provided|above|" \
    "below|then|choice|would|should|must|will)\\b[^.:\\n]{0,80}?)?"
#define LINK                                                                             \
    "\\s*(?::|=|->|=>|\u2192|-|\u2013|\u2014|\n|(?:is|are|was|be|es|ist|lautet|est)\\b|" \
    "\u00e9|\u00e8|\u662f|\u4e3a|\u306f|\uc740|\ub294)"
#define RIGHT                                                                             \
    "(?:\\s+(?:indeed|therefore|thus|clearly|definitely|probably|likely|the|my|our|only|" \
    "best|correct|right|most|accurate|appropriate|suitable|plausible|final))*"            \
    "\\s+(?:answer|choice|option|correct|right)\\b(?!\\s+(?:only|if|when|but)\\b)"
#define NO_CHOICE_BEFORE "(?<!statement )(?<!equation )(?<!part )(?<!claim )(?<!figure )"
#define NOT_BEFORE       "(?<!not )(?<!n't )(?<!never )(?<!cannot )"
#define NONE_OF                                                                               \
    "(?:none|neither)\\s+(?:of|is)\\b|not\\s+(?:listed|given|provided|available|among|in|"    \
    "possible)\\b|(?:unknown|undetermined|indeterminate)\\b|(?:cannot|can't|can\\s+not|could" \
    "\\s+not)\\s+be\\b"
#define SAID      "(?:(?<n>" NONE_OF ")|" LETTER MORE "|(?<t>[^\\n]{1,500}))"
#define LIST_SIGN "(?:[)\\]]|[.:](?=\\s))"

enum kind { STATEMENT, SIGN, FIRST_OR_LAST, LISTED, TURN, N_KIND };

static const struct row {
    enum kind kind;
    const char *pattern;
} rows[] = {
    /* the answer is (B); Answer: B; the correct option is therefore b; and other words */
    {STATEMENT, "(?i)" CUE GAP LINK FILL SAID},
    /* answer (B) */
    {STATEMENT, "(?i)" CUE "\\s*[(\\[]\\s*(?-i:(?<l>[A-Z]))\\s*[)\\]](?!\\s+is\\b)"},
    {STATEMENT, "(?i)<answer>" FILL SAID},
    {STATEMENT, "(?i)boxed" FILL SAID},
    /* (B) is the correct answer; option B is correct */
    {STATEMENT,
     "(?i)" NO_CHOICE_BEFORE
     "(?:\\b(?:option|choice|answer|letter)\\s+[(\\[]?(?-i:(?<l>[A-Z]))[)\\]]?|"
     "(?<!\\w)[(\\[](?-i:(?<l>[A-Za-z]))[)\\]]|"
     "(?:^|[.!?:;,]\\s+|\\b(?:so|then|thus|therefore|hence|that)\\s+)(?-i:(?<l>[A-HJ-Z])))[:.]?"
     "\\s+(?:is|(?:seems|appears)(?:\\s+to\\s+be)?|would\\s+be|must\\s+be)" RIGHT},
    {STATEMENT, "(?i)\\b" NOT_BEFORE
                "(?:choose|select|pick|(?:go|going)\\s+with|opt\\s+for|chose|selected|picked|"
                "conclude|choosing|selecting)\\s+(?:that\\s+)?" FILL LETTER MORE},
    {STATEMENT, "(?:\u9009\u62e9|\u9009|\u9078)\\s*[(:]?\\s*(?<l>[A-Z])(?![A-Za-z0-9])"},

    {SIGN, "(?m)^[\\s(\\[#>'-]*(?:(?i:option|choice)\\s+)?(?<l>[A-Z])[)\\].:,!'\\s]*$"},
    {SIGN, "\\A[\\s(\\['-]*(?<l>[a-z])[)\\].,!'\\s]*\\z"},
    {SIGN, "(?i)\\b(?:option|choice|answer)\\s*[(\\[]?(?-i:(?<l>[A-Z]))[)\\].!\\s]*\\z"},
    {SIGN, "(?<![\\w)])[(\\[](?<l>[A-Z])[)\\]][\\s.!]*\\z"},
    {SIGN, "(?i)\\b(?:therefore|thus|hence|so),?\\s+(?-i:(?<l>[A-HJ-Z]))[\\s.!]*\\z"},
    {SIGN, "\\A[\\s(\\[]*(?:(?<l>[A-HJ-Z])(?:,\\s|\\s+-\\s|\\s+because\\b|\\s+since\\b)|"
           "(?<l>[B-HJ-Z])\\s+\\()"},
    /* B) text, at the top or at the end */
    {FIRST_OR_LAST, "\\A[\\s(\\[#]*(?:(?i:option|choice)\\s+)?(?:(?<l>[B-Z])" LIST_SIGN
                    "|(?<l>A)(?:[)\\]]|\\.(?=\\s)))"},
    {FIRST_OR_LAST,
     "(?m)^[\\s(\\[#]*(?:(?i:option|choice)\\s+)?(?<l>[A-Z])" LIST_SIGN "(?<t>[^\\n]*)\\s*\\z"},

    {LISTED, "(?m)^[\\s(\\[#*-]*(?:(?i:option|choice)\\s+)?(?<l>[A-Z])" LIST_SIGN},
    {TURN, "(?im)<\\|[a-z_]{1,24}\\|>|\\[INST\\]|^\\W*(?:Question|Q|Human|User|Problem|Response|"
           "Assistant|Instruction)\\s*\\d*\\s*(?::|\\W*$)|^\\s*\\d+[.)]\\s+(?:the\\s+)?answer\\b|"
           "\\G[)\\].\\s]*\\n\\s*\\n[\\s-]*answer\\s*:"},
};
enum { N_ROW = sizeof rows / sizeof *rows };

static pcre2_code *codes[N_ROW];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The patterns are constants and the tests use each: one that does not compile is a bug there. */
static void compile_all(void)
{
    int error;
    PCRE2_SIZE at;
    for (int i = 0; i < N_ROW; i++) {
        codes[i] =
            pcre2_compile((PCRE2_SPTR)rows[i].pattern, PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_DUPNAMES | PCRE2_NO_UTF_CHECK, &error, &at, NULL);
        if (codes[i])
            pcre2_jit_compile(codes[i], PCRE2_JIT_COMPLETE);
    }
}

/* --- a text without its dress --- */

static bool is_dress(char c)
{
    return c == '*' || c == '_' || c == '`' || c == '$' || c == '"';
}

/* Length of a LaTeX command or HTML tag that is only dress; 0 where there is none. */
static size_t skip_dress(const char *p)
{
    static const char *const commands[] = {
        "\\textbf", "\\textit", "\\textrm", "\\text", "\\mathrm", "\\mathbf",
        "\\mathsf", "\\mbox",   "\\bf",     "\\rm",   "\\fbox",   "\\displaystyle",
        "\\(",      "\\)",      "\\[",      "\\]",    "\\,",      "\\;",
        "\\!",      "\\ ",      "<b>",      "</b>",   "<strong>", "</strong>",
        "<i>",      "</i>",     "\\"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        size_t n = strlen(commands[i]);
        if (strncmp(p, commands[i], n) == 0)
            return n;
    }
    return 0;
}

/* A single letter between dresses, at p: its dresses and it. */
static size_t dressed_letter(const char *p, char *letter)
{
    size_t n = strspn(p, "*_`$\"");
    if (n == 0 || !isalpha((unsigned char)p[n]))
        return 0;
    size_t m = strspn(p + n + 1, "*_`$\"");
    *letter = p[n];
    return m > 0 ? n + 1 + m : 0;
}

static void undress(const char *text, struct lmw_buf *out)
{
    char letter;
    size_t n;
    for (const char *p = text; *p; p += n) {
        bool inside = p > text && (isalnum((unsigned char)p[-1]));
        if (!inside && (n = dressed_letter(p, &letter)) > 0)
            lmw_buf_printf(out, "(%c)", letter);
        else if ((n = skip_dress(p)) > 0)
            continue;
        else if ((n = 1) && !is_dress(*p))
            lmw_buf_put(out, *p == '{' ? "(" : *p == '}' ? ")" : p, 1);
    }
    lmw_buf_str(out, "");
}

/* --- looking for one --- */

struct search {
    const char *text;
    size_t len;
    pcre2_match_data *found;
    lmw_commit_text *as_choice; /* which choice a text is */
    const void *arg;
};

/* Where group `name` matched in the last match; ptr NULL where it did not. */
static lmw_str group(const struct search *s, int row, const char *name)
{
    PCRE2_SPTR first, last;
    int size = pcre2_substring_nametable_scan(codes[row], (PCRE2_SPTR)name, &first, &last);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->found);
    for (PCRE2_SPTR entry = first; size > 0 && entry <= last; entry += size) {
        int i = entry[0] << 8 | entry[1];
        if ((uint32_t)i < pcre2_get_ovector_count(s->found) && at[2 * i] != PCRE2_UNSET)
            return (lmw_str){s->text + at[2 * i], at[2 * i + 1] - at[2 * i]};
    }
    return (lmw_str){0};
}

static bool next_match(struct search *s, int row, size_t from)
{
    return codes[row] && from <= s->len &&
           pcre2_match(codes[row], (PCRE2_SPTR)s->text, s->len, from, PCRE2_NO_UTF_CHECK, s->found,
                       NULL) >= 0;
}

static size_t match_end(const struct search *s)
{
    return pcre2_get_ovector_pointer(s->found)[1];
}

static int upper(lmw_str letter)
{
    return toupper((unsigned char)*letter.ptr);
}

static lmw_str rest_of_line(const struct search *s, const char *from)
{
    size_t left = s->len - (size_t)(from - s->text);
    const char *end = memchr(from, '\n', left);
    return (lmw_str){from, end ? (size_t)(end - from) : left};
}

/* What the last match of a row commits to; at NULL for nothing. */
static struct lmw_commit read_match(const struct search *s, int row)
{
    struct lmw_commit c = {.index = -1};
    lmw_str l = group(s, row, "l"), m = group(s, row, "m"), t = group(s, row, "t"),
            none = group(s, row, "n");
    lmw_str text = none.ptr ? rest_of_line(s, none.ptr) : t;
    int said = text.ptr && s->as_choice ? s->as_choice(s->arg, text) : -1;
    if (l.ptr) {
        c = (struct lmw_commit){upper(l) - 'A', false, l.ptr};
        c.several = m.ptr && upper(m) != upper(l);
        if (rows[row].kind == FIRST_OR_LAST && t.ptr && s->as_choice && said != c.index)
            c.at = NULL;
    } else if (said >= 0 || none.ptr) {
        c = (struct lmw_commit){said, false, text.ptr};
    }
    return c;
}

/* The last commitment of a kind before `limit`, and in *first_end where the first one ended. */
static struct lmw_commit last_of(struct search *s, enum kind kind, int n_choice, size_t limit,
                                 size_t *first_end)
{
    struct lmw_commit best = {.index = -1};
    for (int row = 0; row < N_ROW; row++) {
        for (size_t from = 0; rows[row].kind == kind && next_match(s, row, from);) {
            struct lmw_commit c = read_match(s, row);
            lmw_str t = group(s, row, "t");
            size_t end = match_end(s);
            /* What is said after "is" may hold the next statement. */
            from = t.ptr && !c.at ? (size_t)(t.ptr - s->text) : end;
            if (!c.at || (size_t)(c.at - s->text) >= limit)
                continue;
            if (c.index >= n_choice && islower((unsigned char)*c.at))
                continue; /* the answer is x */
            if (first_end && end < *first_end)
                *first_end = end;
            if (!best.at || c.at >= best.at)
                best = c;
        }
    }
    return best;
}

/* Whether lines begin with different letters: a walk through the choices, not a commitment. */
static bool goes_through_list(struct search *s)
{
    char seen = 0;
    for (int row = 0; row < N_ROW; row++) {
        for (size_t from = 0; rows[row].kind == LISTED && next_match(s, row, from);) {
            lmw_str l = group(s, row, "l");
            from = match_end(s);
            if (seen && *l.ptr != seen)
                return true;
            seen = *l.ptr;
        }
    }
    return false;
}

/* Where another turn begins behind the first statement. */
static size_t turn_limit(struct search *s, size_t first_end)
{
    for (int row = 0; row < N_ROW; row++)
        if (rows[row].kind == TURN && next_match(s, row, first_end))
            return pcre2_get_ovector_pointer(s->found)[0];
    return s->len;
}

static struct lmw_commit look(struct search *s, int n_choice)
{
    size_t first_end = s->len + 1;
    struct lmw_commit c = last_of(s, STATEMENT, n_choice, s->len + 1, &first_end);
    if (c.at) {
        size_t limit = turn_limit(s, first_end);
        return limit < s->len ? last_of(s, STATEMENT, n_choice, limit, NULL) : c;
    }
    c = last_of(s, SIGN, n_choice, s->len + 1, NULL);
    if (!c.at && !goes_through_list(s))
        c = last_of(s, FIRST_OR_LAST, n_choice, s->len + 1, NULL);
    return c;
}

struct lmw_commit lmw_commit_find(lmw_str answer, int n_choice, lmw_commit_text *as_choice,
                                  const void *arg)
{
    enum { LOOKED_AT = 1 << 20 }; /* bytes at the end: an answer is no book */
    struct lmw_commit c = {.index = -1};
    struct lmw_buf compat = {0}, text = {0};
    pthread_once(&once, compile_all);
    if (answer.len > LOOKED_AT)
        answer = (lmw_str){answer.ptr + answer.len - LOOKED_AT, LOOKED_AT};
    lmw_text_compat(answer, &compat);
    if (!compat.failed)
        undress(compat.ptr, &text);
    struct search s = {text.ptr, text.len, pcre2_match_data_create(16, NULL), as_choice, arg};
    if (s.found && text.ptr && !text.failed)
        c = look(&s, n_choice);
    pcre2_match_data_free(s.found);
    lmw_buf_free(&compat);
    lmw_buf_free(&text);
    return c;
}
