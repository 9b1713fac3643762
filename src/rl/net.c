/*
 * net.c - the networks of a policy, from observation to distribution and value.
 */
#include "rl/net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "rl/acting.h"

/* observations further than this many standard deviations from the mean are clipped */
#define OBS_LIMIT        10.0
#define VARIANCE_EPSILON 1e-8
/* widest one-hot input of a network */
enum { ONE_HOT_MAX = 65536 };

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

rein_dtype reini_net_obs_dtype(const rein_space *obs) {
    return obs->kind == REIN_SPACE_BOX ? REIN_F32 : obs->kind == REIN_SPACE_IMAGE ? REIN_U8 : REIN_I32;
}

/* what the first layer sees: standardised numbers, scaled images, or one-hot parts side by side */
static rein_tensor *encoded(const reini_net *policy, const reini_net_inputs *in) {
    const rein_space *obs = &policy->base.obs;
    if (obs->kind == REIN_SPACE_BOX)
        return in->mean != NULL ? rein_standardize(in->obs, in->mean, in->scale, OBS_LIMIT) : in->obs;
    if (policy->encode.image)
        return reini_encode_image(&policy->encode, in->obs);
    rein_tensor *x = rein_one_hot(rein_slice(in->obs, 0, 1), obs->n[0]);
    for (int k = 1; k < obs->size; k++)
        x = rein_concat(x, rein_one_hot(rein_slice(in->obs, k, 1), obs->n[k]));
    return x;
}

static rein_dist distribution(const reini_net *policy, int slot, const reini_net_inputs *in,
                              rein_tensor *output) {
    if (policy->base.act.kind != REIN_SPACE_BOX)
        return rein_dist_categorical(output, in->mask, policy->base.act.size, policy->base.act.n);
    rein_init init = {REIN_INIT_CONSTANT, policy->net.log_std_init};
    rein_tensor *log_std =
        rein_param(rein_tensor_graph(output), slot, "log_std", 1, &policy->base.act.size, init);
    return rein_dist_gaussian(output, log_std);
}

/* What a recurrent layer makes of the steps x (rows x k), from its part of the state on. */
static rein_tensor *remembered(const reini_net *policy, int slot, const char *name,
                               const reini_net_inputs *in, rein_tensor *x, rein_init init,
                               reini_net_heads *heads) {
    int width = (int)policy->net.gru;
    bool own = strcmp(name, "critic") == 0 && !policy->net.shared; /* the actor's part comes first */
    rein_tensor *before = rein_slice(in->state, own ? width : 0, width);
    init.scale = fmin(init.scale, 1); /* gates are no rectifiers */
    rein_tensor *h = rein_gru(x, slot, policy->net.shared ? "shared" : name, in->start, before,
                              in->length > 1 ? in->length : 1, init, init);
    heads->state = own && heads->state != NULL ? rein_concat(heads->state, h) : h;
    return h;
}

/* A memory after the hidden layers, if there is one, and a linear head, which has a name of its own behind a memory. */
static rein_tensor *recurrent_head(const reini_net *policy, int slot, const char *name,
                                   const reini_net_inputs *in, rein_tensor *x, int width,
                                   rein_init hidden_init, rein_init head_init, reini_net_heads *heads) {
    char last[32];
    snprintf(last, sizeof last, "%s.head", name);
    x = remembered(policy, slot, name, in, x, hidden_init, heads);
    return rein_mlp(x, slot, last, 0, NULL, REIN_ACT_IDENTITY, hidden_init, width, head_init);
}

/* Hidden layers and a linear head; the hidden layers may be shared by actor and critic. */
static rein_tensor *head(const reini_net *policy, int slot, const char *name, const reini_net_inputs *in,
                         rein_tensor *x, int width, rein_init hidden_init, rein_init head_init,
                         reini_net_heads *heads) {
    const reini_net_config *net = &policy->net;
    rein_activation act = (rein_activation)net->activation;
    int layers = net->hidden.count;
    if (policy->encode.image) {
        x = reini_encode_features(&policy->encode, slot, net->shared ? "shared" : name, x, hidden_init);
        layers = 0;
    } else if (net->shared) {
        x = rein_mlp(x, slot, "shared", layers, net->hidden.at, act, hidden_init, 0, head_init);
        layers = 0;
    }
    if (net->gru > 0) {
        x = rein_mlp(x, slot, name, layers, net->hidden.at, act, hidden_init, 0, head_init);
        return recurrent_head(policy, slot, name, in, x, width, hidden_init, head_init, heads);
    }
    return rein_mlp(x, slot, name, layers, net->hidden.at, act, hidden_init, width, head_init);
}

static rein_dist squashed(rein_tensor *output, int k) {
    rein_graph *g = rein_tensor_graph(output);
    rein_tensor *log_std = rein_clamp(rein_slice(output, k, k), rein_constant(g, REINI_LOG_STD_LOW),
                                      rein_constant(g, REINI_LOG_STD_HIGH));
    return rein_dist_squashed(rein_slice(output, 0, k), log_std);
}

/* mean and last hidden layer; the density is that of all the noises that could be drawn (rl/sde.h) */
static void state_dependent(const reini_net *policy, int slot, const reini_net_inputs *in, rein_tensor *x,
                            int width, const initials *init, reini_net_heads *heads) {
    rein_graph *g = rein_tensor_graph(x);
    bool squash = policy->net.head == REINI_HEAD_SQUASHED;
    rein_tensor *latent = head(policy, slot, "actor", in, x, 0, init->hidden, init->actor, heads);
    rein_tensor *mean = rein_mlp(latent, slot, "mean", 0, NULL, 0, init->hidden, width, init->actor);
    rein_tensor *log_std = rein_param(g, slot, "log_std", 2, (int[]){(int)rein_tensor_width(latent), width},
                                      (rein_init){REIN_INIT_CONSTANT, policy->net.log_std_init});
    heads->latent = latent;
    heads->output = mean;
    if (squash)
        heads->output = rein_clamp(mean, rein_constant(g, -REINI_SDE_MEAN), rein_constant(g, REINI_SDE_MEAN));
    else
        latent = rein_stop_gradient(latent); /* policy gradients must not shape features to suit the noise */
    log_std = reini_sde_log_std(latent, log_std, policy->net.sde_expln);
    heads->dist = squash ? rein_dist_squashed(heads->output, log_std) : rein_dist_gaussian(mean, log_std);
}

/* V + A - mean A over shared hidden layers */
static rein_tensor *dueling(const reini_net *policy, int slot, rein_tensor *x, int width,
                            const initials *init) {
    const reini_net_config *net = &policy->net;
    if (policy->encode.image)
        x = reini_encode_features(&policy->encode, slot, "actor", x, init->hidden);
    else
        x = rein_mlp(x, slot, "actor", net->hidden.count, net->hidden.at, (rein_activation)net->activation,
                     init->hidden, 0, init->actor);
    rein_tensor *advantage = rein_mlp(x, slot, "advantage", 0, NULL, 0, init->hidden, width, init->actor);
    rein_tensor *value = rein_mlp(x, slot, "value", 0, NULL, 0, init->hidden, 1, init->critic);
    rein_tensor *mean = rein_scale(rein_sum(advantage), 1.0 / width);
    return rein_add(advantage, rein_sub(value, mean));
}

static void build_actor(const reini_net *policy, int slot, const reini_net_inputs *in, rein_tensor *x,
                        const initials *init, reini_net_heads *heads) {
    int width = rein_space_logits(&policy->base.act);
    if (policy->net.head == REINI_HEAD_DUELING) {
        heads->output = dueling(policy, slot, x, width, init);
        return;
    }
    if (policy->net.use_sde) {
        state_dependent(policy, slot, in, x, width, init, heads);
        return;
    }
    int outputs = policy->net.head == REINI_HEAD_SQUASHED ? 2 * width : width;
    heads->output = head(policy, slot, "actor", in, x, outputs, init->hidden, init->actor, heads);
    if (policy->net.head == REINI_HEAD_DIST)
        heads->dist = distribution(policy, slot, in, heads->output);
    else if (policy->net.head == REINI_HEAD_SQUASHED)
        heads->dist = squashed(heads->output, width);
    else if (policy->net.head == REINI_HEAD_DETERMINISTIC)
        heads->output = rein_tanh(heads->output);
}

rein_tensor *reini_net_mode(const reini_net *policy, const reini_net_inputs *in,
                            const reini_net_heads *heads) {
    if (reini_net_samples(policy))
        return rein_dist_mode(&heads->dist);
    if (policy->net.head == REINI_HEAD_DETERMINISTIC)
        return heads->output;
    rein_tensor *q = heads->output;
    if (in->mask != NULL)
        q = rein_where(in->mask, q, rein_constant(rein_tensor_graph(q), -INFINITY));
    return rein_argmax(q);
}

reini_net_heads reini_net_build(const reini_net *policy, int slot, const reini_net_inputs *in, bool actor,
                                bool critic) {
    initials init = initials_of(&policy->net);
    reini_net_heads heads = {0};
    rein_tensor *x = encoded(policy, in);
    if (actor)
        build_actor(policy, slot, in, x, &init, &heads);
    if (critic)
        heads.value = head(policy, slot, "critic", in, x, 1, init.hidden, init.critic, &heads);
    return heads;
}

rein_tensor *reini_net_value_beside(const reini_net *policy, int slot, const char *name,
                                    const reini_net_inputs *in) {
    const reini_net_config *net = &policy->net;
    initials init = initials_of(net);
    rein_tensor *x = encoded(policy, in);
    int layers = net->hidden.count;
    if (policy->encode.image) {
        x = reini_encode_features(&policy->encode, slot, name, x, init.hidden);
        layers = 0;
    }
    if (in->state != NULL)
        x = rein_concat(x, in->state);
    return rein_mlp(x, slot, name, layers, net->hidden.at, (rein_activation)net->activation, init.hidden, 1,
                    init.critic);
}

void reini_net_state_input(const reini_net *policy, rein_graph *g, int extent, bool critic,
                           reini_net_inputs *in) {
    int size = reini_net_state_size(policy, critic);
    if (size > 0)
        in->state = rein_input(g, "state", REIN_F32, extent, 1, &size);
}

void reini_net_norm_inputs(const reini_net *policy, rein_graph *g, reini_net_inputs *in) {
    if (policy->net.norm_obs == REINI_NORM_NONE)
        return;
    int size = policy->base.obs.size;
    in->mean = rein_input(g, "norm.mean", REIN_F32, REIN_STATIC, 1, &size);
    in->scale = rein_input(g, "norm.scale", REIN_F32, REIN_STATIC, 1, &size);
}

void reini_net_bind_norm(const reini_net *policy, rein_exec *exec, const reini_net_inputs *in) {
    if (in->mean == NULL)
        return;
    rein_exec_bind(exec, in->mean, policy->norm_mean, 0);
    rein_exec_bind(exec, in->scale, policy->norm_scale, 0);
}

void reini_net_refresh(reini_net *policy) {
    for (int i = 0; policy->net.norm_obs != REINI_NORM_NONE && i < policy->base.obs.size; i++) {
        double variance = reini_moments_variance(&policy->moments, i);
        policy->norm_mean[i] = (float)policy->moments.mean[i];
        /* an observation that never varied tells nothing and must not be blown up later */
        policy->norm_scale[i] =
            variance > VARIANCE_EPSILON ? (float)(1 / sqrt(variance + VARIANCE_EPSILON)) : 0.0f;
    }
}

/* ---- construction -------------------------------------------------------------------------------------- */

/* Declares every parameter in a scratch graph, so that the layout is complete before its first store. */
static rein_status declare_parameters(reini_net *policy, bool critic) {
    rein_graph *g = rein_graph_new(REIN_F32);
    if (g == NULL)
        return reini_fail_memory(1 << 14, "a policy");
    int rows = rein_extent(g, "rows", 1), slot = rein_slot(g, policy->layout);
    reini_net_inputs in = {
        .obs = rein_input(g, "obs", reini_net_obs_dtype(&policy->base.obs), rows, 1, &policy->base.obs.size)};
    reini_net_state_input(policy, g, rows, critic, &in);
    rein_program *program = NULL;
    rein_output(reini_net_build(policy, slot, &in, true, critic).output, "output");
    rein_status status = rein_compile(g, NULL, &program);
    rein_program_free(program);
    rein_graph_free(g);
    return status;
}

static rein_status copy_bounds(reini_net *policy, const rein_space *obs, const rein_space *act) {
    policy->base.obs = *obs;
    policy->base.act = *act;
    /* bounds of observations are nobody's business after training */
    policy->base.obs.low = policy->base.obs.high = NULL;
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
    policy->base.act.low = policy->low;
    policy->base.act.high = policy->high;
    return REIN_OK;
}

static rein_status check_head(const reini_net *policy, const rein_space *act) {
    bool values = policy->net.head == REINI_HEAD_Q || policy->net.head == REINI_HEAD_DUELING;
    if (values && act->kind != REIN_SPACE_DISCRETE)
        return reini_fail(REIN_USAGE, "%s needs one discrete action, %s takes others: sac, td3 or ppo fit",
                          policy->base.algo, policy->base.env);
    if (values || policy->net.head == REINI_HEAD_DIST)
        return REIN_OK;
    bool bounded = act->kind == REIN_SPACE_BOX && act->low != NULL && act->high != NULL;
    for (int i = 0; bounded && i < act->size; i++)
        bounded = isfinite(act->low[i]) && isfinite(act->high[i]) && act->low[i] < act->high[i];
    if (!bounded)
        return reini_fail(REIN_USAGE, "%s needs box actions with finite bounds, %s takes others: %s",
                          policy->base.algo, policy->base.env,
                          act->kind == REIN_SPACE_BOX ? "ppo fits" : "dqn or ppo fit");
    return policy->net.scale_actions ? REIN_OK
                                     : reini_fail(REIN_INTERNAL, "a squashed head without scale_actions");
}

static rein_status fill(reini_net *policy, const rein_space *obs, const rein_space *act, bool critic,
                        uint64_t seed) {
    REINI_TRY(reini_encode_init(&policy->encode, obs, policy->net.encoder, policy->net.image_scale));
    if (obs->kind != REIN_SPACE_BOX && policy->net.norm_obs != REINI_NORM_NONE)
        return reini_fail(REIN_USAGE, "norm_obs: only box observations can be standardised; %s has others",
                          policy->base.env);
    if (rein_space_logits(obs) > ONE_HOT_MAX && reini_net_obs_dtype(obs) == REIN_I32)
        return reini_fail(REIN_UNSUPPORTED,
                          "%s has %d observations, at most %d can be shown to a network one-hot",
                          policy->base.env, rein_space_logits(obs), ONE_HOT_MAX);
    REINI_TRY(check_head(policy, act));
    REINI_TRY(reini_sde_check(policy->net.use_sde, policy->base.algo, policy->base.env, act));
    if (policy->net.use_sde && !reini_net_samples(policy))
        return reini_fail(REIN_USAGE, "use_sde: the policy of %s draws no actions and has no noise to shape",
                          policy->base.algo);
    if (act->size > REINI_ACTIONS_MAX)
        return reini_fail(REIN_UNSUPPORTED, "%s has %d numbers in an action, at most %d are supported",
                          policy->base.env, act->size, REINI_ACTIONS_MAX);
    REINI_TRY(copy_bounds(policy, obs, act));
    policy->layout = rein_layout_new();
    policy->norm_mean = REINI_NEW_ARRAY(float, (size_t)obs->size);
    policy->norm_scale = REINI_NEW_ARRAY(float, (size_t)obs->size);
    if (policy->layout == NULL || policy->norm_mean == NULL || policy->norm_scale == NULL)
        return reini_fail_memory((size_t)obs->size * 8, "a policy");
    REINI_TRY(reini_moments_init(&policy->moments, obs->size));
    reini_net_refresh(policy);
    REINI_TRY(declare_parameters(policy, critic));
    REINI_TRY(rein_store_new(policy->layout, REIN_F32, &policy->store));
    REINI_TRY(rein_store_init(policy->store, seed));
    return reini_acting_new(policy, &policy->acting);
}

rein_status reini_net_new(const char *algo, const char *env, const rein_space *obs, const rein_space *act,
                          const reini_net_config *net, bool critic, rein_dtype matmul, uint64_t seed,
                          reini_net **out) {
    reini_net *policy = REINI_NEW(reini_net);
    if (policy == NULL)
        return reini_fail_memory(sizeof *policy, "a policy");
    snprintf(policy->base.algo, sizeof policy->base.algo, "%s", algo);
    snprintf(policy->base.env, sizeof policy->base.env, "%s", env);
    policy->base.kind = &reini_kind_network;
    policy->net = *net;
    policy->matmul = matmul;
    rein_status status = fill(policy, obs, act, critic, seed);
    if (status != REIN_OK) {
        reini_net_free(policy);
        return status;
    }
    *out = policy;
    return REIN_OK;
}

void reini_net_free(reini_net *policy) {
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

rein_status reini_net_visit(reini_net *policy, reini_archive *archive) {
    size_t bytes = (size_t)rein_store_size(policy->store) * sizeof(float);
    REINI_TRY(reini_archive_bytes(archive, "policy.parameters", rein_store_data(policy->store), bytes));
    REINI_TRY(reini_moments_visit(&policy->moments, "policy.moments", archive));
    reini_net_refresh(policy);
    return REIN_OK;
}
