/* Strings and the growing buffer. See str.h. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

bool lmw_str_among(lmw_str s, const char *const *list)
{
    while (*list && !lmw_str_is(s, *list))
        list++;
    return *list != NULL;
}

bool lmw_str_among_caseless(lmw_str s, const char *const *list)
{
    while (*list && (s.len != strlen(*list) || !lmw_str_ends(s, *list)))
        list++;
    return *list != NULL;
}

bool lmw_str_starts(lmw_str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

bool lmw_str_ends(lmw_str s, const char *ending)
{
    size_t n = strlen(ending);
    return s.len >= n && (n == 0 || strncasecmp(s.ptr + s.len - n, ending, n) == 0);
}

lmw_str lmw_str_stem(lmw_str s, const char *ending)
{
    size_t n = strlen(ending);
    return (lmw_str){s.ptr, s.len > n && lmw_str_ends(s, ending) ? s.len - n : s.len};
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

lmw_str lmw_str_trim(lmw_str s)
{
    while (s.len && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

uint64_t lmw_str_hash_more(uint64_t so_far, lmw_str s)
{
    for (size_t i = 0; i < s.len; i++)
        so_far = (so_far ^ (uint8_t)s.ptr[i]) * 0x100000001b3u;
    return so_far;
}

lmw_str lmw_str_unmark(lmw_str s)
{
    return lmw_str_starts(s, "\xef\xbb\xbf") ? (lmw_str){s.ptr + 3, s.len - 3} : s;
}

uint64_t lmw_str_hash(lmw_str s)
{
    return lmw_str_hash_more(0xcbf29ce484222325u, s);
}

size_t lmw_str_count(lmw_str s, char c)
{
    size_t n = 0;
    const char *p = s.ptr, *end = p + s.len;
    while (p < end && (p = memchr(p, c, (size_t)(end - p)))) {
        n++;
        p++;
    }
    return n;
}

/* Room for n more bytes and the NUL. */
static bool reserve(struct lmw_buf *b, size_t n)
{
    if (b->failed)
        return false;
    if (b->ptr && n < b->cap - b->len)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap - b->len <= n) {
        if (cap > SIZE_MAX / 2) {
            b->failed = true;
            return false;
        }
        cap *= 2;
    }
    char *p = realloc(b->ptr, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->ptr = p;
    b->cap = cap;
    return true;
}

/* How many letters to change, insert or leave out; of short words. */
static int distance(const char *a, const char *b)
{
    int row[64], n = (int)strlen(b);
    if (n > 62)
        return 99;
    for (int k = 0; k <= n; k++)
        row[k] = k;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int k = 1; k <= n; k++) {
            int change = diagonal + (a[i - 1] != b[k - 1]);
            int least = row[k] < row[k - 1] ? row[k] + 1 : row[k - 1] + 1;
            diagonal = row[k];
            row[k] = change < least ? change : least;
        }
    }
    return row[n];
}

struct lmw_nearest lmw_nearest_to(const char *word)
{
    int half = (int)strlen(word) / 2 + 1;
    return (struct lmw_nearest){.word = word, .least = half < 3 ? half : 3};
}

void lmw_nearest_try(struct lmw_nearest *n, const char *name)
{
    int d = distance(n->word, name);

    if (d < n->least) {
        n->least = d;
        n->best = name;
    }
}

void lmw_buf_put(struct lmw_buf *b, const void *bytes, size_t n)
{
    if (!reserve(b, n))
        return;
    if (n)
        memcpy(b->ptr + b->len, bytes, n);
    b->len += n;
    b->ptr[b->len] = 0;
}

void lmw_buf_str(struct lmw_buf *b, const char *c)
{
    lmw_buf_put(b, c, strlen(c));
}

void lmw_buf_printf(struct lmw_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n >= 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

/* Unicode 15, table 3-7. */
size_t lmw_utf8_len(lmw_str s)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0 || (p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4 || n > s.len)
        return 0;
    for (size_t i = 1; i < n; i++) {
        uint8_t from = 0x80, to = 0xbf;
        if (i == 1 && (p[0] == 0xe0 || p[0] == 0xf0)) /* overlong forms */
            from = p[0] == 0xe0 ? 0xa0 : 0x90;
        if (i == 1 && (p[0] == 0xed || p[0] == 0xf4)) /* surrogates, beyond U+10FFFF */
            to = p[0] == 0xed ? 0x9f : 0x8f;
        if (p[i] < from || p[i] > to)
            return 0;
    }
    return n;
}

/* Whether eight bytes are ASCII without NUL. */
static bool is_ascii(const char *p)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return ((x | (x - ones)) & high) == 0;
}

bool lmw_str_is_utf8(lmw_str s)
{
    for (size_t n; s.len > 0; s = (lmw_str){s.ptr + n, s.len - n}) {
        n = s.len >= 8 && is_ascii(s.ptr) ? 8 : lmw_utf8_len(s);
        if (n == 0)
            return false;
    }
    return true;
}

lmw_str lmw_utf8_cut(lmw_str s, size_t max)
{
    if (s.len <= max)
        return s;
    while (max > 0 && ((unsigned char)s.ptr[max] & 0xc0) == 0x80)
        max--;
    return (lmw_str){s.ptr, max};
}

void lmw_buf_utf8(struct lmw_buf *b, lmw_str s)
{
    while (s.len) {
        size_t n = lmw_utf8_len(s);
        lmw_buf_put(b, n ? s.ptr : "\xef\xbf\xbd", n ? n : 3);
        s.ptr += n ? n : 1;
        s.len -= n ? n : 1;
    }
}

void lmw_utf8_mend(char *text)
{
    for (size_t n, left = strlen(text); left > 0; text += n, left -= n) {
        n = lmw_utf8_len((lmw_str){text, left});
        if (n == 0) {
            *text = '?';
            n = 1;
        }
    }
}

size_t lmw_control_len(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] > 0 && (c[0] < 0x20 || c[0] == 0x7f))
        return 1;
    if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
        return 2;
    bool is_mark = (c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) ||
                   (c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
    return is_mark ? 3 : 0;
}

void lmw_text_tame(char *text, bool keep_lines)
{
    char *to = text;
    while (*text) {
        size_t n = *text == '\n' && keep_lines ? 0 : lmw_control_len(text);
        *to++ = n > 0 ? ' ' : *text;
        text += n > 0 ? n : 1;
    }
    *to = 0;
}

void lmw_buf_free(struct lmw_buf *b)
{
    free(b->ptr);
    *b = (struct lmw_buf){0};
}
