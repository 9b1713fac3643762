/*
 * ppo_text_open.c - settings of PPO on a language model, its beginning and end, and what a run asks of it.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "algo/language/ppo_text.h"

#undef REINI_LM_RATE
#define REINI_LM_RATE "3e-6"

#define PPO_TEXT_OWN_FIELDS(F, E)                                                                            \
    E(value_head, "own", "own|trunk", "the critic: a network of its own, or a head on the policy's")         \
    F(TEXT, value_model, "none", 0, 0,                                                                       \
      "folder the critic begins with, a reward model's say; none = the policy's")                            \
    F(INT, response_length, "53", 1, 1048576, "tokens of an answer, at most")                                \
    F(REAL, temperature, "0.7", 0.01, 100, "of drawing and of all log-probabilities")                        \
    F(INT, num_ppo_epochs, "4", 1, 10000, "passes over the answers of a rollout")                            \
    F(INT, num_mini_batches, "1", 1, 1e6, "updates of a pass, where generation_batch_size is 0")             \
    F(REAL, kl_coef, "0.05", 0, 1e6, "price on the distance from the reference, at the start")               \
    E(kl_estimator, "k1", "k1|k3", "log(pi / ref), or ref / pi - 1 - log(ref / pi)")                         \
    F(REAL, kl_target, "0", 0, 1e6, "distance of an answer that kl_coef is steered to, 0 = it is fixed")     \
    F(REAL, kl_horizon, "10000", 1, 1e12, "answers in which kl_coef may change by a fifth")                  \
    F(REAL, cliprange, "0.2", 0, 100, "eps: ratios count within [1 - eps, 1 + eps]")                         \
    F(REAL, cliprange_value, "0.2", 0, INFINITY, "how far a value may move from that at the rollout")        \
    F(REAL, vf_coef, "0.1", 0, 1e6, "weight of the critic's loss")                                           \
    F(REAL, gamma, "1", 0, 1, "discount per token")                                                          \
    F(REAL, lam, "0.95", 0, 1, "lambda of generalised advantage estimation")                                 \
    F(REAL, missing_eos_penalty, "0", 0, 1e6,                                                                \
      "taken from the score of an answer that did not end by itself")                                        \
    F(REAL, reward_clip, "inf", 0, INFINITY, "scores count within +- this")                                  \
    F(BOOL, whiten_rewards, "false", 0, 1, "rewards of tokens to deviation 1, their mean kept")
#define PPO_TEXT_FIELDS(F, E) REINI_TEXT_FIELDS(F, E) PPO_TEXT_OWN_FIELDS(F, E)

typedef struct ppo_text_config {
    REIN_FIELDS_STRUCT(PPO_TEXT_FIELDS)
} ppo_text_config;

#define REIN_FIELD_OWNER ppo_text_config
static const rein_field ppo_text_fields[] = {REIN_FIELDS_TABLE(PPO_TEXT_FIELDS)};

static const char *const metrics[] = {
#define X(id, name) name,
    REINI_PPO_TEXT_METRICS(X)
#undef X
};
static const char *const eval_metrics[] = {"eval_reward", "eval_completions/mean_length",
                                           "eval_completions/terminated_ratio"};
enum { N_EVAL = 3 };

static reini_ppo_text_opts opts_of(const ppo_text_config *c) {
    return (reini_ppo_text_opts){.max_new = (int)c->response_length,
                                 .epochs = (int)c->num_ppo_epochs,
                                 .minibatches = (int)c->num_mini_batches,
                                 .temperature = c->temperature,
                                 .kl_coef = c->kl_coef,
                                 .kl_target = c->kl_target,
                                 .kl_horizon = c->kl_horizon,
                                 .estimator = c->kl_estimator,
                                 .clip = c->cliprange,
                                 .value_clip = c->cliprange_value,
                                 .value_weight = c->vf_coef,
                                 .gamma = c->gamma,
                                 .lambda = c->lam,
                                 .missing_eos = c->missing_eos_penalty,
                                 .reward_clip = c->reward_clip,
                                 .whiten_rewards = c->whiten_rewards != 0};
}

static int64_t answers_of_rollout(const ppo_text_config *c) {
    int64_t update = c->per_device_train_batch_size * c->gradient_accumulation_steps;
    return c->generation_batch_size > 0 ? c->generation_batch_size : update * c->num_mini_batches;
}

static rein_status check(const void *config) {
    const ppo_text_config *c = config;
    int64_t update = c->per_device_train_batch_size * c->gradient_accumulation_steps;
    int64_t rollout = answers_of_rollout(c);
    REINI_TRY(reini_rollout_check(config));
    if (rollout % update != 0)
        return reini_fail(
            REIN_USAGE,
            "generation_batch_size: a rollout of %lld answers is no multiple of an update's %lld "
            "(per_device_train_batch_size x gradient_accumulation_steps)",
            (long long)rollout, (long long)update);
    if (rollout > INT32_MAX / c->response_length)
        return reini_fail(REIN_USAGE, "a rollout of %lld answers of %lld tokens is too large",
                          (long long)rollout, (long long)c->response_length);
    return REIN_OK;
}

/* ---- beginning and end --------------------------------------------------------------------------------------- */

static rein_status open_critic(reini_ppo_text *p, const ppo_text_config *c) {
    const reini_packed *batch = p->rollout.batch;
    return reini_ppo_critic_open(&p->critic, c->value_head, c->value_model, &p->learner, p->settings,
                                 batch->tokens_room, batch->documents_room);
}

static rein_status make_arrays(reini_ppo_text *p) {
    size_t answers = (size_t)p->rollout.now.n, longest = (size_t)p->opts.max_new, all = answers * longest;
    int64_t tokens = p->rollout.batch->tokens_room;
    p->value = REINI_NEW_ARRAY(float, all);
    p->adv = REINI_NEW_ARRAY(float, all);
    p->ret = REINI_NEW_ARRAY(float, all);
    p->all = REINI_NEW_ARRAY(float, all);
    p->values = REINI_NEW_ARRAY(float, longest + 1);
    p->done = reini_new(longest);
    p->order = REINI_NEW_ARRAY(int32_t, answers);
    p->words = REINI_NEW_ARRAY(uint32_t, (answers + 63) / 64 * 64);
    if (!p->value || !p->adv || !p->ret || !p->all || !p->values || !p->done || !p->order || !p->words)
        return reini_fail_memory(all * 16, "advantages");
    REINI_TRY(reini_text_loss_init(&p->loss, tokens, REINI_TEXT_CLIP, REINI_TEXT_FREE));
    reini_text_loss_range(&p->loss, 1 - p->opts.clip, 1 + p->opts.clip, 0);
    return reini_text_value_loss_init(&p->value_loss, tokens, p->opts.value_clip);
}

static rein_status set_up(void *self, const void *config, const reini_lm_context *context) {
    reini_ppo_text *p = self;
    p->settings = config;
    p->opts = opts_of(config);
    p->state.kl_coef = p->opts.kl_coef;
    reini_rollout_plan plan = {.samples = 1,
                               .answers = (int)answers_of_rollout(config),
                               .max_new = p->opts.max_new,
                               .temperature = p->opts.temperature,
                               .reference = true};
    REINI_TRY(reini_lm_learner_open(&p->learner, p->settings, 0, context->pool));
    REINI_TRY(reini_text_rollout_open(&p->rollout, config, &plan, context, &p->learner));
    REINI_TRY(open_critic(p, config));
    REINI_TRY(reini_lm_course_init(&p->course, p->settings, p->rollout.train.n * p->opts.epochs));
    return make_arrays(p);
}

static void release(void *self) {
    reini_ppo_text *p = self;
    reini_text_rollout_release(&p->rollout);
    reini_lm_learner_release(&p->learner);
    reini_ppo_critic_release(&p->critic);
    reini_lm_course_release(&p->course);
    reini_text_loss_release(&p->loss);
    reini_text_value_loss_release(&p->value_loss);
    void *const blocks[] = {p->value, p->adv, p->ret, p->all, p->values, p->done, p->order, p->words};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        reini_free(blocks[i]);
}

/* ---- for the run --------------------------------------------------------------------------------------------- */

static rein_status step(void *self) {
    reini_ppo_text *p = self;
    if (p->state.used == 0) {
        REINI_TRY(reini_text_rollout_make(&p->rollout));
        reini_ppo_judge(p);
        REINI_TRY(reini_text_rollout_log(&p->rollout, NULL, p->course.state.step));
    }
    reini_ppo_learn(p);
    return REIN_OK;
}

static void report(void *self, double *metric) {
    reini_ppo_text *p = self;
    reini_lm_progress progress;
    reini_lm_course_progress(&p->course, &progress);
    for (int i = 0; i < REINI_PPO_N_METRICS; i++) {
        metric[i] = p->state.count[i] > 0 ? p->state.sum[i] / p->state.count[i] : NAN;
        p->state.sum[i] = p->state.count[i] = 0;
    }
    metric[REINI_PPO_RATE] = p->state.rate;
    metric[REINI_PPO_NORM] = p->state.norm;
    metric[REINI_PPO_VALUE_NORM] = p->state.value_norm;
    metric[REINI_PPO_EPISODE] = p->state.episodes;
    metric[REINI_PPO_TOKENS] = (double)progress.tokens;
    metric[REINI_PPO_EPOCH] = progress.epoch;
    metric[REINI_PPO_STEP] = (double)progress.step;
}

static void progress(const void *self, reini_lm_progress *out) {
    reini_lm_course_progress(&((const reini_ppo_text *)self)->course, out);
}

static bool can_evaluate(const void *self) {
    return ((const reini_ppo_text *)self)->rollout.eval.n > 0;
}

static int64_t epoch_steps(const void *self) {
    return ((const reini_ppo_text *)self)->course.epoch_steps;
}

static rein_status evaluate(void *self, double *metric) {
    return reini_text_rollout_evaluate(&((reini_ppo_text *)self)->rollout, metric);
}

static rein_status visit(void *self, reini_archive *ar) {
    reini_ppo_text *p = self;
    size_t all = (size_t)p->rollout.now.n * (size_t)p->opts.max_new * sizeof(float);
    REINI_TRY(reini_text_rollout_visit(&p->rollout, ar));
    REINI_TRY(reini_archive_bytes(ar, "values", p->value, all));
    REINI_TRY(reini_archive_bytes(ar, "advantages", p->adv, all));
    REINI_TRY(reini_archive_bytes(ar, "returns", p->ret, all));
    REINI_TRY(reini_lm_course_visit(&p->course, ar));
    REINI_TRY(reini_archive_bytes(ar, "report", &p->state, sizeof p->state));
    REINI_TRY(reini_lm_learner_visit(&p->learner, ar));
    return reini_ppo_critic_visit(&p->critic, ar);
}

static rein_status save(void *self, const char *folder) {
    reini_ppo_text *p = self;
    return reini_lm_learner_save(&p->learner, p->settings, folder, p->rollout.probe);
}

static const char *folder(const void *self) {
    return ((const reini_ppo_text *)self)->learner.lora ? "adapter" : "model";
}

static int64_t save_bytes(const void *self) {
    return reini_lm_learner_save_bytes(&((const reini_ppo_text *)self)->learner);
}

static rein_status digest(const void *self, char out[65]) {
    return reini_lm_learner_digest(&((const reini_ppo_text *)self)->learner, out);
}

/* the `language` of ppo's descriptor (on_policy/ppo.c): PPO with --model */
extern const reini_language reini_ppo_language;
const reini_language reini_ppo_language = {
    .fields = ppo_text_fields,
    .n_fields = sizeof ppo_text_fields / sizeof *ppo_text_fields,
    .config_size = sizeof(ppo_text_config),
    .metrics = metrics,
    .n_metrics = REINI_PPO_N_METRICS,
    .eval_metrics = eval_metrics,
    .n_eval_metrics = N_EVAL,
    .key_metric = REINI_PPO_SCORES,
    .best_metric = 0,
    .best_is_high = true,
    .check = check,
    .state_size = sizeof(reini_ppo_text),
    .set_up = set_up,
    .release = release,
    .progress = progress,
    .step = step,
    .report = report,
    .can_evaluate = can_evaluate,
    .epoch_steps = epoch_steps,
    .evaluate = evaluate,
    .visit = visit,
    .save = save,
    .folder = folder,
    .save_bytes = save_bytes,
    .digest = digest,
};
