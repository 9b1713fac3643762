/*
 * tokenizer_split.c - text to pieces: the pre-tokenizers one inside the other.
 *
 * Every stage hands its pieces to the next one, so look-ahead ends at a piece's end, as it does when each piece is a
 * string of its own. Nothing is allocated per piece.
 */
#include <string.h>
#include "lm/tokenizer_parts.h"

rein_status reini_splitter_init(reini_splitter *s, const reini_stage *stages, int n, reini_piece_fn *fn,
                                void *user) {
    *s = (reini_splitter){.stages = stages, .n_stages = n, .piece = fn, .user = user};
    for (int i = 0; i < n; i++)
        if (stages[i].kind == REINI_STAGE_REGEX) {
            rein_status status = reini_regex_state_new(stages[i].regex, &s->states[i]);
            if (status != REIN_OK) {
                reini_splitter_release(s);
                return status;
            }
        }
    return REIN_OK;
}

void reini_splitter_release(reini_splitter *s) {
    for (int i = 0; i < REINI_STAGES; i++)
        reini_regex_state_free(s->states[i]);
    reini_free(s->prefixed.at);
    *s = (reini_splitter){0};
}

static bool split_scan(reini_splitter *s, int at, const char *text, size_t n) {
    reini_scan *scan = s->stages[at].scan;
    for (const char *p = text, *end = text + n; p < end;) {
        const char *next = scan(p, end);
        if (!reini_split(s, at + 1, p, (size_t)(next - p)))
            return false;
        p = next;
    }
    return true;
}

/* matches and what lies between them */
static bool split_regex(reini_splitter *s, int at, const char *text, size_t n) {
    size_t done = 0, begin, end;
    while (done < n) {
        s->status = reini_regex_match(s->stages[at].regex, s->states[at], text, n, done, &begin, &end);
        if (s->status != REIN_OK)
            return false;
        if (begin > done && !reini_split(s, at + 1, text + done, begin - done))
            return false;
        if (end > begin && !reini_split(s, at + 1, text + begin, end - begin))
            return false;
        done = end;
    }
    return true;
}

static bool split_digits(reini_splitter *s, int at, const char *text, size_t n) {
    const char *p = text, *end = text + n;
    int length;
    while (p < end) {
        bool number = reini_char_class[reini_char_at(p, &length)] == REINI_NUMBER;
        const char *next = p + length;
        while (next < end && !(number && s->stages[at].individual) &&
               (reini_char_class[reini_char_at(next, &length)] == REINI_NUMBER) == number)
            next += length;
        if (!reini_split(s, at + 1, p, (size_t)(next - p)))
            return false;
        p = next;
    }
    return true;
}

static bool split_prefix(reini_splitter *s, int at, const char *text, size_t n) {
    if (*text == ' ')
        return reini_split(s, at + 1, text, n);
    s->prefixed.n = 0;
    s->status = reini_bytes_add(&s->prefixed, " ", 1);
    if (s->status == REIN_OK)
        s->status = reini_bytes_add(&s->prefixed, text, n);
    return s->status == REIN_OK && reini_split(s, at + 1, s->prefixed.at, n + 1);
}

bool reini_split(reini_splitter *s, int at, const char *text, size_t n) {
    if (n == 0)
        return true;
    if (at == s->n_stages)
        return s->piece(s->user, text, n);
    switch (s->stages[at].kind) {
    case REINI_STAGE_SCAN:
        return split_scan(s, at, text, n);
    case REINI_STAGE_REGEX:
        return split_regex(s, at, text, n);
    case REINI_STAGE_DIGITS:
        return split_digits(s, at, text, n);
    default:
        return split_prefix(s, at, text, n);
    }
}
