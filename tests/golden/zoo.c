/* llama.cpp's logits of small models, one per architecture: zoo NAME... checks each against
 * shared/zoo/NAME. Every kernel level, one thread and two, the prompt whole, in sevens and one by
 * one: within 1e-4 of the largest reference logit (f32 cache), the three feedings the same bits,
 * and the greedy continuation the same ids. */
#include "golden.h"

#include <jansson.h>

enum { MAX_IDS = 512 };

struct zoo_case {
    int n_tok, n_greedy, n_vocab;
    int32_t ids[MAX_IDS], greedy[MAX_IDS];
    float *logits;
};

static int int_array(const json_t *a, int32_t *out)
{
    int n = (int)json_array_size(a);
    for (int i = 0; i < n && i < MAX_IDS; i++)
        out[i] = (int32_t)json_integer_value(json_array_get(a, (size_t)i));
    return n < MAX_IDS ? n : MAX_IDS;
}

static int load_case(struct zoo_case *c, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "zoo/%s/case.json", name);
    json_t *root = json_load_file(shared_path(path), 0, NULL);
    if (!root)
        return 0;
    c->n_tok = int_array(json_object_get(root, "tokens"), c->ids);
    c->n_greedy = int_array(json_object_get(root, "greedy32"), c->greedy);
    int robust = (int)json_integer_value(json_object_get(root, "greedy_robust"));
    c->n_greedy = robust < c->n_greedy ? robust : c->n_greedy;
    c->n_vocab = (int)json_integer_value(json_object_get(root, "n_vocab"));
    json_decref(root);
    size_t n = (size_t)c->n_tok * c->n_vocab;
    snprintf(path, sizeof path, "zoo/%s/logits.f32", name);
    c->logits = read_floats(shared_path(path), &n);
    return c->logits != NULL;
}

static int fail(const char *what, const struct lmw_err *err)
{
    fprintf(stderr, "%s: %s\n", what, err->msg);
    return 1;
}

static int check_greedy(struct lmw_session *s, const struct zoo_case *c)
{
    struct lmw_err err;
    lmw_session_truncate(s, 0);
    if (lmw_session_eval(s, c->ids, c->n_tok, LMW_LOGITS_LAST, &err) < 0)
        return fail("greedy", &err);
    for (int i = 0; i < c->n_greedy; i++) {
        int32_t id = argmax(lmw_session_logits(s, 0), c->n_vocab);
        if (id != c->greedy[i]) {
            fprintf(stderr, "greedy token %d is %d, expected %d\n", i, id, c->greedy[i]);
            return 1;
        }
        if (lmw_session_eval(s, &id, 1, LMW_LOGITS_LAST, &err) < 0)
            return fail("greedy", &err);
    }
    return 0;
}

static int check_session(struct lmw_session *s, const struct zoo_case *c, const char *label)
{
    static const int chunks[] = {MAX_IDS, 7, 1};
    size_t n = (size_t)c->n_tok * c->n_vocab;
    float *got = malloc(n * sizeof *got), *first = malloc(n * sizeof *first);
    struct lmw_err err;
    int bad = 0;
    for (int i = 0; i < 3 && !bad; i++) {
        if (feed(s, c->ids, c->n_tok, chunks[i], got, c->n_vocab, &err) < 0) {
            bad = fail(label, &err);
            break;
        }
        double e = rel_error(got, c->logits, n);
        if (i == 0)
            memcpy(first, got, n * sizeof *got);
        if (!(e <= 1e-4) || memcmp(first, got, n * sizeof *got) != 0) {
            fprintf(stderr, "%s, chunks of %d: error %.2e (same bits as whole: %d)\n", label,
                    chunks[i], e, memcmp(first, got, n * sizeof *got) == 0);
            bad = 1;
        } else if (i == 0) {
            printf("%s: error %.2e\n", label, e);
        }
    }
    free(got);
    free(first);
    return bad || check_greedy(s, c);
}

static int check_level(const char *name, const struct zoo_case *c, const char *level, int n_thread)
{
    char path[256], label[256];
    struct lmw_engine_opts opts = {.n_thread = n_thread, .kv_f32 = true};
    struct lmw_engine *e = NULL;
    struct lmw_session *s = NULL;
    struct lmw_err err;
    snprintf(path, sizeof path, "zoo/%s/model.gguf", name);
    snprintf(label, sizeof label, "%s %s, %d thread%s", name, level, n_thread,
             n_thread > 1 ? "s" : "");
    if (lmw_cpu_mask(level, &opts.cpu_mask, &err) < 0 ||
        lmw_engine_open(&e, shared_path(path), &opts, &err) < 0)
        return fail(label, &err);
    int bad =
        lmw_session_open(&s, e, 0, &err) < 0 ? fail(label, &err) : check_session(s, c, label);
    lmw_session_close(s);
    lmw_engine_close(e);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++) {
        struct zoo_case c = {0};
        if (!load_case(&c, argv[i])) {
            fprintf(stderr, "skipped: no %s (set LMW_SHARED)\n", shared_path("zoo"));
            return SKIP;
        }
        for (int n_thread = 1; n_thread <= 3; n_thread++) {
            bad |= check_level(argv[i], &c, "ref", n_thread);
            bad |= check_level(argv[i], &c, "avx2", n_thread);
        }
        free(c.logits);
    }
    return bad;
}
