/*
 * policy.c - what a policy of any kind can do.
 */
#include "rl/policy.h"

#include <stdio.h>

void rein_policy_free(rein_policy *policy) {
    if (policy != NULL)
        policy->kind->free(policy);
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

void reini_policy_remember(rein_policy *policy, const char *wrappers) {
    snprintf(policy->wrappers, sizeof policy->wrappers, "%s", wrappers);
}

const char *reini_policy_wrappers(const rein_policy *policy) {
    return policy->wrappers;
}

void rein_policy_act(rein_policy *policy, int n, const void *obs, const uint8_t *mask,
                     const rein_sampling *sampling, void *actions) {
    policy->kind->act(policy, 0, n, obs, mask, sampling, actions);
}

void rein_policy_act_at(rein_policy *policy, int64_t t, int n, const void *obs, const uint8_t *mask,
                        const rein_sampling *sampling, void *actions) {
    policy->kind->act(policy, t, n, obs, mask, sampling, actions);
}

int rein_policy_state_size(const rein_policy *policy) {
    return policy->kind->state_size != NULL ? policy->kind->state_size(policy) : 0;
}

void rein_policy_act_state(rein_policy *policy, int64_t t, int n, const void *obs, const uint8_t *mask,
                           const rein_sampling *sampling, float *state, const uint8_t *start, void *actions) {
    if (rein_policy_state_size(policy) > 0 && state != NULL)
        policy->kind->act_state(policy, t, n, obs, mask, sampling, state, start, actions);
    else
        policy->kind->act(policy, t, n, obs, mask, sampling, actions);
}

void rein_policy_sha256(const rein_policy *policy, char out[65]) {
    uint8_t digest[32] = {0};
    reini_sha256 *sha = reini_sha256_new();
    if (sha != NULL) {
        policy->kind->digest(policy, sha);
        reini_sha256_finish(sha, digest);
    }
    reini_hex(out, digest, sizeof digest);
}
