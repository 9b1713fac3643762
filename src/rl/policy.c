/*
 * policy.c - the networks of a policy, from observation to distribution and value.
 */
#include "rl/policy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "rl/acting.h"

/* observations further than this many standard deviations from the mean are clipped */
#define OBS_LIMIT        10.0
#define VARIANCE_EPSILON 1e-8

/* ---- networks ------------------------------------------------------------------------------------------ */

typedef struct initials {
    rein_init hidden, actor, critic;
} initials;

/* gains: sqrt 2 for hidden layers, 0.01 for the actor's head, 1 for the critic's (Andrychowicz et al. 2021) */
static initials initials_of(const reini_net_config *net) {
    static const rein_init_kind kinds[] = {REIN_INIT_ORTHOGONAL, REIN_INIT_KAIMING, REIN_INIT_XAVIER,
                                           REIN_INIT_KAIMING};
    enum { ORTHOGONAL, UNIFORM };
    rein_init_kind kind = kinds[net->init];
    if (net->init == UNIFORM) {
        rein_init same = {kind, 1 / sqrt(3.0)};
        return (initials){same, same, same};
    }
    return (initials){{kind, sqrt(2.0)}, {kind, 0.01}, {kind, 1.0}};
}

static rein_tensor *standardized(const reini_policy_inputs *in) {
    return in->mean != NULL ? rein_standardize(in->obs, in->mean, in->scale, OBS_LIMIT) : in->obs;
}

static rein_dist distribution(const rein_policy *policy, int slot, const reini_policy_inputs *in,
                              rein_tensor *output) {
    if (policy->act.kind != REIN_SPACE_BOX)
        return rein_dist_categorical(output, in->mask, policy->act.size, policy->act.n);
    rein_init init = {REIN_INIT_CONSTANT, policy->net.log_std_init};
    rein_tensor *log_std = rein_param(rein_tensor_graph(output), slot, "log_std", 1, &policy->act.size, init);
    return rein_dist_gaussian(output, log_std);
}

/* Hidden layers and a linear head; the hidden layers may be shared by actor and critic. */
static rein_tensor *head(const rein_policy *policy, int slot, const char *name, rein_tensor *x, int width,
                         rein_init hidden_init, rein_init head_init) {
    const reini_net_config *net = &policy->net;
    rein_activation act = (rein_activation)net->activation;
    int layers = net->hidden.count;
    if (net->shared) {
        x = rein_mlp(x, slot, "shared", layers, net->hidden.at, act, hidden_init, 0, head_init);
        layers = 0;
    }
    return rein_mlp(x, slot, name, layers, net->hidden.at, act, hidden_init, width, head_init);
}

reini_policy_heads reini_policy_build(const rein_policy *policy, int slot, const reini_policy_inputs *in,
                                      bool actor, bool critic) {
    initials init = initials_of(&policy->net);
    reini_policy_heads heads = {0};
    rein_tensor *x = standardized(in);
    if (actor) {
        int width = rein_space_logits(&policy->act);
        heads.output = head(policy, slot, "actor", x, width, init.hidden, init.actor);
        heads.dist = distribution(policy, slot, in, heads.output);
    }
    if (critic)
        heads.value = head(policy, slot, "critic", x, 1, init.hidden, init.critic);
    return heads;
}

void reini_policy_norm_inputs(const rein_policy *policy, rein_graph *g, reini_policy_inputs *in) {
    if (policy->net.norm_obs == REINI_NORM_NONE)
        return;
    int size = policy->obs.size;
    in->mean = rein_input(g, "norm.mean", REIN_F32, REIN_STATIC, 1, &size);
    in->scale = rein_input(g, "norm.scale", REIN_F32, REIN_STATIC, 1, &size);
}

void reini_policy_bind_norm(const rein_policy *policy, rein_exec *exec, const reini_policy_inputs *in) {
    if (in->mean == NULL)
        return;
    rein_exec_bind(exec, in->mean, policy->norm_mean, 0);
    rein_exec_bind(exec, in->scale, policy->norm_scale, 0);
}

void reini_policy_refresh(rein_policy *policy) {
    for (int i = 0; policy->net.norm_obs != REINI_NORM_NONE && i < policy->obs.size; i++) {
        double variance = reini_moments_variance(&policy->moments, i);
        policy->norm_mean[i] = (float)policy->moments.mean[i];
        /* an observation that never varied tells nothing and must not be blown up later */
        policy->norm_scale[i] =
            variance > VARIANCE_EPSILON ? (float)(1 / sqrt(variance + VARIANCE_EPSILON)) : 0.0f;
    }
}

/* ---- construction -------------------------------------------------------------------------------------- */

/* Declares every parameter in a scratch graph, so that the layout is complete before its first store. */
static rein_status declare_parameters(rein_policy *policy, bool critic) {
    rein_graph *g = rein_graph_new(REIN_F32);
    if (g == NULL)
        return reini_fail_memory(1 << 14, "a policy");
    int rows = rein_extent(g, "rows", 1), slot = rein_slot(g, policy->layout);
    reini_policy_inputs in = {.obs = rein_input(g, "obs", REIN_F32, rows, 1, &policy->obs.size)};
    rein_program *program = NULL;
    rein_output(reini_policy_build(policy, slot, &in, true, critic).output, "output");
    rein_status status = rein_compile(g, NULL, &program);
    rein_program_free(program);
    rein_graph_free(g);
    return status;
}

static rein_status copy_bounds(rein_policy *policy, const rein_space *obs, const rein_space *act) {
    policy->obs = *obs;
    policy->act = *act;
    /* bounds of observations are nobody's business after training */
    policy->obs.low = policy->obs.high = NULL;
    if (act->kind != REIN_SPACE_BOX)
        return REIN_OK;
    size_t n = (size_t)act->size;
    policy->low = REINI_NEW_ARRAY(float, n);
    policy->high = REINI_NEW_ARRAY(float, n);
    policy->act_middle = REINI_NEW_ARRAY(float, n);
    policy->act_half = REINI_NEW_ARRAY(float, n);
    if (!policy->low || !policy->high || !policy->act_middle || !policy->act_half)
        return reini_fail_memory(4 * n * sizeof(float), "a policy");
    for (size_t i = 0; i < n; i++) {
        policy->low[i] = act->low != NULL ? act->low[i] : -INFINITY;
        policy->high[i] = act->high != NULL ? act->high[i] : INFINITY;
        bool bounded = isfinite(policy->low[i]) && isfinite(policy->high[i]) && policy->net.scale_actions;
        policy->act_middle[i] = bounded ? (policy->high[i] + policy->low[i]) / 2 : 0;
        policy->act_half[i] = bounded ? (policy->high[i] - policy->low[i]) / 2 : 1;
    }
    policy->act.low = policy->low;
    policy->act.high = policy->high;
    return REIN_OK;
}

static rein_status fill(rein_policy *policy, const rein_space *obs, const rein_space *act, bool critic,
                        uint64_t seed) {
    if (obs->kind != REIN_SPACE_BOX)
        return reini_fail(REIN_USAGE, "%s has image observations, but this policy network takes boxes",
                          policy->env);
    if (act->size > REINI_ACTIONS_MAX)
        return reini_fail(REIN_UNSUPPORTED, "%s has %d numbers in an action, at most %d are supported",
                          policy->env, act->size, REINI_ACTIONS_MAX);
    REINI_TRY(copy_bounds(policy, obs, act));
    policy->layout = rein_layout_new();
    policy->norm_mean = REINI_NEW_ARRAY(float, (size_t)obs->size);
    policy->norm_scale = REINI_NEW_ARRAY(float, (size_t)obs->size);
    if (policy->layout == NULL || policy->norm_mean == NULL || policy->norm_scale == NULL)
        return reini_fail_memory((size_t)obs->size * 8, "a policy");
    REINI_TRY(reini_moments_init(&policy->moments, obs->size));
    reini_policy_refresh(policy);
    REINI_TRY(declare_parameters(policy, critic));
    REINI_TRY(rein_store_new(policy->layout, REIN_F32, &policy->store));
    rein_store_init(policy->store, seed);
    return reini_acting_new(policy, &policy->acting);
}

rein_status reini_policy_new(const char *algo, const char *env, const rein_space *obs, const rein_space *act,
                             const reini_net_config *net, bool critic, rein_dtype matmul, uint64_t seed,
                             rein_policy **out) {
    rein_policy *policy = REINI_NEW(rein_policy);
    if (policy == NULL)
        return reini_fail_memory(sizeof *policy, "a policy");
    snprintf(policy->algo, sizeof policy->algo, "%s", algo);
    snprintf(policy->env, sizeof policy->env, "%s", env);
    policy->net = *net;
    policy->matmul = matmul;
    rein_status status = fill(policy, obs, act, critic, seed);
    if (status != REIN_OK) {
        rein_policy_free(policy);
        return status;
    }
    *out = policy;
    return REIN_OK;
}

void rein_policy_free(rein_policy *policy) {
    if (policy == NULL)
        return;
    reini_acting_free(policy->acting);
    rein_store_free(policy->store);
    rein_layout_free(policy->layout);
    reini_moments_release(&policy->moments);
    reini_free(policy->norm_mean);
    reini_free(policy->norm_scale);
    reini_free(policy->low);
    reini_free(policy->high);
    reini_free(policy->act_middle);
    reini_free(policy->act_half);
    reini_free(policy);
}

rein_status reini_policy_visit(rein_policy *policy, reini_archive *archive) {
    size_t bytes = (size_t)rein_store_size(policy->store) * sizeof(float);
    REINI_TRY(reini_archive_bytes(archive, "policy.parameters", rein_store_data(policy->store), bytes));
    REINI_TRY(reini_moments_visit(&policy->moments, "policy.moments", archive));
    reini_policy_refresh(policy);
    return REIN_OK;
}

const rein_space *rein_policy_obs_space(const rein_policy *policy) {
    return &policy->obs;
}

const rein_space *rein_policy_act_space(const rein_policy *policy) {
    return &policy->act;
}

const char *rein_policy_algo(const rein_policy *policy) {
    return policy->algo;
}

const char *rein_policy_env(const rein_policy *policy) {
    return policy->env;
}
