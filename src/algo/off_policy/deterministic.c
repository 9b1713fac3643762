/*
 * deterministic.c - the loop of DDPG and TD3.
 *
 * A policy mu(s; phi) and critics Q_i(s, a; theta) learn from transitions (s, a, r, s') of a memory of past experience,
 * with slower copies phi', theta':
 *
 *     critics:  a' = clip(mu(s'; phi') + clip(noise, -c, c), -1, 1)
 *               y = r + gamma min_i Q_i(s', a'; theta'),   y = r where the episode ended
 *               L(theta) = E[ sum_i (Q_i(s, a; theta) - y)^2 ]
 *     actor:    L(phi) = -E[ Q_1(s, mu(s; phi); theta) ]          every policy_delay-th update
 *     targets:  phi' <- (1 - tau) phi' + tau phi, theta' likewise, with the actor
 *
 * Experience is gathered with noise on mu's actions. What is what in the code: actor, online, target and old are the
 * slots of phi, theta, theta' and phi'.
 */
#include "algo/off_policy/deterministic.h"

#include <math.h>
#include <string.h>
#include "algo/off_policy/memory_loss.h"
#include "base/clock.h"
#include "rl/acting.h"
#include "rl/crew.h"
#include "rl/noise.h"
#include "rl/stepper.h"
#include "rl/twin.h"
#include "tensor/graph.h"

#define METRICS(X)                                                                                           \
    X(CRITIC_LOSS, "train/critic_loss")                                                                      \
    X(ACTOR_LOSS, "train/actor_loss")                                                                        \
    X(Q_MEAN, "train/q_mean")                                                                                \
    X(CRITIC_NORM, "train/critic_grad_norm")                                                                 \
    X(ACTOR_NORM, "train/actor_grad_norm")                                                                   \
    X(LEARNING_RATE, "train/learning_rate")                                                                  \
    X(UPDATES, "train/updates")                                                                              \
    X(ACTOR_UPDATES, "train/actor_updates")

enum {
#define X(name, column) METRIC_##name,
    METRICS(X)
#undef X
        METRIC_COUNT
};
_Static_assert((int)METRIC_COUNT == (int)REINI_DETERMINISTIC_METRICS, "the header's number of metrics");
_Static_assert((int)METRIC_Q_MEAN == (int)REINI_DETERMINISTIC_KEY, "the header's key metric");
const char *const reini_deterministic_metrics[REINI_DETERMINISTIC_METRICS] = {
#define X(name, column) column,
    METRICS(X)
#undef X
};

/* updates in a row that were not finite before the run is given up; the stream of the targets' noise */
enum { GIVE_UP_AFTER = 100, TARGET_STREAM = 1 };

typedef struct deterministic {
    reini_deterministic_kind kind;
    reini_deterministic_config config;
    reini_context context;
    reini_net *policy; /* phi */
    rein_store *old, *grads;
    rein_optim *optim;
    reini_twin twin; /* theta, theta' */
    reini_noise noise;
    reini_replay *replay;
    reini_batch *batch;
    reini_stepper *stepper;
    reini_crew crew;
    reini_act_program act;
    rein_exec *act_exec;
    reini_memory_loss critic, improve;

    int64_t env_steps, updates;
    int64_t skipped, skipped_in_a_row;
} deterministic;

/* ---- the objectives ------------------------------------------------------------------------------------ */

static rein_tensor *policy_of(const deterministic *d, int slot, rein_tensor *obs) {
    reini_net_inputs in = {.obs = obs};
    return reini_net_build(d->policy, slot, &in, true, false).output;
}

static rein_tensor *limited(rein_tensor *x, double limit) {
    rein_graph *g = rein_tensor_graph(x);
    return rein_clamp(x, rein_constant(g, -limit), rein_constant(g, limit));
}

/* what the target policy does, smoothed: similar actions are to have similar values */
static rein_tensor *target_action(const deterministic *d, const reini_memory_loss *l, rein_tensor *next) {
    rein_tensor *action = policy_of(d, l->old, next);
    if (d->kind.target_noise == 0)
        return action;
    rein_tensor *noise = rein_scale(rein_random_normal(l->key, action), d->kind.target_noise);
    return limited(rein_add(action, limited(noise, d->kind.target_clip)), 1);
}

static rein_tensor *critic_loss(deterministic *d, reini_memory_loss *l) {
    const rein_env_type *env = d->context.env;
    rein_tensor *now = reini_loss_now(l), *next = reini_loss_next(l);
    rein_tensor *follows = reini_twin_least(&d->twin, l->target, next, target_action(d, l, next));
    rein_tensor *y = reini_loss_target(l, follows), *action = reini_loss_action(l, env);
    return rein_mean(reini_twin_errors(&d->twin, l->online, now, action, y, &l->mean));
}

static rein_tensor *actor_loss(deterministic *d, reini_memory_loss *l) {
    rein_tensor *now = reini_loss_now(l);
    return rein_neg(rein_mean(reini_twin_one(&d->twin, l->online, 0, now, policy_of(d, l->actor, now))));
}

/* ---- learning ------------------------------------------------------------------------------------------ */

static double progress(const deterministic *d) {
    return fmin((double)d->env_steps / (double)d->context.total_steps, 1);
}

/* a step of gradient descent; nothing changes when loss or gradient is not finite */
static rein_optim_result descend(const reini_memory_loss *l, rein_optim *optim, rein_store *params,
                                 const rein_store *grads, double rate) {
    rein_optim_result skipped = {.skipped = 1, .grad_norm = NAN};
    rein_exec_run(l->exec);
    return isfinite(rein_exec_scalar(l->exec, l->loss)) ? rein_optim_step(optim, params, grads, rate)
                                                        : skipped;
}

static bool improve_actor(deterministic *d, double *sum, double rate) {
    rein_optim_result result = descend(&d->improve, d->optim, d->policy->store, d->grads, rate);
    reini_store_blend(d->twin.target, d->twin.online, d->config.tau, d->context.pool);
    reini_store_blend(d->old, d->policy->store, d->config.tau, d->context.pool);
    sum[METRIC_ACTOR_LOSS] += rein_exec_scalar(d->improve.exec, d->improve.loss);
    sum[METRIC_ACTOR_NORM] += result.grad_norm;
    sum[METRIC_ACTOR_UPDATES]++;
    return result.skipped;
}

/* One batch: critics, and now and then actor and targets. */
static void update(deterministic *d, double *sum) {
    const reini_deterministic_config *c = &d->config;
    double rate = rein_schedule_at(&c->learning_rate, progress(d));
    reini_replay_sample(d->replay, c->batch_size, d->context.seed, (uint64_t)d->updates, d->batch->index);
    reini_batch_fill(d->batch, d->replay, c->batch_size, (int)c->n_step, c->gamma);
    rein_exec_key(d->critic.exec, d->critic.key, d->context.seed, TARGET_STREAM, (uint64_t)d->updates, 0);
    rein_optim_result judged = descend(&d->critic, d->twin.optim, d->twin.online, d->twin.grads, rate);
    bool skipped = judged.skipped;
    d->updates++;
    if (!skipped && d->updates % d->kind.policy_delay == 0)
        skipped = improve_actor(d, sum, rate);
    d->skipped += skipped;
    d->skipped_in_a_row = skipped ? d->skipped_in_a_row + 1 : 0;
    sum[METRIC_CRITIC_LOSS] += rein_exec_scalar(d->critic.exec, d->critic.loss);
    sum[METRIC_Q_MEAN] += rein_exec_scalar(d->critic.exec, d->critic.mean);
    sum[METRIC_CRITIC_NORM] += judged.grad_norm;
    sum[METRIC_UPDATES]++;
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

static void act(deterministic *d) {
    rein_exec_bind(d->act_exec, d->act.in.obs, reini_stepper_obs(d->stepper), 0);
    rein_exec_bind(d->act_exec, d->act.action, reini_stepper_action(d->stepper), 0);
    rein_exec_run(d->act_exec);
    reini_noise_add(&d->noise, reini_stepper_action(d->stepper), d->context.seed,
                    (uint64_t)(d->env_steps / d->config.n_envs));
}

/* A step of every environment into the memory. */
static void experience(deterministic *d, reini_report *report) {
    double start = reini_seconds();
    if (d->env_steps < d->config.learning_starts)
        reini_stepper_random(d->stepper);
    else
        act(d);
    double acted = reini_seconds();
    reini_stepper_step(d->stepper);
    for (int64_t i = 0; i < d->config.n_envs; i++)
        if (reini_stepper_ended(d->stepper, i))
            reini_noise_restart(&d->noise, i);
    d->env_steps += d->config.n_envs;
    report->seconds_act += acted - start;
    report->seconds_env += reini_seconds() - acted;
}

static void learn(deterministic *d, double *sum) {
    const reini_deterministic_config *c = &d->config;
    int64_t updates = c->gradient_steps < 0 ? c->train_freq * c->n_envs : c->gradient_steps;
    for (int64_t i = 0; i < updates && d->skipped_in_a_row < GIVE_UP_AFTER; i++) {
        reini_crew_begin(&d->crew);
        update(d, sum);
        reini_crew_end(&d->crew);
    }
}

static double mean_of(double sum, double count) {
    return count > 0 ? sum / count : NAN;
}

static void finish_report(const deterministic *d, const double *sum, reini_report *report) {
    const reini_episodes *episodes = reini_stepper_episodes(d->stepper);
    double *metric = report->metric;
    metric[METRIC_CRITIC_LOSS] = mean_of(sum[METRIC_CRITIC_LOSS], sum[METRIC_UPDATES]);
    metric[METRIC_Q_MEAN] = mean_of(sum[METRIC_Q_MEAN], sum[METRIC_UPDATES]);
    metric[METRIC_CRITIC_NORM] = mean_of(sum[METRIC_CRITIC_NORM], sum[METRIC_UPDATES]);
    metric[METRIC_ACTOR_LOSS] = mean_of(sum[METRIC_ACTOR_LOSS], sum[METRIC_ACTOR_UPDATES]);
    metric[METRIC_ACTOR_NORM] = mean_of(sum[METRIC_ACTOR_NORM], sum[METRIC_ACTOR_UPDATES]);
    metric[METRIC_LEARNING_RATE] = rein_schedule_at(&d->config.learning_rate, progress(d));
    metric[METRIC_UPDATES] = sum[METRIC_UPDATES];
    metric[METRIC_ACTOR_UPDATES] = sum[METRIC_ACTOR_UPDATES];
    report->env_steps = d->env_steps;
    report->episodes = episodes->count;
    report->return_mean = reini_episodes_mean_return(episodes);
    report->length_mean = reini_episodes_mean_length(episodes);
    report->skipped_updates = d->skipped;
    report->diverged = d->skipped_in_a_row >= GIVE_UP_AFTER;
}

/* The algorithm: act, remember, learn from memories. */
void reini_deterministic_iterate(void *self, reini_report *report) {
    deterministic *d = self;
    double sum[METRIC_COUNT] = {0};
    int64_t until = d->env_steps + REINI_ITERATE_STEPS;
    until = until < d->context.total_steps ? until : d->context.total_steps;
    do {
        experience(d, report);
        double start = reini_seconds();
        bool due = d->env_steps / d->config.n_envs % d->config.train_freq == 0;
        if (due && d->env_steps > d->config.learning_starts)
            learn(d, sum);
        report->seconds_update += reini_seconds() - start;
        report->failed = reini_stepper_fault(d->stepper);
    } while (d->env_steps < until && d->skipped_in_a_row < GIVE_UP_AFTER && report->failed == REIN_OK);
    finish_report(d, sum, report);
}

/* ---- construction -------------------------------------------------------------------------------------- */

rein_status reini_deterministic_check(const char *name, const reini_deterministic_config *c,
                                      const reini_context *context) {
    return reini_loss_check(name, context, c->buffer_size, c->n_envs, c->gradient_steps);
}

static rein_status build_critic_graph(deterministic *d) {
    reini_memory_loss *l = &d->critic;
    REINI_TRY(reini_memory_loss_begin(l, d->context.env, d->replay, d->config.batch_size));
    l->old = rein_slot(l->g, d->policy->layout);
    l->online = rein_slot(l->g, d->twin.layout);
    l->target = rein_slot(l->g, d->twin.layout);
    l->loss = rein_output(critic_loss(d, l), "loss");
    l->mean = rein_output(l->mean, "mean");
    int gradient = rein_gradient(l->loss, l->online, NULL);
    REINI_TRY(reini_memory_loss_finish(l, &d->context));
    reini_memory_loss_bind(l, d->replay, d->batch);
    rein_exec_bind_store(l->exec, l->old, d->old);
    rein_exec_bind_store(l->exec, l->online, d->twin.online);
    rein_exec_bind_store(l->exec, l->target, d->twin.target);
    rein_exec_bind_gradient(l->exec, gradient, d->twin.grads);
    return REIN_OK;
}

static rein_status build_actor_graph(deterministic *d) {
    reini_memory_loss *l = &d->improve;
    REINI_TRY(reini_memory_loss_begin(l, d->context.env, d->replay, d->config.batch_size));
    l->actor = rein_slot(l->g, d->policy->layout);
    l->online = rein_slot(l->g, d->twin.layout);
    l->loss = rein_output(actor_loss(d, l), "loss");
    int gradient = rein_gradient(l->loss, l->actor, NULL);
    REINI_TRY(reini_memory_loss_finish(l, &d->context));
    reini_memory_loss_bind(l, d->replay, d->batch);
    rein_exec_bind_store(l->exec, l->actor, d->policy->store);
    rein_exec_bind_store(l->exec, l->online, d->twin.online);
    rein_exec_bind_gradient(l->exec, gradient, d->grads);
    return REIN_OK;
}

static rein_status make_networks(deterministic *d) {
    enum { UNIFORM = 1 };
    const reini_deterministic_config *c = &d->config;
    const rein_env_type *env = d->context.env;
    reini_optim_settings optim = {.max_grad_norm = c->max_grad_norm, .adam_eps = c->adam_eps};
    reini_net_config net = {.hidden = c->hidden,
                            .activation = c->activation,
                            .init = UNIFORM,
                            .scale_actions = true,
                            .head = REINI_HEAD_DETERMINISTIC};
    REINI_TRY(reini_net_new(d->kind.name, env->id, &env->obs, &env->act, &net, false, d->context.matmul,
                            d->context.seed, &d->policy));
    REINI_TRY(rein_store_new(d->policy->layout, REIN_F32, &d->old));
    REINI_TRY(rein_store_new(d->policy->layout, REIN_F32, &d->grads));
    rein_store_copy(d->old, d->policy->store);
    REINI_TRY(reini_optim_make(&optim, d->policy->layout, NULL, &d->optim));
    REINI_TRY(reini_twin_init(&d->twin, d->kind.critics, env->obs.size, env->act.size, &c->hidden,
                              (rein_activation)c->activation, &optim, d->context.seed));
    d->crew = reini_crew_make(d->context.pool);
    rein_optim_share(d->optim, d->context.pool);
    rein_optim_share(d->twin.optim, d->context.pool);
    return REIN_OK;
}

static rein_status fill(deterministic *d) {
    const reini_deterministic_config *c = &d->config;
    const rein_env_type *env = d->context.env;
    REINI_TRY(make_networks(d));
    REINI_TRY(reini_noise_init(&d->noise, c->noise, c->action_noise, c->n_envs, env->act.size));
    REINI_TRY(reini_replay_new(env, c->n_envs, c->buffer_size, &d->replay));
    REINI_TRY(reini_stepper_new(env, c->n_envs, d->context.seed, true, d->replay, &d->stepper));
    REINI_TRY(reini_batch_new(c->batch_size, &d->batch));
    REINI_TRY(reini_act_program_init(&d->act, d->policy, (int)c->n_envs, false, false, false));
    REINI_TRY(reini_act_exec_new(&d->act, d->policy, &d->act_exec));
    rein_exec_rows(d->act_exec, d->act.rows, c->n_envs);
    REINI_TRY(build_critic_graph(d));
    return build_actor_graph(d);
}

void reini_deterministic_destroy(void *self) {
    deterministic *d = self;
    if (d == NULL)
        return;
    reini_memory_loss_release(&d->critic);
    reini_memory_loss_release(&d->improve);
    rein_exec_free(d->act_exec);
    reini_act_program_release(&d->act);
    reini_stepper_free(d->stepper);
    reini_batch_free(d->batch);
    reini_replay_free(d->replay);
    reini_noise_release(&d->noise);
    reini_twin_release(&d->twin);
    rein_optim_free(d->optim);
    rein_store_free(d->old);
    rein_store_free(d->grads);
    reini_net_free(d->policy);
    reini_free(d);
}

rein_status reini_deterministic_create(const reini_deterministic_kind *kind,
                                       const reini_deterministic_config *config, const reini_context *context,
                                       void **self) {
    deterministic *d = REINI_NEW(deterministic);
    if (d == NULL)
        return reini_fail_memory(sizeof *d, kind->name);
    d->kind = *kind;
    d->config = *config;
    d->context = *context;
    rein_status status = fill(d);
    if (status != REIN_OK) {
        reini_deterministic_destroy(d);
        return status;
    }
    *self = d;
    return REIN_OK;
}

/* ---- checkpoints --------------------------------------------------------------------------------------- */

rein_status reini_deterministic_visit(void *self, reini_archive *archive) {
    deterministic *d = self;
    size_t bytes = (size_t)rein_store_size(d->old) * sizeof(float);
    REINI_TRY(reini_net_visit(d->policy, archive));
    REINI_TRY(reini_archive_bytes(archive, "actor.target", rein_store_data(d->old), bytes));
    REINI_TRY(reini_optim_visit(d->optim, "actor.optimizer", archive));
    REINI_TRY(reini_twin_visit(&d->twin, archive));
    REINI_TRY(reini_noise_visit(&d->noise, archive));
    REINI_TRY(reini_replay_visit(d->replay, archive));
    REINI_TRY(reini_stepper_visit(d->stepper, archive));
    REINI_TRY(reini_archive_bytes(archive, "actor.env_steps", &d->env_steps, sizeof d->env_steps));
    REINI_TRY(reini_archive_bytes(archive, "actor.updates", &d->updates, sizeof d->updates));
    REINI_TRY(reini_archive_bytes(archive, "actor.skipped", &d->skipped, sizeof d->skipped));
    return reini_archive_bytes(archive, "actor.skipped_in_a_row", &d->skipped_in_a_row,
                               sizeof d->skipped_in_a_row);
}

void reini_deterministic_extend(void *self, int64_t total_steps) {
    ((deterministic *)self)->context.total_steps = total_steps;
}

rein_policy *reini_deterministic_policy(void *self) {
    return &((deterministic *)self)->policy->base;
}
