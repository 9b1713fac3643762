/*
 * net_file.c - what a network policy puts into its file.
 *
 * Tensors: every parameter of the layout under its name, and "norm.mean", "norm.sum_squares" (F64) when
 * observations are standardised. Members of the description:
 *
 *     "head": "dist", "critic": true, "net": {"hidden": "64,64", "activation": "tanh", ...}, "norm_count": 0
 */
#include <string.h>
#include "rl/acting.h"

#define REIN_FIELD_OWNER reini_net_config
static const rein_field net_fields[] = {REIN_FIELDS_TABLE(REINI_NET_FIELDS) REIN_FIELDS_TABLE(
    REINI_SDE_FIELDS) REIN_FIELDS_TABLE(REINI_MEMORY_FIELDS)};
static const rein_field sde_fields[] = {REIN_FIELDS_TABLE(REINI_SDE_FIELDS)};
static const rein_field memory_fields[] = {REIN_FIELDS_TABLE(REINI_MEMORY_FIELDS)};
enum {
    NET_FIELDS = sizeof net_fields / sizeof *net_fields,
    SDE_FIELDS = sizeof sde_fields / sizeof *sde_fields,
    MEMORY_FIELDS = sizeof memory_fields / sizeof *memory_fields,
    PLAIN_FIELDS = NET_FIELDS - SDE_FIELDS - MEMORY_FIELDS /* those that every policy tells */
};

/* in the order of reini_head */
static const char *const heads[] = {"dist", "squashed", "deterministic", "q", "dueling"};
enum { HEADS = sizeof heads / sizeof *heads };

static const reini_net *net_of(const rein_policy *policy) {
    return (const reini_net *)policy;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static json_t *net_to_json(const reini_net_config *net) {
    json_t *object = json_object();
    for (int i = 0; i < NET_FIELDS; i++) {
        char text[512];
        /* policies that explore otherwise, or have no memory, need not tell how they do not */
        bool sde = i >= PLAIN_FIELDS && i < PLAIN_FIELDS + SDE_FIELDS,
             memory = i >= PLAIN_FIELDS + SDE_FIELDS;
        if ((sde && !net->use_sde) || (memory && net->gru == 0))
            continue;
        rein_field_print(&net_fields[i], net, text, sizeof text);
        json_object_set_new(object, net_fields[i].name, json_string(text));
    }
    return object;
}

static bool has_critic(const reini_net *policy) {
    for (int i = 0; i < rein_layout_count(policy->layout); i++)
        if (strncmp(rein_layout_at(policy->layout, i).name, "critic.", 7) == 0)
            return true;
    return false;
}

static bool net_describe(const rein_policy *base, json_t *description) {
    const reini_net *policy = net_of(base);
    return json_object_set_new(description, "head", json_string(heads[policy->net.head])) == 0 &&
           json_object_set_new(description, "critic", json_boolean(has_critic(policy))) == 0 &&
           json_object_set_new(description, "net", net_to_json(&policy->net)) == 0 &&
           json_object_set_new(description, "norm_count", json_real(policy->moments.count)) == 0;
}

enum { MOMENTS = 2 };

static int net_tensors_max(const rein_policy *policy) {
    return rein_layout_count(net_of(policy)->layout) + MOMENTS;
}

static int net_tensors(const rein_policy *base, reini_st_tensor *out, void **scratch) {
    const reini_net *policy = net_of(base);
    int n = rein_layout_count(policy->layout);
    for (int i = 0; i < n; i++) {
        rein_param_info info = rein_layout_at(policy->layout, i);
        out[i] = (reini_st_tensor){.name = info.name,
                                   .dtype = "F32",
                                   .ndim = info.ndim,
                                   .data = (const float *)rein_store_view(policy->store) + info.offset,
                                   .bytes = (size_t)info.count * sizeof(float)};
        for (int d = 0; d < info.ndim; d++)
            out[i].shape[d] = info.dims[d];
    }
    if (policy->net.norm_obs == REINI_NORM_NONE)
        return n;
    const char *names[MOMENTS] = {"norm.mean", "norm.sum_squares"};
    const double *data[MOMENTS] = {policy->moments.mean, policy->moments.sum_squares};
    for (int i = 0; i < MOMENTS; i++)
        out[n++] = (reini_st_tensor){.name = names[i],
                                     .dtype = "F64",
                                     .ndim = 1,
                                     .shape = {policy->base.obs.size},
                                     .data = data[i],
                                     .bytes = (size_t)policy->base.obs.size * sizeof(double)};
    return n;
}

static void net_digest(const rein_policy *base, reini_sha256 *sha) {
    const reini_net *policy = net_of(base);
    size_t size = (size_t)base->obs.size * sizeof(float);
    reini_sha256_add(sha, rein_store_view(policy->store),
                     (size_t)rein_store_size(policy->store) * sizeof(float));
    reini_sha256_add(sha, policy->norm_mean, size);
    reini_sha256_add(sha, policy->norm_scale, size);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static rein_status net_from_json(const json_t *object, reini_net_config *net) {
    const char *name;
    json_t *value;
    rein_fields_default(net_fields, NET_FIELDS, net);
    if (!json_is_object(object))
        return reini_fail(REIN_FORMAT, "the policy's network description is missing or damaged");
    json_object_foreach((json_t *)object, name, value) {
        if (!json_is_string(value))
            return reini_fail(REIN_FORMAT, "the policy's network description is damaged at \"%s\"", name);
        REINI_TRY(rein_fields_set(net_fields, NET_FIELDS, net, name, json_string_value(value)));
    }
    return REIN_OK;
}

static rein_status copy_parameter(const reini_safetensors *st, const rein_param_info *info, float *to) {
    reini_st_tensor wanted = {
        .name = info->name, .dtype = "F32", .ndim = info->ndim, .bytes = (size_t)info->count * sizeof(float)};
    for (int d = 0; d < info->ndim; d++)
        wanted.shape[d] = info->dims[d];
    return reini_policy_copy_tensor(st, &wanted, to + info->offset);
}

static rein_status copy_moment(const reini_safetensors *st, const char *name, int size, double *to) {
    reini_st_tensor wanted = {
        .name = name, .dtype = "F64", .ndim = 1, .shape = {size}, .bytes = (size_t)size * sizeof(double)};
    return reini_policy_copy_tensor(st, &wanted, to);
}

static rein_status fill_from(reini_net *policy, const reini_safetensors *st, double norm_count) {
    float *data = rein_store_data(policy->store);
    for (int i = 0; i < rein_layout_count(policy->layout); i++) {
        rein_param_info info = rein_layout_at(policy->layout, i);
        REINI_TRY(copy_parameter(st, &info, data));
    }
    if (policy->net.norm_obs == REINI_NORM_NONE)
        return REIN_OK;
    REINI_TRY(copy_moment(st, "norm.mean", policy->base.obs.size, policy->moments.mean));
    REINI_TRY(copy_moment(st, "norm.sum_squares", policy->base.obs.size, policy->moments.sum_squares));
    policy->moments.count = norm_count;
    reini_net_refresh(policy);
    return REIN_OK;
}

static rein_status head_from_json(const json_t *name, reini_net_config *net) {
    const char *text = json_string_value(name);
    for (net->head = 0; text != NULL && net->head < HEADS; net->head++)
        if (strcmp(heads[net->head], text) == 0)
            return REIN_OK;
    return reini_fail(REIN_FORMAT, "the policy's head is \"%.60s\", which this Rein does not know",
                      text != NULL ? text : "");
}

static rein_status net_load(const rein_policy *head, const json_t *description, const reini_safetensors *st,
                            rein_policy **out) {
    reini_net_config config;
    reini_net *policy = NULL;
    REINI_TRY(net_from_json(json_object_get(description, "net"), &config));
    REINI_TRY(head_from_json(json_object_get(description, "head"), &config));
    bool critic = json_is_true(json_object_get(description, "critic"));
    const json_t *norm_count = json_object_get(description, "norm_count");
    if (!json_is_number(norm_count) || json_number_value(norm_count) < 0)
        return reini_fail(REIN_FORMAT, "the policy's norm_count is missing or damaged");
    REINI_TRY(
        reini_net_new(head->algo, head->env, &head->obs, &head->act, &config, critic, REIN_F32, 0, &policy));
    rein_status status = fill_from(policy, st, json_number_value(norm_count));
    if (status == REIN_OK)
        *out = &policy->base;
    else
        reini_net_free(policy);
    return status;
}

static void net_free(rein_policy *policy) {
    reini_net_free((reini_net *)policy);
}

static int net_state_size(const rein_policy *policy) {
    return reini_net_state_size(net_of(policy), false);
}

const reini_policy_kind reini_kind_network = {
    .name = "network",
    .free = net_free,
    .act = reini_net_act,
    .state_size = net_state_size,
    .act_state = reini_net_act_state,
    .describe = net_describe,
    .tensors_max = net_tensors_max,
    .tensors = net_tensors,
    .load = net_load,
    .digest = net_digest,
};
