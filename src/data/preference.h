/*
 * preference.h - stored preferences as tokens: groups of answers to the same prompt, each with what it was found worth.
 *
 *     pairs       {"prompt"?, "chosen", "rejected", "margin"?}     2 answers, the chosen one first, worth 1 and 0
 *     candidates  {"prompt" or "query", "responses", "scores" or "ranks"}   as many as there are; ranks count from the
 *                                                                  best, 1, and are worth their negative
 *     unpaired    {"prompt", "completion", "label"}                1 answer, worth 1 or 0
 *
 * Values are plain text or conversations (lists of {"role", "content"}). All rows of a file are of one kind, decided by
 * the first; where unpaired rows are wanted, a pair makes two of them.
 *
 * Pairs without a prompt begin alike; what they have in common is the prompt, by TRL's rule: the longest common beginning
 * in characters, or in whole messages; a space at its end goes to the answers; where one answer is the beginning of the
 * other, the last unit they share goes to the answers, so that none is empty.
 *
 * Plain text gets the end-of-text token where it does not end in it. The prompt's tokens are those that prompt and every
 * prompt + answer of the group have in common.
 *
 * A row is bad when its answers are the same, an answer is empty, its numbers are not finite, or its prompt leaves no
 * room for an answer: the first one ends the reading with its line and the reason, or, with skip_bad, each is logged and
 * passed over.
 */
#ifndef REINI_PREFERENCE_H
#define REINI_PREFERENCE_H

#include "data/lm_encode.h"

enum { REINI_PREFER_PAIRS = 1, REINI_PREFER_CANDIDATES = 2, REINI_PREFER_UNPAIRED = 4 };

typedef struct reini_preference_opts {
    int max_length;
    int kinds;       /* REINI_PREFER_... that are accepted, or-ed; UNPAIRED takes pairs apart */
    bool drop_long;  /* groups with an answer beyond max_length are dropped and counted, rather than cut */
    bool whole_text; /* pairs without a prompt stay whole: there is nothing to tell apart */
    bool skip_bad;
} reini_preference_opts;

typedef struct reini_preference_counts {
    int64_t rows;      /* read */
    int64_t bad;       /* passed over */
    int64_t truncated; /* answers cut to max_length */
    int64_t dropped;   /* groups with an answer longer than max_length */
    int64_t apart;     /* groups whose prompt's tokens are no beginning of those of prompt + answer */
    int64_t tokens;
} reini_preference_counts;

typedef struct reini_preference {
    int64_t n;       /* groups */
    int64_t *first;  /* [n + 1] documents of each */
    int64_t *line;   /* [n] where it stood */
    double *margin;  /* [n] of pairs, 0 where none is given */
    int64_t *start;  /* [documents + 1] into token: prompt and answer */
    int32_t *prompt; /* [documents] tokens of the prompt */
    double *score;   /* [documents] */
    int32_t *token;
    reini_preference_counts count;
    size_t room, document_room, token_room;
} reini_preference;

/* data: released after success and failure alike. */
rein_status reini_preference_read(reini_preference *data, const char *path, reini_lm_reader *reader,
                                  const reini_preference_opts *opts);
void reini_preference_release(reini_preference *data);
/* Tokens of a document. */
int reini_preference_length(const reini_preference *data, int64_t document);
/* Adds a group to the end: lengths and prompts of its n documents, their tokens one after another, what they are worth. */
typedef struct reini_answers {
    int n;
    const int32_t *length, *prompt, *token;
    const double *score;
    double margin;
    int64_t line;
} reini_answers;
rein_status reini_preference_add(reini_preference *data, const reini_answers *answers);
/* Moves a share of the groups, drawn with the seed, into `eval`. At least one stays and one goes. */
rein_status reini_preference_split(reini_preference *data, double share, uint64_t seed,
                                   reini_preference *eval);
void reini_preference_log(const reini_preference *data, const char *path, int max_length);
/* SHA-256 of everything but the lines. */
rein_status reini_preference_digest(const reini_preference *data, uint8_t digest[32]);

/* The prompt that chosen and rejected share, and the rest of each, as new values (json_decref them), by the rule above.
 * Both must be text, or both conversations. */
rein_status reini_preference_implicit(const json_t *chosen, const json_t *rejected, json_t *out[3]);

#endif
