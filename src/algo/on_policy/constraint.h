/*
 * constraint.h - what a policy gradient does about limits: prices on costs that it folds into the advantages, and a
 * price on the distance from a reference policy.
 *
 *     A = (A_r - sum_i lambda_i A_i) / (1 + sum_i lambda_i)        lambda_i by rl/multiplier.h from J_i - d_i
 *     loss += beta E[KL(pi(.|s) || pi_ref(.|s))]                   beta fixed, or moved by KL / delta - 1
 *
 * J_i is the mean over the episodes that ended in the rollout, of the sums that the environment counted.
 */
#ifndef REINI_CONSTRAINT_H
#define REINI_CONSTRAINT_H

#include "algo/on_policy/critic.h"
#include "rl/cost.h"
#include "rl/multiplier.h"
#include "rl/reference.h"

#define REINI_REFERENCE_FIELDS(F, E)                                                                         \
    F(TEXT, reference, "none", 0, 0,                                                                         \
      "policy to stay near: none, initial (as it first acted), or a policy file")                            \
    F(REAL, reference_coef, "0", 0, 1e9, "price on KL(pi || reference); with reference_kl its start")        \
    F(REAL, reference_kl, "inf", 1e-9, INFINITY,                                                             \
      "delta: limit on KL(pi || reference), kept by a multiplier")                                           \
    F(REAL, reference_lr, "0.1", 0, 1e9, "change of that multiplier where the KL is twice its limit")

#define REINI_CONSTRAINT_FIELDS(F, E)                                                                        \
    REINI_COST_FIELDS(F, E) REINI_MULTIPLIER_FIELDS(F, E) REINI_REFERENCE_FIELDS(F, E)

typedef struct reini_constraint_settings {
    REIN_FIELDS_STRUCT(REINI_CONSTRAINT_FIELDS)
} reini_constraint_settings;

/* Columns of costs, in pairs for each cost. The i-th cost is the i-th of the environment's cost_names. */
#define REINI_COST_METRICS(X)                                                                                \
    X(COST_0, "cost/episode_0")                                                                              \
    X(PRICE_0, "cost/multiplier_0")                                                                          \
    X(COST_1, "cost/episode_1")                                                                              \
    X(PRICE_1, "cost/multiplier_1")                                                                          \
    X(COST_2, "cost/episode_2")                                                                              \
    X(PRICE_2, "cost/multiplier_2")                                                                          \
    X(COST_3, "cost/episode_3")                                                                              \
    X(PRICE_3, "cost/multiplier_3")                                                                          \
    X(COST_4, "cost/episode_4")                                                                              \
    X(PRICE_4, "cost/multiplier_4")                                                                          \
    X(COST_5, "cost/episode_5")                                                                              \
    X(PRICE_5, "cost/multiplier_5")                                                                          \
    X(COST_6, "cost/episode_6")                                                                              \
    X(PRICE_6, "cost/multiplier_6")                                                                          \
    X(COST_7, "cost/episode_7")                                                                              \
    X(PRICE_7, "cost/multiplier_7")

typedef struct reini_constraint {
    reini_constraint_settings settings;
    reini_multiplier_rule rule, distance_rule;
    reini_limits limits;
    reini_costs costs;   /* with limits only */
    reini_critic critic; /* of the costs */
    reini_multiplier price[REIN_COSTS_MAX];
    reini_reference reference;
    reini_multiplier distance; /* beta */
    rein_tensor *beta, *kl;    /* in the learner's graph; NULL without a reference */
} reini_constraint;

/* Sentences for settings that do not fit each other or the environment. */
rein_status reini_constraint_check(const reini_constraint_settings *settings, const rein_env_type *env);
rein_status reini_constraint_init(reini_constraint *c, const reini_constraint_settings *settings,
                                  reini_on_policy *base, const reini_optim_settings *optim,
                                  int64_t batch_size);
void reini_constraint_release(reini_constraint *c);
rein_status reini_constraint_visit(reini_constraint *c, reini_archive *archive);

/* After the rewards' advantages are estimated: moves the prices and folds the costs' advantages in. exec: the
 * learner's. */
void reini_constraint_estimate(reini_constraint *c, const reini_net *policy, rein_exec *exec);
/* The loss with beta E[KL], if there is a reference: built in the learner's graph, bound when its exec is there. */
rein_tensor *reini_constraint_loss(reini_constraint *c, rein_tensor *loss, const reini_net_inputs *in,
                                   const rein_dist *now);
void reini_constraint_bind(reini_constraint *c, rein_exec *exec);
/* After the policy's updates, whose mean KL to the reference was `kl`: the limit's price, the costs' values. */
void reini_constraint_learn(reini_constraint *c, double kl, int64_t passes, double learning_rate);
/* Costs and prices in pairs from metric on. */
void reini_constraint_metrics(const reini_constraint *c, double *metric);

#endif
