/* The scorers of numbers and of mathematics. */
#include "score/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *answer, *reference;
    double value; /* NaN: unscorable */
};
#define NONE ((double)NAN)

static void check(const char *scorer, const struct row *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct lmw_score s;
        lmw_score(lmw_scorer_find(scorer, NULL), t[i].answer, t[i].reference, NULL, &s);
        if (isnan(s.value) != isnan(t[i].value) || (!isnan(s.value) && s.value != t[i].value) ||
            s.bad_reference || (s.value == 1) != (s.reason[0] == 0))
            fail_msg("%s: '%s' for '%s': %g (%s), not %g", scorer, t[i].answer, t[i].reference,
                     s.value, s.reason, t[i].value);
    }
}
#define CHECK(scorer, t) check(scorer, t, sizeof t / sizeof *t)

static void test_numbers(void **state)
{
    static const struct row t[] = {
        {"18", "18", 1},
        {"18.0", "18", 1},
        {"$18", "18", 1},
        {"18 dollars", "18", 1},
        {"\xe2\x82\xac 1,234.50", "1234.5", 1},
        {"1,234,567", "1234567", 1},
        {"12,34,567", "1234567", 1},
        {"1'000", "1000", 1},
        {"1{,}000", "1000", 1},
        {"1\\,000 km", "1000", 1},
        {"3,14", "3.14", 1},
        {"-5", "-5", 1},
        {"\xe2\x88\x92"
         "5",
         "-5", 1},
        {"-$5", "-5", 1},
        {"5", "-5", 0},
        {"x = -5", "-5", 1},
        {".5", "0.5", 1},
        {"1/2", "0.5", 1},
        {"1 1/2 cups", "1.5", 1},
        {"1\xc2\xbd", "1.5", 1},
        {"\xc2\xbe", "0.75", 1},
        {"\\frac{3}{4}", "0.75", 1},
        {"\\dfrac34", "3/4", 1},
        {"-\\frac{1}{2}", "-0.5", 1},
        {"1\\frac{1}{2}", "1.5", 1},
        {"45%", "45", 1},
        {"45\\%", "0.45", 1},
        {"45%", "45 %", 1},
        {"0.45", "45%", 1},
        {"45%", "4.5", 0},
        {"6.02e23", "6.02 x 10^23", 1},
        {"1.5 \\times 10^{-3}", "0.0015", 1},
        {"10^5", "100000", 1},
        {"3 million", "3000000", 1},
        {"2.5 thousand", "2500", 1},
        {"0.333333", "1/3", 1},
        {"0.33", "1/3", 0},
        {"2.71828", "2.72", 1},
        {"2.7", "2.72", 0},
        {"2.73", "2.72", 0},
        {"0.46", "0.5", 0},
        {"18.5", "18", 0},
        {"1000000007", "1000000000", 0},
        /* as models write without LaTeX: superscripts, narrow spaces, a hyphen that does not
         * break */
        {"1.5 × 10⁻³", "0.0015", 1},
        {"6.02 × 10²³ molecules", "6.02e23", 1},
        {"10²", "100", 1},
        {"2.5 * 10**2", "250", 1},
        {"**18** eggs", "18", 1},
        {"5 m²", "5", 1},
        {"12\u202f345", "12345", 1},
        {"1\u00a0234\u00a0567 km", "1234567", 1},
        {"12\u202fkm", "12", 1},
        {"\u20115", "-5", 1},
        {"1.234,56 €", "1234.56", 1},
        {"1.234,5", "1234.5", 1},
        {"0.125,1", "1", 1}, /* two numbers */
        {"The temperature is -3 degrees.", "-3", 1},
        {"It fell to $-3$ degrees.", "-3", 1},
        {"That leaves x - 3", "3", 1},
        {"It takes 2\u20133 hours.", "3", 1},
        {"Rs.500", "500", 1},
        {"1.5\u00d710^(-4)", "0.00015", 1},
        {"minus 5", "-5", 1},
        {"10 minus 5", "5", 1},
        {"42 m/s^2", "42", 1},
    };
    CHECK("numeric", t);
}

static void test_which_number(void **state)
{
    static const struct row t[] = {
        {"16 - 3 - 4 = 9 eggs. 9 x 2 = 18.\n#### 18", "16-3-4=9\n#### 18", 1},
        {"The answer is 18 dollars for 9 eggs.", "18", 1},
        {"The answer is 9 * 2 = 18 dollars.", "18", 1},
        {"**Answer:** $18", "18", 1},
        {"Final answer:\n\n18", "18", 1},
        {"So \\boxed{18} eggs in 7 days", "18", 1},
        {"\\boxed{\\text{18 eggs}}, more than 5", "18", 1},
        {"The answer is 17. No: the answer is 18, not 16.", "18", 1},
        {"The answer is not 5. 3 + 4 = 7", "7", 1},
        {"The answer is 3 4.5 times", "3", 1},
        {"The answer is 7 5/3 times", "7", 1},
        {"9 eggs at 2 dollars make 18", "18", 1},
        {"A: 18", "18", 1},
        {"<think>18</think> 17", "18", 0},
        /* headings and steps state nothing, and a list's mark is no sign */
        {"#### Step 1: Add\n3 + 4 = 7\n#### Step 2: Double it\nThat makes 7 * 2 = 14.", "14", 1},
        {"#### 1. Add\n3 + 4 = 7\n#### 2. Double it\nThat makes 7 * 2 = 14.", "14", 1},
        {"#### **Total: 14**", "14", 1},
        {"#### 14. ", "14", 1},
        {"To answer this question, we need these steps:\n1. 3 + 4 = 7\n2. She sells 9 for $18.",
         "18", 1},
        {"Let's find the answer step by step:\n\n1. She has 16 eggs.\n2. 9 of them make $18.",
         "18", 1},
        {"Answer:\n\n1,234", "1234", 1},
        {"She makes:\n- $18", "18", 1},
        {"She owes:\n-18", "-18", 1},
        /* remarks and reasons do not count */
        {"The answer is 18 (16 \u2212 3 \u2212 4 = 9 eggs).", "18", 1},
        {"The answer is 2 (3 + 4) = 14.", "14", 1},
        {"The answer is (9 * 2 = 18)", "18", 1},
        {"The answer is $18, since 9 x $2 = $18 and 16 - 7 = 9.", "18", 1},
        {"She has 7 apples (3 red and 4 green).", "7", 1},
        {"18\n\nShe has 9 eggs left and sells each for 2 dollars.", "18", 1},
        /* and so does another turn */
        {"The answer is 18.\n\nQuestion: How many apples?\nAnswer: 7", "18", 1},
        {"#### 18\n\nQ: Tom has 3.\nA: 3\n#### 3", "18", 1},
        {"Question: How many?\nAnswer: 18\n\nQuestion: And now?\nAnswer: 3", "18", 1},
        {"18<|im_end|> 5", "18", 1},
        {"I see 5 eggs.\nThat is all.\n\nQuestion: how many?\nAnswer: 18", "18", 1},
        {"B2 and H2O", "2", NONE},
        {"no idea", "18", NONE},
        {"", "18", NONE},
    };
    CHECK("numeric", t);
    struct lmw_score s;
    static const char *const bad[] = {"", "eighteen", "3 or 4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lmw_score(lmw_scorer_find("numeric", NULL), "18", bad[i], NULL, &s);
        assert_true(isnan(s.value) && s.bad_reference);
    }
}

static void test_math(void **state)
{
    static const struct row t[] = {
        {"\\boxed{\\frac{1}{2}}", "\\frac12", 1},
        {"\\boxed{\\dfrac{2}{4}}", "0.5", 1},
        {"\\boxed{1/2}", "\\frac{1}{2}", 1},
        {"\\boxed{.5}", "\\frac{1}{2}", 1},
        {"\\boxed{\\frac{1}{3}}", "0.33", 0},
        {"The answer is $2\\sqrt{3}$.", "\\sqrt{12}", 1},
        {"\\boxed{\\frac{\\sqrt3}{3}}", "\\frac{1}{\\sqrt{3}}", 1},
        {"\\boxed{\\left( 3, \\frac{\\pi}{2} \\right)}", "(3,\\frac{\\pi}{2})", 1},
        {"\\boxed{(3, 4)}", "(4, 3)", 0},
        {"\\boxed{(0,1]}", "(0,1)", 0},
        {"\\boxed{[0,1)}", "[0, 1)", 1},
        {"\\boxed{(-\\infty,2)\\cup(3,\\infty)}", "(3,\\infty)\\cup(-\\infty,2)", 1},
        {"\\boxed{x\\in(-\\infty,2)}", "(-\\infty, 2)", 1},
        {"\\boxed{\\{1,2,3\\}}", "\\{3,2,1\\}", 1},
        {"\\boxed{1, 2, 3}", "3,2,1", 1},
        {"\\boxed{1,2}", "1,2,3", 0},
        {"The answers are x = 1 or x = 2", "1, 2", 1},
        {"\\boxed{1 \\pm \\sqrt{2}}", "1-\\sqrt2, 1+\\sqrt2", 1},
        {"\\boxed{90^\\circ}", "90", 1},
        {"\\boxed{90^{\\circ}}", "90^\\circ", 1},
        {"\\boxed{50\\%}", "50", 1},
        {"\\boxed{\\$1,000}", "1000", 1},
        {"\\boxed{10,000}", "10000", 1},
        {"\\boxed{5\\text{ cm}}", "5", 1},
        {"\\boxed{12 \\text{ square feet}}", "12", 1},
        {"\\boxed{12 square feet}", "12", 1},
        {"\\boxed{\\text{Monday}}", "monday", 1},
        {"\\boxed{\\text{east}}", "\\text{seat}", 0},
        {"\\boxed{x^2+2x+1}", "(x+1)^2", 1},
        {"\\boxed{(x+1)(x-1)}", "x^2-1", 1},
        {"\\boxed{x^2-1}", "x^2+1", 0},
        {"\\boxed{y = 2x + 1}", "y=1+2x", 1},
        {"\\boxed{2x+1}", "f(x) = 2x+1", 1},
        {"\\boxed{x+y=3}", "3=y+x", 1},
        {"\\boxed{1\\frac{1}{2}}", "\\frac{3}{2}", 1},
        {"\\boxed{\\log_2 8}", "3", 1},
        {"\\boxed{\\sin^2 x+\\cos^2 x}", "1", 1},
        {"\\boxed{\\binom{5}{2}}", "10", 1},
        {"\\boxed{5!}", "120", 1},
        {"\\boxed{2^{10}}", "1024", 1},
        {"\\boxed{-\\frac{1}{2}}", "\\frac{-1}{2}", 1},
        {"\\boxed{1011_2}", "1011_2", 1},
        {"\\boxed{1011_2}", "1011_3", 0},
        {"\\boxed{\\begin{pmatrix}1\\\\2\\end{pmatrix}}",
         "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", 1},
        {"3\xcf\x80", "3\\pi", 1},
        {"x\xc2\xb2", "x^2", 1},
        {"Final Answer: The final answer is $5$. I hope it is correct.", "5", 1},
        {"\\boxed{4}, no, \\boxed{5}", "5", 1},
        {"42", "42", 1},
        {"\\boxed{3x**2}", "3x^2", 1},
        {"**3x**", "3x", 1},
        {"\\boxed{12\\text{ cm}^2}", "12", 1},
        {"\\boxed{12\\,\\mathrm{cm}^{2}}", "12", 1},
        {"\\boxed{9.8\\ \\text{m}/\\text{s}^2}", "9.8", 1},
        {"\\boxed{3\\pi \\text{ square units}}", "3\\pi", 1},
        {"\\boxed{864\\text{ in}^2}", "864 \\mbox{ inches}^2", 1},
        {"\\boxed{\\ln x^2}", "2\\ln x", 1},
        {"\\boxed{(3,+\\infty)}", "(3,\\infty)", 1},
        {"\\boxed{(3,-\\infty)}", "(3,\\infty)", 0},
        {"\\boxed{\\cot(x)}", "\\cot x", 1},
        {"\\boxed{r^2 h\\pi}", "\\pi r^2 h", 1},
        {"\\boxed{x\\in A}", "x \\in A", 1},
        {"\\boxed{2516_{8}}", "2516_8", 1},
        {"\\boxed{x_{1}+x_2}", "x_1+x_{2}", 1},
        {"x⁴ + x⁻¹⁰", "x^4+x^{-10}", 1},
        {"12\u202f345", "12345", 1},
        {"\\boxed{\u20115}", "-5", 1},
        {"\\boxed{C}", "\\text{(C)}", 1},
        {"The answer is\n\\[\n\\frac{1}{2}\n\\]", "\\frac12", 1},
        {"#### Step 2: solve\nSo \\boxed{7}\n#### Check\nfine", "7", 1},
        {"\\boxed{1\f+\v2}", "3", 1},
        /* what stands around a result */
        {"So the probability is $\\frac{1}{2}$.", "\\frac12", 1},
        {"We add.\nThus the sum is \\(5\\).", "5", 1},
        {"Therefore $x \\geq 5$ is the solution.", "x >= 5", 1},
        {"The answer is 5, since $2+4=6$.", "5", 1},
        {"The answer is 5.\n\nQuestion: next\nThe answer is 6.", "5", 1},
        {"\\boxed{\\frac{3}{6} = \\frac{1}{2}}", "\\frac12", 1},
        {"\\boxed{3 \\times 4 = 12}", "12", 1},
        {"\\boxed{3 \\times 4 = 13}", "13", 0},
        {"\\boxed{x = 2+3 = 5}", "5", 1},
        {"\\boxed{\\frac13 \\approx 0.33}", "\\frac13", 1},
        {"\\boxed{x \\approx 0.33}", "0.33", 1},
        {"\\boxed{|AB| = 5}", "5", 1},
        {"\\boxed{\\angle A = 5^\\circ}", "5", 1},
        {"\\boxed{(x, y) = (3, -1)}", "(3,-1)", 1},
        {"\\boxed{2x = 10}", "10", 0},
        {"\\boxed{5\\textnormal{ miles}}", "5", 1},
        /* lists and sets */
        {"\\boxed{1}, \\boxed{2}, and $\\boxed{3}$", "1,2,3", 1},
        {"\\boxed{1}, I mean \\boxed{2}", "1,2", 0},
        {"\\boxed{1, 2, \\text{ and } 3}", "1,2,3", 1},
        {"\\boxed{\\{1,2\\}}", "1,2", 1},
        {"{2,-2}", "\\pm 2", 1},
        /* inequalities and intervals */
        {"\\boxed{-2 \\le x < 7}", "[-2,7)", 1},
        {"\\boxed{7 > x \\ge -2}", "[-2,7)", 1},
        {"\\boxed{-2 < x < 7}", "[-2,7)", 0},
        {"\\boxed{5 \\ge x}", "x \\le 5", 1},
        {"\\boxed{5 \\le x}", "x \\le 5", 0},
        {"\\boxed{x>3}", "(3,\\infty)", 1},
        /* equations of one line, matrices of equal cells */
        {"\\boxed{y=-\\frac12 x+\\frac34}", "2x+4y-3=0", 1},
        {"\\boxed{2x+4y-4=0}", "2x+4y-3=0", 0},
        {"\\boxed{\\begin{bmatrix}-2\\\\ 0.5\\end{bmatrix}}",
         "\\begin{pmatrix} -2 \\\\ \\frac12 \\end{pmatrix}", 1},
        {"\\boxed{\\left[\\begin{array}{cc}1&2\\\\3&4\\\\\\end{array}\\right]}",
         "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", 1},
        {"\\boxed{\\begin{pmatrix}-2&0.5\\end{pmatrix}}",
         "\\begin{pmatrix}-2\\\\0.5\\end{pmatrix}", 0},
        {"\\boxed{\\begin{vmatrix}1\\end{vmatrix}}", "\\begin{pmatrix}1\\end{pmatrix}", 0},
        {"\\boxed{32,\\! 349}", "32349", 1},
        {"\\boxed{\\lfloor 5.3 \\rfloor}", "5", 1},
        {"\\boxed{\\frac\\pi4}", "\\frac{\\pi}{4}", 1},
        {"11*sqrt(2)*pi", "11\\sqrt2\\pi", 1},
        {"\\boxed{}", "5", NONE},
        {"We add.\nThen we stop.", "5", NONE},
        {"", "5", NONE},
    };
    CHECK("math", t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_which_number),
        cmocka_unit_test(test_math),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
