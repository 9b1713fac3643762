/*
 * tokenizer_scan.c - the pre-tokenizers' known patterns as hand-written scanners.
 *
 * Each scanner gives what the regular expression's first match at the same position is; every position has one. Both
 * patterns end in the same two alternatives, by which a run of white space gives its last character up to the word that
 * follows. tests/unit/test_tokenizer.c holds them against PCRE2.
 */
#include <string.h>
#include "lm/tokenizer_parts.h"

const char reini_gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define REST         "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static inline unsigned class_at(const char *p, int *length) {
    return reini_char_class[reini_char_at(p, length)];
}

/* end of the run of characters of class `wanted` */
static inline const char *run_of(const char *p, const char *end, unsigned wanted) {
    int length;
    while (p < end && class_at(p, &length) == wanted)
        p += length;
    return p;
}

/* \s+(?!\S)|\s+ at white space */
static const char *scan_space(const char *p, const char *end) {
    const char *last = p, *q = p;
    int length;
    while (q < end && class_at(q, &length) == REINI_SPACE) {
        last = q;
        q += length;
    }
    return q == end || last == p ? q : last;
}

/* 's|'t|'re|'ve|'m|'ll|'d; bytes of it, 0 when there is none */
static inline int contraction(const char *p, const char *end, char fold) {
    if (*p != '\'' || end - p < 2)
        return 0;
    char a = (char)(p[1] | fold), b = end - p > 2 ? (char)(p[2] | fold) : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

static const char *scan_gpt2(const char *p, const char *end) {
    int length, n = contraction(p, end, 0);
    if (n)
        return p + n;
    const char *q = *p == ' ' && end - p > 1 ? p + 1 : p;
    unsigned class = class_at(q, &length);
    if (class == REINI_SPACE)
        return scan_space(p, end);
    return run_of(q + length, end, class);
}

/* \s*[\r\n]+|\s+(?!\S)|\s+: up to the last line end of the run, if it has one */
static const char *scan_lines(const char *p, const char *end) {
    const char *line = NULL;
    int length;
    for (const char *q = p; q < end && class_at(q, &length) == REINI_SPACE; q += length)
        if (*q == '\r' || *q == '\n')
            line = q + 1;
    return line ? line : scan_space(p, end);
}

/* Llama-3 and Qwen2, which differ in how many digits stay together */
static inline const char *scan_cl100k(const char *p, const char *end, int digits) {
    int length, after, n = contraction(p, end, 0x20);
    if (n)
        return p + n;
    /* U+017F, the long s, is an s whose case is ignored */
    if (*p == '\'' && end - p > 2 && p[1] == '\xc5' && p[2] == '\xbf')
        return p + 3;
    unsigned class = class_at(p, &length);
    const char *next = p + length;
    if (class == REINI_LETTER)
        return run_of(next, end, REINI_LETTER);
    if (class == REINI_NUMBER) {
        for (int i = 1; i < digits && next < end && class_at(next, &length) == REINI_NUMBER; i++)
            next += length;
        return next;
    }
    bool line = *p == '\r' || *p == '\n';
    unsigned following = next < end ? class_at(next, &after) : REINI_SPACE;
    if (!line && following == REINI_LETTER)
        return run_of(next + after, end, REINI_LETTER);
    if (class == REINI_SPACE && !(*p == ' ' && following == 0))
        return scan_lines(p, end);
    for (next = run_of(next, end, 0); next < end && (*next == '\r' || *next == '\n');)
        next++;
    return next;
}

static const char *scan_llama3(const char *p, const char *end) {
    return scan_cl100k(p, end, 3);
}

static const char *scan_qwen2(const char *p, const char *end) {
    return scan_cl100k(p, end, 1);
}

const reini_known_pattern reini_known_patterns[] = {
    {"gpt2", reini_gpt2_pattern, scan_gpt2},
    {"llama3", CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" REST, scan_llama3},
    {"qwen2", CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" REST, scan_qwen2},
};
const int reini_known_pattern_count = sizeof reini_known_patterns / sizeof *reini_known_patterns;

reini_scan *reini_scan_find(const char *pattern) {
    for (int i = 0; i < reini_known_pattern_count; i++)
        if (strcmp(pattern, reini_known_patterns[i].pattern) == 0)
            return reini_known_patterns[i].scan;
    return NULL;
}
