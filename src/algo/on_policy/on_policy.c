/*
 * on_policy.c - gathering, accounting and graphs for methods that learn from their own fresh experience.
 */
#include "algo/on_policy/on_policy.h"

#include <math.h>
#include "base/clock.h"
#include "rl/advantage.h"

/* updates in a row that were not finite before the run is given up */
enum { GIVE_UP_AFTER = 100 };

/* ---- construction -------------------------------------------------------------------------------------- */

rein_status reini_on_policy_check(const reini_on_policy_opts *opts, const reini_context *context) {
    reini_encode encode;
    REINI_TRY(reini_encode_init(&encode, &context->env->obs, opts->net.encoder, opts->net.image_scale));
    if (opts->n_envs * opts->n_steps > INT32_MAX)
        return reini_fail(REIN_USAGE, "n_envs x n_steps is %lld, more than 2^31 steps an iteration",
                          (long long)(opts->n_envs * opts->n_steps));
    REINI_TRY(reini_sde_check(opts->net.use_sde, opts->algo, context->env->id, &context->env->act));
    if (opts->net.norm_obs == REINI_NORM_NONE || context->env->obs.kind == REIN_SPACE_BOX)
        return REIN_OK;
    return reini_fail(REIN_USAGE, "norm_obs: only box observations can be standardised");
}

rein_status reini_on_policy_init(reini_on_policy *base, const reini_on_policy_opts *opts,
                                 const reini_context *context) {
    base->context = *context;
    base->opts = *opts;
    REINI_TRY(reini_net_new(opts->algo, context->env->id, &context->env->obs, &context->env->act, &opts->net,
                            opts->critic, context->matmul, context->seed, &base->policy));
    reini_collector_opts collector = {.env = context->env,
                                      .seed = context->seed,
                                      .n_envs = opts->n_envs,
                                      .n_steps = opts->n_steps,
                                      .pool = context->pool,
                                      .critic = opts->critic,
                                      .output = opts->output,
                                      .costs = opts->costs};
    REINI_TRY(reini_collector_new(&collector, base->policy, &base->collector));
    return reini_reward_scale_init(&base->reward_scale, (int)opts->n_envs, opts->gamma);
}

void reini_on_policy_release(reini_on_policy *base) {
    reini_reward_scale_release(&base->reward_scale);
    reini_collector_free(base->collector);
    reini_net_free(base->policy);
}

rein_status reini_on_policy_visit(reini_on_policy *base, reini_archive *archive) {
    REINI_TRY(reini_net_visit(base->policy, archive));
    REINI_TRY(reini_collector_visit(base->collector, archive));
    REINI_TRY(reini_reward_scale_visit(&base->reward_scale, archive));
    REINI_TRY(reini_archive_bytes(archive, "on_policy.env_steps", &base->env_steps, sizeof base->env_steps));
    REINI_TRY(reini_archive_bytes(archive, "on_policy.skipped", &base->skipped, sizeof base->skipped));
    REINI_TRY(reini_archive_bytes(archive, "on_policy.skipped_in_a_row", &base->skipped_in_a_row,
                                  sizeof base->skipped_in_a_row));
    return reini_archive_bytes(archive, "on_policy.warm", &base->warm, sizeof base->warm);
}

/* ---- an iteration -------------------------------------------------------------------------------------- */

void reini_on_policy_warm_up(reini_on_policy *base, reini_report *report) {
    if (base->warm || base->policy->net.norm_obs == REINI_NORM_NONE)
        return;
    const reini_rollout *r = reini_on_policy_rollout(base);
    reini_collector_run(base->collector, &report->seconds_env, &report->seconds_act);
    reini_moments_add(&base->policy->moments, r->obs, r->T * r->N);
    reini_net_refresh(base->policy);
    reini_collector_restart(base->collector);
    base->warm = true;
}

bool reini_on_policy_gather(reini_on_policy *base, reini_report *report) {
    reini_on_policy_warm_up(base, report);
    reini_collector_run(base->collector, &report->seconds_env, &report->seconds_act);
    report->failed = reini_collector_fault(base->collector);
    base->update_start = reini_seconds();
    return report->failed == REIN_OK;
}

void reini_on_policy_estimate(reini_on_policy *base, double lambda) {
    reini_rollout *r = reini_on_policy_rollout(base);
    double gamma = base->opts.gamma;
    if (base->opts.norm_reward)
        reini_reward_scale_apply(&base->reward_scale, r->reward, r->done, r->T);
    reini_collector_evaluate(base->collector, gamma);
    reini_gae(r->adv, r->ret, r->reward, r->done, base->opts.critic ? r->value : NULL, r->T, r->N,
              (float)gamma, (float)lambda);
}

void reini_on_policy_finish(reini_on_policy *base, reini_report *report) {
    const reini_rollout *r = reini_on_policy_rollout(base);
    if (base->policy->net.norm_obs == REINI_NORM_RUNNING)
        reini_moments_add(&base->policy->moments, r->obs, r->T * r->N);
    reini_net_refresh(base->policy);
    base->env_steps += r->T * r->N;
    reini_on_policy_account(base, reini_collector_episodes(base->collector), report);
}

void reini_on_policy_account(const reini_on_policy *base, const reini_episodes *episodes,
                             reini_report *report) {
    report->seconds_update = reini_seconds() - base->update_start;
    report->env_steps = base->env_steps;
    report->episodes = episodes->count;
    report->return_mean = reini_episodes_mean_return(episodes);
    report->length_mean = reini_episodes_mean_length(episodes);
    report->skipped_updates = base->skipped;
    report->diverged = base->skipped_in_a_row >= GIVE_UP_AFTER;
}

void reini_on_policy_note(reini_on_policy *base, bool skipped) {
    base->skipped += skipped;
    base->skipped_in_a_row = skipped ? base->skipped_in_a_row + 1 : 0;
}

/* ---- steps as rows of a graph -------------------------------------------------------------------------- */

void reini_batch_init(reini_batch *batch, rein_graph *g, int64_t rows, int64_t steps, int64_t length) {
    *batch = (reini_batch){.g = g, .length = length};
    batch->steps = batch->rows = rein_extent(g, "steps", steps);
    if (rows == 0)
        return;
    batch->rows = rein_extent(g, "rows", rows);
    batch->index = rein_input(g, "index", REIN_I32, batch->rows, 1, (int[]){1});
    if (length <= 1)
        return;
    batch->sequences = rein_extent(g, "sequences", rows / length);
    batch->first = rein_input(g, "first", REIN_I32, batch->sequences, 1, (int[]){1});
}

void reini_batch_select(const reini_batch *batch, rein_exec *exec, const int32_t *index, int64_t count) {
    rein_exec_rows(exec, batch->rows, count);
    rein_exec_bind(exec, batch->index, index, 0);
    if (batch->first == NULL)
        return;
    rein_exec_rows(exec, batch->sequences, count / batch->length);
    rein_exec_bind(exec, batch->first, index, batch->length);
}

rein_tensor *reini_batch_take(reini_batch *batch, const char *name, rein_dtype dtype, int width,
                              const void *data) {
    REINI_ASSERT(batch->count < REINI_BATCH_INPUTS);
    rein_tensor *all = rein_input(batch->g, name, dtype, batch->steps, 1, &width);
    batch->bound[batch->count].input = all;
    batch->bound[batch->count++].data = data;
    return batch->index != NULL ? rein_gather(all, batch->index) : all;
}

void reini_batch_bind(const reini_batch *batch, rein_exec *exec) {
    for (int i = 0; i < batch->count; i++)
        rein_exec_bind(exec, batch->bound[i].input, batch->bound[i].data, 0);
}

/* The states that the batch's sequences begin with, and where episodes begin in them. */
static void take_states(reini_batch *batch, const reini_rollout *r, reini_net_inputs *in) {
    rein_tensor *all = rein_input(batch->g, "state", REIN_F32, batch->steps, 1, &r->state_size);
    REINI_ASSERT(batch->index != NULL && batch->count < REINI_BATCH_INPUTS);
    batch->bound[batch->count].input = all;
    batch->bound[batch->count++].data = r->state;
    in->length = (int)batch->length;
    in->state = rein_gather(all, batch->first != NULL ? batch->first : batch->index);
    in->start = rein_to_real(reini_batch_take(batch, "start", REIN_U8, 1, r->start), 1);
}

reini_net_heads reini_batch_heads(reini_batch *batch, const reini_net *policy, int slot,
                                  const reini_rollout *r, bool actor, bool critic, reini_net_inputs *in) {
    reini_net_norm_inputs(policy, batch->g, in);
    in->obs = reini_batch_take(batch, "obs", reini_net_obs_dtype(&policy->base.obs), r->obs_size, r->obs);
    if (actor && r->mask != NULL)
        in->mask = reini_batch_take(batch, "mask", REIN_U8, r->logits, r->mask);
    if (policy->net.gru > 0)
        take_states(batch, r, in);
    return reini_net_build(policy, slot, in, actor, critic);
}

rein_tensor *reini_batch_action(reini_batch *batch, const reini_net *policy, const reini_rollout *r) {
    rein_dtype dtype = policy->base.act.kind == REIN_SPACE_BOX ? REIN_F32 : REIN_I32;
    return reini_batch_take(batch, "action", dtype, r->act_size, r->action);
}

/* ---- programs ------------------------------------------------------------------------------------------ */

static rein_status begin_part(reini_part *part, rein_layout *layout, int64_t rows, int64_t steps,
                              int64_t length) {
    part->g = rein_graph_new(REIN_F32);
    if (part->g == NULL)
        return reini_fail_memory(1 << 16, "a program");
    part->slot = rein_slot(part->g, layout);
    reini_batch_init(&part->batch, part->g, rows, steps, length);
    return REIN_OK;
}

rein_status reini_part_begin(reini_part *part, const reini_on_policy *base, int64_t rows, int64_t steps) {
    return begin_part(part, base->policy->layout, rows, steps, base->opts.sequence);
}

rein_status reini_part_begin_with(reini_part *part, rein_layout *layout, int64_t rows, int64_t steps) {
    return begin_part(part, layout, rows, steps, 1);
}

rein_status reini_part_end_with(reini_part *part, const reini_on_policy *base, const rein_store *store) {
    rein_compile_opts opts = {.matmul = base->context.matmul};
    REINI_TRY(rein_compile(part->g, &opts, &part->program));
    REINI_TRY(rein_exec_new(part->program, base->context.pool, &part->exec));
    rein_exec_bind_store(part->exec, part->slot, store);
    reini_net_bind_norm(base->policy, part->exec, &part->in);
    reini_batch_bind(&part->batch, part->exec);
    return REIN_OK;
}

rein_status reini_part_end(reini_part *part, const reini_on_policy *base) {
    return reini_part_end_with(part, base, base->policy->store);
}

void reini_part_release(reini_part *part) {
    rein_exec_free(part->exec);
    rein_program_free(part->program);
    rein_graph_free(part->g);
}
