/*
 * ppo.c - proximal policy optimization.
 *
 * J. Schulman, F. Wolski, P. Dhariwal, A. Radford, O. Klimov: Proximal Policy Optimization Algorithms,
 * arXiv 1707.06347. With r_t = pi(a_t|s_t) / pi_old(a_t|s_t) and the advantage A_t, maximise
 *
 *     clip:     E[ min(r_t A_t, clip(r_t, 1 - eps, 1 + eps) A_t) ]                              (eq. 7)
 *     penalty:  E[ r_t A_t - beta KL(pi_old(.|s_t) || pi(.|s_t)) ]                              (eq. 8)
 *               afterwards d = E[KL]: beta halves if d < target / 1.5, doubles if d > 1.5 target
 *
 * together with the value function and an entropy price, in one loss to minimise (eq. 9 with its sign turned):
 *
 *     loss = -objective + c_v E[(V(s_t) - R_t)^2] - c_e E[H(pi(.|s_t))]
 *
 * over several epochs of minibatches of T steps of N environments. A_t by generalised advantage estimation
 * (arXiv 1506.02438), the one-step TD error or Monte-Carlo; R_t = A_t + V_old(s_t).
 *
 * Symbols: T n_steps, N n_envs, eps clip_range, beta kl_coef, c_v vf_coef, c_e ent_coef.
 *
 * Where this differs:
 *   - from the paper: advantages are normalised in each minibatch; the gradient's global norm is clipped; both
 *     optional and customary (Engstrom et al., arXiv 2005.12729).
 *   - the value loss has no 1/2 and its optional clip replaces V by V_old + clip(V - V_old, +-clip_range_vf),
 *     both as in Stable-Baselines3; the original code takes the larger of clipped and unclipped loss.
 *   - an episode cut by the time limit is bootstrapped with V of its last observation, never cut to 0.
 *   - statistics of observation and reward normalisation change between iterations only, so that r_t = 1 exactly in
 *     the first minibatch of every iteration.
 *   - without a critic V = 0: `mc` advantages are returns to go (0 beyond a rollout's end), `td` ones are rewards.
 *   - a policy with a memory (gru) learns from whole sequences of `sequence` steps, which the minibatches are made of
 *     (rl/sequence.h); the objective is the same.
 *   - limits on costs and on the distance from a reference policy (constraint.h) are no part of the paper. With them A_t
 *     is the advantage in reward less the priced advantages in costs, and the loss has a term for the distance.
 *   - schedules are evaluated at the iteration's first step, so the last iteration still learns.
 */
#include <math.h>
#include <string.h>
#include <rein/optim.h>
#include "algo/on_policy/constraint.h"
#include "rl/advantage.h"
#include "rl/pg_loss.h"

#define PPO_OWN_FIELDS(F, E)                                                                                 \
    F(INT, n_envs, "8", 1, 65536, "N: environments stepped side by side")                                    \
    F(INT, n_steps, "128", 1, 1048576, "T: steps of every environment in an iteration")                      \
    F(INT, batch_size, "256", 1, 1e9, "steps in a minibatch")                                                \
    F(INT, n_epochs, "10", 1, 10000, "passes over an iteration's steps")                                     \
    F(SCHEDULE, learning_rate, "3e-4", 0, 100, "step size of the optimizer")                                 \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(REAL, gae_lambda, "0.95", 0, 1, "bias (0) against variance (1) of the advantage; eq. 11")              \
    E(advantage, "gae", "gae|td|mc", "advantage estimator: GAE, one-step TD error or Monte-Carlo")           \
    E(objective, "clip", "clip|penalty", "clipped surrogate (eq. 7) or adaptive KL penalty (eq. 8)")         \
    F(SCHEDULE, clip_range, "0.2", 0, 100, "eps of the clipped surrogate")                                   \
    F(REAL, clip_range_vf, "inf", 0, INFINITY, "how far a value may move from the old one, inf = anywhere")  \
    F(REAL, kl_coef, "1", 0, 1e6, "beta of the penalty at the start")                                        \
    F(REAL, kl_target, "0.01", 1e-9, 1e3, "the KL that beta is steered to")                                  \
    F(REAL, target_kl, "inf", 0, INFINITY, "ends an iteration's epochs when the KL exceeds 1.5 times this")  \
    F(BOOL, normalize_advantage, "true", 0, 1, "advantages to mean 0, deviation 1 in each minibatch")        \
    F(SCHEDULE, ent_coef, "0", 0, 1e3, "c_e: price on entropy")                                              \
    F(REAL, vf_coef, "0.5", 0, 1e3, "c_v: weight of the value loss")                                         \
    F(BOOL, critic, "true", 0, 1, "learn a value function; false is policy-only PPO")                        \
    F(BOOL, norm_reward, "false", 0, 1, "rewards divided by the deviation of the discounted return")
#define PPO_FIELDS(F, E)                                                                                     \
    PPO_OWN_FIELDS(F, E)                                                                                     \
    REINI_OPTIM_FIELDS(F, E)                                                                                 \
    REINI_NET_FIELDS(F, E)                                                                                   \
    REINI_SDE_FIELDS(F, E) REINI_MEMORY_FIELDS(F, E) REINI_SEQUENCE_FIELDS(F, E) REINI_CONSTRAINT_FIELDS(F, E)

typedef struct ppo_config {
    REIN_FIELDS_STRUCT(PPO_FIELDS)
} ppo_config;

#define REIN_FIELD_OWNER ppo_config
static const rein_field ppo_fields[] = {REIN_FIELDS_TABLE(PPO_FIELDS)};

enum { ADVANTAGE_GAE, ADVANTAGE_TD, ADVANTAGE_MC };
enum { OBJECTIVE_CLIP, OBJECTIVE_PENALTY };

/* metric, name of its column */
#define PPO_METRICS(X)                                                                                       \
    X(POLICY_LOSS, "train/policy_loss")                                                                      \
    X(VALUE_LOSS, "train/value_loss")                                                                        \
    X(ENTROPY, "train/entropy")                                                                              \
    X(APPROX_KL, "train/approx_kl")                                                                          \
    X(CLIP_FRACTION, "train/clip_fraction")                                                                  \
    X(EXPLAINED_VARIANCE, "train/explained_variance")                                                        \
    X(GRAD_NORM, "train/grad_norm")                                                                          \
    X(LEARNING_RATE, "train/learning_rate")                                                                  \
    X(CLIP_RANGE, "train/clip_range")                                                                        \
    X(KL_COEF, "train/kl_coef")                                                                              \
    X(UPDATES, "train/updates")                                                                              \
    X(REFERENCE_KL, "train/reference_kl")                                                                    \
    X(REFERENCE_COEF, "train/reference_coef")                                                                \
    REINI_COST_METRICS(X)

enum {
#define X(name, column) METRIC_##name,
    PPO_METRICS(X)
#undef X
        METRICS
};
static const char *const ppo_metrics[] = {
#define X(name, column) column,
    PPO_METRICS(X)
#undef X
};

enum { SHUFFLE_STREAM = 0x50504F };
#define ADVANTAGE_EPSILON 1e-8

typedef struct ppo {
    reini_on_policy base;
    ppo_config config;
    rein_optim *optim;
    rein_store *grads;
    reini_part part; /* the loss and its gradients; rows are steps of a minibatch */
    struct {
        rein_tensor *clip_low, *clip_high, *ent_coef, *kl_coef, *adv_mean, *adv_scale;
    } u;                  /* uniforms */
    rein_tensor *old_std; /* static (act size) log deviation of the policy that acted; boxes with a penalty */
    rein_tensor *policy_loss, *value_loss, *entropy, *approx_kl, *clip_fraction, *kl, *loss;

    int32_t *order;    /* (T N) a permutation of the rollout's steps */
    uint32_t *words;   /* (T N, rounded up) random bits it is made from */
    uint64_t shuffles; /* permutations drawn so far */
    float *log_std;    /* (act size) as it was at collection */
    double kl_coef;
    reini_constraint constraint;
} ppo;

/* ---- the objective ------------------------------------------------------------------------------------- */

/* E[(R - V)^2], with V kept within clip_range_vf of the value at collection */
static rein_tensor *value_loss(ppo *p, rein_tensor *value) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    reini_batch *batch = &p->part.batch;
    rein_tensor *ret = reini_batch_take(batch, "ret", REIN_F32, 1, r->ret);
    rein_tensor *limit = rein_constant(batch->g, p->config.clip_range_vf);
    if (isfinite(p->config.clip_range_vf)) {
        rein_tensor *old = reini_batch_take(batch, "value", REIN_F32, 1, r->value);
        value = rein_add(old, rein_clamp(rein_sub(value, old), rein_neg(limit), limit));
    }
    return rein_mean(rein_square(rein_sub(ret, value)));
}

/* E[KL(old || new)], full distributions; old from the logits or means and the standard deviation at collection */
static rein_tensor *kl_to_old(ppo *p, const reini_net_heads *now) {
    const rein_space *act = &p->base.context.env->act;
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    rein_tensor *output =
        reini_batch_take(&p->part.batch, "output", REIN_F32, (int)rein_tensor_width(now->output), r->output);
    rein_dist old;
    if (act->kind == REIN_SPACE_BOX) {
        p->old_std = rein_input(p->part.g, "old_std", REIN_F32, REIN_STATIC, 1, &act->size);
        old = rein_dist_gaussian(output, p->old_std);
    } else {
        old = rein_dist_categorical(output, p->part.in.mask, now->dist.parts, act->n);
    }
    return rein_mean(rein_dist_kl(&old, &now->dist));
}

static rein_tensor *ppo_loss(ppo *p) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    const reini_net *policy = p->base.policy;
    reini_batch *batch = &p->part.batch;
    rein_tensor *action = reini_batch_action(batch, policy, r);
    rein_tensor *logp_old = reini_batch_take(batch, "logp", REIN_F32, 1, r->logp);
    rein_tensor *adv = reini_batch_take(batch, "adv", REIN_F32, 1, r->adv);
    adv = rein_mul(rein_sub(adv, p->u.adv_mean), p->u.adv_scale);

    reini_net_heads now =
        reini_batch_heads(batch, policy, p->part.slot, r, true, p->config.critic, &p->part.in);
    rein_tensor *logp = rein_dist_logp(&now.dist, action);
    reini_pg pg = p->config.objective == OBJECTIVE_CLIP
                      ? reini_pg_clip(logp, logp_old, adv, p->u.clip_low, p->u.clip_high)
                      : reini_pg_plain(logp, logp_old, adv);
    p->policy_loss = rein_neg(rein_mean(pg.gain));
    p->entropy = rein_mean(rein_dist_entropy(&now.dist));
    p->approx_kl = reini_pg_approx_kl(&pg);
    p->clip_fraction = reini_pg_clip_fraction(&pg, p->u.clip_low, p->u.clip_high);

    rein_tensor *loss = rein_sub(p->policy_loss, rein_mul(p->u.ent_coef, p->entropy));
    if (p->config.objective == OBJECTIVE_PENALTY) {
        p->kl = kl_to_old(p, &now);
        loss = rein_add(loss, rein_mul(p->u.kl_coef, p->kl));
    }
    if (p->config.critic) {
        p->value_loss = value_loss(p, now.value);
        loss = rein_add(loss, rein_scale(p->value_loss, p->config.vf_coef));
    }
    return reini_constraint_loss(&p->constraint, loss, &p->part.in, &now.dist);
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

/* the lambda that the advantage estimator stands for */
static double lambda_of(const ppo_config *config) {
    static const double fixed[] = {[ADVANTAGE_TD] = 0, [ADVANTAGE_MC] = 1};
    return config->advantage == ADVANTAGE_GAE ? config->gae_lambda : fixed[config->advantage];
}

static void set_schedules(ppo *p, double *metric) {
    double progress = reini_on_policy_progress(&p->base);
    double clip = rein_schedule_at(&p->config.clip_range, progress);
    rein_exec_set(p->part.exec, p->u.clip_low, 1 - clip);
    rein_exec_set(p->part.exec, p->u.clip_high, 1 + clip);
    rein_exec_set(p->part.exec, p->u.ent_coef, rein_schedule_at(&p->config.ent_coef, progress));
    rein_exec_set(p->part.exec, p->u.kl_coef, p->kl_coef);
    metric[METRIC_LEARNING_RATE] = rein_schedule_at(&p->config.learning_rate, progress);
    metric[METRIC_CLIP_RANGE] = clip;
    metric[METRIC_KL_COEF] = p->config.objective == OBJECTIVE_PENALTY ? p->kl_coef : NAN;
}

/* Loss and gradients of the minibatch order[first .. first + count). */
static void run_minibatch(ppo *p, int64_t first, int64_t count) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    double mean = 0, std = 1;
    if (p->config.normalize_advantage) {
        reini_mean_std_at(r->adv, p->order + first, count, &mean, &std);
        std += ADVANTAGE_EPSILON;
    }
    rein_exec_set(p->part.exec, p->u.adv_mean, mean);
    rein_exec_set(p->part.exec, p->u.adv_scale, 1 / std);
    reini_batch_select(&p->part.batch, p->part.exec, p->order + first, count);
    rein_exec_run(p->part.exec);
}

static void add_metrics(const ppo *p, double *sum) {
    sum[METRIC_POLICY_LOSS] += rein_exec_scalar(p->part.exec, p->policy_loss);
    sum[METRIC_VALUE_LOSS] += p->config.critic ? rein_exec_scalar(p->part.exec, p->value_loss) : NAN;
    sum[METRIC_ENTROPY] += rein_exec_scalar(p->part.exec, p->entropy);
    sum[METRIC_APPROX_KL] += rein_exec_scalar(p->part.exec, p->approx_kl);
    sum[METRIC_CLIP_FRACTION] += rein_exec_scalar(p->part.exec, p->clip_fraction);
    if (p->constraint.kl != NULL)
        sum[METRIC_REFERENCE_KL] += rein_exec_scalar(p->part.exec, p->constraint.kl);
}

static void step_optimizer(ppo *p, double *sum, double learning_rate) {
    rein_optim_result result = {.skipped = 1, .grad_norm = NAN};
    if (isfinite(rein_exec_scalar(p->part.exec, p->loss)))
        result = rein_optim_step(p->optim, p->base.policy->store, p->grads, learning_rate);
    sum[METRIC_GRAD_NORM] += result.grad_norm;
    reini_on_policy_note(&p->base, result.skipped);
}

/* One pass over the rollout in random minibatches; false when the policy has moved far enough. */
static bool run_epoch(ppo *p, double *sum, double learning_rate) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    int64_t n = r->T * r->N, size = p->config.batch_size;
    reini_sequence_shuffle(p->order, p->words, r->T, r->N, p->base.opts.sequence, p->base.context.seed,
                           SHUFFLE_STREAM, p->shuffles++);
    for (int64_t first = 0; first < n; first += size) {
        run_minibatch(p, first, first + size < n ? size : n - first);
        add_metrics(p, sum);
        sum[METRIC_UPDATES]++;
        if (rein_exec_scalar(p->part.exec, p->approx_kl) > 1.5 * p->config.target_kl)
            return false;
        step_optimizer(p, sum, learning_rate);
    }
    return true;
}

/* E[KL(old || new)] over the whole rollout, after its updates */
static double measure_kl(ppo *p) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    int64_t n = r->T * r->N, size = p->config.batch_size;
    double sum = 0;
    for (int64_t first = 0; first < n; first += size) {
        int64_t count = first + size < n ? size : n - first;
        run_minibatch(p, first, count);
        sum += rein_exec_scalar(p->part.exec, p->kl) * (double)count;
    }
    return sum / (double)n;
}

static void adapt_penalty(ppo *p) {
    double kl = measure_kl(p);
    if (kl > 1.5 * p->config.kl_target)
        p->kl_coef *= 2;
    else if (kl < p->config.kl_target / 1.5)
        p->kl_coef /= 2;
    p->kl_coef = fmin(fmax(p->kl_coef, 1e-8), 1e8);
}

/* the rollout holds the means that acted; the deviation is one for all steps */
static void keep_log_std(ppo *p) {
    if (p->old_std == NULL)
        return;
    const rein_layout *layout = p->base.policy->layout;
    rein_param_info info = rein_layout_at(layout, rein_layout_find(layout, "log_std"));
    const float *now = (const float *)rein_store_view(p->base.policy->store) + info.offset;
    memcpy(p->log_std, now, (size_t)info.count * sizeof(float));
}

/* what limits make of the updates, after them */
static void keep_limits(ppo *p, const double *sum, double *metric) {
    reini_constraint *c = &p->constraint;
    double kl = sum[METRIC_REFERENCE_KL] / sum[METRIC_UPDATES];
    if (c->kl != NULL) {
        metric[METRIC_REFERENCE_KL] = kl;
        metric[METRIC_REFERENCE_COEF] = c->distance.price;
    }
    reini_constraint_metrics(c, metric + METRIC_COST_0);
    reini_constraint_learn(c, kl, p->config.n_epochs, metric[METRIC_LEARNING_RATE]);
}

static void learn(ppo *p, double *metric) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    double sum[REINI_METRICS_MAX] = {0};
    set_schedules(p, metric);
    keep_log_std(p);
    bool go_on = true;
    for (int64_t epoch = 0; epoch < p->config.n_epochs && go_on; epoch++)
        go_on = run_epoch(p, sum, metric[METRIC_LEARNING_RATE]);
    if (p->config.objective == OBJECTIVE_PENALTY)
        adapt_penalty(p);
    for (int i = 0; i <= METRIC_CLIP_FRACTION; i++)
        metric[i] = sum[i] / sum[METRIC_UPDATES];
    metric[METRIC_GRAD_NORM] = sum[METRIC_GRAD_NORM] / sum[METRIC_UPDATES];
    metric[METRIC_UPDATES] = sum[METRIC_UPDATES];
    keep_limits(p, sum, metric);
    if (p->config.critic)
        metric[METRIC_EXPLAINED_VARIANCE] = reini_explained_variance(r->value, r->ret, r->T * r->N);
}

/* The algorithm: act, judge, improve. */
static void ppo_iterate(void *self, reini_report *report) {
    ppo *p = self;
    if (!reini_on_policy_gather(&p->base, report))
        return;
    reini_on_policy_estimate(&p->base, lambda_of(&p->config));
    reini_constraint_estimate(&p->constraint, p->base.policy, p->part.exec);
    learn(p, report->metric);
    reini_on_policy_finish(&p->base, report);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static reini_constraint_settings limits_of(const ppo_config *from) {
    reini_constraint_settings copied;
    REINI_COPY_FIELDS(REINI_CONSTRAINT_FIELDS)
    return copied;
}

static reini_on_policy_opts opts_of(const ppo_config *from) {
    reini_net_config copied = {0};
    REINI_COPY_FIELDS(REINI_NET_FIELDS)
    REINI_COPY_FIELDS(REINI_SDE_FIELDS)
    REINI_COPY_FIELDS(REINI_MEMORY_FIELDS)
    return (reini_on_policy_opts){.algo = "ppo",
                                  .n_envs = from->n_envs,
                                  .n_steps = from->n_steps,
                                  .gamma = from->gamma,
                                  .critic = from->critic,
                                  .output = from->objective == OBJECTIVE_PENALTY,
                                  .norm_reward = from->norm_reward,
                                  .costs = strcmp(from->cost_limit, "none") != 0,
                                  .sequence = reini_sequence_length(from->gru, from->sequence, from->n_steps),
                                  .net = copied};
}

static reini_optim_settings optim_of(const ppo_config *from) {
    reini_optim_settings copied;
    REINI_COPY_FIELDS(REINI_OPTIM_FIELDS)
    return copied;
}

static rein_status ppo_check(const void *config, const reini_context *context) {
    const ppo_config *c = config;
    reini_on_policy_opts opts = opts_of(c);
    reini_constraint_settings limits = limits_of(c);
    REINI_TRY(reini_on_policy_check(&opts, context));
    REINI_TRY(reini_constraint_check(&limits, context->env));
    if (c->use_sde && c->objective == OBJECTIVE_PENALTY)
        return reini_fail(REIN_USAGE,
                          "objective=penalty compares deviations that are one for all states, use_sde "
                          "makes them depend on the state: use objective=clip");
    REINI_TRY(reini_sequence_check(c->gru, c->sequence, c->n_steps, c->batch_size));
    if (c->batch_size <= c->n_envs * c->n_steps)
        return REIN_OK;
    return reini_fail(REIN_USAGE, "batch_size: %lld is larger than n_envs x n_steps = %lld x %lld = %lld",
                      (long long)c->batch_size, (long long)c->n_envs, (long long)c->n_steps,
                      (long long)(c->n_envs * c->n_steps));
}

static rein_status build_program(ppo *p) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    REINI_TRY(reini_part_begin(&p->part, &p->base, p->config.batch_size, r->T * r->N));
    rein_graph *g = p->part.g;
    p->u.clip_low = rein_uniform(g, "clip_low", 0.8);
    p->u.clip_high = rein_uniform(g, "clip_high", 1.2);
    p->u.ent_coef = rein_uniform(g, "ent_coef", 0);
    p->u.kl_coef = rein_uniform(g, "kl_coef", p->config.kl_coef);
    p->u.adv_mean = rein_uniform(g, "adv_mean", 0);
    p->u.adv_scale = rein_uniform(g, "adv_scale", 1);
    p->loss = rein_output(ppo_loss(p), "loss");
    rein_tensor **read[] = {&p->policy_loss, &p->value_loss,    &p->entropy,
                            &p->approx_kl,   &p->clip_fraction, &p->kl};
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        if (*read[i] != NULL)
            *read[i] = rein_output(*read[i], "metric");
    int gradient = rein_gradient(p->loss, p->part.slot, NULL);
    REINI_TRY(reini_part_end(&p->part, &p->base));
    REINI_TRY(rein_store_new(p->base.policy->layout, REIN_F32, &p->grads));
    rein_exec_bind_gradient(p->part.exec, gradient, p->grads);
    rein_exec_rows(p->part.exec, p->part.batch.steps, r->T * r->N);
    if (p->old_std != NULL)
        rein_exec_bind(p->part.exec, p->old_std, p->log_std, 0);
    reini_constraint_bind(&p->constraint, p->part.exec);
    return REIN_OK;
}

static rein_status ppo_fill(ppo *p, const reini_context *context) {
    reini_on_policy_opts opts = opts_of(&p->config);
    reini_optim_settings optim = optim_of(&p->config);
    REINI_TRY(reini_on_policy_init(&p->base, &opts, context));
    size_t steps = (size_t)(opts.n_envs * opts.n_steps);
    p->order = REINI_NEW_ARRAY(int32_t, steps);
    p->words = REINI_NEW_ARRAY(uint32_t, (steps + 63) / 64 * 64);
    p->log_std = REINI_NEW_ARRAY(float, (size_t)context->env->act.size);
    if (p->order == NULL || p->words == NULL || p->log_std == NULL)
        return reini_fail_memory(2 * steps * 4, "PPO");
    reini_constraint_settings limits = limits_of(&p->config);
    REINI_TRY(reini_constraint_init(&p->constraint, &limits, &p->base, &optim, p->config.batch_size));
    REINI_TRY(build_program(p));
    p->kl_coef = p->config.kl_coef;
    return reini_optim_make(&optim, p->base.policy->layout, NULL, &p->optim);
}

static void ppo_destroy(void *self) {
    ppo *p = self;
    if (p == NULL)
        return;
    reini_part_release(&p->part);
    reini_constraint_release(&p->constraint);
    rein_store_free(p->grads);
    rein_optim_free(p->optim);
    reini_free(p->order);
    reini_free(p->words);
    reini_free(p->log_std);
    reini_on_policy_release(&p->base);
    reini_free(p);
}

static rein_status ppo_create(const void *config, const reini_context *context, void **self) {
    ppo *p = REINI_NEW(ppo);
    if (p == NULL)
        return reini_fail_memory(sizeof *p, "PPO");
    p->config = *(const ppo_config *)config;
    rein_status status = ppo_fill(p, context);
    if (status != REIN_OK) {
        ppo_destroy(p);
        return status;
    }
    *self = p;
    return REIN_OK;
}

static rein_status ppo_visit(void *self, reini_archive *archive) {
    ppo *p = self;
    REINI_TRY(reini_on_policy_visit(&p->base, archive));
    REINI_TRY(reini_optim_visit(p->optim, "ppo.optimizer", archive));
    REINI_TRY(reini_archive_bytes(archive, "ppo.shuffles", &p->shuffles, sizeof p->shuffles));
    REINI_TRY(reini_constraint_visit(&p->constraint, archive));
    return reini_archive_bytes(archive, "ppo.kl_coef", &p->kl_coef, sizeof p->kl_coef);
}

/* columns of limits only where there are any */
static int ppo_metrics_of(const void *config, const rein_env_type *env) {
    const ppo_config *c = config;
    if (strcmp(c->cost_limit, "none") != 0)
        return METRIC_COST_0 + 2 * env->n_costs;
    return strcmp(c->reference, "none") != 0 ? METRIC_COST_0 : METRIC_REFERENCE_KL;
}

static void ppo_extend(void *self, int64_t total_steps) {
    ((ppo *)self)->base.context.total_steps = total_steps;
}

static rein_policy *ppo_policy(void *self) {
    return &((ppo *)self)->base.policy->base;
}

/* PPO on language models: algo/language/ppo_text.c */
extern const struct reini_language reini_ppo_language;

const reini_algo reini_algo_ppo = {
    .name = "ppo",
    .doc =
        "proximal policy optimization: clipped or KL-penalised policy gradient with several epochs a batch",
    .family = REINI_ON_POLICY,
    .fields = ppo_fields,
    .n_fields = sizeof ppo_fields / sizeof *ppo_fields,
    .config_size = sizeof(ppo_config),
    .metrics = ppo_metrics,
    .n_metrics = METRICS,
    .key_metric = METRIC_APPROX_KL,
    .metrics_of = ppo_metrics_of,
    .check = ppo_check,
    .create = ppo_create,
    .destroy = ppo_destroy,
    .iterate = ppo_iterate,
    .visit = ppo_visit,
    .extend = ppo_extend,
    .policy = ppo_policy,
    .language = &reini_ppo_language,
};
