/* lmwatt workload: what can be generated, generating it, and checking a workload file. */
#include "cli/workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "cli/model_opts.h"

static const struct command_help help = {
    .usage =
        "lmwatt workload list | check|convert|label [PRESET] FILE... | label --fit FILE | shop-intents",
    .what =
        "Lists what can be generated and which data sets are read as published (PRESET), checks a\n"
        "workload file, writes one as JSON lines with its prompts, writes one with the domain of\n"
        "each question, fits what labels domains on labelled rows, or generates a workload.",
    .example = "lmwatt workload convert gsm8k test.jsonl --cot -o gsm8k.jsonl",
};
static const char make_one[] = "lmwatt workload shop-intents --split test -n 600 -o shop.jsonl";

/* ---- what became of the rows ---- */

static json_t *dropped_json(const struct lmw_workload_counts *c)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "empty", (json_int_t)c->empty, "too_long",
        (json_int_t)c->too_long, "not_english", (json_int_t)c->not_english, "no_reference",
        (json_int_t)c->no_reference, "duplicate", (json_int_t)c->duplicate, "not_sampled",
        (json_int_t)c->not_sampled, "language_by_words", (json_int_t)c->language_by_words);
}

static void print_dropped(FILE *f, const struct lmw_workload_counts *c)
{
    const struct {
        int64_t n;
        const char *what;
    } row[] = {{c->rows, "rows read"},
               {c->empty, "dropped: empty"},
               {c->too_long, "dropped: too long"},
               {c->not_english, "dropped: not English"},
               {c->no_reference, "dropped: no reference"},
               {c->duplicate, "dropped: duplicate"},
               {c->not_sampled, "not in the sample"},
               {c->kept, "rows kept"}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].n > 0)
            fprintf(f, "%10" PRId64 "  %s\n", row[i].n, row[i].what);
    if (c->language_by_words > 0)
        fprintf(f, "%10" PRId64 "  of them had no language said, and were judged by their words\n",
                c->language_by_words);
}

static json_t *names_json(const char *const *names)
{
    json_t *list = json_array();
    for (int i = 0; names[i]; i++)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *list_json(void)
{
    json_t *all =
        json_pack("[{s:s, s:o, s:o}]", "name", "shop-intents", "languages",
                  names_json(lmw_shop_languages), "intents", names_json(lmw_shop_intents));

    for (const struct lmw_preset *p = lmw_presets; p->name; p++)
        json_array_append_new(all, json_pack("{s:s, s:s, s:s}", "preset", p->name, "reads",
                                             p->help, "scorer", p->scorer));
    return all;
}

static int list(bool is_json)
{
    if (is_json)
        return cli_json_print(list_json());
    printf("shop-intents  messages of shop customers -> intent and slots as one line of JSON\n"
           "  languages: ");
    for (int i = 0; lmw_shop_languages[i]; i++)
        printf(" %s", lmw_shop_languages[i]);
    printf("\n  intents:   ");
    for (int i = 0; lmw_shop_intents[i]; i++)
        printf("%s%s", i == 0 ? " " : i % 5 == 0 ? "\n              " : " ", lmw_shop_intents[i]);
    printf("\n  make one:   %s\n\nData sets that are read as published:\n", make_one);
    printf("  %-18s %-10s %s\n", "PRESET", "SCORER", "FILE");
    for (const struct lmw_preset *p = lmw_presets; p->name; p++)
        printf("  %-18s %-10s %s\n", p->name, p->scorer, p->help);
    return 0;
}

static int count_rows(struct lmw_workload *w, bool is_json, struct lmw_err *err)
{
    struct lmw_arena arena;
    struct lmw_record r;
    int64_t n = 0, n_reference = 0;
    int rc = lmw_arena_open(&arena, (size_t)256 << 20, err);

    if (rc < 0)
        return cli_fail(err);
    for (struct lmw_arena row = arena; (rc = lmw_workload_next(w, &r, &row, err)) > 0;
         row = arena) {
        n++;
        n_reference += r.reference != NULL;
    }
    lmw_arena_close(&arena);
    if (rc < 0)
        return cli_fail(err);
    struct lmw_workload_counts c;
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, lmw_workload_hash(w));
    lmw_workload_counts(w, &c);
    if (is_json)
        return cli_json_print(json_pack("{s:I, s:I, s:I, s:o, s:s}", "queries", (json_int_t)n,
                                        "with_reference", (json_int_t)n_reference, "rows",
                                        (json_int_t)c.rows, "dropped", dropped_json(&c), "hash",
                                        hash));
    printf("%" PRId64 " queries, %" PRId64 " with a reference, hash %s\n", n, n_reference, hash);
    if (c.rows != c.kept)
        print_dropped(stdout, &c);
    return 0;
}

static int check(const char *path, const struct lmw_workload_opts *o, bool is_json)
{
    struct lmw_workload *w;
    struct lmw_err err = {0};
    int rc;

    if (lmw_workload_open_as(&w, path, o, &err) < 0)
        return cli_fail(&err);
    rc = count_rows(w, is_json, &err);
    lmw_workload_close(w);
    return rc;
}

/* ---- convert ---- */

/* The files of a data set that is published as several (a task, a subject each), one by one. */
struct files {
    const struct workload_asked *a;
    const char *const *path;
    int n, i;                /* i: the next to open */
    struct lmw_workload *w;  /* the open one; NULL */
    int64_t n_read, n_taken; /* of those before it */
};

static int open_next(struct files *f, struct lmw_err *err)
{
    int rc = lmw_workload_open_as(&f->w, f->path[f->i++], &f->a->how, err);

    if (rc == 0 && f->a->is_shuffled)
        rc = lmw_workload_shuffle(f->w, (uint64_t)f->a->seed, err);
    return rc;
}

static int next_query(void *arg, struct lmw_record *r, struct lmw_arena *arena,
                      struct lmw_err *err)
{
    struct files *f = arg;
    int rc = f->w ? lmw_workload_next(f->w, r, arena, err) : 0;

    while (rc == 0 && f->i < f->n) {
        struct lmw_workload_counts c = {0};
        if (f->w)
            lmw_workload_counts(f->w, &c);
        f->n_read += c.rows;
        f->n_taken += c.kept;
        lmw_workload_close(f->w);
        if ((rc = open_next(f, err)) == 0)
            rc = lmw_workload_next(f->w, r, arena, err);
    }
    return rc;
}

/* The counts go where the rows do not. */
static int print_converted(const struct files *f)
{
    const struct workload_asked *a = f->a;
    struct lmw_workload_counts c;
    bool to_stdout = !a->out || strcmp(a->out, "-") == 0;

    lmw_workload_counts(f->w, &c);
    c.rows += f->n_read;
    c.kept += f->n_taken;
    if (a->is_json && !to_stdout)
        return cli_json_print(json_pack("{s:I, s:I, s:o}", "rows", (json_int_t)c.rows, "queries",
                                        (json_int_t)c.kept, "dropped", dropped_json(&c)));
    print_dropped(to_stdout ? stderr : stdout, &c);
    return 0;
}

static int convert(const char *const *path, int n, const struct workload_asked *a)
{
    struct files f = {.a = a, .path = path, .n = n};
    struct lmw_err err = {0};
    int rc;

    if (n > 1 && (a->how.sample || a->how.clean || a->how.english || a->is_shuffled))
        return cli_usage("workload", "of several files rows are not chosen or shuffled: convert "
                                     "them, then what was made of them");
    rc = open_next(&f, &err); /* before what is to be written is */
    if (rc == 0)
        rc = workload_write_to(next_query, &f, a->out, &err);
    rc = rc < 0 ? cli_fail(&err) : print_converted(&f);
    lmw_workload_close(f.w);
    return rc;
}

/* ---- shop-intents ---- */

struct shop_rows {
    struct lmw_shop *shop;
    int64_t left;
};

static int next_message(void *arg, struct lmw_record *r, struct lmw_arena *arena,
                        struct lmw_err *err)
{
    struct shop_rows *s = arg;

    if (s->left == 0)
        return 0;
    s->left--;
    int rc = lmw_shop_next(s->shop, r, arena, err);
    return rc < 0 ? rc : 1;
}

static void scale(struct lmw_shop_noise *n, double by)
{
    double *rate[] = {&n->typo,   &n->ascii, &n->shout,   &n->lower,   &n->capital,    &n->filler,
                      &n->opener, &n->tail,  &n->foreign, &n->reorder, &n->punctuation};

    for (size_t i = 0; i < sizeof(rate) / sizeof(rate[0]); i++)
        *rate[i] = *rate[i] * by > 1 ? 1 : *rate[i] * by;
}

static int generate(struct lmw_shop_options *o, int64_t n, const char *path)
{
    struct shop_rows s = {.left = n};
    struct lmw_err err = {0};
    int rc;

    if (lmw_shop_open(&s.shop, o, &err) < 0)
        return cli_fail(&err);
    rc = workload_write_to(next_message, &s, path, &err);
    lmw_shop_close(s.shop);
    return rc < 0 ? cli_fail(&err) : 0;
}

/* check and convert: [PRESET] FILE; convert: PRESET FILE... */
static int read_file(const struct strs *pos, struct workload_asked *a)
{
    bool is_check = strcmp(pos->v[0], "check") == 0;
    int first = pos->n > 2 ? 2 : 1;

    if (pos->n < 2 || (is_check && pos->n > 3))
        return cli_usage("workload", "%s needs %s", pos->v[0],
                         is_check ? "the FILE to check" : "the FILE to convert");
    a->how.preset = first == 2 ? pos->v[1] : NULL;
    if (!a->how.preset && (a->how.shots || a->how.cot))
        return cli_usage("workload",
                         "--shots and --cot go with a PRESET, whose wording they are of");
    return is_check ? check(pos->v[first], &a->how, a->is_json)
                    : convert(&pos->v[first], pos->n - first, a);
}

static int run(const struct strs *pos, struct workload_asked *a)
{
    if (pos->n == 1 && strcmp(pos->v[0], "list") == 0)
        return list(a->is_json);
    if (pos->n > 0 && (strcmp(pos->v[0], "check") == 0 || strcmp(pos->v[0], "convert") == 0))
        return read_file(pos, a);
    if (pos->n > 0 && strcmp(pos->v[0], "label") == 0)
        return workload_label(pos, a);
    if (pos->n == 1 && strcmp(pos->v[0], "shop-intents") == 0)
        return generate(&a->shop, a->n, a->out);
    if (pos->n == 0)
        return cli_usage("workload",
                         "say what: list, check FILE, convert FILE, label FILE or shop-intents");
    return cli_usage("workload", "'%s' is not list, check, convert, label or shop-intents",
                     pos->v[0]);
}

static int check_shop(struct workload_asked *a, const char *split, double noise)
{
    bool is_train = !split || strcmp(split, "train") == 0;

    if (!is_train && strcmp(split, "test") != 0)
        return cli_usage("workload", "--split is train or test, not '%s'", split);
    if (a->n < 0 || !(noise >= 0))
        return cli_usage("workload", "-n and --noise cannot be negative");
    if (!(a->shop.invent >= 0 && a->shop.invent <= 1))
        return cli_usage("workload", "--invent takes 0 to 1");
    lmw_shop_noise_default(&a->shop.noise);
    scale(&a->shop.noise, noise);
    a->shop.test = !is_train;
    return -1;
}

static int parse(struct workload_asked *a, int64_t *shots, double *noise, struct strs *pos,
                 int argc, char **argv)
{
    const struct opt opts[] = {
        {"out", 'o', OPT_STR, &a->out, "FILE", "default: stdout; .gz and .zst are packed"},
        {"shots", 0, OPT_INT, shots, "K", "of a PRESET: worked examples in front; default 0"},
        {"shots-from", 0, OPT_STR, &a->how.shots_from, "FILE", "whose first rows they are"},
        {"cot", 0, OPT_FLAG, &a->how.cot, NULL, "of a PRESET: ask for reasoning first"},
        {"split", 's', OPT_STR, &a->how.split, "SPLIT",
         "of shop-intents: train (default), test; of a JSON document: which arrays"},
        {"format", 0, OPT_STR, &a->how.format, "NAME",
         "of FILE: jsonl, json, csv, tsv or parquet; default: by its name"},
        {"map", 0, OPT_STR, &a->how.map, "LIST",
         "FIELD=COLUMN, ...: prompt=question,reference=answer,query_id=#"},
        {"columns", 0, OPT_STR, &a->how.columns, "LIST",
         "names for a CSV's columns that has no header"},
        {"clean", 0, OPT_FLAG, &a->how.clean, NULL,
         "drop prompts that are empty, over --max-chars or there before"},
        {"max-chars", 0, OPT_INT, &a->how.max_chars, "N",
         "longer ones are dropped; default 32000"},
        {"english", 0, OPT_FLAG, &a->how.english, NULL, "drop prompts in other languages"},
        {"sample", 0, OPT_INT, &a->how.sample, "N", "that many rows, by a hash of their ids"},
        {"stratify", 0, OPT_STR, &a->how.stratify, "FIELD",
         "sample in proportion to a field, such as domain"},
        {"shuffle", 0, OPT_FLAG, &a->is_shuffled, NULL, "convert: write the rows in random order"},
        {"fit", 0, OPT_STR, &a->fit, "FILE",
         "label: learn from its rows' domains; -o: the labeller"},
        {"by", 0, OPT_STR, &a->by, "WHAT",
         "label: keywords (22 categories), column:FIELD, model, or a labeller's file"},
        {"model", 'm', OPT_STR, &a->model, "MODEL",
         "of --by model: a GGUF file, or a server's name"},
        BACKEND_OPTS(&a->backend),
        {"n", 'n', OPT_INT, &a->n, "N", "rows to generate; default 1000"},
        {"seed", 0, OPT_INT, &a->seed, "S",
         "of --sample, --shuffle and what is generated; default 1"},
        {"noise", 0, OPT_REAL, noise, "X", "times the usual typos, shouting...; default 1"},
        {"invent", 0, OPT_REAL, &a->shop.invent, "P",
         "training: share of product nouns made up; default 0"},
        {"json", 0, OPT_FLAG, &a->is_json, NULL, "list and check for machines"},
        {0},
    };
    return opts_parse(opts, &help, argc, argv, pos);
}

int cmd_workload(int argc, char **argv)
{
    struct workload_asked a = {.n = 1000, .seed = 1, .backend = BACKEND_FLAGS_DEFAULT};
    int64_t shots = 0;
    double noise = 1;
    struct strs pos = {0};
    int rc = parse(&a, &shots, &noise, &pos, argc, argv);

    if (rc >= 0)
        return rc;
    bool is_shop = pos.n == 1 && strcmp(pos.v[0], "shop-intents") == 0;
    if (is_shop && (rc = check_shop(&a, a.how.split, noise)) >= 0)
        return rc;
    if (a.how.sample < 0 || a.how.max_chars < 0)
        return cli_usage("workload", "--sample and --max-chars cannot be negative");
    if (a.how.stratify && a.how.sample == 0)
        return cli_usage("workload", "--stratify says how to --sample: say how many");
    if (shots < 0 || shots > 100)
        return cli_usage("workload", "--shots takes 0 to 100");
    a.shop.seed = a.how.seed = (uint64_t)a.seed;
    a.how.shots = (int)shots;
    return run(&pos, &a);
}
