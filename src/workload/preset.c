/* An opened data set: what is read before its first row, and a row made a record. See preset.h.
 *
 * Worked examples are the first rows of another file of the same data set, or of each in a folder;
 * where the answer is one of its labels, the first of each label, since such files are sorted by
 * them. Refused: more
 * examples than that file has (of a domain, where they are taken by domain), reasoning in examples
 * whose rows have none, labels of which there are over a thousand. */
#include "workload/preset.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "workload/fields.h"

enum { LABELS_MAX = 1000, DOMAINS_MAX = 1000, SHOTS_MAX = 100 };

static int no_memory(struct lmw_err *err)
{
    return lmw_fail(err, LMW_ENOMEM, "out of memory");
}

/* ---- labels ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int join_labels(struct lmw_source *s, const json_t *labels, struct lmw_err *err)
{
    const char *name[LABELS_MAX], *key;
    struct lmw_buf text = {0};
    size_t n = 0;
    json_t *v;

    json_object_foreach((json_t *)labels, key, v) name[n++] = key;
    qsort(name, n, sizeof *name, by_name);
    for (size_t i = 0; i < n; i++)
        lmw_buf_printf(&text, "%s%s", i ? ", " : "", name[i]);
    s->labels = text.ptr ? lmw_arena_str(&s->arena, (lmw_str){text.ptr, text.len}) : "";
    lmw_buf_free(&text);
    return s->labels ? 0 : no_memory(err);
}

static bool holds_all(const json_t *names, json_t *labels)
{
    const char *label;
    json_t *v;

    json_object_foreach(labels, label, v) if (!json_object_get(names, label)) return false;
    return true;
}

/* A page of a data set has some of its labels in its rows, and all in its features: the classes of
 * the column whose names they are. */
static void add_classes(const struct lmw_rows *rows, json_t *labels)
{
    const char *column;
    json_t *list, *name;
    size_t i;

    json_object_foreach(rows->classes, column, list)
    {
        json_t *names = json_object();
        json_array_foreach(list, i, name) if (json_is_string(name))
            json_object_set_new(names, json_string_value(name), json_true());
        if (holds_all(names, labels))
            json_object_update(labels, names);
        json_decref(names);
    }
}

static int check_labels(const json_t *labels, struct lmw_err *err)
{
    return json_object_size(labels) <= LABELS_MAX
               ? 0
               : lmw_fail(err, LMW_EFORMAT, "over %d different labels; is this column a label?",
                          LABELS_MAX);
}

/* All labels of the file, in one pass over it. */
static int read_labels(struct lmw_source *s, struct lmw_rows *rows, struct lmw_err *err)
{
    json_t *labels = json_object(), *row;
    struct lmw_item it;
    int rc;

    while ((rc = lmw_rows_next(rows, &row, err)) > 0) {
        struct lmw_arena scratch = s->arena;
        if ((rc = lmw_item_read(s, row, &it, &scratch, err)) == 0)
            json_object_set_new(labels, it.reference, json_true());
        json_decref(row);
        if (rc < 0 || (rc = check_labels(labels, err)) < 0)
            break;
    }
    if (rc == 0)
        add_classes(rows, labels);
    if (rc == 0 && (rc = check_labels(labels, err)) == 0 &&
        (rc = join_labels(s, labels, err)) == 0)
        rc = lmw_rows_rewind(rows, err);
    json_decref(labels);
    return rc;
}

/* {"domain": ["label", ...]}, turned round; that it is not there is no error. */
static int read_beside(struct lmw_source *s, const char *path, struct lmw_err *err)
{
    const char *slash = strrchr(path, '/'), *domain;
    struct lmw_buf beside = {0};
    json_t *file, *labels, *label;
    json_error_t e;
    size_t i;

    lmw_buf_put(&beside, path, slash ? (size_t)(slash + 1 - path) : 0);
    lmw_buf_str(&beside, s->preset->rules->beside);
    file = beside.failed ? NULL : json_load_file(beside.ptr, 0, &e);
    lmw_buf_free(&beside);
    if (!file)
        return 0;
    s->domain_of = json_object();
    json_object_foreach(file, domain, labels)
        json_array_foreach(labels, i, label) if (json_is_string(label))
            json_object_set_new(s->domain_of, json_string_value(label), json_string(domain));
    json_decref(file);
    return s->domain_of ? 0 : no_memory(err);
}

/* ---- worked examples ---- */

static int count_shots(const struct lmw_source *s, const char *domain)
{
    int n = 0;

    for (int i = 0; i < s->n_shot; i++)
        n += !s->preset->rules->shots_by_domain || strcmp(s->shot[i].domain, domain) == 0;
    return n;
}

static int add_shot(struct lmw_source *s, const struct lmw_item *it, struct lmw_err *err)
{
    struct lmw_shot *shot = &s->shot[s->n_shot];
    struct lmw_buf text = {0};

    if (!it->reference || (s->cot && !it->worked))
        return lmw_fail(err, LMW_EARG, "this row has no %s, which a worked example needs; %s",
                        it->reference ? "reasoning" : "answer",
                        it->reference ? "leave --cot out, or --shots" : "take another file");
    lmw_prompt_example(s, it, &text);
    shot->domain = lmw_arena_str(&s->arena, lmw_str_from(it->domain ? it->domain : ""));
    shot->question = lmw_arena_str(&s->arena, lmw_str_from(it->question));
    shot->reference = lmw_arena_str(&s->arena, lmw_str_from(it->reference));
    shot->text = lmw_arena_str(&s->arena, (lmw_str){text.ptr, text.len});
    bool failed =
        text.failed || !shot->domain || !shot->question || !shot->reference || !shot->text;
    lmw_buf_free(&text);
    s->n_shot++;
    return failed ? no_memory(err) : 0;
}

/* May this row be one more example? */
static bool is_wanted(const struct lmw_source *s, const struct lmw_item *it, const char *section)
{
    const struct lmw_preset_rules *p = s->preset->rules;

    if (p->shots_split && section[0] && strcmp(section, p->shots_split) != 0)
        return false;
    for (int i = 0; p->task == LMW_TASK_LABEL && it->reference && i < s->n_shot; i++)
        if (strcmp(s->shot[i].reference, it->reference) == 0)
            return false;
    return count_shots(s, it->domain ? it->domain : "") <= s->n_shots;
}

/* One more than asked for: the question itself may be among them. */
static int max_shots(const struct lmw_source *s)
{
    return (s->n_shots + 1) * (s->preset->rules->shots_by_domain ? DOMAINS_MAX : 1);
}

static int take_shots(struct lmw_source *s, struct lmw_rows *rows, struct lmw_err *err)
{
    struct lmw_item it;
    json_t *row;
    int rc = 0;

    while (s->n_shot < max_shots(s) && (rc = lmw_rows_next(rows, &row, err)) > 0) {
        struct lmw_arena *arena = &s->arena;
        if ((rc = lmw_item_read(s, row, &it, arena, err)) == 0 &&
            is_wanted(s, &it, lmw_rows_section(rows)))
            rc = add_shot(s, &it, err);
        json_decref(row);
        if (rc < 0)
            break;
    }
    return rc < 0 ? rc : 0;
}

static int read_shots_of(struct lmw_source *s, const char *path, struct lmw_err *err)
{
    const struct lmw_preset_rules *p = s->preset->rules;
    const char *stem = s->stem;
    struct lmw_stream stream;
    struct lmw_rows rows = {0};
    char own[64];
    int rc;

    if ((rc = lmw_stream_open(&stream, path, err)) == 0)
        rc = lmw_rows_open(&rows, &stream, path, NULL, p->columns, p->question, err);
    if (rc < 0)
        return lmw_wrap(err, "worked examples");
    lmw_rows_stem(path, own);
    s->stem = own; /* some data sets say the domain there */
    if ((rc = take_shots(s, &rows, err)) < 0)
        lmw_wrap(err, "worked examples: %.128s:%lld", path, (long long)rows.row_line);
    s->stem = stem;
    lmw_rows_close(&rows);
    return rc;
}

static int is_no_dot_file(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* In the order of their names, so that it is the same everywhere. */
static int read_shots_in(struct lmw_source *s, const char *folder, struct lmw_err *err)
{
    struct dirent **names;
    char path[1024];
    int rc = 0, n = scandir(folder, &names, is_no_dot_file, alphasort);

    if (n < 0)
        return lmw_fail_errno(err, "worked examples: cannot read the folder %s", folder);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        rc = rc < 0 ? rc : read_shots_of(s, path, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

static int read_shots(struct lmw_source *s, const struct lmw_workload_opts *o, struct lmw_err *err)
{
    struct stat st;

    if (!o->shots_from)
        return lmw_fail(err, LMW_EARG,
                        "%d worked examples are asked for; say which file they are from "
                        "(--shots-from)",
                        o->shots);
    if (!(s->shot = LMW_NEW(&s->arena, struct lmw_shot, (size_t)max_shots(s))))
        return no_memory(err);
    bool is_folder = stat(o->shots_from, &st) == 0 && S_ISDIR(st.st_mode);
    int rc = (is_folder ? read_shots_in : read_shots_of)(s, o->shots_from, err);
    if (rc < 0 || s->n_shot >= s->n_shots)
        return rc;
    return lmw_fail(err, LMW_EARG, "worked examples: %d asked for, and only %d in %s", s->n_shots,
                    s->n_shot, o->shots_from);
}

/* ---- opening ---- */

int lmw_source_open(struct lmw_source *s, const struct lmw_workload_opts *o, const char *path,
                    const char *stem, struct lmw_rows *rows, struct lmw_err *err)
{
    int rc;

    *s = (struct lmw_source){.stem = stem, .n_shots = o->shots, .cot = o->cot};
    if (!(s->preset = lmw_preset_find(o->preset, err)))
        return LMW_EARG;
    enum lmw_task task = s->preset->rules->task;
    if (task == LMW_TASK_AS_IS && (o->shots > 0 || o->cot))
        return lmw_fail(err, LMW_EARG,
                        "%s is asked as it stands: it takes no examples and no "
                        "--cot",
                        o->preset);
    if (o->shots < 0 || o->shots > SHOTS_MAX)
        return lmw_fail(err, LMW_EARG, "0 to %d worked examples are possible", SHOTS_MAX);
    if ((rc = lmw_arena_open(&s->arena, (size_t)256 << 20, err)) < 0)
        return rc;
    if (s->preset->rules->beside)
        rc = read_beside(s, path, err);
    if (rc == 0 && task == LMW_TASK_LABEL && (rc = read_labels(s, rows, err)) < 0)
        lmw_wrap(err, "%.128s:%lld", path, (long long)rows->row_line);
    if (rc == 0 && o->shots > 0)
        rc = read_shots(s, o, err);
    return rc;
}

void lmw_source_close(struct lmw_source *s)
{
    json_decref(s->domain_of);
    lmw_arena_close(&s->arena);
    *s = (struct lmw_source){0};
}

/* ---- a row ---- */

static json_t *choices_of(const struct lmw_item *it)
{
    json_t *list = it->n_choice ? json_array() : NULL;

    for (int i = 0; i < it->n_choice; i++)
        json_array_append_new(list, json_string(it->choice[i]));
    return list;
}

static void set_text(json_t *o, const char *key, const char *text)
{
    if (text)
        json_object_set_new(o, key, json_string(text));
}

/* The fields a preset keeps, under the last part of their path. */
static void keep_fields(json_t *o, const json_t *row, const char *paths)
{
    char path[96];

    for (const char *end; paths; paths = *end ? end + 1 : NULL) {
        end = strchrnul(paths, ',');
        snprintf(path, sizeof path, "%.*s", (int)(end - paths), paths);
        json_t *v = lmw_field_at(row, path);
        const char *dot = strrchr(path, '.');
        if (v && !json_is_null(v))
            json_object_set(o, dot ? dot + 1 : path, v);
    }
}

static void set_prompt(const struct lmw_source *s, const struct lmw_item *it, json_t *o)
{
    const char *way = s->preset->rules->task == LMW_TASK_AS_IS ? "plain"
                      : s->cot                                 ? "cot"
                                                               : "direct";
    struct lmw_buf prompt = {0};
    char text[96];
    uint64_t hash;

    lmw_prompt_put(s, it, &prompt, &hash);
    bool is_empty = !it->question[0]; /* a question that is none stays so, for the cleaning */
    json_object_set_new(o, "prompt",
                        is_empty ? json_string("") : json_stringn(prompt.ptr, prompt.len));
    snprintf(text, sizeof text, "%s/%s/%d-shot", s->preset->name, way, s->n_shots);
    set_text(o, "prompt_template", text);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    set_text(o, "prompt_template_hash", text);
    lmw_buf_free(&prompt);
}

/* With reasoning in front, no scorer that compares the whole answer can judge it. */
static const char *scorer_of(const struct lmw_source *s, const struct lmw_item *it)
{
    static const char *const whole[] = {"exact", "normalized", "f1"};
    const char *name = it->scorer ? it->scorer : s->preset->scorer;

    for (size_t i = 0; s->cot && i < sizeof whole / sizeof *whole; i++)
        if (strcmp(name, whole[i]) == 0)
            return "judge";
    return name;
}

/* Where examples go by domain, each domain must have its own. */
static int check_shots(const struct lmw_source *s, const struct lmw_item *it, struct lmw_err *err)
{
    int n = 0;

    for (int i = 0; i < s->n_shot; i++)
        n += strcmp(s->shot[i].question, it->question) != 0 &&
             (!s->preset->rules->shots_by_domain ||
              strcmp(s->shot[i].domain, it->domain ? it->domain : "") == 0);
    if (n >= s->n_shots)
        return 0;
    return lmw_fail(err, LMW_EARG,
                    "%d examples of '%.64s' asked for, and only %d in the file of examples",
                    s->n_shots, it->domain ? it->domain : s->preset->name, n);
}

int lmw_source_record(const struct lmw_source *s, const struct lmw_rows *rows, json_t *row,
                      const char *number, struct lmw_arena *arena, json_t **out,
                      const char **question, struct lmw_err *err)
{
    const char *section = lmw_rows_section(rows);
    struct lmw_item it;
    int rc = lmw_item_read(s, row, &it, arena, err);
    json_t *o;

    if (rc < 0 || (rc = check_shots(s, &it, err)) < 0)
        return rc;
    *question = lmw_arena_str(arena, lmw_str_from(it.question));
    if (!*question || !(o = json_object()))
        return no_memory(err);
    set_text(o, "workload", s->preset->name);
    set_text(o, "query_id", it.id ? it.id : number);
    set_text(o, "domain", it.domain);
    set_text(o, "domain_by", it.domain ? "data set" : NULL);
    set_text(o, "reference", it.reference);
    set_text(o, "default_scorer", scorer_of(s, &it));
    set_text(o, "language", it.language);
    set_text(o, "split", section[0] ? section : NULL);
    if (it.n_choice)
        json_object_set_new(o, "choices", choices_of(&it));
    keep_fields(o, row, s->preset->rules->keep);
    set_prompt(s, &it, o);
    *out = o;
    return 0;
}
