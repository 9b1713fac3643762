/*
 * ppo_critic.h - the critic of PPO on a language model: what a text is worth before its next token.
 *
 * It is a network of its own with a score head, or a head on the policy's hidden rows ("trunk"). The latter has a vector
 * of weights and nothing else: no second pass through layers, no second set of activations. The gradient of its loss
 * goes on through the policy's network, in the same backward pass as that of the policy's loss.
 */
#ifndef REINI_PPO_CRITIC_H
#define REINI_PPO_CRITIC_H

#include "algo/language/lm_learner.h"

enum { REINI_CRITIC_OWN, REINI_CRITIC_TRUNK };

typedef struct reini_ppo_critic {
    int kind;
    reini_lm_learner *policy;   /* the caller's */
    reini_lm_settings settings; /* the policy's, with the critic's folder */
    reini_lm_learner own;
    /* of a head on the policy's network */
    rein_layout *layout;
    rein_store *head, *gradient;
    rein_optim *optim;
} reini_ppo_critic;

/* model: folder that a network of its own begins with, "none" = the policy's. The policy's learner is opened. Memory is
 * for batches of at most so many tokens and documents. c: released after success and failure alike. */
rein_status reini_ppo_critic_open(reini_ppo_critic *c, int kind, const char *model, reini_lm_learner *policy,
                                  const reini_lm_settings *settings, int tokens, int documents);
void reini_ppo_critic_release(reini_ppo_critic *c);

/* V of the batch's scored rows; a head on the policy's network reads the policy's forward pass of this batch. */
void reini_ppo_critic_values(reini_ppo_critic *c, const reini_packed *batch, float *values);
/* Gradients are zero. */
void reini_ppo_critic_begin(reini_ppo_critic *c);
/* A head on the policy's network is called within the policy's backward pass, before reini_lm_backward. */
void reini_ppo_critic_backward(reini_ppo_critic *c, const reini_packed *batch, const float *dvalues);
rein_optim_result reini_ppo_critic_update(reini_ppo_critic *c, double rate);
rein_status reini_ppo_critic_visit(reini_ppo_critic *c, reini_archive *ar);
/* The head's weights, [hidden]. */
float *reini_ppo_critic_head(reini_ppo_critic *c);

#endif
