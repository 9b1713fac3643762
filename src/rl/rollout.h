/*
 * rollout.h - gathering experience with a policy: T steps of N environments, and the values of what was seen.
 *
 * Every worker runs its own range of environments through all T steps without waiting for the others. Random
 * numbers are keyed by (seed, step, environment), so the experience does not depend on the number of workers.
 */
#ifndef REINI_ROLLOUT_H
#define REINI_ROLLOUT_H

#include <rein/env.h>
#include "rl/acting.h"
#include "rl/episode_window.h"

/* Experience, time-major: element t N + n is step t of environment n. */
typedef struct reini_rollout {
    int64_t T, N;
    int obs_size, act_size, logits;
    size_t obs_bytes; /* of one observation */
    float *
        obs; /* ((T + 1) x N x obs_size)  the last rows are where the next rollout starts; int32 or bytes where the
                   environment's observations are, as in all arrays of observations */
    void *action;  /* (T x N x act_size)        int32 or float, in the policy's units */
    float *logp;   /* (T x N)                   of the action when it was drawn */
    float *output; /* (T x N x logits)          logits or means it was drawn from; NULL unless asked for */
    uint8_t *mask; /* ((T + 1) x N x logits)    NULL when the environment has none */
    float *reward; /* (T x N)                   after reini_rollout_bootstrap: with values of cut episodes */
    uint8_t *terminated; /* (T x N) */
    uint8_t *truncated;  /* (T x N) */
    uint8_t *done;       /* (T x N)                   terminated or truncated */
    float *value;        /* ((T + 1) x N)             0 without a critic */
    float *adv, *ret;    /* (T x N) */
    float *ep_return;    /* (T x N)                   where done */
    int32_t *ep_length;  /* (T x N)                   where done */
    /* when costs are kept; else 0 and NULL */
    int n_costs;
    float *cost;    /* (T x N x n_costs) */
    float *ep_cost; /* (T x N x n_costs)         where done */
    /* of policies with a memory; else NULL and 0 */
    int state_size;
    float *
        state; /* ((T + 1) x N x state_size)  before the step, zero where an episode begins; the critic's with it */
    uint8_t
        *start; /* (T x N)                   an episode begins here; step 0 starts from `state` either way */
    /* last observations of truncated episodes, a list for each environment */
    int64_t final_capacity;
    float *final_obs;     /* (N x final_capacity x obs_size) */
    float *final_state;   /* (N x final_capacity x state_size)  before them */
    int32_t *final_step;  /* (N x final_capacity)      t */
    int32_t *final_count; /* (N) */
} reini_rollout;

typedef struct reini_collector reini_collector;

typedef struct reini_collector_opts {
    const rein_env_type *env; /* opened */
    uint64_t seed;
    int64_t n_envs, n_steps;
    rein_pool *pool;
    bool critic; /* values are computed by the policy's critic */
    bool output; /* keep logits or means */
    bool costs;  /* keep the environment's costs */
} reini_collector_opts;

/* The policy must outlive the collector. */
rein_status reini_collector_new(const reini_collector_opts *opts, reini_net *policy, reini_collector **out);
void reini_collector_free(reini_collector *c);
/* Fills the rollout with T steps; seconds spent in the environments and in the policy are added to *env and *act. */
void reini_collector_run(reini_collector *c, double *env_seconds, double *act_seconds);
/* rein_vec_fault of its environments: what they gave in the last run is of no use then. */
rein_status reini_collector_fault(const reini_collector *c);
/* Puts all environments at the start of new episodes and forgets those finished so far. */
void reini_collector_restart(reini_collector *c);
reini_rollout *reini_collector_rollout(reini_collector *c);
const reini_episodes *reini_collector_episodes(const reini_collector *c);
/* Values of all observations, and those of cut episodes' last observations folded into the rewards:
 * reward += discount V(final observation) where truncated and not terminated. Without a critic values are 0. */
void reini_collector_evaluate(reini_collector *c, double discount);
rein_status reini_collector_visit(reini_collector *c, reini_archive *archive);

#endif
