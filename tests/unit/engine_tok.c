/* The tokenizer through its door: round trips of any bytes, training by hand-checked example and
 * twice over, special tokens, GGUF there and back, refusals; and agreement with llama.cpp, on
 * its own vocabulary fixtures and on a vocabulary trained here (both skipped, saying so, where
 * absent). */
#include "base/file.h"
#include "base/rng.h"
#include "engine/tok.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char *shared(void)
{
    const char *dir = getenv("LMW_SHARED");
    return dir ? dir : "../shared";
}

/* ---- A vocabulary of 600 tokens over a few texts in many scripts. */

static const char *const samples[] = {
    "The quick brown fox jumps over the lazy dog; it's what they'll do, won't they?  Twice!",
    "A lamp costs 19.99 and a chair costs 129.00, so the two cost 148.99.\n\nOrder #4711\t(paid)",
    "Größere Überraschungen heißen nicht immer Straßenfest.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "色は匂へど散りぬるを 我が世誰ぞ常ならむ",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ومغلف بجلد أزرق",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน",
    "👩‍👩‍👧‍👦 family, 🇩🇪 flag, é as two, ﬁ as one, ½ and Ⅷ\r\n\r\n   indented\n\t\ttabs",
    "{\"name\": \"lamp\", \"price\": 19.99, \"tags\": [\"home\", \"light\"], \"stock\": null}",
};
enum { N_SAMPLE = sizeof samples / sizeof *samples };

static struct lmw_tok *train(int n_vocab)
{
    lmw_str texts[4 * N_SAMPLE];
    struct lmw_err err = {0};
    struct lmw_tok *t;
    for (int i = 0; i < 4 * N_SAMPLE; i++)
        texts[i] = lmw_str_from(samples[i % N_SAMPLE]);
    if (lmw_tok_train(&t, texts, 4 * N_SAMPLE, n_vocab, false, &err) < 0)
        fail_msg("%s", err.msg);
    return t;
}

static void assert_round_trip(const struct lmw_tok *t, lmw_str text, lmw_str prefix)
{
    struct lmw_buf b = {0};
    size_t n = lmw_tok_encode(t, text, false, false, NULL, 0);
    int32_t *ids = malloc((n + 1) * sizeof *ids);
    assert_int_equal(lmw_tok_encode(t, text, false, false, ids, n), n);
    for (size_t i = 0; i < n; i++) {
        lmw_str piece = lmw_tok_piece(t, ids[i]);
        lmw_buf_put(&b, piece.ptr, piece.len);
    }
    assert_true(b.len >= prefix.len);
    assert_int_equal(b.len - prefix.len, text.len);
    assert_true(text.len == 0 || !memcmp(b.ptr + prefix.len, text.ptr, text.len));
    free(ids);
    lmw_buf_free(&b);
}

static void any_bytes_come_back(const struct lmw_tok *t, lmw_str prefix)
{
    static char bytes[5000];
    struct lmw_rng rng;
    lmw_rng_init(&rng, 7);
    for (int round = 0; round < 400; round++) {
        size_t n = 1 + lmw_rng_below(&rng, round % 50 ? 200 : sizeof bytes - 1);
        int kind = round % 4; /* any, ASCII, one letter, spaces and any */
        for (size_t i = 0; i < n; i++) {
            uint32_t r = lmw_rng_below(&rng, 256);
            bytes[i] = (char)(kind == 0   ? r
                              : kind == 1 ? r % 128
                              : kind == 2 ? 'a'
                              : r % 2     ? ' '
                                          : r);
        }
        assert_round_trip(t, (lmw_str){bytes, n}, prefix);
    }
}

static void test_round_trip(void **state)
{
    struct lmw_tok *t = train(600);
    for (int i = 0; i < N_SAMPLE; i++)
        assert_round_trip(t, lmw_str_from(samples[i]), LMW_STR(""));
    assert_round_trip(t, LMW_STR(""), LMW_STR(""));
    assert_round_trip(t, LMW_STR("<|bos|> is text <|eos|>"), LMW_STR(""));
    any_bytes_come_back(t, LMW_STR(""));
    lmw_tok_free(t);
}

/* ---- Training. */

/* Words: "hug" 1, " hug" 2, " pug" 2. Pairs, most frequent first: u+g 5, h+ug 3; then three of
 * 2: space+p (34, 114), space+hug (34, 259), p+ug (114, 258), the lowest ids first, which leaves
 * " p"+ug. */
static void test_train_by_hand(void **state)
{
    static const char *const expected[] = {"ug", "hug", " p", " hug", " pug"};
    lmw_str text = LMW_STR("hug hug hug pug pug");
    struct lmw_err err = {0};
    struct lmw_tok *t;
    assert_int_equal(lmw_tok_train(&t, &text, 1, 263, false, &err), 0);
    assert_int_equal(lmw_tok_n_vocab(t), 263);
    for (int i = 0; i < 5; i++)
        assert_true(lmw_str_is(lmw_tok_piece(t, 258 + i), expected[i]));
    for (int b = 0; b < 256; b++)
        assert_true(lmw_str_eq(lmw_tok_piece(t, 2 + b), (lmw_str){(char[]){(char)b}, 1}));
    assert_true(lmw_str_is(lmw_tok_text(t, 262), "\xc4\xa0pug")); /* GPT-2 spells a space U+0120 */

    int32_t ids[8];
    assert_int_equal(lmw_tok_encode(t, LMW_STR("hug pugs"), true, false, ids, 8), 4);
    const int32_t want[] = {0, 259, 262, 2 + 's'};
    assert_memory_equal(ids, want, sizeof want);
    lmw_tok_free(t);

    lmw_str once = LMW_STR("hello"); /* no pair occurs twice */
    assert_int_equal(lmw_tok_train(&t, &once, 1, 264, false, &err), LMW_EARG);
    assert_int_equal(lmw_tok_train(&t, &text, 1, 264, false, &err), LMW_EARG);
    assert_non_null(strstr(err.msg, "263"));
    assert_null(t);
    assert_int_equal(lmw_tok_train(&t, &text, 1, 257, false, &err), LMW_EARG);
}

/* Words trained apart: what stands before a word never changes its tokens. */
static void test_words_apart(void **state)
{
    lmw_str text = LMW_STR("hug hug \"hug\" l'hug hug pug's pug (pug) pug hug \xc3\xa9t\xc3\xa9 "
                           "\xc3\xa9t\xc3\xa9 \xc3\xa9t\xc3\xa9 add_hug add_pug add");
    static const char *const leads[] = {" ", "\"", "'", "(", "_"};
    struct lmw_err err = {0};
    struct lmw_tok *t;
    int32_t alone[16], led[16];
    assert_int_equal(lmw_tok_train(&t, &text, 1, 266, true, &err), 0);
    for (int i = 258; i < 266; i++) /* "ug", "hug", ...: no token joins a lead to a word */
        assert_null(strpbrk(lmw_tok_text(t, i).ptr, "\xc4\"'(_"));
    for (int w = 0; w < 2; w++) {
        const char *word = w ? "hug" : "\xc3\xa9t\xc3\xa9";
        size_t n = lmw_tok_encode(t, lmw_str_from(word), false, false, alone, 16);
        for (size_t i = 0; i < sizeof leads / sizeof *leads; i++) {
            char both[16];
            snprintf(both, sizeof both, "%s%s", leads[i], word);
            assert_int_equal(lmw_tok_encode(t, lmw_str_from(both), false, false, led, 16), n + 1);
            assert_memory_equal(led + 1, alone, n * sizeof *alone);
        }
    }
    lmw_tok_free(t);
}

static void test_train_twice(void **state)
{
    struct lmw_tok *a = train(700), *b = train(700);
    for (int i = 0; i < 700; i++)
        assert_true(lmw_str_eq(lmw_tok_text(a, i), lmw_tok_text(b, i)));
    lmw_tok_free(a);
    lmw_tok_free(b);
}

/* ---- Special tokens. */

static void test_specials(void **state)
{
    struct lmw_tok *t = train(300);
    int32_t ids[32];
    lmw_str text = LMW_STR("<|eos|>a<|bos|>");
    assert_int_equal(lmw_tok_bos(t), 0);
    assert_int_equal(lmw_tok_eos(t), 1);
    assert_true(lmw_tok_is_end(t, 1));
    assert_false(lmw_tok_is_end(t, 0));
    assert_false(lmw_tok_is_end(t, -1));
    assert_int_equal(lmw_tok_piece(t, 1).len, 0);
    assert_true(lmw_str_is(lmw_tok_text(t, 1), "<|eos|>"));

    assert_int_equal(lmw_tok_encode(t, text, false, true, ids, 32), 3);
    const int32_t want[] = {1, 2 + 'a', 0};
    assert_memory_equal(ids, want, sizeof want);
    size_t n = lmw_tok_encode(t, text, false, false, ids, 32);
    assert_true(n > 3 && n <= 15);
    for (size_t i = 0; i < n; i++)
        assert_true(ids[i] > 1);
    assert_int_equal(lmw_tok_encode(t, LMW_STR(""), true, false, ids, 32), 1);

    /* Too little room: the whole count, and nothing written past the end. */
    ids[2] = -7;
    assert_int_equal(lmw_tok_encode(t, text, false, false, ids, 2), n);
    assert_int_equal(ids[2], -7);
    lmw_tok_free(t);
}

/* ---- GGUF. */

static char *temp_path(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/lmw_tok_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

static void store(const struct lmw_tok *t, const char *path, const char *arch)
{
    struct lmw_gguf_writer *w;
    struct lmw_err err = {0};
    if (lmw_gguf_writer_open(&w, path, &err) < 0)
        fail_msg("%s", err.msg);
    lmw_gguf_put_str(w, "general.architecture", lmw_str_from(arch));
    assert_int_equal(lmw_tok_store(t, w, LMW_STR("{{ messages[0]['content'] }}\n"), &err), 0);
    if (lmw_gguf_writer_close(w, &err) < 0)
        fail_msg("%s", err.msg);
}

static struct lmw_tok *load(const char *path, struct lmw_err *err)
{
    struct lmw_gguf *g;
    struct lmw_tok *t = NULL;
    if (lmw_gguf_open(&g, path, err) < 0)
        return NULL;
    lmw_tok_load(&t, g, err);
    lmw_gguf_close(g);
    return t;
}

static void test_store_load(void **state)
{
    struct lmw_tok *a = train(600);
    char *path = temp_path();
    struct lmw_err err = {0};
    store(a, path, "llama");
    struct lmw_tok *b = load(path, &err);
    unlink(path);
    if (!b)
        fail_msg("%s", err.msg);
    assert_int_equal(lmw_tok_n_vocab(b), 600);
    assert_int_equal(lmw_tok_bos(b), 0);
    assert_int_equal(lmw_tok_eos(b), 1);
    for (int i = 0; i < 600; i++) {
        assert_true(lmw_str_eq(lmw_tok_text(a, i), lmw_tok_text(b, i)));
        assert_true(lmw_str_eq(lmw_tok_piece(a, i), lmw_tok_piece(b, i)));
    }
    for (int i = 0; i < N_SAMPLE; i++) {
        int32_t x[512], y[512];
        lmw_str text = lmw_str_from(samples[i]);
        size_t n = lmw_tok_encode(a, text, true, false, x, 512);
        assert_int_equal(lmw_tok_encode(b, text, true, false, y, 512), n);
        assert_memory_equal(x, y, n * sizeof *x);
    }
    lmw_tok_free(a);
    lmw_tok_free(b);
}

/* A vocabulary by hand, to break in one place at a time. */
struct made {
    const char *model, *pre, *merge;
    int n_type, bos;
};

static int load_made(struct made m, struct lmw_err *err)
{
    static const lmw_str tokens[] = {{"a", 1}, {"b", 1}, {"ab", 2}};
    static const int32_t types[] = {1, 1, 1, 1};
    lmw_str merge = lmw_str_from(m.merge);
    char *path = temp_path();
    struct lmw_gguf_writer *w;
    struct lmw_tok *t = NULL;
    assert_int_equal(lmw_gguf_writer_open(&w, path, err), 0);
    lmw_gguf_put_str(w, "tokenizer.ggml.model", lmw_str_from(m.model));
    lmw_gguf_put_str(w, "tokenizer.ggml.pre", lmw_str_from(m.pre));
    lmw_gguf_put_strs(w, "tokenizer.ggml.tokens", tokens, 3);
    lmw_gguf_put_i32s(w, "tokenizer.ggml.token_type", types, (size_t)m.n_type);
    if (m.merge)
        lmw_gguf_put_strs(w, "tokenizer.ggml.merges", &merge, 1);
    lmw_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)m.bos);
    assert_int_equal(lmw_gguf_writer_close(w, err), 0);
    *err = (struct lmw_err){0};
    t = load(path, err);
    unlink(path);
    lmw_tok_free(t);
    return err->code;
}

static void test_refusals(void **state)
{
    struct lmw_err e = {0};
    assert_int_equal(load_made((struct made){"gpt2", "qwen2", "a b", 3, 0}, &e), 0);
    assert_int_equal(load_made((struct made){"bert", "qwen2", "a b", 3, 0}, &e), LMW_EUNSUPPORTED);
    assert_non_null(strstr(e.msg, "bert"));
    assert_int_equal(load_made((struct made){"gpt2", "nobody's", "a b", 3, 0}, &e),
                     LMW_EUNSUPPORTED);
    assert_non_null(strstr(e.msg, "nobody's"));
    assert_int_equal(load_made((struct made){"gpt2", "qwen2", "a c", 3, 0}, &e), LMW_EFORMAT);
    assert_non_null(strstr(e.msg, "a c"));
    assert_int_equal(load_made((struct made){"gpt2", "qwen2", "ab", 3, 0}, &e), LMW_EFORMAT);
    assert_int_equal(load_made((struct made){"gpt2", "qwen2", NULL, 3, 0}, &e), LMW_EFORMAT);
    assert_int_equal(load_made((struct made){"gpt2", "qwen2", "a b", 2, 0}, &e), LMW_EFORMAT);
    assert_non_null(strstr(e.msg, "token_type"));
    assert_int_equal(load_made((struct made){"gpt2", "qwen2", "a b", 3, 3}, &e), LMW_EFORMAT);
    assert_non_null(strstr(e.msg, "bos_token_id"));
    assert_int_equal(load_made((struct made){"llama", "default", NULL, 3, 0}, &e), LMW_EFORMAT);
    assert_non_null(strstr(e.msg, "scores"));
}

static void test_every_pretokenizer(void **state)
{
    static const char *const names[] = {"qwen2",  "qwen35",       "llama-bpe",      "dbrx",
                                        "gpt-2",  "starcoder",    "falcon",         "default",
                                        "tekken", "deepseek-llm", "deepseek-coder", "deepseek-v3",
                                        "gpt-4o", "bloom"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct lmw_err err = {0};
        if (load_made((struct made){"gpt2", names[i], "a b", 3, 0}, &err) < 0)
            fail_msg("%s: %s", names[i], err.msg);
    }
}

/* ---- llama.cpp's vocabulary fixtures: texts in NAME.gguf.inp, their ids in NAME.gguf.out. */

static lmw_str next_part(lmw_str *rest, const char *separator)
{
    size_t n = strlen(separator);
    const char *at = memmem(rest->ptr, rest->len, separator, n);
    lmw_str part = {rest->ptr, at ? (size_t)(at - rest->ptr) : rest->len};
    size_t skip = at ? part.len + n : part.len;
    rest->ptr += skip;
    rest->len -= skip;
    return part;
}

static bool same_ids(const int32_t *ids, size_t n, const char *line)
{
    for (size_t i = 0; i < n; i++) {
        char *end;
        long id = strtol(line, &end, 10);
        if (end == line || id != ids[i])
            return false;
        line = end;
    }
    return strspn(line, " ") == strlen(line);
}

/* prefix: what a round trip puts in front; NULL: the vocabulary lacks some bytes, so none is
 * tried. */
static void check_fixture(const char *name, const char *prefix, int *n_done)
{
    char path[512];
    struct lmw_buf in = {0}, out = {0};
    struct lmw_err err = {0};
    snprintf(path, sizeof path, "%s/data/tokenizers/ggml-vocab-%s.gguf", shared(), name);
    if (access(path, R_OK) != 0) {
        print_message("no %s: skipped\n", path);
        return;
    }
    struct lmw_tok *t = load(path, &err);
    if (!t)
        fail_msg("%s: %s", name, err.msg);
    strcat(path, ".inp");
    assert_int_equal(lmw_file_read(path, 1 << 20, &in, &err), 0);
    strcpy(path + strlen(path) - 3, "out");
    assert_int_equal(lmw_file_read(path, 1 << 20, &out, &err), 0);
    lmw_str texts = {in.ptr, in.len}, lines = {out.ptr, out.len};
    int n_bad = 0, n = 0;
    for (; lines.len; n++) {
        static int32_t ids[20000];
        char line[100000];
        lmw_str text = next_part(&texts, "\n__ggml_vocab_test__\n"),
                want = next_part(&lines, "\n");
        snprintf(line, sizeof line, "%.*s", LMW_FMT(want));
        size_t n_id = lmw_tok_encode(t, text, false, false, ids, 20000);
        if (same_ids(ids, n_id, line))
            continue;
        n_bad++;
        print_message("%s %d: %.*s\n  want %s\n  got ", name, n, LMW_FMT(text), line);
        for (size_t i = 0; i < n_id; i++)
            print_message(" %d", ids[i]);
        print_message("\n");
    }
    assert_int_equal(n_bad, 0);
    assert_true(n > 40);
    if (strcmp(name, "phi-3") == 0) /* <|endoftext|> is its eos, but <|end|> ends a turn */
        assert_true(lmw_tok_is_end(t, 32000) && lmw_tok_is_end(t, 32007) &&
                    !lmw_tok_is_end(t, 32001));
    if (prefix)
        any_bytes_come_back(t, lmw_str_from(prefix));
    lmw_tok_free(t);
    lmw_buf_free(&in);
    lmw_buf_free(&out);
    ++*n_done;
}

static void test_fixtures(void **state)
{
    int n_done = 0;
    check_fixture("gpt-2", "", &n_done);
    check_fixture("llama-spm", " ", &n_done);
    check_fixture("phi-3", " ", &n_done);
    check_fixture("deepseek-llm", NULL, &n_done);
    check_fixture("falcon", NULL, &n_done);
    check_fixture("starcoder", NULL, &n_done);
    if (!n_done)
        skip();
}

/* ---- llama.cpp itself, on a vocabulary trained here: LMW_LLAMA_CPP names the folder of its
 * tools. */

static void write_file(const char *path, lmw_str text)
{
    struct lmw_atomic w;
    struct lmw_err err = {0};
    assert_int_equal(lmw_atomic_open(&w, path, &err), 0);
    fwrite(text.ptr, 1, text.len, w.f);
    assert_int_equal(lmw_atomic_commit(&w, &err), 0);
}

static void test_llama_cpp(void **state)
{
    const char *dir = getenv("LMW_LLAMA_CPP");
    if (!dir) {
        print_message("LMW_LLAMA_CPP is not set (the folder of llama-tokenize): skipped\n");
        skip();
    }
    struct lmw_tok *t = train(700);
    struct lmw_buf text = {0};
    char vocab[64], in[64], command[512], line[32768];
    static int32_t ids[8192];
    strcpy(vocab, temp_path());
    strcpy(in, temp_path());
    for (int i = 0; i < N_SAMPLE; i++)
        lmw_buf_printf(&text, "%s\n%s<|eos|>  %s\t", samples[i], samples[N_SAMPLE - 1 - i],
                       samples[i]);
    store(t, vocab, "llama");
    write_file(in, (lmw_str){text.ptr, text.len});
    snprintf(command, sizeof command,
             "%s/llama-tokenize -m %s -f %s --no-escape --ids --log-disable 2>/dev/null", dir,
             vocab, in);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_int_equal(pclose(f), 0);
    for (char *p = line; *p; p++)
        if (strchr("[],\n", *p))
            *p = ' ';
    size_t n = lmw_tok_encode(t, (lmw_str){text.ptr, text.len}, true, true, ids, 8192);
    assert_true(n > 1000 && n < 8192);
    assert_true(same_ids(ids, n, line));
    unlink(vocab);
    unlink(in);
    lmw_buf_free(&text);
    lmw_tok_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_train_by_hand),
        cmocka_unit_test(test_words_apart), cmocka_unit_test(test_train_twice),
        cmocka_unit_test(test_specials),    cmocka_unit_test(test_store_load),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_every_pretokenizer),
        cmocka_unit_test(test_fixtures),    cmocka_unit_test(test_llama_cpp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
