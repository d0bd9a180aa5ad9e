/* Pretokenizers: text -> the pieces inside which merging happens.
 *
 * A pretokenizer is a list of regular expressions, applied in turn: each one cuts every piece
 * the ones before left, and what an expression does not match stays a piece of its own. The
 * names are those of GGUF's `tokenizer.ggml.pre`; the expressions are those of the models' own
 * tokenizer.json and of llama.cpp's src/llama-vocab.cpp. Contractions are spelled out ('[sS])
 * because caseless matching of Unicode would let U+017F stand for s.
 *
 * PCRE2 runs them, compiled to machine code where the system allows that. Bytes that are not
 * UTF-8 match nothing and so become pieces; nothing here fails on any input. Match data lives on
 * the stack. */
#include "engine/tok_impl.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#define MAX_REGEX 6

#define CONTRACTION "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
#define WORD        "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SYMBOLS     " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SPACE       "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT2        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define LLAMA3      CONTRACTION "|" WORD "|\\p{N}{1,3}|" SYMBOLS "|" SPACE
/* Words split where lower case turns into upper case. */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(suffix)                                                                             \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER \
    "*" suffix
#define SYMBOLS_SLASH " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"

static const struct pre {
    const char *names; /* separated by one space */
    bool whole_first, adds_bos;
    const char *regex[MAX_REGEX + 1];
} pres[] = {
    {"qwen2 stablelm2 deepseek-r1-qwen megrez kormo f2llmv2",
     .regex = {CONTRACTION "|" WORD "|\\p{N}|" SYMBOLS "|" SPACE}},
    {"qwen35",
     .regex = {CONTRACTION
               "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+"
               "[\\r\\n]*|" SPACE}},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2", true, true, {LLAMA3}},
    {"dbrx smaug-bpe chatglm-bpe glm4", .regex = {LLAMA3}},
    {"gpt-2 phi-2 mpt olmo jais gigachat a.x-4.0 mellum exaone4 jina-es jina-de", .regex = {GPT2}},
    {"starcoder refact command-r smollm codeshell exaone minerva-7b", .regex = {"\\p{N}", GPT2}},
    {"falcon", .regex = {"[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {"default", .regex = {"[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"deepseek-llm",
     .regex =
         {"[\\r\\n]", "\\s?\\p{L&}+",
          "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
          "\\s+$", "[\\x{800}-\\x{9fa5}\\x{ac00}-\\x{d7ff}]+", "\\p{N}+"}},
    {"deepseek-coder", .regex = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+",
                                 "[\\x{800}-\\x{9fa5}\\x{ac00}-\\x{d7ff}]+", "\\p{N}"}},
    {"deepseek-v3",
     .regex = {"\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{30ff}]+",
               "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
               " ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACE}},
    {"gpt-4o llama4 kanana2",
     .regex = {CASED("(?:" CONTRACTION ")?") "|\\p{N}{1,3}|" SYMBOLS_SLASH "|" SPACE}},
    {"tekken", true, true, {CASED("") "|\\p{N}|" SYMBOLS_SLASH "|" SPACE}},
    {"bloom poro-chat gpt3-finnish",
     .regex = {" ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"}},
};

struct lmw_split {
    const struct pre *pre;
    int n;
    pcre2_code *re[MAX_REGEX];
};

static bool named(const char *names, lmw_str name)
{
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        if (lmw_str_eq((lmw_str){p, n}, name))
            return true;
        p += n + (p[n] == ' ');
    }
    return false;
}

static const struct pre *find_pre(lmw_str name)
{
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++)
        if (named(pres[i].names, name))
            return &pres[i];
    return NULL;
}

int lmw_split_open(struct lmw_split **out, lmw_str pre, struct lmw_err *err)
{
    const struct pre *found = find_pre(pre);
    *out = NULL;
    if (!found)
        return lmw_fail(err, LMW_EUNSUPPORTED,
                        "pretokenizer '%.*s' (tokenizer.ggml.pre) is not one this build knows; "
                        "splitting by another one would give the model wrong tokens",
                        pre.len > 60 ? 60 : LMW_FMT(pre));
    struct lmw_split *s = calloc(1, sizeof *s);
    if (!s)
        return lmw_fail(err, LMW_ENOMEM, "no memory for a pretokenizer");
    s->pre = found;
    for (; found->regex[s->n]; s->n++) {
        int code;
        size_t at;
        s->re[s->n] =
            pcre2_compile((PCRE2_SPTR)found->regex[s->n], PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &code, &at, NULL);
        if (!s->re[s->n]) {
            lmw_split_close(s);
            return lmw_fail(err, LMW_EUNSUPPORTED,
                            "PCRE2 refuses expression %d of '%.*s': code %d", s->n + 1,
                            LMW_FMT(pre), code);
        }
        /* Where machine code is forbidden the interpreter gives the same matches, slower. */
        pcre2_jit_compile(s->re[s->n], PCRE2_JIT_COMPLETE);
    }
    *out = s;
    return LMW_OK;
}

void lmw_split_close(struct lmw_split *s)
{
    if (!s)
        return;
    for (int i = 0; i < MAX_REGEX; i++)
        pcre2_code_free(s->re[i]);
    free(s);
}

bool lmw_split_adds_bos(const struct lmw_split *s)
{
    return s->pre->adds_bos;
}

bool lmw_split_whole_first(const struct lmw_split *s)
{
    return s->pre->whole_first;
}

/* PCRE2 asks for its match data here: a few hundred bytes, given out once and never taken back. */
struct stack_memory {
    size_t used;
    _Alignas(16) uint8_t bytes[1024];
};

static void *stack_alloc(size_t n, void *arg)
{
    struct stack_memory *m = arg;
    n = (n + 15) & ~(size_t)15;
    if (n > sizeof m->bytes - m->used)
        return malloc(n); /* the interpreter's frames, where there is no machine code */
    m->used += n;
    return m->bytes + m->used - n;
}

static void stack_free(void *p, void *arg)
{
    struct stack_memory *m = arg;
    uint8_t *b = p;
    if (b < m->bytes || b >= m->bytes + sizeof m->bytes)
        free(p);
}

struct run {
    const struct lmw_split *s;
    pcre2_match_data *md;
    lmw_split_fn *fn;
    void *arg;
};

static void cut(struct run *r, int level, lmw_str text)
{
    if (level == r->s->n) {
        r->fn(r->arg, text);
        return;
    }
    size_t done = 0;
    while (done < text.len) {
        int rc =
            pcre2_match(r->s->re[level], (PCRE2_SPTR)text.ptr, text.len, done, 0, r->md, NULL);
        size_t *at = pcre2_get_ovector_pointer(r->md), from = at[0], to = at[1];
        if (rc < 0 || to <= from || from < done)
            break;
        if (from > done)
            cut(r, level + 1, (lmw_str){text.ptr + done, from - done});
        cut(r, level + 1, (lmw_str){text.ptr + from, to - from});
        done = to;
    }
    if (done < text.len)
        cut(r, level + 1, (lmw_str){text.ptr + done, text.len - done});
}

void lmw_split_run(const struct lmw_split *s, lmw_str text, lmw_split_fn *fn, void *arg)
{
    struct stack_memory memory = {0};
    pcre2_general_context *g = pcre2_general_context_create(stack_alloc, stack_free, &memory);
    struct run r = {s, g ? pcre2_match_data_create(1, g) : NULL, fn, arg};
    if (r.md)
        cut(&r, 0, text);
    else if (text.len)
        fn(arg, text);
    pcre2_match_data_free(r.md);
    pcre2_general_context_free(g);
}
