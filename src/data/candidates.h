/*
 * candidates.h - answers that wait to be compared: groups of different answers to the same prompt.
 *
 *     {"prompt": ..., "completion": ..., "sample"?: 0}    one answer; rows that follow one another with the same prompt
 *                                                         and growing sample numbers are a group
 *     {"prompt" or "query": ..., "responses": [...]}      a group
 *
 * Values are plain text or conversations; a file holds the one or the other. Answers that are empty or the same as
 * another of their group teach nothing and are left out, named and counted.
 */
#ifndef REINI_CANDIDATES_H
#define REINI_CANDIDATES_H

#include <jansson.h>
#include "base/base.h"

typedef struct reini_candidate {
    json_t *row;          /* where it stands; held */
    const json_t *answer; /* in the row */
    int64_t line;
} reini_candidate;

typedef struct reini_candidate_group {
    json_t *prompt;      /* held */
    int64_t first, line; /* answers first ..., n of them; line of the first row */
    int n;
} reini_candidate_group;

typedef struct reini_candidates {
    char *path;
    reini_candidate *answer;      /* [n_answers] */
    reini_candidate_group *group; /* [n] */
    int64_t n, n_answers;
    int64_t empty, same; /* left out */
    size_t room, answer_room;
    int64_t sample; /* of the last row, -1 = it had none */
    bool listed;    /* the last row was a list */
} reini_candidates;

/* c: released after success and failure alike. */
rein_status reini_candidates_read(reini_candidates *c, const char *path);
void reini_candidates_release(reini_candidates *c);

#endif
