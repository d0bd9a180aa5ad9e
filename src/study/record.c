/* A reply becomes a record: what was asked, what came back, its times, score and joules, in one
 * transaction. Runs after the query's last mark.
 *
 * In open loop a query's times count from when it was due, its joules from when it was begun:
 * t_start_ns is the former, `wait_ns` in extra lies between the two. */
#include "base/clock.h"
#include "study/run.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put_asked(const struct job *j, struct lmw_record *r, const struct slot *s,
                      const char *date)
{
    const struct lmw_backend_info *info = lmw_backend_info(j->backend);
    r->run = j->plan->name;
    r->workload = r->workload ? r->workload : j->plan->workload_name;
    r->repeat = s->repeat;
    r->model = info->name[0] ? info->name : j->plan->model_name;
    r->quantization = info->quantization[0] ? info->quantization : NULL;
    r->params = info->n_param;
    r->active_params = info->n_param_active;
    r->backend = j->opts->backend->name;
    r->machine = j->st->machine;
    r->date = date;
    r->settings_hash = j->plan->settings_hash;
}

static int64_t minus(int64_t a, int64_t b)
{
    return a == LMW_NULL || b == LMW_NULL ? LMW_NULL : a - b;
}

static void put_reply(struct job *j, struct lmw_record *r, const struct slot *s)
{
    const struct lmw_reply *a = &s->reply;
    int64_t start_ns = s->due_ns == LMW_NULL ? a->t_start_ns : s->due_ns;
    r->prompt_tokens = a->n_prompt;
    r->cached_tokens = a->n_cached;
    r->reasoning_tokens = a->n_reasoning;
    r->completion_tokens = a->n_answer;
    r->attempts = a->n_attempt;
    r->t_start_ns = start_ns;
    r->ttft_ns = minus(a->t_first_ns, start_ns);
    r->latency_ns = a->t_end_ns - start_ns;
    r->itl_p50_ns = a->itl_p50_ns;
    r->itl_p90_ns = a->itl_p90_ns;
    r->itl_p99_ns = a->itl_p99_ns;
    r->logprob_mean = a->logprob_mean;
    r->entropy_mean = a->entropy_mean;
    if (!j->opts->backend->model_is_name) /* else the model is in another process */
        r->memory_bytes = lmw_rss_bytes(false);
    if (r->memory_bytes > j->rss_max)
        j->rss_max = r->memory_bytes;
    /* 2 floating-point operations a weight and token, attention not counted */
    if (r->active_params != LMW_NULL && a->n_prompt != LMW_NULL && a->n_answer != LMW_NULL)
        r->flops = 2.0 * (double)r->active_params * (double)(a->n_prompt + a->n_answer);
}

/* What its tokens come to, where their price is known; `by` says which list it is from. */
static void put_cost(const struct job *j, struct lmw_record *r, const char **by)
{
    const struct lmw_price_list *prices = j->st->prices;
    *by = "";
    if (!prices || !isnan(r->cost_usd))
        return;
    r->cost_usd = lmw_price_list_cost(prices, r);
    if (!isnan(r->cost_usd))
        *by = lmw_price_list_origin(prices);
}

/* How likely the right answer was. It is no query's cost: the last mark is behind it. */
static void put_perplexity(struct job *j, struct lmw_record *r)
{
    if (j->opts->perplexity && r->reference)
        lmw_backend_perplexity(j->backend, lmw_str_from(r->prompt), lmw_str_from(r->reference),
                               &r->perplexity, NULL);
}

/* How the devices that are metered are: the hottest one's temperature, and what holds any of them
 * back, into reasons[]. */
static void put_devices(struct job *j, struct lmw_record *r, char *reasons, size_t cap)
{
    reasons[0] = 0;
    for (int i = 0; i < lmw_meter_n_source(j->st->meter); i++) {
        struct lmw_device d;
        if (!lmw_meter_source(j->st->meter, i)->chosen ||
            lmw_meter_device(j->st->meter, i, &d, NULL) < 0)
            continue;
        if (d.temperature_mc != LMW_NULL &&
            (r->temperature_mc == LMW_NULL || d.temperature_mc > r->temperature_mc))
            r->temperature_mc = d.temperature_mc;
        if (d.throttled == 1 && !reasons[0])
            snprintf(reasons, cap, "%s", d.throttle[0] ? d.throttle : "yes");
    }
}

static void put_score(struct job *j, struct lmw_record *r, struct lmw_score *score)
{
    const struct lmw_scorer *scorer = lmw_plan_scorer(j->plan, r);
    *score = (struct lmw_score){.value = (double)NAN, .fields_right = (double)NAN};
    if (!scorer)
        return;
    r->scorer = scorer->name;
    if (r->answer)
        lmw_score(scorer, r->answer, r->reference, r->choices, score);
    else
        snprintf(score->reason, sizeof score->reason, "no answer");
    r->score = score->value;
    r->score_reason = score->reason[0] ? score->reason : NULL;
    if (!isnan(score->value)) {
        j->n_scored++;
        j->sum_score += score->value;
    }
}

static void put_text(json_t *o, const char *key, const char *text)
{
    if (text[0])
        json_object_set_new(o, key, json_string(text));
}

static void put_whole(json_t *o, const char *key, int64_t v)
{
    if (v != LMW_NULL)
        json_object_set_new(o, key, json_integer(v));
}

/* The tries of a query that took more than one. */
static void put_attempts(json_t *extra, const struct lmw_reply *a)
{
    int n = a->n_attempt < LMW_N_ATTEMPT ? a->n_attempt : LMW_N_ATTEMPT;
    json_t *list = n > 1 ? json_array() : NULL;
    for (int i = 0; list && i < n; i++)
        json_array_append_new(list, json_pack("{s:I, s:I, s:i}", "t_start_ns",
                                              (json_int_t)a->attempt[i].t_start_ns, "t_end_ns",
                                              (json_int_t)a->attempt[i].t_end_ns, "status",
                                              a->attempt[i].status));
    if (list)
        json_object_set_new(extra, "tries", list);
}

/* The workload's own extra fields, and what the table of columns has no place for. malloc; NULL
 * when memory is out. */
static char *make_extra(const struct job *j, const struct slot *s, const struct lmw_record *r,
                        const struct lmw_score *score, const char *throttled,
                        const char *priced_by)
{
    const struct lmw_backend_info *info = lmw_backend_info(j->backend);
    const struct lmw_reply *a = &s->reply;
    json_t *extra = r->extra ? json_loads(r->extra, 0, NULL) : NULL;
    extra = extra ? extra : json_object();
    put_text(extra, "level", info->level);
    if (info->n_thread > 0)
        json_object_set_new(extra, "threads", json_integer(info->n_thread));
    if (!r->error)
        put_text(extra, "finish", a->finish);
    if (!isnan(score->fields_right))
        json_object_set_new(extra, "fields_right", json_real(score->fields_right));
    put_text(extra, "throttled", throttled);
    put_text(extra, "priced_by", priced_by);
    put_text(extra, "answered_as", a->model);
    put_text(extra, "note", a->note);
    put_attempts(extra, a);
    if (a->n_chunk != a->n_answer)
        put_whole(extra, "chunks", a->n_chunk);
    if (a->n_logprob != a->n_answer)
        put_whole(extra, "logprob_tokens", a->n_logprob);
    put_whole(extra, "server_load_ns", a->server_load_ns);
    put_whole(extra, "server_prefill_ns", a->server_prefill_ns);
    put_whole(extra, "server_decode_ns", a->server_decode_ns);
    if (s->due_ns != LMW_NULL)
        put_whole(extra, "wait_ns", a->t_start_ns - s->due_ns);
    char *text = json_dumps(extra, JSON_COMPACT);
    json_decref(extra);
    return text;
}

static void count_answer(struct job *j, const struct slot *s, const struct lmw_record *r)
{
    struct lmw_study_run *result = j->result;
    result->n_done++;
    if (r->error && result->n_error++ == 0)
        snprintf(result->first_error, sizeof result->first_error, "%s", r->error);
    if (!r->error && r->completion_tokens != LMW_NULL) {
        j->answer_tok += r->completion_tokens;
        j->answer_ns += r->latency_ns;
    }
}

int lmw_record_reply(struct job *j, struct slot *s, struct lmw_err *err)
{
    const struct lmw_reply *a = &s->reply;
    struct lmw_span span = {a->t_start_ns, a->t_first_ns, a->t_end_ns};
    struct lmw_record r = s->query;
    struct lmw_score score;
    char date[32], throttled[96];
    const char *priced_by;
    lmw_date_iso(date);
    put_asked(j, &r, s, date);
    put_reply(j, &r, s);
    put_cost(j, &r, &priced_by);
    r.error = a->rc < 0 ? a->err.msg : NULL;
    j->text.len = 0;
    lmw_buf_utf8(&j->text, (lmw_str){a->text.ptr, a->text.len});
    lmw_buf_str(&j->text, "");
    r.answer = r.error ? NULL : j->text.ptr;
    put_score(j, &r, &score);
    put_perplexity(j, &r);
    put_devices(j, &r, throttled, sizeof throttled);
    int rc = lmw_energy_fill(&j->book, &r, &span, err);
    if (rc < 0)
        return rc;
    char *extra = make_extra(j, s, &r, &score, throttled, priced_by);
    r.extra = extra ? extra : r.extra;
    if ((rc = lmw_store_add(j->st->store, j->run.id, &r, err)) == LMW_OK)
        count_answer(j, s, &r);
    free(extra);
    return rc;
}
