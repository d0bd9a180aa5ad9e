/* Inside of the room: a list or dictionary as Python prints it, read as JSON.
 *
 * The data sets' own tools write a CSV cell that holds several values like that:
 *
 *     ['a', "b's"]                                Python's own list
 *     ['a' "b's"\n 'c']                           NumPy's: no commas, line ends
 *     {'text': array(['a'], dtype=object)}        of pandas: the array is its first argument */
#ifndef LMW_WORKLOAD_LITERAL_H
#define LMW_WORKLOAD_LITERAL_H

#include "base/str.h"

#include <jansson.h>

/* The text as JSON has it, or else as Python prints it (a new reference); NULL when it is neither
 * a list nor a dictionary from its first byte to its last. What has no counterpart in JSON (a
 * date, nan) is null. */
json_t *lmw_literal_read(lmw_str text);

#endif
