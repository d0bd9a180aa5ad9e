/* What a study settles before it measures: what is in the workload and the model files, which
 * settings that makes, and what the run is called.
 *
 * The settings of a run are everything that could change an answer, its time or its joules:
 * file contents (by hash), sampling, limits, threads, instruction set, scorer, meter, machine.
 * Their hash (FNV-1a over the JSON with sorted keys) keeps records of different settings apart.
 * How many queries and repeats are asked is not among them: asking more continues a run. */
#include "study/plan.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The file's name without folders and without `suffix`, as far as it fits. */
static void stem(const char *path, const char *suffix, char *out, size_t cap)
{
    const char *slash = strrchr(path, '/');
    lmw_str name = lmw_str_stem(lmw_str_from(slash ? slash + 1 : path), suffix);
    name = lmw_utf8_cut(name, cap - 1);
    snprintf(out, cap, "%.*s", LMW_FMT(name));
}

static void hex(uint64_t h, char out[20])
{
    snprintf(out, 20, "%016" PRIx64, h);
}

/* What the data set's rows say, where nobody chose. "judge" is no scorer: that is for later. */
static const struct lmw_scorer *default_scorer(const struct lmw_record *q)
{
    json_t *extra = q->extra ? json_loads(q->extra, 0, NULL) : NULL;
    const char *name = json_string_value(json_object_get(extra, "default_scorer"));
    const struct lmw_scorer *s = name ? lmw_scorer_find(name, NULL) : NULL;
    json_decref(extra);
    return s;
}

const struct lmw_scorer *lmw_plan_scorer(const struct plan *p, const struct lmw_record *q)
{
    return p->scored_by_row ? default_scorer(q) : p->scorer;
}

/* A query whose reference the scorer cannot use would count as wrong whatever the answer is:
 * better said before anything is measured. */
static int check_reference(const struct plan *p, const struct lmw_record *q, struct lmw_err *err)
{
    const struct lmw_scorer *scorer = p->opts->scorer ? p->scorer : default_scorer(q);
    struct lmw_score score;
    if (!scorer)
        return LMW_OK;
    lmw_score(scorer, "", q->reference, q->choices, &score);
    return !score.bad_reference
               ? LMW_OK
               : lmw_fail(err, LMW_EFORMAT,
                          "%s: query '%s': %s: the scorer '%s' needs a `reference` it can compare "
                          "with; with --scorer none it is measured unscored",
                          p->opts->workload, q->query_id, score.reason, scorer->name);
}

/* Of rows that name different scorers (a data set of many tasks) each goes by its own. */
static void note_scorer(struct plan *p, const struct lmw_record *q)
{
    if (p->opts->scorer)
        return;
    const struct lmw_scorer *own = default_scorer(q);
    if (p->n_row == 0)
        p->scorer = own;
    p->scored_by_row |= own != p->scorer;
}

static int read_workload(struct plan *p, struct lmw_workload *w, struct lmw_arena scratch,
                         struct lmw_err *err)
{
    struct lmw_workload_counts counts;
    struct lmw_record q;
    int rc;
    for (struct lmw_arena one = scratch; (rc = lmw_workload_next(w, &q, &one, err)) == 1;
         one = scratch) {
        note_scorer(p, &q);
        if ((rc = check_reference(p, &q, err)) < 0)
            return rc;
        p->n_row++;
    }
    lmw_workload_counts(w, &counts);
    if (rc == 0 && p->n_row == 0)
        return lmw_fail(err, LMW_EARG, "%s has no queries%s", p->opts->workload,
                        counts.rows > 0 ? ": all were dropped (`lmwatt workload check` says why)"
                                        : "");
    return rc;
}

int lmw_plan_workload(struct plan *p, const struct study *st, struct lmw_err *err)
{
    const struct lmw_study_opts *o = p->opts;
    struct lmw_workload *w = NULL;
    bool named = o->scorer && strcmp(o->scorer, "none") != 0;
    if (named && !(p->scorer = lmw_scorer_find(o->scorer, err)))
        return LMW_EARG;
    int rc = lmw_workload_open_as(&w, o->workload, &o->questions, err);
    if (rc >= 0)
        rc = read_workload(p, w, st->scratch, err);
    if (rc >= 0) {
        stem(o->workload, ".jsonl", p->workload_name, sizeof p->workload_name);
        hex(lmw_workload_hash(w), p->workload_hash);
    }
    lmw_workload_close(w);
    return rc;
}

int lmw_plan_open(const struct plan *p, struct lmw_workload **out, struct lmw_err *err)
{
    const struct lmw_study_opts *o = p->opts;
    int rc = lmw_workload_open_as(out, o->workload, &o->questions, err);
    if (rc < 0 || !o->shuffle)
        return rc;
    if ((rc = lmw_workload_shuffle(*out, (uint64_t)o->shuffle, err)) < 0) {
        lmw_workload_close(*out);
        *out = NULL;
    }
    return rc;
}

/* What the joules rest on beside the rails' names: the watts of an estimate, the recording that is
 * replayed. */
static const char *power_model(const struct study *st)
{
    const char *asked = st->asked->meter.sources;
    for (int i = 0; i < lmw_meter_n_source(st->meter); i++) {
        const struct lmw_source_info *s = lmw_meter_source(st->meter, i);
        if (s->chosen && s->reading == LMW_ESTIMATE)
            return s->about;
    }
    return asked && strstr(asked, "replay:") ? asked : "";
}

/* A file is what is in it; of a server or a program only its name is known, and what it was
 * told. */
static json_t *model_json(const struct plan *p)
{
    return p->file_bytes == LMW_NULL
               ? json_pack("{s:s}", "name", p->opts->backend_opts.model)
               : json_pack("{s:s, s:s, s:I}", "file", p->model_name, "hash", p->model_hash,
                           "bytes", (json_int_t)p->file_bytes);
}

static const char *scorer_name(const struct plan *p)
{
    return p->scored_by_row ? "by row" : p->scorer ? p->scorer->name : "none";
}

static void put_url(json_t *settings, const char *text)
{
    struct lmw_buf url = {0};
    lmw_without_password(text, &url);
    json_object_set_new(settings, "url", json_string(url.ptr ? url.ptr : ""));
    lmw_buf_free(&url);
}

void lmw_plan_put_told(json_t *settings, const struct lmw_backend_opts *b)
{
    static const char *const thinking[] = {NULL, "on", "off"};
    const struct {
        const char *key, *value;
    } told[] = {{"command", b->command},
                {"system", b->system},
                {"body", b->body},
                {"thinking", thinking[b->thinking]}};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (told[i].value)
            json_object_set_new(settings, told[i].key, json_string(told[i].value));
    if (b->url)
        put_url(settings, b->url);
}

/* What is added after a setting became possible stays out while it has the value it had before:
 * the runs of older programs go on. */
static void put_later(json_t *settings, const struct plan *p)
{
    const struct lmw_study_opts *o = p->opts;
    if (o->pause_s > 0)
        json_object_set_new(settings, "pause_s", json_real(o->pause_s));
    if (o->shuffle)
        json_object_set_new(settings, "shuffle", json_integer(o->shuffle));
    if (o->backend->model_is_name && o->backend_opts.logprobs) /* embedded tells them anyway */
        json_object_set_new(settings, "logprobs", json_true());
    if (p->n_slot > 1)
        json_object_set_new(settings, "in_flight", json_integer(p->n_slot));
    if (o->rate_hz > 0) {
        json_object_set_new(settings, "rate_hz", json_real(o->rate_hz));
        json_object_set_new(settings, "arrivals",
                            json_string(o->is_constant ? "constant" : "poisson"));
    }
}

static json_t *settings_json(const struct plan *p, const struct study *st)
{
    const struct lmw_study_opts *o = p->opts;
    const struct lmw_backend_opts *b = &o->backend_opts;
    json_t *settings = json_pack(
        "{s:o, s:{s:s, s:s}, s:s, s:i, s:i, s:I, s:b, s:i, s:f, s:f, s:f, s:i, s:I,"
        " s:s, s:s, s:s, s:s}",
        "model", model_json(p),                                                          /**/
        "workload", "file", p->workload_name, "hash", p->workload_hash,                  /**/
        "backend", o->backend->name,                                                     /**/
        "threads", b->n_thread > 0 ? b->n_thread : lmw_cpu_count(), "context", b->n_ctx, /**/
        "cpu_flags", (json_int_t)(b->cpu_mask & lmw_cpu_flags()), "raw", b->raw,         /**/
        "max_tokens", b->max_tokens, "temperature", (double)o->temperature + 0,  /* -0 is 0 */
        "top_p", (double)o->top_p, "min_p", (double)o->min_p, "top_k", o->top_k, /**/
        "seed", (json_int_t)o->seed, "scorer", scorer_name(p),                   /**/
        "meter", lmw_meter_basis(st->meter), "power_model", power_model(st),     /**/
        "machine", st->machine);
    if (settings) {
        put_later(settings, p);
        lmw_plan_put_told(settings, b);
    }
    return settings;
}

static char *dump_and_free(json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(j);
    return text;
}

static int make_name(struct plan *p, struct lmw_err *err)
{
    const struct {
        const char *key, *value;
        int n; /* bytes of it, at most */
    } parts[] = {
        {"{model}", p->model_name, 64},
        {"{workload}", p->workload_name, 64},
        {"{hash}", p->settings_hash, 6},
    };
    const char *c = p->opts->run ? p->opts->run : "{model}-{workload}-{hash}";
    struct lmw_buf b = {0};
    while (*c) {
        size_t i = 0;
        while (i < 3 && !lmw_str_starts(lmw_str_from(c), parts[i].key))
            i++;
        lmw_buf_printf(&b, "%.*s", i < 3 ? parts[i].n : 1, i < 3 ? parts[i].value : c);
        c += i < 3 ? strlen(parts[i].key) : 1;
    }
    bool fits = !b.failed && b.len < sizeof p->name;
    snprintf(p->name, sizeof p->name, "%s", fits && b.ptr ? b.ptr : "");
    lmw_buf_free(&b);
    return fits ? LMW_OK
                : lmw_fail(err, LMW_EARG, "a run's name has up to %zu bytes, not '%.60s...'",
                           sizeof p->name - 1, p->opts->run);
}

/* The runs of a study often share their model, too. */
static int hash_model(struct plan *p, const struct study *st, struct lmw_err *err)
{
    const char *path = p->opts->backend_opts.model;
    uint64_t h;
    p->file_bytes = LMW_NULL;
    if (p->opts->backend->model_is_name)
        return LMW_OK;
    for (const struct plan *q = st->plans; q < p; q++) {
        if (q->file_bytes != LMW_NULL && strcmp(q->opts->backend_opts.model, path) == 0) {
            memcpy(p->model_hash, q->model_hash, sizeof p->model_hash);
            p->file_bytes = q->file_bytes;
            return LMW_OK;
        }
    }
    int rc = lmw_file_hash(path, &h, &p->file_bytes, err);
    if (rc == LMW_OK)
        hex(h, p->model_hash);
    return rc;
}

int lmw_plan_make(struct plan *p, const struct study *st, struct lmw_err *err)
{
    const char *path = p->opts->backend_opts.model;
    int rc = hash_model(p, st, err);
    if (rc < 0)
        return rc;
    stem(path, ".gguf", p->model_name, sizeof p->model_name);
    p->settings = dump_and_free(settings_json(p, st));
    if (!p->settings)
        return lmw_fail(err, LMW_ENOMEM,
                        "%s: cannot write the settings of its run as JSON: is its "
                        "name UTF-8?",
                        path);
    hex(lmw_str_hash(lmw_str_from(p->settings)), p->settings_hash);
    return make_name(p, err);
}

int lmw_plan_environment(struct plan *p, const struct study *st, struct lmw_err *err)
{
    p->environment = dump_and_free(lmw_environment(p, st));
    return p->environment ? LMW_OK : lmw_fail(err, LMW_ENOMEM, "no memory for a study");
}

void lmw_plan_free(struct plan *p)
{
    free(p->settings);
    free(p->environment);
    *p = (struct plan){0};
}
