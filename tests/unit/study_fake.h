/* What the tests of the study share: a backend that does what the test says, a power counter in a
 * fixture tree that the backend itself moves (so every joule is known), and a store in a temporary
 * folder. */
#ifndef LMW_TESTS_STUDY_FAKE_H
#define LMW_TESTS_STUDY_FAKE_H

#include "study/study.h"

#include "base/clock.h"
#include "base/record.h"
#include "base/rng.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { QUERY_UJ = 2000000 }; /* what one answer costs */

static char folder[64], db[128], workload[128], model[128], counter[192];

/* What the scripted backend does and has done. */
static struct {
    int n_open, n_answer;
    int fail_at, kill_at, unplug_at, slow_at; /* the n-th answer from 1; 0: never */
    bool still;                               /* the counter does not move */
    int64_t answer_ns;
    const char *text;
    char prompts[16][32]; /* the first ones */
    uint64_t seed_sum;
    int64_t idle_uj; /* what the counter gains in a millisecond beside the answers */
} fake;

/* --- a power source: one RAPL package whose register a test writes --- */

static int64_t register_uj;
static pthread_mutex_t register_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t ticker;
static atomic_bool ticking;

static inline void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

static inline void add_to_counter(int64_t uj)
{
    char text[32], beside[200];
    pthread_mutex_lock(&register_lock);
    register_uj += uj;
    snprintf(text, sizeof text, "%lld\n", (long long)register_uj);
    snprintf(beside, sizeof beside, "%s.new", counter);
    write_file(beside, text);
    if (access(counter, F_OK) == 0)
        rename(beside, counter); /* the meter must never read half a number */
    pthread_mutex_unlock(&register_lock);
}

static inline void unplug(void)
{
    pthread_mutex_lock(&register_lock);
    unlink(counter);
    pthread_mutex_unlock(&register_lock);
}

/* Idle power, so that the counter moves when nothing runs. */
static inline void *tick(void *arg)
{
    while (ticking) {
        add_to_counter(fake.still ? 0 : fake.idle_uj);
        lmw_sleep_until_ns(lmw_now_ns() + 1000000);
    }
    return NULL;
}

static inline void start_ticker(void)
{
    ticking = true;
    if (pthread_create(&ticker, NULL, tick, NULL) != 0)
        abort();
}

static inline void stop_ticker(void)
{
    ticking = false;
    pthread_join(ticker, NULL);
}

static inline void make_zone(void)
{
    char path[256];
    snprintf(path, sizeof path, "mkdir -p %s/sys/class/powercap/intel-rapl:0", folder);
    if (system(path) != 0)
        abort();
    snprintf(path, sizeof path, "%s/sys/class/powercap/intel-rapl:0/name", folder);
    write_file(path, "package-0\n");
    snprintf(path, sizeof path, "%s/sys/class/powercap/intel-rapl:0/max_energy_range_uj", folder);
    write_file(path, "262143328850\n");
    register_uj = 1000000;
    write_file(counter, "1000000\n");
}

/* --- a backend that does what the test says --- */

static inline int fake_open(void **state, const struct lmw_backend_opts *opts, struct lmw_err *err)
{
    fake.n_open++;
    *state = &fake;
    return strstr(opts->model, "unloadable") || (opts->url && strstr(opts->url, "unloadable"))
               ? lmw_fail(err, LMW_EFORMAT, "%s: no model", opts->model)
               : LMW_OK;
}

static inline void fake_info(void *state, struct lmw_backend_info *out)
{
    snprintf(out->name, sizeof out->name, "fake");
    snprintf(out->quantization, sizeof out->quantization, "Q8_0");
    out->n_param = 1000;
    out->n_param_active = 100;
}

static inline void spend(int64_t uj)
{
    lmw_sleep_until_ns(lmw_now_ns() + fake.answer_ns / 2);
    add_to_counter(fake.still ? 0 : uj);
}

static inline int fake_answer(void *state, const struct lmw_request *request,
                              struct lmw_reply *reply, struct lmw_err *err)
{
    if (fake.n_answer < 16)
        snprintf(fake.prompts[fake.n_answer], sizeof fake.prompts[0], "%.*s",
                 LMW_FMT(request->prompt));
    fake.n_answer++;
    fake.seed_sum += request->seed;
    reply->t_start_ns = lmw_request_now(request);
    spend(QUERY_UJ / 4);
    if (fake.n_answer == fake.kill_at)
        kill(getpid(), SIGKILL);
    if (fake.n_answer == fake.slow_at)
        lmw_sleep_until_ns(lmw_now_ns() + 2100000000);
    if (fake.n_answer == fake.unplug_at)
        unplug();
    if (fake.n_answer == fake.fail_at)
        return lmw_fail(err, LMW_EIO, "the model choked");
    reply->t_first_ns = lmw_request_now(request);
    spend(QUERY_UJ - QUERY_UJ / 4);
    reply->t_end_ns = lmw_request_now(request);
    lmw_buf_str(&reply->text, fake.text ? fake.text : "right");
    snprintf(reply->finish, sizeof reply->finish, "stop");
    reply->n_prompt = 7;
    reply->n_answer = 3;
    reply->n_logprob = 2;
    reply->logprob_mean = -0.25;
    reply->entropy_mean = 0.5;
    return LMW_OK;
}

static inline void fake_close(void *state)
{
}

static inline int fake_perplexity(void *state, lmw_str prompt, lmw_str answer, double *ppl,
                                  struct lmw_err *err)
{
    *ppl = 2 + (double)answer.len;
    return LMW_OK;
}

static const struct lmw_backend_ops fake_ops = {
    .name = "fake",
    .open = fake_open,
    .info = fake_info,
    .answer = fake_answer,
    .perplexity = fake_perplexity,
    .close = fake_close,
};

/* --- common --- */

static inline void make_workload(int n)
{
    FILE *f = fopen(workload, "w");
    for (int i = 0; i < n; i++)
        fprintf(f,
                "{\"query_id\": \"q%d\", \"prompt\": \"?\", \"reference\": \"right\","
                " \"language\": \"en\"}\n",
                i);
    fclose(f);
}

static inline int setup(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/lmwatt-study-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(db, sizeof db, "%s/lmwatt.db", folder);
    snprintf(workload, sizeof workload, "%s/questions.jsonl", folder);
    snprintf(model, sizeof model, "%s/model.gguf", folder);
    snprintf(counter, sizeof counter, "%s/sys/class/powercap/intel-rapl:0/energy_uj", folder);
    memset(&fake, 0, sizeof fake);
    fake.answer_ns = 4000000;
    fake.idle_uj = 1; /* about 1 mW */
    make_zone();
    make_workload(5);
    write_file(model, "not looked into by the fake backend");
    return 0;
}

static inline int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* The study of one run that most tests vary. */
struct one {
    struct lmw_study study;
    struct lmw_study_opts run;
};

static inline struct one one_run(void)
{
    return (struct one){
        .study = {.n_run = 1,
                  .idle_s = 0.1,
                  .meter = {.sysroot = folder, .sources = "rapl", .rate_hz = 200}},
        .run = {.backend = &fake_ops,
                .backend_opts = {.model = model, .max_tokens = 8},
                .workload = workload,
                .scorer = "exact",
                .run = "r",
                .n_repeat = 1},
    };
}

static inline struct lmw_store *open_store(void)
{
    struct lmw_store *s;
    struct lmw_err err = {0};
    if (lmw_store_open(&s, db, &err) != LMW_OK)
        fail_msg("%s", err.msg);
    return s;
}

/* Runs it in a store opened for it; the result of the first model in *run. */
static inline int study(const struct one *o, struct lmw_study_run *run, struct lmw_err *err)
{
    struct lmw_store *s = open_store();
    struct lmw_study_run runs[4];
    struct lmw_study asked = o->study;
    asked.runs = &o->run;
    *err = (struct lmw_err){0};
    start_ticker();
    int rc = lmw_study_run(s, &asked, runs, err);
    stop_ticker();
    *run = runs[0];
    assert_int_equal(lmw_store_check(s, NULL), LMW_OK);
    lmw_store_close(s);
    return rc;
}

static inline void assert_done(const struct one *o, struct lmw_study_run *run)
{
    struct lmw_err err;
    if (study(o, run, &err) != LMW_OK)
        fail_msg("%s", err.msg);
    assert_true(run->finished);
}

/* Calls check for every record of the first run and returns how many there are. */
typedef void check_fn(const struct lmw_record *r, int i);
static inline int each_record(check_fn *check)
{
    struct lmw_store *s = open_store();
    struct lmw_records *it;
    struct lmw_record r;
    struct lmw_err err;
    int n = 0;
    assert_int_equal(lmw_records_open(&it, s, 1, &err), LMW_OK);
    while (lmw_records_next(it, &r, &err) == 1) {
        if (check)
            check(&r, n);
        n++;
    }
    lmw_records_close(it);
    lmw_store_close(s);
    return n;
}

static inline struct lmw_run stored_run(struct lmw_arena *arena)
{
    struct lmw_store *s = open_store();
    struct lmw_run *runs;
    assert_int_equal(lmw_arena_open(arena, 1 << 20, NULL), LMW_OK);
    assert_int_equal(lmw_store_runs(s, arena, &runs, NULL), 1);
    lmw_store_close(s);
    return runs[0];
}

static __attribute__((unused)) int n_invalid, n_valid;

static inline int stop_after(void *arg, const struct lmw_study_progress *p)
{
    int *left = arg;
    return p->phase == LMW_PHASE_MEASURE && --*left <= 0;
}

/* --- killed --- */

static inline int tell_parent(void *arg, const struct lmw_study_progress *p)
{
    int fd = *(int *)arg;
    return p->phase == LMW_PHASE_MEASURE && write(fd, "x", 1) != 1;
}

/* A child runs the study and is killed `after_ns` after its first query (0: it kills itself); how
 * many records it had reported as done. */
static inline int kill_a_study(const struct one *opts, int64_t after_ns)
{
    struct lmw_study o = opts->study;
    int fds[2], n = 0, status;
    char c;
    assert_int_equal(pipe(fds), 0);
    o.runs = &opts->run;
    o.on_progress = tell_parent;
    o.arg = &fds[1];
    pid_t child = fork();
    if (child == 0) {
        struct lmw_store *s;
        struct lmw_study_run run;
        close(fds[0]);
        start_ticker();
        if (lmw_store_open(&s, db, NULL) == LMW_OK)
            lmw_study_run(s, &o, &run, NULL);
        _exit(0);
    }
    close(fds[1]);
    n = read(fds[0], &c, 1) == 1; /* the first query is done */
    lmw_sleep_until_ns(lmw_now_ns() + after_ns);
    if (after_ns > 0)
        kill(child, SIGKILL);
    waitpid(child, &status, 0);
    while (read(fds[0], &c, 1) == 1)
        n++;
    close(fds[0]);
    return n;
}

#endif
