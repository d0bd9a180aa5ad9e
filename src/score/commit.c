/* Which letter does an answer commit to? The many ways models write it, as one table of patterns.
 *
 * A text is first freed of its dress: Unicode's compatibility form (a full-width or circled B is
 * a B), no Markdown emphasis, LaTeX fonts or dollar signs, braces as brackets; a letter that stood
 * alone in a dress (**A**, $B$, \text{C}) is put in brackets, because a dressed A is no article.
 *
 * A statement ("the answer is B", \boxed{B}, "(B) is correct", "I choose B"; "wait, it must be B")
 * outweighs a mere sign (a line that is only "B", a text that ends in "(B)" or begins with "B)"),
 * and a sign what names a choice in passing ("the diagnosis is (B) ...", "only (B) fits"), which
 * counts where all of that names the same one. Among equals the last one wins.
 *
 * A model that was not stopped goes on by itself. What belongs to another turn (turn.c) is not
 * looked at where a commitment stands before it, and neither is what follows the first statement
 * and answers other questions: numbered answers, a summary of all of them, and "Answer:" after a
 * blank line and not one word of why the answer changed.
 *
 * Refused, because it would be a guess: a lower-case letter, an A or an I that is a word of its
 * sentence; letters in formulas (F = ma), names (A-level) and functions; the first letters of a
 * list that goes through the choices; "if the answer is A", "the wrong answer is A". */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "score/commit.h"
#include "score/text.h"
#include "score/turn.h"

#include <ctype.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>

/* --- the patterns --- */

/* One capital, or any letter that something closes; never one that goes on as word or formula. */
#define NO_WORD "(?![A-Za-z0-9'(\\\\-]|\\.[A-Z]\\.|\\s*[=+^>/]|\\s*<(?!/)|\\s+-\\d)"
#define LETTER                                                                  \
    "(?-i:(?<=[(\\[])(?<l>[A-Z])(?<m>[A-Z])[A-Z]{0,8}(?=[)\\]])|"               \
    "(?<l>[A-Za-z])(?=\\s*[)\\].,:;!?]+(?:[\\s)\\]]|$)|\\s*\\n|\\s*\\z|\\s*&|"  \
    "\\s*/\\s*[A-Z]\\b|\\s+(?:because|since|as|for|with|which|due|and|or)\\b)|" \
    "(?<l>[B-HJ-Z])" NO_WORD "|(?<l>[AI])(?!\\s+[a-z])" NO_WORD ")"
/* "... and (C)": a second letter in the same breath. */
#define AND                                                                           \
    "[)\\]]*\\s*(?:,?\\s*(?:and|or|&)|,|/)\\s*(?:option\\s+|choice\\s+)?(?-i:(?:"     \
    "[(\\[](?<m>[A-Z])[)\\]]|(?<m>[A-Z])(?=\\s*(?:\\z|[\\n.,;?)\\]]|and\\b|or\\b))))" \
    "(?![)\\]]?\\s+(?:is|was|can|has|would|does)\\b)"
#define MORE "(?:" AND ")?"
/* What stands between "is" and the letter. */
#define FILL                                                                                    \
    "(?:[\\s:=(\\[,#>~-]++|\\.{3}|(?:the|most|likely|probably|clearly|definitely|simply|thus|"  \
    "obviously|certainly|therefore|then|hence|indeed|actually|still|also|option|choice|answer|" \
    "letter|number|statement|correct|best|right|one|is|be|to|only|either|given|by|as|follows|"  \
    "following|final|boxed|la|el|le|il|donc|daher|opci\u00f3n|op\u00e7\u00e3o|opzione|"         \
    "r\u00e9ponse|(?:a\\s+)?(?:letra|lettre|lettera))\\b){0,24}+"
#define CUE                                                                              \
    "(?<![A-Za-z])(?<!wrong )(?<!incorrect )(?<!if the )(?<!whether the )(?<!which )"    \
    "(?:answers?(?:\\s+(?:choice|option|key|letter))?|(?:correct|right|best|final|"      \
    "chosen|appropriate|accurate|likely|probable|plausible|suitable|relevant|remaining)" \
    "\\s+(?:choice|option|letter|response|one|statement)|"                               \
    "respuesta(?: correcta)?|resposta(?: correta)?|antwort|r\u00e9ponse(?: correcte)?|"  \
    "risposta(?: corretta)?|(?:response|ans)(?=\\s*:)|antwoord|svar|odpowied\u017a|"     \
    "jawaban(?: yang benar)?|cevap|\u0111\u00e1p \u00e1n(?: \u0111\u00fang)?|"           \
    "\u0627\u0644\u0625\u062c\u0627\u0628\u0629"                                         \
    "(?: \u0627\u0644\u0635\u062d\u064a\u062d\u0629)?|"                                  \
    "\u0909\u0924\u094d\u0924\u0930|"                                                    \
    "\u043e\u0442\u0432\u0435\u0442|\u7b54\u6848|\u7b54\u3048|\u6b63\u89e3|"             \
    "(?<!\u4e0d)\u6b63\u786e\u9009\u9879|\uc815\ub2f5)(?![a-z])"
#define GAP                                                                            \
    "(?:\\s*\\([^)\\n]{0,80}\\)|"                                                      \
    ",?\\s+(?:to|for|of|in|among|from|that|based|given|according|here|provided|above|" \
    "below|then|therefore|thus|choice|would|should|must|will)\\b[^.:\\n]{0,80}?)?"
#define LINK                                                       \
    "\\s*(?::|=|->|=>|\u2192|-|\u2013|\u2014|\n|"                  \
    "(?:is|are|was|be|has|can|could|es|ist|lautet|est|adalah)\\b|" \
    "\u00e9|\u00e8|l\u00e0|\u0647\u064a|\u662f|\u4e3a|\u306f|\uc740|\ub294)"
#define RIGHT                                                                             \
    "(?:\\s+(?:indeed|therefore|thus|clearly|definitely|probably|likely|the|my|our|only|" \
    "best|better|correct|right|most|accurate|appropriate|suitable|plausible|final))*"     \
    "\\s+(?:answer|choice|option|correct|right)\\b(?!\\s+(?:only|if|when|but)\\b)"
#define NO_CHOICE_BEFORE "(?<!statement )(?<!equation )(?<!part )(?<!claim )(?<!figure )"
#define NOT_BEFORE       "(?<!not )(?<!n't )(?<!never )(?<!cannot )"
#define NONE_OF                                                                               \
    "(?:none|neither)\\s+(?:of|is)\\b|not\\s+(?:listed|given|provided|available|among|in|"    \
    "possible)\\b|(?:unknown|undetermined|indeterminate)\\b|(?:cannot|can't|can\\s+not|could" \
    "\\s+not)\\s+be\\b"
#define SAID      "(?:(?<n>" NONE_OF ")|" LETTER MORE "|(?<t>[^\\n]{1,500}))"
#define LIST_SIGN "(?:[)\\]]|[.:](?=\\s))"
/* Less than a statement: "it must be B", "I'd say B", "that leaves B". */
#define CLAIM                                                                                    \
    "(?:(?<!if )\\b(?:it|that|this|which|one|guess|best|choice|option)(?:'s|\\s+(?:is|was)\\b)|" \
    "\\b(?:must|should|has\\s+to)\\s+be\\b|\\b(?:leaves|say|guess|think|definitely|"             \
    "certainly|probably|surely|most\\s+likely|elimination|final:|correction:))"
/* The words of somebody who changes his mind. */
#define CHANGE                                                                            \
    "(?:\\b(?:wait|hmm+|actually|correction|second\\s+thought|reflection|reconsider\\w*|" \
    "re-?check\\w*|double-check\\w*|re-?evaluat\\w*|mistaken?|scratch\\s+that)\\b|"       \
    "[.,!?]\\s+no\\b)[^\\n]{0,200}?"

enum kind { STATEMENT, SIGN, FIRST_OR_LAST, NAMED, LISTED, TURN, N_KIND };

static const struct row {
    enum kind kind;
    const char *pattern;
} rows[] = {
    /* the answer is (B); Answer: B; the correct option is therefore b; and other words */
    {STATEMENT, "(?i)" CUE GAP LINK FILL SAID},
    /* answer (B) */
    {STATEMENT, "(?i)" CUE "\\s*[(\\[]\\s*(?-i:(?<l>[A-Z]))\\s*[)\\]](?!\\s+is\\b)"},
    {STATEMENT, "(?i)<(?:final)?answer>" FILL SAID},
    {STATEMENT, "(?i)boxed" FILL SAID},
    /* (B) is the correct answer; option B is correct */
    {STATEMENT, "(?i)" NO_CHOICE_BEFORE "(?:[(\\[](?-i:(?<m>[A-Z]))[)\\]],?\\s+(?:and|or)\\s+)?"
                "(?:\\b(?:option|choice|answer|letter)\\s+[(\\[]?(?-i:(?<l>[A-Z]))[)\\]]?|"
                "(?<!\\w)[(\\[](?-i:(?<l>[A-Za-z]))[)\\]]|"
                "(?:^|[.!?:;,]\\s+|\\b(?:so|then|thus|therefore|hence|that|think|believe)\\s+)"
                "(?-i:(?<l>[A-HJ-Z])))[:.]?"
                "\\s+(?:is|(?:seems|appears)(?:\\s+to\\s+be)?|would\\s+be|must\\s+be)" RIGHT},
    /* London is the answer */
    {STATEMENT, "(?im)(?:^|[.!?:,]\\s+|\\b(?:so|thus|hence|therefore|think|believe),?\\s+)"
                "(?<t>[^\\n]{1,200}?)\\s+is\\s+the\\s+(?:(?:correct|right|best)\\s+)?"
                "(?:answer|choice|option)\\b"},
    {STATEMENT, "(?i)\\b" NOT_BEFORE
                "(?:choose|select|pick|(?:go|going)\\s+with|opt\\s+for|chose|selected|picked|"
                "conclude|choosing|selecting)\\s+(?:that\\s+)?" FILL LETTER MORE},
    {STATEMENT, "(?:\u9009\u62e9|\u9009|\u9078)\\s*[(:]?\\s*(?<l>[A-Z])(?![A-Za-z0-9])"},
    /* Wait, no: it must be (B) */
    {STATEMENT, "(?i)" CHANGE CLAIM FILL LETTER MORE},

    {SIGN, "(?m)^(?:=>|[^\\w\\n=+|^/])*(?:(?i:option|choice)\\s+)?(?<l>[A-Z])[)\\].:,!'\\s]*$"},
    {SIGN, "\\A[\\s(\\['-]*(?:(?i:option|choice)\\s+)?(?<l>[a-z])[)\\].,!'\\s]*\\z"},
    {SIGN, "(?i)\\b(?:option|choice|answer|ans\\.)[)\\]]?\\s*[(\\[]?(?-i:(?<l>[A-Z]))"
           "[)\\].!\\s]*\\z"},
    {SIGN, "(?<![\\w)])(?:[(\\[](?<m>[A-Z])[)\\]],?\\s+(?:and|or)\\s+)?"
           "[(\\[](?<l>[A-Z])[)\\]][\\s.!]*\\z"},
    {SIGN, "(?i)\\b(?:therefore|thus|hence|so),?\\s+(?-i:(?<l>[A-HJ-Z]))[\\s.!]*\\z"},
    {SIGN, "\\A[\\s(\\[]*(?:(?<l>[A-HJ-Z])(?:,\\s|\\s+-\\s|\\s+because\\b|\\s+since\\b)|"
           "(?<l>[B-HJ-Z])\\s+\\()"},
    {SIGN, "(?i)" CLAIM FILL "(?-i:(?<l>[A-Z]))[)\\].!\\s]*\\z"},
    /* all of it: A and C */
    {SIGN, "(?i)\\A[\\s(\\[]*(?:both\\s+|either\\s+)?(?-i:(?<l>[A-Z]))" AND "[)\\],\\s.&A-Z]*\\z"},
    {SIGN, "(?i)\\A\\W*(?<n>none\\s+of\\s)"},
    /* B) text, at the top or at the end */
    {FIRST_OR_LAST, "\\A[\\s(\\[#]*(?:(?i:option|choice)\\s+)?(?:(?<l>[B-Z])" LIST_SIGN
                    "|(?<l>A)(?:[)\\]]|\\.(?=\\s)))"},
    {FIRST_OR_LAST,
     "(?m)^[\\s(\\[#]*(?:(?i:option|choice)\\s+)?(?<l>[A-Z])" LIST_SIGN "(?<t>[^\\n]*)\\s*\\z"},

    /* is (B) text; is option B */
    {NAMED, "(?i)\\b(?:is|be)\\s*:?\\s+(?-i:[(\\[]?(?<l>[A-Z]))" LIST_SIGN "(?<t>[^\\n]+)"},
    {NAMED, "(?i)\\b(?:is|only|matches)\\s+(?:option|choice)\\s+(?-i:(?<l>[A-Z]))\\b"
            "(?!\\s*(?:is\\s+)?(?:not|incorrect|wrong)\\b)"},
    {NAMED, "(?i)\\bonly\\s+[(\\[](?-i:(?<l>[A-Z]))[)\\]]\\s+(?:is|can|fits|matches|satisf)"},
    /* one sentence that ends in a choice's text */
    {NAMED, "(?i)\\A[^\\n.!?]{0,300}?(?:\\b(?:is|are|was)|'s)\\s+(?<t>[^\\n]{1,300})\\z"},
    /* the list with a verdict at each choice */
    {NAMED, "(?im)^[\\s(\\[#*-]*(?-i:(?<l>[A-Z]))(?=[)\\].:])[^\\n]{0,160}?[-:.)\u2013\u2014]\\s*"
            "(?:this\\s+is\\s+)?(?:correct\\b|\u2705|\u2713|\u2714)"},

    {LISTED, "(?m)^[\\s(\\[#*-]*(?:(?i:option|choice)\\s+)?(?<l>[A-Z])" LIST_SIGN},
    {TURN,
     "(?im)^\\s*\\d+[.)]\\s+(?:the\\s+)?answer\\b|"
     "^\\W*now,?\\s[^\\n]*(?:\\ball\\s|\u4ee5\u4e0a|\u6240\u6709)[^\\n]*(?:answers|\u7b54\u6848)|"
     "\\G[)\\].\\s]*\\n\\s*\\n[\\s-]*(?:answer\\s*:|final\\s+answer\\s*:\\s*the\\s+answer\\s+is)"},
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
    size_t n = strspn(p, "*_`$\"'");
    if (n == 0 || !isalpha((unsigned char)p[n]))
        return 0;
    size_t m = strspn(p + n + 1, "*_`$\"'");
    *letter = p[n];
    return m > 0 ? n + 1 + m : 0;
}

/* A sign that has a plainer one at p: its length, and that one in *plain. */
static size_t plainer(const char *p, const char **plain)
{
    static const struct {
        const char *from, *to;
    } signs[] = {{"{", "("},
                 {"}", ")"},
                 {"\u3002", ". "},
                 {"\u3001", ", "},
                 {"\u2018", "'"},
                 {"\u2019", "'"},
                 {"\u201c", "\""},
                 {"\u201d", "\""},
                 {"<|begin_of_box|>", "boxed "},
                 {"<|end_of_box|>", " "}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t n = strlen(signs[i].from);
        if (strncmp(p, signs[i].from, n) == 0) {
            *plain = signs[i].to;
            return n;
        }
    }
    return 0;
}

static void put_plain(const char *text, struct lmw_buf *out)
{
    const char *plain;
    for (const char *p = text; *p;) {
        size_t n = plainer(p, &plain);
        lmw_buf_put(out, n ? plain : p, n ? strlen(plain) : 1);
        p += n ? n : 1;
    }
    lmw_buf_str(out, "");
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
            lmw_buf_put(out, p, 1);
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

static size_t match_begin(const struct search *s)
{
    return pcre2_get_ovector_pointer(s->found)[0];
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

static int text_index(const struct search *s, lmw_str text)
{
    return text.ptr && s->as_choice ? s->as_choice(s->arg, text) : -1;
}

/* Whether a letter goes on like a choice of its own kind: "I and II", "A, B, and C". */
static bool is_enumeration(const char *letter)
{
    return strncmp(letter + 1, " and ", 5) == 0 || strncmp(letter + 1, ", ", 2) == 0 ||
           strncmp(letter + 1, " only", 5) == 0;
}

/* What the last match of a row commits to; at NULL for nothing. A choice's own words come before
 * the letters in them: "I and II". */
static struct lmw_commit read_match(const struct search *s, int row)
{
    lmw_str l = group(s, row, "l"), m = group(s, row, "m"), t = group(s, row, "t"),
            none = group(s, row, "n");
    if (l.ptr && t.ptr && s->as_choice && text_index(s, t) != upper(l) - 'A')
        return (struct lmw_commit){.index = -1};
    if (l.ptr && is_enumeration(l.ptr) && text_index(s, rest_of_line(s, l.ptr)) >= 0)
        t = rest_of_line(s, l.ptr);
    else if (l.ptr)
        return (struct lmw_commit){upper(l) - 'A', m.ptr && upper(m) != upper(l), l.ptr};
    lmw_str text = none.ptr ? rest_of_line(s, none.ptr) : t;
    int said = text_index(s, text);
    return (struct lmw_commit){said, false, said >= 0 || none.ptr ? text.ptr : NULL};
}

/* What the matches of a kind commit to. */
struct survey {
    struct lmw_commit last;
    size_t first_end; /* where the first one ended */
    bool differ;
};

/* The commitments of a kind before `limit`. */
static struct survey survey(struct search *s, enum kind kind, int n_choice, size_t limit)
{
    struct survey all = {.last.index = -1, .first_end = SIZE_MAX};
    for (int row = 0; row < N_ROW; row++) {
        for (size_t from = 0; rows[row].kind == kind && next_match(s, row, from);) {
            struct lmw_commit c = read_match(s, row);
            lmw_str t = group(s, row, "t");
            size_t end = match_end(s);
            /* What is said after "is" may hold the next statement. */
            from = t.ptr > s->text + from && !c.at ? (size_t)(t.ptr - s->text) : end;
            if (!c.at || (size_t)(c.at - s->text) >= limit)
                continue;
            if (c.index >= n_choice && islower((unsigned char)*c.at))
                continue; /* the answer is x */
            all.first_end = end < all.first_end ? end : all.first_end;
            all.differ |= all.last.at && all.last.index != c.index;
            if (!all.last.at || c.at >= all.last.at)
                all.last = c;
        }
    }
    return all;
}

/* Whether lines begin with different letters: a walk through the choices, not a commitment. */
static bool goes_through_list(struct search *s)
{
    char seen = 0;
    for (int row = 0; row < N_ROW; row++) {
        for (size_t from = 0; rows[row].kind == LISTED && next_match(s, row, from);) {
            lmw_str l = group(s, row, "l");
            from = match_end(s);
            if (!l.ptr)
                continue;
            if (seen && *l.ptr != seen)
                return true;
            seen = *l.ptr;
        }
    }
    return false;
}

/* Where another turn begins at or behind `from`. */
static size_t turn_at(struct search *s, size_t from)
{
    size_t at = lmw_turn_at((lmw_str){s->text, s->len}, from);
    for (int row = 0; row < N_ROW; row++)
        if (rows[row].kind == TURN && next_match(s, row, from) && match_begin(s) < at)
            at = match_begin(s);
    return at;
}

static struct lmw_commit look(struct search *s, int n_choice)
{
    struct survey said = survey(s, STATEMENT, n_choice, s->len + 1);
    size_t limit = said.last.at ? turn_at(s, said.first_end) : s->len;
    if (limit < s->len)
        said = survey(s, STATEMENT, n_choice, limit);
    if (!said.last.at)
        said = survey(s, SIGN, n_choice, s->len + 1);
    if (!said.last.at && !goes_through_list(s))
        said = survey(s, FIRST_OR_LAST, n_choice, s->len + 1);
    if (said.last.at)
        return said.last;
    said = survey(s, NAMED, n_choice, s->len + 1);
    return said.differ ? (struct lmw_commit){.index = -1} : said.last;
}

/* The first turn's commitment, or that of the whole text where the first turn has none. */
static struct lmw_commit look_by_turn(struct search *s, int n_choice)
{
    size_t all = s->len;
    s->len = turn_at(s, 0);
    struct lmw_commit c = look(s, n_choice);
    if (c.at || s->len == all)
        return c;
    s->len = all;
    return look(s, n_choice);
}

struct lmw_commit lmw_commit_find(lmw_str answer, int n_choice, lmw_commit_text *as_choice,
                                  const void *arg)
{
    enum { LOOKED_AT = 1 << 20 }; /* bytes at the end: an answer is no book */
    struct lmw_commit c = {.index = -1};
    struct lmw_buf compat = {0}, plain = {0}, text = {0};
    pthread_once(&once, compile_all);
    if (answer.len > LOOKED_AT)
        answer = (lmw_str){answer.ptr + answer.len - LOOKED_AT, LOOKED_AT};
    lmw_text_compat(answer, &compat);
    if (!compat.failed)
        put_plain(compat.ptr, &plain);
    if (plain.ptr && !plain.failed)
        undress(plain.ptr, &text);
    struct search s = {text.ptr, text.len, pcre2_match_data_create(16, NULL), as_choice, arg};
    if (s.found && text.ptr && !text.failed)
        c = look_by_turn(&s, n_choice);
    pcre2_match_data_free(s.found);
    lmw_buf_free(&compat);
    lmw_buf_free(&plain);
    lmw_buf_free(&text);
    return c;
}
