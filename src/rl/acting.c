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

/* mu + z theta, squashed if the policy's actions are */
static rein_tensor *explored(reini_act_program *act, const reini_net *policy, const reini_net_heads *heads) {
    int size = policy->base.act.size, latent = (int)rein_tensor_width(heads->latent);
    act->theta = rein_input(act->g, "theta", REIN_F32, act->rows, 1, (int[]){size * latent});
    rein_tensor *u = rein_add(heads->dist.mean, reini_sde_noise(heads->latent, act->theta, size));
    return heads->dist.kind == REIN_DIST_SQUASHED ? rein_tanh(u) : u;
}

enum { MODE, DRAWN, EXPLORING };

static void build(reini_act_program *act, const reini_net *policy, int capacity, int how, bool masked,
                  bool output, bool critic) {
    int logits = rein_space_logits(&policy->base.act);
    act->rows = rein_extent(act->g, "rows", capacity);
    act->slot = rein_slot(act->g, policy->layout);
    act->in.obs = rein_input(act->g, "obs", reini_net_obs_dtype(&policy->base.obs), act->rows, 1,
                             &policy->base.obs.size);
    if (masked)
        act->in.mask = rein_input(act->g, "mask", REIN_U8, act->rows, 1, &logits);
    reini_net_norm_inputs(policy, act->g, &act->in);
    /* the critic is built for its memory's sake: its value is not asked for and not computed */
    bool remembers = critic && policy->net.gru > 0;
    reini_net_state_input(policy, act->g, act->rows, critic, &act->in);
    reini_net_heads heads = reini_net_build(policy, act->slot, &act->in, true, remembers);
    if (heads.state != NULL)
        act->state = rein_output(heads.state, "state");
    if (how != MODE && reini_net_samples(policy)) {
        rein_tensor *action;
        if (how == EXPLORING && heads.latent != NULL)
            action = explored(act, policy, &heads);
        else
            action = rein_dist_sample(&heads.dist, act->key = rein_key(act->g, "key"));
        act->action = rein_output(action, "action");
        act->logp = rein_output(rein_dist_logp(&heads.dist, act->action), "logp");
    } else {
        act->action = rein_output(reini_net_mode(policy, &act->in, &heads), "action");
    }
    act->env_action = to_env_units(act, policy);
    if (output)
        act->output = rein_output(heads.output, "output");
}

static rein_status init(reini_act_program *act, const reini_net *policy, int capacity, int how, bool masked,
                        bool output, bool critic) {
    memset(act, 0, sizeof *act);
    act->g = rein_graph_new(REIN_F32);
    if (act->g == NULL)
        return reini_fail_memory(1 << 14, "an acting program");
    build(act, policy, capacity, how, masked, output, critic);
    return rein_compile(act->g, &(rein_compile_opts){.matmul = policy->matmul}, &act->program);
}

rein_status reini_act_program_init(reini_act_program *act, const reini_net *policy, int capacity, bool sample,
                                   bool masked, bool output) {
    return init(act, policy, capacity, sample ? DRAWN : MODE, masked, output, false);
}

rein_status reini_act_program_explore(reini_act_program *act, const reini_net *policy, int capacity,
                                      bool masked, bool output, bool critic) {
    return init(act, policy, capacity, EXPLORING, masked, output, critic);
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
    float *state; /* (CHUNK x state size) of episodes that begin */
};

rein_status reini_acting_new(reini_net *policy, reini_acting **out) {
    reini_acting *acting = *out = REINI_NEW(reini_acting);
    if (acting == NULL)
        return reini_fail_memory(sizeof *acting, "a policy");
    size_t states = (size_t)(CHUNK * reini_net_state_size(policy, false));
    if (states > 0 && (acting->state = REINI_NEW_ARRAY(float, states)) == NULL)
        return reini_fail_memory(states * sizeof(float), "a policy");
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
    reini_free(acting->state);
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

/* state: of the rows, or NULL for episodes that begin; where start says so, they begin too */
static float *state_before(reini_net *policy, int n, float *state, const uint8_t *start) {
    size_t size = (size_t)reini_net_state_size(policy, false);
    if (state == NULL)
        return memset(policy->acting->state, 0, (size_t)n * size * sizeof *state);
    for (int i = 0; start != NULL && i < n; i++)
        if (start[i])
            memset(state + (size_t)i * size, 0, size * sizeof *state);
    return state;
}

static void act_chunk(reini_net *policy, int variant, int n, const void *obs, const uint8_t *mask,
                      const rein_sampling *sampling, uint64_t row_base, float *state, void *actions) {
    const reini_act_program *act = &policy->acting->program[variant];
    rein_exec *exec = policy->acting->exec[variant];
    rein_exec_rows(exec, act->rows, n);
    rein_exec_bind(exec, act->in.obs, obs, 0);
    if (mask != NULL)
        rein_exec_bind(exec, act->in.mask, mask, 0);
    if (state != NULL) {
        rein_exec_bind(exec, act->in.state, state, 0);
        rein_exec_bind(exec, act->state, state, 0);
    }
    rein_exec_bind(exec, act->env_action, actions, 0);
    if (act->key != NULL)
        rein_exec_key(exec, act->key, sampling->seed, 0, sampling->step, row_base);
    rein_exec_run(exec);
    if (policy->base.act.kind == REIN_SPACE_BOX)
        clip_to_bounds(policy, actions, n);
}

void reini_net_act_state(rein_policy *base, int64_t t, int n, const void *obs, const uint8_t *mask,
                         const rein_sampling *sampling, float *state, const uint8_t *start, void *actions) {
    reini_net *policy = (reini_net *)base;
    int variant = (sampling != NULL ? SAMPLE : GREEDY) + (mask != NULL ? GREEDY_MASKED : 0);
    size_t obs_bytes = rein_space_bytes(&base->obs), act_size = (size_t)base->act.size;
    size_t logits = (size_t)rein_space_logits(&base->act), size = (size_t)reini_net_state_size(policy, false);
    for (int done = 0; done < n; done += CHUNK) {
        int count = n - done < CHUNK ? n - done : CHUNK;
        float *before = NULL;
        if (size > 0)
            before = state_before(policy, count, state != NULL ? state + (size_t)done * size : NULL,
                                  start != NULL ? start + done : NULL);
        act_chunk(policy, variant, count, (const char *)obs + (size_t)done * obs_bytes,
                  mask != NULL ? mask + (size_t)done * logits : NULL, sampling,
                  sampling != NULL ? sampling->row_base + (uint64_t)done : 0, before,
                  (char *)actions + (size_t)done * act_size * 4);
    }
}

void reini_net_act(rein_policy *policy, int64_t t, int n, const void *obs, const uint8_t *mask,
                   const rein_sampling *sampling, void *actions) {
    reini_net_act_state(policy, t, n, obs, mask, sampling, NULL, NULL, actions);
}
