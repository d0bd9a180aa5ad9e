/* How often a scorer gives the verdict that a publisher gave. On standard input an array of rows
 * for each pair NAME SCORER: id, answer, reference, choices, right (the publisher's verdict), took
 * (what the publisher took for the answer). Each disagreement is a line, then the shares. Exit 1
 * where a scorer agrees on fewer than 99.5 %.
 *
 *     agreement NAME SCORER ... < rows.json     agreement.py feeds it from the published files */
#include "score/score.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under a sanitizer every fifth row, for what it finds in memory; the share that agrees is asked
 * of all rows only. With the unit tests of the scorers they reach each line that all rows
 * reach. */
#if defined(__SANITIZE_ADDRESS__)
enum { STEP = 5 };
static const char sampled[] = " (of every 5th row)";
#else
enum { STEP = 1 };
static const char sampled[] = "";
#endif

static const char *text(const json_t *row, const char *key)
{
    const char *s = json_string_value(json_object_get(row, key));
    return s ? s : "";
}

/* The end of an answer, on one line. */
static void print_end(const char *answer)
{
    size_t n = strlen(answer);
    for (const char *p = answer + (n > 200 ? n - 200 : 0); *p; p++)
        putchar((unsigned char)*p < 32 ? ' ' : *p);
    putchar('\n');
}

static size_t compare(const char *name, const json_t *row, const struct lmw_scorer *scorer)
{
    struct lmw_score s;
    const json_t *choices = json_object_get(row, "choices");
    char *list = json_is_array(choices) ? json_dumps(choices, 0) : NULL;
    lmw_score(scorer, text(row, "answer"), text(row, "reference"), list, &s);
    free(list);
    int theirs = json_is_true(json_object_get(row, "right")), ours = s.value == 1;
    if (theirs == ours)
        return 1;
    printf("%s %s: publisher takes '%s' for '%.40s'; we: %s %s | ", name, text(row, "id"),
           text(row, "took"), text(row, "reference"),
           ours             ? "right"
           : isnan(s.value) ? "unscorable,"
                            : "wrong,",
           s.reason);
    print_end(text(row, "answer"));
    return 0;
}

/* Scores the next array; adds to *same and *n. */
static int score_next(const char *name, const struct lmw_scorer *scorer, size_t *same, size_t *n)
{
    json_error_t e;
    json_t *rows = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, &e);
    size_t agree = 0, looked = 0, rows_n = json_array_size(rows);
    if (rows_n == 0 || !scorer) {
        fprintf(stderr, "%s: no rows (%s) or no such scorer\n", name, e.text);
        return 1;
    }
    for (size_t i = 0; i < rows_n; i += STEP, looked++)
        agree += compare(name, json_array_get(rows, i), scorer);
    printf("%s: %zu of %zu verdicts agree: %.2f %%%s\n", name, agree, looked,
           100 * (double)agree / (double)looked, sampled);
    *same += agree;
    *n += looked;
    json_decref(rows);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int f = 1; f + 1 < argc && !failed;) {
        const char *scorer = argv[f + 1];
        size_t same = 0, n = 0;
        for (; f + 1 < argc && strcmp(argv[f + 1], scorer) == 0 && !failed; f += 2)
            failed = score_next(argv[f], lmw_scorer_find(scorer, NULL), &same, &n);
        double percent = 100 * (double)same / (double)n;
        printf("%s: %zu of %zu verdicts agree: %.2f %%%s\n", scorer, same, n, percent, sampled);
        failed |= STEP == 1 && !(percent >= 99.5);
    }
    return failed;
}
