/* A labeller: multinomial naive Bayes over the words of a text and its pairs of neighbouring words
 * (Manning, Raghavan and Schuetze, Introduction to Information Retrieval, section 13.2), each
 * counted once a text (section 13.3's presence in place of frequency, which suits short
 * texts), with additive smoothing of 0.1.
 *
 *     label* = argmax  log P(label) + sum over words log (n(word, label) + 0.1) / (n(label) + 0.1 V)
 *
 * Words are hashed into 2^18 places; two that share one count as the same word. Its file is one
 * JSON object: {"lmwatt_labeller": 1, "labels": [{"name", "texts"}], "words": [[place, label, n,
 * label, n, ...], ...]}; words seen once are left out of it. Refused: another version, labels or
 * places beyond their range, counts that are no numbers. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "workload/seen.h"
#include "workload/workload.h"

enum { PLACES = 1 << 18, LABELS_MAX = 256, FILE_MAX = 256 << 20, WORDS_MAX = 4000 };
static const double smoothing = 0.1;

struct lmw_labeller {
    char *name[LABELS_MAX];
    int64_t n_text[LABELS_MAX], n_word[LABELS_MAX];
    int n_label;
    uint32_t *count[PLACES]; /* [n_cap] a place that was seen: times, by label; else NULL */
    int n_cap[PLACES];
    int64_t n_place;
};

int lmw_labeller_new(struct lmw_labeller **out, struct lmw_err *err)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : lmw_fail(err, LMW_ENOMEM, "out of memory for a labeller");
}

void lmw_labeller_close(struct lmw_labeller *l)
{
    if (!l)
        return;
    for (int i = 0; i < PLACES; i++)
        free(l->count[i]);
    for (int i = 0; i < l->n_label; i++)
        free(l->name[i]);
    free(l);
}

/* ---- words ---- */

static bool next_word(const char **at, uint64_t *hash)
{
    *hash = lmw_str_hash((lmw_str){0});
    while (**at && !isalnum((unsigned char)**at) && (unsigned char)**at < 0x80)
        ++*at;
    const char *from = *at;
    for (; isalnum((unsigned char)**at) || (unsigned char)**at >= 0x80; ++*at) {
        char c = (char)tolower((unsigned char)**at);
        *hash = lmw_str_hash_more(*hash, (lmw_str){&c, 1});
    }
    return *at > from;
}

/* The places of a text's words and pairs, each once; at most WORDS_MAX of them. */
static int places_of(const char *text, uint32_t place[WORDS_MAX], struct lmw_seen *seen)
{
    uint64_t word, before = 0;
    int n = 0;

    while (n + 2 <= WORDS_MAX && next_word(&text, &word)) {
        uint64_t both[2] = {word, before * 0x9e3779b97f4a7c15u ^ word};
        for (int i = 0; i < (before ? 2 : 1); i++) {
            uint32_t p = (uint32_t)((both[i] ^ both[i] >> 29) % PLACES);
            if (lmw_seen_add(seen, p + 1) == 1)
                place[n++] = p;
        }
        before = word;
    }
    return n;
}

/* ---- learning ---- */

static int find_label(const struct lmw_labeller *l, const char *name)
{
    for (int i = 0; i < l->n_label; i++)
        if (strcmp(l->name[i], name) == 0)
            return i;
    return -1;
}

static int add_label(struct lmw_labeller *l, const char *name, struct lmw_err *err)
{
    int i = find_label(l, name);

    if (i >= 0)
        return i;
    if (l->n_label == LABELS_MAX)
        return lmw_fail(err, LMW_EARG, "over %d different labels; is this column a domain?",
                        LABELS_MAX);
    if (!(l->name[l->n_label] = strdup(name)))
        return lmw_fail(err, LMW_ENOMEM, "out of memory for a labeller");
    return l->n_label++;
}

static bool add_count(struct lmw_labeller *l, uint32_t place, int label, uint32_t n)
{
    if (label >= l->n_cap[place]) {
        int cap = label + 8;
        uint32_t *more = realloc(l->count[place], (size_t)cap * sizeof(*more));
        if (!more)
            return false;
        memset(more + l->n_cap[place], 0, (size_t)(cap - l->n_cap[place]) * sizeof(*more));
        l->n_place += !l->count[place];
        l->count[place] = more;
        l->n_cap[place] = cap;
    }
    l->count[place][label] += n;
    l->n_word[label] += n;
    return true;
}

int lmw_labeller_learn(struct lmw_labeller *l, const char *text, const char *label,
                       struct lmw_err *err)
{
    uint32_t place[WORDS_MAX];
    struct lmw_seen seen = {0};
    int k = add_label(l, label, err), n = k < 0 ? 0 : places_of(text, place, &seen), i = 0;

    lmw_seen_clear(&seen);
    if (k < 0)
        return k;
    while (i < n && add_count(l, place[i], k, 1))
        i++;
    l->n_text[k]++;
    return i == n ? 0 : lmw_fail(err, LMW_ENOMEM, "out of memory for a labeller");
}

/* ---- labelling ---- */

static double log_score(const struct lmw_labeller *l, int label, const uint32_t *place, int n,
                        int64_t n_text)
{
    double total = (double)l->n_word[label] + smoothing * (double)l->n_place;
    double sum = log((double)l->n_text[label] / (double)n_text);

    for (int i = 0; i < n; i++) {
        if (!l->count[place[i]])
            continue; /* says nothing of any label */
        double times = label < l->n_cap[place[i]] ? l->count[place[i]][label] : 0;
        sum += log((times + smoothing) / total);
    }
    return sum;
}

const char *lmw_labeller_label(const struct lmw_labeller *l, const char *text)
{
    uint32_t place[WORDS_MAX];
    struct lmw_seen seen = {0};
    int n = places_of(text, place, &seen), best = -1, n_known = 0;
    int64_t n_text = 0;
    double most = 0;

    lmw_seen_clear(&seen);
    for (int i = 0; i < n; i++)
        n_known += l->count[place[i]] != NULL;
    for (int i = 0; i < l->n_label; i++)
        n_text += l->n_text[i];
    for (int i = 0; i < l->n_label && n_known > 0; i++) {
        double score = l->n_text[i] ? log_score(l, i, place, n, n_text) : -HUGE_VAL;
        if (best < 0 || score > most)
            best = i, most = score;
    }
    return best < 0 ? NULL : l->name[best];
}

/* ---- its file ---- */

static int64_t seen_times(const struct lmw_labeller *l, int place)
{
    int64_t n = 0;

    for (int i = 0; i < l->n_cap[place]; i++)
        n += l->count[place][i];
    return n;
}

int lmw_labeller_save(const struct lmw_labeller *l, const char *path, struct lmw_err *err)
{
    struct lmw_atomic w;
    int rc = lmw_atomic_open(&w, path, err);
    const char *comma = "";

    if (rc < 0)
        return rc;
    fprintf(w.f, "{\"lmwatt_labeller\": 1, \"labels\": [");
    for (int i = 0; i < l->n_label; i++) {
        json_t *label =
            json_pack("{s:s, s:I}", "name", l->name[i], "texts", (json_int_t)l->n_text[i]);
        fprintf(w.f, "%s\n", i ? "," : "");
        json_dumpf(label, w.f, 0);
        json_decref(label);
    }
    fprintf(w.f, "],\n\"words\": [");
    for (int i = 0; i < PLACES; i++) {
        if (seen_times(l, i) < 2)
            continue;
        fprintf(w.f, "%s\n[%d", comma, i);
        for (int k = 0; k < l->n_cap[i]; k++)
            if (l->count[i][k])
                fprintf(w.f, ",%d,%u", k, l->count[i][k]);
        fprintf(w.f, "]");
        comma = ",";
    }
    fprintf(w.f, "]}\n");
    return lmw_atomic_commit(&w, err);
}

static bool load_labels(struct lmw_labeller *l, const json_t *labels)
{
    const json_t *label;
    size_t i;

    json_array_foreach(labels, i, label)
    {
        const char *name = json_string_value(json_object_get(label, "name"));
        json_int_t n = json_integer_value(json_object_get(label, "texts"));
        if (!name || n < 1 || n > INT32_MAX || add_label(l, name, NULL) != (int)i)
            return false;
        l->n_text[i] = n;
    }
    return l->n_label > 0;
}

static bool load_word(struct lmw_labeller *l, const json_t *word)
{
    json_int_t place = json_integer_value(json_array_get(word, 0));
    size_t n = json_array_size(word);

    if (n < 3 || n % 2 == 0 || place < 0 || place >= PLACES)
        return false;
    for (size_t i = 1; i < n; i += 2) {
        json_int_t label = json_integer_value(json_array_get(word, i));
        json_int_t times = json_integer_value(json_array_get(word, i + 1));
        if (label < 0 || label >= l->n_label || times < 1 || times > INT32_MAX ||
            !add_count(l, (uint32_t)place, (int)label, (uint32_t)times))
            return false;
    }
    return true;
}

int lmw_labeller_open_bytes(struct lmw_labeller **out, lmw_str bytes, const char *name,
                            struct lmw_err *err)
{
    json_t *file = json_loadb(bytes.ptr, bytes.len, 0, NULL), *word;
    bool ok = json_integer_value(json_object_get(file, "lmwatt_labeller")) == 1;
    int rc = lmw_labeller_new(out, err);
    size_t i;

    if (rc == 0) {
        ok = ok && load_labels(*out, json_object_get(file, "labels"));
        json_array_foreach(json_object_get(file, "words"), i, word) ok =
            ok && load_word(*out, word);
        if (!ok)
            rc = lmw_fail(err, LMW_EFORMAT,
                          "%s is no labeller; `lmwatt workload label --fit` makes one", name);
    }
    if (rc < 0) {
        lmw_labeller_close(*out);
        *out = NULL;
    }
    json_decref(file);
    return rc;
}

int lmw_labeller_open(struct lmw_labeller **out, const char *path, struct lmw_err *err)
{
    struct lmw_buf text = {0};
    int rc = lmw_file_read(path, FILE_MAX, &text, err);

    *out = NULL;
    if (rc == 0)
        rc =
            lmw_labeller_open_bytes(out, (lmw_str){text.ptr ? text.ptr : "", text.len}, path, err);
    lmw_buf_free(&text);
    return rc;
}
