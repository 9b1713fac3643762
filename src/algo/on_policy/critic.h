/*
 * critic.h - fitting value functions that share nothing with the policy: passes of minibatch regression on returns, of
 * the reward or of costs.
 */
#ifndef REINI_CRITIC_H
#define REINI_CRITIC_H

#include "algo/on_policy/on_policy.h"
#include "rl/cost.h"

typedef struct reini_critic {
    reini_on_policy *base;
    reini_part part;
    rein_store *store; /* what is fitted: the policy's, or that of the costs */
    rein_tensor *loss; /* E[(V(s) - R)^2] of a minibatch; of costs their sum */
    uint64_t stream;   /* of permutations */
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
/* Fits the values of all costs to their returns. */
rein_status reini_critic_init_costs(reini_critic *critic, reini_on_policy *base,
                                    const reini_optim_settings *optim, const reini_costs *costs,
                                    int64_t batch_size);
void reini_critic_release(reini_critic *critic);
/* optimizer, shuffles: names for the archive. */
rein_status reini_critic_visit(reini_critic *critic, const char *optimizer, const char *shuffles,
                               reini_archive *archive);

/* Passes over the first `steps` in random minibatches; returns the mean of their losses, NAN without any. */
double reini_critic_fit(reini_critic *critic, int64_t steps, int64_t passes, double learning_rate);

#endif
