/*
 * given.h - a policy that is given rather than learned: the one that prediction evaluates, the one whose experience
 * it learns from.
 *
 * It is uniform over the allowed actions, or comes from the tables of a policy file: their actions, their
 * probabilities, or the first best action by their values.
 */
#ifndef REINI_GIVEN_H
#define REINI_GIVEN_H

#include <rein/rng.h>
#include "rl/table_policy.h"

typedef struct reini_given {
    reini_table_policy *file; /* NULL = uniform */
    int32_t A;
    double epsilon; /* share of the uniform policy mixed in */
} reini_given;

/* from: "uniform", a run directory or a policy file; field: the setting it comes from, for errors. */
rein_status reini_given_init(reini_given *g, const char *field, const char *from, const rein_env_type *env);
void reini_given_release(reini_given *g);
/* Probabilities of the actions in a state, into p (A); mask NULL = all are allowed. */
void reini_given_row(const reini_given *g, int32_t s, const uint8_t *mask, double *p);
/* An action drawn from probabilities p (n). */
int32_t reini_draw(const double *p, int32_t n, rein_rng *rng);

#endif
