/* Apple's powermetrics: its stream of property lists, as a counter.
 *
 *     sudo powermetrics -f plist -i 200 --samplers cpu_power,gpu_power,ane_power | ... apple:-
 *
 * "apple:-" is standard input, "apple:PATH" a FIFO or a growing file, read as a wall meter is
 * (wall.c). Each document says how long it covers (elapsed_ns) and, in the dict `processor`, the
 * mean power over that time in mW: combined_power, or cpu_power + gpu_power (+ ane_power) where it
 * is missing. Power x time summed is a counter; its clock is the sum of elapsed_ns, placed by when
 * the promptest documents came. What passes between documents is in no document, and missing.
 * Boundary: the chip without its memory, by Apple's own model of it. (powermetrics(1).)
 *
 * What goes wrong: not root, or no such sampler (no document ever comes: absent), documents
 * without power, powers of 0 (macOS releases have shown them): no reading, never 0 W. A document
 * that is cut short is forgotten when the next begins.
 *
 * The parser knows as much of XML as these lists use: tags that do not span lines, one value
 * after one key. It looks at two levels of dicts and skips all others. */
#include "meter/sources/apple.h"

#include <math.h>
#include <stdlib.h>

#include "meter/sources/wall.h"

static const double MAX_ELAPSED_NS = 3.6e12, MAX_MW = 1e7;

/* The value a key names where it stands now; -1 when it is none of ours. */
static int slot(const struct plist *p)
{
    static const char *const names[] = {[PLIST_COMBINED] = "combined_power",
                                        [PLIST_CPU] = "cpu_power",
                                        [PLIST_GPU] = "gpu_power",
                                        [PLIST_ANE] = "ane_power"};
    if (p->depth == 1)
        return strcmp(p->key, "elapsed_ns") == 0 ? PLIST_ELAPSED : -1;
    for (int i = PLIST_COMBINED; p->processor && p->depth == p->processor && i < N_PLIST; i++) {
        if (strcmp(p->key, names[i]) == 0)
            return i;
    }
    return -1;
}

static void begin(struct plist *p)
{
    *p = (struct plist){.open = true, .t_ns = p->t_ns, .uj = p->uj};
}

/* mW, or NaN. */
static double power(const struct plist *p)
{
    uint32_t parts = 1U << PLIST_CPU | 1U << PLIST_GPU;
    double ane = p->have & 1U << PLIST_ANE ? p->value[PLIST_ANE] : 0;
    if (p->have & 1U << PLIST_COMBINED)
        return p->value[PLIST_COMBINED];
    return (p->have & parts) == parts ? p->value[PLIST_CPU] + p->value[PLIST_GPU] + ane
                                      : (double)NAN;
}

static int finish(struct plist *p, struct sample *out)
{
    double ns = p->have & 1U << PLIST_ELAPSED ? p->value[PLIST_ELAPSED] : 0, mw = power(p);
    bool timed = p->open && ns >= 1 && ns <= MAX_ELAPSED_NS, good = mw > 0 && mw <= MAX_MW;
    p->open = false;
    if (!timed || p->t_ns > SERIES_MAX_NS / 2 || p->uj > 1e18)
        return 0;
    p->t_ns += (int64_t)ns;
    p->uj += good ? mw * ns * 1e-6 : 0;
    *out = (struct sample){.t_ns = p->t_ns, .v = (int64_t)p->uj, .flags = good ? 0 : S_FAIL};
    return 1;
}

static void take_number(struct plist *p, lmw_str text)
{
    char digits[40], *end;
    int i = slot(p);
    snprintf(digits, sizeof digits, "%.*s", (int)(text.len < 39 ? text.len : 39), text.ptr);
    double v = strtod(digits, &end);
    if (i >= 0 && end != digits && !*end && isfinite(v)) {
        p->value[i] = v;
        p->have |= 1U << i;
    }
    p->key[0] = 0;
}

/* One tag and the text behind it, as far as the next. 1 when it ends a document. */
static int take_tag(struct plist *p, lmw_str tag, lmw_str text, struct sample *out)
{
    if (lmw_str_starts(tag, "plist"))
        begin(p);
    else if (lmw_str_is(tag, "/plist"))
        return finish(p, out);
    else if (lmw_str_is(tag, "key"))
        snprintf(p->key, sizeof p->key, "%.*s", (int)(text.len < 31 ? text.len : 31), text.ptr);
    else if (lmw_str_is(tag, "real") || lmw_str_is(tag, "integer"))
        take_number(p, text);
    else if ((lmw_str_is(tag, "dict") || lmw_str_is(tag, "array")) && p->depth < 1000) {
        p->depth++;
        if (p->depth == 2 && strcmp(p->key, "processor") == 0)
            p->processor = 2;
        p->key[0] = 0;
    } else if ((lmw_str_is(tag, "/dict") || lmw_str_is(tag, "/array")) && p->depth > 0) {
        p->depth--;
        p->processor = p->depth < p->processor ? 0 : p->processor;
    }
    return 0;
}

int lmw_plist_line(struct plist *p, lmw_str line, struct sample *out)
{
    int ended = 0;
    const char *at = line.ptr, *end = line.ptr + line.len;
    while (at < end && (at = memchr(at, '<', (size_t)(end - at)))) {
        const char *close = memchr(at, '>', (size_t)(end - at));
        if (!close)
            break;
        const char *next = memchr(close, '<', (size_t)(end - close));
        lmw_str tag = {at + 1, (size_t)(close - at - 1)};
        lmw_str text = {close + 1, (size_t)((next ? next : end) - close - 1)};
        ended |= take_tag(p, tag, text, out);
        at = close + 1;
    }
    return ended;
}

static int find(struct source_list *l, const char *sysroot, const char *arg, struct lmw_err *err)
{
    if (!arg[0])
        return lmw_fail(err, LMW_EARG,
                        "write apple:- or apple:PATH, where `sudo powermetrics -f plist -i 200 "
                        "--samplers cpu_power,gpu_power,ane_power` writes");
    return lmw_wall_find(l, &lmw_kind_apple, arg, err);
}

const struct source_kind lmw_kind_apple = {.name = "apple",
                                           .asked_as = "apple:PATH",
                                           .find = find,
                                           .next = lmw_wall_next,
                                           .note = lmw_wall_note,
                                           .close = lmw_wall_close};
