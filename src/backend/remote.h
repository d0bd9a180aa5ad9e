/* A model on a server: what the backends that speak HTTP share. A format says how a question is
 * written and an answer read; the rest is in remote.c (opening, in flight, attempts) and
 * question.c (framing, times, bounds). */
#ifndef LMW_BACKEND_REMOTE_H
#define LMW_BACKEND_REMOTE_H

#include "backend/backend.h"
#include "backend/http.h"
#include "backend/sse.h"
#include "backend/wire.h"

struct lmw_remote;
struct lmw_question;

struct lmw_format {
    const char *name;
    bool lines; /* an answer is a JSON object a line; else an event stream, or one object */
    /* Looks whether the server is there and has the model; fills base, url and info. */
    int (*open)(struct lmw_remote *r, const struct lmw_backend_opts *opts, struct lmw_err *err);
    /* The request's JSON, a new reference: the user's own settings are put over it. */
    json_t *(*ask)(const struct lmw_remote *r, const struct lmw_request *q);
    /* One object of an answer into the question's reply. LMW_EIO: worth another try. */
    int (*read)(struct lmw_question *q, const json_t *piece, struct lmw_err *err);
    /* From what a refusal says: which crutches (bits of its own) might help. NULL: none. */
    unsigned (*learn)(const char *refusal);
    /* Notes what the question's crutches make of its answer; NULL: nothing. */
    void (*confess)(struct lmw_question *q);
};

/* A prompt that was asked before, and its tokens then. */
struct lmw_seen {
    uint64_t hash;
    int64_t n_prompt;
};
enum { LMW_N_SEEN = 1024 };

struct lmw_remote {
    const struct lmw_format *format;
    char *model, *system, *key_env; /* NULL where not given */
    char base[512], url[576];
    json_t *body; /* the user's own settings; NULL */
    bool raw, logprobs, unlisted;
    enum lmw_thinking thinking;
    int max_tokens, n_ctx; /* n_ctx <= 0: the server's own */
    unsigned crutches;     /* what the server was found to need */
    struct lmw_backend_info info;
    struct lmw_seen seen[LMW_N_SEEN]; /* by hash; a later prompt takes another's place */
    struct lmw_http *http;
    struct lmw_question *questions; /* [n_question] */
    struct lmw_question **free;     /* [n_free] of them */
    int n_question, n_free;
};

/* One question in flight. */
struct lmw_question {
    struct lmw_http_call call;
    struct lmw_remote *remote;
    const struct lmw_request *request;
    struct lmw_reply *reply;
    char *body;        /* malloc */
    unsigned crutches; /* that the body was written with */
    enum { FRAMING_UNKNOWN, FRAMING_EVENTS, FRAMING_LINES, FRAMING_WHOLE } framing;
    bool closed;          /* the stream said that nothing comes any more */
    struct lmw_sse sse;   /* of events; of lines, its lines */
    struct lmw_buf whole; /* of a whole object */
    int64_t last_ns;      /* of the last piece */
    double *gaps_ns;      /* between pieces, [n_gap] */
    size_t n_gap, cap_gap;
    double logprob_sum; /* over n_logprob tokens; NaN: one of them was none */
    int64_t n_logprob;
};

extern const struct lmw_format lmw_format_openai, lmw_format_ollama;

/* What a vtable of such a backend needs beside its own open. */
int lmw_remote_open(void **state, const struct lmw_format *format,
                    const struct lmw_backend_opts *opts, struct lmw_err *err);
void lmw_remote_info(void *state, struct lmw_backend_info *out);
int lmw_remote_send(void *state, const struct lmw_request *request, struct lmw_reply *reply,
                    struct lmw_err *err);
int lmw_remote_wait(void *state, int64_t until_ns, struct lmw_reply **done, struct lmw_err *err);
void lmw_remote_close(void *state);

/* For formats, while opening. base = the URL without slashes at its end. */
int lmw_remote_base(struct lmw_remote *r, const char *url, struct lmw_err *err);
/* GET base + path, or POST where post is not NULL: the JSON that comes back, the caller's
 * reference. *status is what the server answered, 0 for nothing. */
int lmw_remote_fetch(struct lmw_remote *r, const char *path, const char *post, json_t **out,
                     int *status, struct lmw_err *err);
/* Says that the model is not in the list (whose objects are called by `key`), and what is; LMW_OK
 * where that was known before. */
int lmw_remote_no_model(const struct lmw_remote *r, const json_t *list, const char *key,
                        struct lmw_err *err);
/* What a refusal says, with what to do about it: LMW_EARG where the question is at fault,
 * LMW_EUNAVAILABLE where no question would be answered (no key, no credit), else LMW_EIO. */
int lmw_remote_refused(const struct lmw_remote *r, const char *url, int status, lmw_str body,
                       struct lmw_err *err);

/* For formats, while reading. A piece of the answer, or of the thought before it; null and
 * missing ones are none. */
int lmw_question_text(struct lmw_question *q, const json_t *text, bool is_reasoning,
                      struct lmw_err *err);
/* What a piece tells of its tokens: an array of log-probabilities, or of objects that have a
 * `logprob`; null and missing ones are not told. One that is none makes those of the whole answer
 * unknown. */
void lmw_question_logprobs(struct lmw_question *q, const json_t *list);
/* The model has said its last: the reply's end is now, and nothing that breaks later matters. */
void lmw_question_finish(struct lmw_question *q);
/* What must be known of this reply; the first note stays. */
void lmw_question_note(struct lmw_question *q, const char *note);

/* question.c, for remote.c. */
extern const struct lmw_http_reader lmw_question_reader;
int lmw_question_write(struct lmw_question *q,
                       struct lmw_err *err); /* its body, as the crutches are now */
void lmw_question_complete(struct lmw_question *q);
void lmw_question_free(struct lmw_question *q);

#endif
