/*
 * reward_text.c - rewards that can be checked: what the answer says, its form, its length.
 *
 * Numbers, repetition and overlength follow the reward functions that TRL and verl ship: the last number with its commas
 * removed; n-grams of token ids, 1 - different / all; the soft overlong punishment. Reading the last number is a rule of
 * thumb: "12 eggs, or 4 each" is 4.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lm/reward_parts.h"
#ifdef REIN_HAVE_PCRE2
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#endif

/* ---- what the answer says --------------------------------------------------------------------------------- */

typedef struct gold {
    char column[64];
} gold;

static rein_status open_gold(const char *argument, const reini_reward_opts *opts, const char *where,
                             void **state) {
    (void)opts;
    gold *g = REINI_NEW(gold);
    if (!g)
        return reini_fail_memory(sizeof *g, where);
    *state = g;
    if (strlen(argument) >= sizeof g->column)
        return reini_fail(REIN_USAGE, "%s: the name of a column has at most 63 bytes, found \"%.80s\"", where,
                          argument);
    snprintf(g->column, sizeof g->column, "%s", *argument ? argument : "solution");
    return REIN_OK;
}

static const char *column_of(const void *state) {
    return ((const gold *)state)->column;
}

/* a column as text; numbers as they are written in JSON */
static const char *gold_text(const gold *g, const reini_reward_item *item, char number[40]) {
    const json_t *value = json_object_get(item->row, g->column);
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        snprintf(number, 40, "%lld", (long long)json_integer_value(value));
    else
        snprintf(number, 40, "%.17g", json_number_value(value));
    return number;
}

static bool same_trimmed(const char *a, const char *b) {
    while (isspace((unsigned char)*a))
        a++;
    while (isspace((unsigned char)*b))
        b++;
    size_t n = strlen(a), m = strlen(b);
    while (n > 0 && isspace((unsigned char)a[n - 1]))
        n--;
    while (m > 0 && isspace((unsigned char)b[m - 1]))
        m--;
    return n == m && memcmp(a, b, n) == 0;
}

static rein_status score_exact(void *state, const reini_reward_item *items, int n, double *value) {
    char number[40];
    for (int i = 0; i < n; i++)
        value[i] = same_trimmed(items[i].text, gold_text(state, &items[i], number));
    return REIN_OK;
}

/* a comma between digits, as in 1,000 */
static bool grouping(const char *text, size_t i) {
    return text[i] == ',' && i > 0 && isdigit((unsigned char)text[i - 1]) &&
           isdigit((unsigned char)text[i + 1]);
}

char *reini_normalised_answer(const char *text) {
    size_t n = strlen(text), m = 0, from = 0;
    char *out = reini_new(n + 1);
    for (size_t i = 0; out && i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (grouping(text, i))
            continue;
        if (isspace(c) && (m == 0 || out[m - 1] == ' '))
            continue;
        out[m++] = (char)(isspace(c) ? ' ' : c < 0x80 ? tolower(c) : c);
    }
    if (!out)
        return NULL;
    /* a sign before a number belongs to it */
    while (m > 0 && (isspace((unsigned char)out[m - 1]) || ispunct((unsigned char)out[m - 1])))
        m--;
    while (from < m && (isspace((unsigned char)out[from]) || ispunct((unsigned char)out[from])) &&
           !(out[from] == '-' && isdigit((unsigned char)out[from + 1])))
        from++;
    memmove(out, out + from, m - from);
    out[m - from] = 0;
    return out;
}

static rein_status score_normalised(void *state, const reini_reward_item *items, int n, double *value) {
    char number[40];
    for (int i = 0; i < n; i++) {
        char *is = reini_normalised_answer(items[i].text);
        char *wanted = reini_normalised_answer(gold_text(state, &items[i], number));
        bool whole = is && wanted;
        value[i] = whole && strcmp(is, wanted) == 0;
        reini_free(is);
        reini_free(wanted);
        if (!whole)
            return reini_fail_memory(256, "an answer");
    }
    return REIN_OK;
}

/* a number from text[i] on, without its commas; its bytes, 0 = there is none */
static size_t read_number(const char *text, size_t i, double *value) {
    char digits[64];
    size_t n = 0, from = i;
    bool point = false, any = false;
    if (text[i] == '-' && (i == 0 || !isalnum((unsigned char)text[i - 1])))
        digits[n++] = text[i++];
    for (; text[i] && n < sizeof digits - 1; i++) {
        bool dot = text[i] == '.' && !point && isdigit((unsigned char)text[i + 1]) &&
                   (any || i == 0 || !isdigit((unsigned char)text[i - 1]));
        if (grouping(text, i) && !point)
            continue;
        if (!isdigit((unsigned char)text[i]) && !dot)
            break;
        point = point || dot;
        any = true;
        digits[n++] = text[i];
    }
    digits[n] = 0;
    if (any)
        *value = strtod(digits, NULL);
    return any ? i - from : 0;
}

bool reini_last_number(const char *text, double *value) {
    bool found = false;
    for (size_t i = 0; text[i];) {
        size_t n = read_number(text, i, value);
        found = found || n > 0;
        i += n > 0 ? n : 1;
    }
    return found;
}

static rein_status score_number(void *state, const reini_reward_item *items, int n, double *value) {
    char number[40];
    for (int i = 0; i < n; i++) {
        double is = 0, wanted = 0;
        bool known = reini_last_number(gold_text(state, &items[i], number), &wanted);
        /* a solution without a number says nothing about answers */
        value[i] = !known ? NAN : reini_last_number(items[i].text, &is) && is == wanted;
    }
    return REIN_OK;
}

/* ---- its form ---------------------------------------------------------------------------------------------- */

#define THINK_FORMAT "<think>(?!.*<think>)(.*?)</think>.*"

#ifdef REIN_HAVE_PCRE2
typedef struct pattern {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    char where[64];
} pattern;

/* steps of backtracking that one answer may take: a pattern that explodes is an error, not a hang */
enum { MATCH_LIMIT = 2000000 };

static void close_pattern(void *state) {
    pattern *p = state;
    pcre2_code_free(p->code);
    pcre2_match_data_free(p->match);
    pcre2_match_context_free(p->limits);
    reini_free(p);
}

static rein_status compile(pattern *p, const char *text, const char *where, bool whole) {
    int error;
    PCRE2_SIZE at;
    uint32_t options = PCRE2_UTF | PCRE2_DOTALL | (whole ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0);
    snprintf(p->where, sizeof p->where, "%s", where);
    p->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &error, &at, NULL);
    if (!p->code) {
        char reason[160] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
        return reini_fail(REIN_USAGE, "%s: the pattern \"%s\" is wrong at byte %zu: %s", where, text,
                          (size_t)at, reason);
    }
    p->match = pcre2_match_data_create(1, NULL);
    p->limits = pcre2_match_context_create(NULL);
    if (!p->match || !p->limits)
        return reini_fail_memory(1024, where);
    pcre2_set_match_limit(p->limits, MATCH_LIMIT);
    return REIN_OK;
}

static rein_status open_pattern(const char *text, const char *where, bool whole, void **state) {
    pattern *p = REINI_NEW(pattern);
    if (!p)
        return reini_fail_memory(sizeof *p, where);
    *state = p;
    return compile(p, text, where, whole);
}

static rein_status score_pattern(void *state, const reini_reward_item *items, int n, double *value) {
    pattern *p = state;
    for (int i = 0; i < n; i++) {
        int found =
            pcre2_match(p->code, (PCRE2_SPTR)items[i].text, PCRE2_ZERO_TERMINATED, 0, 0, p->match, p->limits);
        if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
            char reason[160] = "";
            pcre2_get_error_message(found, (PCRE2_UCHAR *)reason, sizeof reason);
            return reini_fail(REIN_USAGE,
                              "line %lld: %s: the pattern cannot be tried on the answer \"%.80s\": %s",
                              (long long)items[i].line, p->where, items[i].text, reason);
        }
        value[i] = found >= 0;
    }
    return REIN_OK;
}
#else
static void close_pattern(void *state) {
    (void)state;
}

static rein_status open_pattern(const char *text, const char *where, bool whole, void **state) {
    (void)text, (void)whole, (void)state;
    return reini_fail(
        REIN_UNSUPPORTED,
        "%s: this build has no regular expressions: install PCRE2 (Debian and Ubuntu: apt-get install "
        "libpcre2-dev) and build again",
        where);
}

static rein_status score_pattern(void *state, const reini_reward_item *items, int n, double *value) {
    (void)state, (void)items, (void)n, (void)value;
    return REIN_UNSUPPORTED;
}
#endif

static rein_status open_regex(const char *argument, const reini_reward_opts *opts, const char *where,
                              void **state) {
    (void)opts;
    return open_pattern(argument, where, false, state);
}

static rein_status open_format(const char *argument, const reini_reward_opts *opts, const char *where,
                               void **state) {
    (void)opts;
    return open_pattern(*argument ? argument : THINK_FORMAT, where, true, state);
}

/* ---- its length -------------------------------------------------------------------------------------------- */

typedef struct lengths {
    int most, soft; /* overlong */
    int gram;       /* repetition */
    uint64_t *seen; /* [room] hash table of n-grams */
    size_t room;
} lengths;

static rein_status open_lengths(const char *argument, const reini_reward_opts *opts, const char *where,
                                void **state) {
    (void)opts;
    (void)argument;
    *state = REINI_NEW(lengths);
    return *state ? REIN_OK : reini_fail_memory(sizeof(lengths), where);
}

static void close_lengths(void *state) {
    reini_free(((lengths *)state)->seen);
    reini_free(state);
}

static rein_status open_overlong(const char *argument, const reini_reward_opts *opts, const char *where,
                                 void **state) {
    char rest;
    REINI_TRY(open_lengths(argument, opts, where, state));
    lengths *l = *state;
    if (sscanf(argument, "%d ,%d %c", &l->most, &l->soft, &rest) != 2 || l->most < 1 || l->soft < 0 ||
        l->soft > l->most)
        return reini_fail(REIN_USAGE,
                          "%s: expected overlong(MAX,SOFT) in tokens, 0 <= SOFT <= MAX, found \"%.80s\"",
                          where, argument);
    return REIN_OK;
}

static rein_status open_repetition(const char *argument, const reini_reward_opts *opts, const char *where,
                                   void **state) {
    char rest;
    REINI_TRY(open_lengths(argument, opts, where, state));
    lengths *l = *state;
    l->gram = 3;
    if (*argument && (sscanf(argument, "%d %c", &l->gram, &rest) != 1 || l->gram < 1))
        return reini_fail(REIN_USAGE, "%s: expected the number of tokens of an n-gram, found \"%.80s\"",
                          where, argument);
    return REIN_OK;
}

static rein_status score_length(void *state, const reini_reward_item *items, int n, double *value) {
    (void)state;
    for (int i = 0; i < n; i++)
        value[i] = items[i].n;
    return REIN_OK;
}

static rein_status score_ended(void *state, const reini_reward_item *items, int n, double *value) {
    (void)state;
    for (int i = 0; i < n; i++)
        value[i] = items[i].ended;
    return REIN_OK;
}

static rein_status score_overlong(void *state, const reini_reward_item *items, int n, double *value) {
    const lengths *l = state;
    int free_of = l->most - l->soft;
    for (int i = 0; i < n; i++)
        value[i] = items[i].n <= free_of   ? 0
                   : items[i].n <= l->most ? (double)(free_of - items[i].n) / l->soft
                                           : -1;
    return REIN_OK;
}

static bool same_gram(const int32_t *ids, int a, int b, int gram) {
    return memcmp(ids + a, ids + b, (size_t)gram * sizeof *ids) == 0;
}

/* different n-grams, by open addressing: places hold position + 1 */
static int64_t different(lengths *l, const int32_t *ids, int grams) {
    int64_t count = 0;
    memset(l->seen, 0, l->room * sizeof *l->seen);
    for (int i = 0; i < grams; i++) {
        uint64_t hash = 0xcbf29ce484222325u;
        for (int k = 0; k < l->gram; k++)
            hash = (hash ^ (uint64_t)(uint32_t)ids[i + k]) * 0x100000001b3u;
        size_t at = (size_t)((hash ^ hash >> 29) & (l->room - 1));
        while (l->seen[at] && !same_gram(ids, (int)l->seen[at] - 1, i, l->gram))
            at = (at + 1) & (l->room - 1);
        count += l->seen[at] == 0;
        l->seen[at] = l->seen[at] ? l->seen[at] : (uint64_t)i + 1;
    }
    return count;
}

static rein_status score_repetition(void *state, const reini_reward_item *items, int n, double *value) {
    lengths *l = state;
    for (int i = 0; i < n; i++) {
        int grams = items[i].n - l->gram + 1;
        size_t room = 64;
        while (room < 2 * (size_t)(grams > 0 ? grams : 0))
            room *= 2;
        if (room > l->room) {
            reini_free(l->seen);
            l->seen = REINI_NEW_ARRAY(uint64_t, room);
            l->room = l->seen ? room : 0;
            if (!l->seen)
                return reini_fail_memory(room * sizeof *l->seen, "n-grams");
        }
        value[i] = grams < 1 ? 0 : (double)different(l, items[i].ids, grams) / grams - 1;
    }
    return REIN_OK;
}

const reini_reward_kind reini_reward_text_kinds[] = {
    {"exact", false, open_gold, reini_free, column_of, score_exact},
    {"normalised", false, open_gold, reini_free, column_of, score_normalised},
    {"number", false, open_gold, reini_free, column_of, score_number},
    {"regex", true, open_regex, close_pattern, NULL, score_pattern},
    {"format", false, open_format, close_pattern, NULL, score_pattern},
    {"length", false, open_lengths, close_lengths, NULL, score_length},
    {"overlong", true, open_overlong, close_lengths, NULL, score_overlong},
    {"repetition", false, open_repetition, close_lengths, NULL, score_repetition},
    {"ended", false, open_lengths, close_lengths, NULL, score_ended},
    {0},
};
