/*
 * small_policy.h - policies made from a line of settings, and what their networks compute, in double
 * precision.
 */
#ifndef SMALL_POLICY_H
#define SMALL_POLICY_H

#include <math.h>
#include <stdio.h>
#include "rl/net.h"
#include "support/settings.h"

#define REIN_FIELD_OWNER reini_net_config
static const rein_field small_net_fields[] = {REIN_FIELDS_TABLE(REINI_NET_FIELDS) REIN_FIELDS_TABLE(
    REINI_SDE_FIELDS) REIN_FIELDS_TABLE(REINI_MEMORY_FIELDS)};
#undef REIN_FIELD_OWNER
enum { SMALL_NET_FIELDS = sizeof small_net_fields / sizeof *small_net_fields, SMALL_WIDTH = 64 };

/* "hidden=8,8 shared=true" over the defaults */
static inline reini_net_config small_net(const char *settings) {
    reini_net_config net;
    memset(&net, 0, sizeof net);
    settings_set(small_net_fields, SMALL_NET_FIELDS, &net, "%s", settings);
    return net;
}

static inline reini_net *small_policy(const rein_env_type *env, const char *settings, bool critic,
                                      uint64_t seed) {
    reini_net_config net = small_net(settings);
    reini_net *policy = NULL;
    assert_ok(reini_net_new("ppo", env->id, &env->obs, &env->act, &net, critic, REIN_F32, seed, &policy));
    return policy;
}

/* Larger weights than the initial ones: heads that say something. */
static inline void small_policy_shake(reini_net *policy, uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 77);
    float *data = rein_store_data(policy->store);
    for (int k = 0; k < rein_layout_count(policy->layout); k++) {
        rein_param_info info = rein_layout_at(policy->layout, k);
        for (int64_t i = 0; i < info.count; i++)
            data[info.offset + i] += (float)(0.3 * rein_rng_normal(&rng));
    }
}

/* Statistics as if the policy had seen experience. */
static inline void small_policy_see(reini_net *policy, uint64_t seed) {
    enum { COUNT = 50 };
    rein_rng rng = rein_rng_make(seed, 78);
    float *obs = calloc((size_t)(COUNT * policy->base.obs.size), sizeof *obs);
    assert_non_null(obs);
    for (int i = 0; i < COUNT * policy->base.obs.size; i++)
        obs[i] = (float)(0.2 + 0.7 * rein_rng_normal(&rng));
    reini_moments_add(&policy->moments, obs, COUNT);
    reini_net_refresh(policy);
    free(obs);
}

/* ---- the network by hand ------------------------------------------------------------------------------- */

static inline const float *small_parameter(const reini_net *policy, const char *name, int k, const char *kind,
                                           rein_param_info *info) {
    char full[64];
    snprintf(full, sizeof full, "%s.%d.%s", name, k, kind);
    int i = rein_layout_find(policy->layout, full);
    if (i < 0)
        return NULL;
    *info = rein_layout_at(policy->layout, i);
    return (const float *)rein_store_view(policy->store) + info->offset;
}

/* one layer: x (in) becomes (out); false when there is none of that number */
static inline bool small_layer(const reini_net *policy, const char *name, int k, double *x, bool hidden) {
    rein_param_info wi, bi;
    double y[SMALL_WIDTH];
    const float *w = small_parameter(policy, name, k, "weight", &wi);
    if (w == NULL)
        return false;
    const float *b = small_parameter(policy, name, k, "bias", &bi);
    assert_true(wi.dims[0] <= SMALL_WIDTH && wi.dims[1] <= SMALL_WIDTH);
    for (int o = 0; o < wi.dims[1]; o++) {
        y[o] = b[o];
        for (int i = 0; i < wi.dims[0]; i++)
            y[o] += x[i] * w[i * wi.dims[1] + o];
        y[o] = hidden ? tanh(y[o]) : y[o];
    }
    memcpy(x, y, (size_t)wi.dims[1] * sizeof *x);
    return true;
}

/* the head "actor" or "critic" of a tanh policy for one observation: out has room for SMALL_WIDTH numbers */
static inline void small_policy_head(const reini_net *policy, const char *head, const float *obs,
                                     double *out) {
    int layers = policy->net.hidden.count;
    for (int i = 0; i < policy->base.obs.size; i++) {
        out[i] = obs[i];
        if (policy->net.norm_obs != REINI_NORM_NONE) {
            double deviation = sqrt(reini_moments_variance(&policy->moments, i) + 1e-8);
            out[i] = fmin(fmax((obs[i] - policy->moments.mean[i]) / deviation, -10), 10);
        }
    }
    for (int k = 0; k < layers; k++)
        assert_true(small_layer(policy, policy->net.shared ? "shared" : head, k, out, true));
    assert_true(small_layer(policy, head, policy->net.shared ? 0 : layers, out, false));
}

static inline double small_policy_value(const reini_net *policy, const float *obs) {
    double out[SMALL_WIDTH];
    small_policy_head(policy, "critic", obs, out);
    return out[0];
}

#endif
