/* Inside of the shop-intents generator: the grammar (shop_grammar.c), the made-up
 * values (shop_values.c), the disturbances (shop_noise.c) and the sampler (shop.c). */
#ifndef LMW_WORKLOAD_SHOP_H
#define LMW_WORKLOAD_SHOP_H

#include "base/arena.h"
#include "base/err.h"
#include "base/rng.h"
#include "base/str.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stdint.h>

enum { SHOP_LANGUAGES = 10, SHOP_INTENTS = 15, SHOP_GREETING = SHOP_INTENTS - 1 };

struct shop_list {
    lmw_str *at;
    int n;
};
struct shop_template {
    lmw_str text;
    bool shared; /* another template can make one of its sentences: never reserved */
    bool reserved;
};
struct shop_noun {
    lmw_str one, many;
    char article; /* code of its row in the article table */
    bool sized, reserved;
};
struct shop_number {
    lmw_str word;
    int value;
    lmw_str articles; /* article codes it goes with; empty: all */
};
struct shop_article {
    char code;
    lmw_str definite, indefinite, nominative, ending; /* may be empty */
};

/* The plain lists of a language, each a section of its file. */
enum shop_section {
    SHOP_QUANTITY,
    SHOP_ATTRIBUTE,
    SHOP_COLOUR,
    SHOP_STREET,
    SHOP_CITY,
    SHOP_OPENER,
    SHOP_TAIL,
    SHOP_FILLER,
    SHOP_SECTIONS
};

struct shop_language {
    const char *name;
    bool brand_first, house_number_first;
    struct shop_article *article;
    struct shop_noun *noun;
    struct shop_number *number;
    int n_article, n_noun, n_number;
    struct shop_list list[SHOP_SECTIONS];
    struct {
        struct shop_template *at;
        int n, n_reserved;
    } intent[SHOP_INTENTS];
};

/* All languages, parsed from the embedded files into the arena, with what is reserved marked. */
int lmw_shop_grammar_load(struct shop_language out[SHOP_LANGUAGES], struct lmw_arena *arena,
                          struct lmw_err *err);
/* The hash that decides who is reserved: letters and digits only, ASCII case ignored. */
uint64_t lmw_shop_fingerprint(lmw_str s);

/* One of the list. */
lmw_str lmw_shop_pick(const struct shop_list *list, struct lmw_rng *rng);
/* Made-up values, on the reserved side of the split or off it (shop_values.c). */
void lmw_shop_brand_name(struct lmw_rng *rng, bool reserved, char out[32]); /* "Zorvex" */
void lmw_shop_model_suffix(struct lmw_rng *rng, bool reserved,
                           char out[24]); /* " 300", " Pro", "" */
void lmw_shop_order_number(struct lmw_rng *rng, bool reserved, char out[32]);
void lmw_shop_coupon(struct lmw_rng *rng, bool reserved, char out[32]);
void lmw_shop_address(const struct shop_language *l, struct lmw_rng *rng, bool reserved,
                      char out[128]);

/* A message under construction: pieces of running text and of slot values, in order. */
enum shop_slot {
    SHOP_TEXT, /* not a slot */
    SHOP_PRODUCT,
    SHOP_PRODUCT_2,
    SHOP_N,
    SHOP_SIZE,
    SHOP_COLOUR_SLOT,
    SHOP_ORDER,
    SHOP_COUPON,
    SHOP_ADDRESS,
    SHOP_SLOTS
};
enum { SHOP_PIECES = 48, SHOP_PIECE_MAX = 256 };
struct shop_piece {
    enum shop_slot slot;
    int clause;
    int len;
    char text[SHOP_PIECE_MAX];
};
struct shop_message {
    struct shop_piece piece[SHOP_PIECES];
    int n;
    bool overflow; /* a piece did not fit: the draw is thrown away */
};
/* Appends to the last piece when slot and clause are the same and SHOP_TEXT, else starts one. */
void lmw_shop_put(struct shop_message *m, enum shop_slot slot, int clause, lmw_str s);

void lmw_shop_typos(struct shop_message *m, struct lmw_rng *rng);
void lmw_shop_insert_filler(struct shop_message *m, lmw_str filler, struct lmw_rng *rng);
void lmw_shop_drop_commas(struct shop_message *m);
void lmw_shop_ascii(struct shop_message *m, bool german);
void lmw_shop_case(struct shop_message *m, bool upper);
void lmw_shop_capital(struct shop_message *m);

#endif
