/* What a provider charges: a file of token prices, and the cost of a record by it.
 *
 *     {"gpt-x": {"prompt": 2.5, "cached": 1.25, "completion": 10}, ...}
 *
 * in dollars per million tokens, by the record's `model`. `cached` may be left out: cached tokens
 * then cost what others do. */
#ifndef LMW_BASE_PRICES_H
#define LMW_BASE_PRICES_H

#include "base/err.h"
#include "base/record.h"

struct lmw_price_list;
/* Errors name the model and the price that is wrong. */
int lmw_price_list_open(struct lmw_price_list **out, const char *path, struct lmw_err *err);
void lmw_price_list_close(struct lmw_price_list *list);
/* Which list it is, for the record: the file's name without folders, and FNV-1a of its bytes. */
const char *lmw_price_list_origin(const struct lmw_price_list *list);
/* NaN where the model has no price or the tokens are not known. */
double lmw_price_list_cost(const struct lmw_price_list *list, const struct lmw_record *r);

#endif
