/*
 * mountain_car_continuous.c - MountainCarContinuous-v0: the valley of MountainCar with a throttle.
 *
 * Source: Gymnasium's MountainCarContinuous-v0 (after Moore, 1990). With the action a in [-1, 1]:
 *
 *     velocity <- clip(velocity + a power - gravity cos(3 position), +-max_speed)
 *     position <- clip(position + velocity, -1.2, 0.6);  the left wall stops the car: velocity 0
 *
 * The episode terminates at position >= goal_position with velocity >= goal_velocity. Reward -0.1 a^2 per
 * step, plus 100 at the goal. The state has 32 bits, as in Gymnasium after the first step.
 *
 * Deviations: a vector clips the action before the step, so the reward charges the clipped action; Gymnasium
 * moves by the clipped action and charges the given one. The bound of the speed in the observation space is
 * that of the default max_speed.
 */
#include <rein/env.h>
#include "env/env_math.h"
#include "env/env_simd.h"
#include "env/env_types.h"

#define THROTTLE_FIELDS(F, E)                                                                                \
    F(REAL, power, "0.0015", 0, 1, "acceleration at full throttle [per step^2]")                             \
    F(REAL, gravity, "0.0025", 0, 1, "acceleration on the steepest slope [per step^2]")                      \
    F(REAL, max_speed, "0.07", 1e-6, 1, "limit of the speed [per step]")                                     \
    F(REAL, goal_position, "0.45", -1.2, 0.6, "position of the flag")                                        \
    F(REAL, goal_velocity, "0", -1, 1, "least velocity at the flag")                                         \
    F(REAL, start_low, "-0.6", -1.2, 0.6, "the car starts uniformly above this position,")                   \
    F(REAL, start_high, "-0.4", -1.2, 0.6, "and below this one, at rest")

typedef struct throttle_config {
    REIN_FIELDS_STRUCT(THROTTLE_FIELDS)
} throttle_config;

#define REIN_FIELD_OWNER throttle_config
static const rein_field throttle_fields[] = {REIN_FIELDS_TABLE(THROTTLE_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct throttle_state {
    float position, velocity;
} throttle_state;

typedef struct throttle_model {
    real power, gravity, max_speed, goal_position, goal_velocity;
} throttle_model;

REINI_INLINE throttle_model throttle_model_of(const void *config) {
    const throttle_config *c = config;
    throttle_model m = {
        .power = R(c->power),
        .gravity = R(c->gravity),
        .max_speed = R(c->max_speed),
        .goal_position = R(c->goal_position),
        .goal_velocity = R(c->goal_velocity),
    };
    return m;
}

/* Moves the state by one step; 1 when the episode terminates. */
REINI_INLINE int throttle_move(const throttle_model *m, throttle_state *s, float action) {
    const real left = R(-1.2), right = R(0.6);
    real sine, cosine;
    real_sincos(R(3) * R(s->position), &sine, &cosine);
    real velocity = R(s->velocity) + (R(action) * m->power - m->gravity * cosine);
    velocity = real_clip(velocity, -m->max_speed, m->max_speed);
    real position = real_clip(R(s->position) + velocity, left, right);
    real forward = velocity < 0 ? R(0) : velocity;
    velocity = position == left ? forward : velocity;
    s->position = (float)position;
    s->velocity = (float)velocity;
    return (position >= m->goal_position) & (velocity >= m->goal_velocity);
}

REINI_INLINE float throttle_reward(int end, float action) {
    return (end ? 100.0f : 0.0f) - 0.1f * (action * action);
}

static void throttle_reset(const void *config, void *state, rein_rng *rng) {
    const throttle_config *c = config;
    throttle_state *s = state;
    s->position = rein_rng_range(rng, (float)c->start_low, (float)c->start_high);
    s->velocity = 0;
}

static rein_step throttle_step(const void *config, void *state, const void *action, rein_rng *rng) {
    throttle_model m = throttle_model_of(config);
    float a = *(const float *)action;
    int end = throttle_move(&m, state, a);
    return (rein_step){.reward = throttle_reward(end, a), .terminated = end};
}

static void throttle_observe(const void *config, const void *state, void *obs) {
    memcpy(obs, state, sizeof(throttle_state));
}

REINI_INLINE int throttle_lane(const throttle_model *m, throttle_state *s, float action, float *reward,
                               float *obs) {
    int end = throttle_move(m, s, action);
    obs[0] = s->position;
    obs[1] = s->velocity;
    *reward = throttle_reward(end, action);
    return end;
}
REINI_STEP_RANGE(throttle, float, 2)

static const float throttle_low[2] = {-1.2f, -0.07f};
static const float throttle_high[2] = {0.6f, 0.07f};
static const float throttle_full_back[1] = {-1};
static const float throttle_full_ahead[1] = {1};

const rein_env_type reini_env_mountain_car_continuous = {
    .abi = REIN_ENV_ABI,
    .id = "MountainCarContinuous-v0",
    .doc = "rock a car out of a valley with a throttle; 100 at the flag, less 0.1 action^2 per step",
    .obs = REINI_BOX(2, throttle_low, throttle_high),
    .act = REINI_BOX(1, throttle_full_back, throttle_full_ahead),
    .horizon = 999,
    .state_size = sizeof(throttle_state),
    REINI_ENV_FIELDS(throttle_config, throttle_fields),
    .reward_threshold = 90,
    .reset = throttle_reset,
    .step = throttle_step,
    .observe = throttle_observe,
    .step_range = throttle_range,
};

/* ---- without velocities, for policies that remember ----------------------------------------------------- */

static void throttle_observe_positions(const void *config, const void *state, void *obs) {
    *(float *)obs = ((const throttle_state *)state)->position;
}

static const float throttle_low_positions[1] = {-1.2f};
static const float throttle_high_positions[1] = {0.6f};

const rein_env_type reini_env_mountain_car_continuous_no_velocity = {
    .abi = REIN_ENV_ABI,
    .id = "MountainCarContinuousNoVel-v0",
    .doc = "rock a car out of a valley with a throttle, velocities hidden; 100 at the flag, less 0.1 "
           "action^2 per step",
    .obs = REINI_BOX(1, throttle_low_positions, throttle_high_positions),
    .act = REINI_BOX(1, throttle_full_back, throttle_full_ahead),
    .horizon = 999,
    .state_size = sizeof(throttle_state),
    REINI_ENV_FIELDS(throttle_config, throttle_fields),
    .reward_threshold = 90,
    .reset = throttle_reset,
    .step = throttle_step,
    .observe = throttle_observe_positions,
};
