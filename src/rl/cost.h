/*
 * cost.h - costs beside the reward: limits on them, value functions, advantages, and what an episode costs.
 *
 * A constrained problem (Altman 1999) asks for the best return among the policies whose costs keep their limits:
 *
 *     maximise J_R(pi) subject to J_i(pi) <= d_i        J_i = E[sum over an episode of the i-th cost]
 *
 * The limit is on the plain sum over an episode. Advantages are those of reini_gae, with a discount and a lambda of
 * their own, and a cut episode is carried on by the value of its last observation.
 *
 * Value functions have the shape of the policy's critic and a store of their own: "cost0.0.weight", ...,
 * "cost1.0.weight", ... They are no part of the policy.
 */
#ifndef REINI_COST_H
#define REINI_COST_H

#include "rl/rollout.h"

/* The same text fields in every method that keeps limits on costs. */
#define REINI_COST_FIELDS(F, E)                                                                              \
    F(TEXT, cost_limit, "none", 0, 0,                                                                        \
      "limits on the mean cost of an episode, one for each cost of the environment: \"25\", \"25,0.5\"; "    \
      "inf = none for this cost")                                                                            \
    F(REAL, cost_gamma, "0.99", 0, 1, "discount per step of costs")                                          \
    F(REAL, cost_gae_lambda, "0.95", 0, 1, "bias (0) against variance (1) of the advantage in costs")

typedef struct reini_limits {
    int n; /* 0 = no limits at all, else the environment's costs */
    double at[REIN_COSTS_MAX];
} reini_limits;

/* Reads the field; refuses what does not fit the environment's costs. */
rein_status reini_limits_parse(const char *text, const rein_env_type *env, reini_limits *limits);

typedef struct reini_costs {
    const reini_net *policy;
    reini_rollout *rollout;
    reini_limits limits;
    double gamma, lambda;
    rein_layout *layout;
    rein_store *store;
    float *value; /* (n x (T + 1) x N) */
    float *adv;   /* (n x T x N) */
    float *ret;   /* (n x T x N) */
    float *cost;  /* (T x N) one of them, with values of cut episodes */
    float *last;  /* (n x N x final_capacity) values of last observations */
    double episode
        [REIN_COSTS_MAX]; /* mean costs of the episodes that ended in the last rollout that saw any end */
    double length;        /* their mean length; NAN before the first */
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    reini_net_inputs in;
    rein_tensor *out[REIN_COSTS_MAX];
} reini_costs;

typedef struct reini_costs_opts {
    reini_limits limits;
    double gamma, lambda;
    uint64_t seed;
    rein_pool *pool;
} reini_costs_opts;

/* The collector's rollout must keep costs. Release after success and failure alike. */
rein_status reini_costs_init(reini_costs *costs, const reini_costs_opts *opts, const reini_net *policy,
                             reini_rollout *rollout);
void reini_costs_release(reini_costs *costs);
/* Values, advantages and returns of all costs, and the means over the episodes that ended. */
void reini_costs_estimate(reini_costs *costs);
/* The rollout's advantages become (A - sum_i price_i A_i) / (1 + sum_i price_i) (Stooke et al. 2020, section 5). */
void reini_costs_price(const reini_costs *costs, const double *price);
rein_status reini_costs_visit(reini_costs *costs, reini_archive *archive);

/* The value of cost i in a graph: (rows x 1). */
rein_tensor *reini_costs_value(const reini_costs *costs, int slot, int i, const reini_net_inputs *in);

static inline float *reini_costs_adv(const reini_costs *costs, int i) {
    return costs->adv + i * costs->rollout->T * costs->rollout->N;
}
static inline float *reini_costs_ret(const reini_costs *costs, int i) {
    return costs->ret + i * costs->rollout->T * costs->rollout->N;
}
static inline float *reini_costs_values(const reini_costs *costs, int i) {
    return costs->value + i * (costs->rollout->T + 1) * costs->rollout->N;
}

#endif
