/*
 * chain.h - the Markov chain that a policy makes of an MDP: where it stays for ever, and its values by a direct solve.
 *
 *     V = R_pi + gamma P_pi V
 *
 * At gamma = 1 the chain's recurrent classes decide: V is 0 in a class that earns nothing, infinite in one
 * that earns or pays, and the unique solution in the states that leave in the end.
 */
#ifndef REINI_CHAIN_H
#define REINI_CHAIN_H

#include "mdp/backup.h"

/* The most states that direct solves are made for: a dense matrix of 32 MB. */
#define REINI_DIRECT_STATES 2000

/* The classes of states, terminal ones apart, that are never left once entered. */
typedef struct reini_classes {
    int32_t count;
    int32_t *of; /* (S) the class of a state, -1 = left in the end, or terminal */
} reini_classes;

/* Zeroed structs are released too. */
rein_status reini_classes_init(reini_classes *classes, const rein_mdp *mdp, const reini_choice *choice);
void reini_classes_release(reini_classes *classes);

/* A state of a class that earns or pays under this policy, the first such; -1 = none. */
int32_t reini_classes_earning(const reini_classes *classes, const rein_mdp *mdp, const reini_choice *choice);
/* What the class of a state earns per step in the long run: it lies within [*low, *high], which is narrow
 * unless the class mixes very slowly. */
rein_status reini_classes_gain(const reini_classes *classes, const rein_mdp *mdp, const reini_choice *choice,
                               int32_t state, double *low, double *high);

/* At gamma = 1: REIN_DIVERGED naming a state when the policy has infinite values, as a sentence about `who`
 * ("this policy"). REIN_OK at other gamma. */
rein_status reini_chain_check(const reini_bellman *b, const reini_choice *choice, const char *who);

/* Room for direct solves. */
typedef struct reini_direct {
    double *matrix;  /* (n x n) at most */
    double *right;   /* (n) */
    int32_t *pivot;  /* (n) */
    int32_t *number; /* (S) of the equation of a state, -1 = its value is known */
    double *swept;   /* (S) */
} reini_direct;

/* Refused above REINI_DIRECT_STATES, as a sentence about `setting` ("evaluation=direct"). */
rein_status reini_direct_init(reini_direct *d, const rein_mdp *mdp, const char *setting);
void reini_direct_release(reini_direct *d);
/* V (S) of a policy, refined to a residual of a few roundings. At gamma = 1 infinite values are refused as in
 * reini_chain_check, about `who`. */
rein_status reini_direct_solve(reini_direct *d, const reini_bellman *b, const reini_choice *choice,
                               const char *who, double *V);

#endif
