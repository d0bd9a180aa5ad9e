/* From one series to the energy of one span. Inside the meter room only. */
#ifndef LMW_METER_SPAN_H
#define LMW_METER_SPAN_H

#include "meter/series.h"

/* How noisy a series has shown to be: where the search for the next span's level begins. */
struct noise_level {
    int q, tau, rise; /* steps of fit.c */
    unsigned n_span;  /* that have been searched for */
};
/* What the readings of a power source are the mean of, as far as it could be learned (lag.c). */
struct lag_window {
    int64_t window_ns; /* the likeliest, 0: of the moment; LMW_NULL: nothing tells */
    bool sure;         /* no other is nearly as likely */
    double error_s;    /* either way, of one that is sure */
    double most_s;     /* what it is at most, of one that is not */
    double forget_s; /* the time constant of a mean that forgets slowly, and has no window; or 0 */
    double age_s;    /* readings may have been so old when they were read */
};
/* Spans asked for or announced, by start: they say which stretches between change points are
 * alike. */
struct known_spans {
    struct lmw_span *v;
    int n, cap;
    bool grows; /* offline; the live meter forgets the oldest */
    struct noise_level noise[MAX_SERIES];
    struct known_window {
        struct lag_window is;
        int n_span; /* learned from so many spans and samples */
        int64_t n_sample;
    } window[MAX_SERIES];
};
int lmw_spans_open(struct known_spans *k, int cap, bool grows, struct lmw_err *err);
void lmw_spans_close(struct known_spans *k);
int lmw_spans_add(struct known_spans *k, const struct lmw_span *span, struct lmw_err *err);
/* The first known span that starts after t_ns: they are in order of their starts. */
int lmw_spans_after(const struct known_spans *k, int64_t t_ns);
/* Whether its times make sense: start <= first <= end. */
int lmw_span_check(const struct lmw_span *span, struct lmw_err *err);

/* Energy of `span` from the first n samples of s. `final`: no more samples will come, so what
 * cannot be settled is invalid instead of pending. Fills all of *out; out->valid says whether
 * there is a number. */
void lmw_span_energy(const struct series *s, int64_t n, bool final, struct known_spans *known,
                     const struct lmw_span *span, struct lmw_energy *out);
/* Every number absent, for this reason. */
void lmw_span_nothing(struct lmw_energy *out, const char *reason);

/* How long after a span's end a source needs to settle it. */
int64_t lmw_span_settle_ns(const struct series *s, int64_t poll_ns);

#endif
