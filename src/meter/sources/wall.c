/* The wall: any meter that something prints, as lines on a stream. A smart plug, a rack PDU, a
 * SCPI wattmeter's script:
 *
 *     timestamp_ns,watts            a header first (line.h): watts now, or joules since some start
 *     1763719500123456789,48.2      then a line a reading
 *
 * "wall:-" is standard input, "wall:PATH" a FIFO, a serial device or a file that grows. Boundary:
 * whatever the plug feeds, converters and fans included; several walls are parts of one machine.
 *
 * Times are the lines' own, not those of our looking: a reading may come late by any time and
 * still belong where it belongs, so this is a stream source (source.h). They may be of
 * CLOCK_MONOTONIC or CLOCK_REALTIME of this host, told apart by which is nearer; clocks more than
 * 5 minutes from both are another device's. Its lines are placed by when the promptest of them
 * came (a line cannot come before it is written), which is late by that line's way here; drift is
 * followed up to 200 ppm. "wall:PATH@SECONDS" says how far the meter's clock is ahead
 * (`lmwatt attribute --steps` finds it).
 *
 * What goes wrong: lines that are not understood are skipped, counted, and the last one is named
 * by note(). Silence of more than 5 periods (2 s at least; 60 s while no period is known), seen
 * in the times or on our clock, is a gap: nobody knows what was drawn. So a writer must not
 * buffer. Growing files are followed from their end, and again from the start when they were cut
 * or replaced. Nothing here blocks: descriptors are non-blocking, standard input (whose mode
 * belongs to the shell too) is asked first whether it has bytes. */
#include "meter/sources/wall.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "meter/line.h"
#include "meter/sources/apple.h"

enum {
    BUFFER = 4096,
    MAX_LINE = 256,
    MAX_LINES = 2000 /* at once */,
    SILENT_PERIODS = 5,
    SET_LINES = 3
};
static const int64_t SECOND = 1000000000;
static const int64_t FIND_NS = 5000000000, SAME_CLOCK_NS = 300000000000;
static const int64_t DRIFT = 5000;     /* another clock: 200 ppm, twice what crystals are off by */
static const int64_t APPLE_DRIFT = 50; /* documents do not cover what passes between them */
static const int64_t SAME_TIME_NS = 100000; /* a difference below this is our own looking */
static const int64_t MAX_TIME = 4000000000000000000; /* with MAX_OFFSET_S, no sum overflows */
static const double MAX_OFFSET_S = 2e9;

enum clock { CLOCK_UNKNOWN, CLOCK_OUR_MONOTONIC, CLOCK_OUR_REALTIME, CLOCK_ANOTHER };

struct wall {
    char path[512];
    int fd;
    bool is_stdin, is_file, is_apple; /* is_apple: powermetrics' documents instead of lines */
    struct line_format format;
    struct plist plist;
    /* bytes [from, n) of the buffer are unread; skipping: inside a line that is too long */
    char buffer[BUFFER];
    int from, n;
    bool skipping;
    int64_t offset_ns; /* stated: its clock is ahead by this */
    enum clock clock;
    int64_t shift_ns;                 /* from its time to ours */
    int64_t last_ns, heard_ns;        /* the last sample, and when we had it */
    int64_t their_last_ns, period_ns; /* by the lines' own clock */
    int64_t far_ns;                   /* of n_far lines in a row far from those before, the last */
    int n_far;
    bool any, silent, holds;
    struct sample held; /* behind a gap, or from before sampling began */
    int64_t n_bad;
    char bad[100]; /* what was wrong with the last one */
};

/* ---- bytes to lines ---- */

static bool has_bytes(const struct wall *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    return !w->is_stdin || w->is_file || poll(&p, 1, 0) > 0;
}

static int open_stream(struct wall *w, struct lmw_err *err)
{
    struct stat st;
    w->fd =
        w->is_stdin ? STDIN_FILENO : open(w->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (w->fd < 0 || fstat(w->fd, &st) < 0)
        return lmw_fail_errno(err, "cannot open %s", w->path);
    if (S_ISDIR(st.st_mode))
        return lmw_fail(err, LMW_EARG, "%s is a folder", w->path);
    w->is_file = S_ISREG(st.st_mode);
    return LMW_OK;
}

/* A file that was cut, removed or replaced is read again from its start. */
static void follow(struct wall *w)
{
    struct stat st, now;
    if (!w->is_file || fstat(w->fd, &st) < 0)
        return;
    bool cut = st.st_size < lseek(w->fd, 0, SEEK_CUR);
    if (!w->is_stdin && stat(w->path, &now) == 0 && now.st_ino != st.st_ino) {
        close(w->fd);
        cut = open_stream(w, NULL) == LMW_OK;
    }
    if (cut) {
        lseek(w->fd, 0, SEEK_SET);
        w->from = w->n = 0;
        w->skipping = false;
    }
}

/* Reads what is there; false when that is nothing. */
static bool fill(struct wall *w)
{
    ssize_t got;
    memmove(w->buffer, w->buffer + w->from, (size_t)(w->n - w->from));
    w->n -= w->from;
    w->from = 0;
    if ((w->fd < 0 && open_stream(w, NULL) < 0) || !has_bytes(w))
        return false;
    while ((got = read(w->fd, w->buffer + w->n, (size_t)(BUFFER - w->n))) < 0 && errno == EINTR)
        continue;
    if (got <= 0) {
        follow(w);
        return false;
    }
    w->n += (int)got;
    return true;
}

static void complain(struct wall *w, const char *what)
{
    w->n_bad++;
    snprintf(w->bad, sizeof w->bad, "%.90s", what);
}

/* The next whole line; false when none is there yet. */
static bool next_line(struct wall *w, lmw_str *line)
{
    for (;;) {
        const char *p = w->buffer + w->from, *eol = memchr(p, '\n', (size_t)(w->n - w->from));
        int len = eol ? (int)(eol - p) : w->n - w->from;
        if (!eol && len <= MAX_LINE) {
            if (!fill(w))
                return false;
            continue;
        }
        w->from += eol ? len + 1 : len;
        bool skipped = w->skipping;
        w->skipping = !eol;
        if (eol && !skipped && len <= MAX_LINE) {
            *line = (lmw_str){p, (size_t)len};
            return true;
        }
        if (!skipped)
            complain(w, "a line of more than 256 bytes");
    }
}

/* ---- lines to samples ---- */

/* How far CLOCK_REALTIME is behind the monotonic clock, as near as two looks at one allow. */
static int64_t behind_ns(void)
{
    int64_t best = 0, width = INT64_MAX;
    for (int i = 0; i < 3 && width > 1000; i++) {
        struct timespec t;
        int64_t before = lmw_now_ns();
        clock_gettime(CLOCK_REALTIME, &t);
        int64_t after = lmw_now_ns();
        if (after - before < width) {
            width = after - before;
            best = before + width / 2 - (t.tv_sec * SECOND + t.tv_nsec);
        }
    }
    return best;
}

static enum clock recognise(int64_t t_ns, int64_t now_ns)
{
    int64_t from_mono = llabs(t_ns - now_ns), from_real = llabs(t_ns + behind_ns() - now_ns);
    if (from_mono > SAME_CLOCK_NS && from_real > SAME_CLOCK_NS)
        return CLOCK_ANOTHER;
    return from_mono <= from_real ? CLOCK_OUR_MONOTONIC : CLOCK_OUR_REALTIME;
}

/* Moves *t_ns from the lines' clock to our monotonic one; false when it cannot be. */
static bool to_our_time(struct wall *w, int64_t *t_ns, int64_t now_ns)
{
    if (*t_ns < 0 || *t_ns > MAX_TIME)
        return false;
    *t_ns -= w->offset_ns;
    int64_t shift = now_ns - *t_ns;
    if (w->clock == CLOCK_UNKNOWN) {
        w->clock = w->is_apple ? CLOCK_ANOTHER : recognise(*t_ns, now_ns);
        w->shift_ns = shift;
    }
    if (w->clock == CLOCK_OUR_MONOTONIC)
        return shift > -SAME_CLOCK_NS;
    if (w->clock == CLOCK_OUR_REALTIME) {
        int64_t behind = behind_ns();
        if (llabs(behind - w->shift_ns) > SAME_TIME_NS)
            w->shift_ns = behind;
        *t_ns += w->shift_ns;
        return now_ns - *t_ns > -SAME_CLOCK_NS;
    }
    if (shift < w->shift_ns - SAME_CLOCK_NS)
        return false;
    /* The promptest line so far, forgotten slowly enough to follow drift and no faster. */
    int64_t dt = w->their_last_ns ? *t_ns + w->offset_ns - w->their_last_ns : 0;
    int64_t most = w->shift_ns + (dt > 0 ? dt / (w->is_apple ? APPLE_DRIFT : DRIFT) : 0);
    w->shift_ns = shift < most ? shift : most;
    *t_ns += w->shift_ns;
    return true;
}

/* Moves *t_ns to our clock, or refuses it. A device whose own clock was set is believed when
 * SET_LINES lines in a row say so. */
static bool place(struct wall *w, int64_t *t_ns, int64_t now_ns)
{
    int64_t their_ns = *t_ns;
    bool back = w->clock == CLOCK_ANOTHER && w->their_last_ns - their_ns > SAME_CLOCK_NS;
    if (!back && to_our_time(w, t_ns, now_ns)) {
        w->n_far = 0;
        return true;
    }
    if (their_ns < 0 || their_ns > MAX_TIME)
        return false;
    bool near = w->n_far > 0 && their_ns > w->far_ns && their_ns - w->far_ns < SAME_CLOCK_NS;
    w->n_far = near ? w->n_far + 1 : 1;
    w->far_ns = *t_ns = their_ns;
    if (w->n_far < SET_LINES)
        return false;
    w->clock = CLOCK_UNKNOWN;
    w->their_last_ns = w->n_far = 0;
    return to_our_time(w, t_ns, now_ns);
}

static int64_t patience(const struct wall *w)
{
    int64_t ns = w->period_ns ? SILENT_PERIODS * w->period_ns : 60 * SECOND;
    return ns > 2 * SECOND ? ns : 2 * SECOND;
}

static void learn_period(struct wall *w, int64_t their_ns)
{
    int64_t dt = their_ns - w->their_last_ns, most = SILENT_PERIODS * w->period_ns;
    bool first = w->their_last_ns == 0;
    w->their_last_ns = their_ns;
    if (first || dt <= 0)
        return;
    w->period_ns = w->period_ns ? w->period_ns + ((dt < most ? dt : most) - w->period_ns) / 8 : dt;
}

/* One line: true when it is a sample. */
static bool parse(struct wall *w, lmw_str line, struct sample *out)
{
    struct lmw_err why = {0};
    struct line_format f = w->format;
    if (w->is_apple)
        return lmw_plist_line(&w->plist, line, out);
    int kind = lmw_line_parse(line, &f, out, &why);
    if (kind == LINE_HEADER && w->format.known && f.reading != w->format.reading)
        kind = lmw_fail(&why, LMW_EFORMAT, "a header of another quantity");
    if (kind == LINE_HEADER)
        w->format = f;
    if (kind < 0)
        complain(w, why.msg);
    return kind == LINE_SAMPLE;
}

/* One line: true when it is a sample later than the one before. */
static bool take(struct wall *w, lmw_str line, int64_t now_ns, struct sample *out)
{
    if (!parse(w, line, out))
        return false;
    int64_t their_ns = out->t_ns;
    if (!place(w, &out->t_ns, now_ns)) {
        complain(w, "a time more than 5 minutes from now");
        return false;
    }
    if (their_ns < w->their_last_ns)
        complain(w, "a time earlier than that of the line before");
    learn_period(w, their_ns);
    /* When the shift of another clock has just got smaller, the line before stands here. */
    return !w->any || out->t_ns > w->last_ns;
}

static struct sample gap_after(const struct wall *w)
{
    return (struct sample){.t_ns = w->last_ns + 1, .flags = S_GAP | S_NONE};
}

static void accept(struct wall *w, const struct sample *x, int64_t now_ns)
{
    w->any = true;
    w->last_ns = x->t_ns;
    w->heard_ns = now_ns;
    w->silent = false;
}

int lmw_wall_next(struct source *s, int64_t now_ns, struct sample *out)
{
    struct wall *w = s->state;
    lmw_str line;
    if (w->holds) {
        *out = w->held;
        w->holds = false;
        accept(w, out, now_ns);
        return 1;
    }
    for (int i = 0; i < MAX_LINES && next_line(w, &line); i++) {
        if (!take(w, line, now_ns, out))
            continue;
        if (w->any && !w->silent && out->t_ns - w->last_ns > patience(w)) {
            w->held = *out;
            w->holds = true;
            *out = gap_after(w);
            return 1;
        }
        accept(w, out, now_ns);
        return 1;
    }
    if (w->silent || !w->any || now_ns - w->heard_ns <= patience(w))
        return 0;
    w->silent = true;
    *out = gap_after(w);
    return 1;
}

void lmw_wall_note(struct source *s, char *out, size_t cap)
{
    const struct wall *w = s->state;
    if (w->n_bad)
        snprintf(out, cap, "%lld line%s not understood, the last one: %s", (long long)w->n_bad,
                 w->n_bad > 1 ? "s" : "", w->bad);
}

/* ---- finding ---- */

/* PATH, or PATH@SECONDS. */
static void parse_arg(struct wall *w, const char *arg)
{
    const char *at = strrchr(arg, '@');
    char *end = NULL;
    double seconds = at ? strtod(at + 1, &end) : 0;
    bool offset = at && end != at + 1 && !*end && fabs(seconds) < MAX_OFFSET_S;
    w->offset_ns = offset ? llround(seconds * 1e9) : 0;
    snprintf(w->path, sizeof w->path, "%.*s", offset ? (int)(at - arg) : (int)strlen(arg), arg);
    w->fd = -1;
    w->is_stdin = strcmp(w->path, "-") == 0;
    if (w->is_stdin)
        snprintf(w->path, sizeof w->path, "standard input");
}

/* Waits for the header. Of a file's history only the end is of use. */
static int read_header(struct wall *w, int64_t until_ns, struct lmw_err *err)
{
    lmw_str line;
    struct sample x;
    int n_line = 0;
    while (!w->format.known && lmw_now_ns() < until_ns) {
        if (!next_line(w, &line)) {
            lmw_sleep_until_ns(lmw_now_ns() + 5000000);
            continue;
        }
        if (n_line++ == 0)
            line = lmw_str_unmark(line);
        if (lmw_line_parse(line, &w->format, &x, err) < 0)
            return lmw_wrap(err, "%s: line %d", w->path, n_line);
    }
    if (!w->format.known)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "%s: no header came in 5 s: its first line must be timestamp_ns,watts or "
                        "timestamp_ns,joules",
                        w->path);
    struct stat st;
    if (w->is_file && fstat(w->fd, &st) == 0 && st.st_size > 2 * BUFFER) {
        lseek(w->fd, st.st_size - BUFFER, SEEK_SET);
        w->from = w->n = 0;
        w->skipping = true; /* the rest of a line */
    }
    return LMW_OK;
}

/* Until two samples have told the period, or the time is up. The last one is the first reading. */
static void read_first(struct wall *w, int64_t until_ns)
{
    lmw_str line;
    struct sample x;
    int64_t now_ns;
    while ((now_ns = lmw_now_ns()) < until_ns) {
        if (next_line(w, &line)) {
            if (take(w, line, now_ns, &x)) {
                accept(w, &x, now_ns);
                w->held = x;
                w->holds = true;
            }
        } else if (w->period_ns) {
            return;
        } else {
            lmw_sleep_until_ns(now_ns + 5000000);
        }
    }
}

static void describe(struct source *s, const struct wall *w)
{
    static const char *const clocks[] = {
        [CLOCK_UNKNOWN] = "no line yet",
        [CLOCK_OUR_MONOTONIC] = "times on CLOCK_MONOTONIC",
        [CLOCK_OUR_REALTIME] = "times on CLOCK_REALTIME",
        [CLOCK_ANOTHER] = "times on another clock (or long past), placed by when lines come"};
    s->info.reading = w->format.reading;
    s->info.period_ns = w->period_ns ? w->period_ns : LMW_NULL;
    snprintf(s->info.about, sizeof s->info.about, "%s, %s%s",
             w->format.reading == LMW_POWER ? "watts" : "joules", clocks[w->clock],
             w->period_ns ? "" : "; its period is not known yet");
    s->info.present = true;
}

static void name_stream(struct source *s, struct wall *w)
{
    const char *slash = strrchr(w->path, '/');
    const char *file = w->is_stdin ? "-" : slash ? slash + 1 : w->path;
    snprintf(s->info.name, sizeof s->info.name, "%s:%.40s", s->kind->name, file);
    snprintf(s->info.boundary, sizeof s->info.boundary, w->is_apple ? "chip" : "wall");
    snprintf(s->nest, sizeof s->nest, w->is_apple ? "host/soc" : "host");
    s->info.reading = w->is_apple ? LMW_COUNTER : LMW_POWER;
    if (w->is_apple)
        w->format = (struct line_format){true, LMW_COUNTER, 1};
}

/* Opens the stream and reads until it is known what it is. */
static int look(struct wall *w, struct lmw_err *err)
{
    int64_t until_ns = lmw_now_ns() + FIND_NS;
    int rc = open_stream(w, err);
    if (rc == LMW_OK)
        rc = read_header(w, until_ns, err);
    if (rc < 0)
        return rc;
    read_first(w, until_ns);
    if (w->is_apple && !w->any)
        return lmw_fail(err, LMW_EUNAVAILABLE,
                        "%s: no property list of powermetrics came in 5 s (it needs root)",
                        w->path);
    return LMW_OK;
}

int lmw_wall_find(struct source_list *l, const struct source_kind *kind, const char *arg,
                  struct lmw_err *err)
{
    struct lmw_err why = {0};
    struct source *s = lmw_source_add(l, kind);
    struct wall *w = calloc(1, sizeof *w);
    if (!s || !w) {
        free(w);
        return lmw_fail(err, LMW_ENOMEM, "no memory for the list of power sources");
    }
    s->state = w;
    w->is_apple = kind == &lmw_kind_apple;
    parse_arg(w, arg);
    name_stream(s, w);
    if (look(w, &why) < 0) {
        snprintf(s->info.reason, sizeof s->info.reason, "%.230s", why.msg);
        return LMW_OK;
    }
    describe(s, w);
    /* Lines long past look like another clock's: the first new one decides. */
    if (w->clock == CLOCK_ANOTHER) {
        w->clock = CLOCK_UNKNOWN;
        w->any = w->holds = false;
    }
    return LMW_OK;
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    if (!arg[0])
        return lmw_fail(err, LMW_EARG,
                        "write wall:PATH or wall:- (standard input), a stream of lines "
                        "timestamp_ns,watts or timestamp_ns,joules");
    return lmw_wall_find(l, &lmw_kind_wall, arg, err);
}

void lmw_wall_close(struct source *s)
{
    struct wall *w = s->state;
    if (w && w->fd >= 0 && !w->is_stdin)
        close(w->fd);
    free(w);
    s->state = NULL;
}

const struct source_kind lmw_kind_wall = {.name = "wall",
                                          .asked_as = "wall:PATH",
                                          .parts = true,
                                          .find = find,
                                          .next = lmw_wall_next,
                                          .note = lmw_wall_note,
                                          .close = lmw_wall_close};
