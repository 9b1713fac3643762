/*
 * trust_region.c - one step within a trust region: graphs, vectors and the line search.
 */
#include "algo/on_policy/trust_region.h"

#include <math.h>
#include <string.h>
#include "rl/advantage.h"
#include "rl/pg_loss.h"

#define ADVANTAGE_EPSILON 1e-8
#define CG_TOLERANCE      1e-10
#define ACTOR             "actor,log_std"
#define ACTOR_DISCRETE    "actor"

/* ---- the objective ------------------------------------------------------------------------------------- */

/* the distribution that acted: logits or means at collection, the standard deviation of then */
static rein_dist old_dist(const reini_trust *t, reini_surrogate *o, const reini_net_heads *now) {
    const reini_rollout *r = reini_on_policy_rollout(&t->base);
    const rein_space *act = &t->base.policy->base.act;
    rein_tensor *output = reini_batch_take(&o->part.batch, "output", REIN_F32, r->logits, r->output);
    if (act->kind != REIN_SPACE_BOX)
        return rein_dist_categorical(output, o->part.in.mask, now->dist.parts, act->n);
    o->log_std = rein_input(o->part.g, "log_std", REIN_F32, REIN_STATIC, 1, &act->size);
    return rein_dist_gaussian(output, o->log_std);
}

/* E[ratio (A_i - mean)] */
static void build_costs(reini_trust *t, reini_surrogate *o, rein_tensor *ratio) {
    for (int i = 0; t->costs != NULL && i < t->costs->limits.n; i++) {
        rein_tensor *adv =
            reini_batch_take(&o->part.batch, "cost_adv", REIN_F32, 1, reini_costs_adv(t->costs, i));
        o->cost_mean[i] = rein_uniform(o->part.g, "cost_mean", 0);
        o->cost[i] =
            rein_output(rein_mean(rein_mul(ratio, rein_sub(adv, o->cost_mean[i]))), "cost_surrogate");
    }
}

static void build_objective(reini_trust *t, reini_surrogate *o) {
    const reini_rollout *r = reini_on_policy_rollout(&t->base);
    const reini_net *policy = t->base.policy;
    reini_batch *batch = &o->part.batch;
    o->adv_mean = rein_uniform(o->part.g, "adv_mean", 0);
    o->adv_std = rein_uniform(o->part.g, "adv_std", 1);
    rein_tensor *action = reini_batch_action(batch, policy, r);
    rein_tensor *logp_old = reini_batch_take(batch, "logp", REIN_F32, 1, r->logp);
    rein_tensor *adv = reini_batch_take(batch, "adv", REIN_F32, 1, r->adv);
    adv = rein_div(rein_sub(adv, o->adv_mean), o->adv_std);
    reini_net_heads now = reini_batch_heads(batch, policy, o->part.slot, r, true, false, &o->part.in);
    rein_dist old = old_dist(t, o, &now);
    reini_pg pg = reini_pg_plain(rein_dist_logp(&now.dist, action), logp_old, adv);
    build_costs(t, o, pg.ratio);
    o->surrogate = rein_output(rein_mean(pg.gain), "surrogate");
    o->kl = rein_output(rein_mean(rein_dist_kl(&old, &now.dist)), "kl");
    o->entropy = rein_output(rein_mean(rein_dist_entropy(&now.dist)), "entropy");
}

reini_trial reini_trust_evaluate(const reini_surrogate *o) {
    rein_exec_run(o->part.exec);
    return (reini_trial){.objective = rein_exec_scalar(o->part.exec, o->surrogate),
                         .kl = rein_exec_scalar(o->part.exec, o->kl)};
}

static const char *actor_groups(const reini_trust *t) {
    return t->base.policy->base.act.kind == REIN_SPACE_BOX ? ACTOR : ACTOR_DISCRETE;
}

/* ---- the step ------------------------------------------------------------------------------------------ */

void reini_trust_doubles(double *out, const rein_store *from, int64_t n) {
    const float *x = rein_store_view(from);
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i];
}

/* out = (F + damping) x */
void reini_trust_product(void *user, const double *x, double *out) {
    reini_trust *t = user;
    float *direction = rein_store_data(t->direction);
    for (int64_t i = 0; i < t->n; i++)
        direction[i] = (float)x[i];
    rein_exec_run(t->fisher.exec);
    reini_trust_doubles(out, t->product, t->n);
    for (int64_t i = 0; i < t->n; i++)
        out[i] += t->config.cg_damping * x[i];
}

void reini_trust_write(reini_trust *t, double fraction) {
    float *to = rein_store_data(t->base.policy->store);
    for (int64_t i = 0; i < t->n; i++)
        to[i] = (float)(t->start[i] + fraction * t->x[i]);
}

reini_trial reini_trust_attempt(void *user, double fraction) {
    reini_trust *t = user;
    reini_trust_write(t, fraction);
    return reini_trust_evaluate(&t->judge);
}

double reini_trust_invert(reini_trust *t, const double *b, double *x) {
    reini_cg cg = {.product = reini_trust_product,
                   .user = t,
                   .n = t->n,
                   .max_steps = t->config.cg_max_steps,
                   .tolerance = CG_TOLERANCE,
                   .work = t->cg_work};
    return reini_conjugate_gradient(&cg, b, x).residual;
}

bool reini_trust_ascend(reini_trust *t, reini_trial *now, double *metric) {
    *now = reini_trust_evaluate(&t->ascent);
    reini_trust_doubles(t->g, t->gradient, t->n);
    double norm = sqrt(reini_dot(t->g, t->g, t->n));
    metric[REINI_TRUST_ENTROPY] = rein_exec_scalar(t->ascent.part.exec, t->ascent.entropy);
    metric[REINI_TRUST_GRAD_NORM] = norm;
    metric[REINI_TRUST_STEP] = metric[REINI_TRUST_SURROGATE] = metric[REINI_TRUST_KL] = 0;
    bool finite = isfinite(now->objective) && isfinite(norm);
    reini_on_policy_note(&t->base, !finite);
    return finite;
}

void reini_trust_search(reini_trust *t, double radius, double objective,
                        reini_trial (*attempt)(void *user, double fraction), void *user, double *metric) {
    reini_line_search rule = {.max_kl = radius,
                              .shrink = t->config.line_search_shrinking_factor,
                              .max_iter = t->config.line_search_max_iter,
                              .attempt = attempt,
                              .user = user};
    reini_trial found;
    double before = rein_exec_scalar(t->ascent.part.exec, t->ascent.surrogate);
    reini_trust_doubles(t->start, t->base.policy->store, t->n);
    double fraction = reini_line_search_run(&rule, objective, &found);
    if (fraction == 0)
        reini_trust_write(t, 0);
    metric[REINI_TRUST_STEP] = fraction;
    metric[REINI_TRUST_SURROGATE] = fraction > 0 ? found.objective - before : 0;
    metric[REINI_TRUST_KL] = fraction > 0 ? found.kl : 0;
}

/* ---- before and after it ------------------------------------------------------------------------------- */

static void set_uniforms(reini_trust *t) {
    const reini_rollout *r = reini_on_policy_rollout(&t->base);
    double mean = 0, std = 1, cost_mean, unused;
    if (t->config.normalize_advantage) {
        reini_mean_std_at(r->adv, t->chosen, t->n_chosen, &mean, &std);
        std += ADVANTAGE_EPSILON;
    }
    reini_surrogate *both[] = {&t->ascent, &t->judge};
    for (int i = 0; i < 2; i++) {
        rein_exec_set(both[i]->part.exec, both[i]->adv_mean, mean);
        rein_exec_set(both[i]->part.exec, both[i]->adv_std, std);
    }
    for (int i = 0; t->costs != NULL && i < t->costs->limits.n; i++) {
        reini_mean_std_at(reini_costs_adv(t->costs, i), t->chosen, t->n_chosen, &cost_mean, &unused);
        for (int k = 0; k < 2; k++)
            rein_exec_set(both[k]->part.exec, both[k]->cost_mean[i], cost_mean);
    }
}

/* the rollout holds the means that acted; the deviation is one for all steps */
static void keep_log_std(reini_trust *t) {
    if (t->ascent.log_std == NULL)
        return;
    const reini_net *policy = t->base.policy;
    rein_param_info info = rein_layout_at(policy->layout, rein_layout_find(policy->layout, "log_std"));
    const float *now = (const float *)rein_store_view(policy->store) + info.offset;
    memcpy(t->old_log_std, now, (size_t)info.count * sizeof(float));
}

void reini_trust_prepare(reini_trust *t) {
    set_uniforms(t);
    keep_log_std(t);
}

void reini_trust_fit(reini_trust *t, double *metric) {
    const reini_rollout *r = reini_on_policy_rollout(&t->base);
    double rate = rein_schedule_at(&t->config.learning_rate, reini_on_policy_progress(&t->base));
    metric[REINI_TRUST_LEARNING_RATE] = rate;
    metric[REINI_TRUST_VALUE_LOSS] =
        reini_critic_fit(&t->critic, r->T * r->N, t->config.n_critic_updates, rate);
    metric[REINI_TRUST_EXPLAINED_VARIANCE] = reini_explained_variance(r->value, r->ret, r->T * r->N);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static reini_on_policy_opts opts_of(const char *algo, const reini_trust_config *from, bool costs) {
    reini_net_config copied = {0};
    REINI_COPY_FIELDS(REINI_NET_FIELDS)
    return (reini_on_policy_opts){.algo = algo,
                                  .n_envs = from->n_envs,
                                  .n_steps = from->n_steps,
                                  .gamma = from->gamma,
                                  .critic = true,
                                  .output = true,
                                  .norm_reward = from->norm_reward,
                                  .costs = costs,
                                  .net = copied};
}

reini_optim_settings reini_trust_optim(const reini_trust_config *from) {
    reini_optim_settings copied;
    REINI_COPY_FIELDS(REINI_OPTIM_FIELDS)
    return copied;
}

rein_status reini_trust_check(const char *algo, const reini_trust_config *c, const reini_context *context) {
    reini_on_policy_opts opts = opts_of(algo, c, false);
    REINI_TRY(reini_on_policy_check(&opts, context));
    if (c->shared)
        return reini_fail(REIN_USAGE,
                          "shared: %s keeps actor and critic apart, because fitting the values "
                          "would move the policy out of its trust region; a2c and ppo can share",
                          algo);
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
static rein_status begin_policy_part(const reini_trust *t, reini_part *part) {
    const reini_rollout *r = reini_on_policy_rollout(&t->base);
    return reini_part_begin(part, &t->base, t->config.sub_sampling_factor > 1 ? t->n_chosen : 0, r->T * r->N);
}

static rein_status end_policy_part(const reini_trust *t, reini_part *part) {
    REINI_TRY(reini_part_end(part, &t->base));
    if (part->batch.index != NULL)
        rein_exec_bind(part->exec, part->batch.index, t->chosen, 0);
    return REIN_OK;
}

static rein_status make_objective(reini_trust *t, reini_surrogate *o, bool with_gradient) {
    int gradient = 0, of_cost[REIN_COSTS_MAX], n_costs = t->costs != NULL ? t->costs->limits.n : 0;
    REINI_TRY(begin_policy_part(t, &o->part));
    build_objective(t, o);
    if (with_gradient)
        gradient = rein_gradient(o->surrogate, o->part.slot, actor_groups(t));
    for (int i = 0; with_gradient && i < n_costs; i++)
        of_cost[i] = rein_gradient(o->cost[i], o->part.slot, actor_groups(t));
    REINI_TRY(end_policy_part(t, &o->part));
    if (with_gradient)
        rein_exec_bind_gradient(o->part.exec, gradient, t->gradient);
    for (int i = 0; with_gradient && i < n_costs; i++)
        rein_exec_bind_gradient(o->part.exec, of_cost[i], t->cost_gradient[i]);
    if (o->log_std != NULL)
        rein_exec_bind(o->part.exec, o->log_std, t->old_log_std, 0);
    return REIN_OK;
}

static rein_status make_fisher(reini_trust *t) {
    const reini_rollout *r = reini_on_policy_rollout(&t->base);
    const reini_net *policy = t->base.policy;
    reini_part *part = &t->fisher;
    REINI_TRY(begin_policy_part(t, part));
    int direction = rein_slot(part->g, policy->layout);
    reini_net_heads now = reini_batch_heads(&part->batch, policy, part->slot, r, true, false, &part->in);
    rein_tensor *form = rein_output(reini_fisher_form(&now.dist, now.output, part->slot, direction), "form");
    int product = rein_gradient(form, part->slot, actor_groups(t));
    REINI_TRY(end_policy_part(t, part));
    rein_exec_bind_store(part->exec, direction, t->direction);
    rein_exec_bind_gradient(part->exec, product, t->product);
    return REIN_OK;
}

static rein_status allocate(reini_trust *t) {
    rein_layout *layout = t->base.policy->layout;
    rein_store **stores[] = {&t->gradient, &t->direction, &t->product};
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        REINI_TRY(rein_store_new(layout, REIN_F32, stores[i]));
    t->n = rein_store_size(t->base.policy->store);
    double **vectors[] = {&t->start, &t->g, &t->x, &t->hx, &t->cg_work};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        size_t count = (size_t)t->n * (vectors[i] == &t->cg_work ? 3 : 1);
        if ((*vectors[i] = REINI_NEW_ARRAY(double, count)) == NULL)
            return reini_fail_memory(count * sizeof(double), "a trust region");
    }
    size_t steps = (size_t)(t->config.n_envs * t->config.n_steps);
    size_t factor = (size_t)t->config.sub_sampling_factor;
    t->n_chosen = (int64_t)((steps + factor - 1) / factor);
    t->chosen = REINI_NEW_ARRAY(int32_t, (size_t)t->n_chosen);
    t->old_log_std = REINI_NEW_ARRAY(float, (size_t)t->base.policy->base.act.size);
    if (t->chosen == NULL || t->old_log_std == NULL)
        return reini_fail_memory(steps * 4, "a trust region");
    for (size_t i = 0; i < (size_t)t->n_chosen; i++)
        t->chosen[i] = (int32_t)(i * factor);
    return REIN_OK;
}

rein_status reini_trust_init(reini_trust *t, const char *algo, const reini_trust_config *config, bool costs,
                             const reini_context *context) {
    reini_on_policy_opts opts = opts_of(algo, config, costs);
    t->config = *config;
    REINI_TRY(reini_on_policy_init(&t->base, &opts, context));
    return allocate(t);
}

rein_status reini_trust_build(reini_trust *t, const reini_costs *costs) {
    reini_optim_settings optim = reini_trust_optim(&t->config);
    const reini_rollout *r = reini_on_policy_rollout(&t->base);
    t->costs = costs;
    for (int i = 0; costs != NULL && i < costs->limits.n; i++)
        REINI_TRY(rein_store_new(t->base.policy->layout, REIN_F32, &t->cost_gradient[i]));
    REINI_TRY(make_objective(t, &t->ascent, true));
    REINI_TRY(make_objective(t, &t->judge, false));
    REINI_TRY(make_fisher(t));
    return reini_critic_init(&t->critic, &t->base, &optim, r, r->T * r->N, t->config.batch_size);
}

void reini_trust_release(reini_trust *t) {
    reini_part *parts[] = {&t->ascent.part, &t->judge.part, &t->fisher};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        reini_part_release(parts[i]);
    rein_store *stores[] = {t->gradient, t->direction, t->product};
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        rein_store_free(stores[i]);
    for (int i = 0; i < REIN_COSTS_MAX; i++)
        rein_store_free(t->cost_gradient[i]);
    void *arrays[] = {t->start, t->g, t->x, t->hx, t->cg_work, t->old_log_std, t->chosen};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        reini_free(arrays[i]);
    reini_critic_release(&t->critic);
    reini_on_policy_release(&t->base);
}

rein_status reini_trust_visit(reini_trust *t, const char *optimizer, reini_archive *archive) {
    REINI_TRY(reini_on_policy_visit(&t->base, archive));
    return reini_critic_visit(&t->critic, optimizer, "critic.shuffles", archive);
}
