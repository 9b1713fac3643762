/*
 * trust_dual.h - the step of constrained policy optimization: of all steps x within a trust region that keep linear
 * limits, the one with the best gain (Achiam et al. 2017, section 6).
 *
 *     maximise    g'x
 *     subject to  c_i + b_i'x <= 0  for every limit i,   x'H x / 2 <= radius
 *
 * The answer lies in the span of H^-1 g and H^-1 b_i, and everything about it follows from their products
 *
 *     q = g'H^-1 g      r_i = b_i'H^-1 g      S_ij = b_i'H^-1 b_j
 *
 * so that a problem with thousands of parameters becomes one with as many unknowns as limits.
 */
#ifndef REINI_TRUST_DUAL_H
#define REINI_TRUST_DUAL_H

#include <rein/env.h>

typedef struct reini_trust_problem {
    int n; /* limits */
    double q, r[REIN_COSTS_MAX], s[REIN_COSTS_MAX][REIN_COSTS_MAX];
    double c[REIN_COSTS_MAX]; /* excess over the limits at x = 0 */
    double radius;
} reini_trust_problem;

typedef enum reini_trust_case {
    REINI_TRUST_FREE,    /* no limit binds: TRPO's step */
    REINI_TRUST_BOUND,   /* limits bind, and can be kept within the region */
    REINI_TRUST_RECOVER, /* they cannot: the step lowers the excess and nothing else */
    REINI_TRUST_STAY,    /* limits are passed and nothing lowers them, or nothing is finite: x = 0 */
} reini_trust_case;

/* x = gain H^-1 g - sum_i loss_i H^-1 b_i */
typedef struct reini_trust_step {
    reini_trust_case kind;
    double gain, loss[REIN_COSTS_MAX];
    double lambda, nu[REIN_COSTS_MAX]; /* multipliers of the region and of the limits; 0 when recovering */
} reini_trust_step;

reini_trust_step reini_trust_solve(const reini_trust_problem *problem);

#endif
