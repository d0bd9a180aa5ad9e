/* One question in flight: writes its body, and reads what comes back into the reply.
 *
 * How an answer is framed is seen from its first byte, not from its Content-Type, which servers
 * get wrong: `{` is JSON, a field name or a colon an event stream, `<` somebody's web page. A
 * server that was asked to stream and answers with one object is taken; the time of its first
 * token is not known then.
 *
 * Times: start, first piece and end are read from the request's clock, the gaps between pieces
 * from the plain one. Pieces that arrive together count as apart by nothing. Kept are at most
 * 16 MB of text, 16 MB of one object, and the first million gaps; more text is an error. */
#include "backend/remote.h"
#include "base/clock.h"
#include "base/stat.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX  ((size_t)16 << 20)
#define WHOLE_MAX ((size_t)16 << 20)
#define GAPS_MAX  ((size_t)1 << 20)

/* --- what formats call --- */

void lmw_question_note(struct lmw_question *q, const char *note)
{
    struct lmw_reply *r = q->reply;
    if (!r->note[0])
        snprintf(r->note, sizeof r->note, "%s", note);
}

void lmw_question_finish(struct lmw_question *q)
{
    if (q->reply->t_end_ns == LMW_NULL)
        q->reply->t_end_ns = lmw_request_now(q->request);
    q->call.complete = true;
}

static void note_gap(struct lmw_question *q, int64_t now)
{
    if (q->n_gap == q->cap_gap && q->cap_gap < GAPS_MAX) {
        size_t cap = q->cap_gap ? 2 * q->cap_gap : 256;
        double *more = realloc(q->gaps_ns, cap * sizeof *more);
        if (more) {
            q->gaps_ns = more;
            q->cap_gap = cap;
        }
    }
    if (q->n_gap < q->cap_gap)
        q->gaps_ns[q->n_gap++] = (double)(now - q->last_ns);
}

static void time_piece(struct lmw_question *q)
{
    struct lmw_reply *r = q->reply;
    int64_t now = lmw_now_ns();
    if (r->t_first_ns == LMW_NULL) {
        r->t_first_ns = lmw_request_now(q->request);
        r->n_chunk = 1;
        q->call.begun = true;
    } else {
        note_gap(q, now);
        r->n_chunk++;
    }
    q->last_ns = now;
}

int lmw_question_text(struct lmw_question *q, const json_t *text, bool is_reasoning,
                      struct lmw_err *err)
{
    struct lmw_reply *r = q->reply;
    struct lmw_buf *out = is_reasoning ? &r->reasoning : &r->text;
    if (!text || json_is_null(text))
        return LMW_OK;
    if (!json_is_string(text))
        return lmw_fail(err, LMW_EFORMAT, "a piece of its answer is no text");
    size_t n = json_string_length(text);
    if (n == 0)
        return LMW_OK;
    if (r->text.len + r->reasoning.len + n > TEXT_MAX)
        return lmw_fail(err, LMW_EFORMAT, "the answer is over %zu MB long: it was cut off",
                        TEXT_MAX >> 20);
    if (q->framing != FRAMING_WHOLE)
        time_piece(q);
    lmw_buf_put(out, json_string_value(text), n);
    return out->failed ? lmw_fail(err, LMW_ENOMEM, "no memory for an answer") : LMW_OK;
}

/* OpenAI writes -9999 for "very unlikely", which is no number to take means of; rounding may leave
 * a hair over 0. */
static double logprob_of(const json_t *v)
{
    double x = json_number_value(v);
    return json_is_number(v) && x > -1000 && x < 1e-3 ? x : (double)NAN;
}

void lmw_question_logprobs(struct lmw_question *q, const json_t *list)
{
    const json_t *entry;
    size_t i;
    if (list && !json_is_null(list) && !json_is_array(list))
        q->logprob_sum = (double)NAN;
    json_array_foreach(list, i, entry)
    {
        const json_t *v = json_is_object(entry) ? json_object_get(entry, "logprob") : entry;
        if (!v || json_is_null(v))
            continue;
        q->logprob_sum += logprob_of(v);
        q->n_logprob++;
    }
}

/* --- the request --- */

int lmw_question_write(struct lmw_question *q, struct lmw_err *err)
{
    struct lmw_remote *r = q->remote;
    json_t *ask = r->format->ask(r, q->request);
    if (ask && r->body)
        json_object_update_recursive(ask, r->body);
    free(q->body);
    q->body = ask ? json_dumps(ask, JSON_COMPACT) : NULL;
    q->crutches = r->crutches;
    json_decref(ask);
    if (r->format->confess)
        r->format->confess(q);
    if (!q->body)
        return lmw_fail(err, LMW_EARG, "the prompt cannot be sent as JSON: is it UTF-8?");
    q->call.body = lmw_str_from(q->body);
    return LMW_OK;
}

/* --- what http.c calls --- */

static struct lmw_attempt *this_attempt(struct lmw_question *q)
{
    int i = q->call.n_attempt - 1;
    return &q->reply->attempt[i < LMW_N_ATTEMPT ? i : LMW_N_ATTEMPT - 1];
}

static void begin(void *arg)
{
    struct lmw_question *q = arg;
    struct lmw_reply *r = q->reply, before = *r;
    lmw_reply_clear(r);
    memcpy(r->attempt, before.attempt, sizeof r->attempt);
    memcpy(r->note, before.note, sizeof r->note);
    r->n_attempt = q->call.n_attempt;
    q->framing = FRAMING_UNKNOWN;
    q->closed = false;
    q->whole.len = q->n_gap = 0;
    q->logprob_sum = 0;
    q->n_logprob = 0;
    lmw_sse_reset(&q->sse);
    r->t_start_ns = lmw_request_now(q->request);
}

static void over(void *arg, int status)
{
    struct lmw_question *q = arg;
    struct lmw_reply *r = q->reply;
    if (r->t_end_ns == LMW_NULL)
        r->t_end_ns = lmw_request_now(q->request);
    *this_attempt(q) = (struct lmw_attempt){r->t_start_ns, r->t_end_ns, status};
}

/* Bytes that are no UTF-8 are no JSON, but some servers cut characters in two: those are worth an
 * answer with U+FFFD in it. */
static json_t *parse(lmw_str text, json_error_t *why)
{
    json_t *piece = json_loadb(text.ptr, text.len, JSON_ALLOW_NUL, why);
    if (piece || json_error_code(why) != json_error_invalid_utf8)
        return piece;
    struct lmw_buf clean = {0};
    lmw_buf_utf8(&clean, text);
    if (clean.ptr && !clean.failed)
        piece = json_loadb(clean.ptr, clean.len, JSON_ALLOW_NUL, why);
    lmw_buf_free(&clean);
    return piece;
}

static int read_piece(struct lmw_question *q, lmw_str text, struct lmw_err *err)
{
    json_error_t why;
    text = lmw_str_trim(text);
    if (text.len == 0 || q->closed)
        return LMW_OK;
    if (lmw_str_is(text, "[DONE]")) { /* an end with nothing before it is no answer */
        q->closed = true;
        if (q->reply->text.len + q->reply->reasoning.len > 0)
            lmw_question_finish(q);
        return LMW_OK;
    }
    json_t *piece = parse(text, &why);
    if (!piece)
        return lmw_fail(err, LMW_EFORMAT, "%s: its answer is malformed: %s", q->call.url,
                        why.text);
    int rc = json_is_object(piece)
                 ? q->remote->format->read(q, piece, err)
                 : lmw_fail(err, LMW_EFORMAT, "a piece of its answer is no JSON object");
    json_decref(piece);
    return rc < 0 ? lmw_wrap(err, "%s", q->call.url) : LMW_OK;
}

/* Which framing it is; blanks before it are taken. */
static int sniff(struct lmw_question *q, lmw_str *in, struct lmw_err *err)
{
    while (in->len && strchr(" \t\r\n\xef\xbb\xbf", in->ptr[0]) && in->ptr[0]) {
        in->ptr++;
        in->len--;
    }
    if (in->len == 0)
        return LMW_OK;
    bool lines = q->remote->format->lines;
    if (in->ptr[0] == '{')
        q->framing = lines ? FRAMING_LINES : FRAMING_WHOLE;
    else if (strchr(":deir", in->ptr[0]) && in->ptr[0] && !lines)
        q->framing = FRAMING_EVENTS;
    else
        return lmw_fail(err, LMW_EFORMAT, "%s: %s (%s): is the URL right?", q->call.url,
                        in->ptr[0] == '<' ? "answers with a web page"
                                          : "its answer is neither an event stream nor JSON",
                        q->call.content_type[0] ? q->call.content_type : "no Content-Type");
    return LMW_OK;
}

static int keep_whole(struct lmw_question *q, lmw_str in, struct lmw_err *err)
{
    if (q->whole.len + in.len > WHOLE_MAX)
        return lmw_fail(err, LMW_EFORMAT, "%s: its answer is over %zu MB long: it was cut off",
                        q->call.url, WHOLE_MAX >> 20);
    lmw_buf_put(&q->whole, in.ptr, in.len);
    return q->whole.failed ? lmw_fail(err, LMW_ENOMEM, "no memory for an answer") : LMW_OK;
}

static int data(void *arg, lmw_str in, struct lmw_err *err)
{
    struct lmw_question *q = arg;
    lmw_str piece;
    int rc = q->framing == FRAMING_UNKNOWN ? sniff(q, &in, err) : LMW_OK;
    if (q->framing == FRAMING_WHOLE)
        return keep_whole(q, in, err);
    while (rc >= 0 && in.len > 0) {
        rc = q->framing == FRAMING_EVENTS ? lmw_sse_next(&q->sse, &in, &piece, err)
                                          : lmw_lines_next(&q->sse.lines, &in, &piece, err);
        if (rc == 1)
            rc = read_piece(q, piece, err);
    }
    return rc;
}

static void summarise_logprobs(struct lmw_question *q)
{
    struct lmw_reply *r = q->reply;
    if (isnan(q->logprob_sum)) {
        lmw_question_note(q, "what the server says are log-probabilities are none: left out");
    } else if (q->n_logprob > 0) {
        r->logprob_mean = q->logprob_sum / (double)q->n_logprob;
        r->n_logprob = q->n_logprob;
    } else if (q->remote->logprobs) {
        lmw_question_note(q, "the server was asked for log-probabilities and told none");
    }
}

static void summarise_gaps(struct lmw_question *q)
{
    struct lmw_reply *r = q->reply;
    if (q->n_gap == 0)
        return;
    r->itl_p50_ns = (int64_t)lmw_quantile(q->gaps_ns, q->n_gap, 0.50);
    r->itl_p90_ns = (int64_t)lmw_quantile(q->gaps_ns, q->n_gap, 0.90);
    r->itl_p99_ns = (int64_t)lmw_quantile(q->gaps_ns, q->n_gap, 0.99);
}

static int end(void *arg, struct lmw_err *err)
{
    struct lmw_question *q = arg;
    lmw_str piece;
    int rc = 0;
    if (q->framing == FRAMING_WHOLE)
        rc = read_piece(q, (lmw_str){q->whole.ptr, q->whole.len}, err);
    else if (q->framing == FRAMING_EVENTS)
        rc = lmw_sse_end(&q->sse, &piece, err);
    else if (q->framing == FRAMING_LINES)
        rc = lmw_lines_end(&q->sse.lines, &piece);
    if (rc == 1)
        rc = read_piece(q, piece, err);
    if (rc < 0 && !q->call.complete)
        return rc;
    if (rc < 0)
        lmw_question_note(q, "the connection broke after the answer: its counts may be missing");
    if (q->framing == FRAMING_WHOLE) {
        lmw_question_note(q,
                          "the server did not stream: the time of the first token is not known");
        lmw_question_finish(q);
    }
    if (!q->call.complete)
        return lmw_fail(err, LMW_EIO, "%s: the stream ended before the answer did", q->call.url);
    summarise_gaps(q);
    summarise_logprobs(q);
    return LMW_OK;
}

static bool refused(void *arg, int status, lmw_str body, struct lmw_err *err)
{
    struct lmw_question *q = arg;
    struct lmw_remote *r = q->remote;
    char message[1000];
    q->call.rc = lmw_remote_refused(r, q->call.url, status, body, err);
    if ((status != 400 && status != 422) || !r->format->learn)
        return false;
    lmw_wire_message(body, message, sizeof message);
    r->crutches |= r->format->learn(message);
    if (r->crutches == q->crutches)
        return false;
    int rc = lmw_question_write(q, err);
    lmw_question_note(q, "the server refused a part of the request: asked again without");
    return rc == LMW_OK;
}

const struct lmw_http_reader lmw_question_reader = {begin, data, end, refused, over};

/* --- its end --- */

void lmw_question_complete(struct lmw_question *q)
{
    struct lmw_reply *r = q->reply;
    lmw_http_hide_key(q->remote->http, r->text.ptr, r->text.len);
    lmw_http_hide_key(q->remote->http, r->reasoning.ptr, r->reasoning.len);
    r->n_attempt = q->call.n_attempt;
    r->rc = q->call.rc;
    r->err = q->call.rc < 0 ? q->call.err : (struct lmw_err){0};
    free(q->body);
    q->body = NULL;
}

void lmw_question_free(struct lmw_question *q)
{
    lmw_sse_free(&q->sse);
    lmw_buf_free(&q->whole);
    free(q->gaps_ns);
    free(q->body);
}
