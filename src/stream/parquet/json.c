/* A value of a Parquet column as JSON. See parquet.h; what types mean is LogicalTypes.md's.
 *
 *     numbers             as numbers; over 2^63 - 1 and decimals, exactly, as texts
 *     texts               as texts; a NUL, which a record cannot hold, is U+FFFD
 *     bytes               as a text where they are one, in UTF-8, else in base64 (RFC 4648)
 *     dates and times     "2023-04-09", "00:02:53.5", "2023-04-09T00:02:53Z": ISO 8601, with Z where
 *                         the file says that it is UTC
 *     classes             by name, where the file names them (Hugging Face's features)
 *
 * A text that is not UTF-8 is refused. */
#include "stream/parquet/parquet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/json.h"

/* ---- texts and bytes ---- */

static void put_base64(struct lmw_buf *out, lmw_str v)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    lmw_buf_put(out, "\"", 1);
    for (size_t i = 0; i < v.len; i += 3) {
        size_t n = v.len - i < 3 ? v.len - i : 3;
        const uint8_t *p = (const uint8_t *)v.ptr + i;
        uint32_t bits =
            (uint32_t)p[0] << 16 | (uint32_t)(n > 1 ? p[1] : 0) << 8 | (n > 2 ? p[2] : 0);
        char four[4] = {digit[bits >> 18], digit[bits >> 12 & 63],
                        n > 1 ? digit[bits >> 6 & 63] : '=', n > 2 ? digit[bits & 63] : '='};
        lmw_buf_put(out, four, 4);
    }
    lmw_buf_put(out, "\"", 1);
}

/* The text with every NUL replaced, in scratch. */
static lmw_str without_nul(lmw_str v, struct lmw_buf *scratch)
{
    scratch->len = 0;
    for (const char *nul; v.len && (nul = memchr(v.ptr, 0, v.len));) {
        size_t n = (size_t)(nul - v.ptr);
        lmw_buf_put(scratch, v.ptr, n);
        lmw_buf_str(scratch, "\xef\xbf\xbd");
        v = (lmw_str){v.ptr + n + 1, v.len - n - 1};
    }
    lmw_buf_put(scratch, v.ptr, v.len);
    return (lmw_str){scratch->ptr, scratch->len};
}

static const char *put_text(const struct lmw_pq_column *c, lmw_str v, struct lmw_buf *out,
                            struct lmw_buf *scratch)
{
    lmw_str text = v;

    if (!lmw_str_is_utf8(text) && c->meaning == LMW_PQ_TEXT)
        text = without_nul(v, scratch);
    if (scratch->failed)
        return "out of memory";
    if (lmw_str_is_utf8(text))
        lmw_json_put_text(out, text);
    else if (c->meaning == LMW_PQ_TEXT)
        return "a text is not valid UTF-8";
    else
        put_base64(out, v);
    return NULL;
}

static void put_uuid(struct lmw_buf *out, lmw_str v)
{
    const uint8_t *p = (const uint8_t *)v.ptr;

    for (int i = 0; i < 16; i++)
        lmw_buf_printf(out, "%s%02x",
                       i == 0                                  ? "\""
                       : i == 4 || i == 6 || i == 8 || i == 10 ? "-"
                                                               : "",
                       p[i]);
    lmw_buf_put(out, "\"", 1);
}

/* ---- numbers ---- */

static int64_t signed_number(lmw_str v)
{
    uint64_t bits = lmw_pq_number(v.ptr, v.len);
    return v.len == 4 ? (int32_t)bits : (int64_t)bits;
}

/* As short as gives the same again, of a number of 32 bits. */
static void put_float(struct lmw_buf *out, float f)
{
    char text[32];

    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)f);
        if (strtof(text, NULL) == f)
            break;
    }
    lmw_json_put_real(out, isfinite(f) ? strtod(text, NULL) : (double)f);
}

/* IEEE 754 binary16. */
static float half(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float f = exponent == 31 ? (fraction ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                             : ldexpf((float)fraction, -24);
    return bits >> 15 ? -f : f;
}

static void put_real(struct lmw_buf *out, lmw_str v)
{
    uint64_t bits = lmw_pq_number(v.ptr, v.len);
    uint32_t low = (uint32_t)bits;
    double d;
    float f;

    memcpy(&d, &bits, sizeof d);
    memcpy(&f, &low, sizeof f);
    if (v.len == 8)
        lmw_json_put_real(out, d);
    else
        put_float(out, v.len == 4 ? f : half((uint16_t)bits));
}

static void put_integer(const struct lmw_pq_column *c, lmw_str v, struct lmw_buf *out)
{
    int64_t i = signed_number(v);
    uint64_t u = lmw_pq_number(v.ptr, v.len);
    const char *name = i >= 0 ? json_string_value(json_array_get(c->classes, (size_t)i)) : NULL;

    if (name)
        lmw_json_put_text(out, lmw_str_from(name));
    else if (c->meaning != LMW_PQ_UNSIGNED)
        lmw_json_put_int(out, i);
    else if (u <= INT64_MAX)
        lmw_json_put_int(out, (int64_t)u);
    else
        lmw_buf_printf(out, "\"%llu\"", (unsigned long long)u);
}

/* A whole number, of bytes with the highest first where it is not of an integer's type, and how
 * many of its digits are behind the point. */
static const char *put_decimal(const struct lmw_pq_column *c, lmw_str v, struct lmw_buf *out)
{
    const uint8_t *p = (const uint8_t *)v.ptr;
    unsigned __int128 u = 0;
    char digits[48], *at = digits + sizeof digits;
    bool is_negative;
    int n = 0;

    if (v.len > 16)
        return "a decimal of over 16 bytes";
    if (c->type == LMW_PQ_INT32 || c->type == LMW_PQ_INT64) {
        u = (unsigned __int128)(__int128)signed_number(v);
    } else {
        u = v.len && p[0] & 0x80 ? ~(unsigned __int128)0 : 0;
        for (size_t i = 0; i < v.len; i++)
            u = u << 8 | p[i];
    }
    if ((is_negative = u >> 127))
        u = -u;
    do {
        if (n == c->digits && n > 0)
            *--at = '.';
        *--at = (char)('0' + (int)(u % 10));
        u /= 10;
        n++;
    } while (u > 0 || n <= c->digits);
    lmw_buf_printf(out, "\"%s%.*s\"", is_negative ? "-" : "", (int)(digits + sizeof digits - at),
                   at);
    return NULL;
}

/* ---- dates and times ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Not by way of the quotient: times b it may be less than the least number. */
static int64_t floor_rest(int64_t a, int64_t b)
{
    return a % b + (a % b < 0 ? b : 0);
}

/* Of a day counted from 1970-01-01; 64 bits of milliseconds reach years that fit. */
static void put_date(struct lmw_buf *out, int64_t day)
{
    time_t seconds = (time_t)day * 86400;
    struct tm tm = {0};

    gmtime_r(&seconds, &tm);
    lmw_buf_printf(out, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

/* A time of day; the fraction only where there is one. */
static void put_time(struct lmw_buf *out, int64_t ticks, int digits)
{
    int64_t per_second = digits == 3 ? 1000 : digits == 6 ? 1000000 : 1000000000;
    int64_t seconds = floor_div(ticks, per_second), rest = floor_rest(ticks, per_second);

    lmw_buf_printf(out, "%02lld:%02d:%02d", (long long)(seconds / 3600), (int)(seconds / 60 % 60),
                   (int)(seconds % 60));
    if (rest)
        lmw_buf_printf(out, ".%0*lld", digits, (long long)rest);
}

static void put_timestamp(struct lmw_buf *out, int64_t day, int64_t ticks, int digits, bool is_utc)
{
    lmw_buf_put(out, "\"", 1);
    put_date(out, day);
    lmw_buf_put(out, "T", 1);
    put_time(out, ticks, digits);
    lmw_buf_str(out, is_utc ? "Z\"" : "\"");
}

static const char *put_moment(const struct lmw_pq_column *c, lmw_str v, struct lmw_buf *out)
{
    int64_t t = signed_number(v);
    int64_t per_day = c->digits == 3   ? 86400000LL
                      : c->digits == 6 ? 86400000000LL
                                       : 86400000000000LL;

    if (c->meaning == LMW_PQ_TIMESTAMP) {
        int64_t day = floor_div(t, per_day);
        put_timestamp(out, day, floor_rest(t, per_day), c->digits, c->is_utc);
        return NULL;
    }
    if (c->meaning == LMW_PQ_TIME && (t < 0 || t > per_day))
        return "a time of day that is longer than a day";
    lmw_buf_put(out, "\"", 1);
    if (c->meaning == LMW_PQ_TIME)
        put_time(out, t, c->digits);
    else
        put_date(out, t);
    lmw_buf_put(out, "\"", 1);
    return NULL;
}

/* INT96: nanoseconds of the day, then the Julian day, which is 2440588 on 1970-01-01. */
static void put_int96(struct lmw_buf *out, lmw_str v)
{
    int64_t ticks = (int64_t)lmw_pq_number(v.ptr, 8), per_day = 86400000000000LL;
    int64_t day =
        (int32_t)lmw_pq_number(v.ptr + 8, 4) - (int64_t)2440588 + floor_div(ticks, per_day);

    put_timestamp(out, day, floor_rest(ticks, per_day), 9, false);
}

/* ---- */

const char *lmw_pq_json(const struct lmw_pq_column *c, lmw_str v, struct lmw_buf *out,
                        struct lmw_buf *scratch)
{
    switch (c->meaning) {
    case LMW_PQ_DECIMAL: return put_decimal(c, v, out);
    case LMW_PQ_DATE:
    case LMW_PQ_TIME:
    case LMW_PQ_TIMESTAMP: return put_moment(c, v, out);
    case LMW_PQ_UUID: put_uuid(out, v); return NULL;
    default: break;
    }
    if (c->type == LMW_PQ_BOOLEAN)
        lmw_buf_str(out, *v.ptr ? "true" : "false");
    else if (c->type == LMW_PQ_INT32 || c->type == LMW_PQ_INT64)
        put_integer(c, v, out);
    else if (c->type == LMW_PQ_INT96)
        put_int96(out, v);
    else if (c->type == LMW_PQ_FLOAT || c->type == LMW_PQ_DOUBLE || c->meaning == LMW_PQ_FLOAT16)
        put_real(out, v);
    else
        return put_text(c, v, out, scratch);
    return NULL;
}
