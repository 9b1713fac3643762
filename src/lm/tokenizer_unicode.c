/*
 * tokenizer_unicode.c - what tokenizers ask of Unicode: classes of characters, NFC, and UTF-8 itself.
 *
 * Classes and NFC come from utf8proc. White space is the property White_Space, written out: libraries differ in what
 * they call space (U+180E, U+001C), tokenizers do not.
 */
#include <pthread.h>
#include <string.h>
#include "lm/tokenizer_parts.h"

uint8_t reini_char_class[0x110000];

/* ---- UTF-8 --------------------------------------------------------------------------------------------- */

int reini_char_put(char *p, uint32_t c) {
    if (c < 0x80) {
        p[0] = (char)c;
        return 1;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[4] = {0, 0xc0, 0xe0, 0xf0};
    p[0] = (char)(lead[more] | c >> 6 * more);
    for (int i = 1; i <= more; i++)
        p[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
    return more + 1;
}

/* Unicode's table 3-7: the second byte's range depends on the first, the others are 80..BF */
int reini_char_check(const char *p, size_t n, int *bad, bool *cut) {
    const unsigned char *b = (const unsigned char *)p;
    bool ignored;
    cut = cut ? cut : &ignored;
    *cut = false;
    *bad = 1;
    if (b[0] < 0x80)
        return 1;
    if (b[0] < 0xc2 || b[0] > 0xf4)
        return 0;
    int length = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    unsigned low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
    for (int i = 1; i < length; i++) {
        *bad = i;
        *cut = (size_t)i >= n;
        if (*cut || b[i] < low || b[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

size_t reini_text_valid(const char *text, size_t n) {
    size_t i = 0;
    int bad;
    while (i < n) {
        uint64_t eight;
        if (n - i >= 8) {
            memcpy(&eight, text + i, 8);
            if ((eight & 0x8080808080808080u) == 0) {
                i += 8;
                continue;
            }
        }
        int length = reini_char_check(text + i, n - i, &bad, NULL);
        if (length == 0)
            return i;
        i += (size_t)length;
    }
    return n;
}

/* ---- lists --------------------------------------------------------------------------------------------- */

rein_status reini_bytes_add(reini_bytes *bytes, const char *text, size_t n) {
    REINI_TRY(reini_reserve(&bytes->at, &bytes->capacity, bytes->n + n + 1, 1, "text"));
    if (n)
        memcpy(bytes->at + bytes->n, text, n);
    bytes->n += n;
    bytes->at[bytes->n] = 0;
    return REIN_OK;
}

rein_status reini_ids_reserve(reini_ids *ids, size_t more) {
    return reini_reserve(&ids->at, &ids->capacity, ids->n + more, sizeof *ids->at, "token ids");
}

/* ---- classes and NFC ----------------------------------------------------------------------------------- */

#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)
#include <utf8proc.h>

static void fill_classes(void) {
    static const uint32_t spaces[] = {0x20, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000};
    for (int32_t c = 0; c < 0x110000; c++) {
        /* planes 4 to 13 hold nothing, 15 and 16 are for private use */
        if (c == 0x40000)
            c = 0xe0000;
        if (c == 0xf0000)
            break;
        utf8proc_category_t category = utf8proc_category(c);
        if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
            reini_char_class[c] = REINI_LETTER;
        else if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
            reini_char_class[c] = REINI_NUMBER;
    }
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        reini_char_class[spaces[i]] = REINI_SPACE;
    for (int c = 0x09; c <= 0x0d; c++)
        reini_char_class[c] = REINI_SPACE;
    for (int c = 0x2000; c <= 0x200a; c++)
        reini_char_class[c] = REINI_SPACE;
}

rein_status reini_unicode_ready(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_classes);
    return REIN_OK;
}

/* all below U+0300 is in NFC as it stands: its first byte in UTF-8 is below CC */
static bool surely_nfc(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] >= 0xcc)
            return false;
    return true;
}

/* The tokenizers library normalises by the tables of Unicode 9. Marks that came later, up to Unicode 14, are letters to it
 * that nothing moves past and nothing joins with, and a model that learned from its output expects them so. */
static bool is_young(uint32_t c) {
    static const struct {
        uint32_t first, last;
    } young[] = {
        {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},     {0xc3c, 0xc3c},
        {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},   {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},
        {0xa82c, 0xa82c},   {0x10d24, 0x10d27}, {0x10eab, 0x10eac}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85},
        {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a}, {0x11930, 0x11930},
        {0x11935, 0x11935}, {0x11938, 0x11938}, {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0},
        {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42}, {0x11d44, 0x11d45},
        {0x11d97, 0x11d97}, {0x16ff0, 0x16ff1}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef},
    };
    for (size_t i = 0; c >= young[0].first && i < sizeof young / sizeof *young && c >= young[i].first; i++)
        if (c <= young[i].last)
            return true;
    return false;
}

static rein_status add_nfc(const char *text, size_t n, reini_bytes *out) {
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    const utf8proc_uint8_t *from = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t needed = utf8proc_decompose(from, (utf8proc_ssize_t)n, NULL, 0, options);
    int32_t *wide = needed < 0 ? NULL : REINI_NEW_ARRAY(int32_t, (size_t)needed + 1);
    if (!wide)
        return reini_fail_memory(4 * n, "normalised text");
    utf8proc_decompose(from, (utf8proc_ssize_t)n, wide, needed, options);
    needed = utf8proc_normalize_utf32(wide, needed, options);
    rein_status status = REIN_OK;
    for (utf8proc_ssize_t i = 0; i < needed && status == REIN_OK; i++) {
        char one[4];
        status = reini_bytes_add(out, one, (size_t)reini_char_put(one, (uint32_t)wide[i]));
    }
    reini_free(wide);
    return status;
}

rein_status reini_text_nfc(const char *text, size_t n, reini_bytes *out, bool *changed) {
    *changed = !surely_nfc(text, n);
    if (!*changed)
        return REIN_OK;
    size_t done = 0;
    int length;
    out->n = 0;
    for (size_t i = 0; i < n; i += (size_t)length)
        if (is_young(reini_char_at(text + i, &length))) {
            if (i > done)
                REINI_TRY(add_nfc(text + done, i - done, out));
            done = i + (size_t)length;
            REINI_TRY(reini_bytes_add(out, text + i, (size_t)length));
        }
    return n > done ? add_nfc(text + done, n - done, out) : REIN_OK;
}

/* \w of the regular expressions that added tokens are bounded by: letters, marks, decimal digits, connectors, the two
 * joiners, and what else is Alphabetic (letter-like numbers and the circled letters of category So) */
static bool is_word(uint32_t c) {
    switch (utf8proc_category((int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
               (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
    }
}

bool reini_word_at_start(const char *text, size_t n) {
    int length;
    return n > 0 && is_word(reini_char_at(text, &length));
}

bool reini_word_at_end(const char *text, size_t n) {
    size_t i = n;
    int length;
    while (i > 0 && ((unsigned char)text[i - 1] & 0xc0) == 0x80)
        i--;
    return i > 0 && is_word(reini_char_at(text + i - 1, &length));
}
#else
rein_status reini_unicode_ready(void) {
    return reini_fail(
        REIN_UNSUPPORTED,
        "language models need PCRE2 and utf8proc for their tokenizers, and this build of Rein has not "
        "both: install them (Debian and Ubuntu: apt-get install libpcre2-dev libutf8proc-dev) and "
        "build Rein again");
}

rein_status reini_text_nfc(const char *text, size_t n, reini_bytes *out, bool *changed) {
    *changed = false;
    return reini_unicode_ready();
}

bool reini_word_at_start(const char *text, size_t n) {
    return false;
}

bool reini_word_at_end(const char *text, size_t n) {
    return false;
}
#endif
