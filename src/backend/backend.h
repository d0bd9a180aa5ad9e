/* DOOR. A backend: something that answers prompts. One vtable: embedded (the engine in this
 * process), openai and ollama (servers), command (any program).
 *
 *     lmw_backend_find("embedded", &ops, &err);
 *     lmw_backend_open(&b, ops, &opts, &err);       also the health check
 *     lmw_backend_answer(b, &request, &reply, &err);
 *     lmw_backend_close(b);
 *
 * or, with several in flight, send as many as it takes and wait for whichever is complete:
 *
 *     lmw_backend_send(b, &request[i], &reply[i], &err);
 *     lmw_backend_wait(b, until_ns, &done, &err);
 *
 * A backend knows nothing of meters: it asks the request's clock for the time at three moments,
 * and a study's clock is the meter's mark, so the times of a reply are the edges of its joules.
 *
 * Threads: one backend, one thread at a time. */
#ifndef LMW_BACKEND_BACKEND_H
#define LMW_BACKEND_BACKEND_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lmw_thinking { LMW_THINKING_DEFAULT, LMW_THINKING_ON, LMW_THINKING_OFF };

struct lmw_backend_opts {
    const char *model; /* a file for embedded, a name for a server, a label for a program */
    int n_thread;      /* <= 0: one per processor */
    uint32_t cpu_mask; /* from lmw_cpu_mask() */
    int n_ctx;         /* tokens of prompt and answer; <= 0: the model's own, at most 4096 */
    int max_tokens;    /* no request will ask for more */
    bool raw;          /* prompts go to the model as they are, not through its chat template */
    int n_in_flight;   /* how many will be sent at once; <= 1: one */
    /* Of servers and programs; NULL, 0: each backend's own default. */
    const char *url;         /* of a server: "http://127.0.0.1:8080" */
    const char *api_key_env; /* the environment variable that holds the key; never stored */
    const char *command;     /* of a program: run by /bin/sh, prompt on stdin, answer on stdout */
    const char *system;      /* a system message in front of each prompt */
    const char *body; /* a JSON object merged into each request, for a server's own settings */
    bool unlisted;    /* a server takes the model, though its list of models lacks it */
    enum lmw_thinking thinking;
    bool logprobs; /* ask a server for its tokens' log-probabilities; embedded tells them anyway */
    int64_t connect_ns, first_token_ns, total_ns; /* time-outs of one try */
    int n_retry;                                  /* after the first try; < 0: none */
};

struct lmw_backend_info {
    char name[64], arch[32], quantization[16], level[16]; /* "" where not known */
    int n_thread, n_ctx;
    int n_embd; /* of lmw_backend_embed(); 0: it knows no embeddings */
    int64_t n_param, n_param_active, file_bytes; /* LMW_NULL where not known */
    char elsewhere[48]; /* the address of the other machine it runs on; "": on this one */
};

/* What time it is: ns, monotonic. now NULL: lmw_now_ns(). */
struct lmw_request_clock {
    int64_t (*now)(void *arg);
    void *arg;
};

struct lmw_request {
    lmw_str prompt;
    int max_tokens;
    float temperature, top_p, min_p; /* as in struct lmw_sampler */
    int top_k;
    uint64_t seed;
    struct lmw_request_clock clock;
};

/* One try of a request; status is HTTP's, 0 where there was no answer. */
struct lmw_attempt {
    int64_t t_start_ns, t_end_ns;
    int status;
};
enum { LMW_N_ATTEMPT = 8 };

struct lmw_reply {
    /* The caller's, and its to free; emptied at the start, their memory reused. */
    struct lmw_buf text, reasoning; /* what it answered, and what it thought before */
    char finish[24]; /* "stop": the model ended it; "length": cut off; a server's other word; "" */
    /* Tokens; LMW_NULL where not known. n_answer is all it wrote, the n_reasoning among them. A
     * server's counts are its own: most count the end token, which embedded does not. */
    int64_t n_prompt, n_cached, n_reasoning, n_answer;
    int n_attempt;                             /* how often it was tried, from 1 */
    struct lmw_attempt attempt[LMW_N_ATTEMPT]; /* [n_attempt]: the first ones, and the last */
    /* Read from the request's clock; of the last attempt. t_first_ns is LMW_NULL when no token
     * came. */
    int64_t t_start_ns, t_first_ns, t_end_ns;
    int64_t itl_p50_ns, itl_p90_ns, itl_p99_ns; /* between tokens; LMW_NULL with fewer than two */
    /* The pieces it came in, where those were timed and need not be tokens; else LMW_NULL. Where
     * it differs from the tokens, the times above are between pieces. */
    int64_t n_chunk;
    /* Means over the tokens it wrote, nats; NaN where not told. embedded: of the model's own
     * softmax, at temperature 1. n_logprob: of how many tokens a server told it; LMW_NULL: of
     * all. */
    double logprob_mean, entropy_mean;
    int64_t n_logprob;
    int64_t server_load_ns, server_prefill_ns, server_decode_ns; /* its own word; LMW_NULL */
    char model[96]; /* the name the server says it answered as; "" */
    char note[128]; /* what else must be known of it, for people; "" */
    /* Of one that was sent: as lmw_backend_answer() would return, with err. LMW_EUNAVAILABLE:
     * nobody is there any more, which is no fault of this request. */
    int rc;
    struct lmw_err err;
};

/* What a backend is made of; for tests too. info, answer and send see every field of *out cleared.
 * One without send and wait answers what is sent when it is waited for; one without answer sends
 * and waits. */
struct lmw_backend_ops {
    const char *name;
    bool model_is_name; /* opts.model is no file */
    bool has_logprobs;  /* opts.logprobs is for it */
    int (*open)(void **state, const struct lmw_backend_opts *opts, struct lmw_err *err);
    void (*info)(void *state, struct lmw_backend_info *out);
    int (*answer)(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                  struct lmw_err *err);
    int (*send)(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                struct lmw_err *err);
    int (*wait)(void *state, int64_t until_ns, struct lmw_reply **done, struct lmw_err *err);
    /* NULL: a backend that cannot say. */
    int (*perplexity)(void *state, lmw_str prompt, lmw_str answer, double *ppl,
                      struct lmw_err *err);
    int (*embed)(void *state, lmw_str prompt, float *out, struct lmw_err *err); /* NULL likewise */
    void (*close)(void *state);
};

/* LMW_EARG for a name nobody knows. */
int lmw_backend_find(const char *name, const struct lmw_backend_ops **out, struct lmw_err *err);

/* The first option that is given and would not be looked at, as a command line spells it ("url");
 * NULL: there is none. */
const char *lmw_backend_misfit(const struct lmw_backend_ops *ops,
                               const struct lmw_backend_opts *opts);

struct lmw_backend;
int lmw_backend_open(struct lmw_backend **out, const struct lmw_backend_ops *ops,
                     const struct lmw_backend_opts *opts, struct lmw_err *err);
void lmw_backend_close(struct lmw_backend *b);
const struct lmw_backend_info *lmw_backend_info(const struct lmw_backend *b);
/* One answer, from nothing: no request sees what another left. An error concerns this request
 * only; t_start_ns and t_end_ns are set then too. */
int lmw_backend_answer(struct lmw_backend *b, const struct lmw_request *request,
                       struct lmw_reply *reply, struct lmw_err *err);

/* Begins one and returns: request, reply and the prompt's text must stay until the reply is handed
 * back. An error: it was not begun. */
int lmw_backend_send(struct lmw_backend *b, const struct lmw_request *request,
                     struct lmw_reply *reply, struct lmw_err *err);
/* Lets what is in flight go on until one is complete or it is until_ns (lmw_now_ns(); in the past:
 * only looks). 1: *done is that reply, its rc and err say how it went; 0: none yet, or none in
 * flight; negative: the backend is broken, and what is in flight will not come back. */
int lmw_backend_wait(struct lmw_backend *b, int64_t until_ns, struct lmw_reply **done,
                     struct lmw_err *err);

/* exp(mean negative log-likelihood) of the answer's tokens given the prompt, its end token not
 * counted. LMW_EUNSUPPORTED where a backend has no logits. */
int lmw_backend_perplexity(struct lmw_backend *b, lmw_str prompt, lmw_str answer, double *ppl,
                           struct lmw_err *err);

/* What the model makes of a prompt, as it is asked (through the chat template), as a vector of
 * length 1; out [info->n_embd]. An error concerns this prompt only. LMW_EUNSUPPORTED: see info. */
int lmw_backend_embed(struct lmw_backend *b, lmw_str prompt, float *out, struct lmw_err *err);

/* For backends: the request's clock, and a reply as it is before anything came. */
int64_t lmw_request_now(const struct lmw_request *r);
void lmw_reply_clear(struct lmw_reply *reply);

#endif
