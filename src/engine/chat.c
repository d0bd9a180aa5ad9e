/* The templates that need no interpreter: text with values put in.
 *
 * template   = { text | "{{" ["-"] term { "+" term } ["-"] "}}" }
 * term       = string | "bos_token" | "messages" "[" "0" "]" ( "." "content" | "[" string "]" )
 *
 * "-" strips the white space of the text on its side. Source: Jinja's template designer
 * documentation. Statements ({% %}), comments, filters, other variables and other messages are
 * refused by name: a prompt that is nearly right would be measured as if the model were worse
 * than it is. */
#include "engine/chat.h"

struct render {
    lmw_str tmpl, bos, message;
    size_t at;
    struct lmw_buf *out;
    struct lmw_err *err;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool next_is(const struct render *r, const char *what)
{
    return lmw_str_starts((lmw_str){r->tmpl.ptr + r->at, r->tmpl.len - r->at}, what);
}

static void skip_space(struct render *r)
{
    while (r->at < r->tmpl.len && is_space(r->tmpl.ptr[r->at]))
        r->at++;
}

/* Takes a symbol or a whole name, with the white space in front. */
static bool take(struct render *r, const char *what)
{
    skip_space(r);
    size_t end = r->at + strlen(what);
    if (!next_is(r, what) || (is_name(*what) && end < r->tmpl.len && is_name(r->tmpl.ptr[end])))
        return false;
    r->at = end;
    return true;
}

static int refuse(struct render *r, size_t at)
{
    size_t n = 0;
    while (at + n < r->tmpl.len && n < 40 && r->tmpl.ptr[at + n] != '\n')
        n++;
    return lmw_fail(
        r->err, LMW_EUNSUPPORTED,
        "the chat template, at byte %zu: '%.*s' is beyond this build, which puts bos_token and "
        "messages[0]['content'] into text; send the prompt raw, already in the model's own format",
        at, (int)n, r->tmpl.ptr + at);
}

/* A quoted string; its bytes are appended to b. */
static bool take_string(struct render *r, struct lmw_buf *b)
{
    skip_space(r);
    char quote = r->at < r->tmpl.len ? r->tmpl.ptr[r->at] : 0;
    if (quote != '\'' && quote != '"')
        return false;
    for (size_t i = r->at + 1; i < r->tmpl.len; i++) {
        char c = r->tmpl.ptr[i];
        if (c == quote) {
            r->at = i + 1;
            return true;
        }
        if (c == '\\') {
            static const char from[] = "nrt\\'\"", to[] = "\n\r\t\\'\"";
            const char *k = i + 1 < r->tmpl.len && r->tmpl.ptr[i + 1]
                                ? strchr(from, r->tmpl.ptr[i + 1])
                                : NULL;
            if (!k)
                return false;
            c = to[k - from];
            i++;
        }
        lmw_buf_put(b, &c, 1);
    }
    return false;
}

/* After "messages[0]": .content or ['content']. */
static bool take_content(struct render *r)
{
    if (take(r, "."))
        return take(r, "content");
    struct lmw_buf key = {0};
    bool ok = take(r, "[") && take_string(r, &key) && take(r, "]") && key.ptr &&
              strcmp(key.ptr, "content") == 0;
    lmw_buf_free(&key);
    return ok;
}

static bool render_term(struct render *r)
{
    if (take(r, "bos_token")) {
        lmw_buf_put(r->out, r->bos.ptr, r->bos.len);
        return true;
    }
    if (take(r, "messages")) {
        if (!take(r, "[") || !take(r, "0") || !take(r, "]") || !take_content(r))
            return false;
        lmw_buf_put(r->out, r->message.ptr, r->message.len);
        return true;
    }
    return take_string(r, r->out);
}

static int render_value(struct render *r)
{
    size_t at = r->at;
    r->at += 2;
    r->at += next_is(r, "-");
    do {
        if (!render_term(r))
            return refuse(r, at);
    } while (take(r, "+"));
    bool strip = take(r, "-}}");
    if (!strip && !take(r, "}}"))
        return refuse(r, at);
    if (strip)
        skip_space(r);
    return LMW_OK;
}

static bool at_tag(const struct render *r)
{
    return next_is(r, "{{") || next_is(r, "{%") || next_is(r, "{#");
}

static void render_text(struct render *r)
{
    size_t from = r->at, to;
    while (r->at < r->tmpl.len && !at_tag(r))
        r->at++;
    to = r->at;
    if (r->at + 2 < r->tmpl.len && r->tmpl.ptr[r->at + 2] == '-')
        while (to > from && is_space(r->tmpl.ptr[to - 1]))
            to--;
    lmw_buf_put(r->out, r->tmpl.ptr + from, to - from);
}

static int render(struct render *r)
{
    int rc = LMW_OK;
    const char *cr = memchr(r->tmpl.ptr, '\r', r->tmpl.len); /* Jinja rewrites line ends */
    if (cr)
        return refuse(r, (size_t)(cr - r->tmpl.ptr));
    if (r->tmpl.ptr[r->tmpl.len - 1] == '\n')
        r->tmpl.len--;
    while (r->at < r->tmpl.len && rc == LMW_OK) {
        if (next_is(r, "{{"))
            rc = render_value(r);
        else if (at_tag(r))
            rc = refuse(r, r->at);
        else
            render_text(r);
    }
    return rc;
}

int lmw_chat_render(lmw_str tmpl, lmw_str bos, lmw_str message, struct lmw_buf *out,
                    struct lmw_err *err)
{
    struct render r = {tmpl, bos, message, 0, out, err};
    size_t len = out->len;
    int rc = LMW_OK;
    if (tmpl.len == 0)
        lmw_buf_put(out, message.ptr, message.len);
    else
        rc = render(&r);
    if (rc == LMW_OK && out->failed)
        rc = lmw_fail(err, LMW_ENOMEM, "no memory for a prompt of %zu bytes", len + message.len);
    if (rc < 0 && out->ptr) {
        out->len = len;
        out->ptr[len] = 0;
    }
    return rc;
}
