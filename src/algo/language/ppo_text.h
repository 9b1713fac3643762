/*
 * ppo_text.h - the state of PPO on a language model, for its files and tests.
 */
#ifndef REINI_PPO_TEXT_H
#define REINI_PPO_TEXT_H

#include "algo/language/lm_course.h"
#include "algo/language/ppo_critic.h"
#include "algo/language/rollout_text.h"
#include "algo/language/text_loss.h"

typedef struct reini_ppo_text_opts {
    int max_new, epochs, minibatches;
    double temperature;
    double kl_coef, kl_target, kl_horizon; /* kl_target 0: the price is fixed */
    int estimator;                         /* REINI_KL_K1, REINI_KL_K3 */
    double clip, value_clip, value_weight, gamma, lambda;
    double missing_eos, reward_clip;
    bool whiten_rewards;
} reini_ppo_text_opts;

/* metric, name of its column */
#define REINI_PPO_TEXT_METRICS(X)                                                                            \
    X(KL, "objective/kl")                                                                                    \
    X(ENTROPY, "objective/entropy")                                                                          \
    X(PRICE, "objective/non_score_reward")                                                                   \
    X(RLHF, "objective/rlhf_reward")                                                                         \
    X(SCORES, "objective/scores")                                                                            \
    X(APPROX_KL, "policy/approxkl_avg")                                                                      \
    X(CLIPPED, "policy/clipfrac_avg")                                                                        \
    X(POLICY_ENTROPY, "policy/entropy_avg")                                                                  \
    X(POLICY_LOSS, "loss/policy_avg")                                                                        \
    X(VALUE_LOSS, "loss/value_avg")                                                                          \
    X(VALUE_CLIPPED, "val/clipfrac_avg")                                                                     \
    X(RATIO, "val/ratio")                                                                                    \
    X(RATIO_VAR, "val/ratio_var")                                                                            \
    X(ENDED, "val/num_eos_tokens")                                                                           \
    X(KL_COEF, "objective/kl_coef")                                                                          \
    X(LENGTH, "completions/mean_length")                                                                     \
    X(NORM, "grad_norm")                                                                                     \
    X(VALUE_NORM, "value_grad_norm")                                                                         \
    X(RATE, "lr")                                                                                            \
    X(EPISODE, "episode")                                                                                    \
    X(TOKENS, "num_tokens")                                                                                  \
    X(EPOCH, "epoch")                                                                                        \
    X(STEP, "global_step")

typedef enum reini_ppo_text_metric {
#define X(id, name) REINI_PPO_##id,
    REINI_PPO_TEXT_METRICS(X)
#undef X
        REINI_PPO_N_METRICS
} reini_ppo_text_metric;

typedef struct reini_ppo_text {
    const reini_lm_settings *settings;
    reini_ppo_text_opts opts;
    reini_lm_learner learner;
    reini_ppo_critic critic;
    reini_lm_course course; /* its rows are answers: prompts x epochs */
    reini_text_rollout rollout;
    reini_text_loss loss;
    reini_text_value_loss value_loss;
    float *value, *adv, *ret; /* [answers][max_new] */
    float *values;            /* [max_new + 1] of one answer */
    uint8_t *done;            /* [max_new] */
    float *all;               /* [answers][max_new] rewards of tokens */
    int32_t *order;           /* [answers] minibatches of an epoch */
    uint32_t *words;
    struct {
        int64_t used;   /* updates made from the rollout */
        double kl_coef; /* as it is */
        double sum[REINI_PPO_N_METRICS], count[REINI_PPO_N_METRICS];
        double rate, norm, value_norm, episodes;
    } state; /* saved with the rest */
} reini_ppo_text;

/* Answers of an update; updates of an epoch over a rollout. */
int64_t reini_ppo_update_size(const reini_ppo_text *p);
int64_t reini_ppo_epoch_updates(const reini_ppo_text *p);
void reini_ppo_note(reini_ppo_text *p, reini_ppo_text_metric metric, double sum, double count);
/* Rewards of tokens, values, advantages of the rollout there is; then one update from it. */
void reini_ppo_judge(reini_ppo_text *p);
void reini_ppo_learn(reini_ppo_text *p);

#endif
