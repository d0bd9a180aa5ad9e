/* The encodings of Parquet: runs, differences, and the values of a page. See parquet.h; formats
 * and names are Encodings.md's.
 *
 * Decoders hand out one value at a time and keep no more than where they are. Every one of them
 * checks what it takes against the page's end: a page that promises more values than it has is
 * found at the first that is not there. */
#include "stream/parquet/parquet.h"

#include <stdlib.h>

int lmw_pq_room_for(struct lmw_pq_room *r, size_t len, struct lmw_err *err)
{
    if (len > r->cap || !r->ptr) { /* a page of nothing has a place too */
        free(r->ptr);
        r->cap = r->len = 0;
        if (!(r->ptr = malloc(len ? len : 1)))
            return lmw_fail(err, LMW_ENOMEM, "out of memory");
        r->cap = len;
    }
    r->len = len;
    return 0;
}

static struct lmw_thrift reader(lmw_str bytes)
{
    const uint8_t *from = (const uint8_t *)bytes.ptr;
    return (struct lmw_thrift){.at = from, .end = from + bytes.len};
}

static lmw_str rest_of(const struct lmw_thrift *t)
{
    return (lmw_str){(const char *)t->at, (size_t)(t->end - t->at)};
}

/* `width` bits (up to 64) from bit number `bit` on, the low ones first, into *v. */
static bool get_bits(const struct lmw_thrift *in, uint64_t bit, int width, uint64_t *v)
{
    uint64_t size = (uint64_t)(in->end - in->at), first = bit / 8;
    int shift = (int)(bit % 8);
    size_t n = (size_t)(shift + width + 7) / 8; /* up to nine */

    if (first > size || n > size - first)
        return false;
    *v = lmw_pq_number(in->at + first, n < 8 ? n : 8) >> shift;
    if (n > 8)
        *v |= (uint64_t)in->at[first + 8] << (64 - shift);
    if (width < 64)
        *v &= ((uint64_t)1 << width) - 1;
    return true;
}

/* Past so many bits; what is cut short at the end is found when it is asked for. */
static void pass_bits(struct lmw_thrift *in, uint64_t bits)
{
    uint64_t n = (bits + 7) / 8, size = (uint64_t)(in->end - in->at);
    in->at += n < size ? n : size;
}

/* ---- runs ---- */

void lmw_pq_runs_start(struct lmw_pq_runs *r, lmw_str bytes, int width)
{
    *r = (struct lmw_pq_runs){.in = reader(bytes), .width = width};
}

/* The head of the next run: its count and kind in a varint, then the one value, or the packed. */
static bool begin_run(struct lmw_pq_runs *r)
{
    if (r->is_packed)
        pass_bits(&r->in, r->bit);
    uint64_t head = lmw_thrift_varint(&r->in);
    r->is_packed = head & 1;
    r->left = head >> 1;
    r->bit = 0;
    if (r->in.failed || r->left > UINT32_MAX)
        return false;
    if (r->is_packed) {
        r->left *= 8;
        return true;
    }
    uint64_t v;
    size_t n = (size_t)(r->width + 7) / 8;
    if (!get_bits(&r->in, 0, (int)n * 8, &v))
        return false;
    r->value = (uint32_t)v;
    r->in.at += n;
    return true;
}

int64_t lmw_pq_runs_next(struct lmw_pq_runs *r)
{
    uint64_t v;

    while (r->left == 0)
        if (!begin_run(r))
            return -1;
    r->left--;
    if (!r->is_packed)
        return r->value;
    if (!get_bits(&r->in, r->bit, r->width, &v))
        return -1;
    r->bit += (uint64_t)r->width;
    return (int64_t)v;
}

/* ---- differences ---- */

static bool delta_start(struct lmw_pq_delta *d, lmw_str bytes)
{
    *d = (struct lmw_pq_delta){.in = reader(bytes)};
    uint64_t per_block = lmw_thrift_varint(&d->in);
    d->per_block = lmw_thrift_varint(&d->in);
    d->left = lmw_thrift_varint(&d->in);
    d->value = (uint64_t)lmw_thrift_zigzag(lmw_thrift_varint(&d->in));
    if (d->in.failed || d->per_block == 0 || per_block > UINT32_MAX || per_block % d->per_block)
        return false;
    d->per_mini = per_block / d->per_block;
    d->mini = d->per_block; /* a block is to be begun */
    return d->per_mini > 0 && d->per_mini % 8 == 0;
}

/* A block's head: its least difference, and how wide each miniblock is. */
static bool begin_block(struct lmw_pq_delta *d)
{
    d->least = (uint64_t)lmw_thrift_zigzag(lmw_thrift_varint(&d->in));
    if (d->in.failed || (uint64_t)(d->in.end - d->in.at) < d->per_block)
        return false;
    d->widths = d->in.at;
    d->in.at += d->per_block;
    d->mini = 0;
    return true;
}

static bool begin_mini(struct lmw_pq_delta *d)
{
    pass_bits(&d->in, d->bit);
    d->bit = 0;
    if (d->mini == d->per_block && !begin_block(d))
        return false;
    d->width = d->widths[d->mini++];
    d->mini_left = d->per_mini;
    return d->width <= 64;
}

static bool delta_next(struct lmw_pq_delta *d, uint64_t *out)
{
    uint64_t more;

    if (d->left == 0)
        return false;
    if (d->has_begun) {
        if (d->mini_left == 0 && !begin_mini(d))
            return false;
        if (!get_bits(&d->in, d->bit, d->width, &more))
            return false;
        d->bit += (uint64_t)d->width;
        d->mini_left--;
        d->value += d->least + more; /* modulo 2^64, as it was written */
    }
    d->has_begun = true;
    d->left--;
    *out = d->value;
    return true;
}

/* What stands behind all of them: a miniblock is as long as it would be full. */
static bool delta_end(struct lmw_pq_delta d, lmw_str *rest)
{
    uint64_t n = d.left > 0 ? d.left - 1 : 0; /* the first is in the head */

    for (uint64_t k; n > 0; n -= k) {
        if (d.mini_left == 0 && !begin_mini(&d))
            return false;
        k = n < d.mini_left ? n : d.mini_left;
        d.bit += k * (uint64_t)d.width;
        d.mini_left -= k;
    }
    pass_bits(&d.in, d.bit + d.mini_left * (uint64_t)d.width);
    *rest = rest_of(&d.in);
    return true;
}

/* ---- the values of a page ---- */

static const char cut[] = "the values end too early";
static const char bad_differences[] = "the differences of DELTA_BINARY_PACKED make no sense";
static const char misplaced[] = "this encoding is none for values of this type";

const char *lmw_pq_encoding_name(int encoding)
{
    static const char *const name[] = {"PLAIN",
                                       "GROUP_VAR_INT",
                                       "PLAIN_DICTIONARY",
                                       "RLE",
                                       "BIT_PACKED",
                                       "DELTA_BINARY_PACKED",
                                       "DELTA_LENGTH_BYTE_ARRAY",
                                       "DELTA_BYTE_ARRAY",
                                       "RLE_DICTIONARY",
                                       "BYTE_STREAM_SPLIT",
                                       "ALP"};
    return encoding >= 0 && encoding < (int)(sizeof name / sizeof *name) ? name[encoding]
                                                                         : "unknown";
}

bool lmw_pq_is_read(int encoding, size_t width)
{
    switch (encoding) {
    case LMW_PQ_PLAIN:
    case LMW_PQ_PLAIN_DICTIONARY:
    case LMW_PQ_RLE:
    case LMW_PQ_DELTA_BINARY:
    case LMW_PQ_DELTA_LENGTH:
    case LMW_PQ_DELTA_BYTES:
    case LMW_PQ_DICTIONARY: return true;
    default:
        return encoding == LMW_PQ_SPLIT && width <= sizeof((struct lmw_pq_values *)0)->scratch;
    }
}

static bool take(lmw_str *from, size_t n, lmw_str *out)
{
    if (n > from->len)
        return false;
    *out = (lmw_str){from->ptr, n};
    *from = (lmw_str){from->ptr + n, from->len - n};
    return true;
}

static const char *start_dictionary(struct lmw_pq_values *v)
{
    lmw_str width;

    if (!take(&v->rest, 1, &width))
        return NULL; /* a page of nulls may have nothing at all; a value that is asked for fails */
    if ((uint8_t)*width.ptr > 32)
        return "an index into the dictionary would have over 32 bits";
    lmw_pq_runs_start(&v->runs, v->rest, (uint8_t)*width.ptr);
    return NULL;
}

/* Truth values: a length of four bytes, then runs. */
static const char *start_runs(struct lmw_pq_values *v)
{
    lmw_str head, runs;

    if (v->type != LMW_PQ_BOOLEAN)
        return misplaced;
    if (v->rest.len == 0)
        return NULL;
    if (!take(&v->rest, 4, &head) || !take(&v->rest, lmw_pq_number(head.ptr, 4), &runs))
        return cut;
    lmw_pq_runs_start(&v->runs, runs, 1);
    return NULL;
}

static const char *start_lengths(struct lmw_pq_values *v)
{
    if (v->rest.len == 0)
        return NULL;
    return delta_start(&v->lengths, v->rest) && delta_end(v->lengths, &v->rest) ? NULL
                                                                                : bad_differences;
}

static const char *start_prefixes(struct lmw_pq_values *v)
{
    if (v->type != LMW_PQ_BYTES && v->type != LMW_PQ_FIXED)
        return misplaced;
    if (v->rest.len == 0)
        return NULL;
    v->last.len = 0;
    if (!delta_start(&v->prefixes, v->rest) || !delta_end(v->prefixes, &v->rest))
        return bad_differences;
    return start_lengths(v);
}

const char *lmw_pq_values_start(struct lmw_pq_values *v, int encoding, lmw_str bytes)
{
    v->encoding = encoding;
    v->rest = bytes;
    v->bit = v->i = 0;
    v->runs = (struct lmw_pq_runs){0};
    v->lengths = v->prefixes = (struct lmw_pq_delta){0};
    switch (encoding) {
    case LMW_PQ_PLAIN: return NULL;
    case LMW_PQ_PLAIN_DICTIONARY:
    case LMW_PQ_DICTIONARY: return start_dictionary(v);
    case LMW_PQ_RLE: return start_runs(v);
    case LMW_PQ_DELTA_BINARY:
        if (v->type != LMW_PQ_INT32 && v->type != LMW_PQ_INT64)
            return misplaced;
        return bytes.len == 0 || delta_start(&v->lengths, bytes) ? NULL : bad_differences;
    case LMW_PQ_DELTA_LENGTH: return v->type == LMW_PQ_BYTES ? start_lengths(v) : misplaced;
    case LMW_PQ_DELTA_BYTES: return start_prefixes(v);
    case LMW_PQ_SPLIT:
        v->n = v->width ? bytes.len / v->width : 0;
        return v->width && v->type != LMW_PQ_INT96 ? NULL : misplaced;
    default: return "there is no such encoding";
    }
}

/* A plain value: of its type's width, or behind its length. */
static bool next_plain(lmw_str *from, size_t width, lmw_str *out)
{
    lmw_str head;

    if (width)
        return take(from, width, out);
    return take(from, 4, &head) && take(from, lmw_pq_number(head.ptr, 4), out);
}

static const char *give_number(struct lmw_pq_values *v, uint64_t number, size_t width,
                               lmw_str *out)
{
    for (size_t i = 0; i < width; i++)
        v->scratch[i] = (uint8_t)(number >> (8 * i));
    *out = (lmw_str){(char *)v->scratch, width};
    return NULL;
}

static const char *next_truth(struct lmw_pq_values *v, lmw_str *out)
{
    struct lmw_thrift in = reader(v->rest);
    int64_t run = v->encoding == LMW_PQ_RLE ? lmw_pq_runs_next(&v->runs) : -1;
    uint64_t bit = (uint64_t)run;

    if (run < 0 && (v->encoding == LMW_PQ_RLE || !get_bits(&in, v->bit++, 1, &bit)))
        return cut;
    return give_number(v, bit, 1, out);
}

static const char *next_indexed(struct lmw_pq_values *v, const struct lmw_pq_dictionary *d,
                                lmw_str *out)
{
    int64_t i = lmw_pq_runs_next(&v->runs);
    const uint32_t *ends = (const uint32_t *)(const void *)d->ends.ptr;

    if (i < 0)
        return cut;
    if ((uint64_t)i >= d->n)
        return "an index points past the end of the dictionary";
    size_t from = v->width ? (size_t)i * v->width : (i ? ends[i - 1] : 0) + (size_t)4;
    size_t to = v->width ? from + v->width : ends[i];
    *out = (lmw_str){(const char *)d->bytes.ptr + from, to - from};
    return NULL;
}

/* What the value before has in front, then a text of its own. */
static const char *next_prefixed(struct lmw_pq_values *v, lmw_str *out)
{
    uint64_t prefix, n;
    lmw_str own;

    if (!delta_next(&v->prefixes, &prefix) || !delta_next(&v->lengths, &n) ||
        !take(&v->rest, n, &own))
        return cut;
    if (prefix > v->last.len)
        return "a text takes more of the one before than that has";
    size_t len = (size_t)prefix + own.len;
    if (len > v->last.cap) {
        uint8_t *more = realloc(v->last.ptr, len * 2);
        if (!more)
            return "out of memory";
        v->last.ptr = more;
        v->last.cap = len * 2;
    }
    if (own.len)
        memcpy(v->last.ptr + prefix, own.ptr, own.len);
    v->last.len = len;
    *out = (lmw_str){len ? (const char *)v->last.ptr : "", len};
    return v->width && v->width != len ? "a text is not as long as its column's are" : NULL;
}

/* Byte k of all values stands before byte k + 1 of any. */
static const char *next_split(struct lmw_pq_values *v, lmw_str *out)
{
    if (v->i == v->n)
        return cut;
    for (size_t k = 0; k < v->width; k++)
        v->scratch[k] = (uint8_t)v->rest.ptr[k * v->n + v->i];
    v->i++;
    *out = (lmw_str){(char *)v->scratch, v->width};
    return NULL;
}

const char *lmw_pq_values_next(struct lmw_pq_values *v, const struct lmw_pq_dictionary *d,
                               lmw_str *out)
{
    uint64_t number;

    switch (v->encoding) {
    case LMW_PQ_PLAIN_DICTIONARY:
    case LMW_PQ_DICTIONARY: return next_indexed(v, d, out);
    case LMW_PQ_DELTA_BINARY:
        return delta_next(&v->lengths, &number) ? give_number(v, number, v->width, out) : cut;
    case LMW_PQ_DELTA_LENGTH:
        return delta_next(&v->lengths, &number) && take(&v->rest, number, out) ? NULL : cut;
    case LMW_PQ_DELTA_BYTES: return next_prefixed(v, out);
    case LMW_PQ_SPLIT: return next_split(v, out);
    default:
        if (v->type == LMW_PQ_BOOLEAN)
            return next_truth(v, out);
        return next_plain(&v->rest, v->width, out) ? NULL : cut;
    }
}

const char *lmw_pq_dictionary_start(struct lmw_pq_dictionary *d, size_t n, size_t width)
{
    lmw_str all = {(const char *)d->bytes.ptr, d->bytes.len}, one;

    d->n = 0;
    if (n > all.len / (width ? width : 4))
        return "the dictionary is shorter than its count says";
    if (!width && lmw_pq_room_for(&d->ends, n * sizeof(uint32_t), NULL) < 0)
        return "out of memory";
    uint32_t *ends = (uint32_t *)(void *)d->ends.ptr;
    for (size_t i = 0; i < n && !width; i++) {
        if (!next_plain(&all, 0, &one))
            return "the dictionary is shorter than its count says";
        ends[i] = (uint32_t)(d->bytes.len - all.len);
    }
    d->n = n;
    return NULL;
}
