/* Quantising a file: which tensor gets which format, then every row through lmw_from_f32().
 *
 * The choice follows llama.cpp's (llama-quant.cpp), so that "Q4_K_M" means the same:
 *   - only weights of two dimensions and more change; norms, routers, convolutions and other small
 *     ones keep their format;
 *   - a plain format ("Q6_K") is used throughout;
 *   - a mix ("Q4_K_M") gives Q6_K to the output matrix (or to the token embedding, when it serves
 *     as both) and to half of the layers' attn_v and ffn_down: the first and the last eighth, and
 *     every third in between;
 *   - rows that K-quants cannot hold (no multiple of 256) fall back to Q8_0, or to F16 where 32
 *     does not divide them either. (llama.cpp takes Q5_0 and Q5_1 for Q4_K and Q5_K; this build
 *     has neither, so such a tensor becomes larger here, never worse.)
 *
 * Rows are independent and each belongs to one thread, so the bytes do not depend on the number of
 * threads. One tensor at a time is in memory.
 *
 * Refused: an output that is the input, split files, quantising what already is quantised to
 * another format (the errors would add up unseen), values the format cannot hold (NaN, infinity,
 * beyond F16's range for F16). */
#include "engine/engine.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/pool.h"
#include "engine/gguf.h"
#include "engine/quant.h"

/* file_type: llama.h's enum llama_ftype; 14 and 16 are the _S mixes, the nearest to pure. */
struct target {
    const char *name;
    enum lmw_type type;
    bool mix;
    uint32_t file_type;
};
static const struct target targets[] = {
    {"F32", LMW_F32, false, 0},     {"F16", LMW_F16, false, 1},    {"BF16", LMW_BF16, false, 32},
    {"Q8_0", LMW_Q8_0, false, 7},   {"Q6_K", LMW_Q6_K, false, 18}, {"Q5_K", LMW_Q5_K, false, 16},
    {"Q5_K_M", LMW_Q5_K, true, 17}, {"Q4_K", LMW_Q4_K, false, 14}, {"Q4_K_M", LMW_Q4_K, true, 15},
};
#define N_TARGET (sizeof(targets) / sizeof(targets[0]))

static const struct target *target_of(const char *name, struct lmw_err *err)
{
    for (size_t i = 0; i < N_TARGET; i++)
        if (strcasecmp(name, targets[i].name) == 0)
            return &targets[i];
    lmw_fail(err, LMW_EARG,
             "unknown type '%s': F32 F16 BF16 Q8_0 Q6_K Q5_K Q5_K_M Q4_K Q4_K_M exist", name);
    return NULL;
}

static bool is_blocks(enum lmw_type t)
{
    return lmw_type_block(t) > 1;
}

/* ---- which format ---- */

static bool has(lmw_str name, const char *part)
{
    return memmem(name.ptr, name.len, part, strlen(part)) != NULL;
}

static bool ends_in_weight(lmw_str name)
{
    return name.len >= 6 && memcmp(name.ptr + name.len - 6, "weight", 6) == 0;
}

/* Small or touchy weights that llama.cpp leaves alone, by a part of their name. */
static bool is_kept(lmw_str name)
{
    static const char *const parts[] = {
        "_norm.weight",
        "ffn_gate_inp.weight",
        "ffn_gate_tid2eid.weight",
        "altup",
        "laurel",
        "per_layer_model_proj",
        "ssm_conv1d",
        "shortconv.conv.weight",
        "indexer.k_proj.weight",
        "indexer.q_proj.weight",
        "time_mix_first.weight",
        "time_mix_w0.weight",
        "time_mix_w1.weight",
        "time_mix_w2.weight",
        "time_mix_v0.weight",
        "time_mix_v1.weight",
        "time_mix_v2.weight",
        "time_mix_a0.weight",
        "time_mix_a1.weight",
        "time_mix_a2.weight",
        "time_mix_g1.weight",
        "time_mix_g2.weight",
        "time_mix_decay_w1.weight",
        "time_mix_decay_w2.weight",
        "time_mix_lerp_fused.weight",
        "attn_rel_b.weight",
        ".position_embd",
        "sam.pos_embd",
        "sam.neck.",
        "sam.net_",
        ".rel_pos",
        ".patch_embd",
        ".patch_merger",
        "a.rvq.codebook",
        "mm.a.code_embd",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (has(name, parts[i]))
            return true;
    return lmw_str_is(name, "position_embd.weight") || lmw_str_is(name, "token_types.weight");
}

static bool is_matrix(const struct lmw_tensor *t)
{
    return t->ne[1] > 1 || t->ne[2] > 1 || t->ne[3] > 1;
}

static bool is_quantised_at_all(const struct lmw_tensor *t)
{
    return is_matrix(t) && ends_in_weight(t->name) && !is_kept(t->name);
}

/* What of the model the mixes look at. */
struct shape {
    bool falcon, tied, seventy_b;
    int64_t n_layer, n_expert;
    int n_attn_v;
};
/* Tensors seen so far, in the order of layers. */
struct count {
    int i_attn_v, i_ffn_down;
};

static bool is_attn_v(lmw_str name)
{
    return has(name, "attn_v.weight") || has(name, "attn_qkv.weight") ||
           has(name, "attn_kv_b.weight");
}

static bool is_token_embd(lmw_str name)
{
    return lmw_str_is(name, "token_embd.weight") ||
           lmw_str_is(name, "per_layer_token_embd.weight");
}

static bool more_bits(int64_t i, int64_t n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

/* N of "blk.N.", or -1. */
static int64_t layer_of(lmw_str name)
{
    int64_t n = 0;
    size_t i = 4;
    if (!lmw_str_starts(name, "blk."))
        return -1;
    for (; i < name.len && name.ptr[i] >= '0' && name.ptr[i] <= '9' && n < 1000000; i++)
        n = 10 * n + (name.ptr[i] - '0');
    return i > 4 && i < name.len && name.ptr[i] == '.' ? n : -1;
}

static enum lmw_type mix_attn_v(const struct shape *m, int i, enum lmw_type type)
{
    if (more_bits(i, m->n_attn_v))
        type = LMW_Q6_K;
    if (m->seventy_b && type == LMW_Q4_K)
        type = LMW_Q5_K;
    return m->n_expert == 8 ? LMW_Q8_0 : type; /* few bytes beside eight experts */
}

static enum lmw_type mix_ffn_down(const struct shape *m, int64_t i, enum lmw_type type)
{
    if (m->falcon && type == LMW_Q4_K)
        return i < m->n_layer / 16 ? LMW_Q6_K : more_bits(i, m->n_layer) ? LMW_Q5_K : LMW_Q4_K;
    return more_bits(i, m->n_layer) ? LMW_Q6_K : type;
}

static enum lmw_type mix_type(const struct shape *m, struct count *c, const struct lmw_tensor *t,
                              enum lmw_type type)
{
    if (lmw_str_is(t->name, "output.weight") || (m->tied && is_token_embd(t->name)))
        return m->falcon || t->ne[0] % lmw_type_block(type) ? LMW_Q8_0 : LMW_Q6_K;
    if (is_token_embd(t->name))
        return type;
    if (is_attn_v(t->name))
        return mix_attn_v(m, c->i_attn_v++, type);
    if (has(t->name, "attn_k.weight"))
        return m->n_expert == 8 ? LMW_Q8_0 : type;
    if (has(t->name, "attn_output.weight"))
        return m->n_expert == 8 && !m->falcon && type == LMW_Q4_K ? LMW_Q5_K : type;
    if (has(t->name, "ffn_down")) {
        int64_t i = c->i_ffn_down++;
        return mix_ffn_down(m, m->n_expert > 1 ? layer_of(t->name) : i, type);
    }
    return type;
}

static enum lmw_type fall_back(const struct lmw_tensor *t, enum lmw_type type)
{
    if (t->ne[0] % lmw_type_block(type) == 0)
        return type;
    return t->ne[0] % lmw_type_block(LMW_Q8_0) == 0 ? LMW_Q8_0 : LMW_F16;
}

/* ---- the plan: a format for each tensor ---- */

struct plan {
    const struct target *target;
    const struct lmw_gguf *in;
    enum lmw_type *type; /* of tensor i */
};

/* "ARCH.key", or `absent` where there is none. */
static int64_t arch_int(const struct lmw_gguf *g, lmw_str arch, const char *key, int64_t absent)
{
    char name[128];
    int64_t v;
    snprintf(name, sizeof(name), "%.*s.%s", (int)(arch.len < 64 ? arch.len : 64), arch.ptr, key);
    return lmw_gguf_int(g, name, &v, NULL) < 0 ? absent : v;
}

static int read_shape(const struct lmw_gguf *g, struct shape *m, struct lmw_err *err)
{
    lmw_str arch;
    int rc = lmw_gguf_str(g, "general.architecture", &arch, err);
    if (rc < 0)
        return rc;
    *m = (struct shape){.falcon = lmw_str_is(arch, "falcon")};
    m->tied = !lmw_gguf_find_tensor(g, "output.weight");
    m->n_layer = arch_int(g, arch, "block_count", -1);
    m->n_expert = arch_int(g, arch, "expert_count", 0);
    if (m->n_layer < 0)
        return lmw_fail(err, LMW_EFORMAT, "key '%.*s.block_count' is missing", LMW_FMT(arch));
    int64_t n_head = arch_int(g, arch, "attention.head_count", 0);
    bool grouped = n_head != arch_int(g, arch, "attention.head_count_kv", n_head);
    m->seventy_b =
        m->n_layer == 80 && (lmw_str_is(arch, "qwen2") || (lmw_str_is(arch, "llama") && grouped));
    for (int64_t i = 0; i < lmw_gguf_n_tensor(g); i++)
        m->n_attn_v += is_attn_v(lmw_gguf_tensor(g, i)->name);
    return 0;
}

/* A tensor in the order that llama.cpp counts them: by layer, then by name. */
struct ranked {
    const struct lmw_tensor *t;
    int64_t index, layer;
};

static int by_layer(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    lmw_str n = x->t->name, m = y->t->name;
    int d = memcmp(n.ptr, m.ptr, n.len < m.len ? n.len : m.len);
    return d ? d : (n.len > m.len) - (n.len < m.len);
}

static int plan_mix(struct plan *p, struct lmw_err *err)
{
    struct shape m;
    struct count c = {0};
    int64_t n = lmw_gguf_n_tensor(p->in);
    int rc = read_shape(p->in, &m, err);
    if (rc < 0)
        return rc;
    struct ranked *order = calloc((size_t)n + 1, sizeof(*order));
    if (!order)
        return lmw_fail(err, LMW_ENOMEM, "out of memory");
    for (int64_t i = 0; i < n; i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(p->in, i);
        order[i] = (struct ranked){t, i, layer_of(t->name)};
    }
    qsort(order, (size_t)n, sizeof(*order), by_layer);
    for (int64_t i = 0; i < n; i++)
        if (is_quantised_at_all(order[i].t))
            p->type[order[i].index] = mix_type(&m, &c, order[i].t, p->target->type);
    free(order);
    return 0;
}

static int check_source(const struct lmw_tensor *t, enum lmw_type to, struct lmw_err *err)
{
    if (is_blocks(t->type) && is_blocks(to) && t->type != to)
        return lmw_fail(err, LMW_EARG,
                        "tensor '%.*s' is %s already: quantise the F32, F16 or BF16 model instead "
                        "(or turn this one into F16 first, if nothing better exists)",
                        LMW_FMT(t->name), lmw_type_name(t->type));
    return 0;
}

static int make_plan(struct plan *p, struct lmw_err *err)
{
    int64_t n = lmw_gguf_n_tensor(p->in);
    int rc = lmw_gguf_check_whole(p->in, err);
    if (rc < 0)
        return rc;
    for (int64_t i = 0; i < n; i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(p->in, i);
        p->type[i] = is_quantised_at_all(t) ? p->target->type : t->type;
    }
    if (p->target->mix && (rc = plan_mix(p, err)) < 0)
        return rc;
    for (int64_t i = 0; i < n && rc == 0; i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(p->in, i);
        p->type[i] = fall_back(t, p->type[i]);
        rc = check_source(t, p->type[i], err);
    }
    return rc;
}

/* ---- the work ---- */

/* One tensor, its rows shared by the pool's threads. */
struct job {
    const struct lmw_tensor *from;
    enum lmw_type to;
    uint8_t *out;
    float *rows;                  /* one row per thread */
    _Atomic int64_t first_misfit; /* element that the format cannot hold, the lowest */
};

static bool fits(enum lmw_type t, float x)
{
    if (t == LMW_F32)
        return true;
    if (!isfinite(x))
        return false;
    return t == LMW_BF16 || (t == LMW_F16 ? fabsf(x) < 65520 : fabsf(x) < 1e6f);
}

static void note_misfit(struct job *job, int64_t at)
{
    int64_t old = atomic_load(&job->first_misfit);
    while (at < old && !atomic_compare_exchange_weak(&job->first_misfit, &old, at))
        ;
}

static void quantise_rows(void *arg, int i_thread, int n_thread)
{
    struct job *job = arg;
    const struct lmw_tensor *t = job->from;
    int64_t n = t->ne[0], n_row = t->ne[1] * t->ne[2] * t->ne[3], from, to;
    size_t in_row = lmw_type_row_size(t->type, n), out_row = lmw_type_row_size(job->to, n);
    float *row = job->rows + n * i_thread;
    lmw_pool_share(n_row, 1, i_thread, n_thread, &from, &to);
    for (int64_t r = from; r < to; r++) {
        lmw_to_f32(t->type, (const uint8_t *)t->data + (size_t)r * in_row, row, n);
        for (int64_t i = 0; i < n; i++)
            if (!fits(job->to, row[i])) {
                note_misfit(job, r * n + i);
                return;
            }
        lmw_from_f32(job->to, row, job->out + (size_t)r * out_row, n);
    }
}

static int run_job(struct job *job, struct lmw_pool *pool, struct lmw_gguf_writer *w,
                   struct lmw_err *err)
{
    const struct lmw_tensor *t = job->from;
    if (t->type == job->to)
        return lmw_gguf_write(w, t->data, t->size, err);
    int64_t n_row = t->ne[1] * t->ne[2] * t->ne[3];
    size_t size = lmw_type_row_size(job->to, t->ne[0]) * (size_t)n_row;
    job->out = malloc(size);
    job->rows = calloc((size_t)lmw_pool_size(pool) * (size_t)t->ne[0], sizeof(float));
    job->first_misfit = INT64_MAX;
    int rc = 0;
    if (!job->out || !job->rows)
        rc = lmw_fail(err, LMW_ENOMEM, "out of memory: tensor '%.*s' needs %zu bytes",
                      LMW_FMT(t->name), size);
    if (rc == 0)
        lmw_pool_run(pool, quantise_rows, job);
    if (rc == 0 && job->first_misfit != INT64_MAX)
        rc = lmw_fail(err, LMW_EFORMAT,
                      "tensor '%.*s': element %" PRId64 " is not finite or too large for %s",
                      LMW_FMT(t->name), job->first_misfit, lmw_type_name(job->to));
    if (rc == 0)
        rc = lmw_gguf_write(w, job->out, size, err);
    free(job->out);
    free(job->rows);
    return rc;
}

static bool is_ours(lmw_str key)
{
    return lmw_str_is(key, "general.file_type") ||
           lmw_str_is(key, "general.quantization_version") || lmw_str_starts(key, "split.");
}

static void put_head(const struct plan *p, struct lmw_gguf_writer *w)
{
    for (int64_t i = 0; i < lmw_gguf_n_kv(p->in); i++)
        if (!is_ours(lmw_gguf_kv(p->in, i)->key))
            lmw_gguf_put_kv(w, lmw_gguf_kv(p->in, i));
    lmw_gguf_put_u32(w, "general.quantization_version", 2);
    lmw_gguf_put_u32(w, "general.file_type", p->target->file_type);
    for (int64_t i = 0; i < lmw_gguf_n_tensor(p->in); i++) {
        const struct lmw_tensor *t = lmw_gguf_tensor(p->in, i);
        lmw_gguf_declare(w, t->name, p->type[i], t->n_dim, t->ne);
    }
}

static int write_out(const struct plan *p, const char *out, lmw_quantize_progress *progress,
                     void *arg, struct lmw_err *err)
{
    struct lmw_gguf_writer *w;
    struct lmw_pool *pool;
    int64_t n = lmw_gguf_n_tensor(p->in);
    int rc = lmw_pool_open(&pool, 0, err);
    if (rc < 0)
        return rc;
    if ((rc = lmw_gguf_writer_open(&w, out, err)) < 0) {
        lmw_pool_close(pool);
        return rc;
    }
    put_head(p, w);
    for (int64_t i = 0; i < n && rc == 0; i++) {
        struct job job = {.from = lmw_gguf_tensor(p->in, i), .to = p->type[i]};
        if (progress && progress(arg, i, n, job.from->name) != 0)
            rc = lmw_fail(err, LMW_ECANCELLED, "cancelled");
        else
            rc = run_job(&job, pool, w, err);
    }
    if (rc == 0)
        rc = lmw_gguf_writer_close(w, err);
    else
        lmw_gguf_writer_abandon(w);
    lmw_pool_close(pool);
    return rc;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int lmw_quantize_file(const char *in, const char *out, const char *type,
                      lmw_quantize_progress *progress, void *arg, struct lmw_err *err)
{
    struct lmw_gguf *g;
    struct plan p = {.target = target_of(type, err)};
    int rc;
    if (!p.target)
        return LMW_EARG;
    if (same_file(in, out))
        return lmw_fail(err, LMW_EARG, "%s is the model to be quantised: write to another file",
                        out);
    if ((rc = lmw_gguf_open(&g, in, err)) < 0)
        return rc;
    p.in = g;
    p.type = calloc((size_t)lmw_gguf_n_tensor(g) + 1, sizeof(*p.type));
    if (!p.type)
        rc = lmw_fail(err, LMW_ENOMEM, "out of memory");
    else if (lmw_gguf_n_tensor(g) == 0)
        rc = lmw_fail(err, LMW_EARG, "no tensors are in it: is it a vocabulary alone?");
    else if ((rc = make_plan(&p, err)) == 0)
        rc = write_out(&p, out, progress, arg, err);
    if (rc < 0)
        rc = lmw_wrap(err, "quantising %s", in);
    free(p.type);
    lmw_gguf_close(g);
    return rc;
}
