/* The made-up values of shop-intents: brands, models, order numbers, coupon codes, addresses.
 *
 * Every function draws until the fingerprint of the value (for a brand, of its first two
 * syllables) is on the wanted side: 0 mod 4 is reserved for the test split. Results fit their
 * arrays by construction and hold ASCII letters, digits, dashes and spaces, addresses also
 * letters of the grammar: nothing that JSON would escape. One draw a statement throughout,
 * because the order in which arguments are evaluated is the compiler's choice and the bytes must
 * not be. */
#include "workload/shop.h"

#include <stdio.h>

lmw_str lmw_shop_pick(const struct shop_list *list, struct lmw_rng *rng)
{
    return list->at[lmw_rng_below(rng, (uint32_t)list->n)];
}

static bool on_side(lmw_str s, bool reserved)
{
    return (lmw_shop_fingerprint(s) % 4 == 0) == reserved;
}

static void syllable(struct lmw_rng *rng, char out[8])
{
    static const char *const onset[] = {"b",  "d",  "f",  "g",  "k",  "l",  "m",  "n",  "p",
                                        "r",  "s",  "t",  "v",  "z",  "br", "dr", "fl", "gr",
                                        "kl", "kr", "pl", "st", "tr", "qu", "sh", "w",  "j"};
    static const char *const coda[] = {"",  "",  "",  "l", "m",  "n", "r",
                                       "s", "t", "x", "k", "nd", "rk"};

    const char *first = onset[lmw_rng_below(rng, 27)];
    char vowel = "aeiou"[lmw_rng_below(rng, 5)];
    snprintf(out, 8, "%s%c%s", first, vowel, coda[lmw_rng_below(rng, 13)]);
}

/* "Zorvex": its first two syllables together are reserved or not. */
void lmw_shop_brand_name(struct lmw_rng *rng, bool reserved, char out[32])
{
    char a[8], b[8], c[8] = "";

    do {
        syllable(rng, a);
        syllable(rng, b);
        snprintf(out, 32, "%s%s", a, b);
    } while (!on_side(lmw_str_from(out), reserved));
    if (lmw_rng_below(rng, 5) == 0)
        syllable(rng, c);
    snprintf(out, 32, "%s%s%s", a, b, c);
    if (lmw_rng_below(rng, 10) == 0)
        for (char *p = out; *p; p++)
            *p = (char)(*p & ~0x20);
    else
        out[0] = (char)(out[0] & ~0x20);
}

/* " 300", " X-20", " Pro", "". */
void lmw_shop_model_suffix(struct lmw_rng *rng, bool reserved, char out[24])
{
    static const char *const word[] = {"Pro", "Mini", "Max", "Plus", "Lite", "One", "Air", "Neo"};
    uint32_t kind = lmw_rng_below(rng, 10), most = lmw_rng_below(rng, 2) ? 1000 : 10000;
    char digits[16];

    if (kind == 0) {
        out[0] = '\0';
        return;
    }
    do
        snprintf(digits, sizeof(digits), "%u", 2 + lmw_rng_below(rng, most - 2));
    while (!on_side(lmw_str_from(digits), reserved));
    char letter = (char)('A' + lmw_rng_below(rng, 26));
    if (kind < 5)
        snprintf(out, 24, " %s", digits);
    else if (kind < 6)
        snprintf(out, 24, " %c%s", letter, digits);
    else if (kind < 7)
        snprintf(out, 24, " %c-%s", letter, digits);
    else if (kind < 8)
        snprintf(out, 24, " %s %s", word[lmw_rng_below(rng, 8)], digits);
    else
        snprintf(out, 24, " %s", word[lmw_rng_below(rng, 8)]);
}

void lmw_shop_order_number(struct lmw_rng *rng, bool reserved, char out[32])
{
    static const char *const prefix[] = {"DE", "EU", "ORD", "A", "B", "WEB", "NL", "K", "X", "SO"};

    do {
        const char *pre = prefix[lmw_rng_below(rng, 10)];
        unsigned a = lmw_rng_below(rng, 90000) + 10000, b = lmw_rng_below(rng, 9000) + 1000;
        unsigned c = lmw_rng_below(rng, 900) + 100;
        switch (lmw_rng_below(rng, 9)) {
        case 0:
        case 1: snprintf(out, 32, "%u", a); break;
        case 2: snprintf(out, 32, "%u%u", c, b); break;
        case 3: snprintf(out, 32, "%u%u", b, b / 3 + c * 9); break;
        case 4: snprintf(out, 32, "%s-%u", pre, a); break;
        case 5: snprintf(out, 32, "%s%u", pre, a); break;
        case 6: snprintf(out, 32, "%s-20%u-%u", pre, 20 + c % 8, b); break;
        case 7: snprintf(out, 32, "%u-%u", c, b); break;
        default:
            snprintf(out, 32, "%c%u%c-%u", 'A' + (int)(a % 26), b % 10, 'A' + (int)(c % 26), b);
            break;
        }
    } while (!on_side(lmw_str_from(out), reserved));
}

void lmw_shop_coupon(struct lmw_rng *rng, bool reserved, char out[32])
{
    static const char *const word[] = {"SAVE",  "SPRING", "SUMMER", "WELCOME", "WINTER", "SALE",
                                       "BONUS", "HELLO",  "VIP",    "EXTRA",   "DEAL",   "FIRST",
                                       "SHOP",  "LUCKY",  "GIFT",   "FLASH"};

    do {
        unsigned n = 1 + lmw_rng_below(rng, lmw_rng_below(rng, 2) ? 99 : 9999);
        uint32_t kind = lmw_rng_below(rng, 6);
        char made[32];
        lmw_shop_brand_name(rng, lmw_rng_below(rng, 2), made);
        for (char *p = made; *p; p++)
            *p = (char)(*p & ~0x20);
        const char *w = kind < 3 ? word[lmw_rng_below(rng, 16)] : made;
        unsigned i = lmw_rng_below(rng, 26), k = lmw_rng_below(rng, 26);
        if (kind == 5)
            snprintf(out, 32, "%c%u%c%u%c", 'A' + (int)(n % 26), n % 10, 'A' + (int)i, n * 7 % 100,
                     'A' + (int)k);
        else
            snprintf(out, 32, kind % 3 == 0 ? "%s-%u" : "%s%u", w, n);
    } while (!on_side(lmw_str_from(out), reserved));
}

void lmw_shop_address(const struct shop_language *l, struct lmw_rng *rng, bool reserved,
                      char out[128])
{
    do {
        lmw_str street = lmw_shop_pick(&l->list[SHOP_STREET], rng);
        lmw_str city = lmw_shop_pick(&l->list[SHOP_CITY], rng);
        unsigned n = 1 + lmw_rng_below(rng, 199), zip = 10000 + lmw_rng_below(rng, 89999);
        bool with_zip = lmw_rng_below(rng, 3) == 0;
        char tail[64];
        snprintf(tail, sizeof(tail), with_zip ? "%u %.*s" : "%.0u%.*s", with_zip ? zip : 0,
                 LMW_FMT(city));
        if (l->house_number_first)
            snprintf(out, 128, "%u %.*s, %s", n, LMW_FMT(street), tail);
        else
            snprintf(out, 128, "%.*s %u, %s", LMW_FMT(street), n, tail);
    } while (!on_side(lmw_str_from(out), reserved));
}
