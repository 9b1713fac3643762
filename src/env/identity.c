/*
 * identity.c - test environments whose best policy and values are known.
 *
 * Identity-v0, IdentityMultiDiscrete-v0, IdentityBox-v0: show a target, reward the action that repeats it and
 * draw the next target, for 100 steps; after the identity environments of Stable-Baselines3. Nothing that the
 * agent does changes what comes next, so a method that cannot learn them is broken. Best return: 100.
 * Deviations: discrete targets are observed one-hot. IdentityBox rewards 1 - (a - target)^2; with a tolerance
 * it rewards 1 within and 0 outside, as Stable-Baselines3 does (0.05).
 *
 * IdentityMasked-v0: Identity in which two wrong actions of the four are forbidden at each step. A forbidden
 * action costs 1, so a policy that looks away from the mask shows.
 *
 * TimeLimit-v0: reward 1 at each step, never terminates, is cut after 10 steps. The value of the only state
 * is 1 / (1 - gamma) exactly when the cut is bootstrapped; a method that treats it as an end finds less.
 */
#include <rein/env.h>

#include <math.h>
#include <string.h>
#include "env/env_types.h"

/* ---- Identity-v0 --------------------------------------------------------------------------------------- */

enum { TARGETS = 4 };

typedef struct identity_state {
    int32_t target;
    uint8_t mask[TARGETS]; /* IdentityMasked-v0 only: 1 = allowed */
} identity_state;

static void identity_reset(const void *config, void *state, rein_rng *rng) {
    identity_state *s = state;
    s->target = (int32_t)rein_rng_below(rng, TARGETS);
}

static rein_step identity_step(const void *config, void *state, const void *action, rein_rng *rng) {
    const identity_state *s = state;
    rein_step result = {.reward = *(const int32_t *)action == s->target ? 1 : 0};
    identity_reset(config, state, rng);
    return result;
}

static void identity_observe(const void *config, const void *state, void *obs) {
    const identity_state *s = state;
    float *o = obs;
    for (int k = 0; k < TARGETS; k++)
        o[k] = k == s->target ? 1 : 0;
}

static const float zeros[5] = {0, 0, 0, 0, 0};
static const float ones[5] = {1, 1, 1, 1, 1};
static const float minus_one[1] = {-1};

const rein_env_type reini_env_identity = {
    .abi = REIN_ENV_ABI,
    .id = "Identity-v0",
    .doc = "test environment: repeat the shown target, one of 4; best return 100",
    .obs = REINI_BOX(TARGETS, zeros, ones),
    .act = REINI_DISCRETE(TARGETS),
    .horizon = 100,
    .state_size = sizeof(identity_state),
    .reward_threshold = 95,
    .reset = identity_reset,
    .step = identity_step,
    .observe = identity_observe,
};

/* ---- IdentityMasked-v0 --------------------------------------------------------------------------------- */

static void masked_reset(const void *config, void *state, rein_rng *rng) {
    identity_state *s = state;
    s->target = (int32_t)rein_rng_below(rng, TARGETS);
    memset(s->mask, 0, sizeof s->mask);
    s->mask[s->target] = 1;
    s->mask[(s->target + 1 + (int32_t)rein_rng_below(rng, TARGETS - 1)) % TARGETS] = 1;
}

static rein_step masked_step(const void *config, void *state, const void *action, rein_rng *rng) {
    const identity_state *s = state;
    int32_t a = *(const int32_t *)action;
    rein_step result = {.reward = !s->mask[a] ? -1 : a == s->target ? 1 : 0};
    masked_reset(config, state, rng);
    return result;
}

static void masked_mask(const void *config, const void *state, uint8_t *mask) {
    const identity_state *s = state;
    memcpy(mask, s->mask, sizeof s->mask);
}

const rein_env_type reini_env_identity_masked = {
    .abi = REIN_ENV_ABI,
    .id = "IdentityMasked-v0",
    .doc =
        "test environment: repeat the shown target; a mask forbids two of the wrong actions; best return 100",
    .obs = REINI_BOX(TARGETS, zeros, ones),
    .act = REINI_DISCRETE(TARGETS),
    .horizon = 100,
    .state_size = sizeof(identity_state),
    .reward_threshold = 95,
    .reset = masked_reset,
    .step = masked_step,
    .observe = identity_observe,
    .mask = masked_mask,
};

/* ---- IdentityMultiDiscrete-v0 -------------------------------------------------------------------------- */

typedef struct pair_state {
    int32_t target[2]; /* in [0, 3) and [0, 2) */
} pair_state;

static void pair_reset(const void *config, void *state, rein_rng *rng) {
    pair_state *s = state;
    s->target[0] = (int32_t)rein_rng_below(rng, 3);
    s->target[1] = (int32_t)rein_rng_below(rng, 2);
}

static rein_step pair_step(const void *config, void *state, const void *action, rein_rng *rng) {
    const pair_state *s = state;
    const int32_t *a = action;
    rein_step result = {.reward = a[0] == s->target[0] && a[1] == s->target[1] ? 1 : 0};
    pair_reset(config, state, rng);
    return result;
}

static void pair_observe(const void *config, const void *state, void *obs) {
    const pair_state *s = state;
    float *o = obs;
    for (int k = 0; k < 3; k++)
        o[k] = k == s->target[0] ? 1 : 0;
    for (int k = 0; k < 2; k++)
        o[3 + k] = k == s->target[1] ? 1 : 0;
}

const rein_env_type reini_env_identity_multi_discrete = {
    .abi = REIN_ENV_ABI,
    .id = "IdentityMultiDiscrete-v0",
    .doc = "test environment: repeat both shown targets, one of 3 and one of 2; best return 100",
    .obs = REINI_BOX(5, zeros, ones),
    .act = {.kind = REIN_SPACE_MULTI_DISCRETE, .size = 2, .n = {3, 2}},
    .horizon = 100,
    .state_size = sizeof(pair_state),
    .reward_threshold = 95,
    .reset = pair_reset,
    .step = pair_step,
    .observe = pair_observe,
};

/* ---- IdentityBox-v0 ------------------------------------------------------------------------------------ */

#define IDENTITY_BOX_FIELDS(F, E)                                                                            \
    F(REAL, tolerance, "0", 0, 1, "reward 1 within this distance and 0 outside; 0 = 1 - distance^2")

typedef struct identity_box_config {
    REIN_FIELDS_STRUCT(IDENTITY_BOX_FIELDS)
} identity_box_config;

#define REIN_FIELD_OWNER identity_box_config
static const rein_field identity_box_fields[] = {REIN_FIELDS_TABLE(IDENTITY_BOX_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct point_state {
    float target; /* in [-1, 1) */
} point_state;

static void point_reset(const void *config, void *state, rein_rng *rng) {
    point_state *s = state;
    s->target = rein_rng_range(rng, -1, 1);
}

static rein_step point_step(const void *config, void *state, const void *action, rein_rng *rng) {
    const identity_box_config *c = config;
    const point_state *s = state;
    float distance = fabsf(*(const float *)action - s->target);
    float hit = (double)distance <= c->tolerance ? 1.0f : 0.0f;
    rein_step result = {.reward = c->tolerance > 0 ? hit : 1 - distance * distance};
    point_reset(config, state, rng);
    return result;
}

static void point_observe(const void *config, const void *state, void *obs) {
    const point_state *s = state;
    *(float *)obs = s->target;
}

const rein_env_type reini_env_identity_box = {
    .abi = REIN_ENV_ABI,
    .id = "IdentityBox-v0",
    .doc = "test environment: repeat the shown number; reward 1 - distance^2; best return 100",
    .obs = REINI_BOX(1, minus_one, ones),
    .act = REINI_BOX(1, minus_one, ones),
    .horizon = 100,
    .state_size = sizeof(point_state),
    REINI_ENV_FIELDS(identity_box_config, identity_box_fields),
    .reward_threshold = 95,
    .reset = point_reset,
    .step = point_step,
    .observe = point_observe,
};

/* ---- TimeLimit-v0 -------------------------------------------------------------------------------------- */

static void time_limit_reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step time_limit_step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){.reward = 1};
}

static void time_limit_observe(const void *config, const void *state, void *obs) {
    *(float *)obs = 1;
}

const rein_env_type reini_env_time_limit = {
    .abi = REIN_ENV_ABI,
    .id = "TimeLimit-v0",
    .doc = "test environment: reward 1 for ever, cut after 10 steps; the value is 1 / (1 - gamma)",
    .obs = REINI_BOX(1, zeros, ones),
    .act = REINI_DISCRETE(2),
    .horizon = 10,
    .state_size = 0,
    .reward_threshold = NAN,
    .reset = time_limit_reset,
    .step = time_limit_step,
    .observe = time_limit_observe,
};
