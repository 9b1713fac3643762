/*
 * critic.h - fitting a value function that shares nothing with the policy: passes of minibatch regression on returns.
 */
#ifndef REINI_CRITIC_H
#define REINI_CRITIC_H

#include "algo/on_policy/on_policy.h"

typedef struct reini_critic {
    reini_on_policy *base;
    reini_part part;
    rein_tensor *loss; /* E[(V(s) - R)^2] of a minibatch */
    rein_store *gradient;
    rein_optim *optim;
    int64_t batch_size;
    int32_t *order;    /* (steps) a permutation */
    uint32_t *words;   /* (steps, rounded up) random bits it is made from */
    uint64_t shuffles; /* permutations drawn so far */
} reini_critic;

/* Fits obs and ret of r, which has room for `steps` of them. */
rein_status reini_critic_init(reini_critic *critic, reini_on_policy *base, const reini_optim_settings *optim,
                              const reini_rollout *r, int64_t steps, int64_t batch_size);
void reini_critic_release(reini_critic *critic);
rein_status reini_critic_visit(reini_critic *critic, const char *optimizer, reini_archive *archive);

/* Passes over the first `steps` in random minibatches; returns the mean of their losses, NAN without any. */
double reini_critic_fit(reini_critic *critic, int64_t steps, int64_t passes, double learning_rate);

#endif
