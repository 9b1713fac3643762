/*
 * algo_registry.c - the list of algorithms. A new one is one line here and one file beside this.
 */
#include <string.h>
#include "algo/algo.h"

extern const reini_algo reini_algo_value_iteration;
extern const reini_algo reini_algo_policy_iteration;
extern const reini_algo reini_algo_modified_policy_iteration;
extern const reini_algo reini_algo_policy_evaluation;
extern const reini_algo reini_algo_backward_induction;
extern const reini_algo reini_algo_monte_carlo;
extern const reini_algo reini_algo_td;
extern const reini_algo reini_algo_td_lambda;
extern const reini_algo reini_algo_lstd;
extern const reini_algo reini_algo_sarsa;
extern const reini_algo reini_algo_sarsa_lambda;
extern const reini_algo reini_algo_expected_sarsa;
extern const reini_algo reini_algo_q_learning;
extern const reini_algo reini_algo_double_q_learning;
extern const reini_algo reini_algo_importance_sampling;
extern const reini_algo reini_algo_reinforce;
extern const reini_algo reini_algo_a2c;
extern const reini_algo reini_algo_a3c;
extern const reini_algo reini_algo_trpo;
extern const reini_algo reini_algo_cpo;
extern const reini_algo reini_algo_ppo;
extern const reini_algo reini_algo_dqn;
extern const reini_algo reini_algo_ddpg;
extern const reini_algo reini_algo_td3;
extern const reini_algo reini_algo_sac;
extern const reini_algo reini_algo_sft;
extern const reini_algo reini_algo_grpo;
extern const reini_algo reini_algo_rloo;
extern const reini_algo reini_algo_dpo;
extern const reini_algo reini_algo_reward;
extern const reini_algo reini_algo_rrhf;
extern const reini_algo reini_algo_kto;

static const reini_algo *const algorithms[] = {
    /* planning */
    &reini_algo_value_iteration,
    &reini_algo_policy_iteration,
    &reini_algo_modified_policy_iteration,
    &reini_algo_policy_evaluation,
    &reini_algo_backward_induction,
    /* tabular */
    &reini_algo_monte_carlo,
    &reini_algo_td,
    &reini_algo_td_lambda,
    &reini_algo_lstd,
    &reini_algo_sarsa,
    &reini_algo_sarsa_lambda,
    &reini_algo_expected_sarsa,
    &reini_algo_q_learning,
    &reini_algo_double_q_learning,
    &reini_algo_importance_sampling,
    /* on-policy */
    &reini_algo_reinforce,
    &reini_algo_a2c,
    &reini_algo_a3c,
    &reini_algo_trpo,
    &reini_algo_cpo,
    &reini_algo_ppo,
    /* off-policy */
    &reini_algo_dqn,
    &reini_algo_ddpg,
    &reini_algo_td3,
    &reini_algo_sac,
    /* language */
    &reini_algo_sft,
    /* language models, by rewards of their answers; and ppo */
    &reini_algo_grpo,
    &reini_algo_rloo,
    /* language models, from preferences */
    &reini_algo_dpo,
    &reini_algo_reward,
    &reini_algo_rrhf,
    &reini_algo_kto,
};
enum { COUNT = sizeof algorithms / sizeof *algorithms };

const reini_algo *reini_algo_at(int i) {
    return i >= 0 && i < COUNT ? algorithms[i] : NULL;
}

const reini_algo *reini_algo_find(const char *name) {
    const char *names[COUNT];
    for (int i = 0; i < COUNT; i++) {
        names[i] = algorithms[i]->name;
        if (strcmp(names[i], name) == 0)
            return algorithms[i];
    }
    const char *nearest = reini_nearest(name, names, COUNT);
    if (nearest != NULL)
        reini_fail(REIN_USAGE, "no algorithm \"%s\" (did you mean \"%s\"?)", name, nearest);
    else
        reini_fail(REIN_USAGE, "no algorithm \"%s\"; `rein list algos` shows them all", name);
    return NULL;
}
