/* Owns the corpus: reading it, training a tokenizer on it, turning it into token sequences.
 *
 * The texts of pairs lie one after the other in one buffer; a plain text stays in its mapping.
 * A prompt is kept as it will be seen at inference, rendered by the same function
 * (engine/chat.h). Refused, with the line: what is not JSON, a missing `prompt` or
 * `reference`, a template that cannot be rendered. */
#include "base/file.h"
#include "engine/chat.h"
#include "train/data.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct lmw_corpus {
    struct lmw_map map; /* of a plain text */
    struct lmw_buf buf; /* the texts of pairs */
    bool is_text;
    lmw_str *part; /* pairs: prompt, reference, prompt, ...; a text: itself */
    size_t n_part;
};

/* ---- reading ---- */

static size_t count_lines(const struct lmw_map *m)
{
    size_t n = 1;
    for (size_t i = 0; i < m->len; i++)
        n += m->ptr[i] == '\n';
    return n;
}

static int get_string(const json_t *o, const char *field, lmw_str *out, struct lmw_err *err)
{
    const json_t *s = json_object_get(o, field);
    if (!json_is_string(s))
        return lmw_fail(err, LMW_EFORMAT, "no string `%s`", field);
    *out = (lmw_str){json_string_value(s), json_string_length(s)};
    return LMW_OK;
}

/* Until all are read a part has only its length: the buffer may still move. */
static int add_pair(struct lmw_corpus *c, const json_t *o, lmw_str tmpl, struct lmw_err *err)
{
    lmw_str prompt, reference;
    int rc;
    const size_t before = c->buf.len;
    if ((rc = get_string(o, "prompt", &prompt, err)) < 0 ||
        (rc = get_string(o, "reference", &reference, err)) < 0 ||
        (rc = lmw_chat_render(tmpl, LMW_STR("<|bos|>"), prompt, &c->buf, err)) < 0)
        return rc;
    c->part[c->n_part++].len = c->buf.len - before;
    lmw_buf_put(&c->buf, reference.ptr, reference.len);
    c->part[c->n_part++].len = reference.len;
    return LMW_OK;
}

static int read_line(struct lmw_corpus *c, lmw_str line, lmw_str tmpl, struct lmw_err *err)
{
    if (lmw_str_trim(line).len == 0)
        return LMW_OK;
    json_error_t je;
    json_t *o = json_loadb(line.ptr, line.len, 0, &je);
    int rc = o ? add_pair(c, o, tmpl, err) : lmw_fail(err, LMW_EFORMAT, "not JSON: %s", je.text);
    json_decref(o);
    return rc;
}

static int read_pairs(struct lmw_corpus *c, const char *path, const struct lmw_map *m,
                      lmw_str tmpl, struct lmw_err *err)
{
    const char *at = (const char *)m->ptr, *end = at + m->len;
    c->part = calloc(2 * count_lines(m), sizeof *c->part);
    if (!c->part)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the lines of %s", path);
    for (size_t i = 1; at < end; i++) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        lmw_str line = {at, (size_t)((nl ? nl : end) - at)};
        int rc = read_line(c, line, tmpl, err);
        if (rc < 0)
            return lmw_wrap(err, "%s:%zu", path, i);
        at = nl ? nl + 1 : end;
    }
    if (c->buf.failed)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the texts of %s", path);
    const char *text = c->buf.ptr;
    for (size_t i = 0; i < c->n_part; text += c->part[i++].len)
        c->part[i].ptr = text;
    return LMW_OK;
}

static int read_text(struct lmw_corpus *c, struct lmw_err *err)
{
    c->is_text = true;
    c->part = calloc(1, sizeof *c->part);
    if (!c->part)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a corpus");
    c->part[c->n_part++] = (lmw_str){(const char *)c->map.ptr, c->map.len};
    return LMW_OK;
}

static int corpus_fill(struct lmw_corpus *c, const char *path, lmw_str tmpl, struct lmw_err *err)
{
    int rc = lmw_map_open(&c->map, path, err);
    if (rc < 0)
        return rc;
    if (c->map.len == 0)
        return lmw_fail(err, LMW_EFORMAT, "%s: empty", path);
    if (!lmw_str_ends(lmw_str_from(path), ".jsonl"))
        return read_text(c, err);
    if ((rc = read_pairs(c, path, &c->map, tmpl, err)) < 0)
        return rc;
    lmw_map_close(&c->map);
    c->map = (struct lmw_map){0};
    if (c->n_part == 0)
        return lmw_fail(err, LMW_EFORMAT, "%s: no line with a prompt", path);
    return LMW_OK;
}

int lmw_corpus_read(struct lmw_corpus **out, const char *path, lmw_str chat_template,
                    struct lmw_err *err)
{
    struct lmw_corpus *c = calloc(1, sizeof *c);
    if (!c)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a corpus");
    int rc = corpus_fill(c, path, chat_template, err);
    if (rc < 0)
        lmw_corpus_free(c);
    else
        *out = c;
    return rc;
}

void lmw_corpus_free(struct lmw_corpus *c)
{
    if (!c)
        return;
    lmw_map_close(&c->map);
    lmw_buf_free(&c->buf);
    free(c->part);
    free(c);
}

/* ---- tokenizer ---- */

/* Pair counts settle long before this much text. */
#define SAMPLE_BYTES ((size_t)4 << 20)
/* A plain text is sampled in slices of this size. */
#define SLICE_BYTES ((size_t)64 << 10)

/* Every k-th of n items of about `bytes` in all, so that a sample fits. */
static size_t sample_step(size_t bytes)
{
    return bytes / SAMPLE_BYTES + 1;
}

static size_t sample_pairs(const struct lmw_corpus *c, lmw_str *out)
{
    size_t bytes = 0, n = 0;
    for (size_t i = 0; i < c->n_part; i++)
        bytes += c->part[i].len;
    const size_t step = sample_step(bytes);
    for (size_t i = 0; i + 1 < c->n_part; i += 2 * step) {
        out[n++] = c->part[i];
        out[n++] = c->part[i + 1];
    }
    return n;
}

static size_t sample_text(lmw_str text, lmw_str *out)
{
    const size_t step = sample_step(text.len) * SLICE_BYTES;
    size_t n = 0;
    for (size_t i = 0; i < text.len; i += step) {
        size_t left = text.len - i;
        /* One slice in step; all of it when nothing is left out. */
        size_t len = step == SLICE_BYTES || left < SLICE_BYTES ? left : SLICE_BYTES;
        out[n++] = (lmw_str){text.ptr + i, len};
        if (len == left)
            break;
    }
    return n;
}

int lmw_corpus_tokenizer(const struct lmw_corpus *c, int n_vocab, bool words_apart,
                         struct lmw_tok **out, struct lmw_err *err)
{
    size_t most = c->is_text ? c->part[0].len / SLICE_BYTES + 1 : c->n_part;
    lmw_str *sample = malloc(most * sizeof *sample);
    if (!sample)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a sample of the corpus");
    size_t n = c->is_text ? sample_text(c->part[0], sample) : sample_pairs(c, sample);
    int rc = lmw_tok_train(out, sample, n, n_vocab, words_apart, err);
    free(sample);
    return rc;
}

/* ---- tokens ---- */

static int no_memory(struct lmw_err *err)
{
    return lmw_fail(err, LMW_ENOMEM, "no memory for the tokens");
}

static int encode_pairs(const struct lmw_corpus *c, const struct lmw_tok *tok, size_t n_ctx,
                        float light, struct lmw_filler *f, int32_t *id, struct lmw_err *err)
{
    for (size_t i = 0; i + 1 < c->n_part; i += 2) {
        size_t n = lmw_tok_encode(tok, c->part[i], true, true, id, n_ctx), n_prompt = n;
        if (n < n_ctx)
            n += lmw_tok_encode(tok, c->part[i + 1], false, false, id + n, n_ctx - n);
        if (n >= n_ctx) { /* no room for the end token either */
            f->d->n_dropped++;
            continue;
        }
        id[n++] = lmw_tok_eos(tok);
        float *weight = lmw_filler_add(f, id, (int64_t)n);
        if (!weight)
            return no_memory(err);
        for (size_t j = 0; j < n; j++)
            weight[j] = j < n_prompt ? light : 1;
    }
    return LMW_OK;
}

/* id has room for the whole text and one more. */
static int encode_text(lmw_str text, const struct lmw_tok *tok, size_t n_ctx, struct lmw_filler *f,
                       int32_t *id, struct lmw_err *err)
{
    /* id[0] is where each piece puts its BOS: over the last token of the piece before. */
    size_t n = 1 + lmw_tok_encode(tok, text, false, false, id + 1, text.len);
    id[n++] = lmw_tok_eos(tok);
    for (size_t at = 0; at + 1 < n; at += n_ctx - 1) {
        id[at] = lmw_tok_bos(tok);
        size_t len = n - at < n_ctx ? n - at : n_ctx;
        float *weight = lmw_filler_add(f, id + at, (int64_t)len);
        if (!weight)
            return no_memory(err);
        for (size_t j = 0; j < len; j++)
            weight[j] = 1;
    }
    return LMW_OK;
}

static int encode_all(const struct lmw_corpus *c, const struct lmw_tok *tok, int n_ctx,
                      double prompt_weight, struct lmw_train_data *d, struct lmw_err *err)
{
    struct lmw_filler f = {.d = d};
    int32_t *id = malloc(((c->is_text ? c->part[0].len : (size_t)n_ctx) + 2) * sizeof *id);
    if (!id)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the tokens of a text");
    int rc = c->is_text ? encode_text(c->part[0], tok, (size_t)n_ctx, &f, id, err)
                        : encode_pairs(c, tok, (size_t)n_ctx, (float)prompt_weight, &f, id, err);
    free(id);
    if (rc == LMW_OK && d->n_seq == 0)
        return lmw_fail(err, LMW_EARG, "every example is longer than the context of %d tokens",
                        n_ctx);
    return rc;
}

int lmw_corpus_encode(const struct lmw_corpus *c, const struct lmw_tok *tok, int n_ctx,
                      double prompt_weight, struct lmw_train_data **out, struct lmw_err *err)
{
    if (n_ctx < 2 || !(prompt_weight >= 0 && prompt_weight <= 1))
        return lmw_fail(err, LMW_EARG, "context %d must be 2 or more, prompt weight %g in [0, 1]",
                        n_ctx, prompt_weight);
    if (lmw_tok_bos(tok) < 0 || lmw_tok_eos(tok) < 0)
        return lmw_fail(err, LMW_EUNSUPPORTED, "the tokenizer has no begin or no end token");
    struct lmw_train_data *d = calloc(1, sizeof *d);
    if (!d)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a data set");
    d->n_vocab = lmw_tok_n_vocab(tok);
    int rc = encode_all(c, tok, n_ctx, prompt_weight, d, err);
    if (rc < 0)
        lmw_train_data_free(d);
    else
        *out = d;
    return rc;
}
