/* Owns the GGUF file of a trained model: llama.cpp's keys and tensor names for architecture
 * "llama" with a tied embedding (no output.weight), F16 matrices and F32 norms, and how the
 * model was trained. */
#include "engine/gguf.h"
#include "engine/quant.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tensor of the file and where it lies in the parameters: a matrix of n_row rows, or a norm
 * (n_row 0). */
struct part {
    const char *name; /* without ".weight" */
    int layer;        /* -1: of no layer */
    size_t at;
    int64_t width, n_row;
};
enum { LAYER_PARTS = 9 };

static void layer_parts(const struct lmw_net *net, int l, struct part *out)
{
    const struct lmw_net_layer *at = &net->layer[l];
    const int64_t dim = net->shape.n_embd, n_ff = net->shape.n_ff;
    const int64_t n_kv = (int64_t)net->heads.n_head_kv * net->heads.head_dim;
    const size_t at_k = at->qkv + (size_t)(dim * dim), at_v = at_k + (size_t)(n_kv * dim);
    const struct part parts[LAYER_PARTS] = {
        {"attn_norm", l, at->attn_norm, dim, 0},
        {"attn_q", l, at->qkv, dim, dim},
        {"attn_k", l, at_k, dim, n_kv},
        {"attn_v", l, at_v, dim, n_kv},
        {"attn_output", l, at->out, dim, dim},
        {"ffn_norm", l, at->ffn_norm, dim, 0},
        {"ffn_gate", l, at->gate_up, dim, n_ff},
        {"ffn_up", l, at->gate_up + (size_t)(n_ff * dim), dim, n_ff},
        {"ffn_down", l, at->down, n_ff, dim},
    };
    memcpy(out, parts, sizeof parts);
}

static void put_model(const struct lmw_trainer *t, const char *name, struct lmw_gguf_writer *w)
{
    const struct lmw_train_shape *s = &t->opts.shape;
    lmw_gguf_put_str(w, "general.architecture", LMW_STR("llama"));
    lmw_gguf_put_str(w, "general.name", lmw_str_from(name));
    lmw_gguf_put_str(w, "general.license", LMW_STR("apache-2.0"));
    lmw_gguf_put_u32(w, "general.file_type", 1); /* mostly F16 */
    lmw_gguf_put_u32(w, "llama.vocab_size", (uint32_t)s->n_vocab);
    lmw_gguf_put_u32(w, "llama.context_length", (uint32_t)s->n_ctx);
    lmw_gguf_put_u32(w, "llama.embedding_length", (uint32_t)s->n_embd);
    lmw_gguf_put_u32(w, "llama.block_count", (uint32_t)s->n_layer);
    lmw_gguf_put_u32(w, "llama.feed_forward_length", (uint32_t)s->n_ff);
    lmw_gguf_put_u32(w, "llama.attention.head_count", (uint32_t)s->n_head);
    lmw_gguf_put_u32(w, "llama.attention.head_count_kv", (uint32_t)s->n_head_kv);
    lmw_gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", LMW_NORM_EPS);
    lmw_gguf_put_u32(w, "llama.rope.dimension_count", (uint32_t)t->net.heads.head_dim);
    lmw_gguf_put_f32(w, "llama.rope.freq_base", (float)LMW_ROPE_BASE);
}

static void put_training(const struct lmw_trainer *t, struct lmw_gguf_writer *w)
{
    const struct lmw_train_opts *o = &t->opts;
    char number[24];
    /* GGUF's widest put here is 32 bits; tokens go as text rather than wrap. */
    snprintf(number, sizeof number, "%lld", (long long)t->state.n_tok);
    lmw_gguf_put_u32(w, "lmwatt.train.steps", (uint32_t)t->state.step);
    lmw_gguf_put_str(w, "lmwatt.train.tokens", lmw_str_from(number));
    snprintf(number, sizeof number, "%llu", (unsigned long long)o->seed);
    lmw_gguf_put_str(w, "lmwatt.train.seed", lmw_str_from(number));
    lmw_gguf_put_u32(w, "lmwatt.train.batch_tokens", (uint32_t)o->batch_tokens);
    lmw_gguf_put_f32(w, "lmwatt.train.learning_rate", (float)o->lr);
    lmw_gguf_put_f32(w, "lmwatt.train.weight_decay", (float)o->weight_decay);
    if (t->state.step > 0)
        lmw_gguf_put_f32(w, "lmwatt.train.final_loss", (float)t->state.loss);
}

static void declare(struct lmw_gguf_writer *w, const struct part *p)
{
    const int64_t ne[] = {p->width, p->n_row};
    char name[48];
    if (p->layer < 0)
        snprintf(name, sizeof name, "%s.weight", p->name);
    else
        snprintf(name, sizeof name, "blk.%d.%s.weight", p->layer, p->name);
    lmw_gguf_declare(w, lmw_str_from(name), p->n_row ? LMW_F16 : LMW_F32, p->n_row ? 2 : 1, ne);
}

/* f16: room for the largest matrix. */
static int write_part(const struct lmw_trainer *t, struct lmw_gguf_writer *w, const struct part *p,
                      uint16_t *f16, struct lmw_err *err)
{
    const float *x = t->param + p->at;
    if (p->n_row == 0)
        return lmw_gguf_write(w, x, (size_t)p->width * sizeof *x, err);
    const int64_t n = p->width * p->n_row;
    for (int64_t i = 0; i < n; i++)
        if (fabsf(x[i]) > 65504)
            return lmw_fail(err, LMW_EUNSUPPORTED, "tensor '%s': %g does not fit in F16", p->name,
                            (double)x[i]);
    lmw_from_f32(LMW_F16, x, f16, n);
    return lmw_gguf_write(w, f16, (size_t)n * sizeof *f16, err);
}

static int write_parts(const struct lmw_trainer *t, struct lmw_gguf_writer *w, struct part *parts,
                       uint16_t *f16, struct lmw_err *err)
{
    const struct lmw_net *net = &t->net;
    const int n_part = 2 + net->shape.n_layer * LAYER_PARTS;
    parts[0] = (struct part){"token_embd", -1, net->embd, net->shape.n_embd, net->shape.n_vocab};
    parts[1] = (struct part){"output_norm", -1, net->out_norm, net->shape.n_embd, 0};
    for (int l = 0; l < net->shape.n_layer; l++)
        layer_parts(net, l, parts + 2 + l * LAYER_PARTS);
    for (int i = 0; i < n_part; i++)
        declare(w, &parts[i]);
    for (int i = 0; i < n_part; i++) {
        int rc = write_part(t, w, &parts[i], f16, err);
        if (rc < 0)
            return rc;
    }
    return LMW_OK;
}

static int write_tensors(const struct lmw_trainer *t, struct lmw_gguf_writer *w,
                         struct lmw_err *err)
{
    const size_t n_part = 2 + (size_t)t->net.shape.n_layer * LAYER_PARTS;
    struct part *parts = calloc(n_part, sizeof *parts);
    /* No matrix has more elements than all of them. */
    uint16_t *f16 = malloc(t->net.n_matrix * sizeof *f16);
    int rc = parts && f16 ? write_parts(t, w, parts, f16, err)
                          : lmw_fail(err, LMW_ENOMEM, "no memory to convert the weights");
    free(parts);
    free(f16);
    return rc;
}

int lmw_trainer_export(const struct lmw_trainer *t, const struct lmw_tok *tok,
                       const struct lmw_train_meta *meta, const char *path, struct lmw_err *err)
{
    struct lmw_gguf_writer *w;
    int rc = lmw_gguf_writer_open(&w, path, err);
    if (rc < 0)
        return rc;
    put_model(t, meta->name, w);
    if ((rc = lmw_tok_store(tok, w, meta->chat_template, err)) == LMW_OK) {
        put_training(t, w);
        rc = write_tensors(t, w, err);
    }
    if (rc == LMW_OK)
        return lmw_gguf_writer_close(w, err);
    lmw_gguf_writer_abandon(w);
    return rc;
}
