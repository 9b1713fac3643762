/*
 * critic.c - minibatch regression of a value function.
 */
#include "algo/on_policy/critic.h"

#include <math.h>
#include "rl/shuffle.h"

enum { SHUFFLE_STREAM = 0x435249 };

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

rein_status reini_critic_init(reini_critic *c, reini_on_policy *base, const reini_optim_settings *optim,
                              const reini_rollout *r, int64_t steps, int64_t batch_size) {
    c->base = base;
    c->batch_size = batch_size < steps ? batch_size : steps;
    c->order = REINI_NEW_ARRAY(int32_t, (size_t)steps);
    c->words = REINI_NEW_ARRAY(uint32_t, ((size_t)steps + 63) / 64 * 64);
    if (c->order == NULL || c->words == NULL)
        return reini_fail_memory((size_t)steps * 8, "a value function");
    REINI_TRY(build(c, r, steps));
    return reini_optim_make(optim, base->policy->layout, "critic", &c->optim);
}

void reini_critic_release(reini_critic *c) {
    reini_part_release(&c->part);
    rein_store_free(c->gradient);
    rein_optim_free(c->optim);
    reini_free(c->order);
    reini_free(c->words);
}

rein_status reini_critic_visit(reini_critic *c, const char *optimizer, reini_archive *archive) {
    REINI_TRY(reini_optim_visit(c->optim, optimizer, archive));
    return reini_archive_bytes(archive, "critic.shuffles", &c->shuffles, sizeof c->shuffles);
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
        result = rein_optim_step(c->optim, c->base->policy->store, c->gradient, learning_rate);
    reini_on_policy_note(c->base, result.skipped);
    return loss;
}

double reini_critic_fit(reini_critic *c, int64_t steps, int64_t passes, double learning_rate) {
    int64_t size = c->batch_size, count = 0;
    double sum = 0;
    rein_exec_rows(c->part.exec, c->part.batch.steps, steps);
    for (int64_t pass = 0; pass < passes; pass++) {
        reini_shuffle(c->order, c->words, steps, c->base->context.seed, SHUFFLE_STREAM, c->shuffles++);
        for (int64_t first = 0; first < steps; first += size, count++)
            sum += fit_minibatch(c, first, first + size < steps ? size : steps - first, learning_rate);
    }
    return count > 0 ? sum / (double)count : NAN;
}
