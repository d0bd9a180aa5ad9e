/* lmwatt report: the table, its JSON, and report.html from recorded runs. */
#include "base/file.h"
#include "cli/cli.h"
#include "cli/paper.h"
#include "cli/report_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wants {
    const char *store, *html;
    struct strs by, runs;
    struct page_wants page;
    bool json, exclude_unscored;
};

static const struct strs usual_fields = {{"template_seen", "language"}, 2};

/* One table per field that any record has; who asked for another is told. */
static int add_breakdowns(struct lmw_store *store, const struct wants *w, struct lmw_report *r,
                          struct lmw_breakdown *parts, struct lmw_arena *arena,
                          struct lmw_err *err)
{
    const struct strs *by = w->by.n ? &w->by : &usual_fields;
    int rc = lmw_insight_breakdowns(store, r->rows, r->n_row, by->v, by->n, arena, parts, err);
    for (int f = 0; f < by->n && rc == LMW_OK; f++) {
        if (parts[f].n_value)
            parts[r->n_breakdown++] = parts[f];
        else if (w->by.n)
            rc = lmw_fail(err, LMW_EARG,
                          "--by %.40s: no record of these runs has it; name a column "
                          "(docs/records.md), or a field that the workload's rows carry",
                          by->v[f]);
    }
    return rc;
}

static int write_page(const char *path, const struct lmw_report *r, struct lmw_err *err)
{
    struct lmw_buf page = {0};
    struct lmw_atomic file;
    int rc = lmw_report_html(r, &page, err);
    if (rc == LMW_OK && (rc = lmw_atomic_open(&file, path, err)) == LMW_OK) {
        fwrite(page.ptr, 1, page.len, file.f);
        rc = lmw_atomic_commit(&file, err);
    }
    lmw_buf_free(&page);
    return rc;
}

static int render(const struct lmw_report *r, const struct wants *w, struct lmw_err *err)
{
    struct lmw_buf out = {0};
    int rc = LMW_OK;
    if (w->json)
        rc = lmw_report_json(r, &out, err);
    else
        lmw_report_text(r, &out);
    if (rc == LMW_OK && !w->json && out.ptr)
        lmw_text_tame(out.ptr, true);
    if (rc == LMW_OK)
        puts(out.ptr ? out.ptr : "");
    lmw_buf_free(&out);
    if (rc == LMW_OK && w->html && (rc = write_page(w->html, r, err)) == LMW_OK)
        fprintf(stderr, "wrote %s\n", w->html);
    return rc;
}

static int report(struct lmw_store *store, const struct wants *w, struct lmw_arena *arena,
                  struct lmw_err *err)
{
    struct lmw_summary *rows;
    struct lmw_frame frame;
    struct lmw_pictures pictures = {.frame = &frame};
    struct lmw_breakdown *parts = LMW_NEW(arena, struct lmw_breakdown, STRS_MAX);
    const struct lmw_frame_options options = {.exclude_unscored = w->exclude_unscored};
    int n, rc = lmw_frame_load(&frame, store, w->runs.v, w->runs.n, &options, arena, err);
    if (rc < 0 || (rc = n = lmw_frame_summaries(&frame, arena, &rows, err)) < 0)
        return rc;
    struct lmw_report r = {.rows = rows, .n_row = n, .breakdowns = parts, .pictures = &pictures};
    if ((rc = add_breakdowns(store, w, &r, parts, arena, err)) < 0 ||
        (w->html && (rc = page_gather(&w->page, store, rows, arena, &pictures, err)) < 0))
        return rc;
    return render(&r, w, err);
}

int cmd_report(int argc, char **argv)
{
    struct wants w = {0};
    bool paper = false;
    const struct opt opts[] = {
        {"store", 0, OPT_STR, &w.store, "DB",
         "the store (default: LMW_STORE, or the data directory)"},
        {"html", 0, OPT_STR, &w.html, "FILE", "write a self-contained page, too"},
        {"local", 0, OPT_LIST, &w.page.local, "RUN",
         "for the page's routing picture: a local model"},
        {"cloud", 0, OPT_STR, &w.page.cloud, "RUN", "and the one in the cloud"},
        {"dates", 0, OPT_STR, &w.page.dates, "FILE",
         "for the page's trend picture; see `lmwatt trend --help`"},
        {"by", 0, OPT_LIST, &w.by, "FIELD",
         "accuracy by a field (default: template_seen, language)"},
        {"paper", 0, OPT_FLAG, &paper, NULL,
         "an example: the tables of \"Intelligence per Watt\" through the commands"},
        {"exclude-unscorable", 0, OPT_FLAG, &w.exclude_unscored, NULL,
         "answers that could not be scored are left out (default: wrong)"},
        {"json", 0, OPT_FLAG, &w.json, NULL, "for machines"},
        {0},
    };
    const struct command_help help = {
        "lmwatt report [RUN...] [--store DB] [--html FILE]",
        "Accuracy, speed, joules, IPW and IPJ of recorded runs (all of the store, or those named).",
        "lmwatt report --html report.html",
    };
    int rc = opts_parse(opts, &help, argc, argv, &w.runs);
    if (rc >= 0)
        return rc;
    if (paper)
        return paper_replay(w.store, w.json);
    if (!w.page.cloud != !w.page.local.n)
        return cli_usage(argv[0], "--local and --cloud go together");
    if (!w.html && (w.page.cloud || w.page.dates))
        return cli_usage(argv[0],
                         "--local, --cloud and --dates are for the page: add --html FILE");
    struct lmw_err err = {0};
    struct lmw_arena arena = {0};
    struct lmw_store *store = NULL;
    char path[1024];
    rc = cli_store_path(w.store, path, sizeof path, &err);
    if (rc == LMW_OK && (rc = lmw_arena_open(&arena, (size_t)4 << 30, &err)) == LMW_OK &&
        (rc = lmw_store_open_existing(&store, path, &err)) == LMW_OK)
        rc = report(store, &w, &arena, &err);
    lmw_store_close(store);
    lmw_arena_close(&arena);
    return rc < 0 ? cli_fail(&err) : 0;
}
