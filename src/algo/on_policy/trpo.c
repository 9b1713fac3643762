/*
 * trpo.c - trust region policy optimization.
 *
 * J. Schulman, S. Levine, P. Moritz, M. Jordan, P. Abbeel: Trust Region Policy Optimization, ICML 2015 (arXiv
 * 1502.05477). Of all policies within a KL ball around the one that acted, take the one with the best surrogate:
 *
 *     maximise    L(theta) = E[ pi_theta(a|s) / pi_old(a|s) A ]                                          (eq. 14)
 *     subject to  E[ KL(pi_old(.|s) || pi_theta(.|s)) ] <= delta
 *
 * With g the gradient of L and F the Fisher matrix, both at theta_old (appendix C):
 *
 *     x = (F + damping)^-1 g             by conjugate gradients
 *     step = sqrt(2 delta / x'(F + damping)x) x      on the ball's border, were the KL quadratic
 *     theta = theta_old + shrink^j step  for the first j = 0, 1, ... that improves L and keeps the KL within delta;
 *                                        theta_old if there is none
 *
 * Then the value function is fitted to R_t = A_t + V_old(s_t) by minibatches of Adam. Advantages by generalised
 * advantage estimation (arXiv 1506.02438). Products with F are exact (rl/natural.c), over all states of the rollout or
 * every k-th (sub_sampling_factor).
 *
 * Symbols: delta target_kl, shrink line_search_shrinking_factor. Names are those of sb3-contrib.
 *
 * Where this differs:
 *   - from the paper: damping; advantages are normalised; the value function is fitted by Adam (the paper's code uses
 *     L-BFGS or none); the "single path" scheme only.
 *   - from sb3-contrib: the KL is KL(old || new), as in the paper, not KL(new || old), which has the same Fisher
 *     matrix; the observed KL may equal delta; an episode cut by the time limit is bootstrapped with V of its last
 *     observation in both.
 *   - actor and critic may not share layers: fitting V would move the policy outside the region.
 *   - statistics of observation and reward normalisation change between iterations only.
 */
#include <math.h>
#include <string.h>
#include "algo/on_policy/critic.h"
#include "rl/advantage.h"
#include "rl/natural.h"
#include "rl/pg_loss.h"

/* the learner's fields as the value function wants them */
#define TRPO_OPTIM_FIELDS(F, E)                                                                              \
    F(REAL, max_grad_norm, "0", 0, 1e9, "global gradient norm clip of the value function, 0 = off")          \
    E(optimizer, "adam", "adam|adamw|sgd|rmsprop", "optimizer of the value function")                        \
    F(REAL, adam_eps, "1e-5", 0, 1, "epsilon beside the root in Adam and RMSprop")                           \
    F(REAL, weight_decay, "0", 0, 10, "AdamW's decoupled decay, SGD's L2 term")                              \
    F(REAL, momentum, "0.9", 0, 1, "SGD's momentum")

#define TRPO_OWN_FIELDS(F, E)                                                                                \
    F(INT, n_envs, "2", 1, 65536, "N: environments stepped side by side")                                    \
    F(INT, n_steps, "1024", 1, 1048576, "T: steps of every environment in an iteration")                     \
    F(SCHEDULE, target_kl, "0.01", 0, 1e3, "delta: radius of the trust region")                              \
    F(INT, cg_max_steps, "15", 1, 10000, "steps of conjugate gradients")                                     \
    F(REAL, cg_damping, "0.1", 0, 1e6, "added to the Fisher matrix's diagonal")                              \
    F(REAL, line_search_shrinking_factor, "0.8", 1e-6, 0.999999, "the step shrinks by this from try to try") \
    F(INT, line_search_max_iter, "10", 1, 1000, "tries of the line search")                                  \
    F(INT, sub_sampling_factor, "1", 1, 1048576, "the policy learns from every k-th step")                   \
    F(INT, batch_size, "128", 1, 1e9, "steps in a minibatch of the value function")                          \
    F(INT, n_critic_updates, "10", 0, 10000, "passes of the value function over an iteration's steps")       \
    F(SCHEDULE, learning_rate, "1e-3", 0, 100, "step size of the value function's optimizer")                \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(REAL, gae_lambda, "0.95", 0, 1, "bias (0) against variance (1) of the advantage")                      \
    F(BOOL, normalize_advantage, "true", 0, 1, "advantages to mean 0, deviation 1")                          \
    F(BOOL, norm_reward, "false", 0, 1, "rewards divided by the deviation of the discounted return")
#define TRPO_FIELDS(F, E) TRPO_OWN_FIELDS(F, E) TRPO_OPTIM_FIELDS(F, E) REINI_NET_FIELDS(F, E)

typedef struct trpo_config {
    REIN_FIELDS_STRUCT(TRPO_FIELDS)
} trpo_config;

#define REIN_FIELD_OWNER trpo_config
static const rein_field trpo_fields[] = {REIN_FIELDS_TABLE(TRPO_FIELDS)};

/* metric, name of its column */
#define TRPO_METRICS(X)                                                                                      \
    X(SURROGATE, "train/surrogate_gain")                                                                     \
    X(KL, "train/kl")                                                                                        \
    X(STEP, "train/step_fraction")                                                                           \
    X(CG_RESIDUAL, "train/cg_residual")                                                                      \
    X(ENTROPY, "train/entropy")                                                                              \
    X(GRAD_NORM, "train/grad_norm")                                                                          \
    X(VALUE_LOSS, "train/value_loss")                                                                        \
    X(EXPLAINED_VARIANCE, "train/explained_variance")                                                        \
    X(LEARNING_RATE, "train/learning_rate")

enum {
#define X(name, column) METRIC_##name,
    TRPO_METRICS(X)
#undef X
        METRICS
};
static const char *const trpo_metrics[] = {
#define X(name, column) column,
    TRPO_METRICS(X)
#undef X
};

#define ADVANTAGE_EPSILON 1e-8
#define CG_TOLERANCE      1e-10
#define ACTOR             "actor,log_std"
#define ACTOR_DISCRETE    "actor"

/* The surrogate and the KL of the present parameters. */
typedef struct objective {
    reini_part part;
    rein_tensor *adv_mean, *adv_std; /* uniforms */
    rein_tensor *log_std;            /* static (act size) input of boxes: the old policy's */
    rein_tensor *surrogate, *kl, *entropy;
} objective;

typedef struct trpo {
    reini_on_policy base;
    trpo_config config;
    objective ascent, judge; /* with a gradient and without */
    reini_part fisher;       /* product = F direction */
    rein_store *gradient, *direction, *product;
    reini_critic critic;
    int64_t n;                            /* numbers in a store */
    double *start, *g, *x, *hx, *cg_work; /* (n): old parameters, gradient, step and its product; (3 x n) */
    float *old_log_std;                   /* (act size) */
    int32_t *chosen;                      /* steps the policy learns from */
    int64_t n_chosen;
} trpo;

/* ---- the objective ------------------------------------------------------------------------------------- */

/* the distribution that acted: logits or means at collection, the standard deviation of then */
static rein_dist old_dist(const trpo *p, objective *o, const reini_net_heads *now) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    const rein_space *act = &p->base.policy->base.act;
    rein_tensor *output = reini_batch_take(&o->part.batch, "output", REIN_F32, r->logits, r->output);
    if (act->kind != REIN_SPACE_BOX)
        return rein_dist_categorical(output, o->part.in.mask, now->dist.parts, act->n);
    o->log_std = rein_input(o->part.g, "log_std", REIN_F32, REIN_STATIC, 1, &act->size);
    return rein_dist_gaussian(output, o->log_std);
}

static void build_objective(trpo *p, objective *o) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    const reini_net *policy = p->base.policy;
    reini_batch *batch = &o->part.batch;
    o->adv_mean = rein_uniform(o->part.g, "adv_mean", 0);
    o->adv_std = rein_uniform(o->part.g, "adv_std", 1);
    rein_tensor *action = reini_batch_action(batch, policy, r);
    rein_tensor *logp_old = reini_batch_take(batch, "logp", REIN_F32, 1, r->logp);
    rein_tensor *adv = reini_batch_take(batch, "adv", REIN_F32, 1, r->adv);
    adv = rein_div(rein_sub(adv, o->adv_mean), o->adv_std);
    reini_net_heads now = reini_batch_heads(batch, policy, o->part.slot, r, true, false, &o->part.in);
    rein_dist old = old_dist(p, o, &now);
    reini_pg pg = reini_pg_plain(rein_dist_logp(&now.dist, action), logp_old, adv);
    o->surrogate = rein_output(rein_mean(pg.gain), "surrogate");
    o->kl = rein_output(rein_mean(rein_dist_kl(&old, &now.dist)), "kl");
    o->entropy = rein_output(rein_mean(rein_dist_entropy(&now.dist)), "entropy");
}

static reini_trial evaluate(const objective *o) {
    rein_exec_run(o->part.exec);
    return (reini_trial){rein_exec_scalar(o->part.exec, o->surrogate), rein_exec_scalar(o->part.exec, o->kl)};
}

static const char *actor_groups(const trpo *p) {
    return p->base.policy->base.act.kind == REIN_SPACE_BOX ? ACTOR : ACTOR_DISCRETE;
}

/* ---- the policy's step --------------------------------------------------------------------------------- */

static void to_doubles(double *out, const rein_store *from, int64_t n) {
    const float *x = rein_store_view(from);
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i];
}

/* out = (F + damping) x */
static void fisher_product(void *user, const double *x, double *out) {
    trpo *p = user;
    float *direction = rein_store_data(p->direction);
    for (int64_t i = 0; i < p->n; i++)
        direction[i] = (float)x[i];
    rein_exec_run(p->fisher.exec);
    to_doubles(out, p->product, p->n);
    for (int64_t i = 0; i < p->n; i++)
        out[i] += p->config.cg_damping * x[i];
}

static void write_parameters(trpo *p, double fraction) {
    float *to = rein_store_data(p->base.policy->store);
    for (int64_t i = 0; i < p->n; i++)
        to[i] = (float)(p->start[i] + fraction * p->x[i]);
}

static reini_trial attempt(void *user, double fraction) {
    trpo *p = user;
    write_parameters(p, fraction);
    return evaluate(&p->judge);
}

/* x becomes the step to the border of the trust region; false when there is none */
static bool find_step(trpo *p, double radius, double *metric) {
    reini_cg cg = {.product = fisher_product,
                   .user = p,
                   .n = p->n,
                   .max_steps = p->config.cg_max_steps,
                   .tolerance = CG_TOLERANCE,
                   .work = p->cg_work};
    metric[METRIC_CG_RESIDUAL] = reini_conjugate_gradient(&cg, p->g, p->x).residual;
    fisher_product(p, p->x, p->hx);
    double curvature = reini_dot(p->x, p->hx, p->n), scale = sqrt(2 * radius / curvature);
    if (isnan(metric[METRIC_CG_RESIDUAL]) || !(curvature > 0) || !isfinite(scale))
        return false;
    for (int64_t i = 0; i < p->n; i++)
        p->x[i] *= scale;
    return true;
}

static void search(trpo *p, double radius, double surrogate, double *metric) {
    reini_line_search rule = {.max_kl = radius,
                              .shrink = p->config.line_search_shrinking_factor,
                              .max_iter = p->config.line_search_max_iter,
                              .attempt = attempt,
                              .user = p};
    reini_trial found;
    to_doubles(p->start, p->base.policy->store, p->n);
    double fraction = reini_line_search_run(&rule, surrogate, &found);
    if (fraction == 0)
        write_parameters(p, 0);
    metric[METRIC_STEP] = fraction;
    metric[METRIC_SURROGATE] = fraction > 0 ? found.objective - surrogate : 0;
    metric[METRIC_KL] = fraction > 0 ? found.kl : 0;
}

/* One natural-gradient step within the trust region; what is not finite moves nothing. */
static void improve_policy(trpo *p, double radius, double *metric) {
    reini_trial now = evaluate(&p->ascent);
    to_doubles(p->g, p->gradient, p->n);
    double norm = sqrt(reini_dot(p->g, p->g, p->n));
    metric[METRIC_ENTROPY] = rein_exec_scalar(p->ascent.part.exec, p->ascent.entropy);
    metric[METRIC_GRAD_NORM] = norm;
    metric[METRIC_STEP] = metric[METRIC_SURROGATE] = metric[METRIC_KL] = 0;
    bool finite = isfinite(now.objective) && isfinite(norm);
    reini_on_policy_note(&p->base, !finite);
    if (finite && norm > 0 && find_step(p, radius, metric))
        search(p, radius, now.objective, metric);
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

static void set_uniforms(trpo *p) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    double mean = 0, std = 1;
    if (p->config.normalize_advantage) {
        reini_mean_std_at(r->adv, p->chosen, p->n_chosen, &mean, &std);
        std += ADVANTAGE_EPSILON;
    }
    objective *both[] = {&p->ascent, &p->judge};
    for (int i = 0; i < 2; i++) {
        rein_exec_set(both[i]->part.exec, both[i]->adv_mean, mean);
        rein_exec_set(both[i]->part.exec, both[i]->adv_std, std);
    }
}

/* the rollout holds the means that acted; the deviation is one for all steps */
static void keep_log_std(trpo *p) {
    if (p->ascent.log_std == NULL)
        return;
    const reini_net *policy = p->base.policy;
    rein_param_info info = rein_layout_at(policy->layout, rein_layout_find(policy->layout, "log_std"));
    const float *now = (const float *)rein_store_view(policy->store) + info.offset;
    memcpy(p->old_log_std, now, (size_t)info.count * sizeof(float));
}

static void learn(trpo *p, double *metric) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    double progress = reini_on_policy_progress(&p->base);
    metric[METRIC_LEARNING_RATE] = rein_schedule_at(&p->config.learning_rate, progress);
    set_uniforms(p);
    keep_log_std(p);
    improve_policy(p, rein_schedule_at(&p->config.target_kl, progress), metric);
    metric[METRIC_VALUE_LOSS] =
        reini_critic_fit(&p->critic, r->T * r->N, p->config.n_critic_updates, metric[METRIC_LEARNING_RATE]);
    metric[METRIC_EXPLAINED_VARIANCE] = reini_explained_variance(r->value, r->ret, r->T * r->N);
}

/* The algorithm: act, judge, improve. */
static void trpo_iterate(void *self, reini_report *report) {
    trpo *p = self;
    if (!reini_on_policy_gather(&p->base, report))
        return;
    reini_on_policy_estimate(&p->base, p->config.gae_lambda);
    learn(p, report->metric);
    reini_on_policy_finish(&p->base, report);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static reini_on_policy_opts opts_of(const trpo_config *from) {
    reini_net_config copied = {0};
    REINI_COPY_FIELDS(REINI_NET_FIELDS)
    return (reini_on_policy_opts){.algo = "trpo",
                                  .n_envs = from->n_envs,
                                  .n_steps = from->n_steps,
                                  .gamma = from->gamma,
                                  .critic = true,
                                  .output = true,
                                  .norm_reward = from->norm_reward,
                                  .net = copied};
}

static reini_optim_settings optim_of(const trpo_config *from) {
    reini_optim_settings copied;
    REINI_COPY_FIELDS(REINI_OPTIM_FIELDS)
    return copied;
}

static rein_status trpo_check(const void *config, const reini_context *context) {
    const trpo_config *c = config;
    reini_on_policy_opts opts = opts_of(c);
    REINI_TRY(reini_on_policy_check(&opts, context));
    if (c->shared)
        return reini_fail(REIN_USAGE, "shared: trpo keeps actor and critic apart, because fitting the values "
                                      "would move the policy out of its trust region; a2c and ppo can share");
    int64_t n = c->n_envs * c->n_steps;
    if (c->sub_sampling_factor > n)
        return reini_fail(REIN_USAGE, "sub_sampling_factor: %lld leaves no step of n_envs x n_steps = %lld",
                          (long long)c->sub_sampling_factor, (long long)n);
    if (c->batch_size > n)
        return reini_fail(REIN_USAGE, "batch_size: %lld is larger than n_envs x n_steps = %lld x %lld = %lld",
                          (long long)c->batch_size, (long long)c->n_envs, (long long)c->n_steps,
                          (long long)n);
    return REIN_OK;
}

/* without sub-sampling the arrays are read in place */
static rein_status begin_policy_part(const trpo *p, reini_part *part) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    return reini_part_begin(part, &p->base, p->config.sub_sampling_factor > 1 ? p->n_chosen : 0, r->T * r->N);
}

static rein_status end_policy_part(const trpo *p, reini_part *part) {
    REINI_TRY(reini_part_end(part, &p->base));
    if (part->batch.index != NULL)
        rein_exec_bind(part->exec, part->batch.index, p->chosen, 0);
    return REIN_OK;
}

static rein_status make_objective(trpo *p, objective *o, bool with_gradient) {
    int gradient = 0;
    REINI_TRY(begin_policy_part(p, &o->part));
    build_objective(p, o);
    if (with_gradient)
        gradient = rein_gradient(o->surrogate, o->part.slot, actor_groups(p));
    REINI_TRY(end_policy_part(p, &o->part));
    if (with_gradient)
        rein_exec_bind_gradient(o->part.exec, gradient, p->gradient);
    if (o->log_std != NULL)
        rein_exec_bind(o->part.exec, o->log_std, p->old_log_std, 0);
    return REIN_OK;
}

static rein_status make_fisher(trpo *p) {
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    const reini_net *policy = p->base.policy;
    reini_part *part = &p->fisher;
    REINI_TRY(begin_policy_part(p, part));
    int direction = rein_slot(part->g, policy->layout);
    reini_net_heads now = reini_batch_heads(&part->batch, policy, part->slot, r, true, false, &part->in);
    rein_tensor *form = rein_output(reini_fisher_form(&now.dist, now.output, part->slot, direction), "form");
    int product = rein_gradient(form, part->slot, actor_groups(p));
    REINI_TRY(end_policy_part(p, part));
    rein_exec_bind_store(part->exec, direction, p->direction);
    rein_exec_bind_gradient(part->exec, product, p->product);
    return REIN_OK;
}

static rein_status allocate(trpo *p) {
    rein_layout *layout = p->base.policy->layout;
    rein_store **stores[] = {&p->gradient, &p->direction, &p->product};
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        REINI_TRY(rein_store_new(layout, REIN_F32, stores[i]));
    p->n = rein_store_size(p->base.policy->store);
    double **vectors[] = {&p->start, &p->g, &p->x, &p->hx, &p->cg_work};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        size_t count = (size_t)p->n * (vectors[i] == &p->cg_work ? 3 : 1);
        if ((*vectors[i] = REINI_NEW_ARRAY(double, count)) == NULL)
            return reini_fail_memory(count * sizeof(double), "TRPO");
    }
    size_t steps = (size_t)(p->config.n_envs * p->config.n_steps);
    size_t factor = (size_t)p->config.sub_sampling_factor;
    p->n_chosen = (int64_t)((steps + factor - 1) / factor);
    p->chosen = REINI_NEW_ARRAY(int32_t, (size_t)p->n_chosen);
    p->old_log_std = REINI_NEW_ARRAY(float, (size_t)p->base.policy->base.act.size);
    if (p->chosen == NULL || p->old_log_std == NULL)
        return reini_fail_memory(steps * 4, "TRPO");
    for (size_t i = 0; i < (size_t)p->n_chosen; i++)
        p->chosen[i] = (int32_t)(i * factor);
    return REIN_OK;
}

static rein_status trpo_fill(trpo *p, const reini_context *context) {
    reini_on_policy_opts opts = opts_of(&p->config);
    reini_optim_settings optim = optim_of(&p->config);
    REINI_TRY(reini_on_policy_init(&p->base, &opts, context));
    REINI_TRY(allocate(p));
    REINI_TRY(make_objective(p, &p->ascent, true));
    REINI_TRY(make_objective(p, &p->judge, false));
    REINI_TRY(make_fisher(p));
    const reini_rollout *r = reini_on_policy_rollout(&p->base);
    return reini_critic_init(&p->critic, &p->base, &optim, r, r->T * r->N, p->config.batch_size);
}

static void trpo_destroy(void *self) {
    trpo *p = self;
    if (p == NULL)
        return;
    reini_part *parts[] = {&p->ascent.part, &p->judge.part, &p->fisher};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        reini_part_release(parts[i]);
    rein_store *stores[] = {p->gradient, p->direction, p->product};
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        rein_store_free(stores[i]);
    void *arrays[] = {p->start, p->g, p->x, p->hx, p->cg_work, p->old_log_std, p->chosen};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        reini_free(arrays[i]);
    reini_critic_release(&p->critic);
    reini_on_policy_release(&p->base);
    reini_free(p);
}

static rein_status trpo_create(const void *config, const reini_context *context, void **self) {
    trpo *p = REINI_NEW(trpo);
    if (p == NULL)
        return reini_fail_memory(sizeof *p, "TRPO");
    p->config = *(const trpo_config *)config;
    rein_status status = trpo_fill(p, context);
    if (status != REIN_OK) {
        trpo_destroy(p);
        return status;
    }
    *self = p;
    return REIN_OK;
}

static rein_status trpo_visit(void *self, reini_archive *archive) {
    trpo *p = self;
    REINI_TRY(reini_on_policy_visit(&p->base, archive));
    return reini_critic_visit(&p->critic, "trpo.optimizer", archive);
}

static void trpo_extend(void *self, int64_t total_steps) {
    ((trpo *)self)->base.context.total_steps = total_steps;
}

static rein_policy *trpo_policy(void *self) {
    return &((trpo *)self)->base.policy->base;
}

const reini_algo reini_algo_trpo = {
    .name = "trpo",
    .doc =
        "trust region policy optimization: a natural-gradient step with a bound on the KL and a line search",
    .family = REINI_ON_POLICY,
    .fields = trpo_fields,
    .n_fields = sizeof trpo_fields / sizeof *trpo_fields,
    .config_size = sizeof(trpo_config),
    .metrics = trpo_metrics,
    .n_metrics = METRICS,
    .key_metric = METRIC_KL,
    .check = trpo_check,
    .create = trpo_create,
    .destroy = trpo_destroy,
    .iterate = trpo_iterate,
    .visit = trpo_visit,
    .extend = trpo_extend,
    .policy = trpo_policy,
};
