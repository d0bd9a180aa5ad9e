/* See wire.h. What is not what it should be is not known: never 0, never an error. */
#include "backend/wire.h"

#include <stdio.h>
#include <stdlib.h>

int64_t lmw_wire_count(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : LMW_NULL;
}

int64_t lmw_wire_ns(const json_t *object, const char *key, double unit_ns)
{
    const json_t *v = json_object_get(object, key);
    double ns = json_number_value(v) * unit_ns;
    return json_is_number(v) && ns >= 0 && ns < 9e18 ? (int64_t)ns : LMW_NULL;
}

int64_t lmw_wire_either(int64_t a, int64_t b)
{
    return a != LMW_NULL ? a : b;
}

int64_t lmw_wire_part(int64_t part, int64_t whole)
{
    return part != LMW_NULL && whole != LMW_NULL && part > whole ? LMW_NULL : part;
}

const char *lmw_wire_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

void lmw_wire_error(const json_t *error, char *out, size_t cap)
{
    static const char *const keys[] = {"error", "message", "detail"};
    if (json_is_array(error)) /* Gemini's is in a list */
        error = json_array_get(error, 0);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *inner = json_object_get(error, keys[i]);
        error = inner && !json_is_null(inner) ? inner : error;
    }
    char *dump = json_is_string(error) ? NULL : json_dumps(error, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *text = dump ? dump : json_string_value(error);
    snprintf(out, cap, "%s", text ? text : "");
    free(dump);
}

void lmw_wire_message(lmw_str body, char *out, size_t cap)
{
    json_t *j = json_loadb(body.ptr, body.len, 0, NULL);
    body = lmw_str_trim(body);
    if (j)
        lmw_wire_error(j, out, cap);
    else
        snprintf(out, cap, "%.*s", body.len < 200 ? (int)body.len : 200, body.ptr);
    json_decref(j);
}

/* The words of vLLM, OpenAI and SGLang, of llama-server, of TensorRT-LLM; and of the filters of
 * Azure, OpenAI, OpenRouter, DashScope and DeepSeek. */
bool lmw_wire_blames_question(const char *message)
{
    static const char *const words[] = {
        "context length",     "context size",   "context window", "max_seq_len",
        "max_num_tokens",     "content filter", "content policy", "content management policy",
        "usage polic",        "safety system",  "flagged",        "inappropriate content",
        "content exists risk"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(message, words[i]))
            return true;
    return false;
}

json_t *lmw_wire_real(float v)
{
    char text[32];
    snprintf(text, sizeof text, "%.6g", (double)v);
    return json_real(strtod(text, NULL));
}

json_t *lmw_wire_messages(const char *system, lmw_str prompt)
{
    json_t *list = json_array();
    if (system)
        json_array_append_new(list, json_pack("{s:s, s:s}", "role", "system", "content", system));
    json_t *user = json_pack("{s:s, s:s%}", "role", "user", "content", prompt.ptr, prompt.len);
    if (user && json_array_append_new(list, user) == 0)
        return list;
    json_decref(list);
    return NULL;
}
