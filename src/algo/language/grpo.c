/*
 * grpo.c - group relative policy optimization: answers are judged by the others to the same prompt.
 *
 * Z. Shao et al.: DeepSeekMath, arXiv 2402.03300. For every prompt G answers y_1 .. y_G are drawn from the policy at a
 * temperature, and scored, R_i. With the advantage
 *
 *     A_i = (R_i - mean R) / (std R + 1e-4)          of the group, of all answers (batch), or without divisor (none)
 *
 * and the ratio r_t = pi(y_t) / pi_old(y_t) of every token, minimise
 *
 *     sum_t w_t ( -min(r_t A_i, clip(r_t, 1 - eps, 1 + eps_high) A_i) + beta k3_t )                (eq. 3)
 *     k3 = pi_ref / pi - log(pi_ref / pi) - 1                                                      (eq. 4)
 *
 * The paper's price has the gradient of KL(pi_ref || pi), for k3 is a loss on what pi drew and the drawing is not
 * differentiated: its optimum is beta pi_ref / (lambda - R). With use_bias_correction_kl, the default as in TRL, the price
 * is r_t k3 (DeepSeek-V3.2, arXiv 2512.02556), which has the gradient of KL(pi || pi_ref), and the optimum is
 * pi_ref exp(R / beta) / Z; tests hold both.
 *
 * How tokens are averaged, w_t, is loss_type: the paper's mean over answers of means over tokens (grpo) weighs tokens of
 * short answers more; bnpo and dapo (Yu et al. 2025, arXiv 2503.14476) average over tokens, of a batch or of the update;
 * dr_grpo (Liu et al. 2025, arXiv 2503.20783) divides by a constant, so that length has no influence (with
 * scale_rewards none). cispo (MiniMax 2025, arXiv 2506.13585) clips the weight of the gradient rather than the gain.
 *
 * There is no critic. pi_old is the policy at the rollout; with one update a rollout r_t = 1, and the gradient is
 * REINFORCE's with the group's mean as the baseline.
 *
 * Where this differs from TRL:
 *   - the same engine writes and learns, so there is no correction for a sampler that differs from the learner, and in
 *     REIN_F32 the first ratios are exactly 1.
 *   - a LoRA adapter's dropout is off: with it the first ratios would not be 1.
 *   - answers of a rollout that serves several updates are not shuffled; epochs of prompts run on without dropping the
 *     ones that do not fill a rollout.
 *   - entropy and kl are means over all tokens since the last row of metrics; TRL averages batches' means.
 */
#include "algo/language/group_policy.h"

#undef REINI_LM_RATE
#define REINI_LM_RATE "1e-6"

#define GRPO_OWN_FIELDS(F, E)                                                                                \
    F(INT, num_generations, "8", 2, 65536, "G: answers to each prompt")                                      \
    F(INT, max_completion_length, "512", 1, 1048576, "tokens of an answer, at most")                         \
    F(REAL, temperature, "1", 0.01, 100, "of drawing and of all log-probabilities")                          \
    F(INT, num_iterations, "1", 1, 10000, "passes over the answers of a rollout")                            \
    F(REAL, beta, "0", 0, 1e6, "price on the distance from the reference; 0 = no reference is kept")         \
    F(BOOL, use_bias_correction_kl, "true", 0, 1,                                                            \
      "the price times the ratio: its gradient is that of KL(policy || reference)")                          \
    F(REAL, epsilon, "0.2", 0, 100, "eps: ratios count down to 1 - eps")                                     \
    F(REAL, epsilon_high, "-1", -1, 1000,                                                                    \
      "eps_high: ratios count up to 1 + eps_high; -1 = epsilon; cispo: the most itself")                     \
    E(scale_rewards, "group", "group|batch|none",                                                            \
      "divisor of the advantage: deviation of the group, of all, or none")                                   \
    E(loss_type, "dapo", "grpo|bnpo|dr_grpo|dapo|cispo", "how tokens are averaged")                          \
    F(BOOL, mask_truncated_completions, "false", 0, 1,                                                       \
      "learn nothing from answers that were cut at their limit")
#define GRPO_FIELDS(F, E) REINI_TEXT_FIELDS(F, E) GRPO_OWN_FIELDS(F, E)

typedef struct grpo_config {
    REIN_FIELDS_STRUCT(GRPO_FIELDS)
} grpo_config;

#define REIN_FIELD_OWNER grpo_config
static const rein_field grpo_fields[] = {REIN_FIELDS_TABLE(GRPO_FIELDS)};

/* loss_type and scale_rewards list their choices in the order of reini_reduction and REINI_SCALE_... */
static reini_group_opts opts_of(const grpo_config *c) {
    return (reini_group_opts){.generations = (int)c->num_generations,
                              .max_new = (int)c->max_completion_length,
                              .iterations = (int)c->num_iterations,
                              .temperature = c->temperature,
                              .epsilon = c->epsilon,
                              .epsilon_high = c->epsilon_high < 0 ? c->epsilon : c->epsilon_high,
                              .beta = c->beta,
                              .corrected = c->use_bias_correction_kl != 0,
                              .mask_truncated = c->mask_truncated_completions != 0,
                              .reduction = (reini_reduction)c->loss_type,
                              .scale = c->scale_rewards};
}

static rein_status check(const void *config) {
    const grpo_config *c = config;
    reini_group_opts opts = opts_of(c);
    if (c->loss_type == REINI_REDUCE_CISPO && c->epsilon_high < 0)
        return reini_fail(REIN_USAGE,
                          "epsilon_high: cispo needs the largest weight of a token, customary is 5");
    return reini_group_check(config, &opts);
}

static rein_status set_up(void *self, const void *config, const reini_lm_context *context) {
    reini_group_opts opts = opts_of(config);
    return reini_group_open(self, config, &opts, context);
}

static const reini_language grpo_language = {
    .fields = grpo_fields,
    .n_fields = sizeof grpo_fields / sizeof *grpo_fields,
    .config_size = sizeof(grpo_config),
    .metrics = reini_group_metrics,
    .n_metrics = REINI_GROUP_N_METRICS,
    .eval_metrics = reini_group_eval_metrics,
    .n_eval_metrics = REINI_GROUP_N_EVAL,
    .key_metric = REINI_GROUP_REWARD,
    .best_metric = 0,
    .best_is_high = true,
    .check = check,
    .set_up = set_up,
    REINI_GROUP_FUNCTIONS,
};

const reini_algo reini_algo_grpo = {
    .name = "grpo",
    .doc = "group relative policy optimization of a language model, by rewards of its answers",
    .family = REINI_LANGUAGE,
    .language = &grpo_language,
};
