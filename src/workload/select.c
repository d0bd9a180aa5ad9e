/* Cleaning and sampling. See select.h.
 *
 * Cleaning follows "Intelligence per Watt" (arXiv 2511.07885v4, appendix B): prompts of over
 * 32,000 characters, empty ones, those without the reference their data set has, and duplicates
 * go, and what is not English where English is asked for. A row counts under the first reason that
 * applies, in the order of the counts. What is judged is the question without a preset's wording,
 * but duplicates, which must be the same in their choices too, are found by a 64-bit hash of the
 * whole prompt: among a million different prompts the chance that one is taken for another is
 * 3e-8.
 *
 * A sample holds the n rows whose ids hash lowest under the seed: no row's fate depends on its
 * place, so that rows added to the file only push out some that were in. Strata get places in
 * proportion to their rows, what is left over by the largest remainders. */
#include "workload/select.h"

#include <stdlib.h>

#include <jansson.h>

enum { MAX_CHARS = 32000, STRATA_MAX = 4096 };

/* ---- cleaning ---- */

static int64_t count_chars(const char *s)
{
    int64_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80; /* UTF-8 is checked: all but continuations */
    return n;
}

/* A text field that the record has no column for; NULL where it is missing or empty. */
static const char *extra_text(const json_t *extra, const char *name)
{
    const char *text = json_string_value(json_object_get(extra, name));
    return text && *text ? text : NULL;
}

static bool is_in_english(struct lmw_select *s, const struct lmw_record *r, const char *question)
{
    json_t *extra = r->extra ? json_loads(r->extra, 0, NULL) : NULL;
    const char *language = extra_text(extra, "language");
    bool yes = lmw_is_english(language, question);

    s->counts.language_by_words += language == NULL;
    json_decref(extra);
    return yes;
}

static int clean(struct lmw_select *s, const struct lmw_record *r, const char *question,
                 struct lmw_err *err)
{
    int64_t max = s->o->max_chars > 0 ? s->o->max_chars : MAX_CHARS;
    bool is_empty = !question || lmw_str_trim(lmw_str_from(question)).len == 0;
    int rc;

    if (s->o->clean && is_empty)
        return s->counts.empty++, 0;
    if (s->o->clean && count_chars(question) > max)
        return s->counts.too_long++, 0;
    if (s->o->english && !is_empty && !is_in_english(s, r, question))
        return s->counts.not_english++, 0;
    if (!s->o->clean)
        return 1;
    if (s->needs_reference && !r->reference)
        return s->counts.no_reference++, 0;
    rc = lmw_seen_add(&s->prompts, lmw_str_hash(lmw_str_trim(lmw_str_from(r->prompt))));
    s->counts.duplicate += rc == 0;
    return rc < 0 ? lmw_fail(err, rc, "out of memory") : rc;
}

/* ---- sampling ---- */

/* FNV-1a's last bytes hardly reach its high bits: mixed, so that order is random (the finalizer of
 * MurmurHash3, 64 bits). */
static uint64_t draw_hash(uint64_t seed, const char *id)
{
    uint64_t h = lmw_str_hash(lmw_str_from(id)) ^ (seed * 0x9e3779b97f4a7c15u);

    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

/* By a column of the record that is a text, else a field beside them; none is a stratum too. */
static uint64_t stratum_name(const struct lmw_select *s, const struct lmw_record *r)
{
    const char *field = s->o->stratify, *text = NULL;

    if (!field)
        return 0;
    for (const struct lmw_column *c = lmw_columns; c->name; c++)
        if (c->kind == LMW_COL_TEXT && strcmp(c->name, field) == 0)
            return lmw_str_hash(lmw_str_from(*(const char *const *)((const char *)r + c->offset)));
    json_t *extra = r->extra ? json_loads(r->extra, 0, NULL) : NULL;
    text = extra_text(extra, field);
    uint64_t hash = lmw_str_hash(lmw_str_from(text));
    json_decref(extra);
    return hash;
}

static struct lmw_stratum *find_stratum(struct lmw_select *s, uint64_t name)
{
    for (uint32_t i = 0; i < s->n_stratum; i++)
        if (s->stratum[i].name == name)
            return &s->stratum[i];
    return NULL;
}

static int note_draw(struct lmw_select *s, uint64_t name, uint64_t hash, struct lmw_err *err)
{
    struct lmw_stratum *t = find_stratum(s, name);

    if (!s->stratum && !(s->stratum = calloc(STRATA_MAX, sizeof(*s->stratum))))
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    if (!t && s->n_stratum == STRATA_MAX)
        return lmw_fail(err, LMW_EARG, "over %d different '%s'; is it a domain?", STRATA_MAX,
                        s->o->stratify);
    if (!t)
        *(t = &s->stratum[s->n_stratum++]) = (struct lmw_stratum){.name = name};
    if (s->n_draw == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4096;
        struct lmw_draw *more = realloc(s->draw, cap * sizeof(*more));
        if (!more)
            return lmw_fail(err, LMW_ENOMEM, "out of memory");
        s->draw = more;
        s->cap = cap;
    }
    t->n++;
    s->draw[s->n_draw++] = (struct lmw_draw){hash, (uint32_t)(t - s->stratum)};
    return 0;
}

static int by_hash(const void *a, const void *b)
{
    const struct lmw_draw *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Places in proportion: the whole part each, then one more by the largest remainder. */
static void share_places(struct lmw_select *s, int64_t places, int64_t rows)
{
    int64_t left = places;

    for (uint32_t i = 0; i < s->n_stratum; i++) {
        struct lmw_stratum *t = &s->stratum[i];
        t->n_taken = (int64_t)((__int128)places * t->n / rows);
        left -= t->n_taken;
    }
    for (; left > 0 && s->n_stratum > 0; left--) {
        struct lmw_stratum *best = s->stratum;
        __int128 most = -1;
        for (uint32_t i = 0; i < s->n_stratum; i++) {
            struct lmw_stratum *t = &s->stratum[i];
            __int128 rest = (__int128)places * t->n - (__int128)t->n_taken * rows;
            if (rest > most)
                best = t, most = rest;
        }
        best->n_taken++;
    }
}

int lmw_select_draw(struct lmw_select *s, struct lmw_err *err)
{
    int64_t rows = (int64_t)s->n_draw;

    s->is_drawn = true;
    if (rows == 0)
        return 0;
    share_places(s, s->o->sample < rows ? s->o->sample : rows, rows);
    qsort(s->draw, s->n_draw, sizeof(*s->draw), by_hash);
    for (uint32_t i = 0; i < s->n_stratum; i++)
        s->stratum[i].n = 0;
    for (size_t i = 0; i < s->n_draw; i++) {
        struct lmw_stratum *t = &s->stratum[s->draw[i].stratum];
        if (t->n++ < t->n_taken)
            t->last = s->draw[i].hash;
    }
    free(s->draw);
    s->draw = NULL;
    return 0;
}

static int sample(struct lmw_select *s, const struct lmw_record *r, struct lmw_err *err)
{
    uint64_t name = stratum_name(s, r), hash = draw_hash(s->o->seed, r->query_id);

    if (!s->is_drawn)
        return note_draw(s, name, hash, err);
    const struct lmw_stratum *t = find_stratum(s, name);
    if (t && t->n_taken > 0 && hash <= t->last)
        return 1;
    s->counts.not_sampled++;
    return 0;
}

/* ---- a row ---- */

int lmw_select_row(struct lmw_select *s, const struct lmw_record *r, const char *question,
                   struct lmw_err *err)
{
    s->counts.rows++;
    int rc = clean(s, r, question, err);
    if (rc > 0 && s->o->sample > 0 && r->query_id)
        rc = sample(s, r, err);
    s->counts.kept += rc > 0;
    return rc;
}

void lmw_select_restart(struct lmw_select *s)
{
    lmw_seen_clear(&s->prompts);
    s->counts = (struct lmw_workload_counts){0};
}

void lmw_select_free(struct lmw_select *s)
{
    lmw_seen_clear(&s->prompts);
    free(s->draw);
    free(s->stratum);
    s->draw = NULL;
    s->stratum = NULL;
}
