/*
 * backup.h - Bellman backups: one state, and sweeps over all of them.
 *
 *     Q(s, a) = R(s, a) + gamma sum over s' of P(s'|s, a) V(s')
 *
 * R is the expected reward. Values are of the orientation of maximising (mdp.h). V of a terminal state is its
 * value and never changes. An action that does not exist has Q = -inf.
 *
 * Synchronous sweeps read V and write out, over fixed ranges of states shared out over a pool: the bits do
 * not depend on the number of threads. Sums run over the outcomes of a row in order, everywhere, so that
 * every way of computing a Q gives the same bits.
 */
#ifndef REINI_BACKUP_H
#define REINI_BACKUP_H

#include <math.h>
#include <rein/tensor.h>
#include "mdp/mdp.h"

/* Q's that differ by less than this, relative to the larger, are equal: the lowest action is taken. */
#define REINI_TIE 1e-12

/* A discounted MDP and who sweeps it. */
typedef struct reini_bellman {
    const rein_mdp *mdp;
    double gamma;
    rein_pool *pool; /* NULL = the caller alone */
} reini_bellman;

/* A policy: action (S; -1 in terminal states), or probabilities pi (S x A) when action is NULL. */
typedef struct reini_choice {
    const int32_t *action;
    const double *pi;
} reini_choice;

static inline double reini_choice_of(const reini_choice *c, const rein_mdp *mdp, int32_t s, int32_t a) {
    if (c->action != NULL)
        return c->action[s] == a ? 1 : 0;
    return c->pi[(size_t)s * (size_t)mdp->n_actions + (size_t)a];
}

/* What a sweep found. */
typedef struct reini_sweep {
    double residual; /* max |out - V| */
    double largest;  /* max |out| */
} reini_sweep;

/* ---- one state ----------------------------------------------------------------------------------------- */

double reini_q(const reini_bellman *b, const double *V, int32_t s, int32_t a);
/* max over a of Q; V[s] in terminal states. */
double reini_best(const reini_bellman *b, const double *V, int32_t s);
/* The lowest action whose Q is the largest within REINI_TIE; -1 in terminal states. */
int32_t reini_greedy(const reini_bellman *b, const double *V, int32_t s);
/* Under a policy. */
double reini_expected(const reini_bellman *b, const reini_choice *choice, const double *V, int32_t s);

/* ---- all states ---------------------------------------------------------------------------------------- */

/* 0, and the values of terminal states. */
void reini_values_reset(const rein_mdp *mdp, double *V);
/* out = max over a of Q. */
reini_sweep reini_sweep_best(const reini_bellman *b, const double *V, double *out);
/* out = the backup of a policy. */
reini_sweep reini_sweep_policy(const reini_bellman *b, const reini_choice *choice, const double *V,
                               double *out);
/* V = max over a of Q one state after the other (Gauss-Seidel), with what is new already; one thread. */
reini_sweep reini_sweep_in_place(const reini_bellman *b, double *V, bool descending);
/* Greedy actions for V into action. With keep >= 0 those there stay, unless they are worse than the best by
 * more than `keep` relative to it. Returns how many changed. */
#define REINI_AFRESH (-1.0)
int64_t reini_improve(const reini_bellman *b, const double *V, double keep, int32_t *action);
/* Q (S x A); V[s] in terminal states. */
void reini_lookahead(const reini_bellman *b, const double *V, double *Q);

#endif
