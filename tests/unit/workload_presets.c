/* Data sets as published, through the door: a row of each (made up, in the published shape), what
 * becomes of it, and what is refused. */
#include "workload_arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first record, or the error. */
static int first(const char *name, const char *text, const struct lmw_workload_opts *o,
                 struct lmw_record *r, struct lmw_arena *a, struct lmw_err *err)
{
    struct lmw_workload *w;
    int rc = lmw_workload_open_bytes_as(&w, lmw_str_from(text), name, o, err);

    if (rc < 0)
        return rc;
    rc = lmw_workload_next(w, r, a, err);
    lmw_workload_close(w);
    return rc;
}

static const char *extra(const struct lmw_record *r, const char *key, struct lmw_arena *a)
{
    json_t *o = json_loads(r->extra ? r->extra : "{}", 0, NULL), *v = json_object_get(o, key);
    char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const char *kept = text ? lmw_arena_str(a, lmw_str_from(text)) : "null";

    free(text);
    json_decref(o);
    return kept;
}

static const struct {
    const char *preset, *file, *text;
    const char *facts; /* id|domain|reference|choices|scorer */
    const char *prompt;
} rows[] = {
    {"gsm8k", "test.jsonl",
     "{\"question\":\"Ann has 3 bags of 400 nuts. How many nuts?\",\"answer\":\"She has 3*400 = "
     "<<3*400=1200>>1,200 nuts.\\n#### 1,200\"}",
     "test-1|-|1200|-|\"numeric\"",
     "Problem: Ann has 3 bags of 400 nuts. How many nuts?\nAnswer:"},
    {"math-500", "test.jsonl",
     "{\"problem\":\"Find $x$.\",\"solution\":\"So $\\\\boxed{\\\\frac12}$.\",\"answer\":\"\\\\frac12\","
     "\"subject\":\"Algebra\",\"level\":2,\"unique_id\":\"test/algebra/1.json\"}",
     "test/algebra/1.json|Algebra|\\frac12|-|\"math\"", "Problem: Find $x$.\nAnswer:"},
    {"mmlu", "college_physics_test.csv", "\"What, then?\",one,two,\"three, or so\",four,C\n",
     "college_physics_test-1|college_physics|C|[\"one\",\"two\",\"three, or so\",\"four\"]|\"choice\"",
     "Question: What, then?\nA. one\nB. two\nC. three, or so\nD. four\nAnswer:"},
    {"mmlu", "all.jsonl",
     "{\"question\":\"Q\",\"subject\":\"law\",\"choices\":[\"a\",\"b\",\"c\",\"d\"],\"answer\":1}",
     "all-1|law|B|[\"a\",\"b\",\"c\",\"d\"]|\"choice\"", "D. d\nAnswer:"},
    {"mmlu-pro", "q.jsonl",
     "{\"question_id\":70,\"question\":\"Q\",\"options\":[\"a\",\"b\",\"c\"],\"answer\":\"C\","
     "\"answer_index\":2,\"cot_content\":\"\",\"category\":\"law\",\"src\":\"s\"}",
     "70|law|C|[\"a\",\"b\",\"c\"]|\"choice\"", "C. c\nAnswer:"},
    {"supergpqa", "SuperGPQA-all.jsonl",
     "{\"uuid\":\"u1\",\"question\":\"Q\",\"options\":[\"a\",\"b\"],\"answer\":\"b\","
     "\"answer_letter\":\"B\",\"discipline\":\"Law\",\"field\":\"F\",\"subfield\":\"S\","
     "\"difficulty\":\"easy\",\"is_calculation\":false}",
     "u1|Law|B|[\"a\",\"b\"]|\"choice\"", "B. b\nAnswer:"},
    {"arc", "ARC-Challenge-Test.jsonl",
     "{\"id\":\"M1\",\"question\":{\"stem\":\"Q\",\"choices\":[{\"text\":\"a\",\"label\":\"1\"},"
     "{\"text\":\"b\",\"label\":\"2\"}]},\"answerKey\":\"2\"}",
     "M1|-|B|[\"a\",\"b\"]|\"choice\"", "Question: Q\nA. a\nB. b\nAnswer:"},
    {"arc", "arc.jsonl",
     "{\"id\":\"M2\",\"question\":\"Q\",\"choices\":{\"text\":[\"a\",\"b\"],\"label\":[\"A\",\"B\"]},"
     "\"answerKey\":\"A\"}",
     "M2|-|A|[\"a\",\"b\"]|\"choice\"", "Question: Q\nA. a\nB. b\nAnswer:"},
    {"bbh", "date_understanding.json",
     "{\"canary\":\"x\",\"examples\":[{\"input\":\"Q\\nOptions:\\n(A) 1\\n(B) 2\",\"target\":\"(B)\"}]}",
     "date_understanding-1|date_understanding|B|-|\"choice\"", "Task: Q\nOptions:\n(A) 1"},
    {"bbh", "navigate.json", "{\"examples\":[{\"input\":\"Q\",\"target\":\"No\"}]}",
     "navigate-1|navigate|No|[\"Yes\",\"No\"]|\"choice\"", "Task: Q\nAnswer:"},
    {"natural-reasoning", "full.jsonl",
     "{\"question\":\"Why?\",\"reference_answer\":\"Because.\",\"responses\":[{\"response_model\":\"m\","
     "\"response\":\"Let us see.\"}]}",
     "full-1|-|Because.|-|\"judge\"", "Question: Why?\nAnswer:"},
    {"wildchat", "train.jsonl",
     "{\"conversation_hash\":\"h\",\"conversation\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":"
     "\"user\",\"content\":\"Hello\\nthere\",\"turn_identifier\":101},{\"role\":\"assistant\",\"content\":"
     "\"Hi.\"},{\"role\":\"user\",\"content\":\"More\"}],\"turn\":2,\"language\":\"English\"}",
     "101|-|Hi.|-|\"judge\"", "Hello\nthere"},
    {"triviaqa", "unfiltered-web-dev.json",
     "{\"Data\":[{\"Answer\":{\"Aliases\":[\"Oslo town\"],\"Value\":\"Oslo\"},\"Question\":\"Where?\","
     "\"QuestionId\":\"tc_1\"}],\"Domain\":\"unfiltered-web\",\"Version\":1.0}",
     "tc_1|-|[\"Oslo\",\"Oslo town\"]|-|\"f1\"", "Question: Where?\nAnswer:"},
    {"triviaqa", "v.jsonl",
     "{\"question\":\"Where?\",\"question_id\":\"tc_2\",\"answer\":{\"aliases\":[],\"value\":\"Oslo\"}}",
     "tc_2|-|[\"Oslo\"]|-|\"f1\"", "Question: Where?\nAnswer:"},
    {"simpleqa", "simple_qa_test_set.csv",
     "metadata,problem,answer\n\"{'topic': 'Art', 'urls': ['a', 'b']}\",Who?,Her\n",
     "simple_qa_test_set-1|Art|Her|-|\"judge\"", "Question: Who?\nAnswer:"},
    {"clinc150", "data_full.json",
     "{\"oos_val\":[[\"am i\",\"oos\"]],\"test\":[[\"pay it\",\"pay_bill\"],[\"hi\",\"greeting\"]]}",
     "data_full-1|-|oos|-|\"normalized\"",
     "Intents: greeting, oos, pay_bill\n\nMessage: am i\nAnswer:"},
    {"banking77", "test.csv", "text,category\nwhere is my card,card_arrival\nhm,lost_card\n",
     "test-1|-|card_arrival|-|\"normalized\"",
     "Intents: card_arrival, lost_card\n\nMessage: where is my card\nAnswer:"},
    {"shop-intents", "s.jsonl",
     "{\"query_id\":\"s-1\",\"domain\":\"refund\",\"prompt\":\"money back\",\"reference\":\"{}\","
     "\"language\":\"en\"}",
     "s-1|refund|{}|-|\"json\"", "money back"},
    /* the same data sets as their copies have them: the Hub's exports as CSV, its rows API, ... */
    {"gsm8k", "train.jsonl",
     "[\n {\"question\": \"Q\",\n  \"answer\": \"It is so.\\n#### 7\"}\n]\n",
     "train-1|-|7|-|\"numeric\"", "Problem: Q\nAnswer:"},
    {"math-500", "math_500_test.csv",
     ",Question,Answer\n0,\"What is $x$,\nthen?\",$\\frac{1}{2}$\n",
     "math_500_test-1|-|$\\frac{1}{2}$|-|\"math\"", "Problem: What is $x$,\nthen?\nAnswer:"},
    {"mmlu", "hf.csv",
     "question,subject,choices,answer\n\"Q, then?\",law,\"['a' \"\"two's\"\" 'c\\\\d'\n 'e, f']\",2\n",
     "hf-1|law|C|[\"a\",\"two's\",\"c\\\\d\",\"e, f\"]|\"choice\"",
     "B. two's\nC. c\\d\nD. e, f\nAnswer:"},
    {"mmlu", "hf.csv", "question,subject,choices,answer\nQ,law,\"['a', 'b']\",1\n",
     "hf-1|law|B|[\"a\",\"b\"]|\"choice\"", "B. b\nAnswer:"},
    {"mmlu", "mmlu.csv", ",Question,A,B,C,D,Answer,Subject\n0,Q,a,b,c,d,B,law\n",
     "mmlu-1|law|B|[\"a\",\"b\",\"c\",\"d\"]|\"choice\"", "D. d\nAnswer:"},
    {"mmlu", "law.jsonl",
     "{\"input\":\"Q\",\"A\":\"a\",\"B\":\"b\",\"C\":\"c\",\"D\":\"d\",\"target\":\"D\"}",
     "law-1|law|D|[\"a\",\"b\",\"c\",\"d\"]|\"choice\"", "D. d\nAnswer:"},
    {"mmlu-pro", "pro.csv",
     "question_id,question,options,answer,answer_index,cot_content,category,src\n70,Q,\"[\"\"a\"\",\"\"b\"\"]\",B,1,,law,s\n",
     "70|law|B|[\"a\",\"b\"]|\"choice\"", "B. b\nAnswer:"},
    {"arc", "arc.csv",
     "id,question,choices,answerKey\nM3,Q,\"{'text': array(['a', 'b'], dtype=object), 'label': array(['1', '2'],\n      dtype=object)}\",2\n",
     "M3|-|B|[\"a\",\"b\"]|\"choice\"", "Question: Q\nA. a\nB. b\nAnswer:"},
    {"arc", "ARC-Challenge-Test.csv",
     "questionID,originalQuestionID,AnswerKey,question,category\nM4,4,B,\"Which one? (A) one, or so (B) two (say)\",Test\n",
     "M4|-|B|[\"one, or so\",\"two (say)\"]|\"choice\"",
     "Question: Which one?\nA. one, or so\nB. two (say)\nAnswer:"},
    {"arc", "rows.json",
     "{\"features\":[{\"feature_idx\":0,\"name\":\"answerKey\",\"type\":{\"dtype\":\"string\",\"_type\":\"Value\"}}],\"rows\":[{\"row_idx\":5,\"row\":{\"id\":\"M5\",\"question\":\"Q\",\"choices\":{\"text\":[\"a\",\"b\"],\"label\":[\"A\",\"B\"]},\"answerKey\":\"B\"},\"truncated_cells\":[]}],\"num_rows_total\":1,\"partial\":false}",
     "M5|-|B|[\"a\",\"b\"]|\"choice\"", "B. b\nAnswer:"},
    {"bbh", "snarks.jsonl", "{\"input\":\"Q\\nOptions:\\n(A) 1\",\"target\":\"(A)\"}",
     "snarks-1|snarks|A|-|\"choice\"", "Task: Q\nOptions:\n(A) 1\nAnswer:"},
    {"wildchat", "old.csv",
     "conversation_id,model,conversation,turn,language\nh,m,\"[{'content': 'Say \\'é\\x21\\'', 'role': 'user', 'toxic': False, 'timestamp': datetime.datetime(2023, 4, 9, tzinfo=<UTC>)}\n {'content': 'Hi', 'role': 'assistant', 'timestamp': None}]\",1,English\n",
     "old-1|-|Hi|-|\"judge\"", "Say 'é!'"},
    {"triviaqa", "t.csv",
     "question,question_id,answer\nWhere?,tc_3,\"{'aliases': array(['Oslo town', \"\"Oslo's\"\"], dtype=object), 'value': 'Oslo'}\"\n",
     "tc_3|-|[\"Oslo\",\"Oslo town\",\"Oslo's\"]|-|\"f1\"", "Question: Where?\nAnswer:"},
    {"simpleqa", "verified.csv", "original_index,problem,answer,topic\n5,Who?,Her,Art\n",
     "verified-1|Art|Her|-|\"judge\"", "Question: Who?\nAnswer:"},
    {"clinc150", "rows.json",
     "{\"features\":[{\"feature_idx\":1,\"name\":\"intent\",\"type\":{\"names\":[\"greeting\",\"pay_bill\",\"oos\"],\"_type\":\"ClassLabel\"}}],\"rows\":[{\"row_idx\":0,\"row\":{\"text\":\"hi\",\"intent\":0},\"truncated_cells\":[]},{\"row_idx\":1,\"row\":{\"text\":\"pay\",\"intent\":1},\"truncated_cells\":[]}]}",
     "rows-1|-|greeting|-|\"normalized\"",
     "Intents: greeting, oos, pay_bill\n\nMessage: hi\nAnswer:"},
    {"banking77", "m.jsonl", "{\"text\":\"hm\",\"label\":11,\"label_text\":\"card_arrival\"}",
     "m-1|-|card_arrival|-|\"normalized\"", "Message: hm\nAnswer:"},
    {"shop-intents", "s.jsonl", "{\"query_id\":1,\"prompt\":\"money back\",\"completion\":\"{}\"}",
     "1|-|{}|-|\"json\"", "money back"},
};

static void every_preset_reads_its_data_set(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lmw_workload_opts o = {.preset = rows[i].preset};
        struct lmw_arena a = arena;
        struct lmw_record r;
        struct lmw_err err = {0};
        char got[512];

        if (first(rows[i].file, rows[i].text, &o, &r, &a, &err) != 1)
            fail_msg("%s: %s", rows[i].preset, err.msg);
        snprintf(got, sizeof got, "%s|%s|%s|%s|%s", r.query_id, r.domain ? r.domain : "-",
                 r.reference, r.choices ? r.choices : "-", extra(&r, "default_scorer", &a));
        assert_string_equal(got, rows[i].facts);
        size_t n = strlen(r.prompt), m = strlen(rows[i].prompt);
        if (!strstr(r.prompt, rows[i].prompt))
            fail_msg("%s: the prompt is: %s", rows[i].preset, r.prompt);
        assert_true(n >= m);
        assert_string_equal(r.workload, rows[i].preset);
    }
    for (const struct lmw_preset *p = lmw_presets; p->name;
         p++) { /* and each is in the table above */
        size_t i = 0;
        while (i < sizeof rows / sizeof *rows && strcmp(rows[i].preset, p->name) != 0)
            i++;
        if (i == sizeof rows / sizeof *rows && strcmp(p->name, "gpqa") != 0)
            fail_msg("%s is not tried", p->name);
    }
}

/* The four are shuffled by the question, the letter goes with the right one, for each of them. */
static void gpqa_hides_the_right_answer(void **state)
{
    struct lmw_workload_opts o = {.preset = "gpqa"};
    int where[4] = {0};

    for (int i = 0; i < 200; i++) {
        struct lmw_arena a = arena;
        struct lmw_record r, again;
        char text[400];
        snprintf(text, sizeof text,
                 "Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,"
                 "Incorrect Answer 3,High-level domain,Subdomain\n"
                 "r%d,Question %d?,right,\"wrong\n1\",wrong 2,wrong 3,Physics,Optics\n",
                 i, i);
        assert_int_equal(first("gpqa_diamond.csv", text, &o, &r, &a, NULL), 1);
        assert_int_equal(first("gpqa_diamond.csv", text, &o, &again, &a, NULL), 1);
        assert_string_equal(r.prompt, again.prompt);
        assert_string_equal(r.domain, "Physics");
        json_t *choices = json_loads(r.choices, 0, NULL);
        int letter = r.reference[0] - 'A';
        assert_string_equal(json_string_value(json_array_get(choices, (size_t)letter)), "right");
        json_decref(choices);
        where[letter]++;
    }
    for (int i = 0; i < 4; i++)
        assert_true(where[i] > 20);
}

static const char solved[] =
    "{\"question\":\"One and one?\",\"answer\":\"It is <<1+1=2>>2.\\n#### 2\"}\n"
    "{\"question\":\"Two and two?\",\"answer\":\"It is 4.\\n#### 4\"}\n"
    "{\"question\":\"Three and one?\",\"answer\":\"It is 4, too.\\n#### 4\"}\n";

static const char *save(const char *text)
{
    static char path[] = "/tmp/lmwatt-shots-XXXXXX";

    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void worked_examples_come_first(void **state)
{
    struct lmw_arena a = arena;
    struct lmw_record r, plain;
    struct lmw_err err = {0};
    struct lmw_workload_opts o = {.preset = "gsm8k", .shots = 2, .cot = true};

    o.shots_from = save(solved);
    if (first("t.jsonl", solved, &o, &r, &a, &err) != 1)
        fail_msg("%s", err.msg);
    /* not the question itself, and no calculator notes */
    assert_string_equal(strstr(r.prompt, "\n\n"),
                        "\n\nProblem: Two and two?\nReasoning: It is 4.\nAnswer: 4\n\n"
                        "Problem: Three and one?\nReasoning: It is 4, too.\nAnswer: 4\n\n"
                        "Problem: One and one?\nReasoning:");
    assert_string_equal(extra(&r, "prompt_template", &a), "\"gsm8k/cot/2-shot\"");
    unlink(o.shots_from);
    o = (struct lmw_workload_opts){.preset = "gsm8k"};
    assert_int_equal(first("t.jsonl", solved, &o, &plain, &a, &err), 1);
    assert_string_equal(extra(&plain, "prompt_template", &a), "\"gsm8k/direct/0-shot\"");
    assert_string_not_equal(extra(&plain, "prompt_template_hash", &a),
                            extra(&r, "prompt_template_hash", &a));
}

static void the_hash_is_of_the_wording_alone(void **state)
{
    struct lmw_workload_opts o = {.preset = "gsm8k"};
    struct lmw_arena a = arena;
    struct lmw_workload *w;
    struct lmw_record r[3];

    assert_int_equal(lmw_workload_open_bytes_as(&w, lmw_str_from(solved), "t", &o, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(lmw_workload_next(w, &r[i], &a, NULL), 1);
    lmw_workload_close(w);
    assert_string_equal(extra(&r[0], "prompt_template_hash", &a),
                        extra(&r[1], "prompt_template_hash", &a));
    o.cot = true;
    assert_int_equal(first("t", solved, &o, &r[2], &a, NULL), 1);
    assert_string_not_equal(extra(&r[0], "prompt_template_hash", &a),
                            extra(&r[2], "prompt_template_hash", &a));
}

static void write_to(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

/* MMLU's examples are of the question's own subject. */
static void examples_go_by_subject(void **state)
{
    const char *dev =
        "{\"question\":\"L1\",\"subject\":\"law\",\"choices\":[\"a\",\"b\"],\"answer\":0}\n"
        "{\"question\":\"P1\",\"subject\":\"physics\",\"choices\":[\"a\",\"b\"],\"answer\":1}\n";
    struct lmw_workload_opts o = {.preset = "mmlu", .shots = 1, .shots_from = save(dev)};
    struct lmw_arena a = arena;
    struct lmw_record r;
    struct lmw_err err = {0};

    const char *q =
        "{\"question\":\"P2\",\"subject\":\"physics\",\"choices\":[\"a\",\"b\"],\"answer\":0}";
    assert_int_equal(first("t.jsonl", q, &o, &r, &a, &err), 1);
    assert_string_equal(
        strstr(r.prompt, "\n\n"),
        "\n\nQuestion: P1\nA. a\nB. b\nAnswer: B\n\nQuestion: P2\nA. a\nB. b\nAnswer:");
    q = "{\"question\":\"A1\",\"subject\":\"art\",\"choices\":[\"a\",\"b\"],\"answer\":0}";
    assert_int_equal(first("t.jsonl", q, &o, &r, &a, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "'art'"));
    o.cot = true;
    assert_int_equal(first("t.jsonl", q, &o, &r, &a, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "--cot"));
    unlink(o.shots_from);
}

/* CLINC150's examples are of its training part, and each of another intent. */
static void examples_of_labels_differ(void **state)
{
    const char *all =
        "{\"val\":[[\"v\",\"a\"]],\"train\":[[\"t1\",\"b\"],[\"t2\",\"b\"],[\"t3\",\"a\"]],"
        "\"test\":[[\"q\",\"b\"]]}";
    struct lmw_workload_opts o = {.preset = "clinc150", .shots = 2, .split = "test"};
    struct lmw_arena a = arena;
    struct lmw_record r;
    struct lmw_err err = {0};
    const char *plain = save(all);
    char path[64];

    snprintf(path, sizeof path, "%s.json", plain);
    assert_int_equal(rename(plain, path), 0);
    o.shots_from = path;
    if (first("d.json", all, &o, &r, &a, &err) != 1)
        fail_msg("%s", err.msg);
    unlink(path);
    assert_string_equal(strstr(r.prompt, "\n\n"),
                        "\n\nMessage: t1\nAnswer: b\n\nMessage: t3\nAnswer: a\n\n"
                        "Message: q\nAnswer:");
}

/* A subject that stands in the name alone is that of the file it names. */
static void examples_of_another_subject(void **state)
{
    struct lmw_workload_opts o = {.preset = "mmlu", .shots = 1};
    struct lmw_arena a = arena;
    struct lmw_record r;
    struct lmw_err err = {0};
    char dir[] = "/tmp/lmwatt-shots-XXXXXX", path[64];

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/law_dev.csv", dir);
    write_to(path, "L,a,b,c,d,A\n");
    o.shots_from = path;
    assert_int_equal(first("law_test.csv", "Q,a,b,c,d,B\n", &o, &r, &a, &err), 1);
    assert_int_equal(first("art_test.csv", "Q,a,b,c,d,B\n", &o, &r, &a, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "'art'"));
    o.shots_from = dir;
    assert_int_equal(first("art_test.csv", "Q,a,b,c,d,B\n", &o, &r, &a, &err), LMW_EARG);
    unlink(path);
    rmdir(dir);
}

/* Of a folder each file has the examples of its own subject, or task. */
static void examples_in_a_folder(void **state)
{
    struct lmw_workload_opts mmlu = {.preset = "mmlu", .shots = 1};
    struct lmw_workload_opts bbh = {.preset = "bbh", .shots = 1};
    struct lmw_arena a = arena;
    struct lmw_record r;
    struct lmw_err err = {0};
    char dir[] = "/tmp/lmwatt-shots-XXXXXX", law[64], art[64], dot[64];

    assert_non_null(mkdtemp(dir));
    snprintf(law, sizeof law, "%s/law_dev.csv", dir);
    snprintf(art, sizeof art, "%s/art_dev.csv", dir);
    snprintf(dot, sizeof dot, "%s/.DS_Store", dir);
    write_to(law, "L,a,b,c,d,A\n");
    write_to(art, "P,a,b,c,d,A\n");
    write_to(dot, "\x01\xff");
    mmlu.shots_from = bbh.shots_from = dir;
    assert_int_equal(first("law_test.csv", "Q,a,b,c,d,B\n", &mmlu, &r, &a, &err), 1);
    assert_non_null(strstr(r.prompt, "Question: L"));
    assert_null(strstr(r.prompt, "Question: P"));
    unlink(law);
    unlink(art);
    snprintf(law, sizeof law, "%s/navigate.json", dir);
    write_to(law, "{\"examples\":[{\"input\":\"N\",\"target\":\"Yes\"}]}");
    assert_int_equal(
        first("navigate.jsonl", "{\"input\":\"M\",\"target\":\"No\"}", &bbh, &r, &a, &err), 1);
    assert_non_null(strstr(r.prompt, "Task: N\nAnswer: Yes"));
    assert_int_equal(
        first("other.jsonl", "{\"input\":\"M\",\"target\":\"No\"}", &bbh, &r, &a, &err), LMW_EARG);
    unlink(law);
    unlink(dot);
    rmdir(dir);
}

/* What is asked twice stops the reading, and the advice helps. */
static void repeated_questions_are_dropped(void **state)
{
    const char *text = "{\"question_id\":\"1\",\"question\":\"Q\",\"answer\":{\"value\":\"v\"}}\n"
                       "{\"question_id\":\"1\",\"question\":\"Q\",\"answer\":{\"value\":\"v\"}}\n";
    struct lmw_workload_opts o = {.preset = "triviaqa"};
    struct lmw_workload *w;
    struct lmw_record r;

    for (int clean = 0; clean < 2; clean++) {
        struct lmw_arena a = arena;
        struct lmw_err err = {0};
        o.clean = clean;
        assert_int_equal(lmw_workload_open_bytes_as(&w, lmw_str_from(text), "t", &o, NULL), 0);
        assert_int_equal(lmw_workload_next(w, &r, &a, &err), 1);
        assert_int_equal(lmw_workload_next(w, &r, &a, &err), clean ? 0 : LMW_EFORMAT);
        assert_true(clean || strstr(err.msg, "--clean"));
        lmw_workload_close(w);
    }
}

static void refused(void **state)
{
    static const struct {
        const char *preset, *file, *text, *words;
    } bad[] = {
        {"gsm9k", "t.jsonl", "", "math-500"},
        {"gsm8k", "t.jsonl", "{\"problem\":\"x\",\"answer\":\"1\"}", "no 'question'"},
        {"gsm8k", "t.jsonl", "{\"question\":\"x\",\"answer\":\"1\"}", "####"},
        {"gsm8k", "t.jsonl", "{\"question\":\"x\",\"gold\":\"1\"}", "there are: question, gold"},
        {"mmlu-pro", "t.jsonl", "{\"question\":\"x\",\"answer\":\"A\"}", "no 'options'"},
        {"mmlu", "t.csv", "Q,a,b,c,A\n", "columns named"},
        {"mmlu", "t.csv", "question,choices,answer\nQ,\"['a', 'b'\",1\n", "list"},
        {"mmlu", "t.csv", "question,choices,answer\nQ,\"['a' ... 'b']\",1\n", "list"},
        {"mmlu", "t.csv", "question,choices,answer\nQ,\"['a', 'b']\",2\n", "none of the 2"},
        {"arc", "t.csv", "questionID,AnswerKey,question\n1,C,Q (A) a (B) b\n", "'C'"},
        {"banking77", "t.json",
         "{\"features\":[],\"rows\":[{\"row_idx\":0,\"row\":{\"text\":\"x\",\"label\":\"y\"},"
         "\"truncated_cells\":[\"text\"]}]}",
         "'text' short"},
        {"mmlu-pro", "t.jsonl", "{\"question_id\":1,\"question\":\"x\",\"options\":[\"a\",\"b\"]}",
         "answer"},
        {"mmlu-pro", "t.jsonl",
         "{\"question_id\":1,\"question\":\"x\",\"options\":[\"a\",\"b\"],\"answer\":\"C\"}",
         "answer"},
        {"mmlu-pro", "t.jsonl",
         "{\"question_id\":1,\"question\":\"x\",\"options\":[\"a\",5],\"answer\":\"A\"}", "texts"},
        {"wildchat", "t.jsonl", "{\"conversation\":[]}", "'user'"},
        {"banking77", "t.jsonl", "{\"text\":\"x\",\"label\":11}", "a number"},
        {"arc", "t.jsonl", "{\"id\":\"1\",\"question\":\"x\",\"answerKey\":\"A\"}", "choices"},
    };
    struct lmw_arena a = arena;
    struct lmw_record r;
    struct lmw_err err;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lmw_workload_opts o = {.preset = bad[i].preset};
        err = (struct lmw_err){0};
        assert_true(first(bad[i].file, bad[i].text, &o, &r, &a, &err) < 0);
        if (!strstr(err.msg, bad[i].words))
            fail_msg("message is: %s", err.msg);
    }
    struct lmw_workload_opts o = {.preset = "wildchat", .cot = true};
    assert_int_equal(first("t", "", &o, &r, &a, &err), LMW_EARG);
    o = (struct lmw_workload_opts){.preset = "gsm8k", .shots = 3};
    assert_int_equal(first("t", "", &o, &r, &a, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "--shots-from"));
    o = (struct lmw_workload_opts){.preset = "gsm8k", .map = "prompt=question"};
    assert_int_equal(first("t", "", &o, &r, &a, &err), LMW_EARG);
    o = (struct lmw_workload_opts){.preset = "gsm8k", .split = "test"};
    assert_int_equal(first("t", "", &o, &r, &a, &err), LMW_EARG);
}

static void reasoning_changes_the_scorer(void **state)
{
    static const struct {
        const char *preset, *file, *text, *direct, *cot;
    } rows_of[] = {
        {"Math500", "t.jsonl",
         "{\"unique_id\":\"1\",\"problem\":\"p\",\"answer\":\"1\",\"subject\":\"s\"}", "\"math\"",
         "\"math\""},
        {"BBH", "t.jsonl", "{\"input\":\"p\",\"target\":\"yes it is\"}", "\"exact\"", "\"judge\""},
        {"BBH", "t.jsonl", "{\"input\":\"p\",\"target\":\"yes\"}", "\"choice\"", "\"choice\""},
        {"BBH", "t.jsonl", "{\"input\":\"p\",\"target\":\"-35\"}", "\"numeric\"", "\"numeric\""},
        {"BBH", "t.jsonl", "{\"input\":\"p\",\"target\":\"-\"}", "\"exact\"", "\"judge\""},
        {"bbh", "t.jsonl", "{\"input\":\"p\",\"target\":\"(A)\"}", "\"choice\"", "\"choice\""},
    };

    for (size_t i = 0; i < sizeof rows_of / sizeof *rows_of; i++)
        for (int cot = 0; cot < 2; cot++) {
            struct lmw_workload_opts o = {.preset = rows_of[i].preset, .cot = cot};
            struct lmw_arena a = arena;
            struct lmw_record r;
            struct lmw_err err = {0};
            if (first(rows_of[i].file, rows_of[i].text, &o, &r, &a, &err) != 1)
                fail_msg("%s", err.msg);
            assert_string_equal(extra(&r, "default_scorer", &a),
                                cot ? rows_of[i].cot : rows_of[i].direct);
        }
}

static void splits_are_chosen(void **state)
{
    const char *text =
        "{\"train\":[[\"a\",\"x\"]],\"test\":[[\"b\",\"y\"],[\"c\",\"x\"]],\"oos_test\":[[\"d\","
        "\"oos\"]],\"tes\":[[\"e\",\"x\"]]}";
    struct lmw_workload_opts o = {.preset = "clinc150", .split = "test,oos_test"};
    struct lmw_arena a = arena;
    struct lmw_workload *w;
    struct lmw_record r;
    const char *want[] = {"d-2", "d-3", "d-4"};

    assert_int_equal(lmw_workload_open_bytes_as(&w, lmw_str_from(text), "d.json", &o, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lmw_workload_next(w, &r, &a, NULL), 1);
        assert_string_equal(r.query_id, want[i]);
        assert_string_equal(extra(&r, "split", &a), i < 2 ? "\"test\"" : "\"oos_test\"");
    }
    assert_int_equal(lmw_workload_next(w, &r, &a, NULL), 0);
    lmw_workload_close(w);

    struct lmw_err err = {0};
    o.split = "test,dev";
    assert_int_equal(lmw_workload_open_bytes_as(&w, lmw_str_from(text), "d.json", &o, NULL), 0);
    while (lmw_workload_next(w, &r, &a, &err) > 0)
        ;
    assert_non_null(strstr(err.msg, "no array 'dev' in this document; there are: train, test"));
    lmw_workload_close(w);
}

/* ---- the real files, where they are ---- */

static int64_t count(const char *path, const struct lmw_workload_opts *o, int64_t *n_domain)
{
    struct lmw_workload *w;
    struct lmw_record r;
    struct lmw_err err = {0};
    int64_t n = 0;
    int rc;

    if (lmw_workload_open_as(&w, path, o, &err) < 0)
        fail_msg("%s", err.msg);
    for (struct lmw_arena a = arena; (rc = lmw_workload_next(w, &r, &a, &err)) > 0; a = arena) {
        n++;
        *n_domain += r.domain != NULL;
        assert_true(r.reference && r.reference[0]);
    }
    lmw_workload_close(w);
    if (rc < 0)
        fail_msg("%s", err.msg);
    return n;
}

static void real_files_read_whole(void **state)
{
    static const struct {
        const char *path;
        struct lmw_workload_opts o;
        int64_t n, n_domain;
    } files[] = {
        {"data/gsm8k/grade_school_math/data/test.jsonl", {.preset = "gsm8k"}, 1319, 0},
        {"data/mmlu_pro/questions.jsonl", {.preset = "mmlu-pro"}, 12032, 12032},
        {"data/clinc150/data/data_full.json", {.preset = "clinc150"}, 23700, 22500},
        {"data/clinc150/data/data_full.json", {.preset = "clinc150", .split = "test"}, 4500, 4500},
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *shared = getenv("LMW_SHARED");
        int64_t n_domain = 0;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", shared ? shared : "../shared", files[i].path);
        if (access(path, R_OK) != 0) {
            print_message("skipped: %s is not there\n", path);
            skip();
        }
        assert_int_equal(count(path, &files[i].o, &n_domain), files[i].n);
        assert_int_equal(n_domain, files[i].n_domain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_reads_its_data_set),
        cmocka_unit_test(gpqa_hides_the_right_answer),
        cmocka_unit_test(worked_examples_come_first),
        cmocka_unit_test(the_hash_is_of_the_wording_alone),
        cmocka_unit_test(examples_go_by_subject),
        cmocka_unit_test(examples_of_labels_differ),
        cmocka_unit_test(examples_of_another_subject),
        cmocka_unit_test(examples_in_a_folder),
        cmocka_unit_test(repeated_questions_are_dropped),
        cmocka_unit_test(refused),
        cmocka_unit_test(reasoning_changes_the_scorer),
        cmocka_unit_test(splits_are_chosen),
        cmocka_unit_test(real_files_read_whole),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
