/* lmwatt inspect: what is in a GGUF file. The summary first, then every key, then every tensor;
 * the same as one JSON object for machines.
 *
 * A file is shown whether or not this build could run it; only its tensors must be in formats it
 * knows. Text from the file is printed with control characters escaped: a terminal must not obey
 * a model. */
#include "base/str.h"
#include "cli/cli.h"
#include "cli/model_opts.h"
#include "engine/gguf.h"

#include <stdio.h>

enum { N_FORMAT = LMW_BF16 + 1, SHOWN = 6 /* array elements in the table */, WIDE = 60 };

struct totals {
    int64_t n_param, n_tensor[N_FORMAT];
    size_t tensor_bytes, bytes[N_FORMAT];
};

static int64_t n_elem(const struct lmw_tensor *t)
{
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

static struct totals add_up(const struct lmw_gguf *g)
{
    struct totals y = {0};
    for (int64_t i = 0; i < lmw_gguf_n_tensor(g); i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(g, i);
        y.n_param += n_elem(t);
        y.tensor_bytes += t->size;
        y.n_tensor[t->type]++;
        y.bytes[t->type] += t->size;
    }
    return y;
}

static double bits_per_weight(size_t bytes, int64_t n)
{
    return 8.0 * (double)bytes / (double)(n ? n : 1);
}

static const char *kv_type_name(enum lmw_kv_type t)
{
    static const char *const names[] = {"u8",   "i8",  "u16", "i16", "u32", "i32", "f32",
                                        "bool", "str", "arr", "u64", "i64", "f64"};
    return names[t];
}

/* ---- keys of the architecture: "ARCH.name" ---- */

static void arch_key(char out[128], lmw_str arch, const char *name)
{
    snprintf(out, 128, "%.*s.%s", (int)(arch.len < 64 ? arch.len : 64), arch.ptr, name);
}

static bool arch_int(const struct lmw_gguf *g, lmw_str arch, const char *name, int64_t *v)
{
    char key[128];
    arch_key(key, arch, name);
    return lmw_gguf_int(g, key, v, NULL) == 0;
}

/* The string of a key, or "" where there is none. */
static lmw_str str_or_empty(const struct lmw_gguf *g, const char *key)
{
    lmw_str s = {"", 0};
    lmw_gguf_str(g, key, &s, NULL);
    return s;
}

static uint64_t array_length(const struct lmw_gguf *g, const char *key)
{
    const struct lmw_kv *kv = lmw_gguf_find(g, key);
    return kv && kv->type == LMW_KV_ARR ? kv->n : 0;
}

/* "Q4_K_M" as the file calls itself, or NULL. */
static const char *file_type(const struct lmw_gguf *g)
{
    int64_t id = -1;
    lmw_gguf_int(g, "general.file_type", &id, NULL);
    return lmw_file_type_name(id);
}

/* ---- text ---- */

/* At most `max` bytes of s; control characters and line ends escaped. */
static void put_text(struct lmw_buf *b, lmw_str s, size_t max)
{
    size_t n = lmw_utf8_cut(s, max).len;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '\n')
            lmw_buf_str(b, "\\n");
        else if (c < 0x20 || c == 0x7f)
            lmw_buf_printf(b, "\\x%02x", c);
        else
            lmw_buf_put(b, &s.ptr[i], 1);
    }
    if (n < s.len)
        lmw_buf_printf(b, "... (%zu bytes)", s.len);
}

static void put_element(struct lmw_buf *b, const struct lmw_kv *kv, uint64_t i,
                        const uint8_t **cursor, size_t max)
{
    if (kv->elem == LMW_KV_STR)
        put_text(b, lmw_kv_next_str(cursor), max);
    else if (kv->elem == LMW_KV_BOOL)
        lmw_buf_str(b, lmw_kv_int_at(kv, i) ? "true" : "false");
    else if (kv->elem == LMW_KV_F32 || kv->elem == LMW_KV_F64)
        lmw_buf_printf(b, "%.*g", kv->elem == LMW_KV_F32 ? 7 : 15, lmw_kv_real_at(kv, i));
    else
        lmw_buf_printf(b, "%lld", (long long)lmw_kv_int_at(kv, i));
}

static void put_value(struct lmw_buf *b, const struct lmw_kv *kv)
{
    const uint8_t *cursor = kv->data;
    if (kv->type != LMW_KV_ARR) {
        put_element(b, kv, 0, &cursor, WIDE);
        return;
    }
    for (uint64_t i = 0; i < kv->n && i < SHOWN; i++) {
        lmw_buf_str(b, i ? ", " : "");
        put_element(b, kv, i, &cursor, 16);
    }
    if (kv->n > SHOWN)
        lmw_buf_str(b, ", ...");
}

static void put_keys(struct lmw_buf *b, const struct lmw_gguf *g)
{
    lmw_buf_printf(b, "\n%-42s %-12s %s\n", "key", "type", "value");
    for (int64_t i = 0; i < lmw_gguf_n_kv(g); i++) {
        const struct lmw_kv *kv = lmw_gguf_kv(g, i);
        char type[40];
        snprintf(type, sizeof(type), kv->type == LMW_KV_ARR ? "%s[%llu]" : "%s",
                 kv_type_name(kv->elem), (unsigned long long)kv->n);
        lmw_buf_printf(b, "%-42.*s %-12s ", LMW_FMT(kv->key), type);
        put_value(b, kv);
        lmw_buf_str(b, "\n");
    }
}

static void put_tensors(struct lmw_buf *b, const struct lmw_gguf *g)
{
    lmw_buf_printf(b, "\n%-42s %-5s %-22s %12s\n", "tensor", "type", "shape", "bytes");
    for (int64_t i = 0; i < lmw_gguf_n_tensor(g); i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(g, i);
        char shape[96];
        int n = 0;
        for (int d = 0; d < t->n_dim; d++)
            n += snprintf(shape + n, sizeof(shape) - (size_t)n, "%s%lld", d ? " x " : "",
                          (long long)t->ne[d]);
        lmw_buf_printf(b, "%-42.*s %-5s %-22s %12zu\n", LMW_FMT(t->name), lmw_type_name(t->type),
                       shape, t->size);
    }
}

static void put_summary(struct lmw_buf *b, const struct lmw_gguf *g, const char *path)
{
    struct totals y = add_up(g);
    lmw_str arch = str_or_empty(g, "general.architecture"), name = str_or_empty(g, "general.name");
    const char *quant = file_type(g);
    lmw_buf_printf(b, "%s: %.2f MiB\n", path, (double)lmw_gguf_size(g) / 0x1p20);
    lmw_buf_str(b, "model         ");
    put_text(b, arch.len ? arch : LMW_STR("(no architecture)"), WIDE);
    if (name.len) {
        lmw_buf_str(b, ", \"");
        put_text(b, name, WIDE);
        lmw_buf_str(b, "\"");
    }
    lmw_buf_printf(b, "\nweights       %.3f M in %lld tensors, %.2f bits/weight%s%s\n",
                   (double)y.n_param / 1e6, (long long)lmw_gguf_n_tensor(g),
                   bits_per_weight(y.tensor_bytes, y.n_param), quant ? ", file type " : "",
                   quant ? quant : "");
    for (int t = 0; t < N_FORMAT; t++)
        if (y.n_tensor[t])
            lmw_buf_printf(b, "  %-11s %lld tensors, %.2f MiB\n", lmw_type_name((enum lmw_type)t),
                           (long long)y.n_tensor[t], (double)y.bytes[t] / 0x1p20);
}

static void put_shape(struct lmw_buf *b, const struct lmw_gguf *g)
{
    static const struct {
        const char *key, *label;
    } parts[] = {
        {"block_count", "layers"},
        {"embedding_length", "embedding"},
        {"feed_forward_length", "feed-forward"},
        {"attention.head_count", "heads"},
        {"attention.head_count_kv", "kv heads"},
        {"expert_count", "experts"},
        {"expert_used_count", "experts used"},
        {"context_length", "context"},
    };
    lmw_str arch = str_or_empty(g, "general.architecture");
    const char *comma = "shape         ";
    int64_t v;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (arch_int(g, arch, parts[i].key, &v)) {
            lmw_buf_printf(b, "%s%s %lld", comma, parts[i].label, (long long)v);
            comma = ", ";
        }
    lmw_buf_str(b, comma[0] == ',' ? "\n" : "");
}

static void put_tokenizer(struct lmw_buf *b, const struct lmw_gguf *g)
{
    lmw_str model = str_or_empty(g, "tokenizer.ggml.model");
    lmw_str pre = str_or_empty(g, "tokenizer.ggml.pre");
    int64_t id;
    lmw_buf_str(b, "tokenizer     ");
    put_text(b, model.len ? model : LMW_STR("none"), WIDE);
    if (pre.len) {
        lmw_buf_str(b, " / ");
        put_text(b, pre, WIDE);
    }
    lmw_buf_printf(b, ", %llu tokens, %llu merges",
                   (unsigned long long)array_length(g, "tokenizer.ggml.tokens"),
                   (unsigned long long)array_length(g, "tokenizer.ggml.merges"));
    if (lmw_gguf_int(g, "tokenizer.ggml.bos_token_id", &id, NULL) == 0)
        lmw_buf_printf(b, ", bos %lld", (long long)id);
    if (lmw_gguf_int(g, "tokenizer.ggml.eos_token_id", &id, NULL) == 0)
        lmw_buf_printf(b, ", eos %lld", (long long)id);
    lmw_buf_printf(b, ", %s chat template\n",
                   lmw_gguf_find(g, "tokenizer.chat_template") ? "with a" : "no");
}

static int print_text(const struct lmw_gguf *g, const char *path, bool is_short)
{
    struct lmw_buf b = {0};
    put_summary(&b, g, path);
    put_shape(&b, g);
    put_tokenizer(&b, g);
    if (!is_short) {
        put_keys(&b, g);
        put_tensors(&b, g);
    }
    bool is_whole = !b.failed;
    if (is_whole)
        fwrite(b.ptr, 1, b.len, stdout);
    else
        fprintf(stderr, "lmwatt: no memory for the result\n");
    lmw_buf_free(&b);
    return !is_whole;
}

/* ---- JSON ---- */

static json_t *json_element(const struct lmw_kv *kv, uint64_t i, const uint8_t **cursor)
{
    if (kv->elem == LMW_KV_STR)
        return cli_json_text(lmw_kv_next_str(cursor));
    if (kv->elem == LMW_KV_BOOL)
        return json_boolean(lmw_kv_int_at(kv, i));
    if (kv->elem == LMW_KV_F32 || kv->elem == LMW_KV_F64) {
        json_t *real = json_real(lmw_kv_real_at(kv, i));
        return real ? real : json_null(); /* JSON has no infinity and no NaN */
    }
    return json_integer(lmw_kv_int_at(kv, i));
}

/* A scalar is itself; an array is its type, length and elements (the first few of many). */
static json_t *json_value(const struct lmw_kv *kv)
{
    enum { FULL = 256 };
    const uint8_t *cursor = kv->data;
    if (kv->type != LMW_KV_ARR)
        return json_element(kv, 0, &cursor);
    json_t *values = json_array();
    for (uint64_t i = 0; i < kv->n && i < (kv->n <= FULL ? FULL : SHOWN); i++)
        json_array_append_new(values, json_element(kv, i, &cursor));
    return json_pack("{s:s, s:I, s:b, s:o}", "type", kv_type_name(kv->elem), "length",
                     (json_int_t)kv->n, "complete", kv->n <= FULL, "values", values);
}

/* Keys with the prefix, without it; every key where the prefix is empty. */
static json_t *json_keys(const struct lmw_gguf *g, lmw_str prefix)
{
    json_t *object = json_object();
    for (int64_t i = 0; i < lmw_gguf_n_kv(g); i++) {
        const struct lmw_kv *kv = lmw_gguf_kv(g, i);
        if (kv->key.len < prefix.len || memcmp(kv->key.ptr, prefix.ptr, prefix.len) != 0)
            continue;
        json_t *key = cli_json_text((lmw_str){kv->key.ptr + prefix.len, kv->key.len - prefix.len});
        json_object_set_new(object, json_string_value(key), json_value(kv));
        json_decref(key);
    }
    return object;
}

static json_t *json_tensors(const struct lmw_gguf *g)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < lmw_gguf_n_tensor(g); i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(g, i);
        json_t *shape = json_array();
        for (int d = 0; d < t->n_dim; d++)
            json_array_append_new(shape, json_integer(t->ne[d]));
        json_array_append_new(
            list, json_pack("{s:o, s:s, s:o, s:I}", "name", cli_json_text(t->name), "type",
                            lmw_type_name(t->type), "shape", shape, "bytes", (json_int_t)t->size));
    }
    return list;
}

static json_t *json_formats(const struct totals *y)
{
    json_t *object = json_object();
    for (int t = 0; t < N_FORMAT; t++)
        if (y->n_tensor[t])
            json_object_set_new(object, lmw_type_name((enum lmw_type)t),
                                json_pack("{s:I, s:I}", "tensors", (json_int_t)y->n_tensor[t],
                                          "bytes", (json_int_t)y->bytes[t]));
    return object;
}

static json_t *text_or_null(lmw_str s)
{
    return s.len ? cli_json_text(s) : json_null();
}

static int print_json(const struct lmw_gguf *g, const char *path)
{
    struct totals y = add_up(g);
    char prefix[128];
    lmw_str arch = str_or_empty(g, "general.architecture");
    const char *quant = file_type(g);
    arch_key(prefix, arch, "");
    json_t *shape = arch.len ? json_keys(g, lmw_str_from(prefix)) : json_object();
    return cli_json_print(json_pack(
        "{s:o, s:I, s:o, s:o, s:s?, s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:o}", "file",
        cli_json_text(lmw_str_from(path)), "bytes", (json_int_t)lmw_gguf_size(g), "architecture",
        text_or_null(arch), "name", text_or_null(str_or_empty(g, "general.name")), "file_type",
        quant, "parameters", (json_int_t)y.n_param, "tensor_bytes", (json_int_t)y.tensor_bytes,
        "bits_per_weight", bits_per_weight(y.tensor_bytes, y.n_param), "formats", json_formats(&y),
        "hyperparameters", shape, "tokenizer", json_keys(g, LMW_STR("tokenizer.")), "keys",
        json_keys(g, LMW_STR("")), "tensors", json_tensors(g)));
}

int cmd_inspect(int argc, char **argv)
{
    struct lmw_gguf *g;
    struct lmw_err err;
    struct strs pos = {0};
    bool is_json = false, is_short = false;
    const struct opt opts[] = {
        {"short", 's', OPT_FLAG, &is_short, NULL, "the summary alone"},
        {"json", 0, OPT_FLAG, &is_json, NULL, "one JSON object instead of tables"},
        {0},
    };
    const struct command_help help = {
        "lmwatt inspect FILE [OPTIONS]",
        "Shows what is in a GGUF file: architecture, hyperparameters, tokenizer, every key,\n"
        "every tensor with its format and shape, sizes and bits per weight.",
        "lmwatt inspect models/shop-intents-F16.gguf"};
    int rc = opts_parse(opts, &help, argc, argv, &pos);
    if (rc >= 0)
        return rc;
    if (pos.n != 1)
        return cli_usage(argv[0], "takes one file (%d given)", pos.n);
    if (lmw_gguf_open(&g, pos.v[0], &err) < 0)
        return cli_fail(&err);
    rc = is_json ? print_json(g, pos.v[0]) : print_text(g, pos.v[0], is_short);
    lmw_gguf_close(g);
    return rc;
}
