/*
 * sac.c - soft actor-critic.
 *
 * T. Haarnoja et al.: Soft Actor-Critic Algorithms and Applications, arXiv 1812.05905 (2018). A policy that is paid for
 * reward and for entropy, at the price alpha. From transitions (s, a, r, s') of a memory of past experience, with
 * a' ~ pi(.|s') and the targets theta' of the critics:
 *
 *     critics:  y = r + gamma (min_i Q_i(s', a'; theta') - alpha log pi(a'|s')),   y = r where the episode ended
 *               L(theta) = E[ sum_i (Q_i(s, a; theta) - y)^2 / 2 ]                                      (eqs. 5, 6)
 *     actor:    L(phi) = E[ alpha log pi(a|s) - min_i Q_i(s, a; theta) ],  a = tanh(mu + sigma noise)  (eqs. 7-9)
 *     price:    L(alpha) = -log alpha E[ log pi(a|s) + H ],   H the target entropy                      (eq. 18)
 *     targets:  theta' <- (1 - tau) theta' + tau theta
 *
 * Symbols: theta the critics (slots `online`, `target`), phi the actor.
 *
 * Where this differs:
 *   - from the paper: the price is learned by its logarithm, as in the authors' code and in Stable-Baselines3.
 *   - an episode cut by the time limit is bootstrapped from its last observation, never cut to 0.
 *   - returns over n steps are not corrected for entropy or for the older policy in them.
 *   - one batch serves critics, actor and price; the target is computed once for both critics.
 *   - with use_sde (rl/sde.h) the environments' noise lasts sde_sample_freq steps whether or not updates come between,
 *     with the deviations it was drawn with; actions in the losses are drawn from its marginal, anew for each row.
 */
#include <math.h>
#include <string.h>
#include "algo/off_policy/memory_loss.h"
#include "base/clock.h"
#include "rl/acting.h"
#include "rl/crew.h"
#include "rl/stepper.h"
#include "rl/twin.h"
#include "tensor/graph.h"

#define SAC_OWN_FIELDS(F, E)                                                                                 \
    F(INT, n_envs, "1", 1, 65536, "N: environments stepped side by side")                                    \
    F(COUNT, buffer_size, "1e6", 1, 2e9, "transitions remembered")                                           \
    F(COUNT, learning_starts, "100", 0, 1e15, "environment steps of random actions before learning")         \
    F(INT, batch_size, "256", 1, 1e6, "transitions in an update")                                            \
    F(INT, train_freq, "1", 1, 1e9, "steps of every environment between updates")                            \
    F(INT, gradient_steps, "1", -1, 1e9, "updates each time, -1 = as many as environment steps were made")   \
    F(SCHEDULE, learning_rate, "3e-4", 0, 100, "step size of actor, price and critics")                      \
    F(REAL, critic_rate, "1", 0, 1e6, "what the critics' step size is multiplied by")                        \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(REAL, tau, "0.005", 0, 1, "how far the targets move to the critics in an update")                      \
    F(INT, n_step, "1", 1, 1000, "n: rewards summed before a value follows")                                 \
    F(BOOL, auto_ent_coef, "true", 0, 1, "learn the price of entropy; false: it stays ent_coef")             \
    F(REAL, ent_coef, "1", 1e-12, 1e6, "alpha: price of entropy, at the start when it is learned")           \
    F(REAL, target_entropy, "inf", -1e6, INFINITY, "H, in actions of -1..1; inf = minus the action's size")  \
    F(REAL, max_grad_norm, "0", 0, 1e9, "global gradient norm clip of actor and of critics, 0 = off")        \
    F(REAL, adam_eps, "1e-8", 0, 1, "epsilon beside the root in Adam")                                       \
    F(INTS, hidden, "256,256", 1, 65536, "widths of the hidden layers of actor and critics")                 \
    E(activation, "relu", "identity|tanh|relu|silu|gelu|sigmoid", "activation of the hidden layers")         \
    F(REAL, log_std_init, "-3", -20, 5, "gSDE: log deviation of the noise's weights at the start")           \
    F(BOOL, use_sde_at_warmup, "false", 0, 1, "gSDE before learning_starts too, not uniform actions")
#define SAC_FIELDS(F, E) SAC_OWN_FIELDS(F, E) REINI_SDE_FIELDS(F, E)

typedef struct sac_config {
    REIN_FIELDS_STRUCT(SAC_FIELDS)
} sac_config;

#define REIN_FIELD_OWNER sac_config
static const rein_field sac_fields[] = {REIN_FIELDS_TABLE(SAC_FIELDS)};

/* metric, name of its column; the first ones are means over updates */
#define SAC_METRICS(X)                                                                                       \
    X(CRITIC_LOSS, "train/critic_loss")                                                                      \
    X(ACTOR_LOSS, "train/actor_loss")                                                                        \
    X(Q_MEAN, "train/q_mean")                                                                                \
    X(ENTROPY, "train/entropy")                                                                              \
    X(CRITIC_NORM, "train/critic_grad_norm")                                                                 \
    X(ACTOR_NORM, "train/actor_grad_norm")                                                                   \
    X(ENT_COEF, "train/ent_coef")                                                                            \
    X(LEARNING_RATE, "train/learning_rate")                                                                  \
    X(UPDATES, "train/updates")

enum {
#define X(name, column) METRIC_##name,
    SAC_METRICS(X)
#undef X
        METRICS
};
static const char *const sac_metrics[] = {
#define X(name, column) column,
    SAC_METRICS(X)
#undef X
};

/* updates in a row that were not finite before the run is given up; streams of random actions */
enum { GIVE_UP_AFTER = 100, TARGET_STREAM = 1, ACTOR_STREAM = 2, ACT_STREAM = 3 };

/* Adam on log alpha. */
typedef struct price {
    double log_alpha, m, v;
    int64_t steps;
} price;

typedef struct sac {
    sac_config config;
    reini_context context;
    reini_net *policy; /* phi */
    rein_store *grads;
    rein_optim *optim;
    reini_twin twin; /* theta, theta' */
    price price;
    reini_replay *replay;
    reini_batch *batch;
    reini_stepper *stepper;
    reini_crew crew;
    reini_act_program act;
    rein_exec *act_exec;
    reini_sde sde;
    bool noisy; /* sde holds a noise that has begun */
    reini_memory_loss critic, improve;
    struct {
        rein_tensor *critic, *improve; /* alpha in the two graphs */
    } alpha;

    int64_t env_steps, updates;
    int64_t skipped, skipped_in_a_row;
} sac;

/* ---- the objectives ------------------------------------------------------------------------------------ */

/* E[sum_i (Q_i(s, a) - y)^2 / 2] */
static rein_tensor *critic_loss(sac *s, reini_memory_loss *l) {
    const rein_env_type *env = s->context.env;
    rein_tensor *now = reini_loss_now(l), *next = reini_loss_next(l), *logp;
    reini_net_inputs in = {.obs = next};
    reini_net_heads heads = reini_net_build(s->policy, l->actor, &in, true, false);
    rein_tensor *drawn = rein_dist_draw(&heads.dist, l->key, &logp);
    rein_tensor *follows = reini_twin_least(&s->twin, l->target, next, drawn);
    rein_tensor *y = reini_loss_target(l, rein_sub(follows, rein_mul(s->alpha.critic, logp)));

    rein_tensor *action = reini_loss_action(l, env);
    return rein_scale(rein_mean(reini_twin_errors(&s->twin, l->online, now, action, y, &l->mean)), 0.5);
}

/* E[alpha log pi(a|s) - min_i Q_i(s, a)] */
static rein_tensor *actor_loss(sac *s, reini_memory_loss *l) {
    rein_tensor *now = reini_loss_now(l), *logp;
    reini_net_inputs in = {.obs = now};
    reini_net_heads heads = reini_net_build(s->policy, l->actor, &in, true, false);
    rein_tensor *drawn = rein_dist_draw(&heads.dist, l->key, &logp);
    rein_tensor *q = reini_twin_least(&s->twin, l->online, now, drawn);
    l->mean = rein_mean(logp);
    return rein_mean(rein_sub(rein_mul(s->alpha.improve, logp), q));
}

/* ---- learning ------------------------------------------------------------------------------------------ */

static double progress(const sac *s) {
    return fmin((double)s->env_steps / (double)s->context.total_steps, 1);
}

static void run(sac *s, const reini_memory_loss *l, const rein_tensor *alpha, uint32_t stream) {
    rein_exec_set(l->exec, alpha, exp(s->price.log_alpha));
    rein_exec_key(l->exec, l->key, s->context.seed, stream, (uint64_t)s->updates, 0);
    rein_exec_run(l->exec);
}

/* a step of gradient descent; nothing changes when loss or gradient is not finite */
static rein_optim_result descend(const reini_memory_loss *l, rein_optim *optim, rein_store *params,
                                 const rein_store *grads, double rate) {
    rein_optim_result skipped = {.skipped = 1, .grad_norm = NAN};
    return isfinite(rein_exec_scalar(l->exec, l->loss)) ? rein_optim_step(optim, params, grads, rate)
                                                        : skipped;
}

static double target_entropy(const sac *s) {
    return isfinite(s->config.target_entropy) ? s->config.target_entropy : -s->context.env->act.size;
}

/* The derivative of L(alpha) by log alpha is -(E[log pi] + H). */
static void set_price(sac *s, double mean_logp, double rate) {
    const double beta1 = 0.9, beta2 = 0.999;
    price *p = &s->price;
    double g = -(mean_logp + target_entropy(s));
    p->steps++;
    p->m = beta1 * p->m + (1 - beta1) * g;
    p->v = beta2 * p->v + (1 - beta2) * g * g;
    double m = p->m / (1 - pow(beta1, (double)p->steps)), v = p->v / (1 - pow(beta2, (double)p->steps));
    p->log_alpha -= rate * m / (sqrt(v) + s->config.adam_eps);
}

/* One batch: critics, actor through the new critics, price, targets. */
static void update(sac *s, double *sum) {
    const sac_config *c = &s->config;
    double rate = rein_schedule_at(&c->learning_rate, progress(s));
    reini_replay_sample(s->replay, c->batch_size, s->context.seed, (uint64_t)s->updates, s->batch->index);
    reini_batch_fill(s->batch, s->replay, c->batch_size, (int)c->n_step, c->gamma);

    run(s, &s->critic, s->alpha.critic, TARGET_STREAM);
    rein_optim_result judged =
        descend(&s->critic, s->twin.optim, s->twin.online, s->twin.grads, rate * c->critic_rate);
    run(s, &s->improve, s->alpha.improve, ACTOR_STREAM);
    double logp = rein_exec_scalar(s->improve.exec, s->improve.mean);
    rein_optim_result improved = descend(&s->improve, s->optim, s->policy->store, s->grads, rate);
    if (c->auto_ent_coef && !improved.skipped)
        set_price(s, logp, rate);
    if (!judged.skipped)
        reini_store_blend(s->twin.target, s->twin.online, c->tau, s->context.pool);

    bool skipped = judged.skipped || improved.skipped;
    s->skipped += skipped;
    s->skipped_in_a_row = skipped ? s->skipped_in_a_row + 1 : 0;
    s->updates++;
    sum[METRIC_CRITIC_LOSS] += rein_exec_scalar(s->critic.exec, s->critic.loss);
    sum[METRIC_ACTOR_LOSS] += rein_exec_scalar(s->improve.exec, s->improve.loss);
    sum[METRIC_Q_MEAN] += rein_exec_scalar(s->critic.exec, s->critic.mean);
    sum[METRIC_ENTROPY] -= logp;
    sum[METRIC_CRITIC_NORM] += judged.grad_norm;
    sum[METRIC_ACTOR_NORM] += improved.grad_norm;
    sum[METRIC_UPDATES]++;
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

/* when the noise's time is over: after sde_sample_freq steps, or once updates were due */
static void renew_noise(sac *s) {
    int64_t life = s->config.sde_sample_freq > 0 ? s->config.sde_sample_freq : s->config.train_freq;
    int64_t t = s->env_steps / s->config.n_envs;
    if (!s->noisy || t % life == 0)
        reini_sde_draw(&s->sde, s->policy, s->context.seed, (uint64_t)t, 0, s->config.n_envs);
    s->noisy = true;
    rein_exec_bind(s->act_exec, s->act.theta, reini_sde_at(&s->sde, 0), 0);
}

static void act(sac *s) {
    rein_exec_bind(s->act_exec, s->act.in.obs, reini_stepper_obs(s->stepper), 0);
    rein_exec_bind(s->act_exec, s->act.action, reini_stepper_action(s->stepper), 0);
    if (s->act.theta != NULL)
        renew_noise(s);
    else
        rein_exec_key(s->act_exec, s->act.key, s->context.seed, ACT_STREAM, (uint64_t)s->env_steps, 0);
    rein_exec_run(s->act_exec);
}

/* A step of every environment into the memory. */
static void experience(sac *s, reini_report *report) {
    double start = reini_seconds();
    const sac_config *c = &s->config;
    if (s->env_steps < c->learning_starts && !(c->use_sde && c->use_sde_at_warmup))
        reini_stepper_random(s->stepper);
    else
        act(s);
    double acted = reini_seconds();
    reini_stepper_step(s->stepper);
    s->env_steps += s->config.n_envs;
    report->seconds_act += acted - start;
    report->seconds_env += reini_seconds() - acted;
}

static void learn(sac *s, double *sum) {
    const sac_config *c = &s->config;
    int64_t updates = c->gradient_steps < 0 ? c->train_freq * c->n_envs : c->gradient_steps;
    for (int64_t i = 0; i < updates && s->skipped_in_a_row < GIVE_UP_AFTER; i++) {
        reini_crew_begin(&s->crew);
        update(s, sum);
        reini_crew_end(&s->crew);
    }
}

static void finish_report(const sac *s, const double *sum, reini_report *report) {
    const reini_episodes *episodes = reini_stepper_episodes(s->stepper);
    for (int i = 0; i <= METRIC_ACTOR_NORM; i++)
        report->metric[i] = sum[METRIC_UPDATES] > 0 ? sum[i] / sum[METRIC_UPDATES] : NAN;
    report->metric[METRIC_ENT_COEF] = exp(s->price.log_alpha);
    report->metric[METRIC_LEARNING_RATE] = rein_schedule_at(&s->config.learning_rate, progress(s));
    report->metric[METRIC_UPDATES] = sum[METRIC_UPDATES];
    report->env_steps = s->env_steps;
    report->episodes = episodes->count;
    report->return_mean = reini_episodes_mean_return(episodes);
    report->length_mean = reini_episodes_mean_length(episodes);
    report->skipped_updates = s->skipped;
    report->diverged = s->skipped_in_a_row >= GIVE_UP_AFTER;
}

/* The algorithm: act, remember, learn from memories. */
static void sac_iterate(void *self, reini_report *report) {
    sac *s = self;
    double sum[METRICS] = {0};
    int64_t until = s->env_steps + REINI_ITERATE_STEPS;
    until = until < s->context.total_steps ? until : s->context.total_steps;
    do {
        experience(s, report);
        double start = reini_seconds();
        bool due = s->env_steps / s->config.n_envs % s->config.train_freq == 0;
        if (due && s->env_steps > s->config.learning_starts)
            learn(s, sum);
        report->seconds_update += reini_seconds() - start;
        report->failed = reini_stepper_fault(s->stepper);
    } while (s->env_steps < until && s->skipped_in_a_row < GIVE_UP_AFTER && report->failed == REIN_OK);
    finish_report(s, sum, report);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static rein_status sac_check(const void *config, const reini_context *context) {
    const sac_config *c = config;
    return reini_loss_check("sac", context, c->buffer_size, c->n_envs, c->gradient_steps);
}

static rein_status build_critic_graph(sac *s) {
    reini_memory_loss *l = &s->critic;
    REINI_TRY(reini_memory_loss_begin(l, s->context.env, s->replay, s->config.batch_size));
    l->actor = rein_slot(l->g, s->policy->layout);
    l->online = rein_slot(l->g, s->twin.layout);
    l->target = rein_slot(l->g, s->twin.layout);
    s->alpha.critic = rein_uniform(l->g, "alpha", 1);
    l->loss = rein_output(critic_loss(s, l), "loss");
    l->mean = rein_output(l->mean, "mean");
    int gradient = rein_gradient(l->loss, l->online, NULL);
    REINI_TRY(reini_memory_loss_finish(l, &s->context));
    reini_memory_loss_bind(l, s->replay, s->batch);
    rein_exec_bind_store(l->exec, l->actor, s->policy->store);
    rein_exec_bind_store(l->exec, l->online, s->twin.online);
    rein_exec_bind_store(l->exec, l->target, s->twin.target);
    rein_exec_bind_gradient(l->exec, gradient, s->twin.grads);
    return REIN_OK;
}

static rein_status build_actor_graph(sac *s) {
    reini_memory_loss *l = &s->improve;
    REINI_TRY(reini_memory_loss_begin(l, s->context.env, s->replay, s->config.batch_size));
    l->actor = rein_slot(l->g, s->policy->layout);
    l->online = rein_slot(l->g, s->twin.layout);
    s->alpha.improve = rein_uniform(l->g, "alpha", 1);
    l->loss = rein_output(actor_loss(s, l), "loss");
    l->mean = rein_output(l->mean, "mean");
    int gradient = rein_gradient(l->loss, l->actor, NULL);
    REINI_TRY(reini_memory_loss_finish(l, &s->context));
    reini_memory_loss_bind(l, s->replay, s->batch);
    rein_exec_bind_store(l->exec, l->actor, s->policy->store);
    rein_exec_bind_store(l->exec, l->online, s->twin.online);
    rein_exec_bind_gradient(l->exec, gradient, s->grads);
    return REIN_OK;
}

static rein_status make_networks(sac *s) {
    enum { UNIFORM = 1 };
    const sac_config *c = &s->config;
    const rein_env_type *env = s->context.env;
    reini_optim_settings optim = {.max_grad_norm = c->max_grad_norm, .adam_eps = c->adam_eps};
    reini_net_config net = {.hidden = c->hidden,
                            .activation = c->activation,
                            .init = UNIFORM,
                            .scale_actions = true,
                            .log_std_init = c->log_std_init,
                            .use_sde = c->use_sde,
                            .sde_sample_freq = c->sde_sample_freq,
                            .sde_expln = c->sde_expln,
                            .head = REINI_HEAD_SQUASHED};
    REINI_TRY(reini_net_new("sac", env->id, &env->obs, &env->act, &net, false, s->context.matmul,
                            s->context.seed, &s->policy));
    REINI_TRY(rein_store_new(s->policy->layout, REIN_F32, &s->grads));
    REINI_TRY(reini_optim_make(&optim, s->policy->layout, NULL, &s->optim));
    REINI_TRY(reini_twin_init(&s->twin, 2, env->obs.size, env->act.size, &c->hidden,
                              (rein_activation)c->activation, &optim, s->context.seed));
    s->crew = reini_crew_make(s->context.pool);
    rein_optim_share(s->optim, s->context.pool);
    rein_optim_share(s->twin.optim, s->context.pool);
    return REIN_OK;
}

static rein_status sac_fill(sac *s) {
    const sac_config *c = &s->config;
    const rein_env_type *env = s->context.env;
    REINI_TRY(make_networks(s));
    REINI_TRY(reini_replay_new(env, c->n_envs, c->buffer_size, &s->replay));
    REINI_TRY(reini_stepper_new(env, c->n_envs, s->context.seed, true, s->replay, &s->stepper));
    REINI_TRY(reini_batch_new(c->batch_size, &s->batch));
    REINI_TRY(reini_act_program_explore(&s->act, s->policy, (int)c->n_envs, false, false, false));
    REINI_TRY(reini_sde_init(&s->sde, s->policy, c->n_envs));
    REINI_TRY(reini_act_exec_new(&s->act, s->policy, &s->act_exec));
    rein_exec_rows(s->act_exec, s->act.rows, c->n_envs);
    s->price.log_alpha = log(c->ent_coef);
    REINI_TRY(build_critic_graph(s));
    return build_actor_graph(s);
}

static void sac_destroy(void *self) {
    sac *s = self;
    if (s == NULL)
        return;
    reini_memory_loss_release(&s->critic);
    reini_memory_loss_release(&s->improve);
    rein_exec_free(s->act_exec);
    reini_act_program_release(&s->act);
    reini_sde_release(&s->sde);
    reini_stepper_free(s->stepper);
    reini_batch_free(s->batch);
    reini_replay_free(s->replay);
    reini_twin_release(&s->twin);
    rein_optim_free(s->optim);
    rein_store_free(s->grads);
    reini_net_free(s->policy);
    reini_free(s);
}

static rein_status sac_create(const void *config, const reini_context *context, void **self) {
    sac *s = REINI_NEW(sac);
    if (s == NULL)
        return reini_fail_memory(sizeof *s, "SAC");
    s->config = *(const sac_config *)config;
    s->context = *context;
    rein_status status = sac_fill(s);
    if (status != REIN_OK) {
        sac_destroy(s);
        return status;
    }
    *self = s;
    return REIN_OK;
}

/* ---- checkpoints --------------------------------------------------------------------------------------- */

static rein_status sac_visit(void *self, reini_archive *archive) {
    sac *s = self;
    REINI_TRY(reini_net_visit(s->policy, archive));
    REINI_TRY(reini_optim_visit(s->optim, "sac.optimizer", archive));
    REINI_TRY(reini_twin_visit(&s->twin, archive));
    REINI_TRY(reini_archive_bytes(archive, "sac.price", &s->price, sizeof s->price));
    REINI_TRY(reini_replay_visit(s->replay, archive));
    REINI_TRY(reini_stepper_visit(s->stepper, archive));
    REINI_TRY(reini_sde_visit(&s->sde, archive));
    if (s->sde.theta != NULL)
        REINI_TRY(reini_archive_bytes(archive, "sac.noisy", &s->noisy, sizeof s->noisy));
    REINI_TRY(reini_archive_bytes(archive, "sac.env_steps", &s->env_steps, sizeof s->env_steps));
    REINI_TRY(reini_archive_bytes(archive, "sac.updates", &s->updates, sizeof s->updates));
    REINI_TRY(reini_archive_bytes(archive, "sac.skipped", &s->skipped, sizeof s->skipped));
    return reini_archive_bytes(archive, "sac.skipped_in_a_row", &s->skipped_in_a_row,
                               sizeof s->skipped_in_a_row);
}

static void sac_extend(void *self, int64_t total_steps) {
    ((sac *)self)->context.total_steps = total_steps;
}

static rein_policy *sac_policy(void *self) {
    return &((sac *)self)->policy->base;
}

const reini_algo reini_algo_sac = {
    .name = "sac",
    .doc = "soft actor-critic: twin critics, an entropy price that is learned, updates from a replay memory",
    .family = REINI_OFF_POLICY,
    .fields = sac_fields,
    .n_fields = sizeof sac_fields / sizeof *sac_fields,
    .config_size = sizeof(sac_config),
    .metrics = sac_metrics,
    .n_metrics = METRICS,
    .key_metric = METRIC_ENT_COEF,
    .check = sac_check,
    .create = sac_create,
    .destroy = sac_destroy,
    .iterate = sac_iterate,
    .visit = sac_visit,
    .extend = sac_extend,
    .policy = sac_policy,
};
