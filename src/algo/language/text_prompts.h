/*
 * text_prompts.h - prompts to answer, as tokens, with the rows they came from: {"prompt": text or messages, ...}.
 *
 * Further columns are kept for rewards ("solution"). A conversation gets the beginning of the assistant's message; plain
 * text stays as it is. Rows without a prompt, with a prompt that leaves no room for an answer, or without a column that
 * a reward reads are named by file and line, or with skip_bad counted and passed over.
 */
#ifndef REINI_TEXT_PROMPTS_H
#define REINI_TEXT_PROMPTS_H

#include "data/lm_encode.h"
#include "lm/reward.h"

typedef struct reini_prompts {
    int64_t n;
    json_t **row;   /* [n] */
    int64_t *line;  /* [n] */
    char **text;    /* [n] as the model reads it */
    int64_t *start; /* [n + 1] into token */
    int32_t *token;
    int longest;
    int64_t skipped;
    uint8_t digest[32]; /* SHA-256 of tokens and rows */
    size_t room, token_room;
} reini_prompts;

typedef struct reini_prompts_opts {
    int longest; /* tokens of a prompt, at most */
    bool skip_bad;
    const reini_rewards *rewards;
} reini_prompts_opts;

/* p: released after success and failure alike. */
rein_status reini_prompts_read(reini_prompts *p, const char *path, reini_lm_reader *reader,
                               const reini_prompts_opts *opts);
void reini_prompts_release(reini_prompts *p);

/* Puts a byte 0 behind a text, which counts: several texts then lie one after another. */
rein_status reini_text_end(reini_bytes *text);

#endif
