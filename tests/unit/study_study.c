/* The study through its door, one query at a time. Processes are killed for real. */
#include "study_fake.h"

/* --- what a record says --- */

static double sum_uj, lower_uj, upper_uj;

static void check_full(const struct lmw_record *r, int i)
{
    char id[16];
    snprintf(id, sizeof id, "q%d", i);
    assert_string_equal(r->query_id, id);
    assert_int_equal(r->repeat, 0);
    assert_string_equal(r->run, "r");
    assert_string_equal(r->workload, "questions");
    assert_string_equal(r->model, "fake");
    assert_string_equal(r->quantization, "Q8_0");
    assert_string_equal(r->backend, "fake");
    assert_string_equal(r->answer, "right");
    assert_string_equal(r->scorer, "exact");
    assert_true(r->score == 1);
    assert_null(r->error);
    assert_int_equal(r->prompt_tokens, 7);
    assert_int_equal(r->completion_tokens, 3);
    assert_true(r->flops == 2.0 * 100 * (7 + 3));
    assert_true(r->perplexity == 2 + strlen("right"));
    assert_true(r->logprob_mean == -0.25 && r->entropy_mean == 0.5);
    assert_non_null(strstr(r->extra, "\"logprob_tokens\":2"));
    assert_true(r->ttft_ns >= fake.answer_ns / 2 && r->latency_ns >= fake.answer_ns);
    assert_non_null(strstr(r->extra, "\"language\":\"en\""));
    assert_non_null(strstr(r->extra, "\"finish\":\"stop\""));

    assert_int_equal(r->energy_valid, 1);
    assert_null(r->energy_reason);
    assert_string_equal(r->energy_method, "counter");
    assert_non_null(strstr(r->energy_basis, "package-0"));
    assert_true(r->energy_lower_uj <= r->energy_uj && r->energy_uj <= r->energy_upper_uj);
    json_t *rails = json_loads(r->energy_rails, 0, NULL), *rail;
    const char *source;
    int64_t rails_uj = 0;
    json_object_foreach(rails, source, rail) rails_uj += json_integer_value(rail);
    assert_true(json_object_size(rails) > 0 && rails_uj == r->energy_uj);
    json_decref(rails);
    assert_true(llabs(r->energy_prefill_uj + r->energy_decode_uj - r->energy_uj) <= 2);
    /* Idle power is a few mW (see below); energy over mean power is how long the query was
     * metered. */
    double idle_uj = 5.0 * (double)r->energy_uj / (double)r->power_mean_mw;
    assert_true(r->energy_net_uj <= r->energy_uj);
    assert_true((double)r->energy_net_uj >= (double)r->energy_uj - idle_uj - 1);
    sum_uj += (double)r->energy_uj;
    lower_uj += (double)r->energy_lower_uj;
    upper_uj += (double)r->energy_upper_uj;
}

static void test_a_record_says_it_all(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_arena arena;
    o.run.perplexity = true;
    o.study.command = "lmwatt measure --url http://me:secret@host:1/ -m x";
    assert_done(&o, &run);
    assert_int_equal(run.n_done, 5);
    assert_int_equal(run.n_energy_valid, 5);
    assert_true(run.accuracy == 1);
    sum_uj = lower_uj = upper_uj = 0;
    assert_int_equal(each_record(check_full), 5);
    /* The backend's energy comes in two leaps, which is no power the meter's model knows, and on a
     * busy machine a read comes late: half of it may be told of the time beside the queries. This
     * is about units and spans; how good joules and bounds are is meter_fit's to say. */
    const double truth = 5.0 * QUERY_UJ, slack = 0.5 * truth;
    assert_true(fabs(sum_uj - truth) < slack);
    assert_true(lower_uj < truth + slack && truth - slack < upper_uj);

    struct lmw_run stored = stored_run(&arena);
    assert_true(stored.finished);
    assert_in_range(stored.idle_before_mw, 0, 5);
    assert_in_range(stored.idle_loaded_mw, 0, 5);
    assert_in_range(stored.idle_after_mw, 0, 5);
    assert_true(stored.peak_rss_bytes > 100000);
    assert_true(stored.file_bytes > 10);
    assert_non_null(strstr(stored.settings, "\"max_tokens\":8"));
    static const char *const said[] = {
        "\"kernel\":\"Linux",
        "\"revision\":\"",
        "\"microcode\":",
        "\"governor\":",
        "\"libraries\":{",
        "\"sqlite\":\"3",
        "\"level\":",
        "\"memory_bytes\":",
        "\"ambient_busy\":",
        "\"boot_id\":\"",
        "\"cpu\":\"",
        "\"processors\":",
        "\"name\":\"rapl:package-0\"",
        "\"metering\":{\"polls\":",
        "\"command\":\"lmwatt measure --url http://***@host:1/ -m x\"",
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (!strstr(stored.environment, said[i]))
            fail_msg("no %s in %s", said[i], stored.environment);
    lmw_arena_close(&arena);
}

static void check_no_energy(const struct lmw_record *r, int i)
{
    assert_int_equal(r->energy_valid, 0);
    assert_non_null(r->energy_reason);
    assert_int_equal(r->energy_uj, LMW_NULL);
    assert_int_equal(r->energy_net_uj, LMW_NULL);
    assert_int_equal(r->power_mean_mw, LMW_NULL);
    assert_true(r->latency_ns > 0);
}

static void test_no_meter_is_null_with_a_reason(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_err err;
    o.study.meter.sources = "none";
    assert_done(&o, &run);
    assert_int_equal(each_record(check_no_energy), 5);
    o.study.require_energy = true;
    assert_int_equal(study(&o, &run, &err), LMW_EUNAVAILABLE);
}

static void elsewhere_info(void *state, struct lmw_backend_info *out)
{
    fake_info(state, out);
    snprintf(out->elsewhere, sizeof out->elsewhere, "10.0.0.7");
}

static void check_elsewhere(const struct lmw_record *r, int i)
{
    check_no_energy(r, i);
    assert_non_null(strstr(r->energy_reason, "10.0.0.7"));
    assert_int_equal(r->memory_bytes, LMW_NULL);
}

/* The joules of this machine are not those of another one, unless somebody says which meter. */
static void test_a_model_on_another_machine(void **state)
{
    struct lmw_backend_ops there = fake_ops;
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_arena arena;
    there.info = elsewhere_info;
    there.model_is_name = true;
    o.run.backend = &there;
    o.run.backend_opts.model = "somebody/model";
    o.run.backend_opts.url = "http://10.0.0.7";
    o.study.meter.sources = "auto";
    assert_done(&o, &run);
    assert_int_equal(run.n_energy_invalid, 5);
    assert_int_equal(each_record(check_elsewhere), 5);
    struct lmw_run stored = stored_run(&arena);
    assert_int_equal(stored.file_bytes, LMW_NULL);
    assert_int_equal(stored.peak_rss_bytes, LMW_NULL);
    assert_non_null(strstr(stored.settings, "\"model\":{\"name\":\"somebody/model\"}"));
    assert_non_null(strstr(stored.settings, "\"url\":\"http://10.0.0.7\""));
    lmw_arena_close(&arena);
    o.study.meter.sources = "rapl";
    o.run.run = "named";
    assert_done(&o, &run);
    assert_int_equal(run.n_energy_valid, 5);
}

static void count_validity(const struct lmw_record *r, int i)
{
    n_valid += r->energy_valid == 1;
    n_invalid += r->energy_valid == 0;
    if (r->energy_valid == 0) {
        assert_int_equal(r->energy_uj, LMW_NULL);
        assert_non_null(r->energy_reason);
        assert_string_not_equal(r->energy_reason, "pending");
    }
}

static void test_a_meter_that_disappears(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_err err;
    fake.unplug_at = 3;
    assert_done(&o, &run);
    assert_int_equal(run.n_done, 5);
    n_valid = n_invalid = 0;
    each_record(count_validity);
    assert_true(n_valid >= 1); /* the second may still have waited for the counter */
    assert_true(n_invalid >= 3);
    assert_int_equal(n_valid + n_invalid, 5);

    make_zone();
    fake.unplug_at = fake.n_answer + 3;
    o.study.require_energy = true;
    o.run.run = "strict";
    assert_int_equal(study(&o, &run, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "--require-energy"));
    assert_non_null(strstr(err.msg, "rapl:package-0")); /* which meter, and where it was */
    assert_non_null(strstr(err.msg, "intel-rapl:0/energy_uj: No such file"));
    assert_false(run.finished);
    assert_true(run.n_done >= 3);
}

static void check_error(const struct lmw_record *r, int i)
{
    if (i == 1) {
        assert_string_equal(r->error, "the model choked");
        assert_null(r->answer);
        assert_true(isnan(r->score));
        assert_true(r->latency_ns > 0);
    } else {
        assert_null(r->error);
    }
}

static void test_a_failed_query_is_a_record(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    fake.fail_at = 2;
    assert_done(&o, &run);
    assert_int_equal(run.n_error, 1);
    assert_string_equal(run.first_error, "the model choked");
    assert_int_equal(each_record(check_error), 5);
}

static void check_utf8(const struct lmw_record *r, int i)
{
    assert_string_equal(r->answer, "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd!");
    json_t *j = lmw_record_to_json(r);
    assert_non_null(j);
    json_decref(j);
}

static void test_an_answer_that_is_not_text(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    fake.text = "caf\xc3\xa9 \xed\xa0!";
    assert_done(&o, &run);
    assert_int_equal(each_record(check_utf8), 5);
}

/* --- again, and again --- */

static void test_the_same_study_again_does_nothing(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    o.run.run = NULL;
    o.run.n_warm_up = 2;
    assert_done(&o, &run);
    assert_false(run.resumed);
    assert_int_equal(fake.n_answer, 5 + 2);
    assert_non_null(strstr(run.name, "model-questions-"));
    assert_done(&o, &run);
    assert_true(run.resumed);
    assert_int_equal(run.n_there, 5);
    assert_int_equal(run.n_done, 0);
    assert_int_equal(fake.n_answer, 5 + 2);
    assert_int_equal(each_record(NULL), 5);
}

/* Rows that were read and dropped are not the same as none. */
static void test_questions_that_are_all_dropped(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_err err;
    o.run.questions = (struct lmw_workload_opts){.clean = true, .map = "prompt=language"};
    write_file(workload, "{\"query_id\": \"q\", \"language\": \"\", \"reference\": \"x\"}\n");
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "dropped"));
    assert_non_null(strstr(err.msg, "workload check"));
    write_file(workload, "");
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    assert_null(strstr(err.msg, "dropped"));
}

/* What a server has seen, or its beginning, may be in its cache: no question is asked to warm up
 * that is measured. There are as many as are wanted, however few questions there are. */
static void test_warming_up_with_other_questions(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    o.run.n_warm_up = 7;
    assert_done(&o, &run);
    assert_int_equal(fake.n_answer, 7 + 5);
    for (int i = 0; i < 7; i++) {
        assert_true(fake.prompts[i][0] != '?' && strchr(fake.prompts[i], '?'));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(fake.prompts[i], fake.prompts[k]);
    }
    assert_string_equal(fake.prompts[7], "?");
}

/* The first value a query gives. malloc. */
static char *read_text(const char *query)
{
    sqlite3 *raw;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(db, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(raw, query, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(q, 0);
    char *copy = strdup(text ? text : "null");
    sqlite3_finalize(q);
    sqlite3_close(raw);
    return copy;
}

static void test_more_queries_and_repeats_continue(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    o.run.max_queries = 2;
    assert_done(&o, &run);
    assert_int_equal(run.n_total, 2);
    o.run.max_queries = 0;
    o.run.n_repeat = 3;
    o.study.command = "once more";
    assert_done(&o, &run);
    char *continued = read_text("SELECT environment ->> '$.continued' FROM runs");
    assert_non_null(strstr(continued, "\"command\":\"once more\""));
    assert_null(strstr(continued, "},{")); /* one process, one line */
    free(continued);
    assert_int_equal(run.n_total, 15);
    assert_int_equal(run.n_there, 2);
    assert_int_equal(run.n_done, 13);
    assert_int_equal(each_record(NULL), 15);
}

static void test_other_settings_are_another_run(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_err err;
    assert_done(&o, &run);
    o.run.backend_opts.max_tokens = 9;
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "max_tokens"));
    o.run.backend_opts.max_tokens = 8;
    make_workload(6);
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "workload"));
    assert_int_equal(each_record(NULL), 5);
}

/* Of a file's name a run keeps 63 bytes: here they end inside a character. */
static void test_names_that_are_long(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_err err;
    char name[128] = "", pattern[300];
    for (int i = 0; i < 40; i++)
        strcat(name, "\u00e9");
    snprintf(workload, sizeof workload, "%.30s/%.80s.jsonl", folder, name);
    snprintf(model, sizeof model, "%.30s/%.80s.gguf", folder, name);
    make_workload(2);
    write_file(model, "m");
    memset(pattern, 'n', sizeof pattern);
    memcpy(pattern + 60, "/{model}-{workload}-{hash}", 27);
    o.run.run = pattern;
    assert_done(&o, &run);
    assert_int_equal(strlen(run.name), 60 + 1 + 62 + 1 + 62 + 1 + 6);
    assert_true(lmw_str_is_utf8(lmw_str_from(run.name)));
    memset(pattern, 'n', 256);
    pattern[256] = 0;
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "255 bytes"));
}

static void test_several_models(void **state)
{
    char second[128];
    struct one o = one_run();
    o.run.run = "r/{model}";
    struct lmw_study_opts asked[2] = {o.run, o.run};
    struct lmw_study_run runs[2];
    struct lmw_err err;
    struct lmw_store *s = open_store();
    snprintf(second, sizeof second, "%s/second.gguf", folder);
    write_file(second, "another");
    asked[1].backend_opts.model = second;
    o.study.runs = asked;
    o.study.n_run = 2;
    start_ticker();
    assert_int_equal(lmw_study_run(s, &o.study, runs, &err), LMW_OK);
    stop_ticker();
    assert_string_equal(runs[0].name, "r/model");
    assert_string_equal(runs[1].name, "r/second");
    assert_int_equal(lmw_store_count(s, 1), 5);
    assert_int_equal(lmw_store_count(s, 2), 5);
    snprintf(second, sizeof second, "%s/absent.gguf", folder);
    assert_int_equal(lmw_study_run(s, &o.study, runs, &err), LMW_EIO);
    assert_non_null(strstr(err.msg, "absent.gguf"));
    asked[1] = asked[0];
    assert_int_equal(lmw_study_run(s, &o.study, runs, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "nothing in their settings differs"));
    asked[1].seed = 7;
    assert_int_equal(lmw_study_run(s, &o.study, runs, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "{hash} in its name would tell them apart"));
    lmw_store_close(s);
}

static void test_runs_in_turns(void **state)
{
    char second[128];
    struct one o = one_run();
    o.run.run = "r/{model}";
    struct lmw_study_opts asked[2] = {o.run, o.run};
    struct lmw_study_run runs[2];
    struct lmw_err err;
    struct lmw_store *s = open_store();
    snprintf(second, sizeof second, "%s/second.gguf", folder);
    write_file(second, "another");
    asked[1].backend_opts.model = second;
    o.study.runs = asked;
    o.study.n_run = 2;
    o.study.interleave = 2;
    start_ticker();
    assert_int_equal(lmw_study_run(s, &o.study, runs, &err), LMW_OK);
    stop_ticker();
    assert_int_equal(fake.n_open, 2 + 2 * 3); /* tried once each; 2 + 2 + 1 queries each */
    for (int i = 0; i < 2; i++) {
        assert_true(runs[i].finished && runs[i].n_done == 5 && runs[i].n_there == 0);
        assert_true(runs[i].accuracy == 1 && runs[i].n_energy_valid == 5);
        assert_int_equal(lmw_store_count(s, i + 1), 5);
    }
    lmw_store_close(s);
}

static char order[2][16][16];

static void take_order(const struct lmw_record *r, int i)
{
    snprintf(order[r->repeat][i % 12], sizeof order[0][0], "%s", r->query_id);
}

static void test_an_order_by_a_seed(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    bool moved = false;
    make_workload(12);
    o.run.shuffle = 7;
    o.run.n_repeat = 2;
    o.run.max_queries = 4; /* the first four of that order */
    assert_done(&o, &run);
    o.run.max_queries = 0;
    assert_done(&o, &run);
    assert_int_equal(run.n_there, 8);
    assert_int_equal(run.n_done, 16);
    remove(db);
    assert_done(&o, &run);
    assert_int_equal(each_record(take_order), 24);
    for (int i = 0; i < 12; i++) {
        char id[16];
        snprintf(id, sizeof id, "q%d", i);
        moved |= strcmp(order[0][i], id) != 0;
        assert_string_equal(order[0][i], order[1][i]);
    }
    assert_true(moved);
}

static void test_what_is_wrong_is_said_before_anything_is_loaded(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_err err;
    write_file(workload, "{\"query_id\": 1, \"prompt\": \"?\"}\nnot json\n");
    assert_int_equal(study(&o, &run, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "questions.jsonl"));
    write_file(workload, "\n");
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    make_workload(5);
    o.run.scorer = "nobody";
    assert_int_equal(study(&o, &run, &err), LMW_EARG);
    o.run.scorer = "exact";
    o.study.meter.sources = "battery";
    assert_true(study(&o, &run, &err) < 0);
    assert_int_equal(fake.n_open, 0);
}

static void test_a_model_that_does_not_load(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_err err;
    snprintf(model, sizeof model, "%s/unloadable.gguf", folder);
    write_file(model, "x");
    assert_int_equal(study(&o, &run, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "unloadable.gguf: no model"));
    struct lmw_store *s = open_store();
    struct lmw_arena arena;
    struct lmw_run *runs;
    lmw_arena_open(&arena, 1 << 20, NULL);
    assert_int_equal(lmw_store_runs(s, &arena, &runs, NULL), 0); /* and no run was begun */
    lmw_arena_close(&arena);
    lmw_store_close(s);
}

/* One model on two servers is two things to try: the second may be the one that is not there. */
static void test_a_second_server_that_is_not_there(void **state)
{
    struct one o = one_run();
    o.run.run = "r/{hash}";
    struct lmw_study_opts asked[2] = {o.run, o.run};
    struct lmw_study_run runs[2];
    struct lmw_err err;
    struct lmw_store *s = open_store();
    asked[0].backend_opts.url = "http://there";
    asked[1].backend_opts.url = "http://unloadable";
    o.study.runs = asked;
    o.study.n_run = 2;
    assert_int_equal(lmw_study_run(s, &o.study, runs, &err), LMW_EFORMAT);
    assert_int_equal(fake.n_answer, 0);
    lmw_store_close(s);
}

/* Of what is measured already nothing is needed any more: its server may be gone. */
static void test_what_is_done_needs_no_server(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_err err;
    o.run.run = "r/{hash}";
    assert_done(&o, &run);
    int n_open = fake.n_open;
    struct lmw_study_opts asked[2] = {o.run, o.run};
    struct lmw_study_run runs[2];
    struct lmw_store *s = open_store();
    asked[1].run = "second";
    o.study.runs = asked;
    o.study.n_run = 2;
    assert_int_equal(lmw_study_run(s, &o.study, runs, &err), LMW_OK);
    assert_true(runs[0].finished && runs[0].n_done == 0);
    assert_true(runs[1].finished && runs[1].n_done == 5);
    assert_int_equal(fake.n_open, n_open + 2); /* tried, and measured: the second alone */
    lmw_store_close(s);
}

/* That the last run's name is taken is said before hours are spent on the first. */
static void test_a_name_that_is_taken(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run, runs[2];
    struct lmw_err err;
    assert_done(&o, &run);
    struct lmw_study_opts asked[2] = {o.run, o.run};
    struct lmw_store *s = open_store();
    asked[0].run = "another";
    asked[1].seed = 7;
    o.study.runs = asked;
    o.study.n_run = 2;
    assert_int_equal(lmw_study_run(s, &o.study, runs, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "'r' is already in store"));
    assert_non_null(strstr(err.msg, "(seed)"));
    assert_int_equal(fake.n_answer, 5);
    lmw_store_close(s);
}

static void test_stopping_and_going_on(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_err err;
    int left = 2;
    o.study.on_progress = stop_after;
    o.study.arg = &left;
    assert_int_equal(study(&o, &run, &err), LMW_ECANCELLED);
    assert_false(run.finished);
    assert_int_equal(run.n_done, 2);
    n_valid = n_invalid = 0;
    assert_int_equal(each_record(count_validity), 2);
    assert_int_equal(n_valid, 2); /* stopping waits for the meter */
    uint64_t seeds = fake.seed_sum;
    o.study.on_progress = NULL;
    assert_done(&o, &run);
    assert_int_equal(run.n_done, 3);
    seeds = fake.seed_sum;
    fake.seed_sum = 0;
    o.run.run = "in one go";
    assert_done(&o, &run);
    assert_true(fake.seed_sum == seeds); /* each query has its own seed, whoever asks it */
}

/* --- killed --- */

static void test_killed_at_random_ten_times(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    struct lmw_rng rng;
    int before = 0;
    lmw_rng_init(&rng, (uint64_t)getpid());
    make_workload(300);
    o.study.idle_s = 0;
    for (int i = 0; i < 10; i++) {
        int told = kill_a_study(&o, 1 + lmw_rng_below(&rng, 200000000));
        int now = each_record(NULL);
        assert_true(now >= before + told);     /* what was done is there */
        assert_true(now <= before + told + 1); /* but for the one whose record was just written */
        before = now;
    }
    print_message("%d of 300 queries done when the last of 10 was killed\n", before);
    assert_done(&o, &run);
    assert_int_equal(run.n_there, before);
    n_valid = n_invalid = 0;
    assert_int_equal(each_record(count_validity), 300);
    assert_int_equal(n_valid + n_invalid, 300);
}

static void check_recovered(const struct lmw_record *r, int i)
{
    assert_string_not_equal(r->energy_reason ? r->energy_reason : "", "pending");
    if (i < 5 && r->energy_valid == 0)
        assert_string_equal(r->energy_reason, "killed before the counter settled");
}

static void test_pending_energy_of_a_killed_process(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    make_workload(8);
    fake.kill_at = 6;
    fake.still = true; /* nothing settles */
    kill_a_study(&o, 0);
    assert_int_equal(each_record(NULL), 5);
    fake.kill_at = 0;
    fake.still = false;
    assert_done(&o, &run);
    assert_int_equal(run.n_done, 3);
    assert_int_equal(each_record(check_recovered), 8);
}

static int64_t live_lower_uj[16], live_upper_uj[16];

static void keep_live(const struct lmw_record *r, int i)
{
    live_lower_uj[i] = r->energy_lower_uj;
    live_upper_uj[i] = r->energy_upper_uj;
}

static void check_as_live(const struct lmw_record *r, int i)
{
    if (i >= 4)
        return; /* the last one may have waited for the counter when the process died */
    assert_int_equal(r->energy_valid, 1);
    assert_true(r->energy_lower_uj <= live_upper_uj[i] && live_lower_uj[i] <= r->energy_upper_uj);
    assert_true(r->energy_net_uj <= r->energy_uj && r->energy_net_uj != LMW_NULL);
    assert_string_equal(r->energy_method, "counter");
}

/* A process that died with its samples stored and its energies not: the samples give what the
 * meter gave when it was alive, but for what more of them tell of the counter. */
static void recover_from_samples(void)
{
    struct one o = one_run();
    struct lmw_study_run run;
    sqlite3 *raw;
    make_workload(8);
    fake.slow_at = 5; /* longer than samples wait to be stored */
    fake.kill_at = 6;
    kill_a_study(&o, 0);
    assert_int_equal(each_record(keep_live), 5);
    for (int i = 0; i < 4; i++)
        assert_true(live_upper_uj[i] > 0);
    assert_int_equal(sqlite3_open(db, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw,
                                  "UPDATE records SET energy_valid = 0, energy_uj = NULL,"
                                  " energy_method = NULL, energy_reason = 'pending'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(raw);
    fake.kill_at = 0;
    assert_done(&o, &run);
    assert_int_equal(each_record(check_as_live), 8);
}

static void test_energy_from_stored_samples(void **state)
{
    recover_from_samples();
}

/* However many rails are listed before those that are measured with. */
static void test_energy_from_stored_samples_of_a_large_machine(void **state)
{
    for (int i = 0; i < 70; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/sys/class/powercap/intel-rapl-mmio:%d", folder, i);
        if (mkdir(path, 0700) != 0)
            abort();
        size_t n = strlen(path);
        snprintf(path + n, sizeof path - n, "/name");
        write_file(path, "package-0\n");
        snprintf(path + n, sizeof path - n, "/max_energy_range_uj");
        write_file(path, "262143328850\n");
        snprintf(path + n, sizeof path - n, "/energy_uj");
        write_file(path, "1\n");
    }
    recover_from_samples();
}

static int full_disk(const struct one *o)
{
    struct lmw_store *s;
    struct lmw_study_run run;
    struct lmw_err err = {0};
    if (lmw_store_open(&s, db, &err) != LMW_OK)
        return 1;
    start_ticker();
    struct rlimit limit = {1000000, 1000000}; /* some fifty records */
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    struct lmw_study asked = o->study;
    asked.runs = &o->run;
    int rc = lmw_study_run(s, &asked, &run, &err);
    bool said = strstr(err.msg, "safe") != NULL;
    if (rc != LMW_EIO || !said)
        fprintf(stderr, "%d: %s\n", rc, err.msg);
    return rc != LMW_EIO ? 2 : !said ? 3 : run.n_done <= 10 ? 4 : 0;
}

static void test_a_full_disk(void **state)
{
    struct one o = one_run();
    struct lmw_study_run run;
    int status;
    fake.answer_ns = 0;
    o.study.idle_s = 0;
    make_workload(1000);
    pid_t child = fork();
    if (child == 0)
        _exit(full_disk(&o));
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_done(&o, &run);
    assert_true(run.n_there > 10);
    assert_int_equal(each_record(NULL), 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_record_says_it_all),
        TEST(test_no_meter_is_null_with_a_reason),
        TEST(test_a_model_on_another_machine),
        TEST(test_a_meter_that_disappears),
        TEST(test_a_failed_query_is_a_record),
        TEST(test_an_answer_that_is_not_text),
        TEST(test_the_same_study_again_does_nothing),
        TEST(test_questions_that_are_all_dropped),
        TEST(test_warming_up_with_other_questions),
        TEST(test_more_queries_and_repeats_continue),
        TEST(test_other_settings_are_another_run),
        TEST(test_names_that_are_long),
        TEST(test_several_models),
        TEST(test_runs_in_turns),
        TEST(test_an_order_by_a_seed),
        TEST(test_what_is_wrong_is_said_before_anything_is_loaded),
        TEST(test_a_model_that_does_not_load),
        TEST(test_a_second_server_that_is_not_there),
        TEST(test_what_is_done_needs_no_server),
        TEST(test_a_name_that_is_taken),
        TEST(test_stopping_and_going_on),
        TEST(test_killed_at_random_ten_times),
        TEST(test_pending_energy_of_a_killed_process),
        TEST(test_energy_from_stored_samples),
        TEST(test_energy_from_stored_samples_of_a_large_machine),
        TEST(test_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
