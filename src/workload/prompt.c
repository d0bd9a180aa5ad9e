/* How a question is put. The wording is lmwatt's own, one entry a kind of task; a record names it
 * ("mmlu-pro/cot/5-shot") and carries the hash of all of the prompt that is not the question's
 * own, so that a changed word shows.
 *
 *     INSTRUCTION                         how to answer; with --cot: to reason first
 *
 *     Question: ...                       worked examples, with their answers
 *     Answer: ...
 *
 *     Question: ...                       the question
 *     A. ...
 *     Answer:                             or, with --cot, `Reasoning:` */
#include "workload/preset.h"

static const struct wording {
    const char *direct, *cot; /* the instruction */
    const char *question;     /* what a question is called */
} wordings[] = {
    [LMW_TASK_CHOICE] = {"Choose the right answer. Reply with its letter alone.",
                         "Choose the right answer. Reason step by step, then end with a line "
                         "\"Answer: X\", where X is the letter of your choice.",
                         "Question"},
    [LMW_TASK_NUMBER] = {"Solve the problem. Reply with the final number alone.",
                         "Solve the problem. Reason step by step, then end with a line \"Answer: "
                         "N\", where N is the final number alone.",
                         "Problem"},
    [LMW_TASK_MATH] = {"Solve the problem. Reply with the final answer alone, inside \\boxed{}.",
                       "Solve the problem. Reason step by step, then end with the final answer "
                       "inside \\boxed{}.",
                       "Problem"},
    [LMW_TASK_PROSE] = {"Answer the question completely and to the point.",
                        "Answer the question. Reason step by step, then end with a line that "
                        "begins with \"Answer:\" and holds the complete final answer.",
                        "Question"},
    [LMW_TASK_SHORT] = {"Answer the question in a few words, with nothing around them.",
                        "Answer the question. Reason step by step, then end with a line "
                        "\"Answer: ...\" that holds the answer in a few words.",
                        "Question"},
    [LMW_TASK_FORM] =
        {"Do the task. Reply with the answer alone, in the form the task has it.",
         "Do the task. Reason step by step, then end with a line \"Answer: ...\" that "
         "holds the answer alone, in the form the task has it.",
         "Task"},
    [LMW_TASK_LABEL] =
        {"Which of the intents below does the message have? Reply with the intent's "
         "name alone.",
         "Which of the intents below does the message have? Reason step by step, "
         "then end with a line \"Answer: ...\" that holds the intent's name alone.",
         "Message"},
};

static void put_question(const struct lmw_source *s, const struct lmw_item *it,
                         struct lmw_buf *out)
{
    lmw_str text = lmw_str_trim(lmw_str_from(it->question));

    lmw_buf_printf(out, "%s: ", wordings[s->preset->rules->task].question);
    lmw_buf_put(out, text.ptr, text.len);
    bool is_listed = s->preset->rules->task == LMW_TASK_CHOICE; /* else the question says them */
    for (int i = 0; i < it->n_choice && is_listed; i++)
        lmw_buf_printf(out, "\n%c. %s", 'A' + i, it->choice[i]);
}

static void put_answer(const struct lmw_source *s, const struct lmw_item *it, struct lmw_buf *out)
{
    bool is_boxed = s->preset->rules->task == LMW_TASK_MATH;

    lmw_buf_str(out, is_boxed ? "\\boxed{" : "");
    lmw_buf_str(out, it->reference);
    lmw_buf_str(out, is_boxed ? "}" : "");
}

void lmw_prompt_example(const struct lmw_source *s, const struct lmw_item *it, struct lmw_buf *out)
{
    put_question(s, it, out);
    if (s->cot)
        lmw_buf_printf(out, "\nReasoning: %s", it->worked);
    lmw_buf_str(out, "\nAnswer: ");
    put_answer(s, it, out);
}

/* The first n_shots examples; where the preset says so those of the item's domain; never the
 * question itself. */
static void put_examples(const struct lmw_source *s, const struct lmw_item *it,
                         struct lmw_buf *out)
{
    bool by_domain = s->preset->rules->shots_by_domain;

    for (int i = 0, n = 0; i < s->n_shot && n < s->n_shots; i++) {
        const struct lmw_shot *shot = &s->shot[i];
        if (strcmp(shot->question, it->question) == 0 ||
            (by_domain && strcmp(shot->domain, it->domain ? it->domain : "") != 0))
            continue;
        lmw_buf_printf(out, "%s\n\n", shot->text);
        n++;
    }
}

void lmw_prompt_put(const struct lmw_source *s, const struct lmw_item *it, struct lmw_buf *out,
                    uint64_t *hash)
{
    const struct wording *w = &wordings[s->preset->rules->task];
    const char *tail = s->cot ? "\nReasoning:" : "\nAnswer:";

    *hash = lmw_str_hash((lmw_str){0});
    if (s->preset->rules->task == LMW_TASK_AS_IS) {
        lmw_buf_str(out, it->question);
        return;
    }
    lmw_buf_printf(out, "%s\n", s->cot ? w->cot : w->direct);
    if (s->labels)
        lmw_buf_printf(out, "Intents: %s\n", s->labels);
    lmw_buf_str(out, "\n");
    put_examples(s, it, out);
    if (out->failed)
        return;
    *hash = lmw_str_hash((lmw_str){out->ptr, out->len});
    put_question(s, it, out);
    lmw_buf_str(out, tail);
    *hash = lmw_str_hash_more(*hash, lmw_str_from(w->question));
    *hash = lmw_str_hash_more(*hash, lmw_str_from(tail));
}
