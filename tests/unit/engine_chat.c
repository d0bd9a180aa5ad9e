/* Chat templates: what renders, to which bytes, and what is refused without a trace. The
 * expected bytes are Jinja 3's for the same templates (trim_blocks and lstrip_blocks do not
 * matter without statements). */
#include "engine/chat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void renders(const char *tmpl, const char *expected)
{
    struct lmw_buf out = {0};
    struct lmw_err err = {0};
    lmw_buf_str(&out, ">");
    int rc =
        lmw_chat_render(lmw_str_from(tmpl), LMW_STR("<s>"), LMW_STR("2 {{ + }} 2?"), &out, &err);
    if (rc < 0)
        fail_msg("%s: %s", tmpl, err.msg);
    assert_string_equal(out.ptr + 1, expected);
    lmw_buf_free(&out);
}

static void test_renders(void **state)
{
    renders("", "2 {{ + }} 2?");
    renders("plain", "plain");
    renders("{{ messages[0]['content'] }}", "2 {{ + }} 2?");
    renders("{{messages[ 0 ] [\"content\"]}}", "2 {{ + }} 2?");
    renders("{{ messages[0].content }}\n\n", "2 {{ + }} 2?\n");
    renders("{{ messages[0]['content'] }}\n",
            "2 {{ + }} 2?"); /* the last newline goes, as in Jinja */
    renders("{{ messages[0]['content'] + '\\n' }}", "2 {{ + }} 2?\n");
    renders("{{ bos_token }}User: {{ messages[0]['content'] }} Bot:",
            "<s>User: 2 {{ + }} 2? Bot:");
    renders("a \n {{- bos_token -}} \n b", "a<s>b");
    renders("{{-bos_token-}}", "<s>");
    renders("{{ '<|user|>\\n' + messages[0]['content'] + \"'\" }}", "<|user|>\n2 {{ + }} 2?'");
    renders("} }} { %}", "} }} { %}");
}

static void refuses(const char *tmpl, const char *named)
{
    struct lmw_buf out = {0};
    struct lmw_err err = {0};
    lmw_buf_str(&out, "kept");
    assert_int_equal(lmw_chat_render(lmw_str_from(tmpl), LMW_STR(""), LMW_STR("hi"), &out, &err),
                     LMW_EUNSUPPORTED);
    assert_string_equal(out.ptr, "kept");
    if (!strstr(err.msg, named) || !strstr(err.msg, "raw"))
        fail_msg("'%s' should name '%s' and say what to do", err.msg, named);
    lmw_buf_free(&out);
}

static void test_refuses(void **state)
{
    refuses("x{% for m in messages %}{{ m['content'] }}{% endfor %}", "{% for m in messages %}");
    refuses("{{ messages[0]['content'] | trim }}", "| trim");
    refuses("{{ messages[0]['role'] }}", "role");
    refuses("{{ messages[1]['content'] }}", "messages[1]");
    refuses("{{ bos_tokens }}", "bos_tokens");
    refuses("{{ bos_token", "bos_token");
    refuses("{{ }}", "{{ }}");
    refuses("{{ 'a\\x41' }}", "x41");
    refuses("{{ 'open }}", "open");
    refuses("a{# note #}", "{# note #}");
    refuses("a\r\n", "byte 1");
    refuses("text {{ bos_token + }}", "byte 5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_renders),
                                       cmocka_unit_test(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
