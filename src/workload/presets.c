/* The data sets that are read as published: one row of the table each, and a small function for
 * what a table cannot say. See preset.h.
 *
 * Every row names where its field names come from: the data set's own repository or card
 * (huggingface.co/datasets/NAME, "hf" below), compared with the task files of
 * EleutherAI/lm-evaluation-harness; where the original and its copies differ, both are read. A row
 * that is neither is refused with the field that is missing and those that are there, never
 * guessed around; only an id may be missing. */
#include <ctype.h>
#include <stdlib.h>

#include "base/rng.h"
#include "workload/fields.h"
#include "workload/literal.h"
#include "workload/preset.h"

/* ---- helpers ---- */

static json_t *at(const json_t *row, const char *paths)
{
    char path[96];

    for (const char *end; paths; paths = *end ? end + 1 : NULL) {
        end = strchrnul(paths, '|');
        snprintf(path, sizeof path, "%.*s", (int)(end - paths), paths);
        json_t *v = lmw_field_at(row, path);
        if (v && !json_is_null(v))
            return v;
    }
    return NULL;
}

const char *lmw_text_at(const json_t *row, const char *paths, struct lmw_arena *arena)
{
    const json_t *v = at(row, paths);

    if (json_is_string(v))
        return json_string_length(v) ? json_string_value(v) : NULL;
    char *written = json_is_number(v) ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
    const char *kept = written ? lmw_arena_str(arena, lmw_str_from(written)) : NULL;
    free(written);
    return kept;
}

/* Is it there, be it empty? */
static bool has(const json_t *row, const char *paths)
{
    char path[96];

    for (const char *end; paths; paths = *end ? end + 1 : NULL) {
        end = strchrnul(paths, '|');
        snprintf(path, sizeof path, "%.*s", (int)(end - paths), paths);
        if (lmw_field_at(row, path))
            return true;
    }
    return false;
}

static int missing(const struct lmw_source *s, const json_t *row, const char *paths,
                   struct lmw_err *err)
{
    char names[128] = "", have[256];

    for (const char *end; paths; paths = *end ? end + 1 : NULL) {
        size_t n = strlen(names);
        end = strchrnul(paths, '|');
        snprintf(names + n, sizeof names - n, "%s'%.*s'", n ? " or " : "", (int)(end - paths),
                 paths);
    }
    return lmw_fail(err, LMW_EFORMAT, "no %s in this row; %s is read from %s; there are: %.160s",
                    names, s->preset->name, s->preset->help,
                    json_is_array(row) ? "values without names" : lmw_field_names(row, have));
}

static const char *letter(int i)
{
    static const char *const letters[LMW_CHOICES_MAX] = {
        "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M",
        "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z"};
    return letters[i];
}

/* "B", or a number from 0 (a CSV's is a text), as the letter of one of n choices. */
static const char *letter_of(const json_t *answer, int n)
{
    const char *text = json_string_value(answer);
    json_int_t i = -1;

    if (json_is_integer(answer))
        i = json_integer_value(answer);
    else if (text && isdigit((unsigned char)text[0]))
        i = text[1] ? -1 : text[0] - '0';
    else if (text && text[0] && !text[1])
        i = text[0] - 'A';
    return i >= 0 && i < n ? letter((int)i) : NULL;
}

static int add_choice(struct lmw_item *it, const json_t *text, struct lmw_err *err)
{
    if (!json_is_string(text) || it->n_choice == LMW_CHOICES_MAX)
        return lmw_fail(err, LMW_EFORMAT, "the choices are not up to %d texts", LMW_CHOICES_MAX);
    it->choice[it->n_choice++] = json_string_value(text);
    return 0;
}

/* A list of texts. */
static int add_choices(const json_t *list, struct lmw_item *it, struct lmw_err *err)
{
    int rc = 0;

    if (json_array_size(list) < 2)
        return lmw_fail(err, LMW_EFORMAT, "the choices are no list of two or more texts");

    for (size_t i = 0; i < json_array_size(list) && rc == 0; i++)
        rc = add_choice(it, json_array_get(list, i), err);
    return rc;
}

/* ---- what is particular ---- */

/* "... <<3*4=12>>12 ... #### 1,234": the way there without the calculator's notes, the number. */
static int gsm8k(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
                 struct lmw_arena *arena, struct lmw_err *err)
{
    const char *mark = it->reference ? strstr(it->reference, "####") : NULL;
    lmw_str number = lmw_str_trim(lmw_str_from(mark ? mark + 4 : ""));
    char *way, *to, *plain;

    if (number.len == 0)
        return lmw_fail(err, LMW_EFORMAT,
                        "the answer does not end in `#### NUMBER`, as GSM8K's do");
    way = to = lmw_arena_str(
        arena, lmw_str_trim((lmw_str){it->reference, (size_t)(mark - it->reference)}));
    plain = lmw_arena_str(arena, number);
    if (!way || !plain)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    for (const char *from = way; *from; from++) {
        const char *end = strncmp(from, "<<", 2) == 0 ? strstr(from, ">>") : NULL;
        if (end)
            from = end + 1;
        else
            *to++ = *from;
    }
    *to = 0;
    it->worked = way;
    to = plain;
    for (const char *from = plain; *from; from++)
        if (*from != ',')
            *to++ = *from;
    *to = 0;
    it->reference = plain;
    return 0;
}

/* The right letter where `answer` is a letter or an index (SuperGPQA's is a text: see its row). */
static int lettered(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
                    struct lmw_arena *arena, struct lmw_err *err)
{
    const char *paths = s->preset->rules->reference;

    if (it->n_choice == 0)
        return missing(s, row, s->preset->rules->choices, err);
    it->reference = letter_of(at(row, paths), it->n_choice);
    if (!it->reference && at(row, paths))
        return lmw_fail(err, LMW_EFORMAT,
                        "the answer is '%.32s', which is none of the %d choices; a letter or a "
                        "number from 0 belongs there",
                        lmw_text_at(row, paths, arena) ? lmw_text_at(row, paths, arena) : "?",
                        it->n_choice);
    return it->reference ? 0 : missing(s, row, paths, err);
}

/* A file's name without its split: "law" of law_test.csv. */
static const char *name_of_file(const struct lmw_source *s, struct lmw_arena *arena)
{
    lmw_str stem = lmw_str_from(s->stem);
    const char *cut = strrchr(s->stem, '_');

    if (cut && (strcmp(cut, "_test") == 0 || strcmp(cut, "_val") == 0 || strcmp(cut, "_dev") == 0))
        stem.len = (size_t)(cut - s->stem);
    return lmw_arena_str(arena, stem);
}

/* The CSV files have a column for each choice, and their subject in the name alone. */
static int mmlu(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
                struct lmw_arena *arena, struct lmw_err *err)
{
    int rc = 0;

    for (int i = 0; i < 4 && it->n_choice == i && rc == 0; i++)
        if (at(row, letter(i)))
            rc = add_choice(it, at(row, letter(i)), err);
    if (rc < 0 || it->n_choice < 2)
        return rc < 0 ? rc : missing(s, row, "choices|A", err);
    if (!it->domain)
        it->domain = name_of_file(s, arena);
    return lettered(s, row, it, arena, err);
}

/* Published with the right answer first: the order is drawn from the question's own text, so that
 * it is the same in every run. */
static int gpqa(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
                struct lmw_arena *arena, struct lmw_err *err)
{
    static const char *const column[] = {"Correct Answer", "Incorrect Answer 1",
                                         "Incorrect Answer 2", "Incorrect Answer 3"};
    int order[4] = {0, 1, 2, 3}, rc = 0;
    struct lmw_rng rng;

    lmw_rng_init(&rng, lmw_str_hash(lmw_str_from(it->question)));
    for (int i = 3; i > 0; i--) {
        int j = (int)lmw_rng_below(&rng, (uint32_t)i + 1), keep = order[i];
        order[i] = order[j];
        order[j] = keep;
    }
    for (int i = 0; i < 4 && rc == 0; i++) {
        const char *text = lmw_text_at(row, column[order[i]], arena);
        if (!text)
            return missing(s, row, column[order[i]], err);
        lmw_str trimmed = lmw_str_trim(lmw_str_from(text));
        it->choice[it->n_choice++] = lmw_arena_str(arena, trimmed);
        if (order[i] == 0)
            it->reference = letter(i);
    }
    return rc;
}

/* AI2's CSV has the choices in the question: "What is it? (A) one (B) two", or (1), (2). The
 * letter where `key` stands; NULL where the text is not like that. */
static const char *split_question(struct lmw_item *it, const char *key, struct lmw_arena *arena)
{
    char mark[] = "(A) ";
    const char *from = strstr(it->question, mark), *right = NULL;

    if (!from)
        mark[1] = '1', from = strstr(it->question, mark);
    lmw_str question = {it->question, from ? (size_t)(from - it->question) : 0};
    for (const char *end; from && it->n_choice < LMW_CHOICES_MAX; from = end) {
        if (key[0] == mark[1] && !key[1])
            right = letter(it->n_choice);
        from += strlen(mark);
        mark[1]++;
        end = strstr(from, mark);
        lmw_str text = {from, end ? (size_t)(end - from) : strlen(from)};
        it->choice[it->n_choice++] = lmw_arena_str(arena, lmw_str_trim(text));
    }
    it->question = lmw_arena_str(arena, lmw_str_trim(question));
    return right;
}

/* Three shapes: AI2's own {"question": {"stem", "choices": [{"text", "label"}]}}, its CSV, and
 * hf's {"question", "choices": {"text": [], "label": []}}. Labels are letters or numbers. */
static int arc(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
               struct lmw_arena *arena, struct lmw_err *err)
{
    const json_t *list = at(row, "question.choices|choices"), *texts = at(row, "choices.text");
    const char *key = lmw_text_at(row, "answerKey|AnswerKey", arena);
    size_t n = json_array_size(texts ? texts : list);
    int rc = 0;

    if (!key)
        return missing(s, row, "answerKey|AnswerKey", err);
    if (!list)
        it->reference = split_question(it, key, arena);
    if (!it->question)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    for (size_t i = 0; i < n && rc == 0; i++) {
        const json_t *one = json_array_get(list, i);
        char path[40];
        snprintf(path, sizeof path, "choices.label.%zu", i);
        const char *label = lmw_text_at(one ? one : row, one ? "label" : path, arena);
        rc = add_choice(it, one ? json_object_get(one, "text") : json_array_get(texts, i), err);
        if (rc == 0 && label && strcmp(label, key) == 0)
            it->reference = letter((int)i);
    }
    if (rc < 0 || it->reference)
        return rc;
    return it->n_choice
               ? lmw_fail(err, LMW_EFORMAT, "no choice has the answer's label, '%.32s'", key)
               : missing(s, row, "question.choices|choices", err);
}

/* One file a task. Some ask for "(A)", some for one of two words, some for a number; the others'
 * answers are compared as a whole. */
static int bbh(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
               struct lmw_arena *arena, struct lmw_err *err)
{
    static const char *const words[][2] = {
        {"True", "False"}, {"Yes", "No"}, {"yes", "no"}, {"valid", "invalid"}};
    const char *t = it->reference ? it->reference : "";
    size_t digits = strspn(t + (*t == '-'), "0123456789");

    it->domain = name_of_file(s, arena);
    if (t[0] == '(' && isupper((unsigned char)t[1]) && strcmp(t + 2, ")") == 0) {
        it->reference = letter(t[1] - 'A');
        it->scorer = "choice";
    }
    if (digits > 0 && !t[digits + (*t == '-')])
        it->scorer = "numeric";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(t, words[i][0]) == 0 || strcmp(t, words[i][1]) == 0) {
            it->choice[it->n_choice++] = words[i][0];
            it->choice[it->n_choice++] = words[i][1];
            it->scorer = "choice";
        }
    return 0;
}

static bool is_by(const json_t *turn, const char *role)
{
    const char *by = json_string_value(json_object_get(turn, "role"));
    return by && strcmp(by, role) == 0;
}

/* The first user turn; the logged answer to it is what the published harness compares with. */
static int wildchat(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
                    struct lmw_arena *arena, struct lmw_err *err)
{
    const json_t *turns = at(row, "conversation"), *turn, *next;
    size_t i = 0, n = json_array_size(turns);

    while (i < n && !is_by(json_array_get(turns, i), "user"))
        i++;
    if (i == n)
        return has(row, "conversation")
                   ? lmw_fail(err, LMW_EFORMAT,
                              "the conversation is no list with a turn of role 'user'")
                   : missing(s, row, "conversation", err);
    turn = json_array_get(turns, i);
    next = json_array_get(turns, i + 1);
    it->question = lmw_text_at(turn, "content", arena);
    it->question = it->question ? it->question : "";
    it->id = lmw_text_at(turn, "turn_identifier", arena);
    it->reference = is_by(next, "assistant") ? lmw_text_at(next, "content", arena) : NULL;
    return 0;
}

/* Any of the aliases is right: the reference is an array of them, the usual one first. The test
 * split's answers are not published: "<unk>". */
static int triviaqa(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
                    struct lmw_arena *arena, struct lmw_err *err)
{
    const json_t *aliases = at(row, "answer.aliases|Answer.Aliases"), *alias;
    size_t i;

    if (!it->reference || strcmp(it->reference, "<unk>") == 0) {
        it->reference = NULL;
        return 0;
    }
    json_t *all = json_pack("[s]", it->reference);
    json_array_foreach(aliases, i, alias) if (json_is_string(alias) &&
                                              !json_equal(alias, json_array_get(all, 0)))
        json_array_append(all, (json_t *)alias);
    char *text = json_dumps(all, JSON_COMPACT);
    it->reference = text ? lmw_arena_str(arena, lmw_str_from(text)) : NULL;
    free(text);
    json_decref(all);
    return it->reference ? 0 : lmw_fail(err, LMW_ENOMEM, "out of memory");
}

/* A label must be a name: some copies hold its number, and what it stands for is elsewhere. The
 * domain is the row's, or the label's as the file beside has it. */
static int label(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
                 struct lmw_arena *arena, struct lmw_err *err)
{
    if (!it->reference || strspn(it->reference, "0123456789") == strlen(it->reference))
        return lmw_fail(err, LMW_EFORMAT,
                        "the label is %s; take a file that has the names: %s, or a page of the "
                        "Hub's rows API",
                        it->reference ? "a number" : "empty", s->preset->help);
    const json_t *domain = json_object_get(s->domain_of, it->reference);
    if (domain)
        it->domain = json_string_value(domain);
    return 0;
}

/* ---- the table ---- */

#define RULES(...) (&(const struct lmw_preset_rules){__VA_ARGS__})

const struct lmw_preset lmw_presets[] = {
    /* github.com/openai/grade-school-math, data/test.jsonl; hf openai/gsm8k */
    {"gsm8k", "test.jsonl: question, answer (ends in `#### 18`)", "numeric",
     RULES(.task = LMW_TASK_NUMBER, .question = "question", .reference = "answer",
           .finish = gsm8k)},
    /* github.com/openai/prm800k, math_splits/test.jsonl; hf HuggingFaceH4/MATH-500;
     * github.com/openai/simple-evals, math_500_test.csv has Question and Answer alone */
    {"math-500", "test.jsonl: problem, solution, answer, subject", "math",
     RULES(.task = LMW_TASK_MATH, .id = "unique_id", .question = "problem|Question",
           .reference = "answer|Answer", .worked = "solution", .domain = "subject",
           .keep = "level")},
    /* github.com/hendrycks/test: CSV without a header, a file a subject; hf cais/mmlu;
     * simple-evals' mmlu.csv; hf lukaemon/mmlu: input, A, B, C, D, target */
    {"mmlu",
     "SUBJECT_test.csv (question, A, B, C, D, answer), or question, choices, answer, subject",
     "choice",
     RULES(.task = LMW_TASK_CHOICE, .question = "question|Question|input", .choices = "choices",
           .reference = "answer|Answer|target", .domain = "subject|Subject", .nested = "choices",
           .finish = mmlu, .shots_by_domain = true, .columns = "question,A,B,C,D,answer")},
    /* hf TIGER-Lab/MMLU-Pro */
    {"mmlu-pro", "question_id, question, options, answer_index or answer, category", "choice",
     RULES(.task = LMW_TASK_CHOICE, .id = "question_id", .question = "question",
           .choices = "options", .reference = "answer_index|answer", .worked = "cot_content",
           .domain = "category", .keep = "src", .nested = "options", .finish = lettered,
           .shots_by_domain = true)},
    /* hf m-a-p/SuperGPQA, SuperGPQA-all.jsonl */
    {"supergpqa", "SuperGPQA-all.jsonl: uuid, question, options, answer_letter, discipline",
     "choice",
     RULES(.task = LMW_TASK_CHOICE, .id = "uuid", .question = "question", .choices = "options",
           .reference = "answer_letter", .domain = "discipline",
           .keep = "field,subfield,difficulty", .nested = "options", .finish = lettered)},
    /* github.com/idavidrein/gpqa, gpqa_diamond.csv; hf Idavidrein/gpqa */
    {"gpqa", "gpqa_diamond.csv: Question, Correct Answer, Incorrect Answer 1 to 3", "choice",
     RULES(.task = LMW_TASK_CHOICE, .id = "Record ID", .question = "Question",
           .worked = "Explanation", .domain = "High-level domain", .keep = "Subdomain",
           .finish = gpqa)},
    /* allenai.org/data/arc, ARC-Challenge-Test.jsonl and .csv; hf allenai/ai2_arc */
    {"arc", "ARC-Challenge-Test.jsonl or .csv: id, question (stem and choices), answerKey",
     "choice",
     RULES(.task = LMW_TASK_CHOICE, .id = "id|questionID", .question = "question.stem|question",
           .nested = "choices,question", .finish = arc)},
    /* github.com/suzgunmirac/BIG-Bench-Hard, bbh/TASK.json; hf lukaemon/bbh */
    {"bbh", "bbh/TASK.json: examples of input and target", "exact",
     RULES(.task = LMW_TASK_FORM, .question = "input", .reference = "target", .finish = bbh,
           .shots_by_domain = true)},
    /* hf facebook/natural_reasoning */
    {"natural-reasoning", "question, reference_answer, responses", "judge",
     RULES(.task = LMW_TASK_PROSE, .question = "question", .reference = "reference_answer",
           .may_lack_reference = true, .worked = "responses.0.response|responses.response.0",
           .nested = "responses")},
    /* hf allenai/WildChat-1M; a conversation_hash is not unique, a turn_identifier is */
    {"wildchat", "conversation (its first user turn is asked), language", "judge",
     RULES(.task = LMW_TASK_AS_IS, .language = "language", .keep = "conversation_hash,turn,toxic",
           .nested = "conversation", .finish = wildchat)},
    /* nlp.cs.washington.edu/triviaqa, unfiltered-web-dev.json; hf mandarjoshi/trivia_qa */
    {"triviaqa", "unfiltered-web-dev.json, or question_id, question, answer (value and aliases)",
     "f1",
     RULES(.task = LMW_TASK_SHORT, .id = "question_id|QuestionId", .question = "question|Question",
           .reference = "answer.value|Answer.Value", .nested = "answer", .finish = triviaqa)},
    /* github.com/openai/simple-evals, simple_qa_test_set.csv: `metadata` is a Python dictionary;
     * hf google/simpleqa-verified has the topic in a column */
    {"simpleqa", "simple_qa_test_set.csv: metadata, problem, answer", "judge",
     RULES(.task = LMW_TASK_SHORT, .question = "problem", .reference = "answer",
           .domain = "topic|metadata.topic", .nested = "metadata")},
    /* github.com/clinc/oos-eval, data/data_full.json and domains.json beside it; hf clinc_oos */
    {"clinc150", "data_full.json: [text, intent] by split (domains.json beside), or text, intent",
     "normalized",
     RULES(.task = LMW_TASK_LABEL, .question = "0|text", .reference = "1|label_text|intent",
           .domain = "domain", .finish = label, .beside = "domains.json", .shots_split = "train")},
    /* github.com/PolyAI-LDN/task-specific-datasets, banking_data/test.csv; hf mteb/banking77 */
    {"banking77", "test.csv: text, category (or label_text)", "normalized",
     RULES(.task = LMW_TASK_LABEL, .question = "text", .reference = "category|label_text|label",
           .finish = label)},
    /* docs/shop-intents.md; hf jtlicardo/ecommerce-intent-6k has prompt, completion, language */
    {"shop-intents", "prompt, reference (or completion), language", "json",
     RULES(.task = LMW_TASK_AS_IS, .id = "query_id", .question = "prompt",
           .reference = "reference|completion", .domain = "domain", .language = "language",
           .keep = "template,template_seen,product_seen")},
    {0},
};

static bool is_same_name(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a && !isalnum((unsigned char)*a))
            a++;
        while (*b && !isalnum((unsigned char)*b))
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

const struct lmw_preset *lmw_preset_find(const char *name, struct lmw_err *err)
{
    char all[256] = "";

    for (const struct lmw_preset *p = lmw_presets; p->name; p++) {
        size_t n = strlen(all);
        if (is_same_name(p->name, name))
            return p;
        snprintf(all + n, sizeof all - n, "%s%s", n ? ", " : "", p->name);
    }
    lmw_fail(err, LMW_EARG, "no preset '%s'; there are %s", name, all);
    return NULL;
}

/* The fields of `nested` that are texts become what they say, where that is a list or so. */
static void unfold(const char *fields, json_t *row)
{
    char name[32];

    for (const char *end; fields; fields = *end ? end + 1 : NULL) {
        end = strchrnul(fields, ',');
        snprintf(name, sizeof name, "%.*s", (int)(end - fields), fields);
        json_t *text = json_object_get(row, name);
        json_t *v =
            json_is_string(text)
                ? lmw_literal_read((lmw_str){json_string_value(text), json_string_length(text)})
                : NULL;
        if (v)
            json_object_set_new(row, name, v);
    }
}

int lmw_item_read(const struct lmw_source *s, json_t *row, struct lmw_item *it,
                  struct lmw_arena *arena, struct lmw_err *err)
{
    const struct lmw_preset_rules *p = s->preset->rules;
    int rc = 0;

    unfold(p->nested, row);
    *it = (struct lmw_item){
        .id = p->id ? lmw_text_at(row, p->id, arena) : NULL,
        .question = p->question ? lmw_text_at(row, p->question, arena) : "",
        .reference = p->reference ? lmw_text_at(row, p->reference, arena) : NULL,
        .worked = p->worked ? lmw_text_at(row, p->worked, arena) : NULL,
        .domain = p->domain ? lmw_text_at(row, p->domain, arena) : NULL,
        .language = p->language ? lmw_text_at(row, p->language, arena) : NULL,
    };
    if (!it->question && has(row, p->question)) /* there, and empty: for the cleaning to say */
        it->question = "";
    if (!it->question)
        return missing(s, row, p->question, err);
    if (p->reference && !p->may_lack_reference && !has(row, p->reference))
        return missing(s, row, p->reference, err);
    if (p->choices && at(row, p->choices))
        rc = add_choices(at(row, p->choices), it, err);
    return rc == 0 && p->finish ? p->finish(s, row, it, arena, err) : rc;
}
