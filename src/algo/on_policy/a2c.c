/*
 * a2c.c - advantage actor-critic, the synchronous form of A3C.
 *
 * V. Mnih, A. Puigdomenech Badia, M. Mirza, A. Graves, T. Lillicrap, T. Harley, D. Silver, K. Kavukcuoglu:
 * Asynchronous Methods for Deep Reinforcement Learning, ICML 2016 (arXiv 1602.01783), algorithm S3. N environments
 * take T steps each with the same policy, then one gradient step is made on all T N of them:
 *
 *     loss = -E[log pi(a_t|s_t) A_t] + c_v E[(V(s_t) - R_t)^2] - c_e E[H(pi(.|s_t))]
 *
 * with the n-step return R_t = r_t + gamma r_{t+1} + ... + gamma^k V(s_{t+k}), k steps to the rollout's or the
 * episode's end, and A_t = R_t - V(s_t). Both are generalised advantage estimation (arXiv 1506.02438) with lambda 1;
 * lambda 0 takes the one-step TD error r_t + gamma V(s_{t+1}) - V(s_t) as the advantage, the actor-critic of the
 * textbooks.
 *
 * Symbols: T n_steps, N n_envs, lambda gae_lambda, c_v vf_coef, c_e ent_coef.
 *
 * Where this differs:
 *   - from the paper: the N actors are environments of one process that step together, so that nothing is stale and
 *     runs are reproducible; RMSprop's epsilon stands beside the root, as in PyTorch (the paper has it inside).
 *   - an episode cut by the time limit is bootstrapped with V of its last observation, never cut to 0.
 *   - a policy with a memory (gru) is trained through whole sequences of `sequence` steps (rl/sequence.h).
 *   - statistics of observation and reward normalisation change between iterations only.
 *   - from Stable-Baselines3: in nothing that shows up in an update, which the golden files check.
 */
#include <math.h>
#include "algo/on_policy/on_policy.h"
#include "rl/advantage.h"

/* the learner's fields with RMSprop in front */
#define A2C_OPTIM_FIELDS(F, E)                                                                               \
    F(REAL, max_grad_norm, "0.5", 0, 1e9, "global gradient norm clip, 0 = off")                              \
    E(optimizer, "rmsprop", "adam|adamw|sgd|rmsprop", "optimizer")                                           \
    F(REAL, adam_eps, "1e-5", 0, 1, "epsilon beside the root in Adam and RMSprop")                           \
    F(REAL, weight_decay, "0", 0, 10, "AdamW's decoupled decay, SGD's L2 term")                              \
    F(REAL, momentum, "0.9", 0, 1, "SGD's momentum")

#define A2C_OWN_FIELDS(F, E)                                                                                 \
    F(INT, n_envs, "8", 1, 65536, "N: environments stepped side by side")                                    \
    F(INT, n_steps, "5", 1, 1048576, "T: steps of every environment in an update")                           \
    F(SCHEDULE, learning_rate, "7e-4", 0, 100, "step size of the optimizer")                                 \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(REAL, gae_lambda, "1", 0, 1, "1: n-step advantages; 0: the one-step TD error; between: GAE")           \
    F(BOOL, normalize_advantage, "false", 0, 1, "advantages to mean 0, deviation 1 in each update")          \
    F(SCHEDULE, ent_coef, "0", 0, 1e3, "c_e: price on entropy")                                              \
    F(REAL, vf_coef, "0.5", 0, 1e3, "c_v: weight of the value loss")                                         \
    F(BOOL, norm_reward, "false", 0, 1, "rewards divided by the deviation of the discounted return")
#define A2C_FIELDS(F, E)                                                                                     \
    A2C_OWN_FIELDS(F, E)                                                                                     \
    A2C_OPTIM_FIELDS(F, E)                                                                                   \
    REINI_NET_FIELDS(F, E) REINI_SDE_FIELDS(F, E) REINI_MEMORY_FIELDS(F, E) REINI_SEQUENCE_FIELDS(F, E)

typedef struct a2c_config {
    REIN_FIELDS_STRUCT(A2C_FIELDS)
} a2c_config;

#define REIN_FIELD_OWNER a2c_config
static const rein_field a2c_fields[] = {REIN_FIELDS_TABLE(A2C_FIELDS)};

/* metric, name of its column */
#define A2C_METRICS(X)                                                                                       \
    X(POLICY_LOSS, "train/policy_loss")                                                                      \
    X(VALUE_LOSS, "train/value_loss")                                                                        \
    X(ENTROPY, "train/entropy")                                                                              \
    X(EXPLAINED_VARIANCE, "train/explained_variance")                                                        \
    X(GRAD_NORM, "train/grad_norm")                                                                          \
    X(LEARNING_RATE, "train/learning_rate")

enum {
#define X(name, column) METRIC_##name,
    A2C_METRICS(X)
#undef X
        METRICS
};
static const char *const a2c_metrics[] = {
#define X(name, column) column,
    A2C_METRICS(X)
#undef X
};

#define ADVANTAGE_EPSILON 1e-8

typedef struct a2c {
    reini_on_policy base;
    a2c_config config;
    rein_optim *optim;
    rein_store *grads;
    reini_part part;                            /* the loss and its gradients */
    rein_tensor *ent_coef, *adv_mean, *adv_std; /* uniforms */
    rein_tensor *policy_loss, *value_loss, *entropy, *loss;
    int32_t *order; /* (T N) all steps, sequence by sequence: 0, 1, 2, ... without memory */
} a2c;

/* ---- the objective ------------------------------------------------------------------------------------- */

static rein_tensor *a2c_loss(a2c *p) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    const reini_net *policy = p->base.policy;
    reini_batch *batch = &p->part.batch;
    rein_tensor *action = reini_batch_action(batch, policy, r);
    rein_tensor *adv = reini_batch_take(batch, "adv", REIN_F32, 1, r->adv);
    rein_tensor *ret = reini_batch_take(batch, "ret", REIN_F32, 1, r->ret);
    adv = rein_div(rein_sub(adv, p->adv_mean), p->adv_std);

    reini_net_heads now = reini_batch_heads(batch, policy, p->part.slot, r, true, true, &p->part.in);
    rein_tensor *gain = rein_mul(rein_dist_logp(&now.dist, action), adv);
    p->policy_loss = rein_output(rein_neg(rein_mean(gain)), "policy_loss");
    p->value_loss = rein_output(rein_mean(rein_square(rein_sub(ret, now.value))), "value_loss");
    p->entropy = rein_output(rein_mean(rein_dist_entropy(&now.dist)), "entropy");
    rein_tensor *loss = rein_sub(p->policy_loss, rein_mul(p->ent_coef, p->entropy));
    return rein_add(loss, rein_scale(p->value_loss, p->config.vf_coef));
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

static void set_uniforms(a2c *p, double *metric) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    double progress = reini_on_policy_progress(&p->base), mean = 0, std = 1;
    if (p->config.normalize_advantage) {
        reini_mean_std_at(r->adv, p->order, r->T * r->N, &mean, &std);
        std += ADVANTAGE_EPSILON;
    }
    rein_exec_set(p->part.exec, p->adv_mean, mean);
    rein_exec_set(p->part.exec, p->adv_std, std);
    rein_exec_set(p->part.exec, p->ent_coef, rein_schedule_at(&p->config.ent_coef, progress));
    metric[METRIC_LEARNING_RATE] = rein_schedule_at(&p->config.learning_rate, progress);
}

/* One gradient step on the whole rollout. */
static void learn(a2c *p, double *metric) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    rein_exec *exec = p->part.exec;
    set_uniforms(p, metric);
    rein_exec_run(exec);
    rein_optim_result result = {.skipped = 1, .grad_norm = NAN};
    if (isfinite(rein_exec_scalar(exec, p->loss)))
        result = rein_optim_step(p->optim, p->base.policy->store, p->grads, metric[METRIC_LEARNING_RATE]);
    reini_on_policy_note(&p->base, result.skipped);
    metric[METRIC_POLICY_LOSS] = rein_exec_scalar(exec, p->policy_loss);
    metric[METRIC_VALUE_LOSS] = rein_exec_scalar(exec, p->value_loss);
    metric[METRIC_ENTROPY] = rein_exec_scalar(exec, p->entropy);
    metric[METRIC_EXPLAINED_VARIANCE] = reini_explained_variance(r->value, r->ret, r->T * r->N);
    metric[METRIC_GRAD_NORM] = result.grad_norm;
}

/* The algorithm: act, judge, improve. */
static void a2c_iterate(void *self, reini_report *report) {
    a2c *p = self;
    if (!reini_on_policy_gather(&p->base, report))
        return;
    reini_on_policy_estimate(&p->base, p->config.gae_lambda);
    learn(p, report->metric);
    reini_on_policy_finish(&p->base, report);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static reini_on_policy_opts opts_of(const a2c_config *from) {
    reini_net_config copied = {0};
    REINI_COPY_FIELDS(REINI_NET_FIELDS)
    REINI_COPY_FIELDS(REINI_SDE_FIELDS)
    REINI_COPY_FIELDS(REINI_MEMORY_FIELDS)
    return (reini_on_policy_opts){.algo = "a2c",
                                  .n_envs = from->n_envs,
                                  .n_steps = from->n_steps,
                                  .gamma = from->gamma,
                                  .critic = true,
                                  .norm_reward = from->norm_reward,
                                  .sequence = reini_sequence_length(from->gru, from->sequence, from->n_steps),
                                  .net = copied};
}

static reini_optim_settings optim_of(const a2c_config *from) {
    reini_optim_settings copied;
    REINI_COPY_FIELDS(REINI_OPTIM_FIELDS)
    return copied;
}

static rein_status a2c_check(const void *config, const reini_context *context) {
    const a2c_config *c = config;
    reini_on_policy_opts opts = opts_of(c);
    REINI_TRY(reini_sequence_check(c->gru, c->sequence, c->n_steps, 0));
    return reini_on_policy_check(&opts, context);
}

static rein_status build_program(a2c *p) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    /* a memory needs the steps of an environment side by side; without one they are taken as they lie */
    bool remembers = p->config.gru > 0;
    REINI_TRY(reini_part_begin(&p->part, &p->base, remembers ? r->T * r->N : 0, r->T * r->N));
    p->ent_coef = rein_uniform(p->part.g, "ent_coef", 0);
    p->adv_mean = rein_uniform(p->part.g, "adv_mean", 0);
    p->adv_std = rein_uniform(p->part.g, "adv_std", 1);
    p->loss = rein_output(a2c_loss(p), "loss");
    int gradient = rein_gradient(p->loss, p->part.slot, NULL);
    REINI_TRY(reini_part_end(&p->part, &p->base));
    REINI_TRY(rein_store_new(p->base.policy->layout, REIN_F32, &p->grads));
    rein_exec_bind_gradient(p->part.exec, gradient, p->grads);
    if (remembers)
        reini_batch_select(&p->part.batch, p->part.exec, p->order, r->T * r->N);
    return REIN_OK;
}

static rein_status a2c_fill(a2c *p, const reini_context *context) {
    reini_on_policy_opts opts = opts_of(&p->config);
    reini_optim_settings optim = optim_of(&p->config);
    REINI_TRY(reini_on_policy_init(&p->base, &opts, context));
    size_t steps = (size_t)(opts.n_envs * opts.n_steps);
    p->order = REINI_NEW_ARRAY(int32_t, steps);
    if (p->order == NULL)
        return reini_fail_memory(steps * sizeof *p->order, "A2C");
    reini_sequence_order(p->order, opts.n_steps, opts.n_envs, opts.sequence);
    REINI_TRY(build_program(p));
    return reini_optim_make(&optim, p->base.policy->layout, NULL, &p->optim);
}

static void a2c_destroy(void *self) {
    a2c *p = self;
    if (p == NULL)
        return;
    reini_part_release(&p->part);
    rein_store_free(p->grads);
    rein_optim_free(p->optim);
    reini_free(p->order);
    reini_on_policy_release(&p->base);
    reini_free(p);
}

static rein_status a2c_create(const void *config, const reini_context *context, void **self) {
    a2c *p = REINI_NEW(a2c);
    if (p == NULL)
        return reini_fail_memory(sizeof *p, "A2C");
    p->config = *(const a2c_config *)config;
    rein_status status = a2c_fill(p, context);
    if (status != REIN_OK) {
        a2c_destroy(p);
        return status;
    }
    *self = p;
    return REIN_OK;
}

static rein_status a2c_visit(void *self, reini_archive *archive) {
    a2c *p = self;
    REINI_TRY(reini_on_policy_visit(&p->base, archive));
    return reini_optim_visit(p->optim, "a2c.optimizer", archive);
}

static void a2c_extend(void *self, int64_t total_steps) {
    ((a2c *)self)->base.context.total_steps = total_steps;
}

static rein_policy *a2c_policy(void *self) {
    return &((a2c *)self)->base.policy->base;
}

const reini_algo reini_algo_a2c = {
    .name = "a2c",
    .doc = "advantage actor-critic: one policy-gradient step on a few steps of many environments",
    .family = REINI_ON_POLICY,
    .fields = a2c_fields,
    .n_fields = sizeof a2c_fields / sizeof *a2c_fields,
    .config_size = sizeof(a2c_config),
    .metrics = a2c_metrics,
    .n_metrics = METRICS,
    .key_metric = METRIC_ENTROPY,
    .check = a2c_check,
    .create = a2c_create,
    .destroy = a2c_destroy,
    .iterate = a2c_iterate,
    .visit = a2c_visit,
    .extend = a2c_extend,
    .policy = a2c_policy,
};
