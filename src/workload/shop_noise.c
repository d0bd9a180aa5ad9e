/* Disturbances of a message: what fingers, keyboards and hurry do to a sentence.
 *
 * A message is a list of pieces. Case and diacritics change every piece, so the slot value read
 * back afterwards is what stands in the message; typos, fillers and lost commas touch running text
 * only, so a slot is never misspelt. Letters are those of the ten languages: ASCII, Latin-1 and
 * Latin Extended-A in UTF-8, all of one or two bytes. Sharp s has no upper case here and stays. */
#include "workload/shop.h"

#include <string.h>

void lmw_shop_put(struct shop_message *m, enum shop_slot slot, int clause, lmw_str s)
{
    struct shop_piece *p = m->n > 0 ? &m->piece[m->n - 1] : NULL;

    if (s.len == 0)
        return;
    if (!p || p->slot != SHOP_TEXT || slot != SHOP_TEXT || p->clause != clause) {
        if (m->n == SHOP_PIECES) {
            m->overflow = true;
            return;
        }
        p = &m->piece[m->n++];
        p->slot = slot;
        p->clause = clause;
        p->len = 0;
    }
    if (s.len > (size_t)(SHOP_PIECE_MAX - p->len)) {
        m->overflow = true;
        return;
    }
    memcpy(p->text + p->len, s.ptr, s.len);
    p->len += (int)s.len;
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The piece and offset of the k-th place where two ASCII letters of running text meet. */
static bool nth_pair(const struct shop_message *m, int k, int *piece, int *at)
{
    for (int i = 0; i < m->n; i++) {
        const struct shop_piece *p = &m->piece[i];
        for (int j = 0; p->slot == SHOP_TEXT && j + 1 < p->len; j++) {
            if (!letter(p->text[j]) || !letter(p->text[j + 1]))
                continue;
            if (k-- == 0) {
                *piece = i;
                *at = j;
                return true;
            }
        }
    }
    return false;
}

static int count_pairs(const struct shop_message *m)
{
    int n = 0;

    for (int i = 0; i < m->n; i++) {
        const struct shop_piece *p = &m->piece[i];
        for (int j = 0; p->slot == SHOP_TEXT && j + 1 < p->len; j++)
            n += letter(p->text[j]) && letter(p->text[j + 1]);
    }
    return n;
}

/* Opens (by > 0) or closes (by < 0) a gap of bytes; false when the piece is full. */
static bool shift(struct shop_piece *p, int at, int by)
{
    int from = by > 0 ? at : at - by;

    if (p->len + by > SHOP_PIECE_MAX)
        return false;
    memmove(p->text + at + (by > 0 ? by : 0), p->text + from, (size_t)(p->len - from));
    p->len += by;
    return true;
}

static char neighbour(char c, struct lmw_rng *rng)
{
    static const char *const row[] = {"qwertyuiop", "asdfghjkl", "zxcvbnm"};

    for (int i = 0; i < 3; i++) {
        const char *hit = strchr(row[i], c);
        if (!hit)
            continue;
        bool right = hit == row[i] || (hit[1] && lmw_rng_below(rng, 2));
        return right ? hit[1] : hit[-1];
    }
    return c;
}

static void typo(struct shop_message *m, struct lmw_rng *rng)
{
    int n = count_pairs(m), piece, j;

    if (n == 0 || !nth_pair(m, (int)lmw_rng_below(rng, (uint32_t)n), &piece, &j))
        return;
    struct shop_piece *p = &m->piece[piece];
    char c = p->text[j];
    switch (lmw_rng_below(rng, 4)) {
    case 0:
        p->text[j] = p->text[j + 1];
        p->text[j + 1] = c;
        break;
    case 1: shift(p, j, -1); break;
    case 2:
        if (shift(p, j, 1))
            p->text[j] = c;
        break;
    default: p->text[j] = neighbour(c, rng); break;
    }
}

void lmw_shop_typos(struct shop_message *m, struct lmw_rng *rng)
{
    int n = 1 + (lmw_rng_below(rng, 4) == 0);

    while (n-- > 0)
        typo(m, rng);
}

/* A place between two words of the same text piece, so that a filler never touches a slot. */
static bool inner_space(const struct shop_piece *p, int j)
{
    return p->slot == SHOP_TEXT && j > 0 && j + 1 < p->len && p->text[j] == ' ' &&
           letter(p->text[j - 1]) && letter(p->text[j + 1]);
}

void lmw_shop_insert_filler(struct shop_message *m, lmw_str filler, struct lmw_rng *rng)
{
    int n = 0, k;

    for (int i = 0; i < m->n; i++)
        for (int j = 0; j < m->piece[i].len; j++)
            n += inner_space(&m->piece[i], j);
    if (n == 0)
        return;
    k = (int)lmw_rng_below(rng, (uint32_t)n);
    for (int i = 0; i < m->n; i++) {
        struct shop_piece *p = &m->piece[i];
        for (int j = 0; j < p->len; j++) {
            if (!inner_space(p, j) || k-- > 0)
                continue;
            if (shift(p, j, (int)filler.len + 1)) {
                p->text[j] = ' ';
                memcpy(p->text + j + 1, filler.ptr, filler.len);
            }
            return;
        }
    }
}

void lmw_shop_drop_commas(struct shop_message *m)
{
    for (int i = 0; i < m->n; i++) {
        struct shop_piece *p = &m->piece[i];
        for (int j = 0; p->slot == SHOP_TEXT && j < p->len; j++)
            if (p->text[j] == ',')
                shift(p, j--, -1);
    }
}

/* ---- letters beyond ASCII ---- */

static bool two_bytes(const struct shop_piece *p, int j)
{
    return j + 1 < p->len && ((unsigned char)p->text[j] & 0xe0) == 0xc0;
}
static int code_point(const struct shop_piece *p, int j)
{
    return ((unsigned char)p->text[j] & 0x1f) << 6 | ((unsigned char)p->text[j + 1] & 0x3f);
}

/* U+0139..U+0148 and U+0179..U+017E have upper case on odd code points, the rest of Latin
 * Extended-A on even ones (Unicode Character Database, simple case mapping). */
static int change_case(int c, bool upper)
{
    if (c >= 0xc0 && c <= 0xfe && c != 0xd7 && c != 0xdf && c != 0xf7)
        return upper ? c & ~0x20 : c | 0x20;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
        return ((c - 1) | 1) + !upper;
    if (c >= 0x100 && c <= 0x177 && c != 0x130 && c != 0x131 && c != 0x138 && c != 0x149)
        return upper ? c & ~1 : c | 1;
    return c;
}

static int case_at(struct shop_piece *p, int j, bool upper)
{
    if (two_bytes(p, j)) {
        int c = change_case(code_point(p, j), upper);
        p->text[j] = (char)(0xc0 | c >> 6);
        p->text[j + 1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (letter(p->text[j]))
        p->text[j] = (char)(upper ? p->text[j] & ~0x20 : p->text[j] | 0x20);
    return 1;
}

void lmw_shop_case(struct shop_message *m, bool upper)
{
    for (int i = 0; i < m->n; i++)
        for (int j = 0; j < m->piece[i].len;)
            j += case_at(&m->piece[i], j, upper);
}

void lmw_shop_capital(struct shop_message *m)
{
    if (m->n > 0 && m->piece[0].len > 0)
        case_at(&m->piece[0], 0, true);
}

/* What is typed on a keyboard without the letter. German spells umlauts out. */
static const char *plain(int c, bool german)
{
    static const struct {
        int c;
        const char *plain, *german;
    } table[] = {
        {0xe0, "a", 0},    {0xe1, "a", 0},  {0xe2, "a", 0},  {0xe3, "a", 0},   {0xe4, "a", "ae"},
        {0xe5, "a", 0},    {0xe7, "c", 0},  {0xe8, "e", 0},  {0xe9, "e", 0},   {0xea, "e", 0},
        {0xeb, "e", 0},    {0xec, "i", 0},  {0xed, "i", 0},  {0xee, "i", 0},   {0xef, "i", 0},
        {0xf1, "n", 0},    {0xf2, "o", 0},  {0xf3, "o", 0},  {0xf4, "o", 0},   {0xf5, "o", 0},
        {0xf6, "o", "oe"}, {0xf9, "u", 0},  {0xfa, "u", 0},  {0xfb, "u", 0},   {0xfc, "u", "ue"},
        {0xdf, "ss", 0},   {0x105, "a", 0}, {0x107, "c", 0}, {0x10d, "c", 0},  {0x111, "d", 0},
        {0x119, "e", 0},   {0x142, "l", 0}, {0x144, "n", 0}, {0x153, "oe", 0}, {0x15b, "s", 0},
        {0x161, "s", 0},   {0x17a, "z", 0}, {0x17c, "z", 0}, {0x17e, "z", 0},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].c == c)
            return german && table[i].german ? table[i].german : table[i].plain;
    return NULL;
}

void lmw_shop_ascii(struct shop_message *m, bool german)
{
    for (int i = 0; i < m->n; i++) {
        struct shop_piece *p = &m->piece[i];
        for (int j = 0; j < p->len; j++) {
            if (!two_bytes(p, j))
                continue;
            int c = code_point(p, j), small = c == 0xdf ? c : change_case(c, false);
            const char *to = plain(small, german);
            if (!to)
                continue;
            int n = (int)strlen(to);
            shift(p, j, n - 2);
            memcpy(p->text + j, to, (size_t)n);
            if (small != c)
                p->text[j] = (char)(p->text[j] & ~0x20);
            j += n - 1;
        }
    }
}
