/*
 * ddpg.c - deep deterministic policy gradient.
 *
 * T. Lillicrap et al.: Continuous control with deep reinforcement learning, arXiv 1509.02971 (2016). One critic learns
 * the value of the policy's own actions, the policy climbs the critic:
 *
 *     L(theta) = E[ (Q(s, a; theta) - y)^2 ],   y = r + gamma Q(s', mu(s'; phi'); theta')       (algorithm 1)
 *     grad J(phi) = E[ grad_a Q(s, a; theta) at a = mu(s) . grad_phi mu(s; phi) ]               (eq. 6)
 *
 * The losses and the loop are deterministic.c. TD3 (td3.c) is nearly always the better choice; DDPG is here because
 * it is what TD3 is compared with.
 */
#include "algo/off_policy/deterministic.h"

#define REIN_FIELD_OWNER reini_deterministic_config
static const rein_field ddpg_fields[] = {REIN_FIELDS_TABLE(REINI_DETERMINISTIC_FIELDS)};

static rein_status ddpg_check(const void *config, const reini_context *context) {
    return reini_deterministic_check("ddpg", config, context);
}

static rein_status ddpg_create(const void *config, const reini_context *context, void **self) {
    static const reini_deterministic_kind kind = {.name = "ddpg", .critics = 1, .policy_delay = 1};
    return reini_deterministic_create(&kind, config, context, self);
}

const reini_algo reini_algo_ddpg = {
    .name = "ddpg",
    .doc = "deep deterministic policy gradient: one critic, action noise, updates from a replay memory",
    .family = REINI_OFF_POLICY,
    .fields = ddpg_fields,
    .n_fields = sizeof ddpg_fields / sizeof *ddpg_fields,
    .config_size = sizeof(reini_deterministic_config),
    .metrics = reini_deterministic_metrics,
    .n_metrics = REINI_DETERMINISTIC_METRICS,
    .key_metric = REINI_DETERMINISTIC_KEY,
    .check = ddpg_check,
    .create = ddpg_create,
    .destroy = reini_deterministic_destroy,
    .iterate = reini_deterministic_iterate,
    .visit = reini_deterministic_visit,
    .extend = reini_deterministic_extend,
    .policy = reini_deterministic_policy,
};
