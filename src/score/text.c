/* Answers and references as text: what scorers do to them before they compare.
 *
 * A normalised text follows SQuAD's rule (Rajpurkar et al. 2016, the evaluation script of v1.1:
 * lower case, no punctuation, no English articles, single spaces), for any script: Unicode's
 * compatibility form with case folding (NFKC_Casefold, by utf8proc) and Unicode's categories.
 * SQuAD deletes every punctuation sign, so that 3.14 becomes 314; who must not have that asks for
 * numbers to be kept.
 *
 * Bytes that are no UTF-8 are U+FFFD here, as they are in the store. */
#include "score/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <utf8proc.h>

lmw_str lmw_text_answer(lmw_str s)
{
    static const lmw_str open = {"<think>", 7}, close = {"</think>", 8};
    const char *end = NULL, *p = s.ptr;
    while (p && (p = memmem(p, s.len - (size_t)(p - s.ptr), close.ptr, close.len)))
        end = p += close.len;
    if (end)
        return lmw_str_trim((lmw_str){end, s.len - (size_t)(end - s.ptr)});
    s = lmw_str_trim(s);
    return lmw_str_starts(s, open.ptr) ? (lmw_str){"", 0} : s;
}

/* NUL-terminated, malloc; NULL when memory is out. */
static utf8proc_uint8_t *map(lmw_str s, int options)
{
    struct lmw_buf clean = {0};
    utf8proc_uint8_t *out = NULL;
    lmw_buf_utf8(&clean, s);
    if (!clean.failed)
        utf8proc_map((const utf8proc_uint8_t *)(clean.ptr ? clean.ptr : ""),
                     (utf8proc_ssize_t)clean.len, &out, (utf8proc_option_t)options);
    lmw_buf_free(&clean);
    return out;
}

void lmw_text_compat(lmw_str s, struct lmw_buf *out)
{
    utf8proc_uint8_t *t = map(s, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    if (t)
        lmw_buf_str(out, (const char *)t);
    else
        out->failed = true;
    free(t);
}

/* The plain form of a raised digit or minus; 0 for anything else. */
static char lowered(utf8proc_int32_t c)
{
    if (c >= 0x2074 && c <= 0x2079)
        return (char)('0' + (c - 0x2070));
    return c == 0x2070   ? '0'
           : c == 0xb9   ? '1'
           : c == 0xb2   ? '2'
           : c == 0xb3   ? '3'
           : c == 0x207b ? '-'
                         : 0;
}

size_t lmw_text_exponent(const char *p, struct lmw_buf *out)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t length;
    size_t n = 0;
    char plain;
    while ((length = utf8proc_iterate((const utf8proc_uint8_t *)p + n, -1, &c)) > 0 &&
           (plain = lowered(c))) {
        lmw_buf_printf(out, "%s%c", n ? "" : "^{", plain);
        n += (size_t)length;
    }
    lmw_buf_str(out, n ? "}" : "");
    return n;
}

bool lmw_text_is_power(const char *begin, const char *p)
{
    return strncmp(p, "**", 2) == 0 && p > begin && isalnum((unsigned char)p[-1]) &&
           isdigit((unsigned char)p[2]);
}

static bool is_sign(utf8proc_int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return c < 0x80 ? ispunct((int)c) != 0
                    : k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

static bool is_space(utf8proc_int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return (c < 0x80 && isspace((int)c)) ||
           (k >= UTF8PROC_CATEGORY_ZS && k <= UTF8PROC_CATEGORY_ZP);
}

static bool digit_at(const utf8proc_uint8_t *p)
{
    return *p >= '0' && *p <= '9';
}

/* Whether a sign belongs to a number: 3.14, 1,000, 10:30, 1/2, -5 (not the hyphen of 2010-12). */
static bool in_number(const utf8proc_uint8_t *begin, const utf8proc_uint8_t *p, int n)
{
    if (!digit_at(p + n))
        return false;
    if (p > begin && digit_at(p - 1))
        return true;
    return (*p == '-' || *p == '.') && (p == begin || isspace(p[-1]) || p[-1] == '(');
}

/* Ends a word: an article goes, another stays. */
static void end_word(struct lmw_buf *out, size_t *word)
{
    lmw_str w = {out->ptr ? out->ptr + *word : "", out->len - *word};
    if (lmw_str_is(w, "a") || lmw_str_is(w, "an") || lmw_str_is(w, "the"))
        out->len = *word;
    else if (w.len > 0)
        lmw_buf_str(out, " ");
    *word = out->len;
}

void lmw_text_fold(lmw_str s, bool keep_numbers, struct lmw_buf *out)
{
    utf8proc_uint8_t *t = map(s, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
                                     UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    size_t begin = out->len, word = begin;
    utf8proc_int32_t c;
    for (const utf8proc_uint8_t *p = t; p && *p;) {
        int n = (int)utf8proc_iterate(p, -1, &c);
        n = n > 0 ? n : 1;
        if (is_space(c))
            end_word(out, &word);
        else if (!is_sign(c) || (keep_numbers && in_number(t, p, n)))
            lmw_buf_put(out, p, (size_t)n);
        p += n;
    }
    end_word(out, &word);
    if (out->len > begin) /* the space after the last word */
        out->len--;
    lmw_buf_str(out, "");
    out->failed |= !t;
    free(t);
}
