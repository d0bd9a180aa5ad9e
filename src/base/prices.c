/* Token prices. See prices.h. Refused: what is no object of objects, a price that is no number or
 * under 0, a price under another name (a misspelt one would be free). */
#include "base/prices.h"

#include "base/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct lmw_price_list {
    json_t *models;
    char origin[128];
};

static int check_model(const char *model, const json_t *prices, struct lmw_err *err)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)prices, name, v)
    {
        if (strcmp(name, "prompt") != 0 && strcmp(name, "cached") != 0 &&
            strcmp(name, "completion") != 0)
            return lmw_fail(err, LMW_EFORMAT,
                            "model '%.100s' has a price '%.50s': there are prompt, cached and "
                            "completion, in dollars per million tokens",
                            model, name);
        if (!json_is_number(v) || json_number_value(v) < 0)
            return lmw_fail(err, LMW_EFORMAT, "model '%.100s': '%s' must be a number, 0 or more",
                            model, name);
    }
    return json_object_get(prices, "prompt") && json_object_get(prices, "completion")
               ? LMW_OK
               : lmw_fail(err, LMW_EFORMAT, "model '%.100s' needs prices of prompt and completion",
                          model);
}

static int check(const json_t *models, struct lmw_err *err)
{
    const char *model;
    json_t *prices;
    int rc = LMW_OK;
    if (!json_is_object(models))
        return lmw_fail(
            err, LMW_EFORMAT,
            "not JSON of the form {\"MODEL\": {\"prompt\": USD, \"completion\": USD}}");
    json_object_foreach((json_t *)models, model, prices)
    {
        if ((rc = check_model(model, prices, err)) < 0)
            break;
    }
    return rc;
}

int lmw_price_list_open(struct lmw_price_list **out, const char *path, struct lmw_err *err)
{
    struct lmw_buf text = {0};
    int rc = lmw_file_read(path, (size_t)16 << 20, &text, err);
    *out = NULL;
    if (rc < 0)
        return rc;
    struct lmw_price_list *list = calloc(1, sizeof *list);
    if (list) {
        lmw_str bytes = {text.ptr ? text.ptr : "", text.len};
        const char *slash = strrchr(path, '/');
        snprintf(list->origin, sizeof list->origin, "%.100s %016" PRIx64, slash ? slash + 1 : path,
                 lmw_str_hash(bytes));
        list->models = json_loadb(bytes.ptr, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    }
    rc = list ? check(list->models, err) : lmw_fail(err, LMW_ENOMEM, "no memory for prices");
    lmw_buf_free(&text);
    if (rc < 0) {
        lmw_price_list_close(list);
        return lmw_wrap(err, "%s", path);
    }
    *out = list;
    return LMW_OK;
}

void lmw_price_list_close(struct lmw_price_list *list)
{
    if (list)
        json_decref(list->models);
    free(list);
}

const char *lmw_price_list_origin(const struct lmw_price_list *list)
{
    return list->origin;
}

double lmw_price_list_cost(const struct lmw_price_list *list, const struct lmw_record *r)
{
    const json_t *prices = r->model ? json_object_get(list->models, r->model) : NULL;
    const json_t *cached = json_object_get(prices, "cached");
    if (!prices || r->prompt_tokens == LMW_NULL || r->completion_tokens == LMW_NULL)
        return (double)NAN;
    double prompt = json_number_value(json_object_get(prices, "prompt"));
    double completion = json_number_value(json_object_get(prices, "completion"));
    double n_cached = r->cached_tokens == LMW_NULL ? 0 : (double)r->cached_tokens;
    return (((double)r->prompt_tokens - n_cached) * prompt +
            n_cached * (cached ? json_number_value(cached) : prompt) +
            (double)r->completion_tokens * completion) /
           1e6;
}
