/*
 * reward_parts.h - the kinds of rewards behind reward.h.
 */
#ifndef REINI_REWARD_PARTS_H
#define REINI_REWARD_PARTS_H

#include "lm/reward.h"

typedef struct reini_reward_kind {
    const char *name;
    bool needs_argument;
    /* state of a term with this argument ("" = none given); where: "reward NAME" for sentences */
    rein_status (*open)(const char *argument, const reini_reward_opts *opts, const char *where, void **state);
    void (*close)(void *state);
    /* column of the rows that it reads; NULL = none */
    const char *(*column)(const void *state);
    /* value [n]: NAN = no opinion */
    rein_status (*score)(void *state, const reini_reward_item *items, int n, double *value);
} reini_reward_kind;

extern const reini_reward_kind reini_reward_text_kinds[]; /* ends with a NULL name */
extern const reini_reward_kind reini_reward_model_kind;
extern const reini_reward_kind reini_reward_command_kind;

/* The parenthesis that closes the one at `open`, NULL when none does; backslashes keep what follows from counting. */
const char *reini_reward_argument_end(const char *open);

/* "FILE:LINE: " of an item, into out; returns out. */
const char *reini_reward_place(char out[400], const reini_reward_opts *opts, const reini_reward_item *item);

/* ---- verifiable answers, for tests ---------------------------------------------------------------------- */

/* The last number of a text, commas between digits left out. False when there is none. */
bool reini_last_number(const char *text, double *value);
/* Lower case, single spaces, no punctuation around, no commas in numbers; NULL when out of memory (reini_free it). */
char *reini_normalised_answer(const char *text);

#endif
