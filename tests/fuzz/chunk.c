/* The body of a server's answer, any bytes: the first one says of which kind (o: openai, l:
 * ollama). Whole or in pieces it comes to the same, and what it comes to keeps the promises of a
 * reply: counts are counts or null, no part is larger than its whole, times are in order. */
#include "backend/remote.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t tick(void *arg)
{
    return ++*(int64_t *)arg;
}

static void check_count(int64_t n, int64_t whole)
{
    if (n != LMW_NULL && (n < 0 || (whole != LMW_NULL && n > whole)))
        abort();
}

static void check(const struct lmw_reply *r, int rc)
{
    check_count(r->n_prompt, LMW_NULL);
    check_count(r->n_answer, LMW_NULL);
    check_count(r->n_cached, r->n_prompt);
    check_count(r->n_reasoning, r->n_answer);
    check_count(r->server_prefill_ns, LMW_NULL);
    check_count(r->server_decode_ns, LMW_NULL);
    if (r->t_first_ns != LMW_NULL && r->t_first_ns <= r->t_start_ns)
        abort();
    if (rc == LMW_OK && r->t_end_ns <= r->t_start_ns)
        abort();
    if ((r->n_chunk == LMW_NULL) != (r->t_first_ns == LMW_NULL))
        abort();
    if (!memchr(r->finish, 0, sizeof r->finish) || !memchr(r->model, 0, sizeof r->model))
        abort();
}

static int read_body(const struct lmw_format *format, const uint8_t *data, size_t size,
                     size_t piece, struct lmw_reply *reply)
{
    int64_t clock = 0;
    struct lmw_remote remote = {.format = format};
    struct lmw_request request = {.prompt = {"q", 1}, .clock = {tick, &clock}};
    struct lmw_question q = {.remote = &remote,
                             .request = &request,
                             .reply = reply,
                             .call = {.url = "http://fuzz", .n_attempt = 1}};
    struct lmw_err err;
    int rc = LMW_OK;
    lmw_question_reader.begin(&q);
    for (size_t at = 0; at < size && rc == LMW_OK; at += piece) {
        size_t n = at + piece < size ? piece : size - at;
        char *own = malloc(n);
        memcpy(own, data + at, n);
        rc = lmw_question_reader.data(&q, (lmw_str){own, n}, &err);
        free(own);
    }
    if (rc == LMW_OK)
        rc = lmw_question_reader.end(&q, &err);
    check(reply, rc);
    lmw_question_free(&q);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1 << 16)
        return 0;
    const struct lmw_format *format = data[0] == 'l' ? &lmw_format_ollama : &lmw_format_openai;
    struct lmw_reply whole = {0}, cut = {0};
    int a = read_body(format, data + 1, size - 1, size, &whole);
    int b = read_body(format, data + 1, size - 1, 1 + data[size / 2] % 5, &cut);
    if (a != b || whole.text.len != cut.text.len || whole.n_answer != cut.n_answer ||
        (whole.text.len && memcmp(whole.text.ptr, cut.text.ptr, cut.text.len) != 0))
        abort();
    lmw_buf_free(&whole.text);
    lmw_buf_free(&whole.reasoning);
    lmw_buf_free(&cut.text);
    lmw_buf_free(&cut.reasoning);
    return 0;
}
