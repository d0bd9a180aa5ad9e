/* base: errors, arenas, strings, files, statistics, random numbers, the record. */
#include "base/arena.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/record.h"
#include "base/resample.h"
#include "base/rng.h"
#include "base/stat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void errors_wrap_outwards(void **state)
{
    struct lmw_err err = {0};
    assert_int_equal(lmw_fail(&err, LMW_EFORMAT, "offset %d", 7), LMW_EFORMAT);
    assert_int_equal(lmw_wrap(&err, "loading %s", "x"), LMW_EFORMAT);
    assert_string_equal(err.msg, "loading x: offset 7");
    char longer[2000];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    lmw_wrap(&err, "%s", longer); /* cut, not overrun */
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(lmw_fail(NULL, LMW_EIO, "nobody listens"), LMW_EIO);
}

static void arena_refuses_overflow_and_clears(void **state)
{
    struct lmw_arena a;
    assert_int_equal(lmw_arena_open(&a, 1 << 20, NULL), 0);
    assert_null(lmw_arena_alloc(&a, SIZE_MAX / 2, 4, 8));
    assert_null(lmw_arena_alloc(&a, (1 << 20) + 1, 1, 1));
    struct lmw_arena scratch = a;
    char *dirty = LMW_NEW(&scratch, char, 100);
    memset(dirty, 1, 100);
    char *again = LMW_NEW(&a, char, 100); /* the same bytes: the copy was scratch */
    assert_ptr_equal(dirty, again);
    assert_int_equal(again[99], 0);
    assert_int_equal((uintptr_t)LMW_NEW(&a, char, 1) % 64, 0);
    assert_null(lmw_arena_alloc(&a, 1 << 20, 1, 1));
    lmw_arena_close(&a);
    lmw_arena_close(&a);
}

static void buffers_grow_and_end_in_nul(void **state)
{
    struct lmw_buf b = {0};
    for (int i = 0; i < 1000; i++)
        lmw_buf_printf(&b, "%d,", i % 10);
    assert_int_equal(b.len, 2000);
    assert_int_equal(strlen(b.ptr), 2000);
    assert_int_equal(lmw_str_trim(LMW_STR(" \t a b \n")).len, 3);
    assert_true(lmw_str_hash(LMW_STR("a")) == 0xaf63dc4c8601ec8cu); /* FNV-1a's published value */
    lmw_buf_free(&b);
}

static void names_of_files_end(void **state)
{
    static const char *const words[] = {"yes", "right", NULL};
    assert_true(lmw_str_ends(LMW_STR("a.jsonl"), ".jsonl"));
    assert_true(lmw_str_ends(LMW_STR("A.CSV"), ".csv"));
    assert_true(lmw_str_ends(LMW_STR(""), ""));
    assert_false(lmw_str_ends(LMW_STR("csv"), ".csv"));
    assert_false(lmw_str_ends(LMW_STR("a.csv.gz"), ".csv"));
    assert_int_equal(lmw_str_stem(LMW_STR("m.GGUF"), ".gguf").len, 1);
    assert_int_equal(lmw_str_stem(LMW_STR(".gguf"), ".gguf").len, 5);
    assert_int_equal(lmw_str_stem(LMW_STR("m.bin"), ".gguf").len, 5);
    assert_true(lmw_str_among_caseless(LMW_STR("RIGHT"), words));
    assert_false(lmw_str_among_caseless(LMW_STR("very right"), words));
    assert_false(lmw_str_among_caseless(LMW_STR(""), words));
}

static void atomic_files_appear_whole(void **state)
{
    char dir[] = "/tmp/lmw-base-XXXXXX", path[64];
    struct lmw_atomic w;
    struct lmw_buf b = {0};
    struct lmw_map m;
    struct lmw_err err;
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f", dir);
    assert_int_equal(lmw_atomic_open(&w, path, &err), 0);
    fputs("42\n", w.f);
    assert_int_not_equal(stat(path, &st), 0); /* not there before the commit */
    assert_int_equal(lmw_atomic_commit(&w, &err), 0);
    int64_t v = 0;
    assert_int_equal(lmw_file_read_i64(path, &v, &err), 0);
    assert_int_equal(v, 42);
    assert_int_equal(lmw_file_read(path, 2, &b, &err), LMW_EFORMAT); /* longer than allowed */
    lmw_buf_free(&b);
    assert_int_equal(lmw_map_open(&m, path, &err), 0);
    assert_memory_equal(m.ptr, "42\n", 3);
    lmw_map_close(&m);
    assert_int_equal(lmw_map_open(&m, dir, &err), LMW_EIO);
    assert_int_equal(lmw_atomic_open(&w, path, &err), 0);
    fputs("other", w.f);
    lmw_atomic_abandon(&w);
    assert_int_equal(lmw_file_read_i64(path, &v, &err), 0);
    unlink(path);
    assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
}

/* A pipe or a device is written to where it is: renaming a file over /dev/full takes it away from
 * everybody. A link stays a link, and a file keeps its permissions. */
static void what_is_not_a_file_stays_what_it_is(void **state)
{
    char dir[] = "/tmp/lmw-base-XXXXXX", fifo[64], file[64], link[64], got[8] = {0};
    struct lmw_atomic w;
    struct lmw_err err;
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    snprintf(file, sizeof file, "%s/file", dir);
    snprintf(link, sizeof link, "%s/link", dir);

    assert_int_equal(mkfifo(fifo, 0600), 0);
    int fd = open(fifo, O_RDWR);
    assert_int_equal(lmw_atomic_open(&w, fifo, &err), 0);
    fputs("42\n", w.f);
    assert_int_equal(lmw_atomic_commit(&w, &err), 0);
    assert_true(lstat(fifo, &st) == 0 && S_ISFIFO(st.st_mode));
    assert_int_equal(read(fd, got, sizeof got), 3);
    assert_string_equal(got, "42\n");
    assert_int_equal(lmw_atomic_open(&w, fifo, &err), 0);
    lmw_atomic_abandon(&w);
    assert_int_equal(lstat(fifo, &st), 0);
    close(fd);

    close(open(file, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(chmod(file, 0640), 0);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(lmw_atomic_open(&w, link, &err), 0);
    fputs("43\n", w.f);
    assert_int_equal(lmw_atomic_commit(&w, &err), 0);
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    int64_t v = 0;
    assert_int_equal(lmw_file_read_i64(file, &v, &err), 0);
    assert_int_equal(v, 43);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);

    assert_int_equal(lmw_atomic_open(&w, dir, &err), LMW_EIO);
    unlink(fifo), unlink(file), unlink(link);
    assert_int_equal(rmdir(dir), 0);
}

/* A full disk, played by a file size limit: the target keeps its old content. */
static void full_disk_keeps_the_target(void **state)
{
    char path[] = "/tmp/lmw-full-XXXXXX";
    int64_t v = 0;
    struct lmw_atomic w;
    struct lmw_err err;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "7\n", 2), 2);
    close(fd);
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){4096, old.rlim_max};
    void (*was)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(lmw_atomic_open(&w, path, &err), 0);
    for (int i = 0; i < 100000; i++)
        fputc('x', w.f);
    int rc = lmw_atomic_commit(&w, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, was);
    assert_int_equal(rc, LMW_EIO);
    assert_non_null(strstr(err.msg, "disk full"));
    assert_int_equal(lmw_file_read_i64(path, &v, &err), 0);
    assert_int_equal(v, 7);
    unlink(path);
}

static void statistics_by_hand(void **state)
{
    double x[] = {4, 1, 3, 2}, lower, upper;
    assert_true(lmw_mean(x, 4) == 2.5);
    assert_true(fabs(lmw_sd(x, 4) - 1.2909944487358056) < 1e-15);
    assert_true(lmw_quantile(x, 4, 0.5) == 2.5 && lmw_quantile(x, 4, 1) == 4);
    double y[101], sorted[101];
    for (int i = 0; i < 101; i++)
        y[i] = sorted[i] = (i * 37 + i % 5) % 23; /* with many equal ones */
    lmw_sort(sorted, 101);
    for (size_t k = 0; k < 101; k += 7) {
        assert_true(lmw_select(y, 101, k) == sorted[k] && y[k] == sorted[k]);
        assert_true(lmw_quantile(y, 101, (double)k / 130) ==
                    lmw_quantile_sorted(sorted, 101, (double)k / 130));
    }
    assert_true(isnan(lmw_mean(x, 0)) && isnan(lmw_quantile(x, 0, 0.5)) && isnan(lmw_sd(x, 1)));
    lmw_wilson(9, 10, 1.96, &lower, &upper); /* 0.5958 .. 0.9821, Wilson (1927) */
    assert_true(fabs(lower - 0.5958) < 1e-3 && fabs(upper - 0.9821) < 1e-3);
}

static void random_streams_repeat(void **state)
{
    struct lmw_rng a, b;
    double sum = 0, square = 0;
    int count[3] = {0};
    lmw_rng_init(&a, 7);
    lmw_rng_init(&b, 7);
    for (int i = 0; i < 100; i++)
        assert_true(lmw_rng_u64(&a) == lmw_rng_u64(&b));
    for (int i = 0; i < 30000; i++) {
        double n = lmw_rng_normal(&a);
        sum += n;
        square += n * n;
        count[lmw_rng_below(&a, 3)]++;
    }
    assert_true(fabs(sum / 30000) < 0.03 && fabs(square / 30000 - 1) < 0.05);
    for (int i = 0; i < 3; i++)
        assert_true(abs(count[i] - 10000) < 500);
}

static void record_round_trip(void **state)
{
    const char *line = "{\"query_id\":17,\"prompt\":\"h\\u00e9\",\"score\":1,\"energy_uj\":5.0,"
                       "\"energy_valid\":true,\"choices\":[\"a\",\"b\"],\"language\":\"de\","
                       "\"nested\":{\"x\":[1,null]}}";
    struct lmw_arena a;
    struct lmw_record r;
    struct lmw_err err;
    assert_int_equal(lmw_arena_open(&a, 1 << 20, NULL), 0);
    json_t *in = json_loads(line, 0, NULL);
    assert_int_equal(lmw_record_from_json(&r, in, &a, &err), 0);
    assert_string_equal(r.query_id, "17");
    assert_true(r.energy_uj == 5 && r.energy_valid == 1 && r.score == 1);
    assert_true(r.latency_ns == LMW_NULL && isnan(r.perplexity) && !r.answer);
    json_t *out = lmw_record_to_json(&r);
    assert_string_equal(json_string_value(json_object_get(out, "language")), "de");
    assert_true(json_equal(json_object_get(out, "nested"), json_object_get(in, "nested")));
    assert_true(json_is_null(json_object_get(out, "latency_ns")));
    json_decref(in);
    json_decref(out);
    in = json_loads("{\"query_id\":\"a\",\"latency_ns\":\"soon\"}", 0, NULL);
    assert_int_equal(lmw_record_from_json(&r, in, &a, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "latency_ns"));
    json_decref(in);
    in = json_loads("{\"prompt\":\"a\"}", 0, NULL);
    assert_int_equal(lmw_record_from_json(&r, in, &a, &err), LMW_EFORMAT);
    assert_non_null(strstr(err.msg, "query_id"));
    json_decref(in);
    lmw_arena_close(&a);
}

static void cpu_masks(void **state)
{
    struct lmw_err err;
    uint32_t mask = 1;
    assert_int_equal(lmw_cpu_mask("ref", &mask, &err), 0);
    assert_int_equal(mask, 0);
    assert_int_equal(lmw_cpu_mask(NULL, &mask, &err), 0);
    assert_true(mask == UINT32_MAX);
    assert_int_equal(lmw_cpu_mask("sse9", &mask, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "avx2"));
}

/* Sums over draws are those of the counts, whatever the processor has, to the bit. */
static void draws_are_the_same_everywhere(void **state)
{
    enum { UNITS = 37, COLUMNS = 9 };
    struct lmw_arena arena;
    struct lmw_err err;
    struct lmw_resample r;
    struct lmw_sums s;
    struct lmw_rng rng;
    assert_int_equal(lmw_arena_open(&arena, (size_t)1 << 26, &err), 0);
    assert_int_equal(lmw_resample_open(&r, &arena, &err), 0);
    assert_int_equal(lmw_sums_open(&s, UNITS, COLUMNS, &arena, &err), 0);
    lmw_rng_init(&rng, 7);
    for (int u = 0; u < UNITS; u++) {
        for (int k = 0; k < COLUMNS; k++)
            *lmw_sums_at(&s, u, k) = lmw_rng_normal(&rng);
    }
    lmw_resample_draw(&r, UNITS);
    for (int b = 0; b < LMW_RESAMPLES; b++) {
        const double *count = r.count + b / LMW_BLOCK * UNITS * LMW_BLOCK + b % LMW_BLOCK;
        double n = 0, want[COLUMNS] = {0}, wide[COLUMNS];
        for (int u = 0; u < UNITS; u++, count += LMW_BLOCK) {
            n += *count;
            for (int k = 0; k < COLUMNS; k++)
                want[k] += *lmw_sums_at(&s, u, k) * *count;
        }
        assert_true(n == UNITS);
        memcpy(wide, lmw_sums_draw(&s, &r, b), sizeof wide);
        struct lmw_resample narrow = r;
        narrow.wide = false;
        s.tile = -1;
        assert_memory_equal(lmw_sums_draw(&s, &narrow, b), want, sizeof want);
        assert_memory_equal(wide, want, sizeof want);
        s.tile = -1;
    }
    lmw_arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_wrap_outwards),
        cmocka_unit_test(arena_refuses_overflow_and_clears),
        cmocka_unit_test(buffers_grow_and_end_in_nul),
        cmocka_unit_test(names_of_files_end),
        cmocka_unit_test(atomic_files_appear_whole),
        cmocka_unit_test(what_is_not_a_file_stays_what_it_is),
        cmocka_unit_test(full_disk_keeps_the_target),
        cmocka_unit_test(statistics_by_hand),
        cmocka_unit_test(draws_are_the_same_everywhere),
        cmocka_unit_test(random_streams_repeat),
        cmocka_unit_test(record_round_trip),
        cmocka_unit_test(cpu_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
