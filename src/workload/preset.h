/* Inside of the presets: what a published data set's row says (presets.c, the table and what is
 * particular to each), how a question is put (prompt.c), and the two joined (preset.c).
 *
 * A row becomes an item: plain facts, no wording. An item becomes a prompt by its kind of task,
 * after the same items of another file as worked examples. */
#ifndef LMW_WORKLOAD_PRESET_H
#define LMW_WORKLOAD_PRESET_H

#include "base/arena.h"
#include "base/err.h"
#include "workload/rows.h"
#include "workload/workload.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum lmw_task {
    LMW_TASK_CHOICE, /* a letter */
    LMW_TASK_NUMBER,
    LMW_TASK_MATH,  /* an expression, boxed */
    LMW_TASK_PROSE, /* an answer that needs a judge */
    LMW_TASK_SHORT, /* a few words */
    LMW_TASK_FORM,  /* in a form the question itself asks for */
    LMW_TASK_LABEL, /* one of the labels there are */
    LMW_TASK_AS_IS, /* the prompt is the question: no wording, no examples */
};

enum { LMW_CHOICES_MAX = 26 };
struct lmw_item {
    const char *id;       /* NULL: the row's number */
    const char *question; /* never NULL */
    const char *choice[LMW_CHOICES_MAX];
    int n_choice;
    const char *reference; /* the letter of a choice; NULL: the row has none */
    const char *worked;    /* the way there, for worked examples; NULL */
    const char *domain, *language;
    const char *scorer; /* NULL: the preset's */
};

struct lmw_source; /* an opened data set, below */
/* What the table cannot say. Strings are the row's, the arena's or constants. */
typedef int lmw_item_fn(const struct lmw_source *s, const json_t *row, struct lmw_item *it,
                        struct lmw_arena *arena, struct lmw_err *err);

/* Where in a row things are: names or paths as of fields.h, alternatives with '|'. */
struct lmw_preset_rules {
    enum lmw_task task;
    const char *id, *question, *choices, *reference, *worked, *domain, *language;
    bool may_lack_reference; /* some of its rows have none: for the cleaning to count */
    const char *keep;        /* fields to keep beside the record's, with commas */
    const char *nested; /* fields that a CSV holds as text: lists and dictionaries (literal.h) */
    lmw_item_fn *finish;
    bool shots_by_domain;    /* examples are of the question's own domain */
    const char *shots_split; /* where the file has arrays, which one examples are from */
    const char *columns;     /* of a CSV that is published without a header */
    const char *beside;      /* a file beside the data: {"domain": ["label", ...]} */
};

struct lmw_shot {
    const char *domain, *question, *reference;
    const char *text; /* its block of a prompt */
};
struct lmw_source {
    const struct lmw_preset *preset;
    const char *stem; /* of the file's name */
    int n_shots;      /* asked for */
    bool cot;
    struct lmw_arena arena; /* for what follows */
    const char *labels;     /* LMW_TASK_LABEL: all of them, as the prompt has them */
    json_t *domain_of;      /* label -> domain, of the file beside; NULL */
    struct lmw_shot *shot;
    int n_shot;
};

/* Reads what a preset needs before the first row: the labels (rows is left rewound), the file
 * beside, the examples. */
int lmw_source_open(struct lmw_source *s, const struct lmw_workload_opts *o, const char *path,
                    const char *stem, struct lmw_rows *rows, struct lmw_err *err);
void lmw_source_close(struct lmw_source *s); /* zeroed is fine */
/* The record of a row as a JSON object (a new reference), and the question without its wording (in
 * the arena). */
int lmw_source_record(const struct lmw_source *s, const struct lmw_rows *rows, json_t *row,
                      const char *number, struct lmw_arena *arena, json_t **out,
                      const char **question, struct lmw_err *err);

/* presets.c: a row as an item. Texts that hold lists become those, in the row. */
int lmw_item_read(const struct lmw_source *s, json_t *row, struct lmw_item *it,
                  struct lmw_arena *arena, struct lmw_err *err);
/* A text by path, alternatives with '|'; numbers are written out. NULL where there is none. */
const char *lmw_text_at(const json_t *row, const char *paths, struct lmw_arena *arena);

/* prompt.c: an item put as a question, and as an example with its answer. The hash is of all that
 * is not the item's. */
void lmw_prompt_put(const struct lmw_source *s, const struct lmw_item *it, struct lmw_buf *out,
                    uint64_t *hash);
void lmw_prompt_example(const struct lmw_source *s, const struct lmw_item *it,
                        struct lmw_buf *out);

#endif
