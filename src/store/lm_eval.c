/* samples_TASK_DATE.jsonl of EleutherAI/lm-evaluation-harness (`--log_samples`): a question and
 * its answer a line.
 *
 * Its fields, by its evaluator (lm_eval/evaluator.py and loggers/evaluation_tracker.py, v0.4):
 * doc_id, doc, target, arguments (of each request: a list, later {"gen_args_0": {"arg_0": prompt,
 * "arg_1": ...}}), resps and filtered_resps (a list a request), filter, metrics (names, since
 * v0.4.4) and each metric under its name, doc_hash, prompt_hash, target_hash.
 *
 * A question is there once for each filter, and its number is one of its task alone: another
 * model, task or filter is another part. The score is the first
 * metric of PREFERRED that is there, else the first named in `metrics` that lies in 0..1. The
 * answer is what the model wrote before any filter; where it only rated choices (loglikelihood),
 * the one it rated highest. The task is in the file's name alone, the model in the folder's
 * (org__model). */
#include "store/foreign.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const preferred[] = {"exact_match", "acc", "acc_norm", "pass@1", "em",
                                        "f1",          "mc1", "mc2",      NULL};

bool lmw_is_lm_eval(const struct lmw_json_value *o)
{
    struct lmw_json_value v;
    return lmw_foreign_at(o, &v, "doc_id", NULL) &&
           (lmw_foreign_at(o, &v, "filtered_resps", NULL) || lmw_foreign_at(o, &v, "resps", NULL));
}

/* "samples_mmlu_law_2024-08-07T12-34-56.789.jsonl" is mmlu_law. */
static const char *task_of(const struct feed *s, struct lmw_arena *arena)
{
    const char *from = s->name, *end = strstr(from, ".json");
    if (strncmp(from, "samples_", 8) != 0)
        return NULL;
    from += 8;
    for (const char *date = strchr(from, '_'); date; date = strchr(date + 1, '_')) {
        if (strspn(date + 1, "0123456789") == 4 && date[5] == '-') {
            end = date;
            break;
        }
    }
    size_t n = end ? (size_t)(end - from) : strlen(from);
    return n ? lmw_arena_str(arena, (lmw_str){from, n}) : NULL;
}

/* "meta-llama__Llama-3.1-8B" is meta-llama/Llama-3.1-8B. */
static const char *model_of(const struct feed *s, struct lmw_arena *arena)
{
    const char *mark = strstr(s->folder, "__");
    if (!mark)
        return NULL;
    char *name = lmw_arena_str(arena, lmw_str_from(s->folder)), *at = name + (mark - s->folder);
    if (!name)
        return NULL;
    *at = '/';
    memmove(at + 1, at + 2, strlen(at + 2) + 1);
    return name;
}

/* --- what was asked --- */

/* Argument `k` of request `i`, however they are written. */
static bool argument(const struct lmw_json_value *o, int i, int k, struct lmw_json_value *out)
{
    char request[24], arg[16];
    struct lmw_json_value all;
    snprintf(request, sizeof request, "gen_args_%d", i);
    snprintf(arg, sizeof arg, "arg_%d", k);
    if (!lmw_foreign_at(o, &all, "arguments", NULL))
        return false;
    if (all.kind == LMW_JSON_OBJECT)
        return lmw_foreign_at(&all, out, request, arg, NULL);
    return lmw_json_item(&all, i, out) && lmw_json_item(out, k, out);
}

/* A prompt: a text, or a list that holds one (a chat as JSON). */
static const char *prompt_of(const struct lmw_json_value *o, struct lmw_arena *arena)
{
    struct lmw_json_value v;
    if (!argument(o, 0, 0, &v))
        return NULL;
    if (v.kind == LMW_JSON_ARRAY)
        lmw_json_item(&v, 0, &v);
    return lmw_foreign_text(&v, arena);
}

static const char *domain_of(const struct lmw_json_value *o, struct lmw_arena *arena)
{
    static const char *const names[] = {"category", "subject", "domain", "subset"};
    struct lmw_json_value v;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (lmw_foreign_at(o, &v, "doc", names[i], NULL) && v.kind == LMW_JSON_STRING)
            return lmw_json_copy(&v, arena);
    }
    return NULL;
}

/* --- what came back --- */

/* The first text in lists of lists. */
static const char *first_text(struct lmw_json_value v, struct lmw_arena *arena)
{
    while (v.kind == LMW_JSON_ARRAY && lmw_json_item(&v, 0, &v))
        ;
    return v.kind == LMW_JSON_STRING ? lmw_json_copy(&v, arena) : NULL;
}

/* A log-likelihood is a number, or (since all is logged as texts) a number in quotes. */
static double likelihood(struct lmw_json_value v)
{
    while (v.kind == LMW_JSON_ARRAY && lmw_json_item(&v, 0, &v))
        ;
    char text[40] = "", *end;
    if (v.kind != LMW_JSON_STRING)
        return lmw_foreign_real(&v);
    if (v.text.len < sizeof text)
        memcpy(text, v.text.ptr, v.text.len);
    double x = strtod(text, &end);
    return end > text && !*end ? x : (double)NAN;
}

/* Of several requests, each the rating of a choice: the choices as a JSON array, and the one that
 * was rated highest. False where they are something else. */
static bool choices_of(const struct lmw_json_value *o, struct lmw_record *r,
                       struct lmw_arena *arena)
{
    struct lmw_json_value resps, choice, v;
    double best = -INFINITY;
    struct lmw_buf list = {0};
    int n = 0;
    if (!lmw_foreign_at(o, &resps, "filtered_resps", NULL))
        return false;
    for (; lmw_json_item(&resps, n, &v) && argument(o, n, 1, &choice) &&
           choice.kind == LMW_JSON_STRING && !isnan(likelihood(v));
         n++) {
        lmw_buf_str(&list, n ? ",\"" : "[\"");
        lmw_buf_put(&list, choice.text.ptr, choice.text.len);
        lmw_buf_str(&list, "\"");
        if (likelihood(v) > best || n == 0) {
            best = likelihood(v);
            r->answer = lmw_json_copy(&choice, arena);
        }
    }
    lmw_buf_str(&list, "]");
    if (n > 1 && !list.failed)
        r->choices = lmw_arena_str(arena, (lmw_str){list.ptr, list.len});
    lmw_buf_free(&list);
    return n > 1;
}

static void put_answer(const struct lmw_json_value *o, struct lmw_record *r,
                       struct lmw_arena *arena)
{
    struct lmw_json_value v;
    if (choices_of(o, r, arena))
        return;
    r->answer = lmw_foreign_at(o, &v, "resps", NULL) ? first_text(v, arena) : NULL;
    if (!r->answer && lmw_foreign_at(o, &v, "filtered_resps", NULL))
        r->answer = first_text(v, arena);
}

/* --- how good it was --- */

static bool is_score(const struct lmw_json_value *o, const char *metric, double *score)
{
    struct lmw_json_value v;
    *score = lmw_foreign_at(o, &v, metric, NULL) ? lmw_foreign_real(&v) : (double)NAN;
    return *score >= 0 && *score <= 1;
}

static void put_score(const struct lmw_json_value *o, struct lmw_record *r,
                      struct lmw_arena *arena)
{
    struct lmw_json_value names, v;
    for (int i = 0; preferred[i]; i++) {
        if (is_score(o, preferred[i], &r->score)) {
            r->scorer = preferred[i];
            return;
        }
    }
    lmw_foreign_at(o, &names, "metrics", NULL);
    for (int i = 0; names.kind == LMW_JSON_ARRAY && lmw_json_item(&names, i, &v); i++) {
        const char *metric = lmw_foreign_text(&v, arena);
        if (metric && is_score(o, metric, &r->score)) {
            r->scorer = metric;
            return;
        }
    }
    r->score = (double)NAN;
    r->score_reason = "no metric between 0 and 1";
}

/* "org/model/task/filter", of what is known of them; NULL: nothing is, or no memory. */
static const char *part_of(const struct lmw_record *r, const struct lmw_json_value *o,
                           struct lmw_arena *arena)
{
    struct lmw_json_value v;
    bool filtered = lmw_foreign_at(o, &v, "filter", NULL) && !lmw_str_is(v.text, "none");
    const char *names[] = {r->model, r->workload, filtered ? lmw_foreign_text(&v, arena) : NULL};
    struct lmw_buf part = {0};
    for (int i = 0; i < 3; i++) {
        if (names[i])
            lmw_buf_printf(&part, "%s%s", part.len ? "/" : "", names[i]);
    }
    const char *text = part.len ? lmw_arena_str(arena, (lmw_str){part.ptr, part.len}) : NULL;
    lmw_buf_free(&part);
    return text;
}

int lmw_lm_eval_read(struct feed *s, lmw_str piece, take_fn *take, void *arg, struct lmw_err *err)
{
    static const char *const taken[] = {"doc_id", "arguments", "target", "resps", NULL};
    struct lmw_json_value o, v;
    struct lmw_record r;
    int rc = lmw_foreign_object(piece, &o, s->arena, err);
    if (rc < 0)
        return rc;
    lmw_record_clear(&r);
    if (!lmw_foreign_at(&o, &v, "doc_id", NULL))
        return lmw_fail(err, LMW_EFORMAT, "field 'doc_id' is missing: is this a samples_*.jsonl?");
    r.query_id = lmw_foreign_text(&v, s->arena);
    r.workload = task_of(s, s->arena);
    r.model = model_of(s, s->arena);
    r.backend = "lm-eval";
    r.prompt = prompt_of(&o, s->arena);
    r.domain = domain_of(&o, s->arena);
    r.reference = lmw_foreign_at(&o, &v, "target", NULL) ? lmw_foreign_text(&v, s->arena) : NULL;
    put_answer(&o, &r, s->arena);
    put_score(&o, &r, s->arena);
    r.extra = lmw_foreign_rest(&o, taken, s->arena);
    if (!r.query_id)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a record");
    return take(arg, &r, part_of(&r, &o, s->arena), err);
}
