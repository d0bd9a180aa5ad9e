/* Strings with a length (a view: owns nothing, need not end in NUL) and a growing byte buffer. */
#ifndef LMW_BASE_STR_H
#define LMW_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const char *ptr;
    size_t len;
} lmw_str;

#define LMW_STR(literal) ((lmw_str){(literal), sizeof(literal) - 1})
/* For printf's "%.*s". */
#define LMW_FMT(s) (int)(s).len, (s).ptr

static inline lmw_str lmw_str_from(const char *c)
{
    return (lmw_str){c, c ? strlen(c) : 0};
}
static inline bool lmw_str_eq(lmw_str a, lmw_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool lmw_str_is(lmw_str a, const char *b)
{
    return lmw_str_eq(a, lmw_str_from(b));
}
/* Both missing, or the same characters. */
static inline bool lmw_text_eq(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}
bool lmw_str_among(lmw_str s, const char *const *list); /* ended by NULL */
bool lmw_str_among_caseless(lmw_str s, const char *const *list);
bool lmw_str_starts(lmw_str s, const char *prefix);
/* The name of a file has that ending, in small letters or large ones. */
bool lmw_str_ends(lmw_str s, const char *ending);
/* The name without that ending, where it has it and is more than that. */
lmw_str lmw_str_stem(lmw_str s, const char *ending);
lmw_str lmw_str_trim(lmw_str s); /* ASCII white space on both ends */
/* s without the byte order mark that some programs put in front of UTF-8. */
lmw_str lmw_str_unmark(lmw_str s);
uint64_t lmw_str_hash(lmw_str s); /* FNV-1a, 64 bits: stable across machines and versions */
/* The hash of what had this hash so far, with s behind it. */
uint64_t lmw_str_hash_more(uint64_t so_far, lmw_str s);
size_t lmw_str_count(lmw_str s, char c); /* how many of them there are in it */
/* Bytes of the well-formed character at the start of s, which is not empty; 0: none, or NUL. */
size_t lmw_utf8_len(lmw_str s);
bool lmw_str_is_utf8(lmw_str s); /* all of it; NUL is not */
/* As much of s, which is UTF-8, as fits into max bytes without cutting a character. */
lmw_str lmw_utf8_cut(lmw_str s, size_t max);

/* Of the names that are tried, the one that `word` is most likely meant to be: `best`, NULL while
 * none is near. */
struct lmw_nearest {
    const char *word, *best;
    int least; /* edits that are too many */
};
struct lmw_nearest lmw_nearest_to(const char *word);
void lmw_nearest_try(struct lmw_nearest *n, const char *name); /* the pointer is kept */

/* A growing buffer, always NUL-terminated when ptr is set. When memory runs out
 * `failed` is set, further writes do nothing, and the caller checks once at the end. */
struct lmw_buf {
    char *ptr;
    size_t len, cap;
    bool failed;
};
void lmw_buf_put(struct lmw_buf *b, const void *bytes, size_t n);
void lmw_buf_str(struct lmw_buf *b, const char *c);
__attribute__((format(printf, 2, 3))) void lmw_buf_printf(struct lmw_buf *b, const char *fmt, ...);
/* Appends a text that need not be UTF-8, so that it is: what is not, and NUL, becomes U+FFFD. */
void lmw_buf_utf8(struct lmw_buf *b, lmw_str s);
/* The same in place: such a byte becomes a question mark. */
void lmw_utf8_mend(char *text);
/* Bytes of what a terminal would obey at the start of a text, where it should only show it: a
 * control character of ASCII or of Unicode, a line separator, a change of direction; else 0. */
size_t lmw_control_len(const char *text);
/* Each of those in place becomes a blank; line ends stay where `keep_lines`. */
void lmw_text_tame(char *text, bool keep_lines);
void lmw_buf_free(struct lmw_buf *b); /* leaves a zeroed buffer, ready for use */

#endif
