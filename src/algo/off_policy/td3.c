/*
 * td3.c - twin delayed deep deterministic policy gradient.
 *
 * S. Fujimoto, H. van Hoof, D. Meger: Addressing Function Approximation Error in Actor-Critic Methods, arXiv 1802.09477
 * (2018). DDPG (ddpg.c) with three remedies for overestimated values:
 *
 *     two critics, whose smaller value is the target                                  (section 4.2, algorithm 1)
 *     actor and targets change once for `policy_delay` updates of the critics         (section 5.2)
 *     the target's action is blurred: + clip(N(0, target_noise), +-target_clip)       (section 5.3, eq. 14)
 *
 * The losses and the loop are deterministic.c. An episode cut by the time limit is bootstrapped from its last
 * observation, never cut to 0.
 */
#include "algo/off_policy/deterministic.h"
#include "rl/learner.h"

#define TD3_FIELDS(F, E)                                                                                     \
    REINI_DETERMINISTIC_FIELDS(F, E)                                                                         \
    F(INT, policy_delay, "2", 1, 1000, "updates of the critics for one of actor and targets")                \
    F(REAL, target_noise, "0.2", 0, 10, "standard deviation of the target action's noise")                   \
    F(REAL, target_clip, "0.5", 0, 10, "how far that noise may go")

typedef struct td3_config {
    REIN_FIELDS_STRUCT(TD3_FIELDS)
} td3_config;

#define REIN_FIELD_OWNER td3_config
static const rein_field td3_fields[] = {REIN_FIELDS_TABLE(TD3_FIELDS)};

static reini_deterministic_config common(const td3_config *from) {
    reini_deterministic_config copied;
    REINI_COPY_FIELDS(REINI_DETERMINISTIC_FIELDS)
    return copied;
}

static rein_status td3_check(const void *config, const reini_context *context) {
    reini_deterministic_config c = common(config);
    return reini_deterministic_check("td3", &c, context);
}

static rein_status td3_create(const void *config, const reini_context *context, void **self) {
    const td3_config *c = config;
    reini_deterministic_config shared = common(c);
    reini_deterministic_kind kind = {.name = "td3",
                                     .critics = 2,
                                     .policy_delay = c->policy_delay,
                                     .target_noise = c->target_noise,
                                     .target_clip = c->target_clip};
    return reini_deterministic_create(&kind, &shared, context, self);
}

const reini_algo reini_algo_td3 = {
    .name = "td3",
    .doc = "twin delayed DDPG: two critics, a delayed actor, smoothed targets, updates from a replay memory",
    .family = REINI_OFF_POLICY,
    .fields = td3_fields,
    .n_fields = sizeof td3_fields / sizeof *td3_fields,
    .config_size = sizeof(td3_config),
    .metrics = reini_deterministic_metrics,
    .n_metrics = REINI_DETERMINISTIC_METRICS,
    .key_metric = REINI_DETERMINISTIC_KEY,
    .check = td3_check,
    .create = td3_create,
    .destroy = reini_deterministic_destroy,
    .iterate = reini_deterministic_iterate,
    .visit = reini_deterministic_visit,
    .extend = reini_deterministic_extend,
    .policy = reini_deterministic_policy,
};
