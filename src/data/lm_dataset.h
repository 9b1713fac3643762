/*
 * lm_dataset.h - rows of text as tokens, with the marks of those that a loss scores.
 *
 * Rows are those of TRL: {"text"}, {"messages"}, or {"prompt", "completion"}, each plain text or a conversation (a list
 * of {"role", "content"}). All rows of a file are of one kind, decided by the first.
 *
 *     text, messages        every token is scored; with assistant_only, those the assistant wrote
 *     prompt, completion    the completion is scored, unless completion_only is off; with assistant_only as well,
 *                           what the assistant wrote of it
 *
 * Plain text gets the end-of-text token where it does not end in it; templates end their messages themselves. A prompt's
 * tokens are those that prompt and prompt + completion have in common. Rows longer than max_length lose their end; rows
 * of which nothing is left to score are dropped, and counted.
 */
#ifndef REINI_LM_DATASET_H
#define REINI_LM_DATASET_H

#include "data/lm_encode.h"

enum { REINI_COMPLETION_AUTO, REINI_COMPLETION_ALL, REINI_COMPLETION_ONLY };

typedef struct reini_lm_dataset_opts {
    int max_length;
    int completion; /* REINI_COMPLETION_... ; AUTO = the completion only, where rows have one */
    bool assistant_only;
    bool skip_bad; /* rows that are empty are counted instead of refused */
} reini_lm_dataset_opts;

typedef struct reini_lm_counts {
    int64_t rows;      /* read */
    int64_t empty;     /* passed over: no text */
    int64_t truncated; /* cut to max_length */
    int64_t unscored;  /* dropped: nothing (left) to score */
    int64_t apart;     /* the prompt's tokens are no beginning of those of prompt + completion */
    int64_t tokens, scored;
} reini_lm_counts;

typedef struct reini_lm_dataset {
    int64_t n;       /* documents */
    int64_t *start;  /* [n + 1] into token */
    int32_t *length; /* [n] tokens of each */
    int64_t *line;   /* [n] where it stood */
    int32_t *token;
    uint8_t *scored; /* token t is predicted from those before it, and counts */
    reini_lm_counts count;
    size_t room, token_room;
} reini_lm_dataset;

/* data: released after success and failure alike. */
rein_status reini_lm_dataset_read(reini_lm_dataset *data, const char *path, reini_lm_reader *reader,
                                  const reini_lm_dataset_opts *opts);
void reini_lm_dataset_release(reini_lm_dataset *data);
/* Moves a share of the documents, drawn with the seed, into `eval`. At least one stays and one goes. */
rein_status reini_lm_dataset_split(reini_lm_dataset *data, double share, uint64_t seed,
                                   reini_lm_dataset *eval);
/* Logs what was read: documents, tokens, what was cut and dropped. */
void reini_lm_dataset_log(const reini_lm_dataset *data, const char *path, int max_length);
/* SHA-256 of the tokens and their marks. */
rein_status reini_lm_dataset_digest(const reini_lm_dataset *data, uint8_t digest[32]);

#endif
