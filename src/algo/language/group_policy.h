/*
 * group_policy.h - what GRPO and RLOO share: rollouts of groups of answers, and updates of the policy from them.
 *
 * A rollout holds generation_batch_size answers. Each update learns from per_device_train_batch_size x
 * gradient_accumulation_steps of them; `iterations` passes over the rollout are made before the next. A method says how
 * rewards become advantages, whether ratios are of tokens or of whole answers, and how tokens are averaged.
 */
#ifndef REINI_GROUP_POLICY_H
#define REINI_GROUP_POLICY_H

#include "algo/language/group_advantage.h"
#include "algo/language/lm_course.h"
#include "algo/language/rollout_text.h"
#include "algo/language/text_loss.h"

/* How the loss of tokens is averaged (TRL's loss_type). B answers in an update, len_i tokens each. */
typedef enum reini_reduction {
    REINI_REDUCE_GRPO,    /* mean over answers of the mean over their tokens */
    REINI_REDUCE_BNPO,    /* mean over the tokens of a batch, and over the batches of the update */
    REINI_REDUCE_DR_GRPO, /* sum over tokens / (B max_new): length has no influence */
    REINI_REDUCE_DAPO,    /* mean over the tokens of the update */
    REINI_REDUCE_CISPO,   /* the same, with CISPO's gain */
} reini_reduction;

typedef struct reini_group_opts {
    int generations, max_new, iterations;
    double temperature;
    double epsilon,
        epsilon_high;    /* ratios count within [1 - epsilon, 1 + epsilon_high]; cispo: up to epsilon_high */
    double beta;         /* price on the distance from the reference */
    bool corrected;      /* times the ratio, so that its gradient is that of KL(policy || reference) */
    bool mask_truncated; /* answers cut at their limit teach nothing */
    reini_reduction reduction;
    bool whole; /* ratios of whole answers, averaged over them; the price is taken from the reward (RLOO) */
    int scale;  /* REINI_SCALE_... */
    bool normalise; /* of whole: advantages to mean 0, deviation 1 */
} reini_group_opts;

/* metric, name of its column */
#define REINI_GROUP_METRICS(X)                                                                               \
    X(LOSS, "loss")                                                                                          \
    X(REWARD, "reward")                                                                                      \
    X(REWARD_STD, "reward_std")                                                                              \
    X(LEVEL, "frac_reward_zero_std")                                                                         \
    X(KL, "kl")                                                                                              \
    X(ENTROPY, "entropy")                                                                                    \
    X(MEAN_LENGTH, "completions/mean_length")                                                                \
    X(MIN_LENGTH, "completions/min_length")                                                                  \
    X(MAX_LENGTH, "completions/max_length")                                                                  \
    X(MEAN_ENDED, "completions/mean_terminated_length")                                                      \
    X(MIN_ENDED, "completions/min_terminated_length")                                                        \
    X(MAX_ENDED, "completions/max_terminated_length")                                                        \
    X(CUT, "completions/clipped_ratio")                                                                      \
    X(LOW_MEAN, "clip_ratio/low_mean")                                                                       \
    X(LOW_MIN, "clip_ratio/low_min")                                                                         \
    X(HIGH_MEAN, "clip_ratio/high_mean")                                                                     \
    X(HIGH_MAX, "clip_ratio/high_max")                                                                       \
    X(REGION, "clip_ratio/region_mean")                                                                      \
    X(TOKENS, "num_tokens")                                                                                  \
    X(RATE, "learning_rate")                                                                                 \
    X(NORM, "grad_norm")                                                                                     \
    X(EPOCH, "epoch")                                                                                        \
    X(STEP, "global_step")                                                                                   \
    X(KIND_1, "rewards/1/mean")                                                                              \
    X(KIND_1_STD, "rewards/1/std")                                                                           \
    X(KIND_2, "rewards/2/mean")                                                                              \
    X(KIND_2_STD, "rewards/2/std")                                                                           \
    X(KIND_3, "rewards/3/mean")                                                                              \
    X(KIND_3_STD, "rewards/3/std")

typedef enum reini_group_metric {
#define X(id, name) REINI_GROUP_##id,
    REINI_GROUP_METRICS(X)
#undef X
        REINI_GROUP_N_METRICS
} reini_group_metric;

extern const char *const reini_group_metrics[REINI_GROUP_N_METRICS];
enum { REINI_GROUP_KINDS = 3, REINI_GROUP_N_EVAL = 3 };
extern const char *const reini_group_eval_metrics[REINI_GROUP_N_EVAL];

typedef struct reini_group_policy {
    const reini_lm_settings *settings;
    reini_group_opts opts;
    reini_lm_learner learner;
    reini_lm_course course; /* its rows are answers: prompts x generations x iterations */
    reini_text_rollout rollout;
    reini_text_loss loss;
    float *adv;     /* [answers] */
    double *paid;   /* [answers] rewards less the price on the distance */
    float *slope;   /* [tokens of a batch] d loss / d logp */
    int32_t *which; /* [answers of a batch] */
    bool fresh;     /* the weights are those that drew the rollout, and its answers are not scored */
    struct {
        int64_t used; /* updates made from the rollout, 0 = the next one makes a new one */
        double sum[REINI_GROUP_N_METRICS], count[REINI_GROUP_N_METRICS];
        double rate, norm;
    } state; /* saved with the rest */
} reini_group_policy;

/* Rules on generation_batch_size and the like. */
rein_status reini_group_check(const reini_text_settings *settings, const reini_group_opts *opts);
/* g: released after success and failure alike. */
rein_status reini_group_open(reini_group_policy *g, const void *settings, const reini_group_opts *opts,
                             const reini_lm_context *context);

/* Functions of a descriptor whose state is a reini_group_policy. */
void reini_group_release(void *self);
rein_status reini_group_step(void *self);
void reini_group_report(void *self, double *metric);
void reini_group_progress(const void *self, reini_lm_progress *out);
bool reini_group_can_evaluate(const void *self);
int64_t reini_group_epoch_steps(const void *self);
rein_status reini_group_evaluate(void *self, double *metric);
rein_status reini_group_visit(void *self, reini_archive *ar);
rein_status reini_group_save(void *self, const char *folder);
const char *reini_group_folder(const void *self);
int64_t reini_group_save_bytes(const void *self);
rein_status reini_group_digest(const void *self, char out[65]);

/* what GRPO and RLOO put into their descriptors alike */
/* clang-format off */
#define REINI_GROUP_FUNCTIONS \
    .state_size = sizeof(reini_group_policy), \
    .release = reini_group_release, \
    .progress = reini_group_progress, \
    .step = reini_group_step, \
    .report = reini_group_report, \
    .can_evaluate = reini_group_can_evaluate, \
    .epoch_steps = reini_group_epoch_steps, \
    .evaluate = reini_group_evaluate, \
    .visit = reini_group_visit, \
    .save = reini_group_save, \
    .folder = reini_group_folder, \
    .save_bytes = reini_group_save_bytes, \
    .digest = reini_group_digest
/* clang-format on */

/* ---- for tests ------------------------------------------------------------------------------------------- */

/* The next rollout with its advantages; the advantages of the rollout there is; one update from it. */
rein_status reini_group_roll(reini_group_policy *g);
void reini_group_judge(reini_group_policy *g);
void reini_group_learn(reini_group_policy *g);

#endif
