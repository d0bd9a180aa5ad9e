/* A stream of readings with times of their own: what wall.c does, for kinds whose text is another.
 * Inside the meter room only. */
#ifndef LMW_METER_WALL_H
#define LMW_METER_WALL_H

#include "meter/source.h"

/* Adds the stream that `arg` names (PATH, - or PATH@SECONDS): lines of line.h, or for
 * lmw_kind_apple those of apple.h. */
int lmw_wall_find(struct source_list *l, const struct source_kind *kind, const char *arg,
                  struct lmw_err *err);
int lmw_wall_next(struct source *s, int64_t now_ns, struct sample *out);
void lmw_wall_note(struct source *s, char *out, size_t cap);
void lmw_wall_close(struct source *s);

#endif
