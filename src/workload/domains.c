/* The 22 occupational categories of the Anthropic Economic Index (the major groups of the Standard
 * Occupational Classification, as "Intelligence per Watt", arXiv 2511.07885v4, tables 3 to 5,
 * names them) and None: their names, what a model is asked to sort a question by, how its answer
 * is read, and a fall-back by keywords for where there is neither a model nor anything to fit
 * on. */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "workload/workload.h"

/* The keywords are ours: each a word or the beginning of one (with '*'), in lower case. */
static const struct {
    const char *name, *words;
} domains[] = {
    {"Computer and mathematical",
     "code python java javascript c++ program* function algorithm* software database sql api html "
     "css linux server bug compile* equation* integral derivative matrix theorem* probability "
     "statistic* algebra calculus integer* polynomial* solve graph* array script variable*"},
    {"Life, physical, social science",
     "physics chemi* biolog* cell* dna rna protein* molecul* atom* electron* quantum energy "
     "planet* star stars galaxy species evolution experiment* psycholog* sociolog* geolog* enzyme* "
     "velocity temperature gene genes reaction* acid* ecosystem* climate astronom*"},
    {"Sales and related",
     "sales salesperson seller* retail customer* shop store product* price* discount* coupon* buy "
     "purchase* advertis* ecommerce listing* cart checkout refund* order*"},
    {"Business and financial operations",
     "invest* stock* bank* loan* interest tax* account* audit* budget* finance financial market* "
     "revenue profit* invoice* insurance mortgage inflation portfolio* credit econom* payment*"},
    {"Production services",
     "factory machin* manufactur* assembly weld* cnc lathe mold* sewing textile* packaging"},
    {"Office and administrative support",
     "email* letter memo meeting* schedul* calendar spreadsheet excel receptionist clerk* filing "
     "minutes agenda appointment* reminder* typing secretary"},
    {"Healthcare practitioners and technical",
     "patient* doctor* diagnos* symptom* disease* treatment* drug* medic* surg* nurse* clinical "
     "dose* infection* cancer therapy hospital* blood heart lung* syndrome vaccin* pharma*"},
    {"Installation, maintenance, repair",
     "repair* fix mechanic* engine* brake* install* maintenance wiring hvac broken replace* leak* "
     "troubleshoot* oil battery tire tires"},
    {"Architecture and engineering",
     "engineer* circuit* voltage beam* bridge* load* stress torque structural architect* cad "
     "hydraulic* thermodynamic* transistor* antenna* turbine* blueprint* civil amplifier*"},
    {"Protective service",
     "police officer* crime* criminal* fire firefight* security guard* emergency rescue military "
     "weapon* fraud*"},
    {"Education instruction and library",
     "teach* student* lesson* essay* school* classroom curriculum homework exam* quiz* library "
     "university college course* grammar tutor* thesis dissertation"},
    {"Farming, fishing, forestry",
     "farm* crop* soil harvest* cattle fish fishing forest* livestock seed* fertili* irrigation "
     "agricultur* tractor* poultry"},
    {"General management",
     "manag* leader* strategy strategic team* stakeholder* project* executive* company* ceo "
     "kpi roadmap organization* business"},
    {"Transportation and material moving",
     "truck* driver* drive flight* airport* train trains bus ship* cargo freight logistic* warehouse "
     "traffic pilot* route* delivery taxi"},
    {"Construction and extraction",
     "construction concrete brick* roof* carpent* plumb* excavat* drilling mining scaffold* lumber "
     "drywall foundation contractor*"},
    {"Food preparation and serving",
     "recipe* cook* bake* baking food restaurant* chef ingredient* dish* meal* kitchen menu* sauce "
     "calories dinner lunch breakfast soup*"},
    {"Community and social service",
     "counsel* community charity nonprofit volunteer* social religio* church god bible pastor "
     "homeless addiction grief welfare"},
    {"Arts, design, sports, entertainment, media",
     "story stories character* novel poem* song* lyric* movie* film* game* anime music art draw* "
     "paint* design* logo photo* actor* sport* football basketball player* fiction scene* episode* "
     "prompt midjourney write script* blog youtube video* celebrit*"},
    {"Building grounds cleaning, maintenance",
     "clean* laundry janitor* garden* lawn vacuum* mop stain* pest* landscap* housekeep* dishwash*"},
    {"Legal services",
     "law laws legal court* lawyer* attorney* contract* lawsuit* judge* plaintiff defendant statute* "
     "liability constitution* copyright tort patent*"},
    {"Healthcare support",
     "caregiver* aide* elderly massage physiotherap* rehabilitation dental orderly caring wheelchair*"},
    {"Personal care and service",
     "hair* makeup skin nail* beauty spa fitness childcare babysit* pet pets dog cat grooming "
     "wedding* tattoo*"},
    {"None", ""},
    {NULL, NULL},
};

const char *lmw_domain_name(int i)
{
    int n = (int)(sizeof domains / sizeof *domains) - 1;
    return i >= 0 && i < n ? domains[i].name : NULL;
}

/* ---- keywords ---- */

/* A word against one of a list: the same, or beginning with it where it ends in '*'. */
static bool is_listed(lmw_str word, const char *list)
{
    for (size_t n; *list; list += n + (list[n] == ' ')) {
        n = strcspn(list, " ");
        bool is_stem = n > 0 && list[n - 1] == '*';
        size_t m = n - is_stem;
        if ((word.len == m || (is_stem && word.len > m)) && strncasecmp(word.ptr, list, m) == 0)
            return true;
    }
    return false;
}

static bool next_word(lmw_str *left, lmw_str *word)
{
    size_t n = 0;

    while (left->len && !isalnum((unsigned char)left->ptr[0]))
        left->ptr++, left->len--;
    while (n < left->len && (isalnum((unsigned char)left->ptr[n]) || left->ptr[n] == '+'))
        n++;
    *word = (lmw_str){left->ptr, n};
    left->ptr += n;
    left->len -= n;
    return n > 0;
}

const char *lmw_domain_by_keywords(const char *text)
{
    int hits[sizeof domains / sizeof *domains] = {0}, best = -1;
    lmw_str left = lmw_str_from(text), word;
    bool is_tie = false;

    for (int n = 0; n < 2000 && next_word(&left, &word); n++)
        for (int i = 0; domains[i].name; i++)
            hits[i] += is_listed(word, domains[i].words);
    for (int i = 0; domains[i].name; i++) {
        if (hits[i] > 0 && (best < 0 || hits[i] > hits[best]))
            best = i, is_tie = false;
        else if (best >= 0 && hits[i] == hits[best])
            is_tie = true;
    }
    return best >= 0 && !is_tie ? domains[best].name : "None";
}

/* ---- by a model ---- */

enum { QUESTION_MAX = 4000 }; /* bytes of a question a model is shown: the beginning says enough */

void lmw_domain_prompt(const char *question, struct lmw_buf *out)
{
    lmw_str text = lmw_str_trim(lmw_str_from(question));

    lmw_buf_str(out,
                "Below are categories of work, then a message somebody sent to an assistant. "
                "Which category of work does the message belong to? Reply with the name of one "
                "category, exactly as it is written here, and nothing else. Reply None when no "
                "category fits.\n\n");
    for (int i = 0; domains[i].name; i++)
        lmw_buf_printf(out, "- %s\n", domains[i].name);
    text = lmw_utf8_cut(text, QUESTION_MAX);
    lmw_buf_str(out, "\nMessage:\n");
    lmw_buf_put(out, text.ptr, text.len);
    lmw_buf_str(out, "\n\nCategory:");
}

uint64_t lmw_domain_prompt_hash(void)
{
    struct lmw_buf b = {0};

    lmw_domain_prompt("", &b);
    uint64_t hash = lmw_str_hash((lmw_str){b.ptr, b.len});
    lmw_buf_free(&b);
    return hash;
}

/* Letters only, in lower case, one space for anything between them. */
static void plain_words(const char *text, struct lmw_buf *out)
{
    lmw_buf_str(out, " ");
    for (; *text; text++) {
        char c = (char)tolower((unsigned char)*text);
        if (isalpha((unsigned char)c))
            lmw_buf_put(out, &c, 1);
        else if (out->ptr && out->ptr[out->len - 1] != ' ')
            lmw_buf_str(out, " ");
    }
    if (out->ptr && out->ptr[out->len - 1] != ' ')
        lmw_buf_str(out, " ");
}

const char *lmw_domain_parse(const char *answer)
{
    struct lmw_buf said = {0}, name = {0};
    const char *found = NULL;
    bool is_one = true;

    plain_words(answer, &said);
    for (int i = 0; domains[i].name && said.ptr && is_one; i++) {
        bool is_none = strcmp(domains[i].name, "None") == 0;
        name.len = 0;
        plain_words(domains[i].name, &name);
        /* "none" is a word of its own: only the whole answer counts. */
        bool is_in = name.ptr && (is_none ? strcmp(said.ptr, name.ptr) == 0
                                          : strstr(said.ptr, name.ptr) != NULL);
        is_one = !(is_in && found);
        found = is_in ? domains[i].name : found;
    }
    lmw_buf_free(&said);
    lmw_buf_free(&name);
    return is_one ? found : NULL;
}

/* ---- into a record ---- */

int lmw_domain_set(struct lmw_record *r, const char *domain, const char *by,
                   struct lmw_arena *arena, struct lmw_err *err)
{
    json_t *extra = json_loads(r->extra ? r->extra : "{}", 0, NULL);
    char *text;

    if (r->domain)
        json_object_set_new(extra, "domain_before", json_string(r->domain));
    json_object_set_new(extra, "domain_by", json_string(by));
    text = extra ? json_dumps(extra, JSON_COMPACT) : NULL;
    json_decref(extra);
    r->extra = text ? lmw_arena_str(arena, lmw_str_from(text)) : NULL;
    r->domain = domain ? lmw_arena_str(arena, lmw_str_from(domain)) : NULL;
    free(text);
    return r->extra && (r->domain || !domain) ? 0 : lmw_fail(err, LMW_ENOMEM, "out of memory");
}
