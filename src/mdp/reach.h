/*
 * reach.h - which states can be made to end for sure: what decides whether values exist at gamma = 1.
 *
 * A process ends when it comes to a terminal state, or to rest: to states in which it can stay for ever
 * without earning or paying. Where no policy ends with probability 1, every policy earns or pays for ever.
 */
#ifndef REINI_REACH_H
#define REINI_REACH_H

#include "mdp/mdp.h"

/* Predecessors of s: state[first[s] .. first[s + 1]), ascending, each once for every run of its transitions
 * to s. */
typedef struct reini_predecessors {
    size_t *first;  /* (S + 1) */
    int32_t *state; /* (transitions at most) */
} reini_predecessors;

/* Zeroed structs are released too. */
rein_status reini_predecessors_init(reini_predecessors *pred, const rein_mdp *mdp);
void reini_predecessors_release(reini_predecessors *pred);

typedef struct reini_ending_opts {
    const uint8_t *allowed; /* (S x A) actions that may be taken, NULL = all */
    const uint8_t *rest;    /* (S) states where the process may rest, NULL = all */
} reini_ending_opts;

/* A policy that ends with probability 1 from every state where one can: where resting is possible it rests;
 * elsewhere each action leads nearer to the end, in hops, with positive probability. action (S): -1 in
 * terminal states and where no policy is sure to end; *stuck is the first of the latter, -1 = none. opts NULL
 * = all allowed. */
rein_status reini_ending_policy(const rein_mdp *mdp, const reini_ending_opts *opts, int32_t *action,
                                int32_t *stuck);

/* Whether every outcome of a row earns 0. */
bool reini_row_is_free(const reini_row *row);

#endif
