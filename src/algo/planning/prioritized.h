/*
 * prioritized.h - the order of prioritised sweeping: states by their Bellman error, largest first.
 *
 * A. Moore, C. Atkeson: Prioritized sweeping, Machine Learning 13, 1993, with a known model and exact errors
 * (Gauss-Southwell): after the backup of a state the errors of its predecessors are computed anew, so the
 * error on top is the residual of all states.
 */
#ifndef REINI_PRIORITIZED_H
#define REINI_PRIORITIZED_H

#include "base/archive.h"
#include "mdp/backup.h"
#include "mdp/reach.h"

typedef struct reini_priorities {
    reini_predecessors pred;
    double *error;  /* (S) |max_a Q - V| */
    int32_t *heap;  /* (S) states, each with an error not below those of its two children */
    int32_t *place; /* (S) of a state in the heap */
} reini_priorities;

rein_status reini_priorities_init(reini_priorities *q, const reini_bellman *b, const double *V);
void reini_priorities_release(reini_priorities *q);
rein_status reini_priorities_visit(reini_priorities *q, const rein_mdp *mdp, reini_archive *archive);
/* As many backups as there are states, or fewer when all errors come down to `goal`. The residual is that of
 * all states afterwards. */
reini_sweep reini_priorities_sweep(reini_priorities *q, const reini_bellman *b, double goal, double *V);

#endif
