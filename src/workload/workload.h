/* Workloads: the questions. A reader of JSONL, CSV, JSON and Parquet files, packed or not,
 * a writer of JSONL, and the shop-intents generator.
 *
 * A workload file holds one question a row, in the shape of the record (base/record.h): query_id
 * and prompt must be there, query_ids are unique within the file, everything else may be missing.
 * Fields the record does not know are kept in `extra`. What is called otherwise is mapped. Files
 * may be packed with gzip or zstd; CRLF, blank lines, a byte order mark and a missing final
 * newline are tolerated. docs/workloads.md says what each format looks like, docs/shop-intents.md
 * describes the generator.
 *
 * Threads: one thread per object; different objects do not know each other. */
#ifndef LMW_WORKLOAD_WORKLOAD_H
#define LMW_WORKLOAD_WORKLOAD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/record.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A longer line is refused: it is a file of another kind, or one without line ends. */
#define LMW_WORKLOAD_LINE_MAX ((size_t)16 << 20)

/* ---- reading ---- */

/* How to read a file; all zero: by its name, its fields called as a record's. Copied. */
struct lmw_workload_opts {
    const char
        *format; /* "jsonl", "json" (one document), "csv", "tsv", "parquet"; NULL: by its name */
    const char *columns; /* names for a CSV that has no header, "question,A,B,answer"; NULL */
    /* Which field of a row is which of the record's, "prompt=question,reference=answer.value,
     * query_id=#": names, else paths with dots; # numbers the rows. NULL: they are called so. */
    const char *map;
    /* A data set as published: its fields, its wording (below). No map then; columns as its
     * own. */
    const char *preset;
    int shots;              /* worked examples in front of each question */
    const char *shots_from; /* the file they are the first rows of */
    bool cot;               /* ask for reasoning first */
    /* Of a JSON document with arrays: which of them, "test,oos_test"; NULL: all. */
    const char *split;
    /* Cleaning: empty prompts, those of more than max_chars characters (0: 32,000), duplicates,
     * and under a preset whose questions have references those without one are dropped; `english`
     * drops what is in another language. */
    bool clean, english;
    int64_t max_chars;
    /* A sample: so many rows (0: all), chosen by seed and a hash of their ids, so that the choice
     * stays when rows are added; in proportion by `stratify`, a field ("domain"); NULL: as one. */
    int64_t sample;
    uint64_t seed;
    const char *stratify;
};

/* A file of any size: in memory is one row, what the codec keeps, and 16 MB for a million
 * query_ids. */
struct lmw_workload;
int lmw_workload_open(struct lmw_workload **out, const char *path, struct lmw_err *err);
int lmw_workload_open_as(struct lmw_workload **out, const char *path,
                         const struct lmw_workload_opts *o, struct lmw_err *err);
/* The same over bytes that stay with the caller; `name` stands for the path. */
int lmw_workload_open_bytes(struct lmw_workload **out, lmw_str bytes, const char *name,
                            struct lmw_err *err);
int lmw_workload_open_bytes_as(struct lmw_workload **out, lmw_str bytes, const char *name,
                               const struct lmw_workload_opts *o, struct lmw_err *err);
void lmw_workload_close(struct lmw_workload *w); /* NULL is fine */

/* The next query: 1 and *r filled (strings in the arena), 0 at the end, or a negative code with a
 * message that names the file, the line and what to do. After an error every call fails alike. */
int lmw_workload_next(struct lmw_workload *w, struct lmw_record *r, struct lmw_arena *arena,
                      struct lmw_err *err);
/* Back to the first query. */
void lmw_workload_rewind(struct lmw_workload *w);
/* The line (from 1) of the query read last; 0 before the first. */
int64_t lmw_workload_line(const struct lmw_workload *w);
/* The question of the query read last, without the wording a preset puts around it: in that
 * query's arena. */
const char *lmw_workload_question(const struct lmw_workload *w);

/* From now on the queries come in an order drawn by the seed, after one more pass over the file:
 * 16 bytes a row, and a packed file is inflated into a temporary one. A rewind keeps the order;
 * another seed draws another. LMW_EIO and the like as reading fails. */
int lmw_workload_shuffle(struct lmw_workload *w, uint64_t seed, struct lmw_err *err);

/* What became of the rows since the first: whole when the end was reached. */
struct lmw_workload_counts {
    int64_t rows, empty, too_long, not_english, no_reference, duplicate, not_sampled, kept;
    int64_t language_by_words; /* of those asked, rows that do not say their language */
};
void lmw_workload_counts(const struct lmw_workload *w, struct lmw_workload_counts *out);

/* FNV-1a (64 bits) of the file's bytes, inflated, then of the opts that are set: goes into the
 * run, so that a changed workload shows. Known when it was read to its end once, else read for;
 * where that fails, the next query does. */
uint64_t lmw_workload_hash(struct lmw_workload *w);

/* ---- data sets as published ---- */

struct lmw_preset {
    const char *name;
    const char *help;   /* which file of it is read, and its fields */
    const char *scorer; /* by name, see score.h; a row's `default_scorer` may be another */
    const struct lmw_preset_rules *rules;
};
extern const struct lmw_preset lmw_presets[]; /* ends with a NULL name */
/* Case and punctuation do not count: MMLU_Pro is mmlu-pro. NULL and LMW_EARG with the list of
 * names where there is no such preset. */
const struct lmw_preset *lmw_preset_find(const char *name, struct lmw_err *err);

/* Rows read by a preset have query_id (the data set's, else the row's number), workload (the
 * preset), domain, prompt, choices, reference (a choice's letter); extra: prompt_template
 * ("gsm8k/cot/0-shot"), prompt_template_hash (of all of the prompt that is not the question's),
 * default_scorer, language, split, and what the data set has beside. */

/* ---- domains ---- */

/* The 22 occupational categories, then "None"; NULL beyond. */
const char *lmw_domain_name(int i);
/* By the words a text has: the category with the most keywords, None where two have as many or
 * nothing is known. A fall-back: docs/workloads.md says how often it is right. */
const char *lmw_domain_by_keywords(const char *text);
/* What a model is asked (appended), the hash of its wording, and the category it said: NULL where
 * the answer names none, or more than one. */
void lmw_domain_prompt(const char *question, struct lmw_buf *out);
uint64_t lmw_domain_prompt_hash(void);
const char *lmw_domain_parse(const char *answer);

/* A record's domain (NULL: none could be told) and where it is from, in extra's domain_by; the one
 * it had is kept as domain_before. */
int lmw_domain_set(struct lmw_record *r, const char *domain, const char *by,
                   struct lmw_arena *arena, struct lmw_err *err);

/* A naive Bayes labeller, learned from labelled texts (at most 256 labels, of any kind), kept in
 * one JSON file. */
struct lmw_labeller;
int lmw_labeller_new(struct lmw_labeller **out, struct lmw_err *err);
int lmw_labeller_learn(struct lmw_labeller *l, const char *text, const char *label,
                       struct lmw_err *err);
/* NULL where it has seen none of the text's words. The labeller's own. */
const char *lmw_labeller_label(const struct lmw_labeller *l, const char *text);
int lmw_labeller_save(const struct lmw_labeller *l, const char *path, struct lmw_err *err);
int lmw_labeller_open(struct lmw_labeller **out, const char *path, struct lmw_err *err);
int lmw_labeller_open_bytes(struct lmw_labeller **out, lmw_str bytes, const char *name,
                            struct lmw_err *err);
void lmw_labeller_close(struct lmw_labeller *l); /* NULL is fine */

/* ---- writing ---- */

/* One line: the fields that are present, in the order of the record's columns, then those of
 * `extra`. Appends to the buffer; LMW_ENOMEM, or LMW_EARG when query_id or prompt is absent or
 * `extra` is not an object. */
int lmw_workload_format(const struct lmw_record *r, struct lmw_buf *out, struct lmw_err *err);

/* Records as such lines into f, which stays the caller's; packed where `name` (NULL is fine) ends
 * in .gz or .zst. finish writes what is left and flushes; close frees, whatever came before. */
struct lmw_workload_writer;
int lmw_workload_writer_open(struct lmw_workload_writer **out, FILE *f, const char *name,
                             struct lmw_err *err);
int lmw_workload_write(struct lmw_workload_writer *w, const struct lmw_record *r,
                       struct lmw_err *err);
int lmw_workload_writer_finish(struct lmw_workload_writer *w, struct lmw_err *err);
void lmw_workload_writer_close(struct lmw_workload_writer *w); /* NULL is fine */

/* ---- shop-intents: messages of shop customers in ten languages ---- */

/* How often a message is disturbed, each 0..1. Words that are a slot of the answer never get
 * typos. */
struct lmw_shop_noise {
    double typo;        /* messages with one or two typos outside the slots */
    double ascii;       /* diacritics not typed: "fur", "fuer" */
    double shout;       /* THE WHOLE MESSAGE */
    double lower;       /* all lower case, names and codes too */
    double capital;     /* the first letter upper case */
    double filler;      /* "um", "actually" between two words */
    double opener;      /* "hello" in front */
    double tail;        /* "thanks" behind */
    double foreign;     /* opener, tail or product word of another language */
    double reorder;     /* clauses in the other order, where there are two */
    double punctuation; /* a final mark other than the expected one, commas dropped */
};
void lmw_shop_noise_default(struct lmw_shop_noise *n);

struct lmw_shop_options {
    uint64_t seed;
    bool test; /* the held-out split; false: training */
    struct lmw_shop_noise noise;
    double invent; /* training only: this share of the nouns is crossed with another; 0: none */
};

/* The split. Reserved for the test split, and never in a training row: about a fifth of the
 * phrase templates (up to a quarter of each language and intent), a quarter of all product nouns,
 * of made-up brands and of model numbers, and every order number, coupon code, address and whole
 * message whose hash says so. A test row holds only reserved order numbers, codes, addresses and
 * messages; its template is a reserved one in about 30 % of the rows (template_seen false), and
 * so are its products (product_seen false; the field is missing when the message names no
 * product). Rows of a test stream are distinct messages. The same seed gives the same bytes
 * everywhere.
 *
 * Rows: query_id, workload, domain (the intent), prompt (the message), reference (the answer, one
 * line of compact JSON); extra: language, template (number within language and intent),
 * template_seen, product_seen. */
struct lmw_shop;
int lmw_shop_open(struct lmw_shop **out, const struct lmw_shop_options *o, struct lmw_err *err);
int lmw_shop_next(struct lmw_shop *s, struct lmw_record *r, struct lmw_arena *arena,
                  struct lmw_err *err);
void lmw_shop_close(struct lmw_shop *s); /* NULL is fine */

extern const char *const lmw_shop_languages[]; /* "en", ..., NULL */
extern const char *const lmw_shop_intents[];   /* "add_to_cart", ..., NULL */

#endif
