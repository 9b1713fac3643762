/*
 * net.h - policies that are networks: what an on-policy method trains, their normaliser, and the program that
 * acts.
 *
 * Parameter groups: "actor" (and "log_std" for boxes), "critic", and "shared" when they have a common trunk.
 */
#ifndef REINI_NET_H
#define REINI_NET_H

#include <rein/nn.h>
#include "base/archive.h"
#include "rl/encode.h"
#include "rl/normalise.h"
#include "rl/policy.h"
#include "rl/sde.h"
#include "rl/sequence.h"

/* The networks' shape; the same text fields in every algorithm that has them. */
#define REINI_NET_FIELDS(F, E)                                                                               \
    F(INTS, hidden, "64,64", 1, 65536, "widths of the hidden layers of actor and critic")                    \
    E(activation, "tanh", "identity|tanh|relu|silu|gelu|sigmoid", "activation of the hidden layers")         \
    F(BOOL, shared, "false", 0, 1, "actor and critic share the hidden layers")                               \
    E(init, "orthogonal", "orthogonal|uniform|xavier|kaiming",                                               \
      "initial weights: orthogonal with small heads, or uniform 1/sqrt(fan-in) everywhere, ...")             \
    F(REAL, log_std_init, "0", -20, 5, "log standard deviation of box actions at the start")                 \
    F(BOOL, scale_actions, "false", 0, 1, "box actions in units of the bounds: -1 is low, 1 is high")        \
    E(norm_obs, "none", "none|running|warmup",                                                               \
      "standardise observations with statistics of all experience, or of a warm-up rollout alone")           \
    REINI_ENCODE_FIELDS(F, E)

/* What the actor's last layer stands for. */
typedef enum reini_head {
    REINI_HEAD_DIST,     /* logits of discrete actions, or the mean of a Gaussian with a free deviation */
    REINI_HEAD_SQUASHED, /* mean and log deviation of a tanh-squashed Gaussian (SAC) */
    REINI_HEAD_DETERMINISTIC, /* tanh of the layer (TD3, DDPG) */
    REINI_HEAD_Q,             /* values of the discrete actions (DQN) */
    REINI_HEAD_DUELING,       /* the same as V(s) + A(s, a) - mean A; Wang et al. 2016, eq. 9 */
} reini_head;

/* Heads of bounded boxes act in (-1, 1) and need scale_actions; those of values need one discrete action. */
typedef struct reini_net_config {
    REIN_FIELDS_STRUCT(REINI_NET_FIELDS)
    REIN_FIELDS_STRUCT(REINI_SDE_FIELDS)
    REIN_FIELDS_STRUCT(REINI_MEMORY_FIELDS)
    int head; /* reini_head */
} reini_net_config;

/* log deviations of the squashed head are clamped to this range (Haarnoja et al. 2018) */
#define REINI_LOG_STD_LOW  (-20.0)
#define REINI_LOG_STD_HIGH 2.0

/* numbers in a box action, at most */
enum { REINI_ACTIONS_MAX = 1024 };

enum { REINI_NORM_NONE, REINI_NORM_RUNNING, REINI_NORM_WARMUP };

typedef struct reini_net {
    rein_policy base;
    reini_net_config net;
    rein_dtype matmul;   /* of its programs: acting must compute what training computes */
    reini_encode encode; /* of image observations */
    rein_layout *layout;
    rein_store *store;
    reini_moments moments;         /* of observations; empty when norm_obs is none */
    float *norm_mean, *norm_scale; /* (obs size) what graphs read */
    float *low, *high;             /* (act size) bounds; boxes only */
    float *act_middle, *act_half;  /* (act size) environment action = middle + half x policy action */
    struct reini_acting *acting;   /* compiled programs that act */
} reini_net;

/* A policy for an environment's spaces with weights of the seed; matmul: REIN_F32 or REIN_BF16. */
rein_status reini_net_new(const char *algo, const char *env, const rein_space *obs, const rein_space *act,
                          const reini_net_config *net, bool critic, rein_dtype matmul, uint64_t seed,
                          reini_net **out);
void reini_net_free(reini_net *policy);
/* Recomputes what graphs read from the moments. */
void reini_net_refresh(reini_net *policy);
rein_status reini_net_visit(reini_net *policy, reini_archive *archive);

/* Numbers of an environment's state: with the critic's when it has a memory of its own. 0 without memory. */
static inline int reini_net_state_size(const reini_net *policy, bool critic) {
    return (int)policy->net.gru * (critic && !policy->net.shared ? 2 : 1);
}

/* ---- parts of graphs ----------------------------------------------------------------------------------- */

/* Discrete observations go in as I32, and the network sees them one-hot; images go in as bytes. */
rein_dtype reini_net_obs_dtype(const rein_space *obs);

/* The policy's inputs in a graph. */
typedef struct reini_net_inputs {
    rein_tensor *obs;          /* (rows x obs size), reini_net_obs_dtype */
    rein_tensor *mask;         /* (rows x logits) U8, NULL when the environment has none */
    rein_tensor *mean, *scale; /* static (obs size), NULL when not normalised */
    /* of policies with a memory; rows are then steps, in sequences of `length` (0 stands for 1) */
    rein_tensor *
        state; /* (sequences x state size) before the first step: rows of their own, or steps when length is 1 */
    rein_tensor *start; /* (rows x 1) non-zero: the state before the step is zero; NULL = nowhere */
    int length;
} reini_net_inputs;

/* What a policy computes from an observation. */
typedef struct reini_net_heads {
    rein_dist dist;      /* of the heads that are distributions */
    rein_tensor *latent; /* (rows x k) what state-dependent noise is made from; NULL without use_sde */
    rein_tensor
        *output; /* (rows x k) logits, means or values, before masks; squashed: means and log deviations */
    rein_tensor *value; /* (rows x 1), NULL unless asked for */
    rein_tensor *
        state; /* (rows x state size) after each step, of the networks that were asked for; NULL without memory */
} reini_net_heads;

/* Declares the state as an input over an extent's rows when the policy has a memory. */
void reini_net_state_input(const reini_net *policy, rein_graph *g, int extent, bool critic,
                           reini_net_inputs *in);
/* Declares mean and scale inputs when the policy normalises; obs and mask are the caller's. */
void reini_net_norm_inputs(const reini_net *policy, rein_graph *g, reini_net_inputs *in);
void reini_net_bind_norm(const reini_net *policy, rein_exec *exec, const reini_net_inputs *in);
/* The most likely, or most valuable, action. */
rein_tensor *reini_net_mode(const reini_net *policy, const reini_net_inputs *in,
                            const reini_net_heads *heads);
static inline bool reini_net_samples(const reini_net *policy) {
    return policy->net.head <= REINI_HEAD_SQUASHED;
}
reini_net_heads reini_net_build(const reini_net *policy, int slot, const reini_net_inputs *in, bool actor,
                                bool critic);
/* A value function of the critic's shape beside the policy: parameters `name` in any slot. It has no memory of its own
 * and sees the policy's state before the step (in->state, as constant numbers) as part of the observation. */
rein_tensor *reini_net_value_beside(const reini_net *policy, int slot, const char *name,
                                    const reini_net_inputs *in);

#endif
