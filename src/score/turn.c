/* Turns. A model that is not stopped goes on by itself: with its chat template's next token, or
 * with the next question as in the examples it was shown. The marks of another turn are
 *
 *     <|im_end|>  </s>  <end_of_turn>  <eos>  [INST]   a template's token; _ does not count
 *     Question:   ## Problem 2   User:   Response:     such a word at the head of a line, which
 *                                                      a colon or the line's end closes
 *
 * A mark may as well stand before an answer (a question said again), so that only the scorers know
 * whether what is before it answers. */
#include "score/turn.h"
#include "score/stated.h"

#include <ctype.h>

enum { TOKEN = 32, MARKS = 8 }; /* bytes of a token; marks that are looked at */

static bool is_token(lmw_str s)
{
    static const char *const tokens[] = {"<s>",         "</s>",          "<eos>",  "<eostoken>",
                                         "<endofturn>", "<startofturn>", "[inst]", NULL};
    char text[TOKEN + 1];
    size_t n = 0;
    if (s.ptr[0] != '<' && s.ptr[0] != '[')
        return false;
    for (size_t i = 0; i < s.len && i < TOKEN && (i == 0 || !strchr(">]", s.ptr[i - 1])); i++)
        if (s.ptr[i] != '_')
            text[n++] = (char)tolower((unsigned char)s.ptr[i]);
    text[n] = 0;
    if (lmw_str_among((lmw_str){text, n}, tokens))
        return true;
    return n > 4 && strncmp(text, "<|", 2) == 0 && strcmp(text + n - 2, "|>") == 0 &&
           strspn(text + 2, "abcdefghijklmnopqrstuvwxyz") == n - 4;
}

static lmw_str skip(lmw_str s, size_t n)
{
    return (lmw_str){s.ptr + n, s.len - n};
}

/* Whether a line that begins here is the head of another turn. */
static bool is_head(lmw_str line)
{
    static const char *const heads[] = {"question",  "q",           "human",    "user", "problem",
                                        "assistant", "instruction", "response", NULL};
    char word[TOKEN] = "";
    size_t n = 0;
    while (line.len > 0 && !isalnum((unsigned char)line.ptr[0]))
        line = skip(line, 1);
    while (n < line.len && n + 1 < TOKEN && isalpha((unsigned char)line.ptr[n])) {
        word[n] = (char)tolower((unsigned char)line.ptr[n]);
        n++;
    }
    if (!lmw_str_among((lmw_str){word, n}, heads))
        return false;
    line = skip(line, n);
    while (line.len > 0 &&
           (isspace((unsigned char)line.ptr[0]) || isdigit((unsigned char)line.ptr[0])))
        line = skip(line, 1);
    for (size_t i = 0; i < line.len && line.ptr[i] != ':'; i++)
        if (isalnum((unsigned char)line.ptr[i]))
            return false;
    return true;
}

static lmw_str line_of(lmw_str s)
{
    const char *end = s.len ? memchr(s.ptr, '\n', s.len) : NULL;
    return (lmw_str){s.ptr, end ? (size_t)(end - s.ptr) : s.len};
}

size_t lmw_turn_at(lmw_str s, size_t from)
{
    for (size_t i = from; i < s.len; i++) {
        bool at_line = i == 0 || s.ptr[i - 1] == '\n';
        if (is_token(skip(s, i)) || (at_line && is_head(line_of(skip(s, i)))))
            return i;
    }
    return s.len;
}

lmw_str lmw_turn_first(lmw_str answer)
{
    size_t at = 0;
    for (int i = 0; i < MARKS && at < answer.len; i++, at++) {
        at = lmw_turn_at(answer, at);
        lmw_str turn = lmw_str_trim((lmw_str){answer.ptr, at});
        bool is_line = turn.len > 0 && !memchr(turn.ptr, '\n', turn.len);
        if (at < answer.len && ((is_line && i == 0) || lmw_stated(turn).len > 0))
            return turn;
    }
    return answer;
}
