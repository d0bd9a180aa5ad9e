/* The judge through its door: scorers and a scripted judge model over stored answers. */
#include "study/judge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], db[96];

/* The judge says replies[i] to its i-th question, over and over; rc[] likewise. */
static struct {
    const char *replies[8];
    int n, asked, fail_at, n_fail, fail_with; /* n_fail of them, from fail_at on; 0: one */
    char prompts[16][2048];
    float temperature[16];
} script;

static int open_judge(void **state, const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    *state = &script;
    return LMW_OK;
}

static void info(void *state, struct lmw_backend_info *out)
{
    snprintf(out->name, sizeof out->name, "wise");
}

static int answer(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                  struct lmw_err *err)
{
    int i = script.asked++;
    if (i < 16) {
        snprintf(script.prompts[i], sizeof script.prompts[i], "%.*s", LMW_FMT(request->prompt));
        script.temperature[i] = request->temperature;
    }
    int i_fail = script.asked - script.fail_at;
    if (script.fail_at && i_fail >= 0 && i_fail <= script.n_fail - (script.n_fail > 0))
        return lmw_fail(err, script.fail_with, "the server burns");
    lmw_buf_str(&reply->text, script.replies[i % script.n]);
    reply->n_prompt = 100;
    reply->n_answer = 10;
    reply->t_start_ns = 1000;
    reply->t_end_ns = 3000;
    return LMW_OK;
}

static void close_judge(void *state)
{
}

static const struct lmw_backend_ops ops = {
    .name = "scripted", .open = open_judge, .info = info, .answer = answer, .close = close_judge};

#define RIGHT "{\"reason\":\"same\",\"verdict\":true}"
#define WRONG "{\"reason\":\"other\",\"verdict\":false}"

/* A judge that takes several questions and answers the last one first, by what is in them. */
static struct {
    const struct lmw_request *requests[8];
    struct lmw_reply *replies[8];
    int n, most;
    const char *burns; /* the question with this in it fails */
} late;

static int late_send(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                     struct lmw_err *err)
{
    late.requests[late.n] = request;
    late.replies[late.n++] = reply;
    late.most = late.n > late.most ? late.n : late.most;
    script.asked++;
    return LMW_OK;
}

static int late_wait(void *state, int64_t until_ns, struct lmw_reply **done, struct lmw_err *err)
{
    const struct lmw_request *request = late.requests[--late.n];
    struct lmw_reply *r = *done = late.replies[late.n];
    char *prompt = strndup(request->prompt.ptr, request->prompt.len);
    r->rc = late.burns && strstr(prompt, late.burns)
                ? lmw_fail(&r->err, LMW_EUNAVAILABLE, "the server burns")
                : LMW_OK;
    lmw_buf_str(&r->text, script.n                             ? script.replies[0]
                          : strstr(prompt, "The answer is B.") ? RIGHT
                          : strstr(prompt, "The answer is C.") ? WRONG
                                                               : "no verdict");
    r->t_start_ns = 1000;
    r->t_end_ns = 3000;
    free(prompt);
    return 1;
}

static const struct lmw_backend_ops late_ops = {.name = "late",
                                                .open = open_judge,
                                                .info = info,
                                                .send = late_send,
                                                .wait = late_wait,
                                                .close = close_judge};

static void says(int n, const char *const *replies)
{
    memset(&script, 0, sizeof script);
    memcpy(script.replies, replies, (size_t)n * sizeof *replies);
    script.n = n;
}
#define SAYS(...) \
    says(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

/* --- a store with two runs --- */

static void add(struct lmw_store *s, int64_t run, const char *id, const char *text)
{
    struct lmw_record r;
    struct lmw_err err = {0};
    lmw_record_clear(&r);
    r.query_id = id;
    r.prompt = "Which letter?";
    r.reference = "B";
    r.answer = text;
    r.error = text ? NULL : "it broke";
    if (lmw_store_add(s, run, &r, &err) < 0)
        fail_msg("%s", err.msg);
}

static struct lmw_store *open_store(void)
{
    struct lmw_store *s;
    assert_int_equal(lmw_store_open(&s, db, NULL), LMW_OK);
    return s;
}

static int set_up(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/lmwatt-judge-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(db, sizeof db, "%s/s.db", folder);
    struct lmw_store *s = open_store();
    static const char *const names[] = {"ours", "theirs"};
    for (int i = 0; i < 2; i++) {
        struct lmw_run r = {
            .name = names[i], .settings_hash = "0123456789abcdef", .settings = "{}"};
        bool there;
        lmw_store_begin_run(s, &r, &there, NULL);
        add(s, r.id, "q1", "The answer is B.");
        add(s, r.id, "q2", i ? "It is C, I think." : "The answer is C.");
        add(s, r.id, "q3", i ? "B" : "no idea");
        if (i == 0)
            add(s, r.id, "q4", NULL);
    }
    lmw_store_close(s);
    return 0;
}

static int tear_down(void **state)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct lmw_judge_opts by_model(void)
{
    return (struct lmw_judge_opts){.run = "ours",
                                   .backend = &ops,
                                   .backend_opts = {.model = "m", .max_tokens = 50},
                                   .n_try = 3,
                                   .usd_per_mtok_in = 1,
                                   .usd_per_mtok_out = 10};
}

static int judge(const struct lmw_judge_opts *o, struct lmw_judge_result *r, struct lmw_err *err)
{
    struct lmw_store *s = open_store();
    int rc = lmw_judge_run(s, o, r, err);
    lmw_store_close(s);
    return rc;
}

/* What the run's records show: "10--", with the scorer's name; reasons[] of each. */
static char reasons[4][512];
static void shows(const char *scorer, const char *scores)
{
    struct lmw_store *s = open_store();
    struct lmw_arena arena = {0};
    struct lmw_run *runs;
    struct lmw_records *it;
    struct lmw_record r;
    char got[16] = "";
    assert_int_equal(lmw_arena_open(&arena, 1 << 20, NULL), LMW_OK);
    assert_int_equal(lmw_store_runs(s, &arena, &runs, NULL), 2);
    assert_int_equal(lmw_records_open(&it, s, runs[0].id, NULL), LMW_OK);
    for (int i = 0; lmw_records_next(it, &r, NULL) == 1 && i < 4; i++) {
        strcat(got, isnan(r.score) ? "-" : r.score == 1 ? "1" : "0");
        snprintf(reasons[i], sizeof reasons[i], "%s", r.score_reason ? r.score_reason : "");
        if (scorer)
            assert_string_equal(r.scorer, scorer);
        else
            assert_null(r.scorer);
    }
    lmw_records_close(it);
    lmw_arena_close(&arena);
    lmw_store_close(s);
    assert_string_equal(got, scores);
}

/* Whether any byte of the store says so. */
static bool is_stored(const char *text)
{
    char command[256];
    snprintf(command, sizeof command, "cat %s/* | grep -aqF '%s'", folder, text);
    return system(command) == 0;
}

/* --- --- */

static void test_by_scorer(void **state)
{
    struct lmw_judge_result r;
    struct lmw_err err = {0};
    struct lmw_judge_opts o = {.run = "ours", .scorer = "choice"};
    shows(NULL, "----");
    assert_int_equal(judge(&o, &r, &err), LMW_OK);
    assert_string_equal(r.name, "choice");
    assert_true(r.n_record == 4 && r.n_done == 4 && r.n_scored == 2 && r.n_unscorable == 2);
    assert_true(r.accuracy == 0.5 && r.accuracy_all == 0.25);
    assert_int_equal(r.energy_uj, LMW_NULL);
    shows("choice", "10--");
    assert_non_null(strstr(reasons[2], "no choice"));
    assert_int_equal(judge(&o, &r, &err), LMW_OK); /* anew: it costs nothing */
    assert_int_equal(r.n_done, 4);
    o.run = "nobody";
    assert_int_equal(judge(&o, &r, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "ours, theirs"));
    o = (struct lmw_judge_opts){.run = "ours", .scorer = "guess"};
    assert_int_equal(judge(&o, &r, &err), LMW_EARG);
}

static void test_by_model(void **state)
{
    struct lmw_judge_result r;
    struct lmw_err err = {0};
    struct lmw_judge_opts o = by_model();
    SAYS(RIGHT, WRONG, "Sure! " RIGHT, "```json\n" RIGHT "\n```");
    assert_int_equal(judge(&o, &r, &err), LMW_OK);
    assert_string_equal(r.name, "judge:wise");
    assert_int_equal(script.asked, 4); /* q3 twice, q4 not at all */
    assert_true(r.n_scored == 3 && r.n_unscorable == 1 && fabs(r.accuracy - 2.0 / 3) < 1e-12);
    assert_true(r.prompt_tokens == 400 && r.completion_tokens == 40);
    assert_true(fabs(r.cost_usd - (400 * 1 + 40 * 10) / 1e6) < 1e-12);
    shows("judge:wise", "101-");
    assert_string_equal(reasons[1], "other");
    assert_string_equal(reasons[3], "there is no answer");
    assert_non_null(strstr(script.prompts[0], "Which letter?"));
    assert_non_null(strstr(script.prompts[0], "\nB\n"));
    assert_non_null(strstr(script.prompts[0], "The answer is B."));
    assert_true(script.temperature[2] == 0 && script.temperature[3] > 0);
}

static void test_no_verdict_is_unscorable(void **state)
{
    struct lmw_judge_result r;
    struct lmw_judge_opts o = by_model();
    SAYS("I would say it is right.");
    assert_int_equal(judge(&o, &r, NULL), LMW_OK);
    assert_int_equal(script.asked, 9); /* three answers, three tries */
    assert_true(r.n_unscorable == 4 && isnan(r.accuracy) && isnan(r.accuracy_all));
    shows("judge:wise", "----");
    assert_non_null(strstr(reasons[0], "no verdict"));
}

static void test_it_goes_on_where_it_stopped(void **state)
{
    struct lmw_judge_result r;
    struct lmw_err err = {0};
    struct lmw_judge_opts o = by_model();
    SAYS(RIGHT);
    script.fail_at = 2;
    script.fail_with = LMW_EUNAVAILABLE;
    assert_int_equal(judge(&o, &r, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "q2"));
    assert_non_null(strstr(err.msg, "burns"));
    shows(NULL, "----");
    SAYS(RIGHT);
    assert_int_equal(judge(&o, &r, &err), LMW_OK);
    assert_int_equal(script.asked, 2); /* q2, q3 */
    assert_true(r.n_there == 1 && r.n_done == 3 && r.prompt_tokens == 300);
    shows("judge:wise", "111-");
}

/* A judge that is told something else is another judge: its verdicts do not mix with the
 * first's. */
static void test_another_judge_begins_anew(void **state)
{
    struct lmw_judge_result r;
    struct lmw_judge_opts o = by_model();
    struct lmw_backend_opts told[] = {{.system = "Be strict."},
                                      {.thinking = LMW_THINKING_OFF},
                                      {.body = "{}"},
                                      {.url = "http://me:secret@there/v1"},
                                      {.command = "x"}};
    SAYS(WRONG);
    script.fail_at = 2;
    script.fail_with = LMW_EUNAVAILABLE;
    assert_int_equal(judge(&o, &r, NULL), LMW_EUNAVAILABLE);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        o.backend_opts = told[i];
        o.backend_opts.model = "m";
        o.backend_opts.max_tokens = 50;
        SAYS(RIGHT);
        assert_int_equal(judge(&o, &r, NULL), LMW_OK);
        assert_int_equal(r.n_there, 0);
        shows("judge:wise", "111-");
    }
    assert_false(is_stored("secret"));
    assert_true(is_stored("there/v1"));
}

/* What is too long for the judge is unscorable; the others are judged. */
static void test_a_question_the_judge_cannot_take(void **state)
{
    struct lmw_judge_result r;
    struct lmw_judge_opts o = by_model();
    SAYS(RIGHT);
    script.fail_at = 2;
    script.fail_with = LMW_EARG;
    assert_int_equal(judge(&o, &r, NULL), LMW_OK);
    shows("judge:wise", "1-1-");
    assert_non_null(strstr(reasons[1], "burns"));
}

/* One that fails would fail again: it is unscorable, if others are answered, whichever comes
 * first. */
static void test_a_question_the_judge_fails_at(void **state)
{
    static const char *const shown[] = {"-11-", "1-1-", "11--"};
    for (int at = 1; at <= 3; at++) {
        struct lmw_judge_result r;
        struct lmw_judge_opts o = by_model();
        o.n_try = 1 + at; /* other settings: judged anew */
        SAYS(RIGHT);
        script.fail_at = at;
        script.fail_with = LMW_EIO;
        assert_int_equal(judge(&o, &r, NULL), LMW_OK);
        assert_true(r.n_done == 4 && r.n_scored == 2);
        shows("judge:wise", shown[at - 1]);
        assert_non_null(strstr(reasons[at - 1], "burns"));
    }
}

static void test_a_judge_that_fails_at_everything(void **state)
{
    struct lmw_judge_result r;
    struct lmw_err err = {0};
    struct lmw_judge_opts o = by_model();
    SAYS(RIGHT);
    script.fail_at = 1;
    script.n_fail = 99;
    script.fail_with = LMW_EIO;
    assert_int_equal(judge(&o, &r, &err), LMW_EIO);
    assert_non_null(strstr(err.msg, "q1"));
    assert_non_null(strstr(err.msg, "burns"));
    shows(NULL, "----");
    SAYS(RIGHT);
    assert_int_equal(judge(&o, &r, &err), LMW_OK); /* each is asked again */
    shows("judge:wise", "111-");
}

/* One that answered and then fails at one after the other is down: none of them is judged. */
static void test_a_judge_that_goes_down(void **state)
{
    struct lmw_judge_result r;
    struct lmw_err err = {0};
    struct lmw_judge_opts o = by_model();
    struct lmw_store *s = open_store();
    struct lmw_run run = {.name = "ours", .settings_hash = "0123456789abcdef", .settings = "{}"};
    char id[24];
    bool there;
    lmw_store_begin_run(s, &run, &there, NULL);
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "more-%d", i);
        add(s, run.id, id, "The answer is B.");
    }
    lmw_store_close(s);
    SAYS(RIGHT);
    script.fail_at = 4;
    script.n_fail = 99;
    script.fail_with = LMW_EIO;
    assert_int_equal(judge(&o, &r, &err), LMW_EIO);
    assert_int_equal(script.asked, 3 + 8);
    assert_non_null(strstr(err.msg, "others"));
    SAYS(RIGHT);
    assert_int_equal(judge(&o, &r, &err), LMW_OK);
    assert_int_equal(script.asked, 20);
    assert_true(r.n_there == 4 && r.n_scored == 23);
}

static int stop_after_one(void *arg, const struct lmw_judge_progress *p)
{
    return p->n_done == 1;
}

static void test_stopping(void **state)
{
    struct lmw_judge_result r;
    struct lmw_judge_opts o = by_model();
    SAYS(RIGHT);
    o.on_progress = stop_after_one;
    assert_int_equal(judge(&o, &r, NULL), LMW_ECANCELLED);
    assert_int_equal(r.n_done, 1);
    shows(NULL, "----");
    o.on_progress = NULL;
    assert_int_equal(judge(&o, &r, NULL), LMW_OK);
    assert_int_equal(r.n_there, 1);
    assert_int_equal(script.asked, 3);
}

/* The reply that shows whose fault the failure before it was is a verdict, too. */
static void test_stopping_at_a_failure(void **state)
{
    struct lmw_judge_result r;
    struct lmw_judge_opts o = by_model();
    SAYS(RIGHT);
    script.fail_at = 1;
    script.fail_with = LMW_EIO;
    o.on_progress = stop_after_one;
    assert_int_equal(judge(&o, &r, NULL), LMW_ECANCELLED);
    assert_true(script.asked == 2 && r.n_done == 2);
}

#define PAIR(v) "{\"reason\":\"why\",\"verdict\":\"" v "\"}"
static void test_pairs_in_both_orders(void **state)
{
    struct lmw_judge_result r;
    struct lmw_err err = {0};
    struct lmw_judge_opts o = by_model();
    o.against = "theirs";
    SAYS(PAIR("A>B"), PAIR("B>>A"), PAIR("A>B"), PAIR("A>B"), PAIR("B>A"), PAIR("A>B"));
    assert_int_equal(judge(&o, &r, &err), LMW_OK);
    assert_int_equal(script.asked, 6);
    assert_true(r.pairwise && r.n_pair == 3 && r.n_disagree == 1);
    shows("judge:wise", "100-"); /* wins, the orders disagree, loses, failed */
    assert_non_null(strstr(reasons[1], "orders disagree"));
    assert_true(strstr(script.prompts[2], "The answer is C.") <
                strstr(script.prompts[2], "It is C, I think."));
    assert_true(strstr(script.prompts[3], "The answer is C.") >
                strstr(script.prompts[3], "It is C, I think."));
}

static struct lmw_judge_opts several_at_once(int n)
{
    struct lmw_judge_opts o = by_model();
    o.backend = &late_ops;
    o.backend_opts.n_in_flight = n;
    memset(&late, 0, sizeof late);
    memset(&script, 0, sizeof script);
    return o;
}

/* In whatever order they come, verdicts are of their own questions, and what is told of the whole
 * is the same. */
static void test_several_in_flight(void **state)
{
    for (int n = 1; n <= 4; n++) {
        struct lmw_judge_result r;
        struct lmw_judge_opts o = several_at_once(n);
        struct lmw_err err = {0};
        o.n_try = 1 + n; /* other settings: judged anew */
        assert_int_equal(judge(&o, &r, &err), LMW_OK);
        assert_int_equal(late.most, n < 3 ? n : 3);
        assert_int_equal(script.asked, 2 + o.n_try);
        assert_true(r.n_done == 4 && r.n_scored == 2);
        assert_string_equal(r.unscorable_reason, "the judge gave no verdict");
        shows("judge:wise", "10--");
        assert_string_equal(reasons[3], "there is no answer");
    }
}

static void test_pairs_in_flight(void **state)
{
    struct lmw_judge_result r;
    struct lmw_judge_opts o = several_at_once(4);
    o.against = "theirs";
    script.replies[0] = PAIR("A=B");
    script.n = 1;
    assert_int_equal(judge(&o, &r, NULL), LMW_OK);
    assert_int_equal(script.asked, 6);
    assert_true(r.n_pair == 3 && r.n_disagree == 0);
    shows("judge:wise", "111-");
}

/* What else was in flight is kept; the rest is asked when it goes on. */
static void test_one_of_several_fails(void **state)
{
    struct lmw_judge_result r;
    struct lmw_err err = {0};
    struct lmw_judge_opts o = several_at_once(3);
    late.burns = "The answer is C.";
    script.replies[0] = RIGHT;
    script.n = 1;
    assert_int_equal(judge(&o, &r, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "q2"));
    assert_int_equal(late.n, 0);
    shows(NULL, "----");
    late.burns = NULL;
    o.backend_opts.n_in_flight = 2;
    assert_int_equal(judge(&o, &r, &err), LMW_OK);
    assert_true(r.n_there == 3 && r.n_done == 1);
    assert_int_equal(script.asked, 4);
    shows("judge:wise", "111-");
}

static void test_a_judge_that_takes_one(void **state)
{
    struct lmw_judge_result r;
    struct lmw_err err = {0};
    struct lmw_judge_opts o = by_model();
    o.backend_opts.n_in_flight = 2;
    SAYS(RIGHT);
    assert_int_equal(judge(&o, &r, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "--in-flight 1"));
}

static void test_stopping_with_several_in_flight(void **state)
{
    struct lmw_judge_result r;
    struct lmw_judge_opts o = several_at_once(2);
    o.on_progress = stop_after_one;
    assert_int_equal(judge(&o, &r, NULL), LMW_ECANCELLED);
    assert_int_equal(script.asked, 2); /* both were waited for */
    assert_true(late.n == 0 && r.n_done == 2);
    o.on_progress = NULL;
    assert_int_equal(judge(&o, &r, NULL), LMW_OK);
    assert_true(r.n_there == 2 && r.n_done == 2);
    shows("judge:wise", "10--");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_by_scorer),
        TEST(test_by_model),
        TEST(test_no_verdict_is_unscorable),
        TEST(test_it_goes_on_where_it_stopped),
        TEST(test_another_judge_begins_anew),
        TEST(test_a_question_the_judge_cannot_take),
        TEST(test_a_question_the_judge_fails_at),
        TEST(test_a_judge_that_fails_at_everything),
        TEST(test_a_judge_that_goes_down),
        TEST(test_stopping),
        TEST(test_stopping_at_a_failure),
        TEST(test_pairs_in_both_orders),
        TEST(test_several_in_flight),
        TEST(test_pairs_in_flight),
        TEST(test_one_of_several_fails),
        TEST(test_a_judge_that_takes_one),
        TEST(test_stopping_with_several_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
