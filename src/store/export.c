/* Runs into files. See exchange.h.
 *
 * Without texts, each of prompt, reference, choices and answer is null and a field of its name
 * with _hash holds FNV-1a (64 bits) of it: equal texts can still be told, and guessed ones
 * confirmed. What else may quote them goes, too: score_reason, error, and of the fields the record
 * does not know all that are longer than a word. */
#include "store/exchange.h"

#include "base/json.h"
#include "store/format.h"
#include "stream/pack.h"

#include <inttypes.h>
#include <stdlib.h>

enum { WORD = 64, FLUSH = 1 << 18 };

struct writer {
    const struct lmw_export_opts *opts;
    struct lmw_packer *packer;
    struct lmw_buf out, extra;
    int64_t n;
};

/* --- without texts --- */

static void put_hash(struct lmw_buf *out, const char *name, const char **text)
{
    if (*text)
        lmw_buf_printf(out, "%s\"%s_hash\":\"%016" PRIx64 "\"", out->len ? "," : "{", name,
                       lmw_str_hash(lmw_str_from(*text)));
    *text = NULL;
}

/* A field of `extra` that says no more than a word, and is no hash of ours. */
static bool is_harmless(const struct lmw_json_value *key, const struct lmw_json_value *v)
{
    static const char *const ours[] = {"prompt_hash", "reference_hash", "choices_hash",
                                       "answer_hash", NULL};
    return !lmw_str_among(key->text, ours) &&
           (v->kind < LMW_JSON_STRING || (v->kind == LMW_JSON_STRING && v->text.len <= WORD));
}

static void drop_texts(struct lmw_record *r, struct lmw_buf *extra)
{
    lmw_str before = lmw_str_from(r->extra ? r->extra : "{}");
    struct lmw_json j = {before.ptr, before.ptr + before.len, NULL};
    struct lmw_json_value key, v;
    bool first = true;
    extra->len = 0;
    put_hash(extra, "prompt", &r->prompt);
    put_hash(extra, "reference", &r->reference);
    put_hash(extra, "choices", &r->choices);
    put_hash(extra, "answer", &r->answer);
    while (lmw_json_member(&j, &first, &key, &v) > 0) {
        if (!is_harmless(&key, &v))
            continue;
        lmw_buf_str(extra, extra->len ? ",\"" : "{\"");
        lmw_buf_put(extra, key.text.ptr, key.text.len);
        lmw_buf_str(extra, v.kind == LMW_JSON_STRING ? "\":\"" : "\":");
        lmw_buf_put(extra, v.text.ptr, v.text.len);
        lmw_buf_str(extra, v.kind == LMW_JSON_STRING ? "\"" : "");
    }
    if (extra->len)
        lmw_buf_str(extra, "}");
    r->extra = extra->len ? extra->ptr : NULL;
    r->score_reason = r->error = NULL;
}

/* --- writing --- */

static int flush(struct writer *w, struct lmw_err *err)
{
    if (w->out.failed || w->extra.failed)
        return lmw_fail(err, LMW_ENOMEM, "no memory for an export");
    int rc = lmw_pack(w->packer, (lmw_str){w->out.ptr ? w->out.ptr : "", w->out.len}, err);
    w->out.len = 0;
    return rc;
}

static int put(struct writer *w, struct lmw_record *r, struct lmw_err *err)
{
    bool failed = lmw_record_failed(r);
    if (w->opts->no_text)
        drop_texts(r, &w->extra);
    if (w->opts->no_text && failed)
        r->error = "(not exported)"; /* that it failed is no text of anybody's */
    if (w->opts->format == LMW_EXPORT_CSV) {
        lmw_csv_put(&w->out, r);
    } else {
        lmw_record_put(&w->out, r);
        lmw_buf_put(&w->out, "\n", 1);
    }
    w->n++;
    return w->out.len < FLUSH ? LMW_OK : flush(w, err);
}

static int put_run(struct writer *w, struct lmw_store *s, int64_t run_id, struct lmw_err *err)
{
    struct lmw_records *it;
    struct lmw_record r;
    int rc = lmw_records_open(&it, s, run_id, err);
    while (rc >= 0 && (rc = lmw_records_next(it, &r, err)) > 0)
        rc = put(w, &r, err);
    lmw_records_close(it);
    return rc;
}

int lmw_export(struct lmw_store *s, const struct lmw_run *runs, int n_run,
               const struct lmw_export_opts *opts, FILE *out, int64_t *n, struct lmw_err *err)
{
    struct writer w = {.opts = opts};
    int rc = lmw_packer_open(&w.packer, out, opts->name, err);
    if (rc == LMW_OK && opts->format == LMW_EXPORT_CSV)
        lmw_csv_put_head(&w.out);
    for (int i = 0; i < n_run && rc == LMW_OK; i++)
        rc = put_run(&w, s, runs[i].id, err);
    if (rc == LMW_OK && (rc = flush(&w, err)) == LMW_OK)
        rc = lmw_packer_finish(w.packer, err);
    *n = w.n;
    lmw_packer_close(w.packer);
    lmw_buf_free(&w.out);
    lmw_buf_free(&w.extra);
    return rc;
}
