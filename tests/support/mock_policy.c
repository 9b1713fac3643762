/*
 * mock_policy.c - a real policy without hidden layers: logits = obs x weight.
 */
#include "support/mock_policy.h"
#include <string.h>
#include "rl/net.h"

rein_policy *mock_policy_new(const rein_space *obs, const rein_space *act, const char *algo,
                             const char *env) {
    reini_net_config net = {.hidden = {0}};
    reini_net *policy;
    if (reini_net_new(algo, env, obs, act, &net, false, REIN_F32, 0, &policy) != REIN_OK)
        return NULL;
    memset(rein_store_data(policy->store), 0, (size_t)rein_store_size(policy->store) * sizeof(float));
    return &policy->base;
}

float *mock_policy_weights(rein_policy *policy, size_t *n) {
    const reini_net *net = (const reini_net *)policy;
    rein_param_info info = rein_layout_at(net->layout, rein_layout_find(net->layout, "actor.0.weight"));
    *n = (size_t)info.count;
    return (float *)rein_store_data(net->store) + info.offset;
}
