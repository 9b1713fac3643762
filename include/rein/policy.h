/*
 * policy.h - a trained policy: a safetensors file that carries its spaces, its normaliser and its weights or
 * tables, and acts alone.
 *
 *     rein_policy *policy;
 *     if (rein_policy_load("runs/ppo/policy.safetensors", &policy) != REIN_OK) ...
 *     rein_policy_act(policy, n, obs, NULL, NULL, actions);
 */
#ifndef REIN_POLICY_H
#define REIN_POLICY_H

#include <rein/env.h>
#include <rein/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rein_policy rein_policy;

REIN_API rein_status rein_policy_load(const char *path, rein_policy **out);
/* Writes atomically. */
REIN_API rein_status rein_policy_save(const rein_policy *policy, const char *path);
REIN_API void rein_policy_free(rein_policy *policy);

/* The spaces it was trained for, and the names of the algorithm and environment (strings of the policy). */
REIN_API const rein_space *rein_policy_obs_space(const rein_policy *policy);
REIN_API const rein_space *rein_policy_act_space(const rein_policy *policy);
REIN_API const char *rein_policy_algo(const rein_policy *policy);
REIN_API const char *rein_policy_env(const rein_policy *policy);

/* How to draw when sampling; row i of a call draws from (seed, row_base + i, step). */
typedef struct rein_sampling {
    uint64_t seed;
    uint64_t step;
    uint64_t row_base;
} rein_sampling;

/* Actions for n observations: actions (n x action size; int32 or float, in the environment's bounds), obs (n x obs
 * size), mask (n x logits, U8) or NULL, sampling NULL = greedy. Not for two threads at once on one policy. */
REIN_API void rein_policy_act(rein_policy *policy, int n, const void *obs, const uint8_t *mask,
                              const rein_sampling *sampling, void *actions);

/* The same at time t: steps since the episodes of these rows began. Only finite-horizon plans look at it;
 * rein_policy_act is t = 0. */
REIN_API void rein_policy_act_at(rein_policy *policy, int64_t t, int n, const void *obs, const uint8_t *mask,
                                 const rein_sampling *sampling, void *actions);

/* Policies with a memory (recurrent networks) carry a state through an episode, which is the caller's: as many floats as
 * this for each environment; 0 = memoryless. */
REIN_API int rein_policy_state_size(const rein_policy *policy);
/* rein_policy_act_at with the states (n x state size) of the rows, which are read and become those after this step. Rows
 * where `start` (n) is non-zero begin an episode: their state is taken as zero, whatever is there; NULL = none begins (a
 * zeroed state is one that begins). state NULL, as in rein_policy_act and rein_policy_act_at: every call is an episode's
 * first step. Memoryless policies do not look at state and start. */
REIN_API void rein_policy_act_state(rein_policy *policy, int64_t t, int n, const void *obs,
                                    const uint8_t *mask, const rein_sampling *sampling, float *state,
                                    const uint8_t *start, void *actions);

/* SHA-256 over parameter and normaliser bytes only: 64 hex digits and a 0. */
REIN_API void rein_policy_sha256(const rein_policy *policy, char out[65]);

#ifdef __cplusplus
}
#endif
#endif
