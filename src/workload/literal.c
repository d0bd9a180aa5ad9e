/* Python's and NumPy's way of printing values, read as JSON. See literal.h.
 *
 * From the Python reference, "Literals" (escapes in strings) and "Displays for lists"; NumPy's
 * array_repr and array_str. Two texts next to each other are two elements, as NumPy means it, not
 * one, as Python's grammar has it: a printed list never has those. Refused, as a whole: an array
 * that was shortened with "...", nesting deeper than DEPTH_MAX, anything behind the value. */
#include "workload/literal.h"

#include <ctype.h>

enum { DEPTH_MAX = 32 };
struct reader {
    lmw_str rest;
    int depth;
};

static json_t *read_value(struct reader *r);

static int peek(struct reader *r)
{
    while (r->rest.len && isspace((unsigned char)*r->rest.ptr))
        r->rest.ptr++, r->rest.len--;
    return r->rest.len ? (unsigned char)*r->rest.ptr : -1;
}

static bool take(struct reader *r, char c)
{
    bool is_there = peek(r) == c;

    r->rest.ptr += is_there;
    r->rest.len -= is_there;
    return is_there;
}

static lmw_str cut(struct reader *r, size_t n)
{
    lmw_str word = {r->rest.ptr, n};

    r->rest = (lmw_str){r->rest.ptr + n, r->rest.len - n};
    return word;
}

/* ---- texts ---- */

static void put_code_point(struct lmw_buf *out, uint32_t c)
{
    char bytes[4] = {(char)c};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n; n > 1 && i-- > 0; c >>= 6)
        bytes[i] = (char)(i ? 0x80 | (c & 0x3f) : (uint32_t)(0xf00 >> n & 0xff) | c);
    lmw_buf_put(out, bytes, n);
}

static bool put_escape(struct reader *r, struct lmw_buf *out)
{
    static const char names[] = "\\'\"nrtabfv", bytes[] = "\\'\"\n\r\t\a\b\f\v";
    char c = *cut(r, 1).ptr;
    const char *at = c ? strchr(names, c) : NULL;
    size_t n = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;

    if (at)
        lmw_buf_put(out, &bytes[at - names], 1);
    if (at || n == 0 || n > r->rest.len)
        return at;
    for (lmw_str hex = cut(r, n); hex.len; hex.ptr++, hex.len--) {
        int digit = tolower((unsigned char)*hex.ptr);
        if (!isxdigit(digit))
            return false;
        code = code << 4 | (uint32_t)(isdigit(digit) ? digit - '0' : digit - 'a' + 10);
    }
    put_code_point(out, code > 0x10ffff ? 0xfffd : code);
    return true;
}

static json_t *read_text(struct reader *r)
{
    char quote = *cut(r, 1).ptr;
    struct lmw_buf text = {0};
    bool is_good = true, is_closed = false;

    while (is_good && !is_closed && r->rest.len) {
        lmw_str byte = cut(r, 1);
        if ((is_closed = *byte.ptr == quote))
            break;
        if (*byte.ptr == '\\')
            is_good = r->rest.len && put_escape(r, &text);
        else
            lmw_buf_put(&text, byte.ptr, 1);
    }
    json_t *v = is_good && is_closed && !text.failed
                    ? json_stringn(text.ptr ? text.ptr : "", text.len)
                    : NULL;
    lmw_buf_free(&text);
    return v;
}

/* ---- what holds others ---- */

/* Takes the reference; NULL stays NULL. */
static json_t *drop(json_t *v)
{
    json_decref(v);
    return NULL;
}

static json_t *read_list(struct reader *r, char close)
{
    json_t *list = json_array();

    while (!take(r, close)) {
        json_t *v = read_value(r);
        if (!v || json_array_append_new(list, v) != 0)
            return drop(list);
        take(r, ',');
    }
    return list;
}

static json_t *read_dictionary(struct reader *r)
{
    json_t *o = json_object();

    while (!take(r, '}')) {
        json_t *key = read_value(r);
        json_t *v = json_is_string(key) && take(r, ':') ? read_value(r) : NULL;
        int rc = v ? json_object_set_new(o, json_string_value(key), v) : -1;
        json_decref(key);
        if (rc != 0)
            return drop(o);
        take(r, ',');
    }
    return o;
}

/* A word alone, `word=value` (an argument's name counts for nothing), or a call: of NumPy's it is
 * its first argument, of everything else (dates) nothing. */
static json_t *read_word(struct reader *r)
{
    size_t n = 0;

    while (n < r->rest.len && (isalnum((unsigned char)r->rest.ptr[n]) || r->rest.ptr[n] == '_' ||
                               r->rest.ptr[n] == '.'))
        n++;
    lmw_str word = cut(r, n);
    if (take(r, '=')) {
        drop(read_value(r));
        return json_null();
    }
    if (!take(r, '('))
        return lmw_str_is(word, "True")    ? json_true()
               : lmw_str_is(word, "False") ? json_false()
                                           : json_null();
    bool is_numpy = lmw_str_is(word, "array") || lmw_str_starts(word, "np.");
    json_t *arguments = read_list(r, ')');
    json_t *first = is_numpy ? json_array_get(arguments, 0) : json_null();
    json_incref(first);
    json_decref(arguments);
    return arguments ? first : NULL;
}

/* "<UTC>": what has no literal. */
static json_t *read_object(struct reader *r)
{
    const char *end = memchr(r->rest.ptr, '>', r->rest.len);

    if (end)
        cut(r, (size_t)(end + 1 - r->rest.ptr));
    return end ? json_null() : NULL;
}

static json_t *read_number(struct reader *r)
{
    size_t n = 0;

    while (n < r->rest.len &&
           (isalnum((unsigned char)r->rest.ptr[n]) || strchr("+-.", r->rest.ptr[n])))
        n++;
    lmw_str word = cut(r, n);
    return json_loadb(word.ptr, n && word.ptr[n - 1] == '.' ? n - 1 : n, JSON_DECODE_ANY, NULL);
}

static json_t *read_value(struct reader *r)
{
    int c = peek(r);
    json_t *v;

    if (++r->depth > DEPTH_MAX)
        return NULL;
    if (c == '[' || c == '(')
        cut(r, 1), v = read_list(r, c == '[' ? ']' : ')');
    else if (c == '{')
        cut(r, 1), v = read_dictionary(r);
    else if (c == '\'' || c == '"')
        v = read_text(r);
    else if (c == '_' || isalpha(c))
        v = read_word(r);
    else if (c == '<')
        v = read_object(r);
    else
        v = c < 0 ? NULL : read_number(r);
    r->depth--;
    return v;
}

json_t *lmw_literal_read(lmw_str text)
{
    struct reader r = {.rest = lmw_str_trim(text)};
    json_t *v = NULL;

    if (r.rest.len && (*r.rest.ptr == '[' || *r.rest.ptr == '{'))
        v = json_loadb(r.rest.ptr, r.rest.len, JSON_REJECT_DUPLICATES, NULL);
    if (v || !r.rest.len || (*r.rest.ptr != '[' && *r.rest.ptr != '{'))
        return v;
    v = read_value(&r);
    return v && peek(&r) < 0 ? v : drop(v);
}
