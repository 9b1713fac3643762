/*
 * constraint.c - limits on costs and on the distance from a reference policy, for methods with advantages and a loss.
 */
#include "algo/on_policy/constraint.h"

#include <math.h>
#include <string.h>

/* ---- construction -------------------------------------------------------------------------------------- */

rein_status reini_constraint_check(const reini_constraint_settings *s, const rein_env_type *env) {
    reini_limits limits;
    bool has_reference = strcmp(s->reference, "none") != 0;
    REINI_TRY(reini_limits_parse(s->cost_limit, env, &limits));
    if (has_reference && s->reference_coef == 0 && isinf(s->reference_kl))
        return reini_fail(REIN_USAGE,
                          "reference: a policy is given but neither a price (reference_coef) nor a "
                          "limit (reference_kl) on the distance from it");
    if (!has_reference && (s->reference_coef > 0 || isfinite(s->reference_kl)))
        return reini_fail(
            REIN_USAGE, "%s: there is no reference to be near; set reference to initial or to a policy file",
            s->reference_coef > 0 ? "reference_coef" : "reference_kl");
    return REIN_OK;
}

static rein_status init_costs(reini_constraint *c, reini_on_policy *base, const reini_optim_settings *optim,
                              int64_t batch_size) {
    const reini_constraint_settings *s = &c->settings;
    reini_costs_opts opts = {.limits = c->limits,
                             .gamma = s->cost_gamma,
                             .lambda = s->cost_gae_lambda,
                             .seed = base->context.seed,
                             .pool = base->context.pool};
    for (int i = 0; i < c->limits.n; i++)
        reini_multiplier_init(&c->price[i], s->multiplier_init);
    REINI_TRY(reini_costs_init(&c->costs, &opts, base->policy, reini_on_policy_rollout(base)));
    return reini_critic_init_costs(&c->critic, base, optim, &c->costs, batch_size);
}

rein_status reini_constraint_init(reini_constraint *c, const reini_constraint_settings *from,
                                  reini_on_policy *base, const reini_optim_settings *optim,
                                  int64_t batch_size) {
    reini_multiplier_rule copied;
    REINI_COPY_FIELDS(REINI_MULTIPLIER_FIELDS)
    c->settings = *from;
    c->rule = copied;
    c->distance_rule = (reini_multiplier_rule){.multiplier = REINI_MULTIPLIER_GRADIENT,
                                               .multiplier_lr = from->reference_lr,
                                               .multiplier_max = from->multiplier_max};
    REINI_TRY(reini_limits_parse(from->cost_limit, base->context.env, &c->limits));
    if (c->limits.n > 0)
        REINI_TRY(init_costs(c, base, optim, batch_size));
    reini_multiplier_init(&c->distance, from->reference_coef);
    return reini_reference_init(&c->reference, from->reference, base->policy);
}

void reini_constraint_release(reini_constraint *c) {
    reini_critic_release(&c->critic);
    reini_costs_release(&c->costs);
    reini_reference_release(&c->reference);
}

rein_status reini_constraint_visit(reini_constraint *c, reini_archive *archive) {
    if (c->limits.n > 0) {
        REINI_TRY(reini_costs_visit(&c->costs, archive));
        REINI_TRY(reini_critic_visit(&c->critic, "costs.optimizer", "costs.shuffles", archive));
        REINI_TRY(reini_multiplier_visit(c->price, REIN_COSTS_MAX, "costs.multipliers", archive));
    }
    if (c->reference.shape == NULL)
        return REIN_OK;
    REINI_TRY(reini_multiplier_visit(&c->distance, 1, "reference.multiplier", archive));
    return reini_reference_visit(&c->reference, archive);
}

/* ---- an iteration -------------------------------------------------------------------------------------- */

void reini_constraint_estimate(reini_constraint *c, const reini_net *policy, rein_exec *exec) {
    double price[REIN_COSTS_MAX];
    reini_reference_take(&c->reference, policy);
    if (c->beta != NULL)
        rein_exec_set(exec, c->beta, c->distance.price);
    if (c->limits.n == 0)
        return;
    reini_costs_estimate(&c->costs);
    for (int i = 0; i < c->limits.n; i++)
        price[i] = reini_multiplier_update(&c->price[i], &c->rule, c->costs.episode[i], c->limits.at[i]);
    reini_costs_price(&c->costs, price);
}

rein_tensor *reini_constraint_loss(reini_constraint *c, rein_tensor *loss, const reini_net_inputs *in,
                                   const rein_dist *now) {
    if (c->reference.shape == NULL)
        return loss;
    c->beta = rein_uniform(rein_tensor_graph(in->obs), "beta", c->distance.price);
    c->kl = rein_output(rein_mean(reini_reference_kl(&c->reference, in, now)), "reference_kl");
    return rein_add(loss, rein_mul(c->beta, c->kl));
}

void reini_constraint_bind(reini_constraint *c, rein_exec *exec) {
    if (c->reference.shape != NULL)
        reini_reference_bind(&c->reference, exec);
}

void reini_constraint_learn(reini_constraint *c, double kl, int64_t passes, double learning_rate) {
    const reini_rollout *r = c->costs.rollout;
    if (c->limits.n > 0)
        reini_critic_fit(&c->critic, r->T * r->N, passes, learning_rate);
    if (c->reference.shape != NULL && isfinite(c->settings.reference_kl))
        reini_multiplier_update(&c->distance, &c->distance_rule, kl / c->settings.reference_kl, 1);
}

void reini_constraint_metrics(const reini_constraint *c, double *metric) {
    for (int i = 0; i < c->limits.n; i++) {
        metric[2 * i] = c->costs.episode[i];
        metric[2 * i + 1] = c->price[i].price;
    }
}
