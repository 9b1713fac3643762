/*
 * acting.c - from observation to action: the programs, and rein_policy_act over them.
 */
#include "rl/acting.h"

#include <math.h>
#include <string.h>

/* rows that rein_policy_act handles at a time */
enum { CHUNK = 256 };

static rein_tensor *to_env_units(reini_act_program *act, const reini_net *policy) {
    if (policy->base.act.kind != REIN_SPACE_BOX || !policy->net.scale_actions)
        return act->action;
    int size = policy->base.act.size;
    act->middle = rein_input(act->g, "act.middle", REIN_F32, REIN_STATIC, 1, &size);
    act->half = rein_input(act->g, "act.half", REIN_F32, REIN_STATIC, 1, &size);
    return rein_output(rein_add(rein_mul(act->action, act->half), act->middle), "env_action");
}

static void build(reini_act_program *act, const reini_net *policy, int capacity, bool sample, bool masked,
                  bool output) {
    int logits = rein_space_logits(&policy->base.act);
    act->rows = rein_extent(act->g, "rows", capacity);
    act->slot = rein_slot(act->g, policy->layout);
    act->in.obs = rein_input(act->g, "obs", reini_net_obs_dtype(&policy->base.obs), act->rows, 1,
                             &policy->base.obs.size);
    if (masked)
        act->in.mask = rein_input(act->g, "mask", REIN_U8, act->rows, 1, &logits);
    reini_net_norm_inputs(policy, act->g, &act->in);
    reini_net_heads heads = reini_net_build(policy, act->slot, &act->in, true, false);
    if (sample && reini_net_samples(policy)) {
        act->key = rein_key(act->g, "key");
        act->action = rein_output(rein_dist_sample(&heads.dist, act->key), "action");
        act->logp = rein_output(rein_dist_logp(&heads.dist, act->action), "logp");
    } else {
        act->action = rein_output(reini_net_mode(policy, &act->in, &heads), "action");
    }
    act->env_action = to_env_units(act, policy);
    if (output)
        act->output = rein_output(heads.output, "output");
}

rein_status reini_act_program_init(reini_act_program *act, const reini_net *policy, int capacity, bool sample,
                                   bool masked, bool output) {
    memset(act, 0, sizeof *act);
    act->g = rein_graph_new(REIN_F32);
    if (act->g == NULL)
        return reini_fail_memory(1 << 14, "an acting program");
    build(act, policy, capacity, sample, masked, output);
    return rein_compile(act->g, &(rein_compile_opts){.matmul = policy->matmul}, &act->program);
}

void reini_act_program_release(reini_act_program *act) {
    rein_program_free(act->program);
    rein_graph_free(act->g);
    memset(act, 0, sizeof *act);
}

rein_status reini_act_exec_new(const reini_act_program *act, const reini_net *policy, rein_exec **out) {
    REINI_TRY(rein_exec_new(act->program, NULL, out));
    rein_exec_bind_store(*out, act->slot, policy->store);
    reini_net_bind_norm(policy, *out, &act->in);
    if (act->middle != NULL) {
        rein_exec_bind(*out, act->middle, policy->act_middle, 0);
        rein_exec_bind(*out, act->half, policy->act_half, 0);
    }
    return REIN_OK;
}

/* ---- acting alone --------------------------------------------------------------------------------------- */

enum { GREEDY, SAMPLE, GREEDY_MASKED, SAMPLE_MASKED, VARIANTS };

struct reini_acting {
    reini_act_program program[VARIANTS];
    rein_exec *exec[VARIANTS];
};

rein_status reini_acting_new(reini_net *policy, reini_acting **out) {
    reini_acting *acting = *out = REINI_NEW(reini_acting);
    if (acting == NULL)
        return reini_fail_memory(sizeof *acting, "a policy");
    int variants = policy->base.act.kind == REIN_SPACE_BOX ? GREEDY_MASKED : VARIANTS;
    for (int v = 0; v < variants; v++) {
        bool sample = v == SAMPLE || v == SAMPLE_MASKED, masked = v >= GREEDY_MASKED;
        REINI_TRY(reini_act_program_init(&acting->program[v], policy, CHUNK, sample, masked, false));
        REINI_TRY(reini_act_exec_new(&acting->program[v], policy, &acting->exec[v]));
    }
    return REIN_OK;
}

void reini_acting_free(reini_acting *acting) {
    if (acting == NULL)
        return;
    for (int v = 0; v < VARIANTS; v++) {
        rein_exec_free(acting->exec[v]);
        reini_act_program_release(&acting->program[v]);
    }
    reini_free(acting);
}

/* a NaN passes through, so that it shows */
static void clip_to_bounds(const reini_net *policy, float *action, int n) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j < policy->base.act.size; j++) {
            float *a = &action[i * policy->base.act.size + j];
            *a = *a < policy->low[j] ? policy->low[j] : *a > policy->high[j] ? policy->high[j] : *a;
        }
}

static void act_chunk(reini_net *policy, int variant, int n, const float *obs, const uint8_t *mask,
                      const rein_sampling *sampling, uint64_t row_base, void *actions) {
    const reini_act_program *act = &policy->acting->program[variant];
    rein_exec *exec = policy->acting->exec[variant];
    rein_exec_rows(exec, act->rows, n);
    rein_exec_bind(exec, act->in.obs, obs, 0);
    if (mask != NULL)
        rein_exec_bind(exec, act->in.mask, mask, 0);
    rein_exec_bind(exec, act->env_action, actions, 0);
    if (act->key != NULL)
        rein_exec_key(exec, act->key, sampling->seed, 0, sampling->step, row_base);
    rein_exec_run(exec);
    if (policy->base.act.kind == REIN_SPACE_BOX)
        clip_to_bounds(policy, actions, n);
}

void reini_net_act(rein_policy *base, int64_t t, int n, const void *obs, const uint8_t *mask,
                   const rein_sampling *sampling, void *actions) {
    reini_net *policy = (reini_net *)base;
    int variant = (sampling != NULL ? SAMPLE : GREEDY) + (mask != NULL ? GREEDY_MASKED : 0);
    size_t obs_size = (size_t)base->obs.size, act_size = (size_t)base->act.size;
    size_t logits = (size_t)rein_space_logits(&base->act);
    for (int done = 0; done < n; done += CHUNK) {
        int count = n - done < CHUNK ? n - done : CHUNK;
        act_chunk(policy, variant, count, (const float *)obs + (size_t)done * obs_size,
                  mask != NULL ? mask + (size_t)done * logits : NULL, sampling,
                  sampling != NULL ? sampling->row_base + (uint64_t)done : 0,
                  (char *)actions + (size_t)done * act_size * 4);
    }
}
