/* lmwatt workload label: the domain of each question, and what learns to tell it.
 *
 * A labeller is fitted on rows that have a domain and judged by five-fold cross-validation: each
 * row, put in a fold by a hash of its id, is labelled by what was learned from the other four. */
#include "cli/workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/model_opts.h"
#include "workload/workload.h"

/* ---- counts by label ---- */

enum {
    LABELS_MAX = 256,
    ANSWER_MAX = 256, /* tokens of a model's answer */
    GIVE_UP = 3,      /* questions in a row from the first that could not be asked */
};
struct tally {
    const char *name; /* strdup */
    int64_t n, n_right;
};
struct tallies {
    struct tally at[LABELS_MAX];
    int n;
    int64_t n_row, n_none,
        n_right; /* rows with a label, without one; of the former, told rightly */
};

static struct tally *tally_of(struct tallies *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->at[i].name, name) == 0)
            return &t->at[i];
    if (t->n == LABELS_MAX)
        return NULL;
    t->at[t->n].name = strdup(name);
    return t->at[t->n].name ? &t->at[t->n++] : NULL;
}

static void free_tallies(struct tallies *t)
{
    for (int i = 0; i < t->n; i++)
        free((char *)t->at[i].name);
}

static int by_size(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->name, y->name);
}

/* ---- fitting ---- */

enum { FOLDS = 5 };
struct fit {
    struct lmw_workload *w;
    struct lmw_labeller *l;
    struct tallies tallies;
    int fold;     /* -1: learn from every row */
    bool is_test; /* label the fold's rows; else learn from the others */
    bool is_counted;
};

static int fold_of(const char *id)
{
    uint64_t h = lmw_str_hash(lmw_str_from(id));
    return (int)((h ^ h >> 32) % FOLDS);
}

static int take_row(struct fit *f, const struct lmw_record *r, struct lmw_err *err)
{
    const char *question = lmw_workload_question(f->w), *told;
    bool is_in = fold_of(r->query_id) == f->fold;

    if (!r->domain || f->is_test != is_in)
        return 0;
    if (!is_in)
        return lmw_labeller_learn(f->l, question, r->domain, err);
    struct tally *t = tally_of(&f->tallies, r->domain);
    told = lmw_labeller_label(f->l, question);
    bool is_right = told && strcmp(told, r->domain) == 0;
    if (!t)
        return lmw_fail(err, LMW_EARG, "over %d different domains", LABELS_MAX);
    t->n++;
    t->n_right += is_right;
    f->tallies.n_row++;
    f->tallies.n_right += is_right;
    return 0;
}

static int each_row(struct fit *f, struct lmw_err *err)
{
    struct lmw_arena arena;
    struct lmw_record r;
    int rc = lmw_arena_open(&arena, (size_t)256 << 20, err);

    if (rc < 0)
        return rc;
    lmw_workload_rewind(f->w);
    for (struct lmw_arena row = arena; (rc = lmw_workload_next(f->w, &r, &row, err)) > 0;
         row = arena) {
        f->tallies.n_none += f->fold < 0 && !r.domain;
        if ((rc = take_row(f, &r, err)) < 0)
            break;
    }
    lmw_arena_close(&arena);
    return rc;
}

/* Learns from all folds but one (-1: all). The labeller is f->l. */
static int learn(struct fit *f, int fold, struct lmw_err *err)
{
    lmw_labeller_close(f->l);
    f->fold = fold;
    f->is_test = false;
    int rc = lmw_labeller_new(&f->l, err);
    return rc < 0 ? rc : each_row(f, err);
}

static int cross_validate(struct fit *f, struct lmw_err *err)
{
    int rc = 0;

    for (int i = 0; i < FOLDS && rc == 0; i++) {
        cli_progress("cross-validation: fold %d of %d", i + 1, FOLDS);
        if ((rc = learn(f, i, err)) < 0)
            break;
        f->is_test = true;
        rc = each_row(f, err);
    }
    cli_progress_end();
    return rc;
}

static int print_fit(const struct tallies *t, const struct workload_asked *a)
{
    double accuracy = (double)t->n_right / (double)t->n_row;

    if (a->is_json) {
        json_t *labels = json_object();
        for (int i = 0; i < t->n; i++)
            json_object_set_new(labels, t->at[i].name,
                                json_pack("{s:I, s:I}", "rows", (json_int_t)t->at[i].n, "right",
                                          (json_int_t)t->at[i].n_right));
        return cli_json_print(json_pack("{s:I, s:I, s:i, s:f, s:o}", "rows", (json_int_t)t->n_row,
                                        "without_domain", (json_int_t)t->n_none, "folds", FOLDS,
                                        "accuracy", accuracy, "labels", labels));
    }
    printf("%10s  %7s  domain\n", "rows", "right");
    for (int i = 0; i < t->n; i++)
        printf("%10" PRId64 "  %5.1f %%  %s\n", t->at[i].n,
               100.0 * (double)t->at[i].n_right / (double)t->at[i].n, t->at[i].name);
    printf("%10" PRId64 "  %5.1f %%  all, each told by a labeller that had not seen it\n",
           t->n_row, 100 * accuracy);
    if (t->n_none)
        printf("%10" PRId64 "           had no domain\n", t->n_none);
    return 0;
}

static int fit_on(struct fit *f, const struct workload_asked *a, struct lmw_err *err)
{
    int rc = cross_validate(f, err);

    if (rc == 0)
        rc = learn(f, -1, err);
    if (rc == 0 && f->tallies.n_row == 0)
        rc = lmw_fail(err, LMW_EARG, "%s: no row has a domain to learn (--map domain=COLUMN)",
                      a->fit);
    return rc == 0 && a->out ? lmw_labeller_save(f->l, a->out, err) : rc;
}

static int fit(const struct workload_asked *a)
{
    struct fit f = {0};
    struct lmw_err err = {0};

    if (lmw_workload_open_as(&f.w, a->fit, &a->how, &err) < 0)
        return cli_fail(&err);
    int rc = fit_on(&f, a, &err);
    qsort(f.tallies.at, (size_t)f.tallies.n, sizeof f.tallies.at[0], by_size);
    rc = rc < 0 ? cli_fail(&err) : print_fit(&f.tallies, a);
    free_tallies(&f.tallies);
    lmw_labeller_close(f.l);
    lmw_workload_close(f.w);
    return rc;
}

/* ---- labelling ---- */

struct labelling {
    struct lmw_workload *w;
    struct lmw_labeller *l; /* one of these three, or none: by keywords */
    const char *column;
    struct lmw_backend *backend;
    struct lmw_reply reply;
    int64_t n_asked, n_failed;
    struct lmw_err first_failed;
    char by[160]; /* what domain_by says */
    struct tallies tallies;
};

/* A text field of a record: a column, else one of those beside. In the arena. */
static const char *field_of(const struct lmw_record *r, const char *name, struct lmw_arena *arena)
{
    for (const struct lmw_column *c = lmw_columns; c->name; c++)
        if (c->kind == LMW_COL_TEXT && strcmp(c->name, name) == 0)
            return *(const char *const *)((const char *)r + c->offset);
    json_t *extra = json_loads(r->extra ? r->extra : "{}", 0, NULL);
    const char *text = json_string_value(json_object_get(extra, name));
    text = text && *text ? lmw_arena_str(arena, lmw_str_from(text)) : NULL;
    json_decref(extra);
    return text;
}

/* What the model says; NULL where it says no category, or nothing. A question that could not be
 * asked is told at the end, and the others go on, unless none could. */
static const char *ask(struct labelling *g, const char *question)
{
    struct lmw_buf prompt = {0};
    struct lmw_err err = {0};
    const char *domain = NULL;

    lmw_domain_prompt(question, &prompt);
    struct lmw_request request = {
        .prompt = {prompt.ptr, prompt.len}, .max_tokens = ANSWER_MAX, .top_p = 1};
    g->n_asked++;
    if (lmw_backend_answer(g->backend, &request, &g->reply, &err) == 0)
        domain = g->reply.text.ptr ? lmw_domain_parse(g->reply.text.ptr) : NULL;
    else if (g->n_failed++ == 0)
        g->first_failed = err;
    lmw_buf_free(&prompt);
    cli_progress("%" PRId64 " questions asked", g->n_asked);
    return domain;
}

static int next_labelled(void *arg, struct lmw_record *r, struct lmw_arena *arena,
                         struct lmw_err *err)
{
    struct labelling *g = arg;
    int rc = lmw_workload_next(g->w, r, arena, err);

    if (g->n_failed == g->n_asked && (g->n_asked == GIVE_UP || (rc == 0 && g->n_asked > 0)))
        return lmw_fail(err, g->first_failed.code, "no question could be asked: %s",
                        g->first_failed.msg);
    if (rc <= 0)
        return rc;
    const char *question = lmw_workload_question(g->w);
    const char *domain = g->column    ? field_of(r, g->column, arena)
                         : g->l       ? lmw_labeller_label(g->l, question)
                         : g->backend ? ask(g, question)
                                      : lmw_domain_by_keywords(question);
    struct tally *t = domain ? tally_of(&g->tallies, domain) : NULL;
    if (domain && !t)
        return lmw_fail(err, LMW_EARG, "over %d different domains", LABELS_MAX);
    if (t)
        t->n++;
    g->tallies.n_row += domain != NULL;
    g->tallies.n_none += !domain;
    rc = lmw_domain_set(r, domain, g->by, arena, err);
    return rc < 0 ? rc : 1;
}

static int print_labelled(const struct labelling *g, FILE *f)
{
    const struct tallies *t = &g->tallies;

    for (int i = 0; i < t->n; i++)
        fprintf(f, "%10" PRId64 "  %5.1f %%  %s\n", t->at[i].n,
                100.0 * (double)t->at[i].n / (double)(t->n_row + t->n_none), t->at[i].name);
    if (t->n_none)
        fprintf(f, "%10" PRId64 "           without a domain\n", t->n_none);
    if (g->n_failed)
        fprintf(f, "%10" PRId64 "           of them could not be asked (the first: %s)\n",
                g->n_failed, g->first_failed.msg);
    fprintf(f, "%10" PRId64 "           by %s\n", t->n_row + t->n_none, g->by);
    return 0;
}

static int print_labelled_json(const struct labelling *g)
{
    const struct tallies *t = &g->tallies;
    json_t *labels = json_object();

    for (int i = 0; i < t->n; i++)
        json_object_set_new(labels, t->at[i].name, json_integer(t->at[i].n));
    return cli_json_print(json_pack(
        "{s:I, s:I, s:I, s:s, s:o}", "rows", (json_int_t)t->n_row + t->n_none, "without_domain",
        (json_int_t)t->n_none, "failed", (json_int_t)g->n_failed, "by", g->by, "labels", labels));
}

static int open_model(struct labelling *g, const struct workload_asked *a, struct lmw_err *err)
{
    struct lmw_backend_opts o = {.model = a->model, .max_tokens = ANSWER_MAX};
    const struct lmw_backend_ops *ops;
    const char *slash = strrchr(a->model, '/');
    int rc = cli_cpu_mask(&o.cpu_mask, err);

    cli_backend_opts(&a->backend, "workload", &ops, &o); /* checked before */
    if (rc == 0)
        rc = lmw_backend_open(&g->backend, ops, &o, err);
    snprintf(g->by, sizeof g->by, "model %.120s %016" PRIx64, slash ? slash + 1 : a->model,
             lmw_domain_prompt_hash());
    return rc;
}

static int open_labeller(struct labelling *g, const struct workload_asked *a, struct lmw_err *err)
{
    struct lmw_buf text = {0};
    const char *by = a->by;
    int rc;

    if (strcmp(by, "model") == 0)
        return open_model(g, a, err);
    if (strcmp(by, "keywords") == 0 || strncmp(by, "column:", 7) == 0) {
        g->column = by[0] == 'c' ? by + 7 : NULL;
        snprintf(g->by, sizeof g->by, g->column ? "column %s" : "%s", g->column ? g->column : by);
        return 0;
    }
    if ((rc = lmw_labeller_open(&g->l, by, err)) == 0)
        rc = lmw_file_read(by, SIZE_MAX, &text, err);
    if (rc == 0) /* which labeller it was: its file's hash */
        snprintf(g->by, sizeof g->by, "naive-bayes %016" PRIx64,
                 lmw_str_hash((lmw_str){text.ptr, text.len}));
    lmw_buf_free(&text);
    return rc;
}

static int label(const char *file, const struct workload_asked *a)
{
    struct labelling g = {0};
    struct lmw_err err = {0};
    bool to_stdout = !a->out || strcmp(a->out, "-") == 0;
    int rc = open_labeller(&g, a, &err);

    if (rc == 0 && (rc = lmw_workload_open_as(&g.w, file, &a->how, &err)) == 0)
        rc = workload_write_to(next_labelled, &g, a->out, &err);
    qsort(g.tallies.at, (size_t)g.tallies.n, sizeof g.tallies.at[0], by_size);
    if (rc < 0)
        rc = cli_fail(&err);
    else
        rc = a->is_json && !to_stdout ? print_labelled_json(&g)
                                      : print_labelled(&g, to_stdout ? stderr : stdout);
    free_tallies(&g.tallies);
    lmw_labeller_close(g.l);
    if (g.backend)
        lmw_backend_close(g.backend);
    lmw_buf_free(&g.reply.text);
    lmw_buf_free(&g.reply.reasoning);
    lmw_workload_close(g.w);
    return rc;
}

/* -1 to go on. */
static int check_model(const struct workload_asked *a)
{
    const struct lmw_backend_ops *ops;
    struct lmw_backend_opts unused = {0};
    bool by_model = a->by && strcmp(a->by, "model") == 0;

    if (by_model != (a->model != NULL))
        return cli_usage("workload", "--by model and --model MODEL go together");
    return by_model ? cli_backend_opts(&a->backend, "workload", &ops, &unused) : -1;
}

int workload_label(const struct strs *pos, struct workload_asked *a)
{
    int n_file = a->fit ? 0 : 1; /* --fit names its own */

    if (pos->n != 1 + n_file && pos->n != 2 + n_file)
        return cli_usage("workload", a->fit ? "label --fit FILE takes a PRESET at most"
                                            : "label needs the FILE to label");
    a->how.preset = pos->n == 2 + n_file ? pos->v[1] : NULL;
    if (a->fit && a->by)
        return cli_usage("workload", "--fit makes a labeller, --by uses one: one at a time");
    if (!a->fit && !a->by)
        return cli_usage("workload",
                         "label needs --by keywords, column:FIELD, model or a labeller's file");
    int rc = check_model(a);
    if (rc >= 0)
        return rc;
    return a->fit ? fit(a) : label(pos->v[pos->n - 1], a);
}
