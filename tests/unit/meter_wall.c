/* The wall meter: lines of a growing file or a FIFO as a source. Lines carry their own times, so
 * tests write the seconds they want and need not wait for them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "meter/meter.h"

#define S 1000000000LL

struct wall {
    char dir[64], path[128], spec[160];
    struct lmw_meter *m;
    struct lmw_err err;
};

static int64_t realtime_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * S + t.tv_nsec;
}

__attribute__((format(printf, 2, 3))) static void put(const struct wall *w, const char *format,
                                                      ...)
{
    va_list ap;
    FILE *f = fopen(w->path, "a");
    assert_non_null(f);
    va_start(ap, format);
    vfprintf(f, format, ap);
    va_end(ap);
    assert_int_equal(fclose(f), 0);
}

/* A reading a second from t_ns on, as long as there are any (ends with -1). */
static void put_values(const struct wall *w, int64_t t_ns, const double *v)
{
    for (; *v >= 0; v++, t_ns += S)
        put(w, "%lld,%g\n", (long long)t_ns, *v);
}

static void begin(struct wall *w, const char *header)
{
    *w = (struct wall){.dir = "/tmp/lmw-wall-XXXXXX"};
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/plug.csv", w->dir);
    snprintf(w->spec, sizeof w->spec, "wall:%s", w->path);
    put(w, "%s\n", header);
}

static void start(struct wall *w)
{
    struct lmw_meter_opts o = {.sources = w->spec, .rate_hz = 0.001};
    if (lmw_meter_open(&w->m, &o, &w->err) < 0)
        fail_msg("%s", w->err.msg);
    assert_int_equal(lmw_meter_start(w->m, &w->err), LMW_OK);
}

static void end(struct wall *w)
{
    lmw_meter_close(w->m);
    unlink(w->path);
    assert_int_equal(rmdir(w->dir), 0);
}

static struct lmw_energy ask(struct wall *w, int64_t start_ns, int64_t end_ns)
{
    struct lmw_span span = {start_ns, LMW_NULL, end_ns};
    struct lmw_energy e;
    assert_int_equal(lmw_meter_span(w->m, &span, &e, &w->err), LMW_OK);
    return e;
}

static void power_of(struct wall *w, int64_t start_ns, int64_t end_ns, int64_t mw, int64_t slack)
{
    struct lmw_energy e = ask(w, start_ns, end_ns);
    if (!e.valid)
        fail_msg("invalid: %s", e.reason);
    assert_in_range(e.power_mean_mw, mw - slack, mw + slack);
}

static void says(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("'%s' is not in '%s'", words, text);
}

static int chosen(const struct wall *w)
{
    int i = 0;
    while (!lmw_meter_source(w->m, i)->chosen)
        i++;
    return i;
}

static void about_has(const struct wall *w, const char *words)
{
    says(lmw_meter_source(w->m, chosen(w))->about, words);
}

static void watts_count_when_they_say(void **state)
{
    struct wall w;
    int64_t t = lmw_now_ns();
    begin(&w, "timestamp_ns,watts");
    put_values(&w, t - 2 * S, (double[]){10, 10, 10, -1});
    start(&w);
    assert_string_equal(lmw_meter_basis(w.m), "wall:plug.csv");
    put_values(&w, t + S, (double[]){10, 50.5, 50.5, 50.5, 10, 10, -1});
    lmw_meter_mark(w.m);
    power_of(&w, t + 2 * S, t + 4 * S, 50500, 0);
    power_of(&w, t + 1 * S, t + 2 * S, 30250, 0);
    power_of(&w, t + 3 * S + S / 4, t + 3 * S + S / 2, 50500, 0); /* no reading at the edges */
    power_of(&w, t + 4 * S + S / 4, t + 4 * S + 3 * S / 4, 30250, 0);
    struct lmw_energy e = ask(&w, t + 3 * S, t + 7 * S);
    assert_string_equal(e.reason, "pending");
    assert_string_equal(e.method, "integral");
    /* The last one may come late: it is a matter of the lines alone. */
    put_values(&w, t + 7 * S, (double[]){10, -1});
    lmw_meter_mark(w.m);
    power_of(&w, t + 5 * S, t + 7 * S, 10000, 0);
    about_has(&w, "CLOCK_MONOTONIC");
    end(&w);
}

static void joules_are_a_counter_and_may_restart(void **state)
{
    struct wall w;
    int64_t real = realtime_ns(), t = lmw_now_ns();
    begin(&w, "timestamp_ns,joules");
    put_values(&w, real - 2 * S, (double[]){1000.25, 1010.25, 1020.25, -1});
    start(&w);
    put_values(&w, real + S, (double[]){1030.25, 1080.25, 1130.25, 1140.25, 1150.25, -1});
    put_values(&w, real + 6 * S, (double[]){3, 13, 23, 33, 43, -1});
    lmw_meter_mark(w.m);
    struct lmw_energy e = ask(&w, t + S, t + 3 * S);
    assert_true(e.valid);
    assert_string_equal(e.method, "counter");
    assert_in_range(e.energy_uj, 99 * 1000000, 101 * 1000000);
    e = ask(&w, t + 5 * S, t + 6 * S);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "reset", 5), 0);
    assert_true(ask(&w, t + 7 * S, t + 8 * S).valid);
    about_has(&w, "CLOCK_REALTIME");
    end(&w);
}

static void silence_is_a_gap(void **state)
{
    struct wall w;
    int64_t t = lmw_now_ns();
    begin(&w, "timestamp_ns,watts");
    put_values(&w, t - 2 * S, (double[]){10, 10, 10, -1});
    start(&w);
    put_values(&w, t + S, (double[]){10, 10, -1});
    put_values(&w, t + 20 * S, (double[]){10, 10, 10, -1});
    put(&w, "%lld,\n%lld,10\n%lld,10\n", (long long)(t + 23 * S), (long long)(t + 24 * S),
        (long long)(t + 25 * S));
    lmw_meter_mark(w.m);
    power_of(&w, t, t + 2 * S, 10000, 0);
    struct lmw_energy e = ask(&w, t + S, t + 21 * S);
    assert_false(e.valid);
    assert_int_equal(strncmp(e.reason, "gap", 3), 0);
    assert_int_equal(e.energy_uj, LMW_NULL);
    power_of(&w, t + 20 * S, t + 22 * S, 10000, 0);
    /* A line without a value is a reading that failed. */
    e = ask(&w, t + 22 * S, t + 24 * S);
    assert_int_equal(strncmp(e.reason, "unreadable", 10), 0);
    power_of(&w, t + 24 * S, t + 25 * S, 10000, 0);
    end(&w);
}

static void lines_that_make_no_sense_are_counted_and_skipped(void **state)
{
    struct wall w;
    int64_t t = lmw_now_ns();
    begin(&w, "timestamp_ns,watts");
    put_values(&w, t - 2 * S, (double[]){10, 10, 10, -1});
    start(&w);
    put_values(&w, t + S, (double[]){10, -1});
    put(&w, "%lld,ten\nhello\n\n# a comment\n%lld,-5\n", (long long)t + 2 * S,
        (long long)t + 2 * S);
    put(&w, "%lld,99\n%lld,99\n", (long long)t, (long long)t + 4000 * S); /* past, and far ahead */
    put(&w, "timestamp_ns,joules\ntimestamp_ns,watts\n");
    put(&w, "%01000d\n", 7);
    put_values(&w, t + 2 * S, (double[]){10, 10, -1});
    put(&w, "%lld,1", (long long)t + 4 * S); /* half a line */
    lmw_meter_mark(w.m);
    put(&w, "0\n");
    lmw_meter_mark(w.m);
    power_of(&w, t + S, t + 4 * S, 10000, 0);
    lmw_meter_stop(w.m);
    says(lmw_meter_note(w.m, chosen(&w)), "7 lines not understood");
    end(&w);
}

/* Records and reports are UTF-8, whatever a serial line or a file's name says. */
static void what_is_no_text_is_told_as_text(void **state)
{
    struct wall w;
    char plug[128];
    int64_t t = lmw_now_ns();
    begin(&w, "timestamp_ns,watts");
    snprintf(plug, sizeof plug, "%s", w.path);
    snprintf(w.path, sizeof w.path, "%s/Z\xe4hler.csv", w.dir);
    snprintf(w.spec, sizeof w.spec, "wall:%s", w.path);
    assert_int_equal(rename(plug, w.path), 0);
    put_values(&w, t - 2 * S, (double[]){10, 10, 10, -1});
    start(&w);
    assert_string_equal(lmw_meter_basis(w.m), "wall:Z?hler.csv");
    put(&w, "\xff\xfe\xc3,10\n");
    put_values(&w, t + 20 * S, (double[]){10, 10, -1});
    lmw_meter_mark(w.m);
    assert_string_equal(ask(&w, t, t + 20 * S).reason,
                        "gap: wall:Z?hler.csv was silent for too long inside the span");
    lmw_meter_stop(w.m);
    says(lmw_meter_note(w.m, chosen(&w)), "'?\?\?' is not a time in ns");
    end(&w);
}

/* Two plugs whose files are called alike are two sources, also by name. */
static void walls_of_one_name_are_told_apart(void **state)
{
    struct wall a, b;
    begin(&a, "timestamp_ns,watts");
    begin(&b, "timestamp_ns,watts");
    int64_t t = lmw_now_ns();
    put_values(&a, t - 2 * S, (double[]){10, 10, 10, -1});
    put_values(&b, t - 2 * S, (double[]){20, 20, 20, -1});
    size_t n = strlen(a.spec);
    snprintf(a.spec + n, sizeof a.spec - n, ",%s", b.spec);
    start(&a);
    assert_string_equal(lmw_meter_basis(a.m), "wall:plug.csv+wall:plug.csv#2");
    end(&a);
    end(&b);
}

static void another_clocks_lines_are_placed_by_when_they_come(void **state)
{
    struct wall w;
    int64_t ahead = 1000000 * S - lmw_now_ns(),
            edge[2] = {0, 0}; /* days since it was plugged in */
    begin(&w, "timestamp_ns,watts");
    put_values(&w, ahead, (double[]){10, 10, -1}); /* long past */
    start(&w);
    for (int i = 0; i < 24; i++) {
        lmw_sleep_until_ns(lmw_now_ns() + 20000000);
        int64_t t = lmw_now_ns();
        put(&w, "%lld,%d\n", (long long)(t + ahead), i >= 8 && i < 16 ? 40 : 10);
        lmw_meter_mark(w.m);
        if (i == 9 || i == 14)
            edge[i == 14] = t;
    }
    power_of(&w, edge[0], edge[1], 40000, 0);
    end(&w);
}

/* Forward by a day, and back by two: three lines in a row are believed. */
static void a_clock_that_is_set_is_followed(void **state)
{
    struct wall w;
    static const int64_t day_ns = 86400 * S;
    int64_t ahead = 1000000 * S - lmw_now_ns(), edge[2] = {0, 0};
    begin(&w, "timestamp_ns,watts");
    put_values(&w, ahead, (double[]){10, 10, -1});
    start(&w);
    for (int i = 0; i < 36; i++) {
        lmw_sleep_until_ns(lmw_now_ns() + 20000000);
        int64_t t = lmw_now_ns(), set = i < 4 ? 0 : i < 14 ? day_ns : -day_ns;
        put(&w, "%lld,%d\n", (long long)(t + ahead + set), i >= 20 && i < 30 ? 40 : 10);
        lmw_meter_mark(w.m);
        if (i == 22 || i == 28)
            edge[i == 28] = t;
    }
    power_of(&w, edge[0], edge[1], 40000, 0);
    lmw_meter_stop(w.m);
    says(lmw_meter_note(w.m, chosen(&w)), "4 lines not understood");
    end(&w);
}

static void a_stated_offset_moves_the_lines(void **state)
{
    struct wall w;
    int64_t t = lmw_now_ns();
    begin(&w, "timestamp_ns,watts");
    strncat(w.spec, "@-12.5", sizeof w.spec - strlen(w.spec) - 1);
    put_values(&w, t - 2 * S - 25 * S / 2, (double[]){10, 10, 10, -1});
    start(&w);
    put_values(&w, t + S - 25 * S / 2, (double[]){10, 50, 50, 10, -1});
    lmw_meter_mark(w.m);
    power_of(&w, t + 2 * S, t + 3 * S, 50000, 0);
    end(&w);
}

static void a_file_that_was_cut_or_replaced_is_followed(void **state)
{
    struct wall w;
    int64_t t = lmw_now_ns();
    begin(&w, "timestamp_ns,watts");
    put_values(&w, t - 2 * S, (double[]){10, 10, 10, 10, -1});
    start(&w);
    assert_int_equal(truncate(w.path, 0), 0);
    lmw_meter_mark(w.m);
    put(&w, "timestamp_ns,watts\n");
    put_values(&w, t + 2 * S, (double[]){10, -1});
    lmw_meter_mark(w.m);
    assert_int_equal(unlink(w.path), 0);
    lmw_meter_mark(w.m);
    put_values(&w, t + 3 * S, (double[]){10, 20, 20, -1});
    lmw_meter_mark(w.m);
    lmw_meter_mark(w.m);
    power_of(&w, t + S, t + 3 * S, 10000, 0);
    power_of(&w, t + 4 * S, t + 5 * S, 20000, 0);
    end(&w);
}

static void a_fifo_does_not_block(void **state)
{
    struct wall w;
    begin(&w, "");
    assert_int_equal(unlink(w.path), 0);
    assert_int_equal(mkfifo(w.path, 0600), 0);
    int fd = open(w.path, O_RDWR);
    assert_true(fd >= 0);
    int64_t t = lmw_now_ns();
    dprintf(fd, "timestamp_ns,watts\n%lld,10\n%lld,10\n", (long long)(t - S), (long long)t);
    start(&w);
    lmw_meter_mark(w.m);
    dprintf(fd, "%lld,20\n%lld,20\n%lld,20\n", (long long)(t + S), (long long)(t + 2 * S),
            (long long)(t + 3 * S));
    lmw_meter_mark(w.m);
    power_of(&w, t + S, t + 3 * S, 20000, 0);
    close(fd); /* the writer goes away and another comes */
    lmw_meter_mark(w.m);
    fd = open(w.path, O_WRONLY);
    dprintf(fd, "timestamp_ns,watts\n%lld,30\n%lld,30\n", (long long)(t + 4 * S),
            (long long)(t + 5 * S));
    lmw_meter_mark(w.m);
    power_of(&w, t + 4 * S, t + 5 * S, 30000, 0);
    close(fd);
    end(&w);
}

static void a_long_history_is_skipped(void **state)
{
    struct wall w;
    int64_t t = lmw_now_ns();
    begin(&w, "timestamp_ns,watts");
    for (int i = 1000; i >= 0; i--)
        put(&w, "%lld,77.125\n", (long long)(t - i * S));
    start(&w);
    put_values(&w, t + S, (double[]){10, 10, 10, -1});
    lmw_meter_mark(w.m);
    power_of(&w, t + S, t + 3 * S, 10000, 0);
    about_has(&w, "watts, times on CLOCK_MONOTONIC");
    end(&w);
}

static void what_is_no_meter_says_so(void **state)
{
    struct lmw_meter_opts o = {.sources = "wall:"};
    struct lmw_err err = {0};
    struct lmw_meter *m;
    struct wall w;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_EARG);
    o.sources = "wall:/nowhere/plug.csv";
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "No such file"));
    o.sources = "wall:/tmp";
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_EUNAVAILABLE);
    begin(&w, "1763719500123456789,48.2");
    o.sources = w.spec;
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_EUNAVAILABLE);
    assert_non_null(strstr(err.msg, "line 1"));
    assert_non_null(strstr(err.msg, "timestamp_ns,watts"));
    end(&w);
    /* The plug feeds the machine: what is inside it is not added. */
    begin(&w, "timestamp_ns,watts");
    put_values(&w, lmw_now_ns() - S, (double[]){10, 10, 10, -1});
    strncat(w.spec, ",rapl:package-0", sizeof w.spec - strlen(w.spec) - 1);
    o = (struct lmw_meter_opts){.sources = w.spec, .sysroot = "tests/fixtures/sys-server"};
    assert_int_equal(lmw_meter_open(&m, &o, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "contains"));
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watts_count_when_they_say),
        cmocka_unit_test(joules_are_a_counter_and_may_restart),
        cmocka_unit_test(silence_is_a_gap),
        cmocka_unit_test(lines_that_make_no_sense_are_counted_and_skipped),
        cmocka_unit_test(what_is_no_text_is_told_as_text),
        cmocka_unit_test(walls_of_one_name_are_told_apart),
        cmocka_unit_test(another_clocks_lines_are_placed_by_when_they_come),
        cmocka_unit_test(a_clock_that_is_set_is_followed),
        cmocka_unit_test(a_stated_offset_moves_the_lines),
        cmocka_unit_test(a_file_that_was_cut_or_replaced_is_followed),
        cmocka_unit_test(a_fifo_does_not_block),
        cmocka_unit_test(a_long_history_is_skipped),
        cmocka_unit_test(what_is_no_meter_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
