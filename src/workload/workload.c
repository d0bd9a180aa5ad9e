/* A workload: rows of a file (rows.h), each made a record (fields.h), checked, in order.
 *
 * It refuses, naming file, line and remedy: a missing or empty query_id or prompt, a query_id used
 * before. An error is final: a workload is read whole or not at all. Of the query_ids seen only
 * 64-bit hashes are kept, so that a million take 16 MB. A hash that was there is looked up in the
 * file itself: a query_id used twice is named with both lines, and two query_ids that share a hash
 * (one pair in 37 million files of a million rows) are both fine. */
#include "workload/workload.h"

#include <stdlib.h>

#include "base/rng.h"
#include "workload/fields.h"
#include "workload/preset.h"
#include "workload/rows.h"
#include "workload/seen.h"
#include "workload/select.h"

struct lmw_workload {
    struct lmw_rows rows;
    struct lmw_fields fields;
    struct lmw_source source;      /* .preset NULL: none */
    struct lmw_workload_opts opts; /* how it was opened; its strings are in `strings` */
    struct lmw_arena strings;
    char *name;
    lmw_str bytes; /* .ptr NULL: a file */
    char stem[64]; /* of its name: what `#` begins with */
    struct lmw_seen ids;
    const char *question; /* of the query read last: its prompt without a preset's wording */
    struct lmw_select select;
    struct lmw_place *order; /* where the kept rows are */
    size_t n_order, i_order, cap_order;
    bool is_ordered;       /* they are read in that order, not in the file's */
    bool trust_ids;        /* this is the second reader of a file, looking for one id */
    struct lmw_err failed; /* code 0: none */
};

/* ---- opening ---- */

/* What would not be looked at is a misunderstanding. */
static int check_opts(const struct lmw_workload_opts *o, struct lmw_err *err)
{
    if (o->preset && o->map)
        return lmw_fail(err, LMW_EARG, "a preset knows its columns: leave --map out, or --preset");
    if (!o->preset && (o->shots > 0 || o->shots_from || o->cot))
        return lmw_fail(err, LMW_EARG,
                        "worked examples and --cot go with a preset, whose wording they are of");
    if (o->stratify && o->sample <= 0)
        return lmw_fail(err, LMW_EARG, "--stratify says how to --sample: say how many");
    if (o->max_chars > 0 && !o->clean)
        return lmw_fail(err, LMW_EARG, "--max-chars is part of what --clean drops: say --clean");
    return 0;
}

static bool keep(struct lmw_workload *w, const char **s)
{
    if (*s)
        *s = lmw_arena_str(&w->strings, lmw_str_from(*s));
    return *s;
}

static int keep_opts(struct lmw_workload *w, const struct lmw_workload_opts *o,
                     struct lmw_err *err)
{
    const char **text[] = {&w->opts.format,  &w->opts.columns,    &w->opts.map,
                           &w->opts.preset,  &w->opts.shots_from, &w->opts.split,
                           &w->opts.stratify};
    int rc = lmw_arena_open(&w->strings, (size_t)1 << 20, err);

    w->opts = o ? *o : (struct lmw_workload_opts){0};
    for (size_t i = 0; i < sizeof text / sizeof *text && rc == 0; i++)
        if (*text[i] && !keep(w, text[i]))
            rc = lmw_fail(err, LMW_ENOMEM, "out of memory");
    return rc < 0 ? rc : check_opts(&w->opts, err);
}

/* A CSV that its publishers gave no header has none, unless its first row names the question's
 * column. */
static int open_format(struct lmw_workload *w, struct lmw_stream *stream, struct lmw_err *err)
{
    const struct lmw_preset *p =
        w->opts.columns || !w->opts.preset ? NULL : lmw_preset_find(w->opts.preset, NULL);

    return lmw_rows_open(&w->rows, stream, w->name, w->opts.format,
                         p ? p->rules->columns : w->opts.columns, p ? p->rules->question : NULL,
                         err);
}

static int open_rows(struct lmw_workload *w, struct lmw_err *err)
{
    struct lmw_stream stream;
    int rc = lmw_fields_parse(&w->fields, w->opts.map, err);

    if (rc == 0 && !w->bytes.ptr)
        rc = lmw_stream_open(&stream, w->name, err);
    else if (rc == 0 && (rc = lmw_stream_open_bytes(&stream, w->bytes, err)) < 0)
        lmw_wrap(err, "%.128s", w->name);
    if (rc < 0)
        return lmw_wrap(err, "opening workload");
    if (open_format(w, &stream, err) < 0)
        return lmw_wrap(err, "%.128s", w->name);
    if (w->opts.columns && !w->rows.ops->is_text)
        return lmw_fail(err, LMW_EARG, "%.128s: only CSV and TSV take names for their columns",
                        w->name);
    if (w->opts.split && strcmp(w->rows.ops->name, "json") != 0)
        return lmw_fail(err, LMW_EARG,
                        "%.128s: --split chooses among the arrays of a JSON document, and this "
                        "is %s",
                        w->name, w->rows.ops->name);
    return 0;
}

/* Reads all of it, calling `note` (NULL is fine) for each query. */
static int pass_over(struct lmw_workload *w, int (*note)(struct lmw_workload *, struct lmw_err *),
                     struct lmw_err *err)
{
    struct lmw_arena arena;
    struct lmw_record r;
    int rc = lmw_arena_open(&arena, (size_t)8 * LMW_WORKLOAD_LINE_MAX, err);

    if (rc < 0)
        return rc;
    for (struct lmw_arena row = arena; (rc = lmw_workload_next(w, &r, &row, err)) > 0; row = arena)
        if (note && (rc = note(w, err)) < 0)
            break;
    lmw_arena_close(&arena);
    return rc;
}

static int draw_sample(struct lmw_workload *w, struct lmw_err *err)
{
    int rc = pass_over(w, NULL, err);

    if (rc == 0 && (rc = lmw_select_draw(&w->select, err)) == 0)
        lmw_workload_rewind(w);
    return rc;
}

static int open_it(struct lmw_workload **out, lmw_str bytes, const char *name,
                   const struct lmw_workload_opts *o, struct lmw_err *err)
{
    struct lmw_workload *w = calloc(1, sizeof(*w));
    int rc;

    *out = NULL;
    if (!w || !(w->name = strdup(name))) {
        free(w);
        return lmw_fail(err, LMW_ENOMEM, "opening workload %s: out of memory", name);
    }
    w->bytes = bytes;
    w->rows.stream.fd = -1;
    lmw_rows_stem(name, w->stem);
    if ((rc = keep_opts(w, o, err)) == 0 && (rc = open_rows(w, err)) == 0 && w->opts.preset)
        rc = lmw_source_open(&w->source, &w->opts, name, w->stem, &w->rows, err);
    w->select.o = &w->opts;
    w->select.needs_reference =
        w->source.preset && w->source.preset->rules->task != LMW_TASK_AS_IS;
    if (rc == 0 && w->opts.sample > 0)
        rc = draw_sample(w, err);
    if (rc < 0)
        lmw_workload_close(w);
    else
        *out = w;
    return rc;
}

int lmw_workload_open_as(struct lmw_workload **out, const char *path,
                         const struct lmw_workload_opts *o, struct lmw_err *err)
{
    return open_it(out, (lmw_str){0}, path, o, err);
}

int lmw_workload_open(struct lmw_workload **out, const char *path, struct lmw_err *err)
{
    return lmw_workload_open_as(out, path, NULL, err);
}

int lmw_workload_open_bytes_as(struct lmw_workload **out, lmw_str bytes, const char *name,
                               const struct lmw_workload_opts *o, struct lmw_err *err)
{
    bytes.ptr = bytes.ptr ? bytes.ptr : "";
    return open_it(out, bytes, name, o, err);
}

int lmw_workload_open_bytes(struct lmw_workload **out, lmw_str bytes, const char *name,
                            struct lmw_err *err)
{
    return lmw_workload_open_bytes_as(out, bytes, name, NULL, err);
}

void lmw_workload_close(struct lmw_workload *w)
{
    if (!w)
        return;
    lmw_rows_close(&w->rows);
    lmw_source_close(&w->source);
    lmw_select_free(&w->select);
    free(w->order);
    lmw_seen_clear(&w->ids);
    lmw_arena_close(&w->strings);
    free(w->name);
    free(w);
}

void lmw_workload_rewind(struct lmw_workload *w)
{
    w->failed.code = 0;
    w->i_order = 0;
    if (w->is_ordered)
        return;
    lmw_seen_clear(&w->ids);
    lmw_select_restart(&w->select);
    if (lmw_rows_rewind(&w->rows, &w->failed) < 0)
        lmw_wrap(&w->failed, "%.128s", w->name);
}

int64_t lmw_workload_line(const struct lmw_workload *w)
{
    return w->rows.row_line;
}

const char *lmw_workload_question(const struct lmw_workload *w)
{
    return w->question;
}

uint64_t lmw_workload_hash(struct lmw_workload *w)
{
    const struct lmw_workload_opts *o = &w->opts;
    struct lmw_buf how = {0};
    uint64_t hash;

    if (lmw_stream_hash(&w->rows.stream, &hash, &w->failed) < 0)
        lmw_wrap(&w->failed, "%.128s", w->name);
    for (int i = 0; i < 4; i++) {
        const char *text = ((const char *const[]){o->format, o->columns, o->map, o->split})[i];
        if (text)
            lmw_buf_printf(&how, "%d %s\n", i, text);
    }
    if (o->preset)
        lmw_buf_printf(&how, "%s %d %d\n", o->preset, o->shots, o->cot);
    if (o->clean || o->english)
        lmw_buf_printf(&how, "clean %d %d %lld\n", o->clean, o->english, (long long)o->max_chars);
    if (o->sample > 0)
        lmw_buf_printf(&how, "sample %lld %llu %s\n", (long long)o->sample,
                       (unsigned long long)o->seed, o->stratify ? o->stratify : "");
    for (int i = 0; i < w->source.n_shot; i++)
        lmw_buf_str(&how, w->source.shot[i].text);
    if (how.len)
        hash = lmw_str_hash_more(hash, (lmw_str){how.ptr, how.len});
    lmw_buf_free(&how);
    return hash;
}

/* ---- reading ---- */

/* The line of an earlier row with this id; 0 when there is none: then two ids share a hash. */
static int64_t find_earlier(struct lmw_workload *w, const char *id, struct lmw_arena arena)
{
    struct lmw_workload *again;
    struct lmw_record r;
    int64_t line = 0;

    lmw_record_clear(&r);
    if (open_it(&again, w->bytes, w->name, &w->opts, NULL) < 0)
        return 0;
    again->trust_ids = true;
    for (struct lmw_arena row = arena;
         !line && lmw_workload_next(again, &r, &row, NULL) > 0 && again->rows.n < w->rows.n;
         row = arena)
        line = r.query_id && strcmp(r.query_id, id) == 0 ? lmw_workload_line(again) : 0;
    lmw_workload_close(again);
    return line;
}

static int check_id(struct lmw_workload *w, const struct lmw_record *r, struct lmw_arena arena,
                    struct lmw_err *err)
{
    int rc = w->trust_ids ? 1 : lmw_seen_add(&w->ids, lmw_str_hash(lmw_str_from(r->query_id)));
    int64_t line = rc == 0 ? find_earlier(w, r->query_id, arena) : 0;

    if (line)
        return lmw_fail(err, LMW_EFORMAT,
                        "query_id '%.64s' was used on line %lld; query_ids must be unique within "
                        "a file (%s)",
                        r->query_id, (long long)line,
                        w->source.preset ? "where a question is repeated, --clean drops it"
                                         : "the map query_id=# numbers the rows");
    return rc < 0 ? lmw_fail(err, rc, "out of memory") : 1;
}

static int check_query(struct lmw_workload *w, const struct lmw_record *r, struct lmw_arena arena,
                       struct lmw_err *err)
{
    if (!r->query_id || !r->query_id[0])
        return lmw_fail(err, LMW_EFORMAT, "'query_id' is empty; give every query its own");
    if (!r->prompt || !r->prompt[0])
        return lmw_fail(err, LMW_EFORMAT,
                        "query '%.64s' has no 'prompt'; add the text of the "
                        "question",
                        r->query_id);
    return check_id(w, r, arena, err);
}

static bool is_wanted(const struct lmw_workload *w)
{
    const char *section = lmw_rows_section(&w->rows);
    size_t n = strlen(section);

    for (const char *at = w->opts.split; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, section, n) == 0 && (at[n] == ',' || !at[n]))
            return true;
    return !w->opts.split;
}

static bool has_section(const struct lmw_workload *w, lmw_str name)
{
    for (size_t i = 0; i < json_array_size(w->rows.sections); i++)
        if (lmw_str_is(name, json_string_value(json_array_get(w->rows.sections, i))))
            return true;
    return false;
}

/* At the end: was there each array that was asked for? */
static int check_split(const struct lmw_workload *w, struct lmw_err *err)
{
    char have[200] = "";

    for (size_t i = 0; i < json_array_size(w->rows.sections); i++)
        snprintf(have + strlen(have), sizeof have - strlen(have), "%s%s", i ? ", " : "",
                 json_string_value(json_array_get(w->rows.sections, i)));
    for (const char *at = w->opts.split, *end; at; at = *end ? end + 1 : NULL) {
        end = strchrnul(at, ',');
        lmw_str name = {at, (size_t)(end - at)};
        if (!has_section(w, name))
            return lmw_fail(err, LMW_EARG, "no array '%.*s' in this document; there are: %s",
                            LMW_FMT(name), have[0] ? have : "none with a name");
    }
    return 0;
}

static int make_record(struct lmw_workload *w, json_t *row, struct lmw_record *r,
                       struct lmw_arena *arena, struct lmw_err *err)
{
    char number[96];
    json_t *o = NULL;
    int rc;

    snprintf(number, sizeof number, "%s-%lld", w->stem, (long long)w->rows.n);
    if (!w->source.preset) {
        rc = lmw_fields_take(&w->fields, row, w->rows.ops->is_text, number, r, arena, err);
        w->question = r->prompt;
        return rc;
    }
    rc = lmw_source_record(&w->source, &w->rows, row, number, arena, &o, &w->question, err);
    if (rc == 0)
        rc = lmw_record_from_json(r, o, arena, err);
    json_decref(o);
    return rc;
}

/* The next row as a record, wherever the order has it; neither chosen nor checked. */
static int read_record(struct lmw_workload *w, struct lmw_record *r, struct lmw_arena *arena,
                       struct lmw_err *err)
{
    json_t *row;
    int rc;

    while ((rc = lmw_rows_next(&w->rows, &row, err)) > 0 && !is_wanted(w))
        json_decref(row);
    if (rc <= 0)
        return rc < 0 || check_split(w, err) == 0 ? rc : LMW_EARG;
    rc = make_record(w, row, r, arena, err);
    json_decref(row);
    return rc < 0 ? rc : 1;
}

static int next_record(struct lmw_workload *w, struct lmw_record *r, struct lmw_arena *arena,
                       struct lmw_err *err)
{
    struct lmw_arena before = *arena;
    int rc, stays;

    do {
        *arena = before;
        if ((rc = read_record(w, r, arena, err)) <= 0)
            return rc;
        if ((stays = lmw_select_row(&w->select, r, w->question, err)) < 0)
            return stays;
    } while (!stays);
    return check_query(w, r, *arena, err);
}

/* These were chosen and checked when the order was made. */
static int next_in_order(struct lmw_workload *w, struct lmw_record *r, struct lmw_arena *arena,
                         struct lmw_err *err)
{
    if (w->i_order == w->n_order)
        return 0;
    int rc = lmw_rows_jump(&w->rows, w->order[w->i_order++], err);
    if (rc == 0 && (rc = read_record(w, r, arena, err)) == 0)
        rc = lmw_fail(err, LMW_EFORMAT, "the file has become shorter while it was read");
    return rc;
}

int lmw_workload_next(struct lmw_workload *w, struct lmw_record *r, struct lmw_arena *arena,
                      struct lmw_err *err)
{
    if (w->failed.code == 0) {
        int rc = w->is_ordered ? next_in_order(w, r, arena, &w->failed)
                               : next_record(w, r, arena, &w->failed);
        if (rc >= 0)
            return rc;
        lmw_wrap(&w->failed, "%.128s:%lld", w->name, (long long)w->rows.row_line);
    }
    return lmw_fail(err, w->failed.code, "%s", w->failed.msg);
}

/* ---- another order ---- */

static int note_place(struct lmw_workload *w, struct lmw_err *err)
{
    if (w->n_order == w->cap_order) {
        size_t cap = w->cap_order ? w->cap_order * 2 : 4096;
        struct lmw_place *more = realloc(w->order, cap * sizeof(*more));
        if (!more)
            return lmw_fail(err, LMW_ENOMEM, "out of memory");
        w->order = more;
        w->cap_order = cap;
    }
    w->order[w->n_order++] = lmw_rows_place(&w->rows);
    return 0;
}

/* Fisher and Yates, from the end. */
static void permute(struct lmw_workload *w, uint64_t seed)
{
    struct lmw_rng rng;

    lmw_rng_init(&rng, seed);
    for (size_t i = w->n_order; i > 1; i--) {
        size_t j = lmw_rng_below(&rng, (uint32_t)i);
        struct lmw_place keep = w->order[i - 1];
        w->order[i - 1] = w->order[j];
        w->order[j] = keep;
    }
}

int lmw_workload_shuffle(struct lmw_workload *w, uint64_t seed, struct lmw_err *err)
{
    w->is_ordered = false;
    w->n_order = 0;
    lmw_workload_rewind(w);
    int rc = pass_over(w, note_place, err);
    if (rc < 0)
        return rc;
    permute(w, seed);
    w->is_ordered = true;
    lmw_seen_clear(&w->ids); /* a pass has shown that none repeats */
    lmw_seen_clear(&w->select.prompts);
    lmw_workload_rewind(w);
    return 0;
}

void lmw_workload_counts(const struct lmw_workload *w, struct lmw_workload_counts *out)
{
    *out = w->select.counts;
}
