/* What the readers of other programs' records share. See foreign.h. */
#include "store/foreign.h"

#include <math.h>
#include <stdarg.h>

enum { MAX_MEMBER = 1000 }; /* of an object are looked at for being given twice */

bool lmw_foreign_mend(lmw_str *piece, struct lmw_arena *arena)
{
    static const char *const words[] = {"NaN", "-Infinity", "Infinity"};
    char *out = lmw_arena_alloc(arena, piece->len + piece->len / 3 + 2, 1, 1), *to = out;
    bool inside = false, found = false;
    for (size_t i = 0; out && i < piece->len;) {
        lmw_str left = {piece->ptr + i, piece->len - i};
        size_t n = 0;
        for (int k = 0; k < 3 && !inside && n == 0; k++)
            n = lmw_str_starts(left, words[k]) ? strlen(words[k]) : 0;
        if (n > 0) {
            to = mempcpy(to, "null", 4);
            found = true;
        } else { /* a backslash takes what it escapes along */
            n = inside && *left.ptr == '\\' && left.len > 1 ? 2 : 1;
            inside ^= *left.ptr == '"';
            to = mempcpy(to, left.ptr, n);
        }
        i += n;
    }
    if (found)
        *piece = (lmw_str){out, (size_t)(to - out)};
    return found;
}

static bool read_object(lmw_str piece, struct lmw_json *j, struct lmw_json_value *out)
{
    *j = (struct lmw_json){piece.ptr, piece.ptr + piece.len, NULL};
    return lmw_json_value(j, out) && lmw_json_at_end(j);
}

int lmw_foreign_object(lmw_str piece, struct lmw_json_value *out, struct lmw_arena *arena,
                       struct lmw_err *err)
{
    struct lmw_json j;
    bool ok = read_object(piece, &j, out);
    if (!ok && lmw_foreign_mend(&piece, arena))
        ok = read_object(piece, &j, out);
    if (!ok)
        return lmw_fail(err, LMW_EFORMAT, "not JSON: %s (byte %zu)", j.fault,
                        (size_t)(j.at - piece.ptr) + 1);
    return out->kind == LMW_JSON_OBJECT ? LMW_OK
                                        : lmw_fail(err, LMW_EFORMAT, "JSON, but not an object");
}

bool lmw_foreign_at(const struct lmw_json_value *o, struct lmw_json_value *out, ...)
{
    va_list path;
    bool there = true;
    struct lmw_json_value in = *o;
    va_start(path, out);
    for (const char *key; there && (key = va_arg(path, const char *)); in = *out)
        there = lmw_json_get(&in, lmw_str_from(key), out) && out->kind != LMW_JSON_NULL;
    va_end(path);
    return there;
}

const char *lmw_foreign_text(const struct lmw_json_value *v, struct lmw_arena *arena)
{
    if (v->kind == LMW_JSON_STRING)
        return lmw_json_copy(v, arena);
    char *text = lmw_arena_alloc(arena, v->text.len + 3, 1, 1);
    if (text)
        lmw_json_compact(text, v);
    return text;
}

double lmw_foreign_real(const struct lmw_json_value *v)
{
    double x;
    if (v->kind == LMW_JSON_TRUE || v->kind == LMW_JSON_FALSE)
        return v->kind == LMW_JSON_TRUE;
    if (v->kind != LMW_JSON_INTEGER && v->kind != LMW_JSON_REAL)
        return (double)NAN;
    return lmw_json_real(v, &x) ? x : (double)NAN;
}

int64_t lmw_foreign_int(const struct lmw_json_value *v, double scale)
{
    int64_t i;
    if (scale == 1 && v->kind == LMW_JSON_INTEGER)
        return lmw_json_int(v, &i) ? i : LMW_NULL;
    double x = lmw_foreign_real(v) * scale;
    return fabs(x) < 9e18 ? llround(x) : LMW_NULL; /* false for NaN */
}

/* A field of theirs that bears the name of one of ours would be taken for it. */
static bool is_kept(const struct lmw_json_value *key, const char *const *but,
                    struct lmw_arena *arena)
{
    const char *decoded = key->is_escaped ? lmw_json_copy(key, arena) : NULL;
    lmw_str name = decoded ? lmw_str_from(decoded) : key->text;
    return !lmw_str_among(name, but) && !lmw_column_find(name, NULL);
}

const char *lmw_foreign_rest(const struct lmw_json_value *o, const char *const *but,
                             struct lmw_arena *arena)
{
    struct lmw_json j = {o->text.ptr, o->text.ptr + o->text.len, NULL};
    struct lmw_json_value key, v, earlier;
    bool first = true;
    char *text = lmw_arena_alloc(arena, o->text.len + 3, 1, 1), *at = text;
    for (int n = 0; text && lmw_json_member(&j, &first, &key, &v) > 0; n++) {
        if (!is_kept(&key, but, arena))
            continue;
        if (n < MAX_MEMBER && lmw_json_get(o, key.text, &earlier) &&
            earlier.text.ptr != v.text.ptr)
            continue; /* given twice: the first counts, as it does where a field is looked up */
        at = lmw_json_compact_member(at, at == text, &key, &v);
    }
    if (at == text)
        return NULL;
    *at = '}';
    return text;
}
