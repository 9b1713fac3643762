/*
 * reinforce.c - Monte-Carlo policy gradient.
 *
 * R. J. Williams: Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, Machine
 * Learning 8, 1992. From E whole episodes of the present policy, with l_e steps each, one step along
 *
 *     g = 1/E sum_e sum_{t < l_e} grad log pi(a_t|s_t) (W_t - b_t)
 *
 *     returns   total   W_t = r_0 + gamma r_1 + ...          the whole episode's return, for all of its actions
 *               to_go   W_t = r_t + gamma r_{t+1} + ...      what an action can still change
 *     baseline  none    b_t = 0
 *               mean    b_t = the mean of W over the other episodes of the batch (its steps, with to_go)
 *               learned b_t = V(s_t), fitted to returns to go (total: V(s_0), known before the first action)
 *
 * None of the baselines biases g: each is independent of the action it is subtracted for. They change its variance,
 * which is measured every variance_every iterations: with g_e the sum over episode e, g is the mean of E independent
 * g_e, so
 *
 *     train/grad_variance = tr Cov[g] = sum_e |g_e - g|^2 / (E (E - 1)).
 *
 * Episodes are whole and all from the same policy (episodes.h); steps beyond them are made for nothing but count. An
 * environment without a time limit is refused.
 *
 * Symbols: E n_envs x episodes_per_env, c_e ent_coef.
 *
 * Where this differs:
 *   - from the paper: Adam; discounted returns without the factor gamma^t in front of the gradient, as customary; an
 *     optional price on entropy c_e, per step and thus weighing as much as a reward of c_e H.
 *   - an episode cut by the time limit ends there without a learned baseline; with one, gamma V(last observation) is
 *     added to its last reward.
 *   - statistics of observation normalisation change between iterations only.
 */
#include <math.h>
#include <string.h>
#include "algo/on_policy/critic.h"
#include "algo/on_policy/episodes.h"
#include "rl/advantage.h"

/* the learner's fields, for policy and baseline */
#define REINFORCE_OPTIM_FIELDS(F, E)                                                                         \
    F(REAL, max_grad_norm, "0", 0, 1e9, "global gradient norm clip, 0 = off")                                \
    E(optimizer, "adam", "adam|adamw|sgd|rmsprop", "optimizer of policy and baseline")                       \
    F(REAL, adam_eps, "1e-5", 0, 1, "epsilon beside the root in Adam and RMSprop")                           \
    F(REAL, weight_decay, "0", 0, 10, "AdamW's decoupled decay, SGD's L2 term")                              \
    F(REAL, momentum, "0.9", 0, 1, "SGD's momentum")

#define REINFORCE_OWN_FIELDS(F, E)                                                                           \
    F(INT, n_envs, "8", 1, 65536, "N: environments stepped side by side")                                    \
    F(INT, episodes_per_env, "1", 1, 65536, "whole episodes of every environment in an iteration")           \
    F(SCHEDULE, learning_rate, "3e-3", 0, 100, "step size of the policy's optimizer")                        \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    E(returns, "to_go", "total|to_go", "what weighs an action: the episode's return, or what follows it")    \
    E(baseline, "learned", "none|mean|learned", "subtracted from it: nothing, the batch's mean, or V(s)")    \
    F(BOOL, normalize_advantage, "false", 0, 1, "weights to mean 0, deviation 1 in each iteration")          \
    F(SCHEDULE, ent_coef, "0", 0, 1e3, "c_e: price on entropy")                                              \
    F(INT, batch_size, "256", 1, 1e9, "steps in a minibatch of the learned baseline")                        \
    F(INT, n_critic_updates, "10", 0, 10000, "passes of the learned baseline over an iteration's steps")     \
    F(SCHEDULE, critic_learning_rate, "1e-3", 0, 100, "step size of the learned baseline's optimizer")       \
    F(COUNT, variance_every, "10", 0, 1e15,                                                                  \
      "iterations from one measured gradient variance to the next, "                                         \
      "0 = never")
#define REINFORCE_FIELDS(F, E) REINFORCE_OWN_FIELDS(F, E) REINFORCE_OPTIM_FIELDS(F, E) REINI_NET_FIELDS(F, E)

typedef struct reinforce_config {
    REIN_FIELDS_STRUCT(REINFORCE_FIELDS)
} reinforce_config;

#define REIN_FIELD_OWNER reinforce_config
static const rein_field reinforce_fields[] = {REIN_FIELDS_TABLE(REINFORCE_FIELDS)};

enum { RETURNS_TOTAL, RETURNS_TO_GO };
enum { BASELINE_NONE, BASELINE_MEAN, BASELINE_LEARNED };

/* metric, name of its column */
#define REINFORCE_METRICS(X)                                                                                 \
    X(POLICY_LOSS, "train/policy_loss")                                                                      \
    X(ENTROPY, "train/entropy")                                                                              \
    X(GRAD_NORM, "train/grad_norm")                                                                          \
    X(GRAD_VARIANCE, "train/grad_variance")                                                                  \
    X(VALUE_LOSS, "train/value_loss")                                                                        \
    X(EXPLAINED_VARIANCE, "train/explained_variance")                                                        \
    X(LEARNING_RATE, "train/learning_rate")                                                                  \
    X(STEPS_LEARNED, "train/steps_learned")

enum {
#define X(name, column) METRIC_##name,
    REINFORCE_METRICS(X)
#undef X
        METRICS
};
static const char *const reinforce_metrics[] = {
#define X(name, column) column,
    REINFORCE_METRICS(X)
#undef X
};

/* steps between two looks at which environments are through */
enum { CHUNK = 16 };
#define ADVANTAGE_EPSILON 1e-8

typedef struct reinforce {
    reini_on_policy base;
    reinforce_config config;

    reini_whole whole;              /* what is learned from */
    reini_part part;                /* the objective and its gradient */
    rein_tensor *length, *ent_coef; /* uniforms; mean length of the episodes */
    rein_tensor *policy_loss, *entropy, *loss;
    rein_store *grads;
    rein_optim *optim;
    reini_critic critic;  /* with a learned baseline */
    int32_t *order;       /* (N room) 0, 1, 2, ... */
    int64_t n;            /* numbers in a store */
    double *gradient_sum; /* (n) of episodes' gradients */
    int64_t iterations;
    reini_episodes recent; /* learned from lately */
} reinforce;

static bool learned(const reinforce *p) {
    return p->config.baseline == BASELINE_LEARNED;
}

/* ---- weights ------------------------------------------------------------------------------------------- */

static void returns_to_go(reinforce *p, const reini_episode *e) {
    double sum = 0;
    for (int64_t i = e->first + e->length - 1; i >= e->first; i--)
        p->whole.steps.ret[i] = (float)(sum = p->whole.steps.reward[i] + p->config.gamma * sum);
}

/* sum of an episode's weights, and how many there are: one when all are the same */
static double sum_weights(const reinforce *p, const reini_episode *e, double *count) {
    double sum = 0;
    *count = p->config.returns == RETURNS_TOTAL ? 1 : (double)e->length;
    for (int64_t i = 0; i < (int64_t)*count; i++)
        sum += p->whole.steps.adv[e->first + i];
    return sum;
}

/* From each episode's weights the mean over the others. */
static void subtract_mean(reinforce *p) {
    double sum = 0, count = 0, own;
    for (int64_t k = 0; k < p->whole.count; k++) {
        sum += sum_weights(p, &p->whole.episodes[k], &own);
        count += own;
    }
    /* the weights of an episode are read before they change, those of the others are in the sum already */
    for (int64_t k = 0; k < p->whole.count; k++) {
        const reini_episode *e = &p->whole.episodes[k];
        double others = sum - sum_weights(p, e, &own);
        float mean = (float)(others / (count - own));
        for (int64_t i = e->first; i < e->first + e->length; i++)
            p->whole.steps.adv[i] -= mean;
    }
}

static void subtract_values(reinforce *p, const reini_episode *e) {
    for (int64_t i = e->first; i < e->first + e->length; i++)
        p->whole.steps.adv[i] -= p->whole.steps.value[p->config.returns == RETURNS_TOTAL ? e->first : i];
}

static void normalise(reinforce *p) {
    double mean, std;
    reini_mean_std_at(p->whole.steps.adv, p->order, p->whole.n_steps, &mean, &std);
    for (int64_t i = 0; i < p->whole.n_steps; i++)
        p->whole.steps.adv[i] = (float)((p->whole.steps.adv[i] - mean) / (std + ADVANTAGE_EPSILON));
}

/* ret: returns to go; adv: W - b */
static void weigh(reinforce *p) {
    for (int64_t k = 0; k < p->whole.count; k++) {
        const reini_episode *e = &p->whole.episodes[k];
        returns_to_go(p, e);
        for (int64_t i = e->first; i < e->first + e->length; i++)
            p->whole.steps.adv[i] = p->whole.steps.ret[p->config.returns == RETURNS_TOTAL ? e->first : i];
        if (learned(p))
            subtract_values(p, e);
    }
    if (p->config.baseline == BASELINE_MEAN)
        subtract_mean(p);
    if (p->config.normalize_advantage)
        normalise(p);
}

/* ---- the objective ------------------------------------------------------------------------------------- */

/* E's mean length times the means over steps: sums over steps, divided by E */
static rein_tensor *reinforce_loss(reinforce *p) {
    const reini_net *policy = p->base.policy;
    reini_batch *batch = &p->part.batch;
    rein_tensor *action = reini_batch_action(batch, policy, &p->whole.steps);
    rein_tensor *adv = reini_batch_take(batch, "adv", REIN_F32, 1, p->whole.steps.adv);
    reini_net_heads now =
        reini_batch_heads(batch, policy, p->part.slot, &p->whole.steps, true, false, &p->part.in);
    rein_tensor *gain = rein_mean(rein_mul(rein_dist_logp(&now.dist, action), adv));
    p->policy_loss = rein_output(rein_neg(rein_mul(p->length, gain)), "policy_loss");
    p->entropy = rein_output(rein_mean(rein_dist_entropy(&now.dist)), "entropy");
    return rein_sub(p->policy_loss, rein_mul(rein_mul(p->length, p->ent_coef), p->entropy));
}

/* Loss and gradient of the steps first .. first + count - 1, which are `episodes` whole ones. */
static void run_steps(reinforce *p, int64_t first, int64_t count, int64_t episodes) {
    rein_exec *exec = p->part.exec;
    rein_exec_rows(exec, p->part.batch.steps, p->whole.n_steps);
    rein_exec_rows(exec, p->part.batch.rows, count);
    rein_exec_bind(exec, p->part.batch.index, p->order + first, 0);
    rein_exec_set(exec, p->length, (double)count / (double)episodes);
    rein_exec_run(exec);
}

/* tr Cov[g] from the gradients of single episodes; NAN for one episode. */
static double gradient_variance(reinforce *p) {
    int64_t E = p->whole.count;
    const float *g = rein_store_view(p->grads);
    double squares = 0;
    memset(p->gradient_sum, 0, (size_t)p->n * sizeof *p->gradient_sum);
    rein_exec_set(p->part.exec, p->ent_coef, 0);
    for (int64_t k = 0; k < E; k++) {
        run_steps(p, p->whole.episodes[k].first, p->whole.episodes[k].length, 1);
        for (int64_t i = 0; i < p->n; i++) {
            p->gradient_sum[i] += g[i];
            squares += (double)g[i] * g[i];
        }
    }
    double mean = 0; /* E |g|^2 */
    for (int64_t i = 0; i < p->n; i++)
        mean += p->gradient_sum[i] * p->gradient_sum[i] / (double)E;
    return E > 1 ? (squares - mean) / ((double)E * (double)(E - 1)) : NAN;
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

static void improve_policy(reinforce *p, double *metric) {
    double progress = reini_on_policy_progress(&p->base);
    rein_exec_set(p->part.exec, p->ent_coef, rein_schedule_at(&p->config.ent_coef, progress));
    metric[METRIC_LEARNING_RATE] = rein_schedule_at(&p->config.learning_rate, progress);
    run_steps(p, 0, p->whole.n_steps, p->whole.count);
    rein_optim_result result = {.skipped = 1, .grad_norm = NAN};
    if (isfinite(rein_exec_scalar(p->part.exec, p->loss)))
        result = rein_optim_step(p->optim, p->base.policy->store, p->grads, metric[METRIC_LEARNING_RATE]);
    reini_on_policy_note(&p->base, result.skipped);
    metric[METRIC_POLICY_LOSS] = rein_exec_scalar(p->part.exec, p->policy_loss);
    metric[METRIC_ENTROPY] = rein_exec_scalar(p->part.exec, p->entropy);
    metric[METRIC_GRAD_NORM] = result.grad_norm;
}

static void improve_baseline(reinforce *p, double *metric) {
    double rate = rein_schedule_at(&p->config.critic_learning_rate, reini_on_policy_progress(&p->base));
    metric[METRIC_EXPLAINED_VARIANCE] =
        reini_explained_variance(p->whole.steps.value, p->whole.steps.ret, p->whole.n_steps);
    metric[METRIC_VALUE_LOSS] =
        reini_critic_fit(&p->critic, p->whole.n_steps, p->config.n_critic_updates, rate);
}

static void note_episodes(reinforce *p) {
    reini_episodes *recent = &p->recent;
    for (int64_t k = 0; k < p->whole.count; k++) {
        recent->returns[recent->count % REINI_WINDOW] = p->whole.episodes[k].total;
        recent->lengths[recent->count % REINI_WINDOW] = (int32_t)p->whole.episodes[k].length;
        recent->count++;
    }
}

/* The algorithm: act, weigh, improve. */
static void reinforce_iterate(void *self, reini_report *report) {
    reinforce *p = self;
    double *metric = report->metric;
    if (!reini_whole_gather(&p->whole, report))
        return;
    weigh(p);
    if (p->config.variance_every > 0 && p->iterations % p->config.variance_every == 0)
        metric[METRIC_GRAD_VARIANCE] = gradient_variance(p);
    improve_policy(p, metric);
    if (learned(p))
        improve_baseline(p, metric);
    metric[METRIC_STEPS_LEARNED] = (double)p->whole.n_steps;
    p->iterations++;
    note_episodes(p);
    reini_net_refresh(p->base.policy);
    reini_on_policy_account(&p->base, &p->recent, report);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static reini_on_policy_opts opts_of(const reinforce_config *from) {
    reini_net_config copied = {0};
    REINI_COPY_FIELDS(REINI_NET_FIELDS)
    return (reini_on_policy_opts){.algo = "reinforce",
                                  .n_envs = from->n_envs,
                                  .n_steps = CHUNK,
                                  .gamma = from->gamma,
                                  .critic = from->baseline == BASELINE_LEARNED,
                                  .net = copied};
}

static reini_optim_settings optim_of(const reinforce_config *from) {
    reini_optim_settings copied;
    REINI_COPY_FIELDS(REINI_OPTIM_FIELDS)
    return copied;
}

static rein_status reinforce_check(const void *config, const reini_context *context) {
    const reinforce_config *c = config;
    const rein_env_type *env = context->env;
    reini_on_policy_opts opts = opts_of(c);
    REINI_TRY(reini_on_policy_check(&opts, context));
    if (c->shared)
        return reini_fail(REIN_USAGE,
                          "shared: reinforce keeps policy and baseline apart, because the baseline "
                          "is fitted by many steps; a2c and ppo can share");
    if (env->horizon <= 0)
        return reini_fail(REIN_USAGE,
                          "reinforce learns from whole episodes, and %s has no time limit; a2c, ppo and trpo "
                          "need none",
                          env->id);
    if (c->baseline == BASELINE_MEAN && c->n_envs * c->episodes_per_env < 2)
        return reini_fail(REIN_USAGE,
                          "baseline: the mean over other episodes needs n_envs x episodes_per_env "
                          "of at least 2, not 1");
    if (c->n_envs * c->episodes_per_env > INT32_MAX / env->horizon)
        return reini_fail(
            REIN_USAGE,
            "n_envs x episodes_per_env is %lld, with up to %lld steps each more than 2^31 steps "
            "an iteration",
            (long long)(c->n_envs * c->episodes_per_env), (long long)env->horizon);
    return REIN_OK;
}

static rein_status allocate(reinforce *p) {
    size_t steps = (size_t)p->whole.capacity;
    p->n = rein_store_size(p->base.policy->store);
    p->order = REINI_NEW_ARRAY(int32_t, steps);
    p->gradient_sum = REINI_NEW_ARRAY(double, (size_t)p->n);
    if (p->order == NULL || p->gradient_sum == NULL)
        return reini_fail_memory(steps * 4 + (size_t)p->n * 8, "REINFORCE");
    for (size_t i = 0; i < steps; i++)
        p->order[i] = (int32_t)i;
    return REIN_OK;
}

static rein_status build_program(reinforce *p) {
    const rein_space *act = &p->base.policy->base.act;
    int64_t steps = p->whole.capacity;
    REINI_TRY(reini_part_begin(&p->part, &p->base, steps, steps));
    p->length = rein_uniform(p->part.g, "length", 1);
    p->ent_coef = rein_uniform(p->part.g, "ent_coef", 0);
    p->loss = rein_output(reinforce_loss(p), "loss");
    int gradient =
        rein_gradient(p->loss, p->part.slot, act->kind == REIN_SPACE_BOX ? "actor,log_std" : "actor");
    REINI_TRY(reini_part_end(&p->part, &p->base));
    REINI_TRY(rein_store_new(p->base.policy->layout, REIN_F32, &p->grads));
    rein_exec_bind_gradient(p->part.exec, gradient, p->grads);
    return REIN_OK;
}

static rein_status reinforce_fill(reinforce *p, const reini_context *context) {
    reini_on_policy_opts opts = opts_of(&p->config);
    reini_optim_settings optim = optim_of(&p->config);
    bool box = context->env->act.kind == REIN_SPACE_BOX;
    REINI_TRY(reini_on_policy_init(&p->base, &opts, context));
    REINI_TRY(reini_whole_init(&p->whole, &p->base, p->config.episodes_per_env));
    REINI_TRY(allocate(p));
    REINI_TRY(build_program(p));
    REINI_TRY(reini_optim_make(&optim, p->base.policy->layout, box ? "actor,log_std" : "actor", &p->optim));
    if (!learned(p))
        return REIN_OK;
    return reini_critic_init(&p->critic, &p->base, &optim, &p->whole.steps, p->whole.capacity,
                             p->config.batch_size);
}

static void reinforce_destroy(void *self) {
    reinforce *p = self;
    if (p == NULL)
        return;
    reini_part_release(&p->part);
    reini_critic_release(&p->critic);
    rein_store_free(p->grads);
    rein_optim_free(p->optim);
    reini_whole_release(&p->whole);
    reini_free(p->order);
    reini_free(p->gradient_sum);
    reini_on_policy_release(&p->base);
    reini_free(p);
}

static rein_status reinforce_create(const void *config, const reini_context *context, void **self) {
    reinforce *p = REINI_NEW(reinforce);
    if (p == NULL)
        return reini_fail_memory(sizeof *p, "REINFORCE");
    p->config = *(const reinforce_config *)config;
    rein_status status = reinforce_fill(p, context);
    if (status != REIN_OK) {
        reinforce_destroy(p);
        return status;
    }
    *self = p;
    return REIN_OK;
}

static rein_status reinforce_visit(void *self, reini_archive *archive) {
    reinforce *p = self;
    REINI_TRY(reini_on_policy_visit(&p->base, archive));
    REINI_TRY(reini_optim_visit(p->optim, "reinforce.optimizer", archive));
    REINI_TRY(reini_archive_bytes(archive, "reinforce.iterations", &p->iterations, sizeof p->iterations));
    REINI_TRY(reini_archive_bytes(archive, "reinforce.episodes", &p->recent, sizeof p->recent));
    return learned(p) ? reini_critic_visit(&p->critic, "reinforce.critic", "critic.shuffles", archive)
                      : REIN_OK;
}

static void reinforce_extend(void *self, int64_t total_steps) {
    ((reinforce *)self)->base.context.total_steps = total_steps;
}

static rein_policy *reinforce_policy(void *self) {
    return &((reinforce *)self)->base.policy->base;
}

const reini_algo reini_algo_reinforce = {
    .name = "reinforce",
    .doc = "Monte-Carlo policy gradient on whole episodes, with and without a baseline",
    .family = REINI_ON_POLICY,
    .fields = reinforce_fields,
    .n_fields = sizeof reinforce_fields / sizeof *reinforce_fields,
    .config_size = sizeof(reinforce_config),
    .metrics = reinforce_metrics,
    .n_metrics = METRICS,
    .key_metric = METRIC_GRAD_NORM,
    .check = reinforce_check,
    .create = reinforce_create,
    .destroy = reinforce_destroy,
    .iterate = reinforce_iterate,
    .visit = reinforce_visit,
    .extend = reinforce_extend,
    .policy = reinforce_policy,
};
