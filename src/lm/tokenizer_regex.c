/*
 * tokenizer_regex.c - patterns written for Oniguruma, run by PCRE2.
 *
 * The two agree on a common core, which is what is let through: literal characters, escapes of punctuation, \r \n \t \f
 * \v, \s \S \d, \p{..} and \P{..} with general categories or one of a few scripts, plain classes, groups, look-ahead,
 * (?i:..) over ASCII, alternatives and quantifiers. \s becomes \p{White_Space}, since PCRE2 counts U+180E to it. What the
 * two would read differently is refused by name.
 */
#include <stdio.h>
#include <string.h>
#include "lm/tokenizer_parts.h"

#if defined(REIN_HAVE_PCRE2) && defined(REIN_HAVE_UTF8PROC)
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct reini_regex {
    pcre2_code *code;
    bool jit;
};

struct reini_regex_state {
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

/* ---- translation --------------------------------------------------------------------------------------- */

typedef struct translator {
    const char *pattern, *p, *where;
    reini_bytes out;
    bool in_class;
    int fold_depth, depth; /* depth of the group that ignores case, 0 = none */
} translator;

static rein_status refuse(const translator *t, const char *what) {
    return reini_fail(
        REIN_UNSUPPORTED,
        "%s: the pattern \"%s\" has %s at character %d; supported: characters, \\s \\S \\d \\r \\n \\t, "
        "\\p{L} and other general categories, [..], (?:..), (?i:..), (?=..), (?!..), | and quantifiers",
        t->where, t->pattern, what, (int)(t->p - t->pattern));
}

static rein_status put(translator *t, const char *text) {
    return reini_bytes_add(&t->out, text, strlen(text));
}

/* \p{..}: general categories as they are; scripts by the property Script, not Script_Extensions */
static rein_status translate_property(translator *t) {
    static const char categories[] =
        " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl "
        "Zp C Cc Cf Co Cn ";
    static const char scripts[] =
        " Han Hiragana Katakana Hangul Latin Greek Cyrillic Arabic Hebrew Thai Devanagari ";
    char name[24], padded[32], text[48];
    const char *close = strchr(t->p, '}');
    size_t n = close ? (size_t)(close - t->p) - 3 : 0;
    if (t->p[2] != '{' || !close || n == 0 || n >= sizeof name)
        return refuse(t, "a property without its name in braces");
    memcpy(name, t->p + 3, n);
    name[n] = 0;
    snprintf(padded, sizeof padded, " %s ", name);
    bool script = strstr(scripts, padded) != NULL;
    if (strchr(name, ' ') || (!script && !strstr(categories, padded)))
        return refuse(t, "a property that is not a general category");
    snprintf(text, sizeof text, "\\%c{%s%s}", t->p[1], script ? "sc:" : "", name);
    t->p = close + 1;
    return put(t, text);
}

static rein_status translate_escape(translator *t) {
    char c = t->p[1], same[3] = {'\\', c, 0};
    if (c == 'p' || c == 'P')
        return translate_property(t);
    if (c == 's' || c == 'S')
        REINI_TRY(put(t, c == 's' ? "\\p{White_Space}" : "\\P{White_Space}"));
    else if (c == 'd' || c == 'D')
        REINI_TRY(put(t, c == 'd' ? "\\p{Nd}" : "\\P{Nd}"));
    else if (c == 'v')
        REINI_TRY(put(t, "\\x0b"));
    else if ((c && strchr("rntf", c)) ||
             (c > 0x20 && c < 0x7f && strchr("\\/.,:;'\"`!?@#%&=<>~_-+*^$|()[]{}", c)))
        REINI_TRY(put(t, same));
    else
        return refuse(t, "an escape that is not supported");
    t->p += 2;
    return REIN_OK;
}

static rein_status translate_open(translator *t) {
    t->depth++;
    if (t->p[1] != '?') {
        t->p++;
        return put(t, "(?:");
    }
    static const char *const groups[] = {"(?:", "(?=", "(?!", "(?>", "(?i:"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (strncmp(t->p, groups[i], strlen(groups[i])) == 0) {
            if (i == 4 && !t->fold_depth)
                t->fold_depth = t->depth;
            t->p += strlen(groups[i]);
            return put(t, groups[i]);
        }
    return refuse(t, "a group of a kind that is not supported");
}

/* where case is ignored, Oniguruma also joins letters to one (ss to a sharp s), which PCRE2 does not */
static rein_status check_fold(const translator *t) {
    static const char *const joined[] = {"ss", "st", "ff", "fi", "fl"};
    if ((unsigned char)*t->p >= 0x80)
        return refuse(t, "a character beyond ASCII where case is ignored");
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++)
        if ((t->p[0] | 0x20) == joined[i][0] && (t->p[1] | 0x20) == joined[i][1])
            return refuse(t, "letters that fold together where case is ignored");
    return REIN_OK;
}

static rein_status translate_in_class(translator *t) {
    if (*t->p == '[' || strncmp(t->p, "&&", 2) == 0)
        return refuse(t, "a class inside a class");
    t->in_class = *t->p != ']';
    return REIN_OK;
}

/* "{1,3}+" is possessive to PCRE2 and a repeat of the repeat to Oniguruma */
static rein_status check_brace(const translator *t) {
    size_t n = strspn(t->p + 1, "0123456789,");
    if (n == 0 || t->p[n + 1] != '}' || t->p[1] == ',')
        return refuse(t, "a brace that is no quantifier");
    return t->p[n + 2] == '+' ? refuse(t, "a quantifier in braces followed by +") : REIN_OK;
}

static rein_status translate_one(translator *t) {
    char c = *t->p;
    if (c == '\\')
        return translate_escape(t);
    if (t->fold_depth)
        REINI_TRY(check_fold(t));
    if (t->in_class)
        REINI_TRY(translate_in_class(t));
    else if (c == '(')
        return translate_open(t);
    else if (c == '^' || c == '$')
        return refuse(t, "an anchor");
    else if (c == '{')
        REINI_TRY(check_brace(t));
    else if (c == '[') {
        t->in_class = true;
        REINI_TRY(put(t, t->p[1] == '^' ? "[^" : "["));
        t->p += t->p[1] == '^' ? 2 : 1;
        return *t->p == ']' ? refuse(t, "a class that begins with ]") : REIN_OK;
    } else if (c == ')') {
        t->fold_depth = t->fold_depth == t->depth ? 0 : t->fold_depth;
        t->depth--;
    }
    t->p++;
    return reini_bytes_add(&t->out, &c, 1);
}

static rein_status translate(translator *t) {
    while (*t->p)
        REINI_TRY(translate_one(t));
    return t->in_class ? refuse(t, "a class without its end") : REIN_OK;
}

/* ---- compiling and matching ---------------------------------------------------------------------------- */

static rein_status compile(const char *pattern, const char *text, bool literal, const char *where,
                           reini_regex *regex) {
    int error;
    PCRE2_SIZE at;
    uint32_t empty = 0;
    uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | (literal ? PCRE2_LITERAL : PCRE2_UCP);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return reini_fail_memory(strlen(text), "a regular expression");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF); /* what "." leaves out */
    regex->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &error, &at, context);
    pcre2_compile_context_free(context);
    if (!regex->code) {
        char reason[160] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: PCRE2 does not take the pattern \"%s\": %s (PCRE2 10.40 or newer is needed)",
                          where, pattern, reason);
    }
    pcre2_pattern_info(regex->code, PCRE2_INFO_MATCHEMPTY, &empty);
    if (empty)
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: the pattern \"%s\" matches the empty text, expected one that never does",
                          where, pattern);
    regex->jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
    return REIN_OK;
}

rein_status reini_regex_new(const char *pattern, bool literal, const char *where, reini_regex **out) {
    translator t = {.pattern = pattern, .p = pattern, .where = where};
    rein_status status = reini_text_valid(pattern, strlen(pattern)) == strlen(pattern)
                             ? REIN_OK
                             : reini_fail(REIN_FORMAT, "%s: the pattern is not UTF-8", where);
    if (status == REIN_OK && !literal)
        status = translate(&t);
    reini_regex *regex = status == REIN_OK ? REINI_NEW(reini_regex) : NULL;
    if (status == REIN_OK)
        status = regex ? compile(pattern,
                                 literal    ? pattern
                                 : t.out.at ? t.out.at
                                            : "",
                                 literal, where, regex)
                       : reini_fail_memory(sizeof *regex, "a regular expression");
    reini_free(t.out.at);
    *out = regex;
    if (status != REIN_OK) {
        reini_regex_free(regex);
        *out = NULL;
    }
    return status;
}

void reini_regex_free(reini_regex *regex) {
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    reini_free(regex);
}

rein_status reini_regex_state_new(const reini_regex *regex, reini_regex_state **out) {
    reini_regex_state *state = *out = REINI_NEW(reini_regex_state);
    if (!state)
        return reini_fail_memory(sizeof *state, "a regular expression");
    state->match = pcre2_match_data_create(1, NULL);
    state->context = pcre2_match_context_create(NULL);
    state->stack = regex->jit ? pcre2_jit_stack_create((size_t)64 << 10, (size_t)64 << 20, NULL) : NULL;
    if (!state->match || !state->context || (regex->jit && !state->stack)) {
        reini_regex_state_free(state);
        *out = NULL;
        return reini_fail_memory((size_t)64 << 10, "a regular expression");
    }
    if (state->stack)
        pcre2_jit_stack_assign(state->context, NULL, state->stack);
    return REIN_OK;
}

void reini_regex_state_free(reini_regex_state *state) {
    if (!state)
        return;
    pcre2_match_data_free(state->match);
    pcre2_match_context_free(state->context);
    pcre2_jit_stack_free(state->stack);
    reini_free(state);
}

rein_status reini_regex_match(const reini_regex *regex, reini_regex_state *state, const char *text, size_t n,
                              size_t start, size_t *begin, size_t *end) {
    int found = pcre2_match(regex->code, (PCRE2_SPTR)text, n, start, PCRE2_NO_UTF_CHECK, state->match,
                            state->context);
    *begin = *end = n;
    if (found == PCRE2_ERROR_NOMATCH)
        return REIN_OK;
    if (found < 0) {
        char reason[160] = "";
        pcre2_get_error_message(found, (PCRE2_UCHAR *)reason, sizeof reason);
        return reini_fail(REIN_UNSUPPORTED,
                          "the tokenizer's pattern gave up on %zu bytes of text: %s; split the text", n,
                          reason);
    }
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(state->match);
    *begin = range[0];
    *end = range[1];
    return REIN_OK;
}
#else
rein_status reini_regex_new(const char *pattern, bool literal, const char *where, reini_regex **out) {
    *out = NULL;
    return reini_unicode_ready();
}

void reini_regex_free(reini_regex *regex) {
}

rein_status reini_regex_state_new(const reini_regex *regex, reini_regex_state **out) {
    *out = NULL;
    return reini_unicode_ready();
}

void reini_regex_state_free(reini_regex_state *state) {
}

rein_status reini_regex_match(const reini_regex *regex, reini_regex_state *state, const char *text, size_t n,
                              size_t start, size_t *begin, size_t *end) {
    return reini_unicode_ready();
}
#endif
