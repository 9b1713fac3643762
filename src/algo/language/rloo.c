/*
 * rloo.c - REINFORCE leave-one-out: an answer's baseline is the mean reward of the others to the same prompt.
 *
 * A. Ahmadian et al.: Back to Basics, arXiv 2402.14740; W. Kool et al. 2019. For every prompt k answers are drawn and
 * scored. The distance from the reference is paid for out of the reward, by its k1 estimate over the whole answer,
 *
 *     R_i = reward_i - beta sum_t (log pi_old(y_t) - log pi_ref(y_t)),    A_i = R_i - mean_{j != i} R_j        (eq. 8)
 *
 * and an answer is one action, with the ratio r_i = exp(sum_t log pi(y_t) - log pi_old(y_t)): minimise
 *
 *     - mean_i min(r_i A_i, clip(r_i, 1 - eps, 1 + eps) A_i)
 *
 * With one update a rollout r_i = 1, and the gradient is that of the paper, A_i grad log pi(y_i). The clip serves
 * further updates from the same answers, as in TRL.
 *
 * Where this differs from TRL: as grpo.c says of its own. `reward` in the metrics is after the price, as there.
 */
#include "algo/language/group_policy.h"

#undef REINI_LM_RATE
#define REINI_LM_RATE "1e-6"

#define RLOO_OWN_FIELDS(F, E)                                                                                \
    F(INT, num_generations, "2", 2, 65536, "k: answers to each prompt")                                      \
    F(INT, max_completion_length, "512", 1, 1048576, "tokens of an answer, at most")                         \
    F(REAL, temperature, "1", 0.01, 100, "of drawing and of all log-probabilities")                          \
    F(INT, num_iterations, "1", 1, 10000, "passes over the answers of a rollout")                            \
    F(REAL, beta, "0.05", 0, 1e6, "price on the distance from the reference; 0 = no reference is kept")      \
    F(REAL, epsilon, "0.2", 0, 100, "eps: ratios count down to 1 - eps")                                     \
    F(REAL, epsilon_high, "-1", -1, 1000, "ratios count up to 1 + epsilon_high; -1 = epsilon")               \
    F(BOOL, normalize_advantages, "false", 0, 1, "advantages of a rollout to mean 0, deviation 1")           \
    F(BOOL, mask_truncated_completions, "false", 0, 1,                                                       \
      "learn nothing from answers that were cut at their limit")
#define RLOO_FIELDS(F, E) REINI_TEXT_FIELDS(F, E) RLOO_OWN_FIELDS(F, E)

typedef struct rloo_config {
    REIN_FIELDS_STRUCT(RLOO_FIELDS)
} rloo_config;

#define REIN_FIELD_OWNER rloo_config
static const rein_field rloo_fields[] = {REIN_FIELDS_TABLE(RLOO_FIELDS)};

static reini_group_opts opts_of(const rloo_config *c) {
    return (reini_group_opts){.generations = (int)c->num_generations,
                              .max_new = (int)c->max_completion_length,
                              .iterations = (int)c->num_iterations,
                              .temperature = c->temperature,
                              .epsilon = c->epsilon,
                              .epsilon_high = c->epsilon_high < 0 ? c->epsilon : c->epsilon_high,
                              .beta = c->beta,
                              .mask_truncated = c->mask_truncated_completions != 0,
                              .whole = true,
                              .normalise = c->normalize_advantages != 0};
}

static rein_status check(const void *config) {
    reini_group_opts opts = opts_of(config);
    return reini_group_check(config, &opts);
}

static rein_status set_up(void *self, const void *config, const reini_lm_context *context) {
    reini_group_opts opts = opts_of(config);
    return reini_group_open(self, config, &opts, context);
}

static const reini_language rloo_language = {
    .fields = rloo_fields,
    .n_fields = sizeof rloo_fields / sizeof *rloo_fields,
    .config_size = sizeof(rloo_config),
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

const reini_algo reini_algo_rloo = {
    .name = "rloo",
    .doc = "REINFORCE with a leave-one-out baseline for a language model, by rewards of its answers",
    .family = REINI_LANGUAGE,
    .language = &rloo_language,
};
