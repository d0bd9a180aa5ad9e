/* The map itself, its units, and a value on its way into a field. See map.h.
 *
 * A number that is no number is refused, and so is one that would have to be rounded into a whole
 * field without a unit: 1142.2 in energy_uj are joules that nobody said are joules. */
#include "store/map.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- units --- */

static const struct unit {
    const char *field, *name; /* of fields whose name ends so */
    double scale;
} units[] = {
    {"_uj", "J", 1e6},       {"_uj", "kJ", 1e9},
    {"_uj", "MJ", 1e12},     {"_uj", "mJ", 1e3},
    {"_uj", "uJ", 1},        {"_uj", "Wh", 3.6e9},
    {"_uj", "kWh", 3.6e12},  {"_uj", "mWh", 3.6e6},
    {"_ns", "s", 1e9},       {"_ns", "ms", 1e6},
    {"_ns", "us", 1e3},      {"_ns", "ns", 1},
    {"_ns", "min", 60e9},    {"_ns", "h", 3600e9},
    {"_mw", "W", 1e3},       {"_mw", "kW", 1e6},
    {"_mw", "mW", 1},        {"_mc", "C", 1e3},
    {"_bytes", "B", 1},      {"_bytes", "KB", 1e3},
    {"_bytes", "MB", 1e6},   {"_bytes", "GB", 1e9},
    {"_bytes", "KiB", 1024}, {"_bytes", "MiB", 1048576},
    {"params", "K", 1e3},    {"_bytes", "GiB", 1024.0 * 1048576},
    {"params", "M", 1e6},    {"params", "B", 1e9},
    {"params", "T", 1e12},   {"flops", "M", 1e6},
    {"flops", "G", 1e9},     {"flops", "T", 1e12},
    {"_usd", "USD", 1},      {"_usd", "ct", 0.01},
    {"score", "%", 0.01},
};
enum { N_UNIT = sizeof units / sizeof *units };

static bool is_of(const struct unit *u, const struct lmw_column *c)
{
    return lmw_str_ends((lmw_str){c->name, c->name_bytes}, u->field);
}

/* What the field is counted in, "J, kJ, ..."; empty where it has no unit. */
static const char *units_of(const struct lmw_column *c, char out[128])
{
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < N_UNIT; i++) {
        if (is_of(&units[i], c) && n < 100)
            n += (size_t)snprintf(out + n, 128 - n, "%s%s", n ? ", " : "", units[i].name);
    }
    return out;
}

/* A unit of the field, or a number above 0 to multiply with; 0: neither. */
static double scale_of(const struct lmw_column *c, const char *unit)
{
    char *end;
    for (int i = 0; i < N_UNIT; i++) {
        if (is_of(&units[i], c) && strcmp(units[i].name, unit) == 0)
            return units[i].scale;
    }
    double x = strtod(unit, &end);
    bool is_number = *unit && strspn(unit, "0123456789.eE+-") == strlen(unit) && !*end;
    return is_number && x > 0 && isfinite(x) ? x : 0;
}

/* --- the list --- */

/* A comma that no FIELD= follows is part of a column's name. */
static const char *pair_end(const char *from)
{
    const char *end = from;
    do {
        end += *end == ',';
        end += strcspn(end, ",");
    } while (*end && end[1 + strspn(end + 1, "abcdefghijklmnopqrstuvwxyz0123456789_ ")] != '=');
    return end;
}

static int no_field(lmw_str name, struct lmw_err *err)
{
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(name.len < 63 ? name.len : 63), name.ptr);
    struct lmw_nearest near = lmw_nearest_to(word);
    for (const struct lmw_column *c = lmw_columns; c->name; c++)
        lmw_nearest_try(&near, c->name);
    return lmw_fail(err, LMW_EARG, "--map: a record has no field '%s'%s%s%s (docs/records.md)",
                    word, near.best ? "; did you mean '" : "", near.best ? near.best : "",
                    near.best ? "'?" : "");
}

static int split_unit(struct mapping *p, struct lmw_err *err)
{
    char known[128], *colon = strrchr(p->from, ':');
    if (!colon || !p->to || p->to->kind == LMW_COL_TEXT || p->to->kind == LMW_COL_JSON)
        return LMW_OK;
    if ((p->scale = scale_of(p->to, colon + 1)) == 0)
        return lmw_fail(err, LMW_EARG, "--map %s=%s: '%s' is no unit of it (%s%sor a factor)",
                        p->to->name, p->from, colon + 1, units_of(p->to, known),
                        *known ? "; " : "");
    *colon = 0;
    return LMW_OK;
}

static void split_star(struct mapping *p, bool is_csv)
{
    const char *star = strchr(p->from, '*'), *key = star, *behind = star + strlen(star);
    while (key > p->from && (is_csv || key[-1] != '.'))
        key--;
    if (!is_csv)
        behind = star + strcspn(star, ".");
    if (key > p->from)
        memcpy(p->star.in, p->from, (size_t)(key - p->from) - 1);
    memcpy(p->star.before, key, (size_t)(star - key));
    memcpy(p->star.after, star + 1, (size_t)(behind - star) - 1);
    memmove(p->star.inside, behind + (*behind == '.'), strlen(behind + (*behind == '.')) + 1);
}

lmw_str lmw_star_name(const struct star *star, lmw_str column)
{
    size_t a = strlen(star->before), b = strlen(star->after);
    bool fits = column.len > a + b && memcmp(column.ptr, star->before, a) == 0 &&
                memcmp(column.ptr + column.len - b, star->after, b) == 0;
    return fits ? (lmw_str){column.ptr + a, column.len - a - b} : (lmw_str){0};
}

static int add_pair(struct map *m, lmw_str pair, bool is_csv, struct lmw_err *err)
{
    const char *eq = memchr(pair.ptr, '=', pair.len);
    size_t n_to = eq ? (size_t)(eq - pair.ptr) : pair.len;
    lmw_str to = lmw_str_trim((lmw_str){pair.ptr, n_to});
    lmw_str from =
        eq ? lmw_str_trim((lmw_str){eq + 1, pair.len - n_to - 1}) : (lmw_str){pair.ptr, 0};
    if (m->n == MAP_MAX)
        return lmw_fail(err, LMW_EARG, "--map: over %d columns", MAP_MAX);
    if (from.len == 0 || from.len >= MAP_NAME)
        return lmw_fail(err, LMW_EARG,
                        "--map: '%.*s' is not FIELD=COLUMN, as in score=accuracy:%%",
                        LMW_FMT(pair));
    struct mapping *p = &m->at[m->n];
    memcpy(p->from, from.ptr, from.len);
    p->to = lmw_column_find(to, NULL);
    if (!p->to && !lmw_str_is(to, "extra"))
        return no_field(to, err);
    for (int i = 0; i < m->n && p->to; i++)
        p->goes_on |= m->at[i].to == p->to;
    if (p->goes_on && p->to->kind != LMW_COL_TEXT)
        return lmw_fail(err, LMW_EARG, "--map: '%s' is given twice", p->to->name);
    m->n++;
    int rc = split_unit(p, err);
    if (p->to && strchr(p->from, '*')) {
        p->has_star = true;
        split_star(p, is_csv);
        m->star = m->star ? m->star : p;
        m->n_star++;
    }
    return rc;
}

int lmw_map_parse(struct map *m, const char *list, bool is_csv, struct lmw_err *err)
{
    int rc = LMW_OK;
    *m = (struct map){0};
    for (const char *end; list && rc == LMW_OK; list = *end ? end + 1 : NULL) {
        end = pair_end(list);
        rc = add_pair(m, (lmw_str){list, (size_t)(end - list)}, is_csv, err);
    }
    return rc;
}

int lmw_map_check(const struct map *m, struct lmw_err *err)
{
    for (int i = 0; i < m->n; i++) {
        if (!m->at[i].was_seen)
            return lmw_fail(err, LMW_EFORMAT, "--map: no row has a '%s'", m->at[i].from);
    }
    return LMW_OK;
}

bool lmw_map_fills(const struct map *m, const struct lmw_column *c)
{
    for (int i = 0; i < m->n; i++) {
        if (m->at[i].to == c)
            return true;
    }
    return false;
}

/* --- a value --- */

/* As pandas, R, SQL and people write that there is nothing. */
static bool is_missing(lmw_str s)
{
    static const char *const words[] = {"", "nan", "na", "n/a", "null", "none", "-", "?", NULL};
    return lmw_str_among_caseless(s, words);
}

/* Right or wrong, in words. */
static bool read_verdict(lmw_str s, double *out)
{
    static const char *const yes[] = {"true", "yes", "right", "correct", "pass", "passed", NULL};
    static const char *const no[] = {"false", "no", "wrong", "incorrect", "fail", "failed", NULL};
    *out = lmw_str_among_caseless(s, yes);
    return *out == 1 || lmw_str_among_caseless(s, no);
}

static bool read_number(lmw_str s, double *out)
{
    char text[48], *end;
    if (s.len == 0 || s.len >= sizeof text)
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    *out = strtod(text, &end);
    return !*end && strspn(text, "0123456789.eE+-") == s.len && isfinite(*out);
}

/* Of a score, a percent sign behind the number is its unit. */
static bool read_value(const struct mapping *m, lmw_str s, double *out)
{
    bool is_score = m->to->offset == offsetof(struct lmw_record, score);
    bool is_share = is_score && s.len > 0 && s.ptr[s.len - 1] == '%';
    if (is_score && read_verdict(s, out))
        return true;
    if (!read_number((lmw_str){s.ptr, s.len - is_share}, out))
        return false;
    *out *= is_share ? 0.01 : m->scale ? m->scale : 1;
    return true;
}

static int not_whole(const struct mapping *m, lmw_str text, struct lmw_err *err)
{
    char known[128];
    units_of(m->to, known);
    return lmw_fail(err, LMW_EFORMAT, "'%s' holds %.*s, and %s is whole%s%s%s", m->from,
                    (int)(text.len < 40 ? text.len : 40), text.ptr, m->to->name,
                    *known ? ": say its unit behind a colon in --map (" : "", known,
                    *known ? ")" : "");
}

static int put_number(struct lmw_record *r, const struct mapping *m, lmw_str text,
                      struct lmw_arena *arena, struct lmw_err *err)
{
    void *field = (char *)r + m->to->offset;
    double x;
    text = lmw_str_trim(text);
    if (is_missing(text) ||
        (m->scale == 0 && lmw_record_set(r, m->to, text, arena, NULL) == LMW_OK))
        return LMW_OK;
    if (!read_value(m, text, &x))
        return lmw_fail(err, LMW_EFORMAT, "'%s' holds '%.*s', which is no number for %s%s",
                        m->from, (int)(text.len < 40 ? text.len : 40), text.ptr, m->to->name,
                        m->has_star ? ": a column of something else is named in --map, as in "
                                      "extra=COLUMN"
                                    : "");
    if (m->to->kind == LMW_COL_REAL)
        *(double *)field = x;
    else if (fabs(x) >= 9e18 || (m->scale == 0 && x != floor(x)))
        return not_whole(m, text, err);
    else
        *(int64_t *)field = m->to->kind == LMW_COL_BOOL ? x != 0 : llround(x);
    return LMW_OK;
}

static int put_text(struct lmw_record *r, const struct mapping *m, const struct lmw_json_value *v,
                    struct lmw_arena *arena, struct lmw_err *err)
{
    const char **field = (const char **)(void *)((char *)r + m->to->offset);
    const char *text = lmw_foreign_text(v, arena), *before = m->goes_on ? *field : NULL;
    if (text && before && *text) {
        size_t n = strlen(before) + strlen(text) + 2;
        char *both = lmw_arena_alloc(arena, n, 1, 1);
        if (both)
            snprintf(both, n, "%s/%s", before, text);
        text = both;
    }
    if (!text)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a row");
    if (*text)
        *field = text;
    return LMW_OK;
}

int lmw_map_put(struct lmw_record *r, const struct mapping *m, const struct lmw_json_value *v,
                struct lmw_arena *arena, struct lmw_err *err)
{
    lmw_str text = v->text;
    if (v->kind == LMW_JSON_NULL)
        return LMW_OK;
    if (m->to->kind == LMW_COL_TEXT)
        return put_text(r, m, v, arena, err);
    if (v->is_escaped && !(text = lmw_str_from(lmw_json_copy(v, arena))).ptr)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a row");
    if (m->to->kind == LMW_COL_JSON)
        return lmw_record_set(r, m->to, text, arena, err);
    return put_number(r, m, text, arena, err);
}

int lmw_map_put_own(struct lmw_record *r, const struct lmw_column *c,
                    const struct lmw_json_value *v, struct lmw_arena *arena, struct lmw_err *err)
{
    const struct mapping own = {.to = c};
    int rc = lmw_map_put(r, &own, v, arena, NULL);
    /* What is wrong is said as it is of any record. */
    return rc == LMW_EFORMAT ? lmw_record_set(r, c, v->text, arena, err) : rc;
}
