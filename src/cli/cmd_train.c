/* lmwatt train: data -> tokenizer -> tokens -> steps -> a GGUF file.
 *
 * The loop is here, with everything a person sees: progress, the log, when to evaluate and
 * save, and what an interrupt does (finish the step, save, exit 0 as a run that can go on).
 * The arithmetic is train/train.h's. */
#include "base/file.h"
#include "cli/cli.h"
#include "cli/model_opts.h"
#include "train/train.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct train {
    const char *data, *out, *eval, *checkpoint, *resume, *init, *chat_template, *log, *name, *rule;
    char file_name[256];
    bool words_apart, is_json;
    int64_t dim, layers, heads, kv_heads, ffn, vocab, ctx, batch_tokens;
    int64_t steps, warmup, seed, n_thread, eval_every, save_every, log_every;
    double lr, lr_min, weight_decay, clip, beta1, beta2, prompt_loss, minutes;
    struct lmw_train_opts opts;
};

/* What a run holds open. */
struct run {
    const struct train *o;
    struct lmw_train_opts opts; /* o's, with the shape of --init */
    struct lmw_gguf *init;
    struct lmw_corpus *corpus, *eval_corpus;
    struct lmw_tok *tok;
    struct lmw_train_data *data, *eval;
    struct lmw_trainer *trainer;
    FILE *log;
    char checkpoint[1024];
    double eval_loss;           /* the last one, NaN before */
    double loss_sum, tok_per_s; /* since the last log line; of the last steps */
    int64_t n_sum, n_tok, t_ns;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    stop = 1;
}

/* ---- options ---- */

static struct train defaults(void)
{
    struct lmw_train_opts d = lmw_train_defaults();
    return (struct train){
        .chat_template = "{{ messages[0]['content'] + '\n' }}",
        .dim = d.shape.n_embd,
        .layers = d.shape.n_layer,
        .heads = d.shape.n_head,
        .kv_heads = d.shape.n_head_kv,
        .ffn = d.shape.n_ff,
        .vocab = d.shape.n_vocab,
        .ctx = d.shape.n_ctx,
        .batch_tokens = d.batch_tokens,
        .warmup = d.warmup,
        .seed = (int64_t)d.seed,
        .steps = -1,
        .eval_every = 200,
        .save_every = 500,
        .log_every = 20,
        .lr = d.lr,
        .lr_min = d.lr_min,
        .weight_decay = d.weight_decay,
        .clip = d.clip,
        .beta1 = d.beta1,
        .beta2 = d.beta2,
        .prompt_loss = 0.1,
        .rule = "adamw",
    };
}

static int parse(struct train *o, struct strs *pos, int argc, char **argv)
{
    const struct opt opts[] = {
        {"output", 'o', OPT_STR, &o->out, "FILE", "the model to write, a GGUF file"},
        {"name", 0, OPT_STR, &o->name, "TEXT", "general.name (default: the output file's)"},
        {"dim", 0, OPT_INT, &o->dim, "N", "width of the model (default 256)"},
        {"layers", 0, OPT_INT, &o->layers, "N", "default 4"},
        {"heads", 0, OPT_INT, &o->heads, "N", "query heads (default 8)"},
        {"kv-heads", 0, OPT_INT, &o->kv_heads, "N", "key and value heads (default 4)"},
        {"ffn", 0, OPT_INT, &o->ffn, "N", "width of the feed-forward layers (default 768)"},
        {"vocab", 0, OPT_INT, &o->vocab, "N",
         "ids of the tokenizer trained on DATA (default 1024)"},
        {"words-apart", 0, OPT_FLAG, &o->words_apart, NULL,
         "tokens never join a word to what precedes it"},
        {"ctx", 0, OPT_INT, &o->ctx, "N", "longest sequence in tokens (default 256)"},
        {"template", 0, OPT_STR, &o->chat_template, "TEXT",
         "chat template (default: prompt, newline)"},
        {"steps", 0, OPT_INT, &o->steps, "N",
         "length of the run (default 2000, or --minutes alone)"},
        {"minutes", 0, OPT_REAL, &o->minutes, "M",
         "length in time; the schedule follows the clock"},
        {"batch-tokens", 0, OPT_INT, &o->batch_tokens, "N",
         "tokens a step, at most (default 4096)"},
        {"lr", 0, OPT_REAL, &o->lr, "X", "peak learning rate (default 2e-3)"},
        {"min-lr", 0, OPT_REAL, &o->lr_min, "X", "learning rate at the end (default 2e-5)"},
        {"warmup", 0, OPT_INT, &o->warmup, "N", "steps up to the peak (default 100)"},
        {"weight-decay", 0, OPT_REAL, &o->weight_decay, "X", "of matrices (default 0.1)"},
        {"clip", 0, OPT_REAL, &o->clip, "X", "largest gradient norm, 0: any (default 1)"},
        {"beta1", 0, OPT_REAL, &o->beta1, "X", "AdamW's first decay (default 0.9)"},
        {"beta2", 0, OPT_REAL, &o->beta2, "X", "AdamW's second decay (default 0.95)"},
        {"optimizer", 0, OPT_STR, &o->rule, "RULE",
         "adamw, or muon for the layers' matrices (default adamw)"},
        {"prompt-loss", 0, OPT_REAL, &o->prompt_loss, "X",
         "weight of prompt tokens (default 0.1)"},
        {"seed", 0, OPT_INT, &o->seed, "N", "of the first weights and the order (default 1)"},
        {"eval", 0, OPT_STR, &o->eval, "FILE", "held-out data, answers scored on the way"},
        {"eval-every", 0, OPT_INT, &o->eval_every, "N", "steps (default 200)"},
        {"checkpoint", 0, OPT_STR, &o->checkpoint, "FILE",
         "where to save (default: output + .ckpt)"},
        {"save-every", 0, OPT_INT, &o->save_every, "N", "steps (default 500), the model too"},
        {"resume", 0, OPT_STR, &o->resume, "FILE", "go on from a checkpoint"},
        {"init", 0, OPT_STR, &o->init, "MODEL",
         "begin with this model's weights, shape and tokenizer"},
        {"log", 0, OPT_STR, &o->log, "FILE", "losses as CSV"},
        {"log-every", 0, OPT_INT, &o->log_every, "N", "steps (default 20)"},
        {"threads", 't', OPT_INT, &o->n_thread, "N", "default 0: one per processor"},
        {"json", 0, OPT_FLAG, &o->is_json, NULL, "one JSON object at the end, on stdout"},
        {0},
    };
    const struct command_help help = {
        "lmwatt train DATA -o OUT.gguf [OPTIONS]",
        "Trains a small llama-architecture model and its tokenizer from scratch. DATA is JSONL\n"
        "with `prompt` and `reference` (named *.jsonl), or plain text.",
        "lmwatt train pairs.jsonl -o pairs.gguf --eval held-out.jsonl --minutes 30"};
    return opts_parse(opts, &help, argc, argv, pos);
}

/* The last part of a path, without .gguf. */
static const char *name_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    lmw_str name = lmw_str_stem(lmw_str_from(base), ".gguf");
    snprintf(out, size, "%.*s", LMW_FMT(name));
    return out;
}

/* The library checks what the numbers mean; here they only have to fit its types. */
static int check(struct train *o, const struct strs *pos, const char *command)
{
    if (pos->n != 1 || !o->out)
        return cli_usage(command, pos->n == 1 ? "needs --output" : "takes one DATA file");
    o->data = pos->v[0];
    const int64_t sizes[] = {o->dim,    o->layers,     o->heads,      o->kv_heads,
                             o->ffn,    o->vocab,      o->ctx,        o->batch_tokens,
                             o->warmup, o->eval_every, o->save_every, o->log_every};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i] < (sizes + i == &sizes[8] ? 0 : 1) || sizes[i] > INT_MAX / 4)
            return cli_usage(command, "sizes and counts start at 1, and %lld is not possible",
                             (long long)sizes[i]);
    if (o->steps < -1 || o->steps == 0 || o->steps > UINT32_MAX)
        return cli_usage(command, "--steps takes 1..%lld", (long long)UINT32_MAX);
    if (o->seed < 0 || !(o->minutes >= 0))
        return cli_usage(command, "--seed and --minutes cannot be negative");
    const bool muon = strcmp(o->rule, "muon") == 0;
    if (!muon && strcmp(o->rule, "adamw") != 0)
        return cli_usage(command, "--optimizer takes adamw or muon, not %s", o->rule);
    if (o->n_thread < 0 || o->n_thread > 256)
        return cli_usage(command, "--threads takes 0..256");
    if (o->steps < 0)
        o->steps = o->minutes > 0 ? 0 : 2000;
    if (!o->name)
        o->name = name_of(o->out, o->file_name, sizeof o->file_name);
    o->opts = (struct lmw_train_opts){.shape = {(int)o->dim, (int)o->layers, (int)o->heads,
                                                (int)o->kv_heads, (int)o->ffn, (int)o->vocab,
                                                (int)o->ctx},
                                      .batch_tokens = (int)o->batch_tokens,
                                      .lr = o->lr,
                                      .lr_min = o->lr_min,
                                      .warmup = o->warmup,
                                      .weight_decay = o->weight_decay,
                                      .beta1 = o->beta1,
                                      .beta2 = o->beta2,
                                      .clip = o->clip,
                                      .rule = muon ? LMW_RULE_MUON : LMW_RULE_ADAMW,
                                      .momentum = lmw_train_defaults().momentum,
                                      .seed = (uint64_t)o->seed,
                                      .n_thread = (int)o->n_thread};
    return -1;
}

/* ---- opening ---- */

static int read_data(struct run *r, const char *path, struct lmw_corpus **corpus,
                     struct lmw_train_data **data, struct lmw_err *err)
{
    const struct train *o = r->o;
    int rc = lmw_corpus_read(corpus, path, lmw_str_from(o->chat_template), err);
    if (rc == LMW_OK && !r->tok)
        rc = lmw_corpus_tokenizer(*corpus, (int)o->vocab, o->words_apart, &r->tok, err);
    if (rc == LMW_OK)
        rc = lmw_corpus_encode(*corpus, r->tok, r->opts.shape.n_ctx, o->prompt_loss, data, err);
    if (rc < 0)
        return rc;
    fprintf(stderr, "%s: %lld sequences, %lld tokens", path, (long long)(*data)->n_seq,
            (long long)(*data)->n_tok);
    if ((*data)->n_dropped)
        fprintf(stderr, "; %lld left out: over %d tokens", (long long)(*data)->n_dropped,
                r->opts.shape.n_ctx);
    fputc('\n', stderr);
    return LMW_OK;
}

static int open_log(struct run *r, struct lmw_err *err)
{
    if (!r->o->log)
        return LMW_OK;
    r->log = fopen(r->o->log, r->o->resume ? "a" : "w");
    if (!r->log)
        return lmw_fail_errno(err, "%s", r->o->log);
    if (ftell(r->log) == 0)
        fputs("step,tokens,loss,lr,grad_norm,tok_per_s,eval_loss\n", r->log);
    return LMW_OK;
}

/* --init: the model's tokenizer before the data, which it encodes. */
static int open_init(struct run *r, struct lmw_err *err)
{
    if (!r->o->init)
        return LMW_OK;
    int rc = lmw_gguf_open(&r->init, r->o->init, err);
    if (rc < 0)
        return rc;
    if (lmw_train_shape_read(&r->opts.shape, r->init, err) < 0 ||
        lmw_tok_load(&r->tok, r->init, err) < 0)
        return lmw_wrap(err, "%s", r->o->init);
    return LMW_OK;
}

static int open_trainer(struct run *r, struct lmw_err *err)
{
    int rc = lmw_trainer_open(&r->trainer, &r->opts, r->data, err);
    if (rc == LMW_OK && r->init && (rc = lmw_trainer_import(r->trainer, r->init, err)) < 0)
        return lmw_wrap(err, "%s", r->o->init);
    return rc == LMW_OK && r->o->resume ? lmw_trainer_load(r->trainer, r->o->resume, err) : rc;
}

/* A path that cannot be written is better known before an hour of training than after it. */
static int check_writable(const char *path, struct lmw_err *err)
{
    struct lmw_atomic w;
    int rc = lmw_atomic_open(&w, path, err);
    if (rc == LMW_OK)
        lmw_atomic_abandon(&w);
    return rc;
}

static int open_paths(struct run *r, struct lmw_err *err)
{
    const struct train *o = r->o;
    int n = snprintf(r->checkpoint, sizeof r->checkpoint, "%s%s",
                     o->checkpoint ? o->checkpoint : o->out, o->checkpoint ? "" : ".ckpt");
    if (n < 0 || n >= (int)sizeof r->checkpoint)
        return lmw_fail(err, LMW_EARG, "the checkpoint's path is too long");
    int rc = check_writable(o->out, err);
    return rc < 0 ? rc : check_writable(r->checkpoint, err);
}

static int open_run(struct run *r, struct lmw_err *err)
{
    const struct train *o = r->o;
    int rc;
    if ((rc = open_paths(r, err)) < 0 || (rc = open_init(r, err)) < 0 ||
        (rc = read_data(r, o->data, &r->corpus, &r->data, err)) < 0 ||
        (o->eval && (rc = read_data(r, o->eval, &r->eval_corpus, &r->eval, err)) < 0))
        return rc;
    if ((rc = open_trainer(r, err)) < 0)
        return rc;
    r->eval_loss = NAN;
    fprintf(stderr, "%lld parameters, vocabulary %d\n", (long long)lmw_trainer_n_param(r->trainer),
            lmw_tok_n_vocab(r->tok));
    return open_log(r, err);
}

static void close_run(struct run *r)
{
    if (r->log)
        fclose(r->log);
    lmw_trainer_close(r->trainer);
    lmw_train_data_free(r->eval);
    lmw_train_data_free(r->data);
    lmw_tok_free(r->tok);
    lmw_corpus_free(r->eval_corpus);
    lmw_corpus_free(r->corpus);
    lmw_gguf_close(r->init);
}

/* ---- running ---- */

/* 0 at the start, 1 when the steps or the minutes are over. */
static double progress(const struct run *r)
{
    const struct lmw_train_state *s = lmw_trainer_state(r->trainer);
    double by_step = r->o->steps ? (double)s->step / (double)r->o->steps : 0;
    double by_time = r->o->minutes > 0 ? (double)s->elapsed_ns / (r->o->minutes * 60e9) : 0;
    return fmax(by_step, by_time);
}

static int save(struct run *r, struct lmw_err *err)
{
    const struct lmw_train_meta meta = {r->o->name, lmw_str_from(r->o->chat_template)};
    int rc = lmw_trainer_save(r->trainer, r->checkpoint, err);
    return rc < 0 ? rc : lmw_trainer_export(r->trainer, r->tok, &meta, r->o->out, err);
}

static int evaluate(struct run *r, struct lmw_err *err)
{
    int rc = lmw_trainer_eval(r->trainer, r->eval, 1, &r->eval_loss, err);
    return rc < 0 ? lmw_wrap(err, "%s", r->o->eval) : rc;
}

static int write_log(struct run *r, const struct lmw_train_stat *stat, bool evaluated,
                     struct lmw_err *err)
{
    const struct lmw_train_state *s = lmw_trainer_state(r->trainer);
    fprintf(r->log, "%lld,%lld,%.6f,%.6g,%.4f,%.0f,", (long long)s->step, (long long)s->n_tok,
            r->loss_sum / (double)r->n_sum, stat->lr, stat->grad_norm, r->tok_per_s);
    if (evaluated)
        fprintf(r->log, "%.6f", r->eval_loss);
    fputc('\n', r->log);
    return fflush(r->log) == 0 ? LMW_OK : lmw_fail_errno(err, "%s", r->o->log);
}

static void show(const struct run *r, const struct lmw_train_stat *stat)
{
    const struct lmw_train_state *s = lmw_trainer_state(r->trainer);
    char eval[32] = "";
    if (!isnan(r->eval_loss))
        snprintf(eval, sizeof eval, " eval %.4f", r->eval_loss);
    cli_progress("%3.0f %% step %lld loss %.4f%s lr %.2g %.0f tok/s %.1f GFLOP/s",
                 100 * fmin(progress(r), 1), (long long)s->step, stat->loss, eval, stat->lr,
                 r->tok_per_s, r->tok_per_s * lmw_trainer_flops_per_token(r->trainer) * 1e-9);
}

static bool is_due(int64_t step, int64_t every, bool over)
{
    return over || step % every == 0;
}

/* One step and what is due after it. */
static int advance(struct run *r, struct lmw_err *err)
{
    const struct train *o = r->o;
    struct lmw_train_stat stat;
    int rc = lmw_trainer_step(r->trainer, progress(r), &stat, err);
    if (rc < 0)
        return rc;
    const int64_t step = lmw_trainer_state(r->trainer)->step;
    const bool over = stop || progress(r) >= 1;
    r->loss_sum += stat.loss;
    r->n_sum++;
    r->n_tok += stat.n_tok;
    r->t_ns += stat.t_ns;
    r->tok_per_s = (double)r->n_tok * 1e9 / (double)r->t_ns;
    const bool eval_now = r->eval && is_due(step, o->eval_every, over);
    if (eval_now && (rc = evaluate(r, err)) < 0)
        return rc;
    show(r, &stat);
    if (r->log && (eval_now || is_due(step, o->log_every, over)) &&
        (rc = write_log(r, &stat, eval_now, err)) < 0)
        return rc;
    if (eval_now || is_due(step, o->log_every, over))
        r->n_sum = r->n_tok = r->t_ns = 0, r->loss_sum = 0;
    return is_due(step, o->save_every, over) ? save(r, err) : LMW_OK;
}

static json_t *loss_json(double loss)
{
    return isfinite(loss) ? json_real(loss) : json_null();
}

static int print_json(const struct run *r)
{
    const struct lmw_train_state *s = lmw_trainer_state(r->trainer);
    return cli_json_print(
        json_pack("{s:s, s:s, s:b, s:I, s:i, s:I, s:I, s:f, s:o, s:o}", "model", r->o->out,
                  "checkpoint", r->checkpoint, "interrupted", (int)stop, "params",
                  (json_int_t)lmw_trainer_n_param(r->trainer), "n_vocab", lmw_tok_n_vocab(r->tok),
                  "steps", (json_int_t)s->step, "tokens", (json_int_t)s->n_tok, "seconds",
                  (double)s->elapsed_ns * 1e-9, "loss", loss_json(s->step ? s->loss : (double)NAN),
                  "eval_loss", loss_json(r->eval_loss)));
}

static void print_text(const struct run *r)
{
    const struct lmw_train_state *s = lmw_trainer_state(r->trainer);
    fprintf(stderr, "%s%s: %lld steps, %lld tokens in %.0f s", stop ? "interrupted; " : "",
            r->o->out, (long long)s->step, (long long)s->n_tok, (double)s->elapsed_ns * 1e-9);
    if (s->step)
        fprintf(stderr, ", loss %.4f", s->loss);
    fputc('\n', stderr);
    if (stop)
        fprintf(stderr, "go on with --resume %s\n", r->checkpoint);
}

static int run_steps(struct run *r, struct lmw_err *err)
{
    while (!stop && progress(r) < 1) {
        int rc = advance(r, err);
        if (rc < 0)
            return rc;
    }
    cli_progress_end();
    return LMW_OK;
}

int cmd_train(int argc, char **argv)
{
    struct train o = defaults();
    struct strs pos = {0};
    int rc = parse(&o, &pos, argc, argv);
    if (rc >= 0 || (rc = check(&o, &pos, argv[0])) >= 0)
        return rc;
    /* The first interrupt is a request, the second one kills. */
    const struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct run r = {.o = &o, .opts = o.opts};
    struct lmw_err err;
    rc = open_run(&r, &err);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    if (rc == LMW_OK)
        rc = run_steps(&r, &err);
    if (rc < 0)
        rc = cli_fail(&err);
    else if (o.is_json)
        rc = print_json(&r);
    else
        print_text(&r);
    close_run(&r);
    return rc;
}
