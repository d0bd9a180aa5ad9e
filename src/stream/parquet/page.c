/* The pages of a column chunk: header, packing, levels. See parquet.h.
 *
 * A chunk is read from its first page on, until its entries are used up: by its own page headers,
 * not by the lengths in the footer, which old writers got wrong. A dictionary page comes first
 * where there is one. A page that carries a checksum is checked by it (crc: CRC-32 as of gzip,
 * over the bytes as they are in the file). Pages over 256 MiB are refused. */
#include "stream/parquet/parquet.h"

#include <stdio.h>
#include <stdlib.h>

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum { PAGE_MAX = 256 << 20, HEADER_FIRST = 512, HEADER_MAX = 16 << 20 };

enum page_type { DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 };
enum codec { UNCOMPRESSED, SNAPPY, GZIP, LZO, BROTLI, LZ4, ZSTD, LZ4_RAW };

struct header {
    int64_t type, size, packed_size;
    bool has_crc, is_packed;
    uint32_t crc;
    int64_t n, encoding, def_encoding, rep_encoding;
    int64_t def_bytes, rep_bytes; /* DATA_PAGE_V2 */
};

int lmw_pq_broken(const struct lmw_pq *q, const struct lmw_pq_column *c, const char *what,
                  struct lmw_err *err)
{
    return lmw_fail(err, LMW_EFORMAT,
                    "row group %zu, column '%.100s', page at byte %lld: %s; the file is damaged, "
                    "or was not copied whole: fetch it again",
                    q->group, c->path, (long long)c->page_at, what);
}

static int not_read(const struct lmw_pq *q, const struct lmw_pq_column *c, const char *what,
                    struct lmw_err *err)
{
    return lmw_fail(err, LMW_EUNSUPPORTED,
                    "row group %zu, column '%.100s': %s; write the file again, for example in "
                    "duckdb: COPY (FROM 'in.parquet') TO 'out.parquet' (COMPRESSION zstd)",
                    q->group, c->path, what);
}

int lmw_pq_codec_check(const struct lmw_pq *q, const struct lmw_pq_column *c, struct lmw_err *err)
{
    static const char *const name[] = {
        [LZO] = "LZO", [BROTLI] = "Brotli", [LZ4] = "LZ4", [LZ4_RAW] = "LZ4"};
    char what[96];

    if (c->codec == UNCOMPRESSED || c->codec == SNAPPY || c->codec == GZIP || c->codec == ZSTD)
        return 0;
    snprintf(what, sizeof what, "packed with %s, which is not read (Snappy, gzip, Zstandard are)",
             c->codec > 0 && c->codec <= LZ4_RAW ? name[c->codec] : "an unknown codec");
    return not_read(q, c, what, err);
}

/* ---- headers ---- */

/* DataPageHeader, DictionaryPageHeader and DataPageHeaderV2 have much in common. */
static void read_part(struct lmw_thrift *t, struct header *h, int part)
{
    const bool is_v2 = part == 8;

    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);) {
        if (f.id == 1)
            h->n = lmw_thrift_int(t, &f);
        else if (f.id == (is_v2 ? 4 : 2))
            h->encoding = lmw_thrift_int(t, &f);
        else if (f.id == 3 && part == 5)
            h->def_encoding = lmw_thrift_int(t, &f);
        else if (f.id == 4 && part == 5)
            h->rep_encoding = lmw_thrift_int(t, &f);
        else if (f.id == 5 && is_v2)
            h->def_bytes = lmw_thrift_int(t, &f);
        else if (f.id == 6 && is_v2)
            h->rep_bytes = lmw_thrift_int(t, &f);
        else if (f.id == 7 && is_v2)
            h->is_packed = lmw_thrift_bool(t, &f);
        else
            lmw_thrift_skip(t, &f);
    }
}

static void parse_header(struct lmw_thrift *t, struct header *h)
{
    *h = (struct header){.type = -1,
                         .size = -1,
                         .packed_size = -1,
                         .n = -1,
                         .is_packed = true,
                         .def_encoding = LMW_PQ_RLE,
                         .rep_encoding = LMW_PQ_RLE};
    for (struct lmw_thrift_field f = {0}; lmw_thrift_next(t, &f);) {
        if (f.id == 1)
            h->type = lmw_thrift_int(t, &f);
        else if (f.id == 2)
            h->size = lmw_thrift_int(t, &f);
        else if (f.id == 3)
            h->packed_size = lmw_thrift_int(t, &f);
        else if (f.id == 4)
            h->has_crc = true, h->crc = (uint32_t)lmw_thrift_int(t, &f);
        else if ((f.id == 5 || f.id == 7 || f.id == 8) && lmw_thrift_struct(t, &f))
            read_part(t, h, f.id);
        else
            lmw_thrift_skip(t, &f);
    }
}

/* How long a header is shows only when it is read: texts' least and greatest may stand in it. */
static int read_header(struct lmw_pq *q, struct lmw_pq_column *c, struct header *h,
                       struct lmw_err *err)
{
    struct lmw_thrift t;
    int rc;

    c->page_at = c->at;
    for (int64_t ask = HEADER_FIRST;; ask *= 8) {
        int64_t left = q->footer_at - c->at, n = ask < left ? ask : left;
        if (n <= 0)
            return lmw_pq_broken(q, c, "it begins behind the last page", err);
        if ((rc = lmw_pq_room_for(&q->packed, (size_t)n, err)) < 0 ||
            (rc = lmw_stream_source(q->source, c->at, q->packed.ptr, (size_t)n, err)) < 0)
            return rc;
        t = (struct lmw_thrift){.at = q->packed.ptr, .end = q->packed.ptr + n};
        parse_header(&t, h);
        if (!t.failed || !t.is_short || n == left || ask >= HEADER_MAX)
            break;
    }
    if (t.failed || h->size < 0 || h->packed_size < 0 || h->type < 0)
        return lmw_pq_broken(q, c, "its header makes no sense", err);
    c->at += t.at - q->packed.ptr;
    if (h->packed_size > q->footer_at - c->at)
        return lmw_pq_broken(q, c, "it ends behind the end of the data", err);
    if (h->size > PAGE_MAX || h->packed_size > PAGE_MAX)
        return not_read(q, c, "a page of over 256 MiB, which is not read", err);
    return 0;
}

/* ---- packing ---- */

static const char bad_snappy[] = "damaged Snappy data";

static const char *unsnap(lmw_str from, uint8_t *to, size_t size)
{
    size_t n = size;
    return snappy_uncompress(from.ptr, from.len, (char *)to, &n) == SNAPPY_OK && n == size
               ? NULL
               : bad_snappy;
}

/* Several members one behind the other are one page. */
static const char *ungzip(lmw_str from, uint8_t *to, size_t size)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)from.ptr,
                  .avail_in = (uInt)from.len,
                  .next_out = to,
                  .avail_out = (uInt)size};
    int rc;

    if (inflateInit2(&z, 15 + 32) != Z_OK) /* the largest window; gzip's or zlib's header */
        return "out of memory";
    while ((rc = inflate(&z, Z_FINISH)) == Z_STREAM_END && z.avail_in > 0)
        inflateReset(&z);
    inflateEnd(&z);
    return rc == Z_STREAM_END && z.avail_out == 0 ? NULL : "damaged gzip data";
}

static const char *unpack(int codec, lmw_str from, uint8_t *to, size_t size)
{
    if (codec == UNCOMPRESSED && from.len != size)
        return "its two lengths differ, though it is not packed";
    if (size == 0)
        return NULL;
    switch (codec) {
    case SNAPPY: return unsnap(from, to, size);
    case GZIP: return ungzip(from, to, size);
    case ZSTD:
        return ZSTD_decompress(to, size, from.ptr, from.len) == size ? NULL
                                                                     : "damaged Zstandard data";
    default: memcpy(to, from.ptr, size); return NULL;
    }
}

static const char long_levels[] = "its levels are longer than it is";

/* The page's bytes, unpacked, into `room`; of DATA_PAGE_V2 the levels in front are never
 * packed. */
static int read_body(struct lmw_pq *q, struct lmw_pq_column *c, const struct header *h,
                     struct lmw_pq_room *room, struct lmw_err *err)
{
    const char *fault;
    size_t plain = h->type == DATA_PAGE_V2 ? (size_t)(h->def_bytes + h->rep_bytes) : 0;
    size_t size = (size_t)h->size, packed_size = (size_t)h->packed_size;
    int codec = h->is_packed ? c->codec : UNCOMPRESSED, rc;

    if (plain > size || plain > packed_size)
        return lmw_pq_broken(q, c, long_levels, err);
    if ((rc = lmw_pq_room_for(&q->packed, packed_size, err)) < 0 ||
        (rc = lmw_stream_source(q->source, c->at, q->packed.ptr, packed_size, err)) < 0)
        return rc;
    c->at += h->packed_size;
    if (h->has_crc && crc32(crc32(0, NULL, 0), q->packed.ptr, (uInt)packed_size) != h->crc)
        return lmw_pq_broken(q, c, "its checksum differs", err);
    /* Snappy's own length first: room is made for what is there, not for what is promised. */
    size_t n;
    if (codec == SNAPPY && size > plain &&
        (snappy_uncompressed_length((char *)q->packed.ptr + plain, packed_size - plain, &n) !=
             SNAPPY_OK ||
         n != size - plain))
        return lmw_pq_broken(q, c, bad_snappy, err);
    if ((rc = lmw_pq_room_for(room, size, err)) < 0)
        return rc;
    if (plain)
        memcpy(room->ptr, q->packed.ptr, plain);
    lmw_str packed = {(char *)q->packed.ptr + plain, packed_size - plain};
    fault = unpack(codec, packed, room->ptr + plain, size - plain);
    return fault ? lmw_pq_broken(q, c, fault, err) : 0;
}

/* ---- pages ---- */

static int read_dictionary(struct lmw_pq *q, struct lmw_pq_column *c, const struct header *h,
                           struct lmw_err *err)
{
    int rc = read_body(q, c, h, &c->dictionary.bytes, err);

    if (rc < 0)
        return rc;
    if (h->n < 0 || (h->encoding != LMW_PQ_PLAIN && h->encoding != LMW_PQ_PLAIN_DICTIONARY))
        return lmw_pq_broken(q, c, "its dictionary's header makes no sense", err);
    if (c->type == LMW_PQ_BOOLEAN)
        return lmw_pq_broken(q, c, "a dictionary of truth values", err);
    const char *fault = lmw_pq_dictionary_start(&c->dictionary, (size_t)h->n, c->width);
    c->has_dictionary = !fault;
    return fault ? lmw_pq_broken(q, c, fault, err) : 0;
}

static int bits_of(int most)
{
    int bits = 0;

    while (most >> bits)
        bits++;
    return bits;
}

/* Levels of a DATA_PAGE stand behind their length. */
static bool take_levels(lmw_str *body, int most, int64_t length, struct lmw_pq_runs *out)
{
    if (length < 0) { /* not known */
        if (most == 0)
            return true;
        if (body->len < 4)
            return false;
        length = (int64_t)lmw_pq_number(body->ptr, 4);
        *body = (lmw_str){body->ptr + 4, body->len - 4};
    }
    if ((uint64_t)length > body->len)
        return false;
    lmw_pq_runs_start(out, (lmw_str){body->ptr, (size_t)length}, bits_of(most));
    *body = (lmw_str){body->ptr + length, body->len - (size_t)length};
    return true;
}

static int start_values(struct lmw_pq *q, struct lmw_pq_column *c, const struct header *h,
                        lmw_str body, struct lmw_err *err)
{
    int encoding = h->encoding < 0 || h->encoding > INT16_MAX ? -1 : (int)h->encoding;
    char what[160];

    if (!lmw_pq_is_read(encoding, c->width)) {
        snprintf(what, sizeof what, "values in the encoding %s, which is not read",
                 lmw_pq_encoding_name(encoding));
        return not_read(q, c, what, err);
    }
    c->values.type = c->type;
    c->values.width = c->type == LMW_PQ_BOOLEAN ? 0 : c->width;
    const char *fault = lmw_pq_values_start(&c->values, encoding, body);
    if (fault) {
        snprintf(what, sizeof what, "values in the encoding %s: %s",
                 lmw_pq_encoding_name(encoding), fault);
        return lmw_pq_broken(q, c, what, err);
    }
    if ((encoding == LMW_PQ_DICTIONARY || encoding == LMW_PQ_PLAIN_DICTIONARY) &&
        !c->has_dictionary)
        return lmw_pq_broken(q, c, "its values are indices into a dictionary that is not there",
                             err);
    return 0;
}

static int begin_page(struct lmw_pq *q, struct lmw_pq_column *c, const struct header *h,
                      struct lmw_err *err)
{
    const bool is_v2 = h->type == DATA_PAGE_V2;
    int rc;

    if (h->n < 0 || h->n > c->left)
        return lmw_pq_broken(q, c, "it has more entries than are left in its chunk", err);
    if (h->def_bytes < 0 || h->def_bytes > h->size || h->rep_bytes < 0 || h->rep_bytes > h->size)
        return lmw_pq_broken(q, c, long_levels, err);
    if ((c->max_def && h->def_encoding != LMW_PQ_RLE) ||
        (c->max_rep && h->rep_encoding != LMW_PQ_RLE))
        return not_read(q, c, "levels in the old encoding BIT_PACKED, which is not read", err);
    if ((rc = read_body(q, c, h, &c->page, err)) < 0)
        return rc;
    lmw_str body = {(char *)c->page.ptr, c->page.len};
    if (!take_levels(&body, c->max_rep, is_v2 ? h->rep_bytes : -1, &c->reps) ||
        !take_levels(&body, c->max_def, is_v2 ? h->def_bytes : -1, &c->defs))
        return lmw_pq_broken(q, c, long_levels, err);
    c->page_left = h->n;
    c->left -= h->n;
    return h->n ? start_values(q, c, h, body, err) : 0;
}

/* To the next page with data in it, past what else a chunk may hold. */
static int next_page(struct lmw_pq *q, struct lmw_pq_column *c, struct lmw_err *err)
{
    struct header h;
    int rc;

    if ((rc = read_header(q, c, &h, err)) < 0)
        return rc;
    if (h.type == DICTIONARY_PAGE)
        return read_dictionary(q, c, &h, err);
    if (h.type == DATA_PAGE || h.type == DATA_PAGE_V2)
        return begin_page(q, c, &h, err);
    c->at += h.packed_size;
    return 0;
}

static int next_level(struct lmw_pq_runs *r, int most)
{
    int64_t level = most ? lmw_pq_runs_next(r) : 0;
    return level > most ? -1 : (int)level;
}

int lmw_pq_ahead(struct lmw_pq *q, struct lmw_pq_column *c, struct lmw_err *err)
{
    int rc;

    if (c->is_ahead)
        return 0;
    while (c->page_left == 0) {
        if (c->left == 0) {
            c->def = -1;
            c->rep = 0;
            return 0;
        }
        if ((rc = next_page(q, c, err)) < 0)
            return rc;
    }
    c->rep = next_level(&c->reps, c->max_rep);
    c->def = next_level(&c->defs, c->max_def);
    if (c->rep < 0 || c->def < 0)
        return lmw_pq_broken(q, c, "its levels end too early, or are too high", err);
    c->page_left--;
    c->is_ahead = true;
    return 0;
}
