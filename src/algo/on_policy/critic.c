/*
 * critic.c - minibatch regression of value functions.
 */
#include "algo/on_policy/critic.h"

#include <math.h>
#include "rl/shuffle.h"

enum { SHUFFLE_STREAM = 0x435249, COST_STREAM = 0x435354 };

static rein_status build(reini_critic *c, const reini_rollout *r, int64_t steps) {
    reini_part *part = &c->part;
    const reini_net *policy = c->base->policy;
    REINI_TRY(reini_part_begin(part, c->base, c->batch_size, steps));
    rein_tensor *ret = reini_batch_take(&part->batch, "ret", REIN_F32, 1, r->ret);
    reini_net_heads now = reini_batch_heads(&part->batch, policy, part->slot, r, false, true, &part->in);
    c->loss = rein_output(rein_mean(rein_square(rein_sub(ret, now.value))), "value_loss");
    int gradient = rein_gradient(c->loss, part->slot, "critic");
    REINI_TRY(reini_part_end(part, c->base));
    REINI_TRY(rein_store_new(policy->layout, REIN_F32, &c->gradient));
    rein_exec_bind_gradient(part->exec, gradient, c->gradient);
    return REIN_OK;
}

static rein_status build_costs(reini_critic *c, const reini_costs *costs) {
    reini_part *part = &c->part;
    const reini_net *policy = c->base->policy;
    const reini_rollout *r = costs->rollout;
    REINI_TRY(reini_part_begin_with(part, costs->layout, c->batch_size, r->T * r->N));
    reini_net_norm_inputs(policy, part->g, &part->in);
    part->in.obs =
        reini_batch_take(&part->batch, "obs", reini_net_obs_dtype(&policy->base.obs), r->obs_size, r->obs);
    if (r->state_size > 0)
        part->in.state = reini_batch_take(&part->batch, "state", REIN_F32, r->state_size, r->state);
    for (int i = 0; i < costs->limits.n; i++) {
        rein_tensor *ret = reini_batch_take(&part->batch, "ret", REIN_F32, 1, reini_costs_ret(costs, i));
        rein_tensor *value = reini_costs_value(costs, part->slot, i, &part->in);
        rein_tensor *loss = rein_mean(rein_square(rein_sub(ret, value)));
        c->loss = i > 0 ? rein_add(c->loss, loss) : loss;
    }
    c->loss = rein_output(c->loss, "cost_loss");
    int gradient = rein_gradient(c->loss, part->slot, NULL);
    REINI_TRY(reini_part_end_with(part, c->base, costs->store));
    REINI_TRY(rein_store_new(costs->layout, REIN_F32, &c->gradient));
    rein_exec_bind_gradient(part->exec, gradient, c->gradient);
    return REIN_OK;
}

static rein_status allocate(reini_critic *c, reini_on_policy *base, int64_t steps, int64_t batch_size) {
    c->base = base;
    c->batch_size = batch_size < steps ? batch_size : steps;
    c->order = REINI_NEW_ARRAY(int32_t, (size_t)steps);
    c->words = REINI_NEW_ARRAY(uint32_t, ((size_t)steps + 63) / 64 * 64);
    return c->order != NULL && c->words != NULL ? REIN_OK
                                                : reini_fail_memory((size_t)steps * 8, "a value function");
}

rein_status reini_critic_init(reini_critic *c, reini_on_policy *base, const reini_optim_settings *optim,
                              const reini_rollout *r, int64_t steps, int64_t batch_size) {
    c->stream = SHUFFLE_STREAM;
    c->store = base->policy->store;
    REINI_TRY(allocate(c, base, steps, batch_size));
    REINI_TRY(build(c, r, steps));
    return reini_optim_make(optim, base->policy->layout, "critic", &c->optim);
}

rein_status reini_critic_init_costs(reini_critic *c, reini_on_policy *base, const reini_optim_settings *optim,
                                    const reini_costs *costs, int64_t batch_size) {
    c->stream = COST_STREAM;
    c->store = costs->store;
    REINI_TRY(allocate(c, base, costs->rollout->T * costs->rollout->N, batch_size));
    REINI_TRY(build_costs(c, costs));
    return reini_optim_make(optim, costs->layout, NULL, &c->optim);
}

void reini_critic_release(reini_critic *c) {
    reini_part_release(&c->part);
    rein_store_free(c->gradient);
    rein_optim_free(c->optim);
    reini_free(c->order);
    reini_free(c->words);
}

rein_status reini_critic_visit(reini_critic *c, const char *optimizer, const char *shuffles,
                               reini_archive *archive) {
    REINI_TRY(reini_optim_visit(c->optim, optimizer, archive));
    return reini_archive_bytes(archive, shuffles, &c->shuffles, sizeof c->shuffles);
}

/* One gradient step on order[first .. first + count). */
static double fit_minibatch(reini_critic *c, int64_t first, int64_t count, double learning_rate) {
    rein_exec *exec = c->part.exec;
    rein_exec_rows(exec, c->part.batch.rows, count);
    rein_exec_bind(exec, c->part.batch.index, c->order + first, 0);
    rein_exec_run(exec);
    double loss = rein_exec_scalar(exec, c->loss);
    rein_optim_result result = {.skipped = 1};
    if (isfinite(loss))
        result = rein_optim_step(c->optim, c->store, c->gradient, learning_rate);
    reini_on_policy_note(c->base, result.skipped);
    return loss;
}

double reini_critic_fit(reini_critic *c, int64_t steps, int64_t passes, double learning_rate) {
    int64_t size = c->batch_size, count = 0;
    double sum = 0;
    rein_exec_rows(c->part.exec, c->part.batch.steps, steps);
    for (int64_t pass = 0; pass < passes; pass++) {
        reini_shuffle(c->order, c->words, steps, c->base->context.seed, c->stream, c->shuffles++);
        for (int64_t first = 0; first < steps; first += size, count++)
            sum += fit_minibatch(c, first, first + size < steps ? size : steps - first, learning_rate);
    }
    return count > 0 ? sum / (double)count : NAN;
}
