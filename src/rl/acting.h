/*
 * acting.h - compiled programs that turn observations into actions.
 */
#ifndef REINI_ACTING_H
#define REINI_ACTING_H

#include "rl/net.h"

/* A graph from observations to sampled (or most likely) actions, for batches of up to `capacity` rows. The graph
 * stays, because its tensors name what an exec binds. Constant once made: threads share it, each with its exec. */
typedef struct reini_act_program {
    rein_graph *g;
    rein_program *program;
    int slot, rows;
    reini_net_inputs in;
    rein_tensor *key;        /* NULL when greedy, or where theta is the noise */
    rein_tensor *theta;      /* (rows x act size x latent) of state-dependent exploration; NULL otherwise */
    rein_tensor *action;     /* (rows x act size) in the policy's units */
    rein_tensor *env_action; /* in the environment's units; the same tensor unless scale_actions */
    rein_tensor *logp;       /* (rows x 1); NULL when greedy */
    rein_tensor *output;     /* logits or means (rows x k); NULL unless asked for */
    rein_tensor *state;      /* (rows x state size) after the step, in.state before it; NULL without memory */
    rein_tensor *middle, *half;
} reini_act_program;

rein_status reini_act_program_init(reini_act_program *act, const reini_net *policy, int capacity, bool sample,
                                   bool masked, bool output);
/* The states of those programs are the actor's alone; of these, with `critic`, the critic's as well.
 * As with sample; a policy with use_sde acts with the caller's theta (rl/sde.h), not with a noise for each step. */
rein_status reini_act_program_explore(reini_act_program *act, const reini_net *policy, int capacity,
                                      bool masked, bool output, bool critic);
void reini_act_program_release(reini_act_program *act);
/* An exec of the program bound to the policy's parameters and normaliser. */
rein_status reini_act_exec_new(const reini_act_program *act, const reini_net *policy, rein_exec **out);

/* The network's rein_policy_act, and what it needs. */
void reini_net_act(rein_policy *policy, int64_t t, int n, const void *obs, const uint8_t *mask,
                   const rein_sampling *sampling, void *actions);
void reini_net_act_state(rein_policy *policy, int64_t t, int n, const void *obs, const uint8_t *mask,
                         const rein_sampling *sampling, float *state, const uint8_t *start, void *actions);
typedef struct reini_acting reini_acting;
rein_status reini_acting_new(reini_net *policy, reini_acting **out);
void reini_acting_free(reini_acting *acting);

#endif
