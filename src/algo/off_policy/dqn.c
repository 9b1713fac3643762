/*
 * dqn.c - deep Q-networks.
 *
 * V. Mnih et al.: Human-level control through deep reinforcement learning, Nature 518 (2015). A network Q(s, a; theta)
 * learns from transitions (s, a, r, s') drawn from a memory of past experience, towards targets of an older copy
 * theta' of itself:
 *
 *     L(theta) = E[ w h(y - Q(s, a; theta)) ],   y = R_n + gamma^n Q(s_n, a'; theta'),  y = R_n where the episode ended
 *
 *     a' = argmax_a Q(s_n, a; theta')                    van Hasselt et al. 2016 (arXiv 1509.06461), eq. 2
 *     a' = argmax_a Q(s_n, a; theta)     double_q        the same, eq. 4
 *     Q = V + A - mean_a A               dueling         Wang et al. 2016 (arXiv 1511.06581), eq. 9
 *     R_n = sum of gamma^k r_k, k < n    n_step          Sutton 1988; as in Hessel et al. 2018 (arXiv 1710.02298)
 *     w, and draws by |y - Q|            prioritized     Schaul et al. 2016; rl/per.h
 *
 * h(d) is d^2 / 2 for |d| <= 1 and |d| - 1/2 beyond (huber), or d^2 (mse). Actions are random with probability
 * epsilon, which falls linearly, and greedy otherwise. theta' becomes theta at intervals, or (1 - tau) theta' + tau
 * theta.
 *
 * Symbols: theta the online network (slot `online`), theta' the target network (slot `target`).
 *
 * Where this differs:
 *   - from the paper: Adam instead of RMSprop, the gradient's global norm clipped. The settings, what they count and
 *     the order within a step are those of Stable-Baselines3's DQN.
 *   - an episode cut by the time limit is bootstrapped from its last observation, never cut to 0.
 *   - returns over n steps are not corrected for the exploring actions in them; they stop early at the newest step.
 *   - forbidden actions are neither taken nor bootstrapped from.
 *   - statistics of observation normalisation change between iterations only.
 */
#include <math.h>
#include <string.h>
#include <rein/optim.h>
#include "algo/algo.h"
#include "base/clock.h"
#include "rl/acting.h"
#include "rl/crew.h"
#include "rl/learner.h"
#include "rl/per.h"
#include "rl/stepper.h"

#define DQN_FIELDS(F, E)                                                                                     \
    F(INT, n_envs, "1", 1, 65536, "N: environments stepped side by side")                                    \
    F(COUNT, buffer_size, "1e6", 1, 2e9, "transitions remembered")                                           \
    F(COUNT, learning_starts, "100", 0, 1e15, "environment steps of random actions before learning")         \
    F(INT, batch_size, "32", 1, 1e6, "transitions in an update")                                             \
    F(INT, train_freq, "4", 1, 1e9, "steps of every environment between updates")                            \
    F(INT, gradient_steps, "1", -1, 1e9, "updates each time, -1 = as many as environment steps were made")   \
    F(SCHEDULE, learning_rate, "1e-4", 0, 100, "step size of the optimizer")                                 \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(COUNT, target_update_interval, "10000", 1, 1e15,                                                       \
      "environment steps between changes of the target network")                                             \
    F(REAL, tau, "1", 0, 1, "how far the target network moves to the online one, 1 = becomes its copy")      \
    F(REAL, exploration_fraction, "0.1", 0, 1, "part of training over which epsilon falls")                  \
    F(REAL, exploration_initial_eps, "1", 0, 1, "epsilon at the start")                                      \
    F(REAL, exploration_final_eps, "0.05", 0, 1, "epsilon after its fall")                                   \
    F(INT, n_step, "1", 1, 1000, "n: rewards summed before a value follows")                                 \
    F(BOOL, double_q, "false", 0, 1, "the online network chooses the action whose target value counts")      \
    F(BOOL, dueling, "false", 0, 1, "value and advantage are separate outputs of the network")               \
    F(BOOL, prioritized, "false", 0, 1, "transitions are drawn by the size of their last error")             \
    F(REAL, per_alpha, "0.6", 0, 10, "exponent of the error in a transition's priority")                     \
    F(SCHEDULE, per_beta, "lin_0.4_1", 0, 10, "exponent of the importance weights")                          \
    E(loss, "huber", "huber|mse", "h: Huber's loss, or the square")                                          \
    F(REAL, max_grad_norm, "10", 0, 1e9, "global gradient norm clip, 0 = off")                               \
    E(optimizer, "adam", "adam|adamw|sgd|rmsprop", "optimizer")                                              \
    F(REAL, adam_eps, "1e-8", 0, 1, "epsilon beside the root in Adam and RMSprop")                           \
    F(REAL, weight_decay, "0", 0, 10, "AdamW's decoupled decay, SGD's L2 term")                              \
    F(REAL, momentum, "0.9", 0, 1, "SGD's momentum")                                                         \
    F(INTS, hidden, "64,64", 1, 65536, "widths of the hidden layers")                                        \
    E(activation, "relu", "identity|tanh|relu|silu|gelu|sigmoid", "activation of the hidden layers")         \
    E(init, "uniform", "orthogonal|uniform|xavier|kaiming",                                                  \
      "initial weights: uniform 1/sqrt(fan-in) everywhere, orthogonal with small heads, ...")                \
    E(norm_obs, "none", "none|running|warmup",                                                               \
      "standardise observations with statistics of all experience, or of that before learning")              \
    REINI_ENCODE_FIELDS(F, E)

typedef struct dqn_config {
    REIN_FIELDS_STRUCT(DQN_FIELDS)
} dqn_config;

#define REIN_FIELD_OWNER dqn_config
static const rein_field dqn_fields[] = {REIN_FIELDS_TABLE(DQN_FIELDS)};

enum { LOSS_HUBER, LOSS_MSE };

/* metric, name of its column; the first ones are means over updates */
#define DQN_METRICS(X)                                                                                       \
    X(LOSS, "train/loss")                                                                                    \
    X(Q_MEAN, "train/q_mean")                                                                                \
    X(TD_ERROR, "train/td_error")                                                                            \
    X(GRAD_NORM, "train/grad_norm")                                                                          \
    X(EPSILON, "train/epsilon")                                                                              \
    X(LEARNING_RATE, "train/learning_rate")                                                                  \
    X(TARGET_DRIFT, "train/target_drift")                                                                    \
    X(UPDATES, "train/updates")

enum {
#define X(name, column) METRIC_##name,
    DQN_METRICS(X)
#undef X
        METRICS
};
static const char *const dqn_metrics[] = {
#define X(name, column) column,
    DQN_METRICS(X)
#undef X
};

/* updates in a row that were not finite before the run is given up */
enum { GIVE_UP_AFTER = 100, EXPLORE_STREAM = 0x44514E };

typedef struct dqn {
    dqn_config config;
    reini_context context;
    reini_net *policy; /* theta */
    rein_store *target, *grads;
    rein_optim *optim;
    reini_replay *replay;
    reini_batch *batch;
    reini_stepper *stepper;
    reini_crew crew;
    reini_per priorities; /* prioritized only */
    float *weight;        /* (batch) w; prioritized only */

    reini_act_program act;
    rein_exec *act_exec;
    uint32_t (*word)[4]; /* (N) random words of a step */

    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int rows, observations, transitions; /* extents: of a batch, and of the memory */
    int online, old;                     /* slots of theta and theta' */
    reini_net_inputs now;                /* of theta on s */
    struct {
        rein_tensor *index, *row, *next_row, *reward, *discount, *weight; /* (rows x 1) */
        rein_tensor *obs, *mask, *action;                                 /* (memory x ...) */
    } u;
    rein_tensor *error; /* (rows x 1) y - Q */
    rein_tensor *loss, *q_mean, *td_error;

    int64_t env_steps, updates;
    int64_t behind; /* updates since the target network changed */
    int64_t skipped, skipped_in_a_row;
} dqn;

/* ---- the objective ------------------------------------------------------------------------------------- */

static rein_tensor *column(dqn *d, rein_tensor **input, const char *name, rein_dtype dtype) {
    return *input = rein_input(d->g, name, dtype, d->rows, 1, (int[]){1});
}

/* Q(s_n, a'; theta') */
static rein_tensor *next_value(dqn *d, const reini_net_inputs *next) {
    reini_net_heads old = reini_net_build(d->policy, d->old, next, true, false), now = old;
    if (d->config.double_q)
        now = reini_net_build(d->policy, d->online, next, true, false);
    return rein_pick(old.output, reini_net_mode(d->policy, next, &now));
}

/* with m = min(|d|, 1): m (|d| - m / 2) */
static rein_tensor *huber(rein_tensor *error) {
    rein_tensor *size = rein_abs(error);
    rein_tensor *m = rein_min(size, rein_constant(rein_tensor_graph(error), 1));
    return rein_mul(m, rein_sub(size, rein_scale(m, 0.5)));
}

static rein_tensor *dqn_loss(dqn *d) {
    rein_tensor *row = column(d, &d->u.row, "row", REIN_I32);
    rein_tensor *next_row = column(d, &d->u.next_row, "next_row", REIN_I32);
    rein_tensor *index = column(d, &d->u.index, "index", REIN_I32);
    rein_tensor *reward = column(d, &d->u.reward, "reward", REIN_F32);
    rein_tensor *discount = column(d, &d->u.discount, "discount", REIN_F32);
    d->now.obs = rein_gather(d->u.obs, row);
    reini_net_norm_inputs(d->policy, d->g, &d->now);
    reini_net_inputs next = d->now;
    next.obs = rein_gather(d->u.obs, next_row);
    if (d->u.mask != NULL)
        next.mask = rein_gather(d->u.mask, next_row);

    rein_tensor *q = reini_net_build(d->policy, d->online, &d->now, true, false).output;
    rein_tensor *q_taken = rein_pick(q, rein_gather(d->u.action, index));
    /* chosen, not multiplied by 0: where an episode ended, no number that follows may count */
    rein_tensor *follows =
        rein_where(discount, rein_mul(discount, next_value(d, &next)), rein_constant(d->g, 0));
    d->error = rein_sub(rein_stop_gradient(rein_add(reward, follows)), q_taken);
    d->q_mean = rein_mean(q_taken);
    d->td_error = rein_mean(rein_abs(d->error));

    rein_tensor *loss = d->config.loss == LOSS_HUBER ? huber(d->error) : rein_square(d->error);
    if (d->config.prioritized)
        loss = rein_mul(column(d, &d->u.weight, "weight", REIN_F32), loss);
    return rein_mean(loss);
}

/* ---- learning ------------------------------------------------------------------------------------------ */

static double progress(const dqn *d) {
    return fmin((double)d->env_steps / (double)d->context.total_steps, 1);
}

/* Fills the batch with transitions, and their weights. */
static void draw_batch(dqn *d) {
    const dqn_config *c = &d->config;
    uint64_t draw = (uint64_t)d->updates;
    if (c->prioritized)
        reini_per_sample(&d->priorities, c->batch_size, rein_schedule_at(&c->per_beta, progress(d)),
                         d->context.seed, draw, d->batch->index, d->weight);
    else
        reini_replay_sample(d->replay, c->batch_size, d->context.seed, draw, d->batch->index);
    reini_batch_fill(d->batch, d->replay, c->batch_size, (int)c->n_step, c->gamma);
}

/* A step of gradient descent on the batch; nothing changes when loss or gradient is not finite. */
static void descend(dqn *d, double *sum, double learning_rate) {
    rein_optim_result result = {.skipped = 1, .grad_norm = NAN};
    rein_exec_run(d->exec);
    if (isfinite(rein_exec_scalar(d->exec, d->loss)))
        result = rein_optim_step(d->optim, d->policy->store, d->grads, learning_rate);
    if (!result.skipped && d->config.prioritized)
        reini_per_update(&d->priorities, d->config.batch_size, d->batch->index,
                         rein_exec_data(d->exec, d->error));
    d->skipped += result.skipped != 0;
    d->skipped_in_a_row = result.skipped ? d->skipped_in_a_row + 1 : 0;
    d->updates++;
    d->behind++;
    sum[METRIC_LOSS] += rein_exec_scalar(d->exec, d->loss);
    sum[METRIC_Q_MEAN] += rein_exec_scalar(d->exec, d->q_mean);
    sum[METRIC_TD_ERROR] += rein_exec_scalar(d->exec, d->td_error);
    sum[METRIC_GRAD_NORM] += result.grad_norm;
    sum[METRIC_UPDATES]++;
}

static void learn(dqn *d, double *sum) {
    const dqn_config *c = &d->config;
    int64_t updates = c->gradient_steps < 0 ? c->train_freq * c->n_envs : c->gradient_steps;
    double learning_rate = rein_schedule_at(&c->learning_rate, progress(d));
    for (int64_t i = 0; i < updates && d->skipped_in_a_row < GIVE_UP_AFTER; i++) {
        reini_crew_begin(&d->crew);
        draw_batch(d);
        descend(d, sum, learning_rate);
        reini_crew_end(&d->crew);
    }
}

/* |theta - theta'| / |theta'| */
static double drift(const dqn *d) {
    const float *now = rein_store_view(d->policy->store), *old = rein_store_view(d->target);
    double apart = 0, size = 0;
    for (int64_t i = 0; i < rein_store_size(d->target); i++) {
        double difference = (double)now[i] - old[i];
        apart += difference * difference;
        size += (double)old[i] * old[i];
    }
    return sqrt(apart / size);
}

/* The target network follows; how far it was behind is measured once an iteration. */
static void follow(dqn *d, double *measured) {
    if (d->behind > 0 && isnan(*measured))
        *measured = drift(d);
    if (d->config.tau == 1 && d->behind > 0)
        rein_store_copy(d->target, d->policy->store);
    else if (d->config.tau < 1)
        rein_store_blend(d->target, d->policy->store, d->config.tau);
    d->behind = 0;
}

/* ---- acting -------------------------------------------------------------------------------------------- */

static double epsilon(const dqn *d) {
    const dqn_config *c = &d->config;
    double fallen = c->exploration_fraction > 0 ? fmin(progress(d) / c->exploration_fraction, 1) : 1;
    return (1 - fallen) * c->exploration_initial_eps + fallen * c->exploration_final_eps;
}

static void act_greedily(dqn *d, int32_t *action) {
    rein_exec_bind(d->act_exec, d->act.in.obs, reini_stepper_obs(d->stepper), 0);
    if (d->act.in.mask != NULL)
        rein_exec_bind(d->act_exec, d->act.in.mask, reini_stepper_mask(d->stepper), 0);
    rein_exec_bind(d->act_exec, d->act.action, action, 0);
    rein_exec_run(d->act_exec);
}

/* one of n actions by a random word, of the allowed ones where there is a mask */
static int32_t any_action(uint32_t word, int32_t n, const uint8_t *mask) {
    uint32_t allowed = 0;
    if (mask == NULL)
        return (int32_t)((uint64_t)word * (uint32_t)n >> 32);
    for (int32_t a = 0; a < n; a++)
        allowed += mask[a] != 0;
    uint32_t left = (uint32_t)((uint64_t)word * allowed >> 32);
    for (int32_t a = 0; a < n; a++)
        if (mask[a] && left-- == 0)
            return a;
    return 0; /* nothing is allowed */
}

/* epsilon-greedy; environment i takes the words of Philox (seed, step, i) */
static void act(dqn *d) {
    int32_t *action = reini_stepper_action(d->stepper);
    int32_t n = d->context.env->act.n[0];
    int64_t N = d->config.n_envs, exploring = 0;
    const uint8_t *mask = reini_stepper_mask(d->stepper);
    double threshold = epsilon(d) * 4294967296.0;
    for (int64_t i = 0; i < N; i++) {
        rein_philox(d->context.seed, (uint64_t)(d->env_steps / N),
                    (uint64_t)EXPLORE_STREAM << 40 | (uint64_t)i, d->word[i]);
        exploring += d->word[i][0] < threshold;
    }
    if (exploring < N)
        act_greedily(d, action);
    for (int64_t i = 0; i < N; i++)
        if (d->word[i][0] < threshold)
            action[i] = any_action(d->word[i][1], n, mask != NULL ? mask + i * n : NULL);
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

/* A step of every environment into the memory. */
static void experience(dqn *d, reini_report *report) {
    const dqn_config *c = &d->config;
    bool warm_up = d->env_steps < c->learning_starts;
    int norm = d->policy->net.norm_obs;
    double start = reini_seconds();
    if (norm == REINI_NORM_RUNNING || (norm == REINI_NORM_WARMUP && warm_up))
        reini_moments_add(&d->policy->moments, reini_stepper_obs(d->stepper), c->n_envs);
    if (warm_up)
        reini_stepper_random(d->stepper);
    else
        act(d);
    double acted = reini_seconds();
    reini_stepper_step(d->stepper);
    if (c->prioritized)
        reini_per_follow(&d->priorities, d->replay);
    d->env_steps += c->n_envs;
    if (warm_up && d->env_steps >= c->learning_starts)
        reini_net_refresh(d->policy);
    report->seconds_act += acted - start;
    report->seconds_env += reini_seconds() - acted;
}

static void finish_report(const dqn *d, const double *sum, reini_report *report) {
    const reini_episodes *episodes = reini_stepper_episodes(d->stepper);
    double *metric = report->metric;
    for (int i = 0; i <= METRIC_GRAD_NORM; i++)
        metric[i] = sum[METRIC_UPDATES] > 0 ? sum[i] / sum[METRIC_UPDATES] : NAN;
    metric[METRIC_UPDATES] = sum[METRIC_UPDATES];
    metric[METRIC_EPSILON] = epsilon(d);
    metric[METRIC_LEARNING_RATE] = rein_schedule_at(&d->config.learning_rate, progress(d));
    if (isnan(metric[METRIC_TARGET_DRIFT]) && d->behind > 0)
        metric[METRIC_TARGET_DRIFT] = drift(d);
    report->env_steps = d->env_steps;
    report->episodes = episodes->count;
    report->return_mean = reini_episodes_mean_return(episodes);
    report->length_mean = reini_episodes_mean_length(episodes);
    report->skipped_updates = d->skipped;
    report->diverged = d->skipped_in_a_row >= GIVE_UP_AFTER;
}

static bool every(int64_t steps, int64_t interval) {
    return steps % (interval > 1 ? interval : 1) == 0;
}

/* The algorithm: act, remember, learn from memories, let the target follow. */
static void dqn_iterate(void *self, reini_report *report) {
    dqn *d = self;
    const dqn_config *c = &d->config;
    double sum[METRICS] = {0};
    int64_t until = d->env_steps + REINI_ITERATE_STEPS;
    until = until < d->context.total_steps ? until : d->context.total_steps;
    report->metric[METRIC_TARGET_DRIFT] = NAN;
    do {
        experience(d, report);
        double start = reini_seconds();
        int64_t steps = d->env_steps / c->n_envs; /* of every environment */
        if (every(steps, c->target_update_interval / c->n_envs))
            follow(d, &report->metric[METRIC_TARGET_DRIFT]);
        if (every(steps, c->train_freq) && d->env_steps > c->learning_starts)
            learn(d, sum);
        report->seconds_update += reini_seconds() - start;
        report->failed = reini_stepper_fault(d->stepper);
    } while (d->env_steps < until && d->skipped_in_a_row < GIVE_UP_AFTER && report->failed == REIN_OK);
    if (d->env_steps >= c->learning_starts)
        reini_net_refresh(d->policy);
    finish_report(d, sum, report);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static rein_status dqn_check(const void *config, const reini_context *context) {
    const dqn_config *c = config;
    const rein_env_type *env = context->env;
    reini_encode encode;
    REINI_TRY(reini_encode_init(&encode, &env->obs, c->encoder, c->image_scale));
    if (env->act.kind != REIN_SPACE_DISCRETE)
        return reini_fail(REIN_USAGE, "dqn needs one discrete action, %s takes others: %s", env->id,
                          env->act.kind == REIN_SPACE_BOX && env->obs.kind == REIN_SPACE_BOX
                              ? "sac, td3 or ppo fit"
                              : "ppo, a2c and trpo fit");
    if (c->buffer_size < c->n_envs)
        return reini_fail(REIN_USAGE, "buffer_size: %lld is less than one step of n_envs = %lld environments",
                          (long long)c->buffer_size, (long long)c->n_envs);
    if (c->gradient_steps == 0)
        return reini_fail(REIN_USAGE, "gradient_steps: 0 learns nothing; 1 or more, or -1 for as many as "
                                      "environment steps were made");
    if (c->norm_obs != REINI_NORM_NONE && env->obs.kind != REIN_SPACE_BOX)
        return reini_fail(REIN_USAGE, "norm_obs: only box observations can be standardised");
    if (c->norm_obs == REINI_NORM_WARMUP && c->learning_starts < 2)
        return reini_fail(REIN_USAGE,
                          "norm_obs: warmup takes its statistics from the steps before "
                          "learning_starts, of which there are %lld; give it 1000, or running",
                          (long long)c->learning_starts);
    return REIN_OK;
}

static void declare_memory(dqn *d) {
    const rein_env_type *env = d->context.env;
    int logits = rein_space_logits(&env->act);
    d->rows = rein_extent(d->g, "rows", d->config.batch_size);
    d->observations = rein_extent(d->g, "observations", d->replay->rows);
    d->transitions = rein_extent(d->g, "transitions", d->replay->capacity);
    d->online = rein_slot(d->g, d->policy->layout);
    d->old = rein_slot(d->g, d->policy->layout);
    d->u.obs = rein_input(d->g, "obs", reini_net_obs_dtype(&env->obs), d->observations, 1, &env->obs.size);
    d->u.action = rein_input(d->g, "action", REIN_I32, d->transitions, 1, (int[]){1});
    if (d->replay->mask != NULL)
        d->u.mask = rein_input(d->g, "mask", REIN_U8, d->observations, 1, &logits);
}

static void bind(dqn *d) {
    rein_exec_rows(d->exec, d->rows, d->config.batch_size);
    rein_exec_rows(d->exec, d->observations, d->replay->rows);
    rein_exec_rows(d->exec, d->transitions, d->replay->capacity);
    rein_exec_bind_store(d->exec, d->online, d->policy->store);
    rein_exec_bind_store(d->exec, d->old, d->target);
    rein_exec_bind(d->exec, d->u.obs, d->replay->obs, 0);
    rein_exec_bind(d->exec, d->u.action, d->replay->action, 0);
    rein_exec_bind(d->exec, d->u.index, d->batch->index, 0);
    rein_exec_bind(d->exec, d->u.row, d->batch->row, 0);
    rein_exec_bind(d->exec, d->u.next_row, d->batch->next_row, 0);
    rein_exec_bind(d->exec, d->u.reward, d->batch->reward, 0);
    rein_exec_bind(d->exec, d->u.discount, d->batch->discount, 0);
    if (d->u.mask != NULL)
        rein_exec_bind(d->exec, d->u.mask, d->replay->mask, 0);
    if (d->u.weight != NULL)
        rein_exec_bind(d->exec, d->u.weight, d->weight, 0);
}

static rein_status build_program(dqn *d) {
    d->g = rein_graph_new(REIN_F32);
    if (d->g == NULL)
        return reini_fail_memory(1 << 16, "DQN's loss");
    declare_memory(d);
    d->loss = rein_output(dqn_loss(d), "loss");
    rein_output(d->error, "error");
    rein_output(d->q_mean, "q_mean");
    rein_output(d->td_error, "td_error");
    int gradient = rein_gradient(d->loss, d->online, NULL);
    REINI_TRY(rein_compile(d->g, &(rein_compile_opts){.matmul = d->context.matmul}, &d->program));
    REINI_TRY(rein_exec_new(d->program, d->context.pool, &d->exec));
    d->crew = reini_crew_make(d->context.pool);
    rein_exec_bind_gradient(d->exec, gradient, d->grads);
    reini_net_bind_norm(d->policy, d->exec, &d->now);
    bind(d);
    return REIN_OK;
}

static reini_net_config net_of(const dqn_config *c) {
    return (reini_net_config){.hidden = c->hidden,
                              .activation = c->activation,
                              .init = c->init,
                              .norm_obs = c->norm_obs,
                              .encoder = c->encoder,
                              .image_scale = c->image_scale,
                              .head = c->dueling ? REINI_HEAD_DUELING : REINI_HEAD_Q};
}

static reini_optim_settings optim_of(const dqn_config *from) {
    reini_optim_settings copied;
    REINI_COPY_FIELDS(REINI_OPTIM_FIELDS)
    return copied;
}

static rein_status make_memory(dqn *d) {
    const dqn_config *c = &d->config;
    REINI_TRY(reini_replay_new(d->context.env, c->n_envs, c->buffer_size, &d->replay));
    REINI_TRY(reini_batch_new(c->batch_size, &d->batch));
    REINI_TRY(reini_stepper_new(d->context.env, c->n_envs, d->context.seed, false, d->replay, &d->stepper));
    if (!c->prioritized)
        return REIN_OK;
    d->weight = REINI_NEW_ARRAY(float, (size_t)c->batch_size);
    if (d->weight == NULL)
        return reini_fail_memory((size_t)c->batch_size * sizeof(float), "DQN");
    return reini_per_init(&d->priorities, d->replay, c->per_alpha);
}

static rein_status dqn_fill(dqn *d) {
    const reini_context *context = &d->context;
    const rein_env_type *env = context->env;
    reini_net_config net = net_of(&d->config);
    reini_optim_settings optim = optim_of(&d->config);
    REINI_TRY(reini_net_new("dqn", env->id, &env->obs, &env->act, &net, false, context->matmul, context->seed,
                            &d->policy));
    REINI_TRY(rein_store_new(d->policy->layout, REIN_F32, &d->target));
    REINI_TRY(rein_store_new(d->policy->layout, REIN_F32, &d->grads));
    rein_store_copy(d->target, d->policy->store);
    REINI_TRY(make_memory(d));
    REINI_TRY(build_program(d));
    REINI_TRY(reini_optim_make(&optim, d->policy->layout, NULL, &d->optim));
    d->word = reini_new_array((size_t)d->config.n_envs, sizeof *d->word);
    if (d->word == NULL)
        return reini_fail_memory((size_t)d->config.n_envs * sizeof *d->word, "DQN");
    REINI_TRY(
        reini_act_program_init(&d->act, d->policy, (int)d->config.n_envs, false, env->mask != NULL, false));
    REINI_TRY(reini_act_exec_new(&d->act, d->policy, &d->act_exec));
    rein_exec_rows(d->act_exec, d->act.rows, d->config.n_envs);
    return REIN_OK;
}

static void dqn_destroy(void *self) {
    dqn *d = self;
    if (d == NULL)
        return;
    rein_exec_free(d->act_exec);
    reini_act_program_release(&d->act);
    rein_exec_free(d->exec);
    rein_program_free(d->program);
    rein_graph_free(d->g);
    rein_optim_free(d->optim);
    reini_per_release(&d->priorities);
    reini_stepper_free(d->stepper);
    reini_batch_free(d->batch);
    reini_replay_free(d->replay);
    rein_store_free(d->grads);
    rein_store_free(d->target);
    reini_net_free(d->policy);
    reini_free(d->weight);
    reini_free(d->word);
    reini_free(d);
}

static rein_status dqn_create(const void *config, const reini_context *context, void **self) {
    dqn *d = REINI_NEW(dqn);
    if (d == NULL)
        return reini_fail_memory(sizeof *d, "DQN");
    d->config = *(const dqn_config *)config;
    d->context = *context;
    rein_status status = dqn_fill(d);
    if (status != REIN_OK) {
        dqn_destroy(d);
        return status;
    }
    *self = d;
    return REIN_OK;
}

/* ---- checkpoints --------------------------------------------------------------------------------------- */

static rein_status dqn_visit(void *self, reini_archive *archive) {
    dqn *d = self;
    size_t bytes = (size_t)rein_store_size(d->target) * sizeof(float);
    REINI_TRY(reini_net_visit(d->policy, archive));
    REINI_TRY(reini_archive_bytes(archive, "dqn.target", rein_store_data(d->target), bytes));
    REINI_TRY(reini_optim_visit(d->optim, "dqn.optimizer", archive));
    REINI_TRY(reini_replay_visit(d->replay, archive));
    REINI_TRY(reini_stepper_visit(d->stepper, archive));
    if (d->config.prioritized)
        REINI_TRY(reini_per_visit(&d->priorities, archive));
    REINI_TRY(reini_archive_bytes(archive, "dqn.env_steps", &d->env_steps, sizeof d->env_steps));
    REINI_TRY(reini_archive_bytes(archive, "dqn.updates", &d->updates, sizeof d->updates));
    REINI_TRY(reini_archive_bytes(archive, "dqn.behind", &d->behind, sizeof d->behind));
    REINI_TRY(reini_archive_bytes(archive, "dqn.skipped", &d->skipped, sizeof d->skipped));
    return reini_archive_bytes(archive, "dqn.skipped_in_a_row", &d->skipped_in_a_row,
                               sizeof d->skipped_in_a_row);
}

static void dqn_extend(void *self, int64_t total_steps) {
    ((dqn *)self)->context.total_steps = total_steps;
}

static rein_policy *dqn_policy(void *self) {
    return &((dqn *)self)->policy->base;
}

const reini_algo reini_algo_dqn = {
    .name = "dqn",
    .doc = "deep Q-network: replay and a target network; double, duelling, n-step, prioritised by switches",
    .family = REINI_OFF_POLICY,
    .fields = dqn_fields,
    .n_fields = sizeof dqn_fields / sizeof *dqn_fields,
    .config_size = sizeof(dqn_config),
    .metrics = dqn_metrics,
    .n_metrics = METRICS,
    .key_metric = METRIC_Q_MEAN,
    .check = dqn_check,
    .create = dqn_create,
    .destroy = dqn_destroy,
    .iterate = dqn_iterate,
    .visit = dqn_visit,
    .extend = dqn_extend,
    .policy = dqn_policy,
};
