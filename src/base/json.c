/* JSON without a tree. See json.h.
 *
 * Strings are most of a record's bytes, so they are passed eight at a time while they are plain:
 * printable ASCII, no quote, no backslash. */
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool fail(struct lmw_json *j, const char *what)
{
    j->fault = what;
    return false;
}

static void pass_space(struct lmw_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
}

/* --- strings --- */

/* Whether eight bytes are all plain: a subtraction borrows out of a byte, or leaves its high bit
 * set, where the byte is below what is taken away. */
static bool is_plain(const char *p)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t x;
    memcpy(&x, p, sizeof x);
    uint64_t quote = x ^ (ones * '"'), backslash = x ^ (ones * '\\');
    return ((x | (x - ones * 0x20) | (quote - ones) | (backslash - ones)) & high) == 0;
}

static bool hex4(const char *p, const char *end, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = p + i < end ? p[i] : 0;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return false;
        *out = *out << 4 | digit;
    }
    return true;
}

/* The character of \uXXXX at p, both halves of a pair; returns the bytes it takes, 0: none. */
static int unicode_escape(const char *p, const char *end, uint32_t *c)
{
    uint32_t low;
    if (!hex4(p + 2, end, c) || *c == 0 || (*c >= 0xdc00 && *c <= 0xdfff))
        return 0;
    if (*c < 0xd800 || *c > 0xdbff)
        return 6;
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u' || !hex4(p + 8, end, &low) || low < 0xdc00 ||
        low > 0xdfff)
        return 0;
    *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
    return 12;
}

static bool pass_escape(struct lmw_json *j)
{
    uint32_t c;
    char kind = j->at + 1 < j->end ? j->at[1] : 0;
    if (kind != 'u' && (!kind || !strchr("\"\\/bfnrt", kind)))
        return fail(j, "a backslash before what cannot be escaped");
    int n = kind == 'u' ? unicode_escape(j->at, j->end, &c) : 2;
    if (n == 0)
        return fail(j, "\\u without four digits, or of NUL, or of half a surrogate pair");
    j->at += n;
    return true;
}

static bool pass_string(struct lmw_json *j, struct lmw_json_value *out)
{
    const char *from = ++j->at;
    *out = (struct lmw_json_value){.kind = LMW_JSON_STRING};
    for (;;) {
        while (j->end - j->at >= 8 && is_plain(j->at))
            j->at += 8;
        if (j->at == j->end)
            return fail(j, "a string without its closing quote");
        unsigned char c = (unsigned char)*j->at;
        if (c == '"')
            break;
        size_t n = 1;
        if (c == '\\') {
            out->is_escaped = true;
            if (!pass_escape(j))
                return false;
            continue;
        }
        if (c < 0x20)
            return fail(j, "a control character in a string: write it as \\n, \\t, \\u00XX");
        if (c >= 0x80 && !(n = lmw_utf8_len((lmw_str){j->at, (size_t)(j->end - j->at)})))
            return fail(j, "not UTF-8: convert the file, for example with iconv -t UTF-8");
        j->at += n;
    }
    out->text = (lmw_str){from, (size_t)(j->at++ - from)};
    return true;
}

/* --- numbers and words --- */

static bool pass_digits(struct lmw_json *j)
{
    const char *from = j->at;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
    return j->at > from || fail(j, "a number without digits");
}

static bool is_at(const struct lmw_json *j, char a, char b)
{
    return j->at < j->end && (*j->at == a || *j->at == b);
}

static bool pass_number(struct lmw_json *j, struct lmw_json_value *out)
{
    const char *from = j->at;
    out->kind = LMW_JSON_INTEGER;
    j->at += *j->at == '-';
    const char *digits = j->at;
    if (!pass_digits(j))
        return false;
    if (*digits == '0' && j->at - digits > 1)
        return fail(j, "a number that begins with 0");
    if (is_at(j, '.', '.')) {
        out->kind = LMW_JSON_REAL;
        j->at++;
        if (!pass_digits(j))
            return false;
    }
    if (is_at(j, 'e', 'E')) {
        out->kind = LMW_JSON_REAL;
        j->at++;
        j->at += is_at(j, '+', '-');
        if (!pass_digits(j))
            return false;
    }
    out->text = (lmw_str){from, (size_t)(j->at - from)};
    return true;
}

static bool pass_word(struct lmw_json *j, const char *word, enum lmw_json_kind kind,
                      struct lmw_json_value *out)
{
    size_t n = strlen(word);
    if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
        return fail(j, "neither a value nor null, true, false (NaN and Infinity are not JSON)");
    *out = (struct lmw_json_value){.kind = kind, .text = {j->at, n}};
    j->at += n;
    return true;
}

/* --- values --- */

static bool pass_value(struct lmw_json *j, int depth, struct lmw_json_value *out);

static bool pass_member(struct lmw_json *j, int depth, struct lmw_json_value *key,
                        struct lmw_json_value *value)
{
    pass_space(j);
    if (!is_at(j, '"', '"'))
        return fail(j, "expected a key in quotes");
    if (!pass_string(j, key))
        return false;
    pass_space(j);
    if (!is_at(j, ':', ':'))
        return fail(j, "expected ':' after a key");
    j->at++;
    return pass_value(j, depth, value);
}

static bool pass_container(struct lmw_json *j, int depth, struct lmw_json_value *out)
{
    const char *from = j->at, close = *from == '{' ? '}' : ']';
    struct lmw_json_value key, value;
    if (depth == LMW_JSON_DEPTH)
        return fail(j, "nested too deep");
    j->at++;
    pass_space(j);
    for (bool more = !is_at(j, close, close); more; j->at += more) {
        if (close == '}' ? !pass_member(j, depth + 1, &key, &value)
                         : !pass_value(j, depth + 1, &value))
            return false;
        pass_space(j);
        more = is_at(j, ',', ',');
    }
    if (!is_at(j, close, close))
        return fail(j, "expected ',' or the end of an object or array");
    j->at++;
    *out = (struct lmw_json_value){.kind = close == '}' ? LMW_JSON_OBJECT : LMW_JSON_ARRAY,
                                   .text = {from, (size_t)(j->at - from)}};
    return true;
}

static bool pass_value(struct lmw_json *j, int depth, struct lmw_json_value *out)
{
    *out = (struct lmw_json_value){0};
    pass_space(j);
    if (j->at == j->end)
        return fail(j, "the text ends where a value should be");
    switch (*j->at) {
    case '"': return pass_string(j, out);
    case '{':
    case '[': return pass_container(j, depth, out);
    case 't': return pass_word(j, "true", LMW_JSON_TRUE, out);
    case 'f': return pass_word(j, "false", LMW_JSON_FALSE, out);
    case '-':
    case '0' ... '9': return pass_number(j, out);
    default: return pass_word(j, "null", LMW_JSON_NULL, out);
    }
}

bool lmw_json_value(struct lmw_json *j, struct lmw_json_value *out)
{
    return pass_value(j, 0, out);
}

int lmw_json_member(struct lmw_json *j, bool *first, struct lmw_json_value *key,
                    struct lmw_json_value *value)
{
    pass_space(j);
    if (!*first && is_at(j, '}', '}')) {
        j->at++;
        return 0;
    }
    char before = *first ? '{' : ',';
    if (!is_at(j, before, before)) {
        fail(j, *first ? "expected an object: {...}" : "expected ',' or '}'");
        return -1;
    }
    j->at++;
    pass_space(j);
    if (*first && is_at(j, '}', '}')) {
        j->at++;
        return 0;
    }
    *first = false;
    return pass_member(j, 1, key, value) ? 1 : -1;
}

bool lmw_json_get(const struct lmw_json_value *object, lmw_str key, struct lmw_json_value *out)
{
    struct lmw_json j = {object->text.ptr, object->text.ptr + object->text.len, NULL};
    struct lmw_json_value at, v;
    bool first = true;
    while (object->kind == LMW_JSON_OBJECT && lmw_json_member(&j, &first, &at, &v) > 0) {
        if (lmw_str_eq(at.text, key)) {
            *out = v;
            return true;
        }
    }
    return false;
}

bool lmw_json_item(const struct lmw_json_value *array, int i, struct lmw_json_value *out)
{
    struct lmw_json j = {array->text.ptr + 1, array->text.ptr + array->text.len, NULL};
    struct lmw_json_value v;
    bool more = array->kind == LMW_JSON_ARRAY;
    while (more && lmw_json_value(&j, &v)) {
        if (i-- == 0) {
            *out = v;
            return true;
        }
        pass_space(&j);
        more = is_at(&j, ',', ',');
        j.at++;
    }
    return false;
}

bool lmw_json_at_end(struct lmw_json *j)
{
    pass_space(j);
    return j->at == j->end || fail(j, "more behind the end of the object");
}

/* --- what a value says --- */

static char *put_utf8(char *p, uint32_t c)
{
    if (c < 0x80) {
        *p++ = (char)c;
        return p;
    }
    int n = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3; /* continuation bytes */
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    *p++ = (char)(lead[n] | c >> (6 * n));
    while (n-- > 0)
        *p++ = (char)(0x80 | (c >> (6 * n) & 0x3f));
    return p;
}

char *lmw_json_copy(const struct lmw_json_value *v, struct lmw_arena *arena)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *s = v->text.ptr, *end = s + v->text.len;
    char *copy = lmw_arena_str(arena, v->text), *p = copy;
    if (!copy || !v->is_escaped)
        return copy;
    while (s < end) {
        if (*s != '\\') {
            *p++ = *s++;
        } else if (s[1] == 'u') {
            uint32_t c = 0;
            s += unicode_escape(s, end, &c);
            p = put_utf8(p, c);
        } else {
            const char *control = strchr(from, s[1]);
            *p++ = control ? to[control - from] : s[1];
            s += 2;
        }
    }
    *p = 0;
    return copy;
}

bool lmw_json_int(const struct lmw_json_value *v, int64_t *out)
{
    bool negative = v->text.ptr[0] == '-';
    int64_t sum = 0;
    for (size_t i = negative; i < v->text.len; i++) {
        int digit = v->text.ptr[i] - '0';
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, digit, &sum)) /* downwards: INT64_MIN has no opposite */
            return false;
    }
    if (!negative && sum == INT64_MIN)
        return false;
    *out = negative ? sum : -sum;
    return true;
}

bool lmw_json_real(const struct lmw_json_value *v, double *out)
{
    char digits[64];
    char *copy = v->text.len < sizeof digits ? digits : malloc(v->text.len + 1);
    if (!copy)
        return false;
    memcpy(copy, v->text.ptr, v->text.len);
    copy[v->text.len] = 0;
    *out = strtod(copy, NULL);
    if (copy != digits)
        free(copy);
    return isfinite(*out);
}

char *lmw_json_compact(char *dst, const struct lmw_json_value *v)
{
    bool inside = false; /* a string of the value */
    if (v->kind == LMW_JSON_STRING)
        *dst++ = '"';
    if (v->kind < LMW_JSON_ARRAY) {
        memcpy(dst, v->text.ptr, v->text.len);
        dst += v->text.len;
    } else {
        for (size_t i = 0; i < v->text.len; i++) {
            char c = v->text.ptr[i];
            if (inside && c == '\\')
                *dst++ = v->text.ptr[i++];
            inside ^= c == '"';
            if (inside || (c != ' ' && c != '\n' && c != '\r' && c != '\t'))
                *dst++ = v->text.ptr[i];
        }
    }
    if (v->kind == LMW_JSON_STRING)
        *dst++ = '"';
    return dst;
}

char *lmw_json_compact_member(char *dst, bool first, const struct lmw_json_value *key,
                              const struct lmw_json_value *v)
{
    *dst++ = first ? '{' : ',';
    dst = lmw_json_compact(dst, key);
    *dst++ = ':';
    return lmw_json_compact(dst, v);
}

/* --- writing --- */

static void put_escaped(struct lmw_buf *b, char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *at = strchr(from, c);
    if (at && c)
        lmw_buf_put(b, (char[]){'\\', to[at - from]}, 2);
    else
        lmw_buf_printf(b, "\\u%04x", (unsigned)(unsigned char)c);
}

void lmw_json_put_text(struct lmw_buf *b, lmw_str s)
{
    const char *p = s.ptr, *end = s.ptr + s.len;
    lmw_buf_put(b, "\"", 1);
    while (p < end) {
        const char *from = p;
        for (;;) {
            while (end - p >= 8 && is_plain(p))
                p += 8;
            if (p == end || (unsigned char)*p < 0x20 || *p == '"' || *p == '\\')
                break;
            p++;
        }
        lmw_buf_put(b, from, (size_t)(p - from));
        if (p < end)
            put_escaped(b, *p++);
    }
    lmw_buf_put(b, "\"", 1);
}

void lmw_json_put_int(struct lmw_buf *b, int64_t v)
{
    char digits[24], *p = digits + sizeof digits;
    uint64_t rest = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do
        *--p = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (v < 0)
        *--p = '-';
    lmw_buf_put(b, p, (size_t)(digits + sizeof digits - p));
}

void lmw_json_put_real(struct lmw_buf *b, double v)
{
    char text[32];
    if (!isfinite(v)) {
        lmw_buf_put(b, "null", 4);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    /* "1.0", so that a reader with kinds of numbers takes it for the same kind */
    lmw_buf_str(b, text);
    if (!strpbrk(text, ".e"))
        lmw_buf_put(b, ".0", 2);
}
