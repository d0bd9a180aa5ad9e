/* Part of the door insight.h: where efficiency goes over the years, and what of it is the models'
 * and what the machines'. */
#ifndef LMW_INSIGHT_TREND_H
#define LMW_INSIGHT_TREND_H

#include "base/str.h"
#include "insight/frame.h"

/* When models and machines came out: "2024", "2024-07" or "2024-07-23", by their names in the
 * records (letter case does not matter). */
struct lmw_date {
    bool machine;
    const char *name, *date;
};
struct lmw_dates {
    struct lmw_date *v;
    int n;
};
/* JSON {"models": {NAME: DATE}, "machines": {NAME: DATE}}, or CSV lines model,NAME,DATE and
 * machine,NAME,DATE (a name may hold commas; "#" begins a comment, a heading kind,name,date is
 * skipped). Anything else is LMW_EFORMAT that names the line. */
int lmw_dates_parse(struct lmw_dates *d, lmw_str text, struct lmw_arena *arena,
                    struct lmw_err *err);

/* Dates of the frame's runs: the table's, else those that the first record of the run carries in
 * its `extra` as model_date and machine_date. NULL where nobody says. */
struct lmw_run_dates {
    const char *model, *machine; /* each as given */
    int year; /* of the later of the two: from then on the pair could be had; 0 */
};
int lmw_run_dates_of(struct lmw_store *s, const struct lmw_frame *f, const struct lmw_dates *d,
                     struct lmw_arena *arena, struct lmw_run_dates **out, struct lmw_err *err);

/* The best pair (model, machine) of a year: of those that could be had first then, the highest
 * IPW, or IPJ. */
struct lmw_trend_year {
    int year, run;
    struct lmw_interval metric, accuracy;
    double step; /* times the year before in the list; NaN for the first */
};
/* A gain taken apart: total = model x hardware, exactly. */
struct lmw_split {
    bool known;
    struct lmw_interval model, hardware;
    int run[4]; /* the records that carry it: old and new, and for the symmetric one the old */
    int n_run;  /* model on the new machine and the new model on the old */
    const char *why; /* not known: what is missing */
};
struct lmw_trend {
    bool per_joule;
    struct lmw_trend_year *year;      /* [n_year], ascending */
    int n_year, n_undated, n_without; /* runs without a date; without the metric */
    struct lmw_interval total;        /* last year over first */
    struct lmw_split published, symmetric;
};
/* rows: the frame's summaries. All runs must answer one workload. Fewer than two years is no
 * trend: n_year says so and total is NaN. */
struct lmw_summary;
int lmw_trend_of(const struct lmw_frame *f, const struct lmw_summary *rows,
                 const struct lmw_run_dates *dates, bool per_joule, struct lmw_arena *arena,
                 struct lmw_trend *out, struct lmw_err *err);

#endif
