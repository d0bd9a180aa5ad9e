/* A study in a YAML file: models x backends x workloads x settings become a list of runs. The
 * format is docs/studies.md's.
 *
 * libyaml gives a document of nodes that know their lines; everything a run can be told is one row
 * of `fields`. A key may stand in `settings`, or in a backend's, workload's or model's own entry,
 * the later of these winning; a value that is a list makes a run of each of its elements. What the
 * file leaves open stays as in the run it is read over: the command line's.
 *
 * A value that is null leaves its field open, whatever an earlier entry said of it.
 *
 * Refuses, naming file, line and field: unknown keys (with the nearest known one), keys given
 * twice or without a value, values of the wrong kind or out of range, aliases and documents after
 * the first, and what would be more than 10,000 runs. */
#include "study/study.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/str.h"
#include "score/score.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#include <yaml.h>

enum { MAX_RUNS = 10000, MAX_BYTES = 1 << 20 };

/* --- what a run can be told --- */

enum kind {
    TEXT, /* min: its bytes, at least */
    WHOLE,
    COUNT,
    REAL,
    SINGLE,
    YES_NO,
    SECONDS,
    TRIES,
    BACKEND,
    SCORER,
    THINKING,
    PLACE,
};

struct field {
    const char *key;
    enum kind kind;
    size_t at; /* in struct lmw_study_opts */
    double min, max;
};

#define RUN(member) offsetof(struct lmw_study_opts, member)
#define OPT(member) (RUN(backend_opts) + offsetof(struct lmw_backend_opts, member))
#define ASK(member) (RUN(questions) + offsetof(struct lmw_workload_opts, member))
#define MAX_COUNT   (1 << 30)
#define MAX_WHOLE   9007199254740992.0 /* whole numbers up to here are exact as doubles */

static const struct field fields[] = {
    {"model", TEXT, OPT(model), 1},
    {"quantization", PLACE}, /* what {quantization} in `model` stands for */
    {"backend", BACKEND, RUN(backend)},
    {"workload", TEXT, RUN(workload), 1},
    {"preset", TEXT, ASK(preset)},
    {"shots", COUNT, ASK(shots), 0, 1000},
    {"shots_from", TEXT, ASK(shots_from)},
    {"cot", YES_NO, ASK(cot)},
    {"split", TEXT, ASK(split)},
    {"format", TEXT, ASK(format)},
    {"columns", TEXT, ASK(columns)},
    {"map", TEXT, ASK(map)},
    {"clean", YES_NO, ASK(clean)},
    {"english", YES_NO, ASK(english)},
    {"max_chars", WHOLE, ASK(max_chars), 0, MAX_WHOLE},
    {"sample", WHOLE, ASK(sample), 0, MAX_WHOLE},
    {"sample_seed", WHOLE, ASK(seed), -MAX_WHOLE, MAX_WHOLE},
    {"stratify", TEXT, ASK(stratify)},
    {"shuffle", WHOLE, RUN(shuffle), -MAX_WHOLE, MAX_WHOLE},
    {"scorer", SCORER, RUN(scorer)},
    {"run", TEXT, RUN(run), 1},
    {"max_queries", WHOLE, RUN(max_queries), 0, MAX_WHOLE},
    {"repeat", WHOLE, RUN(n_repeat), 1, MAX_COUNT},
    {"warm_up", COUNT, RUN(n_warm_up), 0, MAX_COUNT},
    {"pause", REAL, RUN(pause_s), 0, 3600},
    {"rate", REAL, RUN(rate_hz), 0, 1e6},
    {"constant", YES_NO, RUN(is_constant)},
    {"in_flight", COUNT, OPT(n_in_flight), 0, 4096},
    {"temperature", SINGLE, RUN(temperature), 0, 1000},
    {"top_k", COUNT, RUN(top_k), 0, MAX_COUNT},
    {"top_p", SINGLE, RUN(top_p), 1e-9, 1},
    {"min_p", SINGLE, RUN(min_p), 0, 1},
    {"seed", WHOLE, RUN(seed), -MAX_WHOLE, MAX_WHOLE},
    {"max_tokens", COUNT, OPT(max_tokens), 1, 1 << 24},
    {"thinking", THINKING, OPT(thinking)},
    {"raw", YES_NO, OPT(raw)},
    {"perplexity", YES_NO, RUN(perplexity)},
    {"logprobs", YES_NO, OPT(logprobs)},
    {"threads", COUNT, OPT(n_thread), 0, 1024},
    {"context", COUNT, OPT(n_ctx), 0, MAX_COUNT},
    {"url", TEXT, OPT(url)},
    {"api_key_env", TEXT, OPT(api_key_env)},
    {"command", TEXT, OPT(command)},
    {"system", TEXT, OPT(system)},
    {"body", TEXT, OPT(body)},
    {"unlisted", YES_NO, OPT(unlisted)},
    {"connect_seconds", SECONDS, OPT(connect_ns), 0, 86400},
    {"first_token_seconds", SECONDS, OPT(first_token_ns), 0, 86400},
    {"total_seconds", SECONDS, OPT(total_ns), 0, 86400},
    {"retries", TRIES, OPT(n_retry), 0, 100},
};
enum { N_FIELD = sizeof fields / sizeof *fields, QUANTIZATION = 1 };

/* Of the study itself. */
static const char *const top_keys[] = {
    "name",       "models",       "backends",      "workloads",      "settings", "meter",
    "interleave", "idle_seconds", "require_quiet", "require_energy", "prices",   NULL};

struct lmw_study_file {
    struct lmw_arena arena; /* every string and run */
    struct lmw_study study;
    struct lmw_study_opts *runs;
};

/* --- the document --- */

struct reader {
    const char *path;
    yaml_document_t doc;
    struct lmw_study_file *file;
    const struct lmw_study_opts *base;
    struct lmw_err *err;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct reader *r, const yaml_node_t *at,
                                                        const char *fmt, ...)
{
    char what[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return lmw_fail(r->err, LMW_EFORMAT, "%s:%zu: %s", r->path, at->start_mark.line + 1, what);
}

static const char *text_of(const yaml_node_t *n)
{
    return n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

/* Nothing was said, and on purpose. */
static bool is_null(const yaml_node_t *n)
{
    static const char *const words[] = {"~", "null", "Null", "NULL", NULL};
    return n && text_of(n) && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           lmw_str_among(lmw_str_from(text_of(n)), words);
}

/* A key with nothing behind it may be one that somebody forgot to finish. */
static bool is_missing(const yaml_node_t *n)
{
    return text_of(n) && !*text_of(n) && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static const char *nearest(const char *key, bool top)
{
    struct lmw_nearest near = lmw_nearest_to(key);

    for (int i = 0; top ? top_keys[i] != NULL : i < N_FIELD; i++)
        lmw_nearest_try(&near, top ? top_keys[i] : fields[i].key);
    return near.best;
}

static int find_field(const char *key)
{
    for (int i = 0; i < N_FIELD; i++) {
        if (key && strcmp(fields[i].key, key) == 0)
            return i;
    }
    return -1;
}

static int unknown_key(struct reader *r, const yaml_node_t *at, bool top)
{
    const char *key = text_of(at), *like = key ? nearest(key, top) : NULL;
    if (!key)
        return refuse(r, at, "a key must be a word");
    if (!top && lmw_str_among(lmw_str_from(key), top_keys))
        return refuse(r, at, "'%.60s' stands beside `models`, for all of the study", key);
    if (!like && top && find_field(key) >= 0)
        return refuse(r, at, "'%.60s' belongs under `settings`, or into a model's entry", key);
    return refuse(r, at, "'%.60s' is no field%s%s%s (docs/studies.md lists them)", key,
                  like ? ": did you mean '" : "", like ? like : "", like ? "'?" : "");
}

/* --- values --- */

static int wrong(struct reader *r, const yaml_node_t *at, const struct field *f)
{
    static const char *const takes[] = {
        [TEXT] = "a text",     [WHOLE] = "a whole number", [COUNT] = "a whole number",
        [REAL] = "a number",   [SINGLE] = "a number",      [YES_NO] = "true or false",
        [SECONDS] = "seconds", [TRIES] = "a whole number", [BACKEND] = "a backend",
        [SCORER] = "a scorer", [PLACE] = "a text",         [THINKING] = "on, off or default",
    };
    const char *got = text_of(at);
    if (f->max > f->min)
        return refuse(r, at, "%s takes %s, %.16g to %.16g, not %s%.60s%s", f->key, takes[f->kind],
                      f->min, f->max, got ? "'" : "", got ? got : "a list or mapping",
                      got ? "'" : "");
    return refuse(r, at, "%s takes %s, not %s%.60s%s", f->key, takes[f->kind], got ? "'" : "",
                  got ? got : "a list or mapping", got ? "'" : "");
}

static bool number(const char *text, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return end != text && !*end && !errno && isfinite(*out);
}

/* Beyond 2^53 a double is not the number that was written. */
static bool is_exact(const char *text, double x)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    return *end || (!errno && v == (long long)x);
}

static int set_number(struct reader *r, const yaml_node_t *at, const struct field *f, void *to)
{
    double x;
    bool whole = f->kind == WHOLE || f->kind == COUNT || f->kind == TRIES;
    if (!number(text_of(at), &x) || x < f->min || x > f->max ||
        (whole && (x != floor(x) || !is_exact(text_of(at), x))))
        return wrong(r, at, f);
    switch (f->kind) {
    case WHOLE: *(int64_t *)to = (int64_t)x; break;
    case COUNT: *(int *)to = (int)x; break;
    case TRIES: *(int *)to = x > 0 ? (int)x : -1; break; /* 0 would be the default */
    case SINGLE: *(float *)to = (float)x; break;
    case SECONDS: *(int64_t *)to = (int64_t)(x * 1e9); break;
    default: *(double *)to = x; break;
    }
    return LMW_OK;
}

static int one_of(struct reader *r, const yaml_node_t *at, const struct field *f,
                  const char *const *words)
{
    for (int i = 0; words[i]; i++) {
        if (strcasecmp(text_of(at), words[i]) == 0) /* YAML knows True and ON, too */
            return i;
    }
    return wrong(r, at, f);
}

static int set_text(struct reader *r, const yaml_node_t *at, const struct field *f,
                    const char **to)
{
    lmw_str text = {text_of(at), at->data.scalar.length};
    if ((double)text.len < f->min)
        return wrong(r, at, f);
    if (memchr(text.ptr, 0, text.len))
        return refuse(r, at, "a text with a NUL in it");
    *to = lmw_arena_str(&r->file->arena, text);
    return *to ? LMW_OK : lmw_fail(r->err, LMW_ENOMEM, "%s: too large", r->path);
}

static int set_backend(struct reader *r, const yaml_node_t *at, struct lmw_study_opts *run)
{
    struct lmw_err why = {0};
    int rc = lmw_backend_find(text_of(at), &run->backend, &why);
    return rc == LMW_OK ? rc : refuse(r, at, "backend: %.300s", why.msg);
}

static int set_scorer(struct reader *r, const yaml_node_t *at, const struct field *f,
                      const char **to)
{
    struct lmw_err why = {0};
    if (strcmp(text_of(at), "none") != 0 && !lmw_scorer_find(text_of(at), &why))
        return refuse(r, at, "scorer: %.300s", why.msg);
    return set_text(r, at, f, to);
}

static int set_value(struct reader *r, const yaml_node_t *at, const struct field *f,
                     struct lmw_study_opts *run)
{
    static const char *const yes_no[] = {"false", "true", NULL};
    static const char *const thinking[] = {[LMW_THINKING_DEFAULT] = "default",
                                           [LMW_THINKING_ON] = "on",
                                           [LMW_THINKING_OFF] = "off",
                                           NULL};
    void *to = (char *)run + f->at;
    int i;
    if (is_missing(at))
        return refuse(r, at, "%s has no value: leave it out, or write null", f->key);
    if (!text_of(at))
        return wrong(r, at, f);
    switch (f->kind) {
    case TEXT: return set_text(r, at, f, to);
    case SCORER: return set_scorer(r, at, f, to);
    case BACKEND: return set_backend(r, at, run);
    case PLACE: return LMW_OK;
    case YES_NO:
        if ((i = one_of(r, at, f, yes_no)) >= 0)
            *(bool *)to = i;
        return i < 0 ? i : LMW_OK;
    case THINKING:
        if ((i = one_of(r, at, f, thinking)) >= 0)
            *(enum lmw_thinking *)to = (enum lmw_thinking)i;
        return i < 0 ? i : LMW_OK;
    default: return set_number(r, at, f, to);
    }
}

/* --- entries --- */

/* Where each field's value stands, of one combination of entries; NULL: nowhere. */
struct choice {
    const yaml_node_t *value[N_FIELD];
};

static bool is_twice(struct reader *r, const yaml_node_t *map, const yaml_node_pair_t *p)
{
    const char *key = text_of(yaml_document_get_node(&r->doc, p->key));
    for (const yaml_node_pair_t *q = map->data.mapping.pairs.start; key && q < p; q++) {
        const char *before = text_of(yaml_document_get_node(&r->doc, q->key));
        if (before && strcmp(before, key) == 0)
            return true;
    }
    return false;
}

/* An entry, a mapping or just its main field's value, over what was chosen before. */
static int choose(struct reader *r, const yaml_node_t *entry, const char *main_key,
                  struct choice *c)
{
    if (entry->type == YAML_SCALAR_NODE && main_key) {
        c->value[find_field(main_key)] = entry;
        return LMW_OK;
    }
    if (entry->type != YAML_MAPPING_NODE)
        return refuse(r, entry, "%s are words or mappings", main_key ? main_key : "settings");
    for (const yaml_node_pair_t *p = entry->data.mapping.pairs.start;
         p < entry->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
        int i = find_field(text_of(key));
        if (i < 0)
            return unknown_key(r, key, false);
        if (is_twice(r, entry, p))
            return refuse(r, key, "%s is given twice", text_of(key));
        c->value[i] = yaml_document_get_node(&r->doc, p->value);
    }
    return LMW_OK;
}

static int n_values(const yaml_node_t *v)
{
    if (!v || v->type != YAML_SEQUENCE_NODE)
        return 1;
    return (int)(v->data.sequence.items.top - v->data.sequence.items.start);
}

static const yaml_node_t *value_at(struct reader *r, const yaml_node_t *v, int i)
{
    return v->type == YAML_SEQUENCE_NODE
               ? yaml_document_get_node(&r->doc, v->data.sequence.items.start[i])
               : v;
}

/* {quantization} in the model's name. */
static int put_quantization(struct reader *r, struct lmw_study_opts *run, const yaml_node_t *value)
{
    const char *place = "{quantization}", *name = run->backend_opts.model;
    const char *at = name ? strstr(name, place) : NULL;
    struct lmw_buf b = {0};
    if (!value || !text_of(value))
        return LMW_OK;
    if (!at)
        return refuse(r, value, "quantization stands for %s in the model's name, which has none",
                      place);
    lmw_buf_printf(&b, "%.*s%s%s", (int)(at - name), name, text_of(value), at + strlen(place));
    run->backend_opts.model = lmw_arena_str(&r->file->arena, (lmw_str){b.ptr, b.len});
    lmw_buf_free(&b);
    return run->backend_opts.model ? LMW_OK
                                   : lmw_fail(r->err, LMW_ENOMEM, "%s: too large", r->path);
}

/* The k-th combination of the values that are lists; the last of them changes fastest. */
static int make_run(struct reader *r, const struct choice *c, int k)
{
    struct lmw_study_opts run = *r->base;
    const yaml_node_t *quantization = NULL;
    int rc = LMW_OK;
    for (int i = N_FIELD - 1; i >= 0 && rc == LMW_OK; i--) {
        if (!c->value[i])
            continue;
        int n = n_values(c->value[i]);
        const yaml_node_t *v = value_at(r, c->value[i], k % n);
        k /= n;
        if (is_null(v))
            continue;
        if (i == QUANTIZATION)
            quantization = v;
        rc = set_value(r, v, &fields[i], &run);
    }
    if (rc == LMW_OK && (rc = put_quantization(r, &run, quantization)) == LMW_OK)
        r->file->runs[r->file->study.n_run++] = run;
    return rc;
}

static int make_runs(struct reader *r, const struct choice *c)
{
    int n = 1, rc = LMW_OK;
    for (int i = 0; i < N_FIELD; i++) {
        if (!c->value[i])
            continue;
        if (n_values(c->value[i]) == 0)
            return refuse(r, c->value[i], "%s: an empty list makes no run", fields[i].key);
        if (n_values(c->value[i]) > (MAX_RUNS - r->file->study.n_run) / n)
            return refuse(r, c->value[i], "these are more than %d runs", MAX_RUNS);
        n *= n_values(c->value[i]);
    }
    for (int k = 0; k < n && rc == LMW_OK; k++)
        rc = make_run(r, c, k);
    return rc;
}

/* --- the study --- */

struct lists {
    const yaml_node_t *name, *models, *backends, *workloads, *settings;
};

/* The i-th entry of a list, or of one that stands alone; NULL past the end, or where the list is
 * not there and i is 0. */
static bool entry_at(struct reader *r, const yaml_node_t *list, int i, const yaml_node_t **out)
{
    *out = list ? value_at(r, list, i < n_values(list) ? i : 0) : NULL;
    return i < n_values(list);
}

static const struct lmw_study_opts *last_run(const struct reader *r)
{
    return &r->file->runs[r->file->study.n_run - 1];
}

static int combine(struct reader *r, const struct lists *l)
{
    const yaml_node_t *m, *b, *w;
    int rc = LMW_OK;
    for (int i = 0; rc == LMW_OK && entry_at(r, l->models, i, &m); i++) {
        for (int j = 0; rc == LMW_OK && entry_at(r, l->backends, j, &b); j++) {
            for (int k = 0; rc == LMW_OK && entry_at(r, l->workloads, k, &w); k++) {
                struct choice c = {{0}};
                if ((l->settings && (rc = choose(r, l->settings, NULL, &c)) < 0) ||
                    (b && (rc = choose(r, b, "backend", &c)) < 0) ||
                    (w && (rc = choose(r, w, "workload", &c)) < 0) ||
                    (rc = choose(r, m, "model", &c)) < 0)
                    return rc;
                rc = make_runs(r, &c);
                if (rc == LMW_OK && !last_run(r)->backend_opts.model)
                    rc = refuse(r, m, "this entry of `models` names no model");
            }
        }
    }
    return rc;
}

/* A value of the study itself: read like a run's, then moved to its place. */
static int read_top_value(struct reader *r, const char *key, const yaml_node_t *v)
{
    struct lmw_study *s = &r->file->study;
    struct lmw_study_opts run = {0};
    const struct field known[] = {
        {"meter", TEXT, RUN(scorer)},
        {"interleave", WHOLE, RUN(max_queries), 0, MAX_WHOLE},
        {"idle_seconds", REAL, RUN(pause_s), 0, 3600},
        {"require_quiet", YES_NO, RUN(is_constant)},
        {"require_energy", YES_NO, RUN(perplexity)},
        {"prices", TEXT, RUN(run)},
    };
    int i = 0, rc;
    while (strcmp(known[i].key, key) != 0)
        i++;
    if ((rc = set_value(r, v, &known[i], &run)) < 0)
        return rc;
    switch (i) {
    case 0: s->meter.sources = run.scorer; break;
    case 1: s->interleave = run.max_queries; break;
    case 2: s->idle_s = run.pause_s; break;
    case 3: s->require_quiet = run.is_constant; break;
    case 4: s->require_energy = run.perplexity; break;
    default: s->prices = run.run;
    }
    return LMW_OK;
}

static int read_top(struct reader *r, const yaml_node_t *root, struct lists *l)
{
    int rc = LMW_OK;
    for (const yaml_node_pair_t *p = root->data.mapping.pairs.start;
         p < root->data.mapping.pairs.top && rc == LMW_OK; p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
        const yaml_node_t *v = yaml_document_get_node(&r->doc, p->value);
        const char *k = text_of(key);
        const yaml_node_t **const lists[] = {&l->name, &l->models, &l->backends, &l->workloads,
                                             &l->settings};
        int i = 0;
        while (top_keys[i] && !(k && strcmp(k, top_keys[i]) == 0))
            i++;
        if (!top_keys[i])
            return unknown_key(r, key, true);
        if (is_twice(r, root, p))
            return refuse(r, key, "%s is given twice", k);
        if (is_missing(v))
            return refuse(r, key, "%s has no value: leave it out, or write null", k);
        if (is_null(v))
            continue;
        if (i < 5)
            *lists[i] = v;
        else
            rc = read_top_value(r, k, v);
    }
    return rc;
}

/* Runs are NAME/{model}-{workload}-{hash} unless they say otherwise. */
static int name_runs(struct reader *r, const struct lists *l)
{
    const char *name = l->name ? text_of(l->name) : NULL;
    struct lmw_buf b = {0};
    if (!l->name)
        return LMW_OK;
    if (!name || !*name || strlen(name) > 60)
        return refuse(r, l->name, "name takes a word of up to 60 bytes");
    lmw_buf_printf(&b, "%s/{model}-{workload}-{hash}", name);
    const char *pattern = lmw_arena_str(&r->file->arena, (lmw_str){b.ptr, b.len});
    lmw_buf_free(&b);
    for (int i = 0; i < r->file->study.n_run && pattern; i++) {
        if (!r->file->runs[i].run)
            r->file->runs[i].run = pattern;
    }
    return pattern ? LMW_OK : lmw_fail(r->err, LMW_ENOMEM, "%s: too large", r->path);
}

static int read_study(struct reader *r)
{
    struct lists l = {0};
    const yaml_node_t *root = yaml_document_get_root_node(&r->doc);
    if (!root)
        return lmw_fail(r->err, LMW_EFORMAT, "%s: an empty study", r->path);
    if (root->type != YAML_MAPPING_NODE)
        return refuse(r, root, "a study is a mapping: name, models, workloads, settings, ...");
    int rc = read_top(r, root, &l);
    if (rc < 0)
        return rc;
    if (!l.models || n_values(l.models) == 0)
        return refuse(r, root, "a study needs `models`");
    r->file->runs = LMW_NEW(&r->file->arena, struct lmw_study_opts, MAX_RUNS);
    if (!r->file->runs)
        return lmw_fail(r->err, LMW_ENOMEM, "%s: no memory for a study", r->path);
    r->file->study.runs = r->file->runs;
    if ((rc = combine(r, &l)) < 0 || (rc = name_runs(r, &l)) < 0)
        return rc;
    bool has_all = r->file->study.n_run > 0;
    for (int i = 0; i < r->file->study.n_run; i++)
        has_all &= r->file->runs[i].workload != NULL;
    return has_all ? LMW_OK : refuse(r, root, "a study needs `workloads`");
}

/* --- the file --- */

/* libyaml resolves aliases, so that a short file can be a long study; none is needed here. */
static int refuse_aliases(const char *path, lmw_str text, struct lmw_err *err)
{
    yaml_parser_t parser;
    yaml_event_t event;
    int rc = LMW_OK, n_document = 0;
    bool done = false;
    if (!yaml_parser_initialize(&parser))
        return lmw_fail(err, LMW_ENOMEM, "%s: no memory to read it", path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    while (!done && rc == LMW_OK && yaml_parser_parse(&parser, &event)) {
        done = event.type == YAML_STREAM_END_EVENT;
        size_t line = event.start_mark.line + 1;
        if (event.type == YAML_ALIAS_EVENT)
            rc = lmw_fail(err, LMW_EFORMAT, "%s:%zu: aliases (*name) are not read", path, line);
        if (event.type == YAML_DOCUMENT_START_EVENT && ++n_document > 1)
            rc = lmw_fail(err, LMW_EFORMAT, "%s:%zu: a second document", path, line);
        yaml_event_delete(&event);
    }
    if (rc == LMW_OK && !done)
        rc = lmw_fail(err, LMW_EFORMAT, "%s:%zu: %s%s%s", path, parser.problem_mark.line + 1,
                      parser.context ? parser.context : "", parser.context ? ": " : "",
                      parser.problem ? parser.problem : "no YAML");
    yaml_parser_delete(&parser);
    return rc;
}

static int load(struct reader *r, lmw_str text)
{
    yaml_parser_t parser;
    int rc = refuse_aliases(r->path, text, r->err);
    if (rc < 0)
        return rc;
    if (!yaml_parser_initialize(&parser))
        return lmw_fail(r->err, LMW_ENOMEM, "%s: no memory to read it", r->path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    if (yaml_parser_load(&parser, &r->doc)) {
        rc = read_study(r);
        yaml_document_delete(&r->doc);
    } else {
        rc = lmw_fail(r->err, LMW_EFORMAT, "%s:%zu: %s", r->path, parser.problem_mark.line + 1,
                      parser.problem ? parser.problem : "no YAML");
    }
    yaml_parser_delete(&parser);
    return rc;
}

int lmw_study_read_bytes(struct lmw_study_file **out, lmw_str bytes, const char *path,
                         const struct lmw_study *base, struct lmw_err *err)
{
    struct lmw_study_file *f = calloc(1, sizeof *f);
    struct reader r = {.path = path, .file = f, .base = base->runs, .err = err};
    *out = NULL;
    if (!f)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a study");
    f->study = *base;
    f->study.n_run = 0;
    size_t cap = MAX_RUNS * (sizeof *f->runs + 4096) + 16 * MAX_BYTES;
    int rc = lmw_arena_open(&f->arena, cap, err);
    if (rc == LMW_OK)
        rc = load(&r, bytes);
    if (rc == LMW_OK)
        *out = f;
    else
        lmw_study_close(f);
    return rc;
}

int lmw_study_read(struct lmw_study_file **out, const char *path, const struct lmw_study *base,
                   struct lmw_err *err)
{
    struct lmw_buf text = {0};
    *out = NULL;
    int rc = lmw_file_read(path, MAX_BYTES, &text, err);
    if (rc == LMW_OK)
        rc = lmw_study_read_bytes(out, (lmw_str){text.ptr ? text.ptr : "", text.len}, path, base,
                                  err);
    lmw_buf_free(&text);
    return rc;
}

const struct lmw_study *lmw_study_of(const struct lmw_study_file *f)
{
    return &f->study;
}

void lmw_study_close(struct lmw_study_file *f)
{
    if (f)
        lmw_arena_close(&f->arena);
    free(f);
}
