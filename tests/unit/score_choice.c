/* The choice scorer: how models commit to a letter, and what is none. */
#include "score/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CITIES "[\"Paris\",\"London\",\"New York\",\"3.14 km\"]"

static struct lmw_score score(const char *scorer, const char *answer, const char *reference,
                              const char *choices)
{
    struct lmw_score s;
    lmw_score(lmw_scorer_find(scorer, NULL), answer, reference, choices, &s);
    if (!(s.value == 1) != (s.reason[0] != 0))
        fail_msg("'%s': %g with the reason '%s'", answer, s.value, s.reason);
    return s;
}

/* The letter that an answer commits to; '-' for none, '!' for several or none of them. */
static char letter(const char *answer, const char *choices)
{
    const char *letters = "ABCDEFGHIJ";
    char found = 0;
    for (int i = 0; i < (choices ? 4 : 10); i++) {
        char reference[2] = {letters[i], 0};
        struct lmw_score s = score("choice", answer, reference, choices);
        if (isnan(s.value))
            return '-';
        if (s.value == 1) {
            assert_true(found == 0);
            found = letters[i];
        }
    }
    return found ? found : '!';
}

struct said {
    const char *answer;
    char letter;
};

static void check(const struct said *t, size_t n, const char *choices)
{
    for (size_t i = 0; i < n; i++)
        if (letter(t[i].answer, choices) != t[i].letter)
            fail_msg("'%s' commits to %c, not %c", t[i].answer, letter(t[i].answer, choices),
                     t[i].letter);
}
#define CHECK(t, choices) check(t, sizeof t / sizeof *t, choices)

static void test_ways_to_say_it(void **state)
{
    static const struct said t[] = {
        {"B", 'B'},
        {"b", 'B'},
        {"(B)", 'B'},
        {" b) \n", 'B'},
        {"**B**", 'B'},
        {"`C`", 'C'},
        {"$A$", 'A'},
        {"[D]", 'D'},
        {"B.", 'B'},
        {"\xef\xbc\x88\xef\xbc\xa2\xef\xbc\x89", 'B'}, /* full width */
        {"\xe2\x92\xb7", 'B'},                         /* circled */
        {"Answer: B.", 'B'},
        {"answer is b", 'B'},
        {"The answer is A", 'A'},
        {"The answer is I.", 'I'},
        {"The answer is (i).", 'I'},
        {"The answer is **A** because of gravity.", 'A'},
        {"**Answer:** B", 'B'},
        {"**Answer: B) the second**", 'B'},
        {"### Answer\n\nC", 'C'},
        {"Final Answer: The final answer is $\\boxed{D}$. I hope it is correct.", 'D'},
        {"\\boxed{B}", 'B'},
        {"\\boxed{\\text{B}}", 'B'},
        {"\\[\\boxed{\\textbf{(C)}}\\]", 'C'},
        {"\\boxed{\\mathrm{A}}", 'A'},
        {"so \\boxed{B. London}", 'B'},
        {"The correct option is therefore (c).", 'C'},
        {"The correct answer to the question is option D.", 'D'},
        {"The best choice would be B: it is shorter.", 'B'},
        {"Option B is the correct answer.", 'B'},
        {"Thus, C is correct.", 'C'},
        {"(A) is the best answer", 'A'},
        {"I would choose (D) here.", 'D'},
        {"I'd go with option A.", 'A'},
        {"<answer>B</answer>", 'B'},
        {"The answer is most likely \"C\".", 'C'},
        {"The answer is: \n\n(B)", 'B'},
        {"B) London", 'B'},
        {"(B) London, because it is there", 'B'},
        {"B, because it is there", 'B'},
        {"It cannot be the others.\n\nC", 'C'},
        {"The most likely diagnosis is (D).", 'D'},
        {"It must be that one (Option C).", 'C'},
        {"\xe7\xad\x94\xe6\xa1\x88\xef\xbc\x9a"
         "B",
         'B'},
        {"Die Antwort ist B.", 'B'},
        {"A resposta correta \u00e9 C.", 'C'},
        {"Response: B", 'B'},
        {"Answer \u2014 B", 'B'},
        {"Ans: B", 'B'},
        {"La bonne r\u00e9ponse est donc la B.", 'B'},
        {"La r\u00e9ponse correcte est B.", 'B'},
        {"La respuesta correcta es la opci\u00f3n B.", 'B'},
        {"La risposta corretta \u00e8 la B.", 'B'},
        {"A resposta \u00e9 a letra B", 'B'},
        {"Die richtige Antwort lautet B.", 'B'},
        {"\u041e\u0442\u0432\u0435\u0442 \u2014 B.", 'B'},
        {"\uc815\ub2f5\uc740 B\uc785\ub2c8\ub2e4.", 'B'},
        {"\u6b63\u89e3\u306fB\u3067\u3059\u3002", 'B'},
        {"\u6b63\u786e\u9009\u9879\u662fB", 'B'},
        {"answer: B - 25 m/s", 'B'},
        {"{\"answer\": \"D\"}", 'D'},
        {"Looking closely, B seems to be the best choice.", 'B'},
        {"Too long, too short, just right. Therefore B.", 'B'},
        {"We compare. Answer B", 'B'},
        {"'B'!", 'B'},
        {"B (25 m/s)", 'B'},
        {"La respuesta correcta es (C).", 'C'},
        {"<think>The answer is A.</think>\nThe answer is B.", 'B'},
        {"<think>The answer is A.</think>B", 'B'},
        {"option b", 'B'},
        {"\u201cB\u201d", 'B'},
        {"The answer is \u2018B\u2019.", 'B'},
        {"B\u3002", 'B'},
        {"\u2192 B", 'B'},
        {"[Answer] B", 'B'},
        {"The answer, therefore, is B.", 'B'},
        {"The correct answer (based on the above) is B.", 'B'},
        {"The answer has to be B.", 'B'},
        {"The most accurate option among the given choices is (B) Water.", 'B'},
        {"The correct answer is:\n   \\[\n   \\text{The answer is (F)}\n   \\]", 'F'},
        {"<final_answer>B</final_answer>", 'B'},
        {"<|begin_of_box|>B<|end_of_box|>", 'B'},
        {"La bonne r\u00e9ponse est la r\u00e9ponse B", 'B'},
        {"Het antwoord is B.", 'B'},
        {"Jawaban yang benar adalah B.", 'B'},
        {"\u0110\u00e1p \u00e1n: B", 'B'},
        {"\u0627\u0644\u0625\u062c\u0627\u0628\u0629: B", 'B'},
        /* less than a statement, where there is none */
        {"I think it's B.", 'B'},
        {"I believe B is correct.", 'B'},
        {"I'm not sure, but I would guess B.", 'B'},
        {"We can rule out A, C and D. That leaves B.", 'B'},
        {"By elimination, B.", 'B'},
        {"Therefore, the most likely diagnosis is (D) Anaemia.", 'D'},
        {"The one named is option H, as it asks for a number.", 'H'},
        {"Only (B) is consistent with this.", 'B'},
        {"A) Incorrect: too small.\nB) Correct: it is red.\nC) Incorrect.", 'B'},
        {"A: \u274c\nB: \u2705\nC: \u274c", 'B'},
    };
    CHECK(t, NULL);
}

static void test_last_one_wins(void **state)
{
    static const struct said t[] = {
        {"The answer is (A). No, wait: the answer is (C).", 'C'},
        {"Answer: A\nAnswer: B", 'B'},
        {"\\boxed{A} is what I thought, but the answer is B.", 'B'},
        {"The answer is B, so \\boxed{C}.", 'C'},
        {"A is correct. Hmm. Then B is the right answer.", 'B'},
        {"The answer is (B) or (C). The answer is (C).", 'C'},
        /* who changes his mind commits anew, who considers the others does not */
        {"The answer is (A). Wait, that ignores friction. It should be (B).", 'B'},
        {"The answer is (A). Wait\u2026 should be (B)", 'B'},
        {"Answer: A\n\nActually, let me reconsider. As it is uniform, it must be B.", 'B'},
        {"I thought the answer was (A), but on reflection it's (B).", 'B'},
        {"The answer is (A). Hmm, no. Correction: (B).", 'B'},
        {"My answer is (C). On second thought, (B) is the better choice.", 'B'},
        {"The answer is (B). One might think it should be (A), but that ignores friction.", 'B'},
        {"The answer is (B). Option (A) would be correct only if it were cold.", 'B'},
        {"The answer is (B). Wait, should it be (A)? No.", 'B'},
        /* a statement outweighs a sign, wherever it is */
        {"The answer is B.\n\n(A)", 'B'},
        /* another turn is another question */
        {"The answer is (A).\n\nQuestion: What is 2+2?\nThe answer is (B).", 'A'},
        {"The answer is (A).<|im_end|><|im_start|>user The answer is (C).", 'A'},
        {"The answer is (A).\n\n\nAnswer: The answer is (D).", 'A'},
        {"The answer is (A).\n\nThat is wrong.\n\nAnswer: (D)", 'D'},
        {"The answer is (A).\n\nNow, let's summarize all the answers:\nThe answer is (D).", 'A'},
        {"The answer is (A).\n\nFinal Answer: The answer is (D).", 'A'},
        {"The answer is (A).\n\nFinal answer: D", 'D'},
        {"B\n\nQuestion: Which?\nA. x\nB. y\nAnswer: A", 'B'},
        {"(B).\n\nQ: next\nA: Let's think. The answer is (C).", 'B'},
        {"B<|eot_id|>", 'B'},
        {"B</s>", 'B'},
        {"Question: Which?\nAnswer: B\n\nQuestion: And this?\nAnswer: C", 'B'},
    };
    CHECK(t, NULL);
}

static void test_no_commitment(void **state)
{
    static const struct said t[] = {
        {"", '-'},
        {"I do not know.", '-'},
        {"A good question. I think a lot about it.", '-'},
        {"I, as a language model, cannot say.", '-'},
        {"The answer is a positive number", '-'},
        {"The answer is A positive number", '-'},
        {"The answer is I think unclear", '-'},
        {"The answer is F = ma", '-'},
        {"The answer is E=mc^2", '-'},
        {"the answer is f(x)", '-'},
        {"The answer is Carbon.", '-'},
        {"The answer is B2H6.", '-'},
        {"A. Paris is wrong.\nB. London is wrong.\nC. Maybe.", '-'},
        {"If the answer is B we are lost", '-'},
        {"The wrong answer is B", '-'},
        {"I would not choose B over tea", '-'},
        {"Vitamin C helps with P(A)", '-'},
        {"<think>The answer is B. Or", '-'},
        {"\\boxed{12}", '-'},
        {"\xff\xfe", '-'},
        {"The answer is C.S. Lewis", '-'},
        {"Which answer is correct, A or B?", '-'},
        {"The amount of $A$ is small. Then that of $B$ is large.", '-'},
        {"The answer is (A) and (C).", '!'},
        {"The answer is (CE).", '!'},
        {"\\boxed{A, C}", '!'},
        {"A and C", '!'},
        {"(A) or (B)", '!'},
        {"The answer is either A or B.", '!'},
        {"We conclude that (C) and (E) must be the correct answers.", '!'},
        {"None of the above", '!'},
        {"The two approaches are: (B) to count, and (D) to look.", '-'},
        {"The answer is A, B, and C.", '!'},
        {"The answer is none of the above.", '!'},
        {"The answer is (K).", '!'},
    };
    CHECK(t, NULL);
}

static void test_text_of_the_choice(void **state)
{
    static const struct said t[] = {
        {"London", 'B'},
        {"  new   york. ", 'C'},
        {"The answer is London.", 'B'},
        {"The answer is the New York", 'C'},
        {"So it is far.\n\nAnswer: 3.14 km", 'D'},
        {"\\boxed{\\text{Paris}}", 'A'},
        {"We look at the map.\nLondon", 'B'},
        {"The answer is London. It is in England.", 'B'},
        {"We looked at the map.\n\n**B. London**", 'B'},
        {"The capital of England is London.", 'B'},
        {"It's London.", 'B'},
        {"London is the correct answer.", 'B'},
        {"I think the answer is London, because it is there.", 'B'},
        {"The capital is B. London. It is in England.\nMore of it.", 'B'},
        {"The capital is B. Leeds. It is in England.\nMore of it.", '-'},
        {"I like London", '-'},
        {"The answer is 314 km", '-'},
        {"The answer is x.", '-'},
        {"The answer is (E).", '!'},
    };
    CHECK(t, CITIES);
    assert_int_equal(letter("The answer is Rome", "[\"Rome\",\"rome\",\"Oslo\",\"Bern\"]"), '-');
    static const struct said roman[] = {
        {"The answer is I and II.", 'C'},
        {"The answer is B. II only", 'B'},
        {"I only", 'A'},
        {"Both A and B", 'D'},
    };
    CHECK(roman, "[\"I only\",\"II only\",\"I and II\",\"Both A and B\"]");
    assert_int_equal(letter("Bern", "[\"A. Rome\",\"B. Athens\",\"C. Oslo\",\"D. Bern\"]"), 'D');
}

static void test_references(void **state)
{
    static const char *const london[] = {"B",      "b",       "(B)", "B.",
                                         "London", " london", "1",   "B. London"};
    for (size_t i = 0; i < sizeof london / sizeof *london; i++)
        assert_true(score("choice", "The answer is B", london[i], CITIES).value == 1);
    assert_true(score("choice1", "The answer is B", "2", CITIES).value == 1);
    assert_true(score("choice1", "The answer is B", "B", CITIES).value == 1);
    assert_true(score("choice", "The answer is C", "2", NULL).value == 1);
    /* a number that is a choice's text is that text */
    assert_true(score("choice", "A", "2", "[\"2\",\"4\",\"6\"]").value == 1);

    static const char *const none[] = {"E", "Rome", "4", "-1", "", "BB"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct lmw_score s = score("choice", "The answer is B", none[i], CITIES);
        assert_true(isnan(s.value) && s.bad_reference);
    }
    assert_true(score("choice1", "A", "0", CITIES).bad_reference);
    assert_true(score("choice", "A", "A", "{\"a\":1}").bad_reference);
    assert_true(score("choice", "A", "A", "[]").bad_reference);
    assert_true(score("choice", "A", "A", "[1]").bad_reference);
    assert_false(score("choice", "no idea", "A", CITIES).bad_reference);
}

static void test_reasons(void **state)
{
    assert_non_null(strstr(score("choice", "no idea", "A", NULL).reason, "no choice"));
    assert_non_null(strstr(score("choice", "Answer: C", "A", NULL).reason, "(C), not (A)"));
    assert_non_null(strstr(score("choice", "Answer: (F)", "A", CITIES).reason, "4 choices"));
    assert_non_null(strstr(score("choice", "Answer: A or B", "A", NULL).reason, "another"));
    assert_non_null(strstr(score("choice", "B", NULL, NULL).reason, "no reference"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ways_to_say_it), cmocka_unit_test(test_last_one_wins),
        cmocka_unit_test(test_no_commitment),  cmocka_unit_test(test_text_of_the_choice),
        cmocka_unit_test(test_references),     cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
