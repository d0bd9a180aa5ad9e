/* Loading: keys and tensors of a GGUF -> struct lmw_model.
 *
 * Owns the model arena and the gguf. Weights stay in the mapping; vectors (norms, rotary factors)
 * are copied to the arena as f32. Invariants once loaded: every matrix has the shape its block
 * computes with, a type this build multiplies by, and all its bytes inside the file; every tensor
 * of the file is used by somebody (an unused one means a feature nobody computes, and is refused).
 * Refuses: unknown architectures and tensor types, keys out of range, missing or misshapen
 * tensors. */
#include "engine/model.h"

#include "engine/quant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_CAP = 96 };

static void key_name(const struct lmw_binder *b, const char *key, char out[NAME_CAP])
{
    snprintf(out, NAME_CAP, "%s.%s", b->model->family->arch, key);
}

static void tensor_name(const struct lmw_binder *b, const char *name, char out[NAME_CAP])
{
    if (b->layer < 0)
        snprintf(out, NAME_CAP, "%s", name);
    else
        snprintf(out, NAME_CAP, "blk.%d.%s", b->layer, name);
}

static int array_value(const struct lmw_binder *b, const struct lmw_kv *kv, const char *key,
                       int64_t *out, struct lmw_err *err)
{
    if (kv->elem == LMW_KV_STR || kv->elem == LMW_KV_F32 || kv->elem == LMW_KV_F64)
        return lmw_fail(err, LMW_EFORMAT, "%s is an array of something other than integers", key);
    if (b->layer < 0 || kv->n != (uint64_t)b->model->n_layer)
        return lmw_fail(err, LMW_EFORMAT, "%s has %llu values, expected one per layer (%d)", key,
                        (unsigned long long)kv->n, b->model->n_layer);
    *out = lmw_kv_int_at(kv, (uint64_t)b->layer);
    return LMW_OK;
}

int lmw_bind_int(struct lmw_binder *b, const char *short_key, int lo, int hi, int missing,
                 int *out, struct lmw_err *err)
{
    char key[NAME_CAP];
    int64_t v = 0;
    key_name(b, short_key, key);
    const struct lmw_kv *kv = lmw_gguf_find(b->model->gguf, key);
    if (!kv && missing >= 0) {
        *out = missing;
        return LMW_OK;
    }
    int rc = kv && kv->type == LMW_KV_ARR ? array_value(b, kv, key, &v, err)
                                          : lmw_gguf_int(b->model->gguf, key, &v, err);
    if (rc < 0)
        return rc;
    if (v < lo || v > hi)
        return lmw_fail(err, LMW_EFORMAT, "%s is %lld, expected %d..%d", key, (long long)v, lo,
                        hi);
    *out = (int)v;
    return LMW_OK;
}

int lmw_bind_real(struct lmw_binder *b, const char *short_key, double lo, double hi,
                  double missing, double *out, struct lmw_err *err)
{
    char key[NAME_CAP];
    int rc;
    key_name(b, short_key, key);
    *out = missing;
    if (!lmw_gguf_find(b->model->gguf, key))
        return LMW_OK;
    if ((rc = lmw_gguf_real(b->model->gguf, key, out, err)) < 0)
        return rc;
    if (!(*out >= lo && *out <= hi)) /* NaN, too */
        return lmw_fail(err, LMW_EFORMAT, "%s is %g, expected %g..%g", key, *out, lo, hi);
    return LMW_OK;
}

static void mark_used(struct lmw_binder *b, const struct lmw_tensor *t)
{
    for (int64_t i = 0, n = lmw_gguf_n_tensor(b->model->gguf); i < n; i++)
        if (lmw_gguf_tensor(b->model->gguf, i) == t) {
            b->is_used[i] = true;
            return;
        }
}

static void shape_text(const struct lmw_tensor *t, char *out, size_t cap)
{
    int len = 0;
    for (int d = 0; d < t->n_dim && len < (int)cap; d++)
        len +=
            snprintf(out + len, cap - (size_t)len, "%s%lld", d ? ", " : "", (long long)t->ne[d]);
}

/* The tensor with exactly this shape; n_out = 0 asks for a vector. */
static int find_tensor(struct lmw_binder *b, const char *short_name, int n_in, int n_out,
                       const struct lmw_tensor **out, struct lmw_err *err)
{
    char name[NAME_CAP], shape[96];
    tensor_name(b, short_name, name);
    const struct lmw_tensor *t = lmw_gguf_find_tensor(b->model->gguf, name);
    if (!t)
        return lmw_fail(err, LMW_EFORMAT, "tensor '%s' is missing", name);
    int64_t rows = n_out ? n_out : 1;
    if (t->ne[0] != n_in || t->ne[1] != rows || t->ne[2] != 1 || t->ne[3] != 1) {
        shape_text(t, shape, sizeof shape);
        return n_out ? lmw_fail(err, LMW_EFORMAT, "tensor '%s' is [%s], expected [%d, %d]", name,
                                shape, n_in, n_out)
                     : lmw_fail(err, LMW_EFORMAT, "tensor '%s' is [%s], expected [%d]", name,
                                shape, n_in);
    }
    size_t stride = lmw_type_name(t->type) ? lmw_type_row_size(t->type, n_in) : 0;
    if (stride == 0 || t->size / stride < (size_t)rows)
        return lmw_fail(err, LMW_EUNSUPPORTED,
                        "tensor '%s' has a format (id %d) that rows of %d cannot have here", name,
                        (int)t->type, n_in);
    mark_used(b, t);
    *out = t;
    return LMW_OK;
}

static bool multiplies(const struct lmw_model *m, enum lmw_type t)
{
    return (unsigned)t < sizeof m->kernels.mul / sizeof *m->kernels.mul && m->kernels.mul[t].fn;
}

int lmw_bind_matrix(struct lmw_binder *b, const char *name, int n_in, int n_out,
                    struct lmw_matrix *out, struct lmw_err *err)
{
    const struct lmw_tensor *t;
    int rc = find_tensor(b, name, n_in, n_out, &t, err);
    if (rc < 0)
        return rc;
    if (!multiplies(b->model, t->type))
        return lmw_fail(err, LMW_EUNSUPPORTED,
                        "tensor '%.*s' is %s, which this build cannot multiply by",
                        LMW_FMT(t->name), lmw_type_name(t->type));
    *out = (struct lmw_matrix){
        .data = t->data,
        .stride = lmw_type_row_size(t->type, n_in),
        .n_in = n_in,
        .n_out = n_out,
        .type = t->type,
        .act = b->model->kernels.mul[t->type].act,
    };
    b->model->info.weight_bytes += out->stride * (size_t)n_out;
    return LMW_OK;
}

int lmw_bind_vector(struct lmw_binder *b, const char *name, int n, const float **out,
                    struct lmw_err *err)
{
    const struct lmw_tensor *t;
    int rc = find_tensor(b, name, n, 0, &t, err);
    if (rc < 0)
        return rc;
    float *v = LMW_NEW(&b->model->arena, float, (size_t)n);
    if (!v)
        return lmw_fail(err, LMW_ENOMEM, "no room for tensor '%.*s'", LMW_FMT(t->name));
    lmw_to_f32(t->type, t->data, v, n);
    *out = v;
    return LMW_OK;
}

bool lmw_bind_has(struct lmw_binder *b, const char *short_name)
{
    char name[NAME_CAP];
    tensor_name(b, short_name, name);
    return lmw_gguf_find_tensor(b->model->gguf, name) != NULL;
}

/* Linear scaling only; YaRN and the like bend the angles in ways that need their own code. A
 * factor alone means linear, and had another name once (llama.cpp's llama-model.cpp). */
static int rope_scale(struct lmw_binder *b, double *scale, struct lmw_err *err)
{
    char key[NAME_CAP];
    lmw_str type = LMW_STR("linear");
    double factor, old;
    int rc;
    key_name(b, "rope.scaling.type", key);
    if (lmw_gguf_find(b->model->gguf, key) &&
        (rc = lmw_gguf_str(b->model->gguf, key, &type, err)) < 0)
        return rc;
    if ((rc = lmw_bind_real(b, "rope.scale_linear", 0, 1e9, 1, &old, err)) < 0 ||
        (rc = lmw_bind_real(b, "rope.scaling.factor", 0, 1e9, old, &factor, err)) < 0)
        return rc;
    *scale = 1;
    if (lmw_str_is(type, "linear") && factor > 0)
        *scale = 1 / factor;
    else if (!lmw_str_is(type, "none") && !lmw_str_is(type, "linear"))
        return lmw_fail(err, LMW_EUNSUPPORTED, "%s '%.*s' (this build knows: none, linear)", key,
                        (int)(type.len < 32 ? type.len : 32), type.ptr);
    return LMW_OK;
}

static int rope_factors(struct lmw_binder *b, struct lmw_rope *r, struct lmw_err *err)
{
    struct lmw_binder whole = {b->model, -1, b->is_used};
    int rc;
    if (!lmw_bind_has(&whole, "rope_freqs.weight"))
        return LMW_OK;
    if ((rc = lmw_bind_vector(&whole, "rope_freqs.weight", r->n_rot / 2, &r->factors, err)) < 0)
        return rc;
    for (int i = 0; i < r->n_rot / 2; i++)
        if (!(r->factors[i] > 0 && isfinite(r->factors[i])))
            return lmw_fail(err, LMW_EFORMAT, "rope_freqs.weight[%d] is %g, expected above 0", i,
                            (double)r->factors[i]);
    return LMW_OK;
}

int lmw_bind_rope(struct lmw_binder *b, int head_size, int *out, struct lmw_err *err)
{
    struct lmw_model *m = b->model;
    struct lmw_rope r = {.n_rot = head_size};
    int rc;
    if ((rc = lmw_bind_int(b, "rope.dimension_count", 2, head_size, head_size, &r.n_rot, err)) <
            0 ||
        (rc = lmw_bind_real(b, "rope.freq_base", 1e-3, 1e12, 10000, &r.base, err)) < 0 ||
        (rc = rope_scale(b, &r.scale, err)) < 0)
        return rc;
    if (r.n_rot % 2)
        return lmw_fail(err, LMW_EFORMAT, "%s.rope.dimension_count is %d, expected an even number",
                        m->family->arch, r.n_rot);
    for (int i = 0; i < m->n_rope; i++) {
        const struct lmw_rope *q = &m->ropes[i];
        if (q->n_rot == r.n_rot && q->base == r.base && q->scale == r.scale) {
            *out = i;
            return LMW_OK;
        }
    }
    if (m->n_rope == LMW_MAX_ROPE)
        return lmw_fail(err, LMW_EUNSUPPORTED, "more than %d different rotary settings",
                        LMW_MAX_ROPE);
    if ((rc = rope_factors(b, &r, err)) < 0)
        return rc;
    m->ropes[m->n_rope] = r;
    *out = m->n_rope++;
    return LMW_OK;
}

/* --- the whole model --- */

static int bind_sublayer(struct lmw_binder *b, const struct lmw_block_ops *ops, const char *norm,
                         struct lmw_sublayer *out, struct lmw_err *err)
{
    out->block = lmw_arena_alloc(&b->model->arena, 1, ops->size, 64);
    if (!out->block)
        return lmw_fail(err, LMW_ENOMEM, "no room for layer %d", b->layer);
    out->block->ops = ops;
    if (lmw_bind_vector(b, norm, b->model->n_embd, &out->norm, err) < 0 ||
        ops->bind(out->block, b, err) < 0)
        return lmw_wrap(err, "layer %d (%s)", b->layer, ops->name);
    return LMW_OK;
}

static int bind_layers(struct lmw_binder *b, struct lmw_err *err)
{
    struct lmw_model *m = b->model;
    int rc;
    if (!(m->layers = LMW_NEW(&m->arena, struct lmw_layer, (size_t)m->n_layer)))
        return lmw_fail(err, LMW_ENOMEM, "no room for %d layers", m->n_layer);
    for (b->layer = 0; b->layer < m->n_layer; b->layer++) {
        struct lmw_layer *l = &m->layers[b->layer];
        if ((rc = bind_sublayer(b, m->family->token, m->family->token_norm, &l->token, err)) < 0 ||
            (rc = bind_sublayer(b, m->family->channel, m->family->channel_norm, &l->channel,
                                err)) < 0)
            return rc;
    }
    b->layer = -1;
    return LMW_OK;
}

/* The embedding need not be of a type we multiply by, unless it is the head as well. */
static int bind_ends(struct lmw_binder *b, struct lmw_err *err)
{
    struct lmw_model *m = b->model;
    const struct lmw_tensor *t = lmw_gguf_find_tensor(m->gguf, "token_embd.weight");
    int rc, n_vocab = 0;
    if (!t)
        return lmw_fail(err, LMW_EFORMAT, "tensor 'token_embd.weight' is missing");
    int n_rows = t->ne[1] > 0 && t->ne[1] <= LMW_MAX_CTX ? (int)t->ne[1] : 0;
    if ((rc = lmw_bind_int(b, "vocab_size", 1, LMW_MAX_CTX, n_rows, &n_vocab, err)) < 0 ||
        (rc = find_tensor(b, "token_embd.weight", m->n_embd, n_vocab ? n_vocab : 1, &t, err)) < 0)
        return rc;
    m->n_vocab = n_vocab;
    m->embedding = (struct lmw_matrix){.data = t->data,
                                       .stride = lmw_type_row_size(t->type, m->n_embd),
                                       .n_in = m->n_embd,
                                       .n_out = m->n_vocab,
                                       .type = t->type};
    const char *head = lmw_bind_has(b, "output.weight") ? "output.weight" : "token_embd.weight";
    if ((rc = lmw_bind_vector(b, "output_norm.weight", m->n_embd, &m->head_norm, err)) < 0)
        return rc;
    return lmw_bind_matrix(b, head, m->n_embd, m->n_vocab, &m->head, err);
}

static int check_all_used(const struct lmw_binder *b, struct lmw_err *err)
{
    const struct lmw_model *m = b->model;
    for (int64_t i = 0, n = lmw_gguf_n_tensor(m->gguf); i < n; i++)
        if (!b->is_used[i]) {
            lmw_str name = lmw_gguf_tensor(m->gguf, i)->name;
            return lmw_fail(err, LMW_EUNSUPPORTED,
                            "tensor '%.*s' is not part of the '%s' models this build computes",
                            (int)(name.len < 64 ? name.len : 64), name.ptr, m->family->arch);
        }
    return LMW_OK;
}

static int bind_model(struct lmw_binder *b, struct lmw_err *err)
{
    struct lmw_model *m = b->model;
    double eps;
    int rc;
    if ((rc = lmw_bind_int(b, "block_count", 1, LMW_MAX_LAYER, -1, &m->n_layer, err)) < 0 ||
        (rc = lmw_bind_int(b, "embedding_length", 1, LMW_MAX_WIDTH, -1, &m->n_embd, err)) < 0 ||
        (rc = lmw_bind_int(b, "context_length", 1, LMW_MAX_CTX, -1, &m->info.n_ctx_train, err)) <
            0 ||
        (rc = lmw_bind_real(b, "attention.layer_norm_rms_epsilon", 0, 1, 1e-5, &eps, err)) < 0 ||
        (rc = bind_ends(b, err)) < 0 || (rc = bind_layers(b, err)) < 0)
        return rc;
    m->norm_eps = (float)eps;
    return check_all_used(b, err);
}

static void fill_info(struct lmw_model *m)
{
    struct lmw_model_info *info = &m->info;
    lmw_str name = {"", 0};
    int64_t ftype = -1;
    lmw_gguf_str(m->gguf, "general.name", &name, NULL);
    lmw_gguf_int(m->gguf, "general.file_type", &ftype, NULL);
    const char *quant = lmw_file_type_name(ftype);
    /* No (known) file type: what the layers are made of. */
    if (!quant)
        quant = lmw_type_name(lmw_gguf_tensor(m->gguf, lmw_gguf_n_tensor(m->gguf) - 1)->type);
    snprintf(info->arch, sizeof info->arch, "%s", m->family->arch);
    snprintf(info->name, sizeof info->name, "%.*s",
             LMW_FMT(lmw_utf8_cut(name, sizeof info->name - 1)));
    lmw_utf8_mend(info->name);
    lmw_text_tame(info->name, false);
    snprintf(info->quantization, sizeof info->quantization, "%s", quant ? quant : "?");
    info->level = m->kernels.level;
    info->n_vocab = m->n_vocab;
    info->n_embd = m->n_embd;
    info->n_layer = m->n_layer;
    info->file_bytes = lmw_gguf_size(m->gguf);
    for (int64_t i = 0; i < lmw_gguf_n_tensor(m->gguf); i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(m->gguf, i);
        info->n_param += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    }
    info->n_param_active = info->n_param;
}

/* Vectors become f32 in the arena; a block's struct is small. */
static size_t arena_size(const struct lmw_gguf *g)
{
    size_t size = 1 << 20;
    for (int64_t i = 0; i < lmw_gguf_n_tensor(g); i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(g, i);
        size += 1024;
        if (t->ne[1] == 1 && t->ne[0] > 0 && t->ne[0] <= LMW_MAX_WIDTH)
            size += (size_t)t->ne[0] * sizeof(float);
    }
    return size;
}

static int load(struct lmw_model *m, struct lmw_err *err)
{
    lmw_str arch;
    int rc;
    if ((rc = lmw_gguf_check_whole(m->gguf, err)) < 0 ||
        (rc = lmw_gguf_str(m->gguf, "general.architecture", &arch, err)) < 0 ||
        (rc = lmw_family_find(&m->family, arch, err)) < 0 ||
        (rc = lmw_family_check_keys(m->family, m->gguf, err)) < 0 ||
        (rc = lmw_arena_open(&m->arena, arena_size(m->gguf), err)) < 0)
        return rc;
    bool *is_used = calloc((size_t)lmw_gguf_n_tensor(m->gguf) + 1, sizeof *is_used);
    if (!is_used)
        return lmw_fail(err, LMW_ENOMEM, "no memory for the tensor directory");
    rc = bind_model(&(struct lmw_binder){m, -1, is_used}, err);
    free(is_used);
    return rc;
}

int lmw_model_load(struct lmw_model *m, struct lmw_gguf *g, uint32_t cpu_flags,
                   struct lmw_err *err)
{
    *m = (struct lmw_model){.gguf = g};
    lmw_kernels_init(&m->kernels, cpu_flags);
    int rc = load(m, err);
    if (rc < 0) {
        lmw_model_close(m);
        return rc;
    }
    fill_info(m);
    return LMW_OK;
}

void lmw_model_close(struct lmw_model *m)
{
    lmw_arena_close(&m->arena);
    lmw_gguf_close(m->gguf);
    *m = (struct lmw_model){0};
}
