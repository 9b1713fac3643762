/*
 * a3c.c - asynchronous advantage actor-critic.
 *
 * V. Mnih, A. Puigdomenech Badia, M. Mirza, A. Graves, T. Lillicrap, T. Harley, D. Silver, K. Kavukcuoglu:
 * Asynchronous Methods for Deep Reinforcement Learning, ICML 2016 (arXiv 1602.01783), algorithm S3. W workers have
 * environments and a copy theta' of the policy each, and do, without waiting for each other:
 *
 *     theta' <- theta
 *     T steps with pi(.|s; theta'), R_t = r_t + gamma r_{t+1} + ... + gamma^k V(s_{t+k}; theta'), A_t = R_t - V(s_t)
 *     g <- gradient at theta' of  -E[log pi(a_t|s_t) A_t] + c_v E[(V(s_t) - R_t)^2] - c_e E[H(pi(.|s_t))]
 *     theta <- theta - eta g / (sqrt(v) + eps),  v <- alpha v + (1 - alpha) g^2
 *
 * theta and v are shared and nothing locks them (hogwild.h), so a gradient may be applied to other parameters than it
 * was computed at: `train/staleness` counts the updates of others in between. That is why this is the one method here
 * that computes something else in each run, as soon as more than one thread has workers. In one thread, workers take
 * turns after every update, and runs are reproduced and resumed to the bit.
 *
 * Symbols: W workers, T n_steps, c_v vf_coef, c_e ent_coef.
 *
 * Where this differs:
 *   - from the paper: means, not sums, over the T steps; RMSprop's epsilon stands beside the root, as in PyTorch; a
 *     worker may step several environments; GAE with any lambda (1 is the paper's); the gradient's norm is clipped.
 *   - workers meet after n_updates updates each, for the trainer's accounts, evaluations and checkpoints.
 *   - an episode cut by the time limit is bootstrapped with V of its last observation, never cut to 0.
 *   - no normalisation: statistics would be one more thing to share.
 */
#include <math.h>
#include "algo/on_policy/hogwild.h"
#include "algo/on_policy/on_policy.h"
#include "base/clock.h"
#include "rl/advantage.h"

#define A3C_OWN_FIELDS(F, E)                                                                                 \
    F(INT, workers, "8", 1, 1024, "W: actors that learn at once, as many threads as there are at most")      \
    F(INT, n_envs, "1", 1, 65536, "environments of every worker")                                            \
    F(INT, n_steps, "5", 1, 1048576, "T: steps of every environment in an update")                           \
    F(INT, n_updates, "16", 1, 1048576, "updates of every worker between meetings")                          \
    F(SCHEDULE, learning_rate, "7e-4", 0, 100, "step size of the optimizer")                                 \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(REAL, gae_lambda, "1", 0, 1, "1: n-step advantages; 0: the one-step TD error; between: GAE")           \
    F(SCHEDULE, ent_coef, "0", 0, 1e3, "c_e: price on entropy")                                              \
    F(REAL, vf_coef, "0.5", 0, 1e3, "c_v: weight of the value loss")                                         \
    F(REAL, max_grad_norm, "0.5", 0, 1e9, "global gradient norm clip, 0 = off")                              \
    E(optimizer, "rmsprop", "rmsprop|adam", "optimizer, its statistics shared by all workers")               \
    F(REAL, adam_eps, "1e-5", 0, 1, "epsilon beside the root in Adam and RMSprop")
#define A3C_FIELDS(F, E) A3C_OWN_FIELDS(F, E) REINI_NET_FIELDS(F, E)

typedef struct a3c_config {
    REIN_FIELDS_STRUCT(A3C_FIELDS)
} a3c_config;

#define REIN_FIELD_OWNER a3c_config
static const rein_field a3c_fields[] = {REIN_FIELDS_TABLE(A3C_FIELDS)};

/* metric, name of its column: means over the updates of an iteration */
#define A3C_METRICS(X)                                                                                       \
    X(POLICY_LOSS, "train/policy_loss")                                                                      \
    X(VALUE_LOSS, "train/value_loss")                                                                        \
    X(ENTROPY, "train/entropy")                                                                              \
    X(EXPLAINED_VARIANCE, "train/explained_variance")                                                        \
    X(GRAD_NORM, "train/grad_norm")                                                                          \
    X(LEARNING_RATE, "train/learning_rate")                                                                  \
    X(STALENESS, "train/staleness")

enum {
#define X(name, column) METRIC_##name,
    A3C_METRICS(X)
#undef X
        METRICS
};
static const char *const a3c_metrics[] = {
#define X(name, column) column,
    A3C_METRICS(X)
#undef X
};

/* One actor: everything here is its own. */
typedef struct worker {
    reini_on_policy base; /* policy: the copy theta' */
    reini_part part;      /* the loss and its gradient */
    rein_store *grads;
    rein_tensor *ent_coef; /* uniform */
    rein_tensor *policy_loss, *value_loss, *entropy, *loss;
    float *scratch;
    /* of the iteration */
    reini_report times;
    double sum[METRICS];
    int64_t count[METRICS];
    bool failed; /* an environment did */
} worker;

typedef struct a3c {
    reini_context context;
    a3c_config config;
    reini_net *policy; /* theta */
    reini_hogwild shared;
    worker *workers;        /* (W) */
    int tasks;              /* threads that have workers */
    atomic_llong env_steps; /* of all workers; one update's worth at a time */
} a3c;

/* ---- the objective ------------------------------------------------------------------------------------- */

static rein_tensor *a3c_loss(worker *w, double vf_coef) {
    const reini_rollout *r = reini_on_policy_rollout(&w->base);
    reini_batch *batch = &w->part.batch;
    rein_tensor *action = reini_batch_action(batch, w->base.policy, r);
    rein_tensor *adv = reini_batch_take(batch, "adv", REIN_F32, 1, r->adv);
    rein_tensor *ret = reini_batch_take(batch, "ret", REIN_F32, 1, r->ret);
    reini_net_heads now = reini_batch_heads(batch, w->base.policy, w->part.slot, r, true, true, &w->part.in);
    rein_tensor *gain = rein_mul(rein_dist_logp(&now.dist, action), adv);
    w->policy_loss = rein_output(rein_neg(rein_mean(gain)), "policy_loss");
    w->value_loss = rein_output(rein_mean(rein_square(rein_sub(ret, now.value))), "value_loss");
    w->entropy = rein_output(rein_mean(rein_dist_entropy(&now.dist)), "entropy");
    rein_tensor *loss = rein_sub(w->policy_loss, rein_mul(w->ent_coef, w->entropy));
    return rein_add(loss, rein_scale(w->value_loss, vf_coef));
}

/* ---- one update ---------------------------------------------------------------------------------------- */

static void note(worker *w, int metric, double x) {
    if (!isfinite(x))
        return;
    w->sum[metric] += x;
    w->count[metric]++;
}

/* The gradient of the rollout, applied to the shared parameters. */
static void learn(a3c *p, worker *w, int64_t read_at, double progress) {
    const reini_rollout *r = reini_on_policy_rollout(&w->base);
    double rate = rein_schedule_at(&p->config.learning_rate, progress);
    rein_exec *exec = w->part.exec;
    rein_exec_set(exec, w->ent_coef, rein_schedule_at(&p->config.ent_coef, progress));
    rein_exec_run(exec);
    reini_hogwild_result result = {.skipped = true, .grad_norm = NAN};
    if (isfinite(rein_exec_scalar(exec, w->loss)))
        result = reini_hogwild_step(&p->shared, w->grads, rate, w->scratch);
    reini_on_policy_note(&w->base, result.skipped);
    note(w, METRIC_POLICY_LOSS, rein_exec_scalar(exec, w->policy_loss));
    note(w, METRIC_VALUE_LOSS, rein_exec_scalar(exec, w->value_loss));
    note(w, METRIC_ENTROPY, rein_exec_scalar(exec, w->entropy));
    note(w, METRIC_EXPLAINED_VARIANCE, reini_explained_variance(r->value, r->ret, r->T * r->N));
    note(w, METRIC_GRAD_NORM, result.grad_norm);
    note(w, METRIC_LEARNING_RATE, rate);
    if (!result.skipped)
        note(w, METRIC_STALENESS, (double)(result.number - read_at));
}

/* One turn of a worker: copy, act, judge, improve. */
static void update(a3c *p, worker *w) {
    int64_t steps = p->config.n_envs * p->config.n_steps;
    int64_t read_at = reini_hogwild_read(&p->shared, w->base.policy->store);
    reini_collector_run(w->base.collector, &w->times.seconds_env, &w->times.seconds_act);
    if (reini_collector_fault(w->base.collector) != REIN_OK) {
        w->failed = true;
        return;
    }
    double start = reini_seconds();
    reini_on_policy_estimate(&w->base, p->config.gae_lambda);
    int64_t before = atomic_fetch_add_explicit(&p->env_steps, steps, memory_order_relaxed);
    learn(p, w, read_at, (double)before / (double)p->context.total_steps);
    w->times.seconds_update += reini_seconds() - start;
}

/* The workers of one thread take turns; no thread waits for another. */
static void run_workers(void *user, int task, int thread) {
    a3c *p = user;
    for (int64_t k = 0; k < p->config.n_updates; k++)
        for (int64_t i = task; i < p->config.workers; i += p->tasks)
            if (!p->workers[i].failed)
                update(p, &p->workers[i]);
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

static void report_times(const a3c *p, reini_report *report) {
    for (int64_t i = 0; i < p->config.workers; i++) {
        const reini_report *times = &p->workers[i].times;
        report->seconds_env += times->seconds_env / p->tasks;
        report->seconds_act += times->seconds_act / p->tasks;
        report->seconds_update += times->seconds_update / p->tasks;
    }
}

/* episodes of all workers; the means are over each one's last hundred */
static void report_episodes(const a3c *p, reini_report *report) {
    double returns = 0, lengths = 0, weight = 0;
    for (int64_t i = 0; i < p->config.workers; i++) {
        const reini_episodes *e = reini_collector_episodes(p->workers[i].base.collector);
        double n = (double)(e->count < REINI_WINDOW ? e->count : REINI_WINDOW);
        report->episodes += e->count;
        if (n > 0) {
            returns += n * reini_episodes_mean_return(e);
            lengths += n * reini_episodes_mean_length(e);
        }
        weight += n;
    }
    report->return_mean = weight > 0 ? returns / weight : NAN;
    report->length_mean = weight > 0 ? lengths / weight : NAN;
}

static void report_learning(const a3c *p, reini_report *report) {
    for (int m = 0; m < METRICS; m++) {
        double sum = 0;
        int64_t count = 0;
        for (int64_t i = 0; i < p->config.workers; i++) {
            sum += p->workers[i].sum[m];
            count += p->workers[i].count[m];
        }
        report->metric[m] = count > 0 ? sum / (double)count : NAN;
    }
    for (int64_t i = 0; i < p->config.workers; i++) {
        reini_report own = {0};
        const reini_on_policy *base = &p->workers[i].base;
        reini_on_policy_account(base, reini_collector_episodes(base->collector), &own);
        report->skipped_updates += own.skipped_updates;
        report->diverged |= own.diverged;
    }
}

static void a3c_iterate(void *self, reini_report *report) {
    a3c *p = self;
    for (int64_t i = 0; i < p->config.workers; i++) {
        worker *w = &p->workers[i];
        w->times = (reini_report){0};
        for (int m = 0; m < METRICS; m++) {
            w->sum[m] = 0;
            w->count[m] = 0;
        }
    }
    rein_pool_run(p->context.pool, p->tasks, run_workers, p);
    for (int64_t i = 0; i < p->config.workers; i++)
        if (p->workers[i].failed) /* asked again here: the sentence belongs to the calling thread */
            report->failed = reini_collector_fault(p->workers[i].base.collector);
    report_times(p, report);
    report_episodes(p, report);
    report_learning(p, report);
    report->env_steps = atomic_load(&p->env_steps);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static reini_net_config net_of(const a3c_config *from) {
    reini_net_config copied = {0};
    REINI_COPY_FIELDS(REINI_NET_FIELDS)
    return copied;
}

static reini_on_policy_opts opts_of(const a3c_config *config) {
    return (reini_on_policy_opts){.algo = "a3c",
                                  .n_envs = config->n_envs,
                                  .n_steps = config->n_steps,
                                  .gamma = config->gamma,
                                  .critic = true,
                                  .net = net_of(config)};
}

static rein_status a3c_check(const void *config, const reini_context *context) {
    const a3c_config *c = config;
    reini_on_policy_opts opts = opts_of(c);
    if (c->norm_obs != REINI_NORM_NONE)
        return reini_fail(REIN_USAGE,
                          "norm_obs: the workers of a3c share no statistics of observations, expected "
                          "none; a2c standardises them");
    return reini_on_policy_check(&opts, context);
}

/* worker 0 has the run's own seed, so that one alone is A2C with as many environments */
static uint64_t seed_of(uint64_t seed, int64_t number) {
    uint32_t word[4];
    if (number == 0)
        return seed;
    rein_philox(seed, (uint64_t)number, 0x613363, word); /* "a3c" */
    return (uint64_t)word[1] << 32 | word[0];
}

static rein_status build_program(worker *w, double vf_coef) {
    const reini_rollout *r = reini_on_policy_rollout(&w->base);
    REINI_TRY(reini_part_begin(&w->part, &w->base, 0, r->T * r->N));
    w->ent_coef = rein_uniform(w->part.g, "ent_coef", 0);
    w->loss = rein_output(a3c_loss(w, vf_coef), "loss");
    int gradient = rein_gradient(w->loss, w->part.slot, NULL);
    REINI_TRY(reini_part_end(&w->part, &w->base));
    REINI_TRY(rein_store_new(w->base.policy->layout, REIN_F32, &w->grads));
    rein_exec_bind_gradient(w->part.exec, gradient, w->grads);
    return REIN_OK;
}

static rein_status make_worker(a3c *p, int64_t number) {
    worker *w = &p->workers[number];
    reini_on_policy_opts opts = opts_of(&p->config);
    reini_context context = p->context;
    context.pool = NULL; /* a worker is one thread */
    context.seed = seed_of(p->context.seed, number);
    REINI_TRY(reini_on_policy_init(&w->base, &opts, &context));
    w->scratch = reini_new(reini_hogwild_scratch());
    if (w->scratch == NULL)
        return reini_fail_memory(reini_hogwild_scratch(), "A3C");
    return build_program(w, p->config.vf_coef);
}

static rein_status a3c_fill(a3c *p) {
    static const int kinds[] = {REIN_OPTIM_RMSPROP,
                                REIN_OPTIM_ADAM}; /* in the order of the field's choices */
    const reini_context *context = &p->context;
    reini_net_config net = net_of(&p->config);
    rein_optim_config optim = rein_optim_config_default();
    optim.kind = kinds[p->config.optimizer];
    optim.eps = p->config.adam_eps;
    optim.max_grad_norm = p->config.max_grad_norm;
    int threads = rein_pool_threads(context->pool);
    p->tasks = threads < p->config.workers ? threads : (int)p->config.workers;
    p->workers = REINI_NEW_ARRAY(worker, (size_t)p->config.workers);
    if (p->workers == NULL)
        return reini_fail_memory((size_t)p->config.workers * sizeof(worker), "A3C");
    REINI_TRY(reini_net_new("a3c", context->env->id, &context->env->obs, &context->env->act, &net, true,
                            context->matmul, context->seed, &p->policy));
    REINI_TRY(reini_hogwild_init(&p->shared, &optim, p->policy->store));
    for (int64_t i = 0; i < p->config.workers; i++)
        REINI_TRY(make_worker(p, i));
    return REIN_OK;
}

static void a3c_destroy(void *self) {
    a3c *p = self;
    if (p == NULL)
        return;
    for (int64_t i = 0; p->workers != NULL && i < p->config.workers; i++) {
        reini_part_release(&p->workers[i].part);
        rein_store_free(p->workers[i].grads);
        reini_free(p->workers[i].scratch);
        reini_on_policy_release(&p->workers[i].base);
    }
    reini_free(p->workers);
    reini_hogwild_release(&p->shared);
    reini_net_free(p->policy);
    reini_free(p);
}

static rein_status a3c_create(const void *config, const reini_context *context, void **self) {
    a3c *p = REINI_NEW(a3c);
    if (p == NULL)
        return reini_fail_memory(sizeof *p, "A3C");
    p->config = *(const a3c_config *)config;
    p->context = *context;
    atomic_init(&p->env_steps, 0);
    rein_status status = a3c_fill(p);
    if (status != REIN_OK) {
        a3c_destroy(p);
        return status;
    }
    *self = p;
    return REIN_OK;
}

static rein_status a3c_visit(void *self, reini_archive *archive) {
    a3c *p = self;
    long long steps = atomic_load(&p->env_steps);
    REINI_TRY(reini_net_visit(p->policy, archive));
    REINI_TRY(reini_hogwild_visit(&p->shared, archive));
    REINI_TRY(reini_archive_bytes(archive, "a3c.env_steps", &steps, sizeof steps));
    atomic_store(&p->env_steps, steps);
    for (int64_t i = 0; i < p->config.workers; i++)
        REINI_TRY(reini_on_policy_visit(&p->workers[i].base, archive));
    return REIN_OK;
}

static void a3c_extend(void *self, int64_t total_steps) {
    ((a3c *)self)->context.total_steps = total_steps;
}

static rein_policy *a3c_policy(void *self) {
    return &((a3c *)self)->policy->base;
}

const reini_algo reini_algo_a3c = {
    .name = "a3c",
    .doc = "asynchronous advantage actor-critic: workers update shared parameters without waiting (not "
           "reproducible "
           "with several threads)",
    .family = REINI_ON_POLICY,
    .fields = a3c_fields,
    .n_fields = sizeof a3c_fields / sizeof *a3c_fields,
    .config_size = sizeof(a3c_config),
    .metrics = a3c_metrics,
    .n_metrics = METRICS,
    .key_metric = METRIC_ENTROPY,
    .check = a3c_check,
    .create = a3c_create,
    .destroy = a3c_destroy,
    .iterate = a3c_iterate,
    .visit = a3c_visit,
    .extend = a3c_extend,
    .policy = a3c_policy,
};
